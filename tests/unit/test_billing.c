/*
 * The billing process itself, over SQLite: woken by messages, killed at any
 * moment, asked by several at once.
 */
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/json.h"
#include "common/log.h"
#include "hubd/billing/billing.h"
#include "hubd/billing/errand.h"
#include "hubd/billing/offspring.h"
#include "hubd/ctlproto.h"
#include "shm/cells.h"
#include "shm/pubtab.h"
#include "tests/unit/shm_fixture.h"

#define DEADLINE_MS 20000
#define CALLS	    2000
#define KILLS	    12

/* Changes nothing, and says what the account has. */
#define ENABLE "{\"cmd\":\"account enable\",\"args\":{\"name\":\"acme\"}}\n"

static struct hub_conf conf;
static char store_name[] = "sqlite";
static struct hub_fds fds;
static process_ref_t worker;
static int queue_out, order_out; /* a byte in it: the order to drain */
static int order_in;
static pid_t billing_pid;
static uint32_t billing_row;

/* ---- what hubd's child.c does for a real one ----------------------------- */

static void
on_order(void *arg, int what)
{
	struct hub_child *child = arg;
	char c;

	if (read(order_in, &c, 1) == 1)
		child->on_drain(child);
}

void
child_attach(struct hub_child *child)
{
	loop_io_want(
	    loop_io_new(child->loop, order_in, on_order, child), LOOP_READ);
}

bool
child_send(struct hub_child *child, uint32_t type, const void *p, size_t n)
{
	return (true);
}

bool
child_send_head(
    struct hub_child *child, const struct hubmsg_head *head, const void *p)
{
	return (true);
}

void
hub_conf_free(struct hub_conf *c)
{
}

/* This program is no hubd that could be executed again. */
struct errand *
errand_start(struct billing *b, struct span line, int client,
    void (*ended)(void *arg), void *arg, const char **why)
{
	*why = "no errands here";
	return (NULL);
}

void
errand_end(struct errand *e)
{
	ck_assert_ptr_null(e);
}

struct offspring *
offspring_start(struct billing *b, enum offspring_kind kind, int client)
{
	return (NULL);
}

int
offspring_socket(const struct offspring *o)
{
	return (-1);
}

void
offspring_end(struct offspring *o)
{
	ck_assert_ptr_null(o);
}

/* ---- processes ----------------------------------------------------------- */

static void
billing_process(process_ref_t me)
{
	struct hub_child child = {.role = ROLE_BILLING,
	    .me = me,
	    .shm = fixture,
	    .fds = fds,
	    .conf = &conf,
	    .loop = loop_new()};

	log_init("billing", LOG_LEVEL_ERR);
	_exit(billing_main(&child));
}

static void
start_billing(void)
{
	process_ref_t me = fixture_process(ROLE_BILLING);

	billing_row = me.row;
	billing_pid = fork();
	ck_assert_int_ne(billing_pid, -1);
	if (billing_pid == 0)
		billing_process(me);
}

static void
kill_billing(void)
{
	int status;

	if (billing_pid == 0)
		return;
	ck_assert_int_eq(kill(billing_pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(billing_pid, &status, 0), billing_pid);
	ck_assert(WIFSIGNALED(status));
	process_died(fixture, billing_row);
}

/* ---- hubctl -------------------------------------------------------------- */

static struct sockaddr_un
control_address(void)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	const char *path = fixture_path(CTL_SOCKET);

	ck_assert_uint_lt(strlen(path), sizeof(sun.sun_path));
	memcpy(sun.sun_path, path, strlen(path));
	return (sun);
}

static int
connect_control(void)
{
	struct sockaddr_un sun = control_address();
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	return (fd);
}

/* Reads to the end; the document is the caller's to free. */
static struct json *
read_answer(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	struct json *answer;
	struct buf in;
	ssize_t n;

	buf_init(&in);
	do {
		ck_assert_int_eq(poll(&p, 1, DEADLINE_MS), 1);
		n = read(fd, buf_reserve(&in, 65536), 65536);
		ck_assert_int_ge(n, 0);
		buf_commit(&in, (size_t)n);
	} while (n > 0);
	close(fd);
	answer = json_parse(buf_span(&in), NULL, 0);
	ck_assert_ptr_nonnull(answer);
	buf_fini(&in);
	return (answer);
}

static struct json *
ask(const char *request)
{
	int fd = connect_control();

	ck_assert_int_eq(
	    write(fd, request, strlen(request)), (ssize_t)strlen(request));
	return (read_answer(fd));
}

static void
must(const char *request)
{
	struct json *answer = ask(request);
	const char *error = json_get_str(answer, "error");

	ck_assert_msg(error == NULL, "%s", error);
	json_free(answer);
}

/* ---- set-up -------------------------------------------------------------- */

static void
listen_control(void)
{
	struct sockaddr_un sun = control_address();

	fds.control =
	    socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(
	    bind(fds.control, (struct sockaddr *)&sun, sizeof(sun)), 0);
	ck_assert_int_eq(listen(fds.control, 64), 0);
}

