/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * sessions.c - see sessions.h.
 */
#include "sessions.h"

#include "../core/mix.h"

#include <errno.h>
#include <stdlib.h>

/* What the chosen thousand hold: each id once per session (or prompt, where sessions are unknown). */
struct lesson {
    struct wl_intern ids, pairs, units;
    uint32_t *holders; /* by id */
    size_t room;
    uint64_t prompts;
};

static kvt_key key_of(const struct wl_sessions *s, const struct wl_record *r, uint64_t id)
{
    return (kvt_key){.hi = s->tenant_salts ? (uint64_t)r->tenant + 1 : 0, .lo = id};
}

static int learn_record(const struct wl_sessions *s, const struct wl_record *r, struct lesson *l)
{
    const kvt_key unit =
        r->session != KVT_NONE ? (kvt_key){1, r->session} : (kvt_key){2, l->prompts};
    uint32_t u;
    l->prompts++;
    if (wl_intern(&l->units, unit, &u, NULL) != 0)
        return -ENOMEM;
    for (uint32_t i = 0; i < r->n_ids; i++) {
        uint32_t id, pair;
        bool fresh_id, fresh_pair;
        if (wl_intern(&l->ids, key_of(s, r, r->ids[i]), &id, &fresh_id) != 0 ||
            wl_intern(&l->pairs, (kvt_key){u, id}, &pair, &fresh_pair) != 0 ||
            wl_grow(&l->holders, &l->room, (size_t)id + 1, sizeof l->holders[0]) != 0)
            return -ENOMEM;
        if (fresh_id)
            l->holders[id] = 0;
        l->holders[id] += fresh_pair;
    }
    return 0;
}

static int choose_popular(struct wl_sessions *s, const struct lesson *l)
{
    const uint64_t least = l->units.n * WL_SESSIONS_POPULAR_PERCENT / 100;
    for (size_t i = 0; i < l->ids.n; i++) {
        uint32_t number;
        if (l->holders[i] > 2 && l->holders[i] > least &&
            wl_intern(&s->popular, l->ids.keys[i], &number, NULL) != 0)
            return -ENOMEM;
    }
    return 0;
}

static void forget(struct lesson *l)
{
    wl_intern_release(&l->ids);
    wl_intern_release(&l->pairs);
    wl_intern_release(&l->units);
    free(l->holders);
}

int wl_sessions_learn(struct wl_sessions *s, struct wl_source *source, bool tenant_salts,
                      struct wl_error *error)
{
    uint64_t expected, blocks;
    wl_hint(source, &expected, &blocks);
    const uint64_t every = expected / WL_SESSIONS_LEARN + 1;
    struct lesson lesson = {0};
    struct wl_record r;
    s->tenant_salts = tenant_salts;
    wl_rewind(source);
    int status;
    while ((status = wl_next_record(source, &r)) == 1) {
        s->with_session += r.session != KVT_NONE;
        if (s->records++ % every == 0 && (status = learn_record(s, &r, &lesson)) != 0)
            break;
    }
    if (status == 0)
        status = choose_popular(s, &lesson);
    if (status == -ENOMEM)
        wl_fail(error, status, NULL, 0, "workload", "expected more memory");
    else if (status != 0)
        wl_fail(error, status, NULL, 0, NULL, "%s", wl_source_error(source));
    forget(&lesson);
    wl_rewind(source);
    return status;
}

void wl_sessions_release(struct wl_sessions *s)
{
    wl_intern_release(&s->popular);
    *s = (struct wl_sessions){0};
}

uint32_t wl_sessions_popular(const struct wl_sessions *s, const struct wl_record *r, uint64_t id)
{
    return wl_intern_find(&s->popular, key_of(s, r, id));
}

struct wl_member wl_session_of(const struct wl_sessions *s, const struct wl_record *r)
{
    struct wl_member m = {.session = {4, 0}};
    while (m.head_ids < r->n_ids && wl_sessions_popular(s, r, r->ids[m.head_ids]) != KVT_NONE)
        m.head_ids++;
    if (r->session != KVT_NONE) {
        m.session = (kvt_key){UINT64_C(1) << 63, r->session};
    } else if (m.head_ids < r->n_ids) {
        m.session = key_of(s, r, r->ids[m.head_ids]);
    } else if (r->has_tail) {
        m.session = key_of(s, r, r->tail_id);
    } else if (r->n_ids > 0) {
        m.session = key_of(s, r, r->ids[r->n_ids - 1]);
    }
    m.hash = kvt_mix64(kvt_mix64(m.session.lo + UINT64_C(0x9e3779b97f4a7c15)) ^ m.session.hi);
    return m;
}
