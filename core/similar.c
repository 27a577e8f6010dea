/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * similar.c - see similar.h.
 *
 * A look-up makes one pass over all prompts. Lengths come first and cost a few instructions; a bag is
 * four cache lines, grams are sixty-four, read in order. Who passes becomes a *bid*: a candidate with
 * the ratio that it could at most have. Bids are a heap, highest first, so that the best prompt tends
 * to be compared early and outbids the rest unseen.
 *
 * Who passes those is asked element by element, from where it parts from the query, or from what it shares with many.
 */
#include "similar.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum {
    PROMPTS_SHIFT = 8,
    SKETCHES_SHIFT = 6,
    STEM_LEAST = 64, /* elements that a beginning has */
    STEMS = 1024,    /* that are remembered for new prompts */
    ASKED = 64,      /* stems held against one query */
    ORDERED = 4,     /* and in order as well */
    CUTS =
        32 /* beginnings, and what is popular in them, that were held against one query run by run */
};

/* A prompt that others begin like, if it is still the one that was born then. */
struct stem {
    uint64_t born;
    uint32_t prompt;
};

struct prompt {
    uint32_t before, after; /* by use; of a free record `before` is the pool's */
    uint32_t *elements;     /* NULL: free */
    uint32_t *marks;        /* of anchors; NULL: nothing is popular */
    uint64_t born, tag;
    uint32_t n;
    uint32_t shared;  /* this many elements, and no more, are those of the stem as well */
    struct stem stem; /* its prompt may be KVT_NONE */
    bool exact;       /* the marks are; NULL: nothing is popular */
};

struct kvt_similar_bid {
    double most; /* ratio, at most */
    uint32_t prompt, least, grams;
    uint32_t matches; /* KVT_NONE: to be compared */
};

/* What a query has in common with a stem. */
struct asked {
    uint32_t prompt, same;
    uint32_t *most; /* by order, of each prefix; NULL: not asked */
};

/* What a query can have of a beginning, by the longest run of what follows (kvt_ratio_prefix). */
struct cut {
    const struct prompt *like; /* of these elements and marks */
    uint32_t n;
    struct kvt_ratio_cut by_run[KVT_RATIO_RUNS];
};

struct kvt_similar_stems {
    struct stem kept[STEMS]; /* by a hash of the beginning */
    struct asked asked[ASKED];
    struct cut cuts[CUTS];
    uint32_t n_cuts, n_ordered, most[ORDERED][KVT_LCS_MOST + 1];
};

static struct prompt *prompt_at(const struct kvt_similar *s, uint32_t number)
{
    return kvt_pool_at(&s->prompts, number);
}

static struct kvt_grams *sketch_at(const struct kvt_similar *s, uint32_t number)
{
    return kvt_pool_at(&s->sketches, number);
}

/* ---- Start and end -------------------------------------------------------------------------------- */

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
    kvt_pool_init(&s->sketches, alloc, sizeof(struct kvt_grams), SKETCHES_SHIFT);
    kvt_slab_init(&s->elements, alloc);
    s->bids = alloc->get(alloc->self, config->capacity * sizeof *s->bids);
    s->query = alloc->get(alloc->self, sizeof(struct kvt_grams));
    s->stems = alloc->get(alloc->self, sizeof *s->stems);
    if (s->bids && s->query && s->stems && kvt_lcs_init(&s->lcs, alloc) == 0 &&
        kvt_anchors_init(&s->anchors, alloc) == 0) {
        for (uint32_t k = 0; k < STEMS; k++)
            s->stems->kept[k].prompt = KVT_NONE;
        return 0;
    }
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
        s->alloc->put(s->alloc->self, s->query, sizeof(struct kvt_grams));
    if (s->stems)
        s->alloc->put(s->alloc->self, s->stems, sizeof *s->stems);
    kvt_lcs_release(&s->lcs);
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
           kvt_anchors_memory_b(&s->anchors) + kvt_lcs_memory_b(&s->lcs) + sizeof *s->stems +
           sizeof(struct kvt_grams);
}

