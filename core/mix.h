/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * mix.h - 64-bit mixing: rendezvous hashing, and seeds for named random streams.
 *
 * splitmix64's finaliser (Steele, Lea and Flood, OOPSLA 2014; constants of Stafford's variant 13)
 * is a bijection of 64-bit words. Never an identity for content: that is key.h.
 */
#ifndef KVT_MIX_H
#define KVT_MIX_H

#include <stdint.h>

static inline uint64_t kvt_mix64(uint64_t x)
{
    x ^= x >> 30;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27;
    x *= UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* The seed of the stream called `name` of entity `id` in a run with `seed`. Streams are
 * independent: adding one, or drawing from one, shifts no other. */
static inline uint64_t kvt_stream_seed(uint64_t seed, const char *name, uint64_t id)
{
    uint64_t h = kvt_mix64(seed + UINT64_C(0x9e3779b97f4a7c15));
    for (const unsigned char *p = (const unsigned char *)name; *p; p++)
        h = kvt_mix64(h ^ *p) + UINT64_C(0x9e3779b97f4a7c15);
    return kvt_mix64(h ^ kvt_mix64(id));
}

#endif
