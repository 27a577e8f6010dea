/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_results_files.c - what a run leaves: keys, sums over lines, the same bytes twice, and earlier results
 * kept whatever fails.
 *
 *   test_results_files --write REQUESTS DIR     writes a made-up run instead (for tests/cli_plot.sh)
 */
#include "kvt_test.h"

#include "fake_run.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch[] = "build/test_results_files.XXXXXX";
static char why[512];

/* ---- Help. ---- */

static void remove_tree(const char *path)
{
    char inside[1024];
    DIR *stream = opendir(path);

    for (struct dirent *e; stream != NULL && (e = readdir(stream)) != NULL;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(inside, sizeof inside, "%s/%s", path, e->d_name);
        if (unlink(inside) != 0)
            remove_tree(inside);
    }
    if (stream != NULL)
        closedir(stream);
    rmdir(path);
}

static size_t entries_in(const char *path)
{
    size_t n = 0;
    DIR *stream = opendir(path);

    for (struct dirent *e; stream != NULL && (e = readdir(stream)) != NULL;)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    if (stream != NULL)
        closedir(stream);
    return n;
}

static const char *in_scratch(const char *name)
{
    static char path[16][256];
    static unsigned turn;
    char *p = path[turn++ % 16];

    snprintf(p, sizeof path[0], "%s/%s", scratch, name);
    return p;
}

/* The file's text, freed by the caller; NULL when it is not there. */
static char *slurp(const char *dir, const char *name, size_t *length)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    *length = 0;
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        return NULL;
    fseek(f, 0, SEEK_END);
    *length = (size_t)ftell(f);
    rewind(f);
    char *text = malloc(*length + 1);
    ck_assert_uint_eq(fread(text, 1, *length, f), *length);
    text[*length] = '\0';
    fclose(f);
    return text;
}

static void write_text(const char *dir, const char *name, const char *text)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

/* A closed collector; NULL with the reason in why[]. No check macros: --write runs outside of a test. */
static struct results *collect(struct fake_run *f, const char *dir)
{
    struct results_options options;
    int error = 0;

    fake_options(&options, dir, f);
    struct results *r = results_new(&options, &error, why, sizeof why);
    if (r != NULL) {
        fake_run(f, r);
        error = fake_close(f, r, why, sizeof why);
    }
    if (error == 0)
        return r;
    results_free(r);
    return NULL;
}

/* A whole run with baseline, written to dir. */
static int write_run(const char *dir, uint32_t requests, uint64_t seed)
{
    struct fake_run on = {.seed = seed, .requests = requests, .engines = 2, .cache = true};
    struct fake_run off = {.seed = seed, .requests = requests, .engines = 2};
    struct results *baseline = collect(&off, NULL);
    struct results *r = collect(&on, dir);
    int status = r != NULL && baseline != NULL ? results_write(r, baseline, why, sizeof why) : -EIO;

    results_free(r);
    results_free(baseline);
    return status;
}

static json_t *load_summary(const char *dir)
{
    char path[1024];
    json_error_t error;
    snprintf(path, sizeof path, "%s/summary.json", dir);
    json_t *summary = json_load_file(path, 0, &error);
    ck_assert_msg(summary != NULL, "%s", error.text);
    return summary;
}

static double number(const json_t *summary, const char *key)
{
    const json_t *value = json_object_get(summary, key);
    ck_assert_msg(json_is_number(value), "%s: no number", key);
    return json_number_value(value);
}

/* ---- Figures in files. ---- */

START_TEST(nothing_is_undefined_not_wrong)
{
    struct fake_run f = {.seed = 1, .engines = 1};
    const char *dir = in_scratch("nothing");
    struct results *r = collect(&f, dir);

    ck_assert_msg(r != NULL && results_write(r, NULL, why, sizeof why) == 0, "%s", why);
    json_t *summary = load_summary(dir);
    ck_assert(json_is_null(json_object_get(summary, "ttft_p50_ms")));
    ck_assert(json_is_null(json_object_get(summary, "prefix_hit_rate")));
    ck_assert_ptr_null(json_object_get(summary, "baseline_ttft_p50_ms"));
    ck_assert_double_eq(number(summary, "requests"), 0);
    json_decref(summary);
    results_free(r);
}
END_TEST

