package paypal_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/payment"
	"fairgate/core/payment/paypal"
	"fairgate/ledger"
	"fairgate/loadtest/paysim"
)

// again repeats a call as the outbox does: the identical call, while its outcome is unknown or it cannot be done now.
func again[T any](ctx context.Context, call func() (T, error)) (T, error) {
	for n := 0; ; n++ {
		out, err := call()
		if n == 60 || !errors.Is(err, payment.ErrTemporary) && !errors.Is(err, payment.ErrUnknown) {
			return out, err
		}
		select {
		case <-ctx.Done():
			return out, ctx.Err()
		case <-time.After(time.Duration(1+n/4) * time.Millisecond):
		}
	}
}

// fate is what is to become of a payment.
type fate int

const (
	taken      fate = iota // captured
	partlyBack             // captured, and a part refunded
	whollyBack             // captured, and refunded in two parts
	letGo                  // authorized and voided
	tooLate                // closed, and approved afterwards
	raced                  // approved, then looked up and voided at once
	neverBegun             // voided without a reference
	fates
)

// result is what the adapter said of a payment in the end.
type result struct {
	intent   payment.Intent
	fate     fate
	state    payment.OutcomeState
	refunded int64
	err      error
}

func (a *account) live(ctx context.Context, n int) (r result) {
	minor := int64(1000 + n)
	r = result{intent: newIntent(minor), fate: fate(n % int(fates))}
	fail := func(step string, err error) result {
		r.err = fmt.Errorf("%s: %w", step, err)
		return r
	}
	i := r.intent
	begin := func() (payment.Outcome, error) { return a.provider.Begin(ctx, i) }
	if r.fate == neverBegun {
		if _, err := a.provider.Begin(ctx, i); err != nil && !errors.Is(err, payment.ErrUnknown) && !errors.Is(err, payment.ErrTemporary) {
			return fail("begin", err)
		}
		if _, err := a.provider.Void(ctx, i); !errors.Is(err, payment.ErrNotFound) {
			return fail("void without a reference", err)
		}
		r.state = payment.Voided
		return r
	}
	out, err := again(ctx, begin)
	if err != nil {
		return fail("begin", err)
	}
	twice, err := again(ctx, begin)
	if err != nil || twice.ProviderRef != out.ProviderRef {
		return fail("begin again", fmt.Errorf("%q and %q: %w", out.ProviderRef, twice.ProviderRef, err))
	}
	i.ProviderRef = out.ProviderRef
	r.intent = i
	lookup := func() (payment.Outcome, error) { return a.provider.Lookup(ctx, i) }
	void := func() (payment.Outcome, error) { return a.provider.Void(ctx, i) }
	if r.fate == tooLate {
		if out, err = again(ctx, void); err != nil {
			return fail("void", err)
		}
	}
	if err := decide(ctx, a.url, i.ProviderRef, "approve"); err != nil {
		return fail("approve", err)
	}
	if r.fate == raced {
		var both sync.WaitGroup
		both.Go(func() { _, _ = again(ctx, lookup) })
		out, err = again(ctx, void)
		both.Wait()
		if err == nil { // a lookup that comes after all that must find nothing to authorize
			out, err = again(ctx, lookup)
		}
		if err == nil && out.State != payment.Voided {
			out, err = again(ctx, void)
		}
		r.state = out.State
		if err != nil {
			return fail("race", err)
		}
		return r
	}
	if out, err = again(ctx, lookup); err != nil {
		return fail("lookup", err)
	}
	switch r.fate {
	case tooLate:
		if out.State != payment.Begun && out.State != payment.Voided {
			return fail("lookup of a closed order", fmt.Errorf("it is %s", out.State))
		}
		if out, err = again(ctx, void); err != nil {
			return fail("void again", err)
		}
	case letGo:
		if out, err = again(ctx, void); err != nil {
			return fail("void", err)
		}
	default:
		if out, err = again(ctx, func() (payment.Outcome, error) { return a.provider.Capture(ctx, i) }); err != nil {
			return fail("capture", err)
		}
		parts := map[fate][]int64{partlyBack: {300}, whollyBack: {400, minor - 400}}[r.fate]
		for k, part := range parts {
			refund := payment.Refund{ID: uuid.NewSHA1(i.PaymentID, []byte{byte(k)}), Amount: ledger.Amount{Minor: part, Currency: "EUR"}}
			done, err := again(ctx, func() (payment.RefundOutcome, error) { return a.provider.Refund(ctx, i, refund) })
			if err != nil || done.State != payment.RefundSucceeded || done.Amount != refund.Amount {
				return fail("refund", fmt.Errorf("%+v: %w", done, err))
			}
			r.refunded += part
		}
	}
	r.state = out.State
	return r
}

