/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * disk_fixture.h - what the disk tier's tests share: a folder of their own, values that prove
 * that they are whole, and a look at the folder that does not go through the tier.
 *
 * A value is its length (8 bytes), a version (8 bytes) and words that follow from both and from
 * the name: a torn, mixed or foreign one is found by value_check.
 */
#ifndef DISK_FIXTURE_H
#define DISK_FIXTURE_H

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/disk_impl.h"
#include "core/mix.h"
#include "kvt_test.h"

enum { VALUE_LEAST = 16 };

enum { SCRATCH_B = 512, PATH_B = 2 * SCRATCH_B };

static char scratch[SCRATCH_B];
static char tier[SCRATCH_B + 8]; /* scratch/tier, not made yet */

static inline void make_scratch(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(scratch, sizeof scratch, "%.400s/kvtwin-disk-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(scratch));
    snprintf(tier, sizeof tier, "%s/tier", scratch);
}

static inline int drop_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static inline void drop_scratch(void)
{
    nftw(scratch, drop_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* A path below the tier's folder. Of static storage. */
static inline const char *below(const char *path)
{
    static char text[2 * PATH_B];
    snprintf(text, sizeof text, "%s/%s", tier, path);
    return text;
}

static inline void put_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    ck_assert_int_eq(fclose(f), 0);
}

static inline bool exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static inline uint64_t value_word(const char *name, uint64_t n, uint64_t version, uint64_t i)
{
    return kvt_mix64(be_disk_hash(name) ^ kvt_mix64(n ^ version << 32) ^ i);
}

static inline void value_make(const char *name, uint64_t version, void *value, size_t n)
{
    char *bytes = value;
    memcpy(bytes, &(uint64_t){n}, 8);
    memcpy(bytes + 8, &version, 8);
    for (size_t at = 16; at < n; at += 8) {
        const uint64_t word = value_word(name, n, version, at);
        memcpy(bytes + at, &word, n - at < 8 ? n - at : 8);
    }
}

/* Its version; UINT64_MAX when it is not a whole value of that name. */
static inline uint64_t value_check(const char *name, const void *value, size_t n)
{
    const char *bytes = value;
    uint64_t length, version;
    if (n < VALUE_LEAST)
        return UINT64_MAX;
    memcpy(&length, bytes, 8);
    memcpy(&version, bytes + 8, 8);
    if (length != n)
        return UINT64_MAX;
    for (size_t at = 16; at < n; at += 8) {
        const uint64_t word = value_word(name, n, version, at);
        if (memcmp(bytes + at, &word, n - at < 8 ? n - at : 8) != 0)
            return UINT64_MAX;
    }
    return version;
}

/* What lies in the folder, seen from outside. */
struct census {
    uint64_t files, allocated_b, tmp;
};

static struct census counted;

static inline int count_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)ftw;
    if (kind != FTW_F)
        return 0;
    const char *rest = path + strlen(tier);
    if (strncmp(rest, "/kv/", 4) == 0) {
        counted.files++;
        counted.allocated_b += (uint64_t)st->st_blocks * 512;
    } else if (strncmp(rest, "/tmp/", 5) == 0) {
        counted.tmp++;
    }
    return 0;
}

static inline struct census census(void)
{
    counted = (struct census){0};
    ck_assert_int_eq(nftw(tier, count_one, 8, FTW_PHYS), 0);
    return counted;
}

static inline struct be_disk *tier_open_on(const struct be_disk_io *io,
                                           const struct be_disk_config *config)
{
    char error[512] = "";
    int rc = 1;
    struct be_disk *disk = be_disk_open_on(io, config, &rc, error, sizeof error);
    ck_assert_msg(disk != NULL, "%s", error);
    ck_assert_int_eq(rc, 0);
    return disk;
}

/* A kept tier with no limits but the quota. */
static inline struct be_disk *tier_open(uint64_t quota_b)
{
    return tier_open_on(&be_disk_system,
                        &(struct be_disk_config){.folder = tier, .quota_b = quota_b, .keep = true});
}

static inline int tier_refuses(const struct be_disk_config *config, char *error, size_t error_size)
{
    int rc = 1;
    struct be_disk *disk = be_disk_open(config, &rc, error, error_size);
    ck_assert_ptr_null(disk);
    ck_assert_ptr_null(strchr(error, '\n'));
    ck_assert_uint_gt(strlen(error), 0);
    return rc;
}

static inline struct be_disk_stats stats_of(struct be_disk *disk)
{
    struct be_disk_stats stats;
    be_disk_stats(disk, &stats);
    return stats;
}

/* Index and folder say the same. Nobody may be writing. */
static inline void tier_check(struct be_disk *disk)
{
    const struct be_disk_stats stats = stats_of(disk);
    const struct census now = census();
    ck_assert_uint_eq(stats.files, now.files);
    ck_assert_uint_eq(stats.used_b, now.allocated_b);
    ck_assert_uint_eq(now.tmp, 0);
}

#endif
