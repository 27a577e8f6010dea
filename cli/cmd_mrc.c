/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cmd_mrc.c - kvtwin mrc TRACE: the hit rate of every capacity, from one pass over a trace.
 *
 * This file reads the command line and says what comes after what; mrc.h has the work.
 *
 *      arguments -> results folder -> pass -> table -> policies -> files -> table on the terminal -> picture
 *
 * Bad input ends in one line and exit 2, before anything is written. Ctrl-C during the pass ends with nothing;
 * during the policies, what was simulated until then is written, and it says what is missing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "catalog.h"
#include "commands.h"
#include "datadir.h"
#include "model.h"
#include "mrc.h"
#include "near.h"
#include "option.h"
#include "picture.h"
#include "results.h"
#include "stop.h"
#include "units.h"

enum { COMMAND_MOST = 4096 };

struct arguments {
    const char *out, *capacities, *price, *node, *per;
    bool json, no_plot;
    char command[COMMAND_MOST];
};

struct job {
    struct arguments arguments;
    struct mrc mrc;
    struct results_dir folder;
    char dir[PATH_MAX], why[MRC_ERROR];
};

static const char help[] =
    "usage: kvtwin mrc TRACE [--block-tokens N] [--sample RATE | --sample-blocks N]\n"
    "                  [--policy LIST|all] [--touch leaf|head] [--model NAME] [--out FOLDER] "
    "[--json]\n"
    "\n"
    "How many blocks and tokens of all prompts would a cache find, for every capacity? One pass, "
    "exact\n"
    "for LRU at every size: as a prefix cache counts (hits end at the first miss), with the ends "
    "or the\n"
    "heads of prompts leaving first, and flat (each block by itself, as cache simulators count).\n"
    "\n"
    "  --block-tokens N     blocks of so many tokens: the trace's own, or a divisor of them\n"
    "  --capacity LIST      these instead of round ones: 1000,5000blocks,40GiB,infinite\n"
    "  --touch leaf|head    which end of a prompt leaves first, in the table and for policies; "
    "default\n"
    "                       leaf\n"
    "  --tenant-salts       tenants share no block\n"
    "  --model NAME         capacities in GiB too, with this model's KV (kvtwin catalog)\n"
    "  --node NAME          adds what a capacity costs, at the catalogue's price of that node: "
    "whole nodes,\n"
    "                       rounded up. cache.r7g.16xlarge, or a price in kvtwin catalog "
    "of kind\n"
    "                       redis, memory or disk (by the GB)\n"
    "  --price PRICE        an own price: of a GiB, such as 0.005USD/h; with --node, of a node\n"
    "  --per node|gib       gib: the node's price by the GiB, not rounded; default node\n"
    "\n"
    "  --sample RATE        of the sessions, such as 1%: faster on long traces, with error bars. "
    "Where a\n"
    "                       trace names no sessions, the first block that prompts do not all share "
    "does\n"
    "  --sample-blocks N    as many sessions as have N blocks\n"
    "  --seed N             another sample; default 1\n"
    "\n"
    "  --policy LIST|all    simulates other policies too, at each capacity of the table; with "
    "--sample in\n"
    "                       miniature\n"
    "  --prefix-closed      policies evict no block while others of its chain stand behind it\n"
    "\n"
    "  --format NAME, --trace-block-tokens N, --skip N, --limit N   as in kvtwin trace\n"
    "  --out FOLDER         for mrc.csv and the picture; default results/<trace>-mrc\n"
    "  --no-plot            no picture\n"
    "  --json               prints summary.json instead of the table\n"
    "\n"
    "Exit codes: 0 done, 1 failed or interrupted, 2 bad input.\n";

/* ---- Arguments --------------------------------------------------------------------------------------- */

/* One line, whatever is in it. */
static int bad_line(const char *what)
{
    char line[MRC_ERROR];
    snprintf(line, sizeof line, "%s", what);
    for (char *c = line; *c != '\0'; c++)
        *c = (unsigned char)*c < ' ' || *c == 127 ? '?' : *c;
    fprintf(stderr, "kvtwin mrc: %s\n", line);
    return EXIT_BAD_INPUT;
}

static int bad(const char *what, const char *expected)
{
    char line[MRC_ERROR];
    snprintf(line, sizeof line, "%.200s: %.400s", what, expected);
    return bad_line(line);
}

