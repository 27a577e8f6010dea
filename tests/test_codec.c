/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_codec.c - chains of codecs: names, exact round trips, the bounds of what lossy steps lose, and inputs that nobody
 * encoded.
 *
 * All buffers end where an allocation ends and begin at an odd address, so that a sanitizer sees a byte too many.
 */
#include "codec_help.h"
#include "malloc_fails.h"

#include <errno.h>
#include <float.h>
#include <pthread.h>

/* ---- Names ------------------------------------------------------------------------------------------ */

START_TEST(every_chain_is_read_as_it_is_written)
{
    static const uint8_t least[] = {0, 1, 1, 1, 0}, most[] = {0, 9, 12, 19, 0};
    int n = 0;
    for (int narrow = 0; narrow <= BE_NARROW_INT4; narrow++)
        for (int planes = 0; planes < 2; planes++)
            for (int packer = 0; packer <= BE_PACK_LZ4; packer++)
                for (int level = 0; level < 256; level++) {
                    const struct be_codec codec = {(enum be_narrow)narrow, planes != 0,
                                                   (enum be_packer)packer, (uint8_t)level};
                    const bool valid = level >= least[packer] && level <= most[packer] &&
                                       !(planes && narrow >= BE_NARROW_INT8);
                    ck_assert(be_codec_valid(&codec) == valid);
                    char text[40];
                    if (!valid)
                        continue;
                    const struct be_codec again =
                        chain_named(be_codec_name(&codec, text, sizeof text));
                    ck_assert_msg(be_codec_equal(&codec, &again), "%s", text);
                    n++;
                }
    ck_assert_int_eq(n, (5 + 3) * (1 + 9 + 12 + 19 + 1));
    ck_assert(!be_codec_valid(&(struct be_codec){(enum be_narrow)5, false, BE_PACK_NONE, 0}));
    ck_assert(!be_codec_valid(&(struct be_codec){BE_NARROW_NONE, false, (enum be_packer)5, 0}));
}
END_TEST

START_TEST(other_spellings)
{
    static const char *const same[][2] = {
        {"planes-zstd-1", "planes,zstd-1"},
        {" fp16 , zlib-3 ", "fp16,zlib-3"},
        {"none,lz4", "lz4"},
        {"bf16,planes-lz4", "bf16,planes,lz4"},
        {"none,none", "none"},
    };
    char text[40];
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        const struct be_codec codec = chain_named(same[i][0]);
        ck_assert_str_eq(be_codec_name(&codec, text, sizeof text), same[i][1]);
    }
}
END_TEST

START_TEST(what_is_no_chain_is_refused_and_leaves_nothing)
{
    static const char *const wrong[][2] = {
        {"", "expected a step"},
        {"zstd-1,", "expected a step"},
        {",", "expected a step"},
        {"zstd", "expected zstd-1 to zstd-19"},
        {"zstd-0", "expected zstd-1 to zstd-19"},
        {"zstd-20", "expected zstd-1 to zstd-19"},
        {"zstd-01", "expected zstd-1 to zstd-19"},
        {"zlib-10", "expected zlib-1 to zlib-9"},
        {"libdeflate-13", "expected libdeflate-1 to libdeflate-12"},
        {"zlib-1x", "expected zlib-1 to zlib-9"},
        {"zlib-257", "expected zlib-1 to zlib-9"},
        {"zlib-4294967297", "expected zlib-1 to zlib-9"},
        {"lz4-1", "no levels"},
        {"gzip", "expected none, fp16"},
        {"zstd-1,int8", "expected one cast"},
        {"fp16,bf16", "expected one cast"},
        {"zstd-1,zlib-1", "expected one cast"},
        {"planes,planes", "expected one cast"},
        {"int8,planes", "one plane"},
        {"int4,planes-zstd-1", "one plane"},
        {"planes-", "expected none"},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "expected none"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct be_codec codec = {BE_NARROW_INT8, false, BE_PACK_ZSTD, 7}, before = codec;
        char error[200] = "";
        ck_assert_int_eq(be_codec_parse(&codec, wrong[i][0], error, sizeof error), -EINVAL);
        ck_assert_msg(strstr(error, wrong[i][1]) != NULL, "%s: %s", wrong[i][0], error);
        ck_assert(be_codec_equal(&codec, &before));
    }
}
END_TEST