static void
write_prices(void)
{
	FILE *f = fopen(fixture_path("prices.json"), "w");

	ck_assert_ptr_nonnull(f);
	fputs("{\"m\":{\"input_cost_per_token\":1.5e-06}}", f);
	fclose(f);
	conf.prices.item[0] = xstrdup(fixture_path("prices.json"));
	conf.prices.n = 1;
}

static void
set_up(void)
{
	static char sqlite[] = "sqlite";
	int queue[2], order[2];

	fixture_set_up();
	memset(&conf, 0, sizeof(conf));
	conf.run_dir = conf.state_dir = fixture_dir;
	conf.store = store_name;
	conf.store = sqlite;
	write_prices();
	ck_assert_int_eq(
	    socketpair(
		AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, queue),
	    0);
	memset(&fds, 0, sizeof(fds));
	ck_assert_int_eq(pipe2(order, O_NONBLOCK | O_CLOEXEC), 0);
	order_in = order[0];
	order_out = order[1];
	fds.queue = queue[0];
	queue_out = queue[1];
	fds.wake[0] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	fds.nwake = 1;
	listen_control();
	worker = fixture_process(ROLE_WORKER);
	start_billing();
	must("{\"cmd\":\"account add\",\"args\":{\"name\":\"acme\","
	     "\"credit\":\"5\"}}\n");
	must("{\"cmd\":\"key add\",\"args\":{\"account\":\"acme\"}}\n");
	must("{\"cmd\":\"agent add\",\"args\":{\"name\":\"e\"}}\n");
}

static void
tear_down(void)
{
	static const char *const files[] = {
	    "prices.json", CTL_SOCKET, "hubd.db", "hubd.db-wal", "hubd.db-shm"};
	size_t i;

	kill_billing();
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlink(fixture_path(files[i]));
	close(fds.queue);
	close(queue_out);
	close(order_in);
	close(order_out);
	close(fds.control);
	close(fds.wake[0]);
	free(conf.prices.item[0]);
	fixture_tear_down();
}

/* ---- a worker ------------------------------------------------------------ */

static void
fill(struct call_fixed *f, struct call_route *r, struct call_progress *p)
{
	static uint64_t id;

	memset(f, 0, sizeof(*f));
	memset(r, 0, sizeof(*r));
	memset(p, 0, sizeof(*p));
	id++;
	memcpy(f->id.b, &id, sizeof(id));
	f->time_ms = walltime_ms();
	f->time_ns = monotime_now().ns;
	f->price_version = 1;
	f->account = f->key = 1;
	strcpy(f->endpoint, "chat.completions");
	r->agent = r->attempts = 1;
	strcpy(r->provider, "openai");
	strcpy(r->model, "m");
	p->usage.n[USAGE_input] = 1;
	p->outcome = OUTCOME_COMPLETE;
	p->status = 200;
}

/* What commands have woken the worker for. */
static void
drop_wake(void)
{
	struct pollfd p = {.fd = fds.wake[0], .events = POLLIN};
	eventfd_t n;

	if (poll(&p, 1, 0) == 1)
		ck_assert_int_eq(eventfd_read(fds.wake[0], &n), 0);
}

/* A whole call; false: the table is full. */
static bool
one_call(bool tell, call_ref_t *ref)
{
	struct queue_message m = {.magic = QUEUE_MAGIC};
	struct call_fixed f;
	struct call_route r;
	struct call_progress p;
	static uint32_t hint;
	struct call_row *row;

	if (!call_take(fixture, worker.row, &hint, ref))
		return (false);
	fill(&f, &r, &p);
	row = call_at(fixture, *ref);
	call_open(row, &f);
	call_set_route(row, &r);
	drop_wake();
	call_final(row, &p);
	m.index = ref->index;
	m.generation = ref->generation;
	if (tell)
		(void)send(queue_out, &m, sizeof(m), MSG_DONTWAIT);
	return (true);
}

static void
await_wake(void)
{
	struct pollfd p = {.fd = fds.wake[0], .events = POLLIN};
	eventfd_t n;

	ck_assert_int_eq(poll(&p, 1, DEADLINE_MS), 1);
	ck_assert_int_eq(eventfd_read(fds.wake[0], &n), 0);
}

/* Frees what is BOOKED; returns how many. */
static unsigned
free_booked(void)
{
	struct call_row *rows = call_rows(fixture);
	unsigned n = 0;
	uint32_t i;

	for (i = 0; i < fixture_sizes.max_calls; i++)
		if (call_is_booked(&rows[i])) {
			call_free(&rows[i]);
			n++;
		}
	return (n);
}

static void
balance_is(const char *balance, const char *spent)
{
	struct json *answer = ask(ENABLE);
	const struct json *a =
	    json_get(json_get(answer, "data"), "accounts")->first;

	ck_assert_str_eq(json_get_str(a, "balance"), balance);
	ck_assert_str_eq(json_get_str(a, "spent"), spent);
	json_free(answer);
}

/* ---- tests --------------------------------------------------------------- */

