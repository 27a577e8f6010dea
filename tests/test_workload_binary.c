/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_workload_binary.c - our own trace format: what is written is read, and nothing else is.
 *
 * Every truncation and every flip of a single bit of a small file must be refused with one line. Bytes whose
 * checksums are right but whose content is hostile go to the decoder directly.
 */
#include "core/mix.h"
#include "kvt_test.h"
#include "workload/binary.h"
#include "workload/codec.h"
#include "workload_help.h"

#include <errno.h>

/* ---- Codec, on random records ----------------------------------------------------------------------- */

struct kept {
    struct wl_record r;
    uint64_t ids[64];
};

/* Runs, jumps back and forth, and the ends of the range. */
static void random_record(struct kept *k, uint64_t seed, kvt_ns after)
{
    uint64_t dice = kvt_mix64(seed);
    memset(k, 0, sizeof *k);
    k->r.at_ns = after + (dice % 3 == 0 ? 0 : kvt_mix64(dice) >> (20 + dice % 40));
    k->r.prompt_tokens = 64 + (uint32_t)(dice >> 20) % 100000;
    k->r.output_tokens = (uint32_t)(dice >> 40) % 1000;
    k->r.tenant = dice % 5 == 0 ? WL_TENANTS_MOST - 1 : (uint32_t)(dice % 5);
    k->r.session = dice % 7 == 0 ? KVT_NONE : (uint32_t)(dice >> 8);
    k->r.n_ids = (uint32_t)(dice >> 3) % 64;
    for (uint32_t i = 0; i < k->r.n_ids; i++) {
        dice = kvt_mix64(dice + i);
        k->ids[i] = i > 0 && dice % 4 != 0 ? k->ids[i - 1] + 1
                    : dice % 8 == 0        ? UINT64_MAX - dice % 3
                                           : dice >> (dice % 64);
    }
    k->r.has_tail = dice % 2;
    k->r.tail_id = k->r.has_tail ? kvt_mix64(dice) : 0;
}

START_TEST(records_survive)
{
    enum { N = 200 };
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct wl_encoder e = {0};
        struct wl_decoder d = {0};
        static struct kept kept[N];
        struct wl_record r;
        const char *why;
        kvt_ns at = 0;
        for (int i = 0; i < N; i++) {
            random_record(&kept[i], seed * 1000 + (uint64_t)i, at);
            at = kept[i].r.at_ns;
            kept[i].r.ids = kept[i].ids;
            ck_assert_int_eq(wl_encode(&e, &kept[i].r), 0);
        }
        ck_assert_uint_eq(e.records, N);
        wl_decoder_chunk(&d, e.bytes, e.size_b, e.records);
        for (int i = 0; i < N; i++) {
            const struct wl_record *k = &kept[i].r;
            ck_assert_msg(wl_decode(&d, &r, &why) == 1, "seed %d record %d: %s", (int)seed, i, why);
            ck_assert_uint_eq(r.at_ns, k->at_ns);
            ck_assert_uint_eq(r.prompt_tokens, k->prompt_tokens);
            ck_assert_uint_eq(r.output_tokens, k->output_tokens);
            ck_assert_uint_eq(r.tenant, k->tenant);
            ck_assert_uint_eq(r.session, k->session);
            ck_assert_uint_eq(r.n_ids, k->n_ids);
            ck_assert(r.has_tail == k->has_tail && r.tail_id == k->tail_id);
            if (r.n_ids > 0)
                ck_assert_mem_eq(r.ids, k->ids, r.n_ids * sizeof r.ids[0]);
        }
        ck_assert_int_eq(wl_decode(&d, &r, &why), 0);
        wl_encoder_release(&e);
        wl_decoder_release(&d);
    }
}
END_TEST

