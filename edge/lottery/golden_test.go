package lottery

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// vectors are one value of every formula and layout, for whoever writes them in another language. The inputs are in
// exampleVectors: byte strings that count up from a start.
type vectors struct {
	Event      string   `json:"event_id_of_arena"`
	Entrant    Entrant  `json:"entrant"`
	Device     string   `json:"device_hash"`
	Network    Hex      `json:"network_hash"`
	Leaf       Hex      `json:"leaf_bytes"`
	LeafHash   Hex32    `json:"leaf_hash"`
	Leaves     Leaves   `json:"leaves"`
	Root       Hex32    `json:"root"`
	Proof      Proof    `json:"proof_of_the_third_leaf"`
	EmptyRoot  Hex32    `json:"empty_root"`
	Commitment Hex32    `json:"commitment"`
	Secrets    []Hex32  `json:"secrets"`
	Seed       Hex32    `json:"seed_of_window_1"`
	Value      Fraction `json:"value_of_the_entrant"`
	Receipt    Hex      `json:"receipt"`
	ReceiptKey Hex      `json:"receipt_public_key"`
	Invitation string   `json:"invitation"`
	ForPresale string   `json:"invitation_to_presale"`
}

// counting is n bytes that count up from first.
func counting(first byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = first + byte(i)
	}
	return b
}

func exampleReceipt() Receipt {
	return Receipt{
		Event: EventID("arena"), Entrant: Entrant(counting(0x10, 16)), Generation: 2, Window: 1, Band: 1,
		Reason: ReasonNetworkSurplus, Block: 77, AcknowledgedAt: time.UnixMilli(1777626012345).UTC(), KeyNo: 3,
	}
}

func exampleInvitation(presale string) Invitation {
	return Invitation{Event: EventID("arena"), Presale: presale, ID: [16]byte(counting(0x30, 16)), KeyNo: 1}
}

func exampleKey() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(counting(0x80, 32)) }

func exampleVectors(t *testing.T) vectors {
	event := EventID("arena")
	leaves := Leaves{}
	for i := range byte(5) {
		leaves = append(leaves, Leaf{Entrant: Entrant(counting(0x10*i, 16))})
	}
	leaves[4].Band, leaves[4].Reason = 1, ReasonNetworkSurplus
	chain, err := NewChain(event, [32]byte(counting(0x40, 32)), 3)
	if err != nil {
		t.Fatal(err)
	}
	v := vectors{
		Event:      event.String(),
		Entrant:    NewEntrant(counting(0, 32), "device", counting(0x20, 32)),
		Device:     HashDevice(counting(0x20, 32)).String(),
		Leaf:       leaves[4].Append(nil),
		LeafHash:   leaves[4].hash(),
		Leaves:     leaves,
		Root:       Root(leaves),
		EmptyRoot:  Root(nil),
		Commitment: chain.Commitment(),
		Receipt:    exampleReceipt().Sign(exampleKey()),
		ReceiptKey: Hex(exampleKey().Public().(ed25519.PublicKey)),
		Invitation: exampleInvitation("").Sign(exampleKey()),
		ForPresale: exampleInvitation("fans").Sign(exampleKey()),
	}
	network := NetworkHash([]byte{192, 0, 2, 0})
	v.Network = network[:]
	if v.Proof, err = Prove(leaves, leaves[2].Entrant); err != nil {
		t.Fatal(err)
	}
	for w := range uint32(3) {
		secret, err := chain.Secret(w)
		if err != nil {
			t.Fatal(err)
		}
		v.Secrets = append(v.Secrets, secret)
	}
	v.Seed = Seed(event, 1, v.Secrets[1], v.Root, []byte("beacon"))
	v.Value = Fraction(Value(v.Seed, v.Entrant))
	return v
}

