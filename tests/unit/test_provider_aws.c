/* Bedrock: URLs, signatures, where keys come from, whose fault a refusal is. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "agentd/agent_conf.h"
#include "agentd/aws_url.h"
#include "agentd/provider.h"
#include "agentd/sigv4.h"
#include "agentd/token.h"
#include "common/log.h"
#include "tests/unit/upstream_fake.h"

#define NOON INT64_C(1795867200) /* Sat, 28 Nov 2026 12:00:00 GMT */

/* The wall clock stands still where the test puts it. */
static time_t wall;

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	if (id != CLOCK_REALTIME)
		return ((int)syscall(SYS_clock_gettime, id, ts));
	*ts = (struct timespec){.tv_sec = wall};
	return (0);
}

/* ---- the bench ------------------------------------------------------------
 */

static struct provider_conf conf;
static char section[] = "aws", region[] = "eu-west-1";
static char access_key[] = "AKID", secret_key[] = "secret";
static struct loop *loop;
static struct loop_timer *stop;

static void
on_stop(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

/* Runs what is due now. */
static void
turn(void)
{
	loop_timer_set_ms(stop, 0);
	loop_run(loop);
}

static void
setup(void)
{
	static const char *const variables[] = {"AWS_ACCESS_KEY_ID",
	    "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE",
	    "AWS_SHARED_CREDENTIALS_FILE", "AWS_REGION", "AWS_DEFAULT_REGION",
	    "AWS_BEARER_TOKEN_BEDROCK",
	    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
	    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
	    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
	    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
	    "AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_EC2_METADATA_DISABLED"};
	size_t i;

	for (i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		unsetenv(variables[i]);
	setenv("HOME", "/nonexistent", 1);
	log_init("test", LOG_LEVEL_ERR);
	wall = NOON;
	loop = loop_new();
	stop = loop_timer_new(loop, on_stop, NULL);
}

static void
teardown(void)
{
	credential_free(conf.credential);
	provider_aws.release(&conf);
	loop_timer_free(stop);
	loop_free(loop);
}

/* The section is complete, and gets its credential if it has one. */
static void
begin(struct provider_conf c)
{
	struct credential_options o = {
	    .loop = loop, .name = "aws", .proxy = "http://proxy"};
	const char *why = NULL;

	conf = c;
	conf.name = section;
	ck_assert_msg(provider_aws.check(&conf, &why), "%s", why);
	conf.credential = provider_aws.credential(&conf, &o);
}

static void
begin_with_keys(void)
{
	begin((struct provider_conf){.region = region,
	    .access_key = access_key,
	    .secret_key = secret_key});
}

/* ---- URLs -----------------------------------------------------------------
 */

#define OWN "https://bedrock-runtime.eu-west-1.amazonaws.com"

static const struct {
	const char *base, *region, *model, *url, *host; /* url NULL: refused */
} urls[] = {
    {NULL, "eu-west-1", "m", OWN "/model/m/converse",
	"bedrock-runtime.eu-west-1.amazonaws.com"},
    {NULL, "cn-north-1", "m",
	"https://bedrock-runtime.cn-north-1.amazonaws.com.cn/model/m/converse",
	"bedrock-runtime.cn-north-1.amazonaws.com.cn"},
    {NULL, "eu-west-1", "anthropic.claude-v1:0",
	OWN "/model/anthropic.claude-v1%3A0/converse", NULL},
    {NULL, "eu-west-1", "arn:aws:bedrock:x:1:inference-profile/eu.m",
	OWN "/model/arn%3Aaws%3Abedrock%3Ax%3A1%3Ainference-profile%2Feu.m"
	    "/converse",
	NULL},
    {NULL, "eu-west-1", "a/../b?c#d%2F",
	OWN "/model/a%2F..%2Fb%3Fc%23d%252F/converse", NULL},
    {NULL, "eu-west-1", "...", OWN "/model/.../converse", NULL},
    {NULL, "eu-west-1", ".", NULL, NULL},
    {NULL, "eu-west-1", "..", NULL, NULL},
    {NULL, "eu-west-1", "", NULL, NULL},
    /* as people write them */
    {"https://host", NULL, "m", "https://host/model/m/converse", "host"},
    {"https://host/", NULL, "m", "https://host/model/m/converse", "host"},
    {"HTTPS://host//", NULL, "m", "https://host/model/m/converse", "host"},
    {"host", NULL, "m", "https://host/model/m/converse", "host"},
    {"host/prefix/", NULL, "m", "https://host/prefix/model/m/converse", "host"},
    {"https://host/model", NULL, "m", "https://host/model/m/converse", "host"},
    {"https://host/p/model/x/converse-stream?a=b", NULL, "m",
	"https://host/p/model/m/converse", "host"},
    {"https://host/p?a=b", NULL, "m", "https://host/p/model/m/converse",
	"host"},
    {"http://127.0.0.1:8000", NULL, "m",
	"http://127.0.0.1:8000/model/m/converse", "127.0.0.1:8000"},
    /* what a client leaves out of Host must not be signed */
    {"https://host:443", NULL, "m", "https://host/model/m/converse", "host"},
    {"http://host:80/x", NULL, "m", "http://host/x/model/m/converse", "host"},
    {"http://host:443", NULL, "m", "http://host:443/model/m/converse",
	"host:443"},
    {"https://host:80", NULL, "m", "https://host:80/model/m/converse",
	"host:80"},
    {"", NULL, "m", NULL, NULL},
    {"https://", NULL, "m", NULL, NULL},
    {"https:///x", NULL, "m", NULL, NULL},
    {"https://:443", NULL, "m", NULL, NULL},
    {"ftp://host", NULL, "m", NULL, NULL},
    {"https://user@host", NULL, "m", NULL, NULL},
    {"https://host /x", NULL, "m", NULL, NULL},
    {"https://host/x\r\nX: y", NULL, "m", NULL, NULL},
};

START_TEST(a_base_url_gives_one_url)
{
	struct aws_url u = {0};
	bool good;

	good = aws_url_make(
	    urls[_i].base, urls[_i].region, urls[_i].model, "converse", &u);
	ck_assert_msg(good == (urls[_i].url != NULL), "%d", _i);
	if (good) {
		ck_assert_str_eq(buf_cstr(&u.text), urls[_i].url);
		if (urls[_i].host != NULL)
			ck_assert(span_eq(u.host, span_str(urls[_i].host)));
		ck_assert_ptr_eq(
		    u.path.p + u.path.n, buf_ptr(&u.text) + buf_len(&u.text));
		ck_assert_int_eq(u.path.p[0], '/');
	}
	buf_fini(&u.text);
}
END_TEST

/* ---- requests -------------------------------------------------------------
 */

static const struct provider_field user_fields[] = {
    {"x-amzn-bedrock-guardrailidentifier", "g1"},
    {"anthropic-beta", "not for us"},
};

static const struct provider_call a_call = {
    .endpoint = "bedrock.converse_stream",
    .model = "m:0",
    .content_type = "application/json",
    .fields = user_fields,
    .nfields = 2,
    .body = SPAN("{\"messages\":[]}"),
};

static void
make(struct provider_request *r)
{
	*r = (struct provider_request){0};
	ck_assert(provider_aws.make(&conf, &a_call, r));
	buf_cstr(&r->url);
}

/* The value of a line of the request, NULL: there is none. */
static const char *
line(const struct provider_request *r, const char *name)
{
	size_t i, n = strlen(name);

	for (i = 0; r->headers[i] != NULL; i++)
		if (strncmp(r->headers[i], name, n) == 0 &&
		    strncmp(r->headers[i] + n, ": ", 2) == 0)
			return (r->headers[i] + n + 2);
	return (NULL);
}

static void
check_line(const struct provider_request *r, const char *name, const char *want)
{
	ck_assert_pstr_eq(line(r, name), want);
}

#define HEAD "AWS4-HMAC-SHA256 Credential="

START_TEST(a_request_is_signed_with_all_that_it_carries)
{
	struct sigv4_signer s;
	struct sigv4_request q = {
	    .method = "POST", .path = SPAN("/model/m%3A0/converse-stream")};
	struct sigv4_field f[5];
	struct provider_request r;
	struct buf want = {0};

	begin_with_keys();
	make(&r);
	ck_assert_str_eq(r.method, "POST");
	ck_assert_str_eq(
	    r.url.mem + r.url.off, OWN "/model/m%3A0/converse-stream");
	check_line(&r, "Host", "bedrock-runtime.eu-west-1.amazonaws.com");
	check_line(&r, "Content-Type", "application/json");
	check_line(&r, "x-amzn-bedrock-guardrailidentifier", "g1");
	check_line(&r, "anthropic-beta", NULL);
	check_line(&r, "X-Amz-Date", "20261128T120000Z");
	check_line(&r, "X-Amz-Security-Token", NULL);
	f[0] = (struct sigv4_field){SPAN("host"), span_str(line(&r, "Host"))};
	f[1] = (struct sigv4_field){
	    SPAN("content-type"), SPAN("application/json")};
	f[2] =
	    (struct sigv4_field){SPAN("x-amz-date"), SPAN("20261128T120000Z")};
	f[3] = (struct sigv4_field){SPAN("x-amz-content-sha256"),
	    span_str(line(&r, "X-Amz-Content-Sha256"))};
	f[4] = (struct sigv4_field){
	    SPAN("x-amzn-bedrock-guardrailidentifier"), SPAN("g1")};
	q.fields = f;
	q.nfields = 5;
	sha256(a_call.body, q.body);
	sigv4_init(&s, "AKID", "secret", "eu-west-1", "bedrock");
	sigv4_sign(&s, &q, NOON, &want);
	check_line(&r, "Authorization", buf_cstr(&want));
	buf_fini(&want);
	provider_request_fini(&r);
}
END_TEST

START_TEST(temporary_keys_have_their_token_signed)
{
	struct provider_request r;

	begin((struct provider_conf){
	    .region = region,
	    .access_key = (char[]){"AKID"},
	    .secret_key = (char[]){"secret"},
	    .session_token = (char[]){"token"},
	});
	make(&r);
	check_line(&r, "X-Amz-Security-Token", "token");
	ck_assert_ptr_nonnull(strstr(line(&r, "Authorization"),
	    "x-amz-date;x-amz-security-token;x-amzn-bedrock-"
	    "guardrailidentifier,"));
	provider_request_fini(&r);
}
END_TEST

START_TEST(a_bearer_key_is_sent_as_it_is)
{
	struct provider_request r;

	begin((struct provider_conf){
	    .base_url = (char[]){"http://127.0.0.1:1"},
	    .bearer = (char[]){"key"},
	});
	make(&r);
	check_line(&r, "Authorization", "Bearer key");
	check_line(&r, "X-Amz-Date", NULL);
	check_line(&r, "x-amzn-bedrock-guardrailidentifier", "g1");
	ck_assert_ptr_null(conf.credential);
	provider_request_fini(&r);
}
END_TEST

START_TEST(an_unknown_endpoint_is_refused)
{
	struct provider_call call = a_call;
	struct provider_request r = {0};

	begin_with_keys();
	call.endpoint = "chat.completions";
	ck_assert(!provider_aws.make(&conf, &call, &r));
	provider_request_fini(&r);
}
END_TEST

/* ---- where keys come from -------------------------------------------------
 */

START_TEST(the_environment_is_looked_at_in_order)
{
	struct provider_request r;

	setenv("AWS_DEFAULT_REGION", "eu-north-1", 1);
	setenv("AWS_ACCESS_KEY_ID", "ENVKEY", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "s", 1);
	begin((struct provider_conf){.region = NULL});
	make(&r);
	ck_assert_int_eq(
	    strncmp(line(&r, "Authorization"),
		HEAD "ENVKEY/20261128/eu-north-1/bedrock/", strlen(HEAD) + 35),
	    0);
	provider_request_fini(&r);
	provider_aws.release(&conf);
	setenv("AWS_REGION", "eu-south-1", 1);
	setenv("AWS_BEARER_TOKEN_BEDROCK", "envbearer", 1);
	begin((struct provider_conf){.region = NULL});
	make(&r);
	check_line(&r, "Authorization", "Bearer envbearer");
	ck_assert_ptr_nonnull(strstr(r.url.mem + r.url.off, "eu-south-1"));
	provider_request_fini(&r);
	provider_aws.release(&conf);
	/* What the section says comes first. */
	begin_with_keys();
	make(&r);
	ck_assert_ptr_nonnull(
	    strstr(line(&r, "Authorization"), "AKID/20261128/eu-west-1/"));
	provider_request_fini(&r);
}
END_TEST

static void
check_wrong(struct provider_conf c, const char *part)
{
	const char *why = NULL;

	ck_assert(!provider_aws.check(&c, &why));
	ck_assert_ptr_nonnull(why);
	ck_assert_msg(strstr(why, part) != NULL, "%s", why);
	provider_aws.release(&c);
}

START_TEST(a_section_is_complete_or_refused)
{
	char key[] = "k";

	check_wrong((struct provider_conf){.bearer = key}, "region");
	check_wrong((struct provider_conf){.access_key = key,
			.secret_key = key,
			.base_url = (char[]){"https://host"}},
	    "region");
	check_wrong((struct provider_conf){.region = (char[]){"eu west"},
			.bearer = key},
	    "region");
	check_wrong((struct provider_conf){.region = region, .access_key = key},
	    "both");
	check_wrong((struct provider_conf){.region = region, .secret_key = key},
	    "both");
	check_wrong(
	    (struct provider_conf){.region = region, .session_token = key},
	    "both");
	check_wrong((struct provider_conf){.region = region,
			.bearer = key,
			.access_key = key,
			.secret_key = key},
	    "bearer");
	check_wrong((struct provider_conf){.region = region,
			.bearer = key,
			.base_url = (char[]){"ftp://host"}},
	    "base_url");
	setenv("AWS_EC2_METADATA_DISABLED", "True", 1);
	check_wrong((struct provider_conf){.region = region}, "finds none");
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://example.com/", 1);
	check_wrong((struct provider_conf){.region = region}, "https");
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI",
	    "http://127.0.0.1:80@example.com/", 1);
	check_wrong((struct provider_conf){.region = region}, "https");
	setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", ".example.com/", 1);
	check_wrong((struct provider_conf){.region = region}, "path");
	setenv("AWS_ACCESS_KEY_ID", "half", 1);
	check_wrong((struct provider_conf){.region = region}, "half");
}
END_TEST

/* ---- keys that are fetched ------------------------------------------------
 */

#define KEYS(access)                                            \
	"{\"Code\":\"Success\",\"AccessKeyId\":\"" access "\"," \
	"\"SecretAccessKey\":\"s\",\"Token\":\"tok\","          \
	"\"Expiration\":\"2026-11-28T13:00:00Z\"}"

static struct {
	struct credential_wait wait;
	unsigned ready;
	char why[TOKEN_WHY_MAX];
} got;

static void
on_ready(void *arg, const char *why)
{
	(void)arg;
	got.ready++;
	snprintf(got.why, sizeof(got.why), "%s", why != NULL ? why : "");
}

static void
await(void)
{
	got.wait = (struct credential_wait){.fn = on_ready};
	credential_await(conf.credential, &got.wait);
	turn();
}

/* The request under way is that, word for word; it is answered. */
static void
serve(const char *want, int status, const char *body)
{
	static const char *const fields[] = {
	    "Date", "Sat, 28 Nov 2026 12:00:00 GMT", NULL};

	ck_assert_ptr_nonnull(fake_req);
	ck_assert_str_eq(fake_text, want);
	ck_assert(!fake_proxied);
	fake_answer(status, fields, body);
	turn();
}

#define IMDS "http://169.254.169.254/latest/"

START_TEST(an_instance_hands_out_keys)
{
	struct provider_request r;

	begin((struct provider_conf){.region = region});
	await();
	serve("PUT " IMDS "api/token\n"
	      "X-aws-ec2-metadata-token-ttl-seconds: 21600\n\n",
	    200, "session==");
	serve("GET " IMDS "meta-data/iam/security-credentials/\n"
	      "X-aws-ec2-metadata-token: session==\n\n",
	    200, "role-1\nrole-2\n");
	serve("GET " IMDS "meta-data/iam/security-credentials/role-1\n"
	      "X-aws-ec2-metadata-token: session==\n\n",
	    200, KEYS("FIRST"));
	ck_assert_uint_eq(got.ready, 1);
	ck_assert_str_eq(got.why, "");
	make(&r);
	check_line(&r, "X-Amz-Security-Token", "tok");
	ck_assert_ptr_nonnull(strstr(line(&r, "Authorization"), HEAD "FIRST/"));
	provider_request_fini(&r);
}
END_TEST

START_TEST(an_instance_without_a_role_says_so)
{
	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:9/", 1);
	begin((struct provider_conf){.region = region});
	await();
	serve("PUT http://127.0.0.1:9/latest/api/token\n"
	      "X-aws-ec2-metadata-token-ttl-seconds: 21600\n\n",
	    200, "s");
	serve("GET http://127.0.0.1:9/latest/meta-data/iam/"
	      "security-credentials/\nX-aws-ec2-metadata-token: s\n\n",
	    404, "");
	ck_assert_uint_eq(got.ready, 1);
	ck_assert_ptr_nonnull(strstr(got.why, "no role: 404"));
}
END_TEST

START_TEST(a_container_hands_out_keys)
{
	setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x", 1);
	begin((struct provider_conf){.region = region});
	await();
	serve("GET http://169.254.170.2/v2/x\n\n", 200, KEYS("BOX"));
	ck_assert_str_eq(got.why, "");
}
END_TEST

START_TEST(a_container_may_want_a_token)
{
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI",
	    "http://169.254.170.23/v1/credentials", 1);
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "letmein", 1);
	begin((struct provider_conf){.region = region});
	await();
	serve("GET http://169.254.170.23/v1/credentials\n"
	      "Authorization: letmein\n\n",
	    200, "{}");
	ck_assert_ptr_nonnull(strstr(got.why, "no keys"));
}
END_TEST

