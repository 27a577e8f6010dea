/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_null.c - the null world beside a naive model, with someone in core's place.
 *
 * null.c enters core by kvt_core_done and kvt_core_timer only; this program defines the two itself,
 * so core is not linked. The stand-in checks each entry against the model (a queue of completions,
 * a bag of timers), and then asks for more operations, as core does. The driver leaps through time
 * at random.
 */
#include "core/null.h"

#include <errno.h>

#include "core/core.h"
#include "dice.h"
#include "failing_alloc.h"

enum { OPERATIONS = 200000, LEAPS = 20000, TIMERS = 4096 };

struct expected {
    kvt_op_id op;
    uint32_t blocks_ok, iterations;
};

struct model_timer {
    kvt_ns at;
    uint64_t sequence, name;
};

static struct expected queue[OPERATIONS];
static struct model_timer timers[TIMERS];
static struct {
    struct kvt_port port;
    uint32_t head, tail; /* of the queue: [head, tail) is under way */
    uint32_t n_timers;
    uint64_t sequence, entries, refused;
    kvt_ns now;
    uint32_t appetite; /* more operations to ask for */
    bool inside;
} m;

static void issue(void)
{
    const struct kvt_port_ops *ops = m.port.ops;
    const uint64_t what = dice_below(7);
    if (what == 6) {
        if (m.n_timers == TIMERS)
            return;
        const uint64_t back = dice_below(50); /* some lie in the past */
        const kvt_ns at = m.now > back && dice_one_in(5) ? m.now - back : m.now + dice_below(5000);
        timers[m.n_timers++] = (struct model_timer){at, m.sequence, m.sequence * 3};
        ops->arm(m.port.self, m.sequence * 3, at);
        m.sequence++;
        return;
    }
    if (what == 5) {
        ops->interrupt(m.port.self, (kvt_engine_id){0});
        return;
    }
    if (m.tail == OPERATIONS)
        return;
    struct expected e = {.op = {m.tail}};
    int error;
    if (what == 4) {
        e.iterations = 1 + (uint32_t)dice_below(100);
        error = ops->step(m.port.self, &(struct kvt_step){.op = e.op, .repeat = e.iterations});
    } else {
        e.blocks_ok = (uint32_t)dice_below(10);
        const struct kvt_transfer t = {.op = e.op, .n_blocks = e.blocks_ok};
        int (*const call[])(void *, const struct kvt_transfer *) = {ops->probe, ops->load,
                                                                    ops->store, ops->drop};
        error = call[what](m.port.self, &t);
    }
    MUST(error == 0 || error == -ENOMEM);
    if (error)
        m.refused++;
    else
        queue[m.tail++] = e;
}

static void ask_for_more(void)
{
    for (uint64_t n = dice_below(4); n && m.appetite; n--) {
        m.appetite--;
        issue();
    }
}

void kvt_core_done(struct kvt_core *core, kvt_ns now, const struct kvt_done *done)
{
    MUST(core == NULL && m.inside);
    MUST(m.head < m.tail);
    const struct expected e = queue[m.head++];
    MUST(now == m.now);
    MUST(done->op.v == e.op.v && done->status == KVT_OK);
    MUST(done->blocks_ok == e.blocks_ok && done->iterations == e.iterations && done->bytes == 0);
    for (int s = 0; s < KVT_SPANS; s++)
        MUST(done->span_ns[s] == 0);
    m.entries++;
    ask_for_more();
}

static uint32_t earliest(void)
{
    uint32_t least = 0;
    for (uint32_t i = 1; i < m.n_timers; i++)
        if (timers[i].at < timers[least].at ||
            (timers[i].at == timers[least].at && timers[i].sequence < timers[least].sequence))
            least = i;
    return least;
}

void kvt_core_timer(struct kvt_core *core, kvt_ns now, uint64_t timer)
{
    MUST(core == NULL && m.inside);
    MUST(m.head == m.tail); /* completions are due first */
    MUST(m.n_timers > 0);
    const uint32_t i = earliest();
    m.now = timers[i].at > m.now ? timers[i].at : m.now;
    MUST(timer == timers[i].name && now == m.now);
    timers[i] = timers[--m.n_timers];
    m.entries++;
    ask_for_more();
}

static kvt_ns expected_next(void)
{
    if (m.head < m.tail)
        return m.now;
    if (!m.n_timers)
        return KVT_NEVER;
    const kvt_ns at = timers[earliest()].at;
    return at > m.now ? at : m.now;
}

static int advance(kvt_ns until)
{
    const struct kvt_world_ops *world = kvt_null_world();
    m.inside = true;
    const int error = world->advance(m.port.self, NULL, until);
    m.inside = false;
    if (until != KVT_NEVER && until > m.now)
        m.now = until;
    return error;
}

static void begin(struct kvt_null *world)
{
    memset(&m, 0, sizeof m);
    m.port = kvt_null_port(world);
}

