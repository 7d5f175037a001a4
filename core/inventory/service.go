package inventory

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/core/inventory/seating"
	"fairgate/edge/backlog"
	"fairgate/edge/lottery"
)

// Kind says how the units of a tier are told apart.
type Kind string

// The kinds of a tier.
const (
	General Kind = "general" // by quantity
	Seated  Kind = "seated"  // by numbered seat
)

// TierOffer is a tier on sale.
type TierOffer struct {
	Kind       Kind
	PriceMinor int64  // all-in price of one unit
	Allocation string // the allocation on general sale
}

// Offer is what an event sells now, and how.
type Offer struct {
	Currency string
	Tiers    map[string]TierOffer
	Windows  map[string]Window // presales by name
	Chart    *seating.Chart    // where the seats are; nil without any. The same as long as the event is: mirrors hang on it
	Limit    int               // most units one buyer may hold and own; 0 means no limit
	HoldTTL  time.Duration     // from grant to deadline

	CompanionsFree bool   // companions' seats are sold to anybody
	Limits         Limits // of the event, on what else a buyer is known by
	Tour           Tour   // with limits that its events share

	limited int // how many of those limits there are
}

// Offers finds an event's offer. It is asked once per request and must answer from memory nearly always. Its errors reach
// the caller wrapped.
type Offers func(ctx context.Context, event uuid.UUID) (Offer, error)

// Hooks let checkout take part in our transactions. They may run several times for one outcome and must do nothing
// outside tx. Nil hooks are skipped.
type Hooks struct {
	// Expired is told which holds have just expired, so that their orders expire with them.
	Expired func(ctx context.Context, tx pgx.Tx, holds []Hold) error
	// Released is told which holds their buyers have just given back. It may refuse some, for instance because a payment
	// is under way: those stay active and their callers get the error.
	Released func(ctx context.Context, tx pgx.Tx, holds []Hold) (refused map[uuid.UUID]error, err error)
}

// Config are the bounds of a Service. The zero value of every field but Offers has a default.
type Config struct {
	Offers       Offers
	Lanes        int           // group-commit lanes; events are spread over them by hash; default 2
	MaxBatch     int           // most requests in one commit; default 500
	MaxQueue     int           // most requests waiting in a lane; default 20 × MaxBatch
	SweepEvery   time.Duration // how often Run looks for expired holds; default 250 ms
	ReleaseEvery time.Duration // how often RunReleases looks for allocations to release; default 1 s
	SoldOutTTL   time.Duration // how long "sold out" may be answered from memory; default 1 s, negative for never
	Committed    func()        // called after each commit of holds, releases or expiries; must not block; nil for none
	Log          *slog.Logger  // default slog.Default()
	Recorder     Recorder      // keeps a history that can be proved; default none
}

