/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_disk_threads.c - the disk tier from many threads: whole values whatever is replaced and removed under a
 * reader, never a byte above the quota, and in the end an index that equals the folder.
 *
 * Each thread also has names of its own, for which a model knows exactly what must be there.
 */
#include <pthread.h>

#include "disk_fixture.h"

enum { THREADS = 8, STEPS = 250, SHARED = 6, OWN = 4, VALUE_MOST = 24000 };

/* Room for the threads' own values always; for the shared ones, not always. */
static const uint64_t quota_b = THREADS * (OWN + 1) * (VALUE_MOST / 4096 + 1) * 4096 + 60000;

struct worker {
    pthread_t thread;
    struct be_disk *disk;
    unsigned me;
    uint64_t seed, draws;
    size_t own_n[OWN];
    uint64_t own_version[OWN];
    const char *wrong; /* the first thing that was */
    char value[VALUE_MOST];
};

/* dice.h has one stream for the program: here each thread has its own. */
static uint64_t draw(struct worker *w, uint64_t n)
{
    return kvt_mix64(w->seed + ++w->draws * UINT64_C(0x9e3779b97f4a7c15)) % n;
}

static void expect(struct worker *w, bool holds, const char *what)
{
    if (!holds && !w->wrong)
        w->wrong = what;
}

static void on_shared(struct worker *w)
{
    char name[16];
    size_t n = 0;
    int rc;
    snprintf(name, sizeof name, "shared-%u", (unsigned)draw(w, SHARED));
    switch (draw(w, 4)) {
    case 0:
        rc = be_disk_remove(w->disk, name);
        expect(w, rc == 0 || rc == -ENOENT, "remove of a shared name");
        break;
    case 1:
        n = VALUE_LEAST + draw(w, VALUE_MOST - VALUE_LEAST);
        value_make(name, w->draws, w->value, n);
        rc = be_disk_write(w->disk, name, w->value, n);
        expect(w, rc == 0 || rc == -ENOSPC, "write of a shared name");
        break;
    default:
        rc = be_disk_read(w->disk, name, w->value, sizeof w->value, &n);
        expect(w, rc == -ENOENT || (rc == 0 && value_check(name, w->value, n) != UINT64_MAX),
               "read of a shared name: whole or nothing");
    }
}

static void on_own(struct worker *w)
{
    const unsigned i = (unsigned)draw(w, OWN);
    char name[32];
    size_t n = 0;
    int rc;
    snprintf(name, sizeof name, "own-%u-%u", w->me, i);
    switch (draw(w, 3)) {
    case 0:
        expect(w, be_disk_remove(w->disk, name) == (w->own_n[i] ? 0 : -ENOENT),
               "remove of an own name");
        w->own_n[i] = 0;
        break;
    case 1:
        n = VALUE_LEAST + draw(w, VALUE_MOST - VALUE_LEAST);
        value_make(name, w->draws, w->value, n);
        rc = be_disk_write(w->disk, name, w->value, n);
        expect(w, rc == 0 || rc == -ENOSPC, "write of an own name");
        if (rc == 0) {
            w->own_n[i] = n;
            w->own_version[i] = w->draws;
        }
        break;
    default:
        rc = be_disk_read(w->disk, name, w->value, sizeof w->value, &n);
        expect(w, rc == (w->own_n[i] ? 0 : -ENOENT) && n == w->own_n[i], "length of an own name");
        expect(w, rc || value_check(name, w->value, n) == w->own_version[i], "own value");
    }
}

static void touch(void *self, const char *name, uint64_t b)
{
    struct worker *w = self;
    expect(w, be_disk_name_valid(name) && b >= VALUE_LEAST && b <= VALUE_MOST, "walk");
}

static void *work(void *self)
{
    struct worker *w = self;
    for (unsigned i = 0; i < STEPS; i++) {
        if (draw(w, 2))
            on_shared(w);
        else
            on_own(w);
        if (i % 16 == 0) {
            struct be_disk_stats stats;
            be_disk_stats(w->disk, &stats);
            expect(w, stats.used_b <= quota_b, "quota");
            be_disk_each(w->disk, touch, w);
        }
    }
    return NULL;
}

START_TEST(many_threads)
{
    static struct worker workers[THREADS];
    const struct be_disk_config config = {
        .folder = tier, .quota_b = quota_b, .reserve_b = 1, .direct = _i == 1, .keep = true};
    struct be_disk *disk = tier_open_on(&be_disk_system, &config);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.disk = disk, .me = i, .seed = kvt_mix64(100 + i)};
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        ck_assert_msg(!workers[i].wrong, "thread %u: %s", i, workers[i].wrong);
    }
    tier_check(disk);
    const struct be_disk_stats stats = stats_of(disk);
    ck_assert_uint_eq(stats.errors, 0);
    be_disk_close(disk);

    disk = tier_open(quota_b);
    ck_assert_uint_eq(stats_of(disk).files, stats.files);
    ck_assert_uint_eq(stats_of(disk).used_b, stats.used_b);
    be_disk_close(disk);
}
END_TEST

/* ---- All at once for the last bytes ----------------------------------------------------------------- */

static const uint64_t little_b = 10 * 4096;

static void *grab(void *self)
{
    struct worker *w = self;
    char name[32];
    for (unsigned i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "g-%u-%u", w->me, i);
        value_make(name, 1, w->value, 4096);
        w->own_n[0] += be_disk_write(w->disk, name, w->value, 4096) == 0;
    }
    return NULL;
}

START_TEST(a_quota_that_all_want)
{
    static struct worker workers[THREADS];
    uint64_t written = 0;
    struct be_disk *disk = tier_open(little_b);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.disk = disk, .me = i};
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, grab, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        written += workers[i].own_n[0];
    }
    ck_assert_uint_eq(written, little_b / 4096);
    tier_check(disk);
    ck_assert_uint_eq(stats_of(disk).used_b, little_b);
    ck_assert_uint_eq(stats_of(disk).full, THREADS * 40 - written);
    be_disk_close(disk);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("disk, many threads");
    TCase *tcase = tcase_create("threads");
    tcase_add_checked_fixture(tcase, make_scratch, drop_scratch);
    tcase_add_loop_test(tcase, many_threads, 0, 2);
    tcase_add_test(tcase, a_quota_that_all_want);
    suite_add_tcase(suite, tcase);
    return kvt_test_main(suite);
}
