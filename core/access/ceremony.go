package access

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"fairgate/edge/lottery"
)

const sqlMissingMarkers = `SELECT count(*) FROM edges AS e
	WHERE e.seen_at > now() - $4::INT8 * INTERVAL '1 millisecond' AND e.revoked_at IS NULL
	AND NOT EXISTS (
		SELECT m.edge_id FROM draw_markers AS m
		WHERE m.event_id = $1 AND m.generation = $2 AND m.window_no = $3 AND m.edge_id = e.edge_id)`

// markersIn tells whether a window whose time is over may be sealed: every live edge has said that it has sent
// everybody, or the wait for that has reached its bound. A core that has just begun to drive waits the whole bound,
// because edges that had lost the core before it are not seen as live yet.
func (r *Room) markersIn(ctx context.Context, v snapshot, window uint32, since time.Time) (bool, error) {
	d := &v.draw
	settled := since.Add(r.cfg.MarkerWait)
	deadline := d.windowEnd(window).Add(r.cfg.MarkerWait)
	if deadline.Before(settled) {
		deadline = settled
	}
	if !d.now.Before(deadline) {
		sealsUnmarked.Inc()
		return true, nil
	}
	if d.now.Before(settled) {
		return false, nil
	}
	var missing int64
	err := r.db.Reader.QueryRow(ctx, sqlMissingMarkers, d.event, int64(d.generation), int64(window), r.cfg.EdgeLive.Milliseconds()).Scan(&missing)
	if err != nil {
		return false, fmt.Errorf("look for final markers: %w", err)
	}
	return missing == 0, nil
}

const (
	sqlCloseWindow = `UPDATE draws SET next_window = $4, phase = CASE WHEN next_window = 0 THEN 'drawn' ELSE phase END,
	version = version + 1, epoch = $5, updated_at = now()
	WHERE event_id = $1 AND generation = $2 AND next_window = $3 AND epoch <= $5 AND phase <> 'ended' RETURNING blocks`
	sqlAddWindows = `INSERT INTO draw_windows (event_id, generation, window_no, entrants, root, secret, beacon, seed, blocks, sealed_at)
	SELECT $1, $2, w.number, w.entrants, w.root, w.secret, w.beacon, w.seed, $9, now()
	FROM unnest($3::INT8[], $4::INT8[], $5::BYTEA[], $6::BYTEA[], $7::BYTEA[], $8::BYTEA[])
		AS w (number, entrants, root, secret, beacon, seed)`
)

// seal closes a window and all empty ones before it, in one transaction on the row that joins have to change too:
// whoever is in a block by then is in the draw, and nobody else can be. Nothing of it is told before it is committed.
func (s *onSale) seal(ctx context.Context, v snapshot, window uint32) error {
	started := time.Now()
	chain, err := s.chainOf(&v.draw)
	if err != nil {
		return err
	}
	// The root of a window that many are in takes a while. It is worked out before the row is locked, and again inside
	// only if somebody was added meanwhile.
	known := v.pool.leaves(window)
	root := lottery.Root(known)
	entrants := 0
	err = s.write(ctx, func(ctx context.Context, tx pgx.Tx) error {
		var blocks int64
		err := tx.QueryRow(ctx, sqlCloseWindow, s.event, int64(v.draw.generation), int64(v.draw.nextWindow), int64(window)+1,
			s.driver.lease.epoch).Scan(&blocks)
		if isNoRows(err) {
			return errOvertaken
		}
		if err != nil {
			return fmt.Errorf("close the window: %w", err)
		}
		leaves, err := s.committedLeaves(ctx, tx, v, window, uint64(blocks))
		if err != nil {
			return err
		}
		if len(leaves) != len(known) {
			root, known = lottery.Root(leaves), leaves
		}
		if v.draw.root != nil && window == 0 && root != *v.draw.root {
			return fmt.Errorf("%w: window 0 was closed with another root", errPoolDiffers)
		}
		entrants = len(leaves)
		rows, err := s.sealedRows(chain, &v.draw, window, entrants, root)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, sqlAddWindows, s.event, int64(v.draw.generation), rows.numbers, rows.entrants, rows.roots, rows.secrets,
			rows.beacons, rows.seeds, blocks)
		if err != nil {
			return fmt.Errorf("write the window: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	sealsTotal.Inc()
	sealSeconds.UpdateDuration(started)
	s.room.cfg.Log.Info("window sealed", "event", s.slug, "generation", v.draw.generation, "window", window, "entrants", entrants)
	return nil
}

// committedLeaves are the leaves of a window out of all blocks there are, those that memory lacks read in the
// transaction. A window's leaves only ever grow at their end, so their number tells whether anything changed.
func (s *onSale) committedLeaves(ctx context.Context, tx pgx.Tx, v snapshot, window uint32, blocks uint64) ([]lottery.Leaf, error) {
	from := v.pool.blocks()
	leaves := v.pool.leaves(window)
	if from >= blocks {
		return leaves, nil
	}
	d := v.draw
	missing, err := loadBlocks(ctx, tx, d, from, blocks)
	if err != nil {
		return nil, err
	}
	seen := make(map[lottery.Entrant]struct{}, len(leaves))
	for _, l := range leaves {
		seen[l.Entrant] = struct{}{}
	}
	for _, b := range missing {
		for _, e := range b.entries {
			if _, twice := seen[e.Entrant]; !twice && e.Window == window { // a block may have been applied meanwhile
				leaves = append(leaves, lottery.Leaf{Entrant: e.Entrant, Band: e.Band, Reason: e.Reason})
			}
		}
	}
	return leaves, nil
}

// windowRows are rows of draw_windows, column by column.
type windowRows struct {
	numbers, entrants              []int64
	roots, secrets, beacons, seeds [][]byte
}

// sealedRows are the rows of window and of the empty ones before it that are not sealed. Those reveal their secret too: a
// transcript with a gap would be one that keeps something back.
func (s *onSale) sealedRows(chain *lottery.Chain, d *draw, window uint32, entrants int, root [32]byte) (windowRows, error) {
	var rows windowRows
	beacon := append([]byte{}, d.beaconValue...) // never NULL
	empty := lottery.Root(nil)
	for number := d.nextWindow; number <= window; number++ {
		n, r := 0, empty
		if number == window {
			n, r = entrants, root
		}
		secret, err := chain.Secret(number)
		if err != nil {
			return rows, fmt.Errorf("reveal a secret: %w", err)
		}
		seed := lottery.Seed(s.event, number, secret, r, beacon)
		rows.numbers, rows.entrants = append(rows.numbers, int64(number)), append(rows.entrants, int64(n))
		rows.roots, rows.secrets = append(rows.roots, r[:]), append(rows.secrets, secret[:])
		rows.beacons, rows.seeds = append(rows.beacons, beacon), append(rows.seeds, seed[:])
	}
	return rows, nil
}

// chainOf is the chain of an on-sale, made once per generation and checked against what was published.
func (s *onSale) chainOf(d *draw) (*lottery.Chain, error) {
	if s.driver.chain == nil || s.driver.chainGen != d.generation {
		chain, err := lottery.NewChain(s.event, d.chainSecret, d.chainLength)
		if err != nil {
			return nil, fmt.Errorf("make the chain: %w", err)
		}
		if lottery.Commit(chain.Commitment(), d.beacon) != d.commitment {
			return nil, fmt.Errorf("the chain of %s does not lead to its commitment", s.slug)
		}
		s.driver.chain, s.driver.chainGen = &chain, d.generation
	}
	return s.driver.chain, nil
}
