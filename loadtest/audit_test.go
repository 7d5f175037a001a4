package loadtest

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"fairgate/core/db"
	"fairgate/core/db/dbtest"
	"fairgate/core/ticket/code"
	"fairgate/edge/lottery"
	"fairgate/ledger"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

func TestMain(m *testing.M) {
	code := dbtest.Run(m)
	removePrograms()
	os.Exit(code)
}

// sale is a small on-sale that went well: three purchases, one hold that expired, one bot that bought in its turn.
type sale struct {
	db       *db.DB
	tx       pgx.Tx // what a case plants is planted here, and rolled back
	evidence *evidence
	orders   []uuid.UUID
	holds    []uuid.UUID
	device   uuid.UUID          // the quota of a device that bought in the tour
	key      ed25519.PrivateKey // of the event's tickets
}

const saleEvent = "gala"

func testKey(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune('a'+n)), ed25519.SeedSize)))
}

func public(no uint32, key ed25519.PrivateKey) lottery.PublicKeys {
	return lottery.PublicKeys{{No: no, Public: lottery.Hex32(key.Public().(ed25519.PublicKey))}}
}

// goodSale writes the sale into a fresh database and gathers the evidence of everybody else.
func goodSale(t *testing.T) *sale {
	t.Helper()
	s := &sale{db: dbtest.New(t), key: testKey(0)}
	s.evidence = &evidence{event: saleEvent, witness: NewWitness(), ticketKeys: public(1, s.key), buyers: 4, ledger: ledgerReport{OK: true}}
	s.evidence.books.Consistent = true
	event := lottery.EventID(saleEvent)
	s.exec(t, `INSERT INTO stock (event_id, tier, allocation, capacity, taken, version) VALUES ($1, 'floor', 'general', 10, 3, 1), ($1, 'lower', 'general', 4, 2, 1)`, event)
	items := [][]heldItem{
		{{Tier: "floor", Allocation: "general", Quantity: 2}},
		{{Tier: "lower", Allocation: "general", Quantity: 2, Seats: []string{"A/1/1", "A/1/2"}}},
		{{Tier: "floor", Allocation: "general", Quantity: 1}},
		{{Tier: "floor", Allocation: "general", Quantity: 4}},
	}
	for i, item := range items {
		s.purchase(t, i, item[0], i < 3)
	}
	for n := 1; n <= 4; n++ {
		state, hold := "free", (*uuid.UUID)(nil)
		if n <= 2 {
			state, hold = "sold", &s.holds[1]
		}
		s.exec(t, `INSERT INTO seats (event_id, seat, section, row_label, number, tier, allocation, state, hold_id) VALUES ($1, $2, 'A', '1', $3, 'lower', 'general', $4, $5)`,
			event, fmt.Sprintf("A/1/%d", n), n, state, hold)
	}
	s.device = uuid.New()
	s.exec(t, `INSERT INTO quota (quota_id, scope_id, kind, buyer, taken, max_units) VALUES ($1, $2, 'entrant', '\x00', 5, 9), ($3, $4, 'device', '\x07', 4, 4)`,
		uuid.New(), event, s.device, uuid.New())
	s.exec(t, `UPDATE holds SET quotas = $1 WHERE hold_id = ANY($2)`, s.device[:], []uuid.UUID{s.holds[0], s.holds[1], s.holds[3]})
	s.draw(t)
	s.evidence.witness.Tried("claim before the turn", false, 1, "skipper", "")
	return s
}

func (s *sale) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	exec := s.db.Pool.Exec
	if s.tx != nil {
		exec = s.tx.Exec
	}
	if _, err := exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// crimeScene is a copy of the sale to plant things in; they are gone when the test ends.
func (s *sale) crimeScene(t *testing.T) *sale {
	t.Helper()
	scene, e := *s, *s.evidence
	scene.evidence = &e
	e.books.Intents = slices.Clone(e.books.Intents)
	e.books.Balances = maps.Clone(e.books.Balances)
	e.transcript.Windows = slices.Clone(e.transcript.Windows)
	e.transcript.Sessions = slices.Clone(e.transcript.Sessions)
	w := s.evidence.witness
	e.witness = &Witness{receipts: w.Receipts(), tickets: w.Tickets(), orders: w.Orders(), bots: w.BotEntrants(), crimes: w.Crimes(), attempts: w.Attempts()}
	tx, err := s.db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	scene.tx = tx
	t.Cleanup(func() { tx.Rollback(context.Background()) })
	return &scene
}

