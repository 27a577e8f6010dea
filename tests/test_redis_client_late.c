/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_redis_client_late.c - the Redis client and time: replies that are late, commands that are cancelled half written,
 * servers that do not let it in, queues that are full, closing at any moment. Every command ends exactly once, in time
 * and with the right status, and the client goes on afterwards.
 */
#include "redis_scripted.h"

/* ---- Late replies ----------------------------------------------------------------------------------- */

static void serve_late(struct scripted_conn *conn, void *self)
{
    const int *late_ms = self;
    if (conn->number == 0) {
        if (!scripted_command(conn) || !scripted_sleep(conn, *late_ms) ||
            !scripted_say(conn, "$4\r\nlate\r\n"))
            return;
    }
    serve_good(conn);
}

START_TEST(late_reply_is_thrown_away)
{
    static const int late_ms = 450;
    struct ticket ticket, behind;
    struct be_redis_stats stats;
    start(serve_late, &late_ms);
    fixture_get(&ticket, "name", 300 * KVT_MILLISECOND);
    fixture_get(&behind, "behind", 5 * KVT_SECOND);
    fixture_wait(&ticket);
    ck_assert_int_eq(ticket.reply.status, KVT_TIMEOUT);
    fixture_wait(&behind);
    ck_assert_int_eq(behind.reply.status, KVT_OK);
    ck_assert_str_eq(behind.text, "fine");
    be_redis_stats(fixture.redis, 0, &stats);
    ck_assert_uint_eq(stats.connects, 1); /* the same connection */
    ck_assert_uint_eq(stats.disconnects, 0);
    stop();
}
END_TEST

START_TEST(too_late_reply_closes)
{
    static const int late_ms = 5000;
    struct ticket ticket, behind;
    start(serve_late, &late_ms);
    kvt_ns begun_ns = uv_hrtime();
    fixture_get(&ticket, "name", 100 * KVT_MILLISECOND);
    fixture_get(&behind, "behind", KVT_NEVER);
    fixture_wait(&ticket);
    ck_assert_int_eq(ticket.reply.status, KVT_TIMEOUT);
    fixture_wait(&behind);
    ck_assert_int_eq(behind.reply.status, KVT_DOWN);
    ck_assert_uint_ge(behind.at_ns - begun_ns, 200 * KVT_MILLISECOND);
    ck_assert_uint_le(behind.at_ns - begun_ns, 200 * KVT_MILLISECOND + SLACK_NS);
    check_goes_on();
    stop();
}
END_TEST

/* ---- Cancelling, and bytes that are only lent ------------------------------------------------------- */

enum { BIG_B = 1 << 20 };

static atomic_ulong big_sum;

/* Reads nothing for a while, so that a big command is stuck half way. */
static void serve_slowly(struct scripted_conn *conn, void *self)
{
    const int *ms = self;
    conn->plain = true;
    if (!scripted_command(conn) || !scripted_say(conn, "+PONG\r\n") || !scripted_sleep(conn, *ms))
        return;
    conn->plain = false;
    while (scripted_command(conn)) {
        const redisReply *words = conn->command;
        if (words->elements == 3)
            atomic_store(&big_sum, sum_of(words->element[2]->str, words->element[2]->len));
        if (!scripted_say(conn, words->elements == 3 ? "+OK\r\n" : "$4\r\nfine\r\n"))
            return;
    }
}

static char *big_value(void)
{
    char *value = malloc(BIG_B);
    ck_assert_ptr_nonnull(value);
    for (size_t i = 0; i < BIG_B; i++)
        value[i] = (char)(i * 7 + i / 255);
    return value;
}

