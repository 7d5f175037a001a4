package resale

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/ledger"
)

// Why a seller cannot be paid.
var (
	ErrPayoutState = errors.New("resale: the seller's share is not in a state for that")
	ErrPayoutEarly = errors.New("resale: the seller is not to be paid yet")
	ErrDisputed    = errors.New("resale: the seller's or the buyer's purchase is disputed")
)

// Due tells of a share whether it may be sent now.
type Due struct {
	Listing
	Disputed bool
	Ripe     bool // its time has come
}

// An event that was moved to a later day is paid after that. A lost dispute keeps nobody from being paid: what it took from a seller was
// recalled or forfeited when it was lost, and what still waits is of a seller who has nothing to do with it.
const sqlShares = `
SELECT l.listing_id,
    EXISTS (SELECT 1 FROM disputes AS d WHERE d.order_id IN (l.order_id, l.seller_order) AND d.taken AND d.closed_at IS NULL),
    now()
FROM listings AS l
WHERE l.payout IN ('waiting', 'sent') AND (l.payout = 'sent' OR l.state = 'sold') AND (l.pay_at, l.listing_id) > ($1::TIMESTAMPTZ, $2::UUID) AND ($3::UUID IS NULL OR l.listing_id = $3::UUID)
ORDER BY l.pay_at, l.listing_id LIMIT $4::INT8`

const sqlSendShare = `
UPDATE listings SET payout = 'sent', payout_no = payout_no + 1, payout_by = $3::TEXT, payout_ref = $4::TEXT, updated_at = now()
WHERE listing_id = $1::UUID AND payout = 'waiting' AND payout_no = $2::INT8`

const sqlEndShare = `
UPDATE listings SET payout = $3, payout_by = $4::TEXT, payout_ref = $5::TEXT, updated_at = now()
WHERE listing_id = $1::UUID AND payout = 'sent' AND payout_no = $2::INT8`

// Shares lists what sellers wait for and what was sent, the longest due first, after the last one of the page before.
func (s *Service) Shares(ctx context.Context, afterTime time.Time, after uuid.UUID, limit int) (list []Due, err error) {
	err = s.db.Reading(ctx, func() error {
		list, err = s.shares(ctx, s.db.Reader, afterTime, after, nil, limit)
		return err
	})
	return list, err
}

func (s *Service) shares(ctx context.Context, q Querier, afterTime time.Time, after uuid.UUID, only *uuid.UUID, limit int) ([]Due, error) {
	rows, err := q.Query(ctx, sqlShares, afterTime, after, only, limit)
	if err != nil {
		return nil, fmt.Errorf("list the shares of sellers: %w", err)
	}
	var ids []uuid.UUID
	disputed := map[uuid.UUID]bool{}
	var id uuid.UUID
	var is bool
	var now time.Time
	if _, err := pgx.ForEachRow(rows, []any{&id, &is, &now}, func() error {
		ids, disputed[id] = append(ids, id), is
		return nil
	}); err != nil {
		return nil, fmt.Errorf("list the shares of sellers: %w", err)
	}
	found, err := Read(ctx, q, ids)
	if err != nil {
		return nil, err
	}
	list := make([]Due, 0, len(ids))
	for _, id := range ids {
		l := found[id]
		rules, err := s.rules(ctx, l.Event)
		if err != nil {
			return nil, fmt.Errorf("rules of event %s: %w", l.Event, err)
		}
		ripe := !now.Before(l.PayAt) && !now.Before(rules.payAt(l.SoldAt)) && !rules.Cancelled
		list = append(list, Due{Listing: l, Disputed: disputed[id], Ripe: ripe})
	}
	return list, nil
}

var payoutSpace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("fairgate:seller-payout"))

// PayoutID is the id, and the ledger's reference, of the n-th attempt to pay a listing's seller.
func PayoutID(listing uuid.UUID, n int64) uuid.UUID {
	return uuid.NewSHA1(payoutSpace, append(listing[:len(listing):len(listing)], strconv.FormatInt(n, 10)...))
}

// PayoutStep is what an operator tells of a payout.
type PayoutStep string

// The steps.
const (
	PaySent     PayoutStep = "sent"     // the bank is about to be told
	PayArrived  PayoutStep = "arrived"  // the bank has paid
	PayReturned PayoutStep = "returned" // the money came back; see Pay
)

