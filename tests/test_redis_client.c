/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_redis_client.c - the Redis client against real servers, whole, killed and restarted, and with memory that lacks.
 *
 * Values follow from their names, so that a byte in the wrong place is noticed. The storm sends at random, cancels at
 * random and kills the server at random; every command has to end once, in time, or not at all when it was cancelled.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <unistd.h>

#include "../backend/spawn.h"
#include "dice.h"
#include "malloc_fails.h"
#include "redis_fixture.h"

static struct be_spawn *servers;

static void start_servers(uint32_t n, uint64_t memory_b)
{
    char error[512] = "";
    servers = be_spawn_new(&(struct be_spawn_config){.n = n, .memory_b = memory_b, .evicts = false},
                           error, sizeof error);
    ck_assert_msg(servers != NULL, "%s", error);
}

static void start(uint32_t connections, size_t max_value_b)
{
    start_servers(1, UINT64_MAX);
    struct be_redis_config config = small_config(be_spawn_address(servers, 0));
    config.connections = connections;
    config.max_value_b = max_value_b;
    fixture_open(&config);
}

static void stop(void)
{
    fixture_close();
    be_spawn_free(servers);
}

static const kvt_ns LONG_NS = 20 * KVT_SECOND;

static char *make_value(uint64_t seed, size_t n)
{
    char *value = malloc(n + 8);
    ck_assert_ptr_nonnull(value);
    for (size_t i = 0; i < n; i += 8) {
        uint64_t word = kvt_mix64(seed + i);
        memcpy(value + i, &word, 8);
    }
    return value;
}

static void check_ok(struct ticket *ticket, enum be_reply_kind kind)
{
    fixture_wait(ticket);
    ck_assert_int_eq(ticket->reply.status, KVT_OK);
    ck_assert_int_eq(ticket->reply.kind, kind);
}

/* One command and its reply, all in words. */
static struct ticket say(const char *verb, const char *name, const char *value, unsigned expect)
{
    struct ticket ticket;
    ck_assert_int_eq(fixture_send3(&ticket, verb, name, value, value ? strlen(value) : 0, false,
                                   expect, LONG_NS),
                     0);
    fixture_wait(&ticket);
    return ticket;
}

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

/* ---- Storms ----------------------------------------------------------------------------------------- */

enum { TICKETS = 200, NAMES = 40 };

/* A ticket that may be used again, its command, and what it has to hold to. */
struct shot {
    struct ticket ticket;
    bool busy, cancelled;
    bool is_set;
    uint32_t name;
    kvt_ns deadline_ns;
    char *value;
};

static struct storm {
    struct shot shots[TICKETS];
    uint64_t by_status[KVT_STATUSES], sent, ended, refused, cancelled, hits;
} storm;

static size_t storm_value_b(uint32_t name)
{
    return name % 4 == 0 ? 300000 + name : 100 * name;
}

/* Is this the value of that name? Its first words tell the name and a version. */
static void check_value(const struct be_reply *reply, uint32_t name)
{
    MUST(reply->bytes_b == storm_value_b(name));
    for (size_t i = 0; i + 8 <= reply->bytes_b; i += 8) {
        uint64_t word = kvt_mix64(name * UINT64_C(1000003) + i);
        MUST(memcmp(reply->bytes + i, &word, 8) == 0);
    }
}

static void on_shot(void *self, uint64_t arg, const struct be_reply *reply)
{
    struct shot *shot = self;
    MUST(!fixture.inside);
    MUST(shot->busy && !shot->cancelled);
    MUST(arg == (uintptr_t)shot);
    MUST(reply->status == KVT_OK || reply->status == KVT_DOWN || reply->status == KVT_TIMEOUT);
    MUST(uv_hrtime() < shot->deadline_ns + 2 * KVT_SECOND); /* a busy machine */
    if (reply->status == KVT_OK && reply->kind == BE_REPLY_VALUE) {
        check_value(reply, shot->name);
        storm.hits++;
    }
    storm.by_status[reply->status]++;
    storm.ended++;
    shot->busy = false;
    if (shot->value)
        memset(shot->value, 'x', 8); /* no longer lent */
    free(shot->value);
    shot->value = NULL;
}