func (c Config) withDefaults() Config {
	if c.Lanes <= 0 {
		c.Lanes = 2
	}
	if c.MaxBatch <= 0 {
		c.MaxBatch = 500
	}
	if c.SweepEvery <= 0 {
		c.SweepEvery = 250 * time.Millisecond
	}
	if c.ReleaseEvery <= 0 {
		c.ReleaseEvery = time.Second
	}
	if c.SoldOutTTL == 0 {
		c.SoldOutTTL = time.Second
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c
}

// Service decides holds, releases and expiries for any number of goroutines until Close. Run is a single goroutine of
// the caller's.
type Service struct {
	db      *db.DB
	cfg     Config
	hooks   Hooks
	figure  figures
	lanes   []*db.Lane[op, answer] // writers; an event always meets the same one
	lookups *db.Lane[op, answer]   // reads holds for requests that are sold out, past the writers
	reads   *db.Lane[[16]byte, map[uuid.UUID]Hold]
	soldOut soldOut
	buyers  acquaintances
	mirrors mirrors
}

// New starts the lanes. The caller closes the service.
func New(d *db.DB, cfg Config, hooks Hooks) *Service {
	cfg = cfg.withDefaults()
	s := &Service{
		db: d, cfg: cfg, hooks: hooks, figure: newFigures(),
		soldOut: soldOut{ttl: cfg.SoldOutTTL, seen: make(map[stockKey]time.Time)},
	}
	lane := func(name string, commit func(context.Context, []op) ([]answer, error)) *db.Lane[op, answer] {
		return db.NewFairLane(db.LaneConfig{Name: name, MaxBatch: cfg.MaxBatch, MaxQueue: cfg.MaxQueue, Log: cfg.Log},
			(*op).turn, commit)
	}
	for n := range cfg.Lanes {
		s.lanes = append(s.lanes, lane(fmt.Sprintf("holds-%d", n), s.commit))
	}
	s.lookups = lane("holds-lookup", s.lookUp)
	s.reads = db.NewLane(db.LaneConfig{Name: "holds-read", MaxBatch: cfg.MaxBatch, MaxQueue: cfg.MaxQueue, Log: cfg.Log}, s.readTogether)
	return s
}

// Close refuses new requests, finishes those that wait, and returns.
func (s *Service) Close() {
	for _, l := range s.lanes {
		l.Close()
	}
	s.lookups.Close()
	s.reads.Close()
}

// Hold asks for a hold and waits for the commit. A repeated request (same event, entrant and key) gets the same hold in
// its present state, whatever became of it. An error that is none of this package's refusals says nothing about the
// outcome: repeat the request.
func (s *Service) Hold(ctx context.Context, r Request) (Hold, error) {
	o, err := s.prepare(ctx, &r, nil)
	if err != nil {
		s.figure.refused(err)
		return Hold{}, err
	}
	a, err := s.route(&o).Do(ctx, o)
	return a.hold, cmp.Or(err, a.err)
}

// HoldBatch asks for many holds at once; results are in the order of the requests.
func (s *Service) HoldBatch(ctx context.Context, rs []Request) []Result {
	results := make([]Result, len(rs))
	byLane := make(map[*db.Lane[op, answer]]*share)
	offers := make(map[uuid.UUID]*Offer, 1)
	for i := range rs {
		o, err := s.prepare(ctx, &rs[i], offers)
		if err != nil {
			results[i].Err = err
			s.figure.refused(err)
			continue
		}
		l := s.route(&o)
		if byLane[l] == nil {
			byLane[l] = &share{}
		}
		byLane[l].add(o, i)
	}
	s.ask(ctx, byLane, func(i int, a db.Answer[answer]) {
		results[i] = Result{Hold: a.Value.hold, Err: cmp.Or(a.Err, a.Value.err)}
	})
	return results
}

// Release gives a buyer's hold back. Releasing a released hold again changes nothing and is no error. Somebody else's
// hold is ErrHoldUnknown.
func (s *Service) Release(ctx context.Context, id uuid.UUID, entrant lottery.Entrant) (Hold, error) {
	h, err := s.Load(ctx, id)
	if err != nil {
		return Hold{}, err
	}
	o := op{do: release, id: id, event: h.Event, entrant: entrant}
	a, err := s.lane(h.Event).Do(ctx, o)
	return a.hold, cmp.Or(err, a.err)
}

// Load finds a hold.
func (s *Service) Load(ctx context.Context, id uuid.UUID) (Hold, error) {
	holds, err := s.reads.Do(ctx, id)
	if errors.Is(err, db.ErrClosed) {
		holds, err = s.loadAll(ctx, [][16]byte{id})
	}
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err() // a reading that a caller gave up changed nothing
		}
		return Hold{}, fmt.Errorf("load hold %s: %w", id, err)
	}
	h, ok := holds[id]
	if !ok {
		return Hold{}, ErrHoldUnknown
	}
	return h, nil
}

