package ticket

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/ticket/code"
)

const sqlReinstateTickets = `
UPDATE tickets AS t SET state = 'valid', hold = '', void_reason = '', voided_at = NULL, epoch = k.epoch, key_no = k.key_no, code = k.code
FROM unnest($1::UUID[], $2::INT8[], $3::INT8[], $4::TEXT[]) AS k (ticket_id, epoch, key_no, code)
WHERE t.ticket_id = k.ticket_id AND t.state = 'void' AND t.epoch = k.epoch - 1`

// Reinstate makes void tickets valid again as part of tx, in the next epoch and with a new code: whatever was printed before stays
// refused. The caller has made sure that the seats are still theirs, and gives tickets as it read them in the same transaction. A
// ticket that is valid already is left alone. If somebody else changed one meanwhile, or its seat has another valid ticket, it is an
// error and the transaction is given up.
func (s *Issuer) Reinstate(ctx context.Context, tx pgx.Tx, tickets []Ticket) error {
	tickets = slices.DeleteFunc(slices.Clone(tickets), func(t Ticket) bool { return t.State == Valid })
	slices.SortFunc(tickets, func(a, b Ticket) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	n := len(tickets)
	if n == 0 {
		return nil
	}
	ids, epochs, keys, codes := make([]uuid.UUID, n), make([]int64, n), make([]int64, n), make([]string, n)
	for i, t := range tickets {
		key, err := s.keys(ctx, t.Event)
		if err != nil {
			return fmt.Errorf("find the ticket key of event %s: %w", t.Event, err)
		}
		signed, err := code.Code{KeyNo: key.No, TicketID: t.ID, EventID: t.Event, Epoch: t.Epoch + 1, Place: code.Place(t.Tier, t.Seat)}.Sign(key.Private)
		if err != nil {
			return fmt.Errorf("sign ticket %s: %w", t.ID, err)
		}
		ids[i], epochs[i], keys[i], codes[i] = t.ID, int64(t.Epoch)+1, int64(key.No), signed
	}
	tag, err := tx.Exec(ctx, sqlReinstateTickets, ids, epochs, keys, codes)
	if err != nil {
		return fmt.Errorf("make %d tickets valid again: %w", n, err)
	}
	if tag.RowsAffected() != int64(n) {
		return fmt.Errorf("%w: %d of %d tickets could be made valid again", ErrMismatch, tag.RowsAffected(), n)
	}
	return touch(ctx, tx, ids...)
}
