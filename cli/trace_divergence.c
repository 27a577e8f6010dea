/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * trace_divergence.c - kvtwin trace divergence: where prompts part, and what it costs.
 *
 * The figures are workload/divergence.h's; here they are gathered from a source, and shown: as a table of the
 * dearest causes with one pair of prompts for each, as one JSON object, and as CSV with a row for every cause
 * and position. A trace of prompts shows them while it is opened; of any other, records are walked.
 */
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../workload/record.h"
#include "out.h"
#include "seen.h"
#include "units.h"

enum { ROWS_SHOWN = 20, EXAMPLES_SHOWN = 5, CELL = 32 };

/* ---- Gathering -------------------------------------------------------------------------------------- */

int trace_divergence_take(void *self, const struct wl_prompt *prompt)
{
    return trace_stop ? -EINTR : wl_divergence_add(self, prompt);
}

/* Blocks of the prompt, and how many of them from the first on an earlier request named. */
static int walk_record(struct wl_divergence *d, struct seen *seen, const struct wl_record *r,
                       uint32_t block, uint32_t now)
{
    const uint32_t full = r->prompt_tokens / block;
    const uint32_t of_prompt = r->n_ids < full ? r->n_ids : full;
    const uint64_t named = (uint64_t)of_prompt + r->has_tail;
    uint64_t found = 0, known = 0;
    for (uint64_t i = 0; i < (uint64_t)r->n_ids + r->has_tail; i++) {
        uint32_t before = 0;
        /* The tail stands behind the prompt's full blocks, and before those of the output. */
        const bool tail = r->has_tail && i == of_prompt;
        const uint64_t id = tail ? r->tail_id : r->ids[i - (r->has_tail && i > of_prompt)];
        const int status = seen_use(seen, (kvt_key){0, id}, now, &before);
        if (status < 0)
            return status;
        known += i < named && status == 1 && before != now && found == i ? 1 : 0;
        found = known;
    }
    return wl_divergence_add_blocks(d, found, named, r->prompt_tokens, block);
}

int trace_divergence_walk(struct wl_divergence *d, struct wl_source *source, char why[TRACE_ERROR])
{
    struct seen seen = {0};
    struct wl_record r;
    struct wl_info info;
    int status;
    uint32_t now = 0;
    wl_source_info(source, &info);
    why[0] = '\0';
    while ((status = wl_next_record(source, &r)) == 1) {
        status = trace_stop ? -EINTR : walk_record(d, &seen, &r, info.trace_block_tokens, now++);
        if (status != 0)
            break;
    }
    seen_release(&seen);
    if (status != 0)
        snprintf(why, TRACE_ERROR, "%s",
                 status == -EINTR    ? "interrupted"
                 : status == -ENOMEM ? "kvtwin trace: out of memory"
                                     : wl_source_error(source));
    return status;
}

/* ---- For people --------------------------------------------------------------------------------------- */

static void print_line(const char *name, uint64_t value, uint64_t whole, const char *note)
{
    char text[CELL];
    printf("  %-18s %13s", name, units_show_count(text, sizeof text, value));
    if (whole > 0)
        printf("  %5.1f %%", 100 * (double)value / (double)whole);
    printf("%s%s\n", *note != '\0' ? "  " : "", note);
}

static uint64_t sum_lost(const struct wl_divergence *d)
{
    uint64_t lost = 0;
    for (size_t i = 0; i < d->n_rows; i++)
        lost += d->rows[i].tokens_lost;
    return lost;
}

static void print_rows(const struct wl_divergence *d)
{
    char at[CELL], requests[CELL], behind[CELL], lost[CELL];
    uint64_t others = 0;
    printf("\n%-12s %14s %12s %16s %16s\n", "cause", d->blocks ? "at block" : "at token",
           "requests", "tokens behind", "tokens lost");
    for (size_t i = 0; i < d->n_rows; i++) {
        const struct wl_divergence_row *r = &d->rows[i];
        if (i >= ROWS_SHOWN) {
            others += r->requests;
            continue;
        }
        printf("%-12s %14s %12s %16s %16s\n", wl_cause_name(r->cause),
               units_show_count(at, sizeof at, r->position),
               units_show_count(requests, sizeof requests, r->requests),
               units_show_count(behind, sizeof behind, r->tokens_behind),
               d->blocks ? "-" : units_show_count(lost, sizeof lost, r->tokens_lost));
    }
    if (others > 0)
        printf("and %s requests at %zu other places: --csv has them all\n",
               units_show_count(requests, sizeof requests, others), d->n_rows - ROWS_SHOWN);
}

