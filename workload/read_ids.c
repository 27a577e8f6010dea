/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * read_ids.c - JSONL traces that name blocks by prefix ids: Mooncake, Qwen-Bailian, and their relatives.
 *
 * Block size. n ids and a prompt of L tokens fit blocks of B tokens, if n = ceil(L / B) (the last block may
 * be partial) or n = floor(L / B) (full blocks only). Each line leaves of the powers of two those that fit, for
 * either reading; the line that leaves none is wrong, or the trace is. What fits all lines is the trace's
 * block size; of several the usual one is taken (workload.h).
 *
 * Lifting. Nearly all bytes of such a trace are digits of hash_ids, and jansson takes 250 ns for each id: the
 * public 3 MB conversation trace takes it 71 ms, a 14 MB agentic one 430 ms (one core of an AMD EPYC VM). So an
 * array of plain whole numbers is read here, and jansson reads the line around it, "hash_ids": [] standing in its
 * place. Everything unusual (nested objects, a second "hash_ids", numbers that are not plain) goes to jansson
 * whole, so what is accepted and refused stays jansson's say; that is (J1), and tests/test_workload_read.c holds
 * the two ways against each other.
 */
#include "read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SIZES = 21 }; /* 2^0 .. 2^20 */

struct ids_reader {
    struct wl_reading *r;
    uint64_t *ids;
    size_t room, n;
    uint32_t ceil_fits,
        floor_fits;         /* bit k: blocks of 2^k tokens; or bit 0 alone for a stated size */
    struct wl_intern chats; /* qwen: chat_id -> index of root */
    uint32_t *roots;
    size_t roots_room;
};

/* ---- hash_ids ---------------------------------------------------------------------------------------- */

static const char *skip_blanks(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    return at;
}

/* One plain number of at most 18 digits, without leading zeros: those are jansson's to judge. NULL if not. */
static const char *plain_number(const char *at, const char *end, uint64_t *value)
{
    const char *begin = at;
    uint64_t v = 0;
    while (at < end && *at >= '0' && *at <= '9')
        v = v * 10 + (uint64_t)(*at++ - '0');
    const size_t digits = (size_t)(at - begin);
    *value = v;
    return digits == 0 || digits > 18 || (*begin == '0' && digits > 1) ? NULL : at;
}

static int push(struct ids_reader *s, uint64_t id)
{
    if (s->n == s->room && wl_grow(&s->ids, &s->room, s->n + 1, sizeof s->ids[0]) != 0)
        return -ENOMEM;
    s->ids[s->n++] = id;
    return 0;
}

/* Reads numbers up to ']' into s->ids. Returns what follows ']', or NULL when they are not plain (or memory
 * ran out: the other way will say so). */
static const char *plain_numbers(struct ids_reader *s, const char *at, const char *end)
{
    s->n = 0;
    at = skip_blanks(at, end);
    if (at < end && *at == ']')
        return at + 1;
    for (;;) {
        uint64_t id;
        at = plain_number(skip_blanks(at, end), end, &id);
        if (at == NULL || push(s, id) != 0)
            return NULL;
        at = skip_blanks(at, end);
        if (at < end && *at == ']')
            return at + 1;
        if (at == end || *at != ',')
            return NULL;
        at++;
    }
}

/* Lifts the array out: *cut_b bytes before its first number and *rest from its ']' on are the line without
 * it. False: not a case for lifting. */
static bool lift(struct ids_reader *s, const char *text, size_t size_b, size_t *cut_b,
                 const char **rest)
{
    static const char word[] = "\"hash_ids\"";
    const size_t word_b = sizeof word - 1;
    const char *end = text + size_b;
    const char *key = memmem(text, size_b, word, word_b);
    if (key == NULL)
        return false;
    /* In the outermost object, and a key of it: one '{' before, and ',' or '{' just before. */
    const char *open = memchr(text, '{', size_b), *before = key;
    while (before > text && (before[-1] == ' ' || before[-1] == '\t'))
        before--;
    if (before == text || (before[-1] != ',' && before[-1] != '{') || open == NULL || open > key ||
        memchr(open + 1, '{', (size_t)(key - open - 1)) != NULL ||
        memchr(text, '[', (size_t)(key - text)) != NULL)
        return false;
    const char *at = skip_blanks(key + word_b, end);
    if (at == end || *at++ != ':')
        return false;
    at = skip_blanks(at, end);
    if (at == end || *at++ != '[')
        return false;
    *cut_b = (size_t)(at - text);
    const char *after = plain_numbers(s, at, end);
    if (after == NULL || memmem(after, (size_t)(end - after), "hash_ids", 8) != NULL ||
        memchr(after, '\\', (size_t)(end - after)) != NULL)
        return false;
    *rest = after - 1;
    return true;
}

