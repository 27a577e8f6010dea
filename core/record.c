/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * record.c - see record.h. Everything goes through put(), which fills the one chunk and sends it
 * off when it is full. After the first error of the sink nothing is written any more; the run goes
 * on.
 */
#include "record.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { HEAD_B = 12, LEB_B = 10, KEY_B = 16 };

static void put_le(unsigned char *to, uint64_t v, int n)
{
    for (int i = 0; i < n; i++)
        to[i] = (unsigned char)(v >> (8 * i));
}

static void send(struct kvt_record *r)
{
    if (!r->error) {
        const unsigned char *records = r->chunk + HEAD_B;
        put_le(r->chunk, r->used, 4);
        put_le(r->chunk + 4, XXH3_64bits_withSeed(records, r->used, r->n_chunks++), 8);
        r->error = r->sink.write(r->sink.self, r->chunk, HEAD_B + r->used);
    }
    r->used = 0;
}

static void put(struct kvt_record *r, const void *bytes, size_t n)
{
    const unsigned char *from = bytes;
    while (n) {
        const size_t room = KVT_RECORD_CHUNK_B - r->used;
        const size_t part = n < room ? n : room;
        memcpy(r->chunk + HEAD_B + r->used, from, part);
        r->used += (uint32_t)part;
        from += part;
        n -= part;
        if (r->used == KVT_RECORD_CHUNK_B)
            send(r);
    }
}

/* n numbers, LEB128. */
static void put_leb(struct kvt_record *r, const uint64_t *numbers, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char bytes[LEB_B];
        size_t used = 0;
        uint64_t v = numbers[i];
        for (; v > 127; v >>= 7)
            bytes[used++] = (unsigned char)(v | 128);
        bytes[used++] = (unsigned char)v;
        put(r, bytes, used);
    }
}

static void put_kind(struct kvt_record *r, enum kvt_record_kind kind, kvt_ns now)
{
    assert(now >= r->now); /* (P3) */
    const unsigned char byte = (unsigned char)kind;
    put(r, &byte, 1);
    put_leb(r, &(uint64_t){now - r->now}, 1);
    r->now = now;
}

/* KVT_NONE becomes 0. */
static uint64_t or_none(uint32_t v)
{
    return (uint32_t)(v + 1u);
}

static void put_key(struct kvt_record *r, kvt_key k)
{
    unsigned char key[KEY_B];
    put_le(key, k.hi, 8);
    put_le(key + 8, k.lo, 8);
    put(r, key, sizeof key);
}

static void put_words(struct kvt_record *r, const uint32_t *words, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        put_leb(r, &(uint64_t){words[i]}, 1);
}

static void record_wording(struct kvt_record *r, kvt_ns now, const struct kvt_request *q)
{
    if (q->root.hi || q->root.lo) {
        put_kind(r, KVT_RECORD_ROOT, now);
        put_key(r, q->root);
    }
    put_kind(r, KVT_RECORD_WORDING, now);
    put_leb(r, &(uint64_t){q->prompt_tokens}, 1);
    put_words(r, q->tokens, q->prompt_tokens);
    put_leb(r, &(uint64_t){q->letters ? (uint64_t)q->n_letters + 1 : 0}, 1);
    if (q->letters)
        put_words(r, q->letters, q->n_letters);
}

/* Blocks that come back together come in a row, and cost a byte each; so do those that never do. */
static void record_future(struct kvt_record *r, kvt_ns now, const struct kvt_request *q)
{
    uint64_t before = 0;
    put_kind(r, KVT_RECORD_FUTURE, now);
    put_leb(r, &(uint64_t){q->n_keys}, 1);
    for (uint32_t i = 0; i < q->n_keys; i++) {
        const uint64_t next = q->next_use[i] + 1; /* KVT_NEVER: 0 */
        put_leb(r, &(uint64_t){next - before}, 1);
        before = next;
    }
}

static void put_keys(struct kvt_record *r, const kvt_key *keys, size_t n)
{
    for (size_t i = 0; i < n; i++)
        put_key(r, keys[i]);
}

