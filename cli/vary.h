/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * vary.h - what varies in a comparison, a sweep or a plan: keys with the values that each takes.
 *
 *      KEY=A,B,C              these values, in this order
 *      KEY=LOW..HIGH          whole numbers, one by one
 *      KEY=LOW..HIGH step S   from LOW by S, never beyond HIGH
 *      KEY=LOW..HIGH log N    N values, each the same factor above the one before
 *
 * KEY is any key of a scenario. Values carry the units that the key wants; a comma within
 * parentheses or brackets belongs to a value ("gamma(cv=2)", "[fp16,zlib-3]"). Several keys span a
 * grid, whose points are numbered like the digits of a number: the last key varies fastest.
 *
 * Values of a range are written as a person would ("64GiB", "90.5GiB"): those between the ends of a
 * log range are rounded to three significant digits, or whole numbers where the key wants them, and
 * values that become equal are taken once. The text is the value: what a table shows is what ran.
 *
 * A value is *numeric* when it is a number with or without unit; `number` is then its size in the
 * base unit (bytes, ns, per second, blocks), for axes. A key is numeric when all its values are, and of
 * one kind.
 */
#ifndef CLI_VARY_H
#define CLI_VARY_H

#include "scenario.h"

enum { VARY_KEYS_MOST = 8, VARY_VALUES_MOST = 4096, VARY_POINTS_MOST = 1000000 };

/* What a number counts; decides the unit of an axis. */
enum vary_kind { VARY_WORD, VARY_PLAIN, VARY_BYTES, VARY_BLOCKS, VARY_NS, VARY_PER_S };

struct vary_value {
    char *text;
    double number; /* NAN when it is none */
    enum vary_kind kind;
};

struct vary_key {
    char *path;
    struct vary_value *values;
    size_t n;
    bool numeric; /* all values, of one kind, each above the one before */
    bool even;    /* numeric: evenly spread on a linear axis rather than on a logarithmic one */
    enum vary_kind kind;
};

struct vary {
    struct vary_key keys[VARY_KEYS_MOST];
    size_t n_keys;
    size_t points; /* product of the keys' n; 1 without keys */
};

/* Adds a key out of "KEY=SPEC". `option` is the option's name for messages ("--vary"). *v is zero
 * before the first. Returns 0; or -EINVAL or -ENOMEM with "option: key: what was expected" in
 * error[SCENARIO_ERROR_SIZE]. Whether the key exists and takes the values is vary_check's matter. */
KVT_MUST_CHECK int vary_add(struct vary *v, const char *option, const char *text, char *error);
void vary_release(struct vary *v);

/* How many words of the command line the value at argv[i] takes: 3 for LOW..HIGH step S that no
 * quotes hold together, else 1. */
int vary_words(int argc, char *const *argv, int i);

/* Which value of its key `key` point `point` has. */
size_t vary_digit(const struct vary *v, size_t point, size_t key);
/* The point that has digits[0 .. n_keys). */
size_t vary_point(const struct vary *v, const size_t *digits);

/* Sets the values of a point in a loaded scenario and types it. Returns 0, or a negative errno with
 * one line that names the key in error. */
KVT_MUST_CHECK int vary_apply(const struct vary *v, size_t point, struct scenario *s,
                              const char *option, char *error);

/* Every key by itself: exists, and its values are of its type. Combinations are left to vary_apply. *s
 * is changed. Returns as vary_apply does. */
KVT_MUST_CHECK int vary_check(const struct vary *v, struct scenario *s, const char *option,
                              char *error);

/* Makes a message about a value that was set ("--set: key: ...") one of the option that set it, where
 * key is varied. */
void vary_blame(const struct vary *v, const char *option, char *error);

/* "key=value, key=value" of a point, with paths cut to what tells them apart. Returns text. */
char *vary_describe(const struct vary *v, size_t point, char *text, size_t size);
/* The short name of a key: the last components of its path that no other varied key shares. Borrowed. */
const char *vary_short(const struct vary *v, size_t key);

/* The number in a text with any of the units that scenarios know. NAN with VARY_WORD when it is none. */
double vary_number(const char *text, enum vary_kind *kind);
/* The other way: the shortest text that says number exactly, or, `rounded`, to three significant
 * digits; whole: without a fraction. Returns text. */
char *vary_write(char *text, size_t size, double number, enum vary_kind kind, bool rounded,
                 bool whole);

#endif
