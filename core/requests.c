/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * requests.c - an engine's requests in lists, one for each state that they can be in.
 *
 * Doubly linked by index. In every list background requests stand behind all others (C10): the end for one that
 * somebody waits for, and the front for one in the background, is where the two kinds meet.
 */
#include "internal.h"

static struct list *list_of(struct kvt_core *core, const struct req *q)
{
    return &core->engines[q->engine].lists[q->state];
}

/* The last one that is not in the background; KVT_NONE: all are, or nobody is there. */
static uint32_t last_in_front(const struct kvt_core *core, const struct list *l)
{
    uint32_t r = l->last;
    while (r != KVT_NONE && req_at(core, r)->background)
        r = req_at(core, r)->prev;
    return r;
}

void kvt_list_push(struct kvt_core *core, uint32_t r, enum req_state state, bool front)
{
    struct req *q = req_at(core, r);
    q->state = state;
    struct list *l = list_of(core, q);
    if (q->background == front) /* where the two kinds meet */
        q->prev = last_in_front(core, l);
    else
        q->prev = front ? KVT_NONE : l->last;
    q->next = q->prev == KVT_NONE ? l->first : req_at(core, q->prev)->next;
    if (state == REQ_WAITING && !q->background && q->prev == KVT_NONE && q->next != KVT_NONE &&
        req_at(core, q->next)->background)
        core->engines[q->engine].blocked = false; /* that was who is overtaken */
    if (q->prev != KVT_NONE)
        req_at(core, q->prev)->next = r;
    else
        l->first = r;
    if (q->next != KVT_NONE)
        req_at(core, q->next)->prev = r;
    else
        l->last = r;
    l->n++;
}

void kvt_list_pull(struct kvt_core *core, uint32_t r)
{
    const struct req *q = req_at(core, r);
    struct list *l = list_of(core, q);
    if (q->prev != KVT_NONE)
        req_at(core, q->prev)->next = q->next;
    else
        l->first = q->next;
    if (q->next != KVT_NONE)
        req_at(core, q->next)->prev = q->prev;
    else
        l->last = q->prev;
    l->n--;
}
