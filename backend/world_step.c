/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * world_step.c - steps: modelled time, real pages.
 *
 * Until a model computes here, a step ends when the GPU of the scenario would have ended it;
 * `compute` says when. In the meantime workers fill the pages that the step is to leave, each
 * block with what follows from its key (kernels.h, k_fill), so that whatever is stored, loaded
 * and moved afterwards can be checked.
 *
 *      step ---> fills: prompts' chunks at once; of a repeated step the tokens of SLICE iterations at
 *       |        a time, each slice when the modelled clock comes to it
 *       +------> timer: the modelled end                              both over ---> done
 *
 * An interrupted step ends with the iteration under way, and only what was really run is filled.
 * Pages that are filled later than the modelled end make the step longer than it should be; that
 * is counted, and the longest delay reported.
 *
 * Fills go to the workers in batches of about a megabyte, so that others have their turn in
 * between.
 */
#include "world_impl.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SLICE = 16, BATCH_B = 1 << 20 };

/* ---- What a step will write ------------------------------------------------------------------ */

static bool reserve(struct engine *e, uint32_t fills, uint32_t pages)
{
    if (e->n_fills + fills > e->room_fills) {
        const uint32_t room = 2 * (e->n_fills + fills);
        struct fill *more = realloc(e->fills, room * sizeof *more);
        if (!more)
            return false;
        e->fills = more;
        e->room_fills = room;
    }
    if (e->n_pages + pages > e->room_pages) {
        const uint32_t room = 2 * (e->n_pages + pages);
        uint32_t *more = realloc(e->pages, room * sizeof *more);
        if (!more)
            return false;
        e->pages = more;
        e->room_pages = room;
    }
    return true;
}

/* Of the stretch that was noted last: its pages have cells, and so has the block that it completes. */
static bool note_shards(struct be_world *w, struct engine *e,
                        const struct kvt_sequence_block *block, bool completes)
{
    const uint32_t engine = (uint32_t)(e - w->engines);
    struct fill *f = &e->fills[e->n_fills - 1];
    if (be_shard_work(w, engine, &e->pages[f->pages], block->n_pages) != 0)
        return false;
    if (!completes || !block->row)
        return true;
    f->spread = true;
    f->shard_pages = e->n_pages;
    uint32_t *to = &e->pages[f->shard_pages];
    const uint32_t n =
        kvt_core_pages(w->core, (kvt_engine_id){engine}, block->shard_page, to, w->pages_per_block);
    e->n_pages += n;
    return be_shard_place(w, engine, to, n, block->row) == 0;
}

/* The stretches of one sequence, block by block. */
static bool note_sequence(struct be_world *w, struct engine *e, const struct kvt_sequence *s)
{
    const uint32_t block_tokens = w->config.block_tokens;
    const uint64_t end = (uint64_t)s->first_token + s->tokens;
    for (uint64_t at = s->first_token; at < end;) {
        const uint32_t index = (uint32_t)(at / block_tokens);
        const uint64_t block_end = ((uint64_t)index + 1) * block_tokens;
        const uint64_t until = block_end < end ? block_end : end;
        if (!reserve(e, 1, 2 * w->pages_per_block))
            return false;
        struct kvt_sequence_block block;
        kvt_core_sequence_block(w->core, s, index, &block, &e->pages[e->n_pages]);
        const uint32_t first = (uint32_t)(at % block_tokens);
        const uint32_t tokens = (uint32_t)(until - at);
        assert(block.filled ||
               (uint64_t)block.n_pages * w->config.geometry.page_tokens >= first + tokens);
        if (!block.filled && block.n_pages) {
            e->fills[e->n_fills++] =
                (struct fill){.key = block.keyed
                                         ? block.key
                                         : (kvt_key){.hi = s->request, .lo = ~(uint64_t)index},
                              .pages = e->n_pages,
                              .first_token = first,
                              .tokens = tokens,
                              .iteration = (uint32_t)(at - s->first_token),
                              .decode = s->decode};
            e->n_pages += block.n_pages;
            if (be_sharded(w) && !note_shards(w, e, &block, first + tokens == block_tokens))
                return false;
        }
        at = until;
    }
    return true;
}

static bool note_all(struct be_world *w, uint32_t engine)
{
    struct engine *e = &w->engines[engine];
    struct kvt_sequence s;
    uint32_t number = KVT_NONE;
    e->n_fills = e->n_pages = 0;
    while (kvt_core_sequence(w->core, (kvt_engine_id){engine}, &number, &s))
        if (!note_sequence(w, e, &s))
            return false;
    return true;
}

