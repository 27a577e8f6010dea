/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * read.h - readers of text formats: each turns lines into records of a pack.
 *
 * A reader stops after options->skip + options->limit requests: nothing beyond is looked at. It sets the pack's
 * block_tokens and partial when it knows them. Errors carry the line.
 */
#ifndef WL_READ_H
#define WL_READ_H

#include <jansson.h>

#include "input.h"
#include "pack.h"

/* What a text reader works on. */
struct wl_reading {
    struct wl_input *in;
    struct wl_pack *pack;
    const struct wl_options *options;
    struct wl_error *error;
    enum wl_format format;
    kvt_ns last_ns;
    uint64_t most; /* requests to read */
    struct wl_names *tenants, *sessions;
};

/* Words of a trace (tenants, sessions) as small numbers. A trace uses numbers, which stand for themselves, or
 * names, numbered as they appear: mixing them is an error. */
struct wl_names {
    bool words, numbers;
    struct wl_intern table;
    char **text; /* of each word; owned */
    size_t room;
};
void wl_names_release(struct wl_names *names);
/* The number of a word; *index < most. Returns 0, -EINVAL (too many), or -ENOMEM. */
KVT_MUST_CHECK int wl_names_add(struct wl_names *names, const char *word, uint32_t most,
                                uint32_t *index);

/* Tells the format by the first line (borrowed). WL_AUTO when it is none. */
enum wl_format wl_guess(const char *line, size_t size_b);

KVT_MUST_CHECK int wl_read_ids(struct wl_reading *reading);     /* mooncake, qwen */
KVT_MUST_CHECK int wl_read_prompts(struct wl_reading *reading); /* prompts */
KVT_MUST_CHECK int wl_read_lengths(struct wl_reading *reading); /* azure, burstgpt */

/* Fails with the current line. */
#define wl_read_fail(reading, status, key, ...)                                                    \
    wl_fail((reading)->error, status, (reading)->in->name, (reading)->in->line, key, __VA_ARGS__)
/* The same for want of memory. */
int wl_read_no_memory(struct wl_reading *reading);
/* Checks (R1) and (R2) and the order of times, and adds the record. */
KVT_MUST_CHECK int wl_read_add(struct wl_reading *reading, const struct wl_record *record);

/* ---- JSON lines (jsonl.c) --------------------------------------------------------------------------- */

/* One complete object; *root is the caller's to json_decref. */
KVT_MUST_CHECK int wl_json_line(struct wl_reading *reading, const char *text, size_t size_b,
                                json_t **root);
/* A required whole number, least .. most. */
KVT_MUST_CHECK int wl_json_count(struct wl_reading *reading, const json_t *root, const char *key,
                                 uint64_t least, uint64_t most, uint64_t *value);
/* A number as time: whole ones count `whole` (KVT_MILLISECOND or KVT_SECOND), others are seconds. */
KVT_MUST_CHECK int wl_json_time(struct wl_reading *reading, const json_t *value, const char *key,
                                kvt_ns whole, kvt_ns *at_ns);
/* An optional name or number, by names. Absent or null: *index is left alone. */
KVT_MUST_CHECK int wl_json_name(struct wl_reading *reading, const json_t *root, const char *key,
                                struct wl_names *names, uint32_t most, uint32_t *index);
/* session and tenant of a line, both optional. */
KVT_MUST_CHECK int wl_json_who(struct wl_reading *reading, const json_t *root,
                               struct wl_record *record);

#endif
