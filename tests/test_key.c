/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_key.c - core/key.h against SHA-256 computed another way, and the promises of its header.
 *
 * The reference is EVP_Digest (key.c uses the other interface of OpenSSL) over messages put
 * together here by the drawing in key.h. The vector of the empty namespace was computed with
 * coreutils:
 *
 *      head -c 24 /dev/zero | sha256sum
 */
#include "core/key.h"

#include <openssl/evp.h>
#include <string.h>

#include "dice.h"

enum { MOST_TOKENS = 3000 };

static void sha256(const void *bytes, size_t n, unsigned char digest[32])
{
    MUST(EVP_Digest(bytes, n, digest, NULL, EVP_sha256(), NULL) == 1);
}

static uint64_t big_endian(const unsigned char *from)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v = v << 8 | from[i];
    return v;
}

static size_t put_number(unsigned char *to, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (unsigned char)(v >> (8 * i));
    return n;
}

static struct kvt_namespace namespace_of(const char *salt, const char *epoch, const char *layout)
{
    struct kvt_namespace ns;
    MUST(kvt_namespace_init(&ns, salt, epoch, layout) == 0);
    return ns;
}

static bool same_namespace(struct kvt_namespace a, struct kvt_namespace b)
{
    return memcmp(a.digest, b.digest, sizeof a.digest) == 0;
}

/* Key i of the chain, from nothing but the header's formula. */
static kvt_key reference_key(const struct kvt_namespace *ns, const uint32_t *tokens,
                             size_t n_tokens, size_t block_tokens, size_t i)
{
    static unsigned char message[32 + MOST_TOKENS * 4];
    unsigned char digest[32];
    size_t n = 32;
    memcpy(message, ns->digest, 32);
    for (size_t block = 0; block <= i; block++) {
        for (size_t t = block * block_tokens; t < n_tokens && t < (block + 1) * block_tokens; t++)
            n += put_number(message + n, tokens[t], 4);
        sha256(message, n, digest);
        memcpy(message, digest, n = 16);
    }
    return (kvt_key){.hi = big_endian(digest), .lo = big_endian(digest + 8)};
}

START_TEST(namespace_vectors)
{
    unsigned char message[64], digest[32];
    size_t n = put_number(message, 4, 8);
    memcpy(message + n, "acme", 4);
    n += 4;
    n += put_number(message + n, 2, 8);
    memcpy(message + n, "v1", 2);
    n += 2;
    n += put_number(message + n, 0, 8);
    sha256(message, n, digest);
    const struct kvt_namespace ns = namespace_of("acme", "v1", NULL);
    ck_assert_mem_eq(ns.digest, digest, 32);
    const struct kvt_namespace none = namespace_of(NULL, NULL, NULL);
    static const unsigned char zeroes24[32] = {0x9d, 0x90, 0x8e, 0xcf, 0xb6, 0xb2, 0x56, 0xde,
                                               0xf8, 0xb4, 0x9a, 0x7c, 0x50, 0x4e, 0x6c, 0x88,
                                               0x9c, 0x4b, 0x0e, 0x41, 0xfe, 0x6c, 0xe3, 0xe0,
                                               0x18, 0x63, 0xdd, 0x7b, 0x61, 0xa2, 0x0a, 0xa0};
    ck_assert_mem_eq(none.digest, zeroes24, 32);
}
END_TEST

START_TEST(namespaces_differ)
{
    const struct kvt_namespace all[] = {
        namespace_of("", "", ""),     namespace_of("ab", "c", ""),  namespace_of("a", "bc", ""),
        namespace_of("", "ab", "c"),  namespace_of("abc", "", ""),  namespace_of("", "", "abc"),
        namespace_of("", "abc", ""),  namespace_of("ab", "c", "d"), namespace_of("a", "b", "cd"),
        namespace_of("a", "bcd", ""),
    };
    const size_t n = sizeof all / sizeof *all;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            ck_assert(same_namespace(all[i], all[j]) == (i == j));
    ck_assert(same_namespace(namespace_of(NULL, "x", NULL), namespace_of("", "x", "")));
}
END_TEST

