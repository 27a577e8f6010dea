/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cmd_trace.c - kvtwin trace stats|convert|generate: know the traffic, change its format, make some.
 *
 * One table of options serves all three; generators' parameters come from workload/generate.h's table, a
 * dash for each underscore.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../workload/stats.h"
#include "../workload/workload.h"
#include "../workload/write.h"
#include "commands.h"
#include "near.h"
#include "units.h"

enum trace_verb { STATS = 1, CONVERT = 2, GENERATE = 4 };

/* What the command line says. */
struct trace_command {
    enum trace_verb verb;
    struct wl_options options;
    const char *files[2];
    int n_files;
    bool json, help;
    const char *out;
};

struct trace_option {
    const char *name;
    int verbs; /* enum trace_verb, or-ed */
    const char *argument;
    /* Returns NULL, or what was expected. text is NULL for options without argument. */
    const char *(*set)(struct trace_command *c, const char *text);
    const char *help;
};

static const char *count_below(const char *text, uint64_t least, uint64_t most, uint64_t *value)
{
    const char *why = NULL;
    if (units_count(text, value, &why) != 0)
        return why;
    return *value >= least && *value <= most ? NULL : "expected a number within its range";
}

static const char *set_json(struct trace_command *c, const char *text)
{
    (void)text;
    c->json = true;
    return NULL;
}

static const char *set_format(struct trace_command *c, const char *text)
{
    c->options.format = wl_format_named(text);
    return c->options.format < WL_FORMATS
               ? NULL
               : "expected auto, mooncake, qwen, prompts, azure, burstgpt or binary";
}

static const char *set_block(struct trace_command *c, const char *text)
{
    uint64_t value = 0;
    const char *why = count_below(text, 1, 1 << 20, &value);
    c->options.block_tokens = (uint32_t)value;
    return why != NULL ? "expected 1 to 1048576 tokens" : NULL;
}

static const char *set_trace_block(struct trace_command *c, const char *text)
{
    uint64_t value = 0;
    const char *why = count_below(text, 1, 1 << 20, &value);
    c->options.trace_block_tokens = (uint32_t)value;
    return why != NULL ? "expected 1 to 1048576 tokens" : NULL;
}

static const char *set_skip(struct trace_command *c, const char *text)
{
    return count_below(text, 0, UINT64_MAX, &c->options.skip);
}

static const char *set_limit(struct trace_command *c, const char *text)
{
    return count_below(text, 1, UINT64_MAX, &c->options.limit) != NULL
               ? "expected a whole number of at least 1"
               : NULL;
}

static const char *set_rate_scale(struct trace_command *c, const char *text)
{
    const char *why = NULL;
    if (units_number(text, &c->options.rate_scale, &why) != 0)
        return why;
    return c->options.rate_scale > 0 ? NULL : "expected a number above 0";
}

static const char *set_seed(struct trace_command *c, const char *text)
{
    return count_below(text, 0, UINT64_MAX, &c->options.seed);
}

static const char *set_out(struct trace_command *c, const char *text)
{
    c->out = text;
    return NULL;
}

static const char *set_synth_system(struct trace_command *c, const char *text)
{
    uint64_t value = 0;
    const char *why = count_below(text, 0, INT32_MAX, &value);
    c->options.synth.system_tokens = (uint32_t)value;
    return why;
}

static const char *set_synth_continues(struct trace_command *c, const char *text)
{
    const char *why = NULL;
    if (units_ratio(text, &c->options.synth.continues, &why) != 0)
        return why;
    return c->options.synth.continues <= 1 ? NULL : "expected 0 to 1, or 0% to 100%";
}

static const char *set_synth_idle(struct trace_command *c, const char *text)
{
    const char *why = NULL;
    return units_duration(text, &c->options.synth.idle_ns, &why) != 0 ? why : NULL;
}

