-- One month of a ledger in SQLite (file ledger-2026-01.db in state_dir): put
-- aside by `ledger_keep`, never changed afterwards. The columns are those of
-- the ledger in ledger_sqlite.sql.

CREATE TABLE meta (
	name TEXT PRIMARY KEY,
	value TEXT NOT NULL
) STRICT;
INSERT INTO meta VALUES ('schema', '1');
-- and 'month': '2026-01'

CREATE TABLE ledger (
	id TEXT PRIMARY KEY,
	time_ms INTEGER NOT NULL,
	account INTEGER NOT NULL,
	key TEXT NOT NULL,
	agent TEXT NOT NULL,
	provider TEXT NOT NULL,
	dialect TEXT NOT NULL,
	endpoint TEXT NOT NULL,
	model TEXT NOT NULL,
	price TEXT NOT NULL,
	tier TEXT NOT NULL,
	price_version INTEGER NOT NULL,
	status INTEGER NOT NULL,
	stream INTEGER NOT NULL,
	outcome TEXT NOT NULL,
	attempts INTEGER NOT NULL,
	usage TEXT NOT NULL,
	amount TEXT NOT NULL,
	estimated TEXT NOT NULL,
	unpriced_kinds INTEGER NOT NULL,
	duration_ms INTEGER NOT NULL,
	charge TEXT NOT NULL -- amount of its balance change
) STRICT, WITHOUT ROWID;
CREATE INDEX ledger_time ON ledger (time_ms);
CREATE INDEX ledger_account ON ledger (account, time_ms);
