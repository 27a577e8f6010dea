/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cmd_report.c - kvtwin report RESULTS...: one page that opens anywhere.
 *
 * The page is built in memory and put in place by one rename, so that a page that is there is whole. Pictures of a
 * run that are not drawn yet are drawn first.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "datadir.h"
#include "option.h"
#include "report.h"
#include "version.h"

static const char help[] =
    "usage: kvtwin report [--out FILE] RESULTS...\n"
    "\n"
    "Makes one HTML file of one or more results folders (of run, compare, sweep): question, "
    "setting,\n"
    "answer, pictures, tables, assumptions with their sources, how to reproduce. It needs no "
    "network\n"
    "and no script, follows the reader's light or dark setting, and prints.\n"
    "\n"
    "  --out FILE   default: report.html in the first folder\n";

/* White ground for pictures on paper and by day; turned over by night. */
static const char head[] =
    "<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8>\n"
    "<meta name=viewport content='width=device-width, initial-scale=1'>\n"
    "<link rel=icon href='data:,'>\n<title>kvtwin report</title>\n<style>\n"
    ":root{color-scheme:light dark;--ground:#fff;--ink:#1b1f24;--soft:#57606a;--line:#d0d7de;"
    "--tint:#f6f8fa}\n"
    "@media (prefers-color-scheme:dark){:root{--ground:#101418;--ink:#e6edf3;--soft:#9da7b3;"
    "--line:#30363d;--tint:#181d23}figure svg{filter:invert(.93) hue-rotate(180deg)}}\n"
    "body{background:var(--ground);color:var(--ink);font:16px/1.5 system-ui,sans-serif;margin:0 "
    "auto;"
    "max-width:72rem;padding:1rem 1.5rem}\n"
    "h1{font-size:1.5rem}h2{font-size:1.4rem;border-top:1px solid var(--line);padding-top:1rem}\n"
    "h4{margin:1.2rem 0 .4rem}.question{font-size:1.15rem;font-style:italic}\n"
    ".answer{background:var(--tint);border-left:4px solid #0072b2;padding:.7rem 1rem}\n"
    ".pictures{display:grid;grid-template-columns:repeat(auto-fit,minmax(26rem,1fr));gap:1rem}\n"
    "figure{margin:0}figure svg{width:100%;height:auto;border:1px solid var(--line)}\n"
    ".wide{overflow-x:auto}table{border-collapse:collapse;font-size:.85rem;margin:.5rem 0}\n"
    "th,td{border-bottom:1px solid var(--line);padding:.25rem .6rem;text-align:left;"
    "vertical-align:top}th{color:var(--soft);font-weight:600}td.n{text-align:right;"
    "font-variant-numeric:tabular-nums;white-space:nowrap}\n"
    "pre{background:var(--tint);overflow-x:auto;padding:.6rem;font-size:.8rem}\n"
    ".small{color:var(--soft);font-size:.85rem;overflow-wrap:anywhere}summary{cursor:pointer}\n"
    "@media print{:root{--ground:#fff;--ink:#000;--soft:#444;--line:#bbb;--tint:#f4f4f4}"
    "figure svg{filter:none}figure,tr{break-inside:avoid}h2,h3,h4{break-after:avoid}"
    ".pictures{grid-template-columns:1fr 1fr}.wide,pre{overflow:visible;white-space:pre-wrap}}\n"
    "</style></head><body>\n<h1>Does the cache pay?</h1>\n";

static int bad(const char *what, const char *expected)
{
    fprintf(stderr, "kvtwin report: %.200s: %s\n", what, expected);
    return EXIT_BAD_INPUT;
}

/* A run whose pictures nobody has drawn. */
static bool undrawn(const char *dir)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/distributions.csv", dir);
    bool run = access(path, R_OK) == 0;
    snprintf(path, sizeof path, "%s/ttft.svg", dir);
    return run && access(path, R_OK) != 0;
}

