/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * world_op.c - the life of a probe, load, store or drop, from the port to its completion; see
 * world_impl.h for the states.
 *
 * Redis is asked in the order in which requests reach it: every one travels half a round trip,
 * so that is the order of issue. What it answers is what its nodes hold at that time; that it
 * may first have to work off other commands delays the answer, but does not change it. A peer is asked in
 * the same manner, and always has what core says it has.
 */
#include "world_fault.h"
#include "world_impl.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <string.h>

static struct op *op_at(const struct sim_world *w, uint32_t o)
{
    return kvt_pool_at(&w->ops, o);
}

static uint64_t event_arg(const struct sim_world *w, uint32_t o)
{
    return (uint64_t)op_at(w, o)->generation << 32 | o;
}

/* The operation an event is for; NULL when that has moved on. */
static struct op *op_of(const struct sim_world *w, uint64_t arg)
{
    struct op *op = op_at(w, (uint32_t)arg);
    return op->state != OP_FREE && op->generation == (uint32_t)(arg >> 32) ? op : NULL;
}

static kvt_ns half_there(const struct op *op)
{
    return op->rtt_ns / 2;
}

static kvt_ns half_back(const struct op *op)
{
    return op->rtt_ns - half_there(op);
}

static uint64_t stored_b_of(const struct sim_world *w, enum kvt_tier_kind tier, uint32_t tokens)
{
    const struct sim_codec *codec = &w->config.codec[tier];
    double raw_b = tokens * w->config.kv_b_per_token;
    return (uint64_t)ceil(codec->present ? raw_b / codec->ratio : raw_b);
}

static uint64_t pieces_of(const struct sim_world *w, uint64_t stored_b)
{
    const uint64_t piece_b = w->config.piece_b;
    return piece_b == 0 || stored_b <= piece_b ? 1 : (stored_b + piece_b - 1) / piece_b;
}

/* ---- The end ------------------------------------------------------------------------------------- */

static void on_end(void *self, uint64_t arg, kvt_ns now)
{
    struct sim_world *w = self;
    struct op *op = op_of(w, arg);
    if (!op)
        return;
    (void)now;
    const struct kvt_done done = op->done;
    op->state = OP_FREE;
    op->generation++;
    kvt_pool_give(&w->ops, (uint32_t)arg);
    sim_world_done(w, &done);
}

/* Whatever was still to come for the operation is void from here on; it completes at `at`. */
static void end_at(struct sim_world *w, uint32_t o, kvt_ns at, enum kvt_status status,
                   uint32_t blocks_ok)
{
    struct op *op = op_at(w, o);
    if (op->tier == KVT_REDIS) {
        kvt_ns deadline_ns = kvt_ns_add(op->issued_ns, w->config.redis.timeout_ns);
        if (at > deadline_ns) { /* the answer would come too late */
            at = deadline_ns;
            status = KVT_TIMEOUT;
            blocks_ok = 0;
        }
    }
    if (blocks_ok == 0 && (status == KVT_DOWN || status == KVT_TIMEOUT)) {
        memset(op->done.span_ns, 0, sizeof(op->done.span_ns));
        op->done.span_ns[op->kind == OP_PROBE ? KVT_SPAN_PROBE : KVT_SPAN_QUEUED] =
            at - op->issued_ns;
    }
    op->state = OP_ENDING;
    op->generation++;
    op->done.status = status;
    op->done.blocks_ok = blocks_ok;
    sim_world_push(w, at, on_end, event_arg(w, o));
}

/* Its deadline is over, and what it asked of other nodes has come: those blocks are good. */
static void end_unanswered(struct sim_world *w, uint32_t o)
{
    struct op *op = op_at(w, o);
    const kvt_ns waited_ns = w->now - op->issued_ns;
    kvt_ns spent_ns = 0;
    for (int s = 0; s < KVT_SPANS; s++)
        spent_ns += op->done.span_ns[s];
    if (spent_ns > waited_ns) { /* the others would have answered later than that */
        memset(op->done.span_ns, 0, sizeof(op->done.span_ns));
        spent_ns = 0;
        op->n_good = 0;
    }
    op->done.span_ns[op->kind == OP_PROBE ? KVT_SPAN_PROBE : KVT_SPAN_QUEUED] +=
        waited_ns - spent_ns;
    op->state = OP_ENDING;
    op->generation++;
    op->done.status = KVT_TIMEOUT;
    op->done.blocks_ok = op->n_good;
    sim_world_push(w, w->now, on_end, event_arg(w, o));
}

