package checkout

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"sync"
	"time"

	"github.com/google/uuid"
)

// The steps of an order are a hash chain: each row of order_events has the hash of itself and of the row before it, and the
// order's row has the last one, its head. It is written by the statements that write the rows anyway and read with the order,
// so that no step waits for another order's. That the end of a chain is not cut off, or a chain written anew from some row on,
// shows against the heads that were sealed meanwhile, away from the hot path; see seal.go.

// chainTag separates these hashes from every other use of SHA-256.
const chainTag = "fairgate-order-event-v1"

// origin is who caused a step, and by what.
type origin struct {
	actor  string // "buyer", "webhook", "lookup", "listing", "outbox", "expiry", "operator:NAME"
	source string // of a webhook "provider/webhook id", of an outbox task "kind/outbox id"; else ""
	digest []byte // of a webhook: SHA-256 of its payload
	again  bool   // it was told before and counts once more: payment.Event.CountsAgain
}

// chained is one row of order_events with everything that its hash covers.
type chained struct {
	order uuid.UUID
	entry
	at time.Time
}

// sum is the hash of the row behind the one of the hash previous, which is empty for an order's first row. Integers are
// big-endian; texts and the digest carry their length, 4 bytes, before them.
//
//	tag · previous hash 32 (zero when none) · order id 16 · seq 8 · cause · from · to · actor · reason · source · digest ·
//	at, microseconds since 1970, 8
func (c *chained) sum(previous []byte) []byte {
	b := make([]byte, 0, 320)
	b = append(b, chainTag...)
	var link [sha256.Size]byte
	copy(link[:], previous)
	b = append(b, link[:]...)
	b = append(b, c.order[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(c.seq))
	for _, text := range [...]string{string(c.cause), string(c.from), string(c.to), c.actor, c.reason, c.source} {
		b = appendSized(b, text)
	}
	b = appendSized(b, c.digest)
	b = binary.BigEndian.AppendUint64(b, uint64(c.at.UnixMicro()))
	h := sha256.Sum256(b)
	return h[:]
}

// appendSized writes the length of a text and the text.
func appendSized[T string | []byte](b []byte, text T) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(text)))
	return append(b, text...)
}

// sealTag separates the hashes of seals likewise.
const sealTag = "fairgate-order-seal-v1"

// newSealHash starts a seal: the tag, the hash of the writer's seal before (32 zero bytes for its first), writer, sequence,
// number of heads, and when it was sealed.
func newSealHash(previous []byte, writer uuid.UUID, sequence, heads int64, at time.Time) hash.Hash {
	h := sha256.New()
	h.Write([]byte(sealTag))
	var link [sha256.Size]byte
	copy(link[:], previous)
	h.Write(link[:])
	h.Write(writer[:])
	b := binary.BigEndian.AppendUint64(nil, uint64(sequence))
	b = binary.BigEndian.AppendUint64(b, uint64(heads))
	h.Write(binary.BigEndian.AppendUint64(b, uint64(at.UnixMicro())))
	return h
}

// sealHead adds a head to a seal; heads come in the order of their orders' ids.
func sealHead(h hash.Hash, order uuid.UUID, events int64, head []byte) {
	b := make([]byte, 0, 64)
	b = append(b, order[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(events))
	h.Write(appendSized(b, head))
}

// touched are the orders that this process has written steps of since it last sealed. An order may be in it whose
// transaction came to nothing. The zero value is ready for use by many goroutines.
type touched struct {
	mu     sync.Mutex
	orders map[uuid.UUID]struct{}
}

// maxTouched bounds what waits in memory for its seal; beyond it, the search for unsealed orders finds them.
const maxTouched = 500_000

func (t *touched) add(orders []uuid.UUID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.orders == nil {
		t.orders = make(map[uuid.UUID]struct{}, len(orders))
	}
	for _, id := range orders {
		if len(t.orders) == maxTouched {
			return
		}
		t.orders[id] = struct{}{}
	}
}

// take empties it.
func (t *touched) take() []uuid.UUID {
	t.mu.Lock()
	taken := t.orders
	t.orders = nil
	t.mu.Unlock()
	ids := make([]uuid.UUID, 0, len(taken))
	for id := range taken {
		ids = append(ids, id)
	}
	return once(ids)
}
