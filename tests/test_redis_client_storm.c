/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_redis_client_storm.c - the Redis client while its server is killed, restarted and stopped, and with memory that lacks.
 *
 * The storm sends at random, cancels at random and kills the server at random; every command has to end once, in time, or
 * not at all when it was cancelled.
 */
#include <signal.h>

#include "dice.h"
#include "malloc_fails.h"
#include "redis_spawned.h"

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
    Suite *suite = suite_create("redis client, storms");
    add(suite, "storm", storm_with_kills, 4);
    add(suite, "recovers", recovers, 1);
    add(suite, "stopped", stopped_server, 1);
#if OWN_ALLOCATOR
    add(suite, "memory", without_memory, 1);
#endif
    return kvt_test_main(suite);
}
