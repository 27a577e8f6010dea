/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * gen_rag.c - questions behind documents: system prompt, k different documents drawn by a Zipf law, question.
 *
 * A document's length is drawn once, from the stream of its own number. In fixed order popular documents come
 * first, so that questions share prefixes as far as they can; shuffled, they share the first document at best as
 * often as chance has it. The difference is what a cache for prefixes alone loses on such traffic.
 */
#include "path.h"
#include "zipf.h"

#include <errno.h>
#include <gsl/gsl_randist.h>
#include <stdlib.h>

enum { DOCUMENTS_MOST = 16, TRIES = 64 };

struct rag {
    struct wl_zipf popular;
    uint32_t documents, per_request;
    bool shuffle;
};

static bool taken(const uint32_t *drawn, uint32_t n, uint32_t document)
{
    for (uint32_t i = 0; i < n; i++)
        if (drawn[i] == document)
            return true;
    return false;
}

/* A document that is not drawn yet. Under a steep law all others may be rare: after some tries it is the most
 * popular of them. */
static uint32_t draw_document(const struct rag *rag, const gsl_rng *rng, const uint32_t *drawn,
                              uint32_t n)
{
    uint32_t document = 0;
    for (int i = 0; i < TRIES; i++) {
        document = wl_zipf_draw(&rag->popular, rng);
        if (!taken(drawn, n, document))
            return document;
    }
    for (document = 0; taken(drawn, n, document);)
        document++;
    return document;
}

static int by_rank(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static uint32_t document_tokens(const struct wl_walk *walk, uint32_t document)
{
    uint64_t state;
    const gsl_rng rng = wl_rng(&state, walk->plan.seed, "document", document);
    return wl_draw_tokens(&rng, wl_generate_value(&walk->plan.g, WL_DOCUMENT_TOKENS),
                          wl_generate_value(&walk->plan.g, WL_DOCUMENT_CV), WL_TOKENS_MOST);
}

static void rag_draw(struct wl_walk *walk, const gsl_rng *rng, struct wl_path *path)
{
    const struct rag *rag = walk->self;
    uint32_t drawn[DOCUMENTS_MOST];
    for (uint32_t i = 0; i < rag->per_request; i++)
        drawn[i] = draw_document(rag, rng, drawn, i);
    if (rag->shuffle)
        gsl_ran_shuffle(rng, drawn, rag->per_request, sizeof drawn[0]);
    else
        qsort(drawn, rag->per_request, sizeof drawn[0], by_rank);
    wl_path_add(walk, path, 2, 0, (uint32_t)wl_gen_count(&walk->plan, WL_SYSTEM_TOKENS));
    for (uint32_t i = 0; i < rag->per_request; i++)
        wl_path_add(walk, path, (uint64_t)rag->documents + 1, drawn[i],
                    document_tokens(walk, drawn[i]));
}

static void rag_free(void *self)
{
    struct rag *rag = self;
    wl_zipf_release(&rag->popular);
    free(rag);
}

int wl_gen_rag(struct wl_feed *feed, const struct wl_gen_plan *plan, struct wl_error *error)
{
    struct rag *rag = calloc(1, sizeof *rag);
    if (rag == NULL)
        return wl_fail(error, -ENOMEM, NULL, 0, "generate", "expected more memory");
    rag->documents = (uint32_t)wl_gen_count(plan, WL_DOCUMENTS);
    rag->per_request = (uint32_t)wl_gen_count(plan, WL_DOCUMENTS_PER_REQUEST);
    rag->shuffle = wl_generate_value(&plan->g, WL_SHUFFLE) != 0;
    if (wl_zipf_init(&rag->popular, rag->documents, wl_generate_value(&plan->g, WL_ZIPF)) != 0) {
        rag_free(rag);
        return wl_fail(error, -ENOMEM, NULL, 0, "generate", "expected more memory");
    }
    const struct wl_walk walk = {.plan = *plan,
                                 .draw = rag_draw,
                                 .self = rag,
                                 .free_self = rag_free};
    return wl_walk_open(feed, &walk, error);
}
