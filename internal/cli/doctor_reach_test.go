package cli

import (
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// Why a server cannot be reached is said in words, by the first step that fails.
func TestReachable(t *testing.T) {
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	_ = l.Close()
	_, port, err := net.SplitHostPort(secure.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	over := secure.Certificate().NotAfter.Add(time.Hour)

	for _, tt := range []struct {
		name, base   string
		roots        *x509.CertPool
		now          time.Time
		check, state string
		text         string
	}{
		{"a good certificate", secure.URL, roots, time.Time{}, "tls", stepOK, "valid until " + secure.Certificate().NotAfter.UTC().Format(time.DateOnly)},
		{"plain http", plain.URL, nil, time.Time{}, "tls", stepOK, "plain http"},
		{"an unknown host", "https://nowhere.invalid/api/FHIR/R4", nil, time.Time{}, "dns", stepFail, "nowhere.invalid is not found"},
		{"no host", "https:///api/FHIR/R4", nil, time.Time{}, "dns", stepFail, "names no host"},
		{"a refused connection", "https://" + closed, nil, time.Time{}, "tls", stepFail, "takes no connection: connection refused"},
		{"a certificate for another name", "https://localhost:" + port, roots, time.Time{}, "tls", stepFail, "another name than localhost"},
		{"an expired certificate", secure.URL, roots, over, "tls", stepFail, "time is over"},
		{"an authority that nobody knows", secure.URL, x509.NewCertPool(), time.Time{}, "tls", stepFail, "nobody whom this machine trusts"},
		{"no TLS", strings.Replace(plain.URL, "http:", "https:", 1), roots, time.Time{}, "tls", stepFail, "does not speak TLS"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			now := time.Now
			if !tt.now.IsZero() {
				now = func() time.Time { return tt.now }
			}
			steps := reachable(t.Context(), tt.base, tt.roots, now)
			last := steps[len(steps)-1]
			if last.check != tt.check || last.state != tt.state || !strings.Contains(last.text, tt.text) {
				t.Errorf("the last step is %+v, want %s %s with %q", last, tt.check, tt.state, tt.text)
			}
		})
	}
}
