/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * codec.c - a chain of codecs: its name, its sizes, and the way through its parts.
 *
 *      encode     raw --narrow--> A --planes--> B --pack--> out
 *      decode     in --unpack--> A --merge--> B --widen--> raw
 *
 * Every length but the packed one follows from chain and shape: n narrow bytes before and after
 * the planes. Parts that a chain lacks are left out, and the last one present writes to its
 * destination, so between s parts lie s - 1 buffers of n bytes in the caller's scratch.
 *
 * Invariants:
 *   (K1) Decoding writes n bytes per buffer and be_shape_raw_b to raw, whatever `in` holds.
 *   (K2) Equal chain, shape and raw bytes give equal coded bytes with equal libraries: no state is carried over.
 */
#include "codec_impl.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Names ------------------------------------------------------------------------------------------ */

static const char *const narrow_names[] = {
    [BE_NARROW_NONE] = "none", [BE_NARROW_FP16] = "fp16", [BE_NARROW_BF16] = "bf16",
    [BE_NARROW_INT8] = "int8", [BE_NARROW_INT4] = "int4",
};

enum { STEP_B = 24 };

static bool quantises(enum be_narrow narrow)
{
    return narrow == BE_NARROW_INT8 || narrow == BE_NARROW_INT4;
}

/* What is read so far: steps come in this order, each once. */
enum stage { NARROWED = 1, SPLIT, PACKED };

static int refuse(char *error, size_t size, const char *step, const char *expected)
{
    snprintf(error, size, "%.24s: %s", step, expected);
    return -EINVAL;
}

static int parse_packer(struct be_codec *codec, const char *step, char *error, size_t size)
{
    for (int p = BE_PACK_ZLIB; p <= BE_PACK_LZ4; p++) {
        const struct be_levels *levels = &be_packer_levels[p];
        const size_t len = strlen(levels->name);
        if (strncmp(step, levels->name, len) != 0 || (step[len] != '\0' && step[len] != '-'))
            continue;
        const char *digits = step + len + 1;
        const bool number = step[len] == '-' && digits[0] >= '1' && digits[0] <= '9' &&
                            strlen(digits) == strspn(digits, "0123456789") && strlen(digits) < 4;
        const int level = number ? atoi(digits) : 0;
        char text[64];
        snprintf(text, sizeof text, "expected %s-%d to %s-%d", levels->name, levels->least,
                 levels->name, levels->most);
        if (levels->most == 0 && step[len] != '\0')
            return refuse(error, size, step, "expected lz4, which has no levels");
        if (levels->most != 0 && (level < levels->least || level > levels->most))
            return refuse(error, size, step, text);
        codec->packer = (enum be_packer)p;
        codec->level = (uint8_t)level;
        return 0;
    }
    return refuse(error, size, step,
                  "expected none, fp16, bf16, int8, int4, planes, zlib-1 to zlib-9, "
                  "libdeflate-1 to libdeflate-12, zstd-1 to zstd-19 or lz4");
}

static int parse_step(struct be_codec *codec, enum stage *stage, const char *step, char *error,
                      size_t size)
{
    enum stage this = PACKED;
    enum be_narrow narrow = BE_NARROW_NONE;
    if (strcmp(step, "none") == 0)
        return 0;
    for (int n = BE_NARROW_FP16; n <= BE_NARROW_INT4; n++)
        if (strcmp(step, narrow_names[n]) == 0) {
            narrow = (enum be_narrow)n;
            this = NARROWED;
        }
    if (strcmp(step, "planes") == 0)
        this = SPLIT;
    if (this <= *stage)
        return refuse(error, size, step,
                      "expected one cast or quantisation, then planes, then one compressor");
    *stage = this;
    if (this == NARROWED) {
        codec->narrow = narrow;
        return 0;
    }
    if (this == PACKED)
        return parse_packer(codec, step, error, size);
    if (quantises(codec->narrow))
        return refuse(error, size, step,
                      "expected elements of 2 or 4 bytes, int8 and int4 have one plane");
    codec->planes = true;
    return 0;
}

