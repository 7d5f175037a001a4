package ctl

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"fairgate/edge/lottery"
)

// saleView is what people want to see of an on-sale.
type saleView struct {
	Event      string  `json:"event"`
	Generation uint32  `json:"generation"`
	Presale    string  `json:"presale"`
	Phase      string  `json:"phase"`
	Message    string  `json:"message"`
	JoiningAt  instant `json:"joining_at"`
	OpensAt    instant `json:"opens_at"`
	EndsAt     instant `json:"ends_at"`
	ServerTime instant `json:"server_time"`
	Commitment string  `json:"commitment"`
	Beacon     *struct {
		Name  string      `json:"name"`
		Value lottery.Hex `json:"value"`
		Due   bool        `json:"due"`
	} `json:"beacon"`
	Joined    int    `json:"joined"`
	Drawn     int    `json:"drawn"`
	Called    int    `json:"called"`
	Sessions  int    `json:"sessions"`
	Inside    int    `json:"inside"`
	Holds     int    `json:"holds_active"`
	LiveEdges int    `json:"live_edges"`
	Driver    string `json:"driver"`
	Windows   []struct {
		Window   uint32 `json:"window"`
		Sealed   bool   `json:"sealed"`
		Entrants int    `json:"entrants"`
		Root     string `json:"root"`
	} `json:"windows"`
	Next []struct {
		Presale   string  `json:"presale"`
		JoiningAt instant `json:"joining_at"`
		OpensAt   instant `json:"opens_at"`
		EndsAt    instant `json:"ends_at"`
	} `json:"next"`
	Stock  []stockView    `json:"stock"`
	Orders map[string]int `json:"orders"`
}

func (t *tool) onSale() *cobra.Command {
	return group("onsale", "Schedule, open, pause and watch the sale of an event", `  ticketctl onsale schedule arena --opens-at 2027-03-01T10:00:00Z
  ticketctl onsale status arena
  ticketctl onsale pause arena --message "The payment provider is down; your place is safe"
  ticketctl onsale resume arena`,
		t.onSaleSchedule(),
		t.onSaleVerb("open", "Open a sale now",
			`open makes now the sale instant: joining ends, and the draw decides the order of everybody who has joined. Without a
scheduled sale it makes one. Once a sale is open it does nothing.`, false),
		t.onSaleVerb("pause", "Stop calling people and selling",
			`pause keeps everybody's place and every hold, calls nobody and starts nothing new, and shows the message on every page.`, true),
		t.onSaleVerb("resume", "Go on after a pause", `resume goes on where pause stopped. A message given here replaces the one of the pause.`, true),
		t.onSaleVerb("end", "End a sale for good", `end closes the waiting room. What is held can still be paid. A later schedule begins a new sale with a new draw.`, true),
		t.onSaleStatus(),
		t.onSaleRegister(),
		t.onSaleWord(),
		t.onSaleInvite(),
	)
}

func (t *tool) onSaleSchedule() *cobra.Command {
	var opens, joining, ends, beacon, presale string
	cmd := &cobra.Command{
		Use:   "schedule EVENT --opens-at TIME [--presale PRESALE]",
		Short: "Set when a sale opens",
		Long: `schedule sets when joining begins, when the sale opens and when it ends. From then on the commitment to the draw is public.
Scheduling again moves the times, as long as the sale has not opened.

A time is RFC 3339 with its zone, 2027-03-01T10:00:00Z or 2027-03-01T11:00:00+01:00, or counted from now by this machine's
clock: +15m, +2h30m. Without --joining-at and --ends-at the event's and core's defaults count, and joining
opens no earlier than the sale before is over.

--beacon names a public value that nobody can know before the sale opens, such as a round of a randomness service: where and when
it can be read. The commitment covers the name, the value goes into the seed, and so not even the operator could choose who
goes first. The draw then waits until the value is told with lottery beacon.

--presale makes it the on-sale of one of the event's presales, with a draw, receipts and an allocation of its own; its times are the
presale's where none are given. On-sales come one after the other: what is scheduled while another is, and begins when that is
over, is noted and begins by itself. onsale status shows it.`,
		Example: `  ticketctl onsale schedule arena --opens-at 2027-03-01T10:00:00Z
  ticketctl onsale schedule arena --opens-at +10m --joining-at +1m
  ticketctl onsale schedule arena --presale sponsors
  ticketctl onsale schedule arena --opens-at 2027-03-01T10:00:00Z --beacon "drand quicknet, round 19876543, randomness in hex"`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: t.completeEvents,
		RunE: func(cmd *cobra.Command, args []string) error {
			body := map[string]any{}
			for _, at := range []struct{ field, text string }{{"opens_at", opens}, {"joining_at", joining}, {"ends_at", ends}} {
				if at.text == "" {
					continue
				}
				parsed, err := parseTime(at.text, time.Now())
				if err != nil {
					return usagef("--%s: %w", strings.ReplaceAll(at.field, "_", "-"), err)
				}
				body[at.field] = parsed
			}
			if presale != "" {
				body["presale"] = presale
			} else if opens == "" {
				return usagef("--opens-at or --presale is needed")
			}
			if beacon != "" {
				if !lottery.ValidBeaconName(beacon) {
					return usagef("--beacon: a name is 1 to %d bytes of printable text", lottery.MaxBeaconName)
				}
				body["beacon"] = beacon
			}
			return t.changeSale(cmd, args[0], "schedule", body)
		},
	}
	cmd.Flags().StringVar(&opens, "opens-at", "", "the sale instant: window 0 is drawn then")
	cmd.Flags().StringVar(&joining, "joining-at", "", "when people may join")
	cmd.Flags().StringVar(&ends, "ends-at", "", "when the sale ends")
	cmd.Flags().StringVar(&beacon, "beacon", "", "where a public value can be read that goes into the seed")
	cmd.Flags().StringVar(&presale, "presale", "", "the presale whose on-sale it is")
	return cmd
}

