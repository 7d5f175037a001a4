package transfer

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/ticket"
	"fairgate/edge/lottery"
)

// Decline ends an offer for its receiver: the ticket stays the giver's, who is told. Declining again is the same. Errors: ErrUnknown, ErrOther,
// ErrExpired, ErrOver.
func (s *Service) Decline(ctx context.Context, id uuid.UUID, by Receiver) (Transfer, error) {
	return s.step(ctx, id, "decline", func(ctx context.Context, tx pgx.Tx, t *Transfer, now time.Time) error {
		if err := s.isFor(t, by); err != nil {
			return err
		}
		if t.State == Declined {
			return errDone
		}
		if err := t.over(now); err != nil {
			return err
		}
		t.State, t.Account = Declined, by.Account
		return s.end(ctx, tx, t, "transfer_declined", t.GiverEmail, t.GiverLanguage)
	})
}

// Cancel ends an offer for its giver: the receiver is told. Cancelling again is the same. Errors: ErrUnknown, also when it is another's,
// ErrExpired, ErrOver.
func (s *Service) Cancel(ctx context.Context, id uuid.UUID, giver lottery.Entrant) (Transfer, error) {
	return s.step(ctx, id, "cancel", func(ctx context.Context, tx pgx.Tx, t *Transfer, now time.Time) error {
		if t.Giver != giver {
			return ErrUnknown
		}
		if t.State == Cancelled {
			return errDone
		}
		if err := t.over(now); err != nil {
			return err
		}
		t.State = Cancelled
		return s.end(ctx, tx, t, "transfer_cancelled", t.To, t.Language)
	})
}

// end closes a transfer that nobody accepted, and frees the ticket unless it has gone on without it.
func (s *Service) end(ctx context.Context, tx pgx.Tx, t *Transfer, mail, to, language string) error {
	x, err := ticket.Load(ctx, tx, t.Ticket)
	if err != nil {
		return err
	}
	if x.State == ticket.Valid && x.Epoch == t.Epoch && x.Hold == ticket.Offered {
		if err := s.cfg.Issuer.PutBack(ctx, tx, x); err != nil {
			return err
		}
	}
	if err := t.close(ctx, tx); err != nil {
		return err
	}
	return s.send(ctx, tx, t, mail, to, language)
}

// sqlOffersOver lists offers that nobody can accept any more. There are as many that stand as there are tickets under way.
const sqlOffersOver = `
SELECT x.transfer_id
FROM transfers AS x
JOIN tickets AS t ON t.ticket_id = x.ticket_id
WHERE x.state = 'offered' AND (x.expires_at <= now() OR t.state <> 'valid' OR t.epoch <> x.epoch OR t.hold <> 'offered'
    OR EXISTS (SELECT 1 FROM entries AS e WHERE e.ticket_id = x.ticket_id AND e.ins > 0))
ORDER BY x.expires_at, x.transfer_id
LIMIT $1`

// sweepSize is how many offers one look ends.
const sweepSize = 100

// Run ends offers that are over, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(s.cfg.Every)
	defer tick.Stop()
	for {
		for ended := sweepSize; ended == sweepSize && ctx.Err() == nil; {
			var err error
			if ended, err = s.Sweep(ctx); err != nil && ctx.Err() == nil {
				sweepErrors.Inc()
				s.log.Warn("offers that are over are not ended; they are looked at again", "error", err.Error())
				break
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Sweep ends some offers that are over, and says how many: each in a transaction of its own, as it is then.
func (s *Service) Sweep(ctx context.Context) (int, error) {
	var ids []uuid.UUID
	err := s.db.Reading(ctx, func() error {
		rows, err := s.db.Reader.Query(ctx, sqlOffersOver, sweepSize)
		if err != nil {
			return err
		}
		ids, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("list offers that are over: %w", err)
	}
	for n, id := range ids {
		if _, err := s.step(ctx, id, "expire", s.expire); err != nil {
			return n, err
		}
	}
	return len(ids), nil
}

// expire ends an offer that is over, if it is.
func (s *Service) expire(ctx context.Context, tx pgx.Tx, t *Transfer, now time.Time) error {
	if t.State != Offered {
		return errDone
	}
	x, err := ticket.Load(ctx, tx, t.Ticket)
	if err != nil {
		return err
	}
	in, err := ticket.Entered(ctx, tx, x.ID)
	if err != nil {
		return err
	}
	t.State = Ended
	switch {
	case x.State != ticket.Valid:
		t.Reason = "the ticket is void"
	case x.Epoch != t.Epoch || x.Hold != ticket.Offered:
		t.Reason = "the ticket has changed"
	case in:
		t.Reason = "the ticket has entered"
	case !now.Before(t.ExpiresAt):
		t.State = Expired
		return s.end(ctx, tx, t, "transfer_expired", t.GiverEmail, t.GiverLanguage)
	default:
		return errDone
	}
	return s.end(ctx, tx, t, "", "", "")
}
