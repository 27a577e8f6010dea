/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_mrc_sample.c - samples keep chains whole, follow from their seed, hold to their bound, come near the exact
 * curve, and say how near; and nothing is lost when memory runs out.
 *
 * Traffic: conversations of the chat generator, which name their sessions, and the same without the names, where
 * the first block of its own has to do.
 */
#include "kvt_test.h"
#include "malloc_fails.h"

#include "workload/mrc_sample.h"

#include <errno.h>
#include <gsl/gsl_errno.h>
#include <malloc.h>
#include <math.h>
#include <string.h>

enum { REQUESTS = 3000 };

/* ---- Traffic ---------------------------------------------------------------------------------- */

static struct wl_source *chat(uint64_t requests)
{
    struct wl_options o;
    struct wl_source *source;
    struct wl_error error;
    char count[24];
    wl_options_init(&o);
    snprintf(count, sizeof count, "%llu", (unsigned long long)requests);
    ck_assert_int_eq(wl_generate_set(&o.generate, "requests", count, &error), 0);
    o.block_tokens = 64;
    o.partial_blocks = true;
    if (wl_open(&source, &o, &error) != 0)
        ck_abort_msg("%s", error.text);
    return source;
}

/* Conversations of a shared block 0, one of their own, and a growing tail; sessions unknown. */
static char *conversations(void)
{
    enum { TALKS = 200, TURNS = 6, BLOCKS = 12 };
    char *text = malloc((size_t)TALKS * TURNS * 400), *at = text;
    for (int turn = 0; turn < TURNS; turn++)
        for (int talk = 0; talk < TALKS; talk++) {
            const int n = 3 + turn + talk % 4;
            at += sprintf(at,
                          "{\"timestamp\": %d, \"input_length\": %d, \"output_length\": 1, "
                          "\"hash_ids\": [0",
                          turn * 1000 + talk, n * 512);
            for (int i = 1; i < n; i++)
                at += sprintf(at, ", %d", 1 + talk * BLOCKS + i);
            at += sprintf(at, "]}\n");
        }
    return text;
}

static struct wl_source *open_conversations(char *text)
{
    struct wl_options o;
    struct wl_source *source;
    struct wl_error error;
    wl_options_init(&o);
    o.path = "t";
    o.partial_blocks = true;
    if (wl_open_memory(&source, &o, text, strlen(text), &error) != 0)
        ck_abort_msg("%s", error.text);
    return source;
}

static struct wl_mrc_sample *sample(struct wl_source *source, double rate, uint64_t most,
                                    uint64_t seed)
{
    const struct wl_mrc_sampling sampling = {.rate = rate, .most_blocks = most, .seed = seed};
    struct wl_mrc_sample *s;
    struct wl_error error = {""};
    if (wl_mrc_sample_new(&s, source, &sampling, &error) != 0)
        ck_abort_msg("%s", error.text);
    return s;
}

static void pass_exactly(struct wl_source *source, struct wl_mrc *mrc)
{
    struct wl_numbering numbering;
    struct wl_info info;
    struct wl_record r;
    struct wl_chain p;
    wl_source_info(source, &info);
    ck_assert_int_eq(wl_numbering_init(&numbering, &info, false), 0);
    wl_rewind(source);
    while (wl_next_record(source, &r) == 1) {
        ck_assert_int_eq(wl_number(&numbering, &r, &p), 0);
        ck_assert_int_eq(wl_mrc_add(mrc, &p, wl_numbers(&numbering)), 0);
    }
    ck_assert_int_eq(wl_mrc_seal(mrc), 0);
    wl_rewind(source);
    wl_numbering_release(&numbering);
}

/* ---- Tests ------------------------------------------------------------------------------------ */

/* Ids that are not popular belong to prompts that are all in, or all out. */
static void check_whole(struct wl_source *source, const struct wl_mrc_sample *s)
{
    struct wl_sessions who = {0};
    struct wl_intern ids = {0};
    struct wl_error error;
    struct wl_record r;
    signed char *in = calloc(1000000, 1); /* by id: 1 in, -1 out */
    uint64_t taken = 0, all = 0;
    ck_assert_int_eq(wl_sessions_learn(&who, source, false, &error), 0);
    while (wl_next_record(source, &r) == 1) {
        const bool takes = wl_mrc_sample_takes(s, &r);
        taken += takes;
        all++;
        for (uint32_t i = 0; i < r.n_ids; i++) {
            uint32_t id;
            if (wl_sessions_popular(&who, &r, r.ids[i]) != KVT_NONE)
                continue;
            ck_assert_int_eq(wl_intern(&ids, (kvt_key){0, r.ids[i]}, &id, NULL), 0);
            ck_assert_uint_lt(id, 1000000);
            if (in[id] == 0)
                in[id] = takes ? 1 : -1;
            ck_assert_int_eq(in[id], takes ? 1 : -1);
        }
    }
    ck_assert_uint_gt(taken, 0);
    ck_assert_uint_lt(taken, all);
    wl_rewind(source);
    wl_sessions_release(&who);
    wl_intern_release(&ids);
    free(in);
}

