package transfer

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"fairgate/core/ticket"
	"fairgate/edge/lottery"
)

const sqlOfferCounts = `
SELECT count(*), count(*) FILTER (WHERE state = 'accepted'), now()
FROM transfers
WHERE ticket_id = $1`

// A giver is counted as an entrant and as an account: who has several tickets may have them as either.
const sqlOffersOfGiver = `
SELECT (SELECT count(*) FROM transfers WHERE giver = $1 AND created_at > now() - INTERVAL '24 hours'),
    (SELECT count(*) FROM transfers WHERE giver_account = $2 AND created_at > now() - INTERVAL '24 hours')`

const sqlInsertTransfer = `
INSERT INTO transfers (transfer_id, event_id, ticket_id, epoch, tier, seat, giver, giver_account, giver_email, giver_language, receiver, language, state,
    reason, account_id, owner, body_hash, created_at, expires_at, closed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 'offered', '', NULL, '', $13, now(), $14, NULL)`

// Offer asks to hand a ticket on.
type Offer struct {
	Ticket   uuid.UUID
	Key      string          // Idempotency-Key: of one ticket and giver, the same key is the same offer
	Giver    lottery.Entrant // who the request proves to own the ticket
	Account  uuid.UUID       // of the giver; uuid.Nil: not signed in
	Email    string          // of that account
	To       string          // e-mail address of the receiver
	Language string          // of the mails
}

// hash tells a repeated request from another one with the same key.
func (q *Offer) hash() []byte {
	body, _ := json.Marshal([]string{q.To, q.Language}) // cannot fail
	sum := sha256.Sum256(body)
	return sum[:]
}

// Offer makes an offer, in one transaction: the ticket is set aside, the transfer written, the mail queued. Errors: those of this package
// and of package ticket that concern the giver, and what Normalize says of the address.
func (s *Service) Offer(ctx context.Context, q Offer) (Transfer, error) {
	to, err := s.cfg.Normalize(q.To)
	if err != nil {
		return Transfer{}, err
	}
	q.To = to
	id := ID(q.Ticket, q.Giver, q.Key)
	var made Transfer
	err = s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		made, err = load(ctx, tx, id)
		switch {
		case err == nil && bytes.Equal(made.bodyHash, q.hash()):
			return nil
		case err == nil:
			return ErrKeyReused
		case !errors.Is(err, ErrUnknown):
			return err
		}
		made, err = s.offer(ctx, tx, id, &q)
		return err
	})
	if err != nil {
		count("offer", err)
		return Transfer{}, fmt.Errorf("offer ticket %s: %w", q.Ticket, meanwhile(err))
	}
	count("offer", nil)
	return made, nil
}

// meanwhile is the error of an offer that another one forestalled.
func meanwhile(err error) error {
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.ConstraintName == "transfers_one_open" {
		return fmt.Errorf("%w: %w", ticket.ErrOffered, err)
	}
	return err
}

// offer is Offer inside its transaction, for a key that is new.
func (s *Service) offer(ctx context.Context, tx pgx.Tx, id uuid.UUID, q *Offer) (Transfer, error) {
	t, err := ticket.Load(ctx, tx, q.Ticket)
	if err != nil {
		return Transfer{}, err
	}
	if t.Owner != q.Giver {
		return Transfer{}, ticket.ErrUnknown
	}
	terms, err := s.cfg.Terms(ctx, t.Event)
	if err != nil {
		return Transfer{}, fmt.Errorf("terms of event %s: %w", t.Event, err)
	}
	if err := t.Usable(); err != nil {
		return Transfer{}, err
	}
	o, err := orderOf(ctx, tx, t.Order)
	if err != nil {
		return Transfer{}, err
	}
	email := q.Email
	if email == "" && o.entrant == t.Owner {
		email = o.email
	}
	if own, err := s.cfg.Normalize(email); err == nil && own == q.To {
		return Transfer{}, ErrSelf
	}
	now, err := s.bounds(ctx, tx, q, terms)
	if err != nil {
		return Transfer{}, err
	}
	if err := terms.check(now); err != nil {
		return Transfer{}, err
	}
	if err := ticket.SetAside(ctx, tx, t, ticket.Offered); err != nil {
		return Transfer{}, err
	}
	expires := now.Add(terms.OfferFor)
	if terms.ClosesAt.Before(expires) {
		expires = terms.ClosesAt
	}
	var account *uuid.UUID
	if q.Account != uuid.Nil {
		account = &q.Account
	}
	if _, err := tx.Exec(ctx, sqlInsertTransfer, id, t.Event, t.ID, int64(t.Epoch), t.Tier, t.Seat, t.Owner[:], account, email,
		cmp.Or(o.language, q.Language), q.To, q.Language, q.hash(), expires); err != nil {
		return Transfer{}, fmt.Errorf("write the transfer: %w", err)
	}
	made, err := load(ctx, tx, id)
	if err != nil {
		return Transfer{}, err
	}
	return made, s.send(ctx, tx, &made, "transfer_offer", made.To, made.Language)
}

// bounds refuses more offers than there may be, and answers the transaction's time.
func (s *Service) bounds(ctx context.Context, tx pgx.Tx, q *Offer, terms Terms) (now time.Time, err error) {
	var offers, accepted, given, ofAccount int
	if err := tx.QueryRow(ctx, sqlOfferCounts, q.Ticket).Scan(&offers, &accepted, &now); err != nil {
		return now, fmt.Errorf("count the ticket's transfers: %w", err)
	}
	if err := tx.QueryRow(ctx, sqlOffersOfGiver, q.Giver[:], q.Account).Scan(&given, &ofAccount); err != nil {
		return now, fmt.Errorf("count the giver's transfers: %w", err)
	}
	switch {
	case accepted >= terms.Most:
		return now, ErrTooOften
	case offers >= MaxPerTicket || given >= MaxPerDay || ofAccount >= MaxPerDay:
		return now, ErrTooMany
	}
	return now, nil
}

// check tells why an event's tickets cannot be handed on at a time.
func (t Terms) check(now time.Time) error {
	switch {
	case t.Cancelled:
		return ErrCancelled
	case !t.Allowed:
		return ErrForbidden
	case !now.Before(t.ClosesAt):
		return ErrClosed
	}
	return nil
}
