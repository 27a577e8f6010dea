/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * points.c - see points.h.
 *
 * The result goes through a memory file made before the fork: unlike a pipe it never fills up, so a
 * child that is done has ended, and a parent that is busy holds nobody up. It begins with a status; a
 * child that dies leaves it at "nothing", whatever it had written.
 *
 * The parent waits in poll on the children's pidfds with a time limit, so a signal that comes
 * between looking at `stop` and waiting is heard a moment later.
 */
#include "points.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "progress.h"

enum { WAIT_MS = 200, IDLE_MS = 2, JOBS_MOST = 1024 };

/* At the beginning of a child's memory file; all zero until the child is done. */
struct head {
    int32_t finished; /* 1: what follows is whole */
    int32_t status;   /* of work */
    uint64_t n_bytes; /* of the result, or of the error line with its NUL */
};

struct child {
    pid_t pid; /* 0: a free place */
    int pidfd, memory;
    size_t i;
};

struct pool {
    const struct points *p;
    struct child *children;
    struct pollfd *polls;
    uint32_t jobs, running;
    size_t next;
    uint64_t ended;
    struct progress progress;
};

uint32_t points_processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return (uint32_t)CPU_COUNT(&set);
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (uint32_t)n : 1;
}

/* ---- The child --------------------------------------------------------------------------------------- */

static bool write_all(int fd, const void *bytes, size_t n)
{
    const char *from = bytes;
    while (n > 0) {
        ssize_t wrote = write(fd, from, n);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return false;
        from += wrote;
        n -= (size_t)wrote;
    }
    return true;
}

/* Never returns. The head is written last: it vouches for the rest. */
__attribute__((noreturn)) static void be_child(const struct points *p, size_t i, int memory)
{
    char *bytes = NULL, error[POINTS_ERROR_SIZE] = "";
    struct head head = {.finished = 1};
    size_t n = 0;
    head.status = p->work(p->self, i, &bytes, &n, error);
    const void *from = head.status == 0 ? (const void *)bytes : error;
    head.n_bytes = head.status == 0 ? n : strlen(error) + 1;
    bool good = lseek(memory, sizeof head, SEEK_SET) >= 0 &&
                write_all(memory, from, head.n_bytes) && lseek(memory, 0, SEEK_SET) >= 0 &&
                write_all(memory, &head, sizeof head);
    _exit(good ? 0 : 1); /* the parent's buffers and files are the parent's to close */
}

/* ---- The parent -------------------------------------------------------------------------------------- */

