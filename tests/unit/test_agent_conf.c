/* agentd.conf: defaults, and what is refused with which words. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "agentd/agent_conf.h"
#include "agentd/provider.h"
#include "common/buf.h"
#include "tests/unit/upstream_fake.h"

#define HEAD "name = \"edge-1\"\ntoken = \"agt-1\"\n"
#define HUBS "hubs = {\"wss://hub.example.com\"}\n"
#define PROVIDER                                                         \
	"provider \"openai\" {\n type = \"openai\"\n"                    \
	" base_url = \"https://api.openai.com/v1\"\n api_key = \"sk\"\n" \
	" models = {\"gpt-*\", \"o*\"}\n}\n"

static char error[512];

static struct agent_conf *
parse(const char *text)
{
	error[0] = '\0';
	return (agent_conf_parse(
	    "agentd.conf", span_str(text), error, sizeof(error)));
}

START_TEST(a_short_file_gets_its_defaults)
{
	struct agent_conf *c = parse(HEAD HUBS PROVIDER);

	ck_assert_msg(c != NULL, "%s", error);
	ck_assert_str_eq(c->name, "edge-1");
	ck_assert_uint_eq(c->hubs.n, 1);
	ck_assert_str_eq(c->hubs.item[0], "wss://hub.example.com/agent/link");
	ck_assert_uint_eq(c->links, 2);
	ck_assert_uint_eq(c->capacity, 256);
	ck_assert_ptr_null(c->ui);
	ck_assert(!c->plaintext);
	ck_assert_int_eq(c->link_max_age_ms, 86400000);
	ck_assert_uint_eq(c->nproviders, 1);
	ck_assert_ptr_eq(c->providers[0].type, &provider_openai);
	ck_assert_uint_eq(c->providers[0].models.n, 2);
	ck_assert_uint_eq(c->providers[0].weight, 1);
	ck_assert_ptr_eq(agent_conf_provider(c, "openai"), &c->providers[0]);
	ck_assert_ptr_null(agent_conf_provider(c, "azure"));
	agent_conf_unref(agent_conf_ref(c));
	agent_conf_unref(c);
}
END_TEST

static const struct {
	const char *text, *why;
} refused[] = {
    {HUBS PROVIDER, "name"},
    {HEAD PROVIDER, "hubs"},
    {HEAD HUBS, "no provider"},
#define MISSING 2
    {HEAD HUBS PROVIDER PROVIDER, "openai"},
    {HEAD HUBS PROVIDER "linkz = 2\n", "linkz"},
    {HEAD HUBS PROVIDER "links = 2\nlinks = 3\n", "given before"},
    {HEAD HUBS PROVIDER "links = 0\n", "links"},
    {HEAD HUBS PROVIDER "links = 010\n", "links"},
    {HEAD HUBS PROVIDER "capacity = 100000\n", "capacity"},
    {HEAD HUBS PROVIDER "ui = \"8090\"\n", "ui"},
    {HEAD HUBS PROVIDER "ui = \"127.0.0.1:http\"\n", "ui"},
    {HEAD HUBS PROVIDER "ui = \"127.0.0.1:0\"\n", "from 1 to 65535"},
    {HEAD HUBS PROVIDER "ca_file = \"/nonexistent\"\n", "ca_file"},
    {HEAD HUBS PROVIDER "link_max_age = \"1 fortnight\"\n", "link_max_age"},
    {HEAD HUBS PROVIDER "ca_file = \"/dev/null\"\n", "no certificates"},
    {"name = \"a b\"\ntoken = \"t\"\n" HUBS PROVIDER, "name"},
    {"name = \"a\"\ntoken = \"t\\r\\nX: y\"\n" HUBS PROVIDER, "token"},
    {"name = \"a\"\ntoken = \"${NO_SUCH_VARIABLE_HERE}\"\n" HUBS PROVIDER,
	"NO_SUCH_VARIABLE_HERE"},
    {HEAD "hubs = {\"https://hub\"}\n" PROVIDER, "ws://"},
    {HEAD "hubs = {\"ws://hub.example.com\"}\n" PROVIDER, "plaintext"},
    {HEAD "hubs = {\"ws://127.evil.example\"}\n" PROVIDER, "plaintext"},
    {HEAD "hubs = {\"ws://localhost.evil.example\"}\n" PROVIDER, "plaintext"},
    {HEAD "hubs = {\"ws://user@127.0.0.1\"}\n" PROVIDER, "characters"},
    {HEAD "hubs = {\"wss://\"}\n" PROVIDER, "host"},
    {HEAD HUBS "provider \"x\" {\n type = \"acme\"\n models = {\"*\"}\n}\n",
	"no provider type"},
    {HEAD HUBS "provider \"x\" {\n type = \"openai\"\n"
	       " models = {\"*\"}\n}\n",
	"base_url"},
    {HEAD HUBS "provider \"x\" {\n type = \"openai\"\n"
	       " base_url = \"ftp://h\"\n models = {\"*\"}\n}\n",
	"base_url"},
    {HEAD HUBS "provider \"x\" {\n type = \"openai\"\n"
	       " base_url = \"https://h\"\n}\n",
	"models"},
#define FOREIGN(line)                                           \
	HEAD HUBS "provider \"x\" {\n type = \"openai\"\n" line \
		  "\n base_url = \"https://h\"\n models = {\"*\"}\n}\n"
    {FOREIGN("tenant = \"t\""), "has tenant, which type openai has not"},
    {FOREIGN("client_id = \"t\""), "has client_id"},
    {FOREIGN("client_secret = \"t\""), "has client_secret"},
    {FOREIGN("authority = \"t\""), "has authority"},
    {FOREIGN("api_version = \"t\""), "has api_version"},
    {FOREIGN("project = \"t\""), "has project"},
    {FOREIGN("location = \"t\""), "has location"},
    {FOREIGN("service_account = \"/dev/null\""), "has service_account"},
    {FOREIGN("metadata = true"), "has metadata"},
    {FOREIGN("region = \"t\""), "has region"},
    {FOREIGN("access_key = \"t\""), "has access_key"},
    {FOREIGN("secret_key = \"t\""), "has secret_key"},
    {FOREIGN("session_token = \"t\""), "has session_token"},
    {FOREIGN("bearer = \"t\""), "has bearer"},
    {FOREIGN("proxy = \"ftp://h\""), "proxy: is no http://"},
    {FOREIGN("proxy = \"socks5://\""), "proxy: names no host"},
    {HEAD HUBS PROVIDER "proxy = \"htp://h:3128\"\n", "proxy: is no http://"},
    {FOREIGN("location = \"a/b\""), "location"},
    {FOREIGN("region = \"a.evil.example\""), "region"},
    {FOREIGN("tenant = \"a/b\""), "tenant"},
    {FOREIGN("service_account = \"/nonexistent\""), "cannot be read"},
    {HEAD HUBS "provider \"x y\" {\n type = \"openai\"\n"
	       " base_url = \"https://h\"\n models = {\"*\"}\n}\n",
	"x y"},
};

static bool
has_line(const char *why)
{
	const char *colon = strchr(why, ':');

	return (colon != NULL && colon[1] >= '1' && colon[1] <= '9');
}

START_TEST(what_is_wrong_is_named)
{
	struct agent_conf *c = parse(refused[_i].text);

	ck_assert_msg(c == NULL, "%s", refused[_i].text);
	ck_assert_msg(strstr(error, refused[_i].why) != NULL,
	    "\"%s\" does not name \"%s\"", error, refused[_i].why);
	/* what is missing at the top has no line */
	ck_assert_msg(_i <= MISSING || has_line(error), "%s", error);
}
END_TEST

