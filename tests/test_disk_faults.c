/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_disk_faults.c - the disk tier when the system fails it: each call of a fixed story fails once, with each
 * kind of error, and afterwards the tier still tells the truth; short and interrupted calls change
 * nothing; a process that is killed leaves whole values only.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "dice.h"
#include "disk_fixture.h"
#include "malloc_fails.h"

/* ---- A system that fails ---------------------------------------------------------------------------- */

enum call { OPEN, PWRITE, PREAD, TRUNCATE, SYNC, CLOSE, RENAME, UNLINK, FREE_B, CALLS };

static struct trouble {
    uint64_t calls, fail_at; /* from 1; 0: never */
    int error;
    bool for_good;    /* all later calls of that kind fail as well */
    enum call failed; /* which kind it was */
    bool fired;
    bool short_calls; /* reads and writes do a part of what they are asked */
    bool interrupted; /* every other call of those that may */
} trouble;

static bool fails(enum call call)
{
    const uint64_t n = ++trouble.calls;
    if (trouble.for_good && trouble.fired && call == trouble.failed)
        return true;
    if (n != trouble.fail_at)
        return false;
    trouble.failed = call;
    trouble.fired = true;
    return true;
}

static bool interrupts(void)
{
    static unsigned n;
    return trouble.interrupted && ++n % 2;
}

static int bad_open(void *self, int dir, const char *path, int flags)
{
    if (fails(OPEN))
        return -trouble.error;
    return interrupts() ? -EINTR : be_disk_system.open(self, dir, path, flags);
}

/* Whole blocks are asked for, as O_DIRECT wants; what is said to be done need not be whole. */
static size_t part_of(size_t n)
{
    return trouble.short_calls && n > 4096 ? 4096 * (1 + dice_below(n / 4096)) : n;
}

static ssize_t less(ssize_t done)
{
    return trouble.short_calls && done > 4096 ? done - (ssize_t)dice_below(3) : done;
}

static ssize_t bad_pwrite(void *self, int fd, const void *bytes, size_t n, off_t at)
{
    if (fails(PWRITE))
        return -trouble.error;
    return interrupts() ? -EINTR : less(be_disk_system.pwrite(self, fd, bytes, part_of(n), at));
}

static ssize_t bad_pread(void *self, int fd, void *bytes, size_t n, off_t at)
{
    if (fails(PREAD))
        return -trouble.error;
    return interrupts() ? -EINTR : less(be_disk_system.pread(self, fd, bytes, part_of(n), at));
}

static int bad_truncate(void *self, int fd, off_t n)
{
    return fails(TRUNCATE) ? -trouble.error : be_disk_system.truncate(self, fd, n);
}

/* Does not sync in truth: the story has hundreds of them, and no power cut. test_disk.c syncs. */
static int bad_sync(void *self, int fd, bool data_only)
{
    (void)self;
    (void)fd;
    (void)data_only;
    if (fails(SYNC))
        return -trouble.error;
    return interrupts() ? -EINTR : 0;
}

static int bad_close(void *self, int fd)
{
    const bool bad = fails(CLOSE); /* closed all the same, as Linux does */
    const int rc = be_disk_system.close(self, fd);
    return bad ? -trouble.error : rc;
}

static int bad_rename(void *self, int from_dir, const char *from, int to_dir, const char *to)
{
    return fails(RENAME) ? -trouble.error : be_disk_system.rename(self, from_dir, from, to_dir, to);
}

static int bad_unlink(void *self, int dir, const char *path)
{
    return fails(UNLINK) ? -trouble.error : be_disk_system.unlink(self, dir, path);
}

static int bad_free_b(void *self, int fd, uint64_t *b)
{
    return fails(FREE_B) ? -trouble.error : be_disk_system.free_b(self, fd, b);
}

static const struct be_disk_io bad_system = {
    .open = bad_open,
    .pwrite = bad_pwrite,
    .pread = bad_pread,
    .truncate = bad_truncate,
    .sync = bad_sync,
    .close = bad_close,
    .rename = bad_rename,
    .unlink = bad_unlink,
    .free_b = bad_free_b,
};

/* ---- A story in which any call may fail ------------------------------------------------------------- */

