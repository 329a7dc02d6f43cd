// Package bulk copies a population out of a FHIR server into a folder, and knows whether what
// lies in the folder is whole.
//
// A [Job] asks the server for its own export ($export), waits for it, brings every file,
// checks every line, and tells the server to forget the job when the last check is done. The
// first [Event]s say which dialect of the specification it speaks with this server, and why.
//
// # The folder
//
//	001.Patient.ndjson       the server's files in the manifest's order, each checked
//	error/, deleted/         the files of the manifest's error and deleted lists
//	manifest.json            names, counts, bytes, sha256; complete or not ([Manifest])
//	log.ndjson               what happened, in the bulk data log format other tools read
//	ledger.db                the state, for going on ([Status] reads it)
//	002.Condition.ndjson.damaged   a file that came broken each time, as it came
//	previous-001/            the run that [Job.New] replaced
//
// A file has its final name only when every line was parsed and the last one is whole; its
// bytes are the server's, with exactly one newline at the end. Names that begin with a dot
// are unfinished work. Folders are 0700 and files 0600, whatever the umask: they hold patient
// data. Package lake reads such folders, and nothing in them is private to us but the ledger.
//
// # Stopping and going on
//
// Run the same Job again after any end: a kill, a full disk, an expired token, Ctrl-C. It
// goes on at the file, and no checked file is fetched twice. One case it leaves to people:
// when a kick-off was sent and its answer never came, or was a failure that does not say
// whether the export was started (a bare 408, 500, 502 or 504), the server may be working for
// nobody, and asking again may use up the day's one export. Then Run ends with
// [ErrUnknownKickoff], also the next time, until [Job.New] says to ask again. A refusal, also
// a 429 or 503, has started nothing, and the next Run asks again by itself.
//
// When the server no longer knows an export whose files are not all here, the files whose
// URLs still work are brought before Run ends with [ErrLost].
//
// A run whose files are all checked is done. Run does nothing more in its folder until
// [Job.New] starts the next one, and the old files stay in place until the server has
// delivered the new manifest: then they move to previous-NNN, so that two runs never mix.
//
// # What can be known
//
// A cut inside a line always shows. A cut exactly between two lines shows only where the
// server gives a count, a length or a checksum; where it gives none, [File.Checked] is
// "lines" and no more is claimed. [Verify] repeats every check later, without a network.
//
// # Waiting
//
// Servers take minutes to weeks. Run polls at the pace that the server asks for, else at the
// pace of the dialect ([Poll]), and keeps the time of the next poll in the ledger.
// [Job.NoWait] ends with [ErrStillRunning] instead. A server that says "too recently" is
// left alone until its window is over: [ErrCoolDown].
//
// # What leaves this process
//
// The token goes to the FHIR server's own origin alone, with files only where the manifest
// requires it, and never along a redirect to another host. Errors, events and log hold neither tokens nor
// queries of capability URLs.
//
// Specification: Bulk Data Access, "Bulk Data Kick-off Request" to "Bulk Data Output File
// Request", in the versions 1.0.1, 2.0.0 and 3.0.0; manifests of all of them are read,
// whatever was asked.
package bulk
