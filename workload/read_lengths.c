/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * read_lengths.c - CSV traces with times and lengths only: Azure LLM inference, BurstGPT.
 *
 * Columns are found by the names in the first line, whatever their order; others are ignored. A time is either
 * seconds (12, 12.5) or a date and time (2023-11-16 18:17:03.9799600, with T or a zone Z or +00:00 if you like),
 * read exactly, to the nanosecond; further digits are cut.
 */
#include "read.h"
#include "synth.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS_MOST = 64 };
enum { COLUMN_TIME, COLUMN_PROMPT, COLUMN_OUTPUT, COLUMNS };

static const char *const azure_names[COLUMNS] = {"TIMESTAMP", "ContextTokens", "GeneratedTokens"};
static const char *const burst_names[COLUMNS] = {"Timestamp", "Request tokens", "Response tokens"};

struct field {
    const char *text;
    size_t n;
};

struct lengths_reader {
    struct wl_reading *r;
    const char *const *names;
    int column[COLUMNS];
    int columns; /* in the header */
    struct wl_synth_state synth;
};

/* Splits a line at commas, blanks and quotes around fields dropped. Returns how many; at most COLUMNS_MOST. */
static int split(const char *text, size_t size_b, struct field *fields)
{
    const char *end = text + size_b;
    int n = 0;
    while (n < COLUMNS_MOST) {
        const char *comma = memchr(text, ',', (size_t)(end - text));
        const char *from = text, *to = comma != NULL ? comma : end;
        while (from < to && (*from == ' ' || *from == '"'))
            from++;
        while (to > from && (to[-1] == ' ' || to[-1] == '"'))
            to--;
        fields[n++] = (struct field){from, (size_t)(to - from)};
        if (comma == NULL)
            break;
        text = comma + 1;
    }
    return n;
}

/* n digits (n 0: as many as there are, at least one). Advances *at; false when they are not there. */
static bool digits(const char **at, const char *end, int n, uint64_t *value)
{
    const char *from = *at;
    *value = 0;
    while (*at < end && **at >= '0' && **at <= '9' && (n == 0 || *at - from < n)) {
        if (*value > UINT64_MAX / 10 - 1)
            return false;
        *value = *value * 10 + (uint64_t)(*(*at)++ - '0');
    }
    return n == 0 ? *at > from : *at - from == n;
}

static bool is(const char **at, const char *end, const char *any)
{
    if (*at == end || strchr(any, **at) == NULL || **at == '\0')
        return false;
    (*at)++;
    return true;
}

/* ".9799600" to ns. Nothing there is 0 as well. */
static bool fraction(const char **at, const char *end, uint64_t *ns)
{
    *ns = 0;
    if (!is(at, end, "."))
        return true;
    uint64_t unit = KVT_SECOND;
    const char *from = *at;
    while (*at < end && **at >= '0' && **at <= '9') {
        unit /= 10;
        *ns += (uint64_t)(*(*at)++ - '0') * unit;
    }
    return *at > from;
}

/* Days since 1970-01-01 in the Gregorian calendar: years begin in March, so that the leap day is their last. */
static uint64_t days(uint64_t year, uint64_t month, uint64_t day)
{
    const uint64_t y = month <= 2 ? year - 1 : year;
    const uint64_t in_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    const uint64_t before = y * 365 + y / 4 - y / 100 + y / 400 + in_year;
    return before - 719468;
}

/* "2023-11-16 18:17:03" behind the year; at points at the first '-'. */
static bool date(uint64_t year, const char **at, const char *end, uint64_t *s)
{
    uint64_t month, day, hour, minute, second;
    if (!is(at, end, "-") || !digits(at, end, 2, &month) || !is(at, end, "-") ||
        !digits(at, end, 2, &day) || !is(at, end, " T") || !digits(at, end, 2, &hour) ||
        !is(at, end, ":") || !digits(at, end, 2, &minute) || !is(at, end, ":") ||
        !digits(at, end, 2, &second))
        return false;
    if (year < 1970 || year > 2200 || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 ||
        minute > 59 || second > 60)
        return false;
    *s = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    return true;
}

/* Zone: none, Z, or +00:00. Others would need arithmetic that no known trace asks for. */
static bool zone(const char *at, const char *end)
{
    const size_t n = (size_t)(end - at);
    return n == 0 || (n == 1 && *at == 'Z') || (n == 6 && memcmp(at, "+00:00", 6) == 0);
}

