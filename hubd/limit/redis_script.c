/* The scripts, taken from their files as they are, and their commands. */
#include "hubd/limit/redis_script.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/crypto.h"

#define DAY_US INT64_C(86400000000)

#define TAKE_IN(symbol, file)                               \
	__asm__(".pushsection .rodata\n"                    \
		".type " symbol ", @object\n" symbol ":\n"  \
		".incbin \"hubd/limit/redis_common.lua\"\n" \
		".incbin \"" file "\"\n"                    \
		".byte 0\n"                                 \
		".popsection\n")

extern const char redis_admit_lua[], redis_keep_lua[], redis_tell_lua[];
TAKE_IN("redis_admit_lua", "hubd/limit/redis_admit.lua");
TAKE_IN("redis_keep_lua", "hubd/limit/redis_keep.lua");
TAKE_IN("redis_tell_lua", "hubd/limit/redis_tell.lua");

const char *
redis_script_text(enum redis_script script)
{
	static const char *const texts[REDIS_SCRIPTS] = {
	    [REDIS_ADMIT] = redis_admit_lua,
	    [REDIS_KEEP] = redis_keep_lua,
	    [REDIS_TELL] = redis_tell_lua,
	};

	return (texts[script]);
}

const char *
redis_script_sha(enum redis_script script)
{
	static char shas[REDIS_SCRIPTS][REDIS_SHA_TEXT];
	uint8_t digest[SHA1_SIZE];
	char *sha = shas[script];

	if (sha[0] != '\0')
		return (sha);
	sha1(span_str(redis_script_text(script)), digest);
	for (unsigned i = 0; i < SHA1_SIZE; i++)
		snprintf(sha + i * 2, 3, "%02x", digest[i]);
	return (sha);
}

/* ---- commands ------------------------------------------------------------ */

void
redis_command_init(struct redis_command *c, enum redis_script script)
{
	*c = (struct redis_command){.script = script};
}

void
redis_command_fini(struct redis_command *c)
{
	buf_fini(&c->keys);
	buf_fini(&c->args);
}

/* A bulk string of RESP2. */
static void
put_bulk(struct buf *out, struct span text)
{
	buf_addstr(out, "$");
	buf_adduint(out, text.n);
	buf_addstr(out, "\r\n");
	buf_addspan(out, text);
	buf_addstr(out, "\r\n");
}

void
redis_command_key(struct redis_command *c, const char *fmt, ...)
{
	char key[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(key, sizeof(key), fmt, ap);
	va_end(ap);
	put_bulk(&c->keys, span_str(key));
	c->nkeys++;
}

void
redis_command_text(struct redis_command *c, const char *text)
{
	put_bulk(&c->args, span_str(text));
	c->nargs++;
}

void
redis_command_int(struct redis_command *c, int64_t n)
{
	char text[24];

	if (n > REDIS_INT_MAX)
		n = REDIS_INT_MAX;
	if (n < -REDIS_INT_MAX)
		n = -REDIS_INT_MAX;
	snprintf(text, sizeof(text), "%lld", (long long)n);
	redis_command_text(c, text);
}

void
redis_command_encode(const struct redis_command *c, bool whole, struct buf *out)
{
	char nkeys[16];

	snprintf(nkeys, sizeof(nkeys), "%u", c->nkeys);
	buf_addf(out, "*%u\r\n", 3 + c->nkeys + c->nargs);
	put_bulk(out, whole ? SPAN("EVAL") : SPAN("EVALSHA"));
	put_bulk(out, span_str(whole ? redis_script_text(c->script)
				     : redis_script_sha(c->script)));
	put_bulk(out, span_str(nkeys));
	buf_addspan(out, buf_span(&c->keys));
	buf_addspan(out, buf_span(&c->args));
}

/* ---- answers ------------------------------------------------------------- */

static bool
within(int64_t n, int64_t low, int64_t high)
{
	return (n >= low && n <= high);
}

bool
redis_read_admitted(
    const struct redis_reply *r, int64_t hold, struct redis_admitted *a)
{
	if (r->error != NULL || r->n != 5 ||
	    !within(r->v[0], LIMIT_TAKEN, LIMIT_LOST) ||
	    !within(r->v[1], 0, hold) || !within(r->v[2], 0, DAY_US * 2) ||
	    !within(r->v[3], 0, DAY_US * 2) || !within(r->v[4], 0, DAY_US * 2))
		return (false);
	*a = (struct redis_admitted){.code = (enum redis_code)r->v[0],
	    .held = r->v[1],
	    .wait_us = r->v[2],
	    .requests_us = r->v[3],
	    .tokens_us = r->v[4]};
	return (true);
}

bool
redis_read_kept(const struct redis_reply *r, enum redis_code *code)
{
	if (r->error != NULL || r->n != 1 ||
	    (r->v[0] != LIMIT_TAKEN && r->v[0] != LIMIT_LOST))
		return (false);
	*code = (enum redis_code)r->v[0];
	return (true);
}

bool
redis_read_told(const struct redis_reply *r, struct redis_told *t)
{
	size_t i;

	if (r->error != NULL || r->n < 2 || r->n % 2 != 0 ||
	    r->n / 2 - 1 > REDIS_LIST_MAX ||
	    !within(r->v[0], 1, REDIS_INT_MAX) ||
	    !within(r->v[1], 0, REDIS_INT_MAX))
		return (false);
	t->epoch = r->v[0];
	t->age_us = r->v[1];
	t->n = r->n / 2 - 1;
	for (i = 0; i < t->n; i++) {
		if (!within(r->v[2 + i * 2], 0, UINT32_MAX) ||
		    !within(r->v[3 + i * 2], 0, UINT32_MAX))
			return (false);
		t->list[i] = (struct redis_listed){
		    (uint32_t)r->v[2 + i * 2], (uint32_t)r->v[3 + i * 2]};
	}
	return (true);
}
