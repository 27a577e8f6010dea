/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_rollout.c - who moves to a new epoch of the model and when, what a warm-up picks (beside a naive search, and
 * whatever comes later), and what figures come from hand-made passes (workload/rollout.h, cli/rollout.h).
 */
#include "workload/rollout.h"

#include <stdlib.h>
#include <string.h>

#include "cli/rollout.h"
#include "dice.h"
#include "kvt_test.h"

enum { REQUESTS = 400, MOST_KEYS = 12, BLOCK = 16, TREES = 6, SESSIONS = 50, OUT = 4 * REQUESTS };

/* A stream of requests whose prompts begin with parts of a few known ones. */
struct stream {
    struct kvt_request requests[REQUESTS];
    kvt_key keys[REQUESTS][MOST_KEYS];
    size_t n, at;
};

/* From `changed` on, which comes when it came, it is another one. */
static void make_stream(struct stream *s, uint64_t seed, size_t changed)
{
    dice_seed(seed);
    kvt_ns at = 0;
    *s = (struct stream){.n = REQUESTS};
    for (size_t i = 0; i < s->n; i++) {
        struct kvt_request *q = &s->requests[i];
        at += dice_below(20);
        if (i == changed)
            dice_seed(seed + 1000000);
        *q = (struct kvt_request){.id = i,
                                  .arrive_ns = at,
                                  .tenant = (uint32_t)dice_below(5),
                                  .session =
                                      dice_one_in(9) ? KVT_NONE : (uint32_t)dice_below(SESSIONS),
                                  .prompt_tokens = 1 + (uint32_t)dice_below(MOST_KEYS * BLOCK),
                                  .output_tokens = (uint32_t)dice_below(BLOCK),
                                  .keys = s->keys[i]};
        q->n_keys = (q->prompt_tokens + q->output_tokens) / BLOCK;
        if (q->n_keys > MOST_KEYS)
            q->n_keys = MOST_KEYS;
        const uint64_t tree = dice_below(TREES), shared = dice_below(MOST_KEYS);
        for (uint32_t k = 0; k < q->n_keys; k++) {
            const uint64_t whose = k < shared ? tree : 1000 + i;
            s->keys[i][k] = (kvt_key){.hi = kvt_mix64(whose), .lo = kvt_mix64(whose << 8 | k)};
        }
    }
}

static int next(void *self, struct kvt_request *q, char *error, size_t error_size)
{
    struct stream *s = self;
    (void)error, (void)error_size;
    if (s->at == s->n)
        return 0;
    *q = s->requests[s->at++];
    return 1;
}

/* What came out, keys copied. */
struct out {
    struct kvt_request requests[OUT];
    kvt_key keys[OUT][MOST_KEYS];
    size_t n;
    kvt_key gone[REQUESTS * MOST_KEYS];
    size_t n_gone, gone_after; /* told after so many requests */
};

static void run(struct out *out, struct stream *s, const struct wl_rollout_config *c,
                enum wl_rollout_part part)
{
    char error[200] = "";
    struct wl_rollout *r = wl_rollout_new(c);
    ck_assert_ptr_nonnull(r);
    s->at = out->n = 0;
    wl_rollout_begin(r, &(struct wl_rollout_feed){next, s}, part);
    struct kvt_request q;
    out->n_gone = out->gone_after = 0;
    for (int got; (got = wl_rollout_next(r, &q, error, sizeof error)) != 0;) {
        ck_assert_int_eq(got, 1);
        ck_assert_uint_lt(out->n, OUT);
        MUST(q.n_keys <= MOST_KEYS);
        if (q.n_keys > 0)
            memcpy(out->keys[out->n], q.keys, q.n_keys * sizeof *q.keys);
        q.keys = out->keys[out->n];
        MUST(out->n == 0 || q.arrive_ns >= out->requests[out->n - 1].arrive_ns);
        out->requests[out->n++] = q;
        size_t n;
        const kvt_key *gone = wl_rollout_gone(r, &n);
        if (!gone)
            continue;
        MUST(!out->n_gone && n <= sizeof out->gone / sizeof *out->gone);
        memcpy(out->gone, gone, n * sizeof *gone);
        out->n_gone = n;
        out->gone_after = out->n;
    }
    wl_rollout_free(r);
}

