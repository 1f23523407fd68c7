/* Content codings, as fields name them. Pure, without memory of its own; linear in the fields.
 * RFC 9110 sections 8.4 and 12.5.3. */
#include "http/coding.h"

#include "http/field.h"

enum { WEIGHT_LAST = 1, WEIGHT_FULL = 1000, WEIGHT_NONE = -1 };

const char *
coding_name(enum http_coding coding)
{
    static const char *const names[CODING_COUNT] = {
        [CODING_IDENTITY] = "identity",
        [CODING_GZIP] = "gzip",
        [CODING_BR] = "br",
        [CODING_ZSTD] = "zstd",
    };

    ASSERT((unsigned)coding < CODING_COUNT);
    return names[coding];
}

bool
coding_from(struct slice name, enum http_coding *out)
{
    for (int coding = 0; coding < CODING_COUNT; coding++)
        if (slice_is_nocase(name, coding_name((enum http_coding)coding))) {
            *out = (enum http_coding)coding;
            return true;
        }
    if (!slice_is_nocase(name, "x-gzip"))
        return false;
    *out = CODING_GZIP;
    return true;
}

bool
coding_of_response(const struct http_fields *fields, enum http_coding *out)
{
    enum http_coding coding = CODING_IDENTITY;
    struct http_list list;
    struct slice member;
    unsigned n = 0;

    http_list_begin(&list, fields, HTTP_CONTENT_ENCODING);
    while (http_list_next(&list, &member))
        if (n++ > 0 || !coding_from(member, &coding))
            return false;
    *out = coding;
    return true;
}

/* --- what a client takes --- */

/* codings [ OWS ";" OWS "q=" qvalue ]: there are no other parameters. */
static bool
parse_member(struct slice member, struct slice *out_name, int *out_weight)
{
    struct slice name;
    int weight = WEIGHT_FULL;

    if (slice_cut(&member, ';', &name)) {
        member = slice_trim(member);
        if (!slice_is_nocase(slice_first(member, 2), "q=") ||
            !http_weight_parse(slice_skip(member, 2), &weight))
            return false;
    }
    *out_name = slice_trim(name);
    *out_weight = weight;
    return true;
}

/* What is named twice has the weight that comes first. */
static void
note_weight(int *weight, int new_weight)
{
    if (*weight == WEIGHT_NONE)
        *weight = new_weight;
}

/* RFC 9110 section 12.5.3: a coding that is not named has the weight of "*"; identity is excluded
 * by that alone when it is 0. */
static int
weight_unnamed(enum http_coding coding, int any)
{
    if (coding == CODING_IDENTITY)
        return any == 0 ? 0 : WEIGHT_LAST;
    return any == WEIGHT_NONE ? 0 : any;
}

void
coding_accept_parse(const struct http_fields *fields, struct coding_accept *out)
{
    int weights[CODING_COUNT], any = WEIGHT_NONE;
    struct http_list list;
    struct slice member;

    for (int i = 0; i < CODING_COUNT; i++)
        weights[i] = WEIGHT_NONE;
    http_list_begin(&list, fields, HTTP_ACCEPT_ENCODING);
    while (http_list_next(&list, &member)) {
        enum http_coding coding;
        struct slice name;
        int weight;

        if (!parse_member(member, &name, &weight))
            continue;
        if (slice_is(name, "*"))
            note_weight(&any, weight);
        else if (coding_from(name, &coding))
            note_weight(&weights[coding], weight);
    }
    for (int i = 0; i < CODING_COUNT; i++) {
        if (weights[i] == WEIGHT_NONE)
            weights[i] = weight_unnamed((enum http_coding)i, any);
        out->weight[i] = (uint16_t)weights[i];
    }
}

/* Its place in the site's order; what is not in it comes behind, identity last of all. */
static size_t
place_of(enum http_coding coding, const uint8_t *order, size_t order_n)
{
    for (size_t i = 0; i < order_n; i++)
        if (order[i] == coding)
            return i;
    return order_n + (coding == CODING_IDENTITY ? CODING_COUNT : (size_t)coding);
}

bool
coding_choose(const struct coding_accept *accept, unsigned offered, const uint8_t *order,
              size_t order_n, enum http_coding *out)
{
    size_t best_place = SIZE_MAX;
    unsigned best = 0;

    ASSERT((offered & (CODING_BIT(CODING_COUNT) - 1)) != 0);
    for (int i = CODING_COUNT - 1; i >= 0; i--) {
        enum http_coding coding = (enum http_coding)i;
        size_t place = place_of(coding, order, order_n);
        unsigned weight = accept->weight[coding];

        if ((offered & CODING_BIT(coding)) == 0)
            continue;
        if (weight > best || (weight == best && (weight == 0 || place < best_place))) {
            best = weight;
            best_place = place;
            *out = coding;
        }
    }
    return best > 0;
}
