package admission

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/google/uuid"

	"fairgate/edge/lottery"
)

const (
	accountTag     = "fairgate-account-v1"
	subjectTag     = "fairgate-account-subject-v1"
	accountVersion = 1
	accountFields  = 73
	// AccountSize is the length of a signed account session in bytes.
	AccountSize = accountFields + ed25519.SignatureSize
)

// accountKind keeps entrants of accounts apart from those of devices and invitations.
const accountKind = "account"

// Subject is what an account is known by at edges: it follows from the account's secret, tells nothing of its e-mail address, and
// makes the account's entrant of every event.
type Subject [16]byte

// NewSubject is the subject of an account's secret: SHA-256("fairgate-account-subject-v1" ‖ secret)[:16].
func NewSubject(secret []byte) Subject {
	sum := sha256.Sum256(append([]byte(subjectTag), secret...))
	return Subject(sum[:16])
}

// Entrant is the account in an event whose pseudonym key that is.
func (s Subject) Entrant(pseudonymKey []byte) lottery.Entrant {
	return lottery.NewEntrant(pseudonymKey, accountKind, s[:])
}

// Account is core's word that an account has signed in in one browser. Edges know it by core's public key, without asking, and
// tell whose turn it is by it; what it may be used for core decides, which also knows whether its epoch is still the account's.
//
// Its bytes, integers big-endian:
//
//	 0  version, 1
//	 1  key number     [4]
//	 5  account        [16]
//	21  subject        [16]
//	37  device hash    [16]
//	53  epoch          [4]
//	57  issued at, ms  [8]
//	65  expires at, ms [8]
//	73  Ed25519 signature of "fairgate-account-v1" ‖ bytes 0 to 72  [64]
type Account struct {
	// KeyNo is the number of core's account key.
	KeyNo   uint32
	Account uuid.UUID
	Subject Subject
	// Device is the browser in which the account has signed in; in another the session is worth nothing.
	Device lottery.DeviceHash
	// Epoch counts how often the account has signed out everywhere.
	Epoch uint32
	// IssuedAt and ExpiresAt are exact to the millisecond.
	IssuedAt  time.Time
	ExpiresAt time.Time
}

// Sign appends the account session's bytes to dst. The same fields under the same key are the same bytes.
func (a Account) Sign(dst []byte, priv ed25519.PrivateKey) []byte {
	from := len(dst)
	dst = append(dst, accountVersion)
	dst = binary.BigEndian.AppendUint32(dst, a.KeyNo)
	dst = append(dst, a.Account[:]...)
	dst = append(dst, a.Subject[:]...)
	dst = append(dst, a.Device[:]...)
	dst = binary.BigEndian.AppendUint32(dst, a.Epoch)
	dst = lottery.AppendTime(dst, a.IssuedAt)
	dst = lottery.AppendTime(dst, a.ExpiresAt)
	return lottery.SignTagged(dst, from, accountTag, priv)
}

// ParseAccount reads an account session without believing it. ErrMalformed, which one that ends before it begins is too.
func ParseAccount(b []byte) (Account, error) {
	if len(b) != AccountSize || b[0] != accountVersion {
		return Account{}, ErrMalformed
	}
	issued, ok1 := lottery.ReadTime(b[57:])
	expires, ok2 := lottery.ReadTime(b[65:])
	if !ok1 || !ok2 || !expires.After(issued) {
		return Account{}, ErrMalformed
	}
	return Account{
		KeyNo:     binary.BigEndian.Uint32(b[1:]),
		Account:   uuid.UUID(b[5:21]),
		Subject:   Subject(b[21:37]),
		Device:    lottery.DeviceHash(b[37:53]),
		Epoch:     binary.BigEndian.Uint32(b[53:]),
		IssuedAt:  issued,
		ExpiresAt: expires,
	}, nil
}

// VerifyAccount reads an account session signed by one of the keys that has not expired at now. ErrMalformed, ErrNoKey for one that
// names another key, ErrForged, ErrExpired. Whose browser shows it is the caller's to compare.
func VerifyAccount(b []byte, keys lottery.PublicKeys, now time.Time) (Account, error) {
	a, err := ParseAccount(b)
	if err != nil {
		return Account{}, err
	}
	key := keys.Find(a.KeyNo)
	if key == nil {
		return Account{}, ErrNoKey
	}
	if !lottery.VerifyTagged(b, accountTag, key) {
		return Account{}, ErrForged
	}
	if !now.Before(a.ExpiresAt) {
		return Account{}, ErrExpired
	}
	return a, nil
}
