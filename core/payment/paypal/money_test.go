package paypal_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/payment"
	"fairgate/ledger"
	"fairgate/loadtest/paysim"
)

func newRefund(minor int64) payment.Refund {
	return payment.Refund{ID: uuid.New(), Amount: ledger.Amount{Minor: minor, Currency: "EUR"}}
}

func TestMoneyIsGivenBackInPartsAndNeverTwice(t *testing.T) {
	a := newAccount(t, paysim.Config{})
	i, ctx := a.captured(1000), t.Context()
	first := newRefund(300)
	if _, err := a.provider.LookupRefund(ctx, i, first); !errors.Is(err, payment.ErrNotFound) {
		t.Errorf("lookup before: %v", err)
	}
	done, err := a.provider.Refund(ctx, i, first)
	if err != nil || done.State != payment.RefundSucceeded || done.Amount != first.Amount || done.ProviderRef == "" {
		t.Fatalf("%+v, %v", done, err)
	}
	e := a.inbox.of(t, "PAYMENT.CAPTURE.REFUNDED", i.PaymentID)
	if e.Refund == nil || e.Refund.RefundID != first.ID || e.Refund.Outcome != done || e.Refund.PaymentRef == "" || e.OrderID != i.OrderID || e.Outcome.State != payment.Unknown {
		t.Errorf("the webhook says %+v", e)
	}
	a.sim.Advance(ctx, 60*24*time.Hour) // PayPal has forgotten the key
	if again, err := a.provider.Refund(ctx, i, first); err != nil || again != done {
		t.Errorf("again: %+v, %v", again, err)
	}
	for _, r := range []payment.Refund{first, {ID: first.ID, Amount: first.Amount, ProviderRef: done.ProviderRef}} {
		if found, err := a.provider.LookupRefund(ctx, i, r); err != nil || found != done {
			t.Errorf("lookup: %+v, %v", found, err)
		}
	}
	other := newRefund(1)
	other.ProviderRef = done.ProviderRef
	if _, err := a.provider.LookupRefund(ctx, i, other); !errors.Is(err, payment.ErrRejected) {
		t.Errorf("lookup by another's name: %v", err)
	}
	if out, err := a.provider.Refund(ctx, i, newRefund(701)); !errors.Is(err, payment.ErrDeclined) || out.State != payment.RefundFailed || out.Failure != "refund_amount_exceeded" {
		t.Errorf("more than is left: %+v, %v", out, err)
	}
	if out, err := a.provider.Refund(ctx, i, newRefund(700)); err != nil || out.State != payment.RefundSucceeded {
		t.Errorf("the rest: %+v, %v", out, err)
	}
	if _, err := a.provider.Refund(ctx, i, newRefund(1)); !errors.Is(err, payment.ErrDeclined) {
		t.Errorf("of nothing: %v", err)
	}
	if b := a.books(); b.Refunded["EUR"] != 1000 || b.Captured["EUR"] != 1000 {
		t.Errorf("the books: %+v", b)
	}
	a.expect("lookup", payment.Captured)(a.provider.Lookup(ctx, i))
	a.sim.Advance(ctx, 150*24*time.Hour)
	if _, err := a.provider.Refund(ctx, a.authorized(100), newRefund(100)); !errors.Is(err, payment.ErrRejected) {
		t.Errorf("of what was not captured: %v", err)
	}
}

// control calls paysim as an operator.
func (a *account) control(path string, fields ...string) {
	a.t.Helper()
	form := url.Values{}
	for n := 0; n < len(fields); n += 2 {
		form.Set(fields[n], fields[n+1])
	}
	req, err := http.NewRequestWithContext(a.t.Context(), http.MethodPost, a.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "Bearer sk_test_paysim")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode > 299 {
		text, _ := io.ReadAll(resp.Body)
		a.t.Fatalf("%s: %d %s", path, resp.StatusCode, text)
	}
}

