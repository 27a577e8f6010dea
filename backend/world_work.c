/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * world_work.c - which work the workers do next.
 *
 * libuv's pool is first come, first served: a load would wait behind the pages of a long prompt
 * and the stores of the one before. So no more is handed to it than there are workers, and what
 * goes next is decided here, by urgency: loads, whose requests wait; pages of steps; stores;
 * comparing. One worker is kept for loads alone, and at most half of all fill pages, so that
 * stores go on meanwhile. Within an urgency, first come, first served.
 */
#include "world_impl.h"

static void next(struct be_world *w);

static void on_worker(uv_work_t *work)
{
    struct chore *c = work->data;
    c->run(c);
}

static void on_loop(uv_work_t *work, int status)
{
    struct chore *c = work->data;
    struct be_world *w = c->world;
    w->running--;
    w->running_behind -= c->urgency != URGENT_LOAD;
    w->running_fills -= c->urgency == URGENT_FILL;
    (void)status; /* nothing is ever cancelled */
    c->after(c);
    next(w);
}

static struct chore *most_urgent(struct be_world *w)
{
    for (int u = 0; u < URGENCIES; u++) {
        struct chore *c = w->chores[u].first;
        if (!c)
            continue;
        if (u != URGENT_LOAD && w->running_behind >= w->config.threads - 1)
            return NULL;
        if (u == URGENT_FILL && w->running_fills >= w->config.threads / 2)
            continue;
        w->chores[u].first = c->next;
        if (!c->next)
            w->chores[u].last = NULL;
        return c;
    }
    return NULL;
}

static void next(struct be_world *w)
{
    struct chore *c;
    while (w->running < w->config.threads && (c = most_urgent(w))) {
        w->running++;
        w->running_behind += c->urgency != URGENT_LOAD;
        w->running_fills += c->urgency == URGENT_FILL;
        /* Refuses nothing but a missing function. */
        (void)uv_queue_work(&w->loop, &c->work, on_worker, on_loop);
    }
}

void be_chore(struct be_world *w, struct chore *c, enum urgency urgency,
              void (*run)(struct chore *c), void (*after)(struct chore *c))
{
    c->world = w;
    c->urgency = urgency;
    c->run = run;
    c->after = after;
    c->work.data = c;
    c->next = NULL;
    if (w->chores[urgency].last)
        w->chores[urgency].last->next = c;
    else
        w->chores[urgency].first = c;
    w->chores[urgency].last = c;
    next(w);
}
