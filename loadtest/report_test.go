package loadtest

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// sampleReport has something of everything, hostile text too.
func sampleReport() Report {
	rec := NewRecorder(time.Now())
	for i := range 1000 {
		rec.Took(OpHold, time.Duration(i+1)*time.Millisecond)
	}
	r := Report{
		Name: "Rehearsal <b>", Event: "arena", Engine: "PostgreSQL", Version: "PostgreSQL 15.14", Provider: "paysim", Buyers: 20000, Purchases: 2400,
		Verdicts: []Verdict{
			{Name: "oversold", Title: "Oversold", Passed: true, Checked: 5000, What: "units"},
			{Name: "draw", Title: "The draw verifies", Checked: 10, Found: 1, Failures: []string{"<script>alert(1)</script>"}},
			{Name: "bots_ahead", Title: "Bots", What: "tries"},
		},
		Latencies: rec.Latencies(), Outcomes: map[string]int64{"bought": 10, "sold_out": 20}, Answers: map[Op]map[string]int64{OpHold: {"ok": 3}},
		Bots: []BotFigures{{Kind: "thief", Bots: 3}}, Attempts: map[string]int64{"claim before the turn": 7},
		Crimes: []Crime{{Kind: "thief", Try: "hold", Detail: "<i>"}}, Processes: []Process{{Name: "core", PIDs: 1, Memory: 50 << 20, Peak: 60 << 20}},
	}
	for t := -5; t < 30; t++ {
		s := Sample{T: float64(t), Phase: "open", Waiting: int64(max(0, 100*t)), Held: 5, Joins: 3, Called: 7, Pace: 6.5, JoinP99: 12.5, States: 100, StateP99: 0.4}
		if t > 10 {
			s.Holds, s.HoldP99, s.Purchases, s.BuyP99 = 10, 2000, int64(t), 900
		}
		r.Timeline = append(r.Timeline, s)
	}
	r.PerSecond, r.BestSecond = purchaseRate(r.Timeline)
	return r
}

func TestTheReportIsOnePageWithoutForeignParts(t *testing.T) {
	var b strings.Builder
	if err := sampleReport().WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, bad := range []string{"<script", "<i>", "Rehearsal <b>", "@import", "<link", "<img", "<no value>", "NaN", "%!"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page contains %q", bad)
		}
	}
	if foreign := regexp.MustCompile(`(?i)(src|href)=|https?://`).FindString(page); foreign != "" {
		t.Errorf("the page fetches something: %q", foreign)
	}
	for _, want := range []string{NotOnCockroach, "provider: paysim", "Checks failed", "5,000 units", "Nothing was checked", "&lt;script&gt;", "sale opens", "prefers-color-scheme: dark", "claim before the turn", "60 MiB", "sold out"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if n := strings.Count(page, "<svg"); n != 7 {
		t.Errorf("%d charts, want 7", n)
	}
}

func TestChartsAreWellFormedAndInsideTheirPlane(t *testing.T) {
	charts := append(sampleReport().Charts(), Report{}.Charts()...)
	number := regexp.MustCompile(`[ML](-?[0-9.]+) (-?[0-9.]+)`)
	for _, c := range charts {
		d := xml.NewDecoder(strings.NewReader(string(c.SVG())))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v\n%s", c.Title, err, c.SVG())
			}
		}
		for _, m := range number.FindAllStringSubmatch(string(c.SVG()), -1) {
			var x, y float64
			if json.Unmarshal([]byte(m[1]), &x) != nil || json.Unmarshal([]byte(m[2]), &y) != nil {
				t.Fatalf("%s: point %v", c.Title, m)
			}
			if x < chartLeft-0.1 || x > chartWidth-chartRight+0.1 || y < chartTop-0.1 || y > chartHeight-chartBottom+0.1 {
				t.Errorf("%s: point %g %g is outside the plane", c.Title, x, y)
			}
		}
	}
}

func TestTheReportIsSavedAsPageAndJSON(t *testing.T) {
	path := filepath.Join(t.TempDir(), "demo-report.html")
	want := sampleReport()
	for range 2 { // a second run replaces the first
		if err := want.Save(path); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(strings.TrimSuffix(path, ".html") + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var got Report
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if got.Name != want.Name || len(got.Timeline) != len(want.Timeline) || len(got.Verdicts) != 3 {
		t.Errorf("read back %+v", got)
	}
	if strings.Contains(string(text), "database_url") || strings.Contains(string(text), "secret") {
		t.Error("the report tells where the secrets are")
	}
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(files) != 2 {
		t.Errorf("%d files, want 2 (%v)", len(files), err)
	}
}

func TestLatenciesKeepTheirTail(t *testing.T) {
	rec := NewRecorder(time.Now())
	for i := range 10_000 {
		rec.Took(OpHold, time.Duration(i+1)*100*time.Microsecond)
	}
	rec.Took(OpHold, time.Hour) // beyond the range: clamped, not lost
	l := rec.Latencies()[0]
	for name, c := range map[string]struct{ got, want float64 }{
		"p50": {l.P50, 500}, "p90": {l.P90, 900}, "p99": {l.P99, 990}, "p99.9": {l.P999, 999}, "max": {l.Max, 120_000},
	} {
		if math.Abs(c.got-c.want) > c.want/100 {
			t.Errorf("%s is %g ms, want about %g", name, c.got, c.want)
		}
	}
	if l.Count != 10_001 {
		t.Errorf("%d recorded", l.Count)
	}
}

func TestPurchasesASecondAreCountedFromTheFirstToTheLast(t *testing.T) {
	var line []Sample
	for _, n := range []int64{0, 0, 10, 0, 30, 20, 0, 0, 0} {
		line = append(line, Sample{Purchases: n})
	}
	if mean, best := purchaseRate(line); mean != 15 || best != 30 {
		t.Errorf("%g and %d, want 15 and 30", mean, best)
	}
	if mean, best := purchaseRate(nil); mean != 0 || best != 0 {
		t.Errorf("%g and %d of nothing", mean, best)
	}
}

func TestProcessesAreFollowedWithTheirChildren(t *testing.T) {
	w := Follow([]string{"self", "nobody"}, map[string]int{"self": os.Getpid(), "nobody": 1 << 30})
	time.Sleep(50 * time.Millisecond)
	all := w.Stop()
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("no /proc here")
	}
	if len(all) != 1 || all[0].Name != "self" || all[0].Memory < 1<<20 || all[0].Peak < all[0].Memory || all[0].PIDs < 1 {
		t.Errorf("followed %+v", all)
	}
}
