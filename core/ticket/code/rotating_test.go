package code

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/edge/lottery"
)

// The test values of RFC 6238, appendix B, for SHA-1, whose periods are 30 s: these are its counters.
func TestTheRotatingPartIsThatOfRFC6238(t *testing.T) {
	seed := []byte("12345678901234567890")
	for second, want := range map[int64]string{
		59: "94287082", 1111111109: "07081804", 1111111111: "14050471", 1234567890: "89005924", 2000000000: "69279037", 20000000000: "65353130",
	} {
		if got := digits(seed, uint64(second/30)); got != want {
			t.Errorf("second %d: %s, want %s", second, got, want)
		}
	}
}

// Pages and wallets keep seeds: this one must stay what it is for ever.
func TestASeedNeverChanges(t *testing.T) {
	got := Seed(bytes.Repeat([]byte{7}, 32), uuid.MustParse("0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"), 2)
	if want := "bf8f6bfeff31098613d0810720d4c024a150013d"; hex.EncodeToString(got) != want {
		t.Errorf("%x", got)
	}
}

var (
	rotatingEvent = lottery.EventID("arena")
	gateKey       = bytes.Repeat([]byte{7}, 32)
)

func rotating(t testing.TB, epoch uint32) (Code, string, *Reader) {
	t.Helper()
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, ed25519.SeedSize))
	public := lottery.PublicKey{No: 3}
	copy(public.Public[:], private.Public().(ed25519.PublicKey))
	c := Code{KeyNo: 3, TicketID: uuid.MustParse("0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"), EventID: rotatingEvent, Epoch: epoch, Place: "101/A/7"}
	text, err := c.Sign(private)
	if err != nil {
		t.Fatal(err)
	}
	return c, text, &Reader{Event: rotatingEvent, Keys: lottery.PublicKeys{public}, GateKeys: [][]byte{gateKey}, Rotating: true}
}

func TestARotatingCodeLivesOnePeriodOnEitherSide(t *testing.T) {
	c, text, r := rotating(t, 1)
	at := time.Unix(1_800_000_000, 0) // the first second of a period
	shown := Rotate(text, Seed(gateKey, c.TicketID, 1), at)
	for _, x := range []struct {
		name string
		now  time.Time
		want error
	}{
		{"its own period", at, nil},
		{"the end of its period", at.Add(Period - 1), nil},
		{"the period after it", at.Add(2*Period - 1), nil},
		{"the period before it", at.Add(-Period), nil},
		{"two periods later", at.Add(2 * Period), ErrExpired},
		{"two periods earlier", at.Add(-Period - 1), ErrExpired},
		{"a day later", at.Add(24 * time.Hour), ErrExpired},
	} {
		if got, err := r.Read(shown, x.now); !errors.Is(err, x.want) || got != c {
			t.Errorf("%s: %+v, %v", x.name, got, err)
		}
	}
}

func TestARotatingPartIsOfItsTicketEpochAndGateKeyAlone(t *testing.T) {
	c, text, r := rotating(t, 2)
	now := time.Unix(1_800_000_000, 0)
	for name, seed := range map[string][]byte{
		"another gate key": Seed(bytes.Repeat([]byte{8}, 32), c.TicketID, 2),
		"another ticket":   Seed(gateKey, uuid.New(), 2),
		"another epoch":    Seed(gateKey, c.TicketID, 1),
	} {
		if _, err := r.Read(Rotate(text, seed, now), now); !errors.Is(err, ErrExpired) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r.GateKeys = append([][]byte{bytes.Repeat([]byte{9}, 32)}, r.GateKeys...) // the gate key was rotated
	if _, err := r.Read(Rotate(text, Seed(gateKey, c.TicketID, 2), now), now); err != nil {
		t.Errorf("an earlier gate key: %v", err)
	}
}

func TestARotatingEventRefusesWhatDoesNotRotate(t *testing.T) {
	c, text, r := rotating(t, 1)
	now := time.Unix(1_800_000_000, 0)
	if got, err := r.Read(text, now); !errors.Is(err, ErrStatic) || got != c {
		t.Errorf("got %+v, %v", got, err)
	}
	r.Rotating = false
	if got, err := r.Read(text, now); err != nil || got != c {
		t.Errorf("where codes may stand still: %+v, %v", got, err)
	}
	r.GateKeys = nil
	if _, err := r.Read(Rotate(text, Seed(gateKey, c.TicketID, 1), now), now); !errors.Is(err, ErrExpired) {
		t.Errorf("a rotating part that nobody can check: %v", err)
	}
}

func TestAnAlteredRotatingPartIsRefused(t *testing.T) {
	c, text, r := rotating(t, 1)
	now := time.Unix(1_800_000_000, 0)
	shown := Rotate(text, Seed(gateKey, c.TicketID, 1), now)
	for i := len(text) + 1; i < len(shown); i++ {
		for _, other := range "0123456789" {
			changed := shown[:i] + string(other) + shown[i+1:]
			if _, err := r.Read(changed, now); (err == nil) != (changed == shown) {
				t.Errorf("%s: %v", changed[len(text):], err)
			}
		}
	}
	for _, tail := range []string{".", ".1234567", ".123456789", ".1234567x", "..12345678", ".12345678.12345678", ". 1234567"} {
		if _, err := r.Read(text+tail, now); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v", tail, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	c, text, r := rotating(f, 1)
	now := time.Unix(1_800_000_000, 0)
	f.Add(text)
	f.Add(Rotate(text, Seed(gateKey, c.TicketID, 1), now))
	f.Add(strings.Repeat("A", 192) + ".00000000")
	f.Fuzz(func(t *testing.T, shown string) {
		got, err := r.Read(shown, now)
		if err == nil {
			if got != c {
				t.Fatalf("%q is believed to be %+v", shown, got)
			}
			return
		}
		for _, known := range []error{ErrMalformed, ErrForged, ErrOtherEvent, ErrStatic, ErrExpired} {
			if errors.Is(err, known) {
				return
			}
		}
		t.Fatalf("unexpected error %v", err)
	})
}
