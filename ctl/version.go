package ctl

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

type versionView struct {
	Version     string `json:"version"`
	Revision    string `json:"revision"`
	Modified    bool   `json:"modified"` // built from a tree with uncommitted changes
	CommittedAt string `json:"committed_at"`
	Go          string `json:"go"`
	Platform    string `json:"platform"`
}

func (t *tool) version() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Long:  `version tells which source this program was built from.`,
		Example: `  ticketctl version
  ticketctl version --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := buildVersion()
			if t.wantsJSON(cmd) {
				return printJSON(t.env.Stdout, v)
			}
			modified := ""
			if v.Modified {
				modified = ", modified"
			}
			fmt.Fprintf(t.env.Stdout, "ticketctl %s (revision %s%s, %s, %s)\n", v.Version, v.Revision, modified, v.Go, v.Platform)
			return nil
		},
	}
}

// buildVersion reads what the Go linker put into the program.
func buildVersion() versionView {
	v := versionView{Version: "unknown", Revision: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			v.Revision = setting.Value
		case "vcs.modified":
			v.Modified = setting.Value == "true"
		case "vcs.time":
			v.CommittedAt = setting.Value
		}
	}
	return v
}
