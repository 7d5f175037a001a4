package checkout

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"fairgate/core/payment"
	"fairgate/ledger"
)

// Outcomes of refunds that callers branch on.
var (
	ErrRefundUnknown = errors.New("checkout: no such refund")
	ErrRefundKey     = errors.New("checkout: the key was used for another refund of the order")
	ErrRefundRefused = errors.New("checkout: the event does not let its buyers ask for that refund")
	ErrRefundEarly   = errors.New("checkout: the payment is not captured yet")
	ErrRefundNothing = errors.New("checkout: nothing of that is left to be refunded")
	ErrRefundDispute = errors.New("checkout: the payment is disputed, and the bank has its money until that is decided")
	ErrRefundOpen    = errors.New("checkout: the refund has not failed, or somebody has settled it already")
	ErrRefundUnclear = errors.New("checkout: the provider does not say whether it made a refund that was given up")
	ErrRefundMade    = errors.New("checkout: the provider has made the refund that was given up; nothing else was recorded")
	ErrTicketsNot    = errors.New("checkout: the tickets are not the order's, or have been refunded already")
)

// RefundKind says what a refund is for.
type RefundKind string

// The kinds of refund.
const (
	RefundOfOrder   RefundKind = "order"   // all tickets that are left
	RefundOfTickets RefundKind = "tickets" // some of them
	RefundOfAmount  RefundKind = "amount"  // a share of the money; the tickets stay
	RefundOfLate    RefundKind = "late"    // of money that came too late to buy anything
	RefundFound     RefundKind = "found"   // somebody made it in the provider's own pages
)

// RefundState is where a refund stands.
type RefundState string

// The states of a refund.
const (
	RefundAsked   RefundState = "requested" // the outbox has yet to hear from the provider
	RefundTaken   RefundState = "pending"   // the provider has taken it on
	RefundPaid    RefundState = "succeeded" // the money is on its way out of our account; it may still come back
	RefundRefused RefundState = "failed"
)

// Open tells whether the provider has still to say how it ends.
func (s RefundState) Open() bool { return s == RefundAsked || s == RefundTaken }

// How a failed refund was settled.
const (
	ResolvedRetry     = "retried"
	ResolvedOtherwise = "paid_otherwise"
)

// RefundPolicy is what an event's file says about refunds.
type RefundPolicy struct {
	Buyers  bool      // buyers may ask by themselves
	Until   time.Time // until when they may
	KeepFee bool      // the fee is kept, but when the event is cancelled
	KeepOff bool      // what comes back is not sold again
}

// Refund is one refund as its row says. Items are the lines of the order whose tickets it made void.
type Refund struct {
	ID          uuid.UUID
	Order       uuid.UUID
	Event       uuid.UUID
	Payment     uuid.UUID
	Provider    string
	ProviderRef string
	Kind        RefundKind
	State       RefundState
	Resolution  string
	Amount      ledger.Amount
	Parts       ledger.Parts
	Items       []int
	RetryOf     uuid.UUID // uuid.Nil for none
	Run         uuid.UUID // uuid.Nil for none
	Failure     string
	Reason      string
	Actor       string
	Reviewed    string // of one that somebody made at the provider: FoundVoid, FoundKept, or "" while nobody has said
	CreatedAt   time.Time
	UpdatedAt   time.Time
	DoneAt      time.Time // zero while it is open

	bodyHash []byte
	revived  bool // see refund_revive.go
	again    int  // how often it was revived once more
}

// unsettled tells whether the buyer has not got the money and nobody has seen to it.
func (f *Refund) unsettled() bool { return f.State == RefundRefused && f.Resolution == "" }

// RefundRequest asks for a refund of an order: of some tickets, of an amount, or with neither of all that is left.
type RefundRequest struct {
	Order   uuid.UUID
	Key     string      // Idempotency-Key: of one order, the same key is the same refund
	Tickets []uuid.UUID // of the order
	Minor   int64       // > 0: so much, whatever the tickets; they stay valid
	KeepFee *bool       // nil: as the event's file says
	KeepOff *bool       // nil: as the event's file says
	Reason  string
	Actor   string

	run uuid.UUID // of a cancelled event: everything goes back, the fee too, and nothing is sold again
	own bool      // the buyer asks: tickets that were handed on are refused
}

// RefundID is the id of the refund of an order that was asked for with this key.
func RefundID(order uuid.UUID, key string) uuid.UUID {
	return payment.RefundID(order, key)
}

// hash tells a repeated request from another one with the same key.
func (q *RefundRequest) hash() []byte {
	body, _ := json.Marshal([]any{q.Tickets, q.Minor, q.KeepFee, q.KeepOff}) // cannot fail
	sum := sha256.Sum256(body)
	return sum[:]
}