/* ---- whose fault a refusal is ---------------------------------------------
 */

#define CORAL ":http://internal.amazon.com/coral/com.amazon.bedrock/"

/* At noon of the provider, for a request of a moment ago. */
static enum provider_verdict
verdict(int status, const char *exception)
{
	const struct upstream_field f[] = {
	    {SPAN("X-Amzn-ErrorType"), span_str(exception)},
	    {SPAN("Date"), SPAN("Sat, 28 Nov 2026 12:00:00 GMT")},
	};
	const struct provider_answer a = {
	    .status = status,
	    .fields = f,
	    .n = 2,
	    .asked_at = monotime_now(),
	    .credential = conf.credential != NULL
			      ? credential_version(conf.credential)
			      : 0,
	};

	return (provider_aws.on_head(&conf, &a));
}

START_TEST(a_refusal_is_ours_or_the_users)
{
	static const struct {
		int status;
		const char *exception;
		enum provider_verdict verdict;
	} t[] = {
	    {200, "", PROVIDER_PASS},
	    {400, "ValidationException" CORAL, PROVIDER_PASS},
	    {400, "", PROVIDER_PASS},
	    {404, "ResourceNotFoundException" CORAL, PROVIDER_PASS},
	    {429, "ThrottlingException" CORAL, PROVIDER_PASS},
	    {403, "", PROVIDER_REFUSED},
	    {403, "SomethingElse" CORAL, PROVIDER_REFUSED},
	    {403, "UnrecognizedClientException" CORAL, PROVIDER_REFUSED},
	    {403, "InvalidSignatureException" CORAL, PROVIDER_REFUSED},
	    {403, "com.amazon.coral#SignatureDoesNotMatch", PROVIDER_REFUSED},
	    {400, "ExpiredTokenException" CORAL, PROVIDER_REFUSED},
	    {400, "IncompleteSignature", PROVIDER_REFUSED},
	    {401, "", PROVIDER_REFUSED},
	    {403, "AccessDeniedException" CORAL, PROVIDER_LOOK},
	};
	size_t i;

	begin_with_keys();
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		ck_assert_msg(
		    verdict(t[i].status, t[i].exception) == t[i].verdict,
		    "%d %s", t[i].status, t[i].exception);
}
END_TEST

