package fhir

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestQueryEncodes(t *testing.T) {
	tests := []struct {
		name string
		q    Query
		want string
	}{
		{"no parameters", Query{}, ""},
		{"one", Where("patient", "eq3x"), "patient=eq3x"},
		{"several values are OR", Where("category", "laboratory", "vital-signs"), "category=laboratory,vital-signs"},
		{"a repeated name is AND", Where("date", "ge2024-01-01").And("date", "lt2025-01-01"), "date=ge2024-01-01&date=lt2025-01-01"},
		{"order is kept", Where("b", "1").And("a", "2"), "b=1&a=2"},
		{
			"modifier and chain", Where("code:in", "x").And("patient.identifier", "1").And("_has:Observation:patient:code", "1"),
			"code:in=x&patient.identifier=1&_has:Observation:patient:code=1",
		},
		{"the bar of a token separates", Where("code", "http://loinc.org|4548-4"), "code=http:%2F%2Floinc.org%7C4548-4"},
		{"plus, space, ampersand, equals, percent", Where("name", "a+b c&d=e%f"), "name=a%2Bb%20c%26d%3De%25f"},
		{"a time zone survives", Where("date", "ge2024-01-01T00:00:00+02:00"), "date=ge2024-01-01T00:00:00%2B02:00"},
		{"a comma in a value is part of it", Where("name", "Smith, John"), "name=Smith%5C%2C%20John"},
		{"escaped text", Where("name", Escape(`a|b$c,d\e`)), `name=a%5C%7Cb%5C%24c%5C%2Cd%5C%5Ce`},
		{"a lone backslash cannot escape the separator", Where("name", `a\`, "b"), `name=a%5C%5C,b`},
		{"token with its parts", Where("identifier", Token("urn:oid:1.2", "a|b")), `identifier=urn:oid:1.2%7Ca%5C%7Cb`},
		{"letters outside ASCII", Where("family", "Åß"), "family=%C3%85%C3%9F"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.q.Encode(); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestQueryIsAValue(t *testing.T) {
	base := Where("patient", "x")
	a := base.And("category", "laboratory")
	b := base.And("category", "vital-signs")
	if a.Encode() != "patient=x&category=laboratory" || b.Encode() != "patient=x&category=vital-signs" {
		t.Errorf("two queries from one disturb each other: %s and %s", a, b)
	}
}

func TestParseQuery(t *testing.T) {
	tests := []struct{ name, in, typ, out string }{
		{"type and parameters", "Observation?patient=x&category=laboratory", "Observation", "patient=x&category=laboratory"},
		{"type alone", "Patient", "Patient", ""},
		{"parameters alone", "?_type=Patient", "", "_type=Patient"},
		{"a comma separates", "Observation?code=a,b", "Observation", "code=a,b"},
		{"an encoded comma too", "Observation?code=a%2Cb", "Observation", "code=a,b"},
		{"an escaped comma does not", `Observation?code=a\,b,c`, "Observation", `code=a%5C%2Cb,c`},
		{"plus is a space", "Patient?family=van+der+Berg", "Patient", "family=van%20der%20Berg"},
		{"empty parts are dropped", "Patient?&a=b&&c=d&", "Patient", "a=b&c=d"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			typ, q, err := ParseQuery(tt.in)
			if err != nil || typ != tt.typ || q.Encode() != tt.out {
				t.Errorf("got %q, %q, %v; want %q, %q", typ, q, err, tt.typ, tt.out)
			}
		})
	}
	for _, bad := range []string{"https://x/Patient?a=b", "Patient/1?a=b", "a=b", "Patient?canary=%zz", "Patient?%=1"} {
		if _, _, err := ParseQuery(bad); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: got error %v, want one that does not quote it", bad, err)
		}
	}
}

func TestIncompleteSearchIsNotSent(t *testing.T) {
	w := newWorld(t, nil)
	parsed := func(s string) Query {
		_, q, err := ParseQuery(s)
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	for name, q := range map[string]Query{
		"empty value":          Where("patient", ""),
		"no value":             Where("patient"),
		"one of several empty": Where("category", "laboratory", ""),
		"no name":              Where("", "x"),
		"parsed":               parsed("Observation?patient="),
		"parsed comma":         parsed("Observation?code=a,"),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Collect(w.c.Entries(t.Context(), "Observation", q)); !errors.Is(err, ErrQuery) {
				t.Errorf("Entries: got %v, want ErrQuery", err)
			}
			if _, err := w.c.Count(t.Context(), "Observation", q); !errors.Is(err, ErrQuery) {
				t.Errorf("Count: got %v, want ErrQuery", err)
			}
		})
	}
}

// anyQuery draws names and values from what breaks parsers.
var anyQuery = rapid.Custom(func(t *rapid.T) Query {
	text := rapid.OneOf(rapid.StringMatching(`[a-z,$|\\&=+%#? :/é]{1,8}`), rapid.StringN(1, 6, -1))
	var q Query
	for range rapid.IntRange(0, 4).Draw(t, "parameters") {
		q = q.And(text.Draw(t, "name"), rapid.SliceOfN(text, 1, 3).Draw(t, "values")...)
	}
	return q
})

func sameQuery(a, b Query) bool {
	return slices.EqualFunc(a.params, b.params, func(x, y parameter) bool {
		return x.name == y.name && slices.Equal(x.values, y.values)
	})
}

func TestParsingAnEncodedQueryGivesItBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := anyQuery.Draw(t, "query")
		typ, back, err := ParseQuery("Observation?" + q.Encode())
		if err != nil || typ != "Observation" || !sameQuery(q, back) {
			t.Fatalf("%#v became %#v, %v", q, back, err)
		}
	})
}

func TestNoValueBecomesAnotherParameter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := anyQuery.Draw(t, "query")
		if e := q.Encode(); strings.Count(e, "&") != max(0, len(q.params)-1) || strings.Count(e, "=") != len(q.params) {
			t.Fatalf("%d parameters became %s", len(q.params), e)
		}
		if _, err := url.ParseQuery(q.Encode()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestEscapedTextIsOneValueAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		v := oneValue(Escape(text))
		var back strings.Builder
		for i := 0; i < len(v); i++ {
			if v[i] == '\\' {
				i++
			} else if strings.IndexByte(",$|", v[i]) >= 0 {
				t.Fatalf("a separator stands bare in %q", v)
			}
			back.WriteByte(v[i])
		}
		if back.String() != text {
			t.Fatalf("%q became %q", text, back.String())
		}
	})
}

func FuzzParseQuery(f *testing.F) {
	for _, s := range []string{"Observation?patient=x&category=a,b", "?a=%2C%5C", `P?a=\`, "P?=&=", "P?a=b%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		typ, q, err := ParseQuery(s)
		if err != nil {
			return
		}
		typ2, q2, err := ParseQuery(typ + "?" + q.Encode())
		if err != nil || typ2 != typ || !sameQuery(q, q2) {
			t.Errorf("%q: %#v became %#v, %v", s, q, q2, err)
		}
	})
}
