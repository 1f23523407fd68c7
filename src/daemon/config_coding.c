/* Compression of a site: from its directives into the settings that the proxy reads. */
#include "daemon/config_load.h"

enum { TYPES_MAX = 64 }; /* with each of which a response's is compared */

static size_t
take_codings(const struct config_texts *names, uint8_t out[CODING_COUNT])
{
    ASSERT(names->n <= CODING_COUNT);
    for (size_t i = 0; i < names->n; i++) {
        enum http_coding coding = CODING_IDENTITY;

        ASSERT(
            coding_from(slice_from_str(names->items[i]), &coding)); /* config.def has no others */
        out[i] = (uint8_t)coding;
    }
    return names->n;
}

/* The value of Accept-Encoding: the names in their order. */
static const char *
accept_value(struct config_load *load, const struct config_texts *names)
{
    struct slice value = SLICE_NONE;

    for (size_t i = 0; i < names->n; i++)
        if (!config_load_ok(load, arena_printf(load->arena, &value, "%.*s%s%s", SLICE_ARGS(value),
                                               i == 0 ? "" : ", ", names->items[i])))
            return NULL;
    return value.ptr;
}

static void
take_levels(const struct config_coding *from, struct coding_settings *out)
{
    for (size_t i = 0; i < CODING_COUNT; i++) {
        out->strong[i] = (uint8_t)from->strong[i];
        out->quick[i] = (uint8_t)from->quick[i];
    }
}

static void
check_lengths(struct config_load *load, size_t i)
{
    const struct coding_settings *coding = &load->sites[i].settings.coding;

    if (coding->strong_max_len != 0 && coding->variant.min_len > coding->strong_max_len)
        config_load_fault(load, load->site_lines[i],
                          "site \"%s\": compress_min is larger than compress_max, so that nothing "
                          "compressed would be kept; lower it, or set compress_max = 0 if that is "
                          "meant",
                          load->sites[i].settings.name);
}

void
config_load_check_coding(struct config_load *load, size_t site)
{
    const struct config_coding *from = &load->sites[site].coding;
    struct coding_settings *out = &load->sites[site].settings.coding;

    if (from->types.n > TYPES_MAX)
        config_load_fault(load, load->site_lines[site],
                          "compress_types names %zu types, each compared with that of every "
                          "response; name %d at most",
                          from->types.n, TYPES_MAX);
    out->variant.codings_n = take_codings(&from->order, out->variant.codings);
    out->variant.types = from->types.items;
    out->variant.types_n = from->types.n;
    out->precompressed_n = take_codings(&from->precompressed, out->precompressed);
    out->accept = accept_value(load, &from->origin);
    load->sites[site].settings.cache.own_encoding =
        out->variant.codings_n > 0 || out->variant.decode;
    take_levels(from, out);
    check_lengths(load, site);
}
