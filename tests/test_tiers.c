/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_tiers.c - who enters a tier and who leaves it: leaves first, write-back, exclusive and selective
 * tiers, promotion, quotas.
 *
 * Prompts come one at a time into the null world, where nothing is ever in use but the prompt at
 * hand, so what must be held follows from the rules alone. Beside leaves-first LRU stands a model that
 * looks for its victim by walking all blocks; the other policies are held to what every one of them has to keep: no
 * orphan, every invariant.
 */
#include "core/internal.h"

#include "core/mix.h"
#include "core/null.h"
#include "dice.h"
#include "failing_alloc.h"
#include "kvt_test.h"

enum { BLOCK = 4, DEPTH = 24, REQUESTS = 3000, TREE = 1 << 12 };

/* ---- One prompt at a time ---------------------------------------------------------------------- */

struct bed {
    struct failing_alloc memory;
    struct kvt_null *world;
    struct kvt_core *core;
    kvt_ns now;
    uint64_t id;
    struct kvt_core_stats before; /* the last prompt */
};

static void small(struct kvt_core_config *c, uint64_t gpu_blocks)
{
    kvt_core_config_init(c);
    c->block_tokens = c->page_tokens = BLOCK;
    c->page_numbers = false;
    c->recompute_last_token = false;
    c->load_choice = KVT_LOAD_ALWAYS;
    c->tiers[KVT_GPU].capacity_blocks = gpu_blocks;
    c->prefill = (struct kvt_prefill_cost){0, 1000, 1};
    for (int t = KVT_HOST; t < KVT_TIERS; t++)
        c->tiers[t].stored_b_per_token = 1;
}

static void bed_init(struct bed *b, const struct kvt_core_config *c)
{
    *b = (struct bed){0};
    const struct kvt_alloc *alloc = failing_alloc_init(&b->memory, 0);
    b->world = kvt_null_new(alloc, NULL);
    const struct kvt_port port = kvt_null_port(b->world);
    int error;
    const char *wrong = kvt_core_config_check(c);
    ck_assert_msg(!wrong, "%s", wrong);
    b->core = kvt_core_new(c, &port, alloc, &error);
    ck_assert_ptr_nonnull(b->core);
}

static void bed_release(struct bed *b)
{
    kvt_core_free(b->core);
    kvt_null_free(b->world);
    ck_assert(failing_alloc_clean(&b->memory));
}

/* Serves a prompt of n blocks to its end. Returns how many of them were hits. */
static uint64_t serve(struct bed *b, uint32_t tenant, const kvt_key *keys, uint32_t n)
{
    const struct kvt_request r = {.id = b->id++,
                                  .arrive_ns = b->now,
                                  .tenant = tenant,
                                  .session = KVT_NONE,
                                  .prompt_tokens = n * BLOCK,
                                  .n_keys = n,
                                  .keys = keys};
    kvt_core_stats(b->core, &b->before);
    MUST(kvt_core_request(b->core, b->now, &r) == 0);
    b->now += KVT_SECOND;
    MUST(kvt_null_world()->advance(b->world, b->core, b->now) == 0);
    MUST(kvt_core_unfinished(b->core) == 0);
    struct kvt_core_stats after;
    kvt_core_stats(b->core, &after);
    return after.hit_blocks - b->before.hit_blocks;
}

static void check(const struct bed *b)
{
    char why[200] = "";
    const bool good = kvt_core_check(b->core, why, sizeof why);
    ck_assert_msg(good, "%s (seed %llu)", why, (unsigned long long)dice.seed);
}

static uint64_t held(const struct bed *b, enum kvt_tier_kind tier)
{
    struct kvt_core_gauges g;
    kvt_core_gauges(b->core, KVT_NONE, &g);
    return g.held_blocks[tier];
}

static bool holds(const struct bed *b, kvt_key key, enum kvt_tier_kind tier)
{
    const uint32_t block = kvt_index_find(&b->core->blocks.index, key);
    return block != KVT_NONE && kvt_copy_peek(&b->core->room, block,
                                              kvt_room_place(&b->core->room, tier, 0)) != KVT_NONE;
}

/* ---- Prompts: paths from the root of a tree of three branches ------------------------------------ */

/* Writes keys and node numbers of a path. Beginnings are drawn more often than ends. */
static uint32_t any_path(kvt_key keys[DEPTH], uint32_t nodes[DEPTH])
{
    const uint32_t n = 1 + (uint32_t)dice_below(6);
    uint32_t node = 0;
    for (uint32_t i = 0; i < n; i++) {
        node = node * 3 + 1 + (uint32_t)(dice_one_in(2) ? 0 : dice_below(3));
        nodes[i] = node;
        keys[i] = (kvt_key){kvt_mix64(node), kvt_mix64(node + 1000000)};
    }
    return n;
}

