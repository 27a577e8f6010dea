/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_matching.c - matching by tokens inside core: no reuse ever covers a token that differs from the cached one,
 * or one behind a difference.
 *
 * Core runs in the null world, with a wire-tap on its steps. What a request did not compute it must
 * have found, so whenever a step begins further on than the request had come by itself, some other prompt
 * of the same tenant has to begin with exactly the same tokens up to there, and has to have come that
 * far. That is held for all matchers, all eviction policies, plain and leaves first, in a cache much too small.
 *
 * Pages have contents here: for each token, what stands for it and all tokens before it. Steps write them, copies of
 * parts of blocks move them, loads bring them back, and whatever a step finds in place must be right, token by
 * token. So a copy that covered a token too many would show, and so would a source that was written to.
 * Each part that is copied is held against the best of all blocks held at that time.
 *
 * What the counters say is held against a comparison with every earlier prompt, in a cache that keeps all.
 */
#include <errno.h>
#include <string.h>

#include "core/internal.h"
#include "core/key.h"
#include "core/null.h"
#include "core/ratio.h"
#include "dice.h"
#include "failing_alloc.h"

enum { PROMPTS = 160, LONGEST = 120, BLOCK = 8, PAGE = 2, TENANTS = 2, ENGINES = 2 };
enum { IN_BLOCK = BLOCK / PAGE, PAGES = 90 * IN_BLOCK };

static struct prompt {
    uint32_t tokens[LONGEST], letters[LONGEST], n, outputs, tenant;
    uint32_t reach; /* its KV is right up to there */
    bool arrived;
    uint64_t kv[LONGEST]; /* of each token: what stands for it and all before it */
    kvt_key keys[LONGEST];
} prompts[PROMPTS];

static uint64_t memory_of[ENGINES][PAGES][PAGE];
static bool contents; /* pages have numbers, so they are looked at */
static uint64_t copied_tokens;

static struct kvt_core *core;
static struct kvt_port inner;
static uint64_t jumps, jumped_tokens;
static bool all_or_nothing;

/* The beginning of an earlier prompt with some tokens changed, and more behind it. */
static void draw(uint32_t p)
{
    struct prompt *to = &prompts[p];
    uint32_t n = 0;
    memset(to, 0, sizeof *to);
    if (p > 0 && !dice_one_in(6)) {
        const struct prompt *from = &prompts[dice_below(p)];
        n = dice_one_in(2) ? from->n : (uint32_t)dice_below(from->n + 1);
        memcpy(to->tokens, from->tokens, n * sizeof *to->tokens);
    }
    for (uint64_t changes = dice_below(3); changes > 0 && n > 0; changes--)
        to->tokens[dice_below(n)] = (uint32_t)dice_below(1000);
    for (uint64_t more = n > 0 && dice_one_in(2) ? 0 : dice_below(60); more && n < LONGEST; more--)
        to->tokens[n++] = (uint32_t)dice_below(1000);
    to->n = n ? n : 1;
    to->outputs = (uint32_t)dice_below(12);
    to->tenant = (uint32_t)dice_below(TENANTS);
    for (uint32_t i = 0; i < n; i++)
        to->letters[i] = 'a' + to->tokens[i] % 26;
}

static void name(struct prompt *p)
{
    struct kvt_namespace ns;
    uint64_t kv = p->tenant;
    MUST(kvt_namespace_init(&ns, p->tenant ? "b" : "a", "", "") == 0);
    MUST(kvt_key_chain(&ns, p->tokens, p->n, BLOCK, false, p->keys) == p->n / BLOCK);
    for (uint32_t i = 0; i < p->n; i++)
        p->kv[i] = kv = kvt_mix64(kv + p->tokens[i] + 1);
}

static uint32_t same(const struct prompt *a, const struct prompt *b)
{
    uint32_t n = 0;
    while (n < a->n && n < b->n && a->tokens[n] == b->tokens[n])
        n++;
    return n;
}

