/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_workload_gen.c - generators: what they promise about rates, lengths, popularity and prefixes, and that a
 * source is a function of its options.
 *
 * Statistical checks use fixed seeds and allow four standard errors, computed or estimated from independent
 * batches as stated beside each: a right generator passes for nearly any seed, and for these always.
 */
#include "kvt_test.h"
#include "workload/intern.h"
#include "workload_help.h"

#include <errno.h>
#include <malloc.h>
#include <math.h>
#include <stdarg.h>

static const char *const kinds[] = {"chat", "agent", "rag", "zipf-tree"};

/* key, value, ..., NULL */
static struct wl_options drawn(uint64_t seed, ...)
{
    struct wl_options o;
    struct wl_error error;
    va_list settings;
    const char *key;
    wl_options_init(&o);
    o.seed = seed;
    va_start(settings, seed);
    while ((key = va_arg(settings, const char *)) != NULL) {
        const char *value = va_arg(settings, const char *);
        ck_assert_msg(wl_generate_set(&o.generate, key, value, &error) == 0, "%s", error.text);
    }
    va_end(settings);
    return o;
}

static struct wl_source *opened(const struct wl_options *o)
{
    struct wl_source *s;
    struct wl_error error;
    ck_assert_msg(wl_open(&s, o, &error) == 0, "%s", error.text);
    return s;
}

/* ---- A function of its options ---------------------------------------------------------------------- */

START_TEST(same_again)
{
    const char *kind = kinds[_i];
    uint64_t first, again, other;
    struct wl_options o =
        drawn(3, "kind", kind, "requests", "3000", "arrivals", "gamma(cv=2)", "tenants", "5", NULL);
    struct wl_source *s = opened(&o);
    ck_assert_uint_eq(digest_of(s, &first), 3000);
    wl_rewind(s);
    digest_of(s, &again);
    ck_assert_uint_eq(first, again);
    /* Rewinding in the middle, too. */
    struct kvt_request r;
    wl_rewind(s);
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(wl_next(s, &r), 1);
    wl_rewind(s);
    digest_of(s, &again);
    ck_assert_uint_eq(first, again);
    wl_close(s);
    s = opened(&o);
    digest_of(s, &again);
    ck_assert_uint_eq(first, again);
    wl_close(s);
    o.seed = 4;
    s = opened(&o);
    digest_of(s, &other);
    ck_assert_uint_ne(first, other);
    wl_close(s);
}
END_TEST

START_TEST(order_and_limits)
{
    struct wl_options o = drawn(1, "kind", kinds[_i], "requests", "5000", "rate", "20/s",
                                "context_tokens", "9000", NULL);
    struct kvt_request r;
    kvt_ns last = 0;
    uint64_t n = 0;
    o.block_tokens = 16;
    struct wl_source *s = opened(&o);
    for (; wl_next(s, &r) == 1; n++) {
        ck_assert_uint_eq(r.id, n);
        ck_assert_uint_ge(r.arrive_ns, last);
        ck_assert_uint_ge(r.prompt_tokens, 1);
        ck_assert_uint_ge(r.output_tokens, 1);
        ck_assert_uint_le(r.prompt_tokens + r.output_tokens, 9000);
        ck_assert_uint_eq(r.n_keys, (r.prompt_tokens + r.output_tokens) / 16);
        last = r.arrive_ns;
    }
    ck_assert_uint_eq(n, 5000);
    wl_close(s);
}
END_TEST

/* ---- Prefixes --------------------------------------------------------------------------------------- */

enum { PLACES = 1 << 22 };

/* Where a key has been seen: behind which key, at which position. */
struct place {
    uint32_t before, position;
};

