package catalog

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// readRows is how many rows one statement reads.
	readRows = 2000
	// overlap is how far before the newest stamp rows are read again: longer than a healthy transaction takes from its last statement
	// to the end of its commit.
	overlap = 5 * time.Second
	// settled is after how long without news nothing is read again.
	settled = 4 * overlap
	// publishRows is after how many changed rows a long refresh lets searches see them.
	publishRows = 20_000
	// keep is for how long after its start an event stays.
	keep = 24 * time.Hour
	// recentMin is up to how many changed events the second segment holds however small the first is.
	recentMin = 2000
)

const sqlChanged = `
SELECT event_id, slug, state, name, category, summary, performers, tags, venue, city, country, time_zone, starts_at, currency,
       price_min, price_max, revision, changed_at
FROM catalog
WHERE (changed_at, event_id) > ($1::TIMESTAMPTZ, $2::UUID) AND starts_at > $3::TIMESTAMPTZ
ORDER BY changed_at, event_id
LIMIT $4::INT8`

const sqlListings = `
SELECT event_id, slug, state, name, category, summary, performers, tags, venue, city, country, time_zone, starts_at, currency,
       price_min, price_max, revision, changed_at
FROM catalog
WHERE event_id = ANY($1::UUID[])`

const sqlRevisions = `
SELECT event_id, revision
FROM catalog
WHERE event_id > $1::UUID AND state = 'active' AND starts_at > $2::TIMESTAMPTZ
ORDER BY event_id
LIMIT $3::INT8`

// mark is the newest row that has been read: its stamp, its id, and when that was.
type mark struct {
	at   time.Time
	id   uuid.UUID
	seen time.Time
}

// refresh reads what changed. The first one reads everything that is still to come.
func (c *Catalog) refresh(ctx context.Context) error {
	var cutoff time.Time
	at, id := c.mark.at, c.mark.id
	switch {
	case c.state.Load() == nil:
		cutoff, at, id = c.cfg.Now().Add(-keep), time.Time{}, uuid.Nil
	case c.cfg.Now().Sub(c.mark.seen) < settled:
		at, id = at.Add(-overlap), uuid.Nil
	}
	var changed int
	for {
		rows, err := c.read(ctx, sqlChanged, at, id, cutoff, readRows)
		if err != nil {
			return fmt.Errorf("read what changed in the catalog: %w", err)
		}
		for i := range rows {
			changed += c.apply(&rows[i])
		}
		if len(rows) > 0 {
			last := rows[len(rows)-1]
			at, id = last.changedAt, last.listing.ID
			if at.After(c.mark.at) || at.Equal(c.mark.at) && bytes.Compare(id[:], c.mark.id[:]) > 0 {
				c.mark = mark{at, id, c.cfg.Now()}
			}
		}
		done := len(rows) < readRows
		if c.state.Load() == nil && !done {
			continue
		}
		if changed > 0 && (done || changed >= publishRows) || c.state.Load() == nil {
			changes.Add(changed)
			changed = 0
			c.publish()
		}
		if done {
			return nil
		}
	}
}

// read runs one of the statements above.
func (c *Catalog) read(ctx context.Context, sql string, args ...any) ([]row, error) {
	var found []row
	err := c.db.Browse(ctx, func(ctx context.Context, copied *pgxpool.Pool) error {
		rows, err := copied.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		found, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (row, error) {
			var one row
			l := &one.listing
			err := r.Scan(&l.ID, &l.Slug, &one.state, &l.Name, &l.Category, &l.Summary, &one.performers, &one.tags, &l.Venue, &l.City, &l.Country,
				&l.TimeZone, &l.StartsAt, &l.Currency, &l.PriceMin, &l.PriceMax, &l.Revision, &one.changedAt)
			return one, err
		})
		return err
	})
	return found, err
}