int be_codec_parse(struct be_codec *codec, const char *text, char *error, size_t error_size)
{
    struct be_codec read = {BE_NARROW_NONE, false, BE_PACK_NONE, 0};
    enum stage stage = 0;
    bool more = true;
    while (more) {
        char step[STEP_B + 1];
        text += strspn(text, " ");
        size_t len = strcspn(text, ",");
        const char *next = text + len;
        more = *next == ',';
        while (len > 0 && text[len - 1] == ' ')
            len--;
        if (len > 7 && strncmp(text, "planes-", 7) == 0) { /* the catalogue's short form */
            len = 6;
            next = text + 6;
            more = true;
        }
        snprintf(step, sizeof step, "%.*s", (int)(len < STEP_B ? len : STEP_B), text);
        if (len == 0)
            return refuse(error, error_size, "codec", "expected a step, such as zstd-1, or none");
        const int rc = parse_step(&read, &stage, step, error, error_size);
        if (rc != 0)
            return rc;
        text = next + more;
    }
    *codec = read;
    return 0;
}

char *be_codec_name(const struct be_codec *codec, char *text, size_t size)
{
    const char *narrow = codec->narrow == BE_NARROW_NONE ? "" : narrow_names[codec->narrow];
    const char *planes = !codec->planes ? "" : *narrow ? ",planes" : "planes";
    const char *comma = codec->packer != BE_PACK_NONE && (*narrow || *planes) ? "," : "";
    const char *packer = codec->packer == BE_PACK_NONE ? "" : be_packer_levels[codec->packer].name;
    char level[8] = "";
    if (codec->level)
        snprintf(level, sizeof level, "-%u", codec->level);
    if (!*narrow && !*planes && !*packer)
        narrow = "none";
    snprintf(text, size, "%s%s%s%s%s", narrow, planes, comma, packer, level);
    return text;
}

bool be_codec_valid(const struct be_codec *codec)
{
    if ((unsigned)codec->narrow > BE_NARROW_INT4 || (unsigned)codec->packer > BE_PACK_LZ4)
        return false;
    const struct be_levels *levels = &be_packer_levels[codec->packer];
    return codec->level >= levels->least && codec->level <= levels->most &&
           !(codec->planes && quantises(codec->narrow));
}

bool be_codec_equal(const struct be_codec *a, const struct be_codec *b)
{
    return a->narrow == b->narrow && a->planes == b->planes && a->packer == b->packer &&
           a->level == b->level;
}

/* ---- Sizes ------------------------------------------------------------------------------------------ */

size_t be_shape_elements(const struct be_shape *shape)
{
    const uint64_t matrices = (uint64_t)shape->layers * (shape->parts == BE_K_AND_V ? 2 : 1);
    uint64_t rows, elements;
    if ((unsigned)shape->dtype >= K_DTYPES || (unsigned)shape->parts > BE_V_ONLY ||
        __builtin_mul_overflow(matrices, (uint64_t)shape->tokens, &rows) ||
        __builtin_mul_overflow(rows, (uint64_t)shape->channels, &elements) ||
        elements > BE_RAW_MOST_B / k_dtype_b(shape->dtype))
        return 0;
    return elements;
}

size_t be_shape_raw_b(const struct be_shape *shape)
{
    const size_t elements = be_shape_elements(shape);
    return elements ? elements * k_dtype_b(shape->dtype) : 0;
}

/* The type of elements behind the cast; of the raw ones where there is none. */
static enum k_dtype narrow_dtype(const struct be_codec *codec, enum k_dtype dtype)
{
    return codec->narrow == BE_NARROW_FP16   ? K_FP16
           : codec->narrow == BE_NARROW_BF16 ? K_BF16
                                             : dtype;
}

static size_t narrow_b(const struct be_codec *codec, const struct be_shape *shape)
{
    if (quantises(codec->narrow))
        return be_quant_b(codec->narrow, shape);
    return be_shape_elements(shape) * k_dtype_b(narrow_dtype(codec, shape->dtype));
}

/* Parts that really do something, and what lies between them. */
struct plan {
    bool narrow, planes, pack;
    size_t elements, n_b, element_b;
    enum k_dtype dtype; /* between narrow and planes */
};

static bool make_plan(struct plan *plan, const struct be_codec *codec, const struct be_shape *shape)
{
    assert(be_codec_valid(codec));
    const size_t elements = be_shape_elements(shape);
    if (elements == 0)
        return false;
    const enum k_dtype dtype = narrow_dtype(codec, shape->dtype);
    *plan = (struct plan){
        .narrow = quantises(codec->narrow) || dtype != shape->dtype,
        .planes = codec->planes,
        .pack = codec->packer != BE_PACK_NONE,
        .elements = elements,
        .n_b = narrow_b(codec, shape),
        .element_b = k_dtype_b(dtype),
        .dtype = dtype,
    };
    return plan->n_b > 0 && be_pack_bound(codec->packer, plan->n_b) > 0;
}

