/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * calibrate_model.c - the simulated world's time of transfers on one machine with workers, that nothing else competes
 * with.
 *
 * There is no closed form for workers that share cores with servers, so this is sim/world_piece.c once more, for a
 * handful of pieces and in real numbers, since a fit needs derivatives that nanoseconds are too coarse for:
 *
 *      WAITS ---> CHORE ---> ENDED                        host, disk
 *      ASKED ---> QUEUED ---> VALUE ---> BACK ---> WAITS ---> CHORE ---> ENDED        load from Redis
 *      WAITS ---> CHORE ---> ASKED ---> QUEUED ---> VALUE ---> ENDED                  store to Redis
 *
 * CHORE (a worker) and VALUE (the loop with a server, one value at a time) are threads on shared cores (sim/crew.h, C3 and C4), ASKED and BACK half round trips.
 * A step of the loop goes to the next moment at which any of them ends.
 *
 * tests/test_measure_model.c holds it against the world itself.
 */
#include "calibrate.h"

#include <assert.h>
#include <math.h>

static const double DONE_NS = 1e-6;

double calibrate_share(double odds)
{
    return odds / (1 + odds);
}

enum phase { HELD, ASKED, QUEUED, VALUE, BACK, WAITS, CHORE, ENDED };

struct part {
    enum phase phase;
    uint32_t transfer;
    double left_ns;   /* work, or way */
    double server_ns; /* VALUE: the server's work */
    double since;     /* when it began to wait */
    uint32_t turn;    /* of those that wait since then */
};

struct lone {
    const struct calibrate_model *model;
    const struct calibrate_transfer *transfers;
    struct part part[CALIBRATE_PIECES];
    uint32_t n, turns;
    double now;
    double medium_at[CALIBRATE_TOGETHER], code_at[CALIBRATE_TOGETHER], copy_at[CALIBRATE_TOGETHER];
};

/* ---- Work ------------------------------------------------------------------------------------------ */

static double copy_ns(const struct calibrate_model *m, const struct calibrate_transfer *t)
{
    return m->copy_latency_ns + t->raw_b * 1e9 / (t->load ? m->h2d_bps : m->d2h_bps);
}

static double code_ns(const struct calibrate_model *m, const struct calibrate_transfer *t)
{
    if (t->tier == KVT_HOST || !m->coded)
        return 0;
    return t->raw_b * 1e9 / (t->load ? m->decode_bps : m->encode_bps);
}

static double disk_ns(const struct calibrate_model *m, const struct calibrate_transfer *t)
{
    if (t->tier != KVT_DISK)
        return 0;
    return t->load ? m->read_latency_ns + t->stored_b * 1e9 / m->read_bps
                   : m->write_latency_ns + t->stored_b * 1e9 / m->write_bps;
}

static double value_ns(const struct calibrate_model *m, const struct calibrate_transfer *t)
{
    return m->command_ns + t->stored_b * 1e9 / (t->load ? m->process_bps : m->process_write_bps);
}

/* ---- Phases ---------------------------------------------------------------------------------------- */

static void enter(struct lone *l, struct part *p, enum phase phase, double left_ns)
{
    p->phase = phase;
    p->left_ns = left_ns;
    p->server_ns = 0;
    p->since = l->now;
    p->turn = l->turns++;
}

static bool comes_first(const struct part *p, const struct part *than)
{
    return !than || p->since < than->since || (p->since == than->since && p->turn < than->turn);
}

/* The load's next value is asked for. */
static void ask_next(struct lone *l, uint32_t transfer)
{
    for (uint32_t i = 0; i < l->n; i++)
        if (l->part[i].transfer == transfer && l->part[i].phase == HELD) {
            enter(l, &l->part[i], ASKED, l->model->rtt_ns / 2);
            return;
        }
}

static void end_chore(struct lone *l, struct part *p, const struct calibrate_transfer *t)
{
    const uint32_t k = p->transfer;
    const double copy = copy_ns(l->model, t), code = code_ns(l->model, t),
                 disk = disk_ns(l->model, t);
    if (t->load) {
        l->copy_at[k] = l->now;
        if (t->tier == KVT_DISK) {
            l->medium_at[k] = l->now - copy - code;
            l->code_at[k] = l->now - copy;
        }
        enter(l, p, ENDED, 0);
        return;
    }
    l->medium_at[k] = l->now;
    l->code_at[k] = l->now - disk;
    l->copy_at[k] = l->now - disk - code;
    if (t->tier == KVT_REDIS)
        enter(l, p, ASKED, l->model->rtt_ns / 2);
    else
        enter(l, p, ENDED, 0);
}

