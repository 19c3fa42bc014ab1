/*
 * llhttp's published cases, each with our verdict. llhttp is a parser for
 * many uses with lenient modes; where it takes what we refuse, that is meant.
 * Its files leave out the empty line at the end and mostly the Host, which
 * we insist on: both are added here.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "common/http1.h"

#define DIR "../shared/vectors/llhttp/"

/* Outcomes: how many messages are whole, and what ended the reading. */
enum outcome {
	ALL,	/* all bytes were read */
	CUT,	/* the last message is not whole */
	BAD,	/* 400 */
	VER,	/* 505 */
	CODING, /* 501 */
	BODY,	/* the framing of a body is broken */
};

/* clang-format off */
static const struct verdict {
	const char *file;
	unsigned messages;
	enum outcome outcome;
} verdicts[] = {
	{"000-request-connection", 1, ALL},
	{"001-request-connection", 2, ALL},
	{"002-request-connection", 0, VER},
	{"003-request-connection", 0, VER},
	{"004-request-connection", 1, BAD},
	{"005-request-connection", 1, ALL},
	{"006-request-connection", 1, ALL},
	{"007-request-connection", 1, BAD},
	{"008-request-connection", 0, BAD},
	{"009-request-connection", 1, BAD},
	{"010-request-connection", 0, BAD},
	{"011-request-connection", 0, BAD},
	{"012-request-connection", 0, BAD},
	{"013-request-connection", 1, ALL},
	{"014-request-connection", 1, BAD},
	{"015-request-connection", 1, BAD},
	{"016-request-connection", 1, BAD},
	{"017-request-content-length", 1, ALL},
	{"018-request-content-length", 1, ALL},
	{"019-request-content-length", 0, BAD},
	{"020-request-content-length", 0, BAD},
	{"021-request-content-length", 0, CODING},
	{"022-request-content-length", 0, BAD},
	{"023-request-content-length", 0, BAD},
	{"024-request-content-length", 0, CODING},
	{"025-request-content-length", 0, VER},
	{"026-request-content-length", 0, CUT},
	{"027-request-content-length", 0, CUT},
	{"028-request-content-length", 0, BAD},
	{"029-request-content-length", 0, BAD},
	{"030-request-content-length", 0, BAD},
	{"031-request-content-length", 0, BAD},
	{"032-request-content-length", 0, CUT},
	{"033-request-content-length", 0, BAD},
	{"034-request-content-length", 0, BAD},
	{"035-request-finish", 1, ALL},
	{"036-request-finish", 0, CUT},
	{"037-request-finish", 0, BAD},
	{"038-request-invalid", 0, BAD},
	{"039-request-invalid", 0, BAD},
	{"040-request-invalid", 0, BAD},
	{"041-request-invalid", 0, VER},
	{"042-request-invalid", 0, BAD},
	{"043-request-invalid", 0, BAD},
	{"044-request-invalid", 0, BAD},
	{"045-request-invalid", 0, BAD},
	{"046-request-invalid", 0, BAD},
	{"047-request-invalid", 0, BAD},
	{"048-request-invalid", 0, BAD},
	{"049-request-invalid", 0, BAD},
	{"050-request-invalid", 0, BAD},
	{"051-request-invalid", 1, ALL},
	{"052-request-invalid", 0, BAD},
	{"053-request-invalid", 0, BAD},
	{"054-request-invalid", 0, BAD},
	{"055-request-invalid", 0, BAD},
	{"056-request-invalid", 0, VER},
	{"057-request-invalid", 0, BAD},
	{"058-request-invalid", 0, BAD},
	{"059-request-invalid", 0, BAD},
	{"060-request-invalid", 0, BAD},
	{"061-request-invalid", 0, BAD},
	{"062-request-lenient-header-value-relaxed", 0, BAD},
	{"063-request-lenient-header-value-relaxed", 0, BAD},
	{"064-request-lenient-header-value-relaxed", 0, BAD},
	{"065-request-lenient-header-value-relaxed", 0, BAD},
	{"066-request-lenient-header-value-relaxed", 0, BAD},
	{"067-request-lenient-headers", 0, BAD},
	{"068-request-lenient-headers", 1, BAD},
	{"069-request-lenient-headers", 0, BAD},
	{"070-request-lenient-headers", 0, BAD},
	{"071-request-lenient-version", 0, VER},
	{"072-request-method", 1, ALL},
	{"073-request-method", 0, BAD},
	{"074-request-method", 0, BAD},
	{"075-request-method", 0, BAD},
	{"076-request-method", 0, BAD},
	{"077-request-method", 1, ALL},
	{"078-request-method", 1, ALL},
	{"079-request-method", 1, ALL},
	{"080-request-method", 1, ALL},
	{"081-request-method", 1, ALL},
	{"082-request-method", 1, ALL},
	{"083-request-method", 0, BAD},
	{"084-request-method", 0, BAD},
	{"085-request-method", 0, BAD},
	{"086-request-method", 0, BAD},
	{"087-request-method", 1, ALL},
	{"088-request-pausing", 1, ALL},
	{"089-request-pausing", 1, ALL},
	{"090-request-pausing", 1, ALL},
	{"091-request-pausing", 1, ALL},
	{"092-request-pausing", 1, ALL},
	{"093-request-pausing", 1, ALL},
	{"094-request-pausing", 1, ALL},
	{"095-request-pausing", 1, ALL},
	{"096-request-pausing", 1, ALL},
	{"097-request-pausing", 1, ALL},
	{"098-request-pausing", 1, ALL},
	{"099-request-pausing", 1, ALL},
	{"100-request-pausing", 1, ALL},
	{"101-request-pipelining", 3, ALL},
	{"102-request-sample", 1, ALL},
	{"103-request-sample", 1, ALL},
	{"104-request-sample", 0, BAD},
	{"105-request-sample", 0, BAD},
	{"106-request-sample", 1, ALL},
	{"107-request-sample", 1, ALL},
	{"108-request-sample", 1, ALL},
	{"109-request-sample", 0, VER},
	{"110-request-sample", 1, ALL},
	{"111-request-sample", 0, BAD},
	{"112-request-sample", 0, BAD},
	{"113-request-sample", 0, BAD},
	{"114-request-sample", 0, BAD},
	{"115-request-sample", 0, BAD},
	{"116-request-sample", 1, ALL},
	{"117-request-sample", 1, ALL},
	{"118-request-sample", 1, ALL},
	{"119-request-sample", 0, BAD},
	{"120-request-transfer-encoding", 0, CUT},
	{"121-request-transfer-encoding", 1, ALL},
	{"122-request-transfer-encoding", 1, ALL},
	{"123-request-transfer-encoding", 1, ALL},
	{"124-request-transfer-encoding", 1, ALL},
	{"125-request-transfer-encoding", 1, ALL},
	{"126-request-transfer-encoding", 1, ALL},
	{"127-request-transfer-encoding", 0, BODY},
	{"128-request-transfer-encoding", 0, BODY},
	{"129-request-transfer-encoding", 1, ALL},
	{"130-request-transfer-encoding", 0, BODY},
	{"131-request-transfer-encoding", 0, CODING},
	{"132-request-transfer-encoding", 0, BAD},
	{"133-request-transfer-encoding", 0, BAD},
	{"134-request-transfer-encoding", 0, CODING},
	{"135-request-transfer-encoding", 0, BAD},
	{"136-request-transfer-encoding", 0, BAD},
	{"137-request-transfer-encoding", 0, BAD},
	{"138-request-transfer-encoding", 0, BAD},
	{"139-request-transfer-encoding", 0, BAD},
	{"140-request-transfer-encoding", 0, BAD},
	{"141-request-transfer-encoding", 0, BAD},
	{"142-request-transfer-encoding", 0, BODY},
	{"143-request-transfer-encoding", 0, BODY},
	{"144-request-transfer-encoding", 0, BAD},
	{"145-request-transfer-encoding", 0, BODY},
	{"146-request-transfer-encoding", 0, BODY},
	{"147-request-transfer-encoding", 0, BODY},
	{"148-request-transfer-encoding", 0, BODY},
	{"149-request-transfer-encoding", 0, BODY},
	{"150-request-transfer-encoding", 0, BODY},
	{"151-request-uri", 1, ALL},
	{"152-request-uri", 1, ALL},
	{"153-request-uri", 0, BAD},
	{"154-request-uri", 0, BAD},
	{"155-request-uri", 1, ALL},
	{"156-request-uri", 0, BAD},
	{"157-request-uri", 0, BAD},
	{"158-request-uri", 0, BAD},
	{"159-request-uri", 0, BAD},
	{"160-request-uri", 0, BAD},
	{"161-request-uri", 0, BAD},
	{"162-response-connection", 1, ALL},
	{"163-response-connection", 0, VER},
	{"164-response-connection", 0, VER},
	{"165-response-connection", 1, ALL},
	{"166-response-connection", 2, ALL},
	{"167-response-connection", 2, ALL},
	{"168-response-connection", 1, BAD},
	{"169-response-connection", 1, BAD},
	{"170-response-connection", 2, ALL},
	{"171-response-connection", 1, BAD},
	{"172-response-connection", 1, BAD},
	{"173-response-connection", 1, ALL},
	{"174-response-connection", 1, ALL},
	{"175-response-connection", 1, ALL},
	{"176-response-connection", 1, BAD},
	{"177-response-connection", 2, ALL},
	{"178-response-connection", 1, BAD},
	{"179-response-connection", 2, ALL},
	{"180-response-content-length", 1, ALL},
	{"181-response-content-length", 1, ALL},
	{"182-response-content-length", 0, CUT},
	{"183-response-content-length", 0, CUT},
	{"184-response-finish", 1, ALL},
	{"185-response-invalid", 0, BAD},
	{"186-response-invalid", 0, BAD},
	{"187-response-invalid", 0, BAD},
	{"188-response-invalid", 0, VER},
	{"189-response-invalid", 0, BAD},
	{"190-response-invalid", 0, BAD},
	{"191-response-invalid", 0, BAD},
	{"192-response-invalid", 0, BAD},
	{"193-response-invalid", 0, BAD},
	{"194-response-invalid", 0, BAD},
	{"195-response-invalid", 0, VER},
	{"196-response-invalid", 0, BAD},
	{"197-response-invalid", 0, BAD},
	{"198-response-invalid", 1, ALL},
	{"199-response-invalid", 0, BAD},
	{"200-response-invalid", 0, BAD},
	{"201-response-invalid", 0, BAD},
	{"202-response-invalid", 0, BAD},
	{"203-response-invalid", 0, BAD},
	{"204-response-lenient-version", 0, VER},
	{"205-response-pausing", 1, ALL},
	{"206-response-pausing", 1, ALL},
	{"207-response-pausing", 1, ALL},
	{"208-response-pausing", 1, ALL},
	{"209-response-pausing", 1, ALL},
	{"210-response-pausing", 1, ALL},
	{"211-response-pausing", 1, ALL},
	{"212-response-pausing", 1, ALL},
	{"213-response-pausing", 1, ALL},
	{"214-response-pausing", 1, ALL},
	{"215-response-pausing", 1, ALL},
	{"216-response-pipelining", 1, BAD},
	{"217-response-sample", 1, ALL},
	{"218-response-sample", 0, BAD},
	{"219-response-sample", 0, BAD},
	{"220-response-sample", 0, BAD},
	{"221-response-sample", 1, ALL},
	{"222-response-sample", 1, BAD},
	{"223-response-sample", 1, ALL},
	{"224-response-sample", 0, BAD},
	{"225-response-sample", 0, BAD},
	{"226-response-sample", 0, BAD},
	{"227-response-sample", 0, BAD},
	{"228-response-sample", 1, ALL},
	{"229-response-sample", 0, VER},
	{"230-response-sample", 1, ALL},
	{"231-response-sample", 0, BAD},
	{"232-response-sample", 1, ALL},
	{"233-response-sample", 0, VER},
	{"234-response-sample", 1, ALL},
	{"235-response-sample", 0, BAD},
	{"236-response-transfer-encoding", 0, BODY},
	{"237-response-transfer-encoding", 0, CODING},
	{"238-response-transfer-encoding", 0, BAD},
	{"239-response-transfer-encoding", 0, CODING},
	{"240-response-transfer-encoding", 1, ALL},
	{"241-response-transfer-encoding", 0, BODY},
	{"242-response-transfer-encoding", 0, BODY},
	{"243-response-transfer-encoding", 1, ALL},
	{"244-response-transfer-encoding", 0, BODY},
	{"245-response-transfer-encoding", 0, BAD},
};
/* clang-format on */

