/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_workload_memory.c - opening and reading workloads when memory runs out, at every point.
 *
 * This program replaces the allocator under jansson, GSL and the readers by one that refuses from the Nth
 * request on. Each refusal must end in an error of one line, with nothing lost; enough memory must end in the same
 * requests as ever. Sanitizers bring their own allocator; there it is skipped.
 */
#include "kvt_test.h"
#include "malloc_fails.h"
#include "workload_help.h"

#include <errno.h>
#include <gsl/gsl_errno.h>
#include <malloc.h>

#if OWN_ALLOCATOR

/* Opens and reads all with n allocations to be had. Returns what failed, or 0 and the digest. */
static int attempt(const struct wl_options *o, const char *text, long n, uint64_t *digest,
                   struct wl_error *error)
{
    struct wl_source *s = NULL;
    struct kvt_request r;
    error->text[0] = '\0';
    left = n;
    armed = true;
    int status = text ? wl_open_memory(&s, o, text, strlen(text), error) : wl_open(&s, o, error);
    while (status == 0 && (status = wl_next(s, &r)) == 1)
        status = 0;
    armed = false;
    if (s && status < 0)
        snprintf(error->text, sizeof error->text, "%s", wl_source_error(s));
    if (s && status == 0) {
        wl_rewind(s);
        digest_of(s, digest);
    }
    wl_close(s);
    return status;
}

/* jansson and OpenSSL do not always say what failed: a line of JSON may pass for a bad one. */
static bool is_told(int status, const struct wl_error *error)
{
    return (status == -ENOMEM || status == -EIO ||
            (status == -EINVAL && strstr(error->text, "JSON") != NULL)) &&
           error->text[0] != '\0' && strchr(error->text, '\n') == NULL;
}

/* Grants 0, 1, 2, ... allocations until that is enough. */
static void starve(const struct wl_options *o, const char *text, uint64_t whole)
{
    uint64_t digest;
    struct wl_error error;
    long n = -1;
    int status;
    do {
        status = attempt(o, text, ++n, &digest, &error);
        if (status != 0 && !is_told(status, &error))
            ck_abort_msg("after %ld: %d, %s", n, status, error.text);
    } while (status != 0 && n < 20000);
    ck_assert_int_eq(status, 0);
    ck_assert_int_gt(n, 2);
    ck_assert_uint_eq(whole, digest);
}

/* Libraries keep what they set up at first use and failure, so only a second round shows what is lost. */
static void starve_twice(const struct wl_options *o, const char *text)
{
    uint64_t whole = 0;
    struct wl_error error;
    ck_assert_int_eq(attempt(o, text, 1000000, &whole, &error), 0);
    starve(o, text, whole);
    const size_t before = mallinfo2().uordblks;
    starve(o, text, whole);
    ck_assert_uint_le(mallinfo2().uordblks, before + 512);
}

START_TEST(readers)
{
    static const char *const texts[] = {
        ("{\"timestamp\":0,\"input_length\":33,\"output_length\":9,\"hash_ids\":[1,2,3]}\n"
         "{\"timestamp\":0,\"input_length\":33,\"output_length\":9,\"tenant\":2,\"hash_ids\":[1,2,"
         "5]}\n"),
        ("{\"chat_id\":1,\"parent_chat_id\":-1,\"timestamp\":0.5,\"input_length\":33,"
         "\"output_length\":9,\"hash_ids\":[1,2,3]}\n"
         "{\"chat_id\":2,\"parent_chat_id\":1,\"timestamp\":0.5,\"input_length\":33,"
         "\"output_length\":9,\"hash_ids\":[1,2,3]}\n"),
        ("{\"text\":\"abcdefghijklmnopqrstuvwxyz\",\"tenant\":\"a\",\"session\":\"x\"}\n"
         "{\"tokens\":[1,2,3,4,5],\"tenant\":\"b\"}\n"),
        "TIMESTAMP,ContextTokens,GeneratedTokens\n1,2000,3\n2,3000,4\n",
    };
    struct wl_options o;
    wl_options_init(&o);
    o.path = "t";
    o.tenant_salts = true;
    o.block_tokens = _i == 2 ? 2 : 0;
    starve_twice(&o, texts[_i]);
}
END_TEST

START_TEST(generators)
{
    static const char *const kinds[] = {"chat", "agent", "rag", "zipf-tree"};
    struct wl_options o;
    struct wl_error error;
    gsl_set_error_handler_off(); /* as kvtwin does: GSL would abort */
    wl_options_init(&o);
    ck_assert_int_eq(wl_generate_set(&o.generate, "kind", kinds[_i], &error), 0);
    ck_assert_int_eq(wl_generate_set(&o.generate, "requests", "300", &error), 0);
    starve_twice(&o, NULL);
}
END_TEST

#else

START_TEST(skipped)
{
    kvt_test_skip("a sanitizer's allocator cannot be replaced");
}
END_TEST

#endif

int main(void)
{
    Suite *suite = suite_create("workload_memory");
    TCase *tc = tcase_create("memory");
    tcase_set_timeout(tc, 60);
#if OWN_ALLOCATOR
    tcase_add_loop_test(tc, readers, 0, 4);
    tcase_add_loop_test(tc, generators, 0, 4);
#else
    tcase_add_test(tc, skipped);
#endif
    suite_add_tcase(suite, tc);
    return kvt_test_main(suite);
}
