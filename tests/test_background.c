/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_background.c - requests that nobody waits for: they stand behind all others, wherever requests
 * stand, and are counted apart. In a world worked by hand; test_core.c sends some through chaos.
 */
#include "hand_world.h"

#include "../core/key.h"

enum { B = 4 };

static struct kvt_core_config small(void)
{
    struct kvt_core_config c;
    kvt_core_config_init(&c);
    c.block_tokens = c.page_tokens = B;
    c.gpu_pages = 100;
    c.max_batch_tokens = 1000;
    c.max_batch_requests = 8;
    return c;
}

/* As hand_request, in the background. */
static int background(struct hand *w, uint64_t name, uint32_t prompt, uint32_t output)
{
    kvt_key keys[64];
    const uint32_t n = prompt / B;
    for (uint32_t i = 0; i < n; i++)
        keys[i] = (kvt_key){.hi = 1, .lo = name + i};
    const struct kvt_request r = {.id = 1000000 + name,
                                  .arrive_ns = w->now,
                                  .session = KVT_NONE,
                                  .prompt_tokens = prompt,
                                  .output_tokens = output,
                                  .n_keys = n,
                                  .keys = keys,
                                  .background = true};
    const int rc = kvt_core_request(w->core, w->now, &r);
    hand_check(w);
    return rc;
}

/* One at a time: of two that wait, the one that came first is overtaken. */
START_TEST(is_overtaken_in_the_queue)
{
    struct kvt_core_config c = small();
    c.max_batch_requests = 1;
    struct hand w;
    hand_open(&w, &c);
    hand_request(&w, 100, 8, 0, B);
    ck_assert_int_eq(background(&w, 200, 8, 0), 0);
    ck_assert_int_eq(background(&w, 300, 8, 0), 0);
    hand_request(&w, 400, 12, 0, B);
    hand_request(&w, 500, 16, 0, B);
    const uint32_t prompts[] = {8, 12, 16, 8, 8};
    hand_drain(&w);
    ck_assert_uint_eq(w.n_reports, 5);
    for (uint32_t i = 0; i < 5; i++) {
        ck_assert_uint_eq(w.reports[i].prompt_tokens, prompts[i]);
        ck_assert(w.reports[i].background == (i > 2));
    }
    ck_assert_uint_lt(w.reports[3].id, w.reports[4].id); /* among themselves in their order */
    hand_close(&w);
}
END_TEST

/* A prompt that comes later takes the budget, and what it leaves goes to the one before. */
START_TEST(gets_what_a_batch_has_left)
{
    struct kvt_core_config c = small();
    c.max_batch_tokens = 20;
    struct hand w;
    hand_open(&w, &c);
    ck_assert_int_eq(background(&w, 200, 60, 0), 0);
    const struct hand_op *step = hand_find(&w, HAND_STEP);
    ck_assert_uint_eq(step->chunks[0].new_tokens, 20);
    hand_request(&w, 100, 32, 1, B);
    hand_end(&w, hand_find(&w, HAND_STEP), KVT_OK, 1);
    step = hand_find(&w, HAND_STEP);
    ck_assert_uint_eq(step->n_chunks, 1);
    ck_assert_uint_eq(step->chunks[0].past_tokens, 0);
    hand_end(&w, hand_find(&w, HAND_STEP), KVT_OK, 1);
    step = hand_find(&w, HAND_STEP);
    ck_assert_uint_eq(step->n_chunks, 2);
    ck_assert_uint_eq(step->chunks[0].new_tokens, 12); /* what the prompt still had */
    ck_assert_uint_eq(step->chunks[1].past_tokens, 20);
    ck_assert_uint_eq(step->chunks[1].new_tokens, 8);
    hand_drain(&w);
    hand_close(&w);
}
END_TEST

/* Pages lack for decoding: who came first goes, because nobody waits for it, and is not the worse for it. */
START_TEST(is_preempted_first)
{
    struct kvt_core_config c = small();
    c.gpu_pages = 10;
    c.max_batch_tokens = 5;
    c.max_batch_requests = 4;
    struct hand w;
    hand_open(&w, &c);
    ck_assert_int_eq(background(&w, 200, 30, 0), 0); /* eight pages */
    hand_request(&w, 100, 4, 16, B);                 /* two, and three more as it decodes */
    hand_drain(&w);
    ck_assert_uint_eq(w.n_reports, 2);
    ck_assert(!w.reports[0].background && w.reports[1].background);
    ck_assert_uint_eq(w.reports[0].preemptions, 0);
    ck_assert_uint_gt(w.reports[1].preemptions, 0);
    ck_assert_int_eq(w.reports[1].outcome, KVT_FINISHED);
    hand_close(&w);
}
END_TEST

