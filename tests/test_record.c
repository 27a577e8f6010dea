/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_record.c - core/record.h and core/replay.h, with a script in core's place.
 *
 * The script is a list of random inputs, and of what core would ask for while it handles each. It
 * is spoken to a recorder; then the recording is replayed to a stand-in for core, which holds every
 * input against the script and asks for the scripted operations. This program defines the five
 * entries of core itself, so core is not linked; tests/test_twin.c does the same with the real one.
 *
 * Then everything that must not work: cut and damaged recordings, forged ones whose checksums are
 * right, a full disk, no memory.
 */
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

static kvt_key key_of(uint64_t request, uint32_t i)
{
    return (kvt_key){.hi = kvt_mix64(request), .lo = kvt_mix64(request ^ UINT64_C(77) << 32 ^ i)};
}

/* ---- The stand-in for core ------------------------------------------------------------------- */

static void ask(const struct input *in)
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

static const struct input *enter(enum input_kind kind, kvt_ns now)
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

static void updown(enum input_kind kind, kvt_ns now, enum kvt_tier_kind tier, kvt_engine_id engine)
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
static uint64_t any_number(uint64_t most)
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

static void any_request(struct input *in, uint32_t most_keys)
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

static bool any_done(struct input *in)
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

static void any_ops(struct input *in)
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

static void write_script(uint64_t seed, uint32_t n, uint32_t most_keys)
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

static void speak(const struct kvt_tap *tap, const struct input *in)
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
static void record_script(struct tape *tape)
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
static int replay(const void *bytes, size_t n, struct failing_alloc *memory, uint64_t *fed)
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

static int replay_plain(const void *bytes, size_t n, uint64_t *fed)
{
    struct failing_alloc memory;
    failing_alloc_init(&memory, 0);
    return replay(bytes, n, &memory, fed);
}

/* ---- What must work -------------------------------------------------------------------------- */

START_TEST(round_trip)
{
    struct tape tape = {0};
    uint64_t fed;
    write_script((uint64_t)_i + 1, INPUTS, MOST_KEYS);
    record_script(&tape);
    ck_assert_uint_gt(tape.writes, 4); /* several chunks */
    core_is.lenient = false;
    ck_assert_int_eq(replay_plain(tape.bytes, tape.n, &fed), 0);
    ck_assert_uint_eq(fed, INPUTS);
    ck_assert_uint_eq(core_is.at, INPUTS);
    tape_release(&tape);
}
END_TEST

START_TEST(empty_recording)
{
    struct tape tape = {0};
    uint64_t fed;
    n_script = 0;
    record_script(&tape);
    ck_assert_uint_eq(tape.n, 8 + 12);
    ck_assert_int_eq(replay_plain(tape.bytes, tape.n, &fed), 0);
    tape_release(&tape);
}
END_TEST

