package paypal_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"fairgate/core/payment"
	"fairgate/loadtest/paysim"
)

const ordersPath = "/v2/checkout/orders/"

func TestARefundWithAStatusThatIsUnknownIsNoAnswer(t *testing.T) {
	a := newAccount(t, paysim.Config{})
	i, r := a.captured(1000), newRefund(300)
	if _, err := a.provider.Refund(t.Context(), i, r); err != nil {
		t.Fatal(err)
	}
	a.between.intercept(func(w http.ResponseWriter, q *http.Request, sim http.Handler) bool {
		if q.Method != http.MethodGet || !strings.HasPrefix(q.URL.Path, ordersPath) {
			return false
		}
		rec := httptest.NewRecorder()
		sim.ServeHTTP(rec, q)
		var o map[string]any
		if err := json.Unmarshal(rec.Body.Bytes(), &o); err != nil {
			t.Error(err)
		}
		for _, u := range o["purchase_units"].([]any) {
			for _, f := range u.(map[string]any)["payments"].(map[string]any)["refunds"].([]any) {
				f.(map[string]any)["status"] = "SOMETHING_NEW"
			}
		}
		_ = json.NewEncoder(w).Encode(o)
		return true
	})
	for what, call := range map[string]func() (payment.RefundOutcome, error){
		"lookup": func() (payment.RefundOutcome, error) { return a.provider.LookupRefund(t.Context(), i, r) },
		"refund": func() (payment.RefundOutcome, error) { return a.provider.Refund(t.Context(), i, r) },
	} {
		if out, err := call(); !errors.Is(err, payment.ErrUnknown) {
			t.Errorf("%s: %+v, %v", what, out, err)
		}
	}
}

func TestAnOrderThatIsNotShownIsNoAnswerAboutItsRefund(t *testing.T) {
	a := newAccount(t, paysim.Config{})
	i, r := a.captured(1000), newRefund(300)
	if _, err := a.provider.LookupRefund(t.Context(), i, r); !errors.Is(err, payment.ErrNoRefund) {
		t.Errorf("one that was not made: %v", err)
	}
	a.between.intercept(func(w http.ResponseWriter, q *http.Request, _ http.Handler) bool {
		if q.Method != http.MethodGet || !strings.HasPrefix(q.URL.Path, ordersPath) {
			return false
		}
		w.WriteHeader(http.StatusNotFound)
		_ = json.NewEncoder(w).Encode(map[string]string{"name": "RESOURCE_NOT_FOUND"})
		return true
	})
	if _, err := a.provider.LookupRefund(t.Context(), i, r); err == nil || errors.Is(err, payment.ErrNoRefund) {
		t.Errorf("of an order that is not shown: %v", err)
	}
}
