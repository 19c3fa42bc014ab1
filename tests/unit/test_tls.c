/* TLS of a server: contexts, tickets, and the transport over a socket pair,
 * against a client of OpenSSL's own. */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "common/tls.h"

#define STEPS 100 /* a handshake takes fewer */

static char error[256];

/* ---- certificates -------------------------------------------------------- */

struct made {
	char certificate[4096], key[4096];
};

static void
to_text(BIO *b, char *out, size_t cap)
{
	int n = BIO_read(b, out, (int)cap - 1);

	ck_assert_int_gt(n, 0);
	out[n] = '\0';
	BIO_free(b);
}

static void
make(struct made *m, const char *name)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	X509_NAME *subject = X509_get_subject_name(x);
	BIO *b;

	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
	    (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(x, subject);
	X509_set_pubkey(x, key);
	ck_assert_int_gt(X509_sign(x, key, EVP_sha256()), 0);
	b = BIO_new(BIO_s_mem());
	PEM_write_bio_X509(b, x);
	to_text(b, m->certificate, sizeof(m->certificate));
	b = BIO_new(BIO_s_mem());
	PEM_write_bio_PrivateKey(b, key, NULL, NULL, 0, NULL, NULL);
	to_text(b, m->key, sizeof(m->key));
	X509_free(x);
	EVP_PKEY_free(key);
}

static struct made one, other;
static struct tls_ticket_keys tickets;

static struct tls_pair
pair_of(const char *certificate, const char *key)
{
	return ((struct tls_pair){.certificate = span_str(certificate),
	    .key = span_str(key),
	    .certificate_name = "a.pem",
	    .key_name = "a.key"});
}

static struct tls_context *
context(void)
{
	struct tls_pair pairs[2] = {pair_of(one.certificate, one.key),
	    pair_of(other.certificate, other.key)};
	struct tls_context *c =
	    tls_context_new(pairs, 2, &tickets, error, sizeof(error));

	ck_assert_msg(c != NULL, "%s", error);
	return (c);
}

/* ---- a connection -------------------------------------------------------- */

static struct {
	SSL_CTX *ctx;
	SSL *ssl;
	int near, far;
	struct tls *tls;
} t;

/* Both sides by turns; true if both are done. */
static bool
shake(void)
{
	enum tls_step step = TLS_WANT_READ;
	const char *why;
	int i, r = 0;

	for (i = 0; i < STEPS && (r != 1 || step != TLS_DONE); i++) {
		if (r != 1)
			r = SSL_do_handshake(t.ssl);
		if (step != TLS_DONE)
			step = tls_handshake(t.tls, &why);
		if (step == TLS_FAILED)
			break;
	}
	ERR_clear_error();
	return (r == 1 && step == TLS_DONE);
}

static void
begin(struct tls_context *c, const char *name, SSL_SESSION *session)
{
	int fd[2], size = 4096;

	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	t.near = fd[0];
	t.far = fd[1];
	t.ctx = SSL_CTX_new(TLS_client_method());
	t.ssl = SSL_new(t.ctx);
	SSL_set_fd(t.ssl, t.far);
	SSL_set_connect_state(t.ssl);
	if (name != NULL)
		SSL_set_tlsext_host_name(t.ssl, name);
	if (session != NULL)
		SSL_set_session(t.ssl, session);
	t.tls = tls_accept(c, t.near);
}

static void
hang_up(void)
{
	if (t.far != -1)
		close(t.far);
	t.far = -1;
}

static void
end(void)
{
	if (t.tls != NULL)
		tls_free(t.tls);
	SSL_free(t.ssl);
	SSL_CTX_free(t.ctx);
	close(t.near);
	hang_up();
	ERR_clear_error();
}

/* Everything that is there for the client; it counts up from *next. */
static size_t
client_reads(unsigned char *next)
{
	unsigned char p[5000];
	size_t n = 0;
	int r, i;

	while ((r = SSL_read(t.ssl, p, sizeof(p))) > 0) {
		for (i = 0; i < r; i++)
			ck_assert_uint_eq(p[i], (*next)++);
		n += (size_t)r;
	}
	return (n);
}

static void
set_up(void)
{
	signal(SIGPIPE, SIG_IGN);
	if (one.key[0] == '\0') {
		make(&one, "one.example");
		make(&other, "other.example");
	}
	tls_ticket_keys_make(&tickets);
}

