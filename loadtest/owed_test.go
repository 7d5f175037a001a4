package loadtest

import (
	"slices"
	"strings"
	"testing"

	"fairgate/ledger"

	"github.com/google/uuid"
)

// record writes transfers.
func (s *sale) record(t *testing.T, err error, sets ...[]ledger.Transfer) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	w := ledger.NewWriter(nil)
	for _, transfers := range sets {
		if err := w.Record(t.Context(), s.tx, transfers); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *sale) terms(order int) ledger.Terms {
	return ledger.Terms{Order: s.orders[order], Organizer: "theatre", Provider: "stripe", Currency: "EUR"}
}

// refund gives an amount of an order back, of what the organizer has earned.
func (s *sale) refund(t *testing.T, order int, minor int64) uuid.UUID {
	t.Helper()
	id := uuid.New()
	s.refundRow(t, id, order, "tickets", minor)
	pending, err := ledger.RefundAgain(s.terms(order), id, ledger.Parts{Face: minor}, minor)
	s.record(t, err, pending, ledger.PostAll(pending))
	s.evidence.books.Intents[order].Refunded += minor
	s.evidence.books.Balances["EUR"] -= minor
	return id
}

func (s *sale) refundRow(t *testing.T, id uuid.UUID, order int, kind string, minor int64) {
	t.Helper()
	s.exec(t, `INSERT INTO refunds (refund_id, order_id, event_id, payment_id, provider, provider_ref, kind, state, resolution, amount_minor, face_minor, fee_minor, tax_minor, currency, items, body_hash, failure, reason, actor, created_at, updated_at)
		VALUES ($1, $2, $1, $1, 'stripe', '', $3, 'succeeded', '', $4, $4, 0, 0, 'EUR', '[]', '\x00', '', '', '', now(), now())`, id, s.orders[order], kind, minor)
}

// dispute takes an amount of an order back for a bank, which then keeps a part of it; lost 0 leaves it undecided.
func (s *sale) dispute(t *testing.T, order int, minor, lost, fee int64) {
	t.Helper()
	id, state := uuid.New(), "open"
	if lost > 0 {
		state = "lost"
	}
	s.exec(t, `INSERT INTO disputes (ref, provider, dispute_id, order_id, payment_id, event_id, amount_minor, currency, fee_minor, reason, state, taken, evidence, submitted_by, opened_at, updated_at, closed_at)
		VALUES ($1, 'stripe', $2, $3, $2, $2, $4, 'EUR', $5, '', $6, true, '', '', now(), now(), CASE WHEN $6 = 'lost' THEN now() END)`, id.String(), id, s.orders[order], minor, fee, state)
	opened, err := ledger.DisputeOpenedTransfers(s.terms(order), id, minor, fee)
	s.record(t, err, opened)
	kept := minor
	if lost > 0 {
		closed, err := ledger.DisputeLostTransfers(s.terms(order), id, ledger.Loss{Parts: ledger.Parts{Face: lost}}, lost)
		s.record(t, err, closed)
		kept = lost
	}
	if lost > 0 && lost < minor {
		rest, err := ledger.DisputeWonTransfers(s.terms(order), id, minor-lost, 0)
		s.record(t, err, rest)
	}
	s.exec(t, `UPDATE orders SET state = $2 WHERE order_id = $1`, s.orders[order], map[bool]string{true: "dispute_lost", false: "disputed"}[lost > 0])
	s.evidence.books.Intents[order].Disputed += kept
	s.evidence.books.Balances["EUR"] -= kept
}

// lateMoney is another payment of an order that came too late; back is what of it was given back.
func (s *sale) lateMoney(t *testing.T, order int, minor, back int64) {
	t.Helper()
	payment := uuid.New()
	s.payment(t, s.orders[order], 2, "captured", "late", minor)
	transfers, err := ledger.MoreLateMoneyTransfers(s.terms(order), payment, minor)
	s.record(t, err, transfers)
	if back > 0 {
		id := uuid.New()
		s.refundRow(t, id, order, "late", back)
		pending, err := ledger.LateRefundTransfers(s.terms(order), id, back)
		s.record(t, err, pending, ledger.PostAll(pending))
	}
	s.evidence.books.Intents = append(s.evidence.books.Intents, BookedIntent{
		ID: "pi_late", Order: s.orders[order].String(), Status: "succeeded", Amount: minor, Captured: minor, Refunded: back, Currency: "eur",
	})
	s.evidence.books.Balances["EUR"] += minor - back
}

