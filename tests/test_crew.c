/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_crew.c - workers and cores: by hand, and at random against a naive machine.
 *
 * The naive machine keeps everything in arrays of real numbers and goes from end to end of a chore. The crew's paces are
 * rounded down to 2^-30 of a core and its ends up to a nanosecond, so a job may end later there, by a billionth of the
 * time since the last idle moment and a nanosecond for each end before it.
 */
#include "../sim/crew.h"
#include "dice.h"
#include "heap.h"
#include "kvt_test.h"

#include <errno.h>
#include <math.h>

enum { JOBS_MOST = 256 };

static struct sim_evq events;
static struct sim_crew crew;
static kvt_ns ended[JOBS_MOST];
static uint32_t order[JOBS_MOST], n_ended;

static void open_both(uint32_t workers, uint32_t cores, double copies, double files)
{
    const double cores_of[SIM_WORKS] = {[SIM_COPIES] = copies, [SIM_FILES] = files};
    sim_evq_init(&events, &heap);
    MUST(sim_crew_init(&crew, &events, &heap, workers, cores, cores_of) == 0);
    n_ended = 0;
    for (int i = 0; i < JOBS_MOST; i++)
        ended[i] = KVT_NEVER;
}

static void open_crew(uint32_t workers, uint32_t cores, double worker_cores)
{
    open_both(workers, cores, worker_cores, worker_cores);
}

static void close_crew(void)
{
    sim_crew_release(&crew);
    sim_evq_release(&events);
}

static void on_done(void *self, uint64_t job, kvt_ns now)
{
    (void)self;
    MUST(ended[job] == KVT_NEVER); /* once */
    ended[job] = now;
    order[n_ended++] = (uint32_t)job;
}

static void ask_for(enum sim_urgency urgency, enum sim_work work, kvt_ns work_ns, uint32_t job)
{
    MUST(sim_crew_ask(&crew, events.now, urgency, work, work_ns, on_done, NULL, job) == 0);
}

static void ask(enum sim_urgency urgency, kvt_ns work_ns, uint32_t job)
{
    ask_for(urgency, SIM_COPIES, work_ns, job);
}

static void use(kvt_ns work_ns, uint32_t job)
{
    MUST(sim_crew_use(&crew, events.now, work_ns, on_done, NULL, job) == 0);
}

static void run(void)
{
    (void)sim_evq_run(&events, KVT_NEVER);
}

START_TEST(workers_have_cores_in_the_order_in_which_they_began)
{
    open_crew(3, 2, 1.25);
    ask(SIM_URGENT_LOAD, 1000, 0);
    ask(SIM_URGENT_LOAD, 1000, 1);
    run();
    ck_assert_uint_eq(ended[0], 1000); /* as if alone */
    ck_assert_uint_eq(ended[1], 1750); /* a quarter until then, a whole core from then on */
    close_crew();
    open_crew(3, 2, INFINITY);
    for (uint32_t i = 0; i < 3; i++)
        ask(SIM_URGENT_LOAD, 1000, i);
    run();
    ck_assert_uint_eq(ended[0], 1000);
    ck_assert_uint_eq(ended[1], 1000);
    ck_assert_uint_eq(ended[2], 2000);
    close_crew();
}
END_TEST

START_TEST(files_and_copies_have_cores_of_their_own)
{
    open_both(3, 3, 1, 2);
    ask_for(SIM_URGENT_LOAD, SIM_FILES, 1000, 0);
    ask_for(SIM_URGENT_LOAD, SIM_FILES, 1000, 1);
    run();
    ck_assert_uint_eq(ended[0], 1000);
    ck_assert_uint_eq(ended[1], 1000); /* two cores for two */
    close_crew();
    open_both(3, 3, 1, 2);
    ask_for(SIM_URGENT_LOAD, SIM_FILES, 1000, 0);
    ask_for(SIM_URGENT_LOAD, SIM_COPIES, 1000, 1);
    run();
    ck_assert_uint_eq(ended[0], 1000);
    ck_assert_uint_eq(ended[1], 1500); /* half a core, the mean less one, then a whole one */
    close_crew();
}
END_TEST

START_TEST(others_have_equal_shares)
{
    open_crew(3, 2, INFINITY);
    use(2000, 0);
    use(2000, 1);
    ask(SIM_URGENT_LOAD, 2000, 2);
    run();
    for (int i = 0; i < 3; i++) /* two thirds of a core each */
        ck_assert(ended[i] >= 3000 && ended[i] <= 3001);
    close_crew();
    open_crew(3, 2, 1); /* two workers have one core, and leave one */
    use(2000, 0);
    ask(SIM_URGENT_LOAD, 1000, 1);
    ask(SIM_URGENT_LOAD, 1000, 2);
    run();
    ck_assert_uint_eq(ended[0], 2000);
    ck_assert_uint_eq(ended[1], 1000);
    ck_assert_uint_eq(ended[2], 2000);
    close_crew();
}
END_TEST