func TestADisputeIsSeenAnsweredAndDecided(t *testing.T) {
	for outcome, want := range map[string]payment.DisputeState{"RESOLVED_SELLER_FAVOUR": payment.DisputeWon, "RESOLVED_BUYER_FAVOUR": payment.DisputeLost} {
		a := newAccount(t, paysim.Config{})
		i, ctx := a.captured(1000), t.Context()
		a.control("/_paysim/paypal/disputes", "payment", i.PaymentID.String(), "reason", "UNAUTHORISED")
		e := a.inbox.of(t, "CUSTOMER.DISPUTE.CREATED", i.PaymentID)
		d := e.Dispute
		if d == nil || d.State != payment.DisputeOpen || d.Amount != i.Amount || d.Reason != "unauthorised" || d.RespondBy.IsZero() || e.OrderID != i.OrderID {
			t.Fatalf("disputed: %+v", e)
		}
		for _, ref := range []string{d.PaymentRef, i.ProviderRef} {
			if order, paymentID, attempt, err := a.provider.Identify(ctx, ref); err != nil || order != i.OrderID || paymentID != i.PaymentID || attempt != 1 {
				t.Errorf("identify %s: %s, %s, %d, %v", ref, order, paymentID, attempt, err)
			}
		}
		if found, err := a.provider.LookupDispute(ctx, d.Ref); err != nil || found != *d {
			t.Errorf("looked up: %+v, %v", found, err)
		}
		evidence := payment.Evidence{ProductText: "Two places on the floor", AccessLog: strings.Repeat("scanned at the gate\n", 300), RefundPolicy: "none", IdempotencySalt: "1"}
		if draft, err := a.provider.SubmitEvidence(ctx, d.Ref, evidence); err != nil || draft.State != payment.DisputeOpen {
			t.Errorf("a draft: %+v, %v", draft, err)
		}
		evidence.SubmitNow = true
		for range 2 {
			if now, err := a.provider.SubmitEvidence(ctx, d.Ref, evidence); err != nil || now.State != payment.DisputeReview || !now.RespondBy.IsZero() {
				t.Errorf("submitted: %+v, %v", now, err)
			}
		}
		calls := a.between.made(http.MethodPost, "/provide-evidence")
		if len(calls) != 2 || calls[0] != calls[1] || calls[0].key == "" || strings.Count(calls[0].body, "scanned at the gate") != 300 {
			t.Errorf("submitted by %d calls", len(calls))
		}
		if b := a.books(); b.Balances["EUR"] != 0 || b.Disputed["EUR"] != 1000 {
			t.Errorf("the books: %+v", b)
		}
		a.control("/_paysim/paypal/disputes/"+d.Ref, "outcome", outcome)
		if e := a.inbox.of(t, "CUSTOMER.DISPUTE.RESOLVED", i.PaymentID); e.Dispute == nil || e.Dispute.State != want {
			t.Errorf("decided: %+v", e)
		}
		kinds := map[payment.SettlementKind]int64{}
		now := a.sim.Now()
		err := a.provider.Settlement(ctx, now.Add(-time.Hour), now.Add(time.Hour), func(row payment.SettlementRow) error {
			kinds[row.Kind] += row.Gross.Minor
			return nil
		})
		if back := kinds[payment.SettledDisputeReverse]; err != nil || kinds[payment.SettledDispute] != -1000 || (back == 1000) != (want == payment.DisputeWon) {
			t.Errorf("settled as %v, %v", kinds, err)
		}
	}
}

