/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_disk.c - the disk tier's calls in one thread: values, quota, whose folder it is, what a start clears up, and
 * random operations beside a model that knows nothing of files.
 */
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include "dice.h"
#include "disk_fixture.h"

enum { MOST = 1 << 20 };

static char value[MOST], back[MOST + 4096];

/* value = a value of that name; written, with what it must give. */
static void write_one(struct be_disk *disk, const char *name, uint64_t version, size_t n, int rc)
{
    value_make(name, version, value, n);
    ck_assert_int_eq(be_disk_write(disk, name, value, n), rc);
}

static void read_one(struct be_disk *disk, const char *name, uint64_t version, size_t n)
{
    size_t got = 0;
    ck_assert_int_eq(be_disk_read(disk, name, back, sizeof back, &got), 0);
    ck_assert_uint_eq(got, n);
    ck_assert_uint_eq(value_check(name, back, got), version);
}

static void read_nothing(struct be_disk *disk, const char *name)
{
    size_t got = 7;
    ck_assert_int_eq(be_disk_read(disk, name, back, sizeof back, &got), -ENOENT);
    ck_assert_uint_eq(got, 0);
    ck_assert(!be_disk_has(disk, name));
}

START_TEST(values_come_back)
{
    static const size_t sizes[] = {16,   17,    511,        512,     4095,         4096,
                                   4097, 65536, 300000 + 5, 1 << 20, (1 << 20) - 1};
    struct be_disk *disk = tier_open(UINT64_MAX);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char name[32];
        snprintf(name, sizeof name, "kv:%zu:0-3", i);
        read_nothing(disk, name);
        write_one(disk, name, i, sizes[i], 0);
        ck_assert(be_disk_has(disk, name));
        read_one(disk, name, i, sizes[i]);
    }
    tier_check(disk);
    const struct be_disk_stats stats = stats_of(disk);
    ck_assert_uint_eq(stats.files, sizeof sizes / sizeof *sizes);
    ck_assert_uint_eq(stats.writes, stats.files);
    ck_assert_uint_eq(stats.reads, stats.files);
    ck_assert_uint_eq(stats.read_b, stats.written_b);
    ck_assert_uint_eq(stats.errors + stats.full, 0);
    be_disk_close(disk);
}
END_TEST

START_TEST(replacing_and_removing)
{
    struct be_disk *disk = tier_open(UINT64_MAX);
    write_one(disk, "a", 1, 9000, 0);
    write_one(disk, "a", 2, 100, 0);
    read_one(disk, "a", 2, 100);
    tier_check(disk);
    ck_assert_int_eq(be_disk_remove(disk, "a"), 0);
    read_nothing(disk, "a");
    ck_assert_int_eq(be_disk_remove(disk, "a"), -ENOENT);
    tier_check(disk);
    ck_assert_uint_eq(stats_of(disk).used_b, 0);
    be_disk_close(disk);
}
END_TEST

START_TEST(too_small_a_buffer_is_said)
{
    size_t n = 0;
    struct be_disk *disk = tier_open(UINT64_MAX);
    write_one(disk, "a", 1, 100, 0);
    ck_assert_int_eq(be_disk_read(disk, "a", back, 99, &n), -EMSGSIZE);
    ck_assert_uint_eq(n, 100);
    ck_assert_int_eq(be_disk_read(disk, "a", back, 100, &n), 0);
    be_disk_close(disk);
}
END_TEST

