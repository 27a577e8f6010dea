/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * trace_write.c - records into a file: our binary format, or Mooncake's JSON lines.
 *
 *      FOLDER/.NAME.PID.partial   being written; removed whatever happens but a kill
 *      FOLDER/NAME                appears by rename, complete
 *
 * Binary holds all that a record has. JSON lines name blocks of the prompt only, and all lines
 * have to be read in one way (workload.h): n = ceil(prompt / block) if every prompt that ends
 * within a block has an id for that block, else n = floor. So a first pass looks at what there
 * is. Blocks of prompts that came as text or tokens have no id in their file; they are numbered
 * in order of appearance, which keeps what is shared.
 *
 * A time that is whole in ms is written so, another in s with nine decimals: readers tell them
 * by the point. Both are exact for traces of up to 104 days.
 */
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../workload/binary.h"
#include "out.h"
#include "progress.h"

enum { FILE_BUFFER = 1 << 18 };

/* A file under way. */
struct writing {
    struct wl_source *source;
    struct wl_info info;
    struct trace_written *written;
    enum trace_target target;
    bool ceil;                       /* JSONL: partial blocks are named */
    struct wl_binary_writer *binary; /* or NULL */
    FILE *file;
    char *line;
    size_t line_room;
    char partial[PATH_MAX];
};

enum trace_target trace_target_of(const char *path)
{
    static const struct {
        const char *extension;
        enum trace_target target;
    } all[] = {{".kvt", TRACE_BINARY}, {".kvtrace", TRACE_BINARY}, {".jsonl", TRACE_JSONL}};
    const char *slash = strrchr(path, '/');
    const char *dot = strrchr(slash ? slash + 1 : path, '.');
    for (size_t i = 0; dot && i < sizeof all / sizeof all[0]; i++)
        if (strcmp(dot, all[i].extension) == 0)
            return all[i].target;
    return TRACE_TARGETS;
}

/* ---- JSON lines -------------------------------------------------------------------------------------- */

static size_t put_text(char *to, const char *text)
{
    const size_t n = strlen(text);
    memcpy(to, text, n);
    return n;
}

static size_t put_number(char *to, const char *key, uint64_t value)
{
    const size_t n = put_text(to, key);
    return n + format_u64(to + n, value);
}

static size_t put_time(char *to, kvt_ns at_ns)
{
    if (at_ns % KVT_MILLISECOND == 0)
        return put_number(to, "{\"timestamp\":", at_ns / KVT_MILLISECOND);
    return (size_t)sprintf(to, "{\"timestamp\":%llu.%09llu",
                           (unsigned long long)(at_ns / KVT_SECOND),
                           (unsigned long long)(at_ns % KVT_SECOND));
}

static int write_line(struct writing *w, const struct wl_record *r)
{
    enum { HEAD = 256 }; /* more than all keys and five numbers take */
    const uint32_t full = r->prompt_tokens / w->info.trace_block_tokens;
    const bool tail = w->ceil && r->has_tail;
    if (wl_grow(&w->line, &w->line_room, HEAD + ((size_t)full + 1) * 21, 1) != 0)
        return -ENOMEM;
    char *to = w->line;
    size_t n = put_time(to, r->at_ns);
    n += put_number(to + n, ",\"input_length\":", r->prompt_tokens);
    n += put_number(to + n, ",\"output_length\":", r->output_tokens);
    if (r->session != KVT_NONE)
        n += put_number(to + n, ",\"session\":", r->session);
    if (r->tenant != 0)
        n += put_number(to + n, ",\"tenant\":", r->tenant);
    n += put_text(to + n, ",\"hash_ids\":[");
    for (uint32_t i = 0; i < full; i++)
        n += put_number(to + n, i > 0 ? "," : "", r->ids[i]);
    if (tail)
        n += put_number(to + n, full > 0 ? "," : "", r->tail_id);
    n += put_text(to + n, "]}\n");
    errno = 0;
    if (fwrite(to, 1, n, w->file) != n)
        return errno != 0 ? -errno : -EIO;
    w->written->output_blocks_left_out += r->n_ids - full;
    w->written->partial_left_out += r->has_tail && !tail;
    return 0;
}

