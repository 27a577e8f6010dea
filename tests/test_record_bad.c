/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_record_bad.c - recordings that must not work: cut and damaged ones, forged ones whose checksums are right; a full
 * disk, no memory. Made with the script of record_script.h.
 */
#include "kvt_test.h"
#include "record_script.h"

/* Each damaged recording stands in a block of its own size, so that a sanitizer sees a read beyond
 * it. */
static int replay_copy(const unsigned char *bytes, size_t n, uint64_t *fed)
{
    unsigned char *copy = malloc(n + !n);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes, n);
    const int status = replay_plain(copy, n, fed);
    free(copy);
    return status;
}

START_TEST(cut_anywhere)
{
    struct tape tape = {0};
    uint64_t fed;
    write_script(5, 60, 50);
    record_script(&tape);
    core_is.lenient = true;
    for (size_t n = 0; n < tape.n; n++)
        MUST(replay_copy(tape.bytes, n, &fed) == -EBADMSG);
    unsigned char *longer = malloc(tape.n + 1);
    memcpy(longer, tape.bytes, tape.n);
    longer[tape.n] = 0;
    ck_assert_int_eq(replay_copy(longer, tape.n + 1, &fed), -EBADMSG);
    free(longer);
    tape_release(&tape);
}
END_TEST

START_TEST(cut_a_long_one)
{
    struct tape tape = {0};
    uint64_t fed;
    write_script(6, INPUTS, MOST_KEYS);
    record_script(&tape);
    core_is.lenient = true;
    for (int i = 0; i < 200; i++)
        MUST(replay_copy(tape.bytes, dice_below(tape.n), &fed) == -EBADMSG && fed < INPUTS);
    tape_release(&tape);
}
END_TEST

START_TEST(any_bit_flipped)
{
    struct tape tape = {0};
    uint64_t fed;
    write_script(7, 40, 20);
    record_script(&tape);
    core_is.lenient = true;
    for (size_t bit = 0; bit < tape.n * 8; bit++) {
        tape.bytes[bit / 8] ^= (unsigned char)(1u << (bit % 8));
        const int status = replay_copy(tape.bytes, tape.n, &fed);
        const bool version = bit / 8 == 6 || bit / 8 == 7;
        MUST(status == (version ? -ENOTSUP : -EBADMSG));
        tape.bytes[bit / 8] ^= (unsigned char)(1u << (bit % 8));
    }
    tape_release(&tape);
}
END_TEST

/* Chunks that are sound each, but swapped, missing or doubled. */
START_TEST(chunks_out_of_order)
{
    struct tape tape = {0}, other = {0};
    uint64_t fed;
    write_script(8, 40, 20);
    record_script(&tape);
    const size_t n = tape.n - 8 - 24, part = n / 3 + 1; /* its one chunk, cut in three again */
    const unsigned char *records = tape.bytes + 8 + 12;
    tape_frame(&other, records, n, part);
    core_is.lenient = false;
    ck_assert_int_eq(replay_copy(other.bytes, other.n, &fed), 0);
    core_is.lenient = true;
    unsigned char *b = malloc(other.n + part + 12);
    memcpy(b, other.bytes, other.n);
    memcpy(b + 8, other.bytes + 8 + 12 + part, 12 + part);
    memcpy(b + 8 + 12 + part, other.bytes + 8, 12 + part);
    ck_assert_int_eq(replay_copy(b, other.n, &fed), -EBADMSG);
    ck_assert_uint_eq(fed, 0);
    memcpy(b, other.bytes, 8 + 12 + part);
    memcpy(b + 8 + 12 + part, other.bytes + 8 + 2 * (12 + part), other.n - 8 - 2 * (12 + part));
    ck_assert_int_eq(replay_copy(b, other.n - 12 - part, &fed), -EBADMSG);
    memcpy(b, other.bytes, 8 + 12 + part);
    memcpy(b + 8 + 12 + part, other.bytes + 8, other.n - 8);
    ck_assert_int_eq(replay_copy(b, other.n + 12 + part, &fed), -EBADMSG);
    free(b);
    tape_release(&tape);
    tape_release(&other);
}
END_TEST

