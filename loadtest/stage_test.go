package loadtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"fairgate/core/db"
	"fairgate/core/db/dbtest"
	"fairgate/core/inventory/history"
	"fairgate/core/inventory/proof"

	"go.yaml.in/yaml/v3"
)

// stageEvent is what the stages sell: 60 places to stand and 40 seats, for holds of 10 s and windows of 2 s. The pace makes the sale
// last some seconds, so that something can happen in the middle of it.
const stageEvent = `id: evening
name: An Evening
organizer: somebody
venue: {name: Hall, city: Valencia, country: ES}
time_zone: Europe/Madrid
starts_at: 2031-06-12T21:00:00+02:00
currency: EUR
tiers:
  - {id: floor, name: Floor, kind: general, price: "30.00", capacity: 60}
  - {id: lower, name: Lower ring, kind: seated, price: "45.50"}
seating:
  sections:
    - {id: "101", tier: lower, rows: [{row: A-D, seats: 10}]}
fees: {per_ticket: "1.50", percent: 5}
taxes: {percent: 10, included: true}
limits: {per_buyer: 4, per_device: 100, per_card: 100}
tour: {id: spring, per_device: 100, per_card: 100}
hold: {ttl: 10s, payment_extension: 10s}
on_sale: {joining_before: 30s, window: 2s, session_ttl: 60s, claim_within: 6s, max_inside: 60, pace_per_second: 15}
`

const stageSlug = "evening"

// stage is a deployment of real processes on loopback for one test, over a database of its own. The buyers do not talk to the edges
// but to a tap before each, which notes what they are told. Everything is killed when the test ends, however it ends.
type stage struct {
	t      *testing.T
	dir    string
	db     *db.DB
	paysim *child
	cores  []*child
	edges  []*child
	notes  *notes
	public []string           // base URLs of the edges
	taps   []*httptest.Server // one per edge
	admin  []string           // base URLs of the cores' admin listeners
	metric []string           // of their private ones
	inner  []string           // of their edge listeners
	outer  []string           // of the edges themselves, past the taps
}

// stageConfig is what differs between stages. The zero value is one core and two edges that behave.
type stageConfig struct {
	cores  int
	faults map[string]any // of paysim
	// urls are how each edge calls the edge listeners of the cores, given their addresses; nil for plain URLs.
	urls func(edge int, addresses []string) []string
	edge map[string]any // more of the edges' configuration
	from []string       // origins at which browsers are that do not go to the edges themselves
}

const stageEdges = 2

// newStage prepares a stage on which nothing runs yet.
func newStage(t *testing.T, c stageConfig) *stage {
	t.Helper()
	s := &stage{t: t, dir: t.TempDir(), db: dbtest.New(t), notes: newNotes()}
	bin := programs(t)
	c.cores = max(c.cores, 1)
	type m = map[string]any
	key, secret := "sk_test_"+rand.Text(), "whsec_"+rand.Text()
	sim, toEdge, toWebhook := freePort(t), make([]string, c.cores), make([]string, c.cores)
	for i := range c.cores {
		admin, private := freePort(t), freePort(t)
		toEdge[i], toWebhook[i] = freePort(t), freePort(t)
		s.admin, s.metric = append(s.admin, "http://"+admin), append(s.metric, "http://"+private)
		s.cores = append(s.cores, s.process(bin, "fairgate-core", fmt.Sprintf("core%d", i+1), "http://"+private+"/readyz", m{
			"listen":   m{"edge": toEdge[i], "admin": admin, "webhook": toWebhook[i], "private": private},
			"database": m{"url": s.db.Pool.Config().ConnString(), "max_conns": 12},
			"secrets":  m{"dir": s.file("secrets")},
			"checkout": m{"lookup_after": "1s", "outbox_workers": 32, "outbox_lease": "3s"},
			"payment": m{"stripe": m{
				"base_url": "http://" + sim, "pay_url": "http://" + sim, "secret_key": key, "publishable_key": "pk_test_stage",
				"webhook_secret": secret, "rate_per_second": 500, "endpoint_rate_per_second": 500,
			}},
			"fraud":   m{"rules": m{"accounts_per_card": m{"verdict": "off"}, "payments_per_card": m{"verdict": "off"}, "payments_per_address": m{"verdict": "off"}}},
			"access":  m{"polls_per_second": 5000, "poll_min": "500ms", "poll_max": "2s"},
			"history": m{"file": s.file(fmt.Sprintf("core%d.jsonl", i+1))},
			"log":     m{"level": "info"},
		}))
	}
	s.inner = plainURLs(toEdge)
	var webhooks string
	for i := range stageEdges {
		urls := plainURLs(toEdge)
		if c.urls != nil {
			urls = c.urls(i, toEdge)
		}
		public, private := freePort(t), freePort(t)
		// The provider knows the last edge, and that one the webhook listener of the first core.
		webhooks = "http://" + public + "/webhooks/stripe"
		config := m{
			"listen": public, "private_listen": private, "on_doubt": "wait", "trusted_proxies": []string{"127.0.0.0/8"},
			"core":    m{"urls": urls, "secret_file": s.file("secrets/edge.secret"), "webhook_url": "http://" + toWebhook[0]},
			"cookies": m{"secure": false},
		}
		maps.Copy(config, c.edge)
		s.edges = append(s.edges, s.process(bin, "fairgate-edge", fmt.Sprintf("edge%d", i+1), "http://"+private+"/readyz", config))
		s.public = append(s.public, "http://"+public)
		s.outer = append(s.outer, "http://"+public)
		tap := newTap(s.notes, i, "http://"+public)
		t.Cleanup(tap.Close)
		s.taps = append(s.taps, tap)
	}
	s.paysim = s.process(bin, "paysim", "paysim", "http://"+sim+"/_paysim/health", m{
		"listen": sim, "webhook_url": webhooks, "secret_key": key, "webhook_secret": secret, "rate": 1000, "log_level": "warn", "faults": c.faults,
		"frame_ancestors": append(slices.Clone(s.outer), c.from...),
	})
	return s
}

