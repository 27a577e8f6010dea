/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_shards.c - the closed forms of shards.h beside whole runs: a core on a simulated world, one
 * context that is cached, one request alone. Time to first token and per token agree to the nanosecond.
 */
#include "../cli/shards.h"

#include "../core/mix.h"
#include "heap.h"
#include "kvt_test.h"
#include "resolved_text.h"

#include <string.h>

enum { BLOCK = 500, MOST_BLOCKS = 300 };

static struct kvt_report seen;

static void note(void *self, const struct kvt_note *n)
{
    (void)self;
    if (n->kind == KVT_NOTE_REPORT)
        seen = *n->report;
}

static void resolve_text(struct resolved *r, const char *model, uint32_t gpus, const char *policy,
                         const char *access)
{
    resolved_text(r, BLOCK,
                  "cluster: {model: %s, gpu: h100-80g-sxm, gpus_per_engine: %u}\n"
                  "cache:\n  block_tokens: 500\n  page_tokens: 20\n"
                  "  shard: {policy: %s, access: %s}\n  tiers:\n    - {kind: gpu}\n",
                  model, gpus, policy, access);
}

static void run(struct kvt_core *core, struct sim_world *world, kvt_ns at, uint64_t id,
                uint32_t blocks, uint32_t output)
{
    static kvt_key keys[MOST_BLOCKS];
    for (uint32_t i = 0; i < blocks; i++)
        keys[i] = (kvt_key){kvt_mix64(i + 1), kvt_mix64(i + 1000)};
    const struct kvt_world_ops *ops = sim_world_ops();
    const struct kvt_request q = {.id = id,
                                  .arrive_ns = at,
                                  .session = KVT_NONE,
                                  .prompt_tokens = blocks * BLOCK + 1,
                                  .output_tokens = output,
                                  .n_keys = blocks,
                                  .keys = keys};
    ck_assert_int_eq(ops->advance(world, core, at), 0);
    ck_assert_int_eq(kvt_core_request(core, at, &q), 0);
    while (ops->next(world) != KVT_NEVER)
        ck_assert_int_eq(ops->advance(world, core, ops->next(world)), 0);
    ck_assert_uint_eq(kvt_core_unfinished(core), 0);
}

static void compare(const char *model, uint32_t gpus, const char *policy, const char *access,
                    uint32_t blocks)
{
    static struct resolved r;
    char why[200] = "";
    int error;
    resolve_text(&r, model, gpus, policy, access);
    const struct kvt_observer observer = {note, NULL};
    struct sim_world *world = sim_world_new(&r.sim, &observer, why, sizeof why);
    ck_assert_msg(world != NULL, "%s", why);
    const struct kvt_port port = sim_world_port(world);
    struct kvt_core *core = kvt_core_new(&r.core, &port, &heap, &error);
    ck_assert_ptr_nonnull(core);
    run(core, world, 0, 1, blocks, 0); /* computes and caches it */
    const kvt_ns at = UINT64_C(100000) * KVT_SECOND;
    run(core, world, at, 2, blocks, 2);
    const uint32_t tokens = blocks * BLOCK + 1;
    ck_assert_uint_eq(seen.id, 2);
    ck_assert_uint_eq(seen.ledger_tokens[KVT_HIT_GPU], tokens - 1);
    struct shards_cost first, next;
    const struct kvt_shard_ops *ops = kvt_shard_named(policy);
    ck_assert(shards_cost_of(&r, ops, r.core.shard.access, tokens, &first));
    /* the second output token sees the first one too */
    ck_assert(shards_cost_of(&r, ops, r.core.shard.access, tokens + 1, &next));
    ck_assert_msg(seen.first_token_ns - at == first.first_token_ns,
                  "%s %s %u x %u blocks: first token %llu, closed form %llu", policy, access, gpus,
                  blocks, (unsigned long long)(seen.first_token_ns - at),
                  (unsigned long long)first.first_token_ns);
    ck_assert_msg(seen.finish_ns - seen.first_token_ns == next.token_ns,
                  "%s %s %u x %u blocks: token %llu, closed form %llu", policy, access, gpus,
                  blocks, (unsigned long long)(seen.finish_ns - seen.first_token_ns),
                  (unsigned long long)next.token_ns);
    kvt_core_free(core);
    sim_world_free(world);
}

START_TEST(test_alone_a_run_is_its_closed_form)
{
    static const char *const accesses[] = {"gather", "in_place"};
    for (int p = 0; kvt_shard_all[p]; p++) {
        for (int a = 0; a < 2; a++) {
            compare("llama-3.1-8b", 8, kvt_shard_all[p]->name, accesses[a], 200);
            compare("llama-3.1-8b", 8, kvt_shard_all[p]->name, accesses[a], 3);
            compare("llama-3.1-70b", 16, kvt_shard_all[p]->name, accesses[a], 250);
        }
    }
}
END_TEST

/* Gathering 100,000 tokens of 131,072 bytes from 8 GPUs that hold an eighth each: every port sends
 * 7/8 of it, 1,433,600,000 bytes at 450 GB/s, and the first byte takes 5.2 us. */
START_TEST(test_the_known_case)
{
    static struct resolved r;
    struct shards_cost c;
    resolve_text(&r, "llama-3.1-8b", 8, "horizontal", "gather");
    ck_assert(shards_cost_of(&r, kvt_shard_named("horizontal"), KVT_ACCESS_GATHER, 100001, &c));
    ck_assert_uint_eq(c.gather_b, UINT64_C(100000) * 131072 / 8 * 7);
    ck_assert_uint_eq(c.gather_ns, 3185778 + 5200);
    ck_assert_double_eq_tol(c.held_balance, 1, 1e-12);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shards");
    TCase *tc = tcase_create("closed forms");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_alone_a_run_is_its_closed_form);
    tcase_add_test(tc, test_the_known_case);
    suite_add_tcase(suite, tc);
    return kvt_test_main(suite);
}
