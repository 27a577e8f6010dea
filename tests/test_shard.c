/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_shard.c - placements beside a naive model that knows one (layer, position, head) at a time.
 *
 * The naive model is written from the table in shard.h, without shards and weights: a set of GPUs per
 * element of KV. Every element of random blocks under every policy must lie where it says, and on
 * exactly as many distinct GPUs as there are copies (S1).
 */
#include "../core/shard.h"

#include "../core/mix.h"
#include "dice.h"

#include <string.h>

static struct kvt_shard_config config_of(const char *policy, uint32_t gpus, uint32_t layers)
{
    return (struct kvt_shard_config){.policy = kvt_shard_named(policy),
                                     .gpus = gpus,
                                     .layers = layers,
                                     .kv_heads = 8,
                                     .block_tokens = 500,
                                     .slice_tokens = 12500,
                                     .replicas = 1,
                                     .recent_blocks = UINT64_MAX};
}

/* ---- The naive model --------------------------------------------------------------------------- */

struct naive {
    struct kvt_shard_config c;
    uint64_t recent[KVT_SHARD_GPUS], blocks;
    uint32_t hybrid[KVT_SHARD_LAYERS]; /* of the block in hand, by layer modulo G */
};

static uint32_t highest_hash(const struct naive *m, kvt_key prefix)
{
    uint32_t best = 0;
    uint64_t hashes[KVT_SHARD_GPUS];
    for (uint32_t g = 0; g < m->c.gpus; g++) {
        hashes[g] = kvt_mix64(prefix.lo ^ kvt_mix64(prefix.hi + g * UINT64_C(0x9e3779b97f4a7c15)));
        if (hashes[g] > hashes[best])
            best = g;
    }
    return best;
}

/* A block is stored: hybrid chooses for its layers in order, those equal modulo G as one. */
static void naive_store(struct naive *m, uint32_t index)
{
    const uint32_t G = m->c.gpus;
    const uint64_t position = (uint64_t)index * m->c.block_tokens;
    const uint32_t by_position = (uint32_t)((position / m->c.slice_tokens) % G);
    for (uint32_t first = 0; first < G && first < m->c.layers; first++) {
        const uint32_t chosen = m->recent[by_position] < m->recent[first] ? by_position : first;
        m->hybrid[first] = chosen;
        for (uint32_t layer = first; layer < m->c.layers; layer += G)
            for (uint32_t j = 0; j < m->c.replicas; j++)
                m->recent[(chosen + j * (G / m->c.replicas)) % G]++;
    }
    if (++m->blocks % m->c.recent_blocks == 0)
        for (uint32_t g = 0; g < G; g++)
            m->recent[g] >>= 1;
}

/* Where one element lies, as flags by GPU. */
static void naive_find(const struct naive *m, const struct kvt_shard_site *site, uint32_t layer,
                       uint32_t head, bool *on)
{
    const struct kvt_shard_config *c = &m->c;
    const char *name = c->policy->name;
    const uint64_t position = (uint64_t)site->index * c->block_tokens;
    uint32_t first = 0, copies = c->replicas, stride = c->gpus / c->replicas;
    if (strcmp(name, "horizontal") == 0)
        first = c->interleaved ? site->index % c->gpus
                               : (uint32_t)(position / c->slice_tokens % c->gpus);
    else if (strcmp(name, "vertical") == 0)
        first =
            c->interleaved ? layer % c->gpus : (uint32_t)((uint64_t)layer * c->gpus / c->layers);
    else if (strcmp(name, "hybrid") == 0)
        first = m->hybrid[layer % c->gpus];
    else if (strcmp(name, "single") == 0)
        first = highest_hash(m, site->prefix);
    else {
        const uint32_t heads = c->kv_heads ? c->kv_heads : 1;
        if (heads >= c->gpus) {
            first = head / (heads / c->gpus);
        } else {
            first = head * (c->gpus / heads);
            if (copies < c->gpus / heads)
                copies = c->gpus / heads;
            stride = 1;
        }
    }
    memset(on, 0, c->gpus * sizeof *on);
    for (uint32_t j = 0; j < copies; j++)
        on[(first + j * stride) % c->gpus] = true;
}

/* ---- Properties -------------------------------------------------------------------------------- */