static int whole(const char *name, const char *text, uint64_t least, uint64_t most, uint64_t *value)
{
    const char *why = NULL;
    char want[80];
    uint64_t read;
    if (units_count(text, &read, &why) == 0 && read >= least && read <= most) {
        *value = read;
        return EXIT_DONE;
    }
    snprintf(want, sizeof want, "expected a whole number, %llu to %llu", (unsigned long long)least,
             (unsigned long long)most);
    return bad(name, want);
}

static int whole32(const char *name, const char *text, uint32_t *value)
{
    uint64_t wide = 0;
    const int code = whole(name, text, 1, 1 << 20, &wide);
    if (code == EXIT_DONE)
        *value = (uint32_t)wide;
    return code;
}

static int parse_sample(struct mrc_options *o, const char *text)
{
    double rate;
    if (units_ratio(text, &rate, NULL) != 0 || !(rate > 0 && rate <= 1))
        return bad("--sample",
                   "expected a share of the sessions above 0 and at most 1, such as 1%");
    o->sample = rate;
    return EXIT_DONE;
}

static int parse_touch(struct mrc_options *o, const char *text)
{
    for (enum wl_mrc_way way = WL_MRC_HEAD; way <= WL_MRC_LEAF; way++)
        if (strcmp(text, wl_mrc_ways[way]) == 0) {
            o->touch = way;
            return EXIT_DONE;
        }
    return bad("--touch", "expected leaf or head");
}

static int parse_format(struct mrc_options *o, const char *text)
{
    o->source.format = wl_format_named(text);
    return o->source.format != WL_FORMATS
               ? EXIT_DONE
               : bad("--format",
                     "expected auto, mooncake, qwen, prompts, azure, burstgpt or binary");
}

static int unknown_policy(const char *name)
{
    const char *names[MRC_POLICIES_MOST];
    char list[320], what[128];
    size_t n = 0;
    for (; n < MRC_POLICIES_MOST && kvt_evict_all[n]; n++)
        names[n] = kvt_evict_all[n]->name;
    snprintf(list, sizeof list, "expected all, or of ");
    near_list(list, sizeof list, names, n);
    snprintf(what, sizeof what, "--policy: %.80s", name);
    return bad(what, list);
}

static int add_policy(struct mrc_options *o, const char *name)
{
    const struct kvt_evict_ops *ops = kvt_evict_named(name);
    char what[128];
    if (!ops)
        return unknown_policy(name);
    if (!mrc_policy_usable(ops)) {
        snprintf(what, sizeof what, "--policy: %.80s", name);
        return bad(what, "expected a policy that evicts by itself: this one goes by a TTL alone");
    }
    for (size_t i = 0; i < o->n_policies; i++)
        if (o->policies[i] == ops)
            return EXIT_DONE;
    o->policies[o->n_policies++] = ops;
    return EXIT_DONE;
}

/* Calls add for each word between commas. */
static int each_word(const char *text, int (*add)(struct mrc_options *o, const char *word),
                     struct mrc_options *o)
{
    char word[96];
    int code = EXIT_DONE;
    do {
        const size_t n = strcspn(text, ",");
        snprintf(word, sizeof word, "%.*s", (int)(n < sizeof word ? n : sizeof word - 1), text);
        code = add(o, word);
        text += n + (text[n] == ',');
    } while (*text != '\0' && code == EXIT_DONE);
    return code;
}

static int parse_policies(struct mrc_options *o, const char *text)
{
    if (strcmp(text, "all") != 0)
        return each_word(text, add_policy, o);
    for (size_t i = 0; i < MRC_POLICIES_MOST && kvt_evict_all[i]; i++)
        if (mrc_policy_usable(kvt_evict_all[i]))
            o->policies[o->n_policies++] = kvt_evict_all[i];
    return EXIT_DONE;
}

/* Options without a value. */
static bool flag(struct job *job, const char *name)
{
    if (strcmp(name, "--json") == 0)
        return job->arguments.json = true;
    if (strcmp(name, "--no-plot") == 0)
        return job->arguments.no_plot = true;
    if (strcmp(name, "--tenant-salts") == 0)
        return job->mrc.options.source.tenant_salts = true;
    if (strcmp(name, "--prefix-closed") == 0)
        return job->mrc.options.prefix_closed = true;
    return false;
}

