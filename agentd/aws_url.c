/* URLs of Bedrock, in the parts that are signed. */
#include "agentd/aws_url.h"

#include <string.h>

#include "agentd/base_url.h"

/* The partition of China has a domain of its own. */
static void
add_own_host(struct buf *out, const char *region)
{
	buf_addf(out, "bedrock-runtime.%s.amazonaws.com%s", region,
	    strncmp(region, "cn-", 3) == 0 ? ".cn" : "");
}

/* What pasted requests have behind the host, and what a client leaves out of
 * Host and so must not be signed. */
static void
trim_base(struct base_url *u)
{
	const char *model = memmem(u->path.p, u->path.n, "/model/", 7);
	bool plain = strcmp(u->scheme, "http://") == 0;
	const char *port = plain ? ":80" : ":443";
	size_t n = strlen(port);

	if (model != NULL)
		u->path.n = (size_t)(model + 6 - u->path.p);
	base_url_cut(u, "/model");
	if (u->authority.n > n &&
	    memcmp(u->authority.p + u->authority.n - n, port, n) == 0)
		u->authority.n -= n;
}

static bool
add_url(struct aws_url *out, const char *base_url, const char *model,
    const char *operation)
{
	size_t host_at, path_at;
	struct base_url u;
	const char *p;

	/* These two would be no segment but a way up. */
	if (!base_url_split(base_url, &u) || u.authority.p[0] == ':' ||
	    model[0] == '\0' || strcmp(model, ".") == 0 ||
	    strcmp(model, "..") == 0)
		return (false);
	trim_base(&u);
	base_url_put(&u, &out->text);
	host_at = strlen(u.scheme);
	path_at = host_at + u.authority.n;
	buf_addstr(&out->text, "/model/");
	url_encode(&out->text, span_str(model));
	buf_addf(&out->text, "/%s", operation);
	p = buf_cstr(&out->text);
	out->host = span_of(p + host_at, u.authority.n);
	out->path = span_of(p + path_at, buf_len(&out->text) - path_at);
	return (true);
}

bool
aws_url_make(const char *base_url, const char *region, const char *model,
    const char *operation, struct aws_url *out)
{
	struct buf own = {0};
	bool good;

	if (base_url == NULL)
		add_own_host(&own, region);
	good = add_url(out, base_url != NULL ? base_url : buf_cstr(&own), model,
	    operation);
	buf_fini(&own);
	return (good);
}
