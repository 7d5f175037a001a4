package paysim

import (
	"encoding/binary"
	"hash/fnv"
	"sync/atomic"
	"time"
)

// die is one kind of misbehaviour: its n-th throw depends on the seed, its name and n alone.
type die struct {
	seed  uint64
	name  string
	throw atomic.Uint64
}

// next throws the die: uniform in [0, 1).
func (d *die) next() float64 {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], d.seed)
	binary.BigEndian.PutUint64(b[8:], d.throw.Add(1))
	h := fnv.New64a()
	h.Write(b[:])
	h.Write([]byte(d.name))
	// FNV leaves the high bits of short inputs alike; one round of a multiplicative mix spreads them.
	x := h.Sum64()
	x ^= x >> 32
	x *= 0xd6e8feb86659fd93
	x ^= x >> 32
	return float64(x>>11) / (1 << 53)
}

// hits tells whether something of probability p happens now. A probability of 0 does not use up a throw.
func (d *die) hits(p float64) bool { return p > 0 && d.next() < p }

// between is uniform in [low, high].
func (d *die) between(low, high time.Duration) time.Duration {
	if high <= low {
		return low
	}
	return low + time.Duration(d.next()*float64(high-low))
}

// dice are the dice of one Server.
type dice struct {
	failed, after, lost, slow, refused    die
	twice, again, reorder, early, dropped die
	delay                                 die
}

func newDice(seed uint64) *dice {
	d := &dice{}
	for name, die := range map[string]*die{
		"failed": &d.failed, "after": &d.after, "lost": &d.lost, "slow": &d.slow, "refused": &d.refused,
		"twice": &d.twice, "again": &d.again, "reorder": &d.reorder, "early": &d.early, "dropped": &d.dropped, "delay": &d.delay,
	} {
		die.seed, die.name = seed, name
	}
	return d
}
