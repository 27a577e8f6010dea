/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * similar.c - see similar.h.
 *
 * A look-up makes one pass over all prompts. Lengths come first and cost a few instructions; a bag is
 * four cache lines, grams are sixty-four, read in order. Who passes becomes a *bid*: a candidate with
 * the ratio that it could at most have. Bids are a heap, highest first, so that the best prompt tends
 * to be compared early and outbids the rest unseen.
 *
 * What two sketches have in common is the sum of the smaller of each two counts, sixteen at a time, by
 * the compilers' vector types. Counts stop at 255, and all that was not counted is in one number per
 * sketch: of it, the smaller of both may be in common as well.
 */
#include "similar.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum {
    PROMPTS_SHIFT = 8,
    SKETCHES_SHIFT = 6,
    FULL = 255,
    LANES_B = 16,
    SMALL = 256,       /* elements with a bit vector */
    WORDS_MOST = 128,  /* of one vector: queries of up to 8,192 elements */
    STEPS_MOST = 16384 /* rows times words: beyond that comparing is no dearer */
};

struct prompt {
    uint32_t before, after; /* by use; of a free record `before` is the pool's */
    uint32_t *elements;     /* NULL: free */
    uint32_t *marks;        /* of anchors; NULL: nothing is popular */
    uint64_t born, tag;
    uint32_t n;
};

struct sketch {
    uint8_t bag[KVT_SIMILAR_BAG_B], grams[KVT_SIMILAR_GRAMS_B];
    uint32_t bag_more, grams_more; /* not counted because a byte was full */
    uint32_t unused[2];            /* records stay whole vectors */
};

struct kvt_similar_bid {
    double most; /* ratio, at most */
    uint32_t prompt, least, grams;
};

_Static_assert(sizeof(struct sketch) % LANES_B == 0, "vectors");
_Static_assert(KVT_SIMILAR_GRAMS_B / LANES_B * FULL <= UINT16_MAX, "sums of lanes fit");

static struct prompt *prompt_at(const struct kvt_similar *s, uint32_t number)
{
    return kvt_pool_at(&s->prompts, number);
}

static struct sketch *sketch_at(const struct kvt_similar *s, uint32_t number)
{
    return kvt_pool_at(&s->sketches, number);
}

/* ---- Start and end -------------------------------------------------------------------------------- */

static size_t bits_b(void)
{
    return (size_t)(SMALL + 1) * WORDS_MOST * sizeof(uint64_t);
}

int kvt_similar_init(struct kvt_similar *s, const struct kvt_alloc *alloc,
                     const struct kvt_similar_config *config)
{
    assert(config->capacity > 0 && config->elements <= KVT_RATIO_MOST);
    *s = (struct kvt_similar){.config = *config,
                              .alloc = alloc,
                              .first = KVT_NONE,
                              .last = KVT_NONE};
    s->q = config->threshold > 0.8 ? 3 : config->threshold > 2.0 / 3 ? 2 : 0;
    kvt_ratio_init(&s->ratio, alloc, 0);
    kvt_pool_init(&s->prompts, alloc, sizeof(struct prompt), PROMPTS_SHIFT);
    kvt_pool_init(&s->sketches, alloc, sizeof(struct sketch), SKETCHES_SHIFT);
    kvt_slab_init(&s->elements, alloc);
    s->bids = alloc->get(alloc->self, config->capacity * sizeof *s->bids);
    s->query = alloc->get(alloc->self, sizeof(struct sketch));
    s->bits = alloc->get(alloc->self, bits_b());
    if (s->bids && s->query && s->bits && kvt_anchors_init(&s->anchors, alloc) == 0)
        return 0;
    kvt_similar_release(s);
    return -ENOMEM;
}