func TestPayPalsBooksAgreeWithWhatWasReturnedWhateverGoesWrong(t *testing.T) {
	const payments = 210
	faults := paysim.Faults{SlowFor: 2 * time.Millisecond, ReorderFor: 20 * time.Millisecond}
	faults.AnswerError, faults.AnswerLost, faults.AnswerSlow, faults.ConnectionCut, faults.RateBurst = 0.12, 0.12, 0.05, 0.1, 0.1
	faults.WebhookTwice, faults.WebhookReorder, faults.WebhookEarly = 0.3, 0.2, 0.2
	a := newAccount(t, paysim.Config{Seed: 11, Faults: faults}, func(c *paypal.Config) { c.SettleAfter = 200 * time.Millisecond })
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	results := make([]result, payments)
	var all sync.WaitGroup
	turns := make(chan struct{}, 24)
	for n := range payments {
		turns <- struct{}{}
		all.Go(func() { defer func() { <-turns }(); results[n] = a.live(ctx, n) })
	}
	all.Wait()

	books := a.books()
	booked := map[string][]paysim.BookedIntent{}
	for _, b := range books.Intents {
		booked[b.Payment] = append(booked[b.Payment], b)
	}
	var captured, refunded int64
	counts := map[fate]int{}
	for _, r := range results {
		if r.err != nil {
			t.Errorf("payment %s, fate %d: %v", r.intent.PaymentID, r.fate, r.err)
			continue
		}
		counts[r.fate]++
		want, wantCaptured := payment.Captured, r.intent.Amount.Minor
		if r.fate >= letGo {
			want, wantCaptured = payment.Voided, 0
		}
		if r.state != want {
			t.Errorf("payment %s, fate %d, ended as %s", r.intent.PaymentID, r.fate, r.state)
		}
		orders := booked[r.intent.PaymentID.String()]
		if r.fate != neverBegun && len(orders) != 1 {
			t.Errorf("payment %s has %d orders", r.intent.PaymentID, len(orders))
		}
		var gotCaptured, gotRefunded int64
		for _, o := range orders {
			gotCaptured, gotRefunded = gotCaptured+o.Captured, gotRefunded+o.Refunded
			if o.Charges > 1 || o.Status == "authorized" {
				t.Errorf("order %s, fate %d: %d authorizations, %s", o.ID, r.fate, o.Charges, o.Status)
			}
		}
		if gotCaptured != wantCaptured || gotRefunded != r.refunded {
			t.Errorf("payment %s, fate %d: captured %d of %d, refunded %d of %d", r.intent.PaymentID, r.fate, gotCaptured, wantCaptured, gotRefunded, r.refunded)
		}
		captured, refunded = captured+gotCaptured, refunded+gotRefunded
	}
	if captured == 0 || refunded == 0 || books.Captured["EUR"] != captured || books.Refunded["EUR"] != refunded || books.Authorized["EUR"] != 0 {
		t.Errorf("the books: captured %d, refunded %d, authorized %d; returned %d and %d",
			books.Captured["EUR"], books.Refunded["EUR"], books.Authorized["EUR"], captured, refunded)
	}
	for f := range fates {
		if counts[f] != payments/int(fates) {
			t.Errorf("%d payments came to fate %d", counts[f], f)
		}
	}
	calls := a.sim.Books().Calls
	if calls.Lost == 0 || calls.Failed == 0 || calls.Cut == 0 || calls.Limited == 0 || calls.Replayed == 0 {
		t.Errorf("a fault did not happen: %+v", calls)
	}
	a.settlementAgrees(ctx, captured, refunded)
	a.webhooksAgree(results)
}

// settlementAgrees reads the settlement and adds it up.
func (a *account) settlementAgrees(ctx context.Context, captured, refunded int64) {
	a.t.Helper()
	var charges, refunds int64
	seen := map[string]bool{}
	_, err := again(ctx, func() (struct{}, error) {
		charges, refunds = 0, 0
		clear(seen)
		now := a.sim.Now()
		return struct{}{}, a.provider.Settlement(ctx, now.Add(-time.Hour), now.Add(time.Hour), func(row payment.SettlementRow) error {
			if seen[row.ID] || row.PaymentID == uuid.Nil || row.OrderID == uuid.Nil {
				return fmt.Errorf("row %+v is there twice, or nobody's", row)
			}
			seen[row.ID] = true
			switch row.Kind {
			case payment.SettledCharge:
				charges += row.Gross.Minor
			case payment.SettledRefund:
				refunds -= row.Gross.Minor
			}
			return nil
		})
	})
	if err != nil || charges != captured || refunds != refunded {
		a.t.Errorf("the settlement has charges of %d and refunds of %d, not %d and %d: %v", charges, refunds, captured, refunded, err)
	}
}

// webhooksAgree waits until the webhooks have told of every capture and refund, and checks that none was refused.
func (a *account) webhooksAgree(results []result) {
	a.t.Helper()
	for _, r := range results {
		if r.state == payment.Captured {
			if e := a.inbox.of(a.t, "PAYMENT.CAPTURE.COMPLETED", r.intent.PaymentID); e.Outcome.Amount != r.intent.Amount {
				a.t.Errorf("a webhook says that %v was captured of %v", e.Outcome.Amount, r.intent.Amount)
			}
		}
		if r.refunded > 0 {
			if e := a.inbox.of(a.t, "PAYMENT.CAPTURE.REFUNDED", r.intent.PaymentID); e.Refund == nil || e.Refund.RefundID == uuid.Nil {
				a.t.Errorf("a webhook tells of a refund as %+v", e)
			}
		}
	}
	a.inbox.mu.Lock()
	defer a.inbox.mu.Unlock()
	ids, repeated := map[string]bool{}, 0
	for _, e := range a.inbox.events {
		if ids[e.ID] {
			repeated++
		}
		ids[e.ID] = true
	}
	if repeated == 0 || len(a.inbox.refused) > 0 {
		a.t.Errorf("%d webhooks came twice, %d were refused: %v", repeated, len(a.inbox.refused), errors.Join(a.inbox.refused...))
	}
}