static struct wl_rollout_config any_config(const struct stream *s)
{
    struct wl_rollout_config c = {.block_tokens = BLOCK};
    const kvt_ns end = s->requests[s->n - 1].arrive_ns;
    c.at_ns = 1 + dice_below(end + end / 4);
    c.every_ns = dice_one_in(2) ? KVT_NEVER : 1 + dice_below(end / 4);
    c.share = dice_one_in(2) ? 1 : (double)(1 + dice_below(100)) / 100;
    c.by = dice_one_in(2) ? WL_BY_SESSION : WL_BY_TENANT;
    c.warm_up = (enum wl_warm_up)dice_below(4);
    c.blocks = dice_one_in(5) ? UINT64_MAX : 1 + dice_below(60);
    c.lead_ns = 1 + dice_below(c.at_ns);
    ck_assert_int_eq(kvt_namespace_init(&c.epoch, "0", "new", "model"), 0);
    return c;
}

static struct stream stream, other;
static struct out out, out2;

/* Each request comes once and as it was, but for its keys, which are renamed exactly where it has moved. */
START_TEST(requests_stay_what_they_are)
{
    make_stream(&stream, (uint64_t)_i, REQUESTS);
    const struct wl_rollout_config c = any_config(&stream);
    const enum wl_rollout_part part = (enum wl_rollout_part)dice_below(3);
    run(&out, &stream, &c, part);
    size_t users = 0;
    for (size_t i = 0; i < out.n; i++) {
        const struct kvt_request *q = &out.requests[i];
        if (q->background) {
            MUST(part == WL_ROLLOUT_ALL && c.warm_up != WL_WARM_NONE && !q->output_tokens &&
                 q->arrive_ns < c.at_ns && q->arrive_ns >= c.at_ns - c.lead_ns);
            MUST(q->n_keys > 0 && q->n_keys <= q->prompt_tokens / BLOCK &&
                 q->id >= WL_BACKGROUND_ID);
            continue;
        }
        const struct kvt_request *was = &stream.requests[users++];
        MUST(q->id == was->id && q->arrive_ns == was->arrive_ns && q->tenant == was->tenant &&
             q->session == was->session && q->prompt_tokens == was->prompt_tokens &&
             q->output_tokens == was->output_tokens && q->n_keys == was->n_keys);
        const bool moved = part != WL_ROLLOUT_NOTHING &&
                           wl_rollout_moved(&c, q->arrive_ns, q->tenant, q->session, q->id);
        for (uint32_t k = 0; k < q->n_keys; k++)
            MUST(kvt_key_equal(q->keys[k],
                               moved ? kvt_key_in_epoch(was->keys[k], &c.epoch) : was->keys[k]));
    }
    MUST(users == stream.n);
}
END_TEST

/* Nobody moves back; nobody moves before the first step; in the end as many have moved as shall. */
START_TEST(movers_stay_moved)
{
    struct wl_rollout_config c = {.at_ns = 1000, .every_ns = 100, .share = 0.1};
    uint64_t moved_at[] = {999, 1000, 1450, 1899, 1900, 5000};
    const double shares[] = {0, 0.1, 0.5, 0.9, 1, 1};
    ck_assert_uint_eq(wl_rollout_end_ns(&c), 1900);
    for (int by = 0; by < 2; by++) {
        bool before[5000] = {false};
        c.by = (enum wl_rollout_by)by;
        for (int t = 0; t < 6; t++) {
            uint32_t n = 0;
            ck_assert_double_eq_tol(wl_rollout_share(&c, moved_at[t]), shares[t], 1e-9);
            for (uint32_t who = 0; who < 5000; who++) {
                const bool moved = wl_rollout_moved(&c, moved_at[t], by ? who : 3, who, who * 7);
                ck_assert(moved || !before[who]);
                before[who] = moved;
                n += moved;
            }
            /* 5000 throws: five standard deviations are 177 */
            ck_assert(n > 5000 * shares[t] - 178 && n < 5000 * shares[t] + 178);
            ck_assert((t != 0 || n == 0) && (t < 4 || n == 5000));
        }
    }
    /* a session moves as a whole, whoever asks; a tenant with all its sessions */
    c.by = WL_BY_TENANT;
    for (uint32_t tenant = 0; tenant < 50; tenant++)
        ck_assert(wl_rollout_moved(&c, 1500, tenant, 1, 2) ==
                  wl_rollout_moved(&c, 1500, tenant, KVT_NONE, 77));
    c.every_ns = KVT_NEVER; /* a canary that stays one */
    ck_assert_double_eq_tol(wl_rollout_share(&c, KVT_NEVER - 1), 0.1, 1e-9);
    ck_assert_uint_eq(wl_rollout_end_ns(&c), 1000);
    c.at_ns = KVT_NEVER;
    ck_assert_double_eq(wl_rollout_share(&c, KVT_NEVER - 1), 0);
}
END_TEST

