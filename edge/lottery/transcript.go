package lottery

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Transcript is everything that is published about the draw of one on-sale once it is over, or so far: enough for
// anybody to draw again and compare. It names nobody: entrants are pseudonyms.
type Transcript struct {
	Event      string `json:"event"` // slug
	Generation uint32 `json:"generation"`
	// Presale is whose on-sale it was; empty: general sale.
	Presale    string `json:"presale,omitempty"`
	Commitment Hex32  `json:"commitment"`
	Length     int    `json:"chain_length"`
	// BeaconName is where the public value in the seeds was to be read, as committed to; empty without a beacon.
	BeaconName string     `json:"beacon_name,omitempty"`
	Keys       PublicKeys `json:"receipt_keys"`
	// Windows are all sealed windows from 0 on, empty ones too: a gap is a window kept secret.
	Windows []SealedWindow `json:"windows"`
	// Cursors are all positions the cursor ever had, oldest first.
	Cursors []CursorMove `json:"cursors"`
	// Sessions are all sessions ever given, by whatever order.
	Sessions []Admission `json:"sessions"`
}

// SealedWindow is one window with its leaves and what the seal revealed.
type SealedWindow struct {
	Window   uint32 `json:"window"`
	Entrants int    `json:"entrants"`
	Leaves   Leaves `json:"leaves"`
	Root     Hex32  `json:"root"`
	Secret   Hex32  `json:"secret"`
	Beacon   Hex    `json:"beacon"`
	Seed     Hex32  `json:"seed"`
}

// CursorMove is a position of the cursor, since when, and how many entrants it had called by then.
type CursorMove struct {
	Window uint32    `json:"window"`
	Band   Band      `json:"band"`
	Value  Fraction  `json:"value"`
	Called int       `json:"called"`
	At     time.Time `json:"at"`
}

// Place is where the cursor stood.
func (c CursorMove) Place() Place {
	return Place{Window: c.Window, Band: c.Band, Value: uint64(c.Value)}
}

// Admission is a session given to an entrant, with the place it was given for. IssuedAt and CursorMove.At are of one clock.
type Admission struct {
	Entrant  Entrant   `json:"entrant"`
	Window   uint32    `json:"window"`
	Band     Band      `json:"band"`
	Value    Fraction  `json:"value"`
	IssuedAt time.Time `json:"issued_at"`
}

// Place is the place the session was given for.
func (a Admission) Place() Place {
	return Place{Window: a.Window, Band: a.Band, Value: uint64(a.Value)}
}

// Evidence is what somebody kept from before and during the sale. A transcript can be consistent and still be of another
// draw than the one people saw; only what was published in time can tell. Every field may be left empty.
type Evidence struct {
	// Commitment is the commitment as published before joining opened.
	Commitment *Hex32
	// Windows are windows as state objects showed them.
	Windows []SeenWindow
	// Cursors are positions of the cursor as state objects showed them.
	Cursors []SeenCursor
	// Beacon is the public value as somebody read it where the beacon's name says.
	Beacon []byte
	// Receipts are signed receipts.
	Receipts [][]byte
	// Earlier are transcripts of other on-sales, whose secrets must not be used again.
	Earlier []Transcript
}

// SeenWindow is a sealed window as a state object showed it. Seed is zero where it was sealed and not drawn yet.
type SeenWindow struct {
	Window     uint32
	Root, Seed Hex32
}

// SeenCursor is a position of the cursor as a state object showed it, and how many it had called.
type SeenCursor struct {
	Place  Place
	Called int
}

// ParseTranscript reads a transcript's JSON: exactly one value without unknown fields.
func ParseTranscript(b []byte) (Transcript, error) {
	var t Transcript
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&t); err != nil {
		return Transcript{}, fmt.Errorf("%w: transcript: %w", ErrMalformed, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Transcript{}, fmt.Errorf("%w: transcript: more than one JSON value", ErrMalformed)
	}
	if !ValidSlug(t.Event) {
		return Transcript{}, fmt.Errorf("%w: transcript: %q is not an event", ErrMalformed, t.Event)
	}
	if t.BeaconName != "" && !ValidBeaconName(t.BeaconName) {
		return Transcript{}, fmt.Errorf("%w: transcript: %.80q is not the name of a beacon", ErrMalformed, t.BeaconName)
	}
	return t, nil
}
