/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_value.c - stored values: the bytes of FORMAT.md, both layouts there and back, and every way in which a value
 * can be another one than its key says.
 *
 * What is read always lies in an allocation that ends with it, at an odd address.
 */
#include "../backend/value.h"
#include "codec_help.h"

#include <errno.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static const kvt_key key = {UINT64_C(0xa3f72c1e00112233), UINT64_C(0x445566778899aabb)};

static struct be_format format_with(const char *chain)
{
    return (struct be_format){
        .epoch = UINT64_C(0x1122334455667788),
        .geometry = {.layers = 5,
                     .heads = 2,
                     .head_dim = 16,
                     .page_tokens = 4,
                     .pages = 0,
                     .dtype = K_BF16},
        .shards = 2,
        .piece_layers = 2,
        .codec = chain_named(chain),
    };
}

/* A value and all that it takes to read it. */
struct made {
    struct be_format f;
    struct be_piece p;
    unsigned char *raw, *value, *back, *scratch;
    size_t raw_b, value_b;
};

static struct made make(const char *chain, uint32_t tokens, uint32_t piece)
{
    struct made m = {.f = format_with(chain)};
    m.p = be_piece_at(&m.f, key, tokens, piece);
    const struct be_shape shape = be_piece_shape(&m.f, &m.p);
    m.raw_b = be_shape_raw_b(&shape);
    m.raw = malloc(m.raw_b);
    m.back = malloc(m.raw_b);
    m.value = malloc(be_value_bound(&m.f, tokens));
    m.scratch = malloc(be_value_scratch_b(&m.f, tokens) + 1);
    MUST(m.raw && m.back && m.value && m.scratch);
    fill_kv(&shape, m.raw);
    MUST(be_value_write(&m.f, &m.p, m.raw, m.value, be_value_bound(&m.f, tokens), &m.value_b,
                        m.scratch) == 0);
    return m;
}

static void unmake(struct made *m)
{
    free(m->raw);
    free(m->value);
    free(m->back);
    free(m->scratch);
}

/* Reads n bytes as the value of m's format and piece. */
static enum kvt_status read_as(const struct made *m, const struct be_format *f,
                               const struct be_piece *p, const void *bytes, size_t n,
                               const char **why)
{
    struct room r = room_of(n);
    const void *payload = NULL;
    memcpy(r.at, bytes, n);
    const enum kvt_status status = be_value_read(f, p, r.at, n, m->back, m->scratch, &payload, why);
    if (status == KVT_OK && payload != m->back) {
        MUST((const unsigned char *)payload == r.at + BE_HEAD_B);
        memcpy(m->back, payload, m->raw_b);
    }
    free(r.memory);
    return status;
}

static void sign(unsigned char *value, size_t n)
{
    memset(value + 8, 0, 8);
    const uint64_t sum = XXH3_64bits(value, n);
    for (int i = 0; i < 8; i++)
        value[8 + i] = (unsigned char)(sum >> 8 * i);
}

/* ---- Keys and pieces -------------------------------------------------------------------------------- */

START_TEST(keys_of_both_layouts)
{
    const struct be_format f = format_with("none");
    struct be_piece p = be_piece_at(&f, key, 16, 2);
    char name[BE_NAME_B];
    ck_assert_uint_eq(be_piece_name(&p, NULL, name), strlen(name));
    ck_assert_str_eq(name, "kv:a3f72c1e00112233445566778899aabb:0:4-4");
    p = be_piece_at(&f, key, 16, 3);
    be_piece_name(&p, NULL, name);
    ck_assert_str_eq(name, "kv:a3f72c1e00112233445566778899aabb:1:0-1");
    p.layers = 1;
    be_piece_name(&p, "meta", name);
    ck_assert_str_eq(name, "kv:a3f72c1e00112233445566778899aabb:0:meta.1");
    p.shard = 0;
    p.layer0 = 31;
    be_piece_name(&p, "v", name);
    ck_assert_str_eq(name, "kv:a3f72c1e00112233445566778899aabb:31:v");
    p.shard = p.layer0 = UINT32_MAX - 1;
    ck_assert_uint_lt(be_piece_name(&p, NULL, name), BE_NAME_B);
}
END_TEST

