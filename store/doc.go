// Package store keeps state in a database: a SQLite file for one machine, PostgreSQL for several.
//
//	seal, err := store.ParseSeal(key)
//	…
//	s, err := store.Open(ctx, "file:/var/lib/app/state.db", store.Options{Seal: seal})
//	…
//	defer s.Close()
//	app := &smart.App{Store: s.Smart(), …}
//
// The packages that need state declare a small interface and work without this one; [Store.Smart] is
// the interface of package smart. Two processes with the same database behave as one: take, replace
// and lease are single statements of the database, so exactly one of any number of callers wins.
//
// # Sealing
//
// Data is sealed with AES-256-GCM before it reaches the database, under a key of its own for each write
// (HKDF-SHA256 of the [Seal]'s key and a random salt), bound to the record's key, kind, version and
// end. A row that was copied to another key, or an older row whose version or end was edited, does not
// open. Who can write to the database can still put back a whole old row, and delete rows. Keys, kinds,
// versions and ends lie in clear; package smart's keys are hashes.
//
// To change the key: open every process with the new key first and the old one after it, call
// [Store.Reseal] in one of them, then drop the old key. Processes that still seal with the old key
// make another Reseal necessary.
//
// # Clocks
//
// PostgreSQL judges ends by the database's clock, SQLite by time.Now; Options.Now replaces both. A lease
// counts from the moment when the database grants it. If the clock was set back, a lease ends after at
// most twice its length.
//
// # What it does not do
//
// SQLite's write-ahead log does not work on network file systems: use PostgreSQL there. Every write is
// on the disk when it returns (synchronous=FULL; PostgreSQL as its server is configured).
package store
