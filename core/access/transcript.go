package access

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"fairgate/edge/lottery"
)

const (
	sqlTranscriptCursors = `SELECT window_no, band, value, called, at FROM draw_cursors
	WHERE event_id = $1 AND generation = $2 ORDER BY seq`
	sqlTranscriptSessions = `SELECT entrant, window_no, band, value, issued_at FROM sessions
	WHERE event_id = $1 AND generation = $2 ORDER BY issued_at, entrant`
)

// Transcript is everything about the current on-sale's sealed windows that lets anybody draw again. It is read from the
// database alone, in one transaction: what memory believes has no part in it.
func (r *Room) Transcript(ctx context.Context, slug string) (lottery.Transcript, error) {
	return r.TranscriptOf(ctx, slug, 0)
}

// TranscriptOf is Transcript of an on-sale of the event by its number; 0: the current one. ErrGeneration when there was none of it.
func (r *Room) TranscriptOf(ctx context.Context, slug string, generation uint32) (lottery.Transcript, error) {
	event := lottery.EventID(slug)
	ring, err := r.rings.ofEvent(ctx, event)
	if err != nil {
		return lottery.Transcript{}, err
	}
	var t lottery.Transcript
	err = r.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		d, err := loadDraw(ctx, tx, event)
		if err != nil {
			return err
		}
		if generation != 0 && generation != d.generation {
			if err := d.recall(ctx, tx, generation); err != nil {
				return err
			}
		}
		t = lottery.Transcript{
			Event: slug, Generation: d.generation, Commitment: d.commitment, Presale: d.presale, Length: d.chainLength, BeaconName: d.beacon, Keys: ring.receiptKeys,
		}
		if t.Windows, err = transcriptWindows(ctx, tx, d); err != nil {
			return err
		}
		if t.Cursors, err = transcriptCursors(ctx, tx, d); err != nil {
			return err
		}
		t.Sessions, err = transcriptSessions(ctx, tx, d)
		return err
	})
	if err != nil {
		return lottery.Transcript{}, fmt.Errorf("write the transcript of %q: %w", slug, err)
	}
	return t, nil
}

// recall makes the row that of an earlier on-sale, as far as its draw goes.
func (d *draw) recall(ctx context.Context, tx pgx.Tx, generation uint32) error {
	var length, blocks int64
	var commitment []byte
	err := tx.QueryRow(ctx, sqlGeneration, d.event, int64(generation)).Scan(&d.presale, &commitment, &length, &d.beacon, &blocks)
	if isNoRows(err) || err == nil && len(commitment) != 32 {
		return fmt.Errorf("%w: nothing is known of number %d", ErrGeneration, generation)
	}
	if err != nil {
		return fmt.Errorf("load the on-sale number %d: %w", generation, err)
	}
	d.generation, d.commitment, d.chainLength, d.blocks = generation, [32]byte(commitment), int(length), uint64(blocks)
	return nil
}

// transcriptWindows are the sealed windows with the leaves that the stored blocks hold for them.
func transcriptWindows(ctx context.Context, tx pgx.Tx, d draw) ([]lottery.SealedWindow, error) {
	windows, err := loadWindows(ctx, tx, d, 0)
	if err != nil {
		return nil, err
	}
	leaves := make(map[uint32]lottery.Leaves)
	for from := uint64(0); from < d.blocks; from += blocksPerRead {
		blocks, err := loadBlocks(ctx, tx, d, from, min(d.blocks, from+blocksPerRead))
		if err != nil {
			return nil, err
		}
		for _, b := range blocks {
			for _, e := range b.entries {
				leaves[e.Window] = append(leaves[e.Window], lottery.Leaf{Entrant: e.Entrant, Band: e.Band, Reason: e.Reason})
			}
		}
	}
	sealed := make([]lottery.SealedWindow, len(windows))
	for i, w := range windows {
		sealed[i] = lottery.SealedWindow{
			Window: w.number, Entrants: w.entrants, Leaves: leaves[w.number], Root: w.root, Secret: w.secret, Beacon: w.beacon, Seed: w.seed,
		}
	}
	return sealed, nil
}

func transcriptCursors(ctx context.Context, tx pgx.Tx, d draw) ([]lottery.CursorMove, error) {
	rows, err := tx.Query(ctx, sqlTranscriptCursors, d.event, int64(d.generation))
	if err != nil {
		return nil, fmt.Errorf("load the cursors: %w", err)
	}
	moves, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (lottery.CursorMove, error) {
		var window, band, called int64
		var value []byte
		var at time.Time
		if err := row.Scan(&window, &band, &value, &called, &at); err != nil {
			return lottery.CursorMove{}, err
		}
		return lottery.CursorMove{
			Window: uint32(window), Band: lottery.Band(band), Value: fraction(value), Called: int(called), At: at.UTC(),
		}, nil
	})
	if err != nil {
		return nil, fmt.Errorf("load the cursors: %w", err)
	}
	return moves, nil
}

func transcriptSessions(ctx context.Context, tx pgx.Tx, d draw) ([]lottery.Admission, error) {
	rows, err := tx.Query(ctx, sqlTranscriptSessions, d.event, int64(d.generation))
	if err != nil {
		return nil, fmt.Errorf("load the sessions: %w", err)
	}
	sessions, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (lottery.Admission, error) {
		var window, band int64
		var entrant, value []byte
		var at time.Time
		if err := row.Scan(&entrant, &window, &band, &value, &at); err != nil {
			return lottery.Admission{}, err
		}
		a := lottery.Admission{Window: uint32(window), Band: lottery.Band(band), Value: fraction(value), IssuedAt: at.UTC()}
		copy(a.Entrant[:], entrant)
		return a, nil
	})
	if err != nil {
		return nil, fmt.Errorf("load the sessions: %w", err)
	}
	return sessions, nil
}

// fraction reads the 8 bytes of a stored value.
func fraction(b []byte) lottery.Fraction {
	var whole [8]byte
	copy(whole[8-min(8, len(b)):], b)
	return lottery.Fraction(binary.BigEndian.Uint64(whole[:]))
}