static struct buf
load(const char *file)
{
	struct buf b = {0};
	char path[128];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), DIR "%s.bin", file);
	if ((f = fopen(path, "rb")) == NULL)
		return (b);
	do {
		n = fread(buf_reserve(&b, 4096), 1, 4096, f);
		buf_commit(&b, n);
	} while (n > 0);
	fclose(f);
	return (b);
}

static void
complete(struct buf *b, bool request)
{
	static const char line[] = "HTTP/1.1\r\n", host[] = "Host: h\r\n";
	char *at;

	buf_addstr(b, "\r\n\r\n");
	if (!request || strcasestr(buf_cstr(b), "\r\nHost:") != NULL)
		return;
	at = buf_cstr(b);
	while ((at = strstr(at, line)) != NULL) {
		size_t offset = (size_t)(at - buf_ptr(b)) + strlen(line);

		buf_splice(b, offset, 0, host, strlen(host));
		at = buf_cstr(b) + offset;
	}
}

/* One head, seen at once or growing by step bytes. */
static enum http1_error
parse(struct span s, bool request, size_t step, struct http1_head *head,
    struct http1_response *res)
{
	enum http1_error r = HTTP1_MORE;
	size_t scanned = 0, n = 0;

	while (r == HTTP1_MORE && n < s.n) {
		n = s.n - n > step ? n + step : s.n;
		if (request)
			r = http1_parse_head(span_of(s.p, n), &scanned, head);
		else
			r = http1_parse_response(
			    span_of(s.p, n), &scanned, res);
	}
	return (r);
}

