/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_redis_client.c - the Redis client against real servers: values, replies, pipelines, logging in, TCP.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

#include "redis_spawned.h"

START_TEST(values_of_all_sizes)
{
    static const size_t sizes[] = {
        0,     1,     5,      1023,    1024,          1025,    65519,
        65536, 65537, 200000, 1 << 20, (1 << 20) + 1, 5 << 20, (8 << 20) - 1};
    start(2, 8 << 20);
    for (int keep = 0; keep <= 1; keep++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            struct ticket set, get;
            char *value = make_value(i, sizes[i]);
            uint64_t sum = sum_of(value, sizes[i]);
            fixture_set(&set, "name", value, sizes[i], keep, LONG_NS);
            if (!keep) { /* it was copied */
                memset(value, 0, sizes[i]);
                free(value);
            }
            check_ok(&set, BE_REPLY_STATUS);
            ck_assert_str_eq(set.text, "OK");
            fixture_get(&get, "name", LONG_NS);
            check_ok(&get, BE_REPLY_VALUE);
            ck_assert_uint_eq(get.reply.bytes_b, sizes[i]);
            ck_assert_uint_eq(get.sum, sum);
            if (keep)
                free(value);
        }
    stop();
}
END_TEST

START_TEST(kinds_of_replies)
{
    start(1, 1024);
    struct ticket t = say("GET", "nothing", NULL, EXPECT_VALUE);
    ck_assert_int_eq(t.reply.kind, BE_REPLY_NIL);
    t = say("APPEND", "list", "12345", EXPECT_NUMBER);
    ck_assert_int_eq(t.reply.kind, BE_REPLY_NUMBER);
    ck_assert_int_eq(t.reply.number, 5);
    t = say("INCRBY", "n", "-9223372036854775808", EXPECT_NUMBER);
    ck_assert_int_eq(t.reply.number, INT64_MIN);
    t = say("LPUSH", "list", "x", EXPECT_NUMBER);
    ck_assert_int_eq(t.reply.status, KVT_OK);
    ck_assert_int_eq(t.reply.kind, BE_REPLY_ERROR);
    ck_assert_int_eq(strncmp(t.text, "WRONGTYPE", 9), 0);
    t = say("NONSENSE", "x", NULL, EXPECT_VALUE);
    ck_assert_int_eq(t.reply.kind, BE_REPLY_ERROR);
    t = say("CONFIG", "GET", "maxmemory", EXPECT_VALUE); /* an array */
    ck_assert_int_eq(t.reply.status, KVT_CORRUPT);
    t = say("DEL", "list", "n", EXPECT_NUMBER);
    ck_assert_int_eq(t.reply.number, 2);
    struct be_redis_stats stats;
    be_redis_stats(fixture.redis, 0, &stats);
    ck_assert_uint_eq(stats.commands, 7);
    ck_assert_uint_eq(stats.replies, 6);
    ck_assert_uint_eq(stats.errors, 2);
    ck_assert_uint_eq(stats.protocol_errors, 1);
    ck_assert_uint_eq(stats.connects, 2);
    ck_assert(stats.up);
    stop();
}
END_TEST

START_TEST(longest_value_and_one_byte_more)
{
    start(1, 100000);
    char *value = make_value(1, 100001);
    struct ticket t;
    fixture_set(&t, "long", value, 100000, true, LONG_NS);
    check_ok(&t, BE_REPLY_STATUS);
    fixture_set(&t, "longer", value, 100001, true, LONG_NS);
    check_ok(&t, BE_REPLY_STATUS);
    fixture_get(&t, "long", LONG_NS);
    check_ok(&t, BE_REPLY_VALUE);
    fixture_get(&t, "longer", LONG_NS);
    ck_assert_int_eq(fixture_wait(&t)->reply.status, KVT_CORRUPT);
    fixture_get(&t, "long", LONG_NS);
    check_ok(&t, BE_REPLY_VALUE);
    free(value);
    stop();
}
END_TEST

START_TEST(full_server_says_so)
{
    start_servers(1, 3 << 20);
    struct be_redis_config config = small_config(be_spawn_address(servers, 0));
    fixture_open(&config);
    char *value = make_value(1, 500000);
    bool full = false;
    for (int i = 0; i < 20; i++) {
        char name[8];
        struct ticket t;
        snprintf(name, sizeof name, "%d", i);
        fixture_set(&t, name, value, 500000, true, LONG_NS);
        fixture_wait(&t);
        ck_assert_int_eq(t.reply.status, KVT_OK);
        full |= t.reply.kind == BE_REPLY_ERROR && strncmp(t.text, "OOM", 3) == 0;
    }
    ck_assert(full);
    free(value);
    stop();
}
END_TEST