/* ---- There and back --------------------------------------------------------------------------------- */

static bool loses(const struct be_codec *codec, enum k_dtype dtype)
{
    return codec->narrow >= BE_NARROW_INT8 ||
           (codec->narrow == BE_NARROW_FP16 && dtype != K_FP16) ||
           (codec->narrow == BE_NARROW_BF16 && dtype != K_BF16);
}

/* Encodes and decodes, in memory of exactly the promised sizes. Returns the coded length. */
static size_t there_and_back(const struct be_codec *codec, const struct be_shape *s,
                             const unsigned char *raw, unsigned char *back)
{
    const size_t bound = be_codec_bound(codec, s), scratch_b = be_codec_scratch_b(codec, s);
    struct room out = room_of(bound), scratch = room_of(scratch_b);
    size_t n = 0;
    MUST(bound > 0);
    MUST(be_codec_encode(codec, s, raw, out.at, bound, &n, scratch_b ? scratch.at : NULL) == 0);
    MUST(n <= bound);
    struct room in = room_of(n);
    memcpy(in.at, out.at, n);
    memset(scratch.memory, 0x5a, scratch_b + 1);
    MUST(be_codec_decode(codec, s, in.at, n, back, scratch_b ? scratch.at : NULL) == 0);
    free(out.memory);
    free(in.memory);
    free(scratch.memory);
    return n;
}

START_TEST(lossless_chains_give_every_byte_again)
{
    dice_seed((uint64_t)_i);
    for (int round = 0; round < 12; round++) {
        const struct be_shape s = random_shape();
        const size_t raw_b = be_shape_raw_b(&s);
        struct room raw = room_of(raw_b), back = room_of(raw_b);
        if (round % 3 == 0) /* any bits, NaN among them */
            for (size_t i = 0; i < raw_b; i++)
                raw.at[i] = (unsigned char)dice_word();
        else
            fill_kv(&s, raw.at);
        for (int c = 0; c < SOME_CHAINS; c++) {
            const struct be_codec codec = chain_named(some_chains[c]);
            if (loses(&codec, s.dtype))
                continue;
            memset(back.at, 0, raw_b);
            there_and_back(&codec, &s, raw.at, back.at);
            ck_assert_msg(memcmp(raw.at, back.at, raw_b) == 0, "%s, seed %d", some_chains[c], _i);
            if (be_codec_is_copy(&codec, s.dtype))
                ck_assert_uint_eq(be_codec_bound(&codec, &s), raw_b);
        }
        free(raw.memory);
        free(back.memory);
    }
}
END_TEST

START_TEST(planes_are_the_bytes_of_each_element)
{
    dice_seed((uint64_t)_i);
    const struct be_codec codec = chain_named("planes");
    struct be_shape s = {1, 3, 1 + (uint32_t)dice_below(200), K_FP32, BE_K_AND_V};
    if (_i % 2)
        s.dtype = K_BF16;
    const size_t b = k_dtype_b(s.dtype), raw_b = be_shape_raw_b(&s), n = raw_b / b;
    struct room raw = room_of(raw_b), out = room_of(raw_b);
    size_t out_b;
    for (size_t i = 0; i < raw_b; i++)
        raw.at[i] = (unsigned char)dice_word();
    ck_assert_int_eq(be_codec_encode(&codec, &s, raw.at, out.at, raw_b, &out_b, NULL), 0);
    ck_assert_uint_eq(out_b, raw_b);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < b; k++)
            ck_assert(out.at[k * n + i] == raw.at[i * b + k]);
    free(raw.memory);
    free(out.memory);
}
END_TEST

/* ---- What is lost ----------------------------------------------------------------------------------- */

