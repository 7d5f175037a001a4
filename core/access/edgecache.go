package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"sync"
	"time"

	"github.com/google/uuid"
)

// edgeCache remembers edges and their keys for a short time. Only what was found is remembered, so strangers cannot
// fill it.
type edgeCache struct {
	mu     sync.Mutex
	tokens map[uuid.UUID]knownEdge
	keys   map[uuid.UUID]signer
	seen   map[uuid.UUID]time.Time
	wrong  map[uuid.UUID]bool // edges whose clock is off
}

type knownEdge struct {
	hash  [sha256.Size]byte
	until time.Time
}

func newEdgeCache() *edgeCache {
	return &edgeCache{tokens: make(map[uuid.UUID]knownEdge), keys: make(map[uuid.UUID]signer), seen: make(map[uuid.UUID]time.Time), wrong: make(map[uuid.UUID]bool)}
}

func (c *edgeCache) knows(edge uuid.UUID, hash [sha256.Size]byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	known, found := c.tokens[edge]
	return found && time.Now().Before(known.until) && subtle.ConstantTimeCompare(known.hash[:], hash[:]) == 1
}

func (c *edgeCache) learn(edge uuid.UUID, hash [sha256.Size]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tokens[edge] = knownEdge{hash: hash, until: time.Now().Add(edgeCacheTTL)}
}

func (c *edgeCache) forget(edge uuid.UUID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.tokens, edge)
	for id, key := range c.keys {
		if key.edge == edge {
			delete(c.keys, id)
		}
	}
}

func (c *edgeCache) key(id uuid.UUID) (signer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key, found := c.keys[id]
	return key, found && time.Now().Before(key.until)
}

func (c *edgeCache) learnKey(id uuid.UUID, key signer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key.until = time.Now().Add(edgeCacheTTL)
	c.keys[id] = key
}

// dueSeen tells whether the heartbeat of the edge is to be written, and takes it as written.
func (c *edgeCache) dueSeen(edge uuid.UUID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if now.Sub(c.seen[edge]) < seenEvery {
		return false
	}
	c.seen[edge] = now
	return true
}

// clock takes in how far an edge's clock is off, and tells whether that has begun or ended to be too much.
func (c *edgeCache) clock(edge uuid.UUID, ahead time.Duration) (changed, wrong bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	wrong = ahead.Abs() > clockTolerance
	if changed = c.wrong[edge] != wrong; wrong {
		c.wrong[edge] = true
	} else {
		delete(c.wrong, edge)
	}
	clocksWrong.Set(float64(len(c.wrong)))
	return changed, wrong
}

// sweep forgets what is too old to be believed.
func (c *edgeCache) sweep() {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	for edge, known := range c.tokens {
		if now.After(known.until) {
			delete(c.tokens, edge)
		}
	}
	for id, key := range c.keys {
		if now.After(key.until) {
			delete(c.keys, id)
		}
	}
	for edge, at := range c.seen {
		if now.Sub(at) > time.Minute {
			delete(c.seen, edge)
			delete(c.wrong, edge)
		}
	}
}
