/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * shard_book.c - sums over rows. Every block that comes, goes, rests or wakes costs one addition per
 * shard and copy, or one in all if its row is even; nothing is ever walked.
 */
#include "shard_book.h"

#include "shard_mask.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

_Static_assert(
    sizeof(struct kvt_shard_site) <= KVT_MASK_MOST_B && KVT_SHARD_GPUS / 8 <= KVT_MASK_MOST_B,
    "placing, and a row that is even, hold any of them: site and age, marks, mask and fresh");

static size_t load_b(const struct kvt_shards *s)
{
    return (size_t)s->n * s->config.gpus * sizeof(uint32_t);
}

/* What an even row is, and weighs on each GPU. Of one shard there is nothing to save. */
static void number_even(struct kvt_shard_book *book)
{
    const struct kvt_shards *s = &book->shards;
    book->has_even = s->n > 1;
    book->even_b = s->n;
    for (uint32_t k = 0; book->has_even && k < s->n; k++) {
        book->even_row[k] = (uint8_t)k;
        for (uint32_t j = 0; j < s->copies; j++)
            book->even[kvt_shard_copy(s, k, j)] += s->weight[k];
    }
}

/* shards and joint are there. */
static int make(struct kvt_shard_book *book, const struct kvt_shard_room *room,
                struct kvt_pool *rows)
{
    const struct kvt_alloc *alloc = book->alloc;
    book->room = *room;
    book->rows = rows;
    book->row_b = book->shards.n;
    if (book->joint)
        book->row_b += sizeof(struct kvt_shard_site) + 1;
    else
        number_even(book);
    book->marks_b = book->joint ? 0 : kvt_shard_marks_b(&book->shards.config);
    book->row_b += book->marks_b;
    book->even_b += book->marks_b; /* what has lost something is no even row */
    const size_t size_b = load_b(&book->shards);
    book->decoding.tokens = alloc->get(alloc->self, size_b);
    book->chunk.tokens = alloc->get(alloc->self, size_b);
    if (!book->decoding.tokens || !book->chunk.tokens) {
        kvt_book_release(book);
        return -ENOMEM;
    }
    kvt_load_clear(book, &book->decoding);
    kvt_load_clear(book, &book->chunk);
    return 0;
}

int kvt_book_init(struct kvt_shard_book *book, const struct kvt_shard_config *config,
                  const struct kvt_shard_room *room, struct kvt_pool *rows,
                  const struct kvt_alloc *alloc)
{
    memset(book, 0, sizeof *book);
    book->alloc = alloc;
    kvt_shards_init(&book->shards, config);
    return make(book, room, rows);
}

int kvt_book_init_joint(struct kvt_shard_book *book, const struct kvt_shard_config *before,
                        const struct kvt_shard_config *after, const struct kvt_shard_room *room,
                        struct kvt_pool *rows, const struct kvt_alloc *alloc)
{
    memset(book, 0, sizeof *book);
    book->alloc = alloc;
    book->joint = alloc->get(alloc->self, sizeof *book->joint);
    if (!book->joint)
        return -ENOMEM;
    kvt_shards_join(book->joint, &book->shards, before, after);
    return make(book, room, rows);
}

uint32_t kvt_book_joint_row_b(const struct kvt_shard_config *before,
                              const struct kvt_shard_config *after)
{
    struct kvt_shard_joint joint;
    struct kvt_shards shards;
    kvt_shards_join(&joint, &shards, before, after);
    const uint32_t target_b = after->gpus < before->gpus ? shards.n : 0;
    return (shards.n + (uint32_t)sizeof(struct kvt_shard_site) + 1 + target_b + 3) / 4 * 4;
}

void kvt_book_place(struct kvt_shard_book *book, const struct kvt_shard_site *site)
{
    const struct kvt_shard_joint *j = book->joint;
    uint8_t gpu[KVT_SHARD_GPUS];
    if (!j) {
        kvt_shards_place(&book->shards, site, book->placing);
        if (book->mask_b)
            memset(book->placing + book->shards.n, 0, book->mask_b + 1);
        return;
    }
    kvt_shards_place(kvt_book_placer(book), site, gpu);
    for (uint32_t k = 0; k < book->shards.n; k++)
        book->placing[k] = gpu[j->of[j->after][k]];
    memcpy(book->placing + book->shards.n, site, sizeof *site);
    *kvt_book_age(book, book->placing) = j->after;
}