/* Ends the operation now, whatever it is at. */
static void fail(struct sim_world *w, uint32_t o, enum kvt_status status)
{
    sim_pipe_cancel(w, op_at(w, o));
    end_at(w, o, w->now, status, 0);
}

static void on_timeout(void *self, uint64_t arg, kvt_ns now)
{
    struct sim_world *w = self;
    const struct op *op = op_of(w, arg);
    (void)now;
    if (!op)
        return;
    if (op->silent)
        sim_fault_unanswered(w, op);
    if (op->idle)
        end_unanswered(w, (uint32_t)arg);
    else
        fail(w, (uint32_t)arg, KVT_TIMEOUT);
}

/* One node of it does not answer, and nothing else is under way any more: only the deadline is left. */
static bool waits_for_deadline(struct op *op)
{
    op->idle = op->silent;
    return op->idle;
}

static bool touches(const struct sim_world *w, const struct op *op, uint32_t node)
{
    bool any = node == KVT_NONE;
    for (uint32_t i = 0; !any && i < op->n_blocks; i++)
        any = sim_node_of(w, &op->blocks[i]) == node;
    return any;
}

void sim_op_interrupt(struct sim_world *w, uint32_t node, uint32_t engine, bool dead)
{
    for (uint32_t o = 0; o < w->ops_made; o++) {
        struct op *op = op_at(w, o);
        const bool here = engine == KVT_NONE || op->engine == engine || op->from == engine;
        if (op->state == OP_FREE || op->state == OP_ENDING || !here)
            continue;
        if (op->tier == KVT_PEER && engine != KVT_NONE)
            fail(w, o, KVT_DOWN);
        if (op->tier != KVT_REDIS || op->state != OP_MOVING || !touches(w, op, node))
            continue; /* those on their way to a node find it as it is */
        if (dead) {
            fail(w, o, KVT_DOWN);
            continue;
        }
        sim_pipe_cancel(w, op);
        op->silent = op->idle = true;
        op->n_good = 0;
    }
}

void sim_op_fail_all(struct sim_world *w, enum kvt_tier_kind tier, uint32_t engine)
{
    for (uint32_t o = 0; o < w->ops_made; o++) {
        const struct op *op = op_at(w, o);
        bool on_it = tier == KVT_GPU     ? op->engine == engine || op->from == engine
                     : tier == KVT_REDIS ? op->tier == KVT_REDIS
                                         : op->tier == tier && op->engine == engine;
        if (op->state != OP_FREE && on_it)
            fail(w, o, KVT_DOWN);
    }
}

/* ---- Redis, at the node -------------------------------------------------------------------------- */

static void clear_nodes(struct sim_world *w)
{
    for (uint32_t i = 0; i < w->config.redis.nodes; i++)
        w->nodes[i].commands = w->nodes[i].stored_b = 0;
}

/* Books a block of the operation with its node. */
static struct node *book(struct sim_world *w, const struct op *op, uint32_t i, uint64_t stored_b,
                         uint64_t commands)
{
    struct node *node = &w->nodes[sim_node_of(w, &op->blocks[i])];
    node->stored_b += stored_b;
    node->commands += commands;
    return node;
}

/* The answer to EXISTS or DEL is back at end_ns. */
static void answered(struct sim_world *w, uint32_t o, kvt_ns end_ns)
{
    struct op *op = op_at(w, o);
    if (op->kind == OP_DROP) {
        const kvt_ns wire_ns = sim_piece_travel_ns(op, op->rtt_ns);
        op->done.span_ns[KVT_SPAN_WIRE] = wire_ns;
        op->done.span_ns[KVT_SPAN_QUEUED] = end_ns - op->issued_ns - wire_ns;
        end_at(w, o, end_ns, KVT_OK, op->n_blocks);
    } else {
        op->done.span_ns[KVT_SPAN_PROBE] = end_ns - op->issued_ns;
        if (!waits_for_deadline(op))
            end_at(w, o, end_ns, op->n_good == op->n_blocks ? KVT_OK : op->cut_short, op->n_good);
    }
}

