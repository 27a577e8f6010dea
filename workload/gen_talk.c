/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * gen_talk.c - conversations: chat and agent. They differ in their numbers only: chat is an agent with one
 * step per turn.
 *
 *      prompt of a turn    = text so far + new text (the user's, or a tool's output)
 *      text after the turn = prompt + answer
 *
 *      | system prompt, shared | user | answer | user | answer | ...
 *      |<------- prompt of turn 1 -->|
 *      |<------------ prompt of turn 2 -------------->|
 *
 * Sessions start by the arrival process. The next request of a session comes when its answer has been read
 * (answer / pace) and the user has thought or the tool has run. Open sessions wait in a binary heap by (time,
 * number), the only memory there is: rate * time between turns of them, whatever the length of the run.
 *
 * Ids. Block i of a text belongs to whoever wrote its last token: system prompt p names it p << 24 | i, session s
 * (S + s) << 24 | i, with S system prompts. A session only appends, so an id names all that is before it. A session
 * that starts over behind its system prompt counts its own blocks on, so that none is named twice. The partial
 * block at the end of a prompt is the request's own: bit 23 and the request's number in the session.
 */
#include "gen.h"
#include "rng.h"
#include "zipf.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

enum { INDEX_BITS = 24, OWN_BLOCKS = 1 << 23, TURNS_MOST = 1 << 16, STEPS_MOST = 1 << 12 };

struct session {
    kvt_ns at_ns; /* of its next request */
    uint64_t number;
    uint32_t text_tokens;            /* prompt and answers so far */
    uint32_t turns_left, steps_left; /* after the next request: turns to begin, steps of this one */
    uint32_t request;                /* of the session, from 0 */
    uint32_t system_prompt, tenant;
    uint32_t own_base; /* blocks named before it started over */
    bool in_turn;      /* the next request carries a tool's output, not the user's */
};

struct talk {
    struct wl_gen_plan plan;
    struct wl_clock clock;
    struct wl_zipf prompts;
    kvt_ns next_start_ns;
    uint64_t started, given;
    uint64_t requests_most, sessions_most;
    struct session *heap;
    size_t n, room;
    uint64_t *ids;
    size_t ids_room;
    /* Parameters, as the loops want them. */
    uint32_t system_tokens, context_tokens;
    double turns, steps, think_s, step_s, pace;
    double user, user_cv, tool, tool_cv, answer, answer_cv;
};

/* ---- Open sessions, earliest first ------------------------------------------------------------------ */

static bool earlier(const struct session *a, const struct session *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->number < b->number;
}

static int heap_push(struct talk *t, struct session session)
{
    if (wl_grow(&t->heap, &t->room, t->n + 1, sizeof t->heap[0]) != 0)
        return -ENOMEM;
    size_t i = t->n++;
    for (; i > 0 && earlier(&session, &t->heap[(i - 1) / 2]); i = (i - 1) / 2)
        t->heap[i] = t->heap[(i - 1) / 2];
    t->heap[i] = session;
    return 0;
}

/* Puts session where the first one is, and lets it sink. */
static void heap_replace(struct talk *t, struct session session)
{
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= t->n)
            break;
        if (child + 1 < t->n && earlier(&t->heap[child + 1], &t->heap[child]))
            child++;
        if (!earlier(&t->heap[child], &session))
            break;
        t->heap[i] = t->heap[child];
        i = child;
    }
    t->heap[i] = session;
}

static void heap_pop(struct talk *t)
{
    t->n--;
    if (t->n > 0)
        heap_replace(t, t->heap[t->n]);
}

/* ---- Sessions --------------------------------------------------------------------------------------- */

static int start_session(struct talk *t)
{
    uint64_t state;
    const uint64_t number = t->started++;
    const gsl_rng rng = wl_rng(&state, t->plan.seed, "session", number);
    struct session s = {.at_ns = t->next_start_ns, .number = number};
    s.turns_left = wl_draw_count(&rng, t->turns, TURNS_MOST) - 1;
    s.system_prompt = wl_zipf_draw(&t->prompts, &rng);
    s.tenant = (uint32_t)gsl_rng_uniform_int(&rng, wl_gen_count(&t->plan, WL_TENANTS));
    s.text_tokens = t->system_tokens;
    t->next_start_ns = t->started < t->sessions_most ? wl_clock_next(&t->clock) : KVT_NEVER;
    return heap_push(t, s);
}