static const struct trace_option trace_options[] = {
    {"json", STATS, NULL, set_json, "print JSON"},
    {"format", STATS | CONVERT, "NAME", set_format,
     "of the input; default: told by its first line"},
    {"block", STATS | CONVERT | GENERATE, "TOKENS", set_block,
     "blocks to count in (stats) or to name where the input names none; default 512"},
    {"trace-block", STATS | CONVERT, "TOKENS", set_trace_block,
     "what one hash id stands for; default: what fits all lines"},
    {"skip", STATS | CONVERT | GENERATE, "N", set_skip, "leave out the first N requests"},
    {"limit", STATS | CONVERT | GENERATE, "N", set_limit, "at most N requests"},
    {"rate-scale", STATS | CONVERT | GENERATE, "X", set_rate_scale, "X times as many per second"},
    {"seed", STATS | CONVERT | GENERATE, "N", set_seed, "of all that is drawn; default 1"},
    {"synth-system", STATS | CONVERT, "TOKENS", set_synth_system,
     "lengths only: the system prompt all share; default 256"},
    {"synth-continues", STATS | CONVERT, "P", set_synth_continues,
     "lengths only: chance that a request continues a conversation; default 0.5"},
    {"synth-idle", STATS | CONVERT, "TIME", set_synth_idle,
     "lengths only: a conversation idle for longer is over; default 300s"},
    {"out", GENERATE, "FILE", set_out, "where to; .kvtrace or .jsonl"},
};

enum { OPTIONS = sizeof trace_options / sizeof trace_options[0] };

/* ---- Help ------------------------------------------------------------------------------------------- */

static void print_options(int verb)
{
    for (int i = 0; i < OPTIONS; i++) {
        const struct trace_option *o = &trace_options[i];
        if (!(o->verbs & verb))
            continue;
        printf("  --%s %-*s %s\n", o->name, 22 - (int)strlen(o->name),
               o->argument != NULL ? o->argument : "", o->help);
    }
}

static void print_parameters(void)
{
    printf("\nParameters of generators (defaults: chat, agent, rag, zipf-tree):\n"
           "  --kind KIND              chat, agent, rag, zipf-tree; default chat\n"
           "  --arrivals PROCESS       poisson, gamma(cv=2), diurnal(amplitude=0.8,period=24h), "
           "constant\n");
    for (int i = 0; i < WL_PARAMS; i++) {
        const struct wl_generate_key *k = &wl_generate_keys[i];
        char name[40];
        snprintf(name, sizeof name, "%s", k->name);
        for (char *c = name; *c != '\0'; c++)
            *c = *c == '_' ? '-' : *c;
        printf("  --%-22s %s (", name, k->help);
        for (int kind = 0; kind < WL_KINDS; kind++)
            printf("%s%s", kind > 0 ? ", " : "",
                   k->fallback[kind] != NULL ? k->fallback[kind] : "-");
        puts(")");
    }
}

static int print_help(void)
{
    puts("usage: kvtwin trace stats FILE [OPTIONS]       volume, lengths, burstiness, reuse\n"
         "       kvtwin trace convert IN OUT [OPTIONS]   OUT ends in .kvtrace (binary) or .jsonl\n"
         "       kvtwin trace generate --out FILE [OPTIONS]\n"
         "\n"
         "Reads Mooncake and Qwen JSON lines, prompts as JSON lines, Azure and BurstGPT CSV, and "
         "its\n"
         "own binary format.\n"
         "\nOptions:");
    print_options(STATS | CONVERT | GENERATE);
    print_parameters();
    return EXIT_DONE;
}

/* ---- Command line ----------------------------------------------------------------------------------- */

static int refuse(const char *what, const char *expected)
{
    fprintf(stderr, "kvtwin trace: %.200s: %s\n", what, expected);
    return EXIT_BAD_INPUT;
}

static int unknown_option(const char *given)
{
    const char *names[OPTIONS + WL_PARAMS];
    for (int i = 0; i < OPTIONS; i++)
        names[i] = trace_options[i].name;
    for (int i = 0; i < WL_PARAMS; i++)
        names[OPTIONS + i] = wl_generate_keys[i].name;
    const char *near = near_word(given + 2, names, OPTIONS + WL_PARAMS);
    char text[120];
    snprintf(text, sizeof text, "expected an option that --help lists%s%s%s",
             near != NULL ? ", did you mean --" : "", near != NULL ? near : "",
             near != NULL ? "?" : "");
    return refuse(given, text);
}