/* ---- contexts ------------------------------------------------------------ */

START_TEST(a_key_of_another_certificate_is_refused)
{
	struct tls_pair p = pair_of(one.certificate, other.key);

	ck_assert_ptr_null(
	    tls_context_new(&p, 1, &tickets, error, sizeof(error)));
	ck_assert_str_eq(error, "a.key: does not belong to a.pem");
}
END_TEST

static const struct {
	const char *certificate, *key, *says;
} broken[] = {
    {"", one.key, "a.pem: no certificate"},
    {"nonsense\n", one.key, "a.pem: no certificate"},
    {one.key, one.key, "a.pem: no certificate"},
    {one.certificate, "", "a.key: no key"},
    {one.certificate, one.certificate, "a.key: no key"},
};

START_TEST(files_that_are_none_are_refused)
{
	struct tls_pair p = pair_of(broken[_i].certificate, broken[_i].key);

	ck_assert_ptr_null(
	    tls_context_new(&p, 1, &tickets, error, sizeof(error)));
	ck_assert_msg(
	    strncmp(error, broken[_i].says, strlen(broken[_i].says)) == 0, "%s",
	    error);
}
END_TEST

START_TEST(a_broken_chain_is_refused)
{
	char text[8192];
	struct tls_pair p;

	snprintf(text, sizeof(text),
	    "%s-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
	    one.certificate);
	p = pair_of(text, one.key);
	ck_assert_ptr_null(
	    tls_context_new(&p, 1, &tickets, error, sizeof(error)));
	ck_assert_str_eq(error, "a.pem: a broken certificate in its chain");
}
END_TEST

START_TEST(the_end_of_a_certificate_is_told)
{
	time_t end = tls_certificate_end(span_str(one.certificate));

	ck_assert_int_gt(end, time(NULL) + 3000);
	ck_assert_int_le(end, time(NULL) + 3600);
	ck_assert_int_eq(tls_certificate_end(SPAN("none")), 0);
}
END_TEST

static const char *const asked[][2] = {
    {NULL, "one.example"},
    {"other.example", "other.example"},
    {"one.example", "one.example"},
    {"third.example", "one.example"},
};

START_TEST(the_name_chooses_the_certificate)
{
	struct tls_context *c = context();
	X509 *x;

	begin(c, asked[_i][0], NULL);
	tls_context_free(c); /* the session keeps it */
	ck_assert(shake());
	x = SSL_get1_peer_certificate(t.ssl);
	ck_assert_int_eq(X509_check_host(x, asked[_i][1], 0, 0, NULL), 1);
	X509_free(x);
	end();
}
END_TEST

START_TEST(an_older_version_gets_no_session)
{
	struct tls_context *c = context();

	begin(c, NULL, NULL);
	SSL_set_cipher_list(t.ssl, "DEFAULT@SECLEVEL=0");
	SSL_set_min_proto_version(t.ssl, TLS1_VERSION);
	SSL_set_max_proto_version(t.ssl, TLS1_1_VERSION);
	ck_assert(!shake());
	end();
	tls_context_free(c);
}
END_TEST

/* ---- tickets ------------------------------------------------------------- */

/* A session with a context of its own, as in another process: was it taken
 * up again? next is what a client would use the next time. */
static bool
resume(SSL_SESSION *session, SSL_SESSION **next, int version, const char *name)
{
	struct tls_context *c = context();
	unsigned char from = 0;
	bool resumed;

	begin(c, name, session);
	SSL_set_min_proto_version(t.ssl, version);
	SSL_set_max_proto_version(t.ssl, version);
	ck_assert(shake());
	client_reads(&from);
	resumed = SSL_session_reused(t.ssl) == 1;
	ck_assert_int_eq(resumed, tls_resumed(t.tls));
	if (next != NULL) {
		*next = SSL_get1_session(t.ssl);
		ck_assert_int_eq(SSL_SESSION_is_resumable(*next), 1);
	}
	SSL_shutdown(t.ssl); /* else its session is bad for it */
	end();
	tls_context_free(c);
	return (resumed);
}

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

