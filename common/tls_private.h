/* What conn_tls.c needs of a context, and nobody else. */
#ifndef COMMON_TLS_PRIVATE_H
#define COMMON_TLS_PRIVATE_H

#include "common/tls.h"

struct ssl_ctx_st;

/* What a session begins with, before it names a host; the session keeps the
 * context until tls_context_free(). */
struct ssl_ctx_st *tls_context_use(struct tls_context *);
/* What failed last, as OpenSSL has it; its queue is empty afterwards. */
const char *tls_last_error(void);

#endif
