/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * prose.h - text that looks like prompts to whoever compares letters: words by Zipf's law, letters about
 * as often as in English, sentences, capitals, numbers; and prompts made of it.
 *
 * All of it comes from dice.h's stream. Words are made up once, from a seed of their own.
 */
#ifndef PROSE_H
#define PROSE_H

#include <string.h>

#include "dice.h"

enum { PROSE_WORDS = 4000, PROSE_WORD_MOST = 12 };

static char prose_words[PROSE_WORDS][PROSE_WORD_MOST + 1];

static inline void prose_make_words(void)
{
    static const char vowels[] = "eeeeeeaaaaooooiiiiuuy";
    static const char others[] = "ttttttnnnnnsssssrrrrrhhhhhddddllllccmmmwwfffggppbbvkjxqz";
    const struct dice before = dice;
    dice_seed(4711);
    for (int w = 0; w < PROSE_WORDS; w++) {
        /* Common words are short. */
        const uint64_t most = w < 60 ? 4 : w < 600 ? 8 : PROSE_WORD_MOST;
        const uint64_t n = 1 + dice_below(most);
        bool vowel = dice_one_in(2);
        for (uint64_t k = 0; k < n; k++, vowel = vowel ? dice_one_in(6) : !dice_one_in(4))
            prose_words[w][k] = vowel ? vowels[dice_below(sizeof vowels - 1)]
                                      : others[dice_below(sizeof others - 1)];
    }
    dice = before;
}

/* Appends text up to n characters in all, one per element. Returns n. */
static inline uint32_t prose_write(uint32_t *to, uint32_t at, uint32_t n)
{
    bool capital = true;
    while (at < n) {
        char word[PROSE_WORD_MOST + 8];
        /* Rank by Zipf's law with exponent 1: the rank's logarithm is uniform, nearly. */
        uint64_t rank = dice_below(PROSE_WORDS);
        rank = dice_below(rank + 1);
        rank = dice_below(rank + 1);
        if (dice_one_in(40))
            snprintf(word, sizeof word, "%u", (unsigned)dice_below(100000));
        else
            snprintf(word, sizeof word, "%s", prose_words[rank]);
        if (capital && word[0] >= 'a')
            word[0] = (char)(word[0] - 'a' + 'A');
        capital = dice_one_in(12);
        strcat(word, capital ? (dice_one_in(5) ? "? " : ". ") : dice_one_in(12) ? ", " : " ");
        for (const char *c = word; *c && at < n; c++)
            to[at++] = (unsigned char)*c;
    }
    return n;
}

/* Some characters replaced, words put in or left out: `edits` of them. Room for n + 12 edits. Returns
 * the new length. */
static inline uint32_t prose_edit(uint32_t *text, uint32_t n, uint32_t edits)
{
    uint32_t piece[PROSE_WORD_MOST];
    for (; edits > 0 && n >= 2 * PROSE_WORD_MOST; edits--) {
        const uint32_t some = 1 + (uint32_t)dice_below(PROSE_WORD_MOST - 1);
        const uint32_t at = (uint32_t)dice_below(n - some);
        const uint64_t what = dice_below(3);
        prose_write(piece, 0, some);
        if (what == 0) {
            memcpy(text + at, piece, some * sizeof *text);
        } else if (what == 1) {
            memmove(text + at, text + at + some, (n - at - some) * sizeof *text);
            n -= some;
        } else {
            memmove(text + at + some, text + at, (n - at) * sizeof *text);
            memcpy(text + at, piece, some * sizeof *text);
            n += some;
        }
    }
    return n;
}

#endif
