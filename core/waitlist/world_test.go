package waitlist_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/core/db/dbtest"
	"fairgate/core/inventory"
	"fairgate/core/notify"
	"fairgate/core/waitlist"
	"fairgate/edge/lottery"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// world is an event with a general tier and a row of seats, all of it sold, and its list.
type world struct {
	t     *testing.T
	ctx   context.Context
	db    *db.DB
	event uuid.UUID
	offer inventory.Offer
	rules waitlist.Rules
	over  atomic.Bool
	buyer atomic.Uint64
	sold  []uuid.UUID // holds of one place each
	seats []uuid.UUID // holds of one seat each
	stock *inventory.Service
	lists *waitlist.Service
	items map[uuid.UUID]inventory.Item // listings
}

const (
	places = 4
	chairs = 4
)

func newWorld(t *testing.T) *world {
	w := &world{t: t, ctx: t.Context(), db: dbtest.New(t), event: uuid.New(), items: map[uuid.UUID]inventory.Item{},
		offer: inventory.Offer{Currency: "EUR", Limit: 4, HoldTTL: time.Minute, Tiers: map[string]inventory.TierOffer{
			"floor": {Kind: inventory.General, PriceMinor: 6500, Allocation: "general"},
			"pit":   {Kind: inventory.General, PriceMinor: 9900, Allocation: "general"},
		}},
		rules: waitlist.Rules{Enabled: true, Returned: true, Resold: true, OfferFor: 30 * time.Minute, DrawAfter: time.Hour, ClosesAt: time.Now().Add(1000 * time.Hour),
			HoldTTL: time.Minute, PerBuyer: 4, Tiers: map[string]inventory.Kind{"floor": inventory.General, "pit": inventory.General}},
	}
	w.exec(`INSERT INTO stock (event_id, tier, allocation, capacity, taken, version) VALUES ($1, 'floor', 'general', 4, 0, 0), ($1, 'pit', 'general', 4, 0, 0)`, w.event)
	w.stock, w.lists = w.open(w.db)
	for range places {
		w.sold = append(w.sold, w.sell("floor"))
	}
	for range chairs {
		w.seats = append(w.seats, w.sell("pit"))
	}
	w.over.Store(true)
	return w
}

// open makes the services of one process.
func (w *world) open(d *db.DB) (*inventory.Service, *waitlist.Service) {
	log := slog.New(slog.DiscardHandler)
	stock := inventory.New(d, inventory.Config{Log: log, SoldOutTTL: -1,
		Offers: func(context.Context, uuid.UUID) (inventory.Offer, error) { return w.offer, nil }}, inventory.Hooks{})
	w.t.Cleanup(stock.Close)
	return stock, waitlist.New(waitlist.Config{
		DB: d, Log: log, Hold: stock.Hold, Release: stock.Release, Every: 5 * time.Millisecond,
		Rules: func(context.Context, uuid.UUID) (waitlist.Rules, error) { return w.rules, nil },
		Over:  func(context.Context, uuid.UUID) bool { return w.over.Load() },
		Listing: func(_ context.Context, id, _ uuid.UUID, _ lottery.Entrant) (inventory.Item, error) {
			return w.items[id], nil
		},
		Send: func(ctx context.Context, tx pgx.Tx, m waitlist.Mail) error {
			return notify.Queue(ctx, tx, notify.Message{Key: m.Key, Kind: notify.KindWaitlistOffer, To: m.To, Language: m.Language, Subject: m.Offer, Within: m.Within})
		},
		Remember: func(context.Context, pgx.Tx, uuid.UUID, uuid.UUID, lottery.Entrant) error { return nil },
	})
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.db.Pool.Exec(w.ctx, sql, args...); err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
}

func (w *world) number(sql string, args ...any) (n int) {
	w.t.Helper()
	if err := w.db.Pool.QueryRow(w.ctx, sql, args...).Scan(&n); err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
	return n
}

func (w *world) someone() lottery.Entrant {
	return lottery.NewEntrant([]byte("world"), "test", fmt.Append(nil, w.buyer.Add(1)))
}

// ask is a hold for anybody, as general sale has it.
func (w *world) ask(tier string, quantity int) (inventory.Hold, error) {
	return w.stock.Hold(w.ctx, inventory.Request{Event: w.event, Entrant: w.someone(), Key: uuid.NewString(), Items: []inventory.Item{{Tier: tier, Quantity: quantity}}})
}

func (w *world) sell(tier string) uuid.UUID {
	w.t.Helper()
	h, err := w.ask(tier, 1)
	if err != nil {
		w.t.Fatal(err)
	}
	w.sellHold(h.ID)
	return h.ID
}

func (w *world) sellHold(id uuid.UUID) {
	w.t.Helper()
	w.inTx(func(tx pgx.Tx) (map[uuid.UUID]error, error) { return inventory.Sell(w.ctx, tx, []uuid.UUID{id}) })
}

// refund brings a sold hold back.
func (w *world) refund(id uuid.UUID) {
	w.t.Helper()
	w.inTx(func(tx pgx.Tx) (map[uuid.UUID]error, error) { return inventory.Unsell(w.ctx, tx, []uuid.UUID{id}) })
}