/* A parameter of a generator, or not an option at all. */
static int set_parameter(struct trace_command *c, const char *given, const char *name,
                         const char *value)
{
    char key[40];
    struct wl_error error;
    bool known = strcmp(name, "kind") == 0 || strcmp(name, "arrivals") == 0;
    snprintf(key, sizeof key, "%s", name);
    for (char *p = key; *p != '\0'; p++)
        *p = *p == '-' ? '_' : *p;
    for (int i = 0; i < WL_PARAMS; i++)
        known |= strcmp(key, wl_generate_keys[i].name) == 0;
    if (!known || c->verb != GENERATE)
        return unknown_option(given);
    if (value == NULL)
        return refuse(given, "expected a value behind it");
    if (wl_generate_set(&c->options.generate, key, value, &error) == 0)
        return EXIT_DONE;
    fprintf(stderr, "kvtwin trace: --%s\n", error.text);
    return EXIT_BAD_INPUT;
}

/* argv[*i] is "--name", "--name=value" or "--name value"; *i moves to what was used. */
static int parse_option(struct trace_command *c, int argc, char **argv, int *i)
{
    const char *given = argv[*i];
    const char *equals = strchr(given, '=');
    char name[40];
    const size_t n = equals != NULL ? (size_t)(equals - given) - 2 : strlen(given) - 2;
    if (n >= sizeof name)
        return unknown_option(given);
    memcpy(name, given + 2, n);
    name[n] = '\0';
    const struct trace_option *o = NULL;
    for (int k = 0; k < OPTIONS; k++)
        if (strcmp(name, trace_options[k].name) == 0 && (trace_options[k].verbs & (int)c->verb))
            o = &trace_options[k];
    const char *value = equals != NULL ? equals + 1 : NULL;
    if ((o == NULL || o->argument != NULL) && value == NULL && *i + 1 < argc)
        value = argv[++*i];
    if (o == NULL)
        return set_parameter(c, given, name, value);
    if (o->argument != NULL && value == NULL)
        return refuse(given, "expected a value behind it");
    if (o->argument == NULL && value != NULL)
        return refuse(given, "expected no value");
    const char *wrong = o->set(c, value);
    if (wrong == NULL)
        return EXIT_DONE;
    fprintf(stderr, "kvtwin trace: --%s: %s, found \"%.80s\"\n", name, wrong, value);
    return EXIT_BAD_INPUT;
}

static int parse(struct trace_command *c, int argc, char **argv)
{
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            c->help = true;
            return EXIT_DONE;
        }
        if (strncmp(argv[i], "--", 2) == 0 && argv[i][2] != '\0') {
            const int status = parse_option(c, argc, argv, &i);
            if (status != EXIT_DONE)
                return status;
        } else if (c->n_files < 2) {
            c->files[c->n_files++] = argv[i];
        } else {
            return refuse(argv[i], "expected no more arguments");
        }
    }
    return EXIT_DONE;
}

static int exit_of(int status)
{
    return status == -ENOMEM || status == -EIO ? EXIT_FAILED : EXIT_BAD_INPUT;
}

static int open_source(const struct trace_command *c, struct wl_source **source)
{
    struct wl_error error;
    const int status = wl_open(source, &c->options, &error);
    if (status == 0)
        return EXIT_DONE;
    fprintf(stderr, "%s%s\n", c->options.path == NULL ? "kvtwin trace: --" : "", error.text);
    return exit_of(status);
}

/* ---- stats ------------------------------------------------------------------------------------------ */

static double ratio(uint64_t part, uint64_t whole)
{
    return whole > 0 ? (double)part / (double)whole : 0;
}

static void print_spread(const char *name, uint64_t sum, const struct wl_spread *s)
{
    char total[32], p50[32], p90[32], p99[32], most[32];
    printf("%-16s %s in all; mean %.1f, p50 %s, p90 %s, p99 %s, max %s\n", name,
           units_show_count(total, sizeof total, sum), s->mean,
           units_show_count(p50, sizeof p50, s->p50), units_show_count(p90, sizeof p90, s->p90),
           units_show_count(p99, sizeof p99, s->p99), units_show_count(most, sizeof most, s->most));
}

