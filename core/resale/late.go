package resale

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/ledger"
)

// What sellers are owed waits for their event, or for so many days, by the event's rules; the ledger does not know them and has no deadline
// for it. Here is who should have been paid. What was sent to a bank and has not arrived is late in payout_clearing.

const sqlLateShares = `
SELECT l.listing_id,
    EXISTS (SELECT 1 FROM disputes AS d WHERE d.order_id IN (l.order_id, l.seller_order) AND d.taken AND d.closed_at IS NULL)
FROM listings AS l
WHERE l.payout = 'waiting' AND l.state = 'sold' AND l.pay_at <= $1::TIMESTAMPTZ AND (l.pay_at, l.listing_id) > ($2::TIMESTAMPTZ, $3::UUID)
ORDER BY l.pay_at, l.listing_id LIMIT $4::INT8`

// lateShare is a share that was to be paid at a time and was not.
type lateShare struct {
	Listing
	at       time.Time
	disputed bool
}

// why says what keeps the seller from being paid.
func (l *lateShare) why(cancelled bool) string {
	switch {
	case cancelled:
		return "the event is cancelled, and the resale was neither undone nor paid"
	case l.disputed:
		return "the seller's or the buyer's purchase is disputed and not decided"
	case l.PayoutNo > 0:
		return "the payout came back, and nobody has sent it again"
	case l.Email == "":
		return "no address of the seller is known to ask where to pay"
	}
	return "due, and nobody has paid it; see ticketctl resale payouts"
}

// LateShares lists what sellers wait for, at a time, for longer than within after it was to be paid: by seller, the longest due first, at most
// limit of each. The reference is the order that bought the ticket. Since is when it was to be paid. It goes by what is so now; what was
// paid between at and now is not in it.
func (s *Service) LateShares(ctx context.Context, at time.Time, within time.Duration, limit int) (list []ledger.Overdue, err error) {
	err = s.db.Reading(ctx, func() error {
		list, err = s.lateShares(ctx, at, within, limit)
		return err
	})
	return list, err
}

func (s *Service) lateShares(ctx context.Context, at time.Time, within time.Duration, limit int) ([]ledger.Overdue, error) {
	var found []ledger.Overdue
	index := map[ledger.Account]int{}
	afterTime, after, seen := time.Time{}, uuid.Nil, 0
	for seen < limit {
		page, err := s.latePage(ctx, at.Add(-within), afterTime, after)
		if err != nil {
			return nil, err
		}
		for i := range page {
			l := &page[i]
			afterTime, after = l.PayAt, l.ID
			rules, err := s.rules(ctx, l.Event)
			if err != nil {
				return nil, fmt.Errorf("rules of event %s: %w", l.Event, err)
			}
			if l.at = rules.payAt(l.SoldAt); l.at.Before(l.PayAt) {
				l.at = l.PayAt // else the event was moved to a later day
			}
			if age := at.Sub(l.at); age >= within && l.Due() > 0 && !l.SoldAt.After(at) {
				seen++
				found = note(found, index, l, ledger.Late{Reference: l.Order, Net: l.Price.Amount(l.Due()), Pending: l.Price.Amount(0), Since: l.at, Age: age, Within: within,
					Reason: l.why(rules.Cancelled)}, limit)
			}
		}
		if len(page) < latePageSize {
			return found, nil
		}
	}
	if len(found) > 0 {
		found[len(found)-1].More = true // it was not looked further
	}
	return found, nil
}

// note adds a late share to those of its seller.
func note(found []ledger.Overdue, index map[ledger.Account]int, l *lateShare, late ledger.Late, limit int) []ledger.Overdue {
	late.Account = ledger.SellerPayable(l.SellerAccount(), l.Price.Currency)
	i, known := index[late.Account]
	if !known {
		i = len(found)
		index[late.Account] = i
		found = append(found, ledger.Overdue{Account: late.Account, Late: l.Price.Amount(0)})
	}
	o := &found[i]
	if len(o.Items) == limit {
		o.More = true
		return found
	}
	o.Items = append(o.Items, late)
	o.Late.Minor += late.Net.Minor
	o.Oldest = max(o.Oldest, late.Age)
	slices.SortStableFunc(o.Items, func(a, b ledger.Late) int { return a.Since.Compare(b.Since) })
	return found
}

// latePageSize is how many shares one statement reads.
const latePageSize = 500

func (s *Service) latePage(ctx context.Context, until, afterTime time.Time, after uuid.UUID) ([]lateShare, error) {
	rows, err := s.db.Reader.Query(ctx, sqlLateShares, until, afterTime, after, latePageSize)
	if err != nil {
		return nil, fmt.Errorf("list late shares of sellers: %w", err)
	}
	var ids []uuid.UUID
	disputed := map[uuid.UUID]bool{}
	var id uuid.UUID
	var is bool
	if _, err := pgx.ForEachRow(rows, []any{&id, &is}, func() error {
		ids, disputed[id] = append(ids, id), is
		return nil
	}); err != nil {
		return nil, fmt.Errorf("list late shares of sellers: %w", err)
	}
	listings, err := Read(ctx, s.db.Reader, ids)
	if err != nil {
		return nil, err
	}
	page := make([]lateShare, 0, len(ids))
	for _, id := range ids {
		page = append(page, lateShare{Listing: listings[id], disputed: disputed[id]})
	}
	return page, nil
}
