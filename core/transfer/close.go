package transfer

import (
	"context"
	"errors"
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
SELECT x.transfer_id, x.expires_at
FROM transfers AS x
JOIN tickets AS t ON t.ticket_id = x.ticket_id
WHERE x.state = 'offered' AND (x.expires_at <= now() OR t.state <> 'valid' OR t.epoch <> x.epoch OR t.hold <> 'offered'
    OR EXISTS (SELECT 1 FROM entries AS e WHERE e.ticket_id = x.ticket_id AND e.ins > 0))
    AND (x.expires_at, x.transfer_id) > ($2::TIMESTAMPTZ, $3::UUID)
ORDER BY x.expires_at, x.transfer_id
LIMIT $1`

const (
	sweepSize  = 100 // offers that one look lists
	saidAtOnce = 10  // errors that one sweep tells
)

// Run ends offers that are over, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(s.cfg.Every)
	defer tick.Stop()
	for {
		if _, err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			sweepErrors.Inc()
			s.log.Warn("offers that are over are not all ended; they are looked at again", "error", err.Error())
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// place is where an offer stands in the order in which they expire.
type place struct {
	ID        uuid.UUID
	ExpiresAt time.Time
}

// Sweep ends the offers that are over, and says how many: each in a transaction of its own, as it is then. One that cannot be ended keeps no
// other; the error is of the first saidAtOnce of them.
func (s *Service) Sweep(ctx context.Context) (ended int, err error) {
	var failed []error
	var last place
	for {
		page, err := s.offersOver(ctx, last)
		if err != nil {
			return ended, errors.Join(append(failed, err)...)
		}
		for _, x := range page {
			if ctx.Err() != nil {
				return ended, errors.Join(append(failed, ctx.Err())...)
			}
			switch _, err := s.step(ctx, x.ID, "expire", s.expire); {
			case err == nil:
				ended++
			case len(failed) < saidAtOnce:
				failed = append(failed, err)
			}
		}
		if len(page) < sweepSize {
			return ended, errors.Join(failed...)
		}
		last = page[len(page)-1]
	}
}

// offersOver lists a page of the offers that are over.
func (s *Service) offersOver(ctx context.Context, last place) (page []place, err error) {
	err = s.db.Reading(ctx, func() error {
		rows, err := s.db.Reader.Query(ctx, sqlOffersOver, sweepSize, last.ExpiresAt, last.ID)
		if err != nil {
			return err
		}
		page, err = pgx.CollectRows(rows, pgx.RowToStructByPos[place])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list offers that are over: %w", err)
	}
	return page, nil
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
	// The receiver is told as of an offer that was taken back: for them it is the same. The giver knows what became of their ticket.
	return s.end(ctx, tx, t, "transfer_cancelled", t.To, t.Language)
}
