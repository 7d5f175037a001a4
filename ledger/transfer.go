package ledger

import (
	"bytes"
	"crypto/sha1"
	"errors"
	"fmt"

	"github.com/google/uuid"
)

// ErrTransferMalformed means that a transfer could never be recorded, whatever the books hold.
var ErrTransferMalformed = errors.New("ledger: malformed transfer")

// maxTransferCode bounds a transfer's code in bytes.
const maxTransferCode = 64

// referenceBytes is how many bytes of its reference a transfer's id begins with.
const referenceBytes = 6

// Kind says what a transfer does to balances.
type Kind string

// The kinds of transfer.
const (
	Single  Kind = "single"  // moves the amount at once
	Pending Kind = "pending" // reserves the amount until a post or a void
	Post    Kind = "post"    // makes a pending transfer final
	Void    Kind = "void"    // takes a pending transfer back
	Reverse Kind = "reverse" // undoes a single or a post: the same amount from credit to debit
)

// answers reports whether a transfer of this kind names an earlier one.
func (k Kind) answers() bool { return k == Post || k == Void || k == Reverse }

// Transfer moves an amount from the debit side of one account to the credit side of another. Reference is the order, payout or
// settlement that explains it; Code says in a word why. ID is made by the client with TransferID and makes recording idempotent.
type Transfer struct {
	ID        uuid.UUID
	Debit     Account
	Credit    Account
	Amount    Amount
	Code      string
	Reference uuid.UUID
	Kind      Kind
	PriorID   uuid.UUID // the transfer that a post, void or reversal answers, else zero
}

// TransferID is the id of the transfer that name tells apart among those of a reference: its first six bytes are the reference's,
// the others a hash of both (a UUID of version 8). All transfers of a reference so lie together in the table.
func TransferID(reference uuid.UUID, name string) uuid.UUID {
	var buffer [128]byte
	sum := sha1.Sum(append(append(buffer[:0], reference[:]...), name...))
	id := uuid.UUID(sum[:16])
	copy(id[:], reference[:referenceBytes])
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return id
}

// answerID is the only id that an answer to prior may have. Post and void share it, so a pending transfer ends once.
func answerID(reference, prior uuid.UUID, kind Kind) uuid.UUID {
	name := "end"
	if kind == Reverse {
		name = "reverse"
	}
	var buffer [32]byte
	return TransferID(reference, string(append(append(buffer[:0], name...), prior[:]...)))
}

// validate looks at everything but the accounts, which the caller validates once for many transfers.
func (t *Transfer) validate() error {
	switch {
	case t.ID == uuid.Nil:
		return fmt.Errorf("%w: no id", ErrTransferMalformed)
	case !bytes.Equal(t.ID[:referenceBytes], t.Reference[:referenceBytes]):
		return fmt.Errorf("%w: id %s is not one of reference %s; make it with TransferID", ErrTransferMalformed, t.ID, t.Reference)
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
		if t.PriorID != uuid.Nil {
			return fmt.Errorf("%w: %s is %s and answers another", ErrTransferMalformed, t.ID, t.Kind)
		}
	case Post, Void, Reverse:
		if t.PriorID == uuid.Nil {
			return fmt.Errorf("%w: %s is a %s of nothing", ErrTransferMalformed, t.ID, t.Kind)
		}
		if t.ID != answerID(t.Reference, t.PriorID, t.Kind) {
			return fmt.Errorf("%w: %s is not the id of a %s of %s; make it with PostAll, VoidAll or ReverseAll", ErrTransferMalformed, t.ID, t.Kind, t.PriorID)
		}
	default:
		return fmt.Errorf("%w: %s has kind %q", ErrTransferMalformed, t.ID, t.Kind)
	}
	return nil
}

// PostAll makes the transfers that post the pending ones among transfers. Their ids follow from the pending ids, so making and
// recording them again changes nothing.
func PostAll(transfers []Transfer) []Transfer { return answerAll(transfers, Post) }

// VoidAll makes the transfers that void the pending ones among transfers, as PostAll does.
func VoidAll(transfers []Transfer) []Transfer { return answerAll(transfers, Void) }

// ReverseAll makes the transfers that undo the final ones, singles and posts, among transfers. They keep code and reference; the
// chart's accounts are brought back to where they were. Nothing reverses a reversal: record the transfer anew, under another id.
func ReverseAll(transfers []Transfer) []Transfer { return answerAll(transfers, Reverse) }

func answerAll(transfers []Transfer, kind Kind) []Transfer {
	answers := make([]Transfer, 0, len(transfers))
	for _, t := range transfers {
		if kind == Reverse && t.Kind != Single && t.Kind != Post || kind != Reverse && t.Kind != Pending {
			continue
		}
		t.PriorID, t.Kind = t.ID, kind
		t.ID = answerID(t.Reference, t.PriorID, kind)
		if kind == Reverse {
			t.Debit, t.Credit = t.Credit, t.Debit
		}
		answers = append(answers, t)
	}
	return answers
}
