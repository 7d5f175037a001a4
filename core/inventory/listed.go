package inventory

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// A ticket that its owner lists for resale is a stock row of capacity 1 with a price of its own, so that two buyers of one listing are
// told apart by what tells any two buyers apart: the group commit, its guards, and the CHECK on taken. Its seat stays sold to the hold
// it was first sold with: who has the listing's hold has the right to that ticket, not to another seat. The row's taken counts as any
// other's, under the limits of the buyer; its price at the moment of the grant is the hold's, whatever it is later.

// ErrHeld means that somebody holds the listing, or has bought it.
var ErrHeld = errors.New("inventory: the listing is held or sold")

// ErrListingGone means that somebody else holds the one ticket of a listing or has bought it, or that it is not for sale any more. It is
// ErrSoldOut of a listing.
var ErrListingGone = fmt.Errorf("%w: the listing is held, sold or over", ErrSoldOut)

// listedPrefix begins the allocation of a listing.
const listedPrefix = "resale/"

// ListedAllocation is the allocation of a listing's stock row.
func ListedAllocation(listing uuid.UUID) string { return listedPrefix + listing.String() }

// Listed tells whether an allocation is a listing's.
func Listed(allocation string) bool { return strings.HasPrefix(allocation, listedPrefix) }

// ListingOf is the listing of an allocation; false when it is none's.
func ListingOf(allocation string) (uuid.UUID, bool) {
	text, ok := strings.CutPrefix(allocation, listedPrefix)
	id, err := uuid.Parse(text)
	return id, ok && err == nil
}

// Listing tells whether the hold is of a listing.
func (h *Hold) Listing() bool { return len(h.Items) == 1 && Listed(h.Items[0].Allocation) }

// checkListed finds what is wrong with a request for a listing: it is the only thing that its hold has.
func checkListed(r *Request) error {
	for i := range r.Items {
		item := &r.Items[i]
		if !Listed(item.Allocation) {
			continue
		}
		if len(r.Items) != 1 || item.Quantity != 1 || len(item.Seats)+len(item.Rows) > 0 || item.Best != nil || r.Window != "" {
			return fmt.Errorf("%w: a listing is one ticket, and its hold has nothing else", ErrItemsInvalid)
		}
	}
	return nil
}

// noneLeft is the refusal of an op whose stock is full: ErrListingGone when it is for a listing, which is alone in its request.
func (o *op) noneLeft() error {
	if len(o.items) == 1 && Listed(o.items[0].Allocation) {
		return ErrListingGone
	}
	return ErrSoldOut
}

// ListedUnit is the stock row of a listing. PriceMinor is what its buyer pays in all; PriceNo counts its prices from 1.
type ListedUnit struct {
	Event      uuid.UUID
	Tier       string
	Listing    uuid.UUID
	PriceMinor int64
	PriceNo    int64
	Waitlisted bool // those on the event's waiting list are asked first
}

const sqlInsertListed = `
INSERT INTO stock (event_id, tier, allocation, capacity, taken, version, price_minor, price_no, waitlisted)
VALUES ($1::UUID, $2::TEXT, $3::TEXT, 1, 0, 1, $4::INT8, $5::INT8, $6::BOOL)`

const sqlPriceListed = `
UPDATE stock AS s SET price_minor = $4::INT8, price_no = $5::INT8
WHERE s.event_id = $1::UUID AND s.tier = $2::TEXT AND s.allocation = $3::TEXT AND s.price_no = $5::INT8 - 1 AND s.capacity = 1`

const sqlCloseListed = `
UPDATE stock AS s SET capacity = 0, version = s.version + 1
WHERE s.event_id = $1::UUID AND s.tier = $2::TEXT AND s.allocation = $3::TEXT AND s.capacity = 1 AND s.taken = 0`

// List puts a listing on sale.
func List(ctx context.Context, tx pgx.Tx, u ListedUnit) error {
	if _, err := tx.Exec(ctx, sqlInsertListed, u.Event, u.Tier, ListedAllocation(u.Listing), u.PriceMinor, u.PriceNo, u.Waitlisted); err != nil {
		return fmt.Errorf("put listing %s on sale: %w", u.Listing, err)
	}
	return nil
}

// Reprice gives a listing its next price, PriceNo. Whoever holds it keeps the price they have. ErrOutdated: it had another price than
// the one before, or is no longer on sale.
func Reprice(ctx context.Context, tx pgx.Tx, u ListedUnit) error {
	tag, err := tx.Exec(ctx, sqlPriceListed, u.Event, u.Tier, ListedAllocation(u.Listing), u.PriceMinor, u.PriceNo)
	if err != nil {
		return fmt.Errorf("price listing %s: %w", u.Listing, err)
	}
	if tag.RowsAffected() != 1 {
		return fmt.Errorf("price listing %s: %w", u.Listing, ErrOutdated)
	}
	return nil
}

// Unlist takes a listing off sale for good. ErrHeld: somebody holds it or has bought it, or it is off sale already.
func Unlist(ctx context.Context, tx pgx.Tx, u ListedUnit) error {
	tag, err := tx.Exec(ctx, sqlCloseListed, u.Event, u.Tier, ListedAllocation(u.Listing))
	if err != nil {
		return fmt.Errorf("take listing %s off sale: %w", u.Listing, err)
	}
	if tag.RowsAffected() != 1 {
		return ErrHeld
	}
	return nil
}
