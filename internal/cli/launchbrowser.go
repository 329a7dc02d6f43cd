package cli

import (
	"context"
	"errors"
	"os/exec"
	"runtime"
	"strings"
)

// browse opens an address: with $BROWSER, or the way of the system.
func (a *app) browse(ctx context.Context, address string) error {
	var tries [][]string
	if words := strings.Fields(a.getenv("BROWSER")); len(words) > 0 {
		tries = append(tries, words)
	} else if runtime.GOOS == "darwin" {
		tries = append(tries, []string{"open"})
	} else {
		tries = append(tries, []string{"xdg-open"}, []string{"open"})
	}
	err := errors.New("there is none")
	for _, words := range tries {
		path, lookErr := exec.LookPath(words[0])
		if lookErr != nil {
			continue
		}
		cmd := exec.CommandContext(context.WithoutCancel(ctx), path, append(words[1:], address)...) //nolint:gosec // the user's own browser
		if err = cmd.Start(); err == nil {
			go func() { _ = cmd.Wait() }()
			return nil
		}
	}
	return err
}
