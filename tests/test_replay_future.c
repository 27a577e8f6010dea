/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_replay_future.c - a run under a policy that is told the future, recorded and replayed: the same decisions, and
 * others when the recording's future is left out.
 */
#include "core/core.h"
#include "core/evict.h"
#include "core/mix.h"
#include "core/null.h"
#include "core/record.h"
#include "core/replay.h"
#include "dice.h"
#include "failing_alloc.h"
#include "record_fixture.h"

enum { BLOCK = 4, CHAINS = 40, DEPTH = 8, REQUESTS = 600, CAPACITY = 60 };

static uint32_t chain[REQUESTS], depth[REQUESTS];
static uint64_t next_use[REQUESTS][DEPTH];

/* Who asks for what, and, by looking at all that follows, when a block is named again. */
static void draw(void)
{
    for (uint32_t r = 0; r < REQUESTS; r++) {
        chain[r] = (uint32_t)dice_below(1 + dice_below(CHAINS));
        depth[r] = 1 + (uint32_t)dice_below(DEPTH);
    }
    for (uint32_t r = 0; r < REQUESTS; r++)
        for (uint32_t i = 0; i < depth[r]; i++) {
            uint32_t k = r + 1;
            while (k < REQUESTS && (chain[k] != chain[r] || depth[k] <= i))
                k++;
            next_use[r][i] = k < REQUESTS ? (uint64_t)k << 24 | i : KVT_NEVER;
        }
}

static struct kvt_core_config config(void)
{
    struct kvt_core_config c;
    kvt_core_config_init(&c);
    c.block_tokens = c.page_tokens = BLOCK;
    c.page_numbers = false;
    c.recompute_last_token = false;
    c.load_choice = KVT_LOAD_ALWAYS;
    c.tiers[KVT_GPU].capacity_blocks = CAPACITY;
    c.tiers[KVT_GPU].evict = kvt_evict_named("belady");
    c.prefill = (struct kvt_prefill_cost){0, 1000, 1};
    return c;
}

/* In the null world, one after the other; told: with the future. Returns the blocks that were hit. */
static uint64_t run(const struct kvt_alloc *alloc, struct tape *tape, bool told, char hex[33])
{
    const struct kvt_core_config c = config();
    const struct kvt_sink sink = tape_sink(tape);
    struct kvt_record record;
    struct kvt_core_stats stats;
    int error;
    struct kvt_null *world = kvt_null_new(alloc, NULL);
    const struct kvt_port port = kvt_null_port(world);
    struct kvt_core *core = kvt_core_new(&c, &port, alloc, &error);
    ck_assert_ptr_nonnull(core);
    ck_assert_int_eq(kvt_record_init(&record, alloc, &sink), 0);
    kvt_core_tap(core, kvt_record_tap(&record));
    kvt_ns now = 0;
    for (uint32_t r = 0; r < REQUESTS; r++, now += KVT_SECOND) {
        kvt_key keys[DEPTH];
        for (uint32_t i = 0; i < depth[r]; i++)
            keys[i] = (kvt_key){.lo = kvt_mix64(chain[r] * DEPTH + i + 1)};
        const struct kvt_request q = {.id = r,
                                      .arrive_ns = now,
                                      .session = KVT_NONE,
                                      .prompt_tokens = depth[r] * BLOCK,
                                      .n_keys = depth[r],
                                      .keys = keys,
                                      .next_use = told ? next_use[r] : NULL};
        MUST(kvt_core_request(core, now, &q) == 0);
        MUST(kvt_null_world()->advance(world, core, now + KVT_SECOND) == 0);
    }
    kvt_core_digest(core, hex);
    kvt_core_stats(core, &stats);
    kvt_core_free(core);
    kvt_null_free(world);
    ck_assert_int_eq(kvt_record_finish(&record), 0);
    kvt_record_release(&record);
    return stats.hit_blocks;
}

static uint64_t replay(const struct kvt_alloc *alloc, const struct tape *tape, char hex[33])
{
    const struct kvt_core_config c = config();
    struct kvt_replay r;
    struct kvt_core_stats stats;
    int error, status;
    ck_assert_int_eq(kvt_replay_init(&r, alloc, tape->bytes, tape->n, NULL), 0);
    const struct kvt_port port = kvt_replay_port(&r);
    struct kvt_core *core = kvt_core_new(&c, &port, alloc, &error);
    ck_assert_ptr_nonnull(core);
    while ((status = kvt_replay_step(&r, core)) > 0)
        ;
    ck_assert_int_eq(status, 0);
    kvt_core_digest(core, hex);
    kvt_core_stats(core, &stats);
    kvt_core_free(core);
    kvt_replay_release(&r);
    return stats.hit_blocks;
}

START_TEST(belady)
{
    struct failing_alloc memory;
    const struct kvt_alloc *alloc = failing_alloc_init(&memory, 0);
    struct tape told = {0}, untold = {0};
    char first[33], again[33], blind[33];
    dice_seed((uint64_t)_i + 1);
    draw();
    const uint64_t hits = run(alloc, &told, true, first);
    ck_assert_uint_eq(replay(alloc, &told, again), hits);
    ck_assert_str_eq(first, again);
    ck_assert_uint_lt(run(alloc, &untold, false, blind), hits);
    ck_assert_str_ne(first, blind);
    ck_assert_uint_gt(told.n, untold.n);
    tape_release(&told);
    tape_release(&untold);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

/* Replaying needs memory for it as for everything else. */
START_TEST(no_memory)
{
    struct failing_alloc memory;
    struct tape tape = {0};
    char hex[33];
    dice_seed(9);
    draw();
    run(failing_alloc_init(&memory, 0), &tape, true, hex);
    for (uint64_t fail_at = 1;; fail_at++) {
        const struct kvt_core_config c = config();
        struct kvt_replay r;
        int error, status = -ENOMEM;
        const struct kvt_alloc *alloc = failing_alloc_init(&memory, fail_at);
        ck_assert_int_eq(kvt_replay_init(&r, alloc, tape.bytes, tape.n, NULL), 0);
        const struct kvt_port port = kvt_replay_port(&r);
        struct kvt_core *core = kvt_core_new(&c, &port, alloc, &error);
        while (core && (status = kvt_replay_step(&r, core)) > 0)
            ;
        ck_assert(status == 0 || status == -ENOMEM || status == -EBADMSG);
        kvt_core_free(core);
        kvt_replay_release(&r);
        ck_assert(failing_alloc_clean(&memory));
        if (memory.gets < fail_at) {
            ck_assert_int_eq(status, 0);
            break;
        }
    }
    tape_release(&tape);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("replay future");
    TCase *tests = tcase_create("replay future");
    tcase_add_loop_test(tests, belady, 0, 5);
    tcase_add_test(tests, no_memory);
    tcase_set_timeout(tests, 60);
    suite_add_tcase(suite, tests);
    return kvt_test_main(suite);
}
