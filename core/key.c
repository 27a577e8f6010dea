/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * key.c - see key.h. SHA-256 is OpenSSL's, which uses the processor's SHA instructions where there
 * are any.
 *
 * What goes into the digest, all integers little endian whatever the machine, because keys in a
 * shared tier have to mean the same everywhere:
 *
 *      namespace   8 bytes of length, then the bytes; three times
 *      block 0     32 bytes of namespace digest || 4 bytes per token
 *      block i     the 16 leading bytes of the digest before it || 4 bytes per token
 *
 * A key is those 16 bytes read big endian, so that its hex form is the beginning of the digest's.
 *
 * The low-level SHA256_* calls are deprecated since OpenSSL 3.0 in favour of EVP. They are used
 * nevertheless: their whole state is a struct on the stack, so hashing shares nothing between
 * threads, takes no memory and cannot fail half way, all of which core promises. They are faster,
 * too: 110 ns for a block of 16 tokens, by EVP with algorithm and context kept 148
 * (tests/bench_key.c, AMD EPYC with SHA extensions).
 */
#define OPENSSL_SUPPRESS_DEPRECATED /* see above */

#include "key.h"

#include "mix.h"

#include <errno.h>
#include <openssl/sha.h>
#include <string.h>

enum { KEY_B = 16, TOKEN_B = 4, CHUNK_TOKENS = 128 };

/* Written out, not looped: compilers make one store, and one load with a byte swap, of these. */
static inline void put_le32(unsigned char *to, uint32_t v)
{
    to[0] = (unsigned char)v;
    to[1] = (unsigned char)(v >> 8);
    to[2] = (unsigned char)(v >> 16);
    to[3] = (unsigned char)(v >> 24);
}

static inline uint64_t get_be64(const unsigned char *p)
{
    return (uint64_t)p[0] << 56 | (uint64_t)p[1] << 48 | (uint64_t)p[2] << 40 |
           (uint64_t)p[3] << 32 | (uint64_t)p[4] << 24 | (uint64_t)p[5] << 16 |
           (uint64_t)p[6] << 8 | p[7];
}

static bool add_name(SHA256_CTX *sha, const char *name)
{
    const uint64_t n = name ? strlen(name) : 0;
    unsigned char length[8];
    put_le32(length, (uint32_t)n);
    put_le32(length + 4, (uint32_t)(n >> 32));
    return SHA256_Update(sha, length, sizeof length) && (!n || SHA256_Update(sha, name, n));
}

int kvt_namespace_init(struct kvt_namespace *ns, const char *tenant_salt, const char *model_epoch,
                       const char *layout)
{
    SHA256_CTX sha;
    if (SHA256_Init(&sha) && add_name(&sha, tenant_salt) && add_name(&sha, model_epoch) &&
        add_name(&sha, layout) && SHA256_Final(ns->digest, &sha))
        return 0;
    return -EIO;
}

/* One block. The front of the message and its tokens share a buffer: most blocks are one update. */
static bool hash_block(const unsigned char *front, size_t front_b, const uint32_t *tokens, size_t n,
                       unsigned char digest[SHA256_DIGEST_LENGTH])
{
    unsigned char buffer[SHA256_DIGEST_LENGTH + CHUNK_TOKENS * TOKEN_B];
    SHA256_CTX sha;
    if (!SHA256_Init(&sha))
        return false;
    memcpy(buffer, front, front_b);
    size_t used_b = front_b;
    do {
        const size_t chunk = n < CHUNK_TOKENS ? n : CHUNK_TOKENS;
        for (size_t i = 0; i < chunk; i++)
            put_le32(buffer + used_b + i * TOKEN_B, tokens[i]);
        if (!SHA256_Update(&sha, buffer, used_b + chunk * TOKEN_B))
            return false;
        used_b = 0;
        tokens += chunk;
        n -= chunk;
    } while (n);
    return SHA256_Final(digest, &sha);
}

int64_t kvt_key_chain(const struct kvt_namespace *ns, const uint32_t *tokens, size_t n_tokens,
                      uint32_t block_tokens, bool with_tail, kvt_key *keys)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    memcpy(digest, ns->digest, sizeof digest);
    size_t front_b = sizeof digest; /* the whole namespace before block 0, then a key */
    int64_t n_keys = 0;
    while (n_tokens >= block_tokens || (with_tail && n_tokens)) {
        const size_t n = n_tokens < block_tokens ? n_tokens : block_tokens;
        if (!hash_block(digest, front_b, tokens, n, digest))
            return -EIO;
        keys[n_keys++] = (kvt_key){.hi = get_be64(digest), .lo = get_be64(digest + 8)};
        front_b = KEY_B;
        tokens += n;
        n_tokens -= n;
    }
    return n_keys;
}

kvt_key kvt_namespace_key(const struct kvt_namespace *ns)
{
    kvt_key key = {.hi = get_be64(ns->digest), .lo = get_be64(ns->digest + 8)};
    key.lo += !key.hi && !key.lo;
    return key;
}

/* Adding a constant and mixing are bijections, so distinct ids stay distinct in lo. */
kvt_key kvt_key_of_id(const struct kvt_namespace *ns, uint64_t id)
{
    return (kvt_key){.hi = get_be64(ns->digest), .lo = kvt_mix64(id + get_be64(ns->digest + 8))};
}

kvt_key kvt_key_in_epoch(kvt_key key, const struct kvt_namespace *epoch)
{
    return (kvt_key){.hi = key.hi ^ get_be64(epoch->digest),
                     .lo = key.lo ^ get_be64(epoch->digest + 8)};
}

void kvt_key_hex(kvt_key key, char hex[33])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 16; i++) {
        const int shift = 60 - 4 * i;
        hex[i] = digits[key.hi >> shift & 15];
        hex[16 + i] = digits[key.lo >> shift & 15];
    }
    hex[32] = '\0';
}
