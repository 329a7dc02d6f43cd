package sim_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/andironhq/andiron/sim"
)

// watcher looks into the log in the moment in which the first bytes of an answer leave.
type watcher struct {
	*httptest.ResponseRecorder
	server *sim.Server
	seen   []sim.Exchange
}

func (w *watcher) Write(b []byte) (int, error) {
	if w.seen == nil {
		w.seen = w.server.Requests()
	}
	return w.ResponseRecorder.Write(b)
}

// Whoever has an answer finds its exchange in the log, however late the handler's goroutine gets
// its next turn: tests count requests right after the last answer.
func TestExchangeIsLoggedBeforeItsAnswerLeaves(t *testing.T) {
	s := &sim.Server{Data: charts(t)}
	t.Cleanup(func() { _ = s.Close() })
	for _, tt := range []struct {
		path   string
		status int
		reason string
	}{
		{"/metadata", 200, ""},
		{"/Nonsense", 404, "no such path"},
	} {
		s.ForgetRequests()
		w := &watcher{ResponseRecorder: httptest.NewRecorder(), server: s}
		s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, s.BasePath()+tt.path, nil))
		if len(w.seen) != 1 {
			t.Errorf("%s: %d exchanges are logged when the answer leaves, want 1", tt.path, len(w.seen))
			continue
		}
		last := s.Requests()
		if len(last) != 1 {
			t.Fatalf("%s: %d exchanges are logged in the end, want 1", tt.path, len(last))
		}
		for _, x := range []sim.Exchange{w.seen[0], last[0]} {
			if x.Status != tt.status || x.Reason != tt.reason || x.Bytes != int64(w.Body.Len()) || x.Seq != last[0].Seq {
				t.Errorf("%s: number %d, status %d, %d bytes, reason %q; want %d, %d, %d, %q",
					tt.path, x.Seq, x.Status, x.Bytes, x.Reason, last[0].Seq, tt.status, w.Body.Len(), tt.reason)
			}
		}
	}
}
