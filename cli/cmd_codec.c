/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cmd_codec.c - kvtwin codec FILE | --synthetic NAME: ratio, speed and error of codec chains,
 * and the bandwidth below which each pays.
 *
 * This file reads the command line and goes through the chains; codec_data.h has the KV,
 * codec_measure.h the clock, codec_print.h the table. Without --chains it takes the catalogue's
 * codecs, so that `kvtwin catalog` and this table can be laid side by side.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../backend/measure_team.h"
#include "catalog.h"
#include "codec_print.h"
#include "commands.h"
#include "datadir.h"
#include "near.h"
#include "units.h"

enum { CHAINS_MOST = 128, LINE = 600 };

struct codec_command {
    const char *file, *synthetic, *chains;
    struct codec_wish wish;
    uint64_t seed, threads;
    double seconds;
    bool json;
    struct be_codec codecs[CHAINS_MOST];
    size_t n_codecs;
};

static const char help[] =
    "usage: kvtwin codec FILE [OPTIONS]\n"
    "       kvtwin codec --synthetic gaussian|kv|random|zero [OPTIONS]\n"
    "\n"
    "Codes KV with chains of codecs and tells how small it becomes, how fast that is, what is\n"
    "lost, and on how slow a link each chain pays. FILE holds raw KV in packed layout,\n"
    "[layer][K, V][token][head][channel], or a stored value, which is verified first.\n"
    "\n"
    "  --chains LIST       chains, separated by ';': \"zstd-1;int8,zstd-1\"; default: the "
    "catalogue's.\n"
    "                      Steps: fp16 bf16 int8 int4, planes, zlib-1..9 libdeflate-1..12 "
    "zstd-1..19 lz4\n"
    "  --dtype TYPE        bf16 (default), fp16 or fp32\n"
    "  --layers N          default 4; of a FILE 1\n"
    "  --heads N           KV heads, default 8\n"
    "  --head-dim N        default 128\n"
    "  --tokens N          of a block, default 512; of a FILE all that it holds\n"
    "  --threads N         also with N threads at a time\n"
    "  --seconds X         for each chain and way, default 0.3\n"
    "  --seed N            of synthetic data, default 1\n"
    "  --json              for machines\n";

/* Prints "kvtwin codec: what: expected" as one line, whatever the words hold. */
static int refuse(const char *what, const char *expected)
{
    char line[LINE];
    snprintf(line, sizeof line, "kvtwin codec: %.200s%s%.360s", what, *what != '\0' ? ": " : "",
             expected);
    for (char *c = line; *c != '\0'; c++)
        *c = (unsigned char)*c < ' ' || *c == 127 ? '?' : *c;
    fprintf(stderr, "%s\n", line);
    return EXIT_BAD_INPUT;
}

/* ---- Options ---------------------------------------------------------------------------------------- */

static const char *const option_names[] = {"chains", "dtype",   "head-dim", "heads",
                                           "json",   "layers",  "seconds",  "seed",
                                           "tokens", "threads", "synthetic"};

enum { OPTIONS = sizeof option_names / sizeof option_names[0] };

/* One of words, or its number of words when it is none of them. */
static size_t one_of(const char *word, const char *const *words)
{
    size_t i = 0;
    while (words[i] && strcmp(words[i], word) != 0)
        i++;
    return i;
}

static const char *set_whole32(const char *text, uint32_t *value)
{
    uint64_t wide;
    const char *why;
    if (units_count(text, &wide, &why) != 0 || wide < 1 || wide > 1 << 24)
        return "expected 1 to 16777216";
    *value = (uint32_t)wide;
    return NULL;
}

/* Returns NULL, or what was expected. */
static const char *set(struct codec_command *c, const char *name, const char *text)
{
    static const char *const dtypes[] = {"bf16", "fp16", "fp32", NULL};
    const char *why = NULL;
    if (strcmp(name, "chains") == 0)
        c->chains = text;
    if (strcmp(name, "layers") == 0)
        return set_whole32(text, &c->wish.layers);
    if (strcmp(name, "heads") == 0)
        return set_whole32(text, &c->wish.heads);
    if (strcmp(name, "head-dim") == 0)
        return set_whole32(text, &c->wish.head_dim);
    if (strcmp(name, "tokens") == 0)
        return set_whole32(text, &c->wish.tokens);
    if (strcmp(name, "seed") == 0)
        return units_count(text, &c->seed, &why) == 0 ? NULL : why;
    if (strcmp(name, "seconds") == 0)
        return units_number(text, &c->seconds, &why) == 0 && c->seconds >= 0 && c->seconds <= 3600
                   ? NULL
                   : "expected 0 to 3600";
    if (strcmp(name, "threads") == 0)
        return units_count(text, &c->threads, &why) == 0 && c->threads >= 1 &&
                       c->threads <= BE_TEAM_MOST
                   ? NULL
                   : "expected 1 to 64";
    if (strcmp(name, "dtype") == 0) {
        c->wish.dtype = (enum k_dtype)one_of(text, dtypes);
        return c->wish.dtype < K_DTYPES ? NULL : "expected bf16, fp16 or fp32";
    }
    if (strcmp(name, "synthetic") == 0) {
        c->synthetic = codec_synthetic[one_of(text, codec_synthetic)];
        return c->synthetic ? NULL : "expected gaussian, kv, random or zero";
    }
    return NULL;
}

