/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * fuzz_record.c - a replayed recording is not trusted: whatever its bytes, core must come through.
 *
 * The first byte picks a small cluster and whether the rest is the recording as it is, or the
 * records inside one whose checksums are right (a fuzzer would never guess those). Where the second byte is
 * 0, which is no kind of record, the third picks more: regions, sharded engines that grow, a policy that is
 * told the future. What the replayer lets through must leave core's invariants whole (kvt_core_check, and core's own
 * assertions), and no memory behind.
 */
#include "core/core.h"
#include "core/replay.h"
#include "failing_alloc.h"
#include "record_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RAW = 128, MOST_B = 1 << 16 };
enum { REGIONS = 1, GROWS = 2, FUTURE = 4, READ_FAR = 8, WRITE_FAR = 16 };

static void add_regions(struct kvt_core_config *c, unsigned more)
{
    c->tiers[KVT_REDIS].present = true;
    c->regions = (struct kvt_regions){.n = 2,
                                      .first = {0, 1, 2},
                                      .read_far = more & READ_FAR,
                                      .write_far = more & WRITE_FAR};
}

/* From two GPUs to four. */
static void add_growth(struct kvt_core_config *c)
{
    const bool bounded = c->gpu_pages != UINT64_MAX;
    c->page_numbers = c->reuse_partial = false;
    c->shard = (struct kvt_shard_config){.policy = kvt_shard_all[0],
                                         .access = KVT_ACCESS_GATHER,
                                         .gpus = 2,
                                         .layers = 4,
                                         .kv_heads = 4,
                                         .block_tokens = c->block_tokens,
                                         .slice_tokens = c->block_tokens,
                                         .replicas = 1,
                                         .recent_blocks = 1};
    c->shard_room = (struct kvt_shard_room){.gpu_b = bounded ? c->gpu_pages * 8 : UINT64_MAX,
                                            .unit_b = 16,
                                            .page_gpu_b = 8};
    c->resize = (struct kvt_resize_config){.gpus = 4,
                                           .gpu_pages = bounded ? 2 * c->gpu_pages : UINT64_MAX,
                                           .gpu_b = c->shard_room.gpu_b,
                                           .page_gpu_b = 8,
                                           .prefill = {1000, 50, 0}};
}

static void add_future(struct kvt_core_config *c)
{
    for (size_t i = 0; kvt_evict_all[i]; i++)
        if (kvt_evict_all[i]->needs_future)
            c->tiers[KVT_GPU].evict = kvt_evict_all[i];
}

static void small_cluster(struct kvt_core_config *c, unsigned pick, unsigned more)
{
    kvt_core_config_init(c);
    c->engines = 2;
    c->page_tokens = 2;
    c->block_tokens = 4;
    c->gpu_pages = pick & 1 ? 40 : UINT64_MAX;
    c->max_batch_tokens = 64;
    c->max_batch_requests = 8;
    c->partial_blocks = pick & 2;
    c->router = (enum kvt_router_kind)(pick >> 2 & 3);
    c->tiers[KVT_HOST].present = pick & 16;
    c->tiers[KVT_REDIS].present = pick & 32;
    c->tiers[KVT_REDIS].probe = pick & 64;
    for (int t = 0; t < KVT_TIERS; t++)
        c->tiers[t].write_through = t != KVT_GPU;
    c->tiers[KVT_HOST].capacity_blocks = 20;
    c->tiers[KVT_REDIS].ttl_ns = 1000000;
    c->match = pick & 1 ? KVT_MATCH_EXACT : KVT_MATCH_CHAIN;
    c->approximate_threshold = 0.5;
    c->approximate_prompts = 3;
    c->count_partial = pick & 2;
    c->reuse_partial = !(pick & 3);
    c->load_choice = KVT_LOAD_ALWAYS;
    c->load_patience = 2;
    c->prefill = (struct kvt_prefill_cost){1000, 100, 0};
    if (more & GROWS)
        add_growth(c);
    else if (more & REGIONS)
        add_regions(c, more);
    if (more & FUTURE)
        add_future(c);
}

static void replay_all(const void *bytes, size_t n, unsigned pick, unsigned more)
{
    struct failing_alloc memory;
    const struct kvt_alloc *alloc = failing_alloc_init(&memory, 0);
    struct kvt_core_config config;
    small_cluster(&config, pick, more);
    struct kvt_replay replay;
    if (kvt_replay_init(&replay, alloc, bytes, n, NULL))
        return;
    const struct kvt_port port = kvt_replay_port(&replay);
    int error;
    struct kvt_core *core = kvt_core_new(&config, &port, alloc, &error);
    if (!core)
        abort();
    while (kvt_replay_step(&replay, core) > 0) {
    }
    char why[200];
    if (!kvt_core_check(core, why, sizeof why))
        abort();
    kvt_core_free(core);
    kvt_replay_release(&replay);
    if (!failing_alloc_clean(&memory))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > MOST_B)
        return 0;
    if (data[0] & RAW) {
        replay_all(data + 1, size - 1, data[0], 0);
    } else {
        struct tape tape = {0};
        const size_t head = size > 2 && data[1] == 0 ? 3 : 1;
        tape_frame(&tape, data + head, size - head, 1 + size / 2);
        replay_all(tape.bytes, tape.n, data[0], head == 3 ? data[2] : 0);
        tape_release(&tape);
    }
    return 0;
}
