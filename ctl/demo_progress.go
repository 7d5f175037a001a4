package ctl

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"fairgate/loadtest"

	"golang.org/x/term"
)

// plainEvery is how often a progress line is printed where lines cannot be overwritten.
const plainEvery = 5 * time.Second

// progress shows how a rehearsal goes: one line that changes on a terminal, a line now and then elsewhere.
type progress struct {
	out   io.Writer
	width int // of the terminal, 0 for none
	last  time.Time
	phase string
}

func newProgress(out io.Writer) *progress {
	p := &progress{out: out}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 20 {
			p.width = width
		}
	}
	return p
}

func (p *progress) show(s loadtest.Snapshot) {
	line := progressLine(s)
	if p.width > 0 {
		if utf8.RuneCountInString(line) >= p.width {
			line = string([]rune(line)[:p.width-1])
		}
		fmt.Fprintf(p.out, "\r\x1b[K%s", line)
		return
	}
	if time.Since(p.last) < plainEvery && s.Phase == p.phase {
		return
	}
	p.last, p.phase = time.Now(), s.Phase
	fmt.Fprintln(p.out, line)
}

// end leaves the last line standing.
func (p *progress) end() {
	if p.width > 0 {
		fmt.Fprintln(p.out)
	}
}

func progressLine(s loadtest.Snapshot) string {
	return fmt.Sprintf("%+4.0fs %-9s waiting %6d  admitted %5d  held %5d  sold %5d  hold p50 %s p99 %s  checkout p50 %s p99 %s",
		s.At.Seconds(), s.Phase, s.Waiting, s.Admitted, s.Held, s.Sold, ms(s.HoldP50), ms(s.HoldP99), ms(s.BuyP50), ms(s.BuyP99))
}

// ms writes milliseconds in at most six characters.
func ms(v float64) string {
	switch {
	case v == 0:
		return "–"
	case v < 10:
		return fmt.Sprintf("%.1fms", v)
	case v < 10_000:
		return fmt.Sprintf("%.0fms", v)
	}
	return fmt.Sprintf("%.0fs", v/1000)
}

// printReport tells the end: verdicts, figures, where the report is.
func printReport(out io.Writer, r loadtest.Report, path string) {
	fmt.Fprintf(out, "\n%s\n\n", r.Banner())
	for _, v := range r.Verdicts {
		fmt.Fprintln(out, v)
	}
	fmt.Fprintf(out, "\n%d purchases, %d tickets; %.0f purchases a second from the first to the last, %d in the best second; %.0f s in all\n",
		r.Purchases, r.Tickets, r.PerSecond, r.BestSecond, r.Seconds)
	for _, op := range []loadtest.Op{loadtest.OpJoin, loadtest.OpState, loadtest.OpClaim, loadtest.OpHold, loadtest.OpCheckout} {
		l := r.Latency(op)
		fmt.Fprintf(out, "%-9s p50 %-7s p99 %-7s p99.9 %-7s (%d)\n", op, ms(l.P50), ms(l.P99), ms(l.P999), l.Count)
	}
	var outcomes []string
	for _, o := range r.OutcomeRows() {
		outcomes = append(outcomes, fmt.Sprintf("%s %d", strings.ReplaceAll(o.Name, "_", " "), o.N))
	}
	fmt.Fprintf(out, "buyers    %s\n", strings.Join(outcomes, ", "))
	if r.Plan.Bots.FairShare {
		printShares(out, r)
	}
	if len(r.Processes) > 0 {
		var memory []string
		for _, p := range r.Processes {
			memory = append(memory, fmt.Sprintf("%s %d MiB", p.Name, p.Peak>>20))
		}
		fmt.Fprintf(out, "memory    %s (peak)\n", strings.Join(memory, ", "))
	}
	if path != "" {
		fmt.Fprintf(out, "report    %s\n", path)
	}
	if r.Passed {
		fmt.Fprintln(out, "\nEvery check passed.")
	} else {
		fmt.Fprintln(out, "\nNOT EVERY CHECK PASSED.")
	}
}

// printShares tells what each kind of bot got, and what it cost.
func printShares(out io.Writer, r loadtest.Report) {
	byKind := make(map[string]loadtest.Share)
	for _, s := range r.Shares {
		byKind[s.Kind] = s
	}
	fmt.Fprintf(out, "\n%-9s %6s %9s %9s %8s %11s %7s %7s %8s %8s\n", "kind", "bots", "requests", "throttled", "refused", "identities", "called", "fair", "sessions", "tickets")
	for _, b := range r.Bots {
		s := byKind[b.Kind]
		fmt.Fprintf(out, "%-9s %6d %9d %9d %8d %11d %7d %7.1f %8d %8d\n", b.Kind, b.Bots, b.Requests, b.Throttled, b.Refused, b.Entries, s.Called, s.Fair, b.Sessions, b.Tickets)
	}
	fmt.Fprintf(out, "\nhonest people taken for programs: asked for something %d times; refused: %d\n", r.Challenged, r.Refused)
}
