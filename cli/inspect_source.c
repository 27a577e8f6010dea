/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * inspect_source.c - stored values by name: files of a folder, or keys of one Redis node.
 *
 * One blocking connection with a time limit for each step: this is a person looking at a few
 * values, not a cache. How long a value is, is asked before it is fetched, so that nothing is
 * read that would not be looked at.
 */
#include "inspect.h"

#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../backend/redis.h"

enum { TIMEOUT_S = 10 };

struct inspect_source {
    int folder; /* -1: Redis */
    redisContext *redis;
    char place[400]; /* for messages */
    void (*old_sigpipe)(int);
};

__attribute__((format(printf, 4, 5))) static int fail(char *error, size_t error_size, int rc,
                                                      const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(error, error_size, format, args);
    va_end(args);
    /* A Redis may say more than a line. */
    for (char *c = error; *c; c++)
        if ((unsigned char)*c < ' ')
            *c = ' ';
    return rc;
}

static struct inspect_source *source_new(int *rc, char *error, size_t error_size)
{
    struct inspect_source *s = calloc(1, sizeof *s);
    *rc = s ? 0 : fail(error, error_size, -ENOMEM, "out of memory");
    if (s)
        s->folder = -1;
    return s;
}

void inspect_source_free(struct inspect_source *s)
{
    if (!s)
        return;
    if (s->folder >= 0)
        close(s->folder);
    if (s->redis) {
        redisFree(s->redis);
        signal(SIGPIPE, s->old_sigpipe);
    }
    free(s);
}

/* ---- Files ------------------------------------------------------------------------------------------ */

struct inspect_source *inspect_source_folder(const char *folder, int *rc, char *error,
                                             size_t error_size)
{
    struct inspect_source *s = source_new(rc, error, error_size);
    if (!s)
        return NULL;
    s->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->folder >= 0)
        return s;
    *rc = fail(error, error_size, -errno, "%.200s: %s", folder, strerror(errno));
    inspect_source_free(s);
    return NULL;
}

static int read_whole(int fd, struct inspect_bytes *value)
{
    size_t done = 0;
    while (done < value->n) {
        const ssize_t got = read(fd, value->bytes + done, value->n - done);
        if (got < 0 && errno != EINTR)
            return -errno;
        if (got == 0)
            break; /* it became shorter: what is there is what there is */
        done += got > 0 ? (size_t)got : 0;
    }
    value->n = done;
    return 0;
}

