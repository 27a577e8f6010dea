/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * fake_cuda.h - as much of CUDA's runtime as backend/device_cuda.c uses, made of main memory, so
 * that its order of copies, kernels and events can be tested without a GPU. Included through
 * BE_CUDA_RUNTIME.
 *
 * A stream is lazy: work put on it is kept, and done only when someone waits for it, as late as
 * the runtime's rules allow; or it is eager (fake.eager) and does it at once. Who forgets to
 * wait, or lets two streams share a buffer without an event between, finds wrong bytes. What the
 * rules promise early is early: pageable memory is read when a copy from it is put on a stream,
 * and a copy to pageable memory is done when the call returns. Kernels run on cuda_on_cpu.h.
 *
 * "Devices" are two, and memory knows whose it is: copies beyond its end or between devices, and
 * launches on another device's stream abort. fake.fail_at makes the n-th call of the runtime
 * fail.
 */
#ifndef FAKE_CUDA_H
#define FAKE_CUDA_H

#include <stddef.h>
#include <stdint.h>

static int fake_launch(void (*entry)(const void *args), const void *args, size_t args_b,
                       uint32_t grid_x, uint32_t grid_y, uint32_t block, void *stream);
#define CUDA_ON_CPU_LAUNCH fake_launch

#include "cuda_on_cpu.h"

typedef enum {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorNoDevice = 100,
    cudaErrorUnknown = 999
} cudaError_t;
enum cudaMemcpyKind {
    cudaMemcpyHostToDevice = 1,
    cudaMemcpyDeviceToHost,
    cudaMemcpyDeviceToDevice
};
enum {
    cudaHostAllocPortable = 1,
    cudaStreamNonBlocking = 1,
    cudaEventBlockingSync = 1,
    cudaEventDisableTiming = 2
};
struct cudaDeviceProp {
    char name[256];
};

/* Work on a stream: rows of b bytes; or a kernel; or an event to set or to wait for. */
struct fake_work {
    enum { FAKE_COPY, FAKE_SET, FAKE_KERNEL, FAKE_RECORD, FAKE_WAIT } kind;
    char *to;
    const char *from;
    size_t to_pitch, from_pitch, b, rows;
    void *copied; /* of pageable memory; freed when done */
    void (*entry)(const void *args);
    char args[256];
    uint32_t grid_x, grid_y, block;
    uint64_t position; /* FAKE_WAIT: of the record waited for, on its stream */
    struct fake_stream *other;
};

struct fake_stream {
    int device;
    struct fake_work *work; /* grows, never wraps */
    uint64_t n, done, room;
    bool eager;
};

struct fake_event {
    struct fake_stream *stream; /* of the last record; NULL: none, which counts as come */
    uint64_t position;
};

typedef struct fake_stream *cudaStream_t;
typedef struct fake_event *cudaEvent_t;

enum { FAKE_ALLOCATIONS = 512, FAKE_DEVICES = 2, FAKE_HOST = 9 };

static struct {
    pthread_mutex_t lock;
    uint64_t calls, fail_at;
    unsigned eager; /* bit 0: the first, third, ... stream is eager; bit 1: the others */
    int devices;
    uint64_t streams, events; /* alive */
    struct {
        char *at;
        size_t b;
        int device;
    } memory[FAKE_ALLOCATIONS];
} fake = {.lock = PTHREAD_MUTEX_INITIALIZER, .devices = FAKE_DEVICES};

static _Thread_local int fake_current;

/* Enters the runtime. An error ends the call, without the lock. */
static cudaError_t fake_enter(void)
{
    pthread_mutex_lock(&fake.lock);
    if (++fake.calls != fake.fail_at)
        return cudaSuccess;
    pthread_mutex_unlock(&fake.lock);
    return cudaErrorUnknown;
}

static cudaError_t fake_leave(cudaError_t error)
{
    pthread_mutex_unlock(&fake.lock);
    return error;
}

#define FAKE_ENTER()                                                                               \
    do {                                                                                           \
        cudaError_t fake_error = fake_enter();                                                     \
        if (fake_error != cudaSuccess)                                                             \
            return fake_error;                                                                     \
    } while (0)

/* Whose [at, at + b) is: a device, FAKE_HOST for pinned, -1 for memory that the runtime does not know. */
static int fake_owner(const void *at, size_t b)
{
    for (int i = 0; i < FAKE_ALLOCATIONS; i++) {
        const char *begin = fake.memory[i].at;
        if (begin && (const char *)at >= begin && (const char *)at < begin + fake.memory[i].b) {
            if ((const char *)at + b > begin + fake.memory[i].b)
                abort(); /* beyond the end */
            return fake.memory[i].device;
        }
    }
    return -1;
}

