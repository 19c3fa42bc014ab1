/*
 * What hub and agent say to each other on a link (hublink(7)): names of
 * fields and paths, and the limits both keep. Unknown fields are ignored by
 * either side.
 *
 * Streams that the hub opens:
 *
 *	:method POST, :path /call	one request
 *		hub-endpoint	endpoint id ("chat.completions")
 *		hub-dialect	"openai", "azure", "anthropic", "gemini" or
 *				"bedrock": of the body and of the answer
 *		hub-provider	section name at the agent
 *		hub-model	model name as the provider knows it
 *		hub-request-id	UUID, for logs on both sides
 *		hub-stream	"1" if the user asked for a stream
 *		hub-deadline-ms	how long the agent may take in all
 *		hub-first-ms	... to the first byte of the answer
 *		hub-idle-ms	... between two bytes of it
 *		hub-alt		"sse", "json" or "enum": how a Gemini user
 *				wants a stream; without it an array
 *		hub-api-version	that an Azure user named
 *		hub-object	the id in the path of what is kept at the
 *				provider
 *		hub-after, hub-limit, hub-order
 *				which part of what is listed there
 *		content-type	of the body
 *		fields of the user's head, under their own names, of an
 *				allow-list for the dialect (hublink(7))
 *	    and the request's body as DATA.
 *	  Answer: :status as the provider's, then fields of an allow-list
 *	  (content-type, retry-after, x-ratelimit-*, openai-*...),
 *		hub-error	set if the answer is not the provider's own:
 *				"refused" "timeout" "connect" "tls" "reset"
 *				"credentials" "unknown_provider" "draining"
 *		hub-upstream-us	time from the request's end at the agent to
 *				the provider's first byte
 *	  and the body as DATA, byte for byte; RST_STREAM(H2_INTERNAL_ERROR)
 *	  if the provider breaks off. content-length is not carried.
 *
 *	:method GET, :path /announce	one a link, as long as it lives
 *	  Answer 200; the body is JSON documents, one a line: the first is
 *	  the announcement, a later one replaces it:
 *	    {"name","version","instance","clock_ms","capacity","draining",
 *	     "providers":[{"name","type","weight","models":["gpt-*"]}]}
 *
 * On the relay between workers the same requests carry one field more,
 *		hub-agent	id of the agent in the store
 * and are refused (H2_REFUSED_STREAM) by a worker that has no link to it.
 */
#ifndef COMMON_LINKPROTO_H
#define COMMON_LINKPROTO_H

/* A field of the handshake: which of the agent's links this is, from 0. A
 * new link takes the place of the old one of the same slot and instance. */
#define LINK_H_SLOT "Hub-Link-Slot"

#define LINK_PATH	    "/agent/link"
#define LINK_SUBPROTOCOL    "hub-link.v1"
#define LINK_PING_MS	    15000
#define LINK_SILENT_PERIODS 3
#define LINK_QUEUE_MAX	    65536 /* bytes in user space per link */
#define LINK_NOTSENT_LOWAT  16384
#define LINK_MAX_STREAMS    16384
#define LINK_ANNOUNCE_MAX   16384
#define LINK_FIELDS_MAX	    48	  /* of a request, pseudo fields included */
#define LINK_CLOCK_MS	    60000 /* both warn if clocks differ by more */

#define LINK_CALL	   "/call"
#define LINK_ANNOUNCE	   "/announce"
#define LINK_F_ENDPOINT	   "hub-endpoint"
#define LINK_F_DIALECT	   "hub-dialect"
#define LINK_F_PROVIDER	   "hub-provider"
#define LINK_F_MODEL	   "hub-model"
#define LINK_F_REQUEST_ID  "hub-request-id"
#define LINK_F_STREAM	   "hub-stream"
#define LINK_F_DEADLINE	   "hub-deadline-ms"
#define LINK_F_FIRST	   "hub-first-ms"
#define LINK_F_IDLE	   "hub-idle-ms"
#define LINK_F_ALT	   "hub-alt"
#define LINK_F_API_VERSION "hub-api-version"
#define LINK_F_OBJECT	   "hub-object"
#define LINK_F_AFTER	   "hub-after"
#define LINK_F_LIMIT	   "hub-limit"
#define LINK_F_ORDER	   "hub-order"
#define LINK_F_AGENT	   "hub-agent"
#define LINK_F_ERROR	   "hub-error"
#define LINK_F_UPSTREAM_US "hub-upstream-us"

#endif
