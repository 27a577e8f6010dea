/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_mrc.c - hits for every capacity beside naive caches, one per capacity: an array of blocks in order of
 * use, walked from end to end.
 *
 * Random prompts: chains from a random tree, as real prompts are; and any blocks in any order, which no engine sees
 * but the arithmetic has to bear. Then the parts: ranks, curves, numbers, packing of slots.
 */
#include "dice.h"
#include "kvt_test.h"

#include "workload/cut.h"
#include "workload/hyperloglog.h"
#include "workload/mrc.h"

#include <errno.h>
#include <math.h>
#include <string.h>

enum { MOST_BLOCKS = 400, MOST_PROMPT = 64, TOKENS = 8 };

/* ---- A naive cache ---------------------------------------------------------------------------- */

/* order[0] is used last. */
struct naive {
    uint32_t order[MOST_BLOCKS], n, capacity;
};

static bool naive_has(const struct naive *c, uint32_t block)
{
    uint32_t i = 0;
    while (i < c->n && c->order[i] != block)
        i++;
    return i < c->n;
}

static void naive_use(struct naive *c, uint32_t block)
{
    uint32_t i = 0;
    while (i < c->n && c->order[i] != block)
        i++;
    if (i == c->n && c->n < c->capacity)
        c->n++;
    else if (i == c->n)
        i = c->n - 1;
    memmove(c->order + 1, c->order, i * sizeof c->order[0]);
    c->order[0] = block;
}

struct naive_prompt {
    uint32_t blocks[MOST_PROMPT], n, short_tokens;
};

/* What a cache of that capacity finds in all prompts. */
static struct wl_mrc_hits naive_hits(const struct naive_prompt *prompts, size_t n_prompts,
                                     enum wl_mrc_way way, uint32_t capacity)
{
    struct naive c = {.capacity = capacity};
    struct wl_mrc_hits hits = {0, 0};
    for (size_t p = 0; p < n_prompts; p++) {
        const struct naive_prompt *w = &prompts[p];
        bool whole = true;
        for (uint32_t i = 0; i < w->n; i++) {
            const bool hit = naive_has(&c, w->blocks[i]);
            whole = whole && hit;
            if (way == WL_MRC_FLAT ? hit : whole) {
                hits.blocks++;
                hits.tokens += i + 1 == w->n ? TOKENS - w->short_tokens : TOKENS;
            }
            if (way == WL_MRC_FLAT)
                naive_use(&c, w->blocks[i]);
        }
        for (uint32_t i = 0; i < w->n && way != WL_MRC_FLAT; i++)
            naive_use(&c, w->blocks[way == WL_MRC_HEAD ? i : w->n - 1 - i]);
    }
    return hits;
}

/* ---- Random prompts --------------------------------------------------------------------------- */

/* Runs of consecutive numbers, cut at random so that pieces never depend on where runs end. */
static uint32_t runs_of(const struct naive_prompt *w, struct wl_run *runs)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->n; i++) {
        if (n > 0 && runs[n - 1].first + runs[n - 1].n == w->blocks[i] && !dice_one_in(9))
            runs[n - 1].n++;
        else
            runs[n++] = (struct wl_run){w->blocks[i], 1};
    }
    return n;
}

/* A chain: part of an earlier prompt, then new blocks. */
static void draw_chain(struct naive_prompt *prompts, size_t p, uint32_t *numbers)
{
    struct naive_prompt *w = &prompts[p];
    w->n = 0;
    if (p > 0 && !dice_one_in(4)) {
        const struct naive_prompt *from = &prompts[p - 1 - dice_below(p < 12 ? p : 12)];
        w->n = (uint32_t)dice_below(from->n + 1);
        memcpy(w->blocks, from->blocks, w->n * sizeof w->blocks[0]);
    }
    const uint32_t more = (uint32_t)dice_below(MOST_PROMPT - w->n + 1) / 4;
    for (uint32_t i = 0; i < more && *numbers < MOST_BLOCKS; i++)
        w->blocks[w->n++] = (*numbers)++;
    w->short_tokens = w->n > 0 && dice_one_in(3) ? (uint32_t)dice_below(TOKENS) : 0;
}

