/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_part.c - parts of blocks that are copied, one story each, in a world worked by hand; and what a copy costs in
 * the simulated one. (What may be copied at all, and that nothing else is: test_matching.c.)
 */
#include "core/internal.h"
#include "core/key.h"
#include "core/null.h"
#include "core/record.h"
#include "core/replay.h"
#include "hand_world.h"
#include "record_fixture.h"
#include "sim_fixture.h"

enum { BLOCK = 8, PAGE = 2, LONGEST = 128 };

static const kvt_key root = {11, 12};

static struct kvt_core_config small(void)
{
    struct kvt_core_config c;
    kvt_core_config_init(&c);
    c.block_tokens = BLOCK;
    c.page_tokens = PAGE;
    c.gpu_pages = 200;
    c.max_batch_tokens = 1000;
    c.max_batch_requests = 8;
    c.load_choice = KVT_LOAD_ALWAYS;
    c.load_patience = 0;
    c.reuse_partial = true;
    return c;
}

/* Token i of a prompt that begins like number 0 up to token `same`, and then goes its own way. */
static uint32_t token(uint32_t number, uint32_t same, uint32_t i)
{
    return i < same ? i + 1 : 1000 * number + i + 1;
}

static kvt_key key_of(const uint32_t *tokens, uint32_t i)
{
    kvt_key keys[LONGEST / BLOCK];
    struct kvt_namespace ns;
    ck_assert_int_eq(kvt_namespace_init(&ns, "", "", ""), 0);
    ck_assert_int_gt(kvt_key_chain(&ns, tokens, (size_t)(i + 1) * BLOCK, BLOCK, false, keys), i);
    return keys[i];
}

static void ask_as(struct hand *w, kvt_key before, uint32_t number, uint32_t same, uint32_t n,
                   uint32_t outputs)
{
    static uint64_t id;
    uint32_t tokens[LONGEST];
    kvt_key keys[LONGEST / BLOCK];
    for (uint32_t i = 0; i < n; i++)
        tokens[i] = token(number, same, i);
    for (uint32_t i = 0; i < n / BLOCK; i++) {
        keys[i] = key_of(tokens, i);
        keys[i].hi ^= before.hi; /* another beginning, other keys */
    }
    const struct kvt_request r = {.id = id++,
                                  .arrive_ns = w->now,
                                  .session = KVT_NONE,
                                  .prompt_tokens = n,
                                  .output_tokens = outputs,
                                  .n_keys = n / BLOCK,
                                  .keys = keys,
                                  .tokens = tokens,
                                  .root = before};
    ck_assert_int_eq(kvt_core_request(w->core, w->now, &r), 0);
    hand_check(w);
}

static void ask(struct hand *w, uint32_t number, uint32_t same, uint32_t n, uint32_t outputs)
{
    ask_as(w, root, number, same, n, outputs);
}

/* The step under way has one chunk, and this copy before it; 0: none. */
static const struct kvt_step_copy *step_copies(struct hand *w, uint32_t past, uint32_t new_tokens,
                                               uint32_t copied)
{
    const struct hand_op *s = hand_find(w, HAND_STEP);
    ck_assert(s && s->n_chunks == 1);
    ck_assert_uint_eq(s->chunks[0].past_tokens, past);
    ck_assert_uint_eq(s->chunks[0].new_tokens, new_tokens);
    ck_assert_uint_eq(s->n_copies, copied > 0);
    if (copied)
        ck_assert_uint_eq(s->copies[0].tokens, copied);
    return s->copies;
}

static uint64_t reused(const struct hand *w)
{
    struct kvt_core_stats stats;
    kvt_core_stats(w->core, &stats);
    return stats.radix_reused_tokens;
}

static void ledger_is(const struct hand *w, uint32_t hit, uint32_t cold, uint32_t tail)
{
    ck_assert_uint_eq(hand_last(w)->ledger_tokens[KVT_HIT_GPU], hit);
    ck_assert_uint_eq(hand_last(w)->ledger_tokens[KVT_COMPUTED_COLD], cold);
    ck_assert_uint_eq(hand_last(w)->ledger_tokens[KVT_COMPUTED_TAIL], tail);
}

