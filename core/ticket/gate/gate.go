package gate

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/google/uuid"

	"fairgate/core/ticket/code"
)

// ErrScanUnknown means that no scan of that id opened this gate, or that it is undone already.
var ErrScanUnknown = errors.New("gate: no such scan")

// Config is what a Gate is.
type Config struct {
	Name string
	Zone string // empty: the venue
	Pack *Pack
	Log  string           // file
	Now  func() time.Time // the gate's clock; time.Now when nil
}

// Gate decides off line. It knows what its own log says and what the pack says, and nothing of other gates.
type Gate struct {
	cfg Config

	updating sync.Mutex // one Update at a time; taken before mu
	mu       sync.Mutex
	pack     *Pack
	reader   *code.Reader
	log      *Log
	broken   error                   // the log could not be written
	passes   map[uuid.UUID][]Pass    // of tickets, in the zone
	epochs   map[uuid.UUID]uint32    // the latest that was seen here
	scans    map[uuid.UUID]uuid.UUID // those that opened the gate, and their tickets
	counts   Counts
}

// Counts are what a gate has done so far.
type Counts struct {
	In      int `json:"in"`
	Out     int `json:"out"`
	Refused int `json:"refused"`
	Undone  int `json:"undone"`
}

// Answer is what a scan came to.
type Answer struct {
	Scan uuid.UUID // by which it can be undone; Nil of what is no code of the event
	Code code.Code
}

// New makes a gate and takes up what its log says. ErrZone when the event has no such zone; ErrLog when the log is of another gate, zone
// or event.
func New(cfg Config) (*Gate, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if !cfg.Pack.Rules.Known(cfg.Zone) {
		return nil, fmt.Errorf("%w: %s has no zone %q", ErrZone, cfg.Pack.Slug, cfg.Zone)
	}
	log, records, err := OpenLog(cfg.Log)
	if err != nil {
		return nil, err
	}
	g := &Gate{cfg: cfg, pack: cfg.Pack, reader: cfg.Pack.Reader(), log: log,
		passes: map[uuid.UUID][]Pass{}, epochs: map[uuid.UUID]uint32{}, scans: map[uuid.UUID]uuid.UUID{}}
	for i, r := range records {
		if err := g.remember(r); err != nil {
			log.Close()
			return nil, fmt.Errorf("read %s: line %d: %w", cfg.Log, i+1, err)
		}
	}
	return g, nil
}

// remember takes up what the log has.
func (g *Gate) remember(r Record) error {
	if r.Event != g.pack.Event || r.Gate != g.cfg.Name || r.Zone != g.cfg.Zone {
		return fmt.Errorf("%w: it is of gate %s in zone %q of event %s", ErrLog, r.Gate, r.Zone, r.Event)
	}
	if r.Undo != uuid.Nil {
		g.forget(r.Undo)
		return nil
	}
	if r.Strange() {
		g.counts.Refused++
		return nil
	}
	c, err := code.Parse(r.Code)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrLog, err)
	}
	g.note(r, c)
	return nil
}

// note keeps a scan in memory.
func (g *Gate) note(r Record, c code.Code) {
	if r.Refused != "" {
		g.counts.Refused++
		return
	}
	if r.Direction == Out {
		g.counts.Out++
	} else {
		g.counts.In++
	}
	g.passes[c.TicketID] = append(g.passes[c.TicketID], r.Pass())
	g.epochs[c.TicketID] = max(g.epochs[c.TicketID], c.Epoch)
	g.scans[r.ID] = c.TicketID
}

func (g *Gate) forget(scan uuid.UUID) {
	ticket, ok := g.scans[scan]
	if !ok {
		return
	}
	delete(g.scans, scan)
	kept := g.passes[ticket][:0]
	for _, p := range g.passes[ticket] {
		if p.ID != scan {
			kept = append(kept, p)
		}
	}
	g.passes[ticket] = kept
	g.counts.Undone++
}

// Scan decides about what was shown, and has it on disk before it answers. An error whose Reason is not empty is a refusal, maybe a
// Refusal; any other means that the gate cannot write, and has to stay closed.
func (g *Gate) Scan(shown string, d Direction) (Answer, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.broken != nil {
		return Answer{}, g.broken
	}
	now := g.cfg.Now()
	c, why := g.reader.Read(shown, now)
	r := Record{ID: uuid.New(), Event: g.pack.Event, Gate: g.cfg.Name, Zone: g.cfg.Zone, At: now.UTC().Truncate(time.Millisecond), Direction: d}
	if why != nil && c.TicketID == uuid.Nil {
		return Answer{}, g.turnAway(r, why)
	}
	var err error
	if r.Code, _, err = code.Split(shown); err != nil {
		return Answer{}, err
	}
	if why == nil {
		why = g.decide(c, r.Pass())
	}
	r.Refused = Reason(why)
	if err := g.log.Append(r); err != nil {
		g.broken = err
		return Answer{}, err
	}
	g.note(r, c)
	return Answer{Scan: r.ID, Code: c}, why
}

// turnAway counts and writes that something was shown that is no code of the event, and answers why.
func (g *Gate) turnAway(r Record, why error) error {
	r.Refused = Reason(why)
	if err := g.log.Append(r); err != nil {
		g.broken = err
		return err
	}
	g.counts.Refused++
	return why
}

// decide applies the rules that are left once a code is genuine.
func (g *Gate) decide(c code.Code, p Pass) error {
	if !g.pack.Rules.ClosesAt.IsZero() && !p.At.Before(g.pack.Rules.ClosesAt) {
		return ErrClosed
	}
	if g.pack.Cancelled && p.Direction != Out {
		return ErrVoid
	}
	if err := max(g.pack.State(c.TicketID), StateOf(g.epochs[c.TicketID], false)).Check(c.Epoch); err != nil && p.Direction != Out {
		return err // whoever leaves may, whatever became of the ticket
	}
	if !g.pack.Rules.Admits(g.cfg.Zone, c.Place) {
		return ErrZone
	}
	before, _ := g.pack.Rules.Replay(g.passes[c.TicketID])
	_, err := g.pack.Rules.Next(before, p)
	return err
}

// Undo takes a scan back that opened this gate. Errors: ErrScanUnknown; ErrLog, when the reason is empty or too long.
func (g *Gate) Undo(scan uuid.UUID, reason string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.broken != nil {
		return g.broken
	}
	if _, ok := g.scans[scan]; !ok {
		return ErrScanUnknown
	}
	r := Record{ID: uuid.New(), Event: g.pack.Event, Gate: g.cfg.Name, Zone: g.cfg.Zone, At: g.cfg.Now().UTC().Truncate(time.Millisecond), Undo: scan, Reason: reason}
	if err := r.Check(); err != nil {
		return err
	}
	if err := g.log.Append(r); err != nil {
		g.broken = err
		return err
	}
	g.forget(scan)
	return nil
}

// Counts tells what the gate has done.
func (g *Gate) Counts() Counts {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.counts
}

// Close closes the log. The gate must not be used any more.
func (g *Gate) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.broken = os.ErrClosed
	return g.log.Close()
}
