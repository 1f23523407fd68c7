/* Names of fields by which a client could steer an application behind a gateway: the table of
 * steering.def, and names that applications may take for another. */
#ifndef BRINK_HTTP_STEERING_H
#define BRINK_HTTP_STEERING_H

#include "base/slice.h"

/* True for what http/steering.def names, and for every name that holds anything but letters, digits
 * and hyphens: CGI and its heirs (RFC 3875 section 4.1.18) make "X_Forwarded_Host", and some make
 * "X.Forwarded.Host", the same variable as "X-Forwarded-Host". Any case. */
bool http_field_steers(struct slice name);

/* Would an application behind CGI take the one name for the other? Case and marks do not count.
 * `plain`: in lower case with hyphens. */
bool http_name_reads_as(struct slice name, const char *plain);

#endif
