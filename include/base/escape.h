/* Text of peers made fit to be shown, in one place for every log, report and terminal: whatever the
 * bytes were, what comes out is valid UTF-8 on one line, steers no terminal and does not end the
 * quotes it stands in.
 *
 * Escaped are quotes and backslashes, control characters (ASCII's, DEL, and U+0080 to U+009F),
 * the separators U+2028 and U+2029, what turns the direction of writing (U+061C, U+200E, U+200F,
 * U+202A to U+202E, U+2066 to U+2069), U+FEFF, and bytes that are not UTF-8 (RFC 3629). */
#ifndef BRINK_BASE_ESCAPE_H
#define BRINK_BASE_ESCAPE_H

#include "base/slice.h"

enum escape_form {
    ESCAPE_TEXT,  /* \xNN a byte, \" and \\; other UTF-8 stays */
    ESCAPE_ASCII, /* the same, and no byte beyond ASCII stays */
    ESCAPE_SHOWN, /* as TEXT, for a person: quotes and backslashes stay */
    ESCAPE_JSON,  /* \uNNNN a character, or a byte that belongs to none */
};

enum { ESCAPE_GROWTH_MAX = 6 }; /* bytes out for one byte in */

/* Escapes from the beginning of *rest as much as `cap` bytes hold whole; *rest is what is left.
 * Returns the bytes written; no terminator. */
size_t escape_write(enum escape_form form, struct slice *rest, char *out, size_t cap);

#endif
