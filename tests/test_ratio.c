/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_ratio.c - core/ratio.h beside three judges: a table of values that Python computed, a literal
 * model of the definition, and Python itself where there is one.
 *
 * Values are compared as IEEE doubles, bit by bit. Python gets 20,000 random pairs; RATIO_PAIRS=100000
 * in the environment makes it that many.
 */
#include "core/ratio.h"

#include <errno.h>
#include <string.h>

#include "dice.h"
#include "failing_alloc.h"
#include "ratio_table.h"

enum { MOST = 700, MODEL_PAIRS = 6000 };

static uint64_t bits(double x)
{
    uint64_t word;
    memcpy(&word, &x, sizeof word);
    return word;
}

/* Code points of well-formed UTF-8. */
static uint32_t decode(const char *text, uint32_t *to)
{
    uint32_t n = 0;
    for (const unsigned char *p = (const unsigned char *)text; *p; n++) {
        const int more = *p < 0x80 ? 0 : *p < 0xe0 ? 1 : *p < 0xf0 ? 2 : 3;
        uint32_t x = more ? *p & (0x3fu >> more) : *p;
        p++;
        for (int k = 0; k < more; k++)
            x = x << 6 | (*p++ & 0x3f);
        ck_assert_uint_lt(n, MOST);
        to[n] = x;
    }
    return n;
}

/* ---- The model: the definition, word by word ------------------------------------------------------- */

static bool popular(const uint32_t *b, uint32_t n_b, uint32_t x)
{
    uint32_t count = 0;
    for (uint32_t j = 0; j < n_b; j++)
        count += b[j] == x;
    return n_b >= 200 && count > n_b / 100 + 1;
}

struct model {
    const uint32_t *a, *b;
    bool *out; /* per element of b: popular */
};

static uint32_t model_matches(const struct model *m, uint32_t a0, uint32_t a1, uint32_t b0,
                              uint32_t b1)
{
    static uint32_t ends[2][MOST + 1];
    if (a0 >= a1 || b0 >= b1)
        return 0;
    uint32_t i = a0, j = b0, n = 0;
    memset(ends, 0, sizeof ends);
    for (uint32_t x = a0; x < a1; x++)
        for (uint32_t y = b0; y < b1; y++) {
            const bool same = m->a[x] == m->b[y] && !m->out[y];
            const uint32_t k = same ? (y > b0 ? ends[(x + 1) % 2][y - 1] : 0) + 1 : 0;
            ends[x % 2][y] = k;
            if (k > n) {
                n = k;
                i = x + 1 - k;
                j = y + 1 - k;
            }
        }
    while (i > a0 && j > b0 && m->a[i - 1] == m->b[j - 1])
        i--, j--, n++;
    while (i + n < a1 && j + n < b1 && m->a[i + n] == m->b[j + n])
        n++;
    if (n == 0)
        return 0;
    return n + model_matches(m, a0, i, b0, j) + model_matches(m, i + n, a1, j + n, b1);
}

static uint32_t model_of(const uint32_t *a, uint32_t n_a, const uint32_t *b, uint32_t n_b)
{
    static bool out[MOST];
    for (uint32_t j = 0; j < n_b; j++)
        out[j] = popular(b, n_b, b[j]);
    const struct model m = {a, b, out};
    return model_matches(&m, 0, n_a, 0, n_b);
}

static uint32_t model_bag(const uint32_t *a, uint32_t n_a, const uint32_t *b, uint32_t n_b)
{
    static bool used[MOST];
    uint32_t common = 0;
    memset(used, 0, sizeof used);
    for (uint32_t i = 0; i < n_a; i++)
        for (uint32_t j = 0; j < n_b; j++)
            if (!used[j] && a[i] == b[j]) {
                used[j] = true;
                common++;
                break;
            }
    return common;
}

/* ---- Random pairs ------------------------------------------------------------------------------------ */

static uint32_t a[MOST], b[MOST], n_a, n_b;

static uint32_t draw_element(uint64_t kind, uint32_t letters)
{
    static const uint32_t bases[] = {'a', 0x3b1, 0x4e00, 0x1f600};
    const uint32_t x = (uint32_t)dice_below(letters);
    return bases[kind % 4] + (dice_one_in(3) ? x : x * x / letters); /* some more often */
}