/* What is half written is completed although its owner has gone, and the next command is understood. */
START_TEST(half_written_and_cancelled)
{
    static const int ms = 450;
    struct ticket ticket, behind;
    char *value = big_value();
    uint64_t sum = sum_of(value, BIG_B);
    start(serve_slowly, &ms);
    fixture_set(&ticket, "big", value, BIG_B, true, 5 * KVT_SECOND);
    fixture_get(&behind, "behind", 5 * KVT_SECOND);
    fixture_run(80 * KVT_MILLISECOND);
    struct be_redis_stats stats;
    be_redis_stats(fixture.redis, 0, &stats);
    ck_assert_uint_gt(stats.bytes_out, 1000);
    ck_assert_uint_lt(stats.bytes_out, BIG_B);
    ck_assert(be_redis_cancel(fixture.redis, ticket.handle));
    ck_assert(!be_redis_cancel(fixture.redis, ticket.handle));
    memset(value, 'x', BIG_B);
    free(value);
    fixture_wait(&behind);
    ck_assert_int_eq(behind.reply.status, KVT_OK);
    ck_assert_str_eq(behind.text, "fine");
    ck_assert_uint_eq(ticket.calls, 0);
    ck_assert_uint_eq(atomic_load(&big_sum), sum);
    be_redis_stats(fixture.redis, 0, &stats);
    ck_assert_uint_eq(stats.connects, 1);
    ck_assert_uint_eq(stats.cancelled, 1);
    stop();
    ck_assert_uint_eq(ticket.calls, 0);
}
END_TEST

START_TEST(half_written_and_out_of_time)
{
    static const int ms = 700;
    struct ticket ticket, behind;
    char *value = big_value();
    uint64_t sum = sum_of(value, BIG_B);
    start(serve_slowly, &ms);
    fixture_set(&ticket, "big", value, BIG_B, true, 600 * KVT_MILLISECOND);
    fixture_get(&behind, "behind", 5 * KVT_SECOND);
    fixture_wait(&ticket);
    free(value);
    ck_assert_int_eq(ticket.reply.status, KVT_TIMEOUT);
    ck_assert_uint_gt(ticket.reply.begun_ns, 0);
    ck_assert_uint_eq(ticket.reply.sent_ns, 0);
    fixture_wait(&behind);
    ck_assert_int_eq(behind.reply.status, KVT_OK);
    ck_assert_uint_eq(atomic_load(&big_sum), sum);
    stop();
}
END_TEST

static void serve_hasty(struct scripted_conn *conn, void *self)
{
    (void)self;
    conn->plain = conn->number == 0;
    if (conn->number == 0 && scripted_command(conn)) { /* PING */
        scripted_say(conn, "+PONG\r\n");
        if (scripted_poll(conn->server, conn->fd, POLLIN, -1) == 1 && scripted_say(conn, "+OK\r\n"))
            while (scripted_sleep(conn, 1000))
                ;
        return;
    }
    serve_good(conn);
}

/* An answer to what has not been asked completely is no answer. */
START_TEST(answered_before_it_was_asked)
{
    struct ticket ticket;
    char *value = big_value();
    start(serve_hasty, NULL);
    fixture_set(&ticket, "big", value, BIG_B, true, 5 * KVT_SECOND);
    fixture_wait(&ticket);
    free(value);
    ck_assert_int_eq(ticket.reply.status, KVT_CORRUPT);
    check_goes_on();
    stop();
}
END_TEST

/* Untouched commands behind it leave no trace on the wire. */
START_TEST(untouched_and_cancelled)
{
    static const int ms = 450;
    struct ticket big, tickets[40], last;
    char *value = big_value();
    start(serve_slowly, &ms);
    fixture_set(&big, "big", value, BIG_B, true, 5 * KVT_SECOND);
    for (int i = 0; i < 40; i++) /* more than the depth: some wait in the client */
        fixture_get(&tickets[i], "name", 5 * KVT_SECOND);
    fixture_get(&last, "last", 5 * KVT_SECOND);
    fixture_run(50 * KVT_MILLISECOND);
    for (int i = 0; i < 40; i++)
        ck_assert(be_redis_cancel(fixture.redis, tickets[i].handle));
    fixture_wait(&last);
    ck_assert_int_eq(last.reply.status, KVT_OK);
    ck_assert_uint_eq(big.calls, 1);
    ck_assert_int_eq(big.reply.status, KVT_OK);
    for (int i = 0; i < 40; i++)
        ck_assert_uint_eq(tickets[i].calls, 0);
    struct be_redis_stats stats;
    be_redis_stats(fixture.redis, 0, &stats);
    ck_assert_uint_lt(stats.bytes_out, BIG_B + 300);
    stop();
    free(value);
}
END_TEST

/* ---- Connecting ------------------------------------------------------------------------------------- */

static void serve_mute(struct scripted_conn *conn, void *self)
{
    (void)self;
    scripted_hang(conn);
}

