/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * device_cuda.c - pools in the memory of GPUs. In a build without CUDA this file is empty.
 *
 * Pools are dealt out to the GPUs in turn, so with fewer GPUs than pools several share one. To
 * move a part between packed memory on the host and a pool,
 *
 *      upload     packed (pinned) --DMA--> bounce buffer --scatter--> pages
 *      download   packed (pinned) <--DMA-- bounce buffer <--gather--- pages
 *      peer       pages --gather--> bounce --DMA--> bounce of the other GPU --scatter--> pages
 *
 * in chunks that fit the bounce buffer: some layers, or some tokens of one layer.
 *
 * A lane is a stream with a bounce buffer and a list of pages of its own. What is put on one
 * stream runs in order, so the buffers need no other protection than that a call puts its work
 * there in one go: (D1) work is put on a lane only with its lock held. A call then waits for an
 * event of its own without the lock, and the next call's copy queues up behind. Each pool has
 * LANES lanes up and as many down, so that one call's kernel runs beside another's copy. (D2) A
 * peer copy locks a lane down before a lane up, and nothing else locks two.
 *
 * (D3) No call returns before the device has done with its caller's memory, failed or not.
 *
 * Peer copies go directly where the GPUs can reach each other; elsewhere the runtime leads them
 * through main memory. Not yet run on hardware: tests/test_device_cuda.c runs it on a runtime
 * made of main memory.
 */
#ifdef KVT_CUDA

#include "device.h"

#include "device_impl.h"

#include "../kernels/cuda.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef BE_CUDA_RUNTIME
#include BE_CUDA_RUNTIME
#else
#include <cuda_runtime_api.h>
#endif

enum { LANES = 2 };

#ifndef BE_BOUNCE_B
#define BE_BOUNCE_B ((size_t)8 << 20)
#endif

struct lane {
    pthread_mutex_t lock;
    cudaStream_t stream;
    void *bounce;
    uint32_t *pages; /* of the device */
    uint64_t *sum;   /* of the device */
};

struct cuda_pool {
    int gpu;
    void *memory;
    struct lane up[LANES], down[LANES];
    unsigned next_up, next_down; /* atomic */
};

struct cuda {
    struct k_geometry g;
    size_t bounce_b;
    pthread_mutex_t lock;
    char failure[160];
    uint32_t n_pools;
    struct cuda_pool pools[];
};

/* Keeps the first failure's text. Returns -ENOMEM or -EIO. */
static int failed(struct cuda *d, const char *what, int error)
{
    pthread_mutex_lock(&d->lock);
    if (!d->failure[0])
        snprintf(d->failure, sizeof(d->failure), "cuda: %s: %s", what,
                 cudaGetErrorString((cudaError_t)error));
    pthread_mutex_unlock(&d->lock);
    (void)cudaGetLastError(); /* what can be forgotten is not reported twice */
    return error == (int)cudaErrorMemoryAllocation ? -ENOMEM : -EIO;
}

/* Runs a call of the runtime, unless one failed before; rc and d are the caller's. */
#define TRY(what, call)                                                                            \
    do {                                                                                           \
        int cuda_error = rc == 0 ? (int)(call) : 0;                                                \
        if (cuda_error != 0)                                                                       \
            rc = failed(d, what, cuda_error);                                                      \
    } while (0)

/* ---- Lanes ------------------------------------------------------------------------------------------------ */

static struct lane *lane_lock(struct lane *lanes, unsigned *next)
{
    struct lane *lane = &lanes[__atomic_fetch_add(next, 1, __ATOMIC_RELAXED) % LANES];
    pthread_mutex_lock(&lane->lock);
    return lane;
}

/* Gives the lane up and waits for what this call put on it. rc: whether that went well. */
static int lane_finish(struct cuda *d, struct lane *lane, int rc)
{
    cudaEvent_t done = NULL;
    TRY("event", cudaEventCreateWithFlags(&done, cudaEventDisableTiming | cudaEventBlockingSync));
    TRY("event", cudaEventRecord(done, lane->stream));
    pthread_mutex_unlock(&lane->lock);
    TRY("device", cudaEventSynchronize(done));
    if (rc != 0) /* (D3) */
        (void)cudaStreamSynchronize(lane->stream);
    if (done)
        (void)cudaEventDestroy(done);
    return rc;
}