START_TEST(names_that_cannot_be)
{
    char longest[BE_DISK_NAME_MOST + 2];
    static const char *const bad[] = {"",       ".",   "..",  ".a",       "a/b",
                                      "/etc/x", "a b", "a\n", "\xc3\xa4", "a\\b"};
    struct be_disk *disk = tier_open(UINT64_MAX);
    size_t n;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_int_eq(be_disk_write(disk, bad[i], value, 16), -EINVAL);
        ck_assert_int_eq(be_disk_read(disk, bad[i], back, 16, &n), -EINVAL);
        ck_assert_int_eq(be_disk_remove(disk, bad[i]), -EINVAL);
        ck_assert(!be_disk_has(disk, bad[i]));
    }
    memset(longest, 'z', sizeof longest);
    longest[BE_DISK_NAME_MOST + 1] = '\0';
    ck_assert_int_eq(be_disk_write(disk, longest, value, 16), -EINVAL);
    longest[BE_DISK_NAME_MOST] = '\0';
    write_one(disk, longest, 3, 16, 0);
    read_one(disk, longest, 3, 16);
    ck_assert_int_eq(be_disk_write(disk, "a", value, 0), -EINVAL);
    ck_assert_int_eq(be_disk_write(disk, "a", value, SIZE_MAX), -EINVAL);
    ck_assert_uint_eq(stats_of(disk).files, 1);
    be_disk_close(disk);
}
END_TEST

START_TEST(kept_values_are_found_again)
{
    struct be_disk *disk = tier_open(UINT64_MAX);
    for (unsigned i = 0; i < 300; i++) {
        char name[32];
        snprintf(name, sizeof name, "n%u", i);
        write_one(disk, name, i, 16 + 13 * i, 0);
    }
    const uint64_t used_b = stats_of(disk).used_b;
    be_disk_close(disk);
    disk = tier_open(UINT64_MAX);
    ck_assert_uint_eq(stats_of(disk).recovered, 300);
    ck_assert_uint_eq(stats_of(disk).discarded, 0);
    ck_assert_uint_eq(stats_of(disk).used_b, used_b);
    for (unsigned i = 0; i < 300; i++) {
        char name[32];
        snprintf(name, sizeof name, "n%u", i);
        read_one(disk, name, i, 16 + 13 * i);
    }
    tier_check(disk);
    be_disk_close(disk);
}
END_TEST

START_TEST(a_quota_is_a_quota)
{
    struct be_disk *disk = tier_open(3 * 65536);
    write_one(disk, "a", 1, 65536, 0);
    write_one(disk, "b", 1, 65536, 0);
    write_one(disk, "c", 1, 65536, 0);
    write_one(disk, "d", 1, 16, -ENOSPC);
    write_one(disk, "a", 2, 65536, -ENOSPC); /* both would count for a moment */
    read_one(disk, "a", 1, 65536);
    ck_assert_uint_eq(stats_of(disk).full, 2);
    ck_assert_int_eq(be_disk_remove(disk, "c"), 0);
    write_one(disk, "a", 2, 65536, 0);
    read_one(disk, "a", 2, 65536);
    tier_check(disk);
    be_disk_close(disk);

    /* What is there stays when the quota has become less; nothing comes on top. */
    disk = tier_open(65536);
    ck_assert_uint_eq(stats_of(disk).recovered, 2);
    write_one(disk, "e", 1, 16, -ENOSPC);
    ck_assert_int_eq(be_disk_remove(disk, "a"), 0);
    write_one(disk, "e", 1, 16, -ENOSPC);
    ck_assert_int_eq(be_disk_remove(disk, "b"), 0);
    write_one(disk, "e", 1, 65536, 0);
    be_disk_close(disk);
}
END_TEST

START_TEST(no_quota_no_value)
{
    struct be_disk *disk = tier_open(0);
    write_one(disk, "a", 1, 16, -ENOSPC);
    read_nothing(disk, "a");
    be_disk_close(disk);
}
END_TEST

