/* Records of the store from bytes that nobody vouches for. The first byte chooses which kind. */
#include "storage/record.h"

#include "base/block.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static size_t
touch(struct slice part)
{
    size_t sum = 0;

    for (size_t i = 0; i < part.len; i++)
        sum += (unsigned char)part.ptr[i];
    return sum;
}

/* Whatever is accepted lies inside of the value, and is written again as it was. */
static void
decode_object(struct slice value, bool verify)
{
    struct record record;
    char *again;
    size_t sum;

    if (record_decode(value, 7, verify, &record) != OK)
        return;
    sum = touch(record.key) + touch(record.meta) + touch(record.head) + touch(record.tail) +
          touch(slice_of(record.labels, record.labels_n * sizeof(uint64_t)));
    ASSERT(sum < SIZE_MAX);
    ASSERT(record_len(&record) == value.len);
    ASSERT(record.tail.len <= RECORD_TAIL_MAX);
    ASSERT(record.member == 0 || record.family != 0);
    if (record.tail.len > 0) {
        struct record_span span = record_span_at(record.body_len, record.body_len - 1);

        ASSERT(span.piece == RECORD_PIECE && span.len == record.tail.len);
    }
    again = mem_alloc(value.len);
    if (again == NULL)
        return;
    record_encode(&record, 7, again);
    ASSERT(record_decode(slice_of(again, value.len), 7, true, &record) == OK);
    mem_free(again);
}

/* A piece of any length that is accepted is written again as it was. */
static void
decode_piece(struct slice value)
{
    uint64_t key = record_key(7, 3);
    size_t len = value.len < RECORD_SUM_LEN ? 0 : value.len - RECORD_SUM_LEN;
    struct slice bytes;
    char *again;

    if (record_piece_decode(value, (uint32_t)len, &bytes) != OK)
        return;
    ASSERT(bytes.len + RECORD_SUM_LEN == value.len);
    if (!record_piece_is_right(bytes, key))
        return;
    again = mem_alloc(value.len);
    if (again == NULL)
        return;
    record_piece_encode(bytes.ptr, (uint32_t)bytes.len, key, again);
    ASSERT(memcmp(again, value.ptr, value.len) == 0);
    mem_free(again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct record_header header;
    struct record_purge purge;
    struct slice value;

    if (len == 0)
        return 0;
    value = slice_of((const char *)bytes + 1, len - 1);
    switch (bytes[0] % 5) {
    case 0:
        decode_object(value, false);
        break;
    case 1:
        decode_object(value, true);
        break;
    case 2:
        if (record_header_decode(value, &header) == OK)
            ASSERT(header.oid_next != 0);
        break;
    case 3:
        if (record_purge_decode(value, 1, &purge) == OK)
            ASSERT(touch(purge.text) < SIZE_MAX);
        break;
    default:
        decode_piece(value);
        break;
    }
    return 0;
}
