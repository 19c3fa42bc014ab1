/*
 * Contexts of TLS: certificates out of memory, the choice among them by the
 * name that a client asks for, and session tickets that every process with
 * the same keys can open.
 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "common/alloc.h"
#include "common/crypto.h"
#include "common/ids.h"
#include "common/tls_private.h"

#define CIPHERS_12 "ECDHE+AESGCM:ECDHE+CHACHA20"

/* Lives as long as the last session of it: the callbacks look here. */
struct tls_context {
	unsigned refs;
	struct tls_ticket_keys tickets;
	size_t n;
	SSL_CTX *each[]; /* one a certificate */
};

const char *
tls_last_error(void)
{
	unsigned long e = ERR_peek_last_error();
	const char *why = e != 0 ? ERR_reason_error_string(e) : NULL;

	ERR_clear_error();
	return (why != NULL ? why : "unknown error");
}

/* ---- tickets ------------------------------------------------------------- */

void
tls_ticket_keys_make(struct tls_ticket_keys *k)
{
	random_bytes(k, sizeof(*k));
}

void
tls_ticket_keys_rotate(struct tls_ticket_keys *k)
{
	k->keys[1] = k->keys[0];
	random_bytes(&k->keys[0], sizeof(k->keys[0]));
}

static bool
use_key(const struct tls_ticket_key *key, unsigned char *iv, EVP_CIPHER_CTX *c,
    EVP_MAC_CTX *m, bool seal)
{
	char digest[] = "SHA256";
	uint8_t mac[sizeof(key->mac)];
	OSSL_PARAM params[] = {
	    OSSL_PARAM_octet_string(OSSL_MAC_PARAM_KEY, mac, sizeof(mac)),
	    OSSL_PARAM_utf8_string(
		OSSL_MAC_PARAM_DIGEST, digest, sizeof(digest) - 1),
	    OSSL_PARAM_END};
	bool ok;

	memcpy(mac, key->mac, sizeof(mac));
	ok = EVP_MAC_CTX_set_params(m, params) == 1 &&
	     EVP_CipherInit_ex(c, EVP_aes_256_cbc(), NULL, key->cipher, iv,
		 seal ? 1 : 0) == 1;
	crypto_wipe(mac, sizeof(mac));
	return (ok);
}

static const struct tls_context *context_of(SSL *);

/* 1: used; 2: used, and the client gets a new ticket; 0: not known. */
static int
on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *c,
    EVP_MAC_CTX *m, int seal)
{
	const struct tls_ticket_key *keys = context_of(ssl)->tickets.keys;
	int i;

	if (seal) {
		memcpy(name, keys[0].name, sizeof(keys[0].name));
		if (RAND_bytes(
			iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1)
			return (-1);
		return (use_key(&keys[0], iv, c, m, true) ? 1 : -1);
	}
	for (i = 0; i < 2; i++) {
		if (crypto_equal(name, keys[i].name, sizeof(keys[i].name)))
			return (
			    use_key(&keys[i], iv, c, m, false) ? i + 1 : -1);
	}
	return (0);
}

/* ---- what a client asks for ---------------------------------------------- */

static const struct tls_context *
context_of(SSL *ssl)
{
	return (SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
}

static int
on_name(SSL *ssl, int *alert, void *arg)
{
	const struct tls_context *c = context_of(ssl);
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	size_t i;

	for (i = 0; name != NULL && i < c->n; i++) {
		if (X509_check_host(SSL_CTX_get0_certificate(c->each[i]), name,
			0, 0, NULL) != 1)
			continue;
		SSL_set_SSL_CTX(ssl, c->each[i]);
		break;
	}
	return (SSL_TLSEXT_ERR_OK);
}

/* Who speaks no HTTP/1.1 is told so before a byte of anything else. */
static int
on_protocols(SSL *ssl, const unsigned char **out, unsigned char *outlen,
    const unsigned char *in, unsigned inlen, void *arg)
{
	static const unsigned char ours[] = "\x08http/1.1";
	unsigned char *chosen;

	if (SSL_select_next_proto(&chosen, outlen, ours, sizeof(ours) - 1, in,
		inlen) != OPENSSL_NPN_NEGOTIATED)
		return (SSL_TLSEXT_ERR_ALERT_FATAL);
	*out = chosen;
	return (SSL_TLSEXT_ERR_OK);
}

/* ---- certificates -------------------------------------------------------- */

static int __attribute__((format(printf, 3, 4)))
refuse(char *error, size_t cap, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error, cap, fmt, ap);
	va_end(ap);
	ERR_clear_error();
	return (-1);
}

/* A key that is locked is refused: nobody is there to be asked. */
static int
no_password(char *buf, int size, int writing, void *arg)
{
	return (-1);
}

static BIO *
reader_of(struct span pem)
{
	return (BIO_new_mem_buf(pem.p, (int)pem.n));
}

static X509 *
next_certificate(BIO *in)
{
	return (PEM_read_bio_X509_AUX(in, NULL, no_password, NULL));
}

/* The end of the file, and not a block that is broken. */
static bool
is_end(void)
{
	unsigned long e = ERR_peek_last_error();

	return (ERR_GET_LIB(e) == ERR_LIB_PEM &&
		ERR_GET_REASON(e) == PEM_R_NO_START_LINE);
}

static int
take_chain(SSL_CTX *ctx, const struct tls_pair *p, char *error, size_t cap)
{
	BIO *in = reader_of(p->certificate);
	X509 *x = next_certificate(in);
	int r = -1;

	if (x == NULL) {
		refuse(error, cap, "%s: no certificate in PEM form",
		    p->certificate_name);
	} else if (SSL_CTX_use_certificate(ctx, x) != 1) {
		refuse(error, cap, "%s: %s", p->certificate_name,
		    tls_last_error());
	} else {
		r = 0;
		X509_free(x);
		while ((x = next_certificate(in)) != NULL)
			SSL_CTX_add0_chain_cert(ctx, x);
		if (!is_end())
			r = refuse(error, cap,
			    "%s: a broken certificate in its chain",
			    p->certificate_name);
	}
	X509_free(x);
	BIO_free(in);
	ERR_clear_error();
	return (r);
}

static int
take_key(SSL_CTX *ctx, const struct tls_pair *p, char *error, size_t cap)
{
	BIO *in = reader_of(p->key);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(in, NULL, no_password, NULL);
	int r = 0;

	BIO_free(in);
	if (key == NULL)
		return (refuse(error, cap,
		    "%s: no key in PEM form without a password", p->key_name));
	if (X509_check_private_key(SSL_CTX_get0_certificate(ctx), key) != 1)
		r = refuse(error, cap, "%s: does not belong to %s", p->key_name,
		    p->certificate_name);
	else if (SSL_CTX_use_PrivateKey(ctx, key) != 1)
		r = refuse(error, cap, "%s: %s", p->key_name, tls_last_error());
	EVP_PKEY_free(key);
	return (r);
}

time_t
tls_certificate_end(struct span pem)
{
	BIO *in = reader_of(pem);
	X509 *x = next_certificate(in);
	time_t end = 0;
	struct tm tm;

	if (x != NULL && ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm) == 1)
		end = timegm(&tm);
	X509_free(x);
	BIO_free(in);
	ERR_clear_error();
	return (end);
}

