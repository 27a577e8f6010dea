/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * mrc_sample.c - see mrc_sample.h. Three passes over the trace: popular blocks; for a fixed size, the sizes of the
 * sessions; and the one that counts.
 *
 *      prompt      | head: popular   | body                                  |
 *      objects       one per block     one per session, for all prompts
 *      blocks                          in order of last use (recency.h), for the sample
 *
 * A piece of a body that prompt q used last lies as deep as all objects used after q, and what of q's own blocks
 * lies before it.
 */
#include "mrc_sample.h"

#include "../core/mix.h"
#include "coarse.h"
#include "hyperloglog.h"

#include <errno.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdlib.h>

/* A part of the sample: what was found in it, and what the objects predicted for it. */
struct part {
    struct wl_mrc_tally found, predicted;
};

struct wl_mrc_sample {
    struct wl_sessions who;
    uint64_t threshold, seed; /* a session is in when its hash is at most that */
    struct wl_numbering numbering;
    struct wl_mrc_tally predicted; /* all prompts */
    struct part parts[WL_MRC_PARTS];
    struct wl_recency recency;
    struct wl_mrc_sample_info info;
    double end_blocks; /* hit rate of an infinite cache, flat */
    double stretch;    /* distinct blocks for each that the objects count, at the end; at least 1 */
    /* While it runs: */
    struct wl_coarse coarse;
    struct wl_intern names;
    struct wl_object *sessions, *popular; /* by number */
    size_t sessions_room, popular_room;
    struct wl_sketch full, tails; /* distinct ids, distinct parts of partial blocks */
};

static uint64_t seeded(const struct wl_mrc_sample *s, uint64_t hash)
{
    return kvt_mix64(hash + s->seed * UINT64_C(0x9e3779b97f4a7c15));
}

static bool takes(const struct wl_mrc_sample *s, const struct wl_member *m)
{
    return seeded(s, m->hash) <= s->threshold;
}

bool wl_mrc_sample_takes(const struct wl_mrc_sample *s, const struct wl_record *record)
{
    const struct wl_member m = wl_session_of(&s->who, record);
    return takes(s, &m);
}

/* Independent of what decides about the sample. */
static struct part *part_of(struct wl_mrc_sample *s, const struct wl_member *m)
{
    return &s->parts[kvt_mix64(~seeded(s, m->hash)) % WL_MRC_PARTS];
}

/* ---- A prompt --------------------------------------------------------------------------------- */

struct prompt {
    const struct wl_record *record;
    struct wl_member member;
    uint32_t number, n_blocks, n_head, short_tokens; /* n_head: popular blocks at the beginning */
    struct wl_object *session;
};

/* Objects are never used when they are new. */
static int grow_objects(struct wl_object **objects, size_t *room, size_t n)
{
    const size_t before = *room;
    if (wl_grow(objects, room, n, sizeof **objects) != 0)
        return -ENOMEM;
    for (size_t i = before; i < *room; i++)
        (*objects)[i] = (struct wl_object){KVT_NONE, 0};
    return 0;
}

static int describe(struct wl_mrc_sample *s, const struct wl_record *r, struct prompt *p)
{
    const uint32_t block = s->numbering.block_tokens;
    uint32_t session;
    *p = (struct prompt){.record = r, .member = wl_session_of(&s->who, r)};
    p->number = (uint32_t)s->info.prompts;
    p->n_blocks = wl_number_count(&s->numbering, r);
    if ((uint64_t)p->n_blocks * block > r->prompt_tokens)
        p->short_tokens = p->n_blocks * block - r->prompt_tokens;
    const uint64_t head = (uint64_t)p->member.head_ids * s->numbering.ratio;
    p->n_head = head < p->n_blocks ? (uint32_t)head : p->n_blocks;
    if (wl_intern(&s->names, p->member.session, &session, NULL) != 0 ||
        grow_objects(&s->sessions, &s->sessions_room, (size_t)session + 1) != 0)
        return -ENOMEM;
    p->session = &s->sessions[session];
    return 0;
}