START_TEST(accepts_and_never_answers)
{
    struct ticket ticket, refused;
    start_with(serve_mute, NULL, 100 * KVT_MILLISECOND);
    fixture_get(&ticket, "name", KVT_NEVER);
    fixture_wait(&ticket); /* when the breaker opens */
    ck_assert_int_eq(ticket.reply.status, KVT_DOWN);
    /* At once: in the loop's next turn. */
    fixture_get(&refused, "name", KVT_NEVER);
    uv_run(&fixture.loop, UV_RUN_NOWAIT);
    ck_assert_uint_eq(refused.calls, 1);
    ck_assert_int_eq(refused.reply.status, KVT_DOWN);
    ck_assert_uint_eq(fixture.downs, 1);
    stop();
}
END_TEST

START_TEST(deadline_before_anything_is_connected)
{
    struct ticket ticket;
    start_with(serve_mute, NULL, 5 * KVT_SECOND);
    kvt_ns begun_ns = uv_hrtime();
    fixture_get(&ticket, "name", 50 * KVT_MILLISECOND);
    fixture_wait(&ticket);
    ck_assert_int_eq(ticket.reply.status, KVT_TIMEOUT);
    ck_assert_uint_ge(ticket.at_ns - begun_ns, 50 * KVT_MILLISECOND);
    ck_assert_uint_le(ticket.at_ns - begun_ns, 50 * KVT_MILLISECOND + SLACK_NS);
    ck_assert_uint_eq(ticket.reply.begun_ns, 0);
    stop();
}
END_TEST

static void serve_refusing(struct scripted_conn *conn, void *self)
{
    conn->plain = true;
    scripted_say(conn, self);
    scripted_hang(conn);
}

START_TEST(unwelcome)
{
    static const char *const words[] = {"-ERR max number of clients reached\r\n",
                                        "-NOAUTH Authentication required.\r\n", "$4\r\nPONG\r\n",
                                        "SSH-2.0-OpenSSH_9.2\r\n"};
    struct ticket ticket;
    start_with(serve_refusing, words[_i], 5 * KVT_SECOND);
    fixture_get(&ticket, "name", KVT_NEVER);
    fixture_wait(&ticket);
    ck_assert_int_eq(ticket.reply.status, KVT_DOWN);
    stop();
}
END_TEST

static void serve_any(struct scripted_conn *conn, void *self)
{
    (void)self;
    serve_good(conn);
}

