package sim

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// result is a search whose hits are known and whose pages are handed out.
type result struct {
	query     query
	hits      []int32
	post      []condition // filter each page after it was cut
	size      int
	grant     *grant
	notices   outcome
	everyPage bool
	offset    int // of the next page, in a session
}

// sessions keep results between pages, by sessionID.
type sessions struct {
	mu    sync.Mutex
	byID  map[string]*session
	count int
}

type session struct {
	result
	until time.Time
}

func (s *sessions) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byID = nil
}

// sessionsMax bounds what abandoned searches can occupy.
const sessionsMax = 20_000

// keep stores a result at an offset under a new sessionID: a small number, and a GUID of
// version 1 without dashes whose last 12 digits are the server's (captures, high).
func (s *Server) keep(res *result, offset int) string {
	now := s.clock.now()
	s.sessions.mu.Lock()
	defer s.sessions.mu.Unlock()
	if s.sessions.byID == nil {
		s.sessions.byID = map[string]*session{}
	}
	if len(s.sessions.byID) >= sessionsMax {
		for id, old := range s.sessions.byID {
			if now.After(old.until) || len(s.sessions.byID) >= sessionsMax {
				delete(s.sessions.byID, id)
			}
		}
	}
	s.sessions.count++
	h := s.random.hex(8)
	id := fmt.Sprintf("%d-%s11F1%s%012X", 12+s.sessions.count%7, h[:12], "B"+h[13:16], s.Seed&0xffff_ffff_ffff|1)
	kept := *res
	kept.offset = offset
	s.sessions.byID[id] = &session{kept, now.Add(s.knobs.SessionTTL)}
	return id
}

// nextPage answers {Type}?sessionID=…. An expired session draws 4113 (code high, status low);
// so does one of another client, user, patient, scope or type.
func (s *Server) nextPage(w *recorder, r *http.Request, g *grant, typ, id string) {
	s.sessions.mu.Lock()
	kept := s.sessions.byID[id]
	if kept != nil && !s.clock.now().Before(kept.until) {
		delete(s.sessions.byID, id)
		kept = nil
	}
	s.sessions.mu.Unlock()
	if kept == nil || !kept.grant.sameSight(g) || kept.query.typ != typ {
		w.x.Reason = "the paging session is unknown, expired or another client's"
		s.sendResource(w, r, http.StatusBadRequest, outcome{say("4113")}.json())
		return
	}
	res := kept.result
	res.grant = g // perhaps a renewed token
	s.sendPage(w, r, &res, res.offset)
}

// sameSight tells whether another token of the same client sees the same: a session's results were
// chosen for the first, and a renewed one may go on with them.
func (g *grant) sameSight(other *grant) bool {
	return g.reg.ClientID == other.reg.ClientID && g.user == other.user && g.patient == other.patient && g.scope == other.scope
}

// firstOffset is 0, or with _page links where that page begins.
func (s *Server) firstOffset(q query, res *result) int {
	if s.knobs.PageLinks == "page" {
		for _, v := range q.values("_page") {
			if n, err := strconv.Atoi(v); err == nil && n > 1 {
				if n-1 > len(res.hits)/res.size { // beyond the end, and the product could overflow
					return len(res.hits)
				}
				return (n - 1) * res.size
			}
		}
	}
	return 0
}

