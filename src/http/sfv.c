/* Structured fields by the algorithms of RFC 9651 section 4.2. Each take_* function reads one
 * production off *rest, and says false where the algorithm fails. */
#include "http/sfv.h"

#include "http/chars.h"

enum { INTEGER_DIGITS = 15, DECIMAL_WHOLE_DIGITS = 12, DECIMAL_FRACTION_DIGITS = 3 };

/* --- characters --- */

static bool
is_digit(char c)
{
    return char_is(c, CH_DIGIT);
}

static bool
is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool
is_alpha(char c)
{
    return is_lower(char_lower(c));
}

static bool
is_printable(char c)
{
    return c >= 0x20 && c <= 0x7e;
}

static bool
begins(struct slice text, char c)
{
    return text.len > 0 && text.ptr[0] == c;
}

static bool
take_char(struct slice *rest, char c)
{
    if (!begins(*rest, c))
        return false;
    *rest = slice_skip(*rest, 1);
    return true;
}

static void
skip_blanks(struct slice *rest, bool tabs_too)
{
    while (begins(*rest, ' ') || (tabs_too && begins(*rest, '\t')))
        *rest = slice_skip(*rest, 1);
}

/* `len` bytes off *rest. */
static struct slice
take_n(struct slice *rest, size_t len)
{
    struct slice taken = slice_first(*rest, len);

    *rest = slice_skip(*rest, len);
    return taken;
}