/* Whether the node of block i answers at all; if not, the operation learns why it is cut short there. */
static bool reaches(struct sim_world *w, struct op *op, uint32_t i)
{
    if (!w->faults)
        return true;
    const uint32_t node = sim_node_of(w, &op->blocks[i]);
    const enum sim_reach reach = sim_fault_reach(w, op->engine, node);
    if (reach == SIM_REACHED) {
        const kvt_ns late_ns = sim_fault_late_ns(w, op->engine, node);
        if (late_ns > op->late_ns)
            op->late_ns = late_ns;
        sim_fault_answered(w, op->engine, node);
        return true;
    }
    op->silent |= reach == SIM_SILENT;
    op->cut_short = reach == SIM_SILENT ? KVT_TIMEOUT : KVT_DOWN;
    return false;
}

/* EXISTS or DEL, one command a block, all pipelined. Nothing is moved. */
static void ask(struct sim_world *w, uint32_t o)
{
    struct op *op = op_at(w, o);
    uint32_t good = 0;
    for (uint32_t i = 0; i < op->n_blocks; i++) {
        if (!reaches(w, op, i)) {
            if (op->kind == OP_PROBE)
                break; /* what lies behind it cannot be used */
            continue;
        }
        struct node *node = book(w, op, i, 0, 1);
        if (op->kind == OP_DROP)
            sim_redis_node_del(node->keys, w->now, op->blocks[i].key);
        else if (sim_redis_node_exists(node->keys, w->now, op->blocks[i].key) && good == i)
            good++;
    }
    op->n_good = good;
    op->silent &= op->kind == OP_PROBE;
    if (sim_on_machine(w))
        sim_piece_ask(w, o);
    else
        answered(w, o, kvt_ns_add(sim_pipe_command_ns(w), kvt_ns_add(half_back(op), op->late_ns)));
}

void sim_op_asked(struct sim_world *w, uint32_t o)
{
    answered(w, o, kvt_ns_add(w->now, sim_piece_travel_ns(op_at(w, o), half_back(op_at(w, o)))));
}

/* GET, or GETEX, in chain order up to the first miss, which costs one command and no bytes. */
static void get(struct sim_world *w, struct op *op)
{
    op->tokens = op->pieces = op->stored_b = 0;
    for (op->n_good = 0; op->n_good < op->n_blocks; op->n_good++) {
        const struct op_block *b = &op->blocks[op->n_good];
        if (!reaches(w, op, op->n_good))
            break;
        struct sim_redis_node *node = w->nodes[sim_node_of(w, b)].keys;
        bool there =
            op->ttl_ns ? sim_redis_node_getex(node, w->now, b->key, kvt_ns_add(w->now, op->ttl_ns))
                       : sim_redis_node_get(node, w->now, b->key);
        if (!there) {
            book(w, op, op->n_good, 0, 1);
            break;
        }
        uint64_t stored_b = stored_b_of(w, KVT_REDIS, b->tokens);
        uint64_t pieces = pieces_of(w, stored_b);
        book(w, op, op->n_good, stored_b, pieces);
        op->tokens += b->tokens;
        op->pieces += pieces;
        op->stored_b += stored_b;
        if (w->faults &&
            sim_fault_value_corrupt(w, op->engine, sim_node_of(w, b))) { /* seen when it is there */
            op->cut_short = KVT_CORRUPT;
            break;
        }
    }
}

/* ---- Transfers ----------------------------------------------------------------------------------- */

