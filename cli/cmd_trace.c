/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cmd_trace.c - kvtwin trace stats|divergence|convert|generate: know the traffic, change its format,
 * make some.
 *
 * This file reads the command line and says what was done; trace.h has the work. One table of
 * options serves all actions. Parameters of generators come from the table of
 * workload/generate.h, with '-' or '_'.
 *
 * Ctrl-C ends a run with nothing written: exit 1. So does a disk that is full.
 */
#include "trace.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "near.h"
#include "units.h"

volatile sig_atomic_t trace_stop;

enum action { STATS = 1, CONVERT = 2, GENERATE = 4, DIVERGENCE = 8 };

static const char *const action_names[] = {"stats", "convert", "generate", "divergence"};
enum { ACTIONS = sizeof action_names / sizeof action_names[0] };

/* What the command line says. */
struct trace_command {
    enum action action;
    struct wl_options options;
    bool generator; /* a parameter of a generator was given */
    const char *files[2];
    int n_files;
    const char *out, *csv;
    bool json;
};

/* ---- Options ----------------------------------------------------------------------------------------- */

struct option {
    const char *name;
    int actions;          /* enum action, or-ed */
    const char *argument; /* NULL: takes none */
    /* Returns NULL, or what was expected. text is "" for options without argument. */
    const char *(*set)(struct trace_command *c, const char *text);
    const char *help;
};

/* A whole number from least to most into *value. */
static bool whole(const char *text, uint64_t least, uint64_t most, uint64_t *value)
{
    const char *why;
    uint64_t read;
    if (units_count(text, &read, &why) != 0 || read < least || read > most)
        return false;
    *value = read;
    return true;
}

static bool whole32(const char *text, uint32_t least, uint32_t most, uint32_t *value)
{
    uint64_t wide;
    if (!whole(text, least, most, &wide))
        return false;
    *value = (uint32_t)wide;
    return true;
}

static const char *set_json(struct trace_command *c, const char *text)
{
    (void)text;
    c->json = true;
    return NULL;
}

static const char *set_tenant_salts(struct trace_command *c, const char *text)
{
    (void)text;
    c->options.tenant_salts = true;
    return NULL;
}

static const char *set_format(struct trace_command *c, const char *text)
{
    c->options.format = wl_format_named(text);
    return c->options.format != WL_FORMATS
               ? NULL
               : "expected auto, mooncake, qwen, prompts, azure, burstgpt or binary";
}

static const char *set_block_tokens(struct trace_command *c, const char *text)
{
    return whole32(text, 1, 1 << 20, &c->options.block_tokens) ? NULL : "expected 1 to 1048576";
}

static const char *set_trace_block_tokens(struct trace_command *c, const char *text)
{
    return whole32(text, 1, 1 << 20, &c->options.trace_block_tokens) ? NULL
                                                                     : "expected 1 to 1048576";
}

static const char *set_skip(struct trace_command *c, const char *text)
{
    return whole(text, 0, UINT64_MAX, &c->options.skip) ? NULL : "expected a whole number";
}

static const char *set_limit(struct trace_command *c, const char *text)
{
    return whole(text, 1, UINT64_MAX, &c->options.limit) ? NULL
                                                         : "expected a whole number of at least 1";
}

static const char *set_rate_scale(struct trace_command *c, const char *text)
{
    const char *why;
    const int status = units_number(text, &c->options.rate_scale, &why);
    return status == 0 && c->options.rate_scale > 0 ? NULL : "expected a number above 0";
}

static const char *set_seed(struct trace_command *c, const char *text)
{
    return whole(text, 0, UINT64_MAX, &c->options.seed) ? NULL : "expected a whole number";
}

static const char *set_synth_system(struct trace_command *c, const char *text)
{
    return whole32(text, 0, INT32_MAX, &c->options.synth.system_tokens)
               ? NULL
               : "expected 0 to 2147483647 tokens";
}

static const char *set_synth_continues(struct trace_command *c, const char *text)
{
    const char *why;
    const int status = units_ratio(text, &c->options.synth.continues, &why);
    return status == 0 && c->options.synth.continues <= 1 ? NULL : "expected 0 to 1";
}

static const char *set_synth_idle(struct trace_command *c, const char *text)
{
    const char *why = NULL;
    return units_duration(text, &c->options.synth.idle_ns, &why) == 0 ? NULL : why;
}

static const char *set_out(struct trace_command *c, const char *text)
{
    c->out = text;
    return *text != '\0' ? NULL : "expected a file";
}

