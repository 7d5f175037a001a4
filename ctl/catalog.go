package ctl

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"fairgate/ctl/playbill"
)

func (t *tool) catalog() *cobra.Command {
	return group("catalog", "Search the list of events, or fill it to try it", `  ticketctl catalog search jazz --city lisbon --from 2027-03-01
  ticketctl catalog generate --events 100000`, t.catalogSearch(), t.catalogGenerate())
}

// searchFlags are the flags of a search that core gets as they are.
var searchFlags = []struct{ flag, param, usage string }{
	{"city", "city", "city, the whole name; case and accents do not count"},
	{"country", "country", "country, two letters"},
	{"venue", "venue", "venue, the whole name"},
	{"category", "category", "category, such as concert"},
	{"from", "from", "first date at the venue (2027-06-12), or an instant with its zone"},
	{"to", "to", "last date at the venue, or an instant"},
	{"currency", "currency", "currency of the prices, such as EUR"},
	{"price-min", "price_min", "least price of a ticket, with --currency"},
	{"price-max", "price_max", "highest price of a ticket, with --currency"},
}

type listedEvent struct {
	ID       string  `json:"id"`
	Name     string  `json:"name"`
	Category string  `json:"category"`
	StartsAt instant `json:"starts_at"`
	TimeZone string  `json:"time_zone"`
	Venue    struct {
		Name, City, Country string
	} `json:"venue"`
	Prices struct {
		From money `json:"from"`
		To   money `json:"to"`
	} `json:"price_range"`
}

func (e listedEvent) prices() string {
	if e.Prices.From == e.Prices.To {
		return e.Prices.From.String()
	}
	return strings.TrimSuffix(e.Prices.From.String(), " "+e.Prices.From.Currency) + "–" + e.Prices.To.String()
}

