/* See script.h. */
#include "script.h"

enum { NUMBER_MAX = 1000000000 };

/* Where the next record begins in `text`, after its first byte; text.len: nowhere. */
static size_t
next_start(struct slice text)
{
    for (size_t i = 1; i < text.len; i++)
        if (text.ptr[i] == '@' && text.ptr[i - 1] == '\n')
            return i;
    return text.len;
}

static void
read_line(struct slice line, struct record *out)
{
    struct slice digits;

    *out = (struct record){.op = line.len > 1 ? line.ptr[1] : ' ',
                           .who = line.len > 2 ? line.ptr[2] : ' ',
                           .whole = out->whole};
    out->words = slice_trim(slice_skip(line, line.len < 3 ? line.len : 3));
    digits = out->words;
    out->has_number = slice_take_u64(&digits, &out->number);
    if (!out->has_number || out->number > NUMBER_MAX)
        out->number = out->has_number ? NUMBER_MAX : 0;
}

bool
script_next(struct slice *rest, struct record *out)
{
    struct slice content, line;

    while (rest->len > 0 && rest->ptr[0] != '@')
        *rest = slice_skip(*rest, next_start(*rest));
    if (rest->len == 0)
        return false;
    out->whole = slice_first(*rest, next_start(*rest));
    *rest = slice_skip(*rest, out->whole.len);
    content = out->whole;
    (void)slice_cut(&content, '\n', &line);
    read_line(line, out);
    if (rest->len > 0 && content.len > 0)
        content = slice_first(content, content.len - 1);
    out->content = content;
    return true;
}
