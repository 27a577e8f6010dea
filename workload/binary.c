/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * binary.c - see binary.h.
 */
#include "binary.h"

#include "codec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum { HEADER_B = 64, CHUNK_HEAD_B = 16, CHUNK_B = 1 << 18, CHUNK_MOST_B = 1 << 27, VERSION = 1 };
enum { FLAG_PARTIAL = 1 };

static const unsigned char magic[8] = {'k', 'v', 't', 'w', 't', 'r', 'c', '\n'};

static void put_le(unsigned char *to, uint64_t value, int n)
{
    for (int i = 0; i < n; i++)
        to[i] = (unsigned char)(value >> (8 * i));
}

static uint64_t get_le(const unsigned char *from, int n)
{
    uint64_t value = 0;
    for (int i = n - 1; i >= 0; i--)
        value = value << 8 | from[i];
    return value;
}

bool wl_binary_magic(const unsigned char *bytes, size_t size_b)
{
    return size_b >= sizeof magic && memcmp(bytes, magic, sizeof magic) == 0;
}

/* ---- Reading ---------------------------------------------------------------------------------------- */

struct reader {
    struct wl_input in;
    struct wl_decoder decoder;
    unsigned char *payload;
    size_t room_b;
    uint32_t block_tokens;
    bool partial;
    uint64_t requests, ids; /* as the header has them */
    uint64_t chunk;         /* number of the next one */
    bool ended;             /* the end mark has been read */
};

static int corrupt(struct reader *r, struct wl_error *error, const char *what)
{
    return wl_fail(error, -EINVAL, r->in.name, 0, NULL, "byte %llu: %s",
                   (unsigned long long)r->in.offset_b, what);
}

/* Exactly n_b bytes. */
static int read_all(struct reader *r, void *to, size_t n_b, struct wl_error *error)
{
    size_t got_b = 0;
    const int status = wl_input_read(&r->in, to, n_b, &got_b, error);
    if (status != 0)
        return status;
    return got_b == n_b ? 0 : corrupt(r, error, "expected more, the binary trace is cut short");
}

static int read_header(struct reader *r, struct wl_error *error)
{
    unsigned char h[HEADER_B];
    const int status = read_all(r, h, sizeof h, error);
    if (status != 0)
        return status;
    if (!wl_binary_magic(h, sizeof h) || get_le(h + 56, 8) != XXH3_64bits(h, 56))
        return corrupt(r, error, "expected the header of a complete binary trace");
    r->block_tokens = (uint32_t)get_le(h + 12, 4);
    const uint64_t flags = get_le(h + 16, 8);
    r->requests = get_le(h + 24, 8);
    r->ids = get_le(h + 32, 8);
    if (get_le(h + 8, 4) != VERSION || flags > FLAG_PARTIAL || get_le(h + 40, 8) != 0 ||
        get_le(h + 48, 8) != 0)
        return corrupt(r, error, "expected a binary trace of version 1");
    if (r->block_tokens == 0 || r->block_tokens > WL_BLOCK_MOST)
        return corrupt(r, error, "expected blocks of 1 to 1048576 tokens");
    r->partial = flags & FLAG_PARTIAL;
    return 0;
}

/* Reads the next chunk, or notices the end mark. */
static int read_chunk(struct reader *r, struct wl_error *error)
{
    unsigned char head[CHUNK_HEAD_B];
    int status = read_all(r, head, sizeof head, error);
    if (status != 0)
        return status;
    const uint64_t size_b = get_le(head, 4), records = get_le(head + 4, 4);
    const uint64_t check = get_le(head + 8, 8);
    if (size_b == 0 && records == 0 && check == 0) {
        r->ended = true;
        return r->in.offset_b == r->in.size_b
                   ? 0
                   : corrupt(r, error, "expected nothing behind the end mark");
    }
    /* The size is held against the file's before memory is taken for it. */
    if (size_b == 0 || size_b > CHUNK_MOST_B || records == 0 || records > size_b ||
        size_b > r->in.size_b - r->in.offset_b)
        return corrupt(r, error, "expected a chunk, the binary trace is cut or damaged");
    if (wl_grow(&r->payload, &r->room_b, size_b, 1) != 0)
        return wl_fail(error, -ENOMEM, r->in.name, 0, NULL, "expected more memory");
    status = read_all(r, r->payload, size_b, error);
    if (status != 0)
        return status;
    if (XXH3_64bits_withSeed(r->payload, size_b, r->chunk) != check)
        return corrupt(r, error, "expected another checksum, the binary trace is damaged");
    r->chunk++;
    wl_decoder_chunk(&r->decoder, r->payload, size_b, (uint32_t)records);
    return 0;
}

/* (B2) */
static bool fits(const struct reader *r, const struct wl_record *record)
{
    const uint64_t tokens = (uint64_t)record->prompt_tokens + record->output_tokens;
    return record->n_ids <= tokens / r->block_tokens &&
           (!record->has_tail || (r->partial && record->prompt_tokens % r->block_tokens != 0 &&
                                  record->n_ids >= record->prompt_tokens / r->block_tokens));
}

