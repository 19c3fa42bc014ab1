/* The transport of a connection with TLS: OpenSSL over the socket itself. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "common/alloc.h"
#include "common/tls_private.h"

struct tls {
	SSL *ssl;
	struct tls_context *context;
	bool dry;	/* of what was read in advance no record is whole */
	bool broken;	/* nothing may be said any more */
	bool half_sent; /* a record has left in part */
	bool ended;	/* we have said that nothing will follow */
};

/* ---- the handshake ------------------------------------------------------- */

struct tls *
tls_accept(struct tls_context *context, int fd)
{
	struct tls *t = xcalloc(1, sizeof(*t));

	t->ssl = SSL_new(tls_context_use(context));
	t->context = context;
	if (t->ssl == NULL || SSL_set_fd(t->ssl, fd) != 1)
		t->broken = true;
	else
		SSL_set_accept_state(t->ssl);
	ERR_clear_error();
	return (t);
}

enum tls_step
tls_handshake(struct tls *t, const char **why)
{
	int r;

	if (t->broken) {
		*why = "no memory";
		return (TLS_FAILED);
	}
	ERR_clear_error();
	if ((r = SSL_do_handshake(t->ssl)) == 1)
		return (TLS_DONE);
	switch (SSL_get_error(t->ssl, r)) {
	case SSL_ERROR_WANT_READ:
		return (TLS_WANT_READ);
	case SSL_ERROR_WANT_WRITE:
		return (TLS_WANT_WRITE);
	case SSL_ERROR_SSL:
		*why = tls_last_error();
		break;
	default:
		*why = "the peer is gone";
	}
	ERR_clear_error();
	t->broken = true;
	return (TLS_FAILED);
}

bool
tls_resumed(const struct tls *t)
{
	return (SSL_session_reused(t->ssl) == 1);
}

/* ---- the transport ------------------------------------------------------- */

/* Of a call that moved no byte. An end without a close_notify is an error:
 * the peer is gone, and nothing more will come or go. */
static ssize_t
result_of(struct tls *t, int r)
{
	switch (SSL_get_error(t->ssl, r)) {
	case SSL_ERROR_WANT_READ:
		return (CONN_IO_WANT_READ);
	case SSL_ERROR_WANT_WRITE:
		return (CONN_IO_WANT_WRITE);
	case SSL_ERROR_ZERO_RETURN:
		return (CONN_IO_EOF);
	default:
		t->broken = true;
		ERR_clear_error();
		return (CONN_IO_ERROR);
	}
}

static int
capped(size_t n)
{
	return (n < INT_MAX ? (int)n : INT_MAX);
}

static ssize_t
tls_read(void *state, int fd, void *p, size_t n)
{
	struct tls *t = state;
	int r;

	if (t->broken)
		return (CONN_IO_ERROR);
	ERR_clear_error();
	r = SSL_read(t->ssl, p, capped(n));
	t->dry = r <= 0;
	return (r > 0 ? r : result_of(t, r));
}

/* Records until the socket is full. */
static ssize_t
tls_write(void *state, int fd, const void *p, size_t n)
{
	struct tls *t = state;
	const char *from = p;
	size_t done = 0;
	ssize_t r = 0;

	if (t->broken)
		return (CONN_IO_ERROR);
	while (done < n) {
		ERR_clear_error();
		r = SSL_write(t->ssl, from + done, capped(n - done));
		t->half_sent = r <= 0;
		if (r <= 0) {
			r = result_of(t, (int)r);
			break;
		}
		done += (size_t)r;
	}
	/* what is broken the next call tells */
	return (done > 0	   ? (ssize_t)done
		: r == CONN_IO_EOF ? CONN_IO_ERROR
				   : r);
}

/* Half a record, read in advance, is nothing to come back for at once: the
 * socket will tell of the other half. */
static bool
tls_pending(void *state)
{
	struct tls *t = state;

	return (!t->broken && !t->dry && SSL_has_pending(t->ssl) == 1);
}

/* close_notify; false if the socket has no room for it. */
static bool
say_goodbye(struct tls *t)
{
	int r;

	if (t->broken || t->ended || t->half_sent ||
	    !SSL_is_init_finished(t->ssl))
		return (true);
	ERR_clear_error();
	r = SSL_shutdown(t->ssl);
	if (r < 0 && SSL_get_error(t->ssl, r) == SSL_ERROR_WANT_WRITE)
		return (false);
	ERR_clear_error();
	t->ended = true;
	return (true);
}

static bool
tls_end(void *state, int fd)
{
	if (!say_goodbye(state))
		return (false);
	shutdown(fd, SHUT_WR);
	return (true);
}

void
tls_free(struct tls *t)
{
	if (t->ssl != NULL) {
		(void)say_goodbye(t);
		SSL_free(t->ssl);
	}
	tls_context_free(t->context);
	free(t);
}

static void
tls_free_state(void *state)
{
	tls_free(state);
}

const struct conn_transport conn_tls = {
    .read = tls_read,
    .write = tls_write,
    .pending = tls_pending,
    .end = tls_end,
    .free = tls_free_state,
};
