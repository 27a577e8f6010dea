/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_rollout_faults.c - a new epoch of the model comes while things break: whole scenarios, from file to results.
 *
 *   conservation      every request, a warm-up's in the background included, ends exactly once, in every pass that
 *                     figures are compared with
 *   again             the same run leaves the same summary, byte for byte, and the same decisions
 *   replay            a recording of it, replayed into a core alone, decides the same
 *   epochs apart      whoever the new epoch serves finds nothing that was computed for the old one, also where a part
 *                     that broke comes back with what it held: without a warm-up and with all moved at once, the
 *                     first request behind the switch finds nothing
 */
#include "cli/session.h"
#include "core/replay.h"
#include "core/observer.h"

#include <stdlib.h>
#include <string.h>

#include "heap.h"
#include "kvt_test.h"
#include "record_fixture.h"

enum { REQUESTS_MOST = 16384 };

/* What one pass did. */
static struct {
    uint8_t ended[REQUESTS_MOST]; /* how often, by id */
    uint64_t finished, failed, background, prompt_tokens, ledger_tokens;
    kvt_ns switch_ns;
    uint64_t first_id, first_hits; /* the first that arrives behind the switch */
    char digest[33];
    char *summary;
} pass;

static void hear(void *self, const struct kvt_note *note)
{
    (void)self;
    if (note->kind != KVT_NOTE_REPORT)
        return;
    const struct kvt_report *p = note->report;
    if (p->background) {
        pass.background++;
        return;
    }
    ck_assert_uint_lt(p->id, REQUESTS_MOST);
    pass.ended[p->id]++;
    pass.finished += p->outcome == KVT_FINISHED;
    pass.failed += p->outcome != KVT_FINISHED;
    if (p->outcome != KVT_FINISHED)
        return;
    uint64_t ledger = 0, hits = 0;
    for (int c = 0; c < KVT_LEDGER; c++)
        ledger += p->ledger_tokens[c];
    for (int t = 0; t < KVT_TIERS; t++)
        hits += p->ledger_tokens[KVT_HIT_GPU + t];
    ck_assert_uint_eq(ledger, p->prompt_tokens);
    if (p->arrive_ns >= pass.switch_ns && p->id < pass.first_id) {
        pass.first_id = p->id;
        pass.first_hits = hits;
    }
}

static struct session session;

static void open_session(const char *const *sets, size_t n)
{
    const struct session_arguments a = {.scenario = "scenarios/rollout/chat.yaml",
                                        .sets = sets,
                                        .n_sets = n};
    memset(&session, 0, sizeof session);
    ck_assert_msg(session_load(&session, &a) == 0, "%s", session.error);
    ck_assert_msg(session_workload(&session) == 0, "%s", session.error);
    ck_assert_msg(session_resolve(&session) == 0, "%s", session.error);
}

/* One pass over the traffic; everything that enters core goes to tape, if there is one. */
static void go(enum wl_rollout_part part, struct tape *tape)
{
    static volatile sig_atomic_t stop;
    const struct kvt_observer observer = {hear, NULL};
    const struct results_options options = session_results(&session, "chat");
    const struct kvt_sink sink = tape ? tape_sink(tape) : (struct kvt_sink){0};
    char error[SCENARIO_ERROR_SIZE] = "";
    void *kept = NULL;
    int rc = 0;
    free(pass.summary);
    memset(&pass, 0, sizeof pass);
    pass.first_id = UINT64_MAX;
    pass.switch_ns = session.resolved.rollout.at_ns;
    struct results *results = results_new(&options, &rc, error, sizeof error);
    ck_assert_msg(results != NULL, "%s", error);
    const struct drive d = {.resolved = &session.resolved,
                            .world = (enum scenario_world)session.scenario.world,
                            .source = session_source_part(&session, part),
                            .record = tape ? &sink : NULL,
                            .results = results,
                            .also = &observer,
                            .stop = &stop};
    rc = drive_run(&d, &kept, error);
    ck_assert_msg(rc == 0, "%d %s", rc, error);
    pass.summary = results_json(results, NULL);
    ck_assert_ptr_nonnull(pass.summary);
    const char *at = strstr(pass.summary, "\"decisions_digest\": \"");
    ck_assert_ptr_nonnull(at);
    snprintf(pass.digest, sizeof pass.digest, "%.32s", at + strlen("\"decisions_digest\": \""));
    results_free(results);
    free(kept);
    for (uint64_t id = 0; id < session.info.requests; id++)
        ck_assert_msg(pass.ended[id] == 1, "request %lu ended %u times", id, pass.ended[id]);
    ck_assert_uint_eq(pass.finished + pass.failed, session.info.requests);
}

