package ctl

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

// eventView is what people want to see of an event.
type eventView struct {
	ID       string  `json:"id"`
	Name     string  `json:"name"`
	State    string  `json:"state"`
	Revision int64   `json:"revision"`
	StartsAt instant `json:"starts_at"`
	TimeZone string  `json:"time_zone"`
	Venue    struct {
		Name    string `json:"name"`
		City    string `json:"city"`
		Country string `json:"country"`
	} `json:"venue"`
	OnSale *struct {
		Phase   string  `json:"phase"`
		OpensAt instant `json:"opens_at"`
	} `json:"on_sale"`
	PerBuyer int    `json:"per_buyer"`
	Identity string `json:"identity"`
	Tiers    []struct {
		ID    string `json:"id"`
		Name  string `json:"name"`
		Kind  string `json:"kind"`
		Price money  `json:"price"`
		Left  int64  `json:"left"`
	} `json:"tiers"`
	Sections []string    `json:"sections"`
	Stock    []stockView `json:"stock"`
}

type stockView struct {
	Tier       string `json:"tier"`
	Allocation string `json:"allocation"`
	Capacity   int64  `json:"capacity"`
	Taken      int64  `json:"taken"`
}

func (e eventView) phase() string {
	if e.OnSale == nil {
		return "not scheduled"
	}
	return e.OnSale.Phase
}

func (e eventView) opens() string {
	if e.OnSale == nil {
		return "-"
	}
	return e.OnSale.OpensAt.in(e.TimeZone)
}

func (t *tool) event() *cobra.Command {
	return group("event", "List, show and cancel events, release what was set aside", `  ticketctl event list
  ticketctl event show arena
  ticketctl event release arena sponsor --all
  ticketctl event cancel arena --reason "storm warning"`, t.eventList(), t.eventShow(), t.eventRelease(), t.eventReleases(), t.eventChanges(), t.eventCancel())
}

// pageFlags are the flags of every list.
type pageFlags struct {
	limit int
	after string
}

func (p *pageFlags) add(cmd *cobra.Command) {
	cmd.Flags().IntVar(&p.limit, "limit", 50, "most entries to show")
	cmd.Flags().StringVar(&p.after, "after", "", "go on after an earlier page: the text it ended with")
}

func (p *pageFlags) query() (url.Values, error) {
	if p.limit < 1 {
		return nil, usagef("--limit must be 1 or more")
	}
	query := url.Values{}
	if p.after != "" {
		query.Set("after", p.after)
	}
	return query, nil
}

// showList prints a list: as core's JSON, or a line for each item and how to see more.
func showList[T any](t *tool, cmd *cobra.Command, key string, found page, head []any, line func(*table, T)) error {
	if t.wantsJSON(cmd) {
		items := found.items
		if items == nil {
			items = []json.RawMessage{}
		}
		return printJSON(t.env.Stdout, map[string]any{key: items, "next": found.next})
	}
	if len(found.items) == 0 {
		fmt.Fprintf(t.env.Stdout, "no %s\n", key)
		return nil
	}
	out := newTable(t.env.Stdout)
	out.row(head...)
	for _, raw := range found.items {
		var item T
		if err := readInto(raw, &item); err != nil {
			return err
		}
		line(out, item)
	}
	if err := out.flush(); err != nil {
		return err
	}
	switch {
	case found.next == "":
	case cmd.Flags().Lookup("after") == nil:
		fmt.Fprintln(t.env.Stderr, "there are more: --limit")
	default:
		fmt.Fprintf(t.env.Stderr, "there are more: --after %s\n", found.next)
	}
	return nil
}

func (t *tool) eventList() *cobra.Command {
	var pages pageFlags
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List events",
		Example: `  ticketctl event list
  ticketctl event list --json --limit 500`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			query, err := pages.query()
			if err != nil {
				return err
			}
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			found, err := c.list(cmd.Context(), path("events"), "events", query, pages.limit)
			if err != nil {
				return err
			}
			head := []any{"EVENT", "NAME", "STARTS", "SALE", "OPENS"}
			return showList(t, cmd, "events", found, head, func(out *table, e eventView) {
				out.row(e.ID, e.Name, e.StartsAt.in(e.TimeZone), e.phase(), e.opens())
			})
		},
	}
	pages.add(cmd)
	return cmd
}

func (t *tool) eventShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show EVENT",
		Short: "Show an event: prices, stock, sale",
		Long: `show tells what an event is now: its prices as buyers pay them, what is taken of each allocation, and how its sale stands.
With --json it also has the event as it was applied.`,
		Example: `  ticketctl event show arena
  ticketctl event show arena --json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: t.completeEvents,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			answer, err := c.get(cmd.Context(), path("events", args[0]), nil)
			if err != nil {
				return err
			}
			var e eventView
			return t.show(cmd, answer, &e, func(out *table) { printEvent(out, e) })
		},
	}
}

func printEvent(out *table, e eventView) {
	out.row("event", e.ID)
	out.row("name", e.Name)
	out.row("venue", strings.Join([]string{e.Venue.Name, e.Venue.City, e.Venue.Country}, ", "))
	out.row("starts", e.StartsAt.in(e.TimeZone))
	out.row("state", fmt.Sprintf("%s, revision %d", e.State, e.Revision))
	out.row("sale", e.phase())
	out.row("opens", e.opens())
	out.row("identity", dash(e.Identity))
	out.row("per buyer", e.PerBuyer)
	if len(e.Sections) > 0 {
		out.row("sections", strings.Join(e.Sections, " "))
	}
	out.gap()
	out.row("TIER", "NAME", "KIND", "PRICE", "LEFT")
	for _, tier := range e.Tiers {
		out.row(tier.ID, tier.Name, tier.Kind, tier.Price, tier.Left)
	}
	printStock(out, e.Stock)
}

// printStock lists allocations and what is taken of them.
func printStock(out *table, stock []stockView) {
	if len(stock) == 0 {
		return
	}
	out.gap()
	out.row("TIER", "ALLOCATION", "CAPACITY", "TAKEN", "LEFT")
	for _, s := range stock {
		out.row(s.Tier, s.Allocation, s.Capacity, s.Taken, s.Capacity-s.Taken)
	}
}
