package checkout

import (
	"context"
	"fmt"
	"strconv"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/payment"
	"fairgate/ledger"
)

// taken is what banks have of a payment: by disputes that are undecided all that is disputed, by those that were lost what is the
// buyer's, which may be a part.
type taken struct {
	minor int64
	lost  bool // one of them
}

const sqlTaken = `SELECT payment_id, dispute_id, amount_minor, state = 'lost' FROM disputes WHERE order_id = $1 AND taken AND state <> 'won'`

// books is what reads the ledger: a transaction, or the reading pool.
type books interface {
	ledger.Querier
	ledger.Reader
}

// late tells whether the attempt's money came too late and has not bought anything since.
func (p *Payment) late() bool { return p.State == PaymentCaptured && p.Failure == lateMoney }

// readTaken finds out what banks have of an order's payments, where that matters: of late money.
func (r *record) readTaken(ctx context.Context, q books) error {
	r.taken = nil
	matters := false
	for i := range r.payments {
		matters = matters || r.payments[i].late()
	}
	if !matters {
		return nil
	}
	r.taken = map[uuid.UUID]taken{}
	rows, err := q.Query(ctx, sqlTaken, r.order.ID)
	if err != nil {
		return fmt.Errorf("read what is disputed of order %s: %w", r.order.ID, err)
	}
	disputes, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (d disputed, err error) {
		return d, row.Scan(&d.payment, &d.id, &d.minor, &d.lost)
	})
	if err != nil {
		return fmt.Errorf("read what is disputed of order %s: %w", r.order.ID, err)
	}
	var moves map[uuid.UUID][]ledger.Move // read when one was lost
	for _, d := range disputes {
		if d.lost && moves == nil {
			if moves, err = ledger.ReferenceMoves(ctx, q, []uuid.UUID{r.order.ID}); err != nil {
				return err
			}
		}
		if part, booked := ledger.RecordedLoss(moves[r.order.ID], r.order.ID, d.id); d.lost && booked {
			d.minor = part
		}
		t := r.taken[d.payment]
		r.taken[d.payment] = taken{t.minor + d.minor, t.lost || d.lost}
	}
	return nil
}

// disputed is a row of sqlTaken.
type disputed struct {
	payment, id uuid.UUID
	minor       int64
	lost        bool
}

// lateOwed is what of an attempt's late money is neither with a bank nor any refund's. One that failed and is not settled is an
// operator's to repeat; one that a lost dispute settled gave nothing, but for what the bank took.
func (r *record) lateOwed(p *Payment, refunds []Refund) int64 {
	t := r.taken[p.ID]
	owed := r.order.Amount.Minor - t.minor
	for i := range refunds {
		f := &refunds[i]
		if f.Payment == p.ID && (f.State != RefundRefused || f.unsettled() || f.Resolution == ResolvedOtherwise && !t.lost) {
			owed -= f.Amount.Minor
		}
	}
	return max(0, owed)
}

// owesLate tells whether anything is owed of any late money of the order.
func (r *record) owesLate(refunds []Refund) bool {
	for i := range r.payments {
		if p := &r.payments[i]; p.late() && r.lateOwed(p, refunds) > 0 {
			return true
		}
	}
	return false
}

// lateWhole tells whether all of an attempt's late money is there to buy something: nothing of it was given back or promised, and no
// bank has anything of it.
func lateWhole(ctx context.Context, q books, r *record, p *Payment) (bool, error) {
	refunds, err := refundsOf(ctx, q, r.order.ID)
	if err != nil {
		return false, err
	}
	now := *r
	if err := now.readTaken(ctx, q); err != nil {
		return false, err
	}
	left, err := lateLeft(ctx, q, r.order.ID, p.ID)
	if err != nil {
		return false, err
	}
	whole := r.order.Amount.Minor
	return left >= whole && now.lateOwed(p, refunds) >= whole, nil
}

// lateSale is late money that a batch sells something for.
type lateSale struct {
	record  *record
	payment Payment // as it was read
}

// stillWhole refuses, in the batch's transaction, to sell for late money of which anything is gone since it was read.
func (b *batch) stillWhole(ctx context.Context, tx pgx.Tx) error {
	for i := range b.lateSales {
		sale := &b.lateSales[i]
		was := *sale.record
		was.payments = []Payment{sale.payment}
		whole, err := lateWhole(ctx, tx, &was, &sale.payment)
		if err != nil {
			return err
		}
		if !whole {
			return fmt.Errorf("late money of order %s went elsewhere: %w", was.order.ID, errOutdated)
		}
	}
	return nil
}

// lateTask has the outbox decide anew about late money after something else has happened to it: a dispute was decided, a refund failed.
func lateTask(of, order, attempt uuid.UUID) payment.Task {
	return payment.Task{ID: payment.TaskID(of, taskLate), Kind: taskLate, OrderID: order, PaymentID: attempt}
}

// lateRefundID is the id of a refund of late money. It follows from the payment and how many refunds of it there were before.
func lateRefundID(order, attempt uuid.UUID, refunds []Refund) uuid.UUID {
	key, before := "late/"+attempt.String(), 0
	for i := range refunds {
		if refunds[i].Payment == attempt {
			before++
		}
	}
	if before > 0 {
		key += "/" + strconv.Itoa(before)
	}
	return RefundID(order, key)
}

// settledLate is the payload of a task about a payment of which the provider's settlement told first that it was captured.
const settledLate = "settled"

// SettledLate, in the transaction in which a reconciliation books a payment as its order's late money, has the outbox ask the provider
// about it: what it says to have captured is then sold or given back like all late money. The money is booked once, whoever does it.
func (s *Service) SettledLate(ctx context.Context, tx pgx.Tx, order, attempt uuid.UUID) error {
	return s.outbox.Enqueue(ctx, tx, []payment.Task{{ID: payment.TaskID(attempt, taskLate+"/"+settledLate), Kind: taskLate, OrderID: order, PaymentID: attempt,
		Payload: settledLate}})
}

// capturedUnheard applies a capture that only the settlement told of.
func (s *Service) capturedUnheard(ctx context.Context, t payment.Task, a *attempt) error {
	out, err := a.provider.Lookup(ctx, a.intent)
	if err != nil {
		return fmt.Errorf("look up a payment that was settled: %w", err)
	}
	if out.State != payment.Captured {
		return fmt.Errorf("the settlement has payment %s as captured, and its provider as %s: %w", t.PaymentID, out.State, payment.ErrPermanent)
	}
	return s.tell(ctx, t, out)
}
