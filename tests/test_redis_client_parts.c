/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_redis_client_parts.c - what the Redis client is made of: the breaker at scripted times, and addresses.
 */
#include <errno.h>
#include <string.h>

#include "../core/breaker.h"
#include "../backend/redis.h"
#include "dice.h"

/* ---- Breaker ---------------------------------------------------------------------------------------- */

START_TEST(opens_after_failures_in_a_row)
{
    struct kvt_breaker b;
    kvt_breaker_init(&b, 3, 100, 1000);
    for (int round = 0; round < 5; round++) {
        ck_assert(!kvt_breaker_failed(&b, 10));
        ck_assert(!kvt_breaker_failed(&b, 11));
        kvt_breaker_answered(&b);
    }
    ck_assert(!kvt_breaker_failed(&b, 20));
    ck_assert(!kvt_breaker_failed(&b, 20));
    ck_assert(kvt_breaker_failed(&b, 20));
    ck_assert_int_eq(b.state, KVT_BREAKER_OPEN);
    ck_assert_uint_eq(b.until_ns, 120);
    ck_assert(!kvt_breaker_failed(&b, 21)); /* what fails while open says nothing new */
    ck_assert_uint_eq(b.until_ns, 120);
}
END_TEST

START_TEST(tries_once_after_the_pause)
{
    struct kvt_breaker b;
    kvt_breaker_init(&b, 1, 100, 1000);
    ck_assert(!kvt_breaker_try(&b, 0));
    ck_assert(kvt_breaker_failed(&b, 0));
    ck_assert(!kvt_breaker_try(&b, 99));
    ck_assert(kvt_breaker_try(&b, 100));
    ck_assert_int_eq(b.state, KVT_BREAKER_HALF_OPEN);
    ck_assert(!kvt_breaker_try(&b, 101));
    kvt_breaker_connected(&b);
    ck_assert_int_eq(b.state, KVT_BREAKER_CLOSED);
}
END_TEST

START_TEST(pause_doubles_up_to_a_bound)
{
    static const kvt_ns pauses[] = {100, 200, 400, 500, 500, 500};
    struct kvt_breaker b;
    kvt_ns now = 7;
    kvt_breaker_init(&b, 1, 100, 500);
    for (size_t i = 0; i < sizeof pauses / sizeof *pauses; i++) {
        ck_assert(kvt_breaker_failed(&b, now));
        ck_assert_uint_eq(b.until_ns, now + pauses[i]);
        now = b.until_ns;
        ck_assert(kvt_breaker_try(&b, now));
    }
    /* A connection alone does not make the pause short again; an answer does. */
    kvt_breaker_connected(&b);
    ck_assert(kvt_breaker_failed(&b, now));
    ck_assert_uint_eq(b.until_ns, now + 500);
    now = b.until_ns;
    ck_assert(kvt_breaker_try(&b, now));
    kvt_breaker_connected(&b);
    kvt_breaker_answered(&b);
    ck_assert(kvt_breaker_failed(&b, now));
    ck_assert_uint_eq(b.until_ns, now + 100);
}
END_TEST

START_TEST(breaker_survives_any_order)
{
    struct kvt_breaker b;
    kvt_ns now = 0;
    dice_seed(1);
    kvt_breaker_init(&b, 4, 10, 0); /* longest below first: the first */
    for (int i = 0; i < 100000; i++) {
        now += dice_below(8);
        switch (dice_below(4)) {
        case 0: {
            bool was_open = b.state == KVT_BREAKER_OPEN;
            if (kvt_breaker_failed(&b, now))
                MUST(!was_open && b.state == KVT_BREAKER_OPEN);
            break;
        }
        case 1:
            MUST(kvt_breaker_try(&b, now) == (b.state == KVT_BREAKER_HALF_OPEN) ||
                 b.state == KVT_BREAKER_HALF_OPEN);
            break;
        case 2:
            kvt_breaker_connected(&b);
            break;
        default:
            kvt_breaker_answered(&b);
        }
        MUST(b.failures < b.most_failures);                                    /* (B1) */
        MUST(b.pause_ns >= b.first_pause_ns && b.pause_ns <= b.most_pause_ns); /* (B2) */
        MUST(b.state != KVT_BREAKER_OPEN || b.until_ns <= now + b.most_pause_ns);
    }
    kvt_breaker_init(&b, 1, KVT_NEVER / 2 + 2, KVT_NEVER); /* does not wrap round */
    MUST(kvt_breaker_failed(&b, KVT_NEVER / 2));
    MUST(b.until_ns == KVT_NEVER);
}
END_TEST

