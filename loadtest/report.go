package loadtest

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Report is everything a rehearsal found out. As JSON it is the machine's report, as HTML the reader's.
type Report struct {
	Name        string                  `json:"name"`
	Event       string                  `json:"event"`
	Plan        Plan                    `json:"plan"`
	StartedAt   time.Time               `json:"started_at"`
	OpenedAt    time.Time               `json:"opened_at"`
	Seconds     float64                 `json:"seconds"` // from the first process to the last verdict
	Engine      string                  `json:"engine"`
	Version     string                  `json:"engine_version"`
	Provider    string                  `json:"provider"`
	CPUs        int                     `json:"cpus"`
	System      string                  `json:"system"`
	Buyers      int64                   `json:"buyers"`
	Purchases   int64                   `json:"purchases"`
	Tickets     int64                   `json:"tickets"`
	PerSecond   float64                 `json:"purchases_per_second"` // from the first to the last purchase
	BestSecond  int64                   `json:"purchases_best_second"`
	Passed      bool                    `json:"passed"`
	Verdicts    []Verdict               `json:"verdicts"`
	Latencies   []Latency               `json:"latencies"`
	Outcomes    map[string]int64        `json:"outcomes"`
	Answers     map[Op]map[string]int64 `json:"answers"`
	Problems    []Problem               `json:"problems"`
	Bots        []BotFigures            `json:"bots"`
	Shares      []Share                 `json:"shares"`            // what the draw gave to bots
	Challenged  int64                   `json:"honest_challenged"` // times an honest buyer was taken for a program, and asked for something
	Refused     int64                   `json:"honest_refused"`    // of them, and of those denied, who did not get on
	Attempts    map[string]int64        `json:"forbidden_tries"`
	Crimes      []Crime                 `json:"crimes"`
	Processes   []Process               `json:"processes"`
	Timeline    []Sample                `json:"timeline"`
	Interrupted string                  `json:"interrupted,omitempty"`
}

// NotOnCockroach is what a report says when the database was not CockroachDB.
const NotOnCockroach = "NOT RUN ON COCKROACHDB"

// Report puts together what the run and the audit found.
func (r *Rehearsal) Report(ctx context.Context, started time.Time, verdicts []Verdict, processes []Process) (Report, error) {
	version, err := engineOf(ctx, r.plan.Targets.DatabaseURL)
	if err != nil {
		return Report{}, err
	}
	engine := "PostgreSQL"
	if strings.Contains(version, "CockroachDB") {
		engine = "CockroachDB"
	}
	g := &r.rec.gauges
	_, problems := r.rec.Problems()
	out := Report{
		Name: r.plan.Name, Event: r.plan.Event, Plan: r.plan, StartedAt: started, OpenedAt: r.opening, Seconds: time.Since(started).Seconds(),
		Engine: engine, Version: version, Provider: "paysim", CPUs: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH,
		Buyers: g.arrived.Load(), Purchases: g.paid.Load(), Tickets: g.tickets.Load() + g.botTickets.Load(),
		Passed: Passed(verdicts), Verdicts: verdicts, Latencies: r.rec.Latencies(), Outcomes: r.rec.Outcomes(), Answers: r.rec.Answers(),
		Problems: problems, Bots: r.rec.Bots(), Shares: r.shares, Challenged: r.rec.gauges.challenged.Load(), Refused: challengedHonest(r.rec.ProblemKinds()), Attempts: r.witness.Attempts(), Crimes: r.witness.Crimes(), Processes: processes,
		Timeline: r.rec.Timeline(),
	}
	out.PerSecond, out.BestSecond = purchaseRate(out.Timeline)
	return out, nil
}

// purchaseRate is purchases a second between the first and the last second that had any, and of the best second.
func purchaseRate(timeline []Sample) (mean float64, best int64) {
	first, last, all := -1, -1, int64(0)
	for i, s := range timeline {
		if s.Purchases == 0 {
			continue
		}
		if first < 0 {
			first = i
		}
		last = i
		all += s.Purchases
		best = max(best, s.Purchases)
	}
	if first < 0 {
		return 0, 0
	}
	return float64(all) / float64(last-first+1), best
}

// Banner says what the figures were made with.
func (r Report) Banner() string {
	return Banner(r.Engine)
}

// Banner says which engine and provider a run uses.
func Banner(engine string) string {
	line := "database: " + engine
	if engine != "CockroachDB" {
		line += " (" + NotOnCockroach + ")"
	}
	return line + " · provider: paysim"
}

// Latency is one operation's row; zero when it never happened.
func (r Report) Latency(op Op) Latency {
	for _, l := range r.Latencies {
		if l.Op == op {
			return l
		}
	}
	return Latency{Op: op}
}

//go:embed report.html
var reportPage string