/* ---- contexts ------------------------------------------------------------ */

/* Memory alone can be missing here, or OpenSSL a part of itself. */
static SSL_CTX *
bare_context(struct tls_context *c)
{
	static const unsigned char id[] = "hubd";
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (ctx == NULL)
		return (NULL);
	SSL_CTX_set_app_data(ctx, c);
	SSL_CTX_set_options(
	    ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
	/* One read a record: not its length first, then the rest. */
	SSL_CTX_set_read_ahead(ctx, 1);
	/* A write that waits may find its bytes at another address. */
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS |
				  SSL_MODE_ENABLE_PARTIAL_WRITE |
				  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_max_early_data(ctx, 0);
	SSL_CTX_set_tlsext_servername_callback(ctx, on_name);
	SSL_CTX_set_alpn_select_cb(ctx, on_protocols, NULL);
	/* without an id of its own no session is taken up by another */
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
	    SSL_CTX_set_cipher_list(ctx, CIPHERS_12) == 1 &&
	    SSL_CTX_set_session_id_context(ctx, id, sizeof(id) - 1) == 1 &&
	    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket) == 1)
		return (ctx);
	SSL_CTX_free(ctx);
	return (NULL);
}

static int
add_pair(
    struct tls_context *c, const struct tls_pair *p, char *error, size_t cap)
{
	SSL_CTX *ctx = bare_context(c);

	if (ctx == NULL)
		return (refuse(error, cap, "TLS: %s", tls_last_error()));
	c->each[c->n++] = ctx;
	if (take_chain(ctx, p, error, cap) == -1)
		return (-1);
	return (take_key(ctx, p, error, cap));
}

struct tls_context *
tls_context_new(const struct tls_pair *pairs, size_t n,
    const struct tls_ticket_keys *tickets, char *error, size_t cap)
{
	struct tls_context *c = xcalloc(1, sizeof(*c) + n * sizeof(c->each[0]));
	size_t i;

	assert(n > 0);
	c->refs = 1;
	c->tickets = *tickets;
	for (i = 0; i < n; i++) {
		if (add_pair(c, &pairs[i], error, cap) == 0)
			continue;
		tls_context_free(c);
		return (NULL);
	}
	return (c);
}

struct ssl_ctx_st *
tls_context_use(struct tls_context *c)
{
	c->refs++;
	return (c->each[0]);
}

void
tls_context_free(struct tls_context *c)
{
	if (c == NULL || --c->refs > 0)
		return;
	while (c->n > 0)
		SSL_CTX_free(c->each[--c->n]);
	crypto_wipe(&c->tickets, sizeof(c->tickets));
	free(c);
}
