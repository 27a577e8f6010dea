/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * vary.c - see vary.h: from "KEY=64GiB..4TiB log 13" to texts that a scenario takes.
 *
 * A range is made in the base unit of its kind and each value written back with the unit that says it
 * shortest. Steps are counted (LOW + i * S), not added up, so that the last value is not lost or
 * doubled by rounding. How many there will be is known before the first is made: a range that never
 * ends is told, not waited for.
 *
 * Nothing here knows the type of a key but for one question, whether a fraction makes sense: it is
 * asked of the scenario's table. All else that can be wrong with a value is told by the scenario's own
 * parser, in whose messages the option's name is put.
 */
#include "vary.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MOST = 160, MESSAGE_MOST = 300 };

/* ---- Numbers with units ------------------------------------------------------------------------------ */

double vary_number(const char *text, enum vary_kind *kind)
{
    double real;
    uint64_t whole;
    struct units_capacity capacity;
    *kind = VARY_PLAIN;
    if (units_number(text, &real, NULL) == 0 || units_ratio(text, &real, NULL) == 0)
        return real;
    *kind = VARY_BYTES;
    if (units_bytes(text, &whole, NULL) == 0)
        return (double)whole;
    *kind = VARY_NS;
    if (units_duration(text, &whole, NULL) == 0)
        return (double)whole;
    *kind = VARY_PER_S;
    if (units_rate(text, &real, NULL) == 0)
        return real;
    *kind = VARY_BLOCKS;
    if (units_capacity(text, &capacity, NULL) == 0 && capacity.kind == UNITS_CAPACITY_BLOCKS)
        return (double)capacity.value;
    *kind = VARY_WORD;
    return (double)NAN;
}

struct unit {
    const char *name;
    double size;
};

static const struct unit byte_units[] = {
    {"PiB", 1125899906842624.0},
    {"TiB", 1099511627776.0},
    {"GiB", 1073741824.0},
    {"MiB", 1048576.0},
    {"KiB", 1024.0},
    {"PB", 1e15},
    {"TB", 1e12},
    {"GB", 1e9},
    {"MB", 1e6},
    {"KB", 1e3},
    {"B", 1},
};
static const struct unit ns_units[] = {
    {"d", 864e11}, {"h", 36e11}, {"min", 6e10}, {"s", 1e9}, {"ms", 1e6}, {"us", 1e3}, {"ns", 1},
};
static const struct unit rate_units[] = {{"/s", 1}};
static const struct unit block_units[] = {{"blocks", 1}};
static const struct unit plain_units[] = {{"", 1}};

static size_t units_of(enum vary_kind kind, const struct unit **units)
{
    switch (kind) {
    case VARY_BYTES:
        *units = byte_units;
        return sizeof byte_units / sizeof *byte_units;
    case VARY_NS:
        *units = ns_units;
        return sizeof ns_units / sizeof *ns_units;
    case VARY_PER_S:
        *units = rate_units;
        return 1;
    case VARY_BLOCKS:
        *units = block_units;
        return 1;
    case VARY_WORD:
    case VARY_PLAIN:
        break;
    }
    *units = plain_units;
    return 1;
}

/* value in plain decimals, as short as `digits` significant ones allow: exponents are for machines. */
static void write_decimal(char *text, size_t size, double value, int digits)
{
    double magnitude = value == 0 ? 0 : floor(log10(fabs(value)));
    int decimals = (int)fmax(0, fmin(15, digits - 1 - magnitude));
    int n = snprintf(text, size, "%.*f", decimals, value);
    if (decimals == 0 || n < 0 || (size_t)n >= size)
        return;
    while (text[n - 1] == '0')
        text[--n] = '\0';
    if (text[n - 1] == '.')
        text[--n] = '\0';
}

static double round_digits(double value, int digits)
{
    if (value == 0)
        return 0;
    double power = pow(10, digits - 1 - floor(log10(fabs(value))));
    return round(value * power) / power;
}

