package ledger_test

import (
	"errors"
	"testing"

	"github.com/google/uuid"

	"fairgate/ledger"
)

func euros(minor int64) ledger.Amount { return ledger.Amount{Minor: minor, Currency: "EUR"} }

// Ids name rows that are kept for ever: if one of these changes, the books of every installation are orphaned.
func TestIdsNeverChange(t *testing.T) {
	order := uuid.MustParse("0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d")
	sale, err := ledger.SaleTransfers(order, "lumen-live", "stripe", euros(5909), euros(432), euros(634))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]uuid.UUID{
		"organizer_payable": ledger.OrganizerPayable("lumen-live", "EUR").ID(),
		"buyer_clearing":    ledger.BuyerClearing("EUR").ID(),
		"sale_face":         sale[0].ID,
		"sale_payment":      sale[3].ID,
		"post":              ledger.PostAll(sale)[3].ID,
		"void":              ledger.VoidAll(sale)[3].ID,
		"reverse":           ledger.ReverseAll(ledger.PostAll(sale))[3].ID,
	}
	want := map[string]string{
		"organizer_payable": "5ce13fe0-fead-50c9-9f28-9399debbca80",
		"buyer_clearing":    "4348cc26-35d8-576e-8aef-8106bc83f14d",
		"sale_face":         "0a1b2c3d-4e5f-8c82-b293-6f9a23813d96",
		"sale_payment":      "0a1b2c3d-4e5f-8652-a130-09caca1a70c1",
		"post":              "0a1b2c3d-4e5f-8bf5-9360-25ef002fe970",
		"reverse":           "0a1b2c3d-4e5f-89c2-9be9-bbf6faa86fea",
		"void":              "0a1b2c3d-4e5f-8bf5-9360-25ef002fe970",
	}
	for name, id := range got {
		if id.String() != want[name] {
			t.Errorf("%s is %s, was %s", name, id, want[name])
		}
	}
}

func TestASaleClearsTheBuyerAndPaysEverybody(t *testing.T) {
	order := uuid.New()
	sale, err := ledger.SaleTransfers(order, "lumen-live", "stripe", euros(5909), euros(432), euros(634))
	if err != nil {
		t.Fatal(err)
	}
	net := map[string]int64{}
	for _, x := range sale {
		if x.Kind != ledger.Pending || x.Reference != order {
			t.Errorf("%s is %s with reference %s", x.Code, x.Kind, x.Reference)
		}
		net[x.Debit.Code] -= x.Amount.Minor
		net[x.Credit.Code] += x.Amount.Minor
	}
	want := map[string]int64{
		"buyer_clearing": 0, "organizer_payable/lumen-live": 5909, "platform_fees": 432, "taxes_payable": 634, "provider_clearing/stripe": -6975,
	}
	for code, minor := range want {
		if net[code] != minor {
			t.Errorf("%s moves by %d, want %d", code, net[code], minor)
		}
	}
	if len(net) != len(want) {
		t.Errorf("the sale touches %v", net)
	}
}

func TestAPartOfNothingHasNoTransfer(t *testing.T) {
	sale, err := ledger.SaleTransfers(uuid.New(), "lumen-live", "stripe", euros(1200), euros(0), euros(0))
	if err != nil || len(sale) != 2 {
		t.Errorf("got %d transfers, %v", len(sale), err)
	}
}

func TestAnImpossibleSaleIsRefused(t *testing.T) {
	for _, c := range []struct {
		name           string
		face, fee, tax ledger.Amount
		want           error
	}{
		{"other currency", euros(1), ledger.Amount{Minor: 1, Currency: "USD"}, euros(0), ledger.ErrCurrency},
		{"overflow", euros(1 << 62), euros(1 << 62), euros(0), ledger.ErrOverflow},
		{"negative part", euros(10), euros(-1), euros(0), ledger.ErrTransferMalformed},
	} {
		if _, err := ledger.SaleTransfers(uuid.New(), "o", "p", c.face, c.fee, c.tax); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
}

func TestOnlyPendingTransfersAreEnded(t *testing.T) {
	sale, err := ledger.SaleTransfers(uuid.New(), "lumen-live", "stripe", euros(1200), euros(100), euros(0))
	if err != nil {
		t.Fatal(err)
	}
	posts := ledger.PostAll(sale)
	if again := ledger.PostAll(posts); len(again) != 0 {
		t.Errorf("posts were posted: %v", again)
	}
	for i, p := range posts {
		if p.Kind != ledger.Post || p.PriorID != sale[i].ID || p.Amount != sale[i].Amount || p.ID != ledger.VoidAll(sale)[i].ID {
			t.Errorf("post %d is %+v", i, p)
		}
	}
}
