/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * record_script.h - what the two tests of recordings share: a script in core's place.
 *
 * The script is a list of random inputs, and of what core would ask for while it handles each. It
 * is spoken to a recorder; then the recording is replayed to a stand-in for core, which holds every
 * input against the script and asks for the scripted operations. This header defines the
 * entries of core itself, so core is not linked, and a program includes it once; tests/test_twin.c does the same
 * with the real one.
 */
#ifndef RECORD_SCRIPT_H
#define RECORD_SCRIPT_H

#include "core/replay.h"

#include "core/core.h"
#include "dice.h"
#include "failing_alloc.h"
#include "record_fixture.h"

enum { INPUTS = 5000, MOST_OPS = 4, MOST_KEYS = 12000, LIVE = 512, WORDS = 400 };

enum input_kind { REQUEST, DONE, TIMER, UP, DOWN, LOST, EMPTY, DISCARD, GROW };

struct scripted_op {
    uint32_t op, most;
    bool step;
    int error; /* what the world answers */
};

struct input {
    enum input_kind kind;
    kvt_ns now;
    struct kvt_request request; /* keys: see key_of */
    struct kvt_done done;
    uint64_t timer;
    enum kvt_tier_kind tier;
    uint32_t gpu, parts; /* EMPTY: gpu is the part */
    kvt_engine_id engine;
    uint32_t n_ops;
    struct scripted_op ops[MOST_OPS];
};

static struct input script[INPUTS];
static uint32_t n_script;
static kvt_key keys[MOST_KEYS];
static uint64_t uses[2 * MOST_KEYS]; /* what is told of the future begins somewhere here */
static uint32_t
    words[WORDS]; /* tokens and letters of all requests that bring them begin somewhere here */

/* What the stand-in does. */
static struct {
    struct kvt_port port;
    uint32_t at;       /* next input of the script */
    bool lenient;      /* the recording is damaged: an answer may be wrong, the inputs may not */
    int request_error; /* to return */
} core_is;

static inline kvt_key key_of(uint64_t request, uint32_t i)
{
    return (kvt_key){.hi = kvt_mix64(request), .lo = kvt_mix64(request ^ UINT64_C(77) << 32 ^ i)};
}

/* ---- The stand-in for core ------------------------------------------------------------------- */

static inline void ask(const struct input *in)
{
    for (uint32_t i = 0; i < in->n_ops; i++) {
        const struct scripted_op *o = &in->ops[i];
        const struct kvt_port_ops *ops = core_is.port.ops;
        void *self = core_is.port.self;
        int (*const call[])(void *, const struct kvt_transfer *) = {ops->probe, ops->load,
                                                                    ops->store, ops->drop};
        const int error =
            o->step
                ? ops->step(self, &(struct kvt_step){.op = {o->op}, .repeat = o->most})
                : call[o->op % 4](self, &(struct kvt_transfer){.op = {o->op}, .n_blocks = o->most});
        MUST(error == o->error || core_is.lenient);
    }
    core_is.port.ops->interrupt(core_is.port.self, (kvt_engine_id){0});
    core_is.port.ops->arm(core_is.port.self, 1, in->now);
}

static inline const struct input *enter(enum input_kind kind, kvt_ns now)
{
    MUST(core_is.at < n_script);
    const struct input *in = &script[core_is.at++];
    MUST(in->kind == kind && in->now == now);
    return in;
}

