package sim

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/andironhq/andiron/epic"
)

// jobs are the exports, and when each client last exported each group.
type jobs struct {
	mu   sync.Mutex
	byID map[string]*job
	last map[string]time.Time // by client and group
}

// job is one export. What it will hold is known at the kick-off: the population does not change.
type job struct {
	id, client, window string
	request            string
	start              time.Time
	patients           int
	polls              int
	done               time.Time // zero while it runs
	output, errors     []*bulkFile
}

// bulkFile is a file of a manifest: resources by their place, or lines of its own.
type bulkFile struct {
	id, typ string
	entries []int32
	lines   []outcome
}

func (j *jobs) clear() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.byID, j.last = nil, nil
}

// fileOf tells type and position of a file, for faults.
func (j *jobs) fileOf(jobID, fileID string) (string, int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if one := j.byID[jobID]; one != nil {
		for i, f := range slices.Concat(one.output, one.errors) {
			if f.id == fileID {
				return f.typ, i + 1
			}
		}
	}
	return "", 0
}

// kickoff answers GET {base}/Group/{id}/$export (Epic's bulk tutorial; Bulk Data Access 1.0.1,
// Bulk Data Kick-off Request): 202 and Content-Location, with nothing else.
func (s *Server) kickoff(w *recorder, r *http.Request, c call) {
	g, ok := s.bearer(w, r)
	if !ok {
		return
	}
	if !g.reg.grants.mayBulk("kick-off") {
		s.insufficientScope(w, "the API Bulk Data Kick-off is not registered")
		return
	}
	group := Group{ID: c.ask, Patients: s.store.patients}
	if c.ask == "group" {
		if group, ok = s.group(c.id); !ok {
			w.x.Reason = "no such group"
			s.sendResource(w, r, http.StatusNotFound, outcome{say("59008", "Invalid FHIR ID provided", "id")}.json())
			return
		}
	}
	if !strings.Contains(strings.ToLower(strings.Join(r.Header.Values("Prefer"), ",")), "respond-async") {
		s.refuseKickoff(w, r, http.StatusBadRequest, say("59102", "The header Prefer must be respond-async."))
		return
	}
	q := parseQuery("", r.URL.RawQuery)
	if q.has("_typefilter") && !q.has("_type") {
		s.refuseKickoff(w, r, http.StatusBadRequest, say("59102", "_typeFilter needs _type.", "_typeFilter"))
		return
	}
	now := s.clock.now()
	window := g.reg.ClientID + "\x00" + group.ID
	if !s.jobs.claim(window, now, s.knobs.BulkWindow) {
		// The text is on record, the status is not (high, unverified).
		s.refuseKickoff(w, r, s.knobs.BulkTooRecent, say("59159", epic.TooRecentText))
		return
	}
	j := &job{
		id:     "0000000000" + s.random.hex(11),
		client: g.reg.ClientID, window: window, start: now, patients: len(group.Patients),
		request: s.origin(r) + r.URL.RequestURI(),
	}
	s.collect(j, g, group, q, c.ask == "group")
	s.jobs.add(j, s.knobs.BulkFileTTL)
	w.Header().Set("Content-Location", s.origin(r)+s.knobs.InstancePath+"/api/FHIR/BulkRequest/"+j.id)
	fhirHeaders(w)
	w.WriteHeader(http.StatusAccepted)
}

func (s *Server) refuseKickoff(w *recorder, r *http.Request, status int, i issue) {
	w.x.Reason = "kick-off refused: " + i.Diagnostics
	s.sendResource(w, r, status, outcome{i}.json())
}

// claim takes the window of a client and group, if it is free.
func (j *jobs) claim(window string, now time.Time, length time.Duration) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if length > 0 {
		if last, ok := j.last[window]; ok && now.Sub(last) < length {
			return false
		}
	}
	if j.last == nil {
		j.last = map[string]time.Time{}
	}
	j.last[window] = now
	return true
}

func (j *jobs) add(one *job, life time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.byID == nil {
		j.byID = map[string]*job{}
	}
	for id, old := range j.byID {
		if !old.done.IsZero() && one.start.Sub(old.done) >= life {
			delete(j.byID, id)
		}
	}
	for len(j.byID) >= jobsMax {
		oldest := ""
		for id, old := range j.byID {
			if oldest == "" || old.start.Before(j.byID[oldest].start) {
				oldest = id
			}
		}
		delete(j.byID, oldest)
	}
	j.byID[one.id] = one
}

// jobsMax bounds what exports that nobody deletes can occupy.
const jobsMax = 500