/* Did another prompt with the same first n tokens, and the same tenant, come that far? */
static bool known(uint32_t p, uint32_t n)
{
    for (uint32_t q = 0; q < PROMPTS; q++)
        if (q != p && prompts[q].arrived && prompts[q].tenant == prompts[p].tenant &&
            prompts[q].reach >= n && same(&prompts[p], &prompts[q]) >= n)
            return true;
    return false;
}

static void watch(const struct kvt_sequence *s)
{
    const uint32_t p = (uint32_t)s->request;
    struct prompt *prompt = &prompts[p];
    if (s->first_token > prompt->reach) {
        const uint32_t n = s->first_token, whole = prompt->n / BLOCK * BLOCK;
        MUST(n <= prompt->n && known(p, n));
        /* a full hit computes its last token again */
        MUST(n % BLOCK == 0 || n + 1 == prompt->n || core->config.reuse_partial);
        MUST(!all_or_nothing || n >= whole || n + 1 == whole);
        jumps++;
        jumped_tokens += n;
    }
    if (s->first_token + s->tokens > prompt->reach)
        prompt->reach = s->first_token + s->tokens;
}

/* ---- What is in the pages ----------------------------------------------------------------------------- */

static uint64_t *slot(uint32_t engine, const uint32_t *pages, uint32_t token)
{
    MUST(pages[token / PAGE] < PAGES);
    return &memory_of[engine][pages[token / PAGE]][token % PAGE];
}

static void copy(uint32_t engine, const struct kvt_step_copy *c)
{
    uint32_t to[IN_BLOCK], from[IN_BLOCK];
    MUST(c->tokens > 0 && c->tokens < BLOCK);
    if (!contents)
        return;
    MUST(kvt_core_pages(core, (kvt_engine_id){engine}, c->page, to, IN_BLOCK) == IN_BLOCK);
    MUST(kvt_core_pages(core, (kvt_engine_id){engine}, c->from_page, from, IN_BLOCK) == IN_BLOCK);
    for (uint32_t i = 0; i < c->tokens; i++)
        *slot(engine, to, i) = *slot(engine, from, i);
}

/* Before what a step computes everything is right; what it computes is. */
static void touch_pages(uint32_t engine, const struct kvt_sequence *s)
{
    const struct prompt *p = &prompts[s->request];
    const uint32_t end = s->first_token + s->tokens;
    for (uint32_t i = 0; i <= (end - 1) / BLOCK; i++) {
        struct kvt_sequence_block block;
        uint32_t pages[IN_BLOCK];
        kvt_core_sequence_block(core, s, i, &block, pages);
        for (uint32_t k = i * BLOCK; k < (i + 1) * BLOCK && k < end; k++) {
            MUST(k % BLOCK / PAGE < block.n_pages);
            uint64_t *kv = slot(engine, pages, k % BLOCK);
            const uint64_t right = k < p->n ? p->kv[k] : kvt_mix64(s->request << 32 | k);
            MUST(k >= s->first_token || *kv == right);
            *kv = right;
        }
    }
}

/* A block goes down or comes up: what its key stands for. */
static void carry(const struct kvt_transfer *t, bool up)
{
    for (uint32_t b = 0; b < t->n_blocks; b++) {
        const struct kvt_block_ref *ref = &t->blocks[b];
        uint32_t pages[IN_BLOCK], p = 0;
        while (p < PROMPTS && (ref->index >= prompts[p].n / BLOCK ||
                               !kvt_key_equal(prompts[p].keys[ref->index], ref->key)))
            p++;
        MUST(p < PROMPTS);
        MUST(kvt_core_pages(core, t->engine, ref->page, pages, IN_BLOCK) == IN_BLOCK);
        for (uint32_t k = 0; k < BLOCK; k++) {
            uint64_t *kv = slot(t->engine.v, pages, k);
            const uint64_t right = prompts[p].kv[ref->index * BLOCK + k];
            MUST(up || *kv == right);
            *kv = right;
        }
    }
}

static int watch_load(void *self, const struct kvt_transfer *t)
{
    if (contents)
        carry(t, true);
    return inner.ops->load(self, t);
}

static int watch_store(void *self, const struct kvt_transfer *t)
{
    if (contents)
        carry(t, false);
    return inner.ops->store(self, t);
}

/* ---- The best block to copy from ---------------------------------------------------------------------- */

