/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * source.c - wl_open and what follows it: picks a feed, skips, limits, scales times, cuts blocks, gives keys.
 *
 * A finite feed is run through once at opening (survey): it counts what will come and sees whether every id can
 * be cut. That takes a few ms per million ids and means that a run starts only on a good trace.
 */
#include "cut.h"
#include "gen.h"
#include "binary.h"
#include "read.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct tenant {
    struct kvt_namespace ns;
    bool ready;
};

struct wl_source {
    struct wl_options o;
    char *path, *model_epoch, *layout; /* owned copies */
    struct wl_feed feed;
    struct wl_cut cut;
    struct wl_info info;
    struct wl_names tenants, sessions;
    struct kvt_namespace shared;
    struct tenant *salted; /* by tenant */
    size_t salted_room;
    kvt_key *keys;
    size_t keys_room;
    /* Position. */
    uint64_t seen, given; /* records from the feed, and to the caller */
    kvt_ns epoch_ns;      /* arrival that counts as 0 */
    int stuck;            /* a failure sticks */
    struct wl_error error;
};

static const char *const format_names[WL_FORMATS + 1] = {"auto",    "mooncake", "qwen",
                                                         "prompts", "azure",    "burstgpt",
                                                         "binary",  "generated"};

const char *wl_format_name(enum wl_format format)
{
    return format_names[format];
}

enum wl_format wl_format_named(const char *name)
{
    for (int i = 0; i < WL_FORMATS; i++)
        if (strcmp(name, format_names[i]) == 0)
            return (enum wl_format)i;
    return WL_FORMATS;
}

void wl_options_init(struct wl_options *options)
{
    *options = (struct wl_options){
        .seed = 1,
        .rate_scale = 1,
        .limit = UINT64_MAX,
        .max_output_tokens = UINT32_MAX,
        .synth = {.system_tokens = 256, .continues = 0.5, .idle_ns = 300 * KVT_SECOND},
    };
    wl_generate_init(&options->generate);
}

static int no_memory(struct wl_error *error)
{
    return wl_fail(error, -ENOMEM, NULL, 0, "workload", "expected more memory");
}

/* ---- Opening ---------------------------------------------------------------------------------------- */

static int copy_text(char **to, const char *from)
{
    *to = strdup(from != NULL ? from : "");
    return *to != NULL ? 0 : -ENOMEM;
}

static int check_options(const struct wl_options *o, struct wl_error *error)
{
    if (!(o->rate_scale > 0) || !isfinite(o->rate_scale))
        return wl_fail(error, -EINVAL, NULL, 0, "rate_scale", "expected a number above 0");
    if (o->block_tokens > WL_BLOCK_MOST)
        return wl_fail(error, -EINVAL, NULL, 0, "block_tokens", "expected at most %d",
                       WL_BLOCK_MOST);
    if (o->trace_block_tokens > WL_BLOCK_MOST)
        return wl_fail(error, -EINVAL, NULL, 0, "trace_block_tokens", "expected at most %d",
                       WL_BLOCK_MOST);
    if (!(o->synth.continues >= 0 && o->synth.continues <= 1))
        return wl_fail(error, -EINVAL, NULL, 0, "synth.continues", "expected 0 to 1");
    return 0;
}

/* Reads a text file into a pack, which becomes the feed. */
static int load_text(struct wl_source *s, struct wl_input *in, enum wl_format format,
                     struct wl_error *error)
{
    struct wl_pack *pack = calloc(1, sizeof *pack);
    if (pack == NULL)
        return no_memory(error);
    const struct wl_options *o = &s->o;
    struct wl_reading reading = {
        .in = in, .pack = pack, .options = o, .error = error, .format = format};
    reading.most = o->limit > UINT64_MAX - o->skip ? UINT64_MAX : o->skip + o->limit;
    reading.tenants = &s->tenants;
    reading.sessions = &s->sessions;
    int status = format == WL_PROMPTS                          ? wl_read_prompts(&reading)
                 : format == WL_AZURE || format == WL_BURSTGPT ? wl_read_lengths(&reading)
                                                               : wl_read_ids(&reading);
    if (status == 0 && wl_pack_seal(pack) != 0)
        status = no_memory(error);
    if (status != 0) {
        wl_pack_release(pack);
        free(pack);
        return status;
    }
    s->feed = (struct wl_feed){.ops = &wl_pack_feed,
                               .self = pack,
                               .format = format,
                               .block_tokens = pack->block_tokens,
                               .partial = pack->partial,
                               .finite = true,
                               .keys = format == WL_PROMPTS ? pack->keys.keys : NULL,
                               .name = wl_format_name(format)};
    s->feed.ops->rewind(pack);
    return 0;
}