/* The second of a pair: drawn anew, or the first with changes, moves and repetitions. */
static void alter(uint64_t kind, uint32_t letters, uint32_t most)
{
    memcpy(b, a, n_a * sizeof *a);
    n_b = n_a;
    for (uint64_t edits = dice_below(n_a / 4 + 2); edits > 0 && n_b > 0; edits--) {
        const uint32_t at = (uint32_t)dice_below(n_b);
        const uint32_t rest = n_b - at;
        const uint32_t some = 1 + (uint32_t)dice_below(rest < 20 ? rest : 20);
        switch (dice_below(4)) {
        case 0:
            b[at] = draw_element(kind, letters);
            break;
        case 1:
            memmove(b + at, b + at + some, (rest - some) * sizeof *b);
            n_b -= some;
            break;
        case 2:
            if (n_b + some <= most) {
                memmove(b + at + some, b + at, rest * sizeof *b);
                n_b += some;
            }
            break;
        default: {
            const uint32_t first = b[at];
            memmove(b + at, b + at + 1, (rest - 1) * sizeof *b);
            b[n_b - 1] = first;
        }
        }
    }
}

static void draw_pair(void)
{
    const uint64_t kind = dice_word(), size = dice_below(100);
    const uint32_t most = size < 70 ? 16 : size < 92 ? 80 : size < 97 ? 230 : 450;
    static const uint32_t alphabets[] = {1, 2, 3, 5, 12, 26, 60, 300};
    const uint32_t letters = alphabets[dice_below(8)];
    n_a = (uint32_t)dice_below(most + 1);
    for (uint32_t i = 0; i < n_a; i++)
        a[i] = draw_element(kind, letters);
    if (dice_one_in(2)) {
        alter(kind, letters, most);
        return;
    }
    n_b = (uint32_t)dice_below(most + 1);
    for (uint32_t j = 0; j < n_b; j++)
        b[j] = draw_element(kind, letters);
}

/* ---- Tests --------------------------------------------------------------------------------------------- */

static double ratio(struct kvt_ratio *r)
{
    double value = -1;
    ck_assert_int_eq(kvt_ratio(r, a, n_a, b, n_b, &value), 0);
    return value;
}

