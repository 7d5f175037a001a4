package payment

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/db"
	"fairgate/core/db/dbtest"
	"fairgate/ledger"
)

// plainReader is a provider whose webhooks are an Event as JSON, signed by a header that says so.
type plainReader struct{}

func (plainReader) Verify(_ []byte, header http.Header) error {
	if header.Get("Signed") != "yes" {
		return ErrSignature
	}
	return nil
}

func (plainReader) Parse(raw []byte) (Event, error) {
	var e Event
	if err := json.Unmarshal(raw, &e); err != nil {
		return Event{}, ErrMalformed
	}
	return e, nil
}

var quickInbox = InboxConfig{
	Poll: 20 * time.Millisecond, Lease: 30 * time.Second, Backoff: time.Millisecond, BackoffMax: 5 * time.Millisecond, MaxAttempts: 3,
	Log: slog.New(slog.DiscardHandler),
}

func newInbox(t *testing.T, d *db.DB, cfg InboxConfig) *Inbox {
	t.Helper()
	b := NewInbox(d, map[string]WebhookReader{"plain": plainReader{}}, cfg)
	t.Cleanup(b.Close)
	return b
}

func webhook(t *testing.T, id string, state OutcomeState) []byte {
	t.Helper()
	order := uuid.New()
	raw, err := json.Marshal(Event{
		ID: id, Type: "test", OrderID: order, PaymentID: PaymentID(order, 1), Attempt: 1,
		Outcome: Outcome{State: state, ProviderRef: "ref-" + id, Amount: ledger.Amount{Minor: 100, Currency: "EUR"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

var signed = http.Header{"Signed": {"yes"}}

func receive(t *testing.T, b *Inbox, raw []byte) {
	t.Helper()
	if err := b.Receive(t.Context(), "plain", raw, signed); err != nil {
		t.Fatal(err)
	}
}

// handled collects what a handler is given.
type handled struct {
	mu     sync.Mutex
	events []Event
	fail   func(Event) error
}

func (h *handled) handle(_ context.Context, events []Event) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range events {
		if h.fail != nil {
			if err := h.fail(e); err != nil {
				return err // the whole batch is undone, as by a transaction
			}
		}
	}
	h.events = append(h.events, events...)
	return nil
}

func (h *handled) ids() map[string]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	ids := make(map[string]int)
	for _, e := range h.events {
		ids[e.ID]++
	}
	return ids
}

func runInbox(t *testing.T, b *Inbox, h *handled) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := b.Run(ctx, h.handle); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return stop
}

type webhookRow struct {
	handled  bool
	attempts int
	lastErr  string
}

func rowsOf(t *testing.T, d *db.DB) map[string]webhookRow {
	t.Helper()
	rows, err := d.Pool.Query(t.Context(), `SELECT webhook_id, handled_at IS NOT NULL, attempts, last_error FROM webhooks`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	got := make(map[string]webhookRow)
	for rows.Next() {
		var id string
		var r webhookRow
		if err := rows.Scan(&id, &r.handled, &r.attempts, &r.lastErr); err != nil {
			t.Fatal(err)
		}
		got[id] = r
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestAWebhookIsStoredBeforeItIsAnsweredAndHandledOnce(t *testing.T) {
	d := dbtest.New(t)
	b := newInbox(t, d, quickInbox)
	h := &handled{}
	raw := webhook(t, "evt_1", Authorized)
	receive(t, b, raw)
	if got := rowsOf(t, d); len(got) != 1 || got["evt_1"].handled {
		t.Fatalf("after Receive the table has %+v", got)
	}
	runInbox(t, b, h)
	for range 3 { // the provider sends it again, and again
		receive(t, b, raw)
	}
	eventually(t, "it is handled", func() bool { return rowsOf(t, d)["evt_1"].handled })
	time.Sleep(100 * time.Millisecond)
	if got := h.ids(); got["evt_1"] != 1 || len(got) != 1 {
		t.Errorf("handled %v", got)
	}
	if e := h.events[0]; e.Provider != "plain" || e.Outcome.State != Authorized || e.Outcome.ProviderRef != "ref-evt_1" {
		t.Errorf("the handler saw %+v", e)
	}
}

func TestAnIdleWebhookIsStoredAndHandedToNobody(t *testing.T) {
	d := dbtest.New(t)
	cfg := quickInbox
	cfg.Idle = func(e Event) bool { return e.Outcome.State == Begun }
	b := newInbox(t, d, cfg)
	h := &handled{}
	runInbox(t, b, h)
	receive(t, b, webhook(t, "evt_idle", Begun))
	receive(t, b, webhook(t, "evt_busy", Authorized))
	eventually(t, "the other one is handled", func() bool { return rowsOf(t, d)["evt_busy"].handled })
	if got := rowsOf(t, d); !got["evt_idle"].handled || got["evt_idle"].lastErr != "" {
		t.Errorf("the table has %+v", got)
	}
	if got := h.ids(); len(got) != 1 || got["evt_busy"] != 1 {
		t.Errorf("handled %v", got)
	}
}

func TestManyWebhooksAtOnceAreEachHandled(t *testing.T) {
	d := dbtest.New(t)
	b := newInbox(t, d, quickInbox)
	h := &handled{}
	runInbox(t, b, h)
	const n = 200
	var all sync.WaitGroup
	for i := range n {
		raw := webhook(t, "evt_"+string(rune('A'+i%26))+string(rune('a'+i/26)), Captured)
		for range 2 {
			all.Go(func() {
				if err := b.Receive(t.Context(), "plain", raw, signed); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	eventually(t, "all are handled", func() bool { return len(h.ids()) == n })
	for id, times := range h.ids() {
		if times != 1 {
			t.Errorf("%s was handled %d times", id, times)
		}
	}
}

func TestWhatIsNotAWebhookIsRefusedAndNotStored(t *testing.T) {
	d := dbtest.New(t)
	b := newInbox(t, d, quickInbox)
	good := webhook(t, "evt_1", Authorized)
	for name, c := range map[string]struct {
		provider string
		raw      []byte
		header   http.Header
		want     error
	}{
		"unsigned":         {"plain", good, nil, ErrSignature},
		"malformed":        {"plain", []byte("{"), signed, ErrMalformed},
		"unknown provider": {"paypal", good, signed, ErrUnknownProvider},
		"too large":        {"plain", make([]byte, maxWebhookBytes+1), signed, ErrTooLarge},
	} {
		if err := b.Receive(t.Context(), c.provider, c.raw, c.header); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if got := rowsOf(t, d); len(got) != 0 {
		t.Errorf("stored: %+v", got)
	}
}

func TestAWebhookThatMeansNothingIsKeptForTheRecord(t *testing.T) {
	d := dbtest.New(t)
	b := newInbox(t, d, quickInbox)
	h := &handled{}
	runInbox(t, b, h)
	receive(t, b, []byte(`{"ID":"evt_other","Type":"customer.created"}`))
	if got := rowsOf(t, d)["evt_other"]; !got.handled {
		t.Errorf("it waits to be handled: %+v", got)
	}
	time.Sleep(50 * time.Millisecond)
	if len(h.ids()) != 0 {
		t.Errorf("handled %v", h.ids())
	}
}

func TestAWebhookThatADeadProcessStoredIsHandledByAnother(t *testing.T) {
	d := dbtest.New(t)
	cfg := quickInbox
	cfg.Lease = 200 * time.Millisecond
	dead := newInbox(t, d, cfg)
	for _, id := range []string{"evt_1", "evt_2", "evt_3"} {
		receive(t, dead, webhook(t, id, Authorized)) // its Run never comes to it
	}
	alive, h := newInbox(t, d, quickInbox), &handled{}
	runInbox(t, alive, h)
	eventually(t, "all are handled", func() bool { return len(h.ids()) == 3 })
	if e := h.events[0]; e.Provider != "plain" || e.PaymentID == uuid.Nil || e.Outcome.State != Authorized {
		t.Errorf("read again from the table it is %+v", e)
	}
	eventually(t, "all are marked", func() bool { r := rowsOf(t, d); return r["evt_1"].handled && r["evt_2"].handled && r["evt_3"].handled })
}

func TestRunGivesBackWebhooksThatWaitInMemory(t *testing.T) {
	d := dbtest.New(t)
	cfg := quickInbox
	cfg.Lease = time.Hour
	b := newInbox(t, d, cfg)
	receive(t, b, webhook(t, "evt_1", Authorized))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Run(ended, (&handled{}).handle); err != nil {
		t.Fatal(err)
	}
	other, h := newInbox(t, d, quickInbox), &handled{}
	runInbox(t, other, h)
	eventually(t, "another process handles it, long before the lease ends", func() bool { return h.ids()["evt_1"] == 1 })
}

func TestOneBadWebhookFailsAlone(t *testing.T) {
	d := dbtest.New(t)
	b := newInbox(t, d, quickInbox)
	broken, cured := errors.New("the order is broken"), false
	h := &handled{}
	h.fail = func(e Event) error {
		switch {
		case e.ID == "evt_bad":
			return broken
		case e.ID == "evt_slow" && !cured:
			cured = true
			return errors.New("not yet")
		}
		return nil
	}
	for _, id := range []string{"evt_1", "evt_bad", "evt_2", "evt_slow", "evt_3"} {
		receive(t, b, webhook(t, id, Authorized))
	}
	runInbox(t, b, h)
	eventually(t, "the good ones are handled and the bad one is given up", func() bool {
		r := rowsOf(t, d)
		return r["evt_1"].handled && r["evt_2"].handled && r["evt_3"].handled && r["evt_slow"].handled && r["evt_bad"].handled
	})
	got := rowsOf(t, d)
	if bad := got["evt_bad"]; bad.attempts != quickInbox.MaxAttempts || bad.lastErr != broken.Error() {
		t.Errorf("the bad one shows %+v", bad)
	}
	if slow := got["evt_slow"]; slow.lastErr != "" {
		t.Errorf("the one that came right still shows %q", slow.lastErr)
	}
	if ids := h.ids(); ids["evt_bad"] != 0 || ids["evt_1"] != 1 || ids["evt_2"] != 1 || ids["evt_3"] != 1 || ids["evt_slow"] != 1 {
		t.Errorf("handled %v", ids)
	}
}

func TestAWebhookIsNotAcknowledgedWhileTheDatabaseIsGone(t *testing.T) {
	d := dbtest.New(t)
	b := newInbox(t, d, quickInbox)
	d.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := b.Receive(ctx, "plain", webhook(t, "evt_1", Authorized), signed); err == nil {
		t.Error("it was acknowledged")
	}
}
