/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_workload_read.c - trace formats: what is read, what is refused and with which line, and how blocks are
 * cut, beside a naive cutter. The public traces are in test_workload_public.c.
 */
#include "core/mix.h"
#include "kvt_test.h"
#include "workload_help.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

static struct wl_options options;

static void defaults(void)
{
    wl_options_init(&options);
}

static struct wl_source *opened(const char *text)
{
    struct wl_source *source;
    struct wl_error error;
    const int status = open_text(&source, &options, text, &error);
    ck_assert_msg(status == 0, "%s", error.text);
    return source;
}

/* The next request; its keys must be those of ids[], by the default namespace. */
static struct kvt_request expect(struct wl_source *source, kvt_ns at_ns, uint32_t prompt,
                                 uint32_t output, int n, ...)
{
    struct kvt_namespace ns;
    struct kvt_request r;
    va_list ids;
    ck_assert_int_eq(kvt_namespace_init(&ns, NULL, NULL, NULL), 0);
    ck_assert_int_eq(wl_next(source, &r), 1);
    ck_assert_uint_eq(r.arrive_ns, at_ns);
    ck_assert_uint_eq(r.prompt_tokens, prompt);
    ck_assert_uint_eq(r.output_tokens, output);
    ck_assert_int_eq((int)r.n_keys, n);
    va_start(ids, n);
    for (int i = 0; i < n; i++)
        ck_assert(kvt_key_equal(r.keys[i], kvt_key_of_id(&ns, (uint64_t)va_arg(ids, int))));
    va_end(ids);
    return r;
}

static void expect_end(struct wl_source *source)
{
    struct kvt_request r;
    ck_assert_int_eq(wl_next(source, &r), 0);
    ck_assert_int_eq(wl_next(source, &r), 0);
    wl_close(source);
}

static void refused(const char *text, const char *message)
{
    struct wl_source *source;
    struct wl_error error;
    ck_assert_int_eq(open_text(&source, &options, text, &error), -EINVAL);
    ck_assert_ptr_null(source);
    ck_assert_str_eq(error.text, message);
}

#define LINE(at, in, out, ids)                                                                     \
    "{\"timestamp\": " #at ", \"input_length\": " #in ", \"output_length\": " #out                 \
    ", \"hash_ids\": " ids "}\n"

START_TEST(mooncake_ceil)
{
    struct wl_info info;
    struct wl_source *s = opened(LINE(1000, 1024, 5, "[7, 8]") "\n" LINE(1000, 700, 0, "[7,9]")
                                     LINE(4500, 1, 2, "[10]"));
    wl_source_info(s, &info);
    ck_assert_uint_eq(info.trace_block_tokens, 512);
    ck_assert(info.trace_partial && info.exact);
    ck_assert_uint_eq(info.requests, 3);
    ck_assert_uint_eq(info.keys, 3);
    struct kvt_request r = expect(s, 0, 1024, 5, 2, 7, 8); /* the first arrives at 0 */
    ck_assert_uint_eq(r.session, KVT_NONE);
    ck_assert_uint_eq(expect(s, 0, 700, 0, 1, 7).id, 1); /* the partial one has no key */
    expect(s, 3500 * KVT_MILLISECOND, 1, 2, 0);
    expect_end(s);
    options.partial_blocks = true;
    s = opened(LINE(0, 1024, 5, "[7, 8]") LINE(0, 700, 0, "[7,9]"));
    expect(s, 0, 1024, 5, 2, 7, 8);
    expect(s, 0, 700, 0, 2, 7, 9);
    expect_end(s);
}
END_TEST

START_TEST(floor_and_session)
{
    struct wl_info info;
    struct wl_source *s =
        opened("{\"timestamp\":0,\"input_length\":130,\"output_length\":1,\"session\":7,"
               "\"tenant\":3,\"hash_ids\":[1,2]}\n"
               "{\"timestamp\":1.5,\"input_length\":63,\"output_length\":1,\"session\":8,"
               "\"hash_ids\":[]}\n");
    wl_source_info(s, &info);
    ck_assert_uint_eq(info.trace_block_tokens, 64);
    ck_assert(!info.trace_partial);
    const struct kvt_request r = expect(s, 0, 130, 1, 2, 1, 2);
    ck_assert_uint_eq(r.session, 7);
    ck_assert_uint_eq(r.tenant, 3);
    ck_assert_uint_eq(expect(s, 1500 * KVT_MILLISECOND, 63, 1, 0).session, 8);
    expect_end(s);
}
END_TEST

