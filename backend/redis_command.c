/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * redis_command.c - one command: where it is kept, and its bytes on the wire.
 *
 * Commands live in slots that are used again, because each has a timer in the loop and a timer
 * cannot be freed at once. A handle is slot and generation, so that an old one names nobody.
 *
 * On the wire, a command is an array of bulk strings. hiredis writes it all into one string, the
 * head. A last argument that is kept is left where it is: hiredis formats an empty one in its
 * place, whose six bytes are then taken off and its real length put there:
 *
 *      head  "*3\r\n$3\r\nSET\r\n$4\r\nname\r\n" "$1048576\r\n"         tail  the caller's        "\r\n"
 */
#include "redis_parts.h"

#include <assert.h>
#include <errno.h>
#include <hiredis/hiredis.h>
#include <hiredis/sds.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static int grow(struct be_redis *redis)
{
    uint32_t room = redis->slots_room ? 2 * redis->slots_room : 64;
    if (room < redis->slots_room || room == UINT32_MAX)
        return -ENOMEM;
    struct be_command **slots = realloc(redis->slots, room * sizeof(struct be_command *));
    if (slots == NULL)
        return -ENOMEM;
    redis->slots = slots;
    redis->slots_room = room;
    return 0;
}

struct be_command *be_command_new(struct be_redis *redis)
{
    struct be_command *c = TAILQ_FIRST(&redis->free);
    if (c != NULL) {
        TAILQ_REMOVE(&redis->free, c, entry);
        return c;
    }
    if (redis->n_slots == redis->slots_room && grow(redis) != 0)
        return NULL;
    c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    c->redis = redis;
    c->index = redis->n_slots;
    c->generation = 1;
    redis->slots[redis->n_slots++] = c;
    uv_timer_init(redis->loop, &c->deadline);
    c->deadline.data = c;
    be_redis_thing(redis);
    return c;
}

void be_command_free(struct be_command *c)
{
    if (!c->redis->finished)
        uv_timer_stop(&c->deadline);
    sdsfree(c->head);
    /* What is left out here is the slot's own. */
    c->state = BE_COMMAND_FREE;
    c->greeting = BE_GREETING_NONE;
    c->generation++;
    c->node = NULL;
    c->conn = NULL;
    c->head = NULL;
    c->tail = NULL;
    c->head_b = c->tail_b = c->written_b = 0;
    c->accepted_ns = c->deadline_ns = c->begun_ns = c->sent_ns = 0;
    c->expect = 0;
    c->late = false;
    c->fn = NULL;
    c->self = NULL;
    c->arg = 0;
    c->status = KVT_OK;
    TAILQ_INSERT_HEAD(&c->redis->free, c, entry);
}

/* The whole command as hiredis writes it. NULL when memory lacks. */
static sds format(uint32_t argc, const char *const *argv, const size_t *argv_b)
{
    const char **plain; /* hiredis changes nothing, but does not say so */
    memcpy(&plain, &argv, sizeof plain);
    sds text = NULL;
    return redisFormatSdsCommandArgv(&text, (int)argc, plain, argv_b) < 0 ? NULL : text;
}

static sds format_head(uint32_t argc, const char *const *argv, const size_t *argv_b)
{
    enum { EMPTY_B = 6 }; /* "$0\r\n\r\n" */
    size_t few_b[8], *lengths = few_b;
    if (argc > sizeof few_b / sizeof *few_b)
        lengths = malloc(argc * sizeof *lengths);
    if (lengths == NULL)
        return NULL;
    memcpy(lengths, argv_b, argc * sizeof *lengths);
    lengths[argc - 1] = 0;
    sds text = format(argc, argv, lengths);
    if (lengths != few_b)
        free(lengths);
    if (text == NULL)
        return NULL;
    assert(sdslen(text) > EMPTY_B &&
           memcmp(text + sdslen(text) - EMPTY_B, "$0\r\n\r\n", EMPTY_B) == 0);
    sdsIncrLen(text, -EMPTY_B);
    sds longer = sdscatfmt(text, "$%U\r\n", (unsigned long long)argv_b[argc - 1]);
    if (longer == NULL)
        sdsfree(text);
    return longer;
}

int be_command_format(struct be_command *c, uint32_t argc, const char *const *argv,
                      const size_t *argv_b, bool keep_last)
{
    if (argc > INT_MAX)
        return -ENOMEM;
    c->head = keep_last ? format_head(argc, argv, argv_b) : format(argc, argv, argv_b);
    if (c->head == NULL)
        return -ENOMEM;
    c->head_b = sdslen(c->head);
    if (keep_last) {
        c->tail = argv[argc - 1];
        c->tail_b = argv_b[argc - 1];
    }
    return 0;
}

size_t be_command_wire_b(const struct be_command *c)
{
    return c->head_b + (c->tail != NULL ? c->tail_b + 2 : 0);
}

/* Bytes [skip_b, n) as a piece; returns how many pieces that are. */
static int piece(struct iovec *to, const char *bytes, size_t n, size_t skip_b)
{
    if (skip_b >= n)
        return 0;
    /* For writing only, but struct iovec has no const. */
    memcpy(&to->iov_base, &(const char *){bytes + skip_b}, sizeof to->iov_base);
    to->iov_len = n - skip_b;
    return 1;
}

int be_command_pieces(const struct be_command *c, struct iovec *pieces)
{
    size_t skip_b = c->written_b;
    int n = piece(pieces, c->head, c->head_b, skip_b);
    if (c->tail == NULL)
        return n;
    skip_b -= skip_b < c->head_b ? skip_b : c->head_b;
    n += piece(pieces + n, c->tail, c->tail_b, skip_b);
    skip_b -= skip_b < c->tail_b ? skip_b : c->tail_b;
    return n + piece(pieces + n, "\r\n", 2, skip_b);
}

int be_command_adopt(struct be_command *c)
{
    if (c->tail == NULL)
        return 0;
    const size_t left_b = be_command_wire_b(c) - c->written_b;
    sds own = sdsnewlen(NULL, left_b);
    if (own == NULL)
        return -ENOMEM;
    struct iovec pieces[3];
    int n = be_command_pieces(c, pieces);
    size_t at_b = 0;
    for (int i = 0; i < n; i++) {
        memcpy(own + at_b, pieces[i].iov_base, pieces[i].iov_len);
        at_b += pieces[i].iov_len;
    }
    sdsfree(c->head);
    c->head = own;
    c->head_b = left_b;
    c->tail = NULL;
    c->tail_b = c->written_b = 0;
    return 0;
}
