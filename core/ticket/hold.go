package ticket

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Hold is what a valid ticket is set aside for; see package comment.
type Hold string

// What a ticket may be set aside for.
const (
	Free    Hold = ""
	Offered Hold = "offered" // to somebody, who may accept it; it opens gates until then
	Listed  Hold = "listed"  // for sale; no gate opens for it, and its code is dead for good
)

var (
	// ErrVoid means that a void ticket can be neither handed on nor set aside.
	ErrVoid = errors.New("ticket: void")
	// ErrOffered means that the ticket is offered to somebody.
	ErrOffered = errors.New("ticket: offered to somebody")
	// ErrListed means that the ticket is listed for resale.
	ErrListed = errors.New("ticket: listed for resale")
	// ErrEntered means that the ticket has been scanned in.
	ErrEntered = errors.New("ticket: has entered")
)

const sqlSetAside = `
UPDATE tickets SET hold = $2, held_at = now()
WHERE ticket_id = $1::UUID AND state = 'valid' AND hold = '' AND owner = $3 AND epoch = $4`

const sqlFreeTicket = `
UPDATE tickets SET hold = ''
WHERE ticket_id = $1::UUID AND state = 'valid' AND hold = 'offered' AND epoch = $2`

const sqlEntered = `SELECT count(*) FROM entries WHERE ticket_id = $1::UUID AND ins > 0`

// Usable tells why a ticket is not its owner's to hand on: ErrVoid, ErrOffered, ErrListed; nil when it is.
func (t Ticket) Usable() error {
	switch {
	case t.State != Valid:
		return ErrVoid
	case t.Hold == Offered:
		return ErrOffered
	case t.Hold == Listed:
		return ErrListed
	}
	return nil
}

// Entered tells whether a ticket has gone through a gate, as part of tx: a scan at the same time and whatever the caller writes
// about the ticket cannot both commit.
func Entered(ctx context.Context, tx pgx.Tx, id uuid.UUID) (bool, error) {
	var n int64
	if err := tx.QueryRow(ctx, sqlEntered, id).Scan(&n); err != nil {
		return false, fmt.Errorf("ask whether ticket %s has entered: %w", id, err)
	}
	return n > 0, nil
}

// SetAside sets a ticket aside, as it was read in the same transaction. Errors: those of Usable, ErrEntered, ErrMismatch.
func SetAside(ctx context.Context, tx pgx.Tx, t Ticket, what Hold) error {
	if err := t.Usable(); err != nil {
		return err
	}
	if in, err := Entered(ctx, tx, t.ID); err != nil || in {
		if in {
			err = ErrEntered
		}
		return err
	}
	tag, err := tx.Exec(ctx, sqlSetAside, t.ID, string(what), t.Owner[:], int64(t.Epoch))
	if err != nil {
		return fmt.Errorf("set ticket %s aside: %w", t.ID, err)
	}
	if tag.RowsAffected() != 1 {
		return fmt.Errorf("%w: ticket %s", ErrMismatch, t.ID)
	}
	if what == Listed { // in wallets one that is offered looks as before
		return touch(ctx, tx, t.ID)
	}
	return nil
}

// PutBack gives a ticket back to its owner's use, as it was read in the same transaction: one that was offered as it is, one that was
// listed in its next epoch and with a new code. A ticket that is free or void is left alone. Errors: ErrMismatch.
func (s *Issuer) PutBack(ctx context.Context, tx pgx.Tx, t Ticket) error {
	switch {
	case t.State != Valid || t.Hold == Free:
		return nil
	case t.Hold == Listed:
		return s.Reissue(ctx, tx, []Reissue{{Ticket: t}})
	}
	tag, err := tx.Exec(ctx, sqlFreeTicket, t.ID, int64(t.Epoch))
	if err != nil {
		return fmt.Errorf("put ticket %s back: %w", t.ID, err)
	}
	if tag.RowsAffected() != 1 {
		return fmt.Errorf("%w: ticket %s", ErrMismatch, t.ID)
	}
	return nil
}