uint32_t kvt_book_shard_of(const struct kvt_shard_book *book, uint32_t layer)
{
    const struct kvt_shard_joint *j = book->joint;
    if (!j)
        return kvt_shard_of(&book->shards, layer, 0);
    uint32_t k = 0;
    while (j->of[0][k] != kvt_shard_of(&j->shape[0], layer, 0) ||
           j->of[1][k] != kvt_shard_of(&j->shape[1], layer, 0))
        k++;
    assert(k < book->shards.n);
    return k;
}

void kvt_book_release(struct kvt_shard_book *book)
{
    if (!book->alloc)
        return;
    if (book->joint)
        book->alloc->put(book->alloc->self, book->joint, sizeof *book->joint);
    book->joint = NULL;
    const size_t size_b = load_b(&book->shards);
    if (book->decoding.tokens)
        book->alloc->put(book->alloc->self, book->decoding.tokens, size_b);
    if (book->chunk.tokens)
        book->alloc->put(book->alloc->self, book->chunk.tokens, size_b);
    book->decoding.tokens = book->chunk.tokens = NULL;
}

int kvt_book_cover(struct kvt_pool *rows, uint32_t copy)
{
    while (rows->fresh <= copy)
        if (kvt_pool_take(rows) == KVT_NONE)
            return -ENOMEM;
    return 0;
}

/* ---- Memory ------------------------------------------------------------------------------------ */

static bool limited(const struct kvt_shard_book *book)
{
    return book->room.gpu_b != UINT64_MAX;
}

/* Shard k on GPU k. */
static bool is_even(const struct kvt_shard_book *book, const uint8_t *row)
{
    return book->has_even && memcmp(row, book->even_row, book->even_b) == 0;
}

/* The same as count, of a row that has lost something. */
static void count_marked(const struct kvt_shard_book *book, const uint8_t *row, uint64_t sign,
                         uint64_t *sum)
{
    const struct kvt_shards *s = &book->shards;
    for (uint32_t j = 0; j < s->copies; j++) {
        for (uint32_t k = 0; k < s->n; k++) {
            const uint32_t g = kvt_shard_copy(s, row[k], j);
            sum[g] += kvt_book_marked(book, row, g) ? 0 : sign * s->weight[k];
        }
    }
}

/* Adds the weights of a row that is not even, times sign, to the sums. */
static void count(const struct kvt_shard_book *book, const uint8_t *row, uint64_t sign,
                  uint64_t *sum)
{
    const struct kvt_shards *s = &book->shards;
    if (kvt_book_any_mark(book, row)) {
        count_marked(book, row, sign, sum);
        return;
    }
    for (uint32_t k = 0; k < s->n; k++)
        sum[row[k]] += sign * s->weight[k];
    for (uint32_t j = 1; j < s->copies; j++)
        for (uint32_t k = 0; k < s->n; k++)
            sum[kvt_shard_copy(s, row[k], j)] += sign * s->weight[k];
}

static const uint64_t MINUS = UINT64_MAX; /* modulo 2^64 */

static void tally(const struct kvt_shard_book *book, const uint8_t *row, bool even, uint64_t sign,
                  struct kvt_shard_sum *sum)
{
    if (even)
        sum->even += sign;
    else if (book->mask_b)
        (void)kvt_mask_count(book, row, sign, sum->others);
    else
        count(book, row, sign, sum->others);
}

void kvt_book_count(const struct kvt_shard_book *book, const uint8_t *row, uint64_t *need)
{
    if (is_even(book, row)) {
        for (uint32_t g = 0; g < book->shards.config.gpus; g++)
            need[g] += book->even[g];
    } else if (book->mask_b) {
        (void)kvt_mask_count(book, row, 1, need);
    } else {
        count(book, row, 1, need);
    }
}