/* One head; sets what frames its body. */
static enum http1_error
take_head(struct buf *b, bool request, size_t step, struct http1_body *body)
{
	struct http1_response res;
	struct http1_head head;
	enum http1_body_mode mode = HTTP1_BODY_NONE;
	enum http1_error r;

	r = parse(buf_span(b), request, step, &head, &res);
	if (r != HTTP1_OK)
		return (r);
	if (request ? head.chunked : res.chunked)
		mode = HTTP1_BODY_CHUNKED;
	else if (request ? head.has_length : res.has_length)
		mode = HTTP1_BODY_LENGTH;
	else if (!request)
		mode = HTTP1_BODY_EOF;
	if (!request &&
	    (res.status < 200 || res.status == 204 || res.status == 304))
		mode = HTTP1_BODY_NONE;
	http1_body_init(body, mode, request ? head.length : res.length);
	buf_consume(b, request ? head.size : res.size);
	return (HTTP1_OK);
}

static bool
take_body(struct buf *b, size_t step, struct http1_body *body)
{
	struct span data, in;
	ssize_t n;

	while (!body->done && buf_len(b) > 0) {
		in = buf_span(b);
		in.n = in.n < step ? in.n : step;
		n = http1_body_take(body, in, &data);
		if (n == -1)
			return (false);
		buf_consume(b, (size_t)n);
	}
	return (true);
}

