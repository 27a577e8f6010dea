/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * station.c - first come, first served by k servers, with the rounds of a large job in closed form.
 *
 * The state is when each server is free, as a binary min-heap. One item takes the root, and puts it back item_ns
 * later. A job of many items would do that many times. But its items are equal, so the servers soon take turns:
 *
 *   (S1) Let all k servers be free within one item's time of each other. Then the next k items go to each server
 *        once, in order of becoming free, and leave that order and those distances as they were.
 *
 * So n items are n / k rounds, which add to every server, and n mod k single ones. Servers that are free much later
 * than others are in nobody's turn until the others have come up to them:
 *
 *   (S2) With free times f_1 <= f_2 <= ... , the items that start before a time T on the first m of them (f_m <= T)
 *        are sum_i ceil((T - f_i) / item_ns), and if the job has that many, afterwards these m are free within
 *        [T, T + item_ns).
 *
 * The largest m whose T = f_m can be reached with the job's items is found by bisection. From there the rest takes
 * turns among those m, as it does not reach the next. Sorting works within the heap's array; a sorted array is a heap.
 *
 * Free times in the past count as now. A server's work is never revised, so between its last arrival and its free
 * time a server is busy without a break; that is what sim_station_busy_ns relies on.
 */
#include "station.h"

#include <assert.h>
#include <errno.h>

int sim_station_init(struct sim_station *s, uint32_t servers, const struct kvt_alloc *alloc)
{
    *s = (struct sim_station){.alloc = alloc};
    if (servers == 0)
        return -EINVAL;
    s->free_ns = alloc->get(alloc->self, servers * sizeof(*s->free_ns));
    if (!s->free_ns)
        return -ENOMEM;
    s->servers = servers;
    for (uint32_t i = 0; i < servers; i++)
        s->free_ns[i] = 0;
    return 0;
}

void sim_station_release(struct sim_station *s)
{
    if (s->free_ns)
        s->alloc->put(s->alloc->self, s->free_ns, s->servers * sizeof(*s->free_ns));
    *s = (struct sim_station){.alloc = s->alloc};
}

/* ---- The heap of free times ---------------------------------------------------------------------- */

/* Puts `at` in at node i of a heap of n, from where it can only move down. */
static void sift_down(kvt_ns *heap, uint32_t n, uint32_t i, kvt_ns at)
{
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= n)
            break;
        if (child + 1 < n && heap[child + 1] < heap[child])
            child++;
        if (heap[child] >= at)
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = at;
}

/* Sorts n times, ascending, if they are not: after a large job they are. Heapsort with a min-heap gives them
 * backwards. */
static void sort(kvt_ns *at, uint32_t n)
{
    uint32_t ascending = 1;
    while (ascending < n && at[ascending - 1] <= at[ascending])
        ascending++;
    if (ascending >= n)
        return;
    for (uint32_t i = n / 2; i-- > 0;)
        sift_down(at, n, i, at[i]);
    for (uint32_t left = n; left > 1; left--) {
        kvt_ns least = at[0];
        sift_down(at, left - 1, 0, at[left - 1]);
        at[left - 1] = least;
    }
    for (uint32_t i = 0, j = n - 1; i < j; i++, j--) {
        kvt_ns t = at[i];
        at[i] = at[j];
        at[j] = t;
    }
}

/* ---- Jobs ---------------------------------------------------------------------------------------- */

static kvt_ns later_of(kvt_ns a, kvt_ns b)
{
    return a > b ? a : b;
}

/* Items that start before `at` on the first m servers, which are free by then; n + 1 when they are more than n. */
static uint64_t items_before(const kvt_ns *free_ns, uint32_t m, kvt_ns at, kvt_ns item_ns,
                             uint64_t n)
{
    uint64_t items = 0;
    for (uint32_t i = 0; i < m; i++) {
        kvt_ns gap = at - free_ns[i];
        uint64_t more = gap / item_ns + (gap % item_ns != 0);
        if (more > n - items)
            return n + 1;
        items += more;
    }
    return items;
}

/* Brings as many servers level as *n items can (S2), and sorts them. Returns how many; *n is what is left, *end_ns
 * the end of the last item that was needed. */
