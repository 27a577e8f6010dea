/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cmd_inspect.c - kvtwin inspect KEY|FILE: what a stored value says of itself, and whether it is
 * true.
 *
 * A value comes from a file (of a disk tier, or saved from elsewhere) or, with --redis, from a
 * key. Its name tells the layout: kv:<digest>:<layer>:k, :v and :meta are three values that are
 * looked at together, wherever one of them is named; everything else is one packed value.
 * Checked is, in this order, all that the reader of a cache checks: the head, lengths, checksum,
 * that the value is the one of its key, and that the payload decodes to exactly the raw bytes
 * that the head promises. The first check that fails is named.
 *
 * The format is taken from the value's own head, so model, epoch and codec are shown and not
 * compared. A file whose name does not begin with "kv:" has no key to compare either.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../backend/value.h"
#include "../core/key.h"
#include "commands.h"
#include "inspect.h"
#include "units.h"

enum { LINES_MOST = 40, TRIO_META = 0, TRIO_K = 1, TRIO_V = 2 };

static const char help[] =
    "usage: kvtwin inspect FILE [--json] [--out FILE]\n"
    "       kvtwin inspect KEY --redis ADDRESS [--json] [--out FILE]\n"
    "\n"
    "Decodes and verifies a stored value: head, lengths, checksum, key, payload; then says what is "
    "in\n"
    "it: every field of the head, and range, mean and deviation of K and V.\n"
    "\n"
    "  --redis ADDRESS  redis://[user:password@]host[:port][/db], unix:/path, host:port; user and\n"
    "                   password also from KVTWIN_REDIS_USER and KVTWIN_REDIS_PASSWORD\n"
    "  --json           the same for machines\n"
    "  --out FILE       writes the decoded KV: layers, K before V, tokens, channels\n"
    "\n"
    "Of layout per-layer any of the three keys may be named (kv:<digest>:<layer>:meta).\n"
    "Exit codes: 0 verified, 1 damaged or missing, 2 bad input.\n";

struct options {
    const char *name, *redis, *out;
    bool json;
};

/* What is found out about a value. */
struct report {
    char name[256]; /* without folders */
    bool per_layer;
    uint32_t n_heads;        /* read so far: packed 1; per-layer 2, K and V */
    struct be_head heads[2]; /* not to be trusted while damage is set */
    uint64_t stored_b;
    int64_t ttl_ms;
    const char *damage; /* the check that failed; NULL: verified */
    void *raw;          /* decoded; caller frees */
    uint64_t raw_b;
    uint32_t n_parts; /* in stats */
    struct inspect_stats stats[2];
};

/* ---- Verifying -------------------------------------------------------------------------------------- */

/* Room for decoding, one behind the other: raw, scratch. */
static int make_room(struct report *r, size_t raw_b, size_t scratch_b, void **scratch)
{
    r->raw = malloc(raw_b + 1);
    *scratch = malloc(scratch_b + 1);
    r->raw_b = raw_b;
    return r->raw && *scratch ? 0 : -ENOMEM;
}

static void look_at_kv(struct report *r)
{
    const struct be_head *h = &r->heads[0];
    const size_t elements = (size_t)h->piece.tokens * h->heads * h->head_dim;
    r->n_parts = r->per_layer || h->piece.parts == BE_K_AND_V ? 2 : 1;
    inspect_kv(r->raw, h->dtype, h->piece.layers, elements, r->n_parts, r->stats);
}

/* What decoding said. Returns 0, or -ENOMEM when that was no judgement. */
static int judge(struct report *r, enum kvt_status status, const char *why)
{
    if (status == KVT_BUSY)
        return -ENOMEM;
    if (status != KVT_OK)
        r->damage = why;
    else
        look_at_kv(r);
    return 0;
}

static bool named_after(const struct be_piece *p, const char *suffix, const char *name)
{
    char expected[BE_NAME_B];
    be_piece_name(p, suffix, expected);
    return strcmp(expected, name) == 0;
}

