/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * workload.h - where requests come from: trace files, and generators that draw them.
 *
 *      struct wl_options options;
 *      wl_options_init(&options);
 *      options.path = "conversation.jsonl";
 *      int status = wl_open(&source, &options, &error);
 *      while ((status = wl_next(source, &request)) == 1)
 *          ... request.keys is borrowed until the next call ...
 *      wl_rewind(source);                     the same requests again, for the run without cache
 *      wl_close(source);
 *
 * Requests come in order: ids count from 0, arrivals never decrease. A source is a function of its
 * options: the same file or parameters and the same seed give the same requests, byte for byte, on
 * every pass.
 *
 * Times. A file's first request (after skip) arrives at 0; a generator's clock starts at 0 and its first
 * request comes when it is drawn. rate_scale divides all times.
 *
 * Blocks. A trace names blocks of trace_block_tokens by prefix ids: equal id, equal prefix. The cache
 * wants keys for blocks of block_tokens.
 *
 *   finer     block_tokens divides the trace's: id b becomes b * ratio + j for its j-th part
 *   coarser   block_tokens is a multiple: a merged block takes the id of its last part
 *   other     refused
 *
 * Keys cover full blocks of the prompt and, where the source knows them, of the output (generators and
 * their binary traces do: decoded blocks can be reused by the next turn). With partial_blocks they cover
 * ceil(prompt / block_tokens) blocks of the prompt instead, and nothing of the output. A trace that names
 * full blocks only has no key for the partial one.
 *
 * Formats, told apart by their first bytes and line when format is WL_AUTO:
 *
 *   mooncake  JSONL: timestamp (whole: ms, with a point: s), input_length, output_length, hash_ids,
 *             optional session, tenant. The block size, and whether the last block may be partial, follow
 *             from the data: powers of two that fit every line; ceil is preferred to floor, then 512, 16,
 *             64, 32, 128, 256, 1024, ... in this order.
 *   qwen      the same with chat_id and parent_chat_id, timestamp always in seconds; a conversation is a
 *             chain of parents.
 *   prompts   JSONL: text (4 UTF-8 bytes are a token, the last may be shorter) or tokens (a list of whole
 *             numbers), optional timestamp or arrival (as above; default: all at 0), output_length
 *             (default 128), session, tenant (a name or a number). Keys are kvt_key_chain over the tokens.
 *   azure     CSV: TIMESTAMP,ContextTokens,GeneratedTokens. Lengths only: prefixes are made up, see
 *             struct wl_synth.
 *   burstgpt  CSV: Timestamp (s), Model, Request tokens, Response tokens, ... likewise made up.
 *   binary    our own, compact: see binary.h.
 *
 * Errors are negative errno values with one line in struct wl_error: `file:line: key: what was expected`.
 * -EINVAL means bad input, -ENOMEM memory, others as open() and read() have them.
 */
#ifndef WL_WORKLOAD_H
#define WL_WORKLOAD_H

#include "../core/key.h"
#include "../core/port.h"
#include "generate.h"

struct wl_error {
    char text[512]; /* one line, no line break; empty when nothing went wrong */
};

enum wl_format {
    WL_AUTO,
    WL_MOONCAKE,
    WL_QWEN,
    WL_PROMPTS,
    WL_AZURE,
    WL_BURSTGPT,
    WL_BINARY,
    WL_FORMATS,
    WL_GENERATED = WL_FORMATS /* in wl_info only */
};

/* Block size where the source has none of its own: generators, prompts, lengths-only traces. */
enum { WL_BLOCK_TOKENS = 512 };

/* How prefixes are made up for a trace of lengths only. Each prompt starts with one shared system prompt of
 * system_tokens (or as much of it as fits). A request then continues a conversation with probability
 * `continues`: of those that were idle for at most idle_ns, the one with the longest text (prompt + output so
 * far) that is shorter than the prompt; ties: the most recent. The rest of its prompt is new. If it continues
 * none, it starts one. At most 1,024 conversations are open: the one idle longest makes room. */
struct wl_synth {
    uint32_t system_tokens; /* default 256 */
    double continues;       /* 0 .. 1, default 0.5 */
    kvt_ns idle_ns;         /* default 300 s */
};