char *vary_write(char *text, size_t size, double number, enum vary_kind kind, bool rounded,
                 bool whole)
{
    const struct unit *units;
    char digits[64];
    size_t n = units_of(kind, &units), best = n - 1;
    whole = whole || (kind == VARY_BLOCKS);
    if (rounded) {
        /* In the largest unit that leaves a whole part; of binary and decimal ones the binary. */
        for (best = 0; best + 1 < n && fabs(number) < units[best].size * (1 - 1e-9); best++)
            ;
        double value = number / units[best].size;
        value = whole && units[best].size == 1 ? round(value) : round_digits(value, 3);
        write_decimal(digits, sizeof digits, value, 15);
        snprintf(text, size, "%s%s", digits, units[best].name);
        return text;
    }
    /* The shortest of those that mean exactly this number. */
    text[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        char trial[TEXT_MOST];
        enum vary_kind read;
        write_decimal(digits, sizeof digits, number / units[i].size, 15);
        snprintf(trial, sizeof trial, "%s%s", digits, units[i].name);
        double back = vary_number(trial, &read);
        if (fabs(number) < units[i].size * (1 - 1e-9) && i + 1 < n)
            continue; /* 512GiB, not 0.5TiB */
        bool same = back == number || fabs(back - number) <= 1e-14 * fabs(number);
        if (same && (text[0] == '\0' || strlen(trial) < strlen(text)))
            snprintf(text, size, "%s", trial);
    }
    if (text[0] == '\0')
        snprintf(text, size, "%.15g%s", number / units[best].size, units[best].name);
    return text;
}

/* ---- Building a key ---------------------------------------------------------------------------------- */

/* Writes "option: key: what was expected". Returns -EINVAL. */
__attribute__((format(printf, 4, 5))) static int refuse(char *error, const char *option,
                                                        const char *path, const char *format, ...)
{
    char message[MESSAGE_MOST];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    snprintf(error, SCENARIO_ERROR_SIZE, "%s: %.120s: %s", option, path, message);
    return -EINVAL;
}

static int out_of_memory(char *error, const char *option)
{
    snprintf(error, SCENARIO_ERROR_SIZE, "%s: out of memory", option);
    return -ENOMEM;
}

/* Takes a copy of text[0 .. len), blanks around it left out. Values that are there already are not
 * added when they come from a range, and told when a person wrote them twice. */
static int add_value(struct vary_key *key, const char *text, size_t len, const char *option,
                     bool made, char *error)
{
    while (len > 0 && text[0] == ' ')
        text++, len--;
    while (len > 0 && text[len - 1] == ' ')
        len--;
    if (len == 0)
        return refuse(error, option, key->path, "expected a value between commas");
    for (size_t i = 0; i < key->n; i++) {
        if (strlen(key->values[i].text) != len || strncmp(key->values[i].text, text, len) != 0)
            continue;
        return made ? 0
                    : refuse(error, option, key->path, "expected each value once, but %s is twice",
                             key->values[i].text);
    }
    if (key->n == VARY_VALUES_MOST)
        return refuse(error, option, key->path, "expected at most %d values", VARY_VALUES_MOST);
    struct vary_value *more = realloc(key->values, (key->n + 1) * sizeof *more);
    if (!more)
        return out_of_memory(error, option);
    key->values = more;
    struct vary_value *value = &more[key->n];
    value->text = strndup(text, len);
    if (!value->text)
        return out_of_memory(error, option);
    value->number = vary_number(value->text, &value->kind);
    key->n++;
    return 0;
}

/* "a,b(c,d),[e,f]" -> a, b(c,d), [e,f]. */
static int add_list(struct vary_key *key, const char *text, const char *option, char *error)
{
    for (const char *from = text;; from++) {
        int depth = 0;
        size_t len = 0;
        for (; from[len] && (depth > 0 || from[len] != ','); len++) {
            depth += from[len] == '(' || from[len] == '[';
            depth -= from[len] == ')' || from[len] == ']';
        }
        int rc = add_value(key, from, len, option, false, error);
        if (rc != 0)
            return rc;
        from += len;
        if (*from == '\0')
            return 0;
    }
}

