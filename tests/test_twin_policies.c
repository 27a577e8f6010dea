/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_twin_policies.c - the twin test under every way to write, to evict and to share: write-back, selective, exclusive,
 * tiers filled by loads or only used once, quotas, other engines' GPUs, each eviction policy.
 *
 *   calm    the same requests in both worlds, one after the other: the same decisions, and the recording replays
 *   crowd   many at a time in the real one: what was decided then, too, follows from the recording alone
 *
 * Everything that is loaded is compared byte for byte (verify), so this also tests that a block that is moved, or whose
 * pages come free when its store has ended, keeps its bytes.
 */
#include "twin_fixture.h"

enum { CALM = 100, CROWD = 120, ALL = 1000 };

struct policy {
    const char *name;
    void (*set)(struct real *r);
    const char *some,
        *none; /* a counter that shows that it was at work; one that has to be 0, or NULL */
};

static struct kvt_tier_config *add_tier(struct real *r, enum kvt_tier_kind tier, uint64_t blocks)
{
    real_tier(r, tier, blocks);
    return &r->core_config.tiers[tier];
}

/* A Redis from which core deletes. */
static struct kvt_tier_config *add_managed(struct real *r, uint64_t blocks)
{
    struct kvt_tier_config *c = add_tier(r, KVT_REDIS, ALL);
    c->manager = KVT_MANAGED_BY_CORE;
    c->capacity_blocks = blocks;
    c->probe = false;
    return c;
}

static void back(struct kvt_tier_config *c)
{
    c->write_through = false;
    c->write_back = true;
}

static void back_host(struct real *r)
{
    back(add_tier(r, KVT_HOST, 30));
}
static void back_redis(struct real *r)
{
    back(add_tier(r, KVT_REDIS, ALL));
}
static void back_redis_managed(struct real *r)
{
    back(add_managed(r, 30));
}
static void back_disk(struct real *r)
{
    back(add_tier(r, KVT_DISK, 30));
}
static void exclusive_host(struct real *r)
{
    back_host(r);
    r->core_config.tiers[KVT_HOST].exclusive = true;
}
static void exclusive_redis(struct real *r)
{
    back_redis_managed(r);
    r->core_config.tiers[KVT_REDIS].exclusive = true;
}
static void exclusive_disk(struct real *r)
{
    back_disk(r);
    r->core_config.tiers[KVT_DISK].exclusive = true;
}
static void selective(struct real *r)
{
    add_tier(r, KVT_HOST, ALL)->write_after = 2;
    add_tier(r, KVT_DISK, ALL)->write_after = 3;
}
static void only_read(struct real *r)
{
    add_tier(r, KVT_HOST, ALL)->write_through = false;
    add_tier(r, KVT_DISK, ALL);
}
static void filled_by_loads(struct real *r)
{
    struct kvt_tier_config *host = add_tier(r, KVT_HOST, ALL);
    host->write_after = 3;
    host->fill_loaded = true;
    add_tier(r, KVT_REDIS, ALL);
}
static void used_once(struct real *r)
{
    add_tier(r, KVT_HOST, ALL)->no_promote = true;
}
static void quotas(struct real *r)
{
    add_tier(r, KVT_HOST, 30);
    r->core_config.n_quotas = 2;
    r->core_config.quotas[0] = 0.6;
    r->core_config.quotas[1] = 0.3;
}
static void leaves_first(struct real *r)
{
    add_tier(r, KVT_DISK, 30)->prefix_closed = true;
    r->core_config.tiers[KVT_GPU].prefix_closed = true;
}
static void peers(struct real *r)
{
    r->core_config.tiers[KVT_PEER].present = r->config.tiers[KVT_PEER] = true;
    r->config.engines = r->core_config.engines = 2;
    r->core_config.router = KVT_ROUTE_ROUND_ROBIN;
}
static void peers_used_once(struct real *r)
{
    peers(r);
    r->core_config.tiers[KVT_PEER].no_promote = true;
}

static const struct policy policies[] = {
    {"back to host", back_host, "hit_host", NULL},
    {"back to redis", back_redis, "hit_redis", NULL},
    {"back to redis, core deletes", back_redis_managed, "evicted blocks redis", NULL},
    {"back to disk", back_disk, "hit_disk", NULL},
    {"exclusive host", exclusive_host, "hit_host", NULL},
    {"exclusive redis", exclusive_redis, "hit_redis", NULL},
    {"exclusive disk", exclusive_disk, "hit_disk", NULL},
    {"selective", selective, "hit_host", NULL},
    {"only read", only_read, "hit_disk", "hit_host"},
    {"filled by loads", filled_by_loads, "hit_redis", NULL},
    {"used once", used_once, "hit_host", NULL},
    {"quotas", quotas, "hit_host", NULL},
    {"leaves first", leaves_first, "evicted blocks disk", NULL},
    {"peers", peers, "hit_peer", NULL},
    {"peers, used once", peers_used_once, "hit_peer", NULL},
};
enum { POLICIES = sizeof policies / sizeof *policies };

