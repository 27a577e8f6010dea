/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_station.c - queues against a naive loop, against Little's law, and against the closed forms of M/M/1, M/D/1
 * and M/M/k.
 *
 * Waiting times. A run is 2^20 customers at a mean service time of 1 ms and a load of one half. Waits of neighbours
 * are correlated, so the standard error of their mean is that of far fewer: for M/M/1 the asymptotic variance of the
 * mean is (rho * (2 + 5 rho - 4 rho^2 + rho^3) / (1 - rho)^4) * s^2 / n (Daley, The serial correlation coefficients of
 * waiting times in a stationary single server queue, J. Austral. Math. Soc. 8, 1968), at rho = 1/2 that is
 * 29 s^2 / n: 0.53 % of the mean wait s for one run of 2^20. Eight streams together have 0.19 %, so a bound of 1 % is
 * five standard errors. The test measures the spread of its streams too, and fails if they scatter wider than that
 * theory allows, so that a wrong mean cannot hide in noise. M/D/1 scatters less. All seeds are used as they come:
 * 1 to 8, and 1001 to 1008.
 */
#include "../sim/station.h"
#include "dice.h"
#include "failing_alloc.h"
#include "kvt_test.h"

#include <errno.h>
#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>
#include <math.h>
#include <string.h>

static struct failing_alloc memory;

/* n more requests are met, and then none. */
static void grant(uint64_t n)
{
    memory.fail_at = memory.gets + n + 1;
    memory.for_good = true;
}

static void set_up(void)
{
    failing_alloc_init(&memory, 0);
}

/* ---- The naive loop ------------------------------------------------------------------------------ */

enum { SERVERS_MOST = 70 };

static kvt_ns naive_free_ns[SERVERS_MOST];

static struct sim_service naive_submit(uint32_t servers, kvt_ns now, uint64_t items, kvt_ns item_ns)
{
    struct sim_service job = {.begin_ns = KVT_NEVER};
    for (; items > 0; items--) {
        uint32_t first = 0;
        for (uint32_t i = 1; i < servers; i++)
            if (naive_free_ns[i] < naive_free_ns[first])
                first = i;
        kvt_ns begin_ns = naive_free_ns[first] > now ? naive_free_ns[first] : now;
        if (begin_ns < job.begin_ns)
            job.begin_ns = begin_ns;
        naive_free_ns[first] = begin_ns + item_ns;
        if (begin_ns + item_ns > job.end_ns)
            job.end_ns = begin_ns + item_ns;
    }
    return job;
}

static kvt_ns naive_busy_ns(uint32_t servers, kvt_ns now, kvt_ns given_ns)
{
    for (uint32_t i = 0; i < servers; i++)
        if (naive_free_ns[i] > now)
            given_ns -= naive_free_ns[i] - now;
    return given_ns;
}

