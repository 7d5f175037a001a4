package checkout

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/payment"
	"fairgate/core/resale"
	"fairgate/core/ticket"
	"fairgate/edge/lottery"
)

func TestSellersWhoWereToBePaidAndWereNotAreLateWithTheReason(t *testing.T) {
	m, claimed := bankMarket(t)
	ctx := context.Background()
	first := m.sold(m.node, seller, floor(4))
	var listings [4]resale.Listing
	var orders [4]Order
	for i := range listings {
		listings[i] = m.list(ticket.TicketID(first.ID, i), seller, 5000)
		orders[i] = m.buys(listings[i], lottery.Entrant{byte(50 + i)})
	}
	early := m.stands(listings[3].ID)
	m.exec(`UPDATE listings SET pay_at = now() - INTERVAL '10 days', sold_at = now() - INTERVAL '10 days' WHERE listing_id <> $1`, early.ID)
	m.exec(`UPDATE listings SET email = 'seller@example.org'`)
	late := func(within time.Duration) map[uuid.UUID]string {
		t.Helper()
		now, err := m.db.Now(ctx)
		if err != nil {
			t.Fatal(err)
		}
		accounts, err := m.resale.LateShares(ctx, now, within, 10)
		if err != nil || len(accounts) > 1 {
			t.Fatalf("%+v, %v", accounts, err)
		}
		why := map[uuid.UUID]string{}
		for _, o := range accounts {
			if o.Account.Code != sellerPayable(seller) || o.Late.Minor != 4250*int64(len(o.Items)) || o.Oldest < within {
				t.Errorf("%+v", o)
			}
			for _, l := range o.Items {
				why[l.Reference] = l.Why()
			}
		}
		return why
	}
	expect := func(name string, got map[uuid.UUID]string, want map[uuid.UUID]string) {
		t.Helper()
		if len(got) != len(want) {
			t.Errorf("%s: %v", name, got)
		}
		for id, part := range want {
			if !strings.Contains(got[id], part) {
				t.Errorf("%s: order %s is late as %q, not %q", name, id, got[id], part)
			}
		}
	}
	expect("within the grace", late(11*24*time.Hour), nil)
	due := "nobody has paid it"
	expect("due", late(7*24*time.Hour), map[uuid.UUID]string{orders[0].ID: due, orders[1].ID: due, orders[2].ID: due})
	m.payout(listings[0], resale.PaySent, resale.Sent) // from here on payout_clearing watches it
	m.payout(listings[1], resale.PaySent, resale.Sent)
	m.payout(listings[1], resale.PayReturned, resale.Waiting)
	m.says(claimed(orders[2]), payment.DisputeOpen)
	expect("sent, came back, disputed", late(7*24*time.Hour), map[uuid.UUID]string{orders[1].ID: "came back", orders[2].ID: "disputed"})
	m.exec(`UPDATE listings SET email = '', payout_no = 0 WHERE listing_id = $1`, listings[1].ID)
	expect("without an address", late(7*24*time.Hour), map[uuid.UUID]string{orders[1].ID: "no address", orders[2].ID: "disputed"})
	m.rules.PayAfter, m.rules.StartsAt = 0, time.Now() // the event was moved to a later day
	expect("moved", late(7*24*time.Hour), nil)
}
