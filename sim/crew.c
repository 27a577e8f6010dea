/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * crew.c - workers by urgency, and the paces of all threads; see crew.h.
 *
 * A job is a record from when it is asked for until it is done: in a list of those that wait, then in the list of those
 * that work. Paces hold until a job begins or ends. There is one event that counts, the next end of a job; when
 * paces change it is put anew, and the old one does nothing. A worker takes its next chore after the one that is done
 * has been told of, as in the real world.
 */
#include "crew.h"

#include <errno.h>
#include <math.h>

enum { JOBS_SHIFT = 6, CORE_SHIFT = 30 };

static const uint64_t core = UINT64_C(1) << CORE_SHIFT;

struct job {
    uint32_t pool_word;  /* the pool's, while free */
    uint32_t next, prev; /* prev: at work only */
    bool worker;
    enum sim_urgency urgency;
    enum sim_work work;
    kvt_ns asked_ns, work_ns;
    sim_ns_sum left; /* at work: nanoseconds times paces */
    uint64_t pace;
    sim_event_fn *fn;
    void *self;
    uint64_t arg;
};

int sim_crew_init(struct sim_crew *crew, struct sim_evq *events, const struct kvt_alloc *alloc,
                  uint32_t workers, uint32_t cores, const double cores_of[SIM_WORKS])
{
    *crew = (struct sim_crew){.workers = workers,
                              .cores = cores,
                              .events = events,
                              .work_first = KVT_NONE,
                              .work_last = KVT_NONE};
    kvt_pool_init(&crew->pool, alloc, sizeof(struct job), JOBS_SHIFT);
    for (int u = 0; u < SIM_URGENCIES; u++)
        crew->first[u] = crew->last[u] = KVT_NONE;
    for (int k = 0; k < SIM_WORKS; k++)
        crew->own[k] =
            cores_of[k] < workers ? (uint64_t)(cores_of[k] * (double)core) : workers * core;
    return workers == 0 || cores == 0 ? -EINVAL : 0;
}

void sim_crew_release(struct sim_crew *crew)
{
    if (crew->pool.alloc)
        kvt_pool_release(&crew->pool);
    *crew = (struct sim_crew){0};
}

static struct job *job_at(const struct sim_crew *crew, uint32_t i)
{
    return kvt_pool_at(&crew->pool, i);
}

/* ---- Paces ----------------------------------------------------------------------------------------- */

/* Books what was done since the last change. */
static void catch_up(struct sim_crew *crew, kvt_ns now)
{
    const kvt_ns by = now - crew->at_ns;
    crew->at_ns = now;
    for (uint32_t i = crew->work_first; by > 0 && i != KVT_NONE;) {
        struct job *j = job_at(crew, i);
        const sim_ns_sum done = (sim_ns_sum)by * j->pace;
        j->left -= done < j->left ? done : j->left;
        crew->busy += done;
        i = j->next;
    }
}

/* (C3): of all workers together, and of each other thread. */
static void share(const struct sim_crew *crew, uint64_t *workers, uint64_t *other)
{
    const uint64_t all = crew->cores * core, n = crew->running, others = crew->others;
    const uint64_t files = crew->files;
    uint64_t own = crew->own[SIM_FILES] * files + crew->own[SIM_COPIES] * (n - files);
    own /= n > 0 ? n : 1;
    uint64_t most = n * core < own ? n * core : own;
    if (n + others > 0 && most > all * n / (n + others))
        most = all * n / (n + others);
    const uint64_t left = others > 0 ? (all - most) / others : 0;
    *workers = most;
    *other = left < core ? left : core;
}

static void on_end(void *self, uint64_t generation, kvt_ns now);

/* Paces of all that work, and the event of the next end. */
static void set_paces(struct sim_crew *crew, kvt_ns now)
{
    uint64_t workers, other;
    sim_ns_sum least = KVT_NEVER - now;
    share(crew, &workers, &other);
    for (uint32_t i = crew->work_first; i != KVT_NONE;) {
        struct job *j = job_at(crew, i);
        j->pace = other;
        if (j->worker) { /* (C4) */
            j->pace = workers < core ? workers : core;
            workers -= j->pace;
        }
        if (j->pace > 0 || j->left == 0) {
            const sim_ns_sum ns = j->left == 0 ? 0 : (j->left + j->pace - 1) / j->pace;
            least = ns < least ? ns : least;
        }
        i = j->next;
    }
    if (crew->work_first == KVT_NONE)
        return;
    const int rc = sim_evq_push(crew->events, kvt_ns_add(now, (kvt_ns)least), on_end, crew,
                                ++crew->generation);
    if (rc < 0 && crew->error == 0)
        crew->error = rc;
}

static void join_work(struct sim_crew *crew, uint32_t i)
{
    struct job *j = job_at(crew, i);
    j->left = (sim_ns_sum)j->work_ns << CORE_SHIFT;
    j->next = KVT_NONE;
    j->prev = crew->work_last;
    if (crew->work_last == KVT_NONE)
        crew->work_first = i;
    else
        job_at(crew, crew->work_last)->next = i;
    crew->work_last = i;
    crew->others += !j->worker;
}