int kvt_core_request(struct kvt_core *core, kvt_ns now, const struct kvt_request *r)
{
    (void)core;
    const struct input *in = enter(REQUEST, now);
    const struct kvt_request *e = &in->request;
    MUST(r->id == e->id && r->arrive_ns == e->arrive_ns && r->tenant == e->tenant);
    MUST(r->session == e->session && r->prompt_tokens == e->prompt_tokens);
    MUST(r->output_tokens == e->output_tokens && r->n_keys == e->n_keys);
    MUST(r->background == e->background);
    for (uint32_t i = 0; i < r->n_keys; i++)
        MUST(kvt_key_equal(r->keys[i], key_of(e->id, i)));
    MUST(!r->next_use == !e->next_use);
    for (uint32_t i = 0; r->next_use && i < r->n_keys; i++)
        MUST(r->next_use[i] == e->next_use[i]);
    MUST(!r->tokens == !e->tokens && !r->letters == !e->letters && r->n_letters == e->n_letters);
    for (uint32_t i = 0; e->tokens && i < r->prompt_tokens; i++)
        MUST(r->tokens[i] == e->tokens[i]);
    MUST(kvt_key_equal(r->root, r->tokens ? e->root : (kvt_key){0}));
    for (uint32_t i = 0; i < r->n_letters; i++)
        MUST(r->letters[i] == e->letters[i]);
    if (core_is.request_error)
        return core_is.request_error;
    ask(in);
    return 0;
}

void kvt_core_done(struct kvt_core *core, kvt_ns now, const struct kvt_done *d)
{
    (void)core;
    const struct input *in = enter(DONE, now);
    const struct kvt_done *e = &in->done;
    MUST(d->op.v == e->op.v && d->status == e->status && d->blocks_ok == e->blocks_ok);
    MUST(d->iterations == e->iterations && d->bytes == e->bytes);
    MUST(memcmp(d->span_ns, e->span_ns, sizeof d->span_ns) == 0);
    ask(in);
}

void kvt_core_timer(struct kvt_core *core, kvt_ns now, uint64_t timer)
{
    (void)core;
    const struct input *in = enter(TIMER, now);
    MUST(timer == in->timer);
    ask(in);
}

static inline void updown(enum input_kind kind, kvt_ns now, enum kvt_tier_kind tier,
                          kvt_engine_id engine)
{
    const struct input *in = enter(kind, now);
    MUST(tier == in->tier && engine.v == in->engine.v);
    ask(in);
}

void kvt_core_up(struct kvt_core *core, kvt_ns now, enum kvt_tier_kind tier, kvt_engine_id engine)
{
    (void)core;
    updown(UP, now, tier, engine);
}

void kvt_core_resize(struct kvt_core *core, kvt_ns now)
{
    (void)core;
    ask(enter(GROW, now));
}

void kvt_core_gpu_lost(struct kvt_core *core, kvt_ns now, kvt_engine_id engine, uint32_t gpu)
{
    (void)core;
    const struct input *in = enter(LOST, now);
    MUST(engine.v == in->engine.v && gpu == in->gpu);
    ask(in);
}

void kvt_core_lost(struct kvt_core *core, kvt_ns now, enum kvt_tier_kind tier, kvt_engine_id engine,
                   uint32_t part, uint32_t parts)
{
    (void)core;
    const struct input *in = enter(EMPTY, now);
    MUST(tier == in->tier && engine.v == in->engine.v && part == in->gpu && parts == in->parts);
    ask(in);
}

void kvt_core_discard(struct kvt_core *core, kvt_ns now, const kvt_key *gone, size_t n)
{
    (void)core;
    const struct input *in = enter(DISCARD, now);
    MUST(n == in->request.n_keys);
    for (uint32_t i = 0; i < n; i++)
        MUST(kvt_key_equal(gone[i], key_of(in->request.id, i)));
    ask(in);
}

void kvt_core_down(struct kvt_core *core, kvt_ns now, enum kvt_tier_kind tier, kvt_engine_id engine)
{
    (void)core;
    updown(DOWN, now, tier, engine);
}

/* ---- Writing a script ------------------------------------------------------------------------ */

/* Small, or anything, or an extreme. */
static inline uint64_t any_number(uint64_t most)
{
    const uint64_t which = dice_below(10);
    if (which == 0)
        return most;
    return which == 1 ? (most == UINT64_MAX ? dice_word() : dice_below(most + 1))
                      : dice_below(most < 200 ? most + 1 : 200);
}