/* Sizes that are no power of two, and those that the data leave open, are stated. */
START_TEST(stated_block_size)
{
    options.trace_block_tokens = 100;
    struct wl_source *s = opened(LINE(0, 250, 1, "[1,2,3]"));
    expect(s, 0, 250, 1, 2, 1, 2);
    expect_end(s);
    refused(LINE(0, 250, 1, "[1,2,3,4]"),
            "t:1: hash_ids: expected 3 for input_length 250 in blocks of 100 tokens, found 4");
}
END_TEST

START_TEST(qwen)
{
    struct wl_source *s = opened(
        "{\"chat_id\": 5, \"parent_chat_id\": -1, \"timestamp\": 2, \"input_length\": 20, "
        "\"output_length\": 3, \"type\": \"text\", \"turn\": 1, \"hash_ids\": [1, 2]}\n"
        "{\"chat_id\": 6, \"parent_chat_id\": -1, \"timestamp\": 2.25, \"input_length\": 16, "
        "\"output_length\": 3, \"type\": \"text\", \"turn\": 1, \"hash_ids\": [9]}\n"
        "{\"chat_id\": 9, \"parent_chat_id\": 5, \"timestamp\": 61.114, \"input_length\": 40, "
        "\"output_length\": 3, \"type\": \"text\", \"turn\": 2, \"hash_ids\": [1, 3, 4]}\n"
        "{\"chat_id\": 11, \"parent_chat_id\": 9, \"timestamp\": 62.0, \"input_length\": 48, "
        "\"output_length\": 3, \"type\": \"text\", \"turn\": 3, \"hash_ids\": [1, 3, 5]}\n");
    struct wl_info info;
    wl_source_info(s, &info);
    ck_assert_int_eq((int)info.format, WL_QWEN);
    ck_assert_uint_eq(info.trace_block_tokens, 16);
    const uint32_t first = expect(s, 0, 20, 3, 1, 1).session;
    ck_assert_uint_ne(expect(s, 250 * KVT_MILLISECOND, 16, 3, 1, 9).session, first);
    ck_assert_uint_eq(expect(s, 59114 * KVT_MILLISECOND, 40, 3, 2, 1, 3).session, first);
    ck_assert_uint_eq(expect(s, 60 * KVT_SECOND, 48, 3, 3, 1, 3, 5).session, first);
    expect_end(s);
}
END_TEST

