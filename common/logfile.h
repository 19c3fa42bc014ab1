/*
 * A file that whole lines are appended to and that nobody waits for: a file,
 * or a pipe or device whose reader may be slow or absent. What it cannot
 * take waits in a bounded buffer; what does not fit there is refused.
 */
#ifndef COMMON_LOGFILE_H
#define COMMON_LOGFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/loop.h"
#include "common/span.h"

struct logfile;

#define LOGFILE_LINE_MAX 4096	      /* PIPE_BUF: such a write is not torn */
#define LOGFILE_BUFFER	 (256 * 1024) /* bytes that may wait */

/* Opens path to append, and makes it. NULL with errno. */
struct logfile *logfile_open(struct loop *, const char *path);
/*
 * Opens the path again, for what waits, too. -1 with errno: the file that is
 * open stays.
 */
int logfile_reopen(struct logfile *);
/* One line with its end, written at the end of the turn. false: there is no
 * room, or it is longer than LOGFILE_LINE_MAX. */
bool logfile_put(struct logfile *, struct span line);
/* Writes what can be written and closes; lines that were lost. NULL is 0. */
size_t logfile_close(struct logfile *);

#endif
