/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * bench_ratio.c - what a ratio costs, beside Python's difflib on the same pairs.
 *
 * Four kinds of pairs: two short strings; a prompt of 200 characters and one of 2,000 beside an edited
 * copy of itself and beside another text; 2,000 tokens beside an edited copy. The sum of all ratios is
 * compared with Python's. Processor time here, difflib's own time there (no start, no reading).
 */
#include "core/ratio.h"

#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "prose.h"

enum { MOST = 2600, PAIRS = 200 };

struct kind {
    const char *name;
    uint32_t n, edits; /* edits 0: another text */
    bool tokens;
};

static const struct kind kinds[] = {
    {"24 characters, edited", 24, 1, false},      {"200 characters, edited", 200, 6, false},
    {"2000 characters, edited", 2000, 20, false}, {"2000 characters, another text", 2000, 0, false},
    {"2000 tokens, edited", 2000, 20, true},
};

static uint32_t a[PAIRS][MOST], b[PAIRS][MOST], n_a[PAIRS], n_b[PAIRS];

/* Characters become tokens of a vocabulary: each by itself and the two before it. */
static void to_tokens(uint32_t *text, uint32_t n)
{
    uint32_t before = 0;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t here = (before << 8 | text[i]) & 0xffffff;
        text[i] = here % 32003;
        before = here;
    }
}

static void draw(const struct kind *k)
{
    dice_seed(k->n + k->edits);
    for (int p = 0; p < PAIRS; p++) {
        n_a[p] = prose_write(a[p], 0, k->n);
        memcpy(b[p], a[p], n_a[p] * sizeof a[p][0]);
        n_b[p] = k->edits ? prose_edit(b[p], n_a[p], k->edits) : prose_write(b[p], 0, k->n);
        if (k->tokens) {
            to_tokens(a[p], n_a[p]);
            to_tokens(b[p], n_b[p]);
        }
    }
}

static double ours(double *sum)
{
    struct kvt_ratio r;
    kvt_ratio_init(&r, &heap, 0);
    double best_s = 1e9;
    for (int repeat = 0; repeat < 9; repeat++) {
        *sum = 0;
        const double begin_s = bench_cpu_s();
        for (int p = 0; p < PAIRS; p++) {
            double ratio = 0;
            if (kvt_ratio(&r, a[p], n_a[p], b[p], n_b[p], &ratio))
                abort();
            *sum += ratio;
        }
        const double took_s = bench_cpu_s() - begin_s;
        best_s = took_s < best_s ? took_s : best_s;
    }
    kvt_ratio_release(&r);
    return best_s / PAIRS;
}

static const char difflib[] = "import sys, time\n"
                              "from array import array\n"
                              "from difflib import SequenceMatcher\n"
                              "w = array('I', open(sys.argv[1], 'rb').read())\n"
                              "at, pairs, total = 0, [], 0.0\n"
                              "while at < len(w):\n"
                              "    n, m, at = w[at], w[at + 1], at + 2\n"
                              "    a, b = w[at:at + n].tolist(), w[at + n:at + n + m].tolist()\n"
                              "    at += n + m\n"
                              "    if sys.argv[2] == 'text':\n"
                              "        a, b = ''.join(map(chr, a)), ''.join(map(chr, b))\n"
                              "    pairs.append((a, b))\n"
                              "begin = time.process_time()\n"
                              "for a, b in pairs:\n"
                              "    total += SequenceMatcher(None, a, b).ratio()\n"
                              "print((time.process_time() - begin) / len(pairs), total.hex())\n";

/* Seconds per pair, or 0 without Python. */
static double theirs(const struct kind *k, double *sum)
{
    char command[sizeof difflib + 200];
    double each_s = 0;
    FILE *file = tmpfile();
    for (int p = 0; file && p < PAIRS; p++) {
        const uint32_t sizes[2] = {n_a[p], n_b[p]};
        fwrite(sizes, sizeof sizes, 1, file);
        fwrite(a[p], sizeof a[p][0], n_a[p], file);
        fwrite(b[p], sizeof b[p][0], n_b[p], file);
    }
    if (!file || fflush(file))
        return 0;
    snprintf(command, sizeof command, "python3 - /dev/fd/%d %s 2>&1 <<'END'\n%sEND\n", fileno(file),
             k->tokens ? "tokens" : "text", difflib);
    FILE *answer = popen(command, "r");
    if (!answer || fscanf(answer, "%lf %la", &each_s, sum) != 2)
        each_s = 0;
    if (answer)
        pclose(answer);
    fclose(file);
    return each_s;
}

int main(void)
{
    prose_make_words();
    int differ = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        double sum = 0, python_sum = 0;
        draw(&kinds[i]);
        const double each_s = ours(&sum), python_s = theirs(&kinds[i], &python_sum);
        printf("{\"bench\": \"ratio\", \"pairs\": \"%s\", \"each_us\": %.3f, \"mean_ratio\": %.4f",
               kinds[i].name, each_s * 1e6, sum / PAIRS);
        if (python_s > 0)
            printf(", \"difflib_us\": %.1f, \"times_difflib\": %.0f, \"equal\": %s", python_s * 1e6,
                   python_s / each_s, sum == python_sum ? "true" : "false");
        puts("}");
        fflush(stdout);
        differ |= python_s > 0 && sum != python_sum;
    }
    return differ;
}
