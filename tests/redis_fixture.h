/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * redis_fixture.h - a client on a loop of its own, and tickets that note how a command ended.
 */
#ifndef REDIS_FIXTURE_H
#define REDIS_FIXTURE_H

#include <errno.h>
#include <string.h>

#include "../backend/redis.h"
#include "kvt_test.h"

/* What became of one command. */
struct ticket {
    unsigned calls;
    struct be_reply reply; /* bytes is NULL: they were borrowed */
    char text[64];         /* their beginning */
    uint64_t sum;          /* of all of them */
    kvt_ns at_ns;
    uint64_t handle;
};

struct fixture {
    uv_loop_t loop;
    uv_timer_t ticker; /* so that waiting ends */
    struct be_redis *redis;
    bool inside, done;
    unsigned ups, downs;
};

static struct fixture fixture;

static inline uint64_t sum_of(const char *bytes, size_t n)
{
    uint64_t sum = n;
    for (size_t i = 0; i < n; i++)
        sum = sum * 31 + (unsigned char)bytes[i];
    return sum;
}

static inline void on_ticket(void *self, uint64_t arg, const struct be_reply *reply)
{
    struct ticket *ticket = self;
    ck_assert(!fixture.inside); /* (R1) */
    ck_assert_uint_eq(arg, (uintptr_t)ticket);
    ticket->calls++;
    ck_assert_uint_eq(ticket->calls, 1);
    ticket->reply = *reply;
    ticket->reply.bytes = NULL;
    ticket->at_ns = uv_hrtime();
    ck_assert((reply->status == KVT_OK) == (reply->kind != BE_REPLY_NONE));
    if (reply->bytes) {
        size_t n = reply->bytes_b < sizeof ticket->text ? reply->bytes_b : sizeof ticket->text - 1;
        memcpy(ticket->text, reply->bytes, n);
        ticket->text[n] = '\0';
        ticket->sum = sum_of(reply->bytes, reply->bytes_b);
    }
    if (reply->status == KVT_OK) {
        ck_assert_uint_gt(reply->begun_ns, 0);
        ck_assert_uint_le(reply->begun_ns, reply->sent_ns);
        ck_assert_uint_le(reply->first_byte_ns, reply->last_byte_ns);
        ck_assert_uint_le(reply->sent_ns, reply->last_byte_ns);
    }
}

static inline void on_tick(uv_timer_t *ticker)
{
    (void)ticker;
}

static inline void on_watch(void *self, uint32_t node, bool up)
{
    (void)self;
    (void)node;
    if (up)
        fixture.ups++;
    else
        fixture.downs++;
}

/* Small times, so that tests are short. */
static inline struct be_redis_config small_config(const struct be_redis_address *nodes)
{
    return (struct be_redis_config){
        .nodes = nodes,
        .n_nodes = 1,
        .connections = 1,
        .depth = 16,
        .max_value_b = 1 << 20,
        .connect_timeout_ns = 5 * KVT_SECOND,
        .breaker_failures = 3,
        .breaker_pause_ns = 50 * KVT_MILLISECOND,
        .breaker_most_ns = 200 * KVT_MILLISECOND,
    };
}

static inline void fixture_open(const struct be_redis_config *config)
{
    int error;
    memset(&fixture, 0, sizeof fixture);
    ck_assert_int_eq(uv_loop_init(&fixture.loop), 0);
    uv_timer_init(&fixture.loop, &fixture.ticker);
    uv_timer_start(&fixture.ticker, on_tick, 2, 2);
    fixture.redis = be_redis_new(&fixture.loop, config, &error);
    ck_assert_ptr_nonnull(fixture.redis);
    ck_assert_int_eq(error, 0);
    be_redis_watch(fixture.redis, on_watch, NULL);
}

static inline void on_done(void *self)
{
    (void)self;
    fixture.done = true;
}

