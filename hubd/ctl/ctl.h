/*
 * What the files of hubctl share. Every command comes down to one JSON
 * document, whether billing answered it or shared memory was read; `-j`
 * prints that document and text is a view of it.
 */
#ifndef HUBD_CTL_CTL_H
#define HUBD_CTL_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/buf.h"
#include "common/json.h"
#include "hubd/ctlproto.h"
#include "shm/shm.h"

enum ctl_exit {
	CTL_EXIT_DONE = 0,
	CTL_EXIT_REFUSED = 1, /* the reason is on stderr */
	CTL_EXIT_USAGE = 2,
	CTL_EXIT_NO_HUB = 3,
};

/* ---- parse.c ------------------------------------------------------------- */

struct ctl_request {
	const struct ctl_command *command;
	struct buf args; /* a JSON object; the caller frees it */
};

/*
 * Words of the command line as a request. Words of commands may be shortened
 * as long as they stay unique. now_ms is what relative times count from.
 * false: error says what is wrong, usage included.
 */
bool ctl_parse(int argc, char **argv, int64_t now_ms, struct ctl_request *,
    char *error, size_t cap);

/* ---- rundir.c ------------------------------------------------------------ */

/*
 * The value of run_dir in a hubd.conf; everything else in it is skipped
 * unread, so that a broken file does not lock the operator out. Returns a
 * heap string; NULL if the file names none. unset is "", or the name of a
 * variable in it that is not set and has no default. text is terminated.
 */
char *ctl_find_run_dir(const char *text, char *unset, size_t cap);

/* ---- client.c ------------------------------------------------------------ */

/* "path: why", and who may do it, if that is why (errno). */
void ctl_say_closed(char *error, size_t cap, const char *path, const char *why);

enum ctl_hub { CTL_HUB_RUNS, CTL_HUB_NONE, CTL_HUB_UNKNOWN };

/* Asks the lock in run_dir. UNKNOWN: error says why. */
enum ctl_hub ctl_hub_state(const char *run_dir, char *error, size_t cap);
/*
 * Sends a request to billing and waits for the answer. Returns its data, the
 * caller's to free, or NULL; a stream goes to standard output instead. error,
 * which comes empty, stays so on success; otherwise it says why, and there
 * may be data all the same.
 */
struct json *ctl_ask(
    const char *run_dir, const struct ctl_request *, char *error, size_t cap);

/* ---- stream.c ------------------------------------------------------------ */

#define CTL_CUT_OFF "the answer was cut off before its end: see the hub's log"

/* Does an answer begin as a stream? */
bool ctl_is_stream(const struct buf *in);
/* Copies the rest of it, of which in is what has been read so far. error is
 * filled in if it does not end well. */
void ctl_copy_stream(int fd, struct buf *in, FILE *to, char *error, size_t cap);

/* ---- show*.c: documents made of shared memory ---------------------------- */

void show_status(const struct shm *, struct jout *);
void show_workers(const struct shm *, struct jout *);
void show_calls(const struct shm *, struct jout *);
void show_limits(const struct shm *, struct jout *);
void show_agents(const struct shm *, struct jout *);
void show_models(const struct shm *, struct jout *);

/* ---- top.c --------------------------------------------------------------- */

/* Redraws every second until q or ^C; one frame if stdout is no terminal. */
int ctl_top(const struct shm *);

#endif
