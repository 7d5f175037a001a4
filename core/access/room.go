package access

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"fairgate/core/db"
	"fairgate/edge/lottery"
)

// Room is the waiting room of one core: every event's pool in memory, the draw and the admission controller of those it
// drives, and what edges and buyers ask of it.
//
// Any number of goroutines may use it. Run keeps it up to date and must run for as long as the room is used; whoever
// made the room ends Run and then calls Close. Locks: Room.mu before onSale.mu before pool.mu, none held across I/O.
type Room struct {
	db   *db.DB
	cfg  Config
	deps Deps
	id   uuid.UUID // of this room among all cores: holder of leases

	skew atomic.Int64 // nanoseconds that the database's clock is ahead of cfg.Clock

	mu    sync.Mutex
	sales map[uuid.UUID]*onSale

	redeems   *db.Lane[[]*redemption, struct{}]
	doorsteps doorsteps
	rings     *rings
	edges     *edgeCache
	bans      *banList
	lifts     liftList
	words     *words
	outside   *outside
	revoked   revocations
	replaced  replacements
	feed      *feed
}

// New makes the room of a core. It reads the keys of sessions and the bans, making the keys if there are none.
func New(ctx context.Context, database *db.DB, cfg Config, deps Deps) (*Room, error) {
	if deps.Sales == nil || deps.Stock == nil || deps.Keys == nil {
		return nil, errors.New("access: Deps need Sales, Stock and Keys")
	}
	cfg = cfg.withDefaults()
	r := &Room{
		db: database, cfg: cfg, deps: deps, id: uuid.New(),
		sales: make(map[uuid.UUID]*onSale),
		rings: newRings(deps.Keys),
		edges: newEdgeCache(),
		feed:  newFeed(),
		words: newWords(), outside: newOutside(),
	}
	if err := r.readClock(ctx); err != nil {
		return nil, err
	}
	if err := r.rings.refreshGlobal(ctx); err != nil {
		return nil, err
	}
	bans, err := newBanList(ctx, database, cfg.BanFalsePositive)
	if err != nil {
		return nil, err
	}
	r.bans = bans
	if err := r.revoked.refresh(ctx, database); err != nil {
		return nil, err
	}
	r.redeems = db.NewLane(db.LaneConfig{Name: "redeem", MaxBatch: 32, MaxQueue: 512, Log: cfg.Log}, r.commitRedemptions)
	return r, nil
}

