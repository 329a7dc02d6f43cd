package bulk

import (
	"slices"
	"strings"
	"time"

	"github.com/andironhq/andiron/epic"
	"github.com/andironhq/andiron/r4"
)

// Dialect is a version of Bulk Data Access as one kind of server speaks it. It decides what
// may be sent and at which pace to poll; what comes back is read in every dialect.
type Dialect string

// The dialects.
const (
	// Auto reads the server's CapabilityStatement: Epic where software.name says so, else
	// STU2, the common ground.
	Auto Dialect = ""
	// Epic is Bulk Data Access 1.0.1 as Epic has it (Epic's bulk data tutorial): Group level,
	// _type, _typeFilter (which needs _type) and includeAssociatedData.
	Epic Dialect = "epic"
	// STU1 is Bulk Data Access 1.0.1.
	STU1 Dialect = "stu1"
	// STU2 is Bulk Data Access 2.0.0.
	STU2 Dialect = "stu2"
	// STU3 is Bulk Data Access 3.0.0.
	STU3 Dialect = "stu3"
)

// speech is what a dialect has and how it behaves.
type speech struct {
	params []string      // kick-off parameters that may be sent
	floor  time.Duration // first pause between polls where the server names none
	cap    time.Duration // longest such pause
	window time.Duration // how long "too recently" lasts where the server does not say
}

var speeches = map[Dialect]speech{
	Epic: {params: []string{"_type", "_typeFilter", "includeAssociatedData"}, floor: epic.BulkPoll, cap: epic.BulkPollLarge, window: epic.BulkWindow},
	STU1: {params: []string{"_type", "_typeFilter", "_since", "_outputFormat"}, floor: time.Second, cap: 15 * time.Minute, window: time.Hour},
	STU2: {params: []string{"_type", "_typeFilter", "_since", "_outputFormat", "_elements", "includeAssociatedData"}, floor: time.Second, cap: 15 * time.Minute, window: time.Hour},
	STU3: {params: []string{"_type", "_typeFilter", "_since", "_until", "_outputFormat", "_elements", "includeAssociatedData"}, floor: time.Second, cap: 15 * time.Minute, window: time.Hour},
}

func (s speech) has(param string) bool { return slices.Contains(s.params, param) }

// chooseDialect picks a dialect by what the server says about itself. A canonical in
// instantiates may carry a version: ".../group-export|3.0.0".
func chooseDialect(cs *r4.CapabilityStatement) (Dialect, string) {
	if cs == nil {
		return STU2, "the server shows no CapabilityStatement"
	}
	if cs.Software != nil && strings.HasPrefix(strings.ToLower(cs.Software.Name), "epic") {
		return Epic, "the server's software is Epic"
	}
	for _, canonical := range cs.Instantiates {
		url, version, _ := strings.Cut(canonical, "|")
		if !strings.Contains(url, "bulk-data") && !strings.Contains(url, "bulkdata") {
			continue
		}
		switch {
		case strings.HasPrefix(version, "1."):
			return STU1, "the server instantiates Bulk Data Access " + plain(version)
		case strings.HasPrefix(version, "3."):
			return STU3, "the server instantiates Bulk Data Access " + plain(version)
		}
	}
	return STU2, "the server's software is not Epic: Bulk Data Access 2.0.0 is the common ground"
}

// plain keeps of a server's word what is fit for an event: digits, letters, dots, hyphens.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9', r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r == '.', r == '-':
			return r
		}
		return -1
	}, s[:min(len(s), 40)])
}
