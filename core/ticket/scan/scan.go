package scan

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/ticket/code"
	"fairgate/core/ticket/gate"
)

// Of a cancelled event every ticket is void, whether its refund has come to it or not.
const sqlTicketAtGate = `
SELECT t.tier, t.seat, t.state = 'void' OR coalesce(e.state, '') = 'cancelled', t.hold, t.epoch, now()
FROM tickets AS t
LEFT JOIN events AS e ON e.event_id = t.event_id
WHERE t.ticket_id = $1 AND t.event_id = $2`

const sqlFirstEntry = `
INSERT INTO entries (ticket_id, zone, event_id, ins, outs, inside, first_id, first_gate, first_at, last_id, last_gate, last_at)
VALUES ($1, $2, $3, 1, 0, true, $4, $5, $6, $4, $5, $6)
ON CONFLICT (ticket_id, zone) DO NOTHING`

const sqlEntryForUpdate = `
SELECT ins, outs, inside, first_id, first_gate, first_at, last_id, last_gate, last_at
FROM entries
WHERE ticket_id = $1 AND zone = $2
FOR UPDATE`

const sqlMoveEntry = `
UPDATE entries SET ins = $3, outs = $4, inside = $5, last_id = $6, last_gate = $7, last_at = $8
WHERE ticket_id = $1 AND zone = $2`

const sqlInsertScan = `
INSERT INTO scans (scan_id, event_id, ticket_id, epoch, gate, zone, direction, refused, offline, at, recorded_at, undone_by, undo_reason, finding, before_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, false, $9, now(), '', '', '', $10)
ON CONFLICT (scan_id) DO NOTHING`

const sqlStoredScan = `
SELECT s.ticket_id, s.epoch, s.gate, s.zone, s.direction, s.refused, s.at, coalesce(b.gate, ''), coalesce(b.direction, ''), b.at, s.before_id, t.tier, t.seat, s.undone_at IS NOT NULL
FROM scans AS s
LEFT JOIN scans AS b ON b.scan_id = s.before_id
JOIN tickets AS t ON t.ticket_id = s.ticket_id
WHERE s.scan_id = $1`

const sqlInsertRefused = `
INSERT INTO refused_scans (scan_id, event_id, gate, zone, refused, offline, at, recorded_at)
VALUES ($1, $2, $3, $4, $5, false, now(), now())
ON CONFLICT (scan_id) DO NOTHING`

// listed is what tickets.hold says of a ticket whose code is dead though it is valid: ticket.Listed.
const listed = "listed"

// Request is one scan.
type Request struct {
	ID        uuid.UUID // made by the gate: the same id again is the same scan
	Shown     string    // what the scanner read
	Direction gate.Direction
}

// Result is what a scan came to, whether the gate opened or not.
type Result struct {
	Scan   uuid.UUID
	Ticket uuid.UUID
	Place  string
	Tier   string
	Seat   string
	At     time.Time
}

// errSeen ends a transaction whose scan is there already.
var errSeen = errors.New("scan: seen before")

// Scan decides about what a gate was shown, at now by the gate's or core's clock, which judges rotating codes alone. An error whose
// gate.Reason is not empty is a refusal, maybe a *gate.Refusal; with one of a genuine code the result says whose. Other errors: ErrReused,
// ErrUndone, ErrTicketUnknown, and those of the database, after which the same request is asked again.
func (s *Service) Scan(ctx context.Context, g Gate, q Request, now time.Time) (Result, error) {
	e, err := s.events(ctx, g.Event)
	if err != nil {
		return Result{}, err
	}
	c, why := e.Reader.Read(q.Shown, now)
	if why != nil && c.TicketID == uuid.Nil {
		if _, err := s.db.Exec(ctx, sqlInsertRefused, q.ID, e.ID, g.Name, g.Zone, gate.Reason(why)); err != nil {
			return Result{}, fmt.Errorf("count a scan of no code: %w", err)
		}
		count(q.Direction, why)
		return Result{}, why
	}
	t := &turn{event: e, gate: g, request: q, code: c, genuine: why}
	err = s.db.InTx(ctx, t.run)
	if errors.Is(err, errSeen) {
		return s.stored(ctx, t)
	}
	if err != nil {
		return Result{}, fmt.Errorf("scan ticket %s: %w", c.TicketID, err)
	}
	count(q.Direction, t.why)
	return t.result, t.why
}

// turn is one scan in its transaction.
type turn struct {
	event   Event
	gate    Gate
	request Request
	code    code.Code
	genuine error // what the reader said: its rotating part may be missing or late

	result Result // set anew at each attempt
	why    error
}

