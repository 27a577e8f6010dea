/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_evq.c - the event queue against a sorted list, and what it promises at the edges.
 */
#include "../sim/evq.h"
#include "dice.h"
#include "failing_alloc.h"
#include "kvt_test.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

static struct failing_alloc memory;

/* n more requests are met, and then none. */
static void grant(uint64_t n)
{
    memory.fail_at = memory.gets + n + 1;
    memory.for_good = true;
}
static struct sim_evq queue;

static void set_up(void)
{
    failing_alloc_init(&memory, 0);
    sim_evq_init(&queue, &memory.alloc);
}

static void tear_down(void)
{
    sim_evq_release(&queue);
    ck_assert(failing_alloc_clean(&memory));
}

static void nothing(void *self, uint64_t arg, kvt_ns at)
{
    (void)self;
    (void)arg;
    (void)at;
}

static void push(kvt_ns at, uint64_t arg)
{
    ck_assert_int_eq(sim_evq_push(&queue, at, nothing, &queue, arg), 0);
}

/* ---- A sorted list beside it --------------------------------------------------------------------- */

enum { LIST_MOST = 5000 };

static struct sim_event list[LIST_MOST]; /* the next event last */
static uint32_t n_list;

static void list_push(kvt_ns at, uint64_t seq, uint64_t arg)
{
    uint32_t i = n_list++;
    for (; i > 0 && list[i - 1].at <= at; i--)
        list[i] = list[i - 1];
    list[i] = (struct sim_event){.at = at, .seq = seq, .arg = arg};
}

static void both_push(kvt_ns at, uint64_t arg)
{
    list_push(at, queue.pushed, arg);
    push(at, arg);
}

static void both_pop(void)
{
    struct sim_event e;
    ck_assert_uint_eq(sim_evq_next(&queue), n_list ? list[n_list - 1].at : KVT_NEVER);
    ck_assert(sim_evq_pop(&queue, &e) == (n_list > 0));
    if (n_list == 0)
        return;
    n_list--;
    ck_assert_uint_eq(e.at, list[n_list].at);
    ck_assert_uint_eq(e.seq, list[n_list].seq);
    ck_assert_uint_eq(e.arg, list[n_list].arg);
    ck_assert_ptr_eq(e.self, &queue);
    ck_assert(e.fn == nothing);
    ck_assert_uint_eq(queue.now, e.at);
}

/* Grows, shrinks, and runs empty; many ties, and some events far away. */
START_TEST(random_pushes_and_pops_are_those_of_a_sorted_list)
{
    dice_seed((uint64_t)_i);
    n_list = 0;
    for (uint64_t i = 0; i < 40000; i++) {
        bool growing = i / 4000 % 2 == 0;
        if (n_list < LIST_MOST && dice_below(10) < (growing ? 7 : 3))
            both_push(queue.now + dice_below(dice_below(50) ? 40 : 100000000), i);
        else
            both_pop();
        ck_assert_uint_eq(queue.count, n_list);
        if (i % 64 == 0)
            ck_assert(sim_evq_check(&queue));
    }
    while (n_list > 0)
        both_pop();
    both_pop();
    ck_assert(sim_evq_check(&queue));
}
END_TEST

START_TEST(events_at_one_time_leave_first_in_first_out)
{
    struct sim_event e;
    for (uint64_t i = 0; i < 1000; i++)
        push(i % 3, i);
    for (uint64_t at = 0; at < 3; at++)
        for (uint64_t i = at; i < 1000; i += 3) {
            ck_assert(sim_evq_pop(&queue, &e));
            ck_assert_uint_eq(e.at, at);
            ck_assert_uint_eq(e.arg, i);
        }
    ck_assert(!sim_evq_pop(&queue, &e));
}
END_TEST

/* The same events, with times all different, pushed in one arrangement or another, with or without room, with pops
 * of early events in between: what is left leaves in one order. */
static uint64_t order_digest(uint32_t reserve, uint64_t step, bool disturbed)
{
    enum { N = 4099 }; /* prime, so that any step visits every number */
    uint64_t digest = 0;
    struct sim_event e;
    set_up();
    ck_assert_int_eq(sim_evq_reserve(&queue, reserve), 0);
    for (uint64_t i = 0; i < N; i++) {
        uint64_t number = i * step % N;
        push(N + kvt_mix64(number) % 1000000007 * N + number, number);
        if (disturbed && i % 5 == 0) {
            push(i, N);
            ck_assert(sim_evq_pop(&queue, &e));
            ck_assert_uint_eq(e.arg, N);
        }
    }
    ck_assert(sim_evq_check(&queue));
    while (sim_evq_pop(&queue, &e))
        digest = kvt_mix64(digest ^ e.arg);
    tear_down();
    return digest;
}

START_TEST(the_order_does_not_depend_on_how_the_heap_came_about)
{
    uint64_t digest = order_digest(0, 1, false);
    for (uint64_t step = 1; step < 4000; step = step * 3 + 1) {
        ck_assert_uint_eq(order_digest(0, step, false), digest);
        ck_assert_uint_eq(order_digest(5000, step, true), digest);
    }
}
END_TEST

/* ---- Running ------------------------------------------------------------------------------------- */

static uint64_t called, spawn;

static void spawning(void *self, uint64_t arg, kvt_ns at)
{
    ck_assert_ptr_eq(self, &queue);
    ck_assert_uint_eq(queue.now, at);
    called++;
    /* Several at once, at this time and later ones. */
    for (uint64_t i = 0; i < arg && spawn > 0; i++, spawn--)
        ck_assert_int_eq(sim_evq_push(&queue, at + i, spawning, self, dice_below(3)), 0);
    ck_assert(sim_evq_check(&queue));
}

