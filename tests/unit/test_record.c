/* Piece arithmetic, and records against hostile bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/block.h"
#include "storage/record.h"
#include "storage/store.h"

static void
a_body_is_cut_into_whole_pages(void **state)
{
    static const struct {
        uint64_t body_len, pieces_n;
        uint32_t tail_len;
    } cases[] = {
        {0, 0, 0},      {1, 0, 1},      {1500, 0, 1500},    {1501, 1, 0},          {4071, 1, 0},
        {4072, 1, 0},   {4073, 1, 1},   {5572, 1, 1500},    {5573, 2, 0},          {8168, 1, 0},
        {8144, 2, 0},   {16360, 1, 0},  {32744, 1, 0},      {65488, 2, 0},         {65489, 2, 1},
        {65511, 2, 23}, {65512, 1, 0},  {65513, 1, 1},      {65536, 1, 24},        {67012, 1, 1500},
        {67013, 2, 0},  {131024, 2, 0}, {1048576, 16, 384}, {655120000, 10000, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("length: %llu\n", (unsigned long long)cases[i].body_len);
        assert_int_equal(record_pieces_n(cases[i].body_len), cases[i].pieces_n);
        assert_int_equal(record_tail_len(cases[i].body_len), cases[i].tail_len);
    }
}

/* Every length up to two pieces: spans follow each other, fill the body, and fill their pages. */
static void
spans_cover_the_body_without_gaps(void **state)
{
    (void)state;
    for (uint64_t body_len = 1; body_len < 2 * BLOCK_FULL_LEN + 100; body_len += 7) {
        uint64_t off = 0, n = 0;

        while (off < body_len) {
            struct record_span span = record_span_at(body_len, off);
            struct record_span last = record_span_at(body_len, span.off + span.len - 1);

            assert_int_equal(span.off, off);
            assert_true(span.len > 0);
            assert_int_equal(last.off, span.off); /* its last byte is in it, too */
            if (span.piece == RECORD_PIECE) {
                assert_int_equal(span.len, record_tail_len(body_len));
                assert_int_equal(span.off + span.len, body_len);
            } else {
                assert_int_equal(span.piece, n++);
                assert_true(span.len <= 4071 ||
                            (span.len + RECORD_SUM_LEN + 16) % RECORD_PAGE_LEN == 0);
            }
            off += span.len;
        }
        assert_int_equal(off, body_len);
        assert_int_equal(n, record_pieces_n(body_len));
    }
}

/* What was written, at its own place: any other byte, length or key is noticed. */
static void
a_piece_is_known_by_its_checksum(void **state)
{
    static const uint32_t lens[] = {1, 4071, 4072, BLOCK_FULL_LEN};
    static char bytes[BLOCK_FULL_LEN], value[BLOCK_FULL_LEN + RECORD_SUM_LEN + 1];
    struct slice got;

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(i * 7);
    for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
        uint32_t len = lens[i];

        record_piece_encode(bytes, len, record_key(9, 3), value);
        assert_int_equal(record_piece_decode(slice_of(value, len + RECORD_SUM_LEN), len, &got), OK);
        assert_true(slice_equal(got, slice_of(bytes, len)));
        assert_true(record_piece_is_right(got, record_key(9, 3)));
        assert_false(record_piece_is_right(got, record_key(9, 4)));
        assert_false(record_piece_is_right(got, record_key(8, 3)));
        for (uint32_t at = 0; at < len + RECORD_SUM_LEN; at += 1 + at / 3) {
            value[at] ^= 0x10;
            assert_false(record_piece_is_right(got, record_key(9, 3)));
            value[at] ^= 0x10;
        }
        assert_int_equal(record_piece_decode(slice_of(value, len), len, &got), ERR_STORE_CORRUPT);
        assert_int_equal(record_piece_decode(slice_of(value, len + RECORD_SUM_LEN + 1), len, &got),
                         ERR_STORE_CORRUPT);
    }
}

