/* A command's document as one line of JSON. */
#include "hubd/ctl/out.h"

static void
put(struct jout *j, const struct json *v)
{
	const struct json *e;

	if (v->key != NULL)
		jout_key(j, v->key);
	switch (v->type) {
	case JSON_NULL:
		jout_null(j);
		return;
	case JSON_TRUE:
	case JSON_FALSE:
		jout_bool(j, v->type == JSON_TRUE);
		return;
	case JSON_NUMBER:
		jout_raw(j, v->text);
		return;
	case JSON_STRING:
		jout_str(j, v->text);
		return;
	case JSON_OBJECT:
		jout_begin_object(j);
		for (e = v->first; e != NULL; e = e->next)
			put(j, e);
		jout_end_object(j);
		return;
	case JSON_ARRAY:
		jout_begin_array(j);
		for (e = v->first; e != NULL; e = e->next)
			put(j, e);
		jout_end_array(j);
		return;
	}
}

static void
show(
    struct buf *out, const struct ctl_command *command, const struct json *data)
{
	struct jout j;
	struct json top = *data;

	top.key = NULL;
	jout_init(&j, out);
	put(&j, &top);
	buf_addstr(out, "\n");
}

const struct output out_json = {show};
