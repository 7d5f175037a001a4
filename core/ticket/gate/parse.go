package gate

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/bits-and-blooms/bloom/v3"
	"github.com/google/uuid"

	"fairgate/edge/lottery"
)

// order is that of integers in a pack.
var order = binary.BigEndian

// maxHashes bounds what a pack may ask of its filter; one in a hundred needs 7.
const maxHashes = 32

func appendText(b []byte, s string) []byte {
	s = s[:min(len(s), 255)]
	return append(append(b, byte(len(s))), s...)
}

// appendTime writes Unix milliseconds, 0 for the zero time.
func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return order.AppendUint64(b, 0)
	}
	return order.AppendUint64(b, uint64(t.UnixMilli()))
}

// cutter takes fields off the front of bytes. After the first that is not there it has nothing any more.
type cutter struct {
	b   []byte
	bad bool
}

func (c *cutter) take(n int) []byte {
	if c.bad || n > len(c.b) {
		c.bad = true
		return make([]byte, min(n, 32)) // the longest field; nobody looks at it
	}
	field := c.b[:n]
	c.b = c.b[n:]
	return field
}

func (c *cutter) byte() int { return int(c.take(1)[0]) }

// count reads how many items of at least size bytes follow, and finds out at once if they cannot.
func (c *cutter) count(n uint64, size int) int {
	if c.bad || n > uint64(len(c.b)/size) {
		c.bad = true
		return 0
	}
	return int(n)
}

func (c *cutter) text() string { return string(c.take(c.count(uint64(c.byte()), 1))) }

func (c *cutter) time() time.Time {
	ms := order.Uint64(c.take(8))
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)).UTC()
}

// parse reads what stands between the magic and the signature.
func parse(b []byte) (*Pack, error) {
	c := &cutter{b: b}
	p := &Pack{States: map[uuid.UUID]State{}}
	kind := c.byte()
	p.Event = uuid.UUID(c.take(16))
	p.Slug = c.text()
	p.AsOf, p.Base, p.Rules.ClosesAt = c.time(), c.time(), c.time()
	p.Version = order.Uint64(c.take(8))
	p.SettledAt = c.time()
	flags, reentry := c.byte(), c.byte()
	p.Rotating, p.Rules.Together, p.Cancelled = flags&flagRotating != 0, flags&flagTogether != 0, flags&flagCancelled != 0
	p.Rules.Reentry = Reentry(reentry)
	for range c.count(uint64(c.byte()), 34) {
		k := lottery.PublicKey{No: uint32(order.Uint16(c.take(2)))}
		copy(k.Public[:], c.take(32))
		p.Keys = append(p.Keys, k)
	}
	for range c.count(uint64(c.byte()), 32) {
		p.GateKeys = append(p.GateKeys, slices.Clone(c.take(32)))
	}
	for range c.count(uint64(c.byte()), 3) {
		z := Zone{ID: c.text()}
		for range c.count(uint64(order.Uint16(c.take(2))), 1) {
			z.Places = append(z.Places, c.text())
		}
		p.Rules.Zones = append(p.Rules.Zones, z)
	}
	sorted := c.states(p.States)
	switch {
	case c.bad || !sorted || flags >= flagsUnknown || p.Rules.Reentry > Free || p.AsOf.IsZero():
		return nil, fmt.Errorf("%w: impossible field", ErrPack)
	case kind == kindDelta && !p.Base.IsZero():
		p.filter = filterOf(p.States)
	case kind == kindPack && p.Base.IsZero() && p.Version == Sum(p.States):
		p.filter = c.filter()
	default:
		return nil, fmt.Errorf("%w: kind %d, version %d", ErrPack, kind, p.Version)
	}
	if c.bad || len(c.b) > 0 {
		return nil, fmt.Errorf("%w: %d bytes are left", ErrPack, len(c.b))
	}
	for ticket := range p.States {
		if !p.filter.Test(ticket[:]) { // or a dead code would be let in
			return nil, fmt.Errorf("%w: the filter lacks a ticket", ErrPack)
		}
	}
	return p, nil
}

// states reads the list, and tells whether it is in order.
func (c *cutter) states(into map[uuid.UUID]State) bool {
	var last uuid.UUID
	for i := range c.count(uint64(order.Uint32(c.take(4))), 20) {
		ticket := uuid.UUID(c.take(16))
		s := State(order.Uint32(c.take(4)))
		if i > 0 && bytes.Compare(ticket[:], last[:]) <= 0 || s <= Issued {
			return false
		}
		into[ticket], last = s, ticket
	}
	return true
}

func (c *cutter) filter() *bloom.BloomFilter {
	words := c.count(uint64(order.Uint32(c.take(4))), 8)
	hashes := c.byte()
	if words == 0 || hashes == 0 || hashes > maxHashes {
		c.bad = true
		words = 1
	}
	data := make([]uint64, words)
	for i := range data {
		data[i] = order.Uint64(c.take(8))
	}
	return bloom.From(data, uint(max(hashes, 1)))
}
