/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * codec_pack.c - the compressors: zlib, libdeflate, zstd, lz4, each by its own library, whole
 * buffers only.
 *
 *      zlib, libdeflate     one zlib stream (RFC 1950): either reads what the other wrote
 *      zstd                 frames (RFC 8878) with the content's size, without its checksum
 *      lz4                  one plain block; its length is the value's business
 *
 * A compressor of zstd or libdeflate is worth more time to make than a small value is to code,
 * so each thread keeps one of each, made when first wanted and freed when the thread ends. A
 * failed call leaves them usable. Where a thread keeps nothing (no key, no memory), the call
 * says -ENOMEM.
 */
#include "codec_impl.h"

#include <errno.h>
#include <libdeflate.h>
#include <lz4.h>
#include <pthread.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

const struct be_levels be_packer_levels[BE_PACK_LZ4 + 1] = {
    [BE_PACK_NONE] = {"none", 0, 0},  [BE_PACK_ZLIB] = {"zlib", 1, 9},
    [BE_PACK_ZSTD] = {"zstd", 1, 19}, [BE_PACK_LIBDEFLATE] = {"libdeflate", 1, 12},
    [BE_PACK_LZ4] = {"lz4", 0, 0},
};

/* ---- What a thread keeps ---------------------------------------------------------------------------- */

struct keep {
    ZSTD_CCtx *zstd_in;
    ZSTD_DCtx *zstd_out;
    struct libdeflate_compressor *deflate;
    struct libdeflate_decompressor *inflate;
    int deflate_level;
};

static pthread_key_t keep_key;
static int keep_error;
static pthread_once_t keep_once = PTHREAD_ONCE_INIT;

static void keep_free(void *self)
{
    struct keep *k = self;
    ZSTD_freeCCtx(k->zstd_in);
    ZSTD_freeDCtx(k->zstd_out);
    libdeflate_free_compressor(k->deflate);
    libdeflate_free_decompressor(k->inflate);
    free(k);
}

/* At exit no destructor runs for the thread that called it. */
static void keep_end(void)
{
    struct keep *k = pthread_getspecific(keep_key);
    if (k && pthread_setspecific(keep_key, NULL) == 0)
        keep_free(k);
}

static void keep_begin(void)
{
    keep_error = pthread_key_create(&keep_key, keep_free);
    if (keep_error == 0)
        (void)atexit(keep_end); /* without it, memory is only left to the system */
}

static struct keep *keep_here(void)
{
    if (pthread_once(&keep_once, keep_begin) != 0 || keep_error != 0)
        return NULL;
    struct keep *k = pthread_getspecific(keep_key);
    if (k)
        return k;
    k = calloc(1, sizeof *k);
    if (k && pthread_setspecific(keep_key, k) != 0) {
        free(k);
        return NULL;
    }
    return k;
}

/* ---- libdeflate ------------------------------------------------------------------------------------- */

static int deflate_pack(int level, const void *in, size_t n, void *out, size_t room, size_t *out_b)
{
    struct keep *k = keep_here();
    if (!k)
        return -ENOMEM;
    if (k->deflate && k->deflate_level != level) {
        libdeflate_free_compressor(k->deflate);
        k->deflate = NULL;
    }
    if (!k->deflate)
        k->deflate = libdeflate_alloc_compressor(level);
    if (!k->deflate)
        return -ENOMEM;
    k->deflate_level = level;
    *out_b = libdeflate_zlib_compress(k->deflate, in, n, out, room);
    return *out_b > 0 ? 0 : -ENOSPC;
}

static int deflate_unpack(const void *in, size_t in_b, void *out, size_t n)
{
    struct keep *k = keep_here();
    if (!k)
        return -ENOMEM;
    if (!k->inflate)
        k->inflate = libdeflate_alloc_decompressor();
    if (!k->inflate)
        return -ENOMEM;
    size_t used_b = 0, made_b = 0;
    const enum libdeflate_result r =
        libdeflate_zlib_decompress_ex(k->inflate, in, in_b, out, n, &used_b, &made_b);
    return r == LIBDEFLATE_SUCCESS && used_b == in_b && made_b == n ? 0 : -EBADMSG;
}

/* ---- zstd ------------------------------------------------------------------------------------------- */

static int zstd_pack(int level, const void *in, size_t n, void *out, size_t room, size_t *out_b)
{
    struct keep *k = keep_here();
    if (!k)
        return -ENOMEM;
    if (!k->zstd_in)
        k->zstd_in = ZSTD_createCCtx();
    if (!k->zstd_in)
        return -ENOMEM;
    *out_b = ZSTD_compressCCtx(k->zstd_in, out, room, in, n, level);
    if (!ZSTD_isError(*out_b))
        return 0;
    return ZSTD_getErrorCode(*out_b) == ZSTD_error_dstSize_tooSmall ? -ENOSPC : -ENOMEM;
}

