/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * write.c - see write.h. JSON is put together by hand: there is nothing to quote, numbers only.
 */
#include "write.h"

#include "binary.h"
#include "record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct output {
    const char *path;
    char *part; /* owned */
    FILE *file;
    uint32_t block_tokens;
};

enum wl_format wl_write_format(const char *path)
{
    const char *dot = strrchr(path, '.');
    if (dot == NULL || strchr(dot, '/') != NULL)
        return WL_FORMATS;
    return strcmp(dot, ".kvtrace") == 0 ? WL_BINARY
           : strcmp(dot, ".jsonl") == 0 ? WL_MOONCAKE
                                        : WL_FORMATS;
}

static int failed(const struct output *out, int status, struct wl_error *error)
{
    return wl_fail(error, status, out->path, 0, NULL, "expected a file that can be written: %s",
                   strerror(-status));
}

/* Digits of ids are nearly all of the output: a plain loop takes a tenth of fprintf's time. */
static char *put_number(char *to, uint64_t value)
{
    char digits[20];
    int n = 0;
    do
        digits[n++] = (char)('0' + value % 10);
    while ((value /= 10) != 0);
    while (n > 0)
        *to++ = digits[--n];
    return to;
}

static bool put_id(FILE *file, uint64_t id, bool first)
{
    char text[24], *end = text;
    if (!first) {
        *end++ = ',';
        *end++ = ' ';
    }
    end = put_number(end, id);
    return fwrite(text, 1, (size_t)(end - text), file) == (size_t)(end - text);
}

static int put_line(const struct output *out, const struct wl_record *r, struct wl_error *error)
{
    FILE *file = out->file;
    const uint32_t full = r->prompt_tokens / out->block_tokens;
    if (full > r->n_ids)
        return wl_fail(error, -EINVAL, out->path, 0, NULL,
                       "expected ids for all of a prompt, which .jsonl needs; .kvtrace does not");
    bool good = fprintf(file,
                        "{\"timestamp\": %" PRIu64 ", \"input_length\": %" PRIu32
                        ", \"output_length\": %" PRIu32,
                        r->at_ns / KVT_MILLISECOND, r->prompt_tokens, r->output_tokens) > 0;
    if (r->session != KVT_NONE)
        good = good && fprintf(file, ", \"session\": %" PRIu32, r->session) > 0;
    if (r->tenant != 0)
        good = good && fprintf(file, ", \"tenant\": %" PRIu32, r->tenant) > 0;
    good = good && fputs(", \"hash_ids\": [", file) >= 0;
    for (uint32_t i = 0; i < full + r->has_tail; i++) {
        const uint64_t id = i < full ? r->ids[i] : r->tail_id;
        if (id > INT64_MAX)
            return wl_fail(error, -EINVAL, out->path, 0, "hash_ids",
                           "expected ids below 2^63, which is what JSON readers take");
        good = good && put_id(file, id, i == 0);
    }
    good = good && fputs("]}\n", file) >= 0;
    return good ? 0 : failed(out, errno != 0 ? -errno : -EIO, error);
}

static int write_lines(struct wl_source *source, const struct output *out, uint64_t *requests,
                       struct wl_error *error)
{
    struct wl_record r;
    int status;
    while ((status = wl_next_record(source, &r)) == 1) {
        status = put_line(out, &r, error);
        if (status != 0)
            return status;
        ++*requests;
    }
    return status < 0 ? wl_fail(error, status, NULL, 0, NULL, "%s", wl_source_error(source)) : 0;
}

static int write_binary(struct wl_source *source, const struct output *out, bool partial,
                        uint64_t *requests, struct wl_error *error)
{
    struct wl_binary_writer *w = wl_binary_writer_new(out->file, out->block_tokens, partial);
    struct wl_record r;
    int status = 0, more = 1;
    if (w == NULL)
        return failed(out, -ENOMEM, error);
    while (status == 0 && (more = wl_next_record(source, &r)) == 1) {
        /* A cap on outputs may have cut off blocks that are still named. */
        const uint32_t most = (r.prompt_tokens + r.output_tokens) / out->block_tokens;
        r.n_ids = r.n_ids < most ? r.n_ids : most;
        status = wl_binary_write(w, &r);
        *requests += status == 0;
    }
    const int closed = wl_binary_writer_close(w);
    if (more < 0)
        return wl_fail(error, more, NULL, 0, NULL, "%s", wl_source_error(source));
    return closed != 0 ? failed(out, closed, error) : 0;
}

static int open_output(struct output *out, const char *path, struct wl_error *error)
{
    const size_t n = strlen(path) + sizeof ".part";
    out->path = path;
    out->part = malloc(n);
    if (out->part == NULL)
        return failed(out, -ENOMEM, error);
    snprintf(out->part, n, "%s.part", path);
    out->file = fopen(out->part, "wb");
    if (out->file != NULL)
        return 0;
    const int status = -errno;
    free(out->part);
    return failed(out, status, error);
}

/* Gives the file its name, or takes it away. */
static int close_output(struct output *out, int status, struct wl_error *error)
{
    if (fclose(out->file) != 0 && status == 0)
        status = failed(out, -errno, error);
    if (status == 0 && rename(out->part, out->path) != 0)
        status = failed(out, -errno, error);
    if (status != 0)
        unlink(out->part);
    free(out->part);
    return status;
}

int wl_write(struct wl_source *source, const char *path, uint64_t *requests, struct wl_error *error)
{
    const enum wl_format format = wl_write_format(path);
    struct wl_info info;
    struct output out = {0};
    *requests = 0;
    if (format == WL_FORMATS)
        return wl_fail(error, -EINVAL, path, 0, NULL,
                       "expected a name that ends in .jsonl or .kvtrace");
    int status = open_output(&out, path, error);
    if (status != 0)
        return status;
    wl_source_info(source, &info);
    out.block_tokens = info.trace_block_tokens;
    wl_rewind(source);
    errno = 0;
    status = format == WL_BINARY ? write_binary(source, &out, info.trace_partial, requests, error)
                                 : write_lines(source, &out, requests, error);
    return close_output(&out, status, error);
}