/* Looks at the first bytes and, for text, at the first line. */
static int find_format(struct wl_input *in, enum wl_format *format, struct wl_error *error)
{
    unsigned char start[8];
    char *line;
    size_t got_b = 0, size_b = 0;
    int status = wl_input_read(in, start, sizeof start, &got_b, error);
    wl_input_seek(in, 0);
    if (status != 0)
        return status;
    if (got_b == 0)
        return wl_fail(error, -EINVAL, in->name, 0, NULL, "expected requests, the file is empty");
    if (wl_binary_magic(start, got_b)) {
        *format = WL_BINARY;
        return 0;
    }
    status = wl_input_line(in, &line, &size_b, error);
    *format = status == 1 ? wl_guess(line, size_b) : WL_AUTO;
    const uint64_t at = in->line;
    wl_input_seek(in, 0);
    if (status < 0 || *format != WL_AUTO)
        return status < 0 ? status : 0;
    return wl_fail(error, -EINVAL, in->name, at, NULL,
                   "expected a trace: JSON lines with hash_ids, text or tokens; CSV with "
                   "ContextTokens or Request tokens; or kvtwin's binary format");
}

/* in is moved in. */
static int open_file(struct wl_source *s, struct wl_input *in, struct wl_error *error)
{
    enum wl_format format = s->o.format;
    int status = format == WL_AUTO ? find_format(in, &format, error) : 0;
    if (status == 0 && format == WL_BINARY)
        status = wl_binary_open(&s->feed, in, error);
    else if (status == 0)
        status = load_text(s, in, format, error);
    wl_input_release(in);
    return status;
}

/* Runs through a feed that has an end, or samples one that draws: how many requests, keys, distinct keys. */
enum { SAMPLE = 4096 };

struct tally {
    uint64_t records, keys, sampled, id_most;
    struct wl_intern distinct; /* generators: of the sample */
};

static int tally_ids(struct wl_source *s, const struct wl_record *r, struct tally *t)
{
    uint32_t index;
    for (uint32_t i = 0; i < r->n_ids; i++)
        t->id_most = r->ids[i] > t->id_most ? r->ids[i] : t->id_most;
    if (r->has_tail && r->tail_id > t->id_most)
        t->id_most = r->tail_id;
    for (uint32_t i = 0; !s->feed.finite && i < r->n_ids; i++)
        if (wl_intern(&t->distinct, (kvt_key){0, r->ids[i]}, &index, NULL) != 0)
            return -ENOMEM;
    return 0;
}

static int run_through(struct wl_source *s, struct tally *t, struct wl_error *error)
{
    struct wl_record r;
    int status;
    const uint64_t most = s->feed.finite ? UINT64_MAX : SAMPLE;
    while (t->records < most && (status = wl_next_record(s, &r)) != 0) {
        if (status < 0) {
            *error = s->error;
            return status;
        }
        t->records++;
        t->keys += wl_cut_keys(&s->cut, &r, NULL, NULL);
        if (tally_ids(s, &r, t) != 0)
            return no_memory(error);
    }
    return 0;
}

static void extrapolate(struct wl_source *s, const struct tally *t)
{
    const uint64_t skip = s->o.skip, limit = s->o.limit;
    const uint64_t left = s->feed.requests > skip ? s->feed.requests - skip : 0;
    const double per = t->records == 0 ? 0 : (double)t->keys / (double)t->records;
    const double fresh = t->records == 0 ? 0 : (double)t->distinct.n / (double)t->records;
    s->info.exact = false;
    s->info.requests = left < limit ? left : limit;
    s->info.keys = (uint64_t)((double)s->info.requests * per);
    s->info.distinct_keys = (uint64_t)((double)s->info.requests * fresh * 1.1);
}

