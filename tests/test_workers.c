/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_workers.c - the order in which workers do what they are asked for: each rule of workers.h by itself, and all of them
 * against a naive scheduler over random chores.
 *
 * A chore holds its worker until the test opens its gate, so that which chores run at one time is the test's to say and
 * not the machine's.
 */
#include "../backend/workers.h"
#include "dice.h"
#include "kvt_test.h"

#include <stddef.h>
#include <stdlib.h>

enum { CHORES_MOST = 400, THREADS_MOST = 8 };

struct job {
    struct be_chore chore;
    uv_sem_t gate; /* the worker waits here */
    bool begun, over;
};

static uv_loop_t loop;
static struct be_workers workers;
static struct job jobs[CHORES_MOST];
static uv_mutex_t lock;
static uint32_t order[CHORES_MOST],
    n_begun; /* jobs in the order in which they began; under the lock */

static struct job *job_of(struct be_chore *c)
{
    return (struct job *)(void *)((char *)c - offsetof(struct job, chore));
}

static void hold(struct be_chore *c)
{
    struct job *job = job_of(c);
    uv_mutex_lock(&lock);
    order[n_begun++] = (uint32_t)(job - jobs);
    job->begun = true;
    uv_mutex_unlock(&lock);
    uv_sem_wait(&job->gate);
}

static void over(struct be_chore *c)
{
    job_of(c)->over = true;
}

static uint32_t begun(void)
{
    uv_mutex_lock(&lock);
    const uint32_t n = n_begun;
    uv_mutex_unlock(&lock);
    return n;
}

/* Waits, for ten seconds at most, until n chores have begun. */
static void await_begun(uint32_t n)
{
    for (int i = 0; i < 10000 && begun() < n; i++)
        uv_sleep(1);
    ck_assert_uint_eq(begun(), n);
}

static void ask(uint32_t i, enum be_urgency urgency)
{
    uv_sem_init(&jobs[i].gate, 0);
    jobs[i].begun = jobs[i].over = false;
    be_workers_ask(&workers, &jobs[i].chore, urgency, hold, over);
}

/* Lets chore i end, and the loop hand on what comes next. */
static void finish(uint32_t i)
{
    uv_sem_post(&jobs[i].gate);
    while (!jobs[i].over)
        uv_run(&loop, UV_RUN_ONCE);
}

static void open_with(uint32_t threads)
{
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    ck_assert_int_eq(uv_mutex_init(&lock), 0);
    n_begun = 0;
    be_workers_init(&workers, &loop, threads, NULL);
}

static void close_all(uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        uv_sem_destroy(&jobs[i].gate);
    ck_assert_int_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    uv_mutex_destroy(&lock);
}

/* Finishes job after job, and sees that the next to begin is the expected one each time. */
static void expect_order(const uint32_t *wanted, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        await_begun(i + 1);
        ck_assert_uint_eq(order[i], wanted[i]);
        finish(wanted[i]);
    }
}

START_TEST(urgent_first_then_first_come)
{
    open_with(1);
    ask(0, BE_URGENT_LAST); /* begins at once: nothing else is there */
    ask(1, BE_URGENT_LAST);
    ask(2, BE_URGENT_STORE);
    ask(3, BE_URGENT_FILL);
    ask(4, BE_URGENT_LOAD);
    ask(5, BE_URGENT_STORE);
    ask(6, BE_URGENT_LOAD);
    ask(7, BE_URGENT_FILL);
    expect_order((const uint32_t[]){0, 4, 6, 3, 7, 2, 5, 1}, 8);
    ck_assert_uint_eq(workers.stats.chores, 8);
    close_all(8);
}
END_TEST

START_TEST(one_worker_is_kept_for_loads)
{
    open_with(3);
    for (uint32_t i = 0; i < 3; i++)
        ask(i, BE_URGENT_STORE);
    await_begun(2);
    uv_run(&loop, UV_RUN_NOWAIT);
    ck_assert(!jobs[2].begun); /* a worker is idle, but not for a store */
    ask(3, BE_URGENT_LOAD);
    await_begun(3);
    ck_assert(jobs[3].begun);
    finish(3);
    ck_assert(!jobs[2].begun);
    finish(0);
    await_begun(4);
    ck_assert(jobs[2].begun);
    finish(1);
    finish(2);
    close_all(4);
}
END_TEST

START_TEST(loads_may_take_all)
{
    open_with(3);
    for (uint32_t i = 0; i < 4; i++)
        ask(i, BE_URGENT_LOAD);
    await_begun(3);
    ck_assert(!jobs[3].begun);
    for (uint32_t i = 0; i < 4; i++)
        finish(i);
    close_all(4);
}
END_TEST

