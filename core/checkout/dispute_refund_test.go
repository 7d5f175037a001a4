package checkout

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"fairgate/core/payment"
	"fairgate/core/story"
	"fairgate/core/ticket"
	"fairgate/ledger"
)

// tells has a webhook say how a refund stands, after the provider has decided that.
func (s *shop) tells(n *node, id uuid.UUID, state payment.RefundState) {
	s.t.Helper()
	out := s.provider.finish(id, state)
	e := payment.Event{Provider: "stripe", ID: "evt_" + id.String() + string(state), Type: "refund", Refund: &payment.RefundNews{RefundID: id, Outcome: out}}
	if err := n.Webhooks(s.t.Context(), []payment.Event{e}); err != nil {
		s.t.Fatal(err)
	}
}

// asksBack asks for a refund; with a provider that is slow it is then under way.
func (s *shop) asksBack(n *node, q RefundRequest) Refund {
	s.t.Helper()
	q.Key, q.Actor, q.Reason = uuid.NewString(), "operator", "asked by phone"
	f, err := n.Refund(s.t.Context(), q)
	if err != nil {
		s.t.Fatal(err)
	}
	return f
}

func (s *shop) lastCause(n *node, o Order, want Cause) {
	s.t.Helper()
	if causes := s.causes(n, o.ID); causes[len(causes)-1] != want {
		s.t.Errorf("the last of %v is not %s", causes, want)
	}
}

func TestADisputeOfARefundedOrderThatIsWonLeavesItRefunded(t *testing.T) {
	s, n, _, o := disputable(t)
	s.asksBack(n, RefundRequest{Order: o.ID})
	s.await(n, o.ID, Refunded)
	s.says(n, claim(o, payment.DisputeOpen))
	s.await(n, o.ID, Disputed)
	s.books(-total-fee, total, 0, fee)
	s.says(n, claim(o, payment.DisputeWon), claim(o, payment.DisputeWon))
	s.await(n, o.ID, Refunded)
	s.lastCause(n, o, CauseDisputeWonRefunded)
	s.expectTickets(o, ticket.Voided, 1)
	s.books(0, 0, 0, 0)
}

// The provider took the money twice. Nobody had earned it by then: it is what the provider costs us, and nobody's fee.
func TestADisputeOfARefundedOrderThatIsLostIsACostOfTheProvider(t *testing.T) {
	s, n, _, o := disputable(t)
	s.asksBack(n, RefundRequest{Order: o.ID})
	s.await(n, o.ID, Refunded)
	s.says(n, claim(o, payment.DisputeOpen), claim(o, payment.DisputeLost), claim(o, payment.DisputeLost))
	s.await(n, o.ID, DisputeLost)
	s.books(-total-fee, 0, 0, fee+total)
	for _, account := range []string{"platform_fees", "taxes_payable", "rounding"} {
		if net := s.net(account); net != 0 {
			t.Errorf("%s is at %d", account, net)
		}
	}
	history, err := n.History(t.Context(), o.ID)
	if last := history[len(history)-1]; err != nil || last.Reason != "133.10 EUR is the buyer's, 133.10 EUR of it had gone back before: taken twice, and booked as a cost of the provider" {
		t.Errorf("%+v, %v", last, err)
	}
}

func TestALostDisputeTakesOnlyWhatARefundHasLeft(t *testing.T) {
	s, n, _, o := disputable(t)
	f := s.asksBack(n, RefundRequest{Order: o.ID, Tickets: []uuid.UUID{ticket.TicketID(o.ID, 0)}})
	s.refundState(n, f.ID, RefundPaid)
	s.says(n, claim(o, payment.DisputeOpen))
	s.await(n, o.ID, Disputed)
	s.says(n, claim(o, payment.DisputeLost))
	s.await(n, o.ID, DisputeLost)
	s.books(-total/2-fee, 0, 0, fee+total/2)
	if fees := s.net("platform_fees"); fees != 0 {
		t.Errorf("platform_fees is at %d", fees)
	}
}