/* An id names everything before it: wherever a key turns up, the same key stands before it. */
START_TEST(equal_key_equal_prefix)
{
    struct wl_options o = drawn(11, "kind", kinds[_i / 4], "requests", "4000", "rate", "50/s",
                                "context_tokens", "12000", NULL);
    struct wl_intern keys = {0};
    struct place *places = calloc(PLACES, sizeof places[0]);
    struct kvt_request r;
    uint64_t shared = 0;
    o.block_tokens = _i % 2 ? 512 : 16;
    o.partial_blocks = _i / 2 % 2;
    ck_assert_ptr_nonnull(places);
    struct wl_source *s = opened(&o);
    while (wl_next(s, &r) == 1) {
        uint32_t before = KVT_NONE;
        for (uint32_t i = 0; i < r.n_keys; i++) {
            uint32_t index;
            bool fresh;
            if (wl_intern(&keys, r.keys[i], &index, &fresh) != 0)
                ck_abort_msg("no memory");
            if (index >= PLACES)
                ck_abort_msg("no place");
            if (fresh)
                places[index] = (struct place){before, i};
            /* Not a ck_assert: each of them writes to a file, and there are millions of keys. */
            if (places[index].before != before || places[index].position != i)
                ck_abort_msg("request %llu, block %u", (unsigned long long)r.id, i);
            shared += !fresh;
            before = index;
        }
    }
    ck_assert_uint_gt(shared, 0);
    free(places);
    wl_intern_release(&keys);
    wl_close(s);
}
END_TEST

enum { SESSIONS = 3000, CONTEXT = 12000, SYSTEM = 1024, BLOCK = 16 };

/* What a session said last. */
struct said {
    kvt_key keys[CONTEXT / BLOCK];
    uint32_t n, tokens;
};

/* The next prompt of a session begins with the last prompt and its answer; when that would be too long, with the
 * system prompt, and none of the session's own blocks is named again. */
START_TEST(turns_extend_one_another)
{
    struct wl_options o = drawn(5, "kind", kinds[_i], "requests", "6000", "sessions", "3000",
                                "context_tokens", "12000", "system_tokens", "1024", NULL);
    const uint32_t shared = SYSTEM / BLOCK;
    struct said **last = calloc(SESSIONS, sizeof(struct said *));
    uint64_t extended = 0, over = 0;
    struct kvt_request r;
    o.block_tokens = BLOCK;
    struct wl_source *s = opened(&o);
    while (wl_next(s, &r) == 1) {
        ck_assert_uint_lt(r.session, SESSIONS);
        ck_assert_uint_le(r.n_keys, CONTEXT / BLOCK);
        struct said *before = last[r.session];
        if (before == NULL) {
            before = last[r.session] = malloc(sizeof *before);
        } else if (before->tokens + r.prompt_tokens - SYSTEM + r.output_tokens > CONTEXT &&
                   !kvt_key_equal(r.keys[shared], before->keys[shared])) {
            ck_assert_mem_eq(r.keys, before->keys, shared * sizeof r.keys[0]);
            for (uint32_t i = shared; i < r.n_keys && i < before->n; i++)
                if (kvt_key_equal(r.keys[i], before->keys[i]))
                    ck_abort_msg("request %llu, block %u", (unsigned long long)r.id, i);
            over++;
        } else {
            ck_assert_uint_gt(r.prompt_tokens, before->tokens);
            ck_assert_mem_eq(r.keys, before->keys, before->n * sizeof r.keys[0]);
            extended++;
        }
        memcpy(before->keys, r.keys, r.n_keys * sizeof r.keys[0]);
        before->n = r.n_keys;
        before->tokens = r.prompt_tokens + r.output_tokens;
    }
    ck_assert_uint_gt(extended, 1000);
    ck_assert_uint_gt(over, 0);
    for (int i = 0; i < SESSIONS; i++)
        free(last[i]);
    free(last);
    wl_close(s);
}
END_TEST

