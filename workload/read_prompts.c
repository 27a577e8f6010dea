/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * read_prompts.c - prompts as people have them: one JSON object a line, with `text` or `tokens`.
 *
 * Text becomes tokens by a rule, not by a tokenizer: each 4 bytes of UTF-8 are one token (about what English
 * takes), little endian, the last one padded with zeros. Equal text prefixes of a whole number of tokens are
 * equal token prefixes, which is all that a cache sees.
 *
 * Blocks get their SHA-256 chain here, once; the pack holds 4-byte numbers of the distinct keys instead.
 */
#include "read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_OUTPUT = 128, TEXT_TOKEN_B = 4 };

struct prompt_reader {
    struct wl_reading *r;
    struct kvt_namespace shared; /* where tenants have none of their own */
    kvt_key root;                /* of the prompt at hand */
    uint32_t *tokens;
    size_t room, n;
    kvt_key *keys;
    size_t keys_room;
    uint64_t *ids;
    size_t ids_room;
};

static int tokens_of_text(struct prompt_reader *s, const json_t *text)
{
    const size_t n_b = json_string_length(text);
    const unsigned char *bytes = (const unsigned char *)json_string_value(text);
    s->n = (n_b + TEXT_TOKEN_B - 1) / TEXT_TOKEN_B;
    if (wl_grow(&s->tokens, &s->room, s->n, sizeof s->tokens[0]) != 0)
        return wl_read_no_memory(s->r);
    for (size_t i = 0; i < s->n; i++) {
        uint32_t token = 0;
        for (size_t k = 0; k < TEXT_TOKEN_B && i * TEXT_TOKEN_B + k < n_b; k++)
            token |= (uint32_t)bytes[i * TEXT_TOKEN_B + k] << (8 * k);
        s->tokens[i] = token;
    }
    return 0;
}

static int tokens_of_list(struct prompt_reader *s, const json_t *list)
{
    s->n = json_array_size(list);
    if (wl_grow(&s->tokens, &s->room, s->n, sizeof s->tokens[0]) != 0)
        return wl_read_no_memory(s->r);
    for (size_t i = 0; i < s->n; i++) {
        const json_t *token = json_array_get(list, i);
        const json_int_t value = json_integer_value(token);
        if (!json_is_integer(token) || value < 0 || value > UINT32_MAX)
            return wl_read_fail(s->r, -EINVAL, "tokens",
                                "expected whole numbers from 0 to 4294967295, number %zu is not",
                                i + 1);
        s->tokens[i] = (uint32_t)value;
    }
    return 0;
}

static int tokens_of(struct prompt_reader *s, const json_t *root)
{
    const json_t *text = json_object_get(root, "text"), *list = json_object_get(root, "tokens");
    int status;
    if (json_is_string(text) && list == NULL)
        status = tokens_of_text(s, text);
    else if (json_is_array(list) && text == NULL)
        status = tokens_of_list(s, list);
    else
        return wl_read_fail(s->r, -EINVAL, "text", "expected text (a string) or tokens (a list)");
    if (status == 0 && (s->n == 0 || s->n > WL_TOKENS_MOST))
        return wl_read_fail(s->r, -EINVAL, text != NULL ? "text" : "tokens",
                            "expected 1 to %d tokens", WL_TOKENS_MOST);
    return status;
}

/* The salt is the tenant's name, or its number in decimal. */
static int namespace_of(struct prompt_reader *s, uint32_t tenant, struct kvt_namespace *ns)
{
    const struct wl_options *o = s->r->options;
    const struct wl_names *names = s->r->tenants;
    char number[16];
    snprintf(number, sizeof number, "%u", tenant);
    return kvt_namespace_init(ns, names->words ? names->text[tenant] : number, o->model_epoch,
                              o->layout);
}

