/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_evict.c - every eviction policy beside a naive model, under random look-ups, inserts, parks,
 * unparks and removes; and without memory.
 *
 * The model keeps no lists. Each resident has a place in an order, a number that grows when it is put
 * at the newest end and sinks when at the oldest; the victim is found by looking at all. Nothing is
 * shared with what is tested but the sketch and the history of uses (test_evict_parts.c).
 */
#include "core/evict.h"

#include <errno.h>

#include "core/reuse.h"
#include "core/sketch.h"
#include "dice.h"
#include "failing_alloc.h"

enum { CAPACITY = 40, SLOTS = CAPACITY + 8, IDS = 130, OPERATIONS = 30000, GHOSTS = 1024 };

struct resident {
    bool here, parked, used;
    uint32_t part, uses, depth, tie;
    int64_t order; /* smaller is older */
    uint64_t id, next_use, expiry, last;
    double key, weight;
};

static struct {
    const char *policy;
    struct resident at[SLOTS];
    uint64_t ghost[2][GHOSTS]; /* oldest first */
    uint32_t n_ghosts[2];
    int64_t low, high;
    double p, floor;
    uint32_t ties, hand, chosen;
    bool evicted, warm_up_main;
    uint64_t now;
    struct kvt_sketch sketch;
    struct kvt_reuse reuse;
    float first_weight;
} m;

static bool is(const char *policy)
{
    return strcmp(m.policy, policy) == 0;
}

static void as_newest(uint32_t s)
{
    m.at[s].order = ++m.high;
}

static uint32_t count(uint32_t part)
{
    uint32_t n = 0;
    for (uint32_t s = 0; s < SLOTS; s++)
        n += m.at[s].here && m.at[s].part == part;
    return n;
}

/* Of those in line: the oldest (or newest) of a part; KVT_NONE. */
static uint32_t end_of(uint32_t part, bool newest)
{
    uint32_t best = KVT_NONE;
    for (uint32_t s = 0; s < SLOTS; s++)
        if (m.at[s].here && !m.at[s].parked && m.at[s].part == part &&
            (best == KVT_NONE || (m.at[s].order < m.at[best].order) != newest))
            best = s;
    return best;
}

static uint32_t oldest(uint32_t part)
{
    return end_of(part, false);
}

/* The next newer one in line after s. */
static uint32_t newer(uint32_t s)
{
    uint32_t best = KVT_NONE;
    for (uint32_t t = 0; t < SLOTS; t++)
        if (m.at[t].here && !m.at[t].parked && m.at[t].order > m.at[s].order &&
            (best == KVT_NONE || m.at[t].order < m.at[best].order))
            best = t;
    return best;
}

static int32_t ghost_of(uint64_t id, uint32_t *list)
{
    for (*list = 0; *list < 2; ++*list)
        for (uint32_t i = 0; i < m.n_ghosts[*list]; i++)
            if (m.ghost[*list][i] == id)
                return (int32_t)i;
    return -1;
}

static void drop_ghost(uint32_t list, uint32_t i)
{
    memmove(&m.ghost[list][i], &m.ghost[list][i + 1], (--m.n_ghosts[list] - i) * sizeof **m.ghost);
}

/* ---- What each policy does, in as many words ---------------------------------------------------- */

static void model_miss(const struct kvt_evict_item *item)
{
    uint32_t list;
    if (is("arc") && ghost_of(item->id, &list) >= 0) {
        const double ratio = (double)m.n_ghosts[!list] / m.n_ghosts[list];
        m.p += (list ? -1 : 1) * (ratio > 1 ? ratio : 1);
        m.p = m.p < 0 ? 0 : m.p > CAPACITY ? CAPACITY : m.p;
    }
    if (is("w-tinylfu"))
        kvt_sketch_add(&m.sketch, kvt_sketch_hash(item->id));
    if (is("value")) {
        m.now = item->now;
        kvt_reuse_saw(&m.reuse, item->id, false, item->now);
    }
}

static void shorten(uint32_t part, uint32_t room)
{
    while (count(part) > room && oldest(part) != KVT_NONE) {
        const uint32_t s = oldest(part);
        m.at[s].part = 1;
        as_newest(s);
    }
}

