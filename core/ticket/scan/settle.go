package scan

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/ticket/gate"
)

const sqlPasses = `
SELECT s.scan_id, s.ticket_id, s.zone, s.direction, s.gate, s.at, s.offline, s.epoch, s.finding, s.before_id, t.epoch, t.voided_at < s.at OR t.held_at < s.at AND t.hold = 'listed'
FROM scans AS s
JOIN tickets AS t ON t.ticket_id = s.ticket_id
WHERE s.ticket_id = ANY($1::UUID[]) AND s.refused = '' AND s.undone_at IS NULL`

const sqlWriteEntries = `
INSERT INTO entries (ticket_id, zone, event_id, ins, outs, inside, first_id, first_gate, first_at, last_id, last_gate, last_at)
SELECT u.ticket_id, u.zone, $1, u.ins, u.outs, u.inside, u.first_id, u.first_gate, u.first_at, u.last_id, u.last_gate, u.last_at
FROM unnest($2::UUID[], $3::TEXT[], $4::INT8[], $5::INT8[], $6::BOOL[], $7::UUID[], $8::TEXT[], $9::TIMESTAMPTZ[], $10::UUID[], $11::TEXT[], $12::TIMESTAMPTZ[])
     AS u (ticket_id, zone, ins, outs, inside, first_id, first_gate, first_at, last_id, last_gate, last_at)
ON CONFLICT (ticket_id, zone) DO UPDATE
SET ins = excluded.ins, outs = excluded.outs, inside = excluded.inside, first_id = excluded.first_id, first_gate = excluded.first_gate,
    first_at = excluded.first_at, last_id = excluded.last_id, last_gate = excluded.last_gate, last_at = excluded.last_at`

const sqlDropEntries = `
DELETE FROM entries AS e
USING unnest($1::UUID[], $2::TEXT[]) AS u (ticket_id, zone)
WHERE e.ticket_id = u.ticket_id AND e.zone = u.zone`

const sqlWriteFindings = `
UPDATE scans AS s SET finding = u.finding, before_id = u.before_id
FROM unnest($1::UUID[], $2::TEXT[], $3::UUID[]) AS u (scan_id, finding, before_id)
WHERE s.scan_id = u.scan_id`

// place is a ticket in a zone.
type place struct {
	ticket uuid.UUID
	zone   string
}

func comparePlaces(a, b place) int {
	if c := bytes.Compare(a.ticket[:], b.ticket[:]); c != 0 {
		return c
	}
	return bytes.Compare([]byte(a.zone), []byte(b.zone))
}

// passed is a pass as its row has it.
type passed struct {
	gate.Pass
	finding string
	before  *uuid.UUID
	offline bool
	dead    string // what its code was by then, off line, or companionFinding
}

// settle makes the entries of places anew from all their passes, and says of each pass what is wrong with it. Places are locked in order.
func settle(ctx context.Context, tx pgx.Tx, e *Event, places []place) error {
	parties, places, err := partiesOf(ctx, tx, e, places)
	if err != nil {
		return err
	}
	event, rules := e.ID, e.Rules
	slices.SortFunc(places, comparePlaces)
	places = slices.Compact(places)
	passes, err := readPasses(ctx, tx, places)
	if err != nil {
		return err
	}
	var rows entryRows
	var gone entryRows
	var found findingRows
	for _, p := range places {
		all := passes[p]
		plain := make([]gate.Pass, len(all))
		for i := range all {
			plain[i] = all[i].Pass
		}
		entry, twice := rules.Replay(plain)
		if entry.Ins == 0 {
			gone.add(p, entry)
		} else {
			rows.add(p, entry)
		}
		for _, one := range all {
			if one.offline && one.Direction == gate.In && one.dead == "" && parties.early(p.ticket, one.At) {
				one.dead = companionFinding
			}
			found.compare(one, twice)
		}
	}
	if len(gone.tickets) > 0 {
		if _, err := tx.Exec(ctx, sqlDropEntries, gone.tickets, gone.zones); err != nil {
			return fmt.Errorf("drop entries: %w", err)
		}
	}
	if len(rows.tickets) > 0 {
		if _, err := tx.Exec(ctx, sqlWriteEntries, event, rows.tickets, rows.zones, rows.ins, rows.outs, rows.inside,
			rows.firstIDs, rows.firstGates, rows.firstAts, rows.lastIDs, rows.lastGates, rows.lastAts); err != nil {
			return fmt.Errorf("write entries: %w", err)
		}
	}
	if len(found.scans) > 0 {
		if _, err := tx.Exec(ctx, sqlWriteFindings, found.scans, found.findings, found.befores); err != nil {
			return fmt.Errorf("write findings: %w", err)
		}
	}
	return nil
}

func readPasses(ctx context.Context, tx pgx.Tx, places []place) (map[place][]passed, error) {
	tickets := make([]uuid.UUID, len(places))
	for i, p := range places {
		tickets[i] = p.ticket
	}
	rows, err := tx.Query(ctx, sqlPasses, slices.Compact(tickets))
	if err != nil {
		return nil, fmt.Errorf("read passes: %w", err)
	}
	passes := map[place][]passed{}
	var p place
	var one passed
	var offline bool
	var after *bool // NULL of most
	var epoch, now uint32
	_, err = pgx.ForEachRow(rows, []any{&one.ID, &p.ticket, &p.zone, &one.Direction, &one.Gate, &one.At, &offline, &epoch, &one.finding, &one.before, &now, &after}, func() error {
		got := one
		got.offline, got.dead = offline, ""
		switch why := gate.StateOf(now, after != nil && *after).Check(epoch); {
		case why == nil || !offline || one.Direction == gate.Out:
		default:
			got.dead = gate.Reason(why)
		}
		passes[p] = append(passes[p], got)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read passes: %w", err)
	}
	return passes, nil
}

// entryRows are columns of entries.
type entryRows struct {
	tickets           []uuid.UUID
	zones             []string
	ins, outs         []int64
	inside            []bool
	firstIDs, lastIDs []uuid.UUID
	firstGates        []string
	lastGates         []string
	firstAts, lastAts []time.Time
}

func (r *entryRows) add(p place, e gate.Entry) {
	r.tickets, r.zones = append(r.tickets, p.ticket), append(r.zones, p.zone)
	r.ins, r.outs, r.inside = append(r.ins, int64(e.Ins)), append(r.outs, int64(e.Outs)), append(r.inside, e.Inside)
	r.firstIDs, r.firstGates, r.firstAts = append(r.firstIDs, e.First.ID), append(r.firstGates, e.First.Gate), append(r.firstAts, e.First.At)
	r.lastIDs, r.lastGates, r.lastAts = append(r.lastIDs, e.Last.ID), append(r.lastGates, e.Last.Gate), append(r.lastAts, e.Last.At)
}

// findingRows are columns of scans whose finding changes.
type findingRows struct {
	scans    []uuid.UUID
	findings []string
	befores  []*uuid.UUID
}

// compare notes a pass whose finding is another than its row says. That it was a duplicate weighs more than that its code was dead.
func (r *findingRows) compare(one passed, twice []gate.Duplicate) {
	finding, before := one.dead, (*uuid.UUID)(nil)
	for _, d := range twice {
		if d.Pass.ID == one.ID {
			finding = "duplicate"
			if id := d.Before.ID; id != uuid.Nil {
				before = &id
			}
		}
	}
	same := before == nil && one.before == nil || before != nil && one.before != nil && *before == *one.before
	if finding == one.finding && same {
		return
	}
	r.scans, r.findings, r.befores = append(r.scans, one.ID), append(r.findings, finding), append(r.befores, before)
}
