package payment

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"fairgate/ledger"
)

// Outcomes of a call to a provider that callers branch on.
var (
	// ErrDeclined means the provider answered and will not move the money for this payment. It is final for the step.
	ErrDeclined = errors.New("the payment was declined")
	// ErrTemporary means the provider did not do it and may do so later: repeat the identical call.
	ErrTemporary = errors.New("the payment provider cannot do it now")
	// ErrPending means that the provider works and has not come so far yet: repeat the identical call later. It is an ErrTemporary.
	ErrPending = fmt.Errorf("%w: it is pending there", ErrTemporary)
	// ErrUnknown means the call may or may not have been carried out: repeat the identical call, or Lookup.
	ErrUnknown = errors.New("the outcome of the call to the payment provider is unknown")
	// ErrNotFound means the provider knows no object for the intent. While a call that would make one may still be under
	// way, and for the minute that a provider's search may lag behind, that is no proof that there will be none.
	ErrNotFound = errors.New("the payment provider knows no such payment")
	// ErrNoRefund means the provider has the payment, and no such refund of it: it never made one. It is an ErrNotFound; that alone says
	// nothing of a refund, since the payment may be what is not shown.
	ErrNoRefund = fmt.Errorf("%w: it has no such refund", ErrNotFound)
	// ErrRejected means the provider refuses the call as wrong, for ever: bad parameters, bad credentials, an object that
	// belongs to another payment. Somebody has to look.
	ErrRejected = errors.New("the payment provider rejected the call")
)

// Outcomes of a webhook that callers branch on.
var (
	// ErrSignature means the webhook is not signed by the provider, or was signed too long ago.
	ErrSignature = errors.New("the webhook's signature does not verify")
	// ErrMalformed means the webhook is signed but cannot be read.
	ErrMalformed = errors.New("the webhook is malformed")
	// ErrUnknownProvider means no provider of that name is configured.
	ErrUnknownProvider = errors.New("unknown payment provider")
)

// Intent is one attempt to pay one order, as a provider is told about it. Begin must always be called with the same
// values for the same PaymentID, since a provider refuses a repeated key with other parameters.
type Intent struct {
	PaymentID uuid.UUID
	OrderID   uuid.UUID
	Attempt   int
	Amount    ledger.Amount
	// ProviderRef is the provider's own name of the payment, "" while it is not known.
	ProviderRef string
	Description string
	Email       string // where the provider may send a receipt; may be empty
	EventSlug   string
	Method      string // what the buyer chose: card, paypal, bank_transfer; empty: whatever the provider offers
	// Challenge asks that the buyer prove to their bank who they are (3-D Secure), whatever the bank would make of it.
	Challenge bool
}

// Key is the idempotency key of one step ("begin", "capture", "void") of the payment. The same payment and step give the
// same key for ever, on every machine.
func (i Intent) Key(step string) string {
	return "fg:" + i.PaymentID.String() + ":" + step + salt()
}

// Metadata names the payment on the provider's object, so that a webhook or a search can be matched to it before the
// provider's name for it is known.
func (i Intent) Metadata() map[string]string {
	return map[string]string{
		MetadataOrder:   i.OrderID.String(),
		MetadataPayment: i.PaymentID.String(),
		MetadataAttempt: strconv.Itoa(i.Attempt),
	}
}

// Keys of Metadata.
const (
	MetadataOrder   = "order_id"
	MetadataPayment = "payment_id"
	MetadataAttempt = "attempt"
)

// PaymentID is the id of an order's n-th payment attempt, counted from 1. It is a UUIDv5, so that every core that opens
// the same attempt opens the same payment.
func PaymentID(orderID uuid.UUID, attempt int) uuid.UUID {
	return uuid.NewSHA1(orderID, []byte("payment/"+strconv.Itoa(attempt)))
}

// OutcomeState is how far a payment has come at the provider.
type OutcomeState string

// The states of a payment at the provider.
const (
	// Unknown says nothing; no provider answers it without an error.
	Unknown OutcomeState = ""
	// Begun: the provider's object exists and waits for the buyer.
	Begun OutcomeState = "begun"
	// RequiresAction: the buyer has confirmed and has to prove who they are, for instance to their bank.
	RequiresAction OutcomeState = "requires_action"
	// Approved: the buyer has agreed on a page of the provider's, and nothing is reserved before Lookup is asked, which then
	// has the provider reserve it. Lookup itself never answers Approved.
	Approved OutcomeState = "approved"
	// Authorized: the money is reserved and can be captured.
	Authorized OutcomeState = "authorized"
	// Captured: the money is ours.
	Captured OutcomeState = "captured"
	// Voided: the provider's object is dead and can never take money again.
	Voided OutcomeState = "voided"
	// Failed: the buyer's last try was declined. The object is still alive at the provider, where the buyer may try
	// another card: Void it before another attempt is begun, or both may be authorized.
	Failed OutcomeState = "failed"
)

// Outcome is what a provider says about a payment.
type Outcome struct {
	State       OutcomeState
	ProviderRef string
	// ClientSecret lets the buyer's browser confirm this one payment. It is shown to that buyer only and never logged.
	ClientSecret string
	// Failure is why the state is Failed or Voided, as a code of the provider: "card_declined/insufficient_funds".
	Failure string
	// Try is the provider's name of the try that was declined, "" where it gives none. The provider goes on saying Failed until
	// the buyer tries again, so the name alone tells a new decline from one that is known.
	Try string
	// Card is the provider's fingerprint of the card that was authorized, the same for the same card always; "" where the
	// answer does not say, or no card was used. Lookup says it if it can be said.
	Card string
	// Risk is what the provider tells of who paid, where it says so.
	Risk Risk
	// Amount is what was captured, what can be captured, or what was asked for, by state.
	Amount ledger.Amount
}