START_TEST(table)
{
    struct failing_alloc memory;
    struct kvt_ratio r;
    kvt_ratio_init(&r, failing_alloc_init(&memory, 0), 0);
    for (size_t i = 0; i < sizeof ratio_table / sizeof ratio_table[0]; i++) {
        n_a = decode(ratio_table[i].a, a);
        n_b = decode(ratio_table[i].b, b);
        const double got = ratio(&r);
        ck_assert_msg(bits(got) == bits(ratio_table[i].ratio), "%s | %s: %a, expected %a",
                      ratio_table[i].a, ratio_table[i].b, got, ratio_table[i].ratio);
    }
    kvt_ratio_release(&r);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

/* "Compare Next.js vs Remix" beside three others: not 0.96, 0.73 and 0.45. */
START_TEST(frameworks)
{
    static const struct {
        const char *candidate;
        double ratio, rounded;
    } cases[] = {
        {"Compare Next.js vs Remix for a marketing site", 48.0 / 69, 0.696},
        {"Compare Remix vs Next.js", 30.0 / 48, 0.625},
        {"Comparing web frameworks", 20.0 / 48, 0.417},
    };
    struct failing_alloc memory;
    struct kvt_ratio r;
    kvt_ratio_init(&r, failing_alloc_init(&memory, 0), 0);
    n_a = decode("Compare Next.js vs Remix", a);
    for (int i = 0; i < 3; i++) {
        n_b = decode(cases[i].candidate, b);
        const double got = ratio(&r);
        ck_assert(bits(got) == bits(cases[i].ratio));
        ck_assert(got > cases[i].rounded - 0.0005 && got < cases[i].rounded + 0.0005);
    }
    kvt_ratio_release(&r);
}
END_TEST

/* However few runs are remembered, and whatever `least` says. */
START_TEST(model)
{
    static const uint32_t runs[] = {0, 1, 2, 3, 7, 40};
    struct failing_alloc memory;
    const struct kvt_alloc *alloc = failing_alloc_init(&memory, 0);
    struct kvt_ratio r[6];
    for (int k = 0; k < 6; k++)
        kvt_ratio_init(&r[k], alloc, runs[k]);
    dice_seed((uint64_t)_i + 1);
    for (int pair = 0; pair < MODEL_PAIRS; pair++) {
        draw_pair();
        const uint32_t expected = model_of(a, n_a, b, n_b);
        for (int k = 0; k < 6; k++) {
            MUST(kvt_ratio_reserve(&r[k], n_a, n_b) == 0);
            MUST(kvt_ratio_matches(&r[k], a, n_a, b, n_b, 0) == expected);
            const uint32_t least = (uint32_t)dice_below(expected + 20);
            MUST(kvt_ratio_matches(&r[k], a, n_a, b, n_b, least) ==
                 (least <= expected ? expected : KVT_NONE));
        }
        const uint32_t bag = kvt_ratio_bag(&r[0], a, n_a, b, n_b);
        MUST(bag == model_bag(a, n_a, b, n_b) && bag >= expected);
    }
    for (int k = 0; k < 6; k++)
        kvt_ratio_release(&r[k]);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

/* Around the length up to which words of bits do it, with runs of every length. */
START_TEST(sixty_four)
{
    struct failing_alloc memory;
    struct kvt_ratio r;
    dice_seed(64);
    kvt_ratio_init(&r, failing_alloc_init(&memory, 0), 0);
    ck_assert_int_eq(kvt_ratio_reserve(&r, 66, 66), 0);
    for (int round = 0; round < 20000; round++) {
        const uint32_t letters = 1 + (uint32_t)dice_below(4);
        const uint32_t base = dice_one_in(4) ? 254 : 'a'; /* some, and all, are small */
        n_a = 62 + (uint32_t)dice_below(5);
        n_b = dice_one_in(4) ? (uint32_t)dice_below(66) : 62 + (uint32_t)dice_below(5);
        for (uint32_t i = 0; i < n_a; i++)
            a[i] = base + (uint32_t)dice_below(letters);
        for (uint32_t j = 0; j < n_b; j++)
            b[j] = j < n_a && !dice_one_in(20) ? a[j] : base + (uint32_t)dice_below(letters);
        const uint32_t expected = model_of(a, n_a, b, n_b);
        MUST(kvt_ratio_matches(&r, a, n_a, b, n_b, 0) == expected);
        MUST(kvt_ratio_matches(&r, a, n_a, b, n_b, expected) == expected);
        MUST(kvt_ratio_matches(&r, a, n_a, b, n_b, expected + 1) == KVT_NONE);
    }
    kvt_ratio_release(&r);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

START_TEST(least_is_least)
{
    dice_seed((uint64_t)_i + 1);
    for (int k = 0; k < 200000; k++) {
        const uint64_t both = dice_below(dice_one_in(2) ? 40 : 100000);
        const double threshold = dice_one_in(2) ? (double)dice_below(101) / 100
                                                : (double)dice_below(1u << 30) / (1u << 30);
        const uint64_t least = kvt_ratio_least(threshold, both);
        MUST(kvt_ratio_of(least, both) > threshold || both == 0);
        MUST(least == 0 || !(kvt_ratio_of(least - 1, both) > threshold) || both == 0);
    }
    ck_assert_uint_eq(kvt_ratio_least(1, 0), 1); /* two empty ones are at 1, not beyond */
    ck_assert_uint_eq(kvt_ratio_least(0.5, 0), 0);
    ck_assert_uint_eq(kvt_ratio_least(1, 10), 6);
    ck_assert_uint_eq(kvt_ratio_least(1, 11), 6);
    ck_assert_uint_eq(kvt_ratio_least(0.9, 40), 19);
}
END_TEST

/* Long lists that a search part by part would take ages for: 60,000 runs on the way. */
START_TEST(long_lists)
{
    enum { LONG = 60000 };
    static uint32_t x[LONG], y[LONG];
    struct failing_alloc memory;
    struct kvt_ratio r;
    double value;
    kvt_ratio_init(&r, failing_alloc_init(&memory, 0), 0);
    for (uint32_t i = 0; i < LONG; i++) {
        x[i] = i;
        y[i] = i % 2 ? i : LONG + i; /* every second one is other: as many boxes */
    }
    ck_assert_int_eq(kvt_ratio(&r, x, LONG, y, LONG, &value), 0);
    ck_assert(bits(value) == bits(0.5));
    for (uint32_t i = 0; i < LONG; i++)
        y[i] = LONG - 1 - i;
    ck_assert_int_eq(kvt_ratio(&r, x, LONG, y, LONG, &value), 0);
    ck_assert(bits(value) == bits(2.0 / (2 * LONG)));
    kvt_ratio_release(&r);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

START_TEST(no_memory)
{
    struct failing_alloc memory;
    struct kvt_ratio r;
    double value = 0;
    uint32_t few[2] = {1, 2};
    kvt_ratio_init(&r, failing_alloc_init(&memory, 2), 0);
    ck_assert_int_eq(kvt_ratio(&r, few, 2, few, 2, &value), 0);
    ck_assert(bits(value) == bits(1.0));
    n_a = n_b = MOST;
    for (uint32_t i = 0; i < MOST; i++)
        a[i] = b[i] = i;
    ck_assert_int_eq(kvt_ratio(&r, a, n_a, b, n_b, &value), -ENOMEM);
    ck_assert_int_eq(kvt_ratio(&r, few, 2, few, 1, &value), 0); /* as before */
    ck_assert(bits(value) == bits(2.0 / 3));
    ck_assert_int_eq(kvt_ratio_reserve(&r, KVT_RATIO_MOST + 1, 1), -EINVAL);
    kvt_ratio_release(&r);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

/* ---- Python itself --------------------------------------------------------------------------------------- */

/* Reads pairs (two counts, the elements) and prints each ratio as a hexadecimal float. Every second pair
 * is compared as strings, the others as lists of numbers. */
static const char oracle[] = "import sys\n"
                             "from array import array\n"
                             "from difflib import SequenceMatcher\n"
                             "w = array('I', open(sys.argv[1], 'rb').read())\n"
                             "at = k = 0\n"
                             "while at < len(w):\n"
                             "    n, m = w[at], w[at + 1]\n"
                             "    at += 2\n"
                             "    a, b = w[at:at + n].tolist(), w[at + n:at + n + m].tolist()\n"
                             "    at += n + m\n"
                             "    if k % 2 == 0:\n"
                             "        a, b = ''.join(map(chr, a)), ''.join(map(chr, b))\n"
                             "    k += 1\n"
                             "    print(SequenceMatcher(None, a, b).ratio().hex())\n";

static bool python_here(void)
{
    return system("python3 -c 'from difflib import SequenceMatcher' >/dev/null 2>&1") == 0;
}

static void write_pairs(FILE *to, int pairs)
{
    for (int k = 0; k < pairs; k++) {
        draw_pair();
        const uint32_t sizes[2] = {n_a, n_b};
        ck_assert(fwrite(sizes, sizeof sizes, 1, to) == 1);
        ck_assert(fwrite(a, sizeof *a, n_a, to) == n_a);
        ck_assert(fwrite(b, sizeof *b, n_b, to) == n_b);
    }
    ck_assert_int_eq(fflush(to), 0);
}

START_TEST(python)
{
    const char *wish = getenv("RATIO_PAIRS");
    const int pairs = wish ? atoi(wish) : 20000;
    char command[sizeof oracle + 100], line[64];
    if (!python_here()) {
        kvt_test_skip("no python3 to ask for ratios");
        return;
    }
    FILE *file = tmpfile();
    ck_assert_ptr_nonnull(file);
    dice_seed(7);
    write_pairs(file, pairs);
    snprintf(command, sizeof command, "python3 - /dev/fd/%d <<'END'\n%sEND\n", fileno(file),
             oracle);
    FILE *answers = popen(command, "r");
    ck_assert_ptr_nonnull(answers);
    struct failing_alloc memory;
    struct kvt_ratio r;
    kvt_ratio_init(&r, failing_alloc_init(&memory, 0), 0);
    dice_seed(7);
    int differ = 0, answered = 0;
    for (; answered < pairs && fgets(line, sizeof line, answers); answered++) {
        draw_pair();
        differ += bits(ratio(&r)) != bits(strtod(line, NULL));
    }
    ck_assert_int_eq(pclose(answers), 0);
    fclose(file);
    kvt_ratio_release(&r);
    ck_assert_int_eq(answered, pairs);
    ck_assert_int_eq(differ, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ratio");
    TCase *tests = tcase_create("ratio");
    tcase_add_test(tests, table);
    tcase_add_test(tests, frameworks);
    tcase_add_loop_test(tests, model, 0, 3);
    tcase_add_test(tests, sixty_four);
    tcase_add_loop_test(tests, least_is_least, 0, 2);
    tcase_add_test(tests, long_lists);
    tcase_add_test(tests, no_memory);
    tcase_set_timeout(tests, 300);
    suite_add_tcase(suite, tests);
    TCase *judge = tcase_create("python");
    tcase_add_test(judge, python);
    tcase_set_timeout(judge, 600);
    suite_add_tcase(suite, judge);
    return kvt_test_main(suite);
}