void kvt_book_add(struct kvt_shard_book *book, uint32_t copy)
{
    const uint8_t *row = book->placing;
    const bool even = is_even(book, row);
    assert(!!book->mask_b + !!book->marks_b + !!book->joint <= 1); /* what follows a row's shards */
    memcpy(kvt_book_row(book, copy), row, book->row_b);
    tally(book, row, even, 1, &book->held);
    tally(book, row, even, 1, &book->pinned); /* of no meaning where GPUs are unlimited */
}

void kvt_book_reserve(struct kvt_shard_book *book, uint32_t gpu, uint64_t weight)
{
    book->extra[gpu] += weight;
    book->held.others[gpu] += weight;
    book->pinned.others[gpu] += weight;
}

void kvt_book_free_extra(struct kvt_shard_book *book)
{
    for (uint32_t g = 0; g < book->shards.config.gpus; g++) {
        book->held.others[g] -= book->extra[g];
        book->pinned.others[g] -= book->extra[g];
        book->gone.others[g] += book->extra[g];
        book->extra[g] = 0;
    }
    book->changes++;
}

void kvt_book_unreserve(struct kvt_shard_book *book, uint32_t gpu, uint64_t weight)
{
    book->extra[gpu] -= weight;
    book->held.others[gpu] -= weight;
    book->pinned.others[gpu] -= weight;
}

uint64_t kvt_book_weight_on(const struct kvt_shard_book *book, const uint8_t *row, uint32_t gpu)
{
    const struct kvt_shards *s = &book->shards;
    uint64_t weight = 0;
    for (uint32_t j = 0; j < s->copies; j++)
        for (uint32_t k = 0; k < s->n; k++)
            weight += kvt_shard_copy(s, row[k], j) == gpu ? s->weight[k] : 0;
    return weight;
}

void kvt_book_mark(struct kvt_shard_book *book, uint32_t copy, bool in_use, uint32_t gpu, bool lost)
{
    uint8_t *row = kvt_book_row(book, copy);
    const bool pinned = in_use && limited(book);
    assert(book->marks_b && kvt_book_marked(book, row, gpu) != lost);
    tally(book, row, is_even(book, row), MINUS, &book->held);
    if (pinned)
        tally(book, row, is_even(book, row), MINUS, &book->pinned);
    row[book->shards.n + gpu / 8] ^= (uint8_t)(1u << gpu % 8);
    tally(book, row, is_even(book, row), 1, &book->held);
    if (pinned)
        tally(book, row, is_even(book, row), 1, &book->pinned);
    if (lost)
        book->gone.others[gpu] += kvt_book_weight_on(book, row, gpu);
    book->changes++;
}

/* What was stored is what is held and what is gone. */
void kvt_book_remove(struct kvt_shard_book *book, uint32_t copy)
{
    const uint8_t *row = kvt_book_row(book, copy);
    if (limited(book))
        tally(book, row, is_even(book, row), MINUS, &book->pinned);
    kvt_book_evict(book, copy);
}

void kvt_book_evict(struct kvt_shard_book *book, uint32_t copy)
{
    const uint8_t *row = kvt_book_row(book, copy);
    const bool even = is_even(book, row);
    tally(book, row, even, MINUS, &book->held);
    tally(book, row, even, 1, &book->gone);
    book->changes++;
}

void kvt_book_rest(struct kvt_shard_book *book, uint32_t copy)
{
    const uint8_t *row = kvt_book_row(book, copy);
    if (limited(book))
        tally(book, row, is_even(book, row), MINUS, &book->pinned);
    book->changes++;
}

void kvt_book_wake(struct kvt_shard_book *book, uint32_t copy)
{
    const uint8_t *row = kvt_book_row(book, copy);
    if (limited(book))
        tally(book, row, is_even(book, row), 1, &book->pinned);
}

void kvt_book_recount(struct kvt_shard_book *book, const uint8_t *before, const uint8_t *row)
{
    tally(book, before, is_even(book, before), MINUS, &book->held);
    tally(book, row, is_even(book, row), 1, &book->held);
}

