package inventory_test

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"fairgate/core/db/dbtest"
	"fairgate/core/inventory"
)

// layout is how the world's seats are arranged, read from the table as it is when the revision is asked for.
func (w *world) layout(revision int64) *inventory.Layout {
	w.t.Helper()
	l := &inventory.Layout{Revision: revision, Allocation: "general", Tiers: slices.Sorted(maps.Keys(w.offer.Tiers))}
	rows, err := w.db.Pool.Query(w.ctx, `SELECT section, row_label, number FROM seats WHERE event_id = $1 ORDER BY section, row_label, number`, w.event)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var section, row string
		var number int64
		if err := rows.Scan(&section, &row, &number); err != nil {
			w.t.Fatal(err)
		}
		if n := len(l.Sections); n == 0 || l.Sections[n-1].ID != section {
			l.Sections = append(l.Sections, inventory.LayoutSection{ID: section, Tier: "lower"})
		}
		s := &l.Sections[len(l.Sections)-1]
		if n := len(s.Rows); n == 0 || s.Rows[n-1].Label != row || s.Rows[n-1].Last+1 != number {
			s.Rows = append(s.Rows, inventory.LayoutRow{Label: row, First: number, Last: number})
		}
		s.Rows[len(s.Rows)-1].Last = number
	}
	if err := rows.Err(); err != nil {
		w.t.Fatal(err)
	}
	return l
}

// feed runs a feed of the world until the test, or the returned function, ends it. change alters the configuration.
func (w *world) feed(change func(*inventory.FeedConfig)) (*inventory.Feed, func()) {
	w.t.Helper()
	layout := w.layout(1)
	cfg := inventory.FeedConfig{
		Every: 10 * time.Millisecond, Least: time.Millisecond, Sold: 10 * time.Millisecond, Log: slog.New(slog.DiscardHandler),
		Layouts: func(_ context.Context, event uuid.UUID) (*inventory.Layout, error) {
			if event != w.event {
				return nil, errNotOurs
			}
			return layout, nil
		},
	}
	if change != nil {
		change(&cfg)
	}
	f := inventory.NewFeed(w.db, cfg)
	ctx, cancel := context.WithCancel(w.ctx)
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			w.t.Errorf("the feed ended with %v", err)
		}
	})
	w.t.Cleanup(stop)
	return f, stop
}

var errNotOurs = errors.New("not our event")

type count struct {
	ID   string `json:"id"`
	Left int64  `json:"left"`
}

// reader follows an event as an edge does and keeps what it was told.
type reader struct {
	f         *inventory.Feed
	event     uuid.UUID
	id        string
	geometry  string
	states    []byte
	left      map[string]int64 // by "tier floor" or "section A"
	snapshots int
	deltas    int
}

// fork is another reader who has seen as much.
func (r *reader) fork() *reader {
	other := *r
	other.states, other.left = slices.Clone(r.states), maps.Clone(r.left)
	return &other
}

// poll takes over what is new; it fails on anything that does not follow from what it had.
func (r *reader) poll() error {
	news, ok, err := r.f.News(r.event, r.id)
	if err != nil || !ok {
		return err
	}
	_, seen, _ := strings.Cut(r.id, "-")
	last, _ := strconv.ParseUint(seen, 10, 64)
	if news.Snapshot != nil {
		var s struct {
			ID, Geometry, States string
			Sections, Tiers      []count
		}
		if err := json.Unmarshal(news.Snapshot, &s); err != nil {
			return fmt.Errorf("%s: %w", news.Snapshot, err)
		}
		if s.ID != fmt.Sprintf("%s-%d", news.Epoch, news.Seq) || s.Geometry != news.Geometry {
			return fmt.Errorf("snapshot %s of %s comes as number %d", s.ID, s.Geometry, news.Seq)
		}
		if r.states, err = base64.StdEncoding.DecodeString(s.States); err != nil {
			return err
		}
		r.snapshots++
		r.geometry, r.left = s.Geometry, map[string]int64{}
		r.take(s.Sections, s.Tiers)
		r.id = s.ID
		return nil
	}
	for _, d := range news.Deltas {
		if d.Seq != last+1 {
			return fmt.Errorf("delta %d follows %d", d.Seq, last)
		}
		last = d.Seq
		r.deltas++
		if err := r.apply(d.JSON); err != nil {
			return fmt.Errorf("%s: %w", d.JSON, err)
		}
	}
	if last != news.Seq {
		return fmt.Errorf("the deltas end at %d of %d", last, news.Seq)
	}
	r.id = fmt.Sprintf("%s-%d", news.Epoch, last)
	return nil
}

