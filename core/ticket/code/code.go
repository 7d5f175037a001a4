package code

import (
	"crypto/ed25519"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/google/uuid"

	"fairgate/edge/lottery"
)

var (
	// ErrMalformed means that a text is no ticket code at all.
	ErrMalformed = errors.New("code: malformed")
	// ErrForged means that a code has no valid signature of the event it is shown at.
	ErrForged = errors.New("code: forged")
	// ErrOtherEvent means that a code is for another event.
	ErrOtherEvent = errors.New("code: of another event")
)

const (
	codeVersion = 1
	codeTag     = "fairgate-ticket-v1"

	offsetKey    = 1
	offsetTicket = 3
	offsetEvent  = 19
	offsetEpoch  = 35
	offsetPlace  = 37

	maxCode  = 120
	maxPlace = maxCode - offsetPlace - ed25519.SignatureSize
)

// Code is what a ticket shows at the gate; see the package comment for its bytes.
type Code struct {
	KeyNo    uint32 // of the event's ticket keys; at most 65535
	TicketID uuid.UUID
	EventID  uuid.UUID
	Epoch    uint32 // at most 65535
	Place    string // seat or tier, printable ASCII, at most 19 bytes
}

// Place is what of a seat or tier fits into a code: the seat where there is one.
func Place(tier, seat string) string {
	place := seat
	if place == "" {
		place = tier
	}
	return place[:min(len(place), maxPlace)]
}

// Sign makes the text form of a code.
func (c Code) Sign(key ed25519.PrivateKey) (string, error) {
	if c.KeyNo == 0 || c.KeyNo > math.MaxUint16 || c.Epoch == 0 || c.Epoch > math.MaxUint16 || !printable(c.Place) || len(c.Place) > maxPlace {
		return "", fmt.Errorf("%w: key %d, epoch %d or place %q out of range", ErrMalformed, c.KeyNo, c.Epoch, c.Place)
	}
	if len(key) != ed25519.PrivateKeySize {
		return "", fmt.Errorf("sign a ticket code: private key of %d bytes", len(key))
	}
	b := make([]byte, 0, maxCode)
	b = append(b, codeVersion)
	b = binary.BigEndian.AppendUint16(b, uint16(c.KeyNo))
	b = append(b, c.TicketID[:]...)
	b = append(b, c.EventID[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(c.Epoch))
	b = append(b, c.Place...)
	b = append(b, ed25519.Sign(key, signed(b))...)
	return encoding().EncodeToString(b), nil
}

// Parse reads a code without believing it: the signature is not checked.
func Parse(text string) (Code, error) {
	b, err := decode(text)
	if err != nil {
		return Code{}, err
	}
	return unpack(b)
}

// Verify reads a code shown at event and checks its signature by the event's public keys. It tells a code of another
// event (ErrOtherEvent, unchecked, since its keys are not at hand) from a forged one (ErrForged) and from noise (ErrMalformed).
func Verify(text string, event uuid.UUID, keys lottery.PublicKeys) (Code, error) {
	b, err := decode(text)
	if err != nil {
		return Code{}, err
	}
	c, err := unpack(b)
	if err != nil {
		return Code{}, err
	}
	if c.EventID != event {
		return Code{}, fmt.Errorf("%w: it is for %s", ErrOtherEvent, c.EventID)
	}
	key := keys.Find(c.KeyNo)
	if key == nil {
		return Code{}, fmt.Errorf("%w: unknown key %d", ErrForged, c.KeyNo)
	}
	fields, signature := b[:len(b)-ed25519.SignatureSize], b[len(b)-ed25519.SignatureSize:]
	v, err := known.of(key)
	if err != nil {
		return Code{}, fmt.Errorf("%w: key %d: %w", ErrForged, c.KeyNo, err)
	}
	if !v.verify(signed(fields), signature) {
		return Code{}, fmt.Errorf("%w: ticket %s", ErrForged, c.TicketID)
	}
	return c, nil
}

func encoding() *base32.Encoding { return base32.StdEncoding.WithPadding(base32.NoPadding) }

// decode turns text into bytes and refuses every spelling but the one Sign makes: base32 would ignore line ends and unused bits.
func decode(text string) ([]byte, error) {
	e := encoding()
	if len(text) > e.EncodedLen(maxCode) {
		return nil, fmt.Errorf("%w: %d characters", ErrMalformed, len(text))
	}
	b, err := e.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("%w: not base32", ErrMalformed)
	}
	if e.EncodeToString(b) != text {
		return nil, fmt.Errorf("%w: not canonical", ErrMalformed)
	}
	return b, nil
}

func unpack(b []byte) (Code, error) {
	if len(b) < offsetPlace+ed25519.SignatureSize || len(b) > maxCode {
		return Code{}, fmt.Errorf("%w: %d bytes", ErrMalformed, len(b))
	}
	if b[0] != codeVersion {
		return Code{}, fmt.Errorf("%w: version %d", ErrMalformed, b[0])
	}
	c := Code{
		KeyNo:    uint32(binary.BigEndian.Uint16(b[offsetKey:])),
		TicketID: uuid.UUID(b[offsetTicket:offsetEvent]),
		EventID:  uuid.UUID(b[offsetEvent:offsetEpoch]),
		Epoch:    uint32(binary.BigEndian.Uint16(b[offsetEpoch:])),
		Place:    string(b[offsetPlace : len(b)-ed25519.SignatureSize]),
	}
	if c.KeyNo == 0 || c.Epoch == 0 || !printable(c.Place) {
		return Code{}, fmt.Errorf("%w: impossible field", ErrMalformed)
	}
	return c, nil
}

// signed is the message of the signature.
func signed(fields []byte) []byte {
	message := make([]byte, 0, len(codeTag)+maxCode)
	message = append(message, codeTag...)
	return append(message, fields...)
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
