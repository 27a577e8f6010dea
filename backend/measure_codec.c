/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * measure_codec.c - how fast values are made and read, and how small they are.
 *
 * What is timed is be_value_write and be_value_read, one thread, on pieces of synthetic KV
 * (k_fill_packed): codec, head and checksum. So "none" has a rate too, that of verifying. The
 * ratio is raw bytes over the bytes of the value, head included.
 *
 * Rates are taken on KV as the model has it. Ratios are taken besides on fp16 KV, and after
 * int8, since a packer finds less or more there; those points are encoded once each.
 */
#include "measure.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "value.h"

enum { RING = 4 };

struct codecs {
    const struct be_measure_config *config;
    struct be_format format;
    struct be_piece piece;
    size_t raw_b, room;
    void *raw[RING], *value[RING], *decoded, *scratch;
    size_t value_b[RING];
    uint32_t turn;
    uint32_t sizes[2], n_sizes; /* tokens of a piece, the larger first */
};

static int once_encode(void *self, double *ns)
{
    struct codecs *c = self;
    const uint32_t k = c->turn++ % RING;
    const uint64_t begin_ns = uv_hrtime();
    const int rc = be_value_write(&c->format, &c->piece, c->raw[k], c->value[k], c->room,
                                  &c->value_b[k], c->scratch);
    *ns = (double)(uv_hrtime() - begin_ns);
    return rc;
}

static int once_decode(void *self, double *ns)
{
    struct codecs *c = self;
    const uint32_t k = c->turn++ % RING;
    const void *payload;
    const char *why = "";
    const uint64_t begin_ns = uv_hrtime();
    const enum kvt_status status = be_value_read(&c->format, &c->piece, c->value[k], c->value_b[k],
                                                 c->decoded, c->scratch, &payload, &why);
    *ns = (double)(uv_hrtime() - begin_ns);
    return status == KVT_OK ? 0 : -EBADMSG;
}

static void release(struct codecs *c)
{
    for (uint32_t k = 0; k < RING; k++) {
        free(c->raw[k]);
        free(c->value[k]);
        c->raw[k] = c->value[k] = NULL;
    }
    free(c->decoded);
    free(c->scratch);
    c->decoded = c->scratch = NULL;
}