/* The first pass: can lines say it, and with partial blocks? */
static int look(struct writing *w, char *why)
{
    const uint32_t block = w->info.trace_block_tokens;
    struct wl_record r;
    int rc;
    w->ceil = true;
    while ((rc = wl_next_record(w->source, &r)) == 1 && !trace_stop) {
        const uint32_t full = r.prompt_tokens / block;
        uint64_t most = r.has_tail ? r.tail_id : 0;
        for (uint32_t i = 0; i < r.n_ids && i < full; i++)
            most = r.ids[i] > most ? r.ids[i] : most;
        w->ceil = w->ceil && (r.has_tail || r.prompt_tokens % block == 0);
        if (r.n_ids < full || most > INT64_MAX) {
            snprintf(why, TRACE_ERROR, "%s",
                     r.n_ids < full
                         ? "expected a trace that names all blocks of prompts, write .kvt"
                         : "expected ids of at most 9223372036854775807, write .kvt");
            return -EINVAL;
        }
    }
    if (rc < 0)
        snprintf(why, TRACE_ERROR, "%s", wl_source_error(w->source));
    wl_rewind(w->source);
    return rc < 0 ? rc : 0;
}

/* ---- The file ---------------------------------------------------------------------------------------- */

static int fail(char *why, const char *path, int rc)
{
    snprintf(why, TRACE_ERROR, "%.400s: %s", path, strerror(-rc));
    return rc;
}

/* Opens the partial file beside path. */
static int begin(struct writing *w, const char *path, char *why)
{
    const char *slash = strrchr(path, '/');
    const int folder = slash ? (int)(slash + 1 - path) : 0;
    struct stat there;
    if (path[0] == '\0' || path[folder] == '\0' || (folder == 0 && strlen(path) > NAME_MAX))
        return fail(why, path, -EINVAL);
    if (stat(path, &there) == 0 && !S_ISREG(there.st_mode)) {
        snprintf(why, TRACE_ERROR, "%.400s: expected a regular file or none", path);
        return -EINVAL;
    }
    const int n = snprintf(w->partial, sizeof w->partial, "%.*s.%.200s.%ld.partial", folder, path,
                           path + folder, (long)getpid());
    if (n < 0 || (size_t)n >= sizeof w->partial)
        return fail(why, path, -ENAMETOOLONG);
    unlink(w->partial); /* of a process with our number that was killed */
    const int fd = open(w->partial, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return fail(why, path, -errno);
    w->file = fdopen(fd, "w+b");
    if (!w->file) {
        close(fd);
        unlink(w->partial);
        return fail(why, path, -ENOMEM);
    }
    setvbuf(w->file, NULL, _IOFBF, FILE_BUFFER);
    return 0;
}

static int write_all(struct writing *w, const char *path, char *why)
{
    struct progress bar;
    struct wl_record r;
    int rc;
    progress_begin(&bar, "writing", w->info.requests);
    while ((rc = wl_next_record(w->source, &r)) == 1) {
        rc = trace_stop ? -EINTR : w->binary ? wl_binary_write(w->binary, &r) : write_line(w, &r);
        if (rc != 0)
            break;
        progress_step(&bar, ++w->written->requests, r.at_ns);
    }
    progress_end(&bar);
    if (rc < 0 && wl_source_error(w->source)[0] != '\0')
        snprintf(why, TRACE_ERROR, "%s", wl_source_error(w->source));
    else if (rc == -EINTR)
        snprintf(why, TRACE_ERROR, "interrupted, nothing was written");
    else if (rc < 0)
        fail(why, path, rc);
    return rc;
}

/* Closes, and puts the file in its place if all went well until then. */
static int finish(struct writing *w, const char *path, int rc, char *why)
{
    if (w->binary) {
        const int closed = wl_binary_writer_close(w->binary);
        if (rc == 0 && closed != 0)
            rc = fail(why, path, closed);
    }
    if (fflush(w->file) != 0 && rc == 0)
        rc = fail(why, path, -errno);
    struct stat done;
    if (rc == 0 && fstat(fileno(w->file), &done) == 0)
        w->written->size_b = (uint64_t)done.st_size;
    if (fclose(w->file) != 0 && rc == 0)
        rc = fail(why, path, -errno);
    if (rc == 0 && rename(w->partial, path) != 0)
        rc = fail(why, path, -errno);
    if (rc != 0)
        unlink(w->partial);
    return rc;
}

int trace_write(struct trace_written *written, struct wl_source *source, const char *path,
                char why[TRACE_ERROR])
{
    struct writing w = {.source = source, .written = written, .target = trace_target_of(path)};
    *written = (struct trace_written){0};
    why[0] = '\0';
    wl_source_info(source, &w.info);
    int rc = w.target == TRACE_JSONL ? look(&w, why) : 0;
    if (rc == 0)
        rc = begin(&w, path, why);
    if (rc != 0)
        return rc;
    if (w.target == TRACE_BINARY) {
        w.binary = wl_binary_writer_new(w.file, w.info.trace_block_tokens, w.info.trace_partial);
        if (!w.binary)
            rc = fail(why, path, -ENOMEM);
    }
    if (rc == 0)
        rc = write_all(&w, path, why);
    rc = finish(&w, path, rc, why);
    free(w.line);
    return rc;
}
