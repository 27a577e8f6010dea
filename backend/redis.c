/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * redis.c - the client: takes commands, gives them up at their deadline, ends them.
 *
 * A callback is called in one of three places, each at the top of the loop's stack, so that it
 * may call anything of redis.h, be_redis_close included:
 *
 *      reply       from the link that received it, because the bytes are borrowed there (redis_node.c)
 *      deadline    from the command's own timer, when its place in the pipeline has to stay
 *      all else    from the idle hook, which runs before the loop next waits: refusals, losses, closing
 *
 * The idle hook also writes what was sent since it last ran, so that commands sent together
 * leave together.
 *
 * Invariants:
 *   (R1)-(R4) of redis.h.
 *   (R5) Every handle and request that is in the loop is counted in things; the object is freed when, after
 *        be_redis_close, the count comes to zero. Commands are slots that last as long as the object.
 *   (R6) A command's timer runs exactly while it has a deadline and is WAITING or in a PIPELINE.
 */
#include "redis_parts.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH = 64, QUEUE = 4096, CONNECTIONS_MOST = 1 << 16 };

static const kvt_ns CONNECT_TIMEOUT_NS = KVT_SECOND;

/* A reply is waited for at least this long behind a deadline, however near that was: closing
 * ends all else on the connection. */
static const kvt_ns LATE_LEAST_NS = 50 * KVT_MILLISECOND;

/* ---- What is in the loop ---------------------------------------------------------------------------- */

void be_redis_thing(struct be_redis *redis)
{
    redis->things++;
}

void be_redis_gone(void *self)
{
    struct be_redis *redis = self;
    assert(redis->things > 0);
    if (--redis->things > 0)
        return;
    assert(redis->finished);
    void (*done)(void *) = redis->done;
    void *done_self = redis->done_self;
    for (uint32_t i = 0; i < redis->n_slots; i++)
        free(redis->slots[i]);
    free(redis->slots);
    free(redis->conns);
    free(redis->nodes);
    free(redis);
    if (done)
        done(done_self);
}

void be_redis_closed(uv_handle_t *handle)
{
    be_redis_gone(handle->data);
}

uint64_t be_redis_timer_ms(const struct be_redis *redis, kvt_ns at_ns)
{
    /* The loop's milliseconds are those of uv_hrtime, rounded down. */
    uint64_t at_ms = at_ns / KVT_MILLISECOND + (at_ns % KVT_MILLISECOND != 0);
    uint64_t now_ms = uv_now(redis->loop);
    return at_ms > now_ms ? at_ms - now_ms : 0;
}

/* ---- Ending commands -------------------------------------------------------------------------------- */

void be_redis_end(struct be_command *c, enum kvt_status status)
{
    struct be_redis *redis = c->redis;
    uv_timer_stop(&c->deadline);
    c->conn = NULL;
    c->state = BE_COMMAND_ENDING;
    c->status = status;
    TAILQ_INSERT_TAIL(&redis->ending, c, entry);
    redis->n_ending++;
    be_redis_soon(redis);
}

/* Calls back with a status instead of a reply. Afterwards nothing may be taken for granted but that redis is there. */
static void call_back(be_redis_fn *fn, const struct be_command *c, enum kvt_status status)
{
    struct be_reply reply = {.status = status,
                             .kind = BE_REPLY_NONE,
                             .begun_ns = c->begun_ns,
                             .sent_ns = c->sent_ns};
    fn(c->self, c->arg, &reply);
}

static void end_all(struct be_redis *redis)
{
    /* Only those that are there now: a callback may add more without end. */
    for (uint32_t n = redis->n_ending; n > 0 && redis->n_ending > 0; n--) {
        struct be_command *c = TAILQ_FIRST(&redis->ending);
        TAILQ_REMOVE(&redis->ending, c, entry);
        redis->n_ending--;
        struct be_command ended = *c;
        be_command_free(c);
        call_back(ended.fn, &ended, ended.status);
    }
}

static void tell_watcher(struct be_redis *redis)
{
    for (uint32_t i = 0; i < redis->config.n_nodes && !redis->closing; i++) {
        struct be_node *node = &redis->nodes[i];
        bool up = node->breaker.state == KVT_BREAKER_CLOSED;
        if (up == node->told_up)
            continue;
        node->told_up = up;
        if (redis->watch)
            redis->watch(redis->watch_self, i, up);
    }
}

/* Nothing is left to be called: takes everything out of the loop. */
static void finish(struct be_redis *redis)
{
    redis->finished = true;
    for (uint32_t i = 0; i < redis->n_slots; i++) {
        redis->slots[i]->deadline.data = redis;
        uv_close((uv_handle_t *)&redis->slots[i]->deadline, be_redis_closed);
    }
    uv_close((uv_handle_t *)&redis->soon, be_redis_closed);
}