// sendPage answers with one page. Post-filter parameters work after the page was cut, so it
// may hold fewer than _count entries, or none, while more follow (Epic's search page, May
// 2024; high for the split, low for the empty page).
func (s *Server) sendPage(w *recorder, r *http.Request, res *result, offset int) {
	end := min(offset+res.size, len(res.hits))
	page := s.filter(res.hits[offset:end], res.post)
	paged := len(res.hits) > res.size
	more := end < len(res.hits)

	base := s.base(r) + "/" + res.query.typ
	var b bytes.Buffer
	// total counts the matches of this page whenever the result is paged (captures, high).
	fmt.Fprintf(&b, `{"resourceType":"Bundle","type":"searchset","total":%d,"link":[`, len(page))
	if more {
		b.WriteString(`{"relation":"next","url":`)
		b.Write(encode(base + "?" + s.nextQuery(res, end)))
		b.WriteString(`},`)
	}
	b.WriteString(`{"relation":"self","url":`)
	b.Write(encode(selfURL(base, res.query)))
	b.WriteString(`}]`)

	sep := `,"entry":[`
	for _, at := range page {
		b.WriteString(sep)
		sep = ","
		s.writeEntry(&b, r, at, "match")
	}
	for _, at := range s.included(res.grant, res.query, page) {
		b.WriteString(sep)
		sep = ","
		s.writeEntry(&b, r, at, "include")
	}
	if issues := res.say(len(page) == 0 && !paged); len(issues) > 0 && (!more || res.everyPage) {
		b.WriteString(sep)
		sep = ","
		s.writeOutcomeEntry(&b, issues)
	}
	if sep == "," {
		b.WriteString("]")
	}
	b.WriteString("}")
	s.sendResource(w, r, http.StatusOK, b.Bytes())
}

// say collects the outcome entry's issues in Epic's order: remarks, 59205, 59204, 4101, 4119.
func (res *result) say(empty bool) outcome {
	issues := append(outcome(nil), res.notices...)
	if empty {
		issues = append(issues, say("4101"))
	}
	if res.grant.patientFacing() {
		issues = append(issues, say("4119"))
	}
	return issues
}

func (s *Server) filter(hits []int32, post []condition) []int32 {
	if len(post) == 0 {
		return hits
	}
	var kept []int32
	for _, at := range hits {
		if resource, err := s.decode(at); err == nil && all(post, resource) {
			kept = append(kept, at)
		}
	}
	return kept
}

// nextQuery is the query of the next link: a session, or with the guide's knob the search
// itself and the number of the page.
func (s *Server) nextQuery(res *result, end int) string {
	if s.knobs.PageLinks != "page" {
		return "sessionID=" + s.keep(res, end)
	}
	var parts []string
	for _, one := range strings.Split(res.query.self(), "&") {
		if one != "" && !strings.HasPrefix(strings.ToLower(one), "_page=") {
			parts = append(parts, one)
		}
	}
	return strings.Join(append(parts, "_page="+strconv.Itoa(end/res.size+1)), "&")
}

func selfURL(base string, q query) string {
	if text := q.self(); text != "" {
		return base + "?" + text
	}
	return base
}

func (s *Server) writeEntry(b *bytes.Buffer, r *http.Request, at int32, mode string) {
	resource, err := s.resource(at)
	if err != nil {
		resource = outcome{say("59177")}.json()
	}
	e := s.store.entries[at]
	url := encode(s.base(r) + "/" + s.store.typeName[e.typ] + "/" + e.id)
	b.WriteString(`{"link":[{"relation":"self","url":`)
	b.Write(url)
	b.WriteString(`}],"fullUrl":`)
	b.Write(url)
	b.WriteString(`,"resource":`)
	b.Write(resource)
	b.WriteString(`,"search":{"mode":"` + mode + `"}}`)
}

// writeOutcomeEntry writes the entry at the end: no link, not counted in total (captures, high).
func (s *Server) writeOutcomeEntry(b *bytes.Buffer, issues outcome) {
	b.WriteString(`{"fullUrl":"urn:uuid:` + s.random.uuid() + `","resource":`)
	b.Write(issues.json())
	b.WriteString(`,"search":{"mode":"outcome"}}`)
}

// sendCount answers _summary=count: the true total, and no entries (capture, high).
func (s *Server) sendCount(w *recorder, r *http.Request, res *result) {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"resourceType":"Bundle","type":"searchset","total":%d,"link":[{"relation":"self","url":`, len(s.filter(res.hits, res.post)))
	b.Write(encode(selfURL(s.base(r)+"/"+res.query.typ, res.query)))
	b.WriteString(`}]}`)
	s.sendResource(w, r, http.StatusOK, b.Bytes())
}
