package bulk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/andironhq/andiron/fhir"
	"github.com/andironhq/andiron/r4"
)

// fetch brings one file into the folder. It returns an error only when the whole run must
// stop; what is wrong with this file alone goes into its row.
func (b *batch) fetch(ctx context.Context, f *row) error {
	var last attempt
	var reread bool
	for try := 1; ; try++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		b.mu.Lock()
		if f.dropped {
			b.mu.Unlock()
			return nil
		}
		if f.state != FileMismatch { // that one lies in place until something better comes
			f.state = FileDownloading
		}
		f.tries++
		src := source{url: f.url, token: b.rec.needsToken, reading: b.readings.Load()}
		err := b.ledger.saveFile(ctx, b.rec.id, f)
		b.mu.Unlock()
		if err != nil {
			return err
		}
		b.logRequest(f, src.url)
		a := b.attempt(ctx, f, src, try)
		if a.err == nil {
			err := b.commit(ctx, f, a, FileVerified)
			a.part.discard()
			return err
		}
		same := a.part != nil && last.sums.sha256 != "" && last.sums.sha256 == a.sums.sha256
		last = a
		v := b.weigh(ctx, a.err)
		if v == fatal {
			a.discard()
			return b.stopped(ctx, f, a.err)
		}
		b.logError(f, src.url, a.err)
		// Twice the same bytes: then it is not the transfer, and the server means it so.
		if same && errors.Is(a.err, ErrCount) {
			err := b.mismatch(ctx, f, a)
			a.discard()
			return err
		}
		if same && errors.Is(a.err, ErrDamaged) {
			v = hopeless
		}
		if v == missing && !reread {
			a.discard()
			reread = true
			if err := b.reread(ctx, src.reading); err != nil {
				if !over(err) && b.weigh(ctx, err) == fatal {
					return err
				}
				return b.giveUp(ctx, f, a)
			}
			b.emit(Event{Kind: KindRetry, File: f.name, Type: f.typ, Try: try, Err: a.err, Text: "the manifest was read again"})
			continue
		}
		if v != again || try >= b.tries() {
			f.mayCome = v == again
			err := b.giveUp(ctx, f, a)
			a.discard()
			return err
		}
		a.discard()
		d := max(b.jitter(backoff(try)), b.bounded(a.wait))
		b.emit(Event{Kind: KindRetry, File: f.name, Type: f.typ, Try: try, Err: a.err, Until: b.now().Add(d)})
		if err := b.pause(ctx, d); err != nil {
			return err
		}
	}
}

// source is where a file comes from, by one reading of the manifest.
type source struct {
	url     string
	token   bool
	reading int32
}

// attempt is what one request for a file brought.
type attempt struct {
	part    *part
	sums    sums
	checked string
	wait    time.Duration // Retry-After of a refusal
	detail  string        // the server's own text
	err     error
}

func (a attempt) discard() {
	if a.part != nil {
		a.part.discard()
	}
}

