package sim

import (
	"bufio"
	"net/http"
)

// bulkFile answers {status URL}/{file} with NDJSON: each line the stored bytes. It needs the
// token and the same client (59007 otherwise, medium). The file is read from the store as it
// goes out; none is ever whole in memory.
func (s *Server) bulkFile(w *recorder, r *http.Request, c call) {
	g, ok := s.bearer(w, r)
	if !ok {
		return
	}
	if !g.reg.grants.mayBulk("file request") {
		s.insufficientScope(w, "the API Bulk Data file request is not registered")
		return
	}
	j := s.findJob(w, r, g, c.job)
	if j == nil {
		return
	}
	f := s.jobs.file(j, c.id)
	if f == nil {
		w.x.Reason = "no such file, or the export still runs"
		s.sendResource(w, r, s.knobs.BulkExpired, outcome{say("59008", "Invalid FHIR ID provided", "id")}.json())
		return
	}
	fhirHeaders(w)
	w.Header().Set("Content-Type", "application/fhir+ndjson")
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	out := bufio.NewWriterSize(w, 1<<16)
	for _, line := range f.lines {
		_, _ = out.Write(line.json())
		_ = out.WriteByte('\n')
	}
	for _, at := range f.entries {
		b, err := s.resource(at)
		if err == nil {
			_, err = out.Write(b)
		}
		if err == nil {
			err = out.WriteByte('\n')
		}
		if err != nil {
			// A file that ended here would look whole.
			panic(http.ErrAbortHandler)
		}
	}
	_ = out.Flush()
}

// file returns a file of a finished job.
func (j *jobs) file(one *job, id string) *bulkFile {
	j.mu.Lock()
	defer j.mu.Unlock()
	if one.done.IsZero() {
		return nil
	}
	for _, list := range [][]*bulkFile{one.output, one.errors} {
		for _, f := range list {
			if f.id == id {
				return f
			}
		}
	}
	return nil
}
