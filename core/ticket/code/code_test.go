package code_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base32"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/uuid"

	"fairgate/core/ticket/code"
	"fairgate/edge/lottery"
)

var (
	testEvent  = lottery.EventID("arena")
	testTicket = uuid.MustParse("0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d")
)

func testKey(no uint32) (ed25519.PrivateKey, lottery.PublicKey) {
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(no)}, ed25519.SeedSize))
	public := lottery.PublicKey{No: no}
	copy(public.Public[:], private.Public().(ed25519.PublicKey))
	return private, public
}

func testCode() code.Code {
	return code.Code{KeyNo: 3, TicketID: testTicket, EventID: testEvent, Epoch: 1, Place: "101/A/7"}
}

func sign(t testing.TB, c code.Code) (string, lottery.PublicKeys) {
	t.Helper()
	private, public := testKey(c.KeyNo)
	text, err := c.Sign(private)
	if err != nil {
		t.Fatal(err)
	}
	return text, lottery.PublicKeys{public}
}

// Scanners in the field keep reading tickets printed months ago: this text must verify for ever.
func TestTheCodesLayoutNeverChanges(t *testing.T) {
	const golden = "AEAAGCQ3FQ6U4X2KNOGH3HQPDIVTYTJVQ5CPZ4ULLSDKAHBACVBNJZZFAAATCMBRF5AS6N5WSLD6ZYEA7FU34SD6J2YI2SN4CBEPIQVNLAIU3SPWH2EIYS7I7E7CQAEPC2EGIIQEDW5HFYTGT4RN2DJL3JCXZTSPP73RN4WLKH5A4"
	text, keys := sign(t, testCode())
	if text != golden {
		t.Errorf("got  %s\nwant %s", text, golden)
	}
	if c, err := code.Verify(golden, testEvent, keys); err != nil || c != testCode() {
		t.Errorf("got %+v, %v", c, err)
	}
}