START_TEST(summary_has_the_keys_and_adds_up)
{
    static const char *const keys[] = {"world",
                                       "seed",
                                       "scenario_sha256",
                                       "decisions_digest",
                                       "revision",
                                       "requests",
                                       "requests_failed",
                                       "requests_rejected",
                                       "prompt_tokens",
                                       "output_tokens",
                                       "hit_blocks",
                                       "lookup_blocks",
                                       "prefix_hit_rate",
                                       "ttft_mean_ms",
                                       "ttft_p50_ms",
                                       "ttft_p95_ms",
                                       "ttft_p99_ms",
                                       "tpot_p50_ms",
                                       "e2e_p95_ms",
                                       "queue_p99_ms",
                                       "itl_mean_ms",
                                       "output_tokens_per_s",
                                       "duration_s",
                                       "gpu_busy_ratio",
                                       "baseline_ttft_p50_ms",
                                       "baseline_output_tokens_per_s",
                                       "speedup_ttft_p50",
                                       "kv_waste_paged_ratio",
                                       "kv_waste_contiguous_ratio",
                                       "evicted_blocks_gpu",
                                       "bytes_read_redis",
                                       "bytes_written_disk",
                                       "orphan_bytes_host",
                                       "definition_ttft",
                                       "definition_itl"};
    double sum = 0;
    const char *dir = in_scratch("keys");

    ck_assert_msg(write_run(dir, 700, 4) == 0, "%s", why);
    json_t *summary = load_summary(dir);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        ck_assert_msg(json_object_get(summary, keys[i]) != NULL, "%s is missing", keys[i]);
    for (unsigned class = 0; class < KVT_LEDGER; class ++) {
        char key[64];
        const char *name = kvt_ledger_name((enum kvt_ledger) class);
        const char *rest = strchr(name, '_');
        snprintf(key, sizeof key, "%.*s_tokens%s", (int)(rest - name), name, rest);
        sum += number(summary, key);
    }
    ck_assert_double_eq(sum, number(summary, "prompt_tokens"));
    ck_assert_double_eq(number(summary, "requests"), 700);
    ck_assert_double_eq_tol(number(summary, "speedup_ttft_p50"),
                            number(summary, "baseline_ttft_p50_ms") /
                                number(summary, "ttft_p50_ms"),
                            1e-6);
    const char *key;
    json_t *value;
    json_object_foreach(summary, key, value)
        ck_assert_msg(!json_is_object(value) && !json_is_array(value), "%s is not flat", key);
    json_decref(summary);
    for (const char *const *file = results_files; *file != NULL; file++) {
        size_t length;
        char *text = slurp(dir, *file, &length);
        ck_assert_msg(text != NULL && length > 0, "%s", *file);
        free(text);
    }
    ck_assert_uint_eq(entries_in(dir), 21);
}
END_TEST

/* Column `name` of a CSV line by the header; NAN when the field is empty. */
static double field(const char *header, const char *line, const char *name)
{
    size_t n = strlen(name);

    for (;;) {
        bool here = strncmp(header, name, n) == 0 && (header[n] == ',' || header[n] == '\n');
        if (here)
            return *line == ',' || *line == '\n' ? (double)NAN : strtod(line, NULL);
        header = strchr(header, ',');
        line = strchr(line, ',');
        ck_assert_msg(header != NULL && line != NULL, "no column %s", name);
        header++;
        line++;
    }
}

/* First line that is no comment; *next is the one after it. */
static const char *csv_header(const char *text, const char **next)
{
    while (*text == '#')
        text = strchr(text, '\n') + 1;
    *next = strchr(text, '\n') + 1;
    return text;
}

