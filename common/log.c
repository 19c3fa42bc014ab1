/* The log of one process: one escaped line a message, never blocking. */
#include "common/log.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/monotime.h"
#include "common/utf8.h"

#define LOG_LINE_MAX 2048
#define STAYS_MS     60000
#define STAYS	     4 /* texts that are remembered */

static struct {
	char name[48];
	enum log_level level;
	int fd;
	bool own_fd, socket;
	uint64_t dropped;
	void (*last_words)(const char *);
} logger = {.name = "hubd", .level = LOG_LEVEL_INFO, .fd = STDERR_FILENO};

static const char *const level_names[] = {"error", "warn", "info", "debug"};

/*
 * Whoever gave us stderr shares its file description, so it is not made
 * non-blocking: we open one of our own in its place, which children inherit.
 * A socket cannot be opened; it is asked not to wait at each line.
 */
static void
unblock_stderr(void)
{
	static bool done;
	struct stat st;
	int fd;

	if (done || fstat(STDERR_FILENO, &st) == -1)
		return;
	done = true;
	logger.socket = S_ISSOCK(st.st_mode);
	if (!S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))
		return;
	fd = open("/proc/self/fd/2",
	    O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd == -1)
		return;
	dup2(fd, STDERR_FILENO);
	close(fd);
}

void
log_init(const char *procname, enum log_level level)
{
	unblock_stderr();
	snprintf(logger.name, sizeof(logger.name), "%s", procname);
	logger.level = level;
}

void
log_use_fd(int fd)
{
	if (logger.own_fd)
		close(logger.fd);
	logger.fd = fd;
	logger.own_fd = logger.socket = false;
}

int
log_open(const char *path)
{
	int fd = open(path,
	    O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
	    0640);

	if (fd == -1)
		return (-1);
	log_use_fd(fd);
	logger.own_fd = true;
	return (0);
}

uint64_t
log_dropped(void)
{
	return (logger.dropped);
}

void
log_set_last_words(void (*fn)(const char *))
{
	logger.last_words = fn;
}

/* As utf8_shown(); the backslash may not: it would look like an escape. */
static size_t
printable(const unsigned char *text)
{
	if (*text == '\\')
		return (0);
	return (utf8_shown(text, strlen((const char *)text)));
}

/* Copies text to out with everything else as \xNN. */
static size_t
escape(char *out, size_t cap, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	static const char hex[] = "0123456789abcdef";
	size_t n = 0, len;

	for (; *p != '\0' && n + 5 < cap; p += len) {
		if ((len = printable(p)) > 0) {
			memcpy(out + n, p, len);
			n += len;
			continue;
		}
		len = 1;
		out[n++] = '\\';
		out[n++] = 'x';
		out[n++] = hex[*p >> 4];
		out[n++] = hex[*p & 15];
	}
	return (n);
}

static bool
put_line(const char *line, size_t n)
{
	ssize_t put;

	put = logger.socket
		  ? send(logger.fd, line, n, MSG_DONTWAIT | MSG_NOSIGNAL)
		  : write(logger.fd, line, n);
	return (put == (ssize_t)n);
}

static void
emit(enum log_level level, const char *text)
{
	char line[LOG_LINE_MAX];
	struct timespec ts;
	struct tm tm;
	size_t n;
	int head;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	n = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &tm);
	head = snprintf(line + n, sizeof(line) - n,
	    ".%03ldZ %s[%ld] %s: ", ts.tv_nsec / 1000000, logger.name,
	    (long)getpid(), level_names[level]);
	n += (size_t)head;
	n += escape(line + n, sizeof(line) - n - 1, text);
	line[n++] = '\n';
	if (!put_line(line, n))
		logger.dropped++;
}

static void
vemit(enum log_level level, bool with_errno, const char *fmt, va_list ap)
{
	char text[LOG_LINE_MAX];
	int saved = errno;
	size_t n;

	if (level > logger.level)
		return;
	vsnprintf(text, sizeof(text), fmt, ap);
	n = strlen(text);
	if (with_errno)
		snprintf(text + n, sizeof(text) - n, ": %s", strerror(saved));
	emit(level, text);
	errno = saved;
}

#define DEFINE_LOG(fn, level, with_errno)          \
	void fn(const char *fmt, ...)              \
	{                                          \
		va_list ap;                        \
                                                   \
		va_start(ap, fmt);                 \
		vemit(level, with_errno, fmt, ap); \
		va_end(ap);                        \
	}

DEFINE_LOG(log_err, LOG_LEVEL_ERR, true)
DEFINE_LOG(log_errx, LOG_LEVEL_ERR, false)
DEFINE_LOG(log_warn, LOG_LEVEL_WARN, true)
DEFINE_LOG(log_warnx, LOG_LEVEL_WARN, false)
DEFINE_LOG(log_info, LOG_LEVEL_INFO, false)
DEFINE_LOG(log_debug, LOG_LEVEL_DEBUG, false)

void
log_stays(const char *fmt, ...)
{
	/* One attempt may fail in two places, each with its own words. */
	static struct {
		char text[LOG_LINE_MAX];
		monotime_t at;
	} said[STAYS], *oldest = said, *s;
	char text[LOG_LINE_MAX];
	monotime_t now = monotime_now();
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (s = said; s < said + STAYS; s++) {
		if (strcmp(s->text, text) == 0 &&
		    monotime_diff_ms(now, s->at) < STAYS_MS)
			return;
		if (s->at.ns < oldest->at.ns)
			oldest = s;
	}
	memcpy(oldest->text, text, sizeof(text));
	oldest->at = now;
	log_warnx("%s", text);
}

static void __attribute__((noreturn))
vfatal(bool with_errno, const char *fmt, va_list ap)
{
	char text[LOG_LINE_MAX];
	int saved = errno;
	size_t n;

	vsnprintf(text, sizeof(text), fmt, ap);
	n = strlen(text);
	if (with_errno)
		snprintf(text + n, sizeof(text) - n, ": %s", strerror(saved));
	emit(LOG_LEVEL_ERR, text);
	if (logger.last_words != NULL)
		logger.last_words(text);
	exit(1);
}

void
fatal(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfatal(true, fmt, ap);
}

void
fatalx(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfatal(false, fmt, ap);
}
