package paysim

import (
	"encoding/binary"
	"hash/fnv"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// dice decide every misbehaviour. A throw depends on the seed, on what is decided ("lost", "twice" …) and on the name of
// the thing it is decided about, and on nothing else: not on what was thrown before, nor on the order in which calls
// arrive. Names are made of what the merchant gave its objects, such as metadata payment_id, since ids differ between two
// starts. Dice are safe for concurrent use.
type dice struct {
	seed uint64

	mu   sync.Mutex
	seen map[string]int
}

func newDice(seed uint64) *dice { return &dice{seed: seed, seen: make(map[string]int)} }

// throw is uniform in [0, 1).
func (d *dice) throw(kind, name string) float64 {
	var seed [8]byte
	binary.BigEndian.PutUint64(seed[:], d.seed)
	h := fnv.New64a()
	h.Write(seed[:])
	h.Write([]byte(kind))
	h.Write([]byte{0})
	h.Write([]byte(name))
	// FNV leaves the high bits of alike inputs alike; two rounds of a multiplicative mix spread them.
	x := h.Sum64()
	x ^= x >> 32
	x *= 0xd6e8feb86659fd93
	x ^= x >> 32
	x *= 0xd6e8feb86659fd93
	x ^= x >> 32
	return float64(x>>11) / (1 << 53)
}

// hits tells whether something of probability p happens to a thing.
func (d *dice) hits(kind, name string, p float64) bool { return p > 0 && d.throw(kind, name) < p }

// between is uniform in [low, high].
func (d *dice) between(kind, name string, low, high time.Duration) time.Duration {
	if high <= low {
		return low
	}
	return low + time.Duration(d.throw(kind, name)*float64(high-low))
}

// nth counts how often a name was asked for, from 1. What happens several times to one thing, such as a call that is
// repeated, is thrown for anew each time.
func (d *dice) nth(name string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen[name]++
	return d.seen[name]
}

// burstLength is the greatest number of answers 429 that one call gets in a row.
const burstLength = 3

// mishap is what the dice decide about one call, whatever protocol it is in.
type mishap struct {
	limited bool // refused with 429
	cut     bool // the connection is closed before anything was done
	before  bool // status 500 and nothing was done
	after   bool // status 500 although it was done
	slow    bool // the answer takes SlowFor
	onWay   bool // the call takes SlowFor before anything is done
	lost    bool // done, and the connection closed instead of an answer
}

// mishapOf decides about the call that step names on the thing that name names: "create", "capture" … of a payment_id.
func (s *Server) mishapOf(step, name string) mishap {
	f := &s.cfg.Faults
	if !f.ofCalls() {
		return mishap{}
	}
	call := step + " " + name
	n := s.dice.nth(call)
	this := numbered(call, n)
	m := mishap{
		cut:  s.dice.hits("cut", this, f.ConnectionCut),
		slow: s.dice.hits("slow", this, f.AnswerSlow),
		lost: s.dice.hits("lost", this, f.AnswerLost),

		onWay: s.dice.hits("on its way", this, f.CallSlow),
	}
	if s.dice.hits("failed", this, f.AnswerError) {
		m.after = s.dice.hits("after", this, 0.5)
		m.before = !m.after
	}
	for began := max(1, n-burstLength+1); began <= n && !m.limited; began++ {
		from := numbered(call, began)
		m.limited = s.dice.hits("burst", from, f.RateBurst) && n < began+1+int(s.dice.throw("burst length", from)*burstLength)
	}
	return m
}

// arrive is the way of a call to us: some that change something take long, and arrive even if whoever made them is dead by then.
// Nothing may be locked.
func (s *Server) arrive(m mishap, method string) {
	if m.onWay && method != http.MethodGet {
		s.calls.onWay.Add(1)
		time.Sleep(s.cfg.Faults.SlowFor)
	}
}

// ofCalls tells whether any fault is on that mishapOf decides about.
func (f *Faults) ofCalls() bool {
	return f.ConnectionCut > 0 || f.AnswerSlow > 0 || f.CallSlow > 0 || f.AnswerLost > 0 || f.AnswerError > 0 || f.RateBurst > 0
}

// numbered is the name of the n-th time.
func numbered(name string, n int) string {
	return name + " #" + strconv.Itoa(n)
}
