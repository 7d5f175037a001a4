package resale

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"fairgate/core/ticket"
)

// Terms are what an owner should know before a ticket is listed.
type Terms struct {
	Rules Rules
	Cap   int64 // the most that it may cost its buyer in all, in minor units; -1 for no cap
	Most  int64 // the most that may be asked for it: Cap without what the buyer pays on top; -1 for no cap
}

// Terms tells for how much a ticket may be listed. Errors: ErrNotAllowed, ErrClosed.
func (s *Service) Terms(ctx context.Context, t ticket.Ticket) (q Terms, err error) {
	err = s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		q = Terms{Cap: -1, Most: -1}
		if q.Rules, err = s.rules(ctx, t.Event); err != nil {
			return fmt.Errorf("rules of event %s: %w", t.Event, err)
		}
		base, err := s.openBase(ctx, tx, &q.Rules, t)
		if err != nil || q.Rules.Free {
			return err
		}
		if q.Cap, err = q.Rules.cap(base); err != nil {
			return err
		}
		q.Most = max(0, q.Cap-q.Rules.Fee-q.Rules.Tax)
		return nil
	})
	if err != nil {
		return Terms{}, fmt.Errorf("terms of listing ticket %s: %w", t.ID, err)
	}
	return q, nil
}

// PriceOf is what a ticket would be listed for if so much were asked. Errors: those of Terms, ErrPrice, *OverCap.
func (s *Service) PriceOf(ctx context.Context, t ticket.Ticket, asked int64) (p Price, err error) {
	err = s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		rules, err := s.rules(ctx, t.Event)
		if err != nil {
			return fmt.Errorf("rules of event %s: %w", t.Event, err)
		}
		base, err := s.openBase(ctx, tx, &rules, t)
		if err != nil {
			return err
		}
		p, err = rules.price(asked, base)
		return err
	})
	if err != nil {
		return Price{}, fmt.Errorf("price ticket %s: %w", t.ID, err)
	}
	return p, nil
}

// openBase is what a ticket's cap is computed from, if it can be listed now.
func (s *Service) openBase(ctx context.Context, tx pgx.Tx, rules *Rules, t ticket.Ticket) (int64, error) {
	var now time.Time
	if err := tx.QueryRow(ctx, sqlNow).Scan(&now); err != nil {
		return 0, fmt.Errorf("ask for the time: %w", err)
	}
	if err := rules.open(now); err != nil {
		return 0, err
	}
	return rules.base(ctx, tx, t)
}