static void shoot(struct shot *shot)
{
    char name[16];
    shot->name = (uint32_t)dice_below(NAMES);
    shot->is_set = dice_one_in(3);
    snprintf(name, sizeof name, "name:%u", shot->name);
    size_t value_b = storm_value_b(shot->name);
    struct be_redis_command command = {
        .node = shot->name % 2,
        .argc = shot->is_set ? 3 : 2,
        .argv = (const char *const[]){shot->is_set ? "SET" : "GET", name, NULL},
        .expect = shot->is_set ? EXPECT_STATUS : EXPECT_VALUE,
        .fn = on_shot,
        .self = shot,
        .arg = (uintptr_t)shot,
    };
    const char *argv[3] = {command.argv[0], name, ""};
    if (shot->is_set && value_b > 0)
        argv[2] = shot->value = make_value(shot->name * UINT64_C(1000003), value_b);
    command.argv = argv;
    command.argv_b = (const size_t[]){3, strlen(name), value_b};
    command.keep_last = shot->value && dice_one_in(2);
    command.deadline_ns = shot->deadline_ns =
        uv_hrtime() + (dice_one_in(10) ? dice_below(3 * KVT_MILLISECOND)
                                       : KVT_MILLISECOND * (50 + dice_below(200)));
    fixture.inside = true;
    int rc = be_redis_send(fixture.redis, &command, &shot->ticket.handle);
    fixture.inside = false;
    if (rc == 0) {
        shot->busy = true;
        shot->cancelled = false;
        storm.sent++;
        if (!command.keep_last) {
            free(shot->value);
            shot->value = NULL;
        }
        return;
    }
    MUST(rc == -EBUSY);
    storm.refused++;
    free(shot->value);
    shot->value = NULL;
}

static void cancel(struct shot *shot)
{
    MUST(be_redis_cancel(fixture.redis, shot->ticket.handle));
    MUST(!be_redis_cancel(fixture.redis, shot->ticket.handle));
    storm.cancelled++;
    storm.ended++;
    shot->busy = false;
    if (shot->value)
        memset(shot->value, 'y', 8);
    free(shot->value);
    shot->value = NULL;
}

START_TEST(storm_with_kills)
{
    memset(&storm, 0, sizeof storm);
    dice_seed(100 + (uint64_t)_i);
    start_servers(2, UINT64_MAX);
    const struct be_redis_address nodes[2] = {*be_spawn_address(servers, 0),
                                              *be_spawn_address(servers, 1)};
    struct be_redis_config config = small_config(nodes);
    config.n_nodes = 2;
    config.connections = 3;
    config.depth = 8;
    config.queue = 50;
    config.breaker_pause_ns = 5 * KVT_MILLISECOND;
    config.breaker_most_ns = 20 * KVT_MILLISECOND;
    fixture_open(&config);
    const kvt_ns until_ns = uv_hrtime() + 2500 * KVT_MILLISECOND;
    unsigned kills = 0;
    while (uv_hrtime() < until_ns) {
        for (uint64_t n = dice_below(30); n > 0; n--) {
            struct shot *shot = &storm.shots[dice_below(TICKETS)];
            if (!shot->busy)
                shoot(shot);
            else if (dice_one_in(3))
                cancel(shot);
        }
        uv_run(&fixture.loop, UV_RUN_ONCE);
        if (dice_one_in(400)) {
            kill(be_spawn_pid(servers, 0), SIGKILL);
            kills++;
        }
        if (kills > 0 && dice_one_in(100))
            ck_assert_int_eq(be_spawn_restart(servers, 0), 0);
    }
    /* In half of the rounds all end by themselves, in the others by closing. */
    while (_i % 2 == 0 && storm.ended < storm.sent)
        uv_run(&fixture.loop, UV_RUN_ONCE);
    stop();
    MUST(storm.ended == storm.sent);
    for (int i = 0; i < TICKETS; i++)
        MUST(!storm.shots[i].busy);
    MUST(storm.hits > 0 && storm.cancelled > 0 && storm.by_status[KVT_DOWN] > 0);
    MUST(storm.by_status[KVT_CORRUPT] == 0);
}
END_TEST

