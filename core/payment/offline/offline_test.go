package offline

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/db/dbtest"
	"fairgate/core/payment"
	"fairgate/ledger"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

func TestReferencesHaveCheckDigitsByISO11649(t *testing.T) {
	for _, good := range []string{"RF18539007547034", "RF712348231"} { // published examples
		if !Valid(good) {
			t.Errorf("%s is refused", good)
		}
	}
	for range 1000 {
		ref := Reference(uuid.New())
		if !Valid(ref) || len(ref) != 20 {
			t.Fatalf("%s is no reference", ref)
		}
		for i := 2; i < len(ref); i++ { // every digit and letter taken for another is found
			wrong := []byte(ref)
			switch wrong[i]++; wrong[i] {
			case '[':
				wrong[i] = 'A'
			case ':':
				wrong[i] = '0'
			}
			if Valid(string(wrong)) {
				t.Fatalf("%s for %s is not noticed", wrong, ref)
			}
		}
	}
	if Normal(" rf18 5390 0754 7034 ") != "RF18539007547034" || Valid("RF18") || Valid("RF18é39007547034") {
		t.Error("spaces, or what is no reference")
	}
}

func eur(minor int64) ledger.Amount { return ledger.Amount{Minor: minor, Currency: "EUR"} }

func TestMoneyCountsOnceAndOnlyWhatIsDueIsTaken(t *testing.T) {
	d := dbtest.New(t)
	p := New(Config{DB: d, Outbox: payment.NewOutbox(d, payment.OutboxConfig{})})
	begin := func() payment.Intent {
		t.Helper()
		i := payment.Intent{PaymentID: uuid.New(), OrderID: uuid.New(), Attempt: 1, Amount: eur(6500), Method: payment.MethodBankTransfer}
		for range 2 {
			if out, err := p.Begin(t.Context(), i); err != nil || out.State != payment.Begun || out.ProviderRef != Reference(i.PaymentID) {
				t.Fatalf("begun: %+v, %v", out, err)
			}
		}
		return i
	}
	record := func(id string, i payment.Intent, a ledger.Amount, want Result) {
		t.Helper()
		got, err := p.Record(t.Context(), Receipt{ID: id, Reference: Reference(i.PaymentID), Amount: a, ReceivedAt: time.Now()}, "operator:ann")
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", id, got, err, want)
		}
	}
	stands := func(i payment.Intent, want payment.OutcomeState) {
		t.Helper()
		if out, err := p.Lookup(t.Context(), i); err != nil || out.State != want || out.Amount != i.Amount {
			t.Errorf("it stands at %+v, %v, want %s", out, err, want)
		}
	}
	exact := begin()
	record("1", exact, eur(6500), Result{Paid: true})
	record("1", exact, eur(6500), Result{Known: true})
	record("2", exact, eur(6500), Result{Review: "paid already"})
	stands(exact, payment.Captured)
	if out, err := p.Void(t.Context(), exact); !errors.Is(err, payment.ErrDeclined) || out.State != payment.Captured {
		t.Errorf("a paid one is voided: %+v, %v", out, err)
	}

	parts := begin()
	record("3", parts, eur(6000), Result{})
	record("4", parts, ledger.Amount{Minor: 500, Currency: "USD"}, Result{Review: "another currency than EUR"})
	stands(parts, payment.Begun)
	record("5", parts, eur(700), Result{Paid: true, Review: "too much"})
	stands(parts, payment.Captured)

	dead := begin()
	record("6", dead, eur(100), Result{})
	if out, err := p.Void(t.Context(), dead); err != nil || out.State != payment.Voided {
		t.Fatalf("void: %+v, %v", out, err)
	}
	record("7", dead, eur(200), Result{Review: "too little"})
	stands(dead, payment.Voided)
	record("8", dead, eur(6200), Result{Paid: true}) // late, and captured: whoever knows the order sees to it
	stands(dead, payment.Captured)

	record("9", payment.Intent{PaymentID: uuid.New()}, eur(1), Result{Review: "no such reference"})
	if _, err := p.Void(t.Context(), payment.Intent{PaymentID: uuid.New()}); !errors.Is(err, payment.ErrNotFound) {
		t.Errorf("void of what is not there: %v", err)
	}
	var used, tasks int64
	if err := d.Reader.QueryRow(t.Context(), `SELECT sum(used_minor)::INT8 FROM offline_receipts`).Scan(&used); err != nil || used != 3*6500 {
		t.Errorf("%d of the money was taken for three payments of 6500, %v", used, err)
	}
	if err := d.Reader.QueryRow(t.Context(), `SELECT count(*) FROM outbox WHERE kind = 'recorded'`).Scan(&tasks); err != nil || tasks != 3 {
		t.Errorf("%d tasks tell of three payments, %v", tasks, err)
	}
}

func TestARefundIsPendingUntilSomebodyConfirmsIt(t *testing.T) {
	d := dbtest.New(t)
	p := New(Config{DB: d, Outbox: payment.NewOutbox(d, payment.OutboxConfig{})})
	i := payment.Intent{PaymentID: uuid.New(), OrderID: uuid.New()}
	r := payment.Refund{ID: uuid.New(), Amount: eur(500)}
	if _, err := p.LookupRefund(t.Context(), i, r); !errors.Is(err, payment.ErrNotFound) {
		t.Errorf("before: %v", err)
	}
	for range 2 {
		if out, err := p.Refund(t.Context(), i, r); err != nil || out.State != payment.RefundPending || out.Amount != r.Amount {
			t.Fatalf("%+v, %v", out, err)
		}
	}
	if changed, err := p.Confirm(t.Context(), r.ID, true, "operator:ann", ""); err != nil || !changed {
		t.Fatal(changed, err)
	}
	if changed, err := p.Confirm(t.Context(), r.ID, false, "operator:bob", ""); err != nil || changed {
		t.Error("a refund that was sent is said to have failed", err)
	}
	if out, err := p.Refund(t.Context(), i, r); err != nil || out.State != payment.RefundSucceeded {
		t.Errorf("%+v, %v", out, err)
	}
}