struct used {
    kvt_key key;
    uint32_t uses, last, depth, order;
    kvt_key chain[MOST_KEYS];
    bool chosen;
};

static const struct wl_rollout_config *ranking;

static int naive_rank(const void *a, const void *b)
{
    const struct used *x = a, *y = b;
    const bool hot = ranking->warm_up == WL_WARM_HOT;
    const uint32_t x1 = hot ? x->uses : x->last, y1 = hot ? y->uses : y->last;
    const uint32_t x2 = hot ? x->last : x->uses, y2 = hot ? y->last : y->uses;
    if (x1 != y1)
        return x1 > y1 ? -1 : 1;
    if (x2 != y2)
        return x2 > y2 ? -1 : 1;
    return x->depth != y->depth ? (x->depth < y->depth ? -1 : 1) : (int)x->order - (int)y->order;
}

/* Which blocks a warm-up computes: by search through everything before. */
START_TEST(warm_up_beside_a_search)
{
    static struct used used[REQUESTS * MOST_KEYS];
    make_stream(&stream, 500 + (uint64_t)_i, REQUESTS);
    struct wl_rollout_config c = any_config(&stream);
    c.at_ns = stream.requests[REQUESTS * 3 / 4].arrive_ns + 1;
    c.lead_ns = 1 + dice_below(c.at_ns / 2);
    c.warm_up = _i % 2 ? WL_WARM_HOT : WL_WARM_RECENT;
    size_t n = 0;
    for (uint32_t i = 0; i < REQUESTS; i++) {
        const struct kvt_request *q = &stream.requests[i];
        for (uint32_t k = 0;
             q->arrive_ns < c.at_ns - c.lead_ns && k < q->n_keys && k < q->prompt_tokens / BLOCK;
             k++) {
            size_t u = 0;
            while (u < n && !kvt_key_equal(used[u].key, q->keys[k]))
                u++;
            if (u == n) {
                used[n] = (struct used){.key = q->keys[k], .depth = k, .order = (uint32_t)n};
                memcpy(used[n++].chain, q->keys, (k + 1) * sizeof *q->keys);
            }
            used[u].uses++;
            used[u].last = i + 1;
        }
    }
    ranking = &c;
    qsort(used, n, sizeof *used, naive_rank);
    for (size_t u = 0; u < n; u++)
        used[u].chosen = u < c.blocks;
    run(&out, &stream, &c, WL_ROLLOUT_ALL);
    /* every key of every prompt is a chosen one, in its place of its chain; and all chosen ones come */
    size_t first_seen = 0;
    static bool seen[REQUESTS * MOST_KEYS];
    memset(seen, 0, sizeof seen);
    for (size_t i = 0; i < out.n; i++) {
        const struct kvt_request *q = &out.requests[i];
        for (uint32_t k = 0; q->background && k < q->n_keys; k++) {
            size_t u = 0;
            while (u < n && !kvt_key_equal(kvt_key_in_epoch(used[u].key, &c.epoch), q->keys[k]))
                u++;
            MUST(u < n && used[u].chosen && used[u].depth == k);
            first_seen += !seen[u];
            seen[u] = true;
        }
    }
    MUST(first_seen == (c.blocks < n ? c.blocks : n));
    /* and nothing that comes later changes it */
    size_t changed = 0;
    while (stream.requests[changed].arrive_ns < c.at_ns - c.lead_ns)
        changed++;
    make_stream(&other, 500 + (uint64_t)_i, changed);
    run(&out2, &other, &c, WL_ROLLOUT_ALL);
    size_t j = 0;
    for (size_t i = 0; i < out.n; i++) {
        if (!out.requests[i].background)
            continue;
        while (j < out2.n && !out2.requests[j].background)
            j++;
        MUST(j < out2.n && out.requests[i].arrive_ns == out2.requests[j].arrive_ns &&
             out.requests[i].n_keys == out2.requests[j].n_keys &&
             memcmp(out.keys[i], out2.keys[j], out.requests[i].n_keys * sizeof(kvt_key)) == 0);
        j++;
    }
}
END_TEST