static int verify_packed(struct report *r, const struct inspect_bytes *value, bool has_key)
{
    struct be_head *h = &r->heads[0];
    void *scratch;
    const void *payload = NULL;
    const char *why = "";
    const int rc = be_head_read(h, value->bytes, value->n, &why);
    r->n_heads = h->version != 0;
    if (rc) {
        r->damage = why;
        return 0;
    }
    if (has_key && !named_after(&h->piece, NULL, r->name)) {
        r->damage = "key";
        return 0;
    }
    const struct be_format format = be_head_format(h);
    enum kvt_status status = KVT_BUSY;
    if (make_room(r, h->raw_b, be_value_scratch_b(&format, h->piece.tokens), &scratch) == 0)
        status = be_value_read(&format, &h->piece, value->bytes, value->n, r->raw, scratch,
                               &payload, &why);
    if (status == KVT_OK && payload != r->raw)
        memcpy(r->raw, payload, h->raw_b);
    free(scratch);
    return judge(r, status, why);
}

static int verify_trio(struct report *r, const struct inspect_bytes trio[3], const char *meta_name)
{
    struct be_head *k = &r->heads[0], *v = &r->heads[1];
    void *scratch;
    const char *why = "";
    const int rc = be_meta_read(k, v, (const char *)trio[TRIO_META].bytes, trio[TRIO_META].n, &why);
    if (rc) {
        r->damage = why;
        return 0;
    }
    r->n_heads = 2;
    if (!named_after(&k->piece, "meta", meta_name)) {
        r->damage = "key";
        return 0;
    }
    const struct be_layer layer = {
        .k = trio[TRIO_K].bytes,
        .v = trio[TRIO_V].bytes,
        .meta = (const char *)trio[TRIO_META].bytes,
        .k_b = trio[TRIO_K].n,
        .v_b = trio[TRIO_V].n,
        .meta_b = trio[TRIO_META].n,
    };
    /* One of the two may be stored uncoded; the chain is then the other's. */
    const bool v_is_coded = k->payload_b == k->raw_b;
    const struct be_format format = be_head_format(v_is_coded ? v : k);
    struct be_piece piece = k->piece;
    piece.parts = BE_K_AND_V;
    enum kvt_status status = KVT_BUSY;
    const size_t scratch_b = be_value_scratch_b(&format, piece.tokens);
    if (make_room(r, k->raw_b + v->raw_b, scratch_b, &scratch) == 0)
        status = be_layer_read(&format, &piece, &layer, r->raw, scratch, &why);
    free(scratch);
    return judge(r, status, why);
}

/* ---- Finding ---------------------------------------------------------------------------------------- */

/* "kv:...:meta" and its like, with or without ".<shard>", as the names of all three. */
static bool trio_names(const char *name, char names[3][BE_NAME_B])
{
    static const char *const words[3] = {"meta", "k", "v"};
    const char *colon = strrchr(name, ':');
    if (strncmp(name, "kv:", 3) != 0 || !colon || strlen(name) >= BE_NAME_B - sizeof "meta")
        return false;
    const size_t word_n = strcspn(colon + 1, ".");
    bool known = false;
    for (int i = 0; i < 3; i++)
        known |= strlen(words[i]) == word_n && strncmp(colon + 1, words[i], word_n) == 0;
    for (int i = 0; i < 3; i++)
        snprintf(names[i], BE_NAME_B, "%.*s:%s%s", (int)(colon - name), name, words[i],
                 colon + 1 + word_n);
    return known;
}

static int complain(int rc, const char *error)
{
    fprintf(stderr, "kvtwin inspect: %s\n", error);
    return rc == -EINVAL || rc == -EISDIR || rc == -EFBIG ? EXIT_BAD_INPUT : EXIT_FAILED;
}

/* Fetches the n values of these names. EXIT_DONE, or it was said what went wrong; values are the
 * caller's to free either way. */
static int fetch(struct inspect_source *source, const char *const *names, int n,
                 struct inspect_bytes *values, struct report *r)
{
    char error[512];
    r->ttl_ms = -1;
    for (int i = 0; i < n; i++) {
        const int rc = inspect_get(source, names[i], &values[i], error, sizeof error);
        if (rc == -ENOENT) {
            fprintf(stderr, "kvtwin inspect: %.200s: missing\n", names[i]);
            return EXIT_FAILED;
        }
        if (rc)
            return complain(rc, error);
        r->stored_b += values[i].n;
        if (values[i].ttl_ms >= 0 && (r->ttl_ms < 0 || values[i].ttl_ms < r->ttl_ms))
            r->ttl_ms = values[i].ttl_ms; /* gone when the first of three is */
    }
    return EXIT_DONE;
}

