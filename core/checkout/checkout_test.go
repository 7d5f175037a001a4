package checkout

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/core/db/dbtest"
	"fairgate/core/inventory"
	"fairgate/core/payment"
	"fairgate/core/ticket"
	"fairgate/edge/lottery"
	"fairgate/ledger"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// provider is a payment provider in memory: one intent per payment, as far as checkout can tell it from a real one.
type provider struct {
	mu      sync.Mutex
	intents map[uuid.UUID]*intent
	begins  int
	refuse  error // answered by Capture

	refunds map[uuid.UUID]*refund
	faults  faults
}

type intent struct {
	state    payment.OutcomeState
	amount   ledger.Amount
	captures int
	card     string // its fingerprint, which only Lookup tells
}

func newProvider() *provider {
	return &provider{intents: map[uuid.UUID]*intent{}, refunds: map[uuid.UUID]*refund{}}
}

func (p *provider) Name() string { return "stripe" }

func (p *provider) out(i payment.Intent) payment.Outcome {
	in := p.intents[i.PaymentID]
	return payment.Outcome{State: in.state, ProviderRef: "pi_" + i.PaymentID.String()[:8], ClientSecret: "secret", Amount: in.amount}
}

func (p *provider) Begin(_ context.Context, i payment.Intent) (payment.Outcome, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begins++
	if p.intents[i.PaymentID] == nil {
		p.intents[i.PaymentID] = &intent{state: payment.Begun, amount: i.Amount}
	}
	return p.out(i), nil
}

func (p *provider) Lookup(_ context.Context, i payment.Intent) (payment.Outcome, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.intents[i.PaymentID] == nil {
		return payment.Outcome{}, payment.ErrNotFound
	}
	out := p.out(i)
	out.Card = p.intents[i.PaymentID].card
	return out, nil
}

func (p *provider) Capture(_ context.Context, i payment.Intent) (payment.Outcome, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if hold := p.faults.hold; hold != nil {
		select {
		case <-hold:
		default:
			return payment.Outcome{}, payment.ErrTemporary
		}
	}
	in := p.intents[i.PaymentID]
	if in == nil || p.refuse != nil {
		return payment.Outcome{}, errors.Join(p.refuse, payment.ErrRejected)
	}
	if in.state == payment.Authorized {
		in.state = payment.Captured
		in.captures++
	}
	if in.state != payment.Captured {
		return p.out(i), payment.ErrDeclined
	}
	return p.out(i), nil
}

func (p *provider) Void(_ context.Context, i payment.Intent) (payment.Outcome, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	in := p.intents[i.PaymentID]
	if in == nil {
		return payment.Outcome{}, payment.ErrNotFound
	}
	if in.state == payment.Captured {
		return p.out(i), payment.ErrDeclined
	}
	in.state = payment.Voided
	return p.out(i), nil
}

// confirm is the buyer paying in the provider's form.
func (p *provider) confirm(id uuid.UUID, state payment.OutcomeState) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	in := p.intents[id]
	if in == nil || in.state == payment.Voided || in.state == payment.Captured {
		return false
	}
	in.state = state
	return true
}

func (p *provider) captured() (n int, minor int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, in := range p.intents {
		if in.captures > 0 {
			n, minor = n+in.captures, minor+in.amount.Minor*int64(in.captures)
		}
	}
	return n, minor
}

// node is one core's checkout and inventory.
type node struct {
	*Service
	stock *inventory.Service
}

// shop is a database with one event, and what sells it.
type shop struct {
	t        *testing.T
	db       *db.DB
	event    uuid.UUID
	provider *provider
	holdTTL  time.Duration
	cards    CardLimits
	methods  []string
	// providers are those of the next core; nil: the one provider.
	providers *payment.Providers
	adjust    func(*Config) // what a test changes of a core that is made
	fraud     FraudTerms
	resell    bool
	policy    RefundPolicy
	voidLate  bool
	keptOff   int64       // units of void tickets that are not on sale again
	off       atomic.Bool // the event is cancelled
	ended     atomic.Bool // its on-sale is
}

const capacity = 40

func newShop(t *testing.T) *shop { return newShopIn(t, dbtest.New(t)) }