START_TEST(pieces_cover_each_layer_of_each_shard_once)
{
    struct be_format f = format_with("none");
    for (f.piece_layers = 1; f.piece_layers <= 7; f.piece_layers++) {
        int seen[2][5] = {{0}};
        for (uint32_t i = 0; i < be_pieces(&f); i++) {
            const struct be_piece p = be_piece_at(&f, key, 16, i);
            for (uint32_t l = p.layer0; l < p.layer0 + p.layers; l++)
                seen[p.shard][l]++;
        }
        for (int s = 0; s < 2; s++)
            for (int l = 0; l < 5; l++)
                ck_assert_int_eq(seen[s][l], 1);
    }
    /* 16 tokens of one layer: 2 * 16 * 2 * 16 * 2 bytes. */
    ck_assert_uint_eq(be_piece_layers(&f.geometry, 16, 2048), 1);
    ck_assert_uint_eq(be_piece_layers(&f.geometry, 16, 6143), 2);
    ck_assert_uint_eq(be_piece_layers(&f.geometry, 16, 6144), 3);
    ck_assert_uint_eq(be_piece_layers(&f.geometry, 16, 1), 1);
    ck_assert_uint_eq(be_piece_layers(&f.geometry, 16, 1 << 30), 5);
}
END_TEST

/* ---- The document ----------------------------------------------------------------------------------- */

/* The example of FORMAT.md: one layer of two, one head of two channels, one token. */
static const struct be_format example_format = {
    .epoch = UINT64_C(0x0123456789abcdef),
    .geometry = {.layers = 2, .heads = 1, .head_dim = 2, .page_tokens = 16, .dtype = K_BF16},
    .shards = 1,
    .piece_layers = 1,
};
static const unsigned char example_raw[8] = {0x80, 0x3f, 0x00, 0x40, 0x00, 0xbf, 0x00, 0x00};

/* Bytes of the lines "0000  4b 56 ..." of FORMAT.md. */
static size_t document_bytes(unsigned char *bytes, size_t room)
{
    FILE *file = fopen("backend/FORMAT.md", "r");
    char line[400];
    size_t n = 0;
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof line, file)) {
        unsigned offset, byte;
        int at = 0, used;
        if (sscanf(line, "%4x  %n", &offset, &at) != 1 || at != 6 || offset != n)
            continue;
        while (sscanf(line + at, "%2x%n", &byte, &used) == 1 && used == 2 && n < room) {
            bytes[n++] = (unsigned char)byte;
            at += used + 1;
        }
    }
    fclose(file);
    return n;
}

START_TEST(the_document_shows_the_bytes)
{
    const struct be_piece p = be_piece_at(&example_format, key, 1, 1);
    unsigned char value[128], document[128];
    size_t value_b;
    ck_assert_int_eq(be_value_write(&example_format, &p, example_raw, value, sizeof value, &value_b,
                                    NULL),
                     0);
    const size_t n = document_bytes(document, sizeof document);
    char hex[3 * sizeof value + 1] = "";
    for (size_t i = 0; i < value_b; i++)
        snprintf(hex + 3 * i, 4, "%02x ", value[i]);
    ck_assert_msg(n == value_b && memcmp(document, value, n) == 0, "expected in FORMAT.md: %s",
                  hex);
}
END_TEST

START_TEST(the_document_shows_a_meta_value)
{
    const struct be_piece p = be_piece_at(&example_format, key, 1, 1);
    unsigned char room[BE_META_B + 8];
    struct be_layer layer;
    char line[1000];
    bool found = false;
    ck_assert_int_eq(be_layer_write(&example_format, &p, example_raw, room, sizeof room, &layer,
                                    NULL),
                     0);
    FILE *file = fopen("backend/FORMAT.md", "r");
    ck_assert_ptr_nonnull(file);
    while (!found && fgets(line, sizeof line, file))
        found = strlen(line) > layer.meta_b && memcmp(line, layer.meta, layer.meta_b) == 0;
    fclose(file);
    ck_assert_msg(found, "expected in FORMAT.md: %.*s", (int)layer.meta_b, layer.meta);
}
END_TEST

/* ---- There and back --------------------------------------------------------------------------------- */