// attempt reads a file into a temporary one and judges it. The part is set when all bytes
// have come, whatever they are worth.
func (b *batch) attempt(ctx context.Context, f *row, src source, try int) (a attempt) {
	resp, err := b.Client.Do(ctx, fhir.Request{
		Op: "file", URL: src.url, NoRetry: true, Idempotent: true, ForeignOK: true, Anonymous: !src.token,
		Header: http.Header{
			"Accept":          {"application/fhir+ndjson, application/ndjson;q=0.9, */*;q=0.5"},
			"Accept-Encoding": {"gzip"},
		},
	})
	if err != nil {
		a.err = err
		if fe, ok := errors.AsType[*fhir.Error](err); ok {
			a.wait, a.detail = fe.RetryAfter, outcomeText(fe.Outcome())
			switch {
			case isTransient(fe.Outcome()):
				a.err = &transientError{err}
			case fe.Status == http.StatusUnauthorized && (!src.token || b.foreign(fe.URL)):
				a.err = &deadURLError{err} // no token of ours was refused there
			}
		}
		return a
	}
	defer resp.Body.Close()
	if src.token {
		b.signedIn.Store(true)
	}
	if resp.StatusCode != http.StatusOK {
		a.err = fmt.Errorf("answered %d", resp.StatusCode)
		return a
	}
	p, err := b.folder.create(partName(f.name))
	if err != nil {
		a.err = err
		return a
	}
	size := max(resp.ContentLength, 0)
	b.emit(Event{Kind: KindDownload, File: f.name, Type: f.typ, Try: try, Size: size})
	dst := &meter{w: p, tell: func(n int64) {
		b.emit(Event{Kind: KindDownload, File: f.name, Type: f.typ, Try: try, Bytes: n, Size: size})
	}}
	s, err := copyChecked(dst, reader{ctx, resp.Body}, f.typ)
	a.sums = s
	if err != nil {
		p.discard()
		a.err = err
		if !errors.Is(err, ErrFolder) && !errors.Is(err, ErrBomb) && ctx.Err() == nil {
			a.err = fmt.Errorf("%w: %w", ErrCut, readError(err))
		}
		return a
	}
	a.part = p
	transfer := "lines"
	if resp.ContentLength >= 0 { // net/http ends a body that is shorter with an error
		transfer = "length"
	}
	outcome, placeErr := s.inPlace(f.typ)
	switch {
	case placeErr != nil && isTransient(outcome):
		a.err, a.detail = &transientError{placeErr}, outcomeText(outcome)
	case placeErr != nil:
		a.err, a.detail = placeErr, outcomeText(outcome)
		if codes := issueCodes(outcome); codes != "" {
			a.err = fmt.Errorf("%w (%s)", placeErr, codes)
		}
	case errors.Is(s.problem, r4.ErrTruncated):
		a.err = fmt.Errorf("%w: %w", ErrCut, s.problem)
	case s.problem != nil:
		a.err = fmt.Errorf("%w: %w", ErrDamaged, s.problem)
	default:
		a.checked, a.err = f.compare(s, transfer)
	}
	return a
}

// transientError is a refusal of which the server says that it will pass.
type transientError struct{ err error }

func (e *transientError) Error() string { return e.err.Error() }
func (e *transientError) Unwrap() error { return e.err }

// deadURLError is a refusal that a new reading of the manifest may mend.
type deadURLError struct{ err error }

func (e *deadURLError) Error() string { return e.err.Error() }
func (e *deadURLError) Unwrap() error { return e.err }

// foreign reports a URL of another origin than the FHIR server's.
func (r *runner) foreign(u string) bool {
	a, err := url.Parse(u)
	if err != nil {
		return true
	}
	b, err := url.Parse(r.rec.base)
	return err != nil || a.Scheme != b.Scheme || !strings.EqualFold(a.Host, b.Host)
}

// readError gives a broken transfer a text that quotes nothing of it.
func readError(err error) error {
	for _, known := range []error{fhir.ErrStalled, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			return err
		}
	}
	return errors.New("the transfer ended early")
}

// issueCodes are the issue types of an outcome that stand on FHIR's own list of words.
func issueCodes(o *r4.OperationOutcome) string {
	if o == nil {
		return ""
	}
	var codes []string
	for _, i := range o.Issue {
		if issueTypes[i.Code] {
			codes = append(codes, i.Code)
		}
		if len(codes) == 3 {
			break
		}
	}
	return strings.Join(codes, ", ")
}

// issueTypes is FHIR R4's value set issue-type: another word in its place could be a name.
var issueTypes = func() map[string]bool {
	m := map[string]bool{}
	for c := range strings.FieldsSeq(`invalid structure required value invariant security login unknown expired
		forbidden suppressed processing not-supported duplicate multiple-matches not-found deleted too-long
		code-invalid extension too-costly business-rule conflict transient lock-error no-store exception timeout
		incomplete throttled informational`) {
		m[c] = true
	}
	return m
}()

// meter tells how far a file has come, every few megabytes.
type meter struct {
	w    io.Writer
	n    int64
	told int64
	tell func(int64)
}

func (m *meter) Write(p []byte) (int, error) {
	n, err := m.w.Write(p)
	m.n += int64(n)
	if m.n-m.told >= 4<<20 {
		m.told = m.n
		m.tell(m.n)
	}
	return n, err
}