func TestADisputeLostInPartSaysWhatTheBuyerGets(t *testing.T) {
	for part, want := range map[string]int64{"3.00": 300, "": 0, "10.00": 0} {
		a := newAccount(t, paysim.Config{})
		i := a.captured(1000)
		a.control("/_paysim/paypal/disputes", "payment", i.PaymentID.String())
		ref := a.inbox.of(t, "CUSTOMER.DISPUTE.CREATED", i.PaymentID).Dispute.Ref
		a.control("/_paysim/paypal/disputes/"+ref, "outcome", "RESOLVED_BUYER_FAVOUR", "amount_refunded", part)
		d := a.inbox.of(t, "CUSTOMER.DISPUTE.RESOLVED", i.PaymentID).Dispute
		if d == nil || d.State != payment.DisputeLost || d.Amount != i.Amount || d.Lost.Minor != want || want > 0 && d.Lost.Currency != "EUR" {
			t.Errorf("%q: told %+v", part, d)
		}
		if found, err := a.provider.LookupDispute(t.Context(), ref); err != nil || d == nil || found != *d {
			t.Errorf("%q: looked up %+v, %v", part, found, err)
		}
		gone := int64(1000)
		if want > 0 {
			gone = want
		}
		if b := a.books(); b.Disputed["EUR"] != gone || b.Balances["EUR"] != 1000-gone {
			t.Errorf("%q: the books: %+v", part, b)
		}
	}
}

func TestNobodysObjectsAreNotIdentified(t *testing.T) {
	a := newAccount(t, paysim.Config{})
	for _, ref := range []string{"", "nothing", "../../x?y"} {
		if _, _, _, err := a.provider.Identify(t.Context(), ref); !errors.Is(err, payment.ErrNotFound) {
			t.Errorf("%q: %v", ref, err)
		}
	}
	if _, err := a.provider.LookupDispute(t.Context(), "nothing"); !errors.Is(err, payment.ErrNotFound) {
		t.Errorf("%v", err)
	}
}

