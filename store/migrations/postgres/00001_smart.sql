-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE andiron_smart_record (
	key BYTEA PRIMARY KEY,
	kind TEXT NOT NULL,
	version BIGINT NOT NULL,
	expires BIGINT,              -- microseconds since 1970; null: never
	seal TEXT NOT NULL,          -- id of the key that sealed data; '': not sealed
	data BYTEA NOT NULL
);
CREATE INDEX andiron_smart_record_expires ON andiron_smart_record (expires);
CREATE INDEX andiron_smart_record_seal ON andiron_smart_record (seal);
CREATE TABLE andiron_smart_lease (
	key BYTEA PRIMARY KEY,
	holder BYTEA NOT NULL,
	expires BIGINT NOT NULL,
	life BIGINT NOT NULL         -- microseconds
);
