/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_mrc_reference.c - one pass beside a hundred: the curve of the public traces at a hundred sizes in both
 * touch orders against the core in the null world, which is what `kvtwin run` counts; and every LRU row of an independent
 * simulator and of an independent model of a prefix cache.
 *
 * Of the agentic trace the first 300 prompts, so that two hundred runs take seconds (bench_mrc takes all). The
 * traces and counts lie beside the repository, in ../shared; without them this is skipped.
 */
#include "kvt_test.h"
#include "mrc_direct.h"

#include <string.h>
#include <unistd.h>

enum { SIZES = 100 };

static const char conversation[] = "../shared/traces/conversation_trace.jsonl";
static const char agentic[] = "../shared/traces/agentic_merged_60.jsonl";

/* NULL when there is no such trace here. */
static struct wl_source *open_trace(const char *path, uint64_t limit, uint32_t block_tokens)
{
    struct wl_options o;
    struct wl_source *source;
    struct wl_error error;
    if (access(path, R_OK) != 0) {
        kvt_test_skip(path);
        return NULL;
    }
    wl_options_init(&o);
    o.path = path;
    o.limit = limit;
    o.block_tokens = block_tokens;
    o.partial_blocks = true;
    o.max_output_tokens = 0;
    if (wl_open(&source, &o, &error) != 0)
        ck_abort_msg("%s", error.text);
    return source;
}

static void compare_sizes(const char *path, uint64_t limit)
{
    struct wl_source *source = open_trace(path, limit, 0);
    struct wl_mrc mrc = {0};
    struct wl_info info;
    if (!source)
        return;
    wl_source_info(source, &info);
    ck_assert_int_eq(direct_mrc(source, &mrc), 0);
    for (int i = 0; i < SIZES; i++)
        for (int leaf = 0; leaf < 2; leaf++) {
            const uint64_t size = direct_size(&mrc, i, SIZES);
            struct wl_mrc_hits direct;
            ck_assert_int_eq(direct_hits(source, size, leaf ? KVT_TOUCH_LEAF : KVT_TOUCH_HEAD,
                                         &direct),
                             0);
            const struct wl_mrc_hits curve =
                wl_mrc_tally_hits(&mrc.all, leaf ? WL_MRC_LEAF : WL_MRC_HEAD, size,
                                  info.block_tokens);
            if (curve.blocks != direct.blocks || curve.tokens != direct.tokens)
                ck_abort_msg("%s, %llu blocks, %s: curve %llu blocks, %llu tokens; run %llu, %llu",
                             path, (unsigned long long)size, leaf ? "leaf" : "head",
                             (unsigned long long)curve.blocks, (unsigned long long)curve.tokens,
                             (unsigned long long)direct.blocks, (unsigned long long)direct.tokens);
        }
    wl_mrc_release(&mrc);
    wl_close(source);
}

START_TEST(a_hundred_sizes_of_the_conversation_trace)
{
    compare_sizes(conversation, UINT64_MAX);
}
END_TEST

START_TEST(a_hundred_sizes_of_the_agentic_trace)
{
    compare_sizes(agentic, 300);
}
END_TEST

/* ---- Tables ----------------------------------------------------------------------------------- */

/* prefix_lru.py's rows: trace, capacity, order, requests, prompt tokens, blocks, hit blocks, hit tokens, ... */
static int compare_prefix_rows(const char *table, struct wl_mrc *mrc, uint32_t tokens)
{
    FILE *file = fopen(table, "re");
    char line[400], order[16];
    unsigned long long capacity, requests, prompt_tokens, blocks, hit_blocks, hit_tokens;
    int rows = 0;
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "%*[^,],%llu,%15[^,],%llu,%llu,%llu,%llu,%llu", &capacity, order,
                   &requests, &prompt_tokens, &blocks, &hit_blocks, &hit_tokens) != 7)
            continue;
        const enum wl_mrc_way way = strcmp(order, "leaf") == 0 ? WL_MRC_LEAF : WL_MRC_HEAD;
        const struct wl_mrc_hits h =
            wl_mrc_tally_hits(&mrc->all, way, capacity ? capacity : UINT64_MAX, tokens);
        ck_assert_uint_eq(mrc->all.prompts, requests);
        ck_assert_uint_eq(mrc->all.prompt_tokens, prompt_tokens);
        ck_assert_uint_eq(mrc->all.blocks, blocks);
        ck_assert_uint_eq(h.blocks, hit_blocks);
        ck_assert_uint_eq(h.tokens, hit_tokens);
        rows++;
    }
    fclose(file);
    return rows;
}