/* Any blocks; each once unless repeats. */
static void draw_any(struct naive_prompt *w, bool repeats)
{
    const uint32_t want = (uint32_t)dice_below(20), among = 2 + (uint32_t)dice_below(60);
    w->n = 0;
    w->short_tokens = 0;
    for (uint32_t k = 0; k < want; k++) {
        const uint32_t block = (uint32_t)dice_below(among);
        bool there = false;
        for (uint32_t i = 0; i < w->n; i++)
            there |= w->blocks[i] == block;
        if (!there || repeats)
            w->blocks[w->n++] = block;
    }
}

static void add(struct wl_mrc *mrc, const struct naive_prompt *w, uint32_t tenant)
{
    struct wl_run runs[MOST_PROMPT];
    struct wl_chain p = {.tokens = w->n * TOKENS - w->short_tokens + 1,
                         .tenant = tenant,
                         .n_blocks = w->n,
                         .short_tokens = w->short_tokens};
    char why[200];
    p.n_runs = runs_of(w, runs);
    p.runs = runs;
    ck_assert_int_eq(wl_mrc_add(mrc, &p, MOST_BLOCKS), 0);
    if (!wl_recency_check(&mrc->recency, why, sizeof why))
        ck_abort_msg("%s (seed %llu)", why, (unsigned long long)dice.seed);
}

static void compare(const struct wl_mrc_tally *tally, const struct naive_prompt *prompts, size_t n,
                    int first_way, int last_way, uint32_t most)
{
    for (enum wl_mrc_way way = (enum wl_mrc_way)first_way; way <= (enum wl_mrc_way)last_way; way++)
        for (uint32_t c = 1; c <= most; c++) {
            const struct wl_mrc_hits want = naive_hits(prompts, n, way, c),
                                     got = wl_mrc_tally_hits(tally, way, c, TOKENS);
            if (want.blocks != got.blocks || want.tokens != got.tokens)
                ck_abort_msg("%s at %u: %llu blocks, %llu tokens; naive %llu, %llu (seed %llu)",
                             wl_mrc_ways[way], c, (unsigned long long)got.blocks,
                             (unsigned long long)got.tokens, (unsigned long long)want.blocks,
                             (unsigned long long)want.tokens, (unsigned long long)dice.seed);
        }
}

enum { PROMPTS = 60 };

START_TEST(chains_find_what_naive_caches_find)
{
    struct naive_prompt prompts[PROMPTS];
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct wl_mrc mrc = {0};
        uint32_t numbers = 0;
        dice_seed(seed);
        for (size_t p = 0; p < PROMPTS; p++) {
            draw_chain(prompts, p, &numbers);
            add(&mrc, &prompts[p], 0);
        }
        ck_assert_int_eq(wl_mrc_seal(&mrc), 0);
        ck_assert_uint_eq(wl_mrc_distinct(&mrc), numbers);
        compare(&mrc.all, prompts, PROMPTS, WL_MRC_FLAT, WL_MRC_LEAF, numbers + 2);
        ck_assert_uint_eq(mrc.repeated_blocks, 0);
        wl_mrc_release(&mrc);
    }
}
END_TEST

START_TEST(any_blocks_find_what_naive_caches_find)
{
    struct naive_prompt prompts[PROMPTS];
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct wl_mrc mrc = {0};
        dice_seed(seed);
        for (size_t p = 0; p < PROMPTS; p++) {
            draw_any(&prompts[p], false);
            add(&mrc, &prompts[p], 0);
        }
        ck_assert_int_eq(wl_mrc_seal(&mrc), 0);
        compare(&mrc.all, prompts, PROMPTS, WL_MRC_FLAT, WL_MRC_LEAF, 64);
        wl_mrc_release(&mrc);
    }
}
END_TEST

