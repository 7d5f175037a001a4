package scan

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/ticket/code"
	"fairgate/core/ticket/gate"
)

const sqlGatesNamed = `SELECT gate FROM gates WHERE event_id = $1 AND gate = ANY($2::TEXT[])`

// gatesNamed tells which of the gates that records name the event has, or had.
func (s *Service) gatesNamed(ctx context.Context, event uuid.UUID, records []gate.Record) (map[string]bool, error) {
	if len(records) > MaxMerge {
		return nil, fmt.Errorf("%w: %d records at once", gate.ErrLog, len(records))
	}
	named := map[string]bool{}
	for _, r := range records {
		if gateForm.MatchString(r.Gate) { // or else the event cannot have it
			named[r.Gate] = true
		}
	}
	rows, err := s.db.Reader.Query(ctx, sqlGatesNamed, event, slices.Collect(maps.Keys(named)))
	if err != nil {
		return nil, fmt.Errorf("read the gates of the records: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read the gates of the records: %w", err)
	}
	clear(named)
	for _, name := range names {
		named[name] = true
	}
	return named, nil
}

// astray is why no gate of the event can have written a record, whatever was shown; empty when one can.
func (b *bundle) astray(r gate.Record) string {
	switch {
	case r.Event != b.event.ID:
		return gate.Reason(code.ErrOtherEvent)
	case !b.gates[r.Gate]:
		return "gate_unknown"
	case !b.event.Rules.Known(r.Zone):
		return "zone_unknown"
	}
	return ""
}