// purchase writes one hold and, when bought, everything that follows from it.
func (s *sale) purchase(t *testing.T, i int, item heldItem, bought bool) {
	t.Helper()
	event := lottery.EventID(saleEvent)
	hold, order := uuid.New(), uuid.New()
	s.holds, s.orders = append(s.holds, hold), append(s.orders, order)
	state, amount := "expired", 1000*item.Quantity
	if bought {
		state = "sold"
	}
	s.exec(t, `INSERT INTO holds (hold_id, event_id, entrant, state, units, items, amount_minor, currency, body_hash, commit_no, created_at, deadline, extended, quotas)
		VALUES ($1, $2, '\x00', $3, $4, $5, $6, 'EUR', '\x00', 1, now(), now(), false, '')`, hold, event, state, item.Quantity, string(jsonBody([]heldItem{item})), amount)
	if !bought {
		return
	}
	s.exec(t, `INSERT INTO orders (order_id, event_id, hold_id, entrant, state, amount_minor, currency, lines, email, body_hash, key_id, events, created_at, updated_at)
		VALUES ($1, $2, $3, '\x00', 'ticket_issued', $4, 'EUR', '[]', '', '\x00', $1, 0, now(), now())`, order, event, hold, amount)
	s.payment(t, order, 1, "captured", "", amount)
	eur := func(n int64) ledger.Amount { return ledger.Amount{Minor: n, Currency: "EUR"} }
	transfers, err := ledger.SaleTransfers(order, "theatre", "stripe", eur(amount-300), eur(200), eur(100))
	if err != nil {
		t.Fatal(err)
	}
	err = pgx.BeginTxFunc(t.Context(), s.db.Pool, pgx.TxOptions{}, func(tx pgx.Tx) error {
		return ledger.NewWriter(nil).Record(t.Context(), tx, append(transfers, ledger.PostAll(transfers)...))
	})
	if err != nil {
		t.Fatal(err)
	}
	s.evidence.books.Intents = append(s.evidence.books.Intents, BookedIntent{
		ID: fmt.Sprintf("pi_%d", i), Order: order.String(), Status: "succeeded", Amount: amount, Captured: amount, Currency: "eur",
	})
	if s.evidence.books.Balances == nil {
		s.evidence.books.Balances = make(map[string]int64)
	}
	s.evidence.books.Balances["EUR"] += amount
	for n := range item.Quantity {
		seat := ""
		if len(item.Seats) > 0 {
			seat = item.Seats[n]
		}
		s.ticket(t, order, n, item.Tier, seat, s.key)
	}
	s.evidence.witness.Order(SeenOrder{ID: order.String(), Minor: amount, Currency: "EUR", Tickets: int(item.Quantity)})
}

// payment writes an attempt to pay.
func (s *sale) payment(t *testing.T, order uuid.UUID, attempt int, state, failure string, amount int64) {
	t.Helper()
	s.exec(t, `INSERT INTO payments (order_id, attempt, payment_id, provider, provider_ref, client_secret, state, live, failure, declines, amount_minor, currency, created_at, updated_at)
		VALUES ($1, $2, $3, 'stripe', '', '', $4, false, $5, '', $6, 'EUR', now(), now())`, order, attempt, uuid.New(), state, failure, amount)
}

func (s *sale) ticket(t *testing.T, order uuid.UUID, n int64, tier, seat string, key ed25519.PrivateKey) {
	t.Helper()
	id, event := uuid.New(), lottery.EventID(saleEvent)
	text, err := code.Code{KeyNo: 1, TicketID: id, EventID: event, Epoch: 1, Place: code.Place(tier, seat)}.Sign(key)
	if err != nil {
		t.Fatal(err)
	}
	s.exec(t, `INSERT INTO tickets (ticket_id, event_id, order_id, item, tier, seat, owner, epoch, key_no, code, state, issued_at)
		VALUES ($1, $2, $3, $4, $5, $6, '\x00', 1, 1, $7, 'valid', now())`, id, event, order, n, tier, seat, text)
	s.evidence.witness.Ticket(SeenTicket{ID: id.String(), Order: order.String(), Tier: tier, Seat: seat, Code: text})
}

