package sim

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
)

// load fills the store from Data or from the generated population.
func (s *Server) load() error {
	st := newStore()
	var err error
	if s.Data != "" {
		err = st.readFolder(s.Data, s.TempDir)
	} else {
		err = s.generate(st)
	}
	if err == nil && len(st.patients) == 0 {
		err = errNoPatients
	}
	if err != nil {
		return errors.Join(err, st.close())
	}
	s.store = st
	return nil
}

// folderFile is one file of Data with what was found in it.
type folderFile struct {
	path    string
	segment *os.File
	lines   []lineAt
	names   map[string]string
	err     error
}

type lineAt struct {
	found
	offset int64
	length int
}

// readFolder reads every *.ndjson and *.ndjson.gz of a folder, in the order of their names.
// Files are read in place; packed ones are unpacked into a file without a name, so that
// memory holds the index alone.
func (st *store) readFolder(dir, temp string) error {
	names, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("sim: data: %w", err)
	}
	var files []*folderFile
	for _, n := range names {
		name := n.Name()
		// log.ndjson is the log that an export leaves beside its data.
		if n.IsDir() || name == "log.ndjson" || !strings.HasSuffix(name, ".ndjson") && !strings.HasSuffix(name, ".ndjson.gz") {
			continue
		}
		files = append(files, &folderFile{path: filepath.Join(dir, name)})
	}
	if len(files) == 0 {
		return fmt.Errorf("sim: data: no .ndjson or .ndjson.gz file in %s", dir)
	}
	if len(files) > math.MaxUint16 {
		return fmt.Errorf("sim: data: %d files in %s are too many", len(files), dir)
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, max(1, runtime.GOMAXPROCS(0)))
	for _, f := range files {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			f.err = f.read(temp)
		})
	}
	wg.Wait()
	for i, f := range files {
		if f.segment != nil {
			st.closers = append(st.closers, f.segment)
			st.segments = append(st.segments, f.segment)
		}
		if f.err != nil {
			return f.err
		}
		if len(st.entries)+len(f.lines) > math.MaxInt32 {
			return errors.New("sim: data: more resources than the index can hold")
		}
		for _, l := range f.lines {
			st.put(l.found, i, l.offset, l.length)
		}
		f.lines = nil
	}
	return nil
}

func (f *folderFile) read(temp string) error {
	file, err := os.Open(f.path)
	if err != nil {
		return fmt.Errorf("sim: data: %w", err)
	}
	if !strings.HasSuffix(f.path, ".gz") {
		f.segment = file
		return f.index(file, nil)
	}
	defer func() { _ = file.Close() }()
	packed, err := gzip.NewReader(bufio.NewReaderSize(file, 1<<18))
	if err != nil {
		return fmt.Errorf("sim: data: %s: %w", filepath.Base(f.path), err)
	}
	if f.segment, err = os.CreateTemp(temp, "andiron-sim-*"); err != nil {
		return fmt.Errorf("sim: data: %w", err)
	}
	_ = os.Remove(f.segment.Name()) // the open file is enough, and nothing is left behind
	spool := bufio.NewWriterSize(f.segment, 1<<20)
	if err := f.index(packed, spool); err != nil {
		return err
	}
	if err := spool.Flush(); err != nil {
		return fmt.Errorf("sim: data: %w", err)
	}
	return nil
}

// index notes each line of r, and copies what it reads to spool if there is one.
func (f *folderFile) index(r io.Reader, spool io.Writer) error {
	in := bufio.NewReaderSize(r, 1<<20)
	var offset int64
	var long []byte
	for number := 1; ; number++ {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			long = append(long[:0], line...)
			for errors.Is(err, bufio.ErrBufferFull) {
				line, err = in.ReadSlice('\n')
				long = append(long, line...)
			}
			line = long
		}
		if err != nil && err != io.EOF {
			return fmt.Errorf("sim: data: %s: %w", filepath.Base(f.path), err)
		}
		if spool != nil {
			if _, err := spool.Write(line); err != nil {
				return fmt.Errorf("sim: data: %w", err)
			}
		}
		if e := f.line(line, offset, number); e != nil {
			return e
		}
		offset += int64(len(line))
		if err == io.EOF {
			return nil
		}
	}
}

func (f *folderFile) line(line []byte, offset int64, number int) error {
	if number == 1 && bytes.HasPrefix(line, []byte("\xef\xbb\xbf")) {
		line, offset = line[3:], offset+3
	}
	text := bytes.TrimRight(line, "\r\n")
	if len(bytes.TrimSpace(text)) == 0 {
		return nil
	}
	what, err := scan(text)
	switch {
	case err != nil:
	case what.typ == "":
		err = errors.New("no resourceType")
	case what.id == "":
		err = errors.New("no id")
	case len(text) > math.MaxUint32:
		err = errors.New("longer than 4 GB")
	}
	if err != nil {
		return fmt.Errorf("sim: data: %s line %d: %w", filepath.Base(f.path), number, err)
	}
	if f.names == nil {
		f.names = map[string]string{}
	}
	if name, ok := f.names[what.patient]; ok {
		what.patient = name // one copy for all that belongs to a patient
	} else {
		f.names[what.patient] = what.patient
	}
	f.lines = append(f.lines, lineAt{what, offset, len(text)})
	return nil
}
