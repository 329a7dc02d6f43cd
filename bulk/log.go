package bulk

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/andironhq/andiron/fhir"
)

// The log is in the format that the SMART bulk data client made ("Bulk Data Export Log
// Items" in its wiki), which other tools read. Never in it: tokens, queries of files' URLs,
// bodies of answers, the parameter patient.

type detail map[string]any

// record appends an event. A log that cannot be written is no reason to lose an export; a
// full disk shows itself where it matters.
func (r *runner) write(event string, d detail) {
	line, err := json.Marshal(struct {
		ExportID    string    `json:"exportId"`
		Timestamp   time.Time `json:"timestamp"`
		EventID     string    `json:"eventId"`
		EventDetail detail    `json:"eventDetail"`
	}{r.exportID(), r.now().UTC(), event, d})
	if err != nil {
		return
	}
	r.logging.Lock()
	defer r.logging.Unlock()
	if err := r.folder.appendLine(r.logFile(), line); err != nil && !r.logBroken {
		r.logBroken = true
		r.emit(Event{Kind: KindWarning, Err: err, Text: "the log cannot be written"})
	}
}

// logFile is the log of this run: beside the old one until the old run has made room.
func (r *runner) logFile() string {
	if r.rec.id > 1 && !r.rec.placed {
		return nextLogName
	}
	return logName
}

// exportID is the same over restarts: the status URL serves, as with other writers.
func (r *runner) exportID() string {
	if r.rec.statusURL != "" {
		return noQuery(r.rec.statusURL)
	}
	return "run-" + strconv.Itoa(r.rec.id)
}

func noQuery(u string) string {
	p, err := url.Parse(u)
	if err != nil {
		return ""
	}
	p.User, p.RawQuery, p.Fragment, p.ForceQuery = nil, "", "", false
	return p.String()
}

// harmless are the headers that may stand in a log.
func harmless(h http.Header) map[string]string {
	out := map[string]string{}
	for _, name := range []string{"Date", "Retry-After", "X-Progress", "Content-Type", "Expires", "Preference-Applied"} {
		if v := h.Get(name); v != "" {
			out[strings.ToLower(name)] = printable(v)
		}
	}
	return out
}

func (r *runner) logKickoff(h http.Header, err error) {
	var sw software
	_ = json.Unmarshal([]byte(r.rec.software), &sw) // empty where nobody asked the server
	params := map[string]string{}
	exportURL := r.rec.base + "/" + r.rec.request
	if u, perr := url.Parse(exportURL); perr == nil {
		q := u.Query()
		for name := range q {
			if name != "patient" {
				params[name] = q.Get(name)
			}
		}
	}
	d := detail{
		"exportUrl": exportURL, "softwareName": sw.Name, "softwareVersion": sw.Version,
		"softwareReleaseDate": sw.Release, "fhirVersion": sw.FHIR, "requestParameters": params,
		"errorCode": nil, "errorBody": nil, "responseHeaders": harmless(h),
	}
	if err != nil {
		d["errorCode"], d["errorBody"] = statusOf(err), err.Error()
	}
	r.write("kickoff", d)
}

// statusOf is the HTTP status of a failure; nil when it has none.
func statusOf(err error) any {
	if fe, ok := errors.AsType[*fhir.Error](err); ok && fe.Status != 0 {
		return fe.Status
	}
	return nil
}

func (r *runner) logStatus(a reply) {
	d := detail{"body": nil, "xProgress": a.progress, "retryAfter": nil}
	if v := a.header.Get("Retry-After"); v != "" {
		d["retryAfter"] = printable(v)
	}
	r.write("status_progress", d)
}

func (r *runner) logStatusError(a reply) {
	d := detail{"body": nil, "code": nil, "message": "", "responseHeaders": harmless(a.header)}
	if a.status != 0 {
		d["code"] = a.status
	}
	if a.err != nil {
		d["message"] = a.err.Error()
	}
	r.write("status_error", d)
}

func (r *runner) logManifest(m *manifest, pages int) {
	r.write("status_page_complete", detail{
		"transactionTime": m.transactionTime, "outputFileCount": len(m.lists["output"]),
		"deletedFileCount": len(m.lists["deleted"]), "errorFileCount": len(m.lists["error"]),
	})
	r.write("status_complete", detail{"transactionTime": m.transactionTime})
	r.write("manifest_complete", detail{
		"transactionTime": m.transactionTime, "totalOutputFileCount": len(m.lists["output"]),
		"totalDeletedFileCount": len(m.lists["deleted"]), "totalErrorFileCount": len(m.lists["error"]),
		"totalManifests": pages,
	})
}

func (r *runner) logRequest(f *row, url string) {
	r.write("download_request", detail{"fileUrl": noQuery(url), "itemType": f.list, "resourceType": f.typ})
}

func (r *runner) logComplete(f *row) {
	r.write("download_complete", detail{"fileUrl": noQuery(f.url), "resourceCount": f.lines, "fileSize": f.bytes})
}

func (r *runner) logError(f *row, url string, err error) {
	r.write("download_error", detail{
		"fileUrl": noQuery(url), "body": nil, "code": statusOf(err), "message": err.Error(), "responseHeaders": detail{},
	})
}

func (r *runner) logExport(res *Result) {
	r.write("export_complete", detail{
		"files": len(res.Output), "resources": res.Resources, "bytes": res.Bytes, "attachments": 0,
		"duration": r.now().Sub(r.rec.started).Milliseconds(),
	})
}
