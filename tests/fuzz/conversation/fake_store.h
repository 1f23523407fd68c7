/* A store in memory behind include/storage/store.h. Nothing is written within a call: what is asked
 * for waits until fake_store_turn, as it would for the writer's thread. Slices handed out in a read
 * section are copies that are freed at its end, so that AddressSanitizer finds whoever keeps one.
 */
#ifndef BRINK_FUZZ_FAKE_STORE_H
#define BRINK_FUZZ_FAKE_STORE_H

#include "storage/store.h"

struct fake_store_mood {
    bool held;     /* commits nothing for now */
    bool full;     /* refuses puts */
    bool cold;     /* pages are never in memory */
    bool no_pin;   /* nothing can be pinned */
    bool no_purge; /* too many purges are at work */
    bool damaged;  /* bodies that are not in their record are not what was stored */
};

struct store *fake_store_open(void);
struct fake_store_mood *fake_store_mood(void);
unsigned fake_store_turn(void); /* does what waits; how many things it did */
/* Asserts that nothing of brink's is left: readers, pins, puts. */
void fake_store_close(void);

#endif