/* What is told to be gone is exactly what the old epoch used, and from then on nobody names it. */
START_TEST(gone_is_the_old_epoch)
{
    uint64_t told = 0;
    for (uint64_t seed = 900; seed < 960; seed++) {
        make_stream(&stream, seed, REQUESTS);
        struct wl_rollout_config c = any_config(&stream);
        c.drop = true;
        run(&out, &stream, &c, WL_ROLLOUT_ALL);
        told += out.n_gone > 0;
        uint64_t named = 0;
        for (size_t i = 0; i < out.n; i++)
            for (uint32_t k = 0; k < out.requests[i].n_keys; k++) {
                size_t g = 0;
                while (g < out.n_gone && !kvt_key_equal(out.gone[g], out.keys[i][k]))
                    g++;
                const struct kvt_request *q = &out.requests[i];
                const bool old = !q->background &&
                                 !wl_rollout_moved(&c, q->arrive_ns, q->tenant, q->session, q->id);
                MUST(!out.n_gone || (g < out.n_gone) == old);
                MUST(!out.n_gone || !old || i + 1 < out.gone_after);
                named += old;
            }
        MUST(named >= out.n_gone);
        MUST(!out.n_gone || wl_rollout_share(&c, out.requests[out.gone_after - 1].arrive_ns) >= 1);
    }
    ck_assert_uint_gt(told, 10);
}
END_TEST

START_TEST(shadow_is_all_of_the_lead)
{
    make_stream(&stream, 42, REQUESTS);
    struct wl_rollout_config c = any_config(&stream);
    c.at_ns = stream.requests[300].arrive_ns;
    c.lead_ns = c.at_ns / 3;
    c.warm_up = WL_WARM_SHADOW;
    run(&out, &stream, &c, WL_ROLLOUT_ALL);
    size_t shadows = 0, expected = 0;
    for (size_t i = 0; i < out.n; i++) {
        const struct kvt_request *q = &out.requests[i], *user = i ? &out.requests[i - 1] : NULL;
        expected += !q->background && q->arrive_ns >= c.at_ns - c.lead_ns &&
                    q->arrive_ns < c.at_ns && q->n_keys && q->prompt_tokens >= BLOCK;
        if (!q->background)
            continue;
        shadows++;
        MUST(user && !user->background && q->arrive_ns == user->arrive_ns &&
             q->prompt_tokens == user->prompt_tokens);
        for (uint32_t k = 0; k < q->n_keys; k++)
            MUST(kvt_key_equal(q->keys[k], kvt_key_in_epoch(user->keys[k], &c.epoch)));
    }
    ck_assert_uint_gt(shadows, 20);
    ck_assert_uint_eq(shadows, expected);
}
END_TEST

/* ---- Figures ----------------------------------------------------------------------------------------- */

static void tell(struct rollout_tally *t, kvt_ns arrive_s, uint32_t prompt, uint32_t hits,
                 bool background)
{
    const struct kvt_report report = {
        .arrive_ns = arrive_s * KVT_SECOND,
        .first_token_ns = arrive_s * KVT_SECOND + (prompt - hits) * KVT_MILLISECOND,
        .prompt_tokens = prompt,
        .background = background,
        .ledger_tokens = {[KVT_HIT_HOST] = hits, [KVT_COMPUTED_COLD] = prompt - hits}};
    rollout_note(t, &(struct kvt_note){.kind = KVT_NOTE_REPORT,
                                       .now = report.first_token_ns,
                                       .report = &report});
}

/* A request of 100 tokens every second for 400 s, of which 80 are found; switch at 200 s. Cold, nothing is found
 * for 40 s. A token takes a millisecond on each of two GPUs, which cost 3600 USD an hour. */
