package lake

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// folder is what lies in a directory of NDJSON and what its manifest says about it.
type folder struct {
	dir             string // absolute
	source          string // FHIR base URL from the manifest's request; "" without one
	transactionTime time.Time
	files           []*dataFile // in the order in which they are loaded: data, then deletions
	notes           []string
	wrong           []error // each wraps ErrUnfinished or ErrMismatch
}

// dataFile is one NDJSON file, plain or gzip.
type dataFile struct {
	name    string // within the folder, slashes
	path    string
	deleted bool // Bundles of deletions, not resources

	size   int64
	sha256 string // of the bytes on disk

	wantSHA256 string // from the manifest; "" when it names none
	wantLines  int64  // from the manifest; -1 when it names none
}

// manifest is the part of a bulk export's manifest that matters here (Bulk Data Access, Output
// Manifest), with the file names, sizes, hashes and completeness that a downloader adds. Other
// members are left alone.
type manifest struct {
	TransactionTime string         `json:"transactionTime"`
	Request         string         `json:"request"`
	Output          []manifestFile `json:"output"`
	Deleted         []manifestFile `json:"deleted"`
	Error           []manifestFile `json:"error"` // OperationOutcomes about the export
	Complete        *bool          `json:"complete"`
}

type manifestFile struct {
	Type   string   `json:"type"`
	File   string   `json:"file"`
	Count  looseInt `json:"count"`
	SHA256 string   `json:"sha256"`
}

// looseInt is a number that some servers write as a string.
type looseInt struct {
	n   int64
	set bool
}

// UnmarshalJSON takes a number or a text with a number in it.
func (l *looseInt) UnmarshalJSON(b []byte) error {
	n, err := strconv.ParseInt(strings.Trim(string(b), `"`), 10, 64)
	if err == nil {
		*l = looseInt{n, true}
	}
	return nil // a count that is no number is no count
}

// readFolder lists a folder, reads its manifest when it has one, and hashes every file.
func readFolder(dir string) (*folder, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	f := &folder{dir: abs}
	entries, err := os.ReadDir(abs)
	if err != nil {
		return nil, err
	}
	names, hasManifest, err := f.list(entries)
	if err != nil {
		return nil, err
	}
	if hasManifest {
		m, err := readManifest(filepath.Join(abs, "manifest.json"))
		if err != nil {
			return nil, fmt.Errorf("manifest.json: %w", err)
		}
		f.apply(m, names)
	} else {
		for _, n := range names {
			f.add(n, strings.HasPrefix(n, "deleted/"), manifestFile{})
		}
		if len(f.files) == 0 {
			return nil, ErrEmpty
		}
		f.note("no manifest.json: nothing says whether files are missing or cut short between two lines")
	}
	for _, d := range f.files {
		if err := d.check(); err != nil {
			if !errors.Is(err, ErrMismatch) {
				return nil, err
			}
			f.wrong = append(f.wrong, fmt.Errorf("%s: %w", d.name, err))
		}
	}
	return f, nil
}

// list finds the NDJSON files, data first and deletions last, each in the order of their names.
func (f *folder) list(entries []fs.DirEntry) (names []string, hasManifest bool, err error) {
	var deleted []string
	for _, e := range entries {
		n := e.Name()
		switch {
		case n == "manifest.json":
			hasManifest = true
		case temporary(n):
		case e.IsDir() && n == "deleted":
			inner, err := os.ReadDir(filepath.Join(f.dir, n))
			if err != nil {
				return nil, false, err
			}
			for _, e := range inner {
				switch {
				case temporary(e.Name()):
				case isNDJSON(e.Name()) && regular(filepath.Join(f.dir, n, e.Name())):
					deleted = append(deleted, path.Join(n, e.Name()))
				default:
					f.note("%s ignored: not NDJSON", path.Join(n, e.Name()))
				}
			}
		case e.IsDir():
			f.note("%s/ ignored: a folder", n)
		case n == "log.ndjson":
			// The export's own log, which holds no resources.
		case isNDJSON(n) && regular(filepath.Join(f.dir, n)):
			names = append(names, n)
		default:
			f.note("%s ignored: not NDJSON", n)
		}
	}
	return append(names, deleted...), hasManifest, nil
}

func temporary(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".part") || strings.HasSuffix(name, ".tmp")
}