/* By the plot command itself, with its list of files kept off our output. No picture is no reason for no report. */
static void draw(char *dir)
{
    char name[] = "plot";
    char *arguments[] = {name, dir, NULL};
    fflush(stdout);
    int saved = dup(STDOUT_FILENO), null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (saved >= 0 && null >= 0 && dup2(null, STDOUT_FILENO) >= 0) {
        if (cmd_plot(2, arguments) != EXIT_DONE)
            fprintf(stderr, "kvtwin report: %s: pictures are left out\n", dir);
        fflush(stdout);
        dup2(saved, STDOUT_FILENO);
    }
    if (saved >= 0)
        close(saved);
    if (null >= 0)
        close(null);
}

static int load_catalog(struct catalog **catalog, char *why, size_t size)
{
    char data[PATH_MAX], folder[PATH_MAX + 32];
    if (datadir_find(data, sizeof data) != 0) {
        snprintf(why, size, "expected scenarios/catalog: set KVTWIN_DATA");
        return -ENOENT;
    }
    snprintf(folder, sizeof folder, "%s/scenarios/catalog", data);
    return catalog_load(catalog, folder, why, size);
}

/* Writes the page beside its place, then renames. */
static int put_in_place(const char *path, const char *page, size_t n)
{
    char partial[PATH_MAX + 16];
    snprintf(partial, sizeof partial, "%s.partial", path);
    FILE *file = fopen(partial, "we");
    bool good = file && fwrite(page, 1, n, file) == n;
    if (file && fclose(file) != 0)
        good = false;
    if (good && rename(partial, path) == 0)
        return EXIT_DONE;
    fprintf(stderr, "kvtwin report: %s: %s\n", path, strerror(errno));
    if (file)
        unlink(partial);
    return EXIT_FAILED;
}

static int make(char **dirs, int n, const char *path)
{
    char why[PATH_MAX + 256], *page = NULL;
    size_t len = 0;
    unsigned pictures = 0;
    struct catalog *catalog = NULL;
    if (load_catalog(&catalog, why, sizeof why) != 0) {
        fprintf(stderr, "kvtwin report: %s\n", why);
        return EXIT_FAILED;
    }
    FILE *out = open_memstream(&page, &len);
    int rc = out ? 0 : -ENOMEM;
    if (out)
        fputs(head, out);
    for (int i = 0; i < n && rc == 0; i++) {
        if (undrawn(dirs[i]))
            draw(dirs[i]);
        rc = report_folder(out, dirs[i], catalog, &pictures, why, sizeof why);
    }
    if (out) {
        fprintf(out, "<p class=small>Made by kvtwin %s (%s).</p>\n</body></html>\n",
                kvtwin_version(), kvtwin_revision());
        if (fclose(out) != 0)
            rc = -ENOMEM;
    }
    catalog_free(catalog);
    int code = rc == -EINVAL ? EXIT_BAD_INPUT : rc != 0 ? EXIT_FAILED : EXIT_DONE;
    if (rc != 0)
        fprintf(stderr, "%s\n", rc == -EINVAL ? why : "kvtwin report: out of memory");
    else
        code = put_in_place(path, page, len);
    if (code == EXIT_DONE)
        printf("%s: %u picture%s, %.1f MB\n", path, pictures, pictures == 1 ? "" : "s",
               (double)len / 1e6);
    free(page);
    return code;
}

int cmd_report(int argc, char **argv)
{
    const char *out = NULL;
    char path[PATH_MAX];
    int n = 0;
    for (int i = 1; i < argc; i++) {
        const char *value = "";
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(help, stdout);
            return EXIT_DONE;
        }
        if (option_value(argc, argv, &i, "--out", &value)) {
            if (!value || !*value)
                return bad("--out", "expected a file");
            out = value;
        } else if (argv[i][0] == '-' && argv[i][1] != '\0') {
            return bad(argv[i], "unknown option, see kvtwin report --help");
        } else {
            argv[1 + n++] = argv[i];
        }
    }
    if (n == 0)
        return bad("RESULTS", "expected a results folder, for example results/quickstart");
    int len = out ? snprintf(path, sizeof path, "%s", out)
                  : snprintf(path, sizeof path, "%s/report.html", argv[1]);
    if (len < 0 || (size_t)len >= sizeof path)
        return bad("--out", "expected a shorter path");
    return make(argv + 1, n, path);
}
