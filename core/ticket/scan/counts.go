package scan

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

const sqlGateCounts = `
SELECT c.gate, c.zone, sum(c.ins)::INT8, sum(c.outs)::INT8, sum(c.refused)::INT8, sum(c.undone)::INT8, sum(c.findings)::INT8
FROM (
    SELECT s.gate, s.zone, count(*) FILTER (WHERE s.refused = '' AND s.direction = 'in' AND s.undone_at IS NULL) AS ins,
        count(*) FILTER (WHERE s.refused = '' AND s.direction = 'out' AND s.undone_at IS NULL) AS outs, count(*) FILTER (WHERE s.refused <> '') AS refused,
        count(*) FILTER (WHERE s.undone_at IS NOT NULL) AS undone, count(*) FILTER (WHERE s.finding <> '') AS findings
    FROM scans AS s
    WHERE s.event_id = $1
    GROUP BY s.gate, s.zone
    UNION ALL
    SELECT r.gate, r.zone, 0, 0, count(*), 0, 0
    FROM refused_scans AS r
    WHERE r.event_id = $1
    GROUP BY r.gate, r.zone
) AS c
GROUP BY c.gate, c.zone
ORDER BY c.gate, c.zone`

const sqlZoneCounts = `
SELECT zone, count(*), count(*) FILTER (WHERE inside)
FROM entries
WHERE event_id = $1
GROUP BY zone
ORDER BY zone`

// GateCounts are what was scanned at a gate. Refused are also those of what is no code of the event.
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