func TestAWonDisputeGivesBackOnlyTheTicketsThatWereNotRefunded(t *testing.T) {
	s, n, _, o := disputable(t)
	f, err := n.Refund(t.Context(), RefundRequest{Order: o.ID, Key: "k", Tickets: []uuid.UUID{ticket.TicketID(o.ID, 0)}, Reason: voidedByDispute})
	if err != nil {
		t.Fatal(err)
	}
	s.refundState(n, f.ID, RefundPaid)
	s.says(n, claim(o, payment.DisputeOpen), claim(o, payment.DisputeWon))
	s.await(n, o.ID, TicketIssued)
	for i, x := range s.tickets(o) {
		if want := []ticket.State{ticket.Voided, ticket.Valid}[i]; x.State != want {
			t.Errorf("ticket %d is %s, want %s", i, x.State, want)
		}
	}
	s.books(total/2, 0, 5000, 0)
}

func TestTheStoryTellsRefundsAndDisputes(t *testing.T) {
	s, n, _, o := disputable(t)
	s.provider.fault(func(f *faults) { f.refuse = 1 })
	f := s.asksBack(n, RefundRequest{Order: o.ID, Tickets: []uuid.UUID{ticket.TicketID(o.ID, 0)}})
	s.refundState(n, f.ID, RefundRefused)
	s.says(n, claim(o, payment.DisputeOpen), claim(o, payment.DisputeLost))
	s.await(n, o.ID, DisputeLost)
	entries, err := story.Tell(t.Context(), s.db.Reader, o.ID, false)
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, e := range entries {
		if e.Kind == "refund" || e.Kind == "dispute" {
			told = append(told, e.Who+": "+e.Text)
			told = append(told, e.Lines...)
		}
	}
	want := []string{"operator: 66.55 EUR back for some tickets", f.ID.String(), "asked by phone",
		"stripe: refund of 66.55 EUR: failed (charge_disputed)",
		"stripe: the buyer's bank disputes 133.10 EUR: fraudulent", "reference dp_1", "the provider charges 15.00 EUR", "stripe: the dispute is lost"}
	told = slices.DeleteFunc(told, func(line string) bool { return strings.HasPrefix(line, "the buyer has it another way since ") })
	if !slices.Equal(told, want) {
		t.Errorf("told\n%s\nwant\n%s", strings.Join(told, "\n"), strings.Join(want, "\n"))
	}
}

// What Stripe does: it refuses the refund of a charge that is disputed.
func TestARefundThatIsRefusedBecauseADisputeCameFirstCanBeRetriedWhenThatIsWon(t *testing.T) {
	s, n, _, o := disputable(t)
	s.provider.fault(func(f *faults) { f.down = 1000 })
	f := s.asksBack(n, RefundRequest{Order: o.ID})
	s.says(n, claim(o, payment.DisputeOpen))
	s.await(n, o.ID, Disputed)
	if _, err := n.Refund(t.Context(), RefundRequest{Order: o.ID, Key: "more"}); !errors.Is(err, ErrTransition) {
		t.Errorf("a refund of what is disputed: %v", err)
	}
	s.provider.fault(func(f *faults) { f.down, f.refuse = 0, 1 })
	s.exec(`UPDATE outbox SET due_at = now() WHERE kind = 'refund' AND done_at IS NULL`)
	s.refundState(n, f.ID, RefundRefused)
	s.lastCause(n, o, CausePartRefundFailed)
	if _, err := n.RetryRefund(t.Context(), f.ID, "r", "operator"); !errors.Is(err, ledger.ErrOverRefund) || !errors.Is(err, ErrRefundDispute) {
		t.Errorf("a refund beside a dispute of the same money: %v", err)
	}
	s.says(n, claim(o, payment.DisputeWon))
	s.await(n, o.ID, RefundFailed)
	s.expectTickets(o, ticket.Voided, 1)
	s.books(total, 0, face, 0)
	if _, err := n.RetryRefund(t.Context(), f.ID, "r", "operator"); err != nil {
		t.Fatal(err)
	}
	s.await(n, o.ID, Refunded)
	s.books(0, 0, 0, 0)
}