static int examine(struct inspect_source *source, const struct options *o, struct report *r)
{
    struct inspect_bytes values[3] = {{0}, {0}, {0}};
    char trio[3][BE_NAME_B];
    r->per_layer = trio_names(r->name, trio);
    const char *const names[3] = {r->per_layer ? trio[TRIO_META] : r->name, trio[TRIO_K],
                                  trio[TRIO_V]};
    int code = fetch(source, names, r->per_layer ? 3 : 1, values, r);
    if (code == EXIT_DONE) {
        const bool has_key = o->redis || strncmp(r->name, "kv:", 3) == 0;
        const int rc = r->per_layer ? verify_trio(r, values, trio[TRIO_META])
                                    : verify_packed(r, &values[0], has_key);
        if (rc)
            code = complain(rc, "out of memory");
    }
    for (int i = 0; i < 3; i++)
        free(values[i].bytes);
    return code;
}

/* ---- Telling ---------------------------------------------------------------------------------------- */

/* Lines with a name for people and one for machines. */
struct sheet {
    size_t n;
    struct {
        const char *key, *label, *unit;
        json_t *value;
    } lines[LINES_MOST];
};

static void add(struct sheet *s, const char *key, const char *label, const char *unit,
                json_t *value)
{
    if (s->n < LINES_MOST && value) {
        s->lines[s->n].key = key;
        s->lines[s->n].label = label;
        s->lines[s->n].unit = unit;
        s->lines[s->n].value = value;
        s->n++;
    } else {
        json_decref(value);
    }
}

static void add_number(struct sheet *s, const char *key, const char *label, const char *unit,
                       uint64_t value)
{
    add(s, key, label, unit, json_integer((json_int_t)value));
}

static void add_hex(struct sheet *s, const char *key, const char *label, uint64_t value)
{
    char text[20];
    snprintf(text, sizeof text, "%016" PRIx64, value);
    add(s, key, label, "", json_string(text));
}

static void add_codec(struct sheet *s, const char *key, const char *label,
                      const struct be_codec *codec)
{
    char text[64];
    const bool valid = be_codec_valid(codec);
    add(s, key, label, "", json_string(valid ? be_codec_name(codec, text, sizeof text) : "wrong"));
}

/* What K and V have in common. */
static void add_head(struct sheet *s, const struct be_head *h)
{
    static const char *const dtypes[K_DTYPES] = {"bf16", "fp16", "fp32"};
    static const char *const parts[] = {"K and V", "K", "V"};
    const struct be_piece *p = &h->piece;
    char hex[33];
    kvt_key_hex(p->key, hex);
    add_number(s, "version", "version", "", h->version);
    add(s, "digest", "digest", "", json_string(hex));
    add_hex(s, "epoch", "model epoch", h->epoch);
    add_number(s, "tokens", "tokens", "", p->tokens);
    add_number(s, "shard", "shard", "", p->shard);
    add_number(s, "shards", "of shards", "", h->shards);
    add_number(s, "layer_first", "first layer", "", p->layer0);
    add_number(s, "layers", "layers", "", p->layers);
    add_number(s, "model_layers", "layers of model", "", h->model_layers);
    add_number(s, "kv_heads", "KV heads", "", h->heads);
    add_number(s, "head_dim", "head dimension", "", h->head_dim);
    add(s, "dtype", "type", "",
        json_string((unsigned)h->dtype < K_DTYPES ? dtypes[h->dtype] : "wrong"));
    if (p->parts < sizeof parts / sizeof *parts)
        add(s, "parts", "holds", "", json_string(parts[p->parts]));
}

static void add_packed(struct sheet *s, const struct be_head *h)
{
    add_head(s, h);
    add_codec(s, "codec", "codec", &h->codec);
    add_number(s, "raw_b", "raw", "B", h->raw_b);
    add_number(s, "payload_b", "payload", "B", h->payload_b);
    add_hex(s, "checksum", "checksum", h->checksum);
}