/* What a chunk must not say, checksum or not. */
START_TEST(hostile_chunks)
{
#define HUGE_VARINT 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01
    static const struct {
        unsigned char bytes[40];
        size_t n;
    } cases[] = {
        {{0}, 0},                                            /* nothing */
        {{0, 5, 1, 0, 0, 0, 9}, 7},                          /* a byte left over */
        {{0, 0, 1, 0, 0, 0}, 6},                             /* no prompt */
        {{0, 5, 1, 0, 0, 2}, 6},                             /* cut in the ids */
        {{0, 5, 1, 0, 0, 2, 0, 1}, 8},                       /* a run longer than the ids */
        {{0, 5, 1, 0, 0, 1}, 6},                             /* no tail */
        {{0, 5, 0, 0, 0, 14}, 6},                            /* more ids than tokens */
        {{HUGE_VARINT, 5, 1, 0, 0, 0}, 15},                  /* KVT_NEVER */
        {{0, 5, 1, 0x80, 0x80, 0x80, 1, 0, 0}, 9},           /* tenant 2^21 */
        {{0, 5, 1, 0, 0x80, 0x80, 0x80, 0x80, 0x10, 0}, 10}, /* session 2^32 - 1 */
        {{0, 5, 1, 0, 0, 4, 1, 1}, 8},                       /* a run beyond 2^64 - 1 */
        {{0, 0xff, 0xff, 0xff, 0xff, 0x07, 1, 0, 0, 0}, 10}, /* prompt + output 2^31 */
        {{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1, 1, 1, 0, 0, 0}, 16},
        {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 5, 1, 0, 0, 0}, 15},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct wl_decoder d = {0};
        struct wl_record r;
        const char *why = NULL;
        /* On the heap, so that reading beyond it is noticed. */
        unsigned char *copy = malloc(cases[i].n + (cases[i].n == 0));
        memcpy(copy, cases[i].bytes, cases[i].n);
        wl_decoder_chunk(&d, copy, cases[i].n, 1);
        int status;
        while ((status = wl_decode(&d, &r, &why)) == 1)
            continue;
        ck_assert_msg(status == -EINVAL && why != NULL, "case %zu", i);
        free(copy);
        wl_decoder_release(&d);
    }
}
END_TEST

/* ---- Files ------------------------------------------------------------------------------------------ */

/* All of a file that the writer has closed; closes it as well. The caller frees. */
static unsigned char *bytes_of(FILE *file, size_t *size_b)
{
    ck_assert_int_eq(fseek(file, 0, SEEK_END), 0);
    *size_b = (size_t)ftell(file);
    rewind(file);
    unsigned char *bytes = malloc(*size_b);
    ck_assert_uint_eq(fread(bytes, 1, *size_b, file), *size_b);
    fclose(file);
    return bytes;
}

/* A trace of a few requests in memory, as the writer writes it. */
static unsigned char *small_file(size_t *size_b, int requests, bool partial)
{
    struct wl_record r = {.session = KVT_NONE, .tenant = 1};
    FILE *file = tmpfile();
    struct wl_binary_writer *w = wl_binary_writer_new(file, 16, partial);
    uint64_t ids[40];
    ck_assert_ptr_nonnull(w);
    for (int i = 0; i < requests; i++) {
        r.at_ns += 1000;
        r.prompt_tokens = 40 + (uint32_t)i;
        r.output_tokens = 30;
        r.n_ids = (r.prompt_tokens + r.output_tokens) / 16;
        if (r.n_ids > 40)
            r.n_ids = 40;
        for (uint32_t k = 0; k < r.n_ids; k++)
            ids[k] = k < 2 ? k : (uint64_t)i * 100 + k;
        r.ids = ids;
        r.has_tail = partial && r.prompt_tokens % 16 != 0 && r.n_ids >= r.prompt_tokens / 16;
        r.tail_id = 7777;
        ck_assert_int_eq(wl_binary_write(w, &r), 0);
    }
    ck_assert_int_eq(wl_binary_writer_close(w), 0);
    return bytes_of(file, size_b);
}

static int try_open(const void *bytes, size_t size_b, uint64_t *digest, struct wl_error *error)
{
    struct wl_options o;
    struct wl_source *s;
    wl_options_init(&o);
    o.path = "t";
    o.partial_blocks = true;
    /* An exact copy on the heap, so that reading beyond it is noticed. */
    void *copy = malloc(size_b + (size_b == 0));
    memcpy(copy, bytes, size_b);
    const int status = wl_open_memory(&s, &o, copy, size_b, error);
    if (status == 0) {
        digest_of(s, digest);
        ck_assert_str_eq(wl_source_error(s), "");
        wl_close(s);
    }
    free(copy);
    return status;
}

static void check_one_line(const struct wl_error *error)
{
    ck_assert_str_ne(error->text, "");
    ck_assert_ptr_null(strchr(error->text, '\n'));
    ck_assert_ptr_nonnull(strstr(error->text, "expected"));
}