bool be_codec_is_copy(const struct be_codec *codec, enum k_dtype dtype)
{
    return codec->packer == BE_PACK_NONE && !codec->planes && !quantises(codec->narrow) &&
           narrow_dtype(codec, dtype) == dtype;
}

size_t be_codec_bound(const struct be_codec *codec, const struct be_shape *shape)
{
    struct plan plan;
    return make_plan(&plan, codec, shape) ? be_pack_bound(codec->packer, plan.n_b) : 0;
}

/* One buffer of scratch: a multiple of the cache line, so that the next is aligned as the first. */
static size_t buffer_b(const struct plan *plan)
{
    return (plan->n_b + 63) & ~(size_t)63;
}

size_t be_codec_scratch_b(const struct be_codec *codec, const struct be_shape *shape)
{
    struct plan plan;
    if (!make_plan(&plan, codec, shape))
        return 0;
    const int parts = plan.narrow + plan.planes + plan.pack;
    return parts > 1 ? (size_t)(parts - 1) * buffer_b(&plan) : 0;
}

/* ---- Through the parts ------------------------------------------------------------------------------ */

static int narrow(const struct be_codec *codec, const struct be_shape *shape,
                  const struct plan *plan, const unsigned char *raw, unsigned char *out)
{
    return quantises(codec->narrow) ? be_quantise(codec->narrow, shape, raw, out)
                                    : be_cast(shape->dtype, plan->dtype, raw, out, plan->elements);
}

static int widen(const struct be_codec *codec, const struct be_shape *shape,
                 const struct plan *plan, const unsigned char *in, unsigned char *raw)
{
    if (quantises(codec->narrow))
        return be_dequantise(codec->narrow, shape, in, raw);
    const int rc = be_cast(plan->dtype, shape->dtype, in, raw, plan->elements);
    return rc == -EINVAL ? -EBADMSG : rc;
}

int be_codec_encode(const struct be_codec *codec, const struct be_shape *shape, const void *raw,
                    void *out, size_t room, size_t *out_b, void *scratch)
{
    struct plan plan;
    if (!make_plan(&plan, codec, shape))
        return -EINVAL;
    if (!plan.pack && room < plan.n_b)
        return -ENOSPC;
    const unsigned char *from = raw;
    unsigned char *buffer = scratch;
    if (plan.narrow) {
        unsigned char *to = plan.planes || plan.pack ? buffer : out;
        const int rc = narrow(codec, shape, &plan, from, to);
        if (rc != 0)
            return rc;
        from = to;
        buffer += to == out ? 0 : buffer_b(&plan);
    }
    if (plan.planes) {
        unsigned char *to = plan.pack ? buffer : out;
        be_split(from, to, plan.elements, plan.element_b);
        from = to;
    }
    if (plan.pack)
        return be_pack(codec->packer, codec->level, from, plan.n_b, out, room, out_b);
    if (from == raw)
        memcpy(out, raw, plan.n_b);
    *out_b = plan.n_b;
    return 0;
}

int be_codec_decode(const struct be_codec *codec, const struct be_shape *shape, const void *in,
                    size_t in_b, void *raw, void *scratch)
{
    struct plan plan;
    if (!make_plan(&plan, codec, shape) || (!plan.pack && in_b != plan.n_b))
        return -EBADMSG;
    const unsigned char *from = in;
    unsigned char *buffer = scratch;
    if (plan.pack) {
        unsigned char *to = plan.planes || plan.narrow ? buffer : raw;
        const int rc = be_unpack(codec->packer, in, in_b, to, plan.n_b);
        if (rc != 0)
            return rc;
        from = to;
        buffer += to == raw ? 0 : buffer_b(&plan);
    }
    if (plan.planes) {
        unsigned char *to = plan.narrow ? buffer : raw;
        be_merge(from, to, plan.elements, plan.element_b);
        from = to;
    }
    if (plan.narrow)
        return widen(codec, shape, &plan, from, raw);
    if (from == in)
        memcpy(raw, in, plan.n_b);
    return 0;
}
