/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * checksum.c - sums over 8-byte words, of bytes that lie together or in the pages of a pool.
 *
 * The sum does not depend on the order, only each word's position counts; so runs are summed one
 * after another, each from the position where it lies when packed. A run that begins or ends
 * within a word (rows whose length is no multiple of 8) leaves the word's bytes in `carry` for
 * the next run.
 */
#include "kernels.h"

#include "element.h"
#include "runs.h"

#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { PREFETCH_B = 1024 };

struct stream {
    uint64_t sum, words; /* whole words so far */
    unsigned char carry[8];
    size_t carried; /* bytes in it, < 8 */
};

static uint64_t sum_words_plain(const unsigned char *bytes, size_t words, uint64_t first)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < words; i++) {
        uint64_t word;
        memcpy(&word, bytes + 8 * i, 8);
        sum += k_checksum_word(word, first + i);
    }
    return sum;
}

#if defined(__x86_64__)

/* k_checksum_word of four words. */
__attribute__((target("avx2"))) static inline __m256i four_words(__m256i words, __m256i keys)
{
    __m256i x = _mm256_xor_si256(words, keys);
    __m256i swapped = _mm256_shuffle_epi32(x, _MM_SHUFFLE(2, 3, 0, 1));
    return _mm256_add_epi64(_mm256_mul_epu32(x, swapped), swapped);
}

/* Written out: gcc does not see that the factors have 32 bits, and multiplies three times. */
__attribute__((target("avx2"))) static uint64_t sum_words_avx2(const unsigned char *bytes,
                                                               size_t words, uint64_t first)
{
    const uint64_t k = K_CHECKSUM_KEY, at = (first + 1) * k;
    const __m256i step = _mm256_set1_epi64x((int64_t)(8 * k));
    __m256i key0 = _mm256_set_epi64x((int64_t)(at + 3 * k), (int64_t)(at + 2 * k),
                                     (int64_t)(at + k), (int64_t)at);
    __m256i key1 = _mm256_add_epi64(key0, _mm256_set1_epi64x((int64_t)(4 * k)));
    __m256i sum0 = _mm256_setzero_si256(), sum1 = sum0;
    size_t i = 0;
    for (; i + 8 <= words; i += 8) {
        const char *p = (const char *)bytes + 8 * i;
        _mm_prefetch(p + PREFETCH_B, _MM_HINT_T0);
        __m256i a = _mm256_loadu_si256((const void *)p);
        __m256i b = _mm256_loadu_si256((const void *)(p + 32));
        sum0 = _mm256_add_epi64(sum0, four_words(a, key0));
        sum1 = _mm256_add_epi64(sum1, four_words(b, key1));
        key0 = _mm256_add_epi64(key0, step);
        key1 = _mm256_add_epi64(key1, step);
    }
    uint64_t lane[4];
    _mm256_storeu_si256((void *)lane, _mm256_add_epi64(sum0, sum1));
    return lane[0] + lane[1] + lane[2] + lane[3] +
           sum_words_plain(bytes + 8 * i, words - i, first + i);
}

#endif

/* Words `first` and following. */
static uint64_t sum_words(const unsigned char *bytes, size_t words, uint64_t first)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2"))
        return sum_words_avx2(bytes, words, first);
#endif
    return sum_words_plain(bytes, words, first);
}

static void stream_add(struct stream *s, const void *from, size_t n)
{
    const unsigned char *bytes = from;
    while (n > 0 && s->carried > 0) {
        s->carry[s->carried++] = *bytes++;
        n--;
        if (s->carried == 8) {
            s->sum += sum_words(s->carry, 1, s->words++);
            s->carried = 0;
        }
    }
    s->sum += sum_words(bytes, n / 8, s->words);
    s->words += n / 8;
    if (n % 8 > 0) {
        memcpy(s->carry, bytes + n / 8 * 8, n % 8);
        s->carried = n % 8;
    }
}

static uint64_t stream_end(struct stream *s)
{
    uint64_t n = 8 * s->words + s->carried;
    if (s->carried > 0) {
        memset(s->carry + s->carried, 0, 8 - s->carried);
        s->sum += sum_words(s->carry, 1, s->words);
    }
    return k_checksum_end(s->sum, n);
}

uint64_t k_checksum(const void *bytes, size_t n)
{
    struct stream s = {0};
    stream_add(&s, bytes, n);
    return stream_end(&s);
}

uint64_t k_checksum_paged(const struct k_geometry *g, const void *pool, const struct k_part *part)
{
    struct stream s = {0};
    struct k_run run;
    for (bool more = k_run_first(&run, g, part); more; more = k_run_next(&run, g, part))
        stream_add(&s, (const char *)pool + run.pool_b, run.b);
    return stream_end(&s);
}