START_TEST(a_refused_secret_is_not_repeated)
{
	ck_assert_ptr_null(
	    parse("name = \"a\"\n"
		  "token = \"secret with blanks\"\n" HUBS PROVIDER));
	ck_assert_ptr_null(strstr(error, "secret"));
}
END_TEST

static const struct {
	const char *url;
	bool plaintext;
	const char *full;
} hubs[] = {
    {"wss://hub", false, "wss://hub/agent/link"},
    {"wss://hub/", false, "wss://hub/agent/link"},
    {"wss://hub:8443", false, "wss://hub:8443/agent/link"},
    {"wss://hub/agent/link", false, "wss://hub/agent/link"},
    {"wss://proxy/team/agent/link", false, "wss://proxy/team/agent/link"},
    {"ws://127.0.0.1:8080", false, "ws://127.0.0.1:8080/agent/link"},
    {"ws://localhost:8080/", false, "ws://localhost:8080/agent/link"},
    {"ws://[::1]:8080", false, "ws://[::1]:8080/agent/link"},
    {"ws://10.0.0.1", true, "ws://10.0.0.1/agent/link"},
    {"ws://10.0.0.1", false, NULL},
    {"ws://[::2]", false, NULL},
    {"ws://[::1", false, NULL},
    {"http://hub", false, NULL},
    {"hub.example.com", false, NULL},
    {"wss://hub/a b", false, NULL},
    {"wss://hub/x?y", false, NULL},
    {"wss:///agent/link", false, NULL},
    {"wss://hub:70000", false, NULL},
    {"wss://hub:0", false, NULL},
    {"wss://hub:", false, NULL},
    {"wss://hub:443x", false, NULL},
    {"wss://[fd00::7]8443", false, NULL},
    {"wss://[fd00::7]:8443", false, "wss://[fd00::7]:8443/agent/link"},
};