static const char *set_csv(struct trace_command *c, const char *text)
{
    c->csv = text;
    return *text != '\0' ? NULL : "expected a file";
}

static const struct option options[] = {
    {"out", GENERATE, "FILE", set_out, "the trace to write: .kvt (or .kvtrace), .jsonl"},
    {"csv", DIVERGENCE, "FILE", set_csv, "every cause and position, with an example"},
    {"json", STATS | DIVERGENCE, NULL, set_json, "figures for machines"},
    {"tenant-salts", STATS | CONVERT, NULL, set_tenant_salts, "tenants share no block"},
    {"format", STATS | DIVERGENCE | CONVERT, "NAME", set_format,
     "mooncake, qwen, prompts, azure, burstgpt, binary; default: found out"},
    {"trace-block-tokens", STATS | DIVERGENCE | CONVERT, "N", set_trace_block_tokens,
     "tokens that an id of the trace stands for; default: found out"},
    {"block-tokens", STATS | DIVERGENCE | CONVERT | GENERATE, "N", set_block_tokens,
     "blocks where the source has none of its own; default 512"},
    {"skip", STATS | DIVERGENCE | CONVERT | GENERATE, "N", set_skip, "leading requests left out"},
    {"limit", STATS | DIVERGENCE | CONVERT | GENERATE, "N", set_limit,
     "requests at most, after skip"},
    {"rate-scale", STATS | CONVERT | GENERATE, "X", set_rate_scale,
     "the same requests X times as fast"},
    {"seed", STATS | CONVERT | GENERATE, "N", set_seed, "of what is drawn; default 1"},
    {"synth-system-tokens", STATS | CONVERT, "N", set_synth_system,
     "lengths only: system prompt shared by all; default 256"},
    {"synth-continues", STATS | CONVERT, "RATIO", set_synth_continues,
     "lengths only: chance to continue a conversation; default 0.5"},
    {"synth-idle", STATS | CONVERT, "TIME", set_synth_idle,
     "lengths only: a conversation idle for longer is over; default 300s"},
};

enum { OPTIONS = sizeof options / sizeof options[0], NAME = 40 };

/* ---- Help -------------------------------------------------------------------------------------------- */

static void print_option(const char *name, const char *argument, const char *help)
{
    char both[64];
    snprintf(both, sizeof both, "%s%s%s", name, argument ? " " : "", argument ? argument : "");
    printf("  --%-26s %s", both, help);
}

static void print_parameter(const struct wl_generate_key *key)
{
    char name[NAME];
    snprintf(name, sizeof name, "%s", key->name);
    for (char *c = name; *c != '\0'; c++)
        *c = *c == '_' ? '-' : *c;
    print_option(name, NULL, key->help);
    fputs(" (", stdout);
    const char *comma = "";
    for (int kind = 0; kind < WL_KINDS; kind++) {
        if (!key->fallback[kind])
            continue;
        printf("%s%s %s", comma, wl_kind_name((enum wl_kind)kind), key->fallback[kind]);
        comma = ", ";
    }
    puts(")");
}

static int print_help(void)
{
    puts("usage: kvtwin trace stats FILE | --kind KIND [OPTIONS]\n"
         "       kvtwin trace divergence FILE [OPTIONS]\n"
         "       kvtwin trace convert IN OUT [OPTIONS]\n"
         "       kvtwin trace generate --kind KIND --out FILE [OPTIONS]\n"
         "\n"
         "stats tells what a trace, or what a generator draws, is like, and how much any prefix\n"
         "cache could find in it. divergence tells where prompts part from the best earlier one, "
         "at\n"
         "what (a timestamp, an id, a number, white space, text), and how many tokens behind it "
         "are\n"
         "the same again and lost all the same. convert writes a trace in another format, generate "
         "writes one\n"
         "that it draws: .kvt is binary, compact and whole; .jsonl Mooncake's JSON lines, which\n"
         "name blocks of prompts only. A file appears complete or not at all.\n");
    for (int i = 0; i < OPTIONS; i++) {
        print_option(options[i].name, options[i].argument, options[i].help);
        putchar('\n');
    }
    puts("\nParameters of generators, with the default of each kind that has it:");
    print_option("kind", "KIND", "chat, agent, rag, zipf-tree; default chat\n");
    print_option("arrivals", "PROCESS",
                 "poisson, gamma(cv=2), constant or diurnal(amplitude=0.8,period=24h)\n");
    for (int i = 0; i < WL_PARAMS; i++)
        print_parameter(&wl_generate_keys[i]);
    return EXIT_DONE;
}

