package admission

import (
	"crypto/subtle"
	"encoding/binary"
	"time"

	"github.com/google/uuid"

	"fairgate/edge/lottery"
)

const (
	sessionFilterTag = "fairgate-session-filter-v1"
	sessionCoreTag   = "fairgate-session-core-v1"
	sessionVersion   = 1
	sessionFields    = 89
	macSize          = 16
	// SessionSize is the length of a sealed session in bytes.
	SessionSize = sessionFields + 2*macSize
)

// Session is the right to shop, given by core to an entrant it called. Edges check the filter MAC, whose key they share,
// to keep strangers away from core; core believes only its own.
//
// Its bytes, integers big-endian:
//
//	  0  version, 1
//	  1  key number     [4]
//	  5  event          [16]
//	 21  entrant        [16]
//	 37  session        [16]
//	 53  device hash    [16]
//	 69  generation     [4]
//	 73  issued at, ms  [8]
//	 81  expires at, ms [8]
//	 89  HMAC-SHA256(filter key, "fairgate-session-filter-v1" ‖ bytes 0 to 88)[:16]
//	105  HMAC-SHA256(core key, "fairgate-session-core-v1" ‖ bytes 0 to 88)[:16]
type Session struct {
	// KeyNo is the number of both keys; they are rotated together.
	KeyNo      uint32
	Event      uuid.UUID
	Entrant    lottery.Entrant
	Session    uuid.UUID
	Device     lottery.DeviceHash
	Generation uint32
	// IssuedAt and ExpiresAt are exact to the millisecond.
	IssuedAt  time.Time
	ExpiresAt time.Time
}

// Seal appends the session's bytes to dst.
func (s Session) Seal(dst, coreKey, filterKey []byte) []byte {
	from := len(dst)
	dst = append(dst, sessionVersion)
	dst = binary.BigEndian.AppendUint32(dst, s.KeyNo)
	dst = append(dst, s.Event[:]...)
	dst = append(dst, s.Entrant[:]...)
	dst = append(dst, s.Session[:]...)
	dst = append(dst, s.Device[:]...)
	dst = binary.BigEndian.AppendUint32(dst, s.Generation)
	dst = lottery.AppendTime(dst, s.IssuedAt)
	dst = lottery.AppendTime(dst, s.ExpiresAt)
	filter := lottery.MAC(filterKey, sessionFilterTag, dst[from:])
	core := lottery.MAC(coreKey, sessionCoreTag, dst[from:])
	dst = append(dst, filter[:macSize]...)
	return append(dst, core[:macSize]...)
}

// Expired reports whether the session's time has run out at now. It says nothing about the MACs.
func (s Session) Expired(now time.Time) bool { return !now.Before(s.ExpiresAt) }

// ParseSession reads a session without believing it. ErrMalformed, which a session that ends before it begins is too.
func ParseSession(b []byte) (Session, error) {
	if len(b) != SessionSize || b[0] != sessionVersion {
		return Session{}, ErrMalformed
	}
	issued, ok1 := lottery.ReadTime(b[73:])
	expires, ok2 := lottery.ReadTime(b[81:])
	if !ok1 || !ok2 || !expires.After(issued) {
		return Session{}, ErrMalformed
	}
	return Session{
		KeyNo:      binary.BigEndian.Uint32(b[1:]),
		Event:      uuid.UUID(b[5:21]),
		Entrant:    lottery.Entrant(b[21:37]),
		Session:    uuid.UUID(b[37:53]),
		Device:     lottery.DeviceHash(b[53:69]),
		Generation: binary.BigEndian.Uint32(b[69:]),
		IssuedAt:   issued,
		ExpiresAt:  expires,
	}, nil
}

// CheckFilter checks the MAC that edges can check too. Constant time for bytes of the right length. ErrMalformed, ErrForged.
func CheckFilter(b, filterKey []byte) error {
	return checkMAC(b, filterKey, sessionFilterTag, sessionFields)
}

// CheckCore checks the MAC that only core can make. Constant time for bytes of the right length. ErrMalformed, ErrForged.
func CheckCore(b, coreKey []byte) error {
	return checkMAC(b, coreKey, sessionCoreTag, sessionFields+macSize)
}

func checkMAC(b, key []byte, tag string, at int) error {
	if len(b) != SessionSize || b[0] != sessionVersion {
		return ErrMalformed
	}
	// Without a key there is nothing to believe: HMAC under an empty key is one that anybody can compute.
	if len(key) == 0 {
		return ErrForged
	}
	sum := lottery.MAC(key, tag, b[:sessionFields])
	if subtle.ConstantTimeCompare(sum[:macSize], b[at:at+macSize]) != 1 {
		return ErrForged
	}
	return nil
}
