/*
 * The log of one process. A line is time, process name, level, text; every
 * byte of the text that is not printable ASCII or UTF-8, and the backslash,
 * is written as \xNN, so that nothing from outside can forge a line (d11).
 * Writing never blocks and never fails for the caller: a line that cannot be
 * written is counted.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdint.h>

enum log_level {
	LOG_LEVEL_ERR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};

/*
 * Sets the name that lines carry ("worker 3") and the level. Lines go to
 * stderr until log_open() succeeds.
 */
void log_init(const char *procname, enum log_level);
/* Appends to path from now on; also reopens. 0, or -1 with errno. */
int log_open(const char *path);
/* Writes to a descriptor that somebody else opened and owns. */
void log_use_fd(int fd);
/* Lines that could not be written since the start. */
uint64_t log_dropped(void);

/* warn and err add strerror(errno); the x forms do not. errno is kept. */
void log_err(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_errx(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warnx(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * As log_warnx(), of what is tried again and again and fails alike each time:
 * the same text is not logged again within a minute.
 */
void log_stays(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* For setting up only: the message, then exit(1). */
void fatal(const char *fmt, ...)
    __attribute__((format(printf, 1, 2), noreturn));
void fatalx(const char *fmt, ...)
    __attribute__((format(printf, 1, 2), noreturn));

/* Called with the text of a fatal message before the exit, if set. */
void log_set_last_words(void (*)(const char *text));

#endif