func TestASettlementIsReadInWindowsAndPages(t *testing.T) {
	a := newAccount(t, paysim.Config{})
	from := a.sim.Now().Add(-time.Second)
	var i payment.Intent
	for range 3 {
		i = a.captured(1000)
		a.sim.Advance(t.Context(), 20*24*time.Hour)
	}
	refund := newRefund(400)
	if _, err := a.provider.Refund(t.Context(), i, refund); err != nil {
		t.Fatal(err)
	}
	var rows []payment.SettlementRow
	a.between.intercept(smallPages)
	collect := func(row payment.SettlementRow) error { rows = append(rows, row); return nil }
	until := a.sim.Now().Add(time.Second)
	if err := a.provider.Settlement(t.Context(), from, until, collect); err != nil {
		t.Fatal(err)
	}
	if len(rows) != 4 {
		t.Fatalf("%d rows: %+v", len(rows), rows)
	}
	last := rows[3]
	if last.Kind != payment.SettledRefund || last.Gross.Minor != -400 || last.RefundID != refund.ID || last.PaymentID != i.PaymentID || last.PaymentRef != rows[2].ID || last.OrderID != i.OrderID {
		t.Errorf("the refund is %+v", last)
	}
	if charge := rows[2]; charge.Kind != payment.SettledCharge || charge.Gross != i.Amount || charge.Fee.Minor != 1000*34/1000+35 || charge.PaymentID != i.PaymentID || charge.RefundID != uuid.Nil || charge.CreatedAt.IsZero() {
		t.Errorf("the charge is %+v", charge)
	}
	// One day's end is the next one's beginning: every row is in one of the two.
	middle, n := rows[1].CreatedAt, 0
	for _, window := range [][2]time.Time{{from, middle}, {middle, until}} {
		if err := a.provider.Settlement(t.Context(), window[0], window[1], func(payment.SettlementRow) error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if n != 4 {
		t.Errorf("two windows have %d rows", n)
	}
	stop := errors.New("enough")
	if err := a.provider.Settlement(t.Context(), from, until, func(payment.SettlementRow) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
}

// smallPages makes PayPal's pages one row long.
func smallPages(w http.ResponseWriter, r *http.Request, sim http.Handler) bool {
	if r.URL.Path != "/v1/reporting/transactions" {
		return false
	}
	q := r.URL.Query()
	q.Set("page_size", "1")
	r.URL.RawQuery = q.Encode()
	sim.ServeHTTP(w, r)
	return true
}

func TestAWindowWithTooManyRowsIsSplit(t *testing.T) {
	a := newAccount(t, paysim.Config{})
	from := a.sim.Now().Add(-time.Hour)
	for range 4 {
		a.captured(1000)
		a.sim.Advance(t.Context(), 3*time.Hour)
	}
	split := 0
	a.between.intercept(func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		q := r.URL.Query()
		start, _ := time.Parse(time.RFC3339, q.Get("start_date"))
		end, _ := time.Parse(time.RFC3339, q.Get("end_date"))
		if r.URL.Path != "/v1/reporting/transactions" || end.Sub(start) < 5*time.Hour {
			return false
		}
		split++
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"name":"RESULTSET_TOO_LARGE","message":"Result set size is greater than the maximum limit."}`)
		return true
	})
	seen := map[string]bool{}
	err := a.provider.Settlement(t.Context(), from, a.sim.Now(), func(row payment.SettlementRow) error { seen[row.ID] = true; return nil })
	if err != nil || len(seen) != 4 || split == 0 {
		t.Errorf("%d rows after %d splits: %v", len(seen), split, err)
	}
}

func TestErrorsAreTranslatedAndNothingSecretIsInThem(t *testing.T) {
	a := newAccount(t, paysim.Config{})
	i := a.authorized(1000)
	answer := func(status int, body string) func(http.ResponseWriter, *http.Request, http.Handler) bool {
		return func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
			if r.Method != http.MethodPost || r.URL.Path == "/v1/oauth2/token" {
				return false
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
			return true
		}
	}
	refusal := func(name, issue string) string {
		return fmt.Sprintf(`{"name":%q,"message":"about buyer@example.org","debug_id":"d1","details":[{"issue":%q,"description":"secret %s","value":"4111111111111111"}]}`, name, issue, clientSecret)
	}
	for name, c := range map[string]struct {
		status int
		body   string
		want   error
	}{
		"wrong":               {422, refusal("UNPROCESSABLE_ENTITY", "SOMETHING_ELSE"), payment.ErrRejected},
		"declined":            {422, refusal("UNPROCESSABLE_ENTITY", "INSTRUMENT_DECLINED"), payment.ErrDeclined},
		"expired":             {422, refusal("UNPROCESSABLE_ENTITY", "AUTHORIZATION_EXPIRED"), payment.ErrPending},
		"duplicate invoice":   {422, refusal("UNPROCESSABLE_ENTITY", "DUPLICATE_INVOICE_ID"), payment.ErrPending},
		"too many":            {429, refusal("RATE_LIMIT_REACHED", ""), payment.ErrTemporary},
		"in progress":         {409, refusal("RESOURCE_CONFLICT", "PREVIOUS_REQUEST_IN_PROGRESS"), payment.ErrTemporary},
		"broken":              {500, refusal("INTERNAL_SERVER_ERROR", ""), payment.ErrUnknown},
		"a gateway's page":    {502, "<html>4111111111111111</html>", payment.ErrUnknown},
		"no JSON":             {201, "<html>4111111111111111</html>", payment.ErrUnknown},
		"an unknown status":   {201, `{"id":"C","status":"NEW"}`, payment.ErrPending},
		"declined in success": {201, `{"id":"C","status":"DECLINED"}`, payment.ErrDeclined},
	} {
		a.between.intercept(answer(c.status, c.body))
		out, err := a.provider.Capture(t.Context(), i)
		switch c.want {
		case payment.ErrPending: // the order tells what became of it, and it is authorized still
			if name == "expired" && !errors.Is(err, payment.ErrDeclined) || name == "duplicate invoice" && !errors.Is(err, payment.ErrRejected) || name == "an unknown status" && !errors.Is(err, payment.ErrPending) {
				t.Errorf("%s: %s, %v", name, out.State, err)
			}
		default:
			if !errors.Is(err, c.want) {
				t.Errorf("%s: %s, %v", name, out.State, err)
			}
		}
		for _, secret := range []string{clientSecret, "4111", "buyer@", "A21AA", "Bearer"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: the error tells %q: %v", name, secret, err)
			}
		}
	}
	a.between.intercept(nil)
	a.expect("capture in the end", payment.Captured)(a.provider.Capture(t.Context(), i))
}

func TestOneTokenServesAllAndIsRenewedWhenPayPalTakesItBack(t *testing.T) {
	a := newAccount(t, paysim.Config{})
	all := func() {
		var calls sync.WaitGroup
		for range 30 {
			calls.Go(func() {
				if _, err := a.provider.Begin(t.Context(), newIntent(100)); err != nil {
					t.Error(err)
				}
			})
		}
		calls.Wait()
	}
	all()
	if n := a.sim.PayPalTokens(); n != 1 {
		t.Errorf("%d tokens", n)
	}
	a.sim.ForgetPayPalTokens()
	all()
	if n := a.sim.PayPalTokens(); n != 2 {
		t.Errorf("%d tokens after one was taken back", n)
	}
	a.between.intercept(func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if r.URL.Path == "/v1/oauth2/token" {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"error":"invalid_client"}`)
			return true
		}
		return false
	})
	a.sim.ForgetPayPalTokens()
	if _, err := a.provider.Begin(t.Context(), newIntent(100)); !errors.Is(err, payment.ErrRejected) || strings.Contains(err.Error(), clientSecret) {
		t.Errorf("with wrong credentials: %v", err)
	}
}