/* A lengths-only trace has the prefixes that we gave it: say so beside every figure on reuse. */
static void print_rule(const struct trace_command *c, const struct wl_info *info)
{
    const struct wl_synth *synth = &c->options.synth;
    if (info->format != WL_AZURE && info->format != WL_BURSTGPT)
        return;
    printf(
        "prefixes         made up: the trace has lengths only. All prompts share %u tokens; with\n"
        "                 probability %g a request continues the longest conversation that\n"
        "                 is shorter than its prompt and idle for at most %g s\n",
        synth->system_tokens, synth->continues, (double)synth->idle_ns / 1e9);
}

static void print_stats(const struct trace_command *c, const struct wl_info *info,
                        const struct wl_stats *s)
{
    char a[32], b[32], d[32];
    printf("%s: %s, blocks of %u tokens", c->options.path, info->name, info->trace_block_tokens);
    if (info->block_tokens != info->trace_block_tokens)
        printf(", cut to %u", info->block_tokens);
    printf("\n%-16s %s in %.3f s, %.4g/s, inter-arrival CV %.2f\n", "requests",
           units_show_count(a, sizeof a, s->requests), s->duration_s, s->rate_per_s,
           s->interarrival_cv);
    print_spread("prompt tokens", s->prompt_tokens, &s->prompt);
    print_spread("output tokens", s->output_tokens, &s->output);
    printf("%-16s %s in prompts, %s different\n", "blocks",
           units_show_count(a, sizeof a, s->blocks),
           units_show_count(b, sizeof b, s->unique_blocks));
    print_rule(c, info);
    printf("%-16s %.1f %% of blocks (%s of %s)\n", "most to hit",
           100 * ratio(s->hit_blocks, s->blocks), units_show_count(a, sizeof a, s->hit_blocks),
           units_show_count(b, sizeof b, s->blocks));
    printf("%-16s %.1f %% of tokens (%s of %s), %s prompts whole\n", "",
           100 * ratio(s->hit_tokens, s->prompt_tokens),
           units_show_count(a, sizeof a, s->hit_tokens),
           units_show_count(b, sizeof b, s->prompt_tokens),
           units_show_count(d, sizeof d, s->fully_hit));
    printf("%-16s p50 %.3g s, p90 %.3g s, p99 %.3g s, max %.4g s\n", "reuse gap", s->gap_p50_s,
           s->gap_p90_s, s->gap_p99_s, s->gap_max_s);
    if (s->sessions > 0)
        printf("%-16s %s\n", "sessions", units_show_count(a, sizeof a, s->sessions));
    printf("%-16s %s\n", "tenants", units_show_count(a, sizeof a, s->tenants));
}

static void add_spread(json_t *root, const char *name, const struct wl_spread *s)
{
    static const char *const parts[] = {"p50", "p90", "p99", "max"};
    const uint32_t values[] = {s->p50, s->p90, s->p99, s->most};
    char key[40];
    snprintf(key, sizeof key, "%s_mean", name);
    json_object_set_new(root, key, json_real(s->mean));
    for (int i = 0; i < 4; i++) {
        snprintf(key, sizeof key, "%s_%s", name, parts[i]);
        json_object_set_new(root, key, json_integer((json_int_t)values[i]));
    }
}