enum { STORY_NAMES = 3, VALUE_MOST = 40000 };

static _Alignas(4096) char value[VALUE_MOST], back[VALUE_MOST];

/* What each name may hold: a value's version, or nothing, or either of two. */
struct belief {
    bool may_be_gone;
    uint64_t versions[2]; /* 0: none */
};

static struct belief beliefs[STORY_NAMES];

static const char *story_name(unsigned i)
{
    static const char *const names[STORY_NAMES] = {"zero", "one", "two"};
    return names[i];
}

static void story_write(struct be_disk *disk, unsigned i, uint64_t version, size_t n)
{
    struct belief *b = &beliefs[i];
    value_make(story_name(i), version, value, n);
    const int rc = be_disk_write(disk, story_name(i), value, n);
    MUST(rc == 0 || (trouble.fired && rc == -trouble.error));
    if (rc == 0)
        *b = (struct belief){false, {version, 0}};
    else if (trouble.failed == SYNC || trouble.failed == OPEN)
        /* The folder's own sync: then the name is gone, or, where that failed too, new. */
        *b = (struct belief){true, {b->versions[0], version}};
}

static void story_remove(struct be_disk *disk, unsigned i)
{
    const int rc = be_disk_remove(disk, story_name(i));
    MUST(rc == 0 || rc == -ENOENT || (trouble.fired && rc == -trouble.error));
    if (rc == 0)
        beliefs[i] = (struct belief){true, {0, 0}};
}

static void story_read(struct be_disk *disk, unsigned i)
{
    const struct belief *b = &beliefs[i];
    size_t n = 0;
    const int rc = be_disk_read(disk, story_name(i), back, sizeof back, &n);
    if (rc == -ENOENT)
        MUST(b->may_be_gone || (trouble.fired && trouble.error == ENOENT));
    else if (rc)
        MUST(trouble.fired && rc == -trouble.error);
    else {
        const uint64_t version = value_check(story_name(i), back, n);
        MUST(version && (version == b->versions[0] || version == b->versions[1]));
    }
}

static void story(struct be_disk *disk)
{
    for (unsigned i = 0; i < STORY_NAMES; i++)
        beliefs[i] = (struct belief){.may_be_gone = true};
    story_write(disk, 0, 1, 5000);
    story_write(disk, 1, 2, 4096);
    story_write(disk, 0, 3, 30001);
    story_read(disk, 0);
    story_remove(disk, 1);
    story_write(disk, 2, 4, 16);
    story_read(disk, 2);
    story_remove(disk, 2);
    story_write(disk, 1, 5, 8192);
    for (unsigned i = 0; i < STORY_NAMES; i++)
        story_read(disk, i);
}

/* The tier's own word and the folder agree, but for what could not be removed from tmp/: it still counts. */
static void check_truth(struct be_disk *disk)
{
    const struct be_disk_stats stats = stats_of(disk);
    const struct census now = census();
    MUST(stats.files == now.files);
    MUST(now.tmp == 0 || (trouble.fired && trouble.failed == UNLINK) || trouble.for_good);
    MUST(now.tmp ? stats.used_b >= now.allocated_b : stats.used_b == now.allocated_b);
}

static void story_fails(const struct be_disk_config *config, int error, bool for_good)
{
    for (uint64_t n = 1;; n++) {
        trouble = (struct trouble){.fail_at = 0};
        struct be_disk *disk = tier_open_on(&bad_system, config);
        trouble = (struct trouble){.fail_at = n, .error = error, .for_good = for_good};
        story(disk);
        const bool fired = trouble.fired;
        check_truth(disk);
        /* Cured, the same tier works, and finds all of it again. */
        trouble.fail_at = 0;
        trouble.for_good = false;
        for (unsigned i = 0; i < STORY_NAMES; i++)
            story_read(disk, i);
        be_disk_close(disk);
        disk = tier_open_on(&bad_system, config);
        for (unsigned i = 0; i < STORY_NAMES; i++)
            story_read(disk, i);
        trouble.fired = false;
        check_truth(disk);
        for (unsigned i = 0; i < STORY_NAMES; i++)
            story_remove(disk, i);
        MUST(stats_of(disk).files == 0 && stats_of(disk).used_b == 0);
        be_disk_close(disk);
        if (!fired)
            break;
    }
}

