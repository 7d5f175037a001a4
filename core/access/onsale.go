package access

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
)

// blocksPerRead bounds how many pool blocks are in memory in their stored form at once.
const blocksPerRead = 256

// onSale is what this core knows of one event's on-sale. It exists from the first time anybody asks for it until the
// room is closed.
//
// turn is held by whoever writes the row of draws in this process: the lane of joins, the driver and the operator's
// verbs. Without it each would meet the others as serialization failures; against other cores those do the work.
// reading is held by whoever brings memory up to date. Both are held across I/O, which is what they are for, and turn
// is never waited for with reading held.
type onSale struct {
	event   uuid.UUID
	slug    string
	room    *Room
	turn    gate
	reading gate
	joins   *db.Lane[*joinCall, struct{}]
	driver  driver // used by the tending goroutine alone
	state   stateCache

	mu       sync.RWMutex
	draw     draw // newest committed row that was read
	sale     Sale
	next     []Planned // as read with sale
	past     []string  // the presales whose on-sales were before, likewise
	pool     *pool
	readAt   time.Time // when draw was read, by the local clock
	tending  bool
	woken    chan struct{}
	saleRead time.Time
}

// gate lets one goroutine through at a time, and lets the others give up.
type gate chan struct{}

func newGate() gate { return make(gate, 1) }

func (g gate) enter(ctx context.Context) error {
	select {
	case g <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g gate) leave() { <-g }

// snapshot is a consistent view of an on-sale's facts.
type snapshot struct {
	draw draw
	sale Sale // as the on-sale that runs sells it
	pool *pool
	next []Planned // what comes after it, in order
	past []string  // the presales that came before it
}

func (s *onSale) snapshot() snapshot {
	s.mu.RLock()
	defer s.mu.RUnlock()
	v := snapshot{draw: s.draw, sale: s.sale.within(s.draw.presale), pool: s.pool, next: s.next, past: s.past}
	for len(v.next) > 0 && !v.next[0].OpensAt.After(v.draw.opensAt) { // it has begun since the plans were read
		v.next = v.next[1:]
	}
	return v
}

// loadOnSale makes the on-sale of an event from the database: row, event and pool.
func (r *Room) loadOnSale(ctx context.Context, event uuid.UUID) (*onSale, error) {
	d, err := loadDraw(ctx, r.db.Reader, event)
	if err != nil {
		return nil, err
	}
	s := &onSale{
		event: event, slug: d.slug, room: r, turn: newGate(), reading: newGate(),
		draw: d, pool: newPool(d.generation), woken: make(chan struct{}, 1),
	}
	if err := s.refresh(ctx); err != nil {
		return nil, err
	}
	s.joins = db.NewLane(db.LaneConfig{Name: "join", MaxBatch: 16, MaxQueue: 256, Log: r.cfg.Log}, s.commitJoins)
	return s, nil
}

// endedFor tells whether the on-sale is over and nobody has looked at it for so long.
func (s *onSale) endedFor(idle time.Duration) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.draw.phase == Ended && !s.tending && time.Since(s.readAt) > idle
}

// saleTTL is for how long the event's own facts, and what is planned after the on-sale, are believed: price and limits may change while it
// sells.
const saleTTL = 2 * time.Second

// refresh reads the committed row, then whatever blocks and sealed windows memory lacks. What it publishes was
// committed: the driver's own writes come back through here too.
func (s *onSale) refresh(ctx context.Context) error {
	return s.refreshSince(ctx, time.Now())
}

// refreshSince is refresh unless the row has been read after the instant at, maybe while waiting for the turn to: however
// many ask at once, two reads serve them all.
func (s *onSale) refreshSince(ctx context.Context, at time.Time) error {
	if err := s.reading.enter(ctx); err != nil {
		return err
	}
	defer s.reading.leave()
	s.mu.RLock()
	p, fresh := s.pool, s.readAt.After(at)
	s.mu.RUnlock()
	if fresh {
		return nil
	}
	if err := s.refreshSale(ctx); err != nil {
		return err
	}
	started := time.Now()
	d, err := loadDraw(ctx, s.room.db.Reader, s.event)
	if err != nil {
		return err
	}
	if d.generation != p.generation {
		p = newPool(d.generation)
	}
	if err := catchUp(ctx, s.room.db.Reader, p, d); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draw, s.pool, s.readAt = d, p, started
	return nil
}