static cudaError_t fake_allocate(void **memory, size_t b, int device)
{
    for (int i = 0; i < FAKE_ALLOCATIONS; i++)
        if (!fake.memory[i].at) {
            if (posix_memalign(memory, 256, b) != 0)
                return cudaErrorMemoryAllocation;
            memset(*memory, 0xa5, b);
            fake.memory[i].at = *memory;
            fake.memory[i].b = b;
            fake.memory[i].device = device;
            return cudaSuccess;
        }
    return cudaErrorMemoryAllocation;
}

static cudaError_t fake_release(void *memory)
{
    if (!memory)
        return cudaSuccess;
    for (int i = 0; i < FAKE_ALLOCATIONS; i++)
        if (fake.memory[i].at == memory) {
            fake.memory[i].at = NULL;
            free(memory);
            return cudaSuccess;
        }
    abort(); /* freed twice, or not of this runtime */
}

static void fake_run(struct fake_stream *s, uint64_t until);

static void fake_do(struct fake_work *w)
{
    switch (w->kind) {
    case FAKE_COPY:
        for (size_t i = 0; i < w->rows; i++)
            memcpy(w->to + i * w->to_pitch, w->from + i * w->from_pitch, w->b);
        break;
    case FAKE_SET:
        memset(w->to, 0, w->b);
        break;
    case FAKE_KERNEL:
        if (cuda_on_cpu_run(w->entry, w->args, w->grid_x, w->grid_y, w->block) != 0)
            abort();
        break;
    case FAKE_WAIT:
        fake_run(w->other, w->position);
        break;
    case FAKE_RECORD:
        break;
    }
    free(w->copied);
}

/* Does the work before position `until`. */
static void fake_run(struct fake_stream *s, uint64_t until)
{
    while (s->done < until) {
        struct fake_work w = s->work[s->done++];
        fake_do(&w);
    }
}

static void fake_put(struct fake_stream *s, struct fake_work w)
{
    if (s->n == s->room) {
        s->room = 2 * s->room + 16;
        s->work = realloc(s->work, s->room * sizeof(*s->work));
        if (!s->work)
            abort();
    }
    s->work[s->n++] = w;
    if (s->eager)
        fake_run(s, s->n);
}

/* ---- The runtime ------------------------------------------------------------------------------------------ */

static inline const char *cudaGetErrorString(cudaError_t error)
{
    return error == cudaErrorMemoryAllocation ? "out of memory" : "a made failure";
}

static inline cudaError_t cudaGetLastError(void)
{
    return cudaSuccess;
}

static inline cudaError_t cudaGetDeviceCount(int *n)
{
    FAKE_ENTER();
    *n = fake.devices;
    return fake_leave(fake.devices > 0 ? cudaSuccess : cudaErrorNoDevice);
}

static inline cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *p, int device)
{
    (void)device;
    FAKE_ENTER();
    strcpy(p->name, "main memory");
    return fake_leave(cudaSuccess);
}

static inline cudaError_t cudaSetDevice(int device)
{
    FAKE_ENTER();
    fake_current = device;
    return fake_leave(device < fake.devices ? cudaSuccess : cudaErrorInvalidValue);
}

static inline cudaError_t cudaDeviceCanAccessPeer(int *can, int a, int b)
{
    FAKE_ENTER();
    *can = a != b;
    return fake_leave(cudaSuccess);
}

static inline cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned flags)
{
    (void)peer;
    (void)flags;
    FAKE_ENTER();
    return fake_leave(cudaSuccess);
}

static inline cudaError_t cudaMalloc(void **memory, size_t b)
{
    FAKE_ENTER();
    return fake_leave(fake_allocate(memory, b, fake_current));
}

static inline cudaError_t cudaHostAlloc(void **memory, size_t b, unsigned flags)
{
    (void)flags;
    FAKE_ENTER();
    return fake_leave(fake_allocate(memory, b, FAKE_HOST));
}

/* Freeing does not fail on demand: nobody could do anything about it. */
static inline cudaError_t cudaFree(void *memory)
{
    pthread_mutex_lock(&fake.lock);
    return fake_leave(fake_release(memory));
}

static inline cudaError_t cudaFreeHost(void *memory)
{
    return cudaFree(memory);
}

static inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags)
{
    (void)flags;
    FAKE_ENTER();
    *stream = calloc(1, sizeof(**stream));
    if (!*stream)
        abort();
    (*stream)->device = fake_current;
    (*stream)->eager = fake.eager >> fake.streams % 2 & 1;
    fake.streams++;
    return fake_leave(cudaSuccess);
}