static void replay(const struct tape *tape)
{
    struct kvt_replay r;
    char digest[33];
    int error = 0, rc;
    ck_assert_int_eq(kvt_replay_init(&r, &heap, tape->bytes, tape->n, NULL), 0);
    const struct kvt_port port = kvt_replay_port(&r);
    struct kvt_core *core = kvt_core_new(&session.resolved.core, &port, &heap, &error);
    ck_assert_ptr_nonnull(core);
    while ((rc = kvt_replay_step(&r, core)) > 0) {
    }
    ck_assert_int_eq(rc, 0);
    ck_assert_uint_eq(kvt_core_unfinished(core), 0);
    kvt_core_digest(core, digest);
    ck_assert_str_eq(digest, pass.digest);
    kvt_core_free(core);
    kvt_replay_release(&r);
}

static const char *const stories[][6] = {
    /* A node is gone across the switch, and comes back empty. */
    {"faults=[{at: 450s, kill: redis/0, for: 100s}]"},
    /* One that was cut off comes back behind it, with what it held of the old epoch. */
    {"faults=[{at: 450s, partition: redis, for: 100s}]", "cache.tiers.redis.timeout=1s"},
    /* An engine dies in the middle of a warm-up; its requests, those in the background too, go elsewhere. */
    {"faults=[{at: 440s, kill: engine/0, for: 120s}]", "rollout.warm_up=shadow"},
    {"faults=[{at: 420s, kill: engine, for: 30s}]", "rollout.warm_up=hot"},
    /* Steps, dropping of the old epoch while a tier is down, and every kind of thing at random times. */
    {"faults=[{at: 590s, kill: host, for: 120s}, {at: 600s, kill: redis, for: 90s}]",
     "rollout.share=25%", "rollout.every=50s", "rollout.drop=true", "rollout.warm_up=recent"},
    {"faults=[{every: 200s, kill: redis/1, for: 20s}, {every: 250s, slow: network, factor: 20, "
     "for: 60s}, "
     "{every: 300s, corrupt: host/0, share: 20%, for: 60s}, {at: 520s, full: redis/0, for: 100s}]",
     "rollout.share=50%", "rollout.every=100s", "rollout.by=tenant", "rollout.warm_up=recent"},
    {"faults=[{at: 510s, kill: redis, for: 60s}]", "world=null", "rollout.warm_up=hot",
     "cache.tiers.gpu.capacity=2000blocks"},
    {"faults=[{at: 495s, kill: gpu/0.1}]", "cache.shard.policy=horizontal", "rollout.warm_up=hot"},
};

static void open_story(size_t i)
{
    const char *sets[16] = {"workload.generate.requests=800",
                            "rollout.at=500s",
                            "rollout.watch=200s",
                            "rollout.lead=100s",
                            "rollout.warm_up=none",
                            "cache.tiers.redis.nodes=2"};
    size_t n = 6;
    for (size_t k = 0; k < 6 && stories[i][k]; k++)
        sets[n++] = stories[i][k];
    open_session(sets, n);
}

START_TEST(ends_again_and_replays)
{
    struct tape tape = {0};
    open_story((size_t)_i);
    go(WL_ROLLOUT_NOTHING, NULL);
    ck_assert_uint_eq(pass.background, 0);
    go(WL_ROLLOUT_COLD, NULL);
    ck_assert_uint_eq(pass.background, 0);
    go(WL_ROLLOUT_ALL, &tape);
    ck_assert(pass.background > 0 || session.resolved.rollout.warm_up == WL_WARM_NONE);
    const char *faults = strstr(pass.summary, "\"faults\": ");
    ck_assert(faults && faults[10] >= '1' && faults[10] <= '9');
    replay(&tape);
    char *summary = strdup(pass.summary);
    go(WL_ROLLOUT_ALL, NULL);
    ck_assert_str_eq(summary, pass.summary);
    free(summary);
    tape_release(&tape);
    session_close(&session);
}
END_TEST

/* What comes back behind the switch is of the old epoch, and of no use. */
START_TEST(old_blocks_that_come_back_are_not_found)
{
    open_story(1);
    go(WL_ROLLOUT_ALL, NULL);
    ck_assert_uint_ne(pass.first_id, UINT64_MAX);
    ck_assert_uint_eq(pass.first_hits, 0);
    session_close(&session);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rollout with faults");
    TCase *tests = tcase_create("rollout with faults");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, ends_again_and_replays, 0, (int)(sizeof stories / sizeof *stories));
    tcase_add_test(tests, old_blocks_that_come_back_are_not_found);
    suite_add_tcase(suite, tests);
    return kvt_test_main(suite);
}
