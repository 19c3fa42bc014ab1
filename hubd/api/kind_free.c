/*
 * Answers that report no usage because they cost none: counts of tokens, and
 * moderations, which may have a price by the request.
 */
#include "hubd/api/reader.h"

static void
one_request(
    const struct learnt *l, const struct api_request *req, struct usage *bound)
{
	(void)l, (void)req;
	bound->n[USAGE_requests] = 1;
}

void
reader_no_bound(
    const struct learnt *l, const struct api_request *req, struct usage *bound)
{
	(void)l, (void)req, (void)bound;
}

const char *
reader_free_of_charge(const struct learnt *l, const struct api_request *req,
    const struct meter_report *rep, struct usage *u)
{
	(void)l, (void)req, (void)rep, (void)u;
	return ("");
}

static const char *
by_request(const struct learnt *l, const struct api_request *req,
    const struct meter_report *rep, struct usage *u)
{
	(void)l, (void)rep;
	u->n[USAGE_requests] = req->priced >> USAGE_requests & 1;
	return ("");
}

const struct kind kind_count = {
    .never_read = true,
    .read_at_once = true,
    .estimate = reader_free_of_charge,
    .bound = reader_no_bound,
};
const struct kind kind_moderation = {
    .never_read = true,
    .read_at_once = true,
    .estimate = by_request,
    .bound = one_request,
};