START_TEST(a_ticket_is_good_for_two_keys)
{
	SSL_SESSION *first, *second;
	int v = versions[_i];

	ck_assert(!resume(NULL, &first, v, NULL));
	ck_assert(resume(first, NULL, v, NULL));
	tls_ticket_keys_rotate(&tickets);
	/* taken, and a new one given */
	ck_assert(resume(first, &second, v, NULL));
	tls_ticket_keys_rotate(&tickets);
	ck_assert(!resume(first, NULL, v, NULL));
	ck_assert(resume(second, NULL, v, NULL));
	tls_ticket_keys_make(&tickets);
	ck_assert(!resume(second, NULL, v, NULL));
	SSL_SESSION_free(first);
	SSL_SESSION_free(second);
}
END_TEST

START_TEST(a_ticket_is_good_for_a_certificate_chosen_by_name)
{
	SSL_SESSION *first;
	int v = versions[_i];

	ck_assert(!resume(NULL, &first, v, "other.example"));
	ck_assert(resume(first, NULL, v, "other.example"));
	SSL_SESSION_free(first);
}
END_TEST

/* ---- the transport ------------------------------------------------------- */

static void
open_session(void)
{
	struct tls_context *c = context();
	unsigned char from = 0;

	begin(c, NULL, NULL);
	tls_context_free(c);
	ck_assert(shake());
	ck_assert_uint_eq(client_reads(&from), 0);
}

START_TEST(what_is_left_of_a_record_is_told)
{
	char p[8];

	open_session();
	ck_assert_int_eq(conn_tls.read(t.tls, t.near, p, 8), CONN_IO_WANT_READ);
	ck_assert_int_eq(SSL_write(t.ssl, "abc", 3), 3);
	ck_assert(!conn_tls.pending(t.tls));
	ck_assert_int_eq(conn_tls.read(t.tls, t.near, p, 1), 1);
	ck_assert(conn_tls.pending(t.tls));
	ck_assert_int_eq(conn_tls.read(t.tls, t.near, p + 1, 7), 2);
	ck_assert(!conn_tls.pending(t.tls));
	ck_assert_int_eq(memcmp(p, "abc", 3), 0);
	end();
}
END_TEST

/* Read in advance, half a record must not be asked for again and again. */
START_TEST(half_a_record_waits_for_the_socket)
{
	BIO *wire = BIO_new(BIO_s_mem());
	char p[8], *bytes;
	long n;

	open_session();
	SSL_set0_wbio(t.ssl, wire);
	ck_assert_int_eq(SSL_write(t.ssl, "abc", 3), 3);
	ck_assert_int_eq(SSL_write(t.ssl, "def", 3), 3);
	n = BIO_get_mem_data(wire, &bytes);
	ck_assert_int_eq(write(t.far, bytes, (size_t)n - 10), n - 10);
	ck_assert_int_eq(conn_tls.read(t.tls, t.near, p, 8), 3);
	ck_assert(conn_tls.pending(t.tls));
	ck_assert_int_eq(conn_tls.read(t.tls, t.near, p, 8), CONN_IO_WANT_READ);
	ck_assert(!conn_tls.pending(t.tls));
	ck_assert_int_eq(write(t.far, bytes + n - 10, 10), 10);
	ck_assert_int_eq(conn_tls.read(t.tls, t.near, p, 8), 3);
	ck_assert_int_eq(memcmp(p, "def", 3), 0);
	ck_assert(!conn_tls.pending(t.tls));
	end();
}
END_TEST

START_TEST(an_announced_end_is_one)
{
	char p[8];

	open_session();
	SSL_shutdown(t.ssl);
	ck_assert_int_eq(conn_tls.read(t.tls, t.near, p, 8), CONN_IO_EOF);
	/* the other direction goes on */
	ck_assert_int_eq(conn_tls.write(t.tls, t.near, "\0\1", 2), 2);
	end();
}
END_TEST

START_TEST(an_end_without_a_word_is_a_failure)
{
	char p[8];

	open_session();
	hang_up();
	ck_assert_int_eq(conn_tls.read(t.tls, t.near, p, 8), CONN_IO_ERROR);
	ck_assert_int_eq(conn_tls.write(t.tls, t.near, p, 8), CONN_IO_ERROR);
	ck_assert(conn_tls.end(t.tls, t.near));
	end();
}
END_TEST

