package checkout

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"fairgate/core/ticket"
)

// Why a buyer has to ask the organizer for the money.
var (
	// ErrRefundTransferred means that a buyer wants the money back for a ticket that is somebody else's by now.
	ErrRefundTransferred = errors.New("checkout: a ticket was handed on, and is somebody else's")
	// ErrRefundEntered means that a buyer wants the money back for a ticket that somebody has entered with.
	ErrRefundEntered = errors.New("checkout: a ticket has been scanned in")
	// ErrRefundSellerPaid means that a buyer wants the money back for a ticket whose seller has it by now, and keeps it.
	ErrRefundSellerPaid = errors.New("checkout: the ticket's seller has been paid")
)

// stillTheirs refuses a buyer's refund of tickets that were handed on: nobody gives back what is not theirs; and of tickets that were used. The receiver may hand it back
// first; an operator may refund it, which voids it whoever has it. It reads the tickets in the transaction that voids them, so that
// one which is accepted or scanned at the same instant is either refused here or void there.
func (r *record) stillTheirs(ctx context.Context, tx pgx.Tx, items []int) error {
	tickets, err := ticket.OfOrder(ctx, tx, r.order.ID, len(r.order.Lines))
	if err != nil {
		return err
	}
	for i := range tickets {
		t := &tickets[i]
		if !slices.Contains(items, t.Item) {
			continue
		}
		if t.Owner != r.order.Entrant {
			return fmt.Errorf("%w: %s", ErrRefundTransferred, t.ID)
		}
		switch in, err := ticket.Entered(ctx, tx, t.ID); {
		case err != nil:
			return err
		case in:
			return fmt.Errorf("%w: %s", ErrRefundEntered, t.ID)
		}
	}
	return nil
}