static void model_insert(uint32_t s, const struct kvt_evict_item *item)
{
    uint32_t list;
    const int32_t ghost = ghost_of(item->id, &list);
    const double weight = (item->cost_ns > 0 ? item->cost_ns : 1) / (double)item->size_b;
    m.now = item->now;
    m.at[s] = (struct resident){.here = true,
                                .id = item->id,
                                .next_use = item->next_use,
                                .expiry = item->expiry,
                                .depth = item->depth,
                                .last = item->now,
                                .weight = (double)(float)weight,
                                .tie = m.ties++};
    if (is("lfu") || is("gdsf"))
        m.at[s].uses = 1;
    m.at[s].key = m.floor + m.at[s].weight;
    if (m.first_weight == 0)
        m.first_weight = (float)weight;
    as_newest(s);
    if (ghost >= 0)
        drop_ghost(list, (uint32_t)ghost);
    if (is("arc")) {
        m.at[s].part = ghost >= 0;
        while (m.n_ghosts[0] && count(0) + m.n_ghosts[0] > CAPACITY)
            drop_ghost(0, 0);
        while (m.n_ghosts[1] && count(0) + count(1) + m.n_ghosts[0] + m.n_ghosts[1] > 2 * CAPACITY)
            drop_ghost(1, 0);
    } else if (is("s3-fifo")) {
        m.at[s].part = ghost >= 0 || (m.warm_up_main && !m.evicted && count(0) > CAPACITY / 10);
        while (m.n_ghosts[0] > CAPACITY * 9 / 10)
            drop_ghost(0, 0);
    } else if (is("w-tinylfu")) {
        shorten(0, 1);
    }
}

static void model_hit(uint32_t s, const struct kvt_evict_item *item)
{
    struct resident *r = &m.at[s];
    m.now = item->now;
    r->used = true;
    r->uses++;
    r->next_use = item->next_use;
    r->expiry = item->expiry;
    r->last = item->now;
    r->key = m.floor + r->uses * r->weight;
    if (!is("ttl"))
        r->tie = m.ties++;
    if (is("w-tinylfu")) {
        kvt_sketch_add(&m.sketch, kvt_sketch_hash(r->id));
        r->part = r->part == 0 ? 0 : 2;
    }
    if (is("value"))
        kvt_reuse_saw(&m.reuse, r->id, true, item->now);
    if (is("arc"))
        r->part = 1;
    if (m.chosen == s)
        m.chosen = KVT_NONE;
    if (!is("fifo") && !is("clock") && !is("sieve") && !is("s3-fifo"))
        as_newest(s);
    if (is("w-tinylfu"))
        shorten(2, (CAPACITY - 1) * 8 / 10);
}

static uint32_t s3fifo_victim(void)
{
    while (m.chosen == KVT_NONE) {
        const uint32_t small = oldest(0), main = oldest(1);
        if (small == KVT_NONE && main == KVT_NONE)
            return KVT_NONE;
        if (small == KVT_NONE || (count(1) > CAPACITY - CAPACITY / 10 && main != KVT_NONE)) {
            if (m.at[main].uses == 0) {
                m.chosen = main;
            } else {
                m.at[main].uses = (m.at[main].uses < 3 ? m.at[main].uses : 3) - 1;
                as_newest(main);
            }
        } else {
            uint32_t s;
            while ((s = oldest(0)) != KVT_NONE && m.at[s].uses >= 2) {
                m.at[s].part = 1;
                m.at[s].uses = 0;
                as_newest(s);
            }
            m.chosen = s;
        }
    }
    return m.chosen;
}

static uint32_t sieve_victim(void)
{
    uint32_t s = m.hand == KVT_NONE ? oldest(0) : m.hand;
    while (s != KVT_NONE && m.at[s].used) {
        m.at[s].used = false;
        s = newer(s) == KVT_NONE ? oldest(0) : newer(s);
    }
    m.hand = s;
    return s;
}

static uint32_t wtinylfu_victim(void)
{
    const uint32_t candidate = oldest(0), rival = oldest(1) != KVT_NONE ? oldest(1) : oldest(2);
    if (candidate == KVT_NONE || (rival != KVT_NONE && count(0) < 1))
        return rival;
    if (rival == KVT_NONE)
        return candidate;
    return kvt_sketch_estimate(&m.sketch, kvt_sketch_hash(m.at[candidate].id)) >
                   kvt_sketch_estimate(&m.sketch, kvt_sketch_hash(m.at[rival].id))
               ? rival
               : candidate;
}