static void check_block(const struct kvt_shards *s, const struct naive *m,
                        const struct kvt_shard_site *site, const uint8_t *gpu)
{
    bool there[KVT_SHARD_GPUS], wanted[KVT_SHARD_GPUS];
    const uint32_t heads = m->c.kv_heads ? m->c.kv_heads : 1;
    uint64_t weight[KVT_SHARD_GPUS] = {0}, elements[KVT_SHARD_GPUS] = {0};
    for (uint32_t layer = 0; layer < m->c.layers; layer++) {
        for (uint32_t head = 0; head < heads; head++) {
            const uint32_t k = kvt_shard_of(s, layer, head);
            MUST(k < s->n);
            memset(there, 0, sizeof there);
            uint32_t distinct = 0;
            for (uint32_t j = 0; j < s->copies; j++) {
                const uint32_t g = kvt_shard_copy(s, gpu[k], j);
                MUST(g < m->c.gpus && !there[g]); /* (S1) */
                there[g] = true;
                distinct++;
                elements[g]++;
            }
            naive_find(m, site, layer, head, wanted);
            for (uint32_t g = 0; g < m->c.gpus; g++) {
                MUST(there[g] == wanted[g]);
                distinct -= wanted[g];
            }
            MUST(distinct == 0);
        }
    }
    /* The weights say the same as counting elements: no byte more or less on any GPU. */
    for (uint32_t k = 0; k < s->n; k++)
        for (uint32_t j = 0; j < s->copies; j++)
            weight[kvt_shard_copy(s, gpu[k], j)] += s->weight[k];
    const uint64_t all = (uint64_t)m->c.layers * heads;
    for (uint32_t g = 0; g < m->c.gpus; g++)
        MUST(weight[g] * all == elements[g] * s->weight_sum);
}

static uint32_t divisor(uint32_t of)
{
    uint32_t d;
    do
        d = 1 + (uint32_t)dice_below(of);
    while (of % d);
    return d;
}

/* A usable configuration of a policy. */
static struct kvt_shard_config roll(const struct kvt_shard_ops *policy)
{
    static const uint32_t heads[] = {0, 1, 2, 4, 8, 8, 16, 40};
    struct kvt_shard_config c;
    do {
        c = (struct kvt_shard_config){.policy = policy,
                                      .gpus = 1 + (uint32_t)dice_below(dice_one_in(4) ? 256 : 16),
                                      .layers = 1 + (uint32_t)dice_below(dice_one_in(4) ? 130 : 40),
                                      .kv_heads = heads[dice_below(8)],
                                      .block_tokens = 1 + (uint32_t)dice_below(700),
                                      .slice_tokens = 1 + (uint32_t)dice_below(13000),
                                      .replicas = 1,
                                      .interleaved = dice_one_in(2),
                                      .recent_blocks =
                                          dice_one_in(3) ? UINT64_MAX : 1 + dice_below(50)};
        if (dice_one_in(2))
            c.replicas = dice_one_in(2) ? divisor(c.gpus) : 1 + (uint32_t)dice_below(c.gpus);
    } while (kvt_shard_check(&c));
    return c;
}

START_TEST(test_everything_lies_where_the_table_says)
{
    static struct kvt_shards s;
    static struct naive m;
    for (int p = 0; kvt_shard_all[p]; p++) {
        for (uint64_t round = 0; round < 60; round++) {
            dice_seed(1000 * (uint64_t)p + round);
            const struct kvt_shard_config c = roll(kvt_shard_all[p]);
            kvt_shards_init(&s, &c);
            m = (struct naive){.c = c};
            for (uint32_t b = 0; b < 12; b++) {
                const struct kvt_shard_site site = {{dice_word(), dice_word()},
                                                    (uint32_t)dice_below(400)};
                uint8_t gpu[KVT_SHARD_GPUS], again[KVT_SHARD_GPUS];
                kvt_shards_place(&s, &site, gpu);
                naive_store(&m, site.index);
                check_block(&s, &m, &site, gpu);
                if (!c.policy->remembers) { /* (S3) */
                    kvt_shards_place(&s, &site, again);
                    MUST(memcmp(gpu, again, s.n) == 0);
                }
            }
            if (c.policy->remembers)
                MUST(memcmp(s.recent, m.recent, sizeof s.recent) == 0);
        }
    }
}
END_TEST

/* The boxes of the classic drawings: 32 layers, 100,000 tokens, 8 GPUs. */
START_TEST(test_the_known_case)
{
    static struct kvt_shards s;
    uint8_t gpu[KVT_SHARD_GPUS];
    struct kvt_shard_config c = config_of("horizontal", 8, 32);
    kvt_shards_init(&s, &c);
    for (uint32_t i = 0; i < 200; i++) {
        kvt_shards_place(&s, &(struct kvt_shard_site){.index = i}, gpu);
        ck_assert_uint_eq(gpu[0], i * 500 / 12500);
    }
    c = config_of("vertical", 8, 32);
    kvt_shards_init(&s, &c);
    kvt_shards_place(&s, &(struct kvt_shard_site){.index = 7}, gpu);
    for (uint32_t layer = 0; layer < 32; layer++)
        ck_assert_uint_eq(gpu[kvt_shard_of(&s, layer, 0)], layer / 4);
    c.interleaved = true;
    kvt_shards_init(&s, &c);
    kvt_shards_place(&s, &(struct kvt_shard_site){.index = 7}, gpu);
    for (uint32_t layer = 0; layer < 32; layer++)
        ck_assert_uint_eq(gpu[kvt_shard_of(&s, layer, 0)], layer % 8);
}
END_TEST

