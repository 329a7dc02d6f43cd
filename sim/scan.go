package sim

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"strings"
)

// found is what the store needs to know of a resource's line.
type found struct {
	typ, id string
	patient string // id of the patient it belongs to, if any
}

var errNotObject = errors.New("not a JSON object")

// scan reads the top level of a resource without decoding what lies below: type, id, and the
// patient it is about. It checks no more of the JSON than it needs; what is served is the
// line as it is.
func scan(line []byte) (found, error) {
	var f found
	var owner, subject, party string
	err := members(line, func(name, value []byte, _ int) error {
		switch string(name) {
		case "resourceType":
			f.typ = plainString(value)
		case "id":
			f.id = plainString(value)
		case "patient", "beneficiary", "individual":
			if owner == "" {
				owner = patientOf(value)
			}
		case "subject", "for":
			if subject == "" {
				subject = patientOf(value)
			}
		case "participant", "actor", "target":
			if party == "" {
				party = patientOf(value)
			}
		}
		return nil
	})
	f.patient = cmp.Or(owner, subject)
	switch f.typ {
	case "Patient":
		f.patient = f.id
	case "Appointment", "AppointmentResponse", "Provenance":
		f.patient = cmp.Or(f.patient, party)
	}
	return f, err
}

// members calls do for each member of an object, with the place of its value.
func members(b []byte, do func(name, value []byte, at int) error) error {
	i := skipSpace(b, 0)
	if i >= len(b) || b[i] != '{' {
		return errNotObject
	}
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == '}' {
		return nil
	}
	for {
		nameEnd, err := skipValue(b, i)
		if err != nil || b[i] != '"' {
			return errNotObject
		}
		name := b[i+1 : nameEnd-1]
		i = skipSpace(b, nameEnd)
		if i >= len(b) || b[i] != ':' {
			return errNotObject
		}
		i = skipSpace(b, i+1)
		end, err := skipValue(b, i)
		if err != nil {
			return err
		}
		if err := do(name, b[i:end], i); err != nil {
			return err
		}
		i = skipSpace(b, end)
		if i >= len(b) {
			return errNotObject
		}
		if b[i] == '}' {
			if skipSpace(b, i+1) != len(b) {
				return errors.New("something follows the object")
			}
			return nil
		}
		if b[i] != ',' {
			return errNotObject
		}
		i = skipSpace(b, i+1)
	}
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n') {
		i++
	}
	return i
}

var errCutShort = errors.New("the line breaks off")

// skipValue returns where the value that begins at i ends.
func skipValue(b []byte, i int) (int, error) {
	if i >= len(b) {
		return 0, errCutShort
	}
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{', '[':
		depth := 0
		for i < len(b) {
			switch b[i] {
			case '"':
				end, err := skipString(b, i)
				if err != nil {
					return 0, err
				}
				i = end
				continue
			case '{', '[':
				depth++
			case '}', ']':
				depth--
				if depth == 0 {
					return i + 1, nil
				}
			}
			i++
		}
		return 0, errCutShort
	}
	start := i
	for i < len(b) && strings.IndexByte(",}] \t\r\n", b[i]) < 0 {
		i++
	}
	if i == start {
		return 0, errNotObject
	}
	return i, nil
}

func skipString(b []byte, i int) (int, error) {
	for i++; ; {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return 0, errCutShort
		}
		end := i + n
		slashes := 0
		for k := end - 1; k >= i && b[k] == '\\'; k-- {
			slashes++
		}
		if slashes%2 == 0 {
			return end + 1, nil
		}
		i = end + 1
	}
}

func plainString(value []byte) string {
	if len(value) >= 2 && value[0] == '"' && bytes.IndexByte(value, '\\') < 0 {
		return string(value[1 : len(value)-1])
	}
	var s string
	_ = json.Unmarshal(value, &s)
	return s
}

// patientOf finds the first reference to a patient in a value: "Patient/x", or an absolute
// URL that ends so.
func patientOf(value []byte) string {
	const mark = `Patient/`
	if bytes.Contains(value, []byte(`\/`)) { // the same string, as some encoders write it
		value = bytes.ReplaceAll(value, []byte(`\/`), []byte(`/`))
	}
	for at := 0; ; {
		n := bytes.Index(value[at:], []byte(mark))
		if n < 0 {
			return ""
		}
		start := at + n + len(mark)
		if n == 0 && at == 0 || start-len(mark) > 0 && (value[start-len(mark)-1] == '"' || value[start-len(mark)-1] == '/') {
			end := start
			for end < len(value) && value[end] != '"' && value[end] != '/' {
				end++
			}
			return string(value[start:end])
		}
		at = start
	}
}
