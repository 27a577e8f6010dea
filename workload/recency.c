/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * recency.c - see recency.h.
 */
#include "recency.h"

#include "record.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS_LEAST = 1 << 16 };

void wl_recency_release(struct wl_recency *r)
{
    wl_rank_release(&r->set);
    free(r->last);
    free(r->prompts);
    free(r->hints);
    *r = (struct wl_recency){0};
}

/* ---- Room ------------------------------------------------------------------------------------- */

/* Prompt number i has the slots from begin to end. */
static void hint(struct wl_recency *r, size_t i, uint32_t begin, uint32_t end)
{
    for (size_t line = (begin + (size_t)WL_RANK_LINE - 1) / WL_RANK_LINE; line * WL_RANK_LINE < end;
         line++)
        r->hints[line] = (uint32_t)i;
}

/* Blocks are moved to the slots 0 .. live - 1, in order; prompts that have none left go. */
static void pack(struct wl_recency *r)
{
    wl_rank_pack_begin(&r->set);
    for (size_t i = 0; i < r->n_last; i++)
        if (r->last[i] != 0)
            r->last[i] = wl_rank_packed(&r->set, r->last[i] - 1) + 1;
    size_t kept = 0;
    for (size_t i = 0; i < r->n_prompts; i++) {
        const uint32_t end = i + 1 < r->n_prompts ? r->prompts[i + 1].begin : r->next;
        const uint32_t begin = wl_rank_packed(&r->set, r->prompts[i].begin);
        const uint32_t new_end = wl_rank_packed(&r->set, end);
        if (new_end == begin)
            continue;
        hint(r, kept, begin, new_end);
        r->prompts[kept] = r->prompts[i];
        r->prompts[kept++].begin = begin;
    }
    wl_rank_pack_end(&r->set);
    r->n_prompts = kept;
    r->next = r->live;
}

/* At least n free slots at the end. */
static int make_slots(struct wl_recency *r, uint32_t n)
{
    const uint64_t now = wl_rank_slots(&r->set), want = 2 * ((uint64_t)r->live + n);
    if ((uint64_t)r->next + n < now)
        return 0;
    if (want > UINT32_MAX)
        return -EFBIG;
    if (want < now) {
        pack(r);
        return 0;
    }
    const uint64_t twice = 2 * now > SLOTS_LEAST ? 2 * now : SLOTS_LEAST;
    const uint64_t most = UINT32_MAX - WL_RANK_LINE;
    const uint64_t slots = twice < most ? (twice > want ? twice : want) : most;
    if (wl_grow(&r->hints, &r->n_hints, slots / WL_RANK_LINE + 2, sizeof r->hints[0]) != 0)
        return -ENOMEM;
    return wl_rank_grow(&r->set, slots);
}

int wl_recency_begin(struct wl_recency *r, uint32_t numbers, uint32_t n, uint64_t stamp)
{
    const size_t before = r->n_last;
    if (wl_grow(&r->last, &r->n_last, numbers, sizeof r->last[0]) != 0)
        return -ENOMEM;
    memset(r->last + before, 0, (r->n_last - before) * sizeof r->last[0]);
    if (wl_grow(&r->prompts, &r->room, r->n_prompts + 1, sizeof r->prompts[0]) != 0)
        return -ENOMEM;
    const int status = make_slots(r, n);
    if (status != 0)
        return status;
    r->prompts[r->n_prompts++] = (struct wl_recency_prompt){.begin = r->next, .stamp = stamp};
    hint(r, r->n_prompts - 1, r->next, r->next + n);
    r->next += n;
    return 0;
}

/* ---- Looking ---------------------------------------------------------------------------------- */

/* The prompt that has the slot: between those that have the first slots of its line and of the next. */
static uint32_t prompt_of(const struct wl_recency *r, uint32_t slot)
{
    const size_t line = slot / WL_RANK_LINE, next = line + 1;
    size_t low = r->hints[line]; /* its begin <= slot < high's */
    size_t high = next * WL_RANK_LINE < r->next ? r->hints[next] + (size_t)1 : r->n_prompts;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (r->prompts[middle].begin <= slot)
            low = middle;
        else
            high = middle;
    }
    return (uint32_t)low;
}

static uint32_t prompt_end(const struct wl_recency *r, uint32_t prompt)
{
    return prompt + 1 < r->n_prompts ? r->prompts[prompt + 1].begin : r->next;
}

struct wl_piece wl_recency_look(const struct wl_recency *r, uint32_t first, uint32_t n)
{
    const uint32_t *last = r->last + first;
    struct wl_piece piece = {.n = 1};
    if (last[0] == 0) {
        while (piece.n < n && last[piece.n] == 0)
            piece.n++;
        return piece;
    }
    piece.seen = true;
    piece.slot = last[0] - 1;
    piece.prompt = prompt_of(r, piece.slot);
    const uint32_t left = prompt_end(r, piece.prompt) - piece.slot;
    const uint32_t most = n < left ? n : left;
    while (piece.n < most && last[piece.n] == last[0] + piece.n)
        piece.n++;
    return piece;
}

uint32_t wl_recency_head(const struct wl_recency *r, const struct wl_piece *piece)
{
    return r->live - wl_rank(&r->set, piece->slot);
}

struct wl_depth wl_recency_depth(const struct wl_recency *r, const struct wl_piece *piece)
{
    const uint32_t at = wl_rank(&r->set, piece->slot);
    const uint32_t begin = wl_rank(&r->set, r->prompts[piece->prompt].begin);
    const uint32_t end = wl_rank(&r->set, prompt_end(r, piece->prompt));
    return (struct wl_depth){.after = r->live - end, .head = end - at, .leaf = at - begin + 1};
}

/* ---- Using ------------------------------------------------------------------------------------ */

void wl_recency_use(struct wl_recency *r, uint32_t first, const struct wl_piece *piece, uint32_t at)
{
    const uint32_t slot = r->prompts[r->n_prompts - 1].begin + at;
    if (piece->seen)
        wl_rank_clear(&r->set, piece->slot, piece->n);
    else
        r->live += piece->n;
    wl_rank_set(&r->set, slot, piece->n);
    uint32_t *last = r->last + first;
    for (uint32_t i = 0; i < piece->n; i++)
        last[i] = slot + i + 1;
}

/* ---- Checking --------------------------------------------------------------------------------- */

#define CHECK(what, ...)                                                                           \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            snprintf(why, size, __VA_ARGS__);                                                      \
            return false;                                                                          \
        }                                                                                          \
    } while (0)

bool wl_recency_check(const struct wl_recency *r, char *why, size_t size)
{
    uint32_t used = 0;
    for (size_t i = 0; i < r->n_last; i++) {
        if (r->last[i] == 0)
            continue;
        used++;
        CHECK(r->last[i] <= r->next, "(Y1) block %zu has a slot that was not given out", i);
        CHECK(wl_rank_has(&r->set, r->last[i] - 1), "(Y1) block %zu has a slot not in the set", i);
    }
    CHECK(used == r->live, "(Y1) %u blocks have a slot, %u are counted", used, r->live);
    CHECK(r->set.words == NULL || wl_rank(&r->set, wl_rank_slots(&r->set)) == r->live,
          "(K1) the tree counts other than %u", r->live);
    for (size_t i = 1; i < r->n_prompts; i++)
        CHECK(r->prompts[i - 1].begin <= r->prompts[i].begin, "(Y2) prompt %zu begins before", i);
    return true;
}
