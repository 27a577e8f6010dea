/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * replay.c - see replay.h. In three layers, each of which reports failure by false or a negative
 * errno:
 *
 *      chunks    next_chunk, take        bytes, checked by their checksum
 *      fields    get_leb, get_u32, ...   numbers, checked by their range
 *      inputs    feed_*                  checked by what core asked for
 *
 * Refusals are read one ahead: after an input's record come those of the operations that its
 * handling issued, so the port, when core asks, knows whether this one is next.
 */
#include "replay.h"

#include "core.h"
#include "record.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { MAGIC_B = 6, OPENING_B = 8, HEAD_B = 12, KEY_B = 16, FIRST_ROOM = 64 };

enum under_way { NOTHING, TRANSFER, STEP };

struct kvt_replay_op {
    kvt_ns begin_ns;
    uint32_t most; /* blocks, or iterations */
    enum under_way kind;
};

/* ---- Chunks. --------------------------------------------------------------------------------- */

static uint64_t get_le(const unsigned char *from, int n)
{
    uint64_t v = 0;
    for (int i = n - 1; i >= 0; i--)
        v = v << 8 | from[i];
    return v;
}

/* To the chunk behind the one just read. False: cut, damaged, or there is none (then `ended`). */
static bool next_chunk(struct kvt_replay *r)
{
    const size_t left_b = (size_t)(r->limit - r->rest);
    if (r->ended || left_b < HEAD_B)
        return false;
    const unsigned char *records = r->rest + HEAD_B;
    const uint64_t n = get_le(r->rest, 4);
    if (n > KVT_RECORD_CHUNK_B || n > left_b - HEAD_B ||
        XXH3_64bits_withSeed(records, n, r->n_chunks) != get_le(r->rest + 4, 8))
        return false;
    r->n_chunks++;
    r->at = records;
    r->rest = r->end = records + n;
    r->ended = n == 0;
    return n > 0;
}

static bool take(struct kvt_replay *r, unsigned char *to, size_t n)
{
    while (n) {
        if (r->at == r->end && !next_chunk(r))
            return false;
        const size_t here = (size_t)(r->end - r->at);
        const size_t part = n < here ? n : here;
        memcpy(to, r->at, part);
        r->at += part;
        to += part;
        n -= part;
    }
    return true;
}

/* ---- Fields. --------------------------------------------------------------------------------- */

static bool get_leb(struct kvt_replay *r, uint64_t *v)
{
    *v = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        unsigned char byte;
        if (!take(r, &byte, 1) || (shift == 63 && byte > 1))
            return false;
        *v |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            return true;
    }
    return false;
}

static bool get_u32(struct kvt_replay *r, uint32_t *v)
{
    uint64_t wide;
    if (!get_leb(r, &wide) || wide > UINT32_MAX)
        return false;
    *v = (uint32_t)wide;
    return true;
}

/* A number that may be KVT_NONE, which is written as 0. */
static bool get_or_none(struct kvt_replay *r, uint32_t *v)
{
    if (!get_u32(r, v))
        return false;
    *v -= 1u;
    return true;
}

static bool get_below(struct kvt_replay *r, uint32_t limit, uint32_t *v)
{
    return get_u32(r, v) && *v < limit;
}

/* True when another record follows in full chunks, and which. Does not move on. False also when the
 * recording is over (`ended`) or its next chunk is bad. */
static bool peek_kind(struct kvt_replay *r, unsigned char *kind)
{
    if (r->at == r->end && !next_chunk(r))
        return false;
    *kind = *r->at;
    return true;
}

static bool get_time(struct kvt_replay *r)
{
    uint64_t passed;
    if (!get_leb(r, &passed) || passed > KVT_NEVER - r->now)
        return false;
    r->now += passed;
    return true;
}

/* Reads the refusal that follows, if one does. */
static bool get_refusal(struct kvt_replay *r)
{
    unsigned char kind;
    uint32_t error;
    r->refusal.due = peek_kind(r, &kind) && kind == KVT_RECORD_REFUSED;
    if (!r->refusal.due)
        return true; /* what is wrong, if anything, shows when the next record is read */
    const kvt_ns now = r->now;
    if (!take(r, &kind, 1) || !get_time(r) || r->now != now || !get_u32(r, &r->refusal.op) ||
        !get_below(r, INT32_MAX, &error) || !error)
        return false;
    r->refusal.error = -(int)error;
    return true;
}