static int begin(struct pool *pool, struct child *child, size_t i, char *error)
{
    const struct points *p = pool->p;
    pid_t parent = getpid();
    *child = (struct child){.i = i, .pidfd = -1};
    child->memory = memfd_create("point", MFD_CLOEXEC);
    if (child->memory < 0)
        goto failed;
    fflush(NULL); /* what is buffered must not be written twice */
    child->pid = fork();
    if (child->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
        be_child(p, i, child->memory);
    }
    if (child->pid > 0)
        child->pidfd = pidfd_open(child->pid, 0);
    if (child->pid > 0 && child->pidfd >= 0) {
        pool->running++;
        return 0;
    }
failed:;
    int rc = -errno;
    snprintf(error, POINTS_ERROR_SIZE, "a process for a run cannot be made: %s", strerror(-rc));
    if (child->pid > 0) {
        kill(child->pid, SIGKILL);
        while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    if (child->memory >= 0)
        close(child->memory);
    child->pid = 0;
    return rc;
}

/* Takes a child that has ended out of the pool. Returns its wait status. */
static int reap(struct pool *pool, struct child *child)
{
    int status = 0;
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
        ;
    close(child->pidfd);
    child->pid = 0;
    pool->running--;
    return status;
}

/* Hands what a child left to done. */
static int deliver(struct pool *pool, const struct child *child, int status)
{
    const struct points *p = pool->p;
    char line[POINTS_ERROR_SIZE];
    struct head head = {0};
    struct stat st;
    void *memory = MAP_FAILED;
    int rc;
    size_t size = fstat(child->memory, &st) == 0 ? (size_t)st.st_size : 0;
    if (size >= sizeof head)
        memory = mmap(NULL, size, PROT_READ, MAP_PRIVATE, child->memory, 0);
    if (memory != MAP_FAILED)
        memcpy(&head, memory, sizeof head);
    const char *bytes = memory != MAP_FAILED ? (const char *)memory + sizeof head : "";
    if (!head.finished || head.n_bytes > size - sizeof head) {
        if (WIFSIGNALED(status))
            snprintf(line, sizeof line, "the process of the run ended by signal %d (%s)",
                     WTERMSIG(status), strsignal(WTERMSIG(status)));
        else
            snprintf(line, sizeof line, "the process of the run left no result");
        rc = p->done(p->self, child->i, NULL, 0, line);
    } else if (head.status == -EINTR) {
        rc = -EINTR;
    } else if (head.status != 0) {
        snprintf(line, sizeof line, "%s", bytes);
        rc = p->done(p->self, child->i, NULL, 0, line);
    } else {
        rc = p->done(p->self, child->i, bytes, head.n_bytes, NULL);
    }
    if (memory != MAP_FAILED)
        munmap(memory, size);
    return rc;
}

static int next_index(struct pool *pool, size_t *i)
{
    const struct points *p = pool->p;
    if (p->next)
        return p->next(p->self, i);
    if (pool->next == p->n)
        return 0;
    *i = p->todo[pool->next++];
    return 1;
}

/* Fills free places with points that are still to do. */
static int fill(struct pool *pool, char *error)
{
    const struct points *p = pool->p;
    for (uint32_t c = 0; c < pool->jobs; c++) {
        size_t i;
        if (pool->children[c].pid != 0)
            continue;
        int rc = next_index(pool, &i);
        if (rc <= 0)
            return rc;
        char line[POINTS_ERROR_SIZE] = "";
        rc = p->prepare ? p->prepare(p->self, i, line) : 0;
        if (rc != 0) {
            rc = p->done(p->self, i, NULL, 0, line);
            pool->ended++;
            c--; /* the place is still free */
        } else {
            rc = begin(pool, &pool->children[c], i, error);
        }
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int collect(struct pool *pool)
{
    nfds_t n = 0;
    for (uint32_t c = 0; c < pool->jobs; c++)
        if (pool->children[c].pid != 0)
            pool->polls[n++] = (struct pollfd){.fd = pool->children[c].pidfd, .events = POLLIN};
    int wait_ms = pool->p->idle ? IDLE_MS : WAIT_MS;
    if ((n == 0 && !pool->p->idle) || poll(pool->polls, n, wait_ms) <= 0)
        return 0;
    for (uint32_t c = 0; c < pool->jobs; c++) {
        struct child *child = &pool->children[c];
        bool ended = false;
        for (nfds_t k = 0; k < n && child->pid != 0; k++)
            ended = ended || (pool->polls[k].fd == child->pidfd && pool->polls[k].revents);
        if (!ended)
            continue;
        int status = reap(pool, child);
        int rc = deliver(pool, child, status);
        close(child->memory);
        pool->ended++;
        if (rc != 0)
            return rc;
    }
    return 0;
}

static void end_children(struct pool *pool)
{
    for (uint32_t c = 0; c < pool->jobs; c++) {
        if (pool->children[c].pid == 0)
            continue;
        kill(pool->children[c].pid, SIGKILL);
        reap(pool, &pool->children[c]);
        close(pool->children[c].memory);
    }
}

int points_run(const struct points *p, char *error)
{
    struct pool pool = {.p = p, .jobs = p->jobs ? p->jobs : points_processors()};
    int rc = 0;
    if (pool.jobs > p->n && !p->next)
        pool.jobs = (uint32_t)p->n;
    if (pool.jobs > JOBS_MOST)
        pool.jobs = JOBS_MOST;
    if (p->n == 0 && !p->next)
        return 0;
    pool.children = calloc(pool.jobs, sizeof *pool.children);
    pool.polls = calloc(pool.jobs, sizeof *pool.polls);
    error[0] = '\0';
    if (!pool.children || !pool.polls) {
        snprintf(error, POINTS_ERROR_SIZE, "out of memory");
        rc = -ENOMEM;
    }
    if (p->label)
        progress_begin(&pool.progress, p->label, p->all ? p->all : p->n);
    pool.progress.what = "runs";
    bool more = true;
    while (rc == 0 && (more || pool.running > 0)) {
        rc = p->stop && *p->stop ? -EINTR : fill(&pool, error);
        if (rc == 0)
            rc = collect(&pool);
        int idle = rc == 0 && p->idle ? p->idle(p->self) : 0;
        more = p->idle ? idle > 0 : pool.next < p->n;
        rc = rc == 0 && idle < 0 ? idle : rc;
        progress_step(&pool.progress, p->finished + pool.ended, 0);
    }
    progress_end(&pool.progress);
    if (pool.children)
        end_children(&pool);
    free(pool.children);
    free(pool.polls);
    return rc;
}
