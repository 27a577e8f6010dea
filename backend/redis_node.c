/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * redis_node.c - one Redis node: its connections, what is in their pipelines, and its breaker.
 *
 *             timer             resolved             opened            greeted
 *      DOWN --------> RESOLVING --------> CONNECTING --------> GREETING --------> UP
 *        ^                |                    |                   |               |
 *        +----------------+--------------------+-------------------+---------------+   lost
 *
 * A path needs no resolving. A name may stand for several addresses; they are tried in turn
 * within one attempt. A new connection says AUTH and SELECT, as needed, and PING, and is of use
 * when all are answered: that a socket opens says little. An attempt that fails is repeated
 * after a pause that doubles; a connection that had been of use is opened anew at once.
 *
 * What counts as a failure of the node: an attempt that failed; a command that ran out of time
 * on the wire; a protocol error; the loss of a connection with commands on it that never
 * answered one. The loss of one that had answered does not: whether the node is gone is what the
 * next attempt shows. When the breaker opens, all connections are closed and all commands end.
 * When its pause is over, connection 0 alone is tried.
 *
 * Invariants:
 *   (N1) A pipeline holds commands in the order of writing: completely written, then perhaps one that is partly,
 *        then untouched ones. writing is the first that is not completely written.
 *   (N2) in_flight <= depth, but for greetings, which have the connection to themselves.
 *   (N3) Commands wait only while the breaker is closed.
 *   (N4) A connection that owes a reply which is late gets no more commands: it may be stuck. They wait until the
 *        reply has come, or the connection was replaced.
 *   (N5) Nothing here calls a caller's function, but for on_reply, as the last thing it does.
 */
#include "redis_parts.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static const kvt_ns BACKOFF_NS = 10 * KVT_MILLISECOND;

/* A name that is being looked up. Outlives the attempt that asked, if need be. */
struct be_resolve {
    uv_getaddrinfo_t request;
    struct be_conn *conn; /* NULL: nobody asks any more */
    struct be_redis *redis;
};

static void on_conn_timer(uv_timer_t *timer);
static void on_pause_over(uv_timer_t *timer);
static const struct be_link_ops conn_ops;

/* ---- Pipelines -------------------------------------------------------------------------------------- */

static void mark_dirty(struct be_conn *conn)
{
    if (conn->dirty)
        return;
    conn->dirty = true;
    TAILQ_INSERT_TAIL(&conn->node->redis->dirty, conn, dirty_entry);
    be_redis_soon(conn->node->redis);
}

static void mark_clean(struct be_conn *conn)
{
    if (!conn->dirty)
        return;
    conn->dirty = false;
    TAILQ_REMOVE(&conn->node->redis->dirty, conn, dirty_entry);
}

static void append(struct be_conn *conn, struct be_command *c)
{
    c->state = BE_COMMAND_PIPELINE;
    c->conn = conn;
    TAILQ_INSERT_TAIL(&conn->pipeline, c, entry);
    conn->in_flight++;
    if (conn->writing == NULL)
        conn->writing = c;
    mark_dirty(conn);
}

void be_conn_remove(struct be_conn *conn, struct be_command *c)
{
    if (conn->writing == c)
        conn->writing = TAILQ_NEXT(c, entry);
    conn->late -= c->late;
    TAILQ_REMOVE(&conn->pipeline, c, entry);
    conn->in_flight--;
}

/* The one that has least to do, or NULL when all are down, full, or owe a late reply. */
static struct be_conn *pick_conn(const struct be_node *node)
{
    const struct be_redis_config *config = &node->redis->config;
    struct be_conn *best = NULL;
    for (struct be_conn *conn = node->conns; conn < node->conns + config->connections; conn++) {
        if (conn->state != BE_CONN_UP || conn->in_flight >= config->depth || conn->late > 0)
            continue;
        if (best == NULL || conn->in_flight < best->in_flight)
            best = conn;
    }
    return best;
}