static void record_request(void *self, kvt_ns now, const struct kvt_request *q)
{
    struct kvt_record *r = self;
    if (q->region) {
        put_kind(r, KVT_RECORD_REGION, now);
        put_leb(r, &(uint64_t){q->region}, 1);
    }
    if (q->tokens)
        record_wording(r, now, q);
    if (q->next_use && q->n_keys > 0)
        record_future(r, now, q);
    put_kind(r, q->background ? KVT_RECORD_BACKGROUND : KVT_RECORD_REQUEST, now);
    const uint64_t fields[] = {q->id - r->id,    now - q->arrive_ns, q->tenant, or_none(q->session),
                               q->prompt_tokens, q->output_tokens,   q->n_keys};
    put_leb(r, fields, sizeof fields / sizeof *fields);
    r->id = q->id;
    put_keys(r, q->keys, q->n_keys);
}

static void record_discard(void *self, kvt_ns now, const kvt_key *keys, size_t n)
{
    put_kind(self, KVT_RECORD_DISCARD, now);
    put_leb(self, &(uint64_t){n}, 1);
    put_keys(self, keys, n);
}

static void record_done(void *self, kvt_ns now, const struct kvt_done *d)
{
    struct kvt_record *r = self;
    put_kind(r, KVT_RECORD_DONE, now);
    uint64_t fields[6 + KVT_SPANS] = {d->op.v,      (uint64_t)d->status,
                                      d->blocks_ok, d->iterations,
                                      d->bytes,     0};
    size_t n = 6;
    for (int s = 0; s < KVT_SPANS; s++) {
        if (!d->span_ns[s])
            continue;
        fields[5] |= UINT64_C(1) << s;
        fields[n++] = d->span_ns[s];
    }
    put_leb(r, fields, n);
}

static void record_timer(void *self, kvt_ns now, uint64_t timer)
{
    put_kind(self, KVT_RECORD_TIMER, now);
    put_leb(self, &timer, 1);
}

static void record_updown(void *self, kvt_ns now, bool up, enum kvt_tier_kind tier,
                          kvt_engine_id engine)
{
    put_kind(self, up ? KVT_RECORD_UP : KVT_RECORD_DOWN, now);
    put_leb(self, (const uint64_t[]){(uint64_t)tier, or_none(engine.v)}, 2);
}

static void record_gpu_lost(void *self, kvt_ns now, kvt_engine_id engine, uint32_t gpu)
{
    put_kind(self, KVT_RECORD_GPU_LOST, now);
    put_leb(self, (const uint64_t[]){or_none(engine.v), gpu}, 2);
}

static void record_lost(void *self, kvt_ns now, enum kvt_tier_kind tier, kvt_engine_id engine,
                        uint32_t part, uint32_t parts)
{
    put_kind(self, KVT_RECORD_LOST, now);
    put_leb(self, (const uint64_t[]){(uint64_t)tier, or_none(engine.v), part, parts}, 4);
}

static void record_resize(void *self, kvt_ns now)
{
    put_kind(self, KVT_RECORD_RESIZE, now);
}

static void record_refused(void *self, kvt_ns now, kvt_op_id op, int error)
{
    assert(error < 0);
    put_kind(self, KVT_RECORD_REFUSED, now);
    put_leb(self, (const uint64_t[]){op.v, (uint64_t) - (int64_t)error}, 2);
}

int kvt_record_init(struct kvt_record *record, const struct kvt_alloc *alloc,
                    const struct kvt_sink *sink)
{
    *record = (struct kvt_record){
        .tap = {.request = record_request,
                .done = record_done,
                .timer = record_timer,
                .updown = record_updown,
                .gpu_lost = record_gpu_lost,
                .lost = record_lost,
                .discard = record_discard,
                .resize = record_resize,
                .refused = record_refused,
                .self = record},
        .alloc = alloc,
        .sink = *sink,
    };
    record->chunk = alloc->get(alloc->self, HEAD_B + KVT_RECORD_CHUNK_B);
    if (!record->chunk)
        return -ENOMEM;
    unsigned char head[8] = {'K', 'V', 'T', 'R', 'E', 'C'};
    put_le(head + 6, KVT_RECORD_VERSION, 2);
    record->error = sink->write(sink->self, head, sizeof head);
    if (record->error)
        kvt_record_release(record);
    return record->error;
}

const struct kvt_tap *kvt_record_tap(const struct kvt_record *record)
{
    return &record->tap;
}

int kvt_record_finish(struct kvt_record *record)
{
    if (record->used)
        send(record);
    send(record); /* an empty chunk is the end */
    return record->error;
}

void kvt_record_release(struct kvt_record *record)
{
    if (record->chunk)
        record->alloc->put(record->alloc->self, record->chunk, HEAD_B + KVT_RECORD_CHUNK_B);
    record->chunk = NULL;
}
