package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// sqlSettlement adds up the final transfers of the orders of one organizer's account by code. An order's fees and taxes are on other
// accounts and found by its reference.
const sqlSettlement = `
WITH orders AS (
    SELECT DISTINCT reference FROM ledger_transfers
    WHERE credit_account = $1::UUID AND code IN ('sale_face', 'resale_royalty') AND created_at <= $2::TIMESTAMPTZ
), theirs AS (
    SELECT t.code, t.kind, t.amount_minor
    FROM orders AS o
    JOIN ledger_transfers AS t ON t.reference = o.reference
         AND t.transfer_id >= (left(o.reference::TEXT, 13) || '-0000-0000-000000000000')::UUID
         AND t.transfer_id <= (left(o.reference::TEXT, 13) || '-ffff-ffff-ffffffffffff')::UUID
    WHERE t.created_at <= $2::TIMESTAMPTZ AND t.currency = $3::TEXT AND t.kind IN ('single', 'post', 'reverse')
      AND t.code IN ('sale_fee', 'sale_tax', 'resale_fee', 'resale_tax', 'resale_commission', 'refund_fee', 'refund_tax', 'dispute_fee_part', 'dispute_tax')
), own AS (
    SELECT code, kind, amount_minor FROM ledger_transfers
    WHERE debit_account = ANY($4::UUID[]) AND kind IN ('single', 'post', 'reverse') AND created_at <= $2::TIMESTAMPTZ
    UNION ALL
    SELECT code, kind, amount_minor FROM ledger_transfers
    WHERE credit_account = ANY($4::UUID[]) AND NOT debit_account = ANY($4::UUID[])
      AND kind IN ('single', 'post', 'reverse') AND created_at <= $2::TIMESTAMPTZ
)
SELECT a.code, sum(CASE WHEN a.kind = 'reverse' THEN -a.amount_minor ELSE a.amount_minor END)::INT8
FROM (SELECT code, kind, amount_minor FROM theirs UNION ALL SELECT code, kind, amount_minor FROM own) AS a
GROUP BY a.code
ORDER BY a.code`

// Settlement is how things stand between us and an organizer, final transfers only, in one currency. Due is what they have earned and
// not been paid: Payable, Reserve and Available together.
//
//	Sold + Royalties - Refunded - Disputed - Sent = Due
type Settlement struct {
	Organizer string
	Currency  string
	At        time.Time
	Sold      int64 // face value
	Royalties int64 // of resales, and of those that were undone what their sellers and we gave toward it
	Refunded  int64 // face value
	Disputed  int64 // face value of lost disputes
	Fees      int64 // ours on these orders, less those given back
	Taxes     int64 // on these orders, less those given back
	Payable   int64 // earned, not released
	Reserve   int64 // held back
	Available int64 // released, not sent
	Sent      int64 // paid out, less what came back
	InTransit int64 // of that, not arrived
	PaidOut   int64 // of that, arrived
	Due       int64
}

// ReadSettlement reads how things stood with an organizer at a time.
func ReadSettlement(ctx context.Context, db Beginner, organizer, currency string, at time.Time) (Settlement, error) {
	s := Settlement{Organizer: organizer, Currency: currency, At: at}
	payable := OrganizerPayable(organizer, currency)
	accounts := []Account{payable, OrganizerReserve(organizer, currency), OrganizerAvailable(organizer, currency)}
	ids := []uuid.UUID{accounts[0].ID(), accounts[1].ID(), accounts[2].ID()}
	err := inSnapshot(ctx, db, func(tx pgx.Tx) error {
		if _, err := findAccount(ctx, tx, payable.Code, currency); err != nil {
			return err
		}
		for i, figure := range []*int64{&s.Payable, &s.Reserve, &s.Available} {
			b, err := balanceAfter(ctx, tx, accounts[i], endOf(at))
			if err != nil {
				return err
			}
			*figure = b.Net().Minor
		}
		rows, err := tx.Query(ctx, sqlSettlement, payable.ID(), at, currency, ids)
		if err != nil {
			return fmt.Errorf("settlement of %s: %w", organizer, err)
		}
		defer rows.Close()
		sums := make(map[string]int64)
		for rows.Next() {
			var code string
			var minor int64
			if err := rows.Scan(&code, &minor); err != nil {
				return fmt.Errorf("settlement of %s: %w", organizer, err)
			}
			sums[code] = minor
		}
		rows.Close()
		if err := rows.Err(); err != nil {
			return fmt.Errorf("settlement of %s: %w", organizer, err)
		}
		s.fill(sums)
		if err := tx.QueryRow(ctx, sqlArrived, OrganizerAvailable(organizer, currency).ID(), at).Scan(&s.PaidOut); err != nil {
			return fmt.Errorf("payouts of %s that arrived: %w", organizer, err)
		}
		return nil
	})
	if err != nil {
		return Settlement{}, err
	}
	s.Due = s.Payable + s.Reserve + s.Available
	s.InTransit = s.Sent - s.PaidOut
	return s, nil
}

func (s *Settlement) fill(sums map[string]int64) {
	s.Sold = sums["sale_face"]
	s.Royalties = sums["resale_royalty"] + sums["resale_recalled"] + sums["resale_commission_back"]
	s.Refunded, s.Disputed = sums["refund_face"], sums["dispute_face"]
	s.Fees = sums["sale_fee"] + sums["resale_fee"] + sums["resale_commission"] - sums["resale_commission_back"] - sums["refund_fee"] - sums["dispute_fee_part"]
	s.Taxes = sums["sale_tax"] + sums["resale_tax"] - sums["refund_tax"] - sums["dispute_tax"]
	s.Sent = sums["payout_sent"]
}

// sqlArrived adds up the organizer's payouts that have arrived: those sent from their account whose reference has an arrival.
const sqlArrived = `
SELECT COALESCE(sum(b.amount_minor), 0)::INT8
FROM ledger_transfers AS a
JOIN ledger_transfers AS b ON b.reference = a.reference AND b.code = 'payout_arrived' AND b.kind = 'single' AND b.created_at <= $2::TIMESTAMPTZ
     AND b.transfer_id >= (left(a.reference::TEXT, 13) || '-0000-0000-000000000000')::UUID
     AND b.transfer_id <= (left(a.reference::TEXT, 13) || '-ffff-ffff-ffffffffffff')::UUID
WHERE a.debit_account = $1::UUID AND a.code = 'payout_sent' AND a.kind = 'single' AND a.created_at <= $2::TIMESTAMPTZ`
