package chromium

import (
	"context"
	"os"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
)

// shared is the process of a binary that runs through Main; it starts with the first test that needs it.
var shared struct {
	sync.Mutex
	use    bool
	ctx    context.Context
	cancel context.CancelFunc
}

// Main runs the tests of a binary with one browser process for all of them. It goes into TestMain:
//
//	func TestMain(m *testing.M) { os.Exit(chromium.Main(m)) }
func Main(m *testing.M) int {
	shared.use = true
	defer func() {
		if shared.cancel != nil {
			shared.cancel()
		}
	}()
	return m.Run()
}

// process is the context of a running browser.
func process(t testing.TB) context.Context {
	t.Helper()
	path := find()
	if path == "" {
		if os.Getenv("ANDIRON_REQUIRE_PEERS") != "" {
			t.Fatal("Chromium is not installed, and ANDIRON_REQUIRE_PEERS demands it")
		}
		t.Skip("NOTHING IS PROVED HERE: Chromium is not installed (make browser does it)")
	}
	if !shared.use {
		ctx, cancel := launch(t, path)
		t.Cleanup(cancel)
		return ctx
	}
	shared.Lock()
	defer shared.Unlock()
	if shared.ctx == nil || shared.ctx.Err() != nil {
		shared.ctx, shared.cancel = launch(t, path)
	}
	return shared.ctx
}

// launch starts Chromium. It is no child of the test's context: that ends before the cleanup does.
func launch(t testing.TB, path string) (context.Context, context.CancelFunc) {
	t.Helper()
	dir, err := os.MkdirTemp("", "andiron-chromium-") //nolint:usetesting // the process outlives the test that starts it
	if err != nil {
		t.Fatal(err)
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.UserDataDir(dir))
	if os.Getuid() == 0 {
		opts = append(opts, chromedp.NoSandbox) // Chromium's sandbox refuses to work for root
	}
	alloc, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, cancel := chromedp.NewContext(alloc)
	end := func() {
		cancel()
		stop()
		_ = os.RemoveAll(dir)
	}
	if err := chromedp.Do(ctx); err != nil {
		end()
		t.Fatalf("chromium: %s does not start: %v", path, err)
	}
	return ctx, end
}