START_TEST(lines_add_up_to_the_summary)
{
    const char *dir = in_scratch("lines"), *line;
    size_t length;
    double prompt = 0, n = 0, finished = 0, spans, ttft_sum = 0;

    ck_assert_msg(write_run(dir, 900, 5) == 0, "%s", why);
    json_t *summary = load_summary(dir);
    char *text = slurp(dir, "requests.csv", &length);
    const char *header = csv_header(text, &line);
    for (; *line != '\0'; line = strchr(line, '\n') + 1) {
        n++;
        if (strstr(line, ",finished,") == NULL || strstr(line, ",finished,") > strchr(line, '\n')) {
            ck_assert(isnan(field(header, line, "ttft_ms")));
            continue;
        }
        finished++;
        double ledger = 0;
        for (unsigned class = 0; class < KVT_LEDGER; class ++)
            ledger += field(header, line, kvt_ledger_name((enum kvt_ledger) class));
        ck_assert_double_eq(ledger, field(header, line, "prompt_tokens"));
        prompt += ledger;
        spans = 0;
        for (unsigned span = 0; span < KVT_SPANS; span++) {
            char name[32];
            snprintf(name, sizeof name, "%s_ms", kvt_span_name((enum kvt_span)span));
            spans += field(header, line, name);
        }
        ck_assert_double_eq_tol(spans, field(header, line, "ttft_ms"), 1e-6);
        ttft_sum += field(header, line, "ttft_ms");
    }
    ck_assert_double_eq(n, number(summary, "requests"));
    ck_assert_double_eq(finished, number(summary, "requests_finished"));
    ck_assert_double_eq(prompt, number(summary, "prompt_tokens"));
    ck_assert_double_eq_tol(ttft_sum / finished, number(summary, "ttft_mean_ms"), 1e-5);
    free(text);

    /* timeline: deltas add up to the totals, bounds do not run backwards */
    text = slurp(dir, "timeline.csv", &length);
    header = csv_header(text, &line);
    double arrived = 0, hits = 0, output = 0, last = 0, rows = 0, read = 0;
    for (; *line != '\0'; line = strchr(line, '\n') + 1, rows++) {
        ck_assert_double_gt(field(header, line, "time_s"), last);
        last = field(header, line, "time_s");
        arrived += field(header, line, "requests_arrived");
        hits += field(header, line, "hit_tokens_redis");
        output += field(header, line, "output_tokens");
        read += field(header, line, "bytes_read_redis");
    }
    ck_assert_double_eq(arrived, 900);
    ck_assert_double_eq(hits, number(summary, "hit_tokens_redis"));
    ck_assert_double_eq(read, number(summary, "bytes_read_redis"));
    ck_assert_double_eq_tol(output, number(summary, "output_tokens"), 0.05 * rows + 1);
    ck_assert_double_ge(rows, 400);
    ck_assert_double_le(rows, 1000);
    free(text);

    /* waterfall: spans to ttft, ttft and generation to e2e */
    text = slurp(dir, "stages.csv", &length);
    header = csv_header(text, &line);
    double sum = 0, ttft = 0;
    for (; *line != '\0'; line = strchr(line, '\n') + 1) {
        double mean = field(header, line, "mean_ms");
        const char *stage = strchr(line, ',') + 1;
        if (strncmp(stage, "ttft,", 5) == 0) {
            ck_assert_double_eq_tol(sum, mean, 1e-5);
            ttft = mean;
            sum = 0;
        } else if (strncmp(stage, "e2e,", 4) == 0) {
            ck_assert_double_eq_tol(ttft + sum, mean, 1e-5);
            sum = 0;
        } else {
            sum += mean;
        }
    }
    ck_assert_double_eq_tol(ttft, number(summary, "ttft_mean_ms"), 1e-5); /* "all" is last */
    free(text);
    json_decref(summary);
}
END_TEST

START_TEST(metrics_are_cumulative_and_end)
{
    const char *dir = in_scratch("metrics");
    size_t length;

    ck_assert_msg(write_run(dir, 300, 6) == 0, "%s", why);
    char *text = slurp(dir, "metrics.prom", &length);
    ck_assert_uint_gt(length, 6);
    ck_assert_str_eq(text + length - 6, "# EOF\n");
    double before = 0;
    unsigned buckets = 0;
    for (const char *at = text; (at = strstr(at, "first_token_seconds_bucket{")) != NULL; at++) {
        double count = strtod(strchr(at, '}') + 1, NULL);
        ck_assert_double_ge(count, before);
        before = count;
        buckets++;
    }
    ck_assert_uint_ge(buckets, 10);
    ck_assert_double_eq(before, strtod(strstr(text, "first_token_seconds_count") + 26, NULL));
    free(text);
}
END_TEST