/* Thousands at once over several connections, replies in order within each: values are those of their names. */
START_TEST(deep_pipelines)
{
    enum { N = 2000, VALUE_B = 3001 };
    static struct ticket tickets[N];
    start(3, 1 << 20);
    char *values[N];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < N; i++) {
            char name[16];
            snprintf(name, sizeof name, "name:%d", i);
            if (round == 0) {
                values[i] = make_value((uint64_t)i, VALUE_B);
                fixture_set(&tickets[i], name, values[i], VALUE_B, i % 2, LONG_NS);
            } else {
                fixture_get(&tickets[i], name, LONG_NS);
            }
        }
        for (int i = 0; i < N; i++) {
            check_ok(&tickets[i], round == 0 ? BE_REPLY_STATUS : BE_REPLY_VALUE);
            if (round == 1)
                ck_assert_uint_eq(tickets[i].sum, sum_of(values[i], VALUE_B));
        }
    }
    for (int i = 0; i < N; i++)
        free(values[i]);
    stop();
}
END_TEST

/* More arguments than a small array holds. */
START_TEST(many_arguments)
{
    enum { N = 300 };
    const char *argv[N + 1] = {"DEL"};
    size_t argv_b[N + 1] = {3};
    start(1, 1024);
    for (int i = 1; i <= N; i++) {
        argv[i] = i % 2 ? "a" : "bb";
        argv_b[i] = i % 2 ? 1 : 2;
    }
    say("SET", "bb", "1", EXPECT_STATUS);
    for (int keep = 0; keep <= 1; keep++) {
        struct ticket ticket;
        struct be_redis_command command = fixture_command(&ticket, EXPECT_NUMBER, LONG_NS);
        command.argc = N + 1;
        command.argv = argv;
        command.argv_b = argv_b;
        command.keep_last = keep;
        ck_assert_int_eq(be_redis_send(fixture.redis, &command, &ticket.handle), 0);
        check_ok(&ticket, BE_REPLY_NUMBER);
        ck_assert_int_eq(ticket.reply.number, keep ? 0 : 1);
    }
    stop();
}
END_TEST

START_TEST(refused_calls)
{
    int error = 0;
    start(1, 1024);
    struct ticket ticket;
    struct be_redis_command command = fixture_command(&ticket, EXPECT_VALUE, LONG_NS);
    uint64_t handle;
    ck_assert_int_eq(be_redis_send(fixture.redis, &command, &handle), -EINVAL);
    command.argc = 1;
    command.argv = (const char *const[]){"PING"};
    command.argv_b = (const size_t[]){4};
    command.node = 1;
    ck_assert_int_eq(be_redis_send(fixture.redis, &command, &handle), -EINVAL);
    ck_assert(!be_redis_cancel(fixture.redis, 0));
    ck_assert(!be_redis_cancel(fixture.redis, 1));
    ck_assert(!be_redis_cancel(fixture.redis, UINT64_MAX));
    struct be_redis_config bad = small_config(be_spawn_address(servers, 0));
    bad.connections = 0;
    ck_assert_ptr_null(be_redis_new(&fixture.loop, &bad, &error));
    ck_assert_int_eq(error, -EINVAL);
    bad = small_config(be_spawn_address(servers, 0));
    bad.max_value_b = (size_t)BE_REDIS_VALUE_MOST_B + 1;
    ck_assert_ptr_null(be_redis_new(&fixture.loop, &bad, &error));
    ck_assert_int_eq(error, -EINVAL);
    stop();
}
END_TEST

/* ---- Logging in, TCP -------------------------------------------------------------------------------- */

static void reopen(const struct be_redis_address *address)
{
    fixture_close();
    struct be_redis_config config = small_config(address);
    fixture_open(&config);
}

