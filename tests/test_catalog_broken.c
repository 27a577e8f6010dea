/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_catalog_broken.c - what is said of a broken catalogue, and what profiles change in a good one.
 *
 * Broken files: a copy in a temporary folder with one change each must be refused in one line that names file, line and key.
 * Profiles: what they replace and add, and that a refused one changes nothing.
 */
#include "kvt_test.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "../cli/catalog.h"

#define SHIPPED "scenarios/catalog"

/* ---- Broken files --------------------------------------------------------------------------------- */

static const char *const files[] = {"gpus.yaml",   "models.yaml", "links.yaml",
                                    "hosts.yaml",  "redis.yaml",  "disks.yaml",
                                    "codecs.yaml", "stacks.yaml", "prices.yaml"};

enum { FILES = sizeof files / sizeof *files };

static char folder[64];

static char *slurp(const char *path)
{
    FILE *f = fopen(path, "rb");
    char *text = calloc(1, 1 << 18);

    ck_assert_ptr_nonnull(f);
    ck_assert_ptr_nonnull(text);
    ck_assert_uint_lt(fread(text, 1, (1 << 18) - 1, f), (1 << 18) - 1);
    fclose(f);
    return text;
}

static void spill(const char *file, const char *head, size_t head_len, const char *middle,
                  const char *tail)
{
    char path[128];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", folder, file);
    f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    fwrite(head, 1, head_len, f);
    fputs(middle, f);
    fputs(tail, f);
    ck_assert_int_eq(fclose(f), 0);
}

/* A copy of the catalogue in a fresh folder. */
static void copy_setup(void)
{
    snprintf(folder, sizeof folder, "/tmp/kvtwin-catalog-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    for (int i = 0; i < FILES; i++) {
        char path[128], *text;

        snprintf(path, sizeof path, SHIPPED "/%s", files[i]);
        text = slurp(path);
        spill(files[i], text, strlen(text), "", "");
        free(text);
    }
}

static void copy_teardown(void)
{
    for (int i = 0; i < FILES; i++) {
        char path[128];

        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        unlink(path);
    }
    rmdir(folder);
}

/* Changes the first `from` of a file to `to`, and expects a one-line refusal that holds `words` and names
 * the file, the right line and the key. Then puts the file back. */
static void refused(const char *file, const char *from, const char *to, const char *key,
                    const char *words)
{
    char path[128], error[512] = "", place[256];
    struct catalog *c = NULL;
    char *text, *at;
    int line = 1, status;

    snprintf(path, sizeof path, SHIPPED "/%s", file);
    text = slurp(path);
    at = strstr(text, from);
    ck_assert_msg(at != NULL, "%s has no \"%s\"", file, from);
    for (const char *p = text; p < at; p++)
        line += *p == '\n';
    spill(file, text, (size_t)(at - text), to, at + strlen(from));
    status = catalog_load(&c, folder, error, sizeof error);
    ck_assert_msg(status < 0 && c == NULL, "%s: \"%s\" was accepted", file, to);
    ck_assert_msg(!strchr(error, '\n'), "%s", error);
    snprintf(place, sizeof place, "%s/%s:%d: %s: ", folder, file, line, key);
    ck_assert_msg(strncmp(error, place, strlen(place)) == 0, "expected \"%s..\", got \"%s\"", place,
                  error);
    ck_assert_msg(strstr(error, words) != NULL, "expected \"%s\" in \"%s\"", words, error);
    spill(file, text, strlen(text), "", "");
    free(text);
}

START_TEST(broken_values)
{
    refused("gpus.yaml", "value: 1555 GB/s", "value: 1555", "gpus[0].hbm.value", "expected");
    refused("gpus.yaml", "value: 1555 GB/s", "value: 1555 GB", "gpus[0].hbm.value", "expected");
    refused("gpus.yaml", "value: 42949672960 B", "value: -1 B", "gpus[0].memory.value", "expected");
    refused("gpus.yaml", "value: 0.69,", "value: 1.69,", "gpus[0].weight_efficiency.value",
            "at most 1");
    refused("models.yaml", "layers: {value: 32", "layers: {value: 32.5", "models[0].layers.value",
            "expected");
    refused("links.yaml", "value: 100 us", "value: 100", "links[0].round_trip.value", "expected");
    refused("prices.yaml", "21.957642 USD/h", "21.957642 EUR/h", "prices[0].price.value",
            "expected");
    refused("prices.yaml", "21.957642 USD/h", "21.957642", "prices[0].price.value", "with unit");
    refused("prices.yaml", "date: 2026-11-09", "date: 2026-02-30", "prices[0].date",
            "day of the calendar");
    refused("prices.yaml", "date: 2026-11-09", "date: lately", "prices[0].date",
            "day of the calendar");
    refused("hosts.yaml", "evidence: S", "evidence: X", "hosts[0].h2d.evidence", "S, D, M or C");
    refused("gpus.yaml", "- {tp: 2, value: 0.694", "- {tp: 1, value: 0.694", "gpus[0].mfu[1].tp",
            "ascending");
}
END_TEST