START_TEST(mooncake_refused)
{
    const char *good = LINE(5, 700, 1, "[1,2]");
    char text[1000];
    static const struct {
        const char *line, *message;
    } cases[] = {
        {"{\"timestamp\": 6, \"input_le", "t:2: expected one complete JSON object: premature end "
                                          "of input near '\"input_le'"},
        {"[1]", "t:2: expected one complete JSON object"},
        {LINE(4, 700, 1, "[1,2]"),
         "t:2: timestamp: expected no earlier than the line before, time goes backwards"},
        {LINE(6, 0, 1, "[]"), "t:2: input_length: expected a whole number from 1 to 2147483647, "
                              "found 0"},
        {LINE(6, -3, 1, "[]"), "t:2: input_length: expected a whole number from 1 to 2147483647, "
                               "found -3"},
        {LINE(6, "a", 1, "[]"), "t:2: input_length: expected a whole number from 1 to 2147483647, "
                                "found text"},
        {LINE(6, 700.5, 1, "[1,2]"), "t:2: input_length: expected a whole number from 1 to "
                                     "2147483647, found 700.5"},
        {LINE(6, 700, -1, "[1,2]"), "t:2: output_length: expected a whole number from 0 to "
                                    "2147483647, found -1"},
        {LINE(6, 2147483647, 1, "[1,2]"),
         "t:2: hash_ids: expected 4194304 for input_length 2147483647 in blocks of 512 tokens, "
         "found 2"},
        {LINE(-6, 700, 1, "[1,2]"),
         "t:2: timestamp: expected a time of at least 0 and at most 291 years, found -6"},
        {LINE(6, 700, 1, "[1,2,3]"),
         "t:2: hash_ids: expected 2 for input_length 700 in blocks of 512 tokens, found 3"},
        {LINE(6, 700, 1, "[1,\"x\"]"),
         "t:2: hash_ids: expected whole numbers of at least 0, number 2 is not"},
        {LINE(6, 700, 1, "[1,-2]"),
         "t:2: hash_ids: expected whole numbers of at least 0, number 2 is not"},
        {LINE(6, 700, 1, "[1,2.0]"),
         "t:2: hash_ids: expected whole numbers of at least 0, number 2 is not"},
        {LINE(6, 700, 1, "{}"), "t:2: hash_ids: expected a list of whole numbers"},
        {LINE(6, 700, 1, "[1,18446744073709551616]"),
         "t:2: expected one complete JSON object: too big integer near '18446744073709551616'"},
        {"{\"timestamp\": 6, \"input_length\": 3, \"output_length\": 1}",
         "t:2: hash_ids: expected a list of whole numbers"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(text, sizeof text, "%s%s", good, cases[i].line);
        refused(text, cases[i].message);
    }
    refused("", "t: expected requests, the file is empty");
    refused("\n\n", "t:2: expected a trace: JSON lines with hash_ids, text or tokens; CSV with "
                    "ContextTokens or Request tokens; or kvtwin's binary format");
    options.skip = 1;
    refused(good, "t: expected requests, there are none (after skip)");
}
END_TEST

/* (J1) Lines on the two ways of reading hash_ids: what one way accepts, the other does too, with equal result.
 * An escape in "hash_ids" or a nested object keeps a line from being lifted. */
START_TEST(lifting_changes_nothing)
{
    static const char *const lists[] = {"[1,2]",
                                        "[ 1 ,\t2 ]",
                                        "[01,2]",
                                        "[1,2",
                                        "[1,,2]",
                                        "[1 2]",
                                        "[1,2,]",
                                        "[]",
                                        "[1,999999999999999999]",
                                        "[1,9223372036854775807]",
                                        "[1,9223372036854775808]",
                                        "[1,2e0]",
                                        "[1,[2]]",
                                        "[null,1]"};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        char lifted[400], whole[400];
        struct wl_source *a, *b;
        struct wl_error ea, eb;
        uint64_t da = 0, db = 0;
        snprintf(lifted, sizeof lifted,
                 "{\"timestamp\": 0, \"input_length\": 700, \"output_length\": 1, \"hash_ids\": "
                 "%s}",
                 lists[i]);
        snprintf(whole, sizeof whole,
                 "{\"x\": {}, \"timestamp\": 0, \"input_length\": 700, \"output_length\": 1, "
                 "\"hash_ids\": %s}",
                 lists[i]);
        const int sa = open_text(&a, &options, lifted, &ea);
        const int sb = open_text(&b, &options, whole, &eb);
        ck_assert_msg(sa == sb, "%s: %d %d %s %s", lists[i], sa, sb, ea.text, eb.text);
        if (sa == 0) {
            ck_assert_uint_eq(digest_of(a, &da), digest_of(b, &db));
            ck_assert_uint_eq(da, db);
        }
        wl_close(a);
        wl_close(b);
    }
    /* The last of two keys counts, nested ones do not: as JSON has it. */
    struct wl_source *s = opened("{\"timestamp\": 0, \"input_length\": 512, \"output_length\": 1, "
                                 "\"hash_ids\": [5], \"hash_ids\": [6]}");
    expect(s, 0, 512, 1, 1, 6);
    expect_end(s);
    s = opened("{\"y\": {\"hash_ids\": [1,2,3]}, \"timestamp\": 0, \"input_length\": 512, "
               "\"output_length\": 1, \"hash_ids\": [6]}");
    expect(s, 0, 512, 1, 1, 6);
    expect_end(s);
}
END_TEST