static inline bool fits_on(const struct kvt_shard_book *book, uint32_t g, const uint64_t *need,
                           uint64_t pages, const struct kvt_shard_sum *stays)
{
    const uint64_t weights = kvt_book_sum(book, stays, g) + (need ? need[g] : 0);
    return weights * book->room.unit_b + pages * book->room.page_gpu_b <= book->room.gpu_b;
}

/* Beside what stays: all that is held, or what is pinned. */
static bool fits(const struct kvt_shard_book *book, const uint64_t *need, uint64_t pages,
                 const struct kvt_shard_sum *stays)
{
    if (!limited(book))
        return true;
    for (uint32_t g = 0; g < kvt_book_gpus(book); g++)
        if (!fits_on(book, g, need, pages, stays))
            return false;
    return true;
}

bool kvt_book_fits_on(const struct kvt_shard_book *book, uint32_t gpu, const uint64_t *need,
                      uint64_t pages)
{
    assert(gpu < kvt_book_gpus(book)); /* others have other room, and no working pages */
    return !limited(book) || fits_on(book, gpu, need, pages, &book->held);
}

bool kvt_book_fits(const struct kvt_shard_book *book, const uint64_t *need, uint64_t pages)
{
    return fits(book, need, pages, &book->held);
}

bool kvt_book_could(const struct kvt_shard_book *book, const uint64_t *need, uint64_t pages)
{
    return fits(book, need, pages, &book->pinned);
}

uint64_t kvt_book_pages(const struct kvt_shard_book *book)
{
    if (!limited(book))
        return UINT64_MAX;
    uint64_t most = 0;
    for (uint32_t g = 0; g < kvt_book_gpus(book); g++) {
        const uint64_t pinned = kvt_book_sum(book, &book->pinned, g);
        most = pinned > most ? pinned : most;
    }
    const uint64_t pinned_b = most * book->room.unit_b;
    return pinned_b >= book->room.gpu_b ? 0 : (book->room.gpu_b - pinned_b) / book->room.page_gpu_b;
}

/* ---- Reading ----------------------------------------------------------------------------------- */

/* The following of rows that may have gaps: the same of one that says where each shard is read. */
KVT_NOINLINE static void parts_with_gaps(const struct kvt_shard_book *book, const uint8_t *row,
                                         uint32_t j, uint32_t tokens, uint64_t *parts)
{
    uint8_t there[KVT_SHARD_GPUS];
    kvt_mask_read(book, row, j, there);
    for (uint32_t k = 0; k < book->shards.n; k++)
        parts[there[k]] += (uint64_t)book->shards.weight[k] * tokens;
}

void kvt_book_parts(const struct kvt_shard_book *book, const uint8_t *row, uint32_t j,
                    uint32_t tokens, uint64_t *parts, uint64_t *even_tokens)
{
    const struct kvt_shards *s = &book->shards;
    if (is_even(book, row)) {
        *even_tokens += tokens;
        return;
    }
    if (book->mask_b) {
        parts_with_gaps(book, row, j, tokens, parts);
        return;
    }
    for (uint32_t k = 0; k < s->n; k++)
        parts[kvt_shard_copy(s, row[k], j)] += (uint64_t)s->weight[k] * tokens;
}

void kvt_book_parts_even(const struct kvt_shard_book *book, uint32_t j, uint64_t even_tokens,
                         uint64_t *parts)
{
    const struct kvt_shards *s = &book->shards;
    for (uint32_t k = 0; even_tokens && k < s->n; k++)
        parts[kvt_shard_copy(s, k, j)] += s->weight[k] * even_tokens;
}

uint32_t kvt_book_choose(const struct kvt_shard_book *book, const uint64_t *parts)
{
    const struct kvt_shards *s = &book->shards;
    uint64_t least = UINT64_MAX;
    uint32_t best = 0;
    for (uint32_t j = 0; j < s->copies; j++) {
        uint64_t most = 0;
        for (uint32_t g = 0; g < s->config.gpus; g++) {
            const uint64_t busy = parts[g] ? book->asked[kvt_shard_copy(s, g, j)] + parts[g] : 0;
            most = busy > most ? busy : most;
        }
        if (most < least) {
            least = most;
            best = j;
        }
    }
    return best;
}

