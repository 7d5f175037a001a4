package checkout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"fairgate/core/inventory"
	"fairgate/core/payment"
	"fairgate/core/story"
)

// news is a webhook of the provider in memory.
type news struct {
	ID      string               `json:"id"`
	Type    string               `json:"type"`
	Order   uuid.UUID            `json:"order"`
	Payment uuid.UUID            `json:"payment"`
	State   payment.OutcomeState `json:"state"`
	Failure string               `json:"failure"`
	Secret  string               `json:"client_secret"`
	Receipt string               `json:"receipt_email"`
}

// newsReader reads them; it believes everybody.
type newsReader struct{}

func (newsReader) Verify([]byte, http.Header) error { return nil }

func (newsReader) Parse(raw []byte) (payment.Event, error) {
	var n news
	if err := json.Unmarshal(raw, &n); err != nil {
		return payment.Event{}, payment.ErrMalformed
	}
	return payment.Event{ID: n.ID, Type: n.Type, OrderID: n.Order, PaymentID: n.Payment,
		Outcome: payment.Outcome{State: n.State, Failure: n.Failure, Try: n.ID}}, nil
}

func TestTheStoryOfAnOrderIsToldInOrder(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	inbox := payment.NewInbox(s.db, map[string]payment.WebhookReader{"stripe": newsReader{}}, payment.InboxConfig{})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = inbox.Run(ctx, n.Webhooks) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		inbox.Close()
	})
	tell := func(o Order, id string, state payment.OutcomeState, failure string) {
		t.Helper()
		raw, err := json.Marshal(news{ID: id, Type: "payment." + string(state), Order: o.ID, Payment: o.Payment.ID, State: state, Failure: failure,
			Secret: "pi_1_secret_2", Receipt: "a@example.org"})
		if err != nil {
			t.Fatal(err)
		}
		if err := inbox.Receive(t.Context(), "stripe", raw, http.Header{}); err != nil {
			t.Fatal(err)
		}
	}
	handled := func(id string) func() bool {
		return func() bool {
			return s.count(`SELECT count(*) FROM webhooks WHERE webhook_id = $1 AND handled_at IS NOT NULL`, id) == 1
		}
	}
	h := s.hold(n, buyer, "k", inventory.Item{Tier: "floor", Quantity: 2}, inventory.Item{Seats: []string{"A/1/1"}})
	o := s.order(n, buyer, h)
	s.eventually("the intent is made", func() bool { return s.provider.confirm(o.Payment.ID, payment.Begun) })
	s.eventually("the intent is known", func() bool {
		return s.count(`SELECT count(*) FROM order_events WHERE cause = 'begun'`) == 1
	})
	tell(o, "evt_1", payment.Failed, "card_declined")
	s.await(n, o.ID, PaymentFailed)
	if _, err := n.Pay(t.Context(), o.ID, buyer); err != nil {
		t.Fatal(err)
	}
	s.provider.confirm(o.Payment.ID, payment.Authorized)
	tell(o, "evt_2", payment.Authorized, "")
	s.await(n, o.ID, TicketIssued)
	tell(o, "evt_2", payment.Authorized, "")
	tell(o, "evt_2", payment.Authorized, "")
	tell(o, "evt_3", payment.Captured, "")
	s.eventually("the last webhook is handled", handled("evt_3"))

	s.exec(`INSERT INTO fraud_verdicts (order_id, payment_id, stage, verdict, score, reasons, at) VALUES ($1, $2, 'authorized', 'review', 71,
		'[{"rule":"cards_per_account","verdict":"review","said":"4 cards within 1h0m0s, more than 3"},
		{"rule":"risk_score","weight":71,"said":"the provider''s risk score is 19"},{"rule":"challenged","said":"the buyer has proved it"}]', now())`, o.ID, o.Payment.ID)
	s.exec(`INSERT INTO reviews (order_id, payment_id, event_id, why, opened_at, closed_at, decision, actor, reason)
		VALUES ($1, $2, $3, 'four cards', now(), now(), 'approved', 'operator:ann', 'spoke to the buyer')`, o.ID, o.Payment.ID, s.event)
	s.exec(`INSERT INTO offline_payments (reference, payment_id, order_id, attempt, method, amount_minor, currency, state, created_at, updated_at)
		VALUES ('RF18539007547034', $1, $2, 1, 'bank_transfer', 23595, 'EUR', 'paid', now(), now())`, o.Payment.ID, o.ID)
	s.exec(`INSERT INTO offline_receipts (receipt_id, reference, amount_minor, currency, used_minor, returned_minor, review, actor, note, received_at, recorded_at)
		VALUES ('b1', 'RF18539007547034', 24000, 'EUR', 23595, 0, 'too much', 'operator:ann', 'from Jane Doe', now(), now())`)
	s.exec(`INSERT INTO offline_decisions (decision_id, receipt_id, verb, amount_minor, currency, actor, reason, decided_at)
		VALUES ($1, 'b1', 'returned', 405, 'EUR', 'operator:ben', 'paid in cash', now())`, uuid.New())
	entries, err := story.Tell(t.Context(), s.db.Reader, o.ID, true)
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for i, e := range entries {
		if i > 0 && e.At.Before(entries[i-1].At) {
			t.Errorf("%s %q comes before its time", e.Kind, e.Text)
		}
		told = append(told, fmt.Sprintf("%s/%s: %s | %s", e.Kind, e.Who, e.Text, strings.Join(e.Lines, " | ")))
	}
	all := strings.Join(told, "\n")
	at := 0
	for _, want := range []string{
		"hold/buyer: holds 2 × floor, 1 × lower (A/1/1) for 235.95 EUR until ",
		"step/buyer: step 1: opened | reserved → payment_pending",
		"payment/stripe: attempt 1 to pay 235.95 EUR with stripe: now captured | reference pi_",
		"outbox/: to do: begin",
		"step/outbox: step 2: begun | stays payment_pending | by begin/",
		"webhook/stripe: payment.failed evt_1, signature verified | handled at ",
		"step/webhook: step 3: declined | payment_pending → payment_failed | card_declined | by stripe/evt_1",
		"step/buyer: step 4: retried | payment_failed → payment_pending",
		"webhook/stripe: payment.authorized evt_2, signature verified | handled at ",
		"step/webhook: step 5: authorized | stays payment_pending | by stripe/evt_2",
		"ledger/: 4 transfers, pending | ",
		"step/outbox: step 6: captured | payment_pending → payment_complete | by capture/",
		"step/outbox: step 7: issued | payment_complete → ticket_issued | by capture/",
		"ticket/: issued for ",
		"webhook/stripe: payment.captured evt_3, signature verified | handled at ",
		"changed nothing: known by then",
	} {
		found := strings.Index(all[at:], want)
		if found < 0 {
			t.Fatalf("%q is not told where it should be:\n%s", want, all)
		}
		at += found + len(want)
	}
	for _, want := range []string{"came again 2 times, last at ", "the hold is sold", "outbox/: begin: done after 1 attempt", "outbox/: capture: done after 1 attempt",
		"caused step 3: declined", "caused step 5: authorized", " transfers, post | ", "ticket/: issued for A/1/1 | ",
		"fraud/: judged at authorized: review, our score 71 | cards_per_account says review: 4 cards within 1h0m0s, more than 3" +
			" | risk_score adds 71 to the score: the provider's risk score is 19 | challenged: the buyer has proved it",
		"receipt/offline: 235.95 EUR is due by bank_transfer under the reference RF18539007547034", "what was due under RF18539007547034 is paid",
		"receipt/operator:ann: 240.00 EUR came in | receipt b1, by the bank at ", "235.95 EUR of it went to a payment, 0.00 EUR back to its sender | waits for a person: too much",
		"receipt/operator:ben: 4.05 EUR of receipt b1 returned | paid in cash",
		"review/: waits for an operator | four cards", "review/operator:ann: the review ends: approved | spoke to the buyer"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not told:\n%s", want, all)
		}
	}
	if strings.Contains(all, "Jane Doe") {
		t.Error("what the bank wrote beside a transfer is told")
	}
	raws := 0
	for _, e := range entries {
		if e.Kind != "webhook" {
			continue
		}
		raws++
		if text := string(e.Raw); !strings.Contains(text, o.ID.String()) || strings.Contains(text, "example.org") || strings.Contains(text, "secret_2") {
			t.Errorf("raw event: %s", text)
		}
	}
	if raws != 3 {
		t.Errorf("%d raw events", raws)
	}
	if v := s.verify(n, o.ID); !v.OK() || v.Webhooks != 2 {
		t.Errorf("the audit trail: %+v", v)
	}
	if entries, err := story.Tell(t.Context(), s.db.Reader, o.ID, false); err != nil || entries[len(entries)-1].Raw != nil {
		t.Errorf("raw events are told unasked: %v", err)
	}
	if _, err := story.Tell(t.Context(), s.db.Reader, uuid.New(), false); !errors.Is(err, story.ErrUnknown) {
		t.Errorf("an order that never was: %v", err)
	}
}