/* The format is a promise: these bytes may only change together with the version. */
START_TEST(format_is_as_described)
{
    /* clang-format off */
    static const unsigned char expected[] = {
        /* request 5 at 1000, arrived 8 before, tenant 2, no session, 300 + 3 tokens, one key */
        1, 0xe8, 0x07, 5, 8, 2, 0, 0xac, 0x02, 3, 1,
        8, 7, 6, 5, 4, 3, 2, 1, 24, 23, 22, 21, 20, 19, 18, 17,
        /* operation 9 was refused: -EAGAIN */
        6, 0, 9, 11,
        /* done: 9, missing, 2 blocks, 128 bytes, 1 ns on the wire */
        2, 1, 9, 1, 2, 0, 0x80, 0x01, 0x10, 1,
        /* timer 2^64 - 1 */
        3, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,
        /* down: redis, no engine; up: host of engine 4 */
        5, 0, 3, 0,
        4, 0, 2, 5,
        /* wording: tokens 7 and 300, letter 65; then request 6 at once, without keys; the same without letters */
        7, 0, 2, 7, 0xac, 0x02, 2, 65,
        1, 0, 1, 0, 0, 1, 2, 0, 0,
        7, 0, 2, 7, 0xac, 0x02, 0,
        1, 0, 1, 0, 0, 1, 2, 0, 0,
        /* root, wording and request 8 */
        9, 0, 8, 7, 6, 5, 4, 3, 2, 1, 24, 23, 22, 21, 20, 19, 18, 17,
        7, 0, 2, 7, 0xac, 0x02, 0,
        1, 0, 1, 0, 0, 1, 2, 0, 0,
        /* request 9, in the background; a block that is gone */
        11, 0, 1, 0, 0, 1, 2, 0, 0,
        12, 0, 1, 8, 7, 6, 5, 4, 3, 2, 1, 24, 23, 22, 21, 20, 19, 18, 17,
    };
    /* clang-format on */
    struct tape tape = {0};
    struct failing_alloc memory;
    struct kvt_record record;
    const struct kvt_sink sink = tape_sink(&tape);
    ck_assert_int_eq(kvt_record_init(&record, failing_alloc_init(&memory, 0), &sink), 0);
    const struct kvt_tap *tap = kvt_record_tap(&record);
    const kvt_key key = {UINT64_C(0x0102030405060708), UINT64_C(0x1112131415161718)};
    const struct kvt_request request = {.id = 5,
                                        .arrive_ns = 992,
                                        .tenant = 2,
                                        .session = KVT_NONE,
                                        .prompt_tokens = 300,
                                        .output_tokens = 3,
                                        .n_keys = 1,
                                        .keys = &key};
    tap->request(tap->self, 1000, &request);
    tap->refused(tap->self, 1000, (kvt_op_id){9}, -EAGAIN);
    struct kvt_done done = {.op = {9}, .status = KVT_MISSING, .blocks_ok = 2, .bytes = 128};
    done.span_ns[KVT_SPAN_WIRE] = 1;
    tap->done(tap->self, 1001, &done);
    tap->timer(tap->self, 1001, UINT64_MAX);
    tap->updown(tap->self, 1001, false, KVT_REDIS, (kvt_engine_id){KVT_NONE});
    tap->updown(tap->self, 1001, true, KVT_HOST, (kvt_engine_id){4});
    const uint32_t tokens[] = {7, 300}, letter = 65;
    struct kvt_request worded = {.id = 6,
                                 .arrive_ns = 1001,
                                 .prompt_tokens = 2,
                                 .tokens = tokens,
                                 .letters = &letter,
                                 .n_letters = 1};
    tap->request(tap->self, 1001, &worded);
    worded.id = 7;
    worded.letters = NULL;
    tap->request(tap->self, 1001, &worded);
    worded.id = 8;
    worded.root = key;
    tap->request(tap->self, 1001, &worded);
    worded.id = 9;
    worded.tokens = NULL;
    worded.background = true;
    tap->request(tap->self, 1001, &worded);
    tap->discard(tap->self, 1001, &key, 1);
    ck_assert_int_eq(kvt_record_finish(&record), 0);
    kvt_record_release(&record);
    struct tape frame = {0};
    tape_frame(&frame, expected, sizeof expected, sizeof expected);
    ck_assert_uint_eq(tape.n, frame.n);
    ck_assert_mem_eq(tape.bytes, frame.bytes, frame.n);
    tape_release(&tape);
    tape_release(&frame);
}
END_TEST

/* ---- What must not --------------------------------------------------------------------------- */

/* Each damaged recording stands in a block of its own size, so that a sanitizer sees a read beyond
 * it. */
static int replay_copy(const unsigned char *bytes, size_t n, uint64_t *fed)
{
    unsigned char *copy = malloc(n + !n);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes, n);
    const int status = replay_plain(copy, n, fed);
    free(copy);
    return status;
}

START_TEST(cut_anywhere)
{
    struct tape tape = {0};
    uint64_t fed;
    write_script(5, 60, 50);
    record_script(&tape);
    core_is.lenient = true;
    for (size_t n = 0; n < tape.n; n++)
        MUST(replay_copy(tape.bytes, n, &fed) == -EBADMSG);
    unsigned char *longer = malloc(tape.n + 1);
    memcpy(longer, tape.bytes, tape.n);
    longer[tape.n] = 0;
    ck_assert_int_eq(replay_copy(longer, tape.n + 1, &fed), -EBADMSG);
    free(longer);
    tape_release(&tape);
}
END_TEST

