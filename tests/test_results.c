/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_results.c - the figures of a run small enough to compute by hand.
 */
#include "kvt_test.h"

#include "fake_run.h"

#include <errno.h>
#include <math.h>
#include <sys/resource.h>

static char why[512];

/* Report of a request that waits `wait`, computes `compute` and generates `tokens` at 10 ms each. */
static struct kvt_report hand_report(uint64_t id, kvt_ns arrive, kvt_ns wait, kvt_ns compute,
                                     uint32_t tokens, uint32_t hits, uint32_t prompt)
{
    struct kvt_report p = {.id = id,
                           .arrive_ns = arrive,
                           .prompt_tokens = prompt,
                           .output_tokens = tokens,
                           .hit_blocks = hits / 512,
                           .lookup_blocks = prompt / 512,
                           .source = hits > 0 ? KVT_REDIS : KVT_TIERS};

    p.span_ns[KVT_SPAN_WAIT] = wait;
    p.span_ns[KVT_SPAN_COMPUTE] = compute;
    p.first_token_ns = arrive + wait + compute;
    p.finish_ns = p.first_token_ns + (tokens > 0 ? tokens - 1 : 0) * 10 * KVT_MILLISECOND;
    p.ledger_tokens[KVT_HIT_REDIS] = hits;
    p.ledger_tokens[KVT_COMPUTED_COLD] = prompt - hits;
    return p;
}

static void tell(struct results *r, const struct kvt_report *p)
{
    struct kvt_note note = {.kind = KVT_NOTE_REPORT, .now = p->finish_ns, .report = p};
    results_note(r, &note);
}

static struct results *hand_run(const char *dir, kvt_ns warmup_ns, struct kvt_core_stats *stats)
{
    struct fake_run f = {.seed = 9, .engines = 2};
    struct results_options options;
    int error;

    fake_options(&options, dir, &f);
    options.warmup_ns = warmup_ns;
    options.slo_ttft_ns = 250 * KVT_MILLISECOND;
    struct results *r = results_new(&options, &error, why, sizeof why);
    ck_assert_msg(r != NULL, "%s", why);

    /* decode: 2 requests for 50 iterations of 8 ms on engine 0, 0.4 s busy; 1 for 10 of 20 ms on 1 */
    struct kvt_note step = {.kind = KVT_NOTE_STEP,
                            .begin_ns = KVT_SECOND,
                            .now = KVT_SECOND + 400 * KVT_MILLISECOND,
                            .iterations = 50,
                            .n_decode = 2};
    results_note(r, &step);
    step = (struct kvt_note){.kind = KVT_NOTE_STEP,
                             .engine = {1},
                             .begin_ns = KVT_SECOND + 400 * KVT_MILLISECOND,
                             .now = KVT_SECOND + 600 * KVT_MILLISECOND,
                             .iterations = 10,
                             .n_decode = 1};
    results_note(r, &step);
    const struct kvt_report p[] = {
        hand_report(1, 0, 0, 100 * KVT_MILLISECOND, 11, 512, 1024),
        hand_report(2, KVT_SECOND, 100 * KVT_MILLISECOND, 100 * KVT_MILLISECOND, 21, 1024, 1536),
        hand_report(3, KVT_SECOND, 200 * KVT_MILLISECOND, 100 * KVT_MILLISECOND, 1, 0, 512),
        hand_report(4, KVT_SECOND, 300 * KVT_MILLISECOND, 100 * KVT_MILLISECOND, 0, 0, 1000),
    };
    for (size_t i = 0; i < 4; i++)
        tell(r, &p[i]);
    struct kvt_report rejected = {.id = 5,
                                  .arrive_ns = 2 * KVT_SECOND,
                                  .finish_ns = 2 * KVT_SECOND,
                                  .outcome = KVT_REJECTED,
                                  .prompt_tokens = 999999,
                                  .source = KVT_TIERS};
    tell(r, &rejected);
    memset(stats, 0, sizeof *stats);
    stats->requests = 5;
    stats->finished = 4;
    stats->rejected = 1;
    stats->paged_allocated_tokens = 4096;
    stats->paged_used_tokens = 4000;
    return r;
}