START_TEST(access_denied_is_about_a_model_or_a_key)
{
	begin_with_keys();
	ck_assert_int_eq(provider_aws.on_error(&conf, 403,
			     SPAN("{\"message\":\"You don't have access to the "
				  "model with the specified model ID.\"}")),
	    PROVIDER_DENIED);
	ck_assert_int_eq(
	    provider_aws.on_error(&conf, 403,
		SPAN("{\"Message\":\"Authentication failed: "
		     "Please make sure your API Key is valid.\"}")),
	    PROVIDER_REFUSED);
	ck_assert_int_eq(
	    provider_aws.on_error(&conf, 403, SPAN("")), PROVIDER_DENIED);
}
END_TEST

static void
check_date(const char *want)
{
	struct provider_request r;

	make(&r);
	check_line(&r, "X-Amz-Date", want);
	provider_request_fini(&r);
}

START_TEST(d10_a_call_is_signed_anew_by_the_providers_clock)
{
	begin_with_keys();
	wall = NOON - 7200;
	check_date("20261128T100000Z");
	ck_assert_int_eq(
	    verdict(403, "InvalidSignatureException" CORAL), PROVIDER_AGAIN);
	check_date("20261128T120000Z");
	/* The key is wrong, too: that is no matter of clocks any more. */
	ck_assert_int_eq(
	    verdict(403, "SignatureDoesNotMatch" CORAL), PROVIDER_REFUSED);
	check_date("20261128T120000Z");
	/* Somebody sets our clock right. */
	wall = NOON;
	check_date("20261128T140000Z");
	ck_assert_int_eq(
	    verdict(403, "InvalidSignatureException" CORAL), PROVIDER_AGAIN);
	check_date("20261128T120000Z");
}
END_TEST