static void begin(struct sim_world *w, uint32_t o)
{
    struct op *op = op_at(w, o);
    op->state = OP_MOVING;
    op->begin_ns = w->now;
    op->raw_b = (uint64_t)ceil((double)op->tokens * w->config.kv_b_per_token);
    op->done.bytes = op->stored_b;
    op->done.span_ns[KVT_SPAN_WIRE] = op->begin_ns - op->issued_ns;
    if (sim_on_machine(w) && op->pieces > 0) {
        sim_piece_begin(w, o);
        return;
    }
    sim_pipe_begin(w, o);
    if (op->n_flowing == 0)
        sim_op_moved(w, o);
}

static void on_arrive(void *self, uint64_t arg, kvt_ns now)
{
    struct sim_world *w = self;
    struct op *op = op_of(w, arg);
    (void)now;
    if (!op)
        return;
    if (op->tier == KVT_PEER) {
        begin(w, (uint32_t)arg);
        return;
    }
    clear_nodes(w);
    if (op->kind != OP_LOAD) {
        ask(w, (uint32_t)arg);
        return;
    }
    get(w, op);
    begin(w, (uint32_t)arg);
}

/* SET of block i. goes_on: others may still succeed. */
static enum kvt_status write_block(struct sim_world *w, struct op *op, uint32_t i, kvt_ns expire_ns,
                                   bool *goes_on)
{
    const struct op_block *b = &op->blocks[i];
    const uint32_t node = sim_node_of(w, b);
    const uint64_t stored_b = stored_b_of(w, KVT_REDIS, b->tokens);
    *goes_on = true;
    if (!reaches(w, op, i))
        return op->cut_short;
    if (w->faults && sim_fault_full(w, KVT_REDIS, node))
        return KVT_BUSY;
    if (sim_redis_node_set(w->nodes[node].keys, w->now, b->key, stored_b, expire_ns) != 0) {
        *goes_on = false;
        return KVT_BUSY;
    }
    if (w->faults)
        sim_fault_written(w, node, b->key, stored_b);
    return KVT_OK;
}

/* The last piece of a store has been through its command. */
static void on_write(void *self, uint64_t arg, kvt_ns now)
{
    struct sim_world *w = self;
    struct op *op = op_of(w, arg);
    if (!op)
        return;
    enum kvt_status status = KVT_OK;
    op->n_good = op->n_blocks;
    for (uint32_t i = 0; i < op->n_blocks; i++) {
        bool goes_on;
        const enum kvt_status one = write_block(w, op, i, kvt_ns_add(now, op->ttl_ns), &goes_on);
        if (one != KVT_OK && status == KVT_OK) {
            status = one;
            op->n_good = i;
        }
        if (!goes_on)
            break;
    }
    if (waits_for_deadline(op))
        return;
    const kvt_ns back_ns = kvt_ns_add(sim_piece_travel_ns(op, half_back(op)), op->late_ns);
    op->done.span_ns[KVT_SPAN_WIRE] += back_ns;
    end_at(w, (uint32_t)arg, kvt_ns_add(now, back_ns), status, op->n_good);
}

void sim_op_moved(struct sim_world *w, uint32_t o)
{
    struct op *op = op_at(w, o);
    kvt_ns end_ns = sim_on_machine(w) && op->pieces > 0 ? sim_piece_end(w, op) : sim_pipe_end(op);
    if (op->tier == KVT_REDIS && op->kind == OP_STORE) {
        op->state = OP_WRITING;
        sim_world_push(w, end_ns, on_write, event_arg(w, o));
        return;
    }
    if (waits_for_deadline(op))
        return;
    op->done.span_ns[KVT_SPAN_WIRE] += op->late_ns;
    end_at(w, o, kvt_ns_add(end_ns, op->late_ns),
           op->n_good == op->n_blocks ? KVT_OK : op->cut_short, op->n_good);
}

/* ---- The port ------------------------------------------------------------------------------------ */

/* Grows an array that is empty of meaning to n records. False when memory is out: it is as it was. */
static bool make_room(const struct kvt_alloc *a, void **memory, uint32_t *room, uint32_t n,
                      size_t record_b)
{
    if (*room >= n)
        return true;
    uint32_t more = n + n / 2;
    void *fresh = a->get(a->self, more * record_b);
    if (!fresh)
        return false;
    a->put(a->self, *memory, *room * record_b);
    *memory = fresh;
    *room = more;
    return true;
}