void be_node_feed(struct be_node *node)
{
    struct be_command *c;
    while ((c = TAILQ_FIRST(&node->waiting)) != NULL) {
        struct be_conn *conn = pick_conn(node);
        if (conn == NULL)
            return;
        TAILQ_REMOVE(&node->waiting, c, entry);
        node->n_waiting--;
        append(conn, c);
    }
}

void be_conn_flush(struct be_conn *conn)
{
    if (conn->link != NULL)
        be_link_flush(conn->link);
}

/* Ends what is on the connection; the first, if it was written, with a status of its own. */
static void end_pipeline(struct be_conn *conn, enum kvt_status first)
{
    enum kvt_status status = first;
    struct be_command *c;
    while ((c = TAILQ_FIRST(&conn->pipeline)) != NULL) {
        be_conn_remove(conn, c);
        if (c->fn != NULL)
            be_redis_end(c, c->begun_ns != 0 ? status : KVT_DOWN);
        else
            be_command_free(c);
        status = KVT_DOWN;
    }
    assert(conn->in_flight == 0 && conn->writing == NULL);
    assert(conn->late == 0);
}

/* ---- Connecting ------------------------------------------------------------------------------------- */

static void set_timer(struct be_conn *conn, kvt_ns after_ns)
{
    kvt_ns at_ns = kvt_ns_add(uv_hrtime(), after_ns);
    uv_timer_start(&conn->timer, on_conn_timer, be_redis_timer_ms(conn->node->redis, at_ns), 0);
}

/* Back to DOWN without a trace. */
static void drop(struct be_conn *conn, enum kvt_status first)
{
    if (conn->resolve != NULL) {
        conn->resolve->conn = NULL;
        (void)uv_cancel((uv_req_t *)&conn->resolve->request); /* if it can be */
        conn->resolve = NULL;
    }
    if (conn->link != NULL) {
        be_link_close(conn->link);
        conn->link = NULL;
    }
    end_pipeline(conn, first);
    mark_clean(conn);
    uv_timer_stop(&conn->timer);
    conn->state = BE_CONN_DOWN;
    conn->useful = false;
}

static void forget_addresses(struct be_conn *conn)
{
    if (conn->addresses != NULL)
        uv_freeaddrinfo(conn->addresses);
    conn->addresses = conn->address = NULL;
}

static void open_link(struct be_conn *conn, const struct sockaddr *where, socklen_t where_b)
{
    struct be_node *node = conn->node;
    const struct be_link_config config = {
        .ops = &conn_ops,
        .self = conn,
        .max_value_b = node->redis->config.max_value_b,
        .bytes_in = &node->stats.bytes_in,
        .bytes_out = &node->stats.bytes_out,
        .gone = be_redis_gone,
        .gone_self = node->redis,
    };
    int error;
    conn->state = BE_CONN_CONNECTING;
    conn->link = be_link_new(node->redis->loop, where, where_b, &config, &error);
    if (conn->link != NULL)
        be_redis_thing(node->redis);
    else
        be_conn_lost(conn, error);
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *addresses)
{
    struct be_resolve *resolve = request->data;
    struct be_conn *conn = resolve->conn;
    struct be_redis *redis = resolve->redis;
    free(resolve);
    if (conn == NULL) {
        uv_freeaddrinfo(addresses);
    } else {
        conn->resolve = NULL;
        if (status == 0 && addresses != NULL) {
            conn->addresses = conn->address = addresses;
            open_link(conn, addresses->ai_addr, addresses->ai_addrlen);
        } else {
            uv_freeaddrinfo(addresses);
            be_conn_lost(conn, status ? status : -ENOENT);
        }
    }
    be_redis_gone(redis);
}

static void look_up(struct be_conn *conn)
{
    const struct be_redis_address *address = &conn->node->address;
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    char port[8];
    snprintf(port, sizeof port, "%u", address->port);
    conn->state = BE_CONN_RESOLVING;
    struct be_resolve *resolve = calloc(1, sizeof *resolve);
    int error = -ENOMEM;
    if (resolve != NULL) {
        resolve->request.data = resolve;
        resolve->conn = conn;
        resolve->redis = conn->node->redis;
        error = uv_getaddrinfo(resolve->redis->loop, &resolve->request, on_resolved, address->host,
                               port, &hints);
    }
    if (error) {
        free(resolve);
        be_conn_lost(conn, error);
        return;
    }
    conn->resolve = resolve;
    be_redis_thing(resolve->redis);
}

