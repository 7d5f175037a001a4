package checkout

import (
	"testing"

	"github.com/google/uuid"

	"fairgate/core/inventory"
	"fairgate/core/payment"
	"fairgate/edge/lottery"
)

func TestTicketsAreMailedToWhoGaveAnAddressInTheirLanguage(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	var orders []Order
	for i, opening := range []Opening{{Email: "eva@example.net", Language: "es-MX"}, {}, {Email: "not an address"}} {
		who := lottery.Entrant{byte(i + 1)}
		h := s.hold(n, who, "h", inventory.Item{Tier: "floor", Quantity: 1})
		opening.Hold, opening.Event, opening.Entrant, opening.Key = h.ID, s.event, who, "k"
		o, _, err := n.Open(t.Context(), opening)
		if err != nil {
			t.Fatal(err)
		}
		orders = append(orders, o)
	}
	for _, o := range orders {
		id := payment.PaymentID(o.ID, 1)
		s.eventually("the payment has begun", func() bool { return s.provider.confirm(id, payment.Authorized) })
		if err := n.Apply(t.Context(), Outcome{Order: o.ID, Payment: id, Cause: CauseAuthorized, Actor: "webhook"}); err != nil {
			t.Fatal(err)
		}
		s.await(n, o.ID, TicketIssued)
	}
	if mails := s.count(`SELECT count(*) FROM mails`); mails != 1 {
		t.Errorf("%d mails", mails)
	}
	if mails := s.count(`SELECT count(*) FROM mails WHERE kind = 'tickets' AND recipient = 'eva@example.net' AND language = 'es-MX' AND subject_id = $1`, orders[0].ID); mails != 1 {
		t.Error("it is not the one that was to come")
	}
	reversed, err := n.Refund(t.Context(), RefundRequest{Order: orders[0].ID, Key: "r", Reason: "ill", Actor: "operator"})
	if err != nil {
		t.Fatal(err)
	}
	n.outbox.Wake()
	s.eventually("the refund is told once", func() bool {
		return s.count(`SELECT count(*) FROM mails WHERE kind = 'refunded' AND key = 'refunded/' || $1::UUID::TEXT`, reversed.ID) == 1
	})
	if reversed.ID == uuid.Nil || s.count(`SELECT count(*) FROM mails`) != 2 {
		t.Error("more is told")
	}
}