/* Least and greatest of the group that element (matrix, token, channel) is in, the slow way. */
static void range_of(const struct be_shape *s, const void *raw, bool is_k, size_t matrix, size_t t,
                     size_t c, size_t group, float *low, float *high)
{
    const size_t axis = is_k ? s->tokens : s->channels, at = is_k ? t : c;
    const size_t from = group ? at / group * group : 0;
    const size_t to = group && from + group < axis ? from + group : axis;
    *low = INFINITY;
    *high = -INFINITY;
    for (size_t k = from; k < to; k++) {
        const size_t row = matrix * s->tokens + (is_k ? k : t);
        const float x = float_at(s->dtype, raw, row * s->channels + (is_k ? c : k));
        *low = fminf(*low, x);
        *high = fmaxf(*high, x);
    }
}

/* Of rounding an x of this size to the raw type: half a unit in the last place, and the floats before it. */
static double rounding(enum k_dtype dtype, double x)
{
    const double ulp = dtype == K_BF16 ? 0x1p-8 : dtype == K_FP16 ? 0x1p-11 : 0x1p-24;
    return fabs(x) * ulp * 1.01 + (dtype == K_FP16 ? 0x1p-25 : 0);
}

static void check_groups(const struct be_shape *s, const void *raw, const void *back, size_t group,
                         double most)
{
    const size_t matrices = s->layers * (s->parts == BE_K_AND_V ? 2U : 1U);
    for (size_t i = 0; i < matrices; i++) {
        const bool is_k = s->parts == BE_K_ONLY || (s->parts == BE_K_AND_V && i % 2 == 0);
        for (size_t t = 0; t < s->tokens; t++)
            for (size_t c = 0; c < s->channels; c += 1 + dice_below(s->channels / 16 + 1)) {
                const size_t at = (i * s->tokens + t) * s->channels + c;
                const double x = (double)float_at(s->dtype, raw, at);
                const double y = (double)float_at(s->dtype, back, at);
                float low, high;
                range_of(s, raw, is_k, i, t, c, group, &low, &high);
                const double scale = ((double)high - (double)low) / most;
                const double largest = fmax(fabs((double)low), fabs((double)high));
                MUST(fabs(x - y) <=
                     scale / 2 * (1 + 1e-4) + 3 * 0x1p-24 * largest + rounding(s->dtype, largest));
                if (low == high)
                    MUST(x == y);
            }
    }
}

START_TEST(whole_numbers_are_within_half_a_scale)
{
    dice_seed((uint64_t)_i);
    for (int round = 0; round < 6; round++) {
        const struct be_shape s = random_shape();
        const size_t raw_b = be_shape_raw_b(&s), n = be_shape_elements(&s);
        struct room raw = room_of(raw_b), back = room_of(raw_b);
        fill_kv(&s, raw.at);
        for (size_t i = 0; i < n; i++) { /* a constant channel, and everything in one token */
            if (i % s.channels == 5)
                put_float_at(s.dtype, raw.at, i, -3.3F);
            if (i / s.channels % s.tokens == 3)
                put_float_at(s.dtype, raw.at, i, 7.7F);
        }
        const struct be_codec int8 = chain_named("int8"), int4 = chain_named("int4,zstd-1");
        there_and_back(&int8, &s, raw.at, back.at);
        check_groups(&s, raw.at, back.at, 0, 255);
        there_and_back(&int4, &s, raw.at, back.at);
        check_groups(&s, raw.at, back.at, 32, 15);
        free(raw.memory);
        free(back.memory);
    }
}
END_TEST

START_TEST(quantised_sizes)
{
    const struct be_codec int8 = chain_named("int8"), int4 = chain_named("int4");
    const struct be_shape block = {2, 512, 1024, K_BF16, BE_K_AND_V};
    const size_t n = 512 * 1024;
    ck_assert_uint_eq(be_codec_bound(&int8, &block), 2 * (2 * n + 8 * (1024 + 512)));
    ck_assert_uint_eq(be_codec_bound(&int4, &block), 2 * (2 * n / 2 + 2 * 8 * n / 32));
    const struct be_shape odd = {1, 33, 35, K_BF16, BE_K_ONLY};
    ck_assert_uint_eq(be_codec_bound(&int4, &odd), 33 * (16 + 2) + 8 * 2 * 35);
}
END_TEST