static void print_examples(const struct wl_divergence *d)
{
    int shown = 0;
    for (size_t i = 0; i < d->n_rows && shown < EXAMPLES_SHOWN; i++) {
        const struct wl_divergence_row *r = &d->rows[i];
        if (r->tokens_lost == 0 || (r->earlier[0] == '\0' && r->now[0] == '\0'))
            continue;
        shown++;
        printf("\n%s at token %llu: requests %llu and %llu\n  ...%s[%s\n  ...%s[%s\n",
               wl_cause_name(r->cause), (unsigned long long)r->position,
               (unsigned long long)r->example[0], (unsigned long long)r->example[1], r->before,
               r->earlier, r->before, r->now);
    }
}

void trace_divergence_print(const struct wl_divergence *d, const char *name)
{
    printf("%s\n", name);
    print_line("requests", d->requests, 0, "");
    print_line("continued", d->continued, d->requests, "one prompt begins with the other");
    print_line("fresh", d->fresh, d->requests, "nothing like it before");
    print_line("parted", d->requests - d->continued - d->fresh, d->requests, "");
    print_line("prompt tokens", d->prompt_tokens, 0, "");
    print_line("in common prefixes", d->common_tokens, d->prompt_tokens,
               "with the best earlier prompt");
    if (!d->blocks)
        print_line("lost behind", sum_lost(d), d->prompt_tokens,
                   "the same again, behind a difference");
    if (d->n_rows > 0)
        print_rows(d);
    print_examples(d);
    if (d->blocks)
        puts("\nThe trace names blocks: what stands in them, and so the cause, is not known.");
    else if (!d->text)
        puts("\nThe trace has tokens: what they stand for, and so the cause, is not known.");
}

/* ---- For machines -------------------------------------------------------------------------------------- */

static json_t *json_of_row(const struct wl_divergence *d, const struct wl_divergence_row *r)
{
    json_t *row = json_pack("{s:s, s:I, s:I, s:I}", "cause", wl_cause_name(r->cause),
                            d->blocks ? "position_blocks" : "position_tokens",
                            (json_int_t)r->position, "requests", (json_int_t)r->requests,
                            "behind_tokens", (json_int_t)r->tokens_behind);
    int failed =
        json_object_set_new(row, "lost_tokens",
                            d->blocks ? json_null() : json_integer((json_int_t)r->tokens_lost));
    if (d->text && (r->earlier[0] != '\0' || r->now[0] != '\0'))
        failed |= json_object_set_new(row, "example",
                                      json_pack("{s:[I,I], s:s, s:s, s:s}", "requests",
                                                (json_int_t)r->example[0],
                                                (json_int_t)r->example[1], "before", r->before,
                                                "earlier", r->earlier, "now", r->now));
    if (failed == 0)
        return row;
    json_decref(row);
    return NULL;
}

int trace_divergence_print_json(const struct wl_divergence *d, const char *name)
{
    json_t *rows = json_array();
    int failed = rows == NULL;
    for (size_t i = 0; !failed && i < d->n_rows; i++)
        failed = json_array_append_new(rows, json_of_row(d, &d->rows[i]));
    json_t *root =
        json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "trace", name, "requests",
                  (json_int_t)d->requests, "continued", (json_int_t)d->continued, "fresh",
                  (json_int_t)d->fresh, "prompt_tokens", (json_int_t)d->prompt_tokens,
                  "common_tokens", (json_int_t)d->common_tokens, "lost_tokens",
                  d->blocks ? json_null() : json_integer((json_int_t)sum_lost(d)), "causes", rows);
    char *text = failed || root == NULL ? NULL : json_dumps(root, JSON_INDENT(2));
    json_decref(root);
    if (text == NULL)
        return -ENOMEM;
    puts(text);
    free(text);
    return 0;
}

static void csv_row(struct out *o, const struct wl_divergence *d, const struct wl_divergence_row *r)
{
    out_text(o, wl_cause_name(r->cause));
    out_char(o, ',');
    out_u64(o, r->position);
    out_char(o, ',');
    out_u64(o, r->requests);
    out_char(o, ',');
    out_u64(o, r->tokens_behind);
    out_char(o, ',');
    if (!d->blocks)
        out_u64(o, r->tokens_lost);
    for (int i = 0; i < 3; i++) {
        out_char(o, ',');
        out_field(o, i == 0 ? r->before : i == 1 ? r->earlier : r->now);
    }
    out_char(o, '\n');
}

int trace_divergence_csv(const struct wl_divergence *d, const char *path)
{
    struct out *o = malloc(sizeof *o);
    if (o == NULL)
        return -ENOMEM;
    if (out_open(o, AT_FDCWD, path) == 0) {
        out_text(o, d->blocks ? "cause,position_blocks" : "cause,position_tokens");
        out_text(o, ",requests,behind_tokens,lost_tokens,before,earlier,now\n");
        for (size_t i = 0; i < d->n_rows; i++)
            csv_row(o, d, &d->rows[i]);
    }
    const int status = out_close(o);
    free(o);
    return status;
}