static int survey(struct wl_source *s, struct wl_error *error)
{
    struct tally t = {0};
    int status = run_through(s, &t, error);
    if (status == 0 && s->feed.finite) {
        const uint64_t ratio = s->cut.trace_tokens > s->cut.block_tokens
                                   ? s->cut.trace_tokens / s->cut.block_tokens
                                   : 1;
        const uint64_t named = t.id_most < UINT64_MAX / ratio ? (t.id_most + 1) * ratio : t.keys;
        s->info.exact = true;
        s->info.requests = t.records;
        s->info.keys = t.keys;
        /* Ids that count up from 0 are distinct up to the largest. */
        s->info.distinct_keys = named < t.keys ? named : t.keys;
        if (t.records == 0)
            status = wl_fail(error, -EINVAL, s->path, 0, NULL,
                             "expected requests, there are none (after skip)");
        else if (s->feed.keys == NULL && t.id_most > wl_cut_id_most(&s->cut))
            status = wl_fail(error, -EINVAL, s->path, 0, "hash_ids",
                             "expected numbers of at most %llu to cut blocks of %u into %u tokens",
                             (unsigned long long)wl_cut_id_most(&s->cut), s->cut.trace_tokens,
                             s->cut.block_tokens);
    } else if (status == 0) {
        extrapolate(s, &t);
    }
    wl_intern_release(&t.distinct);
    wl_rewind(s);
    return status;
}

static int prepare(struct wl_source *s, struct wl_error *error)
{
    const struct wl_options *o = &s->o;
    s->cut = (struct wl_cut){.trace_tokens = s->feed.block_tokens,
                             .block_tokens =
                                 o->block_tokens != 0 ? o->block_tokens : s->feed.block_tokens,
                             .partial_blocks = o->partial_blocks,
                             .keys = s->feed.keys};
    s->info = (struct wl_info){.format = s->feed.format,
                               .name = s->feed.name,
                               .block_tokens = s->cut.block_tokens,
                               .trace_block_tokens = s->cut.trace_tokens,
                               .trace_partial = s->feed.partial};
    const char *wrong = wl_cut_check(&s->cut);
    if (wrong != NULL)
        return wl_fail(error, -EINVAL, s->path, 0, "block_tokens", "%s, %u tokens; found %u", wrong,
                       s->cut.trace_tokens, s->cut.block_tokens);
    if (kvt_namespace_init(&s->shared, NULL, s->model_epoch, s->layout) != 0)
        return wl_fail(error, -EIO, NULL, 0, NULL, "expected SHA-256 to work");
    return survey(s, error);
}

/* in: a file's bytes, or NULL to open o->path, or to generate when that is NULL as well. */
static int open_source(struct wl_source **out, const struct wl_options *o, struct wl_input *in,
                       struct wl_error *error)
{
    *out = NULL;
    error->text[0] = '\0';
    int status = check_options(o, error);
    if (status != 0)
        return status;
    struct wl_source *s = calloc(1, sizeof *s);
    if (s == NULL)
        return no_memory(error);
    s->o = *o;
    if (copy_text(&s->path, o->path) != 0 || copy_text(&s->model_epoch, o->model_epoch) != 0 ||
        copy_text(&s->layout, o->layout) != 0) {
        wl_close(s);
        return no_memory(error);
    }
    s->o.path = s->path;
    s->o.model_epoch = s->model_epoch;
    s->o.layout = s->layout;
    struct wl_input file = {.fd = -1};
    if (in == NULL && o->path == NULL) {
        status = wl_gen_open(&s->feed, &o->generate, o->seed, o->block_tokens, error);
    } else {
        if (in == NULL)
            status = wl_input_open(&file, s->path, error);
        else
            wl_input_memory(&file, s->path, in->memory, (size_t)in->size_b);
        if (status == 0)
            status = open_file(s, &file, error);
    }
    if (status == 0)
        status = prepare(s, error);
    if (status != 0) {
        wl_close(s);
        return status;
    }
    *out = s;
    return 0;
}

int wl_open(struct wl_source **out, const struct wl_options *options, struct wl_error *error)
{
    return open_source(out, options, NULL, error);
}

int wl_open_memory(struct wl_source **out, const struct wl_options *options, const void *bytes,
                   size_t size_b, struct wl_error *error)
{
    struct wl_input in;
    wl_input_memory(&in, "", bytes, size_b);
    return open_source(out, options, &in, error);
}

void wl_close(struct wl_source *s)
{
    if (s == NULL)
        return;
    if (s->feed.ops != NULL)
        s->feed.ops->close(s->feed.self);
    wl_names_release(&s->tenants);
    wl_names_release(&s->sessions);
    free(s->path);
    free(s->model_epoch);
    free(s->layout);
    free(s->salted);
    free(s->keys);
    free(s);
}

