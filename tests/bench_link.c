/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * bench_link.c - flows that start and end per second, at a steady number of flows under way:
 * each flow that ends starts the next one. Every one crosses three links, so most of them are
 * tied together.
 *
 *   bench_link [ENDS]        flows per case; 200,000 unless told
 *
 * Two shapes: `mesh` takes three links at random out of all; `cluster` takes an engine's NIC, a
 * node's NIC and that node's process, with a cap per connection, as loads from Redis do.
 * Processor time.
 */
#include "bench.h"

#include "../core/mix.h"
#include "../sim/link.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static struct bench {
    struct sim_evq events;
    struct sim_links links;
    uint32_t n_links;
    bool cluster;
    uint64_t drawn, started, ends;
} bench;

static uint32_t draw(uint64_t below)
{
    bench.drawn += UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(kvt_mix64(bench.drawn) % below);
}

static void must(int error)
{
    if (error) {
        fprintf(stderr, "bench_link: error %d\n", error);
        exit(1);
    }
}

static void on_end(void *self, uint64_t arg, kvt_ns at);

static void start(kvt_ns now)
{
    const uint32_t third = bench.n_links / 3;
    struct sim_flow flow = {.bytes = 1000 + draw(20000000),
                            .cap_bps = bench.cluster ? 6e8 : INFINITY,
                            .n_links = 3,
                            .fn = on_end};
    uint32_t node = draw(third);
    flow.links[0] = bench.cluster ? draw(third) : node;
    flow.links[1] = third + (bench.cluster ? node : draw(third));
    flow.links[2] = 2 * third + (bench.cluster ? node : draw(third));
    must(sim_links_start(&bench.links, now, &flow, NULL));
    bench.started++;
}

static void on_end(void *self, uint64_t arg, kvt_ns at)
{
    (void)self;
    (void)arg;
    bench.ends++;
    start(at);
}

static void measure(uint32_t n_links, uint32_t flows, bool cluster, uint64_t ends)
{
    bench = (struct bench){.n_links = n_links, .cluster = cluster};
    sim_evq_init(&bench.events, &heap);
    sim_links_init(&bench.links, &bench.events, &heap);
    for (uint32_t i = 0; i < n_links; i++) {
        uint32_t link;
        must(sim_links_add(&bench.links, 1e9 * (1 + i % 7), &link));
    }
    for (uint32_t i = 0; i < flows; i++)
        start(0);
    double begin_s = bench_cpu_s();
    struct sim_event e;
    while (bench.ends < ends && sim_evq_pop(&bench.events, &e))
        e.fn(e.self, e.arg, e.at);
    double took_s = bench_cpu_s() - begin_s;
    printf("%8s %6u %6u %18.0f %12.2f\n", cluster ? "cluster" : "mesh", n_links, flows,
           2 * (double)bench.ends / took_s, took_s / (double)bench.links.settles * 1e6);
    must(bench.links.error);
    sim_links_release(&bench.links);
    sim_evq_release(&bench.events);
}

int main(int argc, char **argv)
{
    uint64_t ends = argc > 1 ? strtoull(argv[1], NULL, 10) : 200000;
    printf("%8s %6s %6s %18s %12s\n", "shape", "links", "flows", "starts + ends /s", "us/settling");
    for (int cluster = 0; cluster <= 1; cluster++) {
        measure(30, 100, cluster, ends);
        measure(200, 1000, cluster, ends);
    }
    return 0;
}
