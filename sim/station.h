/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * station.h - k equal servers behind one queue, first come first served.
 *
 * A job is n equal items (the pieces of a transfer, the blocks to decode). Items are served in the order of arrival,
 * each by the server that is free first. Since nothing overtakes, the times of a job are known as soon as it arrives:
 * a station has no events and no clock, and hands begin and end back at once.
 *
 *      arrive ----- wait ----- begin ======= items on up to k servers ======= end
 *
 * Exact in integer nanoseconds. A job costs O(min(n, k) log k), however many items it has.
 */
#ifndef SIM_STATION_H
#define SIM_STATION_H

#include "../core/alloc.h"
#include "../core/types.h"

/* Sums of times outgrow 64 bits in a queue that keeps growing. */
__extension__ typedef unsigned __int128 sim_ns_sum;

struct sim_station {
    uint32_t servers;
    kvt_ns last_ns;       /* arrival of the last job */
    uint64_t jobs, items; /* so far */
    sim_ns_sum busy_ns;   /* server time given out: sum over jobs of items * item_ns */
    sim_ns_sum wait_ns;   /* sum over jobs of begin - arrive */
    sim_ns_sum
        stay_ns; /* sum over jobs of end - arrive: the integral of the number of jobs in the station over
                               time, once it has run empty */
    kvt_ns end_ns; /* when it has run empty, if nothing more arrives */
    /* private: */
    kvt_ns *free_ns; /* binary min-heap: when each server is free */
    const struct kvt_alloc *alloc;
};

struct sim_service {
    kvt_ns begin_ns; /* the first item starts */
    kvt_ns end_ns;   /* the last item is done */
};

/* A station whose servers are all free. The allocator is borrowed until release. 0; -EINVAL without servers;
 * -ENOMEM. */
KVT_MUST_CHECK int sim_station_init(struct sim_station *s, uint32_t servers,
                                    const struct kvt_alloc *alloc);

/* Gives the memory back. Harmless on a released or zeroed station. */
void sim_station_release(struct sim_station *s);

/* A job of items (>= 1) arrives, each of which takes a server for item_ns (0 is allowed). `now` must not be before
 * the last arrival. A job that one server could not end before KVT_NEVER stops the station for good: its end is
 * KVT_NEVER. */
struct sim_service sim_station_submit(struct sim_station *s, kvt_ns now, uint64_t items,
                                      kvt_ns item_ns);

/* Server time spent in [0, now]; `now` must not be before the last arrival. */
sim_ns_sum sim_station_busy_ns(const struct sim_station *s, kvt_ns now);

/* Mean share of the servers that was busy in [0, now]; 0 at time 0. */
double sim_station_busy_ratio(const struct sim_station *s, kvt_ns now);

/* Mean over jobs of begin - arrive; 0 without jobs. */
double sim_station_mean_wait_ns(const struct sim_station *s);

#endif