/* Jobs small and large, on queues idle, busy and uneven. */
START_TEST(random_jobs_are_served_like_in_the_naive_loop)
{
    dice_seed((uint64_t)_i);
    for (int round = 0; round < 300; round++) {
        const uint32_t servers =
            (uint32_t)(dice_below(4) ? 1 + dice_below(9) : 1 + dice_below(SERVERS_MOST));
        const kvt_ns scale_ns = 1 + dice_below(dice_below(2) ? 10 : 100000);
        struct sim_station s;
        kvt_ns now = 0, given_ns = 0;
        memset(naive_free_ns, 0, sizeof(naive_free_ns));
        ck_assert_int_eq(sim_station_init(&s, servers, &memory.alloc), 0);
        for (int i = 0; i < 60; i++) {
            now += dice_below(3) ? dice_below(20 * scale_ns) : 0;
            uint64_t items = 1 + dice_below(dice_below(3) ? 2 * servers : 1000);
            kvt_ns item_ns =
                dice_below(10) ? dice_below(dice_below(3) ? scale_ns + 1 : 50 * scale_ns) : 0;
            struct sim_service want = naive_submit(servers, now, items, item_ns);
            struct sim_service got = sim_station_submit(&s, now, items, item_ns);
            given_ns += items * item_ns;
            ck_assert_msg(got.begin_ns == want.begin_ns && got.end_ns == want.end_ns,
                          "seed %d, round %d, job %d", _i, round, i);
            ck_assert(sim_station_busy_ns(&s, now) == naive_busy_ns(servers, now, given_ns));
        }
        sim_station_release(&s);
    }
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

START_TEST(a_huge_job_takes_no_longer_to_compute)
{
    struct sim_station s;
    ck_assert_int_eq(sim_station_init(&s, 8, &memory.alloc), 0);
    sim_station_submit(&s, 0, 3, 100);
    struct sim_service job = sim_station_submit(&s, 10, UINT64_C(8000000000005), 7);
    ck_assert_uint_eq(job.begin_ns, 10);
    /* Five servers from 10, three from 100: these are 39 items behind, so 8e12 + 44 items from the same start. */
    ck_assert_uint_eq(job.end_ns, 10 + 7 * ((UINT64_C(8000000000005) + 39 + 7) / 8));
    ck_assert(sim_station_busy_ns(&s, job.end_ns) == (sim_ns_sum)300 + UINT64_C(56000000000035));
    sim_station_release(&s);
}
END_TEST

START_TEST(a_station_that_never_ends_is_stopped)
{
    struct sim_station s;
    ck_assert_int_eq(sim_station_init(&s, 2, &memory.alloc), 0);
    sim_station_submit(&s, 5, 1, 10);
    struct sim_service job = sim_station_submit(&s, 6, UINT64_MAX, UINT64_MAX);
    ck_assert_uint_eq(job.begin_ns, 6);
    ck_assert_uint_eq(job.end_ns, KVT_NEVER);
    job = sim_station_submit(&s, 7, 1, 1);
    ck_assert_uint_eq(job.begin_ns, KVT_NEVER);
    ck_assert_uint_eq(job.end_ns, KVT_NEVER);
    ck_assert(sim_station_busy_ns(&s, 15) == 19);
    sim_station_release(&s);
}
END_TEST

START_TEST(what_cannot_be_built_is_refused)
{
    struct sim_station s;
    ck_assert_int_eq(sim_station_init(&s, 0, &memory.alloc), -EINVAL);
    grant(0);
    ck_assert_int_eq(sim_station_init(&s, 3, &memory.alloc), -ENOMEM);
    memory.fail_at = 0;
    sim_station_release(&s);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

/* ---- Little's law -------------------------------------------------------------------------------- */

enum { JOBS = 3000 };

static int by_time(const void *a, const void *b)
{
    const kvt_ns x = *(const kvt_ns *)a, y = *(const kvt_ns *)b;
    return x < y ? -1 : x > y;
}

/* The integral over time of how many have come and not gone, by walking along both sorted lists. */
static sim_ns_sum integral(kvt_ns *come, kvt_ns *gone, size_t n)
{
    sim_ns_sum sum = 0;
    kvt_ns at = 0;
    size_t in = 0, out = 0;
    qsort(come, n, sizeof(*come), by_time);
    qsort(gone, n, sizeof(*gone), by_time);
    while (out < n) {
        kvt_ns next = in < n && come[in] < gone[out] ? come[in] : gone[out];
        sum += (sim_ns_sum)(in - out) * (next - at);
        at = next;
        if (in < n && come[in] == next)
            in++;
        else
            out++;
    }
    return sum;
}

/* L = lambda W, in the station and in its queue: the integrals of the numbers are the sums of the times, and the
 * station's own sums are those. Busy servers are what Little's law says of the servers. */
START_TEST(littles_law_holds_under_random_load)
{
    static kvt_ns come[JOBS], begun[JOBS], gone[JOBS];
    dice_seed(100 + (uint64_t)_i);
    for (int round = 0; round < 20; round++) {
        const uint32_t servers = (uint32_t)(1 + dice_below(8));
        const kvt_ns gap_ns = 1 + dice_below(3000);
        struct sim_station s;
        kvt_ns now = 0;
        ck_assert_int_eq(sim_station_init(&s, servers, &memory.alloc), 0);
        for (size_t i = 0; i < JOBS; i++) {
            now += dice_below(2 * gap_ns);
            const uint64_t items = 1 + dice_below(10);
            struct sim_service job = sim_station_submit(&s, now, items, dice_below(1000));
            come[i] = now;
            begun[i] = job.begin_ns;
            gone[i] = job.end_ns;
            ck_assert_uint_ge(job.begin_ns, now);
            ck_assert_uint_ge(job.end_ns, job.begin_ns);
        }
        ck_assert(integral(come, gone, JOBS) == s.stay_ns);
        ck_assert(integral(come, begun, JOBS) == s.wait_ns);
        ck_assert(s.busy_ns <= (sim_ns_sum)s.end_ns * servers);
        ck_assert(sim_station_busy_ns(&s, s.end_ns) == s.busy_ns);
        ck_assert_uint_eq(s.jobs, JOBS);
        sim_station_release(&s);
    }
}
END_TEST

/* ---- Closed forms -------------------------------------------------------------------------------- */

enum { CUSTOMERS = 1 << 20, STREAMS = 8 };

#define SERVICE_NS 1e6

struct mean {
    double wait_ns, error_ns; /* error: standard error, from the streams' spread */
    double busy_ratio;
};

static struct mean simulate(uint32_t servers, double rho, bool deterministic, unsigned long seed)
{
    double sum = 0, squares = 0, busy = 0;
    for (unsigned long stream = 0; stream < STREAMS; stream++) {
        gsl_rng *rng = gsl_rng_alloc(gsl_rng_taus2);
        struct sim_station s;
        double at_ns = 0;
        gsl_rng_set(rng, seed + stream);
        ck_assert_int_eq(sim_station_init(&s, servers, &memory.alloc), 0);
        for (int i = 0; i < CUSTOMERS; i++) {
            at_ns += gsl_ran_exponential(rng, SERVICE_NS / (rho * servers));
            double service_ns = deterministic ? SERVICE_NS : gsl_ran_exponential(rng, SERVICE_NS);
            sim_station_submit(&s, (kvt_ns)at_ns, 1, (kvt_ns)llround(service_ns));
        }
        double wait_ns = sim_station_mean_wait_ns(&s);
        sum += wait_ns;
        squares += wait_ns * wait_ns;
        busy += sim_station_busy_ratio(&s, s.last_ns);
        sim_station_release(&s);
        gsl_rng_free(rng);
    }
    const double mean = sum / STREAMS, variance = (squares / STREAMS - mean * mean);
    return (struct mean){.wait_ns = mean,
                         .error_ns = sqrt(fmax(variance, 0) / (STREAMS - 1)),
                         .busy_ratio = busy / STREAMS};
}

static const unsigned long seeds[] = {1, 1001};

static void expect(const char *queue, struct mean got, double wait_ns, double rho,
                   double most_error)
{
    printf("%s: mean wait %.5f ms, closed form %.5f ms (%+.2f %%), standard error %.2f %%\n", queue,
           got.wait_ns / 1e6, wait_ns / 1e6, 100 * (got.wait_ns / wait_ns - 1),
           100 * got.error_ns / wait_ns);
    ck_assert_double_le(got.error_ns, most_error * wait_ns);
    ck_assert_double_eq_tol(got.wait_ns, wait_ns, 0.01 * wait_ns);
    ck_assert_double_eq_tol(got.busy_ratio, rho, 0.005 * rho);
}

/* W = s rho / (1 - rho) */
START_TEST(mm1_waits_as_long_as_the_closed_form_says)
{
    expect("M/M/1", simulate(1, 0.5, false, seeds[_i]), SERVICE_NS, 0.5, 0.004);
}
END_TEST

/* W = s rho / (2 (1 - rho)), Pollaczek and Khinchine */
START_TEST(md1_waits_as_long_as_the_closed_form_says)
{
    expect("M/D/1", simulate(1, 0.5, true, seeds[_i]), SERVICE_NS / 2, 0.5, 0.004);
}
END_TEST

/* W = C(k, k rho) s / (k (1 - rho)) with Erlang's C; k = 4, rho = 0.7 */
START_TEST(mmk_waits_as_long_as_the_closed_form_says)
{
    const double k = 4, rho = 0.7, a = k * rho;
    double b = 1; /* Erlang's B by its recursion */
    for (int i = 1; i <= 4; i++)
        b = a * b / (i + a * b);
    const double c = b / (1 - rho * (1 - b));
    expect("M/M/4", simulate(4, rho, false, seeds[0]), c * SERVICE_NS / (k * (1 - rho)), rho,
           0.008);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("station");
    TCase *exact = tcase_create("exact"), *closed = tcase_create("closed forms");
    tcase_add_loop_test(exact, random_jobs_are_served_like_in_the_naive_loop, 0, 8);
    tcase_add_test(exact, a_huge_job_takes_no_longer_to_compute);
    tcase_add_test(exact, a_station_that_never_ends_is_stopped);
    tcase_add_test(exact, what_cannot_be_built_is_refused);
    tcase_add_loop_test(exact, littles_law_holds_under_random_load, 0, 8);
    tcase_add_checked_fixture(exact, set_up, NULL);
    tcase_add_checked_fixture(closed, set_up, NULL);
    tcase_set_timeout(closed, 60);
    tcase_add_loop_test(closed, mm1_waits_as_long_as_the_closed_form_says, 0, 2);
    tcase_add_loop_test(closed, md1_waits_as_long_as_the_closed_form_says, 0, 2);
    tcase_add_test(closed, mmk_waits_as_long_as_the_closed_form_says);
    suite_add_tcase(suite, exact);
    suite_add_tcase(suite, closed);
    return kvt_test_main(suite);
}