// kind is what the request is for.
func (q *RefundRequest) kind() RefundKind {
	switch {
	case len(q.Tickets) > 0:
		return RefundOfTickets
	case q.Minor > 0:
		return RefundOfAmount
	}
	return RefundOfOrder
}

// unrefunded are the lines of an order whose tickets no refund has made void.
func unrefunded(lines int, refunds []Refund) []int {
	gone := make(map[int]bool)
	for i := range refunds {
		for _, item := range refunds[i].Items {
			gone[item] = true
		}
	}
	left := make([]int, 0, lines)
	for i := range lines {
		if !gone[i] {
			left = append(left, i)
		}
	}
	return left
}

// standing is the state of an order by its refunds. States that are not about refunds stay as they are, as long as there
// are tickets or something can still become of the order.
func standing(r *record, refunds []Refund) State {
	switch r.order.State {
	case TicketIssued:
		if len(unrefunded(len(r.order.Lines), refunds)) > 0 {
			return TicketIssued
		}
	case Expired, Cancelled, CaptureFailed, RefundPending, Refunded, RefundFailed:
	default:
		return r.order.State
	}
	state := Refunded
	for i := range refunds {
		switch f := &refunds[i]; {
		case f.unsettled():
			return RefundFailed
		case f.State.Open():
			state = RefundPending
		}
	}
	if state == Refunded && r.owesLate(refunds) {
		return RefundPending // the outbox has yet to give it back
	}
	return state
}

// come moves an order to where its refunds say it stands: by moves when its state changes, by stays when it does not.
func (r *record) come(refunds []Refund, moves, stays Cause, by origin, reason string) error {
	to := standing(r, refunds)
	if to == r.order.State {
		return r.applyFrom(stays, by, reason)
	}
	if err := r.applyFrom(moves, by, reason); err != nil {
		return err
	}
	switch r.order.State {
	case to:
		return nil
	case RefundPending:
		if to == Refunded { // it was paid before anybody said what it was for
			return r.applyFrom(CauseRefunded, by, "it was paid before")
		}
		return r.applyFrom(CauseRefundFailed, by, "an earlier refund has failed and is not settled")
	}
	return fmt.Errorf("%w: %s leads to %s and not to %s", ErrTransition, moves, r.order.State, to)
}

// payment of a sale: the captured attempt that is no late money.
func (r *record) sale() *Payment {
	for i := range r.payments {
		if p := &r.payments[i]; p.State == PaymentCaptured && p.Failure != lateMoney {
			return p
		}
	}
	return nil
}

// chosen are the lines that a request is about.
func (q *RefundRequest) chosen(r *record, refunds []Refund, ticketOf func(uuid.UUID, int) uuid.UUID) ([]int, error) {
	left := unrefunded(len(r.order.Lines), refunds)
	if q.kind() == RefundOfOrder {
		return left, nil
	}
	var items []int
	for _, id := range q.Tickets {
		i := slices.IndexFunc(left, func(i int) bool { return ticketOf(r.order.ID, i) == id })
		if i < 0 {
			return nil, fmt.Errorf("%w: %s", ErrTicketsNot, id)
		}
		if !slices.Contains(items, left[i]) {
			items = append(items, left[i])
		}
	}
	slices.Sort(items)
	return items, nil
}

// worth is what a request gives back, of what is left of the order's money.
func (q *RefundRequest) worth(m ledger.OrderMoney, lines []Line, items, left []int, keepFee bool) (ledger.Parts, int64, error) {
	rest, restMinor := m.Rest()
	if restMinor <= 0 {
		return ledger.Parts{}, 0, ErrRefundNothing
	}
	if q.kind() == RefundOfAmount {
		if q.Minor > restMinor {
			return ledger.Parts{}, 0, fmt.Errorf("%w: %d of %d", ledger.ErrOverRefund, q.Minor, restMinor)
		}
		return amountParts(m, q.Minor)
	}
	if len(items) == len(left) && !keepFee { // nothing is kept: to the last cent, whatever earlier refunds have rounded
		return rest, restMinor, nil
	}
	var p ledger.Parts
	for _, i := range items {
		p.Face, p.Tax = p.Face+lines[i].Face, p.Tax+lines[i].Tax
		if !keepFee {
			p.Fee += lines[i].Fee
		}
	}
	p = ledger.Parts{Face: min(p.Face, rest.Face), Fee: min(p.Fee, rest.Fee), Tax: min(p.Tax, rest.Tax)}
	total := min(p.Face+p.Fee+p.Tax, restMinor)
	if total <= 0 {
		return p, 0, ErrRefundNothing
	}
	return p, total, nil
}

// amountParts splits an amount as the order's money is split; what the parts cannot give is rounding.
func amountParts(m ledger.OrderMoney, minor int64) (ledger.Parts, int64, error) {
	p, err := m.Part(minor)
	return p, minor, err
}