static void hand_close(struct results *r, const struct kvt_core_stats *stats)
{
    struct kvt_core_gauges gauges = {.running = 0};
    const struct results_end end = {.stats = stats, .gauges = &gauges, .digest = "d"};
    ck_assert_msg(results_close(r, &end, why, sizeof why) == 0, "%s", why);
}

START_TEST(figures_by_hand)
{
    struct kvt_core_stats stats;
    struct results *r = hand_run(NULL, 0, &stats);

    hand_close(r, &stats);
    const struct results_figures *f = results_figures(r);
    ck_assert_uint_eq(f->requests, 5);
    ck_assert_uint_eq(f->finished, 4);
    ck_assert_uint_eq(f->requests_rejected, 1);
    ck_assert_uint_eq(f->prompt_tokens, 1024 + 1536 + 512 + 1000);
    ck_assert_uint_eq(f->output_tokens, 33);
    ck_assert_uint_eq(f->hit_tokens, 1536);
    ck_assert_double_eq(f->prefix_hit_rate, 1536.0 / 4072);
    ck_assert_uint_eq(f->source_requests[KVT_REDIS], 2);
    ck_assert_uint_eq(f->source_requests[KVT_TIERS], 2);
    /* TTFT 100, 200, 300, 400 ms: type 7 quantiles */
    ck_assert_double_eq_tol(f->latency[RESULTS_TTFT].mean_ms, 250, 1e-9);
    ck_assert_double_eq_tol(f->latency[RESULTS_TTFT].p50_ms, 250, 1e-9);
    ck_assert_double_eq_tol(f->latency[RESULTS_TTFT].p95_ms, 385, 1e-9);
    ck_assert_double_eq_tol(f->latency[RESULTS_TTFT].p99_ms, 397, 1e-9);
    ck_assert_double_eq_tol(f->latency[RESULTS_TTFT].max_ms, 400, 1e-9);
    ck_assert_double_eq_tol(f->latency[RESULTS_QUEUE].mean_ms, 150, 1e-9);
    /* TPOT: 2 requests have one, 10 ms each */
    ck_assert_uint_eq(f->latency[RESULTS_TPOT].n, 2);
    ck_assert_double_eq_tol(f->latency[RESULTS_TPOT].mean_ms, 10, 1e-9);
    /* E2E: 200, 400, 300, 400 */
    ck_assert_double_eq_tol(f->latency[RESULTS_E2E].mean_ms, 325, 1e-9);
    /* ITL by token, not by step: 100 tokens of 8 ms, 10 of 20 ms */
    ck_assert_uint_eq(f->latency[RESULTS_ITL].n, 110);
    ck_assert_double_eq_tol(f->latency[RESULTS_ITL].mean_ms, (100 * 8 + 10 * 20) / 110.0, 1e-9);
    ck_assert_double_eq_tol(f->latency[RESULTS_ITL].p50_ms, 8, 8 * 0.004);
    ck_assert_double_eq_tol(f->latency[RESULTS_ITL].p95_ms, 20, 20 * 0.004);
    ck_assert_double_eq(f->duration_s, 2); /* arrival 0 to the rejection at 2 s */
    ck_assert_double_eq(f->output_tokens_per_s, 16.5);
    ck_assert_double_eq(f->gpu_busy_ratio, 0.6 / (2 * 2));
    ck_assert_double_eq(f->slo_met_ratio, 2.0 / 5); /* 100 and 200 ms; the rejected one did not */
    ck_assert_double_eq(f->goodput_requests_per_s, 1);
    ck_assert_double_eq(f->kv_waste_paged_ratio, 96.0 / 4096);
    ck_assert(isnan(f->kv_waste_contiguous_ratio));
    results_free(r);
}
END_TEST

START_TEST(warm_up_is_cut)
{
    struct kvt_core_stats stats;
    struct results *r = hand_run(NULL, KVT_SECOND / 2, &stats);

    hand_close(r, &stats);
    const struct results_figures *f = results_figures(r);
    ck_assert_uint_eq(f->requests, 4);
    ck_assert_uint_eq(f->warmup_requests, 1);
    ck_assert_uint_eq(f->prompt_tokens, 1536 + 512 + 1000);
    ck_assert_double_eq_tol(f->latency[RESULTS_TTFT].mean_ms, 300, 1e-9);
    ck_assert_double_eq(f->duration_s, 1.5);
    results_free(r);
}
END_TEST

