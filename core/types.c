/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * types.c - the names of the enums in types.h, as they stand in files and tables.
 */
#include "types.h"

const char *kvt_tier_name(enum kvt_tier_kind tier)
{
    static const char *const names[] = {"gpu", "peer", "host", "redis", "disk"};
    return tier < KVT_TIERS ? names[tier] : "none";
}

const char *kvt_status_name(enum kvt_status status)
{
    static const char *const names[] = {"ok", "missing", "down", "timeout", "corrupt", "busy"};
    return status < KVT_STATUSES ? names[status] : "unknown";
}

const char *kvt_span_name(enum kvt_span span)
{
    static const char *const names[] = {"hash",   "wait",        "probe", "queued", "wire",
                                        "decode", "deserialise", "copy",  "compute"};
    return span < KVT_SPANS ? names[span] : "unknown";
}

const char *kvt_ledger_name(enum kvt_ledger ledger)
{
    static const char *const names[] = {"hit_gpu",
                                        "hit_peer",
                                        "hit_host",
                                        "hit_redis",
                                        "hit_disk",
                                        "computed_cold",
                                        "computed_evicted",
                                        "computed_expired",
                                        "computed_late",
                                        "computed_corrupt",
                                        "computed_shard_missing",
                                        "computed_tier_down",
                                        "computed_cheaper",
                                        "computed_tail"};
    return ledger < KVT_LEDGER ? names[ledger] : "unknown";
}
