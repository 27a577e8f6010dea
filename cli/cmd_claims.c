/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cmd_claims.c - kvtwin claims: numbers that others state, beside the ones computed here.
 *
 * Every file of scenarios/claims/ (with --anchors of scenarios/anchors/) is one; claims.h says how it is answered.
 * A claim that cannot be answered, for want of a trace that is not there, is named as not answered and costs
 * exit 1 only when it was asked for by name.
 */
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "claims.h"
#include "commands.h"
#include "datadir.h"
#include "stop.h"

static const char help[] =
    "usage: kvtwin claims [--anchors] [--markdown | --json] [NAME...]\n"
    "\n"
    "Puts each number of the architecture document beside what this program computes with the\n"
    "catalogue's constants, and says what would have to be true for it to hold. Each is a scenario "
    "in\n"
    "scenarios/claims/; NAME is one of them, without number and ending, or the path of another "
    "one.\n"
    "\n"
    "  --anchors    published measurements instead, predicted without being fitted to them: error, "
    "and\n"
    "               the unknown input that moves the result most; scenarios/anchors/\n"
    "  --markdown   the table as README has it\n"
    "  --json       for machines\n";

struct list {
    struct claim *claims;
    size_t n;
    bool anchors;
};

/* ---- Finding and answering ---- */

static int is_scenario(const struct dirent *entry)
{
    size_t n = strlen(entry->d_name);
    return n > 5 && strcmp(entry->d_name + n - 5, ".yaml") == 0;
}

/* Is the file asked for? By all when nothing is. */
static bool wanted(const char *file, char *const *names, int n)
{
    const char *base = file + strspn(file, "0123456789");
    base += *base == '-';
    size_t len = strcspn(base, ".");
    for (int i = 0; i < n; i++)
        if (strlen(names[i]) == len && strncmp(names[i], base, len) == 0)
            return true;
    return n == 0;
}

/* Answers one into list. Returns an exit code. */
static int add(struct list *list, const char *path)
{
    char error[SCENARIO_ERROR_SIZE];
    struct claim *more = realloc(list->claims, (list->n + 1) * sizeof *more);
    if (!more) {
        fputs("kvtwin claims: out of memory\n", stderr);
        return EXIT_FAILED;
    }
    list->claims = more;
    int rc = claim_answer(&list->claims[list->n], path, error);
    if (rc == 0) {
        list->n++;
        return EXIT_DONE;
    }
    fprintf(stderr, "%s\n", error);
    return session_exit(rc);
}

static int answer_folder(struct list *list, char *const *names, int n)
{
    char data[PATH_MAX], folder[PATH_MAX + 32], path[2 * PATH_MAX];
    struct dirent **entries;
    int code = EXIT_DONE;
    if (datadir_find(data, sizeof data) != 0) {
        fputs("kvtwin claims: expected a data folder with scenarios/: set KVTWIN_DATA\n", stderr);
        return EXIT_FAILED;
    }
    snprintf(folder, sizeof folder, "%s/scenarios/%s", data, list->anchors ? "anchors" : "claims");
    int found = scandir(folder, &entries, is_scenario, alphasort);
    if (found < 0) {
        fprintf(stderr, "%s: %s\n", folder, strerror(errno));
        return EXIT_FAILED;
    }
    for (int i = 0; i < found; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if (code == EXIT_DONE && wanted(entries[i]->d_name, names, n))
            code = add(list, path);
        free(entries[i]);
    }
    free(entries);
    return code;
}

/* ---- Printing ---- */

/* "holds", "2.6 times too low". */
static const char *verdict(char *text, size_t size, const struct claim *c)
{
    if (c->holds)
        snprintf(text, size, "holds");
    else if (!isfinite(c->computed))
        snprintf(text, size, "not to be had");
    else if (c->computed <= 0 || c->claimed <= 0)
        snprintf(text, size, "does not hold");
    else {
        bool high = c->claimed > c->computed;
        double times = high ? c->claimed / c->computed : c->computed / c->claimed;
        snprintf(text, size, "%.*f times too %s", times < 9.95 ? 1 : 0, times,
                 high ? "high" : "low");
    }
    return text;
}

static const char *error_of(char *text, size_t size, const struct claim *c)
{
    double percent = round(100 * (c->computed / c->claimed - 1));
    snprintf(text, size, "%+.0f %%", percent == 0 ? 0 : percent); /* no -0 */
    return text;
}

