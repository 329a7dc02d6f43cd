package store

import (
	"context"
	"crypto/tls"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
)

func (s *Store) openPostgres(ctx context.Context, url string) error {
	c, err := pgxpool.ParseConfig(url)
	if err != nil {
		return ErrURL // pgx quotes the URL, and its redaction is a guess
	}
	if !s.o.Password.IsZero() {
		c.ConnConfig.Password = s.o.Password.Reveal()
	}
	if !s.o.InsecurePlaintext {
		if plain(c.ConnConfig.Host, c.ConnConfig.TLSConfig) {
			return ErrPlaintext
		}
		// Without sslmode, pgx tries again without TLS when TLS has failed.
		var safe []*pgconn.FallbackConfig
		for _, f := range c.ConnConfig.Fallbacks {
			if !plain(f.Host, f.TLSConfig) {
				safe = append(safe, f)
			}
		}
		c.ConnConfig.Fallbacks = safe
	}
	if s.pool, err = pgxpool.NewWithConfig(ctx, c); err != nil {
		return err
	}
	s.db = stdlib.OpenDBFromPool(s.pool)
	return s.db.PingContext(ctx)
}

// plain reports a connection to another machine that has no TLS.
func plain(host string, c *tls.Config) bool {
	if c != nil || strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") || host == "localhost" {
		return false
	}
	ip := net.ParseIP(host)
	return ip == nil || !ip.IsLoopback()
}
