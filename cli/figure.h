/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * figure.h - the figures of a summary by name: which there are, how one is written, which way is better.
 *
 * A figure is a number in summary.json; its name says its unit ("ttft_p95_ms", "prefix_hit_rate",
 * "bytes_read_redis", "cost_usd_per_hour"), and that is all that is known here of most. What identifies a
 * run (seed, engines, page_tokens...) is no figure.
 */
#ifndef CLI_FIGURE_H
#define CLI_FIGURE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { FIGURES_MOST = 512, FIGURE_NAME = 64, FIGURE_CELL = 32 };

/* Names of figures, in the order of the summary. */
struct figures {
    char name[FIGURES_MOST][FIGURE_NAME];
    size_t n;
};

/* Every figure that a summary can have: with an SLO, with a baseline. Returns 0 or -ENOMEM. */
int figures_known(struct figures *f);
/* Adds those of this summary that are not there yet. */
void figures_add(struct figures *f, const json_t *summary);
/* -1 when it is not there. */
long figures_find(const struct figures *f, const char *name);

/* Takes "a,b,c" apart and checks each name against `known`. Returns 0; or -EINVAL with "option: name: what was
 * expected" in error[size], valid names told. */
int figures_parse(struct figures *f, const struct figures *known, const char *list,
                  const char *option, char *error, size_t size);

/* NAN when the summary does not have it, or has null. */
double figure_value(const json_t *summary, const char *name);

/* +1: more is better; -1: less is; 0: who knows. */
int figure_better(const char *name);

/* "TTFT p95", "hit gpu": for the head of a column. Returns text[FIGURE_CELL]. */
char *figure_short(char *text, const char *name);
/* The value with three significant digits and its unit: "1.15 s", "34.6 %", "26.5 M", "-". */
char *figure_cell(char *text, const char *name, double value);
/* A difference of two values with its sign: "-1.21 pp", "+12.0 ms". */
char *figure_change(char *text, const char *name, double difference);

/* For an axis whose greatest value is `most`: what values are divided by, and the title with its unit ("TTFT
 * p95 (s)") in title[2 * FIGURE_NAME]. */
double figure_axis(char *title, const char *name, double most);

#endif
