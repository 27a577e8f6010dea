/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_record.c - core/record.h and core/replay.h, with a script in core's place: what is recorded is what is
 * replayed, and the format is the one described. test_record_bad.c does what must not work.
 */
#include "kvt_test.h"
#include "record_script.h"

START_TEST(round_trip)
{
    struct tape tape = {0};
    uint64_t fed;
    write_script((uint64_t)_i + 1, INPUTS, MOST_KEYS);
    record_script(&tape);
    ck_assert_uint_gt(tape.writes, 4); /* several chunks */
    core_is.lenient = false;
    ck_assert_int_eq(replay_plain(tape.bytes, tape.n, &fed), 0);
    ck_assert_uint_eq(fed, INPUTS);
    ck_assert_uint_eq(core_is.at, INPUTS);
    tape_release(&tape);
}
END_TEST

START_TEST(empty_recording)
{
    struct tape tape = {0};
    uint64_t fed;
    n_script = 0;
    record_script(&tape);
    ck_assert_uint_eq(tape.n, 8 + 12);
    ck_assert_int_eq(replay_plain(tape.bytes, tape.n, &fed), 0);
    tape_release(&tape);
}
END_TEST

/* The format is a promise: these bytes may only change together with the version. */
START_TEST(format_is_as_described)
{
    /* clang-format off */
    static const unsigned char expected[] = {
        /* request 5 at 1000, arrived 8 before, tenant 2, no session, 300 + 3 tokens, one key */
        1, 0xe8, 0x07, 5, 8, 2, 0, 0xac, 0x02, 3, 1,
        8, 7, 6, 5, 4, 3, 2, 1, 24, 23, 22, 21, 20, 19, 18, 17,
        /* operation 9 was refused: -EAGAIN */
        6, 0, 9, 11,
        /* done: 9, missing, 2 blocks, 128 bytes, 1 ns on the wire */
        2, 1, 9, 1, 2, 0, 0x80, 0x01, 0x10, 1,
        /* timer 2^64 - 1 */
        3, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,
        /* down: redis, no engine; up: host of engine 4 */
        5, 0, 3, 0,
        4, 0, 2, 5,
        /* wording: tokens 7 and 300, letter 65; then request 6 at once, without keys; the same without letters */
        7, 0, 2, 7, 0xac, 0x02, 2, 65,
        1, 0, 1, 0, 0, 1, 2, 0, 0,
        7, 0, 2, 7, 0xac, 0x02, 0,
        1, 0, 1, 0, 0, 1, 2, 0, 0,
        /* root, wording and request 8 */
        9, 0, 8, 7, 6, 5, 4, 3, 2, 1, 24, 23, 22, 21, 20, 19, 18, 17,
        7, 0, 2, 7, 0xac, 0x02, 0,
        1, 0, 1, 0, 0, 1, 2, 0, 0,
        /* request 9, in the background; a block that is gone */
        11, 0, 1, 0, 0, 1, 2, 0, 0,
        12, 0, 1, 8, 7, 6, 5, 4, 3, 2, 1, 24, 23, 22, 21, 20, 19, 18, 17,
    };
    /* clang-format on */
    struct tape tape = {0};
    struct failing_alloc memory;
    struct kvt_record record;
    const struct kvt_sink sink = tape_sink(&tape);
    ck_assert_int_eq(kvt_record_init(&record, failing_alloc_init(&memory, 0), &sink), 0);
    const struct kvt_tap *tap = kvt_record_tap(&record);
    const kvt_key key = {UINT64_C(0x0102030405060708), UINT64_C(0x1112131415161718)};
    const struct kvt_request request = {.id = 5,
                                        .arrive_ns = 992,
                                        .tenant = 2,
                                        .session = KVT_NONE,
                                        .prompt_tokens = 300,
                                        .output_tokens = 3,
                                        .n_keys = 1,
                                        .keys = &key};
    tap->request(tap->self, 1000, &request);
    tap->refused(tap->self, 1000, (kvt_op_id){9}, -EAGAIN);
    struct kvt_done done = {.op = {9}, .status = KVT_MISSING, .blocks_ok = 2, .bytes = 128};
    done.span_ns[KVT_SPAN_WIRE] = 1;
    tap->done(tap->self, 1001, &done);
    tap->timer(tap->self, 1001, UINT64_MAX);
    tap->updown(tap->self, 1001, false, KVT_REDIS, (kvt_engine_id){KVT_NONE});
    tap->updown(tap->self, 1001, true, KVT_HOST, (kvt_engine_id){4});
    const uint32_t tokens[] = {7, 300}, letter = 65;
    struct kvt_request worded = {.id = 6,
                                 .arrive_ns = 1001,
                                 .prompt_tokens = 2,
                                 .tokens = tokens,
                                 .letters = &letter,
                                 .n_letters = 1};
    tap->request(tap->self, 1001, &worded);
    worded.id = 7;
    worded.letters = NULL;
    tap->request(tap->self, 1001, &worded);
    worded.id = 8;
    worded.root = key;
    tap->request(tap->self, 1001, &worded);
    worded.id = 9;
    worded.tokens = NULL;
    worded.background = true;
    tap->request(tap->self, 1001, &worded);
    tap->discard(tap->self, 1001, &key, 1);
    ck_assert_int_eq(kvt_record_finish(&record), 0);
    kvt_record_release(&record);
    struct tape frame = {0};
    tape_frame(&frame, expected, sizeof expected, sizeof expected);
    ck_assert_uint_eq(tape.n, frame.n);
    ck_assert_mem_eq(tape.bytes, frame.bytes, frame.n);
    tape_release(&tape);
    tape_release(&frame);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("record");
    TCase *tcase = tcase_create("record");
    tcase_set_timeout(tcase, 30);
    tcase_add_loop_test(tcase, round_trip, 0, 6);
    tcase_add_test(tcase, empty_recording);
    tcase_add_test(tcase, format_is_as_described);
    suite_add_tcase(suite, tcase);
    return kvt_test_main(suite);
}