START_TEST(a_message_gets_its_call_booked_and_the_worker_woken)
{
	struct pub_account a;
	call_ref_t ref;

	ck_assert(one_call(true, &ref));
	await_wake();
	ck_assert(call_is_booked(call_at(fixture, ref)));
	ck_assert(pub_account_read(fixture, 0, &a));
	ck_assert_str_eq(a.balance, "4.9999985");
	ck_assert_int_eq(atomic_load(pub_available(fixture, 0)), 4999998500);
}
END_TEST

START_TEST(a_lost_message_costs_a_sweep)
{
	call_ref_t ref;

	ck_assert(one_call(false, &ref));
	await_wake();
	ck_assert(call_is_booked(call_at(fixture, ref)));
	ck_assert_uint_eq(counter_sum(fixture, COUNT_swept), 1);
}
END_TEST

/* As an errand reads them, beside billing. */
static void
books_are_clean(uint64_t rows)
{
	char error[256] = "";
	struct ledger *l =
	    ledger_sqlite.open_to_read(fixture_dir, error, sizeof(error));
	struct ledger_audit a;

	ck_assert_msg(l != NULL, "%s", error);
	ck_assert_int_eq(ledger_sqlite.audit(l, true, &a), LEDGER_OK);
	ck_assert_uint_eq(a.rows, rows);
	ck_assert_msg(a.bad_rows + a.bad_accounts == 0, "%s", a.first_bad);
	ck_assert_str_eq(a.ledger_sum, a.charges_sum);
	ledger_sqlite.close(l);
}

START_TEST(kills_at_any_moment_bill_every_call_once)
{
	unsigned made = 0, booked = 0, kills = 0;
	call_ref_t ref;

	while (booked < CALLS) {
		while (made < CALLS && one_call(made % 7 != 0, &ref))
			made++;
		if (kills < KILLS && booked >= CALLS / KILLS * kills) {
			kill_billing();
			start_billing();
			kills++;
		}
		await_wake();
		booked += free_booked();
	}
	ck_assert_uint_eq(kills, KILLS);
	balance_is("4.997", "0.003");
	books_are_clean(CALLS);
	ck_assert_uint_eq(atomic_load(&shm_pub_state(fixture)->suspense), 0);
}
END_TEST

START_TEST(draining_books_what_is_there_and_ends_well)
{
	call_ref_t ref[10];
	int i, status;

	ck_assert_int_eq(kill(billing_pid, SIGSTOP), 0);
	for (i = 0; i < 10; i++)
		ck_assert(one_call(i % 2 == 0, &ref[i]));
	ck_assert_int_eq(write(order_out, "", 1), 1);
	ck_assert_int_eq(kill(billing_pid, SIGCONT), 0);
	ck_assert_int_eq(waitpid(billing_pid, &status, 0), billing_pid);
	billing_pid = 0;
	ck_assert_int_eq(status, 0);
	for (i = 0; i < 10; i++)
		ck_assert(call_is_booked(call_at(fixture, ref[i])));
}
END_TEST

START_TEST(several_clients_are_served_and_slow_ones_disturb_nobody)
{
	static const char request[] = ENABLE;
	struct json *answer;
	int slow[8], i;

	for (i = 0; i < 8; i++) {
		slow[i] = connect_control();
		ck_assert_int_eq(write(slow[i], request, 5), 5);
	}
	balance_is("5", "0");
	for (i = 0; i < 8; i++) {
		ck_assert_int_eq(
		    write(slow[i], request + 5, sizeof(request) - 6),
		    (ssize_t)sizeof(request) - 6);
		answer = read_answer(slow[i]);
		ck_assert_int_eq(json_get_int(answer, "status", -1), 0);
		json_free(answer);
	}
}
END_TEST

START_TEST(idle_clients_keep_nobody_out)
{
	int idle[200], i;

	for (i = 0; i < 200; i++)
		idle[i] = connect_control();
	balance_is("5", "0");
	for (i = 0; i < 200; i++)
		close(idle[i]);
	balance_is("5", "0");
}
END_TEST

START_TEST(a_request_without_end_is_cut_off)
{
	struct pollfd p = {.events = POLLIN | POLLHUP};
	char junk[4096], c;
	int i;

	p.fd = connect_control();
	memset(junk, 'x', sizeof(junk));
	for (i = 0; i < 16; i++)
		ck_assert_int_gt(
		    send(p.fd, junk, sizeof(junk), MSG_NOSIGNAL), 0);
	ck_assert_int_eq(poll(&p, 1, DEADLINE_MS), 1);
	ck_assert_int_le(read(p.fd, &c, 1), 0);
	close(p.fd);
	balance_is("5", "0");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("billing");
	TCase *t = tcase_create("billing");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, a_message_gets_its_call_booked_and_the_worker_woken);
	tcase_add_test(t, a_lost_message_costs_a_sweep);
	tcase_add_test(t, kills_at_any_moment_bill_every_call_once);
	tcase_add_test(t, draining_books_what_is_there_and_ends_well);
	tcase_add_test(
	    t, several_clients_are_served_and_slow_ones_disturb_nobody);
	tcase_add_test(t, idle_clients_keep_nobody_out);
	tcase_add_test(t, a_request_without_end_is_cut_off);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return (failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}