START_TEST(same_bytes_twice)
{
    const char *a = in_scratch("a"), *b = in_scratch("b"), *c = in_scratch("c");
    unsigned differ = 0;

    ck_assert_msg(write_run(a, 2000, 7) == 0, "%s", why);
    ck_assert_msg(write_run(b, 2000, 7) == 0, "%s", why);
    ck_assert_msg(write_run(c, 2000, 8) == 0, "%s", why);
    for (const char *const *file = results_files; *file != NULL; file++) {
        size_t n[3];
        char *x = slurp(a, *file, &n[0]), *y = slurp(b, *file, &n[1]), *z = slurp(c, *file, &n[2]);
        ck_assert(x != NULL && y != NULL && z != NULL);
        if (strcmp(*file, "run.json") != 0) {
            ck_assert_msg(n[0] == n[1] && memcmp(x, y, n[0]) == 0, "%s differs", *file);
            differ += n[0] != n[2] || memcmp(x, z, n[0]) != 0;
        }
        free(x);
        free(y);
        free(z);
    }
    ck_assert_uint_ge(differ, 6); /* another seed is another run */
}
END_TEST

/* A long run has no more rows than a short one, and its sums hold. */
START_TEST(timeline_is_bounded)
{
    const char *dir = in_scratch("long"), *line;
    size_t length;
    double rows = 0, ended = 0, busy = 0;

    ck_assert_msg(write_run(dir, 20000, 11) == 0, "%s", why);
    char *text = slurp(dir, "timeline.csv", &length);
    const char *header = csv_header(text, &line);
    for (; *line != '\0'; line = strchr(line, '\n') + 1, rows++) {
        ended += field(header, line, "requests_ended");
        busy += field(header, line, "gpu_busy_ratio") * field(header, line, "interval_s");
    }
    ck_assert_double_le(rows, 1000);
    ck_assert_double_ge(rows, 500);
    ck_assert_double_eq(ended, 20000);
    json_t *summary = load_summary(dir);
    ck_assert_double_gt(busy,
                        0.95 * number(summary, "gpu_busy_ratio") * number(summary, "duration_s"));
    json_decref(summary);
    free(text);
}
END_TEST

/* ---- The folder. ---- */

static int try_new(const char *dir)
{
    struct fake_run f = {.engines = 1};
    struct results_options options;
    int error = 0;

    fake_options(&options, dir, &f);
    struct results *r = results_new(&options, &error, why, sizeof why);
    results_free(r);
    return r != NULL ? 0 : error;
}

START_TEST(folders_that_cannot_be_used)
{
    const char *other = in_scratch("other"), *partial = in_scratch(".other.partial");

    write_text(scratch, "file", "x");
    ck_assert_int_eq(try_new(in_scratch("file")), -ENOTDIR);
    ck_assert_int_eq(try_new(in_scratch("file/below")), -ENOTDIR);
    ck_assert_int_eq(try_new(""), -EINVAL);
    ck_assert_int_eq(try_new("/"), -EINVAL);
    ck_assert_int_eq(try_new("/proc/none/here"), -ENOENT);
    mkdir(other, 0777);
    write_text(other, "thesis.tex", "dear to someone");
    ck_assert_int_eq(try_new(other), -EEXIST);
    ck_assert_ptr_nonnull(strstr(why, "other files"));
    ck_assert_uint_eq(entries_in(other), 1);
    ck_assert_int_ne(access(partial, F_OK), 0);
    if (geteuid() != 0) {
        mkdir(in_scratch("locked"), 0555);
        ck_assert_int_eq(try_new(in_scratch("locked/run")), -EACCES);
    }
    ck_assert_int_eq(try_new(in_scratch("deep/er/run")), 0);
    ck_assert_uint_eq(entries_in(in_scratch("deep/er")), 0); /* abandoned: nothing left */
}
END_TEST

START_TEST(two_runs_one_folder)
{
    struct fake_run f = {.engines = 1};
    struct results_options options;
    const char *dir = in_scratch("twice"), *stale = in_scratch(".stale.partial");
    int error = 0;

    fake_options(&options, dir, &f);
    struct results *r = results_new(&options, &error, why, sizeof why);
    ck_assert_ptr_nonnull(r);
    ck_assert_int_eq(try_new(dir), -EBUSY);
    ck_assert_ptr_nonnull(strstr(why, "another run"));
    results_free(r);
    ck_assert_int_eq(try_new(dir), 0);

    mkdir(stale, 0777); /* as left by a run that was killed */
    write_text(stale, "requests.csv", "half");
    ck_assert_msg(write_run(in_scratch("stale"), 20, 1) == 0, "%s", why);
    ck_assert_int_ne(access(stale, F_OK), 0);
}
END_TEST