START_TEST(reserve_is_left_to_others)
{
    struct statvfs fs;
    ck_assert_int_eq(statvfs(scratch, &fs), 0);
    const uint64_t free_b = (uint64_t)fs.f_bavail * fs.f_frsize;
    struct be_disk_config config = {.folder = tier,
                                    .quota_b = UINT64_MAX,
                                    .reserve_b = free_b + (UINT64_C(1) << 40)};
    struct be_disk *disk = tier_open_on(&be_disk_system, &config);
    write_one(disk, "a", 1, 16, -ENOSPC);
    tier_check(disk);
    be_disk_close(disk);
    config.reserve_b = 1;
    disk = tier_open_on(&be_disk_system, &config);
    write_one(disk, "a", 1, 16, 0);
    be_disk_close(disk);
}
END_TEST

START_TEST(sync_and_direct)
{
    for (int i = 0; i < 6; i++) {
        const struct be_disk_config config = {.folder = tier,
                                              .quota_b = UINT64_MAX,
                                              .sync = (enum be_sync)(i % 3),
                                              .direct = i >= 3};
        struct be_disk *disk = tier_open_on(&be_disk_system, &config);
        if (config.direct && !stats_of(disk).direct)
            kvt_test_skip("this file system has no O_DIRECT");
        static const size_t sizes[] = {16, 4095, 4096, 4097, 70000, MOST - 8, MOST - 8192};
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
            for (size_t off = 0; off < 2; off++) { /* memory that is aligned, and that is not */
                static _Alignas(4096) char memory[MOST + 4096];
                size_t n = 0;
                value_make("x", k, memory + 8 * off, sizes[k]);
                ck_assert_int_eq(be_disk_write(disk, "x", memory + 8 * off, sizes[k]), 0);
                memset(memory, 0xee, sizeof memory);
                ck_assert_int_eq(be_disk_read(disk, "x", memory + 8 * off, sizes[k], &n), 0);
                ck_assert_uint_eq(n, sizes[k]);
                ck_assert_uint_eq(value_check("x", memory + 8 * off, n), k);
                ck_assert_int_eq(memory[8 * off + n], (char)0xee); /* nothing behind the room */
                tier_check(disk);
            }
        be_disk_close(disk);
    }
}
END_TEST

START_TEST(one_opener_at_a_time)
{
    char error[512];
    const struct be_disk_config config = {.folder = tier, .quota_b = UINT64_MAX, .keep = true};
    struct be_disk *disk = tier_open(UINT64_MAX);
    write_one(disk, "a", 1, 16, 0);
    ck_assert_int_eq(tier_refuses(&config, error, sizeof error), -EBUSY);
    read_one(disk, "a", 1, 16);
    be_disk_close(disk);
    be_disk_close(tier_open(UINT64_MAX));
}
END_TEST

START_TEST(a_tier_not_kept_leaves_nothing)
{
    struct be_disk_config config = {.folder = tier, .quota_b = UINT64_MAX};
    struct be_disk *disk = tier_open_on(&be_disk_system, &config);
    write_one(disk, "a", 1, 16, 0);
    ck_assert_int_eq(chdir("/"), 0);
    be_disk_close(disk);
    ck_assert(!exists(tier));

    /* A folder that was there stays, as empty as it was; so does what somebody put beside ours. */
    ck_assert_int_eq(mkdir(tier, 0700), 0);
    disk = tier_open_on(&be_disk_system, &config);
    write_one(disk, "a", 1, 16, 0);
    put_file(below("note"), "mine");
    be_disk_close(disk);
    ck_assert(exists(below("note")));
    ck_assert(!exists(below("kv")) && !exists(below("tmp")) && !exists(below("LOCK")));
}
END_TEST

