package epic

import "github.com/andironhq/andiron/r4"

// IsEpic reports whether a CapabilityStatement is an Epic server's: software.name is "Epic" at
// the sandbox and at every hospital of a survey of May 2026 (high).
func IsEpic(cs *r4.CapabilityStatement) bool {
	return cs != nil && cs.Software != nil && cs.Software.Name == SoftwareName
}

// Release is the version of an Epic server, such as "May 2026"; "" where it is another server
// or does not say. Epic releases in February, May, August and November, and each customer
// upgrades on its own date.
func Release(cs *r4.CapabilityStatement) string {
	if !IsEpic(cs) {
		return ""
	}
	return cs.Software.Version
}
