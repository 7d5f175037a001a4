package ctl

import (
	"fmt"
	"net/url"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
)

// releaseView is a release of an allocation.
type releaseView struct {
	Tier       string  `json:"tier"`
	Allocation string  `json:"allocation"`
	Units      int64   `json:"units"`
	Cause      string  `json:"cause"`
	Actor      string  `json:"actor"`
	At         instant `json:"at"`
}

func releaseRows(out *table, list []releaseView) {
	out.row("AT", "TIER", "ALLOCATION", "UNITS", "CAUSE", "BY")
	for _, r := range list {
		out.row(r.At, r.Tier, r.Allocation, r.Units, r.Cause, r.Actor)
	}
}

func (t *tool) eventRelease() *cobra.Command {
	var tier string
	var quantity int64
	var all bool
	cmd := &cobra.Command{
		Use:   "release EVENT ALLOCATION (--all | --quantity N)",
		Short: "Put what was set aside on general sale",
		Long: `release moves free units of an allocation to general sale, of every tier that has the allocation or of one. Buyers see them at
once. What is held or sold stays and is sold.

With --all the allocation is closed: what is held now and comes back later follows to general sale by itself. With --quantity at
most so many of each tier are moved, fewer when fewer are free, and the allocation goes on. Applying the event file again does
not undo a release.`,
		Example: `  ticketctl event release arena sponsor --all
  ticketctl event release arena sponsor --tier floor --quantity 20`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: t.completeEvents,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case all == cmd.Flags().Changed("quantity"):
				return usagef("give either --all or --quantity")
			case !all && quantity < 1:
				return usagef("--quantity must be 1 or more")
			}
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			body := map[string]any{"release_id": uuid.New(), "tier": tier, "quantity": quantity, "all": all}
			answer, err := c.post(cmd.Context(), path("events", args[0], "allocations", args[1], "release"), body)
			if err != nil {
				return err
			}
			var done struct {
				Releases []releaseView `json:"releases"`
			}
			return t.show(cmd, answer, &done, func(out *table) {
				for _, r := range done.Releases {
					out.row(fmt.Sprintf("%s: %d of tier %s are on general sale now", r.Allocation, r.Units, r.Tier))
				}
			})
		},
	}
	cmd.Flags().StringVar(&tier, "tier", "", "of this tier only")
	cmd.Flags().Int64Var(&quantity, "quantity", 0, "at most so many of each tier")
	cmd.Flags().BoolVar(&all, "all", false, "everything, and what comes back later")
	return cmd
}

func (t *tool) eventReleases() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:               "releases EVENT",
		Short:             "List what was released of allocations",
		Long:              `releases lists the releases of an event's allocations to general sale, the last one first: when, how many, why and by whom.`,
		Example:           `  ticketctl event releases arena`,
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
			answer, err := c.get(cmd.Context(), path("events", args[0], "releases"), url.Values{"limit": {fmt.Sprint(limit)}})
			if err != nil {
				return err
			}
			var found struct {
				Releases []releaseView `json:"releases"`
			}
			return t.show(cmd, answer, &found, func(out *table) { releaseRows(out, found.Releases) })
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 50, "most releases to show")
	return cmd
}
