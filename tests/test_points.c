/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_points.c - runs in processes of their own (cli/points.h), their results on disk (cli/store.h) and as bytes (cli/lab.h).
 *
 * Children that work, fail, crash, and are stopped; files that are whole, cut, changed at every byte, and of another.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/lab.h"
#include "cli/points.h"
#include "cli/store.h"
#include "dice.h"

enum { POINTS = 40 };

struct log {
    int done[POINTS], failed[POINTS], prepared[POINTS];
    char error[POINTS][POINTS_ERROR_SIZE];
    int order[POINTS], n;
    volatile sig_atomic_t stop;
    int stop_after;
};

static int prepare(void *self, size_t i, char *error)
{
    ((struct log *)self)->prepared[i]++;
    if (i == 39)
        snprintf(error, POINTS_ERROR_SIZE, "not prepared");
    return i == 39 ? -EINVAL : 0;
}

/* A result as large as 300 KB, more than a pipe holds. */
static int work(void *self, size_t i, char **bytes, size_t *n, char *error)
{
    (void)self;
    if (i == 7)
        abort();
    if (i == 8)
        _exit(0);
    if (i == 9) {
        snprintf(error, POINTS_ERROR_SIZE, "nine does not work");
        return -EINVAL;
    }
    *n = i * 10000;
    *bytes = malloc(*n + 1);
    memset(*bytes, (int)('a' + i % 26), *n);
    return *bytes ? 0 : -ENOMEM;
}

static int done(void *self, size_t i, const char *bytes, size_t n, const char *error)
{
    struct log *log = self;
    log->order[log->n++] = (int)i;
    if (!bytes) {
        log->failed[i]++;
        snprintf(log->error[i], POINTS_ERROR_SIZE, "%s", error);
    } else {
        log->done[i]++;
        ck_assert_uint_eq(n, i * 10000);
        for (size_t k = 0; k < n; k += 997)
            ck_assert_int_eq(bytes[k], (int)('a' + i % 26));
    }
    if (log->stop_after && log->n == log->stop_after)
        log->stop = 1;
    return 0;
}

static int run(struct log *log, uint32_t jobs)
{
    static size_t todo[POINTS];
    char error[POINTS_ERROR_SIZE];
    for (size_t i = 0; i < POINTS; i++)
        todo[i] = i;
    const struct points p = {.todo = todo,
                             .n = POINTS,
                             .jobs = jobs,
                             .self = log,
                             .prepare = prepare,
                             .work = work,
                             .done = done,
                             .stop = &log->stop};
    return points_run(&p, error);
}

static bool no_children(void)
{
    return waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD;
}

START_TEST(every_point_once)
{
    for (uint32_t jobs = 1; jobs <= 8; jobs += 7) {
        struct log *log = calloc(1, sizeof *log);
        ck_assert_int_eq(run(log, jobs), 0);
        ck_assert_int_eq(log->n, POINTS);
        for (int i = 0; i < POINTS; i++) {
            bool bad = (i >= 7 && i <= 9) || i == 39;
            ck_assert_msg(log->done[i] == !bad && log->failed[i] == bad && log->prepared[i] == 1,
                          "%d", i);
        }
        ck_assert(strstr(log->error[7], "ended by signal 6"));
        ck_assert(strstr(log->error[8], "left no result"));
        ck_assert_str_eq(log->error[9], "nine does not work");
        ck_assert_str_eq(log->error[39], "not prepared");
        ck_assert(no_children());
        if (jobs == 1)
            for (int i = 0; i < POINTS; i++)
                ck_assert_int_eq(log->order[i], i);
        free(log);
    }
}
END_TEST

START_TEST(a_stop_leaves_nobody)
{
    struct log *log = calloc(1, sizeof *log);
    log->stop_after = 11;
    ck_assert_int_eq(run(log, 3), -EINTR);
    ck_assert(log->n >= 11 && log->n < POINTS);
    ck_assert(no_children());
    free(log);
}
END_TEST

/* ---- Store ------------------------------------------------------------------------------------------- */

