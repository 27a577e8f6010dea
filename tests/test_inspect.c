/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_inspect.c - the parts of kvtwin inspect: statistics beside a naive computation, values from folders.
 *
 * With the argument "write FOLDER" it is no test, but writes sample values there, for cli_inspect.sh to look at: packed
 * ones by their keys, and one layer as three values.
 */
#include "cli/inspect.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/value.h"
#include "dice.h"

/* ---- Statistics ------------------------------------------------------------------------------------- */

enum { LAYERS = 3, MATRIX = 1500, ALL = LAYERS * 2 * MATRIX };

static float wide[ALL];
static uint16_t narrow[ALL];

static double ratio_of(double a, double b)
{
    return fabs(a - b) / (fabs(b) + 1e-30);
}

static void check_part(const struct inspect_stats *stats, const float *values, uint32_t part,
                       uint32_t n_parts)
{
    double sum = 0, squares = 0, min = INFINITY, max = -INFINITY;
    uint64_t n = 0, nan = 0, infinite = 0;
    for (size_t i = 0; i < (size_t)LAYERS * n_parts * MATRIX; i++) {
        if (i / MATRIX % n_parts != part)
            continue;
        nan += isnan(values[i]) != 0;
        infinite += isinf(values[i]) != 0;
        if (!isfinite(values[i]))
            continue;
        n++;
        sum += values[i];
        min = values[i] < min ? values[i] : min;
        max = values[i] > max ? values[i] : max;
    }
    for (size_t i = 0; i < (size_t)LAYERS * n_parts * MATRIX; i++)
        if (i / MATRIX % n_parts == part && isfinite(values[i]))
            squares += (values[i] - sum / (double)n) * (values[i] - sum / (double)n);
    ck_assert_uint_eq(stats->elements, (uint64_t)LAYERS * MATRIX);
    ck_assert_uint_eq(stats->nan, nan);
    ck_assert_uint_eq(stats->infinite, infinite);
    ck_assert_double_eq(stats->min, min);
    ck_assert_double_eq(stats->max, max);
    ck_assert_double_lt(ratio_of(stats->mean, sum / (double)n), 1e-9);
    ck_assert_double_lt(ratio_of(stats->deviation, sqrt(squares / (double)n)), 1e-9);
}

START_TEST(statistics)
{
    static const enum k_dtype dtypes[] = {K_FP32, K_BF16, K_FP16};
    const enum k_dtype dtype = dtypes[_i];
    dice_seed(5);
    for (size_t i = 0; i < ALL; i++)
        wide[i] = 100.0F + (float)dice_below(1000) / 100.0F;
    wide[7] = (float)NAN;
    wide[MATRIX + 1] = (float)INFINITY;
    wide[MATRIX + 2] = -(float)INFINITY;
    if (dtype == K_BF16) {
        k_cast_f32_to_bf16(wide, narrow, ALL);
        k_cast_bf16_to_f32(narrow, wide, ALL);
    } else if (dtype == K_FP16) {
        k_cast_f32_to_fp16(wide, narrow, ALL);
        k_cast_fp16_to_f32(narrow, wide, ALL);
    }
    const void *raw = dtype == K_FP32 ? (const void *)wide : narrow;
    for (uint32_t n_parts = 1; n_parts <= 2; n_parts++) {
        struct inspect_stats stats[2];
        inspect_kv(raw, dtype, LAYERS, MATRIX, n_parts, stats);
        for (uint32_t part = 0; part < n_parts; part++)
            check_part(&stats[part], wide, part, n_parts);
    }
}
END_TEST

START_TEST(nothing_finite)
{
    struct inspect_stats stats[2];
    const float values[2] = {(float)NAN, (float)INFINITY};
    inspect_kv(values, K_FP32, 1, 2, 1, stats);
    ck_assert_uint_eq(stats[0].nan, 1);
    ck_assert_uint_eq(stats[0].infinite, 1);
    ck_assert(isnan(stats[0].min) && isnan(stats[0].max));
    ck_assert(isnan(stats[0].mean) && isnan(stats[0].deviation));
}
END_TEST

/* ---- Files ------------------------------------------------------------------------------------------ */

