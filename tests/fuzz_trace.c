/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * fuzz_trace.c - any bytes as a trace: refused with one line, or read as requests that keep the
 * contract.
 *
 * The format is found out, as for a user; what opens is read twice, cut to the trace's own
 * blocks and to small ones. Required of each request: at least one token, arrivals and ids that
 * do not go back, no more keys than blocks, and the same requests on the second pass. Prompts that the
 * reader shows go through the divergence report, whose sums have to add up.
 */
#include "workload/divergence.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A few bytes of a compact format can stand for many requests. */
enum { REQUESTS_MOST = 2000 };

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void require_one_line(int status, const char *text)
{
    require(status >= 0 || (text[0] != '\0' && strchr(text, '\n') == NULL));
}

/* Reads the source to its end, or far enough; returns a mix of everything seen. */
static uint64_t read_all(struct wl_source *source, uint32_t block_tokens)
{
    uint64_t mix = 0;
    kvt_ns last = 0;
    struct kvt_request r;
    for (uint64_t id = 0; id < REQUESTS_MOST; id++) {
        int status = wl_next(source, &r);
        require_one_line(status, wl_source_error(source));
        if (status <= 0)
            return mix * 31 + (uint64_t)(status + 1000);
        require(r.id == id && r.arrive_ns >= last && r.prompt_tokens >= 1);
        const uint64_t tokens = (uint64_t)r.prompt_tokens + r.output_tokens;
        require(r.n_keys <= (tokens + block_tokens - 1) / block_tokens);
        last = r.arrive_ns;
        mix = mix * 31 + (uint64_t)r.arrive_ns + r.prompt_tokens + r.output_tokens + r.session;
        for (uint32_t i = 0; i < r.n_keys; i++)
            mix = mix * 31 + r.keys[i].hi + r.keys[i].lo;
    }
    return mix;
}

static void try_blocks(const uint8_t *data, size_t size, uint32_t block_tokens, bool partial)
{
    struct wl_options options;
    wl_options_init(&options);
    options.path = "fuzz.trace";
    options.block_tokens = block_tokens;
    options.partial_blocks = partial;

    struct wl_source *source;
    struct wl_error error;
    int status = wl_open_memory(&source, &options, data, size, &error);
    require_one_line(status, error.text);
    if (status != 0) {
        require(source == NULL);
        return;
    }
    struct wl_info info;
    wl_source_info(source, &info);
    require(info.block_tokens >= 1);
    const uint64_t first = read_all(source, info.block_tokens);
    wl_rewind(source);
    require(read_all(source, info.block_tokens) == first);
    wl_close(source);
}

static int take(void *self, const struct wl_prompt *prompt)
{
    return wl_divergence_add(self, prompt);
}

static void try_divergence(const uint8_t *data, size_t size)
{
    struct wl_divergence d;
    struct wl_options options;
    struct wl_source *source;
    struct wl_error error;
    require(wl_divergence_init(&d) == 0);
    const struct wl_prompt_sink sink = {take, &d};
    wl_options_init(&options);
    options.path = "fuzz.trace";
    options.prompts = &sink;
    require_one_line(wl_open_memory(&source, &options, data, size, &error), error.text);
    wl_divergence_rank(&d);
    uint64_t parted = 0, behind = 0, lost = 0;
    for (size_t i = 0; i < d.n_rows; i++) {
        require(d.rows[i].tokens_behind >= d.rows[i].requests);
        parted += d.rows[i].requests;
        behind += d.rows[i].tokens_behind;
        lost += d.rows[i].tokens_lost;
    }
    require(d.requests == d.continued + d.fresh + parted);
    require(d.common_tokens <= d.prompt_tokens && behind <= d.prompt_tokens && lost <= behind);
    wl_close(source);
    wl_divergence_release(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_divergence(data, size);
    try_blocks(data, size, 0, false);
    try_blocks(data, size, 0, true);
    try_blocks(data, size, 16, false);
    return 0;
}
