package payout

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"fairgate/core/db"
	"fairgate/core/db/dbtest"
	"fairgate/ledger"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

const organizer = "lumen-live"

func eur(minor int64) ledger.Amount { return ledger.Amount{Minor: minor, Currency: "EUR"} }

// world is an organizer with events and sold orders.
type world struct {
	t  testing.TB
	db *db.DB
	s  *Service
	n  int
}

func newWorld(t testing.TB, rules Rules) *world {
	t.Helper()
	d := dbtest.New(t)
	return &world{t: t, db: d, s: New(d, Config{Rules: rules})}
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.db.Exec(context.Background(), sql, args...); err != nil {
		w.t.Fatal(err)
	}
}

// event makes an event that started so long ago.
func (w *world) event(ago time.Duration) uuid.UUID {
	id := uuid.New()
	w.exec(`INSERT INTO events (event_id, slug, name, state, organizer, currency, time_zone, starts_at, spec, spec_hash, revision, pseudonym_key)
		VALUES ($1, $2, 'Show', 'active', $3, 'EUR', 'UTC', now() - $4::INT8 * INTERVAL '1 second', '{}', '', 1, '')`,
		id, id.String(), organizer, int64(ago.Seconds()))
	return id
}

func (w *world) record(transfers []ledger.Transfer, err error) []ledger.Transfer {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.db.InTx(context.Background(), func(ctx context.Context, tx pgx.Tx) error { return w.s.writer.Record(ctx, tx, transfers) }); err != nil {
		w.t.Fatal(err)
	}
	return transfers
}

// sell sells an order of an event for this face value.
func (w *world) sell(event uuid.UUID, face int64) uuid.UUID {
	order := uuid.New()
	w.exec(`INSERT INTO orders (order_id, event_id, hold_id, entrant, state, amount_minor, currency, lines, email, body_hash, key_id, events, created_at, updated_at)
		VALUES ($1, $2, $3, '', 'issued', $4, 'EUR', '[]', '', '', $5, 0, now(), now())`, order, event, uuid.New(), face, uuid.New())
	sale := w.record(ledger.SaleTransfers(order, organizer, "stripe", eur(face), eur(100), eur(50)))
	w.record(ledger.PostAll(sale), nil)
	return order
}

// refund gives the whole order back.
func (w *world) refund(order uuid.UUID) {
	m, err := ledger.ReadOrder(context.Background(), w.db.Reader, order)
	if err != nil {
		w.t.Fatal(err)
	}
	rest, total := m.Rest()
	refund := w.record(ledger.RefundTransfers(ledger.Terms{Order: order, Organizer: organizer, Provider: "stripe", Currency: "EUR"}, uuid.New(), m, rest, total))
	w.record(ledger.PostAll(refund), nil)
}

// net is payable, reserve, available.
func (w *world) net() (net [3]int64) {
	w.t.Helper()
	for i, a := range []ledger.Account{ledger.OrganizerPayable(organizer, "EUR"), ledger.OrganizerReserve(organizer, "EUR"), ledger.OrganizerAvailable(organizer, "EUR")} {
		if err := w.db.Reader.QueryRow(context.Background(), sqlNet, a.ID()).Scan(&net[i]); err != nil {
			w.t.Fatal(err)
		}
	}
	return net
}

func (w *world) run() []Line {
	w.t.Helper()
	w.n++
	lines, err := w.s.Run(context.Background(), uuid.NewSHA1(space, []byte{byte(w.n), byte(w.n >> 8)}))
	if err != nil {
		w.t.Fatal(err)
	}
	return lines
}

func (w *world) only(state State) Payout {
	w.t.Helper()
	list, err := w.s.List(context.Background(), state, organizer, uuid.Nil, 10)
	if err != nil || len(list) != 1 {
		w.t.Fatalf("%d payouts are %s: %v", len(list), state, err)
	}
	return list[0]
}

var plainRules = Rules{After: time.Hour, ReservePercent: 10, ReserveFor: 24 * time.Hour, MinimumMinor: 100}