START_TEST(cut_and_flipped)
{
    size_t size_b;
    uint64_t good, digest;
    struct wl_error error;
    unsigned char *bytes = small_file(&size_b, 5, true);
    ck_assert_int_eq(try_open(bytes, size_b, &good, &error), 0);
    for (size_t n = 0; n < size_b; n++) {
        ck_assert_msg(try_open(bytes, n, &digest, &error) == -EINVAL, "cut to %zu", n);
        check_one_line(&error);
    }
    for (size_t bit = 0; bit < size_b * 8; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
        ck_assert_msg(try_open(bytes, size_b, &digest, &error) == -EINVAL, "bit %zu", bit);
        check_one_line(&error);
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    unsigned char *longer = malloc(size_b + 1);
    memcpy(longer, bytes, size_b);
    longer[size_b] = 0;
    ck_assert_int_eq(try_open(longer, size_b + 1, &digest, &error), -EINVAL);
    free(longer);
    free(bytes);
}
END_TEST

/* Two chunks and more, swapped: right checksums each, wrong order. */
START_TEST(chunks_swapped)
{
    size_t size_b;
    uint64_t digest;
    struct wl_error error;
    unsigned char *bytes = small_file(&size_b, 60000, false);
    const size_t first = 64, size = 16 + (size_t)bytes[64] + ((size_t)bytes[65] << 8) +
                                    ((size_t)bytes[66] << 16) + ((size_t)bytes[67] << 24);
    const size_t second = first + size;
    ck_assert_uint_lt(second, size_b - 16);
    ck_assert_int_eq(try_open(bytes, size_b, &digest, &error), 0);
    const size_t next = 16 + (size_t)bytes[second] + ((size_t)bytes[second + 1] << 8) +
                        ((size_t)bytes[second + 2] << 16);
    unsigned char *copy = malloc(size_b);
    memcpy(copy, bytes, size_b);
    memcpy(copy + first, bytes + second, next);
    memcpy(copy + first + next, bytes + first, size);
    ck_assert_int_eq(try_open(copy, size_b, &digest, &error), -EINVAL);
    check_one_line(&error);
    free(copy);
    free(bytes);
}
END_TEST

/* Generated traffic through a file and back: equal requests, for all kinds, both ways of cutting. */
START_TEST(generated_survives)
{
    static const char *const kinds[] = {"chat", "agent", "rag", "zipf-tree"};
    struct wl_options o, back;
    struct wl_error error;
    struct wl_source *s;
    struct wl_record r;
    size_t size_b;
    wl_options_init(&o);
    ck_assert_int_eq(wl_generate_set(&o.generate, "kind", kinds[_i / 2], &error), 0);
    ck_assert_int_eq(wl_generate_set(&o.generate, "requests", "5000", &error), 0);
    o.block_tokens = 64;
    o.partial_blocks = _i % 2;
    ck_assert_int_eq(wl_open(&s, &o, &error), 0);
    FILE *file = tmpfile();
    struct wl_binary_writer *w = wl_binary_writer_new(file, 64, true);
    while (wl_next_record(s, &r) == 1)
        ck_assert_int_eq(wl_binary_write(w, &r), 0);
    ck_assert_int_eq(wl_binary_writer_close(w), 0);
    unsigned char *bytes = bytes_of(file, &size_b);
    wl_options_init(&back);
    back.partial_blocks = _i % 2;
    struct wl_source *read;
    ck_assert_msg(wl_open_memory(&read, &back, bytes, size_b, &error) == 0, "%s", error.text);
    /* A file's first request arrives at 0. */
    struct kvt_request a, b;
    kvt_ns first = 0;
    wl_rewind(s);
    for (int i = 0; i < 5000; i++) {
        ck_assert_int_eq(wl_next(s, &a), 1);
        ck_assert_int_eq(wl_next(read, &b), 1);
        first = i == 0 ? a.arrive_ns : first;
        ck_assert_uint_eq(a.arrive_ns - first, b.arrive_ns);
        ck_assert_uint_eq(a.prompt_tokens, b.prompt_tokens);
        ck_assert_uint_eq(a.output_tokens, b.output_tokens);
        ck_assert_uint_eq(a.tenant, b.tenant);
        ck_assert_uint_eq(a.session, b.session);
        ck_assert_uint_eq(a.n_keys, b.n_keys);
        if (a.n_keys > 0)
            ck_assert_mem_eq(a.keys, b.keys, a.n_keys * sizeof a.keys[0]);
    }
    ck_assert_int_eq(wl_next(read, &b), 0);
    wl_close(read);
    wl_close(s);
    free(bytes);
}
END_TEST

/* A disk that is full: the error comes out at the end at the latest. */
START_TEST(full_disk)
{
    FILE *file = fopen("/dev/full", "wb");
    struct wl_record r = {.prompt_tokens = 1, .session = KVT_NONE};
    if (file == NULL) {
        kvt_test_skip("no /dev/full");
        return;
    }
    struct wl_binary_writer *w = wl_binary_writer_new(file, 16, false);
    int status = 0;
    for (int i = 0; i < 100000 && status == 0; i++)
        status = wl_binary_write(w, &r);
    const int closed = wl_binary_writer_close(w);
    ck_assert_int_lt(closed, 0);
    ck_assert(status == 0 || status == closed);
    fclose(file);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("workload_binary");
    TCase *tc = tcase_create("binary");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, records_survive);
    tcase_add_test(tc, hostile_chunks);
    tcase_add_test(tc, cut_and_flipped);
    tcase_add_test(tc, chunks_swapped);
    tcase_add_loop_test(tc, generated_survives, 0, 8);
    tcase_add_test(tc, full_disk);
    suite_add_tcase(suite, tc);
    return kvt_test_main(suite);
}
