/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * resolve_rollout.c - rollout: when a new epoch of the model comes, for whom, and what is warmed up before
 * (workload/rollout.h).
 *
 * A warm-up of automatic size is half of what the GPUs hold: more would push out what users still ask
 * for, since until the switch both epochs need room.
 */
#include "resolve.h"

#include <errno.h>
#include <string.h>

static int check(const struct scenario *s, char *error)
{
    const struct scenario_rollout *wanted = &s->rollout;
    if (wanted->warm_up != WL_WARM_NONE && wanted->lead_ns >= wanted->at_ns)
        return resolve_refuse(s, "rollout.lead",
                              "expected less than rollout.at: before the first request there is "
                              "nothing to go by",
                              error);
    if (s->workload.warmup_ns > wanted->at_ns)
        return resolve_refuse(s, "rollout.at",
                              "expected a time behind workload.warmup, before which nothing is "
                              "counted",
                              error);
    return 0;
}

int resolve_rollout(struct resolved *r, const struct scenario *s, char *error)
{
    const struct scenario_rollout *wanted = &s->rollout;
    struct wl_rollout_config *c = &r->rollout;
    *c = (struct wl_rollout_config){.at_ns = wanted->at_ns,
                                    .every_ns = wanted->every_ns,
                                    .share = wanted->share,
                                    .by = (enum wl_rollout_by)wanted->by,
                                    .warm_up = (enum wl_warm_up)wanted->warm_up,
                                    .blocks = wanted->blocks,
                                    .lead_ns = wanted->lead_ns,
                                    .drop = wanted->drop,
                                    .block_tokens = r->core.block_tokens};
    if (c->at_ns == KVT_NEVER)
        return 0;
    const int rc = check(s, error);
    if (rc != 0)
        return rc;
    if (c->lead_ns > c->at_ns)
        c->lead_ns = c->at_ns;
    const uint64_t held = r->tier_blocks[KVT_GPU];
    if (c->blocks == 0) {
        c->blocks = held == UINT64_MAX ? UINT64_MAX : held / 2;
        if (held == UINT64_MAX)
            resolve_add_note(r, "rollout.blocks", "all: the gpu tier is without bound");
        else
            resolve_add_note(r, "rollout.blocks", "%llu, half of what the GPUs hold",
                             (unsigned long long)c->blocks);
    }
    if (kvt_namespace_init(&c->epoch, s->cache.model_epoch, "rollout", s->cluster.model) == 0)
        return 0;
    snprintf(error, SCENARIO_ERROR_SIZE, "SHA-256 is not available");
    return -EIO;
}
