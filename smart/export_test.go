package smart

// Waiting reports whether n callers wait for the sign-in under way.
func (b *Backend) Waiting(n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.flight != nil && b.flight.waiters == n
}

// Thumbprint is the thumbprint of any public key.
var Thumbprint = thumbprint