START_TEST(what_both_begin_with_is_copied)
{
    const struct kvt_core_config c = small();
    struct hand w;
    hand_open(&w, &c);
    ask(&w, 0, 20, 20, 1);
    step_copies(&w, 0, 20, 0);
    hand_drain(&w);
    ck_assert_uint_eq(reused(&w), 0);

    ask(&w, 1, 13, 20, 1); /* parts in the middle of block 1, which is its own to fill */
    const struct kvt_step_copy *copy = step_copies(&w, 13, 7, 5);
    uint32_t first[20], pages[BLOCK / PAGE];
    for (uint32_t i = 0; i < 20; i++)
        first[i] = token(0, 20, i);
    kvt_key from = key_of(first, 1);
    from.hi ^= root.hi;
    ck_assert(kvt_key_equal(copy->from, from));
    ck_assert(copy->page != KVT_NONE && copy->page != copy->from_page);
    ck_assert_uint_eq(kvt_core_pages(w.core, (kvt_engine_id){0}, copy->from_page, pages, 4), 4);
    hand_drain(&w);
    ledger_is(&w, 13, 3, 4);
    ck_assert_uint_eq(hand_last(&w)->hit_blocks, 1);
    ck_assert_uint_eq(reused(&w), 5);

    ask(&w, 2, 13, 15, 1); /* the same without a whole block: into the tail */
    copy = step_copies(&w, 13, 2, 5);
    ck_assert(copy->page != KVT_NONE && copy->page != copy->from_page);
    hand_drain(&w);
    ledger_is(&w, 13, 0, 2);

    ask(&w, 3, 13, 13, 1); /* nothing of its own: one token is computed all the same */
    step_copies(&w, 12, 1, 4);
    hand_drain(&w);
    ledger_is(&w, 12, 0, 1);

    ask(&w, 4, 3, 20, 1); /* in the first block, so no whole block is found */
    step_copies(&w, 3, 17, 3);
    hand_drain(&w);
    ledger_is(&w, 3, 13, 4);
    ck_assert_uint_eq(hand_last(&w)->hit_blocks, 0);
    ck_assert_int_eq(hand_last(&w)->source, KVT_GPU);
    hand_close(&w);
}
END_TEST

/* Of two candidates the one that shares more; of equals the first in the order of tokens. */
START_TEST(the_longest)
{
    const struct kvt_core_config c = small();
    struct hand w;
    hand_open(&w, &c);
    for (uint32_t number = 3; number > 0; number--) {
        ask(&w, number, number == 3 ? 14 : 11, 16, 1);
        hand_drain(&w);
    }
    ask(&w, 9, 14, 20, 1);
    step_copies(&w, 14, 6, 6);
    hand_drain(&w);
    ask(&w, 8, 11, 20, 1); /* 1, 2, 3 and 9 have 11 in common with it; 3 and 9 go on smaller */
    const struct kvt_step_copy *copy = step_copies(&w, 11, 9, 3);
    uint32_t tokens[16];
    for (uint32_t i = 0; i < 16; i++)
        tokens[i] = token(3, 14, i);
    kvt_key from = key_of(tokens, 1);
    from.hi ^= root.hi;
    ck_assert(kvt_key_equal(copy->from, from));
    hand_drain(&w);
    hand_close(&w);
}
END_TEST

/* Same tokens behind another beginning are another thing; and where what stands before is not known, nothing
 * can be said of first blocks. */
START_TEST(only_behind_the_same)
{
    const struct kvt_core_config c = small();
    struct hand w;
    hand_open(&w, &c);
    ask(&w, 0, 20, 20, 1);
    hand_drain(&w);
    ask_as(&w, (kvt_key){21, 22}, 1, 5, 20, 1);
    step_copies(&w, 0, 20, 0);
    hand_drain(&w);
    ask_as(&w, (kvt_key){0, 0}, 0, 20, 20, 1);
    step_copies(&w, 0, 20, 0);
    hand_drain(&w);
    ask_as(&w, (kvt_key){0, 0}, 2, 5, 20, 1);
    step_copies(&w, 0, 20, 0);
    hand_drain(&w);
    ask_as(&w, (kvt_key){0, 0}, 2, 13, 20, 1); /* but of those behind a known block */
    step_copies(&w, 13, 7, 5);
    hand_drain(&w);
    hand_close(&w);
}
END_TEST

/* What another request is computing is waited for as far as it is the same in whole blocks, and by then the
 * next one is there to copy from. */
START_TEST(from_a_block_just_made)
{
    const struct kvt_core_config c = small();
    struct hand w;
    hand_open(&w, &c);
    ask(&w, 0, 20, 20, 1);
    ask(&w, 1, 13, 20, 1);
    step_copies(&w, 0, 20, 0);
    hand_end(&w, hand_find(&w, HAND_STEP), KVT_OK, 1);
    step_copies(&w, 13, 7, 5);
    hand_drain(&w);
    ck_assert_uint_eq(reused(&w), 5);
    hand_close(&w);
}
END_TEST