/* By hand: 4 GPUs, 4 layers, slices of one block. Counts start equal, so block 0 goes to the layers'
 * GPUs; from then on every layer's own GPU is never busier than the position's, and keeps it. */
START_TEST(test_hybrid_by_hand)
{
    static struct kvt_shards s;
    uint8_t gpu[KVT_SHARD_GPUS];
    struct kvt_shard_config c = config_of("hybrid", 4, 6);
    c.slice_tokens = c.block_tokens;
    kvt_shards_init(&s, &c);
    ck_assert_uint_eq(s.n, 4);
    ck_assert_uint_eq(s.weight[0] + s.weight[1] * 10u + s.weight[2] * 100u + s.weight[3] * 1000u,
                      1122);
    /* Layers 0 and 4, then 1 and 5, 2, 3: counts 2 2 1 1. */
    kvt_shards_place(&s, &(struct kvt_shard_site){.index = 0}, gpu);
    ck_assert(memcmp(gpu, (uint8_t[]){0, 1, 2, 3}, 4) == 0);
    /* Block 2, position's GPU 2 (count 1): 0 (2) -> 2 (3); 1 (2) stays (4); 2 is both (4); 3 (1) stays. */
    kvt_shards_place(&s, &(struct kvt_shard_site){.index = 2}, gpu);
    ck_assert(memcmp(gpu, (uint8_t[]){2, 1, 2, 3}, 4) == 0);
    ck_assert(s.recent[0] == 2 && s.recent[1] == 4 && s.recent[2] == 4 && s.recent[3] == 2);
}
END_TEST

/* (S1) of heads: as many GPUs compute with a head as there are, and hold it. */
START_TEST(test_heads_and_latents)
{
    static struct kvt_shards s;
    struct kvt_shard_config c = config_of("head", 16, 80);
    kvt_shards_init(&s, &c);
    ck_assert(s.n == 8 && s.copies == 2 && s.stride == 1);
    c.kv_heads = 0;
    kvt_shards_init(&s, &c);
    ck_assert(s.n == 1 && s.copies == 16);
    c = config_of("head", 4, 80);
    c.replicas = 2;
    kvt_shards_init(&s, &c);
    ck_assert(s.n == 4 && s.copies == 2 && s.stride == 2);
    c.gpus = 12;
    c.replicas = 1;
    ck_assert(kvt_shard_check(&c) != NULL);
}
END_TEST

START_TEST(test_what_is_refused)
{
    struct kvt_shard_config c = config_of("vertical", 33, 32);
    ck_assert(kvt_shard_check(&c) != NULL);
    c.gpus = 32;
    ck_assert(kvt_shard_check(&c) == NULL);
    c.replicas = 33;
    ck_assert(kvt_shard_check(&c) != NULL);
    c.replicas = 0;
    ck_assert(kvt_shard_check(&c) != NULL);
    c = config_of("horizontal", 8, 32);
    c.slice_tokens = 0;
    ck_assert(kvt_shard_check(&c) != NULL);
    c = config_of("hybrid", 8, 32);
    c.interleaved = true;
    ck_assert(kvt_shard_check(&c) != NULL);
    c.policy = NULL;
    ck_assert(kvt_shard_check(&c) == NULL);
    ck_assert(kvt_shard_named("diagonal") == NULL);
}
END_TEST

/* A GPU more moves about its share of prefixes, and no other: what rendezvous hashing is for. */
START_TEST(test_single_moves_little)
{
    static struct kvt_shards small, large;
    struct kvt_shard_config c = config_of("single", 8, 32);
    kvt_shards_init(&small, &c);
    c.gpus = 9;
    kvt_shards_init(&large, &c);
    uint32_t moved = 0, count[9] = {0};
    dice_seed(5);
    for (uint32_t i = 0; i < 9000; i++) {
        const struct kvt_shard_site site = {{dice_word(), dice_word()}, 3};
        uint8_t before, after;
        kvt_shards_place(&small, &site, &before);
        kvt_shards_place(&large, &site, &after);
        MUST(after == before || after == 8);
        moved += after != before;
        count[after]++;
    }
    MUST(moved > 850 && moved < 1150); /* 1000 expected, standard deviation 30 */
    for (int g = 0; g < 9; g++)
        MUST(count[g] > 850 && count[g] < 1150);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shard");
    TCase *tc = tcase_create("placement");
    tcase_add_test(tc, test_everything_lies_where_the_table_says);
    tcase_add_test(tc, test_the_known_case);
    tcase_add_test(tc, test_hybrid_by_hand);
    tcase_add_test(tc, test_heads_and_latents);
    tcase_add_test(tc, test_what_is_refused);
    tcase_add_test(tc, test_single_moves_little);
    suite_add_tcase(suite, tc);
    return kvt_test_main(suite);
}