// Run follows the database until ctx ends: it discovers on-sales, tends each in a goroutine of its own, and reads bans
// and keys anew. It returns when all of that has stopped.
func (r *Room) Run(ctx context.Context) error {
	var tenders sync.WaitGroup
	defer tenders.Wait()
	tenders.Go(func() { r.sweeps(ctx) })
	tick := time.NewTicker(r.cfg.Tick)
	defer tick.Stop()
	var slow time.Time // when the slow chores were last done
	first := true
	for {
		if err := r.discover(ctx, &tenders, first); err != nil {
			r.complain(ctx, "look for on-sales", err)
		} else {
			first = false
		}
		if now := time.Now(); now.Sub(slow) >= time.Second {
			slow = now
			r.chores(ctx)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Close refuses further work and waits for what is in flight. Run must have returned.
func (r *Room) Close() {
	r.redeems.Close()
	r.mu.Lock()
	sales := make([]*onSale, 0, len(r.sales))
	for _, s := range r.sales {
		sales = append(sales, s)
	}
	r.mu.Unlock()
	for _, s := range sales {
		s.joins.Close()
	}
}

// chores are what need not be done at every tick.
func (r *Room) chores(ctx context.Context) {
	if err := r.readClock(ctx); err != nil {
		r.complain(ctx, "read the database's clock", err)
		return
	}
	if changed, err := r.bans.refresh(ctx); err != nil {
		r.complain(ctx, "read the bans", err)
	} else if changed {
		r.feed.wake()
	}
	if err := r.revoked.refresh(ctx, r.db); err != nil {
		r.complain(ctx, "read the revoked sessions", err)
	}
	if err := r.succeed(ctx); err != nil {
		r.complain(ctx, "begin the next on-sale", err)
	}
	if err := r.refreshReplaced(ctx); err != nil {
		r.complain(ctx, "read the keys to be replaced", err)
	}
	if err := r.rings.refreshOld(ctx); err != nil {
		r.complain(ctx, "read the keys", err)
	}
	r.edges.sweep()
	r.forgetEnded()
}

// keepEnded is for how long the pool of an ended on-sale stays in memory, and its state with the edges.
const keepEnded = time.Hour

// forgetEnded frees the memory of on-sales that ended a while ago. Whoever asks for one again loads it again.
func (r *Room) forgetEnded() {
	r.mu.Lock()
	var old []*onSale
	for event, s := range r.sales {
		if s.endedFor(keepEnded) {
			old = append(old, s)
			delete(r.sales, event)
		}
	}
	r.mu.Unlock()
	for _, s := range old {
		r.feed.drop(s.slug)
		s.joins.Close()
	}
}

// complain logs a failure of the background work, which is tried again at the next tick.
func (r *Room) complain(ctx context.Context, what string, err error) {
	if ctx.Err() != nil {
		return
	}
	backgroundErrors.Inc()
	r.cfg.Log.Warn("the waiting room could not "+what, "error", err)
}

const sqlNow = `SELECT now()`

// readClock learns how far the database's clock is from the local one.
func (r *Room) readClock(ctx context.Context) error {
	var now time.Time
	before := r.cfg.Clock()
	if err := r.db.Reader.QueryRow(ctx, sqlNow).Scan(&now); err != nil {
		return fmt.Errorf("read the database's clock: %w", err)
	}
	r.skew.Store(int64(now.Sub(before.Add(r.cfg.Clock().Sub(before) / 2))))
	return nil
}

// now is the database's clock as far as it is known here: right to a few milliseconds.
func (r *Room) now() time.Time {
	return r.cfg.Clock().Add(time.Duration(r.skew.Load())).UTC()
}

const (
	sqlRunning = `SELECT event_id, version FROM draws WHERE phase <> 'ended'`
	sqlRecent  = `SELECT event_id, version FROM draws WHERE updated_at > now() - INTERVAL '1 day'`
)

// discover looks for on-sales that run, starts to tend new ones and wakes those that changed elsewhere. At the first
// time those that ended lately come too, so that edges can still say so.
func (r *Room) discover(ctx context.Context, tenders *sync.WaitGroup, first bool) error {
	query := sqlRunning
	if first {
		query = sqlRecent
	}
	rows, err := r.db.Reader.Query(ctx, query)
	if err != nil {
		return fmt.Errorf("list the running on-sales: %w", err)
	}
	defer rows.Close()
	versions := make(map[uuid.UUID]uint64)
	for rows.Next() {
		var event uuid.UUID
		var version int64
		if err := rows.Scan(&event, &version); err != nil {
			return fmt.Errorf("scan a running on-sale: %w", err)
		}
		versions[event] = uint64(version)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("list the running on-sales: %w", err)
	}
	for event, version := range versions {
		s, err := r.onSaleByID(ctx, event)
		if err != nil {
			r.complain(ctx, "load an on-sale", err)
			continue
		}
		s.tend(ctx, tenders, version)
	}
	return nil
}

// onSaleOf is the on-sale of an event by its public name; ErrNoSale when the event has none.
func (r *Room) onSaleOf(ctx context.Context, slug string) (*onSale, error) {
	s, err := r.onSaleByID(ctx, lottery.EventID(slug))
	if errors.Is(err, ErrNoSale) {
		if _, unknown := r.deps.Sales(ctx, slug); unknown != nil {
			return nil, fmt.Errorf("load the event %q: %w", slug, unknown)
		}
	}
	return s, err
}

// onSaleByID is the on-sale of an event, from memory or else from the database.
func (r *Room) onSaleByID(ctx context.Context, event uuid.UUID) (*onSale, error) {
	r.mu.Lock()
	s := r.sales[event]
	r.mu.Unlock()
	if s != nil {
		return s, nil
	}
	loaded, err := r.loadOnSale(ctx, event)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.sales[event]; s != nil {
		loaded.joins.Close() // somebody else was faster; nothing has been queued
		return s, nil
	}
	r.sales[event] = loaded
	return loaded, nil
}
