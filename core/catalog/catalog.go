package catalog

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/google/uuid"

	"fairgate/core/db"
)

// ErrLoading means that the catalog has not been read yet: ask again in a moment.
var ErrLoading = errors.New("catalog: not loaded yet")

// Config are the tunables of a Catalog. The zero value is ready for use.
type Config struct {
	Refresh   time.Duration // how often the table is asked for changes; 1 s when 0
	Reconcile time.Duration // how often everything is compared; 5 min when 0
	MaxEvents int           // most events that are kept; 1,000,000 when 0
	Now       func() time.Time
	Changed   func(version uint64) // called after each change, by Run; may be nil
	Log       *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Refresh <= 0 {
		c.Refresh = time.Second
	}
	if c.Reconcile <= 0 {
		c.Reconcile = 5 * time.Minute
	}
	if c.MaxEvents <= 0 {
		c.MaxEvents = 1_000_000
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Changed == nil {
		c.Changed = func(uint64) {}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Catalog is the searchable list of events of one core. Run must run for it to be filled and followed.
type Catalog struct {
	db    *db.DB
	cfg   Config
	state atomic.Pointer[State] // nil until loaded
	nudge chan struct{}         // capacity 1

	// Of Run alone.
	known    map[uuid.UUID]*Listing
	changed  map[uuid.UUID]*Listing // since base was built; a removed one is nil
	base     *segment
	gone     *roaring.Bitmap // of base: changed or removed
	mark     mark
	missing  map[uuid.UUID]bool // known, and not in the table when everything was last compared
	compared time.Time
}

// New makes a catalog that is not loaded yet.
func New(d *db.DB, cfg Config) *Catalog {
	c := &Catalog{db: d, cfg: cfg.withDefaults(), nudge: make(chan struct{}, 1)}
	c.known, c.changed, c.missing = make(map[uuid.UUID]*Listing), make(map[uuid.UUID]*Listing), make(map[uuid.UUID]bool)
	c.base, c.gone = build(nil), roaring.New()
	return c
}

// Search answers a query, or ErrLoading.
func (c *Catalog) Search(q *Query) (Page, error) {
	s := c.state.Load()
	if s == nil {
		refused.Inc()
		return Page{}, ErrLoading
	}
	searches.Inc()
	return s.Search(q), nil
}

// Ready tells whether Search answers.
func (c *Catalog) Ready() bool { return c.state.Load() != nil }

// Version is that of the current state, 0 before there is one.
func (c *Catalog) Version() uint64 {
	if s := c.state.Load(); s != nil {
		return s.Version
	}
	return 0
}

// Run loads the catalog and follows the table until ctx ends. What fails is tried again at the next round; the last state goes on being
// served.
func (c *Catalog) Run(ctx context.Context) error {
	tick := time.NewTicker(c.cfg.Refresh)
	defer tick.Stop()
	failing := false
	for {
		err := c.follow(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			failures.Inc()
			if !failing {
				c.cfg.Log.Warn("the catalog could not be read; what is known of it goes on being served", "error", err)
			}
		case failing:
			c.cfg.Log.Info("the catalog is read again")
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-c.nudge:
		}
	}
}

// Nudge makes Run look for changes now: something was applied here.
func (c *Catalog) Nudge() {
	select {
	case c.nudge <- struct{}{}:
	default:
	}
}

// follow is one round.
func (c *Catalog) follow(ctx context.Context) error {
	if err := c.refresh(ctx); err != nil {
		return err
	}
	readAt.Store(time.Now().UnixNano())
	if c.compared.IsZero() { // everything was read just now
		c.compared = c.cfg.Now()
	}
	if c.cfg.Now().Sub(c.compared) < c.cfg.Reconcile {
		return nil
	}
	c.compared = c.cfg.Now()
	return c.reconcile(ctx)
}
