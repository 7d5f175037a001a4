package resale

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/inventory"
	"fairgate/edge/lottery"
)

// Find finds a listing. ErrUnknown when there is none.
func (s *Service) Find(ctx context.Context, id uuid.UUID) (l Listing, err error) {
	err = s.db.Reading(ctx, func() error {
		l, err = one(ctx, s.db.Reader, id)
		return err
	})
	return l, err
}

// Public is what everybody may know of a ticket on sale.
type Public struct {
	ID    uuid.UUID
	Tier  string
	Seat  string
	Price Price
	Held  bool // somebody is deciding about it
	Since time.Time
}

// maxPublic is how many listings of an event are shown at most, the cheapest first.
const maxPublic = 1000

const sqlPublic = `
SELECT l.listing_id, l.tier, l.seat, l.created_at, p.price_no, p.currency, p.asked_minor, p.fee_minor, p.tax_minor, l.state <> 'open' OR s.taken > 0
FROM listings AS l
JOIN listing_prices AS p ON p.listing_id = l.listing_id AND p.price_no = l.price_no
JOIN stock AS s ON s.event_id = l.event_id AND s.tier = l.tier AND s.allocation = 'resale/' || l.listing_id::TEXT
WHERE l.event_id = $1::UUID AND l.state IN ('open', 'selling') AND NOT s.waitlisted
ORDER BY p.asked_minor + p.fee_minor + p.tax_minor, l.created_at, l.listing_id
LIMIT $2::INT8`

// OnSale lists what is on sale in an event, the cheapest first; nothing when its resale is closed.
func (s *Service) OnSale(ctx context.Context, event uuid.UUID) ([]Public, error) {
	rules, err := s.rules(ctx, event)
	if err != nil {
		return nil, fmt.Errorf("rules of event %s: %w", event, err)
	}
	if closed := rules.open(time.Now()); closed != nil {
		return nil, nil //nolint:nilerr // there is nothing to be seen then
	}
	var list []Public
	err = s.db.Reading(ctx, func() error {
		rows, err := s.db.Reader.Query(ctx, sqlPublic, event, maxPublic)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (p Public, err error) {
			err = row.Scan(&p.ID, &p.Tier, &p.Seat, &p.Since, &p.Price.No, &p.Price.Currency, &p.Price.Asked, &p.Price.Fee, &p.Price.Tax, &p.Held)
			return p, err
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list what is on sale in event %s: %w", event, err)
	}
	return list, nil
}

// Owner is somebody who may have listed tickets.
type Owner struct {
	Event   uuid.UUID
	Entrant lottery.Entrant
}

const sqlOfSellers = `
SELECT u.listing_id
FROM (SELECT l.listing_id, l.created_at FROM unnest($1::UUID[], $2::BYTEA[]) AS k (event_id, seller)
      JOIN listings AS l ON l.event_id = k.event_id AND l.seller = k.seller
      UNION SELECT l.listing_id, l.created_at FROM listings AS l WHERE l.account_id = $3::UUID AND l.account_id IS NOT NULL) AS u
ORDER BY u.created_at DESC, u.listing_id LIMIT $4::INT8`

// maxOwn is how many of their listings somebody is shown, the latest first.
const maxOwn = 200

// Of lists somebody's listings, whatever became of them: by whom they are in events, and by their account, uuid.Nil for none.
func (s *Service) Of(ctx context.Context, owners []Owner, account uuid.UUID) (list []Listing, err error) {
	var signedIn *uuid.UUID
	if account != uuid.Nil {
		signedIn = &account
	}
	events, sellers := make([]uuid.UUID, len(owners)), make([][]byte, len(owners))
	for i := range owners {
		events[i], sellers[i] = owners[i].Event, owners[i].Entrant[:]
	}
	err = s.db.Reading(ctx, func() error {
		list, err = s.page(ctx, sqlOfSellers, events, sellers, signedIn, maxOwn)
		return err
	})
	return list, err
}

// page reads the listings whose ids a statement finds, in its order.
func (s *Service) page(ctx context.Context, sql string, args ...any) ([]Listing, error) {
	rows, err := s.db.Reader.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("list listings: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return nil, fmt.Errorf("list listings: %w", err)
	}
	found, err := Read(ctx, s.db.Reader, ids)
	if err != nil {
		return nil, err
	}
	list := make([]Listing, 0, len(ids))
	for _, id := range ids {
		list = append(list, found[id])
	}
	return list, nil
}

const sqlListingPage = `
SELECT listing_id FROM listings
WHERE event_id = $1::UUID AND ($2::TEXT = '' OR state = $2) AND (created_at, listing_id) > ($3::TIMESTAMPTZ, $4::UUID)
ORDER BY created_at, listing_id LIMIT $5::INT8`

// Page asks for an event's listings for operators, oldest first, after the last one of the page before.
type Page struct {
	Event     uuid.UUID
	State     State // "" for all
	AfterTime time.Time
	After     uuid.UUID
	Limit     int
}

// Page returns one page of an event's listings.
func (s *Service) Page(ctx context.Context, p Page) (list []Listing, err error) {
	err = s.db.Reading(ctx, func() error {
		list, err = s.page(ctx, sqlListingPage, p.Event, string(p.State), p.AfterTime, p.After, p.Limit)
		return err
	})
	return list, err
}

// ForHold is what a hold of a listing asks of the inventory, if the buyer may have it now. Errors: ErrUnknown, ErrOver, ErrOwn, ErrClosed,
// ErrNotAllowed.
func (s *Service) ForHold(ctx context.Context, id, event uuid.UUID, buyer lottery.Entrant) (inventory.Item, error) {
	l, err := s.Find(ctx, id)
	if err != nil {
		return inventory.Item{}, err
	}
	rules, err := s.rules(ctx, l.Event)
	if err != nil {
		return inventory.Item{}, fmt.Errorf("rules of event %s: %w", l.Event, err)
	}
	switch {
	case l.Event != event:
		return inventory.Item{}, ErrUnknown
	case l.Seller == buyer:
		return inventory.Item{}, ErrOwn
	case l.State != Open && l.State != Selling && l.State != Sold: // of those the stock tells, and who repeats a request finds their hold
		return inventory.Item{}, ErrOver
	}
	if err := rules.open(time.Now()); err != nil {
		return inventory.Item{}, err
	}
	return inventory.Item{Tier: l.Tier, Allocation: inventory.ListedAllocation(l.ID), Quantity: 1}, nil
}
