/* Negotiation. The first byte says what is offered, the second in which order; each line after
 * them is a field of Accept-Encoding, and of Content-Encoding. */
#include "http/coding.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { LINES_MAX = 8 };

static struct coding_accept
parse(struct arena *arena, const struct slice *lines, unsigned n)
{
    struct coding_accept accept;
    struct http_fields fields;

    if (http_fields_init(&fields, arena, LINES_MAX) != OK)
        UNREACHABLE();
    for (unsigned i = 0; i < n; i++)
        if (http_fields_add(&fields, SLICE("accept-encoding"), lines[i]) != OK)
            UNREACHABLE();
    coding_accept_parse(&fields, &accept);
    for (int i = 0; i < CODING_COUNT; i++)
        ASSERT(accept.weight[i] <= 1000);
    return accept;
}

/* RFC 9110 section 5.3: several fields are one, joined by commas, in their order. A quote that one
 * of them leaves open would reach into the next. */
static void
check_joined(struct arena *arena, const struct slice *lines, unsigned n,
             const struct coding_accept *want)
{
    struct http_out out;
    struct slice joined;
    struct coding_accept got;

    http_out_init(&out, arena, 256);
    for (unsigned i = 0; i < n; i++) {
        if (http_quote_is_open(lines[i]))
            return;
        http_out_text(&out, lines[i]);
        http_out_str(&out, ", ");
    }
    joined = http_out_slice(&out);
    got = parse(arena, &joined, 1);
    ASSERT(memcmp(&got, want, sizeof(got)) == 0);
}

/* What is chosen is offered, and nothing that is offered is preferred to it. */
static void
check_choice(const struct coding_accept *accept, unsigned offered, const uint8_t *order,
             size_t order_n)
{
    enum http_coding coding = CODING_COUNT;
    bool good = coding_choose(accept, offered, order, order_n, &coding);

    ASSERT((unsigned)coding < CODING_COUNT && (offered & CODING_BIT(coding)) != 0);
    ASSERT(good == (accept->weight[coding] > 0));
    ASSERT(good || (offered & CODING_BIT(CODING_IDENTITY)) == 0 || coding == CODING_IDENTITY);
    for (int i = 0; i < CODING_COUNT; i++)
        ASSERT((offered & CODING_BIT(i)) == 0 || accept->weight[i] <= accept->weight[coding]);
}

static void
check_response(struct arena *arena, const struct slice *lines, unsigned n)
{
    enum http_coding coding = CODING_COUNT;
    struct http_fields fields;
    struct http_list list;
    struct slice member;
    unsigned members_n = 0;

    if (http_fields_init(&fields, arena, LINES_MAX) != OK)
        UNREACHABLE();
    for (unsigned i = 0; i < n; i++)
        if (http_fields_add(&fields, SLICE("content-encoding"), lines[i]) != OK)
            UNREACHABLE();
    http_list_begin(&list, &fields, HTTP_CONTENT_ENCODING);
    while (http_list_next(&list, &member))
        members_n++;
    if (!coding_of_response(&fields, &coding))
        ASSERT(members_n > 0);
    else
        ASSERT((unsigned)coding < CODING_COUNT && members_n <= 1 &&
               (members_n > 0 || coding == CODING_IDENTITY));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct slice rest, lines[LINES_MAX];
    struct coding_accept accept;
    struct arena arena;
    uint8_t order[3];
    unsigned n = 0;

    if (len < 2)
        return 0;
    for (size_t i = 0; i < sizeof(order); i++)
        order[i] = (uint8_t)(1 + (data[1] + i) % 3);
    rest = slice_of(data + 2, len - 2);
    while (rest.len > 0 && n < LINES_MAX)
        (void)slice_cut(&rest, '\n', &lines[n++]);
    arena_init(&arena, 0);
    accept = parse(&arena, lines, n);
    check_joined(&arena, lines, n, &accept);
    check_choice(&accept, data[0] % 15 + 1U, order, data[1] / 3 % 4U);
    check_response(&arena, lines, n);
    arena_fini(&arena);
    return 0;
}
