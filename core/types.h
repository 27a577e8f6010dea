/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * types.h - the words that every folder shares: time, identity, tiers, status, spans.
 *
 * Units are in the names. A time is `kvt_ns`, nanoseconds since the start of the run; a size ends
 * in `_b` (bytes), a rate in `_bps` (bytes per second, never bits), a length in `_tokens` or
 * `_blocks`. Ids are one-member structs so that an engine cannot be passed where a block is meant.
 */
#ifndef KVT_TYPES_H
#define KVT_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The caller has to look at the result. */
#define KVT_MUST_CHECK __attribute__((warn_unused_result))
/* Called rarely from where every block comes by: the compiler shall not make room for it there. */
#define KVT_NOINLINE __attribute__((noinline))

/* Nanoseconds of the run's own clock (virtual in sim and null, monotonic in real). Lasts 584
 * years. */
typedef uint64_t kvt_ns;
#define KVT_NEVER       UINT64_MAX
#define KVT_SECOND      ((kvt_ns)1000000000)
#define KVT_MILLISECOND ((kvt_ns)1000000)
#define KVT_MICROSECOND ((kvt_ns)1000)

/* Adds a duration to a time; stays at KVT_NEVER instead of wrapping round. */
static inline kvt_ns kvt_ns_add(kvt_ns at, kvt_ns duration)
{
    return at > KVT_NEVER - duration ? KVT_NEVER : at + duration;
}

/* No such index, in every 32-bit index of the project. */
#define KVT_NONE UINT32_MAX

typedef struct {
    uint32_t v;
} kvt_engine_id; /* one serving replica: a group of GPUs that holds one copy of the model */
typedef struct {
    uint32_t v;
} kvt_block_id; /* a KV block known to the block table; dense, reused after the block is forgotten */
typedef struct {
    uint32_t v;
} kvt_op_id; /* an operation under way; dense, reused after it completed */

/* Identity of a KV block and of everything before it: the leading 128 bits of a SHA-256 chain,
 * or an injective map of a trace's prefix id (see key.h). Equal keys mean equal tokens, tenant,
 * model epoch and layout. */
typedef struct {
    uint64_t hi, lo;
} kvt_key;

static inline bool kvt_key_equal(kvt_key a, kvt_key b)
{
    return a.lo == b.lo && a.hi == b.hi;
}

/* Where KV can live, nearest first. */
enum kvt_tier_kind {
    KVT_GPU,   /* paged memory of the engine that runs the request */
    KVT_PEER,  /* another engine's GPU */
    KVT_HOST,  /* main memory of the engine's own node */
    KVT_REDIS, /* shared by all engines */
    KVT_DISK,  /* local to the engine's node */
    KVT_TIERS
};

/* How an operation ended. Each has one next step in core, and none of them is a wrong answer: at
 * worst the prompt is computed. */
enum kvt_status {
    KVT_OK,
    KVT_MISSING, /* the tier does not hold the block */
    KVT_DOWN,    /* the tier, node or engine is not reachable */
    KVT_TIMEOUT, /* no answer before the deadline */
    KVT_CORRUPT, /* an answer that failed its check */
    KVT_BUSY,    /* refused for now */
    KVT_STATUSES
};

/* Where the time of an operation went. Both worlds fill the same spans, so both draw the same
 * waterfall. KVT_SPAN_HASH and KVT_SPAN_WAIT are set by core itself. */
enum kvt_span {
    KVT_SPAN_HASH,        /* arrival to delivery: tokenise and hash */
    KVT_SPAN_WAIT,        /* in the queue for pages or a batch slot, then for a turn in the batch */
    KVT_SPAN_PROBE,       /* asking a tier what it holds */
    KVT_SPAN_QUEUED,      /* in the queue of a server or device before the transfer starts */
    KVT_SPAN_WIRE,        /* bytes on a network, or on the disk's bus */
    KVT_SPAN_DECODE,      /* decompression and widening */
    KVT_SPAN_DESERIALISE, /* parsing and copying on the host */
    KVT_SPAN_COPY,        /* host to device */
    KVT_SPAN_COMPUTE,     /* prefill steps up to the first token */
    KVT_SPANS
};

/* What became of each prompt token. Classes are exclusive and add up to the prompt. */
enum kvt_ledger {
    KVT_HIT_GPU,
    KVT_HIT_PEER,
    KVT_HIT_HOST,
    KVT_HIT_REDIS,
    KVT_HIT_DISK,
    KVT_COMPUTED_COLD,    /* never seen before (or forgotten by the history, see core.h) */
    KVT_COMPUTED_EVICTED, /* was held, gone for want of room; or held by another engine only */
    KVT_COMPUTED_EXPIRED, /* was held, gone by TTL */
    KVT_COMPUTED_LATE,    /* held, but the load turned slower than computing */
    KVT_COMPUTED_CORRUPT, /* held, but failed its check */
    KVT_COMPUTED_SHARD_MISSING, /* held in part */
    KVT_COMPUTED_TIER_DOWN,     /* held by a tier that is not reachable */
    KVT_COMPUTED_CHEAPER,       /* held, but computing was predicted to be faster */
    KVT_COMPUTED_TAIL, /* behind the last full block, or the token that yields the logits */
    KVT_LEDGER
};

/* Short names as used in files and tables: "gpu", "wire", "hit_gpu", ... Never NULL. */
const char *kvt_tier_name(enum kvt_tier_kind tier);
const char *kvt_status_name(enum kvt_status status);
const char *kvt_span_name(enum kvt_span span);
const char *kvt_ledger_name(enum kvt_ledger ledger);

#endif
