package stripe_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/payment"
	"fairgate/ledger"
)

func disputed(status string) object {
	return object{
		"id": "dp_1", "object": "dispute", "amount": 12345, "currency": "eur", "charge": "ch_1", "payment_intent": "pi_1",
		"reason": "fraudulent", "status": status, "evidence_details": object{"due_by": 1812400000},
		"balance_transactions": []any{nil, object{"id": "txn_1", "amount": -12345, "fee": 1500, "currency": "eur"}},
	}
}

func TestADisputeIsToldAsItStands(t *testing.T) {
	due := time.Unix(1812400000, 0).UTC()
	for status, want := range map[string]payment.DisputeNews{
		"warning_needs_response": {State: payment.DisputeInquiry, RespondBy: due},
		"warning_under_review":   {State: payment.DisputeInquiry},
		"warning_closed":         {State: payment.DisputeWon},
		"needs_response":         {State: payment.DisputeOpen, RespondBy: due},
		"under_review":           {State: payment.DisputeReview},
		"won":                    {State: payment.DisputeWon},
		"lost":                   {State: payment.DisputeLost},
	} {
		p := scripted(t, func(*http.Request, url.Values) (int, any) { return http.StatusOK, disputed(status) })
		want.Ref, want.PaymentRef, want.Reason = "dp_1", "pi_1", "fraudulent"
		want.Amount, want.Fee = ledger.Amount{Minor: 12345, Currency: "EUR"}, ledger.Amount{Minor: 1500, Currency: "EUR"}
		want.At = time.Date(2027, 6, 1, 10, 0, 0, 0, time.UTC) // by the answer's own clock
		if got, err := p.LookupDispute(t.Context(), "dp_1"); err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", status, got, err, want)
		}
	}
	p := scripted(t, func(*http.Request, url.Values) (int, any) { return http.StatusOK, disputed("levitating") })
	if _, err := p.LookupDispute(t.Context(), "dp_1"); !isOne(err, payment.ErrUnknown) {
		t.Errorf("a status of next year: %v", err)
	}
	p = scripted(t, func(*http.Request, url.Values) (int, any) {
		return http.StatusNotFound, refusal("invalid_request_error", "resource_missing")
	})
	if _, err := p.LookupDispute(t.Context(), "dp_1"); !isOne(err, payment.ErrNotFound) {
		t.Errorf("no such dispute: %v", err)
	}
}

func TestAFeeThatWasGivenBackIsNoFee(t *testing.T) {
	won := disputed("won")
	won["balance_transactions"] = []any{object{"amount": -12345, "fee": 1500, "currency": "eur"}, object{"amount": 12345, "fee": -1500, "currency": "eur"}}
	p := scripted(t, func(*http.Request, url.Values) (int, any) { return http.StatusOK, won })
	if got, err := p.LookupDispute(t.Context(), "dp_1"); err != nil || got.Fee != (ledger.Amount{}) {
		t.Errorf("fee %v, %v", got.Fee, err)
	}
}

func TestEvidenceIsHandedInOnceAndTheRestIsToldApart(t *testing.T) {
	e := payment.Evidence{ProductText: "Two seats", SubmitNow: true, IdempotencySalt: "1"}
	for name, c := range map[string]struct {
		status   int // of the update
		body     any
		stands   string // what the dispute says of itself afterwards
		want     error
		state    payment.DisputeState
		attempts int
	}{
		"taken":                            {200, disputed("under_review"), "", nil, payment.DisputeReview, 1},
		"taken before, its answer stored":  {500, replay{refusal("api_error", "")}, "under_review", nil, payment.DisputeReview, 1},
		"handed in by hand before":         {400, refusal("invalid_request_error", ""), "under_review", nil, payment.DisputeReview, 1},
		"too late":                         {400, refusal("invalid_request_error", ""), "lost", payment.ErrDeclined, payment.DisputeLost, 1},
		"won already":                      {400, refusal("invalid_request_error", ""), "won", payment.ErrDeclined, payment.DisputeWon, 1},
		"worded in a way it does not take": {400, refusal("invalid_request_error", "parameter_unknown"), "needs_response", payment.ErrRejected, payment.DisputeOpen, 1},
		"failing for now":                  {500, refusal("api_error", ""), "", payment.ErrUnknown, "", 1},
		"failing under every key":          {500, replay{refusal("api_error", "")}, "needs_response", payment.ErrUnknown, payment.DisputeOpen, 6},
		"too many at once":                 {429, refusal("invalid_request_error", "rate_limit"), "", payment.ErrTemporary, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			var keys []string
			p := scripted(t, func(r *http.Request, _ url.Values) (int, any) {
				if r.Method == http.MethodGet {
					return http.StatusOK, disputed(c.stands)
				}
				keys = append(keys, r.Header.Get("Idempotency-Key"))
				return c.status, c.body
			})
			news, err := p.SubmitEvidence(t.Context(), "dp_1", e)
			if c.want == nil && err != nil || c.want != nil && !isOne(err, c.want) || news.State != c.state {
				t.Errorf("%+v, %v, want %s, %v", news, err, c.state, c.want)
			}
			if len(keys) != c.attempts || keys[0] != "fg:dp_1:evidence:1" {
				t.Errorf("sent under %q", keys)
			}
		})
	}
}

func TestWhosePaymentADisputeIsAboutIsAsked(t *testing.T) {
	i := newIntent()
	asked := ""
	bears := object{"order_id": i.OrderID.String(), "payment_id": i.PaymentID.String(), "attempt": "3"}
	p := scripted(t, func(r *http.Request, _ url.Values) (int, any) {
		asked = r.URL.Path
		if strings.HasSuffix(r.URL.Path, "none") {
			return http.StatusNotFound, refusal("invalid_request_error", "resource_missing")
		}
		return http.StatusOK, object{"id": "x", "metadata": bears}
	})
	for ref, path := range map[string]string{"pi_1": "/v1/payment_intents/pi_1", "ch_1": "/v1/charges/ch_1"} {
		order, id, attempt, err := p.Identify(t.Context(), ref)
		if err != nil || order != i.OrderID || id != i.PaymentID || attempt != 3 || asked != path {
			t.Errorf("%s is of %s %s %d, %v, by %s", ref, order, id, attempt, err, asked)
		}
	}
	if _, _, _, err := p.Identify(t.Context(), "pi_none"); !isOne(err, payment.ErrNotFound) {
		t.Errorf("no such intent: %v", err)
	}
	bears["payment_id"] = "42"
	if order, _, _, err := p.Identify(t.Context(), "pi_1"); !isOne(err, payment.ErrNotFound) || order != uuid.Nil {
		t.Errorf("somebody else's intent: %s, %v", order, err)
	}
}
