package checkout

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/inventory"
	"fairgate/core/payment"
	"fairgate/edge/lottery"
	"fairgate/ledger"
)

// named is a provider in memory under a name of its own, which can be out of order.
type named struct {
	*provider
	name   string
	down   atomic.Bool
	begun  atomic.Int32 // calls of Begin
	begins func()       // called by each
}

func (p *named) Name() string { return p.name }

func (p *named) Begin(ctx context.Context, i payment.Intent) (payment.Outcome, error) {
	p.begun.Add(1)
	if p.begins != nil {
		p.begins()
	}
	if p.down.Load() {
		return payment.Outcome{}, payment.ErrUnknown
	}
	return p.provider.Begin(ctx, i)
}

func (p *named) has(id uuid.UUID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.intents[id] != nil
}

// pair are providers of which the first is preferred, as one core sees them. With down the core has found out that the first
// is out of order, whatever it is.
func pair(t *testing.T, first, second *named, down bool) *payment.Providers {
	t.Helper()
	providers, err := payment.NewRouted(payment.Routing{Breaker: payment.BreakerConfig{MinCalls: 1, OpenFor: time.Hour, Log: slog.New(slog.DiscardHandler)}},
		payment.Member{Provider: first}, payment.Member{Provider: second})
	if err != nil {
		t.Fatal(err)
	}
	if down {
		was := first.down.Swap(true)
		guarded, err := providers.Of(first.Name())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := guarded.Begin(t.Context(), payment.Intent{PaymentID: uuid.New()}); !errors.Is(err, payment.ErrUnknown) || providers.Up(first.Name()) {
			t.Fatalf("the breaker did not open: %v", err)
		}
		first.down.Store(was)
	}
	return providers
}

func newPair() (first, second *named) {
	return &named{provider: newProvider(), name: "first"}, &named{provider: newProvider(), name: "second"}
}

func (s *shop) providerOf(order uuid.UUID) (name string) {
	s.t.Helper()
	if err := s.db.Reader.QueryRow(s.t.Context(), `SELECT provider FROM payments WHERE order_id = $1 AND attempt = 1`, order).Scan(&name); err != nil {
		s.t.Fatal(err)
	}
	return name
}

func TestAnOrderThatWasNotSentYetGoesToTheOtherProvider(t *testing.T) {
	s := newShop(t)
	first, second := newPair()
	s.providers = pair(t, first, second, false)
	shut := s.open(false)
	o := s.order(shut, buyer, s.hold(shut, buyer, "k", inventory.Item{Tier: "floor", Quantity: 1}))
	if name := s.providerOf(o.ID); name != "first" {
		t.Fatalf("it was routed to %s", name)
	}
	s.providers = pair(t, first, second, true)
	n := s.open(true)
	s.eventually("the payment is begun", func() bool { return second.has(o.Payment.ID) })
	s.eventually("that is known", func() bool {
		found, err := n.Find(t.Context(), o.ID)
		return err == nil && found.Payment.State == PaymentBegun
	})
	if first.has(o.Payment.ID) || s.providerOf(o.ID) != "second" {
		t.Errorf("it is begun at the first as well, or the row says %s", s.providerOf(o.ID))
	}
	history, err := n.History(t.Context(), o.ID)
	if err != nil || len(history) != 3 || history[1].Cause != CauseRerouted || history[1].Reason != "first is down: second" {
		t.Errorf("history %+v, %v", history, err)
	}

	// From here on it is an order like any other, and its money is where it was paid.
	second.confirm(o.Payment.ID, payment.Authorized)
	if err := n.Apply(t.Context(), Outcome{Order: o.ID, Payment: o.Payment.ID, Cause: CauseAuthorized, Actor: "webhook"}); err != nil {
		t.Fatal(err)
	}
	s.await(n, o.ID, TicketIssued)
	if charges, _ := second.captured(); charges != 1 {
		t.Errorf("captured %d times", charges)
	}
	balances, err := ledger.Balances(t.Context(), s.db.Pool)
	if err != nil {
		t.Fatal(err)
	}
	booked := map[string]int64{}
	for _, b := range balances {
		booked[b.Account.Code] = b.DebitsPosted
	}
	if booked[ledger.ProviderClearing("first", "EUR").Code] != 0 || booked[ledger.ProviderClearing("second", "EUR").Code] != o.Amount.Minor {
		t.Errorf("the ledger has %v", booked)
	}
}

