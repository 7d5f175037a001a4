package ctl

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

type verdictView struct {
	ID          string  `json:"id"`
	At          instant `json:"at"`
	Event       string  `json:"event"`
	Entrant     string  `json:"entrant"`
	Device      string  `json:"device"`
	Network     string  `json:"network"`
	NetworkHash string  `json:"network_hash"`
	Place       string  `json:"place"`
	Answer      string  `json:"answer"`
	By          string  `json:"by"`
	Score       float64 `json:"score"`
	Level       string  `json:"level"`
	Reasons     []struct {
		Signal string  `json:"signal"`
		Points float64 `json:"points"`
		Said   string  `json:"said"`
	} `json:"reasons"`
}

// outcome is the answer of a verdict in words.
func (v verdictView) outcome() string {
	switch v.Answer {
	case "asked":
		return "asked for " + v.By
	case "cleared":
		return "cleared by " + v.By
	case "noted":
		return "noted, nothing done"
	case "slowed":
		return "slowed, told to " + v.By
	}
	return v.Answer
}

func (v verdictView) signals() string {
	names := make([]string, len(v.Reasons))
	for i, r := range v.Reasons {
		names[i] = oneLine(r.Signal)
	}
	return strings.Join(names, ", ")
}

func (t *tool) guard() *cobra.Command {
	return group("guard", "What the filter decided about whom, and why", `  ticketctl guard list --event arena --answer denied
  ticketctl guard explain 00112233445566778899aabbccddeeff
  ticketctl guard lift 00112233445566778899aabbccddeeff --reason "wrote to us; a person"`, t.guardList(), t.guardExplain(), t.guardLift())
}

func (t *tool) guardList() *cobra.Command {
	var event, answer string
	var limit int
	cmd := &cobra.Command{
		Use:   "list --event EVENT",
		Short: "List the filter's verdicts on an event",
		Long: `list shows the filter's verdicts, the newest first. Of an entrant the same verdict is recorded once in ten minutes. Joins that looked
odd are noted and nothing is done; when they are called they are asked for something, cleared by it, or denied. Accounts that take
something outside the waiting room too fast, or hold and let go, are slowed.`,
		Example: `  ticketctl guard list --event arena
  ticketctl guard list --event arena --answer denied --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 {
				return usagef("--limit must be 1 or more")
			}
			if answer != "" && !slices.Contains([]string{"noted", "asked", "cleared", "denied", "slowed"}, answer) {
				return usagef("--answer must be noted, asked, cleared, denied or slowed")
			}
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			query := url.Values{}
			if answer != "" {
				query.Set("answer", answer)
			}
			found, err := c.list(cmd.Context(), path("events", event, "guard"), "verdicts", query, limit)
			if err != nil {
				return err
			}
			return showList(t, cmd, "verdicts", found, []any{"AT", "ENTRANT", "ANSWER", "SCORE", "NETWORK", "SIGNALS"}, func(out *table, v verdictView) {
				out.row(v.At, oneLine(v.Entrant), oneLine(v.outcome()), fmt.Sprintf("%.0f", v.Score), oneLine(v.Network), v.signals())
			})
		},
	}
	cmd.Flags().StringVar(&event, "event", "", "the event")
	cmd.Flags().StringVar(&answer, "answer", "", "only these: noted, asked, cleared, denied or slowed")
	cmd.Flags().IntVar(&limit, "limit", 100, "most entries to show")
	if err := cmd.MarkFlagRequired("event"); err != nil {
		panic(err) // the flag stands above
	}
	_ = cmd.RegisterFlagCompletionFunc("event", t.completeEvents)
	return cmd
}

func (t *tool) guardExplain() *cobra.Command {
	return &cobra.Command{
		Use:   "explain ENTRANT",
		Short: "Say everything the filter decided about an entrant, and why",
		Long: `explain shows each verdict on an entrant with the signals it is made of and what each counts. No single signal decides: it takes two
to be asked for anything, and four of two kinds to be denied. What is known of where the entrant came from is the network's prefix
(/24, or /48 of IPv6), never an address; its hash is what "ticketctl ban add network" takes. Who is slowed
outside the waiting room is so by any one of its limits, and for a while.`,
		Example: `  ticketctl guard explain 00112233445566778899aabbccddeeff`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			answer, err := c.get(cmd.Context(), path("guard", args[0]), nil)
			if err != nil {
				return err
			}
			var found struct {
				Entrant  string        `json:"entrant"`
				Verdicts []verdictView `json:"verdicts"`
				Lift     *struct {
					Reason string  `json:"reason"`
					Actor  string  `json:"actor"`
					At     instant `json:"at"`
				} `json:"lift"`
			}
			return t.show(cmd, answer, &found, func(out *table) {
				if l := found.Lift; l != nil {
					out.line("lifted %v by %s: %s", l.At, oneLine(l.Actor), oneLine(l.Reason))
				}
				for _, v := range found.Verdicts {
					out.line("%v  %s, at the %s of %s: %.0f points, level %s", v.At, oneLine(v.outcome()), oneLine(v.Place), oneLine(v.Event), v.Score, oneLine(v.Level))
					for _, r := range v.Reasons {
						out.line("  %4.0f  %s", r.Points, oneLine(r.Said))
					}
					out.line("        device %s, network %s (%s)", oneLine(v.Device), oneLine(v.Network), oneLine(v.NetworkHash))
				}
			})
		},
	}
}

func (t *tool) guardLift() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "lift ENTRANT --reason TEXT",
		Short: "Let an entrant pass the filter",
		Long: `lift lets an entrant pass the filter from now on, on every edge within seconds, whatever it makes of them. Their place is what it was.
The verdicts stay on record, and so does the reason. It does not lift bans: see "ticketctl ban lift".`,
		Example: `  ticketctl guard lift 00112233445566778899aabbccddeeff --reason "wrote to us; a person"`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			answer, err := c.post(cmd.Context(), path("guard", args[0], "lift"), map[string]string{"reason": reason})
			if err != nil {
				return err
			}
			var done struct {
				Entrant string `json:"entrant"`
			}
			return t.show(cmd, answer, &done, func(out *table) { out.line("%s passes the filter from now on", oneLine(done.Entrant)) })
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for whoever asks later")
	if err := cmd.MarkFlagRequired("reason"); err != nil {
		panic(err) // the flag stands above
	}
	return cmd
}