/* Options that keep their text. */
static const char **text_option(struct job *job, const char *name)
{
    struct arguments *a = &job->arguments;
    return strcmp(name, "--out") == 0        ? &a->out
           : strcmp(name, "--capacity") == 0 ? &a->capacities
           : strcmp(name, "--price") == 0    ? &a->price
           : strcmp(name, "--node") == 0     ? &a->node
           : strcmp(name, "--per") == 0      ? &a->per
           : strcmp(name, "--model") == 0    ? &job->mrc.options.model
                                             : NULL;
}

static int set_option(struct job *job, const char *name, const char *value)
{
    struct mrc_options *o = &job->mrc.options;
    const char **text = text_option(job, name);
    if (text) {
        *text = value;
        return EXIT_DONE;
    }
    if (strcmp(name, "--block-tokens") == 0)
        return whole32(name, value, &o->source.block_tokens);
    if (strcmp(name, "--trace-block-tokens") == 0)
        return whole32(name, value, &o->source.trace_block_tokens);
    if (strcmp(name, "--sample") == 0)
        return parse_sample(o, value);
    if (strcmp(name, "--sample-blocks") == 0)
        return whole(name, value, 1, UINT64_MAX, &o->sample_blocks);
    if (strcmp(name, "--seed") == 0)
        return whole(name, value, 0, UINT64_MAX, &o->source.seed);
    if (strcmp(name, "--skip") == 0)
        return whole(name, value, 0, UINT64_MAX, &o->source.skip);
    if (strcmp(name, "--limit") == 0)
        return whole(name, value, 1, UINT64_MAX, &o->source.limit);
    if (strcmp(name, "--touch") == 0)
        return parse_touch(o, value);
    if (strcmp(name, "--format") == 0)
        return parse_format(o, value);
    return parse_policies(o, value);
}

static const char *const with_value[] = {
    "--block-tokens", "--trace-block-tokens",
    "--sample",       "--sample-blocks",
    "--seed",         "--skip",
    "--limit",        "--touch",
    "--format",       "--policy",
    "--out",          "--capacity",
    "--price",        "--model",
    "--node",         "--per",
};
enum { WITH_VALUE = sizeof with_value / sizeof with_value[0] };

static int parse_one(struct job *job, int argc, char **argv, int *i)
{
    const char *name = argv[*i], *value = "";
    if (flag(job, name))
        return EXIT_DONE;
    for (int k = 0; k < WITH_VALUE; k++) {
        if (!option_value(argc, argv, i, with_value[k], &value))
            continue;
        if (!value || *value == '\0')
            return bad(with_value[k], "expected a value");
        return set_option(job, with_value[k], value);
    }
    if (name[0] == '-' && name[1] != '\0')
        return bad(name, "unknown option, see kvtwin mrc --help");
    if (job->mrc.options.source.path)
        return bad(name, "expected one trace");
    job->mrc.options.source.path = name;
    return EXIT_DONE;
}

static int parse_arguments(struct job *job, int argc, char **argv)
{
    struct arguments *a = &job->arguments;
    struct mrc_options *o = &job->mrc.options;
    size_t at = (size_t)snprintf(a->command, sizeof a->command, "kvtwin");
    for (int i = 0; i < argc && at + strlen(argv[i]) + 2 < sizeof a->command; i++)
        at += (size_t)snprintf(a->command + at, sizeof a->command - at, " %s", argv[i]);
    wl_options_init(&o->source);
    o->command = a->command;
    o->touch = WL_MRC_LEAF;
    for (int i = 1; i < argc; i++) {
        const int code = parse_one(job, argc, argv, &i);
        if (code != EXIT_DONE)
            return code;
    }
    if (!o->source.path)
        return bad("TRACE", "expected a trace, such as scenarios/traces/chat-2000.kvt");
    if (o->sample > 0 && o->sample_blocks > 0)
        return bad("--sample", "expected without --sample-blocks");
    if ((a->price || a->node) && !o->model)
        return bad(a->node ? "--node" : "--price", "expected with --model: a price is of bytes");
    if (a->per && !a->price && !a->node)
        return bad("--per", "expected with --node");
    return EXIT_DONE;
}

/* ---- Model, price and capacities ---------------------------------------------------------------------------- */