START_TEST(foreign_folders_are_refused)
{
    char error[512];
    const struct be_disk_config config = {.folder = tier, .quota_b = UINT64_MAX};
    ck_assert_int_eq(mkdir(tier, 0700), 0);
    put_file(below("thesis.tex"), "ten years");
    ck_assert_int_eq(tier_refuses(&config, error, sizeof error), -EEXIST);
    ck_assert_ptr_nonnull(strstr(error, "thesis.tex"));
    ck_assert(!exists(below("LOCK")) && !exists(below("kv")));

    put_file(below("LOCK"), ""); /* others have a LOCK too */
    ck_assert_int_eq(tier_refuses(&config, error, sizeof error), -EEXIST);
    put_file(below("LOCK"), "somebody else's\n");
    ck_assert_int_eq(tier_refuses(&config, error, sizeof error), -EEXIST);
    ck_assert_int_eq(unlink(below("thesis.tex")), 0);
    ck_assert_int_eq(tier_refuses(&config, error, sizeof error), -EEXIST);
    ck_assert_int_eq(unlink(below("LOCK")), 0);
    ck_assert_int_eq(mkfifo(below("LOCK"), 0600), 0);
    ck_assert_int_eq(tier_refuses(&config, error, sizeof error), -EEXIST);
    ck_assert_int_eq(unlink(below("LOCK")), 0);
    ck_assert_int_eq(symlink("/etc/passwd", below("LOCK")), 0);
    ck_assert_int_eq(tier_refuses(&config, error, sizeof error), -ELOOP);
    ck_assert_int_eq(unlink(below("LOCK")), 0);

    /* An opener that died at once leaves an empty LOCK. */
    put_file(below("LOCK"), "");
    be_disk_close(tier_open(UINT64_MAX));
    /* Now it is ours, whatever else is put there. */
    put_file(below("note"), "mine");
    be_disk_close(tier_open(UINT64_MAX));
    ck_assert(exists(below("note")));
}
END_TEST

START_TEST(folders_that_cannot_be)
{
    char error[512], path[PATH_B];
    struct be_disk_config config = {.folder = path, .quota_b = UINT64_MAX};
    snprintf(path, sizeof path, "%s/no/such", scratch);
    ck_assert_int_eq(tier_refuses(&config, error, sizeof error), -ENOENT);
    put_file(tier, "a file");
    config.folder = tier;
    ck_assert_int_eq(tier_refuses(&config, error, sizeof error), -ENOTDIR);
    ck_assert(exists(tier));
    config.folder = "";
    ck_assert_int_eq(tier_refuses(&config, error, sizeof error), -ENOENT);
}
END_TEST

START_TEST(a_start_clears_up)
{
    char path[PATH_B], outside[SCRATCH_B + 8];
    struct be_disk *disk = tier_open(UINT64_MAX);
    write_one(disk, "a", 1, 5000, 0);
    be_disk_close(disk);
    be_disk_path(path, "a");
    const unsigned other = (unsigned)strtoul(path, NULL, 16) ^ 1;

    snprintf(path, sizeof path, "kv/%02x", other);
    ck_assert_int_eq(mkdir(below(path), 0700), 0);
    put_file(below("tmp/17"), "half");
    ck_assert_int_eq(mkdir(below("tmp/folder"), 0700), 0);
    snprintf(path, sizeof path, "kv/%02x/a", other); /* a valid name where it does not belong */
    put_file(below(path), "a");
    snprintf(path, sizeof path, "kv/%02x/.a", other);
    put_file(below(path), "hidden");
    put_file(below("kv/note"), "file");
    ck_assert_int_eq(mkdir(below("kv/zz"), 0700), 0);
    ck_assert_int_eq(mkdir(below("kv/zz/deep"), 0700), 0);
    put_file(below("kv/zz/deep/file"), "x");
    memcpy(path, "kv/", 3);
    be_disk_path(path + 3, "empty");
    path[5] = '\0';
    ck_assert_int_eq(mkdir(below(path), 0700), 0);
    path[5] = '/';
    put_file(below(path), ""); /* a power cut's */
    snprintf(outside, sizeof outside, "%s/outside", scratch);
    ck_assert_int_eq(mkdir(outside, 0700), 0);
    snprintf(path, sizeof path, "%s/precious", outside);
    put_file(path, "not ours");
    ck_assert_int_eq(symlink(outside, below("kv/link")), 0);
    ck_assert_int_eq(symlink(outside, below("kv/00")), 0);

    disk = tier_open(UINT64_MAX);
    const struct be_disk_stats stats = stats_of(disk);
    ck_assert_uint_eq(stats.recovered, 1);
    ck_assert_uint_eq(stats.discarded, 9);
    read_one(disk, "a", 1, 5000);
    tier_check(disk);
    be_disk_close(disk);
    ck_assert(exists(path));
}
END_TEST

