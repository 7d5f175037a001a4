package stripe_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"fairgate/core/payment"
	"fairgate/ledger"
)

// refundBook is a provider's refunds, as an API that a test writes the answers of.
type refundBook struct {
	mu   sync.Mutex
	all  []object
	keys []string
	// trouble answers instead of the book: before anything is done, or after where it says carriedOut.
	trouble func(call int, key string) (status int, body any, carriedOut bool)
}

func (b *refundBook) answer(r *http.Request, form url.Values) (int, any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.Method == http.MethodGet {
		if id, one := strings.CutPrefix(r.URL.Path, "/v1/refunds/"); one {
			for _, refund := range b.all {
				if refund["id"] == id {
					return http.StatusOK, refund
				}
			}
			return http.StatusNotFound, refusal("invalid_request_error", "resource_missing")
		}
		return http.StatusOK, object{"object": "list", "has_more": false, "data": b.all}
	}
	key := r.Header.Get("Idempotency-Key")
	b.keys = append(b.keys, key)
	var status int
	var body any
	carriedOut := false
	if b.trouble != nil {
		status, body, carriedOut = b.trouble(len(b.keys), key)
	}
	if status == 0 || carriedOut {
		amount := 0
		for _, digit := range form.Get("amount") {
			amount = 10*amount + int(digit-'0')
		}
		made := object{
			"id": "re_" + uuid.NewString()[:8], "object": "refund", "amount": amount, "currency": "eur", "status": "succeeded",
			"payment_intent": form.Get("payment_intent"), "metadata": object{
				"refund_id": form.Get("metadata[refund_id]"), "payment_id": form.Get("metadata[payment_id]"),
			},
		}
		b.all = append(b.all, made)
		if status == 0 {
			return http.StatusOK, made
		}
	}
	return status, body
}

func newRefund() (payment.Intent, payment.Refund) {
	i := newIntent()
	i.ProviderRef = "pi_1"
	return i, payment.Refund{ID: uuid.New(), Amount: ledger.Amount{Minor: 500, Currency: "EUR"}}
}

func TestARefundMadeInStripesPagesIsToldByItsReferenceItsPaymentAndItsAmount(t *testing.T) {
	book := &refundBook{}
	p := scripted(t, book.answer)
	i, r := newRefund()
	r.ID, r.ProviderRef = payment.FoundRefundID(i.OrderID, "stripe", "re_dash"), "re_dash"
	made := object{
		"id": "re_dash", "object": "refund", "amount": int(r.Amount.Minor), "currency": "eur", "status": "succeeded", "payment_intent": i.ProviderRef, "metadata": object{},
	}
	book.all = append(book.all, made)
	if _, err := p.LookupRefund(t.Context(), i, r); !errors.Is(err, payment.ErrRejected) {
		t.Errorf("taken for one of ours: %v", err)
	}
	r.Found = true
	if out, err := p.LookupRefund(t.Context(), i, r); err != nil || out.State != payment.RefundSucceeded || out.ProviderRef != "re_dash" || out.Amount != r.Amount {
		t.Errorf("%+v, %v", out, err)
	}
	made["amount"] = int(r.Amount.Minor) + 1
	if _, err := p.LookupRefund(t.Context(), i, r); !errors.Is(err, payment.ErrRejected) {
		t.Errorf("of another amount: %v", err)
	}
	made["amount"], made["payment_intent"] = int(r.Amount.Minor), "pi_other"
	if _, err := p.LookupRefund(t.Context(), i, r); !errors.Is(err, payment.ErrRejected) {
		t.Errorf("of another payment: %v", err)
	}
}

