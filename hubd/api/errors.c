/* The table of errors that users see. */
#include <assert.h>

#include "hubd/api/dialect.h"

static const struct {
	int status;
	const char *code, *type, *text;
} errors[API_ERR_COUNT] = {
    [API_OK] = {200, "ok", "ok", "ok"},
#define ERROR(id, status, code, type, text) \
	[API_ERR_##id] = {status, code, type, text},
#include "hubd/api/errors.def"
#undef ERROR
};

int
api_error_status(enum api_error e)
{
	assert(e < API_ERR_COUNT);
	return (errors[e].status);
}

const char *
api_error_code(enum api_error e)
{
	assert(e < API_ERR_COUNT);
	return (errors[e].code);
}

const char *
api_error_type(enum api_error e)
{
	assert(e < API_ERR_COUNT);
	return (errors[e].type);
}

const char *
api_error_text(enum api_error e)
{
	assert(e < API_ERR_COUNT);
	return (errors[e].text);
}
