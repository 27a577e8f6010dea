/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_blocks.c - pool, slab, index and block table, each beside a naive model, over random
 * operations.
 *
 * Also what the figures in BENCHMARKS.md rest on: bytes per tracked block, and that a chain that is
 * known gets adjacent numbers.
 */
#include "../core/block.h"
#include "../core/mix.h"
#include "dice.h"
#include "kvt_test.h"
#include "failing_alloc.h"

#include <errno.h>
#include <string.h>

START_TEST(pool_never_moves_and_never_hands_out_twice)
{
    enum { MOST = 5000 };
    struct failing_alloc memory;
    const struct kvt_alloc *alloc = failing_alloc_init(&memory, 0);
    struct kvt_pool pool;
    kvt_pool_init(&pool, alloc, 12, 5);
    static void *at[MOST * 2];
    static bool taken[MOST * 2];
    static uint32_t live[MOST];
    uint32_t n = 0;
    dice_seed(1);
    for (int round = 0; round < 60000; round++) {
        if (n < MOST && (n == 0 || dice_below(2))) {
            const uint32_t i = kvt_pool_take(&pool);
            MUST(i < MOST * 2 && !taken[i]);
            MUST(!at[i] || at[i] == kvt_pool_at(&pool, i));
            at[i] = kvt_pool_at(&pool, i);
            memset(at[i], (int)i & 0xff, 12);
            taken[i] = true;
            live[n++] = i;
        } else {
            const uint32_t k = (uint32_t)dice_below(n), i = live[k];
            const unsigned char *bytes = kvt_pool_at(&pool, i);
            for (int b = 0; b < 12; b++)
                MUST((bytes[b]) == (i & 0xff));
            kvt_pool_give(&pool, i);
            taken[i] = false;
            live[k] = live[--n];
        }
        MUST((pool.in_use) == (n));
    }
    kvt_pool_release(&pool);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

START_TEST(slab_arrays_do_not_overlap)
{
    enum { LIVE = 200 };
    struct failing_alloc memory;
    const struct kvt_alloc *alloc = failing_alloc_init(&memory, 0);
    struct kvt_slab slab;
    kvt_slab_init(&slab, alloc);
    static uint32_t *words[LIVE], sizes[LIVE];
    dice_seed(2);
    for (uint32_t round = 0; round < 20000; round++) {
        const uint32_t k = (uint32_t)dice_below(LIVE);
        if (words[k]) {
            for (uint32_t i = 0; i < sizes[k]; i++)
                MUST((words[k][i]) == (k * 7919 + i));
            kvt_slab_give(&slab, words[k], sizes[k]);
            words[k] = NULL;
            continue;
        }
        sizes[k] = (uint32_t)(dice_below(20) ? dice_below(300) : dice_below(100000));
        words[k] = kvt_slab_take(&slab, sizes[k]);
        MUST(words[k]);
        for (uint32_t i = 0; i < sizes[k]; i++)
            words[k][i] = k * 7919 + i;
    }
    const size_t after = memory.gets;
    for (uint32_t k = 0; k < LIVE; k++)
        kvt_slab_give(&slab, words[k], sizes[k]);
    /* what was given back serves again without asking for memory */
    for (int i = 0; i < 100; i++)
        kvt_slab_give(&slab, kvt_slab_take(&slab, 64), 64);
    ck_assert_uint_eq(memory.gets, after);
    kvt_slab_release(&slab);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

/* A key drawn from few values, so that buckets, tags and keys collide often enough to matter. */
static kvt_key some_key(uint64_t among)
{
    const uint64_t id = dice_below(among);
    /* low entropy in the upper half: many keys share a home bucket */
    return (kvt_key){.hi = id, .lo = (kvt_mix64(id) & 0xff) | (id % 5) << 60};
}

START_TEST(table_against_naive_model)
{
    enum { IDS = 3000, CHAIN = 24 };
    for (uint64_t history = 0; history < 3; history++) {
        struct failing_alloc memory;
        const struct kvt_alloc *alloc = failing_alloc_init(&memory, 0);
        struct kvt_blocks blocks;
        ck_assert_int_eq(kvt_blocks_init(&blocks, alloc, history * 1000,
                                         history == 0 ? UINT64_MAX : 50 * history),
                         0);
        static uint32_t number_of[IDS], refs[IDS];
        static uint32_t held[100][CHAIN], held_n[100];
        static kvt_key held_keys[100][CHAIN];
        memset(number_of, 0xff, sizeof number_of);
        memset(refs, 0, sizeof refs);
        memset(held_n, 0, sizeof held_n);
        dice_seed(3 + history);
        for (int round = 0; round < 20000; round++) {
            const uint32_t k = (uint32_t)dice_below(100);
            if (held_n[k]) {
                for (uint32_t i = 0; i < held_n[k]; i++) {
                    const struct kvt_block *b = kvt_block_at(&blocks, held[k][i]);
                    MUST(kvt_key_equal(kvt_block_key(b), held_keys[k][i]));
                    MUST((b->refs) == (refs[held_keys[k][i].hi]));
                }
                kvt_blocks_unref(&blocks, held[k], held_n[k]);
                for (uint32_t i = 0; i < held_n[k]; i++)
                    refs[held_keys[k][i].hi]--;
                held_n[k] = 0;
                continue;
            }
            const uint32_t n = 1 + (uint32_t)dice_below(CHAIN);
            for (uint32_t i = 0; i < n; i++)
                held_keys[k][i] = some_key(IDS);
            MUST(kvt_blocks_intern(&blocks, held_keys[k], n, held[k]) == 0);
            held_n[k] = n;
            for (uint32_t i = 0; i < n; i++) {
                const uint64_t id = held_keys[k][i].hi;
                /* equal keys, equal numbers, for as long as somebody names the block */
                MUST(!refs[id] || number_of[id] == held[k][i]);
                number_of[id] = held[k][i];
                refs[id]++;
            }
        }
        if (history)
            ck_assert_uint_le(blocks.idle, 50 * history + 64);
        else
            MUST((kvt_blocks_count(&blocks)) == (blocks.index.count));
        kvt_blocks_release(&blocks);
        MUST(failing_alloc_clean(&memory));
    }
}
END_TEST

START_TEST(known_chains_are_adjacent_and_small)
{
    enum { N = 400000 };
    struct failing_alloc memory;
    const struct kvt_alloc *alloc = failing_alloc_init(&memory, 0);
    struct kvt_blocks blocks;
    ck_assert_int_eq(kvt_blocks_init(&blocks, alloc, N, UINT64_MAX), 0);
    kvt_key *keys = malloc(N * sizeof *keys);
    uint32_t *numbers = malloc(N * sizeof *numbers);
    for (uint32_t i = 0; i < N; i++)
        keys[i] = (kvt_key){kvt_mix64(i), kvt_mix64(i + 1234567)};
    ck_assert_int_eq(kvt_blocks_intern(&blocks, keys, N, numbers), 0);
    for (uint32_t i = 0; i < N; i++) {
        MUST((numbers[i]) == (i));
        MUST((kvt_block_at(&blocks, i)->parent) == (i ? i - 1 : KVT_NONE));
        MUST((kvt_index_find(&blocks.index, keys[i])) == (i));
    }
    ck_assert_uint_eq(kvt_index_find(&blocks.index, (kvt_key){1, 2}), KVT_NONE);
    /* Lines of a look-up: from the bucket that the key wants to the one that has it. */
    const struct kvt_index *index = &blocks.index;
    uint64_t lines = 0;
    for (uint64_t at = 0; at < index->n_buckets; at++)
        for (uint32_t m = index->buckets[at].used; m; m &= m - 1) {
            const kvt_key key = keys[index->buckets[at].number[__builtin_ctz(m)]];
            const uint64_t home = kvt_index_home(index, kvt_index_hash(key));
            MUST(kvt_index_lines(index, key) ==
                 (at + index->n_buckets - home) % index->n_buckets + 1);
            lines += kvt_index_lines(index, key);
        }
    ck_assert_uint_ge(lines, N);
    ck_assert_uint_lt(lines, N + N / 5);
    ck_assert_uint_ge(kvt_index_lines(index, (kvt_key){1, 2}), 1);
    /* 28 bytes of record and at most 8 of index; a copy in one tier adds 28: 64 in all */
    ck_assert_uint_le(kvt_blocks_memory_b(&blocks), (size_t)N * 36);
    free(keys);
    free(numbers);
    kvt_blocks_release(&blocks);
}
END_TEST

START_TEST(intern_bears_allocation_failure)
{
    enum { N = 3000 };
    static kvt_key keys[N];
    static uint32_t numbers[N];
    for (uint32_t i = 0; i < N; i++)
        keys[i] = (kvt_key){i, kvt_mix64(i)};
    for (uint64_t fail_at = 1;; fail_at++) {
        struct failing_alloc memory;
        const struct kvt_alloc *alloc = failing_alloc_init(&memory, fail_at);
        struct kvt_blocks blocks;
        const int made = kvt_blocks_init(&blocks, alloc, 0, UINT64_MAX);
        for (uint32_t at = 0; !made && at < N; at += 100) {
            const int rc = kvt_blocks_intern(&blocks, keys + at, 100, numbers + at);
            MUST(rc == 0 || rc == -ENOMEM);
            if (rc) /* nothing was kept, and the next try may go well */
                MUST(kvt_blocks_intern(&blocks, keys + at, 100, numbers + at) == 0);
        }
        if (!made) {
            MUST((kvt_blocks_count(&blocks)) == (N));
            kvt_blocks_unref(&blocks, numbers, N);
        }
        kvt_blocks_release(&blocks);
        MUST(failing_alloc_clean(&memory));
        if (memory.gets < fail_at)
            break;
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("blocks");
    TCase *cases = tcase_create("blocks");
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, pool_never_moves_and_never_hands_out_twice);
    tcase_add_test(cases, slab_arrays_do_not_overlap);
    tcase_add_test(cases, table_against_naive_model);
    tcase_add_test(cases, known_chains_are_adjacent_and_small);
    tcase_add_test(cases, intern_bears_allocation_failure);
    suite_add_tcase(suite, cases);
    return kvt_test_main(suite);
}
