package stripe_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/payment"
	"fairgate/core/payment/stripe"
	"fairgate/ledger"
	"fairgate/loadtest/paysim"
)

// captured is a payment whose money was taken.
func (a *account) captured(card string) payment.Intent {
	a.t.Helper()
	i := a.authorized(card)
	outcome, err := a.provider.Capture(a.t.Context(), i)
	a.expect("capture", outcome, err, payment.Captured, nil)
	return i
}

func part(minor int64) payment.Refund {
	return payment.Refund{ID: uuid.New(), Amount: ledger.Amount{Minor: minor, Currency: "EUR"}}
}

// given is what the provider's books have of refunds, by our id.
func (a *account) given() map[string][]paysim.BookedRefund {
	byID := map[string][]paysim.BookedRefund{}
	for _, r := range a.sim.Books().Refunds {
		byID[r.Refund] = append(byID[r.Refund], r)
	}
	return byID
}

func TestARefundWhoseAnswerIsLostIsMadeOnce(t *testing.T) {
	a := newAccount(t, paysim.Config{})
	i := a.captured("4242424242424242")
	r := part(500)
	if _, err := a.provider.LookupRefund(t.Context(), i, r); !isOne(err, payment.ErrNotFound) {
		t.Errorf("before it is asked for: %v", err)
	}
	a.between.intercept(loseFirst("/refunds"))
	// The lost call may be repeated by net/http at once, since the connection was used before and the call has a key.
	if _, err := a.provider.Refund(t.Context(), i, r); err != nil && !isOne(err, payment.ErrUnknown) {
		t.Errorf("the lost call: %v", err)
	}
	outcome, err := a.provider.Refund(t.Context(), i, r)
	if err != nil || outcome.State != payment.RefundSucceeded || outcome.Amount != r.Amount {
		t.Errorf("the same call again: %+v, %v", outcome, err)
	}
	if made := a.given()[r.ID.String()]; len(made) != 1 || made[0].Amount != 500 {
		t.Errorf("the books have %+v", made)
	}
	if entry := a.booked(i); entry.Refunded != 500 {
		t.Errorf("the books have %+v", entry)
	}
	rest := part(i.Amount.Minor - 500)
	if outcome, err := a.provider.Refund(t.Context(), i, rest); err != nil || outcome.State != payment.RefundSucceeded {
		t.Errorf("the rest: %+v, %v", outcome, err)
	}
	if _, err := a.provider.Refund(t.Context(), i, part(1)); !isOne(err, payment.ErrDeclined) {
		t.Errorf("more than was taken: %v", err)
	}
	if _, err := a.provider.Refund(t.Context(), a.authorized("4242424242424242"), part(1)); !isOne(err, payment.ErrRejected) {
		t.Errorf("of what was not taken yet: %v", err)
	}
}

func TestEveryRefundComesThroughAProviderThatMisbehaves(t *testing.T) {
	a := newAccount(t, paysim.Config{Seed: 5, Rate: 100_000})
	const payments, parts = 20, 3
	intents := make([]payment.Intent, payments)
	for n := range intents {
		intents[n] = a.captured("4242424242424242")
	}
	// From here on a third of all answers are lost, one way or another.
	a.between.intercept(lossy(5))
	var all sync.WaitGroup
	gate := make(chan struct{}, 8)
	var mu sync.Mutex
	wanted := map[string]bool{}
	for _, i := range intents {
		for range parts {
			r := part(1000)
			mu.Lock()
			wanted[r.ID.String()] = true
			mu.Unlock()
			all.Go(func() {
				gate <- struct{}{}
				defer func() { <-gate }()
				for n := 0; ; n++ {
					outcome, err := a.provider.Refund(t.Context(), i, r)
					if err == nil {
						if outcome.State != payment.RefundSucceeded || outcome.Amount != r.Amount {
							t.Errorf("refund %+v", outcome)
						}
						return
					}
					if !isOne(err, payment.ErrUnknown) && !isOne(err, payment.ErrTemporary) || n == 60 {
						t.Errorf("refund: %v", err)
						return
					}
				}
			})
		}
	}
	all.Wait()
	given := a.given()
	for id := range wanted {
		if len(given[id]) != 1 {
			t.Errorf("refund %s was made %d times", id, len(given[id]))
		}
	}
	if held := a.sim.Balances()["EUR"]; held != payments*(intents[0].Amount.Minor-parts*1000) {
		t.Errorf("the provider holds %d", held)
	}
}

