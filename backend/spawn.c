/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * spawn.c - private redis-server processes.
 *
 *      $TMPDIR/kvtwin-run-XXXXXX/         scratch.h
 *          0/  redis.sock  log  pid       server 0, which works in that folder
 *          1/  ...
 *
 * fork and exec by hand, because between the two the child asks to be killed when its parent
 * dies, which no library offers. That request is tied to the *thread* that forks: be_spawn_new
 * and be_spawn_restart must be called from a thread that lasts as long as the servers shall, so
 * from main. A parent that died before the request was made is noticed by asking for the
 * parent's pid again. And the child writes its pid beside its socket: should it live on all the same,
 * whoever removes the folder ends it.
 *
 * Each server leads a process group of its own, so that Ctrl-C at a terminal reaches us and not
 * it: we decide when it ends. It inherits no file but its log. After fork the child calls only
 * what is safe in a process with threads.
 */
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "scratch.h"

enum { START_S = 10, ARGUMENTS = 32, PATH_B = 4096, LAST_LINE_B = 512 };

struct server {
    struct be_redis_address address;
    pid_t pid; /* 0: none */
};

struct be_spawn {
    struct be_spawn_config config;
    char program[PATH_B];
    struct be_scratch folder;
    struct server *servers;
};

/* ---- Finding the program ---------------------------------------------------------------------------- */

static bool is_program(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISREG(about.st_mode) && access(path, X_OK) == 0;
}

/* The server works in another folder than we do. */
static bool make_absolute(char path[PATH_B])
{
    char here[PATH_B];
    const size_t n = strlen(path);
    if (path[0] == '/')
        return true;
    if (!getcwd(here, sizeof here) || strlen(here) + 1 + n >= PATH_B)
        return false;
    const size_t before = strlen(here) + 1;
    memmove(path + before, path, n + 1);
    memcpy(path, here, before - 1);
    path[before - 1] = '/';
    return true;
}

/* As a shell would. */
static bool find_program(const char *name, char found[PATH_B])
{
    if (strchr(name, '/') != NULL)
        return snprintf(found, PATH_B, "%s", name) < PATH_B && is_program(found);
    const char *path = getenv("PATH");
    for (const char *at = path ? path : "/usr/bin:/bin"; at != NULL;) {
        int n = (int)strcspn(at, ":");
        if (n > 0 && snprintf(found, PATH_B, "%.*s/%s", n, at, name) < PATH_B && is_program(found))
            return true;
        at = at[n] == ':' ? at + n + 1 : NULL;
    }
    return false;
}

/* ---- Starting --------------------------------------------------------------------------------------- */

/* What differs between servers, and room for the words of a command line. */
struct command_line {
    char folder[PATH_B], log[PATH_B], note[PATH_B];
    char memory[24], samples[12];
    const char *words[ARGUMENTS];
};

static int make_command_line(const struct be_spawn *spawn, uint32_t i, struct command_line *line)
{
    const struct be_spawn_config *config = &spawn->config;
    if (snprintf(line->folder, PATH_B, "%s/%u", spawn->folder.path, i) >= PATH_B ||
        snprintf(line->log, PATH_B, "%s/%u/log", spawn->folder.path, i) >= PATH_B ||
        snprintf(line->note, PATH_B, "%s/%u/pid", spawn->folder.path, i) >= PATH_B)
        return -ENAMETOOLONG;
    snprintf(line->memory, sizeof line->memory, "%llu",
             config->memory_b == UINT64_MAX ? 0ULL : (unsigned long long)config->memory_b);
    snprintf(line->samples, sizeof line->samples, "%u", config->samples);
    const char *const words[] = {
        spawn->program,
        "--port",
        "0",
        "--unixsocket",
        spawn->servers[i].address.path,
        "--unixsocketperm",
        "700",
        "--dir",
        line->folder,
        "--daemonize",
        "no",
        "--save",
        "",
        "--appendonly",
        "no",
        "--maxmemory",
        line->memory,
        "--maxmemory-policy",
        config->evicts ? "allkeys-lru" : "noeviction",
        config->samples ? "--maxmemory-samples" : NULL,
        line->samples,
        NULL,
    };
    _Static_assert(sizeof words <= sizeof line->words, "room for all words");
    memcpy(line->words, words, sizeof words);
    return 0;
}

/* What the child gets from its parent. */
struct birth {
    char *const *words;
    const char *folder;
    int in, log, note; /* note: for its pid */
    pid_t parent;
};

/* In the child: printf is not safe here. */
static bool note_pid(int file)
{
    char text[24];
    size_t at = sizeof text;
    text[--at] = '\n';
    for (pid_t left = getpid(); left > 0; left /= 10)
        text[--at] = (char)('0' + left % 10);
    return write(file, text + at, sizeof text - at) == (ssize_t)(sizeof text - at);
}

