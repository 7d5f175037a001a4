package event

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// sqlUpsertCatalog runs last in its transaction: readers of what changed lately look back a few seconds for rows that were
// stamped before, and committed after, the last one they saw.
const sqlUpsertCatalog = `
INSERT INTO catalog (event_id, slug, state, name, category, summary, performers, tags, venue, city, country, time_zone, starts_at,
                     currency, price_min, price_max, revision, changed_at)
SELECT u.event_id, u.slug, u.state, u.name, u.category, u.summary, u.performers, u.tags, u.venue, u.city, u.country, u.time_zone, u.starts_at,
       u.currency, u.price_min, u.price_max, u.revision, clock_timestamp()
FROM unnest($1::UUID[], $2::TEXT[], $3::TEXT[], $4::TEXT[], $5::TEXT[], $6::TEXT[], $7::TEXT[], $8::TEXT[], $9::TEXT[], $10::TEXT[],
            $11::TEXT[], $12::TEXT[], $13::TIMESTAMPTZ[], $14::TEXT[], $15::INT8[], $16::INT8[], $17::INT8[])
     AS u(event_id, slug, state, name, category, summary, performers, tags, venue, city, country, time_zone, starts_at,
          currency, price_min, price_max, revision)
ON CONFLICT (event_id) DO UPDATE
SET state = excluded.state, name = excluded.name, category = excluded.category, summary = excluded.summary, performers = excluded.performers,
    tags = excluded.tags, venue = excluded.venue, city = excluded.city, country = excluded.country, time_zone = excluded.time_zone,
    starts_at = excluded.starts_at, currency = excluded.currency, price_min = excluded.price_min, price_max = excluded.price_max,
    revision = excluded.revision, changed_at = excluded.changed_at`

// listing is an event's row in the catalog.
type listing struct {
	id       uuid.UUID
	state    string
	revision int64
	spec     *Spec
}

// writeListings brings the catalog to what was applied.
func writeListings(ctx context.Context, tx pgx.Tx, listings []listing) error {
	n := len(listings)
	if n == 0 {
		return nil
	}
	ids, starts := make([]uuid.UUID, n), make([]time.Time, n)
	lows, highs, revisions := make([]int64, n), make([]int64, n), make([]int64, n)
	var texts [12][]string
	for i := range texts {
		texts[i] = make([]string, n)
	}
	for i, l := range listings {
		s := l.spec
		low, high, err := s.priceRange()
		if err != nil {
			return err
		}
		ids[i], starts[i], lows[i], highs[i], revisions[i] = l.id, s.StartsAt, low, high, l.revision
		for column, text := range []string{s.ID, l.state, s.Name, s.Category, s.Summary, strings.Join(s.Performers, "\n"), strings.Join(s.Tags, "\n"),
			s.Venue.Name, s.Venue.City, s.Venue.Country, s.TimeZone, s.Currency} {
			texts[column][i] = text
		}
	}
	err := exactly(ctx, tx, n, sqlUpsertCatalog, ids, texts[0], texts[1], texts[2], texts[3], texts[4], texts[5], texts[6], texts[7], texts[8], texts[9],
		texts[10], starts, texts[11], lows, highs, revisions)
	if err != nil {
		return fmt.Errorf("write the catalog: %w", err)
	}
	return nil
}

// priceRange is what the cheapest and the dearest ticket cost, all-in, in minor units.
func (s *Spec) priceRange() (low, high int64, err error) {
	for i, t := range s.Tiers {
		p, err := s.Price(t)
		if err != nil {
			return 0, 0, err
		}
		if i == 0 || p.AllIn.Minor < low {
			low = p.AllIn.Minor
		}
		high = max(high, p.AllIn.Minor)
	}
	return low, high, nil
}
