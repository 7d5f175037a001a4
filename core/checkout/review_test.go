package checkout

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/fraud"
	"fairgate/core/inventory"
	"fairgate/core/payment"
	"fairgate/edge/lottery"
)

// listening is a provider that remembers how payments were begun, and loses the first answers if it shall.
type listening struct {
	*provider
	mu    sync.Mutex
	told  map[uuid.UUID][]payment.Intent
	loses int
	apart bool
}

// SignalsApart is as of a provider with two events for each authorization.
func (p *listening) SignalsApart() bool { return p.apart }

func (p *listening) Begin(ctx context.Context, i payment.Intent) (payment.Outcome, error) {
	p.mu.Lock()
	p.told[i.PaymentID] = append(p.told[i.PaymentID], i)
	lost := p.loses > 0
	p.loses--
	p.mu.Unlock()
	out, err := p.provider.Begin(ctx, i)
	if lost {
		return payment.Outcome{}, payment.ErrUnknown
	}
	return out, err
}

func (p *listening) begun(id uuid.UUID) []payment.Intent {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.told[id])
}

// screened makes the cores of a shop judge payments.
func (s *shop) screened(change func(*fraud.Config)) *listening {
	p := &listening{provider: s.provider, told: map[uuid.UUID][]payment.Intent{}}
	s.adjust = func(c *Config) {
		f := fraud.Config{OnFailure: fraud.Allow, Timeout: 10 * time.Second, Rules: fraud.DefaultRules(), Weights: fraud.DefaultWeights(), Thresholds: fraud.DefaultThresholds()}
		if change != nil {
			change(&f)
		}
		screen := fraud.New(s.db, f)
		s.t.Cleanup(screen.Close)
		c.Screen, c.Marker, c.ReviewFor = screen, fraud.NewMarker([]byte("key")), time.Hour
		c.Providers = payment.NewProviders(p)
	}
	return p
}

// suspicious are signals for an operator, alarming ones for nobody.
var (
	suspicious = payment.Risk{Level: "elevated", PostalCheck: "fail"}
	alarming   = payment.Risk{Level: "highest", CVCCheck: "fail"}
)

// begin is an order whose payment is begun at the provider and confirmed by the buyer.
func (s *shop) begin(n *node, who lottery.Entrant, items ...inventory.Item) Order {
	s.t.Helper()
	if len(items) == 0 {
		items = []inventory.Item{{Tier: "floor", Quantity: 2}}
	}
	o := s.order(n, who, s.hold(n, who, uuid.NewString(), items...))
	o, err := n.Pay(context.Background(), o.ID, who)
	if err != nil || o.Payment.State != PaymentBegun {
		s.t.Fatalf("pay: %s, %v", o.Payment.State, err)
	}
	s.provider.confirm(o.Payment.ID, payment.Authorized)
	return o
}

// authorized tells that an order's money is authorized, with signals.
func (s *shop) authorized(n *node, o Order, risk payment.Risk) {
	s.t.Helper()
	told := Outcome{Order: o.ID, Payment: o.Payment.ID, Cause: CauseAuthorized, Card: "card", Risk: risk, Actor: "webhook"}
	if err := n.Apply(context.Background(), told); err != nil {
		s.t.Fatal(err)
	}
}

// inReview is an order that waits for an operator.
func (s *shop) inReview(n *node, items ...inventory.Item) Order {
	s.t.Helper()
	o := s.begin(n, buyer, items...)
	s.authorized(n, o, suspicious)
	return s.await(n, o.ID, PaymentReview)
}

