package stripe_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/payment"
	"fairgate/core/payment/stripe"
	"fairgate/loadtest/paysim"
)

// mail is one webhook as it arrived.
type mail struct {
	raw    []byte
	header http.Header
}

// mailbox is an endpoint that keeps what it gets.
type mailbox struct {
	mu   sync.Mutex
	all  []mail
	url  string
	then func(mail) int // what to answer; nil is 200
}

func newMailbox(t *testing.T) *mailbox {
	t.Helper()
	b := &mailbox{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		m := mail{raw, r.Header.Clone()}
		b.mu.Lock()
		b.all = append(b.all, m)
		then := b.then
		b.mu.Unlock()
		if then != nil {
			w.WriteHeader(then(m))
		}
	}))
	t.Cleanup(server.Close)
	b.url = server.URL
	return b
}

// wait returns the mail once there are n.
func (b *mailbox) wait(t *testing.T, n int) []mail {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		b.mu.Lock()
		all := append([]mail(nil), b.all...)
		b.mu.Unlock()
		if len(all) >= n {
			return all
		}
	}
	t.Fatalf("%d webhooks within 10 s, want %d", len(b.all), n)
	return nil
}

func TestWebhooksSayWhatHappened(t *testing.T) {
	box := newMailbox(t)
	a := newAccount(t, paysim.Config{WebhookWorkers: 1, WebhookURL: box.url})
	seen := 0
	var e payment.Event
	next := func(kind string, state payment.OutcomeState, i payment.Intent) payment.Event {
		t.Helper()
		for e = (payment.Event{}); e.Type != kind; {
			seen++
			m := box.wait(t, seen)[seen-1]
			if err := a.provider.Verify(m.raw, m.header); err != nil {
				t.Fatal(err)
			}
			var err error
			if e, err = a.provider.Parse(m.raw); err != nil {
				t.Fatal(err)
			}
			if e.Type != kind && e.Relevant() {
				t.Errorf("before %s came %s", kind, e)
			}
		}
		if e.Type != kind || e.Outcome.State != state || e.PaymentID != i.PaymentID || e.OrderID != i.OrderID || e.Attempt != 1 || !e.Relevant() {
			t.Errorf("got %s, want %s %s", e, kind, state)
		}
		if e.Outcome.ProviderRef != i.ProviderRef || e.Provider != stripe.Name || time.Since(e.CreatedAt) > time.Minute {
			t.Errorf("got %+v", e)
		}
		return e
	}
	i, secret := a.began()
	next("payment_intent.created", payment.Begun, i)
	a.pay(i, secret, "4000000000000002")
	if e := next("payment_intent.payment_failed", payment.Failed, i); e.Outcome.Failure != "card_declined/generic_decline" || e.Outcome.Try == "" {
		t.Errorf("failure %q of try %q", e.Outcome.Failure, e.Outcome.Try)
	}
	a.pay(i, secret, "4000002760003184")
	next("payment_intent.requires_action", payment.RequiresAction, i)
	a.pay(i, secret, "", "authentication", "approve")
	if e := next("charge.succeeded", payment.Authorized, i); e.Outcome.Amount != i.Amount || e.Outcome.Card == "" || !e.Outcome.Risk.Challenged {
		t.Errorf("amount %s, card %q, risk %+v", e.Outcome.Amount, e.Outcome.Card, e.Outcome.Risk)
	}
	if e := next("payment_intent.amount_capturable_updated", payment.Authorized, i); e.Outcome.Amount != i.Amount {
		t.Errorf("amount %s", e.Outcome.Amount)
	}
	if _, err := a.provider.Capture(t.Context(), i); err != nil {
		t.Fatal(err)
	}
	if e := next("charge.captured", payment.Captured, i); e.Outcome.Amount != i.Amount {
		t.Errorf("amount %s", e.Outcome.Amount)
	}
	next("payment_intent.succeeded", payment.Captured, i)
	if e.Outcome.Amount != i.Amount || e.Intent().ProviderRef != i.ProviderRef {
		t.Errorf("amount %s, intent %+v", e.Outcome.Amount, e.Intent())
	}
	if strings.Contains(e.String(), "_secret_") {
		t.Errorf("an event's text tells the client secret: %s", e)
	}
	i, _ = a.began()
	next("payment_intent.created", payment.Begun, i)
	if _, err := a.provider.Void(t.Context(), i); err != nil {
		t.Fatal(err)
	}
	next("payment_intent.canceled", payment.Voided, i)
}

