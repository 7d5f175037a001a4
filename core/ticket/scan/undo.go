package scan

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

const sqlScanForUpdate = `SELECT ticket_id, zone, gate, refused, undone_at FROM scans WHERE scan_id = $1 AND event_id = $2 FOR UPDATE`

const sqlUndoScan = `UPDATE scans SET undone_at = now(), undone_by = $2, undo_reason = $3, finding = '', before_id = NULL WHERE scan_id = $1`

// maxReason bounds a reason, in bytes.
const maxReason = 500

// Undo takes back a scan that opened a gate; undoing it again changes nothing. g's name is empty for an operator, who may undo any gate's.
// Errors: ErrUnknown, ErrReason.
func (s *Service) Undo(ctx context.Context, g Gate, scan uuid.UUID, actor, reason string) error {
	if reason = strings.TrimSpace(reason); reason == "" || len(reason) > maxReason {
		return ErrReason
	}
	e, err := s.events(ctx, g.Event)
	if err != nil {
		return err
	}
	err = s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		var p place
		var name, refused string
		var undone *time.Time
		err := tx.QueryRow(ctx, sqlScanForUpdate, scan, g.Event).Scan(&p.ticket, &p.zone, &name, &refused, &undone)
		switch {
		case errors.Is(err, pgx.ErrNoRows), err == nil && (refused != "" || g.Name != "" && g.Name != name):
			return ErrUnknown
		case err != nil:
			return fmt.Errorf("read the scan: %w", err)
		case undone != nil:
			return nil
		}
		if _, err := tx.Exec(ctx, sqlUndoScan, scan, actor, reason); err != nil {
			return fmt.Errorf("write that it is undone: %w", err)
		}
		return settle(ctx, tx, &e, []place{p})
	})
	if err != nil {
		return fmt.Errorf("undo scan %s: %w", scan, err)
	}
	return nil
}