static uint32_t smaller(uint32_t x, uint32_t y)
{
    return x < y ? x : y;
}

static uint64_t grams_bound(uint32_t grams, uint32_t q, uint64_t both)
{
    return (grams + (q - 1) * (both + 1)) / (2 * q - 1);
}

/* ---- Stems -------------------------------------------------------------------------------------------- */

/* Up to where x and y are equal, from `from` on, `most` at most. */
static uint32_t equal_until(const uint32_t *x, const uint32_t *y, uint32_t from, uint32_t most)
{
    enum { STRIDE = 32 };
    while (from + STRIDE <= most && memcmp(x + from, y + from, STRIDE * sizeof *x) == 0)
        from += STRIDE;
    while (from < most && x[from] == y[from])
        from++;
    return from;
}

/* Finds a new prompt's stem. Where there is none, or it began otherwise, the prompt is one itself. */
static void find_stem(struct kvt_similar *s, uint32_t number)
{
    struct prompt *p = prompt_at(s, number);
    uint32_t h = 0;
    p->stem.prompt = KVT_NONE;
    if (p->n < STEM_LEAST)
        return;
    for (uint32_t i = 0; i < STEM_LEAST; i++)
        h = (h ^ p->elements[i]) * UINT32_C(0x9e3779b1);
    struct stem *kept = &s->stems->kept[(h >> 16) % STEMS];
    const struct prompt *first = kept->prompt != KVT_NONE ? prompt_at(s, kept->prompt) : NULL;
    if (first && first->elements && first->born == kept->born) {
        p->shared = equal_until(p->elements, first->elements, 0, smaller(p->n, first->n));
        if (p->shared >= STEM_LEAST) {
            p->stem = *kept;
            return;
        }
    }
    p->stem = *kept = (struct stem){p->born, number};
    p->shared = p->n;
}

static void forget_asked(struct kvt_similar *s)
{
    s->stems->n_ordered = s->stems->n_cuts = 0;
    for (uint32_t k = 0; k < ASKED; k++)
        s->stems->asked[k].prompt = KVT_NONE;
}

/* What the query has in common with p's stem; NULL: no stem, or it cannot be kept. */
static struct asked *ask_stem(struct kvt_similar *s, const struct prompt *p, const uint32_t *query,
                              uint32_t n)
{
    const uint32_t number = p->stem.prompt;
    if (number == KVT_NONE)
        return NULL;
    const struct prompt *stem = prompt_at(s, number);
    if (!stem->elements || stem->born != p->stem.born)
        return NULL;
    struct asked *asked = &s->stems->asked[number % ASKED];
    if (asked->prompt == KVT_NONE)
        *asked = (struct asked){number, equal_until(query, stem->elements, 0, smaller(n, stem->n)),
                                NULL};
    return asked->prompt == number ? asked : NULL;
}

static uint32_t prefix(const struct prompt *p, const struct asked *asked, const uint32_t *query,
                       uint32_t n)
{
    if (asked && asked->same != p->shared)
        return smaller(asked->same, p->shared);
    return equal_until(query, p->elements, asked ? p->shared : 0, smaller(n, p->n));
}

/* Of the first *from elements of p, which may grow: how many can match at most. `same` are those of the query. */
static uint32_t beginning(struct kvt_similar *s, const struct prompt *p, struct asked *asked,
                          uint32_t same, uint32_t *from)
{
    *from = same;
    if (!asked || p->shared <= same)
        return same;
    if (!asked->most && s->stems->n_ordered < ORDERED) {
        const struct prompt *stem = prompt_at(s, p->stem.prompt);
        asked->most = s->stems->most[s->stems->n_ordered++];
        kvt_lcs_prefixes(&s->lcs, stem->elements, smaller(stem->n, KVT_LCS_MOST), asked->most);
    }
    const uint32_t shared = smaller(p->shared, KVT_LCS_MOST) / 32 * 32; /* whole words of marks */
    if (!asked->most || shared <= same)
        return same;
    *from = shared;
    return asked->most[shared];
}