START_TEST(cut_a_long_one)
{
    struct tape tape = {0};
    uint64_t fed;
    write_script(6, INPUTS, MOST_KEYS);
    record_script(&tape);
    core_is.lenient = true;
    for (int i = 0; i < 200; i++)
        MUST(replay_copy(tape.bytes, dice_below(tape.n), &fed) == -EBADMSG && fed < INPUTS);
    tape_release(&tape);
}
END_TEST

START_TEST(any_bit_flipped)
{
    struct tape tape = {0};
    uint64_t fed;
    write_script(7, 40, 20);
    record_script(&tape);
    core_is.lenient = true;
    for (size_t bit = 0; bit < tape.n * 8; bit++) {
        tape.bytes[bit / 8] ^= (unsigned char)(1u << (bit % 8));
        const int status = replay_copy(tape.bytes, tape.n, &fed);
        const bool version = bit / 8 == 6 || bit / 8 == 7;
        MUST(status == (version ? -ENOTSUP : -EBADMSG));
        tape.bytes[bit / 8] ^= (unsigned char)(1u << (bit % 8));
    }
    tape_release(&tape);
}
END_TEST

/* Chunks that are sound each, but swapped, missing or doubled. */
START_TEST(chunks_out_of_order)
{
    struct tape tape = {0}, other = {0};
    uint64_t fed;
    write_script(8, 40, 20);
    record_script(&tape);
    const size_t n = tape.n - 8 - 24, part = n / 3 + 1; /* its one chunk, cut in three again */
    const unsigned char *records = tape.bytes + 8 + 12;
    tape_frame(&other, records, n, part);
    core_is.lenient = false;
    ck_assert_int_eq(replay_copy(other.bytes, other.n, &fed), 0);
    core_is.lenient = true;
    unsigned char *b = malloc(other.n + part + 12);
    memcpy(b, other.bytes, other.n);
    memcpy(b + 8, other.bytes + 8 + 12 + part, 12 + part);
    memcpy(b + 8 + 12 + part, other.bytes + 8, 12 + part);
    ck_assert_int_eq(replay_copy(b, other.n, &fed), -EBADMSG);
    ck_assert_uint_eq(fed, 0);
    memcpy(b, other.bytes, 8 + 12 + part);
    memcpy(b + 8 + 12 + part, other.bytes + 8 + 2 * (12 + part), other.n - 8 - 2 * (12 + part));
    ck_assert_int_eq(replay_copy(b, other.n - 12 - part, &fed), -EBADMSG);
    memcpy(b, other.bytes, 8 + 12 + part);
    memcpy(b + 8 + 12 + part, other.bytes + 8, other.n - 8);
    ck_assert_int_eq(replay_copy(b, other.n + 12 + part, &fed), -EBADMSG);
    free(b);
    tape_release(&tape);
    tape_release(&other);
}
END_TEST

/* A chunk has a largest size, so that a reader may keep one. */
START_TEST(chunk_too_large)
{
    static unsigned char timers[3 * (KVT_RECORD_CHUNK_B / 3 + 1)];
    uint64_t fed;
    memset(script, 0, sizeof script);
    for (n_script = 0; n_script < INPUTS; n_script++)
        script[n_script].kind = TIMER;
    for (size_t i = 0; i < sizeof timers; i += 3)
        timers[i] = KVT_RECORD_TIMER;
    core_is.lenient = true;
    struct tape tape = {0};
    tape_frame(&tape, timers, sizeof timers, sizeof timers);
    ck_assert_int_eq(replay_copy(tape.bytes, tape.n, &fed), -EBADMSG);
    ck_assert_uint_eq(fed, 0);
    tape_release(&tape);
}
END_TEST

static int replay_records(const unsigned char *records, size_t n)
{
    struct tape tape = {0};
    uint64_t fed;
    tape_frame(&tape, records, n, n + 1);
    const int status = replay_copy(tape.bytes, tape.n, &fed);
    tape_release(&tape);
    return status;
}

#define REFUSE(...)                                                                                \
    do {                                                                                           \
        const unsigned char records[] = {__VA_ARGS__};                                             \
        core_is.at = 0;                                                                            \
        ck_assert_int_eq(replay_records(records, sizeof records), -EBADMSG);                       \
    } while (0)

