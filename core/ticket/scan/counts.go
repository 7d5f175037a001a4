package scan

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

const sqlGateCounts = `
SELECT gate, zone, count(*) FILTER (WHERE refused = '' AND direction = 'in' AND undone_at IS NULL), count(*) FILTER (WHERE refused = '' AND direction = 'out' AND undone_at IS NULL),
    count(*) FILTER (WHERE refused <> ''), count(*) FILTER (WHERE undone_at IS NOT NULL), count(*) FILTER (WHERE finding <> '')
FROM scans
WHERE event_id = $1
GROUP BY gate, zone
ORDER BY gate, zone`

const sqlZoneCounts = `
SELECT zone, count(*), count(*) FILTER (WHERE inside)
FROM entries
WHERE event_id = $1
GROUP BY zone
ORDER BY zone`

// GateCounts are what was scanned at a gate.
type GateCounts struct {
	Gate, Zone                         string
	In, Out, Refused, Undone, Findings int
}

// ZoneCounts are the tickets that have entered a zone, and those that are inside.
type ZoneCounts struct {
	Zone            string
	Entered, Inside int
}

// Counts are an event's, as of now.
func (s *Service) Counts(ctx context.Context, event uuid.UUID) ([]GateCounts, []ZoneCounts, error) {
	rows, err := s.db.Reader.Query(ctx, sqlGateCounts, event)
	if err != nil {
		return nil, nil, fmt.Errorf("count scans: %w", err)
	}
	gates, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c GateCounts, err error) {
		err = row.Scan(&c.Gate, &c.Zone, &c.In, &c.Out, &c.Refused, &c.Undone, &c.Findings)
		return c, err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("count scans: %w", err)
	}
	if rows, err = s.db.Reader.Query(ctx, sqlZoneCounts, event); err != nil {
		return nil, nil, fmt.Errorf("count entries: %w", err)
	}
	zones, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c ZoneCounts, err error) {
		err = row.Scan(&c.Zone, &c.Entered, &c.Inside)
		return c, err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("count entries: %w", err)
	}
	return gates, zones, nil
}
