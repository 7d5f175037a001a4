package checkout

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/resale"
	"fairgate/core/ticket"
)

// CauseResoldSeatMoved is an operator giving a ticket another seat that the order's buyer has sold on.
const CauseResoldSeatMoved Cause = "resold_seat_moved"

// earlier is an order whose ticket was resold, and which of its lines that is.
type earlier struct {
	resale.Earlier
	record *record
	item   int
}

// sellersOf are the orders through which a resold ticket came to the order of r, the latest first. The last one's hold has the seat.
func (s *Service) sellersOf(ctx context.Context, tx pgx.Tx, r *record) ([]earlier, error) {
	if s.cfg.Resale == nil || !r.order.Resale() {
		return nil, nil
	}
	chain, err := s.cfg.Resale.Before(ctx, tx, r.order.ID)
	if err != nil {
		return nil, err
	}
	ids := make([]uuid.UUID, len(chain))
	for i, e := range chain {
		ids[i] = e.Order
	}
	records, err := loadRecords(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	sellers := make([]earlier, len(chain))
	for i, e := range chain {
		of := records[e.Order]
		if of == nil {
			return nil, fmt.Errorf("%w: %s, which sold the ticket of %s", ErrOrderUnknown, e.Order, r.order.ID)
		}
		if err := of.decode(); err != nil {
			return nil, fmt.Errorf("order %s: %w", e.Order, err)
		}
		item := -1
		for n := range of.order.Lines {
			if ticket.TicketID(e.Order, n) == e.Ticket {
				item = n
			}
		}
		if item < 0 {
			return nil, fmt.Errorf("%w: %s of order %s", ticket.ErrMismatch, e.Ticket, e.Order)
		}
		sellers[i] = earlier{e, of, item}
	}
	return sellers, nil
}

// moveSold has the orders and tickets of earlier owners follow a resold ticket to its other seat: should a resale be undone, whoever has the
// ticket again has that seat, and no longer the one that has been sold to somebody else since.
func (s *Service) moveSold(ctx context.Context, tx pgx.Tx, sellers []earlier, tier, seat, actor, why string) error {
	if len(sellers) == 0 {
		return nil
	}
	records := make(map[uuid.UUID]*record, len(sellers))
	tickets := make([]uuid.UUID, len(sellers))
	for i, e := range sellers {
		of := e.record
		of.order.Lines[e.item].Tier, of.order.Lines[e.item].Seat = tier, seat
		of.lines, of.reseated = encodeLines(of.order.Lines), true
		if err := of.apply(CauseResoldSeatMoved, actor, why); err != nil {
			return err
		}
		records[e.Order], tickets[i] = of, e.Ticket
	}
	if err := ticket.Relocate(ctx, tx, tickets, tier, seat); err != nil {
		return err
	}
	return s.flush(ctx, tx, records)
}
