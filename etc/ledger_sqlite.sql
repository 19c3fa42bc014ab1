-- The store of one hub in SQLite (file hubd.db in state_dir). This text is
-- built into hubd and run when the file is made.
--
-- Money is exact decimal text in USD; it is added up by hubd, never by SQL,
-- whose SUM would go through floating point. Times are milliseconds since
-- 1970, UTC. Unknown texts are ''.

CREATE TABLE meta (
	name TEXT PRIMARY KEY,
	value TEXT NOT NULL
) STRICT;
INSERT INTO meta VALUES ('schema', '1');

CREATE TABLE account (
	id INTEGER PRIMARY KEY AUTOINCREMENT, -- never reused
	name TEXT NOT NULL UNIQUE,
	disabled INTEGER NOT NULL DEFAULT 0,
	overdraft TEXT NOT NULL DEFAULT '0', -- or 'unlimited'
	balance TEXT NOT NULL DEFAULT '0',   -- the sum of its changes
	spent TEXT NOT NULL DEFAULT '0'	     -- the sum of its charges
) STRICT;

-- Every change of a balance, for ever. A charge is negative and its ref is
-- the id of the ledger row; a credit's ref may be given only once.
CREATE TABLE balance_change (
	id INTEGER PRIMARY KEY,
	account INTEGER NOT NULL REFERENCES account (id),
	time_ms INTEGER NOT NULL,
	-- not by IN: SQLite builds and drops a table of the words each time
	kind TEXT NOT NULL
	    CHECK (kind = 'charge' OR kind = 'credit' OR kind = 'debit'),
	amount TEXT NOT NULL,
	ref TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX change_charge ON balance_change (ref)
	WHERE kind = 'charge';
CREATE UNIQUE INDEX change_credit ON balance_change (account, ref)
	WHERE kind = 'credit' AND ref <> '';

-- What was billed: one row a finished call. usage is JSON, kind to count.
CREATE TABLE ledger (
	id TEXT PRIMARY KEY,
	time_ms INTEGER NOT NULL, -- of admission
	account INTEGER NOT NULL REFERENCES account (id),
	key TEXT NOT NULL,
	agent TEXT NOT NULL,
	provider TEXT NOT NULL,
	dialect TEXT NOT NULL,
	endpoint TEXT NOT NULL,
	model TEXT NOT NULL,
	price TEXT NOT NULL, -- name of the entry
	tier TEXT NOT NULL,
	price_version INTEGER NOT NULL,
	status INTEGER NOT NULL,
	stream INTEGER NOT NULL,
	outcome TEXT NOT NULL,
	attempts INTEGER NOT NULL,
	usage TEXT NOT NULL,
	amount TEXT NOT NULL,
	estimated TEXT NOT NULL, -- '' or the method's name
	unpriced_kinds INTEGER NOT NULL,
	duration_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX ledger_time ON ledger (time_ms);
CREATE INDEX ledger_account ON ledger (account, time_ms);

-- Long calls that are still open, as they were seen last: billed if the
-- power fails.
CREATE TABLE checkpoint (
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
	duration_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What could not be billed, for people to look at.
CREATE TABLE suspense (
	seq INTEGER PRIMARY KEY,
	id TEXT NOT NULL,
	time_ms INTEGER NOT NULL,
	reason TEXT NOT NULL,
	raw BLOB NOT NULL,
	UNIQUE (id, raw)
) STRICT;

CREATE TABLE access_key (
	number INTEGER PRIMARY KEY AUTOINCREMENT, -- never reused
	id TEXT NOT NULL UNIQUE,
	account INTEGER NOT NULL REFERENCES account (id),
	name TEXT NOT NULL,
	hash BLOB NOT NULL UNIQUE, -- SHA-256; the key itself is nowhere
	old_hash BLOB NOT NULL,
	old_until_ms INTEGER NOT NULL,
	rpm INTEGER NOT NULL,
	tpm INTEGER NOT NULL,
	concurrency INTEGER NOT NULL,
	expires_ms INTEGER NOT NULL,
	created_ms INTEGER NOT NULL,
	revoked INTEGER NOT NULL, -- 2: its running requests were cut, too
	models TEXT NOT NULL
) STRICT;

CREATE TABLE agent (
	id INTEGER PRIMARY KEY AUTOINCREMENT, -- never reused
	name TEXT NOT NULL UNIQUE,
	token_hash BLOB NOT NULL,
	models TEXT NOT NULL,
	providers TEXT NOT NULL,
	replicas INTEGER NOT NULL,
	revoked INTEGER NOT NULL,
	draining INTEGER NOT NULL
) STRICT;

-- Whole price tables as they were in force; ledger rows name them.
CREATE TABLE price_version (
	version INTEGER PRIMARY KEY,
	time_ms INTEGER NOT NULL,
	blob BLOB NOT NULL
) STRICT;
