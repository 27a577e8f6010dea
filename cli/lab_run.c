/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * lab_run.c - one run of a lab, and its result as bytes; see lab.h.
 *
 * A run leaves no files: its summary is text in memory, made by the same code that `kvtwin run` writes it
 * with, so every figure has the same name and definition in both.
 *
 * Packed, a result is
 *
 *      length of the summary   number of requests   summary   requests
 *             8 bytes                8 bytes
 *
 * in the machine's own order of bytes: it goes from one process to another, never to a file.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../core/observer.h"
#include "lab.h"
#include "results.h"
#include "rollout_run.h"

/* ---- Requests ---------------------------------------------------------------------------------------- */

struct collector {
    struct lab_request *requests;
    size_t n, capacity;
    kvt_ns warmup_ns;
    bool wanted, failed;
    struct rollout_tally *tally; /* NULL: nobody asks for a roll-out's figures, or there is none */
};

static const struct lab_request not_measured = {UINT64_MAX, UINT64_MAX, 0, 0, 0};

static bool make_room(struct collector *c, uint64_t id)
{
    if (id >= c->capacity) {
        size_t capacity = id + id / 2 + 1024;
        struct lab_request *more = realloc(c->requests, capacity * sizeof *more);
        if (!more)
            return false;
        c->requests = more;
        c->capacity = capacity;
    }
    while (c->n <= id)
        c->requests[c->n++] = not_measured;
    return true;
}

static void note(void *self, const struct kvt_note *note)
{
    struct collector *c = self;
    const struct kvt_report *p = note->report;
    if (c->tally)
        rollout_note(c->tally, note);
    if (!c->wanted)
        return;
    if (note->kind != KVT_NOTE_REPORT || p->background || c->failed)
        return;
    if (!make_room(c, p->id)) {
        c->failed = true;
        return;
    }
    if (p->outcome != KVT_FINISHED || p->arrive_ns < c->warmup_ns)
        return;
    struct lab_request *r = &c->requests[p->id];
    *r = (struct lab_request){
        .ttft_ns = p->first_token_ns - p->arrive_ns,
        .tpot_ns = p->output_tokens >= 2
                       ? (p->finish_ns - p->first_token_ns) / (p->output_tokens - 1)
                       : UINT64_MAX,
        .e2e_ns = p->finish_ns - p->arrive_ns,
        .prompt_tokens = p->prompt_tokens,
    };
    for (unsigned tier = 0; tier < KVT_TIERS; tier++)
        r->hit_tokens += p->ledger_tokens[KVT_HIT_GPU + tier];
}

/* ---- Running ----------------------------------------------------------------------------------------- */

/* One pass over the traffic. *results is closed, or NULL. */
static int pass(struct lab *lab, const struct resolved *resolved, struct collector *c,
                const volatile sig_atomic_t *stop, struct results **results, void **kept,
                char *error)
{
    const struct results_options options = session_results(&lab->session, lab->name);
    const struct kvt_observer observer = {note, c};
    int rc = 0;
    *results = results_new(&options, &rc, error, SCENARIO_ERROR_SIZE);
    if (!*results)
        return rc;
    const struct drive d = {
        .resolved = resolved,
        .world = (enum scenario_world)lab->session.scenario.world,
        .source = session_source_part(&lab->session,
                                      resolved->core.cache ? WL_ROLLOUT_ALL : WL_ROLLOUT_NOTHING),
        .results = *results,
        .also = c ? &observer : NULL,
        .stop = stop,
    };
    rc = drive_run(&d, kept, error);
    if (rc == 0 && c && c->failed) {
        snprintf(error, SCENARIO_ERROR_SIZE, "out of memory for the requests");
        rc = -ENOMEM;
    }
    return rc;
}

void lab_want(struct lab *lab, const char *figure)
{
    lab->baseline = lab->baseline || strncmp(figure, "baseline_", 9) == 0 ||
                    strncmp(figure, "speedup_", 8) == 0;
    lab->rollout = lab->rollout || strncmp(figure, "rollout_", 8) == 0;
}

