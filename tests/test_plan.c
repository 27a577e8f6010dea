/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_plan.c - the search for the cheapest point (cli/plan_search.h) against exhaustive search: random grids whose border is
 * known, with the count of looks; grids where the assumption is false; nothing that meets; a budget.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "cli/plan_search.h"
#include "dice.h"

enum { MOST = 8000 };

/* A condition with its truth, and how often it was asked. */
struct world {
    struct plan_search s;
    double cost[MOST];
    bool meets[MOST];
    double strain[MOST];
    int asked[MOST];
    int fail_at;
};

static double unit(void)
{
    return (double)(dice_word() >> 11) / 9007199254740992.0;
}

static int ask(void *self, const size_t *points, size_t n, struct plan_verdict *verdicts)
{
    struct world *w = self;
    for (size_t i = 0; i < n; i++) {
        ck_assert_int_eq(w->asked[points[i]]++, 0); /* never twice */
        verdicts[i] = (struct plan_verdict){w->meets[points[i]], w->strain[points[i]]};
    }
    return w->fail_at > 0 && (int)w->s.looks >= w->fail_at ? -EIO : 0;
}

static size_t digit(const struct world *w, size_t p, size_t key)
{
    for (size_t k = w->s.n_keys; k-- > key + 1;)
        p /= w->s.n[k];
    return p % w->s.n[key];
}

/* A queue in front of a cache, roughly: latency falls with each key, at rates of its own, with diminishing return; cost
 * grows. `kinds`: the last key is not ordered. noise: of latency, relative. bend: with each value of the first key latency
 * grows again by up to this much, relative to what the key gains at most: engines that share fewer hits. */
static void make_bent(struct world *w, size_t n_keys, size_t size, bool kinds, double noise,
                      double bend)
{
    double price[PLAN_KEYS_MOST], gain[PLAN_KEYS_MOST], speed[64], rent[64], latency[MOST];
    memset(w, 0, sizeof *w);
    w->s = (struct plan_search){.n_keys = n_keys,
                                .cost = w->cost,
                                .look = ask,
                                .self = w,
                                .at_once = 1,
                                .cost_least = -INFINITY,
                                .points = 1};
    double harm = bend > 0 ? bend * unit() : 0;
    for (size_t k = 0; k < n_keys; k++) {
        w->s.n[k] = size;
        w->s.ordered[k] = !(kinds && k + 1 == n_keys);
        w->s.points *= size;
        price[k] = exp(3 * unit());
        gain[k] = exp(2 * unit());
    }
    for (size_t i = 0; i < size; i++) {
        speed[i] = exp(unit());
        rent[i] = exp(2 * unit());
    }
    for (size_t p = 0; p < w->s.points; p++) {
        w->cost[p] = 1;
        latency[p] = 0;
        for (size_t k = 0; k < n_keys; k++) {
            size_t d = digit(w, p, k);
            if (w->s.ordered[k]) {
                w->cost[p] += price[k] * (double)(d + 1);
                latency[p] += gain[k] / (double)(d + 1) + (k == 0 ? gain[k] * harm * (double)d : 0);
            } else {
                w->cost[p] += rent[d];
                latency[p] /= speed[d];
            }
        }
        latency[p] *= 1 + noise * (2 * unit() - 1);
    }
    double limit = latency[dice_below(w->s.points)];
    for (size_t p = 0; p < w->s.points; p++) {
        w->meets[p] = latency[p] <= limit;
        w->strain[p] = latency[p] / limit;
    }
}

static void make(struct world *w, size_t n_keys, size_t size, bool kinds, double noise)
{
    make_bent(w, n_keys, size, kinds, noise, 0);
}

static size_t exhaustive(const struct world *w)
{
    size_t best = w->s.points;
    for (size_t p = 0; p < w->s.points; p++)
        if (w->meets[p] && (best == w->s.points || w->cost[p] < w->cost[best]))
            best = p;
    return best;
}

