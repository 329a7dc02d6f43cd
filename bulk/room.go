package bulk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// makeRoom prepares the folder for the files of this run, before the first one has a name.
// The files of the run before move to previous-NNN. From here on manifest.json says that the
// folder is not complete, until it is.
//
// Each step may be the last one before a kill: all of them are repeated by the next Run, and
// what is done already is skipped.
func (r *runner) makeRoom(ctx context.Context) error {
	prev, err := r.placedBefore(ctx)
	if err != nil {
		return err
	}
	if prev == 0 {
		prev = r.rec.id - 1 // it left no files, only its log
	}
	var past string
	if prev != 0 {
		past = fmt.Sprintf("previous-%03d", prev)
		if err := r.folder.mkdir(past); err != nil {
			return err
		}
		// A copy, not a move: the folder is never without a manifest that tells the truth.
		if !r.folder.exists(past + "/" + manifestName) {
			data, err := os.ReadFile(r.folder.path(manifestName))
			if err == nil {
				err = r.folder.writeAtomic(past+"/"+manifestName, data)
			} else if errors.Is(err, fs.ErrNotExist) {
				err = nil
			}
			if err != nil {
				return local(err)
			}
		}
	}
	rows, err := r.ledger.files(ctx, r.rec.id)
	if err != nil {
		return err
	}
	res, err := r.result(rows)
	if err != nil {
		return err
	}
	res.Complete = false // not even when there is nothing to come
	if err := r.writeManifest(&res.Manifest); err != nil {
		return err
	}
	if prev != 0 {
		ours, _, err := r.folder.dataFiles()
		if err != nil {
			return err
		}
		for _, name := range ours {
			if err := r.folder.rename(name, past+"/"+name); err != nil {
				return err
			}
		}
		if r.folder.exists(nextLogName) {
			if r.folder.exists(logName) && !r.folder.exists(past+"/"+logName) {
				if err := r.folder.rename(logName, past+"/"+logName); err != nil {
					return err
				}
			}
			if err := r.folder.rename(nextLogName, logName); err != nil {
				return err
			}
		}
		if err := errors.Join(r.folder.syncDir(past+"/x"), r.folder.syncDir("x")); err != nil {
			return err
		}
	}
	r.rec.placed = true
	return r.ledger.save(ctx, r.rec)
}

// placedBefore is the run whose files lie in the folder; 0 if there are none.
func (r *runner) placedBefore(ctx context.Context) (int, error) {
	runs, err := r.ledger.runs(ctx)
	if err != nil {
		return 0, err
	}
	var id int
	for _, p := range runs {
		if p.placed && p.id != r.rec.id {
			id = p.id
		}
	}
	return id, nil
}