/* Another rate moves sessions in time and changes nothing they say: paired comparisons. */
START_TEST(rate_moves_time_only)
{
    struct wl_options slow = drawn(9, "sessions", "200", "requests", "0", "rate", "1/s", NULL);
    struct wl_options fast = drawn(9, "sessions", "200", "requests", "0", "rate", "30/s", NULL);
    uint64_t said[2][200] = {{0}};
    kvt_ns end[2] = {0};
    for (int i = 0; i < 2; i++) {
        struct wl_source *s = opened(i == 0 ? &slow : &fast);
        struct kvt_request r;
        while (wl_next(s, &r) == 1) {
            uint64_t *hash = &said[i][r.session];
            *hash =
                XXH3_64bits_withSeed(r.keys, r.n_keys * sizeof r.keys[0], *hash + r.prompt_tokens);
            end[i] = r.arrive_ns;
        }
        wl_close(s);
    }
    ck_assert_mem_eq(said[0], said[1], sizeof said[0]);
    ck_assert_uint_gt(end[0], end[1]);
}
END_TEST

/* ---- Statistics ------------------------------------------------------------------------------------- */

enum { BATCHES = 24, ARRIVALS = 4000 };

/* Mean and cv of inter-arrival times of one batch. */
static void gaps_of(const char *arrivals, uint64_t seed, double *mean_s, double *cv)
{
    struct wl_options o = drawn(seed, "kind", "zipf-tree", "depth", "1", "requests", "4000", "rate",
                                "5/s", "arrivals", arrivals, NULL);
    struct wl_source *s = opened(&o);
    struct kvt_request r;
    kvt_ns last = 0;
    double sum = 0, square = 0;
    while (wl_next(s, &r) == 1) {
        const double gap = (double)(r.arrive_ns - last) / 1e9;
        last = r.arrive_ns;
        sum += gap;
        square += gap * gap;
    }
    wl_close(s);
    *mean_s = sum / ARRIVALS;
    *cv = sqrt(fmax(square / ARRIVALS - *mean_s * *mean_s, 0)) / *mean_s;
}

/* The standard error of a mean over batches is their deviation / sqrt(BATCHES). A sample's cv is biased by
 * order 1 / ARRIVALS, for gamma(cv=3) by about -1 %: allowed for beside the errors. */
static void check_arrivals(const char *arrivals, double cv)
{
    double means[BATCHES], cvs[BATCHES], mean = 0, cv_mean = 0, mean_var = 0, cv_var = 0;
    for (int i = 0; i < BATCHES; i++) {
        gaps_of(arrivals, 100 + (uint64_t)i, &means[i], &cvs[i]);
        mean += means[i] / BATCHES;
        cv_mean += cvs[i] / BATCHES;
    }
    for (int i = 0; i < BATCHES; i++) {
        mean_var += (means[i] - mean) * (means[i] - mean) / (BATCHES - 1);
        cv_var += (cvs[i] - cv_mean) * (cvs[i] - cv_mean) / (BATCHES - 1);
    }
    ck_assert_double_eq_tol(mean, 0.2, 4 * sqrt(mean_var / BATCHES) + 1e-9);
    ck_assert_double_eq_tol(cv_mean, cv, 4 * sqrt(cv_var / BATCHES) + 0.01 * cv + 1e-4);
    /* And the errors themselves are small enough to tell processes apart. */
    ck_assert_double_lt(4 * sqrt(cv_var / BATCHES), 0.1 * cv + 1e-4);
}

START_TEST(arrival_processes)
{
    check_arrivals("poisson", 1);
    check_arrivals("gamma(cv=0.5)", 0.5);
    check_arrivals("gamma(cv=3)", 3);
    check_arrivals("constant", 0);
}
END_TEST

/* Sine: in the first half of a period lambda * P/2 * (1 + 2a/pi) arrivals, in the second with a minus. Counts are
 * Poisson, so their error is their root. */
