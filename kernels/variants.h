/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * variants.h - one loop compiled for the plainest processor of its kind and for AVX2, chosen
 * when called.
 *
 *      K_VARIANTS(uint64_t, sum, (const char *p, size_t n), (p, n))
 *      {
 *          ... the loop ...
 *      }
 *
 * defines sum(). The results are equal: floats are not contracted, and AVX2 has no other
 * arithmetic. (Not target_clones: its resolvers run before a sanitizer is ready, and clang came
 * to it late.)
 */
#ifndef K_VARIANTS_H
#define K_VARIANTS_H

#if defined(__x86_64__)
#define K_VARIANTS(type, name, parameters, arguments)                                              \
    static inline __attribute__((always_inline)) type name##_body parameters;                      \
    __attribute__((target("avx2"))) static type name##_avx2 parameters                             \
    {                                                                                              \
        return name##_body arguments;                                                              \
    }                                                                                              \
    static type name##_plain parameters                                                            \
    {                                                                                              \
        return name##_body arguments;                                                              \
    }                                                                                              \
    static type name parameters                                                                    \
    {                                                                                              \
        return __builtin_cpu_supports("avx2") ? name##_avx2 arguments : name##_plain arguments;    \
    }                                                                                              \
    static inline __attribute__((always_inline)) type name##_body parameters
#else
#define K_VARIANTS(type, name, parameters, arguments) static type name parameters
#endif

#endif
