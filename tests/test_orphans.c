/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_orphans.c - GPUs that evict each by itself (orphans.h).
 *
 * Beside a naive model: each GPU a cache of its own, a list of what lies on it that is walked for whoever was used longest
 * ago. It knows nothing of queues, cursors and masks. After every operation each copy of each shard lies on the GPU where the model
 * has it, or nowhere, as there; a block is found exactly if the model has all its shards; bytes per GPU, bytes of
 * orphans, what was stored and what was kept agree.
 *
 * Whole cores are test_orphans_core.c's.
 */
#include "../core/orphans.h"
#include "../core/shard_mask.h"
#include "dice.h"
#include <string.h>
#include "failing_alloc.h"
#include "heap.h"

enum { BLOCKS = 48, MOST_SHARDS = 16, MOST_COPIES = 6, MOST_GPUS = 8, HELD_MOST = 6 };

/* ---- The model ---------------------------------------------------------------------------------- */

struct part {
    bool there;
    uint32_t gpu;
};

struct block {
    struct part part[MOST_SHARDS][MOST_COPIES];
    uint32_t users;
    uint64_t used; /* when last */
};

static struct model {
    struct block block[BLOCKS];
    uint64_t clock, lost; /* of uses, upwards; of losses, downwards and before all uses */
    uint64_t recent[MOST_GPUS], since; /* hybrid */
    uint64_t stored[MOST_GPUS];        /* weights, ever */
    uint64_t evicted_shards, unusable_blocks, evicted_blocks, again_blocks, kept;
} model;

static struct kvt_core_config config;
static struct kvt_shards shape; /* for weights and strides, and the rules that remember nothing */
static struct kvt_store_room room;
static struct kvt_blocks blocks;
static struct kvt_core_stats stats;
static uint32_t number[BLOCKS];

static struct kvt_shard_site site_of(uint32_t b)
{
    return (struct kvt_shard_site){{77 + b / 12, 5}, b % 12};
}

static uint32_t parts_of(const struct block *b)
{
    uint32_t n = 0;
    for (uint32_t k = 0; k < shape.n; k++)
        for (uint32_t j = 0; j < shape.copies; j++)
            n += b->part[k][j].there;
    return n;
}

static bool has_shard(const struct block *b, uint32_t k)
{
    bool there = false;
    for (uint32_t j = 0; j < shape.copies; j++)
        there |= b->part[k][j].there;
    return there;
}

static bool usable(const struct block *b)
{
    for (uint32_t k = 0; k < shape.n; k++)
        if (!has_shard(b, k))
            return false;
    return true;
}

static uint64_t weight_on(const struct block *b, uint32_t g)
{
    uint64_t weight = 0;
    for (uint32_t k = 0; k < shape.n; k++)
        for (uint32_t j = 0; j < shape.copies; j++)
            if (b->part[k][j].there && b->part[k][j].gpu == g)
                weight += shape.weight[k];
    return weight;
}

static uint64_t model_on(uint32_t g)
{
    uint64_t weight = 0;
    for (uint32_t b = 0; b < BLOCKS; b++)
        weight += weight_on(&model.block[b], g);
    return weight;
}

/* What leaves GPU g: of what lies there and is idle, what was used longest ago. */
static bool model_evict(uint32_t g)
{
    struct block *oldest = NULL;
    for (uint32_t b = 0; b < BLOCKS; b++) {
        struct block *at = &model.block[b];
        if (!at->users && weight_on(at, g) && (!oldest || at->used < oldest->used))
            oldest = at;
    }
    if (!oldest)
        return false;
    const bool was = usable(oldest);
    for (uint32_t k = 0; k < shape.n; k++) {
        for (uint32_t j = 0; j < shape.copies; j++) {
            struct part *p = &oldest->part[k][j];
            model.evicted_shards += p->there && p->gpu == g;
            p->there &= p->gpu != g;
        }
    }
    model.evicted_blocks += was && !usable(oldest);
    model.unusable_blocks += was && !usable(oldest) && parts_of(oldest);
    return true;
}

/* Where the rule wants shard k. */
static uint32_t rule(uint32_t b, uint32_t k)
{
    const struct kvt_shard_site site = site_of(b);
    uint8_t gpu[KVT_SHARD_GPUS];
    if (strcmp(config.shard.policy->name, "hybrid") != 0) {
        kvt_shards_place(&shape, &site, gpu);
        return gpu[k];
    }
    const uint32_t by_position =
        site.index * config.block_tokens / config.shard.slice_tokens % config.shard.gpus;
    return model.recent[by_position] < model.recent[k] ? by_position : k;
}