START_TEST(rerun_replaces_and_keeps_notes)
{
    const char *dir = in_scratch("again");
    size_t length;

    ck_assert_msg(write_run(dir, 50, 1) == 0, "%s", why);
    write_text(dir, "ttft.svg", "old picture");
    write_text(dir, "notes.txt", "mine");
    ck_assert_msg(write_run(dir, 60, 1) == 0, "%s", why);
    json_t *summary = load_summary(dir);
    ck_assert_double_eq(number(summary, "requests"), 60);
    json_decref(summary);
    char *notes = slurp(dir, "notes.txt", &length);
    ck_assert_ptr_nonnull(notes);
    ck_assert_str_eq(notes, "mine");
    free(notes);
    ck_assert_int_ne(access(in_scratch("again/ttft.svg"), F_OK), 0);
    ck_assert_uint_eq(entries_in(dir), 22);
    ck_assert_int_ne(access(in_scratch(".again.partial"), F_OK), 0);
}
END_TEST

/* A file-size limit fails writes as a full disk does, after any number of bytes. */
START_TEST(full_disk_keeps_earlier_results)
{
    static const rlim_t limits[] = {0, 1000, 5000, 10000, 60000};
    const char *dir = in_scratch("full");
    size_t length[2];

    ck_assert_msg(write_run(dir, 300, 1) == 0, "%s", why);
    char *before = slurp(dir, "summary.json", &length[0]);
    signal(SIGXFSZ, SIG_IGN);
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        struct fake_run f = {.seed = 2, .requests = 300, .engines = 1, .cache = true};
        struct results_options options;
        struct rlimit old, small;
        int error = 0;

        fake_options(&options, dir, &f);
        getrlimit(RLIMIT_FSIZE, &old);
        small = old;
        small.rlim_cur = limits[i];
        setrlimit(RLIMIT_FSIZE, &small);
        struct results *r = results_new(&options, &error, why, sizeof why);
        int status = error;
        if (r != NULL) {
            fake_run(&f, r);
            status = fake_close(&f, r, why, sizeof why);
            if (status == 0)
                status = results_write(r, NULL, why, sizeof why);
        }
        setrlimit(RLIMIT_FSIZE, &old);
        results_free(r);
        ck_assert_int_eq(status, -EFBIG);
        ck_assert_ptr_nonnull(strstr(why, dir));
        ck_assert_uint_eq(entries_in(dir), 21);
        ck_assert_int_ne(access(in_scratch(".full.partial"), F_OK), 0);
    }
    char *after = slurp(dir, "summary.json", &length[1]);
    ck_assert_str_eq(before, after);
    free(before);
    free(after);
}
END_TEST

START_TEST(names_of_folders)
{
    char dir[64];

    ck_assert_int_eq(results_default_dir(dir, sizeof dir, "quickstart", "sim"), 0);
    ck_assert_str_eq(dir, "results/quickstart");
    ck_assert_int_eq(results_default_dir(dir, sizeof dir, "quickstart", "null"), 0);
    ck_assert_str_eq(dir, "results/quickstart-null");
    ck_assert_int_eq(results_default_dir(dir, sizeof dir, "../a b/c", "sim"), 0);
    ck_assert_str_eq(dir, "results/-.-a-b-c");
    ck_assert_int_eq(results_default_dir(dir, 12, "quickstart", "sim"), -ENAMETOOLONG);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "--write") == 0) {
        int status = write_run(argv[3], (uint32_t)strtoul(argv[2], NULL, 10), 1);
        if (status != 0)
            fprintf(stderr, "%s\n", why);
        return status != 0;
    }
    mkdir("build", 0777);
    if (mkdtemp(scratch) == NULL) {
        perror(scratch);
        return 1;
    }
    Suite *suite = suite_create("results_files");
    TCase *all = tcase_create("all");

    tcase_add_test(all, nothing_is_undefined_not_wrong);
    tcase_add_test(all, summary_has_the_keys_and_adds_up);
    tcase_add_test(all, lines_add_up_to_the_summary);
    tcase_add_test(all, metrics_are_cumulative_and_end);
    tcase_add_test(all, same_bytes_twice);
    tcase_add_test(all, timeline_is_bounded);
    tcase_add_test(all, folders_that_cannot_be_used);
    tcase_add_test(all, two_runs_one_folder);
    tcase_add_test(all, rerun_replaces_and_keeps_notes);
    tcase_add_test(all, full_disk_keeps_earlier_results);
    tcase_add_test(all, names_of_folders);
    suite_add_tcase(suite, all);
    int status = kvt_test_main(suite);
    remove_tree(scratch);
    return status;
}
