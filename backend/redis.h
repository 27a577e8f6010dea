/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * redis.h - a client for many Redis nodes: several connections each, deep pipelines, deadlines,
 * and a circuit breaker that keeps a dead node from costing more than one deadline.
 *
 * Protocol and formatting are hiredis's; readiness and timers are libuv's; this file adds what a
 * cache needs:
 *
 *   (R1) Every accepted command calls its callback exactly once, never from inside be_redis_send, on the
 *        loop's thread, and at the latest a timer tick after its deadline.
 *   (R2) A protocol error, a reply longer than max_value_b, a wrong type of reply, or a reply that nobody waits
 *        for closes the connection: all its commands end, and it is opened anew. A command that was cancelled or
 *        ran out of time leaves its place in the pipeline: its reply is read and thrown away, and if that has not
 *        come a further deadline (at least 50 ms) later, the connection is closed.
 *   (R3) A node whose breaker is open refuses at once with KVT_DOWN. After a pause one connection is tried (half open);
 *        it works: closed again; it fails: the pause doubles, up to a bound.
 *   (R4) Nothing is sent twice by itself. Retrying is the caller's decision.
 *
 * Single-threaded: all calls on the loop's thread. Built so that Sentinel and Cluster can say
 * where a node is without a change above this interface.
 */
#ifndef BE_REDIS_H
#define BE_REDIS_H

#include <uv.h>

#include "../core/types.h"

/* Where a node is. Either path (a unix socket) or host and port. */
struct be_redis_address {
    char path[108];
    char host[256];
    uint16_t port;
    uint32_t database;
    char user[128], password[256]; /* empty: none. Never printed */
};

/* Reads redis://[user[:password]@]host[:port][/db], unix:/path[?db=n], host:port. User and
 * password that the text lacks come from the environment (KVTWIN_REDIS_USER,
 * KVTWIN_REDIS_PASSWORD). 0, or -EINVAL with what was expected, in which no password appears. */
KVT_MUST_CHECK int be_redis_address_parse(struct be_redis_address *address, const char *text,
                                          char *error, size_t error_size);
/* For people: without user and password. Returns text. */
char *be_redis_address_show(const struct be_redis_address *address, char *text, size_t size);

enum { BE_REDIS_VALUE_MOST_B = 512 << 20 }; /* Redis itself holds no more in one string */

struct be_redis_config {
    const struct be_redis_address *nodes; /* copied */
    uint32_t n_nodes;
    uint32_t connections; /* to each node */
    uint32_t depth;       /* commands on the way per connection; more wait in the client. 0: 64 */
    uint32_t queue;       /* most that wait in the client for a node. 0: 4096 */
    size_t max_value_b;   /* longest reply that is believed; 1 .. BE_REDIS_VALUE_MOST_B */
    kvt_ns connect_timeout_ns; /* until it has answered its first PING. 0: a second */
    /* Breaker: opens after this many failures in a row (0: 5), first pause (0: 1 s), longest pause (0: 30 s). */
    uint32_t breaker_failures;
    kvt_ns breaker_pause_ns, breaker_most_ns;
};

enum be_reply_kind {
    BE_REPLY_NONE,  /* status is not KVT_OK: nothing was received */
    BE_REPLY_VALUE, /* a bulk string: bytes, bytes_b */
    BE_REPLY_NIL,
    BE_REPLY_NUMBER,
    BE_REPLY_STATUS, /* "+OK": bytes */
    BE_REPLY_ERROR   /* "-OOM ...": bytes. The connection goes on */
};

/* How a command ended. Bytes are borrowed until the callback returns: they lie in the
 * connection's own buffer, uncopied. */
struct be_reply {
    enum kvt_status
        status; /* KVT_OK: a reply came, of whatever kind; else DOWN, TIMEOUT, CORRUPT (protocol) */
    enum be_reply_kind kind;
    const char *bytes;
    size_t bytes_b;
    int64_t number;
    /* uv_hrtime; 0 when it never came so far. Begun, sent: the command's first and last byte
     * went to the system. First, last byte: the reply's were received. The time from
     * be_redis_send to begun_ns was spent in the client's queue. */
    kvt_ns begun_ns, sent_ns, first_byte_ns, last_byte_ns;
};

typedef void be_redis_fn(void *self, uint64_t arg, const struct be_reply *reply);

struct be_redis_command {
    uint32_t node;
    uint32_t argc;
    const char *const
        *argv; /* copied before be_redis_send returns, but with keep_last for the last */
    const size_t *argv_b;
    bool keep_last; /* the last argument stays where it is, valid until the callback: not copied */
    kvt_ns deadline_ns; /* uv_hrtime; KVT_NEVER: none */
    unsigned expect;    /* bits 1 << kind that are replies of this command; ERROR is always one */
    be_redis_fn *fn;
    void *self;
    uint64_t arg;
};

struct be_redis;

/* Connections are opened at once; commands may be sent at once. The loop is borrowed. NULL with
 * *error
 * (-ENOMEM, -EINVAL). */
KVT_MUST_CHECK struct be_redis *be_redis_new(uv_loop_t *loop, const struct be_redis_config *config,
                                             int *error);

/* Ends every command with KVT_DOWN, closes everything, and calls done (may be NULL) on the loop
 * once nothing of it is left in the loop. The object is gone then. Callbacks may call it too. */
void be_redis_close(struct be_redis *redis, void (*done)(void *self), void *self);

/* 0 and *handle (for cancel; never 0); or a negative errno, and nothing will be called: -EBUSY
 * when the node's queue is full, -ENOMEM, -EINVAL (no such node, no arguments), -ESHUTDOWN after
 * be_redis_close. An open breaker is no error: the callback says KVT_DOWN. */
KVT_MUST_CHECK int be_redis_send(struct be_redis *redis, const struct be_redis_command *command,
                                 uint64_t *handle);

/* Writes what was sent so far, as far as sockets take it. Without it the loop does at its next turn, all of a turn
 * together; whoever waits for an answer need not wait for that. Calls nobody back. */
void be_redis_flush(struct be_redis *redis);

/* True: the command's callback will not be called, and bytes kept with keep_last are no longer
 * needed (what was half written is copied). False: no such command is under way, its callback
 * was called before. */
bool be_redis_cancel(struct be_redis *redis, uint64_t handle);

struct be_redis_stats {
    uint64_t commands, replies, errors, timeouts, protocol_errors, cancelled, refused;
    uint64_t connects, disconnects, breaker_opens;
    uint64_t bytes_in, bytes_out;
    bool up; /* breaker closed */
    char refusal
        [80]; /* what the server said when it last turned a new connection away: "WRONGPASS .." */
};
void be_redis_stats(const struct be_redis *redis, uint32_t node, struct be_redis_stats *stats);

/* Called on the loop when a node's breaker opens (up false) or closes. NULL: nobody. */
void be_redis_watch(struct be_redis *redis, void (*fn)(void *self, uint32_t node, bool up),
                    void *self);

#endif
