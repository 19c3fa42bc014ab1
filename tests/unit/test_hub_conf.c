/* hubd.conf: what is taken, what each role sees, what a reload changes. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hubd/address.h"
#include "hubd/hub_conf.h"

static char path[64];
static char error[256];

static void
write_conf(const char *text)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static struct hub_conf *
read_conf(const char *text)
{
	struct hub_conf *c;

	write_conf(text);
	c = hub_conf_read(path, error, sizeof(error));
	ck_assert_msg(c != NULL, "%s", error);
	return (c);
}

static void
set_up(void)
{
	int fd;

	strcpy(path, "/tmp/hubd-conf.XXXXXX");
	ck_assert_int_ge(fd = mkstemp(path), 0);
	close(fd);
}

static void
tear_down(void)
{
	unlink(path);
}

START_TEST(an_empty_file_is_a_hub)
{
	struct hub_conf *c = read_conf("");

	ck_assert_str_eq(c->listen.item[0], "127.0.0.1:8080");
	ck_assert_str_eq(c->run_dir, "/run/hubd");
	ck_assert_uint_ge(c->workers, 1);
	ck_assert_uint_eq(c->max_calls, 65536);
	ck_assert_int_eq(c->timeout.header, 5000);
	ck_assert_int_eq(c->timeout.total, 3600000);
	ck_assert_int_eq(c->on_disconnect, DISCONNECT_CANCEL);
	ck_assert(!c->on_disconnect_set);
	ck_assert_uint_eq(c->log_level, 2);
	ck_assert_ptr_null(c->user);
	hub_conf_free(c);
}
END_TEST

START_TEST(the_sample_file_is_taken)
{
	struct hub_conf *c =
	    hub_conf_read("etc/hubd.conf", error, sizeof(error));

	ck_assert_msg(c != NULL, "%s", error);
	hub_conf_free(c);
}
END_TEST

START_TEST(a_store_may_be_postgresql)
{
	static const char *const urls[] = {
	    "postgresql://hub:%40x@db:5432/hub?sslmode=verify-full",
	    "postgres:///hub?host=/run/postgresql"};
	struct hub_conf *c;
	char text[128];

	snprintf(text, sizeof(text), "store = \"%s\"", urls[_i]);
	write_conf(text);
	c = hub_conf_read(path, error, sizeof(error));
	ck_assert_msg(c != NULL, "%s", error);
	ck_assert_str_eq(c->store, urls[_i]);
	hub_conf_free(c);
}
END_TEST

static const struct {
	const char *text, *says;
} bad[] = {
    {"\nstore = \"postgresql:x\"", ":2: store: must be \"sqlite\" or"},
    {"store = \"postgresql://h/a b\"", "store: must have %XX"},
    {"store = \"postgres://u:%2@h/d\"", "store: must have two hexadecimal"},
    {"store = \"postgresql://u:pw@h/d?nosuch=1\"",
	"store: must be postgresql://user:password@host"},
    {"store = \"postgresql://u:p@w@h/d\"", "store: must be postgresql://user"},
    {"limits = global", ":1: limits: must be \"local\", redis://"},
    {"limits = \"rediss://h:6379/0\"", "limits: asks for TLS"},
    {"limits = \"redis://h:0\"", "limits: has a port that is not from 1 to"},
    {"limit_share = 0", "limit_share: must be from 1 to 100"},
    {"limit_timeout = 0", "limit_timeout: must be from 1ms to 10s"},
    {"store = mysql", "must be \"sqlite\""},
    {"tls {\ncertificate = {a, b}\nkey = c\n}", "each certificate has its key"},
    {"tls { key = c }", "each certificate has its key"},
    {"\ntls { certificate = {} }", ":2: certificate: must not be empty"},
    {"listen = {}", "must not be empty"},
    {"listen = {\"h:1\", \"h:2\", \"h:1\"}", "h:1 is listened on twice"},
    {"listen = \"h:1\"\nadmin_listen = \"h:1\"", "h:1 is listened on"},
    {"listen = \"8080\"", "host:port"},
    {"listen = \"h:0\"", "a port is"},
    {"listen = \"h:65536\"", "a port is"},
    {"listen = \"::1:80\"", "brackets"},
    {"max_body = 2g", "max_body: must be from 1k to 1g"},
    {"body_memory = 1k", "body_memory: must be at least 1m"},
    {"limit_lease = 2999ms", "limit_lease: must be from 3s to 10m"},
    {"route \"a\" { retries = 1 }", "route \"a\": models is missing"},
    {"workers = 65", "workers: must be from 0 to 64"},
    {"max_calls = 1", "max_calls: must be from 16"},
    {"timeout { total = 0 }", "total: must be from 1ms to 36525d"},
    {"unpriced = maybe", "must be one of: refuse free"},
    {"max_body = 1g", "max_body is larger than body_memory"},
    {"listen = {a:1,b:1,c:1,d:1,e:1,f:1,g:1,h:1,i:1}", "more than 8"},
};

START_TEST(what_cannot_work_is_refused)
{
	struct hub_conf *c;

	write_conf(bad[_i].text);
	c = hub_conf_read(path, error, sizeof(error));
	ck_assert_ptr_null(c);
	ck_assert_msg(strstr(error, bad[_i].says) != NULL, "%s", error);
	ck_assert_int_eq(strncmp(error, path, strlen(path)), 0);
}
END_TEST

static struct hub_conf *
part(const struct hub_conf *c, enum process_role role)
{
	struct hub_conf *p;
	struct buf text = {0};

	hub_conf_serialise(c, role, &text);
	p = hub_conf_deserialise(buf_ptr(&text), buf_len(&text));
	ck_assert_ptr_nonnull(p);
	buf_fini(&text);
	return (p);
}

START_TEST(a_role_sees_its_part_alone)
{
	struct hub_conf *c = read_conf("on_disconnect = drain\n"
				       "timeout { idle = 7 } user = root");
	struct hub_conf *w = part(c, ROLE_WORKER);
	struct hub_conf *b = part(c, ROLE_BILLING);
	struct hub_conf *a = part(c, ROLE_ADMIN);

	ck_assert(w->on_disconnect_set && w->on_disconnect == 1);
	ck_assert_int_eq(w->timeout.idle, 7000);
	ck_assert_ptr_null(w->store);
	ck_assert_ptr_null(w->state_dir);
	ck_assert_ptr_null(w->user);
	ck_assert_uint_eq(w->prices.n, 0);
	ck_assert_str_eq(b->store, "sqlite");
	ck_assert_uint_eq(b->prices.n, 1);
	ck_assert_uint_eq(b->max_body, 0);
	ck_assert_str_eq(a->run_dir, "/run/hubd");
	ck_assert_ptr_null(a->store);
	hub_conf_free(c);
	hub_conf_free(w);
	hub_conf_free(b);
	hub_conf_free(a);
}
END_TEST

static char told[256];

static void
tell(const char *option)
{
	strcat(strcat(told, option), " ");
}

START_TEST(a_reload_changes_what_is_live)
{
	struct hub_conf *old = read_conf("workers = 2");
	struct hub_conf *fresh = read_conf(
	    "workers = 3 listen = \"*:80\" hold = soft\n"
	    "prices = {a, b} timeout { drain = 1 } default_route = m");
	struct hub_conf *c;

	told[0] = '\0';
	c = hub_conf_merge(old, fresh, tell);
	ck_assert_str_eq(told, "listen workers ");
	ck_assert_uint_eq(c->workers, 2);
	ck_assert_str_eq(c->listen.item[0], "127.0.0.1:8080");
	ck_assert_int_eq(c->hold, HOLD_SOFT);
	ck_assert_uint_eq(c->prices.n, 2);
	ck_assert_int_eq(c->timeout.drain, 1000);
	ck_assert_str_eq(c->default_route, "m");
	ck_assert_str_eq(c->path, path);
	hub_conf_free(old);
	hub_conf_free(fresh);
	hub_conf_free(c);
}
END_TEST

/* A line that is of another version, and one that is not there yet. */
START_TEST(a_successor_takes_what_it_knows_and_the_rest_from_the_file)
{
	struct hub_conf *old = read_conf("workers = 3 listen = {\"*:80\", "
					 "\"*:81\"} timeout { idle = 7 }\n"
					 "on_disconnect = drain\n"
					 "route fast { models = {a, b} }");
	struct hub_conf *file = read_conf("workers = 5 listen = \"*:90\"\n"
					  "timeout { idle = 9 drain = 4 }\n"
					  "max_calls = 77 hold = soft");
	struct buf text = {0}, less = {0};
	struct hub_conf *c;
	const char *line, *end;

	hub_conf_serialise(old, ROLE_MASTER, &text);
	buf_add(&text, "", 1);
	for (line = buf_ptr(&text); *line != '\0'; line = end + 1) {
		end = strchr(line, '\n');
		if (strncmp(line, "max_calls=", 10) != 0 &&
		    strncmp(line, "timeout.drain=", 14) != 0)
			buf_add(&less, line, (size_t)(end + 1 - line));
	}
	buf_addstr(&less, "of_tomorrow=1\ntimeout.moon=2\nsky[0]=x\n");
	c = hub_conf_inherit(buf_ptr(&less), buf_len(&less), file);
	ck_assert_uint_eq(c->workers, 3);
	ck_assert_uint_eq(c->listen.n, 2);
	ck_assert_str_eq(c->listen.item[1], "*:81");
	ck_assert_int_eq(c->timeout.idle, 7000);
	ck_assert_int_eq(c->timeout.drain, 4000);
	ck_assert_uint_eq(c->max_calls, 77);
	ck_assert_int_eq(c->hold, HOLD_STRICT);
	ck_assert(c->on_disconnect_set && c->on_disconnect == 1);
	ck_assert_uint_eq(c->nroutes, 1);
	ck_assert_uint_eq(c->routes[0].models.n, 2);
	ck_assert_str_eq(c->store, "sqlite");
	hub_conf_free(c);
	c = hub_conf_inherit(buf_ptr(&less), buf_len(&less), NULL);
	ck_assert_uint_eq(c->workers, 3);
	ck_assert_uint_eq(c->max_calls, 0);
	hub_conf_free(c);
	hub_conf_free(old);
	hub_conf_free(file);
	buf_fini(&text);
	buf_fini(&less);
}
END_TEST

