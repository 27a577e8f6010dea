/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_workload_public.c - the public traces, where they are there, give the counts that were published.
 */
#include "kvt_test.h"
#include "workload/intern.h"
#include "workload_help.h"

#include <unistd.h>

static struct wl_options options;

static void defaults(void)
{
    wl_options_init(&options);
}

/* What an infinite cache finds, counted key by key. */
struct found {
    uint64_t requests, prompt_tokens, keys, distinct, hit_keys, hit_tokens, block_tokens;
};

static bool found_in(const char *path, uint32_t block_tokens, struct found *f)
{
    struct wl_source *s;
    struct wl_error error;
    struct wl_info info;
    struct wl_intern known = {0};
    struct kvt_request r;
    if (access(path, R_OK) != 0) {
        kvt_test_skip(path);
        return false;
    }
    *f = (struct found){0};
    options.path = path;
    options.block_tokens = block_tokens;
    options.partial_blocks = true;
    ck_assert_msg(wl_open(&s, &options, &error) == 0, "%s", error.text);
    wl_source_info(s, &info);
    f->block_tokens = info.block_tokens;
    while (wl_next(s, &r) == 1) {
        uint64_t hit = 0;
        for (uint32_t i = 0; i < r.n_keys; i++) {
            uint32_t index;
            bool fresh = true;
            if (wl_intern(&known, r.keys[i], &index, &fresh) != 0)
                ck_abort_msg("no memory");
            hit += !fresh && hit == i;
        }
        f->requests++;
        f->prompt_tokens += r.prompt_tokens;
        f->keys += r.n_keys;
        f->hit_keys += hit;
        f->hit_tokens +=
            hit * info.block_tokens < r.prompt_tokens ? hit * info.block_tokens : r.prompt_tokens;
    }
    f->distinct = known.n;
    ck_assert_uint_eq(info.requests, f->requests);
    ck_assert_uint_eq(info.keys, f->keys);
    ck_assert_uint_ge(info.distinct_keys, f->distinct);
    wl_intern_release(&known);
    wl_close(s);
    return true;
}

START_TEST(public_conversation)
{
    struct found f;
    if (!found_in("../shared/traces/conversation_trace.jsonl", 0, &f))
        return;
    ck_assert_uint_eq(f.requests, 12031);
    ck_assert_uint_eq(f.keys, 288500);
    ck_assert_uint_eq(f.distinct, 182790);
    ck_assert_uint_eq(f.hit_keys, 105710);
    ck_assert_uint_eq(f.hit_tokens, 54098411);
    ck_assert_uint_eq(f.prompt_tokens, 144793823);
    ck_assert(found_in("../shared/traces/conversation_trace.jsonl", 16, &f));
    ck_assert_uint_eq(f.keys, 9055233);
    ck_assert_uint_eq(f.distinct, 5674025);
    ck_assert_uint_eq(f.hit_tokens, 54098411);
}
END_TEST

START_TEST(public_others)
{
    struct found f;
    if (found_in("../shared/traces/agentic_merged_60.jsonl", 0, &f)) {
        ck_assert_uint_eq(f.block_tokens, 64);
        ck_assert_uint_eq(f.keys, 2410900);
        ck_assert_uint_eq(f.distinct, 99577);
        ck_assert_uint_eq(f.hit_keys, 2311323);
        ck_assert_uint_eq(f.hit_tokens, 147924672);
    }
    if (found_in("../shared/traces/AzureLLMInferenceTrace_code.csv", 0, &f))
        ck_assert_uint_eq(f.requests, 8819);
    if (found_in("../shared/traces/AzureLLMInferenceTrace_conv.csv", 0, &f))
        ck_assert_uint_eq(f.requests, 19366);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("workload_public");
    TCase *tc = tcase_create("public");
    tcase_add_checked_fixture(tc, defaults, NULL);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, public_conversation);
    tcase_add_test(tc, public_others);
    suite_add_tcase(suite, tc);
    return kvt_test_main(suite);
}