static const char one[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
static const char two[] = "f123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
/* Differs from `one` behind the digits that name the file. */
static const char three[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdee";

static int scratch(void)
{
    const char *tmp = getenv("TMPDIR");
    char path[256];
    snprintf(path, sizeof path, "%.200s/kvtwin-store-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(path));
    int fd = open(path, O_RDONLY | O_DIRECTORY);
    ck_assert_int_ge(fd, 0);
    return fd;
}

static void clear(int dirfd, const char *folder)
{
    int fd = openat(dirfd, folder, O_RDONLY | O_DIRECTORY);
    unlinkat(fd, "0123456789abcdef0123456789abcdef.json", 0);
    unlinkat(fd, "f123456789abcdef0123456789abcdef.json", 0);
    close(fd);
    unlinkat(dirfd, folder, AT_REMOVEDIR);
    char link[64], path[256];
    snprintf(link, sizeof link, "/proc/self/fd/%d", dirfd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n > 0) {
        path[n] = '\0';
        rmdir(path);
    }
    close(dirfd);
}

START_TEST(what_is_stored_comes_back_or_nothing)
{
    struct store s, second;
    char *bytes = NULL;
    size_t n = 0;
    int dirfd = scratch();
    ck_assert_int_eq(store_open(&s, dirfd, "runs"), 0);
    ck_assert_int_eq(store_open(&second, dirfd, "runs"), -EBUSY);
    ck_assert_int_eq(store_get(&s, one, &bytes, &n), -ENOENT);
    ck_assert_int_eq(store_put(&s, one, "{\"a\": 1}\n", 9), 0);
    ck_assert_int_eq(store_put(&s, two, "", 0), 0);
    ck_assert_int_eq(store_get(&s, one, &bytes, &n), 0);
    ck_assert_uint_eq(n, 9);
    ck_assert_str_eq(bytes, "{\"a\": 1}\n");
    free(bytes);
    ck_assert_int_eq(store_get(&s, two, &bytes, &n), 0);
    ck_assert_uint_eq(n, 0);
    free(bytes);
    ck_assert_int_eq(store_get(&s, three, &bytes, &n), -EBADMSG); /* another's file */
    ck_assert_int_eq(store_put(&s, one, "new", 3), 0);
    ck_assert_int_eq(store_get(&s, one, &bytes, &n), 0);
    ck_assert_str_eq(bytes, "new");
    free(bytes);
    store_close(&s);
    ck_assert_int_eq(store_open(&second, dirfd, "runs"), 0);
    store_close(&second);
    clear(dirfd, "runs");
}
END_TEST

START_TEST(damage_is_never_believed)
{
    static const char name[] = "0123456789abcdef0123456789abcdef.json";
    static const char text[] = "{\"ttft_p50_ms\": 12.5}\n";
    struct store s;
    char file[512], *bytes;
    size_t n;
    int dirfd = scratch();
    ck_assert_int_eq(store_open(&s, dirfd, "runs"), 0);
    ck_assert_int_eq(store_put(&s, one, text, sizeof text - 1), 0);
    int fd = openat(s.fd, name, O_RDONLY);
    ssize_t size = read(fd, file, sizeof file);
    close(fd);
    ck_assert(size > (ssize_t)sizeof text);
    for (ssize_t at = 0; at <= size; at++) {
        for (int how = 0; how < 3; how++) { /* a bit changed, cut here, a byte too many here */
            char copy[600];
            ssize_t len = how == 0 ? size : how == 1 ? at : size + 1;
            memcpy(copy, file, (size_t)(how == 2 ? at : len));
            if (how == 0 && at < size)
                copy[at] = (char)(copy[at] ^ (1 << at % 8));
            if (how == 2) {
                copy[at] = ' ';
                memcpy(copy + at + 1, file + at, (size_t)(size - at));
            }
            fd = openat(s.fd, name, O_WRONLY | O_TRUNC);
            ck_assert_int_eq(write(fd, copy, (size_t)len), len);
            close(fd);
            bool same = len == size && memcmp(copy, file, (size_t)size) == 0;
            int rc = store_get(&s, one, &bytes, &n);
            ck_assert_msg(rc == (same ? 0 : -EBADMSG), "byte %zd, damage %d: %d", at, how, rc);
            if (rc == 0)
                free(bytes);
        }
    }
    store_close(&s);
    clear(dirfd, "runs");
}
END_TEST

START_TEST(results_are_packed_and_unpacked)
{
    struct lab_request requests[3] = {{1, 2, 3, 4, 5},
                                      {UINT64_MAX, UINT64_MAX, 0, 0, 0},
                                      {6, 7, 8, 9, 10}};
    char json[] = "{}\n", *bytes;
    struct lab_result in = {json, requests, 3}, out;
    size_t n;
    ck_assert_int_eq(lab_pack(&in, &bytes, &n), 0);
    ck_assert_int_eq(lab_unpack(&out, bytes, n), 0);
    ck_assert_str_eq(out.json, json);
    ck_assert_uint_eq(out.n_requests, 3);
    ck_assert_int_eq(memcmp(out.requests, requests, sizeof requests), 0);
    lab_result_release(&out);
    for (size_t cut = 0; cut < n; cut++) /* what is too short is refused, whatever it says */
        ck_assert_int_eq(lab_unpack(&out, bytes, cut), -EBADMSG);
    free(bytes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("points");
    TCase *tc = tcase_create("points");
    tcase_add_test(tc, every_point_once);
    tcase_add_test(tc, a_stop_leaves_nobody);
    tcase_add_test(tc, what_is_stored_comes_back_or_nothing);
    tcase_add_test(tc, damage_is_never_believed);
    tcase_add_test(tc, results_are_packed_and_unpacked);
    suite_add_tcase(suite, tc);
    return kvt_test_main(suite);
}