/* Nobody listens; then somebody does. */
START_TEST(breaker_opens_and_closes)
{
    struct ticket tickets[10];
    struct be_redis_stats stats;
    start(serve_any, NULL);
    check_goes_on();
    scripted_server_stop(&server);
    for (int i = 0; i < 10; i++)
        fixture_get(&tickets[i], "name", PATIENCE_NS);
    for (int i = 0; i < 10; i++) {
        fixture_wait(&tickets[i]);
        ck_assert_int_eq(tickets[i].reply.status, KVT_DOWN);
    }
    fixture_wait_up(false);
    fixture_run(200 * KVT_MILLISECOND); /* some tries in vain */
    be_redis_stats(fixture.redis, 0, &stats);
    ck_assert_uint_ge(stats.breaker_opens, 2);
    ck_assert_uint_eq(fixture.downs, 1); /* the watcher hears of changes only */
    ck_assert_uint_eq(fixture.ups, 0);
    ck_assert_int_eq(mkdir(server.folder, 0700), 0);
    char folder[sizeof server.folder];
    strcpy(folder, server.folder);
    scripted_server_start(&server, address.path, serve_any, NULL);
    fixture_wait_up(true);
    check_goes_on();
    fixture_run(10 * KVT_MILLISECOND);
    ck_assert_uint_eq(fixture.ups, 1);
    stop();
    ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

/* A server that greets and then lets every command wait must not be believed for ever. */
START_TEST(breaker_opens_on_timeouts)
{
    static const int late_ms = 100000;
    struct ticket tickets[3], refused;
    start(serve_late, &late_ms);
    for (int i = 0; i < 3; i++)
        fixture_get(&tickets[i], "name", 60 * KVT_MILLISECOND);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(fixture_wait(&tickets[i])->reply.status, KVT_TIMEOUT);
    fixture_get(&refused, "name", KVT_NEVER);
    ck_assert_int_eq(fixture_wait(&refused)->reply.status, KVT_DOWN);
    struct be_redis_stats stats;
    be_redis_stats(fixture.redis, 0, &stats);
    ck_assert_uint_eq(stats.refused, 1);
    fixture_wait_up(true);
    check_goes_on();
    stop();
}
END_TEST

/* ---- Bounds and closing ----------------------------------------------------------------------------- */

START_TEST(queue_is_bounded)
{
    enum { DEPTH = 4, QUEUE = 6 };
    static struct ticket tickets[DEPTH + QUEUE + 1];
    scripted_server_start(&server, NULL, serve_mute, NULL);
    memset(&address, 0, sizeof address);
    strcpy(address.path, server.path);
    struct be_redis_config config = small_config(&address);
    config.depth = DEPTH;
    config.queue = QUEUE;
    fixture_open(&config);
    for (int i = 0; i < QUEUE; i++)
        fixture_get(&tickets[i], "name", KVT_NEVER);
    ck_assert_int_eq(fixture_send3(&tickets[QUEUE], "GET", "name", NULL, 0, false, EXPECT_VALUE,
                                   KVT_NEVER),
                     -EBUSY);
    ck_assert(be_redis_cancel(fixture.redis, tickets[0].handle));
    fixture_get(&tickets[0], "name", KVT_NEVER);
    stop();
    for (int i = 0; i < QUEUE; i++) {
        ck_assert_uint_eq(tickets[i].calls, 1);
        ck_assert_int_eq(tickets[i].reply.status, KVT_DOWN);
    }
    ck_assert_uint_eq(tickets[QUEUE].calls, 0);
}
END_TEST

static void on_close_all(void *self, uint64_t arg, const struct be_reply *reply)
{
    on_ticket(self, arg, reply);
    be_redis_close(fixture.redis, on_done, NULL);
    fixture.redis = NULL;
}

/* The whole client goes while a reply is being handed over, with more behind it in the same buffer. */
START_TEST(closed_from_a_callback)
{
    struct ticket tickets[12];
    const char *argv[] = {"GET", "name"};
    const size_t argv_b[] = {3, 4};
    start(serve_any, NULL);
    check_goes_on();
    for (int i = 0; i < 12; i++) {
        struct be_redis_command command = fixture_command(&tickets[i], EXPECT_VALUE, PATIENCE_NS);
        command.argc = 2;
        command.argv = argv;
        command.argv_b = argv_b;
        if (i == _i)
            command.fn = on_close_all;
        ck_assert_int_eq(be_redis_send(fixture.redis, &command, &tickets[i].handle), 0);
    }
    while (fixture.redis)
        uv_run(&fixture.loop, UV_RUN_ONCE);
    stop();
    for (int i = 0; i < 12; i++) {
        ck_assert_uint_eq(tickets[i].calls, 1);
        ck_assert_int_eq(tickets[i].reply.status, i <= _i ? KVT_OK : KVT_DOWN);
    }
}
END_TEST

START_TEST(closed_at_once)
{
    start_with(serve_any, NULL, 5 * KVT_SECOND);
    struct ticket ticket = {0};
    if (_i > 0)
        fixture_get(&ticket, "name", KVT_NEVER);
    for (int i = 1; i < _i; i++)
        uv_run(&fixture.loop, UV_RUN_NOWAIT);
    stop();
    ck_assert_uint_eq(ticket.calls, _i > 0);
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *test, int n)
{
    TCase *tcase = tcase_create(name);
    tcase_add_loop_test(tcase, test, 0, n);
    suite_add_tcase(suite, tcase);
}

int main(void)
{
    Suite *suite = suite_create("redis client, late");
    add(suite, "late", late_reply_is_thrown_away, 1);
    add(suite, "too late", too_late_reply_closes, 1);
    add(suite, "cancel half written", half_written_and_cancelled, 1);
    add(suite, "time out half written", half_written_and_out_of_time, 1);
    add(suite, "hasty", answered_before_it_was_asked, 1);
    add(suite, "cancel untouched", untouched_and_cancelled, 1);
    add(suite, "mute", accepts_and_never_answers, 1);
    add(suite, "deadline", deadline_before_anything_is_connected, 1);
    add(suite, "unwelcome", unwelcome, 4);
    add(suite, "breaker", breaker_opens_and_closes, 1);
    add(suite, "breaker on timeouts", breaker_opens_on_timeouts, 1);
    add(suite, "queue", queue_is_bounded, 1);
    add(suite, "close in callback", closed_from_a_callback, 12);
    add(suite, "close at once", closed_at_once, 8);
    return kvt_test_main(suite);
}