static struct verdict
judge(struct buf *b, bool request, size_t step)
{
	struct verdict v = {0};
	struct http1_body body;

	while (buf_len(b) > 0) {
		/* What was added to end a head may be left behind a body. */
		if (v.messages > 0 && buf_len(b) <= 4)
			break;
		switch (take_head(b, request, step, &body)) {
		case HTTP1_OK:
			break;
		case HTTP1_MORE:
			v.outcome = CUT;
			return (v);
		case HTTP1_VERSION:
			v.outcome = VER;
			return (v);
		case HTTP1_UNSUPPORTED:
			v.outcome = CODING;
			return (v);
		case HTTP1_BAD:
		case HTTP1_EXPECT:
		case HTTP1_TOO_LARGE:
			v.outcome = BAD;
			return (v);
		}
		if (!take_body(b, step, &body)) {
			v.outcome = BODY;
			return (v);
		}
		if (!body.done && body.mode != HTTP1_BODY_EOF) {
			v.outcome = CUT;
			return (v);
		}
		v.messages++;
	}
	v.outcome = ALL;
	return (v);
}

static void
check_case(const struct verdict *want, size_t step)
{
	bool request = strstr(want->file, "-request-") != NULL;
	struct buf b = load(want->file);
	struct verdict got;

	ck_assert_uint_gt(buf_len(&b), 0);
	complete(&b, request);
	got = judge(&b, request, step);
	ck_assert_msg(
	    got.outcome == want->outcome && got.messages == want->messages,
	    "%s by %zu: %u messages, outcome %d", want->file, step,
	    got.messages, (int)got.outcome);
	buf_fini(&b);
}

START_TEST(every_published_case_ends_as_decided)
{
	check_case(&verdicts[_i], SIZE_MAX / 2);
	check_case(&verdicts[_i], 1);
	check_case(&verdicts[_i], 7);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("http1_llhttp");
	TCase *tc = tcase_create("llhttp");
	SRunner *sr;
	FILE *f;
	int failed;

	if ((f = fopen(DIR "index.tsv", "r")) == NULL) {
		printf("http1_llhttp: left out, no " DIR "\n");
		return (0);
	}
	fclose(f);
	tcase_add_loop_test(tc, every_published_case_ends_as_decided, 0,
	    sizeof(verdicts) / sizeof(verdicts[0]));
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return (failed > 0);
}