static void begin_attempt(struct be_conn *conn)
{
    const struct be_redis_address *address = &conn->node->address;
    assert(conn->state == BE_CONN_DOWN);
    set_timer(conn, conn->node->redis->config.connect_timeout_ns);
    if (conn->address != NULL) {
        open_link(conn, conn->address->ai_addr, conn->address->ai_addrlen);
    } else if (address->path[0] != '\0') {
        struct sockaddr_un where = {.sun_family = AF_UNIX};
        memcpy(where.sun_path, address->path, sizeof where.sun_path);
        open_link(conn, (const struct sockaddr *)&where, sizeof where);
    } else {
        look_up(conn);
    }
}

/* ---- Greeting --------------------------------------------------------------------------------------- */

static int greet_with(struct be_conn *conn, enum be_greeting greeting, uint32_t argc,
                      const char *const *argv)
{
    struct be_command *c = be_command_new(conn->node->redis);
    size_t argv_b[3];
    assert(argc <= 3);
    for (uint32_t i = 0; i < argc; i++)
        argv_b[i] = strlen(argv[i]);
    if (c == NULL)
        return -ENOMEM;
    if (be_command_format(c, argc, argv, argv_b, false) != 0) {
        be_command_free(c);
        return -ENOMEM;
    }
    c->node = conn->node;
    c->greeting = greeting;
    append(conn, c);
    return 0;
}

static void on_opened(void *self)
{
    struct be_conn *conn = self;
    const struct be_redis_address *address = &conn->node->address;
    int error = 0;
    conn->state = BE_CONN_GREETING;
    if (address->password[0] != '\0' && address->user[0] != '\0')
        error = greet_with(conn, BE_GREETING_AUTH, 3,
                           (const char *const[]){"AUTH", address->user, address->password});
    else if (address->password[0] != '\0')
        error =
            greet_with(conn, BE_GREETING_AUTH, 2, (const char *const[]){"AUTH", address->password});
    if (!error && address->database != 0) {
        char database[16];
        snprintf(database, sizeof database, "%u", address->database);
        error = greet_with(conn, BE_GREETING_SELECT, 2, (const char *const[]){"SELECT", database});
    }
    if (!error)
        error = greet_with(conn, BE_GREETING_PING, 1, (const char *const[]){"PING"});
    if (error)
        be_conn_lost(conn, error);
}

/* A server that does not let us PING lets us in nevertheless. */
static bool is_welcome(enum be_greeting greeting, const struct be_link_reply *reply)
{
    static const char no_permission[] = "NOPERM";
    if (reply->kind == BE_REPLY_STATUS)
        return true;
    return greeting == BE_GREETING_PING && reply->kind == BE_REPLY_ERROR &&
           reply->bytes_b >= strlen(no_permission) &&
           memcmp(reply->bytes, no_permission, strlen(no_permission)) == 0;
}

static void connect_others(struct be_node *node)
{
    for (uint32_t i = 0; i < node->redis->config.connections; i++) {
        struct be_conn *conn = &node->conns[i];
        if (conn->state == BE_CONN_DOWN && !uv_is_active((const uv_handle_t *)&conn->timer))
            set_timer(conn, 0);
    }
}

static void on_greeted(struct be_conn *conn)
{
    struct be_node *node = conn->node;
    bool was_half_open = node->breaker.state == KVT_BREAKER_HALF_OPEN;
    forget_addresses(conn);
    uv_timer_stop(&conn->timer);
    conn->state = BE_CONN_UP;
    conn->backoff_ns = 0;
    node->stats.connects++;
    kvt_breaker_connected(&node->breaker);
    if (was_half_open) {
        connect_others(node);
        be_redis_soon(node->redis); /* tells the watcher */
    }
    be_node_feed(node);
}

