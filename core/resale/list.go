package resale

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/core/inventory"
	"fairgate/core/ticket"
	"fairgate/edge/lottery"
	"fairgate/ledger"
)

// Offer asks for a listing.
type Offer struct {
	Ticket  uuid.UUID
	Seller  lottery.Entrant // who asks, of the ticket's event
	Account uuid.UUID       // of who asks; uuid.Nil for none
	Email   string          // of who asks, where it is known; else the one of the ticket's order is kept
	Asked   ledger.Amount
	Key     string // Idempotency-Key: of one ticket, the same key is the same listing
}

func (o *Offer) hash() []byte {
	sum := sha256.Sum256([]byte(o.Asked.Currency + strconv.FormatInt(o.Asked.Minor, 10)))
	return sum[:]
}

const sqlInsertListing = `
INSERT INTO listings (listing_id, event_id, ticket_id, seller, account_id, seller_order, email, tier, seat, state, reason, price_no, body_hash,
    order_id, bought_no, new_ticket, payout, payout_no, pay_at, payout_by, payout_ref, created_at, updated_at, sold_at)
VALUES ($1::UUID, $2::UUID, $3::UUID, $4::BYTEA, $5::UUID, $6::UUID, $7::TEXT, $8::TEXT, $9::TEXT, 'open', '', 1, $10::BYTEA,
    NULL, NULL, NULL, '', 0, NULL, '', '', now(), now(), NULL)`

const sqlInsertPrice = `
INSERT INTO listing_prices (listing_id, price_no, currency, asked_minor, fee_minor, tax_minor, royalty_minor, commission_minor, cap_minor, at)
VALUES ($1::UUID, $2::INT8, $3::TEXT, $4::INT8, $5::INT8, $6::INT8, $7::INT8, $8::INT8, $9::INT8, now())`

const sqlMoveListing = `
UPDATE listings SET state = $3, reason = $4, updated_at = now()
WHERE listing_id = $1::UUID AND state = $2`

const sqlNextPrice = `
UPDATE listings SET price_no = $3::INT8, updated_at = now()
WHERE listing_id = $1::UUID AND state = 'open' AND price_no = $2::INT8`

// What a seller has listed in an event counts while it is open, and for good when it was sold.
const sqlListedInEvent = `SELECT count(*) FROM listings WHERE seller = $1::BYTEA AND event_id = $2::UUID AND state IN ('open', 'selling', 'sold')`

const sqlListedByAccount = `
SELECT count(*) FROM listings
WHERE account_id = $1::UUID AND created_at > now() - $2::INT8 * INTERVAL '1 second' AND state IN ('open', 'selling', 'sold')`

const sqlEmailOf = `SELECT email FROM orders WHERE order_id = $1::UUID AND entrant = $2::BYTEA`

const sqlNow = `SELECT now()`

// List offers a ticket for resale and takes it out of use, or returns the listing that the same key made before. Errors: ErrNotOwner,
// ErrNotAllowed, ErrClosed, ErrPrice, an OverCap, ErrVoid, ErrOffered, ErrListed, ErrEntered, ErrLimit, ErrKeyReused, ticket.ErrUnknown.
func (s *Service) List(ctx context.Context, o Offer) (l Listing, created bool, err error) {
	id := ListingID(o.Ticket, o.Key)
	list := func(ctx context.Context, tx pgx.Tx) error {
		known, err := one(ctx, tx, id)
		switch {
		case err == nil:
			created = false
			return known.same(&o)
		case !errors.Is(err, ErrUnknown):
			return err
		}
		created = true
		return s.list(ctx, tx, id, &o)
	}
	if err = s.db.InTx(ctx, list); db.IsUnique(err) { // somebody listed the ticket, or the same request came twice
		err = s.db.InTx(ctx, list)
	}
	metrics.listed(err)
	if err != nil {
		return Listing{}, false, fmt.Errorf("list ticket %s: %w", o.Ticket, err)
	}
	l, err = s.Find(ctx, id)
	return l, created, err
}

// same tells a repeated request from another one with the same key.
func (l *Listing) same(o *Offer) error {
	switch {
	case l.Seller != o.Seller:
		return ErrNotOwner
	case !bytes.Equal(l.bodyHash, o.hash()):
		return ErrKeyReused
	}
	return nil
}