func (r *reader) apply(text []byte) error {
	var d struct {
		Free, Held, Sold, Closed []uint32
		Sections, Tiers          []count
	}
	if err := json.Unmarshal(text, &d); err != nil {
		return err
	}
	for state, ordinals := range [][]uint32{d.Free, d.Held, d.Sold, d.Closed} {
		for _, n := range ordinals {
			if int(r.states[n/4]>>(2*(n%4))&3) == state {
				return fmt.Errorf("seat %d is in state %d already", n, state)
			}
			r.states[n/4] = r.states[n/4]&^(3<<(2*(n%4))) | byte(state)<<(2*(n%4))
		}
	}
	r.take(d.Sections, d.Tiers)
	return nil
}

func (r *reader) take(sections, tiers []count) {
	for _, c := range sections {
		r.left["section "+c.ID] = c.Left
	}
	for _, c := range tiers {
		r.left["tier "+c.ID] = c.Left
	}
}

// truth is what the tables say, in the order of the layout, as a reader should have it.
func (w *world) truth() (states []byte, left map[string]int64) {
	w.t.Helper()
	left = map[string]int64{}
	for tier := range w.offer.Tiers {
		left["tier "+tier] = 0
	}
	tx, err := w.db.Reader.Begin(w.ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	defer tx.Rollback(w.ctx)
	var tier, section, allocation, state string
	var n int64
	w.each(tx, `SELECT tier, capacity - taken FROM stock WHERE event_id = $1 AND allocation = 'general'`, []any{&tier, &n}, func() { left["tier "+tier] = n })
	ordinal := 0
	w.each(tx, `SELECT section, allocation, state FROM seats WHERE event_id = $1 ORDER BY section, row_label, number`, []any{&section, &allocation, &state}, func() {
		code := map[string]byte{"free": 0, "held": 1, "sold": 2, "blocked": 3}[state]
		if allocation != "general" {
			code = 3
		}
		if ordinal%4 == 0 {
			states = append(states, 0)
		}
		states[ordinal/4] |= code << (2 * (ordinal % 4))
		left["section "+section] += 0
		if code == 0 {
			left["section "+section]++
		}
		ordinal++
	})
	return states, left
}

// agrees waits until a reader has what the tables say.
func (w *world) agrees(r *reader) {
	w.t.Helper()
	var why string
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		if err := r.poll(); err != nil {
			w.t.Fatal(err)
		}
		states, left := w.truth()
		if bytes.Equal(states, r.states) && fmt.Sprint(left) == fmt.Sprint(r.left) {
			return
		}
		why = fmt.Sprintf("table %x %v\nreader %x %v", states, left, r.states, r.left)
		if time.Now().After(deadline) {
			w.t.Fatalf("they never agreed:\n%s", why)
		}
	}
}

