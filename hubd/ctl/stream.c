/* An answer that is a stream: copied while it comes, in constant memory. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hubd/ctl/ctl.h"

#define LINE_MAX_BYTES 4096
#define READ_BYTES     65536

struct source {
	int fd;
	struct buf *in;
};

/* Waits for more. false: there is no more, or it does not come. */
static bool
fill(struct source *s)
{
	struct pollfd p = {.fd = s->fd, .events = POLLIN};
	ssize_t n;

	for (;;) {
		n = read(s->fd, buf_reserve(s->in, READ_BYTES), READ_BYTES);
		if (n > 0) {
			buf_commit(s->in, (size_t)n);
			return (true);
		}
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			return (false);
		if (poll(&p, 1, CTL_PATIENCE_MS) == 0)
			return (false);
	}
}

/* The next line, without its end; false: there is none. Good until the
 * source is read again. */
static bool
next_line(struct source *s, struct span *line)
{
	const char *end;

	while ((end = buf_len(s->in) == 0 ? NULL
					  : memchr(buf_ptr(s->in), '\n',
						buf_len(s->in))) == NULL)
		if (buf_len(s->in) > LINE_MAX_BYTES || !fill(s))
			return (false);
	*line = span_of(buf_ptr(s->in), (size_t)(end - buf_ptr(s->in)));
	return (true);
}

/* The length of the next piece, or -1. */
static long
next_length(struct source *s)
{
	struct span line;
	long n = 0;
	size_t i;

	if (!next_line(s, &line) || line.n == 0 || line.n > 8)
		return (-1);
	for (i = 0; i < line.n; i++) {
		if (line.p[i] < '0' || line.p[i] > '9')
			return (-1);
		n = n * 10 + (line.p[i] - '0');
	}
	buf_consume(s->in, line.n + 1);
	return (n > CTL_PIECE_MAX ? -1 : n);
}

/* false: the source or, with an error, the output has come to an end. */
static bool
copy_piece(struct source *s, size_t n, FILE *to, char *error, size_t cap)
{
	size_t some;

	while (n > 0) {
		if (buf_len(s->in) == 0 && !fill(s))
			return (false);
		some = buf_len(s->in) < n ? buf_len(s->in) : n;
		if (fwrite(buf_ptr(s->in), some, 1, to) != 1) {
			snprintf(error, cap, "stdout: %s", strerror(errno));
			return (false);
		}
		buf_consume(s->in, some);
		n -= some;
	}
	return (true);
}

/* Up to the piece of length 0; as copy_piece(). */
static bool
copy_pieces(struct source *s, FILE *to, char *error, size_t cap)
{
	long n;

	while ((n = next_length(s)) > 0)
		if (!copy_piece(s, (size_t)n, to, error, cap))
			return (false);
	if (fflush(to) != 0) {
		snprintf(error, cap, "stdout: %s", strerror(errno));
		return (false);
	}
	return (n == 0);
}

/* How it ended; false: that is missing. */
static bool
read_end(struct source *s, char *error, size_t cap)
{
	struct span line;
	struct json *end;
	const char *why;
	bool good;

	if (!next_line(s, &line) || (end = json_parse(line, NULL, 0)) == NULL)
		return (false);
	why = json_get_str(end, "error");
	if (why != NULL)
		snprintf(error, cap, "%s", why);
	good = why != NULL || json_get_int(end, "status", 1) == 0;
	json_free(end);
	return (good);
}

bool
ctl_is_stream(const struct buf *in)
{
	return (span_starts(buf_span(in), SPAN(CTL_STREAM_HEAD)));
}

void
ctl_copy_stream(int fd, struct buf *in, FILE *to, char *error, size_t cap)
{
	struct source s = {fd, in};

	buf_consume(in, strlen(CTL_STREAM_HEAD));
	if ((!copy_pieces(&s, to, error, cap) || !read_end(&s, error, cap)) &&
	    error[0] == '\0')
		snprintf(error, cap, CTL_CUT_OFF);
}