/* Room and content for pieces of so many tokens under the format. */
static int prepare(struct codecs *c, uint32_t tokens)
{
    struct be_format *f = &c->format;
    f->piece_layers = be_piece_layers(&f->geometry, tokens, c->config->piece_b);
    c->piece = be_piece_at(f, (kvt_key){.hi = 1, .lo = c->config->seed}, tokens, 0);
    const struct be_shape shape = be_piece_shape(f, &c->piece);
    c->raw_b = be_shape_raw_b(&shape);
    c->room = be_value_bound(f, tokens);
    c->decoded = malloc(c->raw_b);
    c->scratch = malloc(be_value_scratch_b(f, tokens) + 1);
    if (!c->decoded || !c->scratch)
        return -ENOMEM;
    memset(c->decoded, 0, c->raw_b);
    for (uint32_t k = 0; k < RING; k++) {
        const struct k_part part = {.tokens = c->piece.tokens, .layers = c->piece.layers};
        double ns;
        c->raw[k] = malloc(c->raw_b);
        c->value[k] = malloc(c->room);
        if (!c->raw[k] || !c->value[k])
            return -ENOMEM;
        k_fill_packed(&f->geometry, &part, c->config->seed + k, c->raw[k]);
        c->turn = k;
        const int rc = once_encode(c, &ns);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static struct be_sample sample_of(const struct codecs *c, enum be_path path, const char *name)
{
    struct be_sample sample = {.path = path,
                               .dtype = c->format.geometry.dtype,
                               .pieces = 1,
                               .threads = 1,
                               .raw_b = (double)c->raw_b};
    for (uint32_t k = 0; k < RING; k++)
        sample.stored_b += (double)c->value_b[k] / RING;
    snprintf(sample.codec, sizeof sample.codec, "%s", name);
    return sample;
}

/* Rates and ratio of the chain on the model's KV, for pieces of so many tokens. */
static int measure_rates(struct codecs *c, struct be_clock *clock, const char *name,
                         uint32_t tokens)
{
    int rc = prepare(c, tokens);
    struct be_sample sample = sample_of(c, BE_PATH_ENCODE, name);
    if (rc == 0)
        rc = be_measure_point(clock, &(struct be_point){.once = once_encode, .self = c}, &sample);
    sample.path = BE_PATH_DECODE;
    if (rc == 0)
        rc = be_measure_point(clock, &(struct be_point){.once = once_decode, .self = c}, &sample);
    release(c);
    return rc;
}

/* The ratio alone, of another chain or type. */
static int measure_ratio(struct codecs *c, struct be_clock *clock, const char *name,
                         enum k_dtype dtype, const struct be_codec *codec)
{
    const struct be_format usual = c->format;
    struct be_sample sample;
    c->format.geometry.dtype = dtype;
    c->format.codec = *codec;
    int rc = prepare(c, c->sizes[0]);
    if (rc == 0) {
        sample = sample_of(c, BE_PATH_ENCODE, name);
        sample.ns = sample.low_ns = sample.high_ns = 0; /* no time was taken */
        rc = be_samples_add(clock->samples, &sample);
    }
    release(c);
    c->format = usual;
    return rc;
}

static int measure_chain(struct codecs *c, struct be_clock *clock, const char *name, char *why,
                         size_t size)
{
    struct be_codec *codec = &c->format.codec;
    const struct be_measure_config *config = c->config;
    int rc = be_codec_parse(codec, name, why, size);
    if (rc != 0)
        return rc;
    for (uint32_t i = 0; rc == 0 && i < c->n_sizes; i++)
        rc = measure_rates(c, clock, name, c->sizes[i]);
    const struct be_codec chain = *codec;
    if (rc == 0 && config->geometry.dtype != K_FP16 && chain.narrow == BE_NARROW_NONE)
        rc = measure_ratio(c, clock, name, K_FP16, &chain);
    if (rc == 0 && chain.narrow == BE_NARROW_NONE && !chain.planes &&
        chain.packer != BE_PACK_NONE) {
        struct be_codec narrow = chain;
        char longer[32];
        narrow.narrow = BE_NARROW_INT8;
        snprintf(longer, sizeof longer, "int8,%.24s", name);
        rc = measure_ratio(c, clock, longer, config->geometry.dtype, &narrow);
    }
    return rc;
}

int be_measure_codecs(const struct be_measure_config *config, struct be_samples *samples, char *why,
                      size_t size)
{
    struct codecs *c = calloc(1, sizeof *c);
    if (!c)
        return -ENOMEM;
    c->config = config;
    c->format = (struct be_format){.geometry = config->geometry, .epoch = 1, .shards = 1};
    /* zlib needs a tenth of a second for a megabyte: in quick mode, pieces are small. */
    const uint32_t page = config->geometry.page_tokens, whole = config->block_tokens;
    c->sizes[c->n_sizes++] = !config->quick ? whole : whole / 8 > page ? whole / 8 : page;
    if (!config->quick && whole / 4 >= page)
        c->sizes[c->n_sizes++] = whole / 4;
    struct be_clock clock = {.config = config,
                             .samples = samples,
                             .points = 2 * config->n_codecs * c->n_sizes};
    int rc = 0;
    *why = '\0';
    for (uint32_t i = 0; rc == 0 && i < config->n_codecs; i++)
        rc = measure_chain(c, &clock, config->codecs[i], why, size);
    if (rc != 0 && rc != -EINTR && !*why)
        snprintf(why, size, "codecs: %s", strerror(-rc));
    release(c);
    free(c);
    return rc;
}
