package inventory_test

import (
	"errors"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/db/dbtest"
	"fairgate/core/inventory"
	"fairgate/edge/lottery"
	"fairgate/ledger"
)

func TestAHoldTakesStockSeatsAndQuotaTogether(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	s := w.service(inventory.Hooks{})
	buyer := w.someone()
	h, err := s.Hold(w.ctx, w.request(buyer, "k", general("floor", 1), seats("A/1/2", "A/1/1"), general("floor", 1)))
	if err != nil {
		t.Fatal(err)
	}
	want := []inventory.Item{
		{Tier: "floor", Allocation: "general", Quantity: 2, Commit: 1},
		{Tier: "lower", Allocation: "general", Quantity: 2, Seats: []string{"A/1/2", "A/1/1"}, Commit: 1},
	}
	if !reflect.DeepEqual(h.Items, want) {
		t.Errorf("items %v, want %v", h.Items, want)
	}
	if h.ID != inventory.HoldID(w.event, buyer, "k") || h.Event != w.event || h.Entrant != buyer {
		t.Errorf("hold %s of %s in %s is not what was asked for", h.ID, h.Entrant, h.Event)
	}
	if h.State != inventory.Active || h.Units != 4 || h.CommitNo != 1 || h.Extended || !h.ClosedAt.IsZero() {
		t.Errorf("hold %+v", h)
	}
	if want := (ledger.Amount{Minor: 2*6500 + 2*8000, Currency: "EUR"}); h.Amount != want {
		t.Errorf("amount %v, want %v", h.Amount, want)
	}
	if h.Deadline.Sub(h.CreatedAt) != time.Minute {
		t.Errorf("the hold lasts %s", h.Deadline.Sub(h.CreatedAt))
	}
	loaded := w.load(s, h.ID)
	h.AsOf, loaded.AsOf = time.Time{}, time.Time{}
	if !reflect.DeepEqual(loaded, h) {
		t.Errorf("the database has\n%+v, the buyer was told\n%+v", loaded, h)
	}
	if got := w.taken(s); got["floor/general"] != 2 || got["lower/general"] != 2 || got["pit/general"] != 0 {
		t.Errorf("taken %v", got)
	}
	w.mustAudit()
}

func TestEveryRefusalHasItsReasonAndLeavesNothing(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	s := w.service(inventory.Hooks{})
	w.mustHold(s, seats("A/1/3"))
	w.mustHold(s, general("pit", 2))
	w.offer.Limit = 11
	tests := []struct {
		name  string
		items []inventory.Item
		want  error
	}{
		{"no items", nil, inventory.ErrItemsInvalid},
		{"neither tier nor seats", []inventory.Item{{Quantity: 1}}, inventory.ErrItemsInvalid},
		{"a seat twice", []inventory.Item{seats("A/1/1"), seats("A/1/1")}, inventory.ErrItemsInvalid},
		{"a seat without a name", []inventory.Item{seats("")}, inventory.ErrItemsInvalid},
		{"a name the database cannot hold", []inventory.Item{general("floor\x00", 1)}, inventory.ErrItemsInvalid},
		{"broken UTF-8", []inventory.Item{seats("\xff")}, inventory.ErrItemsInvalid},
		{"a seated tier by quantity", []inventory.Item{general("lower", 1)}, inventory.ErrItemsInvalid},
		{"a seat of another tier", []inventory.Item{{Tier: "floor", Seats: []string{"A/1/1"}}}, inventory.ErrItemsInvalid},
		{"too many items", make([]inventory.Item, 51), inventory.ErrItemsInvalid},
		{"nothing of a tier", []inventory.Item{general("floor", 0)}, inventory.ErrQuantityInvalid},
		{"less than nothing", []inventory.Item{general("floor", -1)}, inventory.ErrQuantityInvalid},
		{"quantity and seats differ", []inventory.Item{{Seats: []string{"A/1/1"}, Quantity: 2}}, inventory.ErrQuantityInvalid},
		{"more than the limit", []inventory.Item{general("floor", 12)}, inventory.ErrOverLimit},
		{"more than any limit", []inventory.Item{general("floor", math.MaxInt), general("floor", math.MaxInt)}, inventory.ErrOverLimit},
		{"an unknown tier", []inventory.Item{general("balcony", 1)}, inventory.ErrTierUnknown},
		{"a tier without stock", []inventory.Item{general("barren", 1)}, inventory.ErrTierUnknown},
		{"an allocation without stock", []inventory.Item{{Tier: "floor", Allocation: "house", Quantity: 1}}, inventory.ErrTierUnknown},
		{"an unknown seat", []inventory.Item{seats("A/1/1", "Z/9/9")}, inventory.ErrSeatUnknown},
		{"a held seat", []inventory.Item{seats("A/1/1", "A/1/3")}, inventory.ErrSeatTaken},
		{"a blocked seat", []inventory.Item{seats("A/1/6")}, inventory.ErrSeatTaken},
		{"a seat set aside", []inventory.Item{seats("A/1/5")}, inventory.ErrSeatSetAside},
		{"more than is left", []inventory.Item{general("pit", 2)}, inventory.ErrNotEnoughLeft},
		{"one part of two is not there", []inventory.Item{general("floor", 1), general("pit", 2)}, inventory.ErrNotEnoughLeft},
	}
	before := w.taken(s)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if h, err := s.Hold(w.ctx, w.request(w.someone(), "k", test.items...)); !errors.Is(err, test.want) {
				t.Errorf("got %v, hold %s; want %v", err, h.ID, test.want)
			}
		})
	}
	if after := w.taken(s); !reflect.DeepEqual(before, after) {
		t.Errorf("taken was %v and is %v", before, after)
	}
	if _, err := s.Hold(w.ctx, inventory.Request{Event: uuid.New(), Items: []inventory.Item{general("floor", 1)}}); err == nil {
		t.Error("an event without an offer was served")
	}
	w.mustAudit()
}