/* Draws of one request. */
struct turn {
    uint32_t fresh, answer;
    kvt_ns until_next_ns;
};

static struct turn draw_turn(const struct talk *t, struct session *s)
{
    uint64_t state;
    /* No session has 2^28 requests: turns and steps are capped. */
    const gsl_rng rng = wl_rng(&state, t->plan.seed, "turn", s->number << 28 | s->request);
    struct turn turn;
    const uint32_t room = t->context_tokens - t->system_tokens; /* >= 2 */
    if (!s->in_turn)
        s->steps_left = wl_draw_count(&rng, t->steps, STEPS_MOST) - 1;
    turn.fresh = s->in_turn ? wl_draw_tokens(&rng, t->tool, t->tool_cv, room - 1)
                            : wl_draw_tokens(&rng, t->user, t->user_cv, room - 1);
    turn.answer = wl_draw_tokens(&rng, t->answer, t->answer_cv, room - turn.fresh);
    const kvt_ns pause = wl_draw_ns(&rng, s->steps_left > 0 ? t->step_s : t->think_s);
    turn.until_next_ns = kvt_ns_add(wl_seconds(turn.answer / t->pace), pause);
    return turn;
}

/* Too long with this turn: the text so far is dropped, its blocks' names stay used. False when the session has
 * no names left. */
static bool start_over(const struct talk *t, struct session *s)
{
    s->own_base += s->text_tokens / t->plan.block_tokens + 1;
    s->text_tokens = t->system_tokens;
    return s->own_base < OWN_BLOCKS - t->context_tokens / t->plan.block_tokens - 1;
}

static int name_blocks(struct talk *t, const struct session *s, struct wl_record *r)
{
    const uint32_t block = t->plan.block_tokens;
    const uint32_t n = (r->prompt_tokens + r->output_tokens) / block;
    const uint32_t shared = t->system_tokens / block < n ? t->system_tokens / block : n;
    const uint64_t own = (wl_gen_count(&t->plan, WL_SYSTEM_PROMPTS) + s->number) << INDEX_BITS;
    if (wl_grow(&t->ids, &t->ids_room, n, sizeof t->ids[0]) != 0)
        return -ENOMEM;
    for (uint32_t i = 0; i < shared; i++)
        t->ids[i] = (uint64_t)s->system_prompt << INDEX_BITS | i;
    for (uint32_t i = shared; i < n; i++)
        t->ids[i] = own | (s->own_base + i);
    r->n_ids = n;
    r->ids = t->ids;
    r->has_tail = r->prompt_tokens % block != 0;
    r->tail_id = own | OWN_BLOCKS | s->request;
    return 0;
}

/* The request of the first session in the heap; the session goes on to its next one, or ends. */
static int serve(struct talk *t, struct wl_record *r)
{
    struct session s = t->heap[0];
    const struct turn turn = draw_turn(t, &s);
    bool more = true;
    if ((uint64_t)s.text_tokens + turn.fresh + turn.answer > t->context_tokens)
        more = start_over(t, &s);
    *r = (struct wl_record){.at_ns = s.at_ns,
                            .prompt_tokens = s.text_tokens + turn.fresh,
                            .output_tokens = turn.answer,
                            .tenant = s.tenant,
                            .session = (uint32_t)s.number};
    if (name_blocks(t, &s, r) != 0)
        return -ENOMEM;
    s.text_tokens += turn.fresh + turn.answer;
    s.at_ns = kvt_ns_add(s.at_ns, turn.until_next_ns);
    s.request++;
    s.in_turn = s.steps_left > 0;
    if (s.in_turn)
        s.steps_left--;
    else if (s.turns_left > 0)
        s.turns_left--;
    else
        more = false;
    if (more && s.at_ns != KVT_NEVER)
        heap_replace(t, s);
    else
        heap_pop(t);
    return 0;
}