/* ---- The mute port. -------------------------------------------------------------------------- */

/* A larger array with the old one's contents and zeroes behind them, or NULL. */
static void *grow(const struct kvt_alloc *alloc, void *old, size_t old_b, size_t new_b)
{
    unsigned char *new = alloc->get(alloc->self, new_b);
    if (!new)
        return NULL;
    if (old)
        memcpy(new, old, old_b);
    memset(new + old_b, 0, new_b - old_b);
    alloc->put(alloc->self, old, old_b);
    return new;
}

static int fail(struct kvt_replay *r, int error)
{
    if (!r->error)
        r->error = error;
    return r->error;
}

static int issue(struct kvt_replay *r, uint32_t op, enum under_way kind, uint32_t most)
{
    if (r->error)
        return r->error;
    if (r->refusal.due && r->refusal.op == op) {
        const int error = r->refusal.error;
        return get_refusal(r) ? error : fail(r, -EBADMSG);
    }
    if (op >= r->n_ops) {
        uint64_t room = r->n_ops ? (uint64_t)r->n_ops * 2 : FIRST_ROOM;
        while (room <= op)
            room *= 2;
        struct kvt_replay_op *ops =
            room > UINT32_MAX ? NULL
                              : grow(r->alloc, r->ops, r->n_ops * sizeof *ops, room * sizeof *ops);
        if (!ops)
            return fail(r, -ENOMEM);
        r->ops = ops;
        r->n_ops = (uint32_t)room;
    }
    assert(r->ops[op].kind ==
           NOTHING); /* core must not reuse the number of an operation under way */
    r->ops[op] = (struct kvt_replay_op){.begin_ns = r->now, .most = most, .kind = kind};
    return 0;
}

static int mute_transfer(void *self, const struct kvt_transfer *t)
{
    return issue(self, t->op.v, TRANSFER, t->n_blocks);
}

static int mute_step(void *self, const struct kvt_step *s)
{
    return issue(self, s->op.v, STEP, s->repeat);
}

static void mute_interrupt(void *self, kvt_engine_id engine)
{
    (void)self;
    (void)engine;
}

static void mute_arm(void *self, uint64_t timer, kvt_ns at)
{
    (void)self;
    (void)timer;
    (void)at;
}

static void mute_note(void *self, const struct kvt_note *note)
{
    const struct kvt_replay *r = self;
    if (r->observer)
        r->observer->note(r->observer->self, note);
}

struct kvt_port kvt_replay_port(struct kvt_replay *replay)
{
    static const struct kvt_port_ops ops = {
        .name = "mute",
        .probe = mute_transfer,
        .load = mute_transfer,
        .store = mute_transfer,
        .drop = mute_transfer,
        .step = mute_step,
        .interrupt = mute_interrupt,
        .arm = mute_arm,
        .note = mute_note,
    };
    return (struct kvt_port){&ops, replay};
}

/* ---- Inputs: each reads its fields, then the refusal behind them, then enters core. ---------- */

static bool get_key(struct kvt_replay *r, kvt_key *k)
{
    unsigned char key[KEY_B];
    if (!take(r, key, sizeof key))
        return false;
    *k = (kvt_key){.hi = get_le(key, 8), .lo = get_le(key + 8, 8)};
    return true;
}

/* The keys have to be in the recording before room for them is asked for. */
static int get_keys(struct kvt_replay *r, uint32_t n)
{
    const uint64_t left_b = (uint64_t)(r->end - r->at) + (uint64_t)(r->limit - r->rest);
    if (n > left_b / KEY_B)
        return -EBADMSG;
    if (n > r->n_keys) {
        kvt_key *keys = r->alloc->get(r->alloc->self, n * sizeof *keys);
        if (!keys)
            return -ENOMEM;
        r->alloc->put(r->alloc->self, r->keys, r->n_keys * sizeof *keys);
        r->keys = keys;
        r->n_keys = n;
    }
    for (uint32_t i = 0; i < n; i++)
        if (!get_key(r, &r->keys[i]))
            return -EBADMSG;
    return 0;
}

