/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * bench_key.c - what identity costs: hashing a prompt of 32,768 tokens in blocks of 16, and mapping
 * trace ids.
 *
 * Best of several repeats, beside the same chain through OpenSSL's EVP interface with its algorithm
 * and context kept, which is what key.c could use instead.
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/key.h"

enum { BLOCKS = 2048, BLOCK_TOKENS = 16, REPEATS = 200, IDS = 1 << 20 };

static uint32_t tokens[BLOCKS * BLOCK_TOKENS];
static kvt_key keys[BLOCKS];

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Each returns something of what it computed, so that it is computed. */
static uint64_t chain(const struct kvt_namespace *ns)
{
    const int64_t n = kvt_key_chain(ns, tokens, BLOCKS * BLOCK_TOKENS, BLOCK_TOKENS, false, keys);
    return n < 0 ? 0 : keys[n - 1].lo;
}

static uint64_t chain_by_evp(const struct kvt_namespace *ns)
{
    unsigned char digest[32], message[16 + BLOCK_TOKENS * 4];
    EVP_MD *md = EVP_MD_fetch(NULL, "SHA256", NULL);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    memcpy(digest, ns->digest, sizeof digest);
    for (size_t b = 0; b < BLOCKS; b++) {
        memcpy(message, digest, 16);
        memcpy(message + 16, tokens + b * BLOCK_TOKENS, BLOCK_TOKENS * 4);
        EVP_DigestInit_ex2(context, md, NULL);
        EVP_DigestUpdate(context, message, sizeof message);
        EVP_DigestFinal_ex(context, digest, NULL);
    }
    EVP_MD_CTX_free(context);
    EVP_MD_free(md);
    return digest[0];
}

static uint64_t ids(const struct kvt_namespace *ns)
{
    uint64_t sum = 0;
    for (uint64_t id = 0; id < IDS; id++) {
        const kvt_key key = kvt_key_of_id(ns, id);
        sum += key.lo ^ key.hi;
    }
    return sum;
}

static void measure(const char *what, uint64_t (*run)(const struct kvt_namespace *),
                    const struct kvt_namespace *ns, double items, int repeats)
{
    double best_ns = 1e18;
    uint64_t sum = 0;
    for (int r = 0; r < repeats; r++) {
        const double begin_ns = now_ns();
        sum += run(ns);
        const double took_ns = now_ns() - begin_ns;
        if (took_ns < best_ns)
            best_ns = took_ns;
    }
    printf("{\"bench\": \"key\", \"what\": \"%s\", \"total_ms\": %.3f, \"each_ns\": %.2f, "
           "\"check\": %u}\n",
           what, best_ns / 1e6, best_ns / items, (unsigned)(sum & 255));
}

int main(void)
{
    struct kvt_namespace ns;
    if (kvt_namespace_init(&ns, "tenant", "epoch", "layout"))
        return 1;
    for (uint32_t i = 0; i < BLOCKS * BLOCK_TOKENS; i++)
        tokens[i] = i * UINT32_C(2654435761);
    measure("chain of 2048 blocks of 16 tokens", chain, &ns, BLOCKS, REPEATS);
    measure("the same by EVP", chain_by_evp, &ns, BLOCKS, REPEATS);
    measure("trace id to key", ids, &ns, IDS, REPEATS / 10);
    return 0;
}