/* Takes an operation with room for n blocks, all flows they may need, and a plan if it moves shards. KVT_NONE when memory is out. */
static uint32_t take(struct sim_world *w, uint32_t n, bool moves)
{
    uint32_t o = kvt_pool_take(&w->ops);
    if (o == KVT_NONE)
        return KVT_NONE;
    struct op *op = op_at(w, o);
    if (o >= w->ops_made) {
        assert(o == w->ops_made);
        *op = (struct op){.state = OP_FREE};
        w->ops_made++;
    }
    const uint32_t nodes = w->config.redis.nodes;
    void *blocks = op->blocks, *flows = op->flows;
    bool ok = make_room(w->alloc, &blocks, &op->room_blocks, n, sizeof(*op->blocks));
    op->blocks = blocks;
    ok = ok && make_room(w->alloc, &flows, &op->room_flows,
                         (n < nodes ? n : nodes) + 3 + sim_fabric_flows(w), sizeof(*op->flows));
    op->flows = flows;
    if (ok && sim_fabric_take(w, op, moves))
        return o;
    kvt_pool_give(&w->ops, o);
    return KVT_NONE;
}

void sim_op_release_all(struct sim_world *w)
{
    for (uint32_t o = 0; o < w->ops_made; o++) {
        struct op *op = op_at(w, o);
        w->alloc->put(w->alloc->self, op->blocks, op->room_blocks * sizeof(*op->blocks));
        w->alloc->put(w->alloc->self, op->flows, op->room_flows * sizeof(*op->flows));
        sim_fabric_give(w, op);
    }
    kvt_pool_release(&w->ops);
}

static bool tier_is_there(const struct sim_world *w, enum kvt_tier_kind tier)
{
    return tier == KVT_HOST || (tier == KVT_GPU && sim_world_sharded(w)) ||
           (tier == KVT_PEER && w->config.peer.present) ||
           (tier == KVT_REDIS && w->config.redis.nodes > 0) ||
           (tier == KVT_DISK && w->config.disk.channels > 0);
}

static void fill_in_block(const struct sim_world *w, struct op *op, uint32_t i,
                          const struct kvt_block_ref *b)
{
    op->blocks[i] = (struct op_block){.key = b->key, .tokens = b->tokens, .region = b->region};
    if (sim_is_far(w, op->engine, b->region))
        op->rtt_ns = w->config.regions.rtt_ns;
}

static void fill_in(struct sim_world *w, struct op *op, const struct kvt_transfer *t,
                    enum op_kind kind)
{
    op->kind = kind;
    op->id = t->op;
    op->engine = t->engine.v;
    op->from = t->tier == KVT_PEER ? t->from.v : KVT_NONE;
    op->tier = t->tier;
    op->n_blocks = op->n_good = t->n_blocks;
    op->tokens = op->pieces = op->stored_b = 0;
    op->issued_ns = w->now;
    op->ttl_ns = t->ttl_ns;
    op->rtt_ns = w->config.network.rtt_ns;
    op->done = (struct kvt_done){.op = t->op};
    op->n_stages = op->n_flows = op->n_flowing = 0;
    op->cut_short = KVT_MISSING;
    op->silent = op->idle = false;
    op->late_ns = 0;
    op->parted = t->gpu_parts && sim_world_sharded(w);
    if (op->parted)
        memcpy(op->parts, t->gpu_parts, sim_world_built(w)->gpus * sizeof(*op->parts));
    op->moving = t->n_moves > 0;
    if (op->moving)
        sim_fabric_move(sim_world_built(w), t->moves, t->n_moves, op->plan);
    for (uint32_t i = 0; i < t->n_blocks; i++) {
        uint64_t stored_b = stored_b_of(w, t->tier, t->blocks[i].tokens);
        op->tokens += t->blocks[i].tokens;
        op->pieces += pieces_of(w, stored_b);
        op->stored_b += stored_b;
        if (t->tier == KVT_REDIS)
            fill_in_block(w, op, i, &t->blocks[i]);
        if (w->faults && kind == OP_LOAD && sim_fault_block_corrupt(w, t->tier, op->engine)) {
            op->n_good = i; /* seen when it is there; what follows is not asked for */
            op->cut_short = KVT_CORRUPT;
            break;
        }
    }
}

