package sim

import "strings"

// scopeSet is what a token's scopes allow.
type scopeSet []string

// parseScopes reads a scope parameter: words between white space, each once.
func parseScopes(text string) scopeSet {
	var set scopeSet
	seen := map[string]bool{}
	for _, word := range strings.Fields(text) {
		if !seen[word] {
			seen[word] = true
			set = append(set, word)
		}
	}
	return set
}