static uint32_t arc_victim(const struct kvt_evict_item *incoming)
{
    uint32_t list = 0;
    const bool in_b2 = incoming && ghost_of(incoming->id, &list) >= 0 && list == 1;
    const double t1 = count(0);
    const uint32_t first = count(1) == 0 || (t1 > 0 && (t1 > m.p || (t1 == m.p && in_b2))) ? 0 : 1;
    return oldest(first) != KVT_NONE ? oldest(first) : oldest(!first);
}

/* Whether a leaves before b, in the orders that need no parts. */
static bool before(const struct resident *a, const struct resident *b)
{
    if (is("lfu") && a->uses != b->uses)
        return a->uses < b->uses;
    if (is("gdsf"))
        return a->key < b->key || (a->key == b->key && a->tie < b->tie);
    if (is("ttl"))
        return a->expiry < b->expiry || (a->expiry == b->expiry && a->tie < b->tie);
    if (is("belady") && a->next_use != b->next_use)
        return a->next_use > b->next_use;
    if (is("belady") && a->depth != b->depth)
        return a->depth > b->depth;
    return a->order < b->order;
}

/* Of equal cost per byte there is only one queue per class of uses; of each the two ends count. */
static uint32_t value_victim(void)
{
    uint32_t best = KVT_NONE;
    float least = 0;
    for (uint32_t q = 0; q < KVT_REUSE_CLASSES * 3; q++) {
        uint32_t ends[2] = {KVT_NONE, KVT_NONE};
        for (uint32_t s = 0; s < SLOTS; s++) {
            const struct resident *r = &m.at[s];
            const uint32_t level = r->weight < 1.5 ? 0 : r->weight < 3 ? 1 : 2;
            if (!r->here || r->parked || kvt_reuse_class(r->uses) * 3 + level != q)
                continue;
            if (ends[0] == KVT_NONE || r->order < m.at[ends[0]].order)
                ends[0] = s;
            if (ends[1] == KVT_NONE || r->order > m.at[ends[1]].order)
                ends[1] = s;
        }
        for (int e = 0; e < 2 && ends[e] != KVT_NONE; e++) {
            const struct resident *r = &m.at[ends[e]];
            const float value =
                (float)r->weight * kvt_reuse_density(&m.reuse, r->uses, m.now - r->last);
            if (best == KVT_NONE || value < least ||
                (value == least && r->last < m.at[best].last)) {
                best = ends[e];
                least = value;
            }
        }
    }
    return best;
}

static uint32_t model_victim(const struct kvt_evict_item *incoming)
{
    if (incoming)
        m.now = incoming->now;
    if (is("s3-fifo"))
        return s3fifo_victim();
    if (is("sieve"))
        return sieve_victim();
    if (is("w-tinylfu"))
        return wtinylfu_victim();
    if (is("arc"))
        return arc_victim(incoming);
    if (is("value"))
        return value_victim();
    for (;;) {
        uint32_t best = KVT_NONE;
        for (uint32_t s = 0; s < SLOTS; s++)
            if (m.at[s].here && !m.at[s].parked &&
                (best == KVT_NONE || before(&m.at[s], &m.at[best])))
                best = s;
        if (best == KVT_NONE || (is("ttl") && m.at[best].expiry > m.now))
            return KVT_NONE;
        if (!is("clock") || !m.at[best].used)
            return best;
        m.at[best].used = false;
        as_newest(best);
    }
}

static void leaves_line(uint32_t s)
{
    if (m.hand == s)
        m.hand = newer(s);
    if (m.chosen == s)
        m.chosen = KVT_NONE;
}

static void model_park(uint32_t s)
{
    leaves_line(s);
    m.at[s].parked = true;
}

static void model_unpark(uint32_t s)
{
    struct resident *r = &m.at[s];
    r->parked = false;
    m.chosen = KVT_NONE;
    if (is("belady") &&
        r->next_use == KVT_NEVER) { /* where its value says; of equals, the newest */
        as_newest(s);
        return;
    }
    if (is("sieve") && m.hand != KVT_NONE) { /* right behind the hand: all older ones make room */
        for (uint32_t t = 0; t < SLOTS; t++)
            if (t != s && m.at[t].here && !m.at[t].parked && m.at[t].order < m.at[m.hand].order)
                m.at[t].order--;
        m.low--;
        r->order = m.at[m.hand].order - 1;
        m.hand = s;
        return;
    }
    r->order = --m.low;
    if (is("sieve"))
        m.hand = s;
}