START_TEST(extreme_numbers)
{
    static const float extremes[][4] = {
        {0, -0.0F, 0, 0},
        {FLT_MIN, -FLT_MIN, FLT_TRUE_MIN, 0},
        {FLT_TRUE_MIN, 2 * FLT_TRUE_MIN, 0, FLT_TRUE_MIN},
        {1.7e38F, -1.7e38F, 0, 1},
        {FLT_MAX, FLT_MAX, FLT_MAX, FLT_MAX},
        {1e20F, 1e20F * (1 + FLT_EPSILON), 1e20F, 1e20F},
    };
    const struct be_shape s = {1, 2, 2, K_FP32, BE_K_ONLY};
    for (size_t i = 0; i < sizeof extremes / sizeof extremes[0]; i++) {
        float back[4];
        for (int four = 0; four < 2; four++) {
            const struct be_codec codec = chain_named(four ? "int4" : "int8");
            there_and_back(&codec, &s, (const unsigned char *)extremes[i], (unsigned char *)back);
            for (int k = 0; k < 4; k++) {
                const double x = (double)extremes[i][k], other = (double)extremes[i][k ^ 2];
                const double scale = fabs(x - other) / (four ? 15 : 255);
                ck_assert_double_le(fabs(x - (double)back[k]),
                                    scale / 2 * 1.0001 + 4e-36 + 1e-7 * fmax(fabs(x), fabs(other)));
            }
        }
    }
}
END_TEST

static int encode_floats(const char *chain, enum k_dtype dtype, const float *x, uint32_t n,
                         unsigned char *out)
{
    const struct be_codec codec = chain_named(chain);
    const struct be_shape s = {1, n, 1, dtype, BE_K_ONLY};
    unsigned char raw[64];
    size_t out_b;
    for (uint32_t i = 0; i < n; i++)
        put_float_at(dtype, raw, i, x[i]);
    return be_codec_encode(&codec, &s, raw, out, 64, &out_b, NULL);
}

START_TEST(data_that_a_codec_would_spoil_is_refused)
{
    const float nan[] = {1, NAN}, infinite[] = {-INFINITY, 1}, wide[] = {3e38F, -3e38F};
    const float large[] = {65504, 65520}, small[] = {65504, 65519};
    unsigned char out[64];
    for (int four = 0; four < 2; four++) {
        const char *chain = four ? "int4" : "int8";
        for (int d = 0; d < K_DTYPES; d++) {
            ck_assert_int_eq(encode_floats(chain, (enum k_dtype)d, nan, 2, out), -EINVAL);
            ck_assert_int_eq(encode_floats(chain, (enum k_dtype)d, infinite, 2, out), -EINVAL);
        }
        ck_assert_int_eq(encode_floats(chain, K_FP32, wide, 2, out), -EINVAL);
    }
    ck_assert_int_eq(encode_floats("fp16", K_FP32, large, 2, out), -EINVAL);
    ck_assert_int_eq(encode_floats("fp16", K_FP32, small, 2, out), 0);
    ck_assert_int_eq(encode_floats("fp16", K_BF16, wide, 2, out), -EINVAL);
    ck_assert_int_eq(encode_floats("bf16", K_FP32, wide, 2, out), 0);
    ck_assert_int_eq(encode_floats("bf16", K_FP16, large, 1, out), -EINVAL); /* no way back */
    ck_assert_int_eq(encode_floats("fp16", K_FP32, nan, 2, out), 0);
    ck_assert_int_eq(encode_floats("bf16", K_FP32, infinite, 2, out), 0);
    ck_assert_float_infinite(float_at(K_BF16, out, 0));
    ck_assert_int_eq(encode_floats("bf16", K_FP16, infinite, 2, out), 0);
}
END_TEST

