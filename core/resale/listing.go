package resale

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/inventory"
	"fairgate/edge/lottery"
	"fairgate/ledger"
)

// Outcomes callers branch on.
var (
	ErrUnknown    = errors.New("resale: no such listing")
	ErrNotOwner   = errors.New("resale: the ticket is somebody else's")
	ErrNotAllowed = errors.New("resale: the event does not let its tickets be resold")
	ErrClosed     = errors.New("resale: resale of the event is over")
	ErrCap        = errors.New("resale: more than the ticket may cost")
	ErrPrice      = errors.New("resale: the price does not make sense")
	ErrListed     = errors.New("resale: the ticket is listed already")
	ErrOffered    = errors.New("resale: the ticket is offered to somebody")
	ErrEntered    = errors.New("resale: the ticket has been scanned in")
	ErrVoid       = errors.New("resale: the ticket is void")
	ErrLimit      = errors.New("resale: the seller has listed as much as one may")
	ErrHeld       = errors.New("resale: somebody is buying the ticket at the moment")
	ErrOver       = errors.New("resale: the listing is over")
	ErrOwn        = errors.New("resale: the listing is the buyer's own")
	ErrKeyReused  = errors.New("resale: the key was used for another listing")
	ErrSold       = errors.New("resale: the ticket was resold")

	// ErrOutdated means that a guard failed: somebody was there in between. Read and decide again.
	ErrOutdated = errors.New("resale: the listing is no longer as it was read")
)

// OverCap is a price that is more than the ticket may cost, and how much that is.
type OverCap struct {
	Most  ledger.Amount // in all
	Asked ledger.Amount // the most that the seller may ask for that
}

func (o *OverCap) Error() string { return fmt.Sprintf("%v: %s in all", ErrCap, o.Most) }

// Unwrap is ErrCap.
func (o *OverCap) Unwrap() error { return ErrCap }

// State is where a listing stands, see the diagram in the package comment.
type State string

// The states of a listing.
const (
	Open      State = "open"
	Selling   State = "selling"
	Sold      State = "sold"
	Withdrawn State = "withdrawn"
	Ended     State = "ended"
	Undone    State = "undone"
)

// Payout is what becomes of a seller's share.
type Payout string

// The states of a share.
const (
	NotSold   Payout = ""
	Waiting   Payout = "waiting"
	Sent      Payout = "sent"
	Arrived   Payout = "arrived"
	Recalled  Payout = "recalled"  // the resale was undone
	Forfeited Payout = "forfeited" // the seller's own purchase was charged back
)

// Listing is one listing with its present price, or the one it was bought at.
type Listing struct {
	ID          uuid.UUID
	Event       uuid.UUID
	Ticket      uuid.UUID
	Seller      lottery.Entrant
	Account     uuid.UUID // uuid.Nil for none
	SellerOrder uuid.UUID
	Email       string
	Tier        string
	Seat        string
	State       State
	Reason      string
	Price       Price
	Order       uuid.UUID // the buyer's; uuid.Nil before
	NewTicket   uuid.UUID // the buyer's; uuid.Nil before
	Payout      Payout
	PayoutNo    int64
	PayAt       time.Time // zero before it is sold
	PayoutBy    string
	PayoutRef   string
	CreatedAt   time.Time
	UpdatedAt   time.Time
	SoldAt      time.Time // zero before

	// LostShare and LostCommission are what lost disputes, of the buyer's purchase or the seller's own, have taken of a resale that was not
	// undone; OwedShare is what they would have taken of a share that was sent, should it come back.
	LostShare, LostCommission, OwedShare int64

	priceNo  int64 // the present one
	bodyHash []byte
}

// unit is the listing's stock row.
func (l *Listing) unit() inventory.ListedUnit {
	return inventory.ListedUnit{Event: l.Event, Tier: l.Tier, Listing: l.ID, PriceMinor: l.Price.AllIn(), PriceNo: l.Price.No}
}

// Due is what the seller gets, in minor units: their share less what lost disputes have taken of it.
func (l *Listing) Due() int64 { return l.Price.Share() - l.LostShare }

// SellerAccount names the seller in the ledger.
func (l *Listing) SellerAccount() string { return SellerAccount(l.Seller) }