// lossy answers a sixth of the calls with status 500 before, a sixth after they were carried out.
func lossy(seed int) func(http.ResponseWriter, *http.Request, http.Handler) bool {
	var mu sync.Mutex
	n := seed
	return func(w http.ResponseWriter, r *http.Request, sim http.Handler) bool {
		mu.Lock()
		n = (n*1103515245 + 12345) & 0x7fffffff
		throw := (n >> 8) % 6
		mu.Unlock()
		switch throw {
		case 0:
		case 1:
			recorded(sim, r)
		default:
			return false
		}
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write([]byte(`{"error":{"type":"api_error","message":"An unknown error occurred."}}`))
		return true
	}
}

func TestARefundMayWaitAndFailLater(t *testing.T) {
	box := newMailbox(t)
	a := newAccount(t, paysim.Config{WebhookWorkers: 1, WebhookURL: box.url, WebhookEvents: []string{"refund.created", "refund.updated", "refund.failed", "charge.refunded"}})
	for card, want := range map[string][]payment.RefundState{
		"4000000000007726": {payment.RefundPending, payment.RefundSucceeded},
		"4000000000005126": {payment.RefundSucceeded, payment.RefundFailed},
	} {
		i, r := a.captured(card), part(700)
		outcome, err := a.provider.Refund(t.Context(), i, r)
		if err != nil || outcome.State != want[0] {
			t.Errorf("%s: refunded %+v, %v", card, outcome, err)
		}
		a.sim.Advance(t.Context(), 24*time.Hour)
		for _, ref := range []string{"", outcome.ProviderRef} {
			r.ProviderRef = ref
			later, err := a.provider.LookupRefund(t.Context(), i, r)
			if err != nil || later.State != want[1] || (later.Failure != "") != (want[1] == payment.RefundFailed) {
				t.Errorf("%s: later %+v, %v", card, later, err)
			}
		}
		var told []payment.RefundState
		for n := 0; len(told) < 2 || told[len(told)-1] != want[1]; n++ {
			m := box.wait(t, n+1)[n]
			e, err := a.provider.Parse(m.raw)
			if err != nil {
				t.Fatal(err)
			}
			if e.Refund == nil || e.Refund.RefundID != r.ID {
				continue
			}
			if e.Refund.PaymentRef != i.ProviderRef || e.PaymentID != i.PaymentID || e.OrderID != i.OrderID || e.Refund.Outcome.Amount != r.Amount {
				t.Errorf("%s: told %+v of %+v", card, e.Refund, e)
			}
			told = append(told, e.Refund.Outcome.State)
		}
		if told[0] != want[0] {
			t.Errorf("%s: told %v, want %v", card, told, want)
		}
	}
}

func TestADisputeLivesItsLife(t *testing.T) {
	for evidence, want := range map[string]payment.DisputeState{"winning_evidence": payment.DisputeWon, "losing_evidence": payment.DisputeLost, "": payment.DisputeLost} {
		box := newMailbox(t)
		a := newAccount(t, paysim.Config{WebhookWorkers: 1, WebhookURL: box.url, WebhookEvents: []string{"charge.dispute.created", "charge.dispute.closed"}})
		i := a.captured("4000000000000259")
		a.sim.Advance(t.Context(), 73*time.Hour)
		told, err := a.provider.Parse(box.wait(t, 1)[0].raw)
		if err != nil || told.Dispute == nil || told.Dispute.State != payment.DisputeOpen || told.Dispute.PaymentRef != i.ProviderRef ||
			told.Dispute.Amount != i.Amount || told.Dispute.Reason != "fraudulent" || told.Dispute.RespondBy.IsZero() || told.Dispute.Fee.Minor != 1500 {
			t.Fatalf("told %+v, %v", told.Dispute, err)
		}
		order, id, attempt, err := a.provider.Identify(t.Context(), told.Dispute.PaymentRef)
		if err != nil || order != i.OrderID || id != i.PaymentID || attempt != 1 {
			t.Errorf("it is of %s %s %d, %v", order, id, attempt, err)
		}
		ref := told.Dispute.Ref
		if _, err := a.provider.Refund(t.Context(), i, part(100)); !isOne(err, payment.ErrDeclined) {
			t.Errorf("a refund of a disputed payment: %v", err)
		}
		if evidence == "" { // nobody answers in time
			a.sim.Advance(t.Context(), 8*24*time.Hour)
		} else {
			e := payment.Evidence{Uncategorized: "a draft", ServiceDate: "2027-06-01", IdempotencySalt: "1"}
			if news, err := a.provider.SubmitEvidence(t.Context(), ref, e); err != nil || news.State != payment.DisputeOpen {
				t.Errorf("a draft: %+v, %v", news, err)
			}
			e.Uncategorized, e.SubmitNow, e.IdempotencySalt = evidence, true, "2"
			for range 2 { // the answer may be lost
				if news, err := a.provider.SubmitEvidence(t.Context(), ref, e); err != nil || news.State != want && news.State != payment.DisputeReview {
					t.Errorf("the answer: %+v, %v", news, err)
				}
			}
			a.sim.Advance(t.Context(), 10*24*time.Hour)
		}
		news, err := a.provider.LookupDispute(t.Context(), ref)
		if err != nil || news.State != want || (news.Fee.Minor == 0) != (want == payment.DisputeWon) {
			t.Errorf("%q: in the end %+v, %v", evidence, news, err)
		}
		closed, err := a.provider.Parse(box.wait(t, 2)[1].raw)
		if err != nil || closed.Dispute == nil || closed.Dispute.State != want {
			t.Errorf("%q: told in the end %+v, %v", evidence, closed.Dispute, err)
		}
		_, err = a.provider.SubmitEvidence(t.Context(), ref, payment.Evidence{Uncategorized: "late", SubmitNow: true, IdempotencySalt: "3"})
		if !isOne(err, payment.ErrDeclined) {
			t.Errorf("evidence after the end: %v", err)
		}
	}
}