/* ---- Addresses -------------------------------------------------------------------------------------- */

static struct be_redis_address address;
static char said[256];

static int parse(const char *text)
{
    said[0] = '\0';
    memset(&address, 0x55, sizeof address);
    return be_redis_address_parse(&address, text, said, sizeof said);
}

START_TEST(good_addresses)
{
    static const struct {
        const char *text, *user, *password, *host, *path;
        unsigned port, database;
        const char *shown;
    } cases[] = {
        {"redis://h", "", "", "h", "", 6379, 0, "redis://h:6379"},
        {"redis://h/", "", "", "h", "", 6379, 0, "redis://h:6379"},
        {"redis://h:1/15", "", "", "h", "", 1, 15, "redis://h:1/15"},
        {"redis://u:p@h:65535/2", "u", "p", "h", "", 65535, 2, "redis://h:65535/2"},
        {"redis://:p%40%3a%2F%25@h", "", "p@:/%", "h", "", 6379, 0, "redis://h:6379"},
        {"redis://u%3Aser:p:q@h", "u:ser", "p:q", "h", "", 6379, 0, "redis://h:6379"},
        {"redis://u:p@ss@h", "u", "p@ss", "h", "", 6379, 0, "redis://h:6379"},
        {"redis://[::1]:7/3", "", "", "::1", "", 7, 3, "redis://[::1]:7/3"},
        {"redis://[fe80::1]", "", "", "fe80::1", "", 6379, 0, "redis://[fe80::1]:6379"},
        {"[::1]:6379", "", "", "::1", "", 6379, 0, "redis://[::1]:6379"},
        {"cache-1.example:6380", "", "", "cache-1.example", "", 6380, 0,
         "redis://cache-1.example:6380"},
        {"unix:/run/r.sock", "", "", "", "/run/r.sock", 0, 0, "unix:/run/r.sock"},
        {"unix:/run/r.sock?db=9", "", "", "", "/run/r.sock", 0, 9, "unix:/run/r.sock?db=9"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char shown[300];
        ck_assert_msg(parse(cases[i].text) == 0, "%s: %s", cases[i].text, said);
        ck_assert_str_eq(address.user, cases[i].user);
        ck_assert_str_eq(address.password, cases[i].password);
        ck_assert_str_eq(address.host, cases[i].host);
        ck_assert_str_eq(address.path, cases[i].path);
        ck_assert_uint_eq(address.port, cases[i].port);
        ck_assert_uint_eq(address.database, cases[i].database);
        ck_assert_str_eq(be_redis_address_show(&address, shown, sizeof shown), cases[i].shown);
    }
}
END_TEST

START_TEST(bad_addresses)
{
    static const char *const cases[] = {
        "",
        ":",
        ":6379",
        "h",
        "h:",
        "h:0",
        "h:65536",
        "h:99999999999999999999",
        "h:12x",
        "h:-1",
        "::1:6379",
        "[::1",
        "[::1]",
        "[::1]6379",
        "[]:6379",
        "h h:1",
        "redis://",
        "redis:///1",
        "redis://h:1/x",
        "redis://h/1/2",
        "redis://h/4294967296",
        "redis://h/-1",
        "redis://h:1?db=2",
        "redis://secret%zz@h",
        "redis://:secret%2",
        "redis://u:secret%@h",
        "redis://u:secret%00@h",
        "redis://secret@h",
        "redis://u:secret@",
        "redis://u:secret@h:x",
        "rediss://u:secret@h",
        "http://u:secret@h",
        "u:secret@h:1",
        "unix:",
        "unix:r.sock",
        "unix:/r?d=1",
        "unix:/r?db=",
        "unix:/r?db=x",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_msg(parse(cases[i]) == -EINVAL, "accepted: %s", cases[i]);
        ck_assert_msg(strncmp(said, "Redis address: ", 15) == 0, "%s: %s", cases[i], said);
        ck_assert_ptr_null(strstr(said, "secret"));
        ck_assert_str_eq(address.password, ""); /* nothing of it lies around */
    }
}
END_TEST

START_TEST(lengths_of_addresses)
{
    char text[1024];
    snprintf(text, sizeof text, "unix:/%0*d", 106, 0);
    ck_assert_int_eq(parse(text), 0);
    snprintf(text, sizeof text, "unix:/%0*d", 107, 0);
    ck_assert_int_eq(parse(text), -EINVAL);
    snprintf(text, sizeof text, "%0*d:1", 255, 0);
    ck_assert_int_eq(parse(text), 0);
    snprintf(text, sizeof text, "%0*d:1", 256, 0);
    ck_assert_int_eq(parse(text), -EINVAL);
    snprintf(text, sizeof text, "redis://u:%0*d@h", 255, 0);
    ck_assert_int_eq(parse(text), 0);
    snprintf(text, sizeof text, "redis://u:%0*d@h", 256, 0);
    ck_assert_int_eq(parse(text), -EINVAL);
    snprintf(text, sizeof text, "redis://%0*d:p@h", 128, 0);
    ck_assert_int_eq(parse(text), -EINVAL);
}
END_TEST

START_TEST(environment_fills_in)
{
    setenv("KVTWIN_REDIS_USER", "kim", 1);
    setenv("KVTWIN_REDIS_PASSWORD", "from env", 1);
    ck_assert_int_eq(parse("h:1"), 0);
    ck_assert_str_eq(address.user, "kim");
    ck_assert_str_eq(address.password, "from env");
    ck_assert_int_eq(parse("redis://lee:own@h"), 0);
    ck_assert_str_eq(address.user, "lee");
    ck_assert_str_eq(address.password, "own");
    ck_assert_int_eq(parse("redis://lee@h"), 0);
    ck_assert_str_eq(address.user, "lee");
    ck_assert_str_eq(address.password, "from env");
    unsetenv("KVTWIN_REDIS_PASSWORD");
    ck_assert_int_eq(parse("unix:/r"), -EINVAL); /* a user without a password */
    char longer[300];
    snprintf(longer, sizeof longer, "%0*d", 299, 0);
    setenv("KVTWIN_REDIS_PASSWORD", longer, 1);
    ck_assert_int_eq(parse("h:1"), -EINVAL);
    unsetenv("KVTWIN_REDIS_USER");
    unsetenv("KVTWIN_REDIS_PASSWORD");
}
END_TEST

START_TEST(no_text_breaks_it)
{
    static const char letters[] = "redis://unix:@[]%0aZ?db=/:1 ";
    dice_seed(2);
    for (int i = 0; i < 200000; i++) {
        char text[48];
        size_t n = dice_below(sizeof text - 9), at = 0;
        if (dice_one_in(2))
            at = (size_t)sprintf(text, "redis://");
        for (size_t j = 0; j < n; j++)
            text[at++] = dice_one_in(20) ? (char)(1 + dice_below(255))
                                         : letters[dice_below(sizeof letters - 1)];
        text[at] = '\0';
        int rc = parse(text);
        MUST(rc == 0 || rc == -EINVAL);
        MUST((rc == 0) == (said[0] == '\0'));
        MUST(rc != 0 || (address.path[0] != '\0') != (address.host[0] != '\0'));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("redis client parts");
    TCase *breaker = tcase_create("breaker"), *addresses = tcase_create("addresses");
    tcase_add_test(breaker, opens_after_failures_in_a_row);
    tcase_add_test(breaker, tries_once_after_the_pause);
    tcase_add_test(breaker, pause_doubles_up_to_a_bound);
    tcase_add_test(breaker, breaker_survives_any_order);
    tcase_add_test(addresses, good_addresses);
    tcase_add_test(addresses, bad_addresses);
    tcase_add_test(addresses, lengths_of_addresses);
    tcase_add_test(addresses, environment_fills_in);
    tcase_add_test(addresses, no_text_breaks_it);
    suite_add_tcase(suite, breaker);
    suite_add_tcase(suite, addresses);
    return kvt_test_main(suite);
}