func TestTheLastUnitsAreSoldOutForTheNext(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	s := w.service(inventory.Hooks{})
	last := w.mustHold(s, general("pit", 3))
	for range 3 { // the first from the database, the others from memory
		if _, err := s.Hold(w.ctx, w.request(w.someone(), "k", general("pit", 1))); !errors.Is(err, inventory.ErrSoldOut) {
			t.Fatalf("got %v", err)
		}
	}
	again, err := s.Hold(w.ctx, w.request(last.Entrant, "first", general("pit", 3)))
	if err != nil || again.ID != last.ID {
		t.Errorf("the holder of the last units asks again and gets %v, %v", again.ID, err)
	}
	if _, err := s.Hold(w.ctx, w.request(last.Entrant, "first", general("pit", 1))); !errors.Is(err, inventory.ErrKeyReused) {
		t.Errorf("the same key with another body gets %v", err)
	}
	if _, err := s.Hold(w.ctx, w.request(w.someone(), "k", general("pit", 9))); !errors.Is(err, inventory.ErrOverLimit) {
		t.Errorf("over the limit of a sold-out tier gets %v", err)
	}
	if _, err := s.Release(w.ctx, last.ID, last.Entrant); err != nil {
		t.Fatal(err)
	}
	w.mustHold(s, general("pit", 3)) // at once: a release is not forgotten for a second
	w.mustAudit()
}