START_TEST(every_chain_and_piece_comes_back)
{
    dice_seed((uint64_t)_i);
    for (uint32_t i = 0; i < 6; i++)
        for (uint32_t tokens = 1; tokens <= 16; tokens += 5) {
            struct made m = make(some_chains[_i], tokens, i);
            const char *why = NULL;
            struct be_head head;
            ck_assert_uint_le(m.value_b, be_value_bound(&m.f, tokens));
            ck_assert_int_eq(read_as(&m, &m.f, &m.p, m.value, m.value_b, &why), KVT_OK);
            if (m.f.codec.narrow == BE_NARROW_NONE)
                ck_assert_mem_eq(m.raw, m.back, m.raw_b);
            ck_assert_int_eq(be_head_read(&head, m.value, m.value_b, &why), 0);
            ck_assert(kvt_key_equal(head.piece.key, key));
            const struct be_format f = be_head_format(&head);
            ck_assert_int_eq(read_as(&m, &f, &head.piece, m.value, m.value_b, &why), KVT_OK);
            unmake(&m);
        }
}
END_TEST

START_TEST(what_a_codec_cannot_shrink_is_kept)
{
    struct made m = make("zstd-1", 16, 0);
    const char *why;
    dice_seed(3);
    for (size_t i = 0; i < m.raw_b; i++)
        m.raw[i] = (unsigned char)dice_word();
    ck_assert_int_eq(be_value_write(&m.f, &m.p, m.raw, m.value, be_value_bound(&m.f, 16),
                                    &m.value_b, m.scratch),
                     0);
    ck_assert_uint_eq(m.value_b, BE_HEAD_B + m.raw_b);
    ck_assert_int_eq(read_as(&m, &m.f, &m.p, m.value, m.value_b, &why), KVT_OK);
    ck_assert_mem_eq(m.raw, m.back, m.raw_b);
    /* int8 refuses a NaN; an int4 reader takes the uncoded value as well. */
    m.f.codec = chain_named("int8");
    put_float_at(K_BF16, m.raw, 5, NAN);
    ck_assert_int_eq(be_value_write(&m.f, &m.p, m.raw, m.value, be_value_bound(&m.f, 16),
                                    &m.value_b, m.scratch),
                     0);
    m.f.codec = chain_named("int4");
    ck_assert_int_eq(read_as(&m, &m.f, &m.p, m.value, m.value_b, &why), KVT_OK);
    ck_assert_mem_eq(m.raw, m.back, m.raw_b);
    unmake(&m);
}
END_TEST

START_TEST(raw_bytes_may_wait_where_they_will_stay)
{
    struct made m = make("none", 16, 1), n = make("none", 16, 1);
    memcpy(n.value + BE_HEAD_B, m.raw, m.raw_b);
    ck_assert_int_eq(be_value_write(&n.f, &n.p, n.value + BE_HEAD_B, n.value,
                                    be_value_bound(&n.f, 16), &n.value_b, NULL),
                     0);
    ck_assert_uint_eq(n.value_b, m.value_b);
    ck_assert_mem_eq(n.value, m.value, m.value_b);
    unmake(&m);
    unmake(&n);
}
END_TEST

START_TEST(short_room_is_an_error)
{
    struct made m = make("zstd-1", 3, 0);
    for (size_t room = 0; room < m.value_b; room++) {
        struct room r = room_of(room);
        size_t n;
        ck_assert_int_eq(be_value_write(&m.f, &m.p, m.raw, r.at, room, &n, m.scratch), -ENOSPC);
        free(r.memory);
    }
    const struct be_piece none = {.key = key, .tokens = 0, .layers = 1};
    size_t n;
    ck_assert_int_eq(be_value_write(&m.f, &none, m.raw, m.value, m.value_b, &n, m.scratch),
                     -EINVAL);
    unmake(&m);
}
END_TEST

/* ---- Damage ----------------------------------------------------------------------------------------- */

START_TEST(every_cut_and_every_bit_is_noticed)
{
    dice_seed((uint64_t)_i);
    struct made m = make(some_chains[_i], 5, 2);
    const char *why = NULL;
    for (size_t n = 0; n < m.value_b; n++) {
        MUST(read_as(&m, &m.f, &m.p, m.value, n, &why) == KVT_CORRUPT);
        MUST(why && *why);
    }
    m.value = realloc(m.value, m.value_b + 1);
    MUST(m.value);
    m.value[m.value_b] = 0;
    MUST(read_as(&m, &m.f, &m.p, m.value, m.value_b + 1, &why) == KVT_CORRUPT);
    const size_t all = 8 * m.value_b;
    for (size_t bit = 0; bit < all; bit += bit < 8 * BE_HEAD_B ? 1 : 1 + dice_below(5)) {
        m.value[bit / 8] ^= (unsigned char)(1U << bit % 8);
        MUST(read_as(&m, &m.f, &m.p, m.value, m.value_b, &why) == KVT_CORRUPT);
        m.value[bit / 8] ^= (unsigned char)(1U << bit % 8);
    }
    MUST(read_as(&m, &m.f, &m.p, m.value, m.value_b, &why) == KVT_OK);
    unmake(&m);
}
END_TEST

