/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * measure_redis.c - Redis by itself: the round trip of a command without bytes, and GET and SET
 * by size of value, number of connections and commands under way on each.
 *
 * One measurement sends all its commands at once to the first server and ends with the last
 * reply; the client keeps back what goes beyond its depth. What GET receives is copied once,
 * into a buffer that nobody else uses meanwhile, as the real world does with it. Client and
 * server are at work at one time: on two processors they have one each.
 *
 * Questions (EXISTS) are about keys that are there, among many, and others each time, and large values go through the
 * server between them: an empty server answers at once, and a key that was asked for a moment ago is in its caches.
 */
#include "measure.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure_client.h"
#include "value.h"

enum {
    SIZES = 6,
    KEYS = 32,
    FLIGHT_B = 64 << 20,
    COMMANDS_MOST = 512,
    PROBES = 64,
    KEPT = 1024,
    LARGE = 4,
    ROUND_TRIPS = 5
};

static const double sizes_b[SIZES] = {4096, 16384, 65536, 262144, 1048576, 4194304};

struct rediss {
    const struct be_measure_config *config;
    struct be_client client;
    unsigned char *value, *ring; /* what is sent; where what comes is copied to */
    /* of the point under way */
    enum be_verb verb;
    size_t value_b;
    uint32_t commands, turn;
    uint32_t base, first, keys; /* which key is next: base + first % keys */
    double usage_b;             /* the last answer to MEMORY USAGE */
};

static void on_reply(void *self, uint64_t arg, const struct be_reply *reply)
{
    struct rediss *r = self;
    (void)arg;
    if (!be_client_took(&r->client, reply))
        return;
    if (r->verb == BE_USAGE)
        r->usage_b = (double)reply->number;
    if (r->verb != BE_GET)
        return;
    if (reply->bytes_b != r->value_b) {
        be_client_failed(&r->client, -EBADMSG);
        return;
    }
    memcpy(r->ring + (r->turn++ % 2) * (size_t)sizes_b[SIZES - 1], reply->bytes, reply->bytes_b);
}

static int send_all(struct rediss *r, uint32_t n)
{
    int rc = 0;
    char key[80];
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        /* As long as the keys of values are. */
        snprintf(key, sizeof key, "kvtwin-measure:%032x:0:0-%u", 0u,
                 (unsigned)(r->base + r->first++ % r->keys));
        rc = be_client_send(&r->client, 0, r->verb, key, r->value, r->value_b, on_reply, r, i);
    }
    if (rc != 0)
        be_client_failed(&r->client, rc);
    return be_client_run(&r->client);
}

/* What goes through caches between questions: values of their own, stored or fetched. */
static int stir(struct rediss *r, enum be_verb verb)
{
    const struct rediss was = *r;
    r->verb = verb;
    r->value_b = (size_t)sizes_b[SIZES - 1];
    r->base = KEPT;
    r->keys = LARGE;
    const int rc = send_all(r, LARGE);
    r->verb = was.verb;
    r->value_b = was.value_b;
    r->base = was.base;
    r->first = was.first;
    r->keys = was.keys;
    return rc;
}

static int once(void *self, double *ns)
{
    struct rediss *r = self;
    const uint64_t begin_ns = uv_hrtime();
    const int rc = send_all(r, r->commands);
    *ns = (double)(uv_hrtime() - begin_ns);
    return rc == 0 && r->verb == BE_EXISTS ? stir(r, BE_GET) : rc;
}

static int point(struct rediss *r, struct be_clock *clock, enum be_path path, uint32_t commands,
                 uint32_t connections, uint32_t depth)
{
    const struct be_sample sample = {.path = path,
                                     .pieces = commands,
                                     .threads = 1,
                                     .nodes = 1,
                                     .connections = connections,
                                     .depth = depth,
                                     .raw_b = (double)r->value_b,
                                     .stored_b = (double)r->value_b};
    r->verb = path == BE_PATH_REDIS_GET ? BE_GET : path == BE_PATH_REDIS_SET ? BE_SET : BE_EXISTS;
    r->commands = commands;
    return be_measure_point(clock,
                            &(struct be_point){.once = once,
                                               .self = r,
                                               .rested = path == BE_PATH_REDIS_EXISTS ? 25 : 0,
                                               .others = true,
                                               .share = path != BE_PATH_REDIS_EXISTS ? 1
                                                        : r->config->quick           ? 5
                                                                                     : 20},
                            &sample);
}

static int measure_round_trips(struct rediss *r, struct be_clock *clock)
{
    static const uint32_t commands[ROUND_TRIPS] = {1, 2, 4, 16, 64};
    const struct be_measure_config *config = r->config;
    r->value_b = (size_t)sizes_b[0];
    r->verb = BE_SET;
    r->keys = KEPT;
    int rc = send_all(r, KEPT);
    r->value_b = 0;
    if (rc == 0)
        rc = stir(r, BE_SET);
    for (int i = 0; rc == 0 && i < ROUND_TRIPS; i++)
        rc = point(r, clock, BE_PATH_REDIS_EXISTS, commands[i], config->connections, PROBES);
    return rc;
}