func TestTheLongestCodeFitsItsBound(t *testing.T) {
	c := testCode()
	c.KeyNo, c.Epoch, c.Place = 3, 65535, code.Place("", strings.Repeat("x", 30))
	text, keys := sign(t, c)
	b, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(text)
	if err != nil || len(b) != 120 || len(c.Place) != 19 {
		t.Errorf("%d bytes, place of %d, %v", len(b), len(c.Place), err)
	}
	if got, err := code.Verify(text, testEvent, keys); err != nil || got != c {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestThePlaceIsTheSeatOrElseTheTier(t *testing.T) {
	for _, c := range []struct{ tier, seat, want string }{
		{"floor", "", "floor"}, {"lower", "101/A/7", "101/A/7"}, {"a-tier-with-a-long-name", "", "a-tier-with-a-long-"},
	} {
		if got := code.Place(c.tier, c.seat); got != c.want {
			t.Errorf("%+v: got %q", c, got)
		}
	}
}

func TestEverySingleBitFlipIsRefused(t *testing.T) {
	e := base32.StdEncoding.WithPadding(base32.NoPadding)
	text, keys := sign(t, testCode())
	b, err := e.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	for bit := range len(b) * 8 {
		b[bit/8] ^= 1 << (bit % 8)
		c, err := code.Verify(e.EncodeToString(b), testEvent, keys)
		if err == nil {
			t.Errorf("bit %d flipped: accepted as %+v", bit, c)
		} else if !errors.Is(err, code.ErrMalformed) && !errors.Is(err, code.ErrForged) && !errors.Is(err, code.ErrOtherEvent) {
			t.Errorf("bit %d flipped: %v", bit, err)
		}
		b[bit/8] ^= 1 << (bit % 8)
	}
}

func TestOneCodeHasOneText(t *testing.T) {
	text, keys := sign(t, testCode())
	last := text[len(text)-1]
	variants := []string{"", " " + text, text + " ", text + "\n", text[:10] + "\r\n" + text[10:], strings.ToLower(text), text + "=", text[:len(text)-1], text + "A", text + text}
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567" { // spellings of the same bytes that differ in unused bits
		if byte(c) != last {
			variants = append(variants, text[:len(text)-1]+string(c))
		}
	}
	for _, v := range variants {
		if c, err := code.Verify(v, testEvent, keys); err == nil {
			t.Errorf("%q is accepted as %+v", v, c)
		}
	}
}

func TestWrongCodesAreToldApart(t *testing.T) {
	text, keys := sign(t, testCode())
	_, otherNumber := testKey(4)
	otherKey := otherNumber
	otherKey.No = 3
	for _, c := range []struct {
		name  string
		text  string
		event uuid.UUID
		keys  lottery.PublicKeys
		want  error
	}{
		{"another event", text, lottery.EventID("club"), keys, code.ErrOtherEvent},
		{"a key of that number, but another", text, testEvent, lottery.PublicKeys{otherKey}, code.ErrForged},
		{"a key of another number", text, testEvent, lottery.PublicKeys{otherNumber}, code.ErrForged},
		{"no keys", text, testEvent, nil, code.ErrForged},
		{"an address", "https://example.com/", testEvent, keys, code.ErrMalformed},
		{"something long", strings.Repeat("A", 1<<20), testEvent, keys, code.ErrMalformed},
		{"something short", "AAAA", testEvent, keys, code.ErrMalformed},
	} {
		if _, err := code.Verify(c.text, c.event, c.keys); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
}

func TestWhatDoesNotFitIsNotSigned(t *testing.T) {
	private, _ := testKey(3)
	for name, change := range map[string]func(*code.Code){
		"key 0":               func(c *code.Code) { c.KeyNo = 0 },
		"key of three bytes":  func(c *code.Code) { c.KeyNo = 65536 },
		"epoch 0":             func(c *code.Code) { c.Epoch = 0 },
		"epoch out of range":  func(c *code.Code) { c.Epoch = 65536 },
		"long place":          func(c *code.Code) { c.Place = strings.Repeat("x", 20) },
		"place with a letter": func(c *code.Code) { c.Place = "é" },
		"place with a line":   func(c *code.Code) { c.Place = "a\nb" },
	} {
		c := testCode()
		change(&c)
		if text, err := c.Sign(private); !errors.Is(err, code.ErrMalformed) {
			t.Errorf("%s: got %q, %v", name, text, err)
		}
	}
	if _, err := testCode().Sign(private[:10]); err == nil {
		t.Error("a short private key signed")
	}
}

// Ten thousand codes of which one to three bits are wrong, wherever they are and whatever the code says.
func TestRandomBitFlipsAreRefused(t *testing.T) {
	e := base32.StdEncoding.WithPadding(base32.NoPadding)
	random := rand.New(rand.NewPCG(7, 20261127))
	var texts [20]string // one of every length
	var keys lottery.PublicKeys
	for i := range texts {
		c := testCode()
		c.Epoch, c.Place = 1+random.Uint32N(65535), strings.Repeat("x", i)
		texts[i], keys = sign(t, c)
	}
	for range 10_000 {
		b, err := e.DecodeString(texts[random.IntN(len(texts))])
		if err != nil {
			t.Fatal(err)
		}
		for _, bit := range random.Perm(len(b) * 8)[:1+random.IntN(3)] {
			b[bit/8] ^= 1 << (bit % 8)
		}
		if got, err := code.Verify(e.EncodeToString(b), testEvent, keys); err == nil {
			t.Fatalf("accepted as %+v", got)
		}
	}
}

func FuzzVerify(f *testing.F) {
	text, keys := sign(f, testCode())
	f.Add(text)
	f.Add(strings.Repeat("A", 162))
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := code.Verify(s, testEvent, keys)
		if err != nil {
			if !errors.Is(err, code.ErrMalformed) && !errors.Is(err, code.ErrForged) && !errors.Is(err, code.ErrOtherEvent) {
				t.Fatalf("unexpected error %v", err)
			}
			return
		}
		private, _ := testKey(c.KeyNo)
		if again, err := c.Sign(private); err != nil || again != s {
			t.Fatalf("%q verified, but is signed as %q, %v", s, again, err)
		}
	})
}

func FuzzParse(f *testing.F) {
	text, _ := sign(f, testCode())
	f.Add(text)
	f.Add("GA" + strings.Repeat("A", 160))
	f.Fuzz(func(t *testing.T, s string) {
		if c, err := code.Parse(s); err == nil && (c.KeyNo == 0 || c.Epoch == 0 || len(c.Place) > 19) {
			t.Fatalf("parsed %+v", c)
		} else if err != nil && !errors.Is(err, code.ErrMalformed) {
			t.Fatalf("unexpected error %v", err)
		}
	})
}
