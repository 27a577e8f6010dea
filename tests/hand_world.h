/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * hand_world.h - a world worked by hand: every operation is kept as it came, and ends when the test
 * says so.
 *
 * For tests that tell a story about core: this arrives, that was asked for, it ends so, and then.
 */
#ifndef HAND_WORLD_H
#define HAND_WORLD_H

#include "../core/core.h"
#include "kvt_test.h"
#include "failing_alloc.h"

#include <errno.h>
#include <string.h>

enum hand_kind { HAND_PROBE, HAND_LOAD, HAND_STORE, HAND_DROP, HAND_STEP };
enum { HAND_OPS = 256, HAND_CHUNKS = 8 };

struct hand_op {
    enum hand_kind kind;
    kvt_op_id id;
    bool open;
    uint32_t engine, n_blocks, repeat, n_chunks, n_decode;
    enum kvt_tier_kind tier;
    uint32_t from; /* peer: whose GPU is read; else KVT_NONE */
    struct kvt_chunk chunks[HAND_CHUNKS];
    uint32_t n_copies;
    struct kvt_step_copy copies[HAND_CHUNKS];
    uint64_t decode_tokens, window_tokens;
    kvt_key first_key;
    kvt_ns ttl_ns;
    uint32_t first_page;
};

struct hand {
    struct hand_op ops[HAND_OPS];
    uint32_t n;
    struct kvt_report reports[HAND_OPS];
    uint32_t n_reports, interrupts;
    uint64_t timers[HAND_OPS];
    kvt_ns timer_at[HAND_OPS];
    uint32_t n_timers;
    uint32_t refuse_steps; /* so many from now on */
    struct failing_alloc memory;
    struct kvt_core *core;
    kvt_ns now;
};

static inline int hand_transfer(struct hand *w, enum hand_kind kind, const struct kvt_transfer *t)
{
    ck_assert_uint_lt(w->n, HAND_OPS);
    w->ops[w->n++] = (struct hand_op){.kind = kind,
                                      .id = t->op,
                                      .open = true,
                                      .engine = t->engine.v,
                                      .n_blocks = t->n_blocks,
                                      .tier = t->tier,
                                      .from = t->from.v,
                                      .first_key = t->blocks[0].key,
                                      .ttl_ns = t->ttl_ns,
                                      .first_page = t->blocks[0].page};
    return 0;
}

static int hand_probe(void *self, const struct kvt_transfer *t)
{
    return hand_transfer(self, HAND_PROBE, t);
}
static int hand_load(void *self, const struct kvt_transfer *t)
{
    return hand_transfer(self, HAND_LOAD, t);
}
static int hand_store(void *self, const struct kvt_transfer *t)
{
    return hand_transfer(self, HAND_STORE, t);
}
static int hand_drop(void *self, const struct kvt_transfer *t)
{
    return hand_transfer(self, HAND_DROP, t);
}

static int hand_step(void *self, const struct kvt_step *s)
{
    struct hand *w = self;
    struct hand_op op = {.kind = HAND_STEP,
                         .id = s->op,
                         .open = true,
                         .engine = s->engine.v,
                         .repeat = s->repeat,
                         .n_chunks = s->n_chunks,
                         .n_copies = s->n_copies,
                         .n_decode = s->n_decode,
                         .decode_tokens = s->decode_tokens,
                         .window_tokens = s->window_tokens};
    if (w->refuse_steps) {
        w->refuse_steps--;
        return -EAGAIN;
    }
    ck_assert(w->n < HAND_OPS && s->n_chunks <= HAND_CHUNKS);
    memcpy(op.chunks, s->chunks, s->n_chunks * sizeof *s->chunks);
    ck_assert_uint_le(s->n_copies, s->n_chunks);
    if (s->n_copies)
        memcpy(op.copies, s->copies, s->n_copies * sizeof *s->copies);
    w->ops[w->n++] = op;
    return 0;
}

static void hand_interrupt(void *self, kvt_engine_id engine)
{
    struct hand *w = self;
    (void)engine;
    w->interrupts++;
}

