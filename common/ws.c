/* WebSocket frames (RFC 6455), read as they come and written whole. */
#include "common/ws.h"

#include <assert.h>
#include <string.h>

#include <openssl/evp.h>

#include "common/ids.h"
#include "common/log.h"

#define FIN	   0x80
#define RESERVED   0x70
#define MASKED	   0x80
#define CONTROL	   0x08 /* the bit of an opcode */
#define HEAD_MAX   14
#define CLOSE_BAD  1002
#define CLOSE_NONE 1005 /* "no code was there"; never sent */
#define CLOSE_UTF8 1007
#define CLOSE_BIG  1009

void
ws_reader_init(struct ws_reader *r, enum ws_role role)
{
	memset(r, 0, sizeof(*r));
	r->role = role;
}

/* ---- masks and text ---- */

/* XORs n bytes from p into to; at is the place in the mask, kept by users. */
static void
mask_bytes(
    char *to, const char *p, size_t n, const uint8_t mask[4], unsigned at)
{
	uint8_t turned[8];
	uint64_t m, x;
	size_t i;

	for (i = 0; i < sizeof(turned); i++)
		turned[i] = mask[(at + i) & 3];
	memcpy(&m, turned, sizeof(m));
	for (i = 0; n - i >= sizeof(x); i += sizeof(x)) {
		memcpy(&x, p + i, sizeof(x));
		x ^= m;
		memcpy(to + i, &x, sizeof(x));
	}
	for (; i < n; i++)
		to[i] = (char)(p[i] ^ turned[i & 7]);
}

/* How many bytes follow this first byte; what the next may be. -1: none. */
static int
utf8_begin(uint8_t c, uint8_t *low, uint8_t *high)
{
	*low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
	*high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
	if (c < 0x80)
		return (0);
	if (c >= 0xc2 && c <= 0xdf)
		return (1);
	if (c >= 0xe0 && c <= 0xef)
		return (2);
	return (c >= 0xf0 && c <= 0xf4 ? 3 : -1);
}

/*
 * Goes on checking; *state is 0 between characters, else the bytes that are
 * still due and the bounds of the next. false: not UTF-8.
 */
static bool
utf8_check(uint32_t *state, struct span s)
{
	uint8_t low = (uint8_t)(*state >> 8), high = (uint8_t)(*state >> 16);
	int left = (int)(*state & 0xff);
	size_t i;

	for (i = 0; i < s.n; i++) {
		uint8_t c = (uint8_t)s.p[i];

		if (left == 0) {
			if ((left = utf8_begin(c, &low, &high)) == -1)
				return (false);
			continue;
		}
		if (c < low || c > high)
			return (false);
		left--;
		low = 0x80;
		high = 0xbf;
	}
	*state = left == 0 ? 0
			   : (uint32_t)left | (uint32_t)low << 8 |
				 (uint32_t)high << 16;
	return (true);
}

/* ---- heads of frames ---- */

static enum ws_event
ws_error(struct ws_reader *r, uint16_t code)
{
	r->code = code;
	return (WS_ERROR);
}

static size_t
head_size(const struct ws_reader *r)
{
	uint8_t len = r->head[1] & 0x7f;

	if (r->head_len < 2)
		return (2);
	return (2u +
		(len == 126	 ? 2
		    : len == 127 ? 8
				 : 0) +
		(r->head[1] & MASKED ? 4 : 0));
}

/* The first two bytes: everything but sizes that are written out. */
static bool
head_is_good(const struct ws_reader *r)
{
	uint8_t opcode = r->head[0] & 0xf, len = r->head[1] & 0x7f;
	bool fin = r->head[0] & FIN, masked = r->head[1] & MASKED;

	if ((r->head[0] & RESERVED) != 0 || masked != (r->role == WS_SERVER))
		return (false);
	switch (opcode) {
	case WS_OP_CONT:
		return (r->in_msg);
	case WS_OP_TEXT:
		return (r->allow_text && !r->in_msg);
	case WS_OP_BINARY:
		return (!r->in_msg);
	case WS_OP_CLOSE: /* half a code is none */
		return (fin && len <= 125 && len != 1);
	case WS_OP_PING:
	case WS_OP_PONG:
		return (fin && len <= 125);
	default:
		return (false);
	}
}