START_TEST(diurnal)
{
    struct wl_options o = drawn(8, "kind", "zipf-tree", "depth", "1", "requests", "60000", "rate",
                                "10/s", "arrivals", "diurnal(amplitude=0.5,period=100s)", NULL);
    struct wl_source *s = opened(&o);
    struct kvt_request r;
    double halves[2] = {0, 0};
    const double expected = 10.0 * 50 * 50; /* 50 whole periods */
    while (wl_next(s, &r) == 1)
        if (r.arrive_ns < 5000 * KVT_SECOND)
            halves[r.arrive_ns % (100 * KVT_SECOND) >= 50 * KVT_SECOND]++;
    ck_assert_uint_ge(r.arrive_ns, 5000 * KVT_SECOND);
    for (int i = 0; i < 2; i++) {
        const double want = expected * (1 + (i == 0 ? 1 : -1) * 2 * 0.5 / acos(-1));
        ck_assert_double_eq_tol(halves[i], want, 4 * sqrt(want));
    }
    wl_close(s);
}
END_TEST

/* Requests in the second half of the run. With Poisson starts at rate / m and geometric turns of mean m, the
 * count's variance is rate / m * E[turns^2] * T = rate * (2m - 1) * T. Likewise for agents, whose requests per
 * session are geometric with mean turns * steps. */
START_TEST(rate_in_the_long_run)
{
    const double m = _i == 0 ? 5 : 24, rate = 10;
    struct wl_options o = drawn(2, "kind", kinds[_i], "requests", "300000", "rate", "10/s", NULL);
    struct wl_source *s = opened(&o);
    struct kvt_request r;
    double count = 0;
    while (wl_next(s, &r) == 1)
        count += r.arrive_ns >= 10000 * KVT_SECOND && r.arrive_ns < 25000 * KVT_SECOND;
    ck_assert_uint_ge(r.arrive_ns, 25000 * KVT_SECOND);
    const double want = rate * 15000;
    ck_assert_double_eq_tol(count, want, 4 * sqrt(rate * (2 * m - 1) * 15000));
    wl_close(s);
}
END_TEST

/* Lognormal lengths: the standard error of a mean of n is mean * cv / sqrt(n). Rounding adds at most half a token. */
START_TEST(lengths)
{
    struct wl_options o =
        drawn(6, "turns", "1", "sessions", "40000", "requests", "0", "rate", "100/s", "user_tokens",
              "200", "user_cv", "1.5", "answer_tokens", "300", "answer_cv", "1", "system_tokens",
              "1024", "context_tokens", "1000000", NULL);
    struct wl_source *s = opened(&o);
    struct kvt_request r;
    double user = 0, user_square = 0, answer = 0;
    double n = 0;
    for (; wl_next(s, &r) == 1; n++) {
        const double length = r.prompt_tokens - 1024;
        user += length;
        user_square += length * length;
        answer += r.output_tokens;
    }
    ck_assert_double_eq(n, 40000);
    const double mean = user / n, deviation = sqrt(user_square / n - mean * mean);
    ck_assert_double_eq_tol(mean, 200, 4 * 200 * 1.5 / sqrt(n) + 0.5);
    ck_assert_double_eq_tol(answer / n, 300, 4 * 300 / sqrt(n) + 0.5);
    ck_assert_double_eq_tol(deviation / mean, 1.5,
                            0.15); /* heavy tail: a loose check of the spread */
    wl_close(s);
}
END_TEST