static inline cudaError_t cudaStreamSynchronize(cudaStream_t s)
{
    pthread_mutex_lock(&fake.lock);
    fake_run(s, s->n);
    return fake_leave(cudaSuccess);
}

static inline cudaError_t cudaStreamDestroy(cudaStream_t s)
{
    pthread_mutex_lock(&fake.lock);
    fake_run(s, s->n);
    free(s->work);
    free(s);
    fake.streams--;
    return fake_leave(cudaSuccess);
}

static inline cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags)
{
    (void)flags;
    FAKE_ENTER();
    *event = calloc(1, sizeof(**event));
    if (!*event)
        abort();
    fake.events++;
    return fake_leave(cudaSuccess);
}

static inline cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t s)
{
    FAKE_ENTER();
    fake_put(s, (struct fake_work){.kind = FAKE_RECORD});
    *event = (struct fake_event){s, s->n};
    return fake_leave(cudaSuccess);
}

static inline cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    FAKE_ENTER();
    if (event->stream)
        fake_run(event->stream, event->position);
    return fake_leave(cudaSuccess);
}

static inline cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    pthread_mutex_lock(&fake.lock);
    free(event);
    fake.events--;
    return fake_leave(cudaSuccess);
}

static inline cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t event, unsigned flags)
{
    (void)flags;
    FAKE_ENTER();
    if (event->stream)
        fake_put(s, (struct fake_work){.kind = FAKE_WAIT,
                                       .other = event->stream,
                                       .position = event->position});
    return fake_leave(cudaSuccess);
}

/* Puts a copy on the stream, early where the runtime promises it. */
static cudaError_t fake_copy(struct fake_stream *s, struct fake_work w)
{
    size_t from_b = (w.rows - 1) * w.from_pitch + w.b, to_b = (w.rows - 1) * w.to_pitch + w.b;
    int from = fake_owner(w.from, from_b), to = fake_owner(w.to, to_b);
    if (from >= 0 && from != FAKE_HOST && to >= 0 && to != FAKE_HOST && from != to)
        abort(); /* between devices that is a peer copy */
    if (from == -1) {
        w.copied = malloc(from_b);
        if (!w.copied)
            abort();
        memcpy(w.copied, w.from, from_b);
        w.from = w.copied;
    }
    fake_put(s, w);
    if (to == -1)
        fake_run(s, s->n);
    return cudaSuccess;
}

static inline cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t b,
                                          enum cudaMemcpyKind kind, cudaStream_t s)
{
    (void)kind;
    FAKE_ENTER();
    return fake_leave(fake_copy(
        s, (struct fake_work){.kind = FAKE_COPY, .to = to, .from = from, .b = b, .rows = 1}));
}

static inline cudaError_t cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from,
                                            size_t from_pitch, size_t b, size_t rows,
                                            enum cudaMemcpyKind kind, cudaStream_t s)
{
    (void)kind;
    FAKE_ENTER();
    if (to_pitch < b || from_pitch < b)
        return fake_leave(cudaErrorInvalidValue);
    return fake_leave(fake_copy(s, (struct fake_work){.kind = FAKE_COPY,
                                                      .to = to,
                                                      .to_pitch = to_pitch,
                                                      .from = from,
                                                      .from_pitch = from_pitch,
                                                      .b = b,
                                                      .rows = rows}));
}

static inline cudaError_t cudaMemcpyPeerAsync(void *to, int to_device, const void *from,
                                              int from_device, size_t b, cudaStream_t s)
{
    FAKE_ENTER();
    if (fake_owner(to, b) != to_device || fake_owner(from, b) != from_device)
        abort();
    fake_put(s, (struct fake_work){.kind = FAKE_COPY, .to = to, .from = from, .b = b, .rows = 1});
    return fake_leave(cudaSuccess);
}

static inline cudaError_t cudaMemsetAsync(void *to, int value, size_t b, cudaStream_t s)
{
    if (value != 0)
        abort();
    FAKE_ENTER();
    fake_put(s, (struct fake_work){.kind = FAKE_SET, .to = to, .b = b});
    return fake_leave(cudaSuccess);
}

/* The launches of kernels_launch.h end here. */
static int fake_launch(void (*entry)(const void *args), const void *args, size_t args_b,
                       uint32_t grid_x, uint32_t grid_y, uint32_t block, void *stream)
{
    cudaStream_t s = stream;
    struct fake_work w = {
        .kind = FAKE_KERNEL, .entry = entry, .grid_x = grid_x, .grid_y = grid_y, .block = block};
    FAKE_ENTER();
    if (s->device != fake_current || args_b > sizeof(w.args))
        abort(); /* a stream of another device */
    memcpy(w.args, args, args_b);
    fake_put(s, w);
    return fake_leave(cudaSuccess);
}

#endif
