/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_shard_book.c - the books of an engine's GPUs beside naive ones, which keep a list of blocks
 * and add up everything anew each time they are asked.
 */
#include "../core/shard_book.h"

#include "heap.h"
#include "dice.h"

#include <stdlib.h>
#include <string.h>

enum { COPIES = 120, BLOCKS_READ = 60 };

static struct kvt_shard_config roll(uint64_t seed)
{
    static const char *const names[] = {"horizontal", "vertical", "hybrid", "head", "single"};
    dice_seed(seed);
    struct kvt_shard_config c;
    do {
        c = (struct kvt_shard_config){.policy = kvt_shard_named(names[dice_below(5)]),
                                      .gpus = 1 + (uint32_t)dice_below(12),
                                      .layers = 1 + (uint32_t)dice_below(30),
                                      .kv_heads = (uint32_t)dice_below(9),
                                      .block_tokens = 16,
                                      .slice_tokens = 1 + (uint32_t)dice_below(200),
                                      .recent_blocks = 1 + dice_below(20)};
        c.replicas = 1 + (uint32_t)dice_below(c.gpus);
    } while (kvt_shard_check(&c));
    return c;
}

/* ---- Memory ------------------------------------------------------------------------------------ */

enum state { ABSENT, USED, IDLE };

static struct kvt_shard_book book;
static enum state state[COPIES];

/* Bytes of GPU g by walking all blocks in one of the given states. */
static uint64_t naive_b(uint32_t g, bool idle_too)
{
    const struct kvt_shards *s = &book.shards;
    uint64_t weights = 0;
    for (uint32_t c = 0; c < COPIES; c++)
        if (state[c] == USED || (idle_too && state[c] == IDLE))
            for (uint32_t k = 0; k < s->n; k++)
                for (uint32_t j = 0; j < s->copies; j++)
                    if (kvt_shard_copy(s, kvt_book_row(&book, c)[k], j) == g)
                        weights += s->weight[k];
    return weights * book.room.unit_b;
}

static bool naive_fits(const uint64_t *need, uint64_t pages, bool idle_too)
{
    for (uint32_t g = 0; g < book.shards.config.gpus; g++)
        if (naive_b(g, idle_too) + need[g] * book.room.unit_b + pages * book.room.page_gpu_b >
            book.room.gpu_b)
            return false;
    return true;
}

static void check_memory(void)
{
    uint64_t need[KVT_SHARD_GPUS] = {0};
    for (uint32_t g = 0; g < book.shards.config.gpus; g++) {
        MUST(kvt_book_used_b(&book, g, 3) ==
             naive_b(g, true) + 3 * book.room.page_gpu_b); /* (K1) */
        MUST(kvt_book_sum(&book, &book.pinned, g) * book.room.unit_b == naive_b(g, false));
        need[g] = dice_below(2 * book.shards.weight_sum);
    }
    const uint64_t pages = dice_below(40);
    MUST(kvt_book_fits(&book, need, pages) == naive_fits(need, pages, true));
    MUST(kvt_book_could(&book, need, pages) == naive_fits(need, pages, false));
    memset(need, 0, sizeof need);
    const uint64_t most = kvt_book_pages(&book);
    MUST(most == 0 || naive_fits(need, most, false));
    MUST(!naive_fits(need, most + 1, false));
}

START_TEST(test_bytes_per_gpu)
{
    for (uint64_t seed = 0; seed < 40; seed++) {
        const struct kvt_shard_config config = roll(seed);
        struct kvt_shards shape;
        kvt_shards_init(&shape, &config);
        struct kvt_pool rows;
        kvt_pool_init(&rows, &heap, kvt_shard_row_b(&shape), KVT_SHARD_ROWS_SHIFT);
        const struct kvt_shard_room room = {.gpu_b = 50 * shape.weight_sum * 7,
                                            .unit_b = 7,
                                            .page_gpu_b = 30};
        ck_assert_int_eq(kvt_book_init(&book, &config, &room, &rows, &heap), 0);
        memset(state, 0, sizeof state);
        for (int step = 0; step < 600; step++) {
            const uint32_t c = (uint32_t)dice_below(COPIES);
            const uint64_t changes = book.changes;
            if (state[c] == ABSENT) {
                ck_assert_int_eq(kvt_book_cover(&rows, c), 0);
                const struct kvt_shard_site site = {{dice_word(), 0}, (uint32_t)dice_below(99)};
                kvt_shards_place(&book.shards, &site, book.placing);
                kvt_book_add(&book, c);
                state[c] = USED;
            } else if (state[c] == USED && dice_one_in(2)) {
                kvt_book_rest(&book, c);
                state[c] = IDLE;
                MUST(book.changes > changes);
            } else {
                const bool idle = state[c] == IDLE && dice_one_in(2);
                if (state[c] == IDLE && !idle)
                    kvt_book_wake(&book, c);
                state[c] = idle ? IDLE : USED;
                if (idle || dice_one_in(2)) {
                    if (idle)
                        kvt_book_evict(&book, c);
                    else
                        kvt_book_remove(&book, c);
                    state[c] = ABSENT;
                    MUST(book.changes > changes);
                }
            }
            if (step % 7 == 0)
                check_memory();
        }
        kvt_book_release(&book);
        kvt_pool_release(&rows);
    }
}
END_TEST

/* ---- Reading ----------------------------------------------------------------------------------- */

struct reading {
    uint8_t row[KVT_SHARD_GPUS];
    uint32_t j, tokens;
};

