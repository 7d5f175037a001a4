package inventory

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// The seat log is how a Feed learns which seats a commit moved. Every transaction that takes seats or gives them back
// writes one row for each stock row it moved them in, under the version that row has after the commit. Since a stock row's
// commits wait for each other, the versions a reader sees have no gap; one that it finds means that something else changed
// the row (an event file), and that the seats must be read anew.
//
// Held → sold is no part of it: that commit does not touch the stock row.

const sqlInsertSeatLog = `
INSERT INTO seat_log (event_id, tier, allocation, version, changes, at)
SELECT k.event_id, k.tier, k.allocation, k.version, k.changes, now()
FROM unnest($1::UUID[], $2::TEXT[], $3::TEXT[], $4::INT8[], $5::TEXT[]) AS k (event_id, tier, allocation, version, changes)`

const sqlOldSeatLog = `
SELECT event_id, tier, allocation, version
FROM seat_log
WHERE at < now() - $1::INTERVAL
ORDER BY at
LIMIT $2::INT8`

const sqlTrimSeatLog = `
DELETE FROM seat_log AS l
USING unnest($1::UUID[], $2::TEXT[], $3::TEXT[], $4::INT8[]) AS k (event_id, tier, allocation, version)
WHERE l.event_id = k.event_id AND l.tier = k.tier AND l.allocation = k.allocation AND l.version = k.version`

const (
	// seatLogTTL is how long rows are kept: far longer than any feed that is alive is behind.
	seatLogTTL = 5 * time.Minute
	// seatLogTrimEvery is the pause between two looks for old rows.
	seatLogTrimEvery = 30 * time.Second
	// seatLogPage is how many rows are deleted at a time.
	seatLogPage = 1000
)

// What the log says of a seat.
const (
	logFree = "free"
	logHeld = "held"
)

// queueSeatLog notes the seats that the plan moves. What is given back comes first, as in the table: a batch takes a
// seat after it was freed, never the other way round.
func (p *plan) queueSeatLog(b *pgx.Batch, rows map[stockKey]Stock) {
	if len(p.freed)+len(p.taken) == 0 {
		return
	}
	changes := make(map[stockKey]*strings.Builder)
	note := func(h *Hold, state string) {
		for _, item := range h.Items {
			if len(item.Seats) == 0 {
				continue
			}
			key := stockKey{h.Event, item.Tier, item.Allocation}
			text := changes[key]
			if text == nil {
				text = &strings.Builder{}
				changes[key] = text
			}
			for _, seat := range item.Seats {
				if text.Len() > 0 {
					text.WriteByte(',')
				}
				text.WriteString(seat)
				text.WriteByte('=')
				text.WriteString(state)
			}
		}
	}
	for i := range p.closes {
		note(&p.closes[i].hold, logFree)
	}
	for i := range p.grants {
		note(&p.grants[i].hold, logHeld)
	}
	for i := range p.moves {
		note(&p.moves[i], logHeld)
	}
	keys := make([]stockKey, 0, len(changes))
	for k := range changes {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b stockKey) int {
		return cmp.Or(bytes.Compare(a.event[:], b.event[:]), strings.Compare(a.tier, b.tier), strings.Compare(a.allocation, b.allocation))
	})
	events, tiers, allocations := make([][16]byte, len(keys)), make([]string, len(keys)), make([]string, len(keys))
	numbers, texts := make([]int64, len(keys)), make([]string, len(keys))
	for i, k := range keys {
		events[i], tiers[i], allocations[i], numbers[i], texts[i] = k.event, k.tier, k.allocation, rows[k].Version, changes[k].String()
	}
	b.Queue(sqlInsertSeatLog, events, tiers, allocations, numbers, texts).Exec(exactly("note the seats", len(keys)))
}

// trimSeatLogs deletes old rows now and then, until ctx ends. A failure is logged and tried again.
func (s *Service) trimSeatLogs(ctx context.Context) {
	for {
		if err := s.trimSeatLog(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Log.Warn("old rows of the seat log stay for now", "error", err.Error())
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(seatLogTrimEvery + rand.N(seatLogTrimEvery/5)):
		}
	}
}

// trimSeatLog deletes what nobody reads any more, page by page. Several cores may do it at once.
func (s *Service) trimSeatLog(ctx context.Context) error {
	for {
		var events [][16]byte
		var tiers, allocations []string
		var versions []int64
		err := s.db.Reading(ctx, func() error {
			events, tiers, allocations, versions = events[:0], tiers[:0], allocations[:0], versions[:0]
			rows, err := s.db.Reader.Query(ctx, sqlOldSeatLog, seatLogTTL, seatLogPage)
			if err != nil {
				return err
			}
			var k stockKey
			var version int64
			_, err = pgx.ForEachRow(rows, []any{(*[16]byte)(&k.event), &k.tier, &k.allocation, &version}, func() error {
				events, tiers = append(events, k.event), append(tiers, k.tier)
				allocations, versions = append(allocations, k.allocation), append(versions, version)
				return nil
			})
			return err
		})
		if err != nil {
			return fmt.Errorf("find old rows of the seat log: %w", err)
		}
		if len(events) == 0 {
			return nil
		}
		err = s.db.InBookkeeping(ctx, func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, sqlTrimSeatLog, events, tiers, allocations, versions)
			return err
		})
		if err != nil {
			return fmt.Errorf("trim the seat log: %w", err)
		}
		s.figure.seatLogTrimmed.Add(len(events))
		if len(events) < seatLogPage {
			return nil
		}
	}
}