func (s *Service) list(ctx context.Context, tx pgx.Tx, id uuid.UUID, o *Offer) error {
	t, err := ticket.Load(ctx, tx, o.Ticket)
	if err != nil {
		return err
	}
	if t.Owner != o.Seller {
		return ErrNotOwner
	}
	rules, err := s.rules(ctx, t.Event)
	if err != nil {
		return fmt.Errorf("rules of event %s: %w", t.Event, err)
	}
	var now time.Time
	if err := tx.QueryRow(ctx, sqlNow).Scan(&now); err != nil {
		return fmt.Errorf("ask for the time: %w", err)
	}
	if err := rules.open(now); err != nil {
		return err
	}
	if err := ticket.SetAside(ctx, tx, t, ticket.Listed); err != nil {
		return asideErrors.of(err)
	}
	if err := s.withinLimits(ctx, tx, &rules, t.Event, o); err != nil {
		return err
	}
	if o.Asked.Currency != rules.Currency {
		return fmt.Errorf("%w: prices are in %s", ErrPrice, rules.Currency)
	}
	base, err := rules.base(ctx, tx, t)
	if err != nil {
		return err
	}
	p, err := rules.price(o.Asked.Minor, base)
	if err != nil {
		return err
	}
	p.No = 1
	email := o.Email
	if email == "" {
		if err := tx.QueryRow(ctx, sqlEmailOf, t.Order, o.Seller[:]).Scan(&email); err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("read the seller's address: %w", err)
		}
	}
	var account *uuid.UUID
	if o.Account != uuid.Nil {
		account = &o.Account
	}
	if _, err := tx.Exec(ctx, sqlInsertListing, id, t.Event, t.ID, o.Seller[:], account, t.Order, email, t.Tier, t.Seat, o.hash()); err != nil {
		return fmt.Errorf("insert listing %s: %w", id, err)
	}
	if err := insertPrice(ctx, tx, id, &p); err != nil {
		return err
	}
	unit := inventory.ListedUnit{Event: t.Event, Tier: t.Tier, Listing: id, PriceMinor: p.AllIn(), PriceNo: p.No}
	if s.cfg.Waits != nil {
		if unit.Waitlisted, err = s.cfg.Waits(ctx, tx, t.Event, t.Tier, now); err != nil {
			return fmt.Errorf("ask the waiting list of event %s: %w", t.Event, err)
		}
	}
	return inventory.List(ctx, tx, unit)
}

// aside are this package's names for why a ticket cannot be set aside.
type aside []struct{ is, as error }

var asideErrors = aside{{ticket.ErrVoid, ErrVoid}, {ticket.ErrOffered, ErrOffered}, {ticket.ErrListed, ErrListed}, {ticket.ErrEntered, ErrEntered}}

func (a aside) of(err error) error {
	for _, known := range a {
		if errors.Is(err, known.is) {
			return known.as
		}
	}
	return err
}

// withinLimits counts what the seller has listed, in the transaction that lists one more: of two at once one is run again.
func (s *Service) withinLimits(ctx context.Context, tx pgx.Tx, r *Rules, event uuid.UUID, o *Offer) error {
	var n int
	if r.MaxListings > 0 {
		if err := tx.QueryRow(ctx, sqlListedInEvent, o.Seller[:], event).Scan(&n); err != nil {
			return fmt.Errorf("count a seller's listings: %w", err)
		}
		if n >= r.MaxListings {
			return ErrLimit
		}
	}
	if s.cfg.MaxListings > 0 && o.Account != uuid.Nil {
		if err := tx.QueryRow(ctx, sqlListedByAccount, o.Account, int64(s.cfg.Within/time.Second)).Scan(&n); err != nil {
			return fmt.Errorf("count an account's listings: %w", err)
		}
		if n >= s.cfg.MaxListings {
			return ErrLimit
		}
	}
	return nil
}

func insertPrice(ctx context.Context, tx pgx.Tx, listing uuid.UUID, p *Price) error {
	var most *int64
	if p.Cap >= 0 {
		most = &p.Cap
	}
	if _, err := tx.Exec(ctx, sqlInsertPrice, listing, p.No, p.Currency, p.Asked, p.Fee, p.Tax, p.Royalty, p.Commission, most); err != nil {
		return fmt.Errorf("insert price %d of listing %s: %w", p.No, listing, err)
	}
	return nil
}