func (s *onSale) refreshSale(ctx context.Context) error {
	s.mu.RLock()
	old := time.Since(s.saleRead) > saleTTL
	s.mu.RUnlock()
	if !old {
		return nil
	}
	sale, err := s.room.deps.Sales(ctx, s.slug)
	if err != nil {
		return fmt.Errorf("load the event %q: %w", s.slug, err)
	}
	next, err := plansOf(ctx, s.room.db.Reader, s.event)
	if err != nil {
		return err
	}
	var past []string
	if len(sale.Presales) > 0 {
		if past, err = pastOf(ctx, s.room.db.Reader, s.event); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sale, s.next, s.past, s.saleRead = sale, next, past, time.Now()
	return nil
}

// outdate has the event's own facts, and what is planned, read at the next refresh.
func (s *onSale) outdate() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saleRead = time.Time{}
}

const (
	sqlLoadBlocks = `SELECT block_no, entries FROM draw_blocks
	WHERE event_id = $1 AND generation = $2 AND block_no >= $3 AND block_no < $4 ORDER BY block_no`
	sqlLoadWindows = `SELECT window_no, entrants, root, secret, beacon, seed, blocks FROM draw_windows
	WHERE event_id = $1 AND generation = $2 AND window_no >= $3 ORDER BY window_no`
)

// catchUp applies to p the blocks and sealed windows that row d promises.
func catchUp(ctx context.Context, q querier, p *pool, d draw) error {
	for from := p.blocks(); from < d.blocks; from = p.blocks() {
		blocks, err := loadBlocks(ctx, q, d, from, min(d.blocks, from+blocksPerRead))
		if err != nil {
			return err
		}
		if err := p.apply(from, blocks); err != nil {
			return fmt.Errorf("apply the pool of %s: %w", d.slug, err)
		}
	}
	var next uint32
	if last, any := p.lastSealed(); any {
		next = last + 1
	}
	if next >= d.nextWindow {
		return nil
	}
	windows, err := loadWindows(ctx, q, d, next)
	if err != nil {
		return err
	}
	for _, w := range windows {
		if w.number >= d.nextWindow {
			break // sealed after the row was read: its blocks may be missing here
		}
		if err := p.seal(w); err != nil {
			return fmt.Errorf("draw window %d of %s: %w", w.number, d.slug, err)
		}
	}
	return nil
}

// loadBlocks reads blocks [from, to), all of which must be there.
func loadBlocks(ctx context.Context, q querier, d draw, from, to uint64) ([]block, error) {
	rows, err := q.Query(ctx, sqlLoadBlocks, d.event, int64(d.generation), int64(from), int64(to))
	if err != nil {
		return nil, fmt.Errorf("load pool blocks: %w", err)
	}
	defer rows.Close()
	blocks := make([]block, 0, to-from)
	for rows.Next() {
		var number int64
		var raw []byte
		if err := rows.Scan(&number, &raw); err != nil {
			return nil, fmt.Errorf("scan a pool block: %w", err)
		}
		b, err := parseBlock(raw)
		if err != nil {
			return nil, fmt.Errorf("block %d of %s: %w", number, d.slug, err)
		}
		if want := from + uint64(len(blocks)); uint64(number) != want {
			return nil, fmt.Errorf("block %d of %s is missing, %d came", want, d.slug, number)
		}
		blocks = append(blocks, b)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("load pool blocks: %w", err)
	}
	if uint64(len(blocks)) != to-from {
		return nil, fmt.Errorf("%d of the pool blocks %d to %d of %s are there", len(blocks), from, to, d.slug)
	}
	return blocks, nil
}

// loadWindows reads the sealed windows from number next on.
func loadWindows(ctx context.Context, q querier, d draw, next uint32) ([]sealed, error) {
	rows, err := q.Query(ctx, sqlLoadWindows, d.event, int64(d.generation), int64(next))
	if err != nil {
		return nil, fmt.Errorf("load sealed windows: %w", err)
	}
	windows, err := pgx.CollectRows(rows, scanWindow)
	if err != nil {
		return nil, fmt.Errorf("load sealed windows: %w", err)
	}
	return windows, nil
}

func scanWindow(row pgx.CollectableRow) (sealed, error) {
	var number, entrants, blocks int64
	var root, secret, beacon, seed []byte
	if err := row.Scan(&number, &entrants, &root, &secret, &beacon, &seed, &blocks); err != nil {
		return sealed{}, err
	}
	if len(root) != 32 || len(secret) != 32 || len(seed) != 32 {
		return sealed{}, fmt.Errorf("window %d has a root, secret or seed of the wrong length", number)
	}
	return sealed{
		number: uint32(number), entrants: int(entrants), blocks: uint64(blocks), beacon: beacon,
		root: [32]byte(root), secret: [32]byte(secret), seed: [32]byte(seed),
	}, nil
}
