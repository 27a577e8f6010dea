/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_redis_client_bad.c - the Redis client against servers that misbehave: every command ends exactly once, in
 * time and with the right status, and the client goes on afterwards.
 *
 * The servers are scripted (scripted_server.h). Usually the first connection is bad, and all later ones are good.
 */
#include "../core/mix.h"
#include "redis_fixture.h"
#include "scripted_server.h"

static struct scripted_server server;
static struct be_redis_address address;

static const kvt_ns PATIENCE_NS = 300 * KVT_MILLISECOND;
/* A timer's tick, and a machine that is busy. */
static const kvt_ns SLACK_NS = 500 * KVT_MILLISECOND;

static void serve_good(struct scripted_conn *conn)
{
    while (scripted_command(conn) && scripted_say(conn, "$4\r\nfine\r\n"))
        ;
}

static void start_with(scripted_fn *fn, const void *self, kvt_ns connect_timeout_ns)
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
static void start(scripted_fn *fn, const void *self)
{
    start_with(fn, self, 5 * KVT_SECOND);
    fixture_wait_connected();
}

static void stop(void)
{
    fixture_close();
    scripted_server_stop(&server);
}

static void check_in_time(const struct ticket *ticket, kvt_ns begun_ns)
{
    ck_assert_uint_le(ticket->at_ns, begun_ns + PATIENCE_NS + SLACK_NS);
}

static void check_goes_on(void)
{
    struct ticket ticket;
    fixture_get(&ticket, "again", 5 * KVT_SECOND);
    fixture_wait(&ticket);
    ck_assert_int_eq(ticket.reply.status, KVT_OK);
    ck_assert_str_eq(ticket.text, "fine");
}

/* ---- One bad answer --------------------------------------------------------------------------------- */

enum how { SAY, SAY_AND_CLOSE, DRIP };

static const struct bad {
    const char *bytes;
    enum how how;
    enum kvt_status status;
    enum be_reply_kind kind;
    const char *text;
} bads[] = {
    /* Not what was asked for, or no Redis at all. */
    {"+OK\r\n", SAY, KVT_CORRUPT, BE_REPLY_NONE, ""},
    {":5\r\n", SAY, KVT_CORRUPT, BE_REPLY_NONE, ""},
    {"*1\r\n$1\r\na\r\n", SAY, KVT_CORRUPT, BE_REPLY_NONE, ""},
    {"*0\r\n", SAY, KVT_CORRUPT, BE_REPLY_NONE, ""},
    {"*-1\r\n", SAY, KVT_CORRUPT, BE_REPLY_NONE, ""},
    {"*2147483647\r\n*2147483647\r\n*2147483647\r\n", SAY, KVT_CORRUPT, BE_REPLY_NONE, ""},
    {"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n", SAY, KVT_CORRUPT,
     BE_REPLY_NONE, ""},
    {">2\r\n+message\r\n+x\r\n", SAY, KVT_CORRUPT, BE_REPLY_NONE, ""},
    {"_\r\n", SAY, KVT_CORRUPT, BE_REPLY_NONE, ""},
    {"HTTP/1.1 400 Bad Request\r\n\r\n", SAY, KVT_CORRUPT, BE_REPLY_NONE, ""},
    {"\r\n", SAY, KVT_CORRUPT, BE_REPLY_NONE, ""},
    {"\001\002\377\376", SAY, KVT_CORRUPT, BE_REPLY_NONE, ""},
    /* Lengths. */
    {"$999999999999\r\n", SAY, KVT_CORRUPT, BE_REPLY_NONE, ""},
    {"$9223372036854775807\r\n", SAY, KVT_CORRUPT, BE_REPLY_NONE, ""},
    {"$99999999999999999999\r\n", SAY, KVT_CORRUPT, BE_REPLY_NONE, ""},
    {"$1048577\r\n", SAY, KVT_CORRUPT, BE_REPLY_NONE, ""},
    {"$-2\r\n", SAY, KVT_CORRUPT, BE_REPLY_NONE, ""},
    {"$+3\r\nabc\r\n", SAY, KVT_CORRUPT, BE_REPLY_NONE, ""},
    {"$3x\r\nabc\r\n", SAY, KVT_CORRUPT, BE_REPLY_NONE, ""},
    {"$\r\nabc\r\n", SAY, KVT_CORRUPT, BE_REPLY_NONE, ""},
    {"$0000000000000000000000000000000000000003", SAY, KVT_CORRUPT, BE_REPLY_NONE, ""},
    {"$3\r\nabcXYZ", SAY, KVT_CORRUPT, BE_REPLY_NONE, ""},
    {"$3\r\nabc\n\n$1\r\na\r\n", SAY, KVT_CORRUPT, BE_REPLY_NONE, ""},
    /* Ends too early. */
    {"", SAY_AND_CLOSE, KVT_DOWN, BE_REPLY_NONE, ""},
    {"$", SAY_AND_CLOSE, KVT_DOWN, BE_REPLY_NONE, ""},
    {"$1048576\r\nabc", SAY_AND_CLOSE, KVT_DOWN, BE_REPLY_NONE, ""},
    {"$3\r\nabc\r", SAY_AND_CLOSE, KVT_DOWN, BE_REPLY_NONE, ""},
    {"-ERR half a line", SAY_AND_CLOSE, KVT_DOWN, BE_REPLY_NONE, ""},
    /* Stalls. */
    {"", SAY, KVT_TIMEOUT, BE_REPLY_NONE, ""},
    {"$", SAY, KVT_TIMEOUT, BE_REPLY_NONE, ""},
    {"$1048576\r\nabc", SAY, KVT_TIMEOUT, BE_REPLY_NONE, ""},
    {"$3\r\nabc", SAY, KVT_TIMEOUT, BE_REPLY_NONE, ""},
    /* Slow, odd, but right. */
    {"$3\r\nabc\r\n", DRIP, KVT_OK, BE_REPLY_VALUE, "abc"},
    {"$0\r\n\r\n", DRIP, KVT_OK, BE_REPLY_VALUE, ""},
    {"$-1\r\n", DRIP, KVT_OK, BE_REPLY_NIL, ""},
    {"$3\r\n\r\n\r\r\n", SAY, KVT_OK, BE_REPLY_VALUE, "\r\n\r"},
    {"-OOM command not allowed\r\n", SAY, KVT_OK, BE_REPLY_ERROR, "OOM command not allowed"},
    {"-LOADING a dataset\r\n", DRIP, KVT_OK, BE_REPLY_ERROR, "LOADING a dataset"},
    {"-\r\n", SAY, KVT_OK, BE_REPLY_ERROR, ""},
};