/* The world does not take the step: nothing was copied, and it is asked for again. */
START_TEST(refused_step)
{
    const struct kvt_core_config c = small();
    struct hand w;
    hand_open(&w, &c);
    ask(&w, 0, 20, 20, 1);
    hand_drain(&w);
    w.refuse_steps = 1;
    ask(&w, 1, 13, 20, 1);
    ck_assert_ptr_null(hand_find(&w, HAND_STEP));
    ck_assert_uint_eq(w.n_timers, 1);
    w.now = w.timer_at[0];
    kvt_core_timer(w.core, w.now, w.timers[0]);
    hand_check(&w);
    step_copies(&w, 13, 7, 5);
    hand_end(&w, hand_find(&w, HAND_STEP), KVT_BUSY, 0); /* a step that came to nothing, likewise */
    step_copies(&w, 13, 7, 5);
    hand_drain(&w);
    ledger_is(&w, 13, 3, 4);
    ck_assert_uint_eq(reused(&w), 5);
    hand_close(&w);
}
END_TEST

/* The engine goes down in the middle of the step: the request starts over where there is nothing to copy. */
START_TEST(engine_goes_down)
{
    struct kvt_core_config c = small();
    c.engines = 2;
    c.router = KVT_ROUTE_ROUND_ROBIN;
    struct hand w;
    hand_open(&w, &c);
    ask(&w, 0, 20, 20, 1);
    ask(&w, 7, 0, 20, 1);
    hand_drain(&w);
    ask(&w, 1, 13, 20, 1);
    step_copies(&w, 13, 7, 5);
    kvt_core_down(w.core, w.now, KVT_GPU, (kvt_engine_id){0});
    hand_check(&w);
    hand_find(&w, HAND_STEP)->open = false; /* dies with the engine */
    step_copies(&w, 0, 20, 0);
    hand_drain(&w);
    ck_assert_uint_eq(hand_last(&w)->ledger_tokens[KVT_HIT_GPU], 0);
    ck_assert_uint_eq(reused(&w), 0);
    /* and here the other engine's blocks are of no use */
    kvt_core_up(w.core, w.now, KVT_GPU, (kvt_engine_id){0});
    ask(&w, 2, 13, 20, 1);
    const struct hand_op *s = hand_find(&w, HAND_STEP);
    ck_assert_uint_eq(s->n_copies, s->engine == 1);
    hand_drain(&w);
    hand_close(&w);
}
END_TEST

/* A request that copied, computed for a while, and was preempted before its first token: it finds its own blocks, and
 * what it had copied before counts no more. */
START_TEST(preempted)
{
    struct kvt_core_config c = small();
    c.max_batch_tokens = 9;
    c.gpu_pages = 4 * 2 + 4 + (14 * 4 + 2) + 1; /* a cached prompt, one that decodes, this one */
    struct hand w;
    hand_open(&w, &c);
    ask(&w, 0, 16, 16, 1);
    hand_drain(&w);
    ask(&w, 5, 0, 8, 60);
    ask(&w, 1, 13, 124, 1);
    uint64_t copied = 0;
    for (uint32_t i = 0; i < w.n; i++) {
        if (!w.ops[i].open)
            continue;
        hand_end(&w, &w.ops[i], KVT_OK, w.ops[i].kind == HAND_STEP ? 1 : w.ops[i].n_blocks);
        copied += w.ops[i].n_copies ? w.ops[i].copies[0].tokens : 0;
    }
    struct kvt_core_stats stats;
    kvt_core_stats(w.core, &stats);
    ck_assert_uint_eq(stats.finished, 3);
    ck_assert_uint_gt(stats.preemptions, 0);
    ck_assert_uint_eq(copied, 5);
    ck_assert_uint_eq(stats.radix_reused_tokens, 0);
    hand_close(&w);
}
END_TEST

START_TEST(refuses_what_it_cannot)
{
    struct kvt_core_config c = small();
    ck_assert_ptr_null(kvt_core_config_check(&c));
    c.partial_blocks = true;
    ck_assert_ptr_nonnull(strstr(kvt_core_config_check(&c), "keys of their own"));
    c = small();
    c.match = KVT_MATCH_EXACT;
    ck_assert_ptr_nonnull(strstr(kvt_core_config_check(&c), "by chain"));
    c = small();
    c.shard.policy = kvt_shard_all[0];
    ck_assert_ptr_nonnull(strstr(kvt_core_config_check(&c), "sharded"));
}
END_TEST