func TestAnOrderThatMayHaveBeenSentStaysWithItsProvider(t *testing.T) {
	s := newShop(t)
	first, second := newPair()
	s.providers = pair(t, first, second, false)
	shut := s.open(false)
	o := s.order(shut, buyer, s.hold(shut, buyer, "k", inventory.Item{Tier: "floor", Quantity: 1}))
	// A worker has claimed the task, called the provider, and died.
	if _, err := first.provider.Begin(t.Context(), payment.Intent{PaymentID: o.Payment.ID, OrderID: o.ID, Attempt: 1, Amount: o.Amount}); err != nil {
		t.Fatal(err)
	}
	s.exec(`UPDATE outbox SET attempts = 1, claim_id = $2, lease_until = now() - INTERVAL '1 second' WHERE order_id = $1`, o.ID, uuid.New())

	s.providers = pair(t, first, second, true)
	s.open(true)
	s.eventually("it was put off", func() bool {
		return s.count(`SELECT count(*) FROM outbox WHERE order_id = $1 AND last_error LIKE '%breaker is open%' AND attempts = 1`, o.ID) == 1
	})
	if second.begun.Load() != 0 || s.providerOf(o.ID) != "first" {
		t.Errorf("it went to %s, which was called %d times", s.providerOf(o.ID), second.begun.Load())
	}
	// Another core, for which the first is up, goes on.
	s.providers = pair(t, first, second, false)
	n := s.open(true)
	s.eventually("it is begun", func() bool {
		found, err := n.Find(t.Context(), o.ID)
		return err == nil && found.Payment.State == PaymentBegun
	})
	if second.has(o.Payment.ID) {
		t.Error("it is begun at both")
	}
}

func TestCoresThatRaceForATaskNeverBeginAnOrderAtBothProviders(t *testing.T) {
	s := newShop(t)
	first, second := newPair()
	slowly := func() { time.Sleep(3 * time.Millisecond) }
	first.begins, second.begins = slowly, slowly
	s.providers = pair(t, first, second, false)
	shut := s.open(false)
	var orders []Order
	for i := range 36 {
		who := lottery.Entrant{2, byte(i)}
		orders = append(orders, s.order(shut, who, s.hold(shut, who, "k", inventory.Item{Tier: "floor", Quantity: 1})))
	}
	// What cores fear most: leases end while runs go on, so that both run the same tasks.
	chaos, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() {
		for chaos.Err() == nil {
			_ = s.db.InBookkeeping(chaos, func(ctx context.Context, tx pgx.Tx) error {
				_, err := tx.Exec(ctx, `UPDATE outbox SET lease_until = now() WHERE lease_until > now()`)
				return err
			})
		}
	})
	s.open(true) // finds the first up
	s.providers = pair(t, first, second, true)
	n := s.open(true) // finds it down
	time.Sleep(500 * time.Millisecond)
	stop()
	all.Wait()
	for _, o := range orders {
		s.eventually("every payment is begun", func() bool {
			found, err := n.Find(t.Context(), o.ID)
			return err == nil && found.Payment.State == PaymentBegun
		})
	}
	at := map[string]int{}
	for _, o := range orders {
		name := s.providerOf(o.ID)
		at[name]++
		if first.has(o.Payment.ID) && second.has(o.Payment.ID) {
			t.Errorf("order %s is begun at both providers", o.ID)
		}
		if by := map[string]*named{"first": first, "second": second}[name]; by == nil || !by.has(o.Payment.ID) {
			t.Errorf("order %s is not begun where its row says, at %s", o.ID, name)
		}
	}
	if at["first"] == 0 || at["second"] == 0 {
		t.Errorf("nothing was raced for: %v", at)
	}
}

func TestANewAttemptMayGoToAnotherProvider(t *testing.T) {
	s := newShop(t)
	first, second := newPair()
	s.providers = pair(t, first, second, false)
	n := s.open(true)
	o := s.order(n, buyer, s.hold(n, buyer, "k", inventory.Item{Tier: "floor", Quantity: 1}))
	s.eventually("the first attempt is begun", func() bool { return first.has(o.Payment.ID) })
	first.confirm(o.Payment.ID, payment.Voided)
	if err := n.Apply(t.Context(), Outcome{Order: o.ID, Payment: o.Payment.ID, Cause: CauseVoided, Actor: "webhook"}); err != nil {
		t.Fatal(err)
	}
	s.await(n, o.ID, PaymentFailed)
	first.down.Store(true)
	guarded, err := s.providers.Of("first")
	if err != nil {
		t.Fatal(err)
	}
	for s.providers.Up("first") {
		if _, err := guarded.Begin(t.Context(), payment.Intent{PaymentID: uuid.New()}); err == nil {
			t.Fatal("the first is up")
		}
	}
	again, err := n.Pay(t.Context(), o.ID, buyer)
	if err != nil || again.Payment.Attempt != 2 || again.Payment.Provider != "second" {
		t.Errorf("attempt %d is at %s, %v", again.Payment.Attempt, again.Payment.Provider, err)
	}
}

