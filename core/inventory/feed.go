package inventory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/google/uuid"

	"fairgate/core/db"
)

// Refusals of a Feed.
var (
	ErrFeedFull        = errors.New("inventory: as many events are watched as may be")
	ErrGeometryUnknown = errors.New("inventory: no such seating geometry")
)

const (
	// feedSettled is for how long an event that was followed, or looked at, cannot be pushed out by one of its kind.
	// Whoever follows an event asks more often than that.
	feedSettled = 10 * time.Second
	// feedRetry is how soon an event is tried again that could not be loaded.
	feedRetry = time.Second
	// feedLoads is how many events are loaded at a time; a stadium takes some tenths of a second.
	feedLoads = 2
	// feedLayoutEvery is how often an event is asked whether its file has changed.
	feedLayoutEvery = time.Second
	// feedPauseMax is the longest pause after looks that failed.
	feedPauseMax = 2 * time.Second
)

// FeedConfig are the bounds of a Feed. The zero value of every field but Layouts has a default.
type FeedConfig struct {
	// Layouts finds an event's layout. It is asked once a second for each watched event and must answer from memory nearly
	// always. Its errors reach the caller wrapped.
	Layouts func(ctx context.Context, event uuid.UUID) (*Layout, error)
	Every   time.Duration // how often the watched events are looked at; default 200 ms
	Least   time.Duration // least pause between two looks when commits nudge; default 50 ms
	Sold    time.Duration // how often held seats are asked whether they are sold by now; default 1 s
	Idle    time.Duration // for how long an event is watched that nobody asks for; default 30 s
	Events  int           // most events watched at a time; default 1000
	Ring    int           // most deltas kept of an event, for readers that resume; default 256
	Log     *slog.Logger  // default slog.Default()
}

func (c FeedConfig) withDefaults() FeedConfig {
	c.Every, c.Least = orDefault(c.Every, 200*time.Millisecond), orDefault(c.Least, 50*time.Millisecond)
	c.Sold, c.Idle = orDefault(c.Sold, time.Second), orDefault(c.Idle, 30*time.Second)
	if c.Events <= 0 {
		c.Events = 1000
	}
	if c.Ring <= 0 {
		c.Ring = 256
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c
}

func orDefault(d, or time.Duration) time.Duration {
	if d <= 0 {
		return or
	}
	return d
}

// Feed knows what is left of the events somebody watches, and what has just changed. It promises to show every commit of
// every core within a few hundred milliseconds, and never anything that was not committed: it reads nothing but committed
// rows, in one query for the stock of all events and one for the seat log of those that moved, and asks now and then which
// held seats have been sold, which no stock row tells.
//
// An event's changes are numbered. Number and epoch make an id; whoever has seen an id gets the deltas after it, or, when
// the deltas are gone or the epoch is another one (this process, or the event's file, is new), a snapshot. Deltas and
// snapshots are JSON, made once for all readers:
//
//	snapshot {"id":"1f0a…-17","geometry":"<hash>","states":"<base64, two bits a seat>","sections":[{"id":"101","left":5}],"tiers":[{"id":"floor","left":20}]}
//	delta    {"free":[12],"held":[13,14],"sold":[99],"closed":[],"sections":[{"id":"101","left":4}],"tiers":[…]}
//
// A delta names the seats whose state changed by ordinal, and the new counts of the sections and tiers whose count changed;
// empty lists are left out. left of a tier is what is on sale of it; left of a section, its free seats. The two are
// read one after the other, so for a moment they may differ by a commit.
//
// Any goroutine may ask. Run is a single goroutine of the caller's; without it nothing is ever loaded.
type Feed struct {
	db     *db.DB
	cfg    FeedConfig
	figure feedFigures
	nudged chan struct{} // capacity 1

	mu      sync.Mutex
	events  map[uuid.UUID]*watched
	changed chan struct{} // closed and replaced when any event has news

	// Of Run alone:
	soldAt, layoutAt time.Time
	soldFrom         uuid.UUID // event with which the next round of asking for sold seats begins
}

// watched is an event somebody watches. Feed.mu guards it.
type watched struct {
	id      uuid.UUID
	asked   time.Time // by anybody
	tailed  time.Time // by somebody who follows it, through News
	loading bool
	stale   bool // has to be loaded anew
	err     error
	retryAt time.Time
	live    *liveEvent // nil until loaded
	before  *Geometry  // the one of the load before, for pages that are a moment behind
}

// NewFeed makes a feed that watches nothing yet.
func NewFeed(d *db.DB, cfg FeedConfig) *Feed {
	return &Feed{
		db: d, cfg: cfg.withDefaults(), figure: newFeedFigures(), nudged: make(chan struct{}, 1),
		events: make(map[uuid.UUID]*watched), changed: make(chan struct{}),
	}
}

// Nudge tells the feed that something was committed here, so that it looks at once. It never blocks.
func (f *Feed) Nudge() {
	select {
	case f.nudged <- struct{}{}:
	default:
	}
}

// Changed is closed when any event has news, or an event asked for has been loaded. Take it before asking for News.
func (f *Feed) Changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed
}

