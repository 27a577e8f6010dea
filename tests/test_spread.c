/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_spread.c - blocks that a prompt computed go to the GPUs where their shards belong (core/sharded.c), and what
 * becomes of them when that fails: they stay with the prompt, and nobody finds what is nowhere.
 */
#include "hand_world.h"

enum { B = 4, BLOCKS = 6 };

static void open_sharded(struct hand *w)
{
    struct kvt_core_config c;
    kvt_core_config_init(&c);
    c.block_tokens = c.page_tokens = B;
    c.gpu_pages = 1000;
    c.max_batch_tokens = 1000;
    c.max_batch_requests = 8;
    c.load_choice = KVT_LOAD_ALWAYS;
    c.prefill = (struct kvt_prefill_cost){0, 1e6, 0};
    c.page_numbers = false;
    c.shard = (struct kvt_shard_config){.policy = kvt_shard_named("horizontal"),
                                        .access = KVT_ACCESS_GATHER,
                                        .gpus = 2,
                                        .layers = 4,
                                        .kv_heads = 4,
                                        .block_tokens = B,
                                        .slice_tokens = B,
                                        .replicas = 1,
                                        .interleaved = true,
                                        .recent_blocks = 1};
    c.shard_room = (struct kvt_shard_room){.gpu_b = 100000, .unit_b = 100, .page_gpu_b = 100};
    hand_open(w, &c);
}

/* A prompt is computed, and the spread of its blocks ends so; how many of them the next one like it finds. */
static uint64_t found_after(enum kvt_status status, uint32_t good)
{
    struct hand w;
    open_sharded(&w);
    hand_request(&w, 100, BLOCKS * B + 1, 0, B);
    struct hand_op *step = hand_find(&w, HAND_STEP);
    ck_assert(step && !hand_find(&w, HAND_STORE));
    hand_end(&w, step, KVT_OK, step->repeat);
    struct hand_op *spread = hand_find(&w, HAND_STORE);
    ck_assert(spread && spread->tier == KVT_GPU && spread->n_blocks == BLOCKS);
    hand_end(&w, spread, status, good);
    hand_drain(&w);
    struct kvt_core_stats s;
    kvt_core_stats(w.core, &s);
    ck_assert_uint_eq(s.store_failures[KVT_GPU], BLOCKS - good);
    ck_assert_uint_eq(s.stored_blocks[KVT_GPU], good);
    hand_request(&w, 100, BLOCKS * B + 1, 0, B);
    const struct hand_op *load = hand_find(&w, HAND_LOAD);
    ck_assert(good == 0 ? !load : load && load->tier == KVT_GPU && load->n_blocks == good);
    hand_drain(&w);
    ck_assert_uint_eq(w.n_reports, 2);
    const struct kvt_report r = *hand_last(&w);
    ck_assert_uint_eq(r.ledger_tokens[KVT_HIT_GPU], (uint64_t)good * B);
    hand_request(&w, 100, BLOCKS * B + 1, 0, B); /* the second one's are where they belong */
    hand_drain(&w);
    ck_assert_uint_eq(hand_last(&w)->ledger_tokens[KVT_HIT_GPU], BLOCKS * B);
    hand_close(&w);
    return r.hit_blocks;
}

START_TEST(what_was_spread_is_found)
{
    ck_assert_uint_eq(found_after(KVT_OK, BLOCKS), BLOCKS);
}
END_TEST

START_TEST(what_was_not_spread_is_not)
{
    ck_assert_uint_eq(found_after(KVT_BUSY, 0), 0);
    ck_assert_uint_eq(found_after(KVT_BUSY, 2), 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("spread");
    TCase *stories = tcase_create("stories");
    tcase_add_test(stories, what_was_spread_is_found);
    tcase_add_test(stories, what_was_not_spread_is_not);
    suite_add_tcase(suite, stories);
    return kvt_test_main(suite);
}
