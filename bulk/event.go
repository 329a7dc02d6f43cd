package bulk

import "time"

// Kind says what an [Event] is about.
type Kind string

// The kinds of events, in the order in which a run meets them.
const (
	// KindDialect: the dialect was chosen. Dialect and Text (the reason) are set.
	KindDialect Kind = "dialect"
	// KindResume: a run goes on where it stopped. Text is the state it was found in; Files
	// and Done count its files once they are known.
	KindResume Kind = "resume"
	// KindKickoff: the kick-off was accepted.
	KindKickoff Kind = "kickoff"
	// KindStatus: the server was asked and is still at work. Progress is its X-Progress.
	KindStatus Kind = "status"
	// KindWait: nothing happens before Until. Text says why.
	KindWait Kind = "wait"
	// KindManifest: the server is ready. Files is the number of files it lists.
	KindManifest Kind = "manifest"
	// KindDownload: a file is being read. Bytes counts what has come so far in this try.
	KindDownload Kind = "download"
	// KindFile: a file is verified and has its final name. Bytes and Lines are final; Done
	// and Files count files.
	KindFile Kind = "file"
	// KindRetry: something failed and is tried again. Err is the reason, Until the time.
	KindRetry Kind = "retry"
	// KindFailed: a file was given up for this run. Err is the reason.
	KindFailed Kind = "failed"
	// KindNote: something to know that changes nothing, in Text.
	KindNote Kind = "note"
	// KindWarning: something to look at that does not make the run fail. Text says what, Err
	// is the cause if there is one.
	KindWarning Kind = "warning"
	// KindDone: the run is over. Text is "complete", "incomplete" or "nothing to do".
	KindDone Kind = "done"
)

// Event is one thing that happened, for people who watch. It holds no token, no query of a
// URL and nothing of a patient, as far as the server's own words in Progress hold none.
type Event struct {
	// Kind says which of the other fields are set.
	Kind Kind `json:"kind"`
	// Time is when it happened.
	Time time.Time `json:"time"`
	// Run is the number of the run in its folder, from 1; 0 before there is one.
	Run int `json:"run,omitempty"`
	// Dialect is the dialect in use.
	Dialect Dialect `json:"dialect,omitempty"`
	// Text is a short sentence in lower case, without the name of the package.
	Text string `json:"text,omitempty"`
	// File is the name of a file in the folder.
	File string `json:"file,omitempty"`
	// Type is that file's resource type.
	Type string `json:"type,omitempty"`
	// Try counts the tries of this file in this run, from 1.
	Try int `json:"try,omitempty"`
	// Bytes is the size as it lies or will lie in the folder.
	Bytes int64 `json:"bytes,omitempty"`
	// Size is the size that the server announced for the transfer; 0 if it did not.
	Size int64 `json:"size,omitempty"`
	// Lines is the number of resources.
	Lines int64 `json:"lines,omitempty"`
	// Done is the number of verified files.
	Done int `json:"done,omitempty"`
	// Files is the number of files in the manifest.
	Files int `json:"files,omitempty"`
	// Progress is the server's X-Progress: free text.
	Progress string `json:"progress,omitempty"`
	// Until is when something happens next.
	Until time.Time `json:"until,omitzero"`
	// Err is the cause of a retry, failure or warning.
	Err error `json:"-"`
}
