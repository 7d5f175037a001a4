package transfer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/inventory"
	"fairgate/core/ticket"
	"fairgate/core/ticket/title"
	"fairgate/edge/lottery"
)

const sqlCloseTransfer = `
UPDATE transfers SET state = $2, reason = $3, account_id = $4, owner = $5, closed_at = now()
WHERE transfer_id = $1 AND state = 'offered'`

// Receiver is an account that a request proves.
type Receiver struct {
	Account uuid.UUID
	Email   string          // that it has proved
	Entrant lottery.Entrant // whom it is in the transfer's event
	Mark    inventory.Mark  // by which it is counted, where accounts are
}

// Accept gives the ticket to its receiver; see package comment. Accepting again by the same account is the same transfer. Errors:
// ErrUnknown, ErrOther, ErrExpired, ErrOver, ErrClosed, ErrCancelled, ErrSelf, ErrOverLimit (with an *inventory.OverLimit inside), and
// ticket.ErrVoid, ErrEntered.
func (s *Service) Accept(ctx context.Context, id uuid.UUID, by Receiver) (Transfer, error) {
	return s.step(ctx, id, "accept", func(ctx context.Context, tx pgx.Tx, t *Transfer, now time.Time) error {
		if err := s.isFor(t, by); err != nil {
			return err
		}
		if t.State == Accepted && t.Account == by.Account {
			return errDone
		}
		if err := t.over(now); err != nil {
			return err
		}
		return s.accept(ctx, tx, t, by, now)
	})
}

// isFor refuses everybody but who the transfer was offered to.
func (s *Service) isFor(t *Transfer, by Receiver) error {
	if own, err := s.cfg.Normalize(by.Email); err != nil || own != t.To {
		return ErrOther
	}
	return nil
}

// accept is Accept inside its transaction, of an offer that stands.
func (s *Service) accept(ctx context.Context, tx pgx.Tx, t *Transfer, by Receiver, now time.Time) error {
	x, err := ticket.Load(ctx, tx, t.Ticket)
	if err != nil {
		return err
	}
	terms, err := s.cfg.Terms(ctx, t.Event)
	if err != nil {
		return fmt.Errorf("terms of event %s: %w", t.Event, err)
	}
	switch in, err := ticket.Entered(ctx, tx, x.ID); {
	case err != nil:
		return err
	case x.State != ticket.Valid:
		return ticket.ErrVoid
	case x.Epoch != t.Epoch || x.Owner != t.Giver || x.Hold != ticket.Offered:
		return fmt.Errorf("%w: the ticket has changed", ErrOver)
	case in:
		return ticket.ErrEntered
	case by.Entrant == x.Owner:
		return ErrSelf
	}
	if err := terms.check(now); err != nil {
		return err
	}
	o, err := orderOf(ctx, tx, x.Order)
	if err != nil {
		return err
	}
	if err := s.count(ctx, tx, x, o, terms, by); err != nil {
		return err
	}
	if err := s.cfg.Issuer.Reissue(ctx, tx, []ticket.Reissue{{Ticket: x, Owner: by.Entrant}}); err != nil {
		return err
	}
	if _, err := title.Append(ctx, tx, title.Step{Ticket: x.ID, Epoch: x.Epoch + 1, From: x.Owner, To: by.Entrant, How: title.Transfer}); err != nil {
		return err
	}
	t.State, t.Account, t.Owner = Accepted, by.Account, by.Entrant
	if err := t.close(ctx, tx); err != nil {
		return err
	}
	if s.cfg.Given != nil {
		if err := s.cfg.Given(ctx, tx, by.Account, t.Event, by.Entrant); err != nil {
			return err
		}
	}
	return s.send(ctx, tx, t, "transfer_accepted", t.GiverEmail, t.GiverLanguage)
}

// count has the unit count for the receiver. A hold that is sold no longer, because an event's places were put back on sale otherwise, has
// no units to count.
func (s *Service) count(ctx context.Context, tx pgx.Tx, x ticket.Ticket, o order, terms Terms, by Receiver) error {
	err := inventory.Pass(ctx, tx, inventory.Passing{Unit: x.ID, Hold: o.hold, To: by.Entrant, Account: by.Mark,
		Limit: terms.Limit, Limits: terms.Limits, Tour: terms.Tour})
	if errors.Is(err, inventory.ErrOverLimit) {
		return fmt.Errorf("%w: %w", ErrOverLimit, err)
	}
	return err
}

// close writes how a transfer came to its end.
func (t *Transfer) close(ctx context.Context, tx pgx.Tx) error {
	var account *uuid.UUID
	if t.Account != uuid.Nil {
		account = &t.Account
	}
	owner := []byte{}
	if t.State == Accepted {
		owner = t.Owner[:]
	}
	tag, err := tx.Exec(ctx, sqlCloseTransfer, t.ID, string(t.State), t.Reason, account, owner)
	if err != nil {
		return fmt.Errorf("close the transfer: %w", err)
	}
	if tag.RowsAffected() != 1 {
		return ErrOver
	}
	return nil
}

// errDone ends a step that was done before.
var errDone = errors.New("transfer: done before")

// step does something with one transfer in one transaction, and answers it as it is then.
func (s *Service) step(ctx context.Context, id uuid.UUID, what string, do func(context.Context, pgx.Tx, *Transfer, time.Time) error) (Transfer, error) {
	var t Transfer
	err := s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		var now time.Time
		var err error
		if t, now, err = lock(ctx, tx, id); err != nil {
			return err
		}
		if err := do(ctx, tx, &t, now); err != nil {
			return err
		}
		t, err = load(ctx, tx, id)
		return err
	})
	if errors.Is(err, errDone) {
		return t, nil
	}
	count(what, err)
	if err != nil {
		return Transfer{}, fmt.Errorf("%s transfer %s: %w", what, id, err)
	}
	return t, nil
}
