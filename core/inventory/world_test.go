package inventory_test

import (
	"context"
	"encoding/json"
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
	"fairgate/edge/lottery"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// world is a database with one event of two general tiers and one seated tier, and what there is to offer.
type world struct {
	t     testing.TB
	ctx   context.Context
	db    *db.DB
	event uuid.UUID
	offer inventory.Offer
	buyer atomic.Uint64
}

// row of the seated tier "lower"; seat D is set aside for the house, seat E is blocked.
var lowerSeats = []string{"A/1/1", "A/1/2", "A/1/3", "A/1/4"}

func newWorld(t testing.TB, d *db.DB) *world {
	w := &world{
		t: t, ctx: t.Context(), db: d, event: uuid.New(),
		offer: inventory.Offer{
			Currency: "EUR", Limit: 4, HoldTTL: time.Minute,
			Tiers: map[string]inventory.TierOffer{
				"floor":  {Kind: inventory.General, PriceMinor: 6500, Allocation: "general"},
				"pit":    {Kind: inventory.General, PriceMinor: 9900, Allocation: "general"},
				"lower":  {Kind: inventory.Seated, PriceMinor: 8000, Allocation: "general"},
				"barren": {Kind: inventory.General, PriceMinor: 1, Allocation: "general"}, // on offer without stock
			},
		},
	}
	w.addStock("floor", "general", 10)
	w.addStock("pit", "general", 3)
	w.addStock("lower", "general", int64(len(lowerSeats)))
	w.addStock("lower", "house", 1)
	for _, seat := range lowerSeats {
		w.addSeat(seat, "general", "free")
	}
	w.addSeat("A/1/5", "house", "free")
	w.addSeat("A/1/6", "general", "blocked")
	return w
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.db.Pool.Exec(w.ctx, sql, args...); err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
}

func (w *world) addStock(tier, allocation string, capacity int64) {
	w.exec(`INSERT INTO stock (event_id, tier, allocation, capacity, taken, version) VALUES ($1, $2, $3, $4, 0, 0)`,
		w.event, tier, allocation, capacity)
}

func (w *world) addSeat(seat, allocation, state string) {
	part := strings.Split(seat, "/")
	w.exec(`INSERT INTO seats (event_id, seat, section, row_label, number, tier, allocation, state)
		VALUES ($1, $2, $3, $4, $5::TEXT::INT8, 'lower', $6, $7)`, w.event, seat, part[0], part[1], part[2], allocation, state)
}

func (w *world) service(hooks inventory.Hooks) *inventory.Service { return w.serviceOn(w.db, hooks) }

func (w *world) serviceOn(d *db.DB, hooks inventory.Hooks) *inventory.Service {
	s := inventory.New(d, inventory.Config{
		SweepEvery: 20 * time.Millisecond, ReleaseEvery: 20 * time.Millisecond,
		Log: slog.New(slog.DiscardHandler),
		Offers: func(_ context.Context, event uuid.UUID) (inventory.Offer, error) {
			if event != w.event {
				return inventory.Offer{}, fmt.Errorf("event %s is not ours", event)
			}
			return w.offer, nil
		},
	}, hooks)
	w.t.Cleanup(s.Close)
	return s
}

// someone is a buyer nobody was before.
func (w *world) someone() lottery.Entrant {
	return lottery.NewEntrant([]byte("world"), "test", fmt.Append(nil, w.buyer.Add(1)))
}

func (w *world) request(buyer lottery.Entrant, key string, items ...inventory.Item) inventory.Request {
	r := inventory.Request{Event: w.event, Entrant: buyer, Key: key, Items: items}
	copy(r.BodyHash[:], fmt.Sprint(items))
	return r
}

func general(tier string, quantity int) inventory.Item {
	return inventory.Item{Tier: tier, Quantity: quantity}
}

func seats(names ...string) inventory.Item { return inventory.Item{Seats: names} }

// mustHold takes a hold for a new buyer.
func (w *world) mustHold(s *inventory.Service, items ...inventory.Item) inventory.Hold {
	w.t.Helper()
	h, err := s.Hold(w.ctx, w.request(w.someone(), "first", items...))
	if err != nil {
		w.t.Fatalf("hold %v: %v", items, err)
	}
	return h
}

// pass makes the deadline of holds lie in the past.
func (w *world) pass(ids ...uuid.UUID) {
	w.exec(`UPDATE holds SET deadline = now() - INTERVAL '1 second' WHERE hold_id = ANY ($1::UUID[])`, ids)
	w.exec(`UPDATE expiries SET due_at = now() - INTERVAL '1 second' WHERE due_at > now()`)
}

func (w *world) inTx(fn func(tx pgx.Tx) (map[uuid.UUID]error, error)) map[uuid.UUID]error {
	w.t.Helper()
	var failed map[uuid.UUID]error
	err := w.db.InTx(w.ctx, func(ctx context.Context, tx pgx.Tx) error {
		var err error
		failed, err = fn(tx)
		return err
	})
	if err != nil {
		w.t.Fatalf("transaction: %v", err)
	}
	return failed
}

func (w *world) sell(ids ...uuid.UUID) map[uuid.UUID]error {
	return w.inTx(func(tx pgx.Tx) (map[uuid.UUID]error, error) { return inventory.Sell(w.ctx, tx, ids) })
}

func (w *world) unsell(ids ...uuid.UUID) map[uuid.UUID]error {
	return w.inTx(func(tx pgx.Tx) (map[uuid.UUID]error, error) { return inventory.Unsell(w.ctx, tx, ids) })
}

// run sweeps until the test ends.
func (w *world) run(s *inventory.Service) {
	ctx, cancel := context.WithCancel(w.ctx)
	stopped := make(chan error)
	go func() { stopped <- s.Run(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-stopped; !errors.Is(err, context.Canceled) {
			w.t.Errorf("the sweep ended with %v", err)
		}
	})
}

// sweep runs s until the holds are closed.
func (w *world) sweep(s *inventory.Service, ids ...uuid.UUID) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.ctx)
	stopped := make(chan error)
	go func() { stopped <- s.Run(ctx) }()
	for _, id := range ids {
		w.eventually("the sweep comes by", func() bool { return !w.load(s, id).ClosedAt.IsZero() })
	}
	cancel()
	<-stopped
}

