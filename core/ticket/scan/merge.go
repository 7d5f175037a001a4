package scan

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/ticket/code"
	"fairgate/core/ticket/gate"
)

// MaxMerge is how many records of a log are merged at a time.
const MaxMerge = 500

const sqlMergeScans = `
INSERT INTO scans (scan_id, event_id, ticket_id, epoch, gate, zone, direction, refused, offline, at, recorded_at, undone_by, undo_reason, finding)
SELECT u.scan_id, $1, u.ticket_id, u.epoch, u.gate, u.zone, u.direction, u.refused, true, u.at, now(), '', '', ''
FROM unnest($2::UUID[], $3::UUID[], $4::INT8[], $5::TEXT[], $6::TEXT[], $7::TEXT[], $8::TEXT[], $9::TIMESTAMPTZ[])
     AS u (scan_id, ticket_id, epoch, gate, zone, direction, refused, at)
JOIN tickets AS t ON t.ticket_id = u.ticket_id AND t.event_id = $1
ON CONFLICT (scan_id) DO NOTHING`

const sqlMergeRefused = `
INSERT INTO refused_scans (scan_id, event_id, gate, zone, refused, offline, at, recorded_at)
SELECT u.scan_id, $1, u.gate, u.zone, u.refused, true, u.at, now()
FROM unnest($2::UUID[], $3::TEXT[], $4::TEXT[], $5::TEXT[], $6::TIMESTAMPTZ[]) AS u (scan_id, gate, zone, refused, at)
ON CONFLICT (scan_id) DO NOTHING`

const sqlMergeUndos = `
UPDATE scans AS s SET undone_at = u.at, undone_by = 'gate:' || u.gate, undo_reason = u.reason, finding = '', before_id = NULL
FROM unnest($2::UUID[], $3::TEXT[], $4::TIMESTAMPTZ[], $5::TEXT[]) AS u (scan_id, gate, at, reason)
WHERE s.scan_id = u.scan_id AND s.event_id = $1 AND s.gate = u.gate AND s.refused = '' AND s.undone_at IS NULL`

const sqlMerged = `SELECT scan_id, ticket_id, zone, gate FROM scans WHERE scan_id = ANY($1::UUID[]) AND event_id = $2`

const sqlFindings = `
SELECT s.scan_id, s.ticket_id, t.tier, t.seat, s.gate, s.zone, s.direction, s.at, s.finding, coalesce(b.gate, ''), b.at
FROM scans AS s
JOIN tickets AS t ON t.ticket_id = s.ticket_id
LEFT JOIN scans AS b ON b.scan_id = s.before_id
WHERE s.event_id = $1 AND s.finding <> '' AND (s.at, s.scan_id) > ($2, $3)
ORDER BY s.at, s.scan_id
LIMIT $4`

const sqlFindingsOf = `
SELECT s.scan_id, s.ticket_id, t.tier, t.seat, s.gate, s.zone, s.direction, s.at, s.finding, coalesce(b.gate, ''), b.at
FROM scans AS s
JOIN tickets AS t ON t.ticket_id = s.ticket_id
LEFT JOIN scans AS b ON b.scan_id = s.before_id
WHERE s.ticket_id = ANY($1::UUID[]) AND s.event_id = $2 AND s.finding <> ''
ORDER BY s.at, s.scan_id`

// Finding is a pass that should not have been.
type Finding struct {
	Scan       uuid.UUID
	Ticket     uuid.UUID
	Tier, Seat string
	Gate, Zone string
	Direction  gate.Direction
	At         time.Time
	What       string // duplicate, void, superseded or companion
	BeforeGate string // of a duplicate: where the ticket had been, …
	BeforeAt   time.Time
}

// Report is what a merge came to.
type Report struct {
	New      int        // records that were not known
	Rejected []Rejected // records that no gate of the event can have written
	Findings []Finding  // of all tickets in the log, whichever gates they passed
}

// Rejected is a record that was left out.
type Rejected struct {
	ID  uuid.UUID
	Why string // a gate.Reason, ticket_unknown, scan_unknown, gate_unknown or zone_unknown
}