// SellerAccount names a seller in the ledger: by the pseudonym that they have in the event.
func SellerAccount(seller lottery.Entrant) string { return seller.String() }

var listingSpace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("fairgate:listing"))

// ListingID is the id of the listing that a request with this Idempotency-Key makes of a ticket.
func ListingID(t uuid.UUID, key string) uuid.UUID {
	return uuid.NewSHA1(listingSpace, append(t[:len(t):len(t)], key...))
}

// Querier is what reads: a transaction or the reading pool.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// Of a listing that is being sold or was sold the price is the buyer's.
const sqlListings = `
SELECT l.listing_id, l.event_id, l.ticket_id, l.seller, l.account_id, l.seller_order, l.email, l.tier, l.seat, l.state, l.reason, l.price_no,
    l.body_hash, l.order_id, l.new_ticket, l.payout, l.payout_no, l.pay_at, l.payout_by, l.payout_ref, l.created_at, l.updated_at, l.sold_at,
    p.price_no, p.currency, p.asked_minor, p.fee_minor, p.tax_minor, p.royalty_minor, p.commission_minor, p.cap_minor,
    l.lost_share_minor, l.lost_commission_minor, l.owed_share_minor
FROM unnest($1::UUID[]) AS k (listing_id)
JOIN listings AS l ON l.listing_id = k.listing_id
JOIN listing_prices AS p ON p.listing_id = l.listing_id AND p.price_no = COALESCE(l.bought_no, l.price_no)`

func scanListing(row pgx.CollectableRow) (Listing, error) {
	var l Listing
	var seller []byte
	var account, order, issued *uuid.UUID
	var payAt, sold *time.Time
	var most *int64
	err := row.Scan(&l.ID, &l.Event, &l.Ticket, &seller, &account, &l.SellerOrder, &l.Email, &l.Tier, &l.Seat, &l.State, &l.Reason, &l.priceNo,
		&l.bodyHash, &order, &issued, &l.Payout, &l.PayoutNo, &payAt, &l.PayoutBy, &l.PayoutRef, &l.CreatedAt, &l.UpdatedAt, &sold,
		&l.Price.No, &l.Price.Currency, &l.Price.Asked, &l.Price.Fee, &l.Price.Tax, &l.Price.Royalty, &l.Price.Commission, &most,
		&l.LostShare, &l.LostCommission, &l.OwedShare)
	if err != nil {
		return l, err
	}
	if len(seller) != len(l.Seller) {
		return l, fmt.Errorf("listing %s: seller of %d bytes", l.ID, len(seller))
	}
	l.Seller = lottery.Entrant(seller)
	for from, into := range map[*uuid.UUID]*uuid.UUID{account: &l.Account, order: &l.Order, issued: &l.NewTicket} {
		if from != nil {
			*into = *from
		}
	}
	if payAt != nil {
		l.PayAt = payAt.UTC()
	}
	if sold != nil {
		l.SoldAt = sold.UTC()
	}
	l.Price.Cap = -1
	if most != nil {
		l.Price.Cap = *most
	}
	l.CreatedAt, l.UpdatedAt = l.CreatedAt.UTC(), l.UpdatedAt.UTC()
	return l, nil
}

// Read finds listings; unknown ones are missing from the map.
func Read(ctx context.Context, q Querier, ids []uuid.UUID) (map[uuid.UUID]Listing, error) {
	found := make(map[uuid.UUID]Listing, len(ids))
	if len(ids) == 0 {
		return found, nil
	}
	list, err := collect(ctx, q, sqlListings, ids)
	for _, l := range list {
		found[l.ID] = l
	}
	return found, err
}

// one finds a listing; ErrUnknown when there is none.
func one(ctx context.Context, q Querier, id uuid.UUID) (Listing, error) {
	found, err := Read(ctx, q, []uuid.UUID{id})
	if err != nil {
		return Listing{}, err
	}
	l, ok := found[id]
	if !ok {
		return Listing{}, ErrUnknown
	}
	return l, nil
}

func collect(ctx context.Context, q Querier, sql string, args ...any) ([]Listing, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("read listings: %w", err)
	}
	list, err := pgx.CollectRows(rows, scanListing)
	if err != nil {
		return nil, fmt.Errorf("read listings: %w", err)
	}
	return list, nil
}
