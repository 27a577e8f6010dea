/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * world_piece.c - transfers on one machine with workers: piece by piece, as the real world moves them.
 *
 *      load    host     [ upload ]                                       [ ] one chore of a worker
 *              peer     [ pages to pages ]: one memory, no network
 *              redis    ask -> (value) -> reply -> [ decode, upload ]      ( ) the loop with a server, one at a time
 *              disk     [ read, decode, upload ]
 *      store   host     [ download ]
 *              redis    [ download, encode ] -> (value) -> reply
 *              disk     [ download, encode, write ]
 *      step             [ fill ] for each megabyte of its prompts' KV
 *
 * Here nothing overlaps but what is in different hands: a worker does one piece at a time, the loop and a server move
 * one value, both of them at work on it, and all threads share the machine's cores (crew.h). Questions go before
 * values. A load asks for no more values of a node than config.machine.values at a time. A step ends when its time is over and its pages are filled.
 *
 * Each operation draws how its stages compare with the usual (vary.h), once for all of its pieces: what makes a
 * stage slow, say a processor that another guest of the machine has, lasts longer than one piece.
 *
 * Spans are the real world's: a stage's last piece extends the end, or costs nothing. With work that shares the
 * cores the parts of one chore keep their length, and what sharing adds is the first part's: chores are shorter than a
 * slice of the kernel's, so they wait for a processor and then run undisturbed (traced, BENCHMARKS.md).
 *
 * Not modelled: pages of decoded tokens (a step writes 1/16 of a page per iteration), how operations of one
 * tier take turns, the loop's own work.
 */
#include "world_impl.h"

#include <assert.h>
#include <errno.h>
#include <math.h>

/* What a chore fills at most. */
static const double fill_b = 1 << 20;

static struct op *op_at(const struct sim_world *w, uint32_t o)
{
    return kvt_pool_at(&w->ops, o);
}

static struct piece *piece_at(const struct sim_world *w, uint32_t p)
{
    return kvt_pool_at(&w->pieces, p);
}

/* The piece's operation, NULL when that has ended before its pieces: then the piece is gone, too. */
static struct op *op_of(struct sim_world *w, uint32_t p)
{
    const struct piece *piece = piece_at(w, p);
    struct op *op = op_at(w, piece->op);
    if (op->state == OP_MOVING && op->generation == piece->generation)
        return op;
    kvt_pool_give(&w->pieces, p);
    return NULL;
}

static void check(struct sim_world *w, int rc)
{
    if (rc < 0 && !w->broken)
        w->broken = rc;
}

/* ---- How long -------------------------------------------------------------------------------------- */

static kvt_ns scaled(double ns, double ratio)
{
    return (kvt_ns)ceil(ns * ratio);
}

void sim_piece_draw(struct sim_world *w, struct op *op)
{
    const bool up = op->kind == OP_LOAD;
    enum sim_varied kind = SIM_VARY_PROBE;
    if (op->kind == OP_LOAD || op->kind == OP_STORE) {
        if (op->tier == KVT_HOST || op->tier == KVT_PEER)
            return;
        kind = op->tier == KVT_REDIS ? (up ? SIM_VARY_GET : SIM_VARY_SET)
                                     : (up ? SIM_VARY_READ : SIM_VARY_WRITE);
    }
    if (kind != SIM_VARY_PROBE && op->pieces >= SIM_MANY)
        kind = (enum sim_varied)(kind - SIM_VARY_GET + SIM_VARY_GET_MANY);
    op->medium_ratio = sim_vary_next(&w->vary[kind]);
}

kvt_ns sim_piece_travel_ns(const struct op *op, kvt_ns half_ns)
{
    return op->medium_ratio == 1 ? half_ns : scaled((double)half_ns, op->medium_ratio);
}

static kvt_ns half_there(const struct sim_world *w, const struct op *op)
{
    return sim_piece_travel_ns(op, w->config.network.rtt_ns / 2);
}