/* Does the key want whole numbers? Of a key that is not known, no: it is told later. */
static bool wants_whole(const char *path)
{
    struct scenario none = {0};
    const struct scenario_key *key;
    struct scenario_value *value;
    enum kvt_tier_kind tier;
    char error[SCENARIO_ERROR_SIZE];
    if (scenario_find(&none, path, &key, &value, &tier, error) != 0)
        return false;
    if (key->type == KEY_GENERATE)
        return key->offset < WL_PARAMS && wl_generate_keys[key->offset].unit == WL_UNIT_COUNT;
    return key->type == KEY_COUNT;
}

/* A range, taken apart. */
struct range {
    double low, high, step; /* step 0: log */
    size_t n;               /* of log */
    enum vary_kind kind;
    bool whole;
};

static int add_range(struct vary_key *key, const struct range *r, const char *option, char *error)
{
    char text[TEXT_MOST];
    double n = r->step > 0 ? floor((r->high - r->low) / r->step * (1 + 1e-12)) + 1 : (double)r->n;
    if (n > VARY_VALUES_MOST)
        return refuse(error, option, key->path,
                      "expected at most %d values, but the range has %.0f", VARY_VALUES_MOST, n);
    for (size_t i = 0; i < (size_t)n; i++) {
        double at = r->step > 0 ? r->low + (double)i * r->step
                    : i == 0    ? r->low
                    : i + 1 == r->n
                        ? r->high
                        : r->low * pow(r->high / r->low, (double)i / (double)(r->n - 1));
        bool between = r->step == 0 && i > 0 && i + 1 < r->n;
        vary_write(text, sizeof text, r->whole ? round(at) : at, r->kind, between && !r->whole,
                   r->whole);
        int rc = add_value(key, text, strlen(text), option, true, error);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* The number at one end. */
static int range_end(const char *text, size_t len, double *number, enum vary_kind *kind)
{
    char word[64];
    while (len > 0 && text[0] == ' ')
        text++, len--;
    while (len > 0 && text[len - 1] == ' ')
        len--;
    if (len == 0 || len >= sizeof word)
        return -EINVAL;
    snprintf(word, sizeof word, "%.*s", (int)len, text);
    *number = vary_number(word, kind);
    return *kind == VARY_WORD ? -EINVAL : 0;
}

static int parse_step(struct vary_key *key, struct range *r, const char *text, const char *option,
                      char *error)
{
    enum vary_kind kind;
    if (range_end(text, strlen(text), &r->step, &kind) != 0 || kind != r->kind)
        return refuse(error, option, key->path,
                      "expected a step in the unit of the range, not \"%.40s\"", text);
    if (!(r->step > 0))
        return refuse(error, option, key->path,
                      "expected a step above 0: the range would never end");
    if (r->whole && r->step != floor(r->step))
        return refuse(error, option, key->path, "expected a whole step, not \"%.40s\"", text);
    return 0;
}

static int parse_log(struct vary_key *key, struct range *r, const char *text, const char *option,
                     char *error)
{
    uint64_t n;
    if (units_count(text, &n, NULL) != 0 || n < 2 || n > VARY_VALUES_MOST)
        return refuse(error, option, key->path,
                      "expected a number of values from 2 to %d after log, not \"%.40s\"",
                      VARY_VALUES_MOST, text);
    if (!(r->low > 0))
        return refuse(error, option, key->path, "expected a log range that begins above 0");
    r->n = (size_t)n;
    return 0;
}

/* "LOW..HIGH", and what follows HIGH. */
static int parse_range(struct vary_key *key, const char *text, const char *dots, const char *option,
                       char *error)
{
    struct range r = {.whole = wants_whole(key->path)};
    enum vary_kind high_kind;
    const char *high = dots + 2 + strspn(dots + 2, " ");
    size_t len = strlen(high);
    const char *step = strstr(high, " step "), *log = strstr(high, " log ");
    if (step || log)
        len = (size_t)((step ? step : log) - high);
    if (range_end(text, (size_t)(dots - text), &r.low, &r.kind) != 0 ||
        range_end(high, len, &r.high, &high_kind) != 0)
        return refuse(error, option, key->path,
                      "expected a range such as 64GiB..4TiB log 13 or 1..8 step 1, not \"%.60s\"",
                      text);
    if (r.kind != high_kind)
        return refuse(error, option, key->path, "expected both ends of %.60s in one kind of unit",
                      text);
    if (r.low > r.high)
        return refuse(error, option, key->path, "expected a range that rises: %.60s is empty",
                      text);
    if (r.whole && (r.low != floor(r.low) || r.high != floor(r.high)))
        return refuse(error, option, key->path, "expected whole numbers, not %.60s", text);
    int rc;
    if (step)
        rc = parse_step(key, &r, step + 6 + strspn(step + 6, " "), option, error);
    else if (log)
        rc = parse_log(key, &r, log + 5 + strspn(log + 5, " "), option, error);
    else if (r.whole)
        rc = (r.step = 1, 0);
    else
        rc = refuse(error, option, key->path,
                    "expected \"step S\" or \"log N\" after %.60s: how many values?", text);
    return rc ? rc : add_range(key, &r, option, error);
}

/* Numeric: one kind, rising. Even: linear rather than logarithmic, by which the steps differ less. */
static void look_at(struct vary_key *key)
{
    key->kind = key->values[0].kind;
    key->numeric = key->kind != VARY_WORD && key->n > 1;
    for (size_t i = 1; i < key->n; i++)
        key->numeric = key->numeric && key->values[i].kind == key->kind &&
                       key->values[i].number > key->values[i - 1].number;
    if (!key->numeric)
        return;
    double low = key->values[0].number, high = key->values[key->n - 1].number;
    key->even = !(low > 0) || high / low < 8;
    for (size_t i = 2; i < key->n && !key->even; i++) {
        const struct vary_value *v = &key->values[i];
        double now = v->number - v[-1].number, before = v[-1].number - v[-2].number;
        if (fabs(now - before) > 0.01 * now)
            return;
        key->even = i + 1 == key->n;
    }
}

/* A range begins with a number; "../traces/a.jsonl" is the name of a file. */
static int fill(struct vary_key *key, const char *option, const char *text, char *error)
{
    const char *dots = strstr(text, "..");
    double low;
    enum vary_kind kind;
    int rc;
    if (*text == '\0')
        rc = refuse(error, option, key->path, "expected values after =");
    else if (dots && range_end(text, (size_t)(dots - text), &low, &kind) == 0)
        rc = parse_range(key, text, dots, option, error);
    else
        rc = add_list(key, text, option, error);
    if (rc == 0)
        look_at(key);
    return rc;
}

int vary_add(struct vary *v, const char *option, const char *text, char *error)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text)
        return refuse(error, option, text, "expected KEY=VALUES, such as cluster.engines=2,4,8");
    if (v->n_keys == VARY_KEYS_MOST) {
        snprintf(error, SCENARIO_ERROR_SIZE, "%s: expected at most %d keys", option,
                 VARY_KEYS_MOST);
        return -EINVAL;
    }
    struct vary_key *key = &v->keys[v->n_keys];
    *key = (struct vary_key){.path = strndup(text, (size_t)(equals - text))};
    if (!key->path)
        return out_of_memory(error, option);
    v->n_keys++;
    for (size_t i = 0; i + 1 < v->n_keys; i++)
        if (strcmp(v->keys[i].path, key->path) == 0)
            return refuse(error, option, key->path, "expected once, but it is given twice");
    int rc = fill(key, option, equals + 1, error);
    if (rc != 0)
        return rc;
    size_t before = v->n_keys == 1 ? 1 : v->points;
    if (before * key->n > VARY_POINTS_MOST)
        return refuse(error, option, key->path, "expected at most %d points, but there are %zu",
                      VARY_POINTS_MOST, before * key->n);
    v->points = before * key->n;
    return 0;
}