/* Closes and shows that nothing is left in the loop. */
static inline void fixture_close(void)
{
    if (fixture.redis)
        be_redis_close(fixture.redis, on_done, NULL);
    uv_close((uv_handle_t *)&fixture.ticker, NULL);
    uv_run(&fixture.loop, UV_RUN_DEFAULT);
    ck_assert(fixture.done);
    ck_assert_int_eq(uv_loop_close(&fixture.loop), 0);
}

static inline struct be_redis_command fixture_command(struct ticket *ticket, unsigned expect,
                                                      kvt_ns patience_ns)
{
    *ticket = (struct ticket){0};
    return (struct be_redis_command){
        .deadline_ns = patience_ns == KVT_NEVER ? KVT_NEVER : uv_hrtime() + patience_ns,
        .expect = expect,
        .fn = on_ticket,
        .self = ticket,
        .arg = (uintptr_t)ticket,
    };
}

/* SET name to value, or another command of three words. */
static inline int fixture_send3(struct ticket *ticket, const char *verb, const char *name,
                                const char *value, size_t value_b, bool keep, unsigned expect,
                                kvt_ns patience_ns)
{
    struct be_redis_command command = fixture_command(ticket, expect, patience_ns);
    const char *argv[] = {verb, name, value};
    const size_t argv_b[] = {strlen(verb), strlen(name), value_b};
    command.argc = value ? 3 : 2;
    command.argv = argv;
    command.argv_b = argv_b;
    command.keep_last = keep;
    fixture.inside = true;
    int rc = be_redis_send(fixture.redis, &command, &ticket->handle);
    fixture.inside = false;
    return rc;
}

enum {
    EXPECT_VALUE = 1 << BE_REPLY_VALUE | 1 << BE_REPLY_NIL,
    EXPECT_STATUS = 1 << BE_REPLY_STATUS,
    EXPECT_NUMBER = 1 << BE_REPLY_NUMBER
};

static inline void fixture_get(struct ticket *ticket, const char *name, kvt_ns patience_ns)
{
    ck_assert_int_eq(fixture_send3(ticket, "GET", name, NULL, 0, false, EXPECT_VALUE, patience_ns),
                     0);
}

static inline void fixture_set(struct ticket *ticket, const char *name, const char *value,
                               size_t value_b, bool keep, kvt_ns patience_ns)
{
    ck_assert_int_eq(fixture_send3(ticket, "SET", name, value, value_b, keep, EXPECT_STATUS,
                                   patience_ns),
                     0);
}

/* Runs the loop for a while. */
static inline void fixture_run(kvt_ns while_ns)
{
    for (kvt_ns until_ns = uv_hrtime() + while_ns; uv_hrtime() < until_ns;)
        uv_run(&fixture.loop, UV_RUN_ONCE);
}

/* Runs until the command ended, and fails after ten seconds. */
static inline const struct ticket *fixture_wait(const struct ticket *ticket)
{
    for (kvt_ns until_ns = uv_hrtime() + 10 * KVT_SECOND; ticket->calls == 0;) {
        ck_assert_msg(uv_hrtime() < until_ns, "a callback did not come");
        uv_run(&fixture.loop, UV_RUN_ONCE);
    }
    return ticket;
}

/* Runs until a connection is of use. */
static inline void fixture_wait_connected(void)
{
    struct be_redis_stats stats = {0};
    for (kvt_ns until_ns = uv_hrtime() + 10 * KVT_SECOND; stats.connects == 0;) {
        ck_assert_msg(uv_hrtime() < until_ns, "no connection");
        uv_run(&fixture.loop, UV_RUN_ONCE);
        be_redis_stats(fixture.redis, 0, &stats);
    }
}

/* Runs until the node is up (or down). */
static inline void fixture_wait_up(bool up)
{
    struct be_redis_stats stats;
    kvt_ns until_ns = uv_hrtime() + 10 * KVT_SECOND;
    for (;;) {
        be_redis_stats(fixture.redis, 0, &stats);
        if (stats.up == up)
            return;
        ck_assert_msg(uv_hrtime() < until_ns, "the breaker did not move");
        uv_run(&fixture.loop, UV_RUN_ONCE);
    }
}

#endif
