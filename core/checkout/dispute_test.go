package checkout

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/inventory"
	"fairgate/core/payment"
	"fairgate/core/ticket"
	"fairgate/core/ticket/code"
	"fairgate/edge/lottery"
	"fairgate/ledger"
)

// bank is a provider whose payments can be disputed.
type bank struct {
	*provider
	mu     sync.Mutex
	orders map[string]Order               // by reference of the payment
	asks   map[string]payment.DisputeNews // by reference of the dispute
	sent   []payment.Evidence
	asked  int
	list   bankList
}

func (b *bank) Identify(_ context.Context, ref string) (order, attempt uuid.UUID, n int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked++
	o, known := b.orders[ref]
	if !known {
		return uuid.Nil, uuid.Nil, 0, payment.ErrNotFound
	}
	return o.ID, o.Payment.ID, o.Payment.Attempt, nil
}

func (b *bank) LookupDispute(_ context.Context, ref string) (payment.DisputeNews, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.list.lookups++
	news, known := b.asks[ref]
	if !known {
		return payment.DisputeNews{}, payment.ErrNotFound
	}
	return news, nil
}

func (b *bank) SubmitEvidence(_ context.Context, ref string, e payment.Evidence) (payment.DisputeNews, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent = append(b.sent, e)
	state := payment.DisputeOpen
	if e.SubmitNow {
		state = payment.DisputeReview
	}
	return payment.DisputeNews{Ref: ref, State: state, Amount: ledger.Amount{Minor: 13310, Currency: "EUR"}}, nil
}

func (b *bank) evidence() []payment.Evidence {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.sent)
}

// disputable is a shop whose orders can be disputed, and a bought order of two tickets to stand, or of the given items.
func disputable(t *testing.T, items ...inventory.Item) (*shop, *node, *bank, Order) {
	s := newShop(t)
	b := &bank{provider: s.provider, orders: map[string]Order{}, asks: map[string]payment.DisputeNews{}}
	s.adjust = func(c *Config) { c.Providers = payment.NewProviders(b) }
	n := s.open(true)
	o := s.begin(n, buyer, items...)
	s.authorized(n, o, payment.Risk{})
	o = s.await(n, o.ID, TicketIssued)
	b.orders["pi"] = o
	return s, n, b, o
}

// claim is what the provider says of the whole amount of an order; the fee is known once the money is gone.
func claim(o Order, state payment.DisputeState) payment.DisputeNews {
	n := payment.DisputeNews{Ref: "dp_1", PaymentRef: "pi", State: state, Amount: o.Amount, Reason: "fraudulent"}
	if state == payment.DisputeOpen || state == payment.DisputeLost || state == payment.DisputeReview {
		n.Fee = ledger.Amount{Minor: 1500, Currency: "EUR"}
	}
	return n
}

// says has webhooks about disputes arrive one after the other.
func (s *shop) says(n *node, all ...payment.DisputeNews) {
	s.t.Helper()
	for i := range all {
		e := payment.Event{Provider: "stripe", ID: fmt.Sprint("evt_", i), Type: "charge.dispute", Dispute: &all[i]}
		if err := n.Webhooks(context.Background(), []payment.Event{e}); err != nil {
			s.t.Fatal(err)
		}
	}
}

// balance is what an account has, debits less credits.
func (s *shop) balance(a ledger.Account) int64 {
	s.t.Helper()
	all, err := ledger.Balances(context.Background(), s.db.Pool)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, b := range all {
		if b.Account.Code == a.Code && b.Account.Currency == a.Currency {
			return b.DebitsPosted - b.CreditsPosted
		}
	}
	return 0
}

// books checks what a dispute left in the ledger: at the provider, under dispute, owed to the organizer, and the provider's costs.
func (s *shop) books(provider, disputed, organizer, costs int64) {
	s.t.Helper()
	got := [4]int64{s.balance(ledger.ProviderClearing("stripe", "EUR")), s.balance(ledger.Disputes("stripe", "EUR")),
		-s.balance(ledger.OrganizerPayable("promoter", "EUR")), s.balance(ledger.ProviderCosts("stripe", "EUR"))}
	if want := [4]int64{provider, disputed, organizer, costs}; got != want {
		s.t.Errorf("provider, disputed, organizer, costs: %v, want %v", got, want)
	}
	if open := s.balance(ledger.Refunds("EUR")); open != 0 {
		s.t.Errorf("refunds is at %d", open)
	}
	if report, err := ledger.Verify(context.Background(), s.db.Pool); err != nil || !report.OK {
		s.t.Errorf("ledger: %+v, %v", report, err)
	}
}