static struct wl_object *popular_object(const struct wl_mrc_sample *s, const struct prompt *p,
                                        uint32_t i)
{
    return &s->popular[wl_sessions_popular(&s->who, p->record, p->record->ids[i])];
}

/* Blocks of the head from `at` on that one id names. */
static uint32_t head_part(const struct wl_mrc_sample *s, const struct prompt *p, uint32_t at)
{
    return p->n_head - at < s->numbering.ratio ? p->n_head - at : s->numbering.ratio;
}

/* Counts the head in both tallies alike. *whole: all of it was used before. */
static int count_head(struct wl_mrc_sample *s, const struct prompt *p, struct wl_mrc_tally *tally,
                      struct wl_mrc_walk *walk, bool *whole)
{
    int status = 0;
    *whole = true;
    for (uint32_t at = 0, i = 0; at < p->n_head && status == 0; i++) {
        const struct wl_object *o = popular_object(s, p, i);
        const uint32_t n = head_part(s, p, at);
        *whole = o->last != KVT_NONE;
        if (!*whole)
            break;
        const uint64_t after = wl_coarse_after(&s->coarse, o->last);
        const uint64_t from =
            o->last > 0 ? wl_coarse_after(&s->coarse, o->last - 1) : s->coarse.total;
        const uint32_t lacks = at + n == p->n_blocks ? p->short_tokens : 0;
        status = wl_mrc_tally_piece(tally, walk, after, from - after, at + 1, n, lacks);
        if (status == 0)
            status = wl_mrc_tally_flat(tally, from, n, lacks);
        at += n;
    }
    return status;
}

/* What the objects say: the body is found as far as the session's longest prompt goes. */
static int predict(struct wl_mrc_sample *s, const struct prompt *p, struct wl_mrc_tally *tally)
{
    struct wl_mrc_walk walk = {0};
    bool whole;
    int status = count_head(s, p, tally, &walk, &whole);
    const uint32_t body = p->n_blocks - p->n_head, size = p->session->size;
    const uint32_t n = body < size ? body : size;
    if (status != 0 || n == 0 || p->session->last == KVT_NONE)
        return status;
    const uint64_t after = wl_coarse_after(&s->coarse, p->session->last);
    const uint32_t lacks = n == body ? p->short_tokens : 0;
    status = wl_mrc_tally_flat(tally, after + size, n, lacks);
    return status == 0 && whole
               ? wl_mrc_tally_piece(tally, &walk, after, size, p->n_head + 1, n, lacks)
               : status;
}

/* ---- The sample ------------------------------------------------------------------------------- */

/* Where in the numbered prompt: skips the head. */
struct at {
    const struct wl_run *run;
    uint32_t i, block;
};

static void skip(struct at *at, uint32_t n)
{
    at->block += n;
    for (at->i += n; at->i > 0 && at->i >= at->run->n; at->run++)
        at->i -= at->run->n;
}

static int find_body(struct wl_mrc_sample *s, const struct prompt *p, const struct wl_chain *w,
                     struct wl_mrc_tally *tally)
{
    struct wl_mrc_walk walk = {0};
    bool whole;
    int status = count_head(s, p, tally, &walk, &whole);
    struct at at = {.run = w->runs};
    skip(&at, p->n_head);
    while (at.block < w->n_blocks && status == 0) {
        const struct wl_piece piece =
            wl_recency_look(&s->recency, at.run->first + at.i, at.run->n - at.i);
        const uint32_t lacks = at.block + piece.n == w->n_blocks ? w->short_tokens : 0;
        whole = whole && piece.seen;
        if (piece.seen) {
            const uint64_t after =
                wl_coarse_after(&s->coarse, wl_recency_stamp(&s->recency, &piece));
            const struct wl_depth d = wl_recency_depth(&s->recency, &piece);
            status = wl_mrc_tally_flat(tally, after + d.head, piece.n, lacks);
            if (status == 0 && whole)
                status = wl_mrc_tally_piece(tally, &walk, after, d.head, p->n_head + d.leaf,
                                            piece.n, lacks);
        }
        skip(&at, piece.n);
    }
    return status;
}