START_TEST(prompts)
{
    options.block_tokens = 2;
    options.partial_blocks = true;
    const char *text = "{\"text\": \"abcdefghijkl\"}\n"
                       "{\"tokens\": [1684234849, 1751606885, 5], \"timestamp\": 20, "
                       "\"output_length\": 0, \"tenant\": \"acme\", \"session\": \"s\"}\n"
                       "{\"text\": \"abc\", \"arrival\": 0.5}\n";
    struct wl_source *s = opened(text);
    struct kvt_request r;
    struct kvt_namespace ns;
    kvt_key keys[2];
    const uint32_t tokens[] = {0x64636261, 0x68676665, 0x6c6b6a69};
    ck_assert_int_eq(kvt_namespace_init(&ns, NULL, NULL, NULL), 0);
    ck_assert_int_eq((int)kvt_key_chain(&ns, tokens, 3, 2, true, keys), 2);
    ck_assert_int_eq(wl_next(s, &r), 1);
    ck_assert_uint_eq(r.prompt_tokens, 3);
    ck_assert_uint_eq(r.output_tokens, 128);
    ck_assert_uint_eq(r.n_keys, 2);
    ck_assert(kvt_key_equal(r.keys[0], keys[0]) && kvt_key_equal(r.keys[1], keys[1]));
    ck_assert_int_eq(wl_next(s, &r), 1);
    ck_assert_uint_eq(r.arrive_ns, 20 * KVT_MILLISECOND);
    ck_assert(kvt_key_equal(r.keys[0], keys[0]) && !kvt_key_equal(r.keys[1], keys[1]));
    ck_assert_uint_eq(r.session, 0);
    ck_assert_int_eq(wl_next(s, &r), 1);
    ck_assert_uint_eq(r.arrive_ns, 500 * KVT_MILLISECOND);
    ck_assert_uint_eq(r.n_keys, 1);
    expect_end(s);
}
END_TEST

START_TEST(prompts_refused)
{
    refused("{\"text\": \"\"}", "t:1: text: expected 1 to 2147483647 tokens");
    refused("{\"text\": 5}", "t:1: text: expected text (a string) or tokens (a list)");
    refused("{\"text\": \"a\", \"tokens\": [1]}",
            "t:1: text: expected text (a string) or tokens (a list)");
    refused("{\"tokens\": [1, -1]}",
            "t:1: tokens: expected whole numbers from 0 to 4294967295, number 2 is not");
    refused("{\"text\": \"a\", \"tenant\": 1.5}",
            "t:1: tenant: expected a name or a whole number, found 1.5");
    refused("{\"text\": \"a\", \"tenant\": 1}\n{\"text\": \"a\", \"tenant\": \"b\"}",
            "t:2: tenant: expected a number, as in the lines before");
}
END_TEST

/* Salted tenants share no key; unsalted ones share all. */
START_TEST(tenants_apart)
{
    const char *text[] = {
        "{\"text\": \"abcdefgh\", \"tenant\": \"a\"}\n{\"text\": \"abcdefgh\", \"tenant\": "
        "\"b\"}\n",
        "{\"timestamp\":0,\"input_length\":2,\"output_length\":1,\"tenant\":0,\"hash_ids\":[1]}\n"
        "{\"timestamp\":0,\"input_length\":2,\"output_length\":1,\"tenant\":1,\"hash_ids\":[1]}\n"};
    for (int i = 0; i < 4; i++) {
        struct kvt_request r;
        options.block_tokens = 2;
        options.trace_block_tokens = 2;
        options.tenant_salts = i % 2;
        struct wl_source *s = opened(text[i / 2]);
        ck_assert_int_eq(wl_next(s, &r), 1);
        const kvt_key first = r.keys[0];
        ck_assert_int_eq(wl_next(s, &r), 1);
        ck_assert_uint_eq(r.tenant, 1);
        ck_assert(kvt_key_equal(first, r.keys[0]) == !options.tenant_salts);
        wl_close(s);
    }
}
END_TEST

START_TEST(lengths_only)
{
    options.block_tokens = 100;
    options.synth.continues = 1;
    options.synth.system_tokens = 150;
    options.synth.idle_ns = 10 * KVT_SECOND;
    struct wl_source *s = opened("TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
                                 "2023-11-16 23:59:59.9799600,200,100\r\n"
                                 "2023-11-17T00:00:00.9799601Z,450,50\r\n"
                                 "2023-11-17 00:00:01.98+00:00,300,0\r\n"
                                 "2023-11-17 00:00:30,900,0\r\n");
    struct kvt_request r[4];
    kvt_key keys[4][9];
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(wl_next(s, &r[i]), 1);
        memcpy(keys[i], r[i].keys, r[i].n_keys * sizeof keys[i][0]);
    }
    ck_assert_uint_eq(r[1].arrive_ns, KVT_SECOND + 100);
    ck_assert_uint_eq(r[0].n_keys, 3);
    ck_assert_uint_eq(r[1].n_keys, 5);
    ck_assert_mem_eq(keys[0], keys[1], 3 * sizeof keys[0][0]); /* continues */
    ck_assert_uint_eq(r[0].session, r[1].session);
    /* 500 tokens are too long a text for a prompt of 300: a conversation of its own, one block shared. */
    ck_assert_uint_ne(r[2].session, r[1].session);
    ck_assert(kvt_key_equal(keys[2][0], keys[1][0]) && !kvt_key_equal(keys[2][1], keys[1][1]));
    ck_assert_uint_ne(r[3].session, r[2].session); /* all idle too long */
    expect_end(s);
    options.synth.continues = 0;
    s = opened("Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
               "5,ChatGPT,472,18,490,Conversation log\n"
               "45.5,GPT-4,1087,0,1087,API log\n");
    ck_assert_int_eq(wl_next(s, &r[0]), 1);
    ck_assert_uint_eq(r[0].prompt_tokens, 472);
    ck_assert_int_eq(wl_next(s, &r[1]), 1);
    ck_assert_uint_eq(r[1].arrive_ns, 40500 * KVT_MILLISECOND);
    ck_assert_uint_eq(r[1].output_tokens, 0);
    expect_end(s);
}
END_TEST