/* Puts the part's pages where the lane's kernels find them. The list is the caller's pageable
 * memory, which the runtime has read when this returns. */
static int lane_pages(struct cuda *d, struct lane *lane, const struct k_part *part)
{
    uint32_t n = (part->first_token + part->tokens - 1) / d->g.page_tokens + 1;
    int rc = 0;
    TRY("pages", cudaMemcpyAsync(lane->pages, part->pages, n * sizeof(*part->pages),
                                 cudaMemcpyHostToDevice, lane->stream));
    return rc;
}

/* ---- Chunks ----------------------------------------------------------------------------------------------- */

/* A piece of a part that fits the bounce buffer, and where it lies in the part's packed bytes:
 * `planes` pieces of b bytes, pitch_b apart. */
struct chunk {
    struct k_part part;
    size_t packed_b, pitch_b, b, planes;
};

/* The chunk that begins `layer` layers and `token` tokens into the part. pages: as the device has them. */
static struct chunk chunk_at(const struct cuda *d, const struct k_part *part, uint32_t *pages,
                             uint32_t layer, uint32_t token)
{
    const size_t row_b = k_row_b(&d->g), pitch_b = part->tokens * row_b;
    const size_t fit = d->bounce_b / (2 * pitch_b), rows = d->bounce_b / (2 * row_b);
    uint32_t layers = fit == 0 ? 1 : part->layers - layer, tokens = part->tokens - token;
    if (fit > 0 && layers > fit)
        layers = (uint32_t)fit;
    if (fit == 0 && tokens > rows)
        tokens = (uint32_t)rows;
    return (struct chunk){
        .part = {pages, part->first_token + token, tokens, part->layer0 + layer, layers},
        .packed_b = 2 * (size_t)layer * pitch_b + token * row_b,
        .pitch_b = pitch_b,
        .b = tokens * row_b,
        .planes = 2 * (size_t)layers,
    };
}

/* To the next one; false at the end. */
static bool chunk_next(const struct chunk *c, const struct k_part *part, uint32_t *layer,
                       uint32_t *token)
{
    *token += c->part.tokens;
    if (*token == part->tokens) {
        *token = 0;
        *layer += c->part.layers;
    }
    return *layer < part->layers;
}

/* Between packed memory and the bounce buffer; in one piece where it is one. */
static cudaError_t chunk_copy(const struct chunk *c, void *to, size_t to_pitch_b, const void *from,
                              size_t from_pitch_b, enum cudaMemcpyKind kind, cudaStream_t stream)
{
    if (c->b == c->pitch_b)
        return cudaMemcpyAsync(to, from, c->planes * c->b, kind, stream);
    return cudaMemcpy2DAsync(to, to_pitch_b, from, from_pitch_b, c->b, c->planes, kind, stream);
}

static bool is_empty(const struct k_part *part)
{
    return part->tokens == 0 || part->layers == 0;
}

/* ---- The calls -------------------------------------------------------------------------------------------- */

static void *cuda_stage_new(void *self, size_t b)
{
    void *stage = NULL;
    (void)self;
    if (cudaHostAlloc(&stage, b, cudaHostAllocPortable) == cudaSuccess)
        return stage;
    (void)cudaGetLastError();
    return NULL;
}

static void cuda_stage_free(void *self, void *stage, size_t b)
{
    (void)self;
    (void)b;
    if (stage)
        (void)cudaFreeHost(stage);
}

static int cuda_upload(void *self, uint32_t pool, const struct k_part *part, const void *packed)
{
    struct cuda *d = self;
    struct cuda_pool *p = &d->pools[pool];
    uint32_t layer = 0, token = 0;
    struct chunk c;
    int rc = 0;
    if (is_empty(part))
        return 0;
    TRY("device", cudaSetDevice(p->gpu));
    struct lane *lane = lane_lock(p->up, &p->next_up);
    if (rc == 0)
        rc = lane_pages(d, lane, part);
    do {
        c = chunk_at(d, part, lane->pages, layer, token);
        const void *from = (const char *)packed + c.packed_b;
        TRY("upload", chunk_copy(&c, lane->bounce, c.b, from, c.pitch_b, cudaMemcpyHostToDevice,
                                 lane->stream));
        TRY("scatter", k_cuda_scatter(&d->g, p->memory, &c.part, lane->bounce, lane->stream));
    } while (rc == 0 && chunk_next(&c, part, &layer, &token));
    return lane_finish(d, lane, rc);
}