/* libCacheSim's rows: trace, capacity, LRU, requests, miss ratio to four decimals, ... */
static int compare_flat_rows(const char *table, const char *name, struct wl_mrc *mrc)
{
    FILE *file = fopen(table, "re");
    char line[400], trace[32], policy[32], ratio[16], ours[16];
    unsigned long long capacity, requests;
    int rows = 0;
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "%31[^,],%llu,%31[^,],%llu,%15[^,]", trace, &capacity, policy, &requests,
                   ratio) != 5 ||
            strcmp(trace, name) != 0 || strcmp(policy, "LRU") != 0)
            continue;
        const struct wl_mrc_hits h = wl_mrc_tally_hits(&mrc->all, WL_MRC_FLAT, capacity, 1);
        ck_assert_uint_eq(mrc->all.blocks, requests);
        snprintf(ours, sizeof ours, "%.4f", 1 - (double)h.blocks / (double)requests);
        ck_assert_str_eq(ours, ratio);
        rows++;
    }
    fclose(file);
    return rows;
}

START_TEST(every_row_of_the_reference)
{
    static const struct {
        const char *path, *prefix, *name;
        int prefix_rows;
    } traces[] = {
        {conversation, "../shared/reference/prefix-lru-conversation.csv", "conv512", 12},
        {agentic, "../shared/reference/prefix-lru-agentic.csv", "agentic64", 6},
    };
    for (size_t t = 0; t < 2; t++) {
        struct wl_source *source = open_trace(traces[t].path, UINT64_MAX, 0);
        struct wl_mrc mrc = {0};
        struct wl_info info;
        if (!source || access(traces[t].prefix, R_OK) != 0) {
            wl_close(source);
            continue;
        }
        wl_source_info(source, &info);
        ck_assert_int_eq(direct_mrc(source, &mrc), 0);
        ck_assert_int_eq(compare_prefix_rows(traces[t].prefix, &mrc, info.block_tokens),
                         traces[t].prefix_rows);
        ck_assert_int_eq(compare_flat_rows("../shared/reference/miss-ratios.csv", traces[t].name,
                                           &mrc),
                         5);
        wl_mrc_release(&mrc);
        wl_close(source);
    }
}
END_TEST

/* In 16-token blocks: counts of the reference's README, miss ratios of its table of speeds. */
START_TEST(nine_million_blocks)
{
    struct wl_source *source = open_trace(conversation, UINT64_MAX, 16);
    struct wl_mrc mrc = {0};
    char ratio[16];
    if (!source)
        return;
    ck_assert_int_eq(direct_mrc(source, &mrc), 0);
    ck_assert_uint_eq(mrc.all.blocks, 9055233);
    ck_assert_uint_eq(wl_mrc_distinct(&mrc), 5674025);
    for (int i = 0; i < 2; i++) {
        const struct wl_mrc_hits h =
            wl_mrc_tally_hits(&mrc.all, WL_MRC_FLAT, i ? 1600000 : 160000, 16);
        snprintf(ratio, sizeof ratio, "%.4f", 1 - (double)h.blocks / (double)mrc.all.blocks);
        ck_assert_str_eq(ratio, i ? "0.6380" : "0.8843");
    }
    wl_mrc_release(&mrc);
    wl_close(source);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mrc_reference");
    TCase *t = tcase_create("mrc_reference");
    tcase_set_timeout(t, 240);
    tcase_add_test(t, a_hundred_sizes_of_the_conversation_trace);
    tcase_add_test(t, a_hundred_sizes_of_the_agentic_trace);
    tcase_add_test(t, every_row_of_the_reference);
    tcase_add_test(t, nine_million_blocks);
    suite_add_tcase(suite, t);
    return kvt_test_main(suite);
}