// weight is what a failed attempt means.
type weight int

const (
	again    weight = iota // it may pass
	missing                // the URL is dead: the manifest may have a new one
	hopeless               // this file will not come
	fatal                  // nothing will
)

func (b *batch) weigh(ctx context.Context, err error) weight {
	fe, isHTTP := errors.AsType[*fhir.Error](err)
	_, passes := errors.AsType[*transientError](err)
	_, dead := errors.AsType[*deadURLError](err)
	switch {
	case ctx.Err() != nil, errors.Is(err, ErrFolder):
		return fatal
	case signIn(err):
		if b.signedIn.Load() {
			return again
		}
		return fatal
	case passes:
		return again
	case dead:
		return missing
	case errors.Is(err, ErrOutcome), errors.Is(err, ErrBomb):
		return hopeless
	case errors.Is(err, ErrCut), errors.Is(err, ErrDamaged), errors.Is(err, ErrCount), errors.Is(err, ErrNotNDJSON):
		return again
	case !isHTTP:
		return again
	case fe.Op == "setup" || fe.Status == http.StatusUnauthorized:
		return fatal // the client has renewed its token already
	case final(err):
		return hopeless
	case fe.Status == http.StatusForbidden, fe.Status == http.StatusNotFound, fe.Status == http.StatusGone:
		return missing
	case fe.Status == 0, fe.Status >= 500, fe.Status == http.StatusTooManyRequests, fe.Status == http.StatusRequestTimeout:
		return again
	}
	return hopeless
}

// commit gives a file its final name and says so in the ledger, in this order.
func (b *batch) commit(ctx context.Context, f *row, a attempt, state FileState) error {
	if err := a.part.sync(); err != nil { // the long part, before others have to wait
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if f.dropped {
		return nil
	}
	if err := a.part.commit(f.name); err != nil {
		return err
	}
	f.keep(a.sums, state, a.checked)
	if a.err != nil {
		f.reason, f.detail = a.err.Error(), a.detail
	}
	if err := b.ledger.saveFile(ctx, b.rec.id, f); err != nil {
		return err
	}
	if b.folder.exists(f.name + damagedExt) {
		if err := b.folder.remove(f.name + damagedExt); err != nil {
			return err
		}
	}
	b.logComplete(f)
	b.emit(Event{Kind: KindFile, File: f.name, Type: f.typ, Bytes: f.bytes, Lines: f.lines, Done: b.done(), Files: len(b.rows)})
	return nil
}

// mismatch keeps a file whose lines are all valid and not as many as announced.
func (b *batch) mismatch(ctx context.Context, f *row, a attempt) error {
	if err := b.commit(ctx, f, a, FileMismatch); err != nil {
		return err
	}
	b.emit(Event{Kind: KindWarning, File: f.name, Type: f.typ, Err: a.err, Text: "kept, but not what the manifest announces"})
	return nil
}

// giveUp leaves a file to the next Run. Bytes that came whole and are damaged are kept beside,
// under a name that no loader takes for data.
func (b *batch) giveUp(ctx context.Context, f *row, a attempt) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if f.dropped {
		return nil
	}
	if a.part != nil && errors.Is(a.err, ErrDamaged) {
		if err := a.part.commit(f.name + damagedExt); err != nil {
			return err
		}
	}
	if f.state != FileMismatch {
		f.state = FileFailed
	}
	f.reason, f.detail = a.err.Error(), a.detail
	if err := b.ledger.saveFile(ctx, b.rec.id, f); err != nil {
		return err
	}
	b.emit(Event{Kind: KindFailed, File: f.name, Type: f.typ, Try: f.tries, Err: &Error{Op: "download", File: f.name, Err: a.err}})
	return nil
}

// stopped puts a file back in the queue that is not to blame.
func (b *batch) stopped(ctx context.Context, f *row, err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if f.state != FileMismatch {
		f.state = FileListed
	}
	if !errors.Is(err, ErrFolder) {
		if serr := b.ledger.saveFile(ctx, b.rec.id, f); serr != nil {
			return serr
		}
	}
	return &Error{Op: "download", File: f.name, Err: err}
}
