/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * pager.c - see pager.h. A run is made of whole chains from the stacks, then a part of one, then
 * fresh pages.
 */
#include "pager.h"

#include <errno.h>
#include <string.h>

static const struct kvt_page_run empty = {KVT_NONE, KVT_NONE, 0};

int kvt_pager_init(struct kvt_pager *p, const struct kvt_alloc *alloc, uint64_t pages)
{
    memset(p, 0, sizeof *p);
    p->alloc = alloc;
    p->stacks[0] = p->stacks[1] = KVT_NONE;
    if (pages != UINT64_MAX) {
        if (pages >= KVT_NONE)
            return -EINVAL;
        /* One page too many, so that no pages at all is not mistaken for unlimited. */
        p->page = alloc->get(alloc->self, ((size_t)pages + 1) * sizeof *p->page);
        if (!p->page)
            return -ENOMEM;
    }
    p->total = pages;
    return 0;
}

void kvt_pager_init_counting(struct kvt_pager *p, uint64_t pages)
{
    memset(p, 0, sizeof *p);
    p->stacks[0] = p->stacks[1] = KVT_NONE;
    p->total = pages;
}

void kvt_pager_release(struct kvt_pager *p)
{
    if (p->page)
        p->alloc->put(p->alloc->self, p->page, kvt_pager_memory_b(p));
    p->page = NULL;
}

size_t kvt_pager_memory_b(const struct kvt_pager *p)
{
    return p->page ? ((size_t)p->total + 1) * sizeof *p->page : 0;
}

/* The first page tells about its chain (G3). */
static void describe(struct kvt_pager *p, const struct kvt_page_run *run)
{
    p->page[run->last].next = KVT_NONE;
    p->page[run->first].last = run->last;
    p->page[run->first].n = run->n;
}

/* Cuts the first n pages, fewer than it has, off a run whose pages are linked. Walks the shorter
 * of the two parts: what was one request's is mostly cut for another of like length. */
static void cut(struct kvt_pager *p, struct kvt_page_run *run, uint32_t n,
                struct kvt_page_run *head)
{
    *head = (struct kvt_page_run){run->first, run->first, n};
    run->n -= n;
    if (n <= run->n) {
        for (uint32_t i = 1; i < n; i++)
            head->last = p->page[head->last].next;
        run->first = p->page[head->last].next;
    } else {
        run->first = run->last;
        for (uint32_t i = 1; i < run->n; i++)
            run->first = p->page[run->first].prev;
        head->last = p->page[run->first].prev;
    }
    describe(p, head);
    describe(p, run);
}

static void push(struct kvt_pager *p, uint32_t first, uint32_t n)
{
    uint32_t *stack = &p->stacks[n == p->quantum];
    p->page[first].under = *stack;
    *stack = first;
}

/* At most n pages from the top of a stack, one of which is not empty. A quantum comes whole if
 * there is one; all else comes from odd chains as long as there are any. */
static struct kvt_page_run pop(struct kvt_pager *p, uint32_t n)
{
    const bool whole = n == p->quantum && p->stacks[1] != KVT_NONE;
    uint32_t *stack = &p->stacks[whole || p->stacks[0] == KVT_NONE];
    const uint32_t first = *stack;
    struct kvt_page_run chain = {first, p->page[first].last, p->page[first].n};
    *stack = p->page[first].under;
    if (chain.n <= n)
        return chain;
    struct kvt_page_run head;
    cut(p, &chain, n, &head);
    push(p, chain.first, chain.n);
    return head;
}

static bool any_given_back(const struct kvt_pager *p)
{
    return p->stacks[0] != KVT_NONE || p->stacks[1] != KVT_NONE;
}

static struct kvt_page_run take_fresh(struct kvt_pager *p, uint32_t n)
{
    const struct kvt_page_run run = {p->fresh, p->fresh + n - 1, n};
    for (; p->fresh < run.last; p->fresh++) {
        p->page[p->fresh].next = p->fresh + 1;
        p->page[p->fresh + 1].prev = p->fresh;
    }
    p->fresh++;
    describe(p, &run);
    return run;
}

bool kvt_pager_take_numbered(struct kvt_pager *p, uint32_t n, struct kvt_page_run *run)
{
    *run = empty;
    if (kvt_pager_free(p) < n)
        return false;
    p->used += n;
    while (run->n < n) {
        const uint32_t left = n - run->n;
        const struct kvt_page_run more = any_given_back(p) ? pop(p, left) : take_fresh(p, left);
        kvt_pager_append(p, run, &more);
    }
    return true;
}

void kvt_pager_append(struct kvt_pager *p, struct kvt_page_run *run,
                      const struct kvt_page_run *more)
{
    assert(more->n <= UINT32_MAX - run->n);
    if (!more->n)
        return;
    if (p->page && run->n) {
        p->page[run->last].next = more->first;
        p->page[more->first].prev = run->last;
    } else {
        run->first = more->first;
    }
    run->last = more->last;
    run->n += more->n;
    if (p->page)
        describe(p, run);
}

void kvt_pager_split(struct kvt_pager *p, struct kvt_page_run *run, uint32_t n,
                     struct kvt_page_run *head)
{
    assert(n <= run->n);
    *head = empty;
    if (!n)
        return;
    if (n == run->n) {
        *head = *run;
        *run = empty;
    } else if (p->page) {
        cut(p, run, n, head);
    } else {
        head->n = n;
        run->n -= n;
    }
}

void kvt_pager_give_numbered(struct kvt_pager *p, uint32_t first, uint32_t n)
{
    p->used -= n;
    assert(p->page[first].n == n); /* the whole chain */
    for (uint32_t page = first; p->freed && page != KVT_NONE; page = p->page[page].next)
        p->freed(p->freed_self, p->engine, page);
    push(p, first, n);
}

/* Walks one chain of the stack; counts its pages down from *left. */
static bool check_chain(const struct kvt_pager *p, uint32_t first, uint64_t *left)
{
    uint32_t last = KVT_NONE, n = 0;
    for (uint32_t page = first; page != KVT_NONE; page = p->page[page].next) {
        if (page >= p->fresh || *left == 0)
            return false;
        if (n && p->page[page].prev != last)
            return false;
        --*left;
        n++;
        last = page;
    }
    return p->page[first].last == last && p->page[first].n == n;
}

bool kvt_pager_check(const struct kvt_pager *p)
{
    if (!p->page)
        return p->used <= p->total;
    if (p->fresh > p->total || p->used > p->fresh) /* (G1) */
        return false;
    uint64_t left = p->fresh - p->used; /* (G2); a circle would not end, so it is counted down */
    for (int s = 0; s < 2; s++)
        for (uint32_t first = p->stacks[s]; first != KVT_NONE; first = p->page[first].under)
            if (first >= p->fresh || !check_chain(p, first, &left) ||
                (p->page[first].n == p->quantum) != (s == 1))
                return false;
    return left == 0;
}