// Pay notes and books what becomes of a seller's share. A share is sent before the bank is told, so that nobody pays it a second time
// whatever happens in between; from then on it is the seller's. What comes back waits again, unless meanwhile the resale was undone or the
// seller's own purchase was lost to a dispute: then it is what it would have become if it had not been sent. A step that was taken is
// answered as it stands now. Errors: ErrUnknown, ErrPayoutState, ErrPayoutEarly, ErrDisputed.
func (s *Service) Pay(ctx context.Context, id uuid.UUID, step PayoutStep, actor, reference string) (Listing, error) {
	err := s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		l, err := one(ctx, tx, id)
		if err != nil {
			return err
		}
		switch {
		case step == PaySent && l.Payout == Sent, step == PayArrived && l.Payout == Arrived, step == PayReturned && l.PayoutNo > 0 && !l.Paid():
			return nil
		case step == PaySent && l.Payout == Waiting:
			return s.send(ctx, tx, &l, actor, reference)
		case step == PayArrived && l.Payout == Sent, step == PayReturned && l.Payout == Sent:
			return s.end(ctx, tx, &l, step, actor, reference)
		}
		return ErrPayoutState
	})
	if err != nil {
		return Listing{}, fmt.Errorf("pay the seller of listing %s: %w", id, err)
	}
	return s.Find(ctx, id)
}

func (s *Service) send(ctx context.Context, tx pgx.Tx, l *Listing, actor, reference string) error {
	due, err := s.shares(ctx, tx, time.Time{}, uuid.Nil, &l.ID, 1)
	switch {
	case err != nil:
		return err
	case len(due) != 1:
		return ErrPayoutState
	case due[0].Disputed:
		return ErrDisputed
	case !due[0].Ripe:
		return ErrPayoutEarly
	}
	tag, err := tx.Exec(ctx, sqlSendShare, l.ID, l.PayoutNo, actor, reference)
	if err != nil || tag.RowsAffected() != 1 {
		return errors.Join(err, ErrPayoutState)
	}
	transfers, err := l.sent(l.PayoutNo + 1)
	if err != nil {
		return err
	}
	metrics.payouts[Sent].Inc()
	return s.ledger.Record(ctx, tx, transfers)
}

// sent are the transfers of the n-th payout.
func (l *Listing) sent(n int64) ([]ledger.Transfer, error) {
	return ledger.SellerPaidTransfers(PayoutID(l.ID, n), l.SellerAccount(), l.Price.Amount(l.Due()))
}

func (s *Service) end(ctx context.Context, tx pgx.Tx, l *Listing, step PayoutStep, actor, reference string) error {
	to := Arrived
	transfers, err := ledger.PayoutArrivedTransfers(PayoutID(l.ID, l.PayoutNo), l.Price.Amount(l.Due()))
	if step == PayReturned {
		to = Waiting
		transfers, err = l.sent(l.PayoutNo)
		transfers = ledger.ReverseAll(transfers)
	}
	if err != nil {
		return err
	}
	tag, err := tx.Exec(ctx, sqlEndShare, l.ID, l.PayoutNo, string(to), actor, reference)
	if err != nil || tag.RowsAffected() != 1 {
		return errors.Join(err, ErrPayoutState)
	}
	if err := s.ledger.Record(ctx, tx, transfers); err != nil {
		return err
	}
	metrics.payouts[to].Inc()
	if l.Payout = to; to == Arrived {
		return nil
	}
	return s.cameBack(ctx, tx, l)
}

// cameBack settles a share that waits again, but has nothing to wait for any more.
func (s *Service) cameBack(ctx context.Context, tx pgx.Tx, l *Listing) error {
	own, err := stateOf(ctx, tx, l.SellerOrder)
	if err != nil {
		return err
	}
	to := Recalled
	switch {
	case l.State == Undone:
	case l.forfeited(own):
		to = Forfeited
	case l.OwedShare > 0:
		return s.collect(ctx, tx, l)
	default:
		return nil
	}
	rules, err := s.rules(ctx, l.Event)
	if err != nil {
		return fmt.Errorf("rules of event %s: %w", l.Event, err)
	}
	if err := s.recall(ctx, tx, l, rules.Organizer, to); err != nil {
		return err
	}
	if to == Recalled && own == orderIssued && !rules.Cancelled {
		return s.GiveBack(ctx, tx, l)
	}
	return nil
}
