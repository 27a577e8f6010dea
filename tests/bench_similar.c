/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * bench_similar.c - the most similar of 10,000 cached prompts, 2,000 characters each, threshold 0.9.
 *
 *   mixed    seven of ten prompts begin with one of 50 templates (300 to 1,500 characters), the rest is
 *            text of its own
 *   shared   all begin with one and the same template of 1,500 characters
 *   close    the same with 1,900 characters: all are above the threshold, the worst case for bounds
 *   tokens   2,000 tokens, mixed as above; and close ones
 *
 * Half of the queries are edited copies of prompts that are cached, half are new ones of the same kind.
 * Each answer is held against comparing with all. difflib gets one query and 300 of the prompts, with
 * ratio() for each, and again with its quick bounds first; scaled to 10,000. Processor time.
 */
#include "core/similar.h"

#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "prose.h"

enum { PROMPTS = 10000, LETTERS = 2000, ROOM = 2600, TEMPLATES = 50, QUERIES = 20, PYTHON = 300 };

struct mix {
    const char *name;
    uint32_t templates, least, most; /* characters of a template in a prompt */
    uint32_t own_of_10;              /* without template */
    bool tokens;
};

static const struct mix mixes[] = {
    {"mixed", TEMPLATES, 300, 1500, 3, false}, {"shared", 1, 1500, 1500, 0, false},
    {"close", 1, 1900, 1900, 0, false},        {"tokens", TEMPLATES, 300, 1500, 3, true},
    {"close tokens", 1, 1900, 1900, 0, true},
};

static uint32_t templates[TEMPLATES][LETTERS], lengths[TEMPLATES];
static uint32_t text[ROOM], *cached[PROMPTS], n_cached[PROMPTS];

static void to_tokens(uint32_t *to, uint32_t n)
{
    uint32_t before = 0;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t here = (before << 8 | to[i]) & 0xffffff;
        to[i] = here % 32003;
        before = here;
    }
}

static uint32_t draw(const struct mix *m)
{
    uint32_t shared = 0;
    if (dice_below(10) >= m->own_of_10) {
        const uint64_t t = dice_below(m->templates);
        shared = lengths[t];
        memcpy(text, templates[t], shared * sizeof *text);
    }
    prose_write(text, shared, LETTERS);
    return LETTERS;
}

static void fill(struct kvt_similar *s, const struct mix *m)
{
    dice_seed(11);
    for (uint32_t t = 0; t < m->templates; t++) {
        lengths[t] = m->least + (uint32_t)dice_below(m->most - m->least + 1);
        prose_write(templates[t], 0, LETTERS);
    }
    for (uint32_t p = 0; p < PROMPTS; p++) {
        uint32_t number;
        n_cached[p] = draw(m);
        if (m->tokens)
            to_tokens(text, n_cached[p]);
        cached[p] = realloc(cached[p], n_cached[p] * sizeof *text);
        if (!cached[p] || kvt_similar_add(s, text, n_cached[p], p, &number))
            abort();
        memcpy(cached[p], text, n_cached[p] * sizeof *text);
    }
}

static uint32_t draw_query(const struct mix *m, int query)
{
    uint32_t n;
    if (query % 2) {
        n = draw(m);
    } else {
        const uint64_t p = dice_below(PROMPTS);
        n = n_cached[p];
        memcpy(text, cached[p], n * sizeof *text);
        n = prose_edit(text, n, (uint32_t)dice_below(30));
        return n;
    }
    if (m->tokens)
        to_tokens(text, n);
    return n;
}

/* By comparing with all: the best prompt, or KVT_NONE; the seconds that took. */
static uint32_t by_all(struct kvt_ratio *r, uint32_t n, double *seconds)
{
    uint32_t best = KVT_NONE;
    double best_ratio = 0.9, ratio = 0;
    const double begin_s = bench_cpu_s();
    for (uint32_t p = 0; p < PROMPTS; p++) {
        if (kvt_ratio(r, text, n, cached[p], n_cached[p], &ratio))
            abort();
        if (ratio > best_ratio) {
            best = p;
            best_ratio = ratio;
        }
    }
    *seconds += bench_cpu_s() - begin_s;
    return best;
}