static int cuda_download(void *self, uint32_t pool, const struct k_part *part, void *packed)
{
    struct cuda *d = self;
    struct cuda_pool *p = &d->pools[pool];
    uint32_t layer = 0, token = 0;
    struct chunk c;
    int rc = 0;
    if (is_empty(part))
        return 0;
    TRY("device", cudaSetDevice(p->gpu));
    struct lane *lane = lane_lock(p->down, &p->next_down);
    if (rc == 0)
        rc = lane_pages(d, lane, part);
    do {
        c = chunk_at(d, part, lane->pages, layer, token);
        TRY("gather", k_cuda_gather(&d->g, p->memory, &c.part, lane->bounce, lane->stream));
        void *to = (char *)packed + c.packed_b;
        TRY("download",
            chunk_copy(&c, to, c.pitch_b, lane->bounce, c.b, cudaMemcpyDeviceToHost, lane->stream));
    } while (rc == 0 && chunk_next(&c, part, &layer, &token));
    return lane_finish(d, lane, rc);
}

static int cuda_fill(void *self, uint32_t pool, const struct k_part *part, uint64_t seed)
{
    struct cuda *d = self;
    struct cuda_pool *p = &d->pools[pool];
    struct k_part there = *part;
    int rc = 0;
    if (is_empty(part))
        return 0;
    TRY("device", cudaSetDevice(p->gpu));
    struct lane *lane = lane_lock(p->up, &p->next_up);
    there.pages = lane->pages;
    if (rc == 0)
        rc = lane_pages(d, lane, part);
    TRY("fill", k_cuda_fill(&d->g, p->memory, &there, seed, lane->stream));
    return lane_finish(d, lane, rc);
}

static int cuda_checksum(void *self, uint32_t pool, const struct k_part *part, uint64_t *sum)
{
    struct cuda *d = self;
    struct cuda_pool *p = &d->pools[pool];
    struct k_part there = *part;
    int rc = 0;
    *sum = 0;
    if (!is_empty(part)) {
        TRY("device", cudaSetDevice(p->gpu));
        struct lane *lane = lane_lock(p->down, &p->next_down);
        there.pages = lane->pages;
        if (rc == 0)
            rc = lane_pages(d, lane, part);
        TRY("checksum", cudaMemsetAsync(lane->sum, 0, sizeof(*sum), lane->stream));
        TRY("checksum", k_cuda_checksum_paged(&d->g, p->memory, &there, lane->sum, lane->stream));
        TRY("checksum",
            cudaMemcpyAsync(sum, lane->sum, sizeof(*sum), cudaMemcpyDeviceToHost, lane->stream));
        rc = lane_finish(d, lane, rc);
    }
    *sum = k_cuda_checksum_end(*sum, k_packed_b(&d->g, part->layers, part->tokens));
    return rc;
}

/* One chunk from lane `down` of pool p to lane `up` of pool q. The next chunk's gather waits
 * until this one has left its bounce buffer; so does any later call's, being behind it on the
 * stream. */