/* hash_ids by jansson, number by number. */
static int ids_of(struct ids_reader *s, const json_t *root)
{
    const json_t *list = json_object_get(root, "hash_ids");
    if (!json_is_array(list))
        return wl_read_fail(s->r, -EINVAL, "hash_ids", "expected a list of whole numbers");
    s->n = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *id = json_array_get(list, i);
        if (!json_is_integer(id) || json_integer_value(id) < 0)
            return wl_read_fail(s->r, -EINVAL, "hash_ids",
                                "expected whole numbers of at least 0, number %zu is not", i + 1);
        if (push(s, (uint64_t)json_integer_value(id)) != 0)
            return wl_read_no_memory(s->r);
    }
    return 0;
}

/* Parses the line; ids into s->ids. *root is the caller's. */
static int parse(struct ids_reader *s, char *text, size_t size_b, json_t **root)
{
    size_t cut_b;
    const char *rest;
    if (!lift(s, text, size_b, &cut_b, &rest)) {
        const int status = wl_json_line(s->r, text, size_b, root);
        return status != 0 ? status : ids_of(s, *root);
    }
    /* A short line in its own place: the array's text is not needed any more. */
    const size_t rest_b = (size_t)(text + size_b - rest);
    memmove(text + cut_b, rest, rest_b);
    return wl_json_line(s->r, text, cut_b + rest_b, root);
}

/* ---- Block size ------------------------------------------------------------------------------------- */

static uint32_t size_of_bit(const struct ids_reader *s, int bit)
{
    const uint32_t stated = s->r->options->trace_block_tokens;
    return stated != 0 ? stated : 1u << bit;
}

static int mismatch(struct ids_reader *s, uint32_t tokens)
{
    const uint32_t stated = s->r->options->trace_block_tokens;
    const uint32_t fits = s->ceil_fits != 0 ? s->ceil_fits : s->floor_fits;
    const bool single = fits != 0 && (fits & (fits - 1)) == 0;
    if (!single && stated == 0)
        return wl_read_fail(
            s->r, -EINVAL, "hash_ids",
            "expected as many as input_length %u fills, in blocks of a power of two "
            "tokens; found %zu, which no size fits in all lines so far",
            tokens, s->n);
    const uint32_t size = size_of_bit(s, single ? __builtin_ctz(fits) : 0);
    const uint32_t whole = tokens / size, partial = tokens % size != 0;
    return wl_read_fail(s->r, -EINVAL, "hash_ids",
                        "expected %u for input_length %u in blocks of %u tokens, found %zu",
                        s->ceil_fits != 0 ? whole + partial : whole, tokens, size, s->n);
}

/* Leaves the sizes that fit this line as well. */
static int narrow(struct ids_reader *s, uint32_t tokens)
{
    uint32_t ceil_fits = 0, floor_fits = 0;
    for (uint32_t left = s->ceil_fits | s->floor_fits; left != 0; left &= left - 1) {
        const int bit = __builtin_ctz(left);
        const uint32_t size = size_of_bit(s, bit);
        const uint32_t whole = tokens / size, partial = tokens % size != 0;
        ceil_fits |= (uint32_t)(whole + partial == s->n) << bit;
        floor_fits |= (uint32_t)(whole == s->n) << bit;
    }
    ceil_fits &= s->ceil_fits;
    floor_fits &= s->floor_fits;
    if ((ceil_fits | floor_fits) == 0)
        return mismatch(s, tokens);
    s->ceil_fits = ceil_fits;
    s->floor_fits = floor_fits;
    return 0;
}