/* ---- Requests --------------------------------------------------------------------------------------- */

void wl_rewind(struct wl_source *s)
{
    s->feed.ops->rewind(s->feed.self);
    s->seen = s->given = 0;
    s->epoch_ns = 0;
    s->stuck = 0;
    s->error.text[0] = '\0';
}

const char *wl_source_error(const struct wl_source *source)
{
    return source->error.text;
}

/* Floor of a monotone function: order survives. */
static kvt_ns scaled(const struct wl_source *s, kvt_ns at_ns)
{
    const kvt_ns since = at_ns - s->epoch_ns;
    if (s->o.rate_scale == 1)
        return since;
    const double at = (double)since / s->o.rate_scale;
    return at >= 0x1p63 ? (kvt_ns)1 << 63 : (kvt_ns)at;
}

int wl_next_record(struct wl_source *s, struct wl_record *r)
{
    if (s->stuck != 0)
        return s->stuck;
    do {
        if (s->given == s->o.limit)
            return 0;
        const int status = s->feed.ops->next(s->feed.self, r, &s->error);
        if (status != 1) {
            s->stuck = status;
            return status;
        }
    } while (s->seen++ < s->o.skip);
    if (s->given++ == 0 && s->feed.format != WL_GENERATED)
        s->epoch_ns = r->at_ns;
    r->at_ns = scaled(s, r->at_ns);
    if (r->output_tokens > s->o.max_output_tokens)
        r->output_tokens = s->o.max_output_tokens;
    return 1;
}

/* The salt is the tenant's name, or its number in decimal. */
static int namespace_of(struct wl_source *s, uint32_t tenant, const struct kvt_namespace **ns)
{
    *ns = &s->shared;
    if (!s->o.tenant_salts)
        return 0;
    const size_t before = s->salted_room;
    if (wl_grow(&s->salted, &s->salted_room, (size_t)tenant + 1, sizeof s->salted[0]) != 0)
        return no_memory(&s->error);
    for (size_t i = before; i < s->salted_room; i++)
        s->salted[i].ready = false;
    struct tenant *t = &s->salted[tenant];
    char number[16];
    snprintf(number, sizeof number, "%u", tenant);
    const char *salt = s->tenants.words ? s->tenants.text[tenant] : number;
    if (!t->ready && kvt_namespace_init(&t->ns, salt, s->model_epoch, s->layout) != 0)
        return wl_fail(&s->error, -EIO, NULL, 0, NULL, "expected SHA-256 to work");
    t->ready = true;
    *ns = &t->ns;
    return 0;
}

int wl_next(struct wl_source *s, struct kvt_request *request)
{
    struct wl_record r = {0};
    const struct kvt_namespace *ns = NULL;
    int status = wl_next_record(s, &r);
    if (status != 1)
        return status;
    status = namespace_of(s, r.tenant, &ns);
    if (status == 0 && wl_grow(&s->keys, &s->keys_room, wl_cut_keys(&s->cut, &r, NULL, NULL),
                               sizeof s->keys[0]) != 0)
        status = no_memory(&s->error);
    if (status != 0) {
        s->stuck = status;
        return status;
    }
    *request = (struct kvt_request){.id = s->given - 1,
                                    .arrive_ns = r.at_ns,
                                    .tenant = r.tenant,
                                    .session = r.session,
                                    .prompt_tokens = r.prompt_tokens,
                                    .output_tokens = r.output_tokens,
                                    .n_keys = wl_cut_keys(&s->cut, &r, ns, s->keys),
                                    .keys = s->keys};
    return 1;
}

/* ---- Looking ---------------------------------------------------------------------------------------- */

void wl_source_info(const struct wl_source *source, struct wl_info *info)
{
    *info = source->info;
}

void wl_hint(const struct wl_source *source, uint64_t *requests, uint64_t *blocks)
{
    *requests = source->info.requests;
    *blocks = source->info.distinct_keys;
}

const char *wl_describe(const struct wl_source *source, char *text, size_t size)
{
    const struct wl_info *info = &source->info;
    const char *slash = strrchr(source->path, '/');
    const char *file = slash != NULL ? slash + 1 : source->path;
    snprintf(text, size, "%s%s%s, blocks of %u tokens, %s%llu requests", file,
             *file != '\0' ? ": " : "", info->name, info->trace_block_tokens,
             info->exact ? "" : "up to ", (unsigned long long)info->requests);
    return text;
}
