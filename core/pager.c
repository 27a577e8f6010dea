/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * pager.c - see pager.h. A run is cut from the free list, and from the fresh pages where that ends;
 * giving back hangs the whole chain in front of the list, so that the pages used last, and warm in
 * the processor's cache, are the next to go out.
 */
#include "pager.h"

#include <errno.h>
#include <string.h>

static const struct kvt_page_run empty = {KVT_NONE, KVT_NONE, 0};

int kvt_pager_init(struct kvt_pager *p, const struct kvt_alloc *alloc, uint64_t pages)
{
    memset(p, 0, sizeof *p);
    p->alloc = alloc;
    p->free_head = KVT_NONE;
    if (pages != UINT64_MAX) {
        if (pages >= KVT_NONE)
            return -EINVAL;
        /* One word too many, so that no pages at all is not mistaken for unlimited. */
        p->next = alloc->get(alloc->self, ((size_t)pages + 1) * sizeof *p->next);
        if (!p->next)
            return -ENOMEM;
    }
    p->total = pages;
    return 0;
}

void kvt_pager_release(struct kvt_pager *p)
{
    if (p->next)
        p->alloc->put(p->alloc->self, p->next, ((size_t)p->total + 1) * sizeof *p->next);
    p->next = NULL;
}

bool kvt_pager_take(struct kvt_pager *p, uint32_t n, struct kvt_page_run *run)
{
    *run = empty;
    if (kvt_pager_free(p) < n)
        return false;
    p->used += n;
    run->n = n;
    if (!p->next || !n)
        return true;
    uint32_t *link = &run->first; /* where the next page's number goes */
    uint32_t page = p->free_head;
    for (; n && page != KVT_NONE; n--) {
        *link = run->last = page;
        link = &p->next[page];
        page = *link;
    }
    p->free_head = page;
    for (; n; n--) {
        *link = run->last = p->fresh++;
        link = &p->next[run->last];
    }
    *link = KVT_NONE;
    return true;
}

void kvt_pager_append(struct kvt_pager *p, struct kvt_page_run *run,
                      const struct kvt_page_run *more)
{
    assert(more->n <= UINT32_MAX - run->n);
    if (!more->n)
        return;
    if (p->next && run->n)
        p->next[run->last] = more->first;
    else
        run->first = more->first;
    run->last = more->last;
    run->n += more->n;
}

void kvt_pager_split(struct kvt_pager *p, struct kvt_page_run *run, uint32_t n,
                     struct kvt_page_run *head)
{
    assert(n <= run->n);
    *head = empty;
    if (!n)
        return;
    *head = *run;
    if (n == run->n) {
        *run = empty;
        return;
    }
    head->n = n;
    run->n -= n;
    if (!p->next)
        return;
    head->last = head->first;
    for (uint32_t i = 1; i < n; i++)
        head->last = p->next[head->last];
    run->first = p->next[head->last];
    p->next[head->last] = KVT_NONE;
}

void kvt_pager_give(struct kvt_pager *p, uint32_t first, uint32_t n)
{
    assert(n <= p->used);
    p->used -= n;
    if (!p->next || !n)
        return;
    uint32_t last = first;
    for (uint32_t i = 1; i < n; i++)
        last = kvt_pager_next(p, last);
    assert(kvt_pager_next(p, last) == KVT_NONE); /* the whole chain */
    p->next[last] = p->free_head;
    p->free_head = first;
}

bool kvt_pager_check(const struct kvt_pager *p)
{
    if (!p->next)
        return p->total == UINT64_MAX;
    if (p->fresh > p->total || p->used > p->fresh) /* (G1) */
        return false;
    uint64_t left = p->fresh - p->used; /* (G2); a circle would not end, so it is counted down */
    for (uint32_t page = p->free_head; page != KVT_NONE; page = p->next[page])
        if (page >= p->fresh || left-- == 0)
            return false;
    return left == 0;
}