void kvt_similar_release(struct kvt_similar *s)
{
    if (!s->alloc)
        return;
    if (s->bids)
        s->alloc->put(s->alloc->self, s->bids, s->config.capacity * sizeof *s->bids);
    if (s->query)
        s->alloc->put(s->alloc->self, s->query, sizeof(struct sketch));
    if (s->bits)
        s->alloc->put(s->alloc->self, s->bits, bits_b());
    kvt_slab_release(&s->elements);
    kvt_pool_release(&s->sketches);
    kvt_pool_release(&s->prompts);
    kvt_anchors_release(&s->anchors);
    kvt_ratio_release(&s->ratio);
    *s = (struct kvt_similar){0};
}

size_t kvt_similar_memory_b(const struct kvt_similar *s)
{
    return kvt_pool_memory_b(&s->prompts) + kvt_pool_memory_b(&s->sketches) + s->elements.memory_b +
           s->ratio.room * sizeof *s->ratio.words + s->config.capacity * sizeof *s->bids +
           kvt_anchors_memory_b(&s->anchors) + bits_b() + sizeof(struct sketch);
}

/* ---- Sketches --------------------------------------------------------------------------------------- */

static void count_one(uint8_t *count, uint32_t *more)
{
    if (*count < FULL)
        ++*count;
    else
        ++*more;
}

static void draw(struct sketch *k, uint32_t q, const uint32_t *elements, uint32_t n)
{
    memset(k, 0, sizeof *k);
    for (uint32_t i = 0; i < n; i++)
        count_one(&k->bag[elements[i] * UINT32_C(0x9e3779b1) >> 24], &k->bag_more);
    for (uint32_t i = 0; q > 0 && i + q <= n; i++) {
        uint32_t h = 0;
        for (uint32_t g = 0; g < q; g++)
            h = (h ^ elements[i + g]) * UINT32_C(0x9e3779b1);
        count_one(&k->grams[h >> 20], &k->grams_more);
    }
}

typedef uint8_t lanes8 __attribute__((vector_size(LANES_B)));
typedef uint16_t lanes16 __attribute__((vector_size(LANES_B)));

static uint32_t common(const uint8_t *x, const uint8_t *y, uint32_t n_b)
{
    lanes16 sum = {0};
    for (uint32_t i = 0; i < n_b; i += LANES_B) {
        lanes8 a, b;
        memcpy(&a, x + i, sizeof a);
        memcpy(&b, y + i, sizeof b);
        const lanes8 less = (lanes8)(a < b);
        const lanes16 least = (lanes16)((a & less) | (b & ~less));
        sum += (least & 0xff) + (least >> 8);
    }
    uint32_t all = 0;
    for (uint32_t i = 0; i < LANES_B / 2; i++)
        all += sum[i];
    return all;
}

static uint32_t smaller(uint32_t x, uint32_t y)
{
    return x < y ? x : y;
}

static uint32_t bag_bound(const struct sketch *x, const struct sketch *y)
{
    return common(x->bag, y->bag, KVT_SIMILAR_BAG_B) + smaller(x->bag_more, y->bag_more);
}

static uint32_t grams_in_common(const struct sketch *x, const struct sketch *y)
{
    return common(x->grams, y->grams, KVT_SIMILAR_GRAMS_B) + smaller(x->grams_more, y->grams_more);
}

static uint64_t grams_bound(uint32_t grams, uint32_t q, uint64_t both)
{
    return (grams + (q - 1) * (both + 1)) / (2 * q - 1);
}

/* ---- Order --------------------------------------------------------------------------------------------- */

/* Notes where each element stands in the query, when all are small. */
static void draw_bits(struct kvt_similar *s, const uint32_t *query, uint32_t n)
{
    s->words = (n + 63) / 64;
    if (s->words > WORDS_MOST)
        s->words = 0;
    memset(s->bits, 0, (size_t)SMALL * s->words * sizeof *s->bits);
    for (uint32_t i = 0; i < n && s->words > 0; i++) {
        if (query[i] < SMALL)
            s->bits[query[i] * s->words + i / 64] |= UINT64_C(1) << i % 64;
        else
            s->words = 0;
    }
}

/* Elements in common in the same order, at most: the prefix that both have, and the longest common
 * subsequence behind it. A zero in `row` is an element of the query that it has. */
