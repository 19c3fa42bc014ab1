-- What version 2 of the store adds to the first. It is run once, in a new
-- store as in an old one.

-- A key that was revoked together with its running requests: each hub cuts
-- those that it has.
ALTER TABLE access_key ADD COLUMN cut BOOLEAN NOT NULL DEFAULT false;

UPDATE meta SET value = '2' WHERE name = 'schema';