START_TEST(broken_accounts_are_refused)
{
    struct kvt_core_stats stats;
    struct kvt_core_gauges gauges = {.running = 0};
    const struct results_end end = {.stats = &stats, .gauges = &gauges};
    struct results *r = hand_run(NULL, 0, &stats);
    struct kvt_report p = hand_report(6, 3 * KVT_SECOND, 0, 100, 1, 0, 512);

    p.ledger_tokens[KVT_COMPUTED_COLD]--;
    tell(r, &p);
    ck_assert_int_eq(results_close(r, &end, why, sizeof why), -EPROTO);
    ck_assert_ptr_nonnull(strstr(why, "1 requests with a ledger"));
    results_free(r);
}
END_TEST

/* ---- Out of memory. ---- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

/* With no more data memory to be had the arrays cannot grow: the run goes on, and says so at its end. */
START_TEST(out_of_memory_is_kept)
{
#ifdef SANITIZED
    kvt_test_skip("a sanitizer's allocator does not return NULL");
#else
    struct kvt_core_stats stats;
    struct kvt_core_gauges gauges = {.running = 0};
    const struct results_end end = {.stats = &stats, .gauges = &gauges};
    struct results *r = hand_run(NULL, 0, &stats);
    struct rlimit old, none;
    uint64_t id = 10;

    getrlimit(RLIMIT_DATA, &old);
    none = old;
    none.rlim_cur = 4096; /* 0 is an exception that Linux makes for Valgrind */
    setrlimit(RLIMIT_DATA, &none);
    for (; results_status(r) == 0 && id < 1000000; id++) {
        struct kvt_report p = hand_report(id, 3 * KVT_SECOND, 0, 100, 1, 0, 512);
        tell(r, &p);
    }
    struct fake_run f = {.engines = 1000000};
    struct results_options options;
    int error = 0;
    fake_options(&options, NULL, &f);
    char refused[128] = "";
    struct results *second = results_new(&options, &error, refused, sizeof refused);
    setrlimit(RLIMIT_DATA, &old);
    ck_assert_ptr_null(second);
    ck_assert_int_eq(error, -ENOMEM);
    ck_assert_str_eq(refused, "out of memory for the results");
    ck_assert_int_eq(results_status(r), -ENOMEM);
    ck_assert_int_eq(results_close(r, &end, why, sizeof why), -ENOMEM);
    ck_assert_ptr_nonnull(strstr(why, "Cannot allocate memory"));
    results_free(r);
#endif
}
END_TEST

/* ---- The table. ---- */

static struct results *fake_collect(struct fake_run *f)
{
    struct results_options options;
    int error;

    fake_options(&options, NULL, f);
    struct results *r = results_new(&options, &error, why, sizeof why);
    ck_assert_msg(r != NULL, "%s", why);
    fake_run(f, r);
    ck_assert_msg(fake_close(f, r, why, sizeof why) == 0, "%s", why);
    return r;
}

START_TEST(table_prints)
{
    struct fake_run on = {.seed = 3, .requests = 500, .engines = 2, .cache = true};
    struct fake_run off = {.seed = 3, .requests = 500, .engines = 2};
    struct results *baseline = fake_collect(&off), *r = fake_collect(&on);
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);

    results_print(stream, r, baseline, false);
    results_print(stream, r, NULL, true);
    ck_assert_int_eq(results_print_json(stream, r, baseline), 0);
    fclose(stream);
    ck_assert_ptr_nonnull(strstr(text, "TTFT"));
    ck_assert_ptr_nonnull(strstr(text, "= prompt tokens"));
    ck_assert_ptr_null(strstr(text, ": nan"));
    ck_assert_ptr_null(strstr(text, "files\n"));
    free(text);
    results_free(r);
    results_free(baseline);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("results");
    TCase *all = tcase_create("all");

    tcase_add_test(all, figures_by_hand);
    tcase_add_test(all, warm_up_is_cut);
    tcase_add_test(all, broken_accounts_are_refused);
    tcase_add_test(all, out_of_memory_is_kept);
    tcase_add_test(all, table_prints);
    suite_add_tcase(suite, all);
    return kvt_test_main(suite);
}