static void serve_bad(struct scripted_conn *conn, void *self)
{
    const struct bad *bad = self;
    if (conn->number == 0) {
        if (!scripted_command(conn))
            return;
        bool said =
            bad->how == DRIP ? scripted_drip(conn, bad->bytes, 1) : scripted_say(conn, bad->bytes);
        if (!said || bad->how == SAY_AND_CLOSE)
            return;
        if (bad->status != KVT_OK) {
            scripted_hang(conn);
            return;
        }
    }
    serve_good(conn);
}

START_TEST(bad_answer)
{
    const struct bad *bad = &bads[_i];
    struct ticket ticket, behind;
    struct be_redis_stats stats;
    start(serve_bad, bad);
    kvt_ns begun_ns = uv_hrtime();
    fixture_get(&ticket, "name", PATIENCE_NS);
    fixture_get(&behind, "behind", PATIENCE_NS);
    fixture_wait(&ticket);
    ck_assert_int_eq(ticket.reply.status, bad->status);
    ck_assert_int_eq(ticket.reply.kind, bad->kind);
    ck_assert_str_eq(ticket.text, bad->text);
    check_in_time(&ticket, begun_ns);
    fixture_wait(&behind);
    check_in_time(&behind, begun_ns);
    ck_assert_int_eq(behind.reply.status, bad->status == KVT_CORRUPT ? KVT_DOWN : bad->status);
    be_redis_stats(fixture.redis, 0, &stats);
    ck_assert_uint_eq(stats.protocol_errors, bad->status == KVT_CORRUPT);
    ck_assert_uint_eq(stats.timeouts, bad->status == KVT_TIMEOUT ? 2 : 0);
    check_goes_on();
    stop();
}
END_TEST

/* ---- Lines and lengths without end ------------------------------------------------------------------ */

static void serve_endless(struct scripted_conn *conn, void *self)
{
    const char *begin = self;
    char block[4096];
    memset(block, 'a', sizeof block);
    if (conn->number > 0) {
        serve_good(conn);
        return;
    }
    if (scripted_command(conn) && scripted_say(conn, begin))
        while (scripted_send(conn, block, sizeof block))
            ;
}

START_TEST(endless)
{
    static const char *const begins[] = {"+", "-ERR ", "$12345", "*", ":1", "$1000000000\r\n"};
    struct ticket ticket;
    start(serve_endless, begins[_i]);
    fixture_get(&ticket, "name", KVT_NEVER);
    fixture_wait(&ticket);
    ck_assert_int_eq(ticket.reply.status, KVT_CORRUPT);
    check_goes_on();
    struct be_redis_stats stats;
    be_redis_stats(fixture.redis, 0, &stats);
    ck_assert_uint_le(stats.bytes_in, 300000); /* (K1) */
    stop();
}
END_TEST

