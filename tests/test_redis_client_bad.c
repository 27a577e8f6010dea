/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_redis_client_bad.c - the Redis client against servers that say what is wrong, too much, or garbage: every command
 * ends exactly once, in time and with the right status, and the client goes on afterwards.
 */
#include "redis_scripted.h"

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
    Suite *suite = suite_create("redis client, bad answers");
    add(suite, "bad answers", bad_answer, sizeof bads / sizeof *bads);
    add(suite, "endless", endless, 6);
    add(suite, "extra reply", reply_that_nobody_waits_for, 1);
    add(suite, "garbage", garbage, 6);
    return kvt_test_main(suite);
}