func TestAReaderSeesWhatIsHeldSoldAndGivenBackAtAnyCore(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	f, _ := w.feed(nil)
	one, other := w.service(inventory.Hooks{}), w.service(inventory.Hooks{})
	r := &reader{f: f, event: w.event}
	w.agrees(r)
	if r.snapshots != 1 || r.states[0] != 0 || r.states[1]&15 != 15 { // A/1/5 is the house's, A/1/6 is blocked
		t.Errorf("%d snapshots, states %x", r.snapshots, r.states)
	}
	first := w.mustHold(one, seats("A/1/1", "A/1/2"), general("floor", 2))
	w.agrees(r)
	second := w.mustHold(other, seats("A/1/4"), general("pit", 1))
	w.agrees(r)
	w.sell(first.ID)
	w.agrees(r)
	if r.states[0]&15 != 10 {
		t.Errorf("sold seats show as %x", r.states)
	}
	if _, err := one.Release(w.ctx, second.ID, second.Entrant); err != nil {
		t.Fatal(err)
	}
	w.unsell(first.ID)
	w.agrees(r)
	if r.snapshots != 1 || r.deltas < 4 {
		t.Errorf("%d snapshots and %d deltas", r.snapshots, r.deltas)
	}
	w.mustAudit()
}

func TestWhateverIsCommittedDeltasFromAnyPointLeadToTheTable(t *testing.T) {
	d := dbtest.New(t)
	resumed, fresh := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, d)
		w.offer.Limit = 5
		// Half of the time the ring is so short that readers fall out of it.
		f, stop := w.feed(func(c *inventory.FeedConfig) { c.Ring = rapid.SampledFrom([]int{2, 256}).Draw(rt, "ring") })
		defer stop()
		cores := []*inventory.Service{w.service(inventory.Hooks{}), w.service(inventory.Hooks{})}
		defer cores[0].Close()
		defer cores[1].Close()
		first := &reader{f: f, event: w.event}
		w.agrees(first)
		points := []*reader{first.fork()} // places at which somebody lost the connection
		var mu sync.Mutex
		var known []inventory.Hold
		for range rapid.IntRange(1, 5).Draw(rt, "rounds") {
			slices.SortFunc(known, func(a, b inventory.Hold) int { return cmp.Compare(a.ID.String(), b.ID.String()) })
			deeds := make([]deed, rapid.IntRange(1, 6).Draw(rt, "deeds"))
			for i := range deeds {
				deeds[i] = drawDeed(rt, w, known)
			}
			var running sync.WaitGroup
			for _, one := range deeds {
				running.Go(func() {
					err := w.do(cores, one, func(h inventory.Hold) {
						mu.Lock()
						defer mu.Unlock()
						if !slices.ContainsFunc(known, func(k inventory.Hold) bool { return k.ID == h.ID }) {
							known = append(known, h)
						}
					})
					if err != nil {
						t.Errorf("%v: %v", one, err)
					}
				})
			}
			if rapid.Bool().Draw(rt, "poll meanwhile") {
				if err := first.poll(); err != nil {
					rt.Fatal(err)
				}
			}
			running.Wait()
			points = append(points, first.fork())
		}
		w.agrees(first)
		for i := range points {
			before := points[i].snapshots
			w.agrees(points[i])
			if points[i].snapshots == before {
				resumed++
			} else {
				fresh++
			}
			if points[i].id != first.id { // the feed has gone on meanwhile
				w.agrees(first)
				w.agrees(points[i])
			}
			if points[i].id != first.id {
				rt.Fatalf("the reader of %d is at %s, the first one at %s", i, points[i].id, first.id)
			}
		}
	})
	t.Logf("%d readers resumed, %d got a snapshot", resumed, fresh)
	if resumed == 0 || fresh == 0 {
		t.Error("one of the two ways was never taken")
	}
}