static void leave_work(struct sim_crew *crew, const struct job *j)
{
    if (j->prev == KVT_NONE)
        crew->work_first = j->next;
    else
        job_at(crew, j->prev)->next = j->next;
    if (j->next == KVT_NONE)
        crew->work_last = j->prev;
    else
        job_at(crew, j->next)->prev = j->prev;
    crew->others -= !j->worker;
}

/* ---- Whose turn it is ------------------------------------------------------------------------------ */

static bool may_run(const struct sim_crew *crew, enum sim_urgency urgency)
{
    if (urgency == SIM_URGENT_LOAD || crew->workers == 1)
        return true;
    return crew->behind < crew->workers - 1 &&
           (urgency != SIM_URGENT_FILL || crew->fills < crew->workers / 2);
}

/* Takes the next chore that may run out of its list; KVT_NONE: none may. */
static uint32_t most_urgent(struct sim_crew *crew)
{
    for (int u = 0; u < SIM_URGENCIES; u++) {
        const uint32_t i = crew->first[u];
        if (i == KVT_NONE || !may_run(crew, (enum sim_urgency)u))
            continue;
        const struct job *j = job_at(crew, i);
        crew->first[u] = j->next;
        if (j->next == KVT_NONE)
            crew->last[u] = KVT_NONE;
        return i;
    }
    return KVT_NONE;
}

/* Workers that are free begin what waits. */
static void begin(struct sim_crew *crew, kvt_ns now)
{
    uint32_t i;
    while (crew->running < crew->workers && (i = most_urgent(crew)) != KVT_NONE) {
        const struct job *j = job_at(crew, i);
        crew->running++;
        crew->behind += j->urgency != SIM_URGENT_LOAD;
        crew->fills += j->urgency == SIM_URGENT_FILL;
        crew->files += j->work == SIM_FILES;
        crew->chores++;
        crew->wait_ns += now - j->asked_ns;
        join_work(crew, i);
    }
}

/* ---- Ends ------------------------------------------------------------------------------------------ */

static void end_job(struct sim_crew *crew, uint32_t i, kvt_ns now)
{
    const struct job j = *job_at(crew, i);
    leave_work(crew, &j);
    kvt_pool_give(&crew->pool, i);
    if (j.worker) {
        crew->running--;
        crew->behind -= j.urgency != SIM_URGENT_LOAD;
        crew->fills -= j.urgency == SIM_URGENT_FILL;
        crew->files -= j.work == SIM_FILES;
    }
    j.fn(j.self, j.arg, now);
    if (j.worker)
        begin(crew, now);
}

/* The first of those that work of which nothing is left. */
static uint32_t done(const struct sim_crew *crew)
{
    uint32_t i = crew->work_first;
    while (i != KVT_NONE && job_at(crew, i)->left > 0)
        i = job_at(crew, i)->next;
    return i;
}

static void on_end(void *self, uint64_t generation, kvt_ns now)
{
    struct sim_crew *crew = self;
    uint32_t i;
    if (generation != crew->generation)
        return;
    catch_up(crew, now);
    crew->inside = true;
    while ((i = done(crew)) != KVT_NONE)
        end_job(crew, i, now);
    crew->inside = false;
    set_paces(crew, now);
}

/* ---- Asking ---------------------------------------------------------------------------------------- */

static uint32_t new_job(struct sim_crew *crew, const struct job *job)
{
    const uint32_t i = kvt_pool_take(&crew->pool);
    if (i != KVT_NONE)
        *job_at(crew, i) = *job;
    return i;
}

static int go_on(struct sim_crew *crew, kvt_ns now)
{
    if (!crew->inside)
        set_paces(crew, now);
    return crew->error;
}

int sim_crew_use(struct sim_crew *crew, kvt_ns now, kvt_ns work_ns, sim_event_fn *fn, void *self,
                 uint64_t arg)
{
    const uint32_t i = new_job(
        crew,
        &(struct job){.asked_ns = now, .work_ns = work_ns, .fn = fn, .self = self, .arg = arg});
    if (i == KVT_NONE)
        return -ENOMEM;
    catch_up(crew, now);
    join_work(crew, i);
    return go_on(crew, now);
}

int sim_crew_ask(struct sim_crew *crew, kvt_ns now, enum sim_urgency urgency, enum sim_work work,
                 kvt_ns work_ns, sim_event_fn *fn, void *self, uint64_t arg)
{
    const uint32_t i = new_job(crew, &(struct job){.next = KVT_NONE,
                                                   .worker = true,
                                                   .urgency = urgency,
                                                   .work = work,
                                                   .asked_ns = now,
                                                   .work_ns = work_ns,
                                                   .fn = fn,
                                                   .self = self,
                                                   .arg = arg});
    if (i == KVT_NONE)
        return -ENOMEM;
    catch_up(crew, now);
    if (crew->last[urgency] == KVT_NONE)
        crew->first[urgency] = i;
    else
        job_at(crew, crew->last[urgency])->next = i;
    crew->last[urgency] = i;
    begin(crew, now);
    return go_on(crew, now);
}

double sim_crew_busy_ratio(const struct sim_crew *crew, kvt_ns now)
{
    sim_ns_sum busy = crew->busy;
    for (uint32_t i = crew->work_first; i != KVT_NONE; i = job_at(crew, i)->next)
        busy += (sim_ns_sum)(now - crew->at_ns) * job_at(crew, i)->pace;
    const double most = (double)now * crew->cores * (double)core;
    return most > 0 ? (double)busy / most : 0;
}
