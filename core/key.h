/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * key.h - the identity of KV blocks.
 *
 * A block's key stands for its tokens and for all tokens before it, because KV depends on both:
 *
 *      key_0 = H(namespace || tokens_0)          key_i = H(key_{i-1} || tokens_i)
 *
 * with H = the leading 128 bits of SHA-256. The namespace is SHA-256 over tenant salt, model epoch
 * and layout, so that two tenants, two weight versions or two page layouts never share a key, and
 * no tenant can craft a collision with another (cf. NVIDIA TensorRT-LLM's note on cache salts:
 * isolation by digest needs a cryptographic digest).
 *
 * A public trace has no tokens, only prefix ids: equal id means equal prefix. Such an id maps into
 * the same key space without hashing: hi = 64 bits of the namespace, lo = a bijection of the id.
 * Within a namespace the map is injective, so it adds no collision; between namespaces it is as
 * strong as 64 bits of SHA-256.
 */
#ifndef KVT_KEY_H
#define KVT_KEY_H

#include "mix.h"
#include "types.h"

/* What keys of one tenant, model and layout have in common. Copy freely. */
struct kvt_namespace {
    unsigned char digest[32];
};

/* Fills *ns from the three names (copied; NULL counts as ""). Lengths are hashed too, so ("ab","c")
 * and ("a","bc") differ. Returns 0, or -EIO when the SHA-256 provider fails. */
KVT_MUST_CHECK int kvt_namespace_init(struct kvt_namespace *ns, const char *tenant_salt,
                                      const char *model_epoch, const char *layout);

/* Its name: what key_0 has in place of a key before it. Not zero, which stands for "not known". */
kvt_key kvt_namespace_key(const struct kvt_namespace *ns);

/* Hashes n_tokens tokens (32-bit little endian) in blocks of block_tokens into the chain keys[],
 * full blocks first and, if with_tail, one key more for the partial block at the end. keys has
 * room for ceil(n_tokens / block_tokens). Returns the number of keys, or -EIO. block_tokens > 0. */
KVT_MUST_CHECK int64_t kvt_key_chain(const struct kvt_namespace *ns, const uint32_t *tokens,
                                     size_t n_tokens, uint32_t block_tokens, bool with_tail,
                                     kvt_key *keys);

/* The key of a trace's prefix id. Injective in id for a given namespace. Cannot fail. */
kvt_key kvt_key_of_id(const struct kvt_namespace *ns, uint64_t id);

/* The key of the same tokens under another epoch of the model, whose namespace is given. For each epoch a
 * bijection, so blocks that are one under the old weights are one under the new ones; between epochs as strong
 * as 128 bits of SHA-256. It stands for hashing the chain anew, of which nothing is kept but the keys. */
kvt_key kvt_key_in_epoch(kvt_key key, const struct kvt_namespace *epoch);

/* Which of n servers a key belongs to, 0 .. n - 1: the same in every world. */
static inline uint32_t kvt_key_server(kvt_key key, uint32_t n)
{
    __extension__ typedef unsigned __int128 wide;
    return (uint32_t)(((wide)kvt_mix64(kvt_mix64(key.lo) ^ key.hi) * n) >> 64);
}

/* Writes 32 hex digits and a NUL. */
void kvt_key_hex(kvt_key key, char hex[33]);

#endif
