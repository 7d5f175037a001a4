package waitlist_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db/dbtest"
	"fairgate/core/inventory"
	"fairgate/core/waitlist"
	"fairgate/edge/lottery"
)

func TestWhatComesBackGoesToTheFirstOfTheDrawAndToNobodyElse(t *testing.T) {
	w := newWorld(t)
	e := w.drawn(w.wish(1, "floor"), w.wish(1, "floor"), w.wish(1, "floor"))
	w.refund(w.sold[0])
	if _, err := w.ask("floor", 1); !errors.Is(err, inventory.ErrWaitlisted) {
		t.Errorf("general sale before the offer: %v", err)
	}
	w.look()
	w.is("after one came back", w.states(e...), "offered waiting waiting")
	if _, err := w.ask("floor", 1); !errors.Is(err, inventory.ErrSoldOut) {
		t.Errorf("general sale after the offer: %v", err)
	}
	_, o := w.now(e[0])
	h, err := w.stock.Load(w.ctx, o.Hold)
	if err != nil || h.Entrant != e[0].Entrant || h.State != inventory.Active || h.Units != 1 || h.Deadline.Sub(h.CreatedAt) != w.rules.OfferFor {
		t.Errorf("the offer's hold: %+v, %v", h, err)
	}
	w.look()
	if n := w.mails(); n != 1 {
		t.Errorf("%d mails about one offer", n)
	}

	// Declined, lapsed, taken: each time the next one's.
	if _, err := w.lists.Decline(w.ctx, o.ID, e[1].Entrant); !errors.Is(err, waitlist.ErrUnknown) {
		t.Errorf("another's offer: %v", err)
	}
	if o, err = w.lists.Decline(w.ctx, o.ID, e[0].Entrant); err != nil || o.State != waitlist.OfferDeclined {
		t.Errorf("declined: %+v, %v", o, err)
	}
	if _, err := w.ask("floor", 1); !errors.Is(err, inventory.ErrWaitlisted) {
		t.Errorf("general sale of what was declined: %v", err)
	}
	w.look()
	w.is("after it was declined", w.states(e...), "left offered waiting")
	_, o = w.now(e[1])
	w.expire(o.Hold)
	if _, err := w.lists.Accept(w.ctx, o.ID, e[1].Entrant); !errors.Is(err, waitlist.ErrOfferGone) {
		t.Errorf("accepted too late: %v", err)
	}
	w.look()
	w.is("after it lapsed", w.states(e...), "left lapsed offered")
	_, o = w.now(e[2])
	for range 2 {
		if o, err = w.lists.Accept(w.ctx, o.ID, e[2].Entrant); err != nil || o.State != waitlist.Accepted {
			t.Fatalf("accepted: %+v, %v", o, err)
		}
	}
	w.sellHold(o.Hold)
	w.look()
	w.is("after it was bought", w.states(e...), "left lapsed bought")
	w.audit()

	// Nobody waits any more: everybody may have what comes back.
	w.refund(w.sold[1])
	w.look()
	if _, err := w.ask("floor", 1); err != nil {
		t.Errorf("general sale when nobody waits: %v", err)
	}
}

func TestWhoAsksLaterComesLaterAndAChangedWishKeepsItsPlace(t *testing.T) {
	w := newWorld(t)
	first := w.drawn(w.wish(1, "floor"), w.wish(1, "floor"))
	late := w.wish(1, "floor")
	later := w.wish(1, "pit")
	changed, created, err := w.lists.Ask(w.ctx, waitlist.Asking{Event: w.event, Entrant: first[1].Entrant, Account: uuid.New(), Email: "b@example.org", Tiers: []string{"pit"}, Quantity: 2, Together: true})
	if err != nil || created || changed.ID != first[1].ID || changed.Quantity != 2 {
		t.Fatalf("changed: %+v, %v, %v", changed, created, err)
	}
	var all []waitlist.Standing
	for _, e := range []waitlist.Entry{first[0], first[1], late, later} {
		s, _ := w.now(e)
		if n := len(all); n > 0 && !before(all[n-1], s) {
			t.Errorf("entry %d does not come after the one before", n)
		}
		all = append(all, s)
	}
	own, err := w.lists.Own(w.ctx, w.event, late.Entrant)
	if err != nil || own.Ahead != 2 {
		t.Errorf("%d in front, want 2: %v", own.Ahead, err)
	}

	// Who wants two together is passed over while there is one, and keeps the place.
	w.refund(w.seats[0])
	w.look()
	w.is("one came back", w.states(first[0], first[1], late, later), "waiting waiting waiting offered")
	w.refund(w.seats[1])
	w.refund(w.seats[2])
	w.look()
	w.is("two more came back", w.states(first[0], first[1], late, later), "waiting offered waiting offered")
	if _, o := w.now(first[1]); o.Units != 2 {
		t.Errorf("offered %d", o.Units)
	}
	w.audit()
}