func TestAGapInTheLogMakesAFreshSnapshot(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	f, _ := w.feed(nil)
	s := w.service(inventory.Hooks{})
	r := &reader{f: f, event: w.event}
	w.agrees(r)
	epoch, _, _ := strings.Cut(r.id, "-")
	// An operator blocks a seat by hand: the stock row counts on, the log has nothing.
	w.exec(`UPDATE seats SET state = 'blocked' WHERE event_id = $1 AND seat = 'A/1/3'`, w.event)
	w.exec(`UPDATE stock SET version = version + 1 WHERE event_id = $1 AND tier = 'lower' AND allocation = 'general'`, w.event)
	w.agrees(r)
	if now, _, _ := strings.Cut(r.id, "-"); r.snapshots != 2 || now == epoch {
		t.Errorf("%d snapshots, epoch %s after %s", r.snapshots, now, epoch)
	}
	w.mustHold(s, seats("A/1/2"))
	w.agrees(r)
	// What the house gives back moves capacity from row to row.
	w.exec(`UPDATE seats SET allocation = 'general' WHERE event_id = $1 AND seat = 'A/1/5'`, w.event)
	w.exec(`UPDATE stock SET capacity = capacity + CASE allocation WHEN 'general' THEN 1 ELSE -1 END, version = version + 1 WHERE event_id = $1 AND tier = 'lower'`, w.event)
	w.agrees(r)
	// Old rows of the log go; who follows is not disturbed.
	w.exec(`DELETE FROM seat_log WHERE event_id = $1`, w.event)
	before := r.snapshots
	w.mustHold(s, seats("A/1/1"))
	w.agrees(r)
	if r.snapshots != before {
		t.Errorf("%d snapshots more", r.snapshots-before)
	}
}

func TestAnotherFileOrAnotherProcessIsAnotherEpoch(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	var mu sync.Mutex
	layout := w.layout(1)
	change := func(c *inventory.FeedConfig) {
		c.Layouts = func(context.Context, uuid.UUID) (*inventory.Layout, error) {
			mu.Lock()
			defer mu.Unlock()
			return layout, nil
		}
	}
	f, _ := w.feed(change)
	r := &reader{f: f, event: w.event}
	w.agrees(r)
	old, err := f.Geometry(t.Context(), w.event, r.geometry)
	if err != nil || old.Hash != r.geometry || !json.Valid(old.JSON) {
		t.Fatalf("%v, %v", old, err)
	}
	w.addSeat("B/1/1", "general", "free")
	w.exec(`UPDATE stock SET capacity = capacity + 1, version = version + 1 WHERE event_id = $1 AND tier = 'lower' AND allocation = 'general'`, w.event)
	mu.Lock()
	layout = w.layout(2)
	mu.Unlock()
	w.agrees(r)
	if r.geometry == old.Hash {
		t.Error("the geometry is the old one")
	}
	if again, err := f.Geometry(t.Context(), w.event, old.Hash); err != nil || !bytes.Equal(again.JSON, old.JSON) {
		t.Errorf("the geometry of a moment ago: %v", err)
	}
	if _, err := f.Geometry(t.Context(), w.event, "0123"); !errors.Is(err, inventory.ErrGeometryUnknown) {
		t.Errorf("a geometry nobody made: %v", err)
	}
	second, _ := w.feed(change)
	elsewhere := r.fork()
	elsewhere.f = second
	w.eventually("the other feed answers", func() bool { return elsewhere.poll() != nil || elsewhere.id != r.id })
	w.agrees(elsewhere)
	if elsewhere.snapshots != r.snapshots+1 || elsewhere.geometry != r.geometry {
		t.Errorf("another process resumed: %+v", elsewhere)
	}
}