static void print_plain(const struct list *list)
{
    char a[32], b[32], v[48];
    size_t held = 0;
    for (size_t i = 0; i < list->n; i++) {
        const struct claim *c = &list->claims[i];
        printf("%s: %s\n", c->name, c->says);
        printf("  %s %s   %s %s   %s\n", list->anchors ? "published" : "claimed",
               claim_show(a, sizeof a, c->unit, c->claimed),
               list->anchors ? "predicted" : "computed",
               claim_show(b, sizeof b, c->unit, c->computed),
               list->anchors ? error_of(v, sizeof v, c) : verdict(v, sizeof v, c));
        printf("  for:   %s\n", c->setting);
        if (!list->anchors && c->needs[0])
            printf("  needs: %s\n", c->needs);
        if (c->unknown[0])
            printf("  unknown: %s\n", c->unknown);
        printf("  source: %s\n\n", c->source);
        held += c->holds;
    }
    if (!list->anchors)
        printf("%zu of %zu hold\n", held, list->n);
}

/* A '|' would end the cell. */
static void cell(const char *text)
{
    for (; *text; text++)
        putchar(*text == '|' ? '/' : *text);
}

static void print_markdown(const struct list *list)
{
    char a[32], b[32], v[48];
    puts(list->anchors
             ? "| measurement | published | predicted | error | setting | unknown that moves it "
               "most |"
             : "| claim | claimed | computed | verdict | for | what would have to be true |");
    puts("|---|---|---|---|---|---|");
    for (size_t i = 0; i < list->n; i++) {
        const struct claim *c = &list->claims[i];
        fputs("| ", stdout);
        cell(c->says);
        printf(" | %s | %s | %s | ", claim_show(a, sizeof a, c->unit, c->claimed),
               claim_show(b, sizeof b, c->unit, c->computed),
               list->anchors ? error_of(v, sizeof v, c) : verdict(v, sizeof v, c));
        cell(c->setting);
        fputs(" | ", stdout);
        cell(list->anchors ? c->unknown : c->needs);
        puts(" |");
    }
}

static const char *unit_of(enum claim_unit unit)
{
    static const char *const names[] = {"ns", "B", "", "USD/h", ""};
    return names[unit];
}

static void print_json(const struct list *list)
{
    json_t *all = json_array();
    for (size_t i = 0; i < list->n; i++) {
        const struct claim *c = &list->claims[i];
        json_array_append_new(
            all,
            json_pack("{s:s, s:s, s:s, s:s, s:s, s:f, s:o, s:b, s:s, s:s, s:s}", "name", c->name,
                      "says", c->says, "source", c->source, "measure", c->measure, "unit",
                      unit_of(c->unit), "claimed", c->claimed, "computed",
                      isfinite(c->computed) ? json_real(c->computed) : json_null(), "holds",
                      c->holds, "setting", c->setting, "needs", c->needs, "unknown", c->unknown));
    }
    json_dumpf(all, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
    putchar('\n');
    json_decref(all);
}

int cmd_claims(int argc, char **argv)
{
    struct list list = {.anchors = false};
    bool json = false, markdown = false;
    char **names = argv + 1;
    int n = 0, code = EXIT_DONE;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(help, stdout);
            return EXIT_DONE;
        }
        if (strcmp(argv[i], "--anchors") == 0)
            list.anchors = true;
        else if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (strcmp(argv[i], "--markdown") == 0)
            markdown = true;
        else if (argv[i][0] == '-') {
            fprintf(stderr, "kvtwin claims: %.80s: unknown option, see kvtwin claims --help\n",
                    argv[i]);
            return EXIT_BAD_INPUT;
        } else
            names[n++] = argv[i];
    }
    stop_catch();
    /* A path is a claim of the user's own. */
    int known = 0;
    for (int i = 0; i < n && code == EXIT_DONE; i++) {
        if (strchr(names[i], '/') || strchr(names[i], '.'))
            code = add(&list, names[i]);
        else
            names[known++] = names[i];
    }
    if (code == EXIT_DONE && (known > 0 || n == 0))
        code = answer_folder(&list, names, known);
    if (code == EXIT_DONE && list.n < (size_t)n) {
        fprintf(stderr, "kvtwin claims: expected names that `kvtwin claims` lists\n");
        code = EXIT_BAD_INPUT;
    }
    if (code == EXIT_DONE)
        (json ? print_json : markdown ? print_markdown : print_plain)(&list);
    free(list.claims);
    return code == EXIT_DONE && fflush(stdout) != 0 ? EXIT_FAILED : code;
}