/* Any byte of the head with any value, and a checksum that agrees. */
START_TEST(signed_lies_are_noticed)
{
    struct made m = make(_i ? "int8,zstd-1" : "none", 5, 2);
    unsigned char *lie = malloc(m.value_b);
    const char *why = NULL;
    MUST(lie);
    for (size_t at = 0; at < BE_HEAD_B; at++)
        for (int byte = 0; byte < 256; byte++) {
            if (byte == m.value[at] || (at >= 8 && at < 16)) /* the checksum itself */
                continue;
            memcpy(lie, m.value, m.value_b);
            lie[at] = (unsigned char)byte;
            sign(lie, m.value_b);
            if (read_as(&m, &m.f, &m.p, lie, m.value_b, &why) != KVT_CORRUPT)
                ck_abort_msg("byte %zu as %d", at, byte);
        }
    free(lie);
    unmake(&m);
}
END_TEST

/* Whole fields of a signed head at their extremes: shapes whose products overflow, lengths beyond everything. */
START_TEST(huge_numbers_are_noticed)
{
    static const uint64_t extremes[] = {
        0, 1, UINT32_MAX, INT32_MAX, UINT64_MAX, UINT64_C(1) << 30, UINT64_C(1) << 31};
    struct made m = make("int4,lz4", 5, 2);
    unsigned char *lie = malloc(m.value_b);
    const char *why = NULL;
    dice_seed((uint64_t)_i);
    MUST(lie);
    for (int round = 0; round < 20000; round++) {
        struct be_head head;
        memcpy(lie, m.value, m.value_b);
        for (uint64_t fields = 1 + dice_below(4); fields > 0; fields--) {
            const size_t at = 32 + 4 * dice_below(16);
            const uint64_t x = extremes[dice_below(7)];
            for (int i = 0; i < (at >= 80 && at % 8 == 0 ? 8 : 4); i++)
                lie[at + (size_t)i] = (unsigned char)(x >> 8 * i);
        }
        if (memcmp(lie + 16, m.value + 16, BE_HEAD_B - 16) == 0)
            continue;
        sign(lie, m.value_b);
        MUST(read_as(&m, &m.f, &m.p, lie, m.value_b, &why) == KVT_CORRUPT);
        if (be_head_read(&head, lie, m.value_b, &why) == 0)
            MUST(head.raw_b <= BE_RAW_MOST_B && head.payload_b == m.value_b - BE_HEAD_B);
    }
    free(lie);
    unmake(&m);
}
END_TEST

START_TEST(the_value_of_another_key_is_noticed)
{
    struct made m = make("zstd-1", 5, 0);
    const char *why = NULL;
    struct be_piece p;
    struct be_format f;
#define NOTICED(change, word)                                                                      \
    do {                                                                                           \
        p = m.p;                                                                                   \
        f = m.f;                                                                                   \
        change;                                                                                    \
        ck_assert_int_eq(read_as(&m, &f, &p, m.value, m.value_b, &why), KVT_CORRUPT);              \
        ck_assert_str_eq(why, word);                                                               \
    } while (0)
    NOTICED(p.key.hi++, "key");
    NOTICED(p.key.lo--, "key");
    NOTICED(f.epoch++, "epoch");
    NOTICED(p.tokens--, "tokens");
    NOTICED(p.shard = 1, "shard");
    NOTICED(f.shards = 3, "shard");
    NOTICED(p.layer0 = 2, "layers");
    NOTICED(p.layers = 1, "layers");
    NOTICED(p.parts = BE_V_ONLY, "layers");
    NOTICED(f.geometry.layers = 6, "geometry");
    NOTICED((f.geometry.heads = 4, f.geometry.head_dim = 8), "geometry");
    NOTICED(f.geometry.dtype = K_FP16, "geometry");
    NOTICED(f.codec = chain_named("zstd-2"), "codec");
#undef NOTICED
    unmake(&m);
}
END_TEST