/* The run itself, and beside it what its figures are compared with: everything that its summary is made of. */
struct passes {
    struct results *with, *without;
    void *kept, *kept_without;
    struct rollout_tally tally;
    struct rollout rollout;
};

static int run_passes(struct lab *lab, struct passes *p, struct collector *c,
                      const volatile sig_atomic_t *stop, char *error)
{
    const struct resolved *resolved = &lab->session.resolved;
    if (lab->rollout && lab->session.rollout) {
        rollout_tally_init(&p->tally, &resolved->rollout, &resolved->core.prefill);
        c->tally = &p->tally;
    }
    int rc = pass(lab, resolved, c->wanted || c->tally ? c : NULL, stop, &p->with, &p->kept, error);
    if (rc == 0 && lab->baseline && resolved->core.cache) {
        struct resolved off = *resolved;
        off.core.cache = false;
        off.core.expected_blocks = 0;
        rc = pass(lab, &off, NULL, stop, &p->without, &p->kept_without, error);
    }
    if (rc == 0 && c->tally) {
        rc = rollout_compare(&p->rollout, &lab->session, &p->tally, false, stop, error);
        results_set_rollout(p->with, &p->rollout);
    }
    return rc;
}

static void passes_release(struct passes *p)
{
    results_free(p->with);
    results_free(p->without);
    free(p->kept);
    free(p->kept_without);
    rollout_tally_release(&p->tally);
    rollout_release(&p->rollout);
}

int lab_run(struct lab *lab, size_t run, const volatile sig_atomic_t *stop,
            struct lab_result *result, char *error)
{
    struct passes p = {0};
    *result = (struct lab_result){0};
    int rc = lab_become(lab, run, error);
    if (rc != 0)
        return rc;
    memcpy(lab->session.sha256, lab->entries[run].sha256, sizeof lab->session.sha256);
    struct collector c = {.warmup_ns = lab->session.scenario.workload.warmup_ns,
                          .wanted = lab->requests};
    rc = run_passes(lab, &p, &c, stop, error);
    if (rc == 0) {
        result->json = results_json(p.with, p.without);
        rc = result->json ? 0 : -ENOMEM;
        if (rc != 0)
            snprintf(error, SCENARIO_ERROR_SIZE, "out of memory for the summary");
    }
    if (rc == 0) {
        result->requests = c.requests;
        result->n_requests = c.n;
    } else {
        free(c.requests);
    }
    passes_release(&p);
    return rc;
}

void lab_result_release(struct lab_result *r)
{
    free(r->json);
    free(r->requests);
    *r = (struct lab_result){0};
}

/* ---- As bytes ---------------------------------------------------------------------------------------- */

int lab_pack(const struct lab_result *r, char **bytes, size_t *n)
{
    uint64_t head[2] = {strlen(r->json) + 1, r->n_requests};
    size_t rows = r->n_requests * sizeof *r->requests;
    char *to = malloc(sizeof head + head[0] + rows);
    if (!to)
        return -ENOMEM;
    memcpy(to, head, sizeof head);
    memcpy(to + sizeof head, r->json, head[0]);
    if (rows > 0)
        memcpy(to + sizeof head + head[0], r->requests, rows);
    *bytes = to;
    *n = sizeof head + head[0] + rows;
    return 0;
}

int lab_unpack(struct lab_result *r, const char *bytes, size_t n)
{
    uint64_t head[2];
    *r = (struct lab_result){0};
    if (n < sizeof head)
        return -EBADMSG;
    memcpy(head, bytes, sizeof head);
    n -= sizeof head;
    bytes += sizeof head;
    if (head[0] < 1 || head[0] > n || bytes[head[0] - 1] != '\0' ||
        (n - head[0]) / sizeof *r->requests != head[1] || (n - head[0]) % sizeof *r->requests != 0)
        return -EBADMSG;
    r->json = strdup(bytes);
    r->requests = head[1] ? malloc(head[1] * sizeof *r->requests) : NULL;
    if (!r->json || (head[1] && !r->requests)) {
        lab_result_release(r);
        return -ENOMEM;
    }
    if (head[1])
        memcpy(r->requests, bytes + head[0], head[1] * sizeof *r->requests);
    r->n_requests = head[1];
    return 0;
}