/* System prompts by a Zipf law: chi-square with 3 degrees of freedom is below 21 but once in 10,000. */
START_TEST(popularity)
{
    struct wl_options o = drawn(7, "turns", "1", "sessions", "20000", "requests", "0", "rate",
                                "100/s", "system_prompts", "4", "zipf", "1", NULL);
    struct wl_source *s = opened(&o);
    struct wl_intern prompts = {0};
    struct kvt_request r;
    double counts[4] = {0}, chi_square = 0;
    while (wl_next(s, &r) == 1) {
        uint32_t index;
        ck_assert_int_eq(wl_intern(&prompts, r.keys[0], &index, NULL), 0);
        ck_assert_uint_lt(index, 4);
        counts[index]++;
    }
    /* Numbered by appearance: sort by count, largest first. */
    for (int i = 0; i < 4; i++)
        for (int k = i + 1; k < 4; k++)
            if (counts[k] > counts[i]) {
                const double swap = counts[i];
                counts[i] = counts[k];
                counts[k] = swap;
            }
    for (int k = 0; k < 4; k++) {
        const double want = 20000 * (1.0 / (k + 1)) / (25.0 / 12);
        chi_square += (counts[k] - want) * (counts[k] - want) / want;
    }
    ck_assert_double_lt(chi_square, 21);
    wl_intern_release(&prompts);
    wl_close(s);
}
END_TEST

/* Ten times the requests at the same rate have the same number of open sessions: memory does not grow. */
START_TEST(memory_is_what_is_alive)
{
    size_t used[2];
    for (int i = 0; i < 2; i++) {
        struct wl_options o = drawn(1, "kind", kinds[_i], "rate", "50/s", "requests",
                                    i == 0 ? "30000" : "300000", NULL);
        const size_t before = mallinfo2().uordblks;
        struct kvt_request r;
        struct wl_source *s = opened(&o);
        while (wl_next(s, &r) == 1)
            continue;
        used[i] = mallinfo2().uordblks - before;
        wl_close(s);
    }
    ck_assert_uint_le(used[1], 2 * used[0] + 65536);
    ck_assert_uint_lt(used[1], 4 << 20);
}
END_TEST

/* ---- Parameters ------------------------------------------------------------------------------------- */

START_TEST(every_default_parses)
{
    struct wl_error error;
    for (int kind = 0; kind < WL_KINDS; kind++) {
        struct wl_generate g;
        wl_generate_init(&g);
        ck_assert_int_eq(wl_generate_set(&g, "kind", kinds[kind], &error), 0);
        ck_assert_str_eq(wl_kind_name(g.kind), kinds[kind]);
        for (int i = 0; i < WL_PARAMS; i++) {
            const struct wl_generate_key *k = &wl_generate_keys[i];
            ck_assert_ptr_nonnull(k->name);
            ck_assert_ptr_nonnull(k->help);
            if (k->fallback[kind] == NULL)
                continue;
            const double before = wl_generate_value(&g, (enum wl_param)i);
            ck_assert_msg(wl_generate_set(&g, k->name, k->fallback[kind], &error) == 0, "%s",
                          error.text);
            ck_assert_double_eq(before, wl_generate_value(&g, (enum wl_param)i));
        }
        ck_assert_msg(wl_generate_check(&g, &error) == 0, "%s", error.text);
    }
}
END_TEST