/* ---- Command line ------------------------------------------------------------------------------------ */

/* Prints "kvtwin trace: what: expected" as one line, whatever the words hold. */
static int refuse(const char *what, const char *expected)
{
    char line[600];
    snprintf(line, sizeof line, "kvtwin trace: %.200s%s%.300s", what, *what != '\0' ? ": " : "",
             expected);
    for (char *c = line; *c != '\0'; c++)
        *c = (unsigned char)*c < ' ' || *c == 127 ? '?' : *c;
    fprintf(stderr, "%s\n", line);
    return EXIT_BAD_INPUT;
}

static int unknown(const char *given, const char *what, const char *const *words, size_t n)
{
    char text[200];
    const char *near = near_word(given, words, n);
    const char *dashes = words == action_names ? "" : "--";
    if (near)
        snprintf(text, sizeof text, "%s, did you mean %s%s?", what, dashes, near);
    else
        snprintf(text, sizeof text, "%s, see kvtwin trace --help", what);
    char shown[220];
    snprintf(shown, sizeof shown, "%s%.200s", dashes, given);
    return refuse(shown, text);
}

static bool takes_parameters(const struct trace_command *c)
{
    return c->action == STATS || c->action == GENERATE;
}

/* Options of the action, and parameters where it takes them, with dashes. */
static int unknown_option(const struct trace_command *c, const char *name)
{
    static char spelt[WL_PARAMS][NAME];
    const char *words[OPTIONS + WL_PARAMS];
    size_t n = 0;
    for (int i = 0; i < OPTIONS; i++)
        if (options[i].actions & (int)c->action)
            words[n++] = options[i].name;
    for (int i = 0; i < WL_PARAMS && takes_parameters(c); i++) {
        snprintf(spelt[i], NAME, "%s", wl_generate_keys[i].name);
        for (char *p = spelt[i]; *p != '\0'; p++)
            *p = *p == '_' ? '-' : *p;
        words[n++] = spelt[i];
    }
    return unknown(name, "unknown option", words, n);
}

/* The key of a generator's parameter, or NULL. */
static const char *parameter_named(const char *name)
{
    if (strcmp(name, "kind") == 0 || strcmp(name, "arrivals") == 0)
        return name;
    for (int i = 0; i < WL_PARAMS; i++) {
        const char *key = wl_generate_keys[i].name;
        size_t at = 0;
        while (key[at] != '\0' && (name[at] == key[at] || (name[at] == '-' && key[at] == '_')))
            at++;
        if (key[at] == '\0' && name[at] == '\0')
            return key;
    }
    return NULL;
}

static int set_parameter(struct trace_command *c, const char *key, const char *value)
{
    struct wl_error error;
    c->generator = true;
    return wl_generate_set(&c->options.generate, key, value, &error) == 0 ? EXIT_DONE
                                                                          : refuse("", error.text);
}

/* argv[*i] is --name, --name=value, or --name with its value behind it; *i moves to what was used. */
static int parse_option(struct trace_command *c, int argc, char **argv, int *i)
{
    const char *given = argv[*i] + 2, *equals = strchr(given, '=');
    const struct option *option = NULL;
    char name[NAME];
    snprintf(name, sizeof name, "%.*s", equals ? (int)(equals - given) : NAME, given);
    for (int k = 0; k < OPTIONS; k++)
        if (strcmp(name, options[k].name) == 0 && (options[k].actions & (int)c->action))
            option = &options[k];
    const char *key = option || !takes_parameters(c) ? NULL : parameter_named(name);
    if (!option && !key)
        return unknown_option(c, name);
    const char *value = equals ? equals + 1 : NULL;
    if (option && !option->argument)
        return value ? refuse(name, "expected no value") : (option->set(c, ""), EXIT_DONE);
    if (!value && ++*i == argc)
        return refuse(name, "expected a value");
    value = value ? value : argv[*i];
    if (key)
        return set_parameter(c, key, value);
    const char *wrong = option->set(c, value);
    return wrong ? refuse(name, wrong) : EXIT_DONE;
}

static int parse(struct trace_command *c, int argc, char **argv)
{
    for (int i = 2; i < argc; i++) {
        int status = EXIT_DONE;
        if (argv[i][0] == '-' && argv[i][1] != '\0')
            status = argv[i][1] == '-' ? parse_option(c, argc, argv, &i)
                                       : refuse(argv[i], "unknown option, see kvtwin trace --help");
        else if (c->n_files < 2)
            c->files[c->n_files++] = argv[i];
        else
            status = refuse(argv[i], "expected no more than two files");
        if (status != EXIT_DONE)
            return status;
    }
    return EXIT_DONE;
}