func TestTheEventsOfAnEndpointTellTheWholeLifeOfAPayment(t *testing.T) {
	if !slices.IsSorted(stripe.Events()) {
		t.Errorf("not sorted: %q", stripe.Events())
	}
	box := newMailbox(t)
	a := newAccount(t, paysim.Config{WebhookWorkers: 1, WebhookURL: box.url, WebhookEvents: stripe.Events()})
	paid, secret := a.began()
	a.pay(paid, secret, "4000000000000002")
	a.pay(paid, secret, "4000002760003184")
	a.pay(paid, secret, "", "authentication", "approve")
	if _, err := a.provider.Capture(t.Context(), paid); err != nil {
		t.Fatal(err)
	}
	void, _ := a.began()
	if _, err := a.provider.Void(t.Context(), void); err != nil {
		t.Fatal(err)
	}
	want := []payment.OutcomeState{payment.Failed, payment.Authorized, payment.Captured, payment.Voided}
	for n, m := range box.wait(t, len(want)) {
		e, err := a.provider.Parse(m.raw)
		if err != nil || n >= len(want) || e.Outcome.State != want[n] {
			t.Fatalf("event %d is %s, %v; want the states %v", n+1, e, err, want)
		}
		if want[n] == payment.Authorized && (e.Outcome.Card == "" || !e.Outcome.Risk.Challenged) {
			t.Errorf("the authorization does not say who paid: card %q, risk %+v", e.Outcome.Card, e.Outcome.Risk)
		}
	}
}

func TestAForgedOrStaleWebhookIsRefused(t *testing.T) {
	p := newProvider(t, "http://127.0.0.1:1")
	body := []byte(`{"id":"evt_1","type":"payment_intent.succeeded"}`)
	now := time.Now()
	good := paysim.Sign(body, now, webhookSecret)
	check := func(raw []byte, signature string) error {
		header := http.Header{}
		if signature != "" {
			header.Set(stripe.SignatureHeader, signature)
		}
		return p.Verify(raw, header)
	}
	if err := check(body, good); err != nil {
		t.Fatal(err)
	}
	if err := check(body, paysim.Sign(body, now.Add(-4*time.Minute), webhookSecret)); err != nil {
		t.Errorf("four minutes old: %v", err)
	}
	stamp, _, _ := strings.Cut(good, ",")
	for name, c := range map[string]struct {
		raw       []byte
		signature string
	}{
		"no signature":              {body, ""},
		"not a signature":           {body, "hello"},
		"another secret":            {body, paysim.Sign(body, now, "whsec_guessed")},
		"no secret":                 {body, paysim.Sign(body, now, "")},
		"another body":              {[]byte(`{"id":"evt_2","type":"payment_intent.succeeded"}`), good},
		"stale":                     {body, paysim.Sign(body, now.Add(-6*time.Minute), webhookSecret)},
		"from the future":           {body, paysim.Sign(body, now.Add(6*time.Minute), webhookSecret)},
		"an old one made new":       {body, "t=" + now.Format("20060102") + good[len(stamp):]},
		"the time alone":            {body, stamp},
		"an empty mac":              {body, stamp + ",v1="},
		"a scheme that we left":     {body, strings.Replace(good, "v1=", "v0=", 1)},
		"part of the mac":           {body, good[:len(good)-2]},
		"a time that is not a time": {body, "t=x" + good[len(stamp):]},
	} {
		if err := check(c.raw, c.signature); !errors.Is(err, payment.ErrSignature) {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), webhookSecret) {
			t.Errorf("%s: the error tells the secret: %v", name, err)
		}
	}
	// While a secret is being rolled Stripe signs with both.
	if err := check(body, paysim.Sign(body, now, "whsec_old")+",v1="+good[strings.Index(good, "v1=")+3:]); err != nil {
		t.Errorf("two signatures: %v", err)
	}
}

