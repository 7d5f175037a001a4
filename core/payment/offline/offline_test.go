package offline

import (
	"errors"
	"fmt"
	"sync"
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
	typo := []byte(Reference(exact.PaymentID))
	if typo[5]++; typo[5] == '[' || typo[5] == ':' {
		typo[5] = '0'
	}
	if got, err := p.Record(t.Context(), Receipt{ID: "10", Reference: string(typo), Amount: eur(2), ReceivedAt: time.Now()}, "operator:ann"); err != nil || got.Review != "that reference has a typing mistake" {
		t.Errorf("%s: %+v, %v", typo, got, err)
	}
	record("9", exact, eur(1), Result{Known: true, Review: "recorded before with another amount or reference"})
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
	if due, err := p.DueRefunds(t.Context(), 10); err != nil || len(due) != 1 || due[0].ID != r.ID || due[0].Amount != r.Amount || due[0].Order != i.OrderID {
		t.Errorf("due %+v, %v", due, err)
	}
	for range 2 { // whoever is not sure says it again
		if err := p.Confirm(t.Context(), r.ID, true, "operator:ann", ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Confirm(t.Context(), r.ID, false, "operator:bob", ""); !errors.Is(err, ErrRefundDecided) {
		t.Error("a refund that was sent is said to have failed", err)
	}
	if err := p.Confirm(t.Context(), uuid.New(), true, "operator:bob", ""); !errors.Is(err, ErrRefundUnknown) {
		t.Error(err)
	}
	if due, err := p.DueRefunds(t.Context(), 10); err != nil || len(due) != 0 {
		t.Errorf("still due %+v, %v", due, err)
	}
	if out, err := p.Refund(t.Context(), i, r); err != nil || out.State != payment.RefundSucceeded {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestWhatNoPaymentTakesIsHeldInTheBooksUntilItIsAssignedOrReturned(t *testing.T) {
	d := dbtest.New(t)
	p := New(Config{DB: d, Outbox: payment.NewOutbox(d, payment.OutboxConfig{})})
	begin := func(minor int64) payment.Intent {
		t.Helper()
		i := payment.Intent{PaymentID: uuid.New(), OrderID: uuid.New(), Attempt: 1, Amount: eur(minor), Method: payment.MethodBankTransfer}
		if _, err := p.Begin(t.Context(), i); err != nil {
			t.Fatal(err)
		}
		return i
	}
	record := func(id, ref string, minor int64) {
		t.Helper()
		if _, err := p.Record(t.Context(), Receipt{ID: id, Reference: ref, Amount: eur(minor), ReceivedAt: time.Now()}, "operator:ann"); err != nil {
			t.Fatal(err)
		}
	}
	held := func(when string, want int64) {
		t.Helper()
		all, err := ledger.Balances(t.Context(), d.Reader)
		if err != nil {
			t.Fatal(err)
		}
		booked, net := int64(0), int64(0)
		for _, b := range all {
			if net += b.Net().Minor; b.Account == ledger.LateMoney("EUR") {
				booked = b.Net().Minor
			}
		}
		if rest := rests(t, p); booked != want || rest != want || net != 0 {
			t.Errorf("%s: the books hold %d and the receipts %d, want %d; all accounts are %d", when, booked, rest, want, net)
		}
		if v, err := ledger.Verify(t.Context(), d.Reader); err != nil || !v.OK {
			t.Errorf("%s: the ledger does not verify: %+v, %v", when, v, err)
		}
	}
	first, second := begin(6500), begin(3000)
	record("exact", Reference(begin(100).PaymentID), 100)
	held("nothing is held of what was due", 0)
	record("part", Reference(first.PaymentID), 6000)
	held("a part", 6000)
	record("rest", Reference(first.PaymentID), 700)
	held("the rest, and two euros more", 200)
	record("lost", "tickets please", 2900)
	record("foreign", "RF18539007547034", 50)
	held("nobody's", 3150)

	for _, wrong := range []struct {
		receipt string
		order   uuid.UUID
		want    error
	}{{"none", second.OrderID, ErrReceiptUnknown}, {"lost", uuid.New(), ErrNotDue}, {"lost", first.OrderID, ErrNotDue}, {"lost", second.OrderID, ErrTooLittle}, {"exact", second.OrderID, ErrNothingLeft}} {
		if _, err := p.Assign(t.Context(), wrong.receipt, wrong.order, "operator:ann", "why not"); !errors.Is(err, wrong.want) {
			t.Errorf("assign %s: %v, want %v", wrong.receipt, err, wrong.want)
		}
	}
	held("nothing was assigned", 3150)
	record("second", Reference(second.PaymentID), 80)
	record("third", Reference(second.PaymentID), 60)
	for _, known := range []bool{false, true} {
		got, err := p.Assign(t.Context(), "lost", second.OrderID, "operator:ann", "the buyer called")
		if err != nil || got != (Decision{Receipt: "lost", Amount: eur(2860), Known: known}) {
			t.Errorf("assigned %+v, %v", got, err)
		}
	}
	held("40 of it are too much, and others' 250", 290)
	if out, err := p.Lookup(t.Context(), second); err != nil || out.State != payment.Captured {
		t.Errorf("%+v, %v", out, err)
	}
	var back sync.WaitGroup
	for range 2 { // two operators at once
		back.Go(func() {
			if got, err := p.Return(t.Context(), "lost", "operator:bob", "sent back"); err != nil || got.Amount != eur(40) {
				t.Errorf("returned %+v, %v", got, err)
			}
		})
	}
	back.Wait()
	held("the 40 went back", 250)
	if _, err := p.Assign(t.Context(), "lost", begin(40).OrderID, "operator:ann", ""); !errors.Is(err, ErrNothingLeft) {
		t.Error(err)
	}
	list, err := p.Receipts(t.Context(), true, 10)
	if err != nil || len(list) != 2 || list[0].ID != "rest" || list[0].Review != "too much" || list[0].Rest != eur(200) || list[1].ID != "foreign" {
		t.Errorf("to review: %+v, %v", list, err)
	}
	var told int
	if err := d.Reader.QueryRow(t.Context(), `SELECT count(*) FROM offline_decisions WHERE reason <> '' AND actor <> ''`).Scan(&told); err != nil || told != 2 {
		t.Errorf("%d decisions, %v", told, err)
	}
}

// rests is what the receipts say that nobody has taken.
func rests(t *testing.T, p *Provider) (sum int64) {
	t.Helper()
	list, err := p.Receipts(t.Context(), false, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		sum += r.Rest.Minor
	}
	return sum
}

func TestAnAbsurdReceiptIsRefused(t *testing.T) {
	d := dbtest.New(t)
	p := New(Config{DB: d, Outbox: payment.NewOutbox(d, payment.OutboxConfig{})})
	for minor, refused := range map[int64]bool{-1: true, 0: true, 1: false, MaxReceipt: false, MaxReceipt + 1: true, 1 << 62: true} {
		_, err := p.Record(t.Context(), Receipt{ID: fmt.Sprint(minor), Amount: eur(minor), ReceivedAt: time.Now()}, "operator:ann")
		if errors.Is(err, ErrReceiptAmount) != refused || !refused && err != nil {
			t.Errorf("%d: %v", minor, err)
		}
	}
}
