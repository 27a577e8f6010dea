/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_device_cuda.c - the text of backend/device_cuda.c on a runtime made of main memory (fake_cuda.h), two "GPUs" in it,
 * with kernels run by cuda_on_cpu.h.
 *
 * Streams there are as late or as early as they may be, so a wait or an event that is missing shows as wrong bytes. The bounce buffer is
 * tiny, so that everything goes in chunks. Each call of the runtime is made to fail in turn: the device says -EIO,
 * keeps the reason, and leaks neither stream, event nor memory.
 */
#define KVT_CUDA              1
#define BE_CUDA_RUNTIME       "../tests/fake_cuda.h"
#define BE_BOUNCE_B           ((size_t)1000)
#define be_device_cuda_open   fake_device_open
#define be_device_cuda_survey fake_device_survey
#include "../backend/device_cuda.c"

#include "kernels_help.h"
#include "kvt_test.h"

enum { POOLS = 3 };

static struct be_device device;
static char error[200];

static int open_fake(const struct k_geometry *g)
{
    struct be_device_config config = {*g, POOLS};
    cuda_on_cpu.most_x = 2;
    cuda_on_cpu.most_y = 3;
    cuda_on_cpu.most_block = 2;
    error[0] = 0;
    return fake_device_open(&device, &config, error, sizeof(error));
}

static void must_be_clean(void)
{
    MUST(fake.streams == 0 && fake.events == 0);
    for (int i = 0; i < FAKE_ALLOCATIONS; i++)
        MUST(!fake.memory[i].at);
}

static void close_fake(void)
{
    device.ops->free(device.self);
    must_be_clean();
}

/* Up, to a peer, down, and sums of it, against the twins; 0, or what a call returned. */
static int go_round(struct kv_case *c, bool pinned)
{
    uint32_t pool = (uint32_t)dice_below(POOLS), other = (uint32_t)dice_below(POOLS - 1);
    uint32_t to_pages[PAGES_MOST];
    struct k_part to = c->part;
    uint64_t sum = 0, seed = dice_word();
    void *self = device.self, *stage = device.ops->stage_new(self, 2 * c->packed_b);
    unsigned char *up = noise(c->packed_b), *down = noise(c->packed_b);
    unsigned char *from = stage && pinned ? stage : up;
    unsigned char *into = stage && pinned ? (unsigned char *)stage + c->packed_b : down;
    other = other < pool ? other : other + 1;
    draw_pages(&c->g, to_pages, c->g.pages);
    to.pages = to_pages;
    memcpy(from, up, c->packed_b);

    int rc = device.ops->upload(self, pool, &c->part, from);
    rc = rc ? rc : device.ops->download(self, pool, &c->part, into);
    MUST(rc || memcmp(into, up, c->packed_b) == 0);
    rc = rc ? rc : device.ops->checksum(self, pool, &c->part, &sum);
    MUST(rc || sum == k_checksum(up, c->packed_b));
    memset(into, 0, c->packed_b);
    rc = rc ? rc : device.ops->peer(self, pool, &c->part, other, to_pages);
    rc = rc ? rc : device.ops->download(self, other, &to, into);
    MUST(rc || memcmp(into, up, c->packed_b) == 0);
    rc = rc ? rc : device.ops->fill(self, pool, &c->part, seed);
    rc = rc ? rc : device.ops->download(self, pool, &c->part, into);
    k_fill_packed(&c->g, &c->part, seed, up);
    MUST(rc || memcmp(into, up, c->packed_b) == 0);

    device.ops->stage_free(self, stage, 2 * c->packed_b);
    free(up);
    free(down);
    return rc;
}

static void draw_small_case(struct kv_case *c)
{
    do
        draw_case(c);
    while (c->packed_b > 20000);
}

START_TEST(bytes_go_round)
{
    dice_seed((uint64_t)_i);
    for (int round = 0; round < 12; round++) {
        struct kv_case c;
        draw_small_case(&c);
        fake.eager = (unsigned)round % 4;
        ck_assert_int_eq(open_fake(&c.g), 0);
        ck_assert_str_eq(device.title, "main memory x 2");
        for (int i = 0; i < 3; i++)
            ck_assert_int_eq(go_round(&c, i % 2 == 0), 0);
        ck_assert_str_eq(device.ops->failure(device.self), "");
        close_fake();
    }
}
END_TEST

START_TEST(empty_parts_are_nothing)
{
    struct k_geometry g = {2, 1, 4, 4, 2, K_BF16};
    struct k_part none = {NULL, 0, 0, 0, 2};
    uint64_t sum;
    ck_assert_int_eq(open_fake(&g), 0);
    uint64_t calls = fake.calls;
    ck_assert_int_eq(device.ops->upload(device.self, 0, &none, NULL), 0);
    ck_assert_int_eq(device.ops->download(device.self, 0, &none, NULL), 0);
    ck_assert_int_eq(device.ops->fill(device.self, 0, &none, 1), 0);
    ck_assert_int_eq(device.ops->peer(device.self, 0, &none, 1, NULL), 0);
    ck_assert_int_eq(device.ops->checksum(device.self, 0, &none, &sum), 0);
    ck_assert(sum == k_checksum("", 0));
    ck_assert(fake.calls == calls);
    close_fake();
}
END_TEST

