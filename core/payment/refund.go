package payment

import (
	"context"

	"github.com/google/uuid"

	"fairgate/ledger"
)

// Refund is money that goes back to the buyer of a captured payment: all of it or a part.
type Refund struct {
	ID     uuid.UUID     // ours; the idempotency key follows from it
	Amount ledger.Amount // > 0, in the payment's currency
	// ProviderRef is the provider's own name of the refund, "" while it is not known.
	ProviderRef string
	// Found says that somebody made it in the provider's own pages: it bears no id of ours, and ProviderRef alone names it. It can be
	// looked up, and is told by its reference, its payment and its amount.
	Found bool
}

// Key is the idempotency key of the refund: the same for ever, on every machine.
func (r Refund) Key() string { return "fg:" + r.ID.String() + ":refund" + salt() }

// refundSpace is the name space of ids of refunds. Changing it would book them again.
var refundSpace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("fairgate:refund"))

// RefundID is the id of a refund of an order that was asked for with this key.
func RefundID(order uuid.UUID, key string) uuid.UUID {
	return uuid.NewSHA1(refundSpace, append(order[:], key...))
}

// RevivedRefundID is the id under which the books have a refund that was given up once, and that its provider turned out to have made.
func RevivedRefundID(refund uuid.UUID) uuid.UUID {
	return uuid.NewSHA1(refundSpace, append(refund[:], "revived"...))
}

// MaxRevivals is how often a refund can be given up and be revived all the same.
const MaxRevivals = 3

// RevivedRefundIDs are the ids under which the books have a refund that was given up: after the first time, the second, and so on.
func RevivedRefundIDs(refund uuid.UUID) (ids [MaxRevivals]uuid.UUID) {
	for i := range ids {
		refund = RevivedRefundID(refund)
		ids[i] = refund
	}
	return ids
}

// FoundRefundID is the id of a refund that somebody made at the provider, by the provider's name of it: whoever hears of it first, a
// webhook or the settlement, and whoever second, it is booked once.
func FoundRefundID(order uuid.UUID, provider, ref string) uuid.UUID {
	return RefundID(order, "found/"+provider+"/"+ref)
}

// MetadataRefund is the key under which a provider's refund bears Refund.ID, beside those of Intent.Metadata.
const MetadataRefund = "refund_id"

// RefundState is how far a refund has come at the provider.
type RefundState string

// The states of a refund at the provider. One that succeeded may still fail later, when the buyer's bank sends it back.
const (
	RefundPending   RefundState = "pending"   // the provider has taken it on
	RefundSucceeded RefundState = "succeeded" // the provider has paid it out
	RefundFailed    RefundState = "failed"    // it will never reach the buyer this way
)

// RefundOutcome is what a provider says about a refund.
type RefundOutcome struct {
	State       RefundState
	ProviderRef string
	Failure     string // why it failed, as a code of the provider
	Amount      ledger.Amount
}

// Refunder is a Provider that gives captured money back. Errors are those of Provider: ErrDeclined and ErrRejected are
// final for this refund, after ErrTemporary and ErrUnknown the identical call is repeated.
type Refunder interface {
	Refund(ctx context.Context, i Intent, r Refund) (RefundOutcome, error)
	// LookupRefund asks where the refund stands, by ProviderRef or without one by metadata; ErrNoRefund when the
	// payment is there and the refund is not, and any other error, ErrNotFound too, when that cannot be said. No State is an error.
	LookupRefund(ctx context.Context, i Intent, r Refund) (RefundOutcome, error)
}

// RefundNews is what a webhook says about a refund. RefundID is uuid.Nil for one that was not made by us.
type RefundNews struct {
	RefundID   uuid.UUID
	PaymentRef string // the provider's name of the payment
	Outcome    RefundOutcome
}