/* Full blocks and, with partial_blocks, the rest: keys, then their numbers. */
static int blocks_of(struct prompt_reader *s, struct wl_record *record)
{
    struct wl_reading *r = s->r;
    const uint32_t block = r->pack->block_tokens;
    const size_t most = (s->n + block - 1) / block;
    if (most > WL_IDS_MOST)
        return wl_read_fail(r, -EINVAL, NULL, "expected at most %d blocks", WL_IDS_MOST);
    struct kvt_namespace ns = s->shared;
    if (wl_grow(&s->keys, &s->keys_room, most, sizeof s->keys[0]) != 0 ||
        wl_grow(&s->ids, &s->ids_room, most, sizeof s->ids[0]) != 0)
        return wl_read_no_memory(r);
    if (r->options->tenant_salts && namespace_of(s, record->tenant, &ns) != 0)
        return wl_read_fail(r, -EIO, NULL, "expected SHA-256 to work");
    s->root = kvt_namespace_key(&ns);
    const int64_t n =
        kvt_key_chain(&ns, s->tokens, s->n, block, r->options->partial_blocks, s->keys);
    if (n < 0)
        return wl_read_fail(r, -EIO, NULL, "expected SHA-256 to work");
    for (int64_t i = 0; i < n; i++) {
        uint32_t index = 0;
        if (wl_intern(&r->pack->keys, s->keys[i], &index, NULL) != 0)
            return wl_read_no_memory(r);
        s->ids[i] = index;
    }
    record->n_ids = (uint32_t)n;
    record->ids = s->ids;
    return 0;
}

static int time_of(struct prompt_reader *s, const json_t *root, kvt_ns *at_ns)
{
    const bool stamped = json_object_get(root, "timestamp") != NULL;
    const char *key = stamped ? "timestamp" : "arrival";
    const json_t *value = json_object_get(root, key);
    return value == NULL ? 0 : wl_json_time(s->r, value, key, KVT_MILLISECOND, at_ns);
}

/* Shows the prompt to whoever wants to see it. */
static int show(struct prompt_reader *s, const json_t *root)
{
    const struct wl_options *o = s->r->options;
    const json_t *text = json_object_get(root, "text");
    if (o->prompts == NULL || s->r->pack->records < o->skip)
        return 0;
    const struct wl_prompt prompt = {.request = s->r->pack->records - o->skip,
                                     .tokens = s->tokens,
                                     .n_tokens = (uint32_t)s->n,
                                     .text = json_string_value(text),
                                     .text_b = json_string_length(text),
                                     .root = s->root};
    const int status = o->prompts->take(o->prompts->self, &prompt);
    if (status == -ENOMEM)
        return wl_read_no_memory(s->r);
    return status == 0 ? 0 : wl_read_fail(s->r, status, NULL, "interrupted");
}

static int record_of(struct prompt_reader *s, const json_t *root, struct wl_record *record)
{
    uint64_t output = DEFAULT_OUTPUT;
    int status = time_of(s, root, &record->at_ns);
    if (status == 0 && json_object_get(root, "output_length") != NULL)
        status = wl_json_count(s->r, root, "output_length", 0, WL_TOKENS_MOST, &output);
    if (status == 0)
        status = wl_json_who(s->r, root, record);
    if (status == 0)
        status = tokens_of(s, root);
    if (status == 0)
        status = blocks_of(s, record);
    if (status == 0)
        status = show(s, root);
    if (status != 0)
        return status;
    record->prompt_tokens = (uint32_t)s->n;
    record->output_tokens = (uint32_t)output;
    return 0;
}

static int read_line(struct prompt_reader *s, const char *text, size_t size_b)
{
    json_t *root = NULL;
    /* No time given: with the line before. */
    struct wl_record record = {.at_ns = s->r->last_ns, .session = KVT_NONE};
    int status = wl_json_line(s->r, text, size_b, &root);
    if (status == 0)
        status = record_of(s, root, &record);
    json_decref(root);
    return status != 0 ? status : wl_read_add(s->r, &record);
}

int wl_read_prompts(struct wl_reading *reading)
{
    const struct wl_options *o = reading->options;
    struct prompt_reader s = {.r = reading};
    char *text;
    size_t size_b;
    int status = 1;
    reading->pack->block_tokens = o->block_tokens != 0 ? o->block_tokens : WL_BLOCK_TOKENS;
    reading->pack->partial = o->partial_blocks;
    if (kvt_namespace_init(&s.shared, NULL, o->model_epoch, o->layout) != 0)
        return wl_read_fail(reading, -EIO, NULL, "expected SHA-256 to work");
    while (reading->pack->records < reading->most &&
           (status = wl_input_line(reading->in, &text, &size_b, reading->error)) == 1) {
        status = read_line(&s, text, size_b);
        if (status != 0)
            break;
    }
    free(s.tokens);
    free(s.keys);
    free(s.ids);
    return status < 0 ? status : 0;
}
