package lake

import (
	"context"
	"errors"
	"io"
	"iter"
	"reflect"
	"sync"

	"github.com/andironhq/andiron/r4"
)

// entry is one line of a file, parsed.
type entry struct {
	number int64 // from 1
	offset int64 // in the uncompressed file
	data   []byte

	reason   string // why the line is set aside; "" when it is not
	resource r4.Resource
	patient  string
	rows     []tableRows
}

type tableRows struct {
	view *view
	rows []row
}

// batch is what one worker parses at a time: enough to make the hand-over cheap, little enough
// that the batches under way are a few megabytes whatever the size of the file.
type batch struct {
	entries []entry
	data    []byte
	done    chan struct{}
}

const (
	batchBytes = 256 << 10
	batchLines = 256
)

// parse yields the lines of r in their order, parsed by several workers. The first error ends it.
func parse(ctx context.Context, r io.Reader, workers int, each func(*entry)) iter.Seq2[*batch, error] {
	return func(yield func(*batch, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()

		work := make(chan *batch)
		order := make(chan *batch, workers+1)
		var readErr error // written before order is closed, read after
		wg.Go(func() {
			defer close(order)
			defer close(work)
			readErr = split(r, func(b *batch) bool {
				for _, ch := range []chan *batch{order, work} {
					select {
					case ch <- b:
					case <-ctx.Done():
						return false
					}
				}
				return true
			})
		})
		for range workers {
			wg.Go(func() {
				for b := range work {
					for i := range b.entries {
						if ctx.Err() != nil {
							break
						}
						each(&b.entries[i])
					}
					close(b.done)
				}
			})
		}
		for b := range order {
			select {
			case <-b.done:
			case <-ctx.Done():
			}
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			if !yield(b, nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(nil, err)
		} else if readErr != nil {
			yield(nil, readErr)
		}
	}
}

// split gathers lines into batches and hands them on until next says no.
func split(r io.Reader, next func(*batch) bool) error {
	b := &batch{done: make(chan struct{})}
	var starts []int
	flush := func() bool {
		if len(b.entries) == 0 {
			return true
		}
		starts = append(starts, len(b.data))
		for i := range b.entries {
			b.entries[i].data = b.data[starts[i]:starts[i+1]:starts[i+1]]
		}
		ok := next(b)
		b, starts = &batch{done: make(chan struct{})}, nil
		return ok
	}
	for line, err := range r4.Lines(r) {
		if err != nil {
			return err
		}
		if len(b.entries) > 0 && (len(b.entries) == batchLines || len(b.data)+len(line.Data) > batchBytes) && !flush() {
			return nil
		}
		if b.data == nil {
			b.data = make([]byte, 0, max(batchBytes, len(line.Data)))
		}
		starts = append(starts, len(b.data))
		b.data = append(b.data, line.Data...)
		b.entries = append(b.entries, entry{number: line.Number, offset: line.Offset})
	}
	flush()
	return nil
}

// The reasons for which a line is set aside, besides what is wrong with its JSON.
var (
	errOutcome = errors.New("an OperationOutcome where a resource belongs")
	errNoID    = errors.New("no id")
)

// shred parses one line and fills the rows of its type's tables.
func shred(byType map[string][]*view) func(*entry) {
	return func(e *entry) {
		res, err := r4.Unmarshal(e.data)
		switch {
		case err != nil:
			e.reason = err.Error()
			return
		case res.ResourceType() == "OperationOutcome":
			e.reason = errOutcome.Error()
			return
		case res.GetID() == "":
			e.reason = errNoID.Error()
			return
		}
		e.resource = res
		e.patient = patientOf(res)
		for _, v := range byType[res.ResourceType()] {
			if rows := v.rows(res); len(rows) > 0 {
				e.rows = append(e.rows, tableRows{v, rows})
			}
		}
	}
}

// patientFields are the elements that name the patient, in the order in which they are looked for.
// R4's compartment definition names more, but these are the ones that say whose record it is.
var patientFields = []string{"Patient", "Subject", "Beneficiary", "For", "Individual"}

// patientOf is the id of the patient whom a resource is about, "" for none or several.
func patientOf(res r4.Resource) string {
	switch r := res.(type) {
	case *r4.Patient:
		return r.ID
	case *r4.Appointment:
		return idOf(actor(r, "Patient"), "Patient")
	case *r4.Unknown:
		return ""
	}
	v := reflect.ValueOf(res).Elem()
	if v.Kind() != reflect.Struct {
		return ""
	}
	for _, name := range patientFields {
		f := v.FieldByName(name)
		if !f.IsValid() {
			continue
		}
		switch ref := f.Interface().(type) {
		case *r4.Reference:
			if id := idOf(ref, "Patient"); id != "" {
				return id
			}
		case []r4.Reference:
			if len(ref) == 1 {
				return idOf(&ref[0], "Patient")
			}
		}
	}
	return ""
}