START_TEST(urgent_ones_go_first_and_have_a_worker_of_their_own)
{
    static const uint32_t wanted[] = {0, 4, 2, 3, 1};
    open_crew(2, 2, INFINITY); /* one worker for all that is not a load */
    ask(SIM_URGENT_STORE, 1000, 0);
    ask(SIM_URGENT_STORE, 1000, 1);
    ask(SIM_URGENT_FILL, 1000, 2);
    ask(SIM_URGENT_FILL, 1000, 3);
    ask(SIM_URGENT_LOAD, 1000, 4);
    run();
    ck_assert_uint_eq(n_ended, 5);
    for (int i = 0; i < 5; i++)
        ck_assert_uint_eq(order[i], wanted[i]);
    ck_assert_uint_eq(ended[4], 1000);
    ck_assert_uint_eq(crew.chores, 5);
    ck_assert_uint_eq(crew.wait_ns, 0 + 3000 + 1000 + 2000 + 0);
    ck_assert(sim_crew_busy_ratio(&crew, 4000) == 5000.0 / 8000);
    close_crew();
}
END_TEST

static void ask_more(void *self, uint64_t job, kvt_ns now)
{
    on_done(self, job, now);
    if (job < 10)
        MUST(sim_crew_ask(&crew, now, SIM_URGENT_STORE, SIM_COPIES, job == 9 ? 0 : 100, ask_more,
                          NULL, job + 1) == 0);
}

START_TEST(who_is_told_of_an_end_may_ask_for_more)
{
    open_crew(1, 1, INFINITY);
    MUST(sim_crew_ask(&crew, 0, SIM_URGENT_STORE, SIM_COPIES, 100, ask_more, NULL, 0) == 0);
    run();
    ck_assert_uint_eq(n_ended, 11);
    ck_assert_uint_eq(ended[9], 1000);
    ck_assert_uint_eq(ended[10], 1000); /* no work takes no time */
    close_crew();
}
END_TEST

START_TEST(bad_crews_are_refused)
{
    sim_evq_init(&events, &heap);
    const double cores_of[SIM_WORKS] = {INFINITY, INFINITY};
    ck_assert_int_eq(sim_crew_init(&crew, &events, &heap, 0, 1, cores_of), -EINVAL);
    sim_crew_release(&crew);
    ck_assert_int_eq(sim_crew_init(&crew, &events, &heap, 1, 0, cores_of), -EINVAL);
    sim_crew_release(&crew);
    sim_crew_release(&crew);
    sim_evq_release(&events);
}
END_TEST

/* ---- The naive machine ------------------------------------------------------------------------------ */

struct naive_job {
    double at_ns, left_ns, end_ns;
    int urgency; /* SIM_URGENCIES: no worker */
    enum sim_work work;
    uint32_t turn;
    bool begun, over;
};

static struct naive_job naive[JOBS_MOST];

static uint32_t count(uint32_t n, int least_urgency, int most_urgency)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += naive[i].begun && !naive[i].over && naive[i].urgency >= least_urgency &&
               naive[i].urgency <= most_urgency;
    return sum;
}

static bool naive_may(uint32_t n, uint32_t workers, int urgency)
{
    if (count(n, SIM_URGENT_LOAD, SIM_URGENT_STORE) >= workers)
        return false;
    if (workers == 1 || urgency == SIM_URGENT_LOAD)
        return true;
    return count(n, SIM_URGENT_FILL, SIM_URGENT_STORE) < workers - 1 &&
           (urgency != SIM_URGENT_FILL || count(n, SIM_URGENT_FILL, SIM_URGENT_FILL) < workers / 2);
}

/* The next of an urgency that has come and not begun. */
static struct naive_job *naive_next(uint32_t n, double now, int urgency)
{
    struct naive_job *first = NULL;
    for (uint32_t i = 0; i < n; i++)
        if (!naive[i].begun && naive[i].at_ns <= now && naive[i].urgency == urgency &&
            (!first || naive[i].at_ns < first->at_ns))
            first = &naive[i];
    return first;
}

/* Who begins now: no workers at once, chores by urgency and then in the order in which they came. */
static void naive_begin(uint32_t n, uint32_t workers, double now, uint32_t *turn)
{
    for (int u = SIM_URGENCIES; u >= 0; u--) {
        const int urgency = u == SIM_URGENCIES ? u : SIM_URGENCIES - 1 - u;
        for (struct naive_job *j; (j = naive_next(n, now, urgency));) {
            if (urgency != SIM_URGENCIES && !naive_may(n, workers, urgency))
                break;
            j->begun = true;
            j->turn = (*turn)++;
        }
    }
}

