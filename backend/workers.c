/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * workers.c - which work the workers do next; see workers.h.
 */
#include "workers.h"

#include <assert.h>
#include <string.h>

static void next(struct be_workers *w);

static void on_worker(uv_work_t *work)
{
    struct be_chore *c = work->data;
    c->begin_ns = uv_hrtime();
    c->run(c);
    c->end_ns = uv_hrtime();
}

static void on_loop(uv_work_t *work, int status)
{
    struct be_chore *c = work->data;
    struct be_workers *w = c->workers;
    w->running--;
    w->behind -= c->urgency != BE_URGENT_LOAD;
    w->fills -= c->urgency == BE_URGENT_FILL;
    w->stats.chores++;
    w->stats.busy_ns += c->end_ns - c->begin_ns;
    w->stats.wait_ns += c->begin_ns - c->asked_ns;
    (void)status; /* nothing is ever cancelled */
    c->after(c);
    next(w);
}

static bool may_run(const struct be_workers *w, enum be_urgency urgency)
{
    if (urgency == BE_URGENT_LOAD)
        return true;
    if (w->threads == 1) /* nobody's own */
        return true;
    return w->behind < w->threads - 1 && (urgency != BE_URGENT_FILL || w->fills < w->threads / 2);
}

static struct be_chore *most_urgent(struct be_workers *w)
{
    for (int u = 0; u < BE_URGENCIES; u++) {
        struct be_chore_list *list = &w->waiting[u];
        struct be_chore *c = list->first;
        if (!c || !may_run(w, (enum be_urgency)u))
            continue;
        list->first = c->next;
        if (!c->next)
            list->last = NULL;
        return c;
    }
    return NULL;
}

static void next(struct be_workers *w)
{
    struct be_chore *c;
    while (w->running < w->threads && (c = most_urgent(w))) {
        w->running++;
        w->behind += c->urgency != BE_URGENT_LOAD;
        w->fills += c->urgency == BE_URGENT_FILL;
        /* Refuses nothing but a missing function. */
        (void)uv_queue_work(w->loop, &c->work, on_worker, on_loop);
    }
}

void be_workers_init(struct be_workers *w, uv_loop_t *loop, uint32_t threads, void *self)
{
    assert(threads >= 1);
    *w = (struct be_workers){.self = self, .threads = threads, .loop = loop};
}

void be_workers_ask(struct be_workers *w, struct be_chore *c, enum be_urgency urgency,
                    void (*run)(struct be_chore *c), void (*after)(struct be_chore *c))
{
    struct be_chore_list *list = &w->waiting[urgency];
    c->workers = w;
    c->urgency = urgency;
    c->run = run;
    c->after = after;
    c->asked_ns = uv_hrtime();
    c->work.data = c;
    c->next = NULL;
    if (list->last)
        list->last->next = c;
    else
        list->first = c;
    list->last = c;
    next(w);
}

void be_workers_forget(struct be_workers *w)
{
    memset(w->waiting, 0, sizeof w->waiting);
}