/* The block comes: what is missing of it is placed, and takes part in the rule's count. */
static void model_place(uint32_t b)
{
    struct block *at = &model.block[b];
    const bool again = parts_of(at) > 0;
    model.again_blocks += again;
    bool there[MOST_SHARDS];
    for (uint32_t k = 0; k < shape.n; k++)
        there[k] = has_shard(at, k);
    for (uint32_t i = 0; i < 2 * shape.n; i++) { /* copies of what is there come first */
        const uint32_t k = i % shape.n;
        if (there[k] != (i < shape.n))
            continue;
        const uint32_t first = there[k] ? at->part[k][0].gpu : rule(b, k);
        for (uint32_t j = 0; j < shape.copies; j++) {
            struct part *p = &at->part[k][j];
            if (p->there) {
                model.kept += shape.weight[k];
                continue;
            }
            *p = (struct part){true, kvt_shard_copy(&shape, first, j)};
            model.stored[p->gpu] += shape.weight[k];
            model.recent[p->gpu] += shape.weight[k];
        }
    }
    if (++model.since < config.shard.recent_blocks)
        return;
    model.since = 0;
    for (uint32_t g = 0; g < config.shard.gpus; g++)
        model.recent[g] /= 2;
}

/* ---- Beside it ---------------------------------------------------------------------------------- */

static void check_block(uint32_t b)
{
    const struct kvt_shard_book *book = room.places[0].book;
    const struct block *at = &model.block[b];
    const uint32_t copy = kvt_copy_find(&room, number[b], 0);
    const uint32_t orphan = kvt_copy_in(&room, number[b], kvt_limbo_of(&room, 0));
    MUST((copy != KVT_NONE) == usable(at)); /* a hit is never claimed with a shard missing */
    MUST((orphan != KVT_NONE) == (!usable(at) && parts_of(at) > 0));
    const uint32_t it = copy != KVT_NONE ? copy : orphan;
    if (it == KVT_NONE)
        return;
    const uint8_t *row = kvt_book_row(book, it);
    uint8_t read[KVT_SHARD_GPUS];
    for (uint32_t k = 0; k < shape.n; k++) {
        for (uint32_t j = 0; j < shape.copies; j++) {
            MUST(kvt_mask_lacks(book, row, k, j) != at->part[k][j].there);
            MUST(kvt_shard_copy(&shape, row[k], j) == at->part[k][j].gpu);
        }
    }
    for (uint32_t j = 0; copy != KVT_NONE && j < shape.copies; j++) {
        kvt_mask_read(book, row, j, read);
        for (uint32_t k = 0; k < shape.n; k++) {
            bool there = false;
            for (uint32_t i = 0; i < shape.copies; i++)
                there |= at->part[k][i].there && at->part[k][i].gpu == read[k];
            MUST(there && (!at->part[k][j].there || at->part[k][j].gpu == read[k]));
        }
    }
}

static void check(void)
{
    const struct kvt_shard_book *book = room.places[0].book;
    uint64_t orphans = 0;
    for (uint32_t b = 0; b < BLOCKS; b++)
        check_block(b);
    for (uint32_t g = 0; g < config.shard.gpus; g++) {
        uint64_t of_orphans = 0;
        for (uint32_t b = 0; b < BLOCKS; b++)
            of_orphans += usable(&model.block[b]) ? 0 : weight_on(&model.block[b], g);
        const uint64_t held = kvt_book_sum(book, &book->held, g);
        MUST(held == model_on(g));
        MUST(held * book->room.unit_b <= book->room.gpu_b);
        MUST(held + kvt_book_sum(book, &book->gone, g) == model.stored[g]);
        MUST(book->orphans[g] == of_orphans);
        orphans += of_orphans;
    }
    MUST(stats.alone.orphan_b == orphans * book->room.unit_b);
    MUST(stats.alone.evicted_shards == model.evicted_shards);
    MUST(stats.alone.unusable_blocks == model.unusable_blocks);
    MUST(stats.evicted_blocks[KVT_GPU] == model.evicted_blocks);
    MUST(stats.alone.again_blocks == model.again_blocks);
    MUST(stats.alone.kept_b == model.kept * book->room.unit_b);
    const char *wrong = kvt_orphans_check(&room, 0);
    if (wrong)
        ck_abort_msg("%s (seed %llu, draw %llu)", wrong, (unsigned long long)dice.seed,
                     (unsigned long long)dice.draws);
}

