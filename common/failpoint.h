/*
 * Named crash points, compiled in by -DFAILPOINTS (build/test/) and into
 * nothing otherwise. A point is armed by a file of its name in the folder
 * that the environment variable FAILPOINT_DIR names; the file's text says
 * what happens, once: whoever removes the file does it.
 *
 *	kill		SIGKILL to the process that passes the point
 *	stop		SIGSTOP to it
 *	kill PID	SIGKILL to another process (and on)
 *	stop PID	SIGSTOP to another process (and on)
 *	skip		FAILPOINT() is true: the caller leaves the step out
 *	force		as skip, but for ever: the file stays
 *
 * A second word-line "after N" fires at the N-th pass.
 */
#ifndef COMMON_FAILPOINT_H
#define COMMON_FAILPOINT_H

#include <stdbool.h>

#ifdef FAILPOINTS
bool failpoint_hit(const char *name);
#define FAILPOINT(name) failpoint_hit(name)
#else
#define FAILPOINT(name) false
#endif

#endif
