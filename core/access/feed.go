package access

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Update is what changed for an edge since it last asked.
type Update struct {
	Version    uint64 // to ask with the next time; only this core can make anything of it
	ServerTime time.Time
	Events     []EventState // that changed, in order of slug
	Live       []string     // all events that have an on-sale, in order
	Bans       *BanFilter   // nil when unchanged
	Catalog    uint64       // version of the list of events, see SetCatalog
	Keys       []KeyNotice  // the edge's keys that need a successor
}

// EventState is the state object of one event.
type EventState struct {
	Slug, ETag string
	State      []byte // never changes
}

// feed holds the state objects of all on-sales and wakes those who wait for a change.
//
// Versions count changes. Their upper bits are drawn at random for each feed, so that a version of another core, or of
// this one before a restart, is recognised and answered with everything.
type feed struct {
	mu      sync.Mutex
	version uint64
	events  map[string]*feedEvent
	catalog uint64
	changed chan struct{} // closed and replaced at every change
}

type feedEvent struct {
	EventState
	version uint64
}

// feedCountBits leaves 20 bits for the random part of a version that has 52, which every JSON reader keeps whole.
const feedCountBits = 32

func newFeed() *feed {
	return &feed{
		version: (rand.Uint64N(1<<20-1) + 1) << feedCountBits,
		events:  make(map[string]*feedEvent), changed: make(chan struct{}),
	}
}

func (f *feed) put(slug, etag string, state []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.version++
	f.events[slug] = &feedEvent{EventState{slug, etag, state}, f.version}
	f.wakeLocked()
}

func (f *feed) drop(slug string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, known := f.events[slug]; known {
		f.version++
		delete(f.events, slug)
		f.wakeLocked()
	}
}

func (f *feed) setCatalog(version uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.version++
	f.catalog = version
	f.wakeLocked()
}

// wake makes everybody who waits look again: the bans changed.
func (f *feed) wake() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wakeLocked()
}

func (f *feed) wakeLocked() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// since is what changed after a version, and a channel that is closed at the next change.
func (f *feed) since(version uint64) (Update, bool, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	foreign := version>>feedCountBits != f.version>>feedCountBits || version > f.version
	if foreign {
		version = 0
	}
	u := Update{Version: f.version, Catalog: f.catalog}
	for slug, e := range f.events {
		u.Live = append(u.Live, slug)
		if e.version > version {
			u.Events = append(u.Events, e.EventState)
		}
	}
	slices.Sort(u.Live)
	slices.SortFunc(u.Events, func(a, b EventState) int { return strings.Compare(a.Slug, b.Slug) })
	return u, foreign || version < f.version, f.changed
}

// Wait is the long poll of an edge: it returns at once what changed since the versions the edge has, or else when
// something changes, or after limit with nothing. Version 0, and one that another core gave, gets everything. It counts
// as the edge's heartbeat, at its beginning and its end.
func (r *Room) Wait(ctx context.Context, edge uuid.UUID, since, bansSince uint64, limit time.Duration) (Update, error) {
	return r.WaitFrom(ctx, edge, nil, since, bansSince, limit)
}

// WaitFrom is Wait of an edge that says by how much core's clock is ahead of its own; nil: it does not know.
func (r *Room) WaitFrom(ctx context.Context, edge uuid.UUID, clockAhead *time.Duration, since, bansSince uint64, limit time.Duration) (Update, error) {
	r.beat(ctx, edge, clockAhead)
	defer r.beat(ctx, edge, clockAhead)
	_, keysBefore := r.replaced.of(edge)
	feedsWaiting.Inc()
	defer feedsWaiting.Dec()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		u, changed, next := r.feed.since(since)
		if bans := r.bans.current(); bans.Version != bansSince {
			u.Bans, changed = &bans, true
		}
		var keys uint64
		if u.Keys, keys = r.replaced.of(edge); keys != keysBefore {
			changed = true
		}
		over := false
		if !changed {
			select {
			case <-next:
				continue
			case <-timer.C:
				over = true
			case <-ctx.Done():
				return Update{}, ctx.Err()
			}
		}
		if changed || over {
			u.ServerTime = r.now()
			return u, nil
		}
	}
}

// SetCatalog tells the edges at once that the list of events has changed: what they remember of it is no longer fresh.
func (r *Room) SetCatalog(version uint64) { r.feed.setCatalog(version) }

// beat notes that the edge lives. Failing to must not keep state from the edge.
func (r *Room) beat(ctx context.Context, edge uuid.UUID, clockAhead *time.Duration) {
	if err := r.Seen(ctx, edge, clockAhead); err != nil {
		r.complain(ctx, "note a heartbeat", err)
	}
}