// eventually waits for something that another goroutine does.
func (w *world) eventually(what string, done func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("waited 20 s until %s", what)
		}
	}
}

// seat is a seat's state.
func (w *world) seat(name string) (state string) {
	w.t.Helper()
	err := w.db.Pool.QueryRow(w.ctx, `SELECT state FROM seats WHERE event_id = $1 AND seat = $2`, w.event, name).Scan(&state)
	if err != nil {
		w.t.Fatal(err)
	}
	return state
}

// load is the hold as the database has it.
func (w *world) load(s *inventory.Service, id uuid.UUID) inventory.Hold {
	w.t.Helper()
	h, err := s.Load(w.ctx, id)
	if err != nil {
		w.t.Fatalf("load hold %s: %v", id, err)
	}
	return h
}

// taken reads the stock's counters by tier/allocation.
func (w *world) taken(s *inventory.Service) map[string]int64 {
	w.t.Helper()
	stock, err := s.Availability(w.ctx, w.event)
	if err != nil {
		w.t.Fatal(err)
	}
	taken := make(map[string]int64)
	for _, row := range stock {
		taken[row.Tier+"/"+row.Allocation] = row.Taken
	}
	return taken
}

// audit recomputes stock, seats and quotas from the holds and lists every difference. Every unit must be in exactly one
// state.
func (w *world) audit() []string {
	w.t.Helper()
	tx, err := w.db.Reader.Begin(w.ctx) // one snapshot: others may be at work
	if err != nil {
		w.t.Fatal(err)
	}
	defer tx.Rollback(w.ctx)
	var wrong []string
	tell := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	type seatState struct{ state, hold string }
	wantStock, wantQuota, wantSeats := map[string]int64{}, map[string]int64{}, map[string]seatState{}
	var id, entrant, state, text string
	var units int64
	w.each(tx, `SELECT hold_id::TEXT, encode(entrant, 'hex'), state, units, items FROM holds WHERE event_id = $1`,
		[]any{&id, &entrant, &state, &units, &text}, func() {
			if state != "active" && state != "sold" {
				return
			}
			var items []inventory.Item
			if err := json.Unmarshal([]byte(text), &items); err != nil {
				tell("items of hold %s: %v", id, err)
			}
			wantQuota[entrant] += units
			for _, item := range items {
				wantStock[item.Tier+"/"+item.Allocation] += int64(item.Quantity)
				units -= int64(item.Quantity)
				for _, seat := range item.Seats {
					if other, twice := wantSeats[seat]; twice {
						tell("seat %s belongs to holds %s and %s", seat, other.hold, id)
					}
					wantSeats[seat] = seatState{map[string]string{"active": "held", "sold": "sold"}[state], id}
				}
			}
			if units != 0 {
				tell("hold %s: units and items differ by %d", id, units)
			}
		})
	var name string
	var capacity, taken int64
	w.each(tx, `SELECT tier || '/' || allocation, capacity, taken FROM stock WHERE event_id = $1`,
		[]any{&name, &capacity, &taken}, func() {
			if taken != wantStock[name] || taken > capacity {
				tell("stock %s: taken %d of %d, holds have %d", name, taken, capacity, wantStock[name])
			}
			delete(wantStock, name)
		})
	var limit int64
	w.each(tx, `SELECT encode(buyer, 'hex'), taken, max_units FROM quota WHERE scope_id = $1 AND kind = 'entrant'`,
		[]any{&name, &taken, &limit}, func() {
			if taken != wantQuota[name] || taken > limit {
				tell("quota of %s: taken %d of %d, holds have %d", name, taken, limit, wantQuota[name])
			}
			delete(wantQuota, name)
		})
	var hold *string
	w.each(tx, `SELECT seat, state, hold_id::TEXT FROM seats WHERE event_id = $1`, []any{&name, &state, &hold}, func() {
		want, ok := wantSeats[name]
		switch {
		case !ok && (state == "held" || state == "sold"), ok && (hold == nil || want != seatState{state, *hold}):
			tell("seat %s: %s by %v, should be %v", name, state, hold, want)
		}
		delete(wantSeats, name)
	})
	wrong = append(wrong, w.auditSeatLog(tx)...)
	wrong = append(wrong, w.auditLimits(tx)...)
	if len(wantStock)+len(wantQuota)+len(wantSeats) > 0 {
		tell("holds without rows: stock %v, quota %v, seats %v", wantStock, wantQuota, wantSeats)
	}
	slices.Sort(wrong)
	return wrong
}