static bool time_of(struct field field, kvt_ns *at_ns)
{
    const char *at = field.text, *end = field.text + field.n;
    uint64_t first = 0, s = 0, ns = 0;
    if (!digits(&at, end, 0, &first))
        return false;
    s = first;
    if (at < end && *at == '-' && !date(first, &at, end, &s))
        return false;
    if (!fraction(&at, end, &ns) || !zone(at, end) || s > 9200000000)
        return false;
    *at_ns = s * KVT_SECOND + ns;
    return true;
}

static int count(struct lengths_reader *s, const struct field *fields, int which, uint32_t least,
                 uint32_t *value)
{
    const struct field field = fields[s->column[which]];
    const char *at = field.text, *end = field.text + field.n;
    uint64_t wide = 0;
    if (!digits(&at, end, 0, &wide) || at != end || wide < least || wide > WL_TOKENS_MOST)
        return wl_read_fail(s->r, -EINVAL, s->names[which],
                            "expected a whole number from %u to %d, found \"%.*s\"", least,
                            WL_TOKENS_MOST, field.n < 40 ? (int)field.n : 40, field.text);
    *value = (uint32_t)wide;
    return 0;
}

static int read_header(struct lengths_reader *s, const char *text, size_t size_b)
{
    struct field fields[COLUMNS_MOST];
    s->columns = split(text, size_b, fields);
    for (int k = 0; k < COLUMNS; k++) {
        s->column[k] = -1;
        for (int i = 0; i < s->columns; i++)
            if (fields[i].n == strlen(s->names[k]) &&
                memcmp(fields[i].text, s->names[k], fields[i].n) == 0)
                s->column[k] = i;
        if (s->column[k] < 0)
            return wl_read_fail(s->r, -EINVAL, NULL, "expected a column named %s", s->names[k]);
    }
    return 0;
}

static int read_line(struct lengths_reader *s, const char *text, size_t size_b)
{
    struct field fields[COLUMNS_MOST] = {{"", 0}};
    struct wl_record record = {.session = KVT_NONE};
    const int n = split(text, size_b, fields);
    if (n != s->columns)
        return wl_read_fail(s->r, -EINVAL, NULL, "expected %d fields, found %d", s->columns, n);
    const struct field when = fields[s->column[COLUMN_TIME]];
    if (!time_of(when, &record.at_ns))
        return wl_read_fail(s->r, -EINVAL, s->names[COLUMN_TIME],
                            "expected seconds or a time such as 2023-11-16 18:17:03.98, found "
                            "\"%.*s\"",
                            when.n < 40 ? (int)when.n : 40, when.text);
    int status = count(s, fields, COLUMN_PROMPT, 1, &record.prompt_tokens);
    if (status == 0)
        status = count(s, fields, COLUMN_OUTPUT, 0, &record.output_tokens);
    if (status != 0)
        return status;
    if (record.output_tokens > WL_TOKENS_MOST - record.prompt_tokens ||
        record.at_ns < s->r->last_ns)
        return wl_read_add(s->r, &record); /* says what is wrong, adds nothing */
    status = wl_synth_fill(&s->synth, &record);
    if (status == -ENOMEM)
        return wl_read_no_memory(s->r);
    if (status != 0)
        return wl_read_fail(s->r, status, NULL, "expected at most %d blocks in a request",
                            WL_IDS_MOST);
    return wl_read_add(s->r, &record);
}

int wl_read_lengths(struct wl_reading *reading)
{
    const struct wl_options *o = reading->options;
    struct lengths_reader s = {.r = reading};
    char *text;
    size_t size_b;
    s.names = reading->format == WL_AZURE ? azure_names : burst_names;
    reading->pack->block_tokens = o->block_tokens != 0 ? o->block_tokens : WL_BLOCK_TOKENS;
    wl_synth_init(&s.synth, &o->synth, o->seed, reading->pack->block_tokens);
    int status = wl_input_line(reading->in, &text, &size_b, reading->error);
    if (status == 1)
        status = read_header(&s, text, size_b);
    while (status == 0 && reading->pack->records < reading->most &&
           (status = wl_input_line(reading->in, &text, &size_b, reading->error)) == 1)
        status = read_line(&s, text, size_b);
    wl_synth_release(&s.synth);
    return status < 0 ? status : 0;
}