// News is what a reader who has seen an id has to know.
type News struct {
	Epoch    string
	Seq      uint64 // number of the last change
	Geometry string // hash
	Snapshot []byte // as of Seq; nil when the deltas suffice
	// Deltas are those after the reader's id. With a snapshot they are some that came before it, for those who resume at
	// the reader.
	Deltas []Delta
}

// Delta is one numbered change of an event.
type Delta struct {
	Seq  uint64
	JSON []byte
}

// News tells what came after an id, empty for a reader who has seen nothing. The second result is false when that is
// nothing, or nothing yet: wait for Changed. The event is watched from now on for a while.
func (f *Feed) News(event uuid.UUID, since string) (News, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w, err := f.watch(event, true)
	if err != nil {
		return News{}, false, err
	}
	if w.live == nil {
		return News{}, false, w.err
	}
	news, ok := w.live.since(since)
	return news, ok, nil
}

// Snapshot is an event as it is now, and its geometry. It waits until the event is loaded.
func (f *Feed) Snapshot(ctx context.Context, event uuid.UUID) (id string, snapshot []byte, err error) {
	l, err := f.loaded(ctx, event)
	if err != nil {
		return "", nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return l.id(), l.snapshot(), nil
}

// Geometry is the geometry with a hash, if it is the event's present one or the one before.
func (f *Feed) Geometry(ctx context.Context, event uuid.UUID, hash string) (*Geometry, error) {
	l, err := f.loaded(ctx, event)
	if err != nil {
		return nil, err
	}
	if l.geometry.Hash == hash {
		return l.geometry, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if w := f.events[event]; w != nil && w.before != nil && w.before.Hash == hash {
		return w.before, nil
	}
	return nil, ErrGeometryUnknown
}

// loaded waits until an event is loaded, or cannot be.
func (f *Feed) loaded(ctx context.Context, event uuid.UUID) (*liveEvent, error) {
	for {
		changed := f.Changed()
		f.mu.Lock()
		w, err := f.watch(event, false)
		var l *liveEvent
		if err == nil {
			l, err = w.live, w.err
		}
		f.mu.Unlock()
		if l != nil || err != nil {
			return l, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the seats of event %s: %w", event, ctx.Err())
		}
	}
}

// watch finds an event's entry, or makes one, for which somebody else's may have to go: never one that is followed, and
// for those who only look none that was asked for just now, so that looking around disturbs nobody. The caller holds f.mu.
func (f *Feed) watch(event uuid.UUID, follow bool) (*watched, error) {
	now := time.Now()
	w := f.events[event]
	if w == nil {
		if len(f.events) >= f.cfg.Events {
			oldest := f.leastAsked(now)
			if oldest == nil || !follow && now.Sub(oldest.asked) < feedSettled {
				f.figure.full.Inc()
				return nil, ErrFeedFull
			}
			delete(f.events, oldest.id)
		}
		w = &watched{id: event}
		f.events[event] = w
		f.Nudge()
	}
	w.asked = now
	if follow {
		w.tailed = now
	}
	return w, nil
}

// leastAsked is the event nobody has asked for the longest time of those nobody follows.
func (f *Feed) leastAsked(now time.Time) *watched {
	var oldest *watched
	for _, w := range f.events {
		if now.Sub(w.tailed) >= feedSettled && (oldest == nil || w.asked.Before(oldest.asked)) {
			oldest = w
		}
	}
	return oldest
}

// announce wakes everybody who waits for news. The caller holds f.mu.
func (f *Feed) announce() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// Run keeps the watched events up to date until ctx ends, whose error it returns. A look that fails is logged and the next
// one tries again.
func (f *Feed) Run(ctx context.Context) error {
	var loads sync.WaitGroup
	defer loads.Wait()
	places := make(chan struct{}, feedLoads)
	failed := false
	for pause := f.cfg.Every; ; {
		began := time.Now()
		f.startLoads(ctx, &loads, places)
		switch err := f.look(ctx); {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			f.figure.failed.Inc()
			if !failed {
				f.cfg.Log.Warn("what is left of events cannot be read; it is tried again", "error", err.Error())
			}
			failed, pause = true, min(2*pause, feedPauseMax)
		default:
			failed, pause = false, f.cfg.Every
		}
		f.figure.seconds.UpdateDuration(began)
		if !f.rest(ctx, began, pause, failed) {
			return ctx.Err()
		}
	}
}

// rest waits for the next look: until the pause is over, or somebody nudges, but not before the least pause.
func (f *Feed) rest(ctx context.Context, began time.Time, pause time.Duration, failed bool) bool {
	timer := time.NewTimer(pause - time.Since(began))
	defer timer.Stop()
	nudged := f.nudged
	if failed {
		nudged = nil
	}
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	case <-nudged:
	}
	timer.Reset(max(f.cfg.Least-time.Since(began), 0))
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// startLoads forgets events nobody asks for and starts to load those that are new or out of date.
func (f *Feed) startLoads(ctx context.Context, loads *sync.WaitGroup, places chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	var waiting []*watched
	for id, w := range f.events {
		switch {
		case now.Sub(w.asked) > f.cfg.Idle:
			delete(f.events, id)
		case (w.live == nil || w.stale) && !w.loading && !now.Before(w.retryAt):
			waiting = append(waiting, w)
		}
	}
	f.figure.watched.Set(float64(len(f.events)))
	slices.SortFunc(waiting, func(a, b *watched) int { return cmp.Compare(a.asked.UnixNano(), b.asked.UnixNano()) })
	for _, w := range waiting {
		select {
		case places <- struct{}{}:
		default:
			return // the next look comes by
		}
		w.loading, w.stale = true, false
		loads.Go(func() {
			live, err := f.load(ctx, w.id)
			<-places
			f.loadedAs(w, live, err)
		})
	}
}

// loadedAs puts up what was loaded.
func (f *Feed) loadedAs(w *watched, live *liveEvent, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w.loading = false
	w.err = nil
	if err != nil {
		f.figure.failed.Inc()
		w.retryAt = time.Now().Add(feedRetry)
		if w.stale = w.live != nil; w.live == nil {
			w.err = err
		}
	} else {
		f.figure.loads.Inc()
		if w.live != nil && w.live.geometry.Hash != live.geometry.Hash {
			w.before = w.live.geometry
		}
		w.live = live
	}
	f.announce()
	f.Nudge()
}

// errStale means that an event's rows are not what the log says: it has to be loaded anew.
var errStale = errors.New("inventory: the seats were changed by something else than holds")

// look brings every loaded event up to date.
func (f *Feed) look(ctx context.Context) error {
	events := f.ready()
	if len(events) == 0 {
		return nil
	}
	now := time.Now()
	if now.Sub(f.layoutAt) >= feedLayoutEvery {
		f.layoutAt = now
		f.checkLayouts(ctx, events)
	}
	var failed error
	for part := range slices.Chunk(events, feedPage) {
		if err := f.follow(ctx, part); err != nil {
			failed = err
		}
	}
	if now.Sub(f.soldAt) >= f.cfg.Sold {
		f.soldAt = now
		if err := f.askSold(ctx, events); err != nil {
			failed = err
		}
	}
	f.publish(events)
	return failed
}

// ready lists the loaded events that are not about to be loaded anew.
func (f *Feed) ready() []*watched {
	f.mu.Lock()
	defer f.mu.Unlock()
	events := make([]*watched, 0, len(f.events))
	for _, w := range f.events {
		if w.live != nil && !w.stale && !w.loading {
			events = append(events, w)
		}
	}
	return events
}

// outdate has an event loaded anew.
func (f *Feed) outdate(w *watched, why string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !w.stale && !w.loading {
		w.stale = true
		f.figure.reloads.Inc()
		f.cfg.Log.Debug("the seats are read anew", "event", w.id.String(), "because", why)
		f.Nudge()
	}
}

func (f *Feed) checkLayouts(ctx context.Context, events []*watched) {
	for _, w := range events {
		layout, err := f.cfg.Layouts(ctx, w.id)
		switch {
		case err != nil:
		case layout.Revision != w.live.layout.Revision:
			f.outdate(w, "its file has changed")
		case layout.Allocation != w.live.layout.Allocation:
			f.outdate(w, "another on-sale has begun")
		}
	}
}

// publish numbers what has changed and wakes the readers.
func (f *Feed) publish(events []*watched) {
	f.mu.Lock()
	defer f.mu.Unlock()
	news := false
	for _, w := range events {
		if w.live.publish(f.cfg.Ring) {
			news = true
			f.figure.deltas.Inc()
		}
	}
	if news {
		f.announce()
	}
}

// feedFigures are the feed's metrics. Feeds of one process share them.
type feedFigures struct {
	watched                              *metrics.Gauge
	full, failed, loads, reloads, deltas *metrics.Counter
	seconds                              *metrics.Histogram
}

func newFeedFigures() feedFigures {
	return feedFigures{
		watched: metrics.GetOrCreateGauge(`core_feed_events`, nil),
		full:    metrics.GetOrCreateCounter(`core_limit_total{limit="feed_events"}`),
		failed:  metrics.GetOrCreateCounter(`core_feed_failures_total`),
		loads:   metrics.GetOrCreateCounter(`core_feed_loads_total`),
		reloads: metrics.GetOrCreateCounter(`core_feed_outdated_total`),
		deltas:  metrics.GetOrCreateCounter(`core_feed_deltas_total`),
		seconds: metrics.GetOrCreateHistogram(`core_feed_look_seconds`),
	}
}
