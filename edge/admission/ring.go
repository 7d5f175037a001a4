package admission

import (
	"crypto/ed25519"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

const (
	// MaxKeyPeriod bounds how long one edge key signs, so that a stolen one is soon worthless. Core refuses more than twice this.
	MaxKeyPeriod = time.Hour
	// clockSkew is how far ahead of core's clock an edge's may be without its new key being refused as not yet valid.
	clockSkew = time.Minute
	// keysPerEvent bounds a ring: the key in use, the next, and one whose last tokens are still under way.
	keysPerEvent = 3
)

// Key is an edge's own signing key for one event and a short validity.
type Key struct {
	ID      uuid.UUID
	Event   uuid.UUID
	Private ed25519.PrivateKey
	// From is included in the validity, Until is not.
	From, Until time.Time

	replace bool // core wants a successor
}

// Public is what core is told.
func (k Key) Public() ed25519.PublicKey { return k.Private.Public().(ed25519.PublicKey) }

// ValidAt reports whether the key may sign at now.
func (k Key) ValidAt(now time.Time) bool { return !now.Before(k.From) && now.Before(k.Until) }

// Ring holds an edge's signing keys. One goroutine asks for keys that are Due and adds them once core knows them; any
// number mint with them meanwhile, without a lock.
type Ring struct {
	period, overlap time.Duration
	random          io.Reader
	mu              sync.Mutex // for Add and Replace
	keys            atomic.Pointer[map[uuid.UUID][]Key]
}

// NewRing makes a ring of keys valid for period each, the next of which is due overlap before the newest ends.
// random is crypto/rand.Reader outside tests.
func NewRing(period, overlap time.Duration, random io.Reader) (*Ring, error) {
	if period <= 2*clockSkew || period > MaxKeyPeriod {
		return nil, fmt.Errorf("admission: key period %s, want more than %s and at most %s", period, 2*clockSkew, MaxKeyPeriod)
	}
	if overlap <= 0 || overlap > period/2 {
		return nil, fmt.Errorf("admission: key overlap %s, want more than 0 and at most half of the period %s", overlap, period)
	}
	r := &Ring{period: period, overlap: overlap, random: random}
	r.keys.Store(&map[uuid.UUID][]Key{})
	return r, nil
}

// Due makes the event's next key when it is time for it. The key signs nothing until it was added; a caller that fails to
// register it at core just asks again.
func (r *Ring) Due(event uuid.UUID, now time.Time) (Key, bool, error) {
	if keys := (*r.keys.Load())[event]; len(keys) > 0 && !keys[0].replace && now.Add(r.overlap).Before(keys[0].Until) {
		return Key{}, false, nil
	}
	var seed [ed25519.SeedSize]byte
	if _, err := io.ReadFull(r.random, seed[:]); err != nil {
		return Key{}, false, fmt.Errorf("admission: make signing key: %w", err)
	}
	id, err := uuid.NewRandomFromReader(r.random)
	if err != nil {
		return Key{}, false, fmt.Errorf("admission: make key id: %w", err)
	}
	from := now.Add(-clockSkew)
	return Key{ID: id, Event: event, Private: ed25519.NewKeyFromSeed(seed[:]), From: from, Until: from.Add(r.period)}, true, nil
}

// Add makes k the event's newest key, and forgets keys that have ended at now.
func (r *Ring) Add(k Key, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := maps.Clone(*r.keys.Load())
	keys := []Key{k}
	for _, old := range next[k.Event] {
		if now.Before(old.Until) && len(keys) < keysPerEvent {
			keys = append(keys, old)
		}
	}
	next[k.Event] = keys
	for event, keys := range next {
		if !now.Before(keys[0].Until) {
			delete(next, event)
		}
	}
	r.keys.Store(&next)
}

// Replace has another key become due where the newest is the one named. It goes on signing until the other was added, unless it is
// revoked: then it is forgotten, and nothing is signed meanwhile. A key that is not in the ring is none of it.
func (r *Ring) Replace(id uuid.UUID, revoked bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for event, keys := range *r.keys.Load() {
		at := slices.IndexFunc(keys, func(k Key) bool { return k.ID == id })
		if at < 0 || keys[at].replace && !revoked {
			continue
		}
		next := maps.Clone(*r.keys.Load())
		changed := slices.Clone(keys)
		if revoked {
			changed = slices.Delete(changed, at, at+1)
		} else {
			changed[at].replace = true
		}
		if next[event] = changed; len(changed) == 0 {
			delete(next, event)
		}
		r.keys.Store(&next)
		return
	}
}

// Holds tells whether a key is in the ring.
func (r *Ring) Holds(id uuid.UUID) bool {
	for _, keys := range *r.keys.Load() {
		if slices.ContainsFunc(keys, func(k Key) bool { return k.ID == id }) {
			return true
		}
	}
	return false
}

// Current is the key to sign with: the newest that is valid at now.
func (r *Ring) Current(event uuid.UUID, now time.Time) (Key, bool) {
	for _, k := range (*r.keys.Load())[event] {
		if k.ValidAt(now) {
			return k, true
		}
	}
	return Key{}, false
}

// Mint appends to dst the bytes of t, signed with the current key of its event. It fills in the key and the times: the
// token lives for ttl, but never longer than its key, since core would not redeem it then. ErrNoKey.
func (r *Ring) Mint(dst []byte, t Token, now time.Time, ttl time.Duration) ([]byte, error) {
	k, ok := r.Current(t.Event, now)
	if !ok {
		return dst, ErrNoKey
	}
	t.KeyID, t.IssuedAt, t.ExpiresAt = k.ID, now, now.Add(ttl)
	if t.ExpiresAt.After(k.Until) {
		t.ExpiresAt = k.Until
	}
	return t.Sign(dst, k.Private), nil
}
