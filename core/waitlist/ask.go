package waitlist

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/core/inventory"
	"fairgate/edge/lottery"
)

// maxTiers is how many tiers one entry may name.
const maxTiers = 20

// Asking is a buyer's wish.
type Asking struct {
	Event    uuid.UUID
	Entrant  lottery.Entrant // the account's in the event
	Account  uuid.UUID
	Email    string // proved by the account
	Language string
	Tiers    []string // the one wanted most first
	Quantity int
	Together bool
	Resold   bool
	Marks    inventory.Marks // by which the event's limits count an offer
}

const sqlNow = `SELECT now()`

const sqlMakeList = `
INSERT INTO waitlists (event_id, secret, commitment, made_at, draw_at, drawn_at, entrants, root, seed, closed_at)
VALUES ($1::UUID, $2::BYTEA, $3::BYTEA, now(), NULL, NULL, NULL, NULL, NULL, NULL)
ON CONFLICT (event_id) DO NOTHING`

const sqlReopenList = `UPDATE waitlists SET closed_at = NULL WHERE event_id = $1::UUID AND closed_at IS NOT NULL`

const sqlInsertEntry = `
INSERT INTO waitlist_entries (entry_id, event_id, entrant, account_id, email, language, tiers, quantity, together, resold, marks, state, reason,
    round, place, asked_at, ended_at)
VALUES ($1::UUID, $2::UUID, $3::BYTEA, $4::UUID, $5::TEXT, $6::TEXT, $7::TEXT[], $8::INT8, $9::BOOL, $10::BOOL, $11::BYTEA, 'waiting', '',
    $12::INT8, $13::BYTEA, now(), NULL)`

const sqlChangeWish = `
UPDATE waitlist_entries SET email = $2::TEXT, language = $3::TEXT, tiers = $4::TEXT[], quantity = $5::INT8, together = $6::BOOL, resold = $7::BOOL,
    marks = $8::BYTEA
WHERE entry_id = $1::UUID AND state = 'waiting'`

const sqlEndEntry = `
UPDATE waitlist_entries SET state = $3::TEXT, reason = $4::TEXT, ended_at = now()
WHERE entry_id = $1::UUID AND state = $2::TEXT`

// Ask puts a buyer on an event's list, or changes the wish of who is on it, who keeps the place. Errors: ErrNone, ErrClosed, ErrWish,
// ErrOffered (an offer is to be answered first).
func (s *Service) Ask(ctx context.Context, a Asking) (e Entry, created bool, err error) {
	ask := func(ctx context.Context, tx pgx.Tx) error {
		created = false
		var now time.Time
		if err := tx.QueryRow(ctx, sqlNow).Scan(&now); err != nil {
			return fmt.Errorf("ask for the time: %w", err)
		}
		rules, err := s.rulesOf(ctx, a.Event, now)
		if err != nil {
			return err
		}
		if err := a.check(&rules); err != nil {
			return err
		}
		standing, err := standingOf(ctx, tx, a.Event, a.Entrant)
		switch {
		case err == nil && standing.State == Offered:
			return ErrOffered
		case err == nil:
			return change(ctx, tx, standing.ID, &a)
		case !errors.Is(err, ErrUnknown):
			return err
		}
		created = true
		return s.enter(ctx, tx, &a, now)
	}
	if err = s.db.InTx(ctx, ask); db.IsUnique(err) { // the same buyer asked twice at once
		err = s.db.InTx(ctx, ask)
	}
	if err != nil {
		return Entry{}, false, fmt.Errorf("ask for the waiting list of event %s: %w", a.Event, err)
	}
	if created {
		askedTotal.Inc()
	}
	e, err = standingOf(ctx, s.db.Reader, a.Event, a.Entrant)
	return e, created, err
}

// check finds what is wrong with a wish.
func (a *Asking) check(r *Rules) error {
	switch {
	case len(a.Tiers) == 0 || len(a.Tiers) > maxTiers:
		return fmt.Errorf("%w: between 1 and %d tiers", ErrWish, maxTiers)
	case a.Quantity < 1 || r.PerBuyer > 0 && a.Quantity > r.PerBuyer:
		return fmt.Errorf("%w: between 1 and %d tickets", ErrWish, r.PerBuyer)
	case a.Email == "":
		return fmt.Errorf("%w: no address to write to", ErrWish)
	}
	for i, tier := range a.Tiers {
		if _, known := r.Tiers[tier]; !known || slices.Contains(a.Tiers[:i], tier) {
			return fmt.Errorf("%w: tier %q is unknown or named twice", ErrWish, tier)
		}
	}
	return nil
}

