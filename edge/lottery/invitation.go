package lottery

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"

	"github.com/google/uuid"
)

const (
	invitationTag     = "fairgate-invitation-v2"
	invitationVersion = 2
	invitationFields  = 38 // before the presale
	invitationSize    = invitationFields + ed25519.SignatureSize
)

// Invitation is a signed code that lets its owner join one sale of an event once: the identity of the entrant is ID, however
// often and from wherever it is used.
//
// Its bytes, integers big-endian; its text, the only form people meet, is their base64url without padding:
//
//	   0  version, 2
//	   1  key number [4]
//	   5  event      [16]
//	  21  id         [16]
//	  37  length n of the presale's id, at most 63; 0 for general sale
//	  38  the presale's id, as of ValidSlug  [n]
//	38+n  Ed25519 signature of "fairgate-invitation-v2" ‖ bytes 0 to 37+n  [64]
//
// There is no version 1 any more: it named the event alone, and so opened every sale of it.
type Invitation struct {
	Event uuid.UUID
	// Presale is the sale that it is for: a presale's id, as of ValidSlug, or empty for general sale.
	Presale string
	// ID is random, and all that distinguishes two invitations.
	ID [16]byte
	// KeyNo says which of the event's invitation keys signed.
	KeyNo uint32
}

// Sign is the invitation's code. One to a presale whose id is none is malformed.
func (i Invitation) Sign(priv ed25519.PrivateKey) string {
	b := make([]byte, 0, invitationSize+len(i.Presale))
	b = append(b, invitationVersion)
	b = binary.BigEndian.AppendUint32(b, i.KeyNo)
	b = append(b, i.Event[:]...)
	b = append(b, i.ID[:]...)
	b = append(b, byte(len(i.Presale)))
	b = append(b, i.Presale...)
	return base64.RawURLEncoding.EncodeToString(SignTagged(b, 0, invitationTag, priv))
}

// ParseInvitation reads a code without believing it. ErrMalformed.
func ParseInvitation(code string) (Invitation, error) {
	i, _, err := decodeInvitation(code)
	return i, err
}

// VerifyInvitation reads a code signed by key. ErrMalformed, ErrForged.
func VerifyInvitation(code string, key ed25519.PublicKey) (Invitation, error) {
	i, b, err := decodeInvitation(code)
	if err != nil {
		return Invitation{}, err
	}
	if !VerifyTagged(b, invitationTag, key) {
		return Invitation{}, ErrForged
	}
	return i, nil
}

func decodeInvitation(code string) (Invitation, []byte, error) {
	if len(code) > base64.RawURLEncoding.EncodedLen(invitationSize+maxSlug) {
		return Invitation{}, nil, ErrMalformed
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(code)
	if err != nil || len(code) != base64.RawURLEncoding.EncodedLen(len(b)) || // the decoder skips line breaks
		len(b) < invitationSize || b[0] != invitationVersion || len(b) != invitationSize+int(b[37]) {
		return Invitation{}, nil, ErrMalformed
	}
	presale := string(b[invitationFields : len(b)-ed25519.SignatureSize])
	if presale != "" && !ValidSlug(presale) {
		return Invitation{}, nil, ErrMalformed
	}
	return Invitation{
		KeyNo:   binary.BigEndian.Uint32(b[1:]),
		Event:   uuid.UUID(b[5:21]),
		Presale: presale,
		ID:      [16]byte(b[21:37]),
	}, b, nil
}