static struct {
    bool live, step;
    uint32_t most;
    kvt_ns begin_ns;
} under_way[LIVE];

static inline void any_request(struct input *in, uint32_t most_keys)
{
    in->request = (struct kvt_request){
        .id = any_number(UINT64_MAX),
        .arrive_ns = in->now - (in->now ? any_number(in->now) : 0),
        .tenant = (uint32_t)any_number(UINT32_MAX),
        .session = dice_one_in(3) ? KVT_NONE : (uint32_t)any_number(UINT32_MAX),
        .prompt_tokens = (uint32_t)any_number(UINT32_MAX),
        .output_tokens = (uint32_t)any_number(UINT32_MAX),
        .n_keys = (uint32_t)dice_below(dice_one_in(40) ? most_keys + 1 : 30),
        .background = dice_one_in(3),
    };
    struct kvt_request *r = &in->request;
    if (r->n_keys > 0 && dice_one_in(2))
        r->next_use = uses + dice_below(MOST_KEYS);
    if (!r->prompt_tokens || r->prompt_tokens > WORDS / 2 || dice_one_in(3))
        return;
    r->tokens = words + dice_below(WORDS / 2);
    if (dice_one_in(2))
        r->root = (kvt_key){any_number(UINT64_MAX), any_number(UINT64_MAX)};
    r->letters = dice_one_in(2) ? words + dice_below(WORDS / 2) : NULL;
    r->n_letters = r->letters ? 1 + (uint32_t)dice_below(WORDS / 2) : 0;
}

static inline bool any_done(struct input *in)
{
    const uint32_t op = (uint32_t)dice_below(LIVE);
    if (!under_way[op].live)
        return false;
    under_way[op].live = false;
    in->done = (struct kvt_done){.op = {op}, .bytes = any_number(UINT64_MAX)};
    in->done.status = (enum kvt_status)dice_below(KVT_STATUSES);
    if (under_way[op].step)
        in->done.iterations = 1 + (uint32_t)dice_below(under_way[op].most);
    else
        in->done.blocks_ok = (uint32_t)dice_below(under_way[op].most + 1u);
    kvt_ns left_ns = in->now - under_way[op].begin_ns;
    for (int s = 0; s < KVT_SPANS; s++) {
        in->done.span_ns[s] = dice_one_in(2) || !left_ns ? 0 : any_number(left_ns);
        left_ns -= in->done.span_ns[s];
    }
    return true;
}

static inline void any_ops(struct input *in)
{
    in->n_ops = (uint32_t)dice_below(MOST_OPS + 1);
    for (uint32_t i = 0; i < in->n_ops; i++) {
        struct scripted_op *o = &in->ops[i];
        do
            o->op = (uint32_t)dice_below(LIVE);
        while (under_way[o->op].live);
        o->step = dice_one_in(3);
        o->most = 1 + (uint32_t)dice_below(1000);
        o->error = dice_one_in(5) ? -1 - (int)dice_below(200) : 0;
        if (o->error)
            continue;
        under_way[o->op].live = true;
        under_way[o->op].step = o->step;
        under_way[o->op].most = o->most;
        under_way[o->op].begin_ns = in->now;
    }
}