func plainURLs(addresses []string) []string {
	var all []string
	for _, a := range addresses {
		all = append(all, "http://"+a)
	}
	return all
}

// process writes the configuration of a process, which then may be started.
func (s *stage) process(bin, program, name, ready string, config map[string]any) *child {
	s.t.Helper()
	text, err := yaml.Marshal(config)
	if err != nil {
		s.t.Fatal(err)
	}
	path := s.file(name + ".yaml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		s.t.Fatal(err)
	}
	p := &child{t: s.t, name: name, program: filepath.Join(bin, program), config: path, ready: ready, log: s.file(name + ".log")}
	s.t.Cleanup(p.end)
	return p
}

func (s *stage) file(name string) string { return filepath.Join(s.dir, name) }

// start starts everything that does not run yet and applies the event.
func (s *stage) start() {
	s.t.Helper()
	s.startCore(0) // it makes the secrets that edges read
	for _, p := range append(s.cores[1:len(s.cores):len(s.cores)], s.edges...) {
		p.launch()
	}
	for _, p := range append(s.cores[1:len(s.cores):len(s.cores)], s.edges...) {
		p.await()
	}
}

// startCore starts the provider and one core, if they do not run yet, and applies the event.
func (s *stage) startCore(i int) {
	s.t.Helper()
	s.paysim.launch()
	s.cores[i].launch()
	s.paysim.await()
	s.cores[i].await()
	if err := s.operator(i).Apply(s.t.Context(), []byte(stageEvent)); err != nil {
		s.t.Fatal(err)
	}
}

