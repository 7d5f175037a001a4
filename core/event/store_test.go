package event_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/core/db/dbtest"
	"fairgate/core/event"
	"fairgate/edge/lottery"
)

func TestAnUnknownEventIsUnknownFromMemoryToo(t *testing.T) {
	d := dbtest.New(t)
	s := event.NewStore(d, event.Options{})
	for range 2 {
		if _, err := s.BySlug(t.Context(), "hall"); !errors.Is(err, event.ErrUnknown) {
			t.Errorf("got %v", err)
		}
	}
	for _, slug := range []string{"", "Hall", "hall/../other", strings.Repeat("x", 200)} {
		if _, err := s.BySlug(t.Context(), slug); !errors.Is(err, event.ErrUnknown) {
			t.Errorf("%q: got %v", slug, err)
		}
	}
	apply(t, s, edit(t, hall))
	if _, err := s.BySlug(t.Context(), "hall"); err != nil {
		t.Errorf("once applied: %v", err)
	}
}

func TestAChangeMadeElsewhereShowsWithinTheCachesTime(t *testing.T) {
	d := dbtest.New(t)
	var clock atomic.Int64
	now := func() time.Time { return time.Unix(0, clock.Load()) }
	here := event.NewStore(d, event.Options{Now: now, CacheTTL: 2 * time.Second})
	there := event.NewStore(d, event.Options{})
	apply(t, here, edit(t, hall))
	first, err := here.BySlug(t.Context(), "hall")
	if err != nil {
		t.Fatal(err)
	}
	apply(t, there, edit(t, hall, "name: Chamber Music", "name: Other Music"))
	clock.Store(int64(2*time.Second) - 1)
	if e, err := here.ByID(t.Context(), first.ID); err != nil || e != first {
		t.Errorf("before its time: %+v, %v", e, err)
	}
	clock.Store(int64(2 * time.Second))
	if e, err := here.ByID(t.Context(), first.ID); err != nil || e.Spec.Name != "Other Music" || first.Spec.Name != "Chamber Music" {
		t.Errorf("after its time: %+v, %v", e, err)
	}
}

func TestEventsAreListedByStartPageByPage(t *testing.T) {
	d := dbtest.New(t)
	s := event.NewStore(d, event.Options{})
	var want []string
	for i := range 7 { // three start at the same instant: the slug decides
		slug := fmt.Sprintf("show-%d", i)
		apply(t, s, edit(t, hall, "id: hall", "id: "+slug, "2027-06-12T20", fmt.Sprintf("2027-06-%02dT20", 12+max(0, i-2))))
		want = append(want, slug)
	}
	for _, limit := range []int{1, 2, 3, 7, 200, 0, -1, 1000} {
		var got []string
		pages := 0
		for after := ""; ; pages++ {
			events, next, err := s.List(t.Context(), after, limit)
			if err != nil || pages > 10 {
				t.Fatalf("page %d: %v", pages, err)
			}
			for _, e := range events {
				got = append(got, e.Slug)
			}
			if after = next; next == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("by %d: %v", limit, got)
		}
	}
	for _, after := range []string{"!", "aGFsbA", "LTUgaGFsbA", "NSBIYWxs"} {
		if _, _, err := s.List(t.Context(), after, 1); !errors.Is(err, event.ErrCursor) {
			t.Errorf("%q: got %v", after, err)
		}
	}
}

func TestSeatsAreListedInTheOrderOfTheFile(t *testing.T) {
	d := dbtest.New(t)
	s := event.NewStore(d, event.Options{})
	apply(t, s, edit(t, hall))
	sell(t, d, "stalls", "general", 0, "left/A/10")
	seats, err := s.Seats(t.Context(), "hall")
	if err != nil || len(seats) != 40 {
		t.Fatalf("%d seats, %v", len(seats), err)
	}
	if seats[1].ID != "left/A/2" || seats[1].State != "free" || seats[9].ID != "left/A/10" || seats[9].State != "sold" || seats[39].Allocation != "house" {
		t.Errorf("got %+v", seats)
	}
	if _, err := s.Seats(t.Context(), "nowhere"); !errors.Is(err, event.ErrUnknown) {
		t.Errorf("got %v", err)
	}
}

func TestSeatsOfALargeHouseAreReadInPages(t *testing.T) {
	d := dbtest.New(t)
	s := event.NewStore(d, event.Options{})
	apply(t, s, edit(t, hall, "{row: A-C, seats: 10}", "{row: A-C, seats: 1000}"))
	if seats, err := s.Seats(t.Context(), "hall"); err != nil || len(seats) != 3010 {
		t.Errorf("%d seats, %v", len(seats), err)
	}
}

