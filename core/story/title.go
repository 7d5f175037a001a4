package story

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/ticket"
	"fairgate/core/ticket/code"
	"fairgate/ledger"
)

const sqlTitlesOfOrder = `
SELECT t.ticket_id, t.tier, t.seat, s.how, s.epoch, s.price_minor, s.currency, s.note, s.at
FROM unnest($1::UUID[]) AS k (ticket_id)
JOIN tickets AS t ON t.ticket_id = k.ticket_id
JOIN title_steps AS s ON s.ticket_id = k.ticket_id
ORDER BY s.ticket_id, s.seq`

// hands are the steps of a ticket's title, in words.
var hands = map[string]string{"transfer": "handed on", "resale": "bought from its owner before", "reseat": "given another seat"}

// titles tells through whose hands the order's tickets went. It names nobody.
func titles(ctx context.Context, q Querier, o order) ([]Entry, error) {
	return list(ctx, q, "the titles of tickets", func(row pgx.CollectableRow) ([]Entry, error) {
		var id uuid.UUID
		var tier, seat, how, note string
		var epoch int64
		var price ledger.Amount
		var at time.Time
		if err := row.Scan(&id, &tier, &seat, &how, &epoch, &price.Minor, &price.Currency, &note, &at); err != nil {
			return nil, err
		}
		e := Entry{At: at, Kind: "ticket", Text: fmt.Sprintf("%s: %s, in epoch %d from now on", hands[how], code.Place(tier, seat), epoch), Lines: []string{id.String()}}
		if price.Currency != "" {
			e.Lines = append(e.Lines, "for "+price.String())
		}
		if note != "" {
			e.Lines = append(e.Lines, note)
		}
		return []Entry{e}, nil
	}, sqlTitlesOfOrder, ticketsOf(o))
}

const sqlHandoversOfOrder = `
SELECT x.ticket_id, x.tier, x.seat, x.state, x.reason, x.created_at, x.closed_at
FROM transfers AS x
WHERE x.ticket_id = ANY($1::UUID[])
ORDER BY x.created_at, x.transfer_id`

// handovers tells of offers to hand the order's tickets on, and what became of them. It names nobody.
func handovers(ctx context.Context, q Querier, o order) ([]Entry, error) {
	return list(ctx, q, "the offers of tickets", func(row pgx.CollectableRow) ([]Entry, error) {
		var id uuid.UUID
		var tier, seat, state, reason string
		var made time.Time
		var closed *time.Time
		if err := row.Scan(&id, &tier, &seat, &state, &reason, &made, &closed); err != nil {
			return nil, err
		}
		place := code.Place(tier, seat)
		entries := []Entry{{At: made, Kind: "transfer", Text: "the ticket for " + place + " is offered to somebody", Lines: []string{id.String()}}}
		if closed != nil {
			e := Entry{At: *closed, Kind: "transfer", Text: "the offer of " + place + " is " + state, Lines: []string{id.String()}}
			if reason != "" {
				e.Lines = append(e.Lines, reason)
			}
			entries = append(entries, e)
		}
		return entries, nil
	}, sqlHandoversOfOrder, ticketsOf(o))
}

// ticketsOf are the ids of an order's tickets.
func ticketsOf(o order) []uuid.UUID {
	ids := make([]uuid.UUID, o.lines)
	for i := range ids {
		ids[i] = ticket.TicketID(o.id, i)
	}
	return ids
}
