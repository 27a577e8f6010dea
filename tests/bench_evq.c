/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * bench_evq.c - the event queue under the hold model (Jones, CACM 29 (4), 1986): n events are
 * pending, each of which pushes its successor when it is called, an exponentially distributed
 * time later.
 *
 *   bench_evq [HOLDS]        holds per size and repeat; 2,000,000 unless told
 *
 * Two ways: `run`, where the queue calls the events; and `pop, push`, where the caller takes
 * them out. Increments are drawn beforehand, so that drawing is not what is measured. Processor
 * time, best of nine; the checksum depends on the order of all events.
 */
#include "bench.h"

#include "../sim/evq.h"

#include "../core/mix.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { DRAWN = 1 << 12, REPEATS = 9 };

struct hold {
    struct sim_evq queue;
    kvt_ns increment_ns[DRAWN];
    uint64_t calls, digest;
};

static void must(int error)
{
    if (error) {
        fprintf(stderr, "bench_evq: error %d\n", error);
        exit(1);
    }
}

static kvt_ns later(struct hold *h, uint64_t arg, kvt_ns at)
{
    h->digest = (h->digest ^ arg ^ at) * UINT64_C(0x9e3779b97f4a7c15);
    return at + h->increment_ns[h->calls++ % DRAWN];
}

static void event(void *self, uint64_t arg, kvt_ns at)
{
    struct hold *h = self;
    must(sim_evq_push(&h->queue, later(h, arg, at), event, h, arg));
}

static void by_pop_and_push(struct hold *h, uint64_t holds)
{
    struct sim_event e = {0};
    while (h->calls < holds) {
        sim_evq_pop(&h->queue, &e);
        must(sim_evq_push(&h->queue, later(h, e.arg, e.at), e.fn, h, e.arg));
    }
}

static void by_run(struct hold *h, uint64_t holds)
{
    /* One mean increment at a time, or what is left of the events if that is less. */
    while (h->calls < holds)
        sim_evq_run(&h->queue, h->queue.now + 1000000 / (1 + h->queue.count / 1000));
}

static double holds_per_s(struct hold *h, uint32_t pending, uint64_t holds,
                          void (*way)(struct hold *h, uint64_t holds))
{
    double best_s = INFINITY;
    for (int i = 0; i < REPEATS; i++) {
        sim_evq_init(&h->queue, &heap);
        h->calls = h->digest = 0;
        for (uint64_t p = 0; p < pending; p++)
            must(sim_evq_push(&h->queue, later(h, 0, 0), event, h, p));
        way(h, pending + holds / 8); /* until the heap looks as it will */
        h->calls = 0;
        double begin_s = bench_cpu_s();
        way(h, holds);
        double took_s = (bench_cpu_s() - begin_s) / (double)h->calls;
        best_s = took_s < best_s ? took_s : best_s;
        sim_evq_release(&h->queue);
    }
    return 1 / best_s;
}

int main(int argc, char **argv)
{
    static struct hold h;
    uint64_t holds = argc > 1 ? strtoull(argv[1], NULL, 10) : 2000000;
    for (uint64_t i = 0; i < DRAWN; i++) {
        double u = ((double)(kvt_mix64(i) >> 11) + 0.5) / 9007199254740992.0;
        h.increment_ns[i] = (kvt_ns)(-log(u) * 1e6);
    }
    printf("%10s %22s %22s\n", "pending", "run, million holds/s", "pop, push");
    for (uint32_t pending = 1000; pending <= 1000000; pending *= 10) {
        double run = holds_per_s(&h, pending, holds, by_run);
        double pop_push = holds_per_s(&h, pending, holds, by_pop_and_push);
        printf("%10u %22.1f %22.1f   checksum %016llx\n", pending, run / 1e6, pop_push / 1e6,
               (unsigned long long)h.digest);
    }
    return 0;
}