/* One frame of today's format that says n, and nothing behind it: older formats, and frames that
 * are to be skipped, would lead into code that nobody means to run. */
static bool zstd_is_ours(const unsigned char *in, size_t in_b, size_t n)
{
    const uint32_t magic =
        in_b < 4 ? 0 : in[0] | (uint32_t)in[1] << 8 | (uint32_t)in[2] << 16 | (uint32_t)in[3] << 24;
    return magic == ZSTD_MAGICNUMBER && ZSTD_getFrameContentSize(in, in_b) == n &&
           ZSTD_findFrameCompressedSize(in, in_b) == in_b;
}

static int zstd_unpack(const void *in, size_t in_b, void *out, size_t n)
{
    if (!zstd_is_ours(in, in_b, n))
        return -EBADMSG;
    struct keep *k = keep_here();
    if (!k)
        return -ENOMEM;
    if (!k->zstd_out)
        k->zstd_out = ZSTD_createDCtx();
    if (!k->zstd_out)
        return -ENOMEM;
    const size_t made_b = ZSTD_decompressDCtx(k->zstd_out, out, n, in, in_b);
    if (ZSTD_isError(made_b) && ZSTD_getErrorCode(made_b) == ZSTD_error_memory_allocation)
        return -ENOMEM;
    return made_b == n ? 0 : -EBADMSG;
}

/* ---- zlib ------------------------------------------------------------------------------------------- */

static int zlib_pack(int level, const void *in, size_t n, void *out, size_t room, size_t *out_b)
{
    uLongf made_b = room;
    const int r = compress2(out, &made_b, in, n, level);
    *out_b = made_b;
    return r == Z_OK ? 0 : r == Z_BUF_ERROR ? -ENOSPC : -ENOMEM;
}

static int zlib_unpack(const void *in, size_t in_b, void *out, size_t n)
{
    uLongf made_b = n;
    uLong used_b = in_b;
    const int r = uncompress2(out, &made_b, in, &used_b);
    if (r == Z_MEM_ERROR)
        return -ENOMEM;
    return r == Z_OK && made_b == n && used_b == in_b ? 0 : -EBADMSG;
}

/* ---- lz4 -------------------------------------------------------------------------------------------- */

static int lz4_pack(const void *in, size_t n, void *out, size_t room, size_t *out_b)
{
    const int most_b = room < LZ4_MAX_INPUT_SIZE ? (int)room : LZ4_MAX_INPUT_SIZE;
    const int made_b = LZ4_compress_default(in, out, (int)n, most_b);
    *out_b = made_b > 0 ? (size_t)made_b : 0;
    return made_b > 0 ? 0 : -ENOSPC;
}

static int lz4_unpack(const void *in, size_t in_b, void *out, size_t n)
{
    if (in_b > INT32_MAX)
        return -EBADMSG;
    const int made_b = LZ4_decompress_safe(in, out, (int)in_b, (int)n);
    return made_b >= 0 && (size_t)made_b == n ? 0 : -EBADMSG;
}

/* ---- All -------------------------------------------------------------------------------------------- */

size_t be_pack_bound(enum be_packer packer, size_t n)
{
    switch (packer) {
    case BE_PACK_NONE:
        return n;
    case BE_PACK_ZLIB:
        return compressBound(n);
    case BE_PACK_LIBDEFLATE:
        return libdeflate_zlib_compress_bound(NULL, n);
    case BE_PACK_ZSTD:
        return ZSTD_compressBound(n);
    case BE_PACK_LZ4:
        return n > LZ4_MAX_INPUT_SIZE ? 0 : (size_t)LZ4_compressBound((int)n);
    }
    return 0;
}

int be_pack(enum be_packer packer, int level, const void *in, size_t n, void *out, size_t room,
            size_t *out_b)
{
    switch (packer) {
    case BE_PACK_NONE:
        break;
    case BE_PACK_ZLIB:
        return zlib_pack(level, in, n, out, room, out_b);
    case BE_PACK_LIBDEFLATE:
        return deflate_pack(level, in, n, out, room, out_b);
    case BE_PACK_ZSTD:
        return zstd_pack(level, in, n, out, room, out_b);
    case BE_PACK_LZ4:
        return lz4_pack(in, n, out, room, out_b);
    }
    return -EINVAL;
}

int be_unpack(enum be_packer packer, const void *in, size_t in_b, void *out, size_t n)
{
    switch (packer) {
    case BE_PACK_NONE:
        break;
    case BE_PACK_ZLIB:
        return zlib_unpack(in, in_b, out, n);
    case BE_PACK_LIBDEFLATE:
        return deflate_unpack(in, in_b, out, n);
    case BE_PACK_ZSTD:
        return zstd_unpack(in, in_b, out, n);
    case BE_PACK_LZ4:
        return lz4_unpack(in, in_b, out, n);
    }
    return -EBADMSG;
}