/* ---- More replies than commands --------------------------------------------------------------------- */

static void serve_twice(struct scripted_conn *conn, void *self)
{
    (void)self;
    if (conn->number == 0 && scripted_command(conn))
        scripted_say(conn, "$4\r\nfine\r\n$5\r\nextra\r\n");
    serve_good(conn);
}

START_TEST(reply_that_nobody_waits_for)
{
    struct ticket ticket;
    struct be_redis_stats stats;
    start(serve_twice, NULL);
    fixture_get(&ticket, "name", PATIENCE_NS);
    fixture_wait(&ticket);
    ck_assert_int_eq(ticket.reply.status, KVT_OK);
    ck_assert_str_eq(ticket.text, "fine");
    do {
        uv_run(&fixture.loop, UV_RUN_ONCE);
        be_redis_stats(fixture.redis, 0, &stats);
    } while (stats.disconnects == 0);
    ck_assert_uint_eq(stats.protocol_errors, 1);
    ck_assert_uint_eq(stats.disconnects, 1);
    check_goes_on();
    stop();
}
END_TEST

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

/* ---- Garbage ---------------------------------------------------------------------------------------- */

/* Answers each command with a good reply, of which a few bytes were changed, left out or doubled, in pieces. */
static void serve_garbage(struct scripted_conn *conn, void *self)
{
    static const char *const good[] = {
        "$4\r\nfine\r\n", "$-1\r\n",  "-ERR no\r\n",
        "+OK\r\n",        ":-12\r\n", "$30\r\n+OK\r\n:1\r\n$-1\r\n*1\r\n$1\r\na\r\nxyz\r\n"};
    const uint64_t *seed = self;
    uint64_t draw = kvt_mix64(*seed * 1000 + conn->number);
    while (scripted_command(conn)) {
        char bytes[96];
        const char *from = good[(draw = kvt_mix64(draw + 1)) % (sizeof good / sizeof *good)];
        size_t n = 0;
        for (; *from; from++) {
            draw = kvt_mix64(draw + 1);
            if (draw % 64 == 0)
                continue;
            bytes[n++] = draw % 64 == 1 ? (char)(draw >> 32) : *from;
            if (draw % 64 == 2)
                bytes[n++] = *from;
        }
        size_t cut = draw % (n + 1);
        if (!scripted_send(conn, bytes, cut) || (draw % 8 == 0 && !scripted_sleep(conn, 1)) ||
            !scripted_send(conn, bytes + cut, n - cut) || draw % 97 == 0)
            return;
    }
}

START_TEST(garbage)
{
    enum { N = 400 };
    static struct ticket tickets[N];
    uint64_t seed = (uint64_t)_i + 1, by_status[KVT_STATUSES] = {0};
    scripted_server_start(&server, NULL, serve_garbage, &seed);
    memset(&address, 0, sizeof address);
    strcpy(address.path, server.path);
    struct be_redis_config config = small_config(&address);
    config.connections = 2;
    config.breaker_failures = UINT32_MAX;
    config.breaker_pause_ns = KVT_MILLISECOND; /* the longest pause between attempts, too */
    fixture_open(&config);
    for (int i = 0; i < N; i++) {
        fixture_get(&tickets[i], "name", 100 * KVT_MILLISECOND);
        if (i % 4 == 3)
            fixture_wait(&tickets[i]);
    }
    for (int i = 0; i < N; i++) {
        by_status[fixture_wait(&tickets[i])->reply.status]++;
        if (tickets[i].reply.kind == BE_REPLY_VALUE)
            ck_assert_uint_le(tickets[i].reply.bytes_b, 1 << 20);
    }
    ck_assert_uint_gt(by_status[KVT_OK], 0);
    ck_assert_uint_gt(by_status[KVT_CORRUPT], 0);
    ck_assert_uint_eq(by_status[KVT_OK] + by_status[KVT_CORRUPT] + by_status[KVT_DOWN] +
                          by_status[KVT_TIMEOUT],
                      N);
    stop();
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
    Suite *suite = suite_create("redis client, bad servers");
    add(suite, "bad answers", bad_answer, sizeof bads / sizeof *bads);
    add(suite, "endless", endless, 6);
    add(suite, "extra reply", reply_that_nobody_waits_for, 1);
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
    add(suite, "garbage", garbage, 6);
    return kvt_test_main(suite);
}