// parseTime reads an RFC 3339 time or one counted from now.
func parseTime(text string, now time.Time) (time.Time, error) {
	if after, ok := strings.CutPrefix(text, "+"); ok {
		d, err := time.ParseDuration(after)
		if err != nil || d <= 0 {
			return time.Time{}, fmt.Errorf("%q is not a time from now such as +15m", text)
		}
		return now.Add(d).UTC().Truncate(time.Millisecond), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is neither a time with its zone such as 2027-03-01T10:00:00Z nor one from now such as +15m", text)
	}
	return at.UTC(), nil
}

func (t *tool) onSaleVerb(verb, short, long string, says bool) *cobra.Command {
	var message string
	cmd := &cobra.Command{
		Use: verb + " EVENT", Short: short, Long: long,
		Example:           "  ticketctl onsale " + verb + " arena",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: t.completeEvents,
		RunE: func(cmd *cobra.Command, args []string) error {
			body := map[string]string{}
			if message != "" {
				body["message"] = message
			}
			return t.changeSale(cmd, args[0], verb, body)
		},
	}
	if says {
		cmd.Flags().StringVar(&message, "message", "", "what the waiting pages show")
		cmd.Example += "\n  ticketctl onsale " + verb + ` arena --message "…"`
	}
	return cmd
}

func (t *tool) changeSale(cmd *cobra.Command, event, verb string, body any) error {
	c, err := t.client(cmd)
	if err != nil {
		return err
	}
	answer, err := c.post(cmd.Context(), path("events", event, "onsale", verb), body)
	if err != nil {
		return err
	}
	var s saleView
	return t.show(cmd, answer, &s, func(out *table) {
		out.row("event", s.Event)
		printSale(out, s)
	})
}

func (t *tool) onSaleStatus() *cobra.Command {
	return &cobra.Command{
		Use:   "status EVENT",
		Short: "Show how a sale stands",
		Long: `status shows the waiting room, the windows of the draw, what is taken, and how many orders are in which state.

joined are all who have a receipt, drawn those of them in a sealed window, called those whose turn it is or was; inside are
the shoppers with a session that is neither over nor finished.`,
		Example: `  ticketctl onsale status arena
  watch -n 2 ticketctl onsale status arena`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: t.completeEvents,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			answer, err := c.get(cmd.Context(), path("events", args[0], "onsale"), nil)
			if err != nil {
				return err
			}
			var s saleView
			return t.show(cmd, answer, &s, func(out *table) {
				out.row("event", s.Event)
				printSale(out, s)
				printCrowd(out, s)
			})
		},
	}
}

// printSale tells the phase and the times.
func printSale(out *table, s saleView) {
	out.row("phase", s.Phase)
	if s.Message != "" {
		out.row("message", s.Message)
	}
	out.row("sale", s.Generation)
	if s.Presale != "" {
		out.row("presale", oneLine(s.Presale))
	}
	out.row("joining", s.JoiningAt)
	out.row("opens", s.OpensAt.String()+until(s.OpensAt.Time, s.ServerTime.Time))
	out.row("ends", s.EndsAt)
	out.row("commitment", s.Commitment)
	if b := s.Beacon; b != nil {
		out.row("beacon", b.Name)
		switch {
		case len(b.Value) > 0:
			out.row("its value", fmt.Sprintf("%q", []byte(b.Value)))
		case b.Due:
			out.row("its value", "DUE: the draw waits for ticketctl lottery beacon "+s.Event)
		}
	}
}

// until tells how long something is still away by core's clock.
func until(at, now time.Time) string {
	if now.IsZero() || !at.After(now) {
		return ""
	}
	return " (in " + at.Sub(now).Round(time.Second).String() + ")"
}

// printCrowd tells the figures.
func printCrowd(out *table, s saleView) {
	out.gap()
	out.row("JOINED", "DRAWN", "CALLED", "SESSIONS", "INSIDE", "HOLDS", "EDGES")
	out.row(s.Joined, s.Drawn, s.Called, s.Sessions, s.Inside, s.Holds, s.LiveEdges)
	if s.Driver == "" && slices.Contains([]string{"joining", "sealing", "drawn", "open"}, s.Phase) {
		out.line("no core drives this sale: nobody is called")
	}
	if len(s.Windows) > 0 {
		out.gap()
		out.row("WINDOW", "SEALED", "ENTRANTS", "ROOT")
		for _, w := range s.Windows {
			sealed := "no"
			if w.Sealed {
				sealed = "yes"
			}
			out.row(w.Window, sealed, w.Entrants, dash(w.Root))
		}
	}
	if len(s.Next) > 0 {
		out.gap()
		out.row("THEN", "JOINING", "OPENS", "ENDS")
		for _, n := range s.Next {
			what := "general sale"
			if n.Presale != "" {
				what = "presale " + oneLine(n.Presale)
			}
			out.row(what, n.JoiningAt, n.OpensAt, n.EndsAt)
		}
	}
	printStock(out, s.Stock)
	if len(s.Orders) > 0 {
		out.gap()
		out.row("ORDERS", "")
		for _, state := range sorted(s.Orders) {
			out.row(state, s.Orders[state])
		}
	}
}