/* One call of the runtime after another fails, until all have. */
START_TEST(each_failure_is_told_and_nothing_leaks)
{
    struct kv_case c = {.g = {2, 1, 32, 8, 6, K_BF16}};
    uint64_t opened = 0;
    dice_seed(50);
    draw_pages(&c.g, c.pages, 3);
    c.part = (struct k_part){c.pages, 3, 9, 0, 2}; /* two chunks a layer */
    c.packed_b = k_packed_b(&c.g, 2, 9);
    for (uint64_t n = 1;; n++) {
        fake.calls = 0;
        fake.fail_at = n;
        int rc = open_fake(&c.g);
        if (rc != 0) {
            /* Who cannot be asked whether there is a GPU has none. */
            ck_assert(rc == -EIO || rc == -ENODEV);
            ck_assert(strstr(error, "a made failure"));
            must_be_clean();
            continue;
        }
        opened++;
        cuda_on_cpu.most_x = cuda_on_cpu.most_y = cuda_on_cpu.most_block = 1;
        rc = go_round(&c, n % 2 == 0);
        bool past = fake.calls < n;
        ck_assert(rc == 0 || rc == -EIO);
        ck_assert((rc == 0) == (device.ops->failure(device.self)[0] == 0));
        fake.fail_at = 0;
        if (rc != 0)
            ck_assert_int_eq(go_round(&c, true), 0); /* it goes on */
        close_fake();
        if (past)
            break;
    }
    ck_assert_uint_gt(opened, 50);
}
END_TEST

START_TEST(no_gpu_is_said)
{
    struct k_geometry g = {2, 1, 4, 4, 2, K_BF16};
    char text[100];
    fake_device_survey(text, sizeof(text));
    ck_assert_str_eq(text, "main memory x 2");
    fake.devices = 0;
    ck_assert_int_eq(open_fake(&g), -ENODEV);
    fake_device_survey(text, sizeof(text));
    ck_assert(text[0] && !strstr(text, " x "));
    fake.devices = 1;
    ck_assert_int_eq(open_fake(&g), 0);
    close_fake();
}
END_TEST

/* ---- Threads ---------------------------------------------------------------------------------------------- */

enum { THREADS = 4, THREAD_PAGES = 2 };
static const struct k_geometry shared_geometry = {2, 1, 32, 8, THREADS *THREAD_PAGES, K_BF16};

struct worker {
    pthread_t thread;
    uint32_t index;
    int wrong;
};

static void *work(void *self)
{
    struct worker *w = self;
    const struct k_geometry *g = &shared_geometry;
    uint32_t pages[THREAD_PAGES] = {w->index, w->index + THREADS};
    struct k_part part = {pages, 1, THREAD_PAGES * 8 - 2, 0, g->layers};
    size_t b = k_packed_b(g, part.layers, part.tokens);
    char *up = device.ops->stage_new(device.self, b), *down = device.ops->stage_new(device.self, b);
    for (uint32_t round = 0; round < 6; round++) {
        uint32_t pool = (round + w->index) % POOLS, other = (pool + 1) % POOLS;
        uint64_t sum = 0;
        k_fill_packed(g, &part, round * 100 + w->index, up);
        w->wrong += device.ops->upload(device.self, pool, &part, up) != 0;
        w->wrong += device.ops->peer(device.self, pool, &part, other, pages) != 0;
        w->wrong += device.ops->checksum(device.self, other, &part, &sum) != 0;
        w->wrong += sum != k_checksum(up, b);
        w->wrong += device.ops->download(device.self, other, &part, down) != 0;
        w->wrong += memcmp(up, down, b) != 0;
    }
    device.ops->stage_free(device.self, up, b);
    device.ops->stage_free(device.self, down, b);
    return NULL;
}

START_TEST(threads_do_not_disturb_each_other)
{
    struct worker workers[THREADS] = {0};
    ck_assert_int_eq(open_fake(&shared_geometry), 0);
    for (uint32_t i = 0; i < THREADS; i++) {
        workers[i].index = i;
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
    for (uint32_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(workers[i].wrong, 0);
    close_fake();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("device_cuda");
    TCase *tcase = tcase_create("on main memory");
    tcase_add_loop_test(tcase, bytes_go_round, 0, 3);
    tcase_add_test(tcase, empty_parts_are_nothing);
    tcase_add_test(tcase, each_failure_is_told_and_nothing_leaks);
    tcase_add_test(tcase, no_gpu_is_said);
    tcase_add_test(tcase, threads_do_not_disturb_each_other);
    suite_add_tcase(suite, tcase);
    return kvt_test_main(suite);
}
