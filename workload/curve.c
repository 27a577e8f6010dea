/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * curve.c - see curve.h.
 */
#include "curve.h"

#include "../core/mix.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum { MARKS_LEAST = 1 << 12 };

void wl_curve_release(struct wl_curve *curve)
{
    free(curve->marks);
    *curve = (struct wl_curve){0};
}

static int by_place(const void *a, const void *b)
{
    const uint64_t x = ((const struct wl_mark *)a)->at, y = ((const struct wl_mark *)b)->at;
    return (x > y) - (x < y);
}

static struct wl_mark *place_of(struct wl_mark *marks, size_t room, uint64_t at)
{
    size_t i = kvt_mix64(at) & (room - 1);
    while (marks[i].at != 0 && marks[i].at != at)
        i = (i + 1) & (room - 1);
    return &marks[i];
}

static int make_longer(struct wl_curve *curve)
{
    const size_t room = curve->room == 0 ? MARKS_LEAST : curve->room * 2;
    struct wl_mark *marks = calloc(room, sizeof marks[0]);
    if (marks == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < curve->room; i++)
        if (curve->marks[i].at != 0)
            *place_of(marks, room, curve->marks[i].at) = curve->marks[i];
    free(curve->marks);
    curve->marks = marks;
    curve->room = room;
    return 0;
}

static int add(struct wl_curve *curve, const struct wl_mark *mark)
{
    assert(!curve->sealed && mark->at > 0);
    if (curve->n >= curve->room / 2 && make_longer(curve) != 0)
        return -ENOMEM;
    struct wl_mark *m = place_of(curve->marks, curve->room, mark->at);
    curve->n += m->at == 0;
    m->at = mark->at;
    m->step += mark->step;
    m->slope += mark->slope;
    m->short_tokens += mark->short_tokens;
    return 0;
}

int wl_curve_step(struct wl_curve *curve, uint64_t at, uint64_t n)
{
    return add(curve, &(struct wl_mark){.at = at, .step = (int64_t)n});
}

int wl_curve_ramp(struct wl_curve *curve, uint64_t at, uint64_t n)
{
    if (n == 1)
        return wl_curve_step(curve, at, 1);
    const int status = add(curve, &(struct wl_mark){.at = at + n, .slope = -1});
    return status == 0 ? add(curve, &(struct wl_mark){.at = at, .slope = 1}) : status;
}

int wl_curve_short(struct wl_curve *curve, uint64_t at, uint64_t tokens)
{
    return add(curve, &(struct wl_mark){.at = at, .short_tokens = (int64_t)tokens});
}

int wl_curve_add(struct wl_curve *curve, const struct wl_curve *other)
{
    int status = 0;
    assert(!other->sealed);
    for (size_t i = 0; i < other->room && status == 0; i++)
        if (other->marks[i].at != 0)
            status = add(curve, &other->marks[i]);
    return status;
}

/* The table becomes an array in order. */
static void put_in_order(struct wl_curve *curve)
{
    size_t n = 0;
    for (size_t i = 0; i < curve->room; i++)
        if (curve->marks[i].at != 0)
            curve->marks[n++] = curve->marks[i];
    if (n > 0)
        qsort(curve->marks, n, sizeof curve->marks[0], by_place);
}

/* A ramp that ends rises by one at at + n - 1 for the last time: at at + n slope -1 takes back what slope +1
 * adds there and beyond. */
void wl_curve_seal(struct wl_curve *curve)
{
    if (curve->sealed)
        return;
    put_in_order(curve);
    struct wl_mark sum = {0};
    for (size_t i = 0; i < curve->n; i++) {
        struct wl_mark *m = &curve->marks[i];
        sum.step += m->step + m->slope * (1 - (int64_t)m->at);
        sum.slope += m->slope;
        sum.short_tokens += m->short_tokens;
        *m = (struct wl_mark){m->at, sum.step, sum.slope, sum.short_tokens};
    }
    curve->sealed = true;
}

struct wl_hits wl_curve_at(const struct wl_curve *curve, uint64_t capacity)
{
    assert(curve->sealed || curve->n == 0);
    size_t low = 0, high = curve->n; /* marks before low are at or below capacity */
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (curve->marks[middle].at <= capacity)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return (struct wl_hits){0, 0};
    const struct wl_mark *m = &curve->marks[low - 1];
    const uint64_t c =
        m->slope != 0 ? capacity : 0; /* beyond the last mark capacity may be anything */
    return (struct wl_hits){(uint64_t)(m->step + m->slope * (int64_t)c), (uint64_t)m->short_tokens};
}