/* Tokens are kept of what a GPU holds, within a factor. */
START_TEST(what_no_gpu_holds_is_forgotten)
{
    enum { MANY = 4000, OF_EACH = 2, HELD = 30, BOUND = 2 * HELD + 1024 };
    struct failing_alloc memory;
    const struct kvt_alloc *alloc = failing_alloc_init(&memory, 0);
    struct kvt_null *world = kvt_null_new(alloc, NULL);
    struct kvt_core_config c = small();
    int error;
    c.tiers[KVT_GPU].capacity_blocks = HELD;
    c.history_blocks = 100;
    const struct kvt_port port = kvt_null_port(world);
    struct kvt_core *core = kvt_core_new(&c, &port, alloc, &error);
    ck_assert_ptr_nonnull(core);
    uint64_t most = 0;
    for (uint32_t p = 0; p < MANY; p++) {
        uint32_t tokens[OF_EACH * BLOCK] = {1, p};
        const kvt_key keys[OF_EACH] = {{p, 1}, {p, 2}};
        const struct kvt_request r = {.id = p,
                                      .prompt_tokens = OF_EACH * BLOCK,
                                      .n_keys = OF_EACH,
                                      .keys = keys,
                                      .tokens = tokens,
                                      .root = {1, 1}};
        ck_assert(kvt_core_request(core, 0, &r) == 0);
        ck_assert(kvt_null_world()->advance(port.self, core, 0) == 0);
        const uint64_t n = kvt_siblings_count(&core->siblings);
        most = n > most ? n : most;
    }
    char why[200] = "";
    ck_assert_msg(kvt_core_check(core, why, sizeof why), "%s", why);
    ck_assert_uint_ge(most, 1024 - OF_EACH);
    ck_assert_uint_le(most, BOUND + OF_EACH);
    ck_assert_uint_eq(core->stats.radix_reused_tokens, MANY - 1); /* the 1 they begin with */
    kvt_core_free(core);
    kvt_null_free(world);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

/* ---- Recorded and replayed ------------------------------------------------------------------------ */

START_TEST(replayed)
{
    struct kvt_core_config c = small();
    c.gpu_pages = 60; /* too small for all of it */
    struct hand w;
    struct tape tape = {0};
    struct kvt_record record;
    struct failing_alloc memory;
    const struct kvt_alloc *alloc = failing_alloc_init(&memory, 0);
    const struct kvt_sink sink = tape_sink(&tape);
    char digest[33], again[33];
    hand_open(&w, &c);
    ck_assert_int_eq(kvt_record_init(&record, alloc, &sink), 0);
    kvt_core_tap(w.core, kvt_record_tap(&record));
    for (uint32_t i = 0; i < 40; i++) {
        ask(&w, i, i * 7 % 30, 20 + i % 13, 1 + i % 3);
        hand_drain(&w);
    }
    kvt_core_digest(w.core, digest);
    const uint64_t tokens = reused(&w);
    ck_assert_uint_gt(tokens, 0);
    hand_close(&w);
    ck_assert_int_eq(kvt_record_finish(&record), 0);
    kvt_record_release(&record);

    struct kvt_replay replay;
    ck_assert_int_eq(kvt_replay_init(&replay, alloc, tape.bytes, tape.n, NULL), 0);
    const struct kvt_port port = kvt_replay_port(&replay);
    int status;
    struct kvt_core *core = kvt_core_new(&c, &port, alloc, &status);
    ck_assert_ptr_nonnull(core);
    while ((status = kvt_replay_step(&replay, core)) > 0) {
    }
    ck_assert_int_eq(status, 0);
    struct kvt_core_stats stats;
    kvt_core_stats(core, &stats);
    kvt_core_digest(core, again);
    ck_assert_str_eq(digest, again);
    ck_assert_uint_eq(stats.radix_reused_tokens, tokens);
    kvt_core_free(core);
    kvt_replay_release(&replay);
    ck_assert(failing_alloc_clean(&memory));
    tape_release(&tape);
}
END_TEST

/* ---- What it costs, simulated --------------------------------------------------------------------- */

enum { LARGE = 512, PROMPT = 1000, SHARED = 700 };

static void keep_report(void *self, const struct kvt_note *note)
{
    if (note->kind == KVT_NOTE_REPORT)
        *(struct kvt_report *)self = *note->report;
}

/* Time to the first token of the second of two prompts that share 700 tokens, each alone. */
static kvt_ns second_ttft(const struct sim_config *sim, bool parts, struct kvt_report *last)
{
    struct failing_alloc memory;
    const struct kvt_observer observer = {.note = keep_report, .self = last};
    char why[200] = "";
    struct sim_world *world = sim_world_new(sim, &observer, why, sizeof why);
    ck_assert_msg(world != NULL, "%s", why);
    struct kvt_core_config c;
    kvt_core_config_init(&c);
    c.block_tokens = LARGE;
    c.reuse_partial = parts;
    const struct kvt_port port = sim_world_port(world);
    int error;
    struct kvt_core *core = kvt_core_new(&c, &port, failing_alloc_init(&memory, 0), &error);
    ck_assert_ptr_nonnull(core);
    for (uint32_t number = 0; number < 2; number++) {
        const kvt_ns now = number * KVT_SECOND;
        uint32_t tokens[PROMPT + 24];
        kvt_key keys[2];
        const uint32_t n = number ? PROMPT : PROMPT + 24; /* the first has two whole blocks */
        for (uint32_t i = 0; i < n; i++)
            tokens[i] = token(number, SHARED, i);
        struct kvt_namespace ns;
        ck_assert_int_eq(kvt_namespace_init(&ns, "", "", ""), 0);
        const int64_t n_keys = kvt_key_chain(&ns, tokens, n, LARGE, false, keys);
        ck_assert_int_eq(sim_world_ops()->advance(world, core, now), 0);
        const struct kvt_request r = {.id = number,
                                      .arrive_ns = now,
                                      .session = KVT_NONE,
                                      .prompt_tokens = n,
                                      .n_keys = (uint32_t)n_keys,
                                      .keys = keys,
                                      .tokens = tokens,
                                      .root = kvt_namespace_key(&ns)};
        ck_assert_int_eq(kvt_core_request(core, now, &r), 0);
    }
    while (sim_world_ops()->next(world) != KVT_NEVER)
        ck_assert_int_eq(sim_world_ops()->advance(world, core, sim_world_ops()->next(world)), 0);
    kvt_core_free(core);
    sim_world_free(world);
    ck_assert(failing_alloc_clean(&memory));
    return last->first_token_ns - last->arrive_ns;
}

/* To the nanosecond: computing what is left, and each copied byte twice over the memory's bandwidth. */
START_TEST(costs_two_bytes_per_byte)
{
    struct sim_config sim = fixture_config();
    struct kvt_report whole, part;
    sim_gpu_prepare(&sim.gpu);
    const kvt_ns without = second_ttft(&sim, false, &whole);
    const kvt_ns with = second_ttft(&sim, true, &part);
    ck_assert_uint_eq(whole.ledger_tokens[KVT_HIT_GPU], LARGE);
    ck_assert_uint_eq(part.ledger_tokens[KVT_HIT_GPU], SHARED);
    ck_assert_uint_eq(without, sim_gpu_chunk_ns(&sim.gpu, LARGE, PROMPT - LARGE));
    const double copy_ns = 2.0 * (SHARED - LARGE) * sim.gpu.kv_b_per_token * 1e9 /
                           (sim.gpu.gpus * sim.gpu.hbm_bps * sim.gpu.kv_efficiency);
    const double expected = (double)sim_gpu_chunk_ns(&sim.gpu, SHARED, PROMPT - SHARED) + copy_ns;
    ck_assert_double_le(fabs((double)with - expected), 1);
    ck_assert_double_gt(copy_ns, 40e3);         /* 24.6 MB, read and written: not nothing, */
    ck_assert_uint_lt(with + 1000000, without); /* and far less than computing them */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("part");
    TCase *tests = tcase_create("part");
    tcase_add_test(tests, what_both_begin_with_is_copied);
    tcase_add_test(tests, the_longest);
    tcase_add_test(tests, only_behind_the_same);
    tcase_add_test(tests, from_a_block_just_made);
    tcase_add_test(tests, refused_step);
    tcase_add_test(tests, engine_goes_down);
    tcase_add_test(tests, preempted);
    tcase_add_test(tests, refuses_what_it_cannot);
    tcase_add_test(tests, what_no_gpu_holds_is_forgotten);
    tcase_add_test(tests, replayed);
    tcase_add_test(tests, costs_two_bytes_per_byte);
    suite_add_tcase(suite, tests);
    return kvt_test_main(suite);
}