static void use_body(struct wl_mrc_sample *s, const struct prompt *p, const struct wl_chain *w)
{
    struct at at = {.run = w->runs};
    skip(&at, p->n_head);
    while (at.block < w->n_blocks) {
        const uint32_t first = at.run->first + at.i;
        const struct wl_piece piece = wl_recency_look(&s->recency, first, at.run->n - at.i);
        wl_recency_use(&s->recency, first, &piece, at.block - p->n_head);
        skip(&at, piece.n);
    }
}

static void tally_prompt(struct wl_mrc_tally *tally, const struct prompt *p)
{
    tally->prompts++;
    tally->prompt_tokens += p->record->prompt_tokens;
    tally->blocks += p->n_blocks;
}

static int sample_prompt(struct wl_mrc_sample *s, const struct prompt *p)
{
    struct part *part = part_of(s, &p->member);
    struct wl_chain w;
    s->info.sampled_sessions += p->session->last == KVT_NONE;
    s->info.sampled_prompts++;
    s->info.sampled_tokens += p->record->prompt_tokens;
    s->info.sampled_blocks += p->n_blocks;
    tally_prompt(&part->found, p);
    tally_prompt(&part->predicted, p);
    int status = wl_number(&s->numbering, p->record, &w);
    if (status == 0)
        status = predict(s, p, &part->predicted);
    if (status != 0 || w.n_blocks == 0)
        return status;
    status =
        wl_recency_begin(&s->recency, wl_numbers(&s->numbering), w.n_blocks - p->n_head, p->number);
    if (status == 0)
        status = find_body(s, p, &w, &part->found);
    if (status == 0)
        use_body(s, p, &w);
    return status;
}

/* ---- All -------------------------------------------------------------------------------------- */

/* Ids that name full blocks count once, whatever their parts; parts of a partial block one by one. */
static void sketch(struct wl_mrc_sample *s, const struct prompt *p)
{
    const struct wl_record *r = p->record;
    const uint32_t ratio = s->numbering.ratio;
    const uint64_t salt = s->numbering.tenant_salts ? (uint64_t)r->tenant + 1 : 0;
    uint32_t at = 0;
    for (uint32_t i = 0; at < p->n_blocks; i++) {
        const bool by_id = i < r->n_ids;
        const uint64_t id = by_id ? r->ids[i] : r->tail_id;
        const uint32_t n = p->n_blocks - at < ratio ? p->n_blocks - at : ratio;
        const uint64_t hash = kvt_mix64(kvt_mix64(id + UINT64_C(0x9e3779b97f4a7c15)) ^ salt);
        if (n == ratio && by_id)
            wl_sketch_add(&s->full, hash);
        else
            for (uint32_t j = 0; j < n; j++)
                wl_sketch_add(&s->tails, kvt_mix64(hash + j));
        at += n;
    }
}

static void use_objects(struct wl_mrc_sample *s, const struct prompt *p)
{
    for (uint32_t at = 0, i = 0; at < p->n_head; i++) {
        const uint32_t n = head_part(s, p, at);
        wl_coarse_use(&s->coarse, popular_object(s, p, i), p->number, n);
        at += n;
    }
    const uint32_t body = p->n_blocks - p->n_head, size = p->session->size;
    wl_coarse_use(&s->coarse, p->session, p->number, body > size ? body : size);
}