/* ---- Filling --------------------------------------------------------------------------------- */

/* The part of a stretch that iterations [from, to) make; of a prompt's, all. */
static bool clip(const struct fill *f, uint32_t from, uint32_t to, uint32_t *first,
                 uint32_t *tokens)
{
    uint32_t begin = 0, end = f->tokens;
    if (f->decode) {
        const uint32_t last = f->iteration + f->tokens;
        begin = from > f->iteration ? from - f->iteration : 0;
        end = to < last ? (to > f->iteration ? to - f->iteration : 0) : f->tokens;
    }
    if (begin >= end)
        return false;
    *first = f->first_token + begin;
    *tokens = end - begin;
    return true;
}

static struct fill_job *job_of(struct be_chore *c)
{
    return (struct fill_job *)(void *)((char *)c - offsetof(struct fill_job, chore));
}

static void fill(struct be_chore *c)
{
    struct fill_job *job = job_of(c);
    struct be_world *w = c->workers->self;
    const struct engine *e = &w->engines[job->engine];
    const struct k_geometry *g = &w->config.geometry;
    for (uint32_t i = job->first; i < job->end && job->rc == 0; i++) {
        const struct fill *f = &e->fills[i];
        struct be_pages p = {.engine = job->engine,
                             .pages = &e->pages[f->pages],
                             .layers = g->layers};
        if (!clip(f, job->from_iteration, job->to_iteration, &p.first_token, &p.tokens))
            continue;
        for (p.heads = 0; p.heads < w->config.gpus_per_engine && job->rc == 0; p.heads++) {
            job->rc = be_pages_fill(w, &p, be_seed(f->key, p.heads));
            job->b += k_packed_b(g, p.layers, p.tokens);
        }
        if (f->spread && job->rc == 0)
            job->rc = be_shard_spread(w, job->engine, p.pages, &e->pages[f->shard_pages]);
    }
}

static void step_check(struct be_world *w, uint32_t engine);

static void after_fill(struct be_chore *c)
{
    struct fill_job *job = job_of(c);
    struct be_world *w = c->workers->self;
    const uint32_t engine = job->engine;
    w->stats.filled_b += job->b;
    const struct engine *e = &w->engines[engine];
    for (uint32_t i = job->first; i < job->end && job->rc == 0; i++)
        if (e->fills[i].spread) /* a prompt's: by this job and no other */
            be_shard_was_spread(w, engine, &e->pages[e->fills[i].shard_pages]);
    if (job->rc != 0)
        w->error = job->rc; /* the device failed: nothing would be true any more */
    w->engines[engine].fills_under_way--;
    job->next = w->free_jobs;
    w->free_jobs = job;
    step_check(w, engine);
}

static struct fill_job *job_new(struct be_world *w)
{
    struct fill_job *job = w->free_jobs;
    if (job) {
        w->free_jobs = job->next;
        return job;
    }
    if (w->n_jobs == w->room_jobs) {
        const uint32_t room = w->room_jobs ? 2 * w->room_jobs : 16;
        struct fill_job **more = realloc(w->jobs, room * sizeof(*more));
        if (!more)
            return NULL;
        w->jobs = more;
        w->room_jobs = room;
    }
    job = calloc(1, sizeof *job);
    if (job)
        w->jobs[w->n_jobs++] = job;
    return job;
}

static void push_job(struct be_world *w, uint32_t engine, uint32_t first, uint32_t end,
                     uint32_t from, uint32_t to)
{
    struct fill_job *job = job_new(w);
    if (!job) {
        w->error = -ENOMEM;
        return;
    }
    *job = (struct fill_job){
        .engine = engine, .first = first, .end = end, .from_iteration = from, .to_iteration = to};
    be_workers_ask(&w->workers, &job->chore, BE_URGENT_FILL, fill, after_fill);
    w->engines[engine].fills_under_way++;
}

/* Asks for the tokens of iterations up to `to` (and prompts' chunks, the first time), in batches. */
static void ask_fills(struct be_world *w, uint32_t engine, uint32_t to)
{
    struct engine *e = &w->engines[engine];
    const uint32_t from = e->asked;
    const size_t token_b =
        k_packed_b(&w->config.geometry, w->config.geometry.layers, 1) * w->config.gpus_per_engine;
    if (from >= to)
        return;
    uint32_t batch = 0;
    size_t b = 0;
    for (uint32_t i = 0; i < e->n_fills; i++) {
        uint32_t first, tokens;
        if ((e->fills[i].decode || from == 0) && clip(&e->fills[i], from, to, &first, &tokens))
            b += tokens * token_b;
        if (b < BATCH_B && i + 1 < e->n_fills)
            continue;
        if (b)
            push_job(w, engine, batch, i + 1, from, to);
        batch = i + 1;
        b = 0;
    }
    e->asked = to;
}

