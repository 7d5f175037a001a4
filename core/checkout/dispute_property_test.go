package checkout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"fairgate/core/inventory"
	"fairgate/core/payment"
	"fairgate/core/ticket"
	"fairgate/edge/lottery"
	"fairgate/ledger"
)

// affair is one order, and what its buyer, operators, banks and the provider do with its money.
type affair struct {
	*shop
	n        *node
	o        Order
	rt       *rapid.T
	disputes []payment.DisputeNews // as they end
	refunds  []uuid.UUID
}

// look is what all tables say of the order, at one moment.
type look struct {
	money    ledger.OrderMoney
	booked   []ledger.Booked
	tickets  []ticket.Ticket
	order    State
	refunds  []Refund
	disputes []Dispute
}

func (y *affair) look() (l look) {
	y.t.Helper()
	ctx := y.t.Context()
	err := y.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
		l = look{}
		if l.money, err = ledger.ReadOrder(ctx, tx, y.o.ID); err != nil {
			return err
		}
		if l.booked, err = ledger.OfReference(ctx, tx, y.o.ID, 500); err != nil {
			return err
		}
		if l.tickets, err = ticket.OfOrder(ctx, tx, y.o.ID, len(y.o.Lines)); err != nil {
			return err
		}
		if l.refunds, err = refundsOf(ctx, tx, y.o.ID); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, sqlDisputeColumns+`WHERE order_id = $1 ORDER BY ref`, y.o.ID)
		if err != nil {
			return err
		}
		if l.disputes, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (Dispute, error) { return scanDispute(row) }); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT state FROM orders WHERE order_id = $1`, y.o.ID).Scan(&l.order)
	})
	if err != nil {
		y.rt.Fatal(err)
	}
	return l
}

// check holds the tables against each other: money in the ledger is what was captured less what was given back or lost, nothing is
// given back that is not there, and a ticket is valid only while its money is ours.
func (y *affair) check() {
	y.t.Helper()
	l := y.look()
	var promised, paid, undecided, taken, lost int64
	gone := map[int]bool{}
	for i := range l.refunds {
		f := &l.refunds[i]
		if f.State != RefundRefused {
			promised += f.Amount.Minor
		}
		if f.State == RefundPaid {
			paid += f.Amount.Minor
		}
		for _, item := range f.Items {
			gone[item] = true
		}
	}
	for i := range l.disputes {
		switch d := &l.disputes[i]; {
		case !d.Taken || d.State == payment.DisputeWon:
		case d.State == payment.DisputeLost:
			lost, taken = lost+d.Amount.Minor, taken+d.Amount.Minor
		default:
			undecided, taken = undecided+d.Amount.Minor, taken+d.Amount.Minor
		}
	}
	m := l.money
	excess := max(0, promised+lost-m.CapturedMinor)
	if left := m.CapturedMinor - m.ReturnedMinor; left < 0 || left != m.CapturedMinor-(promised+lost-excess) {
		y.rt.Errorf("%d is left of %d, with %d refunded, %d lost", left, m.CapturedMinor, promised, lost)
	}
	if m.ExcessMinor != excess || m.DisputedMinor != undecided {
		y.rt.Errorf("the ledger has %d taken twice and %d disputed, not %d and %d", m.ExcessMinor, m.DisputedMinor, excess, undecided)
	}
	at := map[string]int64{}
	for _, b := range l.booked {
		if b.Kind == ledger.Single || b.Kind == ledger.Post || b.Kind == ledger.Reverse {
			at[b.Debit] += b.Amount.Minor
			at[b.Credit] -= b.Amount.Minor
		}
	}
	if got := at["provider_clearing/stripe"]; got != m.CapturedMinor-paid-taken {
		y.rt.Errorf("the provider has %d of the order, not %d - %d - %d", got, m.CapturedMinor, paid, taken)
	}
	if at["refunds"] != 0 || at["disputes/stripe"] != undecided {
		y.rt.Errorf("refunds is at %d, disputes at %d", at["refunds"], at["disputes/stripe"])
	}
	for i, x := range l.tickets {
		if x.State == ticket.Valid && (undecided > 0 || lost > 0 || gone[i]) {
			y.rt.Errorf("ticket %d is valid with %d disputed, %d lost, refunded %t", i, undecided, lost, gone[i])
		}
		if x.State != ticket.Valid && l.order == TicketIssued && !gone[i] {
			y.rt.Errorf("ticket %d is void, and its money is ours", i)
		}
	}
	want := standing(&record{order: Order{State: TicketIssued, Lines: y.o.Lines}}, l.refunds)
	switch {
	case lost > 0:
		want = DisputeLost
	case undecided > 0:
		want = Disputed
	}
	if l.order != want {
		y.rt.Errorf("the order is %s, want %s", l.order, want)
	}
}

// allowed are the refusals that the books may have for what is asked of them.
func (y *affair) allowed(err error) bool {
	for _, known := range []error{ErrTransition, ErrRefundNothing, ErrTicketsNot, ErrRefundOpen, ledger.ErrOverRefund} {
		if errors.Is(err, known) {
			return true
		}
	}
	if err != nil {
		y.rt.Fatal(err)
	}
	return false
}

// refund asks for a refund, and waits until the provider has it.
func (y *affair) refund(q RefundRequest) {
	q.Order, q.Key, q.Reason, q.Actor = y.o.ID, uuid.NewString(), "property", "operator"
	f, err := y.n.Refund(y.t.Context(), q)
	if y.allowed(err) {
		return
	}
	y.refunds = append(y.refunds, f.ID)
	y.refundState(y.n, f.ID, RefundTaken)
}

// act does one of the things that may happen next.
func (y *affair) act() {
	ctx, rt := y.t.Context(), y.rt
	some := func() (uuid.UUID, bool) {
		if len(y.refunds) == 0 {
			return uuid.Nil, false
		}
		return rapid.SampledFrom(y.refunds).Draw(rt, "refund"), true
	}
	switch rapid.IntRange(0, 9).Draw(rt, "what") {
	case 0:
		y.refund(RefundRequest{Tickets: []uuid.UUID{ticket.TicketID(y.o.ID, rapid.IntRange(0, 1).Draw(rt, "ticket"))}})
	case 1:
		y.refund(RefundRequest{})
	case 2:
		y.refund(RefundRequest{Minor: rapid.Int64Range(1, total).Draw(rt, "minor")})
	case 3, 4:
		if id, any := some(); any {
			state := rapid.SampledFrom([]payment.RefundState{payment.RefundSucceeded, payment.RefundFailed}).Draw(rt, "ends")
			if f, err := y.n.FindRefund(ctx, id); err != nil || f.State == RefundRefused && state == payment.RefundSucceeded {
				return // no provider takes a failure back
			}
			y.tells(y.n, id, state)
		}
	case 5:
		if id, any := some(); any {
			f, err := y.n.RetryRefund(ctx, id, uuid.NewString(), "operator")
			if !y.allowed(err) {
				y.refunds = append(y.refunds, f.ID)
				y.refundState(y.n, f.ID, RefundTaken)
			}
		}
	default: // news of a dispute: opened, under review, decided; in any order, more than once
		d := rapid.SampledFrom(y.disputes).Draw(rt, "dispute")
		d.State = rapid.SampledFrom([]payment.DisputeState{payment.DisputeInquiry, payment.DisputeOpen, payment.DisputeReview, d.State}).Draw(rt, "news")
		for range rapid.IntRange(1, 2).Draw(rt, "times") {
			y.says(y.n, d)
		}
	}
}

// Whatever refunds and disputes do with an order, in whatever order the news of them come, and twice.
func TestMoneyOfAnOrderIsWhatIsNeitherGivenBackNorLost(t *testing.T) {
	t.Parallel() // it mostly waits
	s, n, b, _ := disputable(t)
	s.provider.fault(func(f *faults) { f.slow = true })
	s.exec(`UPDATE stock SET capacity = 100000 WHERE tier = 'floor'`)
	who := 20
	rapid.Check(t, func(rt *rapid.T) {
		who++
		y := &affair{shop: s, n: n, rt: rt, o: s.sold(n, lottery.Entrant{byte(who), byte(who >> 8), 9}, inventory.Item{Tier: "floor", Quantity: 2})}
		ref := fmt.Sprint("pi", who)
		b.mu.Lock()
		b.orders[ref] = y.o
		b.mu.Unlock()
		for i := range 2 {
			y.disputes = append(y.disputes, payment.DisputeNews{
				Ref: fmt.Sprintf("dp_%d_%d", who, i), PaymentRef: ref, Reason: "fraudulent",
				Amount: ledger.Amount{Minor: rapid.SampledFrom([]int64{total, total / 2, 1, 7001}).Draw(rt, "disputed"), Currency: "EUR"},
				State:  rapid.SampledFrom([]payment.DisputeState{payment.DisputeWon, payment.DisputeLost}).Draw(rt, "end"),
			})
		}
		for range rapid.IntRange(5, 15).Draw(rt, "steps") {
			y.act()
			y.check()
		}
		for _, d := range y.disputes { // and at last everything is decided
			d.State = slices.MaxFunc([]payment.DisputeState{payment.DisputeOpen, d.State}, func(a, b payment.DisputeState) int { return disputeRank[a] - disputeRank[b] })
			y.says(n, d)
			y.check()
		}
	})
	if report, err := ledger.Verify(t.Context(), s.db.Pool); err != nil || !report.OK {
		t.Errorf("ledger: %+v, %v", report, err)
	}
}