static kvt_ns half_back(const struct sim_world *w, const struct op *op)
{
    return sim_piece_travel_ns(op, w->config.network.rtt_ns - w->config.network.rtt_ns / 2);
}

/* The work of one piece, stage by stage. */
static void measure(struct sim_world *w, struct op *op)
{
    const struct sim_config *c = &w->config;
    const struct sim_codec *codec = &c->codec[op->tier];
    const bool up = op->kind == OP_LOAD;
    const double raw_b = (double)op->raw_b / (double)op->pieces;
    const double stored_b = (double)op->stored_b / (double)op->pieces;
    const double write_bps =
        c->redis.process_write_bps > 0 ? c->redis.process_write_bps : c->redis.process_bps;
    double medium_ns = 0;
    op->copy_ns = scaled((double)c->host.copy_latency_ns +
                             raw_b * 1e9 / (up ? c->host.h2d_bps : c->host.d2h_bps),
                         sim_vary_next(&w->vary[up ? SIM_VARY_UPLOAD : SIM_VARY_DOWNLOAD]));
    op->code_ns = 0;
    if (codec->present && op->tier != KVT_HOST)
        op->code_ns = scaled(raw_b * 1e9 / (up ? codec->decode_bps : codec->encode_bps),
                             sim_vary_next(&w->vary[up ? SIM_VARY_DECODE : SIM_VARY_ENCODE]));
    if (op->tier == KVT_REDIS)
        medium_ns =
            (double)c->redis.command_ns + stored_b * 1e9 / (up ? c->redis.process_bps : write_bps);
    if (op->tier == KVT_DISK)
        medium_ns = (double)(up ? c->disk.read_latency_ns : c->disk.write_latency_ns) +
                    stored_b * 1e9 / (up ? c->disk.read_bps : c->disk.write_bps);
    op->medium_work_ns = scaled(medium_ns, op->medium_ratio);
    op->server_ns = 0;
    if (op->tier == KVT_REDIS)
        op->server_ns =
            scaled((double)op->medium_work_ns, up ? c->machine.get_share : c->machine.set_share);
}

/* ---- Redis: one value at a time -------------------------------------------------------------------- */

enum { QUESTIONS, VALUES };

static void on_value(void *self, uint64_t p, kvt_ns now);

/* The loop takes what waits: questions before values. */
static void serve(struct sim_world *w)
{
    for (int k = QUESTIONS; k <= VALUES && !w->serving;) {
        const uint32_t p = w->first[k];
        if (p == KVT_NONE) {
            k++;
            continue;
        }
        w->first[k] = piece_at(w, p)->next;
        if (w->first[k] == KVT_NONE)
            w->last[k] = KVT_NONE;
        if (!op_of(w, p))
            continue;
        struct piece *piece = piece_at(w, p);
        w->serving = true;
        piece->threads = piece->server_ns > 0 ? 2 : 1;
        check(w, sim_crew_use(&w->crew, w->now, piece->value_ns, on_value, w, p));
        if (piece->server_ns > 0)
            check(w, sim_crew_use(&w->crew, w->now, piece->server_ns, on_value, w, p));
    }
}

static void wait_for_loop(struct sim_world *w, uint32_t p, int k)
{
    piece_at(w, p)->next = KVT_NONE;
    if (w->last[k] == KVT_NONE)
        w->first[k] = p;
    else
        piece_at(w, w->last[k])->next = p;
    w->last[k] = p;
    serve(w);
}

/* The command has come to the server. */
static void on_command(void *self, uint64_t p, kvt_ns now)
{
    (void)now;
    wait_for_loop(self, (uint32_t)p, VALUES);
}

/* ---- Life of a piece ------------------------------------------------------------------------------- */

static void begin_piece(struct sim_world *w, uint32_t o, bool there);