static uint32_t level(kvt_ns *free_ns, uint32_t servers, uint64_t *n, kvt_ns item_ns,
                      kvt_ns *end_ns)
{
    uint32_t m = 1, beyond = servers + 1;
    while (beyond - m > 1) {
        uint32_t half = m + (beyond - m) / 2;
        if (items_before(free_ns, half, free_ns[half - 1], item_ns, *n) <= *n)
            m = half;
        else
            beyond = half;
    }
    const kvt_ns at = free_ns[m - 1];
    for (uint32_t i = 0; i < m && free_ns[i] < at; i++) {
        uint64_t items = items_before(free_ns + i, 1, at, item_ns, *n);
        free_ns[i] += items * item_ns;
        *n -= items;
        *end_ns = later_of(*end_ns, free_ns[i]);
    }
    sort(free_ns, m);
    return m;
}

/* All servers idle: they are level at once, and nothing needs sorting. */
static kvt_ns serve_idle(kvt_ns *free_ns, uint32_t servers, kvt_ns now, uint64_t n, kvt_ns item_ns)
{
    const kvt_ns before_last = now + n / servers * item_ns;
    const uint32_t singles = (uint32_t)(n % servers);
    for (uint32_t i = 0; i < servers; i++)
        free_ns[i] = i < servers - singles ? before_last : before_last + item_ns;
    return singles ? before_last + item_ns : before_last;
}

/* A job of at least as many items as servers. Returns its end. */
static kvt_ns serve_rounds(kvt_ns *free_ns, uint32_t servers, kvt_ns now, uint64_t n,
                           kvt_ns item_ns)
{
    for (uint32_t i = 0; i < servers; i++)
        free_ns[i] = later_of(free_ns[i], now);
    sort(free_ns, servers);
    kvt_ns end_ns = 0;
    const uint32_t m = level(free_ns, servers, &n, item_ns, &end_ns);
    const uint64_t rounds = n / m;
    const uint32_t singles = (uint32_t)(n % m);
    for (uint32_t i = 0; i < m; i++)
        free_ns[i] += (rounds + (i < singles)) * item_ns;
    if (n > 0)
        end_ns = free_ns[singles > 0 ? singles - 1 : m - 1];
    sort(free_ns, servers);
    return end_ns;
}

static kvt_ns serve_singly(kvt_ns *free_ns, uint32_t servers, kvt_ns now, uint64_t n,
                           kvt_ns item_ns)
{
    kvt_ns end_ns = 0;
    for (; n > 0; n--) {
        end_ns = later_of(free_ns[0], now) + item_ns;
        sift_down(free_ns, servers, 0, end_ns);
    }
    return end_ns;
}

/* All servers are busy from now to the end of time. */
static kvt_ns stop(struct sim_station *s, kvt_ns now)
{
    for (uint32_t i = 0; i < s->servers; i++) {
        s->busy_ns += KVT_NEVER - later_of(s->free_ns[i], now);
        s->free_ns[i] = KVT_NEVER;
    }
    return KVT_NEVER;
}

struct sim_service sim_station_submit(struct sim_station *s, kvt_ns now, uint64_t items,
                                      kvt_ns item_ns)
{
    assert(items > 0 && now >= s->last_ns);
    struct sim_service job = {.begin_ns = later_of(s->free_ns[0], now)};
    if (item_ns == 0) {
        job.end_ns = job.begin_ns;
    } else if (items >= (KVT_NEVER - later_of(s->end_ns, now)) / item_ns) {
        job.end_ns = stop(s, now);
    } else {
        kvt_ns (*const serve)(kvt_ns *, uint32_t, kvt_ns, uint64_t, kvt_ns) =
            items < s->servers ? serve_singly
            : s->end_ns <= now ? serve_idle
                               : serve_rounds;
        job.end_ns = serve(s->free_ns, s->servers, now, items, item_ns);
        s->busy_ns += (sim_ns_sum)items * item_ns;
    }
    s->last_ns = now;
    s->end_ns = later_of(s->end_ns, job.end_ns);
    s->jobs++;
    s->items += items;
    s->wait_ns += job.begin_ns - now;
    s->stay_ns += job.end_ns - now;
    return job;
}

/* ---- Looking ------------------------------------------------------------------------------------- */

sim_ns_sum sim_station_busy_ns(const struct sim_station *s, kvt_ns now)
{
    assert(now >= s->last_ns);
    sim_ns_sum still_ns = 0;
    for (uint32_t i = 0; i < s->servers; i++)
        still_ns += later_of(s->free_ns[i], now) - now;
    return s->busy_ns - still_ns;
}

double sim_station_busy_ratio(const struct sim_station *s, kvt_ns now)
{
    return now ? (double)sim_station_busy_ns(s, now) / ((double)now * s->servers) : 0;
}

double sim_station_mean_wait_ns(const struct sim_station *s)
{
    return s->jobs ? (double)s->wait_ns / (double)s->jobs : 0;
}