void be_redis_flush(struct be_redis *redis)
{
    struct be_conn *conn;
    while ((conn = TAILQ_FIRST(&redis->dirty)) != NULL) {
        TAILQ_REMOVE(&redis->dirty, conn, dirty_entry);
        conn->dirty = false;
        be_conn_flush(conn);
    }
}

static void on_soon(uv_idle_t *soon)
{
    struct be_redis *redis = soon->data;
    end_all(redis);
    be_redis_flush(redis);
    tell_watcher(redis);
    if (redis->n_ending > 0 || !TAILQ_EMPTY(&redis->dirty))
        return;
    uv_idle_stop(soon);
    if (redis->closing)
        finish(redis);
}

void be_redis_soon(struct be_redis *redis)
{
    uv_idle_start(&redis->soon, on_soon);
}

/* ---- Deadlines -------------------------------------------------------------------------------------- */

static void on_deadline(uv_timer_t *timer);

/* A command whose place in the pipeline stays, but whom nobody waits for any more. */
static void make_orphan(struct be_command *c)
{
    c->fn = NULL;
    if (c->deadline_ns == KVT_NEVER)
        return;
    /* A further deadline: as long as it was given at first. */
    kvt_ns patience_ns = c->deadline_ns > c->accepted_ns ? c->deadline_ns - c->accepted_ns : 0;
    if (patience_ns < LATE_LEAST_NS)
        patience_ns = LATE_LEAST_NS;
    kvt_ns now = uv_hrtime();
    kvt_ns at_ns = kvt_ns_add(now > c->deadline_ns ? now : c->deadline_ns, patience_ns);
    uv_timer_start(&c->deadline, on_deadline, be_redis_timer_ms(c->redis, at_ns), 0);
}

/* Nothing of it has been written, so that it can simply be taken away. */
static bool is_untouched(const struct be_command *c)
{
    return c->state == BE_COMMAND_WAITING || c->begun_ns == 0;
}

static void take_away(struct be_command *c)
{
    struct be_node *node = c->node;
    if (c->state == BE_COMMAND_WAITING) {
        TAILQ_REMOVE(&node->waiting, c, entry);
        node->n_waiting--;
    } else {
        be_conn_remove(c->conn, c);
        be_node_feed(node);
    }
}

/* The caller's bytes are not needed any more. False: memory lacks, the connection cannot go on. */
static bool let_go(struct be_command *c)
{
    return c != c->conn->writing || be_command_adopt(c) == 0;
}

static void on_deadline(uv_timer_t *timer)
{
    struct be_command *c = timer->data;
    struct be_node *node = c->node;
    struct be_conn *conn = c->conn;

    if (c->fn == NULL) {
        be_conn_lost(conn, -ETIMEDOUT);
        return;
    }
    node->stats.timeouts++;
    if (is_untouched(c)) {
        take_away(c);
        be_redis_end(c, KVT_TIMEOUT);
        return;
    }
    if (!let_go(c)) {
        be_conn_remove(conn, c);
        be_redis_end(c, KVT_TIMEOUT);
        be_conn_lost(conn, -ENOMEM);
        return;
    }
    const struct be_command late = *c;
    make_orphan(c);
    c->late = true;
    conn->late++;
    be_node_failed(node);
    /* Last, because it may close everything. */
    call_back(late.fn, &late, KVT_TIMEOUT);
}

/* ---- The interface ---------------------------------------------------------------------------------- */

static bool config_is_good(const struct be_redis_config *config)
{
    return config->n_nodes >= 1 && config->connections >= 1 &&
           config->connections <= CONNECTIONS_MOST / config->n_nodes && config->max_value_b >= 1 &&
           config->max_value_b <= BE_REDIS_VALUE_MOST_B;
}

static void fill_in(struct be_redis_config *config)
{
    config->nodes = NULL;
    if (config->depth == 0)
        config->depth = DEPTH;
    if (config->queue == 0)
        config->queue = QUEUE;
    if (config->breaker_failures == 0)
        config->breaker_failures = KVT_BREAKER_FAILURES;
    if (config->breaker_pause_ns == 0)
        config->breaker_pause_ns = KVT_BREAKER_PAUSE_NS;
    if (config->breaker_most_ns == 0)
        config->breaker_most_ns = KVT_BREAKER_MOST_NS;
    if (config->connect_timeout_ns == 0)
        config->connect_timeout_ns = CONNECT_TIMEOUT_NS;
}