START_TEST(d10_a_bearer_key_has_no_clock)
{
	begin((struct provider_conf){
	    .region = region, .bearer = (char[]){"key"}});
	wall = NOON - 7200;
	ck_assert_int_eq(
	    verdict(403, "AccessDeniedException" CORAL), PROVIDER_LOOK);
}
END_TEST

START_TEST(keys_that_ran_out_are_fetched_anew_once)
{
	struct provider_request r;

	setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x", 1);
	begin((struct provider_conf){.region = region});
	await();
	serve("GET http://169.254.170.2/v2/x\n\n", 200, KEYS("FIRST"));
	ck_assert_int_eq(
	    verdict(403, "ExpiredTokenException" CORAL), PROVIDER_AGAIN);
	await();
	serve("GET http://169.254.170.2/v2/x\n\n", 200, KEYS("SECOND"));
	make(&r);
	ck_assert_ptr_nonnull(
	    strstr(line(&r, "Authorization"), HEAD "SECOND/"));
	provider_request_fini(&r);
	ck_assert_int_eq(
	    verdict(403, "ExpiredTokenException" CORAL), PROVIDER_REFUSED);
}
END_TEST

START_TEST(fields_of_answers_are_those_of_a_list)
{
	static const char *const kept[] = {"content-type", "Retry-After",
	    "x-amzn-RequestId", "X-Amzn-ErrorType",
	    "X-Amzn-Bedrock-Input-Token-Count"};
	static const char *const dropped[] = {
	    "date", "age", "server", "set-cookie", "x-amzn-trace-id", ""};
	size_t i;

	for (i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		ck_assert(provider_aws.keep_field(span_str(kept[i])));
		ck_assert(provider_aws.read_field(span_str(kept[i])));
	}
	for (i = 0; i < sizeof(dropped) / sizeof(dropped[0]); i++) {
		ck_assert(!provider_aws.keep_field(span_str(dropped[i])));
		ck_assert(
		    provider_aws.read_field(span_str(dropped[i])) == (i < 2));
	}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("provider_aws");
	TCase *t = tcase_create("provider_aws");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(
	    t, a_base_url_gives_one_url, 0, sizeof(urls) / sizeof(urls[0]));
	tcase_add_test(t, a_request_is_signed_with_all_that_it_carries);
	tcase_add_test(t, temporary_keys_have_their_token_signed);
	tcase_add_test(t, a_bearer_key_is_sent_as_it_is);
	tcase_add_test(t, an_unknown_endpoint_is_refused);
	tcase_add_test(t, the_environment_is_looked_at_in_order);
	tcase_add_test(t, a_section_is_complete_or_refused);
	tcase_add_test(t, an_instance_hands_out_keys);
	tcase_add_test(t, an_instance_without_a_role_says_so);
	tcase_add_test(t, a_container_hands_out_keys);
	tcase_add_test(t, a_container_may_want_a_token);
	tcase_add_test(t, a_refusal_is_ours_or_the_users);
	tcase_add_test(t, access_denied_is_about_a_model_or_a_key);
	tcase_add_test(t, d10_a_call_is_signed_anew_by_the_providers_clock);
	tcase_add_test(t, d10_a_bearer_key_has_no_clock);
	tcase_add_test(t, keys_that_ran_out_are_fetched_anew_once);
	tcase_add_test(t, fields_of_answers_are_those_of_a_list);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return (failed > 0);
}