// Reprice asks another amount from now on. Whoever holds the ticket at the moment pays the price they were shown. Errors: ErrUnknown,
// ErrNotOwner, ErrHeld (it is being paid for), ErrOver, ErrClosed, ErrNotAllowed, ErrPrice, an OverCap.
func (s *Service) Reprice(ctx context.Context, id uuid.UUID, seller lottery.Entrant, asked ledger.Amount) (Listing, error) {
	err := s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		l, err := s.own(ctx, tx, id, seller)
		if err != nil {
			return err
		}
		if l.Price.Asked == asked.Minor && l.Price.Currency == asked.Currency {
			return nil
		}
		rules, err := s.rules(ctx, l.Event)
		if err != nil {
			return fmt.Errorf("rules of event %s: %w", l.Event, err)
		}
		var now time.Time
		if err := tx.QueryRow(ctx, sqlNow).Scan(&now); err != nil {
			return fmt.Errorf("ask for the time: %w", err)
		}
		if err := rules.open(now); err != nil {
			return err
		}
		if asked.Currency != rules.Currency {
			return fmt.Errorf("%w: prices are in %s", ErrPrice, rules.Currency)
		}
		t, err := ticket.Load(ctx, tx, l.Ticket)
		if err != nil {
			return err
		}
		base, err := rules.base(ctx, tx, t)
		if err != nil {
			return err
		}
		p, err := rules.price(asked.Minor, base)
		if err != nil {
			return err
		}
		p.No = l.priceNo + 1
		if err := insertPrice(ctx, tx, id, &p); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, sqlNextPrice, id, l.priceNo, p.No)
		if err != nil || tag.RowsAffected() != 1 {
			return fmt.Errorf("price listing %s: %w", id, errors.Join(err, ErrOutdated))
		}
		unit := l.unit()
		unit.PriceMinor, unit.PriceNo = p.AllIn(), p.No
		return inventory.Reprice(ctx, tx, unit)
	})
	if err != nil {
		return Listing{}, fmt.Errorf("price listing %s: %w", id, err)
	}
	return s.Find(ctx, id)
}

// own finds a listing of the seller's that is open.
func (s *Service) own(ctx context.Context, tx pgx.Tx, id uuid.UUID, seller lottery.Entrant) (Listing, error) {
	l, err := one(ctx, tx, id)
	switch {
	case err != nil:
		return l, err
	case l.Seller != seller:
		return l, ErrNotOwner
	case l.State == Selling:
		return l, ErrHeld
	case l.State == Sold:
		return l, ErrSold
	case l.State != Open:
		return l, ErrOver
	}
	return l, nil
}

// Withdraw takes a listing off sale and gives the ticket back to its owner's use, in its next epoch. One that was withdrawn before stays
// so. Errors: ErrUnknown, ErrNotOwner, ErrHeld (somebody is buying it; ask again when their time is over), ErrSold, ErrOver.
func (s *Service) Withdraw(ctx context.Context, id uuid.UUID, seller lottery.Entrant) (Listing, error) {
	err := s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		l, err := s.own(ctx, tx, id, seller)
		if errors.Is(err, ErrOver) && l.State == Withdrawn {
			return nil
		}
		if err != nil {
			return err
		}
		return s.withdraw(ctx, tx, &l, "by the seller")
	})
	if err != nil {
		return Listing{}, fmt.Errorf("withdraw listing %s: %w", id, err)
	}
	return s.Find(ctx, id)
}

// WithdrawFor is Withdraw for operators: it asks for no owner, and keeps who did it and why.
func (s *Service) WithdrawFor(ctx context.Context, id uuid.UUID, actor, reason string) (Listing, error) {
	l, err := s.Find(ctx, id)
	if err != nil {
		return Listing{}, err
	}
	err = s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		now, err := s.own(ctx, tx, id, l.Seller)
		if errors.Is(err, ErrOver) && now.State == Withdrawn {
			return nil
		}
		if err != nil {
			return err
		}
		return s.withdraw(ctx, tx, &now, "by "+actor+": "+reason)
	})
	if err != nil {
		return Listing{}, fmt.Errorf("withdraw listing %s: %w", id, err)
	}
	return s.Find(ctx, id)
}

func (s *Service) withdraw(ctx context.Context, tx pgx.Tx, l *Listing, reason string) error {
	if err := inventory.Unlist(ctx, tx, l.unit()); errors.Is(err, inventory.ErrHeld) {
		return ErrHeld
	} else if err != nil {
		return err
	}
	if err := l.move(ctx, tx, Withdrawn, reason); err != nil {
		return err
	}
	t, err := ticket.Load(ctx, tx, l.Ticket)
	if err != nil {
		return err
	}
	if t.Hold != ticket.Listed {
		return nil
	}
	return s.issuer.PutBack(ctx, tx, t)
}

// move writes a listing's next state. The row must be as it was read.
func (l *Listing) move(ctx context.Context, tx pgx.Tx, to State, reason string) error {
	tag, err := tx.Exec(ctx, sqlMoveListing, l.ID, string(l.State), string(to), reason)
	if err != nil {
		return fmt.Errorf("move listing %s to %s: %w", l.ID, to, err)
	}
	if tag.RowsAffected() != 1 {
		return fmt.Errorf("move listing %s to %s: %w", l.ID, to, ErrOutdated)
	}
	l.State, l.Reason = to, reason
	return nil
}