/* ---- A step's life --------------------------------------------------------------------------- */

static void arm_slice(struct be_world *w, uint32_t engine)
{
    const struct engine *e = &w->engines[engine];
    if (e->asked >= e->iterations)
        return;
    const struct be_compute *c = &w->config.compute;
    be_timer(w,
             (struct timer){.at = kvt_ns_add(e->begin_ns, c->step_ns(c->self, &e->step, e->asked)),
                            .kind = TIMER_FILL,
                            .generation = e->generation,
                            .name = engine});
}

static void arm_end(struct be_world *w, uint32_t engine)
{
    struct engine *e = &w->engines[engine];
    e->generation++;
    be_timer(w, (struct timer){.at = e->end_ns,
                               .kind = TIMER_STEP,
                               .generation = e->generation,
                               .name = engine});
    arm_slice(w, engine);
}

int be_step_start(struct be_world *w, const struct kvt_step *step)
{
    if (!w->core || step->engine.v >= w->config.engines)
        return -EINVAL;
    if (step->n_copies && !w->error)
        w->error = -ENOTSUP; /* pages hold what their block's key says, from its first token on */
    if (w->error)
        return w->error;
    struct engine *e = &w->engines[step->engine.v];
    if (e->stepping)
        return -EBUSY;
    if (!note_all(w, step->engine.v))
        return -ENOMEM;
    const struct be_compute *c = &w->config.compute;
    e->begin_ns = be_tick(w);
    e->end_ns = kvt_ns_add(e->begin_ns, c->step_ns(c->self, step, step->repeat));
    e->step = *step;
    e->step.chunks = NULL; /* borrowed; steps that are interrupted have none */
    e->iterations = step->repeat;
    e->stepping = true;
    e->timed = false;
    e->asked = 0;
    w->stats.under_way++;
    w->stats.steps++;
    ask_fills(w, step->engine.v, step->repeat < SLICE ? step->repeat : SLICE);
    arm_end(w, step->engine.v);
    return 0;
}

void be_step_interrupt(struct be_world *w, uint32_t engine)
{
    struct engine *e = &w->engines[engine];
    if (!e->stepping || e->timed)
        return;
    const struct be_compute *c = &w->config.compute;
    const uint32_t iterations = c->iterations_by(c->self, &e->step, be_tick(w) - e->begin_ns);
    if (iterations >= e->iterations)
        return;
    e->iterations = iterations;
    e->end_ns = kvt_ns_add(e->begin_ns, c->step_ns(c->self, &e->step, iterations));
    arm_end(w, engine);
}

void be_step_timer(struct be_world *w, uint32_t engine, uint32_t generation, bool end)
{
    struct engine *e = &w->engines[engine];
    if (!e->stepping || e->generation != generation)
        return;
    if (end) {
        e->timed = true;
        ask_fills(w, engine, e->iterations);
        step_check(w, engine);
    } else {
        const uint32_t next = e->asked + SLICE;
        ask_fills(w, engine, next < e->iterations ? next : e->iterations);
        arm_slice(w, engine);
    }
}

static void step_check(struct be_world *w, uint32_t engine)
{
    struct engine *e = &w->engines[engine];
    if (!e->stepping || !e->timed || e->fills_under_way)
        return;
    const kvt_ns now = be_tick(w);
    const kvt_ns late_ns = now > e->end_ns ? now - e->end_ns : 0;
    w->stats.late_steps += late_ns > KVT_MILLISECOND;
    if (late_ns > w->stats.late_ns_most)
        w->stats.late_ns_most = late_ns;
    w->stats.iterations += e->iterations;
    w->stats.under_way--;
    e->stepping = false;
    e->generation++;
    if (w->closing)
        return;
    kvt_core_done(w->core, now,
                  &(struct kvt_done){.op = e->step.op,
                                     .status = KVT_OK,
                                     .iterations = e->iterations});
}

void be_step_release(struct be_world *w)
{
    for (uint32_t i = 0; w->engines && i < w->config.engines; i++) {
        free(w->engines[i].fills);
        free(w->engines[i].pages);
    }
    for (uint32_t i = 0; i < w->n_jobs; i++)
        free(w->jobs[i]);
    free(w->jobs);
}
