package checkout

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/payment"
	"fairgate/edge/lottery"
)

func TestABankTransferEndsWithTheStartAndIsNotOfferedOnTheLastDay(t *testing.T) {
	now := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	providers, err := payment.NewRouted(payment.Routing{}, payment.Member{Provider: newProvider(), Methods: []string{"card", "bank_transfer"}})
	if err != nil {
		t.Fatal(err)
	}
	s := &Service{providers: providers}
	for _, c := range []struct {
		left    time.Duration
		offered int
		keeps   time.Duration
	}{
		{13 * time.Minute, 1, 13 * time.Minute}, {24*time.Hour - time.Second, 1, 24*time.Hour - time.Second}, {24 * time.Hour, 2, 24 * time.Hour},
		{72 * time.Hour, 2, 72 * time.Hour}, {1000 * time.Hour, 2, 72 * time.Hour}, {-time.Hour, 1, time.Minute},
	} {
		terms := Terms{Currency: "EUR", Methods: []string{"card", "bank_transfer"}, TransferWithin: 72 * time.Hour, StartsAt: now.Add(c.left)}
		if got := s.methodsAt(terms, now); len(got) != c.offered {
			t.Errorf("%s before the start: %v", c.left, got)
		}
		if k := terms.keeping(uuid.New(), payment.MethodBankTransfer, now, time.Time{}); k.For != c.keeps || k.Most != c.keeps {
			t.Errorf("%s before the start a transfer has %s, at most %s; want %s", c.left, k.For, k.Most, c.keeps)
		}
	}
}

func TestABankTransferEndsWithTheSaleButHasAWorkingDay(t *testing.T) {
	now, never := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC), 1000*time.Hour
	for _, c := range []struct{ saleEnds, start, want time.Duration }{
		{never, never, 72 * time.Hour}, {72 * time.Hour, never, 72 * time.Hour}, {48 * time.Hour, never, 48 * time.Hour},
		{24 * time.Hour, never, 24 * time.Hour}, {time.Hour, never, 24 * time.Hour}, {-time.Hour, never, 24 * time.Hour},
		{48 * time.Hour, 30 * time.Hour, 30 * time.Hour}, {time.Hour, 20 * time.Hour, 20 * time.Hour}, {30 * time.Hour, 48 * time.Hour, 30 * time.Hour},
	} {
		terms := Terms{TransferWithin: 72 * time.Hour, StartsAt: now.Add(c.start)}
		if k := terms.keeping(uuid.New(), payment.MethodBankTransfer, now, now.Add(c.saleEnds)); k.For != c.want || k.Most != c.want {
			t.Errorf("%s before the sale's end and %s before the start a transfer has %s, want %s", c.saleEnds, c.start, k.For, c.want)
		}
	}
	terms := Terms{TransferWithin: 72 * time.Hour, PaymentExtension: 5 * time.Minute}
	if k := terms.keeping(uuid.New(), payment.MethodCard, now, now.Add(time.Minute)); k.For != 5*time.Minute {
		t.Errorf("a card has %s", k.For)
	}
}

func TestAnOrderByBankTransferWaitsUntilTheSaleEnds(t *testing.T) {
	s := newShop(t)
	first, second := newPair()
	providers, err := payment.NewRouted(payment.Routing{}, payment.Member{Provider: first, Methods: []string{"card"}},
		payment.Member{Provider: second, Methods: []string{"bank_transfer"}})
	if err != nil {
		t.Fatal(err)
	}
	s.providers, s.methods = providers, []string{"card", "bank_transfer"}
	asked := 0
	ends := time.Now().Add(40 * time.Hour)
	s.adjust = func(c *Config) {
		c.SaleEnds = func(_ context.Context, slug string) time.Time {
			if asked++; slug != "gig" {
				t.Errorf("asked about %q", slug)
			}
			return ends
		}
	}
	n := s.open(false)
	for i, method := range []string{"card", "bank_transfer"} {
		h := s.hold(n, lottery.Entrant{byte(i + 1)}, method, floor(1))
		o, _, err := n.Open(t.Context(), Opening{Hold: h.ID, Event: s.event, Entrant: h.Entrant, Key: method, Method: method, Email: "a@example.org"})
		if err != nil {
			t.Fatal(err)
		}
		if method == "bank_transfer" && (o.Deadline.Before(ends.Add(-time.Minute)) || o.Deadline.After(ends.Add(time.Minute))) {
			t.Errorf("a transfer has until %s, the sale ends %s", o.Deadline, ends)
		}
	}
	if asked == 0 || asked > 3 {
		t.Errorf("asked %d times", asked)
	}
}