/* Recordings whose checksums are right. Input 0 of the script is a timer that makes core ask for a
 * transfer of 3 blocks, number 0, and a step of 3 iterations, number 1, at time 5. */
START_TEST(forged)
{
    memset(script, 0, sizeof script);
    n_script = 2;
    script[0] = (struct input){.kind = TIMER,
                               .now = 5,
                               .n_ops = 2,
                               .ops = {{.op = 0, .most = 3}, {1, 3, true, 0}}};
    core_is.lenient = true;
#define BEGIN 3, 5, 0
    const unsigned char good[] = {BEGIN};
    ck_assert_int_eq(replay_records(good, sizeof good), 0);
    REFUSE(0, 0); /* no such record */
    REFUSE(8, 0);
    REFUSE(BEGIN, 7, 0, 0, 0);                               /* wording: no tokens */
    REFUSE(BEGIN, 7, 0, 9, 1, 1);                            /* fewer than it says */
    REFUSE(BEGIN, 7, 0, 0xff, 0xff, 0xff, 0xff, 15, 1, 1);   /* far fewer */
    REFUSE(BEGIN, 7, 0, 1, 1, 9, 1);                         /* fewer letters */
    REFUSE(BEGIN, 7, 0, 1, 1, 0);                            /* of nothing */
    REFUSE(BEGIN, 7, 0, 1, 1, 0, 3, 0, 0);                   /* of no request */
    REFUSE(BEGIN, 7, 0, 1, 1, 0, 7, 0, 1, 1, 0);             /* twice */
    REFUSE(BEGIN, 7, 0, 1, 1, 0, 1, 0, 1, 0, 0, 0, 2, 1, 0); /* of a longer prompt */
#define KEY 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8
    REFUSE(BEGIN, 9, 0, KEY);                            /* root: of nothing */
    REFUSE(BEGIN, 9, 0, 1, 2, 3);                        /* cut */
    REFUSE(BEGIN, 9, 0, KEY, 1, 0, 1, 0, 0, 0, 1, 1, 0); /* of a request without tokens */
    REFUSE(BEGIN, 9, 0, KEY, 9, 0, KEY, 7, 0, 1, 1, 0);  /* twice */
    REFUSE(BEGIN, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 1, 1, 0); /* none */
    REFUSE(BEGIN, 2, 0, 2, 0, 0, 0, 0, 0);             /* done: never asked for */
    REFUSE(BEGIN, 2, 0, 0xff, 0xff, 3, 0, 0, 0, 0, 0); /* beyond the table */
    REFUSE(BEGIN, 2, 0, 0, 6, 0, 0, 0, 0);             /* no such status */
    REFUSE(BEGIN, 2, 0, 0, 0, 4, 0, 0, 0);             /* more blocks than asked for */
    REFUSE(BEGIN, 2, 0, 1, 0, 0, 4, 0, 0);             /* more iterations */
    REFUSE(BEGIN, 2, 0, 1, 0, 0, 0, 0, 0);             /* fewer than one */
    REFUSE(BEGIN, 2, 9, 0, 0, 3, 0, 0, 3, 5, 5);       /* spans longer than the operation */
    REFUSE(BEGIN, 2, 9, 0, 0, 3, 0, 0, 0x80, 4);       /* no such span */
    REFUSE(BEGIN, 4, 0, 5, 0);                         /* no such tier */
    REFUSE(BEGIN, 6, 0, 2, 11);                        /* refused: never asked for */
    REFUSE(BEGIN, 6, 0, 0, 0);                         /* no error */
    REFUSE(BEGIN, 6, 1, 0, 11);                        /* at another time */
    REFUSE(6, 0, 0, 11);                               /* before any input */
    REFUSE(BEGIN, 1, 0, 1, 6, 0, 0, 1, 1, 0);          /* request: arrives before the run */
    REFUSE(BEGIN, 1, 0, 1, 0, 0, 0, 1, 1, 1);          /* fewer keys than it says */
    REFUSE(BEGIN, 1, 0, 1, 0, 0, 0, 1, 1, 0xff, 0xff, 0xff, 0xff, 15); /* far fewer */
    REFUSE(BEGIN, 1, 0, 1, 0, 0xff, 0xff, 0xff, 0xff, 31, 0, 1, 1, 0); /* a tenant of 33 bits */
    REFUSE(BEGIN, 3, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2); /* of 65 */
    REFUSE(BEGIN, 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0); /* beyond time */
    script[1] = (struct input){.kind = DONE, .now = 14, .done = {.op = {0}, .blocks_ok = 3}};
    const unsigned char done[] = {BEGIN, 2, 9, 0, 0, 3, 0, 0, 0};
    ck_assert_int_eq(replay_records(done, sizeof done), 0);
    REFUSE(BEGIN, 2, 9, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0); /* done twice */
    script[1] = (struct input){.kind = REQUEST,
                               .now = 5,
                               .request = {.id = 1, .arrive_ns = 5, .session = KVT_NONE}};
    const unsigned char request[] = {BEGIN, 1, 0, 1, 0, 0, 0, 0, 0, 0};
    ck_assert_int_eq(replay_records(request, sizeof request), 0);
    core_is.request_error = -EINVAL; /* core would never have seen it */
    ck_assert_int_eq(replay_records(request, sizeof request), -EBADMSG);
    core_is.request_error = -ENOMEM;
    ck_assert_int_eq(replay_records(request, sizeof request), -ENOMEM);
    core_is.request_error = 0;
}
END_TEST

