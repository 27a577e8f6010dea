/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * types.c - the names of the enums in types.h, as they stand in files and tables.
 *
 * A value beyond the enum still has a name, so that no table prints NULL. For tiers that is "none":
 * the source of a request that no tier served is KVT_TIERS.
 */
#include "types.h"

const char *kvt_tier_name(enum kvt_tier_kind tier)
{
    static const char *const names[KVT_TIERS] = {
        [KVT_GPU] = "gpu",     [KVT_PEER] = "peer", [KVT_HOST] = "host",
        [KVT_REDIS] = "redis", [KVT_DISK] = "disk",
    };
    return (unsigned)tier < KVT_TIERS ? names[tier] : "none";
}

const char *kvt_status_name(enum kvt_status status)
{
    static const char *const names[KVT_STATUSES] = {
        [KVT_OK] = "ok",           [KVT_MISSING] = "missing", [KVT_DOWN] = "down",
        [KVT_TIMEOUT] = "timeout", [KVT_CORRUPT] = "corrupt", [KVT_BUSY] = "busy",
    };
    return (unsigned)status < KVT_STATUSES ? names[status] : "unknown";
}

const char *kvt_span_name(enum kvt_span span)
{
    static const char *const names[KVT_SPANS] = {
        [KVT_SPAN_HASH] = "hash",
        [KVT_SPAN_WAIT] = "wait",
        [KVT_SPAN_PROBE] = "probe",
        [KVT_SPAN_QUEUED] = "queued",
        [KVT_SPAN_WIRE] = "wire",
        [KVT_SPAN_DECODE] = "decode",
        [KVT_SPAN_DESERIALISE] = "deserialise",
        [KVT_SPAN_COPY] = "copy",
        [KVT_SPAN_COMPUTE] = "compute",
    };
    return (unsigned)span < KVT_SPANS ? names[span] : "unknown";
}

const char *kvt_ledger_name(enum kvt_ledger ledger)
{
    static const char *const names[KVT_LEDGER] = {
        [KVT_HIT_GPU] = "hit_gpu",
        [KVT_HIT_PEER] = "hit_peer",
        [KVT_HIT_HOST] = "hit_host",
        [KVT_HIT_REDIS] = "hit_redis",
        [KVT_HIT_DISK] = "hit_disk",
        [KVT_COMPUTED_COLD] = "computed_cold",
        [KVT_COMPUTED_EVICTED] = "computed_evicted",
        [KVT_COMPUTED_EXPIRED] = "computed_expired",
        [KVT_COMPUTED_LATE] = "computed_late",
        [KVT_COMPUTED_CORRUPT] = "computed_corrupt",
        [KVT_COMPUTED_SHARD_MISSING] = "computed_shard_missing",
        [KVT_COMPUTED_TIER_DOWN] = "computed_tier_down",
        [KVT_COMPUTED_CHEAPER] = "computed_cheaper",
        [KVT_COMPUTED_TAIL] = "computed_tail",
    };
    return (unsigned)ledger < KVT_LEDGER ? names[ledger] : "unknown";
}
