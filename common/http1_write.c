/* Writing HTTP/1.1: heads, chunks, and the reverse of percent-encoding. */
#include "common/http1.h"

#include "common/hex.h"

static const char *const reasons[] = {
    [100] = "Continue",
    [101] = "Switching Protocols",
    [200] = "OK",
    [201] = "Created",
    [202] = "Accepted",
    [204] = "No Content",
    [206] = "Partial Content",
    [301] = "Moved Permanently",
    [302] = "Found",
    [303] = "See Other",
    [304] = "Not Modified",
    [307] = "Temporary Redirect",
    [308] = "Permanent Redirect",
    [400] = "Bad Request",
    [401] = "Unauthorized",
    [402] = "Payment Required",
    [403] = "Forbidden",
    [404] = "Not Found",
    [405] = "Method Not Allowed",
    [406] = "Not Acceptable",
    [408] = "Request Timeout",
    [409] = "Conflict",
    [410] = "Gone",
    [411] = "Length Required",
    [412] = "Precondition Failed",
    [413] = "Content Too Large",
    [414] = "URI Too Long",
    [415] = "Unsupported Media Type",
    [416] = "Range Not Satisfiable",
    [417] = "Expectation Failed",
    [421] = "Misdirected Request",
    [422] = "Unprocessable Content",
    [424] = "Failed Dependency",
    [425] = "Too Early",
    [426] = "Upgrade Required",
    [428] = "Precondition Required",
    [429] = "Too Many Requests",
    [431] = "Request Header Fields Too Large",
    [451] = "Unavailable For Legal Reasons",
    [499] = "Client Closed Request",
    [500] = "Internal Server Error",
    [501] = "Not Implemented",
    [502] = "Bad Gateway",
    [503] = "Service Unavailable",
    [504] = "Gateway Timeout",
    [505] = "HTTP Version Not Supported",
    [529] = "Overloaded",
};

int
http1_error_status(enum http1_error error)
{
	switch (error) {
	case HTTP1_TOO_LARGE:
		return (431);
	case HTTP1_VERSION:
		return (505);
	case HTTP1_UNSUPPORTED:
		return (501);
	case HTTP1_EXPECT:
		return (417);
	case HTTP1_OK:
	case HTTP1_MORE:
	case HTTP1_BAD:
		break;
	}
	return (400);
}

const char *
http1_reason(int status)
{
	size_t i = (size_t)status;

	if (status >= 0 && i < sizeof(reasons) / sizeof(reasons[0]) &&
	    reasons[i] != NULL)
		return (reasons[i]);
	return ("Unknown");
}

void
http1_put_status(struct buf *out, int status)
{
	char digits[4] = {
	    (char)('0' + status / 100 % 10),
	    (char)('0' + status / 10 % 10),
	    (char)('0' + status % 10),
	    ' ',
	};

	buf_addspan(out, SPAN("HTTP/1.1 "));
	buf_add(out, digits, sizeof(digits));
	buf_addstr(out, http1_reason(status));
	buf_addspan(out, SPAN("\r\n"));
}

void
http1_put_field(struct buf *out, const char *name, struct span value)
{
	buf_addstr(out, name);
	buf_addspan(out, SPAN(": "));
	buf_addspan(out, value);
	buf_addspan(out, SPAN("\r\n"));
}

void
http1_put_length(struct buf *out, uint64_t n)
{
	buf_addspan(out, SPAN("content-length: "));
	buf_adduint(out, n);
	buf_addspan(out, SPAN("\r\n"));
}

void
http1_put_end(struct buf *out)
{
	buf_addspan(out, SPAN("\r\n"));
}

void
http1_put_chunk(struct buf *out, const void *p, size_t n)
{
	static const char hex[] = "0123456789abcdef";
	char line[sizeof(n) * 2 + 2], *at = line + sizeof(line);
	size_t left = n;

	*--at = '\n';
	*--at = '\r';
	do
		*--at = hex[left & 0xf];
	while ((left >>= 4) != 0);
	buf_add(out, at, (size_t)(line + sizeof(line) - at));
	buf_add(out, p, n);
	buf_addspan(out, SPAN("\r\n"));
}

int
http1_unescape(struct span in, bool plus_is_space, struct buf *out)
{
	char *to = buf_reserve(out, in.n), *from_to = to;
	int high, low;
	size_t i;

	for (i = 0; i < in.n; i++) {
		*to = in.p[i];
		if (*to == '+' && plus_is_space)
			*to = ' ';
		if (*to == '%') {
			if (in.n - i < 3 ||
			    (high = hex_digit(in.p[i + 1])) == -1 ||
			    (low = hex_digit(in.p[i + 2])) == -1)
				return (-1);
			*to = (char)(high << 4 | low);
			i += 2;
		}
		if (*to++ == '\0')
			return (-1);
	}
	buf_commit(out, (size_t)(to - from_to));
	return (0);
}
