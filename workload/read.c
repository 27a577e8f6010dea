/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * read.c - what all text readers share: telling formats apart, names, and the door to the pack, where order
 * and lengths are checked once for all of them.
 */
#include "read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int wl_read_no_memory(struct wl_reading *reading)
{
    return wl_read_fail(reading, -ENOMEM, NULL, "expected more memory");
}

int wl_read_add(struct wl_reading *reading, const struct wl_record *record)
{
    if (record->at_ns < reading->last_ns)
        return wl_read_fail(reading, -EINVAL, "timestamp",
                            "expected no earlier than the line before, time goes backwards");
    if (record->prompt_tokens == 0 || record->prompt_tokens > WL_TOKENS_MOST ||
        record->output_tokens > WL_TOKENS_MOST - record->prompt_tokens)
        return wl_read_fail(reading, -EINVAL, NULL,
                            "expected 1 to %d tokens of prompt and output together",
                            WL_TOKENS_MOST);
    reading->last_ns = record->at_ns;
    return wl_pack_add(reading->pack, record) == 0 ? 0 : wl_read_no_memory(reading);
}

static bool holds(const char *line, size_t size_b, const char *word)
{
    return memmem(line, size_b, word, strlen(word)) != NULL;
}

enum wl_format wl_guess(const char *line, size_t size_b)
{
    while (size_b > 0 && (*line == ' ' || *line == '\t')) {
        line++;
        size_b--;
    }
    if (size_b == 0)
        return WL_AUTO;
    if (*line == '{') {
        if (holds(line, size_b, "\"hash_ids\""))
            return holds(line, size_b, "\"chat_id\"") ? WL_QWEN : WL_MOONCAKE;
        if (holds(line, size_b, "\"text\"") || holds(line, size_b, "\"tokens\""))
            return WL_PROMPTS;
        return WL_MOONCAKE; /* a line that is cut short: the reader says what is missing */
    }
    if (holds(line, size_b, "ContextTokens"))
        return WL_AZURE;
    return holds(line, size_b, "Request tokens") ? WL_BURSTGPT : WL_AUTO;
}

void wl_names_release(struct wl_names *names)
{
    for (size_t i = 0; i < names->table.n; i++)
        free(names->text[i]);
    free(names->text);
    wl_intern_release(&names->table);
    *names = (struct wl_names){0};
}

int wl_names_add(struct wl_names *names, const char *word, uint32_t most, uint32_t *index)
{
    /* SHA-256: a tenant must not be able to pass for another. */
    struct kvt_namespace digest;
    kvt_key key;
    if (kvt_namespace_init(&digest, word, NULL, NULL) != 0)
        return -ENOMEM;
    memcpy(&key, digest.digest, sizeof key);
    if (wl_grow(&names->text, &names->room, names->table.n + 1, sizeof names->text[0]) != 0)
        return -ENOMEM;
    char *copy = strdup(word);
    bool fresh = false;
    if (copy == NULL)
        return -ENOMEM;
    const int status = wl_intern(&names->table, key, index, &fresh);
    if (fresh)
        names->text[*index] = copy;
    else
        free(copy);
    return status != 0 ? status : *index < most ? 0 : -EINVAL;
}