/* What it computed others find; none of its tokens is among theirs. */
START_TEST(fills_the_cache_and_is_counted_apart)
{
    struct kvt_core_config c = small();
    struct hand w;
    hand_open(&w, &c);
    ck_assert_int_eq(background(&w, 100, 16, 1), -EINVAL); /* it is to fill, not to answer */
    ck_assert_int_eq(background(&w, 100, 16, 0), 0);
    hand_drain(&w);
    ck_assert_int_eq(background(&w, 100, 20, 0), 0); /* four of its five blocks are there */
    hand_drain(&w);
    hand_request(&w, 100, 22, 1, B);
    hand_drain(&w);
    ck_assert_uint_eq(hand_last(&w)->ledger_tokens[KVT_HIT_GPU], 20);
    struct kvt_core_stats s;
    kvt_core_stats(w.core, &s);
    ck_assert_uint_eq(s.requests, 1);
    ck_assert_uint_eq(s.finished, 1);
    ck_assert_uint_eq(s.prompt_tokens, 22);
    ck_assert_uint_eq(s.lookup_blocks, 5);
    ck_assert_uint_eq(s.background.requests, 2);
    ck_assert_uint_eq(s.background.ended, 2);
    ck_assert_uint_eq(s.background.prompt_tokens, 36);
    ck_assert_uint_eq(s.background.computed_tokens, 20);
    hand_close(&w);
}
END_TEST

/* Blocks that nobody will ask for again leave GPU and host memory; those in use do not. */
START_TEST(discarded_blocks_leave_every_tier)
{
    struct kvt_core_config c = small();
    c.tiers[KVT_HOST].present = true;
    c.tiers[KVT_HOST].stored_b_per_token = 1;
    struct hand w;
    hand_open(&w, &c);
    hand_request(&w, 100, 16, 0, B);
    hand_drain(&w);
    hand_request(&w, 200, 8, 0, B);
    hand_drain(&w);
    hand_request(&w, 100, 9, 3, B); /* holds two of the four */
    const kvt_key keys[] = {{1, 100}, {1, 101}, {1, 102}, {1, 103}, {1, 999}};
    struct kvt_core_gauges g;
    kvt_core_gauges(w.core, KVT_NONE, &g);
    ck_assert_uint_eq(g.held_blocks[KVT_HOST], 6);
    kvt_core_discard(w.core, w.now, keys, 5);
    hand_check(&w);
    kvt_core_gauges(w.core, KVT_NONE, &g);
    ck_assert_uint_eq(g.held_blocks[KVT_HOST], 2);
    ck_assert_uint_eq(g.held_blocks[KVT_GPU], 4); /* two in use, and two of the other prompt */
    ck_assert_ptr_nonnull(hand_find(&w, HAND_DROP));
    ck_assert_uint_eq(hand_find(&w, HAND_DROP)->n_blocks, 4);
    hand_drain(&w);
    hand_request(&w, 200, 9, 0, B);
    hand_drain(&w);
    ck_assert_uint_eq(hand_last(&w)->ledger_tokens[KVT_HIT_GPU], 8);
    hand_close(&w);
}
END_TEST

/* Keys of an epoch: distinct ones stay distinct, those of two epochs never meet, and again comes back. */
START_TEST(epochs_rename_keys)
{
    struct kvt_namespace one, two;
    ck_assert_int_eq(kvt_namespace_init(&one, "", "1", "llama"), 0);
    ck_assert_int_eq(kvt_namespace_init(&two, "", "2", "llama"), 0);
    const kvt_key a = {1, 2}, b = {1, 3};
    ck_assert(!kvt_key_equal(kvt_key_in_epoch(a, &one), kvt_key_in_epoch(b, &one)));
    ck_assert(!kvt_key_equal(kvt_key_in_epoch(a, &one), kvt_key_in_epoch(a, &two)));
    ck_assert(!kvt_key_equal(kvt_key_in_epoch(a, &one), a));
    ck_assert(kvt_key_equal(kvt_key_in_epoch(kvt_key_in_epoch(a, &one), &one), a));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("background");
    TCase *cases = tcase_create("all");
    tcase_add_test(cases, is_overtaken_in_the_queue);
    tcase_add_test(cases, gets_what_a_batch_has_left);
    tcase_add_test(cases, is_preempted_first);
    tcase_add_test(cases, fills_the_cache_and_is_counted_apart);
    tcase_add_test(cases, discarded_blocks_leave_every_tier);
    tcase_add_test(cases, epochs_rename_keys);
    suite_add_tcase(suite, cases);
    return kvt_test_main(suite);
}
