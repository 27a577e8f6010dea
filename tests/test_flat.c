/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_flat.c - the flat cache: by hand, beside LRU stack distances, in batches of any size, the bound
 * that Belady is, W-TinyLFU beside the paper with exact counts, and without memory.
 */
#include "core/flat.h"

#include <errno.h>

#include "dice.h"
#include "failing_alloc.h"

enum { LOOKUPS = 20000, IDS = 400 };

static uint64_t ids[LOOKUPS], next_use[LOOKUPS];
static struct failing_alloc memory;

/* Popular ids, runs, and one-off ones: something for every policy to be wrong about. */
static void draw_ids(uint64_t seed)
{
    dice_seed(seed);
    for (uint64_t i = 0; i < LOOKUPS;) {
        uint64_t id = dice_below(1 + dice_below(1 + dice_below(IDS)));
        if (dice_one_in(50))
            id = 1000000 + i;
        for (uint64_t run = 1 + dice_below(5); run > 0 && i < LOOKUPS; run--)
            ids[i++] = id++;
    }
}

static struct kvt_flat *flat_of(const char *policy, uint64_t capacity)
{
    int error;
    const struct kvt_evict_config config = {.capacity = capacity, .alloc = &memory.alloc};
    struct kvt_flat *flat = kvt_flat_new(kvt_evict_named(policy), &config, &error);
    ck_assert_ptr_nonnull(flat);
    ck_assert_int_eq(error, 0);
    return flat;
}

static uint64_t hits_of(const char *policy, uint64_t capacity)
{
    struct kvt_flat *flat = flat_of(policy, capacity);
    const uint64_t hits = kvt_flat_access(flat, ids, next_use, LOOKUPS, NULL);
    ck_assert_uint_le(kvt_flat_resident(flat), capacity); /* (F1) */
    kvt_flat_free(flat);
    return hits;
}