static bool held(uint32_t engine, kvt_key key)
{
    const uint32_t block = kvt_index_find(&core->blocks.index, key);
    const uint32_t at = block == KVT_NONE ? KVT_NONE : kvt_copy_peek(&core->room, block, engine);
    return at != KVT_NONE && kvt_copy_at(&core->room, at)->state == KVT_COPY_READY;
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Of all blocks that follow what q has by now, on its engine: how many tokens, and the key. */
static uint32_t best_part(const struct req *q, kvt_key *from)
{
    const struct prompt *a = &prompts[q->id], *best = NULL;
    const uint32_t i = q->computed / BLOCK, at = i * BLOCK;
    uint32_t most = 0;
    if (q->computed % BLOCK || q->computed >= a->n || !core->config.reuse_partial || q->first_done)
        return 0;
    for (uint32_t p = 0; p < PROMPTS; p++) {
        const struct prompt *b = &prompts[p];
        if (!b->arrived || b->tenant != a->tenant || b->n < at + BLOCK || same(a, b) <= at ||
            !held(q->engine, b->keys[i]))
            continue;
        const uint32_t t = least(least(same(a, b) - at, BLOCK - 1), a->n - at - 1);
        uint32_t k = at;
        while (best && k < at + BLOCK && b->tokens[k] == best->tokens[k])
            k++;
        if (t > most || (t && t == most && k < at + BLOCK && b->tokens[k] < best->tokens[k])) {
            most = t;
            best = b;
        }
    }
    if (most)
        *from = best->keys[i];
    return most;
}

static int watch_step(void *self, const struct kvt_step *step)
{
    const uint32_t engine = step->engine.v;
    const struct req *q;
    uint32_t n = 0;
    for (uint32_t r = core->engines[engine].lists[REQ_RUNNING].first; r != KVT_NONE; r = q->next) {
        q = req_at(core, r);
        kvt_key from = {0};
        const uint32_t t = q->chunk ? best_part(q, &from) : 0;
        MUST(t == q->part_tokens);
        if (!t)
            continue;
        MUST(n < step->n_copies && step->copies[n].tokens == t);
        MUST(kvt_key_equal(step->copies[n].from, from));
        copy(engine, &step->copies[n++]);
        copied_tokens += t;
    }
    MUST(n == step->n_copies);
    struct kvt_sequence s;
    for (uint32_t number = KVT_NONE; kvt_core_sequence(core, step->engine, &number, &s);) {
        watch(&s);
        if (contents)
            touch_pages(engine, &s);
    }
    return inner.ops->step(self, step);
}

/* What a run left. */
struct outcome {
    char digest[33];
    struct kvt_core_stats stats;
};

/* All prompts through a core. `apart`: each has ended before the next comes. */
static void run(const struct kvt_core_config *config, bool apart, bool letters, struct outcome *o)
{
    struct failing_alloc memory;
    const struct kvt_alloc *alloc = failing_alloc_init(&memory, 0);
    struct kvt_null *world = kvt_null_new(alloc, NULL);
    const struct kvt_world_ops *ops = kvt_null_world();
    struct kvt_namespace ns[TENANTS];
    MUST(kvt_namespace_init(&ns[0], "a", "", "") == 0 &&
         kvt_namespace_init(&ns[1], "b", "", "") == 0);
    inner = kvt_null_port(world);
    struct kvt_port_ops watching = *inner.ops;
    watching.step = watch_step;
    watching.load = watch_load;
    watching.store = watch_store;
    const struct kvt_port port = {&watching, inner.self};
    int error;
    char why[200] = "";
    core = kvt_core_new(config, &port, alloc, &error);
    ck_assert_ptr_nonnull(core);
    jumps = jumped_tokens = copied_tokens = 0;
    contents = config->gpu_pages != UINT64_MAX;
    memset(memory_of, 0, sizeof memory_of);
    kvt_ns now = 0;
    for (uint32_t p = 0; p < PROMPTS; p++)
        prompts[p].reach = prompts[p].arrived = 0;
    for (uint32_t p = 0; p < PROMPTS; p++)
        name(&prompts[p]);
    for (uint32_t p = 0; p < PROMPTS; p++) {
        struct prompt *t = &prompts[p];
        const struct kvt_request r = {.id = p,
                                      .arrive_ns = now,
                                      .tenant = t->tenant,
                                      .session = KVT_NONE,
                                      .prompt_tokens = t->n,
                                      .output_tokens = t->outputs,
                                      .n_keys = t->n / BLOCK,
                                      .keys = t->keys,
                                      .root = kvt_namespace_key(&ns[t->tenant]),
                                      .tokens = t->tokens,
                                      .letters = letters ? t->letters : NULL,
                                      .n_letters = letters ? t->n : 0};
        t->arrived = true;
        MUST(kvt_core_request(core, now, &r) == 0);
        if (apart || p % 3 == 0)
            now += KVT_MILLISECOND;
        MUST(ops->advance(inner.self, core, now) == 0);
        if (p % 16 == 0)
            ck_assert_msg(kvt_core_check(core, why, sizeof why), "%s", why);
    }
    while (ops->next(inner.self) != KVT_NEVER)
        MUST(ops->advance(inner.self, core, ops->next(inner.self)) == 0);
    ck_assert_uint_eq(kvt_core_unfinished(core), 0);
    kvt_core_stats(core, &o->stats);
    kvt_core_digest(core, o->digest);
    kvt_core_free(core);
    kvt_null_free(world);
    ck_assert(failing_alloc_clean(&memory));
}

static void small(struct kvt_core_config *c, const struct kvt_evict_ops *evict, bool closed)
{
    kvt_core_config_init(c);
    c->block_tokens = BLOCK;
    c->page_tokens = PAGE;
    c->gpu_pages = PAGES;
    c->max_batch_tokens = 64;
    c->max_batch_requests = 4;
    c->load_choice = KVT_LOAD_ALWAYS;
    c->tiers[KVT_GPU].capacity_blocks = 30;
    c->tiers[KVT_HOST] = c->tiers[KVT_GPU];
    c->tiers[KVT_HOST].capacity_blocks = 40;
    for (int t = KVT_GPU; t <= KVT_HOST; t++) {
        struct kvt_tier_config *tier = &c->tiers[t];
        if (t == KVT_PEER || (t == KVT_GPU && evict->refuses))
            continue;
        tier->evict = evict;
        tier->prefix_closed = closed;
        tier->ttl_ns = evict->needs_ttl ? 20 * KVT_MILLISECOND : KVT_NEVER;
    }
}

/* Which eviction policy, leaves first or not, tokens or letters. */
static void each(int i, struct kvt_core_config *c, bool *letters)
{
    uint32_t n = 0;
    do
        n++;
    while (kvt_evict_all[n]);
    small(c, kvt_evict_all[(uint32_t)i / 4 % n], i & 1);
    *letters = i & 2;
    dice_seed((uint64_t)i + 1);
    for (uint32_t p = 0; p < PROMPTS; p++)
        draw(p);
}

static void say_approximate(struct kvt_core_config *c)
{
    c->approximate_threshold = 0.5;
    c->approximate_prompts = 50;
    c->count_partial = true;
}

/* The same with parts of blocks: more is found, and similar prompts still add nothing. */
static void parts_beside_chain(const struct kvt_core_config *chain, bool letters,
                               const struct outcome *without)
{
    struct kvt_core_config c = *chain;
    struct outcome parts, both;
    c.reuse_partial = true;
    run(&c, false, letters, &both);
    MUST(both.stats.radix_reused_tokens > 0);
    MUST(strcmp(both.digest, without->digest) != 0);
    c.approximate_threshold = 0;
    c.count_partial = false;
    run(&c, false, letters, &parts);
    ck_assert_str_eq(parts.digest, both.digest);
    MUST(parts.stats.preemptions || parts.stats.radix_reused_tokens == copied_tokens);
    MUST(parts.stats.radix_reused_tokens <= parts.stats.ledger_tokens[KVT_HIT_GPU]);
    c.engines = ENGINES;
    c.history_blocks = 5; /* numbers of blocks are used again */
    run(&c, false, letters, &parts);
    MUST(parts.stats.radix_reused_tokens > 0);
}

START_TEST(nothing_behind_a_difference)
{
    struct kvt_core_config c;
    struct outcome chain, both, exact, approximate;
    bool letters;
    each(_i, &c, &letters);
    run(&c, false, letters, &chain);
    MUST(jumps > 0);
    say_approximate(&c);
    run(&c, false, letters, &both);
    /* A similar prompt adds nothing to the chain. */
    ck_assert_str_eq(chain.digest, both.digest);
    MUST(both.stats.approx_found > 0 && both.stats.approx_reused_tokens == 0);
    MUST(both.stats.approx_hits_chain_found_anyway == both.stats.approx_hits);
    MUST(both.stats.radix_reused_tokens == 0);
    parts_beside_chain(&c, letters, &both);

    each(_i, &c, &letters);
    c.match = KVT_MATCH_EXACT;
    all_or_nothing = true;
    run(&c, false, letters, &exact);
    all_or_nothing = false;
    say_approximate(&c);
    run(&c, false, letters, &approximate);
    MUST(approximate.stats.approx_reused_tokens > 0);
    MUST(approximate.stats.approx_hits_chain_found_anyway == approximate.stats.approx_hits);
    MUST(approximate.stats.hit_blocks > exact.stats.hit_blocks);
    MUST(exact.stats.approx_lookups == 0 && exact.stats.radix_possible_tokens == 0);
}
END_TEST

/* ---- Counters, beside a comparison with everything ---------------------------------------------------- */

struct sums {
    uint64_t lookups, found, common, hits, reused, partial, parts;
};

/* The most similar of the prompts before p that were kept, the first of equals; KVT_NONE. */
static uint32_t most_similar(struct kvt_ratio *r, uint32_t p, bool letters, double threshold)
{
    uint32_t best = KVT_NONE;
    const struct prompt *a = &prompts[p];
    for (uint32_t q = 0; q < p; q++) {
        const struct prompt *b = &prompts[q];
        double ratio;
        MUST(kvt_ratio(r, letters ? a->letters : a->tokens, a->n, letters ? b->letters : b->tokens,
                       b->n, &ratio) == 0);
        if (ratio > threshold) {
            threshold = ratio;
            best = q;
        }
    }
    return best;
}

static uint32_t greatest(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static void count(struct kvt_ratio *r, uint32_t p, bool letters, bool exact, struct sums *s)
{
    const struct prompt *a = &prompts[p];
    uint32_t shared = 0, q;
    for (q = 0; q < p; q++)
        shared = same(a, &prompts[q]) > shared ? same(a, &prompts[q]) : shared;
    const uint32_t run_blocks = shared / BLOCK, whole = a->n / BLOCK;
    const uint32_t most = shared == a->n ? shared - 1 : shared;
    uint32_t used = exact ? 0 : run_blocks;
    if (run_blocks < whole) {
        s->lookups++;
        q = most_similar(r, p, letters, 0.5);
        const uint32_t common = q == KVT_NONE ? 0 : same(a, &prompts[q]) / BLOCK;
        s->found += q != KVT_NONE;
        s->common += common * BLOCK;
        s->hits += common > 0;
        s->reused += exact ? common * BLOCK : 0;
        used = exact ? common : used;
    } else {
        used = run_blocks;
    }
    if (used == run_blocks && most > run_blocks * BLOCK)
        s->partial += most - run_blocks * BLOCK;
    uint32_t part = 0; /* of a whole block behind the chain, which is the last thing held of it */
    for (q = 0; !exact && q < p; q++)
        if (prompts[q].n >= (run_blocks + 1) * BLOCK && same(a, &prompts[q]) > run_blocks * BLOCK)
            part = most > run_blocks * BLOCK
                       ? greatest(part, least(most, same(a, &prompts[q])) - run_blocks * BLOCK)
                       : 0;
    s->parts += part;
}

START_TEST(counters_beside_all_comparisons)
{
    const bool exact = _i & 1, letters = _i & 2;
    struct kvt_core_config c;
    struct outcome o;
    struct sums s = {0};
    struct failing_alloc memory;
    struct kvt_ratio ratio;
    dice_seed((uint64_t)_i + 100);
    for (uint32_t p = 0; p < PROMPTS; p++) {
        draw(p);
        prompts[p].tenant = 0;
    }
    kvt_core_config_init(&c);
    c.block_tokens = BLOCK;
    c.page_tokens = PAGE;
    c.match = exact ? KVT_MATCH_EXACT : KVT_MATCH_CHAIN;
    say_approximate(&c);
    c.approximate_prompts = PROMPTS;
    c.reuse_partial = !exact;
    run(&c, true, letters, &o);
    kvt_ratio_init(&ratio, failing_alloc_init(&memory, 0), 0);
    for (uint32_t p = 0; p < PROMPTS; p++)
        count(&ratio, p, letters, exact, &s);
    kvt_ratio_release(&ratio);
    ck_assert_uint_eq(o.stats.approx_lookups, s.lookups);
    ck_assert_uint_eq(o.stats.approx_found, s.found);
    ck_assert_uint_eq(o.stats.approx_common_tokens, s.common);
    ck_assert_uint_eq(o.stats.approx_hits, s.hits);
    ck_assert_uint_eq(o.stats.approx_reused_tokens, s.reused);
    ck_assert_uint_eq(o.stats.radix_possible_tokens, s.partial);
    ck_assert_uint_eq(o.stats.radix_reused_tokens, s.parts);
    ck_assert(exact || (s.parts > 0 && s.parts < s.partial)); /* tails are held by nobody */
    ck_assert_uint_gt(s.partial, 0);
    ck_assert_uint_gt(s.common, 0);
}
END_TEST

/* Memory may lack at any time: then a request is not taken, or a hint is lost. */
START_TEST(memory_lacks)
{
    dice_seed(7);
    for (uint32_t p = 0; p < PROMPTS; p++)
        draw(p);
    for (uint64_t fail_at = 1;; fail_at++) {
        struct failing_alloc memory;
        const struct kvt_alloc *alloc = failing_alloc_init(&memory, fail_at);
        struct kvt_core_config c;
        small(&c, kvt_evict_named("lru"), false);
        c.match = _i ? KVT_MATCH_CHAIN : KVT_MATCH_EXACT;
        c.reuse_partial = _i;
        say_approximate(&c);
        struct kvt_null *world = kvt_null_new(alloc, NULL);
        int error;
        core = NULL;
        if (world) {
            inner = kvt_null_port(world);
            core = kvt_core_new(&c, &inner, alloc, &error);
        }
        for (uint32_t p = 0; core && p < 40; p++) {
            kvt_key keys[LONGEST] = {{0}};
            const struct prompt *t = &prompts[p];
            for (uint32_t i = 0; i < t->n / BLOCK; i++)
                keys[i] = (kvt_key){p % 5, i};
            const struct kvt_request r = {.id = p,
                                          .prompt_tokens = t->n,
                                          .n_keys = t->n / BLOCK,
                                          .keys = keys,
                                          .root = {1, 1},
                                          .tokens = t->tokens,
                                          .letters = p % 2 ? t->letters : NULL,
                                          .n_letters = p % 2 ? t->n : 0};
            const int status = kvt_core_request(core, 0, &r);
            MUST(status == 0 || status == -ENOMEM);
            if (kvt_null_world()->advance(inner.self, core, 0))
                break;
        }
        char why[200];
        MUST(!core || kvt_core_check(core, why, sizeof why));
        kvt_core_free(core);
        if (world)
            kvt_null_free(world);
        ck_assert(failing_alloc_clean(&memory));
        if (memory.gets < fail_at)
            break;
    }
}
END_TEST

int main(void)
{
    int policies = 0;
    while (kvt_evict_all[policies])
        policies++;
    Suite *suite = suite_create("matching");
    TCase *tests = tcase_create("matching");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, nothing_behind_a_difference, 0, 4 * policies);
    tcase_add_loop_test(tests, counters_beside_all_comparisons, 0, 4);
    tcase_add_loop_test(tests, memory_lacks, 0, 2);
    suite_add_tcase(suite, tests);
    return kvt_test_main(suite);
}
