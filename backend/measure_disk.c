/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * measure_disk.c - files written and read through the disk tier, by size and by how many do it
 * at a time.
 *
 * Files go into a folder of their own inside the one that was given, and are removed. What was
 * written is read again: so without O_DIRECT reads come from the page cache, which is what a
 * tier smaller than memory does, too, and not what a device does. Writes end when the tier says
 * so (be_disk_write), synced as it was told.
 */
#include "measure.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure_team.h"
#include "scratch.h"

enum { FILES = 8, SIZES = 6, ALIGN_B = 4096 }; /* files per member, that are written in turn */

static const double sizes_b[SIZES] = {16384, 65536, 262144, 1048576, 2097152, 4194304};

struct member {
    void *buffer;
    uint32_t turn;
};

struct disks {
    const struct be_measure_config *config;
    struct be_disk *disk;
    struct member member[BE_TEAM_MOST];
    uint32_t threads;
    /* of the point under way */
    size_t file_b;
    uint32_t inner;
    bool reading;
    struct be_team *team;
};

static int once_member(void *self, uint32_t number)
{
    struct disks *d = self;
    struct member *m = &d->member[number];
    char name[32];
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < d->inner; i++) {
        size_t n = d->file_b;
        snprintf(name, sizeof name, "measure-%u-%u", (unsigned)number,
                 (unsigned)(m->turn++ % FILES));
        rc = d->reading ? be_disk_read(d->disk, name, m->buffer, d->file_b, &n)
                        : be_disk_write(d->disk, name, m->buffer, d->file_b);
    }
    return rc;
}

static int once(void *self, double *ns)
{
    struct disks *d = self;
    return be_team_run(d->team, ns);
}

static int point(struct disks *d, struct be_clock *clock, bool reading)
{
    const struct be_sample sample = {.path = reading ? BE_PATH_DISK_READ : BE_PATH_DISK_WRITE,
                                     .pieces = d->inner * d->threads,
                                     .threads = d->threads,
                                     .raw_b = (double)d->file_b,
                                     .stored_b = (double)d->file_b};
    d->reading = reading;
    return be_measure_point(clock, &(struct be_point){.once = once, .self = d}, &sample);
}

/* Both directions of one size. */
static int measure_size(struct disks *d, struct be_clock *clock, double file_b)
{
    int rc;
    double ns;
    d->file_b = (size_t)file_b;
    d->inner = file_b < 1048576 ? FILES : 1;
    d->team = be_team_new(d->threads, once_member, d, &rc);
    if (!d->team)
        return rc;
    d->reading = false;
    for (uint32_t i = 0; rc == 0 && i < FILES; i++) /* so that all files are there */
        rc = be_team_run(d->team, &ns);
    if (rc == 0)
        rc = point(d, clock, false);
    if (rc == 0)
        rc = point(d, clock, true);
    be_team_free(d->team);
    return rc;
}

static int make_buffers(struct disks *d, uint32_t threads)
{
    for (uint32_t i = 0; i < threads; i++) {
        const size_t room = (size_t)sizes_b[SIZES - 1];
        d->member[i].buffer = aligned_alloc(ALIGN_B, room);
        if (!d->member[i].buffer)
            return -ENOMEM;
        const struct k_geometry g = {
            .layers = 1, .heads = 1, .head_dim = 64, .page_tokens = 16, .dtype = K_BF16};
        const struct k_part part = {.tokens = (uint32_t)(room / k_packed_b(&g, 1, 1)), .layers = 1};
        k_fill_packed(&g, &part, d->config->seed + i, d->member[i].buffer);
    }
    return 0;
}

static int measure_all(struct disks *d, struct be_samples *samples, uint32_t threads)
{
    const bool quick = d->config->quick;
    const uint32_t counts[2] = {1, threads}, n_counts = threads > 1 ? 2 : 1;
    struct be_clock clock = {.config = d->config,
                             .samples = samples,
                             .points = 2 * n_counts * (quick ? SIZES / 2 : SIZES)};
    int rc = make_buffers(d, threads);
    for (uint32_t t = 0; rc == 0 && t < n_counts; t++) {
        d->threads = counts[t];
        for (uint32_t s = 0; rc == 0 && s < SIZES; s++)
            if (!quick || s % 2 == 0)
                rc = measure_size(d, &clock, sizes_b[s]);
    }
    return rc;
}

int be_measure_disk(const struct be_measure_config *config, struct be_samples *samples, char *why,
                    size_t size)
{
    uint32_t threads = config->threads ? config->threads : be_processors();
    threads = threads > 8 ? 8 : threads;
    char folder[PATH_MAX];
    struct be_scratch scratch;
    *why = '\0';
    if (!config->folder) {
        snprintf(why, size, "disk: expected a folder");
        return -ENOTSUP;
    }
    struct disks *d = calloc(1, sizeof *d);
    if (!d)
        return -ENOMEM;
    int rc = be_scratch_open(&scratch, config->folder, why, size);
    if (rc == 0)
        rc = be_scratch_path(&scratch, "disk", folder);
    d->config = config;
    const struct be_disk_config disk = {.folder = folder,
                                        .quota_b = UINT64_MAX,
                                        .sync = config->sync,
                                        .direct = config->direct};
    if (rc == 0)
        d->disk = be_disk_open(&disk, &rc, why, size);
    if (d->disk)
        rc = measure_all(d, samples, threads);
    if (rc != 0 && rc != -EINTR && !*why)
        snprintf(why, size, "disk: %s", strerror(-rc));
    be_disk_close(d->disk);
    be_scratch_close(&scratch);
    for (uint32_t i = 0; i < threads; i++)
        free(d->member[i].buffer);
    free(d);
    return rc;
}