START_TEST(files)
{
    char folder[512], path[600], error[256];
    const char *tmp = getenv("TMPDIR");
    struct inspect_bytes value;
    int rc;
    snprintf(folder, sizeof folder, "%.400s/kvtwin-inspect-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    struct inspect_source *source = inspect_source_folder(folder, &rc, error, sizeof error);
    ck_assert_ptr_nonnull(source);
    ck_assert_int_eq(inspect_get(source, "none", &value, error, sizeof error), -ENOENT);
    ck_assert_int_eq(inspect_get(source, ".", &value, error, sizeof error), -EISDIR);

    snprintf(path, sizeof path, "%s/fifo", folder);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(inspect_get(source, "fifo", &value, error, sizeof error), -EISDIR);
    unlink(path);

    snprintf(path, sizeof path, "%s/file", folder);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs("seven b", file);
    fclose(file);
    ck_assert_int_eq(inspect_get(source, "file", &value, error, sizeof error), 0);
    ck_assert_uint_eq(value.n, 7);
    ck_assert_int_eq(memcmp(value.bytes, "seven b", 7), 0);
    free(value.bytes);
    ck_assert_int_eq(truncate(path, (off_t)INSPECT_MOST_B + 1), 0); /* a hole: costs nothing */
    ck_assert_int_eq(inspect_get(source, "file", &value, error, sizeof error), -EFBIG);
    unlink(path);

    inspect_source_free(source);
    rmdir(folder);
    ck_assert_ptr_null(inspect_source_folder(folder, &rc, error, sizeof error));
    ck_assert_int_eq(rc, -ENOENT);
    ck_assert_ptr_null(inspect_source_redis("redis://", &rc, error, sizeof error));
    ck_assert_int_eq(rc, -EINVAL);
}
END_TEST

/* ---- Samples ---------------------------------------------------------------------------------------- */

static int save(const char *folder, const char *name, const void *bytes, size_t n)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    return file && fwrite(bytes, 1, n, file) == n && fclose(file) == 0 ? 0 : 1;
}

static int write_samples(const char *folder)
{
    static const char *const codecs[] = {"none", "planes,zstd-1", "int8"};
    struct be_format f = {
        .epoch = 77,
        .geometry = {.layers = 8, .heads = 4, .head_dim = 64, .page_tokens = 16, .dtype = K_BF16},
        .shards = 2,
        .piece_layers = 3,
    };
    const struct k_part all = {.tokens = 32, .layers = 3};
    const size_t raw_b = k_packed_b(&f.geometry, 3, 32);
    unsigned char *raw = malloc(raw_b), *value = malloc(2 * raw_b), *scratch = malloc(8 * raw_b);
    char name[BE_NAME_B], error[160];
    int failed = !raw || !value || !scratch;
    if (!failed)
        k_fill_packed(&f.geometry, &all, 9, raw);
    for (size_t i = 0; i < sizeof codecs / sizeof *codecs && !failed; i++) {
        const struct be_piece p = be_piece_at(&f, (kvt_key){i, 5}, 32, 3);
        size_t n;
        failed = be_codec_parse(&f.codec, codecs[i], error, sizeof error) ||
                 be_codec_scratch_b(&f.codec, &(struct be_shape){3, 32, 256, K_BF16, BE_K_AND_V}) >
                     8 * raw_b ||
                 be_value_write(&f, &p, raw, value, 2 * raw_b, &n, scratch);
        be_piece_name(&p, NULL, name);
        failed = failed || save(folder, name, value, n);
    }
    f.piece_layers = 1;
    struct be_piece p = be_piece_at(&f, (kvt_key){100, 5}, 32, 2);
    struct be_layer layer;
    failed = failed || be_layer_write(&f, &p, raw, value, 2 * raw_b, &layer, scratch);
    static const char *const suffixes[] = {"meta", "k", "v"};
    for (int i = 0; i < 3 && !failed; i++) {
        be_piece_name(&p, suffixes[i], name);
        failed = save(folder, name,
                      i == 0   ? layer.meta
                      : i == 1 ? layer.k
                               : layer.v,
                      i == 0   ? layer.meta_b
                      : i == 1 ? layer.k_b
                               : layer.v_b);
    }
    failed = failed || save(folder, "raw", raw, raw_b);
    free(raw);
    free(value);
    free(scratch);
    return failed;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "write") == 0)
        return write_samples(argv[2]);
    Suite *suite = suite_create("inspect");
    TCase *tcase = tcase_create("parts");
    tcase_add_loop_test(tcase, statistics, 0, 3);
    tcase_add_test(tcase, nothing_finite);
    tcase_add_test(tcase, files);
    suite_add_tcase(suite, tcase);
    return kvt_test_main(suite);
}
