package interop

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/andironhq/andiron/fhir"
	"github.com/andironhq/andiron/r4"
	"github.com/andironhq/andiron/sim"
	"github.com/andironhq/andiron/sim/simtest"
	"github.com/andironhq/andiron/smart"
)

// labs is the search that all clients make; its pages are small so that there are many.
func labs(epic *simtest.Epic) map[string]string {
	return map[string]string{"patient": epic.Patient, "category": "laboratory", "_count": "7"}
}

// ours is what our own client finds: the birth date of the patient and the ids of labs.
func ours(t *testing.T, epic *simtest.Epic) (birthDate string, ids []string) {
	t.Helper()
	c := epic.Backend(t)
	p, err := fhir.Read[r4.Patient](t.Context(), c, epic.Patient)
	if err != nil {
		t.Fatal(err)
	}
	q := fhir.Where("patient", epic.Patient).And("category", "laboratory").And("_count", "7")
	for obs, err := range fhir.Search[r4.Observation](t.Context(), c, q) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, obs.ID)
	}
	if len(ids) < 15 {
		t.Fatalf("only %d laboratory results: too few to prove paging", len(ids))
	}
	return string(p.BirthDate), ids
}

// sameWalk compares what a peer found with what we found.
func sameWalk(t *testing.T, epic *simtest.Epic, birthDate string, ids []string, pages int) {
	t.Helper()
	wantDate, want := ours(t, epic)
	if birthDate != wantDate {
		t.Errorf("the peer read birth date %q, we read %q", birthDate, wantDate)
	}
	if !slices.Equal(ids, want) {
		t.Errorf("the peer found %d results, we found %d, or in another order", len(ids), len(want))
	}
	if least := (len(want) + 6) / 7; pages != least {
		t.Errorf("the peer saw %d pages of 7 for %d results, want %d", pages, len(want), least)
	}
}

func TestFHIRKitClientReadsSimulator(t *testing.T) {
	node(t)
	epic := simtest.Start(t)
	token, err := epic.TokenSource().Token(t.Context(), epic.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		TokenURL, FHIRVersion, BirthDate string
		Types, IDs                       []string
		Pages                            int
		Missing                          struct {
			Status int
			Type   string
		}
	}
	peer(t, "fhir-kit-client.mjs", map[string]any{
		"base": epic.URL, "token": token, "patient": epic.Patient, "search": labs(epic),
	}, &got)

	conf, err := smart.Discover(t.Context(), nil, epic.URL)
	if err != nil {
		t.Fatal(err)
	}
	if got.TokenURL != conf.TokenEndpoint {
		t.Errorf("the peer discovered token endpoint %q, we discovered %q", got.TokenURL, conf.TokenEndpoint)
	}
	if got.FHIRVersion != "4.0.1" {
		t.Errorf("the peer read fhirVersion %q in /metadata", got.FHIRVersion)
	}
	capabilities, err := epic.Backend(t).Capabilities(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, r := range capabilities.Rest[0].Resource {
		types = append(types, r.Type)
	}
	if !slices.Equal(got.Types, types) || len(types) < 12 {
		t.Errorf("the peer read %d types in /metadata, we read %d", len(got.Types), len(types))
	}
	sameWalk(t, epic, got.BirthDate, got.IDs, got.Pages)
	if got.Missing.Status != http.StatusNotFound || got.Missing.Type != "OperationOutcome" {
		t.Errorf("reading nobody gave the peer %+v, want 404 with an OperationOutcome", got.Missing)
	}
}

func TestFHIRClientSignsInAndReadsSimulator(t *testing.T) {
	for _, alg := range []string{smart.RS384, smart.ES384} {
		t.Run(alg, func(t *testing.T) {
			node(t)
			key, err := smart.NewKey(alg)
			if err != nil {
				t.Fatal(err)
			}
			set, err := smart.PublicSet(key)
			if err != nil {
				t.Fatal(err)
			}
			keys := httptest.NewServer(set)
			t.Cleanup(keys.Close)
			pem, err := key.PEM()
			if err != nil {
				t.Fatal(err)
			}
			epic := simtest.StartServer(t, &sim.Server{
				Patients: simtest.Patients,
				Apps:     []sim.App{{ClientID: "peer", JWKSURL: keys.URL}},
			})
			type answer struct {
				Status int
				Error  string
				Token  bool
			}
			var got struct {
				Good struct {
					Status, Expires int
					Error, Type     string
				}
				Again     int
				Refusals  map[string]answer
				BirthDate string
				IDs       []string
				Pages     int
			}
			peer(t, "fhirclient.mjs", map[string]any{
				"base": epic.URL, "tokenURL": epic.Origin + epic.Server.TokenPath(), "client": "peer",
				"alg": alg, "kid": key.ID(), "pem": string(pem), "patient": epic.Patient, "search": labs(epic),
			}, &got)

			if got.Good.Status != http.StatusOK || got.Good.Expires != 3600 {
				t.Errorf("a correct assertion was answered %+v", got.Good)
			}
			if got.Again != http.StatusOK {
				t.Errorf("after the refusals a fresh correct assertion was answered %d: they were not refused for what they claim", got.Again)
			}
			if len(got.Refusals) != 7 {
				t.Errorf("the peer tried %d wrong assertions, want 7", len(got.Refusals))
			}
			for name, a := range got.Refusals {
				if want := (answer{http.StatusBadRequest, "invalid_client", false}); a != want {
					t.Errorf("assertion with %s: answered %+v, want %+v", name, a, want)
				}
			}
			sameWalk(t, epic, got.BirthDate, got.IDs, got.Pages)
		})
	}
}
