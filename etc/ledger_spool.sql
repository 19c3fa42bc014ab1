-- What the spool of a hub (file spool.db in state_dir) has beside the tables
-- of ledger_sqlite.sql, when a store that several hubs share is PostgreSQL.
-- Table ledger holds the rows that wait for it; accounts, keys, agents and
-- price versions are a copy of what it has, under its numbers.

-- balance in table account = what the store said at change number seq of
-- this account - amount, which is the sum of the account's rows here.
CREATE TABLE owed (
	account INTEGER PRIMARY KEY REFERENCES account (id),
	seq INTEGER NOT NULL,
	amount TEXT NOT NULL
) STRICT;

-- What rows that wait did to objects, for the store to do it, too.
CREATE TABLE waiting_object (
	id TEXT PRIMARY KEY, -- the row
	event INTEGER NOT NULL, -- enum object_event in shm/object.h
	kind INTEGER NOT NULL,	-- enum object_kind
	holder INTEGER NOT NULL, -- agent
	ids BLOB NOT NULL -- each terminated
) STRICT, WITHOUT ROWID;
-- What has been deleted here the store may still tell of.
CREATE INDEX waiting_deletion ON waiting_object (ids) WHERE event = 2;

-- Rows are here for moments, and nobody lists them by time.
DROP INDEX ledger_time;
DROP INDEX ledger_account;

-- Of which store the copy is, and up to which change; -1: not whole yet.
INSERT INTO meta VALUES ('store_id', ''), ('clock', '-1');