/* ---- Actions ----------------------------------------------------------------------------------------- */

/* What can be put right by asking for something else is bad input; the rest is the machine's. */
static int exit_of(int status)
{
    return status == -ENOMEM || status == -EIO || status == -ENOSPC || status == -EFBIG ||
                   status == -EDQUOT || status == -EINTR
               ? EXIT_FAILED
               : EXIT_BAD_INPUT;
}

static int fail(int status, const char *line)
{
    fprintf(stderr, "%s%s\n", status == -EINTR ? "kvtwin trace: " : "", line);
    return exit_of(status);
}

static bool lengths_only(const struct wl_info *info)
{
    return info->format == WL_AZURE || info->format == WL_BURSTGPT;
}

/* Opens c->files[0], or the generator. Records are wanted as the trace has them: with partial blocks, uncut. */
static int open_source(struct trace_command *c, struct wl_source **source, struct wl_info *info)
{
    struct wl_error error;
    c->options.path = c->n_files > 0 ? c->files[0] : NULL;
    c->options.partial_blocks = true;
    const int status = wl_open(source, &c->options, &error);
    if (status != 0)
        return c->options.path ? fail(status, error.text)
                               : (refuse("", error.text), exit_of(status));
    wl_source_info(*source, info);
    if (info->block_tokens == info->trace_block_tokens)
        return EXIT_DONE;
    char text[80];
    snprintf(text, sizeof text, "expected %u, the trace's own blocks, or nothing",
             info->trace_block_tokens);
    wl_close(*source);
    return refuse("block-tokens", text);
}

static int run_stats(struct trace_command *c)
{
    struct wl_source *source;
    struct wl_info info = {0};
    struct trace_stats stats;
    char why[TRACE_ERROR], name[200], arrivals[80];
    if (c->n_files == 0 && !c->generator)
        return refuse("stats", "expected a trace, or --kind");
    if (c->n_files > 1)
        return refuse("stats", "expected one file");
    if (c->n_files == 1 && c->generator)
        return refuse("stats", "expected a trace or a generator's parameters, not both");
    int status = open_source(c, &source, &info);
    if (status != EXIT_DONE)
        return status;
    snprintf(name, sizeof name, "%s, arrivals %s, seed %llu", info.name,
             wl_arrivals_show(&c->options.generate.arrivals, arrivals, sizeof arrivals),
             (unsigned long long)c->options.seed);
    const char *called = c->n_files == 1 ? c->files[0] : name;
    const struct wl_synth *rule = lengths_only(&info) ? &c->options.synth : NULL;
    const int failed = trace_stats(&stats, source, c->options.tenant_salts, why);
    wl_close(source);
    if (failed != 0)
        return fail(failed, why);
    if (!c->json)
        trace_print(&stats, called, rule);
    else if (trace_print_json(&stats, called, rule) != 0)
        return fail(-ENOMEM, "kvtwin trace: out of memory");
    if (fflush(stdout) == 0 && !ferror(stdout))
        return EXIT_DONE;
    fputs("kvtwin trace: the figures cannot be printed\n", stderr);
    return EXIT_FAILED;
}

static int show_divergence(const struct trace_command *c, const struct wl_divergence *d)
{
    const int failed = c->csv ? trace_divergence_csv(d, c->csv) : 0;
    if (failed != 0)
        return refuse(c->csv, strerror(-failed)), exit_of(failed);
    if (!c->json)
        trace_divergence_print(d, c->files[0]);
    else if (trace_divergence_print_json(d, c->files[0]) != 0)
        return fail(-ENOMEM, "kvtwin trace: out of memory");
    if (fflush(stdout) == 0 && !ferror(stdout))
        return EXIT_DONE;
    fputs("kvtwin trace: the figures cannot be printed\n", stderr);
    return EXIT_FAILED;
}

