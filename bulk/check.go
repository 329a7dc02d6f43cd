package bulk

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"strings"

	"github.com/andironhq/andiron/r4"
)

// sums is what is known of a file when it has been read to its end.
type sums struct {
	bytes   int64  // as written
	plain   int64  // as received, unpacked
	packed  int64  // as received
	gzip    bool   // it came packed, and its checksum was right
	lines   int64  // resources
	sha256  string // of what was written
	problem error  // what is wrong with the lines; nil when all are valid
	head    []byte // how it begins
}

// headSize is how much of a file's beginning is kept, to tell what came in its place.
const headSize = 64 << 10

// copyChecked streams a file from src to dst and checks each line on the way, in constant
// memory. The bytes go through untouched, but for the end, which gets exactly one newline.
// err is a failure to read or write; what is wrong with the contents is sums.problem, and
// then all of the bytes are there all the same.
func copyChecked(dst io.Writer, src io.Reader, typ string) (s sums, err error) {
	count := &counter{r: src}
	br := bufio.NewReaderSize(count, 64<<10)
	plain := io.Reader(br)
	// Servers send the header without gzip and gzip without the header: the bytes decide.
	if magic, err := br.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(br)
		if err != nil {
			return s, err
		}
		s.gzip, plain = true, z
	}
	w := &tail{w: dst, sum: sha256.New()}
	lc := &r4.LineChecker{Type: typ}
	buf := make([]byte, 128<<10)
	for {
		n, rerr := plain.Read(buf)
		chunk := buf[:n]
		s.plain += int64(n)
		if room := headSize - len(s.head); room > 0 {
			s.head = append(s.head, chunk[:min(room, n)]...)
		}
		if s.problem == nil {
			if _, err := lc.Write(chunk); err != nil {
				s.problem = err
			}
		}
		if _, err := w.Write(chunk); err != nil {
			return s, err
		}
		if s.gzip && s.plain > ratioFrom && s.plain/maxRatio > count.n {
			return s, ErrBomb
		}
		if errors.Is(rerr, io.EOF) {
			break
		}
		if rerr != nil {
			return s, rerr
		}
	}
	if err := lc.Close(); err != nil && s.problem == nil {
		s.problem = err
	}
	if err := w.end(); err != nil {
		return s, err
	}
	s.bytes, s.packed, s.lines, s.sha256 = w.n, count.n, lc.Lines(), hex.EncodeToString(w.sum.Sum(nil))
	return s, nil
}

// NDJSON of FHIR resources packs below 1 to 100; deflate cannot pack better than 1 to 1032,
// and a bomb is close to that. What is small may have any ratio.
const (
	ratioFrom = 64 << 20
	maxRatio  = 250
)

type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// tail writes everything but newlines at the end, of which end writes exactly one. It holds
// only their number.
type tail struct {
	w   io.Writer
	sum hash.Hash
	n   int64
	nls int64
}

func (t *tail) Write(p []byte) (int, error) {
	body := bytes.TrimRight(p, "\n")
	if len(body) > 0 {
		if err := t.flush(); err != nil {
			return 0, err
		}
		if err := t.put(body); err != nil {
			return 0, err
		}
	}
	t.nls += int64(len(p) - len(body))
	return len(p), nil
}

var newlines = bytes.Repeat([]byte{'\n'}, 4<<10)

func (t *tail) flush() error {
	for t.nls > 0 {
		k := min(t.nls, int64(len(newlines)))
		if err := t.put(newlines[:k]); err != nil {
			return err
		}
		t.nls -= k
	}
	return nil
}

func (t *tail) put(p []byte) error {
	t.sum.Write(p)
	n, err := t.w.Write(p)
	t.n += int64(n)
	return err
}

func (t *tail) end() error {
	t.nls = 0
	if t.n == 0 {
		return nil
	}
	return t.put(newlines[:1])
}

// inPlace reports what came in place of the file, if it was no file at all: a web page, or an
// OperationOutcome, which may span several lines.
func (s sums) inPlace(typ string) (o *r4.OperationOutcome, err error) {
	begin := strings.TrimLeft(string(s.head[:min(len(s.head), 512)]), " \t\r\n\ufeff")
	if strings.HasPrefix(begin, "<") {
		return nil, ErrNotNDJSON
	}
	if typ == "OperationOutcome" {
		return nil, nil
	}
	if s.plain > int64(len(s.head)) {
		return nil, nil // too much for an excuse
	}
	if o, ok := asOutcome(s.head); ok {
		return o, ErrOutcome
	}
	for line := range bytes.Lines(s.head) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		next, ok := asOutcome(line)
		if !ok {
			return nil, nil // one among other resources is a damaged line
		}
		if o == nil {
			o = next
		}
	}
	if o != nil {
		return o, ErrOutcome
	}
	return nil, nil
}

// asOutcome reads an OperationOutcome, with a BOM or without.
func asOutcome(b []byte) (*r4.OperationOutcome, bool) {
	b = bytes.TrimPrefix(bytes.TrimSpace(b), []byte("\xef\xbb\xbf"))
	var kind struct {
		ResourceType string `json:"resourceType"`
	}
	if json.Unmarshal(b, &kind) != nil || kind.ResourceType != "OperationOutcome" {
		return nil, false
	}
	o := &r4.OperationOutcome{}
	if json.Unmarshal(b, o) != nil {
		return &r4.OperationOutcome{}, true
	}
	return o, true
}

// isTransient reports that the server itself says to ask again.
func isTransient(o *r4.OperationOutcome) bool {
	if o == nil {
		return false
	}
	for _, i := range o.Issue {
		switch i.Code {
		case "transient", "lock-error", "no-store", "exception", "timeout", "incomplete", "throttled":
			return true
		}
	}
	return false
}
