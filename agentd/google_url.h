/* The one function from place, model and method to a URL of Google's. */
#ifndef AGENTD_GOOGLE_URL_H
#define AGENTD_GOOGLE_URL_H

#include <stdbool.h>

#include "common/buf.h"

struct google_place {
	const char *base_url; /* NULL: Google's own for what follows */
	bool vertex;	      /* Vertex AI, else the Gemini API */
	const char *project;  /* of Vertex; NULL: express mode */
	const char *location; /* of Vertex: "global", "eu", "us-central1" */
};

/*
 * Appends the URL of a method ("generateContent"). A base URL may be pasted
 * with or without scheme, version and slashes, or as the whole URL of some
 * method. model may be a bare name or begin with models/, tunedModels/,
 * publishers/P/models/, endpoints/ or (Vertex) projects/. alt is "sse",
 * "enum", or anything else for plain JSON. false: there is no such model or
 * the base URL is none.
 */
bool google_url(const struct google_place *, const char *model,
    const char *method, const char *alt, struct buf *out);

/* Is that base URL one of Vertex AI? NULL is not. */
bool google_url_is_vertex(const char *base_url);

#endif
