/* Bodies of HTTP/1.1 messages: by length, in chunks, or to the end. */
#include "common/http1.h"

#include "common/hex.h"

#define MAX_TRAILERS	8192 /* bytes, all of them */
#define MAX_SIZE_DIGITS 15   /* so that a size fits with room to spare */

enum chunk_state {
	SIZE_FIRST, /* the first digit */
	SIZE,
	EXTENSION_FIRST, /* behind a semicolon */
	EXTENSION,
	EXTENSION_QUOTED,
	EXTENSION_ESCAPED, /* behind a backslash in quotes */
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	TRAILER_FIRST, /* the beginning of a trailer's line, or the end */
	TRAILER_NAME,
	TRAILER_VALUE,
	TRAILER_LF,
	END_LF,
};

void
http1_body_init(
    struct http1_body *b, enum http1_body_mode mode, uint64_t length)
{
	*b = (struct http1_body){.mode = mode, .state = SIZE_FIRST};
	if (mode == HTTP1_BODY_LENGTH)
		b->left = length;
	b->done = mode == HTTP1_BODY_NONE ||
		  (mode == HTTP1_BODY_LENGTH && length == 0);
}

static bool
is_text(char c)
{
	return (((unsigned char)c >= 0x20 && c != 0x7f) || c == '\t');
}

/* The characters of RFC 9110's token. */
static bool
is_token(char c)
{
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9'))
		return (true);
	return (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool
take_size(struct http1_body *b, char c)
{
	int digit = hex_digit(c);

	if (digit >= 0 && b->extra < MAX_SIZE_DIGITS) {
		b->left = b->left << 4 | (unsigned)digit;
		b->extra++;
		b->state = SIZE;
		return (true);
	}
	if (b->state == SIZE_FIRST || digit >= 0)
		return (false);
	b->extra = 0;
	b->state = c == '\r' ? SIZE_LF : EXTENSION_FIRST;
	return (c == '\r' || c == ';');
}

/* Extensions mean nothing to us, but must end where everybody sees it. */
static bool
take_extension(struct http1_body *b, char c)
{
	if (c == '\r' && b->state == EXTENSION) {
		b->state = SIZE_LF;
		return (true);
	}
	if (b->state == EXTENSION_ESCAPED)
		b->state = EXTENSION_QUOTED;
	else if (b->state == EXTENSION_QUOTED)
		b->state = c == '"'    ? EXTENSION
			   : c == '\\' ? EXTENSION_ESCAPED
				       : EXTENSION_QUOTED;
	else
		b->state = c == '"'   ? EXTENSION_QUOTED
			   : c == ';' ? EXTENSION_FIRST
				      : EXTENSION;
	return (is_text(c) && ++b->extra < HTTP1_MAX_CHUNK_EXT);
}

static bool
take_trailer(struct http1_body *b, char c)
{
	if (++b->extra > MAX_TRAILERS)
		return (false);
	if (b->state == TRAILER_FIRST) {
		b->state = c == '\r' ? END_LF : TRAILER_NAME;
		return (c == '\r' || is_token(c));
	}
	if (b->state == TRAILER_NAME) {
		if (c == ':')
			b->state = TRAILER_VALUE;
		return (c == ':' || is_token(c));
	}
	if (c == '\r')
		b->state = TRAILER_LF;
	return (c == '\r' || is_text(c));
}

static bool
take_lf(struct http1_body *b, char c)
{
	if (b->state == SIZE_LF) {
		b->extra = 0;
		b->state = b->left > 0 ? DATA : TRAILER_FIRST;
	} else if (b->state == DATA_LF) {
		b->extra = 0;
		b->state = SIZE_FIRST;
	} else if (b->state == TRAILER_LF)
		b->state = TRAILER_FIRST;
	else
		b->done = true;
	return (c == '\n');
}

/* One byte of what lies around the data. */
static bool
take_framing(struct http1_body *b, char c)
{
	switch ((enum chunk_state)b->state) {
	case SIZE_FIRST:
	case SIZE:
		return (take_size(b, c));
	case EXTENSION_FIRST:
	case EXTENSION:
	case EXTENSION_QUOTED:
	case EXTENSION_ESCAPED:
		return (take_extension(b, c));
	case DATA_CR:
		b->state = DATA_LF;
		return (c == '\r');
	case TRAILER_FIRST:
	case TRAILER_NAME:
	case TRAILER_VALUE:
		return (take_trailer(b, c));
	case SIZE_LF:
	case DATA_LF:
	case TRAILER_LF:
	case END_LF:
		return (take_lf(b, c));
	case DATA:
		break;
	}
	return (false);
}

static struct span
take_data(struct http1_body *b, struct span in)
{
	if (in.n > b->left)
		in.n = (size_t)b->left;
	b->left -= in.n;
	return (in);
}

static ssize_t
take_chunked(struct http1_body *b, struct span in, struct span *data)
{
	size_t at = 0;

	while (at < in.n && !b->done) {
		if (b->state == DATA) {
			*data = take_data(b, span_of(in.p + at, in.n - at));
			if (b->left == 0)
				b->state = DATA_CR;
			return ((ssize_t)(at + data->n));
		}
		if (!take_framing(b, in.p[at++]))
			return (-1);
	}
	return ((ssize_t)at);
}

ssize_t
http1_body_take(struct http1_body *b, struct span in, struct span *data)
{
	*data = span_of(in.p, 0);
	if (b->done || in.n == 0)
		return (0);
	if (b->mode == HTTP1_BODY_CHUNKED)
		return (take_chunked(b, in, data));
	*data = b->mode == HTTP1_BODY_LENGTH ? take_data(b, in) : in;
	if (b->mode == HTTP1_BODY_LENGTH)
		b->done = b->left == 0;
	return ((ssize_t)data->n);
}
