/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * measure_client.h - a loop with a Redis client in it, for those who send a number of things and
 * wait for all.
 */
#ifndef BE_MEASURE_CLIENT_H
#define BE_MEASURE_CLIENT_H

#include <uv.h>

#include "redis.h"

struct be_client {
    uv_loop_t loop;
    bool open;
    struct be_redis *redis; /* NULL: without */
    uint32_t under_way; /* what must come back before run returns; counted by whoever starts it */
    int error;          /* the first failure of anything under way */
};

/* n_nodes 0: a loop alone. 0 or a negative errno. Release it in any case. */
KVT_MUST_CHECK int be_client_open(struct be_client *client, const struct be_redis_address *nodes,
                                  uint32_t n_nodes, uint32_t connections, uint32_t depth,
                                  size_t max_value_b);
enum be_verb { BE_GET, BE_SET, BE_EXISTS, BE_UNLINK, BE_USAGE, BE_PURGE };

/* Sends a command on one key (PURGE: on none; the server's allocator gives back what is free).
 * value is SET's, and stays where it is until the reply. fn gets the reply and calls
 * be_client_took first. */
KVT_MUST_CHECK int be_client_send(struct be_client *client, uint32_t node, enum be_verb verb,
                                  const char *key, const void *value, size_t value_b,
                                  be_redis_fn *fn, void *self, uint64_t arg);
/* Counts the reply. True when it is what the command wants (a value; OK); else the client has an error. */
bool be_client_took(struct be_client *client, const struct be_reply *reply);
void be_client_failed(struct be_client *client, int error);
/* Runs the loop until nothing is under way. Returns the client's error. */
int be_client_run(struct be_client *client);
void be_client_release(struct be_client *client);

#endif
