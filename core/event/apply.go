package event

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/edge/lottery"
)

const sqlEventsForUpdate = `
SELECT event_id, state, spec, spec_hash, revision
FROM events
WHERE event_id = ANY($1::UUID[])
ORDER BY event_id
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

// MaxBatch is how many events ApplyAll takes: a longer transaction would only be aborted more often.
const MaxBatch = 500

// ErrBatch means that a batch is empty, too long or names an event twice.
var ErrBatch = errors.New("event: malformed batch")

// Apply brings the database to what the spec says, in one serializable transaction: the event, its tiers, stock, seats, keys and its
// row in the catalog.
// Applying what is there already changes nothing and says so. A change that the package comment calls a broken promise is refused;
// the error is then Problems, all of them, and nothing was changed.
func (s *Store) Apply(ctx context.Context, spec Spec) (Result, error) {
	results, err := s.ApplyAll(ctx, []Spec{spec})
	if err != nil {
		return Result{}, err
	}
	return results[0], nil
}

// ApplyAll is Apply for up to 500 events in one transaction: all of them or none. Of several, a problem's path begins with the
// event's place, such as events[3].tiers[0].price.
func (s *Store) ApplyAll(ctx context.Context, specs []Spec) ([]Result, error) {
	if len(specs) == 0 || len(specs) > MaxBatch {
		return nil, fmt.Errorf("%w: it has %d events, and must have 1 to %d", ErrBatch, len(specs), MaxBatch)
	}
	work := make([]*application, len(specs))
	known := make(map[string]bool, len(specs))
	for i, spec := range specs {
		if !lottery.ValidSlug(spec.ID) {
			return nil, Problems{{Path: "id", Message: quote(spec.ID) + " is not " + slugRule}}
		}
		if known[spec.ID] {
			return nil, fmt.Errorf("%w: %s is in it twice", ErrBatch, spec.ID)
		}
		known[spec.ID] = true
		a := &application{place: i, id: lottery.EventID(spec.ID), spec: spec, pseudonymKey: make([]byte, secretBytes)}
		if _, err := io.ReadFull(s.random, a.pseudonymKey); err != nil {
			return nil, fmt.Errorf("apply event %s: make its pseudonym key: %w", spec.ID, err)
		}
		var err error
		if a.text, a.hash, err = spec.encode(); err != nil {
			return nil, err
		}
		work[i] = a
	}
	// All lock in the same order, so that batches which overlap wait for each other instead of in a circle.
	slices.SortFunc(work, func(a, b *application) int { return bytes.Compare(a.id[:], b.id[:]) })
	apply := func(ctx context.Context, tx pgx.Tx) error { return s.applyAll(ctx, tx, work) }
	err := s.db.InTx(ctx, apply)
	if db.IsUnique(err) { // somebody else created an event just now: this is a change of it
		err = s.db.InTx(ctx, apply)
	}
	s.forget(work)
	var refused Problems
	if errors.As(err, &refused) {
		return nil, refused
	}
	if err != nil {
		return nil, fmt.Errorf("apply %s: %w", describeBatch(specs), err)
	}
	results := make([]Result, len(specs))
	for _, a := range work {
		results[a.place] = a.result
	}
	return results, nil
}

func describeBatch(specs []Spec) string {
	if len(specs) == 1 {
		return "event " + specs[0].ID
	}
	return fmt.Sprintf("%d events from %s on", len(specs), specs[0].ID)
}

// forget makes this core see at once what it applied itself.
func (s *Store) forget(work []*application) {
	for _, a := range work {
		s.events.forget(a.id)
		s.shown.forget(a.id)
		for _, p := range eventPurposes() {
			s.keys.forget(ringKey{p, Scope(a.id)})
		}
		s.keys.forget(ringKey{LimitPurpose, TourScope(a.spec.Tour.ID)})
	}
}

// application is one event being applied. result is set anew at each attempt of the transaction.
type application struct {
	place        int // in the batch
	id           uuid.UUID
	spec         Spec
	text         string
	hash         []byte
	pseudonymKey []byte

	before Event // its spec, state and revision; revision 0 when the event is new
	same   bool
	result Result
}

func (s *Store) applyAll(ctx context.Context, tx pgx.Tx, work []*application) error {
	var rings []ringKey
	for _, a := range work {
		for _, p := range eventPurposes() {
			rings = append(rings, ringKey{p, Scope(a.id)})
		}
		if a.spec.Tour.ID != "" {
			rings = append(rings, ringKey{LimitPurpose, TourScope(a.spec.Tour.ID)})
		}
	}
	if err := ensureAll(ctx, tx, s.random, rings); err != nil {
		return err
	}
	if err := readApplied(ctx, tx, work); err != nil {
		return err
	}
	var changed []listing
	var problems Problems
	for _, a := range work {
		if a.same {
			a.result = Result{ID: a.id, Event: a.spec.ID, Revision: a.before.Revision, Changes: []string{}}
			continue
		}
		err := a.apply(ctx, tx)
		var refused Problems
		if errors.As(err, &refused) {
			problems = append(problems, refused.InBatch(a.place, len(work))...)
			continue
		}
		if err != nil {
			return err
		}
		changed = append(changed, listing{a.id, a.before.State, a.result.Revision, &a.spec})
	}
	if len(problems) > 0 {
		return problems
	}
	return writeListings(ctx, tx, changed)
}

// InBatch says of which event of a batch the problems are; there is no need to when it is the only one.
func (p Problems) InBatch(place, batch int) Problems {
	if batch == 1 {
		return p
	}
	placed := make(Problems, len(p))
	for i, one := range p {
		placed[i] = one
		placed[i].Path = strings.TrimSuffix(fmt.Sprintf("events[%d].%s", place, one.Path), ".")
	}
	return placed
}

// readApplied locks the events that are there and reads what was applied last.
func readApplied(ctx context.Context, tx pgx.Tx, work []*application) error {
	ids := make([]uuid.UUID, len(work))
	byID := make(map[uuid.UUID]*application, len(work))
	for i, a := range work {
		ids[i], byID[a.id] = a.id, a
		a.before, a.same = Event{Slug: a.spec.ID, State: "active"}, false
	}
	rows, err := tx.Query(ctx, sqlEventsForUpdate, ids)
	if err != nil {
		return fmt.Errorf("read the events: %w", err)
	}
	var id uuid.UUID
	var text, state string
	var hash []byte
	var revision int64
	_, err = pgx.ForEachRow(rows, []any{&id, &state, &text, &hash, &revision}, func() error {
		a := byID[id]
		a.before.Revision, a.before.State, a.same = revision, state, bytes.Equal(hash, a.hash)
		if a.same {
			return nil
		}
		return a.before.open(text)
	})
	if err != nil {
		return fmt.Errorf("read the events: %w", err)
	}
	return nil
}

// apply writes one event that is new or changed.
func (a *application) apply(ctx context.Context, tx pgx.Tx) error {
	spec, created := &a.spec, a.before.Revision == 0
	plan, err := planChanges(ctx, tx, a.id, a.before.Spec, *spec)
	if err != nil {
		return err
	}
	if created {
		plan.changes = []string{"created: " + spec.Name}
		_, err = tx.Exec(ctx, sqlInsertEvent, a.id, spec.ID, spec.Name, spec.Organizer, spec.Currency, spec.TimeZone, spec.StartsAt,
			a.text, a.hash, a.pseudonymKey)
	} else {
		_, err = tx.Exec(ctx, sqlUpdateEvent, a.id, spec.Name, spec.Organizer, spec.Currency, spec.TimeZone, spec.StartsAt,
			a.text, a.hash, a.before.Revision+1)
	}
	if err != nil {
		return fmt.Errorf("write the event: %w", err)
	}
	if err := plan.write(ctx, tx, a.id); err != nil {
		return err
	}
	if !created {
		if err := a.noteMove(ctx, tx, plan); err != nil {
			return err
		}
	}
	a.result = Result{ID: a.id, Event: spec.ID, Revision: a.before.Revision + 1, Changed: true, Changes: plan.changes}
	return nil
}