// Risk is what a provider tells of who paid: signals, never a verdict by themselves.
type Risk struct {
	Score       int    // 0 to 99 by the provider's own model, -1 or 0 where it has none
	Level       string // the provider's word for it: normal, elevated, highest
	CardCountry string // where the card was issued, ISO 3166-1; "" unknown
	IPCountry   string // where the buyer paid from, as far as the provider says; "" unknown
	Funding     string // credit, debit, prepaid; "" unknown
	PostalCheck string // pass, fail, unavailable; "" unchecked
	CVCCheck    string // likewise
	Challenged  bool   // the buyer proved who they are (3-D Secure)
}

// Provider makes the calls. Each call carries the Intent's own idempotency key of the step, so repeating it is safe and is
// the first thing to do when its outcome is unknown.
type Provider interface {
	Name() string
	// Begin makes the provider's object and returns Begun with its reference and client secret.
	Begin(ctx context.Context, i Intent) (Outcome, error)
	// Lookup asks where the payment stands: by ProviderRef, or without one by metadata.
	Lookup(ctx context.Context, i Intent) (Outcome, error)
	// Capture takes the authorized money and returns Captured. When the provider answers that it never will, the outcome
	// says where the payment stands (Voided, Failed) and the error is ErrDeclined.
	Capture(ctx context.Context, i Intent) (Outcome, error)
	// Void makes sure the payment can never take money and returns Voided. A payment that is captured already comes back
	// as Captured with ErrDeclined. ErrNotFound means there is nothing to void: its client secret was never seen by a
	// buyer.
	Void(ctx context.Context, i Intent) (Outcome, error)
}

// WebhookReader checks and reads the webhooks of one provider.
type WebhookReader interface {
	// Verify answers ErrSignature unless the provider signed these bytes lately.
	Verify(raw []byte, header http.Header) error
	// Parse reads a webhook that was verified, now or when it was stored. It answers ErrMalformed for what is no event; an
	// event of a kind that means nothing to a payment comes back with State Unknown.
	Parse(raw []byte) (Event, error)
}

// Event is one webhook, read.
type Event struct {
	Provider  string
	ID        string // the provider's id of the event; the same event delivered twice has the same
	Type      string
	OrderID   uuid.UUID
	PaymentID uuid.UUID
	Attempt   int
	Outcome   Outcome
	Refund    *RefundNews  // set when it is about a refund; Outcome says nothing then
	Dispute   *DisputeNews // set when it is about a dispute; order and payment may be unknown then, see Identifier
	CreatedAt time.Time    // by the provider's clock, to the second
	Digest    []byte       // SHA-256 of the webhook as it was received and stored; set by the Inbox

	repeated bool // it was stored before; see CountsAgain
}

// Source names the webhook for audit trails: its row of table webhooks is found by what stands before and behind the slash.
func (e Event) Source() string { return e.Provider + "/" + e.ID }

// Relevant tells whether the event says anything about a payment of ours.
func (e Event) Relevant() bool {
	return e.PaymentID != uuid.Nil && e.Outcome.State != Unknown || e.Refund != nil || e.Dispute != nil
}

// Intent names the payment the event is about, as far as the event knows it.
func (e Event) Intent() Intent {
	return Intent{
		PaymentID: e.PaymentID, OrderID: e.OrderID, Attempt: e.Attempt,
		Amount: e.Outcome.Amount, ProviderRef: e.Outcome.ProviderRef,
	}
}

// String describes the event without its client secret.
func (e Event) String() string {
	return fmt.Sprintf("%s %s %s payment %s attempt %d: %s", e.Provider, e.Type, e.ID, e.PaymentID, e.Attempt, e.Outcome.State)
}

// FormKind is what a browser shows the buyer of a begun payment. Card data goes from there to the provider, never to us.
type FormKind string

// The kinds of forms.
const (
	FormNone         FormKind = ""                // there is nothing to show yet
	FormStripe       FormKind = "stripe_elements" // Stripe's own form, which its script puts into our page
	FormFrame        FormKind = "frame"           // the provider's page at URL, in a frame of ours
	FormRedirect     FormKind = "redirect"        // the provider's page at URL, to which the buyer goes and from which they come back
	FormInstructions FormKind = "instructions"    // a text that says how to pay
)

// Form is how a buyer pays a begun payment.
type Form struct {
	// Kind is how it is shown. Empty with a URL: by going there.
	Kind FormKind
	// PublishableKey names the account to the provider's own form in the buyer's browser.
	PublishableKey string
	// Account is where the buyer transfers to by bank, quoting the payment's reference, where that is the way.
	Account string
	// URL is a page of the provider on which the buyer pays, where it has one.
	URL string
	// Instructions say how to pay where no page does, in lines for the buyer to read.
	Instructions string
}

// Shown is how the form is shown, by what it has where its provider does not say.
func (f Form) Shown() FormKind {
	switch {
	case f.Kind != FormNone:
		return f.Kind
	case f.URL != "":
		return FormRedirect
	case f.Instructions != "":
		return FormInstructions
	default:
		return FormNone
	}
}