static int count_record(struct wl_mrc_sample *s, const struct wl_record *r)
{
    struct prompt p;
    int status = describe(s, r, &p);
    if (status == 0)
        status = predict(s, &p, &s->predicted);
    if (status == 0 && takes(s, &p.member))
        status = sample_prompt(s, &p);
    if (status != 0)
        return status;
    tally_prompt(&s->predicted, &p);
    sketch(s, &p);
    use_objects(s, &p);
    s->info.prompts++;
    if (p.n_blocks > s->info.longest_blocks)
        s->info.longest_blocks = p.n_blocks;
    return 0;
}

/* ---- The threshold ---------------------------------------------------------------------------- */

struct candidate {
    uint64_t hash, size;
};

static int by_hash(const void *a, const void *b)
{
    const uint64_t x = ((const struct candidate *)a)->hash, y = ((const struct candidate *)b)->hash;
    return (x > y) - (x < y);
}

/* The sessions of the source with the size of their longest bodies. */
static int find_candidates(struct wl_mrc_sample *s, struct wl_source *source,
                           struct wl_intern *names, struct candidate **found)
{
    struct wl_record r;
    size_t room = 0;
    int status;
    while ((status = wl_next_record(source, &r)) == 1) {
        const struct wl_member m = wl_session_of(&s->who, &r);
        const uint32_t all = wl_number_count(&s->numbering, &r);
        const uint64_t head = (uint64_t)m.head_ids * s->numbering.ratio;
        const uint64_t n = all > head ? all - head : 0;
        uint32_t i;
        bool fresh;
        if (wl_intern(names, m.session, &i, &fresh) != 0 ||
            wl_grow(found, &room, (size_t)i + 1, sizeof **found) != 0)
            return -ENOMEM;
        if (fresh)
            (*found)[i] = (struct candidate){seeded(s, m.hash), 0};
        if ((*found)[i].size < n)
            (*found)[i].size = n;
    }
    wl_rewind(source);
    return status;
}

/* The largest threshold under which the sample fits. */
static int fit_threshold(struct wl_mrc_sample *s, struct wl_source *source, uint64_t most)
{
    struct wl_intern names = {0};
    struct candidate *c = NULL;
    const int status = find_candidates(s, source, &names, &c);
    uint64_t sum = 0;
    if (status == 0) {
        qsort(c, names.n, sizeof c[0], by_hash);
        s->threshold = UINT64_MAX;
        for (size_t i = 0; i < names.n && s->threshold == UINT64_MAX; i++) {
            sum += c[i].size;
            if (sum > most)
                s->threshold = i > 0 ? c[i - 1].hash : c[0].hash - (c[0].hash > 0);
        }
    }
    free(c);
    wl_intern_release(&names);
    return status;
}

/* ---- Passing ---------------------------------------------------------------------------------- */

static int pass(struct wl_mrc_sample *s, struct wl_source *source,
                const struct wl_mrc_sampling *sampling)
{
    struct wl_record r;
    int status = wl_coarse_init(&s->coarse, s->who.records);
    if (status == 0)
        status = grow_objects(&s->popular, &s->popular_room, s->who.popular.n + 1);
    while (status == 0 && (status = wl_next_record(source, &r)) == 1) {
        status = count_record(s, &r);
        if (status == 0 && sampling->stop != NULL && *sampling->stop)
            status = -EINTR;
    }
    wl_rewind(source);
    return status;
}

static void finish(struct wl_mrc_sample *s)
{
    struct wl_mrc_sample_info *i = &s->info;
    wl_mrc_tally_seal(&s->predicted);
    for (int p = 0; p < WL_MRC_PARTS; p++) {
        wl_mrc_tally_seal(&s->parts[p].found);
        wl_mrc_tally_seal(&s->parts[p].predicted);
    }
    i->prompt_tokens = s->predicted.prompt_tokens;
    i->blocks = s->predicted.blocks;
    i->sessions = s->names.n;
    i->tracked_blocks = wl_recency_live(&s->recency);
    i->popular_ids = s->who.popular.n;
    i->by_session = s->who.with_session > 0;
    i->rate = (double)s->threshold / 0x1p64;
    const double distinct =
        wl_sketch_count(&s->full) * s->numbering.ratio + wl_sketch_count(&s->tails);
    i->distinct_blocks = distinct < (double)i->blocks ? distinct : (double)i->blocks;
    s->stretch = s->coarse.total > 0 ? fmax(1, distinct / (double)s->coarse.total) : 1;
    s->end_blocks = i->blocks > 0 ? 1 - i->distinct_blocks / (double)i->blocks : 0;
}

