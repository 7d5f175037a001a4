package loadtest

import (
	"crypto/ed25519"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"

	"fairgate/edge/lottery"

	"github.com/google/uuid"
)

// A gate's scanner, written from the documented layout of a ticket code and not with core's own code, so that a code which only
// its maker can read is found out:
//
//	version[1]=1 ‖ key number[2] ‖ ticket[16] ‖ event[16] ‖ epoch[2] ‖ place ‖ Ed25519 of "fairgate-ticket-v1" and all before [64]
//
// as base32 without padding. Integers are big-endian; place is the seat, or the tier, cut to 19 bytes.
const (
	gateTag      = "fairgate-ticket-v1"
	gateHeader   = 37
	gateMaxPlace = 19
)

var errGate = errors.New("the gate refuses the code")

// admitted is what a gate reads from a code it lets in.
type admitted struct {
	Ticket, Event uuid.UUID
	Epoch         uint16
	Place         string
}

// scan reads and verifies a ticket's code.
func scan(code string, keys lottery.PublicKeys) (admitted, error) {
	b, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(code)
	if err != nil || len(b) < gateHeader+ed25519.SignatureSize || b[0] != 1 {
		return admitted{}, fmt.Errorf("%w: it is no ticket code", errGate)
	}
	body, signature := b[:len(b)-ed25519.SignatureSize], b[len(b)-ed25519.SignatureSize:]
	key := keys.Find(uint32(binary.BigEndian.Uint16(b[1:])))
	if key == nil {
		return admitted{}, fmt.Errorf("%w: its key %d is not one of the event's", errGate, binary.BigEndian.Uint16(b[1:]))
	}
	if !ed25519.Verify(key, append([]byte(gateTag), body...), signature) {
		return admitted{}, fmt.Errorf("%w: its signature does not verify", errGate)
	}
	return admitted{
		Ticket: uuid.UUID(b[3:19]), Event: uuid.UUID(b[19:35]), Epoch: binary.BigEndian.Uint16(b[35:]), Place: string(body[gateHeader:]),
	}, nil
}
