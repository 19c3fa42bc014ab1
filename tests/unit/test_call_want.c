/* What the hub asks for: which fields are read, and which are the user's. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "agentd/call_want.h"
#include "tests/unit/upstream_fake.h"

#define F(name, value)                  \
	{                               \
		SPAN(name), SPAN(value) \
	}
#define N(list) (sizeof(list) / sizeof((list)[0]))

START_TEST(fields_of_the_hub_are_read)
{
	static const struct h2_field f[] = {
	    F(":method", "POST"),
	    F("hub-request-id", "id-1"),
	    F("hub-endpoint", "messages"),
	    F("hub-dialect", "anthropic"),
	    F("hub-provider", "claude"),
	    F("hub-model", "claude-x"),
	    F("hub-object", "file-1"),
	    F("hub-alt", "sse"),
	    F("hub-api-version", "2024-10-21"),
	    F("hub-stream", "1"),
	    F("hub-deadline-ms", "1000"),
	    F("hub-idle-ms", "20x"),
	    F("content-type", "application/json"),
	};
	struct call_want w = {0};
	struct provider_call v;

	call_want_read(&w, f, N(f));
	v = call_want_view(&w, SPAN("{}"));
	ck_assert_str_eq(w.id, "id-1");
	ck_assert_str_eq(w.provider, "claude");
	ck_assert_str_eq(v.endpoint, "messages");
	ck_assert_str_eq(v.dialect, "anthropic");
	ck_assert_str_eq(v.model, "claude-x");
	ck_assert_str_eq(v.object, "file-1");
	ck_assert_str_eq(v.alt, "sse");
	ck_assert_str_eq(v.api_version, "2024-10-21");
	ck_assert_str_eq(v.content_type, "application/json");
	ck_assert(v.stream);
	ck_assert(span_eq(v.body, SPAN("{}")));
	ck_assert_uint_eq(v.nfields, 0);
	ck_assert_int_eq(w.total_ms, 1000);
	ck_assert_int_eq(w.first_ms, 600000);
	ck_assert_int_eq(w.idle_ms, 300000);
	call_want_fini(&w);
}
END_TEST

START_TEST(fields_of_the_user_are_kept)
{
	static const struct h2_field f[] = {
	    F("anthropic-beta", "a-1"),
	    F("hub-unknown", "x"),
	    F("anthropic-version", "2023-06-01"),
	    F("anthropic-beta", "b-2"),
	};
	struct call_want w = {0};
	struct provider_call v;

	call_want_read(&w, f, N(f));
	v = call_want_view(&w, SPAN(""));
	ck_assert_uint_eq(v.nfields, 3);
	ck_assert_str_eq(provider_call_field(&v, "anthropic-beta"), "a-1");
	ck_assert_str_eq(
	    provider_call_field(&v, "anthropic-version"), "2023-06-01");
	ck_assert_ptr_null(provider_call_field(&v, "hub-unknown"));
	ck_assert_str_eq(v.fields[2].value, "b-2");
	call_want_fini(&w);
}
END_TEST

START_TEST(no_field_can_forge_a_line)
{
	static const struct h2_field f[] = {
	    F("x-a", "1\r\nAuthorization: x"),
	    F("x\r\ny", "1"),
	    F("x: y", "1"),
	    {{"x\0y", 3}, {"1", 1}},
	    {{"x-b", 3}, {"1\0", 2}},
	    F("", "1"),
	};
	struct call_want w = {0};

	call_want_read(&w, f, N(f));
	ck_assert_uint_eq(w.nfields, 0);
	call_want_fini(&w);
}
END_TEST

START_TEST(what_does_not_fit_is_left_out)
{
	char big[WANT_FIELDS_MAX];
	struct h2_field f[PROVIDER_MAX_FIELDS + 4];
	struct call_want w = {0};
	size_t i;

	memset(big, 'a', sizeof(big));
	f[0] = (struct h2_field){SPAN("x-big"), span_of(big, sizeof(big))};
	f[1] = (struct h2_field){SPAN("hub-model"), span_of(big, 256)};
	f[2] = (struct h2_field){SPAN("hub-object"), {"a\0b", 3}};
	for (i = 3; i < N(f); i++)
		f[i] = (struct h2_field)F("x-small", "1");
	call_want_read(&w, f, N(f));
	ck_assert_str_eq(w.model, "");
	ck_assert_str_eq(w.object, "");
	ck_assert_uint_eq(w.nfields, PROVIDER_MAX_FIELDS);
	for (i = 0; i < w.nfields; i++)
		ck_assert_str_eq(w.fields[i].name, "x-small");
	call_want_fini(&w);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("call_want");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_test(t, fields_of_the_hub_are_read);
	tcase_add_test(t, fields_of_the_user_are_kept);
	tcase_add_test(t, no_field_can_forge_a_line);
	tcase_add_test(t, what_does_not_fit_is_left_out);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return (failed == 0 ? 0 : 1);
}
