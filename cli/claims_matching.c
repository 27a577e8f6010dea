/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * claims_matching.c - claims about finding a prompt again: how alike two texts are, and what a look-up costs; see claims_impl.h.
 */
#include "claims_impl.h"

#include <stdlib.h>

#include "../core/block.h"
#include "../core/ratio.h"
#include "../core/similar.h"

/* ---- Two texts ---- */

static void *heap_get(void *self, size_t n)
{
    (void)self;
    return malloc(n);
}

static void heap_put(void *self, void *memory, size_t n)
{
    (void)self;
    (void)n;
    free(memory);
}

/* Code points of an ASCII text. Returns how many, 0 for other texts and none. */
static uint32_t code_points(const char *text, uint32_t points[CLAIM_TEXT])
{
    uint32_t n = 0;
    for (; text && text[n]; n++) {
        if (n == CLAIM_TEXT || (unsigned char)text[n] > 127)
            return 0;
        points[n] = (unsigned char)text[n];
    }
    return n;
}

static int take_similarity(struct claim_work *w, struct claim *c)
{
    static const struct kvt_alloc heap = {heap_get, heap_put, NULL};
    uint32_t a[CLAIM_TEXT], b[CLAIM_TEXT];
    uint32_t n = code_points(w->claim->query, a), m = code_points(w->claim->candidate, b);
    struct kvt_ratio ratio;
    if (n == 0 || m == 0)
        return claim_missing(w, "claim.query", "expected two texts in ASCII: query and candidate");
    kvt_ratio_init(&ratio, &heap, 0);
    int rc = kvt_ratio(&ratio, a, n, b, m, &c->computed);
    kvt_ratio_release(&ratio);
    if (rc != 0)
        snprintf(w->error, SCENARIO_ERROR_SIZE, "out of memory");
    double both = n + m, matched = c->computed * both / 2;
    SAY(c, "%.0f of %u + %u letters matched", 2 * matched, n, m);
    NEED(c, "%.0f letters matched, where the shorter text has %u", w->claimed * both / 2,
         n < m ? n : m);
    return rc;
}

/* ---- Look-ups: their work with `count` prompts cached, and with ten times as many ---- */

enum { TIMES_AS_MANY = 10 };

/* Lines of the index that a look-up of a cached prompt reads, on average over n of one block each. */
static int exact_work(uint64_t n, double *lines)
{
    static const struct kvt_alloc heap = {heap_get, heap_put, NULL};
    struct kvt_namespace names;
    struct kvt_blocks blocks;
    uint64_t sum = 0;
    uint32_t number;
    int rc = kvt_namespace_init(&names, "", "", "");
    if (rc == 0)
        rc = kvt_blocks_init(&blocks, &heap, 0, UINT64_MAX);
    if (rc != 0)
        return rc;
    for (uint64_t i = 0; rc == 0 && i < n; i++) {
        const kvt_key key = kvt_key_of_id(&names, i);
        rc = kvt_blocks_intern(&blocks, &key, 1, &number);
    }
    for (uint64_t i = 0; rc == 0 && i < n; i++)
        sum += kvt_index_lines(&blocks.index, kvt_key_of_id(&names, i));
    *lines = (double)sum / (double)n;
    kvt_blocks_release(&blocks);
    return rc;
}

static int take_exact_growth(struct claim_work *w, struct claim *c)
{
    const uint64_t n = w->claim->count;
    double few, many;
    if (n == 0)
        return claim_missing(w, "claim.count", "expected how many prompts are cached");
    int rc = exact_work(n, &few);
    if (rc == 0)
        rc = exact_work(TIMES_AS_MANY * n, &many);
    if (rc != 0) {
        snprintf(w->error, SCENARIO_ERROR_SIZE, "out of memory");
        return rc;
    }
    c->computed = many / few;
    SAY(c, "a hash of the prompt, and %.2f lines of the index with %llu prompts, %.2f with %llu",
        few, (unsigned long long)n, many, (unsigned long long)(TIMES_AS_MANY * n));
    NEED(c, "an index in which no two keys meet");
    return 0;
}

/* The same for a similar one: prompts that are `candidate` and a number each, and `query`. */
static int similar_work(const struct claim_work *w, uint64_t n, struct kvt_similar_counts *counts)
{
    static const struct kvt_alloc heap = {heap_get, heap_put, NULL};
    const struct kvt_similar_config config = {
        .threshold = resolved_of(w)->core.approximate_threshold,
        .capacity = (uint32_t)n,
        .elements = CLAIM_TEXT,
    };
    struct kvt_similar set;
    struct kvt_similar_found found;
    uint32_t points[CLAIM_TEXT], prompt, len;
    char text[CLAIM_TEXT];
    int rc = kvt_similar_init(&set, &heap, &config);
    if (rc != 0)
        return rc;
    for (uint64_t i = 0; rc == 0 && i < n; i++) {
        snprintf(text, sizeof text, "%.280s %llu", w->claim->candidate, (unsigned long long)i);
        len = code_points(text, points);
        rc = kvt_similar_add(&set, points, len, i, &prompt);
    }
    len = code_points(w->claim->query, points);
    if (rc == 0)
        rc = kvt_similar_find(&set, points, len, &found);
    *counts = set.counts;
    kvt_similar_release(&set);
    return rc < 0 ? rc : 0;
}

static int take_similar_growth(struct claim_work *w, struct claim *c)
{
    const uint64_t n = w->claim->count;
    uint32_t points[CLAIM_TEXT];
    struct kvt_similar_counts few, many;
    if (n == 0 || n > UINT32_MAX / TIMES_AS_MANY)
        return claim_missing(w, "claim.count", "expected how many prompts are cached");
    if (code_points(w->claim->query, points) == 0 || code_points(w->claim->candidate, points) == 0)
        return claim_missing(w, "claim.query", "expected two texts in ASCII: query and candidate");
    int rc = similar_work(w, n, &few);
    if (rc == 0)
        rc = similar_work(w, TIMES_AS_MANY * n, &many);
    if (rc != 0) {
        snprintf(w->error, SCENARIO_ERROR_SIZE, "out of memory");
        return rc;
    }
    c->computed = (double)many.seen / (double)few.seen;
    SAY(c,
        "a bound for each of %llu prompts, and %llu compared in full; for each of %llu, and %llu",
        (unsigned long long)few.seen, (unsigned long long)few.compared,
        (unsigned long long)many.seen, (unsigned long long)many.compared);
    NEED(c, "a search that does not look at every prompt");
    return 0;
}

const struct claim_measure claim_matching[] = {
    {"similarity", CLAIM_NUMBER, CLAIM_EQUAL, take_similarity},
    {"exact-growth", CLAIM_NUMBER, CLAIM_LESS, take_exact_growth},
    {"similar-growth", CLAIM_NUMBER, CLAIM_EQUAL, take_similar_growth},
    {0},
};
