package checkout

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/inventory"
	"fairgate/core/payment"
	"fairgate/core/ticket"
	"fairgate/edge/lottery"
	"fairgate/ledger"
)

// sold is an order with its tickets.
func (s *shop) sold(n *node, who lottery.Entrant, items ...inventory.Item) Order {
	s.t.Helper()
	o := s.order(n, who, s.hold(n, who, uuid.NewString(), items...))
	id := payment.PaymentID(o.ID, 1)
	s.eventually("the intent exists", func() bool { return s.provider.confirm(id, payment.Authorized) })
	if err := n.Apply(context.Background(), Outcome{Order: o.ID, Payment: id, Cause: CauseAuthorized, Actor: "webhook"}); err != nil {
		s.t.Fatal(err)
	}
	return s.await(n, o.ID, TicketIssued)
}

func floor(n int) inventory.Item { return inventory.Item{Tier: "floor", Quantity: n} }

// refundState waits until a refund is in a state.
func (s *shop) refundState(n *node, id uuid.UUID, state RefundState) Refund {
	s.t.Helper()
	var f Refund
	s.eventually("the refund is "+string(state), func() bool {
		var err error
		f, err = n.FindRefund(context.Background(), id)
		return err == nil && f.State == state
	})
	return f
}

func (s *shop) caused(n *node, id uuid.UUID) string {
	s.t.Helper()
	history, err := n.History(context.Background(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	var causes []Cause
	for _, h := range history {
		causes = append(causes, h.Cause)
	}
	return fmt.Sprint(causes)
}

func (s *shop) net(code string) int64 {
	return s.count(`SELECT coalesce(sum(b.debits_posted - b.credits_posted + b.debits_pending - b.credits_pending), 0)::INT8
		FROM ledger_balances AS b JOIN ledger_accounts AS a ON a.account_id = b.account_id WHERE a.code = $1`, code)
}

func TestAWholeRefundVoidsTheTicketsAndPutsTheSeatsBackOnSale(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	ctx := context.Background()
	o := s.sold(n, buyer, floor(2), inventory.Item{Seats: []string{"A/1/1"}})
	f, err := n.Refund(ctx, RefundRequest{Order: o.ID, Key: "k", Reason: "asked by phone", Actor: "operator"})
	if err != nil || f.Amount != o.Amount || f.Kind != RefundOfOrder || len(f.Items) != 3 {
		t.Fatalf("refund %+v, %v", f, err)
	}
	o = s.await(n, o.ID, Refunded)
	if len(o.Tickets) != 0 || len(o.Refunds) != 1 || o.Refunds[0].State != RefundPaid || o.Refunds[0].ProviderRef == "" || o.Refunds[0].DoneAt.IsZero() {
		t.Errorf("order has tickets %v and refunds %+v", o.Tickets, o.Refunds)
	}
	if valid := s.count(`SELECT count(*) FROM tickets WHERE state = 'valid'`); valid != 0 {
		t.Errorf("%d tickets are valid", valid)
	}
	if taken := s.count(`SELECT sum(taken)::INT8 FROM stock`); taken != 0 {
		t.Errorf("%d units are taken", taken)
	}
	for _, account := range []string{"refunds", "organizer_payable/promoter", "platform_fees", "taxes_payable", "provider_clearing/stripe"} {
		if net := s.net(account); net != 0 {
			t.Errorf("%s is at %d", account, net)
		}
	}
	s.sold(n, lottery.Entrant{2}, inventory.Item{Seats: []string{"A/1/1"}}) // and the seat sells again
	s.audit()
}

func TestTicketsAreRefundedOneByOneUntilNoneIsLeft(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	ctx := context.Background()
	o := s.sold(n, buyer, floor(2), inventory.Item{Seats: []string{"A/1/1"}})
	first, err := n.Refund(ctx, RefundRequest{Order: o.ID, Key: "seat", Tickets: []uuid.UUID{ticket.TicketID(o.ID, 2)}})
	if err != nil || first.Amount.Minor != 10285 || first.Parts != (ledger.Parts{Face: 8000, Fee: 500, Tax: 1785}) {
		t.Fatalf("refund of the seat %+v, %v", first, err)
	}
	s.refundState(n, first.ID, RefundPaid)
	o = s.await(n, o.ID, TicketIssued)
	if len(o.Tickets) != 2 {
		t.Errorf("tickets left: %v", o.Tickets)
	}
	for _, again := range [][]uuid.UUID{{ticket.TicketID(o.ID, 2)}, {uuid.New()}} {
		if _, err := n.Refund(ctx, RefundRequest{Order: o.ID, Key: uuid.NewString(), Tickets: again}); !errors.Is(err, ErrTicketsNot) {
			t.Errorf("tickets %v: %v", again, err)
		}
	}
	keep := true
	second, err := n.Refund(ctx, RefundRequest{Order: o.ID, Key: "fee kept", Tickets: []uuid.UUID{ticket.TicketID(o.ID, 0)}, KeepFee: &keep, KeepOff: &keep})
	if err != nil || second.Amount.Minor != 6155 || second.Parts.Fee != 0 {
		t.Fatalf("refund with the fee kept %+v, %v", second, err)
	}
	s.keptOff = 1
	s.refundState(n, second.ID, RefundPaid)
	if _, err := n.Refund(ctx, RefundRequest{Order: o.ID, Key: "rest", Tickets: []uuid.UUID{ticket.TicketID(o.ID, 1)}, KeepFee: &keep}); err != nil {
		t.Fatal(err)
	}
	s.await(n, o.ID, Refunded)
	if fees := -s.net("platform_fees"); fees != 1000 {
		t.Errorf("fees kept are %d, not 1000", fees)
	}
	if taken := s.count(`SELECT sum(taken)::INT8 FROM stock`); taken != 1 {
		t.Errorf("%d units are taken; the one kept off sale should be", taken)
	}
	want := fmt.Sprint([]Cause{CauseOpened, CauseBegun, CauseAuthorized, CauseCaptured, CauseIssued,
		CausePartRefundRequested, CausePartRefunded, CausePartRefundRequested, CausePartRefunded, CauseRefundRequested, CauseRefunded})
	if got := s.caused(n, o.ID); got != want {
		t.Errorf("history %s, want %s", got, want)
	}
	s.audit()
}

func TestAnAmountIsSharedAmongThePartsAndTheRestCanFollow(t *testing.T) {
	t.Parallel() // it mostly waits
	s := newShop(t)
	n := s.open(true)
	ctx := context.Background()
	o := s.sold(n, buyer, floor(3))
	for i, minor := range []int64{1, 3333, 7777} {
		f, err := n.Refund(ctx, RefundRequest{Order: o.ID, Key: fmt.Sprint(i), Minor: minor})
		if err != nil || f.Amount.Minor != minor {
			t.Fatalf("refund of %d: %+v, %v", minor, f, err)
		}
		s.refundState(n, f.ID, RefundPaid)
	}
	if o = s.await(n, o.ID, TicketIssued); len(o.Tickets) != 3 {
		t.Errorf("an amount took tickets: %v", o.Tickets)
	}
	if _, err := n.Refund(ctx, RefundRequest{Order: o.ID, Key: "too much", Minor: 3*6655 - 1 - 3333 - 7777 + 1}); !errors.Is(err, ledger.ErrOverRefund) {
		t.Errorf("more than is left: %v", err)
	}
	f, err := n.Refund(ctx, RefundRequest{Order: o.ID, Key: "rest"})
	if err != nil || f.Amount.Minor != 3*6655-1-3333-7777 {
		t.Fatalf("the rest: %+v, %v", f, err)
	}
	s.await(n, o.ID, Refunded)
	if got := s.provider.returned(); got != o.Amount.Minor {
		t.Errorf("%d of %v came back", got, o.Amount)
	}
	if s.net("refunds") != 0 || s.net("organizer_payable/promoter") != 0 || s.net("rounding") != 0 {
		t.Errorf("left: refunds %d, organizer %d, rounding %d", s.net("refunds"), s.net("organizer_payable/promoter"), s.net("rounding"))
	}
	s.audit()
}

func TestTheSameKeyIsTheSameRefundAndNoTwoTakeMoreThanIsLeft(t *testing.T) {
	s := newShop(t)
	a, b := s.open(true), s.open(true)
	ctx := context.Background()
	o := s.sold(a, buyer, floor(3))
	var wg sync.WaitGroup
	ids := make([]uuid.UUID, 8)
	for i := range ids {
		wg.Go(func() {
			f, err := []*node{a, b}[i%2].Refund(ctx, RefundRequest{Order: o.ID, Key: "k", Minor: 9000})
			if err != nil {
				t.Error(err)
			}
			ids[i] = f.ID
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != RefundID(o.ID, "k") {
			t.Errorf("refund %s", id)
		}
	}
	if _, err := a.Refund(ctx, RefundRequest{Order: o.ID, Key: "k", Minor: 9001}); !errors.Is(err, ErrRefundKey) {
		t.Errorf("the same key for another amount: %v", err)
	}
	var made, over int
	var mu sync.Mutex
	for i := range 8 { // 19,965 less 9,000: two of 5,000 fit
		wg.Go(func() {
			_, err := []*node{a, b}[i%2].Refund(ctx, RefundRequest{Order: o.ID, Key: fmt.Sprint(i), Minor: 5000})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				made++
			case errors.Is(err, ledger.ErrOverRefund):
				over++
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if made != 2 || over != 6 {
		t.Errorf("%d refunds were made, %d refused", made, over)
	}
	s.eventually("all are paid", func() bool { return s.count(`SELECT count(*) FROM refunds WHERE state = 'succeeded'`) == 3 })
	s.audit()
}

// Whatever the provider and the network do to a refund, the buyer gets the money once and the books say so.
func TestARefundIsMadeOnceWhateverHappensToTheCalls(t *testing.T) {
	t.Parallel() // it mostly waits
	for name, set := range map[string]func(*faults){
		"the answer is lost twice":               func(f *faults) { f.lose = 1; f.down = 0 },
		"nothing works for a while":              func(f *faults) { f.down = 3 },
		"it is made and answered as refused":     func(f *faults) { f.deny = 1 },
		"it is lost, and then the provider down": func(f *faults) { f.lose, f.down = 1, 0 },
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t)
			n := s.open(true)
			o := s.sold(n, buyer, floor(1))
			s.provider.fault(set)
			if _, err := n.Refund(context.Background(), RefundRequest{Order: o.ID, Key: "k"}); err != nil {
				t.Fatal(err)
			}
			s.await(n, o.ID, Refunded)
			if got := s.provider.returned(); got != o.Amount.Minor {
				t.Errorf("the provider gave %d back", got)
			}
			s.audit()
		})
	}
}

// A pending refund ends by webhook or by being asked about, in any order, any number of times.
func TestThePendingRefundEndsByWhateverTellsFirst(t *testing.T) {
	t.Parallel() // it mostly waits
	s := newShop(t)
	n := s.open(true)
	ctx := context.Background()
	s.provider.fault(func(f *faults) { f.slow = true })
	told, asked := s.sold(n, lottery.Entrant{1}, floor(1)), s.sold(n, lottery.Entrant{2}, floor(1))
	for _, o := range []Order{told, asked} {
		if _, err := n.Refund(ctx, RefundRequest{Order: o.ID, Key: "k"}); err != nil {
			t.Fatal(err)
		}
		s.refundState(n, RefundID(o.ID, "k"), RefundTaken)
		if got, _ := n.Find(ctx, o.ID); got.State != RefundPending || s.net("refunds") != 0 {
			t.Errorf("order is %s, refunds are off by %d", got.State, s.net("refunds"))
		}
	}
	id := RefundID(told.ID, "k")
	news := payment.Event{Provider: "stripe", ID: "evt_1", OrderID: told.ID, PaymentID: told.Payment.ID,
		Refund: &payment.RefundNews{RefundID: id, Outcome: s.provider.finish(id, payment.RefundSucceeded)}}
	stale := news
	stale.Refund = &payment.RefundNews{RefundID: id, Outcome: payment.RefundOutcome{State: payment.RefundPending, ProviderRef: news.Refund.Outcome.ProviderRef}}
	for _, e := range []payment.Event{news, stale, news} {
		if err := n.Webhooks(ctx, []payment.Event{e, e}); err != nil {
			t.Fatal(err)
		}
	}
	s.await(n, told.ID, Refunded)
	s.provider.finish(RefundID(asked.ID, "k"), payment.RefundSucceeded) // and nobody tells
	s.await(n, asked.ID, Refunded)
	unknown := payment.Event{Provider: "stripe", Refund: &payment.RefundNews{RefundID: uuid.New(), Outcome: payment.RefundOutcome{State: payment.RefundSucceeded}}}
	if err := n.Webhooks(ctx, []payment.Event{unknown}); err != nil {
		t.Errorf("a refund of nobody: %v", err)
	}
	s.audit()
}

func TestARefusedRefundIsTriedAgainUnderAnotherIDOrPaidOtherwise(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	ctx := context.Background()
	again, otherwise := s.sold(n, lottery.Entrant{1}, floor(1)), s.sold(n, lottery.Entrant{2}, floor(2))
	for _, o := range []Order{again, otherwise} {
		s.provider.fault(func(f *faults) { f.refuse = 1 })
		if _, err := n.Refund(ctx, RefundRequest{Order: o.ID, Key: "k"}); err != nil {
			t.Fatal(err)
		}
		s.await(n, o.ID, RefundFailed)
		f, _ := n.FindRefund(ctx, RefundID(o.ID, "k"))
		if f.State != RefundRefused || f.Failure != "charge_disputed" {
			t.Errorf("refund %+v", f)
		}
	}
	if s.net("refunds") != 0 || -s.net("organizer_payable/promoter") != 3*5000 {
		t.Errorf("refunds are at %d, the organizer at %d", s.net("refunds"), s.net("organizer_payable/promoter"))
	}
	if page, err := n.Refunds(ctx, RefundPage{Unsettled: true, Limit: 10}); err != nil || len(page) != 2 {
		t.Errorf("unsettled: %d, %v", len(page), err)
	}
	for range 2 {
		f, err := n.RetryRefund(ctx, RefundID(again.ID, "k"), "r", "operator")
		if err != nil || f.RetryOf != RefundID(again.ID, "k") || f.ID == f.RetryOf || f.Amount != again.Amount {
			t.Fatalf("retry %+v, %v", f, err)
		}
	}
	s.await(n, again.ID, Refunded)
	if _, err := n.RetryRefund(ctx, RefundID(again.ID, "k"), "another", "operator"); !errors.Is(err, ErrRefundOpen) {
		t.Errorf("retried once more: %v", err)
	}
	for range 2 {
		f, err := n.PaidOtherwise(ctx, RefundID(otherwise.ID, "k"), "bank transfer 42", "operator")
		if err != nil || f.Resolution != ResolvedOtherwise {
			t.Fatalf("paid otherwise: %+v, %v", f, err)
		}
	}
	s.await(n, otherwise.ID, Refunded)
	if bank := s.net("bank"); bank != -otherwise.Amount.Minor {
		t.Errorf("the bank is at %d", bank)
	}
	if _, err := n.RetryRefund(ctx, RefundID(otherwise.ID, "k"), "r", "operator"); !errors.Is(err, ErrRefundOpen) {
		t.Errorf("retried what was paid: %v", err)
	}
	if page, err := n.Refunds(ctx, RefundPage{Unsettled: true, Limit: 10}); err != nil || len(page) != 0 {
		t.Errorf("unsettled: %d, %v", len(page), err)
	}
	if s.net("organizer_payable/promoter") != 0 || s.net("refunds") != 0 {
		t.Errorf("the organizer is at %d, refunds at %d", s.net("organizer_payable/promoter"), s.net("refunds"))
	}
	s.audit()
}

func TestMoneyThatTheBankSendsBackIsUndoneAndSeen(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	ctx := context.Background()
	o := s.sold(n, buyer, floor(1))
	if _, err := n.Refund(ctx, RefundRequest{Order: o.ID, Key: "k"}); err != nil {
		t.Fatal(err)
	}
	s.await(n, o.ID, Refunded)
	id := RefundID(o.ID, "k")
	out := s.provider.finish(id, payment.RefundFailed)
	good := out
	good.State = payment.RefundSucceeded
	for _, news := range []payment.RefundOutcome{out, out, good} { // twice, and the old news once more
		if err := n.Webhooks(ctx, []payment.Event{{Provider: "stripe", OrderID: o.ID, PaymentID: o.Payment.ID, Refund: &payment.RefundNews{RefundID: id, Outcome: news}}}); err != nil {
			t.Fatal(err)
		}
	}
	s.await(n, o.ID, RefundFailed)
	if s.net("provider_clearing/stripe") != o.Amount.Minor || s.net("refunds") != 0 {
		t.Errorf("provider at %d, refunds at %d", s.net("provider_clearing/stripe"), s.net("refunds"))
	}
	s.audit()
	if _, err := n.RetryRefund(ctx, id, "r", "operator"); err != nil {
		t.Fatal(err)
	}
	s.await(n, o.ID, Refunded)
	s.audit()
}

func TestARefundMadeAtTheProviderIsFoundBookedAndFlagged(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	ctx := context.Background()
	o := s.sold(n, buyer, floor(2))
	out := s.provider.dashboard(o.Payment.ID, 1234)
	e := payment.Event{Provider: "stripe", ID: "evt", OrderID: o.ID, PaymentID: o.Payment.ID, Refund: &payment.RefundNews{Outcome: out}}
	for range 2 {
		if err := n.Webhooks(ctx, []payment.Event{e, e}); err != nil {
			t.Fatal(err)
		}
	}
	o = s.await(n, o.ID, TicketIssued)
	if len(o.Tickets) != 2 || len(o.Refunds) != 1 || o.Refunds[0].Kind != RefundFound || o.Refunds[0].State != RefundPaid || o.Refunds[0].Amount.Minor != 1234 {
		t.Errorf("tickets %v, refunds %+v", o.Tickets, o.Refunds)
	}
	if found, err := n.Refunds(ctx, RefundPage{Kind: RefundFound, Event: s.event, Limit: 10}); err != nil || len(found) != 1 {
		t.Errorf("found %v, %v", found, err)
	}
	s.audit()
	if f, err := n.Refund(ctx, RefundRequest{Order: o.ID, Key: "rest"}); err != nil || f.Amount.Minor != o.Amount.Minor-1234 {
		t.Fatalf("the rest: %+v, %v", f, err)
	}
	s.await(n, o.ID, Refunded)
	s.audit()
}

func TestAPendingRefundMadeAtTheProviderIsAskedAboutUntilItHasEnded(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	o := s.sold(n, buyer, floor(2))
	out := s.provider.dashboard(o.Payment.ID, 1234)
	out.State = payment.RefundPending // it has ended since, and the webhook about that was lost
	e := payment.Event{Provider: "stripe", ID: "evt", OrderID: o.ID, PaymentID: o.Payment.ID, Refund: &payment.RefundNews{Outcome: out}}
	if err := n.Webhooks(context.Background(), []payment.Event{e}); err != nil {
		t.Fatal(err)
	}
	s.eventually("it is paid", func() bool {
		return s.count(`SELECT count(*) FROM refunds WHERE state = 'succeeded' AND kind = 'found'`) == 1
	})
	s.await(n, o.ID, TicketIssued)
	s.audit()
}

func TestAPaymentThatIsNotCapturedYetCannotBeRefunded(t *testing.T) {
	s := newShop(t)
	n := s.open(false)
	ctx := context.Background()
	o := s.order(n, buyer, s.hold(n, buyer, "k", floor(1)))
	if _, err := n.Refund(ctx, RefundRequest{Order: o.ID, Key: "k"}); !errors.Is(err, ErrRefundEarly) {
		t.Errorf("while pending: %v", err)
	}
	if _, err := n.Refund(ctx, RefundRequest{Order: uuid.New(), Key: "k"}); !errors.Is(err, ErrOrderUnknown) {
		t.Errorf("of nothing: %v", err)
	}
	if _, err := n.stock.Release(ctx, o.Hold, buyer); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Refund(ctx, RefundRequest{Order: o.ID, Key: "k"}); !errors.Is(err, ErrTransition) {
		t.Errorf("of what was never paid: %v", err)
	}
	if n := s.count(`SELECT count(*) FROM refunds`); n != 0 {
		t.Errorf("%d refunds", n)
	}
}

func TestBuyersRefundThemselvesWhereTheEventLetsThem(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	ctx := context.Background()
	o := s.sold(n, buyer, floor(2))
	if _, err := n.RefundOwn(ctx, o.ID, buyer, "k", nil); !errors.Is(err, ErrRefundRefused) {
		t.Errorf("not allowed: %v", err)
	}
	s.policy = RefundPolicy{Buyers: true, Until: time.Now().Add(-time.Minute), KeepFee: true}
	if _, err := n.RefundOwn(ctx, o.ID, buyer, "k", nil); !errors.Is(err, ErrRefundRefused) {
		t.Errorf("too late: %v", err)
	}
	s.policy.Until = time.Now().Add(time.Hour)
	if _, err := n.RefundOwn(ctx, o.ID, lottery.Entrant{9}, "k", nil); !errors.Is(err, ErrOrderUnknown) {
		t.Errorf("somebody else's: %v", err)
	}
	got, err := n.RefundOwn(ctx, o.ID, buyer, "k", []uuid.UUID{o.Tickets[1]})
	if err != nil || len(got.Refunds) != 1 || got.Refunds[0].Amount.Minor != 6155 || got.Refunds[0].Actor != "buyer" {
		t.Fatalf("%+v, %v", got.Refunds, err)
	}
	s.policy.Buyers = false
	if _, err := n.RefundOwn(ctx, o.ID, buyer, "k", []uuid.UUID{o.Tickets[1]}); err != nil {
		t.Errorf("asked again, after the file has changed: %v", err)
	}
	s.refundState(n, got.Refunds[0].ID, RefundPaid)
	s.audit()
}

func TestABuyerDoesNotRefundWhatIsSomebodyElsesByNowAndAnOperatorDoes(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	ctx := context.Background()
	o := s.sold(n, buyer, floor(3))
	s.policy = RefundPolicy{Buyers: true, Until: time.Now().Add(time.Hour)}
	receiver := lottery.Entrant{7}
	if err := s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		x, err := ticket.Load(ctx, tx, o.Tickets[1])
		if err != nil {
			return err
		}
		if err := inventory.Pass(ctx, tx, inventory.Passing{Unit: x.ID, Hold: o.Hold, To: receiver, Limit: 4}); err != nil {
			return err
		}
		return n.issuer.Reissue(ctx, tx, []ticket.Reissue{{Ticket: x, Owner: receiver}})
	}); err != nil {
		t.Fatal(err)
	}
	for name, tickets := range map[string][]uuid.UUID{"all": nil, "that one": {o.Tickets[1]}, "that one and another": {o.Tickets[0], o.Tickets[1]}} {
		if _, err := n.RefundOwn(ctx, o.ID, buyer, name, tickets); !errors.Is(err, ErrRefundTransferred) {
			t.Errorf("%s: %v", name, err)
		}
	}
	got, err := n.RefundOwn(ctx, o.ID, buyer, "another", []uuid.UUID{o.Tickets[0]})
	if err != nil || len(got.Refunds) != 1 {
		t.Fatalf("another one: %+v, %v", got.Refunds, err)
	}
	s.refundState(n, got.Refunds[0].ID, RefundPaid)
	f, err := n.Refund(ctx, RefundRequest{Order: o.ID, Key: "k", Tickets: []uuid.UUID{o.Tickets[1]}, Reason: "asked by phone", Actor: "operator"})
	if err != nil {
		t.Fatalf("by an operator: %v", err)
	}
	s.refundState(n, f.ID, RefundPaid)
	x, err := ticket.Load(ctx, s.db.Pool, o.Tickets[1])
	if err != nil || x.State != ticket.Voided || x.Owner != receiver {
		t.Errorf("the receiver's ticket: %+v, %v", x, err)
	}
	for who, want := range map[lottery.Entrant]int64{buyer: 1, receiver: 0} {
		if taken := s.count(`SELECT coalesce(sum(taken), 0)::INT8 FROM quota WHERE kind = 'entrant' AND buyer = $1`, who[:]); taken != want {
			t.Errorf("%d units count for %x, not %d", taken, who, want)
		}
	}
}
