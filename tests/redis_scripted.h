/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * redis_scripted.h - the Redis client with a scripted server (scripted_server.h) at the other end. Usually the first
 * connection is bad, and all later ones are good.
 */
#ifndef TEST_REDIS_SCRIPTED_H
#define TEST_REDIS_SCRIPTED_H

#include "../core/mix.h"
#include "redis_fixture.h"
#include "scripted_server.h"

static struct scripted_server server;
static struct be_redis_address address;

static const kvt_ns PATIENCE_NS = 300 * KVT_MILLISECOND;
/* A timer's tick, and a machine that is busy. */
static const kvt_ns SLACK_NS = 500 * KVT_MILLISECOND;

static inline void serve_good(struct scripted_conn *conn)
{
    while (scripted_command(conn) && scripted_say(conn, "$4\r\nfine\r\n"))
        ;
}

static inline void start_with(scripted_fn *fn, const void *self, kvt_ns connect_timeout_ns)
{
    void *plain;
    memcpy(&plain, &self, sizeof plain);
    scripted_server_start(&server, NULL, fn, plain);
    memset(&address, 0, sizeof address);
    strcpy(address.path, server.path);
    struct be_redis_config config = small_config(&address);
    config.connect_timeout_ns = connect_timeout_ns;
    fixture_open(&config);
}

/* And connected. */
static inline void start(scripted_fn *fn, const void *self)
{
    start_with(fn, self, 5 * KVT_SECOND);
    fixture_wait_connected();
}

static inline void stop(void)
{
    fixture_close();
    scripted_server_stop(&server);
}

static inline void check_in_time(const struct ticket *ticket, kvt_ns begun_ns)
{
    ck_assert_uint_le(ticket->at_ns, begun_ns + PATIENCE_NS + SLACK_NS);
}

static inline void check_goes_on(void)
{
    struct ticket ticket;
    fixture_get(&ticket, "again", 5 * KVT_SECOND);
    fixture_wait(&ticket);
    ck_assert_int_eq(ticket.reply.status, KVT_OK);
    ck_assert_str_eq(ticket.text, "fine");
}

#endif