START_TEST(swapped_pieces_are_noticed)
{
    for (uint32_t i = 0; i < 6; i++)
        for (uint32_t k = 0; k < 6; k++) {
            struct made m = make("none", 5, i), n = make("none", 5, k);
            const char *why;
            const enum kvt_status status = read_as(&m, &m.f, &m.p, n.value, n.value_b, &why);
            ck_assert_int_eq(status, i == k ? KVT_OK : KVT_CORRUPT);
            unmake(&m);
            unmake(&n);
        }
}
END_TEST

/* ---- Layout per-layer ------------------------------------------------------------------------------- */

struct trio {
    struct be_format f;
    struct be_piece p;
    struct be_layer layer;
    unsigned char *raw, *back, *room, *scratch;
    size_t raw_b;
};

static struct trio make_trio(const char *chain, uint32_t layer)
{
    struct trio t = {.f = format_with(chain)};
    t.f.piece_layers = 1;
    t.p = be_piece_at(&t.f, key, 7, layer);
    const struct be_shape shape = be_piece_shape(&t.f, &t.p);
    const size_t room_b = be_layer_bound(&t.f, 7);
    t.raw_b = be_shape_raw_b(&shape);
    t.raw = malloc(t.raw_b);
    t.back = malloc(t.raw_b);
    t.room = malloc(room_b);
    t.scratch = malloc(be_value_scratch_b(&t.f, 7) + 1);
    MUST(t.raw && t.back && t.room && t.scratch);
    fill_kv(&shape, t.raw);
    MUST(be_layer_write(&t.f, &t.p, t.raw, t.room, room_b, &t.layer, t.scratch) == 0);
    return t;
}

static void unmake_trio(struct trio *t)
{
    free(t->raw);
    free(t->back);
    free(t->room);
    free(t->scratch);
}

static enum kvt_status read_trio(const struct trio *t, struct be_layer layer, const char **why)
{
    struct room k = room_of(layer.k_b), v = room_of(layer.v_b), meta = room_of(layer.meta_b);
    memcpy(k.at, layer.k, layer.k_b);
    memcpy(v.at, layer.v, layer.v_b);
    memcpy(meta.at, layer.meta, layer.meta_b);
    layer.k = k.at;
    layer.v = v.at;
    layer.meta = (const char *)meta.at;
    const enum kvt_status status = be_layer_read(&t->f, &t->p, &layer, t->back, t->scratch, why);
    free(k.memory);
    free(v.memory);
    free(meta.memory);
    return status;
}

START_TEST(layers_come_back)
{
    dice_seed((uint64_t)_i);
    for (uint32_t layer = 0; layer < 10; layer++) {
        struct trio t = make_trio(some_chains[_i], layer);
        struct be_head k, v;
        const char *why = NULL;
        ck_assert_int_eq(read_trio(&t, t.layer, &why), KVT_OK);
        if (t.f.codec.narrow == BE_NARROW_NONE)
            ck_assert_mem_eq(t.raw, t.back, t.raw_b);
        ck_assert_int_eq(be_meta_read(&k, &v, t.layer.meta, t.layer.meta_b, &why), 0);
        ck_assert_uint_eq(k.payload_b, t.layer.k_b);
        ck_assert_uint_eq(v.payload_b, t.layer.v_b);
        ck_assert_int_eq(k.piece.parts, BE_K_ONLY);
        ck_assert_int_eq(v.piece.parts, BE_V_ONLY);
        ck_assert_uint_eq(v.piece.layer0, layer % 5);
        unmake_trio(&t);
    }
}
END_TEST

