package gate

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/bits-and-blooms/bloom/v3"
	"github.com/google/uuid"

	"fairgate/core/ticket/code"
	"fairgate/edge/lottery"
)

var (
	// ErrPack means that bytes are no event pack.
	ErrPack = errors.New("gate: malformed pack")
	// ErrPackForged means that a pack has no valid signature of a key that is trusted.
	ErrPackForged = errors.New("gate: forged pack")
	// ErrGap means that a delta does not complete this pack: load the whole one.
	ErrGap = errors.New("gate: delta does not fit the pack")
	// ErrPackEvent means that a pack or delta is of another event.
	ErrPackEvent = errors.New("gate: pack of another event")
	// ErrPackOlder means that what is to take a pack's place is older than that.
	ErrPackOlder = errors.New("gate: pack older than the one in use")
)

const (
	packMagic = "FGPK\x02"
	packTag   = "fairgate-pack-v2"

	kindPack  = 0
	kindDelta = 1

	// MaxPack bounds a pack: a stadium whose every ticket was replaced has 2 MB.
	MaxPack = 8 << 20
	// falsePositives is the share of good tickets for which the list is asked as well.
	falsePositives = 0.01
)

// Pack is what a gate knows of an event while it is off line, or, as a delta, what is new.
type Pack struct {
	Event    uuid.UUID
	Slug     string
	AsOf     time.Time // whatever was committed some seconds before is in it
	Base     time.Time // of a delta: since when it has what changed; zero: the pack is whole
	Version  uint64    // see Sum
	Keys     lottery.PublicKeys
	GateKeys [][]byte // where codes rotate
	Rotating bool
	Rules    Rules
	// Cancelled refuses everybody: every ticket is void.
	Cancelled bool
	// SettledAt is when the last tickets change hands, transfers and resales, before the doors open: a pack of before may lack some of
	// them. Zero: nobody hands tickets on.
	SettledAt time.Time
	States    map[uuid.UUID]State // above Issued

	filter *bloom.BloomFilter
}

// Sum is the version of a whole list of states.
func Sum(states map[uuid.UUID]State) (sum uint64) {
	for _, s := range states {
		sum += uint64(s - Issued)
	}
	return sum
}

// State is a ticket's, as of the pack.
func (p *Pack) State(ticket uuid.UUID) State {
	if !p.filter.Test(ticket[:]) {
		return Issued
	}
	if s, ok := p.States[ticket]; ok {
		return s
	}
	return Issued
}

// Reader verifies codes with the pack's keys.
func (p *Pack) Reader() *code.Reader {
	return &code.Reader{Event: p.Event, Keys: p.Keys, GateKeys: p.GateKeys, Rotating: p.Rotating}
}

// Apply is the pack with a delta. A delta that is not newer than the pack changes nothing. ErrGap when something is missing between
// the two, ErrPackEvent when they are of two events.
func (p *Pack) Apply(d *Pack) (*Pack, error) {
	switch {
	case d.Event != p.Event:
		return nil, fmt.Errorf("%w: %s", ErrPackEvent, d.Event)
	case !d.AsOf.After(p.AsOf):
		return p, nil
	case d.Base.IsZero():
		return d, nil
	case d.Base.After(p.AsOf):
		return nil, fmt.Errorf("%w: it begins at %s, the pack is of %s", ErrGap, d.Base.Format(time.RFC3339), p.AsOf.Format(time.RFC3339))
	}
	next := *d
	next.Base, next.States = time.Time{}, maps.Clone(p.States)
	for ticket, s := range d.States {
		next.States[ticket] = max(s, next.States[ticket])
	}
	if Sum(next.States) != d.Version {
		return nil, fmt.Errorf("%w: it comes to version %d, not %d", ErrGap, Sum(next.States), d.Version)
	}
	next.filter = filterOf(next.States)
	return &next, nil
}

// filterOf makes the filter in front of a list of states. What is in it follows from the list alone.
func filterOf(states map[uuid.UUID]State) *bloom.BloomFilter {
	f := bloom.NewWithEstimates(uint(max(len(states), 1)), falsePositives)
	f = bloom.From(make([]uint64, (f.Cap()+63)/64), f.K()) // whole words, as they are written
	for ticket := range states {
		f.Add(ticket[:])
	}
	return f
}

// What a pack's flags say.
const (
	flagRotating  = 1 << iota
	flagTogether  // Rules.Together
	flagCancelled // Cancelled
	flagsUnknown  // and all above
)

func (p *Pack) flags() (b byte) {
	for flag, on := range map[byte]bool{flagRotating: p.Rotating, flagTogether: p.Rules.Together, flagCancelled: p.Cancelled} {
		if on {
			b |= flag
		}
	}
	return b
}

// Early tells whether tickets may still change hands after the pack was made.
func (p *Pack) Early() bool { return !p.SettledAt.IsZero() && p.AsOf.Before(p.SettledAt) }

// Seal writes a pack, signed.
func (p *Pack) Seal(key ed25519.PrivateKey) []byte {
	b := append([]byte(nil), packMagic...)
	kind := byte(kindPack)
	if !p.Base.IsZero() {
		kind = kindDelta
	}
	b = append(b, kind)
	b = append(b, p.Event[:]...)
	b = appendText(b, p.Slug)
	b = appendTime(appendTime(appendTime(b, p.AsOf), p.Base), p.Rules.ClosesAt)
	b = order.AppendUint64(b, p.Version)
	b = appendTime(b, p.SettledAt)
	b = append(b, p.flags(), byte(p.Rules.Reentry), byte(len(p.Keys)))
	for _, k := range p.Keys {
		b = order.AppendUint16(b, uint16(k.No))
		b = append(b, k.Public[:]...)
	}
	b = append(b, byte(len(p.GateKeys)))
	for _, k := range p.GateKeys {
		b = append(b, k...)
	}
	b = append(b, byte(len(p.Rules.Zones)))
	for _, z := range p.Rules.Zones {
		b = order.AppendUint16(appendText(b, z.ID), uint16(len(z.Places)))
		for _, place := range z.Places {
			b = appendText(b, place)
		}
	}
	b = order.AppendUint32(b, uint32(len(p.States)))
	for _, ticket := range slices.SortedFunc(maps.Keys(p.States), func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }) {
		b = order.AppendUint32(append(b, ticket[:]...), uint32(p.States[ticket]))
	}
	if kind == kindPack {
		f := filterOf(p.States)
		words := f.BitSet().Words()
		b = append(order.AppendUint32(b, uint32(len(words))), byte(f.K()))
		for _, w := range words {
			b = order.AppendUint64(b, w)
		}
	}
	return append(b, ed25519.Sign(key, append([]byte(packTag), b...))...)
}

// Open reads a sealed pack or delta. Nothing of it is looked at before one of the trusted keys has signed it. Errors: ErrPack,
// ErrPackForged.
func Open(b []byte, trusted ...ed25519.PublicKey) (*Pack, error) {
	if len(b) > MaxPack || len(b) < len(packMagic)+ed25519.SignatureSize || string(b[:len(packMagic)]) != packMagic {
		return nil, fmt.Errorf("%w: %d bytes", ErrPack, len(b))
	}
	body, signature := b[:len(b)-ed25519.SignatureSize], b[len(b)-ed25519.SignatureSize:]
	message := append([]byte(packTag), body...)
	for _, key := range trusted {
		if len(key) == ed25519.PublicKeySize && ed25519.Verify(key, message, signature) {
			return parse(body[len(packMagic):])
		}
	}
	return nil, ErrPackForged
}
