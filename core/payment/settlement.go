package payment

import (
	"context"
	"time"

	"github.com/google/uuid"

	"fairgate/ledger"
)

// SettlementKind is what a row of a provider's settlement is about.
type SettlementKind string

// The kinds of settlement rows.
const (
	SettledCharge         SettlementKind = "charge"           // a captured payment
	SettledRefund         SettlementKind = "refund"           // money given back
	SettledRefundFailure  SettlementKind = "refund_failure"   // and come back again
	SettledDispute        SettlementKind = "dispute"          // taken back for a buyer's bank
	SettledDisputeReverse SettlementKind = "dispute_reversal" // and given back again
	SettledFee            SettlementKind = "fee"              // of the provider, by itself
	SettledPayout         SettlementKind = "payout"           // to our bank
	SettledPayoutFailure  SettlementKind = "payout_failure"   // and come back
	SettledConversion     SettlementKind = "conversion"       // one leg of a change of currencies
	SettledOther          SettlementKind = "other"            // an adjustment that the provider explains in Description
)

// SettlementRow is one movement of our balance at a provider, as the provider's settlement has it. Amounts are signed as
// they change our balance: a charge is positive, refunds, fees and payouts are negative.
type SettlementRow struct {
	ID          string // the provider's; the same row has the same on every day it is asked for
	Kind        SettlementKind
	SourceRef   string    // the provider's name of what moved: payment, refund, dispute, payout; "" where the row does not say
	PaymentRef  string    // the provider's name of the payment behind it, "" where there is none
	OrderID     uuid.UUID // from the metadata of the source; uuid.Nil where the row does not say
	PaymentID   uuid.UUID
	RefundID    uuid.UUID
	Gross       ledger.Amount // in the currency of the balance
	Fee         ledger.Amount // what the provider kept of it, positive
	Presentment ledger.Amount // what the buyer paid or got back, in the buyer's currency; zero where it is the same as Gross
	Rate        string        // presentment to settlement as the provider states it, decimal; "" where no currency changed
	PayoutRef   string        // the payout it is part of, "" while it is in none
	Description string
	CreatedAt   time.Time
	AvailableAt time.Time // when it may be paid out
}

// SettlementReader is a Provider whose settlement can be read.
type SettlementReader interface {
	// Settlement calls each with every row created in [from, until), in the order of the provider, a page at a time. It
	// stops at the first error of each. It may take minutes; ctx ends it.
	Settlement(ctx context.Context, from, until time.Time, each func(SettlementRow) error) error
}