func newShopIn(t *testing.T, d *db.DB) *shop {
	s := &shop{t: t, db: d, event: lottery.EventID("gig"), provider: newProvider(), holdTTL: time.Minute}
	s.exec(`INSERT INTO stock (event_id, tier, allocation, capacity, taken, version) VALUES ($1, 'floor', 'general', $2, 0, 0)`, s.event, capacity)
	s.exec(`INSERT INTO stock (event_id, tier, allocation, capacity, taken, version) VALUES ($1, 'lower', 'general', 4, 0, 0)`, s.event)
	for n := range 4 {
		s.exec(`INSERT INTO seats (event_id, seat, section, row_label, number, tier, allocation, state, hold_id)
			VALUES ($1, $2, 'A', '1', $3, 'lower', 'general', 'free', NULL)`, s.event, fmt.Sprintf("A/1/%d", n+1), n+1)
	}
	return s
}

func (s *shop) exec(sql string, args ...any) {
	s.t.Helper()
	err := s.db.InTx(context.Background(), func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, sql, args...)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *shop) count(sql string, args ...any) int64 {
	s.t.Helper()
	var n int64
	if err := s.db.Reader.QueryRow(context.Background(), sql, args...).Scan(&n); err != nil {
		s.t.Fatal(err)
	}
	return n
}

// open makes a core. With run its outbox and sweep work by themselves.
func (s *shop) open(run bool) *node {
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	n := &node{}
	providers := s.providers
	if providers == nil {
		providers = payment.NewProviders(s.provider)
	}
	cfg := Config{
		DB: s.db, Providers: providers, Ledger: ledger.NewWriter(s.db.Reader), Outbox: payment.NewOutbox(s.db, payment.OutboxConfig{Workers: 4, Poll: 50 * time.Millisecond}),
		Catalog: func(context.Context, uuid.UUID) (Terms, error) {
			return Terms{Slug: "gig", Organizer: "promoter", Currency: "EUR", Prices: map[string]Price{"floor": {5000, 500, 1155}, "lower": {8000, 500, 1785}}, Cards: s.cards, Methods: s.methods, TransferWithin: 72 * time.Hour, Fraud: s.fraud, Country: "ES", ResellLost: s.resell,
				Refunds: s.policy, VoidLate: s.voidLate, Cancelled: s.off.Load()}, nil
		},
		Issuer: ticket.NewIssuer(func(context.Context, uuid.UUID) (ticket.SigningKey, error) {
			return ticket.SigningKey{No: 1, Private: key}, nil
		}),
		LookupAfter: time.Hour,
		Again: func(ctx context.Context, earlier uuid.UUID, key string) (inventory.Hold, error) {
			return n.stock.HoldAgain(ctx, earlier, key)
		},
		ActiveHolds: func(ctx context.Context, event uuid.UUID) ([]uuid.UUID, error) {
			return n.stock.ActiveHolds(ctx, event)
		},
		Selling:    func(context.Context, string) bool { return !s.ended.Load() },
		RefundRate: func(context.Context, uuid.UUID) float64 { return 200 },
	}
	if s.adjust != nil {
		s.adjust(&cfg)
	}
	n.Service = New(cfg)
	n.stock = inventory.New(s.db, inventory.Config{
		Offers: func(context.Context, uuid.UUID) (inventory.Offer, error) {
			return inventory.Offer{Currency: "EUR", Limit: 6, HoldTTL: s.holdTTL, Tiers: map[string]inventory.TierOffer{
				"floor": {Kind: inventory.General, PriceMinor: 6655, Allocation: "general"},
				"lower": {Kind: inventory.Seated, PriceMinor: 10285, Allocation: "general"},
			}}, nil
		},
		SweepEvery: 20 * time.Millisecond,
	}, n.Hooks())
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	if run {
		wg.Go(func() { _ = n.Run(ctx) })
		wg.Go(func() { _ = n.stock.Run(ctx) })
	}
	s.t.Cleanup(func() {
		cancel()
		wg.Wait()
		n.stock.Close()
		n.Close()
	})
	return n
}

var buyer = lottery.Entrant{1}

