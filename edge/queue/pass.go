package queue

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"time"

	"github.com/google/uuid"

	"fairgate/edge/lottery"
)

const (
	passTag     = "fairgate-pass-v1"
	passVersion = 1
	passFields  = 71
	// PassSize is the length of a signed pass in bytes.
	PassSize = passFields + sha256.Size
)

// Pass is a buyer's place in the waiting room, kept by the buyer. Any edge accepts any edge's.
//
// Its bytes, integers big-endian; its text is their base64url without padding:
//
//	 0  version, 1
//	 1  provisional: 0 or 1
//	 2  band          [1]
//	 3  key number    [4]
//	 7  event         [16]
//	23  entrant       [16]
//	39  device hash   [16]
//	55  generation    [4]
//	59  window        [4]
//	63  issued at, ms [8]
//	71  HMAC-SHA256(pass key, "fairgate-pass-v1" ‖ bytes 0 to 70)  [32]
type Pass struct {
	// KeyNo says which of the event's pass keys made the MAC.
	KeyNo      uint32
	Event      uuid.UUID
	Entrant    lottery.Entrant
	Device     lottery.DeviceHash
	Generation uint32
	Window     uint32
	Band       lottery.Band
	// Provisional: core has not acknowledged the entrant yet, so window and band may still change.
	Provisional bool
	// IssuedAt is exact to the millisecond.
	IssuedAt time.Time
}

// Sign appends the pass's bytes to dst. key is the one of number KeyNo.
func (p Pass) Sign(dst, key []byte) []byte {
	from := len(dst)
	var provisional byte
	if p.Provisional {
		provisional = 1
	}
	dst = append(dst, passVersion, provisional, byte(p.Band))
	dst = binary.BigEndian.AppendUint32(dst, p.KeyNo)
	dst = append(dst, p.Event[:]...)
	dst = append(dst, p.Entrant[:]...)
	dst = append(dst, p.Device[:]...)
	dst = binary.BigEndian.AppendUint32(dst, p.Generation)
	dst = binary.BigEndian.AppendUint32(dst, p.Window)
	dst = lottery.AppendTime(dst, p.IssuedAt)
	sum := lottery.MAC(key, passTag, dst[from:])
	return append(dst, sum[:]...)
}

// ParsePass reads a pass without believing it. ErrMalformed.
func ParsePass(b []byte) (Pass, error) {
	if len(b) != PassSize || b[0] != passVersion || b[1] > 1 {
		return Pass{}, ErrMalformed
	}
	issued, ok := lottery.ReadTime(b[63:])
	if !ok {
		return Pass{}, ErrMalformed
	}
	return Pass{
		Provisional: b[1] == 1,
		Band:        lottery.Band(b[2]),
		KeyNo:       binary.BigEndian.Uint32(b[3:]),
		Event:       uuid.UUID(b[7:23]),
		Entrant:     lottery.Entrant(b[23:39]),
		Device:      lottery.DeviceHash(b[39:55]),
		Generation:  binary.BigEndian.Uint32(b[55:]),
		Window:      binary.BigEndian.Uint32(b[59:]),
		IssuedAt:    issued,
	}, nil
}

// VerifyPass reads a pass made with one of keys, in constant time as far as the MAC goes, without allocating.
// ErrMalformed, ErrKeyUnknown, ErrForged.
func VerifyPass(b []byte, keys lottery.MACKeys) (Pass, error) {
	p, err := ParsePass(b)
	if err != nil {
		return Pass{}, err
	}
	key := keys.Find(p.KeyNo)
	if key == nil {
		return Pass{}, ErrKeyUnknown
	}
	sum := lottery.MAC(key, passTag, b[:passFields])
	if subtle.ConstantTimeCompare(sum[:], b[passFields:]) != 1 {
		return Pass{}, ErrForged
	}
	return p, nil
}
