package admission

import (
	"crypto/ed25519"
	"encoding/binary"
	"time"

	"github.com/google/uuid"

	"fairgate/edge/lottery"
)

const (
	tokenTag     = "fairgate-token-v1"
	tokenVersion = 1
	tokenFields  = 93
	// TokenSize is the length of a signed token in bytes.
	TokenSize = tokenFields + ed25519.SignatureSize
)

// Token is an edge's claim that an entrant has been called. Core redeems it for a Session.
//
// Its bytes, integers big-endian:
//
//	 0  version, 1
//	 1  key id         [16]
//	17  event          [16]
//	33  entrant        [16]
//	49  device hash    [16]
//	65  generation     [4]
//	69  issued at, ms  [8]
//	77  expires at, ms [8]
//	85  nonce          [8]
//	93  Ed25519 signature of "fairgate-token-v1" ‖ bytes 0 to 92  [64]
type Token struct {
	// KeyID is the edge's key, registered at core for this event and a validity.
	KeyID      uuid.UUID
	Event      uuid.UUID
	Entrant    lottery.Entrant
	Device     lottery.DeviceHash
	Generation uint32
	// IssuedAt and ExpiresAt are exact to the millisecond.
	IssuedAt  time.Time
	ExpiresAt time.Time
	// Nonce makes two tokens of one entrant in one millisecond different.
	Nonce [8]byte
}

// Sign appends the token's bytes to dst.
func (t Token) Sign(dst []byte, priv ed25519.PrivateKey) []byte {
	from := len(dst)
	dst = append(dst, tokenVersion)
	dst = append(dst, t.KeyID[:]...)
	dst = append(dst, t.Event[:]...)
	dst = append(dst, t.Entrant[:]...)
	dst = append(dst, t.Device[:]...)
	dst = binary.BigEndian.AppendUint32(dst, t.Generation)
	dst = lottery.AppendTime(dst, t.IssuedAt)
	dst = lottery.AppendTime(dst, t.ExpiresAt)
	dst = append(dst, t.Nonce[:]...)
	return lottery.SignTagged(dst, from, tokenTag, priv)
}

// Parse reads a token without believing it. ErrMalformed, which a token that ends before it begins is too.
func Parse(b []byte) (Token, error) {
	if len(b) != TokenSize || b[0] != tokenVersion {
		return Token{}, ErrMalformed
	}
	issued, ok1 := lottery.ReadTime(b[69:])
	expires, ok2 := lottery.ReadTime(b[77:])
	if !ok1 || !ok2 || !expires.After(issued) {
		return Token{}, ErrMalformed
	}
	return Token{
		KeyID:      uuid.UUID(b[1:17]),
		Event:      uuid.UUID(b[17:33]),
		Entrant:    lottery.Entrant(b[33:49]),
		Device:     lottery.DeviceHash(b[49:65]),
		Generation: binary.BigEndian.Uint32(b[65:]),
		IssuedAt:   issued,
		ExpiresAt:  expires,
		Nonce:      [8]byte(b[85:93]),
	}, nil
}

// Verify reads a token signed by key that has not expired at now. ErrMalformed, ErrForged, ErrExpired.
func Verify(b []byte, key ed25519.PublicKey, now time.Time) (Token, error) {
	t, err := Parse(b)
	if err != nil {
		return Token{}, err
	}
	if !lottery.VerifyTagged(b, tokenTag, key) {
		return Token{}, ErrForged
	}
	if !now.Before(t.ExpiresAt) {
		return Token{}, ErrExpired
	}
	return t, nil
}