static uint64_t order_bound(const struct kvt_similar *s, const uint32_t *query, uint32_t n,
                            const struct prompt *p)
{
    const uint32_t shorter = smaller(n, p->n);
    uint32_t same = 0;
    while (same < shorter && query[same] == p->elements[same])
        same++;
    const uint32_t from = same / 64, words = s->words;
    if (words == 0 || same == shorter || (uint64_t)(words - from) * (p->n - same) > STEPS_MOST)
        return shorter;
    uint64_t *row = s->bits + (size_t)SMALL * words;
    const uint64_t behind = ~UINT64_C(0) << same % 64; /* of the first word */
    memset(row + from, 0xff, (words - from) * sizeof *row);
    for (uint32_t j = same; j < p->n; j++) {
        if (p->elements[j] >= SMALL)
            continue;
        const uint64_t *at = s->bits + (size_t)p->elements[j] * words;
        uint64_t carry = 0, mask = behind;
        for (uint32_t k = from; k < words; k++, mask = ~UINT64_C(0)) {
            const uint64_t v = row[k], u = v & at[k] & mask;
            const uint64_t sum = v + u, all = sum + carry;
            carry = (uint64_t)(sum < v) | (uint64_t)(all < sum);
            row[k] = all | (v - u);
        }
    }
    uint64_t common = same;
    for (uint32_t k = from; k < words; k++)
        for (uint64_t left = ~row[k]; left; left &= left - 1)
            common++;
    return common;
}

/* ---- The set ------------------------------------------------------------------------------------------ */

static void link_first(struct kvt_similar *s, uint32_t number)
{
    struct prompt *p = prompt_at(s, number);
    p->before = KVT_NONE;
    p->after = s->first;
    if (s->first != KVT_NONE)
        prompt_at(s, s->first)->before = number;
    else
        s->last = number;
    s->first = number;
}

static void unlink(struct kvt_similar *s, uint32_t number)
{
    const struct prompt *p = prompt_at(s, number);
    if (p->before != KVT_NONE)
        prompt_at(s, p->before)->after = p->after;
    else
        s->first = p->after;
    if (p->after != KVT_NONE)
        prompt_at(s, p->after)->before = p->before;
    else
        s->last = p->before;
}

void kvt_similar_remove(struct kvt_similar *s, uint32_t prompt)
{
    struct prompt *p = prompt_at(s, prompt);
    assert(p->elements);
    unlink(s, prompt);
    kvt_slab_give(&s->elements, p->elements, p->n);
    kvt_slab_give(&s->elements, p->marks, kvt_anchors_words(p->n));
    p->elements = p->marks = NULL;
    kvt_pool_give(&s->prompts, prompt);
    s->count--;
}

void kvt_similar_use(struct kvt_similar *s, uint32_t prompt)
{
    unlink(s, prompt);
    link_first(s, prompt);
}

uint32_t kvt_similar_after(const struct kvt_similar *s, uint32_t prompt)
{
    return prompt_at(s, prompt)->after;
}

/* Makes a sketch for each record of a prompt: both pools have the same numbers. */
static int cover(struct kvt_similar *s, uint32_t prompt)
{
    while (s->sketches.fresh <= prompt)
        if (kvt_pool_take(&s->sketches) == KVT_NONE)
            return -ENOMEM;
    return 0;
}

