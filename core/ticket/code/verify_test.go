package code

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"math/rand/v2"
	"sync"
	"testing"

	"filippo.io/edwards25519"
)

func keyPair(t testing.TB, seed byte) (ed25519.PublicKey, ed25519.PrivateKey) {
	t.Helper()
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	return private.Public().(ed25519.PublicKey), private
}

func TestAVerifierAnswersAsTheStandardLibraryDoes(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	genuine, refused := 0, 0
	for n := range 3000 {
		public, private := keyPair(t, byte(n%5))
		message := make([]byte, random.IntN(150))
		for i := range message {
			message[i] = byte(random.Uint32())
		}
		signature := ed25519.Sign(private, message)
		switch n % 4 {
		case 1:
			signature[random.IntN(len(signature))] ^= 1 << random.IntN(8)
		case 2:
			if len(message) > 0 {
				message[random.IntN(len(message))] ^= 1 << random.IntN(8)
			}
		case 3: // S + l, which is the same scalar spelled another way
			addOrder(signature[32:])
		}
		v, err := known.of(public)
		if err != nil {
			t.Fatal(err)
		}
		want := ed25519.Verify(public, message, signature)
		if got := v.verify(message, signature); got != want {
			t.Fatalf("message %x with signature %x: %v, the standard library says %v", message, signature, got, want)
		}
		if want {
			genuine++
		} else {
			refused++
		}
	}
	if genuine < 700 || refused < 1500 {
		t.Fatalf("%d genuine and %d refused signatures compared", genuine, refused)
	}
}

// addOrder adds the order of the group to a little-endian scalar.
func addOrder(scalar []byte) {
	order, _ := hex.DecodeString("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
	carry := 0
	for i := range scalar {
		sum := int(scalar[i]) + int(order[i]) + carry
		scalar[i], carry = byte(sum), sum>>8
	}
}

func TestPointsOfSmallOrderAreJudgedAsTheStandardLibraryJudgesThem(t *testing.T) {
	// The eight points of small order, and spellings of them that are not canonical: Chalkias, Garillot, Nikolaenko,
	// "Taming the many EdDSAs", 2020, table 6.
	points := []string{
		"0100000000000000000000000000000000000000000000000000000000000000", "0000000000000000000000000000000000000000000000000000000000000080",
		"0000000000000000000000000000000000000000000000000000000000000000", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", "0100000000000000000000000000000000000000000000000000000000000080",
	}
	compared := 0
	for _, a := range points {
		key := unhex(t, a)
		v, err := known.of(key)
		for _, r := range points {
			signature := append(unhex(t, r), make([]byte, 32)...)
			for n := range byte(16) {
				message := []byte{n}
				want := ed25519.Verify(key, message, signature)
				if got := err == nil && v.verify(message, signature); got != want {
					t.Fatalf("key %s, R %s, message %d: %v, the standard library says %v", a, r, n, got, want)
				}
				compared++
			}
		}
	}
	if compared != 12*12*16 {
		t.Fatalf("%d comparisons", compared)
	}
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != 32 {
		t.Fatalf("%s is not 32 bytes in hex", text)
	}
	return b
}

func TestWhatIsNoKeyIsRefused(t *testing.T) {
	for _, key := range [][]byte{nil, make([]byte, 31), bytes.Repeat([]byte{2}, 33)} {
		if _, err := known.of(key); err == nil {
			t.Fatalf("%x is taken for a key", key)
		}
	}
	off := bytes.Repeat([]byte{0}, 32)
	off[0] = 2 // there is no point with y = 2
	if _, err := new(edwards25519.Point).SetBytes(off); err == nil {
		t.Fatal("y = 2 is on the curve")
	}
	if _, err := known.of(off); err == nil {
		t.Fatal("what is no point is taken for a key")
	}
}

func TestTheTablesKeptAreBoundedAndShared(t *testing.T) {
	own := tables{byKey: make(map[[ed25519.PublicKeySize]byte]*verifier)}
	var running sync.WaitGroup
	for worker := range 4 {
		running.Go(func() {
			for n := range 60 {
				public, private := keyPair(t, byte(worker*60+n))
				v, err := own.of(public)
				if err != nil || !v.verify([]byte("x"), ed25519.Sign(private, []byte("x"))) {
					t.Errorf("key %d of worker %d does not verify: %v", n, worker, err)
				}
			}
		})
	}
	running.Wait()
	if len(own.byKey) != mostTables {
		t.Fatalf("%d tables kept, want %d", len(own.byKey), mostTables)
	}
}

func FuzzVerify(f *testing.F) {
	public, private := keyPair(f, 3)
	f.Add([]byte("message"), ed25519.Sign(private, []byte("message")))
	v, err := known.of(public)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, message, signature []byte) {
		if want := len(signature) == ed25519.SignatureSize && ed25519.Verify(public, message, signature); v.verify(message, signature) != want {
			t.Fatalf("%x with %x: the standard library says %v", message, signature, want)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	public, private := keyPair(b, 3)
	message := make([]byte, 80)
	signature := ed25519.Sign(private, message)
	v, err := known.of(public)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("multiples at hand", func(b *testing.B) {
		for b.Loop() {
			if !v.verify(message, signature) {
				b.Fatal("refused")
			}
		}
	})
	b.Run("standard library", func(b *testing.B) {
		for b.Loop() {
			if !ed25519.Verify(public, message, signature) {
				b.Fatal("refused")
			}
		}
	})
}
