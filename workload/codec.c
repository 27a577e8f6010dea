/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * codec.c - see codec.h. The encoder finds the longest runs, so equal records have equal bytes.
 */
#include "codec.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum { VARINT_MOST = 10, FIXED_VARINTS = 6 };

static unsigned char *put(unsigned char *to, uint64_t value)
{
    while (value >= 128) {
        *to++ = (unsigned char)(value | 128);
        value >>= 7;
    }
    *to++ = (unsigned char)value;
    return to;
}

static uint64_t zigzag(uint64_t difference)
{
    return difference >> 63 ? ~(difference << 1) : difference << 1;
}

static uint64_t unzigzag(uint64_t coded)
{
    return coded & 1 ? ~(coded >> 1) : coded >> 1;
}

/* Ids from ids[0] on that follow one another. n >= 1. */
static uint32_t run_length(const uint64_t *ids, uint32_t n)
{
    uint32_t length = 1;
    while (length < n && ids[length - 1] != UINT64_MAX && ids[length] == ids[length - 1] + 1)
        length++;
    return length;
}

int wl_encode(struct wl_encoder *e, const struct wl_record *r)
{
    assert(r->at_ns >= e->last_ns && r->prompt_tokens >= 1 && r->n_ids <= WL_IDS_MOST);
    const size_t most_b = ((size_t)FIXED_VARINTS + 1 + 2 * (size_t)r->n_ids) * VARINT_MOST;
    if (e->room_b - e->size_b < most_b) {
        const int status = wl_grow(&e->bytes, &e->room_b, e->size_b + most_b, 1);
        if (status != 0)
            return status;
    }
    unsigned char *to = e->bytes + e->size_b;
    to = put(to, r->at_ns - e->last_ns);
    to = put(to, r->prompt_tokens);
    to = put(to, r->output_tokens);
    to = put(to, r->tenant);
    to = put(to, r->session == KVT_NONE ? 0 : (uint64_t)r->session + 1);
    to = put(to, (uint64_t)r->n_ids * 2 + r->has_tail);
    uint64_t expected = 0;
    for (uint32_t i = 0; i < r->n_ids;) {
        const uint32_t length = run_length(r->ids + i, r->n_ids - i);
        to = put(to, zigzag(r->ids[i] - expected));
        to = put(to, length - 1);
        i += length;
        expected = r->ids[i - 1] + 1;
    }
    if (r->has_tail)
        to = put(to, zigzag(r->tail_id - expected));
    e->size_b = (size_t)(to - e->bytes);
    e->last_ns = r->at_ns;
    e->records++;
    return 0;
}

void wl_encoder_empty(struct wl_encoder *encoder)
{
    encoder->size_b = 0;
    encoder->records = 0;
}

void wl_encoder_release(struct wl_encoder *encoder)
{
    free(encoder->bytes);
    *encoder = (struct wl_encoder){0};
}

void wl_decoder_chunk(struct wl_decoder *decoder, const unsigned char *bytes, size_t size_b,
                      uint32_t records)
{
    decoder->at = bytes;
    decoder->end = size_b > 0 ? bytes + size_b : bytes; /* bytes may be NULL then */
    decoder->records = records;
}

void wl_decoder_release(struct wl_decoder *decoder)
{
    free(decoder->ids);
    *decoder = (struct wl_decoder){0};
}

/* One varint of at most `most`; false when it is cut, too long or too large. */
static bool get(struct wl_decoder *d, uint64_t most, uint64_t *value)
{
    uint64_t v = 0;
    for (unsigned shift = 0; d->at < d->end && shift < 64; shift += 7) {
        const unsigned char byte = *d->at++;
        if (shift == 63 && byte > 1)
            return false;
        v |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) {
            *value = v;
            return v <= most;
        }
    }
    return false;
}

static bool get_u32(struct wl_decoder *d, uint32_t most, uint32_t *value)
{
    uint64_t wide = 0;
    const bool good = get(d, most, &wide);
    *value = (uint32_t)wide;
    return good;
}

/* Everything before the ids. */
static bool get_head(struct wl_decoder *d, struct wl_record *r)
{
    uint64_t later = 0, session = 0, ids = 0;
    if (!get(d, KVT_NEVER - 1 - d->last_ns, &later) ||
        !get_u32(d, WL_TOKENS_MOST, &r->prompt_tokens) || r->prompt_tokens == 0 ||
        !get_u32(d, WL_TOKENS_MOST - r->prompt_tokens, &r->output_tokens) ||
        !get_u32(d, WL_TENANTS_MOST - 1, &r->tenant) || !get(d, KVT_NONE, &session) ||
        !get(d, (uint64_t)WL_IDS_MOST * 2 + 1, &ids) || ids / 2 > WL_IDS_MOST)
        return false;
    r->at_ns = d->last_ns + later;
    r->session = session == 0 ? KVT_NONE : (uint32_t)(session - 1);
    r->n_ids = (uint32_t)(ids / 2);
    r->has_tail = ids & 1;
    return (uint64_t)r->n_ids <= (uint64_t)r->prompt_tokens + r->output_tokens;
}

/* The runs of r->n_ids ids, into d->ids, which has room; and the tail. */
static bool get_ids(struct wl_decoder *d, struct wl_record *r)
{
    uint64_t expected = 0, coded = 0, more = 0;
    for (uint32_t i = 0; i < r->n_ids;) {
        if (!get(d, UINT64_MAX, &coded) || !get(d, r->n_ids - i - 1, &more))
            return false;
        const uint64_t first = expected + unzigzag(coded);
        if (first > UINT64_MAX - more)
            return false;
        uint64_t *to = d->ids + i;
        for (uint64_t k = 0; k <= more; k++)
            to[k] = first + k;
        i += (uint32_t)more + 1;
        expected = first + more + 1;
    }
    r->tail_id = 0;
    if (r->has_tail) {
        if (!get(d, UINT64_MAX, &coded))
            return false;
        r->tail_id = expected + unzigzag(coded);
    }
    r->ids = d->ids;
    return true;
}

int wl_decode(struct wl_decoder *d, struct wl_record *r, const char **why)
{
    if (d->records == 0) {
        *why = "expected nothing behind a chunk's last record";
        return d->at == d->end ? 0 : -EINVAL;
    }
    *why = "expected a record within the format's limits";
    if (!get_head(d, r))
        return -EINVAL;
    if (wl_grow(&d->ids, &d->room, r->n_ids, sizeof d->ids[0]) != 0)
        return -ENOMEM;
    if (!get_ids(d, r))
        return -EINVAL;
    d->last_ns = r->at_ns;
    d->records--;
    return 1;
}
