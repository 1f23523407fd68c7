/* What would be done with a request, and why: the decisions of proxy/way and cache/lookup, asked of
 * and not acted on. Nothing changes by it, not even what is used least. */
#ifndef BRINK_PROXY_EXPLAIN_H
#define BRINK_PROXY_EXPLAIN_H

#include "cache/variant.h"
#include "proxy/way.h"

struct proxy_shared;

/* A request as an operator words it. */
struct explain_question {
    struct slice url; /* absolute */
    struct slice method;
    const struct slice *fields; /* "Name: value" each */
    size_t fields_n;
    struct slice content; /* ptr NULL: it brings none */
};

enum explain_end {
    EXPLAIN_REFUSED,        /* brink answers: the error `refused`, because of `why` */
    EXPLAIN_LOCAL,          /* brink answers: a purge, or the last hop of an OPTIONS */
    EXPLAIN_PASSED,         /* to the origin, and its answer to this client alone */
    EXPLAIN_HIT,            /* from the store */
    EXPLAIN_STALE,          /* from the store, while it is validated in the background */
    EXPLAIN_COMPLETED,      /* the same, but slices of it are missing and come from the origin */
    EXPLAIN_ONLY_IF_CACHED, /* 504 */
    EXPLAIN_JOINED,         /* from an object on its way in */
    EXPLAIN_VALIDATED,      /* the origin is asked whether what is stored holds */
    EXPLAIN_FETCHED,        /* from the origin, into the store if it may */
    EXPLAIN_ALONE           /* the same, shared with nobody */
};

enum { EXPLAIN_SLICES_MAX = 256 };

/* In which form a body is sent. */
enum explain_form {
    EXPLAIN_FORM_OPEN,   /* nothing is stored: `coding`, if what comes may have it */
    EXPLAIN_FORM_STORED, /* as it is stored */
    EXPLAIN_FORM_KEPT,   /* a member, made before */
    EXPLAIN_FORM_QUICK,  /* compressed on its way out */
    EXPLAIN_FORM_DECODED /* decompressed on its way out */
};

/* Why it is sent as it is stored. */
enum explain_coding_why {
    EXPLAIN_CODING_OBJECT,       /* explain_coding.object says */
    EXPLAIN_CODING_REQUEST,      /* it says no-transform, or names what is stored in If-Match */
    EXPLAIN_CODING_NAMED,        /* its If-Range names what is stored */
    EXPLAIN_CODING_NOT_ASKED,    /* it has no Accept-Encoding */
    EXPLAIN_CODING_NOT_TAKEN,    /* the client takes nothing else that is to be had */
    EXPLAIN_CODING_NOTHING_ELSE, /* ... nothing at all */
    EXPLAIN_CODING_LIKED,        /* it likes it best */
    EXPLAIN_CODING_NO_GAIN,      /* the form it likes best is not shorter */
    EXPLAIN_CODING_PART          /* parts are of what is stored, until another form is kept */
};

struct explain_coding {
    enum explain_form form;
    enum http_coding coding;
    enum explain_coding_why why;
    enum variant_why object; /* what the stored response was judged to be */
    enum http_coding liked;  /* of EXPLAIN_CODING_NO_GAIN and PART: the form it would have been */
    uint64_t len;            /* of EXPLAIN_FORM_KEPT */
    bool ranges;             /* ... parts of it can be asked for */
    bool kept_later;         /* EXPLAIN_FORM_QUICK: once it was sent, a form to be kept is made */
};

struct explanation {
    enum explain_end end;
    enum cache_reason reason; /* as Cache-Status will tell it; REASON_LOCAL when brink answers */
    unsigned status;          /* of the answer; 0: the origin's to say */
    enum err refused;
    const char *why;

    struct http_request http;
    struct slice scheme, host;
    const struct site_settings *site; /* NULL: none answers */
    bool last_hop;                    /* Max-Forwards has run out */
    struct way way;                   /* with a site */

    struct explain_coding coding; /* with a site, of what is not refused */

    bool looked_up; /* the rest is filled */
    struct lookup_question question;
    struct lookup_finding finding;
    enum lookup_way lookup_way;
    uint64_t slices_n;                       /* of a partial object: that it needs ... */
    uint64_t slices_seen_n, slices_stored_n; /* ... looked at, and of these stored */
    bool on_its_way; /* an object under this key, and for these fields of it */
    enum way_join join;
    bool remembered; /* as not storable: for so long, because of that */
    uint64_t remembered_ms;
    enum cache_reason remembered_reason;
};

/* Within an open read section of `reader`; *out borrows from it, from `arena` and from itself. On
 * any thread. ERR_SYNTAX: this is no question, *out_hint says what to do; ERR_NOMEM. */
MUST_USE enum err explain_request(struct proxy_shared *shared, struct store_reader *reader,
                                  struct arena *arena, const struct explain_question *question,
                                  int64_t now_s, struct explanation *out, const char **out_hint);

/* explain_coding.c: of an explanation that is whole but for this. ERR_NOMEM. */
MUST_USE enum err
explain_add_coding(const struct proxy_settings *settings, struct store_reader *reader,
                   struct arena *arena, struct explanation *out);

#endif