static int peer_chunk(struct cuda *d, struct cuda_pool *p, struct lane *down, struct cuda_pool *q,
                      struct lane *up, const struct chunk *c)
{
    struct k_part to = c->part;
    cudaEvent_t gathered = NULL, left = NULL;
    int rc = 0;
    to.pages = up->pages;
    TRY("device", cudaSetDevice(p->gpu));
    TRY("event", cudaEventCreateWithFlags(&gathered, cudaEventDisableTiming));
    TRY("gather", k_cuda_gather(&d->g, p->memory, &c->part, down->bounce, down->stream));
    TRY("event", cudaEventRecord(gathered, down->stream));
    TRY("device", cudaSetDevice(q->gpu));
    TRY("event", cudaEventCreateWithFlags(&left, cudaEventDisableTiming));
    TRY("event", cudaStreamWaitEvent(up->stream, gathered, 0));
    TRY("peer", cudaMemcpyPeerAsync(up->bounce, q->gpu, down->bounce, p->gpu, c->planes * c->b,
                                    up->stream));
    TRY("event", cudaEventRecord(left, up->stream));
    TRY("scatter", k_cuda_scatter(&d->g, q->memory, &to, up->bounce, up->stream));
    TRY("event", cudaStreamWaitEvent(down->stream, left, 0));
    /* An event that is waited for may be destroyed: it goes when it has come. */
    if (gathered)
        (void)cudaEventDestroy(gathered);
    if (left)
        (void)cudaEventDestroy(left);
    return rc;
}

static int cuda_peer(void *self, uint32_t from_pool, const struct k_part *from, uint32_t to_pool,
                     const uint32_t *to_pages)
{
    struct cuda *d = self;
    struct cuda_pool *p = &d->pools[from_pool], *q = &d->pools[to_pool];
    struct k_part to = *from;
    uint32_t layer = 0, token = 0;
    struct chunk c;
    int rc = 0;
    if (is_empty(from))
        return 0;
    to.pages = to_pages;
    struct lane *down = lane_lock(p->down, &p->next_down); /* (D2) */
    struct lane *up = lane_lock(q->up, &q->next_up);
    TRY("device", cudaSetDevice(p->gpu));
    if (rc == 0)
        rc = lane_pages(d, down, from);
    TRY("device", cudaSetDevice(q->gpu));
    if (rc == 0)
        rc = lane_pages(d, up, &to);
    do {
        c = chunk_at(d, from, down->pages, layer, token);
        if (rc == 0)
            rc = peer_chunk(d, p, down, q, up, &c);
    } while (rc == 0 && chunk_next(&c, from, &layer, &token));
    if (rc != 0)
        (void)cudaStreamSynchronize(down->stream);
    pthread_mutex_unlock(&down->lock);
    return lane_finish(d, up, rc);
}

static const char *cuda_failure(void *self)
{
    struct cuda *d = self;
    pthread_mutex_lock(&d->lock); /* written once: whoever saw a failure sees the whole text */
    pthread_mutex_unlock(&d->lock);
    return d->failure;
}

/* ---- Opening and closing ---------------------------------------------------------------------------------- */

static void lane_settle(struct lane *lane)
{
    if (lane->stream)
        (void)cudaStreamSynchronize(lane->stream);
}

static void lane_release(struct lane *lane)
{
    if (lane->stream)
        (void)cudaStreamDestroy(lane->stream);
    (void)cudaFree(lane->bounce);
    (void)cudaFree(lane->pages);
    (void)cudaFree(lane->sum);
    pthread_mutex_destroy(&lane->lock);
}

static void cuda_free(void *self)
{
    struct cuda *d = self;
    /* All come to rest before the first goes: a stream down may still wait for another pool's stream up. */
    for (uint32_t i = 0; i < d->n_pools; i++)
        for (int j = 0; j < LANES; j++) {
            lane_settle(&d->pools[i].up[j]);
            lane_settle(&d->pools[i].down[j]);
        }
    for (uint32_t i = 0; i < d->n_pools; i++) {
        struct cuda_pool *p = &d->pools[i];
        (void)cudaSetDevice(p->gpu);
        for (int j = 0; j < LANES; j++) {
            lane_release(&p->up[j]);
            lane_release(&p->down[j]);
        }
        (void)cudaFree(p->memory);
    }
    pthread_mutex_destroy(&d->lock);
    free(d);
}

static int lane_init(struct cuda *d, struct lane *lane)
{
    int rc = 0;
    TRY("stream", cudaStreamCreateWithFlags(&lane->stream, cudaStreamNonBlocking));
    TRY("bounce buffer", cudaMalloc(&lane->bounce, d->bounce_b));
    TRY("pages", cudaMalloc((void **)&lane->pages, d->g.pages * sizeof(*lane->pages)));
    TRY("sum", cudaMalloc((void **)&lane->sum, sizeof(*lane->sum)));
    return rc;
}

