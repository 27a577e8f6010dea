/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * bench_disk.c - what the disk tier costs beside plain files: rates of write and read by value
 * size, with and without fdatasync and O_DIRECT, each beside open, write, (fdatasync,) close and
 * open, read, close of the same bytes in the same folder.
 *
 * Both take turns, round by round, and each keeps its best round: other work on the machine hits
 * both. Reads without O_DIRECT come from the page cache, so they show the tier's own cost and
 * not the disk's. The folder is in TMPDIR.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backend/disk.h"
#include "bench.h"

enum { LARGEST = 4 << 20, ROUND_B = 64 << 20, ROUNDS = 3 };

static _Alignas(4096) char bytes[LARGEST];
static char scratch[512], tier[600];

struct mode {
    const char *name;
    enum be_sync sync;
    bool direct;
};

/* One round of all values, in seconds. */
struct round {
    const struct mode *mode;
    struct be_disk *disk; /* NULL: plain files */
    size_t value_b;
    bool write;
};

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void plain_write(const struct round *r, const char *path)
{
    const int fd =
        open(path, O_WRONLY | O_CREAT | O_TRUNC | (r->mode->direct ? O_DIRECT : 0), 0600);
    if (fd < 0 || write(fd, bytes, r->value_b) != (ssize_t)r->value_b ||
        (r->mode->sync != BE_SYNC_NONE && fdatasync(fd)) || close(fd))
        fail(path);
}

static void plain_read(const struct round *r, const char *path)
{
    const int fd = open(path, O_RDONLY | (r->mode->direct ? O_DIRECT : 0));
    if (fd < 0 || read(fd, bytes, r->value_b) != (ssize_t)r->value_b || close(fd))
        fail(path);
}

static void tier_call(const struct round *r, const char *name)
{
    size_t n = r->value_b;
    const int rc = r->write ? be_disk_write(r->disk, name, bytes, n)
                            : be_disk_read(r->disk, name, bytes, sizeof bytes, &n);
    if (rc || n != r->value_b)
        fail(name);
}

/* Values of a round are new at each write, as a tier's are. */
static void clear(const struct round *r, const char *name, const char *path)
{
    if (r->disk)
        be_disk_remove(r->disk, name);
    else
        unlink(path);
}

static double run_s(const struct round *r)
{
    double took_s = 0;
    for (size_t i = 0; i < ROUND_B / r->value_b; i++) {
        char name[32], path[640];
        snprintf(name, sizeof name, "v%zu", i);
        snprintf(path, sizeof path, "%s/%s", scratch, name);
        if (r->write)
            clear(r, name, path);
        const double begin_s = bench_wall_s();
        if (r->disk)
            tier_call(r, name);
        else if (r->write)
            plain_write(r, path);
        else
            plain_read(r, path);
        took_s += bench_wall_s() - begin_s;
    }
    return took_s;
}

static void measure(const struct mode *mode, struct be_disk *disk, size_t value_b)
{
    double best_s[2][2] = {{1e9, 1e9}, {1e9, 1e9}}; /* [write, read][plain, tier] */
    for (int i = 0; i < ROUNDS; i++)
        for (int k = 0; k < 4; k++) {
            const int read = k / 2, by_tier = (k + i) % 2;
            const double took_s =
                run_s(&(struct round){mode, by_tier ? disk : NULL, value_b, !read});
            if (took_s < best_s[read][by_tier])
                best_s[read][by_tier] = took_s;
        }
    for (int read = 0; read < 2; read++)
        printf("{\"bench\": \"disk\", \"what\": \"%s\", \"mode\": \"%s\", \"value_kib\": %zu, "
               "\"tier_mb_per_s\": %.0f, \"plain_mb_per_s\": %.0f, \"ratio\": %.3f}\n",
               read ? "read" : "write", mode->name, value_b >> 10, ROUND_B / best_s[read][1] / 1e6,
               ROUND_B / best_s[read][0] / 1e6, best_s[read][0] / best_s[read][1]);
    for (size_t i = 0; i < ROUND_B / value_b; i++) {
        char name[32], path[640];
        snprintf(name, sizeof name, "v%zu", i);
        snprintf(path, sizeof path, "%s/%s", scratch, name);
        clear(&(struct round){mode, NULL, value_b, true}, name, path);
        clear(&(struct round){mode, disk, value_b, true}, name, path);
    }
}

int main(void)
{
    static const struct mode modes[] = {{"none", BE_SYNC_NONE, false},
                                        {"data", BE_SYNC_DATA, false},
                                        {"none, direct", BE_SYNC_NONE, true}};
    const char *tmp = getenv("TMPDIR");
    snprintf(scratch, sizeof scratch, "%.400s/kvtwin-bench-disk-XXXXXX",
             tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(scratch))
        fail(scratch);
    snprintf(tier, sizeof tier, "%s/tier", scratch);
    memset(bytes, 0x5a, sizeof bytes);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        char error[512];
        int rc;
        const struct be_disk_config config = {.folder = tier,
                                              .quota_b = UINT64_MAX,
                                              .sync = modes[i].sync,
                                              .direct = modes[i].direct};
        struct be_disk *disk = be_disk_open(&config, &rc, error, sizeof error);
        struct be_disk_stats stats;
        if (!disk) {
            fprintf(stderr, "%s\n", error);
            return 1;
        }
        be_disk_stats(disk, &stats);
        if (stats.direct == modes[i].direct)
            for (size_t value_b = 256 << 10; value_b <= LARGEST; value_b *= 2)
                measure(&modes[i], disk, value_b);
        else
            printf("skipped: no O_DIRECT in %s\n", scratch);
        be_disk_close(disk);
    }
    rmdir(scratch);
    return 0;
}
