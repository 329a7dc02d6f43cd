package r4

import (
	"bytes"
	"errors"
	"io"
	"iter"
	"strconv"
)

// Line is one line of NDJSON.
type Line struct {
	Number int64  // counts from 1, blank lines too
	Offset int64  // bytes before Data in the stream
	Data   []byte // without the line's end; valid until the next one is asked for
}

// ErrTruncated means that an NDJSON stream ended within a line.
var ErrTruncated = errors.New("r4: the last line is incomplete")

// ErrOutcome means that a line is an OperationOutcome where resources of another type were to come.
var ErrOutcome = errors.New("r4: an OperationOutcome among the resources")

// LineError says which line of an NDJSON stream is at fault. It quotes nothing of the line.
type LineError struct {
	Line   int64  // counts from 1, blank lines too
	Offset int64  // bytes before the line in the stream
	Column int64  // bytes before the fault in the line
	Reason string // in a few fixed words
	// Err is the cause: *[SyntaxError], [ErrTruncated], [ErrOutcome], [ErrNoResourceType], *[TypeError], or what the reader returned.
	Err error
}

func (e *LineError) Error() string {
	return "r4: line " + strconv.FormatInt(e.Line, 10) + ", byte " + strconv.FormatInt(e.Column, 10) + ": " + e.Reason
}

func (e *LineError) Unwrap() error { return e.Err }

const (
	lineBuffer = 64 << 10 // what is read at once
	lineKeep   = 4 << 20  // a buffer that one long line made larger than this is given back
	bom        = "\ufeff"
)

// Lines cuts an NDJSON stream into its lines, however long they are. Blank lines are passed over, the
// \r of \r\n and a byte order mark at the beginning are not part of a line, and the last line needs no end. Lines does not
// look into the lines: [Unmarshal] does. An error of the reader comes as a *[LineError], and nothing after it.
//
// Memory is that of the longest line so far, given back when it was exceptional. The result can be ranged over once.
func Lines(r io.Reader) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		var (
			buf    = make([]byte, 0, lineBuffer)
			number = int64(1)
			offset int64 // of buf[0] in the stream
		)
		emit := func(data []byte) bool {
			l := Line{Number: number, Offset: offset}
			offset += int64(len(data))
			if l.Offset == 0 && bytes.HasPrefix(data, []byte(bom)) {
				data, l.Offset = data[len(bom):], int64(len(bom))
			}
			data = bytes.TrimSuffix(data, []byte("\n"))
			l.Data = bytes.TrimSuffix(data, []byte("\r"))
			number++
			return len(bytes.TrimLeft(l.Data, " \t\r")) == 0 || yield(l, nil)
		}
		for {
			if len(buf) == cap(buf) {
				buf = append(make([]byte, 0, 2*cap(buf)), buf...)
			}
			seen := len(buf)
			n, err := r.Read(buf[seen:cap(buf)])
			buf = buf[:seen+n]
			rest := buf
			for {
				end := bytes.IndexByte(rest[seen:], '\n')
				if end < 0 {
					break
				}
				end += seen + 1
				if !emit(rest[:end]) {
					return
				}
				rest, seen = rest[end:], 0
			}
			if cap(buf) > lineKeep && len(rest) < lineBuffer {
				buf = append(make([]byte, 0, 2*lineBuffer), rest...)
			} else {
				buf = append(buf[:0], rest...)
			}
			switch {
			case err == nil:
			case errors.Is(err, io.EOF):
				if len(buf) > 0 {
					emit(buf)
				}
				return
			default:
				yield(Line{}, &LineError{Line: number, Offset: offset, Column: int64(len(buf)), Reason: "reading failed", Err: err})
				return
			}
		}
	}
}
