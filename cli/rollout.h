/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * rollout.h - what a roll-out (workload/rollout.h) costs, beside the same requests without one.
 *
 *      steady   no roll-out
 *      cold     the roll-out, nothing warmed up
 *      warm     with the scenario's warm-up; absent where there is none
 *
 * Each pass is watched by a tally: what every user's request found, and what its prefill took. From tallies
 * come
 *
 *      the window    requests that arrive from the first step until `watch` after the last one: the same
 *                    requests in every pass
 *      totals        over the whole pass, since a warm-up works before the window. computed: prompt tokens not
 *                    found, background ones included. prefill: what they take by the model of an idle engine,
 *                    prefill(0, n) - prefill(0, hits), on all its GPUs (as cost.h has it). busy: time in steps
 *      extra         totals less those of the steady pass
 *      recovery      from the first step to the end of the first interval at which the hits of the last
 *                    ROLLOUT_TRAIL intervals are 95 % of the steady pass's again; NAN: not in this run
 *      over time     by arrival, in about ROLLOUT_BINS intervals of which one begins at the first step
 */
#ifndef CLI_ROLLOUT_H
#define CLI_ROLLOUT_H

#include "../core/core.h"
#include "../core/observer.h"
#include "../workload/rollout.h"

enum rollout_pass { ROLLOUT_STEADY, ROLLOUT_COLD, ROLLOUT_WARM, ROLLOUT_PASSES };
enum { ROLLOUT_BINS = 96, ROLLOUT_TRAIL = 3 };
#define ROLLOUT_BACK 0.95

/* "steady", "cold", "warm". */
extern const char *const rollout_pass_names[ROLLOUT_PASSES];
/* "none", "hot", "recent", "shadow". */
const char *rollout_warm_up_name(enum wl_warm_up warm_up);

/* One finished request of a user. */
struct rollout_row {
    kvt_ns arrive_ns, ttft_ns;
    uint32_t prompt_tokens, hit_tokens;
};

struct rollout_tally {
    const struct kvt_prefill_cost *prefill;
    kvt_ns switch_ns;
    struct rollout_row *rows;
    size_t n, room;
    bool failed;            /* out of memory */
    uint64_t computed;      /* of users */
    double prefill_ns;      /* likewise */
    double busy_ns;         /* of all engines */
    uint64_t warm_requests; /* background */
    uint64_t warm_late;     /* of them ended after the first step */
    uint64_t warm_computed;
    double warm_prefill_ns;
};

struct rollout_figures {
    bool present;
    uint64_t requests; /* in the window */
    double hit_rate, ttft_p50_ms, ttft_p95_ms, ttft_p99_ms;
    uint64_t computed_tokens;
    double prefill_gpu_s, busy_gpu_s;
    double extra_tokens, extra_prefill_gpu_s, extra_busy_gpu_s, extra_usd; /* usd: of the prefill */
    double recovery_s;
};

struct rollout_bin {
    kvt_ns begin_ns, end_ns;
    double share; /* that has moved, at its end */
    struct {
        uint64_t requests, prompt_tokens, hit_tokens;
        double ttft_p50_ms, ttft_p95_ms; /* NAN without requests */
    } pass[ROLLOUT_PASSES];
};

struct rollout {
    bool done; /* there was a roll-out, and it was looked at */
    struct wl_rollout_config config;
    kvt_ns end_ns, window_end_ns; /* of the last step; of the window */
    bool priced;
    struct rollout_figures pass[ROLLOUT_PASSES];
    uint64_t warm_requests, warm_late, warm_tokens;
    double warm_prefill_gpu_s, warm_usd;
    struct rollout_bin *bins;
    size_t n_bins;
};

/* What figures are made of. */
struct rollout_terms {
    const struct wl_rollout_config *config;
    kvt_ns watch_ns;
    uint32_t gpus_per_engine;
    double usd_per_gpu_hour; /* NAN: not priced */
};

/* prefill is borrowed. Observe with rollout_note, self the tally. */
void rollout_tally_init(struct rollout_tally *t, const struct wl_rollout_config *config,
                        const struct kvt_prefill_cost *prefill);
void rollout_note(void *self, const struct kvt_note *note);
void rollout_tally_release(struct rollout_tally *t);

/* All passes are over; tallies of passes that were not run are NULL. Returns 0 or -ENOMEM; release in any case. */
KVT_MUST_CHECK int rollout_close(struct rollout *r, const struct rollout_terms *terms,
                                 struct rollout_tally *const tallies[ROLLOUT_PASSES]);
void rollout_release(struct rollout *r);

#endif