// draw holds a draw of five entrants, the last of them a bot, and calls all but the bot's place last.
func (s *sale) draw(t *testing.T) {
	t.Helper()
	e, event, key := s.evidence, lottery.EventID(saleEvent), testKey(1)
	chain, err := lottery.NewChain(event, [32]byte{7}, 4)
	if err != nil {
		t.Fatal(err)
	}
	var leaves lottery.Leaves
	for i := range 5 {
		leaves = append(leaves, lottery.Leaf{Entrant: lottery.NewEntrant([]byte("pseudonym"), "device", []byte{byte(i)})})
	}
	secret, err := chain.Secret(0)
	if err != nil {
		t.Fatal(err)
	}
	root := lottery.Root(leaves)
	seed := lottery.Seed(event, 0, secret, root, nil)
	commitment := lottery.Hex32(chain.Commitment())
	opened := time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)
	order := lottery.Order(seed, 0, leaves)
	e.transcript = lottery.Transcript{
		Event: saleEvent, Generation: 1, Commitment: commitment, Length: 4, Keys: public(1, key),
		Windows: []lottery.SealedWindow{{Entrants: 5, Leaves: leaves, Root: root, Secret: secret, Seed: seed}},
	}
	for i, d := range order {
		at := opened.Add(time.Duration(i) * time.Second)
		e.transcript.Cursors = append(e.transcript.Cursors, lottery.CursorMove{Value: lottery.Fraction(d.Value), Called: i + 1, At: at})
		e.transcript.Sessions = append(e.transcript.Sessions, lottery.Admission{Entrant: d.Entrant, Value: lottery.Fraction(d.Value), IssuedAt: at.Add(time.Millisecond)})
		r := lottery.Receipt{Event: event, Entrant: d.Entrant, Generation: 1, AcknowledgedAt: opened, KeyNo: 1}
		e.witness.Receipt(d.Entrant, r.Sign(key))
	}
	e.witness.Bot(order[4].Entrant, "tabs")
	e.seen = lottery.Evidence{Commitment: &commitment, Windows: []lottery.SeenWindow{{Root: root, Seed: seed}}}
}

// judge reads the database and returns the verdicts by name.
func (s *sale) judge(t *testing.T) map[string]Verdict {
	t.Helper()
	var err error
	if s.tx != nil {
		err = s.evidence.readFrom(t.Context(), s.tx)
	} else {
		err = s.evidence.readDatabase(t.Context(), s.db.Pool)
	}
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]Verdict)
	for _, v := range s.evidence.judge() {
		all[v.Name] = v
	}
	return all
}

func TestAGoodSalePassesEveryCheck(t *testing.T) {
	verdicts := goodSale(t).judge(t)
	if len(verdicts) != 11 {
		t.Errorf("%d verdicts, want 11", len(verdicts))
	}
	for _, v := range verdicts {
		if !v.Passed || v.Checked == 0 || v.Found > 0 {
			t.Errorf("%s\n%s", v, strings.Join(v.Failures, "\n"))
		}
	}
}