func TestARefundThatFailsAfterItsMoneyWasLostToADisputeIsSettledByThat(t *testing.T) {
	for _, how := range []string{"before the dispute is lost", "after it", "after it had succeeded"} {
		t.Run(how, func(t *testing.T) {
			s, n, _, o := disputable(t)
			s.provider.fault(func(f *faults) { f.slow = true })
			f := s.asksBack(n, RefundRequest{Order: o.ID})
			s.refundState(n, f.ID, RefundTaken)
			s.says(n, claim(o, payment.DisputeOpen))
			if how == "before the dispute is lost" {
				s.tells(n, f.ID, payment.RefundFailed)
			}
			if how == "after it had succeeded" {
				s.tells(n, f.ID, payment.RefundSucceeded)
			}
			s.says(n, claim(o, payment.DisputeLost))
			if how != "before the dispute is lost" {
				if costs := s.net("provider_costs/stripe"); costs != fee+total {
					t.Errorf("while the refund counts the provider costs %d", costs)
				}
				s.tells(n, f.ID, payment.RefundFailed)
			}
			got := s.refundState(n, f.ID, RefundRefused)
			if got.Resolution != ResolvedOtherwise {
				t.Errorf("the refund is %q", got.Resolution)
			}
			if _, err := n.RetryRefund(t.Context(), f.ID, "r", "operator"); !errors.Is(err, ErrRefundOpen) {
				t.Errorf("given back twice: %v", err)
			}
			s.await(n, o.ID, DisputeLost)
			s.books(-fee, 0, 0, fee)
			if fees := s.net("platform_fees"); fees != 0 {
				t.Errorf("platform_fees is at %d", fees)
			}
		})
	}
}

// A bank does not say which tickets a part is for: all of them are void while it is disputed, and stay void when it is lost. What was
// not lost an operator can give back.
func TestOfTwoDisputesTheOneThatIsLostDecidesAndTheRestCanBeRefunded(t *testing.T) {
	for _, first := range []payment.DisputeState{payment.DisputeWon, payment.DisputeLost} {
		t.Run(string(first)+" first", func(t *testing.T) {
			s, n, _, o := disputable(t)
			one, two := claim(o, payment.DisputeOpen), claim(o, payment.DisputeOpen)
			one.Amount.Minor, two.Amount.Minor = total/2, total/2
			two.Ref, two.Fee = "dp_2", ledger.Amount{}
			s.says(n, one, two)
			s.await(n, o.ID, Disputed)
			s.expectTickets(o, ticket.Voided, 1)
			s.books(-fee, total, face, fee)
			won, lost := two, one
			won.State, lost.State = payment.DisputeWon, payment.DisputeLost
			want := []Cause{CauseDisputeOpened, CauseDisputeOpened, CauseDisputeLost, CauseDisputeWonPart}
			if first == payment.DisputeWon {
				s.says(n, won)
				s.await(n, o.ID, Disputed)
				s.expectTickets(o, ticket.Voided, 1)
				s.says(n, lost)
				want[2], want[3] = want[3], want[2]
			} else {
				s.says(n, lost, won)
			}
			s.await(n, o.ID, DisputeLost)
			s.expectTickets(o, ticket.Voided, 1)
			if got := s.causes(n, o.ID)[5:]; !slices.Equal(got, want) {
				t.Errorf("history %v, want %v", got, want)
			}
			s.books(total/2-fee, 0, face/2, fee)
			if _, err := n.Refund(t.Context(), RefundRequest{Order: o.ID, Key: "all"}); !errors.Is(err, ErrTransition) {
				t.Errorf("tickets that are no more: %v", err)
			}
			if _, err := n.Refund(t.Context(), RefundRequest{Order: o.ID, Key: "much", Minor: total/2 + 1}); !errors.Is(err, ledger.ErrOverRefund) {
				t.Errorf("more than is left: %v", err)
			}
			f := s.asksBack(n, RefundRequest{Order: o.ID, Minor: total / 2})
			s.refundState(n, f.ID, RefundPaid)
			s.books(-fee, 0, 0, fee)
			s.await(n, o.ID, DisputeLost)
		})
	}
}

