package queue

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"fairgate/edge/lottery"
)

// counting is n bytes that count up from first.
func counting(first byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = first + byte(i)
	}
	return b
}

var passKeys = lottery.MACKeys{{No: 2, Key: lottery.Hex32(counting(0x20, 32))}, {No: 3, Key: lottery.Hex32(counting(0x40, 32))}}

func examplePass() Pass {
	return Pass{
		KeyNo: 3, Event: lottery.EventID("arena"), Entrant: lottery.Entrant(counting(0x10, 16)),
		Device: lottery.DeviceHash(counting(0x20, 16)), Generation: 2, Window: 1, Band: 1, Provisional: true,
		IssuedAt: time.UnixMilli(1777626012345).UTC(),
	}
}

func TestThePassIsThatOfTheGoldenVector(t *testing.T) {
	const file = "testdata/vectors.json"
	type vectors struct {
		Pass lottery.Hex    `json:"pass"`
		Key  lottery.MACKey `json:"key"`
	}
	got, err := json.MarshalIndent(vectors{Pass: examplePass().Sign(nil, passKeys.Find(3)), Key: passKeys[1]}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("vectors are\n%s\nwant\n%s", got, want)
	}
	var read vectors
	if err := json.Unmarshal(want, &read); err != nil {
		t.Fatal(err)
	}
	if p, err := VerifyPass(read.Pass, lottery.MACKeys{read.Key}); err != nil || p != examplePass() {
		t.Errorf("the golden pass reads as %+v, %v", p, err)
	}
	mac := hmac.New(sha256.New, read.Key.Key[:])
	mac.Write([]byte("fairgate-pass-v1"))
	mac.Write(read.Pass[:71])
	if !bytes.Equal(mac.Sum(nil), read.Pass[71:]) {
		t.Error("the MAC of the golden pass is not plain HMAC-SHA256")
	}
}

func TestPassesAreReadAsTheyWereSigned(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 16, 16)
		p := Pass{
			KeyNo: rapid.SampledFrom([]uint32{2, 3}).Draw(t, "key"), Event: uuid.UUID(b.Draw(t, "event")),
			Entrant: lottery.Entrant(b.Draw(t, "entrant")), Device: lottery.DeviceHash(b.Draw(t, "device")),
			Generation: rapid.Uint32().Draw(t, "generation"), Window: rapid.Uint32().Draw(t, "window"),
			Band: lottery.Band(rapid.Byte().Draw(t, "band")), Provisional: rapid.Bool().Draw(t, "provisional"),
			IssuedAt: time.UnixMilli(rapid.Int64Range(0, 253402300799999).Draw(t, "issued")).UTC(),
		}
		signed := p.Sign([]byte("before"), passKeys.Find(p.KeyNo))
		if got, err := VerifyPass(signed[len("before"):], passKeys); err != nil || got != p {
			t.Fatalf("%+v reads as %+v, %v", p, got, err)
		}
	})
}

func TestPassesAreRefusedForTheRightReason(t *testing.T) {
	good := examplePass().Sign(nil, passKeys.Find(3))
	changed := func(i int, b byte) []byte {
		c := bytes.Clone(good)
		c[i] = b
		return c
	}
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"good":                    {good, nil},
		"empty":                   {nil, ErrMalformed},
		"cut":                     {good[:PassSize-1], ErrMalformed},
		"too long":                {append(bytes.Clone(good), 0), ErrMalformed},
		"of another version":      {changed(0, 2), ErrMalformed},
		"of no known state":       {changed(1, 2), ErrMalformed},
		"of a time beyond time":   {changed(63, 0xff), ErrMalformed},
		"of a key not here yet":   {changed(6, 4), ErrKeyUnknown},
		"under another known key": {changed(6, 2), ErrForged},
		"made final":              {changed(1, 0), ErrForged},
		"moved to a better band":  {changed(2, 0), ErrForged},
		"with a better window":    {changed(62, 0), ErrForged},
		"with a MAC cut to zero":  {append(bytes.Clone(good[:passFields]), make([]byte, 32)...), ErrForged},
	} {
		if _, err := VerifyPass(c.b, passKeys); !errors.Is(err, c.want) {
			t.Errorf("%s: error %v, want %v", name, err, c.want)
		}
	}
	for i := passFields; i < PassSize; i++ {
		if _, err := VerifyPass(changed(i, good[i]^1), passKeys); !errors.Is(err, ErrForged) {
			t.Errorf("byte %d of the MAC changed: error %v", i, err)
		}
	}
}

func FuzzPass(f *testing.F) {
	good := examplePass().Sign(nil, passKeys.Find(3))
	f.Add(good)
	f.Add(good[:PassSize-1])
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePass(b)
		if err != nil {
			return
		}
		again := p.Sign(nil, passKeys.Find(3))
		if !bytes.Equal(again[:passFields], b[:passFields]) {
			t.Fatalf("%x parses and encodes as %x", b, again)
		}
		if _, err := VerifyPass(b, passKeys[1:]); err == nil && !bytes.Equal(b, again) {
			t.Fatalf("%x verifies and was not signed", b)
		}
	})
}

func TestPassesAreSignedAndVerifiedWithoutAllocating(t *testing.T) {
	p, key, dst := examplePass(), passKeys.Find(3), make([]byte, 0, PassSize)
	good := p.Sign(nil, key)
	if n := testing.AllocsPerRun(100, func() { p.Sign(dst, key) }); n != 0 {
		t.Errorf("Sign allocates %v times", n)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = VerifyPass(good, passKeys) }); n != 0 {
		t.Errorf("VerifyPass allocates %v times", n)
	}
	good[PassSize-1] ^= 1
	if n := testing.AllocsPerRun(100, func() { _, _ = VerifyPass(good, passKeys) }); n != 0 {
		t.Errorf("VerifyPass allocates %v times for a forged pass", n)
	}
}

func BenchmarkPassVerify(b *testing.B) {
	good := examplePass().Sign(nil, passKeys.Find(3))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := VerifyPass(good, passKeys); err != nil {
			b.Fatal(err)
		}
	}
}