/* The cut of p's first n elements, a multiple of 32; NULL: there is no room for it. */
static const struct cut *cut_of(struct kvt_similar *s, const struct prompt *p, uint32_t n,
                                const uint32_t *query, uint32_t n_query)
{
    struct kvt_similar_stems *t = s->stems;
    uint32_t k = 0;
    while (k < t->n_cuts &&
           (t->cuts[k].n != n || t->cuts[k].like->stem.born != p->stem.born ||
            memcmp(t->cuts[k].like->marks, p->marks, n / 32 * sizeof *p->marks) != 0))
        k++;
    if (k < t->n_cuts)
        return &t->cuts[k];
    if (k == CUTS || kvt_ratio_reserve(&s->ratio, n_query, n))
        return NULL; /* a bound less is no harm */
    t->cuts[t->n_cuts++] = (struct cut){.like = p, .n = n};
    kvt_ratio_prefix(&s->ratio, query, n_query, p->elements, n, p->marks, t->cuts[k].by_run);
    return &t->cuts[k];
}

/* How long a run of the query's rows from `row` on with p is that ends behind p's first n elements; 1 is not told
 * from 0. None is known to have more than KVT_ANCHORS_PIECE - 1. */
static uint32_t longest_run(const struct kvt_similar *s, const struct prompt *p, uint32_t n,
                            const uint32_t *query, uint32_t n_query, uint32_t row)
{
    uint32_t longest = 1;
    for (uint32_t j = n < KVT_ANCHORS_PIECE ? 0 : n - KVT_ANCHORS_PIECE + 1; j < p->n; j++) {
        const uint32_t most = kvt_anchors_run_at(&s->anchors, p->elements, p->n, p->marks, j);
        for (uint32_t i = row; j + most > n && most > longest && i < n_query; i++) {
            if (query[i] != p->elements[j])
                continue;
            uint32_t k = 1;
            while (k < most && i + k < n_query && query[i + k] == p->elements[j + k])
                k++;
            longest = j + k > n && k > longest ? k : longest;
        }
    }
    return longest;
}

/* How many of p's first n elements can match, as far as what follows them makes no difference to what is taken first;
 * n when that is not known. */