/* False: not what a greeting is answered with. */
static bool on_greeting(struct be_conn *conn, struct be_command *c,
                        const struct be_link_reply *reply)
{
    enum be_greeting greeting = c->greeting;
    if (!is_welcome(greeting, reply)) {
        if (reply->kind != BE_REPLY_ERROR)
            return false;
        snprintf(conn->node->stats.refusal, sizeof conn->node->stats.refusal, "%.*s",
                 (int)(reply->bytes_b < 79 ? reply->bytes_b : 79), reply->bytes);
        be_conn_lost(conn, -EACCES);
        return true;
    }
    be_conn_remove(conn, c);
    be_command_free(c);
    if (greeting == BE_GREETING_PING)
        on_greeted(conn);
    return true;
}

/* ---- What links say --------------------------------------------------------------------------------- */

static int on_next(void *self, struct iovec *pieces, int most)
{
    const struct be_conn *conn = self;
    int n = 0;
    for (const struct be_command *c = conn->writing; c != NULL && n + 3 <= most;
         c = TAILQ_NEXT(c, entry))
        n += be_command_pieces(c, pieces + n);
    return n;
}

static void on_wrote(void *self, size_t n)
{
    struct be_conn *conn = self;
    const kvt_ns now = uv_hrtime();
    while (n > 0) {
        struct be_command *c = conn->writing;
        assert(c != NULL);
        size_t left_b = be_command_wire_b(c) - c->written_b;
        size_t part_b = n < left_b ? n : left_b;
        if (c->begun_ns == 0)
            c->begun_ns = now;
        c->written_b += part_b;
        n -= part_b;
        if (part_b < left_b)
            return;
        c->sent_ns = now;
        conn->writing = TAILQ_NEXT(c, entry);
    }
}

static bool on_reply(void *self, const struct be_link_reply *got)
{
    struct be_conn *conn = self;
    struct be_node *node = conn->node;
    struct be_command *c = TAILQ_FIRST(&conn->pipeline);

    /* Nobody waits; or it was answered before it was asked. */
    if (c == NULL || c == conn->writing)
        return false;
    if (c->greeting != BE_GREETING_NONE)
        return on_greeting(conn, c, got);
    if (got->kind != BE_REPLY_ERROR && !(c->expect & 1u << got->kind))
        return false;
    be_conn_remove(conn, c);
    const struct be_command answered = *c;
    be_command_free(c);
    be_node_feed(node);
    if (answered.fn == NULL)
        return true;
    conn->useful = true;
    kvt_breaker_answered(&node->breaker);
    node->stats.replies++;
    node->stats.errors += got->kind == BE_REPLY_ERROR;
    const struct be_reply reply = {
        .status = KVT_OK,
        .kind = got->kind,
        .bytes = got->bytes,
        .bytes_b = got->bytes_b,
        .number = got->number,
        .begun_ns = answered.begun_ns,
        .sent_ns = answered.sent_ns,
        .first_byte_ns = got->first_byte_ns,
        .last_byte_ns = got->last_byte_ns,
    };
    answered.fn(answered.self, answered.arg, &reply);
    return true;
}

static void on_lost(void *self, int error)
{
    be_conn_lost(self, error);
}

static const struct be_link_ops conn_ops = {
    .opened = on_opened,
    .reply = on_reply,
    .next = on_next,
    .wrote = on_wrote,
    .lost = on_lost,
};

/* ---- Losses, and the breaker ------------------------------------------------------------------------ */

static bool tells_of_failure(const struct be_conn *conn, int error)
{
    if (error == -ETIMEDOUT && conn->state == BE_CONN_UP)
        return false; /* the command that was late has told already */
    return conn->state != BE_CONN_UP || error == -EPROTO || (!conn->useful && conn->in_flight > 0);
}