/* Of a store to Redis: which node gets how much. */
static void book_all(struct sim_world *w, const struct op *op)
{
    clear_nodes(w);
    for (uint32_t i = 0; i < op->n_blocks; i++) {
        const uint32_t node = w->faults ? sim_node_of(w, &op->blocks[i]) : 0;
        if (w->faults && sim_fault_reach(w, op->engine, node) != SIM_REACHED)
            continue; /* nothing goes there */
        uint64_t stored_b = stored_b_of(w, KVT_REDIS, op->blocks[i].tokens);
        book(w, op, i, stored_b, pieces_of(w, stored_b));
    }
}

/* Conditions that an operation meets before it begins; KVT_OK: none. */
static enum kvt_status befallen(const struct sim_world *w, const struct op *op)
{
    if (!w->faults)
        return KVT_OK;
    if (op->tier == KVT_PEER && sim_fault_peer_cut(w, op->engine, op->from))
        return KVT_DOWN;
    const bool below = op->tier == KVT_HOST || op->tier == KVT_DISK;
    return below && op->kind == OP_STORE && sim_fault_full(w, op->tier, op->engine) ? KVT_BUSY
                                                                                    : KVT_OK;
}

/* A load, from another engine that there is. */
static bool peer_makes_sense(const struct sim_world *w, const struct kvt_transfer *t,
                             enum op_kind kind)
{
    return kind == OP_LOAD && t->from.v < w->config.engines && t->from.v != t->engine.v;
}

int sim_op_start(struct sim_world *w, const struct kvt_transfer *t, enum op_kind kind)
{
    const bool shared = t->tier == KVT_REDIS && kind == OP_DROP; /* no engine takes part */
    if (!tier_is_there(w, t->tier))
        return -ENODEV;
    if ((!shared && t->engine.v >= w->config.engines) ||
        (t->tier == KVT_PEER && !peer_makes_sense(w, t, kind)))
        return -EINVAL;
    if (w->broken)
        return w->broken;
    uint32_t o = take(w, t->tier == KVT_REDIS ? t->n_blocks : 0, t->n_moves > 0);
    if (o == KVT_NONE)
        return -ENOMEM;
    struct op *op = op_at(w, o);
    fill_in(w, op, t, kind);
    op->state = OP_ASKED;
    op->medium_ratio = 1;
    if (sim_on_machine(w))
        sim_piece_draw(w, op);
    w->stats.operations[t->tier]++;
    w->stats.under_way++;
    if (sim_world_is_down(w, t->tier, t->engine.v) ||
        (op->from != KVT_NONE && sim_world_is_down(w, KVT_GPU, op->from))) {
        end_at(w, o, w->now, KVT_DOWN, 0);
    } else if (befallen(w, op) != KVT_OK) {
        end_at(w, o, w->now, befallen(w, op), 0);
    } else if (op->n_blocks == 0) {
        end_at(w, o, w->now, KVT_OK, 0);
    } else if (t->tier == KVT_PEER && !sim_on_machine(w)) {
        sim_world_push(w, kvt_ns_add(w->now, half_there(op)), on_arrive, event_arg(w, o));
    } else if (t->tier == KVT_REDIS) {
        if (w->config.redis.timeout_ns != KVT_NEVER)
            sim_world_push(w, kvt_ns_add(w->now, w->config.redis.timeout_ns), on_timeout,
                           event_arg(w, o));
        if (kind == OP_STORE) {
            book_all(w, op);
            begin(w, o);
        } else {
            sim_world_push(w, kvt_ns_add(w->now, sim_piece_travel_ns(op, half_there(op))),
                           on_arrive, event_arg(w, o));
        }
    } else if ((kind == OP_LOAD || kind == OP_STORE) &&
               (t->tier != KVT_GPU || op->parted || op->moving)) {
        begin(w, o);
    } else { /* core's own directory is the truth about host and disk */
        end_at(w, o, w->now, KVT_OK, op->n_blocks);
    }
    return 0;
}
