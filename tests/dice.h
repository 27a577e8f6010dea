/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * dice.h - random operations that can be repeated, and checks that are cheap enough for loops.
 *
 * dice_seed starts a stream; a failing MUST prints its seed and the number of draws
 * so far. (Check's own ck_assert writes to a file each time.)
 */
#ifndef DICE_H
#define DICE_H

#include <stdbool.h>
#include <stdint.h>

#include "../core/mix.h"
#include "kvt_test.h"

struct dice {
    uint64_t seed, draws;
};

static struct dice dice;

static inline void dice_seed(uint64_t seed)
{
    dice = (struct dice){seed, 0};
}

/* All 64 bits. */
static inline uint64_t dice_word(void)
{
    return kvt_mix64(dice.seed + ++dice.draws * UINT64_C(0x9e3779b97f4a7c15));
}

/* 0 .. n-1, n > 0. The bias is below n / 2^64. */
static inline uint64_t dice_below(uint64_t n)
{
    return dice_word() % n;
}

static inline bool dice_one_in(uint64_t n)
{
    return dice_below(n) == 0;
}

#define MUST(what)                                                                                 \
    do {                                                                                           \
        if (!(what))                                                                               \
            ck_abort_msg("%s (seed %llu, draw %llu)", #what, (unsigned long long)dice.seed,        \
                         (unsigned long long)dice.draws);                                          \
    } while (0)

#endif