func (t *tool) catalogSearch() *cobra.Command {
	var pages pageFlags
	values := make([]string, len(searchFlags))
	cmd := &cobra.Command{
		Use:   "search [WORD ...]",
		Short: "Search as buyers do",
		Long: `search lists the events to come that have all the words in name, performers, venue, city, category, tags or summary, by
start. The last word may be the beginning of one. Without words and flags it lists everything. Prices are all-in.`,
		Example: `  ticketctl catalog search jazz
  ticketctl catalog search ana mou --country PT
  ticketctl catalog search --city lisbon --from 2027-03-01 --to 2027-03-07 --currency EUR --price-max 25
  ticketctl catalog search --category comedy --limit 500 --json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			query, err := pages.query()
			if err != nil {
				return err
			}
			if len(args) > 0 {
				query.Set("q", strings.Join(args, " "))
			}
			for i, f := range searchFlags {
				if values[i] != "" {
					query.Set(f.param, values[i])
				}
			}
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			found, err := c.listBy(cmd.Context(), path("catalog"), "events", query, pages.limit, 200)
			if err != nil {
				return err
			}
			head := []any{"EVENT", "NAME", "STARTS", "VENUE", "CATEGORY", "PRICE"}
			return showList(t, cmd, "events", found, head, func(out *table, e listedEvent) {
				out.row(e.ID, e.Name, e.StartsAt.in(e.TimeZone), strings.Join([]string{e.Venue.Name, e.Venue.City, e.Venue.Country}, ", "), e.Category, e.prices())
			})
		},
	}
	pages.add(cmd)
	for i, f := range searchFlags {
		cmd.Flags().StringVar(&values[i], f.flag, "", f.usage)
	}
	return cmd
}

// Bounds of generating.
const (
	maxGenerated   = 1_000_000
	maxBatchEvents = 500 // core's
	maxClients     = 16
	batchAttempts  = 6
)

// generation is one run of generate.
type generation struct {
	events, batch, clients int
	seed                   uint64
	from                   string

	first time.Time
	mu    sync.Mutex
	done  generated
	began time.Time
	said  time.Time
}

type generated struct {
	Events    int     `json:"events"`
	Created   int     `json:"created"`
	Changed   int     `json:"changed"`
	Unchanged int     `json:"unchanged"`
	Seconds   float64 `json:"seconds"`
}

func (t *tool) catalogGenerate() *cobra.Command {
	g := &generation{}
	cmd := &cobra.Command{
		Use:   "generate",
		Short: "Fill the list with made-up events, to try it",
		Long: `generate applies made-up events: names, cities, dates over the next year, categories, prices, and a small general-admission
stock each. Seed, number and first day decide what an event is, so a second run with the same ones changes nothing, and a run that was
interrupted is finished by running it again. Each batch is one transaction. Use it on a system made for trying; there is no command that
takes the events away again.`,
		Example: `  ticketctl catalog generate --events 1000
  ticketctl catalog generate --events 100000 --seed 1 --from 2027-01-01`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := g.check(); err != nil {
				return err
			}
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			if err := g.run(cmd.Context(), c, t.env); err != nil {
				return err
			}
			if t.wantsJSON(cmd) {
				return printJSON(t.env.Stdout, g.done)
			}
			fmt.Fprintf(t.env.Stdout, "%s in %.1f s: %d created, %d changed, %d unchanged\n", count(g.done.Events, "event"), g.done.Seconds,
				g.done.Created, g.done.Changed, g.done.Unchanged)
			return nil
		},
	}
	cmd.Flags().IntVar(&g.events, "events", 1000, "how many events, up to 1000000")
	cmd.Flags().Uint64Var(&g.seed, "seed", 1, "another seed makes other events")
	cmd.Flags().StringVar(&g.from, "from", "", "first day of the year of events (default the first of next month)")
	cmd.Flags().IntVar(&g.batch, "batch", 200, "events in one request and transaction, up to 500")
	cmd.Flags().IntVar(&g.clients, "clients", 2, "requests under way at once, up to 16")
	return cmd
}

func (g *generation) check() error {
	for _, f := range []struct {
		flag        string
		value, most int
	}{{"events", g.events, maxGenerated}, {"batch", g.batch, maxBatchEvents}, {"clients", g.clients, maxClients}} {
		if f.value < 1 || f.value > f.most {
			return usagef("--%s must be from 1 to %d", f.flag, f.most)
		}
	}
	if g.from == "" {
		now := time.Now().UTC()
		g.first = time.Date(now.Year(), now.Month()+1, 1, 0, 0, 0, 0, time.UTC)
		return nil
	}
	first, err := time.Parse(time.DateOnly, g.from)
	if err != nil {
		return usagef("--from: %q is not a date such as 2027-01-01", g.from)
	}
	g.first = first
	return nil
}

// run applies all batches. The first failure ends it; what was applied stays.
func (g *generation) run(ctx context.Context, c *client, env Env) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	g.began = time.Now()
	batches := make(chan [2]int)
	var clients sync.WaitGroup
	for range g.clients {
		clients.Go(func() {
			for b := range batches {
				if err := g.apply(ctx, c, b[0], b[1]); err != nil {
					cancel(err)
					return
				}
				g.progress(env)
			}
		})
	}
	for from := 0; from < g.events && ctx.Err() == nil; from += g.batch {
		select {
		case batches <- [2]int{from, min(from+g.batch, g.events)}:
		case <-ctx.Done():
		}
	}
	close(batches)
	clients.Wait()
	g.done.Seconds = float64(time.Since(g.began).Milliseconds()) / 1000
	if ctx.Err() != nil {
		return fmt.Errorf("generate, with %d of %d events done: %w", g.done.Events, g.events, context.Cause(ctx))
	}
	return nil
}

// apply sends one batch, again if core asks for patience: it may have been done, which the repetition finds.
func (g *generation) apply(ctx context.Context, c *client, from, to int) error {
	files := make([]string, 0, to-from)
	for i := from; i < to; i++ {
		files = append(files, playbill.Make(g.seed, i, g.first).File())
	}
	for attempt := 1; ; attempt++ {
		answer, err := c.post(ctx, path("events:batch"), map[string]any{"files": files})
		var problem *problemError
		if errors.As(err, &problem) && problem.Status == 503 && attempt < batchAttempts {
			select {
			case <-time.After(time.Duration(max(1, problem.RetryAfter)) * time.Second):
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err != nil {
			return err
		}
		var done struct {
			Applied []applied `json:"applied"`
		}
		if err := readInto(answer, &done); err != nil {
			return err
		}
		g.count(done.Applied)
		return nil
	}
}

func (g *generation) count(done []applied) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, a := range done {
		g.done.Events++
		switch {
		case !a.Changed:
			g.done.Unchanged++
		case a.Revision <= 1:
			g.done.Created++
		default:
			g.done.Changed++
		}
	}
}

// progress says once in two seconds how far it is.
func (g *generation) progress(env Env) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if now.Sub(g.said) < 2*time.Second {
		return
	}
	g.said = now
	fmt.Fprintf(env.Stderr, "%d of %d events, %.0f a second\n", g.done.Events, g.events, float64(g.done.Events)/now.Sub(g.began).Seconds())
}
