/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * lab_options.c - the options that compare, sweep and plan share; see lab.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lab.h"
#include "option.h"

enum { JOBS_MOST = 1024, REPLICATIONS_MOST = 10000 };

void lab_arguments_init(struct lab_arguments *a, const char *option, int argc, char **argv)
{
    *a = (struct lab_arguments){.option = option, .replications = 1};
    a->session.sets = a->sets;
    option_join(argc, argv, a->command, sizeof a->command);
}

static int expected(char *error, const char *what, const char *sentence)
{
    snprintf(error, SCENARIO_ERROR_SIZE, "%.200s: %s", what, sentence);
    return -EINVAL;
}

static int parse_number(const char *text, const char *name, uint32_t most, uint32_t *value,
                        char *error)
{
    uint64_t number;
    if (units_count(text, &number, NULL) != 0 || number < 1 || number > most) {
        snprintf(error, SCENARIO_ERROR_SIZE, "%s: expected a whole number from 1 to %u", name,
                 most);
        return -EINVAL;
    }
    *value = (uint32_t)number;
    return 0;
}

/* --vary, whose range a shell may have taken apart: LOW..HIGH log 13. */
static int take_vary(struct lab_arguments *a, int argc, char **argv, int *i, const char *value,
                     char *error)
{
    char joined[1024];
    if (!value)
        return expected(error, a->option, "expected KEY=VALUES");
    if (vary_words(argc, argv, *i) == 3) {
        snprintf(joined, sizeof joined, "%.900s %s %.60s", value, argv[*i + 1], argv[*i + 2]);
        *i += 2;
        value = joined;
    }
    return vary_add(&a->vary, a->option, value, error);
}

static int take(struct lab_arguments *a, int argc, char **argv, int *i, char *error, bool *needed)
{
    const char *value = "", *name = argv[*i];
    *needed = true;
    if (option_value(argc, argv, i, a->option, &value))
        return take_vary(a, argc, argv, i, value, error);
    if (option_value(argc, argv, i, "--world", &value))
        a->session.world = value;
    else if (option_value(argc, argv, i, "--profile", &value))
        a->session.profile = value;
    else if (option_value(argc, argv, i, "--out", &value))
        a->out = value;
    else if (option_value(argc, argv, i, "--metrics", &value))
        a->metrics = value;
    else if (option_value(argc, argv, i, "--jobs", &value)) {
        if (value)
            return parse_number(value, "--jobs", JOBS_MOST, &a->jobs, error);
    } else if (option_value(argc, argv, i, "--replications", &value)) {
        if (value)
            return parse_number(value, "--replications", REPLICATIONS_MOST, &a->replications,
                                error);
    } else if (option_value(argc, argv, i, "--set", &value)) {
        if (a->session.n_sets == LAB_SETS_MOST)
            return expected(error, "--set", "expected at most 256 times");
        a->sets[a->session.n_sets++] = value;
    } else if (strcmp(name, "--json") == 0) {
        a->json = true;
    } else if (name[0] != '-' && !a->session.scenario) {
        a->session.scenario = name;
    } else if (name[0] != '-') {
        return expected(error, name, "expected one scenario");
    } else {
        *needed = false;
    }
    if (!value || (value[0] == '\0' && strchr(name, '=')))
        return expected(error, name, "expected a value");
    return 0;
}

int lab_option(struct lab_arguments *a, int argc, char **argv, int *i, char *error)
{
    bool needed;
    int rc = take(a, argc, argv, i, error, &needed);
    return rc ? rc : needed;
}