START_TEST(any_call_may_fail)
{
    static const int errors[] = {EIO, ENOSPC, EMFILE};
    const struct be_disk_config config = {.folder = tier,
                                          .quota_b = 1 << 20,
                                          .reserve_b = 1,
                                          .sync = _i ? BE_SYNC_FULL : BE_SYNC_NONE,
                                          .direct = _i == 2,
                                          .keep = true};
    dice_seed(1);
    const size_t n = _i == 0 ? sizeof errors / sizeof *errors : 1;
    for (size_t i = 0; i < n; i++)
        story_fails(&config, errors[i], i == 0);
}
END_TEST

START_TEST(short_and_interrupted_calls_change_nothing)
{
    const struct be_disk_config config = {
        .folder = tier, .quota_b = 1 << 20, .sync = BE_SYNC_FULL, .direct = _i & 1, .keep = true};
    dice_seed(2);
    struct be_disk *disk = tier_open_on(&bad_system, &config);
    trouble = (struct trouble){.short_calls = true, .interrupted = true};
    for (int i = 0; i < 30; i++) {
        story(disk);
        story_remove(disk, 0);
        story_remove(disk, 1);
        tier_check(disk);
    }
    ck_assert_uint_eq(stats_of(disk).errors, 0);
    be_disk_close(disk);
}
END_TEST

/* A file that somebody cut is not what was written: an error, never bytes of before. */
static ssize_t ends_early(void *self, int fd, void *bytes, size_t n, off_t at)
{
    return at ? 0 : be_disk_system.pread(self, fd, bytes, n < 4096 ? n : 4096, at);
}

static ssize_t goes_nowhere(void *self, int fd, const void *bytes, size_t n, off_t at)
{
    (void)self, (void)fd, (void)bytes, (void)n, (void)at;
    return 0;
}

START_TEST(calls_without_progress_end)
{
    struct be_disk_io io = be_disk_system;
    const struct be_disk_config config = {.folder = tier, .quota_b = UINT64_MAX, .keep = true};
    struct be_disk *disk = tier_open_on(&io, &config);
    size_t n;
    value_make("a", 1, value, 20000);
    ck_assert_int_eq(be_disk_write(disk, "a", value, 20000), 0);
    io.pread = ends_early;
    ck_assert_int_eq(be_disk_read(disk, "a", back, sizeof back, &n), -EIO);
    io.pwrite = goes_nowhere;
    ck_assert_int_eq(be_disk_write(disk, "a", value, 20000), -EIO);
    io = be_disk_system;
    ck_assert_int_eq(be_disk_read(disk, "a", back, sizeof back, &n), 0);
    ck_assert_uint_eq(value_check("a", back, n), 1);
    ck_assert_uint_eq(stats_of(disk).errors, 2);
    tier_check(disk);
    be_disk_close(disk);
}
END_TEST

static int too_new(void *self, int dir, const char *path, int flags)
{
    return flags & O_DIRECT ? -EINVAL : be_disk_system.open(self, dir, path, flags);
}

START_TEST(without_direct_io_it_goes_on)
{
    struct be_disk_io io = be_disk_system;
    io.open = too_new;
    struct be_disk *disk = tier_open_on(&io, &(struct be_disk_config){.folder = tier,
                                                                      .quota_b = UINT64_MAX,
                                                                      .direct = true});
    ck_assert(!stats_of(disk).direct);
    ck_assert_int_eq(be_disk_write(disk, "a", value, 20000), 0);
    tier_check(disk);
    be_disk_close(disk);
}
END_TEST

#if OWN_ALLOCATOR
/* Ten values on top of what is there; how many found no memory. */
static unsigned write_ten(struct be_disk *disk)
{
    char name[16];
    unsigned bad = 0;
    for (unsigned i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "ten-%u", i);
        const int rc = be_disk_write(disk, name, value, 20);
        MUST(rc == 0 || rc == -ENOMEM);
        bad += rc != 0;
    }
    return bad;
}
#endif

