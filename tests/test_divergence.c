/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_divergence.c - workload/divergence.h: causes by example, positions beside a comparison with every
 * earlier prompt, what is lost beside a prompt whose repetition is known.
 */
#include "workload/divergence.h"

#include <string.h>

#include "dice.h"

START_TEST(causes)
{
    static const struct {
        const char *a, *b;
        enum wl_cause cause;
    } cases[] = {
        {"It is 10:31:07 now", "It is 10:31:52 now", WL_CAUSE_TIMESTAMP},
        {"It is 9:31 now", "It is 10:31 now", WL_CAUSE_TIMESTAMP},
        {"on 2026-05-01T10:00:03Z.", "on 2026-05-02T10:00:03Z.", WL_CAUSE_TIMESTAMP},
        {"on 05/01/2026 we", "on 06/01/2026 we", WL_CAUSE_TIMESTAMP},
        {"at 1769000000 s", "at 1769000451 s", WL_CAUSE_TIMESTAMP},
        {"at 1769000000.25 s", "at 1769000000.75 s", WL_CAUSE_TIMESTAMP},
        {"today, May 3, 2026", "today, May 14, 2026", WL_CAUSE_TIMESTAMP},
        {"Monday morning", "Tuesday morning", WL_CAUSE_TIMESTAMP},
        {"id 0b8a276b-3e99-c6c8-cf68-bc281eb81432", "id c1a9425a-0cc8-5574-6678-9723dcd06050",
         WL_CAUSE_ID},
        {"see deadbeefcafe01 there", "see deadbeefcafe02 there", WL_CAUSE_ID},
        {"see req_8f3k2j1x", "see req_8f3k2j9x", WL_CAUSE_ID},
        {"order 48151623 of", "order 42000001 of", WL_CAUSE_ID},
        {"in 54 words", "in 25 words", WL_CAUSE_NUMBER},
        {"in 5 words", "in 12,000 words", WL_CAUSE_NUMBER},
        {"so  be it, my friend", "so be it, my friend", WL_CAUSE_WHITESPACE},
        {"one\ntwo three four", "one two three four", WL_CAUSE_WHITESPACE},
        {"the cat sat", "the dog sat", WL_CAUSE_TEXT},
        {"cat sat here", "cats at here", WL_CAUSE_TEXT},
        {"in 5 words", "in five words", WL_CAUSE_TEXT},
        {"Saturation of", "Saturday of it", WL_CAUSE_TEXT},
        {"\xc3\xa4rger", "\xc3\xb6rger", WL_CAUSE_TEXT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *a = cases[i].a, *b = cases[i].b;
        size_t at = 0;
        while (a[at] == b[at])
            at++;
        for (int swap = 0; swap < 2; swap++) {
            const enum wl_cause got = swap ? wl_cause_of(b, strlen(b), a, strlen(a), at)
                                           : wl_cause_of(a, strlen(a), b, strlen(b), at);
            ck_assert_msg(got == cases[i].cause, "%s | %s: %s, expected %s", a, b,
                          wl_cause_name(got), wl_cause_name(cases[i].cause));
        }
    }
}
END_TEST

enum { PROMPTS = 300, LONGEST = 40 };

/* Prefixes, positions and sums beside all earlier prompts. */
START_TEST(positions)
{
    static uint32_t tokens[PROMPTS][LONGEST], n[PROMPTS];
    uint64_t common_tokens = 0, continued = 0, parted = 0, behind = 0;
    struct wl_divergence d;
    dice_seed((uint64_t)_i + 1);
    ck_assert_int_eq(wl_divergence_init(&d), 0);
    for (int p = 0; p < PROMPTS; p++) {
        n[p] = 1 + (uint32_t)dice_below(LONGEST);
        for (uint32_t i = 0; i < n[p]; i++)
            tokens[p][i] = (uint32_t)dice_below(i == 0 ? 1 : 3);
        uint32_t best = 0, end = 0;
        for (int q = 0; q < p; q++) {
            uint32_t same = 0;
            while (same < n[p] && same < n[q] && tokens[p][same] == tokens[q][same])
                same++;
            best = same > best ? same : best;
            end = same == best ? n[q] : end; /* of equals the latest */
        }
        common_tokens += best;
        if (p > 0 && (best == n[p] || best == end))
            continued++;
        else if (p > 0) {
            parted++;
            behind += n[p] - best;
        }
        const struct wl_prompt prompt = {(uint64_t)p, tokens[p], n[p], NULL, 0, {0, 0}};
        ck_assert_int_eq(wl_divergence_add(&d, &prompt), 0);
    }
    wl_divergence_rank(&d);
    uint64_t requests = 0, rows_behind = 0;
    for (size_t i = 0; i < d.n_rows; i++) {
        requests += d.rows[i].requests;
        rows_behind += d.rows[i].tokens_behind;
        MUST(d.rows[i].cause == WL_CAUSE_UNKNOWN);
        MUST(d.rows[i].tokens_lost <= d.rows[i].tokens_behind);
        MUST(i == 0 || d.rows[i - 1].tokens_lost >= d.rows[i].tokens_lost);
    }
    MUST(d.common_tokens == common_tokens && d.continued == continued && d.fresh == 1);
    MUST(requests == parted && rows_behind == behind);
    wl_divergence_release(&d);
}
END_TEST

/* 1,000 tokens, then one of its own, then the same 2,000 again: those are lost, no more and no less. */
START_TEST(lost)
{
    enum { BEFORE = 1000, BEHIND = 2000, N = BEFORE + 1 + BEHIND };
    static uint32_t tokens[N];
    struct wl_divergence d;
    ck_assert_int_eq(wl_divergence_init(&d), 0);
    for (uint32_t p = 0; p < 5; p++) {
        for (uint32_t i = 0; i < N; i++)
            tokens[i] = i == BEFORE ? 100000 + p : i;
        const struct wl_prompt prompt = {p, tokens, N, NULL, 0, {0, 0}};
        ck_assert_int_eq(wl_divergence_add(&d, &prompt), 0);
    }
    ck_assert_uint_eq(d.n_rows, 1);
    ck_assert_uint_eq(d.rows[0].position, BEFORE);
    ck_assert_uint_eq(d.rows[0].requests, 4);
    ck_assert_uint_eq(d.rows[0].tokens_behind, 4 * (BEHIND + 1));
    ck_assert_uint_eq(d.rows[0].tokens_lost, 4 * BEHIND);
    wl_divergence_release(&d);
}
END_TEST

/* Through the reader: what it shows, in order, after skip and up to limit; its refusal ends reading. */
struct shown {
    uint64_t n, tokens;
    char first[16];
    int status;
};

static int take(void *self, const struct wl_prompt *prompt)
{
    struct shown *s = self;
    ck_assert_uint_eq(prompt->request, s->n);
    if (s->n++ == 0 && prompt->text != NULL)
        snprintf(s->first, sizeof s->first, "%s", prompt->text);
    s->tokens += prompt->n_tokens;
    return s->status;
}

START_TEST(shown_by_the_reader)
{
    static const char file[] =
        "{\"text\": \"one\"}\n{\"text\": \"two two\"}\n{\"tokens\": [1, 2, 3]}\n"
        "{\"text\": \"four\"}\n";
    struct shown shown = {.status = 0};
    const struct wl_prompt_sink sink = {take, &shown};
    struct wl_options o;
    struct wl_source *source;
    struct wl_error error;
    wl_options_init(&o);
    o.prompts = &sink;
    o.skip = 1;
    o.limit = 2;
    ck_assert_int_eq(wl_open_memory(&source, &o, file, sizeof file - 1, &error), 0);
    ck_assert_uint_eq(shown.n, 2);
    ck_assert_uint_eq(shown.tokens, 5);
    ck_assert_str_eq(shown.first, "two two");
    wl_close(source);
    shown = (struct shown){.status = -4};
    ck_assert_int_eq(wl_open_memory(&source, &o, file, sizeof file - 1, &error), -4);
    ck_assert_ptr_null(source);
    ck_assert_uint_eq(shown.n, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("divergence");
    TCase *tests = tcase_create("divergence");
    tcase_add_test(tests, causes);
    tcase_add_loop_test(tests, positions, 0, 4);
    tcase_add_test(tests, lost);
    tcase_add_test(tests, shown_by_the_reader);
    suite_add_tcase(suite, tests);
    return kvt_test_main(suite);
}
