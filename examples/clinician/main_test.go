package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/andironhq/andiron/internal/chromium"
	"github.com/andironhq/andiron/sim"
	"github.com/andironhq/andiron/sim/population"
	"github.com/andironhq/andiron/sim/simtest"
	"github.com/andironhq/andiron/smart"
)

func TestMain(m *testing.M) { os.Exit(chromium.Main(m)) }

// ward is the program, registered at hospitals.
type ward struct {
	t         *testing.T
	app       *smart.App
	url       string
	hospitals []*simtest.Epic
}

// open runs the program; server is how: with or without TLS.
func open(t *testing.T, server *httptest.Server, hospitals int) *ward {
	t.Helper()
	w := &ward{t: t, url: server.URL, app: &smart.App{URL: server.URL}}
	for i := range hospitals {
		epic := simtest.Start(t)
		id := fmt.Sprintf("clinician-%d", i+1)
		epic.AddApp(t, sim.App{ClientID: id, Name: "Results at the bedside", Kind: sim.EHRLaunch, JWKSURL: epic.JWKS, RedirectURIs: []string{server.URL + "/callback"}})
		w.hospitals = append(w.hospitals, epic)
		w.app.Issuers = append(w.app.Issuers, smart.Issuer{Base: epic.URL, ClientID: id, Key: epic.Key, Scope: scope, RequireUser: true})
	}
	w.app.Now = w.hospitals[0].Now
	return w
}

// start serves the program over plain http on loopback.
func start(t *testing.T, hospitals int) *ward {
	t.Helper()
	var h http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	w := open(t, server, hospitals)
	h = w.app.Protect(http.HandlerFunc(chart))
	return w
}

// launch is the address that a hospital's EHR opens for a patient.
func (w *ward) launch(hospital int, patient string) string {
	w.t.Helper()
	epic := w.hospitals[hospital]
	token := epic.Launch(w.t, sim.Launch{ClientID: fmt.Sprintf("clinician-%d", hospital+1), Patient: patient})
	return w.url + "/launch?" + url.Values{"iss": {epic.URL}, "launch": {token}}.Encode()
}

// shows fails the test unless the page is that of one patient and of no other.
func (w *ward) shows(tab *chromium.Tab, name string) {
	w.t.Helper()
	tab.Wait(name, "Laboratory results")
	text := tab.Text()
	for _, other := range []string{"Emberley", "Marchbanks", "Kettlewell"} {
		if strings.Contains(text, other) != (other == name) {
			w.t.Errorf("the page of %s shows, or lacks, %s", name, other)
		}
	}
}

func TestAClinicianOpensAChartAtAnyHospital(t *testing.T) {
	w := start(t, 2)
	for i := range w.hospitals {
		tab := chromium.Start(t).Open(w.launch(i, population.RosalindID))
		w.shows(tab, "Emberley")
		text := tab.Text()
		for _, want := range []string{"Hemoglobin A1c", "iabetes", "opened by Practitioner"} {
			if !strings.Contains(text, want) {
				t.Errorf("the page lacks %q:\n%s", want, text)
			}
		}
		tab.Screenshot("clinician.png")
		if n := w.hospitals[1-i].Count("read"); i == 0 && n != 0 {
			t.Errorf("the other hospital was asked %d times", n)
		}
	}
}

func TestTwoTabsWithTwoPatientsNeverMix(t *testing.T) {
	w := start(t, 1)
	b := chromium.Start(t)
	first := b.Open(w.launch(0, population.RosalindID))
	w.shows(first, "Emberley")
	second := b.Open(w.launch(0, population.TheoID))
	w.shows(second, "Marchbanks")
	first.Reload()
	w.shows(first, "Emberley")

	// A third launch, in the second tab, leaves the first as it is.
	second.Open(w.launch(0, population.AmbroseID))
	w.shows(second, "Kettlewell")
	first.Reload()
	w.shows(first, "Emberley")
	second.Reload()
	w.shows(second, "Kettlewell")

	// And a page of one launch is reached from the other tab by its address alone: same browser.
	w.shows(b.Open(first.URL()), "Emberley")
	stranger := chromium.Start(t)
	stranger.Tolerate("401")
	if text := stranger.Open(first.URL()).Text(); strings.Contains(text, "Rosalind") {
		t.Error("another browser sees the chart by its address")
	}
}