static bool same_answer(struct world *w)
{
    size_t best = exhaustive(w);
    bool same = best == w->s.points
                    ? w->s.best == w->s.points
                    : w->s.best < w->s.points && w->cost[w->s.best] == w->cost[best];
    plan_search_release(&w->s);
    return same;
}

static struct world w;

START_TEST(the_same_answer_as_looking_everywhere)
{
    for (uint64_t seed = 1; seed <= 200; seed++) {
        dice_seed(seed);
        size_t keys = 1 + dice_below(3);
        make(&w, keys, 2 + dice_below(7), dice_one_in(2), 0);
        w.s.at_once = 1 + dice_below(4);
        ck_assert_int_eq(plan_search(&w.s), 0);
        ck_assert_uint_eq(w.s.contradictions, 0);
        ck_assert(!w.s.exhausted);
        ck_assert_msg(same_answer(&w), "seed %llu", (unsigned long long)seed);
    }
}
END_TEST

START_TEST(few_looks_at_a_large_grid)
{
    size_t sum = 0, most = 0;
    enum { RUNS = 50 };
    for (uint64_t seed = 1; seed <= RUNS; seed++) {
        dice_seed(1000 + seed);
        make(&w, 3, 20, false, 0);
        w.s.at_once = 2;
        ck_assert_int_eq(plan_search(&w.s), 0);
        sum += w.s.looks;
        most = w.s.looks > most ? w.s.looks : most;
        ck_assert_msg(same_answer(&w), "seed %llu", (unsigned long long)seed);
    }
    printf("3 keys x 20 values: %.1f looks on average, %zu at most, of 8000\n", (double)sum / RUNS,
           most);
    ck_assert_msg(most <= 400, "%zu looks, expected at most 5 %% of 8000", most);
}
END_TEST

START_TEST(noise_and_the_assumption)
{
    /* Latency off by up to 3 %: no longer monotone near the border. */
    int same = 0;
    size_t looks = 0;
    enum { RUNS = 50 };
    double excess = 0;
    for (uint64_t seed = 1; seed <= RUNS; seed++) {
        dice_seed(2000 + seed);
        make(&w, 3, 6, false, 0.03);
        w.s.at_once = 2;
        ck_assert_int_eq(plan_search(&w.s), 0);
        size_t best = exhaustive(&w);
        if (best < w.s.points) {
            ck_assert(w.s.best < w.s.points && w.meets[w.s.best]); /* what is answered does meet */
            double ratio = w.cost[w.s.best] / w.cost[best];
            excess = ratio > excess ? ratio : excess;
        }
        looks += w.s.looks;
        same += same_answer(&w);
    }
    printf(
        "with 3 %% of noise: the same answer in %d of %d, at most %.3f times the cost, %.1f looks "
        "of 216\n",
        same, RUNS, excess, (double)looks / RUNS);
    ck_assert_msg(same >= 0.95 * RUNS, "%d of %d", same, RUNS);
    ck_assert_msg(excess < 1.1, "%g times the cost", excess);
}
END_TEST

START_TEST(where_more_is_worse)
{
    /* Latency falls with the first key and rises again: a bowl. The least of it is where nobody looks who believes that more
     * is never worse. */
    int same = 0, bent = 0, noticed = 0;
    size_t looks = 0, most = 0;
    enum { RUNS = 200 };
    for (uint64_t seed = 1; seed <= RUNS; seed++) {
        dice_seed(3000 + seed);
        make_bent(&w, 3, 8, dice_one_in(2), 0, 0.3);
        w.s.at_once = 2;
        ck_assert_int_eq(plan_search(&w.s), 0);
        size_t best = exhaustive(&w);
        if (w.s.best < w.s.points)
            ck_assert(w.meets[w.s.best]);
        bool is_bent = false; /* does a failing point have a meeting one below it? */
        for (size_t p = 0; p < w.s.points; p++)
            is_bent = is_bent || (!w.meets[p] && digit(&w, p, 0) > 0 && w.meets[p - 64]);
        bent += is_bent;
        noticed += is_bent && w.s.slope > 0;
        looks += w.s.looks;
        most = w.s.looks > most ? w.s.looks : most;
        (void)best;
        same += same_answer(&w);
    }
    printf("where more is worse: the same answer in %d of %d, %d of them bent at the border, %d "
           "noticed; %.1f looks on average, %zu at most, of 512\n",
           same, RUNS, bent, noticed, (double)looks / RUNS, most);
    ck_assert_msg(bent > RUNS / 2, "only %d are bent", bent);
    ck_assert_msg(same >= 0.95 * RUNS, "%d of %d", same, RUNS);
}
END_TEST