func TestAnOrderIsPaidByAMethodThatTheEventAllowsAndAProviderTakes(t *testing.T) {
	s := newShop(t)
	first, second := newPair()
	providers, err := payment.NewRouted(payment.Routing{}, payment.Member{Provider: first, Methods: []string{"card"}},
		payment.Member{Provider: second, Methods: []string{"paypal", "bank_transfer"}})
	if err != nil {
		t.Fatal(err)
	}
	s.providers = providers
	n := s.open(true)
	open := func(i byte, method string) (Order, error) {
		t.Helper()
		who := lottery.Entrant{3, i}
		h := s.hold(n, who, "k", inventory.Item{Tier: "floor", Quantity: 1})
		o, _, err := n.Open(t.Context(), Opening{Hold: h.ID, Event: s.event, Entrant: who, Key: "k", Method: method})
		if err == nil {
			if again, created, err := n.Open(t.Context(), Opening{Hold: h.ID, Event: s.event, Entrant: who, Key: "k", Method: method}); err != nil || created || again.ID != o.ID {
				t.Errorf("the same opening again: %v, %v", created, err)
			}
			if _, _, err := n.Open(t.Context(), Opening{Hold: h.ID, Event: s.event, Entrant: who, Key: "k", Method: method + "s"}); !errors.Is(err, ErrOrderExists) {
				t.Errorf("the same key with another method: %v", err)
			}
		}
		return o, err
	}
	for i, test := range []struct{ method, provider string }{{"", "first"}, {"card", "first"}, {"paypal", "second"}} {
		o, err := open(byte(i), test.method)
		if err != nil || o.Payment.Provider != test.provider || o.Payment.Method != test.method {
			t.Errorf("%q goes to %s as %q, %v", test.method, o.Payment.Provider, o.Payment.Method, err)
		}
	}
	for i, method := range []string{"bank_transfer", "cash"} {
		if _, err := open(byte(10+i), method); !errors.Is(err, ErrMethod) {
			t.Errorf("%q, which the event does not allow or nobody takes: %v", method, err)
		}
	}
	s.methods = []string{"bank_transfer", "paypal"}
	o, err := open(20, "")
	if err != nil || o.Payment.Provider != "second" || o.Payment.Method != "bank_transfer" || o.Deadline.Before(time.Now().Add(71*time.Hour)) {
		t.Errorf("who chooses nothing pays by %s at %s until %s, %v", o.Payment.Method, o.Payment.Provider, o.Deadline, err)
	}
	if _, err := open(21, "card"); !errors.Is(err, ErrMethod) {
		t.Errorf("a method that the event leaves out: %v", err)
	}
	if got := n.Methods(Terms{Currency: "EUR", Methods: append(s.methods, "box_office")}); fmt.Sprint(got) != "[bank_transfer paypal]" {
		t.Errorf("methods %v", got)
	}
}

func TestARunThatLostItsTaskCannotSendTheOrderElsewhere(t *testing.T) {
	s := newShop(t)
	first, second := newPair()
	s.providers = pair(t, first, second, true)
	slow := s.open(false)
	s.providers = pair(t, first, second, false)
	n := s.open(false)
	o := s.order(n, buyer, s.hold(n, buyer, "k", inventory.Item{Tier: "floor", Quantity: 1}))

	// The slow core has claimed the task and found the first out of order. Before it can say so its lease ends.
	tasks, paused, stop := make(chan payment.Task), context.Background(), context.CancelFunc(nil)
	paused, stop = context.WithCancel(paused)
	var all sync.WaitGroup
	all.Go(func() {
		_ = payment.NewOutbox(s.db, payment.OutboxConfig{Lease: time.Minute}).Run(paused, map[string]payment.Handler{
			taskBegin: func(_ context.Context, task payment.Task) error { tasks <- task; <-paused.Done(); return nil },
		})
	})
	task := <-tasks
	s.exec(`UPDATE outbox SET lease_until = now() WHERE order_id = $1`, o.ID)

	// The other core runs the task: it has called the first, and has not noted the answer yet.
	called, answer := make(chan struct{}), make(chan struct{})
	first.begins = func() { close(called); <-answer }
	running, stopRunning := context.WithCancel(context.Background())
	all.Go(func() { _ = n.Run(running) })
	<-called
	if moved, err := slow.reroute(t.Context(), task, "first", "second"); moved || err != nil {
		t.Errorf("a run that had lost its task gave the order to another provider (%v, %v), and it was sent to the first", moved, err)
	}
	close(answer)
	s.eventually("it is begun at the first", func() bool {
		found, err := n.Find(t.Context(), o.ID)
		return err == nil && found.Payment.State == PaymentBegun && found.Payment.Provider == "first"
	})
	stop()
	stopRunning()
	all.Wait()
}
