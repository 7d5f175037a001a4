package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/core/db/dbtest"
	"fairgate/core/event"
)

const club = `id: %s
name: %s
organizer: cellar
venue: {name: The Cellar, city: Lisbon, country: PT}
time_zone: Europe/Lisbon
starts_at: %s
currency: EUR
tiers: [{id: door, name: Door, kind: general, price: 12, capacity: 100}]
`

// put applies a small event that starts in so many days.
func put(t *testing.T, s *event.Store, slug, name string, days int) {
	t.Helper()
	at := time.Now().UTC().AddDate(0, 0, days).Truncate(time.Second).Format(time.RFC3339)
	spec, err := event.Parse(fmt.Appendf(nil, club, slug, name, at))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Apply(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
}

func exec(t *testing.T, d *db.DB, sql string, args ...any) {
	t.Helper()
	if err := d.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, sql, args...)
		if err == nil && tag.RowsAffected() != 1 {
			t.Errorf("%s: %d rows", sql, tag.RowsAffected())
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// clock is a clock that a test moves.
type clock struct {
	mu  sync.Mutex
	off time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.off)
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off += d
}

// look runs one round and tells what a search for everything finds.
func look(t *testing.T, c *Catalog) string {
	t.Helper()
	if err := c.follow(t.Context()); err != nil {
		t.Fatal(err)
	}
	page, err := c.Search(&Query{Limit: 100, from: time.Unix(0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	if page.Total != len(page.Listings) || c.state.Load().Events() != page.Total {
		t.Errorf("%d found, %d counted, %d in the state", len(page.Listings), page.Total, c.state.Load().Events())
	}
	names := make([]string, len(page.Listings))
	for i, l := range page.Listings {
		names[i] = l.Slug + "=" + l.Name
	}
	return strings.Join(names, " ")
}

func TestTheCatalogFollowsTheTable(t *testing.T) {
	d := dbtest.New(t)
	s := event.NewStore(d, event.Options{})
	var heard []uint64
	time := &clock{}
	c := New(d, Config{Now: time.now, Changed: func(v uint64) { heard = append(heard, v) }})
	if _, err := c.Search(&Query{Limit: 1}); !errors.Is(err, ErrLoading) || c.Ready() || c.Version() != 0 {
		t.Errorf("before it is loaded: %v", err)
	}
	put(t, s, "b", "Second", 2)
	put(t, s, "past", "Past", -3)
	if got := look(t, c); got != "b=Second" || !c.Ready() {
		t.Errorf("loaded: %s", got)
	}
	put(t, s, "a", "First", 1)
	put(t, s, "b", "Later", 4)
	if got := look(t, c); got != "a=First b=Later" {
		t.Errorf("after changes: %s", got)
	}
	if n := len(heard); look(t, c) != "a=First b=Later" || len(heard) != n {
		t.Error("a round without news made a new state")
	}
	exec(t, d, `UPDATE catalog SET state = 'cancelled', revision = revision + 1, changed_at = clock_timestamp() WHERE slug = 'a'`)
	if got := look(t, c); got != "b=Later" {
		t.Errorf("after a cancellation: %s", got)
	}
	put(t, s, "b", "Over", -2)
	if got := look(t, c); got != "" {
		t.Errorf("after it moved into the past: %s", got)
	}
	if !slices.IsSorted(heard) || len(heard) != 4 || c.Version() != heard[3] {
		t.Errorf("versions %v", heard)
	}
	// Another core, or this one after a restart, knows the same, and its version can be compared.
	put(t, s, "c", "Third", 3)
	again := New(d, Config{})
	if look(t, again) != "c=Third" || look(t, c) != "c=Third" || again.Version() != c.Version() {
		t.Errorf("versions %d and %d", again.Version(), c.Version())
	}
}

func TestACommitThatOthersOvertookIsFound(t *testing.T) {
	d := dbtest.New(t)
	s := event.NewStore(d, event.Options{})
	clock := &clock{}
	c := New(d, Config{Now: clock.now, Reconcile: time.Minute})
	for _, slug := range []string{"a", "b", "c"} {
		put(t, s, slug, "Old", 1)
	}
	look(t, c)
	late := func(slug, name, ago string) {
		exec(t, d, `UPDATE catalog SET name = $2, revision = revision + 1,
			changed_at = (SELECT max(changed_at) FROM catalog) - $3::TEXT::INTERVAL WHERE slug = $1`, slug, name, ago)
	}
	late("a", "A little late", "2 seconds")
	if got := look(t, c); got != "a=A little late b=Old c=Old" {
		t.Errorf("a little late: %s", got)
	}
	late("b", "Much too late", "1 hour")
	if got := look(t, c); got != "a=A little late b=Old c=Old" {
		t.Errorf("much too late: %s", got)
	}
	clock.move(time.Minute)
	if got := look(t, c); got != "a=A little late b=Much too late c=Old" {
		t.Errorf("when everything is compared: %s", got)
	}
	exec(t, d, `DELETE FROM catalog WHERE slug = 'c'`)
	clock.move(time.Minute)
	if got := look(t, c); got != "a=A little late b=Much too late c=Old" {
		t.Errorf("missing once, which may be a copy that lags: %s", got)
	}
	clock.move(time.Minute)
	if got := look(t, c); got != "a=A little late b=Much too late" {
		t.Errorf("missing twice: %s", got)
	}
	clock.move(3 * 24 * time.Hour)
	if got := look(t, c); got != "" {
		t.Errorf("days later: %s", got)
	}
}

func TestManyPagesAreRead(t *testing.T) {
	d := dbtest.New(t)
	s := event.NewStore(d, event.Options{})
	c := New(d, Config{})
	at := time.Now().UTC().AddDate(0, 0, 1).Truncate(time.Second).Format(time.RFC3339)
	fill := func(from, to int) {
		for from < to {
			var batch []event.Spec
			for ; from < to && len(batch) < event.MaxBatch; from++ {
				spec, err := event.Parse(fmt.Appendf(nil, club, fmt.Sprintf("e%d", from), "Show", at))
				if err != nil {
					t.Fatal(err)
				}
				batch = append(batch, spec)
			}
			if _, err := s.ApplyAll(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
		}
	}
	fill(0, readRows+7)
	if err := c.follow(t.Context()); err != nil || c.state.Load().Events() != readRows+7 {
		t.Fatalf("loaded %d events, %v", c.state.Load().Events(), err)
	}
	fill(readRows+7, 2*readRows+9)
	if err := c.follow(t.Context()); err != nil || c.state.Load().Events() != 2*readRows+9 {
		t.Fatalf("followed to %d events, %v", c.state.Load().Events(), err)
	}
	if err := c.reconcile(t.Context()); err != nil || c.state.Load().Events() != 2*readRows+9 {
		t.Fatalf("compared: %d events, %v", c.state.Load().Events(), err)
	}
}

func TestRunServesWhatItKnowsWhileTheDatabaseIsAway(t *testing.T) {
	d := dbtest.New(t)
	s := event.NewStore(d, event.Options{})
	put(t, s, "a", "First", 1)
	own, err := db.Open(t.Context(), d.Pool.Config().ConnString(), db.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := New(own, Config{Refresh: 5 * time.Millisecond})
	ctx, stop := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { _ = c.Run(ctx) })
	defer done.Wait()
	defer stop()
	until(t, c.Ready)
	put(t, s, "b", "Second", 1)
	find := func() int {
		page, err := c.Search(&Query{Limit: 10, from: time.Unix(0, 0)})
		if err != nil {
			t.Fatal(err)
		}
		return page.Total
	}
	until(t, func() bool { return find() == 2 })
	before := failures.Get()
	own.Close()
	until(t, func() bool { return failures.Get() > before })
	if find() != 2 {
		t.Error("what was known is gone")
	}
}

func until(t *testing.T, yes func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !yes(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never happened")
		}
	}
}
