package ctl

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
)

// banKinds are what a ban can name, with the length of its subject in hex digits.
var banKinds = []string{"device\t32 hex digits", "network\t16 hex digits", "entrant\t32 hex digits", "account\t32 hex digits", "card\tthe provider's fingerprint, or 32 hex digits"}

type banView struct {
	Kind      string  `json:"kind"`
	Subject   string  `json:"subject"`
	Reason    string  `json:"reason"`
	Actor     string  `json:"actor"`
	CreatedAt instant `json:"created_at"`
	LiftedAt  instant `json:"lifted_at"`
}

func (t *tool) ban() *cobra.Command {
	return group("ban", "Exclude devices, networks, entrants, accounts and cards", `  ticketctl ban add network 9f86d081884c7d65 --reason "resale farm"
  ticketctl ban list
  ticketctl ban lift network 9f86d081884c7d65`, t.banAdd(), t.banList(), t.banLift())
}

const banSubjects = `A subject is one of
  device   32 hex digits, the hash of a browser's secret
  network  16 hex digits, the hash of an address or of its network
  entrant  32 hex digits, as receipts and the transcript have it
  account  32 hex digits, the account's id without dashes; at every event
  card     the provider's fingerprint of a card, or the 32 hex digits of its keyed hash, which is all that core keeps; payments
           with it are denied`

func (t *tool) banAdd() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "add KIND SUBJECT --reason TEXT",
		Short: "Exclude one",
		Long: `add excludes a device, a network, an entrant, an account or a card on all edges, within seconds. It does not reorder the draw: whoever is
excluded keeps the place, and is refused when it comes up. The reason is kept.

` + banSubjects,
		Example: `  ticketctl ban add network 9f86d081884c7d65 --reason "resale farm"
  ticketctl ban add entrant 00112233445566778899aabbccddeeff --reason "chargebacks"`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: completeKinds,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			answer, err := c.post(cmd.Context(), path("bans"), map[string]string{"kind": args[0], "subject": args[1], "reason": reason})
			if err != nil {
				return err
			}
			var b banView
			return t.show(cmd, answer, &b, func(out *table) { out.line("%s %s is excluded", oneLine(b.Kind), oneLine(b.Subject)) })
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for whoever asks later")
	if err := cmd.MarkFlagRequired("reason"); err != nil {
		panic(err) // the flag stands above
	}
	return cmd
}

func (t *tool) banLift() *cobra.Command {
	return &cobra.Command{
		Use:               "lift KIND SUBJECT",
		Short:             "Let one in again",
		Long:              "lift ends a ban. It stays on record.\n\n" + banSubjects,
		Example:           `  ticketctl ban lift network 9f86d081884c7d65`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: completeKinds,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			if _, err := c.do(cmd.Context(), http.MethodDelete, path("bans", args[0], args[1]), "", nil); err != nil {
				return err
			}
			if t.wantsJSON(cmd) {
				return printJSON(t.env.Stdout, map[string]any{"kind": args[0], "subject": args[1], "lifted": true})
			}
			fmt.Fprintf(t.env.Stdout, "%s %s is no longer excluded\n", args[0], args[1])
			return nil
		},
	}
}

func (t *tool) banList() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List bans",
		Long:  `list shows all bans, lifted ones too: what was done and why stays on record.`,
		Example: `  ticketctl ban list
  ticketctl ban list --json --limit 10000`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 {
				return usagef("--limit must be 1 or more")
			}
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			found, err := listBans(cmd, c, limit)
			if err != nil {
				return err
			}
			return showList(t, cmd, "bans", found, []any{"KIND", "SUBJECT", "SINCE", "LIFTED", "BY", "REASON"}, func(out *table, b banView) {
				out.row(b.Kind, b.Subject, b.CreatedAt, b.LiftedAt, b.Actor, b.Reason)
			})
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 500, "most entries to show")
	return cmd
}

// listBans reads pages until one is not full: bans go on after the last one's kind and subject.
func listBans(cmd *cobra.Command, c *client, limit int) (page, error) {
	var all page
	query := url.Values{}
	for len(all.items) < limit {
		size := min(limit-len(all.items), 500) // core's bound of one page
		query.Set("limit", fmt.Sprint(size))
		answer, err := c.get(cmd.Context(), path("bans"), query)
		if err != nil {
			return page{}, err
		}
		var read struct {
			Bans []json.RawMessage `json:"bans"`
		}
		if err := readInto(answer, &read); err != nil {
			return page{}, err
		}
		all.items = append(all.items, read.Bans...)
		if len(read.Bans) < size {
			break
		}
		var last banView
		if err := readInto(read.Bans[len(read.Bans)-1], &last); err != nil {
			return page{}, err
		}
		query.Set("after_kind", last.Kind)
		query.Set("after_subject", last.Subject)
	}
	return all, nil
}

func completeKinds(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return banKinds, cobra.ShellCompDirectiveNoFileComp
}