START_TEST(lengths_refused)
{
#define HEAD "TIMESTAMP,ContextTokens,GeneratedTokens\n"
    refused("TIMESTAMP,ContextTokens\n1,2\n", "t:1: expected a column named GeneratedTokens");
    refused(HEAD "1,2\n", "t:2: expected 3 fields, found 2");
    refused(HEAD "1,0,5\n",
            "t:2: ContextTokens: expected a whole number from 1 to 2147483647, found \"0\"");
    refused(HEAD "1,5,x\n",
            "t:2: GeneratedTokens: expected a whole number from 0 to 2147483647, found \"x\"");
    refused(HEAD "2023-13-01 00:00:00,5,5\n",
            "t:2: TIMESTAMP: expected seconds or a time such as 2023-11-16 18:17:03.98, found "
            "\"2023-13-01 00:00:00\"");
    refused(HEAD "2,5,5\n1,5,5\n",
            "t:3: timestamp: expected no earlier than the line before, time goes backwards");
    refused(HEAD, "t: expected requests, there are none (after skip)");
}
END_TEST

START_TEST(files)
{
    char folder[] = "/tmp/kvt_read_XXXXXX", path[64], want[200];
    struct wl_source *s;
    struct wl_error error;
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/t.jsonl", folder);
    options.path = path;
    ck_assert_int_eq(wl_open(&s, &options, &error), -ENOENT);
    snprintf(want, sizeof want, "%s: expected a trace that can be read: No such file or directory",
             path);
    ck_assert_str_eq(error.text, want);
    ck_assert_int_eq(mkfifo(path, 0600), 0); /* must not hang */
    ck_assert_int_eq(wl_open(&s, &options, &error), -EINVAL);
    unlink(path);
    FILE *file = fopen(path, "w");
    /* A line longer than the reader's first buffer, and no line end at the end of the file. */
    fprintf(file, "{\"timestamp\": 0, \"input_length\": 51200000, \"output_length\": 1, "
                  "\"hash_ids\": [");
    for (int i = 0; i < 100000; i++)
        fprintf(file, "%s%d", i > 0 ? ", " : "", i);
    fprintf(file, "]}\n%s",
            "{\"timestamp\": 1, \"input_length\": 512, \"output_length\": 1, "
            "\"hash_ids\": [0]}");
    fclose(file);
    ck_assert_int_eq(wl_open(&s, &options, &error), 0);
    struct kvt_request r;
    ck_assert_int_eq(wl_next(s, &r), 1);
    ck_assert_uint_eq(r.n_keys, 100000);
    expect(s, KVT_MILLISECOND, 512, 1, 1, 0);
    expect_end(s);
    unlink(path);
    options.path = folder;
    ck_assert_int_eq(wl_open(&s, &options, &error), -EINVAL);
    rmdir(folder);
}
END_TEST

START_TEST(selection)
{
    const char *text = LINE(1000, 512, 9, "[1]") LINE(2000, 512, 9, "[2]") LINE(3000, 512, 9, "[3]")
        LINE(5000, 512, 9, "[4]") LINE(1, 1, 1, "junk beyond the limit is not looked at");
    options.skip = 1;
    options.limit = 3;
    options.rate_scale = 2;
    options.max_output_tokens = 4;
    struct wl_source *s = opened(text);
    for (int pass = 0; pass < 2; pass++) {
        ck_assert_uint_eq(expect(s, 0, 512, 4, 1, 2).id, 0);
        expect(s, 500 * KVT_MILLISECOND, 512, 4, 1, 3);
        ck_assert_uint_eq(expect(s, 1500 * KVT_MILLISECOND, 512, 4, 1, 4).id, 2);
        struct kvt_request r;
        ck_assert_int_eq(wl_next(s, &r), 0);
        wl_rewind(s);
    }
    wl_close(s);
}
END_TEST