/* What the next request names: one chain of a family's, a family being one tenant's. */
static uint32_t draw(struct real *r, uint32_t families, uint32_t names[CHAIN])
{
    const uint32_t family = (uint32_t)dice_below(families);
    for (uint32_t i = 0; i < CHAIN; i++)
        names[i] = family * 100 + i;
    r->tenant = family % 2;
    return 1 + (uint32_t)dice_below(CHAIN);
}

/* The store of a prompt that ends with its first token is the last to let go of its blocks (test_twin_real.c). */
static void calm(struct watched *w, const struct policy *policy)
{
    struct simulated s;
    struct validation v = {0};
    watch(w);
    simulate(&s, &w->real);
    for (uint64_t id = 0; id < CALM; id++) {
        uint32_t names[CHAIN];
        const uint32_t blocks = draw(&w->real, 14, names), output = (uint32_t)dice_below(2);
        real_request(&w->real, names, blocks, output);
        real_drain(&w->real, 10 * KVT_SECOND);
        simulate_request(&s, &w->real, id, names, blocks, output);
    }
    worlds_agree(w, &s, &v);
    ck_assert_uint_eq(v.requests, CALM);
    if (policy->some)
        ck_assert_msg(count_named(&v, policy->some)->real > 10, "%s", policy->name);
    if (policy->none)
        ck_assert_uint_eq(count_named(&v, policy->none)->real, 0);
    ck_assert_uint_gt(count_named(&v, "evicted blocks gpu")->real, 20);
    validate_release(&v);
    simulate_end(&s);
    unwatch(w);
}

static void crowd(struct watched *w)
{
    w->real.core_config.load_choice = KVT_LOAD_ADAPTIVE;
    w->real.core_config.load_patience = 0.5;
    w->real.core_config.prefill = (struct kvt_prefill_cost){2e5, 500, 0};
    watch(w);
    for (int i = 0; i < CROWD; i++) {
        uint32_t names[CHAIN];
        const uint32_t blocks = draw(&w->real, 20, names);
        real_request(&w->real, names, blocks, (uint32_t)dice_below(30));
        real_pass(&w->real, dice_below(1500) * KVT_MICROSECOND);
    }
    real_drain(&w->real, 20 * KVT_SECOND);
    replay_agrees(w);
    ck_assert_uint_eq(w->meter.n_reports, CROWD);
    unwatch(w);
}

START_TEST(calm_under)
{
    struct watched w = {0};
    dice_seed(31);
    real_init(&w.real, 16);
    policies[_i].set(&w.real);
    calm(&w, &policies[_i]);
}
END_TEST

START_TEST(crowd_under)
{
    struct watched w = {0};
    dice_seed(32);
    real_init(&w.real, 16);
    policies[_i].set(&w.real);
    crowd(&w);
}
END_TEST

/* ---- Who leaves. --------------------------------------------------------------------------------- */

/* The n-th eviction policy that does without the future, and without time; NULL behind the last. */
static const struct kvt_evict_ops *evict_at(int n)
{
    const struct kvt_evict_ops *const *ops = kvt_evict_all;
    for (; *ops; ops++)
        if (!(*ops)->needs_future && !(*ops)->needs_ttl && n-- == 0)
            return *ops;
    return NULL;
}

static void evicts_by(struct real *r, const struct kvt_evict_ops *ops)
{
    real_init(r, 16);
    real_tier(r, KVT_HOST, 30);
    r->core_config.tiers[KVT_GPU].evict = r->core_config.tiers[KVT_HOST].evict = ops;
}

START_TEST(calm_evicting)
{
    struct watched w = {0};
    const struct kvt_evict_ops *ops = evict_at(_i);
    dice_seed(33);
    evicts_by(&w.real, ops);
    const struct policy policy = {ops->name, NULL, "hit_host", NULL};
    calm(&w, &policy);
}
END_TEST

START_TEST(crowd_evicting)
{
    struct watched w = {0};
    const struct kvt_evict_ops *ops = evict_at(_i);
    dice_seed(34);
    evicts_by(&w.real, ops);
    crowd(&w);
}
END_TEST

int main(void)
{
    int evicts = 0;
    while (evict_at(evicts))
        evicts++;
    Suite *suite = suite_create("twin policies");
    TCase *tcase = tcase_create("twin policies");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, calm_under, 0, POLICIES);
    tcase_add_loop_test(tcase, crowd_under, 0, POLICIES);
    tcase_add_loop_test(tcase, calm_evicting, 0, evicts);
    tcase_add_loop_test(tcase, crowd_evicting, 0, evicts);
    suite_add_tcase(suite, tcase);
    return kvt_test_main(suite);
}