/* Uses a block, or makes it if all of it can be had. False: not now. */
static bool use(uint32_t b)
{
    struct kvt_shard_book *book = room.places[0].book;
    struct block *at = &model.block[b];
    uint32_t copy = kvt_copy_find(&room, number[b], 0);
    if (copy != KVT_NONE) {
        kvt_copy_use(&room, copy);
        at->users++;
        return true;
    }
    const struct kvt_shard_site site = site_of(b);
    uint64_t need[KVT_SHARD_GPUS] = {0}, all[KVT_SHARD_GPUS] = {0};
    struct kvt_shards before = book->shards;
    kvt_orphans_place(&room, 0, number[b], &site, need, all);
    for (uint32_t g = 0; g < config.shard.gpus; g++)
        all[g] += need[g];
    if (!kvt_book_could(book, all, 0)) {
        memcpy(book->shards.recent, before.recent, sizeof before.recent);
        book->shards.since_halving_blocks = before.since_halving_blocks;
        return false;
    }
    kvt_orphans_hold(&room, 0, number[b]);
    at->users++;
    for (uint32_t g = 0; g < config.shard.gpus; g++) {
        while (!kvt_book_fits_on(book, g, need, 0)) {
            MUST(kvt_orphans_evict(&room, 0, g));
            MUST(model_evict(g));
        }
    }
    model_place(b);
    copy = kvt_copy_new(&room, number[b], 0, KVT_COPY_FILLING, 0, NULL);
    MUST(copy != KVT_NONE);
    kvt_copy_ready(&room, copy);
    return true;
}

static void leave(uint32_t b)
{
    struct block *at = &model.block[b];
    const struct kvt_use none = {.next = KVT_NEVER};
    kvt_copy_used(&room, kvt_copy_find(&room, number[b], 0), &none);
    at->users--;
    at->used = ++model.clock;
}

static uint32_t block_of(uint32_t wanted)
{
    uint32_t b = 0;
    while (number[b] != wanted)
        b++;
    return b;
}

/* What lies nowhere else is gone; what is of no use from then on leaves before anything else. */
static void model_lose(struct block *at, uint32_t gpu)
{
    const bool was = usable(at);
    for (uint32_t k = 0; k < shape.n; k++) {
        for (uint32_t j = 0; j < shape.copies; j++) {
            struct part *p = &at->part[k][j];
            if (!p->there || p->gpu != gpu)
                continue;
            p->there = false;
            p->there = has_shard(at, k); /* copied anew */
        }
    }
    if (was && !usable(at))
        at->used = --model.lost;
}

/* A GPU fails, while nobody uses anything. */
static void lose(uint32_t gpu)
{
    const uint64_t evicted = stats.evicted_blocks[KVT_GPU];
    for (uint32_t copy = 0; copy < room.copies.fresh; copy++) {
        const struct kvt_copy *c = kvt_copy_at(&room, copy);
        if (c->state != KVT_COPY_ORPHAN && c->state != KVT_COPY_READY)
            continue;
        model_lose(&model.block[block_of(c->block)], gpu);
        kvt_orphans_lose(&room, copy, gpu);
    }
    MUST(stats.evicted_blocks[KVT_GPU] == evicted);
}

static void any_shape(uint64_t seed)
{
    static const char *const names[] = {"horizontal", "vertical", "hybrid", "single"};
    dice_seed(seed);
    kvt_core_config_init(&config);
    config.shard_alone = true;
    config.page_numbers = dice_one_in(2);
    do {
        config.shard = (struct kvt_shard_config){.policy = kvt_shard_named(names[dice_below(4)]),
                                                 .access = KVT_ACCESS_GATHER,
                                                 .gpus = 1 + (uint32_t)dice_below(MOST_GPUS),
                                                 .layers = 1 + (uint32_t)dice_below(MOST_SHARDS),
                                                 .kv_heads = 4,
                                                 .block_tokens = config.block_tokens,
                                                 .slice_tokens = 1 + (uint32_t)dice_below(100),
                                                 .replicas = 1 + (uint32_t)dice_below(3),
                                                 .interleaved = dice_one_in(3),
                                                 .recent_blocks = 1 + dice_below(20)};
    } while (kvt_shard_check(&config.shard));
    kvt_shards_init(&shape, &config.shard);
    config.shard_room = (struct kvt_shard_room){.unit_b = 3, .page_gpu_b = 1};
    config.shard_room.gpu_b =
        (3 + dice_below(20)) * shape.weight_sum * shape.copies * 3 / config.shard.gpus;
    config.gpu_pages = 100 * BLOCKS;
    MUST(!kvt_core_config_check(&config));
}

