package r4

import (
	"encoding/json"
	"slices"
)

//go:generate go run ./internal/gen -out .

// Resource is any FHIR resource: a pointer to one of the 146 structs of R4, or an [*Unknown]. The set is closed.
type Resource interface {
	// ResourceType is the name of the resource's type, "Patient".
	ResourceType() string
	// GetID is the resource's logical id, empty for none.
	GetID() string
	isResource()
}

// ResourcePtr is the pointer to a resource struct, for functions that are generic over resource types:
//
//	func Read[T any, R r4.ResourcePtr[T]](id string) (R, error)
//
// is called as Read[r4.Patient](id), and R(new(T)).ResourceType() is the name of the type.
type ResourcePtr[T any] interface {
	*T
	Resource
}

// New returns an empty resource of the named type, or nil if R4 has no such type. Names are case-sensitive.
func New(resourceType string) Resource { return newResource(resourceType) }

// ResourceTypes returns the names of the 146 resource types of R4, sorted.
func ResourceTypes() []string { return slices.Clone(resourceTypes) }

// IsResourceType reports whether R4 has a resource type of that name.
func IsResourceType(name string) bool {
	_, ok := slices.BinarySearch(resourceTypes, name)
	return ok
}

// Unknown is a resource whose type R4 does not know, as it came. As a contained resource it may
// also be something that is no resource at all; then it has no type.
type Unknown struct {
	// Type is the resourceType, empty if there was none.
	Type string
	// ID is the id, empty if there was none.
	ID string
	// Raw is the whole resource. [Marshal] writes it, whatever Type and ID say, unless it is empty.
	Raw json.RawMessage
}

// ResourceType returns u.Type.
func (u *Unknown) ResourceType() string { return u.Type }

// GetID returns u.ID.
func (u *Unknown) GetID() string { return u.ID }

// MarshalJSON implements [encoding/json.Marshaler].
func (u Unknown) MarshalJSON() ([]byte, error) { return Marshal(&u) }

// UnmarshalJSON implements [encoding/json.Unmarshaler]: any resource can be kept as an Unknown.
func (u *Unknown) UnmarshalJSON(data []byte) error {
	if err := CheckJSON(data); err != nil {
		return err
	}
	*u = *unknown(string(data))
	return nil
}

func (*Unknown) isResource() {}

// unknown keeps one value that was checked, or nothing after a fault.
func unknown(raw string) *Unknown {
	u := &Unknown{Raw: json.RawMessage(raw)}
	c := scanner{s: raw}
	if c.space() != '{' {
		return u
	}
	c.i++
	for c.space() == '"' {
		switch name := c.key(); {
		case name == "resourceType" && c.s[c.i] == '"':
			u.Type = c.str()
		case name == "id" && c.s[c.i] == '"':
			u.ID = c.str()
		default:
			c.skip()
		}
		if c.space() == ',' {
			c.i++
		}
	}
	return u
}
