package ledger_test

import (
	"errors"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"fairgate/ledger"
)

func TestAnAmountIsReadFromItsDecimalAndWrittenBack(t *testing.T) {
	for _, c := range []struct {
		text, currency string
		minor          int64
		written        string
	}{
		{"65", "EUR", 6500, "65.00 EUR"},
		{"65.5", "EUR", 6550, "65.50 EUR"},
		{"0.07", "EUR", 7, "0.07 EUR"},
		{"007.10", "USD", 710, "7.10 USD"},
		{"1200", "JPY", 1200, "1200 JPY"},
		{"1.234", "KWD", 1234, "1.234 KWD"},
		{"92233720368547758.07", "EUR", math.MaxInt64, "92233720368547758.07 EUR"},
	} {
		a, err := ledger.ParseAmount(c.text, c.currency)
		if err != nil || a.Minor != c.minor || a.String() != c.written {
			t.Errorf("%s %s: got %d, %q, %v; want %d, %q", c.text, c.currency, a.Minor, a, err, c.minor, c.written)
		}
	}
	if got := (ledger.Amount{Minor: math.MinInt64, Currency: "EUR"}).String(); got != "-92233720368547758.08 EUR" {
		t.Errorf("the smallest amount is written %q", got)
	}
}

func TestWhatIsNoAmountIsRefused(t *testing.T) {
	for _, c := range []struct {
		text, currency string
		want           error
	}{
		{"", "EUR", ledger.ErrAmountMalformed},
		{".5", "EUR", ledger.ErrAmountMalformed},
		{"5.", "EUR", ledger.ErrAmountMalformed},
		{"-5", "EUR", ledger.ErrAmountMalformed},
		{"1e3", "EUR", ledger.ErrAmountMalformed},
		{"1,50", "EUR", ledger.ErrAmountMalformed},
		{"1.234", "EUR", ledger.ErrAmountMalformed},
		{"1.0", "JPY", ledger.ErrAmountMalformed},
		{"92233720368547758.08", "EUR", ledger.ErrOverflow},
		{"5", "EURO", ledger.ErrCurrency},
		{"5", "XXX", ledger.ErrCurrency},
		{"5", "UR ", ledger.ErrCurrency},
		{"5", "", ledger.ErrCurrency},
	} {
		if _, err := ledger.ParseAmount(c.text, c.currency); !errors.Is(err, c.want) {
			t.Errorf("%q %q: got %v, want %v", c.text, c.currency, err, c.want)
		}
	}
}

func TestArithmeticIsExactOrRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := ledger.Amount{Minor: rapid.Int64().Draw(t, "a"), Currency: "EUR"}
		b := ledger.Amount{Minor: rapid.Int64().Draw(t, "b"), Currency: "EUR"}
		den := rapid.Int64Range(1, math.MaxInt64).Draw(t, "denominator")
		x, y := big.NewInt(a.Minor), big.NewInt(b.Minor)

		sum, err := a.Add(b)
		agree(t, "add", sum, err, new(big.Int).Add(x, y))
		difference, err := a.Sub(b)
		if b.Minor != math.MinInt64 { // which has no opposite
			agree(t, "subtract", difference, err, new(big.Int).Sub(x, y))
		}
		product, err := a.Times(b.Minor)
		agree(t, "times", product, err, new(big.Int).Mul(x, y))

		// Half away from zero: (2·|x·y| + d) ÷ 2d, then the sign.
		exact := new(big.Int).Mul(x, y)
		twice := new(big.Int).Mul(new(big.Int).Abs(exact), big.NewInt(2))
		rounded := twice.Add(twice, big.NewInt(den)).Div(twice, new(big.Int).Mul(big.NewInt(den), big.NewInt(2)))
		if exact.Sign() < 0 {
			rounded.Neg(rounded)
		}
		portion, err := a.Portion(b.Minor, den)
		agree(t, "portion", portion, err, rounded)
	})
}

// agree compares with the exact result, which must be refused just when it does not fit. The most negative number may be refused.
func agree(t *rapid.T, what string, got ledger.Amount, err error, exact *big.Int) {
	t.Helper()
	fits := exact.IsInt64()
	switch {
	case err == nil && (!fits || got.Minor != exact.Int64()):
		t.Fatalf("%s: got %d, exactly %s", what, got.Minor, exact)
	case err != nil && !errors.Is(err, ledger.ErrOverflow):
		t.Fatalf("%s: %v", what, err)
	case err != nil && fits && exact.Int64() != math.MinInt64:
		t.Fatalf("%s: refused %s, which fits: %v", what, exact, err)
	}
}

func TestCurrenciesNeverMix(t *testing.T) {
	euro, dollar := ledger.Amount{Minor: 1, Currency: "EUR"}, ledger.Amount{Minor: 1, Currency: "USD"}
	if _, err := euro.Add(dollar); !errors.Is(err, ledger.ErrCurrency) {
		t.Errorf("add: %v", err)
	}
	if _, err := euro.Sub(dollar); !errors.Is(err, ledger.ErrCurrency) {
		t.Errorf("subtract: %v", err)
	}
	if _, err := euro.Portion(1, 0); !errors.Is(err, ledger.ErrAmountMalformed) {
		t.Errorf("portion over zero: %v", err)
	}
}