func TestKeysAreMadeOnceAndHideTheirSecrets(t *testing.T) {
	d := dbtest.New(t)
	s := event.NewStore(d, event.Options{})
	if _, err := s.Keys(t.Context(), event.SessionPurpose, event.GlobalScope); !errors.Is(err, event.ErrNoKey) {
		t.Errorf("before: %v", err)
	}
	for range 2 {
		if err := s.EnsureGlobalKeys(t.Context(), event.SessionPurpose, event.TicketPurpose); err != nil {
			t.Fatal(err)
		}
	}
	fresh := event.NewStore(d, event.Options{}) // the first may still remember that there was none
	macs, err := fresh.Keys(t.Context(), event.SessionPurpose, event.GlobalScope)
	if err != nil || len(macs) != 1 || len(macs[0].Secret) != 32 || len(macs[0].Public) != 0 {
		t.Fatalf("got %v, %v", macs, err)
	}
	if newest, ok := macs.MACKeys().Newest(); !ok || newest.No != 1 || string(newest.Key[:]) != string(macs[0].Secret) {
		t.Errorf("got %+v", newest)
	}
	pairs, err := fresh.Keys(t.Context(), event.TicketPurpose, event.GlobalScope)
	if err != nil || string(pairs.PublicKeys().Find(1)) != string(pairs[0].Private().Public().(ed25519.PublicKey)) {
		t.Errorf("got %v, %v", pairs, err)
	}
	for _, shown := range []string{fmt.Sprint(macs[0]), fmt.Sprintf("%v %+v %#v", macs, macs, macs[0])} {
		if strings.Contains(shown, string(macs[0].Secret)) || strings.Contains(shown, fmt.Sprint(macs[0].Secret)) || !strings.Contains(shown, "key 1") {
			t.Errorf("shown as %s", shown)
		}
	}
}

func TestTheNewestUnretiredKeyComesFirst(t *testing.T) {
	d := dbtest.New(t)
	s := event.NewStore(d, event.Options{})
	r := apply(t, s, edit(t, hall))
	scope := event.Scope(r.ID)
	exec(t, d, `INSERT INTO keys (purpose, scope, number, secret, public) SELECT purpose, scope, 2, secret, public FROM keys WHERE purpose = 'pass'`)
	exec(t, d, `INSERT INTO keys (purpose, scope, number, secret, public, retired_at) SELECT purpose, scope, 3, secret, public, now() FROM keys WHERE purpose = 'pass' AND number = 1`)
	ring, err := s.Keys(t.Context(), event.PassPurpose, scope)
	if err != nil || len(ring) != 2 || ring[0].Number != 2 || ring[1].Number != 1 {
		t.Errorf("got %v, %v", ring, err)
	}
	exec(t, d, `UPDATE keys SET secret = 'short' WHERE purpose = 'pass' AND number = 1`)
	if _, err := event.Keys(t.Context(), d.Pool, event.PassPurpose, scope); err == nil || errors.Is(err, event.ErrNoKey) {
		t.Errorf("a key of the wrong size: %v", err)
	}
}

func TestRandomnessComesFromWhereItIsSaid(t *testing.T) {
	d := dbtest.New(t)
	s := event.NewStore(d, event.Options{Random: strings.NewReader("not enough")})
	if _, err := s.Apply(t.Context(), edit(t, hall)); err == nil {
		t.Error("keys were made of nothing")
	}
	var count int
	if err := d.Pool.QueryRow(t.Context(), `SELECT count(*) FROM events`).Scan(&count); err != nil || count != 0 {
		t.Errorf("%d events, %v", count, err)
	}
}

func TestEnsureWorksInsideAnotherTransaction(t *testing.T) {
	d := dbtest.New(t)
	scope := event.Scope(uuid.New())
	if err := d.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		if err := event.Ensure(ctx, tx, nil, event.ReceiptPurpose, scope); err != nil {
			return err
		}
		ring, err := event.Keys(ctx, tx, event.ReceiptPurpose, scope)
		if err == nil && (len(ring) != 1 || len(ring[0].Public) != 32) {
			t.Errorf("got %v", ring)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func TestEventIDsAreTheEdges(t *testing.T) {
	d := dbtest.New(t)
	s := event.NewStore(d, event.Options{})
	apply(t, s, edit(t, hall))
	e, err := s.ByID(t.Context(), lottery.EventID("hall"))
	if err != nil || e.Slug != "hall" {
		t.Errorf("got %+v, %v", e, err)
	}
}

func TestPagesThatOnlyShowAnEventAskTheReplica(t *testing.T) {
	primary, replica := dbtest.New(t), dbtest.New(t)
	d, err := db.Open(t.Context(), primary.Pool.Config().ConnString(), db.Options{ReplicaURL: replica.Pool.Config().ConnString()})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	s := event.NewStore(d, event.Options{})
	apply(t, s, edit(t, hall, "id: hall", "id: both"))
	apply(t, s, edit(t, hall, "id: hall", "id: new"))
	apply(t, event.NewStore(replica, event.Options{}), edit(t, hall, "id: hall", "id: both", "name: Chamber Music", "name: Older Music"))
	if e, err := s.Browse(t.Context(), "both"); err != nil || e.Spec.Name != "Older Music" {
		t.Errorf("shown: %+v, %v", e, err)
	}
	if e, err := s.BySlug(t.Context(), "both"); err != nil || e.Spec.Name != "Chamber Music" {
		t.Errorf("for deciding: %+v, %v", e, err)
	}
	if e, err := s.Browse(t.Context(), "new"); err != nil || e.Slug != "new" {
		t.Errorf("what has not come to the replica yet: %+v, %v", e, err)
	}
	if _, err := s.Browse(t.Context(), "nowhere"); !errors.Is(err, event.ErrUnknown) {
		t.Errorf("what is nowhere: %v", err)
	}
	plain := event.NewStore(primary, event.Options{})
	first, err := plain.Browse(t.Context(), "both")
	if err != nil {
		t.Fatal(err)
	}
	if second, err := plain.BySlug(t.Context(), "both"); err != nil || first != second {
		t.Errorf("without a replica both remember the same: %v", err)
	}
}