func (s *shop) causes(n *node, id uuid.UUID) (all []Cause) {
	s.t.Helper()
	history, err := n.History(context.Background(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, h := range history {
		all = append(all, h.Cause)
	}
	return all
}

func (s *shop) holdState(n *node, id uuid.UUID) inventory.State {
	s.t.Helper()
	h, err := n.stock.Load(context.Background(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return h.State
}

func TestAnAuthorizationIsJudgedByTheWebhookThatHasItsSignals(t *testing.T) {
	s := newShop(t)
	p := s.screened(nil)
	p.apart = true
	n := s.open(true)
	o := s.begin(n, buyer)
	told := func(id string, state payment.OutcomeState, risk payment.Risk) payment.Event {
		return payment.Event{Provider: p.Name(), ID: id, Type: "test", OrderID: o.ID, PaymentID: o.Payment.ID, Attempt: 1,
			Outcome: payment.Outcome{State: state, Risk: risk, Amount: o.Amount}}
	}
	bare, whole := told("evt_bare", payment.Authorized, payment.Risk{}), told("evt_whole", payment.Authorized, suspicious)
	for _, c := range []struct {
		event payment.Event
		idle  bool
	}{
		{bare, true}, {whole, false}, {told("evt_begun", payment.Begun, payment.Risk{}), true},
		{told("evt_captured", payment.Captured, payment.Risk{}), false}, {told("evt_again", payment.Captured, suspicious), true},
		{told("evt_failed", payment.Failed, payment.Risk{}), false}, {told("evt_voided", payment.Voided, payment.Risk{}), false},
		{payment.Event{Provider: p.Name(), Refund: &payment.RefundNews{}}, false}, {payment.Event{Provider: p.Name(), Dispute: &payment.DisputeNews{}}, false},
	} {
		if got := n.Idle(c.event); got != c.idle {
			t.Errorf("%s: idle is %v", c.event.ID, got)
		}
	}
	if err := n.Webhooks(t.Context(), []payment.Event{bare}); err != nil {
		t.Fatal(err)
	}
	if found, err := n.Find(t.Context(), o.ID); err != nil || found.State != PaymentPending {
		t.Fatalf("without a word of who paid the order is %s, %v", found.State, err)
	}
	if err := n.Webhooks(t.Context(), []payment.Event{whole}); err != nil {
		t.Fatal(err)
	}
	s.await(n, o.ID, PaymentReview)
}

func TestASuspiciousPaymentWaitsForAnOperatorWhoApprovesIt(t *testing.T) {
	s := newShop(t)
	s.screened(nil)
	n := s.open(true)
	ctx := t.Context()
	o := s.inReview(n)
	if charges, _ := s.provider.captured(); charges != 0 || s.holdState(n, o.Hold) != inventory.Active {
		t.Errorf("%d charges, the hold is %s", charges, s.holdState(n, o.Hold))
	}
	if left := o.Deadline.Sub(o.ServerTime); left < 55*time.Minute {
		t.Errorf("the hold lives for %s more", left)
	}
	s.authorized(n, o, payment.Risk{}) // told again, by somebody who sees nothing
	open, err := n.Reviews(ctx, 10)
	if err != nil || len(open) != 1 || open[0].Order != o.ID || open[0].Why == "" || open[0].Slug != "gig" {
		t.Fatalf("open reviews %+v, %v", open, err)
	}
	if _, err := n.Pay(ctx, o.ID, buyer); !errors.Is(err, ErrTransition) {
		t.Errorf("the buyer pays again: %v", err)
	}
	if err := n.Approve(ctx, o.ID, "operator:ann", ""); !errors.Is(err, ErrReason) {
		t.Errorf("without a reason: %v", err)
	}
	if err := n.Approve(ctx, o.ID, "operator:ann", "a regular"); err != nil {
		t.Fatal(err)
	}
	s.await(n, o.ID, TicketIssued)
	if got, want := s.causes(n, o.ID), []Cause{CauseOpened, CauseBegun, CauseReview, CauseApproved, CauseCaptured, CauseIssued}; !slices.Equal(got, want) {
		t.Errorf("history %v, want %v", got, want)
	}
	cases, judged, err := n.Review(ctx, o.ID)
	if err != nil || len(cases) != 1 || cases[0].Decision != "approved" || cases[0].Actor != "operator:ann" || cases[0].Reason != "a regular" || cases[0].ClosedAt.IsZero() {
		t.Errorf("%+v, %v", cases, err)
	}
	if len(judged) != 2 || judged[0].Stage != fraud.Begin || judged[1].Verdict != fraud.Review {
		t.Errorf("judged %+v", judged)
	}
	if err := n.Deny(ctx, o.ID, "operator:bob", "too late"); !errors.Is(err, ErrNoReview) {
		t.Errorf("denied after it was approved: %v", err)
	}
	s.audit()
}

func TestADeniedReviewIsVoidedAndItsTicketsGoBack(t *testing.T) {
	s := newShop(t)
	s.screened(nil)
	n := s.open(true)
	o := s.inReview(n, inventory.Item{Seats: []string{"A/1/1"}})
	if err := n.Deny(t.Context(), o.ID, "operator:ann", "a stolen card"); err != nil {
		t.Fatal(err)
	}
	o = s.await(n, o.ID, Cancelled)
	s.eventually("the authorization is voided", func() bool {
		o, _ = n.Find(t.Context(), o.ID)
		return o.Payment.State == PaymentVoided
	})
	if o.Payment.Failure != paymentRefused || s.holdState(n, o.Hold) != inventory.Released {
		t.Errorf("the buyer sees %q, the hold is %s", o.Payment.Failure, s.holdState(n, o.Hold))
	}
	s.authorized(n, o, suspicious) // a webhook that took its time
	if got, want := s.causes(n, o.ID), []Cause{CauseOpened, CauseBegun, CauseReview, CauseDenied, CauseVoided}; !slices.Equal(got, want) {
		t.Errorf("history %v, want %v", got, want)
	}
	s.audit()
}

func TestAReviewEndsWithItsHoldAndNothingSellsItLater(t *testing.T) {
	s := newShop(t)
	s.screened(nil)
	n := s.open(true)
	o := s.inReview(n)
	s.exec(`UPDATE holds SET deadline = now() - INTERVAL '1 second' WHERE hold_id = $1`, o.Hold)
	s.exec(`UPDATE expiries SET due_at = now() - INTERVAL '1 second'`)
	s.await(n, o.ID, Expired)
	s.authorized(n, o, payment.Risk{}) // told again, which is no late money
	if err := n.Approve(t.Context(), o.ID, "operator:ann", "was away"); !errors.Is(err, ErrNoReview) {
		t.Errorf("approved after it expired: %v", err)
	}
	s.eventually("the authorization is voided", func() bool {
		o, _ = n.Find(t.Context(), o.ID)
		return o.Payment.State == PaymentVoided
	})
	cases, _, err := n.Review(t.Context(), o.ID)
	if err != nil || len(cases) != 1 || cases[0].Decision != "expired" || cases[0].Actor != "expiry" {
		t.Errorf("%+v, %v", cases, err)
	}
	if slices.Contains(s.causes(n, o.ID), CauseLateMoney) {
		t.Errorf("history %v", s.causes(n, o.ID))
	}
	s.audit()
}

// The deadline has passed and no sweep has come by yet.
func TestAnApprovalAfterTheDeadlineSellsNothing(t *testing.T) {
	s := newShop(t)
	s.screened(nil)
	n := s.open(false)
	o := s.order(n, buyer, s.hold(n, buyer, "k", inventory.Item{Tier: "floor", Quantity: 1}))
	s.authorized(n, o, suspicious)
	s.exec(`UPDATE holds SET deadline = now() - INTERVAL '1 second' WHERE hold_id = $1`, o.Hold)
	for _, decide := range []func(context.Context, uuid.UUID, string, string) error{n.Approve, n.Deny} {
		if err := decide(t.Context(), o.ID, "operator", "late"); !errors.Is(err, ErrHoldExpired) {
			t.Errorf("got %v", err)
		}
	}
}

func TestOfManyDecisionsAtOnceOneCounts(t *testing.T) {
	s := newShop(t)
	s.screened(nil)
	a, b := s.open(true), s.open(true)
	for range 4 {
		o := s.inReview(a, inventory.Item{Tier: "floor", Quantity: 1})
		var wg sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			wg.Go(func() {
				n := []*node{a, b}[i%2]
				if i%4 < 2 {
					errs[i] = n.Approve(context.Background(), o.ID, "operator", "yes")
				} else {
					errs[i] = n.Deny(context.Background(), o.ID, "operator", "no")
				}
			})
		}
		wg.Go(func() { // and the provider says it again
			_ = b.Apply(context.Background(), Outcome{Order: o.ID, Payment: o.Payment.ID, Cause: CauseAuthorized, Actor: "lookup"})
		})
		wg.Wait()
		done := 0
		for _, err := range errs {
			if err == nil {
				done++
			} else if !errors.Is(err, ErrNoReview) {
				t.Error(err)
			}
		}
		if done != 1 {
			t.Errorf("%d decisions counted", done)
		}
		s.eventually("the order is over", func() bool {
			o, _ = a.Find(context.Background(), o.ID)
			return o.State == TicketIssued || o.State == Cancelled && o.Payment.State == PaymentVoided
		})
	}
	s.audit()
}

func TestABankThatLetsGoDuringAReviewEndsItAndTheBuyerMayTryAgain(t *testing.T) {
	s := newShop(t)
	s.screened(nil)
	n := s.open(true)
	o := s.inReview(n)
	s.provider.confirm(o.Payment.ID, payment.Voided)
	if err := n.Apply(t.Context(), Outcome{Order: o.ID, Payment: o.Payment.ID, Cause: CauseVoided, Failure: "expired", Actor: "webhook"}); err != nil {
		t.Fatal(err)
	}
	s.await(n, o.ID, PaymentFailed)
	again, err := n.Pay(t.Context(), o.ID, buyer)
	if err != nil || again.Payment.Attempt != 2 || again.Payment.State != PaymentBegun {
		t.Fatalf("%+v, %v", again.Payment, err)
	}
	s.provider.confirm(again.Payment.ID, payment.Authorized)
	s.authorized(n, again, payment.Risk{Challenged: true})
	s.await(n, o.ID, TicketIssued)
	s.audit()
}

func TestAnAlarmingPaymentIsVoidedWithoutAnOperator(t *testing.T) {
	s := newShop(t)
	s.screened(nil)
	n := s.open(true)
	o := s.begin(n, buyer)
	s.authorized(n, o, alarming)
	s.await(n, o.ID, Cancelled)
	s.eventually("the authorization is voided", func() bool {
		o, _ = n.Find(t.Context(), o.ID)
		return o.Payment.State == PaymentVoided && o.Payment.Failure == paymentRefused
	})
	s.authorized(n, o, payment.Risk{})
	if got, want := s.causes(n, o.ID), []Cause{CauseOpened, CauseBegun, CauseDenied, CauseVoided}; !slices.Equal(got, want) {
		t.Errorf("history %v, want %v", got, want)
	}
	s.audit()
}

func TestADeniedAccountsPaymentIsNeverBegun(t *testing.T) {
	s := newShop(t)
	p := s.screened(func(c *fraud.Config) {
		c.Rules.PaymentsPerAccount = fraud.Rule{Most: 1, Within: time.Hour, Verdict: fraud.Deny}
	})
	n := s.open(true)
	first := s.begin(n, buyer, inventory.Item{Tier: "floor", Quantity: 1})
	s.authorized(n, first, payment.Risk{})
	s.await(n, first.ID, TicketIssued)
	o := s.order(n, buyer, s.hold(n, buyer, "second", inventory.Item{Tier: "floor", Quantity: 1}))
	o = s.await(n, o.ID, Cancelled)
	if o.Payment.State != PaymentVoided || o.Payment.Failure != paymentRefused || s.holdState(n, o.Hold) != inventory.Released {
		t.Errorf("payment %s %q, the hold is %s", o.Payment.State, o.Payment.Failure, s.holdState(n, o.Hold))
	}
	if told := p.begun(o.Payment.ID); len(told) != 0 {
		t.Errorf("the provider was told of it: %+v", told)
	}
	s.audit()
}

// The verdict would change between two calls: it is kept, so that the repeated call is the same.
func TestARepeatedBeginAsksForTheSameProof(t *testing.T) {
	s := newShop(t)
	p := s.screened(func(c *fraud.Config) {
		c.Rules.PaymentsPerAccount = fraud.Rule{Most: 1, Within: time.Hour, Verdict: fraud.Challenge}
	})
	p.loses = 2
	n := s.open(true)
	first := s.begin(n, buyer, inventory.Item{Tier: "floor", Quantity: 1})
	second := s.begin(n, buyer, inventory.Item{Tier: "floor", Quantity: 1})
	for i, o := range []Order{first, second} {
		told := p.begun(o.Payment.ID)
		for _, intent := range told {
			if intent != told[0] || intent.Challenge != (i == 1) {
				t.Errorf("payment %d is begun by %+v", i+1, told)
			}
		}
	}
	if len(p.begun(first.Payment.ID)) < 2 {
		t.Error("no answer was lost")
	}
	s.authorized(n, second, payment.Risk{}) // without the proof
	s.await(n, second.ID, PaymentReview)
	third := s.begin(n, buyer, inventory.Item{Tier: "floor", Quantity: 1})
	s.authorized(n, third, payment.Risk{Challenged: true})
	s.await(n, third.ID, TicketIssued)
}

func TestAnEventMayAskEverybodyForTheProof(t *testing.T) {
	s := newShop(t)
	s.fraud = FraudTerms{Challenge: true, Tighter: fraud.Thresholds{Review: 10}}
	p := s.screened(nil)
	n := s.open(true)
	o := s.begin(n, buyer)
	if told := p.begun(o.Payment.ID); len(told) == 0 || !told[0].Challenge {
		t.Errorf("begun by %+v", told)
	}
	s.authorized(n, o, payment.Risk{Challenged: true, Funding: "prepaid"})
	s.await(n, o.ID, PaymentReview)
}

// Card limits are judged when a review is approved, and another order may have used them up meanwhile.
func TestAnApprovedPaymentIsStillBoundByTheLimitOfItsCard(t *testing.T) {
	s := newShop(t)
	s.limitCards(2, 0)
	s.screened(nil)
	n := s.open(true)
	o := s.begin(n, buyer, inventory.Item{Tier: "floor", Quantity: 2})
	s.provider.intents[o.Payment.ID].card = "card"
	s.authorized(n, o, suspicious)
	s.await(n, o.ID, PaymentReview)
	other := s.begin(n, lottery.Entrant{2}, inventory.Item{Tier: "floor", Quantity: 1})
	s.authorized(n, other, payment.Risk{})
	s.await(n, other.ID, TicketIssued)
	if err := n.Approve(t.Context(), o.ID, "operator", "fine"); err != nil {
		t.Fatal(err)
	}
	o = s.await(n, o.ID, Cancelled)
	if o.Payment.Failure != cardOverLimit {
		t.Errorf("the buyer sees %q", o.Payment.Failure)
	}
	s.audit()
}

func TestWithoutAFraudStoreMoneyIsNeitherLostNorTakenTwice(t *testing.T) {
	s := newShop(t)
	s.screened(func(c *fraud.Config) { c.Timeout, c.OnFailure = time.Nanosecond, fraud.Review })
	n := s.open(true)
	o := s.begin(n, buyer)
	s.authorized(n, o, payment.Risk{})
	s.await(n, o.ID, PaymentReview)
	if err := n.Approve(t.Context(), o.ID, "operator", "fine"); err != nil {
		t.Fatal(err)
	}
	s.await(n, o.ID, TicketIssued)
	s.audit()
}

func TestReviewsEndWithTheEventThatIsCancelled(t *testing.T) {
	s := newShop(t)
	s.screened(nil)
	n := s.open(true)
	o := s.inReview(n)
	s.off.Store(true)
	if _, err := n.RefundEvent(t.Context(), s.event, "storm", "operator"); err != nil {
		t.Fatal(err)
	}
	s.await(n, o.ID, Cancelled)
	if cases, err := n.Reviews(t.Context(), 10); err != nil || len(cases) != 0 {
		t.Errorf("%d reviews are open: %+v, %v", len(cases), cases, err)
	}
}
