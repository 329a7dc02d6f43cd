package chromium

import (
	"context"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/security"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// Browser is a fresh profile: no cookies, no storage, no history. It ends with its test.
type Browser struct {
	t   testing.TB
	ctx context.Context // the first tab, which keeps the profile alive

	insecureTLS bool

	mu        sync.Mutex
	errors    []string
	tolerated []string
}

// Start opens a browser for the test.
func Start(t testing.TB) *Browser {
	t.Helper()
	parent := process(t)
	ctx, cancel := chromedp.NewContext(parent, chromedp.WithNewBrowserContext())
	if err := chromedp.Do(ctx); err != nil {
		cancel()
		t.Fatalf("chromium: no profile: %v", err)
	}
	b := &Browser{t: t, ctx: ctx}
	t.Cleanup(func() {
		cancel()
		for _, text := range b.complaints() {
			t.Errorf("the console of a page says: %s", text)
		}
	})
	return b
}

// InsecureTLS lets the tabs that are opened from now on accept any certificate: for a test that needs
// https on loopback, and for nothing else.
func (b *Browser) InsecureTLS() { b.insecureTLS = true }

// Tolerate lets console errors pass that contain the text: those that a test provokes.
func (b *Browser) Tolerate(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tolerated = append(b.tolerated, text)
}

// complaints are the errors so far that nobody tolerates.
func (b *Browser) complaints() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
next:
	for _, text := range b.errors {
		for _, part := range b.tolerated {
			if strings.Contains(text, part) {
				continue next
			}
		}
		out = append(out, text)
	}
	return out
}

// Open loads a page in a new tab and returns when it is there, redirects followed.
func (b *Browser) Open(url string) *Tab {
	b.t.Helper()
	tab := b.attach()
	tab.Open(url)
	return tab
}

// attach makes a tab of a new target, or of an existing one by its option.
func (b *Browser) attach(opts ...chromedp.ContextOption) *Tab {
	b.t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx, opts...)
	b.t.Cleanup(cancel)
	if err := chromedp.Listen(ctx, b.listen); err != nil {
		b.t.Fatalf("chromium: no tab: %v", err)
	}
	if b.insecureTLS {
		params := security.SetIgnoreCertificateErrorsParams{Ignore: true}
		if _, err := chromedp.Call(ctx, security.SetIgnoreCertificateErrors, params); err != nil {
			b.t.Fatalf("chromium: the tab insists on certificates: %v", err)
		}
	}
	return &Tab{b: b, ctx: ctx}
}

// frame finds the target of a frame of another site; Chromium gives each a process of its own.
func (b *Browser) frame(part string) (target.ID, bool) {
	infos, err := chromedp.Targets(b.ctx)
	if err != nil {
		return "", false
	}
	for _, info := range infos {
		if info.Type == "iframe" && strings.Contains(info.URL, part) {
			return info.TargetID, true
		}
	}
	return "", false
}

// listen keeps what the console shows in red.
func (b *Browser) listen(ev any) {
	var text string
	switch ev := ev.(type) {
	case *log.EventEntryAdded:
		if ev.Entry.Level != log.EntryLevelError {
			return
		}
		text = ev.Entry.Text + " " + ev.Entry.URL
	case *runtime.EventExceptionThrown:
		text = ev.ExceptionDetails.Text
		if e := ev.ExceptionDetails.Exception; e != nil {
			text += " " + e.Description
		}
	case *runtime.EventConsoleAPICalled:
		if ev.Type != runtime.ConsoleAPICalledTypeError {
			return
		}
		for _, arg := range ev.Args {
			text += " " + string(arg.Value) + arg.Description
		}
	default:
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.errors = append(b.errors, strings.TrimSpace(text))
}

// find is the path of a Chromium, by the names that its packages use.
func find() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}