START_TEST(chains_stay_whole)
{
    char *text = conversations();
    struct wl_source *sources[] = {chat(REQUESTS), open_conversations(text)};
    for (int i = 0; i < 2; i++)
        for (uint64_t seed = 1; seed <= 5; seed++) {
            struct wl_mrc_sample *s = sample(sources[i], 0.1, 0, seed);
            struct wl_mrc_sample_info info;
            wl_mrc_sample_info(s, &info);
            check_whole(sources[i], s);
            if (i == 1) {
                ck_assert_uint_eq(info.sessions, 200);
                ck_assert_uint_eq(info.popular_ids, 1);
                ck_assert_uint_eq(info.sampled_prompts, 6 * info.sampled_sessions);
                ck_assert(!info.by_session);
            }
            wl_mrc_sample_free(s);
        }
    wl_close(sources[0]);
    wl_close(sources[1]);
    free(text);
}
END_TEST

/* Mean distance from the exact curve, over a log grid; *error: the mean standard error. */
static double distance(const struct wl_mrc *exact, const struct wl_mrc_sample *s, uint32_t tokens,
                       double *error)
{
    enum { POINTS = 40 };
    const double end = log(wl_mrc_distinct(exact));
    double sum = 0;
    *error = 0;
    for (int i = 0; i < POINTS; i++) {
        const uint64_t c = (uint64_t)llround(exp(end * i / (POINTS - 1)));
        const struct wl_mrc_rate r = wl_mrc_sample_rate(s, WL_MRC_LEAF, c);
        const struct wl_mrc_hits h = wl_mrc_tally_hits(&exact->all, WL_MRC_LEAF, c, tokens);
        sum += fabs(r.blocks - (double)h.blocks / (double)exact->all.blocks) / POINTS;
        *error += r.blocks_error / POINTS;
        ck_assert(r.blocks >= 0 && r.blocks <= 1 && r.tokens >= 0 && r.tokens <= 1);
        ck_assert(r.blocks_error >= 0 && r.tokens_error >= 0);
    }
    return sum;
}

/* A sample of all is not exact: what is left is the sketch, and sessions taken for objects. The error bar knows. */
START_TEST(estimates_come_near_the_exact_curve)
{
    static const double rates[] = {0.05, 0.2, 1}, most[] = {0.03, 0.02, 0.01};
    struct wl_source *source = chat(REQUESTS);
    struct wl_mrc exact = {0};
    struct wl_info info;
    wl_source_info(source, &info);
    pass_exactly(source, &exact);
    for (int i = 0; i < 3; i++) {
        double off = 0, error = 0;
        for (uint64_t seed = 1; seed <= 8; seed++) {
            double one;
            struct wl_mrc_sample *s = sample(source, rates[i], 0, seed);
            off += distance(&exact, s, info.block_tokens, &one) / 8;
            error += one / 8;
            wl_mrc_sample_free(s);
        }
        printf("rate %.2f: off by %.4f, error bar %.4f\n", rates[i], off, error);
        ck_assert(off < most[i]);
        ck_assert(error > off / 3 && error < 3 * most[i]);
    }
    wl_mrc_release(&exact);
    wl_close(source);
}
END_TEST

START_TEST(a_seed_is_a_sample)
{
    struct wl_source *source = chat(REQUESTS);
    struct wl_mrc_sample *a = sample(source, 0.1, 0, 3), *b = sample(source, 0.1, 0, 3),
                         *c = sample(source, 0.1, 0, 4);
    bool other = false;
    for (uint64_t at = 1; at < 100000; at *= 3) {
        const struct wl_mrc_rate x = wl_mrc_sample_rate(a, WL_MRC_LEAF, at),
                                 y = wl_mrc_sample_rate(b, WL_MRC_LEAF, at),
                                 z = wl_mrc_sample_rate(c, WL_MRC_LEAF, at);
        ck_assert(memcmp(&x, &y, sizeof x) == 0);
        other |= x.blocks_error < z.blocks_error || x.blocks_error > z.blocks_error;
    }
    ck_assert(other);
    wl_mrc_sample_free(a);
    wl_mrc_sample_free(b);
    wl_mrc_sample_free(c);
    wl_close(source);
}
END_TEST