/* A chunk has a largest size, so that a reader may keep one. */
START_TEST(chunk_too_large)
{
    static unsigned char timers[3 * (KVT_RECORD_CHUNK_B / 3 + 1)];
    uint64_t fed;
    memset(script, 0, sizeof script);
    for (n_script = 0; n_script < INPUTS; n_script++)
        script[n_script].kind = TIMER;
    for (size_t i = 0; i < sizeof timers; i += 3)
        timers[i] = KVT_RECORD_TIMER;
    core_is.lenient = true;
    struct tape tape = {0};
    tape_frame(&tape, timers, sizeof timers, sizeof timers);
    ck_assert_int_eq(replay_copy(tape.bytes, tape.n, &fed), -EBADMSG);
    ck_assert_uint_eq(fed, 0);
    tape_release(&tape);
}
END_TEST

static int replay_records(const unsigned char *records, size_t n)
{
    struct tape tape = {0};
    uint64_t fed;
    tape_frame(&tape, records, n, n + 1);
    const int status = replay_copy(tape.bytes, tape.n, &fed);
    tape_release(&tape);
    return status;
}

#define REFUSE(...)                                                                                \
    do {                                                                                           \
        const unsigned char records[] = {__VA_ARGS__};                                             \
        core_is.at = 0;                                                                            \
        ck_assert_int_eq(replay_records(records, sizeof records), -EBADMSG);                       \
    } while (0)

/* Recordings whose checksums are right. Input 0 of the script is a timer that makes core ask for a
 * transfer of 3 blocks, number 0, and a step of 3 iterations, number 1, at time 5. */
START_TEST(forged)
{
    memset(script, 0, sizeof script);
    n_script = 2;
    script[0] = (struct input){.kind = TIMER,
                               .now = 5,
                               .n_ops = 2,
                               .ops = {{.op = 0, .most = 3}, {1, 3, true, 0}}};
    core_is.lenient = true;
#define BEGIN 3, 5, 0
    const unsigned char good[] = {BEGIN};
    ck_assert_int_eq(replay_records(good, sizeof good), 0);
    REFUSE(0, 0); /* no such record */
    REFUSE(8, 0);
    REFUSE(BEGIN, 7, 0, 0, 0);                               /* wording: no tokens */
    REFUSE(BEGIN, 7, 0, 9, 1, 1);                            /* fewer than it says */
    REFUSE(BEGIN, 7, 0, 0xff, 0xff, 0xff, 0xff, 15, 1, 1);   /* far fewer */
    REFUSE(BEGIN, 7, 0, 1, 1, 9, 1);                         /* fewer letters */
    REFUSE(BEGIN, 7, 0, 1, 1, 0);                            /* of nothing */
    REFUSE(BEGIN, 7, 0, 1, 1, 0, 3, 0, 0);                   /* of no request */
    REFUSE(BEGIN, 7, 0, 1, 1, 0, 7, 0, 1, 1, 0);             /* twice */
    REFUSE(BEGIN, 7, 0, 1, 1, 0, 1, 0, 1, 0, 0, 0, 2, 1, 0); /* of a longer prompt */
#define KEY 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8
    REFUSE(BEGIN, 9, 0, KEY);                            /* root: of nothing */
    REFUSE(BEGIN, 9, 0, 1, 2, 3);                        /* cut */
    REFUSE(BEGIN, 9, 0, KEY, 1, 0, 1, 0, 0, 0, 1, 1, 0); /* of a request without tokens */
    REFUSE(BEGIN, 9, 0, KEY, 9, 0, KEY, 7, 0, 1, 1, 0);  /* twice */
    REFUSE(BEGIN, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 1, 1, 0); /* none */
    REFUSE(BEGIN, 2, 0, 2, 0, 0, 0, 0, 0);             /* done: never asked for */
    REFUSE(BEGIN, 2, 0, 0xff, 0xff, 3, 0, 0, 0, 0, 0); /* beyond the table */
    REFUSE(BEGIN, 2, 0, 0, 6, 0, 0, 0, 0);             /* no such status */
    REFUSE(BEGIN, 2, 0, 0, 0, 4, 0, 0, 0);             /* more blocks than asked for */
    REFUSE(BEGIN, 2, 0, 1, 0, 0, 4, 0, 0);             /* more iterations */
    REFUSE(BEGIN, 2, 0, 1, 0, 0, 0, 0, 0);             /* fewer than one */
    REFUSE(BEGIN, 2, 9, 0, 0, 3, 0, 0, 3, 5, 5);       /* spans longer than the operation */
    REFUSE(BEGIN, 2, 9, 0, 0, 3, 0, 0, 0x80, 4);       /* no such span */
    REFUSE(BEGIN, 4, 0, 5, 0);                         /* no such tier */
    REFUSE(BEGIN, 6, 0, 2, 11);                        /* refused: never asked for */
    REFUSE(BEGIN, 6, 0, 0, 0);                         /* no error */
    REFUSE(BEGIN, 6, 1, 0, 11);                        /* at another time */
    REFUSE(6, 0, 0, 11);                               /* before any input */
    REFUSE(BEGIN, 1, 0, 1, 6, 0, 0, 1, 1, 0);          /* request: arrives before the run */
    REFUSE(BEGIN, 1, 0, 1, 0, 0, 0, 1, 1, 1);          /* fewer keys than it says */
    REFUSE(BEGIN, 1, 0, 1, 0, 0, 0, 1, 1, 0xff, 0xff, 0xff, 0xff, 15); /* far fewer */
    REFUSE(BEGIN, 1, 0, 1, 0, 0xff, 0xff, 0xff, 0xff, 31, 0, 1, 1, 0); /* a tenant of 33 bits */
    REFUSE(BEGIN, 3, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2); /* of 65 */
    REFUSE(BEGIN, 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0); /* beyond time */
    script[1] = (struct input){.kind = DONE, .now = 14, .done = {.op = {0}, .blocks_ok = 3}};
    const unsigned char done[] = {BEGIN, 2, 9, 0, 0, 3, 0, 0, 0};
    ck_assert_int_eq(replay_records(done, sizeof done), 0);
    REFUSE(BEGIN, 2, 9, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0); /* done twice */
    script[1] = (struct input){.kind = REQUEST,
                               .now = 5,
                               .request = {.id = 1, .arrive_ns = 5, .session = KVT_NONE}};
    const unsigned char request[] = {BEGIN, 1, 0, 1, 0, 0, 0, 0, 0, 0};
    ck_assert_int_eq(replay_records(request, sizeof request), 0);
    core_is.request_error = -EINVAL; /* core would never have seen it */
    ck_assert_int_eq(replay_records(request, sizeof request), -EBADMSG);
    core_is.request_error = -ENOMEM;
    ck_assert_int_eq(replay_records(request, sizeof request), -ENOMEM);
    core_is.request_error = 0;
}
END_TEST

