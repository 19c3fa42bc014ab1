/* Changes of what is read first: nobody else's are lost by them. */
#include "hubd/ledger/ledger.h"

static enum ledger_result
begin(const struct ledger_ops *ops, struct ledger *l)
{
	return (ops->change_begin != NULL ? ops->change_begin(l) : LEDGER_OK);
}

static enum ledger_result
end(const struct ledger_ops *ops, struct ledger *l, enum ledger_result rc)
{
	return (ops->change_end != NULL ? ops->change_end(l, rc) : rc);
}

enum ledger_result
ledger_change_key(const struct ledger_ops *ops, struct ledger *l,
    const char *id, bool (*fn)(void *, struct ledger_key *), void *arg,
    struct ledger_key *k)
{
	enum ledger_result rc = begin(ops, l);

	if (rc != LEDGER_OK)
		return (rc);
	rc = ops->key_get(l, id, k);
	if (rc == LEDGER_OK)
		rc = fn(arg, k) ? ops->key_put(l, k) : LEDGER_REFUSED;
	return (end(ops, l, rc));
}

enum ledger_result
ledger_change_agent(const struct ledger_ops *ops, struct ledger *l,
    const char *name, bool (*fn)(void *, struct ledger_agent *), void *arg,
    struct ledger_agent *a)
{
	enum ledger_result rc = begin(ops, l);

	if (rc != LEDGER_OK)
		return (rc);
	rc = ops->agent_get(l, name, a);
	if (rc == LEDGER_OK)
		rc = fn(arg, a) ? ops->agent_put(l, a) : LEDGER_REFUSED;
	return (end(ops, l, rc));
}