START_TEST(chains_equal_the_formula)
{
    dice_seed((uint64_t)_i + 1);
    static uint32_t tokens[MOST_TOKENS];
    static kvt_key keys[MOST_TOKENS];
    static const uint32_t sizes[] = {1, 2, 16, 31, 127, 128, 129, 256, 512, 2999, 3000, 4000};
    const struct kvt_namespace ns = namespace_of("tenant", "epoch", "layout");
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        const uint32_t block = sizes[s];
        const size_t n = block < 16 ? dice_below(60) : dice_below(MOST_TOKENS + 1);
        const bool with_tail = dice_one_in(2);
        for (size_t t = 0; t < n; t++)
            tokens[t] = (uint32_t)dice_word();
        const size_t full = n / block, expected = full + (with_tail && n % block);
        memset(keys, 0xee, sizeof keys);
        MUST(kvt_key_chain(&ns, tokens, n, block, with_tail, keys) == (int64_t)expected);
        for (size_t i = 0; i < expected; i += 1 + expected / 40) /* the reference is quadratic */
            MUST(kvt_key_equal(keys[i], reference_key(&ns, tokens, n, block, i)));
        for (size_t i = expected; i < MOST_TOKENS; i++)
            MUST(keys[i].lo == UINT64_C(0xeeeeeeeeeeeeeeee)); /* nothing behind the last */
    }
}
END_TEST

START_TEST(prefixes_share_keys_up_to_the_difference)
{
    dice_seed(7);
    enum { TOKENS = 160, BLOCK = 16, BLOCKS = TOKENS / BLOCK };
    uint32_t a[TOKENS], b[TOKENS];
    kvt_key ka[BLOCKS], kb[BLOCKS];
    const struct kvt_namespace ns = namespace_of("t", "m", "l");
    for (int t = 0; t < TOKENS; t++)
        a[t] = (uint32_t)dice_below(50000);
    ck_assert_int_eq(kvt_key_chain(&ns, a, TOKENS, BLOCK, false, ka), BLOCKS);
    for (int t = 0; t < TOKENS; t++) {
        memcpy(b, a, sizeof a);
        b[t] ^= UINT32_C(1) << dice_below(32);
        ck_assert_int_eq(kvt_key_chain(&ns, b, TOKENS, BLOCK, false, kb), BLOCKS);
        for (int i = 0; i < BLOCKS; i++)
            ck_assert(kvt_key_equal(ka[i], kb[i]) == (i < t / BLOCK));
    }
}
END_TEST

START_TEST(tails)
{
    enum { BLOCK = 16 };
    uint32_t tokens[2 * BLOCK] = {0};
    kvt_key full[2], part[3];
    const struct kvt_namespace ns = namespace_of("t", "m", "l");
    ck_assert_int_eq(kvt_key_chain(&ns, tokens, 0, BLOCK, true, part), 0);
    ck_assert_int_eq(kvt_key_chain(&ns, tokens, BLOCK - 1, BLOCK, false, part), 0);
    ck_assert_int_eq(kvt_key_chain(&ns, tokens, 2 * BLOCK, BLOCK, true, full), 2);
    /* all tokens are 0, so only their number tells tails apart */
    for (size_t n = 1; n < BLOCK; n++) {
        ck_assert_int_eq(kvt_key_chain(&ns, tokens, BLOCK + n, BLOCK, true, part), 2);
        ck_assert(kvt_key_equal(part[0], full[0]));
        ck_assert(!kvt_key_equal(part[1], full[1]));
        kvt_key shorter[2];
        ck_assert_int_eq(kvt_key_chain(&ns, tokens, BLOCK + n - 1, BLOCK, true, shorter),
                         n == 1 ? 1 : 2);
        ck_assert(n == 1 || !kvt_key_equal(part[1], shorter[1]));
    }
}
END_TEST

START_TEST(namespaces_separate_chains_and_ids)
{
    uint32_t tokens[16] = {1, 2, 3};
    kvt_key a, b;
    const struct kvt_namespace x = namespace_of("x", "m", "l"), y = namespace_of("y", "m", "l");
    ck_assert_int_eq(kvt_key_chain(&x, tokens, 16, 16, false, &a), 1);
    ck_assert_int_eq(kvt_key_chain(&y, tokens, 16, 16, false, &b), 1);
    ck_assert(!kvt_key_equal(a, b));
    for (uint64_t id = 0; id < 1000; id++) {
        ck_assert(!kvt_key_equal(kvt_key_of_id(&x, id), kvt_key_of_id(&y, id)));
        ck_assert(kvt_key_equal(kvt_key_of_id(&x, id), kvt_key_of_id(&x, id)));
    }
}
END_TEST