/* From another address at each try, as a buffer that grew. */
START_TEST(a_full_socket_loses_and_repeats_nothing)
{
	enum { SIZE = 300000 };
	unsigned char *p = malloc(SIZE), *copy, next = 0;
	size_t sent = 0, seen = 0, waits = 0, i;
	ssize_t n;

	for (i = 0; i < SIZE; i++)
		p[i] = (unsigned char)i;
	open_session();
	while (seen < SIZE) {
		copy = malloc(SIZE - sent + 1);
		memcpy(copy, p + sent, SIZE - sent);
		n = sent == SIZE
			? 0
			: conn_tls.write(t.tls, t.near, copy, SIZE - sent);
		free(copy);
		if (n == CONN_IO_WANT_WRITE)
			waits++;
		else
			ck_assert_int_ge(n, 0);
		sent += n > 0 ? (size_t)n : 0;
		seen += client_reads(&next);
	}
	ck_assert_uint_eq(seen, SIZE);
	ck_assert_uint_eq(sent, SIZE);
	ck_assert_uint_gt(waits, 0);
	free(p);
	end();
}
END_TEST

/* Whole records until there is no room for one byte more. */
static void
fill(void)
{
	static unsigned char next;

	while (conn_tls.write(t.tls, t.near, &next, 1) == 1)
		next++;
}

START_TEST(a_record_sent_in_part_is_not_followed_by_the_end)
{
	unsigned char next = 0;

	open_session();
	fill();
	tls_free(t.tls);
	t.tls = NULL;
	close(t.near);
	client_reads(&next);
	ck_assert_int_eq(SSL_get_shutdown(t.ssl) & SSL_RECEIVED_SHUTDOWN, 0);
	end();
}
END_TEST

START_TEST(the_end_waits_for_room)
{
	static const char raw[65536];
	unsigned char next = 0;
	char drain[4096];
	ssize_t n;
	size_t stuffed = 0;

	open_session();
	/* the peer's side of the socket is full of what is not TLS */
	while ((n = send(t.near, raw, 512, MSG_NOSIGNAL)) > 0)
		stuffed += (size_t)n;
	ck_assert(!conn_tls.end(t.tls, t.near));
	while (stuffed > 0) {
		n = read(t.far, drain, stuffed < 4096 ? stuffed : 4096);
		ck_assert_int_gt(n, 0);
		stuffed -= (size_t)n;
	}
	ck_assert(conn_tls.end(t.tls, t.near));
	client_reads(&next);
	ck_assert_int_ne(SSL_get_shutdown(t.ssl) & SSL_RECEIVED_SHUTDOWN, 0);
	end();
}
END_TEST

START_TEST(freeing_it_announces_the_end)
{
	unsigned char next = 0;

	open_session();
	tls_free(t.tls);
	t.tls = NULL;
	client_reads(&next);
	ck_assert_int_ne(SSL_get_shutdown(t.ssl) & SSL_RECEIVED_SHUTDOWN, 0);
	end();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("tls");
	TCase *tc = tcase_create("tls");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, set_up, NULL);
	tcase_add_test(tc, a_key_of_another_certificate_is_refused);
	tcase_add_loop_test(tc, files_that_are_none_are_refused, 0,
	    sizeof(broken) / sizeof(broken[0]));
	tcase_add_test(tc, a_broken_chain_is_refused);
	tcase_add_test(tc, the_end_of_a_certificate_is_told);
	tcase_add_loop_test(tc, the_name_chooses_the_certificate, 0,
	    sizeof(asked) / sizeof(asked[0]));
	tcase_add_test(tc, an_older_version_gets_no_session);
	tcase_add_loop_test(tc, a_ticket_is_good_for_two_keys, 0, 2);
	tcase_add_loop_test(
	    tc, a_ticket_is_good_for_a_certificate_chosen_by_name, 0, 2);
	tcase_add_test(tc, what_is_left_of_a_record_is_told);
	tcase_add_test(tc, half_a_record_waits_for_the_socket);
	tcase_add_test(tc, an_announced_end_is_one);
	tcase_add_test(tc, an_end_without_a_word_is_a_failure);
	tcase_add_test(tc, a_full_socket_loses_and_repeats_nothing);
	tcase_add_test(tc, a_record_sent_in_part_is_not_followed_by_the_end);
	tcase_add_test(tc, the_end_waits_for_room);
	tcase_add_test(tc, freeing_it_announces_the_end);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return (failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}
