/* admin_listen's HTTP server, asked over real sockets. */
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "common/loop.h"
#include "common/monotime.h"
#include "hubd/admin/admin.h"
#include "tests/unit/shm_fixture.h"

static struct sockaddr_in address;
static pid_t server;
static char got[65536];

/* What admin_main() does once it is set up, until it is killed. */
static void
serve(int listener, process_ref_t me)
{
	static struct hub_conf conf = {
	    .timeout = {.header = 300, .write = 300, .keepalive = 300}};
	struct hub_child child = {.me = me, .shm = fixture, .conf = &conf};

	child.loop = loop_new();
	child.fds.listen[0] = listener;
	child.fds.nlisten = 1;
	http_start(&child);
	loop_run(child.loop);
	_exit(1);
}

static void
start(void)
{
	socklen_t n = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	address = (struct sockaddr_in){
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	ck_assert_int_eq(
	    bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(fd, 512), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &n), 0);
	if ((server = fork()) == 0)
		serve(fd, fixture_process(ROLE_ADMIN));
	close(fd);
}

static void
stop(void)
{
	int status;

	kill(server, SIGKILL);
	waitpid(server, &status, 0);
	ck_assert(WIFSIGNALED(status));
}

static int
dial(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(
	    connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return (fd);
}

/* Reads until the server closes, 10 s at most; the text is in got. */
static void
read_to_end(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	size_t at = 0;
	ssize_t n;

	for (;;) {
		ck_assert_int_eq(poll(&p, 1, 10000), 1);
		n = read(fd, got + at, sizeof(got) - at - 1);
		if (n <= 0)
			break;
		at += (size_t)n;
	}
	got[at] = '\0';
	close(fd);
}

static void
ask(const char *request)
{
	int fd = dial();

	ck_assert_int_eq(
	    write(fd, request, strlen(request)), (ssize_t)strlen(request));
	read_to_end(fd);
}

static void
expect(const char *request, const char *status_line)
{
	ask(request);
	ck_assert_msg(strncmp(got, status_line, strlen(status_line)) == 0,
	    "%s: %s", request, got);
	ck_assert_ptr_nonnull(strstr(got, "\r\nx-request-id: "));
}

#define GET(path) \
	"GET " path " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

START_TEST(paths_have_their_answers)
{
	start();
	expect(GET("/healthz"), "HTTP/1.1 200 ");
	ck_assert_ptr_nonnull(
	    strstr(got, "\r\ncontent-type: application/json"));
	ck_assert_ptr_nonnull(strstr(got, "{\"status\":\"ok\""));
	expect(GET("/healthz?verbose"), "HTTP/1.1 200 ");
	expect(GET("/readyz"), "HTTP/1.1 503 ");
	expect(GET("/metrics"), "HTTP/1.1 200 ");
	ck_assert_ptr_nonnull(strstr(got, "version=0.0.4"));
	ck_assert_ptr_nonnull(strstr(got, "\nhubd_workers 0\n"));
	expect(GET("/"), "HTTP/1.1 404 ");
	stop();
}
END_TEST

START_TEST(what_is_no_simple_get_is_refused)
{
	start();
	expect("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
	    "HTTP/1.1 405 ");
	expect("GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n",
	    "HTTP/1.1 400 ");
	expect("GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 505 ");
	expect("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 ");
	expect("\x16\x03\x01 nonsense\r\n\r\n", "HTTP/1.1 400 ");
	stop();
}
END_TEST

START_TEST(a_head_has_no_body_and_requests_follow_each_other)
{
	char *second;

	start();
	expect("HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n" GET("/healthz"),
	    "HTTP/1.1 200 ");
	second = strstr(got, "\r\n\r\n") + 4;
	ck_assert_int_eq(strncmp(second, "HTTP/1.1 200 ", 13), 0);
	ck_assert_ptr_nonnull(strstr(second, "{\"status\""));
	stop();
}
END_TEST

START_TEST(d13_bytes_that_drip_do_not_move_the_deadline)
{
	monotime_t begin = monotime_now();
	struct pollfd p = {.events = POLLIN};

	start();
	p.fd = dial();
	/* a byte each 50 ms: the connection ends all the same */
	while (poll(&p, 1, 50) == 0) {
		ck_assert_int_eq(send(p.fd, "G", 1, MSG_NOSIGNAL), 1);
		ck_assert_int_lt(monotime_diff_ms(monotime_now(), begin), 5000);
	}
	close(p.fd);
	stop();
}
END_TEST

START_TEST(d13_an_idle_connection_ends)
{
	static const char request[] =
	    "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
	int fd;

	start();
	fd = dial();
	ck_assert_int_eq(
	    write(fd, request, sizeof(request) - 1), sizeof(request) - 1);
	read_to_end(fd);
	ck_assert_int_eq(strncmp(got, "HTTP/1.1 200 ", 13), 0);
	stop();
}
END_TEST

START_TEST(many_silent_connections_do_not_keep_others_out)
{
	int fds[400], i;

	start();
	for (i = 0; i < 400; i++)
		fds[i] = dial();
	expect(GET("/healthz"), "HTTP/1.1 200 ");
	for (i = 0; i < 400; i++)
		close(fds[i]);
	stop();
}
END_TEST

static void
add(TCase *tc)
{
	tcase_add_test(tc, paths_have_their_answers);
	tcase_add_test(tc, what_is_no_simple_get_is_refused);
	tcase_add_test(tc, a_head_has_no_body_and_requests_follow_each_other);
	tcase_add_test(tc, d13_bytes_that_drip_do_not_move_the_deadline);
	tcase_add_test(tc, d13_an_idle_connection_ends);
	tcase_add_test(tc, many_silent_connections_do_not_keep_others_out);
}

int
main(void)
{
	return (fixture_main("admin_http", add));
}