// WriteHTML writes the self-contained page.
func (r Report) WriteHTML(w io.Writer) error {
	page, err := template.New("report").Funcs(template.FuncMap{
		"n": thousands, "f": figure, "ms": func(v float64) string { return figure(v) + " ms" },
		"mib":   func(b int64) string { return figure(float64(b)/(1<<20)) + " MiB" },
		"words": func(s string) string { return strings.ReplaceAll(s, "_", " ") },
		"op":    func(o Op) string { return string(o) },
		"time":  func(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04:05 UTC") },
	}).Parse(reportPage)
	if err != nil {
		return fmt.Errorf("parse the report's page: %w", err)
	}
	if err := page.Execute(w, r); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// Save writes the page to path and the JSON beside it, each complete or not at all.
func (r Report) Save(path string) error {
	var page strings.Builder
	if err := r.WriteHTML(&page); err != nil {
		return err
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the report: %w", err)
	}
	beside := strings.TrimSuffix(path, filepath.Ext(path)) + ".json"
	for name, content := range map[string]string{path: page.String(), beside: string(text) + "\n"} {
		if err := os.WriteFile(name+".new", []byte(content), 0o644); err != nil {
			return fmt.Errorf("save the report: %w", err)
		}
		if err := os.Rename(name+".new", name); err != nil {
			return fmt.Errorf("save the report: %w", err)
		}
	}
	return nil
}

// Charts are the timeline in pictures.
func (r Report) Charts() []chart {
	t := make([]float64, len(r.Timeline))
	for i, s := range r.Timeline {
		t[i] = s.T
	}
	line := func(name string, color int, unit string, area bool, of func(Sample) float64) series {
		s := series{Name: name, Color: color, Unit: unit, Area: area, Values: make([]float64, len(r.Timeline))}
		for i, sample := range r.Timeline {
			s.Values[i] = of(sample)
		}
		return s
	}
	// A percentile of a second without any such request is no zero.
	some := func(n int64, v float64) float64 {
		if n == 0 {
			return math.NaN()
		}
		return v
	}
	return []chart{
		{Title: "Waiting room", Note: "Honest buyers who wait for their turn.", T: t, Series: []series{
			line("waiting", 1, "", true, func(s Sample) float64 { return float64(s.Waiting) }),
		}},
		{Title: "Inside", Note: "Buyers with a session, active holds as core counts them, tickets in hand.", T: t, Series: []series{
			line("sold", 3, "", true, func(s Sample) float64 { return float64(s.Sold) }),
			line("admitted", 1, "", false, func(s Sample) float64 { return float64(s.Admitted) }),
			line("held", 2, "", false, func(s Sample) float64 { return float64(s.Held) }),
		}},
		{Title: "Pace", Note: "Entrants called in each second, the pace that everybody is told, and buyers with a session beside it.", T: t, Series: []series{
			line("called", 1, "/s", true, func(s Sample) float64 { return float64(s.Called) }),
			line("pace told", 4, "/s", false, func(s Sample) float64 { return s.Pace }),
			line("inside", 2, "", false, func(s Sample) float64 { return float64(s.Admitted) }),
		}},
		{Title: "Requests a second", Note: "Joins and state polls of honest buyers; everything bots send.", T: t, Series: []series{
			line("state", 1, "/s", true, func(s Sample) float64 { return float64(s.States) }),
			line("joins", 2, "/s", false, func(s Sample) float64 { return float64(s.Joins) }),
			line("bots", 4, "/s", false, func(s Sample) float64 { return float64(s.BotCalls) }),
		}},
		{Title: "Holds and purchases a second", Note: "Every answer to a hold, granted or not; every purchase complete with its ticket issued.", T: t, Series: []series{
			line("holds", 2, "/s", false, func(s Sample) float64 { return float64(s.Holds) }),
			line("purchases", 3, "/s", true, func(s Sample) float64 { return float64(s.Purchases) }),
		}},
		{Title: "Latency of the waiting room", Note: "99th percentile of each second, from the instant a request was meant to leave.", Unit: " ms", Log: true, T: t, Series: []series{
			line("join p99", 2, " ms", false, func(s Sample) float64 { return some(s.Joins, s.JoinP99) }),
			line("state p99", 1, " ms", false, func(s Sample) float64 { return some(s.States, s.StateP99) }),
		}},
		{Title: "Latency of hold and checkout", Note: "Checkout is from the order to the ticket, without the provider's form and the typing of the card.", Unit: " ms", Log: true, T: t, Series: []series{
			line("hold p50", 2, " ms", false, func(s Sample) float64 { return some(s.Holds, s.HoldP50) }),
			line("hold p99", 1, " ms", false, func(s Sample) float64 { return some(s.Holds, s.HoldP99) }),
			line("checkout p50", 3, " ms", false, func(s Sample) float64 { return some(s.Purchases, s.BuyP50) }),
			line("checkout p99", 4, " ms", false, func(s Sample) float64 { return some(s.Purchases, s.BuyP99) }),
		}},
	}
}

// count is one row of a table of counts.
type count struct {
	Name string
	N    int64
}

// OutcomeRows are the outcomes, most frequent first.
func (r Report) OutcomeRows() []count { return rows(r.Outcomes) }

// AttemptRows are the forbidden tries, most frequent first.
func (r Report) AttemptRows() []count { return rows(r.Attempts) }

// AnswerRows are the answers by operation, without those that never happened.
func (r Report) AnswerRows() []struct {
	Op   Op
	Rows []count
} {
	var all []struct {
		Op   Op
		Rows []count
	}
	for _, op := range Ops() {
		if m := r.Answers[op]; len(m) > 0 {
			all = append(all, struct {
				Op   Op
				Rows []count
			}{op, rows(m)})
		}
	}
	return all
}

func rows(m map[string]int64) []count {
	all := make([]count, 0, len(m))
	for name, n := range m {
		all = append(all, count{name, n})
	}
	slices.SortFunc(all, func(a, b count) int {
		if a.N != b.N {
			return int(b.N - a.N)
		}
		return strings.Compare(a.Name, b.Name)
	})
	return all
}