START_TEST(values_that_vanish_are_missed)
{
    char path[PATH_B] = "kv/";
    struct be_disk *disk = tier_open(UINT64_MAX);
    write_one(disk, "a", 1, 5000, 0);
    write_one(disk, "b", 1, 5000, 0);
    be_disk_path(path + 3, "a");
    ck_assert_int_eq(unlink(below(path)), 0);
    read_nothing(disk, "a");
    be_disk_path(path + 3, "b");
    ck_assert_int_eq(unlink(below(path)), 0);
    ck_assert_int_eq(be_disk_remove(disk, "b"), -ENOENT);
    ck_assert(!be_disk_has(disk, "b"));
    ck_assert_uint_eq(stats_of(disk).errors, 2);
    tier_check(disk);
    be_disk_close(disk);
}
END_TEST

/* ---- Walks ------------------------------------------------------------------------------------------ */

struct walk {
    struct be_disk *disk;
    unsigned seen;
};

static void walk_removes(void *self, const char *name, uint64_t b)
{
    struct walk *w = self;
    char other[16];
    ck_assert_uint_eq(b, 100);
    w->seen++;
    snprintf(other, sizeof other, "%llu", strtoull(name, NULL, 10) ^ 1);
    be_disk_remove(w->disk, name);
    be_disk_remove(w->disk, other);
    write_one(w->disk, other, 0, 100, 0); /* new ones do not make the walk longer */
}

START_TEST(walks_while_all_changes)
{
    struct be_disk *disk = tier_open(UINT64_MAX);
    struct walk w = {disk, 0};
    char name[16];
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "%u", i);
        write_one(disk, name, 0, 100, 0);
    }
    be_disk_each(disk, walk_removes, &w);
    ck_assert_uint_eq(w.seen, 500);
    ck_assert_uint_eq(stats_of(disk).files, 500);
    tier_check(disk);
    be_disk_close(disk);
}
END_TEST

/* ---- A model ---------------------------------------------------------------------------------------- */

enum { NAMES = 40 };

struct model {
    uint64_t unit_b, quota_b, used_b;
    size_t n[NAMES]; /* 0: not there */
    uint64_t version[NAMES];
};

static uint64_t model_charge(const struct model *m, size_t n)
{
    return (n + m->unit_b - 1) / m->unit_b * m->unit_b;
}

static void model_write(struct model *m, struct be_disk *disk, unsigned i, const char *name)
{
    const size_t n = VALUE_LEAST + dice_below(20000);
    const uint64_t version = dice_below(1000000);
    const bool fits = m->used_b <= m->quota_b && model_charge(m, n) <= m->quota_b - m->used_b;
    value_make(name, version, value, n);
    MUST(be_disk_write(disk, name, value, n) == (fits ? 0 : -ENOSPC));
    if (!fits)
        return;
    m->used_b += model_charge(m, n);
    m->used_b -= model_charge(m, m->n[i]);
    m->n[i] = n;
    m->version[i] = version;
}

static void model_step(struct model *m, struct be_disk *disk)
{
    const unsigned i = (unsigned)dice_below(NAMES);
    char name[16];
    size_t n;
    snprintf(name, sizeof name, "name-%u", i);
    switch (dice_below(4)) {
    case 0:
        MUST(be_disk_remove(disk, name) == (m->n[i] ? 0 : -ENOENT));
        m->used_b -= model_charge(m, m->n[i]);
        m->n[i] = 0;
        break;
    case 1:
        model_write(m, disk, i, name);
        break;
    default:
        MUST(be_disk_has(disk, name) == (m->n[i] != 0));
        MUST(be_disk_read(disk, name, back, sizeof back, &n) == (m->n[i] ? 0 : -ENOENT));
        MUST(n == m->n[i] && (n == 0 || value_check(name, back, n) == m->version[i]));
    }
    MUST(stats_of(disk).used_b == m->used_b);
}

