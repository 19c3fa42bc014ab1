/*
 * URLs of providers: base URLs as people write them, taken apart, and the
 * pieces that are appended to them.
 */
#ifndef AGENTD_BASE_URL_H
#define AGENTD_BASE_URL_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/span.h"

/* Views of the text it was made of. */
struct base_url {
	const char *scheme;    /* "https://" or "http://" */
	struct span authority; /* host and port, never empty */
	struct span path;      /* begins with '/', or is empty; does not end
				  in '/' */
	struct span query;     /* without '?', may be empty */
};

/*
 * Without a scheme it is https. false for other schemes, user names,
 * fragments, and bytes that would end a URL or forge a line.
 */
bool base_url_split(const char *text, struct base_url *);

/* Takes tail off the path, and the slashes before it, if it ends in it. */
bool base_url_cut(struct base_url *, const char *tail);
/* Is the path's last segment a version: v1, v1beta, v1beta1? */
bool base_url_has_version(const struct base_url *);
/* Appends scheme, authority and path. */
void base_url_put(const struct base_url *, struct buf *);
/* Does the host end in that (lower case), port aside? */
bool base_url_host_ends(const struct base_url *, const char *tail);

/* Appends s with all but unreserved characters (RFC 3986 2.3) encoded. */
void url_encode(struct buf *, struct span s);
/*
 * The same for a path of segments, which is what a model's name is: '/' stays.
 * false if a segment is empty, "." or "..", which would be another path; what
 * was appended by then is the caller's to drop.
 */
bool url_encode_path(struct buf *, struct span s);

#endif