/* So many words, each of which takes at least a byte of the recording. */
static int get_words(struct kvt_replay *r, struct kvt_replay_words *w, uint64_t n)
{
    const uint64_t left_b = (uint64_t)(r->end - r->at) + (uint64_t)(r->limit - r->rest);
    if (n > left_b || n > UINT32_MAX / 2)
        return -EBADMSG;
    if (n > w->room) {
        uint32_t *words = r->alloc->get(r->alloc->self, n * sizeof *words);
        if (!words)
            return -ENOMEM;
        r->alloc->put(r->alloc->self, w->words, w->room * sizeof *words);
        w->words = words;
        w->room = (uint32_t)n;
    }
    for (uint64_t i = 0; i < n; i++)
        if (!get_u32(r, &w->words[i]))
            return -EBADMSG;
    w->n = (uint32_t)n;
    w->there = true;
    return 0;
}

/* What comes before the request that it belongs to. */
static int get_wording(struct kvt_replay *r)
{
    uint64_t n;
    if (!get_leb(r, &n) || !n)
        return -EBADMSG;
    const int error = get_words(r, &r->tokens, n);
    if (error)
        return error;
    if (!get_leb(r, &n))
        return -EBADMSG;
    return n ? get_words(r, &r->letters, n - 1) : 0;
}

static int get_future(struct kvt_replay *r)
{
    const uint64_t left_b = (uint64_t)(r->end - r->at) + (uint64_t)(r->limit - r->rest);
    uint32_t n;
    if (!get_u32(r, &n) || n > left_b)
        return -EBADMSG;
    if (n > r->future.room) {
        uint64_t *next = r->alloc->get(r->alloc->self, n * sizeof *next);
        if (!next)
            return -ENOMEM;
        r->alloc->put(r->alloc->self, r->future.next, r->future.room * sizeof *next);
        r->future.next = next;
        r->future.room = n;
    }
    uint64_t before = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t more;
        if (!get_leb(r, &more))
            return -EBADMSG;
        before += more;
        r->future.next[i] = before - 1;
    }
    r->future.n = n;
    r->future.there = true;
    return 0;
}

static int feed_request(struct kvt_replay *r, struct kvt_core *core, bool background)
{
    struct kvt_request q = {.background = background,
                            .tokens = r->tokens.there ? r->tokens.words : NULL,
                            .letters = r->letters.there ? r->letters.words : NULL,
                            .n_letters = r->letters.there ? r->letters.n : 0,
                            .next_use = r->future.there ? r->future.next : NULL,
                            .root = r->root,
                            .region = r->region};
    uint64_t id, age;
    if (!get_leb(r, &id) || !get_leb(r, &age) || age > r->now || !get_u32(r, &q.tenant) ||
        !get_or_none(r, &q.session) || !get_u32(r, &q.prompt_tokens) ||
        !get_u32(r, &q.output_tokens) || !get_u32(r, &q.n_keys) ||
        (q.tokens && r->tokens.n != q.prompt_tokens) || (q.next_use && r->future.n != q.n_keys))
        return -EBADMSG;
    r->id += id;
    q.id = r->id;
    q.arrive_ns = r->now - age;
    int error = get_keys(r, q.n_keys);
    if (error)
        return error;
    q.keys = r->keys;
    if (!get_refusal(r))
        return -EBADMSG;
    error = kvt_core_request(core, r->now, &q);
    return error == -EINVAL ? -EBADMSG : error; /* nonsense is not recorded */
}

/* The completion must be one that the operation could have had. */
static bool plausible(const struct kvt_replay *r, const struct kvt_done *d)
{
    if (d->op.v >= r->n_ops)
        return false;
    const struct kvt_replay_op *op = &r->ops[d->op.v];
    kvt_ns left_ns = r->now - op->begin_ns;
    for (int s = 0; s < KVT_SPANS; s++) {
        if (d->span_ns[s] > left_ns)
            return false;
        left_ns -= d->span_ns[s];
    }
    if (op->kind == STEP)
        return d->iterations <= op->most && (d->status != KVT_OK || d->iterations > 0);
    return op->kind == TRANSFER && d->blocks_ok <= op->most;
}

