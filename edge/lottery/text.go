package lottery

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"time"
)

// What a caller may branch on when it reads bytes from outside.
var (
	// ErrMalformed means the bytes are not of the form they should be of, whoever made them.
	ErrMalformed = errors.New("lottery: malformed")
	// ErrForged means the form is right and the signature is not.
	ErrForged = errors.New("lottery: signature does not verify")
)

// Hex32 is 32 bytes (a root, seed, secret or public key) that JSON shows as 64 lower-case hex digits.
type Hex32 [32]byte

// String is the 64 hex digits.
func (h Hex32) String() string { return hex.EncodeToString(h[:]) }

// MarshalText is String as bytes.
func (h Hex32) MarshalText() ([]byte, error) { return appendHex(nil, h[:]), nil }

// UnmarshalText reads exactly 64 lower-case hex digits, else ErrMalformed.
func (h *Hex32) UnmarshalText(text []byte) error { return decodeHex(h[:], text) }

// Hex is bytes of any length that JSON shows as lower-case hex.
type Hex []byte

// MarshalText is the hex digits.
func (h Hex) MarshalText() ([]byte, error) { return appendHex(nil, h), nil }

// UnmarshalText reads lower-case hex, else ErrMalformed.
func (h *Hex) UnmarshalText(text []byte) error {
	b := make([]byte, len(text)/2)
	if err := decodeHex(b, text); err != nil {
		return err
	}
	*h = b
	return nil
}

// Fraction is a draw value as JSON shows it: 16 hex digits, because JavaScript loses whole numbers above 2^53.
type Fraction uint64

// String is the 16 hex digits.
func (f Fraction) String() string { return string(f.append(nil)) }

// MarshalText is String as bytes.
func (f Fraction) MarshalText() ([]byte, error) { return f.append(make([]byte, 0, 16)), nil }

// UnmarshalText reads exactly 16 lower-case hex digits, else ErrMalformed.
func (f *Fraction) UnmarshalText(text []byte) error {
	var b [8]byte
	if err := decodeHex(b[:], text); err != nil {
		return err
	}
	*f = Fraction(binary.BigEndian.Uint64(b[:]))
	return nil
}

func (f Fraction) append(dst []byte) []byte {
	return appendHex(dst, binary.BigEndian.AppendUint64(make([]byte, 0, 8), uint64(f)))
}

func appendHex(dst, b []byte) []byte { return hex.AppendEncode(dst, b) }

// decodeHex fills dst from exactly len(dst)*2 lower-case hex digits. Capitals are refused so that a value has one text.
func decodeHex(dst, text []byte) error {
	if len(text) != 2*len(dst) {
		return ErrMalformed
	}
	for _, c := range text {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return ErrMalformed
		}
	}
	_, err := hex.Decode(dst, text)
	return err
}

// latest is the end of the year 9999, the last that RFC 3339 can write, in milliseconds since 1970.
const latest = 253402300799999

// AppendTime appends t as every layout of Fairgate stores it: milliseconds since 1970, 8 bytes.
func AppendTime(dst []byte, t time.Time) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(t.UnixMilli()))
}

// ReadTime reads the 8 bytes that AppendTime wrote; false for a time outside the years 1970 to 9999.
func ReadTime(b []byte) (time.Time, bool) {
	ms := binary.BigEndian.Uint64(b)
	if ms > latest {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(ms)).UTC(), true
}