// Merge brings home at most MaxMerge records of logs of the event's gates, in any order and as often as anybody likes. A scan is to come
// before the record that undoes it, or with it. Every code's signature is verified again; rotating parts were judged at the gate.
// Records of a gate that the event never had, or of a zone that it has not, are left out; a log may come home after its gate was revoked.
// gate.ErrLog when a record is impossible: nothing was merged.
func (s *Service) Merge(ctx context.Context, event uuid.UUID, records []gate.Record) (Report, error) {
	e, err := s.events(ctx, event)
	if err != nil {
		return Report{}, err
	}
	b := &bundle{event: e}
	if b.gates, err = s.gatesNamed(ctx, event, records); err != nil {
		return Report{}, err
	}
	if err := b.sort(records); err != nil {
		return Report{}, err
	}
	var report Report
	err = s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
		report, err = b.merge(ctx, tx)
		return err
	})
	if err != nil {
		return Report{}, fmt.Errorf("merge %d records of event %s: %w", len(records), e.Slug, err)
	}
	return report, nil
}

// bundle is some records on their way into the tables.
type bundle struct {
	event    Event
	scans    []gate.Record
	codes    map[uuid.UUID]code.Code // of scans
	strange  []gate.Record           // of what is no code of the event
	undos    []gate.Record
	rejected []Rejected
	gates    map[string]bool // those that the event has, or had, of those in the records
}

// sort checks records and tells scans from undone ones.
func (b *bundle) sort(records []gate.Record) error {
	b.codes = make(map[uuid.UUID]code.Code, len(records))
	for _, r := range records {
		if err := r.Check(); err != nil {
			return err
		}
		if why := b.astray(r); why != "" {
			b.rejected = append(b.rejected, Rejected{r.ID, why})
			continue
		}
		if r.Undo != uuid.Nil {
			b.undos = append(b.undos, r)
			continue
		}
		if r.Strange() {
			b.strange = append(b.strange, r)
			continue
		}
		c, err := code.Verify(r.Code, b.event.ID, b.event.Reader.Keys)
		if err != nil {
			b.rejected = append(b.rejected, Rejected{r.ID, gate.Reason(err)})
			continue
		}
		if _, twice := b.codes[r.ID]; !twice {
			b.codes[r.ID] = c
			b.scans = append(b.scans, r)
		}
	}
	slices.SortFunc(b.scans, func(x, y gate.Record) int { return bytes.Compare(x.ID[:], y.ID[:]) })
	slices.SortFunc(b.strange, func(x, y gate.Record) int { return bytes.Compare(x.ID[:], y.ID[:]) })
	b.strange = slices.CompactFunc(b.strange, func(x, y gate.Record) bool { return x.ID == y.ID })
	slices.SortFunc(b.undos, func(x, y gate.Record) int { return bytes.Compare(x.Undo[:], y.Undo[:]) })
	b.undos = slices.CompactFunc(b.undos, func(x, y gate.Record) bool { return x.Undo == y.Undo })
	return nil
}

func (b *bundle) merge(ctx context.Context, tx pgx.Tx) (Report, error) {
	report := Report{Rejected: slices.Clone(b.rejected)}
	added, err := b.insert(ctx, tx)
	if err != nil {
		return Report{}, err
	}
	undone, err := b.undo(ctx, tx)
	if err != nil {
		return Report{}, err
	}
	turned, err := b.turnAway(ctx, tx)
	if err != nil {
		return Report{}, err
	}
	report.New = added + undone + turned
	rejected, places, err := b.touched(ctx, tx)
	if err != nil {
		return Report{}, err
	}
	report.Rejected = append(report.Rejected, rejected...)
	if err := settle(ctx, tx, &b.event, places); err != nil {
		return Report{}, err
	}
	tickets := make([]uuid.UUID, len(places))
	for i, p := range places {
		tickets[i] = p.ticket
	}
	report.Findings, err = findings(ctx, tx, sqlFindingsOf, tickets, b.event.ID)
	return report, err
}

