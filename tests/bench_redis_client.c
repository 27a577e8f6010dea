/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * bench_redis_client.c - our Redis client beside redis-benchmark: SET and GET of large values,
 * the same server, sizes, connections and pipeline, one after the other in the same run, several
 * rounds, medians compared.
 *
 *   bench_redis_client [COMMANDS [VALUE_B [ROUNDS]]]         2000, 1 MiB, 5
 *
 * The yardstick is redis-benchmark without a pipeline. With one, its SET of large values falls
 * far behind by itself: it copies all that is still to be written each time the socket takes a
 * part.
 *
 * Wall time, over a unix socket. What the caller does with a value is not part of it, neither
 * here nor there; the last column adds what a cache does: one copy of each value into memory of
 * its own.
 */
#include "bench.h"

#include "../backend/spawn.h"

#include <stdio.h>
#include <string.h>

static struct bench {
    uv_loop_t loop;
    struct be_redis *redis;
    const struct be_redis_address *address;
    uint32_t connections, pipeline;
    unsigned long commands, sent, ended, value_b;
    char *value, *copy; /* copy: where values go, or NULL */
    size_t copy_at;
    bool is_set;
} bench;

enum { COPY_ROOM = 64 };

static void die(const char *what)
{
    fprintf(stderr, "bench_redis_client: %s\n", what);
    exit(1);
}

static void on_reply(void *self, uint64_t arg, const struct be_reply *reply);

static void send_one(void)
{
    const char *const argv[] = {bench.is_set ? "SET" : "GET", "key", bench.value};
    const size_t argv_b[] = {3, 3, bench.value_b};
    const struct be_redis_command command = {
        .argc = bench.is_set ? 3 : 2,
        .argv = argv,
        .argv_b = argv_b,
        .keep_last = bench.is_set,
        .deadline_ns = uv_hrtime() + 30 * KVT_SECOND,
        .expect = bench.is_set ? 1 << BE_REPLY_STATUS : 1 << BE_REPLY_VALUE,
        .fn = on_reply,
    };
    uint64_t handle;
    if (be_redis_send(bench.redis, &command, &handle) != 0)
        die("be_redis_send failed");
    bench.sent++;
}

static void on_reply(void *self, uint64_t arg, const struct be_reply *reply)
{
    (void)self;
    (void)arg;
    if (reply->status != KVT_OK ||
        reply->kind != (bench.is_set ? BE_REPLY_STATUS : BE_REPLY_VALUE) ||
        (!bench.is_set && reply->bytes_b != bench.value_b))
        die("a command failed");
    if (bench.copy && !bench.is_set) {
        memcpy(bench.copy + bench.copy_at, reply->bytes, reply->bytes_b);
        bench.copy_at = (bench.copy_at + bench.value_b) % (COPY_ROOM * bench.value_b);
    }
    bench.ended++;
    if (bench.sent < bench.commands)
        send_one();
}

/* Commands per second of ours. */
static double ours(bool is_set, bool copies)
{
    int error;
    char *copy = NULL;
    if (copies) {
        copy = malloc(COPY_ROOM * bench.value_b);
        if (copy == NULL)
            die("no memory");
        memset(copy, 1, COPY_ROOM * bench.value_b);
    }
    uv_loop_init(&bench.loop);
    const struct be_redis_config config = {
        .nodes = bench.address,
        .n_nodes = 1,
        .connections = bench.connections,
        .depth = bench.pipeline,
        .max_value_b = bench.value_b,
    };
    bench.redis = be_redis_new(&bench.loop, &config, &error);
    if (bench.redis == NULL)
        die("be_redis_new failed");
    bench.is_set = is_set;
    bench.copy = copy;
    bench.sent = bench.ended = bench.copy_at = 0;
    const double begin_s = bench_wall_s();
    while (bench.sent < bench.commands && bench.sent < bench.connections * bench.pipeline)
        send_one();
    while (bench.ended < bench.commands)
        uv_run(&bench.loop, UV_RUN_ONCE);
    const double took_s = bench_wall_s() - begin_s;
    be_redis_close(bench.redis, NULL, NULL);
    uv_run(&bench.loop, UV_RUN_DEFAULT);
    uv_loop_close(&bench.loop);
    free(copy);
    return (double)bench.commands / took_s;
}