static void add_trio(struct sheet *s, const struct be_head *k, const struct be_head *v)
{
    struct be_head both = *k;
    both.piece.parts = BE_K_AND_V;
    add_head(s, &both);
    add_codec(s, "k_codec", "codec of K", &k->codec);
    add_number(s, "k_raw_b", "raw K", "B", k->raw_b);
    add_number(s, "k_payload_b", "payload of K", "B", k->payload_b);
    add_hex(s, "k_checksum", "checksum of K", k->checksum);
    add_codec(s, "v_codec", "codec of V", &v->codec);
    add_number(s, "v_raw_b", "raw V", "B", v->raw_b);
    add_number(s, "v_payload_b", "payload of V", "B", v->payload_b);
    add_hex(s, "v_checksum", "checksum of V", v->checksum);
}

static void fill(struct sheet *s, const struct report *r)
{
    json_t *name = json_string(r->name);
    add(s, "name", "name", "", name ? name : json_string("?")); /* not UTF-8 */
    add(s, "verified", "verified", "", json_boolean(!r->damage));
    if (r->damage)
        add(s, "failed_check", "failed check", "", json_string(r->damage));
    add(s, "layout", "layout", "", json_string(r->per_layer ? "per-layer" : "packed"));
    if (r->n_heads == 2)
        add_trio(s, &r->heads[0], &r->heads[1]);
    else if (r->n_heads == 1)
        add_packed(s, &r->heads[0]);
    add_number(s, "stored_b", "stored", "B", r->stored_b);
    if (!r->damage)
        add(s, "ratio", "raw / stored", "", json_real((double)r->raw_b / (double)r->stored_b));
    if (r->ttl_ms >= 0)
        add_number(s, "ttl_ms", "expires in", "ms", (uint64_t)r->ttl_ms);
}

static const char *part_name(const struct report *r, uint32_t part)
{
    return r->n_parts == 1 && r->heads[0].piece.parts == BE_V_ONLY ? "v" : part ? "v" : "k";
}

static json_t *real_or_null(double value)
{
    return isnan(value) ? json_null() : json_real(value);
}

static void print_json(const struct sheet *s, const struct report *r)
{
    json_t *root = json_object();
    for (size_t i = 0; i < s->n; i++)
        json_object_set(root, s->lines[i].key, s->lines[i].value);
    for (uint32_t part = 0; part < r->n_parts; part++) {
        const struct inspect_stats *t = &r->stats[part];
        json_t *stats = json_object();
        json_object_set_new(stats, "elements", json_integer((json_int_t)t->elements));
        json_object_set_new(stats, "min", real_or_null(t->min));
        json_object_set_new(stats, "max", real_or_null(t->max));
        json_object_set_new(stats, "mean", real_or_null(t->mean));
        json_object_set_new(stats, "deviation", real_or_null(t->deviation));
        json_object_set_new(stats, "nan", json_integer((json_int_t)t->nan));
        json_object_set_new(stats, "infinite", json_integer((json_int_t)t->infinite));
        json_object_set_new(root, part_name(r, part), stats);
    }
    json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(root);
}

static void print_text(const struct sheet *s, const struct report *r)
{
    for (size_t i = 0; i < s->n; i++) {
        const json_t *value = s->lines[i].value;
        char text[64];
        const char *shown = text;
        if (json_is_integer(value))
            units_show_count(text, sizeof text, (uint64_t)json_integer_value(value));
        else if (json_is_real(value))
            snprintf(text, sizeof text, "%.3f", json_real_value(value));
        else if (json_is_boolean(value))
            shown = json_is_true(value) ? "yes" : "no";
        else
            shown = json_string_value(value);
        printf("%-16s %s%s%s\n", s->lines[i].label, shown, *s->lines[i].unit ? " " : "",
               s->lines[i].unit);
    }
    if (r->n_parts)
        printf("\n   %14s %12s %12s %12s %12s %8s %8s\n", "elements", "min", "max", "mean",
               "deviation", "NaN", "infinite");
    for (uint32_t part = 0; part < r->n_parts; part++) {
        const struct inspect_stats *t = &r->stats[part];
        printf("%-2s %14" PRIu64 " %12.5g %12.5g %12.5g %12.5g %8" PRIu64 " %8" PRIu64 "\n",
               part_name(r, part)[0] == 'k' ? "K" : "V", t->elements, t->min, t->max, t->mean,
               t->deviation, t->nan, t->infinite);
    }
}