static int
hex_value(char c) /* lower case only, section 4.2.10 */
{
    if (is_digit(c))
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* --- bare items --- */

/* Section 4.2.3.3 */
static bool
take_key(struct slice *rest, struct slice *out)
{
    size_t n = 0;

    if (rest->len == 0 || (!is_lower(rest->ptr[0]) && rest->ptr[0] != '*'))
        return false;
    while (n < rest->len && (is_lower(rest->ptr[n]) || is_digit(rest->ptr[n]) ||
                             (rest->ptr[n] != '\0' && strchr("_-.*", rest->ptr[n]) != NULL)))
        n++;
    *out = take_n(rest, n);
    return true;
}

/* At most 15 digits, which fit. */
static int64_t
number_of(struct slice digits)
{
    int64_t n = 0;

    for (size_t i = 0; i < digits.len; i++)
        n = n * 10 + (digits.ptr[i] - '0');
    return n;
}

static int64_t
thousandths(struct slice fraction)
{
    int64_t n = number_of(fraction);

    for (size_t i = fraction.len; i < DECIMAL_FRACTION_DIGITS; i++)
        n *= 10;
    return n;
}

/* Section 4.2.4 */
static bool
take_number(struct slice *rest, struct sfv_item *out)
{
    struct slice start = *rest, whole, fraction;
    bool negative = take_char(rest, '-');

    out->kind = SFV_INTEGER;
    whole = take_n(rest, chars_span(*rest, CH_DIGIT));
    if (whole.len == 0 || whole.len > INTEGER_DIGITS)
        return false;
    out->number = number_of(whole);
    if (take_char(rest, '.')) {
        out->kind = SFV_DECIMAL;
        fraction = take_n(rest, chars_span(*rest, CH_DIGIT));
        if (whole.len > DECIMAL_WHOLE_DIGITS || fraction.len == 0 ||
            fraction.len > DECIMAL_FRACTION_DIGITS)
            return false;
        out->number = out->number * 1000 + thousandths(fraction);
    }
    if (negative)
        out->number = -out->number;
    out->text = slice_first(start, start.len - rest->len);
    return true;
}

/* Section 4.2.5 */
static bool
take_string(struct slice *rest, struct sfv_item *out)
{
    size_t n = 1;

    out->kind = SFV_STRING;
    for (; n < rest->len && rest->ptr[n] != '"'; n++) {
        if (!is_printable(rest->ptr[n]))
            return false;
        if (rest->ptr[n] == '\\' &&
            (++n == rest->len || (rest->ptr[n] != '"' && rest->ptr[n] != '\\')))
            return false;
    }
    if (n >= rest->len)
        return false;
    out->text = slice_of(rest->ptr + 1, n - 1);
    *rest = slice_skip(*rest, n + 1);
    return true;
}

/* Section 4.2.6 */
static bool
take_token(struct slice *rest, struct sfv_item *out)
{
    size_t n = 1; /* the first was looked at by the caller */

    out->kind = SFV_TOKEN;
    while (n < rest->len &&
           (char_is(rest->ptr[n], CH_TOKEN) || rest->ptr[n] == ':' || rest->ptr[n] == '/'))
        n++;
    out->text = take_n(rest, n);
    return true;
}

static bool
is_base64(char c)
{
    return is_alpha(c) || is_digit(c) || c == '+' || c == '/';
}

/* Section 4.2.7. Padding may be missing, but what there is must be right. */
static bool
take_bytes(struct slice *rest, struct sfv_item *out)
{
    struct slice text = slice_skip(*rest, 1);
    size_t n = 0, padding = 0;

    out->kind = SFV_BYTES;
    while (n < text.len && is_base64(text.ptr[n]))
        n++;
    while (n + padding < text.len && text.ptr[n + padding] == '=')
        padding++;
    if (n % 4 == 1 || (padding > 0 && (padding > 2 || (n + padding) % 4 != 0)))
        return false;
    out->text = slice_first(text, n + padding);
    *rest = slice_skip(text, n + padding);
    return take_char(rest, ':');
}

/* Section 4.2.8 */
static bool
take_boolean(struct slice *rest, struct sfv_item *out)
{
    if (rest->len < 2 || (rest->ptr[1] != '0' && rest->ptr[1] != '1'))
        return false;
    out->kind = SFV_BOOLEAN;
    out->number = rest->ptr[1] - '0';
    out->text = take_n(rest, 2);
    return true;
}

/* Section 4.2.9 */
static bool
take_date(struct slice *rest, struct sfv_item *out)
{
    *rest = slice_skip(*rest, 1);
    if (!take_number(rest, out) || out->kind != SFV_INTEGER)
        return false;
    out->kind = SFV_DATE;
    return true;
}

/* One byte of a display string's text, which is well formed. */
static uint8_t
take_encoded(struct slice *text)
{
    uint8_t byte = (uint8_t)text->ptr[0];

    if (byte == '%')
        byte = (uint8_t)(hex_value(text->ptr[1]) << 4 | hex_value(text->ptr[2]));
    *text = slice_skip(*text, text->ptr[0] == '%' ? 3 : 1);
    return byte;
}

/* Does the text decode to UTF-8, as RFC 3629 section 4 defines it: shortest forms, no surrogates,
 * nothing past U+10FFFF? */
static bool
is_utf8(struct slice text)
{
    while (text.len > 0) {
        uint8_t lead = take_encoded(&text), least = 0x80, most = 0xbf;
        unsigned more = lead < 0x80 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;

        if (lead >= 0x80 && (lead < 0xc2 || lead > 0xf4))
            return false;
        if (lead == 0xe0 || lead == 0xf0)
            least = lead == 0xe0 ? 0xa0 : 0x90;
        if (lead == 0xed || lead == 0xf4)
            most = lead == 0xed ? 0x9f : 0x8f;
        for (; more > 0; more--, least = 0x80, most = 0xbf) {
            uint8_t byte = text.len > 0 ? take_encoded(&text) : 0;

            if (byte < least || byte > most)
                return false;
        }
    }
    return true;
}

/* Section 4.2.10 */
static bool
take_display_string(struct slice *rest, struct sfv_item *out)
{
    size_t n = 2;

    out->kind = SFV_DISPLAY_STRING;
    if (rest->len < 2 || rest->ptr[1] != '"')
        return false;
    for (; n < rest->len && rest->ptr[n] != '"'; n++) {
        if (!is_printable(rest->ptr[n]))
            return false;
        if (rest->ptr[n] != '%')
            continue;
        if (rest->len - n < 3 || hex_value(rest->ptr[n + 1]) < 0 || hex_value(rest->ptr[n + 2]) < 0)
            return false;
        n += 2;
    }
    if (n >= rest->len)
        return false;
    out->text = slice_of(rest->ptr + 2, n - 2);
    *rest = slice_skip(*rest, n + 1);
    return is_utf8(out->text);
}

/* Section 4.2.3.1 */
static bool
take_bare_item(struct slice *rest, struct sfv_item *out)
{
    char c = rest->len == 0 ? '\0' : rest->ptr[0];

    *out = (struct sfv_item){0};
    if (c == '-' || is_digit(c))
        return take_number(rest, out);
    if (c == '*' || is_alpha(c))
        return take_token(rest, out);
    switch (c) {
    case '"':
        return take_string(rest, out);
    case ':':
        return take_bytes(rest, out);
    case '?':
        return take_boolean(rest, out);
    case '@':
        return take_date(rest, out);
    case '%':
        return take_display_string(rest, out);
    default:
        return false;
    }
}

/* --- items, inner lists, members --- */

static void
set_true(struct sfv_item *out)
{
    *out = (struct sfv_item){.kind = SFV_BOOLEAN, .number = 1};
}

/* One of section 4.2.3.2, whose ";" is next. */
static bool
take_parameter(struct slice *rest, struct slice *out_key, struct sfv_item *out)
{
    *rest = slice_skip(*rest, 1);
    skip_blanks(rest, false);
    if (!take_key(rest, out_key))
        return false;
    set_true(out);
    return !take_char(rest, '=') || take_bare_item(rest, out);
}

static bool
take_parameters(struct slice *rest, struct sfv_item *of)
{
    struct slice start = *rest, key;
    struct sfv_item value;

    while (begins(*rest, ';'))
        if (!take_parameter(rest, &key, &value))
            return false;
    of->parameters = slice_first(start, start.len - rest->len);
    return true;
}

/* Section 4.2.3 */
static bool
take_item(struct slice *rest, struct sfv_item *out)
{
    return take_bare_item(rest, out) && take_parameters(rest, out);
}

/* Section 4.2.1.2 */
static bool
take_inner_list(struct slice *rest, struct sfv_item *out)
{
    struct slice start = slice_skip(*rest, 1);
    struct sfv_item item;

    *rest = start;
    for (;;) {
        skip_blanks(rest, false);
        if (begins(*rest, ')'))
            break;
        if (!take_item(rest, &item) || (!begins(*rest, ' ') && !begins(*rest, ')')))
            return false;
    }
    *out = (struct sfv_item){.kind = SFV_INNER_LIST,
                             .text = slice_first(start, start.len - rest->len)};
    *rest = slice_skip(*rest, 1);
    return take_parameters(rest, out);
}

/* A member of a List, and what a key of a Dictionary has. Section 4.2.1.1. */
static bool
take_value(struct slice *rest, struct sfv_item *out)
{
    return begins(*rest, '(') ? take_inner_list(rest, out) : take_item(rest, out);
}

static bool
take_pair(struct slice *rest, struct slice *out_key, struct sfv_item *out)
{
    if (!take_key(rest, out_key))
        return false;
    if (take_char(rest, '='))
        return take_value(rest, out);
    set_true(out);
    return take_parameters(rest, out);
}

/* The comma behind a member and what surrounds it; nothing at the line's end. */
static bool
take_comma(struct slice *rest)
{
    skip_blanks(rest, true);
    if (rest->len == 0)
        return true;
    if (!take_char(rest, ','))
        return false;
    skip_blanks(rest, true);
    return rest->len > 0;
}

/* --- whole fields --- */

/* `out_key`: NULL in a List. */
static bool
take_member(struct slice *rest, struct slice *out_key, struct sfv_item *out)
{
    return (out_key == NULL ? take_value(rest, out) : take_pair(rest, out_key, out)) &&
           take_comma(rest);
}

/* Section 4.2, steps 5 to 7, for a line. An empty one is fine alone. */
static bool
is_line(struct slice line, bool keyed, bool alone)
{
    struct slice key;
    struct sfv_item member;

    if (line.len == 0)
        return alone;
    while (line.len > 0)
        if (!take_member(&line, keyed ? &key : NULL, &member))
            return false;
    return true;
}

static bool
begin(struct sfv *reader, const struct http_fields *fields, struct slice name, bool keyed)
{
    const struct http_field *first = http_fields_find(fields, name);

    if (first == NULL)
        return false;
    for (const struct http_field *field = first; field != NULL;
         field = http_fields_next(fields, field))
        if (!is_line(slice_trim(field->value), keyed,
                     field == first && http_fields_next(fields, first) == NULL))
            return false;
    *reader = (struct sfv){.fields = fields, .field = first, .rest = slice_trim(first->value)};
    return true;
}

bool
sfv_dictionary(struct sfv *reader, const struct http_fields *fields, struct slice name)
{
    return begin(reader, fields, name, true);
}

bool
sfv_list(struct sfv *reader, const struct http_fields *fields, struct slice name)
{
    return begin(reader, fields, name, false);
}

static bool
next_member(struct sfv *reader, struct slice *out_key, struct sfv_item *out)
{
    bool ok;

    if (reader->rest.len == 0) {
        reader->field = http_fields_next(reader->fields, reader->field);
        if (reader->field == NULL)
            return false;
        reader->rest = slice_trim(reader->field->value);
    }
    ok = take_member(&reader->rest, out_key, out);
    ASSERT(ok); /* begin() read it to its end */
    return true;
}

bool
sfv_dictionary_next(struct sfv *reader, struct slice *out_key, struct sfv_item *out_member)
{
    return reader->field != NULL && next_member(reader, out_key, out_member);
}

bool
sfv_list_next(struct sfv *reader, struct sfv_item *out_member)
{
    return reader->field != NULL && next_member(reader, NULL, out_member);
}

bool
sfv_inner_next(struct slice *rest, struct sfv_item *out_item)
{
    skip_blanks(rest, false);
    return rest->len > 0 && take_item(rest, out_item);
}

bool
sfv_parameter_next(struct slice *rest, struct slice *out_key, struct sfv_item *out_value)
{
    return rest->len > 0 && take_parameter(rest, out_key, out_value);
}

/* --- values --- */

static size_t
decode_string(struct slice text, char *out)
{
    size_t n = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '\\')
            i++;
        out[n++] = text.ptr[i];
    }
    return n;
}

