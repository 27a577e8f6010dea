/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * world_redis.c - the Redis tier: which commands an operation becomes, and what their replies mean.
 *
 *      load    GET, or GETEX with the life that a hit begins anew
 *      store   PSETEX with a life, else SET
 *      probe   EXISTS of all keys of a block, in one command
 *      drop    UNLINK likewise
 *
 * A piece is one value, or with the per-layer layout three: :k, :v and :meta.
 *
 * All pieces of a block lie on the node that its key names (kvt_key_server), so a block is never
 * half behind a node that is down. A reply's bytes are copied once, from the connection's buffer
 * into the task's staging, where a worker takes over. An error reply is KVT_BUSY (out of memory,
 * loading); wrong types are a protocol error already.
 */
#include "world_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/key.h"

#define WANT(kind) (1u << (kind))

static uint32_t node_of(const struct be_world *w, kvt_key key)
{
    return kvt_key_server(key, w->config.redis.n_nodes);
}

static bool per_layer(const struct be_world *w)
{
    return w->lanes[KVT_REDIS].per_layer;
}

/* The values of one piece, one behind the other in a task's staging. */
static const char *const suffixes[NAMES_MOST] = {"k", "v", "meta"};

static uint32_t values_per_piece(const struct be_world *w)
{
    return per_layer(w) ? NAMES_MOST : 1;
}

static size_t name_of(const struct be_world *w, const struct be_piece *piece, uint32_t i,
                      char name[BE_NAME_B])
{
    return be_piece_name(piece, per_layer(w) ? suffixes[i] : NULL, name);
}

/* Each received value gets as much room in the staging as all of its piece may take. */
static size_t room_of_value(const struct be_world *w)
{
    const struct be_format *format = &w->lanes[KVT_REDIS].format;
    return per_layer(w) ? be_layer_bound(format, w->config.block_tokens)
                        : be_value_bound(format, w->config.block_tokens);
}

size_t be_redis_value_room(const struct be_world *w)
{
    return values_per_piece(w) * room_of_value(w);
}

/* ---- Replies --------------------------------------------------------------------------------- */

static enum kvt_status status_of(const struct be_reply *reply)
{
    if (reply->status != KVT_OK)
        return reply->status;
    if (reply->kind == BE_REPLY_NIL)
        return KVT_MISSING;
    return reply->kind == BE_REPLY_ERROR ? KVT_BUSY : KVT_OK;
}

/* One value less to wait for. True when it was the last. */
static bool came(struct task *t, enum kvt_status status)
{
    if (status != KVT_OK && t->status == KVT_OK)
        t->status = status;
    t->wire_ns = be_clock(t->world);
    return --t->replies_due == 0;
}

static void on_value(void *self, uint64_t i, const struct be_reply *reply)
{
    struct task *t = self;
    const size_t room = room_of_value(t->world);
    enum kvt_status status = status_of(reply);
    if (status == KVT_OK && reply->bytes_b > room)
        status = KVT_CORRUPT;
    if (status == KVT_OK) {
        t->part[i] = memcpy((char *)t->value + i * room, reply->bytes, reply->bytes_b);
        t->part_b[i] = reply->bytes_b;
        t->value_b += reply->bytes_b;
    }
    if (!came(t, status))
        return;
    t->world->lanes[KVT_REDIS].on_wire--;
    if (t->status == KVT_OK && !t->world->closing)
        be_task_ingest(t);
    else
        be_task_end(t);
    be_lane_pump(t->world, KVT_REDIS);
}

static void on_kept(void *self, uint64_t i, const struct be_reply *reply)
{
    (void)i;
    if (came(self, status_of(reply)))
        be_task_end(self);
}

/* ---- Loads and stores ------------------------------------------------------------------------ */

/* Sends a command for value i of the task's piece; a refusal counts as a reply. */
static void command(struct task *t, uint32_t i, const struct be_redis_command *c)
{
    uint64_t handle;
    const int rc = be_redis_send(t->world->redis, c, &handle);
    if (rc == 0)
        return;
    const struct be_reply refused = {.status = KVT_BUSY};
    c->fn(t, i, &refused);
}