START_TEST(memory_may_lack)
{
#if OWN_ALLOCATOR
    const struct be_disk_config config = {.folder = tier,
                                          .quota_b = UINT64_MAX,
                                          .direct = true,
                                          .keep = true};
    char error[512], name[16];
    struct be_disk *disk = tier_open_on(&be_disk_system, &config);
    for (unsigned i = 0; i < 250; i++) { /* the table is about to grow */
        snprintf(name, sizeof name, "%u", i);
        MUST(be_disk_write(disk, name, value, 20) == 0);
    }
    be_disk_close(disk);
    for (long n = 0;; n += n < 30 ? 1 : 5) {
        int rc = 1;
        unsigned bad = 0;
        left = n;
        armed = true;
        disk = be_disk_open(&config, &rc, error, sizeof error);
        if (disk)
            bad = write_ten(disk);
        armed = false;
        if (!disk) {
            MUST(rc < 0 && error[0]);
            continue;
        }
        tier_check(disk);
        MUST(stats_of(disk).errors == bad);
        MUST(stats_of(disk).files == 260 - bad);
        for (unsigned i = 0; i < 10; i++) {
            snprintf(name, sizeof name, "ten-%u", i);
            be_disk_remove(disk, name);
        }
        be_disk_close(disk);
        if (bad == 0 && left > 0)
            break;
    }
#else
    kvt_test_skip("the sanitizer brings its own allocator");
#endif
}
END_TEST

/* ---- Killed at any moment --------------------------------------------------------------------------- */

enum { ROUNDS = 24, CRASH_NAMES = 10 };

static void write_for_ever(uint64_t seed)
{
    struct be_disk *disk =
        tier_open_on(&be_disk_system, &(struct be_disk_config){.folder = tier,
                                                               .quota_b = 300000,
                                                               .direct = seed & 1,
                                                               .keep = seed & 2});
    dice_seed(seed);
    for (;;) {
        char name[16];
        snprintf(name, sizeof name, "%llu", (unsigned long long)dice_below(CRASH_NAMES));
        const size_t n = VALUE_LEAST + dice_below(VALUE_MOST - VALUE_LEAST);
        value_make(name, seed, value, n);
        if (be_disk_write(disk, name, value, n) && be_disk_remove(disk, name))
            continue;
        /* Closing is a moment like any other. */
        if (dice_one_in(100))
            break;
    }
    be_disk_close(disk);
}

static void check_value(void *self, const char *name, uint64_t b)
{
    size_t n = 0;
    MUST(be_disk_read(self, name, back, sizeof back, &n) == 0);
    MUST(n == b);
    MUST(value_check(name, back, n) < 1000);
}

START_TEST(killed_at_any_moment)
{
    uint64_t found = 0, discarded = 0;
    dice_seed(3);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        const pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
            for (uint64_t i = 0;; i++)
                write_for_ever(4 * (i % 100) + round % 4);
        }
        usleep((useconds_t)(20000 + dice_below(100000)));
        ck_assert_int_eq(kill(child, SIGKILL), 0);
        ck_assert_int_eq(waitpid(child, NULL, 0), child);

        struct be_disk *disk = tier_open(300000);
        be_disk_each(disk, check_value, disk);
        tier_check(disk);
        found += stats_of(disk).recovered;
        discarded += stats_of(disk).discarded;
        be_disk_close(disk);
    }
    MUST(found > 0);
    printf("# %llu values found whole, %llu files discarded\n", (unsigned long long)found,
           (unsigned long long)discarded);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("disk, failing");
    TCase *tcase = tcase_create("faults");
    tcase_add_checked_fixture(tcase, make_scratch, drop_scratch);
    tcase_add_loop_test(tcase, any_call_may_fail, 0, 3);
    tcase_add_loop_test(tcase, short_and_interrupted_calls_change_nothing, 0, 2);
    tcase_add_test(tcase, calls_without_progress_end);
    tcase_add_test(tcase, without_direct_io_it_goes_on);
    tcase_add_test(tcase, memory_may_lack);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("killed");
    tcase_add_checked_fixture(tcase, make_scratch, drop_scratch);
    tcase_add_test(tcase, killed_at_any_moment);
    suite_add_tcase(suite, tcase);
    return kvt_test_main(suite);
}
