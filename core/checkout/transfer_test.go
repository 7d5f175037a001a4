package checkout

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/payment"
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
		if k := terms.keeping(uuid.New(), payment.MethodBankTransfer, now); k.For != c.keeps || k.Most != c.keeps {
			t.Errorf("%s before the start a transfer has %s, at most %s; want %s", c.left, k.For, k.Most, c.keeps)
		}
	}
}
