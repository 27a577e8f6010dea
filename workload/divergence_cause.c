/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * divergence_cause.c - what kind of thing differs: a timestamp, an id, a number, white space, text.
 *
 * In each text the *word* around the difference is looked at: letters, digits and what joins them in dates,
 * clocks and ids (-, _, :, ., /, +). Its *shape* has d for a digit and a for a letter, so a date is dddd-dd-dd.
 * Rules are few and plain, and need both words: a cause that fits only one of them is text. They are a
 * help for reading, no figure depends on them.
 */
#include "divergence.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { SHAPE_MOST = 80, SAME_BEHIND_B = 8 };

enum kind { OTHER, NUMBER, LONG_ID, CLOCK };

struct word {
    const char *at;
    size_t n;
    char shape[SHAPE_MOST];
    size_t digits, letters, hex;
};

static bool joins(char c)
{
    return isalnum((unsigned char)c) || strchr("-_:./+", c) != NULL;
}

static void take_word(const char *text, size_t n_b, size_t at, struct word *w)
{
    size_t begin = at, end = at;
    while (begin > 0 && text[begin - 1] != '\0' && joins(text[begin - 1]))
        begin--;
    while (end < n_b && text[end] != '\0' && joins(text[end]))
        end++;
    while (begin < end && !isalnum((unsigned char)text[begin]))
        begin++;
    while (begin < end && !isalnum((unsigned char)text[end - 1]))
        end--;
    *w = (struct word){.at = text + begin, .n = end - begin};
    for (size_t i = 0; i < w->n; i++) {
        const unsigned char c = (unsigned char)text[begin + i];
        w->digits += isdigit(c) != 0;
        w->letters += isalpha(c) != 0;
        w->hex += isxdigit(c) != 0;
        if (i + 1 < SHAPE_MOST)
            w->shape[i] = isdigit(c) ? 'd' : isalpha(c) ? 'a' : (char)c;
    }
}

/* Ten digits that begin with 1 are seconds since 1970 until 2033, thirteen milliseconds. */
static bool since_1970(const struct word *w)
{
    const char *point = memchr(w->at, '.', w->n);
    const size_t whole = point ? (size_t)(point - w->at) : w->n;
    return w->n > 0 && w->at[0] == '1' && w->letters == 0 && w->digits + (point != NULL) == w->n &&
           (whole == 10 || (whole == 13 && !point));
}

static bool names_date(const struct word *w)
{
    static const char names[] = "jan feb mar apr may jun jul aug sep oct nov dec "
                                "mon tue wed thu fri sat sun ";
    static const char *const endings[] = {"",     "uary",   "ruary",  "ch",   "il",    "e",
                                          "y",    "ust",    "tember", "ober", "ember", "day",
                                          "sday", "nesday", "rsday",  "urday"};
    if (w->n < 3 || w->letters != w->n)
        return false;
    bool known = false;
    for (const char *name = names; *name != '\0'; name += 4)
        known |= strncasecmp(w->at, name, 3) == 0;
    for (size_t i = 0; known && i < sizeof endings / sizeof endings[0]; i++)
        if (strlen(endings[i]) == w->n - 3 && strncasecmp(w->at + 3, endings[i], w->n - 3) == 0)
            return true;
    return false;
}

/* "May 3, 2026": digits right behind the name of a month. */
static bool behind_month(const char *text, const struct word *w)
{
    const char *end = w->at;
    while (end > text && (end[-1] == ' ' || end[-1] == ','))
        end--;
    if (w->digits != w->n || w->n > 4 || end == w->at || end == text)
        return false;
    struct word before;
    take_word(text, (size_t)(end - text), (size_t)(end - text) - 1, &before);
    return names_date(&before);
}

static bool is_clock(const char *text, const struct word *w)
{
    static const char *const shapes[] = {"d:dd",       "dddd-dd-dd", "dddd/dd/dd", "dd/dd/dd",
                                         "dd.dd.dddd", "d/d/dddd",   "d/dd/dddd",  "dd/d/dddd"};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        if (strstr(w->shape, shapes[i]) != NULL)
            return true;
    return since_1970(w) || names_date(w) || behind_month(text, w);
}

static bool is_id(const struct word *w)
{
    const bool uuid = w->n == 36 && strlen(w->shape) == 36 && w->hex == 32 && w->at[8] == '-' &&
                      w->at[13] == '-' && w->at[18] == '-' && w->at[23] == '-';
    const bool mixed = w->digits > 0 && w->letters > 0 && w->digits + w->letters >= 8;
    return uuid || mixed || (w->hex == w->n && w->n >= 12) || (w->letters == 0 && w->digits >= 6);
}

static enum kind kind_of(const char *text, const struct word *w)
{
    if (w->n == 0)
        return OTHER;
    if (is_clock(text, w))
        return CLOCK;
    if (is_id(w))
        return LONG_ID;
    return w->digits > 0 && w->letters == 0 ? NUMBER : OTHER;
}

static size_t skip_space(const char *text, size_t n_b, size_t at)
{
    while (at < n_b && isspace((unsigned char)text[at]))
        at++;
    return at;
}

/* White space stands at the difference, and without it the texts go on the same. */
static bool only_space(const char *a, size_t a_b, const char *b, size_t b_b, size_t at)
{
    const size_t i = skip_space(a, a_b, at), j = skip_space(b, b_b, at);
    const size_t a_left = a_b - i, b_left = b_b - j;
    const size_t least = a_left < b_left ? a_left : b_left;
    const size_t same = least < SAME_BEHIND_B ? least : SAME_BEHIND_B;
    return (i > at || j > at) && memcmp(a + i, b + j, same) == 0 &&
           (same == SAME_BEHIND_B || a_left == b_left);
}

enum wl_cause wl_cause_of(const char *a, size_t a_b, const char *b, size_t b_b, size_t at)
{
    struct word x, y;
    if (only_space(a, a_b, b, b_b, at))
        return WL_CAUSE_WHITESPACE;
    take_word(a, a_b, at, &x);
    take_word(b, b_b, at, &y);
    const enum kind one = kind_of(a, &x), other = kind_of(b, &y);
    if (one == OTHER || other == OTHER)
        return WL_CAUSE_TEXT;
    if (one == CLOCK && other == CLOCK)
        return WL_CAUSE_TIMESTAMP;
    return one == LONG_ID || other == LONG_ID ? WL_CAUSE_ID : WL_CAUSE_NUMBER;
}

const char *wl_cause_name(enum wl_cause cause)
{
    static const char *const names[] = {"timestamp",  "id",   "number",
                                        "whitespace", "text", "unknown"};
    return names[cause];
}
