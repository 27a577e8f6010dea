/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * chaos_world.h - a world that keeps the port's rules and otherwise does what it likes, for tests
 * of core.
 *
 * Operations complete in random order, with random results: all good, some leading blocks good, or
 * a failure of any kind; any of them is sometimes refused. A repeated step ends after any
 * number of its iterations. Timers fire in order. Time passes in random leaps. The next thing to
 * happen is drawn from a seeded generator, so a failure repeats.
 *
 * It counts what it was asked for, so that a test can tell that every operation ended exactly once.
 */
#ifndef CHAOS_WORLD_H
#define CHAOS_WORLD_H

#include "../core/core.h"
#include "../core/mix.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CHAOS_OPS = 65536, CHAOS_ENGINES = 8 };

struct chaos_op {
    kvt_op_id id;
    bool step;
    uint32_t engine, n_blocks, repeat;
    enum kvt_tier_kind tier;
};

struct chaos_timer {
    kvt_ns at;
    uint64_t timer;
};

struct chaos {
    uint64_t random;
    struct chaos_op *ops; /* under way, unordered */
    uint32_t n_ops;
    struct chaos_timer *timers;
    uint32_t n_timers;
    kvt_ns now;
    uint32_t fail_percent; /* of probes, loads and stores */
    uint64_t issued, refused, completed, reports, finished, rejected, failed;
    uint64_t prompt_tokens, stepped_tokens, iterations;
    bool entered_twice; /* an operation was called while core had not been entered */
    bool inside;
    bool step_of[CHAOS_ENGINES];
    bool two_steps; /* on one engine at one time */
    uint64_t peer_loads;
    const struct kvt_core *core; /* set by who wants pages looked at */
    char bad[200];               /* first thing seen wrong in a report, or in what is asked for */
};

static inline uint64_t chaos_draw(struct chaos *w, uint64_t below)
{
    w->random += UINT64_C(0x9e3779b97f4a7c15);
    return kvt_mix64(w->random) % below;
}

static inline int chaos_keep(struct chaos *w, struct chaos_op op)
{
    w->issued++;
    w->entered_twice |= !w->inside;
    if (w->n_ops == CHAOS_OPS)
        return -EAGAIN;
    w->ops[w->n_ops++] = op;
    return 0;
}

/* A load from a peer is from another engine, and names pages that both have; others are from nobody. */
static inline void chaos_judge_from(struct chaos *w, const struct kvt_transfer *t)
{
    const bool lent = t->from.v != KVT_NONE;
    if ((t->tier == KVT_PEER) != lent || (lent && t->from.v == t->engine.v))
        strcpy(w->bad, "a transfer is from the wrong engine");
    if (t->tier != KVT_PEER)
        return;
    w->peer_loads++;
    for (uint32_t i = 0; w->core && i < t->n_blocks; i++) {
        const struct kvt_block_ref *ref = &t->blocks[i];
        uint32_t page;
        const uint32_t here = kvt_core_pages(w->core, t->engine, ref->page, &page, 1);
        const uint32_t there = kvt_core_pages(w->core, t->from, ref->from_page, &page, 1);
        if (here != there || (there && page != ref->from_page))
            strcpy(w->bad, "a peer's block has no pages");
    }
}

static int chaos_transfer(void *self, const struct kvt_transfer *t)
{
    struct chaos *w = self;
    chaos_judge_from(w, t);
    if (w->fail_percent && chaos_draw(w, 100) < w->fail_percent / 4) {
        w->refused++;
        return -EAGAIN;
    }
    return chaos_keep(w, (struct chaos_op){.id = t->op,
                                           .engine = t->engine.v,
                                           .n_blocks = t->n_blocks,
                                           .tier = t->tier});
}

static int chaos_step(void *self, const struct kvt_step *s)
{
    struct chaos *w = self;
    if (w->fail_percent && chaos_draw(w, 100) < w->fail_percent / 4) {
        w->refused++;
        return -EAGAIN;
    }
    w->two_steps |= w->step_of[s->engine.v];
    w->step_of[s->engine.v] = true;
    for (uint32_t i = 0; i < s->n_chunks; i++)
        w->stepped_tokens += s->chunks[i].new_tokens;
    return chaos_keep(w, (struct chaos_op){.id = s->op,
                                           .step = true,
                                           .engine = s->engine.v,
                                           .repeat = s->repeat});
}