/* The size as written; false if it was not written the shortest way. */
static bool
head_length(struct ws_reader *r)
{
	uint8_t len = r->head[1] & 0x7f;
	int n = len == 126 ? 2 : len == 127 ? 8 : 0, i;

	r->left = n == 0 ? len : 0;
	for (i = 0; i < n; i++)
		r->left = r->left << 8 | r->head[2 + i];
	if (n == 2)
		return (r->left > 125);
	return (n == 0 || (r->left > 0xffff && r->left >> 63 == 0));
}

static enum ws_event
begin_frame(struct ws_reader *r)
{
	if (!head_length(r))
		return (ws_error(r, CLOSE_BAD));
	r->fin = r->head[0] & FIN;
	r->opcode = r->head[0] & 0xf;
	r->in_frame = true;
	r->mask_at = 0;
	memset(r->mask, 0, sizeof(r->mask));
	if (r->head[1] & MASKED)
		memcpy(r->mask, r->head + r->head_len - 4, 4);
	r->head_len = 0;
	if (r->opcode & CONTROL) {
		r->control_len = 0;
		return (WS_MORE);
	}
	if (r->opcode != WS_OP_CONT) {
		r->in_msg = true;
		r->msg_opcode = r->opcode;
		r->msg_size = 0;
		r->utf8 = 0;
	}
	if (r->left > WS_MAX_MESSAGE || r->msg_size + r->left > WS_MAX_MESSAGE)
		return (ws_error(r, CLOSE_BIG));
	r->msg_size += r->left;
	return (WS_MORE);
}

/* Takes what it can; the frame has begun when in_frame is set. */
static enum ws_event
take_head(struct ws_reader *r, const char *p, size_t n, size_t *used)
{
	while (*used < n) {
		r->head[r->head_len++] = (uint8_t)p[(*used)++];
		if (r->head_len < 2)
			continue;
		if (r->head_len == 2 && !head_is_good(r))
			return (ws_error(r, CLOSE_BAD));
		if (r->head_len == head_size(r))
			return (begin_frame(r));
	}
	return (WS_MORE);
}

/* ---- payloads ---- */

static bool
code_is_good(unsigned code)
{
	if (code >= 3000 && code <= 4999)
		return (true);
	return (code >= 1000 && code <= 1014 && code != 1004 &&
		code != CLOSE_NONE && code != 1006);
}

static enum ws_event
close_event(struct ws_reader *r, struct span *data)
{
	uint32_t state = 0;

	r->code = CLOSE_NONE;
	if (data->n == 0)
		return (WS_CLOSE);
	r->code = (uint16_t)(r->control[0] << 8 | r->control[1]);
	if (!code_is_good(r->code))
		return (ws_error(r, CLOSE_BAD));
	*data = span_of(data->p + 2, data->n - 2);
	if (!utf8_check(&state, *data) || state != 0)
		return (ws_error(r, CLOSE_UTF8));
	return (WS_CLOSE);
}

static enum ws_event
control_event(struct ws_reader *r, struct span piece, struct span *data)
{
	memcpy(r->control + r->control_len, piece.p, piece.n);
	r->control_len += piece.n;
	if (r->left > 0)
		return (WS_MORE);
	r->in_frame = false;
	*data = span_of((const char *)r->control, r->control_len);
	if (r->opcode == WS_OP_CLOSE)
		return (close_event(r, data));
	return (r->opcode == WS_OP_PING ? WS_PING : WS_PONG);
}

