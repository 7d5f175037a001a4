package challenge

import (
	"crypto/subtle"
	"encoding/binary"
	"time"

	"github.com/google/uuid"

	"fairgate/edge/guard/score"
	"fairgate/edge/lottery"
)

const (
	clearanceTag    = "fairgate-clearance-v1"
	clearanceFields = 1 + 1 + 1 + 4 + 16 + 16 + 16 + 8
	clearanceSize   = clearanceFields + macBytes
	// ClearanceTextSize is the length of a clearance's text.
	ClearanceTextSize = (clearanceSize*8 + 5) / 6
)

// Clearance says that an entrant's browser has answered a challenge. Any node accepts any node's. Its bytes, integers big-endian:
//
//	 0  version, 1
//	 1  kind of the challenge [1]
//	 2  level that it clears  [1]
//	 3  key number            [4]
//	 7  event                 [16]
//	23  entrant               [16]
//	39  device hash           [16]
//	55  until, ms             [8]
//	63  HMAC-SHA256(pass key, "fairgate-clearance-v1" ‖ bytes 0 to 62), first 16
type Clearance struct {
	By      Kind
	Level   score.Level
	Event   uuid.UUID
	Entrant lottery.Entrant
	Device  lottery.DeviceHash
	Until   time.Time
}

// Sign is the text of the clearance.
func (c Clearance) Sign(key lottery.MACKey) string {
	var buf [clearanceSize]byte
	b := append(buf[:0], 1, byte(c.By), byte(c.Level))
	b = binary.BigEndian.AppendUint32(b, key.No)
	b = append(append(append(b, c.Event[:]...), c.Entrant[:]...), c.Device[:]...)
	b = lottery.AppendTime(b, c.Until)
	sum := lottery.MAC(key.Key[:], clearanceTag, b)
	return Text.EncodeToString(append(b, sum[:macBytes]...))
}

// VerifyClearance reads a clearance made with one of the keys that is still good. ErrMalformed, ErrKeyUnknown, ErrForged, ErrExpired.
func VerifyClearance(text []byte, keys lottery.MACKeys, now time.Time) (Clearance, error) {
	var buf [clearanceSize]byte
	if len(text) != ClearanceTextSize {
		return Clearance{}, ErrMalformed
	}
	if n, err := Text.Decode(buf[:], text); err != nil || n != clearanceSize {
		return Clearance{}, ErrMalformed
	}
	b := buf[:]
	until, ok := lottery.ReadTime(b[55:])
	if !ok || b[0] != 1 || score.Level(b[2]) > score.High {
		return Clearance{}, ErrMalformed
	}
	key := keys.Find(binary.BigEndian.Uint32(b[3:]))
	if key == nil {
		return Clearance{}, ErrKeyUnknown
	}
	sum := lottery.MAC(key, clearanceTag, b[:clearanceFields])
	if subtle.ConstantTimeCompare(sum[:macBytes], b[clearanceFields:]) != 1 {
		return Clearance{}, ErrForged
	}
	if !now.Before(until) {
		return Clearance{}, ErrExpired
	}
	return Clearance{
		By: Kind(b[1]), Level: score.Level(b[2]), Event: uuid.UUID(b[7:23]), Entrant: lottery.Entrant(b[23:39]),
		Device: lottery.DeviceHash(b[39:55]), Until: until,
	}, nil
}