// readTogether is the reading lane's commit: every asker gets all that were read, and looks for its own.
func (s *Service) readTogether(ctx context.Context, ids [][16]byte) ([]map[uuid.UUID]Hold, error) {
	holds, err := s.loadAll(ctx, ids)
	if err != nil {
		return nil, err
	}
	answers := make([]map[uuid.UUID]Hold, len(ids))
	for i := range answers {
		answers[i] = holds
	}
	return answers, nil
}

// prepare checks a request without the database and finds its event's offer, in offers if another request of the same
// batch has put it there.
func (s *Service) prepare(ctx context.Context, r *Request, offers map[uuid.UUID]*Offer) (op, error) {
	if err := checkItems(r.Items); err != nil {
		return op{}, err
	}
	offer := offers[r.Event]
	if offer == nil {
		found, err := s.cfg.Offers(ctx, r.Event)
		if err != nil {
			return op{}, fmt.Errorf("find the offer of event %s: %w", r.Event, err)
		}
		offer = &found
		offer.limited = offer.Limits.number() + offer.Tour.Limits.number()
		if offers != nil {
			offers[r.Event] = offer
		}
	}
	if err := checkListed(r); err != nil {
		return op{}, err
	}
	offer, window, err := r.enter(offer)
	if err != nil {
		return op{}, err
	}
	items, err := offer.resolve(r.Items)
	if err != nil {
		return op{}, err
	}
	o := op{
		do: grant, id: HoldID(r.Event, r.Entrant, r.Key), event: r.Event, entrant: r.Entrant, waitlist: r.Waitlist, ttl: r.For,
		items: items, body: r.BodyHash, offer: offer, window: window,
		counts: countsOf(r, offer),
	}
	units := int64(0)
	for i := range items {
		units += int64(items[i].units())
	}
	for i := range o.counts {
		if c := &o.counts[i]; units > c.limit && o.never == nil {
			o.never = c.over(o.event, 0)
		}
	}
	return o, nil
}

// turn is what ops of a lane take turns by: the event. What gives back, or is paid for already, has turns of its own, so that a
// crowd that wants units does not keep back those that come free.
func (o *op) turn() backlog.Key {
	key := backlog.Key(o.event)
	if o.do != grant || o.instead != uuid.Nil {
		key[0] ^= 0x80
	}
	return key
}

// lane is the writer of an event.
func (s *Service) lane(event uuid.UUID) *db.Lane[op, answer] {
	return s.lanes[binary.BigEndian.Uint32(event[12:])%uint32(len(s.lanes))]
}

// Pressure is how full the queue of an event's writer is, 0 to 1, and how long a request waits in it.
func (s *Service) Pressure(event uuid.UUID) (full float64, delay time.Duration) {
	return s.lane(event).Load()
}

// route sends a request to its event's writer, or past it when it is clear that it will be refused.
func (s *Service) route(o *op) *db.Lane[op, answer] {
	if o.never != nil || o.instead == uuid.Nil && !o.waitlist && s.soldOut.refuses(o, time.Now()) {
		return s.lookups
	}
	return s.lane(o.event)
}

// share is the part of a caller's ops that one lane decides.
type share struct {
	ops []op
	at  []int // place of each op in the caller's list
}

func (sh *share) add(o op, at int) { sh.ops, sh.at = append(sh.ops, o), append(sh.at, at) }

// ask puts each lane's share to it, all lanes at the same time, and waits for every answer.
func (s *Service) ask(ctx context.Context, byLane map[*db.Lane[op, answer]]*share, tell func(int, db.Answer[answer])) {
	var lanes sync.WaitGroup
	one := func(l *db.Lane[op, answer], sh *share) {
		for n, a := range l.DoAll(ctx, sh.ops) {
			tell(sh.at[n], a)
		}
	}
	for l, sh := range byLane {
		if len(byLane) == 1 {
			one(l, sh)
			return
		}
		lanes.Go(func() { one(l, sh) })
	}
	lanes.Wait()
}
