/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * calibrate_model.c - the simulated world's time of one transfer that nothing competes with, in
 * closed form.
 *
 * sim/world.h has the formula: the last piece leaves stage s at
 *
 *      E(s) = max(e(s) + head(s), E(s-1) + f(s)) + l(s)
 *
 * with e(s) when the stage is done with all pieces, f(s) the time of one piece in it, l(s) its
 * latency, and head(s) the sum of f + l of the stages before. Alone, e(s) is known without a
 * simulation:
 *
 *      station of k servers    ceil(n / k) * f
 *      link of rate R          bytes / R
 *      Redis                   the server with the most pieces; the engine's own link shared max-min
 *
 * tests/test_measure_model.c holds it
 * against the world itself.
 */
#include "calibrate.h"

#include <math.h>

/* The last piece so far. */
struct way {
    double out_ns, head_ns;
};

/* Passes a stage; returns by how much it extended the end. */
static double pass(struct way *w, double end_ns, double piece_ns, double travel_ns)
{
    const double before_ns = w->out_ns;
    w->out_ns = fmax(end_ns + w->head_ns, w->out_ns + piece_ns) + travel_ns;
    w->head_ns += piece_ns + travel_ns;
    return w->out_ns - before_ns;
}

static double pass_station(struct way *w, uint32_t pieces, uint32_t servers, double piece_ns)
{
    return pass(w, ceil((double)pieces / servers) * piece_ns, piece_ns, 0);
}

static double pass_link(struct way *w, uint32_t pieces, double piece_b, double bps,
                        double travel_ns)
{
    const double piece_ns = piece_b * 1e9 / bps;
    return pass(w, pieces * piece_ns, piece_ns, travel_ns);
}

/* ---- Stages ---------------------------------------------------------------------------------------- */

static double pass_device(struct way *w, const struct calibrate_model *c,
                          const struct calibrate_transfer *t)
{
    return pass_link(w, t->pieces, t->raw_b, t->load ? c->h2d_bps : c->d2h_bps, c->copy_latency_ns);
}

static double pass_copy(struct way *w, const struct calibrate_model *c,
                        const struct calibrate_transfer *t)
{
    if (c->copy_threads == 0)
        return 0;
    return pass_station(w, t->pieces, c->copy_threads, t->raw_b * 1e9 / c->copy_thread_bps);
}

static double pass_codec(struct way *w, const struct calibrate_model *c,
                         const struct calibrate_transfer *t)
{
    if (c->cores == 0)
        return 0;
    return pass_station(w, t->pieces, c->cores,
                        t->raw_b * 1e9 / (t->load ? c->decode_bps : c->encode_bps));
}

static double pass_disk(struct way *w, const struct calibrate_model *c,
                        const struct calibrate_transfer *t)
{
    const double latency_ns = t->load ? c->read_latency_ns : c->write_latency_ns;
    double ns = pass_station(w, t->pieces, c->channels, latency_ns);
    ns += pass_link(w, t->pieces, t->stored_b, t->load ? c->read_bps : c->write_bps, 0);
    return ns;
}

static double pass_redis_command(struct way *w, const struct calibrate_model *c,
                                 const struct calibrate_transfer *t)
{
    return pass(w, ceil((double)t->pieces / t->nodes) * c->command_ns, c->command_ns, 0);
}

/* The servers have one piece more than the others, or as many. First all go at one rate, then those with more. */
static double pass_redis_wire(struct way *w, const struct calibrate_model *c,
                              const struct calibrate_transfer *t)
{
    const double process_bps = t->load ? c->process_bps : c->process_write_bps;
    const double per_node = fmin(fmin(c->nic_bps, process_bps), c->connections * c->connection_bps);
    const uint32_t few = t->pieces / t->nodes, longer = t->pieces % t->nodes;
    const double busy = few > 0 ? t->nodes : longer;
    double end_ns = few * t->stored_b * 1e9 / fmin(per_node, c->engine_nic_bps / busy);
    if (longer > 0)
        end_ns += t->stored_b * 1e9 / fmin(per_node, c->engine_nic_bps / longer);
    return pass(w, end_ns, t->stored_b * 1e9 / fmin(per_node, c->engine_nic_bps), c->rtt_ns / 2);
}

/* ---- Transfers ------------------------------------------------------------------------------------- */

static struct calibrate_spans lone_load(const struct calibrate_model *c,
                                        const struct calibrate_transfer *t)
{
    struct calibrate_spans s = {0};
    struct way w = {0};
    if (t->tier == KVT_REDIS) {
        s.medium_ns += c->rtt_ns / 2;
        s.medium_ns += pass_redis_command(&w, c, t);
        s.medium_ns += pass_redis_wire(&w, c, t);
    }
    if (t->tier == KVT_DISK)
        s.medium_ns += pass_disk(&w, c, t);
    s.decode_ns += pass_codec(&w, c, t);
    if (t->tier != KVT_DISK)
        s.copy_ns += pass_copy(&w, c, t);
    s.copy_ns += pass_device(&w, c, t);
    return s;
}

static struct calibrate_spans lone_store(const struct calibrate_model *c,
                                         const struct calibrate_transfer *t)
{
    struct calibrate_spans s = {0};
    struct way w = {0};
    s.copy_ns += pass_device(&w, c, t);
    if (t->tier == KVT_REDIS)
        s.copy_ns += pass_copy(&w, c, t);
    s.decode_ns += pass_codec(&w, c, t);
    if (t->tier == KVT_HOST)
        s.copy_ns += pass_copy(&w, c, t);
    if (t->tier == KVT_DISK)
        s.medium_ns += pass_disk(&w, c, t);
    if (t->tier == KVT_REDIS) {
        s.medium_ns += pass_redis_wire(&w, c, t);
        s.medium_ns += pass_redis_command(&w, c, t);
        s.medium_ns += c->rtt_ns / 2;
    }
    return s;
}

struct calibrate_spans calibrate_lone(const struct calibrate_model *model,
                                      const struct calibrate_transfer *transfer)
{
    struct calibrate_spans s =
        transfer->load ? lone_load(model, transfer) : lone_store(model, transfer);
    s.ns = s.medium_ns + s.decode_ns + s.copy_ns;
    return s;
}

double calibrate_lone_probe_ns(const struct calibrate_model *model, uint32_t n)
{
    return model->rtt_ns + n * model->command_ns;
}