static void through(struct sim_world *w, uint32_t p)
{
    const uint32_t o = piece_at(w, p)->op;
    kvt_pool_give(&w->pieces, p);
    if (--op_at(w, o)->left == 0)
        sim_op_moved(w, o);
}

/* A worker is done with the piece. */
static void on_chore(void *self, uint64_t p, kvt_ns now)
{
    struct sim_world *w = self;
    struct op *op = op_of(w, (uint32_t)p);
    if (!op)
        return;
    const kvt_ns disk_ns = op->tier == KVT_DISK ? op->medium_work_ns : 0;
    if (op->kind == OP_LOAD) {
        op->copy_at = now;
        if (op->tier == KVT_DISK) {
            op->medium_at = now - op->copy_ns - op->code_ns;
            op->code_at = now - op->copy_ns;
        }
        through(w, (uint32_t)p);
        return;
    }
    op->medium_at = now;
    op->code_at = now - disk_ns;
    op->copy_at = now - disk_ns - op->code_ns;
    if (op->tier == KVT_REDIS)
        sim_world_push(w, kvt_ns_add(now, half_there(w, op)), on_command, p);
    else
        through(w, (uint32_t)p);
}

static void on_reply(void *self, uint64_t p, kvt_ns now)
{
    struct sim_world *w = self;
    struct op *op = op_of(w, (uint32_t)p);
    if (!op)
        return;
    op->medium_at = now;
    op->code_at = now + op->code_ns;
    if (op->begun < op->pieces)
        begin_piece(w, piece_at(w, (uint32_t)p)->op, false);
    check(w, sim_crew_ask(&w->crew, now, SIM_URGENT_LOAD, SIM_COPIES, op->code_ns + op->copy_ns,
                          on_chore, w, p));
}

/* Loop or server is done with a value, or a question. */
static void on_value(void *self, uint64_t p, kvt_ns now)
{
    struct sim_world *w = self;
    if (--piece_at(w, (uint32_t)p)->threads > 0)
        return;
    w->serving = false;
    struct op *op = op_of(w, (uint32_t)p);
    if (op && op->kind == OP_LOAD) {
        sim_world_push(w, kvt_ns_add(now, half_back(w, op)), on_reply, p);
    } else if (op && op->kind == OP_STORE) {
        op->medium_at = now;
        through(w, (uint32_t)p);
    } else if (op) {
        const uint32_t o = piece_at(w, (uint32_t)p)->op;
        kvt_pool_give(&w->pieces, (uint32_t)p);
        sim_op_asked(w, o);
    }
    serve(w);
}

static uint32_t new_piece(struct sim_world *w, uint32_t o, kvt_ns value_ns, kvt_ns server_ns)
{
    const uint32_t p = kvt_pool_take(&w->pieces);
    if (p == KVT_NONE)
        check(w, -ENOMEM);
    else
        *piece_at(w, p) = (struct piece){.op = o,
                                         .generation = op_at(w, o)->generation,
                                         .next = KVT_NONE,
                                         .value_ns = value_ns,
                                         .server_ns = server_ns};
    return p;
}

void sim_piece_ask(struct sim_world *w, uint32_t o)
{
    struct op *op = op_at(w, o);
    uint64_t most = 0; /* servers answer at one time */
    for (uint32_t i = 0; i < w->config.redis.nodes; i++)
        most = w->nodes[i].commands > most ? w->nodes[i].commands : most;
    const uint64_t ways =
        most < w->config.network.connections ? most : w->config.network.connections;
    const double work_ns = (double)most * (double)w->config.redis.command_ns +
                           (double)(ways - 1) * (double)w->config.machine.connection_ns;
    const uint32_t p = new_piece(w, o, scaled(work_ns, op->medium_ratio), 0);
    op->state = OP_MOVING;
    if (p != KVT_NONE)
        wait_for_loop(w, p, QUESTIONS);
}

