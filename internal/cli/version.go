package cli

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func (a *app) versionCmd() *cobra.Command {
	return &cobra.Command{
		Use: "version", GroupID: "run",
		Short:       "Which andiron this is",
		Long:        `Prints the version, the commit it was built from, and the Go version.`,
		Annotations: map[string]string{"settings": "lenient"},
		Args:        a.arguments(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			v := buildVersion()
			t := table{columns: []string{"version", "commit", "go", "platform"}}
			t.add(v.Version, v.Commit, v.Go, v.Platform)
			return a.emit(t, v, nil)
		},
	}
}

type versionJSON struct {
	Version  string `json:"version"`
	Commit   string `json:"commit"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func buildVersion() versionJSON {
	v := versionJSON{Version: "devel", Commit: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" && info.Main.Version != "(devel)" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v.Commit = s.Value[:min(12, len(s.Value))]
		}
	}
	return v
}
