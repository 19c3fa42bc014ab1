/*
 * The agent's own small HTTP server, on `ui`: GET /healthz answers
 * {"status","reason"}. Deadlines and strictness are the hub's (d13).
 */
#ifndef AGENTD_UI_H
#define AGENTD_UI_H

#include "agentd/agent.h"

struct ui;

/* Opens the listener on address ("127.0.0.1:8090"). NULL with errno. */
struct ui *ui_new(struct agent *, const char *address);
/* NULL is fine. */
void ui_free(struct ui *);

#endif