/* In leaf order a repeated block lies where it was named last, a naive cache has it where it was named first. */
START_TEST(repeated_blocks_are_counted_and_right_but_in_leaf_order)
{
    struct naive_prompt prompts[PROMPTS];
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct wl_mrc mrc = {0};
        uint64_t repeated = 0;
        dice_seed(seed);
        for (size_t p = 0; p < PROMPTS; p++) {
            draw_any(&prompts[p], true);
            add(&mrc, &prompts[p], 0);
            for (uint32_t i = 0; i < prompts[p].n; i++) {
                bool before = false;
                for (uint32_t j = 0; j < i; j++)
                    before |= prompts[p].blocks[j] == prompts[p].blocks[i];
                repeated += before;
            }
        }
        ck_assert_int_eq(wl_mrc_seal(&mrc), 0);
        compare(&mrc.all, prompts, PROMPTS, WL_MRC_FLAT, WL_MRC_HEAD, 64);
        ck_assert_uint_eq(mrc.repeated_blocks, repeated);
        wl_mrc_release(&mrc);
    }
}
END_TEST

START_TEST(tenants_add_up)
{
    struct naive_prompt prompts[PROMPTS];
    struct wl_mrc mrc = {0};
    uint32_t numbers = 0;
    dice_seed(7);
    for (size_t p = 0; p < PROMPTS; p++) {
        draw_chain(prompts, p, &numbers);
        add(&mrc, &prompts[p], p % 3 == 0 ? 5 : (uint32_t)(p % 2));
    }
    ck_assert_int_eq(wl_mrc_seal(&mrc), 0);
    ck_assert_uint_eq(mrc.tenants[5].prompts, PROMPTS / 3);
    for (enum wl_mrc_way way = 0; way < WL_MRC_WAYS; way++)
        for (uint64_t c = 1; c <= numbers; c++) {
            uint64_t blocks = 0, tokens = 0;
            for (size_t t = 0; t < mrc.n_tenants; t++) {
                const struct wl_mrc_hits h = wl_mrc_tally_hits(&mrc.tenants[t], way, c, TOKENS);
                blocks += h.blocks;
                tokens += h.tokens;
            }
            const struct wl_mrc_hits all = wl_mrc_tally_hits(&mrc.all, way, c, TOKENS);
            MUST(all.blocks == blocks && all.tokens == tokens);
        }
    wl_mrc_release(&mrc);
}
END_TEST

/* ---- Parts ------------------------------------------------------------------------------------ */

/* Few blocks, used over and over: slots run out and are packed many times. Depths beside a plain list. */
START_TEST(packing_changes_no_depth)
{
    enum { BLOCKS = 4000, RUN = 700, ROUNDS = 600 };
    static uint32_t when[BLOCKS]; /* number of the use; 0: never */
    struct wl_recency r = {0};
    uint32_t clock = 0, seen = 0;
    char why[200];
    memset(when, 0, sizeof when);
    dice_seed(11);
    for (int round = 0; round < ROUNDS; round++) {
        const uint32_t first = (uint32_t)dice_below(BLOCKS - RUN);
        ck_assert_int_eq(wl_recency_begin(&r, BLOCKS, RUN, (uint64_t)round), 0);
        for (uint32_t i = 0; i < RUN;) {
            const struct wl_piece piece = wl_recency_look(&r, first + i, RUN - i);
            uint32_t deeper = 0;
            for (uint32_t b = 0; b < BLOCKS; b++)
                deeper += when[b] >= when[first + i];
            MUST(piece.seen == (when[first + i] > 0));
            MUST(!piece.seen || wl_recency_head(&r, &piece) == deeper);
            seen += piece.seen ? piece.n : 0;
            wl_recency_use(&r, first + i, &piece, i);
            for (uint32_t k = 0; k < piece.n; k++)
                when[first + i + k] = ++clock;
            i += piece.n;
        }
        if (round % 50 == 0 && !wl_recency_check(&r, why, sizeof why))
            ck_abort_msg("%s", why);
    }
    ck_assert_uint_gt(seen, 0);
    /* 420,000 uses of 4,000 blocks in the least number of slots: they were packed. */
    ck_assert_uint_eq(wl_rank_slots(&r.set), 65536 + WL_RANK_LINE);
    wl_recency_release(&r);
}
END_TEST