START_TEST(refused)
{
    static const struct {
        const char *key, *value, *message;
    } cases[] = {
        {"kind", "chats", "kind: expected chat, agent, rag or zipf-tree"},
        {"rate", "4",
         "rate: expected a rate such as 4/s, 10/min or 3600/h, from 1e-06/s to "
         "1e+09/s"},
        {"rate", "0/s",
         "rate: expected a rate such as 4/s, 10/min or 3600/h, from 1e-06/s to "
         "1e+09/s"},
        {"think", "30", "think: expected a duration such as 500ms, 30s or 2min, at most 1e+09s"},
        {"think", "-3s", "think: expected a duration such as 500ms, 30s or 2min, at most 1e+09s"},
        {"requests", "1.5", "requests: expected a whole number from 0 to 268435456"},
        {"requests", "0x10", "requests: expected a whole number from 0 to 268435456"},
        {"requests", "", "requests: expected a whole number from 0 to 268435456"},
        {"turns", "nan", "turns: expected a number from 1 to 10000"},
        {"turns", "0.5", "turns: expected a number from 1 to 10000"},
        {"shuffle", "maybe", "shuffle: expected true or false"},
        {"arrivals", "gamma(cv=0)", "arrivals: expected gamma(cv=NUMBER), from 0.01 to 100"},
        {"arrivals", "gamma(cv=2", "arrivals: expected a closing parenthesis at the end"},
        {"arrivals", "poisson(cv=2)", "arrivals: expected no settings in parentheses"},
        {"arrivals", "diurnal(period=24)", "arrivals: expected period=DURATION, such as 24h"},
        {"arrivals", "often",
         "arrivals: expected poisson, gamma(cv=2), "
         "diurnal(amplitude=0.8,period=24h) or constant"},
        {"speed", "1", "speed: expected a parameter of a generator"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct wl_generate g, before;
        struct wl_error error;
        wl_generate_init(&g);
        before = g;
        ck_assert_int_eq(wl_generate_set(&g, cases[i].key, cases[i].value, &error), -EINVAL);
        ck_assert_str_eq(error.text, cases[i].message);
        ck_assert_mem_eq(&g, &before, sizeof g);
    }
}
END_TEST

START_TEST(refused_together)
{
    static const struct {
        const char *kind, *key, *value, *message;
    } cases[] = {
        {"rag", "turns", "3", "turns: expected only with another kind, rag has no such parameter"},
        {"chat", "system_tokens", "32768",
         "system_tokens: expected at least 2 tokens less than context_tokens, 32768"},
        {"rag", "requests", "0", "requests: expected at least 1"},
        {"chat", "requests", "0", "requests: expected at least 1, or sessions"},
        {"rag", "documents", "2", "documents_per_request: expected at most as many as documents"},
        {"rag", "documents_per_request", "4",
         "documents_per_request: expected fewer: (documents + 1) ^ documents_per_request at most "
         "2^36"},
        {"zipf-tree", "depth", "12", "depth: expected less: (fan_out + 1) ^ depth at most 2^36"},
        {"rag", "context_tokens", "16777216",
         "context_tokens: expected less than 32768 blocks of 512 tokens"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct wl_options o = drawn(1, "kind", cases[i].kind, cases[i].key, cases[i].value, NULL);
        struct wl_source *s;
        struct wl_error error;
        ck_assert_int_eq(wl_open(&s, &o, &error), -EINVAL);
        ck_assert_str_eq(error.text, cases[i].message);
    }
}
END_TEST

START_TEST(arrivals_there_and_back)
{
    static const char *const texts[] = {"poisson", "gamma(cv=2.5)",
                                        "diurnal(amplitude=0.25,period=3600s)", "constant"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct wl_generate g;
        struct wl_error error;
        char text[80];
        wl_generate_init(&g);
        ck_assert_int_eq(wl_generate_set(&g, "arrivals", texts[i], &error), 0);
        ck_assert_str_eq(wl_arrivals_show(&g.arrivals, text, sizeof text), texts[i]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("workload_gen");
    TCase *tc = tcase_create("generators");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, same_again, 0, WL_KINDS);
    tcase_add_loop_test(tc, order_and_limits, 0, WL_KINDS);
    tcase_add_loop_test(tc, equal_key_equal_prefix, 0, 4 * WL_KINDS);
    tcase_add_loop_test(tc, turns_extend_one_another, 0, 2);
    tcase_add_test(tc, rate_moves_time_only);
    tcase_add_test(tc, arrival_processes);
    tcase_add_test(tc, diurnal);
    tcase_add_loop_test(tc, rate_in_the_long_run, 0, 2);
    tcase_add_test(tc, lengths);
    tcase_add_test(tc, popularity);
    tcase_add_loop_test(tc, memory_is_what_is_alive, 0, WL_KINDS);
    tcase_add_test(tc, every_default_parses);
    tcase_add_test(tc, refused);
    tcase_add_test(tc, refused_together);
    tcase_add_test(tc, arrivals_there_and_back);
    suite_add_tcase(suite, tc);
    return kvt_test_main(suite);
}
