/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * scripted_server.h - a Redis that misbehaves as told: a function per connection, each in a thread of its own.
 *
 *      static void serve(struct scripted_conn *conn, void *self)
 *      {
 *          while (scripted_command(conn))               waits for a command; PING is answered by itself
 *              if (!scripted_say(conn, "$3\r\nyes\r\n"))
 *                  return;                              returning closes the connection
 *      }
 *
 *      struct scripted_server server;
 *      scripted_server_start(&server, NULL, serve, NULL);     listens at server.path, in a folder of its own
 *      ...
 *      scripted_server_stop(&server);                         ends all threads, removes the folder
 *
 * All functions that wait return false once the peer is gone or the server is to stop.
 */
#ifndef SCRIPTED_SERVER_H
#define SCRIPTED_SERVER_H

#include <hiredis/hiredis.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { SCRIPTED_CONNS = 256 };

struct scripted_server;

struct scripted_conn {
    struct scripted_server *server;
    unsigned number; /* from 0, in order of connecting */
    int fd;
    bool plain; /* PING is a command like others */
    redisReader *reader;
    redisReply *command; /* of the last scripted_command */
    pthread_t thread;
};

typedef void scripted_fn(struct scripted_conn *conn, void *self);

struct scripted_server {
    char folder[64], path[108];
    int listener, stop[2];
    scripted_fn *fn;
    void *self;
    pthread_t acceptor;
    atomic_uint n_conns;
    struct scripted_conn conns[SCRIPTED_CONNS];
};

/* Waits for events on fd, at most ms (-1: for ever). 1: they came; 0: time is over; -1: to stop. */
static inline int scripted_poll(const struct scripted_server *server, int fd, short events, int ms)
{
    struct pollfd polled[2] = {{.fd = server->stop[0], .events = POLLIN},
                               {.fd = fd, .events = events}};
    int n = poll(polled, 2, ms);
    if (polled[0].revents)
        return -1;
    return n > 0 ? 1 : 0;
}

static inline bool scripted_send(struct scripted_conn *conn, const void *bytes, size_t n)
{
    for (size_t done = 0; done < n;) {
        if (scripted_poll(conn->server, conn->fd, POLLOUT, -1) != 1)
            return false;
        ssize_t part =
            send(conn->fd, (const char *)bytes + done, n - done, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (part <= 0)
            return false;
        done += (size_t)part;
    }
    return true;
}

static inline bool scripted_say(struct scripted_conn *conn, const char *text)
{
    return scripted_send(conn, text, strlen(text));
}

/* Lets time pass. */
static inline bool scripted_sleep(struct scripted_conn *conn, int ms)
{
    return scripted_poll(conn->server, -1, 0, ms) == 0;
}

/* One byte at a time. */
static inline bool scripted_drip(struct scripted_conn *conn, const char *text, int ms)
{
    for (; *text; text++)
        if (!scripted_send(conn, text, 1) || !scripted_sleep(conn, ms))
            return false;
    return true;
}

/* Reads and answers nothing, until the peer has gone. */
static inline void scripted_hang(struct scripted_conn *conn)
{
    char bytes[4096];
    while (scripted_poll(conn->server, conn->fd, POLLIN, -1) == 1 &&
           read(conn->fd, bytes, sizeof bytes) > 0)
        ;
}

/* The next command, in conn->command: an array of strings. */
static inline bool scripted_command(struct scripted_conn *conn)
{
    static const size_t chunk_b = 65536;
    if (conn->command)
        freeReplyObject(conn->command);
    conn->command = NULL;
    for (;;) {
        void *command = NULL;
        if (redisReaderGetReply(conn->reader, &command) != REDIS_OK)
            return false;
        conn->command = command;
        if (command && conn->command->type == REDIS_REPLY_ARRAY && conn->command->elements > 0) {
            if (conn->plain || strcasecmp(conn->command->element[0]->str, "PING") != 0)
                return true;
            freeReplyObject(command);
            conn->command = NULL;
            if (!scripted_say(conn, "+PONG\r\n"))
                return false;
            continue;
        }
        if (command || scripted_poll(conn->server, conn->fd, POLLIN, -1) != 1)
            return false;
        char *bytes = malloc(chunk_b);
        ssize_t n = bytes ? read(conn->fd, bytes, chunk_b) : -1;
        bool fed = n > 0 && redisReaderFeed(conn->reader, bytes, (size_t)n) == REDIS_OK;
        free(bytes);
        if (!fed)
            return false;
    }
}

static inline void *scripted_serve(void *self)
{
    struct scripted_conn *conn = self;
    conn->server->fn(conn, conn->server->self);
    if (conn->command)
        freeReplyObject(conn->command);
    redisReaderFree(conn->reader);
    close(conn->fd);
    return NULL;
}

static inline void *scripted_accept(void *self)
{
    struct scripted_server *server = self;
    while (scripted_poll(server, server->listener, POLLIN, -1) == 1) {
        int fd = accept(server->listener, NULL, NULL);
        unsigned n = atomic_load(&server->n_conns);
        if (fd < 0)
            continue;
        if (n == SCRIPTED_CONNS) {
            close(fd);
            continue;
        }
        struct scripted_conn *conn = &server->conns[n];
        *conn = (struct scripted_conn){.server = server,
                                       .number = n,
                                       .fd = fd,
                                       .reader = redisReaderCreate()};
        if (!conn->reader || pthread_create(&conn->thread, NULL, scripted_serve, conn) != 0)
            abort();
        atomic_store(&server->n_conns, n + 1);
    }
    return NULL;
}

/* path: where to listen; NULL: in a folder of its own. Aborts when it cannot. */
static inline void scripted_server_start(struct scripted_server *server, const char *path,
                                         scripted_fn *fn, void *self)
{
    struct sockaddr_un where = {.sun_family = AF_UNIX};
    memset(server, 0, sizeof *server);
    server->fn = fn;
    server->self = self;
    if (path) {
        snprintf(server->path, sizeof server->path, "%s", path);
    } else {
        strcpy(server->folder, "/tmp/kvtwin-scripted-XXXXXX");
        if (!mkdtemp(server->folder))
            abort();
        snprintf(server->path, sizeof server->path, "%s/sock", server->folder);
    }
    memcpy(where.sun_path, server->path, sizeof where.sun_path);
    server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server->listener < 0 ||
        bind(server->listener, (const struct sockaddr *)&where, sizeof where) != 0 ||
        listen(server->listener, 64) != 0 || pipe(server->stop) != 0 ||
        pthread_create(&server->acceptor, NULL, scripted_accept, server) != 0)
        abort();
}

static inline void scripted_server_stop(struct scripted_server *server)
{
    close(server->stop[1]);
    pthread_join(server->acceptor, NULL);
    for (unsigned i = 0; i < atomic_load(&server->n_conns); i++)
        pthread_join(server->conns[i].thread, NULL);
    close(server->stop[0]);
    close(server->listener);
    unlink(server->path);
    if (server->folder[0])
        rmdir(server->folder);
}

#endif
