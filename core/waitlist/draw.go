package waitlist

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/edge/lottery"
)

// drawPage is how many places one statement writes.
const drawPage = 1000

const sqlToDraw = `
SELECT e.entry_id, e.entrant FROM waitlist_entries AS e
WHERE e.event_id = $1::UUID AND e.round = 0 AND e.state = 'waiting'
ORDER BY e.entrant`

const sqlWritePlaces = `
UPDATE waitlist_entries AS e SET place = k.place
FROM unnest($1::UUID[], $2::BYTEA[]) AS k (entry_id, place)
WHERE e.entry_id = k.entry_id`

const sqlWriteDraw = `
UPDATE waitlists SET drawn_at = now(), entrants = $2::INT8, root = $3::BYTEA, seed = $4::BYTEA
WHERE event_id = $1::UUID AND drawn_at IS NULL`

const sqlDrawn = `
SELECT e.entrant FROM waitlist_entries AS e
WHERE e.event_id = $1::UUID AND e.round = 0 AND e.place IS NOT NULL
ORDER BY e.entrant`

// draw gives those who have asked in time their places, once.
func (s *Service) draw(ctx context.Context, event uuid.UUID) error {
	err := s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		l, err := loadList(ctx, tx, event)
		if err != nil || !l.DrawnAt.IsZero() {
			return err
		}
		rows, err := tx.Query(ctx, sqlToDraw, event)
		if err != nil {
			return fmt.Errorf("read who is drawn: %w", err)
		}
		var ids []uuid.UUID
		var leaves []lottery.Leaf
		var id uuid.UUID
		var entrant []byte
		_, err = pgx.ForEachRow(rows, []any{&id, &entrant}, func() error {
			ids, leaves = append(ids, id), append(leaves, lottery.Leaf{Entrant: lottery.Entrant(entrant)})
			return nil
		})
		if err != nil {
			return fmt.Errorf("read who is drawn: %w", err)
		}
		root := lottery.Root(leaves)
		seed := lottery.Seed(lottery.WaitlistID(event), 0, l.secret, root, nil)
		places := make([][]byte, len(leaves))
		for i := range leaves {
			places[i] = binary.BigEndian.AppendUint64(nil, lottery.Value(seed, leaves[i].Entrant))
		}
		for from := 0; from < len(ids); from += drawPage {
			to := min(from+drawPage, len(ids))
			if _, err := tx.Exec(ctx, sqlWritePlaces, ids[from:to], places[from:to]); err != nil {
				return fmt.Errorf("write the places: %w", err)
			}
		}
		if _, err := tx.Exec(ctx, sqlWriteDraw, event, len(ids), root[:], seed[:]); err != nil {
			return fmt.Errorf("write the draw: %w", err)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("draw the waiting list of event %s: %w", event, err)
	}
	drawsTotal.Inc()
	return nil
}

// ErrNotDrawn means that there was no draw yet.
var ErrNotDrawn = errors.New("waitlist: there was no draw yet")

// Transcript reads a list's draw. ErrNotDrawn, also while nobody has asked.
func (s *Service) Transcript(ctx context.Context, event uuid.UUID) (t lottery.WaitlistTranscript, err error) {
	err = s.db.Reading(ctx, func() error {
		l, err := loadList(ctx, s.db.Reader, event)
		if errors.Is(err, ErrUnknown) {
			return ErrNotDrawn
		}
		if err != nil {
			return err
		}
		if l.DrawnAt.IsZero() {
			return ErrNotDrawn
		}
		t = lottery.WaitlistTranscript{Event: event, Commitment: l.Commitment, DrawAt: l.DrawAt, DrawnAt: l.DrawnAt, Secret: l.Secret, Root: l.Root, Seed: l.Seed}
		rows, err := s.db.Reader.Query(ctx, sqlDrawn, event)
		if err != nil {
			return fmt.Errorf("read who was drawn: %w", err)
		}
		var entrant []byte
		_, err = pgx.ForEachRow(rows, []any{&entrant}, func() error {
			t.Entrants = append(t.Entrants, lottery.Entrant(entrant))
			return nil
		})
		return err
	})
	return t, err
}