static int find_model_and_price(struct job *job)
{
    struct mrc_options *o = &job->mrc.options;
    char data[PATH_MAX], folder[PATH_MAX + 32];
    struct catalog *catalog;
    if (!o->model)
        return EXIT_DONE;
    if (datadir_find(data, sizeof data) != 0)
        return bad("--model", "expected scenarios/catalog in the working folder, beside the "
                              "program, or where KVTWIN_DATA says");
    snprintf(folder, sizeof folder, "%s/scenarios/catalog", data);
    if (catalog_load(&catalog, folder, job->why, sizeof job->why) != 0) {
        fprintf(stderr, "%s\n", job->why);
        return EXIT_BAD_INPUT;
    }
    const struct catalog_model *model = catalog_model(catalog, o->model, job->why, sizeof job->why);
    if (model)
        o->kv_b_per_token = model_kv_b_per_token(model, 1);
    int code = model ? EXIT_DONE : bad("--model", job->why);
    if (model && (job->arguments.node || job->arguments.price) &&
        mrc_price_find(&o->price, catalog, job->arguments.node, job->arguments.price,
                       job->arguments.per, job->why) != 0)
        code = bad_line(job->why);
    catalog_free(catalog);
    return code;
}

/* A plain number counts blocks. Sizes wait for the block's bytes, so they come after the pass. */
static int add_capacity(struct mrc *m, const char *word)
{
    struct units_capacity c;
    const char *why = "expected a capacity";
    uint64_t blocks;
    if (units_count(word, &blocks, NULL) == 0 && blocks > 0) {
        c = (struct units_capacity){UNITS_CAPACITY_BLOCKS, blocks};
    } else if (units_capacity(word, &c, &why) != 0 || c.kind == UNITS_AUTO) {
        return bad("--capacity", "expected capacities such as 1000,5000blocks,40GiB,infinite");
    }
    if (c.kind == UNITS_CAPACITY_B) {
        if (!(m->options.kv_b_per_token > 0))
            return bad("--capacity", "expected blocks, or --model, which says what a block takes");
        blocks = (uint64_t)((double)c.value / (m->options.kv_b_per_token * m->info.block_tokens));
    } else {
        blocks = c.kind == UNITS_INFINITE ? UINT64_MAX : c.value;
    }
    if (blocks == 0)
        return bad("--capacity", "expected room for at least one block");
    if (m->options.n_capacities == MRC_ROWS_MOST)
        return bad("--capacity", "expected at most 1024 of them");
    m->options.capacities[m->options.n_capacities++] = blocks;
    return EXIT_DONE;
}

static int add_capacities(struct mrc *m, const char *text)
{
    char word[64];
    int code = EXIT_DONE;
    m->options.n_capacities = 0;
    while (text && *text != '\0' && code == EXIT_DONE) {
        const size_t n = strcspn(text, ",");
        snprintf(word, sizeof word, "%.*s", (int)(n < sizeof word ? n : sizeof word - 1), text);
        code = add_capacity(m, word);
        text += n + (text[n] == ',');
    }
    return code;
}

/* ---- Doing it ---------------------------------------------------------------------------------------- */

static int exit_of(int status)
{
    return status == -ENOMEM || status == -EIO || status == -ENOSPC || status == -EINTR
               ? EXIT_FAILED
               : EXIT_BAD_INPUT;
}

static int refuse(const struct job *job, int status)
{
    if (status == -EINTR)
        fputs("kvtwin mrc: interrupted, nothing was written\n", stderr);
    else
        fprintf(stderr, "%s\n", job->why);
    return exit_of(status);
}

/* "traces/a.jsonl" -> "a". */
static void name_trace(struct mrc *m)
{
    const char *slash = strrchr(m->options.source.path, '/');
    const char *base = slash ? slash + 1 : m->options.source.path;
    const char *dot = strrchr(base, '.');
    snprintf(m->name, sizeof m->name, "%.*s", (int)(dot && dot > base ? dot - base : 200), base);
}

