package lottery

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
)

const (
	deviceTag  = "fairgate-device-v1"
	networkTag = "fairgate-network-v1"
)

// Entrant is one buyer in one event: a pseudonym nobody without the event's key can trace back.
type Entrant [16]byte

// NewEntrant is the entrant of an identity. kind ("account", "invitation", "device") keeps identities of different
// kinds apart; it must not contain a zero byte.
func NewEntrant(pseudonymKey []byte, kind string, identity []byte) Entrant {
	mac := hmac.New(sha256.New, pseudonymKey)
	mac.Write([]byte(kind))
	mac.Write([]byte{0})
	mac.Write(identity)
	var sum [sha256.Size]byte
	return Entrant(mac.Sum(sum[:0])[:16])
}

// ParseEntrant reads the 32 hex digits that String wrote. Anything else, capitals too, is ErrMalformed.
func ParseEntrant(s string) (Entrant, error) {
	var e Entrant
	return e, e.UnmarshalText([]byte(s))
}

// String is the entrant as 32 lower-case hex digits.
func (e Entrant) String() string { return hex.EncodeToString(e[:]) }

// MarshalText is String as bytes.
func (e Entrant) MarshalText() ([]byte, error) { return appendHex(nil, e[:]), nil }

// UnmarshalText is ParseEntrant into e, which is left as it was on an error.
func (e *Entrant) UnmarshalText(text []byte) error { return decodeHex(e[:], text) }

// DeviceHash names a browser without telling the secret in its cookie.
type DeviceHash [16]byte

// HashDevice is the hash of a browser's HttpOnly secret.
func HashDevice(secret []byte) DeviceHash {
	sum := tagged(deviceTag, secret)
	return DeviceHash(sum[:16])
}

// ParseDeviceHash reads the 32 hex digits that String wrote. Anything else, capitals too, is ErrMalformed.
func ParseDeviceHash(s string) (DeviceHash, error) {
	var d DeviceHash
	return d, d.UnmarshalText([]byte(s))
}

// String is the hash as 32 lower-case hex digits.
func (d DeviceHash) String() string { return hex.EncodeToString(d[:]) }

// MarshalText is String as bytes.
func (d DeviceHash) MarshalText() ([]byte, error) { return appendHex(nil, d[:]), nil }

// UnmarshalText is ParseDeviceHash into d, which is left as it was on an error.
func (d *DeviceHash) UnmarshalText(text []byte) error { return decodeHex(d[:], text) }

// NetworkHash names the network of an address whose host bits the caller has already masked away.
func NetworkHash(masked []byte) [8]byte {
	sum := tagged(networkTag, masked)
	return [8]byte(sum[:8])
}

// tagged is SHA-256(tag ‖ message). Messages are short; a long one only costs an allocation.
func tagged(tag string, message []byte) [sha256.Size]byte {
	var buf [128]byte
	return sha256.Sum256(append(append(buf[:0], tag...), message...))
}