static kvt_key lone_key(uint64_t number)
{
    return (kvt_key){kvt_mix64(number + 5000000), kvt_mix64(number + 9000000)};
}

/* ---- Leaves first -------------------------------------------------------------------------------- */

/* LRU, leaves first, the slow way. */
struct model {
    uint64_t used[TREE]; /* when last; 0: not held */
    uint64_t clock, held, capacity;
};

static uint32_t parent(uint32_t node)
{
    return (node - 1) / 3;
}

static bool has_child(const struct model *m, uint32_t node)
{
    for (uint32_t c = node * 3 + 1; c <= node * 3 + 3; c++)
        if (c < TREE && m->used[c])
            return true;
    return false;
}

static void evict_one(struct model *m, const uint32_t *path, uint32_t n)
{
    uint32_t victim = 0;
    for (uint32_t node = 1; node < TREE; node++) {
        bool on_path = false;
        for (uint32_t i = 0; i < n; i++)
            on_path |= path[i] == node;
        if (m->used[node] && !on_path && !has_child(m, node) &&
            (!victim || m->used[node] < m->used[victim]))
            victim = node;
    }
    MUST(victim != 0);
    m->used[victim] = 0;
    m->held--;
}

static uint64_t model_serve(struct model *m, const uint32_t *path, uint32_t n, bool leaf_order)
{
    uint64_t hits = 0, new = 0;
    while (hits < n && m->used[path[hits]])
        hits++;
    for (uint32_t i = 0; i < n; i++)
        new += !m->used[path[i]];
    while (m->held + new > m->capacity)
        evict_one(m, path, n);
    m->held += new;
    for (uint32_t k = 0; k < n; k++)
        m->used[path[leaf_order ? n - 1 - k : k]] = ++m->clock;
    return hits;
}

START_TEST(lru_leaves_first_beside_its_model)
{
    static struct model m;
    dice_seed((uint64_t)_i + 1);
    m = (struct model){.capacity = 8 + dice_below(60)};
    struct kvt_core_config c;
    small(&c, m.capacity);
    c.tiers[KVT_GPU].prefix_closed = true;
    c.touch = _i & 1 ? KVT_TOUCH_LEAF : KVT_TOUCH_HEAD;
    struct bed b;
    bed_init(&b, &c);
    for (int r = 0; r < REQUESTS / 4; r++) {
        kvt_key keys[DEPTH];
        uint32_t path[DEPTH];
        const uint32_t n = any_path(keys, path);
        const uint64_t expected = model_serve(&m, path, n, _i & 1);
        MUST(serve(&b, 0, keys, n) == expected);
        MUST(held(&b, KVT_GPU) == m.held);
    }
    MUST(parent(4) == 1);
    check(&b);
    bed_release(&b);
}
END_TEST

/* Whatever the policy: no hole, hence no orphan. Plain, most leave some. */
START_TEST(no_policy_leaves_orphans_when_leaves_go_first)
{
    const struct kvt_evict_ops *ops = kvt_evict_all[_i];
    if (ops->refuses)
        return; /* has no say over memory that requests need */
    dice_seed((uint64_t)_i + 100);
    struct kvt_core_config c;
    small(&c, 20);
    c.tiers[KVT_GPU].evict = ops;
    c.tiers[KVT_GPU].prefix_closed = true;
    if (ops->needs_ttl)
        c.tiers[KVT_GPU].ttl_ns = 100 * KVT_SECOND;
    struct bed b;
    bed_init(&b, &c);
    uint64_t hits = 0;
    for (int r = 0; r < REQUESTS; r++) {
        kvt_key keys[DEPTH];
        uint32_t path[DEPTH];
        uint64_t orphan_b[KVT_TIERS];
        const uint32_t n = any_path(keys, path);
        hits += serve(&b, 0, keys, n);
        kvt_core_orphans(b.core, orphan_b);
        MUST(orphan_b[KVT_GPU] == 0);
        if (r % 64 == 0)
            check(&b);
    }
    MUST(hits > 0);
    check(&b);
    bed_release(&b);
}
END_TEST

/* ---- Writing --------------------------------------------------------------------------------------- */

/* With endless room below nothing that was computed is ever computed again, though it is written only
 * when it leaves. */
