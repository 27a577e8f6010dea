/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_scratch.c - temporary folders: gone with their owner or at the next start, and nobody else's is touched.
 */
#include "../backend/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kvt_test.h"

static const char line[] = "kvtwin scratch 1\n";
static char base[PATH_MAX / 4]; /* a folder of the test's own */

static void make_base(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(base, sizeof base, "%.400s/scratch-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(base));
}

/* Only when it is empty. */
static void drop_base(void)
{
    ck_assert_msg(rmdir(base) == 0, "%s: %s", base, strerror(errno));
}

static void open_one(struct be_scratch *s)
{
    char why[256] = "";
    ck_assert_msg(be_scratch_open(s, base, why, sizeof why) == 0, "%s", why);
}

static char *in_base(const char *name, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/%s", base, name);
    return path;
}

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
}

static void make_folder(const char *folder, const char *name)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    ck_assert_int_eq(mkdir(path, 0700), 0);
}

static bool exists(const char *path)
{
    struct stat about;
    return lstat(path, &about) == 0;
}

/* A child that makes a folder with something in it, and lives until it is killed. */
static pid_t owner_of(char path[PATH_MAX])
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    const pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        struct be_scratch s;
        char why[256];
        if (be_scratch_open(&s, base, why, sizeof why) != 0)
            _exit(1);
        make_folder(s.path, "0");
        make_folder(s.path, "disk");
        make_folder(s.path, "disk/deep");
        write_file(s.path, "disk/deep/value", "bytes");
        if (write(ends[1], s.path, PATH_MAX) != PATH_MAX)
            _exit(1);
        for (;;)
            pause();
    }
    ck_assert_int_eq(read(ends[0], path, PATH_MAX), PATH_MAX);
    close(ends[0]);
    close(ends[1]);
    return pid;
}

