/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * redis_parts.h - what the files of the Redis client share. Nobody else includes it.
 *
 *      redis.c          the client: accepts, cancels, ends commands; deadlines; closing
 *      redis_command.c  one command: its bytes, and which of them are written
 *      redis_node.c     nodes and their connections: greeting, pipelines, losses, the breaker
 *      redis_link.c     one socket
 *
 * A command is always in exactly one place:
 *
 *                       be_node_feed            reply
 *      send --> WAITING ------------> PIPELINE -------> callback, free
 *        |         |                   |    |
 *        |         |    lost, timeout  |    | cancelled, timeout: an orphan, whose reply is thrown away
 *        +---------+--> ENDING <-------+    +--> stays in the pipeline, free after the reply
 *         breaker open     |
 *                          +--> callback from the idle hook, free
 */
#ifndef BE_REDIS_PARTS_H
#define BE_REDIS_PARTS_H

#include <netdb.h>
#include <sys/queue.h>

#include "../core/breaker.h"
#include "redis.h"
#include "redis_link.h"

enum be_command_state {
    BE_COMMAND_FREE,
    BE_COMMAND_WAITING,
    BE_COMMAND_PIPELINE,
    BE_COMMAND_ENDING
};

/* What a new connection says first. */
enum be_greeting { BE_GREETING_NONE, BE_GREETING_AUTH, BE_GREETING_SELECT, BE_GREETING_PING };

struct be_command {
    TAILQ_ENTRY(be_command) entry; /* of the place where it is */
    struct be_redis *redis;
    uint32_t index, generation; /* of its slot; its handle */
    enum be_command_state state;
    enum be_greeting greeting;
    struct be_node *node;
    struct be_conn *conn; /* PIPELINE */
    /* On the wire: head, then tail and CR LF if there is one. */
    char *head; /* an sds */
    size_t head_b;
    const char *tail; /* the caller's */
    size_t tail_b, written_b;
    kvt_ns accepted_ns, deadline_ns;
    kvt_ns begun_ns, sent_ns;
    uv_timer_t deadline;
    unsigned expect;
    bool late;       /* ran out of time, and its reply is still to come */
    be_redis_fn *fn; /* NULL: an orphan, or a greeting */
    void *self;
    uint64_t arg;
    enum kvt_status status; /* ENDING */
};

TAILQ_HEAD(be_commands, be_command);

enum be_conn_state {
    BE_CONN_DOWN,      /* timer: the next attempt, if it runs */
    BE_CONN_RESOLVING, /* timer: patience, here and below */
    BE_CONN_CONNECTING,
    BE_CONN_GREETING,
    BE_CONN_UP
};

struct be_conn {
    struct be_node *node;
    enum be_conn_state state;
    uv_timer_t timer;
    struct be_resolve *resolve;           /* RESOLVING */
    struct addrinfo *addresses, *address; /* all, and the one that is tried */
    struct be_link *link;
    struct be_commands pipeline; /* in the order of replies */
    uint32_t in_flight;          /* how many */
    uint32_t late;               /* of these, how many ran out of time */
    struct be_command *writing;  /* the first that is not completely written */
    bool useful;                 /* has answered a command */
    kvt_ns backoff_ns;           /* before the next attempt */
    bool dirty;
    TAILQ_ENTRY(be_conn) dirty_entry;
};

struct be_node {
    struct be_redis *redis;
    uint32_t index;
    struct be_redis_address address;
    struct kvt_breaker breaker;
    uv_timer_t pause;
    struct be_conn *conns;
    struct be_commands waiting;
    uint32_t n_waiting;
    struct be_redis_stats stats;
    bool told_up; /* what the watcher knows */
};

struct be_redis {
    uv_loop_t *loop;
    struct be_redis_config config; /* nodes is NULL */
    struct be_node *nodes;
    struct be_conn *conns;
    struct be_command **slots;
    uint32_t n_slots, slots_room;
    struct be_commands free, ending;
    uint32_t n_ending;
    TAILQ_HEAD(, be_conn) dirty; /* have something to write */
    uv_idle_t soon;
    uint32_t things; /* handles and requests in the loop */
    bool closing, finished;
    void (*done)(void *self);
    void *done_self;
    void (*watch)(void *self, uint32_t node, bool up);
    void *watch_self;
};

/* ---- redis_command.c -------------------------------------------------------------------------------- */

/* A command out of the pool, FREE, with all else zero; NULL when memory lacks. */
struct be_command *be_command_new(struct be_redis *redis);
/* Back to the pool; it is in no list. */
void be_command_free(struct be_command *c);
/* Its bytes. 0 or -ENOMEM. */
KVT_MUST_CHECK int be_command_format(struct be_command *c, uint32_t argc, const char *const *argv,
                                     const size_t *argv_b, bool keep_last);
size_t be_command_wire_b(const struct be_command *c);
/* The pieces that are not written yet, at most 3. */
int be_command_pieces(const struct be_command *c, struct iovec *pieces);
/* Makes what is not written the command's own, so that the caller's bytes are no longer needed. 0 or -ENOMEM. */
KVT_MUST_CHECK int be_command_adopt(struct be_command *c);

/* ---- redis.c ---------------------------------------------------------------------------------------- */

/* The idle hook is to run. */
void be_redis_soon(struct be_redis *redis);
/* The command, in no list, ends with a status: its callback is called by the idle hook. */
void be_redis_end(struct be_command *c, enum kvt_status status);
/* One handle or request more in the loop, and one less. */
void be_redis_thing(struct be_redis *redis);
void be_redis_gone(void *redis);
void be_redis_closed(uv_handle_t *handle); /* be_redis_gone(handle->data) */
/* Milliseconds of a uv timer until a time of uv_hrtime. Never too early. */
uint64_t be_redis_timer_ms(const struct be_redis *redis, kvt_ns at_ns);

/* ---- redis_node.c ----------------------------------------------------------------------------------- */

void be_node_init(struct be_node *node, struct be_redis *redis, uint32_t index,
                  const struct be_redis_address *address, struct be_conn *conns);
/* Moves waiting commands to connections, as far as these take more. */
void be_node_feed(struct be_node *node);
/* Something went wrong that says the node does not work. May open the breaker. */
void be_node_failed(struct be_node *node);
/* For good: ends all commands, closes all handles. */
void be_node_close(struct be_node *node);
/* Writes what can be written. */
void be_conn_flush(struct be_conn *conn);
/* Takes a command out of the pipeline. */
void be_conn_remove(struct be_conn *conn, struct be_command *c);
/* The connection is of no use: ends its commands, and connects anew after a while. */
void be_conn_lost(struct be_conn *conn, int error);

#endif