void kvt_load_settle(struct kvt_shard_book *book, struct kvt_shard_load *load)
{
    for (uint32_t g = 0; load->iterations && g < book->shards.config.gpus; g++)
        book->read[g] += load->iterations * load->weighted[g];
    load->iterations = 0;
}

void kvt_load_clear(struct kvt_shard_book *book, struct kvt_shard_load *load)
{
    uint32_t *tokens = load->tokens;
    kvt_load_settle(book, load);
    memset(tokens, 0, load_b(&book->shards));
    *load = (struct kvt_shard_load){.tokens = tokens};
}

static void load_add(struct kvt_shard_book *book, struct kvt_shard_load *load, const uint8_t *row,
                     uint32_t j, uint32_t tokens)
{
    const struct kvt_shards *s = &book->shards;
    kvt_load_settle(book, load);
    for (uint32_t k = 0; k < s->n; k++) {
        const uint32_t g = kvt_shard_copy(s, row[k], j);
        uint32_t *at = &load->tokens[k * s->config.gpus + g];
        *at += tokens;
        load->weighted[g] += (uint64_t)s->weight[k] * tokens;
        if (*at <= load->most[k])
            continue;
        load->busy += (uint64_t)s->weight[k] * (*at - load->most[k]);
        load->most[k] = *at;
    }
    load->sum += tokens;
}

void kvt_load_add(struct kvt_shard_book *book, struct kvt_shard_load *load, const uint8_t *row,
                  uint32_t j, uint32_t tokens)
{
    uint8_t there[KVT_SHARD_GPUS];
    if (!book->mask_b) {
        load_add(book, load, row, j, tokens);
        return;
    }
    kvt_mask_read(book, row, j, there);
    load_add(book, load, there, 0, tokens);
}

static void load_remove(struct kvt_shard_book *book, struct kvt_shard_load *load,
                        const uint8_t *row, uint32_t j, uint32_t tokens)
{
    const struct kvt_shards *s = &book->shards;
    kvt_load_settle(book, load);
    for (uint32_t k = 0; k < s->n; k++) {
        const uint32_t g = kvt_shard_copy(s, row[k], j);
        uint32_t *at = &load->tokens[k * s->config.gpus + g];
        assert(*at >= tokens);
        load->stale[k] |= *at == load->most[k]; /* somebody else may be the busiest now */
        *at -= tokens;
        load->weighted[g] -= (uint64_t)s->weight[k] * tokens;
    }
    assert(load->sum >= tokens);
    load->sum -= tokens;
    load->any_stale = true;
}

void kvt_load_remove(struct kvt_shard_book *book, struct kvt_shard_load *load, const uint8_t *row,
                     uint32_t j, uint32_t tokens)
{
    uint8_t there[KVT_SHARD_GPUS];
    if (!book->mask_b) {
        load_remove(book, load, row, j, tokens);
        return;
    }
    kvt_mask_read(book, row, j, there);
    load_remove(book, load, there, 0, tokens);
}

/* Finds the busiest GPU of shards whose busiest was relieved. */
static void refresh(const struct kvt_shards *s, struct kvt_shard_load *load)
{
    const uint32_t gpus = s->config.gpus;
    for (uint32_t k = 0; k < s->n; k++) {
        uint32_t most = 0;
        const uint32_t *of = &load->tokens[k * gpus];
        if (!load->stale[k])
            continue;
        for (uint32_t g = 0; g < gpus; g++)
            most = of[g] > most ? of[g] : most;
        load->busy -= (uint64_t)s->weight[k] * (load->most[k] - most);
        load->most[k] = most;
        load->stale[k] = false;
    }
    load->any_stale = false;
}

uint64_t kvt_load_skew(struct kvt_shard_book *book, struct kvt_shard_load *load)
{
    const struct kvt_shards *s = &book->shards;
    if (load->any_stale)
        refresh(s, load);
    const uint64_t busy = (load->busy * s->config.gpus + s->weight_sum - 1) / s->weight_sum;
    assert(busy >= load->sum);
    return busy - load->sum;
}