static void end(pid_t pid)
{
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

START_TEST(gone_when_closed)
{
    struct be_scratch s, other;
    struct stat about;
    char path[PATH_MAX];
    make_base();
    open_one(&s);
    open_one(&other);
    ck_assert_str_ne(s.path, other.path);
    ck_assert_int_eq(stat(s.path, &about), 0);
    ck_assert_uint_eq(about.st_mode & 07777, 0700);
    ck_assert_int_eq(be_scratch_path(&s, "disk", path), 0);
    ck_assert_ptr_eq(strstr(path, s.path), path);
    make_folder(s.path, "disk");
    write_file(s.path, "disk/value", "bytes");
    ck_assert_uint_eq(be_scratch_sweep(base), 0); /* ours: locked, though by this very process */
    be_scratch_close(&s);
    be_scratch_close(&s); /* nothing, now */
    ck_assert(exists(other.path));
    be_scratch_close(&other);
    drop_base();
}
END_TEST

START_TEST(no_such_base)
{
    struct be_scratch s;
    char why[256] = "";
    ck_assert_int_eq(be_scratch_open(&s, "/no/such/folder", why, sizeof why), -ENOENT);
    ck_assert_ptr_nonnull(strstr(why, "/no/such/folder"));
    be_scratch_close(&s);
    ck_assert_uint_eq(be_scratch_sweep("/no/such/folder"), 0);
}
END_TEST

START_TEST(the_next_removes_what_the_dead_left)
{
    struct be_scratch s;
    char dead[PATH_MAX], alive[PATH_MAX], outside[PATH_MAX], link_path[PATH_MAX + 16];
    make_base();
    const pid_t living = owner_of(alive), dying = owner_of(dead);
    make_folder(base, "outside");
    in_base("outside", outside);
    write_file(outside, "kept", "mine");
    snprintf(link_path, sizeof link_path, "%s/disk/away", dead);
    ck_assert_int_eq(symlink(outside, link_path), 0);
    ck_assert_uint_eq(be_scratch_sweep(base), 0); /* both live */
    end(dying);
    open_one(&s);
    ck_assert(!exists(dead) && exists(alive) && exists(s.path));
    strcat(outside, "/kept");
    ck_assert_msg(exists(outside), "a link was followed");
    ck_assert_int_eq(unlink(outside), 0);
    *strrchr(outside, '/') = '\0';
    ck_assert_int_eq(rmdir(outside), 0);
    be_scratch_close(&s);
    end(living);
    ck_assert_uint_eq(be_scratch_sweep(base), 1);
    drop_base();
}
END_TEST

/* Whatever is not beyond doubt a dead program's stays as it is. */
START_TEST(leaves_what_is_in_doubt)
{
    static const char *const names[] = {"kvtwin-run-noline", "kvtwin-run-other0",
                                        "kvtwin-run-empty0", "kvtwin-run-linked",
                                        "kvtwin-run-short",  "kvtwin-run-longer0",
                                        "kvtwin-abcdef",     "kvtwin-run-locked"};
    enum { N = sizeof names / sizeof *names };
    char path[PATH_MAX], target[PATH_MAX];
    make_base();
    for (int i = 0; i < N; i++) {
        make_folder(base, names[i]);
        in_base(names[i], path);
        if (i == 3) {
            write_file(base, "line", line);
            strcat(path, "/OWNER");
            ck_assert_int_eq(symlink(in_base("line", target), path), 0);
        } else if (i != 0) {
            write_file(path, "OWNER", i == 1 ? "somebody's\n" : i == 2 ? "" : line);
        }
    }
    /* One that would be removed, but for its name being a link. */
    make_folder(base, "real");
    write_file(in_base("real", target), "OWNER", line);
    ck_assert_int_eq(symlink(target, in_base("kvtwin-run-symlnk", path)), 0);
    strcat(in_base(names[7], path), "/OWNER");
    const int held = open(path, O_RDWR | O_CLOEXEC);
    ck_assert_int_eq(flock(held, LOCK_EX), 0);
    ck_assert_uint_eq(be_scratch_sweep(base), 0);
    for (int i = 0; i < N; i++)
        ck_assert_msg(exists(in_base(names[i], path)), "%s", path);
    strcat(target, "/OWNER");
    ck_assert(exists(target));
    close(held);
    ck_assert_uint_eq(be_scratch_sweep(base), 1); /* the locked one: nobody holds it now */
    ck_assert(!exists(in_base(names[7], path)));
    char command[PATH_MAX];
    snprintf(command, sizeof command, "rm -rf %s", base);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

/* A process of the test's that sleeps in that folder. */
static pid_t sleeper(const char *folder)
{
    int ends[2];
    char ready = 0;
    ck_assert_int_eq(pipe(ends), 0);
    const pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        ready = chdir(folder) == 0;
        if (write(ends[1], &ready, 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    ck_assert_int_eq(read(ends[0], &ready, 1), 1);
    ck_assert(ready);
    close(ends[0]);
    close(ends[1]);
    return pid;
}

START_TEST(ends_what_was_started_in_it)
{
    char dead[PATH_MAX], folder[PATH_MAX + 4], text[32];
    int status;
    make_base();
    end(owner_of(dead));
    snprintf(folder, sizeof folder, "%s/0", dead);
    const pid_t left = sleeper(folder);
    snprintf(text, sizeof text, "%ld\n", (long)left);
    write_file(folder, "pid", text);
    ck_assert_uint_eq(be_scratch_sweep(base), 1);
    ck_assert_int_eq(waitpid(left, &status, 0), left);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    drop_base();
}
END_TEST

/* A number that somebody else has by now, and files that are no number. */
START_TEST(ends_nobody_else)
{
    char dead[PATH_MAX], folder[PATH_MAX + 4], text[32];
    make_base();
    const pid_t other = sleeper("/");
    snprintf(text, sizeof text, "%ld\n", (long)other);
    const char *const texts[] = {text, "", "0\n", "-1\n", "1\n", "99999999999999999999\n", "none"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        end(owner_of(dead));
        snprintf(folder, sizeof folder, "%s/0", dead);
        write_file(folder, "pid", texts[i]);
        ck_assert_uint_eq(be_scratch_sweep(base), 1);
        ck_assert_int_eq(waitpid(other, NULL, WNOHANG), 0);
    }
    end(other);
    drop_base();
}
END_TEST

/* Many that start at one time: each folder is removed once, and none that is new. */
START_TEST(sweeps_at_one_time)
{
    enum { DEAD = 12, SWEEPS = 6 };
    char path[PATH_MAX];
    pid_t owners[DEAD], sweeps[SWEEPS];
    int removed = 0;
    make_base();
    for (int i = 0; i < DEAD; i++)
        owners[i] = owner_of(path);
    for (int i = 0; i < DEAD; i++)
        end(owners[i]);
    for (int i = 0; i < SWEEPS; i++) {
        sweeps[i] = fork();
        ck_assert_int_ge(sweeps[i], 0);
        if (sweeps[i] == 0) {
            struct be_scratch s;
            char why[256];
            const uint32_t n = be_scratch_sweep(base);
            const bool good = be_scratch_open(&s, base, why, sizeof why) == 0;
            write_file(s.path, "mine", "bytes");
            be_scratch_close(&s);
            _exit(good ? (int)n : 100);
        }
    }
    for (int i = 0; i < SWEEPS; i++) {
        int status;
        ck_assert_int_eq(waitpid(sweeps[i], &status, 0), sweeps[i]);
        ck_assert(WIFEXITED(status));
        removed += WEXITSTATUS(status);
    }
    ck_assert_int_le(removed, DEAD); /* the rest went when one was opened */
    drop_base();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("scratch");
    TCase *tcase = tcase_create("scratch");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, gone_when_closed);
    tcase_add_test(tcase, no_such_base);
    tcase_add_test(tcase, the_next_removes_what_the_dead_left);
    tcase_add_test(tcase, leaves_what_is_in_doubt);
    tcase_add_test(tcase, ends_what_was_started_in_it);
    tcase_add_test(tcase, ends_nobody_else);
    tcase_add_test(tcase, sweeps_at_one_time);
    suite_add_tcase(suite, tcase);
    return kvt_test_main(suite);
}
