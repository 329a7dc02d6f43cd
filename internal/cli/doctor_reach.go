package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"
)

// reach is one line on the way to a server: the name, or the certificate.
type reach struct {
	check, state, text string
}

// reachable looks whether a server's name is known, its port answers and its certificate is good, in
// that order, and stops at the first that is not. Nil roots are the system's. Nothing is sent.
func reachable(ctx context.Context, base string, roots *x509.CertPool, now func() time.Time) []reach {
	u, err := url.Parse(base)
	if err != nil || u.Hostname() == "" {
		return []reach{{"dns", stepFail, "the address names no host"}}
	}
	host, port := u.Hostname(), u.Port()
	if port == "" {
		port = map[string]string{"http": "80"}[u.Scheme]
	}
	if port == "" {
		port = "443"
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return []reach{{"dns", stepFail, "the name " + host + " is not found"}}
	}
	found := []reach{{"dns", stepOK, host + " is found at " + addresses[0]}}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return append(found, reach{"tls", stepFail, "port " + port + " takes no connection: " + cause(err).Error()})
	}
	defer func() { _ = conn.Close() }()
	if u.Scheme != "https" {
		return append(found, reach{"tls", stepOK, "plain http, port " + port + " answers"})
	}
	c := tls.Client(conn, &tls.Config{ServerName: host, RootCAs: roots, Time: now, MinVersion: tls.VersionTLS12})
	if err := c.HandshakeContext(ctx); err != nil {
		return append(found, reach{"tls", stepFail, tlsTrouble(err, host)})
	}
	until := c.ConnectionState().PeerCertificates[0].NotAfter
	text := fmt.Sprintf("certificate for %s, valid until %s", host, until.UTC().Format(time.DateOnly))
	return append(found, reach{"tls", stepOK, text})
}

// tlsTrouble says why a handshake failed.
func tlsTrouble(err error, host string) string {
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "the certificate is for another name than " + host
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "the certificate is signed by nobody whom this machine trusts"
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok && e.Reason == x509.Expired {
		return "the certificate's time is over, or has not begun: valid from " +
			e.Cert.NotBefore.UTC().Format(time.DateOnly) + " until " + e.Cert.NotAfter.UTC().Format(time.DateOnly)
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "the port does not speak TLS: is the address an http one?"
	}
	return "TLS fails: " + cause(err).Error()
}