START_TEST(fills_leave_half_to_stores)
{
    open_with(4);
    for (uint32_t i = 0; i < 4; i++)
        ask(i, BE_URGENT_FILL);
    ask(4, BE_URGENT_STORE);
    await_begun(
        3); /* two fills, and the store that came after all of them; the fourth is for loads */
    ck_assert(jobs[0].begun && jobs[1].begun && jobs[4].begun);
    ck_assert(!jobs[2].begun && !jobs[3].begun);
    finish(4);
    ck_assert(!jobs[2].begun);
    finish(0);
    await_begun(4);
    ck_assert(jobs[2].begun);
    finish(1);
    finish(2);
    finish(3);
    close_all(5);
}
END_TEST

START_TEST(what_is_forgotten_never_runs)
{
    open_with(1);
    for (uint32_t i = 0; i < 4; i++)
        ask(i, BE_URGENT_STORE);
    await_begun(1);
    be_workers_forget(&workers);
    finish(0);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_uint_eq(begun(), 1);
    close_all(4);
}
END_TEST

/* ---- All rules together, against a list that is searched anew each time. ---- */

struct naive {
    uint32_t threads, running[BE_URGENCIES];
    bool waits[CHORES_MOST], runs[CHORES_MOST];
    enum be_urgency urgency[CHORES_MOST];
    uint32_t n;
};

static bool naive_may(const struct naive *m, enum be_urgency u)
{
    const uint32_t fills = m->running[BE_URGENT_FILL];
    const uint32_t behind = fills + m->running[BE_URGENT_STORE] + m->running[BE_URGENT_LAST];
    if (m->running[BE_URGENT_LOAD] + behind == m->threads)
        return false;
    if (u == BE_URGENT_LOAD || m->threads == 1)
        return true;
    return behind + 1 < m->threads && (u != BE_URGENT_FILL || 2 * (fills + 1) <= m->threads);
}

static void naive_start(struct naive *m)
{
    for (int u = 0; u < BE_URGENCIES; u++)
        for (uint32_t i = 0; i < m->n; i++)
            if (m->waits[i] && m->urgency[i] == (enum be_urgency)u && naive_may(m, m->urgency[i])) {
                m->waits[i] = false;
                m->runs[i] = true;
                m->running[u]++;
            }
}

static uint32_t naive_running(const struct naive *m)
{
    uint32_t n = 0;
    for (int u = 0; u < BE_URGENCIES; u++)
        n += m->running[u];
    return n;
}

static void check_alike(const struct naive *m, uint32_t ended)
{
    await_begun(ended + naive_running(m));
    for (uint32_t i = 0; i < m->n; i++)
        ck_assert_msg(jobs[i].begun == !m->waits[i], "chore %u of urgency %d", i,
                      (int)m->urgency[i]);
}

static void random_round(uint32_t threads)
{
    static struct naive m;
    uint32_t ended = 0;
    m = (struct naive){.threads = threads};
    open_with(threads);
    while (ended < 60) {
        const uint32_t running = naive_running(&m);
        if (m.n < 60 && (running == 0 || dice_below(2) == 0)) {
            m.urgency[m.n] = (enum be_urgency)dice_below(BE_URGENCIES);
            m.waits[m.n] = true;
            m.n++;
            naive_start(&m);
            ask(m.n - 1, m.urgency[m.n - 1]);
        } else {
            uint32_t pick = (uint32_t)dice_below(running), i = 0;
            for (;; i++)
                if (m.runs[i] && pick-- == 0)
                    break;
            m.runs[i] = false;
            m.running[m.urgency[i]]--;
            ended++;
            naive_start(&m);
            finish(i);
        }
        check_alike(&m, ended);
    }
    close_all(m.n);
}

START_TEST(as_a_naive_scheduler_does)
{
    for (uint32_t threads = 1; threads <= THREADS_MOST; threads++)
        random_round(threads);
}
END_TEST

static void set_up(void)
{
    dice_seed(5);
    uv_os_setenv("UV_THREADPOOL_SIZE",
                 "8"); /* before its first use: each test is a process of its own */
}

int main(void)
{
    Suite *suite = suite_create("workers");
    TCase *rules = tcase_create("rules");
    tcase_add_checked_fixture(rules, set_up, NULL);
    tcase_set_timeout(rules, 60);
    tcase_add_test(rules, urgent_first_then_first_come);
    tcase_add_test(rules, one_worker_is_kept_for_loads);
    tcase_add_test(rules, loads_may_take_all);
    tcase_add_test(rules, fills_leave_half_to_stores);
    tcase_add_test(rules, what_is_forgotten_never_runs);
    tcase_add_test(rules, as_a_naive_scheduler_does);
    suite_add_tcase(suite, rules);
    return kvt_test_main(suite);
}
