package checkout

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"fairgate/core/ticket"
)

// ErrRefundTransferred means that a buyer wants the money back for a ticket that is somebody else's by now.
var ErrRefundTransferred = errors.New("checkout: a ticket was handed on, and is somebody else's")

// stillTheirs refuses a buyer's refund of tickets that were handed on: nobody gives back what is not theirs. The receiver may hand it back
// first; an operator may refund it, which voids it whoever has it. It reads the tickets in the transaction that voids them, so that
// one which is accepted at the same instant is either refused here or void there.
func (r *record) stillTheirs(ctx context.Context, tx pgx.Tx, items []int) error {
	tickets, err := ticket.OfOrder(ctx, tx, r.order.ID, len(r.order.Lines))
	if err != nil {
		return err
	}
	for i := range tickets {
		if t := &tickets[i]; t.Owner != r.order.Entrant && slices.Contains(items, t.Item) {
			return fmt.Errorf("%w: %s", ErrRefundTransferred, t.ID)
		}
	}
	return nil
}