func TestFormulasAndLayoutsAreThoseOfTheGoldenVectors(t *testing.T) {
	const file = "testdata/vectors.json"
	got, err := json.MarshalIndent(exampleVectors(t), "", "  ")
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
	if r, err := VerifyReceipt(read.Receipt, ed25519.PublicKey(read.ReceiptKey)); err != nil || r != exampleReceipt() {
		t.Errorf("the golden receipt reads as %+v, %v", r, err)
	}
	for presale, code := range map[string]string{"": read.Invitation, "fans": read.ForPresale} {
		if i, err := VerifyInvitation(code, ed25519.PublicKey(read.ReceiptKey)); err != nil || i != exampleInvitation(presale) {
			t.Errorf("the golden invitation to presale %q reads as %+v, %v", presale, i, err)
		}
	}
	if !read.Proof.Verify(read.Root, read.Leaves[2]) {
		t.Error("the golden proof does not verify")
	}
}

func FuzzReceipt(f *testing.F) {
	key := exampleKey().Public().(ed25519.PublicKey)
	good := exampleReceipt().Sign(exampleKey())
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseReceipt(b)
		if err != nil {
			return
		}
		if again := r.Sign(exampleKey()); !bytes.Equal(again[:receiptFields], b[:receiptFields]) {
			t.Fatalf("%x parses and encodes as %x", b, again)
		}
		if _, err := VerifyReceipt(b, key); err == nil && !bytes.Equal(b, r.Sign(exampleKey())) {
			t.Fatalf("%x verifies and was not signed", b)
		}
	})
}

func FuzzInvitation(f *testing.F) {
	good := exampleInvitation("").Sign(exampleKey())
	f.Add(good)
	f.Add(exampleInvitation("fans").Sign(exampleKey()))
	f.Add(good[1:])
	f.Add(good + "\n")
	f.Fuzz(func(t *testing.T, code string) {
		i, err := ParseInvitation(code)
		if err != nil {
			return
		}
		fields := base64.RawURLEncoding.EncodedLen(invitationFields+len(i.Presale)) - 1
		if again := i.Sign(exampleKey()); len(again) != len(code) || again[:fields] != code[:fields] {
			t.Fatalf("%s parses and encodes as %s", code, again)
		}
	})
}

func TestAnInvitationNamesAPresaleOrGeneralSaleAndNothingElse(t *testing.T) {
	key := exampleKey().Public().(ed25519.PublicKey)
	longest := strings.Repeat("a", maxSlug)
	if i, err := VerifyInvitation(exampleInvitation(longest).Sign(exampleKey()), key); err != nil || i.Presale != longest {
		t.Errorf("the longest presale there may be: %+v, %v", i, err)
	}
	for _, presale := range []string{longest + "a", strings.Repeat("a", 256), "Fans", "fans\n", "-"} {
		if _, err := VerifyInvitation(exampleInvitation(presale).Sign(exampleKey()), key); !errors.Is(err, ErrMalformed) {
			t.Errorf("presale %q: %v", presale, err)
		}
	}
	// The presale is signed for: nobody makes an invitation to one presale one to another.
	raw, err := base64.RawURLEncoding.DecodeString(exampleInvitation("fans").Sign(exampleKey()))
	if err != nil {
		t.Fatal(err)
	}
	copy(raw[invitationFields:], "crew")
	if _, err := VerifyInvitation(base64.RawURLEncoding.EncodeToString(raw), key); !errors.Is(err, ErrForged) {
		t.Errorf("to another presale: %v", err)
	}
}

func FuzzTranscript(f *testing.F) {
	f.Add([]byte(`{"event":"arena","windows":[{"window":0,"entrants":0,"leaves":""}]}`))
	f.Add([]byte(`{"event":"arena","chain_length":-1,"cursors":[{"at":"2026-05-01T10:00:00Z"}],"sessions":[{}],"windows":[{"window":7}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		tr, err := ParseTranscript(b)
		if err != nil {
			return
		}
		if tr.Verify().OK() && len(tr.Windows) == 0 {
			t.Fatal("a transcript of nothing verifies")
		}
	})
}
