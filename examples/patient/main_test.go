package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/andironhq/andiron/internal/chromium"
	"github.com/andironhq/andiron/r4"
	"github.com/andironhq/andiron/sim"
	"github.com/andironhq/andiron/sim/simtest"
	"github.com/andironhq/andiron/smart"
)

func TestMain(m *testing.M) { os.Exit(chromium.Main(m)) }

// serve runs the program at the simulator as the kind of client that the registration says.
func serve(t *testing.T, epic *simtest.Epic, reg sim.App, key *smart.Key) string {
	t.Helper()
	var h http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	reg.ClientID, reg.Name, reg.Kind, reg.RedirectURIs = "patient", "Results at home", sim.Standalone, []string{server.URL + "/callback"}
	epic.AddApp(t, reg)
	app := &smart.App{URL: server.URL, Now: epic.Now, Issuers: []smart.Issuer{{Base: epic.URL, ClientID: "patient", Key: key, Scope: scope}}}
	h = app.Protect(http.HandlerFunc(chart))
	return server.URL
}

func TestAPatientSignsInAndSeesTheChart(t *testing.T) {
	for _, c := range []struct {
		name string
		key  bool
	}{{"public client", false}, {"client with a key", true}} {
		t.Run(c.name, func(t *testing.T) {
			epic := simtest.Start(t)
			var url string
			if c.key {
				url = serve(t, epic, sim.App{JWKSURL: epic.JWKS}, epic.Key)
			} else {
				url = serve(t, epic, sim.App{}, nil)
			}
			tab := chromium.Start(t).Open(url + "/")
			tab.Fill("username", "simrosalind")
			tab.Fill("password", sim.Password)
			tab.Click("sign-in")
			tab.Click("allow")
			text := tab.Wait("Rosalind June Emberley", "Laboratory results")
			for _, want := range []string{"diabetes", "Hemoglobin A1c", "%", "20"} {
				if !strings.Contains(strings.ToLower(text), strings.ToLower(want)) {
					t.Errorf("the page lacks %q:\n%s", want, text)
				}
			}
			if rows := strings.Count(text, "\n"); rows < 20 {
				t.Errorf("the page has %d lines, expected a long list", rows)
			}
			tab.Screenshot("patient.png")
		})
	}
}

func TestAPatientWhoRefusesSeesNothing(t *testing.T) {
	epic := simtest.Start(t)
	b := chromium.Start(t)
	b.Tolerate("403")
	tab := b.Open(serve(t, epic, sim.App{}, nil) + "/")
	tab.Fill("username", "simrosalind")
	tab.Fill("password", sim.Password)
	tab.Click("sign-in")
	tab.Click("deny")
	if text := tab.Wait("Access was not granted"); strings.Contains(text, "Laboratory results") {
		t.Errorf("the chart is there without consent:\n%s", text)
	}
	if n := epic.Count("read") + epic.Count("search"); n != 0 {
		t.Errorf("%d FHIR requests without consent", n)
	}
}

func TestEveryKindOfResultIsShown(t *testing.T) {
	text := func(s string) *r4.CodeableConcept { return &r4.CodeableConcept{Text: s} }
	quantity := func(v, unit string) *r4.Quantity { return &r4.Quantity{Value: r4.Decimal(v), Unit: unit} }
	labs := []*r4.Observation{
		{Code: text("quantity"), Value: quantity("7.0", "%")},
		{Code: text("limit"), Value: &r4.Quantity{Comparator: "<", Value: "0.01", Unit: "ng/mL"}},
		{Code: text("code"), Value: text("Positive")},
		{Code: text("coding"), Value: &r4.CodeableConcept{Coding: []r4.Coding{{Display: "Escherichia coli"}}}},
		{Code: text("string"), Value: r4.String("see <script>note</script>")},
		{Code: text("range"), Value: &r4.Range{Low: quantity("2", "mm"), High: quantity("5", "mm")}},
		{Code: text("ratio"), Value: &r4.Ratio{Numerator: quantity("1", ""), Denominator: quantity("128", "")}},
		{Code: text("absent"), DataAbsentReason: text("Specimen lost")},
		{Code: text("panel"), Component: []r4.ObservationComponent{
			{Code: text("systolic"), Value: quantity("120", "mmHg")},
			{Code: text("diastolic"), DataAbsentReason: text("Not heard")},
		}},
	}
	var out strings.Builder
	patient := &r4.Patient{Name: []r4.HumanName{{Text: "A & B"}}}
	if err := page.Execute(&out, map[string]any{"Patient": patient, "Labs": labs, "Problems": []*r4.Condition{{Code: text("Gout")}}}); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{
		"7.0 %", "&lt;0.01 ng/mL", "Positive", "Escherichia coli", "see &lt;script&gt;note", "2 mm to 5 mm", "1 : 128",
		"no value: Specimen lost", "systolic: 120 mmHg", "diastolic: no value: Not heard", "A &amp; B", "<li>Gout",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the page lacks %q:\n%s", want, got)
		}
	}
}

func TestTheProgramFitsOnAPage(t *testing.T) {
	b, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	_, below, _ := strings.Cut(string(b), "\n)\n")
	n := 0
	for line := range strings.Lines(below) {
		if strings.TrimSpace(line) != "" {
			n++
		}
	}
	if n > 30 {
		t.Errorf("%d lines below the imports, want at most 30", n)
	}
}
