/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_device.c - the device on main memory, through its interface alone: what goes up comes down, goes nowhere else,
 * and several threads do not disturb each other. And what be_device_open refuses.
 */
#include "../backend/device.h"

#include "kernels_help.h"
#include "kvt_test.h"

#include <errno.h>
#include <pthread.h>

static struct be_device device;
static char error[200];

static void open_host(const struct k_geometry *g, uint32_t pools)
{
    struct be_device_config config = {*g, pools};
    ck_assert_int_eq(be_device_open(&device, "host", &config, error, sizeof(error)), 0);
    ck_assert_str_eq(device.ops->name, "host");
    ck_assert_str_eq(device.title, "host memory");
}

/* All of a pool, packed; caller frees. */
static unsigned char *whole_pool(const struct k_geometry *g, uint32_t pool)
{
    uint32_t pages[PAGES_MOST];
    for (uint32_t i = 0; i < g->pages; i++)
        pages[i] = i;
    struct k_part all = {pages, 0, g->pages * g->page_tokens, 0, g->layers};
    unsigned char *packed = noise(k_pool_b(g));
    MUST(device.ops->download(device.self, pool, &all, packed) == 0);
    return packed;
}

static bool pool_is_zero(const struct k_geometry *g, uint32_t pool)
{
    unsigned char *bytes = whole_pool(g, pool);
    size_t n = k_pool_b(g), i = 0;
    while (i < n && bytes[i] == 0)
        i++;
    free(bytes);
    return i == n;
}

START_TEST(what_goes_up_comes_down_and_goes_nowhere_else)
{
    enum { POOLS = 3 };
    dice_seed((uint64_t)_i);
    for (int round = 0; round < 60; round++) {
        struct kv_case c;
        draw_case(&c);
        open_host(&c.g, POOLS);
        uint32_t pool = (uint32_t)dice_below(POOLS);
        unsigned char *up = noise(c.packed_b), *down = noise(c.packed_b);
        MUST(device.ops->upload(device.self, pool, &c.part, up) == 0);
        MUST(device.ops->download(device.self, pool, &c.part, down) == 0);
        MUST(memcmp(up, down, c.packed_b) == 0);
        uint64_t sum;
        MUST(device.ops->checksum(device.self, pool, &c.part, &sum) == 0);
        MUST(sum == k_checksum(up, c.packed_b));
        /* Pools begin as zeroes here, so whatever is not zero was written. */
        unsigned char *want = calloc(1, c.pool_b);
        MUST(want);
        size_t at = 0;
        for (uint32_t p = 0; p < 2 * c.part.layers; p++)
            for (uint32_t t = 0; t < c.part.tokens; t++, at += k_row_b(&c.g))
                memcpy(want + pool_row(&c, p, t), up + at, k_row_b(&c.g));
        unsigned char *got = whole_pool(&c.g, pool);
        MUST(memcmp(got, want, c.pool_b) == 0); /* all pages in order: packed is as the pool */
        for (uint32_t other = 0; other < POOLS; other++)
            MUST(other == pool || pool_is_zero(&c.g, other));
        free(up);
        free(down);
        free(want);
        free(got);
        device.ops->free(device.self);
    }
}
END_TEST

START_TEST(content_travels_from_peer_to_peer)
{
    dice_seed(100 + (uint64_t)_i);
    for (int round = 0; round < 60; round++) {
        struct kv_case c;
        uint32_t to_pages[PAGES_MOST];
        draw_case(&c);
        open_host(&c.g, 2);
        draw_pages(&c.g, to_pages, c.g.pages);
        struct k_part to = c.part;
        to.pages = to_pages;
        unsigned char *want = noise(c.packed_b), *got = noise(c.packed_b);
        MUST(device.ops->fill(device.self, 0, &c.part, 77) == 0);
        MUST(device.ops->peer(device.self, 0, &c.part, 1, to_pages) == 0);
        MUST(device.ops->download(device.self, 1, &to, got) == 0);
        k_fill_packed(&c.g, &c.part, 77, want);
        MUST(memcmp(got, want, c.packed_b) == 0);
        free(want);
        free(got);
        device.ops->free(device.self);
    }
}
END_TEST

/* ---- Threads -------------------------------------------------------------------------------------------- */

enum { THREADS = 4, THREAD_PAGES = 6, ROUNDS = 40 };
static const struct k_geometry shared_geometry = {3, 2, 32, 16, THREADS *THREAD_PAGES, K_BF16};

struct worker {
    pthread_t thread;
    uint32_t index;
    int wrong;
};

/* Works on pages of its own, in both pools, by every call there is. */
static void *work(void *self)
{
    struct worker *w = self;
    const struct k_geometry *g = &shared_geometry;
    uint32_t pages[THREAD_PAGES];
    for (uint32_t i = 0; i < THREAD_PAGES; i++)
        pages[i] = i * THREADS + w->index;
    struct k_part part = {pages, 3, THREAD_PAGES * 16 - 5, 0, g->layers};
    size_t b = k_packed_b(g, part.layers, part.tokens);
    char *up = device.ops->stage_new(device.self, b), *down = device.ops->stage_new(device.self, b);
    if (!up || !down) {
        w->wrong = 1000;
        return NULL;
    }
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint64_t seed = round * 100 + w->index, sum = 0;
        uint32_t pool = round % 2;
        k_fill_packed(g, &part, seed, up);
        w->wrong += device.ops->upload(device.self, pool, &part, up) != 0;
        w->wrong += device.ops->peer(device.self, pool, &part, 1 - pool, pages) != 0;
        w->wrong += device.ops->download(device.self, 1 - pool, &part, down) != 0;
        w->wrong += memcmp(up, down, b) != 0;
        w->wrong += device.ops->fill(device.self, pool, &part, seed + 1) != 0;
        w->wrong += device.ops->checksum(device.self, pool, &part, &sum) != 0;
        k_fill_packed(g, &part, seed + 1, up);
        w->wrong += sum != k_checksum(up, b);
    }
    device.ops->stage_free(device.self, up, b);
    device.ops->stage_free(device.self, down, b);
    return NULL;
}