func TestAnInquiryTakesNoMoney(t *testing.T) {
	box := newMailbox(t)
	a := newAccount(t, paysim.Config{WebhookWorkers: 1, WebhookURL: box.url, WebhookEvents: []string{"charge.dispute.created"}})
	i := a.captured("4000000000001976")
	a.sim.Advance(t.Context(), 73*time.Hour)
	told, err := a.provider.Parse(box.wait(t, 1)[0].raw)
	if err != nil || told.Dispute == nil || told.Dispute.State != payment.DisputeInquiry || told.Dispute.Fee.Minor != 0 {
		t.Errorf("told %+v, %v", told.Dispute, err)
	}
	if held := a.sim.Balances()["EUR"]; held != i.Amount.Minor {
		t.Errorf("the provider holds %d", held)
	}
}

func TestTheSettlementOfADayIsWhatMoved(t *testing.T) {
	start := time.Date(2027, 6, 1, 8, 0, 0, 0, time.UTC)
	a := newAccount(t, paysim.Config{
		Seed: 3, FeePercent: 2.9, FeeFixed: 30, ScreeningFee: 5, AvailableAfter: 24 * time.Hour, PayoutEvery: 24 * time.Hour,
		Now: func() time.Time { return start },
	})
	const sales = 130 // more than a page
	byPayment := map[uuid.UUID]payment.Intent{}
	var last payment.Intent
	for range sales {
		last = a.captured("4242424242424242")
		byPayment[last.PaymentID] = last
	}
	disputed := a.captured("4000000000000259")
	byPayment[disputed.PaymentID] = disputed
	r := part(2345)
	if _, err := a.provider.Refund(t.Context(), last, r); err != nil {
		t.Fatal(err)
	}
	a.sim.Advance(t.Context(), 5*24*time.Hour)
	read := func(from, until time.Time) (rows []payment.SettlementRow) {
		t.Helper()
		err := a.provider.Settlement(t.Context(), from, until, func(row payment.SettlementRow) error {
			if row.CreatedAt.Before(from) || !row.CreatedAt.Before(until) {
				t.Errorf("of %s to %s is %+v", from, until, row)
			}
			rows = append(rows, row)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	midnight := time.Date(2027, 6, 1, 0, 0, 0, 0, time.UTC)
	kinds := map[payment.SettlementKind]int{}
	seen := map[string]bool{}
	var net int64
	for day := range 6 {
		for _, row := range read(midnight.AddDate(0, 0, day), midnight.AddDate(0, 0, day+1)) {
			if seen[row.ID] {
				t.Errorf("row %s is of two days", row.ID)
			}
			seen[row.ID] = true
			kinds[row.Kind]++
			net += row.Gross.Minor - row.Fee.Minor
			switch i := byPayment[row.PaymentID]; row.Kind {
			case payment.SettledCharge:
				if row.OrderID != i.OrderID || row.PaymentRef != i.ProviderRef || row.Gross != i.Amount || row.Fee.Minor <= 0 || row.PayoutRef == "" {
					t.Errorf("a sale is %+v", row)
				}
			case payment.SettledRefund:
				if row.RefundID != r.ID || row.PaymentRef != last.ProviderRef || row.Gross.Minor != -2345 || row.OrderID != last.OrderID {
					t.Errorf("the refund is %+v", row)
				}
			case payment.SettledDispute:
				if row.PaymentRef != disputed.ProviderRef || row.Gross.Minor != -disputed.Amount.Minor || row.Fee.Minor != 1500 {
					t.Errorf("the dispute is %+v", row)
				}
			case payment.SettledPayout:
				if row.PayoutRef != row.SourceRef || row.Gross.Minor >= 0 {
					t.Errorf("a payout is %+v", row)
				}
			}
		}
	}
	books := a.sim.Books()
	account := books.Accounts["EUR"]
	if !books.Consistent || net != account.Available+account.Pending {
		t.Errorf("the rows make %d, the account holds %+v", net, account)
	}
	if kinds[payment.SettledCharge] != sales+1 || kinds[payment.SettledRefund] != 1 || kinds[payment.SettledDispute] != 1 ||
		kinds[payment.SettledPayout] == 0 || kinds[payment.SettledFee] == 0 || kinds[payment.SettledOther] != 0 {
		t.Errorf("kinds %v", kinds)
	}
	if len(seen) != account.Movements {
		t.Errorf("%d rows of %d movements", len(seen), account.Movements)
	}
}

func TestASettlementInAnotherCurrencyHasTheRate(t *testing.T) {
	a := newAccount(t, paysim.Config{SettlementCurrency: "usd"})
	i := a.captured("4242424242424242")
	rows := 0
	now := a.sim.Now()
	err := a.provider.Settlement(t.Context(), now.Add(-time.Hour), now.Add(time.Hour), func(row payment.SettlementRow) error {
		if rows++; row.Presentment != i.Amount || row.Gross.Currency != "USD" || row.Rate == "" || row.Gross.Minor == i.Amount.Minor {
			t.Errorf("row %+v", row)
		}
		return nil
	})
	if err != nil || rows != 1 {
		t.Errorf("%d rows, %v", rows, err)
	}
}

func TestTheRiskIsToldWithTheChargeAndWhenAsked(t *testing.T) {
	box := newMailbox(t)
	a := newAccount(t, paysim.Config{WebhookWorkers: 1, WebhookURL: box.url, WebhookEvents: []string{"charge.succeeded"}})
	seen := 0
	for card, check := range map[string]func(payment.Risk) bool{
		"4000000000009235": func(r payment.Risk) bool { return r.Level == "elevated" && r.Score > 0 },
		"4000000000000101": func(r payment.Risk) bool { return r.CVCCheck == "fail" },
		"4000000000000036": func(r payment.Risk) bool { return r.PostalCheck == "fail" },
		"4000002760000016": func(r payment.Risk) bool { return r.CardCountry == "DE" && !r.Challenged },
		"5105105105105100": func(r payment.Risk) bool { return r.Funding == "prepaid" },
	} {
		i := a.authorized(card)
		looked, err := a.provider.Lookup(t.Context(), i)
		a.expect("lookup", looked, err, payment.Authorized, nil)
		seen++
		told, err := a.provider.Parse(box.wait(t, seen)[seen-1].raw)
		if err != nil || told.Outcome.Risk != looked.Risk || told.Outcome.Card != looked.Card || told.Outcome.Card == "" || !check(looked.Risk) {
			t.Errorf("%s: told %+v, looked up %+v, %v", card, told.Outcome, looked, err)
		}
	}
}

func TestAChallengeIsAskedForWhereTheCardNeedsNone(t *testing.T) {
	a := newAccount(t, paysim.Config{})
	i := newIntent()
	i.Challenge = true
	begun, err := a.provider.Begin(t.Context(), i)
	a.expect("begin", begun, err, payment.Begun, nil)
	i.ProviderRef = begun.ProviderRef
	a.pay(i, begun.ClientSecret, "4242424242424242")
	outcome, err := a.provider.Lookup(t.Context(), i)
	a.expect("lookup", outcome, err, payment.RequiresAction, nil)
	a.pay(i, begun.ClientSecret, "", "authentication", "approve")
	outcome, err = a.provider.Lookup(t.Context(), i)
	a.expect("lookup after the proof", outcome, err, payment.Authorized, nil)
	if !outcome.Risk.Challenged {
		t.Errorf("risk %+v", outcome.Risk)
	}
}

var (
	_ payment.Refunder         = (*stripe.Provider)(nil)
	_ payment.Disputer         = (*stripe.Provider)(nil)
	_ payment.Identifier       = (*stripe.Provider)(nil)
	_ payment.SettlementReader = (*stripe.Provider)(nil)
)
