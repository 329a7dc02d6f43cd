package r4_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/andironhq/andiron/r4"
)

// strictSeeds are texts at the edge of JSON; both validators are asked about each, and the fuzzers start from them.
var strictSeeds = []string{
	``, ` `, `{}`, `[]`, `null`, `true`, `fals`, `nulll`, `"a"`, `{"a":1}`, `{"a":1,}`, `{,}`, `[1,]`, `[,1]`, `[1 2]`,
	`{"a" 1}`, `{"a":}`, `{"a"}`, `{a:1}`, `{'a':1}`, `{"a":1}x`, `{"a":1} {"b":2}`, `{"a":1}]`, `[1}`, `{"a":1]`, `[1}}`,
	`0`, `-0`, `01`, `-`, `1.`, `.5`, `1.e3`, `1e`, `1e+`, `1E-07`, `1e3`, `-1.50e+10`, `+1`, `NaN`, `Infinity`, `0x10`, `1_000`, `00`, `-01`,
	`"\u0041"`, `"\u00"`, `"\uD800"`, `"\uDC00"`, `"\uD83D\uDE00"`, `"\uD83D\u0041"`, `"\uD83Dx"`, `"\x41"`, `"\'"`, `"\`, `"`, `"\"`,
	"\"\t\"", "\"\n\"", "\"\x00\"", "\"\x7f\"", "\"\xff\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"\xe2\x82\"", "\"\xe2\x82\xac\"", "\xef\xbb\xbf{}",
	`{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"":1,"":2}`, `{"a":{"a":1}}`, `[{"a":1},{"a":1}]`, `{"b":{"a":1,"a":2}}`, `{"é":1,"\u00e9":2}`,
	"\u00a0{}", "\v{}", "{}\x00", `/* */{}`, `{"resourceType":"Patient","resourceType":"Patient"}`,
	`{"resourceType":"Patient","name":[{"family":"A","family":"B"}]}`, `{"resourceType":"Patient","_active":1,"_active":2}`,
	`{"resourceType":"Patient","name":[{"family":"A",}]}`, `{"resourceType":"Patient","active":tru}`, `{"resourceType":"Patient","id":"a"`,
	`{"id":"1","resourceType":"Observation","valueQuantity":{"value":01}}`, `{"resourceType":"Observation","valueString":"a","valueString":"b"}`,
	`{"resourceType":"Patient","contained":[{"resourceType":"X","a":1,"a":1}]}`, `{"resourceType":"Patient","maritalStatus":[{"text":"m","text":"n"}]}`,
	`{"resourceType":"Patient","name":{"given":["a",null,5,"\ud800"]}}`, `{"resourceType":5}`, `{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient","id":1}}]}`,
	strings.Repeat("[", 10000) + strings.Repeat("]", 10000),
	strings.Repeat("[", 10001) + strings.Repeat("]", 10001),
	strings.Repeat(`{"a":`, 10000) + "1" + strings.Repeat("}", 10000),
	`{"resourceType":"Patient","extension":` + strings.Repeat(`[{"extension":`, 4999) + "1" + strings.Repeat("}]", 4999) + `}`,
	`{"resourceType":"Patient","extension":` + strings.Repeat(`[{"extension":`, 5000) + "1" + strings.Repeat("}]", 5000) + `}`,
	manyNames(100, ""), manyNames(100, `,"n7":0`), manyNames(100, `,"n99":0`), manyNames(23, `,"n1":0`), manyNames(24, `,"n1":0`), manyNames(25, `,"n24":0`),
}

// manyNames is an object with n members and then more.
func manyNames(n int, more string) string {
	var b strings.Builder
	b.WriteString(`{"resourceType":"Patient"`)
	for i := range n {
		b.WriteString(`,"n`)
		b.WriteString(json.Number(string(mustJSON(i))).String())
		b.WriteString(`":{"n":1}`)
	}
	return b.String() + more + "}"
}

func mustJSON(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}

// oracle is what the strict validator that we did not write says.
func oracle(data []byte) bool { return jsontext.Value(data).IsValid() }

// FuzzStrict: what go-json-experiment rejects, CheckJSON and Unmarshal reject, and the reverse; what Unmarshal takes,
// Marshal writes back with the same value.
func FuzzStrict(f *testing.F) {
	for _, s := range strictSeeds {
		f.Add([]byte(s))
	}
	for _, s := range quirks {
		f.Add([]byte(s.in))
	}
	f.Fuzz(func(t *testing.T, data []byte) { checkStrict(t, data) })
}

