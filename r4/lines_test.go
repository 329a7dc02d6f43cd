package r4_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/andironhq/andiron/r4"
)

func TestLines(t *testing.T) {
	long := strings.Repeat("x", 300_000)
	tests := []struct {
		name, in string
		want     []string // number, offset, length
	}{
		{"ends of line are not part of it", "a\r\nbc\n", []string{"1 0 a", "2 3 bc"}},
		{"the last line needs no end", "a\nb", []string{"1 0 a", "2 2 b"}},
		{"blank lines are counted and passed over", "\n\r\n \t\na\n\n", []string{"4 6 a"}},
		{"a byte order mark is not part of the line", "\ufeffa\nb\n", []string{"1 3 a", "2 5 b"}},
		{"a byte order mark alone is nothing", "\ufeff\n", nil},
		{"a line longer than any buffer", "a\n" + long + "\nb", []string{"1 0 a", "2 2 " + long, "3 300003 b"}},
		{"nothing", "", nil},
	}
	for _, tt := range tests {
		for name, r := range map[string]io.Reader{"at once": strings.NewReader(tt.in), "byte by byte": iotest.OneByteReader(strings.NewReader(tt.in)), "with the end": iotest.DataErrReader(strings.NewReader(tt.in))} {
			t.Run(tt.name+", "+name, func(t *testing.T) {
				var got []string
				for l, err := range r4.Lines(r) {
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, fmt.Sprintf("%d %d %s", l.Number, l.Offset, l.Data))
				}
				if !slices.Equal(got, tt.want) {
					t.Errorf("the lines are %.200q, want %.200q", got, tt.want)
				}
			})
		}
	}
}

func TestLinesEndWithTheReadersError(t *testing.T) {
	broken := errors.New("connection reset")
	var got []string
	var last error
	for l, err := range r4.Lines(io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(broken))) {
		if last != nil {
			t.Fatal("a line after the error")
		}
		if last = err; err == nil {
			got = append(got, string(l.Data))
		}
	}
	var le *r4.LineError
	if !errors.Is(last, broken) || !errors.As(last, &le) || le.Line != 2 || le.Offset != 2 || le.Column != 1 || !slices.Equal(got, []string{"a"}) {
		t.Errorf("lines %q and error %v; want a, and the reader's error in line 2 after byte 1", got, last)
	}
}

func TestLinesCanBeLeft(t *testing.T) {
	n := 0
	for range r4.Lines(strings.NewReader("a\nb\nc\n")) {
		if n++; n == 2 {
			break
		}
	}
	if n != 2 {
		t.Errorf("%d lines after leaving at the second", n)
	}
}

func TestLineChecker(t *testing.T) {
	const (
		patient = `{"resourceType":"Patient","id":"a"}`
		outcome = `{"resourceType":"OperationOutcome","issue":[]}`
	)
	var syntax *r4.SyntaxError
	var wrong *r4.TypeError
	is := func(target error) func(error) bool { return func(err error) bool { return errors.Is(err, target) } }
	isSyntax := func(err error) bool { return errors.As(err, &syntax) }
	isType := func(err error) bool { return errors.As(err, &wrong) }
	tests := []struct {
		name, typ, in string
		lines         int64
		bad           func(error) bool // nil: no error
		at            string           // line, offset of the line, column
	}{
		{"good lines", "Patient", patient + "\n" + patient + "\n", 2, nil, ""},
		{"no end of the last line", "Patient", patient + "\n" + patient, 2, nil, ""},
		{"blank lines and \\r\\n", "Patient", "\r\n" + patient + "\r\n \n\n" + patient + "\r\n", 2, nil, ""},
		{"a byte order mark", "Patient", "\ufeff" + patient + "\n", 1, nil, ""},
		{"a byte order mark later", "Patient", patient + "\n\ufeff" + patient + "\n", 1, isSyntax, "2 36 0"},
		{"half a byte order mark", "Patient", "\xef\xbb" + patient, 0, isSyntax, "1 0 2"},
		{"nothing", "Patient", "", 0, nil, ""},
		{"any type", "", patient + "\n" + outcome + "\n" + `{"resourceType":"X"}`, 3, nil, ""},
		{"resourceType at the end", "Patient", `{"id":"a","contained":[{"resourceType":"X"}],"resourceType":"Patient"}`, 1, nil, ""},
		{"resourceType with escapes", "Patient", `{"resource\u0054ype":"\u0050atient"}`, 1, nil, ""},
		{"an outcome among resources", "Patient", patient + "\n" + outcome + "\n", 1, is(r4.ErrOutcome), "2 36 33"},
		{"outcomes where outcomes are wanted", "OperationOutcome", outcome + "\n", 1, nil, ""},
		{"another type", "Patient", `{"resourceType":"Observation"}`, 0, isType, "1 0 28"},
		{"no resourceType", "Patient", `{"id":"a","x":{"resourceType":"Patient"}}`, 0, is(r4.ErrNoResourceType), "1 0 41"},
		{"resourceType that is no string", "", `{"resourceType":null}`, 0, is(r4.ErrNoResourceType), "1 0 16"},
		{"null", "", patient + "\nnull\n", 1, is(r4.ErrNoResourceType), "2 36 0"},
		{"an array", "", "[" + patient + "]\n", 0, is(r4.ErrNoResourceType), "1 0 0"},
		{"a string", "", `"x"`, 0, is(r4.ErrNoResourceType), "1 0 0"},
		{"HTML", "", "<html>", 0, isSyntax, "1 0 0"},
		{"two on one line", "Patient", patient + patient, 0, isSyntax, "1 0 35"},
		{"one on two lines", "Patient", "{\n\"resourceType\":\"Patient\"}\n", 0, isSyntax, "1 0 1"},
		{"a line that ends in a string", "Patient", patient + "\n{\"id\":\"\n", 1, isSyntax, "2 36 7"},
		{"cut in a string", "Patient", patient + "\n" + `{"resourceType":"Pat`, 1, is(r4.ErrTruncated), "2 36 20"},
		{"cut in an escape", "Patient", `{"resourceType":"\ud83d`, 0, is(r4.ErrTruncated), "1 0 23"},
		{"cut in a rune", "Patient", "{\"id\":\"\xe2\x82", 0, is(r4.ErrTruncated), "1 0 9"},
		{"cut in a number", "Patient", `{"resourceType":"Patient","x":1`, 0, is(r4.ErrTruncated), "1 0 31"},
		{"cut before the last bracket", "Patient", patient[:len(patient)-1], 0, is(r4.ErrTruncated), "1 0 34"},
		{"cut in the byte order mark", "Patient", "\xef\xbb", 0, is(r4.ErrTruncated), "1 0 2"},
		{"a name twice", "Patient", `{"resourceType":"Patient","a":1,"b":{"a":1},"a":2}`, 0, isSyntax, "1 0 46"},
		{"a long resourceType", "", `{"resourceType":"` + strings.Repeat("P", 5000) + `"}`, 1, nil, ""},
		{"a long resourceType where another is wanted", "P", `{"resourceType":"` + strings.Repeat("P", 5000) + `"}`, 0, isType, "1 0 5017"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, size := range []int{1, 2, 3, 7, 1 << 20} {
				c := &r4.LineChecker{Type: tt.typ}
				var err error
				for in := []byte(tt.in); len(in) > 0 && err == nil; in = in[min(size, len(in)):] {
					_, err = c.Write(in[:min(size, len(in))])
				}
				if closed := c.Close(); err == nil {
					err = closed
				} else if !errors.Is(closed, err) {
					t.Errorf("Close returns %v after %v", closed, err)
				}
				if c.Lines() != tt.lines {
					t.Errorf("pieces of %d: %d good lines, want %d", size, c.Lines(), tt.lines)
				}
				if tt.bad == nil {
					if err != nil {
						t.Errorf("pieces of %d: %v, want no error", size, err)
					}
					continue
				}
				var le *r4.LineError
				if !errors.As(err, &le) || !tt.bad(err) {
					t.Errorf("pieces of %d: the error is %v", size, err)
				} else if got := fmt.Sprint(le.Line, le.Offset, le.Column); got != tt.at {
					t.Errorf("pieces of %d: the fault is at line, offset, column %s, want %s (%v)", size, got, tt.at, err)
				}
			}
		})
	}
}