START_TEST(casts_round_as_the_kernels_do)
{
    dice_seed(9);
    const struct be_shape s = {2, 40, 77, K_FP32, BE_K_AND_V};
    const size_t n = be_shape_elements(&s);
    struct room raw = room_of(4 * n), back = room_of(4 * n);
    fill_kv(&s, raw.at);
    for (int half = 0; half < 2; half++) {
        const struct be_codec codec = chain_named(half ? "fp16,planes,lz4" : "bf16");
        const enum k_dtype dtype = half ? K_FP16 : K_BF16;
        const size_t coded_b = there_and_back(&codec, &s, raw.at, back.at);
        if (!half)
            ck_assert_uint_eq(coded_b, 2 * n);
        for (size_t i = 0; i < n; i++) {
            uint16_t want;
            put_float_at(dtype, &want, 0, float_at(K_FP32, raw.at, i));
            ck_assert(float_at(dtype, &want, 0) == float_at(K_FP32, back.at, i));
        }
    }
    free(raw.memory);
    free(back.memory);
}
END_TEST

/* ---- Bad lengths, bad bytes, no memory -------------------------------------------------------------- */

START_TEST(shapes_that_are_none)
{
    const struct be_shape shapes[] = {
        {0, 1, 1, K_BF16, BE_K_AND_V},
        {1, 0, 1, K_BF16, BE_K_AND_V},
        {1, 1, 0, K_BF16, BE_K_AND_V},
        {UINT32_MAX, UINT32_MAX, UINT32_MAX, K_FP32, BE_K_AND_V},
        {1U << 31, 1U << 31, 1, K_FP32, BE_K_AND_V},
        {1, 1U << 16, (1U << 12) + 1, K_FP32, BE_K_ONLY},
        {1, 1, 1, (enum k_dtype)3, BE_K_AND_V},
    };
    unsigned char bytes[8] = {0};
    size_t n;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (int c = 0; c < SOME_CHAINS; c++) {
            const struct be_codec codec = chain_named(some_chains[c]);
            const struct be_shape *s = &shapes[i];
            ck_assert_uint_eq(be_shape_raw_b(s), 0);
            ck_assert_uint_eq(be_codec_bound(&codec, s), 0);
            ck_assert_uint_eq(be_codec_scratch_b(&codec, s), 0);
            ck_assert_int_eq(be_codec_encode(&codec, s, bytes, bytes, 8, &n, bytes), -EINVAL);
            ck_assert_int_eq(be_codec_decode(&codec, s, bytes, 8, bytes, bytes), -EBADMSG);
        }
    const struct be_shape most = {1, 1U << 16, 1U << 12, K_FP32, BE_K_ONLY};
    ck_assert_uint_eq(be_shape_raw_b(&most), BE_RAW_MOST_B);
}
END_TEST

START_TEST(room_that_is_short_is_never_exceeded)
{
    dice_seed(4);
    const struct be_shape s = {1, 5, 40, K_BF16, BE_K_AND_V};
    struct room raw = room_of(be_shape_raw_b(&s));
    fill_kv(&s, raw.at);
    for (int c = 0; c < SOME_CHAINS; c++) {
        const struct be_codec codec = chain_named(some_chains[c]);
        struct room scratch = room_of(be_codec_scratch_b(&codec, &s));
        size_t fits = 0;
        for (size_t room = 0; room <= be_codec_bound(&codec, &s); room++) {
            struct room out = room_of(room);
            size_t n = 0;
            const int rc = be_codec_encode(&codec, &s, raw.at, out.at, room, &n, scratch.at);
            ck_assert_msg(rc == 0 || rc == -ENOSPC, "%s: %d", some_chains[c], rc);
            ck_assert(rc != 0 || n <= room);
            fits += rc == 0;
            free(out.memory);
        }
        ck_assert_msg(fits > 0, "%s", some_chains[c]);
        free(scratch.memory);
    }
    free(raw.memory);
}
END_TEST