START_TEST(behaves_like_its_model)
{
    struct statvfs fs;
    struct model m = {.quota_b = 150000};
    ck_assert_int_eq(statvfs(scratch, &fs), 0);
    m.unit_b = fs.f_frsize;
    dice_seed(20 + (uint64_t)_i);
    for (int life = 0; life < 5; life++) {
        struct be_disk *disk = tier_open(m.quota_b);
        for (int i = 0; i < 600; i++)
            model_step(&m, disk);
        tier_check(disk);
        be_disk_close(disk);
        m.quota_b = 100000 + dice_below(100000);
    }
}
END_TEST

/* ---- A file system that is full --------------------------------------------------------------------- */

START_TEST(full_file_systems)
{
    /* One of its own, of 1 MiB, that goes with this process. */
    if ((unshare(CLONE_NEWNS) && unshare(CLONE_NEWUSER | CLONE_NEWNS)) ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("none", scratch, "tmpfs", 0, "size=1m,mode=700")) {
        kvt_test_skip("no file systems of our own here");
        return;
    }
    struct be_disk *disk = tier_open(UINT64_MAX);
    unsigned written = 0;
    int rc = 0;
    while (rc == 0 && written < 100) {
        char name[16];
        snprintf(name, sizeof name, "%u", written);
        value_make(name, 5, value, 50000);
        rc = be_disk_write(disk, name, value, 50000);
        written += rc == 0;
    }
    ck_assert_int_eq(rc, -ENOSPC);
    ck_assert_uint_gt(written, 5);
    tier_check(disk);
    for (unsigned i = 0; i < written; i++) {
        char name[16];
        snprintf(name, sizeof name, "%u", i);
        read_one(disk, name, 5, 50000);
    }
    ck_assert_int_eq(be_disk_remove(disk, "0"), 0);
    write_one(disk, "1", 6, 50000, 0);
    tier_check(disk);
    be_disk_close(disk);
    ck_assert_int_eq(umount2(scratch, MNT_DETACH), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("disk");
    TCase *tcase = tcase_create("values");
    tcase_add_checked_fixture(tcase, make_scratch, drop_scratch);
    tcase_add_test(tcase, values_come_back);
    tcase_add_test(tcase, replacing_and_removing);
    tcase_add_test(tcase, too_small_a_buffer_is_said);
    tcase_add_test(tcase, names_that_cannot_be);
    tcase_add_test(tcase, kept_values_are_found_again);
    tcase_add_test(tcase, a_quota_is_a_quota);
    tcase_add_test(tcase, no_quota_no_value);
    tcase_add_test(tcase, reserve_is_left_to_others);
    tcase_add_test(tcase, sync_and_direct);
    tcase_add_test(tcase, values_that_vanish_are_missed);
    tcase_add_test(tcase, walks_while_all_changes);
    tcase_add_loop_test(tcase, behaves_like_its_model, 0, 3);
    tcase_add_test(tcase, full_file_systems);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("folder");
    tcase_add_checked_fixture(tcase, make_scratch, drop_scratch);
    tcase_add_test(tcase, one_opener_at_a_time);
    tcase_add_test(tcase, a_tier_not_kept_leaves_nothing);
    tcase_add_test(tcase, foreign_folders_are_refused);
    tcase_add_test(tcase, folders_that_cannot_be);
    tcase_add_test(tcase, a_start_clears_up);
    suite_add_tcase(suite, tcase);
    return kvt_test_main(suite);
}
