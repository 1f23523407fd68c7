/* Coded bodies of a hostile origin. The first four bytes say the codings, whether the length is
 * known, how the body is cut into feeds, how much room there is, and how much memory and expansion
 * are allowed; the rest is the body. Whatever it is: no more comes out than the bound allows, no
 * more memory is taken, the work comes to an end, and cut otherwise it decodes to the same. */
#include "transform/coder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum {
    HEAD_LEN = 4,
    FREE_LEN = 8192,
    OUT_LEN = 4096,
    CALLS_FREE = 200000, /* calls that a body may need, single bytes of room and all */
    IDLE_MAX = 1000,     /* calls in a row that take nothing and give nothing */
    UNPACK_LEN = 1 << 18
};

struct script {
    enum http_coding from, to;
    size_t feed, room;
    unsigned flush_each; /* 0: never */
    struct coder_bound bound;
    uint64_t memory_max;
    bool length_known;
};

struct outcome {
    enum err rc;
    uint64_t len, hash;
};

static struct script
read_script(const uint8_t head[HEAD_LEN])
{
    static const size_t sizes[] = {1, 2, 7, 64, 500, 4000, 16384, SIZE_MAX};
    static const uint64_t memory_maxs[] = {0, 200 << 10, 2 << 20, 9 << 20};
    struct script script = {.from = (enum http_coding)(1 + head[0] % 3),
                            .to = (enum http_coding)(head[0] / 3 % 4),
                            .feed = sizes[head[1] % 8],
                            .room = sizes[head[2] % 8],
                            .flush_each = head[1] / 8 % 4,
                            .bound = {head[3] / 4 % 2 * FREE_LEN, 1U + head[3] / 8},
                            .memory_max = memory_maxs[head[3] % 4],
                            .length_known = head[0] / 12 % 2 == 1};

    if (script.to == script.from)
        script.to = CODING_IDENTITY;
    if (script.room > OUT_LEN)
        script.room = OUT_LEN;
    return script;
}

static void
check_allowed(const struct script *script, uint64_t out_len, uint64_t taken_len)
{
    uint64_t allowed = taken_len * script->bound.ratio;

    if (allowed < script->bound.free_len)
        allowed = script->bound.free_len;
    if (script->to != CODING_IDENTITY) /* not compressible, and flushed at each byte */
        allowed = (allowed + taken_len) * 16 + 4096;
    ASSERT(out_len <= allowed);
}

static struct outcome
run(const struct script *script, struct coder *coder, struct slice in,
    const struct coder_memory *memory)
{
    struct outcome outcome = {OK, 0, 1469598103934665603U};
    size_t taken = 0, calls = 0, idle = 0, feeds = 0;
    bool done = false;

    while (outcome.rc == OK && !done) {
        struct slice part = slice_first(in, script->feed);
        enum coder_flush flush = part.len == in.len ? CODER_END : CODER_GO;
        char out[OUT_LEN];
        size_t before = part.len, len;

        if (flush == CODER_GO && script->flush_each > 0 && ++feeds % script->flush_each == 0)
            flush = CODER_FLUSH;
        outcome.rc = coder_run(coder, &part, flush, out, script->room, &len, &done);
        ASSERT(len <= script->room && (outcome.rc == OK || len == 0));
        taken += before - part.len;
        in = slice_skip(in, before - part.len);
        outcome.len += len;
        for (size_t i = 0; i < len; i++)
            outcome.hash = (outcome.hash ^ (uint8_t)out[i]) * 1099511628211U;
        check_allowed(script, outcome.len, taken);
        ASSERT(script->memory_max == 0 || memory->used_len <= script->memory_max);
        idle = len == 0 && before == part.len ? idle + 1 : 0;
        ASSERT(idle < IDLE_MAX && ++calls < CALLS_FREE + outcome.len);
        done = done && flush == CODER_END;
    }
    ASSERT(outcome.rc != OK || in.len == 0);
    return outcome;
}

static struct outcome
decode(const struct script *script, struct slice body)
{
    struct coder_memory memory = {.max_len = script->memory_max};
    const struct coder_plan plan = {.from = script->from,
                                    .to = script->to,
                                    .level = 1,
                                    .size_hint = script->length_known ? body.len : 0,
                                    .bound = script->bound,
                                    .memory = &memory};
    struct outcome outcome = {OK, 0, 0};
    struct coder *coder = NULL;

    outcome.rc = coder_new(&plan, &coder);
    if (outcome.rc == OK)
        outcome = run(script, coder, body, &memory);
    ASSERT(outcome.rc == OK || outcome.rc == ERR_CODING || outcome.rc == ERR_CODING_BOMB ||
           outcome.rc == ERR_LIMIT);
    coder_free(&coder);
    coder_memory_fini(&memory);
    ASSERT(memory.used_len == 0);
    return outcome;
}

/* At once, it is the same again. */
static void
check_unpack(const struct script *script, struct slice body, const struct outcome *want)
{
    static char out[UNPACK_LEN];
    size_t len = 0;
    enum err rc = coder_unpack(script->from, body, &script->bound, NULL, out, sizeof(out), &len);

    if (want->rc != ERR_LIMIT && rc != ERR_CODING_BOMB && want->rc != ERR_CODING_BOMB)
        ASSERT(rc == want->rc && (rc != OK || len == want->len));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct outcome cut, whole;
    struct script script;
    struct slice body;

    if (len < HEAD_LEN)
        return 0;
    script = read_script(data);
    body = slice_of(data + HEAD_LEN, len - HEAD_LEN);
    if (script.to != CODING_IDENTITY)
        (void)decode(&script, body);
    script.to = CODING_IDENTITY; /* encoders write otherwise when they are fed otherwise */
    cut = decode(&script, body);
    script.feed = SIZE_MAX;
    script.room = OUT_LEN;
    script.flush_each = 0;
    whole = decode(&script, body);
    check_unpack(&script, body, &whole);
    if (cut.rc == ERR_LIMIT || cut.rc == ERR_CODING_BOMB || whole.rc == ERR_CODING_BOMB)
        return 0; /* these look at how far it has got */
    ASSERT(cut.rc == whole.rc);
    ASSERT(cut.rc != OK || (cut.len == whole.len && cut.hash == whole.hash));
    return 0;
}