START_TEST(threads_do_not_disturb_each_other)
{
    struct worker workers[THREADS] = {0};
    open_host(&shared_geometry, 2);
    for (uint32_t i = 0; i < THREADS; i++) {
        workers[i].index = i;
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
    for (uint32_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(workers[i].wrong, 0);
    device.ops->free(device.self);
}
END_TEST

/* ---- Opening -------------------------------------------------------------------------------------------- */

static const struct k_geometry small = {2, 2, 8, 16, 4, K_BF16};

static int open_with(const char *name, struct k_geometry g, uint32_t pools)
{
    struct be_device_config config = {g, pools};
    error[0] = 0;
    int rc = be_device_open(&device, name, &config, error, sizeof(error));
    if (rc == 0)
        device.ops->free(device.self);
    else
        ck_assert(error[0] != 0 && !strchr(error, '\n'));
    return rc;
}

START_TEST(what_makes_no_sense_is_refused)
{
    struct k_geometry g = small;
    ck_assert_int_eq(open_with("host", small, 1), 0);
    ck_assert_int_eq(open_with("gpu", small, 1), -EINVAL);
    ck_assert_int_eq(open_with("", small, 1), -EINVAL);
    ck_assert_int_eq(open_with("host", small, 0), -EINVAL);
    ck_assert_int_eq(open_with("host", small, UINT32_MAX), -EINVAL);
    uint32_t *const numbers[] = {&g.layers, &g.heads, &g.head_dim, &g.page_tokens, &g.pages};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        g = small;
        *numbers[i] = 0;
        ck_assert_int_eq(open_with("host", g, 1), -EINVAL);
        for (int bit = 0; bit < 32; bit++) { /* refused, or it fits */
            *numbers[i] = 1u << bit;
            int rc = open_with("host", g, 1);
            ck_assert(rc == 0 || rc == -EINVAL || rc == -ENOMEM);
        }
        *numbers[i] = UINT32_MAX;
        ck_assert_int_ne(open_with("host", g, 1), -EIO);
    }
    g = (struct k_geometry){UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, K_FP32};
    ck_assert_int_eq(open_with("auto", g, 1), -EINVAL);
    g = small;
    g.dtype = K_DTYPES;
    ck_assert_int_eq(open_with("host", g, 1), -EINVAL);
}
END_TEST

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
/* 64 TiB are more than there is, and less than may be reserved: nothing is taken until it is written. */
START_TEST(pools_may_be_larger_than_memory)
{
    struct k_geometry g = {64, 8, 128, 16, 1u << 20, K_BF16};
    struct be_device_config config = {g, 2};
    int rc = be_device_open(&device, "host", &config, error, sizeof(error));
    if (rc == -ENOMEM) {
        kvt_test_skip("this machine limits address space");
        return;
    }
    ck_assert_int_eq(rc, 0);
    uint32_t page = g.pages - 1;
    struct k_part part = {&page, 0, 16, 63, 1};
    uint64_t sum, want;
    static unsigned char packed[2 * 16 * 2048];
    ck_assert_int_eq(device.ops->fill(device.self, 1, &part, 5), 0);
    ck_assert_int_eq(device.ops->checksum(device.self, 1, &part, &sum), 0);
    k_fill_packed(&g, &part, 5, packed);
    want = k_checksum(packed, sizeof(packed));
    ck_assert(sum == want);
    device.ops->free(device.self);

    config.pools = 4000; /* beyond the address space: refused, and what was mapped is given back */
    ck_assert_int_eq(be_device_open(&device, "host", &config, error, sizeof(error)), -ENOMEM);
    ck_assert(strstr(error, "no room"));
}
END_TEST
#endif

START_TEST(a_build_without_cuda_says_so)
{
    char text[300];
    be_device_survey(text, sizeof(text));
    ck_assert(strstr(text, "host") && strstr(text, "cuda: "));
#ifndef KVT_CUDA
    ck_assert(strstr(text, "not in this build"));
    ck_assert_int_eq(open_with("cuda", small, 1), -ENODEV);
    ck_assert(strstr(error, "not in this build"));
#endif
    ck_assert_int_eq(open_with("auto", small, 1), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("device");
    TCase *tcase = tcase_create("host");
    tcase_add_loop_test(tcase, what_goes_up_comes_down_and_goes_nowhere_else, 0, 2);
    tcase_add_loop_test(tcase, content_travels_from_peer_to_peer, 0, 2);
    tcase_add_test(tcase, threads_do_not_disturb_each_other);
    tcase_add_test(tcase, what_makes_no_sense_is_refused);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    tcase_add_test(tcase, pools_may_be_larger_than_memory);
#endif
    tcase_add_test(tcase, a_build_without_cuda_says_so);
    suite_add_tcase(suite, tcase);
    return kvt_test_main(suite);
}