func (w *world) inTx(fn func(tx pgx.Tx) (map[uuid.UUID]error, error)) {
	w.t.Helper()
	err := w.db.InTx(w.ctx, func(_ context.Context, tx pgx.Tx) error {
		failed, err := fn(tx)
		for _, one := range failed {
			err = errors.Join(err, one)
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// wish puts somebody new on the list.
func (w *world) wish(quantity int, tiers ...string) waitlist.Entry {
	w.t.Helper()
	return w.wishes(waitlist.Asking{Entrant: w.someone(), Tiers: tiers, Quantity: quantity, Resold: true})
}

func (w *world) wishes(a waitlist.Asking) waitlist.Entry {
	w.t.Helper()
	a.Event, a.Account, a.Email, a.Language = w.event, uuid.New(), "ann@example.org", "es"
	e, _, err := w.lists.Ask(w.ctx, a)
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

func (w *world) look() {
	w.t.Helper()
	if err := w.lists.Look(w.ctx); err != nil {
		w.t.Fatal(err)
	}
}

// drawn has the draw held, and returns the entries in its order.
func (w *world) drawn(entries ...waitlist.Entry) []waitlist.Entry {
	w.t.Helper()
	w.look()
	w.exec(`UPDATE waitlists SET draw_at = now() - INTERVAL '1 minute' WHERE event_id = $1`, w.event)
	w.look()
	w.look()
	transcript, err := w.lists.Transcript(w.ctx, w.event)
	if err != nil {
		w.t.Fatal(err)
	}
	order, err := transcript.Verify()
	if err != nil {
		w.t.Fatal(err)
	}
	at := func(e waitlist.Entry) int { return slices.Index(order, e.Entrant) }
	slices.SortFunc(entries, func(a, b waitlist.Entry) int { return at(a) - at(b) })
	return entries
}

// now is an entry as it stands, with its last offer.
func (w *world) now(e waitlist.Entry) (waitlist.Standing, waitlist.Offer) {
	w.t.Helper()
	all, err := w.lists.Entries(w.ctx, w.event, true, 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, s := range all {
		if s.ID == e.ID {
			if n := len(s.Offers); n > 0 {
				return s, s.Offers[n-1]
			}
			return s, waitlist.Offer{}
		}
	}
	w.t.Fatalf("entry %s is gone", e.ID)
	return waitlist.Standing{}, waitlist.Offer{}
}

// states are those of entries, in their order.
func (w *world) states(entries ...waitlist.Entry) string {
	w.t.Helper()
	var states []string
	for _, e := range entries {
		s, _ := w.now(e)
		states = append(states, string(s.State))
	}
	return strings.Join(states, " ")
}

func (w *world) is(what, got, want string) {
	w.t.Helper()
	if got != want {
		w.t.Errorf("%s: %s, want %s", what, got, want)
	}
}

// pass makes the deadline of a hold lie in the past, and expire closes it as the sweep does.
func (w *world) pass(hold uuid.UUID) {
	w.exec(`UPDATE holds SET deadline = now() - INTERVAL '1 second' WHERE hold_id = $1`, hold)
	w.exec(`UPDATE expiries SET due_at = now() - INTERVAL '1 second'`)
}

func (w *world) expire(hold uuid.UUID) {
	w.t.Helper()
	w.pass(hold)
	ctx, cancel := context.WithCancel(w.ctx)
	stopped := make(chan error)
	go func() { stopped <- w.stock.Run(ctx) }()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		h, err := w.stock.Load(w.ctx, hold)
		if err != nil || time.Now().After(deadline) {
			w.t.Fatalf("hold %s is %s: %v", hold, h.State, err)
		}
		if !h.ClosedAt.IsZero() {
			break
		}
	}
	cancel()
	<-stopped
}

// mails counts the mails about offers.
func (w *world) mails() int {
	return w.number(`SELECT count(*) FROM mails WHERE kind = 'waitlist_offer'`)
}

// audit finds units that the stock counts and no hold has, or the other way round, and entries with more than one offer.
func (w *world) audit() {
	w.t.Helper()
	held := w.number(`SELECT coalesce(sum(units), 0)::INT8 FROM holds WHERE state IN ('active', 'sold')`)
	taken := w.number(`SELECT coalesce(sum(taken), 0)::INT8 FROM stock`)
	if held != taken {
		w.t.Errorf("%d units are held and %d taken", held, taken)
	}
	if n := w.number(`SELECT count(*) FROM waitlist_entries AS e WHERE (e.state = 'offered') <> EXISTS
		(SELECT 1 FROM waitlist_offers AS o WHERE o.entry_id = e.entry_id AND o.closed_at IS NULL)`); n > 0 {
		w.t.Errorf("%d entries are offered without an offer that stands, or the other way round", n)
	}
}

// before tells whether a place comes before another.
func before(a, b waitlist.Standing) bool {
	return a.Round < b.Round || a.Round == b.Round && bytes.Compare(a.Place, b.Place) < 0
}
