/* The SQLite backend: a store by its name, and the table of its operations. */
#include "hubd/ledger/ledger_sqlite.h"

#include "hubd/ledger/sqlite_handle.h"
#include "hubd/ledger/sqlite_seal.h"

static const struct db_file own_file = {.name = "hubd.db"};
static const struct db_file read_file = {.name = "hubd.db", .read_only = true};

/* Made when it is asked for first. */
static enum ledger_result
sqlite_store_id(struct ledger *l, char out[LEDGER_ID_MAX])
{
	enum ledger_result rc = db_meta_get(l, "store_id", out, LEDGER_ID_MAX);

	if (rc != LEDGER_MISSING)
		return (rc);
	req_id_format(uuid_random(), out);
	return (db_meta_set(l, "store_id", out));
}

static struct ledger *
sqlite_open(const char *where, char *error, size_t cap)
{
	return (db_open(where, &own_file, error, cap));
}

/* The transaction begins with the first look, and lasts as long as the
 * reader. */
static struct ledger *
sqlite_open_to_read(const char *where, char *error, size_t cap)
{
	struct ledger *l = db_open(where, &read_file, error, cap);

	if (l == NULL)
		return (NULL);
	l->reader = true;
	if (handle_execute(l,
		"PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; BEGIN; "
		"SELECT 1 FROM meta",
		error, cap) == 0)
		return (l);
	db_close(l);
	return (NULL);
}

static enum ledger_result
sqlite_tidy(const char *where)
{
	return (db_tidy(where, own_file.name));
}

const struct ledger_ops ledger_sqlite = {
    .name = "sqlite",
    .open = sqlite_open,
    .open_to_read = sqlite_open_to_read,
    .is_untidy = db_is_untidy,
    .tidy = sqlite_tidy,
    .tidy_rest = db_tidy_rest,
    .close = db_close,
    .store_id = sqlite_store_id,
    .book = sqlite_book,
    .checkpoint = sqlite_checkpoint,
    .each_checkpoint = sqlite_each_checkpoint,
    .suspend = sqlite_suspend,
    .each_suspense = sqlite_each_suspense,
    .suspense_get = sqlite_suspense_get,
    .suspense_resolve = sqlite_suspense_resolve,
    .object_get = sqlite_object_get,
    .each_object = sqlite_each_object,
    .each_row = sqlite_each_row,
    .audit = sqlite_audit,
    .check = sqlite_check,
    .seal = sqlite_seal,
    .account_add = sqlite_account_add,
    .account_change = sqlite_account_change,
    .account_set = sqlite_account_set,
    .account_get = sqlite_account_get,
    .each_account = sqlite_each_account,
    .key_get = sqlite_key_get,
    .key_put = sqlite_key_put,
    .each_key = sqlite_each_key,
    .agent_get = sqlite_agent_get,
    .agent_put = sqlite_agent_put,
    .each_agent = sqlite_each_agent,
    .price_put = sqlite_price_put,
    .price_get = sqlite_price_get,
    .backup = sqlite_backup,
};
