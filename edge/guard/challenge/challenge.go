package challenge

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"time"

	"github.com/google/uuid"

	"fairgate/edge/guard/score"
	"fairgate/edge/lottery"
)

// Kind is what is asked for.
type Kind uint8

// The kinds of challenge.
const (
	// Check asks for what a browser works out when it lays out a page. A person does not notice.
	Check Kind = 1 + iota
	// Work asks for a number that makes a hash begin with zeros.
	Work
	// Captcha asks for the token of a CAPTCHA provider, which others look up.
	Captcha
	// Wait asks to wait: the way around any other that needs neither script nor sight.
	Wait
	// Account is no challenge but how a clearance can come about: the browser is signed in with a proved e-mail address.
	Account
)

// String is the kind in lower case.
func (k Kind) String() string {
	switch k {
	case Check:
		return "check"
	case Work:
		return "work"
	case Captcha:
		return "captcha"
	case Wait:
		return "wait"
	case Account:
		return "account"
	default:
		return "unknown"
	}
}

var (
	// ErrMalformed: the bytes are no challenge or clearance.
	ErrMalformed = errors.New("challenge: malformed")
	// ErrKeyUnknown: the MAC's key is not known, or not any more.
	ErrKeyUnknown = errors.New("challenge: unknown key")
	// ErrForged: the MAC is not ours.
	ErrForged = errors.New("challenge: forged")
	// ErrExpired: it is too old, or was given out before what the node remembers of used ones.
	ErrExpired = errors.New("challenge: expired")
	// ErrSpent: it was used.
	ErrSpent = errors.New("challenge: used before")
	// ErrWrong: the answer is not right.
	ErrWrong = errors.New("challenge: wrong answer")
)

const (
	challengeTag     = "fairgate-challenge-v1"
	challengeVersion = 1
	challengeFields  = 1 + 1 + 1 + 1 + 4 + 4 + 16 + 16 + 16 + 8 + 8
	macBytes         = 16
	// Size is the length of a signed challenge in bytes, TextSize of its text.
	Size     = challengeFields + macBytes
	TextSize = (Size*8 + 5) / 6
	// maxAnswer bounds an answer in bytes; a CAPTCHA provider's token is the longest.
	maxAnswer = 4096
)

// Text is how challenges and clearances travel.
var Text = base64.RawURLEncoding.Strict()

// Challenge is something a browser is asked for. Its bytes, integers big-endian:
//
//	 0  version, 1
//	 1  kind         [1]
//	 2  clears       [1]  the highest level that the right answer clears
//	 3  bits         [1]  zeros the hash must begin with, of Work
//	 4  wait, ms     [4]  of Wait
//	 8  key number   [4]
//	12  event        [16]
//	28  entrant      [16]
//	44  device hash  [16]
//	60  issued, ms   [8]
//	68  nonce        [8]
//	76  HMAC-SHA256(pass key, "fairgate-challenge-v1" ‖ bytes 0 to 75), first 16
type Challenge struct {
	Kind     Kind
	Clears   score.Level
	Bits     uint8
	Wait     time.Duration
	KeyNo    uint32
	Event    uuid.UUID
	Entrant  lottery.Entrant
	Device   lottery.DeviceHash
	IssuedAt time.Time
	Nonce    [8]byte
}

// New completes a challenge with a nonce and signs it with the key. It is the challenge's text.
func (c Challenge) New(key lottery.MACKey, now time.Time) (Challenge, string) {
	rand.Read(c.Nonce[:])
	c.KeyNo, c.IssuedAt = key.No, now
	return c, c.sign(key.Key[:])
}

func (c Challenge) sign(key []byte) string {
	var buf [Size]byte
	b := append(buf[:0], challengeVersion, byte(c.Kind), byte(c.Clears), c.Bits)
	b = binary.BigEndian.AppendUint32(b, uint32(min(c.Wait.Milliseconds(), 1<<32-1)))
	b = binary.BigEndian.AppendUint32(b, c.KeyNo)
	b = append(append(append(b, c.Event[:]...), c.Entrant[:]...), c.Device[:]...)
	b = lottery.AppendTime(b, c.IssuedAt)
	b = append(b, c.Nonce[:]...)
	sum := lottery.MAC(key, challengeTag, b)
	return Text.EncodeToString(append(b, sum[:macBytes]...))
}