START_TEST(damaged_bytes_are_refused_or_decoded_within_bounds)
{
    dice_seed((uint64_t)_i);
    const struct be_codec codec = chain_named(some_chains[_i]);
    const struct be_shape s = {1, 6, 50, K_BF16, BE_K_AND_V};
    const size_t raw_b = be_shape_raw_b(&s), bound = be_codec_bound(&codec, &s);
    struct room raw = room_of(raw_b), out = room_of(bound),
                scratch = room_of(be_codec_scratch_b(&codec, &s));
    size_t n;
    fill_kv(&s, raw.at);
    ck_assert_int_eq(be_codec_encode(&codec, &s, raw.at, out.at, bound, &n, scratch.at), 0);
    for (int round = 0; round < 3000; round++) {
        /* Cut short, lengthened, and with flipped bits. */
        const size_t cut = round % 3 == 0 ? dice_below(n) : n + (round % 3 == 1 ? 1 : 0);
        struct room in = room_of(cut), back = room_of(raw_b);
        memcpy(in.at, out.at, cut < n ? cut : n);
        if (round % 3 == 2)
            for (uint64_t flips = 1 + dice_below(3); flips > 0; flips--)
                in.at[dice_below(n)] ^= (unsigned char)(1U << dice_below(8));
        const int rc = be_codec_decode(&codec, &s, in.at, cut, back.at, scratch.at);
        MUST(rc == 0 || rc == -EBADMSG);
        if (cut != n)
            MUST(rc == -EBADMSG);
        free(in.memory);
        free(back.memory);
    }
    free(raw.memory);
    free(out.memory);
    free(scratch.memory);
}
END_TEST

START_TEST(scales_that_nobody_writes_are_refused)
{
    const struct be_codec codec = chain_named("int8");
    const struct be_shape s = {1, 2, 1, K_FP32, BE_K_ONLY};
    static const float pairs[][2] = {{NAN, 0}, {-1, 0},       {INFINITY, 0},
                                     {1, NAN}, {1, INFINITY}, {3e36F, 1e37F}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        unsigned char in[10] = {0}, raw[8];
        memcpy(in, pairs[i], sizeof pairs[i]);
        ck_assert_int_eq(be_codec_decode(&codec, &s, in, sizeof in, raw, NULL), -EBADMSG);
    }
}
END_TEST

#if OWN_ALLOCATOR

struct poor {
    const char *chain;
    long grants;
    int encoded, decoded;
};

/* A thread of its own has kept nothing yet. */
static void *code_without_memory(void *arg)
{
    static unsigned char raw[4 * 512], out[1 << 16], back[4 * 512], scratch[1 << 15];
    struct poor *p = arg;
    const struct be_codec codec = chain_named(p->chain);
    const struct be_shape s = {1, 8, 64, K_BF16, BE_K_AND_V};
    size_t n = 0;
    left = p->grants;
    armed = true;
    p->encoded = be_codec_encode(&codec, &s, raw, out, sizeof out, &n, scratch);
    armed = false;
    if (p->encoded != 0 && be_codec_encode(&codec, &s, raw, out, sizeof out, &n, scratch) != 0)
        abort();
    left = p->grants;
    armed = true;
    p->decoded = be_codec_decode(&codec, &s, out, n, back, scratch);
    armed = false;
    if (p->decoded != 0 && be_codec_decode(&codec, &s, out, n, back, scratch) != 0)
        abort();
    return NULL;
}

START_TEST(libraries_without_memory_say_so)
{
    for (int c = 0; c < SOME_CHAINS; c++)
        for (long grants = 0;; grants++) {
            struct poor p = {some_chains[c], grants, 1, 1};
            pthread_t thread;
            const int rc = pthread_create(&thread, NULL, code_without_memory, &p);
            if (rc == 0) /* no check before it has ended: checks allocate */
                pthread_join(thread, NULL);
            ck_assert_int_eq(rc, 0);
            ck_assert_msg(p.encoded == 0 || p.encoded == -ENOMEM, "%s: %d", p.chain, p.encoded);
            ck_assert_msg(p.decoded == 0 || p.decoded == -ENOMEM, "%s: %d", p.chain, p.decoded);
            if (p.encoded == 0 && p.decoded == 0)
                break;
            ck_assert_int_lt(grants, 100);
        }
}
END_TEST

#endif

/* ---- Threads ---------------------------------------------------------------------------------------- */

