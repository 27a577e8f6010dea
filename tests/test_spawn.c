/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_spawn.c - private servers: as configured, gone with their parent, and nothing left behind.
 */
#include "../backend/spawn.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../backend/scratch.h"
#include "kvt_test.h"

static char said[512];

static struct be_spawn *spawn_or_fail(const struct be_spawn_config *config)
{
    said[0] = '\0';
    struct be_spawn *spawn = be_spawn_new(config, said, sizeof said);
    ck_assert_msg(spawn != NULL, "%s", said);
    return spawn;
}

/* The reply as text. */
static char *ask(const struct be_spawn *spawn, uint32_t i, const char *command, char text[256])
{
    redisContext *context = redisConnectUnix(be_spawn_address(spawn, i)->path);
    ck_assert(context != NULL && context->err == 0);
    redisReply *reply = redisCommand(context, command);
    ck_assert_ptr_nonnull(reply);
    const redisReply *last =
        reply->type == REDIS_REPLY_ARRAY ? reply->element[reply->elements - 1] : reply;
    snprintf(text, 256, "%s", last->str ? last->str : "(nil)");
    freeReplyObject(reply);
    redisFree(context);
    return text;
}

static bool is_alive(pid_t pid)
{
    return kill(pid, 0) == 0;
}

START_TEST(as_configured)
{
    char text[256];
    struct stat about;
    struct be_spawn *spawn = spawn_or_fail(
        &(struct be_spawn_config){.n = 3, .memory_b = 64 << 20, .evicts = true, .samples = 7});
    for (uint32_t i = 0; i < 3; i++) {
        ck_assert_str_eq(ask(spawn, i, "PING", text), "PONG");
        ck_assert_str_eq(ask(spawn, i, "CONFIG GET maxmemory", text), "67108864");
        ck_assert_str_eq(ask(spawn, i, "CONFIG GET maxmemory-policy", text), "allkeys-lru");
        ck_assert_str_eq(ask(spawn, i, "CONFIG GET maxmemory-samples", text), "7");
        ck_assert_str_eq(ask(spawn, i, "CONFIG GET port", text), "0");
        ck_assert_str_eq(ask(spawn, i, "CONFIG GET save", text), "");
        ck_assert_str_eq(ask(spawn, i, "CONFIG GET appendonly", text), "no");
        ck_assert_int_eq(stat(be_spawn_address(spawn, i)->path, &about), 0);
        ck_assert_uint_eq(about.st_mode & 0777, 0700);
        ck_assert_int_eq(getpgid(be_spawn_pid(spawn, i)), be_spawn_pid(spawn, i));
        for (uint32_t j = 0; j < i; j++)
            ck_assert_str_ne(be_spawn_address(spawn, i)->path, be_spawn_address(spawn, j)->path);
    }
    be_spawn_free(spawn);
    spawn = spawn_or_fail(&(struct be_spawn_config){.n = 1, .memory_b = UINT64_MAX});
    ck_assert_str_eq(ask(spawn, 0, "CONFIG GET maxmemory", text), "0");
    ck_assert_str_eq(ask(spawn, 0, "CONFIG GET maxmemory-policy", text), "noeviction");
    be_spawn_free(spawn);
}
END_TEST

/* TMPDIR set to a folder of our own, which has to be empty afterwards. */
static char scratch[PATH_MAX];