START_TEST(a_damaged_layer_is_noticed)
{
    dice_seed((uint64_t)_i);
    struct trio t = make_trio(_i ? "zstd-1" : "none", 3), u = make_trio("none", 4);
    const char *why = NULL;
    struct be_layer bad = t.layer;
    char *meta = malloc(t.layer.meta_b + 1);
    MUST(meta);
    for (bad.meta_b = 0; bad.meta_b < t.layer.meta_b; bad.meta_b++)
        MUST(read_trio(&t, bad, &why) == KVT_CORRUPT);
    memcpy(meta, t.layer.meta, t.layer.meta_b);
    bad.meta = meta;
    for (size_t bit = 0; bit < 8 * t.layer.meta_b; bit++) {
        meta[bit / 8] = (char)(meta[bit / 8] ^ 1 << bit % 8);
        MUST(read_trio(&t, bad, &why) == KVT_CORRUPT);
        meta[bit / 8] = (char)(meta[bit / 8] ^ 1 << bit % 8);
    }
    meta[t.layer.meta_b] = '\n';
    bad.meta_b++;
    MUST(read_trio(&t, bad, &why) == KVT_CORRUPT);
    bad = t.layer;
    for (bad.k_b = 0; bad.k_b < t.layer.k_b; bad.k_b++)
        MUST(read_trio(&t, bad, &why) == KVT_CORRUPT);
    bad = t.layer;
    bad.v_b--;
    MUST(read_trio(&t, bad, &why) == KVT_CORRUPT);
    for (size_t bit = 0; bit < 8 * (t.layer.k_b + t.layer.v_b); bit += 1 + dice_below(5)) {
        t.room[bit / 8] ^= (unsigned char)(1U << bit % 8);
        MUST(read_trio(&t, t.layer, &why) == KVT_CORRUPT);
        t.room[bit / 8] ^= (unsigned char)(1U << bit % 8);
    }
    bad = t.layer; /* K and V swapped, then those of another layer, then all three of it */
    bad.k = t.layer.v, bad.k_b = t.layer.v_b;
    bad.v = t.layer.k, bad.v_b = t.layer.k_b;
    MUST(read_trio(&t, bad, &why) == KVT_CORRUPT);
    bad = t.layer;
    bad.k = u.layer.k, bad.k_b = u.layer.k_b;
    MUST(read_trio(&t, bad, &why) == KVT_CORRUPT);
    MUST(read_trio(&t, u.layer, &why) == KVT_CORRUPT);
    ck_assert_str_eq(why, "layers");
    MUST(read_trio(&t, t.layer, &why) == KVT_OK);
    free(meta);
    unmake_trio(&t);
    unmake_trio(&u);
}
END_TEST

START_TEST(a_meta_value_of_other_texts)
{
    static const char *const texts[] = {
        "{}",
        "null",
        "{\"kvtwin\":1}",
        "{\"kvtwin\":1,\"key\":\"",
        "{\"kvtwin\":99999,\"key\":\"a3f72c1e00112233445566778899aabb\"",
    };
    struct be_head k, v;
    const char *why = NULL;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        ck_assert_int_eq(be_meta_read(&k, &v, texts[i], strlen(texts[i]), &why), -EBADMSG);
    char *large = calloc(1, 1 << 20);
    MUST(large);
    ck_assert_int_eq(be_meta_read(&k, &v, large, 1 << 20, &why), -EBADMSG);
    ck_assert_str_eq(why, "length");
    free(large);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("value");
    TCase *form = tcase_create("form"), *back = tcase_create("there and back");
    TCase *damage = tcase_create("damage"), *layer = tcase_create("per-layer");
    tcase_add_test(form, keys_of_both_layouts);
    tcase_add_test(form, pieces_cover_each_layer_of_each_shard_once);
    tcase_add_test(form, the_document_shows_the_bytes);
    tcase_add_test(form, the_document_shows_a_meta_value);
    tcase_add_loop_test(back, every_chain_and_piece_comes_back, 0, SOME_CHAINS);
    tcase_add_test(back, what_a_codec_cannot_shrink_is_kept);
    tcase_add_test(back, raw_bytes_may_wait_where_they_will_stay);
    tcase_add_test(back, short_room_is_an_error);
    tcase_add_loop_test(damage, every_cut_and_every_bit_is_noticed, 0, SOME_CHAINS);
    tcase_add_loop_test(damage, signed_lies_are_noticed, 0, 2);
    tcase_add_loop_test(damage, huge_numbers_are_noticed, 0, 2);
    tcase_add_test(damage, the_value_of_another_key_is_noticed);
    tcase_add_test(damage, swapped_pieces_are_noticed);
    tcase_add_loop_test(layer, layers_come_back, 0, SOME_CHAINS);
    tcase_add_loop_test(layer, a_damaged_layer_is_noticed, 0, 2);
    tcase_add_test(layer, a_meta_value_of_other_texts);
    tcase_set_timeout(back, 30);
    tcase_set_timeout(damage, 30);
    tcase_set_timeout(layer, 30);
    suite_add_tcase(suite, form);
    suite_add_tcase(suite, back);
    suite_add_tcase(suite, damage);
    suite_add_tcase(suite, layer);
    return kvt_test_main(suite);
}
