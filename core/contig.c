/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * contig.c - see contig.h. First fit is Knuth's (The Art of Computer Programming 1, 2.5, Algorithm
 * A), over an array instead of a list: the holes of a whole engine fit a few cache lines, and a
 * moved tail is one memmove.
 */
#include "contig.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum { FIRST_ROOM = 64 };

int kvt_contig_init(struct kvt_contig *c, const struct kvt_alloc *alloc, uint64_t capacity_tokens)
{
    memset(c, 0, sizeof *c);
    c->alloc = alloc;
    c->holes = alloc->get(alloc->self, FIRST_ROOM * sizeof *c->holes);
    if (!c->holes)
        return -ENOMEM;
    c->room = FIRST_ROOM;
    c->capacity = c->free = capacity_tokens;
    if (capacity_tokens)
        c->holes[c->n_holes++] = (struct kvt_hole){0, capacity_tokens};
    return 0;
}

void kvt_contig_release(struct kvt_contig *c)
{
    if (c->holes)
        c->alloc->put(c->alloc->self, c->holes, c->room * sizeof *c->holes);
    c->holes = NULL;
}

/* (H3) for one region more. */
static bool make_room(struct kvt_contig *c)
{
    if (c->n_regions + 2 <= c->room)
        return true;
    const size_t room = c->room * 2;
    struct kvt_hole *holes = c->alloc->get(c->alloc->self, room * sizeof *holes);
    if (!holes)
        return false;
    memcpy(holes, c->holes, c->n_holes * sizeof *holes);
    kvt_contig_release(c);
    c->holes = holes;
    c->room = room;
    return true;
}

static void remove_hole(struct kvt_contig *c, size_t i)
{
    c->n_holes--;
    memmove(&c->holes[i], &c->holes[i + 1], (c->n_holes - i) * sizeof *c->holes);
}

static void insert_hole(struct kvt_contig *c, size_t i, struct kvt_hole hole)
{
    assert(c->n_holes < c->room);
    memmove(&c->holes[i + 1], &c->holes[i], (c->n_holes - i) * sizeof *c->holes);
    c->holes[i] = hole;
    c->n_holes++;
}

uint64_t kvt_contig_take(struct kvt_contig *c, uint64_t tokens)
{
    assert(tokens > 0);
    if (tokens > c->free)
        return KVT_CONTIG_NONE;
    size_t i = 0;
    while (i < c->n_holes && c->holes[i].tokens < tokens)
        i++;
    if (i == c->n_holes || !make_room(c))
        return KVT_CONTIG_NONE;
    const uint64_t offset = c->holes[i].offset;
    c->holes[i].offset += tokens;
    c->holes[i].tokens -= tokens;
    if (!c->holes[i].tokens)
        remove_hole(c, i);
    c->free -= tokens;
    c->n_regions++;
    return offset;
}

/* The first hole behind an offset. */
static size_t hole_after(const struct kvt_contig *c, uint64_t offset)
{
    size_t low = 0, high = c->n_holes;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        if (c->holes[mid].offset < offset)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

void kvt_contig_give(struct kvt_contig *c, uint64_t offset, uint64_t tokens)
{
    assert(tokens > 0 && tokens <= c->capacity && offset <= c->capacity - tokens);
    assert(c->n_regions > 0);
    const size_t i = hole_after(c, offset);
    struct kvt_hole *before = i > 0 ? &c->holes[i - 1] : NULL;
    struct kvt_hole *after = i < c->n_holes ? &c->holes[i] : NULL;
    assert(!before || before->tokens <= offset - before->offset); /* not free already */
    assert(!after || tokens <= after->offset - offset);
    const bool joins_before = before && before->offset + before->tokens == offset;
    const bool joins_after = after && after->offset == offset + tokens;
    if (joins_before && joins_after) {
        before->tokens += tokens + after->tokens;
        remove_hole(c, i);
    } else if (joins_before) {
        before->tokens += tokens;
    } else if (joins_after) {
        after->offset = offset;
        after->tokens += tokens;
    } else {
        insert_hole(c, i, (struct kvt_hole){offset, tokens});
    }
    c->free += tokens;
    c->n_regions--;
}

uint64_t kvt_contig_largest_hole(const struct kvt_contig *c)
{
    uint64_t largest = 0;
    for (size_t i = 0; i < c->n_holes; i++)
        if (c->holes[i].tokens > largest)
            largest = c->holes[i].tokens;
    return largest;
}

bool kvt_contig_check(const struct kvt_contig *c)
{
    uint64_t end = 0, sum = 0;
    for (size_t i = 0; i < c->n_holes; i++) {
        const struct kvt_hole *h = &c->holes[i];
        if (!h->tokens || (i > 0 && h->offset <= end)) /* (H1) */
            return false;
        if (h->offset > c->capacity || h->tokens > c->capacity - h->offset)
            return false;
        end = h->offset + h->tokens;
        sum += h->tokens;
    }
    /* (H2), (H3) */
    return sum == c->free && c->n_holes <= c->n_regions + 1 && c->n_regions + 1 <= c->room;
}
