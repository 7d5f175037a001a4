package access

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"fairgate/core/db"
	"fairgate/edge/lottery"
	"fairgate/ledger"
)

// Sale is what the waiting room must know of an event.
type Sale struct {
	Event         uuid.UUID
	Slug          string
	Identity      string // "device", "invitation" or "account"
	TimeZone      string // IANA name
	PseudonymKey  []byte
	Window        time.Duration // length of the windows after the sale instant, whole seconds
	JoiningBefore time.Duration // joining opens this long before the sale instant unless scheduled otherwise
	SessionTTL    time.Duration
	ClaimWithin   time.Duration // somebody called is reckoned with for this long
	MaxPerNetwork int           // device entries of one network in band 0; 0: no limit
	MaxInside     int           // shoppers inside at once; 0: no limit
	PacePerSecond int           // entrants called in a second; 0: no limit
	UnitsPerBuyer float64       // what a buyer typically takes; 0: 2
	Tiers         []Tier        // in the order in which pages show them
}

// Tier is a price level as the state object shows it.
type Tier struct {
	ID, Name string
	Price    ledger.Amount // all-in
}

// TierStock is the stock of one tier that this on-sale sells, summed over its allocations.
type TierStock struct {
	Tier            string
	Capacity, Taken int // taken counts held and sold units
}

// Holding is what shoppers hold at the moment.
type Holding struct {
	Holds int // active holds
}

// Key is one key of a ring. Secret of an Ed25519 key is its seed (32 bytes) or its private key (64 bytes); Public is
// empty for a MAC key.
type Key struct {
	No             uint32
	Secret, Public []byte
}

// Deps are the parts of core the waiting room asks. All are called often and from many goroutines.
type Deps struct {
	// Sales loads an event; its error for an unknown event is passed on to the caller.
	Sales func(ctx context.Context, slug string) (Sale, error)
	// Stock is what there is to sell; Holding what is held of it. A nil Holding means nobody holds anything.
	Stock   func(ctx context.Context, event uuid.UUID) ([]TierStock, error)
	Holding func(ctx context.Context, event uuid.UUID) (Holding, error)
	// SpareRate is how many calls a second the payment providers have to spare. Nil: no bound.
	SpareRate func() float64
	// Keys are the unretired keys of a purpose and scope, made if there are none: "receipt" (Ed25519), "invitation"
	// (Ed25519) and "pass" (MAC) for an event id, "session" and "session_filter" (MAC) for "global".
	Keys func(ctx context.Context, purpose, scope string) ([]Key, error)
	// Beacon is public randomness for a window whose root is known. It is called inside the sealing transaction: no
	// I/O. Nil: no beacon.
	Beacon func(event uuid.UUID, window uint32, root [32]byte) []byte
}

// Config are the bounds of the waiting room. The zero value is right for production.
type Config struct {
	Tick             time.Duration    // how often an on-sale is looked at, driven and published; default 250 ms
	ChainLength      int              // least links of a chain; default 4096
	Duration         time.Duration    // of an on-sale scheduled without an end; default 24 h
	MarkerWait       time.Duration    // longest wait for the edges' final markers; default 2 s
	EdgeLive         time.Duration    // an edge not seen for this long is not waited for; default 3 s
	LeaseTTL         time.Duration    // a driver silent for this long is replaced; default 2.5 s
	DecideWithin     time.Duration    // a shopper without a hold after this long is not reckoned with; default 30 s
	CallsPerBuyer    float64          // provider calls that one buyer costs; default 2
	PollMin, PollMax time.Duration    // poll interval of waiting pages; default 2 s and 20 s
	PollsPerSecond   int              // state requests a second aimed at; default 10,000
	StateMaxAge      time.Duration    // an unchanged state is built again after this long, for its clock; default 10 s
	Quantiles        int              // in one state object; default 1000
	BanFalsePositive float64          // of the ban filter; default 1 in 10,000
	MaxPoolBatch     int              // entries in one request of an edge; default 1000
	MaxRedeemBatch   int              // tokens in one request of an edge; default 500
	Clock            func() time.Time // default time.Now. Decisions about instants use the database's clock
	Log              *slog.Logger     // default: discarded
}

func (c Config) withDefaults() Config {
	c.Tick = positive(c.Tick, 250*time.Millisecond)
	c.ChainLength = positive(c.ChainLength, 4096)
	c.Duration = positive(c.Duration, 24*time.Hour)
	c.MarkerWait = positive(c.MarkerWait, 2*time.Second)
	c.EdgeLive = positive(c.EdgeLive, 3*time.Second)
	c.LeaseTTL = positive(c.LeaseTTL, 2500*time.Millisecond)
	c.DecideWithin = positive(c.DecideWithin, 30*time.Second)
	c.CallsPerBuyer = positive(c.CallsPerBuyer, 2)
	c.PollMin = positive(c.PollMin, 2*time.Second)
	c.PollMax = max(positive(c.PollMax, 20*time.Second), c.PollMin)
	c.PollsPerSecond = positive(c.PollsPerSecond, 10_000)
	c.StateMaxAge = positive(c.StateMaxAge, 10*time.Second)
	c.Quantiles = positive(c.Quantiles, 1000)
	c.BanFalsePositive = positive(c.BanFalsePositive, 1e-4)
	c.MaxPoolBatch = positive(c.MaxPoolBatch, 1000)
	c.MaxRedeemBatch = positive(c.MaxRedeemBatch, 500)
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

func positive[T int | float64 | time.Duration](v, otherwise T) T {
	if v > 0 {
		return v
	}
	return otherwise
}

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

	redeems *db.Lane[[]*redemption, struct{}]
	rings   *rings
	edges   *edgeCache
	bans    *banList
	feed    *feed
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
	r.redeems = db.NewLane(db.LaneConfig{Name: "redeem", MaxBatch: 32, MaxQueue: 512, Log: cfg.Log}, r.commitRedemptions)
	return r, nil
}

// Run follows the database until ctx ends: it discovers on-sales, tends each in a goroutine of its own, and reads bans
// and keys anew. It returns when all of that has stopped.
func (r *Room) Run(ctx context.Context) error {
	var tenders sync.WaitGroup
	defer tenders.Wait()
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
	if err := r.rings.refreshOld(ctx); err != nil {
		r.complain(ctx, "read the keys", err)
	}
	r.edges.sweep()
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
	if err := r.db.Pool.QueryRow(ctx, sqlNow).Scan(&now); err != nil {
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
	rows, err := r.db.Pool.Query(ctx, query)
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