START_TEST(by_hand)
{
    static const uint64_t a[] = {1, 2, 1, 3, 2, 1};
    uint8_t hits[6];
    failing_alloc_init(&memory, 0);
    struct kvt_flat *lru = flat_of("lru", 2), *fifo = flat_of("fifo", 2);
    ck_assert_uint_eq(kvt_flat_access(lru, a, NULL, 6, hits), 1);
    ck_assert_mem_eq(hits, ((const uint8_t[]){0, 0, 1, 0, 0, 0}), 6);
    ck_assert_uint_eq(kvt_flat_access(fifo, a, NULL, 6, hits), 2);
    ck_assert_mem_eq(hits, ((const uint8_t[]){0, 0, 1, 0, 1, 0}), 6);
    ck_assert_uint_eq(kvt_flat_resident(lru), 2);
    kvt_flat_free(lru);
    kvt_flat_free(fifo);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

/* A full cache that refuses keeps what it has. */
START_TEST(who_does_not_leave_is_not_replaced)
{
    static const uint64_t a[] = {1, 2, 3, 1, 2, 3};
    uint8_t hits[6];
    failing_alloc_init(&memory, 0);
    struct kvt_flat *ttl = flat_of("ttl", 2);
    ck_assert_uint_eq(kvt_flat_access(ttl, a, NULL, 6, hits), 2);
    ck_assert_mem_eq(hits, ((const uint8_t[]){0, 0, 0, 1, 1, 0}), 6);
    kvt_flat_free(ttl);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

START_TEST(next_use_by_looking_on)
{
    failing_alloc_init(&memory, 0);
    draw_ids(1);
    ck_assert_int_eq(kvt_flat_next_use(ids, LOOKUPS, &memory.alloc, next_use), 0);
    for (uint64_t i = 0; i < LOOKUPS; i += 7) {
        uint64_t j = i + 1;
        while (j < LOOKUPS && ids[j] != ids[i])
            j++;
        MUST(next_use[i] == (j < LOOKUPS ? j : KVT_NEVER));
    }
    ck_assert(failing_alloc_clean(&memory));
    for (uint64_t n = 1;; n++) {
        failing_alloc_init(&memory, n);
        const int error = kvt_flat_next_use(ids, LOOKUPS, &memory.alloc, next_use);
        ck_assert_int_eq(error, memory.gets < n ? 0 : -ENOMEM);
        ck_assert(failing_alloc_clean(&memory));
        if (!error)
            break;
    }
}
END_TEST

/* LRU hits exactly where fewer than capacity other blocks came since (Mattson). */
START_TEST(lru_is_stack_distance)
{
    static uint8_t hits[LOOKUPS];
    static uint64_t stack[LOOKUPS];
    const uint64_t capacity = 1 + (uint64_t)_i * 37;
    failing_alloc_init(&memory, 0);
    draw_ids(2);
    struct kvt_flat *flat = flat_of("lru", capacity);
    kvt_flat_access(flat, ids, NULL, LOOKUPS, hits);
    uint64_t depth = 0;
    for (uint64_t i = 0; i < LOOKUPS; i++) {
        uint64_t at = 0;
        while (at < depth && stack[at] != ids[i])
            at++;
        MUST(hits[i] == (at < depth && at < capacity));
        depth += at == depth;
        memmove(stack + 1, stack, at * sizeof *stack);
        stack[0] = ids[i];
    }
    kvt_flat_free(flat);
}
END_TEST

START_TEST(batches_do_not_matter)
{
    static uint8_t whole[LOOKUPS], parts[LOOKUPS];
    failing_alloc_init(&memory, 0);
    draw_ids(3);
    ck_assert_int_eq(kvt_flat_next_use(ids, LOOKUPS, &memory.alloc, next_use), 0);
    for (int p = 0; kvt_evict_all[p]; p++) {
        struct kvt_flat *a = flat_of(kvt_evict_all[p]->name, 90);
        struct kvt_flat *b = flat_of(kvt_evict_all[p]->name, 90);
        kvt_flat_access(a, ids, next_use, LOOKUPS, whole);
        for (uint64_t i = 0, n; i < LOOKUPS; i += n) {
            n = dice_below(40);
            n = n < LOOKUPS - i ? n : LOOKUPS - i;
            kvt_flat_access(b, ids + i, next_use + i, n, parts + i);
        }
        ck_assert_mem_eq(whole, parts, LOOKUPS);
        kvt_flat_free(a);
        kvt_flat_free(b);
    }
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

START_TEST(belady_is_the_bound)
{
    failing_alloc_init(&memory, 0);
    draw_ids(4 + (uint64_t)_i);
    ck_assert_int_eq(kvt_flat_next_use(ids, LOOKUPS, &memory.alloc, next_use), 0);
    for (uint64_t capacity = 3; capacity < 500; capacity = capacity * 3 + 1) {
        const uint64_t bound = hits_of("belady", capacity);
        for (int p = 0; kvt_evict_all[p]; p++)
            if (!kvt_evict_all[p]->competes && !kvt_evict_all[p]->refuses)
                ck_assert_uint_le(hits_of(kvt_evict_all[p]->name, capacity), bound);
    }
    /* Nobody who has room for all misses but once. */
    const uint64_t most = hits_of("belady", LOOKUPS);
    for (int p = 0; kvt_evict_all[p]; p++)
        ck_assert_uint_eq(hits_of(kvt_evict_all[p]->name, LOOKUPS), most);
}
END_TEST

/* ---- W-TinyLFU of the paper, with exact counts instead of a sketch ------------------------------- */

struct exact {
    uint32_t part[IDS + LOOKUPS]; /* 0: absent, 1 window, 2 probation, 3 protected */
    uint64_t last[IDS + LOOKUPS];
    uint32_t seen[IDS + LOOKUPS];
    uint64_t n[4], added;
};

static uint64_t least_recent(const struct exact *x, uint32_t part)
{
    uint64_t best = UINT64_MAX;
    for (uint64_t id = 0; id < IDS + LOOKUPS; id++)
        if (x->part[id] == part && (best == UINT64_MAX || x->last[id] < x->last[best]))
            best = id;
    return best;
}

static void move(struct exact *x, uint64_t id, uint32_t part, uint64_t now)
{
    x->n[x->part[id]]--;
    x->n[part]++;
    x->part[id] = part;
    x->last[id] = now;
}

static uint64_t exact_hits(struct exact *x, uint64_t capacity)
{
    const uint64_t window = capacity / 100 ? capacity / 100 : 1;
    const uint64_t protected = (capacity - window) * 8 / 10;
    uint64_t hits = 0, now = 0;
    memset(x, 0, sizeof *x);
    for (uint64_t i = 0; i < LOOKUPS; i++) {
        const uint64_t id = ids[i] < IDS ? ids[i] : IDS + (ids[i] - IDS) % LOOKUPS;
        x->seen[id]++;
        if (++x->added == capacity * 10) {
            for (uint64_t k = 0; k < IDS + LOOKUPS; k++)
                x->seen[k] /= 2;
            x->added /= 2;
        }
        if (x->part[id]) {
            hits++;
            move(x, id, x->part[id] == 1 ? 1 : 3, ++now);
            if (x->n[3] > protected)
                move(x, least_recent(x, 3), 2, ++now);
            continue;
        }
        move(x, id, 1, ++now);
        if (x->n[1] <= window)
            continue;
        const uint64_t candidate = least_recent(x, 1);
        if (x->n[1] + x->n[2] + x->n[3] > capacity) {
            const uint64_t rival = least_recent(x, x->n[2] ? 2 : 3);
            if (x->seen[candidate] <= x->seen[rival]) {
                move(x, candidate, 0, now);
                continue;
            }
            move(x, rival, 0, now);
        }
        move(x, candidate, 2, ++now);
    }
    return hits;
}

START_TEST(wtinylfu_is_near_the_paper_with_exact_counts)
{
    static struct exact x;
    failing_alloc_init(&memory, 0);
    draw_ids(9);
    for (uint64_t capacity = 40; capacity <= 250; capacity += 70) {
        const double exact = (double)exact_hits(&x, capacity) / LOOKUPS;
        const double ours = (double)hits_of("w-tinylfu", capacity) / LOOKUPS;
        ck_assert_double_eq_tol(ours, exact, 0.01);
    }
}
END_TEST

START_TEST(without_memory)
{
    int error;
    for (int p = 0; kvt_evict_all[p]; p++)
        for (uint64_t n = 1;; n++) {
            const struct kvt_alloc *alloc = failing_alloc_init(&memory, n);
            const struct kvt_evict_config config = {.capacity = 100, .alloc = alloc};
            struct kvt_flat *flat = kvt_flat_new(kvt_evict_all[p], &config, &error);
            ck_assert_int_eq(error, flat ? 0 : -ENOMEM);
            kvt_flat_free(flat);
            ck_assert(failing_alloc_clean(&memory));
            if (flat)
                break;
        }
    struct kvt_evict_config config = {.capacity = 0, .alloc = failing_alloc_init(&memory, 0)};
    ck_assert_ptr_null(kvt_flat_new(kvt_evict_all[0], &config, &error));
    ck_assert_int_eq(error, -EINVAL);
    config.capacity = (UINT64_C(1) << 31) + 1;
    ck_assert_ptr_null(kvt_flat_new(kvt_evict_all[0], &config, &error));
    ck_assert_int_eq(error, -EINVAL);
}
END_TEST

/* What the header promises of the policies that people run at scale. */
START_TEST(bytes_per_block)
{
    static const char *const lean[] = {"lru", "fifo", "sieve", "clock"};
    failing_alloc_init(&memory, 0);
    for (size_t i = 0; i < sizeof lean / sizeof *lean; i++) {
        struct kvt_flat *flat = flat_of(lean[i], 100000);
        ck_assert_uint_le(kvt_flat_memory_b(flat), 64 * 100000);
        ck_assert_uint_ge(kvt_flat_memory_b(flat), memory.in_use_b * 9 / 10);
        kvt_flat_free(flat);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("flat");
    TCase *tcase = tcase_create("flat");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, by_hand);
    tcase_add_test(tcase, who_does_not_leave_is_not_replaced);
    tcase_add_test(tcase, next_use_by_looking_on);
    tcase_add_loop_test(tcase, lru_is_stack_distance, 0, 6);
    tcase_add_test(tcase, batches_do_not_matter);
    tcase_add_loop_test(tcase, belady_is_the_bound, 0, 3);
    tcase_add_test(tcase, wtinylfu_is_near_the_paper_with_exact_counts);
    tcase_add_test(tcase, without_memory);
    tcase_add_test(tcase, bytes_per_block);
    suite_add_tcase(suite, tcase);
    return kvt_test_main(suite);
}
