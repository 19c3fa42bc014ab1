/* How the same question is put in each dialect, and how its answers flow. */
#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/dialect.h"

#define SYSTEM "You are a helpful assistant that answers in short sentences."
#define ASKED                                                            \
	"Say something about the weather in a town by the sea, please. " \
	"This is number " NUMBER "."

#define OPENAI_BODY                                                        \
	"{\"model\":\"@\",\"messages\":[{\"role\":\"system\",\"content\":" \
	"\"" SYSTEM "\"},{\"role\":\"user\",\"content\":\"" ASKED "\"}],"  \
	"\"max_tokens\":64"
#define OPENAI_STREAM \
	",\"stream\":true,\"stream_options\":{\"include_usage\":true}"

#define PRELUDE 12 /* of a binary frame; its length is the first 4 bytes */

/* Server-sent events end in an empty line; lines end in LF or CRLF. */
static size_t
sse_event(const char *s, size_t n)
{
	const char *at = s, *stop = s + n;

	while ((at = memchr(at, '\n', (size_t)(stop - at))) != NULL) {
		at++;
		if (stop - at >= 1 && at[0] == '\n')
			return ((size_t)(at + 1 - s));
		if (stop - at >= 2 && at[0] == '\r' && at[1] == '\n')
			return ((size_t)(at + 2 - s));
	}
	return (0);
}

/* Frames of AWS's event stream say how long they are. */
static size_t
frame_event(const char *s, size_t n)
{
	const unsigned char *u = (const unsigned char *)s;
	size_t size;

	if (n < PRELUDE)
		return (0);
	size = (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 |
	       (uint32_t)u[2] << 8 | u[3];
	return (size <= n ? size : 0);
}

static const struct dialect dialects[] = {
    {
	.name = "openai",
	.path = "/v1/chat/completions",
	.stream_path = "/v1/chat/completions",
	.body = OPENAI_BODY,
	.stream = OPENAI_STREAM,
	.fields = "Authorization: Bearer ",
	.event = sse_event,
    },
    {
	.name = "azure",
	.path = "/openai/deployments/@/chat/completions"
		"?api-version=2024-10-21",
	.stream_path = "/openai/deployments/@/chat/completions"
		       "?api-version=2024-10-21",
	.body = OPENAI_BODY,
	.stream = OPENAI_STREAM,
	.fields = "api-key: ",
	.event = sse_event,
    },
    {
	.name = "anthropic",
	.path = "/v1/messages",
	.stream_path = "/v1/messages",
	.body = "{\"model\":\"@\",\"max_tokens\":64,\"system\":\"" SYSTEM
		"\",\"messages\":[{\"role\":\"user\",\"content\":"
		"\"" ASKED "\"}]",
	.stream = ",\"stream\":true",
	.fields = "anthropic-version: 2023-06-01\r\nx-api-key: ",
	.event = sse_event,
    },
    {
	.name = "gemini",
	.path = "/v1beta/models/@:generateContent",
	.stream_path = "/v1beta/models/@:streamGenerateContent?alt=sse",
	.body = "{\"systemInstruction\":{\"parts\":[{\"text\":\"" SYSTEM
		"\"}]},\"contents\":[{\"role\":\"user\",\"parts\":[{"
		"\"text\":\"" ASKED "\"}]}],\"generationConfig\":{"
		"\"maxOutputTokens\":64}",
	.stream = "",
	.fields = "x-goog-api-key: ",
	.event = sse_event,
    },
    {
	.name = "bedrock",
	.path = "/model/@/converse",
	.stream_path = "/model/@/converse-stream",
	.body = "{\"system\":[{\"text\":\"" SYSTEM "\"}],\"messages\":[{"
		"\"role\":\"user\",\"content\":[{\"text\":\"" ASKED "\"}]}],"
		"\"inferenceConfig\":{\"maxTokens\":64}",
	.stream = "",
	.fields = "Authorization: Bearer ",
	.event = frame_event,
    },
};

const struct dialect *
dialect_find(const char *name)
{
	for (size_t i = 0; i < sizeof(dialects) / sizeof(*dialects); i++)
		if (strcmp(dialects[i].name, name) == 0)
			return (&dialects[i]);
	return (NULL);
}

static FILE *
open_text(char **text, size_t *n)
{
	FILE *f = open_memstream(text, n);

	if (f == NULL)
		err(1, "open_memstream");
	return (f);
}

static void
close_text(FILE *f)
{
	if (fclose(f) != 0)
		err(1, "fclose");
}

static void
put(FILE *f, const char *text, const char *model)
{
	for (; *text != '\0'; text++)
		if (*text == '@')
			fputs(model, f);
		else
			fputc(*text, f);
}

char *
dialect_request(const struct dialect *d, const char *model, const char *key,
    bool streamed, size_t *len)
{
	char *body, *request;
	size_t n;
	FILE *f = open_text(&body, &n);

	put(f, d->body, model);
	fprintf(f, "%s}", streamed ? d->stream : "");
	close_text(f);
	f = open_text(&request, len);
	fputs("POST ", f);
	put(f, streamed ? d->stream_path : d->path, model);
	fprintf(f,
	    " HTTP/1.1\r\nHost: bench\r\n%s%s\r\n"
	    "Content-Type: application/json\r\nUser-Agent: load\r\n"
	    "Content-Length: %zu\r\n\r\n%s",
	    d->fields, key, n, body);
	close_text(f);
	free(body);
	return (request);
}