static const char difflib[] =
    "import sys, time\n"
    "from array import array\n"
    "from difflib import SequenceMatcher\n"
    "w = array('I', open(sys.argv[1], 'rb').read())\n"
    "at, lists = 0, []\n"
    "while at < len(w):\n"
    "    n, at = w[at], at + 1\n"
    "    x = w[at:at + n].tolist()\n"
    "    at += n\n"
    "    lists.append(''.join(map(chr, x)) if sys.argv[2] == 'text' else x)\n"
    "q, lists = lists[0], lists[1:]\n"
    "def loop(quick):\n"
    "    begin = time.process_time()\n"
    "    for c in lists:\n"
    "        m = SequenceMatcher(None, q, c)\n"
    "        if not quick or (m.real_quick_ratio() > 0.9 and m.quick_ratio() > 0.9):\n"
    "            m.ratio()\n"
    "    return (time.process_time() - begin) / len(lists)\n"
    "print(loop(False), loop(True))\n";

/* Seconds per prompt, plain and with bounds; false without Python. */
static bool ask_python(const struct mix *m, uint32_t n, double *plain_s, double *bounds_s)
{
    char command[sizeof difflib + 200];
    FILE *file = tmpfile();
    if (!file)
        return false;
    fwrite(&n, sizeof n, 1, file);
    fwrite(text, sizeof *text, n, file);
    for (uint32_t p = 0; p < PYTHON; p++) {
        fwrite(&n_cached[p], sizeof n, 1, file);
        fwrite(cached[p], sizeof *text, n_cached[p], file);
    }
    fflush(file);
    snprintf(command, sizeof command, "python3 - /dev/fd/%d %s 2>&1 <<'END'\n%sEND\n", fileno(file),
             m->tokens ? "tokens" : "text", difflib);
    FILE *answer = popen(command, "r");
    const bool got = answer && fscanf(answer, "%lf %lf", plain_s, bounds_s) == 2;
    if (answer)
        pclose(answer);
    fclose(file);
    return got;
}

static int measure(const struct mix *m)
{
    struct kvt_similar s;
    struct kvt_ratio r;
    struct kvt_similar_found found;
    double find_s = 0, worst_s = 0, all_s = 0, plain_s = 0, bounds_s = 0;
    int differ = 0;
    uint32_t n = 0;
    kvt_ratio_init(&r, &heap, 0);
    if (kvt_similar_init(&s, &heap, &(struct kvt_similar_config){0.9, PROMPTS, ROOM}))
        abort();
    fill(&s, m);
    for (int query = 0; query < QUERIES; query++) {
        n = draw_query(m, query);
        const double begin_s = bench_cpu_s();
        const int status = kvt_similar_find(&s, text, n, &found);
        const double took_s = bench_cpu_s() - begin_s;
        find_s += took_s;
        worst_s = took_s > worst_s ? took_s : worst_s;
        if (status < 0)
            abort();
        const uint32_t best = by_all(&r, n, &all_s);
        differ += status ? found.tag != best : best != KVT_NONE;
    }
    const struct kvt_similar_counts *c = &s.counts;
    printf("{\"bench\": \"similar\", \"prompts\": \"%s\", \"find_ms\": %.2f, \"worst_ms\": %.2f, "
           "\"all_ms\": %.0f, \"compared\": %.1f, \"found\": %.2f, \"by_length\": %.1f, "
           "\"by_bag\": %.1f, \"by_grams\": %.1f, \"by_rest\": %.1f, \"by_best\": %.1f, "
           "\"by_anchors\": %.1f, "
           "\"by_order\": %.1f, "
           "\"other_answers\": %d, "
           "\"memory_mib\": %.0f",
           m->name, find_s / QUERIES * 1e3, worst_s * 1e3, all_s / QUERIES * 1e3,
           (double)c->compared / QUERIES, (double)c->found / QUERIES,
           (double)c->by_length / QUERIES, (double)c->by_bag / QUERIES,
           (double)c->by_grams / QUERIES, (double)c->by_rest / QUERIES,
           (double)c->by_best / QUERIES, (double)c->by_anchors / QUERIES,
           (double)c->by_order / QUERIES, differ, (double)kvt_similar_memory_b(&s) / 0x1p20);
    if (ask_python(m, n, &plain_s, &bounds_s))
        printf(", \"difflib_ms\": %.0f, \"difflib_bounds_ms\": %.0f, \"times_difflib\": %.0f",
               plain_s * PROMPTS * 1e3, bounds_s * PROMPTS * 1e3,
               plain_s * PROMPTS / (find_s / QUERIES));
    puts("}");
    fflush(stdout);
    kvt_similar_release(&s);
    kvt_ratio_release(&r);
    return differ;
}

int main(void)
{
    int differ = 0;
    prose_make_words();
    for (size_t i = 0; i < sizeof mixes / sizeof mixes[0]; i++)
        differ += measure(&mixes[i]);
    return differ > 0;
}
