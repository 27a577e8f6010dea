/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * chaos_record.h - what tests share that let a whole core live under chaos_world.h and record it: requests over a few
 * shared beginnings, and the recording replayed.
 */
#ifndef CHAOS_RECORD_H
#define CHAOS_RECORD_H

#include "../core/replay.h"
#include "chaos_world.h"
#include "failing_alloc.h"
#include "kvt_test.h"
#include "record_fixture.h"

enum { CHAOS_PREFIXES = 5 };

/* Up to 14 blocks, of which up to as many are one of CHAOS_PREFIXES beginnings; keys has room for most_keys. */
static inline void chaos_request(struct chaos *w, const struct kvt_core_config *c, uint64_t id,
                                 uint64_t output_most, uint32_t most_keys, struct kvt_request *r,
                                 kvt_key *keys)
{
    *r = (struct kvt_request){.id = id, .arrive_ns = w->now, .session = KVT_NONE, .keys = keys};
    r->prompt_tokens = 1 + (uint32_t)chaos_draw(w, c->block_tokens * 14);
    r->output_tokens = (uint32_t)chaos_draw(w, output_most);
    const uint32_t all = (r->prompt_tokens + r->output_tokens) / c->block_tokens;
    r->n_keys = all < most_keys ? all : most_keys;
    const uint64_t prefix = chaos_draw(w, CHAOS_PREFIXES), shared = 1 + chaos_draw(w, 14);
    for (uint32_t i = 0; i < r->n_keys; i++) {
        const uint64_t whose = i < shared ? prefix : 1000 + id;
        keys[i] = (kvt_key){.hi = kvt_mix64(whose + 77), .lo = kvt_mix64(whose << 16 | i)};
    }
}

/* A core of the same configuration decides the same. */
static inline void chaos_replays(const struct kvt_core_config *c, const struct tape *tape,
                                 const char *digest)
{
    struct failing_alloc memory;
    const struct kvt_alloc *alloc = failing_alloc_init(&memory, 0);
    struct kvt_replay replay;
    int error, status;
    ck_assert_int_eq(kvt_replay_init(&replay, alloc, tape->bytes, tape->n, NULL), 0);
    const struct kvt_port port = kvt_replay_port(&replay);
    struct kvt_core *core = kvt_core_new(c, &port, alloc, &error);
    ck_assert_ptr_nonnull(core);
    while ((status = kvt_replay_step(&replay, core)) > 0)
        ;
    ck_assert_int_eq(status, 0);
    char again[33];
    kvt_core_digest(core, again);
    ck_assert_str_eq(digest, again);
    kvt_core_free(core);
    kvt_replay_release(&replay);
    ck_assert(failing_alloc_clean(&memory));
}

#endif
