/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * sweep_mpi.c - a sweep over the ranks of mpirun; see sweep.h. Built in with `make mpi`.
 *
 *      rank 0    hands out points, takes results, keeps them; runs points as well
 *      others    ask, run, send
 *
 *                other rank                rank 0
 *                   | ------- ASK ----------> |    a place is free
 *                   | <------ RUN i --------- |    or NONE: nothing more will come
 *                   | ------- ALIVE --------> |    every second
 *                   | ------- DONE i, bytes-> |
 *
 * Every rank runs its points in children of its own (points.h), which never speak MPI; the rank itself only passes
 * messages, and looks for them every few milliseconds instead of spinning, so that it takes no processor from the
 * runs. A rank is one processor's worth, as mpirun counts, unless --jobs says more. Pictures are drawn by rank 0, on
 * the processors of all ranks of its machine.
 *
 * A rank that has not been heard of for LOST_S is lost: what it was given is handed out again, and what it may yet
 * send is ignored. Open MPI ends the whole job when a rank dies, unless mpirun was told otherwise
 * (--enable-recovery); then the next call of the same sweep goes on with what is stored.
 *
 * No rank asks again before it has been answered, so rank 0 owes each at most one answer.
 */
#include "sweep.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

static uint32_t number_of(const char *name, uint32_t otherwise)
{
    const char *text = getenv(name);
    uint64_t value;
    return text && units_count(text, &value, NULL) == 0 && value < UINT32_MAX ? (uint32_t)value
                                                                              : otherwise;
}

struct sweep_ranks sweep_ranks(void)
{
    if (getenv("OMPI_COMM_WORLD_SIZE"))
        return (struct sweep_ranks){number_of("OMPI_COMM_WORLD_RANK", 0),
                                    number_of("OMPI_COMM_WORLD_SIZE", 1)};
    return (struct sweep_ranks){number_of("PMI_RANK", 0), number_of("PMI_SIZE", 0)};
}

#ifndef KVT_MPI

bool sweep_has_mpi(void)
{
    return false;
}

int sweep_mpi_run(const struct points *p, char *error)
{
    (void)p;
    snprintf(error, POINTS_ERROR_SIZE, "built without MPI");
    return -ENOSYS;
}

void sweep_mpi_spread(void)
{
}

void sweep_mpi_end(void)
{
}

#else

#include <mpi.h>

#include "progress.h"

enum { TAG_ASK = 1, TAG_RUN, TAG_ALIVE, TAG_DONE };
static const uint64_t none = UINT64_MAX;
static const uint64_t second_ns = 1000000000, lost_ns = 15 * UINT64_C(1000000000);
static bool initialised, some_lost;
static cpu_set_t neighbours; /* rank 0: processors of the ranks on its machine */

bool sweep_has_mpi(void)
{
    return true;
}

/* What a rank has been given and not sent back, and when it was heard of. */
struct peer {
    size_t *given;
    size_t n_given, room;
    uint64_t heard_ns;
    bool waiting, told, lost; /* asks; has been told NONE; silent for too long */
};

/* Both kinds of rank. */
struct party {
    const struct points *p;
    /* rank 0 */
    struct peer *peers; /* [size], of which 0 is not used */
    int size;
    size_t next, *again, n_again;
    bool *finished; /* by index into the grid: results that came */
    /* others */
    bool asked, over, have;
    size_t index;
    uint64_t told_ns;
};

/* ---- Other ranks ------------------------------------------------------------------------------------- */

static int ask(void *self, size_t *i)
{
    struct party *party = self;
    if (party->have) {
        party->have = false;
        *i = party->index;
        return 1;
    }
    if (!party->asked && !party->over) {
        MPI_Send(NULL, 0, MPI_BYTE, 0, TAG_ASK, MPI_COMM_WORLD);
        party->asked = true;
    }
    return 0;
}