// find returns the client's job. If there is none it has answered.
func (s *Server) findJob(w *recorder, r *http.Request, g *grant, id string) *job {
	now := s.clock.now()
	s.jobs.mu.Lock()
	j := s.jobs.byID[id]
	if j != nil && !j.done.IsZero() && now.Sub(j.done) >= s.knobs.BulkFileTTL {
		delete(s.jobs.byID, id)
		j = nil
	}
	s.jobs.mu.Unlock()
	switch {
	case j == nil:
		w.x.Reason = "the export is unknown, deleted or expired"
		s.sendResource(w, r, s.knobs.BulkExpired, outcome{say("59008", "Invalid FHIR ID provided", "id")}.json())
		return nil
	case j.client != g.reg.ClientID:
		w.x.Reason = "the export is another client's"
		s.sendResource(w, r, http.StatusForbidden, outcome{say("59007")}.json())
		return nil
	}
	return j
}

// bulkStatus answers polls and DELETE (Bulk Data Access 1.0.1, Bulk Data Status Request).
func (s *Server) bulkStatus(w *recorder, r *http.Request, c call) {
	g, ok := s.bearer(w, r)
	if !ok {
		return
	}
	api := "status request"
	if r.Method == http.MethodDelete {
		api = "delete request"
	}
	if !g.reg.grants.mayBulk(api) {
		s.insufficientScope(w, "the API Bulk Data "+api+" is not registered")
		return
	}
	j := s.findJob(w, r, g, c.job)
	if j == nil {
		return
	}
	if r.Method == http.MethodDelete {
		s.jobs.remove(j)
		fhirHeaders(w)
		w.WriteHeader(http.StatusAccepted)
		return
	}
	if searched, running := s.poll(j); running {
		fhirHeaders(w)
		w.Header().Set("X-Progress", "Searched "+strconv.Itoa(searched)+" of "+strconv.Itoa(j.patients)+" patients")
		if s.knobs.BulkRetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(seconds(s.knobs.BulkRetryAfter)))
		}
		w.WriteHeader(http.StatusAccepted)
		return
	}
	s.sendManifest(w, r, j)
}

// remove ends a job. Deleting an unfinished one gives the window back (medium).
func (j *jobs) remove(one *job) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.byID, one.id)
	if one.done.IsZero() && j.last[one.window].Equal(one.start) {
		delete(j.last, one.window)
	}
}

// poll counts a poll and tells whether the job still runs, and how far it is.
func (s *Server) poll(j *job) (searched int, running bool) {
	now := s.clock.now()
	s.jobs.mu.Lock()
	defer s.jobs.mu.Unlock()
	if !j.done.IsZero() {
		return j.patients, false
	}
	polls := max(0, s.knobs.BulkPolls)
	due := j.start.Add(s.knobs.BulkTime)
	if j.polls >= polls && !now.Before(due) {
		j.done = now
		return j.patients, false
	}
	searched = j.patients
	if polls > 0 {
		searched = j.patients * j.polls / polls
	}
	if s.knobs.BulkTime > 0 {
		searched = min(searched, int(float64(j.patients)*max(0, now.Sub(j.start).Seconds())/s.knobs.BulkTime.Seconds()))
	}
	j.polls++
	return min(searched, j.patients), true
}

type manifest struct {
	TransactionTime string         `json:"transactionTime"`
	Request         string         `json:"request"`
	RequiresToken   any            `json:"requiresAccessToken"`
	Output          []manifestFile `json:"output"`
	Error           []manifestFile `json:"error"`
}

type manifestFile struct {
	Type string `json:"type"`
	URL  string `json:"url"`
}

// sendManifest answers a finished job: no count, deleted or extension, and requiresAccessToken
// is a string (one captured manifest of 2024, medium).
func (s *Server) sendManifest(w *recorder, r *http.Request, j *job) {
	status := s.origin(r) + s.knobs.InstancePath + "/api/FHIR/BulkRequest/" + j.id
	list := func(files []*bulkFile) []manifestFile {
		out := []manifestFile{}
		for _, f := range files {
			out = append(out, manifestFile{f.typ, status + "/" + f.id})
		}
		return out
	}
	m := manifest{
		TransactionTime: j.start.UTC().Format("2006-01-02T15:04:05Z"), Request: j.request,
		RequiresToken: "true", Output: list(j.output), Error: list(j.errors),
	}
	if s.knobs.BulkTokenFlag == "bool" {
		m.RequiresToken = true
	}
	fhirHeaders(w)
	w.sendJSON(http.StatusOK, "application/json", m)
}
