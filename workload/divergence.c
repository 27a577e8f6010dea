/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * divergence.c - see divergence.h.
 *
 * The best earlier prompt comes from a radix tree (core/radix.h) of all of them: the walk ends in some
 * node, and the latest prompt that went through that node shares exactly as much as the walk found.
 * Which one that is, is noted per node after each prompt, from its end up to the root.
 */
#include "divergence.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../core/radix.h"
#include "../core/ratio.h"
#include "intern.h"
#include "record.h"

enum { TOKEN_B = 4, BEFORE_B = 24, OWN_B = 40 };

struct kept {
    uint32_t *tokens;
    char *text; /* NULL: none */
    size_t text_b;
    uint32_t n;
};

struct wl_diverging {
    struct kvt_alloc alloc;
    struct kvt_radix tree;
    struct kvt_ratio ratio;
    struct kept *kept;
    size_t n_kept, room;
    uint32_t *latest; /* per node of the tree: the latest prompt through it */
    size_t latest_room;
    uint32_t *rests[2];      /* elements of both rests */
    struct wl_intern causes; /* (cause, position) -> row */
    size_t rows_room;
};

/* Where two prompts part. */
struct parting {
    const struct kept *earlier, *now;
    uint64_t position, common_tokens; /* of tokens; equal but for text, where bytes are refined */
    size_t at_b;                      /* text: the first different byte */
};

static void *get(void *self, size_t size_b)
{
    (void)self;
    return malloc(size_b);
}

static void put(void *self, void *memory, size_t size_b)
{
    (void)self;
    (void)size_b;
    free(memory);
}

int wl_divergence_init(struct wl_divergence *d)
{
    *d = (struct wl_divergence){0};
    struct wl_diverging *s = calloc(1, sizeof *s);
    if (s == NULL)
        return -ENOMEM;
    d->self = s;
    s->alloc = (struct kvt_alloc){get, put, NULL};
    kvt_ratio_init(&s->ratio, &s->alloc, 0);
    for (int i = 0; i < 2; i++)
        s->rests[i] = malloc(WL_DIVERGENCE_WINDOW * sizeof *s->rests[i]);
    if (s->rests[0] && s->rests[1] && kvt_radix_init(&s->tree, &s->alloc, UINT64_MAX) == 0)
        return 0;
    wl_divergence_release(d);
    return -ENOMEM;
}

void wl_divergence_release(struct wl_divergence *d)
{
    struct wl_diverging *s = d->self;
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->n_kept; i++) {
        free(s->kept[i].tokens);
        free(s->kept[i].text);
    }
    free(s->kept);
    free(s->latest);
    free(s->rests[0]);
    free(s->rests[1]);
    wl_intern_release(&s->causes);
    kvt_radix_release(&s->tree);
    kvt_ratio_release(&s->ratio);
    free(s);
    free(d->rows);
    *d = (struct wl_divergence){0};
}

/* ---- What is lost ---------------------------------------------------------------------------------- */

static uint32_t take_rest(const struct kept *k, const struct parting *p, uint32_t *to)
{
    const size_t from = k->text ? p->at_b : p->position, end = k->text ? k->text_b : k->n;
    const size_t n = end - from < WL_DIVERGENCE_WINDOW ? end - from : WL_DIVERGENCE_WINDOW;
    for (size_t i = 0; i < n; i++)
        to[i] = k->text ? (unsigned char)k->text[from + i] : k->tokens[from + i];
    return (uint32_t)n;
}

static int find_lost(struct wl_diverging *s, const struct parting *p, uint64_t *lost)
{
    const uint32_t n_now = take_rest(p->now, p, s->rests[0]);
    const uint32_t n_earlier = take_rest(p->earlier, p, s->rests[1]);
    const uint32_t least = ((n_now < n_earlier ? n_now : n_earlier) + 1) / 2;
    if (kvt_ratio_reserve(&s->ratio, n_now, n_earlier) != 0)
        return -ENOMEM;
    const uint32_t matches =
        kvt_ratio_matches(&s->ratio, s->rests[0], n_now, s->rests[1], n_earlier, least);
    *lost = matches == KVT_NONE ? 0 : matches / (p->now->text ? TOKEN_B : 1);
    return 0;
}

