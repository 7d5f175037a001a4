package ticket_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base32"
	"errors"
	"image/png"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"fairgate/core/ticket"
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

func testCode() ticket.Code {
	return ticket.Code{KeyNo: 3, TicketID: testTicket, EventID: testEvent, Epoch: 1, Place: "101/A/7"}
}

func sign(t testing.TB, c ticket.Code) (string, lottery.PublicKeys) {
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
	if c, err := ticket.Verify(golden, testEvent, keys); err != nil || c != testCode() {
		t.Errorf("got %+v, %v", c, err)
	}
}

func TestTheLongestCodeFitsItsBound(t *testing.T) {
	c := testCode()
	c.KeyNo, c.Epoch, c.Place = 3, 65535, ticket.Place("", strings.Repeat("x", 30))
	text, keys := sign(t, c)
	b, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(text)
	if err != nil || len(b) != 120 || len(c.Place) != 19 {
		t.Errorf("%d bytes, place of %d, %v", len(b), len(c.Place), err)
	}
	if got, err := ticket.Verify(text, testEvent, keys); err != nil || got != c {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestThePlaceIsTheSeatOrElseTheTier(t *testing.T) {
	for _, c := range []struct{ tier, seat, want string }{
		{"floor", "", "floor"}, {"lower", "101/A/7", "101/A/7"}, {"a-tier-with-a-long-name", "", "a-tier-with-a-long-"},
	} {
		if got := ticket.Place(c.tier, c.seat); got != c.want {
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
		c, err := ticket.Verify(e.EncodeToString(b), testEvent, keys)
		if err == nil {
			t.Errorf("bit %d flipped: accepted as %+v", bit, c)
		} else if !errors.Is(err, ticket.ErrMalformed) && !errors.Is(err, ticket.ErrForged) && !errors.Is(err, ticket.ErrOtherEvent) {
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
		if c, err := ticket.Verify(v, testEvent, keys); err == nil {
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
		{"another event", text, lottery.EventID("club"), keys, ticket.ErrOtherEvent},
		{"a key of that number, but another", text, testEvent, lottery.PublicKeys{otherKey}, ticket.ErrForged},
		{"a key of another number", text, testEvent, lottery.PublicKeys{otherNumber}, ticket.ErrForged},
		{"no keys", text, testEvent, nil, ticket.ErrForged},
		{"an address", "https://example.com/", testEvent, keys, ticket.ErrMalformed},
		{"something long", strings.Repeat("A", 1<<20), testEvent, keys, ticket.ErrMalformed},
		{"something short", "AAAA", testEvent, keys, ticket.ErrMalformed},
	} {
		if _, err := ticket.Verify(c.text, c.event, c.keys); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
}

func TestWhatDoesNotFitIsNotSigned(t *testing.T) {
	private, _ := testKey(3)
	for name, change := range map[string]func(*ticket.Code){
		"key 0":               func(c *ticket.Code) { c.KeyNo = 0 },
		"key of three bytes":  func(c *ticket.Code) { c.KeyNo = 65536 },
		"epoch 0":             func(c *ticket.Code) { c.Epoch = 0 },
		"epoch out of range":  func(c *ticket.Code) { c.Epoch = 65536 },
		"long place":          func(c *ticket.Code) { c.Place = strings.Repeat("x", 20) },
		"place with a letter": func(c *ticket.Code) { c.Place = "é" },
		"place with a line":   func(c *ticket.Code) { c.Place = "a\nb" },
	} {
		c := testCode()
		change(&c)
		if text, err := c.Sign(private); !errors.Is(err, ticket.ErrMalformed) {
			t.Errorf("%s: got %q, %v", name, text, err)
		}
	}
	if _, err := testCode().Sign(private[:10]); err == nil {
		t.Error("a short private key signed")
	}
}

func TestAScannerReadsTheQRCode(t *testing.T) {
	c := testCode()
	c.Place = strings.Repeat("X", 19)
	text, keys := sign(t, c)
	drawn, err := ticket.PNG(text)
	if err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(drawn))
	if err != nil {
		t.Fatal(err)
	}
	bitmap, err := gozxing.NewBinaryBitmapFromImage(picture)
	if err != nil {
		t.Fatal(err)
	}
	read, err := qrcode.NewQRCodeReader().Decode(bitmap, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ticket.Verify(read.GetText(), testEvent, keys); err != nil || got != c {
		t.Errorf("read %q: %+v, %v", read.GetText(), got, err)
	}
	if side := picture.Bounds().Dx(); side > 560 {
		t.Errorf("the picture is %d pixels wide: the code is not in alphanumeric mode", side)
	}
}

func TestWhatNoQRCodeHoldsIsNotDrawn(t *testing.T) {
	if _, err := ticket.PNG(strings.Repeat("A", 8000)); err == nil {
		t.Error("8000 characters were drawn")
	}
}

func FuzzVerify(f *testing.F) {
	text, keys := sign(f, testCode())
	f.Add(text)
	f.Add(strings.Repeat("A", 162))
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ticket.Verify(s, testEvent, keys)
		if err != nil {
			if !errors.Is(err, ticket.ErrMalformed) && !errors.Is(err, ticket.ErrForged) && !errors.Is(err, ticket.ErrOtherEvent) {
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
		if c, err := ticket.Parse(s); err == nil && (c.KeyNo == 0 || c.Epoch == 0 || len(c.Place) > 19) {
			t.Fatalf("parsed %+v", c)
		} else if err != nil && !errors.Is(err, ticket.ErrMalformed) {
			t.Fatalf("unexpected error %v", err)
		}
	})
}