func TestAnOrganizerIsPaidAfterTheEventLessAReserveAndTheReserveLater(t *testing.T) {
	w := newWorld(t, plainRules)
	over, coming := w.event(2*time.Hour), w.event(-time.Hour)
	w.sell(over, 10000)
	w.sell(coming, 7000)
	lines := w.run()
	if len(lines) != 1 || lines[0].Released != 9000 || lines[0].Reserved != 1000 || w.net() != [3]int64{7000, 1000, 9000} {
		t.Fatalf("lines %+v, balances %v", lines, w.net())
	}
	p := w.only(Proposed)
	if p.Amount != eur(9000) || p.ID != lines[0].PayoutID {
		t.Fatalf("payout %+v", p)
	}
	if _, err := w.s.Move(t.Context(), p.ID, Sent, "ann", "x"); !errors.Is(err, ErrState) {
		t.Errorf("sent without approval: %v", err)
	}
	for _, to := range []State{Approved, Sent, Arrived, Arrived} {
		if _, err := w.s.Move(t.Context(), p.ID, to, "ann", "month's end"); err != nil {
			t.Fatalf("%s: %v", to, err)
		}
	}
	s, err := ledger.ReadSettlement(t.Context(), w.db.Reader, organizer, "EUR", time.Now().Add(time.Hour))
	if err != nil || s.PaidOut != 9000 || s.Reserve != 1000 || s.InTransit != 0 {
		t.Errorf("settlement %+v, %v", s, err)
	}
	if lines := w.run(); len(lines) != 0 {
		t.Errorf("nothing was new, and yet %+v", lines)
	}
	w.exec("UPDATE payout_events SET reserve_until = now()")
	if lines := w.run(); len(lines) != 1 || lines[0].Unreserved != 1000 || w.net() != [3]int64{7000, 0, 1000} {
		t.Errorf("the reserve: %+v, balances %v", lines, w.net())
	}
	if p := w.only(Proposed); p.Amount != eur(1000) {
		t.Errorf("payout of the reserve: %+v", p)
	}
}

func TestWhatAnOrganizerOwesIsCoveredFromTheReserveAndThenFromOtherEvents(t *testing.T) {
	w := newWorld(t, plainRules)
	first := w.event(3 * time.Hour)
	w.sell(first, 10000)
	bad := w.sell(first, 5000)
	w.run() // 13500 available, 1500 in reserve
	w.refund(bad)
	if w.net()[0] != -5000 {
		t.Fatalf("balances %v", w.net())
	}
	lines := w.run()
	if len(lines) != 1 || lines[0].Covered != 1500 || lines[0].Used != 3500 || w.net() != [3]int64{0, 0, 10000} {
		t.Fatalf("lines %+v, balances %v", lines, w.net())
	}
	w.sell(w.event(2*time.Hour), 10000)
	lines = w.run()
	if len(lines) != 1 || lines[0].Released != 9000 || lines[0].Reserved != 1000 || w.net() != [3]int64{0, 1000, 19000} {
		t.Fatalf("lines %+v, balances %v", lines, w.net())
	}
	if lines := w.run(); len(lines) != 0 {
		t.Errorf("nothing was new, and yet %+v", lines)
	}
}

func TestAReturnedPayoutIsAvailableAgainAndProposedAnew(t *testing.T) {
	w := newWorld(t, plainRules)
	w.sell(w.event(2*time.Hour), 10000)
	w.run()
	p := w.only(Proposed)
	for _, to := range []State{Approved, Sent, Returned} {
		if _, err := w.s.Move(t.Context(), p.ID, to, "ann", "account closed"); err != nil {
			t.Fatal(err)
		}
	}
	if w.net()[2] != 9000 {
		t.Errorf("balances %v", w.net())
	}
	w.run()
	if again := w.only(Proposed); again.ID == p.ID || again.Amount != p.Amount {
		t.Errorf("proposed anew: %+v", again)
	}
	if got, err := w.s.Move(t.Context(), p.ID, Returned, "ann", "again"); err != nil || len(got.History) != 4 {
		t.Errorf("returned twice: %+v, %v", got, err)
	}
}