int kvt_similar_add(struct kvt_similar *s, const uint32_t *elements, uint32_t n, uint64_t tag,
                    uint32_t *prompt)
{
    if (n == 0 || n > s->config.elements)
        return -EINVAL;
    if (s->count == s->config.capacity)
        kvt_similar_remove(s, s->last);
    const uint32_t words = kvt_anchors_words(n);
    uint32_t *copy = kvt_slab_take(&s->elements, n), *marks = kvt_slab_take(&s->elements, words);
    const uint32_t number = copy && marks ? kvt_pool_take(&s->prompts) : KVT_NONE;
    if (number == KVT_NONE || cover(s, number)) {
        if (number != KVT_NONE) {
            prompt_at(s, number)->elements = NULL;
            kvt_pool_give(&s->prompts, number);
        }
        kvt_slab_give(&s->elements, copy, n);
        kvt_slab_give(&s->elements, marks, words);
        return -ENOMEM;
    }
    memcpy(copy, elements, n * sizeof *copy);
    if (!kvt_anchors_mark(&s->anchors, elements, n, marks)) {
        kvt_slab_give(&s->elements, marks, words);
        marks = NULL;
    }
    *prompt_at(s, number) =
        (struct prompt){.elements = copy, .marks = marks, .born = s->born++, .tag = tag, .n = n};
    draw(sketch_at(s, number), s->q, elements, n);
    link_first(s, number);
    s->count++;
    *prompt = number;
    return 0;
}

const uint32_t *kvt_similar_elements(const struct kvt_similar *s, uint32_t prompt, uint32_t *n)
{
    const struct prompt *p = prompt_at(s, prompt);
    *n = p->n;
    return p->elements;
}

uint32_t kvt_similar_prefix(const struct kvt_similar *s, uint32_t prompt, const uint32_t *query,
                            uint32_t n)
{
    const struct prompt *p = prompt_at(s, prompt);
    const uint32_t most = smaller(p->n, n);
    uint32_t same = 0;
    while (same < most && p->elements[same] == query[same])
        same++;
    return same;
}

/* ---- Bids ---------------------------------------------------------------------------------------------- */

/* Is x to be compared before y? Equal bounds: whoever has more grams of the query, which says little about
 * what it cannot have and much about what it has; then who was here first. */
static bool ahead(const struct kvt_similar *s, const struct kvt_similar_bid *x,
                  const struct kvt_similar_bid *y)
{
    if (x->most > y->most || x->most < y->most)
        return x->most > y->most;
    if (x->grams != y->grams)
        return x->grams > y->grams;
    return prompt_at(s, x->prompt)->born < prompt_at(s, y->prompt)->born;
}

static void sift_down(struct kvt_similar *s, uint32_t n, uint32_t at)
{
    const struct kvt_similar_bid bid = s->bids[at];
    for (uint32_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && ahead(s, &s->bids[child + 1], &s->bids[child]))
            child++;
        if (!ahead(s, &s->bids[child], &bid))
            break;
        s->bids[at] = s->bids[child];
    }
    s->bids[at] = bid;
}

/* True with a bid when the prompt could be above the threshold. */
static bool bids(struct kvt_similar *s, uint32_t number, uint32_t n, struct kvt_similar_bid *bid)
{
    const struct prompt *p = prompt_at(s, number);
    const struct sketch *query = s->query, *k = sketch_at(s, number);
    const uint64_t both = (uint64_t)n + p->n, least = kvt_ratio_least(s->config.threshold, both);
    uint64_t most = smaller(n, p->n);
    s->counts.seen++;
    if (most < least) {
        s->counts.by_length++;
        return false;
    }
    const uint32_t bag = bag_bound(query, k);
    most = bag < most ? bag : most;
    if (most < least) {
        s->counts.by_bag++;
        return false;
    }
    const uint32_t grams = s->q ? grams_in_common(query, k) : 0;
    const uint64_t by_grams = s->q ? grams_bound(grams, s->q, both) : most;
    most = by_grams < most ? by_grams : most;
    if (most < least) {
        s->counts.by_grams++;
        return false;
    }
    if (p->marks) {
        const uint32_t may_lose = p->n - (uint32_t)least;
        const uint32_t lost = kvt_anchors_lost(&s->anchors, p->elements, p->n, p->marks, may_lose);
        if (lost > may_lose) {
            s->counts.by_anchors++;
            return false;
        }
        most = p->n - lost < most ? p->n - lost : most;
    }
    *bid = (struct kvt_similar_bid){kvt_ratio_of(most, both), number, (uint32_t)least, grams};
    return true;
}