START_TEST(write_back_loses_nothing)
{
    static bool seen[TREE];
    memset(seen, 0, sizeof seen);
    dice_seed((uint64_t)_i + 200);
    struct kvt_core_config c;
    small(&c, 12);
    c.tiers[KVT_GPU].prefix_closed = _i & 1;
    c.tiers[KVT_HOST].present = true;
    c.tiers[KVT_HOST].write_back = true;
    c.tiers[KVT_HOST].write_through = false;
    c.tiers[KVT_HOST].exclusive = _i & 2;
    struct bed b;
    bed_init(&b, &c);
    for (int r = 0; r < REQUESTS; r++) {
        kvt_key keys[DEPTH];
        uint32_t path[DEPTH];
        const uint32_t n = any_path(keys, path);
        uint64_t expected = 0;
        while (expected < n && seen[path[expected]])
            expected++;
        MUST(serve(&b, 0, keys, n) == expected);
        for (uint32_t i = 0; i < n; i++)
            seen[path[i]] = true;
        if (r % 64)
            continue;
        check(&b);
        uint64_t both = 0;
        for (uint32_t node = 1; node < TREE; node++) {
            const kvt_key key = {kvt_mix64(node), kvt_mix64(node + 1000000)};
            const bool gpu = holds(&b, key, KVT_GPU), host = holds(&b, key, KVT_HOST);
            MUST(seen[node] == (gpu || host));
            both += gpu && host;
        }
        /* exclusive: in one place, but for what was written to make room and not needed after all */
        MUST(!(_i & 2) || both <= 6);
    }
    struct kvt_core_stats stats;
    kvt_core_stats(b.core, &stats);
    MUST(stats.store_shed_blocks[KVT_HOST] == 0 && stats.store_failures[KVT_HOST] == 0);
    MUST(stats.evicted_blocks[KVT_GPU] > 0 && stats.loaded_blocks[KVT_HOST] > 0);
    bed_release(&b);
}
END_TEST

/* A tier that is down takes nothing, and nobody waits for it. */
START_TEST(write_back_to_a_tier_that_is_down)
{
    struct kvt_core_config c;
    small(&c, 8);
    c.tiers[KVT_HOST].present = true;
    c.tiers[KVT_HOST].write_back = true;
    c.tiers[KVT_HOST].write_through = false;
    struct bed b;
    bed_init(&b, &c);
    dice_seed(7);
    for (int r = 0; r < 200; r++) {
        kvt_key keys[DEPTH];
        uint32_t path[DEPTH];
        if (r == 100)
            kvt_core_down(b.core, b.now, KVT_HOST, (kvt_engine_id){0});
        if (r == 150)
            kvt_core_up(b.core, b.now, KVT_HOST, (kvt_engine_id){0});
        const uint64_t before = held(&b, KVT_HOST);
        serve(&b, 0, keys, any_path(keys, path));
        MUST(r < 100 || r >= 150 || held(&b, KVT_HOST) == before);
        check(&b);
    }
    bed_release(&b);
}
END_TEST

START_TEST(selective_tiers_take_what_was_used_often)
{
    enum { KEYS = 40, AFTER = 3 };
    static uint32_t uses[KEYS];
    memset(uses, 0, sizeof uses);
    dice_seed(11);
    struct kvt_core_config c;
    small(&c, UINT64_MAX);
    c.tiers[KVT_REDIS].present = true;
    c.tiers[KVT_REDIS].write_after = AFTER;
    struct bed b;
    bed_init(&b, &c);
    for (int r = 0; r < 200; r++) {
        const uint64_t k = dice_below(KEYS);
        const kvt_key key = lone_key(k);
        serve(&b, 0, &key, 1);
        uses[k]++;
        for (uint64_t i = 0; i < KEYS; i++)
            MUST(holds(&b, lone_key(i), KVT_REDIS) == (uses[i] >= AFTER));
    }
    bed_release(&b);
}
END_TEST

START_TEST(what_is_not_promoted_leaves_no_trace_on_the_gpu)
{
    struct kvt_core_config c;
    small(&c, 4);
    c.tiers[KVT_HOST].present = true;
    c.tiers[KVT_HOST].no_promote = true;
    struct bed b;
    bed_init(&b, &c);
    for (uint64_t k = 0; k < 8; k++) /* 4 .. 7 remain on the GPU */
        MUST(serve(&b, 0, &(kvt_key){lone_key(k).hi, lone_key(k).lo}, 1) == 0);
    for (uint64_t k = 0; k < 8; k++)
        MUST(holds(&b, lone_key(k), KVT_HOST) && holds(&b, lone_key(k), KVT_GPU) == (k >= 4));
    const kvt_key first = lone_key(0);
    MUST(serve(&b, 0, &first, 1) == 1);
    MUST(!holds(&b, first, KVT_GPU) && holds(&b, first, KVT_HOST));
    check(&b);
    bed_release(&b);
}
END_TEST