START_TEST(broken_keys)
{
    refused("gpus.yaml", "    hbm:", "    hbn:", "gpus[0].hbn", "did you mean hbm?");
    refused("gpus.yaml", "{value: 1555 GB/s, evidence: S, source:",
            "{value: 1555 GB/s, evidence: S, origin:", "gpus[0].hbm.origin", "expected a key");
    refused("links.yaml", "links:", "link:", "link", "expected a key");
    refused("disks.yaml", "{value: 3.5 GB/s, evidence: S,", "{value: 3.5 GB/s,", "evidence",
            "missing");
    refused("codecs.yaml", "name: fp16", "name: none", "codecs[1].name", "no earlier entry");
    refused("models.yaml", "layers: {value: 32,", "layers: {value: [32],", "models[0].layers.value",
            "another kind of value");
    refused("redis.yaml", "usable: {", "usable: [", "syntax", "expected");
}
END_TEST

START_TEST(broken_files)
{
    char path[128], error[512];
    struct catalog *c;

    snprintf(path, sizeof path, "%s/disks.yaml", folder);
    /* Empty, cut in the middle, not YAML, not there. */
    static const char *const bad[] = {
        "",           "disks:\n",    "disks:\n  - name: x\n    read: {value: ",
        "\t\x01\xff", "disks: {}\n", "[]\n",
        "disks: []\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        spill("disks.yaml", "", 0, bad[i], "");
        ck_assert_int_lt(catalog_load(&c, folder, error, sizeof error), 0);
        ck_assert_msg(strncmp(error, path, strlen(path)) == 0, "%s", error);
        ck_assert_msg(!strchr(error, '\n'), "%s", error);
        ck_assert_ptr_null(c);
    }
    unlink(path);
    ck_assert_int_lt(catalog_load(&c, folder, error, sizeof error), 0);
    ck_assert_msg(strncmp(error, path, strlen(path)) == 0, "%s", error);
    ck_assert_int_lt(catalog_load(&c, "no/such/folder", error, sizeof error), 0);
}
END_TEST

START_TEST(broken_references)
{
    char error[512];
    struct catalog *c;
    char *text = slurp(SHIPPED "/gpus.yaml"), *at = strstr(text, "host: pcie-gen4");

    ck_assert_ptr_nonnull(at);
    spill("gpus.yaml", text, (size_t)(at - text), "host: pcie-gen9", at + 15);
    ck_assert_int_eq(catalog_load(&c, folder, error, sizeof error), -EINVAL);
    ck_assert_msg(strstr(error, "gpus[0].host: expected a host") != NULL, "%s", error);
    free(text);
}
END_TEST

/* Changes the first `from` of prices.yaml and expects the words in the refusal. */
static void price_refused(const char *from, const char *to, const char *words)
{
    char error[512] = "";
    struct catalog *c = NULL;
    char *text = slurp(SHIPPED "/prices.yaml"), *at = strstr(text, from);

    ck_assert_msg(at != NULL, "no \"%s\"", from);
    spill("prices.yaml", text, (size_t)(at - text), to, at + strlen(from));
    ck_assert_int_eq(catalog_load(&c, folder, error, sizeof error), -EINVAL);
    ck_assert_msg(strstr(error, words) != NULL, "expected \"%s\" in \"%s\"", words, error);
    free(text);
}

START_TEST(broken_prices)
{
    price_refused("    date: 2026-11-09\n", "", "date");
    price_refused("    region: us-east-1\n", "", "region");
    price_refused("kind: gpu", "kind: car", "prices[0].kind: expected one of gpu, redis");
    price_refused("gpu: a100-40g-sxm", "gpu: a100-41g-sxm", "prices[0].gpu: expected a gpu");
    price_refused("    gpu: a100-40g-sxm\n", "", "prices[0].gpu: expected the GPU");
    price_refused("    price: {value: 21.957642 USD/h", "    moved: {value: 0.02 USD/GB",
                  "prices[0].price: expected this price");
    price_refused("    redis_node: cache.r7g.large\n", "", ".redis_node: expected the node");
    price_refused("software: redis", "software: rodis", ".software: expected redis, valkey");
    price_refused("stored: {value: 0.08 USD/GB-month", "stored: {value: 0.08 USD/h", "with unit");
}
END_TEST

/* ---- Profiles -------------------------------------------------------------------------------------- */

static const char profile_text[] =
    "hosts:\n"
    "  - name: local\n"
    "    title: mine\n"
    "    h2d: {value: 9 GB/s, evidence: M, source: measured here}\n"
    "    d2h: {value: 8 GB/s, evidence: M, source: measured here}\n"
    "    node: {value: 10 GB/s, evidence: M, source: measured here}\n"
    "    copy_latency: {value: 7 us, evidence: M, source: measured here}\n"
    "    memcpy: {value: 9 GB/s, evidence: M, source: measured here}\n"
    "links:\n"
    "  - name: mine\n"
    "    title: mine\n"
    "    bandwidth: {value: 3 GB/s, evidence: M, source: measured here}\n"
    "    round_trip: {value: 30 us, evidence: M, source: measured here}\n"
    "    connection: {value: 1 GB/s, evidence: M, source: measured here}\n";