START_TEST(ranks_count_what_an_array_counts)
{
    enum { SLOTS = 5000 };
    static bool naive[SLOTS];
    struct wl_rank rank;
    dice_seed(3);
    ck_assert_int_eq(wl_rank_init(&rank, SLOTS), 0);
    for (int step = 0; step < 4000; step++) {
        const uint64_t first = dice_below(SLOTS);
        const bool to = !naive[first];
        uint64_t n = 0;
        const uint64_t most = 1 + dice_below(900);
        while (first + n < SLOTS && n < most && naive[first + n] != to)
            naive[first + n++] = to;
        if (to)
            wl_rank_set(&rank, first, n);
        else
            wl_rank_clear(&rank, first, n);
        const uint64_t at = dice_below(SLOTS + 1);
        uint32_t below = 0;
        for (uint64_t i = 0; i < at; i++)
            below += naive[i];
        MUST(wl_rank(&rank, at) == below);
        if (step == 2000)
            ck_assert_int_eq(wl_rank_grow(&rank, 3 * SLOTS), 0);
    }
    uint32_t members = 0;
    wl_rank_pack_begin(&rank);
    for (uint64_t i = 0; i < SLOTS; i++) {
        MUST(wl_rank_packed(&rank, i) == members);
        members += naive[i];
    }
    wl_rank_pack_end(&rank);
    for (uint64_t i = 0; i <= SLOTS; i++)
        MUST(wl_rank(&rank, i) == (i < members ? i : members));
    wl_rank_release(&rank);
}
END_TEST

/* More marks than the buffer holds at first, so that they are merged and the buffer grows. */
START_TEST(curves_add_up_to_histograms)
{
    enum { CELLS = 20000, MARKS = 30000 };
    static uint64_t blocks[CELLS + 1], lacking[CELLS + 1];
    struct wl_curve curve = {0};
    dice_seed(5);
    for (int i = 0; i < MARKS; i++) {
        const uint64_t at = 1 + dice_below(CELLS - 100), n = 1 + dice_below(90);
        const int kind = (int)dice_below(3);
        ck_assert_int_eq(kind == 0   ? wl_curve_step(&curve, at, n)
                         : kind == 1 ? wl_curve_ramp(&curve, at, n)
                                     : wl_curve_short(&curve, at, n),
                         0);
        blocks[at] += kind == 0 ? n : 0;
        lacking[at] += kind == 2 ? n : 0;
        for (uint64_t k = 0; k < n && kind == 1; k++)
            blocks[at + k]++;
    }
    wl_curve_seal(&curve);
    uint64_t sum = 0, lack = 0;
    ck_assert_uint_eq(wl_curve_at(&curve, 0).blocks, 0);
    for (uint64_t c = 1; c <= CELLS; c++) {
        sum += blocks[c];
        lack += lacking[c];
        const struct wl_hits h = wl_curve_at(&curve, c);
        MUST(h.blocks == sum && h.short_tokens == lack);
    }
    ck_assert_uint_eq(wl_curve_at(&curve, UINT64_MAX).blocks, sum);
    wl_curve_release(&curve);
}
END_TEST

