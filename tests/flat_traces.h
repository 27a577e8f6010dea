/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * flat_traces.h - traces flattened to sequences of block ids, as the reference figures have them.
 *
 *      conv512     conversation trace, a request per 512-token block of each prompt, in order
 *      conv16      the same cut into 16-token blocks, ceil(input_length / 16) of them: id * 32 + j
 *      agentic64   agentic trace, a request per 64-token block
 *
 * Reads just enough of the JSON lines: input_length and hash_ids, in the order in which both traces
 * have them. The traces lie beside the checkout, or nowhere.
 */
#ifndef FLAT_TRACES_H
#define FLAT_TRACES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct flat_trace {
    uint64_t *ids;
    uint64_t n, room;
};

static inline void flat_trace_free(struct flat_trace *t)
{
    free(t->ids);
    *t = (struct flat_trace){0};
}

static inline void flat_trace_add(struct flat_trace *t, uint64_t id)
{
    if (t->n == t->room) {
        t->room = t->room ? t->room * 2 : 1 << 16;
        t->ids = realloc(t->ids, t->room * sizeof *t->ids);
        if (!t->ids)
            abort();
    }
    t->ids[t->n++] = id;
}

/* The blocks of one line; cut is how many make up one of the trace's, of cut_tokens each, or 1. */
static inline bool flat_trace_line(struct flat_trace *t, const char *line, uint64_t cut,
                                   uint64_t cut_tokens)
{
    const char *length = strstr(line, "\"input_length\":"), *at = strstr(line, "\"hash_ids\":");
    if (!length || !at || !(at = strchr(at, '[')))
        return false;
    const uint64_t tokens = strtoull(strchr(length, ':') + 1, NULL, 10);
    uint64_t left = cut > 1 ? (tokens + cut_tokens - 1) / cut_tokens : UINT64_MAX;
    for (at++; *at && *at != ']';) {
        char *end;
        const uint64_t id = strtoull(at, &end, 10);
        if (end == at)
            return false;
        for (uint64_t j = 0; j < cut && left > 0; j++, left--)
            flat_trace_add(t, id * cut + j);
        for (at = end; *at == ',' || *at == ' '; at++)
            ;
    }
    return true;
}

/* False when the trace is not there, or not as expected. */
static inline bool flat_trace_read(struct flat_trace *t, const char *name)
{
    const bool agentic = strcmp(name, "agentic64") == 0, cut = strcmp(name, "conv16") == 0;
    *t = (struct flat_trace){0};
    FILE *file = fopen(agentic ? "../shared/traces/agentic_merged_60.jsonl"
                               : "../shared/traces/conversation_trace.jsonl",
                       "r");
    if (!file)
        return false;
    char *line = NULL;
    size_t room = 0;
    bool good = true;
    while (good && getline(&line, &room, file) > 0)
        good = flat_trace_line(t, line, cut ? 32 : 1, 16);
    free(line);
    fclose(file);
    if (!good)
        flat_trace_free(t);
    return good && t->n > 0;
}

#endif
