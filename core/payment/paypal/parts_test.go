package paypal

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/payment"
	"fairgate/ledger"
)

func TestWhoseAnObjectIsFitsWhatPayPalAllows(t *testing.T) {
	base := custom{payment: uuid.New(), order: uuid.New(), attempt: maxAttempt}
	refunded, closed := base, base
	refunded.refund, closed.closed = uuid.New(), time.Unix(1<<33, 0).UTC()
	for _, c := range []custom{base, refunded, closed} {
		text := c.String()
		if len(text) > 127 || strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" {
			t.Errorf("%q has %d characters", text, len(text))
		}
		if got, ok := parseCustom(text); !ok || got != c {
			t.Errorf("%q is read as %+v, %v", text, got, ok)
		}
		for n := range len(text) {
			if got, ok := parseCustom(text[:n]); ok && got.payment == c.payment && got.String() != text[:n] {
				t.Errorf("%q is read as %+v", text[:n], got)
			}
		}
	}
	for _, text := range []string{"", "fg", "fg...", "fg." + base.payment.String() + "." + base.order.String() + ".0", "fg." + base.payment.String() + "." + base.order.String() + ".01",
		base.String() + ".x.1", base.String() + ".c.-5", base.String() + ".r." + uuid.Nil.String(), strings.ToUpper(base.String())} {
		if c, ok := parseCustom(text); ok {
			t.Errorf("%q is read as %+v", text, c)
		}
	}
}

func TestAmountsOfAnswersAreReadExactly(t *testing.T) {
	for _, c := range []struct {
		money money
		want  int64
		ok    bool
	}{
		{money{"EUR", "12.34"}, 1234, true}, {money{"EUR", "-0.35"}, -35, true}, {money{"EUR", "12"}, 1200, true}, {money{"EUR", "12.340"}, 1234, true},
		{money{"JPY", "100"}, 100, true}, {money{"JPY", "100.00"}, 100, true}, {money{"HUF", "4500"}, 450000, true}, {money{"JPY", "100.50"}, 0, false},
		{money{"EUR", "12.345"}, 0, false}, {money{"EUR", "1e3"}, 0, false}, {money{"EUR", ""}, 0, false}, {money{"EUR", "--1"}, 0, false}, {money{"XXX", "1"}, 0, false},
		{money{"EUR", strings.Repeat("9", 25)}, 0, false},
	} {
		got, err := c.money.amount()
		if (err == nil) != c.ok || c.ok && got != (ledger.Amount{Minor: c.want, Currency: c.money.Currency}) {
			t.Errorf("%+v: %v, %v", c.money, got, err)
		}
	}
}

func TestMovementsAreSortedByTheirCodes(t *testing.T) {
	for _, c := range []struct {
		code  string
		minor int64
		want  payment.SettlementKind
	}{
		{"T0006", 100, payment.SettledCharge}, {"T1107", -100, payment.SettledRefund}, {"T1107", 100, payment.SettledRefundFailure},
		{"T0400", -100, payment.SettledPayout}, {"T0400", 100, payment.SettledPayoutFailure}, {"T0200", -100, payment.SettledConversion},
		{"T1201", -100, payment.SettledDispute}, {"T1202", 100, payment.SettledDisputeReverse}, {"T1110", -100, payment.SettledDispute}, {"T1111", 100, payment.SettledDisputeReverse},
		{"T0107", -100, payment.SettledFee}, {"T0006", -100, payment.SettledOther}, {"T9999", 1, payment.SettledOther}, {"", 1, payment.SettledOther},
	} {
		if got := kindOf(c.code, ledger.Amount{Minor: c.minor, Currency: "EUR"}); got != c.want {
			t.Errorf("%s of %d is %s, not %s", c.code, c.minor, got, c.want)
		}
	}
}

func TestEvidenceIsCutIntoNotesThatPayPalTakes(t *testing.T) {
	e := payment.Evidence{ProductText: strings.Repeat("é", 4500), CustomerEmail: "buyer@example.org", AccessLog: strings.Repeat("a line of the log\n", 400)}
	all := notes(e)
	for n, note := range all {
		if count := len([]rune(note)); count == 0 || count > maxNote {
			t.Errorf("note %d has %d characters", n, count)
		}
	}
	if whole := strings.Join(all, ""); strings.Count(whole, "é") != 4500 || strings.Count(whole, "a line of the log") != 400 || len(all) > maxNotes {
		t.Errorf("%d notes lose something", len(all))
	}
	if got := notes(payment.Evidence{Uncategorized: strings.Repeat("x", 1_000_000)}); len(got) != maxNotes {
		t.Errorf("%d notes", len(got))
	}
}

// PayPal's own hosts are the only ones from which a certificate comes, and only over TLS.
func TestCertificatesComeFromPayPalsOwnHostsOnly(t *testing.T) {
	for base, allowed := range map[string][]string{
		"":         {"https://api.paypal.com/v1/notifications/certs/CERT-1", "https://api-m.paypal.com/v1/notifications/certs/CERT-1"},
		SandboxURL: {"https://api.sandbox.paypal.com/v1/notifications/certs/CERT-1"},
	} {
		c := newCertCache(Config{BaseURL: base}.withDefaults())
		for _, address := range allowed {
			if !c.allowed(address) {
				t.Errorf("%s is refused at %q", address, base)
			}
		}
		for _, address := range []string{
			"http://api.paypal.com/v1/notifications/certs/CERT-1", "https://api.paypal.com.evil.example/v1/notifications/certs/CERT-1",
			"https://api.paypal.com:8443/v1/notifications/certs/CERT-1", "https://evil.example/v1/notifications/certs/CERT-1", "https://127.0.0.1/v1/notifications/certs/CERT-1",
			"http://127.0.0.1/v1/notifications/certs/CERT-1", "https://api.paypal.com/v1/notifications/certs/", "https://api.paypal.com/v1/notifications/certs/a/b",
			"https://api.paypal.com/v1/notifications/certs/%2e%2e", "https://api.paypal.com/v1/notifications/certs/..", "https://api.paypal.com@evil.example/v1/notifications/certs/x",
			"https://www.paypal.com/v1/notifications/certs/CERT-1", "",
		} {
			if c.allowed(address) {
				t.Errorf("%s is allowed at %q", address, base)
			}
		}
	}
}
