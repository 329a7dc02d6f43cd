package sim

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// ward is a simulator over two charts, Ann's and Bob's, that gives out tokens of any scope.
type ward struct {
	*Server
	t      testing.TB
	origin string
}

const (
	ofAnn = "Patient/eAnn3"
	ofDoc = "Practitioner/eDoc3"
)

func newWard(t testing.TB, knobs Knobs) *ward {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{}
	add := func(typ, id, rest string) {
		files[typ] += `{"resourceType":"` + typ + `","id":"` + id + `"` + rest + "}\n"
	}
	category := func(code string) string { return `,"category":[{"coding":[{"code":"` + code + `"}]}]` }
	for _, name := range []string{"Ann", "Bob"} {
		id := "e" + name + "3"
		about := `,"subject":{"reference":"Patient/` + id + `"}`
		add("Patient", id, `,"name":[{"family":"`+name+`"}],"birthDate":"1980-01-02"`)
		for _, n := range []string{"1", "2", "3"} {
			add("Observation", "lab"+n+name, `,"status":"final","code":{"text":"x"}`+category("laboratory")+about)
		}
		add("Observation", "vital"+name, `,"status":"final","code":{"text":"x"}`+category("vital-signs")+about)
		add("Condition", "problem"+name, `,"clinicalStatus":{"coding":[{"code":"active"}]}`+category("problem-list-item")+about)
		add("Encounter", "visit"+name, `,"status":"finished","class":{"code":"AMB"}`+about)
		add("Provenance", "prov"+name, `,"target":[{"reference":"Observation/lab1`+name+`"}],"recorded":"2025-01-01T00:00:00Z"`)
		for _, kind := range []struct{ name, label string }{{"note", ""}, {"secret", `,"securityLabel":[{"coding":[{"code":"NOPAT"}]}]`}} {
			add("DocumentReference", kind.name+name, `,"status":"current"`+kind.label+category("clinical-note")+about+`,"content":[{"attachment":{"contentType":"text/plain","url":"Binary/`+kind.name+"text"+name+`"}}]`)
			add("Binary", kind.name+"text"+name, `,"contentType":"text/plain","data":"eA=="`)
		}
	}
	// Bob's observation names Ann's visit and Ann's one Bob's: what an _include could leak.
	add("Observation", "crossAnn", `,"status":"final","code":{"text":"x"},"category":[{"coding":[{"code":"laboratory"}]}],"subject":{"reference":"Patient/eAnn3"},"encounter":{"reference":"Encounter/visitBob"}`)
	add("Provenance", "provBoth", `,"target":[{"reference":"Observation/lab1Ann"},{"reference":"Observation/lab1Bob"}],"recorded":"2025-01-01T00:00:00Z"`)
	add("Practitioner", "eDoc3", `,"name":[{"family":"Doc"}]`)
	for typ, text := range files {
		if err := os.WriteFile(filepath.Join(dir, typ+".ndjson"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return serveWard(t, &Server{Data: dir, Knobs: knobs, Merged: map[string]string{"eOld3": "eBob3", "eOlder3": "eAnn3"}, Apps: wardApps()})
}

func wardApps() []App {
	here := []string{"https://app.example/callback"}
	return []App{
		{ClientID: "all", Kind: Standalone, RedirectURIs: here, Origins: []string{"https://app.example"}},
		{ClientID: "chart", Kind: EHRLaunch, RedirectURIs: here},
		{ClientID: "dynamic", Kind: Standalone, RedirectURIs: here, Dynamic: true},
		{ClientID: "vitals", Kind: Standalone, RedirectURIs: here, APIs: []string{"Observation.Read (Vital Signs) (R4)", "Observation.Search (Vital Signs) (R4)"}},
		{ClientID: "backend", Kind: Backend, JWKSURL: "http://127.0.0.1:1/keys"},
	}
}

func serveWard(t testing.TB, s *Server) *ward {
	t.Helper()
	w := &ward{Server: s, t: t}
	server := httptest.NewServer(w.Server)
	t.Cleanup(server.Close)
	t.Cleanup(func() { _ = w.Close() })
	w.origin = server.URL
	if err := w.Open(); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *ward) grant(app, user, scope string) *grant {
	w.t.Helper()
	reg, reason := w.apps.find(app, w.clock.now())
	if reg == nil {
		w.t.Fatal(reason)
	}
	return &grant{reg: reg, user: user, patient: "eAnn3", scope: scope, scopes: parseScopes(scope)}
}

// token is that of a user who has Ann in context.
func (w *ward) token(user, scope string) string {
	w.t.Helper()
	return w.issue(w.grant("all", user, scope))
}

type told struct {
	status int
	header http.Header
	text   string
}

func (w *ward) send(method, path, token, form string, more ...string) told {
	w.t.Helper()
	if !strings.HasPrefix(path, "http") {
		path = w.origin + w.BasePath() + "/" + path
	}
	req, err := http.NewRequest(method, path, strings.NewReader(form))
	if err != nil {
		w.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	req.Header.Set("Accept", "application/fhir+json")
	if form != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(more); i += 2 {
		req.Header.Set(more[i], more[i+1])
	}
	client := http.Client{Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return told{resp.StatusCode, resp.Header, string(body)}
}

func (w *ward) get(path, token string) told { w.t.Helper(); return w.send("GET", path, token, "") }

// entries lists a Bundle's entries other than the outcome as Type/id, in order of the alphabet.
func (a told) entries(t testing.TB) []string {
	t.Helper()
	var b struct {
		ResourceType string
		Entry        []struct {
			Resource struct{ ResourceType, ID string }
		}
	}
	if a.status != http.StatusOK || json.Unmarshal([]byte(a.text), &b) != nil || b.ResourceType != "Bundle" {
		t.Fatalf("no Bundle: %d %.200s", a.status, a.text)
	}
	list := []string{}
	for _, e := range b.Entry {
		if e.Resource.ResourceType != "OperationOutcome" {
			list = append(list, e.Resource.ResourceType+"/"+e.Resource.ID)
		}
	}
	slices.Sort(list)
	return list
}

func (a told) next() string {
	var b struct {
		Link []struct{ Relation, URL string }
	}
	_ = json.Unmarshal([]byte(a.text), &b)
	for _, l := range b.Link {
		if l.Relation == "next" {
			return l.URL
		}
	}
	return ""
}

func (a told) has(code string) bool { return strings.Contains(a.text, `"code":"`+code+`"`) }

func TestR1NoTokenOrBadTokenIsRefused(t *testing.T) {
	w := newWard(t, Knobs{})
	good := w.token(ofAnn, "patient/*.rs")
	for _, path := range []string{ofAnn, "Observation?patient=eAnn3&category=laboratory", "Binary/notetextAnn"} {
		if a := w.get(path, ""); a.status != 401 || a.header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%s without a token answers %d", path, a.status)
		}
		if a := w.get(path, "unknown"); a.status != 401 || !strings.Contains(a.header.Get("WWW-Authenticate"), "invalid_token") {
			t.Errorf("%s with an unknown token answers %d", path, a.status)
		}
		if a := w.get(path, good); a.status != 200 {
			t.Errorf("%s with a good token answers %d", path, a.status)
		}
	}
	w.Revoke("all")
	if a := w.get(ofAnn, good); a.status != 401 {
		t.Errorf("a revoked token draws %d, want 401", a.status)
	}
	late := w.token(ofAnn, "patient/*.rs")
	w.Advance(2 * time.Hour)
	if a := w.get(ofAnn, late); a.status != 401 || !strings.Contains(a.header.Get("WWW-Authenticate"), "invalid_token") {
		t.Errorf("an expired token draws %d, want 401", a.status)
	}
}

func TestR2TypeOrLetterNotGrantedIsRefused(t *testing.T) {
	w := newWard(t, Knobs{})
	const read, search = "Observation/lab1Ann", "Observation?patient=eAnn3&category=laboratory"
	for _, row := range []struct {
		scope, path string
		status      int
	}{
		{"patient/Observation.r", read, 200},
		{"patient/Observation.r", search, 403},
		{"patient/Observation.s", read, 403},
		{"patient/Observation.s", search, 200},
		{"patient/Observation.cud", read, 403},
		{"patient/Observation.write", search, 403},
		{"patient/Observation.Read", read, 200},
		{"patient/Observation.Read", search, 200},
		{"patient/Condition.rs", read, 403},
		{"patient/*.*", read, 200},
		{"patient/observation.rs", read, 403},
		{"patient/Observation.sr", read, 403},
		{"system/Observation.rs", read, 403},
		{"openid fhirUser launch/patient", read, 403},
		{"", read, 403},
	} {
		a := w.get(row.path, w.token(ofAnn, row.scope))
		if a.status != row.status {
			t.Errorf("with %q, %s answers %d, want %d", row.scope, row.path, a.status, row.status)
		}
		if a.status == 403 && (a.text != "" || !strings.Contains(a.header.Get("WWW-Authenticate"), "insufficient_scope")) {
			t.Errorf("with %q, the refusal of %s is not the empty insufficient_scope", row.scope, row.path)
		}
	}
	narrow := w.issue(w.grant("vitals", ofAnn, "patient/*.rs"))
	if a := w.get("Condition/problemAnn", narrow); a.status != 403 {
		t.Errorf("a scope reaches beyond the app's APIs: %d", a.status)
	}
}

func TestR3PatientScopeStaysInCompartment(t *testing.T) {
	w := newWard(t, Knobs{})
	for _, user := range []string{ofAnn, ofDoc} {
		token := w.token(user, "patient/*.rs")
		for _, mine := range []string{ofAnn, "Observation/lab1Ann", "Binary/notetextAnn", "Provenance/provAnn", "Practitioner/eDoc3"} {
			if a := w.get(mine, token); a.status != 200 {
				t.Errorf("%s with %s draws %d, want 200", user, mine, a.status)
			}
		}
		missing := w.get("Observation/nothing", token)
		for _, other := range []string{"Patient/eBob3", "Observation/lab1Bob", "Binary/notetextBob", "Binary/secrettextBob", "Provenance/provBob", "Provenance/provBoth", "Patient/eOld3"} {
			a := w.get(other, token)
			if a.status != 404 || strings.Contains(a.text, "Bob") {
				t.Errorf("%s with %s draws %d, want 404", user, other, a.status)
			}
			if strings.HasPrefix(other, "Observation") && a.text != missing.text {
				t.Errorf("the 404 of %s differs from that of nothing, and tells that it exists", other)
			}
		}
		for _, search := range []string{
			"Observation?patient=eBob3", "Observation?subject=Patient/eBob3", "Observation?_id=lab1Bob", "Observation?patient=eBob3&_summary=count",
			"Observation?patient=eBob3&category=laboratory", "Patient?_id=eBob3", "Patient?family=Bob&birthdate=1980-01-02",
			"Condition?patient=Patient/eBob3", "DocumentReference?patient=eBob3",
			"Observation?_id=lab1Ann,lab1Bob", "Provenance?target=Observation/lab1Bob",
		} {
			a := w.get(search, token)
			if strings.Contains(a.text, `"id":"lab1Bob`) || strings.Contains(a.text, `"id":"eBob3`) {
				t.Errorf("%s finds Bob's by %s", user, search)
			}
			name, value, _ := strings.Cut(search, "?")
			posted := w.send("POST", name+"/_search", token, value)
			if posted.status != a.status || strings.Contains(posted.text, `"id":"lab1Bob`) || strings.Contains(posted.text, `"id":"eBob3`) {
				t.Errorf("%s by POST draws %d, by GET %d", search, posted.status, a.status)
			}
		}
	}
	doc := w.token(ofDoc, "user/*.rs")
	if a := w.get("Observation/lab1Bob", doc); a.status != 200 {
		t.Errorf("a clinician's user scope does not reach another patient: %d", a.status)
	}
	ann := w.token(ofAnn, "user/*.rs")
	if a := w.get("Observation/lab1Bob", ann); a.status != 404 {
		t.Errorf("a patient's user scope reaches another patient: %d", a.status)
	}
}

func TestR4GranularScopeShowsItsCategoryOnly(t *testing.T) {
	w := newWard(t, Knobs{})
	const system = "http://terminology.hl7.org/CodeSystem/observation-category|"
	token := w.token(ofAnn, "patient/Observation.rs?category="+system+"laboratory")
	if a := w.get("Observation/lab1Ann", token); a.status != 200 {
		t.Errorf("the granted category is refused: %d", a.status)
	}
	if a := w.get("Observation/vitalAnn", token); a.status != 403 || !a.has("59203") {
		t.Errorf("a read of another category draws %d, want 403 with 59203", a.status)
	}
	if a := w.get("Observation/vitalBob", token); a.status != 404 {
		t.Errorf("another patient's other category draws %d: it tells that it exists", a.status)
	}
	a := w.get("Observation?patient=eAnn3&category=laboratory,vital-signs", token)
	if got := strings.Join(a.entries(t), " "); got != "Observation/crossAnn Observation/lab1Ann Observation/lab2Ann Observation/lab3Ann" {
		t.Errorf("the search of everything finds %s", got)
	}
	if !a.has("59204") {
		t.Error("the search does not say that categories are left out (59204)")
	}
	if a := w.get("Observation?patient=eAnn3&category=vital-signs", token); a.status != 400 || !a.has("59022") {
		t.Errorf("a search of which nothing is left draws %d, want 400 with 59022", a.status)
	}
	both := w.token(ofAnn, "patient/Observation.rs?category="+system+"laboratory patient/Observation.rs?category="+system+"vital-signs")
	if n := len(w.get("Observation?patient=eAnn3&category=laboratory,vital-signs", both).entries(t)); n != 5 {
		t.Errorf("two categories together find %d, want 5", n)
	}
	odd := w.token(ofAnn, "patient/Observation.rs?nonsense=1")
	if a := w.get("Observation/lab1Ann", odd); a.status != 403 {
		t.Errorf("a query that the server does not know widens the scope: %d", a.status)
	}
}

func TestR5TokenOfOneServerIsNoneAtAnother(t *testing.T) {
	w, other := newWard(t, Knobs{}), newWard(t, Knobs{})
	token := w.token(ofAnn, "patient/*.rs")
	if a := other.get(ofAnn, token); a.status != 401 || !strings.Contains(a.header.Get("WWW-Authenticate"), "invalid_token") {
		t.Errorf("another server takes the token: %d", a.status)
	}
	if a := w.get(ofAnn, token); a.status != 200 {
		t.Errorf("its own server answers %d", a.status)
	}
}

func TestIncludesShowOnlyWhatCouldBeRead(t *testing.T) {
	w := newWard(t, Knobs{})
	for _, row := range []struct{ user, scope, path, want string }{
		{ofAnn, "patient/*.rs", "Observation?_id=crossAnn&_include=Observation:encounter", "Observation/crossAnn"},
		{ofAnn, "patient/*.rs", "Observation?_id=crossAnn&_include=*", "Observation/crossAnn Patient/eAnn3"},
		{ofDoc, "user/*.rs", "Observation?_id=crossAnn&_include=Observation:encounter", "Encounter/visitBob Observation/crossAnn"},
		{ofAnn, "patient/Observation.rs", "Observation?_id=crossAnn&_include=*", "Observation/crossAnn"},
		{ofAnn, "patient/Observation.rs patient/Patient.s", "Observation?_id=crossAnn&_include=*", "Observation/crossAnn"},
		{ofAnn, "patient/*.rs", "Observation?_id=lab1Ann&_revinclude=Provenance:target", "Observation/lab1Ann Provenance/provAnn"},
		{ofDoc, "user/*.rs", "Observation?_id=lab1Ann&_revinclude=Provenance:target", "Observation/lab1Ann Provenance/provAnn Provenance/provBoth"},
		{ofAnn, "patient/Observation.rs", "Observation?_id=lab1Ann&_revinclude=Provenance:target", "Observation/lab1Ann"},
	} {
		if got := strings.Join(w.get(row.path, w.token(row.user, row.scope)).entries(t), " "); got != row.want {
			t.Errorf("%s with %q, %s: %s, want %s", row.user, row.scope, row.path, got, row.want)
		}
	}
}

func TestPagingLinkServesItsOwnUserOnly(t *testing.T) {
	w := newWard(t, Knobs{})
	scope := "patient/Observation.rs"
	first := w.get("Observation?patient=eAnn3&category=laboratory&_count=2", w.token(ofAnn, scope))
	next := first.next()
	if next == "" {
		t.Fatal("the search has one page")
	}
	bob := w.grant("all", "Patient/eBob3", scope)
	bob.patient = "eBob3"
	for who, token := range map[string]string{
		"another patient": w.issue(bob), "the clinician": w.token(ofDoc, scope),
		"a narrower scope": w.token(ofAnn, "patient/Observation.s?category=vital-signs"), "another app": w.issue(w.grant("chart", ofAnn, scope)),
	} {
		if a := w.get(next, token); a.status != 400 || !a.has("4113") {
			t.Errorf("%s follows the link: %d", who, a.status)
		}
	}
	if a := w.get(next, w.token(ofAnn, scope)); a.status != 200 || len(a.entries(t)) == 0 {
		t.Errorf("a renewed token of the same sign-in does not follow the link: %d", a.status)
	}
	if a := w.get(next, w.token(ofAnn, "patient/Condition.rs")); a.status != 403 {
		t.Errorf("the link is followed without the scope: %d", a.status)
	}
}

func TestUndisclosedDocumentIsHiddenFromThePatient(t *testing.T) {
	w := newWard(t, Knobs{})
	ann, doc := w.token(ofAnn, "patient/*.rs"), w.token(ofDoc, "user/*.rs")
	patientScope := w.token(ofDoc, "patient/*.rs")
	for _, path := range []string{"DocumentReference/secretAnn", "Binary/secrettextAnn"} {
		if a := w.get(path, ann); a.status != 404 {
			t.Errorf("the patient reads %s: %d", path, a.status)
		}
		for _, token := range []string{doc, patientScope} {
			if a := w.get(path, token); a.status != 200 {
				t.Errorf("the clinician does not read %s: %d", path, a.status)
			}
		}
	}
	search := "DocumentReference?patient=eAnn3&category=clinical-note"
	if got := strings.Join(w.get(search, ann).entries(t), " "); got != "DocumentReference/noteAnn" {
		t.Errorf("the patient's search finds %s", got)
	}
	if got := len(w.get(search, doc).entries(t)); got != 2 {
		t.Errorf("the clinician's search finds %d, want 2", got)
	}
}

func TestMergedPatientRedirectsOnlyWithinSight(t *testing.T) {
	w := newWard(t, Knobs{})
	ann, doc := w.token(ofAnn, "patient/*.rs"), w.token(ofDoc, "user/*.rs")
	if a := w.get("Patient/eOld3", ann); a.status != 404 || a.header.Get("Location") != "" {
		t.Errorf("the redirect tells Ann into whom another patient was merged: %d", a.status)
	}
	for path, token := range map[string]string{"Patient/eOlder3": ann, "Patient/eOld3": doc} {
		if a := w.get(path, token); a.header.Get("Location") == "" || !a.has("4107") {
			t.Errorf("%s is not redirected: %d", path, a.status)
		}
	}
}

func TestUserTokenIsNoUseForBulkExport(t *testing.T) {
	w := newWard(t, Knobs{SystemExport: true})
	groups, err := w.Groups()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"Group/" + groups[0].ID + "/$export", "Patient/$export", "$export"} {
		for _, user := range []string{ofAnn, ofDoc} {
			a := w.send("GET", path, w.token(user, "user/*.cruds patient/*.cruds system/*.cruds"), "", "Prefer", "respond-async")
			if a.status != 403 || a.header.Get("Content-Location") != "" {
				t.Errorf("%s starts an export by %s: %d", user, path, a.status)
			}
		}
	}
}

func TestRefusedSearchDoesNotTellWhoExists(t *testing.T) {
	w := newWard(t, Knobs{})
	for _, user := range []string{ofAnn, ofDoc} {
		token := w.token(user, "patient/*.rs")
		for _, search := range []string{"Observation?category=laboratory&patient=", "Condition?patient=", "Encounter?subject=Patient/", "Patient?_id="} {
			other, none := w.get(search+"eBob3", token), w.get(search+"eNun3", token)
			if other.status != none.status || strings.ReplaceAll(other.text, "eBob3", "eNun3") != none.text && none.status != http.StatusOK {
				t.Errorf("%s: %s answers %d for another patient and %d for nobody", user, search, other.status, none.status)
			}
		}
	}
}

func TestPatientScopeWithoutPatientReachesNobody(t *testing.T) {
	w := newWard(t, Knobs{})
	g := w.grant("chart", ofDoc, "patient/*.rs")
	g.patient = ""
	token := w.issue(g)
	for _, path := range []string{ofAnn, "Observation/lab1Ann", "Binary/notetextAnn", "Provenance/provAnn", "DocumentReference/noteBob"} {
		if a := w.get(path, token); a.status != 404 {
			t.Errorf("%s is read with no patient in context: %d", path, a.status)
		}
	}
	if a := w.get("Observation?patient=eAnn3&category=laboratory", token); strings.Contains(a.text, `"id":"lab`) {
		t.Error("a search without a patient in context finds a patient's results")
	}
}
