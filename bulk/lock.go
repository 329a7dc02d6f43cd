package bulk

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// lock takes the folder for this process, or says who has it. The system gives a lock back
// when its holder dies, whatever way: there is no stale one to clear away.
func (f folder) lock() (release func(), err error) {
	if err := f.step("lock", lockName); err != nil {
		return nil, local(err)
	}
	file, err := os.OpenFile(f.path(lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, local(err)
	}
	if err := tryLock(file); err != nil {
		defer file.Close()
		if !errors.Is(err, errLocked) {
			return nil, local(err)
		}
		busy := &BusyError{}
		if data, err := io.ReadAll(io.LimitReader(file, 1<<10)); err == nil {
			_, _ = fmt.Sscan(string(data), &busy.PID, &busy.Host) // what cannot be read stays unknown
		}
		return nil, busy
	}
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "unknown"
	}
	if err := errors.Join(file.Truncate(0), file.Chmod(0o600)); err != nil {
		file.Close()
		return nil, local(err)
	}
	if _, err := fmt.Fprintf(file, "%d %s\n", os.Getpid(), host); err != nil {
		file.Close()
		return nil, local(err)
	}
	return func() { file.Close() }, nil
}

var errLocked = errors.New("locked")
