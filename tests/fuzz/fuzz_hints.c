/* Links of a stored head: the input is its field lines, ended by LF. */
#include "cache/hints.h"
#include "http/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Every line is a part of the input behind "Link: ". */
static void
check_lines(struct slice input, struct slice lines)
{
    struct slice line;
    size_t n = 0;

    ASSERT(lines.len <= HINTS_LEN_MAX);
    while (slice_cut(&lines, '\n', &line)) {
        ASSERT(slice_starts(line, SLICE("Link: <")) && line.ptr[line.len - 1] == '\r');
        line = slice_skip(slice_first(line, line.len - 1), 6);
        ASSERT(memmem(input.ptr, input.len, line.ptr, line.len) != NULL);
        n++;
    }
    ASSERT(lines.len == 0 && n <= HINTS_N_MAX);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct slice input = slice_of(data, len), rest = input, line, lines, again;
    struct http_out head;
    struct arena arena;

    arena_init(&arena, 0);
    http_out_init(&head, &arena, len + 64);
    http_out_str(&head, "HTTP/1.1 200 OK\r\n");
    while (slice_cut(&rest, '\n', &line) || line.len > 0) {
        http_out_text(&head, line);
        http_out_str(&head, "\r\n");
        if (rest.len == 0)
            break;
    }
    ASSERT(hints_build(&arena, http_out_slice(&head), &lines) == OK);
    check_lines(input, lines);
    http_out_init(&head, &arena, lines.len + 64);
    http_out_str(&head, "HTTP/1.1 103 Early Hints\r\n");
    http_out_text(&head, lines);
    ASSERT(hints_build(&arena, http_out_slice(&head), &again) == OK);
    ASSERT(slice_equal(lines, again));
    arena_fini(&arena);
    return 0;
}