enum { THREADS = 4, CODED_B = 1 << 16 };

static const struct be_shape shared_shape = {1, 33, 96, K_BF16, BE_K_AND_V};
static unsigned char shared_raw[2 * 33 * 96 * 2];
static unsigned char alone[SOME_CHAINS][CODED_B];
static size_t alone_b[SOME_CHAINS];

/* Codes with every chain, beginning somewhere else in each thread. Returns what was wrong. */
static void *code_all(void *arg)
{
    const int first = *(const int *)arg;
    for (int i = 0; i < 3 * SOME_CHAINS; i++) {
        const int c = (first + i) % SOME_CHAINS;
        unsigned char out[CODED_B], back[sizeof shared_raw], scratch[CODED_B];
        struct be_codec codec;
        char error[160];
        size_t n;
        if (be_codec_parse(&codec, some_chains[c], error, sizeof error) != 0 ||
            be_codec_encode(&codec, &shared_shape, shared_raw, out, CODED_B, &n, scratch) != 0 ||
            n != alone_b[c] || memcmp(out, alone[c], n) != 0 ||
            be_codec_decode(&codec, &shared_shape, out, n, back, scratch) != 0 ||
            (!loses(&codec, K_BF16) && memcmp(back, shared_raw, sizeof back) != 0))
            return (void *)(uintptr_t)some_chains[c];
    }
    return NULL;
}

START_TEST(threads_do_not_disturb_each_other)
{
    static unsigned char scratch[CODED_B];
    pthread_t threads[THREADS];
    int first[THREADS];
    dice_seed(5);
    fill_kv(&shared_shape, shared_raw);
    for (int c = 0; c < SOME_CHAINS; c++) {
        const struct be_codec codec = chain_named(some_chains[c]);
        ck_assert_int_eq(be_codec_encode(&codec, &shared_shape, shared_raw, alone[c], CODED_B,
                                         &alone_b[c], scratch),
                         0);
    }
    for (int i = 0; i < THREADS; i++) {
        first[i] = i * 5;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, code_all, &first[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        ck_assert_msg(!wrong, "%s", (const char *)wrong);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("codec");
    TCase *names = tcase_create("names"), *exact = tcase_create("there and back");
    TCase *lossy = tcase_create("lossy"), *bad = tcase_create("bad"),
          *threads = tcase_create("threads");
    tcase_add_test(names, every_chain_is_read_as_it_is_written);
    tcase_add_test(names, other_spellings);
    tcase_add_test(names, what_is_no_chain_is_refused_and_leaves_nothing);
    tcase_add_loop_test(exact, lossless_chains_give_every_byte_again, 0, 4);
    tcase_add_loop_test(exact, planes_are_the_bytes_of_each_element, 0, 4);
    tcase_add_loop_test(lossy, whole_numbers_are_within_half_a_scale, 0, 6);
    tcase_add_test(lossy, quantised_sizes);
    tcase_add_test(lossy, extreme_numbers);
    tcase_add_test(lossy, data_that_a_codec_would_spoil_is_refused);
    tcase_add_test(lossy, casts_round_as_the_kernels_do);
    tcase_add_test(bad, shapes_that_are_none);
    tcase_add_test(bad, room_that_is_short_is_never_exceeded);
    tcase_add_loop_test(bad, damaged_bytes_are_refused_or_decoded_within_bounds, 0, SOME_CHAINS);
    tcase_add_test(bad, scales_that_nobody_writes_are_refused);
#if OWN_ALLOCATOR
    tcase_add_test(bad, libraries_without_memory_say_so);
#endif
    tcase_add_test(threads, threads_do_not_disturb_each_other);
    suite_add_tcase(suite, names);
    suite_add_tcase(suite, exact);
    suite_add_tcase(suite, lossy);
    suite_add_tcase(suite, bad);
    suite_add_tcase(suite, threads);
    tcase_set_timeout(exact, 30);
    tcase_set_timeout(lossy, 30);
    tcase_set_timeout(bad, 30);
    tcase_set_timeout(threads, 30);
    return kvt_test_main(suite);
}