void vary_release(struct vary *v)
{
    for (size_t k = 0; k < v->n_keys; k++) {
        for (size_t i = 0; i < v->keys[k].n; i++)
            free(v->keys[k].values[i].text);
        free(v->keys[k].values);
        free(v->keys[k].path);
    }
    *v = (struct vary){0};
}

int vary_words(int argc, char *const *argv, int i)
{
    if (i + 2 < argc && strstr(argv[i], "..") &&
        (strcmp(argv[i + 1], "step") == 0 || strcmp(argv[i + 1], "log") == 0))
        return 3;
    return 1;
}

/* ---- Points ------------------------------------------------------------------------------------------ */

size_t vary_digit(const struct vary *v, size_t point, size_t key)
{
    for (size_t k = v->n_keys; k-- > key + 1;)
        point /= v->keys[k].n;
    return point % v->keys[key].n;
}

size_t vary_point(const struct vary *v, const size_t *digits)
{
    size_t point = 0;
    for (size_t k = 0; k < v->n_keys; k++)
        point = point * v->keys[k].n + digits[k];
    return point;
}

static int set_value(const struct vary_key *key, size_t i, struct scenario *s, const char *option,
                     char *error)
{
    char assignment[TEXT_MOST + 2048];
    if ((size_t)snprintf(assignment, sizeof assignment, "%s=%s", key->path, key->values[i].text) >=
        sizeof assignment)
        return refuse(error, option, key->path, "expected shorter values");
    return scenario_set(s, assignment, error);
}

