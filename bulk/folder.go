package bulk

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Names in the folder that are ours.
const (
	manifestName = "manifest.json"
	logName      = "log.ndjson"
	ledgerName   = "ledger.db"
	lockName     = ".lock"
	nextLogName  = ".log.ndjson" // the log of a run whose predecessor's files are still in place
	damagedExt   = ".damaged"
	partExt      = ".part"
	probeName    = ".probe"
	errorDir     = "error"
	deletedDir   = "deleted"
)

// dataName is the form of the names that this package gives to data files.
var dataName = regexp.MustCompile(`^\d{3,}\.[A-Z][A-Za-z]*\.ndjson(\.damaged)?$`)

// folder is every change to the file system, in one place: the order of its steps is what
// makes a run resumable, and a test stops it at each of them.
type folder struct {
	dir string
	// hook is called before each step that changes anything. Tests kill the process there,
	// or make the step fail. Nil does nothing.
	hook func(op, name string) error
}

func (f folder) path(name string) string { return filepath.Join(f.dir, filepath.FromSlash(name)) }

func (f folder) step(op, name string) error {
	if f.hook == nil {
		return nil
	}
	return f.hook(op, name)
}

// folderError marks a failure of the local disk: no repetition of a request mends it.
type folderError struct{ err error }

func (e *folderError) Error() string { return ErrFolder.Error() + ": " + reason(e.err) }
func (e *folderError) Unwrap() []error {
	return []error{ErrFolder, e.err}
}

// reason is the system's word without the path, which may name a place or a person.
func reason(err error) string {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err.Error()
	}
	if le, ok := errors.AsType[*os.LinkError](err); ok {
		return le.Err.Error()
	}
	return err.Error()
}

func local(err error) error {
	if err == nil {
		return nil
	}
	return &folderError{err}
}

// prepare makes the folder if need be and shows that it can be written: before a kick-off
// uses up the one export of the day.
func (f folder) prepare() error {
	if err := f.step("mkdir", ""); err != nil {
		return local(err)
	}
	_, err := os.Stat(f.dir)
	made := errors.Is(err, fs.ErrNotExist)
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return local(err)
	}
	if made {
		if err := os.Chmod(f.dir, 0o700); err != nil { // whatever the umask took away
			return local(err)
		}
		if err := syncPath(filepath.Dir(f.dir)); err != nil {
			return local(err)
		}
	}
	return nil
}

// probe writes and removes a file of some size.
func (f folder) probe() error {
	p, err := f.create(probeName)
	if err != nil {
		return err
	}
	defer p.discard()
	if _, err := p.Write(make([]byte, 1<<20)); err != nil {
		return err
	}
	return p.sync()
}

// mkdir makes a folder below.
func (f folder) mkdir(name string) error {
	if err := f.step("mkdir", name); err != nil {
		return local(err)
	}
	err := os.Mkdir(f.path(name), 0o700)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err == nil {
		err = os.Chmod(f.path(name), 0o700)
	}
	if err == nil {
		err = syncPath(f.dir)
	}
	return local(err)
}

// part is a file that is being written under a temporary name.
type part struct {
	f    folder
	name string
	file *os.File
	buf  *bufio.Writer
	kept bool
}

// partName is the temporary name of a file that will be called name.
func partName(name string) string {
	dir, base := "", name
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		dir, base = name[:i+1], name[i+1:]
	}
	return dir + "." + base + partExt
}