// example reads a webhook from testdata, worded as Stripe's own, with fields that we do not use.
func example(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "webhooks", name))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestWebhooksOfOthersMeanNothing(t *testing.T) {
	p := newProvider(t, "http://127.0.0.1:1")
	succeeded := string(example(t, "payment_intent.succeeded.json"))
	e, err := p.Parse([]byte(succeeded))
	if err != nil || !e.Relevant() || e.Outcome.State != payment.Captured || e.Outcome.Amount.Minor != 13_000 || e.Outcome.Amount.Currency != "EUR" {
		t.Fatalf("the example reads as %+v, %v", e, err)
	}
	for name, change := range map[string][2]string{
		"no payment id":       {`"payment_id"`, `"other"`},
		"no order id":         {`"order_id"`, `"other"`},
		"no attempt":          {`"attempt"`, `"other"`},
		"an attempt of 0":     {`"attempt": "1"`, `"attempt": "0"`},
		"not an id":           {e.PaymentID.String(), "42"},
		"an id in braces":     {e.PaymentID.String(), "{" + e.PaymentID.String() + "}"},
		"no id at all":        {e.PaymentID.String(), uuid.Nil.String()},
		"another kind":        {`"payment_intent.succeeded"`, `"payment_intent.processing"`},
		"a kind of next year": {`"payment_intent.succeeded"`, `"payment_intent.levitated"`},
	} {
		changed := strings.Replace(succeeded, change[0], change[1], 1)
		if changed == succeeded {
			t.Fatalf("%s changes nothing", name)
		}
		if got, err := p.Parse([]byte(changed)); err != nil || got.Relevant() || got.ID != e.ID {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for name, raw := range map[string]string{
		"nothing":             ``,
		"not JSON":            `id=evt_1`,
		"half":                succeeded[:len(succeeded)/2],
		"a list":              `[]`,
		"no id":               `{"type":"payment_intent.succeeded","data":{"object":{}}}`,
		"no type":             `{"id":"evt_1"}`,
		"an id with a zero":   `{"id":"evt\u0000","type":"x"}`,
		"an endless id":       `{"id":"` + strings.Repeat("e", 300) + `","type":"x"}`,
		"no object":           `{"id":"evt_1","type":"payment_intent.succeeded"}`,
		"an object of a kind": strings.Replace(succeeded, `"object": "payment_intent"`, `"object": "charge"`, 1),
		"a reference":         `{"id":"evt_1","type":"payment_intent.succeeded","data":{"object":"pi_1"}}`,
		"a wrong field":       strings.Replace(succeeded, `"amount": 13000`, `"amount": "much"`, 1),
	} {
		if got, err := p.Parse([]byte(raw)); !errors.Is(err, payment.ErrMalformed) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	p := newProvider(&testing.T{}, "http://127.0.0.1:1")
	files, err := filepath.Glob("testdata/webhooks/*.json")
	if err != nil || len(files) == 0 {
		f.Fatalf("%d webhooks, %v", len(files), err)
	}
	for _, file := range files {
		var compact bytes.Buffer
		if err := json.Compact(&compact, example(f, filepath.Base(file))); err != nil {
			f.Fatal(err)
		}
		f.Add(compact.Bytes())
	}
	f.Add([]byte(`{"id":"evt_1","type":"customer.created","data":{"object":{}}}`))
	f.Add([]byte(`{"id":"evt_1","type":"payment_intent.canceled","data":{"object":"pi_1"}}`))
	f.Add([]byte(`{"id":"evt_1","type":"charge.dispute.created","data":{"object":{"object":"dispute","id":"dp_1","balance_transactions":[null]}}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := p.Parse(raw)
		if err != nil {
			if !errors.Is(err, payment.ErrMalformed) {
				t.Errorf("an error of another kind: %v", err)
			}
		} else {
			sound(t, e)
		}
		again, errAgain := p.Parse(raw)
		if (err == nil) != (errAgain == nil) || !reflect.DeepEqual(again, e) {
			t.Errorf("read twice it is %+v and %+v", e, again)
		}
	})
}

// sound checks what must be true of an event whatever it was read from.
func sound(t *testing.T, e payment.Event) {
	t.Helper()
	about := 0
	for _, says := range []bool{e.Outcome.State != payment.Unknown, e.Refund != nil, e.Dispute != nil} {
		if says {
			about++
		}
	}
	r, d := e.Refund, e.Dispute
	switch {
	case e.ID == "" || e.Type == "" || strings.ContainsRune(e.ID+e.Type, 0):
		t.Errorf("read as %+v", e)
	case about > 1:
		t.Errorf("it is about %d things: %+v", about, e)
	case e.Outcome.State != payment.Unknown && (e.PaymentID == uuid.Nil || e.OrderID == uuid.Nil || e.Attempt < 1 || e.Outcome.ProviderRef == ""):
		t.Errorf("relevant without a name: %+v", e)
	case (e.PaymentID == uuid.Nil) != (e.OrderID == uuid.Nil):
		t.Errorf("half a name: %+v", e)
	case r != nil && (r.PaymentRef == "" || r.Outcome.ProviderRef == "" || r.Outcome.State == ""):
		t.Errorf("a refund without a name: %+v", r)
	case d != nil && (d.PaymentRef == "" || d.Ref == "" || d.State == "" || d.Fee.Minor < 0):
		t.Errorf("a dispute without a name: %+v", d)
	}
}

func FuzzVerify(f *testing.F) {
	p := newProvider(&testing.T{}, "http://127.0.0.1:1")
	f.Add([]byte("{}"), "t=1,v1=00")
	f.Add([]byte("{}"), paysim.Sign([]byte("{}"), time.Now(), "whsec_guessed"))
	f.Fuzz(func(t *testing.T, raw []byte, signature string) {
		header := http.Header{}
		header.Set(stripe.SignatureHeader, signature)
		if err := p.Verify(raw, header); !errors.Is(err, payment.ErrSignature) {
			t.Errorf("%q signs %q: %v", signature, raw, err)
		}
	})
}