static uint64_t made_whole, orphaned, hybrid_again;

static void beside_the_model(uint64_t seed)
{
    any_shape(seed);
    config.tiers[KVT_GPU].evict = kvt_evict_named("lru");
    memset(&stats, 0, sizeof stats);
    memset(&model, 0, sizeof model);
    model.clock = model.lost = 1u << 20;
    MUST(!kvt_blocks_init(&blocks, &heap, 0, UINT64_MAX));
    MUST(!kvt_room_init(&room, &config, &heap, &blocks, &stats));
    for (uint32_t b = 0; b < BLOCKS; b++) {
        const kvt_key key = {b + 1, b + 1};
        MUST(!kvt_blocks_intern(&blocks, &key, 1, &number[b]));
    }
    uint32_t held[HELD_MOST], n = 0;
    for (int step = 0; step < 400; step++) {
        const uint32_t b = (uint32_t)dice_below(dice_one_in(3) ? BLOCKS : BLOCKS / 3);
        if (n < HELD_MOST && dice_one_in(2)) {
            if (use(b))
                held[n++] = b;
        } else if (n) {
            const uint32_t i = (uint32_t)dice_below(n);
            leave(held[i]);
            held[i] = held[--n];
        }
        while (n && step % 97 == 96)
            leave(held[--n]);
        if (step % 97 == 96)
            lose((uint32_t)dice_below(config.shard.gpus));
        check();
    }
    made_whole += model.again_blocks;
    orphaned += model.unusable_blocks;
    hybrid_again += config.shard.policy->remembers ? model.again_blocks : 0;
    while (n)
        leave(held[--n]);
    while (kvt_place_evict(&room, 0)) {
    }
    for (uint32_t g = 0; g < config.shard.gpus; g++)
        MUST(kvt_book_sum(room.places[0].book, &room.places[0].book->held, g) == 0);
    MUST(stats.alone.orphan_b == 0 && room.copies.in_use == 0);
    kvt_room_release(&room);
    kvt_blocks_release(&blocks);
}

START_TEST(each_gpu_is_a_cache_of_its_own)
{
    for (uint64_t seed = 1; seed <= 400; seed++)
        beside_the_model(seed);
    ck_assert_uint_gt(orphaned, 2000);
    ck_assert_uint_gt(made_whole, 1000);
    ck_assert_uint_gt(hybrid_again, 100);
}
END_TEST

/* ---- By hand ------------------------------------------------------------------------------------ */

/* Three layers over two GPUs: layers 0 and 1 on GPU 0, layer 2 on GPU 1. Each GPU has room for six layers of a block: GPU 0
 * for three blocks, GPU 1 for six. The fourth block takes the first one's part from GPU 0, and leaves its part on GPU 1;
 * the seventh takes that of the first from GPU 1. */