START_TEST(disk_is_full)
{
    write_script(9, INPUTS, MOST_KEYS);
    for (uint64_t n = 1;; n++) {
        struct tape tape = {.fail_at = n};
        struct failing_alloc memory;
        struct kvt_record record;
        const struct kvt_sink sink = tape_sink(&tape);
        int error = kvt_record_init(&record, failing_alloc_init(&memory, 0), &sink);
        ck_assert_int_eq(error, n == 1 ? -ENOSPC : 0);
        if (!error) {
            for (uint32_t i = 0; i < n_script; i++)
                speak(kvt_record_tap(&record), &script[i]);
            error = kvt_record_finish(&record);
            kvt_record_release(&record);
        }
        ck_assert(failing_alloc_clean(&memory));
        const bool failed = tape.writes >= n;
        ck_assert_int_eq(error, failed ? -ENOSPC : 0);
        ck_assert_uint_le(tape.writes, n); /* not tried again */
        tape_release(&tape);
        if (!failed)
            break;
    }
}
END_TEST

START_TEST(memory_fails)
{
    struct tape tape = {0};
    struct failing_alloc memory;
    struct kvt_record record;
    const struct kvt_sink sink = tape_sink(&tape);
    ck_assert_int_eq(kvt_record_init(&record, failing_alloc_init(&memory, 1), &sink), -ENOMEM);
    ck_assert_uint_eq(tape.writes, 0);
    write_script(10, INPUTS, MOST_KEYS);
    record_script(&tape);
    core_is.lenient = true;
    for (uint64_t n = 1;; n++) {
        uint64_t fed;
        failing_alloc_init(&memory, n);
        const int status = replay(tape.bytes, tape.n, &memory, &fed);
        if (memory.gets < n) {
            ck_assert_int_eq(status, 0);
            ck_assert_uint_gt(n, 5);
            break;
        }
        ck_assert_int_eq(status, -ENOMEM);
    }
    tape_release(&tape);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("record");
    TCase *tcase = tcase_create("record");
    tcase_set_timeout(tcase, 30);
    tcase_add_loop_test(tcase, round_trip, 0, 6);
    tcase_add_test(tcase, empty_recording);
    tcase_add_test(tcase, format_is_as_described);
    tcase_add_test(tcase, cut_anywhere);
    tcase_add_test(tcase, cut_a_long_one);
    tcase_add_test(tcase, any_bit_flipped);
    tcase_add_test(tcase, chunks_out_of_order);
    tcase_add_test(tcase, chunk_too_large);
    tcase_add_test(tcase, forged);
    tcase_add_test(tcase, disk_is_full);
    tcase_add_test(tcase, memory_fails);
    suite_add_tcase(suite, tcase);
    return kvt_test_main(suite);
}