/* argv[*i] is --name, --name=value, or --name with its value behind it. */
static int parse_option(struct codec_command *c, int argc, char **argv, int *i)
{
    const char *given = argv[*i] + 2, *equals = strchr(given, '=');
    char name[40], text[120];
    bool known = false;
    snprintf(name, sizeof name, "%.*s", equals ? (int)(equals - given) : 39, given);
    for (size_t k = 0; k < OPTIONS; k++)
        known = known || strcmp(name, option_names[k]) == 0;
    if (!known) {
        const char *near = near_word(name, option_names, OPTIONS);
        snprintf(text, sizeof text, "unknown option, %s%s", near ? "did you mean --" : "see ",
                 near ? near : "kvtwin codec --help");
        return refuse(argv[*i], text);
    }
    if (strcmp(name, "json") == 0) {
        c->json = true;
        return equals ? refuse(name, "expected no value") : EXIT_DONE;
    }
    if (!equals && ++*i == argc)
        return refuse(name, "expected a value");
    const char *wrong = set(c, name, equals ? equals + 1 : argv[*i]);
    return wrong ? refuse(name, wrong) : EXIT_DONE;
}

static int parse(struct codec_command *c, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        int status = EXIT_DONE;
        if (argv[i][0] == '-' && argv[i][1] == '-')
            status = parse_option(c, argc, argv, &i);
        else if (argv[i][0] == '-')
            status = refuse(argv[i], "unknown option, see kvtwin codec --help");
        else if (c->file)
            status = refuse(argv[i], "expected one file");
        else
            c->file = argv[i];
        if (status != EXIT_DONE)
            return status;
    }
    if (!c->file == !c->synthetic)
        return refuse("codec", "expected a file, or --synthetic gaussian, kv, random or zero");
    return EXIT_DONE;
}

/* ---- Chains ----------------------------------------------------------------------------------------- */

static int add_chain(struct codec_command *c, const char *name)
{
    char why[240];
    if (c->n_codecs == CHAINS_MOST)
        return refuse("chains", "expected at most 128");
    if (be_codec_parse(&c->codecs[c->n_codecs], name, why, sizeof why) != 0)
        return refuse("chains", why);
    c->n_codecs++;
    return EXIT_DONE;
}

static int chains_of_catalogue(struct codec_command *c)
{
    struct catalog *catalog;
    char folder[4096], error[512];
    if (datadir_find(folder, sizeof folder - sizeof "/scenarios/catalog") != 0) {
        refuse("chains", "expected a data folder with scenarios/catalog/, or --chains");
        return EXIT_FAILED;
    }
    strcat(folder, "/scenarios/catalog");
    if (catalog_load(&catalog, folder, error, sizeof error) != 0)
        return refuse("", error);
    int status = EXIT_DONE;
    for (uint32_t i = 0; status == EXIT_DONE && i < catalog->codecs.n; i++)
        status = add_chain(c, catalog->codecs.entries[i].name);
    catalog_free(catalog);
    return status;
}

static int chains_of_list(struct codec_command *c)
{
    int status = EXIT_DONE;
    char *list = strdup(c->chains), *at = list;
    if (!list)
        return refuse("", "out of memory"), EXIT_FAILED;
    while (status == EXIT_DONE && at) {
        char *name = strsep(&at, ";");
        status = add_chain(c, name);
    }
    free(list);
    return status;
}

/* ---- The command ------------------------------------------------------------------------------------ */

static int fail(int rc, const char *what, const char *why)
{
    const int status = refuse(what, why);
    return rc == -EINVAL ? status : EXIT_FAILED;
}

static int measure_all(const struct codec_command *c, const struct codec_data *data,
                       struct codec_figures *figures)
{
    const bool shown = isatty(STDERR_FILENO) == 1;
    char name[40];
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < c->n_codecs; i++) {
        be_codec_name(&c->codecs[i], name, sizeof name);
        if (shown)
            fprintf(stderr, "\r\033[K%zu of %zu: %s", i + 1, c->n_codecs, name);
        rc = codec_measure(&figures[i], data, &c->codecs[i], (uint32_t)c->threads, c->seconds);
    }
    if (shown)
        fputs("\r\033[K", stderr);
    if (rc == 0)
        return EXIT_DONE;
    return fail(rc, name,
                rc == -EIO ? "what was coded did not come back as it was" : strerror(-rc));
}

static int run(struct codec_command *c)
{
    struct codec_data data;
    char error[CODEC_ERROR] = "";
    int status = c->chains ? chains_of_list(c) : chains_of_catalogue(c);
    if (status != EXIT_DONE)
        return status;
    const int rc = c->file ? codec_data_read(&data, c->file, &c->wish, error)
                           : codec_data_draw(&data, c->synthetic, c->seed, &c->wish, error);
    if (rc != 0)
        return fail(rc, "", error);
    struct codec_figures *figures = calloc(c->n_codecs, sizeof *figures);
    status = figures ? measure_all(c, &data, figures) : fail(-ENOMEM, "", "out of memory");
    if (status == EXIT_DONE && !c->json)
        codec_print(&data, figures, c->n_codecs, (uint32_t)c->threads);
    else if (status == EXIT_DONE &&
             codec_print_json(&data, figures, c->n_codecs, (uint32_t)c->threads) != 0)
        status = fail(-ENOMEM, "", "out of memory");
    free(figures);
    codec_data_free(&data);
    if (status == EXIT_DONE && (fflush(stdout) != 0 || ferror(stdout)))
        return fail(-EIO, "", "the figures cannot be printed");
    return status;
}

int cmd_codec(int argc, char **argv)
{
    struct codec_command c = {.wish = {.dtype = K_DTYPES}, .seed = 1, .threads = 1, .seconds = 0.3};
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(help, stdout);
            return EXIT_DONE;
        }
    const int status = parse(&c, argc, argv);
    return status == EXIT_DONE ? run(&c) : status;
}