func TestARefundIsMadeOnceHoweverOftenItIsAskedFor(t *testing.T) {
	book := &refundBook{}
	p := scripted(t, book.answer)
	i, r := newRefund()
	first, err := p.Refund(t.Context(), i, r)
	if err != nil || first.State != payment.RefundSucceeded || first.Amount != r.Amount || first.ProviderRef == "" {
		t.Fatalf("refunded %+v, %v", first, err)
	}
	again, err := p.Refund(t.Context(), i, r) // the provider has forgotten the key long ago
	if err != nil || again != first {
		t.Errorf("again %+v, %v, want %+v", again, err, first)
	}
	for _, ref := range []string{"", first.ProviderRef} {
		r.ProviderRef = ref
		if looked, err := p.LookupRefund(t.Context(), i, r); err != nil || looked != first {
			t.Errorf("looked up by %q it is %+v, %v", ref, looked, err)
		}
	}
	_, other := newRefund()
	if _, err := p.Refund(t.Context(), i, other); err != nil {
		t.Fatal(err)
	}
	if len(book.all) != 2 || len(book.keys) != 2 || book.keys[0] != "fg:"+r.ID.String()+":refund" {
		t.Errorf("%d refunds were made by the keys %q", len(book.all), book.keys)
	}
	_, none := newRefund()
	if _, err := p.LookupRefund(t.Context(), i, none); !isOne(err, payment.ErrNotFound) {
		t.Errorf("looking up a refund that nobody asked for: %v", err)
	}
}

func TestAStoredFailureOfARefundIsOvercomeWithoutASecondRefund(t *testing.T) {
	for name, c := range map[string]struct {
		status     int
		body       any
		carriedOut bool
		first      error
		keys       int
	}{
		"a failure of its own":                      {500, refusal("api_error", ""), false, payment.ErrUnknown, 2},
		"a failure of its own, after it was done":   {500, refusal("api_error", ""), true, payment.ErrUnknown, 1},
		"an empty balance that has filled up since": {400, refusal("invalid_request_error", "balance_insufficient"), false, payment.ErrTemporary, 2},
		"another release's wording of the same key": {400, refusal("idempotency_error", ""), true, nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			burnt := ""
			book := &refundBook{}
			book.trouble = func(call int, key string) (int, any, bool) {
				if burnt != "" && key != burnt {
					return 0, nil, false
				}
				burnt = key
				if call > 1 {
					return c.status, replay{c.body}, false
				}
				return c.status, c.body, c.carriedOut
			}
			p := scripted(t, book.answer)
			i, r := newRefund()
			_, err := p.Refund(t.Context(), i, r)
			if c.first == nil && err != nil || c.first != nil && !isOne(err, c.first) {
				t.Errorf("the failed call: %v, want %v", err, c.first)
			}
			outcome, err := p.Refund(t.Context(), i, r)
			if err != nil || outcome.State != payment.RefundSucceeded {
				t.Errorf("the call again: %+v, %v", outcome, err)
			}
			used := map[string]bool{}
			for _, key := range book.keys {
				used[key] = true
			}
			if len(book.all) != 1 || len(used) != c.keys {
				t.Errorf("%d refunds by the keys %q", len(book.all), book.keys)
			}
		})
	}
}

func TestAFailureThatComesBackUnderEveryKeyIsGivenUp(t *testing.T) {
	book := &refundBook{trouble: func(int, string) (int, any, bool) { return 500, replay{refusal("api_error", "")}, false }}
	p := scripted(t, book.answer)
	i, r := newRefund()
	if _, err := p.Refund(t.Context(), i, r); !isOne(err, payment.ErrUnknown) || len(book.keys) != 6 {
		t.Errorf("%d keys, %v", len(book.keys), err)
	}
}

