package resale

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// maxChain bounds how often one ticket may have been resold, for whoever walks back.
const maxChain = 1000

const sqlSoldBy = `SELECT ticket_id, seller_order FROM listings WHERE order_id = $1::UUID AND state = 'sold'`

// Earlier is a ticket that was resold, and the order that it was issued for.
type Earlier struct {
	Ticket uuid.UUID
	Order  uuid.UUID
}

// Before walks back from the order of a resale to the first sale: whose ticket it was before, and before that; the last one is of the
// order whose hold has the place. Nothing for an order that was no resale.
func (s *Service) Before(ctx context.Context, tx pgx.Tx, order uuid.UUID) ([]Earlier, error) {
	var chain []Earlier
	for range maxChain {
		var e Earlier
		err := tx.QueryRow(ctx, sqlSoldBy, order).Scan(&e.Ticket, &e.Order)
		if errors.Is(err, pgx.ErrNoRows) {
			return chain, nil
		}
		if err != nil {
			return nil, fmt.Errorf("find whose ticket order %s bought: %w", order, err)
		}
		chain = append(chain, e)
		order = e.Order
	}
	return nil, fmt.Errorf("order %s: its ticket was resold more than %d times", order, maxChain)
}