static int reader_next(void *self, struct wl_record *record, struct wl_error *error)
{
    struct reader *r = self;
    const char *why = "";
    int status;
    while ((status = wl_decode(&r->decoder, record, &why)) == 0) {
        if (r->ended)
            return 0;
        status = read_chunk(r, error);
        if (status != 0)
            return status;
    }
    if (status == -ENOMEM)
        return wl_fail(error, status, r->in.name, 0, NULL, "expected more memory");
    if (status < 0)
        return corrupt(r, error, why);
    return fits(r, record) ? 1 : corrupt(r, error, "expected block ids that fit the lengths");
}

static void reader_rewind(void *self)
{
    struct reader *r = self;
    wl_input_seek(&r->in, HEADER_B);
    r->chunk = 0;
    r->ended = false;
    r->decoder.last_ns = 0;
    wl_decoder_chunk(&r->decoder, NULL, 0, 0);
}

static void reader_close(void *self)
{
    struct reader *r = self;
    wl_input_release(&r->in);
    wl_decoder_release(&r->decoder);
    free(r->payload);
    free(r);
}

static const struct wl_feed_ops reader_ops = {reader_next, reader_rewind, reader_close};

/* Runs through the file once: (B1) and (B2) hold because next says so, (B3) is counted here. */
static int verify(struct reader *r, struct wl_error *error)
{
    struct wl_record record;
    uint64_t requests = 0, ids = 0;
    int status;
    reader_rewind(r);
    while ((status = reader_next(r, &record, error)) == 1) {
        requests++;
        ids += (uint64_t)record.n_ids + record.has_tail;
    }
    if (status == 0 && (requests != r->requests || ids != r->ids))
        status = corrupt(r, error, "expected as many requests and ids as the header says");
    reader_rewind(r);
    return status;
}

int wl_binary_open(struct wl_feed *feed, struct wl_input *in, struct wl_error *error)
{
    struct reader *r = calloc(1, sizeof *r);
    if (r == NULL) {
        const int failed = wl_fail(error, -ENOMEM, in->name, 0, NULL, "expected more memory");
        wl_input_release(in);
        return failed;
    }
    r->in = *in;
    *in = (struct wl_input){.fd = -1};
    wl_input_seek(&r->in, 0);
    int status = read_header(r, error);
    if (status == 0)
        status = verify(r, error);
    if (status != 0) {
        reader_close(r);
        return status;
    }
    *feed = (struct wl_feed){.ops = &reader_ops,
                             .self = r,
                             .format = WL_BINARY,
                             .block_tokens = r->block_tokens,
                             .partial = r->partial,
                             .finite = true,
                             .requests = r->requests,
                             .name = wl_format_name(WL_BINARY)};
    return 0;
}

/* ---- Writing ---------------------------------------------------------------------------------------- */

struct wl_binary_writer {
    FILE *file;
    struct wl_encoder encoder;
    uint32_t block_tokens;
    bool partial;
    uint64_t requests, ids, chunk;
    int error; /* the first; sticks */
};

static void put(struct wl_binary_writer *w, const void *bytes, size_t n_b)
{
    if (w->error == 0 && fwrite(bytes, 1, n_b, w->file) != n_b)
        w->error = errno != 0 ? -errno : -EIO;
}

static void put_chunk(struct wl_binary_writer *w)
{
    const struct wl_encoder *e = &w->encoder;
    if (e->records == 0)
        return;
    unsigned char head[CHUNK_HEAD_B];
    put_le(head, e->size_b, 4);
    put_le(head + 4, e->records, 4);
    put_le(head + 8, XXH3_64bits_withSeed(e->bytes, e->size_b, w->chunk++), 8);
    put(w, head, sizeof head);
    put(w, e->bytes, e->size_b);
    wl_encoder_empty(&w->encoder);
}

struct wl_binary_writer *wl_binary_writer_new(FILE *file, uint32_t block_tokens, bool partial)
{
    struct wl_binary_writer *w = calloc(1, sizeof *w);
    if (w == NULL)
        return NULL;
    *w = (struct wl_binary_writer){.file = file, .block_tokens = block_tokens, .partial = partial};
    const unsigned char nothing[HEADER_B] = {0};
    errno = 0;
    put(w, nothing, sizeof nothing);
    return w;
}

int wl_binary_write(struct wl_binary_writer *w, const struct wl_record *record)
{
    if (w->error == 0)
        w->error = wl_encode(&w->encoder, record);
    w->requests++;
    w->ids += (uint64_t)record->n_ids + record->has_tail;
    if (w->encoder.size_b >= CHUNK_B)
        put_chunk(w);
    return w->error;
}

int wl_binary_writer_close(struct wl_binary_writer *w)
{
    unsigned char h[HEADER_B] = {0};
    put_chunk(w);
    put(w, h, CHUNK_HEAD_B);
    memcpy(h, magic, sizeof magic);
    put_le(h + 8, VERSION, 4);
    put_le(h + 12, w->block_tokens, 4);
    put_le(h + 16, w->partial ? FLAG_PARTIAL : 0, 4);
    put_le(h + 24, w->requests, 8);
    put_le(h + 32, w->ids, 8);
    put_le(h + 56, XXH3_64bits(h, 56), 8);
    if (w->error == 0 && fseek(w->file, 0, SEEK_SET) != 0)
        w->error = -errno;
    put(w, h, sizeof h);
    if (w->error == 0 && fflush(w->file) != 0)
        w->error = -errno;
    const int status = w->error;
    wl_encoder_release(&w->encoder);
    free(w);
    return status;
}
