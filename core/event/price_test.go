package event

import (
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"

	"fairgate/ledger"
)

func euros(minor int64) ledger.Amount { return ledger.Amount{Minor: minor, Currency: "EUR"} }

func TestPricesAreWhatTheirDefinitionSays(t *testing.T) {
	for _, c := range []struct {
		name                  string
		price, perTicket      int64
		percent, tax          Rate
		included              bool
		face, fee, vat, allIn int64
	}{
		{"bare", 1200, 0, 0, 0, false, 1200, 0, 0, 1200},
		{"fees", 6500, 150, 50_000, 0, false, 6500, 475, 0, 6975},
		{"tax on top", 6500, 150, 50_000, 100_000, false, 6500, 475, 698, 7673}, // 650 and 47.5, halves up
		{"tax included", 6500, 150, 50_000, 100_000, true, 5909, 432, 634, 6975},
		{"half a cent of fee", 4950, 0, 50_000, 0, false, 4950, 248, 0, 5198},
		{"less than half a cent", 9, 0, 50_000, 0, false, 9, 0, 0, 9},
		{"a free ticket with a fee", 0, 100, 0, 210_000, true, 0, 83, 17, 100},
		{"everything doubles", 1000, 0, whole, whole, false, 1000, 1000, 2000, 4000},
	} {
		p, err := price(euros(c.price), Fees{PerTicket: euros(c.perTicket), Percent: c.percent}, Taxes{Percent: c.tax, Included: c.included})
		want := Price{euros(c.face), euros(c.fee), euros(c.vat), euros(c.allIn)}
		if err != nil || p != want {
			t.Errorf("%s: got %+v, %v; want %+v", c.name, p, err, want)
		}
	}
}

// The ledger books the three parts, so they must be the whole, whatever was rounded.
func TestThePartsOfAPriceAreThePrice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		face := euros(rapid.Int64Range(0, maxPriceMinor).Draw(t, "price"))
		fees := Fees{PerTicket: euros(rapid.Int64Range(0, maxPriceMinor).Draw(t, "per_ticket")), Percent: Rate(rapid.Int64Range(0, int64(whole)).Draw(t, "percent"))}
		taxes := Taxes{Percent: Rate(rapid.Int64Range(0, int64(whole)).Draw(t, "tax")), Included: rapid.Bool().Draw(t, "included")}
		p, err := price(face, fees, taxes)
		if err != nil {
			t.Fatal(err)
		}
		if p.Face.Minor+p.Fee.Minor+p.Tax.Minor != p.AllIn.Minor || p.Face.Minor < 0 || p.Fee.Minor < 0 || p.Tax.Minor < 0 {
			t.Fatalf("%+v", p)
		}
		bare, err := price(face, fees, Taxes{})
		if err != nil {
			t.Fatal(err)
		}
		if taxes.Included && p.AllIn != bare.AllIn {
			t.Fatalf("with tax included it costs %s, without tax %s", p.AllIn, bare.AllIn)
		}
		if !taxes.Included && (p.Face != bare.Face || p.Fee != bare.Fee) {
			t.Fatalf("tax on top changed %+v to %+v", bare, p)
		}
	})
}

func TestAPriceThatDoesNotFitIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		face, fee int64
		fees      Rate
		tax       Taxes
	}{
		"with its fee":       {math.MaxInt64, 1, 0, Taxes{}},
		"with its share":     {math.MaxInt64, 0, whole, Taxes{}},
		"with its tax":       {math.MaxInt64, 0, 0, Taxes{Percent: whole}},
		"with tax and share": {math.MaxInt64 / 2, math.MaxInt64 / 2, 0, Taxes{Percent: whole}},
	} {
		if p, err := price(euros(c.face), Fees{PerTicket: euros(c.fee), Percent: c.fees}, c.tax); !errors.Is(err, ledger.ErrOverflow) {
			t.Errorf("%s: got %+v, %v", name, p, err)
		}
	}
}

func TestARateIsShownAsThePercentageItIs(t *testing.T) {
	for rate, want := range map[Rate]string{0: "0%", 50_000: "5%", 55_000: "5.5%", 1: "0.0001%", 1_234_567: "123.4567%", whole: "100%"} {
		if got := rate.String(); got != want {
			t.Errorf("%d: got %s, want %s", int64(rate), got, want)
		}
	}
}