static void model_remove(uint32_t s, bool evicted)
{
    struct resident *r = &m.at[s];
    if (!r->parked)
        leaves_line(s);
    r->here = false;
    if (!evicted)
        return;
    m.evicted = true;
    if (r->key > m.floor)
        m.floor = r->key;
    if (is("arc") || (is("s3-fifo") && r->part == 0)) {
        const uint32_t room = is("arc") ? CAPACITY + 2 : CAPACITY * 9 / 10 + 2;
        if (is("arc") && m.n_ghosts[0] + m.n_ghosts[1] == room)
            drop_ghost(m.n_ghosts[1] > m.n_ghosts[0], 0);
        while (is("s3-fifo") && m.n_ghosts[0] > room - 1)
            drop_ghost(0, 0);
        m.ghost[r->part][m.n_ghosts[r->part]++] = r->id;
    }
}

static struct failing_alloc memory;
static struct kvt_pool rows;
static struct kvt_evict policy;
static kvt_ns now;

static int set_up(const struct kvt_evict_ops *ops, uint64_t fail_at)
{
    const struct kvt_alloc *alloc = failing_alloc_init(&memory, fail_at);
    const struct kvt_evict_config config = {.capacity = CAPACITY,
                                            .rows = &rows,
                                            .alloc = alloc,
                                            .warm_up_main = m.warm_up_main};
    kvt_pool_init(&rows, alloc, ops->row_b, KVT_ROWS_SHIFT);
    const int error = kvt_rows_cover(&rows, SLOTS - 1);
    if (error)
        return error;
    return kvt_evict_init(&policy, ops, &config) ? -ENOMEM : kvt_evict_reserve(&policy, SLOTS);
}

static void tear_down(void)
{
    kvt_evict_release(&policy);
    kvt_pool_release(&rows);
}

static struct kvt_evict_item draw_item(uint64_t id)
{
    return (struct kvt_evict_item){
        .id = id,
        .next_use = dice_one_in(3) ? KVT_NEVER : now + 1 + dice_below(1000000) * 1000000 + id,
        .now = now,
        .expiry = dice_one_in(9) ? KVT_NEVER : now + dice_below(60),
        .depth = (uint32_t)dice_below(5),
        .cost_ns = (float)(1u << dice_below(3)),
        .size_b = 1,
    };
}

static uint32_t residents(void)
{
    uint32_t n = 0;
    for (uint32_t s = 0; s < SLOTS; s++)
        n += m.at[s].here;
    return n;
}

/* A resident one, or KVT_NONE. */
static uint32_t draw_slot(bool parked)
{
    const uint32_t from = (uint32_t)dice_below(SLOTS);
    for (uint32_t i = 0; i < SLOTS; i++) {
        const uint32_t s = (from + i) % SLOTS;
        if (m.at[s].here && m.at[s].parked == parked)
            return s;
    }
    return KVT_NONE;
}

static uint32_t same_victim(const struct kvt_evict_item *incoming)
{
    const uint32_t s = policy.ops->victim(policy.state, incoming);
    MUST(s == model_victim(incoming));
    MUST(s == KVT_NONE || (s < SLOTS && m.at[s].here && !m.at[s].parked)); /* (E2) */
    MUST(s == policy.ops->victim(policy.state, incoming));
    return s;
}

static void remove_both(uint32_t s, bool evicted)
{
    policy.ops->remove(policy.state, s, m.at[s].id, evicted);
    model_remove(s, evicted);
}

static void park_both(uint32_t s)
{
    policy.ops->park(policy.state, s);
    model_park(s);
}

/* As owners do: who cannot leave is parked, the next is asked for. */
static bool make_room(const struct kvt_evict_item *incoming)
{
    while (residents() >= CAPACITY) {
        const uint32_t s = same_victim(incoming);
        if (s == KVT_NONE)
            return false;
        if (dice_one_in(4))
            park_both(s);
        else
            remove_both(s, true);
    }
    return true;
}

