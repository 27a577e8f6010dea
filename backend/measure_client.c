/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * measure_client.c - see measure_client.h.
 *
 * Every command has ten seconds, so that a server which hangs ends a measurement and does not
 * hang it.
 */
#include "measure_client.h"

#include <errno.h>
#include <string.h>

static const kvt_ns patience_ns = 10 * KVT_SECOND;

int be_client_open(struct be_client *client, const struct be_redis_address *nodes, uint32_t n_nodes,
                   uint32_t connections, uint32_t depth, size_t max_value_b)
{
    *client = (struct be_client){.error = 0};
    int rc = uv_loop_init(&client->loop);
    if (rc != 0)
        return rc;
    client->open = true;
    if (n_nodes == 0)
        return 0;
    const struct be_redis_config config = {
        .nodes = nodes,
        .n_nodes = n_nodes,
        .connections = connections,
        .depth = depth,
        .max_value_b = max_value_b,
        .connect_timeout_ns = 5 * KVT_SECOND,
    };
    client->redis = be_redis_new(&client->loop, &config, &rc);
    return client->redis ? 0 : rc;
}

int be_client_send(struct be_client *client, uint32_t node, enum be_verb verb, const char *key,
                   const void *value, size_t value_b, be_redis_fn *fn, void *self, uint64_t arg)
{
    static const struct {
        const char *name;
        unsigned expect;
    } verbs[] = {
        [BE_GET] = {"GET", 1u << BE_REPLY_VALUE | 1u << BE_REPLY_NIL},
        [BE_SET] = {"SET", 1u << BE_REPLY_STATUS},
        [BE_EXISTS] = {"EXISTS", 1u << BE_REPLY_NUMBER},
        [BE_UNLINK] = {"UNLINK", 1u << BE_REPLY_NUMBER},
        [BE_USAGE] = {"MEMORY", 1u << BE_REPLY_NUMBER | 1u << BE_REPLY_NIL},
        [BE_PURGE] = {"MEMORY", 1u << BE_REPLY_STATUS},
    };
    const char *argv[3] = {verbs[verb].name, key, value};
    size_t argv_b[3] = {strlen(argv[0]), strlen(key), value_b};
    if (verb == BE_USAGE) { /* MEMORY USAGE key */
        argv[1] = "USAGE";
        argv_b[1] = strlen(argv[1]);
        argv[2] = key;
        argv_b[2] = strlen(key);
    }
    if (verb == BE_PURGE) {
        argv[1] = "PURGE";
        argv_b[1] = strlen(argv[1]);
    }
    const struct be_redis_command command = {
        .node = node,
        .argc = verb == BE_SET || verb == BE_USAGE ? 3 : 2,
        .argv = argv,
        .argv_b = argv_b,
        .keep_last = verb == BE_SET,
        .deadline_ns = uv_hrtime() + patience_ns,
        .expect = verbs[verb].expect,
        .fn = fn,
        .self = self,
        .arg = arg,
    };
    uint64_t handle;
    const int rc = be_redis_send(client->redis, &command, &handle);
    if (rc == 0)
        client->under_way++;
    return rc;
}

void be_client_failed(struct be_client *client, int error)
{
    if (client->error == 0)
        client->error = error;
}

bool be_client_took(struct be_client *client, const struct be_reply *reply)
{
    client->under_way--;
    if (reply->status == KVT_OK && reply->kind != BE_REPLY_ERROR && reply->kind != BE_REPLY_NIL)
        return true;
    be_client_failed(client, reply->status == KVT_TIMEOUT  ? -ETIMEDOUT
                             : reply->status != KVT_OK     ? -ECONNRESET
                             : reply->kind == BE_REPLY_NIL ? -ENOENT
                                                           : -ENOSPC);
    return false;
}

int be_client_run(struct be_client *client)
{
    while (client->under_way > 0)
        uv_run(&client->loop, UV_RUN_ONCE);
    return client->error;
}

void be_client_release(struct be_client *client)
{
    if (!client->open)
        return;
    if (client->redis)
        be_redis_close(client->redis, NULL, NULL);
    uv_run(&client->loop, UV_RUN_DEFAULT); /* until the last handle is closed */
    uv_loop_close(&client->loop);
    client->open = false;
}