static void make_scratch(void)
{
    strcpy(scratch, "/tmp/kvtwin-spawn-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(scratch));
    setenv("TMPDIR", scratch, 1);
}

static void drop_scratch(void)
{
    ck_assert_int_eq(rmdir(scratch), 0);
    unsetenv("TMPDIR");
}

START_TEST(leaves_nothing)
{
    make_scratch();
    struct be_spawn *spawn = spawn_or_fail(&(struct be_spawn_config){.n = 2, .memory_b = 8 << 20});
    pid_t pids[2] = {be_spawn_pid(spawn, 0), be_spawn_pid(spawn, 1)};
    ck_assert_ptr_nonnull(strstr(be_spawn_address(spawn, 0)->path, scratch));
    ck_assert(is_alive(pids[0]) && is_alive(pids[1]));
    ck_assert_int_eq(kill(pids[1], SIGKILL), 0); /* somebody else ended one already */
    be_spawn_free(spawn);
    ck_assert(!is_alive(pids[0]) && !is_alive(pids[1]));
    drop_scratch();
}
END_TEST

START_TEST(kill_and_restart)
{
    char text[256];
    struct be_spawn *spawn = spawn_or_fail(&(struct be_spawn_config){.n = 2, .memory_b = 8 << 20});
    ck_assert_str_eq(ask(spawn, 0, "SET k v", text), "OK");
    ck_assert_str_eq(ask(spawn, 1, "SET k w", text), "OK");
    pid_t pid = be_spawn_pid(spawn, 0);
    ck_assert_int_eq(be_spawn_kill(spawn, 0), 0);
    ck_assert_int_eq(be_spawn_pid(spawn, 0), 0);
    ck_assert(!is_alive(pid));
    ck_assert_int_eq(be_spawn_kill(spawn, 0), 0);
    ck_assert_int_eq(be_spawn_restart(spawn, 0), 0);
    ck_assert_str_eq(ask(spawn, 0, "GET k", text), "(nil)");
    ck_assert_str_eq(ask(spawn, 1, "GET k", text), "w");
    ck_assert_int_eq(be_spawn_restart(spawn, 1), 0); /* while it runs */
    ck_assert_str_eq(ask(spawn, 1, "GET k", text), "(nil)");
    ck_assert_int_eq(be_spawn_kill(spawn, 2), -EINVAL);
    ck_assert_int_eq(be_spawn_restart(spawn, 2), -EINVAL);
    be_spawn_free(spawn);
}
END_TEST

static void check_refused(const struct be_spawn_config *config, const char *expected)
{
    said[0] = '\0';
    ck_assert_ptr_null(be_spawn_new(config, said, sizeof said));
    ck_assert_msg(strstr(said, expected) != NULL, "%s", said);
    ck_assert_ptr_null(strchr(said, '\n'));
}

START_TEST(clear_errors)
{
    make_scratch();
    struct be_spawn_config config = {.n = 1, .memory_b = 1 << 20};
    config.server = "no-such-redis-server";
    check_refused(&config, "apt-get install redis-server");
    config.server = "/etc/passwd";
    check_refused(&config, "no program");
    config.server = "/";
    check_refused(&config, "no program");
    config.server = "false";
    check_refused(&config, "ended at its start");
    config.server = NULL;
    config.memory_b = 0;
    check_refused(&config, "memory");
    config.memory_b = 1 << 20;
    config.n = 0;
    check_refused(&config, "at least one");
    drop_scratch();
}
END_TEST

/* A program that writes something and ends: its last line is shown. */
START_TEST(last_words)
{
    char path[PATH_MAX + 8];
    make_scratch();
    snprintf(path, sizeof path, "%s/fake", scratch);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs("#!/bin/sh\necho first\necho 'cannot bind: no luck'\necho\nexit 1\n", file);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(chmod(path, 0700), 0);
    check_refused(&(struct be_spawn_config){.n = 1, .memory_b = 1 << 20, .server = path},
                  "cannot bind: no luck");
    ck_assert_int_eq(unlink(path), 0);
    drop_scratch();
}
END_TEST

START_TEST(folder_with_a_long_name)
{
    char longer[PATH_MAX + 128];
    make_scratch();
    snprintf(longer, sizeof longer, "%s/%0*d", scratch, 90, 0);
    ck_assert_int_eq(mkdir(longer, 0700), 0);
    setenv("TMPDIR", longer, 1);
    check_refused(&(struct be_spawn_config){.n = 1, .memory_b = 1 << 20}, "107 bytes");
    ck_assert_int_eq(rmdir(longer), 0); /* empty */
    setenv("TMPDIR", "/no/such/folder", 1);
    check_refused(&(struct be_spawn_config){.n = 1, .memory_b = 1 << 20}, "/no/such/folder");
    drop_scratch();
}
END_TEST

/* kill -9 of the parent: the servers die with it. */
START_TEST(dies_with_its_parent)
{
    int ends[2];
    pid_t server = 0;
    make_scratch();
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    pid_t parent = fork();
    ck_assert_int_ge(parent, 0);
    if (parent == 0) {
        struct be_spawn *spawn =
            be_spawn_new(&(struct be_spawn_config){.n = 1, .memory_b = 8 << 20}, said, sizeof said);
        server = spawn ? be_spawn_pid(spawn, 0) : 0;
        if (write(ends[1], &server, sizeof server) != sizeof server)
            _exit(1);
        for (;;)
            pause();
    }
    ck_assert_int_eq(read(ends[0], &server, sizeof server), sizeof server);
    ck_assert_int_gt(server, 0);
    ck_assert(is_alive(server));
    ck_assert_int_eq(kill(parent, SIGKILL), 0);
    ck_assert_int_eq(waitpid(parent, NULL, 0), parent);
    int status = 0;
    pid_t rc = 0;
    for (int i = 0; rc == 0 && i < 5000; i++) {
        rc = waitpid(server, &status, WNOHANG); /* it is ours now */
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    ck_assert_int_eq(rc, server);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    close(ends[0]);
    close(ends[1]);
    ck_assert_uint_eq(be_scratch_sweep(scratch), 1); /* what a killed parent cannot remove */
    drop_scratch();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("spawn");
    TCase *tcase = tcase_create("spawn");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, as_configured);
    tcase_add_test(tcase, leaves_nothing);
    tcase_add_test(tcase, kill_and_restart);
    tcase_add_test(tcase, clear_errors);
    tcase_add_test(tcase, last_words);
    tcase_add_test(tcase, folder_with_a_long_name);
    tcase_add_test(tcase, dies_with_its_parent);
    suite_add_tcase(suite, tcase);
    return kvt_test_main(suite);
}