static void hand_arm(void *self, uint64_t timer, kvt_ns at)
{
    struct hand *w = self;
    w->timers[w->n_timers] = timer;
    w->timer_at[w->n_timers++] = at;
}

static void hand_note(void *self, const struct kvt_note *n)
{
    struct hand *w = self;
    if (n->kind == KVT_NOTE_REPORT)
        w->reports[w->n_reports++] = *n->report;
}

static inline void hand_open(struct hand *w, const struct kvt_core_config *config)
{
    static const struct kvt_port_ops ops = {.name = "hand",
                                            .probe = hand_probe,
                                            .load = hand_load,
                                            .store = hand_store,
                                            .drop = hand_drop,
                                            .step = hand_step,
                                            .interrupt = hand_interrupt,
                                            .arm = hand_arm,
                                            .note = hand_note};
    memset(w, 0, sizeof *w);
    const struct kvt_alloc *alloc = failing_alloc_init(&w->memory, 0);
    const struct kvt_port port = {&ops, w};
    int error;
    ck_assert_msg(!kvt_core_config_check(config), "%s", kvt_core_config_check(config));
    w->core = kvt_core_new(config, &port, alloc, &error);
    ck_assert_ptr_nonnull(w->core);
}

static inline void hand_check(struct hand *w)
{
    char why[200] = "";
    ck_assert_msg(kvt_core_check(w->core, why, sizeof why), "%s", why);
}

static inline void hand_close(struct hand *w)
{
    hand_check(w);
    kvt_core_free(w->core);
    ck_assert(failing_alloc_clean(&w->memory));
}

/* A prompt of `prompt` tokens whose blocks are called name, name + 1, ...; keys for its full
 * blocks and those of the output. */
static inline void hand_request(struct hand *w, uint64_t name, uint32_t prompt, uint32_t output,
                                uint32_t block_tokens)
{
    static uint64_t id;
    kvt_key keys[64];
    const uint32_t n = (prompt + output) / block_tokens;
    for (uint32_t i = 0; i < n; i++)
        keys[i] = (kvt_key){.hi = 1, .lo = name + i};
    const struct kvt_request r = {.id = id++,
                                  .arrive_ns = w->now,
                                  .session = KVT_NONE,
                                  .prompt_tokens = prompt,
                                  .output_tokens = output,
                                  .n_keys = n,
                                  .keys = keys};
    ck_assert_int_eq(kvt_core_request(w->core, w->now, &r), 0);
    hand_check(w);
}

/* The oldest open operation of that kind, NULL when there is none. */
static inline struct hand_op *hand_find(struct hand *w, enum hand_kind kind)
{
    for (uint32_t i = 0; i < w->n; i++)
        if (w->ops[i].open && w->ops[i].kind == kind)
            return &w->ops[i];
    return NULL;
}

/* Ends it, `blocks` leading blocks good or `blocks` iterations run. */
static inline void hand_end(struct hand *w, struct hand_op *op, enum kvt_status status,
                            uint32_t blocks)
{
    ck_assert(op && op->open);
    op->open = false;
    w->now += KVT_MILLISECOND;
    const struct kvt_done done = {.op = op->id,
                                  .status = status,
                                  .blocks_ok = op->kind == HAND_STEP ? 0 : blocks,
                                  .iterations = op->kind == HAND_STEP ? blocks : 0};
    kvt_core_done(w->core, w->now, &done);
    hand_check(w);
}

/* Ends whatever is open, oldest first and well, until nothing is. */
static inline void hand_drain(struct hand *w)
{
    for (uint32_t i = 0; i < w->n; i++)
        if (w->ops[i].open)
            hand_end(w, &w->ops[i], KVT_OK,
                     w->ops[i].kind == HAND_STEP ? w->ops[i].repeat : w->ops[i].n_blocks);
}

static inline const struct kvt_report *hand_last(const struct hand *w)
{
    ck_assert_uint_gt(w->n_reports, 0);
    return &w->reports[w->n_reports - 1];
}

#endif