static void look_up(uint64_t id)
{
    const struct kvt_evict_item item = draw_item(id);
    for (uint32_t s = 0; s < SLOTS; s++)
        if (m.at[s].here && m.at[s].id == id) {
            if (!m.at[s].parked) {
                policy.ops->hit(policy.state, s, &item);
                model_hit(s, &item);
            }
            return;
        }
    if (policy.ops->miss)
        policy.ops->miss(policy.state, &item);
    model_miss(&item);
    if (dice_one_in(8) || !make_room(&item))
        return;
    uint32_t s = (uint32_t)dice_below(SLOTS);
    while (m.at[s].here)
        s = (s + 1) % SLOTS;
    policy.ops->insert(policy.state, s, &item);
    model_insert(s, &item);
}

static void one_operation(void)
{
    uint32_t s;
    const uint64_t what = dice_below(40);
    now += dice_below(3);
    if (what < 30) {
        look_up(dice_one_in(2) ? dice_below(12) : dice_below(IDS));
    } else if (what < 33) {
        if ((s = draw_slot(false)) != KVT_NONE && dice_one_in(2))
            park_both(s);
    } else if (what < 37) {
        if ((s = draw_slot(true)) != KVT_NONE) {
            policy.ops->unpark(policy.state, s);
            model_unpark(s);
        }
    } else if (what < 38) {
        if ((s = draw_slot(dice_one_in(2))) != KVT_NONE)
            remove_both(s, dice_one_in(4));
    } else {
        same_victim(NULL);
    }
}

START_TEST(as_the_naive_model_does)
{
    const struct kvt_evict_ops *ops = kvt_evict_all[_i];
    for (uint64_t seed = 1; seed <= 4; seed++) {
        dice_seed(seed);
        memset(&m, 0, sizeof m);
        m.policy = ops->name;
        m.hand = m.chosen = KVT_NONE;
        m.warm_up_main = seed % 2 == 0; /* s3-fifo's two definitions */
        now = 1;
        ck_assert_int_eq(set_up(ops, 0), 0);
        ck_assert_int_eq(kvt_sketch_init(&m.sketch, &memory.alloc, CAPACITY), 0);
        kvt_reuse_init(&m.reuse, &memory.alloc, CAPACITY);
        ck_assert_int_eq(kvt_reuse_reserve(&m.reuse, SLOTS), 0);
        const uint64_t gets = memory.gets;
        for (int i = 0; i < OPERATIONS; i++) {
            one_operation();
            char why[80] = "";
            if (i % 16 == 0 && !ops->check(policy.state, why, sizeof why))
                ck_abort_msg("%s: %s (seed %d, operation %d)", ops->name, why, (int)seed, i);
        }
        ck_assert_uint_eq(memory.gets, gets); /* (E4) */
        kvt_reuse_release(&m.reuse);
        kvt_sketch_release(&m.sketch);
        tear_down();
        ck_assert(failing_alloc_clean(&memory));
    }
}
END_TEST

START_TEST(without_memory)
{
    const struct kvt_evict_ops *ops = kvt_evict_all[_i];
    for (uint64_t n = 1;; n++) {
        const int error = set_up(ops, n);
        ck_assert_int_eq(error, memory.gets < n ? 0 : -ENOMEM);
        tear_down();
        ck_assert(failing_alloc_clean(&memory));
        if (!error)
            break;
    }
}
END_TEST

START_TEST(tables_are_whole)
{
    for (int i = 0; kvt_evict_all[i]; i++) {
        const struct kvt_evict_ops *ops = kvt_evict_all[i];
        ck_assert_ptr_eq(kvt_evict_named(ops->name), ops);
        ck_assert(ops->source && ops->init && ops->insert && ops->hit && ops->victim);
        ck_assert(ops->park && ops->unpark && ops->remove && ops->check);
        ck_assert(ops->row_b >= 4 && ops->row_b % 4 == 0 && ops->row_b <= 64);
    }
    ck_assert_ptr_null(kvt_evict_named("random"));
}
END_TEST

int main(void)
{
    int policies = 0;
    while (kvt_evict_all[policies])
        policies++;
    Suite *suite = suite_create("evict");
    TCase *tcase = tcase_create("policies");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, tables_are_whole);
    tcase_add_loop_test(tcase, as_the_naive_model_does, 0, policies);
    tcase_add_loop_test(tcase, without_memory, 0, policies);
    suite_add_tcase(suite, tcase);
    return kvt_test_main(suite);
}
