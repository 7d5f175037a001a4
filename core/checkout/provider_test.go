package checkout

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"fairgate/core/payment"
	"fairgate/ledger"
)

// faults are how the provider in memory misbehaves with refunds. Each is used up by one call, but slow.
type faults struct {
	lose    int           // refunds that are made while their answer is lost
	refuse  int           // refunds that are refused and not made
	deny    int           // refunds that are made and answered as refused
	down    int           // calls that do nothing
	slow    bool          // refunds are pending until finish
	hold    chan struct{} // captures wait until it is closed
	blind   bool          // refunds cannot be looked up
	forgets bool          // the payment is not shown any more
	lookups int           // counts
	calls   int           // of Refund, counts
}

// refund is one refund in the provider's books.
type refund struct {
	payment uuid.UUID
	amount  ledger.Amount
	state   payment.RefundState
	ref     string
}

var errCut = errors.New("connection cut")

func (p *provider) outcome(f *refund) payment.RefundOutcome {
	out := payment.RefundOutcome{State: f.state, ProviderRef: f.ref, Amount: f.amount}
	if f.state == payment.RefundFailed {
		out.Failure = "lost_or_stolen_card"
	}
	return out
}

// left is what has not been given back of a payment.
func (p *provider) left(id uuid.UUID) int64 {
	in := p.intents[id]
	if in == nil || in.state != payment.Captured {
		return 0
	}
	left := in.amount.Minor
	for _, f := range p.refunds {
		if f.payment == id && f.state != payment.RefundFailed {
			left -= f.amount.Minor
		}
	}
	return left
}

// Refund gives money back; the same id is the same refund.
func (p *provider) Refund(_ context.Context, i payment.Intent, r payment.Refund) (payment.RefundOutcome, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults.calls++
	if p.faults.down > 0 {
		p.faults.down--
		return payment.RefundOutcome{}, errors.Join(errCut, payment.ErrTemporary)
	}
	if f := p.refunds[r.ID]; f != nil {
		return p.outcome(f), nil
	}
	if p.faults.refuse > 0 {
		p.faults.refuse--
		return payment.RefundOutcome{Failure: "charge_disputed"}, payment.ErrRejected
	}
	if r.Amount.Minor > p.left(i.PaymentID) {
		return payment.RefundOutcome{Failure: "amount_too_large"}, payment.ErrRejected
	}
	f := &refund{payment: i.PaymentID, amount: r.Amount, state: payment.RefundSucceeded, ref: "re_" + r.ID.String()}
	if p.faults.slow {
		f.state = payment.RefundPending
	}
	p.refunds[r.ID] = f
	switch {
	case p.faults.lose > 0:
		p.faults.lose--
		return payment.RefundOutcome{}, errors.Join(errCut, payment.ErrUnknown)
	case p.faults.deny > 0:
		p.faults.deny--
		return payment.RefundOutcome{}, payment.ErrRejected
	}
	return p.outcome(f), nil
}

func (p *provider) LookupRefund(_ context.Context, i payment.Intent, r payment.Refund) (payment.RefundOutcome, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults.lookups++
	if p.faults.blind {
		return payment.RefundOutcome{}, errors.Join(errCut, payment.ErrTemporary)
	}
	if p.faults.forgets {
		return payment.RefundOutcome{}, payment.ErrNotFound // the payment
	}
	if r.Found { // it bears no id of ours
		for _, f := range p.refunds {
			if f.ref == r.ProviderRef && f.payment == i.PaymentID && f.amount == r.Amount {
				return p.outcome(f), nil
			}
		}
	}
	if f := p.refunds[r.ID]; f != nil {
		return p.outcome(f), nil
	}
	return payment.RefundOutcome{}, payment.ErrNoRefund
}

// finish ends a refund that the provider has taken on, or takes it back, and answers what its webhook would say.
func (p *provider) finish(id uuid.UUID, state payment.RefundState) payment.RefundOutcome {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refunds[id].state = state
	return p.outcome(p.refunds[id])
}

// dashboard is somebody refunding in the provider's own pages.
func (p *provider) dashboard(intent uuid.UUID, minor int64) payment.RefundOutcome {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := &refund{payment: intent, amount: ledger.Amount{Minor: minor, Currency: "EUR"}, state: payment.RefundSucceeded, ref: "re_dash_" + uuid.NewString()}
	p.refunds[uuid.New()] = f
	return p.outcome(f)
}

// returned is what the provider has paid out, or will when it has got round to it.
func (p *provider) returned() (minor int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.refunds {
		if f.state == payment.RefundSucceeded {
			minor += f.amount.Minor
		}
	}
	return minor
}

// made is how many refunds the provider has of a payment.
func (p *provider) made(id uuid.UUID) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.refunds {
		if f.payment == id && f.state != payment.RefundFailed {
			n++
		}
	}
	return n
}

// fault changes how the provider misbehaves.
func (p *provider) fault(set func(*faults)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	set(&p.faults)
}

// total is what the provider has captured.
func (p *provider) total() int64 {
	_, minor := p.captured()
	return minor
}