func change(ctx context.Context, tx pgx.Tx, id uuid.UUID, a *Asking) error {
	tag, err := tx.Exec(ctx, sqlChangeWish, id, a.Email, a.Language, a.Tiers, a.Quantity, a.Together, a.Resold, encodeMarks(a.Marks))
	if err != nil {
		return fmt.Errorf("change entry %s: %w", id, err)
	}
	if tag.RowsAffected() != 1 {
		return ErrOffered
	}
	return nil
}

// enter adds an entry: to those who will be drawn, or behind those who were.
func (s *Service) enter(ctx context.Context, tx pgx.Tx, a *Asking, now time.Time) error {
	if err := makeList(ctx, tx, a.Event); err != nil {
		return err
	}
	l, err := loadList(ctx, tx, a.Event)
	if err != nil {
		return err
	}
	if !l.ClosedAt.IsZero() { // the event's file had no list for a while
		if _, err := tx.Exec(ctx, sqlReopenList, a.Event); err != nil {
			return fmt.Errorf("open the waiting list again: %w", err)
		}
	}
	round, place := 0, []byte(nil)
	// now is when the transaction began, and what it reads may be younger: the draw may have been held in between.
	if !l.DrawnAt.IsZero() || !l.DrawAt.IsZero() && !now.Before(l.DrawAt) {
		round, place = 1, binary.BigEndian.AppendUint64(nil, uint64(now.UnixMicro()))
	}
	_, err = tx.Exec(ctx, sqlInsertEntry, uuid.New(), a.Event, a.Entrant[:], a.Account, a.Email, a.Language, a.Tiers, a.Quantity, a.Together,
		a.Resold, encodeMarks(a.Marks), round, place)
	if err != nil {
		return fmt.Errorf("insert an entry: %w", err)
	}
	return s.cfg.Remember(ctx, tx, a.Account, a.Event, a.Entrant)
}

// makeList makes an event's list with the secret of its draw, if there is none yet.
func makeList(ctx context.Context, tx pgx.Tx, event uuid.UUID) error {
	var secret [32]byte
	rand.Read(secret[:])
	chain, err := lottery.NewChain(lottery.WaitlistID(event), secret, 1)
	if err != nil {
		return fmt.Errorf("commit to a draw: %w", err)
	}
	commitment := chain.Commitment()
	if _, err := tx.Exec(ctx, sqlMakeList, event, secret[:], commitment[:]); err != nil {
		return fmt.Errorf("make the waiting list: %w", err)
	}
	return nil
}

// Leave takes a buyer off an event's list, with the offer they may have. Who is not on it has left already. Errors are those of releasing a
// hold: one that is being paid stays.
func (s *Service) Leave(ctx context.Context, event uuid.UUID, entrant lottery.Entrant) error {
	e, err := standingOf(ctx, s.db.Reader, event, entrant)
	if errors.Is(err, ErrUnknown) {
		return nil
	}
	if err != nil {
		return err
	}
	if e.State == Offered {
		o, err := standingOffer(ctx, s.db.Reader, e.ID)
		if err == nil {
			_, err = s.Decline(ctx, o.ID, entrant)
		}
		return err
	}
	err = s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, sqlEndEntry, e.ID, string(Waiting), string(Left), "left the list")
		if err != nil {
			return fmt.Errorf("end entry %s: %w", e.ID, err)
		}
		if tag.RowsAffected() == 0 {
			return ErrOffered // or gone: who asks again is told
		}
		return nil
	})
	if err == nil {
		leftTotal.Inc()
	}
	return err
}

const sqlForget = `
UPDATE waitlist_entries SET email = '', state = CASE WHEN state = 'waiting' THEN 'left' ELSE state END,
    reason = CASE WHEN state = 'waiting' THEN 'the account was forgotten' ELSE reason END, ended_at = CASE WHEN state = 'waiting' THEN now() ELSE ended_at END
WHERE account_id = $1::UUID`

// Forget takes an account's address off every list, and the account with it. What it is offered it may still take.
func (s *Service) Forget(ctx context.Context, account uuid.UUID) error {
	err := s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, sqlForget, account)
		return err
	})
	if err != nil {
		return fmt.Errorf("forget the entries of account %s: %w", account, err)
	}
	return nil
}

// encodeMarks writes the column marks.
func encodeMarks(m inventory.Marks) []byte {
	return slices.Concat(m.Account[:], m.Device[:], m.Address[:])
}

func decodeMarks(b []byte) (m inventory.Marks) {
	if n := len(m.Account); len(b) == 3*n {
		m = inventory.Marks{Account: inventory.Mark(b[:n]), Device: inventory.Mark(b[n : 2*n]), Address: inventory.Mark(b[2*n:])}
	}
	return m
}