func TestBothDisputesOfAnOrderWonGiveItsTicketsBack(t *testing.T) {
	s, n, _, o := disputable(t)
	one, two := claim(o, payment.DisputeOpen), claim(o, payment.DisputeOpen)
	one.Amount.Minor, two.Amount.Minor, two.Ref = 4000, 5000, "dp_2"
	s.says(n, one, two)
	one.State, two.State, one.Fee, two.Fee = payment.DisputeWon, payment.DisputeWon, ledger.Amount{}, ledger.Amount{}
	s.says(n, one)
	s.await(n, o.ID, Disputed)
	s.says(n, two)
	s.await(n, o.ID, TicketIssued)
	s.expectTickets(o, ticket.Valid, 2)
	s.books(total, 0, face, 0)
}

// The event was cancelled, and its orders refunded, while this one was with the bank.
func TestAWonDisputeOfACancelledEventIsRefunded(t *testing.T) {
	s, n, _, o := disputable(t)
	s.says(n, claim(o, payment.DisputeOpen))
	s.await(n, o.ID, Disputed)
	s.off.Store(true)
	s.says(n, claim(o, payment.DisputeWon), claim(o, payment.DisputeWon))
	s.await(n, o.ID, Refunded)
	s.expectTickets(o, ticket.Voided, 1)
	s.books(0, 0, 0, 0)
}

func TestLateMoneyThatIsDisputedIsNotGivenBackAsWell(t *testing.T) {
	for _, end := range []payment.DisputeState{payment.DisputeWon, payment.DisputeLost} {
		t.Run(string(end), func(t *testing.T) {
			s := newShop(t)
			b := &bank{provider: s.provider, orders: map[string]Order{}, asks: map[string]payment.DisputeNews{}}
			s.adjust = func(c *Config) { c.Providers = payment.NewProviders(b) }
			still := s.open(false)
			o := s.order(still, buyer, s.hold(still, buyer, "k", floor(2)))
			if _, err := still.stock.Release(t.Context(), o.Hold, buyer); err != nil {
				t.Fatal(err)
			}
			s.provider.mu.Lock()
			s.provider.intents[payment.PaymentID(o.ID, 1)] = &intent{state: payment.Captured, amount: o.Amount, captures: 1}
			s.provider.mu.Unlock()
			s.tell(still, o, CauseCaptured)
			b.orders["pi"] = o
			s.says(still, claim(o, payment.DisputeOpen))
			s.lastCause(still, o, CauseLateDisputed)
			n := s.open(true)
			s.eventually("what becomes of it is put off", func() bool {
				return s.count(`SELECT count(*) FROM outbox WHERE kind = 'late_money' AND due_at > now() + INTERVAL '50 minutes'`) == 1
			})
			s.says(n, claim(o, end))
			s.exec(`UPDATE outbox SET due_at = now() WHERE kind = 'late_money'`)
			if end == payment.DisputeWon {
				s.await(n, o.ID, Refunded)
				s.books(0, 0, 0, 0)
			} else {
				s.eventually("it was decided that nothing is left", func() bool {
					return s.count(`SELECT count(*) FROM outbox WHERE kind = 'late_money' AND state = 'done'`) == 1
				})
				if s.count(`SELECT count(*) FROM refunds`) != 0 {
					t.Error("the money was given back as well")
				}
				s.books(-fee, 0, 0, fee)
			}
			for _, account := range []string{"late_money", "platform_fees"} {
				if net := s.net(account); net != 0 {
					t.Errorf("%s is at %d", account, net)
				}
			}
		})
	}
}