/* The fewest matches with which a bid beats the best so far. */
static uint64_t to_beat(const struct kvt_similar *s, const struct kvt_similar_bid *bid, uint32_t n,
                        const struct kvt_similar_found *best)
{
    const struct prompt *p = prompt_at(s, bid->prompt);
    const uint64_t both = (uint64_t)n + p->n;
    if (best->prompt == KVT_NONE)
        return bid->least;
    uint64_t least = kvt_ratio_least(best->ratio, both);
    /* As good is good enough for one that came earlier. */
    if (p->born < prompt_at(s, best->prompt)->born && least > 0 &&
        kvt_ratio_of(least - 1, both) >= best->ratio)
        least--;
    return least > bid->least ? least : bid->least;
}

static int compare_bids(struct kvt_similar *s, uint32_t n_bids, const uint32_t *query, uint32_t n,
                        struct kvt_similar_found *best)
{
    for (uint32_t i = n_bids / 2; i-- > 0;)
        sift_down(s, n_bids, i);
    while (n_bids > 0) {
        const struct kvt_similar_bid bid = s->bids[0];
        const struct prompt *p = prompt_at(s, bid.prompt);
        const uint64_t both = (uint64_t)n + p->n, least = to_beat(s, &bid, n, best);
        if (best->prompt != KVT_NONE && bid.most < best->ratio)
            break;
        s->bids[0] = s->bids[--n_bids];
        sift_down(s, n_bids, 0);
        if (bid.most < kvt_ratio_of(least, both)) {
            s->counts.by_best++;
            continue;
        }
        if (!p->marks && order_bound(s, query, n, p) < least) {
            s->counts.by_order++;
            continue;
        }
        if (kvt_ratio_reserve(&s->ratio, n, p->n))
            return -ENOMEM;
        s->counts.compared++;
        const uint32_t matches =
            kvt_ratio_matches(&s->ratio, query, n, p->elements, p->n, (uint32_t)least);
        if (matches == KVT_NONE)
            continue;
        s->counts.above++;
        *best =
            (struct kvt_similar_found){bid.prompt, matches, kvt_ratio_of(matches, both), p->tag};
    }
    s->counts.by_best += n_bids;
    return 0;
}

int kvt_similar_find(struct kvt_similar *s, const uint32_t *query, uint32_t n,
                     struct kvt_similar_found *found)
{
    uint32_t n_bids = 0;
    if (n > s->config.elements)
        return -EINVAL;
    const struct kvt_similar_counts before = s->counts;
    *found = (struct kvt_similar_found){.prompt = KVT_NONE};
    s->counts.lookups++;
    draw(s->query, s->q, query, n);
    draw_bits(s, query, n);
    kvt_anchors_ask(&s->anchors, query, n);
    for (uint32_t number = 0; number < s->prompts.fresh; number++)
        if (prompt_at(s, number)->elements && bids(s, number, n, &s->bids[n_bids]))
            n_bids++;
    const int error = compare_bids(s, n_bids, query, n, found);
    if (error) {
        s->counts = before;
        *found = (struct kvt_similar_found){.prompt = KVT_NONE};
        return error;
    }
    s->counts.found += found->prompt != KVT_NONE;
    return found->prompt != KVT_NONE;
}

bool kvt_similar_check(const struct kvt_similar *s)
{
    const struct kvt_similar_counts *c = &s->counts;
    uint32_t forward = 0, live = 0, before = KVT_NONE;
    for (uint32_t p = s->first; p != KVT_NONE && forward <= s->count; p = prompt_at(s, p)->after) {
        if (prompt_at(s, p)->before != before || !prompt_at(s, p)->elements)
            return false;
        before = p;
        forward++;
    }
    for (uint32_t p = 0; p < s->prompts.fresh; p++)
        live += prompt_at(s, p)->elements != NULL;
    return forward == s->count && live == s->count && before == s->last &&
           s->count <= s->config.capacity &&
           c->seen == c->by_length + c->by_bag + c->by_grams + c->by_best + c->by_anchors +
                          c->by_order + c->compared;
}
