package inventory

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// What comes free of a stock row whose waitlisted is set is for those on the event's waiting list: whoever asks for a hold is refused
// (ErrWaitlisted) unless the request is an offer to one of those (Request.Waitlist), and shoppers see none of it. The row says so and not
// the units, so everything that gives units back, wherever it does, gives them to the list; and the guard of the grants' own statement
// says whether it still does. Who has paid too late has their own units again if nobody has closed their hold yet, and none of the others.

// mayHaveKept tells whether an op may have what is kept for a waiting list.
func (d *decider) mayHaveKept(o *op) bool {
	_, own := d.shut[o.instead]
	return o.waitlist || own
}

// Shelf is a stock row as a waiting list sees it: of what the event itself sells generally, or a listing.
type Shelf struct {
	Tier       string
	Allocation string
	Free       int64
	Waitlisted bool
	PriceMinor int64 // of a listing, else 0
}

// Listing is the listing whose row it is; false for the event's own.
func (s *Shelf) Listing() (uuid.UUID, bool) { return ListingOf(s.Allocation) }

const sqlShelves = `
SELECT s.tier, s.allocation, s.capacity - s.taken, s.waitlisted, s.price_minor
FROM stock AS s
WHERE s.event_id = $1::UUID AND (s.allocation = 'general' OR s.price_no > 0 AND s.capacity > s.taken)
ORDER BY s.tier, s.price_no, s.price_minor, s.allocation`

// Shelves lists an event's general stock, sold out or not, and its listings that nobody holds, in a transaction or with db.Reader: by
// tier, the event's own first, then listings, the cheapest first.
func Shelves(ctx context.Context, q Querier, event uuid.UUID) ([]Shelf, error) {
	rows, err := q.Query(ctx, sqlShelves, event)
	if err != nil {
		return nil, fmt.Errorf("read the shelves of event %s: %w", event, err)
	}
	shelves, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Shelf])
	if err != nil {
		return nil, fmt.Errorf("read the shelves of event %s: %w", event, err)
	}
	return shelves, nil
}

// The version grows because shoppers see other seats then: who follows the log finds a gap, and reads anew.
const sqlKeepForWaitlist = `
UPDATE stock AS s SET waitlisted = $4::BOOL, version = s.version + 1
WHERE s.event_id = $1::UUID AND s.tier = $2::TEXT AND s.allocation = $3::TEXT AND s.waitlisted <> $4::BOOL`

// KeepForWaitlist keeps what comes free of a stock row for the waiting list from the commit of tx on, or gives it to everybody. What is
// so already stays so.
func KeepForWaitlist(ctx context.Context, tx pgx.Tx, event uuid.UUID, tier, allocation string, keep bool) error {
	if _, err := tx.Exec(ctx, sqlKeepForWaitlist, event, tier, allocation, keep); err != nil {
		return fmt.Errorf("keep %s/%s of event %s for its waiting list: %w", tier, allocation, event, err)
	}
	return nil
}

const sqlRenewHold = `
UPDATE holds AS h SET deadline = greatest(h.deadline, now() + $2::INT8 * INTERVAL '1 microsecond')
WHERE h.hold_id = $1::UUID AND h.state = 'active' AND h.deadline > now()
RETURNING h.deadline`

// Renew has an active hold live at least so long from now, as if it were granted now: a payment may still extend it once. ErrHoldExpired
// for one that is not active any more.
func Renew(ctx context.Context, tx pgx.Tx, hold uuid.UUID, least time.Duration) (deadline time.Time, err error) {
	rows, err := tx.Query(ctx, sqlRenewHold, hold, least.Microseconds())
	if err == nil {
		deadline, err = pgx.CollectExactlyOneRow(rows, pgx.RowTo[time.Time])
	}
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return time.Time{}, ErrHoldExpired
	case err != nil:
		return time.Time{}, fmt.Errorf("renew hold %s: %w", hold, err)
	}
	return deadline.UTC(), nil
}