static int print_json(const struct trace_command *c, const struct wl_info *info,
                      const struct wl_stats *s)
{
    const struct {
        const char *key;
        uint64_t value;
    } counts[] = {
        {"requests", s->requests},           {"prompt_tokens", s->prompt_tokens},
        {"output_tokens", s->output_tokens}, {"trace_block_tokens", info->trace_block_tokens},
        {"block_tokens", s->block_tokens},   {"blocks", s->blocks},
        {"unique_blocks", s->unique_blocks}, {"hit_blocks", s->hit_blocks},
        {"hit_tokens", s->hit_tokens},       {"requests_fully_hit", s->fully_hit},
        {"sessions", s->sessions},           {"tenants", s->tenants},
    };
    const struct {
        const char *key;
        double value;
    } figures[] = {
        {"duration_s", s->duration_s},
        {"rate_per_s", s->rate_per_s},
        {"interarrival_cv", s->interarrival_cv},
        {"hit_block_ratio", ratio(s->hit_blocks, s->blocks)},
        {"hit_token_ratio", ratio(s->hit_tokens, s->prompt_tokens)},
        {"reuse_gap_p50_s", s->gap_p50_s},
        {"reuse_gap_p90_s", s->gap_p90_s},
        {"reuse_gap_p99_s", s->gap_p99_s},
        {"reuse_gap_max_s", s->gap_max_s},
    };
    json_t *root = json_object();
    json_object_set_new(root, "trace", json_string(c->options.path));
    json_object_set_new(root, "format", json_string(info->name));
    json_object_set_new(root, "prefixes_made_up",
                        json_boolean(info->format == WL_AZURE || info->format == WL_BURSTGPT));
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        json_object_set_new(root, counts[i].key, json_integer((json_int_t)counts[i].value));
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++)
        json_object_set_new(root, figures[i].key, json_real(figures[i].value));
    add_spread(root, "prompt_tokens", &s->prompt);
    add_spread(root, "output_tokens", &s->output);
    const int status = json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
    json_decref(root);
    puts("");
    return status == 0 ? EXIT_DONE : EXIT_FAILED;
}

static int run_stats(struct trace_command *c)
{
    struct wl_source *source;
    struct wl_info info;
    struct wl_stats stats;
    struct wl_error error;
    if (c->n_files != 1)
        return refuse("stats", "expected one file");
    c->options.path = c->files[0];
    c->options.partial_blocks = true;
    int status = open_source(c, &source);
    if (status != EXIT_DONE)
        return status;
    wl_source_info(source, &info);
    const int failed = wl_stats_of(source, &stats, &error);
    if (failed != 0) {
        fprintf(stderr, "%s\n", error.text);
        status = exit_of(failed);
    } else if (c->json) {
        status = print_json(c, &info, &stats);
    } else {
        print_stats(c, &info, &stats);
    }
    wl_close(source);
    return fflush(stdout) == 0 ? status : EXIT_FAILED;
}

/* ---- convert, generate ------------------------------------------------------------------------------ */

static int write_all(struct trace_command *c, const char *out)
{
    struct wl_source *source;
    struct wl_error error;
    uint64_t requests;
    char text[32];
    if (wl_write_format(out) == WL_FORMATS)
        return refuse(out, "expected a name that ends in .jsonl or .kvtrace");
    const int status = open_source(c, &source);
    if (status != EXIT_DONE)
        return status;
    const int failed = wl_write(source, out, &requests, &error);
    wl_close(source);
    if (failed != 0) {
        fprintf(stderr, "%s\n", error.text);
        return failed == -EINVAL ? EXIT_BAD_INPUT : EXIT_FAILED;
    }
    printf("%s: %s requests\n", out, units_show_count(text, sizeof text, requests));
    return EXIT_DONE;
}

static int run_convert(struct trace_command *c)
{
    if (c->n_files != 2)
        return refuse("convert", "expected two files, IN and OUT");
    c->options.path = c->files[0];
    c->options.partial_blocks = true;
    return write_all(c, c->files[1]);
}

static int run_generate(struct trace_command *c)
{
    if (c->n_files != 0)
        return refuse(c->files[0], "expected options only, the file comes with --out");
    if (c->out == NULL)
        return refuse("generate", "expected --out FILE");
    return write_all(c, c->out);
}

int cmd_trace(int argc, char **argv)
{
    static const struct {
        const char *name;
        enum trace_verb verb;
        int (*run)(struct trace_command *c);
    } verbs[] = {{"stats", STATS, run_stats},
                 {"convert", CONVERT, run_convert},
                 {"generate", GENERATE, run_generate}};
    struct trace_command c = {0};
    if (argc < 2)
        return refuse("trace", "expected stats, convert or generate");
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return print_help();
    wl_options_init(&c.options);
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(argv[1], verbs[i].name) != 0)
            continue;
        c.verb = verbs[i].verb;
        const int status = parse(&c, argc, argv);
        return status != EXIT_DONE ? status : c.help ? print_help() : verbs[i].run(&c);
    }
    return refuse(argv[1], "expected stats, convert or generate");
}