static int feed_done(struct kvt_replay *r, struct kvt_core *core)
{
    struct kvt_done d = {.status = KVT_OK};
    uint32_t status, spans;
    if (!get_u32(r, &d.op.v) || !get_below(r, KVT_STATUSES, &status) || !get_u32(r, &d.blocks_ok) ||
        !get_u32(r, &d.iterations) || !get_leb(r, &d.bytes) ||
        !get_below(r, UINT32_C(1) << KVT_SPANS, &spans))
        return -EBADMSG;
    d.status = (enum kvt_status)status;
    for (int s = 0; s < KVT_SPANS; s++)
        if (spans >> s & 1 && !get_leb(r, &d.span_ns[s]))
            return -EBADMSG;
    if (!plausible(r, &d) || !get_refusal(r))
        return -EBADMSG;
    r->ops[d.op.v].kind = NOTHING;
    kvt_core_done(core, r->now, &d);
    return 0;
}

static int feed_timer(struct kvt_replay *r, struct kvt_core *core)
{
    uint64_t timer;
    if (!get_leb(r, &timer) || !get_refusal(r))
        return -EBADMSG;
    kvt_core_timer(core, r->now, timer);
    return 0;
}

static int feed_updown(struct kvt_replay *r, struct kvt_core *core, bool up)
{
    uint32_t tier;
    kvt_engine_id engine;
    if (!get_below(r, KVT_TIERS, &tier) || !get_or_none(r, &engine.v) || !get_refusal(r))
        return -EBADMSG;
    (up ? kvt_core_up : kvt_core_down)(core, r->now, (enum kvt_tier_kind)tier, engine);
    return 0;
}

static int feed_gpu_lost(struct kvt_replay *r, struct kvt_core *core)
{
    uint32_t gpu;
    kvt_engine_id engine;
    if (!get_or_none(r, &engine.v) || !get_below(r, KVT_SHARD_GPUS, &gpu) || !get_refusal(r))
        return -EBADMSG;
    kvt_core_gpu_lost(core, r->now, engine, gpu);
    return 0;
}

static int feed_lost(struct kvt_replay *r, struct kvt_core *core)
{
    uint32_t tier, part, parts;
    kvt_engine_id engine;
    if (!get_below(r, KVT_TIERS, &tier) || !get_or_none(r, &engine.v) || !get_u32(r, &part) ||
        !get_u32(r, &parts) || part >= parts || !get_refusal(r))
        return -EBADMSG;
    kvt_core_lost(core, r->now, (enum kvt_tier_kind)tier, engine, part, parts);
    return 0;
}

static int feed_discard(struct kvt_replay *r, struct kvt_core *core)
{
    uint32_t n;
    if (!get_u32(r, &n))
        return -EBADMSG;
    const int error = get_keys(r, n);
    if (error)
        return error;
    if (!get_refusal(r))
        return -EBADMSG;
    kvt_core_discard(core, r->now, r->keys, n);
    return 0;
}

static int feed(struct kvt_replay *r, struct kvt_core *core, unsigned char kind)
{
    if (!get_time(r))
        return -EBADMSG;
    switch (kind) {
    case KVT_RECORD_REQUEST:
    case KVT_RECORD_BACKGROUND:
        return feed_request(r, core, kind == KVT_RECORD_BACKGROUND);
    case KVT_RECORD_DONE:
        return feed_done(r, core);
    case KVT_RECORD_TIMER:
        return feed_timer(r, core);
    case KVT_RECORD_UP:
    case KVT_RECORD_DOWN:
        return feed_updown(r, core, kind == KVT_RECORD_UP);
    case KVT_RECORD_GPU_LOST:
        return feed_gpu_lost(r, core);
    case KVT_RECORD_LOST:
        return feed_lost(r, core);
    case KVT_RECORD_DISCARD:
        return feed_discard(r, core);
    case KVT_RECORD_RESIZE:
        if (!get_refusal(r))
            return -EBADMSG;
        kvt_core_resize(core, r->now);
        return 0;
    default: /* a refusal, too, that no operation asked for */
        return -EBADMSG;
    }
}