void be_redis_start(struct task *t)
{
    struct be_world *w = t->world;
    if (t->op->kind == OP_STORE) {
        be_task_produce(t);
        return;
    }
    const struct be_piece piece = be_task_piece(t);
    const struct op *op = t->op;
    char name[BE_NAME_B], life[24];
    const int life_b = snprintf(life, sizeof life, "%" PRIu64, op->ttl_ns / KVT_MILLISECOND);
    const bool anew = op->ttl_ns != 0 && op->ttl_ns != KVT_NEVER;
    const uint32_t n = values_per_piece(w);
    t->replies_due = n;
    w->lanes[KVT_REDIS].on_wire++;
    for (uint32_t i = 0; i < n; i++) {
        const char *const argv[] = {anew ? "GETEX" : "GET", name, "PX", life};
        const size_t argv_b[] = {strlen(argv[0]), name_of(w, &piece, i, name), 2, (size_t)life_b};
        command(t, i,
                &(struct be_redis_command){.node = node_of(w, piece.key),
                                           .argc = anew ? 4 : 2,
                                           .argv = argv,
                                           .argv_b = argv_b,
                                           .deadline_ns = be_hrtime(w, op->deadline_ns),
                                           .expect = WANT(BE_REPLY_VALUE) | WANT(BE_REPLY_NIL),
                                           .fn = on_value,
                                           .self = t,
                                           .arg = i});
    }
}

void be_redis_put(struct task *t)
{
    struct be_world *w = t->world;
    const struct be_piece piece = be_task_piece(t);
    const struct op *op = t->op;
    char name[BE_NAME_B], life[24];
    const uint64_t life_ms = op->ttl_ns / KVT_MILLISECOND;
    const int life_b = snprintf(life, sizeof life, "%" PRIu64, life_ms ? life_ms : 1);
    const bool ends = op->ttl_ns != KVT_NEVER;
    const uint32_t n = values_per_piece(w);
    t->replies_due = n;
    for (uint32_t i = 0; i < n; i++) {
        const char *value = t->part[i];
        const size_t name_b = name_of(w, &piece, i, name);
        const char *const living[] = {"PSETEX", name, life, value};
        const size_t living_b[] = {6, name_b, (size_t)life_b, t->part_b[i]};
        const char *const lasting[] = {"SET", name, value};
        const size_t lasting_b[] = {3, name_b, t->part_b[i]};
        command(t, i,
                &(struct be_redis_command){.node = node_of(w, piece.key),
                                           .argc = ends ? 4 : 3,
                                           .argv = ends ? living : lasting,
                                           .argv_b = ends ? living_b : lasting_b,
                                           .keep_last = true,
                                           .deadline_ns = be_hrtime(w, op->deadline_ns),
                                           .expect = WANT(BE_REPLY_STATUS),
                                           .fn = on_kept,
                                           .self = t,
                                           .arg = i});
    }
}

/* ---- Probes and drops ------------------------------------------------------------------------ */

static uint32_t names_per_block(const struct be_world *w)
{
    return be_pieces(&w->lanes[KVT_REDIS].format) * values_per_piece(w);
}

static void on_counted(void *self, uint64_t block, const struct be_reply *reply)
{
    struct op *op = self;
    const enum kvt_status status = status_of(reply);
    op->under_way--;
    if (status != KVT_OK)
        be_op_bad(op, (uint32_t)block, status);
    else if (op->kind == OP_PROBE && reply->number < (int64_t)names_per_block(op->world))
        be_op_bad(op, (uint32_t)block, KVT_MISSING);
    be_op_check(op);
}

/* EXISTS or UNLINK with all names of a block. */
static int ask(struct op *op, uint32_t block, const char *word)
{
    struct be_world *w = op->world;
    const struct be_format *format = &w->lanes[KVT_REDIS].format;
    const uint32_t pieces = be_pieces(format), each = values_per_piece(w), n = pieces * each;
    const char **argv = malloc((n + 1) * sizeof(*argv));
    size_t *argv_b = malloc((n + 1) * sizeof *argv_b);
    char(*names)[BE_NAME_B] = malloc(n * sizeof *names);
    int rc = -ENOMEM;
    if (argv && argv_b && names) {
        argv[0] = word;
        argv_b[0] = strlen(word);
        for (uint32_t i = 0; i < n; i++) {
            const struct be_piece piece =
                be_piece_at(format, op->blocks[block].key, op->blocks[block].tokens, i / each);
            argv[i + 1] = names[i];
            argv_b[i + 1] = name_of(w, &piece, i % each, names[i]);
        }
        uint64_t handle;
        rc = be_redis_send(w->redis,
                           &(struct be_redis_command){.node = node_of(w, op->blocks[block].key),
                                                      .argc = n + 1,
                                                      .argv = argv,
                                                      .argv_b = argv_b,
                                                      .deadline_ns = be_hrtime(w, op->deadline_ns),
                                                      .expect = WANT(BE_REPLY_NUMBER),
                                                      .fn = on_counted,
                                                      .self = op,
                                                      .arg = block},
                           &handle);
    }
    free(argv);
    free(argv_b);
    free(names);
    return rc;
}

