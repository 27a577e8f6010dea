/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * lab_write.c - what compare, sweep and plan leave beside their own files; see lab.h.
 *
 *      scenario.yaml     the resolved scenario, every value with where it comes from, of the first point; a comment on
 *                        top says which keys vary
 *      run.json          the command, the hour and the program: what differs from one call to the next, kept apart
 *
 * Each appears whole, by rename.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lab.h"
#include "out.h"
#include "version.h"

static void name_keys(FILE *out, const struct vary *v)
{
    for (size_t k = 0; k < v->n_keys; k++)
        fprintf(out, "# varied: %s, %zu values, %s to %s; below, the first\n", v->keys[k].path,
                v->keys[k].n, v->keys[k].values[0].text, v->keys[k].values[v->keys[k].n - 1].text);
}

/* Freed by the caller; NULL: out of memory. */
static char *setting_text(struct lab *lab)
{
    char *text = NULL, error[SCENARIO_ERROR_SIZE];
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    if (!out)
        return NULL;
    name_keys(out, &lab->arguments->vary);
    /* A point that does not fit its GPUs has values all the same. */
    if (lab_take_values(lab, 0, error) == 0 && session_resolve(&lab->session) != -ENOMEM)
        scenario_explain(&lab->session.scenario, out, resolve_note, &lab->session.resolved);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

char *lab_json(json_t *all)
{
    char *text = all ? json_dumps(all, JSON_INDENT(1) | JSON_REAL_PRECISION(15)) : NULL;
    json_decref(all);
    char *line = text ? realloc(text, strlen(text) + 2) : NULL;
    if (line)
        strcat(line, "\n");
    else
        free(text);
    return line;
}

static char *run_text(const struct lab *lab)
{
    char when[32] = "";
    struct tm utc;
    time_t now = time(NULL);
    if (gmtime_r(&now, &utc))
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
    json_t *all = json_pack("{s:s, s:s, s:s}", "finished_at", when, "command",
                            lab->arguments->command, "revision", kvtwin_revision());
    char *text = all ? json_dumps(all, JSON_INDENT(1)) : NULL;
    json_decref(all);
    return text;
}

static int put(struct out *o, int dirfd, const char *name, char *text)
{
    static const char temporary[] = ".setting-being-written";
    if (!text)
        return -ENOMEM;
    int rc = out_open(o, dirfd, temporary);
    if (rc == 0)
        out_text(o, text);
    int closed = out_close(o);
    rc = rc ? rc : closed;
    if (rc == 0 && renameat(dirfd, temporary, dirfd, name) != 0)
        rc = -errno;
    if (rc != 0)
        unlinkat(dirfd, temporary, 0);
    free(text);
    return rc;
}

int lab_write_setting(struct lab *lab, int dirfd)
{
    struct out *o = malloc(sizeof *o);
    int rc = o ? put(o, dirfd, "scenario.yaml", setting_text(lab)) : -ENOMEM;
    if (rc == 0)
        rc = put(o, dirfd, "run.json", run_text(lab));
    free(o);
    return rc;
}