static enum ws_event
data_event(struct ws_reader *r, struct span piece, struct span *data)
{
	bool end = false;

	if (r->left == 0) {
		r->in_frame = false;
		end = r->fin;
		r->in_msg = !end;
	}
	if (r->msg_opcode == WS_OP_TEXT &&
	    (!utf8_check(&r->utf8, piece) || (end && r->utf8 != 0)))
		return (ws_error(r, CLOSE_UTF8));
	*data = piece;
	return (WS_DATA);
}

size_t
ws_read(struct ws_reader *r, char *p, size_t n, enum ws_event *event,
    struct span *data)
{
	size_t used = 0, size;
	struct span piece;

	*data = span_of(p, 0);
	if (!r->in_frame)
		*event = take_head(r, p, n, &used);
	else
		*event = WS_MORE;
	if (*event == WS_ERROR || !r->in_frame || (used == n && r->left > 0))
		return (used);
	size = n - used < r->left ? n - used : (size_t)r->left;
	mask_bytes(p + used, p + used, size, r->mask, r->mask_at);
	r->mask_at = (r->mask_at + size) & 3;
	r->left -= size;
	piece = span_of(p + used, size);
	if (r->opcode & CONTROL)
		*event = control_event(r, piece, data);
	else
		*event = data_event(r, piece, data);
	return (used + size);
}

/* ---- writing ---- */

void
ws_put_frame(struct buf *out, enum ws_role role, enum ws_opcode opcode,
    const void *p, size_t n)
{
	uint8_t head[HEAD_MAX], mask_bit = role == WS_CLIENT ? MASKED : 0;
	size_t size = 2, i, len_bytes = n < 126 ? 0 : n <= 0xffff ? 2 : 8;

	assert(n <= (opcode & CONTROL ? 125 : WS_MAX_MESSAGE));
	head[0] = (uint8_t)(FIN | opcode);
	head[1] = (uint8_t)(len_bytes == 0 ? n : len_bytes == 2 ? 126 : 127);
	head[1] |= mask_bit;
	for (i = len_bytes; i > 0; i--)
		head[size++] = (uint8_t)(n >> (8 * (i - 1)));
	if (role == WS_SERVER) {
		buf_add(out, head, size);
		buf_add(out, p, n);
		return;
	}
	random_bytes(head + size, 4);
	buf_add(out, head, size + 4);
	mask_bytes(buf_reserve(out, n), p, n, head + size, 0);
	buf_commit(out, n);
}

void
ws_put_close(struct buf *out, enum ws_role role, uint16_t code, const char *why)
{
	uint8_t b[2 + WS_WHY_MAX] = {(uint8_t)(code >> 8), (uint8_t)code};
	size_t n = strlen(why);

	assert(n <= WS_WHY_MAX);
	memcpy(b + 2, why, n);
	ws_put_frame(out, role, WS_OP_CLOSE, b, code == CLOSE_NONE ? 0 : 2 + n);
}

/* ---- the handshake ---- */

void
ws_accept(struct span key, char out[WS_ACCEPT_SIZE])
{
	static const struct span guid =
	    SPAN("258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
	unsigned char digest[20];
	EVP_MD_CTX *md = EVP_MD_CTX_new();

	if (md == NULL || !EVP_DigestInit_ex(md, EVP_sha1(), NULL) ||
	    !EVP_DigestUpdate(md, key.p, key.n) ||
	    !EVP_DigestUpdate(md, guid.p, guid.n) ||
	    !EVP_DigestFinal_ex(md, digest, NULL))
		fatalx("SHA-1 is not available");
	EVP_MD_CTX_free(md);
	EVP_EncodeBlock((unsigned char *)out, digest, sizeof(digest));
}

void
ws_make_key(char out[25])
{
	unsigned char nonce[16];

	random_bytes(nonce, sizeof(nonce));
	EVP_EncodeBlock((unsigned char *)out, nonce, sizeof(nonce));
}
