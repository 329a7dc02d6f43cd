package r4

import (
	"net/url"
	"strings"
)

// RefKind is the form that a reference has.
type RefKind uint8

// The forms of a reference (FHIR R4, "Reference", "Literal References").
const (
	RefRelative    RefKind = iota + 1 // Patient/123, on the server that the resource came from
	RefAbsolute                       // https://host/base/Patient/123
	RefContained                      // #p1, within the same resource; # is the resource itself
	RefURN                            // urn:uuid:… or urn:oid:…, an entry of the same Bundle
	RefConditional                    // Patient?identifier=…, only within a transaction
)

// String returns "relative", "absolute", "contained", "urn" or "conditional".
func (k RefKind) String() string {
	names := [...]string{"invalid", "relative", "absolute", "contained", "urn", "conditional"}
	if int(k) >= len(names) {
		return names[0]
	}
	return names[k]
}

// Ref is a reference taken apart. The fields that its kind does not have are empty.
type Ref struct {
	Kind    RefKind
	Base    string // absolute: the server's FHIR base, without a slash at the end; the whole URL if it is not of the form [base]/Type/id
	Type    string // relative, absolute, conditional
	ID      string // relative, absolute; contained: the id after #
	Version string // relative, absolute: the version after /_history/
	URN     string // urn: all of it
	Query   string // conditional: the part after ?
}

// RefError means that a text is no reference. It does not quote the text.
type RefError struct{}

func (*RefError) Error() string { return "r4: not a reference" }

// ParseReference takes a literal reference apart, or a *[RefError]. It does not ask whether R4 knows the resource type.
func ParseReference(s string) (Ref, error) {
	switch {
	case strings.HasPrefix(s, "#"):
		return Ref{Kind: RefContained, ID: s[1:]}, nil
	case strings.HasPrefix(s, "urn:"):
		return Ref{Kind: RefURN, URN: s}, nil
	case strings.Contains(s, "://"):
		u, err := url.Parse(s)
		if err != nil || u.Host == "" {
			return Ref{}, &RefError{}
		}
		if base, r, ok := cutPath(s); ok && len(base) > len(u.Scheme)+len("://") {
			r.Kind, r.Base = RefAbsolute, base
			return r, nil
		}
		return Ref{Kind: RefAbsolute, Base: s}, nil
	}
	if typ, query, ok := strings.Cut(s, "?"); ok && isTypeName(typ) {
		return Ref{Kind: RefConditional, Type: typ, Query: query}, nil
	}
	// A leading slash is no part of the form, but it is sent.
	base, r, ok := cutPath("/" + strings.TrimPrefix(s, "/"))
	if !ok || base != "" {
		return Ref{}, &RefError{}
	}
	r.Kind = RefRelative
	return r, nil
}

// cutPath takes /Type/id or /Type/id/_history/version off the end of s.
func cutPath(s string) (base string, r Ref, ok bool) {
	parts := strings.Split(s, "/")
	n := len(parts)
	if n >= 4 && parts[n-2] == "_history" && isID(parts[n-1]) {
		r.Version = parts[n-1]
		n -= 2
	}
	if n < 3 || !isTypeName(parts[n-2]) || !isID(parts[n-1]) {
		return "", Ref{}, false
	}
	r.Type, r.ID = parts[n-2], parts[n-1]
	return strings.Join(parts[:n-2], "/"), r, true
}

// isTypeName reports whether s looks like a resource type: letters, the first a capital.
func isTypeName(s string) bool {
	for i := range len(s) {
		b := s[i]
		if capital := 'A' <= b && b <= 'Z'; !capital && (i == 0 || b < 'a' || b > 'z') {
			return false
		}
	}
	return s != ""
}

// isID reports whether s has only the characters of an id. Its length is not judged: Epic's may be longer than 64.
func isID(s string) bool {
	for i := range len(s) {
		switch b := s[i]; {
		case 'A' <= b && b <= 'Z', 'a' <= b && b <= 'z', '0' <= b && b <= '9', b == '-', b == '.', b == '_':
		default:
			return false
		}
	}
	return s != ""
}

// String writes the reference again.
func (r Ref) String() string {
	s := ""
	switch r.Kind {
	case RefContained:
		return "#" + r.ID
	case RefURN:
		return r.URN
	case RefConditional:
		return r.Type + "?" + r.Query
	case RefAbsolute:
		if r.Type == "" {
			return r.Base
		}
		s = r.Base + "/"
	case RefRelative:
	default:
		return ""
	}
	s += r.Type + "/" + r.ID
	if r.Version != "" {
		s += "/_history/" + r.Version
	}
	return s
}

// Target takes the literal reference apart; a *[RefError] if x is nil or has none, or one that is not of any form.
func (x *Reference) Target() (Ref, error) {
	if x == nil {
		return Ref{}, &RefError{}
	}
	return ParseReference(x.Reference)
}

// FindContained returns the contained resource that a reference like "#p1" points to, nil if there is none:
//
//	r4.FindContained(m.Contained, "#p1")
func FindContained(contained []Resource, reference string) Resource {
	id, ok := strings.CutPrefix(reference, "#")
	if !ok || id == "" {
		return nil
	}
	for _, r := range contained {
		if r != nil && r.GetID() == id {
			return r
		}
	}
	return nil
}
