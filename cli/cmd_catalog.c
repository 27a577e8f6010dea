/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cmd_catalog.c - kvtwin catalog [NAME...]: what the catalogue holds, each number with its source.
 *
 * Without a name: every section as a table of its entries and their leading values. With names: every
 * value of those entries with unit, evidence and source, and what follows from them (KV per token,
 * weights, usable memory). --json prints the same for machines, numbers in base units.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "catalog.h"
#include "commands.h"
#include "datadir.h"
#include "model.h"
#include "near.h"
#include "units.h"

enum { COLUMNS = 3, DERIVED_MOST = 12, NAMES_MOST = 512 };

/* A figure that follows from an entry. */
struct derived {
    const char *key;
    double number;
    const char *unit;
    const char *formula;
};

static const char help[] =
    "usage: kvtwin catalog [NAME...] [--json]\n"
    "\n"
    "Lists GPUs, models, links, hosts, Redis nodes, disks, codecs, serving stacks and prices. With "
    "a\n"
    "NAME: every value of that entry with its unit and source, and what follows from them.\n"
    "\n"
    "Evidence: S read in the source, D derived from sourced numbers, M measured by this project,\n"
    "C commonly known, no source to cite.\n";

static const char *unit_name(enum catalog_unit unit)
{
    static const char *const names[] = {
        [CATALOG_BYTES] = "B",      [CATALOG_BANDWIDTH] = "B/s", [CATALOG_DURATION] = "ns",
        [CATALOG_FLOPS] = "FLOP/s", [CATALOG_PRICE] = "USD/h",   [CATALOG_STORED] = "USD/GB-month",
        [CATALOG_MOVED] = "USD/GB", [CATALOG_RATIO] = "",        [CATALOG_NUMBER] = "",
        [CATALOG_COUNT] = "",       [CATALOG_DAY] = "",
    };

    return names[unit];
}

static const char *name_of(const void *entry)
{
    return *(const char *const *)entry;
}

static const char *string_at(const void *entry, const struct catalog_field *f)
{
    return *(const char *const *)(const void *)((const char *)entry + f->offset);
}

static const struct catalog_value *value_at(const void *entry, const struct catalog_field *f)
{
    return (const struct catalog_value *)(const void *)((const char *)entry + f->offset);
}

static const struct catalog_curve *curve_at(const void *entry, const struct catalog_field *f)
{
    return (const struct catalog_curve *)(const void *)((const char *)entry + f->offset);
}

/* ---- What follows ----------------------------------------------------------------------------------- */

static size_t derive_model(const struct catalog_model *m, struct derived *d)
{
    const struct derived figures[] = {
        {"kv_per_token", model_kv_b_per_token(m, 1), "B", "growing with the context, one copy"},
        {"kv_constant", model_window_kv_b_per_token(m, 1) * m->window_tokens.number, "B",
         "full windows of one request"},
        {"kv_32k", 32768 * model_kv_b_per_token(m, 1), "B", "32,768 tokens of context"},
        {"kv_per_token_tp8", model_kv_b_per_token(m, 8), "B",
         "eight GPUs together, replicas included"},
        {"weights", model_weight_b(m), "B", "one copy"},
        {"params_by_shape", model_shape_params(m), "", "without biases and norms"},
    };

    memcpy(d, figures, sizeof figures);
    return sizeof figures / sizeof *figures;
}

static size_t derive_redis_node(const struct catalog_redis_node *n, struct derived *d)
{
    d[0] = (struct derived){"usable_memory", n->memory_b.number * n->usable_ratio.number, "B",
                            "memory * usable"};
    return 1;
}

static size_t derive_failover(const struct catalog_redis_failover *f, struct derived *d)
{
    double least = f->detect_ns.number + f->elect_ns.number + f->promote_ns.number;

    d[0] = (struct derived){"pause_least", least, "ns", "detect + elect + promote"};
    d[1] = (struct derived){"pause_most", least + f->ping_ns.number + f->quorum_ns.number, "ns",
                            "and a whole ping period and quorum"};
    return 2;
}