static int run_divergence(struct trace_command *c)
{
    struct wl_source *source;
    struct wl_info info = {0};
    struct wl_divergence d;
    char why[TRACE_ERROR];
    if (c->n_files != 1)
        return refuse("divergence", "expected one file");
    if (wl_divergence_init(&d) != 0)
        return fail(-ENOMEM, "kvtwin trace: out of memory");
    const struct wl_prompt_sink sink = {trace_divergence_take, &d};
    c->options.prompts = &sink;
    int status = open_source(c, &source, &info);
    if (status == EXIT_DONE) {
        int failed = 0;
        if (lengths_only(&info))
            status =
                refuse(c->files[0], "expected a trace that names prefixes, it has lengths only");
        else if (info.format != WL_PROMPTS &&
                 (failed = trace_divergence_walk(&d, source, why)) != 0)
            status = fail(failed, why);
        wl_close(source);
    }
    if (status == EXIT_DONE) {
        wl_divergence_rank(&d);
        status = show_divergence(c, &d);
    }
    wl_divergence_release(&d);
    return status;
}

/* Does a reader find out the block size by itself? */
static bool tells_its_blocks(const char *path, uint32_t block_tokens)
{
    struct wl_options o;
    struct wl_source *source;
    struct wl_info info = {0};
    struct wl_error error;
    wl_options_init(&o);
    o.path = path;
    if (wl_open(&source, &o, &error) != 0)
        return false;
    wl_source_info(source, &info);
    wl_close(source);
    return info.trace_block_tokens == block_tokens;
}

/* What the format could not say, so that nobody finds out later. */
static void print_losses(const struct trace_written *w, const struct wl_info *info,
                         const char *path)
{
    char count[32];
    if (info->format == WL_PROMPTS)
        puts("  blocks of text or tokens became prefix ids, numbered as they appear");
    if (lengths_only(info))
        puts("  prefixes are made up: the trace has lengths only");
    if (w->output_blocks_left_out > 0)
        printf("  %s blocks of outputs are left out: JSON lines name those of prompts\n",
               units_show_count(count, sizeof count, w->output_blocks_left_out));
    if (w->partial_left_out > 0)
        printf("  %s partial blocks are left out: not every prompt names its own\n",
               units_show_count(count, sizeof count, w->partial_left_out));
    if (trace_target_of(path) == TRACE_JSONL && !tells_its_blocks(path, info->trace_block_tokens))
        printf("  the size of its blocks cannot be told from the lines: "
               "set workload.trace_block_tokens %u\n",
               info->trace_block_tokens);
}

static int write_out(struct trace_command *c, const char *out)
{
    struct wl_source *source;
    struct wl_info info = {0};
    struct trace_written written = {0};
    char why[TRACE_ERROR], count[32], size[32];
    if (trace_target_of(out) == TRACE_TARGETS)
        return refuse(out, "expected a name that ends in .kvt or .jsonl");
    int status = open_source(c, &source, &info);
    if (status != EXIT_DONE)
        return status;
    const int failed = trace_write(&written, source, out, why);
    if (failed != 0)
        status = fail(failed, why);
    else
        printf("%s: %s requests, blocks of %u tokens, %s\n", out,
               units_show_count(count, sizeof count, written.requests), info.trace_block_tokens,
               units_show_bytes(size, sizeof size, (double)written.size_b));
    if (failed == 0)
        print_losses(&written, &info, out);
    wl_close(source);
    return status;
}

static int run_convert(struct trace_command *c)
{
    if (c->n_files != 2)
        return refuse("convert", "expected two files, IN and OUT");
    return write_out(c, c->files[1]);
}

static int run_generate(struct trace_command *c)
{
    if (c->n_files != 0)
        return refuse(c->files[0], "expected options only");
    if (!c->out)
        return refuse("out", "expected a file");
    return write_out(c, c->out);
}

/* ---- Process ----------------------------------------------------------------------------------------- */

static void on_signal(int number)
{
    (void)number;
    trace_stop = 1;
}

/* Ctrl-C ends a run in its own way, and a file that may not grow is an error like a full disk. */
static void catch_signals(void)
{
    struct sigaction stop = {.sa_handler = on_signal};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGXFSZ, &ignore, NULL);
}

int cmd_trace(int argc, char **argv)
{
    static int (*const run[])(struct trace_command *) = {run_stats, run_convert, run_generate,
                                                         run_divergence};
    struct trace_command c = {0};
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return print_help();
    if (argc < 2)
        return refuse("", "expected stats, divergence, convert or generate");
    wl_options_init(&c.options);
    for (int i = 0; i < ACTIONS; i++) {
        if (strcmp(argv[1], action_names[i]) != 0)
            continue;
        c.action = (enum action)(1 << i);
        const int status = parse(&c, argc, argv);
        if (status != EXIT_DONE)
            return status;
        catch_signals();
        return run[i](&c);
    }
    return unknown(argv[1], "unknown action", action_names, ACTIONS);
}
