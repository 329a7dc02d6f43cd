-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE andiron_smart_record (
	key BLOB PRIMARY KEY,
	kind TEXT NOT NULL,
	version INTEGER NOT NULL,
	expires INTEGER,             -- microseconds since 1970; null: never
	seal TEXT NOT NULL,          -- id of the key that sealed data; '': not sealed
	data BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX andiron_smart_record_expires ON andiron_smart_record (expires);
CREATE INDEX andiron_smart_record_seal ON andiron_smart_record (seal);
CREATE TABLE andiron_smart_lease (
	key BLOB PRIMARY KEY,
	holder BLOB NOT NULL,
	expires INTEGER NOT NULL,
	life INTEGER NOT NULL        -- microseconds
) STRICT, WITHOUT ROWID;
