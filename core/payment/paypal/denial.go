package paypal

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"
)

// The allowance of calls that check a signature. They are made only while a certificate cannot be fetched, and a webhook that finds
// none left is sent again by PayPal.
const (
	verifyPerSecond = 2
	verifyBurst     = 5
	verifyMaxWait   = time.Second
)

// Bounds of what is remembered of webhooks that PayPal did not know.
const (
	maxDenials = 4096
	denialLife = time.Hour
)

// denials remembers webhooks that PayPal did not know, by digest, the last maxDenials of them. It is safe for concurrent use.
type denials struct {
	mu    sync.Mutex
	known map[[sha256.Size]byte]time.Time // when each was denied
	ring  [][sha256.Size]byte             // in the order in which they were denied, from next on
	next  int
}

func newDenials() *denials { return &denials{known: make(map[[sha256.Size]byte]time.Time)} }

func (d *denials) has(what [sha256.Size]byte, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	at, ok := d.known[what]
	return ok && now.Sub(at) < denialLife
}

func (d *denials) add(what [sha256.Size]byte, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.known[what]; !ok {
		if len(d.ring) < maxDenials {
			d.ring = append(d.ring, what)
		} else {
			delete(d.known, d.ring[d.next])
			d.ring[d.next], d.next = what, (d.next+1)%maxDenials
		}
	}
	d.known[what] = now
}

// digest tells one question about a signature from every other.
func (t transmission) digest(raw []byte) [sha256.Size]byte {
	sum := sha256.New()
	for _, part := range [][]byte{[]byte(t.id), []byte(t.time), []byte(t.cert), []byte(t.signature), raw} {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		sum.Write(size[:])
		sum.Write(part)
	}
	return [sha256.Size]byte(sum.Sum(nil))
}
