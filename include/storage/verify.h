/* Which pieces were found right since the start, and what becomes of an object that was not.
 *
 * An index entry has a bit for its record and for each of the first pieces. Of all others, and of
 * pieces that belong to no entry yet, the newest key for each slot of a table is kept: a key that
 * another one replaced is only verified once more. Ids are never used twice, so nothing there is
 * ever wrong, and nothing has to be removed. */
#ifndef BRINK_STORAGE_VERIFY_H
#define BRINK_STORAGE_VERIFY_H

#include <stdatomic.h>

#include "storage/store.h"

/* Of index_entry.verified. */
#define VERIFY_BAD 0x80000000U /* it is never found, and on its way out */
#define VERIFY_RECORD 1U
#define VERIFY_PIECES 30U /* whose bits follow */

struct verify {
    atomic_uint_fast64_t *slots;
    uint64_t mask;
};

/* A slot for each full piece of such a store, up to a bound. ERR_NOMEM. */
MUST_USE enum err verify_init(struct verify *verify, uint64_t size_len);
void verify_fini(struct verify *verify);

/* Was this piece found right already? */
bool verify_is_done(const struct store *store, const struct store_source *source, uint32_t piece);

/* Its bytes, as record_piece_decode gives them, which are in memory. False: they are not what was
 * written, and the object is reported. */
MUST_USE bool verify_piece(struct store *store, const struct store_source *source, uint32_t piece,
                           struct slice bytes);

/* A piece is damaged or missing: the object is not found from now on, and the writer drops it.
 * Counted once for each object. */
void verify_report_piece(struct store *store, const struct store_source *source, uint32_t piece);
void verify_report_record(struct store *store, uint32_t slot, uint64_t oid);

/* Drop records by their ids, which rise, when what is damaged is their key. Costs the writer a look
 * at every entry. `done`: how many of them were objects (n). ERR_NOMEM: it is not called. */
MUST_USE enum err
verify_drop_lost(struct store *store, const uint64_t *oids, size_t oids_n, struct store_done done);

#endif