func TestRefusedRefundsSayWhetherThatIsFinal(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   any
		want   error
	}{
		"given back already":        {400, refusal("invalid_request_error", "charge_already_refunded"), payment.ErrDeclined},
		"disputed":                  {400, refusal("invalid_request_error", "charge_disputed"), payment.ErrDeclined},
		"more than there is left":   {400, refusal("invalid_request_error", "amount_too_large"), payment.ErrRejected},
		"the intent is not there":   {404, refusal("invalid_request_error", "resource_missing"), payment.ErrRejected},
		"the balance is empty":      {400, refusal("invalid_request_error", "balance_insufficient"), payment.ErrTemporary},
		"too many at once":          {429, refusal("invalid_request_error", "rate_limit"), payment.ErrTemporary},
		"its key is in use":         {409, refusal("idempotency_error", "idempotency_key_in_use"), payment.ErrTemporary},
		"half an answer":            {200, `{"id":"re_1`, payment.ErrUnknown},
		"a proxy's page":            {502, "<html>", payment.ErrUnknown},
		"a status of next year":     {200, object{"id": "re_1", "status": "levitating", "amount": 500, "currency": "eur"}, payment.ErrUnknown},
		"a refund of another id":    {200, object{"id": "re_1", "status": "succeeded", "amount": 500, "currency": "eur", "metadata": object{}}, payment.ErrRejected},
		"a refund of another value": {200, object{"id": "re_1", "status": "succeeded", "amount": 501, "currency": "eur"}, payment.ErrRejected},
	} {
		t.Run(name, func(t *testing.T) {
			i, r := newRefund()
			if body, ok := c.body.(object); ok && body["id"] != nil && body["metadata"] == nil {
				body["metadata"] = object{"refund_id": r.ID.String(), "payment_id": i.PaymentID.String()}
			}
			book := &refundBook{trouble: func(int, string) (int, any, bool) { return c.status, c.body, false }}
			p := scripted(t, book.answer)
			if _, err := p.Refund(t.Context(), i, r); !isOne(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
	p := scripted(t, (&refundBook{}).answer)
	i, r := newRefund()
	r.Amount.Minor = 0
	if _, err := p.Refund(t.Context(), i, r); !errors.Is(err, payment.ErrRejected) {
		t.Errorf("a refund of nothing: %v", err)
	}
}

func TestRefundsAreToldAsTheyStand(t *testing.T) {
	for status, want := range map[string]payment.RefundOutcome{
		"pending":         {State: payment.RefundPending},
		"requires_action": {State: payment.RefundPending},
		"succeeded":       {State: payment.RefundSucceeded},
		"failed":          {State: payment.RefundFailed, Failure: "failed/expired_or_canceled_card"},
		"canceled":        {State: payment.RefundFailed, Failure: "canceled"},
	} {
		i, r := newRefund()
		r.ProviderRef = "re_1"
		found := object{"id": "re_1", "status": status, "amount": 500, "currency": "eur", "metadata": object{"refund_id": r.ID.String(), "payment_id": i.PaymentID.String()}}
		if status == "failed" {
			found["failure_reason"] = "expired_or_canceled_card"
		}
		p := scripted(t, (&refundBook{all: []object{found}}).answer)
		want.ProviderRef, want.Amount = "re_1", r.Amount
		if got, err := p.LookupRefund(t.Context(), i, r); err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", status, got, err, want)
		}
	}
}

func TestARefundIsFoundBehindManyOthers(t *testing.T) {
	i, r := newRefund()
	p := scripted(t, func(req *http.Request, form url.Values) (int, any) {
		page := []object{{"id": "re_a" + form.Get("starting_after"), "metadata": object{"refund_id": "other"}}}
		if form.Get("starting_after") == "re_are_a" { // the third page
			page = []object{{"id": "re_mine", "status": "pending", "amount": 500, "currency": "eur",
				"metadata": object{"refund_id": r.ID.String(), "payment_id": i.PaymentID.String()}}}
		}
		if req.Method != http.MethodGet || form.Get("payment_intent") != "pi_1" {
			return http.StatusBadRequest, refusal("invalid_request_error", "")
		}
		return http.StatusOK, object{"object": "list", "has_more": true, "data": page}
	})
	outcome, err := p.LookupRefund(t.Context(), i, r)
	if err != nil || outcome.ProviderRef != "re_mine" || outcome.State != payment.RefundPending {
		t.Errorf("found %+v, %v", outcome, err)
	}
	_, none := newRefund()
	if _, err := p.LookupRefund(t.Context(), i, none); !isOne(err, payment.ErrRejected) {
		t.Errorf("a list without an end: %v", err)
	}
}