func (s *shop) hold(n *node, who lottery.Entrant, key string, items ...inventory.Item) inventory.Hold {
	s.t.Helper()
	h, err := n.stock.Hold(context.Background(), inventory.Request{Event: s.event, Entrant: who, Key: key, Items: items})
	if err != nil {
		s.t.Fatal(err)
	}
	return h
}

func (s *shop) order(n *node, who lottery.Entrant, h inventory.Hold) Order {
	s.t.Helper()
	o, created, err := n.Open(context.Background(), Opening{Hold: h.ID, Event: s.event, Entrant: who, Key: "k" + h.ID.String(), Email: "a@example.org"})
	if err != nil || !created {
		s.t.Fatalf("open: created %v, %v", created, err)
	}
	return o
}

func (s *shop) await(n *node, id uuid.UUID, state State) Order {
	s.t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for {
		o, err := n.Find(context.Background(), id)
		if err != nil {
			s.t.Fatal(err)
		}
		if o.State == state {
			return o
		}
		if time.Now().After(deadline) {
			history, _ := n.History(context.Background(), id)
			s.t.Fatalf("order is %s (payment %s), want %s; history %+v", o.State, o.Payment.State, state, history)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// eventually waits for something that a worker does by itself.
func (s *shop) eventually(what string, cond func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("never: %s", what)
		}
	}
}

// audit checks that units, seats, money and tickets agree, whatever happened before.
func (s *shop) audit() {
	s.t.Helper()
	ctx := context.Background()
	taken := s.count(`SELECT sum(taken)::INT8 FROM stock WHERE event_id = $1`, s.event)
	held := s.count(`SELECT coalesce(sum(units), 0)::INT8 FROM holds WHERE state IN ('active', 'sold')`)
	if taken != held {
		s.t.Errorf("stock counts %d units taken, holds %d", taken, held)
	}
	if bad := s.count(`SELECT count(*) FROM seats AS s LEFT JOIN holds AS h ON h.hold_id = s.hold_id
		WHERE s.state = 'sold' AND h.state <> 'sold' OR s.state = 'held' AND h.state <> 'active'`); bad != 0 {
		s.t.Errorf("%d seats disagree with their holds", bad)
	}
	sold := s.count(`SELECT coalesce(sum(units), 0)::INT8 FROM holds WHERE state = 'sold'`)
	issued := s.count(`SELECT count(*) FROM tickets WHERE state = 'valid'`) + s.keptOff
	waiting := s.count(`SELECT coalesce(sum(h.units), 0)::INT8 FROM holds AS h JOIN orders AS o ON o.hold_id = h.hold_id
		WHERE h.state = 'sold' AND o.state = 'payment_pending'`)
	if issued+waiting != sold {
		s.t.Errorf("%d units sold, %d tickets issued and %d to come", sold, issued, waiting)
	}
	told := s.count(`SELECT count(*) FROM mails AS m JOIN orders AS o ON m.key = 'tickets/' || o.order_id::TEXT AND m.recipient = o.email AND m.language = o.language`)
	addressed := s.count(`SELECT count(DISTINCT e.order_id) FROM order_events AS e JOIN orders AS o ON o.order_id = e.order_id WHERE e.cause = 'issued' AND o.email <> ''`)
	if told != addressed {
		s.t.Errorf("%d orders with an address were issued, and %d mails bring them", addressed, told)
	}
	charges, minor := s.provider.captured()
	paid := s.count(`SELECT count(*) FROM payments WHERE state = 'captured'`)
	minor -= s.provider.returned() // what it has given back since
	if int64(charges) != paid {
		s.t.Errorf("provider captured %d times, %d payments say so", charges, paid)
	}
	balances, err := ledger.Balances(ctx, s.db.Pool)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, b := range balances {
		if b.Account.Code == ledger.ProviderClearing("stripe", "EUR").Code && b.DebitsPosted-b.CreditsPosted != minor {
			s.t.Errorf("provider has %d, the ledger says %d", minor, b.DebitsPosted-b.CreditsPosted)
		}
	}
	if report, err := ledger.Verify(ctx, s.db.Pool); err != nil || !report.OK {
		s.t.Errorf("ledger: %+v, %v", report, err)
	}
}

func TestAPurchaseGoesFromHoldToTickets(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	h := s.hold(n, buyer, "k", inventory.Item{Tier: "floor", Quantity: 2}, inventory.Item{Seats: []string{"A/1/1"}})
	o := s.order(n, buyer, h)
	if o.Amount.Minor != 2*6655+10285 || len(o.Lines) != 3 {
		t.Fatalf("order of %v with %d lines", o.Amount, len(o.Lines))
	}
	o, err := n.Pay(context.Background(), o.ID, buyer)
	if err != nil || o.Payment.State != PaymentBegun || o.Payment.ClientSecret == "" {
		t.Fatalf("pay: %+v, %v", o.Payment, err)
	}
	s.provider.confirm(o.Payment.ID, payment.Authorized)
	if err := n.Apply(context.Background(), Outcome{Order: o.ID, Payment: o.Payment.ID, Cause: CauseAuthorized, Actor: "webhook"}); err != nil {
		t.Fatal(err)
	}
	o = s.await(n, o.ID, TicketIssued)
	if len(o.Tickets) != 3 {
		t.Errorf("%d tickets for 3 lines", len(o.Tickets))
	}
	history, err := n.History(context.Background(), o.ID)
	if err != nil {
		t.Fatal(err)
	}
	var causes []Cause
	for i, h := range history {
		causes = append(causes, h.Cause)
		if h.Seq != int64(i) {
			t.Errorf("happening %d has number %d", i, h.Seq)
		}
	}
	if want := fmt.Sprint([]Cause{CauseOpened, CauseBegun, CauseAuthorized, CauseCaptured, CauseIssued}); fmt.Sprint(causes) != want {
		t.Errorf("history %v, want %v", causes, want)
	}
	s.audit()
}

func TestOpeningTwiceIsOneOrder(t *testing.T) {
	s := newShop(t)
	a, b := s.open(false), s.open(false)
	h := s.hold(a, buyer, "k", inventory.Item{Tier: "floor", Quantity: 1})
	var wg sync.WaitGroup
	made := make([]bool, 20)
	for i := range made {
		wg.Go(func() {
			_, created, err := []*node{a, b}[i%2].Open(context.Background(), Opening{Hold: h.ID, Event: s.event, Entrant: buyer, Key: "k" + h.ID.String()})
			if err != nil {
				t.Error(err)
			}
			made[i] = created
		})
	}
	wg.Wait()
	n := 0
	for _, m := range made {
		if m {
			n++
		}
	}
	if n != 1 || s.count(`SELECT count(*) FROM orders`) != 1 || s.count(`SELECT count(*) FROM outbox`) != 1 {
		t.Errorf("%d openings made an order, %d orders", n, s.count(`SELECT count(*) FROM orders`))
	}
}

func TestOpeningIsRefusedWithItsReason(t *testing.T) {
	s := newShop(t)
	n := s.open(false)
	ctx := context.Background()
	h := s.hold(n, buyer, "k", inventory.Item{Tier: "floor", Quantity: 1})
	if _, _, err := n.Open(ctx, Opening{Hold: uuid.New(), Event: s.event, Entrant: buyer, Key: "x"}); !errors.Is(err, ErrHoldUnknown) {
		t.Errorf("unknown hold: %v", err)
	}
	if _, _, err := n.Open(ctx, Opening{Hold: h.ID, Event: s.event, Entrant: lottery.Entrant{9}, Key: "x"}); !errors.Is(err, ErrHoldUnknown) {
		t.Errorf("somebody else's hold: %v", err)
	}
	s.order(n, buyer, h)
	if _, _, err := n.Open(ctx, Opening{Hold: h.ID, Event: s.event, Entrant: buyer, Key: "other", Email: "b@example.org"}); !errors.Is(err, ErrOrderExists) {
		t.Errorf("another body: %v", err)
	}
	if _, err := n.Load(ctx, OrderID(h.ID), lottery.Entrant{9}); !errors.Is(err, ErrOrderUnknown) {
		t.Errorf("somebody else's order: %v", err)
	}
	second := s.hold(n, buyer, "second", inventory.Item{Tier: "floor", Quantity: 1})
	if _, _, err := n.Open(ctx, Opening{Hold: second.ID, Event: s.event, Entrant: buyer, Key: "k" + h.ID.String()}); !errors.Is(err, ErrKeyReused) {
		t.Errorf("the same key for another hold: %v", err)
	}
	late := s.hold(n, buyer, "late", inventory.Item{Tier: "floor", Quantity: 1})
	s.exec(`UPDATE holds SET deadline = now() - INTERVAL '1 second' WHERE hold_id = $1`, late.ID)
	if _, _, err := n.Open(ctx, Opening{Hold: late.ID, Event: s.event, Entrant: buyer, Key: "late"}); !errors.Is(err, ErrHoldExpired) {
		t.Errorf("expired hold: %v", err)
	}
	given := s.hold(n, buyer, "given", inventory.Item{Tier: "floor", Quantity: 1})
	if _, err := n.stock.Release(ctx, given.ID, buyer); err != nil {
		t.Fatal(err)
	}
	if _, _, err := n.Open(ctx, Opening{Hold: given.ID, Event: s.event, Entrant: buyer, Key: "given"}); !errors.Is(err, ErrHoldClosed) {
		t.Errorf("released hold: %v", err)
	}
}

func TestADeclineKeepsTheHoldAndTheNextCardPays(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	ctx := context.Background()
	h := s.hold(n, buyer, "k", inventory.Item{Tier: "floor", Quantity: 2})
	o := s.order(n, buyer, h)
	o, _ = n.Pay(ctx, o.ID, buyer)
	if err := n.Apply(ctx, Outcome{Order: o.ID, Payment: o.Payment.ID, Cause: CauseDeclined, Failure: "card_declined"}); err != nil {
		t.Fatal(err)
	}
	o = s.await(n, o.ID, PaymentFailed)
	if h, err := n.stock.Load(ctx, h.ID); err != nil || h.State != inventory.Active {
		t.Errorf("the hold is %s, %v", h.State, err)
	}
	o, err := n.Pay(ctx, o.ID, buyer)
	if err != nil || o.State != PaymentPending || o.Payment.Attempt != 1 {
		t.Fatalf("pay again: %s attempt %d, %v", o.State, o.Payment.Attempt, err)
	}
	s.provider.confirm(o.Payment.ID, payment.Authorized)
	if err := n.Apply(ctx, Outcome{Order: o.ID, Payment: o.Payment.ID, Cause: CauseAuthorized}); err != nil {
		t.Fatal(err)
	}
	s.await(n, o.ID, TicketIssued)
	s.audit()
}

func TestADeclineThatIsToldAgainDoesNotFailTheNextCard(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	ctx := context.Background()
	o := s.order(n, buyer, s.hold(n, buyer, "k", inventory.Item{Tier: "floor", Quantity: 1}))
	o, _ = n.Pay(ctx, o.ID, buyer)
	declined := func(try, actor string) {
		t.Helper()
		err := n.Apply(ctx, Outcome{Order: o.ID, Payment: o.Payment.ID, Cause: CauseDeclined, Failure: "card_declined", Try: try, Actor: actor})
		if err != nil {
			t.Fatal(err)
		}
	}
	expect := func(want State) {
		t.Helper()
		if got, err := n.Load(ctx, o.ID, buyer); err != nil || got.State != want {
			t.Fatalf("%s, %v; want %s", got.State, err, want)
		}
	}
	pay := func() {
		t.Helper()
		if _, err := n.Pay(ctx, o.ID, buyer); err != nil {
			t.Fatal(err)
		}
		expect(PaymentPending)
	}
	declined("ch_1", "webhook")
	expect(PaymentFailed)
	pay()
	declined("ch_1", "lookup") // the provider says so until another card is tried
	expect(PaymentPending)
	declined("ch_2", "lookup") // another card, the same reason
	expect(PaymentFailed)
	pay()
	declined("ch_2", "webhook")
	declined("ch_1", "webhook")
	expect(PaymentPending)
	declined("", "webhook") // the owner could not prove who they are: such a try has no name
	expect(PaymentFailed)
	s.provider.confirm(o.Payment.ID, payment.Authorized)
	if err := n.Apply(ctx, Outcome{Order: o.ID, Payment: o.Payment.ID, Cause: CauseAuthorized}); err != nil {
		t.Fatal(err)
	}
	s.await(n, o.ID, TicketIssued)
	s.audit()
}

func TestAnIntentThatDiedGivesWayToAnotherAttempt(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	ctx := context.Background()
	o := s.order(n, buyer, s.hold(n, buyer, "k", inventory.Item{Tier: "floor", Quantity: 1}))
	o, _ = n.Pay(ctx, o.ID, buyer)
	first := o.Payment
	s.provider.confirm(first.ID, payment.Voided)
	if err := n.Apply(ctx, Outcome{Order: o.ID, Payment: first.ID, Cause: CauseVoided}); err != nil {
		t.Fatal(err)
	}
	o, err := n.Pay(ctx, o.ID, buyer)
	if err != nil || o.Payment.Attempt != 2 || o.Payment.State != PaymentBegun {
		t.Fatalf("pay: %+v, %v", o.Payment, err)
	}
	s.provider.confirm(o.Payment.ID, payment.Authorized)
	if err := n.Apply(ctx, Outcome{Order: o.ID, Payment: o.Payment.ID, Cause: CauseAuthorized}); err != nil {
		t.Fatal(err)
	}
	s.await(n, o.ID, TicketIssued)
	s.audit()
}

func TestARefusedCaptureVoidsTheMoneyAndFreesTheSeats(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	ctx := context.Background()
	s.provider.refuse = errors.New("no")
	h := s.hold(n, buyer, "k", inventory.Item{Seats: []string{"A/1/1", "A/1/2"}})
	o := s.order(n, buyer, h)
	o, _ = n.Pay(ctx, o.ID, buyer)
	s.provider.confirm(o.Payment.ID, payment.Authorized)
	if err := n.Apply(ctx, Outcome{Order: o.ID, Payment: o.Payment.ID, Cause: CauseAuthorized}); err != nil {
		t.Fatal(err)
	}
	s.await(n, o.ID, CaptureFailed)
	if free := s.count(`SELECT count(*) FROM seats WHERE state = 'free'`); free != 4 {
		t.Errorf("%d of 4 seats are free", free)
	}
	s.eventually("the authorization is voided", func() bool {
		out, err := s.provider.Lookup(ctx, payment.Intent{PaymentID: o.Payment.ID})
		return err == nil && out.State == payment.Voided
	})
	s.audit()
}

func TestAReleasedHoldCancelsItsOrderAndVoidsTheIntent(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	ctx := context.Background()
	h := s.hold(n, buyer, "k", inventory.Item{Tier: "floor", Quantity: 1})
	o := s.order(n, buyer, h)
	o, _ = n.Pay(ctx, o.ID, buyer)
	if _, err := n.stock.Release(ctx, h.ID, buyer); err != nil {
		t.Fatal(err)
	}
	s.await(n, o.ID, Cancelled)
	s.eventually("the intent is voided", func() bool { return !s.provider.confirm(o.Payment.ID, payment.Authorized) })
	s.audit()
}

func TestMoneyThatComesAfterTheHoldDiedIsVoided(t *testing.T) {
	s := newShop(t)
	s.voidLate = true
	n := s.open(true)
	ctx := context.Background()
	h := s.hold(n, buyer, "k", inventory.Item{Tier: "floor", Quantity: 1})
	o := s.order(n, buyer, h)
	o, _ = n.Pay(ctx, o.ID, buyer)
	s.provider.confirm(o.Payment.ID, payment.Authorized) // and the webhook is late
	s.exec(`UPDATE holds SET deadline = now() - INTERVAL '1 second' WHERE hold_id = $1`, h.ID)
	s.exec(`UPDATE expiries SET due_at = now() - INTERVAL '1 second'`)
	_ = n.Apply(ctx, Outcome{Order: o.ID, Payment: o.Payment.ID, Cause: CauseAuthorized})
	s.await(n, o.ID, Expired)
	s.eventually("the late money is voided", func() bool {
		out, err := s.provider.Lookup(ctx, payment.Intent{PaymentID: o.Payment.ID})
		return err == nil && out.State == payment.Voided
	})
	s.eventually("the unit is back", func() bool { return s.count(`SELECT sum(taken)::INT8 FROM stock`) == 0 })
	s.audit()
}

// What the provider says may come twice, backwards, and before the answer that names its object: the end is the same.
func TestOutcomesInAnyOrderEndTheSame(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	ctx := context.Background()
	orders := [][]Cause{
		{CauseDeclined, CauseAuthorized},
		{CauseAuthorized, CauseDeclined},
		{CauseAuthorized, CauseAuthorized, CauseDeclined, CauseDeclined},
		{CauseCaptured, CauseAuthorized, CauseDeclined, CauseCaptured, CauseAuthorized, CauseDeclined},
		{CauseDeclined, CauseDeclined, CauseCaptured, CauseAuthorized},
	}
	for i, causes := range orders {
		for _, early := range []bool{false, true} {
			name := fmt.Sprintf("%v early=%v", causes, early)
			who := lottery.Entrant{byte(i + 10), byte(map[bool]int{true: 1}[early])}
			o := s.order(n, who, s.hold(n, who, "k", inventory.Item{Tier: "floor", Quantity: 1}))
			id := payment.PaymentID(o.ID, 1)
			if !early {
				if _, err := n.Pay(ctx, o.ID, who); err != nil {
					t.Fatal(err)
				}
			}
			s.eventually("the intent exists", func() bool { return s.provider.confirm(id, payment.Authorized) })
			for _, c := range causes {
				if c == CauseCaptured {
					_, _ = s.provider.Capture(ctx, payment.Intent{PaymentID: id})
				}
				if err := n.Apply(ctx, Outcome{Order: o.ID, Payment: id, Cause: c, Actor: "webhook"}); err != nil {
					t.Fatalf("%s: %s: %v", name, c, err)
				}
			}
			o = s.await(n, o.ID, TicketIssued)
			if len(o.Tickets) != 1 {
				t.Errorf("%s: %d tickets", name, len(o.Tickets))
			}
		}
	}
	s.audit()
}

// Two cores get the same news at once; it counts once.
func TestTwoCoresApplyingTheSameOutcomeCountItOnce(t *testing.T) {
	s := newShop(t)
	a, b := s.open(true), s.open(true)
	ctx := context.Background()
	var wg sync.WaitGroup
	for i := range 12 {
		who := lottery.Entrant{byte(i + 1)}
		o := s.order(a, who, s.hold(a, who, "k", inventory.Item{Tier: "floor", Quantity: 2}))
		o, err := a.Pay(ctx, o.ID, who)
		if err != nil {
			t.Fatal(err)
		}
		s.provider.confirm(o.Payment.ID, payment.Authorized)
		for j := range 6 {
			wg.Go(func() {
				if err := []*node{a, b}[j%2].Apply(ctx, Outcome{Order: o.ID, Payment: o.Payment.ID, Cause: CauseAuthorized}); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	s.eventually("everybody has tickets", func() bool { return s.count(`SELECT count(*) FROM orders WHERE state = 'ticket_issued'`) == 12 })
	s.audit()
}

func TestAnUnknownOrderIsNoneOfOurs(t *testing.T) {
	s := newShop(t)
	n := s.open(false)
	if err := n.Apply(context.Background(), Outcome{Order: uuid.New(), Payment: uuid.New(), Cause: CauseAuthorized}); !errors.Is(err, ErrOrderUnknown) {
		t.Errorf("got %v", err)
	}
	event := payment.Event{OrderID: uuid.New(), PaymentID: uuid.New(), Outcome: payment.Outcome{State: payment.Authorized}}
	if err := n.Webhooks(context.Background(), []payment.Event{event}); err != nil {
		t.Errorf("a webhook about nothing of ours should be skipped: %v", err)
	}
}

// A silent payment is looked up, so a lost webhook costs time and nothing else.
func TestALostWebhookIsMadeUpForByLookingUp(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	ctx := context.Background()
	o := s.order(n, buyer, s.hold(n, buyer, "k", inventory.Item{Tier: "floor", Quantity: 1}))
	o, _ = n.Pay(ctx, o.ID, buyer)
	s.provider.confirm(o.Payment.ID, payment.Authorized)
	s.exec(`UPDATE payments SET updated_at = now() - INTERVAL '2 hours'`)
	s.await(n, o.ID, TicketIssued)
	s.audit()
}
