/* Names of outcomes, and exchanges that are kept for a while. */
#include "proxy/exchange.h"

const char *
exchange_outcome_name(enum exchange_outcome outcome)
{
    static const char *const names[] = {
        [EXCHANGE_HIT] = "hit",
        [EXCHANGE_STALE] = "stale",
        [EXCHANGE_REVALIDATED] = "revalidated",
        [EXCHANGE_MISS] = "miss",
        [EXCHANGE_COLLAPSED] = "collapsed",
        [EXCHANGE_PASS] = "pass",
        [EXCHANGE_LOCAL] = "local",
    };

    return (size_t)outcome < ARRAY_LEN(names) ? names[outcome] : "unknown";
}

enum { TEXTS_N = 5 };

static void
texts_of(struct exchange *exchange, struct slice *out[TEXTS_N])
{
    struct slice *texts[] = {&exchange->method, &exchange->target, &exchange->host,
                             &exchange->referer, &exchange->user_agent};

    static_assert(ARRAY_LEN(texts) == TEXTS_N, "every text is kept");
    memcpy(out, texts, sizeof(texts));
}

size_t
exchange_text_len(const struct exchange *exchange)
{
    struct exchange copy = *exchange;
    struct slice *texts[TEXTS_N];
    size_t len = 0;

    texts_of(&copy, texts);
    for (size_t i = 0; i < TEXTS_N; i++)
        len += texts[i]->len;
    return len;
}

void
exchange_move_texts(struct exchange *exchange, char *to)
{
    struct slice *texts[TEXTS_N];

    texts_of(exchange, texts);
    for (size_t i = 0; i < TEXTS_N; i++) {
        if (texts[i]->len > 0)
            memcpy(to, texts[i]->ptr, texts[i]->len);
        texts[i]->ptr = to;
        to += texts[i]->len;
    }
}