START_TEST(run_calls_what_is_due_and_what_that_adds)
{
    dice_seed(5);
    called = 0;
    spawn = 2000;
    for (uint64_t i = 0; i < 50; i++)
        ck_assert_int_eq(sim_evq_push(&queue, i * 10, spawning, &queue, 2), 0);
    uint64_t returned = 0;
    for (kvt_ns until = 0; until < 400; until += 7) {
        returned += sim_evq_run(&queue, until);
        ck_assert_uint_eq(queue.now, until);
        ck_assert_uint_gt(sim_evq_next(&queue), until);
        ck_assert_uint_eq(returned, called);
    }
    returned += sim_evq_run(&queue, KVT_NEVER);
    ck_assert_uint_eq(returned, called);
    ck_assert_uint_eq(called, queue.pushed);
    ck_assert_uint_eq(queue.count, 0);
    ck_assert_uint_ne(queue.now, KVT_NEVER);
}
END_TEST

START_TEST(never_does_not_happen)
{
    push(KVT_NEVER, 1);
    ck_assert_uint_eq(queue.count, 0);
    ck_assert_uint_eq(sim_evq_next(&queue), KVT_NEVER);
    push(KVT_NEVER - 1, 2);
    ck_assert_uint_eq(sim_evq_next(&queue), KVT_NEVER - 1);
    ck_assert_uint_eq(sim_evq_run(&queue, KVT_NEVER), 1);
    ck_assert_uint_eq(queue.now, KVT_NEVER - 1);
}
END_TEST

/* ---- Refusals ------------------------------------------------------------------------------------ */

#ifndef NDEBUG
static void no_core_file(void)
{
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
}

START_TEST(the_past_is_an_error_after_a_pop)
{
    struct sim_event e;
    no_core_file();
    push(10, 0);
    sim_evq_pop(&queue, &e);
    push(10, 1);
    push(9, 2);
}
END_TEST

START_TEST(the_past_is_an_error_after_a_run)
{
    no_core_file();
    sim_evq_run(&queue, 10);
    push(9, 0);
}
END_TEST
#endif

START_TEST(a_queue_has_its_limits)
{
    ck_assert_int_eq(sim_evq_reserve(&queue, SIM_EVQ_MOST + 1), -ENOMEM);
    push(1, 0);
    queue.pushed = SIM_EVQ_MOST_PUSHES - 1;
    push(1, 1);
    ck_assert_int_eq(sim_evq_push(&queue, 1, nothing, &queue, 2), -EOVERFLOW);
    struct sim_event e;
    ck_assert(sim_evq_pop(&queue, &e) && e.arg == 0);
    ck_assert(sim_evq_pop(&queue, &e) && e.arg == 1);
    ck_assert_uint_eq(e.seq, SIM_EVQ_MOST_PUSHES - 1);
    ck_assert(!sim_evq_pop(&queue, &e));
}
END_TEST

/* Memory runs out at every point in turn; the push that fails leaves nothing, and works once there is memory. */
START_TEST(without_memory_nothing_is_kept)
{
    bool failed = true;
    for (uint64_t n = 0; failed; n++) {
        set_up();
        failed = false;
        grant(n);
        for (uint64_t i = 0; i < 1000; i++) {
            int r = sim_evq_push(&queue, 2 * i, nothing, &queue, i);
            if (r) {
                ck_assert_int_eq(r, -ENOMEM);
                ck_assert_uint_eq(queue.count, i);
                ck_assert(sim_evq_check(&queue));
                failed = true;
                memory.fail_at = 0;
                push(2 * i, i);
            }
        }
        struct sim_event e;
        grant(0);
        for (uint64_t i = 0; i < 1000; i++) {
            ck_assert(sim_evq_pop(&queue, &e));
            ck_assert_uint_eq(e.arg, i);
            push(e.at, i); /* the first push after a pop needs no memory */
            ck_assert(sim_evq_pop(&queue, &e));
        }
        tear_down();
    }
}
END_TEST

START_TEST(reserved_pushes_need_no_memory)
{
    ck_assert_int_eq(sim_evq_reserve(&queue, 777), 0);
    grant(0);
    for (uint64_t i = 0; i < 777; i++)
        push(777 - i, i);
    ck_assert(sim_evq_check(&queue));
    tear_down();
    sim_evq_release(&queue); /* harmless */
    set_up();
    grant(0);
    ck_assert_int_eq(sim_evq_reserve(&queue, 1), -ENOMEM);
    grant(1);
    ck_assert_int_eq(sim_evq_reserve(&queue, 1), -ENOMEM);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("evq");
    TCase *order = tcase_create("order"), *refusals = tcase_create("refusals");
    tcase_add_checked_fixture(order, set_up, tear_down);
    tcase_add_loop_test(order, random_pushes_and_pops_are_those_of_a_sorted_list, 0, 8);
    tcase_add_test(order, events_at_one_time_leave_first_in_first_out);
    tcase_add_test(order, run_calls_what_is_due_and_what_that_adds);
    tcase_add_test(order, never_does_not_happen);
    tcase_add_test(order, a_queue_has_its_limits);
    tcase_add_test(order, reserved_pushes_need_no_memory);
#ifndef NDEBUG
    tcase_add_test_raise_signal(order, the_past_is_an_error_after_a_pop, SIGABRT);
    tcase_add_test_raise_signal(order, the_past_is_an_error_after_a_run, SIGABRT);
#endif
    tcase_add_test(refusals, the_order_does_not_depend_on_how_the_heap_came_about);
    tcase_add_test(refusals, without_memory_nothing_is_kept);
    suite_add_tcase(suite, order);
    suite_add_tcase(suite, refusals);
    return kvt_test_main(suite);
}