START_TEST(addresses_are_found)
{
	struct sockaddr_storage ss;
	const char *why;
	socklen_t len;

	ck_assert_int_eq(address_resolve("127.0.0.2:1", &ss, &len, &why), 0);
	ck_assert(address_is_loopback(&ss));
	ck_assert_int_eq(address_resolve("[::1]:80", &ss, &len, &why), 0);
	ck_assert(address_is_loopback(&ss));
	ck_assert_int_eq(address_resolve("*:80", &ss, &len, &why), 0);
	ck_assert(!address_is_loopback(&ss));
	ck_assert_int_eq(address_resolve("10.0.0.1:80", &ss, &len, &why), 0);
	ck_assert(!address_is_loopback(&ss));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("hub_conf");
	TCase *tc = tcase_create("hub_conf");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, an_empty_file_is_a_hub);
	tcase_add_test(tc, the_sample_file_is_taken);
	tcase_add_loop_test(tc, a_store_may_be_postgresql, 0, 2);
	tcase_add_loop_test(
	    tc, what_cannot_work_is_refused, 0, sizeof(bad) / sizeof(bad[0]));
	tcase_add_test(tc, a_role_sees_its_part_alone);
	tcase_add_test(tc, a_reload_changes_what_is_live);
	tcase_add_test(
	    tc, a_successor_takes_what_it_knows_and_the_rest_from_the_file);
	tcase_add_test(tc, addresses_are_found);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return (failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}
