package chromium_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/andironhq/andiron/internal/chromium"
)

func TestMain(m *testing.M) { os.Exit(chromium.Main(m)) }

// site greets by cookie, takes a name by form and can complain on the console.
func site(t *testing.T) string {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		who := "nobody"
		if c, err := r.Cookie("who"); err == nil {
			who = c.Value
		}
		fmt.Fprintf(w, `<p>Hello %s</p><form method=post action=/name><input id=name name=name value=old><button id=go>go</button></form>`, who)
	})
	mux.HandleFunc("POST /name", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "who", Value: r.FormValue("name"), Path: "/"})
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	mux.HandleFunc("GET /broken", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `<p>Broken<script>console.error("first"); nothing.here()</script>`)
	})
	mux.HandleFunc("GET /favicon.ico", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /outer", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `<iframe src="http://localhost:%s/?inner"></iframe>`, r.URL.Query().Get("port"))
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func TestTabsOfOneBrowserShareCookiesAndBrowsersDoNot(t *testing.T) {
	url := site(t)
	b := chromium.Start(t)
	tab := b.Open(url)
	tab.Wait("Hello nobody")
	tab.Fill("name", "Ada")
	tab.Click("go")
	tab.Wait("Hello Ada")
	if !tab.Has("name") || tab.Has("nothing") {
		t.Error("Has does not tell what is on the page")
	}
	b.Open(url).Wait("Hello Ada")
	if got := chromium.Start(t).Open(url).Text(); !strings.Contains(got, "Hello nobody") {
		t.Errorf("another browser shows %q: the profiles are not separate", got)
	}
	info, err := os.Stat(tab.Screenshot("ada.png"))
	if err != nil || info.Size() < 1000 {
		t.Errorf("the picture of the page is %v, %v", info, err)
	}
}

func TestFrameOfAnotherSiteIsReached(t *testing.T) {
	url := site(t)
	port := url[strings.LastIndex(url, ":")+1:]
	tab := chromium.Start(t).Open(url + "/outer?port=" + port)
	tab.Frame("?inner").Wait("Hello nobody")
}

// listener stands for the test, to see what fails it.
type listener struct {
	testing.TB
	said     []string
	cleanups []func()
}

func (l *listener) Errorf(format string, args ...any) {
	l.said = append(l.said, fmt.Sprintf(format, args...))
}
func (l *listener) Cleanup(f func()) { l.cleanups = append(l.cleanups, f) }

func TestConsoleErrorsFailTheTest(t *testing.T) {
	for _, c := range []struct {
		name      string
		tolerated []string
		want      int
	}{
		{"both", nil, 2},
		{"one is tolerated", []string{"first"}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := &listener{TB: t}
			b := chromium.Start(l)
			for _, text := range c.tolerated {
				b.Tolerate(text)
			}
			b.Open(site(t) + "/broken").Wait("Broken")
			for i := len(l.cleanups) - 1; i >= 0; i-- {
				l.cleanups[i]()
			}
			if len(l.said) != c.want || !strings.Contains(strings.Join(l.said, "\n"), "ReferenceError") {
				t.Errorf("the test was told %q, want %d errors, one of them the exception", l.said, c.want)
			}
		})
	}
}