static inline void write_script(uint64_t seed, uint32_t n, uint32_t most_keys)
{
    dice_seed(seed);
    memset(under_way, 0, sizeof under_way);
    memset(script, 0, sizeof script);
    for (uint32_t i = 0; i < WORDS; i++)
        words[i] = (uint32_t)any_number(UINT32_MAX);
    for (uint32_t i = 0; i < 2 * MOST_KEYS; i++)
        uses[i] = i > 0 && dice_one_in(2) ? uses[i - 1] + 1 : any_number(UINT64_MAX);
    kvt_ns now = 0;
    uint32_t live = 0;
    for (n_script = 0; n_script < n; n_script++) {
        struct input *in = &script[n_script];
        now += dice_one_in(2) ? 0 : any_number(UINT64_C(1) << 40);
        in->now = now;
        /* completions only, while too many are under way */
        in->kind = live > LIVE / 2 ? DONE : (enum input_kind)dice_below(9);
        if (in->kind == DONE && !any_done(in))
            in->kind = TIMER;
        if (in->kind == REQUEST || in->kind == DISCARD)
            any_request(in, most_keys);
        in->timer = any_number(UINT64_MAX);
        in->tier = (enum kvt_tier_kind)dice_below(KVT_TIERS);
        in->gpu = (uint32_t)dice_below(KVT_SHARD_GPUS);
        in->parts = in->gpu + 1 + (uint32_t)any_number(1000);
        in->engine.v = dice_one_in(4) ? KVT_NONE : (uint32_t)any_number(UINT32_MAX);
        if (live <= LIVE / 2)
            any_ops(in);
        live = 0;
        for (uint32_t i = 0; i < LIVE; i++)
            live += under_way[i].live;
    }
}

static inline void speak(const struct kvt_tap *tap, const struct input *in)
{
    struct kvt_request request = in->request;
    for (uint32_t i = 0; i < request.n_keys; i++)
        keys[i] = key_of(request.id, i);
    request.keys = keys;
    switch (in->kind) {
    case REQUEST:
        tap->request(tap->self, in->now, &request);
        break;
    case DONE:
        tap->done(tap->self, in->now, &in->done);
        break;
    case TIMER:
        tap->timer(tap->self, in->now, in->timer);
        break;
    case LOST:
        tap->gpu_lost(tap->self, in->now, in->engine, in->gpu);
        break;
    case EMPTY:
        tap->lost(tap->self, in->now, in->tier, in->engine, in->gpu, in->parts);
        break;
    case DISCARD:
        tap->discard(tap->self, in->now, keys, request.n_keys);
        break;
    case GROW:
        tap->resize(tap->self, in->now);
        break;
    default:
        tap->updown(tap->self, in->now, in->kind == UP, in->tier, in->engine);
    }
    for (uint32_t i = 0; i < in->n_ops; i++)
        if (in->ops[i].error)
            tap->refused(tap->self, in->now, (kvt_op_id){in->ops[i].op}, in->ops[i].error);
}

/* Records the script, as it is. */
static inline void record_script(struct tape *tape)
{
    struct failing_alloc memory;
    struct kvt_record record;
    const struct kvt_sink sink = tape_sink(tape);
    ck_assert_int_eq(kvt_record_init(&record, failing_alloc_init(&memory, 0), &sink), 0);
    for (uint32_t i = 0; i < n_script; i++)
        speak(kvt_record_tap(&record), &script[i]);
    ck_assert_int_eq(kvt_record_finish(&record), 0);
    kvt_record_release(&record);
    ck_assert_uint_eq(memory.gets, 1); /* nothing per input */
    ck_assert(failing_alloc_clean(&memory));
}

/* Replays to the end or to an error, which it returns. *fed: inputs that went well. */
static inline int replay(const void *bytes, size_t n, struct failing_alloc *memory, uint64_t *fed)
{
    struct kvt_replay r;
    core_is.at = 0;
    *fed = 0;
    int status = kvt_replay_init(&r, &memory->alloc, bytes, n, NULL);
    if (status)
        return status;
    core_is.port = kvt_replay_port(&r);
    while ((status = kvt_replay_step(&r, NULL)) > 0)
        ++*fed;
    MUST(kvt_replay_inputs(&r) == *fed);
    MUST(kvt_replay_step(&r, NULL) == status); /* final */
    kvt_replay_release(&r);
    MUST(failing_alloc_clean(memory));
    return status;
}

static inline int replay_plain(const void *bytes, size_t n, uint64_t *fed)
{
    struct failing_alloc memory;
    failing_alloc_init(&memory, 0);
    return replay(bytes, n, &memory, fed);
}

#endif
