/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * synth.c - see synth.h. Open conversations stand in an array that is walked for each request: 1,024 of them
 * at most, so a microsecond.
 *
 * Ids: block i of the system prompt is i; block i of conversation s is (s + 1) * 2^24 + i. A block that holds
 * the first token behind the system prompt belongs to the conversation. A conversation only grows, so an id
 * names everything before it as well.
 */
#include "synth.h"

#include "rng.h"

#include <errno.h>
#include <stdlib.h>

enum { INDEX_BITS = 24 };

void wl_synth_init(struct wl_synth_state *state, const struct wl_synth *rule, uint64_t seed,
                   uint32_t block_tokens)
{
    state->rule = *rule;
    state->seed = seed;
    state->block_tokens = block_tokens;
}

void wl_synth_release(struct wl_synth_state *state)
{
    free(state->ids);
    state->ids = NULL;
    state->room = 0;
}

/* Closes what was idle too long and finds the longest text that the prompt can continue. */
static uint32_t best_fit(struct wl_synth_state *s, kvt_ns now, uint32_t prompt_tokens)
{
    uint32_t best = KVT_NONE;
    for (uint32_t i = 0; i < s->n_open;) {
        const struct wl_synth_chat *chat = &s->open[i];
        if (now - chat->last_ns > s->rule.idle_ns) {
            s->open[i] = s->open[--s->n_open];
            continue;
        }
        const struct wl_synth_chat *other = best == KVT_NONE ? NULL : &s->open[best];
        if (chat->text_tokens < prompt_tokens &&
            (other == NULL || chat->text_tokens > other->text_tokens ||
             (chat->text_tokens == other->text_tokens &&
              (chat->last_ns > other->last_ns ||
               (chat->last_ns == other->last_ns && chat->session > other->session)))))
            best = i;
        i++;
    }
    return best;
}

/* Room for one more: the one idle longest goes; ties: the oldest. */
static uint32_t open_chat(struct wl_synth_state *s)
{
    uint32_t at = s->n_open;
    if (s->n_open < WL_SYNTH_OPEN) {
        s->n_open++;
    } else {
        at = 0;
        for (uint32_t i = 1; i < s->n_open; i++)
            if (s->open[i].last_ns < s->open[at].last_ns ||
                (s->open[i].last_ns == s->open[at].last_ns &&
                 s->open[i].session < s->open[at].session))
                at = i;
    }
    s->open[at].session = s->sessions++;
    return at;
}

int wl_synth_fill(struct wl_synth_state *s, struct wl_record *r)
{
    uint64_t state;
    const gsl_rng rng = wl_rng(&state, s->seed, "synth", s->requests++);
    uint32_t at = best_fit(s, r->at_ns, r->prompt_tokens);
    if (at == KVT_NONE || gsl_rng_uniform(&rng) >= s->rule.continues)
        at = open_chat(s);
    struct wl_synth_chat *chat = &s->open[at];
    const uint32_t tokens = r->prompt_tokens + r->output_tokens;
    const uint32_t n = tokens / s->block_tokens;
    if (n > WL_IDS_MOST)
        return -EINVAL;
    if (wl_grow(&s->ids, &s->room, n, sizeof s->ids[0]) != 0)
        return -ENOMEM;
    const uint32_t system =
        s->rule.system_tokens < r->prompt_tokens ? s->rule.system_tokens : r->prompt_tokens;
    const uint32_t shared = system / s->block_tokens;
    for (uint32_t i = 0; i < n; i++)
        s->ids[i] = i < shared ? i : ((uint64_t)chat->session + 1) << INDEX_BITS | i;
    chat->last_ns = r->at_ns;
    chat->text_tokens = tokens;
    r->session = chat->session;
    r->n_ids = n;
    r->ids = s->ids;
    return 0;
}
