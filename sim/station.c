/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * station.c - see station.h.
 *
 * A few items are handed out one by one. For many, note that server i can begin items at f_i, f_i + s, f_i + 2 s, ...
 * (f_i: when it is free, not before now), and that first come first served means that the n earliest of all these
 * begins are taken. The n-th earliest, t, is found by bisection on the count of begins up to a time; each server
 * takes its begins before t, and as many servers as are still needed take one at t. Sums of waiting times are
 * arithmetic series.
 */
#include "station.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int sim_station_init(struct sim_station *s, uint32_t servers)
{
    assert(servers >= 1);
    memset(s, 0, sizeof *s);
    s->free_at = calloc(servers, sizeof *s->free_at);
    if (!s->free_at)
        return -ENOMEM;
    s->servers = servers;
    return 0;
}

void sim_station_release(struct sim_station *s)
{
    free(s->free_at);
    memset(s, 0, sizeof *s);
}

/* The server that was free first now is busy until `at`. */
static void replace_first(struct sim_station *s, kvt_ns at)
{
    uint32_t i = 0;
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child + 1 < s->servers && s->free_at[child + 1] < s->free_at[child])
            child++;
        if (child >= s->servers || s->free_at[child] >= at)
            break;
        s->free_at[i] = s->free_at[child];
        i = child;
    }
    s->free_at[i] = at;
}

/* One item to the first free server. Returns when it begins. */
static kvt_ns serve_one(struct sim_station *s, kvt_ns now, kvt_ns service_ns)
{
    const kvt_ns begin = s->free_at[0] > now ? s->free_at[0] : now;
    replace_first(s, kvt_ns_add(begin, service_ns));
    s->wait_ns += (double)(begin - now);
    return begin;
}

/* Begins of server i up to and including t. */
static uint64_t begins_until(kvt_ns free_at, kvt_ns service_ns, kvt_ns t)
{
    return free_at <= t ? (t - free_at) / service_ns + 1 : 0;
}

static bool enough_until(const struct sim_station *s, kvt_ns service_ns, kvt_ns t, uint64_t n)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < s->servers && count < n; i++)
        count += begins_until(s->free_at[i], service_ns, t);
    return count >= n;
}

static void heapify(struct sim_station *s)
{
    for (uint32_t i = 1; i < s->servers; i++) {
        const kvt_ns at = s->free_at[i];
        uint32_t hole = i;
        for (; hole && s->free_at[(hole - 1) / 2] > at; hole = (hole - 1) / 2)
            s->free_at[hole] = s->free_at[(hole - 1) / 2];
        s->free_at[hole] = at;
    }
}

/* n items of service_ns > 0. Returns when the last one begins. */
static kvt_ns serve_many(struct sim_station *s, kvt_ns now, uint64_t n, kvt_ns service_ns)
{
    for (uint32_t i = 0; i < s->servers; i++)
        if (s->free_at[i] < now)
            s->free_at[i] = now;
    kvt_ns low = s->free_at[0], high = kvt_ns_add(low, (n - 1) * service_ns);
    while (low < high) {
        const kvt_ns mid = low + (high - low) / 2;
        if (enough_until(s, service_ns, mid, n))
            high = mid;
        else
            low = mid + 1;
    }
    uint64_t at_last = n; /* begins at exactly `low` that are still wanted */
    for (uint32_t i = 0; i < s->servers; i++)
        at_last -= low ? begins_until(s->free_at[i], service_ns, low - 1) : 0;
    for (uint32_t i = 0; i < s->servers; i++) {
        uint64_t mine = low ? begins_until(s->free_at[i], service_ns, low - 1) : 0;
        if (at_last && begins_until(s->free_at[i], service_ns, low) > mine) {
            mine++;
            at_last--;
        }
        const double c = (double)mine;
        if (mine)
            s->wait_ns += c * (double)(s->free_at[i] - now) + (double)service_ns * c * (c - 1) / 2;
        s->free_at[i] += mine * service_ns;
    }
    heapify(s);
    return low;
}

enum { FEW = 8 };

kvt_ns sim_station_submit(struct sim_station *s, kvt_ns now, uint64_t n, kvt_ns service_ns,
                          kvt_ns *begin, kvt_ns *end)
{
    assert(n >= 1 && now >= s->last_arrival); /* (S1) */
    s->last_arrival = now;
    s->jobs++;
    s->items += n;
    s->service_ns += (double)n * (double)service_ns;
    const kvt_ns first = s->free_at[0] > now ? s->free_at[0] : now;
    kvt_ns last = first;
    if (!service_ns)
        s->wait_ns += (double)n * (double)(first - now);
    else if (n > FEW)
        last = serve_many(s, now, n, service_ns);
    else
        for (uint64_t i = 0; i < n; i++)
            last = serve_one(s, now, service_ns);
    const kvt_ns done = kvt_ns_add(last, service_ns);
    if (done > s->last_end)
        s->last_end = done;
    if (begin)
        *begin = first;
    if (end)
        *end = done;
    return done;
}

void sim_station_stats(const struct sim_station *s, struct sim_station_stats *stats)
{
    const double items = s->items ? (double)s->items : 1;
    *stats = (struct sim_station_stats){.jobs = s->jobs,
                                        .items = s->items,
                                        .mean_wait_ns = s->wait_ns / items,
                                        .mean_sojourn_ns = (s->wait_ns + s->service_ns) / items,
                                        .busy_ns = s->service_ns,
                                        .last_end_ns = s->last_end};
}

double sim_station_utilisation(const struct sim_station *s, kvt_ns now)
{
    const double whole = (double)now * s->servers;
    return whole > 0 ? s->service_ns / whole : 0;
}