static int tell(const struct options *o, const struct report *r)
{
    struct sheet sheet = {0};
    fill(&sheet, r);
    if (o->json)
        print_json(&sheet, r);
    else
        print_text(&sheet, r);
    for (size_t i = 0; i < sheet.n; i++)
        json_decref(sheet.lines[i].value);
    if (fflush(stdout) != 0)
        return EXIT_FAILED;
    if (!r->damage)
        return EXIT_DONE;
    fprintf(stderr, "kvtwin inspect: %.200s: damaged: %s\n", o->name, r->damage);
    return EXIT_FAILED;
}

/* ---- The command ------------------------------------------------------------------------------------ */

static int write_out(const char *path, const struct report *r)
{
    FILE *file = fopen(path, "wb");
    if (file) {
        const bool whole = fwrite(r->raw, 1, r->raw_b, file) == r->raw_b;
        const int written = whole ? 0 : errno;
        if (fclose(file) == 0 && whole)
            return EXIT_DONE;
        errno = written ? written : errno;
    }
    fprintf(stderr, "kvtwin inspect: %.200s: %s\n", path, strerror(errno));
    return EXIT_FAILED;
}

/* The source and the name in it: a key, or a file's folder and name. */
static struct inspect_source *find_source(const struct options *o, char *name, size_t name_size,
                                          int *rc, char *error, size_t error_size)
{
    char folder[4096];
    const char *slash = o->redis ? NULL : strrchr(o->name, '/');
    const char *last = slash ? slash + 1 : o->name;
    const int folder_n = slash ? (int)(slash - o->name) + 1 : 0;
    *rc = -EINVAL;
    if (strlen(last) >= name_size || folder_n >= (int)sizeof folder) {
        snprintf(error, error_size, "%.80s...: name too long", o->name);
        return NULL;
    }
    snprintf(name, name_size, "%s", *last ? last : "."); /* "folder/": said to be none */
    if (o->redis)
        return inspect_source_redis(o->redis, rc, error, error_size);
    snprintf(folder, sizeof folder, "%.*s", folder_n, folder_n ? o->name : "");
    return inspect_source_folder(folder_n ? folder : ".", rc, error, error_size);
}

static int inspect(const struct options *o)
{
    struct report r = {0};
    char error[512];
    int rc;
    struct inspect_source *source = find_source(o, r.name, sizeof r.name, &rc, error, sizeof error);
    if (!source)
        return complain(rc, error);
    int code = examine(source, o, &r);
    inspect_source_free(source);
    if (code == EXIT_DONE)
        code = tell(o, &r);
    if (code == EXIT_DONE && o->out)
        code = write_out(o->out, &r);
    free(r.raw);
    return code;
}

static int bad(const char *argument, const char *expected)
{
    fprintf(stderr, "kvtwin inspect: %.80s: expected %s\n", argument, expected);
    return EXIT_BAD_INPUT;
}

int cmd_inspect(int argc, char **argv)
{
    struct options o = {0};
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i];
        const char **value = strcmp(a, "--redis") == 0 ? &o.redis
                             : strcmp(a, "--out") == 0 ? &o.out
                                                       : NULL;
        if (strcmp(a, "--help") == 0 || strcmp(a, "-h") == 0) {
            fputs(help, stdout);
            return EXIT_DONE;
        }
        if (value && i + 1 == argc)
            return bad(a, "a value behind it");
        if (value)
            *value = argv[++i];
        else if (strcmp(a, "--json") == 0)
            o.json = true;
        else if (a[0] == '-' && a[1])
            return bad(a, "--redis, --json or --out");
        else if (o.name)
            return bad(a, "one key or file");
        else
            o.name = a;
    }
    if (!o.name || !o.name[0])
        return bad("inspect", "a key or a file");
    return inspect(&o);
}