/* Each layer waits for its busiest GPU: layer by layer for those that are divided by layers. */
static uint64_t naive_busy(const struct reading *r, uint32_t n, uint64_t *sum)
{
    const struct kvt_shards *s = &book.shards;
    uint64_t busy = 0;
    *sum = 0;
    for (uint32_t i = 0; i < n; i++)
        *sum += r[i].tokens;
    for (uint32_t k = 0; k < s->n; k++) {
        uint64_t most = 0;
        for (uint32_t g = 0; g < s->config.gpus; g++) {
            uint64_t tokens = 0;
            for (uint32_t i = 0; i < n; i++)
                if (kvt_shard_copy(s, r[i].row[k], r[i].j) == g)
                    tokens += r[i].tokens;
            most = tokens > most ? tokens : most;
        }
        busy += most * s->weight[k];
    }
    return (busy * s->config.gpus + s->weight_sum - 1) / s->weight_sum;
}

START_TEST(test_loads_and_skew)
{
    static struct reading r[BLOCKS_READ];
    for (uint64_t seed = 100; seed < 140; seed++) {
        const struct kvt_shard_config config = roll(seed);
        const struct kvt_shard_room room = {UINT64_MAX, 1, 1};
        ck_assert_int_eq(kvt_book_init(&book, &config, &room, NULL, &heap), 0);
        uint32_t n = 0;
        for (int step = 0; step < 300; step++) {
            if (n < BLOCKS_READ && (n == 0 || dice_one_in(2))) {
                const struct kvt_shard_site site = {{dice_word(), 0}, (uint32_t)dice_below(99)};
                kvt_shards_place(&book.shards, &site, r[n].row);
                r[n].j = (uint32_t)dice_below(book.shards.copies);
                r[n].tokens = 1 + (uint32_t)dice_below(16);
                kvt_load_add(&book, &book.decoding, r[n].row, r[n].j, r[n].tokens);
                n++;
            } else {
                const uint32_t i = (uint32_t)dice_below(n);
                kvt_load_remove(&book, &book.decoding, r[i].row, r[i].j, r[i].tokens);
                r[i] = r[--n];
            }
            uint64_t sum;
            const uint64_t busy = naive_busy(r, n, &sum);
            MUST(kvt_load_skew(&book, &book.decoding) == busy - sum);
            MUST(kvt_load_skew(&book, &book.decoding) == busy - sum);
        }
        kvt_load_clear(&book, &book.decoding);
        MUST(kvt_load_skew(&book, &book.decoding) == 0);
        kvt_book_release(&book);
    }
}
END_TEST

/* By hand: 8 GPUs, one context of 80,000 tokens in slices of 10,000. Spread over all by sequence it
 * costs what it costs; by layers each layer waits for one GPU, eight times as long. */
START_TEST(test_skew_by_hand)
{
    struct kvt_shard_config c = {.policy = kvt_shard_named("horizontal"),
                                 .gpus = 8,
                                 .layers = 32,
                                 .kv_heads = 8,
                                 .block_tokens = 1000,
                                 .slice_tokens = 10000,
                                 .replicas = 1,
                                 .recent_blocks = 1};
    const struct kvt_shard_room room = {UINT64_MAX, 1, 1};
    static const char *const names[] = {"horizontal", "vertical"};
    static const uint64_t skews[] = {0, 7 * 80000};
    for (int p = 0; p < 2; p++) {
        c.policy = kvt_shard_named(names[p]);
        ck_assert_int_eq(kvt_book_init(&book, &c, &room, NULL, &heap), 0);
        uint8_t row[KVT_SHARD_GPUS];
        for (uint32_t i = 0; i < 80; i++) {
            kvt_shards_place(&book.shards, &(struct kvt_shard_site){.index = i}, row);
            kvt_load_add(&book, &book.decoding, row, 0, 1000);
        }
        ck_assert_uint_eq(kvt_load_skew(&book, &book.decoding), skews[p]);
        kvt_book_release(&book);
    }
}
END_TEST

/* Reads go to the copy whose busiest GPU is least busy. */
START_TEST(test_the_least_busy_copy)
{
    const struct kvt_shard_config c = {.policy = kvt_shard_named("horizontal"),
                                       .gpus = 8,
                                       .layers = 2,
                                       .block_tokens = 10,
                                       .slice_tokens = 10,
                                       .replicas = 4,
                                       .recent_blocks = 1};
    const struct kvt_shard_room room = {UINT64_MAX, 1, 1};
    ck_assert_int_eq(kvt_book_init(&book, &c, &room, NULL, &heap), 0);
    const uint64_t parts[8] = {[1] = 20}; /* copies on 1, 3, 5, 7 */
    ck_assert_uint_eq(kvt_book_choose(&book, parts), 0);
    book.asked[1] = 5;
    book.asked[3] = 1;
    ck_assert_uint_eq(kvt_book_choose(&book, parts), 2);
    book.asked[5] = 9;
    book.asked[7] = 2;
    ck_assert_uint_eq(kvt_book_choose(&book, parts), 1);
    kvt_book_release(&book);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shard book");
    TCase *tc = tcase_create("book");
    tcase_add_test(tc, test_bytes_per_gpu);
    tcase_add_test(tc, test_loads_and_skew);
    tcase_add_test(tc, test_skew_by_hand);
    tcase_add_test(tc, test_the_least_busy_copy);
    suite_add_tcase(suite, tc);
    return kvt_test_main(suite);
}
