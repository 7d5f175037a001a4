package queue

import (
	"encoding/json"
	"fmt"
	"time"

	"fairgate/edge/lottery"
)

// Phase is where an on-sale stands.
type Phase string

// The phases, in the order in which an on-sale goes through them; paused comes and goes.
const (
	PhaseAnnounced Phase = "announced"
	PhaseJoining   Phase = "joining"
	PhaseSealing   Phase = "sealing"
	PhaseDrawn     Phase = "drawn"
	PhaseOpen      Phase = "open"
	PhasePaused    Phase = "paused"
	PhaseSoldOut   Phase = "sold_out"
	PhaseEnded     Phase = "ended"
)

// State is the state object: what everybody who waits is told, in the same bytes. Core builds it, edges pass it on, pages
// work out their own place from it. testdata/state.json is the example.
type State struct {
	Event         string        `json:"event"` // slug
	Generation    uint32        `json:"generation"`
	Version       uint64        `json:"version"` // grows with every change
	Phase         Phase         `json:"phase"`
	ServerTime    Instant       `json:"server_time"` // when core built it
	JoiningAt     Instant       `json:"joining_at"`
	OpensAt       Instant       `json:"opens_at"` // the sale instant: window 0 ends here
	EndsAt        Instant       `json:"ends_at"`
	TimeZone      string        `json:"time_zone"` // IANA name
	WindowSeconds int           `json:"window_seconds"`
	Identity      string        `json:"identity"`          // what an entrant is made of: device, invitation or account
	Presale       string        `json:"presale,omitempty"` // whose on-sale it is; empty: general sale
	Next          *Next         `json:"next,omitempty"`    // the on-sale after this one
	Commitment    lottery.Hex32 `json:"commitment"`
	ChainLength   int           `json:"chain_length"`
	Beacon        *Beacon       `json:"beacon,omitempty"`
	Windows       []Window      `json:"windows"` // ascending by number
	Joined        int           `json:"joined"`
	Cursor        *Cursor       `json:"cursor"` // null until somebody is called
	CalledCount   int           `json:"called"` // entrants at or before the cursor
	PacePerSecond float64       `json:"pace_per_second"`
	Stock         []Stock       `json:"stock"`
	PriceRange    *PriceRange   `json:"price_range"`
	SoldOut       bool          `json:"sold_out"`
	Message       string        `json:"message"`
	PollAfterMS   int           `json:"poll_after_ms"`
	// ReceiptKeys verify the receipts that joins are answered with.
	ReceiptKeys lottery.PublicKeys `json:"receipt_keys"`
	// Doubt is set by an edge that has lost core: all else is as core last said.
	Doubt bool `json:"doubt,omitempty"`
}

// Next is an on-sale that begins by itself when the one before is over.
type Next struct {
	Presale   string  `json:"presale,omitempty"` // whose on-sale it is; empty: general sale
	JoiningAt Instant `json:"joining_at"`
	OpensAt   Instant `json:"opens_at"`
	EndsAt    Instant `json:"ends_at"`
}

// Beacon is the public value that goes into the seeds, as named in advance. Value is empty until it is known.
type Beacon struct {
	Name  string      `json:"name"`
	Value lottery.Hex `json:"value"`
}

// Window is one window of the on-sale. Root, Seed, Secret and the bands' quantiles are there once it is sealed; window 0 of an
// on-sale with a beacon has its root before: it is closed and waits for the value.
type Window struct {
	Window   uint32                `json:"window"`
	Sealed   bool                  `json:"sealed"`
	Entrants int                   `json:"entrants"`
	Bands    []lottery.BandSummary `json:"bands"`
	Root     lottery.Hex32         `json:"root,omitzero"`
	Seed     lottery.Hex32         `json:"seed,omitzero"`
	Secret   lottery.Hex32         `json:"secret,omitzero"`
}

// Closed reports whether nobody can join the window any more.
func (w *Window) Closed() bool { return w.Sealed || w.Root != (lottery.Hex32{}) }

// Cursor is the last place that has been called.
type Cursor struct {
	Window uint32           `json:"window"`
	Band   lottery.Band     `json:"band"`
	Value  lottery.Fraction `json:"value"`
}

// Place is where the cursor stands.
func (c Cursor) Place() lottery.Place {
	return lottery.Place{Window: c.Window, Band: c.Band, Value: uint64(c.Value)}
}

// Stock is what is left of a tier.
type Stock struct {
	Tier string `json:"tier"`
	Name string `json:"name"`
	Left int    `json:"left"`
	// Rounded: Left is not exact, so that people do not read more into it than there is.
	Rounded bool  `json:"rounded"`
	Price   Money `json:"price"`
}

// Money is an all-in price in minor units.
type Money struct {
	Minor    int64  `json:"minor"`
	Currency string `json:"currency"`
}

// PriceRange is from the cheapest tier to the dearest.
type PriceRange struct {
	From Money `json:"from"`
	To   Money `json:"to"`
}

// Instant is a time that JSON shows in UTC with exactly three decimals.
type Instant struct{ time.Time }

// instantLayout is RFC 3339 with milliseconds, in UTC.
const instantLayout = "2006-01-02T15:04:05.000Z"

// MarshalJSON writes the time in UTC to the millisecond.
func (i Instant) MarshalJSON() ([]byte, error) {
	return i.UTC().AppendFormat(nil, `"`+instantLayout+`"`), nil
}

// UnmarshalJSON reads an RFC 3339 time of any zone and precision, and keeps it in UTC.
func (i *Instant) UnmarshalJSON(b []byte) error {
	t, err := time.Parse(`"`+time.RFC3339Nano+`"`, string(b))
	if err != nil {
		return fmt.Errorf("time: %w", err)
	}
	i.Time = t.UTC()
	return nil
}

// Encode is the state object's JSON.
func (s *State) Encode() ([]byte, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("queue: encode state: %w", err)
	}
	return b, nil
}