/* Sessions of these conversations are chains, so each is as large as its longest prompt: the bound is exact. */
START_TEST(a_fixed_size_is_held)
{
    char *text = conversations();
    struct wl_source *source = open_conversations(text);
    uint64_t before = 0;
    for (uint64_t most = 20; most < 4000; most *= 2) {
        struct wl_mrc_sample *s = sample(source, 0, most, 1);
        struct wl_mrc_sample_info info;
        wl_mrc_sample_info(s, &info);
        ck_assert_uint_le(info.tracked_blocks, most);
        ck_assert_uint_ge(info.tracked_blocks, before);
        if (info.sampled_sessions < info.sessions)
            ck_assert_uint_gt(info.tracked_blocks + 12, most);
        before = info.tracked_blocks;
        wl_mrc_sample_free(s);
    }
    struct wl_mrc_sample *s;
    struct wl_error error = {""};
    struct wl_mrc_sampling sampling = {.most_blocks = 1, .seed = 1};
    ck_assert_int_eq(wl_mrc_sample_new(&s, source, &sampling, &error), -ERANGE);
    ck_assert_ptr_null(s);
    ck_assert(strstr(error.text, "expected a larger one") != NULL);
    const volatile sig_atomic_t stop = 1;
    sampling = (struct wl_mrc_sampling){.rate = 0.5, .seed = 1, .stop = &stop};
    ck_assert_int_eq(wl_mrc_sample_new(&s, source, &sampling, &error), -EINTR);
    wl_close(source);
    free(text);
}
END_TEST

#if OWN_ALLOCATOR

static int attempt(struct wl_source *source, bool exactly, uint64_t most)
{
    struct wl_mrc mrc = {0};
    struct wl_numbering numbering;
    struct wl_info info;
    struct wl_record r;
    struct wl_chain p;
    int status = 0;
    wl_source_info(source, &info);
    ck_assert_int_eq(wl_numbering_init(&numbering, &info, false), 0);
    wl_rewind(source);
    if (!exactly) {
        const struct wl_mrc_sampling sampling = {.rate = 0.3, .most_blocks = most, .seed = 1};
        struct wl_mrc_sample *s = NULL;
        struct wl_error error = {""};
        armed = true;
        status = wl_mrc_sample_new(&s, source, &sampling, &error);
        armed = false;
        ck_assert(status == 0 || error.text[0] != '\0');
        wl_mrc_sample_free(s);
        return status;
    }
    while (status == 0) {
        armed = false; /* the source's own memory is another test's */
        const int got = wl_next_record(source, &r);
        if (got != 1)
            break;
        armed = true;
        status = wl_number(&numbering, &r, &p);
        if (status == 0)
            status = wl_mrc_add(&mrc, &p, wl_numbers(&numbering));
    }
    armed = false;
    wl_mrc_release(&mrc);
    wl_numbering_release(&numbering);
    return status;
}

/* Grants 0, 1, 2, ... allocations until that is enough. */
static void starve(struct wl_source *source, int kind)
{
    int status = -ENOMEM;
    for (long n = 0; status != 0; n++) {
        left = n;
        status = attempt(source, kind == 0, kind == 2 ? 300 : 0);
        if (status != 0 && status != -ENOMEM)
            ck_abort_msg("kind %d, after %ld: %d", kind, n, status);
        ck_assert_int_lt(n, 100000);
    }
}

/* The allocator's own caches fill for some rounds; what is lost is lost in every round. */
START_TEST(nothing_is_lost_without_memory)
{
    enum { ROUNDS = 40 };
    char *text = conversations();
    struct wl_source *source = open_conversations(text);
    for (int kind = 0; kind < 3; kind++) {
        size_t before = 0, now = 1;
        int rounds = 0;
        for (; now != before && rounds < ROUNDS; rounds++) {
            before = now;
            starve(source, kind);
            now = mallinfo2().uordblks;
        }
        ck_assert_int_lt(rounds, ROUNDS);
    }
    wl_close(source);
    free(text);
}
END_TEST

#else

START_TEST(nothing_is_lost_without_memory)
{
    kvt_test_skip("this build's allocator cannot be replaced");
}
END_TEST

#endif

int main(void)
{
    gsl_set_error_handler_off();
    Suite *suite = suite_create("mrc_sample");
    TCase *t = tcase_create("mrc_sample");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, chains_stay_whole);
    tcase_add_test(t, estimates_come_near_the_exact_curve);
    tcase_add_test(t, a_seed_is_a_sample);
    tcase_add_test(t, a_fixed_size_is_held);
    tcase_add_test(t, nothing_is_lost_without_memory);
    suite_add_tcase(suite, t);
    return kvt_test_main(suite);
}