static int talk_next(void *self, struct wl_record *record, struct wl_error *error)
{
    struct talk *t = self;
    int status = 0;
    if (t->given == t->requests_most)
        return 0;
    while (status == 0 && t->next_start_ns != KVT_NEVER &&
           (t->n == 0 || t->next_start_ns <= t->heap[0].at_ns))
        status = start_session(t);
    if (status == 0 && t->n == 0)
        return 0;
    if (status == 0)
        status = serve(t, record);
    if (status != 0)
        return wl_fail(error, status, NULL, 0, "generate", "expected more memory");
    t->given++;
    return 1;
}

static void talk_rewind(void *self)
{
    struct talk *t = self;
    const double per_session = t->turns * t->steps;
    wl_clock_init(&t->clock, &t->plan.g.arrivals,
                  wl_generate_value(&t->plan.g, WL_RATE) / per_session, t->plan.seed, "arrivals");
    t->n = 0;
    t->started = t->given = 0;
    t->next_start_ns = wl_clock_next(&t->clock);
}

static void talk_close(void *self)
{
    struct talk *t = self;
    wl_zipf_release(&t->prompts);
    free(t->heap);
    free(t->ids);
    free(t);
}

static const struct wl_feed_ops talk_ops = {talk_next, talk_rewind, talk_close};

static void take_parameters(struct talk *t)
{
    const struct wl_generate *g = &t->plan.g;
    const bool steps = g->kind == WL_AGENT;
    t->system_tokens = (uint32_t)wl_generate_value(g, WL_SYSTEM_TOKENS);
    t->context_tokens = (uint32_t)wl_generate_value(g, WL_CONTEXT_TOKENS);
    t->turns = wl_generate_value(g, WL_TURNS);
    t->steps = steps ? wl_generate_value(g, WL_STEPS) : 1;
    t->think_s = wl_generate_value(g, WL_THINK);
    t->step_s = wl_generate_value(g, WL_STEP_TIME);
    t->pace = wl_generate_value(g, WL_PACE);
    t->user = wl_generate_value(g, WL_USER_TOKENS);
    t->user_cv = wl_generate_value(g, WL_USER_CV);
    t->tool = steps ? wl_generate_value(g, WL_TOOL_TOKENS) : 1;
    t->tool_cv = wl_generate_value(g, WL_TOOL_CV);
    t->answer = wl_generate_value(g, WL_ANSWER_TOKENS);
    t->answer_cv = wl_generate_value(g, WL_ANSWER_CV);
}

int wl_gen_talk(struct wl_feed *feed, const struct wl_gen_plan *plan, struct wl_error *error)
{
    const uint32_t blocks =
        (uint32_t)wl_generate_value(&plan->g, WL_CONTEXT_TOKENS) / plan->block_tokens;
    if (blocks > WL_IDS_MOST)
        return wl_fail(error, -EINVAL, NULL, 0, "context_tokens", "expected at most %d blocks",
                       WL_IDS_MOST);
    struct talk *t = calloc(1, sizeof *t);
    if (t == NULL)
        return wl_fail(error, -ENOMEM, NULL, 0, "generate", "expected more memory");
    t->plan = *plan;
    take_parameters(t);
    const uint64_t requests = wl_gen_count(plan, WL_REQUESTS);
    const uint64_t sessions = wl_gen_count(plan, WL_SESSIONS);
    t->requests_most = requests != 0 ? requests : UINT64_MAX;
    t->sessions_most = sessions != 0 ? sessions : (uint64_t)1 << 28;
    if (wl_zipf_init(&t->prompts, (uint32_t)wl_gen_count(plan, WL_SYSTEM_PROMPTS),
                     wl_generate_value(&plan->g, WL_ZIPF)) != 0) {
        talk_close(t);
        return wl_fail(error, -ENOMEM, NULL, 0, "generate", "expected more memory");
    }
    const double expected = (double)sessions * t->turns * t->steps;
    feed->ops = &talk_ops;
    feed->self = t;
    feed->requests = requests != 0 && (sessions == 0 || (double)requests < expected)
                         ? requests
                         : (uint64_t)expected;
    talk_rewind(t);
    return 0;
}