/* ---- Rows ------------------------------------------------------------------------------------------------ */

/* The row of a cause at a position, or NULL without memory. */
static struct wl_divergence_row *row_of(struct wl_divergence *d, enum wl_cause cause,
                                        uint64_t position)
{
    struct wl_diverging *s = d->self;
    uint32_t index;
    bool fresh;
    if (wl_grow(&d->rows, &s->rows_room, d->n_rows + 1, sizeof d->rows[0]) != 0 ||
        wl_intern(&s->causes, (kvt_key){cause, position}, &index, &fresh) != 0)
        return NULL;
    if (fresh)
        d->rows[d->n_rows++] = (struct wl_divergence_row){.cause = cause, .position = position};
    return &d->rows[index];
}

static bool inside_character(const struct kept *k, size_t at_b)
{
    return at_b < k->text_b && ((unsigned char)k->text[at_b] & 0xc0) == 0x80;
}

/* Bytes [from, to) as one line; no character is cut. */
static void excerpt(const struct kept *k, size_t from, size_t to, char *line)
{
    size_t n = 0;
    to = to < k->text_b ? to : k->text_b;
    while (from < to && inside_character(k, from))
        from++;
    while (to > from && inside_character(k, to))
        to--;
    for (; from < to && n + 1 < WL_EXCERPT_B; from++) {
        const unsigned char c = (unsigned char)k->text[from];
        line[n++] = c < ' ' || c == 127 ? ' ' : (char)c;
    }
    line[n] = '\0';
}

static void give_example(struct wl_divergence_row *row, const struct wl_diverging *s,
                         const struct parting *p, uint64_t lost)
{
    if (p->now->text == NULL || (row->requests > 0 && lost <= row->example_lost))
        return;
    row->example_lost = lost;
    row->example[0] = (uint64_t)(p->earlier - s->kept);
    row->example[1] = (uint64_t)(p->now - s->kept);
    const size_t from = p->at_b > BEFORE_B ? p->at_b - BEFORE_B : 0;
    excerpt(p->now, from, p->at_b, row->before);
    excerpt(p->earlier, p->at_b, p->at_b + OWN_B, row->earlier);
    excerpt(p->now, p->at_b, p->at_b + OWN_B, row->now);
}

static int count(struct wl_divergence *d, const struct parting *p)
{
    uint64_t lost = 0;
    const int status = find_lost(d->self, p, &lost);
    if (status != 0)
        return status;
    if (p->common_tokens == 0 && lost == 0) {
        d->fresh++;
        return 0;
    }
    const enum wl_cause cause = p->now->text && p->earlier->text
                                    ? wl_cause_of(p->earlier->text, p->earlier->text_b,
                                                  p->now->text, p->now->text_b, p->at_b)
                                    : WL_CAUSE_UNKNOWN;
    struct wl_divergence_row *row = row_of(d, cause, p->position);
    if (row == NULL)
        return -ENOMEM;
    give_example(row, d->self, p, lost);
    row->requests++;
    row->tokens_behind += p->now->n - p->position;
    row->tokens_lost += lost;
    return 0;
}

/* ---- Prompts --------------------------------------------------------------------------------------------- */

static int keep(struct wl_diverging *s, const struct wl_prompt *prompt)
{
    if (wl_grow(&s->kept, &s->room, s->n_kept + 1, sizeof s->kept[0]) != 0)
        return -ENOMEM;
    struct kept k = {.n = prompt->n_tokens, .text_b = prompt->text_b};
    k.tokens = malloc(k.n * sizeof *k.tokens);
    k.text = prompt->text != NULL ? malloc(k.text_b + 1) : NULL;
    if (k.tokens == NULL || (prompt->text != NULL && k.text == NULL)) {
        free(k.tokens);
        free(k.text);
        return -ENOMEM;
    }
    memcpy(k.tokens, prompt->tokens, k.n * sizeof *k.tokens);
    if (k.text != NULL) {
        memcpy(k.text, prompt->text, k.text_b);
        k.text[k.text_b] = '\0';
    }
    s->kept[s->n_kept++] = k;
    return 0;
}

