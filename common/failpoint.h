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
 *
 * FAILPOINT_TEXT() is true if the file is there: it stays, and its text is
 * what the caller is to take for the truth.
 */
#ifndef COMMON_FAILPOINT_H
#define COMMON_FAILPOINT_H

#include <stdbool.h>
#include <stddef.h>

#ifdef FAILPOINTS
bool failpoint_hit(const char *name);
bool failpoint_text(const char *name, char *text, size_t cap);
#define FAILPOINT(name)			failpoint_hit(name)
#define FAILPOINT_TEXT(name, text, cap) failpoint_text(name, text, cap)
#else
#define FAILPOINT(name)			false
#define FAILPOINT_TEXT(name, text, cap) ((void)(text), (void)(cap), false)
#endif

#endif
