/* Handing out whole tables of SQLite. */
#include "hubd/ledger/sqlite_dump.h"

#include <assert.h>
#include <string.h>

#include "hubd/ledger/ledger_sqlite.h"

static void
read_values(struct query *q, const char *kinds, struct dump_value *values)
{
	size_t n;

	for (; *kinds != '\0'; kinds++, values++) {
		if (*kinds == 'i') {
			values->number = db_int(q);
			continue;
		}
		values->bytes.p = db_blob(q, &n);
		values->bytes.n = n;
	}
}

enum ledger_result
sqlite_dump(struct ledger *l, const char *sql, const char *kinds,
    bool (*fn)(void *, const struct dump_value *), void *arg)
{
	struct dump_value values[DUMP_COLUMNS_MAX];
	struct query q = db_query(l, sql);
	enum db_step step;

	assert(strlen(kinds) <= DUMP_COLUMNS_MAX);
	memset(values, 0, sizeof(values));
	while ((step = db_step(&q)) == DB_ROW) {
		read_values(&q, kinds, values);
		if (!fn(arg, values)) {
			step = DB_DOWN;
			break;
		}
	}
	db_end(&q);
	return (db_result(step));
}