/* On to the record behind. */
static bool next_kind(struct kvt_replay *r, unsigned char *kind)
{
    if (!peek_kind(r, kind))
        return false;
    r->at++;
    return true;
}

/* What comes before the request that it belongs to, and on to that: a region, a root and a wording, a future. */
static int read_ahead(struct kvt_replay *r, unsigned char *kind)
{
    int error = 0;
    const bool region = *kind == KVT_RECORD_REGION;
    if (region && (!get_time(r) || !get_below(r, KVT_REGIONS_MOST, &r->region) || !r->region ||
                   !next_kind(r, kind)))
        return -EBADMSG;
    const bool root = *kind == KVT_RECORD_ROOT;
    if (root && (!get_time(r) || !get_key(r, &r->root) || (!r->root.hi && !r->root.lo) ||
                 !next_kind(r, kind) || *kind != KVT_RECORD_WORDING))
        return -EBADMSG;
    const bool wording = *kind == KVT_RECORD_WORDING;
    if (wording) {
        error = get_time(r) ? get_wording(r) : -EBADMSG;
        if (!error && !next_kind(r, kind))
            error = -EBADMSG;
    }
    const bool future = !error && *kind == KVT_RECORD_FUTURE;
    if (future) {
        error = get_time(r) ? get_future(r) : -EBADMSG;
        if (!error && !next_kind(r, kind))
            error = -EBADMSG;
    }
    if (error || !(region || wording || future))
        return error;
    return *kind == KVT_RECORD_REQUEST || *kind == KVT_RECORD_BACKGROUND ? 0 : -EBADMSG;
}

int kvt_replay_step(struct kvt_replay *r, struct kvt_core *core)
{
    unsigned char kind;
    if (r->error)
        return r->error;
    if (!peek_kind(r, &kind))
        return r->ended && r->rest == r->limit ? 0 : fail(r, -EBADMSG);
    r->at++;
    r->tokens.there = r->letters.there = r->future.there = false;
    r->root = (kvt_key){0};
    r->region = 0;
    int error = read_ahead(r, &kind);
    if (!error)
        error = feed(r, core, kind);
    if (error)
        return fail(r, error);
    if (r->error) /* in the port */
        return r->error;
    if (r->refusal.due) /* core did not ask for what it was refused then */
        return fail(r, -EBADMSG);
    r->n_inputs++;
    return 1;
}

/* ---- Birth and death. ------------------------------------------------------------------------ */

int kvt_replay_init(struct kvt_replay *replay, const struct kvt_alloc *alloc, const void *bytes,
                    size_t size_b, const struct kvt_observer *observer)
{
    const unsigned char *from = bytes;
    *replay = (struct kvt_replay){.alloc = alloc, .observer = observer, .error = -EBADMSG};
    if (size_b < OPENING_B || memcmp(from, "KVTREC", MAGIC_B) != 0)
        return -EBADMSG;
    if (get_le(from + MAGIC_B, 2) != KVT_RECORD_VERSION)
        return -ENOTSUP;
    replay->rest = replay->at = replay->end = from + OPENING_B;
    replay->limit = from + size_b;
    replay->error = 0;
    return 0;
}

void kvt_replay_release(struct kvt_replay *replay)
{
    const struct kvt_alloc *alloc = replay->alloc;
    alloc->put(alloc->self, replay->ops, replay->n_ops * sizeof *replay->ops);
    alloc->put(alloc->self, replay->keys, replay->n_keys * sizeof *replay->keys);
    alloc->put(alloc->self, replay->tokens.words,
               replay->tokens.room * sizeof *replay->tokens.words);
    alloc->put(alloc->self, replay->letters.words,
               replay->letters.room * sizeof *replay->letters.words);
    alloc->put(alloc->self, replay->future.next, replay->future.room * sizeof *replay->future.next);
    replay->ops = NULL;
    replay->keys = NULL;
    replay->future.next = NULL;
    replay->future.room = 0;
    replay->tokens = replay->letters = (struct kvt_replay_words){0};
    replay->n_ops = replay->n_keys = 0;
}