// payoutThatCameBack pays the organizer and books that the bank has sent it back.
func (s *sale) payoutThatCameBack(t *testing.T) {
	t.Helper()
	eur := func(n int64) ledger.Amount { return ledger.Amount{Minor: n, Currency: "EUR"} }
	released, err := ledger.PayoutReleasedTransfers(uuid.New(), "theatre", eur(500), eur(50))
	if err != nil {
		t.Fatal(err)
	}
	sent, err := ledger.PayoutSentTransfers(uuid.New(), "theatre", eur(500))
	if err != nil {
		t.Fatal(err)
	}
	w := ledger.NewWriter(nil)
	for _, transfers := range [][]ledger.Transfer{released, sent, ledger.ReverseAll(sent)} {
		if err := w.Record(t.Context(), s.tx, transfers); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAPayoutThatCameBackAddsUp(t *testing.T) {
	s := goodSale(t).crimeScene(t)
	s.payoutThatCameBack(t)
	for _, v := range s.judge(t) {
		if !v.Passed {
			t.Errorf("%s\n%s", v, strings.Join(v.Failures, "\n"))
		}
	}
}

// TestEveryVerdictFailsWhenItShould plants one crime after the other into a good sale.
func TestEveryVerdictFailsWhenItShould(t *testing.T) {
	event := lottery.EventID(saleEvent)
	cases := []struct {
		name  string
		plant func(*testing.T, *sale)
		fails []string // these and no others
	}{
		{"an oversell that the stock row shows", func(t *testing.T, s *sale) {
			s.exec(t, `ALTER TABLE stock DROP CONSTRAINT stock_taken_within_capacity`)
			s.exec(t, `UPDATE stock SET taken = 11 WHERE tier = 'floor'`)
			s.exec(t, `UPDATE holds SET state = 'sold', units = 8, items = '[{"tier":"floor","allocation":"general","quantity":8}]' WHERE hold_id = $1`, s.holds[3])
		}, []string{"oversold", "limits"}},
		{"an oversell that only the holds show", func(t *testing.T, s *sale) {
			s.exec(t, `UPDATE holds SET state = 'sold', units = 9, items = '[{"tier":"floor","allocation":"general","quantity":9}]' WHERE hold_id = $1`, s.holds[3])
		}, []string{"oversold", "limits"}},
		{"stock that leaked away", func(t *testing.T, s *sale) {
			s.exec(t, `UPDATE stock SET taken = 7 WHERE tier = 'floor'`)
		}, []string{"oversold"}},
		{"more tickets than seats", func(t *testing.T, s *sale) {
			s.exec(t, `UPDATE stock SET capacity = 2, taken = 2 WHERE tier = 'floor'`)
			s.exec(t, `UPDATE holds SET items = '[{"tier":"floor","allocation":"general","quantity":1}]', units = 1 WHERE hold_id = $1`, s.holds[0])
		}, []string{"oversold", "limits"}},
		{"a seat in two holds", func(t *testing.T, s *sale) {
			s.exec(t, `UPDATE stock SET taken = 3 WHERE tier = 'lower'`)
			s.exec(t, `UPDATE holds SET state = 'sold', units = 1, items = '[{"tier":"lower","allocation":"general","quantity":1,"seats":["A/1/2"]}]' WHERE hold_id = $1`, s.holds[3])
		}, []string{"seats_twice", "limits"}},
		{"a seat with two tickets", func(t *testing.T, s *sale) {
			s.exec(t, `DROP INDEX tickets_one_per_seat`)
			s.ticket(t, s.orders[0], 9, "lower", "A/1/1", s.key)
		}, []string{"seats_twice"}},
		{"a seat two buyers have in hand", func(_ *testing.T, s *sale) {
			seen := s.evidence.witness.tickets[2]
			seen.ID = uuid.NewString()
			s.evidence.witness.Ticket(seen)
		}, []string{"seats_twice", "ticket_codes"}},
		{"a ticket without a seat two buyers have in hand", func(_ *testing.T, s *sale) {
			seen := s.evidence.witness.tickets[0]
			seen.ID = uuid.NewString()
			s.evidence.witness.Ticket(seen)
		}, []string{"seats_twice", "ticket_codes"}},
		{"a seat whose row forgot it is sold", func(t *testing.T, s *sale) {
			s.exec(t, `UPDATE seats SET state = 'free', hold_id = NULL WHERE seat = 'A/1/1'`)
		}, []string{"seats_twice"}},
		{"a limit exceeded", func(t *testing.T, s *sale) {
			s.exec(t, `ALTER TABLE quota DROP CONSTRAINT quota_within_limit`)
			s.exec(t, `UPDATE quota SET max_units = 3 WHERE quota_id = $1`, s.device)
		}, []string{"limits"}},
		{"a count that is too high", func(t *testing.T, s *sale) {
			s.exec(t, `UPDATE quota SET taken = 6 WHERE kind = 'entrant'`)
		}, []string{"limits"}},
		{"a count that is too low", func(t *testing.T, s *sale) {
			s.exec(t, `UPDATE quota SET taken = 3 WHERE quota_id = $1`, s.device)
		}, []string{"limits"}},
		{"a hold that forgot where it counts", func(t *testing.T, s *sale) {
			s.exec(t, `UPDATE holds SET quotas = '' WHERE hold_id = $1`, s.holds[1])
		}, []string{"limits"}},
		{"a hold that counts twice", func(t *testing.T, s *sale) {
			s.exec(t, `UPDATE holds SET quotas = quotas || quotas WHERE hold_id = $1`, s.holds[1])
			s.exec(t, `UPDATE quota SET taken = 6, max_units = 6 WHERE quota_id = $1`, s.device)
		}, []string{"limits"}},
		{"a hold that counts as its entrant's twice", func(t *testing.T, s *sale) {
			s.exec(t, `UPDATE holds SET quotas = (SELECT uuid_send(quota_id) FROM quota WHERE kind = 'entrant') WHERE hold_id = $1`, s.holds[2])
			s.exec(t, `UPDATE quota SET taken = 6 WHERE kind = 'entrant'`)
		}, []string{"limits"}},
		{"a hold that counts where nothing is", func(t *testing.T, s *sale) {
			nowhere := uuid.New()
			s.exec(t, `UPDATE holds SET quotas = $2 WHERE hold_id = $1`, s.holds[2], nowhere[:])
		}, []string{"limits"}},
		{"a hold whose quotas are cut off", func(t *testing.T, s *sale) {
			s.exec(t, `UPDATE holds SET quotas = '\x0102' WHERE hold_id = $1`, s.holds[2])
		}, []string{"limits"}},
		{"a hold that counts for nobody", func(t *testing.T, s *sale) {
			s.exec(t, `UPDATE holds SET entrant = '\x01' WHERE hold_id = $1`, s.holds[2])
			s.exec(t, `UPDATE quota SET taken = 4 WHERE kind = 'entrant'`)
		}, []string{"limits"}},
		{"a hold of another event that the tour does not count", func(t *testing.T, s *sale) {
			other := uuid.New()
			s.exec(t, `INSERT INTO quota (quota_id, scope_id, kind, buyer, taken, max_units) VALUES ($1, $2, 'entrant', '\x00', 1, 9)`, uuid.New(), other)
			s.exec(t, `INSERT INTO holds SELECT $2, $3, entrant, state, 1, items, amount_minor, currency, body_hash, commit_no, created_at, deadline, extended, closed_at, quotas
				FROM holds WHERE hold_id = $1`, s.holds[0], uuid.New(), other)
		}, []string{"limits"}},
		{"a buyer with two counts", func(t *testing.T, s *sale) {
			s.exec(t, `INSERT INTO quota SELECT $1, scope_id, kind, buyer, 0, max_units FROM quota WHERE quota_id = $2`, uuid.New(), s.device)
		}, []string{"limits"}},
		{"an extra charge", func(_ *testing.T, s *sale) {
			extra := s.evidence.books.Intents[0]
			extra.ID = "pi_again"
			s.evidence.books.Intents = append(s.evidence.books.Intents, extra)
		}, []string{"charges"}},
		{"a charge for no order", func(_ *testing.T, s *sale) {
			s.evidence.books.Intents = append(s.evidence.books.Intents, BookedIntent{ID: "pi_x", Order: uuid.NewString(), Status: "succeeded", Captured: 5, Currency: "eur"})
		}, []string{"charges"}},
		{"a paid order that was never charged", func(_ *testing.T, s *sale) {
			s.evidence.books.Intents = s.evidence.books.Intents[1:]
		}, []string{"charges"}},
		{"an authorization that ties up somebody's money", func(_ *testing.T, s *sale) {
			s.evidence.books.Intents = append(s.evidence.books.Intents, BookedIntent{ID: "pi_y", Order: s.orders[0].String(), Status: "requires_capture", Amount: 5, Currency: "eur"})
		}, []string{"charges"}},
		{"an order told complete that is not", func(t *testing.T, s *sale) {
			s.evidence.witness.Order(SeenOrder{ID: uuid.NewString()})
		}, []string{"charges"}},
		{"another balance at the provider", func(_ *testing.T, s *sale) {
			s.evidence.books.Balances["EUR"]--
		}, []string{"provider_balance"}},
		{"money in a currency the ledger does not know", func(_ *testing.T, s *sale) {
			s.evidence.books.Balances["USD"] = 1
		}, []string{"provider_balance"}},
		{"books of a provider that contradict themselves", func(_ *testing.T, s *sale) {
			s.evidence.books.Consistent = false
		}, []string{"provider_balance"}},
		{"a missing transfer", func(t *testing.T, s *sale) {
			s.exec(t, `DELETE FROM ledger_transfers WHERE reference = $1 AND code = 'sale_payment'`, s.orders[0])
		}, []string{"provider_balance", "ledger_zero"}},
		{"a transfer nobody ended", func(t *testing.T, s *sale) {
			s.exec(t, `DELETE FROM ledger_transfers WHERE reference = $1 AND kind = 'post' AND code = 'sale_fee'`, s.orders[0])
		}, []string{"ledger_zero"}},
		{"a payout that came back and was not reversed", func(t *testing.T, s *sale) {
			s.payoutThatCameBack(t)
			s.exec(t, `DELETE FROM ledger_transfers WHERE kind = 'reverse'`)
		}, []string{"ledger_zero"}},
		{"a balance written by hand", func(t *testing.T, s *sale) {
			s.exec(t, `UPDATE ledger_balances SET credits_posted = credits_posted + 1 WHERE account_id = $1`, ledger.PlatformFees("EUR").ID())
		}, []string{"ledger_zero"}},
		{"a ledger that core itself calls broken", func(_ *testing.T, s *sale) {
			s.evidence.ledger.OK = false
		}, []string{"ledger_zero"}},
		{"a forged ticket", func(t *testing.T, s *sale) {
			s.ticket(t, s.orders[0], 9, "floor", "", testKey(5))
		}, []string{"ticket_codes"}},
		{"a ticket with another's code", func(t *testing.T, s *sale) {
			s.exec(t, `UPDATE tickets SET code = (SELECT min(code) FROM tickets)`)
		}, []string{"seats_twice", "ticket_codes"}},
		{"an order without its tickets", func(t *testing.T, s *sale) {
			s.exec(t, `DELETE FROM tickets WHERE order_id = $1`, s.orders[0])
		}, []string{"ticket_codes"}},
		{"a root that is not of its leaves", func(_ *testing.T, s *sale) {
			s.evidence.transcript.Windows[0].Leaves = slices.Clone(s.evidence.transcript.Windows[0].Leaves)[1:]
		}, []string{"draw"}},
		{"another commitment than the one published", func(_ *testing.T, s *sale) {
			s.evidence.seen.Commitment = &lottery.Hex32{1}
		}, []string{"draw"}},
		{"a buyer whose receipt counts for nothing", func(_ *testing.T, s *sale) {
			e := lottery.Entrant{9}
			r := lottery.Receipt{Event: event, Entrant: e, Generation: 1, AcknowledgedAt: time.Now(), KeyNo: 1}
			s.evidence.witness.Receipt(e, r.Sign(testKey(1)))
		}, []string{"draw"}},
		{"a hold left over", func(t *testing.T, s *sale) {
			s.exec(t, `UPDATE holds SET state = 'active' WHERE hold_id = $1`, s.holds[3])
			s.exec(t, `UPDATE stock SET taken = 7 WHERE tier = 'floor'`)
		}, []string{"holds_left", "limits"}},
		{"a seat left held", func(t *testing.T, s *sale) {
			s.exec(t, `UPDATE seats SET state = 'held' WHERE seat = 'A/1/1'`)
		}, []string{"holds_left"}},
		{"an honest buyer with an error", func(_ *testing.T, s *sale) {
			s.evidence.failed = 1
			s.evidence.problems = []Problem{{Buyer: 3, Op: OpHold, Status: 500, Code: "internal"}}
			s.evidence.kinds = map[Problem]int64{{Op: OpHold, Status: 500, Code: "internal"}: 1}
		}, []string{"honest_errors"}},
		{"a crime that worked", func(_ *testing.T, s *sale) {
			s.evidence.witness.Tried("hold without a session", true, 1, "skipper", "")
		}, []string{"bots_ahead"}},
		{"a bot let in a second too early", func(_ *testing.T, s *sale) {
			s.evidence.transcript.Sessions[4].IssuedAt = s.evidence.transcript.Cursors[4].At.Add(-time.Second)
		}, []string{"draw", "bots_ahead"}},
		{"a bot let in before anybody was called", func(_ *testing.T, s *sale) {
			s.evidence.transcript.Sessions[4].IssuedAt = s.evidence.transcript.Cursors[0].At.Add(-time.Second)
		}, []string{"draw", "bots_ahead"}},
		{"a bot with a place it did not draw", func(_ *testing.T, s *sale) {
			s.evidence.transcript.Sessions[4].Value = 1
		}, []string{"draw", "bots_ahead"}},
	}
	good := goodSale(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := good.crimeScene(t)
			c.plant(t, s)
			for name, v := range s.judge(t) {
				if want := slices.Contains(c.fails, name); v.Passed == want {
					t.Errorf("%s: passed %t\n%s\n%s", name, v.Passed, v, strings.Join(v.Failures, "\n"))
				}
			}
		})
	}
}

