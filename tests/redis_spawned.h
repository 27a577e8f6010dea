/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * redis_spawned.h - the Redis client with a private server of its own, and values that follow from their names, so that a
 * byte in the wrong place is noticed.
 */
#ifndef TEST_REDIS_SPAWNED_H
#define TEST_REDIS_SPAWNED_H

#include "../backend/spawn.h"
#include "../core/mix.h"
#include "redis_fixture.h"

static struct be_spawn *servers;

static inline void start_servers(uint32_t n, uint64_t memory_b)
{
    char error[512] = "";
    servers = be_spawn_new(&(struct be_spawn_config){.n = n, .memory_b = memory_b, .evicts = false},
                           error, sizeof error);
    ck_assert_msg(servers != NULL, "%s", error);
}

static inline void start(uint32_t connections, size_t max_value_b)
{
    start_servers(1, UINT64_MAX);
    struct be_redis_config config = small_config(be_spawn_address(servers, 0));
    config.connections = connections;
    config.max_value_b = max_value_b;
    fixture_open(&config);
}

static inline void stop(void)
{
    fixture_close();
    be_spawn_free(servers);
}

static const kvt_ns LONG_NS = 20 * KVT_SECOND;

static inline char *make_value(uint64_t seed, size_t n)
{
    char *value = malloc(n + 8);
    ck_assert_ptr_nonnull(value);
    for (size_t i = 0; i < n; i += 8) {
        uint64_t word = kvt_mix64(seed + i);
        memcpy(value + i, &word, 8);
    }
    return value;
}

static inline void check_ok(struct ticket *ticket, enum be_reply_kind kind)
{
    fixture_wait(ticket);
    ck_assert_int_eq(ticket->reply.status, KVT_OK);
    ck_assert_int_eq(ticket->reply.kind, kind);
}

/* One command and its reply, all in words. */
static inline struct ticket say(const char *verb, const char *name, const char *value,
                                unsigned expect)
{
    struct ticket ticket;
    ck_assert_int_eq(fixture_send3(&ticket, verb, name, value, value ? strlen(value) : 0, false,
                                   expect, LONG_NS),
                     0);
    fixture_wait(&ticket);
    return ticket;
}

#endif
