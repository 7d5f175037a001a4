package access

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"fairgate/edge/lottery"
)

// Purposes of keys and the scope of those that are not an event's.
const (
	purposeSession       = "session"
	purposeSessionFilter = "session_filter"
	purposePass          = "pass"
	purposeReceipt       = "receipt"
	purposeInvitation    = "invitation"
	scopeGlobal          = "global"
)

// ringTTL is how old keys may be: a rotation is known everywhere after this.
const ringTTL = 30 * time.Second

// rings keeps the keys in memory. Any goroutine may use it.
type rings struct {
	keys   func(ctx context.Context, purpose, scope string) ([]Key, error)
	global atomic.Pointer[globalRing]

	mu     sync.Mutex
	events map[uuid.UUID]*eventRing
}

// globalRing makes and checks sessions. A number stands for the core and the filter key of that number.
type globalRing struct {
	core, filter lottery.MACKeys
	newest       uint32 // the highest number both have
	readAt       time.Time
}

// eventRing is the keys of one event.
type eventRing struct {
	receipts      map[uint32]ed25519.PrivateKey
	newestReceipt uint32
	receiptKeys   lottery.PublicKeys
	pass          lottery.MACKeys
	invitation    lottery.PublicKeys
	readAt        time.Time
}

func newRings(keys func(context.Context, string, string) ([]Key, error)) *rings {
	return &rings{keys: keys, events: make(map[uuid.UUID]*eventRing)}
}

// receiptKey is the key of that number, or the newest when it is retired.
func (r *eventRing) receiptKey(no uint32) (uint32, ed25519.PrivateKey) {
	if private, known := r.receipts[no]; known {
		return no, private
	}
	return r.newestReceipt, r.receipts[r.newestReceipt]
}

// ofEvent is the keys of an event, from memory if they were read before.
func (r *rings) ofEvent(ctx context.Context, event uuid.UUID) (*eventRing, error) {
	r.mu.Lock()
	ring := r.events[event]
	r.mu.Unlock()
	if ring != nil {
		return ring, nil
	}
	return r.readEvent(ctx, event)
}

func (r *rings) readEvent(ctx context.Context, event uuid.UUID) (*eventRing, error) {
	ring := &eventRing{receipts: make(map[uint32]ed25519.PrivateKey), readAt: time.Now()}
	receipts, err := r.read(ctx, purposeReceipt, event.String())
	if err != nil {
		return nil, err
	}
	for _, k := range receipts {
		private, err := signingKey(k)
		if err != nil {
			return nil, fmt.Errorf("read the receipt keys: %w", err)
		}
		ring.receipts[k.No] = private
		ring.newestReceipt = max(ring.newestReceipt, k.No)
		ring.receiptKeys = append(ring.receiptKeys, lottery.PublicKey{No: k.No, Public: lottery.Hex32(private.Public().(ed25519.PublicKey))})
	}
	if ring.pass, err = r.readMAC(ctx, purposePass, event.String()); err != nil {
		return nil, err
	}
	invitations, err := r.read(ctx, purposeInvitation, event.String())
	if err != nil {
		return nil, err
	}
	for _, k := range invitations {
		if len(k.Public) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("invitation key %d has a public half of %d bytes", k.No, len(k.Public))
		}
		ring.invitation = append(ring.invitation, lottery.PublicKey{No: k.No, Public: lottery.Hex32(k.Public)})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events[event] = ring
	return ring, nil
}

func (r *rings) refreshGlobal(ctx context.Context) error {
	core, err := r.readMAC(ctx, purposeSession, scopeGlobal)
	if err != nil {
		return err
	}
	filter, err := r.readMAC(ctx, purposeSessionFilter, scopeGlobal)
	if err != nil {
		return err
	}
	ring := &globalRing{core: core, filter: filter, readAt: time.Now()}
	for _, k := range core {
		if filter.Find(k.No) != nil {
			ring.newest = max(ring.newest, k.No)
		}
	}
	if ring.newest == 0 {
		return fmt.Errorf("no number is both a %s and a %s key", purposeSession, purposeSessionFilter)
	}
	r.global.Store(ring)
	return nil
}

// refreshOld reads anew what was read long ago.
func (r *rings) refreshOld(ctx context.Context) error {
	if time.Since(r.global.Load().readAt) > ringTTL {
		if err := r.refreshGlobal(ctx); err != nil {
			return err
		}
	}
	r.mu.Lock()
	var old []uuid.UUID
	for event, ring := range r.events {
		if time.Since(ring.readAt) > ringTTL {
			old = append(old, event)
		}
	}
	r.mu.Unlock()
	for _, event := range old {
		if _, err := r.readEvent(ctx, event); err != nil {
			return err
		}
	}
	return nil
}

func (r *rings) read(ctx context.Context, purpose, scope string) ([]Key, error) {
	keys, err := r.keys(ctx, purpose, scope)
	if err != nil {
		return nil, fmt.Errorf("read the %s keys: %w", purpose, err)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("read the %s keys: there are none", purpose)
	}
	return keys, nil
}

func (r *rings) readMAC(ctx context.Context, purpose, scope string) (lottery.MACKeys, error) {
	keys, err := r.read(ctx, purpose, scope)
	if err != nil {
		return nil, err
	}
	macs := make(lottery.MACKeys, len(keys))
	for i, k := range keys {
		if len(k.Secret) != 32 {
			return nil, fmt.Errorf("%s key %d has %d bytes, not 32", purpose, k.No, len(k.Secret))
		}
		macs[i] = lottery.MACKey{No: k.No, Key: lottery.Hex32(k.Secret)}
	}
	return macs, nil
}

// signingKey is the Ed25519 private key of a ring's key.
func signingKey(k Key) (ed25519.PrivateKey, error) {
	switch len(k.Secret) {
	case ed25519.SeedSize:
		return ed25519.NewKeyFromSeed(k.Secret), nil
	case ed25519.PrivateKeySize:
		return ed25519.PrivateKey(k.Secret), nil
	}
	return nil, fmt.Errorf("key %d has a secret of %d bytes, which is no Ed25519 key", k.No, len(k.Secret))
}
