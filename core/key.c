/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * key.c - see key.h. SHA-256 is OpenSSL's, which uses the processor's SHA instructions where there are any. The
 * algorithm is fetched once per chain and its context reused for every block: the one-shot calls fetch it anew each
 * time, which costs more than hashing a block of 16 tokens.
 *
 * Tokens are hashed as 32-bit little-endian words whatever the machine's order, so that keys written to a shared
 * tier mean the same everywhere.
 */
#include "key.h"

#include "mix.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

enum { DIGEST_B = 32, KEY_B = 16, WORDS = 256 };

struct hasher {
    EVP_MD *algorithm;
    EVP_MD_CTX *context;
};

static void hasher_release(struct hasher *h)
{
    EVP_MD_CTX_free(h->context);
    EVP_MD_free(h->algorithm);
}

static bool hasher_init(struct hasher *h)
{
    h->algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
    h->context = EVP_MD_CTX_new();
    if (h->algorithm && h->context)
        return true;
    hasher_release(h);
    return false;
}

static bool begin(struct hasher *h)
{
    return EVP_DigestInit_ex2(h->context, h->algorithm, NULL) == 1;
}

static bool add(struct hasher *h, const void *bytes, size_t n)
{
    return EVP_DigestUpdate(h->context, bytes, n) == 1;
}

static bool end(struct hasher *h, unsigned char digest[DIGEST_B])
{
    return EVP_DigestFinal_ex(h->context, digest, NULL) == 1;
}

static void put32(unsigned char *to, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        to[i] = (unsigned char)(v >> (8 * i));
}

static uint64_t get64(const unsigned char *from)
{
    uint64_t v = 0;
    for (int i = 7; i >= 0; i--)
        v = v << 8 | from[i];
    return v;
}

static bool add_name(struct hasher *h, const char *name)
{
    unsigned char length[4];
    const size_t n = name ? strlen(name) : 0;
    put32(length, (uint32_t)n);
    return add(h, length, sizeof length) && (!n || add(h, name, n));
}

int kvt_namespace_init(struct kvt_namespace *ns, const char *tenant_salt, const char *model_epoch,
                       const char *layout)
{
    struct hasher h;
    if (!hasher_init(&h))
        return -EIO;
    const bool good = begin(&h) && add_name(&h, tenant_salt) && add_name(&h, model_epoch) &&
                      add_name(&h, layout) && end(&h, ns->digest);
    hasher_release(&h);
    return good ? 0 : -EIO;
}

static bool add_tokens(struct hasher *h, const uint32_t *tokens, size_t n)
{
    unsigned char bytes[WORDS * 4];
    while (n) {
        const size_t now = n < WORDS ? n : WORDS;
        for (size_t i = 0; i < now; i++)
            put32(bytes + 4 * i, tokens[i]);
        if (!add(h, bytes, now * 4))
            return false;
        tokens += now;
        n -= now;
    }
    return true;
}

int64_t kvt_key_chain(const struct kvt_namespace *ns, const uint32_t *tokens, size_t n_tokens,
                      uint32_t block_tokens, bool with_tail, kvt_key *keys)
{
    struct hasher h;
    if (!hasher_init(&h))
        return -EIO;
    unsigned char digest[DIGEST_B];
    memcpy(digest, ns->digest, DIGEST_B);
    size_t before_b =
        DIGEST_B; /* the whole namespace goes in front of the first block, then keys */
    int64_t n_keys = 0;
    bool good = true;
    while (good && n_tokens && (n_tokens >= block_tokens || with_tail)) {
        const size_t n = n_tokens < block_tokens ? n_tokens : block_tokens;
        good =
            begin(&h) && add(&h, digest, before_b) && add_tokens(&h, tokens, n) && end(&h, digest);
        keys[n_keys++] = (kvt_key){.hi = get64(digest), .lo = get64(digest + 8)};
        before_b = KEY_B;
        tokens += n;
        n_tokens -= n;
    }
    hasher_release(&h);
    return good ? n_keys : -EIO;
}

/* mix64 is a bijection and so is adding a constant: distinct ids stay distinct in lo, and hi is the namespace's. */
kvt_key kvt_key_of_id(const struct kvt_namespace *ns, uint64_t id)
{
    return (kvt_key){.hi = get64(ns->digest), .lo = kvt_mix64(id + get64(ns->digest + 8))};
}

void kvt_key_hex(kvt_key key, char hex[33])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 16; i++) {
        hex[i] = digits[key.hi >> (60 - 4 * i) & 15];
        hex[16 + i] = digits[key.lo >> (60 - 4 * i) & 15];
    }
    hex[32] = '\0';
}