func checkStrict(t *testing.T, data []byte) {
	t.Helper()
	want := oracle(data)
	if err := r4.CheckJSON(data); (err == nil) != want {
		t.Fatalf("CheckJSON says %v, go-json-experiment says valid: %t\n%.200q", err, want, data)
	}
	r, err := r4.Unmarshal(data)
	var wrongType *r4.TypeError
	switch {
	case err == nil && !want:
		t.Fatalf("Unmarshal takes what go-json-experiment rejects\n%.200q", data)
	case err == nil:
		out, err := r4.Marshal(r)
		if err != nil {
			t.Fatalf("Marshal of what Unmarshal took: %v\n%.200q", err, data)
		}
		if d := difference(data, out); d != "" {
			t.Fatalf("not the same value after a round trip: %s\n in %.500q\nout %.500q", d, data, out)
		}
	case want && !errors.Is(err, r4.ErrNoResourceType) && !errors.As(err, &wrongType):
		t.Fatalf("Unmarshal: %v, but go-json-experiment takes it\n%.200q", err, data)
	}
}

// FuzzLineChecker: however the stream is cut into pieces, each line is judged as the whole line would be.
func FuzzLineChecker(f *testing.F) {
	for i, s := range strictSeeds {
		f.Add([]byte(s), uint16(i))
		f.Add([]byte(`{"resourceType":"Patient"}`+"\n"+s), uint16(i))
	}
	f.Add([]byte("\xef\xbb\xbf\r\n{\"resourceType\":\"Patient\"}\r\n\n {\"id\":\"a\",\"resourceType\":\"X\"} \n"), uint16(3))
	f.Fuzz(func(t *testing.T, data []byte, seed uint16) { checkLines(t, data, seed) })
}

// checkLines compares a LineChecker with CheckJSON on each line.
func checkLines(t *testing.T, data []byte, seed uint16) {
	t.Helper()
	good, bad := int64(0), int64(0)
	rest := bytes.TrimPrefix(data, []byte("\ufeff"))
	for number := int64(1); len(rest) > 0 && bad == 0; number++ {
		line, after, _ := bytes.Cut(rest, []byte("\n"))
		rest = after
		if len(bytes.Trim(line, " \t\r")) == 0 {
			continue
		}
		var top struct {
			Type *string `json:"resourceType"`
		}
		if r4.CheckJSON(line) == nil && line[bytes.IndexFunc(line, func(r rune) bool { return r > ' ' })] == '{' && unmarshalExact(line, &top) && top.Type != nil {
			good++
		} else {
			bad = number
		}
	}
	c := new(r4.LineChecker)
	rnd := uint32(seed) + 1
	var err error
	for rest := data; len(rest) > 0 && err == nil; {
		rnd = rnd*1664525 + 1013904223
		n := min(int(rnd>>24)%(1+int(seed%37))+1, len(rest))
		_, err = c.Write(rest[:n])
		rest = rest[n:]
	}
	if closed := c.Close(); err == nil {
		err = closed
	}
	if (err != nil) != (bad != 0) {
		t.Fatalf("LineChecker: %v, but line by line the first bad one is %d\n%.300q", err, bad, data)
	}
	var le *r4.LineError
	if err != nil && (!errors.As(err, &le) || le.Line != bad) {
		t.Fatalf("LineChecker: %v, but line by line the first bad one is %d\n%.300q", err, bad, data)
	}
	if c.Lines() != good {
		t.Fatalf("LineChecker counts %d good lines, line by line there are %d\n%.300q", c.Lines(), good, data)
	}
}

// unmarshalExact finds a resourceType of exactly that spelling.
func unmarshalExact(line []byte, top *struct {
	Type *string `json:"resourceType"`
},
) bool {
	var members map[string]json.RawMessage
	if json.Unmarshal(line, &members) != nil {
		return false
	}
	raw, ok := members["resourceType"]
	return ok && json.Unmarshal(raw, &top.Type) == nil
}

func TestStrictJSON(t *testing.T) {
	seeds := uint16(40)
	if raceEnabled {
		seeds = 6
	}
	for i, s := range strictSeeds {
		checkStrict(t, []byte(s))
		for seed := range seeds {
			checkLines(t, []byte(s), seed)
		}
		checkLines(t, []byte(strictSeeds[(i+1)%len(strictSeeds)]+"\n"+s), uint16(i))
	}
}
