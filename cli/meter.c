/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * meter.c - see meter.h.
 *
 * Operation ids are dense and used again, so what is under way stands in an array by id: an
 * operation is written there when it is issued, and becomes a sample when its completion passes
 * the tap. Keys go to the common list at once, where they stay; those of a refused operation are
 * taken back, for it was the last to be added.
 *
 * The tap hears an input before core acts on it. So `now`, the time of the latest input, is the
 * time at which whatever core then asks for is issued; unless the world has a clock, for then core's own
 * work counts as time, and is no part of the operation.
 *
 * A completion of an operation that the meter never saw begin (memory was short, or the meter
 * came late) has no sample.
 */
#include "meter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct meter_op {
    bool under_way;
    enum meter_kind kind;
    enum kvt_tier_kind tier;
    kvt_engine_id engine;
    uint32_t blocks; /* step: repeat */
    uint64_t tokens; /* step: prefill */
    uint32_t decoding;
    kvt_ns issue_ns;
    uint64_t first_key;
};

const char *meter_kind_name(enum meter_kind kind)
{
    static const char *const names[METER_KINDS] = {"probe", "load", "store", "drop", "step"};
    return names[kind];
}

/* Room for `more` elements behind n. Returns where the list is now, or NULL and m->error. New elements are zero. */
static void *grow(struct meter *m, void *list, size_t n, size_t more, size_t *room, size_t each_b)
{
    if (m->error)
        return NULL;
    if (n + more <= *room)
        return list;
    size_t want = 2 * *room < n + more ? n + more + 256 : 2 * *room;
    void *grown = realloc(list, want * each_b);
    if (!grown) {
        m->error = -ENOMEM;
        return NULL;
    }
    memset((char *)grown + *room * each_b, 0, (want - *room) * each_b);
    *room = want;
    return grown;
}

/* The slot of an operation that is issued now, or NULL without memory. */
static struct meter_op *begin(struct meter *m, kvt_op_id op)
{
    struct meter_op *ops = grow(m, m->under_way, op.v, 1, &m->room_ops, sizeof *m->under_way);
    if (!ops)
        return NULL;
    m->under_way = ops;
    return &ops[op.v];
}

/* A world with a clock says when core has come to ask; else that is when the input came in. */
static kvt_ns issue_time(const struct meter *m)
{
    const kvt_ns at = m->clock ? m->clock(m->clock_self) : m->now;
    return at > m->now ? at : m->now;
}

static void begin_transfer(struct meter *m, enum meter_kind kind, const struct kvt_transfer *t)
{
    kvt_key *keys = grow(m, m->keys, m->n_keys, t->n_blocks, &m->room_keys, sizeof *m->keys);
    if (keys)
        m->keys = keys;
    struct meter_op *op = begin(m, t->op);
    if (!op)
        return;
    *op = (struct meter_op){.under_way = true,
                            .kind = kind,
                            .tier = t->tier,
                            .engine = t->engine,
                            .blocks = t->n_blocks,
                            .tokens = t->tokens,
                            .issue_ns = issue_time(m),
                            .first_key = m->n_keys};
    for (uint32_t i = 0; i < t->n_blocks; i++)
        m->keys[m->n_keys++] = t->blocks[i].key;
}

static void begin_step(struct meter *m, const struct kvt_step *s)
{
    struct meter_op *op = begin(m, s->op);
    if (!op)
        return;
    *op = (struct meter_op){.under_way = true,
                            .kind = METER_STEP,
                            .tier = KVT_GPU,
                            .engine = s->engine,
                            .blocks = s->repeat,
                            .decoding = s->n_decode,
                            .issue_ns = issue_time(m),
                            .first_key = m->n_keys};
    for (uint32_t i = 0; i < s->n_chunks; i++)
        op->tokens += s->chunks[i].new_tokens;
}

/* The world's answer to the operation that was begun last. */
static int answered(struct meter *m, enum meter_kind kind, kvt_op_id id, int answer)
{
    if (answer == 0)
        return 0;
    m->refused[kind]++;
    if (id.v < m->room_ops && m->under_way[id.v].under_way) {
        m->n_keys = m->under_way[id.v].first_key;
        m->under_way[id.v].under_way = false;
    }
    return answer;
}

/* ---- The port. ---- */

static int meter_probe(void *self, const struct kvt_transfer *t)
{
    struct meter *m = self;
    begin_transfer(m, METER_PROBE, t);
    return answered(m, METER_PROBE, t->op, m->inner.ops->probe(m->inner.self, t));
}

static int meter_load(void *self, const struct kvt_transfer *t)
{
    struct meter *m = self;
    begin_transfer(m, METER_LOAD, t);
    return answered(m, METER_LOAD, t->op, m->inner.ops->load(m->inner.self, t));
}

static int meter_store(void *self, const struct kvt_transfer *t)
{
    struct meter *m = self;
    begin_transfer(m, METER_STORE, t);
    return answered(m, METER_STORE, t->op, m->inner.ops->store(m->inner.self, t));
}

static int meter_drop(void *self, const struct kvt_transfer *t)
{
    struct meter *m = self;
    begin_transfer(m, METER_DROP, t);
    return answered(m, METER_DROP, t->op, m->inner.ops->drop(m->inner.self, t));
}

static int meter_step(void *self, const struct kvt_step *s)
{
    struct meter *m = self;
    begin_step(m, s);
    return answered(m, METER_STEP, s->op, m->inner.ops->step(m->inner.self, s));
}

static void meter_interrupt(void *self, kvt_engine_id engine)
{
    struct meter *m = self;
    m->inner.ops->interrupt(m->inner.self, engine);
}

static void meter_arm(void *self, uint64_t timer, kvt_ns at)
{
    struct meter *m = self;
    m->inner.ops->arm(m->inner.self, timer, at);
}

