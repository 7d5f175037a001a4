package access

import (
	"context"
	"fmt"
	"time"

	"fairgate/edge/lottery"
)

// Status is how an on-sale stands, for operators.
type Status struct {
	Event       string         `json:"event"`
	Generation  uint32         `json:"generation"`
	Presale     string         `json:"presale,omitempty"` // whose on-sale it is; empty: general sale
	Next        []Planned      `json:"next,omitempty"`    // on-sales that come after it, in order
	Phase       Phase          `json:"phase"`
	Paused      bool           `json:"paused"`
	Message     string         `json:"message"`
	JoiningAt   time.Time      `json:"joining_at"`
	OpensAt     time.Time      `json:"opens_at"`
	EndsAt      time.Time      `json:"ends_at"`
	ServerTime  time.Time      `json:"server_time"`
	Commitment  lottery.Hex32  `json:"commitment"`
	ChainLength int            `json:"chain_length"`
	Beacon      *BeaconStatus  `json:"beacon,omitempty"`
	Joined      int            `json:"joined"`
	Drawn       int            `json:"drawn"` // of them, in sealed windows
	Called      int            `json:"called"`
	Cursor      *CursorStatus  `json:"cursor"`
	Sessions    int            `json:"sessions"` // ever given
	Inside      int            `json:"inside"`   // neither over nor finished
	Blocks      uint64         `json:"blocks"`   // of the pool
	LiveEdges   int            `json:"live_edges"`
	Driver      string         `json:"driver"` // of which room the lease is; empty when nobody drives
	Epoch       int64          `json:"epoch"`
	Windows     []WindowStatus `json:"windows"` // window 0 and those that have entrants
}

// CursorStatus is the last place that has been called.
type CursorStatus struct {
	Window uint32           `json:"window"`
	Band   lottery.Band     `json:"band"`
	Value  lottery.Fraction `json:"value"`
}

// BeaconStatus is the public value that goes into the seeds.
type BeaconStatus struct {
	Name  string      `json:"name"`
	Value lottery.Hex `json:"value"` // empty until it is known
	Due   bool        `json:"due"`   // the pool is sealed, and the draw waits for the value
}

// WindowStatus is one window.
type WindowStatus struct {
	Window   uint32        `json:"window"`
	Sealed   bool          `json:"sealed"`
	Entrants int           `json:"entrants"`
	Root     lottery.Hex32 `json:"root,omitzero"`
	Seed     lottery.Hex32 `json:"seed,omitzero"`
}

const sqlStatus = `SELECT
	(SELECT count(*) FROM sessions WHERE event_id = $1 AND generation = $2),
	(SELECT count(*) FROM sessions WHERE event_id = $1 AND generation = $2 AND finished_at IS NULL AND expires_at > now()),
	(SELECT count(*) FROM edges WHERE seen_at > now() - $4::INT8 * INTERVAL '1 millisecond' AND revoked_at IS NULL),
	COALESCE((SELECT holder::TEXT FROM leases WHERE name = $3 AND expires_at > now()), ''),
	COALESCE((SELECT epoch FROM leases WHERE name = $3), 0)`

// Status tells how the on-sale of an event stands.
func (r *Room) Status(ctx context.Context, slug string) (Status, error) {
	s, err := r.onSaleOf(ctx, slug)
	if err != nil {
		return Status{}, err
	}
	if err := s.refresh(ctx); err != nil {
		return Status{}, err
	}
	v := s.snapshot()
	d := &v.draw
	joined, drawn := v.pool.counts()
	status := Status{
		Event: slug, Generation: d.generation, Presale: d.presale, Phase: d.phase, Paused: d.paused, Message: d.message,
		JoiningAt: d.joiningAt, OpensAt: d.opensAt, EndsAt: d.endsAt, ServerTime: d.now,
		Commitment: d.commitment, ChainLength: d.chainLength, Joined: joined, Drawn: drawn, Called: d.called, Blocks: d.blocks,
	}
	if d.beacon != "" {
		status.Beacon = &BeaconStatus{d.beacon, d.beaconValue, d.root != nil && d.awaitsBeacon()}
	}
	if d.cursor != nil {
		status.Cursor = &CursorStatus{d.cursor.Window, d.cursor.Band, lottery.Fraction(d.cursor.Value)}
	}
	for _, w := range v.pool.view(d.called, r.cfg.Quantiles, d.root) {
		status.Windows = append(status.Windows, WindowStatus{w.number, w.sealed, w.entrants, w.root, w.seed})
	}
	if status.Next, err = plansOf(ctx, r.db.Reader, s.event); err != nil {
		return Status{}, err
	}
	var sessions, inside, edges int64
	err = r.db.Reader.QueryRow(ctx, sqlStatus, s.event, int64(d.generation), leaseName(s.event), r.cfg.EdgeLive.Milliseconds()).
		Scan(&sessions, &inside, &edges, &status.Driver, &status.Epoch)
	if err != nil {
		return Status{}, fmt.Errorf("read the status of %q: %w", slug, err)
	}
	status.Sessions, status.Inside, status.LiveEdges = int(sessions), int(inside), int(edges)
	return status, nil
}

// Phase is the phase of an event's on-sale and its sale instant, from memory: right to one tick.
func (r *Room) Phase(ctx context.Context, slug string) (Phase, time.Time, error) {
	s, err := r.onSaleOf(ctx, slug)
	if err != nil {
		return "", time.Time{}, err
	}
	d := s.snapshot().draw
	return d.phase, d.opensAt, nil
}

// EndsAt is when an event's on-sale ends, or did. Errors are those of Phase.
func (r *Room) EndsAt(ctx context.Context, slug string) (time.Time, error) {
	s, err := r.onSaleOf(ctx, slug)
	if err != nil {
		return time.Time{}, err
	}
	return s.snapshot().draw.endsAt, nil
}

// PhaseInMemory is Phase for lists: it never asks the database. On-sales under way are known within a tick of the start; what ended
// more than an hour ago is not, nor is an event without an on-sale.
func (r *Room) PhaseInMemory(slug string) (Phase, time.Time, bool) {
	r.mu.Lock()
	s := r.sales[lottery.EventID(slug)]
	r.mu.Unlock()
	if s == nil {
		return "", time.Time{}, false
	}
	d := s.snapshot().draw
	return d.phase, d.opensAt, true
}

// Now is the database's clock as far as it is known here: right to a few milliseconds.
func (r *Room) Now() time.Time { return r.now() }
