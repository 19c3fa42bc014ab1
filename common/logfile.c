/* A file that whole lines are appended to and that nobody waits for. */
#include "common/logfile.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/buf.h"

#define RETRY_MS 1000 /* a full disk is asked again */

struct logfile {
	struct loop *loop;
	char *path;
	int fd;	      /* -1: a pipe that has no reader yet */
	bool regular; /* takes what it is given, or its disk is full */
	bool torn;    /* what waits begins in the middle of a line */
	struct buf waiting;
	struct loop_work flush;
	struct loop_timer *retry;
	struct loop_io *io; /* NULL: regular */
};

static void flush(struct logfile *);

static void
on_flush(void *arg)
{
	flush(arg);
}

static void
on_io(void *arg, int what)
{
	flush(arg);
}

static int
open_path(const char *path, bool *regular)
{
	struct stat st;
	int fd;

	fd = open(path,
	    O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
	    0640);
	if (fd == -1)
		return (-1);
	*regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	return (fd);
}

static int
use_path(struct logfile *f)
{
	bool regular = false;
	int fd = open_path(f->path, &regular);

	if (fd == -1 && errno != ENXIO)
		return (-1);
	loop_io_free(f->io);
	f->io = NULL;
	if (f->fd != -1)
		close(f->fd);
	f->fd = fd;
	f->regular = regular;
	if (fd != -1 && !regular)
		f->io = loop_io_new(f->loop, fd, on_io, f);
	return (0);
}

struct logfile *
logfile_open(struct loop *loop, const char *path)
{
	struct logfile *f = xcalloc(1, sizeof(*f));
	int error;

	f->loop = loop;
	f->path = xstrdup(path);
	f->fd = -1;
	f->flush = (struct loop_work){.fn = on_flush, .arg = f};
	f->retry = loop_timer_new(loop, on_flush, f);
	if (use_path(f) == 0)
		return (f);
	error = errno;
	logfile_close(f);
	errno = error;
	return (NULL);
}

/* ---- writing --------------------------------------------------------------
 */

/* Whole lines, in a pipe no more than it takes in one piece, so that lines
 * of several writers do not mix. There is a line. */
static size_t
piece(const struct logfile *f)
{
	size_t n = buf_len(&f->waiting);
	const char *end;

	if (f->regular || n <= LOGFILE_LINE_MAX)
		return (n);
	end = memrchr(buf_ptr(&f->waiting), '\n', LOGFILE_LINE_MAX);
	return ((size_t)(end - buf_ptr(&f->waiting)) + 1);
}

/* Nobody takes it now: when to try again. */
static void
wait_for_room(struct logfile *f)
{
	if (f->io != NULL && errno == EAGAIN)
		loop_io_want(f->io, LOOP_WRITE);
	else
		loop_timer_set_ms(f->retry, RETRY_MS);
}

static void
flush(struct logfile *f)
{
	ssize_t n;

	if (f->fd == -1 && (use_path(f) == -1 || f->fd == -1)) {
		loop_timer_set_ms(f->retry, RETRY_MS);
		return;
	}
	while (buf_len(&f->waiting) > 0) {
		n = write(f->fd, buf_ptr(&f->waiting), piece(f));
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0) {
			wait_for_room(f);
			return;
		}
		f->torn = buf_ptr(&f->waiting)[n - 1] != '\n';
		buf_consume(&f->waiting, (size_t)n);
	}
	if (f->io != NULL)
		loop_io_want(f->io, 0);
}

bool
logfile_put(struct logfile *f, struct span line)
{
	if (line.n > LOGFILE_LINE_MAX ||
	    buf_len(&f->waiting) + line.n > LOGFILE_BUFFER)
		return (false);
	buf_addspan(&f->waiting, line);
	loop_defer(f->loop, &f->flush);
	return (true);
}

/* The rest of a line belongs into the file that has its beginning. */
static void
drop_rest_of_line(struct logfile *f)
{
	const char *end;

	if (!f->torn)
		return;
	f->torn = false;
	end = memchr(buf_ptr(&f->waiting), '\n', buf_len(&f->waiting));
	buf_consume(&f->waiting, (size_t)(end - buf_ptr(&f->waiting)) + 1);
}

int
logfile_reopen(struct logfile *f)
{
	flush(f);
	if (use_path(f) == -1)
		return (-1);
	drop_rest_of_line(f);
	flush(f);
	return (0);
}

static size_t
count_lines(const struct buf *b)
{
	size_t n = 0;

	for (size_t i = 0; i < buf_len(b); i++)
		n += buf_ptr(b)[i] == '\n';
	return (n);
}

size_t
logfile_close(struct logfile *f)
{
	size_t lost;

	if (f == NULL)
		return (0);
	flush(f);
	lost = count_lines(&f->waiting);
	loop_work_cancel(&f->flush);
	loop_timer_free(f->retry);
	loop_io_free(f->io);
	if (f->fd != -1)
		close(f->fd);
	buf_fini(&f->waiting);
	free(f->path);
	free(f);
	return (lost);
}