struct be_redis *be_redis_new(uv_loop_t *loop, const struct be_redis_config *config, int *error)
{
    *error = -EINVAL;
    if (!config_is_good(config))
        return NULL;
    *error = -ENOMEM;
    const size_t n_conns = (size_t)config->n_nodes * config->connections;
    struct be_redis *redis = calloc(1, sizeof *redis);
    struct be_node *nodes = calloc(config->n_nodes, sizeof *nodes);
    struct be_conn *conns = calloc(n_conns, sizeof *conns);
    if (redis == NULL || nodes == NULL || conns == NULL) {
        free(redis);
        free(nodes);
        free(conns);
        return NULL;
    }
    redis->loop = loop;
    redis->config = *config;
    fill_in(&redis->config);
    redis->nodes = nodes;
    redis->conns = conns;
    TAILQ_INIT(&redis->free);
    TAILQ_INIT(&redis->ending);
    TAILQ_INIT(&redis->dirty);
    uv_idle_init(loop, &redis->soon);
    redis->soon.data = redis;
    be_redis_thing(redis);
    for (uint32_t i = 0; i < config->n_nodes; i++)
        be_node_init(&nodes[i], redis, i, &config->nodes[i],
                     &conns[(size_t)i * config->connections]);
    *error = 0;
    return redis;
}

void be_redis_close(struct be_redis *redis, void (*done)(void *self), void *self)
{
    assert(!redis->closing);
    redis->closing = true;
    redis->done = done;
    redis->done_self = self;
    for (uint32_t i = 0; i < redis->config.n_nodes; i++)
        be_node_close(&redis->nodes[i]);
    be_redis_soon(redis);
}

static int accept_command(struct be_command *c, struct be_node *node,
                          const struct be_redis_command *command)
{
    c->node = node;
    c->accepted_ns = uv_hrtime();
    c->deadline_ns = command->deadline_ns;
    c->expect = command->expect;
    c->fn = command->fn;
    c->self = command->self;
    c->arg = command->arg;
    if (node->breaker.state != KVT_BREAKER_CLOSED) {
        node->stats.refused++;
        be_redis_end(c, KVT_DOWN);
        return 0;
    }
    int error =
        be_command_format(c, command->argc, command->argv, command->argv_b, command->keep_last);
    if (error)
        return error;
    if (c->deadline_ns != KVT_NEVER)
        uv_timer_start(&c->deadline, on_deadline, be_redis_timer_ms(c->redis, c->deadline_ns), 0);
    c->state = BE_COMMAND_WAITING;
    TAILQ_INSERT_TAIL(&node->waiting, c, entry);
    node->n_waiting++;
    be_node_feed(node);
    return 0;
}

int be_redis_send(struct be_redis *redis, const struct be_redis_command *command, uint64_t *handle)
{
    if (redis->closing)
        return -ESHUTDOWN;
    if (command->node >= redis->config.n_nodes || command->argc == 0 || command->fn == NULL)
        return -EINVAL;
    struct be_node *node = &redis->nodes[command->node];
    if (node->n_waiting >= redis->config.queue ||
        (node->breaker.state != KVT_BREAKER_CLOSED && redis->n_ending >= redis->config.queue))
        return -EBUSY;
    struct be_command *c = be_command_new(redis);
    if (c == NULL)
        return -ENOMEM;
    int error = accept_command(c, node, command);
    if (error) {
        be_command_free(c);
        return error;
    }
    node->stats.commands++;
    *handle = (uint64_t)c->generation << 32 | (c->index + 1);
    return 0;
}

bool be_redis_cancel(struct be_redis *redis, uint64_t handle)
{
    const uint32_t index = (uint32_t)handle - 1;
    if (index >= redis->n_slots)
        return false;
    struct be_command *c = redis->slots[index];
    if (c->generation != handle >> 32 || c->state == BE_COMMAND_FREE || c->fn == NULL)
        return false;
    c->node->stats.cancelled++;
    if (c->state == BE_COMMAND_PIPELINE && !is_untouched(c)) {
        if (let_go(c)) {
            make_orphan(c);
            return true;
        }
        /* No memory for the rest of it: the connection cannot go on, and what else is on it ends. */
        struct be_conn *conn = c->conn;
        be_conn_remove(conn, c);
        be_command_free(c);
        be_conn_lost(conn, -ENOMEM);
        return true;
    }
    if (c->state == BE_COMMAND_ENDING) {
        TAILQ_REMOVE(&redis->ending, c, entry);
        redis->n_ending--;
    } else {
        take_away(c);
    }
    be_command_free(c);
    return true;
}

void be_redis_stats(const struct be_redis *redis, uint32_t node, struct be_redis_stats *stats)
{
    *stats = redis->nodes[node].stats;
    stats->up = redis->nodes[node].breaker.state == KVT_BREAKER_CLOSED;
}

void be_redis_watch(struct be_redis *redis, void (*fn)(void *self, uint32_t node, bool up),
                    void *self)
{
    redis->watch = fn;
    redis->watch_self = self;
}