func TestALimitCountsAllHoldsOfABuyer(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	s := w.service(inventory.Hooks{})
	buyer := w.someone()
	first, err := s.Hold(w.ctx, w.request(buyer, "1", general("floor", 3)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Hold(w.ctx, w.request(buyer, "2", seats("A/1/1", "A/1/2"))); !errors.Is(err, inventory.ErrOverLimit) {
		t.Fatalf("a fifth unit: %v", err)
	}
	if _, err := s.Hold(w.ctx, w.request(buyer, "3", seats("A/1/1"))); err != nil {
		t.Fatalf("a fourth unit: %v", err)
	}
	if failed := w.sell(first.ID); len(failed) > 0 {
		t.Fatal(failed)
	}
	if _, err := s.Hold(w.ctx, w.request(buyer, "4", general("floor", 1))); !errors.Is(err, inventory.ErrOverLimit) {
		t.Fatalf("a fifth unit when three are bought: %v", err)
	}
	w.offer.Limit = 0
	if _, err := s.Hold(w.ctx, w.request(buyer, "5", general("floor", 5))); err != nil {
		t.Fatalf("without a limit: %v", err)
	}
	w.mustAudit()
}

func TestARepeatedRequestGetsTheSameHoldInItsPresentState(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	s := w.service(inventory.Hooks{})
	r := w.request(w.someone(), "k", general("floor", 2))
	other := w.request(r.Entrant, "k", general("floor", 1))

	results := s.HoldBatch(w.ctx, []inventory.Request{r, r, other, r})
	for _, i := range []int{0, 1, 3} {
		if results[i].Err != nil || results[i].Hold.ID != results[0].Hold.ID || results[i].Hold.State != inventory.Active {
			t.Errorf("request %d of one batch: %v %v", i, results[i].Hold.ID, results[i].Err)
		}
	}
	if !errors.Is(results[2].Err, inventory.ErrKeyReused) {
		t.Errorf("the same key with another body in one batch: %v", results[2].Err)
	}
	if _, err := s.Hold(w.ctx, other); !errors.Is(err, inventory.ErrKeyReused) {
		t.Errorf("the same key with another body later: %v", err)
	}
	restarted := w.service(inventory.Hooks{})
	for _, service := range []*inventory.Service{s, restarted} {
		h, err := service.Hold(w.ctx, r)
		if err != nil || !h.Deadline.Equal(results[0].Hold.Deadline) || h.State != inventory.Active {
			t.Errorf("repeated later: %+v, %v", h, err)
		}
	}
	if _, err := s.Release(w.ctx, results[0].Hold.ID, r.Entrant); err != nil {
		t.Fatal(err)
	}
	w.offer.Tiers = nil // what was granted is remembered even when it is no longer on offer
	if h, err := restarted.Hold(w.ctx, r); err != nil || h.State != inventory.Released || h.ClosedAt.IsZero() {
		t.Errorf("repeated after the release: %+v, %v", h, err)
	}
	w.mustAudit()
}

func TestARefusalIsDecidedAgain(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	s := w.service(inventory.Hooks{})
	first := w.mustHold(s, seats("A/1/1"))
	r := w.request(w.someone(), "k", seats("A/1/1"))
	if _, err := s.Hold(w.ctx, r); !errors.Is(err, inventory.ErrSeatTaken) {
		t.Fatalf("got %v", err)
	}
	if _, err := s.Release(w.ctx, first.ID, first.Entrant); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Hold(w.ctx, r); err != nil {
		t.Errorf("the seat is free again, but: %v", err)
	}
	w.mustAudit()
}

func TestAnAllocationIsHeldOnlyWhenNamed(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	s := w.service(inventory.Hooks{})
	h := w.mustHold(s, inventory.Item{Seats: []string{"A/1/5"}, Allocation: "house"})
	if got := w.taken(s); got["lower/house"] != 1 || got["lower/general"] != 0 || h.Items[0].Allocation != "house" {
		t.Errorf("taken %v by %v", got, h.Items)
	}
	w.mustAudit()
}

func TestAHoldIDIsFixedByEventEntrantAndKey(t *testing.T) {
	event := uuid.MustParse("6ba7b810-9dad-11d1-80b4-00c04fd430c8")
	entrant := lottery.Entrant{1, 2, 3}
	id := inventory.HoldID(event, entrant, "key")
	if got, want := id.String(), "903bd6d8-2026-5b4f-bfb7-937a2ade9d65"; got != want {
		t.Errorf("hold id %s, want %s: repeated requests would not find their holds", got, want)
	}
	for _, other := range []uuid.UUID{
		inventory.HoldID(uuid.Nil, entrant, "key"), inventory.HoldID(event, lottery.Entrant{}, "key"), inventory.HoldID(event, entrant, "kez"),
	} {
		if other == id {
			t.Error("two requests share a hold id")
		}
	}
}

func TestABuyerWhomOnlyTheDatabaseKnowsIsNoStranger(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	w.exec(`UPDATE stock SET capacity = 1000 WHERE tier = 'floor'`)
	buyer := w.someone()
	first, err := w.service(inventory.Hooks{}).Hold(w.ctx, w.request(buyer, "k", general("floor", 3)))
	if err != nil {
		t.Fatal(err)
	}
	for name, ask := range map[string]struct {
		request inventory.Request
		err     error
	}{
		"the same request":       {w.request(buyer, "k", general("floor", 3)), nil},
		"the key, another body":  {w.request(buyer, "k", general("floor", 1)), inventory.ErrKeyReused},
		"beyond the limit":       {w.request(buyer, "l", general("floor", 2)), inventory.ErrOverLimit},
		"one more within limits": {w.request(buyer, "m", general("floor", 1)), nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := w.service(inventory.Hooks{}) // another core, or this one restarted
			var others []inventory.Request    // in the same batch
			for range 20 {
				others = append(others, w.request(w.someone(), "k", general("floor", 1)))
			}
			results := s.HoldBatch(w.ctx, append(others, ask.request))
			if got := results[20]; !errors.Is(got.Err, ask.err) || ask.request.Key == "k" && got.Err == nil && got.Hold.ID != first.ID {
				t.Errorf("hold %s, %v, want error %v", got.Hold.ID, got.Err, ask.err)
			}
			for i, r := range results[:20] {
				if r.Err != nil {
					t.Errorf("buyer %d of the batch: %v", i, r.Err)
				}
			}
			w.mustAudit()
		})
	}
}

func TestAStrangerRefusedIsLookedUpBefore(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	buyer := w.someone()
	offer := w.request(buyer, "k", general("pit", 3)) // all there is
	first, err := w.service(inventory.Hooks{}).Hold(w.ctx, offer)
	if err != nil {
		t.Fatal(err)
	}
	again, err := w.service(inventory.Hooks{}).Hold(w.ctx, offer) // sold out, but to this buyer
	if err != nil || again.ID != first.ID {
		t.Errorf("hold %s, %v, want %s", again.ID, err, first.ID)
	}
}
