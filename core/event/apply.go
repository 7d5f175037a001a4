package event

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/edge/lottery"
)

const sqlEventForUpdate = `
SELECT spec, spec_hash, revision
FROM events
WHERE event_id = $1::UUID
FOR UPDATE`

const sqlInsertEvent = `
INSERT INTO events (event_id, slug, name, state, organizer, currency, time_zone, starts_at, spec, spec_hash, revision, pseudonym_key)
VALUES ($1::UUID, $2::TEXT, $3::TEXT, 'active', $4::TEXT, $5::TEXT, $6::TEXT, $7::TIMESTAMPTZ, $8::TEXT, $9::BYTEA, 1, $10::BYTEA)`

const sqlUpdateEvent = `
UPDATE events
SET name = $2::TEXT, organizer = $3::TEXT, currency = $4::TEXT, time_zone = $5::TEXT, starts_at = $6::TIMESTAMPTZ,
    spec = $7::TEXT, spec_hash = $8::BYTEA, revision = $9::INT8, updated_at = now()
WHERE event_id = $1::UUID`

// Result is what Apply did.
type Result struct {
	ID       uuid.UUID `json:"-"`
	Event    string    `json:"event"`
	Revision int64     `json:"revision"`
	Changed  bool      `json:"changed"`
	Changes  []string  `json:"changes"` // for people to read
}

// eventPurposes are the keys every event has of its own.
func eventPurposes() []Purpose {
	return []Purpose{PassPurpose, ReceiptPurpose, TicketPurpose, InvitationPurpose}
}

// Apply brings the database to what the spec says, in one serializable transaction: the event, its tiers, stock, seats and keys.
// Applying what is there already changes nothing and says so. A change that the package comment calls a broken promise is refused;
// the error is then Problems, all of them, and nothing was changed.
func (s *Store) Apply(ctx context.Context, spec Spec) (Result, error) {
	if !lottery.ValidSlug(spec.ID) {
		return Result{}, Problems{{Path: "id", Message: quote(spec.ID) + " is not " + slugRule}}
	}
	pseudonymKey := make([]byte, secretBytes)
	if _, err := io.ReadFull(s.random, pseudonymKey); err != nil {
		return Result{}, fmt.Errorf("apply event %s: make its pseudonym key: %w", spec.ID, err)
	}
	var result Result
	apply := func(ctx context.Context, tx pgx.Tx) error {
		var err error
		result, err = s.apply(ctx, tx, spec, pseudonymKey)
		return err
	}
	err := s.db.InTx(ctx, apply)
	if db.IsUnique(err) { // somebody else created the event just now: this is a change of it
		err = s.db.InTx(ctx, apply)
	}
	s.events.forget(lottery.EventID(spec.ID))
	for _, p := range eventPurposes() {
		s.keys.forget(ringKey{p, Scope(lottery.EventID(spec.ID))})
	}
	var refused Problems
	if errors.As(err, &refused) {
		return Result{}, refused
	}
	if err != nil {
		return Result{}, fmt.Errorf("apply event %s: %w", spec.ID, err)
	}
	return result, nil
}

func (s *Store) apply(ctx context.Context, tx pgx.Tx, spec Spec, pseudonymKey []byte) (Result, error) {
	text, hash, err := spec.encode()
	if err != nil {
		return Result{}, err
	}
	id := lottery.EventID(spec.ID)
	for _, p := range eventPurposes() {
		if err := Ensure(ctx, tx, s.random, p, Scope(id)); err != nil {
			return Result{}, err
		}
	}
	var before Event
	var spoken string
	var knownHash []byte
	err = tx.QueryRow(ctx, sqlEventForUpdate, id).Scan(&spoken, &knownHash, &before.Revision)
	created := errors.Is(err, pgx.ErrNoRows)
	switch {
	case created:
	case err != nil:
		return Result{}, fmt.Errorf("read the event: %w", err)
	case bytes.Equal(hash, knownHash):
		return Result{ID: id, Event: spec.ID, Revision: before.Revision, Changes: []string{}}, nil
	default:
		before.Slug = spec.ID
		if err := before.open(spoken); err != nil {
			return Result{}, err
		}
	}
	plan, err := planChanges(ctx, tx, id, before.Spec, spec)
	if err != nil {
		return Result{}, err
	}
	if created {
		plan.changes = []string{"created: " + spec.Name}
		_, err = tx.Exec(ctx, sqlInsertEvent, id, spec.ID, spec.Name, spec.Organizer, spec.Currency, spec.TimeZone, spec.StartsAt,
			text, hash, pseudonymKey)
	} else {
		_, err = tx.Exec(ctx, sqlUpdateEvent, id, spec.Name, spec.Organizer, spec.Currency, spec.TimeZone, spec.StartsAt,
			text, hash, before.Revision+1)
	}
	if err != nil {
		return Result{}, fmt.Errorf("write the event: %w", err)
	}
	if err := plan.write(ctx, tx, id); err != nil {
		return Result{}, err
	}
	return Result{ID: id, Event: spec.ID, Revision: before.Revision + 1, Changed: true, Changes: plan.changes}, nil
}
