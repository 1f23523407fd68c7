/* Lines of the access log, of whatever a client sent. One line each, whole, without a byte that a
 * terminal would act on; the JSON form is JSON. The input's lines are the exchange's texts. */
#include <jansson.h>

#include "daemon/accesslog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
check_line(const char *line, size_t len)
{
    ASSERT(len > 0 && len <= ACCESSLOG_LINE_MAX && line[len - 1] == '\n');
    for (size_t i = 0; i + 1 < len; i++)
        ASSERT((unsigned char)line[i] >= 0x20 && line[i] != 0x7f);
}

static void
check_combined(const struct exchange *exchange, char *line)
{
    size_t len = accesslog_format(CONFIG_ACCESS_COMBINED, exchange, line);

    check_line(line, len);
    for (size_t i = 0; i < len; i++)
        ASSERT((unsigned char)line[i] < 0x7f);
}

static void
check_json(const struct exchange *exchange, char *line)
{
    size_t len = accesslog_format(CONFIG_ACCESS_JSON, exchange, line);
    json_t *value = json_loadb(line, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);

    check_line(line, len);
    ASSERT(json_is_string(json_object_get(value, "target")));
    json_decref(value);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static char line[ACCESSLOG_LINE_MAX];
    static const struct sock_addr peer;
    struct slice rest = slice_of(data, len), texts[5];
    struct exchange exchange = {.peer = &peer, .began_us = 1700000000000000, .status = 400};

    if (len == 0)
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        (void)slice_cut(&rest, '\n', &texts[i]);
    exchange.method = texts[0];
    exchange.target = texts[1];
    exchange.host = texts[2];
    exchange.referer = texts[3];
    exchange.user_agent = rest.len > 0 ? rest : texts[4];
    exchange.total_us = len;
    check_combined(&exchange, line);
    check_json(&exchange, line);
    return 0;
}