func TestNeverMoreIsSentThanIsAvailable(t *testing.T) {
	w := newWorld(t, plainRules)
	w.sell(w.event(2*time.Hour), 10000)
	w.run()
	p := w.only(Proposed)
	if _, err := w.s.Move(t.Context(), p.ID, Approved, "ann", "ok"); err != nil {
		t.Fatal(err)
	}
	w.record(ledger.PayoutSentTransfers(uuid.New(), organizer, eur(1))) // by another way
	if _, err := w.s.Move(t.Context(), p.ID, Sent, "ann", "ok"); !errors.Is(err, ledger.ErrInsufficient) {
		t.Errorf("sent: %v", err)
	}
	if p := w.only(Approved); p.Amount != eur(9000) {
		t.Errorf("payout %+v", p)
	}
	if _, err := w.s.Move(t.Context(), uuid.New(), Sent, "ann", "ok"); !errors.Is(err, ErrUnknown) {
		t.Errorf("a payout nobody knows: %v", err)
	}
}

func TestRunsAtOnceReleaseAndProposeOnce(t *testing.T) {
	w := newWorld(t, plainRules)
	w.sell(w.event(2*time.Hour), 10000)
	same := uuid.New()
	var wg sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		run := same
		if i%2 == 1 {
			run = uuid.New()
		}
		s := New(w.db, Config{Rules: plainRules})
		wg.Go(func() { _, errs[i] = s.Run(context.Background(), run) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if w.net() != [3]int64{0, 1000, 9000} || w.only(Proposed).Amount != eur(9000) {
		t.Errorf("balances %v", w.net())
	}
}

func TestARunThatIsRepeatedSaysTheSameAndDoesNothing(t *testing.T) {
	w := newWorld(t, plainRules)
	w.sell(w.event(2*time.Hour), 10000)
	run := RunOfDay(time.Now())
	first, err := w.s.Run(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	w.sell(w.event(2*time.Hour), 5000) // for the next run
	again, err := w.s.Run(t.Context(), run)
	if err != nil || len(first) != 1 || len(again) != 1 || first[0] != again[0] || w.net()[0] != 5000 {
		t.Errorf("first %+v, again %+v, %v, balances %v", first, again, err, w.net())
	}
}

func TestWhatIsDisputedOrTooLittleIsNotPaidOut(t *testing.T) {
	w := newWorld(t, Rules{After: time.Hour, MinimumMinor: 5000})
	event := w.event(2 * time.Hour)
	w.sell(event, 4000)
	order := w.sell(event, 3000)
	w.record(ledger.DisputeOpenedTransfers(ledger.Terms{Order: order, Organizer: organizer, Provider: "stripe", Currency: "EUR"}, uuid.New(), 3150, 0))
	lines := w.run()
	if len(lines) != 1 || lines[0].Released != 4000 || lines[0].PayoutID != uuid.Nil {
		t.Errorf("lines %+v", lines)
	}
}

// send approves and sends the open payout, if there is one, and says how much was sent: nothing that its organizer owes us.
func (w *world) send(rt *rapid.T) int64 {
	list, err := w.s.List(context.Background(), Proposed, organizer, uuid.Nil, 10)
	if err != nil {
		rt.Fatal(err)
	}
	if len(list) == 0 {
		return 0
	}
	p, before := list[0], w.net()
	affordable := before[2]+min(0, before[0]) >= p.Amount.Minor
	_, err = w.s.Move(context.Background(), p.ID, Approved, "ann", "ok")
	if affordable != (err == nil) || err != nil && !errors.Is(err, ErrShort) {
		rt.Fatalf("approve %v of %v: %v", p.Amount, before, err)
	}
	if err != nil {
		return 0
	}
	if _, err := w.s.Move(context.Background(), p.ID, Sent, "ann", "ok"); err != nil {
		rt.Fatal(err)
	}
	return p.Amount.Minor
}

// Whatever is sold, refunded and run in whatever order: nothing is lost between the accounts, nothing that is earned twice is released, and
// in the end the organizer has what they earned.
func TestWhateverHappensInTheEndAnOrganizerGetsWhatTheyEarned(t *testing.T) {
	d := dbtest.New(t)
	rapid.Check(t, func(rt *rapid.T) {
		w := &world{t: t, db: d}
		for _, table := range []string{"events", "orders", "payouts", "payout_events", "payout_lines", "payout_history", "ledger_transfers", "ledger_balances", "ledger_accounts"} {
			w.exec("DELETE FROM " + table)
		}
		w.s = New(d, Config{Rules: Rules{After: time.Hour, ReservePercent: rapid.Int64Range(0, 100).Draw(rt, "percent"), ReserveFor: time.Hour, MinimumMinor: 1}})
		events := []uuid.UUID{w.event(2 * time.Hour), w.event(3 * time.Hour), w.event(-time.Hour)}
		var orders []uuid.UUID
		ripe := map[uuid.UUID]int64{}
		faces := map[uuid.UUID]int64{}
		var sent int64
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			switch rapid.IntRange(0, 5).Draw(rt, "step") {
			case 0, 1:
				at := rapid.IntRange(0, len(events)-1).Draw(rt, "event")
				face := rapid.Int64Range(1000, 9999).Draw(rt, "face")
				order := w.sell(events[at], face)
				orders = append(orders, order)
				faces[order] = face
				if at < 2 {
					ripe[order] = face
				}
			case 2:
				if len(orders) > 0 {
					i := rapid.IntRange(0, len(orders)-1).Draw(rt, "order")
					w.refund(orders[i])
					delete(ripe, orders[i])
					delete(faces, orders[i])
					orders = append(orders[:i], orders[i+1:]...)
				}
			case 3:
				w.run()
			case 4:
				w.exec("UPDATE payout_events SET reserve_until = now()")
			case 5:
				sent += w.send(rt)
			}
		}
		w.run()
		w.exec("UPDATE payout_events SET reserve_until = now()")
		w.run()
		w.run()
		var earned, all int64
		for _, face := range ripe {
			earned += face
		}
		for _, face := range faces {
			all += face
		}
		net := w.net()
		if net[0]+net[1]+net[2]+sent != all {
			rt.Fatalf("balances %v and %d sent add up to other than the %d earned", net, sent, all)
		}
		if net[0] < 0 && net[2] > 0 {
			rt.Fatalf("balances %v: who owes us has money available", net)
		}
		// What was sent before a refund stays with the organizer, who owes it or has it of other events; else they have just what ripe
		// events earned.
		if got := net[2] + sent; net[1] != 0 || got < earned || got > earned && net[0] >= all-earned {
			rt.Fatalf("balances %v, sent %d, earned %d of %d", net, sent, earned, all)
		}
	})
}

func TestEventsAreReleasedHoweverManyOthersAreOlder(t *testing.T) {
	w := newWorld(t, plainRules)
	w.exec(`INSERT INTO events (event_id, slug, name, state, organizer, currency, time_zone, starts_at, spec, spec_hash, revision, pseudonym_key)
		SELECT gen_random_uuid(), 'show-' || n, 'Show', 'active', $1, 'EUR', 'UTC', now() - INTERVAL '5 hours', '{}', '', 1, '' FROM generate_series(1, $2::INT8) AS n`,
		organizer, eventRows)
	w.exec(`INSERT INTO payout_events (event_id, organizer, currency, released_minor, reserved_minor, reserve_until)
		SELECT event_id, organizer, currency, 0, 0, now() FROM events`)
	w.sell(w.event(2*time.Hour), 10000)
	w.run()
	if w.net() != [3]int64{0, 1000, 9000} {
		t.Errorf("balances %v", w.net())
	}
}