static struct record
sample(void)
{
    static const uint64_t labels[] = {3, 5};

    return (struct record){.flags = RECORD_SOFT,
                           .variant = 7,
                           .birth = 9,
                           .body_len = 70000,
                           .group = 11,
                           .member = 200,
                           .family = 0x123456789abcdefULL,
                           .key = SLICE("http://a/b"),
                           .meta = SLICE("meta"),
                           .head = SLICE("head of it"),
                           .tail = SLICE_NONE,
                           .labels = labels,
                           .labels_n = 2};
}

enum { SAMPLE_BODY_TAIL = 400 };

static size_t
encode_sample(char *out, size_t cap)
{
    static char tail[SAMPLE_BODY_TAIL];
    struct record record = sample();

    record.body_len = BLOCK_FULL_LEN + SAMPLE_BODY_TAIL;
    record.tail = slice_of(tail, sizeof(tail));
    assert_true(record_len(&record) <= cap);
    record_encode(&record, 77, out);
    return record_len(&record);
}

static void
a_record_comes_back_as_it_was(void **state)
{
    struct record want = sample(), got;
    char bytes[1024];
    size_t len = encode_sample(bytes + 1, sizeof(bytes) - 1); /* not aligned, as in the map */

    (void)state;
    assert_int_equal(record_decode(slice_of(bytes + 1, len), 77, true, &got), OK);
    assert_int_equal(got.flags, want.flags);
    assert_int_equal(got.variant, want.variant);
    assert_int_equal(got.birth, want.birth);
    assert_int_equal(got.body_len, BLOCK_FULL_LEN + SAMPLE_BODY_TAIL);
    assert_int_equal(got.group, want.group);
    assert_int_equal(got.member, want.member);
    assert_true(got.family == want.family);
    assert_true(slice_equal(got.key, want.key));
    assert_true(slice_equal(got.meta, want.meta));
    assert_true(slice_equal(got.head, want.head));
    assert_int_equal(got.tail.len, SAMPLE_BODY_TAIL);
    assert_int_equal(got.labels_n, 2);
    assert_memory_equal(got.labels, want.labels, 16);
}

static void
a_record_of_another_object_is_refused(void **state)
{
    char bytes[1024];
    struct record got;
    size_t len = encode_sample(bytes, sizeof(bytes));

    (void)state;
    assert_int_equal(record_decode(slice_of(bytes, len), 78, true, &got), ERR_STORE_CORRUPT);
}

static void
a_member_is_of_a_family(void **state)
{
    static const struct {
        uint8_t member;
        uint64_t family;
        enum err want;
    } cases[] = {{0, 0, OK}, {0, 9, OK}, {3, 9, OK}, {3, 0, ERR_STORE_CORRUPT}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct record record = {
            .member = cases[i].member, .family = cases[i].family, .key = SLICE("k")};
        char bytes[128];

        record_encode(&record, 5, bytes);
        assert_int_equal(record_decode(slice_of(bytes, record_len(&record)), 5, true, &record),
                         cases[i].want);
    }
}

static void
any_changed_byte_is_noticed(void **state)
{
    char bytes[1024];
    struct record got;
    size_t len = encode_sample(bytes, sizeof(bytes));

    (void)state;
    for (size_t i = 0; i < len; i++) {
        bytes[i] ^= 0x40;
        assert_int_equal(record_decode(slice_of(bytes, len), 77, true, &got), ERR_STORE_CORRUPT);
        bytes[i] ^= 0x40;
    }
    for (size_t n = 0; n < len; n++)
        assert_int_equal(record_decode(slice_of(bytes, n), 77, true, &got), ERR_STORE_CORRUPT);
}