/* there: the command has come to the server already. */
static void begin_piece(struct sim_world *w, uint32_t o, bool there)
{
    struct op *op = op_at(w, o);
    const uint32_t p = new_piece(w, o, op->medium_work_ns, op->server_ns);
    if (p == KVT_NONE)
        return;
    op->begun++;
    if (op->kind == OP_LOAD && op->tier == KVT_REDIS) {
        if (there)
            on_command(w, p, w->now);
        else
            sim_world_push(w, kvt_ns_add(w->now, half_there(w, op)), on_command, p);
        return;
    }
    const kvt_ns disk_ns = op->tier == KVT_DISK ? op->medium_work_ns : 0;
    check(w,
          sim_crew_ask(&w->crew, w->now, op->kind == OP_LOAD ? SIM_URGENT_LOAD : SIM_URGENT_STORE,
                       op->tier == KVT_DISK ? SIM_FILES : SIM_COPIES,
                       op->copy_ns + op->code_ns + disk_ns, on_chore, w, p));
}

void sim_piece_begin(struct sim_world *w, uint32_t o)
{
    struct op *op = op_at(w, o);
    uint64_t most = op->pieces;
    assert(op->pieces > 0);
    measure(w, op);
    op->begun = 0;
    op->left = op->pieces;
    op->medium_at = op->code_at = op->copy_at = w->now;
    if (op->kind == OP_LOAD && op->tier == KVT_REDIS &&
        (uint64_t)w->config.machine.values * w->config.redis.nodes < most)
        most = (uint64_t)w->config.machine.values * w->config.redis.nodes;
    while (op->begun < most && !w->broken)
        begin_piece(w, o, true);
}

/* ---- The end --------------------------------------------------------------------------------------- */

static kvt_ns step_to(kvt_ns *from, kvt_ns to)
{
    const kvt_ns by = to > *from ? to - *from : 0;
    *from += by;
    return by;
}

kvt_ns sim_piece_end(const struct sim_world *w, struct op *op)
{
    kvt_ns at = op->issued_ns, *span = op->done.span_ns;
    if (op->kind == OP_LOAD) {
        span[KVT_SPAN_WIRE] = step_to(&at, op->medium_at);
        span[KVT_SPAN_DECODE] = step_to(&at, op->code_at);
        span[KVT_SPAN_COPY] = step_to(&at, op->copy_at);
    } else {
        span[KVT_SPAN_COPY] = step_to(&at, op->copy_at);
        span[KVT_SPAN_DECODE] = step_to(&at, op->code_at);
        span[KVT_SPAN_WIRE] = step_to(&at, op->medium_at);
    }
    assert(at == w->now);
    return w->now;
}

/* ---- Pages of steps -------------------------------------------------------------------------------- */

static void on_fill(void *self, uint64_t arg, kvt_ns now)
{
    (void)now;
    sim_step_filled(self, (uint32_t)arg, (uint32_t)(arg >> 32));
}

void sim_piece_fill(struct sim_world *w, uint32_t engine, const struct kvt_step *step)
{
    struct engine *e = &w->engines[engine];
    const double bps = w->config.machine.fill_bps;
    double tokens = 0;
    for (uint32_t i = 0; i < step->n_chunks; i++)
        tokens += step->chunks[i].new_tokens;
    if (bps <= 0 || tokens == 0)
        return;
    const double all_b = tokens * w->config.kv_b_per_token;
    const uint32_t jobs = all_b / fill_b < 1e6 ? (uint32_t)ceil(all_b / fill_b) : 1000000;
    const uint64_t arg = (uint64_t)e->number << 32 | engine;
    e->fills = jobs;
    for (uint32_t i = 0; i < jobs; i++)
        check(w, sim_crew_ask(&w->crew, w->now, SIM_URGENT_FILL, SIM_COPIES,
                              (kvt_ns)ceil(all_b / jobs * 1e9 / bps), on_fill, w, arg));
}
