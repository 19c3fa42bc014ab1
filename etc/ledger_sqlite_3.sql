-- What version 3 of the store adds to the second. It is run once, on a new
-- file as on an old one.

-- Months (UTC) whose rows, with their charges, are in files of their own:
-- ledger-2026-01.db beside this one (see ledger_sqlite_month.sql).
CREATE TABLE sealed_month (
	month TEXT PRIMARY KEY, -- '2026-01'
	sealed_ms INTEGER NOT NULL,
	rows INTEGER NOT NULL, -- in the file
	-- Rows are removed from this file bit by bit, in order of time and
	-- id: up to here they are, or all.
	gone_ms INTEGER NOT NULL,
	gone_id TEXT NOT NULL,
	gone_all INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What of them has been removed from here, by account: a balance is the sum
-- of its changes less these.
CREATE TABLE sealed_sum (
	month TEXT NOT NULL REFERENCES sealed_month (month),
	account INTEGER NOT NULL REFERENCES account (id),
	rows INTEGER NOT NULL,
	amount TEXT NOT NULL,
	PRIMARY KEY (month, account)
) STRICT, WITHOUT ROWID;

-- What became of a row in suspense: 'retried' or 'dropped'; '' while it
-- waits. Who did so, and why.
ALTER TABLE suspense ADD COLUMN how TEXT NOT NULL DEFAULT '';
ALTER TABLE suspense ADD COLUMN resolved_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE suspense ADD COLUMN resolved_by TEXT NOT NULL DEFAULT '';
ALTER TABLE suspense ADD COLUMN why TEXT NOT NULL DEFAULT '';

UPDATE meta SET value = '3' WHERE name = 'schema';
