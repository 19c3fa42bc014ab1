/* How a command's document is shown: a table of functions, text or JSON. */
#ifndef HUBD_CTL_OUT_H
#define HUBD_CTL_OUT_H

#include "common/buf.h"
#include "common/json.h"
#include "hubd/ctlproto.h"

struct output {
	/* Appends what the command prints on success. */
	void (*show)(struct buf *out, const struct ctl_command *,
	    const struct json *data);
};

extern const struct output out_text, out_json;

#endif