/* What the piece was at is over. */
static void end_phase(struct lone *l, struct part *p)
{
    const struct calibrate_transfer *t = &l->transfers[p->transfer];
    const uint32_t k = p->transfer;
    switch (p->phase) {
    case ASKED:
        enter(l, p, QUEUED, 0);
        break;
    case VALUE:
        l->medium_at[k] = l->now;
        if (t->load)
            enter(l, p, BACK, l->model->rtt_ns / 2);
        else
            enter(l, p, ENDED, 0);
        break;
    case BACK:
        l->medium_at[k] = l->now;
        l->code_at[k] = l->now + code_ns(l->model, t);
        enter(l, p, WAITS, 0);
        ask_next(l, k);
        break;
    default:
        end_chore(l, p, t);
    }
}

/* The piece that has waited longest, of those in that phase. */
static struct part *longest(struct lone *l, enum phase phase)
{
    struct part *best = NULL;
    for (uint32_t i = 0; i < l->n; i++) {
        struct part *p = &l->part[i];
        if (p->phase == phase && comes_first(p, best))
            best = p;
    }
    return best;
}

static uint32_t count(const struct lone *l, enum phase phase)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < l->n; i++)
        n += l->part[i].phase == phase;
    return n;
}

/* The loop and workers take what waits. What is begun together is all loads or all stores. */
static void take_up(struct lone *l)
{
    const struct calibrate_model *m = l->model;
    const uint32_t most = l->transfers[0].load || m->workers == 1 ? m->workers : m->workers - 1;
    struct part *p;
    if (count(l, VALUE) == 0 && (p = longest(l, QUEUED))) {
        const struct calibrate_transfer *t = &l->transfers[p->transfer];
        enter(l, p, VALUE, value_ns(m, t));
        p->server_ns = p->left_ns * calibrate_share(t->load ? m->get_odds : m->set_odds);
    }
    while (count(l, CHORE) < most && (p = longest(l, WAITS))) {
        const struct calibrate_transfer *t = &l->transfers[p->transfer];
        enter(l, p, CHORE, copy_ns(m, t) + code_ns(m, t) + disk_ns(m, t));
    }
}

static bool works(const struct part *p)
{
    return p->phase == VALUE || p->phase == CHORE;
}

static bool moves(const struct part *p)
{
    return p->phase == ASKED || p->phase == BACK;
}

/* What all chores get done together at most. */
static double own_cores(const struct lone *l)
{
    double sum = 0, n = 0;
    for (uint32_t i = 0; i < l->n; i++) {
        if (l->part[i].phase != CHORE)
            continue;
        const bool file = l->transfers[l->part[i].transfer].tier == KVT_DISK;
        const double own = file ? l->model->file_cores : l->model->worker_cores;
        sum += fmin(l->model->workers, fmax(1, own));
        n++;
    }
    return sum / n;
}

/* How fast each thread of a value goes, [0], and all chores together, [1]. */
static void share_cores(const struct lone *l, double pace[2])
{
    const double cores = l->model->cores, chores = count(l, CHORE);
    double values = 0;
    for (uint32_t i = 0; i < l->n; i++)
        if (l->part[i].phase == VALUE)
            values += (l->part[i].left_ns > DONE_NS) + (l->part[i].server_ns > DONE_NS);
    const double most = chores > 0 ? fmin(1, own_cores(l) / chores) : 1;
    const double equal = chores + values > 0 ? cores / (chores + values) : 1;
    if (most <= equal) { /* workers are held back by less than the cores */
        pace[1] = most * chores;
        pace[0] = values > 0 ? fmin(1, (cores - most * chores) / values) : 1;
    } else {
        pace[0] = fmin(1, equal);
        pace[1] = pace[0] * chores;
    }
}