static int hear(void *self)
{
    struct party *party = self;
    int there = 0;
    uint64_t now = wall_clock_ns(), answer;
    if (now - party->told_ns > second_ns) {
        MPI_Send(NULL, 0, MPI_BYTE, 0, TAG_ALIVE, MPI_COMM_WORLD);
        party->told_ns = now;
    }
    MPI_Iprobe(0, TAG_RUN, MPI_COMM_WORLD, &there, MPI_STATUS_IGNORE);
    if (there) {
        MPI_Recv(&answer, 1, MPI_UINT64_T, 0, TAG_RUN, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        party->asked = false;
        party->over = answer == none;
        party->have = !party->over;
        party->index = (size_t)answer;
    }
    return !party->over;
}

/* A result, or the line that says why there is none. */
static int send_result(void *self, size_t i, const char *bytes, size_t n, const char *error)
{
    (void)self;
    if (!bytes)
        n = strlen(error) + 1;
    uint64_t head[2] = {i, bytes != NULL};
    char *message = n < INT32_MAX - sizeof head ? malloc(sizeof head + n) : NULL;
    if (!message)
        return -ENOMEM;
    memcpy(message, head, sizeof head);
    memcpy(message + sizeof head, bytes ? bytes : error, n);
    MPI_Send(message, (int)(sizeof head + n), MPI_BYTE, 0, TAG_DONE, MPI_COMM_WORLD);
    free(message);
    return 0;
}

/* ---- Rank 0 ------------------------------------------------------------------------------------------ */

static bool take_next(struct party *party, size_t *i)
{
    if (party->n_again > 0)
        *i = party->again[--party->n_again];
    else if (party->next < party->p->n)
        *i = party->p->todo[party->next++];
    else
        return false;
    return true;
}

static int own_next(void *self, size_t *i)
{
    return take_next(self, i);
}

static int own_prepare(void *self, size_t i, char *error)
{
    const struct points *p = ((struct party *)self)->p;
    return p->prepare ? p->prepare(p->self, i, error) : 0;
}

static int own_work(void *self, size_t i, char **bytes, size_t *n, char *error)
{
    const struct points *p = ((struct party *)self)->p;
    return p->work(p->self, i, bytes, n, error);
}

static int own_done(void *self, size_t i, const char *bytes, size_t n, const char *error)
{
    struct party *party = self;
    if (party->finished[i])
        return 0; /* a lost rank was slow, not lost */
    party->finished[i] = true;
    return party->p->done(party->p->self, i, bytes, n, error);
}

static int give(struct party *party, int rank, size_t i)
{
    struct peer *peer = &party->peers[rank];
    uint64_t answer = i;
    if (peer->n_given == peer->room) {
        size_t room = peer->room + 16;
        size_t *more = realloc(peer->given, room * sizeof *more);
        if (!more)
            return -ENOMEM;
        peer->given = more;
        peer->room = room;
    }
    peer->given[peer->n_given++] = i;
    peer->waiting = false;
    MPI_Send(&answer, 1, MPI_UINT64_T, rank, TAG_RUN, MPI_COMM_WORLD);
    return 0;
}

static int take_result(struct party *party, int rank, const char *message, size_t n)
{
    struct peer *peer = &party->peers[rank];
    uint64_t head[2];
    if (n < sizeof head)
        return -EBADMSG;
    memcpy(head, message, sizeof head);
    size_t i = (size_t)head[0];
    for (size_t k = 0; k < peer->n_given; k++) {
        if (peer->given[k] != i)
            continue;
        peer->given[k] = peer->given[--peer->n_given];
        const char *rest = message + sizeof head;
        return own_done(party, i, head[1] ? rest : NULL, n - sizeof head, head[1] ? NULL : rest);
    }
    return 0; /* not his any more */
}

static int receive(struct party *party, const MPI_Status *status)
{
    int n = 0, rank = status->MPI_SOURCE;
    struct peer *peer = &party->peers[rank];
    MPI_Get_count(status, MPI_BYTE, &n);
    char *message = malloc((size_t)n + 1);
    if (!message)
        return -ENOMEM;
    MPI_Recv(message, n, MPI_BYTE, rank, status->MPI_TAG, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    message[n] = '\0';
    peer->heard_ns = wall_clock_ns();
    peer->lost = false;
    peer->waiting = peer->waiting || status->MPI_TAG == TAG_ASK;
    int rc = status->MPI_TAG == TAG_DONE ? take_result(party, rank, message, (size_t)n) : 0;
    free(message);
    return rc;
}

/* What a silent rank was given goes back to the pile. */
static void look_for_lost(struct party *party)
{
    uint64_t now = wall_clock_ns();
    for (int r = 1; r < party->size; r++) {
        struct peer *peer = &party->peers[r];
        if (peer->told || peer->lost || now - peer->heard_ns < lost_ns)
            continue;
        peer->lost = some_lost = true;
        fprintf(stderr, "kvtwin sweep: rank %d is lost, its %zu runs are done again\n", r,
                peer->n_given);
        while (peer->n_given > 0)
            party->again[party->n_again++] = peer->given[--peer->n_given];
    }
}

static int attend(void *self)
{
    struct party *party = self;
    MPI_Status status;
    int there = 1, rc = 0;
    while (rc == 0) {
        MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &there, &status);
        if (!there)
            break;
        rc = receive(party, &status);
    }
    look_for_lost(party);
    size_t open = 0;
    for (int r = 1; rc == 0 && r < party->size; r++) {
        size_t i;
        struct peer *peer = &party->peers[r];
        if (peer->waiting && !peer->lost && take_next(party, &i))
            rc = give(party, r, i);
        open += peer->n_given;
    }
    if (rc != 0 || open > 0 || party->n_again > 0 || party->next < party->p->n)
        return rc ? rc : 1;
    /* Only what this rank itself still runs is open, and it cannot be lost: nobody else is needed. */
    bool all_told = true;
    for (int r = 1; r < party->size; r++) {
        struct peer *peer = &party->peers[r];
        if (peer->waiting && !peer->told) {
            MPI_Send(&none, 1, MPI_UINT64_T, r, TAG_RUN, MPI_COMM_WORLD);
            peer->told = true;
        }
        all_told = all_told && (peer->told || peer->lost);
    }
    return !all_told;
}

static int lead(struct party *party, char *error)
{
    const struct points *p = party->p;
    size_t most = 0;
    for (size_t k = 0; k < p->n; k++)
        most = p->todo[k] >= most ? p->todo[k] + 1 : most;
    party->peers = calloc((size_t)party->size, sizeof *party->peers);
    party->finished = calloc(most + 1, sizeof *party->finished);
    party->again = calloc(p->n + 1, sizeof *party->again);
    int rc = party->peers && party->finished && party->again ? 0 : -ENOMEM;
    for (int r = 0; rc == 0 && r < party->size; r++)
        party->peers[r].heard_ns = wall_clock_ns();
    if (rc == 0) {
        const struct points mine = {.n = p->n,
                                    .jobs = p->jobs,
                                    .self = party,
                                    .next = own_next,
                                    .idle = attend,
                                    .prepare = own_prepare,
                                    .work = own_work,
                                    .done = own_done,
                                    .stop = p->stop};
        rc = points_run(&mine, error);
    } else {
        snprintf(error, POINTS_ERROR_SIZE, "out of memory");
    }
    for (int r = 0; party->peers && r < party->size; r++)
        free(party->peers[r].given);
    free(party->peers);
    free(party->finished);
    free(party->again);
    some_lost = some_lost || rc != 0; /* others wait for answers that will not come */
    return rc;
}

/* ---- Both -------------------------------------------------------------------------------------------- */

static int follow(struct party *party, char *error)
{
    const struct points *p = party->p;
    const struct points mine = {.n = p->n,
                                .jobs = p->jobs,
                                .self = party,
                                .next = ask,
                                .idle = hear,
                                .prepare = own_prepare,
                                .work = own_work,
                                .done = send_result,
                                .stop = p->stop};
    return points_run(&mine, error);
}

/* Which processors this machine's ranks are bound to, one by one mostly. */
static void ask_neighbours(int rank)
{
    MPI_Comm here;
    cpu_set_t mine;
    if (sched_getaffinity(0, sizeof mine, &mine) != 0)
        CPU_ZERO(&mine);
    if (MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &here) !=
        MPI_SUCCESS)
        return;
    if (MPI_Allreduce(&mine, &neighbours, sizeof mine, MPI_BYTE, MPI_BOR, here) != MPI_SUCCESS)
        CPU_ZERO(&neighbours);
    MPI_Comm_free(&here);
}

int sweep_mpi_run(const struct points *p, char *error)
{
    struct party party = {.p = p};
    int rank = 0;
    if (MPI_Init(NULL, NULL) != MPI_SUCCESS) {
        snprintf(error, POINTS_ERROR_SIZE, "MPI cannot be initialised");
        return -EIO;
    }
    initialised = true;
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &party.size);
    ask_neighbours(rank);
    return rank == 0 ? lead(&party, error) : follow(&party, error);
}

void sweep_mpi_spread(void)
{
    if (CPU_COUNT(&neighbours) > 0)
        sched_setaffinity(0, sizeof neighbours, &neighbours); /* refused: then as it was */
}

void sweep_mpi_end(void)
{
    if (!initialised)
        return;
    fflush(NULL);
    if (some_lost) /* a barrier would wait for the dead */
        MPI_Abort(MPI_COMM_WORLD, 0);
    MPI_Finalize();
}

#endif
