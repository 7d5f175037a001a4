package code

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
)

const (
	// Period is how long one rotating part is shown.
	Period = 15 * time.Second
	// Digits is the length of a rotating part.
	Digits = 8
	// SeedSize is the length of a seed in bytes: what RFC 4226 recommends.
	SeedSize = 20

	seedTag   = "fairgate-rotating-v1"
	separator = "." // part of the alphanumeric mode of QR codes
	modulo    = 100_000_000
)

// Seed is what the rotating part of a ticket's code is made from in one epoch. It is the owner's secret; gateKey is the event's.
func Seed(gateKey []byte, ticket uuid.UUID, epoch uint32) []byte {
	mac := hmac.New(sha256.New, gateKey)
	mac.Write([]byte(seedTag))
	mac.Write(ticket[:])
	mac.Write(binary.BigEndian.AppendUint16(nil, uint16(epoch)))
	return mac.Sum(nil)[:SeedSize]
}

// Rotate is a code's text as it is shown at an instant, with its rotating part.
func Rotate(text string, seed []byte, at time.Time) string {
	return text + separator + digits(seed, counter(at))
}

// Pattern is what Rotate makes, with something else where the digits stand, for who makes the digits by themselves.
func Pattern(text, digits string) string { return text + separator + digits }

// Split cuts what a scanner read into the signed text and the rotating part, which is empty where there is none.
func Split(shown string) (text, rotating string, err error) {
	text, rotating, found := strings.Cut(shown, separator)
	if !found {
		return text, "", nil
	}
	if len(rotating) != Digits || strings.Trim(rotating, "0123456789") != "" {
		return "", "", fmt.Errorf("%w: rotating part of %d characters", ErrMalformed, len(rotating))
	}
	return text, rotating, nil
}

// fresh tells whether a rotating part is of the present period or of one beside it. How long it takes does not depend on the digits.
func fresh(seed []byte, rotating string, now time.Time) bool {
	found, c := 0, counter(now)
	for _, near := range [...]uint64{c - 1, c, c + 1} {
		found |= subtle.ConstantTimeCompare([]byte(digits(seed, near)), []byte(rotating))
	}
	return found == 1
}

func counter(at time.Time) uint64 { return uint64(at.Unix() / int64(Period/time.Second)) }

// digits is the HOTP of RFC 4226.
func digits(seed []byte, counter uint64) string {
	mac := hmac.New(sha1.New, seed)
	mac.Write(binary.BigEndian.AppendUint64(nil, counter))
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 0x0f
	return fmt.Sprintf("%0*d", Digits, (binary.BigEndian.Uint32(sum[at:])&0x7fffffff)%modulo)
}
