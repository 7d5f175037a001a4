package event

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"fairgate/core/db"
	"fairgate/edge/lottery"
)

const sqlEvent = `
SELECT event_id, slug, state, spec, revision, pseudonym_key
FROM events
WHERE event_id = $1::UUID`

const sqlEventsAfter = `
SELECT event_id, slug, state, spec, revision, pseudonym_key
FROM events
WHERE (starts_at, slug) > ($1::TIMESTAMPTZ, $2::TEXT)
ORDER BY starts_at, slug
LIMIT $3::INT8`

// maxPage is the longest page List gives.
const maxPage = 200

// Options are what a Store may be told. The zero value is ready for use.
type Options struct {
	Now      func() time.Time // the cache's clock; time.Now when nil
	Random   io.Reader        // source of keys; crypto/rand when nil
	CacheTTL time.Duration    // how long ByID and Keys may answer from memory; 2 s when 0
}

// Store reads and writes events.
type Store struct {
	db     *db.DB
	random io.Reader
	events *cache[uuid.UUID, *Event]
	shown  *cache[uuid.UUID, *Event] // of Browse; events where there is no copy to browse
	keys   *cache[ringKey, KeyRing]
}

// ringKey names a key ring.
type ringKey struct {
	purpose Purpose
	scope   string
}

// NewStore makes a store on a database.
func NewStore(d *db.DB, opt Options) *Store {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Random == nil {
		opt.Random = rand.Reader
	}
	if opt.CacheTTL <= 0 {
		opt.CacheTTL = 2 * time.Second
	}
	m := newMetrics()
	s := &Store{
		db:     d,
		random: opt.Random,
		events: newCache[uuid.UUID, *Event](opt.Now, opt.CacheTTL, ErrUnknown, m),
		keys:   newCache[ringKey, KeyRing](opt.Now, opt.CacheTTL, ErrNoKey, m),
	}
	s.shown = s.events
	if d.Copied() {
		s.shown = newCache[uuid.UUID, *Event](opt.Now, opt.CacheTTL, ErrUnknown, m)
	}
	return s
}

// Load reads an event from the database. ErrUnknown when there is none.
func (s *Store) Load(ctx context.Context, slug string) (*Event, error) {
	return loadEvent(ctx, s.db.Reader, lottery.EventID(slug))
}

// ByID answers from memory while what it knows is fresh, which bounds how long a change stays unseen here. Unknown events are
// remembered too. Concurrent callers share one query, and that query outlives a caller who gives up.
func (s *Store) ByID(ctx context.Context, id uuid.UUID) (*Event, error) {
	return s.events.find(ctx, id, func(ctx context.Context) (*Event, error) { return loadEvent(ctx, s.db.Reader, id) })
}

// BySlug is ByID for those who know the slug.
func (s *Store) BySlug(ctx context.Context, slug string) (*Event, error) {
	if !lottery.ValidSlug(slug) {
		return nil, fmt.Errorf("%w: %q", ErrUnknown, slug)
	}
	return s.ByID(ctx, lottery.EventID(slug))
}

// Browse is BySlug for pages that only show the event: where there is a copy of the database for that, it is the copy that is asked,
// which may be some seconds behind.
func (s *Store) Browse(ctx context.Context, slug string) (*Event, error) {
	if !lottery.ValidSlug(slug) {
		return nil, fmt.Errorf("%w: %q", ErrUnknown, slug)
	}
	id := lottery.EventID(slug)
	return s.shown.find(ctx, id, func(ctx context.Context) (e *Event, err error) {
		err = s.db.Browse(ctx, func(ctx context.Context, copied *pgxpool.Pool) error {
			e, err = loadEvent(ctx, copied, id)
			return err
		})
		return e, err
	})
}

// Keys is the function Keys with the memory of ByID.
func (s *Store) Keys(ctx context.Context, purpose Purpose, scope string) (KeyRing, error) {
	return s.keys.find(ctx, ringKey{purpose, scope}, func(ctx context.Context) (KeyRing, error) {
		return Keys(ctx, s.db.Reader, purpose, scope)
	})
}

// ensureTries is how often EnsureGlobalKeys looks before it gives up on commits whose outcome stays unknown.
const ensureTries = 3

// EnsureGlobalKeys makes the keys of purposes that serve all events, where there are none. When the outcome of its commit is
// unknown it looks again: whichever keys are there by then stay as they are, and only missing ones are made.
func (s *Store) EnsureGlobalKeys(ctx context.Context, purposes ...Purpose) error {
	rings := make([]ringKey, len(purposes))
	for i, p := range purposes {
		rings[i] = ringKey{p, GlobalScope}
	}
	for n := 1; ; n++ {
		err := s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error { return ensureAll(ctx, tx, s.random, rings) })
		if !errors.Is(err, db.ErrAmbiguous) || n == ensureTries || ctx.Err() != nil {
			return err
		}
	}
}

// List reads a page of events by start and slug, those after the event of a cursor that an earlier page gave. It returns the next
// page's cursor, empty after the last. limit is between 1 and 200; anything else means 200.
func (s *Store) List(ctx context.Context, after string, limit int) ([]*Event, string, error) {
	from, err := ParseCursor(after)
	if err != nil {
		return nil, "", err
	}
	if limit < 1 || limit > maxPage {
		limit = maxPage
	}
	rows, err := s.db.Reader.Query(ctx, sqlEventsAfter, from.StartsAt, from.Slug, limit+1)
	if err != nil {
		return nil, "", fmt.Errorf("list events: %w", err)
	}
	events, err := pgx.CollectRows(rows, scanEvent)
	if err != nil {
		return nil, "", fmt.Errorf("list events: %w", err)
	}
	if len(events) <= limit {
		return events, "", nil
	}
	events = events[:limit]
	last := events[limit-1]
	return events, Cursor{last.Spec.StartsAt, last.Slug}.String(), nil
}

func loadEvent(ctx context.Context, q Querier, id uuid.UUID) (*Event, error) {
	rows, err := q.Query(ctx, sqlEvent, id)
	if err != nil {
		return nil, fmt.Errorf("load event %s: %w", id, err)
	}
	e, err := pgx.CollectExactlyOneRow(rows, scanEvent)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("%w: %s", ErrUnknown, id)
	}
	if err != nil {
		return nil, fmt.Errorf("load event %s: %w", id, err)
	}
	return e, nil
}

func scanEvent(row pgx.CollectableRow) (*Event, error) {
	var e Event
	var spec string
	if err := row.Scan(&e.ID, &e.Slug, &e.State, &spec, &e.Revision, &e.PseudonymKey); err != nil {
		return nil, err
	}
	return &e, e.open(spec)
}
