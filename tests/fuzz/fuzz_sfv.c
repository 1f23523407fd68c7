/* Structured fields: the text, with a line a LF, as a Dictionary and as a List. */
#include "http/sfv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { LINES_MAX = 8 };

static const struct slice name = {"F", 1};
static struct slice whole; /* the input */

static void
check_inside(struct slice text)
{
    ASSERT(text.len == 0 ||
           (text.ptr >= whole.ptr && text.ptr + text.len <= whole.ptr + whole.len));
}

static void
check_value(const struct sfv_item *item)
{
    char *buf = mem_alloc(item->text.len + 1);

    check_inside(item->text);
    ASSERT(item->kind <= SFV_INNER_LIST);
    ASSERT(item->number > -INT64_C(1000000000000000) && item->number < INT64_C(1000000000000000));
    if (buf != NULL)
        ASSERT(sfv_decode(item, buf) <= item->text.len);
    mem_free(buf);
}

static void
check_item(const struct sfv_item *item)
{
    struct slice rest = item->parameters, key;
    struct sfv_item value;

    check_value(item);
    check_inside(rest);
    while (sfv_parameter_next(&rest, &key, &value)) {
        check_inside(key);
        check_value(&value);
        ASSERT(value.kind != SFV_INNER_LIST && value.parameters.len == 0);
    }
    ASSERT(rest.len == 0);
}

static void
check_member(const struct sfv_item *item)
{
    struct slice rest = item->text;
    struct sfv_item inner;

    check_item(item);
    if (item->kind != SFV_INNER_LIST)
        return;
    while (sfv_inner_next(&rest, &inner)) {
        ASSERT(inner.kind != SFV_INNER_LIST);
        check_item(&inner);
    }
    ASSERT(rest.len == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct slice rest = slice_of(data, len), line, key;
    struct http_fields fields;
    struct sfv_item member;
    struct arena arena;
    struct sfv reader;

    if (len == 0)
        return 0;
    whole = rest;
    arena_init(&arena, 0);
    if (http_fields_init(&fields, &arena, LINES_MAX) != OK)
        UNREACHABLE();
    for (unsigned n = 0; n < LINES_MAX && rest.len > 0; n++) {
        (void)slice_cut(&rest, '\n', &line);
        if (http_fields_add(&fields, name, line) != OK)
            UNREACHABLE();
    }
    if (sfv_dictionary(&reader, &fields, name))
        while (sfv_dictionary_next(&reader, &key, &member)) {
            ASSERT(key.len > 0);
            check_inside(key);
            check_member(&member);
        }
    if (sfv_list(&reader, &fields, name))
        while (sfv_list_next(&reader, &member))
            check_member(&member);
    arena_fini(&arena);
    return 0;
}