static uint32_t by_runs(struct kvt_similar *s, const struct prompt *p, uint32_t n,
                        const uint32_t *query, uint32_t n_query)
{
    uint32_t run = kvt_anchors_run(&s->anchors, p->elements, p->n, p->marks, n);
    if (run + 1 >= KVT_RATIO_RUNS)
        return n;
    const struct cut *cut = cut_of(s, p, n, query, n_query);
    if (!cut)
        return n;
    /* Only what lies in the box that the longer runs left counts. */
    for (uint32_t before = KVT_RATIO_RUNS; run > 1 && run < before;) {
        before = run;
        run = smaller(run, longest_run(s, p, n, query, n_query, cut->by_run[run + 1].row));
    }
    return cut->by_run[run + 1].most;
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
    bool exact;
    if (!kvt_anchors_mark(&s->anchors, elements, n, marks, &exact)) {
        kvt_slab_give(&s->elements, marks, words);
        marks = NULL;
    }
    *prompt_at(s, number) = (struct prompt){
        .elements = copy, .marks = marks, .born = s->born++, .tag = tag, .n = n, .exact = exact};
    find_stem(s, number);
    kvt_grams_draw(sketch_at(s, number), s->q, elements, n);
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
    return equal_until(query, p->elements, 0, smaller(p->n, n));
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

/* What the sketches say a prompt can match at most, or fewer than `least`: then it is counted as told. */
static uint64_t by_sketches(struct kvt_similar *s, const struct prompt *p,
                            const struct kvt_grams *k, uint32_t n, uint64_t least, uint32_t *grams)
{
    const struct kvt_grams *query = s->query;
    uint64_t most = smaller(n, p->n);
    if (most < least) {
        s->counts.by_length++;
        return most;
    }
    const uint32_t bag = kvt_grams_bag(query, k);
    most = bag < most ? bag : most;
    if (most < least) {
        s->counts.by_bag++;
        return most;
    }
    *grams = s->q ? kvt_grams_common(query, k) : 0;
    const uint64_t by_grams = s->q ? grams_bound(*grams, s->q, (uint64_t)n + p->n) : most;
    most = by_grams < most ? by_grams : most;
    s->counts.by_grams += most < least;
    return most;
}

/* The same from where p parts from the query, or from its stem. */
static uint64_t by_elements(struct kvt_similar *s, const struct prompt *p, struct asked *asked,
                            const uint32_t *query, uint32_t n, uint32_t same, uint64_t least)
{
    uint32_t from;
    const uint32_t first = beginning(s, p, asked, same, &from), rest = p->n - from;
    if (first + (uint64_t)rest < least) {
        s->counts.by_order++;
        return first + (uint64_t)rest;
    }
    const uint32_t may_lose = (uint32_t)(first + rest - least);
    const uint32_t lost =
        kvt_anchors_lost(&s->anchors, p->elements, p->n, p->marks, from, may_lose);
    uint32_t most = first + rest - lost;
    if (lost <= may_lose && from > same && p->marks && p->exact)
        most = smaller(most, by_runs(s, p, from, query, n) + rest - lost);
    s->counts.by_anchors += most < least;
    return most;
}

/* True with a bid when the prompt could be above the threshold. */
static bool bids(struct kvt_similar *s, uint32_t number, const uint32_t *query, uint32_t n,
                 struct kvt_similar_bid *bid)
{
    const struct prompt *p = prompt_at(s, number);
    const uint64_t both = (uint64_t)n + p->n, least = kvt_ratio_least(s->config.threshold, both);
    uint32_t grams = 0, matches = KVT_NONE;
    s->counts.seen++;
    uint64_t most = by_sketches(s, p, sketch_at(s, number), n, least, &grams);
    if (most < least)
        return false;
    struct asked *asked = ask_stem(s, p, query, n);
    const uint32_t same = prefix(p, asked, query, n);
    const uint64_t behind = by_elements(s, p, asked, query, n, same, least);
    if (behind < least)
        return false;
    most = behind < most ? behind : most;
    if (p->exact && kvt_ratio_rest(query, n, p->elements, p->n, p->marks, same, &matches)) {
        s->counts.by_rest += matches < least;
        most = matches;
    }
    if (most < least)
        return false;
    *bid =
        (struct kvt_similar_bid){kvt_ratio_of(most, both), number, (uint32_t)least, grams, matches};
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
        uint32_t matches = bid.matches;
        if (matches == KVT_NONE && !p->marks && kvt_lcs_bound(&s->lcs, p->elements, p->n) < least) {
            s->counts.by_order++;
            continue;
        }
        s->counts.compared++;
        if (matches == KVT_NONE) {
            if (kvt_ratio_reserve(&s->ratio, n, p->n))
                return -ENOMEM;
            matches = kvt_ratio_matches(&s->ratio, query, n, p->elements, p->n, (uint32_t)least);
        }
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
    kvt_grams_draw(s->query, s->q, query, n);
    kvt_lcs_ask(&s->lcs, query, n);
    forget_asked(s);
    kvt_anchors_ask(&s->anchors, query, n);
    for (uint32_t number = 0; number < s->prompts.fresh; number++)
        if (prompt_at(s, number)->elements && bids(s, number, query, n, &s->bids[n_bids]))
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
           c->seen == c->by_length + c->by_bag + c->by_grams + c->by_rest + c->by_best +
                          c->by_anchors + c->by_order + c->compared;
}
