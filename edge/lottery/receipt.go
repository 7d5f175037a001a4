package lottery

import (
	"crypto/ed25519"
	"encoding/binary"
	"time"

	"github.com/google/uuid"
)

const (
	receiptTag     = "fairgate-receipt-v1"
	receiptVersion = 1
	receiptFields  = 63
	// ReceiptSize is the length of a signed receipt in bytes.
	ReceiptSize = receiptFields + ed25519.SignatureSize
)

// Receipt is core's signed word that an entrant is in the pool, and as what. With it a buyer proves that they were left
// out, moved or demoted.
//
// Its bytes, integers big-endian:
//
//	 0  version, 1
//	 1  key number          [4]
//	 5  event               [16]
//	21  entrant             [16]
//	37  generation          [4]
//	41  window              [4]
//	45  band                [1]
//	46  reason              [1]
//	47  block               [8]
//	55  acknowledged at, ms [8]
//	63  Ed25519 signature of "fairgate-receipt-v1" ‖ bytes 0 to 62  [64]
type Receipt struct {
	Event      uuid.UUID
	Entrant    Entrant
	Generation uint32
	Window     uint32
	Band       Band
	Reason     Reason
	// Block is the number of the append-only block of the pool that holds the entrant.
	Block uint64
	// AcknowledgedAt is when the entrant was stored, to the millisecond.
	AcknowledgedAt time.Time
	// KeyNo says which of the event's receipt keys signed.
	KeyNo uint32
}

// Sign is the receipt's bytes.
func (r Receipt) Sign(priv ed25519.PrivateKey) []byte {
	b := make([]byte, 0, ReceiptSize)
	b = append(b, receiptVersion)
	b = binary.BigEndian.AppendUint32(b, r.KeyNo)
	b = append(b, r.Event[:]...)
	b = append(b, r.Entrant[:]...)
	b = binary.BigEndian.AppendUint32(b, r.Generation)
	b = binary.BigEndian.AppendUint32(b, r.Window)
	b = append(b, byte(r.Band), byte(r.Reason))
	b = binary.BigEndian.AppendUint64(b, r.Block)
	b = AppendTime(b, r.AcknowledgedAt)
	return SignTagged(b, 0, receiptTag, priv)
}

// ParseReceipt reads a receipt without believing it. ErrMalformed.
func ParseReceipt(b []byte) (Receipt, error) {
	if len(b) != ReceiptSize || b[0] != receiptVersion {
		return Receipt{}, ErrMalformed
	}
	at, ok := ReadTime(b[55:])
	if !ok {
		return Receipt{}, ErrMalformed
	}
	return Receipt{
		KeyNo:          binary.BigEndian.Uint32(b[1:]),
		Event:          uuid.UUID(b[5:21]),
		Entrant:        Entrant(b[21:37]),
		Generation:     binary.BigEndian.Uint32(b[37:]),
		Window:         binary.BigEndian.Uint32(b[41:]),
		Band:           Band(b[45]),
		Reason:         Reason(b[46]),
		Block:          binary.BigEndian.Uint64(b[47:]),
		AcknowledgedAt: at,
	}, nil
}

// VerifyReceipt reads a receipt signed by key. ErrMalformed, ErrForged.
func VerifyReceipt(b []byte, key ed25519.PublicKey) (Receipt, error) {
	r, err := ParseReceipt(b)
	if err != nil {
		return Receipt{}, err
	}
	if !VerifyTagged(b, receiptTag, key) {
		return Receipt{}, ErrForged
	}
	return r, nil
}
