package chromium

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// patience is how long a page may take. It is long because the machine may be busy with other tests;
// a page that is there costs nothing of it.
const patience = 15 * time.Second

// Tab is one page, or one frame in it.
type Tab struct {
	b   *Browser
	ctx context.Context
}

// do runs actions and fails the test, with what the page shows, when they do not end well.
func (tab *Tab) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	tab.b.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		tab.fail(what, err)
	}
}

func (tab *Tab) fail(what string, err error) {
	tab.b.t.Helper()
	tab.b.t.Fatalf("chromium: %s: %v\n%s shows:\n%s\nconsole: %s", what, err,
		tab.try("location.href"), tab.try(pageText), strings.Join(tab.b.complaints(), "\n"))
}

const pageText = "document.body ? document.body.innerText : ''"

// try evaluates an expression that gives a string; a page that is just leaving gives none.
func (tab *Tab) try(expression string) string {
	ctx, cancel := context.WithTimeout(tab.ctx, 5*time.Second)
	defer cancel()
	s, err := chromedp.Run(ctx, chromedp.Evaluate[string](expression))
	if err != nil {
		return ""
	}
	return s
}

// Open loads a page and returns when it is there, redirects followed.
func (tab *Tab) Open(url string) {
	tab.b.t.Helper()
	tab.do("opening a page", chromedp.Navigate(url))
}

// Reload loads the page or frame again, from the server.
func (tab *Tab) Reload() {
	tab.b.t.Helper()
	tab.do("reloading", chromedp.Evaluate[chromedp.Void]("window.andironLeft = true; location.reload()"))
	tab.until("reloading", func() bool {
		return tab.try("String(!window.andironLeft && document.readyState === 'complete')") == "true"
	})
}

// Back goes back as the button does. It does not wait: the page that comes may be the browser's copy.
func (tab *Tab) Back() {
	tab.b.t.Helper()
	tab.do("going back", chromedp.Evaluate[chromedp.Void]("history.back()"))
}

// Fill types a text into the field with the id, after what stood there is cleared.
func (tab *Tab) Fill(id, text string) {
	tab.b.t.Helper()
	sel := chromedp.ID(id)
	tab.do("filling #"+id, chromedp.Clear(sel), chromedp.SendKeys(sel, text))
}

// Click presses the element with the id, once it can be seen.
func (tab *Tab) Click(id string) {
	tab.b.t.Helper()
	tab.do("clicking #"+id, chromedp.Click(chromedp.ID(id), chromedp.NodeVisible))
}

// Has reports whether the page holds an element with the id now.
func (tab *Tab) Has(id string) bool {
	return tab.try("String(!!document.getElementById("+quote(id)+"))") == "true"
}

// Text is what a person can read on the page.
func (tab *Tab) Text() string { return tab.try(pageText) }

// URL is the address of the page.
func (tab *Tab) URL() string { return tab.try("location.href") }

// Eval is the string that a JavaScript expression gives on the page; a promise is waited for.
func (tab *Tab) Eval(expression string) string {
	tab.b.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, patience)
	defer cancel()
	s, err := chromedp.Run(ctx, chromedp.Evaluate[string](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		tab.fail("evaluating "+expression, err)
	}
	return s
}

// Wait returns the page's text as soon as all the given texts stand in it.
func (tab *Tab) Wait(texts ...string) string {
	tab.b.t.Helper()
	var got string
	tab.until("waiting for "+strings.Join(texts, ", "), func() bool {
		got = tab.Text()
		for _, text := range texts {
			if !strings.Contains(got, text) {
				return false
			}
		}
		return true
	})
	return got
}

// WaitURL returns the address as soon as it begins with the prefix and the page is loaded.
func (tab *Tab) WaitURL(prefix string) string {
	tab.b.t.Helper()
	var got string
	tab.until("waiting for "+prefix, func() bool {
		got = tab.try("document.readyState === 'complete' ? location.href : ''")
		return strings.HasPrefix(got, prefix)
	})
	return got
}

// Frame is a frame of another site within a page of this browser, found by a part of its address.
// A frame of the same site shares the page's process and is not found.
func (tab *Tab) Frame(part string) *Tab {
	tab.b.t.Helper()
	var found *Tab
	tab.until("waiting for the frame "+part, func() bool {
		id, ok := tab.b.frame(part)
		if ok {
			found = tab.b.attach(chromedp.WithTargetID(id))
		}
		return ok
	})
	return found
}

// Screenshot writes the whole page as a PNG into the test's artifact folder (go test -artifacts keeps
// it) and returns the path.
func (tab *Tab) Screenshot(name string) string {
	tab.b.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		tab.fail("taking a picture", err)
	}
	path := filepath.Join(tab.b.t.ArtifactDir(), name)
	if err := os.WriteFile(path, png, 0o600); err != nil {
		tab.b.t.Fatal(err)
	}
	return path
}

// until asks again and again: a browser tells nobody when a page is as a test wants it.
func (tab *Tab) until(what string, done func() bool) {
	tab.b.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			tab.fail(what, ctx.Err())
		}
	}
}

// quote writes a string as JavaScript does.
func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// Watch keeps the addresses of the tab's document requests from now on, those that a redirect leaves at
// once included; the function it returns tells them.
func (tab *Tab) Watch() (visited func() []string) {
	tab.b.t.Helper()
	var mu sync.Mutex
	var all []string
	err := chromedp.Listen(tab.ctx, func(ev any) {
		if ev, ok := ev.(*network.EventRequestWillBeSent); ok && ev.Type == network.ResourceTypeDocument {
			mu.Lock()
			defer mu.Unlock()
			all = append(all, ev.Request.URL)
		}
	})
	if err != nil {
		tab.fail("watching", err)
	}
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(all)
	}
}