void vary_blame(const struct vary *v, const char *option, char *error)
{
    static const char set[] = "--set: ";
    char rest[SCENARIO_ERROR_SIZE];
    if (strncmp(error, set, sizeof set - 1) != 0)
        return;
    snprintf(rest, sizeof rest, "%s", error + sizeof set - 1);
    for (size_t k = 0; k < v->n_keys; k++) {
        size_t len = strlen(v->keys[k].path);
        if (strncmp(rest, v->keys[k].path, len) == 0 && (rest[len] == ':' || rest[len] == ' '))
            snprintf(error, SCENARIO_ERROR_SIZE, "%s: %.400s", option, rest);
    }
}

int vary_apply(const struct vary *v, size_t point, struct scenario *s, const char *option,
               char *error)
{
    int rc = 0;
    for (size_t k = 0; rc == 0 && k < v->n_keys; k++)
        rc = set_value(&v->keys[k], vary_digit(v, point, k), s, option, error);
    if (rc == 0)
        rc = scenario_type(s, error);
    if (rc != 0)
        vary_blame(v, option, error);
    return rc;
}

int vary_check(const struct vary *v, struct scenario *s, const char *option, char *error)
{
    for (size_t k = 0; k < v->n_keys; k++) {
        for (size_t i = 0; i < v->keys[k].n; i++) {
            int rc = set_value(&v->keys[k], i, s, option, error);
            if (rc != 0) {
                vary_blame(v, option, error);
                return rc;
            }
        }
    }
    return 0;
}

/* ---- Names ------------------------------------------------------------------------------------------- */

const char *vary_short(const struct vary *v, size_t key)
{
    const char *path = v->keys[key].path;
    for (const char *at = path + strlen(path); at > path; at--) {
        if (at[-1] != '.')
            continue;
        bool alone = true;
        size_t len = strlen(at);
        for (size_t k = 0; k < v->n_keys; k++) {
            const char *other = v->keys[k].path;
            size_t n = strlen(other);
            alone = alone && (k == key || n < len || strcmp(other + n - len, at) != 0 ||
                              (n > len && other[n - len - 1] != '.'));
        }
        /* A tier's key says little without its tier. */
        bool of_tier = strncmp(path, "cache.tiers.", 12) == 0 && at > path + 12;
        if (alone && !of_tier)
            return at;
    }
    return path;
}

char *vary_describe(const struct vary *v, size_t point, char *text, size_t size)
{
    size_t at = 0;
    text[0] = '\0';
    for (size_t k = 0; k < v->n_keys && at < size; k++)
        at += (size_t)snprintf(text + at, size - at, "%s%s=%s", k ? ", " : "", vary_short(v, k),
                               v->keys[k].values[vary_digit(v, point, k)].text);
    if (v->n_keys == 0)
        snprintf(text, size, "as the scenario says");
    return text;
}
