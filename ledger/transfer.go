package ledger

import (
	"errors"
	"fmt"

	"github.com/google/uuid"
)

// ErrTransferMalformed means that a transfer could never be recorded, whatever the books hold.
var ErrTransferMalformed = errors.New("ledger: malformed transfer")

// maxTransferCode bounds a transfer's code in bytes.
const maxTransferCode = 64

// Kind says what a transfer does to balances.
type Kind string

// The kinds of transfer.
const (
	Single  Kind = "single"  // moves the amount at once
	Pending Kind = "pending" // reserves the amount until a post or a void
	Post    Kind = "post"    // makes a pending transfer final
	Void    Kind = "void"    // takes a pending transfer back
)

// Transfer moves an amount from the debit side of one account to the credit side of another. ID is made by the client and makes
// recording it idempotent. Reference is the order, refund or payout that explains it; Code says in a word why.
type Transfer struct {
	ID        uuid.UUID
	Debit     Account
	Credit    Account
	Amount    Amount
	Code      string
	Reference uuid.UUID
	Kind      Kind
	PendingID uuid.UUID // the pending transfer that a post or void ends, else zero
}

func (t Transfer) validate() error {
	if t.ID == uuid.Nil {
		return fmt.Errorf("%w: no id", ErrTransferMalformed)
	}
	if err := t.Debit.validate(); err != nil {
		return fmt.Errorf("transfer %s: debit: %w", t.ID, err)
	}
	if err := t.Credit.validate(); err != nil {
		return fmt.Errorf("transfer %s: credit: %w", t.ID, err)
	}
	switch {
	case t.Debit.Currency != t.Amount.Currency || t.Credit.Currency != t.Amount.Currency:
		return fmt.Errorf("%w: transfer %s moves %s from %s to %s", ErrCurrency, t.ID, t.Amount, t.Debit.Currency, t.Credit.Currency)
	case t.Amount.Minor <= 0:
		return fmt.Errorf("%w: %s moves %s", ErrTransferMalformed, t.ID, t.Amount)
	case t.Debit.Code == t.Credit.Code:
		return fmt.Errorf("%w: %s debits and credits %s", ErrTransferMalformed, t.ID, t.Debit.Code)
	case t.Code == "" || len(t.Code) > maxTransferCode || !nameBytes(t.Code, "_"):
		return fmt.Errorf("%w: %s has code %q", ErrTransferMalformed, t.ID, t.Code)
	}
	switch t.Kind {
	case Single, Pending:
		if t.PendingID != uuid.Nil {
			return fmt.Errorf("%w: %s is %s and ends another", ErrTransferMalformed, t.ID, t.Kind)
		}
	case Post, Void:
		if t.PendingID == uuid.Nil || t.PendingID == t.ID {
			return fmt.Errorf("%w: %s is a %s of nothing", ErrTransferMalformed, t.ID, t.Kind)
		}
	default:
		return fmt.Errorf("%w: %s has kind %q", ErrTransferMalformed, t.ID, t.Kind)
	}
	return nil
}

// PostAll makes the transfers that post the pending ones among transfers. Their ids follow from the pending ids, so making and
// recording them again changes nothing.
func PostAll(transfers []Transfer) []Transfer { return endAll(transfers, Post) }

// VoidAll makes the transfers that void the pending ones among transfers, as PostAll does.
func VoidAll(transfers []Transfer) []Transfer { return endAll(transfers, Void) }

func endAll(transfers []Transfer, kind Kind) []Transfer {
	ends := make([]Transfer, 0, len(transfers))
	for _, t := range transfers {
		if t.Kind != Pending {
			continue
		}
		t.PendingID = t.ID
		t.ID = uuid.NewSHA1(t.PendingID, []byte(kind))
		t.Kind = kind
		ends = append(ends, t)
	}
	return ends
}