/* A prompt as a trace of text or tokens has it; all borrowed during the call. */
struct wl_prompt {
    uint64_t request; /* from 0, after skip */
    const uint32_t *tokens;
    uint32_t n_tokens;
    const char *text; /* NULL: the trace has tokens */
    size_t text_b;
    kvt_key root; /* what stands for everything before it: kvt_request.root */
};

/* Who wants to see prompts. take returns 0, or a negative errno, which ends wl_open. */
struct wl_prompt_sink {
    int (*take)(void *self, const struct wl_prompt *prompt);
    void *self;
};

/* Strings are borrowed until wl_close. */
struct wl_options {
    const struct wl_prompt_sink
        *prompts;     /* (optional) shown each prompt within wl_open; borrowed until
                                             then. Other formats have none to show */
    const char *path; /* NULL: generate */
    struct wl_generate generate;
    enum wl_format format;
    uint32_t trace_block_tokens; /* what one id of the trace stands for; 0: found out */
    uint32_t block_tokens;       /* the cache's; 0: as the trace has it, else WL_BLOCK_TOKENS */
    bool partial_blocks;         /* a partial last prompt block has a key */
    bool tenant_salts;           /* each tenant has its own namespace */
    const char *model_epoch, *layout; /* of the namespace; NULL counts as "" */
    uint64_t seed;
    double rate_scale;          /* > 0; 2: the same requests in half the time */
    uint64_t skip;              /* leading requests left out */
    uint64_t limit;             /* requests at most; UINT64_MAX: all */
    uint64_t warmup_requests;   /* not used here: carried for whoever reads reports */
    kvt_ns warmup_ns;           /* likewise */
    uint32_t max_output_tokens; /* caps outputs; 0: prefill only; UINT32_MAX: no cap */
    struct wl_synth synth;
};

/* What a source turned out to be. Strings live as long as the source. */
struct wl_info {
    enum wl_format format;
    const char *name;            /* "mooncake", "chat", ... */
    uint32_t block_tokens;       /* of the keys */
    uint32_t trace_block_tokens; /* of the ids; equals block_tokens where there are none */
    bool trace_partial;          /* the last id of a prompt may stand for a partial block */
    bool exact;                  /* requests and keys are exact, not estimates */
    uint64_t requests, keys;     /* from the start to the end */
    uint64_t distinct_keys; /* an estimate from above, as good as it is cheap: for sizing tables */
};

struct wl_source;

/* All requests, 512-token blocks or the trace's own, seed 1, rate_scale 1, no cap, no salts. */
void wl_options_init(struct wl_options *options);

/* Opens and, for a file, reads or verifies all of it, so that bad input is told before anything runs.
 * options are copied. Returns 0 and *out (free with wl_close), or a negative errno, *out NULL and one line in
 * *error. */
KVT_MUST_CHECK int wl_open(struct wl_source **out, const struct wl_options *options,
                           struct wl_error *error);

/* The same for a file's bytes in memory (borrowed until wl_close); options->path only names them. */
KVT_MUST_CHECK int wl_open_memory(struct wl_source **out, const struct wl_options *options,
                                  const void *bytes, size_t size_b, struct wl_error *error);

/* The next request: 1 and *request filled (keys borrowed until the next call on the source), 0 at the end,
 * or a negative errno, which sticks, with a line in wl_source_error. */
KVT_MUST_CHECK int wl_next(struct wl_source *source, struct kvt_request *request);

/* What wl_next said last, "" when nothing. Borrowed. */
const char *wl_source_error(const struct wl_source *source);

/* Starts again at the first request: exactly the same sequence. Clears a sticking error. */
void wl_rewind(struct wl_source *source);

/* NULL is ignored. */
void wl_close(struct wl_source *source);

void wl_source_info(const struct wl_source *source, struct wl_info *info);
/* How many requests come, and how many distinct blocks they name at most: wl_info's, for sizing. */
void wl_hint(const struct wl_source *source, uint64_t *requests, uint64_t *blocks);

/* One line for reports: "conversation.jsonl: mooncake, blocks of 512 tokens, 12,031 requests". Returns text. */
const char *wl_describe(const struct wl_source *source, char *text, size_t size);

/* A format by the name that files and --format use, WL_FORMATS when there is none; and back. */
enum wl_format wl_format_named(const char *name);
const char *wl_format_name(enum wl_format format);

#endif
