package lake

import "time"

// LoadOptions says how a folder is to be loaded. The zero value refuses what is not whole.
type LoadOptions struct {
	// Source names the server that the resources come from; it is part of each resource's key,
	// so that ids of two servers do not meet. "" takes the FHIR base URL from the request in the
	// folder's manifest.json, which is the same for every export of one server; without a
	// manifest it stays "". Name it yourself when one lake takes folders without a manifest from
	// several servers.
	Source string

	// AllowIncomplete loads a folder whose manifest says that its export is not complete, that
	// lacks a file, or in which a file is not the one that the manifest describes. What was
	// allowed so stands in LoadResult.Notes.
	AllowIncomplete bool

	// Workers is how many goroutines parse. Zero means one for each processor, four at most.
	Workers int

	// Progress, when set, is called once for each file as its turn ends, in order.
	Progress func(FileResult)

	// Now is the clock of loaded_at. Nil means time.Now.
	Now func() time.Time
}

// LoadResult is what a Load did. It is returned with an [IncompleteError] as well.
type LoadResult struct {
	Source      string           // the source that the resources were filed under
	Files       []FileResult     // in the order in which they were taken
	Resources   int64            // loaded by this call, of all types
	Types       map[string]int64 // the same by resource type
	Replaced    int64            // older versions that gave way to them
	Outdated    int64            // not kept, since the lake has them from a later export
	Deleted     int64            // resources that the export reports as deleted and that were here
	Unchanged   int              // files that were in the lake already
	Quarantined int64            // lines set aside, those of unchanged files included
	Notes       []string         // what was ignored or allowed, one line each
}

// FileResult is what became of one file of the folder.
type FileResult struct {
	File        string        // name within the folder, with forward slashes
	Unchanged   bool          // it was in the lake already; nothing was done
	Lines       int64         // lines that are not blank
	Resources   int64         // resources loaded from it; for a file of deletions, resources removed
	Quarantined int64         // lines set aside
	Bytes       int64         // size on disk
	Elapsed     time.Duration // zero when unchanged
	Err         error         // why it is not in the lake; nil when it is
}

// Table describes one table of the lake.
type Table struct {
	Name     string
	Resource string // the FHIR type whose resources it shows; "" for resource and load_…
	About    string // one sentence
	Rows     int64
	Columns  []Column
}

// Column describes one column of a table or of a query's result.
type Column struct {
	Name string
	Type string // as DuckDB names it: VARCHAR, DOUBLE, TIMESTAMP WITH TIME ZONE, VARCHAR[] …
	Path string // where in the resource the value stands; "" in results and where there is none
}