static size_t derive_price(const struct catalog_price *p, struct derived *d)
{
    size_t k = 0;

    if (p->gpus.text)
        d[k++] = (struct derived){"per_gpu", p->usd_per_h.number / p->gpus.number, "USD/h",
                                  "price / gpus"};
    if (strcmp(p->kind, "memory") == 0)
        d[k++] = (struct derived){"per_gib", p->usd_per_h.number / p->memory_b.number * 1073741824,
                                  "USD/h", "price / memory"};
    if (p->usd_per_gb_month.text)
        d[k++] = (struct derived){"per_gb", p->usd_per_gb_month.number / 730, "USD/h",
                                  "stored / 730 hours"};
    return k;
}

static size_t derive(const struct catalog_section *s, const void *entry, struct derived *d)
{
    if (strcmp(s->key, "models") == 0)
        return derive_model(entry, d);
    if (strcmp(s->key, "redis_nodes") == 0)
        return derive_redis_node(entry, d);
    if (strcmp(s->key, "redis_failovers") == 0)
        return derive_failover(entry, d);
    if (strcmp(s->key, "prices") == 0)
        return derive_price(entry, d);
    return 0;
}

/* Entries that are priced say by whom: the prices that name them. */
static void print_prices(const struct catalog *c, const struct catalog_section *s,
                         const void *entry)
{
    bool gpu = strcmp(s->key, "gpus") == 0;

    for (uint32_t i = 0; i < c->prices.n; i++) {
        const struct catalog_price *p = &c->prices.entries[i];
        const char *of = gpu ? p->gpu : strcmp(s->key, "redis_nodes") == 0 ? p->redis_node : NULL;

        if (!of || strcmp(of, name_of(entry)) != 0)
            continue;
        double usd = p->usd_per_h.number / (gpu ? p->gpus.number : 1);
        printf("  %-24s %10.4f USD/h  %s  %s, %s, %s\n", gpu ? "price of one" : "price", usd,
               p->usd_per_h.evidence, p->name, p->region, p->date);
    }
}

/* ---- For people ------------------------------------------------------------------------------------- */

static int wider(int width, const char *text)
{
    int len = (int)strlen(text);

    return len > width ? len : width;
}

/* The leading values of a section's entries: the first COLUMNS fields that hold one value. */
static size_t leading(const struct catalog_section *s, const struct catalog_field **columns)
{
    size_t n = 0;

    for (size_t k = 0; k < s->n_fields && n < COLUMNS; k++)
        if (s->fields[k].kind == CATALOG_VALUE)
            columns[n++] = &s->fields[k];
    return n;
}

static void print_section(const struct catalog *c, const struct catalog_section *s)
{
    const struct catalog_field *columns[COLUMNS];
    size_t n = leading(s, columns);
    int name_width = (int)strlen(s->key), width[COLUMNS];

    for (size_t k = 0; k < n; k++)
        width[k] = (int)strlen(columns[k]->key);
    for (uint32_t i = 0; i < catalog_count(c, s); i++) {
        const void *entry = catalog_entry(c, s, i);

        name_width = wider(name_width, name_of(entry));
        for (size_t k = 0; k < n; k++)
            if (value_at(entry, columns[k])->text)
                width[k] = wider(width[k], value_at(entry, columns[k])->text);
    }
    printf("%-*s", name_width + 2, s->key);
    for (size_t k = 0; k < n; k++)
        printf("  %*s", width[k], columns[k]->key);
    putchar('\n');
    for (uint32_t i = 0; i < catalog_count(c, s); i++) {
        const void *entry = catalog_entry(c, s, i);

        printf("  %-*s", name_width, name_of(entry));
        for (size_t k = 0; k < n; k++) {
            const char *text = value_at(entry, columns[k])->text;

            printf("  %*s", width[k], text ? text : "-");
        }
        printf("  %s\n", string_at(entry, &s->fields[1]));
    }
    putchar('\n');
}