static void choose(struct ids_reader *s)
{
    static const int usual[] = {9, 4, 6, 5, 7, 8}; /* 512, 16, 64, 32, 128, 256 */
    struct wl_pack *pack = s->r->pack;
    const uint32_t fits = s->ceil_fits != 0 ? s->ceil_fits : s->floor_fits;
    int bit = -1;
    for (size_t i = 0; bit < 0 && i < sizeof usual / sizeof usual[0]; i++)
        if (fits >> usual[i] & 1)
            bit = usual[i];
    for (int k = 10; bit < 0 && k < SIZES; k++)
        if (fits >> k & 1)
            bit = k;
    for (int k = 3; bit < 0 && k >= 0; k--)
        if (fits >> k & 1)
            bit = k;
    pack->partial = s->ceil_fits != 0;
    pack->block_tokens = size_of_bit(s, bit < 0 ? 0 : bit);
}

/* ---- Lines ------------------------------------------------------------------------------------------- */

/* The conversation a line belongs to: the index of its chain's first chat_id. */
static int chat_of(struct ids_reader *s, const json_t *root, uint32_t *session)
{
    uint64_t id = 0;
    int status = wl_json_count(s->r, root, "chat_id", 0, INT64_MAX, &id);
    if (status != 0)
        return status;
    const json_t *parent = json_object_get(root, "parent_chat_id");
    const json_int_t parent_id = json_is_integer(parent) ? json_integer_value(parent) : -1;
    uint32_t index = 0, before = KVT_NONE;
    bool fresh = false;
    if (parent_id >= 0) {
        if (wl_intern(&s->chats, (kvt_key){1, (uint64_t)parent_id}, &before, &fresh) != 0 ||
            wl_grow(&s->roots, &s->roots_room, s->chats.n, sizeof s->roots[0]) != 0)
            return wl_read_no_memory(s->r);
        if (fresh) /* its line was cut off: it starts the chain as far as we know */
            s->roots[before] = before;
    }
    if (wl_intern(&s->chats, (kvt_key){1, id}, &index, &fresh) != 0 ||
        wl_grow(&s->roots, &s->roots_room, s->chats.n, sizeof s->roots[0]) != 0)
        return wl_read_no_memory(s->r);
    if (fresh || before != KVT_NONE)
        s->roots[index] = before != KVT_NONE ? s->roots[before] : index;
    *session = s->roots[index];
    return 0;
}

static int record_of(struct ids_reader *s, const json_t *root, struct wl_record *record)
{
    struct wl_reading *r = s->r;
    uint64_t prompt = 0, output = 0;
    const bool qwen = r->format == WL_QWEN || json_object_get(root, "chat_id") != NULL;
    int status = wl_json_time(r, json_object_get(root, "timestamp"), "timestamp",
                              qwen ? KVT_SECOND : KVT_MILLISECOND, &record->at_ns);
    if (status == 0)
        status = wl_json_count(r, root, "input_length", 1, WL_TOKENS_MOST, &prompt);
    if (status == 0)
        status = wl_json_count(r, root, "output_length", 0, WL_TOKENS_MOST, &output);
    if (status == 0)
        status = qwen ? chat_of(s, root, &record->session) : 0;
    if (status == 0)
        status = wl_json_who(r, root, record);
    if (status != 0)
        return status;
    if (s->n > WL_IDS_MOST)
        return wl_read_fail(r, -EINVAL, "hash_ids", "expected at most %d", WL_IDS_MOST);
    record->prompt_tokens = (uint32_t)prompt;
    record->output_tokens = (uint32_t)output;
    record->n_ids = (uint32_t)s->n;
    record->ids = s->ids;
    return narrow(s, record->prompt_tokens);
}

static int read_line(struct ids_reader *s, char *text, size_t size_b)
{
    json_t *root = NULL;
    struct wl_record record = {.session = KVT_NONE};
    int status = parse(s, text, size_b, &root);
    if (status == 0)
        status = record_of(s, root, &record);
    json_decref(root);
    return status != 0 ? status : wl_read_add(s->r, &record);
}

int wl_read_ids(struct wl_reading *reading)
{
    const uint32_t all = reading->options->trace_block_tokens != 0 ? 1 : (1u << SIZES) - 1;
    struct ids_reader s = {.r = reading, .ceil_fits = all, .floor_fits = all};
    char *text;
    size_t size_b;
    int status = 1;
    while (reading->pack->records < reading->most &&
           (status = wl_input_line(reading->in, &text, &size_b, reading->error)) == 1) {
        status = read_line(&s, text, size_b);
        if (status != 0)
            break;
    }
    if (status >= 0)
        choose(&s);
    free(s.ids);
    free(s.roots);
    wl_intern_release(&s.chats);
    return status < 0 ? status : 0;
}