static void meter_note(void *self, const struct kvt_note *note)
{
    struct meter *m = self;
    if (note->kind == KVT_NOTE_REPORT) {
        struct kvt_report *reports =
            grow(m, m->reports, m->n_reports, 1, &m->room_reports, sizeof *m->reports);
        if (reports) {
            m->reports = reports;
            m->reports[m->n_reports++] = *note->report;
        }
    }
    if (m->inner.ops->note)
        m->inner.ops->note(m->inner.self, note);
}

static void meter_freed(void *self, kvt_engine_id engine, uint32_t page)
{
    struct meter *m = self;
    m->inner.ops->freed(m->inner.self, engine, page);
}

struct kvt_port meter_port(struct meter *m, const struct kvt_port *inner)
{
    m->inner = *inner;
    m->ops = (struct kvt_port_ops){.name = inner->ops->name,
                                   .probe = meter_probe,
                                   .load = meter_load,
                                   .store = meter_store,
                                   .drop = meter_drop,
                                   .step = meter_step,
                                   .interrupt = meter_interrupt,
                                   .arm = meter_arm,
                                   .note = meter_note,
                                   .freed = inner->ops->freed ? meter_freed : NULL};
    return (struct kvt_port){&m->ops, m};
}

/* ---- The tap. ---- */

static void tap_request(void *self, kvt_ns now, const struct kvt_request *request)
{
    struct meter *m = self;
    m->now = now;
    if (m->next)
        m->next->request(m->next->self, now, request);
}

static void take_sample(struct meter *m, const struct kvt_done *done)
{
    if (done->op.v >= m->room_ops || !m->under_way[done->op.v].under_way)
        return;
    struct meter_op *op = &m->under_way[done->op.v];
    op->under_way = false;
    struct meter_sample *samples =
        grow(m, m->samples, m->n_samples, 1, &m->room_samples, sizeof *m->samples);
    if (!samples)
        return;
    m->samples = samples;
    struct meter_sample *s = &samples[m->n_samples++];
    bool step = op->kind == METER_STEP;
    *s = (struct meter_sample){.kind = op->kind,
                               .tier = op->tier,
                               .engine = op->engine,
                               .status = done->status,
                               .blocks = op->blocks,
                               .blocks_ok = step ? done->iterations : done->blocks_ok,
                               .tokens = op->tokens,
                               .bytes = done->bytes,
                               .issue_ns = op->issue_ns,
                               .end_ns = m->now,
                               .first_key = op->first_key};
    if (step)
        s->tokens += (uint64_t)op->decoding * done->iterations;
    memcpy(s->span_ns, done->span_ns, sizeof s->span_ns);
}

static void tap_done(void *self, kvt_ns now, const struct kvt_done *done)
{
    struct meter *m = self;
    m->now = now;
    take_sample(m, done);
    if (m->next)
        m->next->done(m->next->self, now, done);
}

static void tap_timer(void *self, kvt_ns now, uint64_t timer)
{
    struct meter *m = self;
    m->now = now;
    if (m->next)
        m->next->timer(m->next->self, now, timer);
}

static void tap_gpu_lost(void *self, kvt_ns now, kvt_engine_id engine, uint32_t gpu)
{
    struct meter *m = self;
    m->now = now;
    if (m->next && m->next->gpu_lost)
        m->next->gpu_lost(m->next->self, now, engine, gpu);
}

static void tap_lost(void *self, kvt_ns now, enum kvt_tier_kind tier, kvt_engine_id engine,
                     uint32_t part, uint32_t parts)
{
    struct meter *m = self;
    m->now = now;
    if (m->next && m->next->lost)
        m->next->lost(m->next->self, now, tier, engine, part, parts);
}

static void tap_discard(void *self, kvt_ns now, const kvt_key *keys, size_t n)
{
    struct meter *m = self;
    m->now = now;
    if (m->next && m->next->discard)
        m->next->discard(m->next->self, now, keys, n);
}

static void tap_resize(void *self, kvt_ns now)
{
    struct meter *m = self;
    m->now = now;
    if (m->next && m->next->resize)
        m->next->resize(m->next->self, now);
}

static void tap_updown(void *self, kvt_ns now, bool up, enum kvt_tier_kind tier,
                       kvt_engine_id engine)
{
    struct meter *m = self;
    m->now = now;
    if (m->next)
        m->next->updown(m->next->self, now, up, tier, engine);
}

static void tap_refused(void *self, kvt_ns now, kvt_op_id op, int error)
{
    struct meter *m = self;
    if (m->next && m->next->refused)
        m->next->refused(m->next->self, now, op, error);
}

const struct kvt_tap *meter_tap(struct meter *m, const struct kvt_tap *next)
{
    m->next = next;
    m->tap = (struct kvt_tap){.request = tap_request,
                              .done = tap_done,
                              .timer = tap_timer,
                              .updown = tap_updown,
                              .gpu_lost = tap_gpu_lost,
                              .lost = tap_lost,
                              .discard = tap_discard,
                              .resize = tap_resize,
                              .refused = tap_refused,
                              .self = m};
    return &m->tap;
}

void meter_clock(struct meter *m, kvt_ns (*clock)(void *self), void *self)
{
    m->clock = clock;
    m->clock_self = self;
}

void meter_end(struct meter *m, const struct kvt_core_stats *stats,
               const struct kvt_core_gauges *gauges, const char *digest)
{
    m->stats = *stats;
    m->gauges = *gauges;
    memcpy(m->digest, digest, sizeof m->digest);
    m->ended = true;
}

void meter_release(struct meter *m)
{
    free(m->samples);
    free(m->keys);
    free(m->reports);
    free(m->under_way);
    *m = (struct meter){0};
}