// operator speaks to the admin listener of a core.
func (s *stage) operator(core int) *Admin {
	s.t.Helper()
	a, err := NewAdmin(s.admin[core], s.file("secrets/admin.secret"))
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

// plan is a small on-sale against this stage that opens five seconds after it is prepared. The audit asks the last core.
func (s *stage) plan(buyers, bots int) Plan {
	p := DefaultPlan()
	p.Name, p.Event, p.Seed = s.t.Name(), stageSlug, 7
	p.Targets = Targets{
		Core: s.admin[len(s.admin)-1], AdminSecretFile: s.file("secrets/admin.secret"),
		Paysim: strings.TrimSuffix(s.paysim.ready, "/_paysim/health"), DatabaseURL: s.db.Pool.Config().ConnString(),
	}
	for _, tap := range s.taps {
		p.Targets.Edges = append(p.Targets.Edges, tap.URL)
	}
	p.Opening.In = Duration(5 * time.Second)
	p.Arrivals = []ArrivalPlan{
		{From: Duration(-3 * time.Second), To: Duration(-time.Second), Share: 0.4, Shape: ShapeRamp},
		{From: Duration(-time.Second), To: Duration(time.Second), Share: 0.4, Shape: ShapePoisson},
		{From: Duration(time.Second), To: Duration(2 * time.Second), Share: 0.2, Shape: ShapePoisson},
	}
	quick := Duration(250 * time.Millisecond)
	p.Buyers.Count, p.Buyers.Think = buyers, ThinkPlan{Choose: quick, Fill: quick, Card: quick}
	p.Buyers.Abandon.Admitted = 0 // such people are waited for, and the sale would last longer than the test
	p.Bots.Tabs, p.Bots.Fresh, p.Bots.Hammer = bots/5, bots/10, bots/5
	p.Bots.Skipper = (bots - p.Bots.Count()) / 2
	p.Bots.Thief = bots - p.Bots.Count()
	p.Bots.TabJoins, p.Bots.FreshEach, p.Bots.TryEvery = 10, 5, Duration(500*time.Millisecond)
	p.Limits.Duration, p.Limits.Settle, p.Limits.MaxConnections = Duration(9*time.Second), Duration(25*time.Second), 200
	return p
}

// play runs a plan to its end, with whatever happens meanwhile, and audits. It fails the test unless the audit is clean.
func (s *stage) play(plan Plan, meanwhile func(ctx context.Context, r *Rehearsal)) *Rehearsal {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	r, err := New(plan, discard())
	if err == nil {
		err = r.Prepare(ctx)
	}
	record := s.record(r)
	if err != nil {
		cancel()
		s.t.Fatal(err)
	}
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	done := make(chan error, 1)
	running.Go(func() { done <- r.Run(ctx, nil) })
	if meanwhile != nil {
		meanwhile(ctx, r)
	}
	if err := <-done; err != nil {
		s.t.Fatal(err)
	}
	ended := time.Since(r.Opening())
	s.audit(ctx, r)
	s.prove(record)
	s.t.Logf("the last buyer left %.1f s after the opening, the audit took %.1f s", ended.Seconds(), (time.Since(r.Opening()) - ended).Seconds())
	return r
}

// record has the buyers keep a history. It is ended by prove, or with the test.
func (s *stage) record(r *Rehearsal) *history.Recorder {
	s.t.Helper()
	record, err := history.Open(history.Config{Path: s.file("buyers.jsonl"), Side: history.Client})
	if err != nil {
		s.t.Fatal(err)
	}
	r.Record(record)
	return record
}

// prove judges the histories of the buyers and of all cores together. It fails the test unless they are proved.
func (s *stage) prove(record *history.Recorder) {
	s.t.Helper()
	if err := record.Close(); err != nil {
		s.t.Fatal(err)
	}
	files := []string{s.file("buyers.jsonl")}
	for _, c := range s.cores {
		if path := strings.TrimSuffix(c.config, ".yaml") + ".jsonl"; c.gone != nil {
			files = append(files, path)
		}
	}
	s.judge(files[:1]) // what buyers were told must make sense for itself
	h := s.judge(files)
	sales := 0
	for _, c := range h.Calls {
		for _, o := range c.Ops {
			if o.Do == history.Sell && c.Side == history.Core {
				sales++
			}
		}
	}
	if sales == 0 {
		s.t.Error("there is no sale in the cores' histories")
	}
}

func (s *stage) judge(files []string) *history.History {
	s.t.Helper()
	h, err := history.Read(files...)
	if err != nil {
		s.t.Fatal(err)
	}
	v, err := proof.Prove(h, proof.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, c := range v.Checks {
		s.t.Logf("%d histories, %s: %d checked, %d wrong", len(files), c.Name, c.Checked, c.Wrong)
	}
	if !v.Passed {
		s.t.Errorf("%d histories are not proved:\n%s", len(files), strings.Join(v.Failures(), "\n"))
	}
	return h
}

func (s *stage) audit(ctx context.Context, r *Rehearsal) {
	s.t.Helper()
	verdicts, err := r.Audit(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Logf("buyers ended %v", r.Recorder().Outcomes())
	for op, codes := range r.Recorder().Answers() {
		maps.DeleteFunc(codes, func(code string, _ int64) bool { return code == "ok" || code == "not_modified" })
		if len(codes) > 0 {
			s.t.Logf("%s was also answered %v", op, codes)
		}
	}
	for _, v := range verdicts {
		s.t.Log(v)
		if !v.Passed {
			s.t.Errorf("%s: %d checked, %d wrong:\n%s", v.Name, v.Checked, v.Found, strings.Join(v.Failures, "\n"))
		}
	}
	if len(verdicts) != len((&evidence{witness: NewWitness()}).judge()) {
		s.t.Errorf("the audit answered %d questions", len(verdicts))
	}
	if r.Recorder().Outcomes()[outcomeBought] == 0 {
		s.t.Error("nobody bought anything")
	}
}

// until waits for something to become true, at most for the given time.
func (s *stage) until(ctx context.Context, what string, atMost time.Duration, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(atMost); !ok(); {
		if time.Now().After(end) || ctx.Err() != nil {
			s.t.Fatalf("waited %s in vain until %s", atMost, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// count is the first column of a query's only row, as the database has it now.
func (s *stage) count(sql string, args ...any) int64 {
	s.t.Helper()
	var n int64
	if err := s.db.Reader.QueryRow(s.t.Context(), sql, args...).Scan(&n); err != nil {
		s.t.Fatal(err)
	}
	return n
}

// metricOf reads one metric of a core; 0 when it is not there.
func (s *stage) metricOf(core int, name string) float64 {
	s.t.Helper()
	resp, err := http.Get(s.metric[core] + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				s.t.Fatal(err)
			}
			return n
		}
	}
	return 0
}
