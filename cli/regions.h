/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * regions.h - in which region a request is served, and under which policy.
 *
 * A session is at home in one region; a request without session is one of its own. Homes are drawn by the shares of
 * traffic. A share `roam` of requests, drawn one by one, is served in another region than their session's home, which one
 * by the others' shares: people on the way, a region that sheds load, a router that follows latency. Each draw is a hash
 * of the run's seed, a name of its own ("region home", "region roam", "region away") and the session or the request: it depends
 * on nothing else, so the same seed gives the same regions whatever else a scenario changes, and more roaming adds
 * roamers to those that there were.
 *
 *      recompute      what other regions hold is of no use: computed again
 *      remote-read    it is read from there, over the link that all share which go that way
 *      replicate      every computed block is stored in all regions; reads are local
 *
 * What a policy does in the cache: core/region.h. How far it is: sim/config.h. What that costs: cost.h.
 */
#ifndef CLI_REGIONS_H
#define CLI_REGIONS_H

#include "../core/port.h"
#include "../core/region.h"

enum regions_policy { REGIONS_RECOMPUTE, REGIONS_REMOTE_READ, REGIONS_REPLICATE };

enum { REGIONS_NAME = 32 };

struct regions {
    uint32_t n; /* 0, 1: everything is in one, and nothing below counts */
    enum regions_policy policy;
    char name[KVT_REGIONS_MOST][REGIONS_NAME];
    double share[KVT_REGIONS_MOST]; /* of sessions; sum 1 */
    double roam;
    uint64_t seed;
};

/* "recompute", "remote-read", "replicate". */
const char *regions_policy_name(enum regions_policy policy);

/* Where a request is served; 0 where there is one region only. */
uint32_t regions_of_request(const struct regions *regions, const struct kvt_request *request);

#endif