static void chaos_interrupt(void *self, kvt_engine_id engine)
{
    struct chaos *w = self;
    for (uint32_t i = 0; i < w->n_ops; i++)
        if (w->ops[i].step && w->ops[i].engine == engine.v)
            w->ops[i].repeat = 1 + (uint32_t)chaos_draw(w, w->ops[i].repeat);
}

static void chaos_arm(void *self, uint64_t timer, kvt_ns at)
{
    struct chaos *w = self;
    uint32_t i = w->n_timers < CHAOS_OPS ? w->n_timers++ : CHAOS_OPS - 1;
    for (; i && w->timers[i - 1].at > at; i--)
        w->timers[i] = w->timers[i - 1];
    w->timers[i] = (struct chaos_timer){at, timer};
}

static inline void chaos_judge(struct chaos *w, const struct kvt_report *r)
{
    uint64_t ledger = 0, spans = 0;
    for (int c = 0; c < KVT_LEDGER; c++)
        ledger += r->ledger_tokens[c];
    for (int s = 0; s < KVT_SPANS; s++)
        spans += r->span_ns[s];
    if (w->bad[0] || r->outcome != KVT_FINISHED)
        return;
    if (ledger != r->prompt_tokens)
        strcpy(w->bad, "(C2) ledger does not sum to the prompt");
    else if (spans != r->first_token_ns - r->arrive_ns)
        strcpy(w->bad, "(C3) spans do not sum to TTFT");
    else if (r->first_token_ns < r->start_ns || r->finish_ns < r->first_token_ns)
        strcpy(w->bad, "times out of order");
}

static void chaos_note(void *self, const struct kvt_note *n)
{
    struct chaos *w = self;
    if (n->kind == KVT_NOTE_STEP) {
        w->iterations += n->iterations;
        return;
    }
    w->reports++;
    w->finished += n->report->outcome == KVT_FINISHED;
    w->rejected += n->report->outcome == KVT_REJECTED;
    w->failed += n->report->outcome == KVT_FAILED;
    chaos_judge(w, n->report);
}

static inline struct kvt_port chaos_port(struct chaos *w)
{
    static const struct kvt_port_ops ops = {.name = "chaos",
                                            .probe = chaos_transfer,
                                            .load = chaos_transfer,
                                            .store = chaos_transfer,
                                            .drop = chaos_transfer,
                                            .step = chaos_step,
                                            .interrupt = chaos_interrupt,
                                            .arm = chaos_arm,
                                            .note = chaos_note};
    return (struct kvt_port){&ops, w};
}

static inline void chaos_init(struct chaos *w, uint64_t seed, uint32_t fail_percent)
{
    memset(w, 0, sizeof *w);
    w->random = seed;
    w->fail_percent = fail_percent;
    w->ops = malloc(CHAOS_OPS * sizeof *w->ops);
    w->timers = malloc(CHAOS_OPS * sizeof *w->timers);
    if (!w->ops || !w->timers)
        abort();
}

static inline void chaos_release(struct chaos *w)
{
    free(w->ops);
    free(w->timers);
}

/* Completes one operation, chosen at random. */
static inline void chaos_complete(struct chaos *w, struct kvt_core *core)
{
    const uint32_t i = (uint32_t)chaos_draw(w, w->n_ops);
    const struct chaos_op op = w->ops[i];
    w->ops[i] = w->ops[--w->n_ops];
    struct kvt_done done = {.op = op.id, .status = KVT_OK, .blocks_ok = op.n_blocks};
    if (op.step) {
        done.iterations = op.repeat;
        w->step_of[op.engine] = false;
    } else if (chaos_draw(w, 100) < w->fail_percent) {
        done.status = (enum kvt_status)(1 + chaos_draw(w, KVT_STATUSES - 1));
        done.blocks_ok = (uint32_t)chaos_draw(w, op.n_blocks);
    }
    w->completed++;
    kvt_core_done(core, w->now, &done);
}

/* One thing happens. False when nothing can: no operation under way and no timer. */
static inline bool chaos_happen(struct chaos *w, struct kvt_core *core)
{
    if (!w->n_ops && !w->n_timers)
        return false;
    w->now += chaos_draw(w, 2 * KVT_MILLISECOND);
    w->inside = true;
    const bool due = w->n_timers && w->timers[0].at <= w->now;
    if (due || !w->n_ops) {
        const struct chaos_timer t = w->timers[0];
        memmove(w->timers, w->timers + 1, --w->n_timers * sizeof *w->timers);
        if (t.at > w->now)
            w->now = t.at;
        kvt_core_timer(core, w->now, t.timer);
    } else {
        chaos_complete(w, core);
    }
    w->inside = false;
    return true;
}

#endif