// create opens a temporary file, emptied if it was there.
func (f folder) create(name string) (*part, error) {
	if err := f.step("create", name); err != nil {
		return nil, local(err)
	}
	// What a killed run left is removed, not opened: it might be a link.
	if err := os.Remove(f.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, local(err)
	}
	file, err := os.OpenFile(f.path(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, local(err)
	}
	p := &part{f: f, name: name, file: file}
	p.buf = bufio.NewWriterSize(writeSteps{p}, 256<<10)
	if err := file.Chmod(0o600); err != nil {
		p.discard()
		return nil, local(err)
	}
	return p, nil
}

// writeSteps counts each write that reaches the file system.
type writeSteps struct{ p *part }

func (w writeSteps) Write(b []byte) (int, error) {
	if err := w.p.f.step("write", w.p.name); err != nil {
		return 0, err
	}
	return w.p.file.Write(b)
}

func (p *part) Write(b []byte) (int, error) {
	n, err := p.buf.Write(b)
	return n, local(err)
}

func (p *part) sync() error {
	if err := p.buf.Flush(); err != nil {
		return local(err)
	}
	if err := p.f.step("sync", p.name); err != nil {
		return local(err)
	}
	return local(p.file.Sync())
}

// commit gives the file its final name: contents first, then the name, then the folder that
// holds the name.
func (p *part) commit(name string) error {
	if err := p.sync(); err != nil {
		return err
	}
	if err := p.file.Close(); err != nil {
		return local(err)
	}
	if err := p.f.rename(p.name, name); err != nil {
		return err
	}
	p.kept = true
	return p.f.syncDir(name)
}

// discard removes the temporary file. It does nothing after commit.
func (p *part) discard() {
	if p.kept {
		return
	}
	p.file.Close()
	if p.f.step("remove", p.name) == nil {
		os.Remove(p.f.path(p.name))
	}
}

func (f folder) rename(from, to string) error {
	if err := f.step("rename", to); err != nil {
		return local(err)
	}
	return local(os.Rename(f.path(from), f.path(to)))
}

// syncDir makes the names in the folder of name durable.
func (f folder) syncDir(name string) error {
	if err := f.step("syncdir", name); err != nil {
		return local(err)
	}
	return local(syncPath(filepath.Dir(f.path(name))))
}

func (f folder) remove(name string) error {
	if err := f.step("remove", name); err != nil {
		return local(err)
	}
	if err := os.Remove(f.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return local(err)
	}
	return nil
}

func (f folder) exists(name string) bool {
	_, err := os.Lstat(f.path(name))
	return err == nil
}

// writeAtomic replaces a small file as a whole.
func (f folder) writeAtomic(name string, data []byte) error {
	p, err := f.create(partName(name))
	if err != nil {
		return err
	}
	defer p.discard()
	if _, err := p.Write(data); err != nil {
		return err
	}
	return p.commit(name)
}

// appendLine adds one line to a file. A line that a kill cut short is closed first, so that
// no two records share a line.
func (f folder) appendLine(name string, line []byte) error {
	if err := f.step("append", name); err != nil {
		return local(err)
	}
	file, err := os.OpenFile(f.path(name), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return local(err)
	}
	defer file.Close()
	if err := file.Chmod(0o600); err != nil {
		return local(err)
	}
	if end, err := file.Seek(0, io.SeekEnd); err == nil && end > 0 {
		var last [1]byte
		if _, err := file.ReadAt(last[:], end-1); err == nil && last[0] != '\n' {
			line = append([]byte{'\n'}, line...)
		}
	}
	_, err = file.Write(append(bytes.Clone(line), '\n'))
	return local(err)
}

// dataFiles are the names of the data files in place, those of a run and those of others,
// with the folders error and deleted if they are there.
func (f folder) dataFiles() (ours, others []string, err error) {
	entries, err := os.ReadDir(f.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, local(err)
	}
	for _, e := range entries {
		name := e.Name()
		switch {
		case e.IsDir() && (name == errorDir || name == deletedDir):
			ours = append(ours, name)
		case e.IsDir() || strings.HasPrefix(name, "."):
		case dataName.MatchString(name):
			ours = append(ours, name)
		case name == manifestName || name == logName || strings.HasPrefix(name, ledgerName):
		case looksLikeData(name):
			others = append(others, name)
		}
	}
	return ours, others, nil
}

// sweep removes the temporary files that a killed run left.
func (f folder) sweep() error {
	for _, sub := range []string{"", errorDir + "/", deletedDir + "/"} {
		entries, err := os.ReadDir(f.path(sub))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return local(err)
		}
		for _, e := range entries {
			if name := e.Name(); name == probeName || strings.HasPrefix(name, ".") && strings.HasSuffix(name, partExt) {
				if err := f.remove(sub + name); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// looksLikeData reports a name that a loader might take for data.
func looksLikeData(name string) bool {
	name = strings.TrimSuffix(strings.ToLower(name), ".gz")
	for _, ext := range []string{".ndjson", ".jsonl", ".json"} {
		if strings.HasSuffix(name, ext) {
			return true
		}
	}
	return false
}

func syncPath(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