/* In the child, after fork. */
_Noreturn static void become_server(const struct birth *b)
{
    sigset_t none;
    sigemptyset(&none);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == b->parent && setpgid(0, 0) == 0 &&
        chdir(b->folder) == 0 && note_pid(b->note) && dup2(b->in, STDIN_FILENO) >= 0 &&
        dup2(b->log, STDOUT_FILENO) >= 0 && dup2(b->log, STDERR_FILENO) >= 0) {
        (void)close_range(3, ~0U,
                          0); /* where the kernel is too old, what is marked closes on exec */
        sigprocmask(SIG_SETMASK, &none, NULL);
        execv(b->words[0], b->words);
    }
    _exit(127);
}

/* Forks and execs server i. 0 or a negative errno. */
static int launch(struct be_spawn *spawn, uint32_t i)
{
    enum { FILES = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC };
    struct command_line *line = malloc(sizeof *line);
    struct birth birth = {.in = -1, .log = -1, .note = -1, .parent = getpid()};
    int error = line ? make_command_line(spawn, i, line) : -ENOMEM;
    if (error)
        goto out;
    birth.in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    birth.log = open(line->log, FILES, 0600);
    birth.note = open(line->note, FILES, 0600);
    if (birth.in < 0 || birth.log < 0 || birth.note < 0) {
        error = -errno;
        goto out;
    }
    const char *const *plain = line->words; /* exec changes nothing, but does not say so */
    memcpy(&birth.words, &plain, sizeof birth.words);
    birth.folder = line->folder;
    pid_t pid = fork();
    if (pid == 0)
        become_server(&birth);
    if (pid < 0)
        error = -errno;
    else
        spawn->servers[i].pid = pid;
out:
    if (birth.in >= 0)
        close(birth.in);
    if (birth.log >= 0)
        close(birth.log);
    if (birth.note >= 0)
        close(birth.note);
    free(line);
    return error;
}

static kvt_ns now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (kvt_ns)t.tv_sec * KVT_SECOND + (kvt_ns)t.tv_nsec;
}

static bool answers(const struct server *server)
{
    static const char ping[] = "PING\r\n"; /* sent by hand: hiredis would raise SIGPIPE */
    const struct timeval patience = {.tv_sec = 1};
    redisContext *context = redisConnectUnixWithTimeout(server->address.path, patience);
    bool good = false;
    void *reply = NULL;
    if (context != NULL && context->err == 0 && redisSetTimeout(context, patience) == REDIS_OK &&
        send(context->fd, ping, strlen(ping), MSG_NOSIGNAL) == (ssize_t)strlen(ping) &&
        redisGetReply(context, &reply) == REDIS_OK && reply != NULL) {
        good = ((const redisReply *)reply)->type == REDIS_REPLY_STATUS;
        freeReplyObject(reply);
    }
    if (context != NULL)
        redisFree(context);
    return good;
}

/* Notes that server i is dead, if it is. */
static bool has_died(struct server *server, int flags)
{
    if (server->pid == 0)
        return true;
    pid_t rc;
    do {
        rc = waitpid(server->pid, NULL, flags);
    } while (rc < 0 && errno == EINTR);
    if (rc == 0)
        return false;
    server->pid = 0;
    return true;
}

/* 0; -ECHILD it died; -ETIMEDOUT. */
static int wait_until_it_answers(struct server *server, kvt_ns until_ns)
{
    const struct timespec while_ = {.tv_nsec = (long)(2 * KVT_MILLISECOND)};
    for (;;) {
        if (has_died(server, WNOHANG))
            return -ECHILD;
        if (answers(server))
            return 0;
        if (now_ns() >= until_ns)
            return -ETIMEDOUT;
        nanosleep(&while_, NULL);
    }
}

static void kill_and_wait(struct server *server)
{
    if (server->pid == 0)
        return;
    kill(server->pid, SIGKILL);
    has_died(server, 0);
}

/* ---- Errors ----------------------------------------------------------------------------------------- */

/* The last line that the server wrote. Returns text, "" when there is none. */
static const char *last_line(const struct be_spawn *spawn, uint32_t i, char text[LAST_LINE_B])
{
    char path[PATH_B + 32];
    snprintf(path, sizeof path, "%s/%u/log", spawn->folder.path, i);
    text[0] = '\0';
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return text;
    char line[LAST_LINE_B];
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\r\n")] = '\0';
        if (line[0] != '\0')
            strcpy(text, line);
    }
    fclose(file);
    return text;
}

