package payment

import (
	"context"
	"time"

	"github.com/google/uuid"

	"fairgate/ledger"
)

// DisputeState is how far a dispute has come at the provider.
type DisputeState string

// The states of a dispute. An inquiry takes no money yet.
const (
	DisputeInquiry DisputeState = "inquiry"
	DisputeOpen    DisputeState = "open"   // the provider has taken the money back
	DisputeReview  DisputeState = "review" // the evidence is in, the bank decides
	DisputeWon     DisputeState = "won"    // the money is ours again, or was never taken: the inquiry was closed
	DisputeLost    DisputeState = "lost"
)

// DisputeNews is what a provider says about a dispute: in a webhook, or asked.
type DisputeNews struct {
	Ref        string // the provider's name of the dispute
	PaymentRef string // and of the payment that is disputed
	State      DisputeState
	Amount     ledger.Amount // what is disputed
	Lost       ledger.Amount // of one that is lost, what the buyer gets of Amount; zero for all of it
	Fee        ledger.Amount // what the provider charges for it; zero where it did not say
	Reason     string        // a code of the provider: fraudulent, product_not_received …
	RespondBy  time.Time     // when evidence must be in; zero where there is nothing to answer
	At         time.Time     // by the provider's clock
}

// DisputeID is our id of a dispute, by which the ledger has it: whoever hears of the dispute first, a webhook or the settlement, and
// whoever second, it is booked once.
func DisputeID(order uuid.UUID, provider, ref string) uuid.UUID {
	return uuid.NewSHA1(order, []byte("dispute/"+provider+"/"+ref))
}

// NamelessDisputeID is our id of a dispute that was first heard of from a settlement whose row names the disputed payment alone.
func NamelessDisputeID(order uuid.UUID, provider, paymentRef string) uuid.UUID {
	return uuid.NewSHA1(order, []byte("dispute-of/"+provider+"/"+paymentRef))
}

// Evidence is what we have to say about a disputed payment. Files travel as text: no card data, nothing of other buyers.
type Evidence struct {
	CustomerEmail   string
	ServiceDate     string // when the event is, YYYY-MM-DD
	ProductText     string // what was sold
	AccessLog       string // how the buyer was drawn, admitted, and when tickets were delivered and scanned
	RefundPolicy    string
	Uncategorized   string // everything else, as one readable text
	SubmitNow       bool   // hand it in; else it is a draft at the provider
	IdempotencySalt string // tells one submission of a dispute from another
}

// ListedDispute is a dispute as a provider's list has it: enough to tell whether there is news. LookupDispute says the rest.
type ListedDispute struct {
	Ref   string
	State DisputeState // "" where the list does not say it
	At    time.Time    // what the list goes by, in the provider's own time: when it was opened, or when it changed
}

// DisputePage is a part of a provider's list of disputes, a hundred at most.
type DisputePage struct {
	Disputes []ListedDispute
	Next     string // names the next page to the provider, for a while; "" after the last one
}

// Disputer is a Provider whose disputes can be looked up, answered and listed.
type Disputer interface {
	LookupDispute(ctx context.Context, ref string) (DisputeNews, error)
	SubmitEvidence(ctx context.Context, ref string, e Evidence) (DisputeNews, error)
	// ListDisputes lists the disputes opened since a time and, where the provider can list them so, those changed since: the
	// first page for "", and the further ones by the Next of the one before. The time is the provider's own, to be taken from
	// what was listed before; who has no such time may give one that is long past. Of what had been opened and changed when the
	// first page was answered no page leaves anything out; what comes later may be missing, and may be there twice.
	// ErrRejected or ErrNotFound for a further page: the provider does not know it any more.
	ListDisputes(ctx context.Context, since time.Time, page string) (DisputePage, error)
}