func (s *shop) tickets(o Order) []ticket.Ticket {
	s.t.Helper()
	all, err := ticket.OfOrder(context.Background(), s.db.Pool, o.ID, len(o.Lines))
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

func (s *shop) expectTickets(o Order, state ticket.State, epoch uint32) {
	s.t.Helper()
	for _, t := range s.tickets(o) {
		if t.State != state || t.Epoch != epoch {
			s.t.Errorf("ticket %d is %s in epoch %d, want %s in %d", t.Item, t.State, t.Epoch, state, epoch)
		}
	}
}

func buyerNo(n int) lottery.Entrant { return lottery.Entrant{byte(n), 1} }

const total, face, fee = 13310, 10000, 1500 // of two tickets to stand, and what a dispute costs

func TestADisputeThatIsLostTakesTheMoneyAndTheTickets(t *testing.T) {
	s, n, b, o := disputable(t)
	s.says(n, claim(o, payment.DisputeOpen))
	s.await(n, o.ID, Disputed)
	s.expectTickets(o, ticket.Voided, 1)
	s.books(-fee, total, face, fee)
	s.says(n, claim(o, payment.DisputeReview), claim(o, payment.DisputeLost), claim(o, payment.DisputeLost), claim(o, payment.DisputeOpen))
	s.await(n, o.ID, DisputeLost)
	s.expectTickets(o, ticket.Voided, 1)
	s.books(-fee, 0, 0, fee)
	if s.holdState(n, o.Hold) != inventory.Sold {
		t.Error("the places went back on sale, which the event does not say")
	}
	if got, want := s.causes(n, o.ID)[5:], []Cause{CauseDisputeOpened, CauseDisputeLost}; !slices.Equal(got, want) {
		t.Errorf("history %v, want %v", got, want)
	}
	if b.asked != 1 {
		t.Errorf("the provider was asked %d times whose dispute it is", b.asked)
	}
}

func TestADisputeThatIsWonGivesTheTicketsBackWithNewCodes(t *testing.T) {
	s, n, _, o := disputable(t, inventory.Item{Tier: "floor", Quantity: 1}, inventory.Item{Seats: []string{"A/1/1"}})
	before := s.tickets(o)
	s.says(n, claim(o, payment.DisputeOpen), claim(o, payment.DisputeWon), claim(o, payment.DisputeWon))
	s.await(n, o.ID, TicketIssued)
	s.expectTickets(o, ticket.Valid, 2)
	for i, now := range s.tickets(o) {
		c, err := code.Parse(now.Code)
		if err != nil || c.Epoch != 2 || now.Code == before[i].Code {
			t.Errorf("code of epoch %d, %v", c.Epoch, err)
		}
	}
	s.books(o.Amount.Minor, 0, 13000, 0) // the fee came back as well
}

// Every order in which the news of a dispute can arrive comes to the same.
func TestNewsOfADisputeInAnyOrderComesToTheSame(t *testing.T) {
	s, n, b, _ := disputable(t)
	const opened, review, lost = 0, 1, 2
	for i, order := range [][]int{{opened, review, lost}, {review, opened, lost}, {lost, opened, review}, {lost, review, opened}, {opened, lost, review}, {review, lost, opened, lost}} {
		o := s.begin(n, buyerNo(10+i), inventory.Item{Tier: "floor", Quantity: 1})
		s.authorized(n, o, payment.Risk{})
		o = s.await(n, o.ID, TicketIssued)
		b.mu.Lock()
		b.orders[fmt.Sprint("pi", i)] = o
		b.mu.Unlock()
		for _, which := range order {
			said := claim(o, []payment.DisputeState{payment.DisputeOpen, payment.DisputeReview, payment.DisputeLost}[which])
			said.Ref, said.PaymentRef = fmt.Sprint("dp", i), fmt.Sprint("pi", i)
			s.says(n, said, said)
		}
		s.await(n, o.ID, DisputeLost)
		s.expectTickets(o, ticket.Voided, 1)
		if got := s.balance(ledger.ProviderCosts("stripe", "EUR")); got != int64(fee*(i+1)) {
			t.Errorf("order %d: costs %d", i, got)
		}
	}
	s.books(total-6*fee, 0, face, 6*fee)
}

func TestAnInquiryTakesNoMoneyAndMayGoNoFurther(t *testing.T) {
	s, n, _, o := disputable(t)
	s.says(n, claim(o, payment.DisputeInquiry))
	s.expectTickets(o, ticket.Valid, 1)
	s.says(n, claim(o, payment.DisputeWon))
	if got := s.await(n, o.ID, TicketIssued); got.State != TicketIssued {
		t.Error(got.State)
	}
	s.books(total, 0, face, 0)
	d, err := n.Dispute(t.Context(), "dp_1")
	if err != nil || d.State != payment.DisputeWon || d.Taken || d.ClosedAt.IsZero() {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestAnInquiryMayBecomeADispute(t *testing.T) {
	s, n, _, o := disputable(t)
	s.says(n, claim(o, payment.DisputeInquiry), claim(o, payment.DisputeOpen), claim(o, payment.DisputeInquiry))
	s.await(n, o.ID, Disputed)
	s.books(-fee, total, face, fee)
}

func TestAPartOfAnOrderCanBeDisputedAndLost(t *testing.T) {
	s, n, _, o := disputable(t)
	part := claim(o, payment.DisputeOpen)
	part.Amount.Minor = total / 2
	s.says(n, part)
	s.await(n, o.ID, Disputed)
	part.State = payment.DisputeLost
	s.says(n, part)
	s.await(n, o.ID, DisputeLost)
	s.books(total/2-fee, 0, face/2, fee)
}

func TestPlacesOfALostDisputeGoBackOnSaleWhereTheEventSaysSo(t *testing.T) {
	s, n, _, o := disputable(t, inventory.Item{Seats: []string{"A/1/2"}})
	s.resell = true
	s.says(n, claim(o, payment.DisputeOpen), claim(o, payment.DisputeLost))
	s.await(n, o.ID, DisputeLost)
	if s.holdState(n, o.Hold) != inventory.Released {
		t.Errorf("the hold is %s", s.holdState(n, o.Hold))
	}
	again := s.begin(n, buyerNo(2), inventory.Item{Seats: []string{"A/1/2"}})
	s.authorized(n, again, payment.Risk{})
	s.await(n, again.ID, TicketIssued)
}

// The seat went to somebody else while the bank made up its mind: what was won is the money.
func TestAWonDisputeGivesNoTicketToASeatThatIsSomebodyElses(t *testing.T) {
	s, n, _, o := disputable(t, inventory.Item{Seats: []string{"A/1/3"}})
	s.says(n, claim(o, payment.DisputeOpen))
	s.await(n, o.ID, Disputed)
	s.exec(`UPDATE holds SET state = 'released' WHERE hold_id = $1`, o.Hold)
	s.exec(`UPDATE seats SET state = 'free', hold_id = NULL WHERE seat = 'A/1/3'`)
	other := s.begin(n, buyerNo(2), inventory.Item{Seats: []string{"A/1/3"}})
	s.authorized(n, other, payment.Risk{})
	s.await(n, other.ID, TicketIssued)
	s.says(n, claim(o, payment.DisputeWon))
	s.expectTickets(o, ticket.Voided, 1)
	s.expectTickets(other, ticket.Valid, 1)
	if causes := s.causes(n, o.ID); causes[len(causes)-1] != CauseDisputeWonNoPlaces {
		t.Errorf("history %v", causes)
	}
}

func TestADisputeOfAStrangersPaymentIsSkipped(t *testing.T) {
	s, n, _, o := disputable(t)
	stranger := claim(o, payment.DisputeOpen)
	stranger.PaymentRef, stranger.Ref = "pi_stranger", "dp_stranger"
	s.says(n, stranger)
	if s.count(`SELECT count(*) FROM disputes`) != 0 {
		t.Error("a stranger's dispute is kept")
	}
}

// The dispute is told before the capture, which may take the provider's webhooks a day to say: the outbox asks until it fits.
func TestADisputeThatIsToldBeforeItsPaymentIsCapturedIsAskedAboutUntilItIs(t *testing.T) {
	s, n, b, _ := disputable(t)
	o := s.begin(n, buyerNo(3), inventory.Item{Tier: "floor", Quantity: 1})
	early := claim(o, payment.DisputeOpen)
	early.PaymentRef, early.Ref = "early", "dp_early"
	b.mu.Lock()
	b.orders["early"], b.asks["dp_early"] = o, early
	b.mu.Unlock()
	s.says(n, early, early)
	if tasks := s.count(`SELECT count(*) FROM outbox WHERE kind = 'dispute' AND done_at IS NULL`); tasks != 1 {
		t.Fatalf("%d tasks", tasks)
	}
	s.exec(`UPDATE outbox SET due_at = now() WHERE kind = 'dispute'`)
	s.eventually("it was asked about too early", func() bool {
		return s.count(`SELECT count(*) FROM outbox WHERE kind = 'dispute' AND last_error LIKE '%not captured yet%'`) == 1
	})
	s.authorized(n, o, payment.Risk{})
	s.await(n, o.ID, TicketIssued)
	s.exec(`UPDATE outbox SET due_at = now() WHERE kind = 'dispute' AND done_at IS NULL`)
	o = s.await(n, o.ID, Disputed)
	s.expectTickets(o, ticket.Voided, 1)
	s.eventually("nobody asks any more", func() bool {
		return s.count(`SELECT count(*) FROM outbox WHERE kind = 'dispute' AND state = 'done'`) == 1
	})
	if causes := s.causes(n, o.ID); causes[len(causes)-1] != CauseDisputeOpened {
		t.Errorf("history %v", causes)
	}
}

// Many cores hear of it at once.
func TestADisputeLostInPartChargesThePartAndGivesTheRestBack(t *testing.T) {
	for name, before := range map[string]payment.DisputeState{"taken at once": payment.DisputeOpen, "an inquiry": payment.DisputeInquiry, "told at the end": payment.DisputeLost} {
		s, n, _, o := disputable(t)
		decided := claim(o, payment.DisputeLost)
		decided.Lost = ledger.Amount{Minor: 3310, Currency: "EUR"}
		if before != payment.DisputeLost {
			s.says(n, claim(o, before))
		}
		s.says(n, decided, decided, claim(o, payment.DisputeLost)) // twice, and once more without the part
		o = s.await(n, o.ID, DisputeLost)
		s.expectTickets(o, ticket.Voided, 1)
		kept := o.Amount.Minor - 3310
		if provider, disputed := s.balance(ledger.ProviderClearing("stripe", "EUR")), s.balance(ledger.Disputes("stripe", "EUR")); provider != kept-fee || disputed != 0 {
			t.Errorf("%s: the provider has %d, want %d; disputed %d", name, provider, kept-fee, disputed)
		}
		if costs, open := s.balance(ledger.ProviderCosts("stripe", "EUR")), s.balance(ledger.Refunds("EUR")); costs != fee || open != 0 {
			t.Errorf("%s: costs %d, refunds %d", name, costs, open)
		}
		m, err := ledger.ReadOrder(t.Context(), s.db.Pool, o.ID)
		if err != nil {
			t.Fatal(err)
		}
		if rest, minor := m.Rest(); minor != kept || rest.Face+rest.Fee+rest.Tax < kept-1 || rest.Face+rest.Fee+rest.Tax > kept+1 || rest.Face <= 0 {
			t.Errorf("%s: left are %+v, %d in all, of %d", name, rest, minor, kept)
		}
		taken := s.count(`SELECT coalesce(sum(amount_minor), 0)::INT8 FROM ledger_transfers WHERE code = 'dispute_funds'`)
		if want := map[bool]int64{true: 3310, false: o.Amount.Minor}[before == payment.DisputeInquiry]; taken != want {
			t.Errorf("%s: %d taken, want %d", name, taken, want)
		}
		if report, err := ledger.Verify(t.Context(), s.db.Pool); err != nil || !report.OK {
			t.Errorf("%s: ledger: %+v, %v", name, report, err)
		}
	}
}

func TestADisputeToldToManyAtOnceIsBookedOnce(t *testing.T) {
	s, n, _, o := disputable(t)
	other := s.open(true)
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			said := claim(o, []payment.DisputeState{payment.DisputeOpen, payment.DisputeReview, payment.DisputeLost}[i%3])
			e := payment.Event{Provider: "stripe", ID: fmt.Sprint(i), Dispute: &said}
			if err := []*node{n, other}[i%2].Webhooks(context.Background(), []payment.Event{e}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s.await(n, o.ID, DisputeLost)
	s.books(-fee, 0, 0, fee)
}

func TestEvidenceIsDraftedAtOnceAndHandedInByAnOperatorOrBeforeTheDeadline(t *testing.T) {
	s, n, b, o := disputable(t)
	if _, err := s.db.Exec(t.Context(), `INSERT INTO scans (scan_id, event_id, ticket_id, epoch, gate, zone, direction, refused, offline, at, recorded_at, undone_by, undo_reason, finding)
		VALUES ($1, $2, $3, 1, 'north', '', 'in', '', false, now(), now(), '', '', '')`, uuid.New(), o.Event, ticket.TicketID(o.ID, 0)); err != nil {
		t.Fatal(err)
	}
	said := claim(o, payment.DisputeOpen)
	said.RespondBy = time.Now().Add(7 * 24 * time.Hour)
	s.says(n, said)
	s.eventually("a draft is sent", func() bool { return len(b.evidence()) == 1 })
	draft := b.evidence()[0]
	if draft.SubmitNow || draft.CustomerEmail != "a@example.org" || !strings.Contains(draft.ProductText, "2 tickets") || !strings.Contains(draft.AccessLog, "opened") || !strings.Contains(draft.AccessLog, "entered through gate north") {
		t.Errorf("draft %+v", draft)
	}
	if strings.Contains(fmt.Sprintf("%+v", draft), "card") {
		t.Errorf("the evidence speaks of a card: %+v", draft)
	}
	if _, err := n.SubmitDispute(t.Context(), "dp_1", "operator:ann"); err != nil {
		t.Fatal(err)
	}
	s.eventually("it is submitted", func() bool {
		d, err := n.Dispute(t.Context(), "dp_1")
		return err == nil && d.SubmittedBy == "operator:ann" && !d.SubmittedAt.IsZero() && d.State == payment.DisputeReview
	})
	if _, err := n.SubmitDispute(t.Context(), "dp_1", "operator:bob"); err == nil {
		t.Error("submitted twice")
	}
	if all := b.evidence(); len(all) != 2 || !all[1].SubmitNow {
		t.Errorf("%d submissions", len(all))
	}
}

func TestEvidenceIsHandedInByItselfBeforeTheDeadline(t *testing.T) {
	s := newShop(t)
	b := &bank{provider: s.provider, orders: map[string]Order{}, asks: map[string]payment.DisputeNews{}}
	s.adjust = func(c *Config) { c.Providers, c.SubmitBefore = payment.NewProviders(b), 48*time.Hour }
	n := s.open(true)
	o := s.begin(n, buyer)
	s.authorized(n, o, payment.Risk{})
	o = s.await(n, o.ID, TicketIssued)
	b.orders["pi"] = o
	said := claim(o, payment.DisputeOpen)
	said.RespondBy = time.Now().Add(24 * time.Hour) // less than SubmitBefore away
	s.says(n, said)
	s.eventually("it is submitted", func() bool {
		d, err := n.Dispute(t.Context(), "dp_1")
		return err == nil && d.SubmittedBy == "deadline"
	})
}

func TestADisputeInAnotherCurrencyIsAnOperatorsAndNeverAddedUp(t *testing.T) {
	s, n, _, o := disputable(t, floor(1))
	before := n.metrics.disputeCurrency.Get()
	news := claim(o, payment.DisputeOpen)
	news.Amount.Currency = "USD"
	s.says(n, news)
	if got, err := n.Find(t.Context(), o.ID); err != nil || got.State != TicketIssued {
		t.Errorf("the order is %s, %v", got.State, err)
	}
	if n.metrics.disputeCurrency.Get() != before+1 || s.count(`SELECT count(*) FROM disputes`) != 0 || s.net("disputes/stripe") != 0 {
		t.Errorf("told %d times; %d are disputed", n.metrics.disputeCurrency.Get()-before, s.net("disputes/stripe"))
	}
}
