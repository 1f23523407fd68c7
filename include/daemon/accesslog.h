/* The access log: one line for each exchange with a client, written by a thread of its own. A
 * worker only copies an exchange into a ring of bounded size; when that is full the line is lost
 * and counted. */
#ifndef BRINK_DAEMON_ACCESSLOG_H
#define BRINK_DAEMON_ACCESSLOG_H

#include "daemon/config.h"

struct accesslog;

/* Open the file (config->access, "-": standard output) and start the thread. On failure `why` says
 * what and what to do. ERR_SYSTEM, ERR_NOMEM. */
MUST_USE enum err accesslog_start(const struct config_log *config, unsigned workers, char *why,
                                  size_t why_cap, struct accesslog **out);
void accesslog_reopen(struct accesslog *log); /* the file was moved away: begin it anew */
void accesslog_stop(struct accesslog **slot); /* writes what is left; no worker runs any more */

/* What the workers call: accesslog_sink(log).fn, from worker `worker` alone on its own ring. */
struct exchange_sink accesslog_sink(struct accesslog *log);

/* One line with its newline into `out`; its length. Never more than ACCESSLOG_LINE_MAX; long texts
 * are cut. Control bytes are escaped: "\x1b", in JSON "\u001b". */
enum { ACCESSLOG_LINE_MAX = 40 << 10 };
size_t accesslog_format(enum config_access_format format, const struct exchange *exchange,
                        char out[ACCESSLOG_LINE_MAX]);

#endif