/* (N1), (N2): records of all shapes, in blocks of the trace's size and finer. Equal keys, equal numbers. */
START_TEST(numbers_are_equal_where_keys_are)
{
    enum { TRACE = 16, KEYS = 64 };
    struct wl_intern keys = {0};
    uint32_t number_of_key[4096];
    struct kvt_namespace ns;
    ck_assert_int_eq(kvt_namespace_init(&ns, NULL, NULL, NULL), 0);
    for (uint32_t block = TRACE; block >= 1; block /= 2) {
        const struct wl_info info = {.block_tokens = block, .trace_block_tokens = TRACE};
        const struct wl_cut cut = {TRACE, block, true, NULL};
        struct wl_numbering numbering;
        ck_assert_int_eq(wl_numbering_init(&numbering, &info, false), 0);
        memset(number_of_key, 0xff, sizeof number_of_key);
        wl_intern_release(&keys);
        dice_seed(block);
        for (int k = 0; k < 300; k++) {
            uint64_t ids[8];
            kvt_key cut_keys[KEYS * 4];
            struct wl_record r = {.prompt_tokens = 1 + (uint32_t)dice_below(60),
                                  .output_tokens = (uint32_t)dice_below(40),
                                  .ids = ids};
            struct wl_chain p;
            /* Full blocks of prompt and output, or fewer; the tail's name where there is one. */
            r.n_ids = (uint32_t)dice_below((r.prompt_tokens + r.output_tokens) / TRACE + 1);
            for (uint32_t i = 0; i < r.n_ids; i++)
                ids[i] = dice_below(12);
            r.has_tail = r.prompt_tokens % TRACE != 0 && dice_one_in(2);
            r.tail_id = 100 + dice_below(6);
            const uint32_t n = wl_cut_keys(&cut, &r, &ns, cut_keys);
            MUST(wl_number_count(&numbering, &r) == n);
            MUST(wl_number(&numbering, &r, &p) == 0 && p.n_blocks == n);
            uint32_t at = 0;
            for (uint32_t run = 0; run < p.n_runs; run++)
                for (uint32_t i = 0; i < p.runs[run].n; i++, at++) {
                    uint32_t key;
                    MUST(wl_intern(&keys, cut_keys[at], &key, NULL) == 0);
                    MUST(key < 4096);
                    if (number_of_key[key] == KVT_NONE)
                        number_of_key[key] = p.runs[run].first + i;
                    MUST(number_of_key[key] == p.runs[run].first + i);
                }
            MUST(at == n);
            const uint64_t covered = (uint64_t)n * block;
            MUST(p.short_tokens == (covered > p.tokens ? covered - p.tokens : 0));
        }
        for (size_t a = 0; a < keys.n; a++)
            for (size_t b = 0; b < a; b++)
                MUST(number_of_key[a] != number_of_key[b]);
        wl_numbering_release(&numbering);
    }
    wl_intern_release(&keys);
    const struct wl_info coarser = {.block_tokens = 32, .trace_block_tokens = TRACE};
    struct wl_numbering none;
    ck_assert_int_eq(wl_numbering_init(&none, &coarser, false), -EINVAL);
}
END_TEST

/* Five standard errors, over five decades. */
START_TEST(sketches_count_within_their_error)
{
    static struct wl_sketch sketch;
    uint64_t n = 0;
    ck_assert(wl_sketch_count(&sketch) == 0);
    for (uint64_t upto = 10; upto <= 3000000; upto *= 3) {
        for (; n < upto; n++)
            wl_sketch_add(&sketch, kvt_mix64(n * UINT64_C(0x9e3779b97f4a7c15) + 1));
        const double off = fabs(wl_sketch_count(&sketch) / (double)n - 1);
        if (off > 5 * wl_sketch_error())
            ck_abort_msg("%llu: off by %.4f", (unsigned long long)n, off);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mrc");
    TCase *t = tcase_create("mrc");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, chains_find_what_naive_caches_find);
    tcase_add_test(t, any_blocks_find_what_naive_caches_find);
    tcase_add_test(t, repeated_blocks_are_counted_and_right_but_in_leaf_order);
    tcase_add_test(t, tenants_add_up);
    tcase_add_test(t, packing_changes_no_depth);
    tcase_add_test(t, ranks_count_what_an_array_counts);
    tcase_add_test(t, curves_add_up_to_histograms);
    tcase_add_test(t, numbers_are_equal_where_keys_are);
    tcase_add_test(t, sketches_count_within_their_error);
    suite_add_tcase(suite, t);
    return kvt_test_main(suite);
}