START_TEST(a_hub_url_is_completed_or_refused)
{
	const char *why;
	char *full = agent_conf_hub_url(hubs[_i].url, hubs[_i].plaintext, &why);

	if (hubs[_i].full == NULL) {
		ck_assert_msg(full == NULL, "%s", hubs[_i].url);
		ck_assert_ptr_nonnull(why);
		return;
	}
	ck_assert_msg(full != NULL, "%s: %s", hubs[_i].url, why);
	ck_assert_str_eq(full, hubs[_i].full);
	free(full);
}
END_TEST

/* A section of each type, and what it lacks; NULL: nothing. */
static const struct {
	const char *text, *why;
} typed[] = {
    {"type = \"azure\"\n base_url = \"https://h\"\n api_key = \"k\"", NULL},
    {"type = \"azure\"\n base_url = \"https://h\"\n tenant = \"t\"\n"
     " client_id = \"i\"\n client_secret = \"s\"\n"
     " api_version = \"2024-10-21\"\n authority = \"http://127.0.0.1:1\"",
	NULL},
    {"type = \"azure\"\n base_url = \"https://h\"", "neither api_key"},
    {"type = \"azure\"\n base_url = \"https://h\"\n api_key = \"k\"\n"
     " project = \"p\"",
	"project, which type azure has not"},
    {"type = \"anthropic\"\n api_key = \"k\"", NULL},
    {"type = \"anthropic\"", "api_key is missing"},
    {"type = \"google\"\n api_key = \"k\"", NULL},
    {"type = \"google\"\n metadata = true\n project = \"p\"\n"
     " location = \"global\"",
	NULL},
    {"type = \"google\"", "none of api_key"},
    {"type = \"google\"\n service_account = \"/dev/null\"",
	"service_account is not JSON"},
};

START_TEST(a_section_has_what_its_type_wants)
{
	struct buf b = {0};
	struct agent_conf *c;

	buf_addf(&b, HEAD HUBS "provider \"x\" {\n %s\n models = {\"*\"}\n}\n",
	    typed[_i].text);
	c = parse(buf_cstr(&b));
	if (typed[_i].why == NULL) {
		ck_assert_msg(c != NULL, "%s", error);
	} else {
		ck_assert_ptr_null(c);
		ck_assert_msg(has_line(error), "%s", error);
		ck_assert_msg(
		    strstr(error, typed[_i].why) != NULL, "%s", error);
	}
	agent_conf_unref(c);
	buf_fini(&b);
}
END_TEST

START_TEST(the_sample_file_is_valid)
{
	struct agent_conf *c;

	setenv("AGENT_TOKEN", "agt-1", 1);
	setenv("OPENAI_API_KEY", "sk-1", 1);
	c = agent_conf_load("etc/agentd.conf", error, sizeof(error));
	ck_assert_msg(c != NULL, "%s", error);
	agent_conf_unref(c);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("agent_conf");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_test(t, a_short_file_gets_its_defaults);
	tcase_add_loop_test(
	    t, what_is_wrong_is_named, 0, sizeof(refused) / sizeof(refused[0]));
	tcase_add_test(t, a_refused_secret_is_not_repeated);
	tcase_add_loop_test(t, a_hub_url_is_completed_or_refused, 0,
	    sizeof(hubs) / sizeof(hubs[0]));
	tcase_add_loop_test(t, a_section_has_what_its_type_wants, 0,
	    sizeof(typed) / sizeof(typed[0]));
	tcase_add_test(t, the_sample_file_is_valid);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return (failed == 0 ? 0 : 1);
}