/* Without the checksum, lengths alone have to keep every slice inside of the value. */
static void
no_length_leads_outside(void **state)
{
    static const unsigned char values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    char bytes[1024];
    size_t len = encode_sample(bytes, sizeof(bytes));

    (void)state;
    for (size_t i = 0; i < 72; i++) { /* all before the labels */
        char before = bytes[i];

        for (size_t k = 0; k < ARRAY_LEN(values); k++) {
            struct record got;

            bytes[i] = (char)values[k];
            if (record_decode(slice_of(bytes, len), 77, false, &got) != OK)
                continue;
            assert_true((const char *)got.labels >= bytes);
            assert_ptr_equal(got.tail.ptr + got.tail.len, bytes + len);
        }
        bytes[i] = before;
    }
}

static void
headers_tell_versions_from_damage(void **state)
{
    struct record_header header = {5, 6, 7, 8, 9}, got;
    char bytes[RECORD_HEADER_LEN];

    (void)state;
    record_header_encode(&header, bytes);
    assert_int_equal(record_header_decode(slice_of(bytes, sizeof(bytes)), &got), OK);
    assert_int_equal(got.oid_next, 5);
    assert_int_equal(got.purge_seq, 6);
    assert_int_equal(got.purge_id, 7);
    assert_int_equal(got.store_id, 8);
    assert_int_equal(got.soft_all, 9);
    assert_int_equal(record_header_decode(slice_of(bytes, RECORD_HEADER_LEN - 1), &got),
                     ERR_STORE_CORRUPT);
    bytes[40] ^= 1;
    assert_int_equal(record_header_decode(slice_of(bytes, sizeof(bytes)), &got), ERR_STORE_CORRUPT);
    bytes[16] = 99; /* the version */
    assert_int_equal(record_header_decode(slice_of(bytes, sizeof(bytes)), &got), ERR_STORE_VERSION);
}

static void
purges_come_back_as_they_were(void **state)
{
    struct record_purge purge = {.kind = STORE_PURGE_PREFIX,
                                 .soft = true,
                                 .seq = 3,
                                 .id = 4,
                                 .label = 5,
                                 .began_ms = 6,
                                 .matched = 7,
                                 .removed = 8,
                                 .text = SLICE("http://a/")};
    struct record_purge got;
    char bytes[128];
    size_t len = record_purge_len(&purge);

    (void)state;
    record_purge_encode(&purge, 9, bytes);
    assert_int_equal(record_purge_decode(slice_of(bytes, len), 9, &got), OK);
    assert_int_equal(got.kind, STORE_PURGE_PREFIX);
    assert_true(got.soft);
    assert_int_equal(got.seq, 3);
    assert_int_equal(got.id, 4);
    assert_int_equal(got.label, 5);
    assert_int_equal(got.began_ms, 6);
    assert_int_equal(got.matched, 7);
    assert_int_equal(got.removed, 8);
    assert_true(slice_equal(got.text, purge.text));
    assert_int_equal(record_purge_decode(slice_of(bytes, len), 8, &got), ERR_STORE_CORRUPT);
    assert_int_equal(record_purge_decode(slice_of(bytes, len - 1), 9, &got), ERR_STORE_CORRUPT);
    for (size_t i = 0; i < len; i++) {
        bytes[i] ^= 1;
        assert_int_equal(record_purge_decode(slice_of(bytes, len), 9, &got), ERR_STORE_CORRUPT);
        bytes[i] ^= 1;
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_is_cut_into_whole_pages),
        cmocka_unit_test(spans_cover_the_body_without_gaps),
        cmocka_unit_test(a_piece_is_known_by_its_checksum),
        cmocka_unit_test(a_record_comes_back_as_it_was),
        cmocka_unit_test(a_record_of_another_object_is_refused),
        cmocka_unit_test(a_member_is_of_a_family),
        cmocka_unit_test(any_changed_byte_is_noticed),
        cmocka_unit_test(no_length_leads_outside),
        cmocka_unit_test(headers_tell_versions_from_damage),
        cmocka_unit_test(purges_come_back_as_they_were),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
