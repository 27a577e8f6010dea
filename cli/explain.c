/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * explain.c - the resolved scenario as YAML, each value with where it comes from.
 *
 * The output is itself a scenario: loading it again gives the same run.
 */
#include "scenario.h"

#include <string.h>

struct writer {
    const struct scenario *s;
    FILE *out;
    const char *(*note)(void *self, const char *path);
    void *self;
};

/* Quotes what YAML would read as something else. */
static void put_text(char *out, size_t size, const char *text)
{
    bool plain = text[0] != '\0' && strpbrk(text, ":#{}[]&*!|>'\"%@`\n,") == NULL &&
                 text[0] != ' ' && text[0] != '-' && text[0] != '?' &&
                 text[strlen(text) - 1] != ' ';
    if (plain) {
        snprintf(out, size, "%s", text);
        return;
    }
    size_t at = 0;
    out[at++] = '"';
    for (const char *c = text; *c && at + 4 < size; c++) {
        if (*c == '"' || *c == '\\')
            out[at++] = '\\';
        if (*c == '\n') {
            out[at++] = '\\';
            out[at++] = 'n';
        } else {
            out[at++] = *c;
        }
    }
    out[at++] = '"';
    out[at] = '\0';
}

char *scenario_mask(const char *text, char *out, size_t size)
{
    size_t at = 0;
    for (const char *c = text; *c && at + 4 < size;) {
        out[at++] = *c++;
        if (c - text < 3 || strncmp(c - 3, "://", 3) != 0)
            continue;
        size_t len = strcspn(c, ",] \t\n"), user = strcspn(c, ":");
        const char *host = memrchr(c, '@', len);
        if (!host || user >= (size_t)(host - c))
            continue;
        for (size_t i = 0; i <= user && at + 4 < size; i++)
            out[at++] = c[i];
        for (size_t i = 0; i < 3 && at + 1 < size; i++)
            out[at++] = '*';
        c = host;
    }
    out[at] = '\0';
    return out;
}

/* A list as YAML reads it, its words quoted where need be. */
static void put_list(char *out, size_t size, const char *words)
{
    char word[512], quoted[600];
    size_t at = 0;
    out[at++] = '[';
    for (const char *c = strcmp(words, "none") == 0 ? "" : words; *c;) {
        c += strspn(c, " ");
        size_t len = strcspn(c, ",");
        snprintf(word, sizeof word, "%.*s", (int)len, c);
        put_text(quoted, sizeof quoted, word);
        c += len + (c[len] == ',');
        at += (size_t)snprintf(out + at, size - at, "%s%s", quoted, *c ? ", " : "");
        if (at + 2 > size)
            at = size - 2;
    }
    out[at++] = ']';
    out[at] = '\0';
}

static void put_value(struct writer *w, const struct scenario_key *key,
                      const struct scenario_value *value, enum kvt_tier_kind tier,
                      const char *indent, const char *name)
{
    char masked[16384], text[16500], line[16600], path[128];
    const char *raw = scenario_text(w->s, key, value, tier);
    if (!raw)
        return;
    scenario_mask(raw, masked, sizeof masked);
    if (key->type == KEY_LIST)
        put_list(text, sizeof text, masked);
    else if (key->type == KEY_FAULTS)
        snprintf(text, sizeof text, "[%s]", strcmp(masked, "none") == 0 ? "" : masked);
    else
        put_text(text, sizeof text, masked);
    snprintf(line, sizeof line, "%s%s: %s", indent, name, text);
    fprintf(w->out, "%-47s # ", line);
    if (value->source == SOURCE_FILE)
        fprintf(w->out, "%s:%u", w->s->path, value->line);
    else
        fputs(value->source == SOURCE_SET ? "--set" : "default", w->out);
    if (tier == KVT_TIERS)
        snprintf(path, sizeof path, "%s", key->path);
    else
        snprintf(path, sizeof path, "cache.tiers.%s.%s", kvt_tier_name(tier), key->path);
    const char *note = w->note ? w->note(w->self, path) : NULL;
    fprintf(w->out, "%s%s\n", note ? "; " : "", note ? note : "");
}

static void put_tiers(struct writer *w)
{
    size_t n;
    const struct scenario_key *keys = scenario_tier_keys(&n);
    fputs("  tiers:\n", w->out);
    for (int kind = 0; kind < KVT_TIERS; kind++) {
        if (!w->s->cache.tiers[kind].enabled)
            continue;
        fprintf(w->out, "    - kind: %s\n", kvt_tier_name((enum kvt_tier_kind)kind));
        for (size_t i = 0; i < n; i++)
            if (keys[i].type != KEY_LATER && (keys[i].kinds & (1u << kind)))
                put_value(w, &keys[i], &w->s->tier_values[kind][i], (enum kvt_tier_kind)kind,
                          "      ", keys[i].path);
    }
}

/* Opens the sections of path that are not open yet; open[] holds the prefix written last.
 * Returns the indentation of the key. */
static size_t open_sections(struct writer *w, const char *path, char *open, size_t size)
{
    size_t depth = 0, start = 0;
    for (size_t i = 0; path[i]; i++) {
        if (path[i] != '.')
            continue;
        if (strncmp(open, path, i + 1) != 0)
            fprintf(w->out, "%*s%.*s:\n", (int)(2 * depth), "", (int)(i - start), path + start);
        depth++;
        start = i + 1;
    }
    snprintf(open, size, "%.*s", (int)start, path);
    return depth;
}

void scenario_explain(const struct scenario *s, FILE *out,
                      const char *(*note)(void *self, const char *path), void *self)
{
    struct writer w = {s, out, note, self};
    char open[128] = "";
    size_t n;
    const struct scenario_key *keys = scenario_keys(&n);
    bool generated = s->workload.trace == NULL;
    for (size_t i = 0; i < n; i++) {
        const char *path = keys[i].path;
        bool generator = strncmp(path, "workload.generate.", 18) == 0;
        bool trace = strcmp(path, "workload.trace") == 0 ||
                     (keys[i].needs && strcmp(keys[i].needs, "workload.trace") == 0);
        if (keys[i].type == KEY_LATER || (generator && !generated) || (trace && generated) ||
            !scenario_text(s, &keys[i], &s->values[i], KVT_TIERS))
            continue;
        if (strncmp(open, "cache.", 6) == 0 && strncmp(path, "cache.", 6) != 0)
            put_tiers(&w);
        size_t depth = open_sections(&w, path, open, sizeof open);
        const char *point = strrchr(path, '.');
        char indent[16];
        snprintf(indent, sizeof indent, "%*s", (int)(2 * depth), "");
        put_value(&w, &keys[i], &s->values[i], KVT_TIERS, indent, point ? point + 1 : path);
    }
    if (strncmp(open, "cache.", 6) == 0)
        put_tiers(&w);
}
