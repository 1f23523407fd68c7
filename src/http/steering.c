/* Steering fields are found by one binary search: the rows are in order, and no row begins with a
 * prefix row, so the last row that is not behind a name is the only one that can match it. */
#include "http/steering.h"

#include "http/chars.h"

enum form { FORM_WHOLE, FORM_PREFIX };

static const struct {
    struct slice name;
    enum form form;
} rows[] = {
#define STEER(form, name) {{name, sizeof(name) - 1}, FORM_##form},
#include "http/steering.def"
#undef STEER
};

static bool
is_plain(char c)
{
    char lower = char_lower(c);

    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

/* Negative: the name is before the row. */
static int
compare(struct slice name, struct slice row)
{
    size_t least = name.len < row.len ? name.len : row.len;

    for (size_t i = 0; i < least; i++)
        if (char_lower(name.ptr[i]) != row.ptr[i])
            return (unsigned char)char_lower(name.ptr[i]) < (unsigned char)row.ptr[i] ? -1 : 1;
    return name.len < row.len ? -1 : name.len > row.len;
}

bool
http_field_steers(struct slice name)
{
    size_t from = 0, to = ARRAY_LEN(rows); /* rows before `from` are not behind the name */

    for (size_t i = 0; i < name.len; i++)
        if (!is_plain(name.ptr[i]))
            return true;
    while (from < to) {
        size_t middle = from + (to - from) / 2;

        if (compare(name, rows[middle].name) < 0)
            to = middle;
        else
            from = middle + 1;
    }
    if (from == 0)
        return false;
    if (rows[from - 1].form == FORM_PREFIX)
        name = slice_first(name, rows[from - 1].name.len);
    return compare(name, rows[from - 1].name) == 0;
}

bool
http_name_reads_as(struct slice name, const char *plain)
{
    for (size_t i = 0; i < name.len; i++)
        if (plain[i] == '\0' || (is_plain(name.ptr[i]) ? char_lower(name.ptr[i]) : '-') != plain[i])
            return false;
    return plain[name.len] == '\0';
}