static void print_value(const char *key, uint32_t tp, const struct catalog_value *v)
{
    char label[40];

    snprintf(label, sizeof label, tp ? "%s, tp %u" : "%s", key, tp);
    printf("  %-24s %16s  %s  %s\n", label, v->text, v->evidence, v->source);
}

static void print_entry(const struct catalog *c, const struct catalog_section *s, const void *entry)
{
    struct derived d[DERIVED_MOST];
    size_t n = derive(s, entry, d);
    char text[32];

    printf("%s: %s (%s)\n", name_of(entry), string_at(entry, &s->fields[1]), s->noun);
    for (size_t k = 2; k < s->n_fields; k++) {
        const struct catalog_field *f = &s->fields[k];

        if (f->kind == CATALOG_STRING && string_at(entry, f))
            printf("  %-24s %16s\n", f->key, string_at(entry, f));
        else if (f->kind == CATALOG_VALUE && value_at(entry, f)->text)
            print_value(f->key, 0, value_at(entry, f));
        else if (f->kind == CATALOG_CURVE)
            for (uint32_t i = 0; i < curve_at(entry, f)->n; i++)
                print_value(f->key, curve_at(entry, f)->points[i].tp,
                            &curve_at(entry, f)->points[i].value);
    }
    for (size_t k = 0; k < n; k++) {
        if (d[k].number >= 1 && strcmp(d[k].unit, "USD/h") != 0)
            units_show_count(text, sizeof text, (uint64_t)(d[k].number + 0.5));
        else
            snprintf(text, sizeof text, "%.4g", d[k].number);
        printf("  %-24s %16s %-3s  =  %s\n", d[k].key, text, d[k].unit, d[k].formula);
    }
    print_prices(c, s, entry);
    putchar('\n');
}

/* ---- For machines ----------------------------------------------------------------------------------- */

static json_t *json_of_value(enum catalog_unit unit, const struct catalog_value *v)
{
    return json_pack("{s:f, s:s, s:s, s:s, s:s}", "value", v->number, "unit", unit_name(unit),
                     "text", v->text, "evidence", v->evidence, "source", v->source);
}

static json_t *json_of_curve(const struct catalog_field *f, const struct catalog_curve *curve)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < curve->n; i++) {
        json_t *point = json_of_value(f->unit, &curve->points[i].value);

        json_object_set_new(point, "tp", json_integer(curve->points[i].tp));
        json_array_append_new(list, point);
    }
    return list;
}

static json_t *json_of_entry(const struct catalog_section *s, const void *entry)
{
    struct derived d[DERIVED_MOST];
    size_t n = derive(s, entry, d);
    json_t *object = json_object();

    for (size_t k = 0; k < s->n_fields; k++) {
        const struct catalog_field *f = &s->fields[k];

        if (f->kind == CATALOG_STRING && string_at(entry, f))
            json_object_set_new(object, f->key, json_string(string_at(entry, f)));
        else if (f->kind == CATALOG_VALUE && value_at(entry, f)->text)
            json_object_set_new(object, f->key, json_of_value(f->unit, value_at(entry, f)));
        else if (f->kind == CATALOG_CURVE)
            json_object_set_new(object, f->key, json_of_curve(f, curve_at(entry, f)));
    }
    if (n) {
        json_t *derived = json_object();

        for (size_t k = 0; k < n; k++)
            json_object_set_new(derived, d[k].key,
                                json_pack("{s:f, s:s, s:s}", "value", d[k].number, "unit",
                                          d[k].unit, "formula", d[k].formula));
        json_object_set_new(object, "derived", derived);
    }
    return object;
}

/* ---- The command ------------------------------------------------------------------------------------ */

/* What was asked for. n == 0: everything. */
struct query {
    char *const *names;
    int n;
    bool json;
};

static bool wanted(const struct query *q, const void *entry)
{
    for (int i = 0; i < q->n; i++)
        if (strcmp(q->names[i], name_of(entry)) == 0)
            return true;
    return q->n == 0;
}