func TestLineCheckerTellsOfEachLine(t *testing.T) {
	var got []r4.LineInfo
	c := &r4.LineChecker{OnLine: func(l r4.LineInfo) { got = append(got, l) }}
	in := "\ufeff{\"id\":\"\\u0061\",\"resourceType\":\"Patient\"}\r\n\n{\"resourceType\":\"X\",\"id\":5,\"contained\":[{\"id\":\"no\"}]}"
	if _, err := c.Write([]byte(in)); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	want := []r4.LineInfo{
		{Number: 1, Offset: 3, Length: 41, Type: "Patient", ID: "a"},
		{Number: 3, Offset: 46, Length: 53, Type: "X"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("it told of %+v, want %+v", got, want)
	}
}

func TestLineCheckerHoldsNoLine(t *testing.T) {
	size := 200 << 20
	if testing.Short() || raceEnabled {
		size = 20 << 20
	}
	c := &r4.LineChecker{Type: "Binary"}
	piece := []byte(strings.Repeat("QUJD", 16<<10))
	write := func(p []byte) {
		if _, err := c.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	write([]byte(`{"resourceType":"Binary","data":"`))
	for n := 0; n < size; n += len(piece) {
		write(piece)
	}
	write([]byte(`","x":[`))
	for n := 0; n < size/10; n += 8 {
		write([]byte(`{"a":1},`))
	}
	write([]byte("0]}\n"))
	runtime.ReadMemStats(&after)
	if err := c.Close(); err != nil || c.Lines() != 1 {
		t.Fatalf("%d lines, %v", c.Lines(), err)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<10 {
		t.Errorf("a line of %d bytes made %d bytes of garbage, 64 kB at most expected", size, grown)
	}
}

// TestValidatorsAgree damages good lines at random and asks all three validators.
func TestValidatorsAgree(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	n := 20_000
	if testing.Short() || raceEnabled {
		n = 2_000
	}
	alphabet := []byte("{}[]\",:\\u0dD8eE+-.1 truefalsn\x00\x1f\x7f\x80\xbf\xc3\xe2\xed\xf0\n\r\t")
	for range n {
		data := []byte(quirks[rnd.IntN(len(quirks))].in)
		for range 1 + rnd.IntN(3) {
			at := rnd.IntN(len(data))
			switch rnd.IntN(3) {
			case 0:
				data[at] = alphabet[rnd.IntN(len(alphabet))]
			case 1:
				data = slices.Insert(data, at, alphabet[rnd.IntN(len(alphabet))])
			default:
				data = slices.Delete(data, at, min(len(data), at+1+rnd.IntN(3)))
			}
			if len(data) == 0 {
				break
			}
		}
		checkStrict(t, data)
		checkLines(t, bytes.Clone(data), uint16(rnd.Uint32()))
	}
}