static void explain(const struct be_spawn *spawn, uint32_t i, int rc, char *error,
                    size_t error_size)
{
    char line[LAST_LINE_B];
    if (rc == -ECHILD)
        snprintf(error, error_size, "redis-server ended at its start: %s",
                 last_line(spawn, i, line));
    else if (rc == -ETIMEDOUT)
        snprintf(error, error_size, "redis-server does not answer after %d s: %s", START_S,
                 last_line(spawn, i, line));
    else
        snprintf(error, error_size, "redis-server could not be started: %s", strerror(-rc));
}

/* ---- Life ------------------------------------------------------------------------------------------- */

static int make_folder(struct be_spawn *spawn, char *error, size_t error_size)
{
    int rc = be_scratch_open(&spawn->folder, NULL, error, error_size);
    if (rc != 0)
        return rc;
    for (uint32_t i = 0; i < spawn->config.n; i++) {
        struct be_redis_address *address = &spawn->servers[i].address;
        char path[PATH_B + 32];
        int n = snprintf(path, sizeof path, "%s/%u", spawn->folder.path, i);
        if ((size_t)n + strlen("/redis.sock") >= sizeof address->path) {
            snprintf(error, error_size,
                     "TMPDIR is too long for a unix socket in it: at most 107 bytes in all");
            return -ENAMETOOLONG;
        }
        if (mkdir(path, 0700) != 0) {
            snprintf(error, error_size, "%s: %s", path, strerror(errno));
            return -EIO;
        }
        memcpy(address->path, path, (size_t)n);
        strcpy(address->path + n, "/redis.sock");
    }
    return 0;
}

static int start_all(struct be_spawn *spawn, char *error, size_t error_size)
{
    const kvt_ns until_ns = now_ns() + START_S * KVT_SECOND;
    for (uint32_t i = 0; i < spawn->config.n; i++) {
        int rc = launch(spawn, i);
        if (rc) {
            explain(spawn, i, rc, error, error_size);
            return rc;
        }
    }
    for (uint32_t i = 0; i < spawn->config.n; i++) {
        int rc = wait_until_it_answers(&spawn->servers[i], until_ns);
        if (rc) {
            explain(spawn, i, rc, error, error_size);
            return rc;
        }
    }
    return 0;
}

struct be_spawn *be_spawn_new(const struct be_spawn_config *config, char *error, size_t error_size)
{
    const char *name = config->server ? config->server : "redis-server";
    struct be_spawn *spawn = calloc(1, sizeof *spawn);
    struct server *servers = calloc(config->n ? config->n : 1, sizeof *servers);
    if (spawn == NULL || servers == NULL) {
        snprintf(error, error_size, "no memory");
        free(spawn);
        free(servers);
        return NULL;
    }
    spawn->config = *config;
    spawn->config.server = NULL; /* program has it */
    spawn->servers = servers;
    if (config->n == 0 || config->memory_b == 0)
        snprintf(error, error_size, "at least one server, and memory for it");
    else if (!find_program(name, spawn->program) || !make_absolute(spawn->program))
        snprintf(error, error_size,
                 "%s is not there or no program (Debian: apt-get install redis-server)", name);
    else if (make_folder(spawn, error, error_size) == 0 && start_all(spawn, error, error_size) == 0)
        return spawn;
    be_spawn_free(spawn);
    return NULL;
}

const struct be_redis_address *be_spawn_address(const struct be_spawn *spawn, uint32_t i)
{
    return &spawn->servers[i].address;
}

pid_t be_spawn_pid(const struct be_spawn *spawn, uint32_t i)
{
    return spawn->servers[i].pid;
}

int be_spawn_kill(struct be_spawn *spawn, uint32_t i)
{
    if (i >= spawn->config.n)
        return -EINVAL;
    kill_and_wait(&spawn->servers[i]);
    return 0;
}

int be_spawn_restart(struct be_spawn *spawn, uint32_t i)
{
    int error = be_spawn_kill(spawn, i);
    if (!error)
        error = launch(spawn, i);
    if (!error)
        error = wait_until_it_answers(&spawn->servers[i], now_ns() + START_S * KVT_SECOND);
    return error;
}

void be_spawn_free(struct be_spawn *spawn)
{
    if (spawn == NULL)
        return;
    for (uint32_t i = 0; i < spawn->config.n; i++)
        if (spawn->servers[i].pid != 0)
            kill(spawn->servers[i].pid,
                 SIGKILL); /* all at once: freeing memory takes them a while */
    for (uint32_t i = 0; i < spawn->config.n; i++)
        kill_and_wait(&spawn->servers[i]);
    be_scratch_close(&spawn->folder);
    free(spawn->servers);
    free(spawn);
}
