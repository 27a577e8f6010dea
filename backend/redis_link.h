/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * redis_link.h - one socket to a Redis: bytes out as somebody's buffers, replies in where they
 * were received.
 *
 * Knows neither commands nor deadlines; redis_node.c does.
 */
#ifndef BE_REDIS_LINK_H
#define BE_REDIS_LINK_H

#include <sys/socket.h>
#include <sys/uio.h>

#include "redis.h"

struct be_link;

struct be_link_reply {
    enum be_reply_kind kind; /* never BE_REPLY_NONE */
    const char *bytes;       /* in the link's buffer, until reply returns */
    size_t bytes_b;
    int64_t number;
    kvt_ns first_byte_ns, last_byte_ns;
};

/* All are required, and called on the loop, never from inside be_link_new. Each may call be_link_close. */
struct be_link_ops {
    /* Connected. */
    void (*opened)(void *self);
    /* False: not a reply that was to come. The link is lost then, with -EPROTO. */
    bool (*reply)(void *self, const struct be_link_reply *reply);
    /* What to write next: fills at most `most` pieces and returns how many. Borrowed until wrote. */
    int (*next)(void *self, struct iovec *pieces, int most);
    /* The first n bytes of these have been written. */
    void (*wrote)(void *self, size_t n);
    /* It is of no more use: negative errno, -EPROTO for bytes that are no proper reply. Once. To be closed. */
    void (*lost)(void *self, int error);
};

struct be_link_config {
    const struct be_link_ops *ops;
    void *self;
    size_t max_value_b;
    uint64_t *bytes_in, *bytes_out; /* added to, up to be_link_close */
    /* Called when nothing of a closed link is left in the loop. */
    void (*gone)(void *gone_self);
    void *gone_self;
};

/* Begins to connect. NULL with *error. */
KVT_MUST_CHECK struct be_link *be_link_new(uv_loop_t *loop, const struct sockaddr *where,
                                           socklen_t where_b, const struct be_link_config *config,
                                           int *error);

/* There may be something to write: writes what the socket takes, the rest as it takes more. May call lost. */
void be_link_flush(struct be_link *link);

/* No function of ops is called any more. */
void be_link_close(struct be_link *link);

#endif