START_TEST(disk_is_full)
{
    write_script(9, INPUTS, MOST_KEYS);
    for (uint64_t n = 1;; n++) {
        struct tape tape = {.fail_at = n};
        struct failing_alloc memory;
        struct kvt_record record;
        const struct kvt_sink sink = tape_sink(&tape);
        int error = kvt_record_init(&record, failing_alloc_init(&memory, 0), &sink);
        ck_assert_int_eq(error, n == 1 ? -ENOSPC : 0);
        if (!error) {
            for (uint32_t i = 0; i < n_script; i++)
                speak(kvt_record_tap(&record), &script[i]);
            error = kvt_record_finish(&record);
            kvt_record_release(&record);
        }
        ck_assert(failing_alloc_clean(&memory));
        const bool failed = tape.writes >= n;
        ck_assert_int_eq(error, failed ? -ENOSPC : 0);
        ck_assert_uint_le(tape.writes, n); /* not tried again */
        tape_release(&tape);
        if (!failed)
            break;
    }
}
END_TEST

START_TEST(memory_fails)
{
    struct tape tape = {0};
    struct failing_alloc memory;
    struct kvt_record record;
    const struct kvt_sink sink = tape_sink(&tape);
    ck_assert_int_eq(kvt_record_init(&record, failing_alloc_init(&memory, 1), &sink), -ENOMEM);
    ck_assert_uint_eq(tape.writes, 0);
    write_script(10, INPUTS, MOST_KEYS);
    record_script(&tape);
    core_is.lenient = true;
    for (uint64_t n = 1;; n++) {
        uint64_t fed;
        failing_alloc_init(&memory, n);
        const int status = replay(tape.bytes, tape.n, &memory, &fed);
        if (memory.gets < n) {
            ck_assert_int_eq(status, 0);
            ck_assert_uint_gt(n, 5);
            break;
        }
        ck_assert_int_eq(status, -ENOMEM);
    }
    tape_release(&tape);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("record, bad");
    TCase *tcase = tcase_create("record, bad");
    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, cut_anywhere);
    tcase_add_test(tcase, cut_a_long_one);
    tcase_add_test(tcase, any_bit_flipped);
    tcase_add_test(tcase, chunks_out_of_order);
    tcase_add_test(tcase, chunk_too_large);
    tcase_add_test(tcase, forged);
    tcase_add_test(tcase, disk_is_full);
    tcase_add_test(tcase, memory_fails);
    suite_add_tcase(suite, tcase);
    return kvt_test_main(suite);
}
