package resale

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/ticket"
	"fairgate/core/ticket/title"
	"fairgate/ledger"
)

// whole is a rate of 100%.
const whole = 1_000_000

// Price is one price of a listing, in minor units. Asked is Royalty + Commission + Share.
type Price struct {
	No         int64
	Currency   string
	Asked      int64 // by the seller
	Fee        int64 // of the platform, on top
	Tax        int64 // on the fee
	Royalty    int64 // of what is asked: the organizer's
	Commission int64 // and the platform's
	Cap        int64 // the most that it might have cost in all; -1 for no cap
}

// AllIn is what the buyer pays.
func (p Price) AllIn() int64 { return p.Asked + p.Fee + p.Tax }

// Share is what the seller gets.
func (p Price) Share() int64 { return p.Asked - p.Royalty - p.Commission }

// Amount is a part of the price as money.
func (p Price) Amount(minor int64) ledger.Amount {
	return ledger.Amount{Minor: minor, Currency: p.Currency}
}

// Rules are what resale has to know of an event, the law of its country counted in. Rates are in millionths.
type Rules struct {
	Slug      string
	Organizer string
	Currency  string
	Allowed   bool
	// Over is how much more than the base a ticket may cost in all; Free: as much as its seller likes.
	Over int64
	Free bool
	// LowerBase takes the lower of the first price and what the present holder paid as base; else it is the first price.
	LowerBase  bool
	Royalty    int64
	Commission int64
	Fee, Tax   int64     // that the buyer pays on top, in minor units
	ClosesAt   time.Time // from then on nothing is listed or bought
	StartsAt   time.Time
	// PayAfter is how long after the sale its seller is paid; 0: after the event.
	PayAfter    time.Duration
	MaxListings int // of one seller in this event, those sold included; 0 for no limit
	Cancelled   bool
}

// afterEvent is how long after an event's start its sellers are paid: disputes about a door that stayed shut come the next day.
const afterEvent = 48 * time.Hour

// payAt is when the seller of a sale may be paid.
func (r *Rules) payAt(sold time.Time) time.Time {
	if r.PayAfter > 0 {
		return sold.Add(r.PayAfter)
	}
	return r.StartsAt.Add(afterEvent)
}

// open tells why nothing can be listed or bought at a time; nil when it can.
func (r *Rules) open(now time.Time) error {
	switch {
	case !r.Allowed || r.Cancelled:
		return ErrNotAllowed
	case !now.Before(r.ClosesAt):
		return ErrClosed
	}
	return nil
}

// price makes the parts of a price, and holds it against the cap; base is what that is computed from.
func (r *Rules) price(asked, base int64) (Price, error) {
	p := Price{Currency: r.Currency, Asked: asked, Fee: r.Fee, Tax: r.Tax, Cap: -1}
	if asked <= 0 || asked > maxAsked {
		return p, ErrPrice
	}
	if !r.Free {
		var err error
		if p.Cap, err = r.cap(base); err != nil {
			return p, err
		}
		if p.AllIn() > p.Cap {
			return p, &OverCap{Most: p.Amount(p.Cap), Asked: p.Amount(max(0, p.Cap-r.Fee-r.Tax))}
		}
	}
	royalty, err := p.Amount(asked).Portion(r.Royalty, whole)
	if err != nil {
		return p, err
	}
	commission, err := p.Amount(asked).Portion(r.Commission, whole)
	if err != nil {
		return p, err
	}
	p.Royalty = min(royalty.Minor, asked)
	p.Commission = min(commission.Minor, asked-p.Royalty) // both may have been rounded up
	return p, nil
}

// cap is the most that a ticket may cost in all; base is what that is computed from.
func (r *Rules) cap(base int64) (int64, error) {
	over, err := ledger.Amount{Minor: base, Currency: r.Currency}.Portion(r.Over, whole)
	if err != nil {
		return 0, err
	}
	if over.Minor*whole > base*r.Over { // rounded up
		over.Minor--
	}
	return base + over.Minor, nil
}

// maxAsked bounds a price, so that no sum of its parts can overflow.
const maxAsked = 1_000_000_000_000

// line is what an order says of one ticket; see checkout.Line.
type line struct {
	Face int64 `json:"face"`
	Fee  int64 `json:"fee"`
	Tax  int64 `json:"tax"`
}

const sqlPaidFor = `SELECT lines, currency FROM orders WHERE order_id = $1::UUID`

// base is what a cap is computed from: what the ticket cost in all when it was first issued, of which the chain of title tells, or the
// lower of that and what its present holder paid. Whoever was given a ticket is counted as having paid what its giver did.
func (r *Rules) base(ctx context.Context, tx pgx.Tx, t ticket.Ticket) (int64, error) {
	chain, err := title.Of(ctx, tx, t.ID)
	if err != nil {
		return 0, err
	}
	first, err := r.paid(ctx, tx, chain[0].Order, int(chain[0].Item))
	if err != nil || !r.LowerBase || chain[0].Order == t.Order {
		return first, err
	}
	last, err := r.paid(ctx, tx, t.Order, t.Item)
	return min(first, last), err
}

// paid is what one ticket of an order cost in all.
func (r *Rules) paid(ctx context.Context, tx pgx.Tx, order uuid.UUID, item int) (int64, error) {
	var text, currency string
	if err := tx.QueryRow(ctx, sqlPaidFor, order).Scan(&text, &currency); err != nil {
		return 0, fmt.Errorf("read what order %s paid: %w", order, err)
	}
	var lines []line
	if err := json.Unmarshal([]byte(text), &lines); err != nil {
		return 0, fmt.Errorf("read what order %s paid: %w", order, err)
	}
	if item < 0 || item >= len(lines) || currency != r.Currency {
		return 0, fmt.Errorf("read what order %s paid for item %d in %s: %w", order, item, r.Currency, errors.ErrUnsupported)
	}
	l := lines[item]
	return l.Face + l.Fee + l.Tax, nil
}