// TestMoneyThatWentBackAddsUp has refunds, disputes and late money of every kind, one order of 2000 after the other.
func TestMoneyThatWentBackAddsUp(t *testing.T) {
	good := goodSale(t)
	for name, happen := range map[string]func(*testing.T, *sale){
		"a part refunded":  func(t *testing.T, s *sale) { s.refund(t, 0, 700) },
		"two refunds":      func(t *testing.T, s *sale) { s.refund(t, 0, 700); s.refund(t, 0, 300) },
		"the fee was kept": func(t *testing.T, s *sale) { s.refund(t, 0, 1700); s.state(t, 0, "refunded") },
		"paid otherwise": func(t *testing.T, s *sale) {
			id := s.refund(t, 0, 700)
			other, err := ledger.RefundOtherwiseTransfers(s.terms(0), id, 700)
			s.record(t, err, other)
			s.exec(t, `UPDATE refunds SET state = 'failed', resolution = 'paid_otherwise'`)
			s.evidence.books.Intents[0].Refunded = 0
			s.evidence.books.Balances["EUR"] += 700
		},
		"a dispute is open":                   func(t *testing.T, s *sale) { s.dispute(t, 0, 2000, 0, 0) },
		"a dispute was lost":                  func(t *testing.T, s *sale) { s.dispute(t, 0, 1700, 1700, 0) },
		"it cost a fee":                       func(t *testing.T, s *sale) { s.dispute(t, 0, 1700, 1700, 1500) },
		"a part was lost":                     func(t *testing.T, s *sale) { s.dispute(t, 0, 2000, 600, 1500) },
		"a part was lost and a part refunded": func(t *testing.T, s *sale) { s.dispute(t, 0, 2000, 600, 0); s.refund(t, 0, 500) },
		"late money went back":                func(t *testing.T, s *sale) { s.lateMoney(t, 0, 2000, 2000) },
	} {
		t.Run(name, func(t *testing.T) {
			s := good.crimeScene(t)
			happen(t, s)
			for _, v := range s.judge(t) {
				if !v.Passed {
					t.Errorf("%s\n%s", v, strings.Join(v.Failures, "\n"))
				}
			}
		})
	}
}

func (s *sale) state(t *testing.T, order int, state string) {
	t.Helper()
	s.exec(t, `UPDATE orders SET state = $2 WHERE order_id = $1`, s.orders[order], state)
}

func TestMoneyThatWentBackWronglyFails(t *testing.T) {
	good := goodSale(t)
	for _, c := range []struct {
		name  string
		plant func(*testing.T, *sale)
		fails []string // these and no others
	}{
		{"a refund that the provider made twice", func(t *testing.T, s *sale) {
			s.refund(t, 0, 700)
			s.evidence.books.Intents[0].Refunded += 700
			s.evidence.books.Balances["EUR"] -= 700
		}, []string{"charges", "provider_balance"}},
		{"a refund that the provider never made", func(t *testing.T, s *sale) {
			s.refund(t, 0, 700)
			s.evidence.books.Intents[0].Refunded = 0
			s.evidence.books.Balances["EUR"] += 700
		}, []string{"charges", "provider_balance"}},
		{"a refund that nobody knows of", func(t *testing.T, s *sale) {
			s.evidence.books.Intents[0].Refunded = 100
			s.evidence.books.Balances["EUR"] -= 100
		}, []string{"charges", "provider_balance"}},
		{"a refund that is not booked", func(t *testing.T, s *sale) {
			s.refundRow(t, uuid.New(), 0, "tickets", 700)
			s.evidence.books.Intents[0].Refunded = 700
		}, []string{"provider_balance"}},
		{"a refund still under way", func(t *testing.T, s *sale) {
			s.refund(t, 0, 700)
			s.exec(t, `UPDATE refunds SET state = 'pending'`)
		}, []string{"charges", "provider_balance"}},
		{"a refund that failed and nobody saw to", func(t *testing.T, s *sale) {
			s.refundRow(t, uuid.New(), 0, "tickets", 700)
			s.exec(t, `UPDATE refunds SET state = 'failed'`)
		}, []string{"charges"}},
		{"a dispute that the bank has decided otherwise", func(t *testing.T, s *sale) {
			s.dispute(t, 0, 2000, 600, 0)
			s.evidence.books.Intents[0].Disputed = 2000
			s.evidence.books.Balances["EUR"] -= 1400
		}, []string{"charges", "provider_balance"}},
		{"late money that was kept", func(t *testing.T, s *sale) {
			s.lateMoney(t, 0, 2000, 1500)
		}, []string{"charges"}},
		{"an order that expired and was charged", func(t *testing.T, s *sale) {
			s.state(t, 0, "expired")
		}, []string{"charges"}},
		{"a refunded order that was never charged", func(t *testing.T, s *sale) {
			s.exec(t, `DELETE FROM payments WHERE order_id = $1`, s.orders[0])
			s.state(t, 0, "refunded")
		}, []string{"charges", "provider_balance"}},
	} {
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
