/* Field values, all readers on the same text. */
#include "http/cachectl.h"
#include "http/field.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
check_list(struct slice value)
{
    struct slice rest = value, member, name, argument;

    while (http_list_take(&rest, &member)) {
        ASSERT(member.len > 0 && member.ptr >= value.ptr);
        ASSERT(member.ptr + member.len <= value.ptr + value.len);
        ASSERT(member.ptr[0] != ',' && slice_trim(member).len == member.len);
        if (http_directive(member, &name, &argument)) {
            ASSERT(http_is_token(name));
            ASSERT(argument.ptr == NULL || argument.len < member.len);
        }
    }
    ASSERT(rest.len == 0);
}

static void
check_etags(struct slice value)
{
    struct slice rest = value;
    struct http_etag etag, again;

    while (http_etag_take(&rest, &etag)) {
        ASSERT(http_etag_parse(etag.opaque, &again));
        ASSERT(http_etag_equal_strong(&again, &again) && http_etag_equal_weak(&etag, &again));
    }
}

static void
check_date(struct slice value)
{
    char text[HTTP_DATE_LEN + 1];
    int64_t at_s, again_s;

    if (!http_date_parse(value, 1700000000, &at_s) || at_s < 0)
        return;
    http_date_format(at_s, text);
    ASSERT(strlen(text) == HTTP_DATE_LEN);
    if (at_s < INT64_C(253402300800)) /* a leap second may end the last year there is */
        ASSERT(http_date_parse(slice_from_str(text), 0, &again_s) && again_s == at_s);
}

static void
check_ranges(struct slice value)
{
    struct http_range ranges[4];
    size_t n = 0;

    if (http_range_parse(value, ranges, ARRAY_LEN(ranges), &n) != OK)
        return;
    ASSERT(n > 0 && n <= ARRAY_LEN(ranges));
    for (size_t i = 0; i < n; i++) {
        ASSERT(ranges[i].first <= ranges[i].last);
        ASSERT(!ranges[i].open || ranges[i].last == UINT64_MAX);
        ASSERT(!ranges[i].suffix || (ranges[i].first == 0 && !ranges[i].open));
    }
}

/* The text as two fields: its lines before and after the first LF. */
static void
check_fields(struct slice value)
{
    struct http_fields fields;
    struct cachectl cc;
    struct arena arena;
    struct slice line;
    uint32_t s;
    int weight;

    arena_init(&arena, 0);
    if (http_fields_init(&fields, &arena, 4) != OK)
        UNREACHABLE();
    (void)slice_cut(&value, '\n', &line);
    if (http_fields_add(&fields, SLICE("Cache-Control"), line) != OK ||
        http_fields_add(&fields, SLICE("Accept-Encoding"), line) != OK ||
        http_fields_add(&fields, SLICE("Cache-Control"), value) != OK ||
        http_fields_add(&fields, SLICE("Accept-Encoding"), value) != OK)
        UNREACHABLE();
    cachectl_parse(&fields, &cc);
    ASSERT((cc.flags & CC_MAX_AGE) != 0 || cc.max_age_s == 0);
    ASSERT(cc.max_age_s <= UINT32_C(1) << 31 && cc.s_maxage_s <= UINT32_C(1) << 31);
    weight = http_weight(&fields, HTTP_ACCEPT_ENCODING, SLICE("gzip"));
    ASSERT(weight >= -1 && weight <= 1000);
    ASSERT(!http_delta_s(line, &s) || s <= UINT32_C(1) << 31);
    arena_fini(&arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct slice value = slice_of(data, len);

    if (len == 0)
        return 0;
    check_list(value);
    check_etags(value);
    check_date(value);
    check_ranges(value);
    check_fields(value);
    return 0;
}
