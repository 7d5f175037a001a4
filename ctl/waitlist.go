package ctl

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"fairgate/edge/lottery"
)

type waitlistOfferView struct {
	ID        string  `json:"id"`
	Tier      string  `json:"tier"`
	Units     int     `json:"quantity"`
	State     string  `json:"state"`
	ExpiresAt instant `json:"expires_at"`
}

type waitlistEntryView struct {
	ID        string              `json:"id"`
	Entrant   string              `json:"entrant"`
	AccountID string              `json:"account_id"`
	Tiers     []string            `json:"tiers"`
	Quantity  int                 `json:"quantity"`
	Together  bool                `json:"together"`
	State     string              `json:"state"`
	Reason    string              `json:"reason"`
	Drawn     bool                `json:"drawn"`
	AskedAt   instant             `json:"asked_at"`
	Offers    []waitlistOfferView `json:"offers"`
}

type waitlistView struct {
	Event      string              `json:"event"`
	Open       bool                `json:"open"`
	OfferFor   string              `json:"offer_for"`
	ClosesAt   instant             `json:"closes_at"`
	Commitment string              `json:"commitment"`
	DrawAt     *instant            `json:"draw_at"`
	DrawnAt    *instant            `json:"drawn_at"`
	Entrants   int                 `json:"entrants"`
	Entries    []waitlistEntryView `json:"entries"`
}

func (t *tool) waitlist() *cobra.Command {
	return group("waitlist", "Who waits for tickets that come back, in which order, and what they are offered", `  ticketctl waitlist show arena
  ticketctl waitlist publish arena --output waitlist.json
  ticketctl waitlist verify waitlist.json --entrant 9f86d081884c7d659a2feaa0c55ad015`,
		t.waitlistShow(), t.waitlistPublish(), t.waitlistVerify())
}

func (t *tool) waitlistShow() *cobra.Command {
	var all bool
	var limit int
	cmd := &cobra.Command{
		Use:   "show EVENT",
		Short: "Show an event's waiting list in its order",
		Long: `show tells who waits and who has an offer, the next to be offered something first: those who were drawn, then the others as they
asked. With --all it shows those who are done, too.`,
		Example:           "  ticketctl waitlist show arena --all",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: t.completeEvents,
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 1 || limit > 500 {
				return usagef("--limit must be from 1 to 500")
			}
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			answer, err := c.get(cmd.Context(), path("events", args[0], "waitlist"), url.Values{"all": {strconv.FormatBool(all)}, "limit": {strconv.Itoa(limit)}})
			if err != nil {
				return err
			}
			var v waitlistView
			return t.show(cmd, answer, &v, func(out *table) { v.write(out) })
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "those who are done, too")
	cmd.Flags().IntVar(&limit, "limit", 200, "most entries to show, up to 500")
	return cmd
}

func (v *waitlistView) write(out *table) {
	out.line("%s: offers stand for %s; the list closes at %s", v.Event, v.OfferFor, v.ClosesAt)
	switch {
	case v.DrawnAt != nil:
		out.line("%d were drawn at %s", v.Entrants, *v.DrawnAt)
	case v.DrawAt != nil:
		out.line("the draw is at %s, commitment %s", *v.DrawAt, v.Commitment)
	case v.Commitment != "":
		out.line("not sold out yet, commitment %s", v.Commitment)
	default:
		out.line("nobody has asked yet")
	}
	if len(v.Entries) == 0 {
		return
	}
	out.gap()
	out.row("ENTRANT", "WANTS", "ORDER", "STATE", "OFFER", "ASKED")
	for _, e := range v.Entries {
		wants, order, offer := fmt.Sprintf("%d of %s", e.Quantity, strings.Join(e.Tiers, ", ")), "asked", ""
		if e.Together {
			wants += ", together"
		}
		if e.Drawn {
			order = "drawn"
		}
		if n := len(e.Offers); n > 0 {
			offer = fmt.Sprintf("%d of %s, %s", e.Offers[n-1].Units, e.Offers[n-1].Tier, e.Offers[n-1].State)
		}
		out.row(e.Entrant, wants, order, e.State, dash(offer), e.AskedAt)
	}
}

func (t *tool) waitlistPublish() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "publish EVENT [--output FILE]",
		Short: "Write the transcript of a waiting list's draw for everybody",
		Long: `publish writes what anybody needs to draw again and compare: commitment, secret, root, seed and the entrants, who are pseudonyms. A
draw that does not verify is not written. The transcript goes to standard output, or to --output, which must not exist yet.`,
		Example:           "  ticketctl waitlist publish arena --output waitlist.json",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: t.completeEvents,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			text, err := c.get(cmd.Context(), path("events", args[0], "waitlist", "transcript"), nil)
			if err != nil {
				return err
			}
			var transcript lottery.WaitlistTranscript
			if err := json.Unmarshal(text, &transcript); err != nil {
				return fmt.Errorf("read core's answer: %w", err)
			}
			if _, err := transcript.Verify(); err != nil {
				fmt.Fprintln(t.env.Stderr, err)
				return errNotVerified
			}
			if output == "" {
				_, err := t.env.Stdout.Write(text)
				return err
			}
			return writeNew(output, text)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "the file to write")
	return cmd
}

func (t *tool) waitlistVerify() *cobra.Command {
	var entrant string
	cmd := &cobra.Command{
		Use:   "verify FILE",
		Short: "Check the draw of a waiting list",
		Long: `verify draws again from a transcript that waitlist publish wrote: the secret must be the one that was committed to, the root that of
the entrants, and the seed must follow from both. It asks no server. With --entrant it says at which place that one was drawn; the page of
a waiting list shows everybody their own. The commitment is to be compared with the one that was shown before the draw.`,
		Example: "  ticketctl waitlist verify waitlist.json --entrant 9f86d081884c7d659a2feaa0c55ad015",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			text, err := os.ReadFile(args[0])
			if err != nil {
				return usagef("%v", err)
			}
			var transcript lottery.WaitlistTranscript
			if err := json.Unmarshal(text, &transcript); err != nil {
				return usagef("%s is no transcript of a waiting list: %v", args[0], err)
			}
			order, err := transcript.Verify()
			if err != nil {
				fmt.Fprintln(t.env.Stdout, err)
				return errNotVerified
			}
			fmt.Fprintf(t.env.Stdout, "the draw of %d entrants is right; it was committed to as %s\n", len(order), transcript.Commitment)
			if entrant == "" {
				return nil
			}
			for i, e := range order {
				if e.String() == entrant {
					fmt.Fprintf(t.env.Stdout, "%s was drawn as number %d\n", entrant, i+1)
					return nil
				}
			}
			fmt.Fprintf(t.env.Stdout, "%s was not drawn\n", entrant)
			return errNotVerified
		},
	}
	cmd.Flags().StringVar(&entrant, "entrant", "", "whose place to say")
	return cmd
}
