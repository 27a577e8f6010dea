/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_core_stories.c - core's decisions, one story each, in a world worked by hand.
 *
 * Among them the pitfalls that simulators of this kind fell into: chunks that forget their offset
 * or ask the cache only once (ai-dynamo/dynamo#13188, inference-sim#196), hits that are counted and
 * computed all the same (inference-sim#1699), requests that load the same prefix twice
 * (vllm#44882), a store that failed and is found (LMCache#4991), and clusters too small to move
 * (inference-sim#1057).
 */
#include "hand_world.h"

enum { B = 4 };

static struct kvt_core_config small(void)
{
    struct kvt_core_config c;
    kvt_core_config_init(&c);
    c.block_tokens = c.page_tokens = B;
    c.gpu_pages = 100;
    c.max_batch_tokens = 1000;
    c.max_batch_requests = 8;
    c.load_choice = KVT_LOAD_ALWAYS;
    c.load_patience = 0;
    c.prefill = (struct kvt_prefill_cost){0, 1e6, 0};
    return c;
}

static void with_tier(struct kvt_core_config *c, enum kvt_tier_kind tier)
{
    c->tiers[tier].present = true;
    c->tiers[tier].stored_b_per_token = 1;
}

START_TEST(chunks_keep_their_offset)
{
    struct kvt_core_config c = small();
    c.max_batch_tokens = 10;
    struct hand w;
    hand_open(&w, &c);
    hand_request(&w, 100, 24, 1, B);
    uint32_t past = 0;
    while (hand_find(&w, HAND_STEP)) {
        const struct hand_op *s = hand_find(&w, HAND_STEP);
        ck_assert_uint_eq(s->n_chunks, 1);
        ck_assert_uint_eq(s->chunks[0].past_tokens, past);
        past += s->chunks[0].new_tokens;
        hand_end(&w, hand_find(&w, HAND_STEP), KVT_OK, 1);
    }
    ck_assert_uint_eq(past, 24);
    /* chunks of 10, 10 and 4 tokens made the same six blocks: the next prompt finds them all but
     * its last token */
    hand_request(&w, 100, 24, 1, B);
    ck_assert_uint_eq(hand_find(&w, HAND_STEP)->chunks[0].past_tokens, 23);
    hand_drain(&w);
    ck_assert_uint_eq(hand_last(&w)->ledger_tokens[KVT_HIT_GPU], 23);
    ck_assert_uint_eq(hand_last(&w)->ledger_tokens[KVT_COMPUTED_TAIL], 1);
    ck_assert_uint_eq(hand_last(&w)->hit_blocks, 6);
    hand_close(&w);
}
END_TEST

/* The loads of a prompt are given up; while the first chunk runs they arrive all the same. The
 * second chunk asks the cache again, and finds them. */
START_TEST(every_chunk_consults_the_cache)
{
    struct kvt_core_config c = small();
    with_tier(&c, KVT_HOST);
    c.load_patience = 2;
    c.max_batch_tokens = 9;
    c.tiers[KVT_GPU].capacity_blocks = 8;
    struct hand w;
    hand_open(&w, &c);
    hand_request(&w, 100, 16, 0, B);
    hand_drain(&w); /* computed, and stored to the host tier */
    hand_request(&w, 500, 32, 0, B);
    hand_drain(&w); /* pushed the first prompt off the GPU */
    hand_request(&w, 100, 16, 0, B);
    struct hand_op *load = hand_find(&w, HAND_LOAD);
    ck_assert(load && load->n_blocks == 4 && !hand_find(&w, HAND_STEP));
    w.now += KVT_SECOND;
    kvt_core_timer(w.core, w.now, w.timers[w.n_timers - 1]);
    hand_check(&w);
    struct hand_op *first = hand_find(&w, HAND_STEP);
    ck_assert(first && first->chunks[0].past_tokens == 0 && first->chunks[0].new_tokens == 9);
    hand_end(&w, load, KVT_OK, 4);
    hand_end(&w, first, KVT_OK, 1);
    /* token 9 lies inside a block: computed up to its end would be a chunk, so the third block
     * is finished first */
    struct hand_op *second = hand_find(&w, HAND_STEP);
    ck_assert(second && second->chunks[0].past_tokens == 9);
    hand_drain(&w);
    const struct kvt_report *r = hand_last(&w);
    ck_assert_uint_eq(r->ledger_tokens[KVT_COMPUTED_LATE] + r->ledger_tokens[KVT_HIT_GPU] +
                          r->ledger_tokens[KVT_COMPUTED_TAIL],
                      16);
    ck_assert_uint_gt(r->ledger_tokens[KVT_COMPUTED_LATE], 0);
    struct kvt_core_stats s;
    kvt_core_stats(w.core, &s);
    ck_assert_uint_eq(s.abandoned_loads, 1);
    hand_close(&w);
}
END_TEST

START_TEST(late_blocks_are_adopted_at_a_block_boundary)
{
    struct kvt_core_config c = small();
    with_tier(&c, KVT_HOST);
    c.load_patience = 2;
    c.max_batch_requests = 3;
    c.max_batch_tokens = 8; /* two blocks a chunk */
    c.tiers[KVT_GPU].capacity_blocks = 12;
    struct hand w;
    hand_open(&w, &c);
    hand_request(&w, 100, 24, 0, B);
    hand_drain(&w);
    hand_request(&w, 500, 48, 0, B);
    hand_drain(&w);
    hand_request(&w, 100, 24, 0, B);
    struct hand_op *load = hand_find(&w, HAND_LOAD);
    ck_assert_uint_eq(load->n_blocks, 6);
    w.now += KVT_SECOND;
    kvt_core_timer(w.core, w.now, w.timers[w.n_timers - 1]);
    hand_end(&w, load, KVT_OK, 6); /* all six blocks come after all */
    hand_end(&w, hand_find(&w, HAND_STEP), KVT_OK, 1);
    /* blocks 2 to 5 are there: only the token for the logits is left */
    struct hand_op *step = hand_find(&w, HAND_STEP);
    ck_assert(step && step->chunks[0].past_tokens == 23 && step->chunks[0].new_tokens == 1);
    hand_drain(&w);
    const struct kvt_report *r = hand_last(&w);
    ck_assert_uint_eq(r->ledger_tokens[KVT_COMPUTED_LATE], 8);
    ck_assert_uint_eq(r->ledger_tokens[KVT_HIT_GPU], 15);
    ck_assert_uint_eq(r->ledger_tokens[KVT_COMPUTED_TAIL], 1);
    hand_close(&w);
}
END_TEST

START_TEST(same_prefix_is_computed_once)
{
    struct kvt_core_config c = small();
    struct hand w;
    hand_open(&w, &c);
    hand_request(&w, 100, 16, 0, B);
    hand_request(&w, 100, 20, 0, B); /* the same four blocks, and one of its own */
    hand_end(&w, hand_find(&w, HAND_STEP), KVT_OK, 1);
    struct hand_op *step = hand_find(&w, HAND_STEP);
    ck_assert_uint_eq(step->chunks[0].past_tokens, 16);
    ck_assert_uint_eq(step->chunks[0].new_tokens, 4);
    hand_drain(&w);
    ck_assert_uint_eq(hand_last(&w)->ledger_tokens[KVT_HIT_GPU], 16);
    hand_close(&w);
    c.single_flight = false; /* each for itself */
    hand_open(&w, &c);
    hand_request(&w, 100, 16, 0, B);
    hand_request(&w, 100, 20, 0, B);
    hand_end(&w, hand_find(&w, HAND_STEP), KVT_OK, 1);
    step = hand_find(&w, HAND_STEP);
    ck_assert_uint_eq(step->n_chunks, 1);
    hand_drain(&w);
    struct kvt_core_stats s;
    kvt_core_stats(w.core, &s);
    ck_assert_uint_eq(s.finished, 2);
    hand_close(&w);
}
END_TEST

/* Fills host, pushes the prompt off the GPU, then asks again with `status` as the load's end. */
static void second_time(enum kvt_status status, uint32_t good, enum kvt_ledger expected)
{
    struct kvt_core_config c = small();
    with_tier(&c, KVT_REDIS);
    c.tiers[KVT_REDIS].manager = KVT_MANAGED_BY_SERVER;
    c.tiers[KVT_GPU].capacity_blocks = 4;
    struct hand w;
    hand_open(&w, &c);
    hand_request(&w, 100, 18, 0, B);
    hand_drain(&w);
    hand_request(&w, 500, 18, 0, B);
    hand_drain(&w);
    hand_request(&w, 100, 18, 0, B);
    hand_end(&w, hand_find(&w, HAND_LOAD), status, good);
    struct hand_op *step = hand_find(&w, HAND_STEP);
    ck_assert_uint_eq(step->chunks[0].past_tokens, good * B);
    hand_drain(&w);
    const struct kvt_report *r = hand_last(&w);
    ck_assert_uint_eq(r->ledger_tokens[KVT_HIT_REDIS], good * B);
    ck_assert_uint_eq(r->ledger_tokens[expected], status == KVT_OK ? 16 : 16 - good * B);
    ck_assert_uint_eq(r->ledger_tokens[KVT_COMPUTED_TAIL], 2);
    hand_close(&w);
}

START_TEST(every_status_has_a_next_step)
{
    second_time(KVT_OK, 4, KVT_HIT_REDIS);
    second_time(KVT_MISSING, 1, KVT_COMPUTED_EVICTED);
    second_time(KVT_DOWN, 0, KVT_COMPUTED_TIER_DOWN);
    second_time(KVT_TIMEOUT, 2, KVT_COMPUTED_LATE);
    second_time(KVT_CORRUPT, 3, KVT_COMPUTED_CORRUPT);
    second_time(KVT_BUSY, 0, KVT_COMPUTED_LATE);
}
END_TEST

START_TEST(failed_store_is_never_found)
{
    struct kvt_core_config c = small();
    with_tier(&c, KVT_HOST);
    c.tiers[KVT_GPU].capacity_blocks = 4;
    struct hand w;
    hand_open(&w, &c);
    hand_request(&w, 100, 17, 0, B);
    hand_end(&w, hand_find(&w, HAND_STEP), KVT_OK, 1);
    hand_end(&w, hand_find(&w, HAND_STORE), KVT_CORRUPT, 2);
    hand_request(&w, 500, 17, 0, B);
    hand_drain(&w);
    hand_request(&w, 100, 17, 0, B);
    ck_assert_uint_eq(hand_find(&w, HAND_LOAD)->n_blocks, 2);
    hand_drain(&w);
    ck_assert_uint_eq(hand_last(&w)->ledger_tokens[KVT_HIT_HOST], 8);
    ck_assert_uint_eq(hand_last(&w)->ledger_tokens[KVT_COMPUTED_EVICTED], 8);
    hand_close(&w);
}
END_TEST

/* A tier that does not answer may hold an eighth of the pages, not more. */
START_TEST(slow_stores_do_not_take_the_gpu)
{
    struct kvt_core_config c = small();
    with_tier(&c, KVT_REDIS);
    c.gpu_pages = 80;
    struct hand w;
    hand_open(&w, &c);
    for (uint64_t name = 1000; name < 11000; name += 1000) {
        hand_request(&w, name, 16, 0, B);
        hand_end(&w, hand_find(&w, HAND_STEP), KVT_OK, 1);
    }
    struct kvt_core_stats s;
    kvt_core_stats(w.core, &s);
    ck_assert_uint_eq(s.store_shed_blocks[KVT_REDIS], 40 - 11);
    struct kvt_core_gauges g;
    kvt_core_gauges(w.core, KVT_NONE, &g);
    ck_assert_uint_eq(g.pages_free + g.pages_cached, 80 - 11);
    hand_drain(&w);
    hand_request(&w, 900, 16, 0, B); /* it keeps up again */
    hand_end(&w, hand_find(&w, HAND_STEP), KVT_OK, 1);
    ck_assert_uint_eq(hand_find(&w, HAND_STORE)->n_blocks, 4);
    hand_drain(&w);
    hand_close(&w);
}
END_TEST

START_TEST(probe_comes_before_load)
{
    struct kvt_core_config c = small();
    with_tier(&c, KVT_REDIS);
    c.tiers[KVT_REDIS].probe = true;
    c.tiers[KVT_REDIS].manager = KVT_MANAGED_BY_SERVER;
    c.tiers[KVT_GPU].capacity_blocks = 4;
    struct hand w;
    hand_open(&w, &c);
    hand_request(&w, 100, 17, 0, B);
    hand_drain(&w);
    hand_request(&w, 500, 17, 0, B);
    hand_drain(&w);
    hand_request(&w, 100, 17, 0, B);
    ck_assert(!hand_find(&w, HAND_LOAD));
    hand_end(&w, hand_find(&w, HAND_PROBE), KVT_MISSING, 3); /* the server evicted the fourth */
    ck_assert_uint_eq(hand_find(&w, HAND_LOAD)->n_blocks, 3);
    hand_drain(&w);
    ck_assert_uint_eq(hand_last(&w)->ledger_tokens[KVT_HIT_REDIS], 12);
    ck_assert_uint_eq(hand_last(&w)->ledger_tokens[KVT_COMPUTED_EVICTED], 4);
    hand_close(&w);
}
END_TEST

START_TEST(what_redis_lost_comes_from_disk)
{
    struct kvt_core_config c = small();
    with_tier(&c, KVT_REDIS);
    with_tier(&c, KVT_DISK);
    c.tiers[KVT_REDIS].probe = true;
    c.tiers[KVT_REDIS].manager = KVT_MANAGED_BY_SERVER;
    c.tiers[KVT_GPU].capacity_blocks = 4;
    struct hand w;
    hand_open(&w, &c);
    hand_request(&w, 100, 13, 0, B);
    hand_drain(&w);
    hand_request(&w, 500, 17, 0, B); /* off the GPU */
    hand_drain(&w);
    hand_request(&w, 100, 13, 0, B);
    hand_end(&w, hand_find(&w, HAND_PROBE), KVT_MISSING, 1);
    const struct hand_op *disk = hand_find(&w, HAND_LOAD);
    ck_assert(disk && disk->tier == KVT_DISK && disk->n_blocks == 2);
    hand_drain(&w);
    ck_assert_uint_eq(hand_last(&w)->ledger_tokens[KVT_HIT_REDIS], 4);
    ck_assert_uint_eq(hand_last(&w)->ledger_tokens[KVT_HIT_DISK], 8);
    hand_close(&w);
}
END_TEST

START_TEST(load_or_compute_takes_the_faster)
{
    for (int dear = 0; dear < 2; dear++) {
        struct kvt_core_config c = small();
        with_tier(&c, KVT_HOST);
        c.load_choice = KVT_LOAD_ADAPTIVE;
        c.tiers[KVT_HOST].load_ns_per_token = dear ? 2e6 : 0.5e6; /* computing takes 1e6 */
        c.tiers[KVT_GPU].capacity_blocks = 4;
        struct hand w;
        hand_open(&w, &c);
        hand_request(&w, 100, 17, 0, B);
        hand_drain(&w);
        hand_request(&w, 500, 17, 0, B);
        hand_drain(&w);
        hand_request(&w, 100, 17, 0, B);
        ck_assert((hand_find(&w, HAND_LOAD) == NULL) == (dear == 1));
        hand_drain(&w);
        ck_assert_uint_eq(hand_last(&w)->ledger_tokens[dear ? KVT_COMPUTED_CHEAPER : KVT_HIT_HOST],
                          16);
        hand_close(&w);
    }
}
END_TEST

START_TEST(ttl_ends_a_copy)
{
    struct kvt_core_config c = small();
    c.tiers[KVT_GPU].ttl_ns = KVT_SECOND;
    struct hand w;
    hand_open(&w, &c);
    hand_request(&w, 100, 17, 0, B);
    hand_drain(&w);
    w.now += KVT_SECOND / 2;
    hand_request(&w, 100, 17, 0, B);
    hand_drain(&w);
    ck_assert_uint_eq(hand_last(&w)->ledger_tokens[KVT_HIT_GPU], 16);
    w.now += KVT_SECOND;
    hand_request(&w, 100, 17, 0, B);
    hand_drain(&w);
    ck_assert_uint_eq(hand_last(&w)->ledger_tokens[KVT_COMPUTED_EXPIRED], 16);
    hand_close(&w);
}
END_TEST

START_TEST(decode_repeats_until_something_changes)
{
    struct kvt_core_config c = small();
    struct hand w;
    hand_open(&w, &c);
    hand_request(&w, 100, 8, 50, B);
    hand_end(&w, hand_find(&w, HAND_STEP), KVT_OK, 1);
    struct hand_op *s = hand_find(&w, HAND_STEP);
    ck_assert_uint_eq(s->repeat, 49); /* the prefill gave the first of 50 */
    ck_assert_uint_eq(s->n_decode, 1);
    ck_assert_uint_eq(s->decode_tokens, 9);
    hand_request(&w, 900, 8, 5, B);
    ck_assert_uint_eq(w.interrupts, 1);
    hand_end(&w, s, KVT_OK, 7); /* ended early, after seven iterations */
    s = hand_find(&w, HAND_STEP);
    ck_assert_uint_eq(s->repeat, 1);
    ck_assert_uint_eq(s->n_chunks, 1);
    ck_assert_uint_eq(s->decode_tokens, 16);
    hand_end(&w, s, KVT_OK, 1);
    s = hand_find(&w, HAND_STEP);
    ck_assert_uint_eq(s->repeat, 4); /* until the newcomer has its five */
    ck_assert_uint_eq(s->n_decode, 2);
    hand_drain(&w);
    ck_assert_uint_eq(w.n_reports, 2);
    ck_assert_uint_eq(w.reports[0].output_tokens, 5);
    ck_assert_uint_eq(w.reports[1].output_tokens, 50);
    hand_close(&w);
}
END_TEST

/* Two requests that fit one at a time, but not to their ends together: the later one yields and
 * starts over. */
START_TEST(page_pressure_preempts_the_latest)
{
    struct kvt_core_config c = small();
    c.cache = false;
    c.gpu_pages = 12;
    struct hand w;
    hand_open(&w, &c);
    hand_request(&w, 100, 16, 30, B);
    hand_request(&w, 500, 12, 30, B);
    hand_drain(&w);
    ck_assert_uint_eq(w.n_reports, 2);
    ck_assert_uint_eq(w.reports[0].preemptions, 0);
    ck_assert_uint_gt(w.reports[1].preemptions, 0);
    ck_assert_uint_eq(w.reports[1].output_tokens, 30);
    struct kvt_core_stats s;
    kvt_core_stats(w.core, &s);
    ck_assert_uint_gt(s.preemptions, 0);
    ck_assert_uint_gt(s.recomputed_tokens, 0);
    ck_assert_uint_eq(s.ledger_tokens[KVT_COMPUTED_COLD],
                      28); /* recomputing is not in the ledger */
    hand_close(&w);
}
END_TEST

START_TEST(what_can_never_fit_is_rejected)
{
    struct kvt_core_config c = small();
    c.gpu_pages = 10;
    struct hand w;
    hand_open(&w, &c);
    hand_request(&w, 100, 32, 10, B);
    ck_assert_int_eq(hand_last(&w)->outcome, KVT_REJECTED);
    hand_request(&w, 100, 32, 8, B); /* exactly fits */
    hand_drain(&w);
    ck_assert_int_eq(hand_last(&w)->outcome, KVT_FINISHED);
    ck_assert_uint_eq(hand_last(&w)->output_tokens, 8);
    hand_close(&w);
}
END_TEST

START_TEST(decoded_blocks_serve_the_next_turn)
{
    struct kvt_core_config c = small();
    struct hand w;
    hand_open(&w, &c);
    hand_request(&w, 100, 10, 15, B);
    hand_drain(&w);
    hand_request(&w, 100, 30, 1, B);
    hand_drain(&w);
    /* 10 + 15 tokens, of which the last one's KV was never computed: 24 in six full blocks */
    ck_assert_uint_eq(hand_last(&w)->ledger_tokens[KVT_HIT_GPU], 24);
    hand_close(&w);
}
END_TEST

START_TEST(exact_match_is_all_or_nothing)
{
    struct kvt_core_config c = small();
    c.match = KVT_MATCH_EXACT;
    struct hand w;
    hand_open(&w, &c);
    hand_request(&w, 100, 17, 0, B);
    hand_drain(&w);
    hand_request(&w, 100, 21, 0, B); /* one block more: chain would find four */
    hand_drain(&w);
    ck_assert_uint_eq(hand_last(&w)->ledger_tokens[KVT_HIT_GPU], 0);
    hand_request(&w, 100, 21, 0, B);
    hand_drain(&w);
    ck_assert_uint_eq(hand_last(&w)->ledger_tokens[KVT_HIT_GPU], 20);
    hand_close(&w);
}
END_TEST

START_TEST(engine_loss_moves_its_requests)
{
    struct kvt_core_config c = small();
    c.engines = 2;
    c.router = KVT_ROUTE_ROUND_ROBIN;
    struct hand w;
    hand_open(&w, &c);
    hand_request(&w, 100, 16, 5, B); /* engine 0 */
    struct hand_op *lost = hand_find(&w, HAND_STEP);
    kvt_core_down(w.core, w.now, KVT_GPU, (kvt_engine_id){0});
    hand_check(&w);
    hand_end(&w, lost, KVT_DOWN, 1);
    hand_drain(&w);
    ck_assert_int_eq(hand_last(&w)->outcome, KVT_FINISHED);
    ck_assert_uint_eq(hand_last(&w)->engine.v, 1);
    kvt_core_down(w.core, w.now, KVT_GPU, (kvt_engine_id){1});
    hand_request(&w, 100, 16, 5, B);
    ck_assert_int_eq(hand_last(&w)->outcome, KVT_FAILED);
    kvt_core_up(w.core, w.now, KVT_GPU, (kvt_engine_id){0});
    hand_request(&w, 100, 16, 5, B);
    hand_drain(&w);
    ck_assert_int_eq(hand_last(&w)->outcome, KVT_FINISHED);
    ck_assert_uint_eq(hand_last(&w)->ledger_tokens[KVT_COMPUTED_EVICTED],
                      16); /* its cache died with it */
    hand_close(&w);
}
END_TEST

START_TEST(waste_of_both_allocators)
{
    struct kvt_core_config c = small();
    c.cache = false;
    c.contiguous_tokens = 100;
    struct hand w;
    hand_open(&w, &c);
    hand_request(&w, 100, 9, 2, B); /* 10 tokens of KV in three pages of 4 */
    hand_drain(&w);
    ck_assert_uint_eq(hand_last(&w)->pages_allocated_tokens, 12);
    ck_assert_uint_eq(hand_last(&w)->contiguous_tokens, 100);
    struct kvt_core_stats s;
    kvt_core_stats(w.core, &s);
    ck_assert_uint_eq(s.paged_used_tokens, 10);
    ck_assert_uint_eq(s.contiguous_used_tokens, 10);
    hand_close(&w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core stories");
    TCase *cases = tcase_create("stories");
    tcase_add_test(cases, chunks_keep_their_offset);
    tcase_add_test(cases, every_chunk_consults_the_cache);
    tcase_add_test(cases, late_blocks_are_adopted_at_a_block_boundary);
    tcase_add_test(cases, same_prefix_is_computed_once);
    tcase_add_test(cases, every_status_has_a_next_step);
    tcase_add_test(cases, failed_store_is_never_found);
    tcase_add_test(cases, slow_stores_do_not_take_the_gpu);
    tcase_add_test(cases, probe_comes_before_load);
    tcase_add_test(cases, what_redis_lost_comes_from_disk);
    tcase_add_test(cases, load_or_compute_takes_the_faster);
    tcase_add_test(cases, ttl_ends_a_copy);
    tcase_add_test(cases, decode_repeats_until_something_changes);
    tcase_add_test(cases, page_pressure_preempts_the_latest);
    tcase_add_test(cases, what_can_never_fit_is_rejected);
    tcase_add_test(cases, decoded_blocks_serve_the_next_turn);
    tcase_add_test(cases, exact_match_is_all_or_nothing);
    tcase_add_test(cases, engine_loss_moves_its_requests);
    tcase_add_test(cases, waste_of_both_allocators);
    suite_add_tcase(suite, cases);
    return kvt_test_main(suite);
}