static int by_low(const void *a, const void *b)
{
    const kvt_key *x = a, *y = b;
    return x->lo < y->lo ? -1 : x->lo > y->lo;
}

/* Injective on ids in sequence, on powers of two and on random ones; and well mixed: tables take
 * their bits from lo ^ hi, so every bit of it should be set about half of the time even for ids in
 * sequence. */
START_TEST(ids_are_injective_and_mixed)
{
    enum { N = 200000 };
    dice_seed(11);
    kvt_key *keys = malloc(N * sizeof *keys);
    ck_assert_ptr_nonnull(keys);
    const struct kvt_namespace ns = namespace_of("t", "m", "l");
    uint64_t set[64] = {0};
    for (uint64_t i = 0; i < N; i++) {
        keys[i] = kvt_key_of_id(&ns, i < N / 2        ? i
                                     : i < N / 2 + 44 ? UINT64_C(1) << (i - N / 2 + 20)
                                                      : dice_word() | 1ull << 63);
        ck_assert(keys[i].hi == keys[0].hi);
        for (int b = 0; b < 64 && i < N / 2; b++)
            set[b] += (keys[i].lo ^ keys[i].hi) >> b & 1;
    }
    for (int b = 0; b < 64; b++) /* six standard deviations of N/2 fair coins */
        ck_assert(abs((int)set[b] - N / 4) < 6 * 158);
    qsort(keys, N, sizeof *keys, by_low);
    for (size_t i = 1; i < N; i++)
        MUST(keys[i].lo != keys[i - 1].lo); /* the random ids are distinct for this seed */
    free(keys);
}
END_TEST

START_TEST(hex)
{
    char text[33];
    kvt_key_hex((kvt_key){UINT64_C(0x0123456789abcdef), 0xf}, text);
    ck_assert_str_eq(text, "0123456789abcdef000000000000000f");
}
END_TEST

START_TEST(names)
{
    for (int i = 0; i < KVT_TIERS; i++)
        ck_assert_ptr_nonnull(kvt_tier_name((enum kvt_tier_kind)i));
    for (int i = 0; i < KVT_STATUSES; i++)
        ck_assert_ptr_nonnull(kvt_status_name((enum kvt_status)i));
    for (int i = 0; i < KVT_SPANS; i++)
        ck_assert_ptr_nonnull(kvt_span_name((enum kvt_span)i));
    for (int i = 0; i < KVT_LEDGER; i++)
        ck_assert_ptr_nonnull(kvt_ledger_name((enum kvt_ledger)i));
    ck_assert_str_eq(kvt_tier_name(KVT_REDIS), "redis");
    ck_assert_str_eq(kvt_tier_name(KVT_TIERS), "none");
    ck_assert_str_eq(kvt_status_name(KVT_STATUSES), "unknown");
    ck_assert_str_eq(kvt_span_name(KVT_SPAN_COMPUTE), "compute");
    ck_assert_str_eq(kvt_ledger_name(KVT_COMPUTED_TAIL), "computed_tail");
    ck_assert_str_eq(kvt_ledger_name(KVT_LEDGER), "unknown");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("key");
    TCase *tcase = tcase_create("key");
    tcase_add_test(tcase, namespace_vectors);
    tcase_add_test(tcase, namespaces_differ);
    tcase_add_loop_test(tcase, chains_equal_the_formula, 0, 10);
    tcase_add_test(tcase, prefixes_share_keys_up_to_the_difference);
    tcase_add_test(tcase, tails);
    tcase_add_test(tcase, namespaces_separate_chains_and_ids);
    tcase_add_test(tcase, ids_are_injective_and_mixed);
    tcase_add_test(tcase, hex);
    tcase_add_test(tcase, names);
    suite_add_tcase(suite, tcase);
    return kvt_test_main(suite);
}
