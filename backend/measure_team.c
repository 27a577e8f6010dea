/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * measure_team.c - threads that wait for their turn.
 *
 * Turns are numbered; a member works when the number has changed, and the last one to end wakes
 * the caller, who is member 0 and holds the watch. What is measured so includes waking the
 * others, some ten microseconds: members should have a millisecond of work.
 */
#include "measure_team.h"

#include <errno.h>
#include <stdlib.h>

struct member {
    struct be_team *team;
    uint32_t number;
    int rc;
    uv_thread_t thread;
};

struct be_team {
    uint32_t threads; /* members that there are */
    be_team_fn *fn;
    void *self;
    uv_mutex_t lock;
    uv_cond_t go, over;
    uint64_t turn; /* under the lock, like all below */
    uint32_t working;
    bool stop;
    struct member member[BE_TEAM_MOST];
};

static void work(void *argument)
{
    struct member *m = argument;
    struct be_team *team = m->team;
    uint64_t seen = 0;
    uv_mutex_lock(&team->lock);
    for (;;) {
        while (team->turn == seen && !team->stop)
            uv_cond_wait(&team->go, &team->lock);
        if (team->stop)
            break;
        seen = team->turn;
        uv_mutex_unlock(&team->lock);
        m->rc = team->fn(team->self, m->number);
        uv_mutex_lock(&team->lock);
        if (--team->working == 0)
            uv_cond_signal(&team->over);
    }
    uv_mutex_unlock(&team->lock);
}

static bool open_lock(struct be_team *team)
{
    if (uv_mutex_init(&team->lock) != 0)
        return false;
    if (uv_cond_init(&team->go) == 0) {
        if (uv_cond_init(&team->over) == 0)
            return true;
        uv_cond_destroy(&team->go);
    }
    uv_mutex_destroy(&team->lock);
    return false;
}

struct be_team *be_team_new(uint32_t threads, be_team_fn *fn, void *self, int *rc)
{
    *rc = threads < 1 || threads > BE_TEAM_MOST ? -EINVAL : 0;
    if (*rc != 0)
        return NULL;
    struct be_team *team = calloc(1, sizeof *team);
    if (!team || !open_lock(team)) {
        free(team);
        *rc = -ENOMEM;
        return NULL;
    }
    team->fn = fn;
    team->self = self;
    for (uint32_t i = 0; i < threads; i++) {
        struct member *m = &team->member[i];
        *m = (struct member){.team = team, .number = i};
        if (i > 0 && uv_thread_create(&m->thread, work, m) != 0) {
            be_team_free(team);
            *rc = -EAGAIN;
            return NULL;
        }
        team->threads = i + 1;
    }
    return team;
}

int be_team_run(struct be_team *team, double *ns)
{
    const uint64_t begin_ns = uv_hrtime();
    uv_mutex_lock(&team->lock);
    team->turn++;
    team->working = team->threads - 1;
    uv_cond_broadcast(&team->go);
    uv_mutex_unlock(&team->lock);
    team->member[0].rc = team->fn(team->self, 0);
    uv_mutex_lock(&team->lock);
    while (team->working > 0)
        uv_cond_wait(&team->over, &team->lock);
    uv_mutex_unlock(&team->lock);
    *ns = (double)(uv_hrtime() - begin_ns);
    for (uint32_t i = 0; i < team->threads; i++)
        if (team->member[i].rc != 0)
            return team->member[i].rc;
    return 0;
}

void be_team_free(struct be_team *team)
{
    if (!team)
        return;
    uv_mutex_lock(&team->lock);
    team->stop = true;
    uv_cond_broadcast(&team->go);
    uv_mutex_unlock(&team->lock);
    for (uint32_t i = 1; i < team->threads; i++)
        uv_thread_join(&team->member[i].thread);
    uv_cond_destroy(&team->over);
    uv_cond_destroy(&team->go);
    uv_mutex_destroy(&team->lock);
    free(team);
}