/* Lays text over the catalogue, by way of a file in the folder of broken ones. */
static int overlay(struct catalog *c, const char *text, char *error, size_t error_size)
{
    char path[128];
    spill("disks.yaml", "", 0, text, "");
    snprintf(path, sizeof path, "%s/disks.yaml", folder);
    return catalog_overlay(c, path, error, error_size);
}

START_TEST(profile_replaces_and_adds)
{
    char error[512];
    struct catalog *c;
    ck_assert_int_eq(catalog_load(&c, SHIPPED, error, sizeof error), 0);
    uint32_t hosts = c->hosts.n, links = c->links.n, disks = c->disks.n;
    ck_assert_double_eq(catalog_host(c, "local", error, sizeof error)->staging.number, 0);
    ck_assert_ptr_nonnull(catalog_host(c, "local", error, sizeof error)->staging.text);
    /* Twice: a profile over a profile is as good. */
    for (int i = 0; i < 2; i++) {
        ck_assert_msg(overlay(c, profile_text, error, sizeof error) == 0, "%s", error);
        ck_assert_uint_eq(c->hosts.n, hosts);
        ck_assert_uint_eq(c->links.n, links + 1);
        ck_assert_uint_eq(c->disks.n, disks);
        const struct catalog_host *host = catalog_host(c, "local", error, sizeof error);
        ck_assert_double_eq(host->h2d_bps.number, 9e9);
        ck_assert_ptr_null(host->staging.text); /* an entry is replaced whole */
        ck_assert_ptr_nonnull(catalog_host(c, "pcie-gen4", error, sizeof error));
        ck_assert_double_eq(catalog_link(c, "mine", error, sizeof error)->connection_bps.number,
                            1e9);
    }
    catalog_free(c);
}
END_TEST

START_TEST(profile_refused_changes_nothing)
{
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"", "expected"},
        {"hosts: []\n", "expected"},
        {"gpus:\n  - name: x\n", "gpus: expected a key"},
        {"host:\n  - name: x\n", "did you mean hosts?"},
        {"links:\n  - name: x\n    title: x\n", "bandwidth: expected this key"},
        {"links:\n  - name: x\n    title: x\n"
         "    bandwidth: {value: 3 GB, evidence: M, source: measured here}\n"
         "    round_trip: {value: 30 us, evidence: M, source: measured here}\n"
         "    connection: {value: 1 GB/s, evidence: M, source: measured here}\n",
         "disks.yaml:4: links[0].bandwidth.value: expected"},
    };
    char error[512];
    struct catalog *c;
    ck_assert_int_eq(catalog_load(&c, SHIPPED, error, sizeof error), 0);
    struct catalog before = *c;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_int_lt(overlay(c, bad[i].text, error, sizeof error), 0);
        ck_assert_msg(strstr(error, bad[i].words) != NULL, "\"%s\" has no \"%s\"", error,
                      bad[i].words);
        ck_assert_msg(!strchr(error, '\n'), "%s", error);
        ck_assert_mem_eq(&before, c, sizeof before);
    }
    ck_assert_int_lt(catalog_overlay(c, "no/such/file", error, sizeof error), 0);
    catalog_free(c);
}
END_TEST

/* Names are found in tables of a fixed size: what does not fit is refused. */
START_TEST(profile_too_long)
{
    static char text[256 * 300];
    char error[512];
    struct catalog *c;
    size_t at = (size_t)snprintf(text, sizeof text, "links:\n");
    for (int i = 0; i < 250; i++)
        at += (size_t)snprintf(text + at, sizeof text - at,
                               "  - name: l%d\n    title: x\n"
                               "    bandwidth: {value: 3 GB/s, evidence: M, source: x}\n"
                               "    round_trip: {value: 3 us, evidence: M, source: x}\n"
                               "    connection: {value: 1 GB/s, evidence: M, source: x}\n",
                               i);
    ck_assert_int_eq(catalog_load(&c, SHIPPED, error, sizeof error), 0);
    uint32_t links = c->links.n;
    ck_assert_int_eq(overlay(c, text, error, sizeof error), -EINVAL);
    ck_assert_msg(strstr(error, "links: expected at most 256") != NULL, "%s", error);
    ck_assert_uint_eq(c->links.n, links);
    catalog_free(c);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("catalog_broken");
    TCase *broken = tcase_create("broken");

    tcase_add_checked_fixture(broken, copy_setup, copy_teardown);
    tcase_set_timeout(broken, 30);
    tcase_add_test(broken, broken_values);
    tcase_add_test(broken, broken_keys);
    tcase_add_test(broken, broken_files);
    tcase_add_test(broken, broken_references);
    tcase_add_test(broken, broken_prices);
    tcase_add_test(broken, profile_replaces_and_adds);
    tcase_add_test(broken, profile_refused_changes_nothing);
    tcase_add_test(broken, profile_too_long);
    suite_add_tcase(suite, broken);
    return kvt_test_main(suite);
}