func TestAFeedWatchesOnlyWhatIsAskedForAndOnlySoMuch(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	layout := w.layout(1)
	f, _ := w.feed(func(c *inventory.FeedConfig) {
		c.Events = 2
		c.Layouts = func(_ context.Context, event uuid.UUID) (*inventory.Layout, error) {
			if event == uuid.Nil {
				return nil, errNotOurs
			}
			return layout, nil
		}
	})
	if _, _, err := f.Snapshot(t.Context(), uuid.Nil); !errors.Is(err, errNotOurs) {
		t.Errorf("an unknown event: %v", err)
	}
	if _, _, err := f.Snapshot(t.Context(), w.event); err != nil {
		t.Error(err)
	}
	if _, _, err := f.Snapshot(t.Context(), uuid.New()); !errors.Is(err, inventory.ErrFeedFull) {
		t.Errorf("a third event to look at: %v", err)
	}
	for range 2 {
		if _, _, err := f.News(uuid.New(), ""); err != nil {
			t.Errorf("those who follow push out those who look: %v", err)
		}
	}
	if _, _, err := f.News(uuid.New(), ""); !errors.Is(err, inventory.ErrFeedFull) {
		t.Errorf("a third event to follow: %v", err)
	}
	quick, _ := w.feed(func(c *inventory.FeedConfig) { c.Idle = 30 * time.Millisecond })
	first, _, err := quick.Snapshot(t.Context(), w.event)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond)
	again, _, err := quick.Snapshot(t.Context(), w.event)
	if err != nil || first == again {
		t.Errorf("it was watched all the time: %s, %s, %v", first, again, err)
	}
}

// stadium is a world of 80,000 seats more, in 160 sections of 20 rows of 25.
func (w *world) stadium() {
	w.exec(`INSERT INTO seats (event_id, seat, section, row_label, number, tier, allocation, state)
		SELECT $1, s || '/' || r || '/' || n, s::TEXT, r::TEXT, n, 'lower', 'general', 'free'
		FROM generate_series(101, 260) AS s, generate_series(1, 20) AS r, generate_series(1, 25) AS n`, w.event)
	w.exec(`UPDATE stock SET capacity = capacity + 80000 WHERE event_id = $1 AND tier = 'lower' AND allocation = 'general'`, w.event)
}

func TestAStadiumIsSmall(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	w.stadium()
	f, _ := w.feed(nil)
	began := time.Now()
	_, snapshot, err := f.Snapshot(t.Context(), w.event)
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	var s struct{ Geometry, States string }
	if err := json.Unmarshal(snapshot, &s); err != nil {
		t.Fatal(err)
	}
	raw, _ := base64.StdEncoding.DecodeString(s.States)
	g, err := f.Geometry(t.Context(), w.event, s.Geometry)
	if err != nil {
		t.Fatal(err)
	}
	r := &reader{f: f, event: w.event}
	w.agrees(r)
	service := w.service(inventory.Hooks{})
	w.mustHold(service, seats("150/7/11", "150/7/12", "150/7/13", "150/7/14"))
	before := r.id
	w.agrees(r)
	news, _, err := f.News(w.event, before)
	if err != nil || len(news.Deltas) == 0 {
		t.Fatalf("%+v, %v", news, err)
	}
	t.Logf("80,006 seats: states %d bytes, snapshot %d, geometry %d raw and %d gzip, delta of four seats %d; loaded in %v",
		len(raw), len(snapshot), len(g.JSON), zipped(t, g.JSON), len(news.Deltas[0].JSON), took.Round(time.Millisecond))
	if len(raw) != 20002 || len(snapshot) > 40_000 || len(g.JSON) > 64_000 || len(news.Deltas[0].JSON) > 200 {
		t.Error("that is more than was promised")
	}
}

func zipped(t testing.TB, text []byte) int {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Len()
}

func TestOldRowsOfTheSeatLogAreDeleted(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	s := w.service(inventory.Hooks{})
	w.mustHold(s, seats("A/1/1"))
	// More than one page of old rows.
	w.exec(`INSERT INTO seat_log (event_id, tier, allocation, version, changes, at)
		SELECT $1, 'lower', 'other', n, '', now() - INTERVAL '1 hour' FROM generate_series(1, 2500) AS n`, w.event)
	rows := func() (n int) {
		if err := w.db.Pool.QueryRow(w.ctx, `SELECT count(*) FROM seat_log WHERE event_id = $1`, w.event).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	w.run(s)
	w.eventually("only the row of just now is left", func() bool { return rows() == 1 })
	w.mustAudit()
}