START_TEST(random_operations)
{
    dice_seed((uint64_t)_i + 1);
    struct failing_alloc memory;
    struct kvt_null *world = kvt_null_new(failing_alloc_init(&memory, 0), NULL);
    ck_assert_ptr_nonnull(world);
    begin(world);
    const struct kvt_world_ops *ops = kvt_null_world();
    for (int k = 0; k < LEAPS; k++) {
        m.appetite = 1 + (uint32_t)dice_below(dice_one_in(100) ? 400 : 4);
        issue(); /* as from a request */
        MUST(ops->next(world) == expected_next());
        const kvt_ns until = dice_one_in(3) ? ops->next(world) : m.now + dice_below(3000);
        MUST(advance(until) == 0);
        MUST(m.head == m.tail);
        MUST(m.n_timers == 0 || until == KVT_NEVER || timers[earliest()].at > until);
        MUST(ops->next(world) == expected_next());
    }
    m.appetite = 0;
    MUST(advance(KVT_NEVER) == 0);
    ck_assert_uint_eq(m.n_timers, 0);
    ck_assert_uint_eq(ops->next(world), KVT_NEVER);
    ck_assert_uint_gt(m.entries, LEAPS);
    ck_assert_uint_eq(m.refused, 0);
    kvt_null_free(world);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

/* The end of time is no time: a driver that drains with KVT_NEVER can go on afterwards. */
START_TEST(draining_does_not_end_the_clock)
{
    dice_seed(1);
    struct failing_alloc memory;
    struct kvt_null *world = kvt_null_new(failing_alloc_init(&memory, 0), NULL);
    begin(world);
    timers[m.n_timers++] = (struct model_timer){500, 0, 7};
    m.port.ops->arm(world, 7, 500);
    ck_assert_int_eq(advance(100), 0);
    ck_assert_uint_eq(m.entries, 0);
    ck_assert_uint_eq(kvt_null_world()->next(world), 500);
    ck_assert_int_eq(advance(KVT_NEVER), 0);
    ck_assert_uint_eq(m.entries, 1);
    ck_assert_uint_eq(m.now, 500);
    queue[m.tail++] = (struct expected){.op = {0}, .blocks_ok = 3};
    ck_assert_int_eq(m.port.ops->load(world, &(struct kvt_transfer){.n_blocks = 3}), 0);
    ck_assert_uint_eq(m.head, 0); /* nothing is delivered from inside an operation */
    ck_assert_uint_eq(kvt_null_world()->next(world), 500);
    ck_assert_int_eq(advance(600), 0);
    ck_assert_uint_eq(m.head, 1);
    kvt_null_free(world);
    kvt_null_free(NULL);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

START_TEST(memory_fails)
{
    uint64_t refused = 0, broken = 0;
    for (uint64_t n = 1;; n++) {
        dice_seed(3);
        struct failing_alloc memory;
        struct kvt_null *world = kvt_null_new(failing_alloc_init(&memory, n), NULL);
        memory.for_good = n % 2;
        int error = 0;
        if (world) {
            begin(world);
            for (int k = 0; k < 60 && !error; k++) {
                m.appetite = 300;
                for (uint64_t i = dice_below(40); i; i--)
                    issue();
                error = advance(m.now + dice_below(100));
            }
            ck_assert(error == 0 || error == -ENOMEM);
            /* once broken, broken for good; but quietly */
            ck_assert(!error || advance(m.now) == -ENOMEM);
            ck_assert(error || m.head == m.tail);
            refused += m.refused > 0;
            broken += error != 0;
        }
        kvt_null_free(world);
        ck_assert(failing_alloc_clean(&memory));
        if (memory.gets < n) {
            ck_assert_uint_gt(n, 5);
            break;
        }
    }
    ck_assert_uint_gt(refused, 0);
    ck_assert_uint_gt(broken, 0);
}
END_TEST

static uint64_t notes;

static void hear(void *self, const struct kvt_note *note)
{
    ck_assert_ptr_eq(self, &notes);
    notes += note->now;
}

START_TEST(forwards_notes)
{
    struct failing_alloc memory;
    const struct kvt_observer observer = {hear, &notes};
    const struct kvt_alloc *alloc = failing_alloc_init(&memory, 0);
    struct kvt_null *heard = kvt_null_new(alloc, &observer), *deaf = kvt_null_new(alloc, NULL);
    const struct kvt_note note = {.kind = KVT_NOTE_STEP, .now = 42};
    kvt_null_port(heard).ops->note(heard, &note);
    kvt_null_port(deaf).ops->note(deaf, &note);
    ck_assert_uint_eq(notes, 42);
    kvt_null_free(heard);
    kvt_null_free(deaf);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("null");
    TCase *tcase = tcase_create("null");
    tcase_set_timeout(tcase, 20);
    tcase_add_loop_test(tcase, random_operations, 0, 4);
    tcase_add_test(tcase, draining_does_not_end_the_clock);
    tcase_add_test(tcase, memory_fails);
    tcase_add_test(tcase, forwards_notes);
    suite_add_tcase(suite, tcase);
    return kvt_test_main(suite);
}