/* Commands per second of redis-benchmark; 0 when it is not there. */
static double theirs(bool is_set)
{
    char line[512];
    double per_s = 0;
    snprintf(line, sizeof line,
             "redis-benchmark -s %s -d %lu -c %u -P %u -n %lu -t %s --csv 2>/dev/null",
             bench.address->path, bench.value_b, bench.connections, bench.pipeline, bench.commands,
             is_set ? "set" : "get");
    FILE *pipe = popen(line, "r");
    if (pipe == NULL)
        return 0;
    while (fgets(line, sizeof line, pipe) != NULL)
        if (sscanf(line, is_set ? "\"SET\",\"%lf\"" : "\"GET\",\"%lf\"", &per_s) == 1)
            break;
    while (fgets(line, sizeof line, pipe) != NULL)
        ;
    return pclose(pipe) == 0 ? per_s : 0;
}

static int by_size(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double median(double *of, unsigned n)
{
    qsort(of, n, sizeof *of, by_size);
    return of[n / 2];
}

static void measure(uint32_t connections, uint32_t pipeline, unsigned rounds)
{
    enum { MOST = 32 };
    double their_s[MOST], our_s[MOST], copy_s[MOST];
    bench.connections = connections;
    bench.pipeline = pipeline;
    for (int is_set = 1; is_set >= 0; is_set--) {
        for (unsigned i = 0; i < rounds; i++) {
            their_s[i] = theirs(is_set);
            our_s[i] = ours(is_set, false);
            copy_s[i] = is_set ? 0 : ours(is_set, true);
        }
        const double their = median(their_s, rounds), our = median(our_s, rounds),
                     copy = median(copy_s, rounds), gb = (double)bench.value_b / 1e9;
        printf("%4s %11u %9u %16.2f %9.2f %7.2f", is_set ? "SET" : "GET", connections, pipeline,
               their * gb, our * gb, their > 0 ? our / their : 0);
        if (is_set)
            printf("\n");
        else
            printf(" %15.2f\n", copy * gb);
        fflush(stdout);
    }
}

int main(int argc, char **argv)
{
    char error[512];
    bench.commands = argc > 1 ? strtoul(argv[1], NULL, 10) : 2000;
    bench.value_b = argc > 2 ? strtoul(argv[2], NULL, 10) : 1 << 20;
    unsigned rounds = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 5;
    if (bench.commands == 0 || bench.value_b == 0 || rounds == 0 || rounds > 32)
        die("usage: bench_redis_client [COMMANDS [VALUE_B [ROUNDS]]]");
    struct be_spawn *spawn = be_spawn_new(&(struct be_spawn_config){.n = 1, .memory_b = UINT64_MAX},
                                          error, sizeof error);
    if (spawn == NULL)
        die(error);
    bench.address = be_spawn_address(spawn, 0);
    bench.value = malloc(bench.value_b);
    if (bench.value == NULL)
        die("no memory");
    memset(bench.value, 'v', bench.value_b);
    bench.connections = bench.pipeline = 1;
    ours(true, false); /* so that there is something to GET */
    printf("values of %lu bytes, %lu commands, median of %u rounds, GB/s\n", bench.value_b,
           bench.commands, rounds);
    printf("%4s %11s %9s %16s %9s %7s %15s\n", "", "connections", "pipeline", "redis-benchmark",
           "kvtwin", "ratio", "kvtwin + copy");
    static const uint32_t shapes[][2] = {{1, 1}, {4, 1}, {16, 1}, {4, 4}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        measure(shapes[i][0], shapes[i][1], rounds);
    free(bench.value);
    be_spawn_free(spawn);
    return 0;
}
