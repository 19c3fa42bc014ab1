-- What version 2 of the store adds to the first. It is run once, on a new
-- file as on an old one.

-- Files, batches and stored responses: whose they are and who holds them.
-- A row is made and removed in the transaction of the ledger row of the
-- request that did so.
CREATE TABLE object (
	number INTEGER PRIMARY KEY AUTOINCREMENT, -- grows, never reused
	id TEXT NOT NULL UNIQUE,
	account INTEGER NOT NULL REFERENCES account (id),
	agent INTEGER NOT NULL,
	provider TEXT NOT NULL, -- section at the agent
	kind INTEGER NOT NULL,	-- enum object_kind in shm/object.h
	created_ms INTEGER NOT NULL,
	billed_by TEXT NOT NULL DEFAULT '' -- of a batch: the ledger row
) STRICT;

UPDATE meta SET value = '2' WHERE name = 'schema';
