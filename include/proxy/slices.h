/* One client's way through the slices of a partial object: each is read from the store, or from the
 * fill that brings it in, which all who need the slice share. What is missing is asked for when it
 * is needed, one slice ahead. */
#ifndef BRINK_PROXY_SLICES_H
#define BRINK_PROXY_SLICES_H

#include "proxy/slice_feed.h"

struct slices;

/* All of `plan` is borrowed until slices_end; memory is the arena's. `on_news` is called on the
 * loop when a slice on its way in has more, or has failed. ERR_NOMEM. */
MUST_USE enum err
slices_begin(struct arena *arena, struct proxy *proxy, const struct slice_plan *plan,
             void (*on_news)(void *arg), void *arg, struct slices **out);
void slices_end(struct slices **slot); /* lets go of everything */

/* Are all of these bytes stored? More than a bounded number of slices are not looked at: *out_all
 * says whether every one was. */
bool slices_are_stored(struct slices *slices, uint64_t first, uint64_t len, bool *out_all);

struct slices_failure {
    enum err rc;
    unsigned status; /* what the origin said; 0: nothing, or it is not known */
    const char *why;
};

/* Begin at `off`: from then on its slice is stored, or on its way. */
enum slices_look {
    SLICES_READY, /* the origin confirmed the representation, or was not asked */
    SLICES_WAIT,  /* on_news will come */
    SLICES_FAILED /* *out says why */
};
enum slices_look slices_look(struct slices *slices, uint64_t off, struct slices_failure *out);
bool slices_fetches(const struct slices *slices); /* what slices_look found is on its way in */

/* Where the byte at `off` is; bytes up to `end` will be wanted. Valid until the next call. */
struct slices_place {
    const struct store_pin *pin; /* in this stored slice, or ... */
    struct fill_reader *reader;  /* ... with this reader, which stands there */
    uint64_t at;                 /* within the slice */
    uint64_t left;               /* bytes of the slice from there on */
};
/* ERR_AGAIN: on_news will come. */
MUST_USE enum err
slices_seek(struct slices *slices, uint64_t off, uint64_t end, struct slices_place *out);
/* What is read there came to nothing, because nobody was seen to wait for it, or what was stored is
 * damaged: true, once, when it is fetched anew; then seek again. */
bool slices_reopen(struct slices *slices);
void slices_sent(struct slices *slices, uint64_t n); /* as fill_sent, of what was found last */

#endif