START_TEST(tiers_fill_from_below_when_told)
{
    for (int fill = 0; fill < 2; fill++) {
        struct kvt_core_config c;
        small(&c, 1);
        c.tiers[KVT_HOST].present = c.tiers[KVT_REDIS].present = true;
        c.tiers[KVT_HOST].capacity_blocks = 1;
        c.tiers[KVT_HOST].fill_loaded = fill;
        struct bed b;
        bed_init(&b, &c);
        const kvt_key one = lone_key(1), two = lone_key(2);
        MUST(serve(&b, 0, &one, 1) == 0 && serve(&b, 0, &two, 1) == 0);
        MUST(holds(&b, two, KVT_HOST) && !holds(&b, one, KVT_HOST));
        MUST(serve(&b, 0, &one, 1) == 1); /* from redis */
        MUST(holds(&b, one, KVT_HOST) == fill);
        check(&b);
        bed_release(&b);
    }
}
END_TEST

/* ---- Quotas ---------------------------------------------------------------------------------------- */

/* A tenant that needs half of the room, and one that floods it. Returns the first one's hits in the
 * second half of the run. */
static uint64_t flooded(const struct kvt_evict_ops *ops, bool quotas, bool closed)
{
    enum { ROOM = 40, OWN = 18, ROUNDS = 60 };
    struct kvt_core_config c;
    small(&c, ROOM);
    c.tiers[KVT_GPU].evict = ops;
    c.tiers[KVT_GPU].prefix_closed = closed;
    if (ops->needs_ttl)
        c.tiers[KVT_GPU].ttl_ns = 1000000 * KVT_SECOND;
    c.n_quotas = quotas ? 2 : 0;
    c.quotas[0] = c.quotas[1] = 0.5;
    struct bed b;
    bed_init(&b, &c);
    uint64_t hits = 0, unique = 1000;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        for (uint64_t k = 0; k < OWN; k++) {
            const kvt_key key = lone_key(k);
            const uint64_t hit = serve(&b, 0, &key, 1);
            hits += round >= ROUNDS / 2 ? hit : 0;
            for (int f = 0; f < 4; f++) {
                const kvt_key other = lone_key(unique++);
                serve(&b, 1, &other, 1);
            }
        }
        check(&b);
    }
    bed_release(&b);
    return hits;
}

START_TEST(no_tenant_floods_another_out)
{
    const struct kvt_evict_ops *ops = kvt_evict_all[_i];
    if (ops->refuses || ops->needs_future)
        return;
    dice_seed((uint64_t)_i);
    MUST(flooded(ops, true, false) == 18 * 30);
    MUST(flooded(ops, true, true) == 18 * 30);
    if (strcmp(ops->name, "lru") == 0 || strcmp(ops->name, "fifo") == 0)
        MUST(flooded(ops, false, false) == 0);
}
END_TEST

/* What others leave unused a tenant may use. */
START_TEST(quotas_waste_no_room)
{
    struct kvt_core_config c;
    small(&c, 40);
    c.n_quotas = 2;
    c.quotas[0] = c.quotas[1] = 0.5;
    struct bed b;
    bed_init(&b, &c);
    for (int round = 0; round < 3; round++)
        for (uint64_t k = 0; k < 40; k++) {
            const kvt_key key = lone_key(k);
            MUST(serve(&b, 7, &key, 1) == (round > 0));
        }
    check(&b);
    bed_release(&b);
}
END_TEST

int main(void)
{
    size_t policies = 0;
    while (kvt_evict_all[policies])
        policies++;
    Suite *s = suite_create("tiers");
    TCase *leaves = tcase_create("leaves");
    tcase_set_timeout(leaves, 120);
    tcase_add_loop_test(leaves, lru_leaves_first_beside_its_model, 0, 12);
    tcase_add_loop_test(leaves, no_policy_leaves_orphans_when_leaves_go_first, 0, (int)policies);
    suite_add_tcase(s, leaves);
    TCase *writing = tcase_create("writing");
    tcase_set_timeout(writing, 120);
    tcase_add_loop_test(writing, write_back_loses_nothing, 0, 4);
    tcase_add_test(writing, write_back_to_a_tier_that_is_down);
    tcase_add_test(writing, selective_tiers_take_what_was_used_often);
    tcase_add_test(writing, what_is_not_promoted_leaves_no_trace_on_the_gpu);
    tcase_add_test(writing, tiers_fill_from_below_when_told);
    suite_add_tcase(s, writing);
    TCase *quotas = tcase_create("quotas");
    tcase_add_loop_test(quotas, no_tenant_floods_another_out, 0, (int)policies);
    tcase_add_test(quotas, quotas_waste_no_room);
    suite_add_tcase(s, quotas);
    return kvt_test_main(s);
}
