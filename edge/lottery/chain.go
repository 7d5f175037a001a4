package lottery

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/google/uuid"
)

const (
	chainTag = "fairgate-chain-v1"
	// MaxChain bounds the windows of one on-sale, and with them the work a hostile transcript can ask for: 22 days of 30 s windows.
	MaxChain = 1 << 16
)

// Chain is the secrets of all windows of one on-sale. Each is the hash of the next window's, so that the commitment,
// the hash of the first, covers all, and revealing one tells nothing about those after it.
// A Chain never leaves core.
type Chain struct {
	links      [][32]byte // links[w] is the secret of window w
	commitment [32]byte
}

// NewChain makes the chain of length windows that ends in secret, which must be fresh for every on-sale:
// window length-1 reveals it.
func NewChain(event uuid.UUID, secret [32]byte, length int) (Chain, error) {
	if length < 1 || length > MaxChain {
		return Chain{}, fmt.Errorf("lottery: chain of %d windows, want 1 to %d", length, MaxChain)
	}
	links := make([][32]byte, length)
	for w := length - 1; w >= 0; w-- {
		links[w] = secret
		secret = link(event, uint32(w), secret)
	}
	return Chain{links: links, commitment: secret}, nil
}

// Commitment is what is published before joining opens.
func (c Chain) Commitment() [32]byte { return c.commitment }

// Length is the number of windows the chain covers.
func (c Chain) Length() int { return len(c.links) }

// Secret is what sealing that window reveals, or an error when the chain is too short for it.
func (c Chain) Secret(window uint32) ([32]byte, error) {
	if uint64(window) >= uint64(len(c.links)) {
		return [32]byte{}, fmt.Errorf("lottery: window %d is beyond the chain of %d", window, len(c.links))
	}
	return c.links[window], nil
}

// VerifySecret reports whether secret is the one that commitment fixed for that window.
func VerifySecret(event uuid.UUID, commitment [32]byte, window uint32, secret [32]byte) bool {
	return window < MaxChain && descend(event, secret, window, -1) == commitment
}

// descend hashes the secret of window from down to that of window to; -1 is the commitment.
func descend(event uuid.UUID, secret [32]byte, from uint32, to int64) [32]byte {
	for w := int64(from); w > to; w-- {
		secret = link(event, uint32(w), secret)
	}
	return secret
}

// link is the secret of window w-1, given that of window w.
func link(event uuid.UUID, w uint32, secret [32]byte) [32]byte {
	var b [len(chainTag) + 16 + 4 + 32]byte
	m := append(b[:0], chainTag...)
	m = append(m, event[:]...)
	m = binary.BigEndian.AppendUint32(m, w)
	return sha256.Sum256(append(m, secret[:]...))
}