START_TEST(password_user_and_database)
{
    start(1, 1024);
    struct be_redis_address address = *be_spawn_address(servers, 0);
    const char *argv[] = {"ACL", "SETUSER", "kim", "on", ">p w%", "~*", "+get", "+set", "+select"};
    const size_t argv_b[] = {3, 7, 3, 2, 5, 2, 4, 4, 7};
    struct ticket t;
    struct be_redis_command command = fixture_command(&t, EXPECT_STATUS, LONG_NS);
    command.argc = sizeof argv / sizeof *argv;
    command.argv = argv;
    command.argv_b = argv_b;
    ck_assert_int_eq(be_redis_send(fixture.redis, &command, &t.handle), 0);
    check_ok(&t, BE_REPLY_STATUS);
    say("SET", "where", "in 0", EXPECT_STATUS);
    const char *config[] = {"CONFIG", "SET", "requirepass", "secret"};
    command = fixture_command(&t, EXPECT_STATUS, LONG_NS);
    command.argc = 4;
    command.argv = config;
    command.argv_b = (const size_t[]){6, 3, 11, 6};
    ck_assert_int_eq(be_redis_send(fixture.redis, &command, &t.handle), 0);
    check_ok(&t, BE_REPLY_STATUS);

    reopen(&address); /* without a password */
    t = say("GET", "where", NULL, EXPECT_VALUE);
    ck_assert_int_eq(t.reply.status, KVT_DOWN);
    strcpy(address.password, "wrong");
    reopen(&address);
    t = say("GET", "where", NULL, EXPECT_VALUE);
    ck_assert_int_eq(t.reply.status, KVT_DOWN);
    strcpy(address.password, "secret");
    reopen(&address);
    t = say("GET", "where", NULL, EXPECT_VALUE);
    ck_assert_str_eq(t.text, "in 0");
    /* A user who may not PING, in another database. */
    strcpy(address.user, "kim");
    strcpy(address.password, "p w%");
    address.database = 3;
    reopen(&address);
    t = say("GET", "where", NULL, EXPECT_VALUE);
    ck_assert_int_eq(t.reply.kind, BE_REPLY_NIL);
    t = say("SET", "where", "in 3", EXPECT_STATUS);
    ck_assert_int_eq(t.reply.kind, BE_REPLY_STATUS);
    address.database = 99; /* there is none */
    reopen(&address);
    t = say("GET", "where", NULL, EXPECT_VALUE);
    ck_assert_int_eq(t.reply.status, KVT_DOWN);
    stop();
}
END_TEST

/* A port that nobody uses now. */
static uint16_t free_port(void)
{
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof where;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&where, n), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&where, &n), 0);
    close(fd);
    return ntohs(where.sin_port);
}

/* By name, which may stand for ::1 too, where the server does not listen. */
START_TEST(over_tcp)
{
    char text[64], error[128];
    uint16_t port = free_port();
    struct be_redis_address address;
    start(1, 8 << 20);
    snprintf(text, sizeof text, "%u", port);
    const char *config[] = {"CONFIG", "SET", "bind", "127.0.0.1", "port", text};
    struct ticket t;
    struct be_redis_command command = fixture_command(&t, EXPECT_STATUS, LONG_NS);
    command.argc = 6;
    command.argv = config;
    command.argv_b = (const size_t[]){6, 3, 4, 9, 4, strlen(text)};
    ck_assert_int_eq(be_redis_send(fixture.redis, &command, &t.handle), 0);
    check_ok(&t, BE_REPLY_STATUS);
    char *value = make_value(1, 1 << 20);
    for (int by_name = 0; by_name <= 1; by_name++) {
        snprintf(text, sizeof text, "%s:%u", by_name ? "localhost" : "127.0.0.1", port);
        ck_assert_int_eq(be_redis_address_parse(&address, text, error, sizeof error), 0);
        reopen(&address);
        fixture_set(&t, "name", value, 1 << 20, true, LONG_NS);
        check_ok(&t, BE_REPLY_STATUS);
        fixture_get(&t, "name", LONG_NS);
        check_ok(&t, BE_REPLY_VALUE);
        ck_assert_uint_eq(t.sum, sum_of(value, 1 << 20));
    }
    free(value);
    ck_assert_int_eq(be_redis_address_parse(&address, "no-such-host.invalid:1", error,
                                            sizeof error),
                     0);
    reopen(&address);
    fixture_get(&t, "name", LONG_NS);
    ck_assert_int_eq(fixture_wait(&t)->reply.status, KVT_DOWN);
    reopen(&address); /* and closes while the name is being looked up */
    for (int i = 0; i < 3; i++)
        uv_run(&fixture.loop, UV_RUN_NOWAIT);
    stop();
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *test, int n)
{
    TCase *tcase = tcase_create(name);
    tcase_add_loop_test(tcase, test, 0, n);
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
}

int main(void)
{
    Suite *suite = suite_create("redis client");
    add(suite, "sizes", values_of_all_sizes, 1);
    add(suite, "kinds", kinds_of_replies, 1);
    add(suite, "longest", longest_value_and_one_byte_more, 1);
    add(suite, "full", full_server_says_so, 1);
    add(suite, "pipelines", deep_pipelines, 1);
    add(suite, "arguments", many_arguments, 1);
    add(suite, "refused", refused_calls, 1);
    add(suite, "logging in", password_user_and_database, 1);
    add(suite, "tcp", over_tcp, 1);
    return kvt_test_main(suite);
}