static int open_value(int fd, const char *name, struct inspect_bytes *value, char *error,
                      size_t error_size)
{
    struct stat st;
    if (fstat(fd, &st))
        return fail(error, error_size, -errno, "%.200s: %s", name, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return fail(error, error_size, -EISDIR, "%.200s: expected a file, not a folder", name);
    if (!S_ISREG(st.st_mode))
        return fail(error, error_size, -EISDIR, "%.200s: expected a regular file", name);
    if ((uint64_t)st.st_size > INSPECT_MOST_B)
        return fail(error, error_size, -EFBIG, "%.200s: expected at most 1 GiB", name);
    value->n = (size_t)st.st_size;
    value->bytes = malloc(value->n + 1);
    if (!value->bytes)
        return fail(error, error_size, -ENOMEM, "%.200s: out of memory", name);
    const int rc = read_whole(fd, value);
    return rc ? fail(error, error_size, rc, "%.200s: %s", name, strerror(-rc)) : 0;
}

static int get_file(struct inspect_source *s, const char *name, struct inspect_bytes *value,
                    char *error, size_t error_size)
{
    const int fd = openat(s->folder, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return -ENOENT;
    if (fd < 0)
        return fail(error, error_size, -errno, "%.200s: %s", name, strerror(errno));
    const int rc = open_value(fd, name, value, error, error_size);
    close(fd);
    return rc;
}

/* ---- Redis ------------------------------------------------------------------------------------------ */

/* A command with arguments given as strings. NULL with one line in error. */
static redisReply *ask(struct inspect_source *s, char *error, size_t error_size, int argc,
                       const char **argv)
{
    redisReply *reply = redisCommandArgv(s->redis, argc, argv, NULL);
    if (!reply)
        fail(error, error_size, -EIO, "%.200s: %.200s", s->place,
             s->redis->errstr[0] ? s->redis->errstr : "no answer");
    return reply;
}

/* For commands that answer OK. */
static int tell(struct inspect_source *s, char *error, size_t error_size, int argc,
                const char **argv)
{
    redisReply *reply = ask(s, error, error_size, argc, argv);
    if (!reply)
        return -EIO;
    int rc = 0;
    if (reply->type == REDIS_REPLY_ERROR)
        rc = fail(error, error_size, -EACCES, "%.200s: %.200s", s->place, reply->str);
    freeReplyObject(reply);
    return rc;
}

static int greet(struct inspect_source *s, const struct be_redis_address *a, char *error,
                 size_t error_size)
{
    int rc = 0;
    if (a->user[0]) {
        const char *argv[] = {"AUTH", a->user, a->password};
        rc = tell(s, error, error_size, 3, argv);
    } else if (a->password[0]) {
        const char *argv[] = {"AUTH", a->password};
        rc = tell(s, error, error_size, 2, argv);
    }
    if (rc == 0 && a->database) {
        char number[16];
        snprintf(number, sizeof number, "%u", a->database);
        const char *argv[] = {"SELECT", number};
        rc = tell(s, error, error_size, 2, argv);
    }
    return rc;
}

static int reach(struct inspect_source *s, const struct be_redis_address *a, char *error,
                 size_t error_size)
{
    const struct timeval limit = {.tv_sec = TIMEOUT_S};
    s->redis = a->path[0] ? redisConnectUnixWithTimeout(a->path, limit)
                          : redisConnectWithTimeout(a->host, a->port, limit);
    if (!s->redis)
        return fail(error, error_size, -ENOMEM, "%.200s: out of memory", s->place);
    /* A server that goes away is a message, not the end of this program. */
    s->old_sigpipe = signal(SIGPIPE, SIG_IGN);
    if (s->redis->err)
        return fail(error, error_size, -EHOSTUNREACH, "%.200s: %.200s", s->place, s->redis->errstr);
    if (redisSetTimeout(s->redis, limit) != REDIS_OK)
        return fail(error, error_size, -EIO, "%.200s: %.200s", s->place, s->redis->errstr);
    return greet(s, a, error, error_size);
}

struct inspect_source *inspect_source_redis(const char *address, int *rc, char *error,
                                            size_t error_size)
{
    struct be_redis_address a;
    if ((*rc = be_redis_address_parse(&a, address, error, error_size)))
        return NULL;
    struct inspect_source *s = source_new(rc, error, error_size);
    if (s) {
        be_redis_address_show(&a, s->place, sizeof s->place);
        if ((*rc = reach(s, &a, error, error_size))) {
            inspect_source_free(s);
            s = NULL;
        }
    }
    explicit_bzero(&a, sizeof a);
    return s;
}

/* Asks for a number about a key. */
static int ask_number(struct inspect_source *s, const char *command, const char *name,
                      int64_t *number, char *error, size_t error_size)
{
    const char *argv[] = {command, name};
    redisReply *reply = ask(s, error, error_size, 2, argv);
    if (!reply)
        return -EIO;
    int rc = 0;
    if (reply->type == REDIS_REPLY_INTEGER)
        *number = reply->integer;
    else if (reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "WRONGTYPE", 9) == 0)
        rc = fail(error, error_size, -EBADMSG, "%.200s: holds no string", name);
    else
        rc = fail(error, error_size, -EIO, "%.200s: %s: %.200s", s->place, command,
                  reply->type == REDIS_REPLY_ERROR ? reply->str : "not a number");
    freeReplyObject(reply);
    return rc;
}

static int fetch(struct inspect_source *s, const char *name, struct inspect_bytes *value,
                 char *error, size_t error_size)
{
    const char *argv[] = {"GET", name};
    redisReply *reply = ask(s, error, error_size, 2, argv);
    if (!reply)
        return -EIO;
    int rc = 0;
    if (reply->type == REDIS_REPLY_NIL) {
        rc = -ENOENT;
    } else if (reply->type != REDIS_REPLY_STRING) {
        rc = fail(error, error_size, -EIO, "%.200s: GET: %.200s", s->place,
                  reply->type == REDIS_REPLY_ERROR ? reply->str : "not a string");
    } else if (!(value->bytes = malloc((size_t)reply->len + 1))) {
        rc = fail(error, error_size, -ENOMEM, "%.200s: out of memory", name);
    } else {
        value->n = (size_t)reply->len;
        memcpy(value->bytes, reply->str, value->n);
    }
    freeReplyObject(reply);
    return rc;
}

static int get_key(struct inspect_source *s, const char *name, struct inspect_bytes *value,
                   char *error, size_t error_size)
{
    int64_t n = 0;
    int rc = ask_number(s, "STRLEN", name, &n, error, error_size);
    if (rc)
        return rc;
    if (n < 0 || (uint64_t)n > INSPECT_MOST_B)
        return fail(error, error_size, -EFBIG, "%.200s: expected at most 1 GiB", name);
    rc = fetch(s, name, value, error, error_size);
    if (rc == 0 && ask_number(s, "PTTL", name, &value->ttl_ms, error, error_size))
        value->ttl_ms = -1; /* an ACL may forbid it, and it is not what was asked for */
    if (value->ttl_ms < 0)
        value->ttl_ms = -1;
    return rc;
}

int inspect_get(struct inspect_source *s, const char *name, struct inspect_bytes *value,
                char *error, size_t error_size)
{
    *value = (struct inspect_bytes){.ttl_ms = -1};
    const int rc = s->folder >= 0 ? get_file(s, name, value, error, error_size)
                                  : get_key(s, name, value, error, error_size);
    if (rc) {
        free(value->bytes);
        value->bytes = NULL;
    }
    return rc;
}
