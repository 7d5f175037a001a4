package waitlist_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/inventory"
	"fairgate/core/waitlist"
	"fairgate/edge/lottery"
)

// refusing is a list whose holds or listings are refused as the test says.
func (w *world) refusing(hold func(inventory.Request) error, listing func() error) *waitlist.Service {
	return waitlist.New(waitlist.Config{DB: w.db, Release: w.stock.Release,
		Hold: func(ctx context.Context, r inventory.Request) (inventory.Hold, error) {
			if err := hold(r); err != nil {
				return inventory.Hold{}, err
			}
			return w.stock.Hold(ctx, r)
		},
		Listing: func(_ context.Context, id, _ uuid.UUID, _ lottery.Entrant) (inventory.Item, error) {
			return w.items[id], listing()
		},
		Rules: func(context.Context, uuid.UUID) (waitlist.Rules, error) { return w.rules, nil },
		Over:  func(context.Context, uuid.UUID) bool { return true },
		Send:  func(context.Context, pgx.Tx, waitlist.Mail) error { return nil },
		Remember: func(context.Context, pgx.Tx, uuid.UUID, uuid.UUID, lottery.Entrant) error {
			return nil
		},
	})
}

func granted(inventory.Request) error { return nil }

// alone refuses whoever asks for more than one: no two of the seats that are free are together.
func alone(r inventory.Request) error {
	if r.Items[0].Quantity > 1 {
		return &inventory.Apart{Left: 2}
	}
	return nil
}

func TestSeatsThatDoNotFitTheFirstAreOfferedOneByOneAndToTheNext(t *testing.T) {
	w := newWorld(t)
	lists := w.refusing(alone, nil)
	first := w.drawn(w.wish(2, "floor"))[0]
	next := w.wish(1, "floor")
	w.refund(w.sold[0])
	w.refund(w.sold[1])
	for range 2 {
		if err := lists.Look(w.ctx); err != nil {
			t.Fatal(err)
		}
	}
	w.is("the first and the next", w.states(first, next), "offered offered")
	if _, o := w.now(first); o.Units != 1 {
		t.Errorf("the first is offered %d", o.Units)
	}
	w.audit()
}

func TestSeatsThatFitNobodyWhoWaitsAreSoldToEverybodyAndNobodyLosesThePlace(t *testing.T) {
	w := newWorld(t)
	fits := false
	lists := w.refusing(func(r inventory.Request) error {
		if fits {
			return nil
		}
		return alone(r)
	}, nil)
	pair := func() waitlist.Asking {
		return waitlist.Asking{Entrant: w.someone(), Tiers: []string{"floor"}, Quantity: 2, Together: true}
	}
	e := w.drawn(w.wishes(pair()), w.wishes(pair()), w.wishes(pair()))
	w.refund(w.sold[0])
	w.refund(w.sold[1])
	for range 3 {
		if err := lists.Look(w.ctx); err != nil {
			t.Fatal(err)
		}
	}
	w.is("who wants two together", w.states(e...), "waiting waiting waiting")
	if n := w.number(`SELECT count(*) FROM waitlist_offers`); n != 3 {
		t.Errorf("%d offers, want each once", n)
	}
	if _, err := w.ask("floor", 1); err != nil {
		t.Errorf("general sale of what fits nobody who waits: %v", err)
	}
	// Some minutes later others have come back that fit, and the first has them.
	fits = true
	w.refund(w.sold[2])
	w.exec(`UPDATE waitlist_offers SET made_at = made_at - INTERVAL '2 minutes', closed_at = closed_at - INTERVAL '2 minutes' WHERE closed_at IS NOT NULL`)
	if err := lists.Look(w.ctx); err != nil {
		t.Fatal(err)
	}
	w.is("later", w.states(e...), "offered waiting waiting")
	w.audit()
}

func TestWhoIsRefusedForAnyReasonDoesNotStarveTheOthers(t *testing.T) {
	w := newWorld(t)
	var bad lottery.Entrant
	lists := w.refusing(func(r inventory.Request) error {
		if r.Entrant == bad {
			return inventory.ErrItemsInvalid
		}
		return nil
	}, nil)
	e := w.drawn(w.wish(1, "floor"), w.wish(1, "floor"))
	bad = e[0].Entrant
	w.refund(w.sold[0])
	for range 10 {
		if err := lists.Look(w.ctx); err != nil {
			t.Fatal(err)
		}
	}
	w.is("the one who is refused, and the next", w.states(e...), "waiting offered")
	if n := w.number(`SELECT count(*) FROM waitlist_offers`); n != 2 {
		t.Errorf("%d offers, want each once", n)
	}
}