// apply takes a row up, unless what is known is as new. It returns how many events that changed: 0 or 1.
func (c *Catalog) apply(r *row) int {
	old := c.known[r.listing.ID]
	if old != nil && old.Revision >= r.listing.Revision {
		return 0
	}
	l := r.open()
	switch over := c.over(l); {
	case over && old == nil:
		return 0
	case over:
		c.remove(old)
		return 1
	case old == nil && len(c.known) >= c.cfg.MaxEvents:
		if overflowed.Get() == 0 {
			c.cfg.Log.Error("the catalog is full: events beyond max_events cannot be found", "max_events", c.cfg.MaxEvents, "event", l.Slug)
		}
		overflowed.Inc()
		return 0
	case old != nil:
		c.strike(old)
	}
	c.known[l.ID], c.changed[l.ID] = l, l
	return 1
}

// over tells whether nobody looks for the event any more.
func (c *Catalog) over(l *Listing) bool {
	return l.cancelled || l.StartsAt.Before(c.cfg.Now().Add(-keep))
}

func (c *Catalog) remove(old *Listing) {
	c.strike(old)
	delete(c.known, old.ID)
	delete(c.changed, old.ID)
}

func (c *Catalog) strike(old *Listing) {
	if number, ok := c.base.find(old); ok {
		c.gone.Add(number)
	}
}

// publish makes a state of what is known.
func (c *Catalog) publish() {
	if len(c.changed) > max(recentMin, len(c.base.docs)/10) {
		all := make([]*Listing, 0, len(c.known))
		for _, l := range c.known {
			all = append(all, l)
		}
		c.base, c.gone = build(all), roaring.New()
		clear(c.changed)
		rebuilds.Inc()
	}
	recent := make([]*Listing, 0, len(c.changed))
	for _, l := range c.changed {
		recent = append(recent, l)
	}
	version := max(c.Version()+1, uint64(max(0, c.mark.at.UnixMicro())))
	c.state.Store(&State{Version: version, base: c.base, recent: build(recent), gone: c.gone.Clone()})
	eventsGauge.Set(float64(len(c.known)))
	c.cfg.Changed(version)
}

// reconcile compares everything that is known with the table.
func (c *Catalog) reconcile(ctx context.Context) error {
	cutoff := c.cfg.Now().Add(-keep)
	there := make(map[uuid.UUID]bool, len(c.known))
	var newer []uuid.UUID
	for after := uuid.Nil; ; {
		n, last := 0, after
		page := []uuid.UUID{}
		err := c.db.Browse(ctx, func(ctx context.Context, copied *pgxpool.Pool) error {
			rows, err := copied.Query(ctx, sqlRevisions, after, cutoff, 5*readRows)
			if err != nil {
				return err
			}
			n, last, page = 0, after, page[:0]
			var id uuid.UUID
			var revision int64
			_, err = pgx.ForEachRow(rows, []any{&id, &revision}, func() error {
				if l := c.known[id]; l == nil || l.Revision < revision {
					page = append(page, id)
				}
				there[id] = true
				last = id
				n++
				return nil
			})
			return err
		})
		if err != nil {
			return fmt.Errorf("compare the catalog: %w", err)
		}
		after, newer = last, append(newer, page...)
		if n < 5*readRows {
			break
		}
	}
	changed := c.drop(there)
	for part := range slices.Chunk(newer, readRows) {
		rows, err := c.read(ctx, sqlListings, part)
		if err != nil {
			return fmt.Errorf("read what the comparison found: %w", err)
		}
		for i := range rows {
			n := c.apply(&rows[i])
			changed += n
			mended.Add(n)
		}
	}
	if changed > 0 {
		changes.Add(changed)
		c.publish()
	}
	return nil
}

// drop removes what is over, and what has been missing from the table twice: once may be a copy that lags.
func (c *Catalog) drop(there map[uuid.UUID]bool) (dropped int) {
	missing := make(map[uuid.UUID]bool)
	for id, l := range c.known {
		switch {
		case c.over(l), !there[id] && c.missing[id]:
			c.remove(l)
			dropped++
		case !there[id]:
			missing[id] = true
		}
	}
	c.missing = missing
	return dropped
}