func TestTheListIsFirstOnlyOnceTheEventIsSoldOut(t *testing.T) {
	w := newWorld(t)
	w.over.Store(false)
	e := w.wish(2, "floor")
	w.look()
	w.refund(w.sold[0])
	if _, err := w.ask("floor", 1); err != nil {
		t.Errorf("general sale while the event sells: %v", err)
	}
	w.over.Store(true)
	w.drawn(e)
	w.refund(w.sold[1])
	w.look()
	w.is("sold out", w.states(e), "offered")
	if _, o := w.now(e); o.Units != 1 {
		t.Errorf("offered %d of 2 that are wanted and 1 that there is", o.Units)
	}
	w.wish(1, "floor")
	w.look()
	w.over.Store(false)
	w.look()
	w.refund(w.sold[2])
	if _, err := w.ask("floor", 1); err != nil {
		t.Errorf("general sale when the event sells again: %v", err)
	}
}

func TestWhoHasAsManyAsOneMayIsOfferedNothing(t *testing.T) {
	w := newWorld(t)
	greedy := w.someone()
	w.offer.Limit = 1
	w.refund(w.sold[0])
	h, err := w.stock.Hold(w.ctx, inventory.Request{Event: w.event, Entrant: greedy, Key: "one", Items: []inventory.Item{{Tier: "floor", Quantity: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	w.sellHold(h.ID)
	a := w.drawn(w.wishes(waitlist.Asking{Entrant: greedy, Tiers: []string{"floor"}, Quantity: 1}))[0]
	b := w.wish(1, "floor")
	w.refund(w.sold[1])
	w.look()
	w.look()
	w.is("the one with a ticket, and the next", w.states(a, b), "closed offered")
	w.audit()
}

func TestAListingIsOfferedToTheListBeforeAnybodySeesIt(t *testing.T) {
	w := newWorld(t)
	e := w.drawn(w.wishes(waitlist.Asking{Entrant: w.someone(), Tiers: []string{"floor"}, Quantity: 1, Resold: false}), w.wish(1, "floor"))
	willing := e[0]
	if !willing.Resold {
		willing = e[1]
	}
	listing := uuid.New()
	w.items[listing] = inventory.Item{Tier: "floor", Allocation: inventory.ListedAllocation(listing), Quantity: 1}
	err := w.db.InTx(w.ctx, func(ctx context.Context, tx pgx.Tx) error {
		first, err := w.lists.Resold(ctx, tx, w.event, "floor", time.Now())
		if err != nil || !first {
			t.Errorf("goes to the list first: %v, %v", first, err)
		}
		return inventory.List(ctx, tx, inventory.ListedUnit{Event: w.event, Tier: "floor", Listing: listing, PriceMinor: 7000, PriceNo: 1, Waitlisted: first})
	})
	if err != nil {
		t.Fatal(err)
	}
	buy := inventory.Request{Event: w.event, Entrant: w.someone(), Key: "buy", Items: []inventory.Item{w.items[listing]}}
	if _, err := w.stock.Hold(w.ctx, buy); !errors.Is(err, inventory.ErrWaitlisted) {
		t.Errorf("somebody else: %v", err)
	}
	w.look()
	_, o := w.now(willing)
	h, err := w.stock.Load(w.ctx, o.Hold)
	if err != nil || h.Amount.Minor != 7000 || o.Allocation != inventory.ListedAllocation(listing) {
		t.Fatalf("offer %+v, hold %+v, %v", o, h, err)
	}
	w.expire(o.Hold) // and whoever is left does not want it from another buyer
	w.look()
	if _, err := w.stock.Hold(w.ctx, buy); err != nil {
		t.Errorf("somebody else, when nobody who waits wants it: %v", err)
	}
	w.audit()
}

func TestTwoCoresOfferEachTicketOnceAndInOrder(t *testing.T) {
	w := newWorld(t)
	var wishes []waitlist.Entry
	for range 8 {
		wishes = append(wishes, w.wish(1, "floor", "pit"))
	}
	e := w.drawn(wishes...)
	_, second := w.open(w.db)
	_, third := w.open(w.db)
	for n := range places {
		w.refund(w.sold[n])
		var together sync.WaitGroup
		for _, s := range []*waitlist.Service{w.lists, second, third} {
			together.Go(func() {
				if err := s.Look(w.ctx); err != nil {
					t.Error(err)
				}
			})
		}
		together.Wait()
		w.look()
		for i := range e {
			if s, _ := w.now(e[i]); (s.State == waitlist.Offered) != (i <= n) {
				t.Errorf("when %d had come back, entry %d is %s", n+1, i, s.State)
			}
		}
	}
	if n := w.mails(); n != places {
		t.Errorf("%d mails about %d offers", n, places)
	}
	w.audit()
}

// A process that dies at any of its commits, before or after the server has carried it out, leaves a list that the next one goes on with:
// the first in order has one offer, one hold and one mail.
func TestAProcessThatDiesAtAnyStepLeavesNothingOfferedTwiceOrToTheWrongOne(t *testing.T) {
	for _, done := range []bool{false, true} {
		for nth := 1; ; nth++ {
			w := newWorld(t)
			e := w.drawn(w.wish(1, "floor"), w.wish(1, "floor"))
			w.refund(w.sold[0])
			dying, died := dbtest.Dying(t, w.db, nth, done)
			_, lists := w.open(dying)
			err := lists.Look(w.ctx)
			if !died() {
				if err != nil || nth < 3 {
					t.Errorf("after %d commits: %v", nth-1, err)
				}
				break
			}
			if _, err := w.ask("floor", 1); !errors.Is(err, inventory.ErrWaitlisted) && !errors.Is(err, inventory.ErrSoldOut) {
				t.Errorf("died at commit %d (done %v), general sale: %v", nth, done, err)
			}
			w.look()
			w.look()
			w.is("in order", w.states(e...), "offered waiting")
			if n := w.mails(); n != 1 {
				t.Errorf("died at commit %d (done %v): %d mails", nth, done, n)
			}
			w.audit()
		}
	}
}

func TestAnOfferIsAcceptedOrExpiresAndNeverBoth(t *testing.T) {
	w := newWorld(t)
	w.rules.HoldTTL = time.Hour
	var wishes []waitlist.Entry
	for range 12 {
		wishes = append(wishes, w.wish(1, "floor"))
	}
	e := w.drawn(wishes...)
	w.refund(w.sold[0])
	ctx, cancel := context.WithCancel(w.ctx)
	var sweeping sync.WaitGroup
	sweeping.Go(func() { _ = w.stock.Run(ctx) })
	defer sweeping.Wait()
	defer cancel()
	accepted, gone := 0, 0
	for i := range e {
		w.look()
		_, o := w.now(e[i])
		if o.State != waitlist.Open {
			t.Fatalf("entry %d: %+v", i, o)
		}
		w.exec(`UPDATE holds SET deadline = now() + INTERVAL '300 milliseconds' WHERE hold_id = $1`, o.Hold)
		w.exec(`UPDATE expiries SET due_at = now() + INTERVAL '300 milliseconds' WHERE due_at > now()`)
		time.Sleep(290*time.Millisecond + time.Duration(i)*2*time.Millisecond)
		_, err := w.lists.Accept(w.ctx, o.ID, e[i].Entrant)
		switch {
		case err == nil:
			accepted++
			h, err := w.stock.Load(w.ctx, o.Hold)
			if err != nil || h.State != inventory.Active || time.Until(h.Deadline) < 30*time.Minute {
				t.Errorf("accepted, and the hold is %+v, %v", h, err)
			}
			if _, err := w.lists.Decline(w.ctx, o.ID, e[i].Entrant); err != nil {
				t.Fatal(err)
			}
		case errors.Is(err, waitlist.ErrOfferGone):
			gone++
			for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
				h, err := w.stock.Load(w.ctx, o.Hold)
				if err != nil || time.Now().After(deadline) {
					t.Fatalf("hold %+v, %v", h, err)
				}
				if !h.ClosedAt.IsZero() {
					break
				}
			}
		default:
			t.Fatal(err)
		}
		w.look()
		w.audit()
	}
	t.Logf("%d accepted, %d gone", accepted, gone)
}

func TestTheListEndsBeforeTheEventAndGivesEverythingToEverybody(t *testing.T) {
	w := newWorld(t)
	e := w.drawn(w.wish(1, "floor"), w.wish(1, "floor"))
	w.refund(w.sold[0])
	w.look()
	w.rules.ClosesAt = time.Now().Add(-time.Minute)
	w.look()
	w.is("who waited, and who has an offer", w.states(e...), "offered closed")
	if _, _, err := w.lists.Ask(w.ctx, waitlist.Asking{Event: w.event, Entrant: w.someone(), Email: "a@example.org", Tiers: []string{"floor"}, Quantity: 1}); !errors.Is(err, waitlist.ErrClosed) {
		t.Errorf("asked when it is over: %v", err)
	}
	_, o := w.now(e[0])
	w.expire(o.Hold)
	w.look()
	w.is("at last", w.states(e...), "lapsed closed")
	if _, err := w.ask("floor", 1); err != nil {
		t.Errorf("general sale: %v", err)
	}
	if n := w.number(`SELECT count(*) FROM waitlists WHERE closed_at IS NULL`); n != 0 {
		t.Error("the list is looked at for ever")
	}
}

func TestAWishThatMakesNoSenseIsRefused(t *testing.T) {
	w := newWorld(t)
	good := waitlist.Asking{Event: w.event, Entrant: w.someone(), Email: "a@example.org", Tiers: []string{"floor"}, Quantity: 1}
	for name, spoil := range map[string]func(a *waitlist.Asking){
		"none":         func(a *waitlist.Asking) { a.Quantity = 0 },
		"too many":     func(a *waitlist.Asking) { a.Quantity = 5 },
		"no tier":      func(a *waitlist.Asking) { a.Tiers = nil },
		"unknown tier": func(a *waitlist.Asking) { a.Tiers = []string{"roof"} },
		"twice":        func(a *waitlist.Asking) { a.Tiers = []string{"floor", "floor"} },
		"no address":   func(a *waitlist.Asking) { a.Email = "" },
	} {
		a := good
		spoil(&a)
		if _, _, err := w.lists.Ask(w.ctx, a); !errors.Is(err, waitlist.ErrWish) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.rules.Enabled = false
	if _, _, err := w.lists.Ask(w.ctx, good); !errors.Is(err, waitlist.ErrNone) {
		t.Errorf("no list: %v", err)
	}
}

func TestAForgottenAccountLeavesItsPlaceAndItsAddress(t *testing.T) {
	w := newWorld(t)
	e := w.drawn(w.wish(1, "floor"), w.wish(1, "floor"))
	if err := w.lists.Forget(w.ctx, e[0].Account); err != nil {
		t.Fatal(err)
	}
	w.refund(w.sold[0])
	w.look()
	w.is("the forgotten one, and the next", w.states(e...), "left offered")
	if s, _ := w.now(e[0]); s.Email != "" {
		t.Error("the address is kept")
	}
}

func TestADrawThatWasTamperedWithIsFound(t *testing.T) {
	w := newWorld(t)
	w.drawn(w.wish(1, "floor"), w.wish(1, "floor"), w.wish(1, "floor"))
	good, err := w.lists.Transcript(w.ctx, w.event)
	if err != nil {
		t.Fatal(err)
	}
	for name, tamper := range map[string]func(*lottery.WaitlistTranscript){
		"secret":  func(x *lottery.WaitlistTranscript) { x.Secret[0] ^= 1 },
		"seed":    func(x *lottery.WaitlistTranscript) { x.Seed[0] ^= 1 },
		"root":    func(x *lottery.WaitlistTranscript) { x.Root[0] ^= 1 },
		"removed": func(x *lottery.WaitlistTranscript) { x.Entrants = x.Entrants[1:] },
		"other":   func(x *lottery.WaitlistTranscript) { x.Entrants[0][3] ^= 1 },
		"event":   func(x *lottery.WaitlistTranscript) { x.Event[0] ^= 1 },
	} {
		x := good
		x.Entrants = append([]lottery.Entrant(nil), good.Entrants...)
		tamper(&x)
		if _, err := x.Verify(); !errors.Is(err, lottery.ErrWaitlistDraw) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