func TestWhoMayHaveSomeIsOfferedThoseAndNotTakenOffTheList(t *testing.T) {
	w := newWorld(t)
	w.offer.Limit, w.rules.PerBuyer = 2, 2
	ann := w.someone()
	w.refund(w.sold[0])
	h, err := w.stock.Hold(w.ctx, inventory.Request{Event: w.event, Entrant: ann, Key: "one", Items: []inventory.Item{{Tier: "floor", Quantity: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	w.sellHold(h.ID)
	a := w.drawn(w.wishes(waitlist.Asking{Entrant: ann, Tiers: []string{"floor"}, Quantity: 2}))[0]
	w.refund(w.sold[1])
	w.refund(w.sold[2])
	w.look()
	w.look()
	if s, o := w.now(a); s.State != waitlist.Offered || o.Units != 1 {
		t.Errorf("has one of two and wants two: %s (%s), offered %d", s.State, s.Reason, o.Units)
	}
	if _, err := w.ask("floor", 1); err != nil {
		t.Errorf("general sale of the other: %v", err)
	}
	w.audit()
}

func TestWhatOthersOfTheSameNetworkHoldDoesNotTakeAnybodyOffTheList(t *testing.T) {
	w := newWorld(t)
	w.offer.Limits.Address = 1
	marks := func(n byte) inventory.Marks {
		return inventory.Marks{Account: inventory.Mark{9, n}, Device: inventory.Mark{8, n}, Address: inventory.Mark{1, 2, 3}}
	}
	w.refund(w.sold[0])
	neighbour := inventory.Request{Event: w.event, Entrant: w.someone(), Key: "neighbour", Marks: marks(1), Items: []inventory.Item{{Tier: "floor", Quantity: 1}}}
	held, err := w.stock.Hold(w.ctx, neighbour)
	if err != nil {
		t.Fatal(err)
	}
	a := w.drawn(w.wishes(waitlist.Asking{Entrant: w.someone(), Tiers: []string{"floor"}, Quantity: 1, Marks: marks(2)}))[0]
	w.refund(w.sold[1])
	w.look()
	w.is("while the neighbour holds one", w.states(a), "waiting")
	if _, err := w.stock.Release(w.ctx, held.ID, neighbour.Entrant); err != nil {
		t.Fatal(err)
	}
	w.exec(`UPDATE waitlist_offers SET made_at = made_at - INTERVAL '2 minutes', closed_at = closed_at - INTERVAL '2 minutes' WHERE closed_at IS NOT NULL`)
	w.look()
	w.is("some minutes after the neighbour has let go", w.states(a), "offered")
}

func TestAListingThatCouldNotBeLookedUpForAMomentIsStillTheFirstOnes(t *testing.T) {
	w := newWorld(t)
	broken := errors.New("connection reset by peer")
	answers := []error{broken, nil}
	lists := w.refusing(granted, func() error {
		err := answers[0]
		answers = answers[1:]
		return err
	})
	e := w.drawn(w.wish(1, "floor"), w.wish(1, "floor"))
	w.list()
	if err := lists.Look(w.ctx); !errors.Is(err, broken) {
		t.Errorf("the failure: %v", err)
	}
	if err := lists.Look(w.ctx); err != nil {
		t.Error(err)
	}
	w.is("first and second of the draw", w.states(e...), "offered waiting")
}

func TestAListingThatTheFirstCannotHaveIsTheNextOnes(t *testing.T) {
	w := newWorld(t)
	answers := []error{waitlist.ErrListing, nil}
	lists := w.refusing(granted, func() error {
		err := answers[0]
		answers = answers[1:]
		return err
	})
	e := w.drawn(w.wish(1, "floor"), w.wish(1, "floor"))
	w.list()
	for range 2 {
		if err := lists.Look(w.ctx); err != nil {
			t.Error(err)
		}
	}
	w.is("the seller, and the next", w.states(e...), "waiting offered")
}

// list has a ticket listed for the waiting list.
func (w *world) list() {
	w.t.Helper()
	listing := uuid.New()
	w.items[listing] = inventory.Item{Tier: "floor", Allocation: inventory.ListedAllocation(listing), Quantity: 1}
	err := w.db.InTx(w.ctx, func(ctx context.Context, tx pgx.Tx) error {
		return inventory.List(ctx, tx, inventory.ListedUnit{Event: w.event, Tier: "floor", Listing: listing, PriceMinor: 7000, PriceNo: 1, Waitlisted: true})
	})
	if err != nil {
		w.t.Fatal(err)
	}
}
