/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * replay.h - feeds a recording (record.h) to a core again: same configuration, same inputs, hence
 * the same decisions, byte for byte.
 *
 * The port that goes with it is mute: it accepts every operation that was accepted then, refuses
 * those that were refused, completes nothing and arms nothing. All that happens comes from the
 * recording:
 *
 *      kvt_replay_init(&replay, ...);
 *      port = kvt_replay_port(&replay);
 *      core = kvt_core_new(&config, &port, ...);
 *      while ((status = kvt_replay_step(&replay, core)) > 0)
 *          ;                                   0: all of it; compare digests
 *
 * A recording is not trusted. A chunk's checksum is held before a byte of it is used; lengths,
 * times and enums are checked; and because the mute port knows what core asked for, a completion
 * must be one of an operation under way, of the right kind, and not larger or longer than that. So
 * what is cut, damaged or forged, and what belongs to another configuration, ends with -EBADMSG and
 * never enters core. (Another configuration may also replay without complaint, and differ in its
 * digest.)
 */
#ifndef KVT_REPLAY_H
#define KVT_REPLAY_H

#include "alloc.h"
#include "observer.h"

struct kvt_replay_op;

struct kvt_replay {
    /* private: */
    const struct kvt_alloc *alloc;
    const struct kvt_observer *observer;
    const unsigned char *at, *end;     /* unread records of the chunk at hand */
    const unsigned char *rest, *limit; /* the chunks behind it */
    uint64_t n_chunks, n_inputs;
    bool ended; /* the last chunk was reached */
    kvt_ns now;
    uint64_t id;
    struct {
        bool due;
        uint32_t op;
        int error;
    } refusal;                 /* the next operation to refuse */
    struct kvt_replay_op *ops; /* by op id: what is under way */
    uint32_t n_ops;
    kvt_key *keys; /* of the request at hand */
    uint32_t n_keys;
    struct kvt_replay_words {
        uint32_t *words, room, n;
        bool there;
    } tokens, letters; /* likewise; tokens.there: the next record is the request */
    struct {
        uint64_t *next;
        uint32_t room, n;
        bool there;
    } future;        /* likewise */
    kvt_key root;    /* likewise */
    uint32_t region; /* likewise */
    int error;
};

/* Opens the recording in bytes[size_b] (borrowed until release; a large one may be a mapped file).
 * observer (may be NULL) is borrowed and gets core's notes. 0, -EBADMSG when it is none, -ENOTSUP
 * when it has another version. Takes no memory yet. */
KVT_MUST_CHECK int kvt_replay_init(struct kvt_replay *replay, const struct kvt_alloc *alloc,
                                   const void *bytes, size_t size_b,
                                   const struct kvt_observer *observer);
void kvt_replay_release(struct kvt_replay *replay);

/* The mute port: build the core on it. */
struct kvt_port kvt_replay_port(struct kvt_replay *replay);

/* Feeds one input. Returns 1, or 0 when there is none left, -EBADMSG (see above), -ENOMEM. An error
 * is final. */
KVT_MUST_CHECK int kvt_replay_step(struct kvt_replay *replay, struct kvt_core *core);

/* Inputs fed so far, and the time of the last: where a damaged recording went wrong. */
static inline uint64_t kvt_replay_inputs(const struct kvt_replay *replay)
{
    return replay->n_inputs;
}
static inline kvt_ns kvt_replay_now(const struct kvt_replay *replay)
{
    return replay->now;
}

#endif