func TestNothingCheckedIsAFailure(t *testing.T) {
	d := dbtest.New(t)
	e := &evidence{event: saleEvent, witness: NewWitness(), ledger: ledgerReport{OK: true}}
	if err := e.readDatabase(t.Context(), d.Pool); err != nil {
		t.Fatal(err)
	}
	for _, v := range e.judge() {
		if v.Passed {
			t.Errorf("%s passed without having seen anything", v.Name)
		}
	}
	if Passed(nil) {
		t.Error("no verdict at all counts as a pass")
	}
}

func TestTheAuditWaitsForWhatIsUnderWay(t *testing.T) {
	s := goodSale(t)
	s.exec(t, `UPDATE holds SET state = 'active' WHERE hold_id = $1`, s.holds[3])
	go func() {
		time.Sleep(400 * time.Millisecond)
		if _, err := s.db.Pool.Exec(t.Context(), `UPDATE holds SET state = 'expired' WHERE hold_id = $1`, s.holds[3]); err != nil {
			t.Error(err)
		}
	}()
	left, err := settle(t.Context(), s.db.Pool, saleEvent, 10*time.Second)
	if err != nil || !left.none() {
		t.Errorf("left %+v, %v", left, err)
	}
	s.exec(t, `UPDATE orders SET state = 'payment_complete' WHERE order_id = $1`, s.orders[0])
	if left, err = settle(t.Context(), s.db.Pool, saleEvent, 0); err != nil || left.Orders != 1 {
		t.Errorf("left %+v, %v; want one order", left, err)
	}
}