// auditLimits recomputes the rows of quota that holds remember besides the entrant's, of all events.
func (w *world) auditLimits(tx pgx.Tx) []string {
	w.t.Helper()
	var wrong []string
	want := map[string]int64{}
	var ids, kind string
	var units, taken, limit int64
	w.each(tx, `SELECT encode(quotas, 'hex'), units FROM holds WHERE $1::UUID IS NOT NULL AND state IN ('active', 'sold')`,
		[]any{&ids, &units}, func() {
			for at := 0; at < len(ids); at += 32 {
				want[ids[at:at+32]] += units
			}
		})
	w.each(tx, `SELECT replace(quota_id::TEXT, '-', ''), kind, taken, max_units FROM quota WHERE $1::UUID IS NOT NULL AND kind <> 'entrant'`,
		[]any{&ids, &kind, &taken, &limit}, func() {
			if taken != want[ids] || taken > limit {
				wrong = append(wrong, fmt.Sprintf("quota of %s %s: taken %d of %d, holds have %d", kind, ids, taken, limit, want[ids]))
			}
			delete(want, ids)
		})
	for id, n := range want {
		if n > 0 {
			wrong = append(wrong, fmt.Sprintf("holds count %d in quota %s, which is not there", n, id))
		}
	}
	return wrong
}

// auditSeatLog replays the seat log: it must have every version of the stock rows of seats but those that a release of an
// allocation made, and end where the table is.
func (w *world) auditSeatLog(tx pgx.Tx) []string {
	w.t.Helper()
	var wrong []string
	versions, states, releases := map[string]int64{}, map[string]string{}, map[string]int64{}
	gaps := map[string]int64{}
	var row, changes, seat, state string
	var version int64
	w.each(tx, `SELECT tier, count(*) FROM releases WHERE event_id = $1 AND units > 0 GROUP BY tier`, []any{&row, &version}, func() {
		releases[row] = version
	})
	w.each(tx, `SELECT tier || '/' || allocation, version, changes FROM seat_log WHERE event_id = $1 ORDER BY tier, allocation, version`,
		[]any{&row, &version, &changes}, func() {
			tier, _, _ := strings.Cut(row, "/")
			for versions[row]++; versions[row] < version && gaps[row] < releases[tier]; gaps[row]++ {
				versions[row]++
			}
			if versions[row] != version {
				wrong = append(wrong, fmt.Sprintf("seat log of %s: version %d instead of %d", row, version, versions[row]))
			}
			for change := range strings.SplitSeq(changes, ",") {
				name, next, _ := strings.Cut(change, "=")
				if states[name] == next {
					wrong = append(wrong, fmt.Sprintf("seat log of %s, version %d: %s is %s already", row, version, name, next))
				}
				states[name] = next
			}
		})
	w.each(tx, `SELECT tier || '/' || allocation, version FROM stock WHERE event_id = $1 AND tier = 'lower'`, []any{&row, &version}, func() {
		if versions[row] != version {
			wrong = append(wrong, fmt.Sprintf("seat log of %s ends at version %d, the stock row is at %d", row, versions[row], version))
		}
	})
	w.each(tx, `SELECT seat, state FROM seats WHERE event_id = $1 AND state <> 'blocked'`, []any{&seat, &state}, func() {
		want := map[string]string{"free": "free", "held": "held", "sold": "held"}[state]
		if got := states[seat]; got != want && (got != "" || want != "free") {
			wrong = append(wrong, fmt.Sprintf("seat %s is %s, the seat log ends with %q", seat, state, got))
		}
	})
	return wrong
}

func (w *world) mustAudit() {
	w.t.Helper()
	for _, line := range w.audit() {
		w.t.Error(line)
	}
}

func (w *world) each(tx pgx.Tx, sql string, into []any, row func()) {
	w.t.Helper()
	rows, err := tx.Query(w.ctx, sql, w.event)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := pgx.ForEachRow(rows, into, func() error { row(); return nil }); err != nil {
		w.t.Fatal(err)
	}
}