static double naive_pace(uint32_t n, uint32_t i, uint32_t cores, const double cores_of[SIM_WORKS])
{
    const double chores = count(n, 0, SIM_URGENCIES - 1),
                 others = count(n, SIM_URGENCIES, SIM_URGENCIES);
    const double each = fmin(1, cores / (chores + others));
    double own = 0;
    for (uint32_t k = 0; k < n; k++)
        if (naive[k].begun && !naive[k].over && naive[k].urgency < SIM_URGENCIES)
            own += cores_of[naive[k].work] / chores;
    double all = fmin(fmin(chores, own), cores);
    double other = others > 0 ? fmin(1, (cores - all) / others) : 0;
    if (all > chores * each) {
        all = chores * each;
        other = each;
    }
    if (naive[i].urgency == SIM_URGENCIES)
        return other;
    for (uint32_t k = 0; k < n; k++)
        all -= naive[k].begun && !naive[k].over && naive[k].urgency < SIM_URGENCIES &&
               naive[k].turn < naive[i].turn;
    return fmax(0, fmin(1, all));
}

static void naive_run(uint32_t n, uint32_t workers, uint32_t cores,
                      const double cores_of[SIM_WORKS])
{
    double now = 0;
    for (uint32_t turn = 0, over = 0; over < n;) {
        naive_begin(n, workers, now, &turn);
        double by = INFINITY, pace[JOBS_MOST] = {0};
        for (uint32_t i = 0; i < n; i++) {
            if (naive[i].at_ns > now)
                by = fmin(by, naive[i].at_ns - now);
            if (!naive[i].begun || naive[i].over)
                continue;
            pace[i] = naive_pace(n, i, cores, cores_of);
            if (pace[i] > 0)
                by = fmin(by, naive[i].left_ns / pace[i]);
        }
        now += by;
        for (uint32_t i = 0; i < n; i++) {
            if (!naive[i].begun || naive[i].over)
                continue;
            naive[i].left_ns -= by * pace[i];
            if (naive[i].left_ns > 1e-6)
                continue;
            naive[i].over = true;
            naive[i].end_ns = now;
            over++;
        }
    }
}

static void arrive(void *self, uint64_t i, kvt_ns now)
{
    (void)self;
    const struct naive_job *j = &naive[i];
    MUST(now == (kvt_ns)j->at_ns);
    if (j->urgency == SIM_URGENCIES)
        use((kvt_ns)j->left_ns, (uint32_t)i);
    else
        ask_for((enum sim_urgency)j->urgency, j->work, (kvt_ns)j->left_ns, (uint32_t)i);
}

/* One burst of jobs; apart in time by more than rounding adds up to, so that it changes no order. */
static void burst(void)
{
    const uint32_t workers = 1 + (uint32_t)dice_below(5), cores = 1 + (uint32_t)dice_below(4),
                   n = 1 + (uint32_t)dice_below(24);
    double cores_of[SIM_WORKS];
    for (int k = 0; k < SIM_WORKS; k++) /* no worker has more than a core */
        cores_of[k] = dice_one_in(3) ? workers : fmin(workers, 1 + (double)dice_below(3000) / 1000);
    double work_ns = 0, last_ns = 0;
    open_both(workers, cores, cores_of[SIM_COPIES], cores_of[SIM_FILES]);
    for (uint32_t i = 0; i < n; i++) {
        naive[i] = (struct naive_job){.at_ns = (double)(dice_below(20) * 1000000 + i * 40000),
                                      .left_ns = (double)(1000 + dice_below(3000000)),
                                      .urgency = (int)dice_below(SIM_URGENCIES + 1),
                                      .work = (enum sim_work)dice_below(SIM_WORKS)};
        work_ns += naive[i].left_ns;
        MUST(sim_evq_push(&events, (kvt_ns)naive[i].at_ns, arrive, NULL, i) == 0);
    }
    run();
    naive_run(n, workers, cores, cores_of);
    for (uint32_t i = 0; i < n; i++) {
        MUST(ended[i] != KVT_NEVER && fabs((double)ended[i] - naive[i].end_ns) <= 200);
        last_ns = fmax(last_ns, (double)ended[i]);
    }
    MUST(fabs(sim_crew_busy_ratio(&crew, (kvt_ns)last_ns) * last_ns * cores - work_ns) <= 200);
    close_crew();
}

START_TEST(a_naive_machine_ends_all_at_the_same_time)
{
    dice_seed((uint64_t)_i);
    for (int turn = 0; turn < 400; turn++)
        burst();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("crew");
    TCase *hand = tcase_create("by hand"), *random = tcase_create("random");
    tcase_add_test(hand, workers_have_cores_in_the_order_in_which_they_began);
    tcase_add_test(hand, files_and_copies_have_cores_of_their_own);
    tcase_add_test(hand, others_have_equal_shares);
    tcase_add_test(hand, urgent_ones_go_first_and_have_a_worker_of_their_own);
    tcase_add_test(hand, who_is_told_of_an_end_may_ask_for_more);
    tcase_add_test(hand, bad_crews_are_refused);
    tcase_add_loop_test(random, a_naive_machine_ends_all_at_the_same_time, 0, 4);
    suite_add_tcase(suite, hand);
    suite_add_tcase(suite, random);
    return kvt_test_main(suite);
}