/* ---- Cutting, beside a cutter that goes token by token ---------------------------------------------- */

/* The key ids of a ceil trace's record in blocks of c tokens: walks tokens, names each block by its last one. */
static int naive_cut(const uint64_t *ids, uint32_t t, uint32_t c, uint32_t prompt, bool partial,
                     uint64_t *cut)
{
    int n = 0;
    for (uint32_t token = 0; token < prompt; token++) {
        const bool full = (token + 1) % c == 0, last = token + 1 == prompt;
        if (!full && !(last && partial))
            continue;
        cut[n++] = t >= c ? ids[token / t] * (t / c) + token % t / c : ids[token / t];
    }
    return n;
}

START_TEST(cutting)
{
    static const uint32_t sizes[][2] = {{16, 16}, {16, 4}, {16, 1}, {4, 16}, {1, 16}, {8, 16}};
    struct kvt_namespace ns;
    ck_assert_int_eq(kvt_namespace_init(&ns, NULL, NULL, NULL), 0);
    for (uint32_t seed = 0; seed < 600; seed++) {
        const uint64_t dice = kvt_mix64(seed + 1);
        const uint32_t t = sizes[seed % 6][0], c = sizes[seed % 6][1];
        const uint32_t prompt = 1 + (uint32_t)(dice % 70);
        char text[1000];
        uint64_t ids[70], cut[70];
        uint32_t n_ids = (prompt + t - 1) / t;
        int at = snprintf(text, sizeof text,
                          "{\"timestamp\": 0, \"input_length\": %u, \"output_length\": 30, "
                          "\"hash_ids\": [",
                          prompt);
        for (uint32_t i = 0; i < n_ids; i++) {
            ids[i] = kvt_mix64(dice + i) % 1000;
            at += snprintf(text + at, sizeof text - (size_t)at, "%s%d", i > 0 ? "," : "",
                           (int)ids[i]);
        }
        snprintf(text + at, sizeof text - (size_t)at, "]}");
        options.trace_block_tokens = t;
        options.block_tokens = c;
        options.partial_blocks = dice >> 32 & 1;
        struct wl_source *s = opened(text);
        struct kvt_request r;
        const int n = naive_cut(ids, t, c, prompt, options.partial_blocks, cut);
        ck_assert_int_eq(wl_next(s, &r), 1);
        ck_assert_msg((int)r.n_keys == n, "seed %u: %u keys, expected %d", seed, r.n_keys, n);
        for (int i = 0; i < n; i++)
            ck_assert_msg(kvt_key_equal(r.keys[i], kvt_key_of_id(&ns, cut[i])), "seed %u, key %d",
                          seed, i);
        wl_close(s);
    }
    options.trace_block_tokens = 16;
    options.block_tokens = 24;
    refused(LINE(0, 16, 1, "[1]"), "t: block_tokens: expected a multiple or a divisor of the "
                                   "trace's blocks, 16 tokens; found 24");
    options.block_tokens = 1;
    refused(LINE(0, 16, 1, "[9223372036854775807]"),
            "t: hash_ids: expected numbers of at most 1152921504606846974 to cut blocks of 16 into "
            "1 tokens");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("workload_read");
    TCase *tc = tcase_create("formats");
    tcase_add_checked_fixture(tc, defaults, NULL);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, mooncake_ceil);
    tcase_add_test(tc, floor_and_session);
    tcase_add_test(tc, stated_block_size);
    tcase_add_test(tc, qwen);
    tcase_add_test(tc, mooncake_refused);
    tcase_add_test(tc, lifting_changes_nothing);
    tcase_add_test(tc, prompts);
    tcase_add_test(tc, prompts_refused);
    tcase_add_test(tc, tenants_apart);
    tcase_add_test(tc, lengths_only);
    tcase_add_test(tc, lengths_refused);
    tcase_add_test(tc, files);
    tcase_add_test(tc, selection);
    tcase_add_test(tc, cutting);
    suite_add_tcase(suite, tc);
    return kvt_test_main(suite);
}
