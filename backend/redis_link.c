/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * redis_link.c - one socket to a Redis.
 *
 * A value of a megabyte is to be in user memory once. hiredis parses replies out of a buffer of
 * its reader, and would have us copy every chunk into it; instead we read() into the end of that
 * buffer (its fields and its string functions are public in hiredis 0.14). How much is read at a
 * time follows from what the reader waits for:
 *
 *      nothing known     CHUNK_B
 *      a bulk string     exactly what is missing of it
 *
 * so that the buffer grows once and ends with the value, and the reader has nothing to move to
 * the front after it. When a reply is complete the reader calls create_*(): the bytes are where
 * they were received, and stay there only until that function returns, because the reader then
 * tidies its buffer. So the reply is handed on from inside create_*().
 *
 *      socket --read--> [..."$1048576\r\n" value "\r\n"] --> create_string --> ops->reply
 *
 * Invariants:
 *   (K1) The buffer never holds more than the largest reply that is believed, and CHUNK_B: the announced length of a bulk
 *        string is looked at before room is made for it, and a line has an end within LINE_MOST_B.
 *   (K2) Only plain replies are handed on: anything nested, pushed or without its final CR LF is lost(-EPROTO).
 *   (K3) ops are not called after be_link_close, not even when that is called by one of them. The reader may then be
 *        active further up the stack; it is freed by the loop, later.
 */
#include "redis_link.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <hiredis/sds.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    CHUNK_B = 64 << 10,
    LINE_MOST_B = 64 << 10,
    LENGTH_MOST_B = 24, /* digits of a length, and CR LF */
    TURN_B = 256 << 10, /* bytes per direction before others on the loop have their turn */
    PIECES = 64         /* per system call */
};

struct be_link {
    uv_poll_t poll;
    int fd;
    int events;                 /* polled for */
    bool open, closed, blocked; /* blocked: the socket takes no more now */
    struct be_link_config config;
    redisReader *reader;
    size_t missing_b;         /* of the bulk string under way; 0: not known */
    kvt_ns first_ns, read_ns; /* of the reply under way; when bytes came last */
};

/* ---- Replies ---------------------------------------------------------------------------------------- */

/* To the reader, NULL is a failure at which it stops, and anything else the reply. */
static void *hand_on(const redisReadTask *task, struct be_link_reply *reply)
{
    struct be_link *link = task->privdata;
    if (task->parent != NULL)
        return NULL;
    reply->first_byte_ns = link->first_ns;
    reply->last_byte_ns = link->read_ns;
    return link->config.ops->reply(link->config.self, reply) ? link : NULL;
}

static void *create_string(const redisReadTask *task, char *bytes, size_t n)
{
    const struct be_link *link = task->privdata;
    struct be_link_reply reply = {.bytes = bytes, .bytes_b = n};
    switch (task->type) {
    case REDIS_REPLY_STRING:
        /* The reader has waited for the two bytes behind it, but not looked at them. */
        if (n > link->config.max_value_b || bytes[n] != '\r' || bytes[n + 1] != '\n')
            return NULL;
        reply.kind = BE_REPLY_VALUE;
        break;
    case REDIS_REPLY_STATUS:
        reply.kind = BE_REPLY_STATUS;
        break;
    case REDIS_REPLY_ERROR:
        reply.kind = BE_REPLY_ERROR;
        break;
    default:
        return NULL;
    }
    return hand_on(task, &reply);
}

static void *create_array(const redisReadTask *task, int elements)
{
    (void)task;
    (void)elements;
    return NULL;
}

static void *create_integer(const redisReadTask *task, long long number)
{
    return hand_on(task, &(struct be_link_reply){.kind = BE_REPLY_NUMBER, .number = number});
}

static void *create_nil(const redisReadTask *task)
{
    if (task->type != REDIS_REPLY_STRING)
        return NULL;
    return hand_on(task, &(struct be_link_reply){.kind = BE_REPLY_NIL});
}

static redisReplyObjectFunctions create = {
    .createString = create_string,
    .createArray = create_array,
    .createInteger = create_integer,
    .createNil = create_nil,
};

/* The reader waits for more. How much is missing, where that can be seen; -EPROTO when it is too much. */
static int measure(struct be_link *link)
{
    const redisReader *reader = link->reader;
    const char *at = reader->buf + reader->pos;
    const size_t have_b = reader->len - reader->pos;

    link->missing_b = 0;
    if (reader->ridx < 0 || reader->rstack[0].type < 0)
        return 0;
    if (reader->rstack[0].type != REDIS_REPLY_STRING)
        return have_b > LINE_MOST_B ? -EPROTO : 0;
    /* The reader has checked the digits, if they are all there. */
    const char *end = memmem(at, have_b < LENGTH_MOST_B ? have_b : LENGTH_MOST_B, "\r\n", 2);
    if (end == NULL)
        return have_b >= LENGTH_MOST_B ? -EPROTO : 0;
    unsigned long long length_b = strtoull(at, NULL, 10);
    if (length_b > link->config.max_value_b)
        return -EPROTO;
    size_t whole_b = (size_t)(end - at) + 2 + (size_t)length_b + 2;
    assert(whole_b > have_b);
    link->missing_b = whole_b - have_b;
    return 0;
}

/* Hands on what is complete. 0; or what to be lost with. Afterwards the link may be closed. */
static int parse(struct be_link *link)
{
    redisReader *reader = link->reader;
    for (;;) {
        void *reply = NULL;
        int rc = redisReaderGetReply(reader, &reply);
        if (link->closed)
            return 0;
        if (rc != REDIS_OK)
            return -EPROTO;
        if (reply == NULL)
            return measure(link);
        link->first_ns = reader->len > reader->pos ? link->read_ns : 0;
    }
}