/* Nothing leaves this tree, so all prompts stay held. */
static int plant(struct wl_diverging *s)
{
    const struct kept *k = &s->kept[s->n_kept - 1];
    uint32_t node;
    if (kvt_radix_hold(&s->tree, k->tokens, k->n, &node) != 0 ||
        wl_grow(&s->latest, &s->latest_room, s->tree.nodes.fresh, sizeof s->latest[0]) != 0)
        return -ENOMEM;
    for (; node != KVT_RADIX_ROOT; node = kvt_radix_parent(&s->tree, node))
        s->latest[node] = (uint32_t)(s->n_kept - 1);
    return 0;
}

/* Refines the first different token of two texts to the byte, at the start of its character. */
static size_t first_different_byte(const struct kept *x, const struct kept *y, uint64_t tokens)
{
    const size_t least = x->text_b < y->text_b ? x->text_b : y->text_b;
    size_t at = tokens * TOKEN_B < least ? tokens * TOKEN_B : least;
    while (at < least && x->text[at] == y->text[at])
        at++;
    while (at > 0 && (inside_character(x, at) || inside_character(y, at)))
        at--;
    return at;
}

static int compare(struct wl_divergence *d, uint64_t common, uint32_t earlier)
{
    const struct wl_diverging *s = d->self;
    struct parting p = {&s->kept[earlier], &s->kept[s->n_kept - 1], common, common, 0};
    d->common_tokens += common;
    bool ends = common == p.now->n || common == p.earlier->n;
    if (p.now->text != NULL && p.earlier->text != NULL) {
        p.at_b = first_different_byte(p.now, p.earlier, common);
        p.position = p.at_b / TOKEN_B;
        ends = p.at_b == p.now->text_b || p.at_b == p.earlier->text_b;
    } else if (p.now->text != NULL || p.earlier->text != NULL) {
        d->fresh++; /* text beside tokens */
        return 0;
    }
    if (ends) {
        d->continued++;
        return 0;
    }
    return count(d, &p);
}

int wl_divergence_add(struct wl_divergence *d, const struct wl_prompt *prompt)
{
    struct wl_diverging *s = d->self;
    uint32_t node;
    const uint64_t common = kvt_radix_find(&s->tree, prompt->tokens, prompt->n_tokens, &node);
    int status = keep(s, prompt);
    if (status != 0)
        return status;
    d->requests++;
    d->prompt_tokens += prompt->n_tokens;
    d->text |= prompt->text != NULL;
    if (s->n_kept == 1)
        d->fresh++;
    else
        status = compare(d, common, common > 0 ? s->latest[node] : (uint32_t)(s->n_kept - 2));
    return status != 0 ? status : plant(s);
}

int wl_divergence_add_blocks(struct wl_divergence *d, uint64_t found, uint64_t named,
                             uint64_t prompt_tokens, uint32_t block_tokens)
{
    const uint64_t known = found * block_tokens;
    d->blocks = true;
    d->requests++;
    d->prompt_tokens += prompt_tokens;
    d->common_tokens += known < prompt_tokens ? known : prompt_tokens;
    if (found == 0 || found == named) {
        d->fresh += found == 0;
        d->continued += found > 0;
        return 0;
    }
    struct wl_divergence_row *row = row_of(d, WL_CAUSE_UNKNOWN, found);
    if (row == NULL)
        return -ENOMEM;
    row->requests++;
    row->tokens_behind += prompt_tokens - known;
    return 0;
}

static int by_cost(const void *x, const void *y)
{
    const struct wl_divergence_row *a = x, *b = y;
    if (a->tokens_lost != b->tokens_lost)
        return a->tokens_lost < b->tokens_lost ? 1 : -1;
    if (a->tokens_behind != b->tokens_behind)
        return a->tokens_behind < b->tokens_behind ? 1 : -1;
    if (a->position != b->position)
        return a->position > b->position ? 1 : -1;
    return (int)a->cause - (int)b->cause;
}

void wl_divergence_rank(struct wl_divergence *d)
{
    if (d->n_rows > 0)
        qsort(d->rows, d->n_rows, sizeof d->rows[0], by_cost);
}