func TestTheAuditCannotWrite(t *testing.T) {
	d := dbtest.New(t)
	tx, err := d.Pool.BeginTx(t.Context(), asOfNow)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	if _, err := tx.Exec(t.Context(), `DELETE FROM stock`); err == nil {
		t.Error("a write went through in the audit's transaction")
	}
}

func TestTheGateRefusesWhatIsNoCode(t *testing.T) {
	id := uuid.New()
	good, err := code.Code{KeyNo: 1, TicketID: id, EventID: lottery.EventID(saleEvent), Epoch: 3, Place: "A/1/2"}.Sign(testKey(0))
	if err != nil {
		t.Fatal(err)
	}
	keys := public(1, testKey(0))
	got, err := scan(good, keys)
	if want := (admitted{Ticket: id, Event: lottery.EventID(saleEvent), Epoch: 3, Place: "A/1/2"}); err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	for _, bad := range []string{"", "AAAA", good[:len(good)-8], "B" + good[1:], strings.ToLower(good)} {
		if _, err := scan(bad, keys); err == nil {
			t.Errorf("%q was let in", bad)
		}
	}
	if _, err := scan(good, public(2, testKey(0))); err == nil {
		t.Error("a code with an unknown key was let in")
	}
}

func TestAVerdictSaysHowMuchItChecked(t *testing.T) {
	q := Inquire("x", "Seats sold twice", "seats")
	q.Checked(1234567)
	if line := q.Verdict().String(); !strings.HasPrefix(line, "PASS") || !strings.Contains(line, "1,234,567 seats checked") {
		t.Error(line)
	}
	q.Wrong("seat %s", "A/1/1")
	if line := q.Verdict().String(); !strings.HasPrefix(line, "FAIL") || !strings.Contains(line, "1 wrong: seat A/1/1") {
		t.Error(line)
	}
	if _, err := json.Marshal(q.Verdict()); err != nil {
		t.Error(err)
	}
}