int wl_mrc_sample_new(struct wl_mrc_sample **out, struct wl_source *source,
                      const struct wl_mrc_sampling *sampling, struct wl_error *error)
{
    struct wl_info info;
    struct wl_mrc_sample *s = calloc(1, sizeof *s);
    *out = NULL;
    if (s == NULL)
        return wl_fail(error, -ENOMEM, NULL, 0, "sample", "expected more memory");
    wl_source_info(source, &info);
    s->seed = sampling->seed;
    s->threshold = sampling->rate >= 1 ? UINT64_MAX : (uint64_t)(sampling->rate * 0x1p64);
    int status = wl_numbering_init(&s->numbering, &info, sampling->tenant_salts);
    if (status != 0)
        wl_fail(error, status, NULL, 0, "block_tokens", "expected a divisor of the trace's %u",
                info.trace_block_tokens);
    else
        status = wl_sessions_learn(&s->who, source, sampling->tenant_salts, error);
    if (status == 0) {
        if (sampling->most_blocks > 0)
            status = fit_threshold(s, source, sampling->most_blocks);
        if (status == 0)
            status = pass(s, source, sampling);
        if (status == 0 && s->info.sampled_prompts == 0)
            status = wl_fail(error, -ERANGE, NULL, 0, "sample",
                             "expected a larger one: none of %llu sessions is in it",
                             (unsigned long long)s->names.n);
        else if (status == -ENOMEM)
            wl_fail(error, status, NULL, 0, "sample", "expected more memory");
        else if (status != 0 && status != -EINTR)
            wl_fail(error, status, NULL, 0, NULL, "%s", wl_source_error(source));
    }
    if (status != 0) {
        wl_mrc_sample_free(s);
        return status;
    }
    finish(s);
    *out = s;
    return 0;
}

void wl_mrc_sample_free(struct wl_mrc_sample *s)
{
    if (s == NULL)
        return;
    wl_sessions_release(&s->who);
    wl_numbering_release(&s->numbering);
    wl_mrc_tally_release(&s->predicted);
    for (int p = 0; p < WL_MRC_PARTS; p++) {
        wl_mrc_tally_release(&s->parts[p].found);
        wl_mrc_tally_release(&s->parts[p].predicted);
    }
    wl_recency_release(&s->recency);
    wl_coarse_release(&s->coarse);
    wl_intern_release(&s->names);
    free(s->sessions);
    free(s->popular);
    free(s);
}

void wl_mrc_sample_info(const struct wl_mrc_sample *sample, struct wl_mrc_sample_info *info)
{
    *info = sample->info;
}

/* ---- Estimating ------------------------------------------------------------------------------- */

/* Sums over the parts, but for one: found less predicted, and what they looked up; blocks and tokens. */
struct sums {
    double less[2], looked_up[2];
    double end[2], flat_end; /* found by an infinite cache, this way and flat */
};

static void add_part(const struct wl_mrc_sample *s, const struct part *p, enum wl_mrc_way way,
                     uint64_t capacity, struct sums *sums)
{
    const uint32_t b = s->numbering.block_tokens;
    const struct wl_mrc_hits found = wl_mrc_tally_hits(&p->found, way, capacity, b),
                             said = wl_mrc_tally_hits(&p->predicted, way, capacity, b),
                             end = wl_mrc_tally_hits(&p->found, way, UINT64_MAX, b);
    sums->less[0] += (double)found.blocks - (double)said.blocks;
    sums->less[1] += (double)found.tokens - (double)said.tokens;
    sums->looked_up[0] += (double)p->found.blocks;
    sums->looked_up[1] += (double)p->found.prompt_tokens;
    sums->end[0] += (double)end.blocks;
    sums->end[1] += (double)end.tokens;
    sums->flat_end += (double)wl_mrc_tally_hits(&p->found, WL_MRC_FLAT, UINT64_MAX, b).blocks;
}

