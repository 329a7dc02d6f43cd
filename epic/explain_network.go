package epic

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"syscall"
)

// explainNetwork is what failed before anybody answered. Host names are shown, nothing else.
func explainNetwork(e answer) (Advice, bool) {
	if e.status != 0 {
		return Advice{}, false
	}
	a := Advice{Fix: []string{"andiron doctor"}, More: topicNetwork}
	var (
		dns       *net.DNSError
		op        *net.OpError
		untrusted *tls.CertificateVerificationError
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		notTLS    tls.RecordHeaderError
		timeout   net.Error
	)
	switch {
	case errors.As(e.err, &dns):
		if dns.IsNotFound {
			a.Title = "there is no host " + host(dns.Name) + " (DNS)"
			a.Why = "The base URL has a typing error, or the name exists only inside the hospital's network or VPN."
		} else {
			a.Title = "the host " + host(dns.Name) + " could not be looked up (DNS)"
			a.Why = "The name server did not answer: this machine's network is down, or a VPN is missing."
		}
	case errors.As(e.err, &hostname):
		a.Title = "the certificate is for another host than " + host(hostname.Host) + " (TLS)"
		a.Why = "The base URL leads to another server, or a proxy opens the connection."
	case errors.As(e.err, &authority), errors.As(e.err, &untrusted):
		a.Title = "the server's certificate is not trusted here (TLS)"
		a.Why = "It has expired, or is signed by an authority that this machine does not know: often a proxy that opens the " +
			"connection. Add the authority's certificate to the system, or name it in SSL_CERT_FILE."
	case errors.As(e.err, &notTLS):
		a.Title = "the server speaks no TLS at this port"
		a.Why = "The base URL says https and the server answers in plain http, or the port is wrong."
	case errors.Is(e.err, syscall.ECONNREFUSED):
		a.Title = "nothing listens at " + address(e.err) + " (connection refused)"
		a.Why = "The host exists and no server runs at this port, or a firewall refuses."
		if errors.As(e.err, &op) && loopback(op.Addr) {
			a.Why = "No server runs on this machine at this port."
			a.Fix = []string{"andiron dev"}
		}
	case errors.Is(e.err, syscall.ECONNRESET), errors.Is(e.err, syscall.EPIPE):
		a.Title = "the connection was cut by the other side (reset)"
		a.Why = "A firewall or a proxy between here and the server may do that, or the server restarted. The same command goes on."
	case errors.Is(e.err, syscall.EHOSTUNREACH), errors.Is(e.err, syscall.ENETUNREACH):
		a.Title = "there is no way to " + address(e.err) + " (unreachable)"
		a.Why = "This machine's network is down, or a VPN is missing."
	case errors.Is(e.err, context.DeadlineExceeded), errors.As(e.err, &timeout) && timeout.Timeout():
		a.Title = "the server did not answer in time (timeout)"
		a.Why = "It is overloaded, or a firewall swallows the packets. The same command goes on."
	case errors.As(e.err, &op):
		a.Title = "the connection to " + address(e.err) + " failed"
		a.Why = "The same command goes on."
	default:
		return Advice{}, false
	}
	return a, true
}

// address is host and port of a failed connection.
func address(err error) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Addr != nil {
		return host(op.Addr.String())
	}
	return "the server"
}

// host lets through what a host name, an address and a port are made of.
func host(s string) string {
	s = strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f && r != '@' && r != '/' && r != '?' {
			return r
		}
		return -1
	}, s)
	if len(s) > 100 {
		s = s[:100] + "…"
	}
	return s
}

func loopback(a net.Addr) bool {
	if a == nil {
		return false
	}
	h, _, err := net.SplitHostPort(a.String())
	if err != nil {
		return false
	}
	ip := net.ParseIP(h)
	return ip != nil && ip.IsLoopback()
}