START_TEST(by_hand)
{
    kvt_core_config_init(&config);
    config.shard_alone = true;
    config.shard = (struct kvt_shard_config){.policy = kvt_shard_named("vertical"),
                                             .gpus = 2,
                                             .layers = 3,
                                             .kv_heads = 4,
                                             .block_tokens = config.block_tokens,
                                             .slice_tokens = 1,
                                             .replicas = 1,
                                             .recent_blocks = 1};
    config.shard_room = (struct kvt_shard_room){.unit_b = 10, .page_gpu_b = 1, .gpu_b = 60};
    config.gpu_pages = 1000;
    config.tiers[KVT_GPU].evict = kvt_evict_named("lru");
    kvt_shards_init(&shape, &config.shard);
    ck_assert_uint_eq(shape.weight[0], 2);
    memset(&stats, 0, sizeof stats);
    memset(&model, 0, sizeof model);
    ck_assert_int_eq(kvt_blocks_init(&blocks, &heap, 0, UINT64_MAX), 0);
    ck_assert_int_eq(kvt_room_init(&room, &config, &heap, &blocks, &stats), 0);
    for (uint32_t b = 0; b < BLOCKS; b++) {
        const kvt_key key = {b + 1, b + 1};
        ck_assert_int_eq(kvt_blocks_intern(&blocks, &key, 1, &number[b]), 0);
    }
    static const uint64_t evicted[] = {0, 0, 0, 1, 2, 3, 5}, unusable[] = {0, 0, 0, 1, 2, 3, 4};
    static const uint64_t orphan_b[] = {0, 0, 0, 10, 20, 30, 30};
    for (uint32_t b = 0; b < 7; b++) {
        ck_assert(use(b));
        leave(b);
        ck_assert_uint_eq(stats.alone.evicted_shards, evicted[b]);
        ck_assert_uint_eq(stats.alone.unusable_blocks, unusable[b]);
        ck_assert_uint_eq(stats.alone.orphan_b, orphan_b[b]);
    }
    const struct kvt_block *first = kvt_block_at(&blocks, number[0]);
    const struct kvt_block *second = kvt_block_at(&blocks, number[1]);
    ck_assert_uint_eq(first->fate, KVT_FATE_EVICTED); /* nothing is left of it */
    ck_assert_uint_eq(second->fate, KVT_FATE_SHARD);
    ck_assert_uint_eq(first->copies, KVT_NONE);
    /* The second one again: its layer on GPU 1 is there, so only GPU 0 has to give. */
    ck_assert(use(1));
    leave(1);
    ck_assert_uint_eq(stats.alone.evicted_shards, 6);
    ck_assert_uint_eq(stats.alone.kept_b, 10);
    ck_assert_uint_eq(stats.alone.orphan_b, 30); /* of blocks 2, 3 and 4 */
    ck_assert_ptr_null(kvt_orphans_check(&room, 0));
    kvt_room_release(&room);
    kvt_blocks_release(&blocks);
}
END_TEST

/* Shards in two copies that are gathered have marks where blocks leave whole (recopy.c), gaps where GPUs evict alone, and
 * never both. */
START_TEST(no_marks_beside_gaps)
{
    kvt_core_config_init(&config);
    config.shard = (struct kvt_shard_config){.policy = kvt_shard_named("vertical"),
                                             .gpus = 4,
                                             .layers = 8,
                                             .kv_heads = 4,
                                             .block_tokens = config.block_tokens,
                                             .slice_tokens = 1,
                                             .replicas = 2,
                                             .rereplicate = true,
                                             .recent_blocks = 1};
    config.shard_room = (struct kvt_shard_room){.unit_b = 10, .page_gpu_b = 1, .gpu_b = 6000};
    config.gpu_pages = 1000;
    config.tiers[KVT_GPU].evict = kvt_evict_named("lru");
    config.tiers[KVT_GPU].prefix_closed = false;
    ck_assert_ptr_null(kvt_core_config_check(&config));
    config.shard_alone = true;
    ck_assert_ptr_nonnull(strstr(kvt_core_config_check(&config), "made anew in the background"));
    config.shard.rereplicate = false;
    ck_assert_ptr_null(kvt_core_config_check(&config));
    for (int alone = 0; alone < 2; alone++) {
        config.shard_alone = alone;
        ck_assert_int_eq(kvt_blocks_init(&blocks, &heap, 0, UINT64_MAX), 0);
        ck_assert_int_eq(kvt_room_init(&room, &config, &heap, &blocks, &stats), 0);
        const struct kvt_shard_book *book = room.books;
        ck_assert_uint_eq(book->mask_b, alone ? 1 : 0); /* of 4 shards in 2 copies */
        ck_assert_uint_eq(book->marks_b, alone ? 0 : 1);
        ck_assert_uint_eq(book->row_b, alone ? 4 + 1 + 1 : 4 + 1);
        kvt_room_release(&room);
        kvt_blocks_release(&blocks);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("orphans");
    TCase *tc = tcase_create("orphans");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, each_gpu_is_a_cache_of_its_own);
    tcase_add_test(tc, by_hand);
    tcase_add_test(tc, no_marks_beside_gaps);
    suite_add_tcase(suite, tc);
    return kvt_test_main(suite);
}