void be_conn_lost(struct be_conn *conn, int error)
{
    struct be_node *node = conn->node;
    const bool failed = tells_of_failure(conn, error);
    node->stats.disconnects += conn->state == BE_CONN_UP;
    node->stats.protocol_errors += error == -EPROTO;
    if (conn->state == BE_CONN_CONNECTING && conn->address != NULL && conn->address->ai_next) {
        conn->address = conn->address->ai_next;
        drop(conn, KVT_DOWN);
        set_timer(conn, 0);
        return;
    }
    const bool useful = conn->useful;
    drop(conn, error == -EPROTO ? KVT_CORRUPT : KVT_DOWN);
    forget_addresses(conn);
    if (failed)
        be_node_failed(node);
    if (node->breaker.state != KVT_BREAKER_CLOSED)
        return;
    if (useful && error != -EPROTO) {
        set_timer(conn, 0);
        return;
    }
    conn->backoff_ns = conn->backoff_ns ? 2 * conn->backoff_ns : BACKOFF_NS;
    if (conn->backoff_ns > node->redis->config.breaker_pause_ns)
        conn->backoff_ns = node->redis->config.breaker_pause_ns;
    set_timer(conn, conn->backoff_ns);
}

static void end_waiting(struct be_node *node)
{
    struct be_command *c;
    while ((c = TAILQ_FIRST(&node->waiting)) != NULL) {
        TAILQ_REMOVE(&node->waiting, c, entry);
        be_redis_end(c, KVT_DOWN);
    }
    node->n_waiting = 0;
}

static void drop_all(struct be_node *node)
{
    for (uint32_t i = 0; i < node->redis->config.connections; i++) {
        struct be_conn *conn = &node->conns[i];
        node->stats.disconnects += conn->state == BE_CONN_UP;
        drop(conn, KVT_DOWN);
        forget_addresses(conn);
        conn->backoff_ns = 0;
    }
    end_waiting(node);
}

void be_node_failed(struct be_node *node)
{
    if (!kvt_breaker_failed(&node->breaker, uv_hrtime()))
        return;
    node->stats.breaker_opens++;
    drop_all(node);
    uv_timer_start(&node->pause, on_pause_over,
                   be_redis_timer_ms(node->redis, node->breaker.until_ns), 0);
    be_redis_soon(node->redis); /* tells the watcher */
}

static void on_pause_over(uv_timer_t *timer)
{
    struct be_node *node = timer->data;
    if (kvt_breaker_try(&node->breaker, uv_hrtime()))
        begin_attempt(&node->conns[0]);
}

static void on_conn_timer(uv_timer_t *timer)
{
    struct be_conn *conn = timer->data;
    if (conn->state == BE_CONN_DOWN)
        begin_attempt(conn);
    else
        be_conn_lost(conn, -ETIMEDOUT);
}

/* ---- Life ------------------------------------------------------------------------------------------- */

void be_node_init(struct be_node *node, struct be_redis *redis, uint32_t index,
                  const struct be_redis_address *address, struct be_conn *conns)
{
    node->redis = redis;
    node->index = index;
    node->address = *address;
    node->conns = conns;
    node->told_up = true;
    kvt_breaker_init(&node->breaker, redis->config.breaker_failures, redis->config.breaker_pause_ns,
                     redis->config.breaker_most_ns);
    TAILQ_INIT(&node->waiting);
    uv_timer_init(redis->loop, &node->pause);
    node->pause.data = node;
    be_redis_thing(redis);
    for (uint32_t i = 0; i < redis->config.connections; i++) {
        struct be_conn *conn = &conns[i];
        conn->node = node;
        TAILQ_INIT(&conn->pipeline);
        uv_timer_init(redis->loop, &conn->timer);
        conn->timer.data = conn;
        be_redis_thing(redis);
        set_timer(conn, 0);
    }
}

static void close_timer(struct be_redis *redis, uv_timer_t *timer)
{
    timer->data = redis;
    uv_close((uv_handle_t *)timer, be_redis_closed);
}

void be_node_close(struct be_node *node)
{
    drop_all(node);
    close_timer(node->redis, &node->pause);
    for (uint32_t i = 0; i < node->redis->config.connections; i++)
        close_timer(node->redis, &node->conns[i].timer);
}
