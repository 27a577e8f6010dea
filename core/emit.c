/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * emit.c - operations on their way out, and the digest of all that was decided.
 *
 * Every operation, accepted or not, is first written into the digest: its kind, where it goes, what
 * it names. Two runs with the same digest took the same decisions in the same order; times do not
 * enter, except where core decided on one (timers).
 *
 * Copies that leave a host, disk or core-managed redis place are collected and go out as one drop,
 * before anything is stored to that place again: the world frees first, then fills.
 */
#include "internal.h"

#include <string.h>

static void digest_words(struct kvt_core *core, const uint64_t *words, size_t n)
{
    XXH3_128bits_update(&core->digest, words, n * sizeof *words);
    core->stats.ops_issued++;
}

uint32_t kvt_op_new(struct kvt_core *core, enum op_kind kind, uint32_t n)
{
    const uint32_t o = kvt_pool_take(&core->ops);
    if (o == KVT_NONE)
        return KVT_NONE;
    struct op *op = op_at(core, o);
    memset(op, 0, sizeof *op);
    op->kind = kind;
    op->live = true;
    op->req = KVT_NONE;
    op->engine = KVT_NONE;
    op->from = KVT_NONE;
    op->far = KVT_NONE;
    op->begin_ns = core->now;
    op->n = n;
    if (n) {
        op->index = kvt_slab_take(&core->slab, n);
        op->gpu = kvt_slab_take(&core->slab, n);
        op->lower = kvt_slab_take(&core->slab, n);
        if (core->future)
            op->next = (void *)kvt_slab_take(&core->slab, 2 * n);
        if (!op->index || !op->gpu || !op->lower || (core->future && !op->next)) {
            kvt_op_free(core, o);
            return KVT_NONE;
        }
    }
    return o;
}

void kvt_op_free(struct kvt_core *core, uint32_t o)
{
    struct op *op = op_at(core, o);
    op->live = false;
    if (op->parts)
        kvt_sharded_op_end(core, op);
    kvt_slab_give(&core->slab, op->index, op->n);
    kvt_slab_give(&core->slab, op->gpu, op->n);
    kvt_slab_give(&core->slab, op->lower, op->n);
    kvt_slab_give(&core->slab, (void *)op->next, 2 * op->n);
    kvt_pool_give(&core->ops, o);
}

/* A refusal is something that core learns from outside, hence an input (tap.h). */
static bool accepted(const struct kvt_core *core, uint32_t o, int error)
{
    if (error && core->tap && core->tap->refused)
        core->tap->refused(core->tap->self, core->now, (kvt_op_id){o}, error);
    return error == 0;
}

bool kvt_emit_transfer(struct kvt_core *core, uint32_t o, const struct kvt_block_ref *refs,
                       uint32_t n, kvt_ns ttl_ns)
{
    const struct op *op = op_at(core, o);
    struct kvt_transfer t = {.op = {o},
                             .engine = {op->engine},
                             .tier = op->tier,
                             .from = {op->from},
                             .n_blocks = n,
                             .blocks = refs,
                             .ttl_ns = ttl_ns};
    for (uint32_t i = 0; i < n; i++)
        t.tokens += refs[i].tokens;
    t.gpu_parts = kvt_sharded_parts(core, op_at(core, o), refs, n);
    if (op->kind == OP_MOVE)
        (core->resize ? kvt_resize_moves : kvt_recopy_moves)(core, op, &t);
    digest_words(core,
                 (const uint64_t[]){(uint64_t)op->kind, (uint64_t)op->tier, op->engine, n,
                                    t.tokens},
                 5);
    for (uint32_t i = 0; i < n; i++)
        XXH3_128bits_update(&core->digest, &refs[i].key, sizeof refs[i].key);
    if (op->from != KVT_NONE)
        XXH3_128bits_update(&core->digest, &op->from, sizeof op->from);
    for (uint32_t i = 0; core->config.regions.n > 1 && i < n; i++)
        XXH3_128bits_update(&core->digest, &refs[i].region, sizeof refs[i].region);
    for (uint32_t i = 0; i < t.n_moves; i++)
        XXH3_128bits_update(&core->digest,
                            (const uint64_t[]){t.moves[i].from, t.moves[i].to, t.moves[i].parts},
                            24);
    const struct kvt_port_ops *ops = core->port.ops;
    int (*const call)(void *, const struct kvt_transfer *) = op->kind == OP_PROBE  ? ops->probe
                                                             : op->kind == OP_LOAD ? ops->load
                                                             : op->kind == OP_DROP ? ops->drop
                                                                                   : ops->store;
    return accepted(core, o, call(core->port.self, &t));
}

bool kvt_emit_step(struct kvt_core *core, uint32_t o, struct kvt_step *step)
{
    step->op.v = o;
    digest_words(core,
                 (const uint64_t[]){OP_STEP, step->engine.v, step->repeat, step->n_chunks,
                                    step->n_decode, step->n_window_growing, step->decode_tokens,
                                    step->window_tokens},
                 8);
    XXH3_128bits_update(&core->digest, step->chunks, step->n_chunks * sizeof *step->chunks);
    for (uint32_t i = 0; i < step->n_copies; i++)
        XXH3_128bits_update(&core->digest,
                            (const uint64_t[]){step->copies[i].from.hi, step->copies[i].from.lo,
                                               step->copies[i].tokens},
                            3 * sizeof(uint64_t));
    if (core->room.books)
        XXH3_128bits_update(&core->digest, &step->decode_skew_tokens,
                            sizeof step->decode_skew_tokens);
    return accepted(core, o, core->port.ops->step(core->port.self, step));
}

void kvt_emit_interrupt(struct kvt_core *core, uint32_t engine)
{
    digest_words(core, (const uint64_t[]){100, engine}, 2);
    core->port.ops->interrupt(core->port.self, (kvt_engine_id){engine});
}

void kvt_emit_arm(struct kvt_core *core, uint64_t timer, kvt_ns at)
{
    digest_words(core, (const uint64_t[]){101, timer, at}, 3);
    core->port.ops->arm(core->port.self, timer, at);
}

void kvt_flush_gone(struct kvt_core *core)
{
    const uint32_t n = core->gone.n;
    if (!n)
        return;
    core->gone.n = 0;
    const uint32_t o = kvt_op_new(core, OP_DROP, 0);
    if (o == KVT_NONE)
        return; /* the world keeps bytes that nobody will ask for; they age out there */
    const struct kvt_place *place = &core->room.places[core->gone.place];
    struct op *op = op_at(core, o);
    op->tier = place->tier;
    op->engine = place->engine.v;
    core->stats.dropped_blocks[place->tier] += n;
    if (!kvt_emit_transfer(core, o, core->gone.refs, n, 0))
        kvt_op_free(core, o);
}

void kvt_emit_gone(void *self, uint32_t place, uint32_t block, kvt_key key)
{
    struct kvt_core *core = self;
    if (core->gone.n == GONE_ROOM || (core->gone.n && core->gone.place != place))
        kvt_flush_gone(core);
    core->gone.place = place;
    core->gone.refs[core->gone.n++] =
        (struct kvt_block_ref){.key = key,
                               .block = {block},
                               .tokens = core->config.block_tokens,
                               .page = KVT_NONE,
                               .region = kvt_region_of_place(core, place)};
}