func (t *turn) run(ctx context.Context, tx pgx.Tx) error {
	t.result, t.why = Result{Scan: t.request.ID, Ticket: t.code.TicketID, Place: t.code.Place}, t.genuine
	var void bool
	var hold string
	var epoch uint32
	err := tx.QueryRow(ctx, sqlTicketAtGate, t.code.TicketID, t.event.ID).Scan(&t.result.Tier, &t.result.Seat, &void, &hold, &epoch, &t.result.At)
	if errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("%w: %s", ErrTicketUnknown, t.code.TicketID)
	}
	if err != nil {
		return fmt.Errorf("read the ticket: %w", err)
	}
	if t.why == nil {
		t.why = t.decide(gate.StateOf(epoch, void || hold == listed), hold == listed && !void)
	}
	if t.why == nil {
		if err := t.companion(ctx, tx); err != nil {
			return err
		}
	}
	if t.why == nil {
		if err := t.move(ctx, tx); err != nil {
			return err
		}
	}
	var before *uuid.UUID
	var refused *gate.Refusal
	if errors.As(t.why, &refused) {
		before = &refused.Before.ID
	}
	tag, err := tx.Exec(ctx, sqlInsertScan, t.request.ID, t.event.ID, t.code.TicketID, int64(t.code.Epoch), t.gate.Name, t.gate.Zone,
		string(t.request.Direction), gate.Reason(t.why), t.result.At, before)
	if err != nil {
		return fmt.Errorf("write the scan: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return errSeen
	}
	return nil
}

// decide is what can be said without the ticket's entry. Whoever leaves may, whatever became of the ticket.
func (t *turn) decide(state gate.State, isListed bool) error {
	if closes := t.event.Rules.ClosesAt; !closes.IsZero() && !t.result.At.Before(closes) {
		return gate.ErrClosed
	}
	if err := state.Check(t.code.Epoch); err != nil && t.request.Direction != gate.Out {
		if isListed && errors.Is(err, gate.ErrVoid) {
			return gate.ErrListed
		}
		return err
	}
	if !t.event.Rules.Admits(t.gate.Zone, t.code.Place) {
		return gate.ErrZone
	}
	return nil
}

// move takes the ticket through the gate, or finds why not. The first entry is tried before anything is read: a row that is not there
// could only be read together with its neighbours, and scans of other tickets would wait for each other.
func (t *turn) move(ctx context.Context, tx pgx.Tx) error {
	pass := gate.Pass{ID: t.request.ID, Direction: t.request.Direction, Gate: t.gate.Name, At: t.result.At}
	if pass.Direction == gate.In {
		tag, err := tx.Exec(ctx, sqlFirstEntry, t.code.TicketID, t.gate.Zone, t.event.ID, pass.ID, pass.Gate, pass.At)
		if err != nil {
			return fmt.Errorf("enter: %w", err)
		}
		if tag.RowsAffected() == 1 {
			return nil
		}
	}
	var e gate.Entry
	e.First.Direction, e.Last.Direction = gate.In, gate.In
	err := tx.QueryRow(ctx, sqlEntryForUpdate, t.code.TicketID, t.gate.Zone).Scan(&e.Ins, &e.Outs, &e.Inside,
		&e.First.ID, &e.First.Gate, &e.First.At, &e.Last.ID, &e.Last.Gate, &e.Last.At)
	if errors.Is(err, pgx.ErrNoRows) {
		e, err = gate.Entry{}, nil
	}
	if err != nil {
		return fmt.Errorf("read the entry: %w", err)
	}
	var next gate.Entry
	if next, t.why = t.event.Rules.Next(e, pass); t.why == nil {
		if _, err := tx.Exec(ctx, sqlMoveEntry, t.code.TicketID, t.gate.Zone, next.Ins, next.Outs, next.Inside, next.Last.ID, next.Last.Gate, next.Last.At); err != nil {
			return fmt.Errorf("move the entry: %w", err)
		}
	}
	return nil
}

// stored is the answer that was given to a scan before, or ErrUndone when it was taken back since: no entry is left of it.
func (s *Service) stored(ctx context.Context, t *turn) (Result, error) {
	var name, zone, direction, refused string
	var epoch uint32
	var before gate.Pass
	var beforeAt *time.Time
	var beforeID *uuid.UUID
	var undone bool
	r := Result{Scan: t.request.ID, Place: t.code.Place}
	err := s.db.Reader.QueryRow(ctx, sqlStoredScan, t.request.ID).Scan(&r.Ticket, &epoch, &name, &zone, &direction, &refused, &r.At,
		&before.Gate, &before.Direction, &beforeAt, &beforeID, &r.Tier, &r.Seat, &undone)
	if err != nil {
		return Result{}, fmt.Errorf("read scan %s: %w", t.request.ID, err)
	}
	if r.Ticket != t.code.TicketID || epoch != t.code.Epoch || name != t.gate.Name || zone != t.gate.Zone || direction != string(t.request.Direction) {
		return Result{}, fmt.Errorf("%w: %s", ErrReused, t.request.ID)
	}
	if undone {
		return Result{}, fmt.Errorf("%w: %s", ErrUndone, t.request.ID)
	}
	why := gate.Refused(refused)
	if beforeID != nil && beforeAt != nil && why != nil {
		before.ID, before.At = *beforeID, *beforeAt
		why = &gate.Refusal{Err: why, Before: before}
	}
	return r, why
}
