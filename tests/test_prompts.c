/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_prompts.c - workload/prompts.h: each request gets its own tokens, and its text letter by letter as it was
 * written, on every pass; with skip and limit, and where text and tokens stand in one trace. And what stands before
 * them: the same for all, or, where tenants are salted, for each tenant.
 */
#include "workload/prompts.h"

#include "kvt_test.h"
#include "workload_help.h"

static const char trace[] = "{\"text\": \"left out\"}\n"
                            "{\"text\": \"a\\u00e4\\u20ac\\ud83d\\ude00.\"}\n"
                            "{\"tokens\": [7, 8, 4294967295]}\n"
                            "{\"text\": \"\\u0001\\u007f\\u0080\\u07ff\\u0800\\uffff\"}\n"
                            "{\"text\": \"beyond the limit\"}\n";

/* Tokens of the text: its bytes by four, little endian. */
static const struct {
    uint32_t tokens[6], letters[6], n_tokens, n_letters;
} expected[] = {
    {{0xe2a4c361, 0x9ff0ac82, 0x2e8098}, {'a', 0xe4, 0x20ac, 0x1f600, '.'}, 3, 5},
    {{7, 8, 4294967295}, {0}, 3, 0},
    {{0x80c27f01, 0xa0e0bfdf, 0xbfbfef80}, {1, 0x7f, 0x80, 0x7ff, 0x800, 0xffff}, 3, 6},
};

START_TEST(as_written)
{
    struct wl_source *source;
    struct wl_options options;
    struct wl_error error;
    struct kvt_request r;
    struct wl_prompts *prompts = wl_prompts_new();
    ck_assert_ptr_nonnull(prompts);
    const struct wl_prompt_sink sink = wl_prompts_sink(prompts);
    wl_options_init(&options);
    options.skip = 1;
    options.limit = 3;
    options.prompts = &sink;
    ck_assert_msg(open_text(&source, &options, trace, &error) == 0, "%s", error.text);
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
            ck_assert_int_eq(wl_next(source, &r), 1);
            ck_assert_ptr_null(r.tokens);
            ck_assert_int_eq(wl_prompts_tell(prompts, &r), 0);
            ck_assert_uint_eq(r.prompt_tokens, expected[i].n_tokens);
            ck_assert_mem_eq(r.tokens, expected[i].tokens, r.prompt_tokens * sizeof *r.tokens);
            ck_assert(!r.letters == !expected[i].n_letters);
            ck_assert_uint_eq(r.n_letters, expected[i].n_letters);
            for (uint32_t k = 0; k < r.n_letters; k++)
                ck_assert_uint_eq(r.letters[k], expected[i].letters[k]);
        }
        ck_assert_int_eq(wl_next(source, &r), 0);
        wl_rewind(source);
        wl_prompts_rewind(prompts);
    }
    wl_close(source);
    wl_prompts_free(prompts);
    wl_prompts_free(NULL);
}
END_TEST

static kvt_key root_of(const struct wl_options *options, const char *salt)
{
    struct kvt_namespace ns;
    ck_assert_int_eq(kvt_namespace_init(&ns, salt, options->model_epoch, options->layout), 0);
    return kvt_namespace_key(&ns);
}

/* Tenants stand in the order of their coming: a, b, a. */
START_TEST(what_stands_before)
{
    static const char tenants[] = "{\"tokens\": [1, 2], \"tenant\": \"a\"}\n"
                                  "{\"tokens\": [1, 2], \"tenant\": \"b\"}\n"
                                  "{\"tokens\": [1, 2], \"tenant\": \"a\"}\n";
    static const char *const salts[] = {"a", "b", "a"};
    struct wl_source *source;
    struct wl_options options;
    struct wl_error error;
    struct kvt_request r;
    struct wl_prompts *prompts = wl_prompts_new();
    ck_assert_ptr_nonnull(prompts);
    const struct wl_prompt_sink sink = wl_prompts_sink(prompts);
    wl_options_init(&options);
    options.prompts = &sink;
    options.tenant_salts = _i;
    options.model_epoch = "1";
    options.layout = "some model";
    ck_assert_msg(open_text(&source, &options, tenants, &error) == 0, "%s", error.text);
    for (size_t i = 0; i < sizeof salts / sizeof *salts; i++) {
        ck_assert_int_eq(wl_next(source, &r), 1);
        ck_assert(!r.root.hi && !r.root.lo);
        ck_assert_int_eq(wl_prompts_tell(prompts, &r), 0);
        ck_assert(kvt_key_equal(r.root, root_of(&options, _i ? salts[i] : NULL)));
    }
    ck_assert(!kvt_key_equal(root_of(&options, "a"), root_of(&options, "b")));
    wl_close(source);
    wl_prompts_free(prompts);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("prompts");
    TCase *tests = tcase_create("prompts");
    tcase_add_test(tests, as_written);
    tcase_add_loop_test(tests, what_stands_before, 0, 2);
    suite_add_tcase(suite, tests);
    return kvt_test_main(suite);
}
