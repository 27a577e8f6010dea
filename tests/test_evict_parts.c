/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_evict_parts.c - what eviction policies are made of, each beside a naive model: the map of ids,
 * ghosts, queues by rank, the heap, the frequency sketch, the history of uses.
 */
#include <errno.h>

#include "core/ghosts.h"
#include "core/heap.h"
#include "core/ranks.h"
#include "core/reuse.h"
#include "core/sketch.h"
#include "dice.h"
#include "failing_alloc.h"

enum { N = 600, OPERATIONS = 30000 };

/* ---- The map ------------------------------------------------------------------------------------ */

START_TEST(map_beside_an_array)
{
    /* Consecutive ids; ids far apart that all land in a few buckets. */
    const uint64_t stride = _i ? UINT64_C(1) << 32 | 1 : 1;
    static uint32_t number[N];
    struct failing_alloc memory;
    struct kvt_idmap map;
    dice_seed((uint64_t)_i + 1);
    memset(number, 0, sizeof number);
    kvt_idmap_init(&map, failing_alloc_init(&memory, 0));
    ck_assert_int_eq(kvt_idmap_reserve(&map, 10), 0);
    uint64_t count = 0;
    for (int k = 0; k < OPERATIONS; k++) {
        const uint64_t i = dice_below(N), id = i * stride;
        const uint32_t found = kvt_idmap_find(&map, id);
        MUST(found == (number[i] ? number[i] : KVT_NONE));
        if (number[i]) {
            kvt_idmap_remove(&map, id);
            number[i] = 0;
            count--;
        } else if (count < N / 2 || k % 3 == 0) {
            MUST(kvt_idmap_reserve(&map, count + 1) == 0);
            number[i] = (uint32_t)k + 1;
            kvt_idmap_add(&map, id, number[i]);
            count++;
        }
        if (k % 100 == 0)
            MUST(kvt_idmap_check(&map));
    }
    kvt_idmap_release(&map);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

START_TEST(map_keeps_what_it_has_without_memory)
{
    struct failing_alloc memory;
    struct kvt_idmap map;
    kvt_idmap_init(&map, failing_alloc_init(&memory, 2));
    ck_assert_int_eq(kvt_idmap_reserve(&map, 4), 0);
    kvt_idmap_add(&map, 7, 70);
    ck_assert_int_eq(kvt_idmap_reserve(&map, 1000), -ENOMEM);
    ck_assert_uint_eq(kvt_idmap_find(&map, 7), 70);
    ck_assert_int_eq(kvt_idmap_reserve(&map, 1000), 0);
    ck_assert_uint_eq(kvt_idmap_find(&map, 7), 70);
    kvt_idmap_release(&map);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

/* ---- Ghosts ------------------------------------------------------------------------------------- */

START_TEST(ghosts_beside_arrays)
{
    enum { ROOM = 50 };
    static uint64_t queue[2][ROOM + 1]; /* oldest first */
    uint32_t n[2] = {0, 0};
    struct failing_alloc memory;
    struct kvt_ghosts g;
    dice_seed(3);
    kvt_ghosts_init(&g, failing_alloc_init(&memory, 0));
    ck_assert_uint_eq(kvt_ghosts_find(&g, 1), KVT_NONE);
    ck_assert_int_eq(kvt_ghosts_reserve(&g, ROOM), 0);
    const uint64_t gets = memory.gets;
    for (int k = 0; k < OPERATIONS; k++) {
        const uint64_t id = dice_below(200);
        uint32_t q = 2, at = 0;
        for (uint32_t i = 0; i < 2; i++)
            for (uint32_t j = 0; j < n[i]; j++)
                if (queue[i][j] == id) {
                    q = i;
                    at = j;
                }
        const uint32_t found = kvt_ghosts_find(&g, id);
        MUST((found == KVT_NONE) == (q == 2));
        MUST(q == 2 || (found & 1) == q);
        if (q == 2 && n[0] + n[1] < ROOM) {
            q = (uint32_t)dice_below(2);
            kvt_ghosts_push(&g, q, id);
            queue[q][n[q]++] = id;
            continue;
        }
        if (q == 2) {
            q = n[0] ? 0 : 1;
            kvt_ghosts_drop_oldest(&g, q);
        } else {
            kvt_ghosts_remove(&g, found);
        }
        memmove(&queue[q][at], &queue[q][at + 1], (--n[q] - at) * sizeof **queue);
        MUST(g.length[0] == n[0] && g.length[1] == n[1]);
        MUST(kvt_ghosts_check(&g));
    }
    ck_assert_uint_eq(memory.gets, gets);
    kvt_ghosts_release(&g);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

/* ---- Ranks and the heap: the lowest by looking at all ------------------------------------------- */

struct row {
    union {
        uint32_t place;
        struct kvt_queue_link link;
    };
};

START_TEST(ranks_beside_an_array)
{
    static int64_t rank[N], order[N];
    struct failing_alloc memory;
    struct kvt_pool rows;
    struct kvt_ranks *r = malloc(sizeof *r);
    int64_t low = 0, high = 0;
    dice_seed(4);
    kvt_pool_init(&rows, failing_alloc_init(&memory, 0), sizeof(struct row), KVT_ROWS_SHIFT);
    ck_assert_int_eq(kvt_rows_cover(&rows, N), 0);
    ck_assert_int_eq(kvt_ranks_init(r, &memory.alloc), 0);
    for (int i = 0; i < N; i++)
        rank[i] = -1;
    for (int k = 0; k < OPERATIONS; k++) {
        const uint32_t s = (uint32_t)dice_below(N);
        if (rank[s] >= 0) {
            kvt_ranks_remove(r, &rows, sizeof(struct row), (uint32_t)rank[s], s);
            rank[s] = -1;
        } else {
            rank[s] = (int64_t)(dice_one_in(2) ? dice_below(5) : dice_word() % KVT_RANKS);
            const bool oldest = dice_one_in(3);
            order[s] = oldest ? --low : ++high;
            (oldest ? kvt_ranks_push_oldest : kvt_ranks_push)(r, &rows, sizeof(struct row),
                                                              (uint32_t)rank[s], s);
        }
        uint32_t lowest = KVT_NONE, highest = KVT_NONE;
        for (uint32_t t = 0; t < N; t++) {
            if (rank[t] < 0)
                continue;
            if (lowest == KVT_NONE || rank[t] < rank[lowest] ||
                (rank[t] == rank[lowest] && order[t] < order[lowest]))
                lowest = t;
            if (highest == KVT_NONE || rank[t] > rank[highest] ||
                (rank[t] == rank[highest] && order[t] < order[highest]))
                highest = t;
        }
        MUST(kvt_ranks_lowest(r) == lowest && kvt_ranks_highest(r) == highest);
        MUST(k % 1000 || kvt_ranks_walk(r, &rows, sizeof(struct row)) != UINT64_MAX);
    }
    kvt_ranks_release(r, &memory.alloc);
    kvt_pool_release(&rows);
    free(r);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

START_TEST(heap_beside_an_array)
{
    static struct kvt_heap_entry at[N];
    static bool in[N];
    const size_t row_b = sizeof(struct row);
    struct failing_alloc memory;
    struct kvt_pool rows;
    struct kvt_heap h;
    uint32_t n = 0, ties = UINT32_MAX - OPERATIONS / 2; /* they wrap on the way */
    dice_seed(5);
    memset(in, 0, sizeof in);
    kvt_pool_init(&rows, failing_alloc_init(&memory, 0), sizeof(struct row), KVT_ROWS_SHIFT);
    ck_assert_int_eq(kvt_rows_cover(&rows, N), 0);
    kvt_heap_init(&h, &memory.alloc, &rows);
    for (int k = 0; k < OPERATIONS; k++) {
        const uint32_t s = (uint32_t)dice_below(N);
        const uint64_t key = dice_one_in(2) ? dice_below(20) : dice_word();
        if (!in[s]) {
            MUST(kvt_heap_reserve(&h, ++n) == 0);
            at[s] = (struct kvt_heap_entry){key, ties++, s};
            kvt_heap_push(&h, row_b, s, at[s].key, at[s].tie);
            in[s] = true;
        } else if (dice_one_in(2)) {
            at[s] = (struct kvt_heap_entry){key, ties++, s};
            kvt_heap_change(&h, row_b, s, at[s].key, at[s].tie);
        } else {
            kvt_heap_remove(&h, row_b, s);
            MUST(kvt_heap_is_out(&h, row_b, s));
            in[s] = false;
            n--;
        }
        uint32_t least = KVT_NONE;
        for (uint32_t t = 0; t < N; t++)
            if (in[t] && (least == KVT_NONE || at[t].key < at[least].key ||
                          (at[t].key == at[least].key && (int32_t)(at[t].tie - at[least].tie) < 0)))
                least = t;
        MUST(least == (kvt_heap_top(&h) ? kvt_heap_top(&h)->slot : KVT_NONE));
        MUST(k % 100 || kvt_heap_walk(&h, row_b) == n);
    }
    kvt_heap_release(&h);
    kvt_pool_release(&rows);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

/* ---- The sketch: never too low, seldom too high ------------------------------------------------- */

START_TEST(sketch_beside_exact_counts)
{
    enum { CAPACITY = 2000 };
    static uint32_t exact[CAPACITY];
    struct failing_alloc memory;
    struct kvt_sketch k;
    dice_seed(6);
    memset(exact, 0, sizeof exact);
    ck_assert_int_eq(kvt_sketch_init(&k, failing_alloc_init(&memory, 0), CAPACITY), 0);
    for (int i = 0; i < CAPACITY * KVT_SKETCH_SAMPLE - 1; i++) {
        const uint64_t id = dice_below(1 + dice_below(1 + dice_below(CAPACITY)));
        exact[id]++;
        kvt_sketch_add(&k, kvt_sketch_hash(id));
    }
    uint32_t over = 0;
    for (uint64_t id = 0; id < CAPACITY; id++) {
        const uint32_t e = kvt_sketch_estimate(&k, kvt_sketch_hash(id));
        const uint32_t right = exact[id] < KVT_SKETCH_MOST + 1 ? exact[id] : KVT_SKETCH_MOST + 1;
        ck_assert_uint_ge(e, right);
        over += e > right;
    }
    ck_assert_uint_lt(over, CAPACITY / 10);
    kvt_sketch_add(&k, kvt_sketch_hash(0)); /* the sample is full: all fade */
    uint32_t before = exact[0] < 16 ? exact[0] : 15;
    ck_assert_uint_le(kvt_sketch_estimate(&k, kvt_sketch_hash(0)), before / 2 + 1);
    ck_assert_uint_gt(kvt_sketch_estimate(&k, kvt_sketch_hash(0)), 0);
    kvt_sketch_release(&k);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

/* ---- The history of uses: closed forms ---------------------------------------------------------- */

/* Half of the ids come again after 1,000, the others never; always as misses, so of class 0. */
START_TEST(density_of_a_known_process)
{
    enum { AGAIN = 1000, CAPACITY = 1000 };
    struct failing_alloc memory;
    struct kvt_reuse *r = malloc(sizeof *r);
    kvt_reuse_init(r, failing_alloc_init(&memory, 0), CAPACITY);
    ck_assert_int_eq(kvt_reuse_reserve(r, CAPACITY), 0);
    for (uint64_t t = 0; t < 200000; t++) {
        kvt_reuse_saw(r, t, false, t);
        if (t >= AGAIN && t % 2 == 0) {
            kvt_reuse_saw(r, t - AGAIN, false,
                          t); /* its age becomes 0 again, and it never returns */
            ck_assert(t % 10000 || kvt_reuse_check(r));
        }
    }
    /* Of three that are of age 0 one comes again at 1,000: kept until then, a third of a use in
     * 1,000. Just before the time it is worth as much as it ever is. Past it: nothing. */
    ck_assert_double_eq_tol((double)kvt_reuse_density(r, 0, 0) * AGAIN, 1. / 3, 0.05);
    ck_assert(kvt_reuse_density(r, 0, AGAIN * 3 / 4) > 2 * kvt_reuse_density(r, 0, AGAIN / 4));
    ck_assert(kvt_reuse_density(r, 0, AGAIN * 2) == 0);
    kvt_reuse_release(r);
    free(r);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

START_TEST(age_buckets_are_in_order)
{
    uint32_t last = 0;
    for (uint64_t age = 0; age < 100000; age++) {
        const uint32_t b = kvt_reuse_bucket(age);
        ck_assert(b == last || b == last + 1);
        last = b;
    }
    ck_assert_uint_eq(kvt_reuse_bucket(UINT64_MAX), KVT_REUSE_BUCKETS - 1);
    for (uint32_t uses = 1; uses < 100; uses++)
        ck_assert_uint_ge(kvt_reuse_class(uses), kvt_reuse_class(uses - 1));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("evict_parts");
    TCase *tcase = tcase_create("parts");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, map_beside_an_array, 0, 2);
    tcase_add_test(tcase, map_keeps_what_it_has_without_memory);
    tcase_add_test(tcase, ghosts_beside_arrays);
    tcase_add_test(tcase, ranks_beside_an_array);
    tcase_add_test(tcase, heap_beside_an_array);
    tcase_add_test(tcase, sketch_beside_exact_counts);
    tcase_add_test(tcase, density_of_a_known_process);
    tcase_add_test(tcase, age_buckets_are_in_order);
    suite_add_tcase(suite, tcase);
    return kvt_test_main(suite);
}
