//go:build !unix

package bulk

import (
	"errors"
	"os"
)

// tryLock fails where there is no lock that dies with its holder and no sync of a folder:
// better no export than two in one folder.
func tryLock(*os.File) error {
	return errors.New("exports need a POSIX system")
}
