/* Answers that a test has bound to a model or queued for an endpoint. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "tests/sim/provider.h"

static struct rule *bound, *queued;

static const char *const fault_names[] = {
    [FAULT_NONE] = "none",
    [FAULT_REFUSE] = "refuse",
    [FAULT_RESET] = "reset",
    [FAULT_STALL] = "stall",
    [FAULT_CLOSE] = "close",
    [FAULT_SLOW] = "slow",
    [FAULT_HANG] = "hang",
};

static bool
fault_parse(const char *s, struct sim_manner *m)
{
	m->fault = FAULT_NONE;
	if (s == NULL || *s == '\0')
		return (true);
	for (size_t i = 0; i < sizeof(fault_names) / sizeof(*fault_names); i++)
		if (fault_names[i] && strcmp(s, fault_names[i]) == 0) {
			m->fault = (enum sim_fault)i;
			return (true);
		}
	m->fault = FAULT_STATUS;
	m->status = (int)strtol(s, NULL, 10);
	return (m->status >= 400 && m->status <= 599);
}

/* Milliseconds of a member as nanoseconds, at most an hour. */
static int64_t
get_ms(const struct json *j, const char *key)
{
	int64_t ms = json_get_int(j, key, 0);

	if (ms < 0)
		ms = 0;
	return ((ms > 3600000 ? 3600000 : ms) * 1000000);
}

static bool
parse_manner(const struct json *j, struct sim_manner *m)
{
	m->cut = json_get_int(j, "cut", CUT_EVENTS);
	if (m->cut < 0)
		m->cut = CUT_WHOLE;
	m->first_ns = get_ms(j, "first_ms");
	m->delay_ns = get_ms(j, "delay_ms");
	m->at = json_get_int(j, "at", -1);
	if (!fault_parse(json_get_str(j, "fault"), m))
		return (false);
	if (m->fault == FAULT_SLOW && m->delay_ns == 0)
		m->delay_ns = 50 * 1000000;
	return (true);
}

struct rule *
rule_parse(const struct json *j, const char **error)
{
	const char *file = json_get_str(j, "file");
	const char *endpoint = json_get_str(j, "endpoint");
	const char *model = json_get_str(j, "model");
	struct rule *r = xcalloc(1, sizeof(*r));

	*error = NULL;
	if (!parse_manner(j, &r->manner))
		*error = "unknown fault";
	if (file != NULL && (r->answer = catalog_by_file(file)) == NULL)
		*error = "unknown file";
	if (*error != NULL) {
		free(r);
		return (NULL);
	}
	if (model != NULL)
		r->model = xstrdup(model);
	r->times = json_get_int(j, "times", 1);
	if (endpoint != NULL)
		r->endpoint = xstrdup(endpoint);
	else if (r->answer != NULL && r->answer->endpoint != NULL)
		r->endpoint = xstrdup(r->answer->endpoint);
	return (r);
}

void
rule_free(struct rule *r)
{
	free(r->model);
	free(r->endpoint);
	free(r);
}

void
rules_bind(struct rule *r)
{
	struct rule **at, *old;

	for (at = &bound; (old = *at) != NULL; at = &old->next)
		if (strcmp(old->model, r->model) == 0) {
			*at = old->next;
			rule_free(old);
			break;
		}
	r->next = bound;
	bound = r;
}

void
rules_queue(struct rule *r)
{
	struct rule **at;

	for (at = &queued; *at != NULL; at = &(*at)->next)
		continue;
	*at = r;
}

static void
free_all(struct rule **list)
{
	struct rule *r;

	while ((r = *list) != NULL) {
		*list = r->next;
		rule_free(r);
	}
}

void
rules_reset(void)
{
	free_all(&bound);
	free_all(&queued);
}

static bool
is_meant(const struct rule *r, const struct sim_request *q)
{
	if (r->model != NULL && strcmp(r->model, q->model) != 0)
		return (false);
	/* Who issues credentials is meant only by name. */
	if (r->endpoint == NULL || strcmp(r->endpoint, "*") == 0)
		return (q->provider->answer == NULL);
	return ((q->endpoint != NULL && strcmp(r->endpoint, q->endpoint) == 0));
}

struct rule *
rules_find(const struct sim_request *q, bool *owned)
{
	struct rule **at, *r;

	for (at = &queued; (r = *at) != NULL; at = &r->next)
		if (is_meant(r, q)) {
			*owned = --r->times <= 0;
			if (*owned)
				*at = r->next;
			return (r);
		}
	*owned = false;
	for (r = bound; r != NULL; r = r->next)
		if (strcmp(r->model, q->model) == 0)
			return (r);
	return (NULL);
}
