package story

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"fairgate/core/ticket/code"
)

const sqlScansOfOrder = `
SELECT t.tier, t.seat, s.gate, s.zone, s.direction, s.refused, s.offline, s.at, s.undone_at, s.undone_by, s.undo_reason, s.finding, coalesce(b.gate, ''), b.at
FROM unnest($1::UUID[]) AS k (ticket_id)
JOIN tickets AS t ON t.ticket_id = k.ticket_id
JOIN scans AS s ON s.ticket_id = k.ticket_id
LEFT JOIN scans AS b ON b.scan_id = s.before_id
ORDER BY s.at, s.scan_id
LIMIT $2`

// scans tells when and where the order's tickets were scanned, and what came of it.
func scans(ctx context.Context, q Querier, o order) ([]Entry, error) {
	return list(ctx, q, "the scans", func(row pgx.CollectableRow) ([]Entry, error) {
		var tier, seat, name, zone, way, refused, undoneBy, reason, finding, beforeGate string
		var offline bool
		var at time.Time
		var undone, before *time.Time
		if err := row.Scan(&tier, &seat, &name, &zone, &way, &refused, &offline, &at, &undone, &undoneBy, &reason, &finding, &beforeGate, &before); err != nil {
			return nil, err
		}
		e := Entry{At: at, Kind: "scan", Who: "gate:" + name}
		place := code.Place(tier, seat)
		if zone != "" {
			name += " of " + zone
		}
		switch {
		case refused != "":
			e.Text = fmt.Sprintf("%s was refused at gate %s on the way %s: %s", place, name, way, refused)
		case way == "out":
			e.Text = fmt.Sprintf("%s left through gate %s", place, name)
		default:
			e.Text = fmt.Sprintf("%s entered through gate %s", place, name)
		}
		if before != nil {
			e.Lines = append(e.Lines, fmt.Sprintf("it had entered through gate %s at %s", beforeGate, clock(*before)))
		}
		if offline {
			e.Lines = append(e.Lines, "the gate was off line; the time is by its clock")
		}
		if finding != "" {
			e.Lines = append(e.Lines, "found when its log was merged: "+finding)
		}
		if undone == nil {
			return []Entry{e}, nil
		}
		return []Entry{e, {At: *undone, Kind: "scan", Who: undoneBy, Text: "the scan of " + place + " is undone", Lines: []string{reason}}}, nil
	}, sqlScansOfOrder, ticketsOf(o), maxRows)
}