START_TEST(nothing_meets_everything_meets)
{
    dice_seed(5);
    make(&w, 3, 8, false, 0);
    memset(w.meets, 0, sizeof w.meets);
    ck_assert_int_eq(plan_search(&w.s), 0);
    ck_assert_uint_eq(w.s.best, w.s.points);
    ck_assert_uint_lt(w.s.looks, 40); /* the largest fails, and with it all below */
    plan_search_release(&w.s);

    make(&w, 3, 8, false, 0);
    memset(w.meets, 1, sizeof w.meets);
    ck_assert_int_eq(plan_search(&w.s), 0);
    ck_assert_uint_eq(w.s.best, 0);
    ck_assert_uint_lt(w.s.looks, 20);
    plan_search_release(&w.s);
}
END_TEST

START_TEST(a_budget_and_what_is_known_before)
{
    dice_seed(6);
    make(&w, 3, 20, false, 0);
    w.s.looks_most = 10;
    ck_assert_int_eq(plan_search(&w.s), 0);
    ck_assert_uint_le(w.s.looks, 10);
    ck_assert(w.s.exhausted && w.s.left_open > 0);
    plan_search_release(&w.s);

    make(&w, 3, 10, false, 0);
    size_t best = exhaustive(&w);
    w.s.cost_least = w.cost[best];
    ck_assert_int_eq(plan_search(&w.s), 0);
    for (size_t p = 0; p < w.s.points; p++)
        ck_assert(w.asked[p] == 0 || w.cost[p] >= w.s.cost_least);
    ck_assert(same_answer(&w));
    make(&w, 3, 10, false, 0);
    w.cost[exhaustive(&w)] = (double)NAN; /* left out */
    ck_assert_int_eq(plan_search(&w.s), 0);
    ck_assert(isfinite(w.cost[w.s.best]));
    plan_search_release(&w.s);
    make(&w, 2, 10, false, 0);
    w.fail_at = 1;
    ck_assert_int_eq(plan_search(&w.s), -EIO);
    plan_search_release(&w.s);
}
END_TEST

START_TEST(runner_up_and_steps)
{
    dice_seed(7);
    make(&w, 2, 10, false, 0);
    ck_assert_int_eq(plan_search(&w.s), 0);
    size_t best = w.s.best, second = plan_runner_up(&w.s);
    for (size_t k = 0; k < 2; k++) {
        size_t down = plan_step_down(&w.s, best, k);
        if (digit(&w, best, k) == 0)
            ck_assert_uint_eq(down, w.s.points);
        else
            ck_assert(w.asked[down] == 1 && !w.meets[down]); /* seen to fail */
    }
    if (second < w.s.points) {
        ck_assert(w.meets[second] && w.cost[second] >= w.cost[best]);
        ck_assert(digit(&w, second, 0) < digit(&w, best, 0) ||
                  digit(&w, second, 1) < digit(&w, best, 1));
    }
    plan_search_release(&w.s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plan");
    TCase *tc = tcase_create("plan");
    tcase_add_test(tc, the_same_answer_as_looking_everywhere);
    tcase_add_test(tc, few_looks_at_a_large_grid);
    tcase_add_test(tc, noise_and_the_assumption);
    tcase_add_test(tc, where_more_is_worse);
    tcase_add_test(tc, nothing_meets_everything_meets);
    tcase_add_test(tc, a_budget_and_what_is_known_before);
    tcase_add_test(tc, runner_up_and_steps);
    suite_add_tcase(suite, tc);
    return kvt_test_main(suite);
}