// Verify reads the text of a challenge made with one of the keys that is no older than lifetime.
// ErrMalformed, ErrKeyUnknown, ErrForged, ErrExpired.
func Verify(text []byte, keys lottery.MACKeys, now time.Time, lifetime time.Duration) (Challenge, error) {
	var buf [Size]byte
	if len(text) != TextSize {
		return Challenge{}, ErrMalformed
	}
	if n, err := Text.Decode(buf[:], text); err != nil || n != Size {
		return Challenge{}, ErrMalformed
	}
	b := buf[:]
	issued, ok := lottery.ReadTime(b[60:])
	c := Challenge{
		Kind: Kind(b[1]), Clears: score.Level(b[2]), Bits: b[3], Wait: time.Duration(binary.BigEndian.Uint32(b[4:])) * time.Millisecond,
		KeyNo: binary.BigEndian.Uint32(b[8:]), Event: uuid.UUID(b[12:28]), Entrant: lottery.Entrant(b[28:44]),
		Device: lottery.DeviceHash(b[44:60]), IssuedAt: issued, Nonce: [8]byte(b[68:76]),
	}
	if !ok || b[0] != challengeVersion || c.Kind < Check || c.Kind > Wait || c.Clears > score.High {
		return Challenge{}, ErrMalformed
	}
	key := keys.Find(c.KeyNo)
	if key == nil {
		return Challenge{}, ErrKeyUnknown
	}
	sum := lottery.MAC(key, challengeTag, b[:challengeFields])
	if subtle.ConstantTimeCompare(sum[:macBytes], b[challengeFields:]) != 1 {
		return Challenge{}, ErrForged
	}
	if now.Sub(issued) > lifetime+c.Wait {
		return Challenge{}, ErrExpired
	}
	return c, nil
}

// TooSoonError is the answer to a Wait that has not been waited for.
type TooSoonError struct{ Left time.Duration }

func (e *TooSoonError) Error() string {
	return fmt.Sprintf("challenge: there are %s left to wait", e.Left.Round(time.Second))
}

// Judge decides whether the answer to a challenge, whose text is given too, is right. Of a Captcha it only looks whether there is one:
// the provider decides. nil, ErrWrong, or a *TooSoonError.
func (c Challenge) Judge(text, answer []byte, now time.Time) error {
	if len(answer) > maxAnswer {
		return ErrWrong
	}
	switch c.Kind {
	case Check:
		if subtle.ConstantTimeCompare(answer, layoutOf(seed(text)).appendAnswer(nil)) != 1 {
			return ErrWrong
		}
	case Work:
		number, err := strconv.ParseUint(string(answer), 10, 53) // JavaScript counts no further
		if err != nil || zeros(seed(text), number) < int(c.Bits) {
			return ErrWrong
		}
	case Captcha:
		if len(answer) == 0 {
			return ErrWrong
		}
	case Wait:
		if left := c.Wait - now.Sub(c.IssuedAt); left > 0 {
			return &TooSoonError{left}
		}
	}
	return nil
}

// seed is what the questions of a challenge are made of.
func seed(text []byte) [sha256.Size]byte { return sha256.Sum256(text) }

// zeros is with how many zero bits SHA-256(seed ‖ number[8]) begins. It is one block of the hash function, for both sides.
func zeros(seed [sha256.Size]byte, number uint64) int {
	var block [sha256.Size + 8]byte
	copy(block[:], seed[:])
	binary.BigEndian.PutUint64(block[sha256.Size:], number)
	sum := sha256.Sum256(block[:])
	n := 0
	for _, b := range sum {
		n += bits.LeadingZeros8(b)
		if b != 0 {
			break
		}
	}
	return n
}

// Solve works out the answer to a Work, and how many hashes it took. It is for tests and rehearsals.
func Solve(text string, zeroBits int) (answer string, hashes uint64) {
	s := seed([]byte(text))
	for n := uint64(0); ; n++ {
		if zeros(s, n) >= zeroBits {
			return strconv.FormatUint(n, 10), n + 1
		}
	}
}

// SolveCheck works out what a browser answers to a Check. It is for tests and rehearsals.
func SolveCheck(text string) string { return string(layoutOf(seed([]byte(text))).appendAnswer(nil)) }

// layout is the question of a Check: two boxes that share the width of a third by their weights, and floating boxes that break into
// rows. A browser answers with the widths and the height it gave them. Every browser of this century lays them out the same, in whole
// pixels; what has no layout answers with zeros. static/challenge.js makes the same boxes.
type layout struct {
	unit, padding, first, second int // pixels a weight, pixels, weights
	boxes, perRow, width, height int
}

func layoutOf(s [sha256.Size]byte) layout {
	return layout{
		unit: 20 + int(s[0]%50), padding: int(s[1] % 32), first: 1 + int(s[2]%4), second: 1 + int(s[3]%4),
		boxes: 5 + int(s[4]%20), perRow: 2 + int(s[5]%5), width: 10 + int(s[6]%10), height: 3 + int(s[7]%8),
	}
}

func (l layout) appendAnswer(dst []byte) []byte {
	dst = strconv.AppendInt(dst, int64(l.padding+l.first*l.unit), 10)
	dst = strconv.AppendInt(append(dst, '.'), int64(l.second*l.unit), 10)
	return strconv.AppendInt(append(dst, '.'), int64((l.boxes+l.perRow-1)/l.perRow*l.height), 10)
}