START_TEST(figures_of_hand_made_passes)
{
    const struct kvt_prefill_cost prefill = {0, 1e6, 0};
    const struct wl_rollout_config c = {.at_ns = 200 * KVT_SECOND,
                                        .every_ns = KVT_NEVER,
                                        .share = 1,
                                        .warm_up = WL_WARM_HOT};
    struct rollout_tally t[ROLLOUT_PASSES];
    for (int p = 0; p < ROLLOUT_PASSES; p++) {
        rollout_tally_init(&t[p], &c, &prefill);
        for (kvt_ns s = 0; s < 400; s++) {
            const bool dark = p == ROLLOUT_COLD && s >= 200 && s < 240;
            tell(&t[p], s, 100, dark ? 0 : 80, false);
        }
    }
    for (kvt_ns s = 190; s < 200; s++)
        tell(&t[ROLLOUT_WARM], s, 500, 100, true);
    const struct kvt_note step = {.kind = KVT_NOTE_STEP,
                                  .now = 7 * KVT_SECOND,
                                  .begin_ns = KVT_SECOND};
    rollout_note(&t[ROLLOUT_COLD], &step);
    const struct rollout_terms terms = {.config = &c,
                                        .watch_ns = 100 * KVT_SECOND,
                                        .gpus_per_engine = 2,
                                        .usd_per_gpu_hour = 3600};
    struct rollout_tally *const tallies[] = {&t[0], &t[1], &t[2]};
    struct rollout r;
    ck_assert_int_eq(rollout_close(&r, &terms, tallies), 0);
    const struct rollout_figures *steady = &r.pass[ROLLOUT_STEADY], *cold = &r.pass[ROLLOUT_COLD],
                                 *warm = &r.pass[ROLLOUT_WARM];
    ck_assert_uint_eq(steady->requests, 100);
    ck_assert_double_eq_tol(steady->hit_rate, 0.8, 1e-12);
    ck_assert_double_eq_tol(cold->hit_rate, 0.48, 1e-12);
    ck_assert_double_eq_tol(steady->ttft_p95_ms, 20, 1e-9);
    ck_assert_double_eq_tol(cold->ttft_p50_ms, 20, 1e-9);
    ck_assert_double_eq_tol(cold->ttft_p95_ms, 100, 1e-9);
    ck_assert_uint_eq(steady->computed_tokens, 400 * 20);
    ck_assert_double_eq_tol(cold->extra_tokens, 40 * 80, 1e-9);
    ck_assert_double_eq_tol(cold->extra_prefill_gpu_s, 40 * 80 * 0.001 * 2, 1e-9);
    ck_assert_double_eq_tol(cold->extra_usd, 6.4, 1e-9);
    ck_assert_double_eq_tol(cold->busy_gpu_s, 12, 1e-9);
    ck_assert_double_eq_tol(warm->extra_tokens, 10 * 400, 1e-9); /* what the warm-up itself takes */
    ck_assert_uint_eq(r.warm_requests, 10);
    ck_assert_uint_eq(r.warm_tokens, 4000);
    ck_assert_uint_eq(r.warm_late, 0); /* the last one ends at 199.4 s */
    /* intervals of 200 s / 48; hits are at 95 % in the first whose last three lie behind 240 s, but for a trifle */
    ck_assert_uint_eq(r.n_bins, 96);
    ck_assert(steady->recovery_s != steady->recovery_s);
    ck_assert_double_eq_tol(warm->recovery_s, 200.0 / 48, 1e-6);
    ck_assert(cold->recovery_s > 40 && cold->recovery_s < 40 + 4 * 200.0 / 48);
    uint64_t requests = 0;
    for (size_t b = 0; b < r.n_bins; b++) {
        requests += r.bins[b].pass[ROLLOUT_COLD].requests;
        ck_assert(r.bins[b].begin_ns == (b ? r.bins[b - 1].end_ns : 0));
        ck_assert((r.bins[b].begin_ns >= c.at_ns) == (r.bins[b].share > 0));
    }
    ck_assert_uint_eq(requests, 400); /* all, each once */
    rollout_release(&r);
    for (int p = 0; p < ROLLOUT_PASSES; p++)
        rollout_tally_release(&t[p]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rollout");
    TCase *cases = tcase_create("all");
    tcase_add_loop_test(cases, requests_stay_what_they_are, 0, 200);
    tcase_add_test(cases, movers_stay_moved);
    tcase_add_loop_test(cases, warm_up_beside_a_search, 0, 60);
    tcase_add_test(cases, gone_is_the_old_epoch);
    tcase_add_test(cases, shadow_is_all_of_the_lead);
    tcase_add_test(cases, figures_of_hand_made_passes);
    tcase_set_timeout(cases, 120);
    suite_add_tcase(suite, cases);
    return kvt_test_main(suite);
}