/* ---- The socket ------------------------------------------------------------------------------------- */

static void lose(struct be_link *link, int error)
{
    if (!link->closed)
        link->config.ops->lost(link->config.self, error);
}

/* Reads once. Bytes read; 0 when there are none for now; or what to be lost with. */
static ssize_t read_some(struct be_link *link, bool *drained)
{
    redisReader *reader = link->reader;
    const size_t room_b = link->missing_b != 0 ? link->missing_b : CHUNK_B;
    sds buf = sdsMakeRoomFor(reader->buf, room_b);
    if (buf == NULL)
        return -ENOMEM;
    reader->buf = buf;
    ssize_t n;
    do {
        n = read(link->fd, buf + reader->len, room_b);
    } while (n < 0 && errno == EINTR);
    if (n == 0)
        return -ECONNRESET;
    if (n < 0)
        return errno == EAGAIN ? 0 : -errno;
    sdsIncrLen(buf, (int)n);
    reader->len += (size_t)n;
    *drained = (size_t)n < room_b;
    link->read_ns = uv_hrtime();
    if (link->first_ns == 0)
        link->first_ns = link->read_ns;
    *link->config.bytes_in += (uint64_t)n;
    return n;
}

static void receive(struct be_link *link)
{
    bool drained = false;
    for (size_t turn_b = 0; turn_b < TURN_B && !drained && !link->closed;) {
        ssize_t n = read_some(link, &drained);
        if (n == 0)
            return;
        int error = n < 0 ? (int)n : parse(link);
        if (error) {
            lose(link, error);
            return;
        }
        turn_b += (size_t)n;
    }
}

static void on_ready(uv_poll_t *poll, int status, int events);

/* Polls for what is wanted now. */
static void watch(struct be_link *link)
{
    int events = link->open ? UV_READABLE | (link->blocked ? UV_WRITABLE : 0) : UV_WRITABLE;
    if (link->closed || events == link->events)
        return;
    link->events = events;
    int rc = uv_poll_start(&link->poll, events, on_ready);
    assert(rc == 0);
    (void)rc;
}

static void transmit(struct be_link *link)
{
    link->blocked = false;
    for (size_t turn_b = 0; turn_b < TURN_B;) {
        struct iovec pieces[PIECES];
        int n_pieces = link->config.ops->next(link->config.self, pieces, PIECES);
        if (n_pieces == 0)
            return;
        size_t wanted_b = 0;
        for (int i = 0; i < n_pieces; i++)
            wanted_b += pieces[i].iov_len;
        struct msghdr message = {.msg_iov = pieces, .msg_iovlen = (size_t)n_pieces};
        ssize_t n;
        do {
            n = sendmsg(link->fd, &message, MSG_NOSIGNAL);
        } while (n < 0 && errno == EINTR);
        if (n < 0 && errno != EAGAIN) {
            lose(link, -errno);
            return;
        }
        if (n > 0) {
            *link->config.bytes_out += (uint64_t)n;
            turn_b += (size_t)n;
            link->config.ops->wrote(link->config.self, (size_t)n);
        }
        if (n < 0 || (size_t)n < wanted_b) {
            link->blocked = true;
            return;
        }
    }
    link->blocked = true; /* not really: but others have their turn, and then we are called again */
}

static int socket_error(const struct be_link *link)
{
    int error = 0;
    socklen_t n = sizeof error;
    if (getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &error, &n) != 0)
        return -errno;
    return -error;
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct be_link *link = poll->data;
    if (status < 0) {
        int error = socket_error(link);
        lose(link, error ? error : -ECONNRESET);
        return;
    }
    if (!link->open) {
        int error = socket_error(link);
        if (error) {
            lose(link, error);
            return;
        }
        link->open = true;
        link->config.ops->opened(link->config.self);
        watch(link);
        return;
    }
    if (events & UV_READABLE)
        receive(link);
    if ((events & UV_WRITABLE) && !link->closed)
        transmit(link);
    watch(link);
}

void be_link_flush(struct be_link *link)
{
    if (link->closed || !link->open || link->blocked)
        return;
    transmit(link);
    watch(link);
}

/* ---- Life ------------------------------------------------------------------------------------------- */

/* A connecting socket, or a negative errno. */
static int connect_to(const struct sockaddr *where, socklen_t where_b)
{
    int fd = socket(where->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    const int yes = 1;
    if (where->sa_family != AF_UNIX) {
        /* Without these it works too. */
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
    }
    if (connect(fd, where, where_b) != 0 && errno != EINPROGRESS && errno != EINTR) {
        int error = -errno;
        close(fd);
        return error;
    }
    return fd;
}

struct be_link *be_link_new(uv_loop_t *loop, const struct sockaddr *where, socklen_t where_b,
                            const struct be_link_config *config, int *error)
{
    struct be_link *link = calloc(1, sizeof *link);
    redisReader *reader = redisReaderCreateWithFunctions(&create);
    int fd = link && reader ? connect_to(where, where_b) : -ENOMEM;
    *error = fd < 0 ? fd : uv_poll_init(loop, &link->poll, fd);
    if (*error) {
        if (fd >= 0)
            close(fd);
        if (reader)
            redisReaderFree(reader);
        free(link);
        return NULL;
    }
    reader->privdata = link;
    link->poll.data = link;
    link->fd = fd;
    link->config = *config;
    link->reader = reader;
    watch(link);
    return link;
}

static void on_closed(uv_handle_t *handle)
{
    struct be_link *link = handle->data;
    struct be_link_config config = link->config;
    redisReaderFree(link->reader);
    free(link);
    config.gone(config.gone_self);
}

void be_link_close(struct be_link *link)
{
    assert(!link->closed);
    link->closed = true;
    uv_close((uv_handle_t *)&link->poll, on_closed);
    close(link->fd);
}