static void ask_each(struct op *op, const char *word)
{
    for (uint32_t i = 0; i < op->n_blocks; i++) {
        op->under_way++;
        if (ask(op, i, word) == 0)
            continue;
        op->under_way--;
        be_op_bad(op, i, KVT_BUSY);
        if (op->kind == OP_PROBE)
            break; /* what lies behind it cannot be used */
    }
    if (op->kind ==
        OP_PROBE) /* a request waits; core and its caller have more to do before the loop's next turn */
        be_redis_flush(op->world->redis);
    be_op_check(op);
}

void be_redis_probe(struct op *op)
{
    ask_each(op, "EXISTS");
}

void be_redis_drop(struct op *op)
{
    ask_each(op, "UNLINK");
}

/* ---- Nodes ----------------------------------------------------------------------------------- */

/* The tier is down when no node answers; blocks of a single dead node end as KVT_DOWN one by one. */
void be_redis_node_changed(void *self, uint32_t node, bool up)
{
    struct be_world *w = self;
    if (w->nodes[node].up == up)
        return;
    w->nodes[node].up = up;
    w->nodes_up += up ? 1 : UINT32_MAX;
    if (w->closing || !w->core || w->tier_down == (w->nodes_up == 0))
        return;
    w->tier_down = w->nodes_up == 0;
    if (w->tier_down)
        kvt_core_down(w->core, be_tick(w), KVT_REDIS, (kvt_engine_id){KVT_NONE});
    else
        kvt_core_up(w->core, be_tick(w), KVT_REDIS, (kvt_engine_id){KVT_NONE});
}

/* The number behind `name` in INFO's lines; 0 when it is not there. */
static uint64_t info_number(const char *text, const char *end, const char *name)
{
    const size_t n = strlen(name);
    for (const char *at = text; at + n < end; at++) {
        if ((at != text && at[-1] != '\n' && at[-1] != ',' && at[-1] != ':') ||
            memcmp(at, name, n) != 0)
            continue;
        uint64_t value = 0;
        for (at += n; at < end && *at >= '0' && *at <= '9'; at++)
            value = value * 10 + (uint64_t)(*at - '0');
        return value;
    }
    return 0;
}

static void on_info(void *self, uint64_t node, const struct be_reply *reply)
{
    struct be_world *w = self;
    struct node *n = &w->nodes[node];
    n->asking = false;
    if (reply->status != KVT_OK || reply->kind != BE_REPLY_VALUE)
        return;
    const char *text = reply->bytes, *end = text + reply->bytes_b;
    n->stats = (struct be_node_stats){
        .known = true,
        .keys = info_number(text, end, "keys="),
        .memory_b = info_number(text, end, "used_memory:"),
        .evicted_keys = info_number(text, end, "evicted_keys:"),
        .expired_keys = info_number(text, end, "expired_keys:"),
        .hits = info_number(text, end, "keyspace_hits:"),
        .misses = info_number(text, end, "keyspace_misses:"),
    };
}

void be_redis_ask_all(struct be_world *w)
{
    static const char *const argv[] = {"INFO"};
    static const size_t argv_b[] = {4};
    for (uint32_t i = 0; i < w->config.redis.n_nodes; i++) {
        uint64_t handle;
        if (w->nodes[i].asking || !w->nodes[i].up)
            continue;
        const struct be_redis_command command = {.node = i,
                                                 .argc = 1,
                                                 .argv = argv,
                                                 .argv_b = argv_b,
                                                 .deadline_ns =
                                                     be_hrtime(w,
                                                               kvt_ns_add(be_clock(w), KVT_SECOND)),
                                                 .expect = WANT(BE_REPLY_VALUE),
                                                 .fn = on_info,
                                                 .self = w,
                                                 .arg = i};
        w->nodes[i].asking = be_redis_send(w->redis, &command, &handle) == 0;
    }
}