static int pool_init(struct cuda *d, struct cuda_pool *p)
{
    int rc = 0;
    for (int i = 0; i < LANES; i++) {
        pthread_mutex_init(&p->up[i].lock, NULL);
        pthread_mutex_init(&p->down[i].lock, NULL);
    }
    TRY("device", cudaSetDevice(p->gpu));
    TRY("pool", cudaMalloc(&p->memory, k_pool_b(&d->g)));
    for (int i = 0; i < LANES && rc == 0; i++) {
        rc = lane_init(d, &p->up[i]);
        if (rc == 0)
            rc = lane_init(d, &p->down[i]);
    }
    return rc;
}

/* Lets GPUs reach each other where they can; where not, copies take the way through main memory. */
static void introduce(int gpus)
{
    for (int a = 0; a < gpus; a++)
        for (int b = 0; b < gpus; b++) {
            int can = 0;
            if (a == b || cudaDeviceCanAccessPeer(&can, a, b) != cudaSuccess || !can)
                continue;
            if (cudaSetDevice(a) == cudaSuccess)
                (void)cudaDeviceEnablePeerAccess(b, 0);
            (void)cudaGetLastError(); /* enabled before is not an error here */
        }
}

static const struct be_device_ops cuda_ops = {
    .name = "cuda",
    .stage_new = cuda_stage_new,
    .stage_free = cuda_stage_free,
    .upload = cuda_upload,
    .download = cuda_download,
    .fill = cuda_fill,
    .checksum = cuda_checksum,
    .peer = cuda_peer,
    .failure = cuda_failure,
    .free = cuda_free,
};

/* 0 and how many; -ENODEV and why not. */
static int count_gpus(int *gpus, char *text, size_t size)
{
    cudaError_t error = cudaGetDeviceCount(gpus);
    if (error == cudaSuccess && *gpus > 0)
        return 0;
    snprintf(text, size, "%s", error == cudaSuccess ? "no GPU" : cudaGetErrorString(error));
    (void)cudaGetLastError();
    return -ENODEV;
}

/* "NVIDIA A100-SXM4-80GB x 8"; the GPUs of a machine are taken to be alike. */
static void name_gpus(int gpus, char *text, size_t size)
{
    struct cudaDeviceProp properties;
    bool known = cudaGetDeviceProperties(&properties, 0) == cudaSuccess;
    snprintf(text, size, "%.100s x %d", known ? properties.name : "GPU", gpus);
}

int be_device_cuda_open(struct be_device *device, const struct be_device_config *config,
                        char *error, size_t error_size)
{
    char why[128];
    int gpus = 0, rc = count_gpus(&gpus, why, sizeof(why));
    if (rc != 0) {
        snprintf(error, error_size, "device: cuda: %s", why);
        return rc;
    }
    struct cuda *d = calloc(1, sizeof(*d) + config->pools * sizeof(d->pools[0]));
    if (!d) {
        snprintf(error, error_size, "device: out of memory");
        return -ENOMEM;
    }
    d->g = config->geometry;
    /* At least a token of one layer. */
    d->bounce_b = 2 * k_row_b(&d->g) > BE_BOUNCE_B ? 2 * k_row_b(&d->g) : BE_BOUNCE_B;
    pthread_mutex_init(&d->lock, NULL);
    introduce(gpus);
    while (rc == 0 && d->n_pools < config->pools) {
        struct cuda_pool *p = &d->pools[d->n_pools];
        p->gpu = (int)(d->n_pools++ % (uint32_t)gpus);
        rc = pool_init(d, p);
    }
    if (rc != 0) {
        snprintf(error, error_size, "device: pool %u of %u: %s", d->n_pools - 1, config->pools,
                 d->failure);
        cuda_free(d);
        return rc;
    }
    *device = (struct be_device){.ops = &cuda_ops, .self = d};
    name_gpus(gpus, device->title, sizeof(device->title));
    return 0;
}

void be_device_cuda_survey(char *text, size_t size)
{
    int gpus = 0;
    if (count_gpus(&gpus, text, size) == 0)
        name_gpus(gpus, text, size);
}

#else
typedef int be_device_cuda_is_not_in_this_build;
#endif