/* The server goes and comes back: within the longest pause and an attempt, the client works again. */
START_TEST(recovers)
{
    start(4, 1 << 20);
    for (int round = 0; round < 3; round++) {
        struct ticket t = say("SET", "name", "value", EXPECT_STATUS);
        ck_assert_int_eq(t.reply.status, KVT_OK);
        ck_assert_int_eq(be_spawn_kill(servers, 0), 0);
        kvt_ns begun_ns = uv_hrtime();
        fixture_get(&t, "name", 500 * KVT_MILLISECOND);
        fixture_wait(&t);
        ck_assert_int_eq(t.reply.status, KVT_DOWN);
        ck_assert_uint_le(t.at_ns - begun_ns, 500 * KVT_MILLISECOND);
        ck_assert_int_eq(be_spawn_restart(servers, 0), 0);
        begun_ns = uv_hrtime();
        fixture_wait_up(true);
        ck_assert_uint_le(uv_hrtime() - begun_ns, 2 * KVT_SECOND);
        t = say("GET", "name", NULL, EXPECT_VALUE);
        ck_assert_int_eq(t.reply.kind, BE_REPLY_NIL); /* empty, but well */
    }
    stop();
}
END_TEST

/* A server that is stopped, not dead: the deadline is kept, and nothing is lost when it goes on. */
START_TEST(stopped_server)
{
    struct ticket t, later;
    start(1, 1 << 20);
    say("SET", "name", "value", EXPECT_STATUS);
    ck_assert_int_eq(kill(be_spawn_pid(servers, 0), SIGSTOP), 0);
    kvt_ns begun_ns = uv_hrtime();
    fixture_get(&t, "name", 60 * KVT_MILLISECOND);
    ck_assert_int_eq(fixture_wait(&t)->reply.status, KVT_TIMEOUT);
    ck_assert_uint_ge(t.at_ns - begun_ns, 60 * KVT_MILLISECOND);
    ck_assert_uint_le(t.at_ns - begun_ns, 560 * KVT_MILLISECOND);
    fixture_get(&later, "name", LONG_NS);
    ck_assert_int_eq(kill(be_spawn_pid(servers, 0), SIGCONT), 0);
    check_ok(&later, BE_REPLY_VALUE);
    ck_assert_str_eq(later.text, "value");
    stop();
}
END_TEST

/* ---- Memory that lacks ------------------------------------------------------------------------------ */

#if OWN_ALLOCATOR
START_TEST(without_memory)
{
    start(1, 1024);
    unsigned failed = 0, good = 0;
    for (long n = 0; good < 5; n++) {
        struct ticket ticket;
        struct be_redis_command command = fixture_command(&ticket, EXPECT_STATUS, LONG_NS);
        command.argc = 3;
        command.argv = (const char *const[]){"SET", "name", "a value that is kept"};
        command.argv_b = (const size_t[]){3, 4, 20};
        command.keep_last = n % 2;
        left = n % 12;
        armed = true;
        int rc = be_redis_send(fixture.redis, &command, &ticket.handle);
        armed = false;
        ck_assert(rc == 0 || rc == -ENOMEM);
        failed += rc != 0;
        good += rc == 0;
        if (rc == 0)
            check_ok(&ticket, BE_REPLY_STATUS);
    }
    ck_assert_uint_gt(failed, 0);
    for (long n = 0;; n++) {
        int error = 0;
        struct be_redis_config config = small_config(be_spawn_address(servers, 0));
        left = n;
        armed = true;
        struct be_redis *redis = be_redis_new(&fixture.loop, &config, &error);
        armed = false;
        ck_assert_int_eq(error, redis ? 0 : -ENOMEM);
        if (!redis)
            continue;
        be_redis_close(redis, NULL, NULL);
        break;
    }
    stop();
}
END_TEST
#endif

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
    add(suite, "storm", storm_with_kills, 4);
    add(suite, "recovers", recovers, 1);
    add(suite, "stopped", stopped_server, 1);
#if OWN_ALLOCATOR
    add(suite, "memory", without_memory, 1);
#endif
    return kvt_test_main(suite);
}