/* One line about a name that no entry has, with the names that begin with it or the nearest one. */
static void complain_of_name(const char *name, const char *const *names, size_t n)
{
    const char *begins[NAMES_MOST], *near = near_word(name, names, n);
    size_t n_begins = 0;
    char list[512] = "";

    for (size_t i = 0; i < n; i++)
        if (strncmp(names[i], name, strlen(name)) == 0)
            begins[n_begins++] = names[i];
    near_list(list, sizeof list, begins, n_begins);
    if (n_begins)
        fprintf(stderr, "kvtwin catalog: %.80s: expected a whole name: %s\n", name, list);
    else if (near)
        fprintf(stderr, "kvtwin catalog: %.80s: expected a name, did you mean %s?\n", name, near);
    else
        fprintf(stderr, "kvtwin catalog: %.80s: expected a name that `kvtwin catalog` lists\n",
                name);
}

static bool all_known(const struct catalog *c, const struct query *q)
{
    size_t n, count = 0;
    const struct catalog_section *s = catalog_sections(&n);
    const char *names[NAMES_MOST];

    for (size_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < catalog_count(c, &s[i]) && count < NAMES_MOST; k++)
            names[count++] = name_of(catalog_entry(c, &s[i], k));
    for (int i = 0; i < q->n; i++) {
        bool known = false;

        for (size_t k = 0; k < count && !known; k++)
            known = strcmp(names[k], q->names[i]) == 0;
        if (!known) {
            complain_of_name(q->names[i], names, count);
            return false;
        }
    }
    return true;
}

static void print_all(const struct catalog *c, const struct query *q)
{
    size_t n;
    const struct catalog_section *s = catalog_sections(&n);

    for (size_t i = 0; i < n; i++) {
        if (q->n == 0) {
            print_section(c, &s[i]);
            continue;
        }
        for (uint32_t k = 0; k < catalog_count(c, &s[i]); k++)
            if (wanted(q, catalog_entry(c, &s[i], k)))
                print_entry(c, &s[i], catalog_entry(c, &s[i], k));
    }
}

static void print_json(const struct catalog *c, const struct query *q)
{
    size_t n;
    const struct catalog_section *s = catalog_sections(&n);
    json_t *root = json_object();

    for (size_t i = 0; i < n; i++) {
        json_t *list = json_array();

        for (uint32_t k = 0; k < catalog_count(c, &s[i]); k++)
            if (wanted(q, catalog_entry(c, &s[i], k)))
                json_array_append_new(list, json_of_entry(&s[i], catalog_entry(c, &s[i], k)));
        if (json_array_size(list))
            json_object_set(root, s[i].key, list);
        json_decref(list);
    }
    json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    putchar('\n');
    json_decref(root);
}

int cmd_catalog(int argc, char **argv)
{
    struct query q = {.names = argv + 1};
    struct catalog *catalog;
    char folder[4096], error[512];
    size_t len;

    /* Options out, names to the front. */
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(help, stdout);
            return EXIT_DONE;
        }
        if (strcmp(argv[i], "--json") == 0) {
            q.json = true;
        } else if (argv[i][0] == '-') {
            fprintf(stderr, "kvtwin catalog: %.80s: expected --json or a name\n", argv[i]);
            return EXIT_BAD_INPUT;
        } else {
            argv[1 + q.n++] = argv[i];
        }
    }
    if (datadir_find(folder, sizeof folder - sizeof "/scenarios/catalog")) {
        fprintf(stderr, "kvtwin catalog: expected a data folder with scenarios/catalog/\n");
        return EXIT_FAILED;
    }
    len = strlen(folder);
    snprintf(folder + len, sizeof folder - len, "/scenarios/catalog");
    if (catalog_load(&catalog, folder, error, sizeof error)) {
        fprintf(stderr, "%s\n", error);
        return EXIT_BAD_INPUT;
    }
    if (!all_known(catalog, &q)) {
        catalog_free(catalog);
        return EXIT_BAD_INPUT;
    }
    if (q.json)
        print_json(catalog, &q);
    else
        print_all(catalog, &q);
    catalog_free(catalog);
    return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
}
