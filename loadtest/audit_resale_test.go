package loadtest

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"fairgate/edge/lottery"
	"fairgate/ledger"
)

// resold has the buyer of seat A/1/1 sell it on.
func (s *sale) resold(t *testing.T) {
	t.Helper()
	event, listing, order, hold := lottery.EventID(saleEvent), uuid.New(), uuid.New(), uuid.New()
	const amount = 950
	s.exec(t, `INSERT INTO stock (event_id, tier, allocation, capacity, taken, version, price_minor, price_no) VALUES ($1, 'lower', $2, 1, 1, 2, $3, 1)`,
		event, "resale/"+listing.String(), amount)
	s.exec(t, `INSERT INTO holds (hold_id, event_id, entrant, state, units, items, amount_minor, currency, body_hash, commit_no, created_at, deadline, extended, quotas)
		VALUES ($1, $2, '\x00', 'sold', 1, $3, $4, 'EUR', '\x00', 1, now(), now(), false, '')`,
		hold, event, string(jsonBody([]heldItem{{Tier: "lower", Allocation: "resale/" + listing.String(), Quantity: 1}})), amount)
	s.exec(t, `UPDATE quota SET taken = taken + 1 WHERE kind = 'entrant'`)
	s.exec(t, `INSERT INTO orders (order_id, event_id, hold_id, entrant, state, amount_minor, currency, lines, email, body_hash, key_id, events, created_at, updated_at)
		VALUES ($1, $2, $3, '\x00', 'ticket_issued', $4, 'EUR', '[]', '', '\x00', $1, 0, now(), now())`, order, event, hold, amount)
	s.payment(t, order, 1, "captured", "", amount)
	terms := ledger.Terms{Order: order, Organizer: "theatre", Provider: "stripe", Currency: "EUR"}
	made, err := ledger.ResaleTransfers(terms, ledger.Parts{Face: 900, Fee: 40, Tax: 10})
	if err != nil {
		t.Fatal(err)
	}
	split, err := ledger.ResaleSplitTransfers(terms, "somebody", ledger.Amount{Minor: 900, Currency: "EUR"}, 90, 45)
	if err != nil {
		t.Fatal(err)
	}
	if err := ledger.NewWriter(nil).Record(t.Context(), s.tx, append(append(made, ledger.PostAll(made)...), split...)); err != nil {
		t.Fatal(err)
	}
	s.evidence.books.Intents = append(s.evidence.books.Intents, BookedIntent{ID: "pi_resale", Order: order.String(), Status: "succeeded", Amount: amount, Captured: amount, Currency: "eur"})
	s.evidence.books.Balances["EUR"] += amount
	s.exec(t, `UPDATE tickets SET state = 'void', void_reason = 'resold', voided_at = now() WHERE seat = 'A/1/1'`)
	s.ticket(t, order, 0, "lower", "A/1/1", s.key)
	s.evidence.witness.Order(SeenOrder{ID: order.String(), Minor: amount, Currency: "EUR", Tickets: 1})
}

func TestATicketThatWasResoldAddsUp(t *testing.T) {
	s := goodSale(t).crimeScene(t)
	s.resold(t)
	for _, v := range s.judge(t) {
		if !v.Passed {
			t.Errorf("%s\n%s", v, strings.Join(v.Failures, "\n"))
		}
	}
}

func TestAResaleThatLeavesTheSellerTheirTicketOrMoneyInEscrowIsFound(t *testing.T) {
	for verdict, crime := range map[string]string{
		"seats_twice": `UPDATE tickets SET state = 'valid', void_reason = '' WHERE void_reason = 'resold'`,
		"ledger_zero": `DELETE FROM ledger_transfers WHERE code = 'resale_seller'`,
		"oversold":    `UPDATE stock SET taken = 0 WHERE allocation LIKE 'resale/%'`,
	} {
		s := goodSale(t).crimeScene(t)
		s.resold(t)
		if verdict == "seats_twice" {
			s.exec(t, `DROP INDEX tickets_one_per_seat`)
		}
		s.exec(t, crime)
		if got := s.judge(t)[verdict]; got.Passed {
			t.Errorf("%s does not see: %s", verdict, crime)
		}
	}
}