func TestBackAfterSignInLeadsToNoOldCode(t *testing.T) {
	w := start(t, 1)
	b := chromium.Start(t)
	tab := b.Open("data:text/html,<p>the EHR's own page")
	tab.Open(w.launch(0, population.RosalindID))
	w.shows(tab, "Emberley")
	tokens := w.hospitals[0].Count("token")
	tab.Back()
	tab.Wait("the EHR's own page")
	tab.Eval("(history.forward(), '')")
	w.shows(tab, "Emberley")
	if n := w.hospitals[0].Count("token"); n != tokens {
		t.Errorf("going back and forth asked for %d more tokens", n-tokens)
	}
}

func TestACallbackLoadedAgainIsToldSo(t *testing.T) {
	w := start(t, 1)
	b := chromium.Start(t)
	b.Tolerate("400")
	b.Tolerate("403")
	tab := b.Open("about:blank")
	visited := tab.Watch()
	tab.Open(w.launch(0, population.RosalindID))
	w.shows(tab, "Emberley")
	callback := ""
	for _, address := range visited() {
		if strings.HasPrefix(address, w.url+"/callback?") {
			callback = address
		}
	}
	if callback == "" {
		t.Fatal("the browser passed no callback")
	}
	tokens := w.hospitals[0].Count("token")
	again := b.Open(callback)
	if text := again.Wait("This sign-in was finished before"); strings.Contains(text, "Emberley") {
		t.Error("a callback that is loaded again shows a chart")
	}
	if n := w.hospitals[0].Count("token"); n != tokens {
		t.Error("a callback that is loaded again sends its code again")
	}
	tab.Reload()
	w.shows(tab, "Emberley")
}

// serveTLS serves with a certificate that nobody vouches for, and keeps quiet about who minds.
func serveTLS(t *testing.T, h http.Handler) *httptest.Server {
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// framed is an EHR's page with the application in a frame. Chromium takes 127.0.0.1 and localhost for
// two sites; cookies of the frame are then those of a third party.
func framed(t *testing.T) string {
	server := serveTLS(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<link rel="icon" href="data:,"><p>the EHR<iframe id="app" width="900" height="600" src=%q></iframe>`, r.URL.Query().Get("open"))
	}))
	return strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
}

func TestTheChartLivesInAFrameOfAnotherSite(t *testing.T) {
	for _, embedded := range []bool{true, false} {
		t.Run(fmt.Sprintf("embedded %v", embedded), func(t *testing.T) {
			var h http.Handler
			server := serveTLS(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(w, r) }))
			w := open(t, server, 1)
			ehr := framed(t)
			w.app.Embedded, w.app.Ancestors = embedded, []string{ehr}
			h = w.app.Protect(http.HandlerFunc(chart))
			b := chromium.Start(t)
			b.InsecureTLS()
			if !embedded {
				b.Tolerate("frame") // that the frame stays empty is what the console says, and what is wanted
			}
			tab := b.Open(ehr + "/?" + url.Values{"open": {w.launch(0, population.RosalindID)}}.Encode())
			frame := tab.Frame("127.0.0.1")
			if embedded {
				w.shows(frame, "Emberley")
				frame.Reload()
				w.shows(frame, "Emberley")
				tab.Screenshot("frame.png")
				return
			}
			frame.Wait("refused to connect")
			if n := w.hospitals[0].Count("read"); n != 0 {
				t.Errorf("%d reads, though the application does not let itself be framed", n)
			}
		})
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
