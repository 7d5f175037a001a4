package ctl

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"
)

func (t *tool) completion() *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Print a completion script for a shell",
		Long: `completion prints a script that teaches a shell to complete ticketctl's commands and flags, and the names of events by asking
core for them.`,
		Example: `  # bash, for this session or for good
  source <(ticketctl completion bash)
  ticketctl completion bash > /etc/bash_completion.d/ticketctl

  # zsh
  ticketctl completion zsh > "${fpath[1]}/_ticketctl"

  # fish
  ticketctl completion fish > ~/.config/fish/completions/ticketctl.fish`,
		Args:                  cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs:             []string{"bash", "zsh", "fish", "powershell"},
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			root, out := cmd.Root(), t.env.Stdout
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(out, true)
			case "zsh":
				return root.GenZshCompletion(out)
			case "fish":
				return root.GenFishCompletion(out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(out)
			}
			return usagef("there is no completion for %q", args[0])
		},
	}
}

// completeEvents offers the events there are. A shell waits for it, so it gives up soon and quietly.
func (t *tool) completeEvents(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	const none = cobra.ShellCompDirectiveNoFileComp
	if len(args) > 0 {
		return nil, none
	}
	c, err := t.client(cmd)
	if err != nil {
		return nil, none
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	found, err := c.list(ctx, path("events"), "events", url.Values{}, 500)
	if err != nil {
		return nil, none
	}
	var names []string
	for _, raw := range found.items {
		var e eventView
		if json.Unmarshal(raw, &e) == nil && len(e.ID) >= len(typed) && e.ID[:len(typed)] == typed {
			names = append(names, fmt.Sprintf("%s\t%s", e.ID, oneLine(e.Name)))
		}
	}
	return names, none
}