static int open_folder(struct job *job)
{
    const struct arguments *a = &job->arguments;
    int status;
    if (a->out)
        status = (size_t)snprintf(job->dir, sizeof job->dir, "%s", a->out) < sizeof job->dir
                     ? 0
                     : -ENAMETOOLONG;
    else
        status = results_default_dir(job->dir, sizeof job->dir, job->mrc.name, "mrc");
    if (status != 0)
        return bad("--out", "expected a shorter path");
    status = results_dir_open(&job->folder, job->dir, job->why, sizeof job->why);
    return status == 0 ? EXIT_DONE : refuse(job, status);
}

static int print(struct job *job)
{
    int status = 0;
    if (job->arguments.json)
        status = mrc_print_json(stdout, &job->mrc);
    else
        mrc_print(stdout, &job->mrc);
    if (status == -ENOMEM || (fflush(stdout) != 0 && errno != EPIPE)) {
        fputs("kvtwin mrc: the table cannot be printed\n", stderr);
        return EXIT_FAILED;
    }
    return EXIT_DONE;
}

/* Numbers without a picture are worth more than none: gnuplot may be missing. */
static void draw(struct job *job)
{
    const struct mrc *m = &job->mrc;
    char scripts[PATH_MAX], subtitle[512], prompts[32], blocks[32];
    int status = picture_scripts(scripts, job->why, sizeof job->why);
    snprintf(subtitle, sizeof subtitle, "%s: %s prompts, %s blocks of %u tokens%s%s%s", m->name,
             units_show_count(prompts, sizeof prompts, m->prompts),
             units_show_count(blocks, sizeof blocks, m->blocks), m->info.block_tokens,
             m->options.model ? ", KV of " : "", m->options.model ? m->options.model : "",
             mrc_sampled(&m->options) ? ", from a sample of the sessions" : "");
    if (status == 0)
        status = picture_draw(job->dir, scripts, "mrc", subtitle, job->why, sizeof job->why);
    if (status != 0)
        fprintf(stderr, "kvtwin mrc: no picture: %s\n", job->why);
    else if (!job->arguments.json)
        printf("\n%s/mrc.csv, mrc.svg, mrc.png\n", job->dir);
}

static int compute(struct job *job)
{
    struct mrc *m = &job->mrc;
    int status = mrc_pass(m, job->why);
    if (status != 0)
        return refuse(job, status);
    const int code = add_capacities(m, job->arguments.capacities);
    if (code != EXIT_DONE)
        return code;
    status = mrc_tabulate(m, job->why);
    if (status == 0 && m->options.n_policies > 0)
        status = mrc_simulate(m, job->why);
    if (status == -EINTR && m->stopped)
        status = 0;
    return status == 0 ? EXIT_DONE : refuse(job, status);
}

static int finish(struct job *job)
{
    struct mrc *m = &job->mrc;
    int status = mrc_write(m, &job->folder, job->why);
    if (status == 0)
        status = results_dir_install(&job->folder, job->why, sizeof job->why);
    if (status != 0) {
        fprintf(stderr, "%s\n", job->why);
        return EXIT_FAILED;
    }
    const int code = print(job);
    if (code == EXIT_DONE && !job->arguments.no_plot && !m->stopped)
        draw(job);
    if (code == EXIT_DONE && m->stopped) {
        fprintf(stderr, "kvtwin mrc: interrupted: %zu of %zu policies are complete\n",
                m->n_points / (m->n_table > 0 ? m->n_table : 1), m->options.n_policies);
        return EXIT_FAILED;
    }
    return code;
}

static int run(struct job *job)
{
    struct mrc *m = &job->mrc;
    int code = find_model_and_price(job);
    /* Capacities are checked before the pass as far as they can be. */
    m->info.block_tokens = 1;
    if (code == EXIT_DONE)
        code = add_capacities(m, job->arguments.capacities);
    name_trace(m);
    if (code == EXIT_DONE)
        code = open_folder(job);
    if (code != EXIT_DONE)
        return code;
    stop_catch();
    code = compute(job);
    if (code == EXIT_DONE)
        code = finish(job);
    results_dir_abort(&job->folder);
    return code;
}

int cmd_mrc(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(help, stdout);
            return EXIT_DONE;
        }
    struct job *job = calloc(1, sizeof *job);
    if (!job) {
        fputs("kvtwin mrc: out of memory\n", stderr);
        return EXIT_FAILED;
    }
    int code = parse_arguments(job, argc, argv);
    if (code == EXIT_DONE)
        code = run(job);
    mrc_release(&job->mrc);
    free(job);
    return code;
}