func (b *bundle) insert(ctx context.Context, tx pgx.Tx) (int, error) {
	n := len(b.scans)
	ids, tickets, epochs, ats := make([]uuid.UUID, n), make([]uuid.UUID, n), make([]int64, n), make([]time.Time, n)
	gates, zones, ways, refused := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	for i, r := range b.scans {
		c := b.codes[r.ID]
		ids[i], tickets[i], epochs[i], ats[i] = r.ID, c.TicketID, int64(c.Epoch), r.At
		gates[i], zones[i], ways[i], refused[i] = r.Gate, r.Zone, string(r.Direction), r.Refused
	}
	tag, err := tx.Exec(ctx, sqlMergeScans, b.event.ID, ids, tickets, epochs, gates, zones, ways, refused, ats)
	if err != nil {
		return 0, fmt.Errorf("write scans: %w", err)
	}
	return int(tag.RowsAffected()), nil
}

// turnAway counts what was shown at gates and is no code of the event.
func (b *bundle) turnAway(ctx context.Context, tx pgx.Tx) (int, error) {
	n := len(b.strange)
	if n == 0 {
		return 0, nil
	}
	ids, ats := make([]uuid.UUID, n), make([]time.Time, n)
	gates, zones, refused := make([]string, n), make([]string, n), make([]string, n)
	for i, r := range b.strange {
		ids[i], gates[i], zones[i], refused[i], ats[i] = r.ID, r.Gate, r.Zone, r.Refused, r.At
	}
	tag, err := tx.Exec(ctx, sqlMergeRefused, b.event.ID, ids, gates, zones, refused, ats)
	if err != nil {
		return 0, fmt.Errorf("write what was no code: %w", err)
	}
	return int(tag.RowsAffected()), nil
}

func (b *bundle) undo(ctx context.Context, tx pgx.Tx) (int, error) {
	n := len(b.undos)
	ids, gates, ats, reasons := make([]uuid.UUID, n), make([]string, n), make([]time.Time, n), make([]string, n)
	for i, r := range b.undos {
		ids[i], gates[i], ats[i], reasons[i] = r.Undo, r.Gate, r.At, r.Reason
	}
	tag, err := tx.Exec(ctx, sqlMergeUndos, b.event.ID, ids, gates, ats, reasons)
	if err != nil {
		return 0, fmt.Errorf("write what is undone: %w", err)
	}
	return int(tag.RowsAffected()), nil
}

// touched are the places whose passes may have changed, and the records that came to nothing.
func (b *bundle) touched(ctx context.Context, tx pgx.Tx) (rejected []Rejected, places []place, err error) {
	ids := make([]uuid.UUID, 0, len(b.scans)+len(b.undos))
	for _, r := range b.scans {
		ids = append(ids, r.ID)
	}
	for _, r := range b.undos {
		ids = append(ids, r.Undo)
	}
	rows, err := tx.Query(ctx, sqlMerged, ids, b.event.ID)
	if err != nil {
		return nil, nil, fmt.Errorf("read what was merged: %w", err)
	}
	gates := map[uuid.UUID]string{}
	var id uuid.UUID
	var p place
	var name string
	if _, err := pgx.ForEachRow(rows, []any{&id, &p.ticket, &p.zone, &name}, func() error {
		gates[id] = name
		places = append(places, p)
		return nil
	}); err != nil {
		return nil, nil, fmt.Errorf("read what was merged: %w", err)
	}
	for _, r := range b.scans {
		if gates[r.ID] == "" {
			rejected = append(rejected, Rejected{r.ID, "ticket_unknown"})
		}
	}
	for _, r := range b.undos {
		if gates[r.Undo] != r.Gate {
			rejected = append(rejected, Rejected{r.ID, "scan_unknown"})
		}
	}
	return rejected, places, nil
}

// Findings lists passes of an event that should not have been, by time, those after a scan of an earlier page.
func (s *Service) Findings(ctx context.Context, event uuid.UUID, afterAt time.Time, after uuid.UUID, limit int) ([]Finding, error) {
	return findings(ctx, s.db.Reader, sqlFindings, event, afterAt, after, limit)
}

// querier reads: a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func findings(ctx context.Context, q querier, sql string, args ...any) ([]Finding, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("read findings: %w", err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (f Finding, err error) {
		var before *time.Time
		err = row.Scan(&f.Scan, &f.Ticket, &f.Tier, &f.Seat, &f.Gate, &f.Zone, &f.Direction, &f.At, &f.What, &f.BeforeGate, &before)
		if before != nil {
			f.BeforeAt = *before
		}
		return f, err
	})
	if err != nil {
		return nil, fmt.Errorf("read findings: %w", err)
	}
	return found, nil
}
