package payout

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/ledger"
)

const (
	sqlNet = `SELECT COALESCE(sum(credits_posted - debits_posted), 0)::INT8 FROM ledger_balances WHERE account_id = $1::UUID`

	sqlPendingDebits = `SELECT COALESCE(sum(debits_pending), 0)::INT8 FROM ledger_balances WHERE account_id = $1::UUID`
)

// standing is what an organizer has with us, in minor units: net of final transfers. Payable below zero is owed to us.
type standing struct{ payable, reserve, available int64 }

func readStanding(ctx context.Context, tx pgx.Tx, p pair) (n standing, err error) {
	for a, into := range map[ledger.Account]*int64{
		ledger.OrganizerPayable(p.organizer, p.currency):   &n.payable,
		ledger.OrganizerReserve(p.organizer, p.currency):   &n.reserve,
		ledger.OrganizerAvailable(p.organizer, p.currency): &n.available,
	} {
		if err := tx.QueryRow(ctx, sqlNet, a.ID()).Scan(into); err != nil {
			return n, fmt.Errorf("read the balance of %s: %w", a.Code, err)
		}
	}
	return n, nil
}

// afford refuses a payout of more than is available, less what its organizer owes us. A refund on its way is owed already.
func afford(ctx context.Context, tx pgx.Tx, p Payout) error {
	n, err := readStanding(ctx, tx, pair{p.Organizer, p.Amount.Currency})
	if err != nil {
		return err
	}
	payable := ledger.OrganizerPayable(p.Organizer, p.Amount.Currency)
	var leaving int64
	if err := tx.QueryRow(ctx, sqlPendingDebits, payable.ID()).Scan(&leaving); err != nil {
		return fmt.Errorf("read the balance of %s: %w", payable.Code, err)
	}
	owed := -min(0, n.payable-leaving)
	if n.available-owed >= p.Amount.Minor {
		return nil
	}
	amount := func(minor int64) ledger.Amount { return ledger.Amount{Minor: minor, Currency: p.Amount.Currency} }
	return fmt.Errorf("%w: payout %s is of %s, %s is available and %s is owed: %w", ErrShort, p.ID, p.Amount, amount(n.available), amount(owed), ledger.ErrInsufficient)
}

// propose makes a payout of all that is available, unless one is open or it is too little. One that is open and can no more be sent,
// since the organizer has come to owe us, is withdrawn.
func (s *Service) propose(ctx context.Context, tx pgx.Tx, l *Line, available int64) error {
	var open Payout
	var events int64
	err := tx.QueryRow(ctx, sqlOpenPayout, l.Organizer, l.Currency).Scan(&open.ID, &open.Amount.Minor, &open.State, &events)
	switch {
	case err == nil && open.Amount.Minor <= available:
		return nil
	case err == nil:
		reason := fmt.Sprintf("run %s: only %s is available", l.Run, ledger.Amount{Minor: available, Currency: l.Currency})
		if err := step(ctx, tx, open, events, Rejected, "core", reason); err != nil {
			return err
		}
		if l.Note == "" {
			l.Note = "less is available than was proposed"
		}
	case !errors.Is(err, pgx.ErrNoRows):
		return fmt.Errorf("look for an open payout: %w", err)
	}
	if available <= 0 || available < s.rules(l.Organizer).MinimumMinor {
		return nil
	}
	l.PayoutID = uuid.NewSHA1(l.ID, []byte("payout"))
	if _, err := tx.Exec(ctx, sqlInsertPayout, l.PayoutID, l.Organizer, l.Currency, available); err != nil {
		return again(fmt.Errorf("propose a payout: %w", err))
	}
	return insertHistory(ctx, tx, l.PayoutID, 0, "", Proposed, "core", "run "+l.Run.String())
}