// regular follows links: a pipe that is named like a file would be waited for without end.
func regular(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

func isNDJSON(name string) bool {
	name = strings.ToLower(name)
	return strings.HasSuffix(name, ".ndjson") || strings.HasSuffix(name, ".ndjson.gz")
}

func readManifest(name string) (*manifest, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	m := new(manifest)
	if err := json.Unmarshal(b, m); err != nil {
		return nil, err
	}
	return m, nil
}

// apply takes the files that the manifest names, in its order.
func (f *folder) apply(m *manifest, names []string) {
	f.source = baseURL(m.Request)
	if t, ok := earliest(m.TransactionTime); ok {
		f.transactionTime = t.UTC()
	}
	if m.Complete != nil && !*m.Complete {
		f.wrong = append(f.wrong, ErrUnfinished)
	}
	listed := map[string]bool{}
	take := func(l []manifestFile, deleted bool) {
		for _, mf := range l {
			name := path.Clean(filepath.ToSlash(mf.File))
			if mf.File == "" || listed[name] {
				continue
			}
			if !fs.ValidPath(name) {
				f.note("a file outside the folder ignored")
				continue
			}
			listed[name] = true
			if !slices.Contains(names, name) {
				if !regular(filepath.Join(f.dir, filepath.FromSlash(name))) {
					f.wrong = append(f.wrong, fmt.Errorf("%w: %s is missing", ErrUnfinished, name))
					continue
				}
			}
			f.add(name, deleted, mf)
		}
	}
	take(m.Output, false)
	take(m.Deleted, true)
	for _, mf := range m.Error {
		if name := path.Clean(filepath.ToSlash(mf.File)); slices.Contains(names, name) && !listed[name] {
			listed[name] = true
			f.note("%s holds what the server says about the export, not resources", name)
		}
	}
	if len(listed) == 0 && len(m.Output)+len(m.Deleted) > 0 {
		// A manifest as the server sent it, with URLs and no file names: take what lies here.
		for _, n := range names {
			f.add(n, strings.HasPrefix(n, "deleted/"), manifestFile{})
		}
		f.note("manifest.json names no files: all NDJSON files of the folder are taken")
		return
	}
	for _, n := range names {
		if !listed[n] {
			f.note("%s ignored: not in manifest.json", n)
		}
	}
}

func (f *folder) add(name string, deleted bool, mf manifestFile) {
	d := &dataFile{
		name: name, path: filepath.Join(f.dir, filepath.FromSlash(name)), deleted: deleted,
		wantSHA256: strings.ToLower(mf.SHA256), wantLines: -1,
	}
	if mf.Count.set && !deleted {
		d.wantLines = mf.Count.n
	}
	f.files = append(f.files, d)
}

func (f *folder) note(format string, args ...any) {
	f.notes = append(f.notes, fmt.Sprintf(format, args...))
}

// baseURL is the FHIR base behind a kick-off URL, without the query, which may hold anything.
func baseURL(request string) string {
	u, err := url.Parse(request)
	if err != nil || u.Host == "" {
		return ""
	}
	p := u.Path
	if i := strings.Index(p, "/$"); i >= 0 {
		p = p[:i]
		if dir, last := path.Split(p); last == "Patient" {
			p = dir
		} else if d, kind := path.Split(strings.TrimSuffix(dir, "/")); kind == "Group" {
			p = d
		}
	}
	return u.Scheme + "://" + u.Host + strings.TrimRight(p, "/")
}

// check hashes the file and compares it with what the manifest says. The hash in a manifest may be
// that of the file or, when it is compressed, of its content.
func (d *dataFile) check() error {
	file, err := os.Open(d.path)
	if err != nil {
		return err
	}
	defer file.Close()
	h := sha256.New()
	if d.size, err = io.Copy(h, file); err != nil {
		return err
	}
	d.sha256 = hexSum(h)
	if d.wantSHA256 == "" || d.wantSHA256 == d.sha256 {
		return nil
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	content, compressed, err := plain(file)
	if err == nil && compressed {
		h.Reset()
		if _, err = io.Copy(h, content); err == nil && hexSum(h) == d.wantSHA256 {
			return nil
		}
	}
	return ErrMismatch
}

// open returns the content, uncompressed, and verify, which tells after the last byte whether the
// file is still the one that was checked.
func (d *dataFile) open() (content io.Reader, verify func() error, closer io.Closer, err error) {
	file, err := os.Open(d.path)
	if err != nil {
		return nil, nil, nil, err
	}
	h := sha256.New()
	raw := io.TeeReader(file, h)
	content, _, err = plain(raw)
	if err != nil {
		return nil, nil, nil, errors.Join(err, file.Close())
	}
	verify = func() error {
		if _, err := io.Copy(io.Discard, raw); err != nil {
			return err
		}
		if hexSum(h) != d.sha256 {
			return errors.New("changed while it was read")
		}
		return nil
	}
	return content, verify, file, nil
}

// plain uncompresses what starts as gzip does, whatever its name.
func plain(r io.Reader) (content io.Reader, compressed bool, err error) {
	b := bufio.NewReaderSize(r, 1<<16)
	magic, err := b.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false, err
	}
	if !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return b, false, nil
	}
	z, err := gzip.NewReader(b)
	if err != nil {
		return nil, true, err
	}
	return z, true, nil
}

func hexSum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }
