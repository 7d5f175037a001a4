package inventory

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// MaxProlongation is how long from now a hold may be kept while somebody decides about its payment.
const MaxProlongation = 24 * time.Hour

const sqlProlongHolds = `
UPDATE holds AS h
SET deadline = greatest(h.deadline, now() + least(k.micros * INTERVAL '1 microsecond', $3::INTERVAL)), extended = true
FROM unnest($1::UUID[], $2::INT8[]) AS k (hold_id, micros)
WHERE h.hold_id = k.hold_id AND h.state = 'active' AND h.deadline > now()
RETURNING h.hold_id, h.deadline`

// Prolong keeps active holds at least so long from now, whether they were extended before or not, and at most MaxProlongation. It
// answers their deadlines; a hold that is not active has none.
func Prolong(ctx context.Context, tx pgx.Tx, holds []Keeping) (map[uuid.UUID]time.Time, error) {
	holds = slices.SortedFunc(slices.Values(holds), func(a, b Keeping) int { return bytes.Compare(a.Hold[:], b.Hold[:]) })
	ids, micros := make([][16]byte, len(holds)), make([]int64, len(holds))
	for i, h := range holds {
		ids[i], micros[i] = h.Hold, max(h.For, 0).Microseconds()
	}
	deadlines := make(map[uuid.UUID]time.Time, len(holds))
	rows, err := tx.Query(ctx, sqlProlongHolds, ids, micros, MaxProlongation)
	if err != nil {
		return nil, fmt.Errorf("prolong holds: %w", err)
	}
	var id uuid.UUID
	var deadline time.Time
	_, err = pgx.ForEachRow(rows, []any{(*[16]byte)(&id), &deadline}, func() error {
		deadlines[id] = deadline.UTC()
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("prolong holds: %w", err)
	}
	return deadlines, nil
}