static size_t
decode_display_string(struct slice text, char *out)
{
    size_t n = 0;

    while (text.len > 0)
        out[n++] = (char)take_encoded(&text);
    return n;
}

static uint32_t
sextet_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (uint32_t)(c - 'A');
    if (is_lower(c))
        return (uint32_t)(c - 'a' + 26);
    if (is_digit(c))
        return (uint32_t)(c - '0' + 52);
    return c == '+' ? 62 : 63;
}

/* RFC 4648 section 4. Bits that do not fill a byte are dropped. */
static size_t
decode_bytes(struct slice text, char *out)
{
    uint32_t bits = 0;
    unsigned bits_n = 0;
    size_t n = 0;

    for (size_t i = 0; i < text.len && text.ptr[i] != '='; i++) {
        bits = bits << 6 | sextet_of(text.ptr[i]);
        bits_n += 6;
        if (bits_n >= 8) {
            bits_n -= 8;
            out[n++] = (char)(bits >> bits_n & 0xff);
        }
    }
    return n;
}

size_t
sfv_decode(const struct sfv_item *item, char *out)
{
    switch (item->kind) {
    case SFV_STRING:
        return decode_string(item->text, out);
    case SFV_DISPLAY_STRING:
        return decode_display_string(item->text, out);
    case SFV_BYTES:
        return decode_bytes(item->text, out);
    default:
        if (item->text.len > 0)
            memcpy(out, item->text.ptr, item->text.len);
        return item->text.len;
    }
}