/* What a value of a block, a half and a quarter takes up in the server: allocators hand out sizes of their own. */
static int measure_usage(struct rediss *r, struct be_clock *clock)
{
    const struct be_measure_config *config = r->config;
    int rc = 0;
    for (uint32_t part = 1; rc == 0 && part <= 4; part *= 2) {
        const uint32_t tokens = config->block_tokens / part;
        size_t b = k_packed_b(&config->geometry, config->geometry.layers, tokens ? tokens : 1);
        b = (b < config->piece_b ? b : config->piece_b) + BE_HEAD_B;
        r->value_b = b < (size_t)sizes_b[SIZES - 1] ? b : (size_t)sizes_b[SIZES - 1];
        r->verb = BE_SET;
        r->first = 0;
        rc = send_all(r, 1);
        r->verb = BE_USAGE;
        r->first = 0;
        if (rc == 0)
            rc = send_all(r, 1);
        const struct be_sample sample = {.path = BE_PATH_REDIS_USAGE,
                                         .pieces = 1,
                                         .nodes = 1,
                                         .raw_b = (double)r->value_b,
                                         .stored_b = r->usage_b};
        if (rc == 0)
            rc = be_samples_add(clock->samples, &sample);
    }
    return rc;
}

/* All sizes, with so many connections and so many commands under way on each. */
static int measure_values(struct rediss *r, struct be_clock *clock, uint32_t connections,
                          uint32_t depth)
{
    int rc = 0;
    for (uint32_t s = 0; rc == 0 && s < SIZES; s++) {
        const uint32_t most = (uint32_t)(FLIGHT_B / sizes_b[s]);
        uint32_t commands = 2 * connections * depth;
        commands = commands > most ? most : commands;
        commands = commands > COMMANDS_MOST ? COMMANDS_MOST : commands;
        if (r->config->quick && s % 2 != 0)
            continue;
        r->value_b = (size_t)sizes_b[s];
        r->verb = BE_SET;
        r->keys = KEYS;
        rc = send_all(r, KEYS);
        if (rc == 0)
            rc = point(r, clock, BE_PATH_REDIS_SET, commands, connections, depth);
        if (rc == 0)
            rc = point(r, clock, BE_PATH_REDIS_GET, commands, connections, depth);
    }
    return rc;
}

/* What is asked with the connections that the real world has. */
static int measure_questions(struct rediss *r, struct be_clock *clock)
{
    int rc = measure_round_trips(r, clock);
    return rc == 0 ? measure_usage(r, clock) : rc;
}

static int with_client(struct rediss *r, struct be_clock *clock, uint32_t connections,
                       uint32_t depth, bool questions)
{
    int rc = be_client_open(&r->client, r->config->nodes, 1, connections, depth,
                            (size_t)sizes_b[SIZES - 1]);
    if (rc == 0)
        rc = questions ? measure_questions(r, clock) : measure_values(r, clock, connections, depth);
    be_client_release(&r->client);
    return rc;
}

static int measure_grid(struct rediss *r, struct be_clock *clock)
{
    const struct be_measure_config *config = r->config;
    const uint32_t connections[2] = {1, config->connections}, depths[2] = {1, config->depth};
    const bool values = config->again == 0;
    clock->points = ROUND_TRIPS + (values ? 8 * (config->quick ? SIZES / 2 : SIZES) : 0);
    int rc = with_client(r, clock, config->connections, PROBES, true);
    for (int c = 0; rc == 0 && values && c < 2; c++)
        for (int d = 0; rc == 0 && d < 2; d++)
            if ((c == 0 || connections[1] > 1) && (d == 0 || depths[1] > 1))
                rc = with_client(r, clock, connections[c], depths[d], false);
    return rc;
}

/* Takes the keys away again: the server may be somebody's. */
static void clean(struct rediss *r)
{
    if (be_client_open(&r->client, r->config->nodes, 1, 1, 16, 4096) == 0) {
        r->verb = BE_UNLINK;
        r->keys = KEPT;
        (void)send_all(r, KEPT);
        (void)stir(r, BE_UNLINK);
    }
    be_client_release(&r->client);
}

int be_measure_redis(const struct be_measure_config *config, struct be_samples *samples, char *why,
                     size_t size)
{
    *why = '\0';
    if (config->n_nodes == 0) {
        snprintf(why, size, "redis: no server");
        return -ENOTSUP;
    }
    const size_t most_b = (size_t)sizes_b[SIZES - 1];
    struct rediss *r = calloc(1, sizeof *r);
    int rc = -ENOMEM;
    if (r) {
        r->config = config;
        r->value = malloc(most_b);
        r->ring = malloc(2 * most_b);
    }
    if (r && r->value && r->ring) {
        struct be_clock clock = {.config = config, .samples = samples};
        memset(r->value, 'v', most_b);
        memset(r->ring, 0, 2 * most_b);
        rc = measure_grid(r, &clock);
        clean(r);
    }
    if (rc != 0 && rc != -EINTR)
        snprintf(why, size, "redis: %s", strerror(-rc));
    if (r) {
        free(r->value);
        free(r->ring);
    }
    free(r);
    return rc;
}