func TestACallThatEndsEarlyMayHaveBeenCarriedOut(t *testing.T) {
	a := newAccount(t, paysim.Config{})
	i := a.authorized(1000)
	ctx, cancel := context.WithCancel(t.Context())
	a.between.intercept(func(w http.ResponseWriter, r *http.Request, sim http.Handler) bool {
		if !strings.HasSuffix(r.URL.Path, "/capture") {
			return false
		}
		sim.ServeHTTP(&nowhere{}, r)
		cancel()
		<-r.Context().Done()
		return true
	})
	if _, err := a.provider.Capture(ctx, i); !errors.Is(err, payment.ErrUnknown) || !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	a.between.intercept(nil)
	a.expect("lookup", payment.Captured)(a.provider.Lookup(t.Context(), i))
	a.expect("capture", payment.Captured)(a.provider.Capture(t.Context(), i))
	if b := a.books(); b.Captured["EUR"] != 1000 {
		t.Errorf("the books: %+v", b)
	}
}

// nowhere is where a lost answer goes.
type nowhere struct{ header http.Header }

func (n *nowhere) Header() http.Header {
	if n.header == nil {
		n.header = http.Header{}
	}
	return n.header
}
func (n *nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (n *nowhere) WriteHeader(int)             {}

func TestARefundThatPayPalCannotPayOutComesBack(t *testing.T) {
	for _, c := range []struct {
		faults paysim.Faults
		kind   string
		want   payment.RefundState
	}{
		{paysim.Faults{RefundPending: 1}, "PAYMENT.CAPTURE.REFUNDED", payment.RefundSucceeded},
		{paysim.Faults{RefundFailed: 1}, "PAYMENT.REFUND.FAILED", payment.RefundFailed},
	} {
		a := newAccount(t, paysim.Config{Faults: c.faults})
		i, r := a.captured(1000), newRefund(600)
		done, err := a.provider.Refund(t.Context(), i, r)
		if err != nil || done.State != payment.RefundPending {
			t.Fatalf("%+v, %v", done, err)
		}
		if e := a.inbox.of(t, "PAYMENT.REFUND.PENDING", i.PaymentID); e.Refund == nil || e.Refund.Outcome != done {
			t.Errorf("pending: %+v", e)
		}
		a.sim.Advance(t.Context(), 24*time.Hour)
		r.ProviderRef = done.ProviderRef
		found, err := a.provider.LookupRefund(t.Context(), i, r)
		if err != nil || found.State != c.want || (found.Failure != "") != (c.want == payment.RefundFailed) {
			t.Errorf("%+v, %v", found, err)
		}
		if e := a.inbox.of(t, c.kind, i.PaymentID); e.Refund == nil || e.Refund.RefundID != r.ID || e.Refund.Outcome != found {
			t.Errorf("in the end: %+v", e)
		}
		if again, err := a.provider.Refund(t.Context(), i, r); err != nil || again.State != c.want {
			t.Errorf("again: %+v, %v", again, err)
		}
		if b := a.books(); (b.Refunded["EUR"] == 600) != (c.want == payment.RefundSucceeded) {
			t.Errorf("the books: %+v", b)
		}
	}
}

func TestARefundMadeInPayPalsPagesIsToldByItsReferenceItsPaymentAndItsAmount(t *testing.T) {
	a := newAccount(t, paysim.Config{Faults: paysim.Faults{RefundPending: 1}})
	i, other := a.captured(1000), a.captured(1000)
	captured := a.inbox.of(t, "PAYMENT.CAPTURE.COMPLETED", i.PaymentID)
	ref := a.refundByHand(i, "3.00")
	e := a.inbox.of(t, "PAYMENT.REFUND.PENDING", i.PaymentID)
	if e.Refund == nil || e.Refund.RefundID != uuid.Nil || e.Refund.Outcome.ProviderRef != ref {
		t.Fatalf("after %+v the webhook says %+v", captured, e.Refund)
	}
	r := newRefund(300)
	r.ProviderRef = ref
	if _, err := a.provider.LookupRefund(t.Context(), i, r); !errors.Is(err, payment.ErrRejected) {
		t.Errorf("taken for one of ours: %v", err)
	}
	r.Found = true
	if out, err := a.provider.LookupRefund(t.Context(), i, r); err != nil || out != e.Refund.Outcome || out.State != payment.RefundPending {
		t.Errorf("%+v, %v", out, err)
	}
	a.sim.Advance(t.Context(), 24*time.Hour)
	if out, err := a.provider.LookupRefund(t.Context(), i, r); err != nil || out.State != payment.RefundSucceeded || out.Amount != r.Amount || out.ProviderRef != ref {
		t.Errorf("in the end: %+v, %v", out, err)
	}
	if _, err := a.provider.LookupRefund(t.Context(), other, r); !errors.Is(err, payment.ErrNotFound) {
		t.Errorf("of another payment: %v", err)
	}
	r.Amount.Minor++
	if _, err := a.provider.LookupRefund(t.Context(), i, r); !errors.Is(err, payment.ErrRejected) {
		t.Errorf("of another amount: %v", err)
	}
}

// refundByHand gives money back as somebody in PayPal's pages would, with nothing of ours in it, and returns PayPal's id of it.
func (a *account) refundByHand(i payment.Intent, value string) string {
	a.t.Helper()
	var token struct {
		Token string `json:"access_token"`
	}
	a.call(http.MethodPost, "/v1/oauth2/token", "", "grant_type=client_credentials", &token)
	var order struct {
		Units []struct {
			Payments struct {
				Captures []struct {
					ID string `json:"id"`
				} `json:"captures"`
			} `json:"payments"`
		} `json:"purchase_units"`
	}
	a.call(http.MethodGet, "/v2/checkout/orders/"+i.ProviderRef, token.Token, "", &order)
	var made struct {
		ID string `json:"id"`
	}
	a.call(http.MethodPost, "/v2/payments/captures/"+order.Units[0].Payments.Captures[0].ID+"/refund", token.Token, `{"amount":{"currency_code":"EUR","value":"`+value+`"}}`, &made)
	return made.ID
}

// call makes one call of PayPal's API; without a token it is the one that gets one.
func (a *account) call(method, path, token, body string, into any) {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), method, a.url+path, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	if token == "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth(clientID, clientSecret)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode > 299 || json.NewDecoder(resp.Body).Decode(into) != nil {
		a.t.Fatalf("%s %s: %d", method, path, resp.StatusCode)
	}
}