static void sum_parts(const struct wl_mrc_sample *s, enum wl_mrc_way way, uint64_t capacity,
                      int left_out, struct sums *sums)
{
    static const struct sums none;
    *sums = none;
    for (int p = 0; p < WL_MRC_PARTS; p++)
        if (p != left_out)
            add_part(s, &s->parts[p], way, capacity, sums);
}

/* The difference estimate of blocks (0) or tokens (1). */
static double difference(const struct wl_mrc_sample *s, enum wl_mrc_way way, uint64_t capacity,
                         const struct sums *sums, int what)
{
    const struct wl_mrc_hits all =
        wl_mrc_tally_hits(&s->predicted, way, capacity, s->numbering.block_tokens);
    const double said = what == 0 ? (double)all.blocks / (double)s->predicted.blocks
                                  : (double)all.tokens / (double)s->predicted.prompt_tokens;
    return sums->looked_up[what] > 0 ? said + sums->less[what] / sums->looked_up[what] : said;
}

/* Scaled to end where an infinite cache ends. That is known for blocks, flat; what of it this way finds,
 * and how many tokens a block has, the sample tells. */
static double estimate(const struct wl_mrc_sample *s, enum wl_mrc_way way, uint64_t capacity,
                       int left_out, int what)
{
    struct sums here, last;
    sum_parts(s, way, capacity, left_out, &here);
    sum_parts(s, way, UINT64_MAX, left_out, &last);
    const double rate = difference(s, way, capacity, &here, what);
    const double ends = difference(s, way, UINT64_MAX, &last, what);
    if (!(ends > 0) || !(last.flat_end > 0))
        return rate;
    const double looked_up = what == 0 ? 1 : last.looked_up[0] / last.looked_up[1];
    const double target = s->end_blocks * (last.end[what] / last.flat_end) * looked_up;
    const double scaled = rate * target / ends;
    return scaled < 0 ? 0 : scaled > 1 ? 1 : scaled;
}

/* Delete-one jackknife over the parts; the sketch's own error, which moves the end; and, as if it were a
 * standard error, what it would change if all distances were longer by what the objects leave out. */
static double error_of(const struct wl_mrc_sample *s, enum wl_mrc_way way, uint64_t capacity,
                       int what, double rate)
{
    double without[WL_MRC_PARTS];
    for (int p = 0; p < WL_MRC_PARTS; p++)
        without[p] = estimate(s, way, capacity, p, what);
    const double spread = gsl_stats_variance(without, 1, WL_MRC_PARTS) * (WL_MRC_PARTS - 1) *
                          (WL_MRC_PARTS - 1) / WL_MRC_PARTS;
    const double missing = 1 - s->end_blocks;
    const double sketch =
        s->end_blocks > 0 ? rate * wl_sketch_error() * missing / s->end_blocks : 0;
    const uint64_t nearer = (uint64_t)((double)capacity / s->stretch);
    const double shift = rate - estimate(s, way, nearer, -1, what);
    return sqrt(spread + sketch * sketch + shift * shift);
}

struct wl_mrc_rate wl_mrc_sample_rate(const struct wl_mrc_sample *s, enum wl_mrc_way way,
                                      uint64_t capacity)
{
    struct wl_mrc_rate r = {.blocks = estimate(s, way, capacity, -1, 0),
                            .tokens = estimate(s, way, capacity, -1, 1)};
    r.blocks_error = error_of(s, way, capacity, 0, r.blocks);
    r.tokens_error = error_of(s, way, capacity, 1, r.tokens);
    return r;
}
