/*
 * Requests on the control socket, one a line, to billing over a store in
 * memory: each gets one line of JSON, whose shape is known.
 */
#include <check.h>

#include "common/alloc.h"
#include "common/log.h"
#include "tests/fuzz/fuzz.h"

/* The fixture's assertions, without a runner of tests. */
#define _mark_point(file, line) ((void)0)
#include "tests/unit/billing_fixture.h"

static void
run(struct span line)
{
	const char *error;
	struct json *answer;
	struct buf out;
	int64_t status;

	buf_init(&out);
	if (command_run(&billing, line, &out, NULL, NULL) != 0)
		command_reloaded(&billing, "not now", &out);
	MUST(buf_len(&out) > 0 && buf_ptr(&out)[buf_len(&out) - 1] == '\n');
	MUST(memchr(buf_ptr(&out), '\n', buf_len(&out) - 1) == NULL);
	MUST((answer = json_parse(buf_span(&out), NULL, 0)) != NULL);
	status = json_get_int(answer, "status", -1);
	error = json_get_str(answer, "error");
	if (status == 0)
		MUST(json_get(answer, "data") != NULL);
	else
		MUST(status == 1 && error != NULL && error[0] != '\0');
	json_free(answer);
	buf_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char *p = (const char *)data, *end = p + n, *nl;

	log_init("fuzz", LOG_LEVEL_ERR);
	billing_set_up();
	/* reloads and drains are asked of a master that is not there */
	billing.child = NULL;
	while (p < end) {
		nl = memchr(p, '\n', (size_t)(end - p));
		if (nl == NULL)
			nl = end;
		run(span_of(p, (size_t)(nl - p)));
		p = nl + 1;
	}
	billing_tear_down();
	return (0);
}
