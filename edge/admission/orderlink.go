package admission

import (
	"crypto/subtle"
	"encoding/binary"
	"time"

	"github.com/google/uuid"

	"fairgate/edge/lottery"
)

const (
	orderLinkTag     = "fairgate-order-link-v1"
	orderLinkVersion = 1
	orderLinkFields  = 29
	// OrderLinkSize is the length of a sealed order link in bytes: 61, which are 82 characters.
	OrderLinkSize = orderLinkFields + 32
)

// OrderLink is core's word that whoever shows it may look at one order and pay it, and nothing else: it is what a mail about an unpaid order
// leads back with, on any device. Core alone can make and check it; edges read it only to pass on none that cannot be any.
//
// Its bytes, integers big-endian:
//
//	 0  version, 1
//	 1  key number     [4]
//	 5  order          [16]
//	21  expires at, ms [8]
//	29  HMAC-SHA256(key, "fairgate-order-link-v1" ‖ bytes 0 to 28)  [32]
type OrderLink struct {
	// KeyNo is the number of core's key of order links.
	KeyNo uint32
	Order uuid.UUID
	// ExpiresAt is exact to the millisecond.
	ExpiresAt time.Time
}

// Seal appends the link's bytes to dst. The same fields under the same key are the same bytes.
func (l OrderLink) Seal(dst, key []byte) []byte {
	from := len(dst)
	dst = append(dst, orderLinkVersion)
	dst = binary.BigEndian.AppendUint32(dst, l.KeyNo)
	dst = append(dst, l.Order[:]...)
	dst = lottery.AppendTime(dst, l.ExpiresAt)
	sum := lottery.MAC(key, orderLinkTag, dst[from:])
	return append(dst, sum[:]...)
}

// ParseOrderLink reads a link without believing it. ErrMalformed.
func ParseOrderLink(b []byte) (OrderLink, error) {
	if len(b) != OrderLinkSize || b[0] != orderLinkVersion {
		return OrderLink{}, ErrMalformed
	}
	expires, ok := lottery.ReadTime(b[21:])
	if !ok {
		return OrderLink{}, ErrMalformed
	}
	return OrderLink{KeyNo: binary.BigEndian.Uint32(b[1:]), Order: uuid.UUID(b[5:21]), ExpiresAt: expires}, nil
}

// VerifyOrderLink reads a link that was sealed with one of the keys and has not expired at now. Constant time for links of one key.
// ErrMalformed, ErrNoKey for one that names another key, ErrForged, ErrExpired.
func VerifyOrderLink(b []byte, keys lottery.MACKeys, now time.Time) (OrderLink, error) {
	l, err := ParseOrderLink(b)
	if err != nil {
		return OrderLink{}, err
	}
	key := keys.Find(l.KeyNo)
	if key == nil {
		return OrderLink{}, ErrNoKey
	}
	if sum := lottery.MAC(key, orderLinkTag, b[:orderLinkFields]); subtle.ConstantTimeCompare(sum[:], b[orderLinkFields:]) != 1 {
		return OrderLink{}, ErrForged
	}
	if !now.Before(l.ExpiresAt) {
		return OrderLink{}, ErrExpired
	}
	return l, nil
}