/* What is left of that for a chore, by those that began before it. */
static double chore_pace(const struct lone *l, const struct part *p, double all)
{
    for (uint32_t i = 0; i < l->n; i++)
        all -= l->part[i].phase == CHORE && l->part[i].turn < p->turn;
    return fmax(0, fmin(1, all));
}

/* To the next moment at which anything ends. False when nothing is left. */
static bool advance(struct lone *l)
{
    double by = INFINITY, share[2], pace[CALIBRATE_PIECES];
    share_cores(l, share);
    for (uint32_t i = 0; i < l->n; i++) {
        const struct part *p = &l->part[i];
        pace[i] = p->phase == CHORE ? chore_pace(l, p, share[1]) : share[0];
        if (works(p) && p->left_ns > DONE_NS && pace[i] > 0)
            by = fmin(by, p->left_ns / pace[i]);
        if (p->phase == VALUE && p->server_ns > DONE_NS)
            by = fmin(by, p->server_ns / share[0]);
        if (moves(p))
            by = fmin(by, p->left_ns);
    }
    if (!isfinite(by))
        return false;
    l->now += by;
    bool ends[CALIBRATE_PIECES] = {false};
    for (uint32_t i = 0; i < l->n; i++) {
        struct part *p = &l->part[i];
        if (!works(p) && !moves(p))
            continue;
        p->left_ns -= works(p) ? by * pace[i] : by;
        if (p->phase == VALUE)
            p->server_ns -= by * share[0];
        ends[i] = p->left_ns <= DONE_NS && p->server_ns <= DONE_NS;
    }
    for (uint32_t i = 0; i < l->n; i++)
        if (ends[i])
            end_phase(l, &l->part[i]);
    return true;
}

/* ---- Transfers ------------------------------------------------------------------------------------- */

static void begin(struct lone *l, uint32_t k)
{
    const struct calibrate_transfer *t = &l->transfers[k];
    const bool asks = t->load && t->tier == KVT_REDIS;
    const uint32_t most = l->model->values * (t->nodes ? t->nodes : 1);
    for (uint32_t i = 0; i < t->pieces; i++) {
        struct part *p = &l->part[l->n++];
        assert(l->n <= CALIBRATE_PIECES);
        *p = (struct part){.transfer = k};
        if (!asks)
            enter(l, p, WAITS, 0);
        else if (i < most)
            enter(l, p, ASKED, l->model->rtt_ns / 2);
    }
}

static double step_to(double *from, double to)
{
    const double by = to > *from ? to - *from : 0;
    *from += by;
    return by;
}

void calibrate_together(const struct calibrate_model *model,
                        const struct calibrate_transfer *transfers, uint32_t n,
                        struct calibrate_spans *spans)
{
    struct lone l = {.model = model, .transfers = transfers};
    assert(n >= 1 && n <= CALIBRATE_TOGETHER);
    for (uint32_t k = 0; k < n; k++)
        begin(&l, k);
    do
        take_up(&l);
    while (advance(&l));
    for (uint32_t k = 0; k < n; k++) {
        struct calibrate_spans *s = &spans[k];
        double at = 0;
        if (!transfers[k].load) {
            s->copy_ns = step_to(&at, l.copy_at[k]);
            s->decode_ns = step_to(&at, l.code_at[k]);
            s->medium_ns = step_to(&at, l.medium_at[k]);
            if (transfers[k].tier == KVT_REDIS)
                s->medium_ns += model->rtt_ns / 2;
        } else {
            s->medium_ns = step_to(&at, l.medium_at[k]);
            s->decode_ns = step_to(&at, l.code_at[k]);
            s->copy_ns = step_to(&at, l.copy_at[k]);
        }
        s->ns = s->medium_ns + s->decode_ns + s->copy_ns;
    }
}

struct calibrate_spans calibrate_lone(const struct calibrate_model *model,
                                      const struct calibrate_transfer *transfer)
{
    struct calibrate_spans spans;
    calibrate_together(model, transfer, 1, &spans);
    return spans;
}

double calibrate_lone_probe_ns(const struct calibrate_model *model, uint32_t n)
{
    const uint32_t ways = n < model->connections ? n : model->connections;
    return model->rtt_ns + (ways - 1) * model->connection_ns + n * model->command_ns;
}
