package lottery

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func genLeaves(t *rapid.T, least, most int) []Leaf {
	return rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) Leaf {
		b := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "entrant")
		band := rapid.Byte().Draw(t, "band") % 3
		return Leaf{Entrant: Entrant(b), Band: Band(band), Reason: Reason(min(band, 1))}
	}), least, most, func(l Leaf) Entrant { return l.Entrant }).Draw(t, "leaves")
}

func genHash(t *rapid.T, name string) [32]byte {
	return [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, name))
}

func shuffled(t *rapid.T, leaves []Leaf) []Leaf {
	if len(leaves) == 0 {
		return leaves
	}
	return rapid.Permutation(leaves).Draw(t, "shuffled")
}

func TestEveryLeafHasAProofAndNothingElseHas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		leaves := genLeaves(t, 1, 40)
		root := Root(leaves)
		if Root(shuffled(t, leaves)) != root {
			t.Fatal("the root depends on the order in which leaves come")
		}
		leaf := rapid.SampledFrom(leaves).Draw(t, "leaf")
		p, err := Prove(leaves, leaf.Entrant)
		if err != nil || !p.Verify(root, leaf) {
			t.Fatalf("no proof of %v: %v", leaf, err)
		}
		demoted := leaf
		demoted.Band++
		excused := leaf
		excused.Reason++
		other := leaf
		other.Entrant[rapid.IntRange(0, 15).Draw(t, "byte")] ^= 1
		for _, l := range []Leaf{demoted, excused, other} {
			if p.Verify(root, l) {
				t.Fatalf("the proof of %v proves %v", leaf, l)
			}
		}
		if len(p.Path) > 0 {
			i := rapid.IntRange(0, len(p.Path)-1).Draw(t, "sibling")
			bad := p
			bad.Path = slices.Clone(p.Path)
			bad.Path[i][0] ^= 1
			short := p
			short.Path = p.Path[:len(p.Path)-1]
			long := p
			long.Path = append(slices.Clone(p.Path), Hex32{})
			for _, p := range []Proof{bad, short, long, {Index: p.Size, Size: p.Size, Path: p.Path}} {
				if p.Verify(root, leaf) {
					t.Fatalf("a spoiled proof proves %v", leaf)
				}
			}
		}
	})
}

func TestAddingRemovingOrDemotingAnybodyChangesTheRoot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		leaves := genLeaves(t, 1, 40)
		root := Root(leaves)
		i := rapid.IntRange(0, len(leaves)-1).Draw(t, "i")
		if Root(slices.Delete(slices.Clone(leaves), i, i+1)) == root {
			t.Fatal("a leaf can be removed")
		}
		if Root(append(slices.Clone(leaves), leaves[i])) == root {
			t.Fatal("a leaf can be doubled")
		}
		demoted := slices.Clone(leaves)
		demoted[i].Band++
		if Root(demoted) == root {
			t.Fatal("a leaf can be demoted")
		}
	})
}

func TestWhoIsNotInThePoolHasNoProof(t *testing.T) {
	if _, err := Prove([]Leaf{{Entrant: Entrant{1}}}, Entrant{2}); !errors.Is(err, ErrNotInPool) {
		t.Errorf("error %v, want ErrNotInPool", err)
	}
	if (Proof{}).Verify(Root(nil), Leaf{}) {
		t.Error("the empty proof proves a leaf of the empty pool")
	}
}

func TestTheOrderIsTotalAndDoesNotDependOnTheOrderOfInput(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		leaves, seed := genLeaves(t, 0, 60), genHash(t, "seed")
		order := Order(seed, 3, leaves)
		if !slices.Equal(order, Order(seed, 3, shuffled(t, leaves))) {
			t.Fatal("the order depends on the order of input")
		}
		if len(order) != len(leaves) {
			t.Fatalf("%d of %d leaves are in the order", len(order), len(leaves))
		}
		for i, d := range order {
			if d.Value != Value(seed, d.Entrant) || !slices.Contains(leaves, d.Leaf) || d.Window != 3 {
				t.Fatalf("%+v was not drawn", d)
			}
			if i > 0 && (order[i-1].compare(d) >= 0 || d.compare(order[i-1]) <= 0 || order[i-1].Place().Compare(d.Place()) > 0) {
				t.Fatalf("%+v is not before %+v", order[i-1], d)
			}
		}
	})
}

func TestPlacesAreComparedByWindowThenBandThenValue(t *testing.T) {
	places := []Place{{0, 0, 5}, {0, 0, 6}, {0, 1, 0}, {1, 0, 0}, {1, 0, 1}}
	for i, p := range places {
		for j, q := range places {
			if got := p.Compare(q); (got < 0) != (i < j) || (got == 0) != (i == j) {
				t.Errorf("%s compared with %s is %d", p, q, got)
			}
		}
	}
}

func TestASecretBelongsToItsWindowAndEventOnly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		event, secret := EventID("arena"), genHash(t, "secret")
		n := rapid.IntRange(1, 50).Draw(t, "length")
		chain, err := NewChain(event, secret, n)
		if err != nil {
			t.Fatal(err)
		}
		w := uint32(rapid.IntRange(0, n-1).Draw(t, "window"))
		s, err := chain.Secret(w)
		if err != nil || !VerifySecret(event, chain.Commitment(), w, s) {
			t.Fatalf("the secret of window %d does not verify: %v", w, err)
		}
		if last, _ := chain.Secret(uint32(n - 1)); last != secret {
			t.Fatal("the last window does not reveal the start of the chain")
		}
		other := uint32(rapid.IntRange(0, n+1).Draw(t, "other"))
		if other != w && VerifySecret(event, chain.Commitment(), other, s) {
			t.Fatalf("the secret of window %d verifies for window %d", w, other)
		}
		if VerifySecret(EventID("club"), chain.Commitment(), w, s) {
			t.Fatal("the secret verifies for another event")
		}
		s[0] ^= 1
		if VerifySecret(event, chain.Commitment(), w, s) {
			t.Fatal("another secret verifies")
		}
		if _, err := chain.Secret(uint32(n)); err == nil {
			t.Fatal("there is a secret beyond the chain")
		}
	})
}

func TestAChainHasABoundedLength(t *testing.T) {
	for _, n := range []int{-1, 0, MaxChain + 1} {
		if _, err := NewChain(EventID("arena"), [32]byte{}, n); err == nil {
			t.Errorf("there is a chain of %d windows", n)
		}
	}
	if VerifySecret(EventID("arena"), [32]byte{}, MaxChain, [32]byte{}) {
		t.Error("a window beyond every chain verifies")
	}
}

func TestEveryInputOfTheSeedChangesIt(t *testing.T) {
	event, a, b := EventID("arena"), [32]byte{1}, [32]byte{2}
	seeds := [][32]byte{
		Seed(event, 0, a, b, nil), Seed(EventID("club"), 0, a, b, nil), Seed(event, 1, a, b, nil),
		Seed(event, 0, b, b, nil), Seed(event, 0, a, a, nil), Seed(event, 0, a, b, []byte{0}),
	}
	for i := range seeds {
		if slices.Contains(seeds[:i], seeds[i]) {
			t.Errorf("seed %d is another's", i)
		}
	}
}

func TestMACIsTheStandardHMAC(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "key")
		tag := rapid.StringN(0, 30, 30).Draw(t, "tag")
		message := rapid.SliceOfN(rapid.Byte(), 0, 250).Draw(t, "message")
		h := hmac.New(sha256.New, key)
		h.Write([]byte(tag))
		h.Write(message)
		if got := MAC(key, tag, message); !hmac.Equal(got[:], h.Sum(nil)) {
			t.Fatalf("MAC is %x", got)
		}
	})
}

// The 99.9% point of chi-square with 255 degrees of freedom is 330.5, and the 0.1% point 190.9. The seed is fixed, so this
// fails only if the formula changes, and then for a reason.
func TestValuesAreUniform(t *testing.T) {
	const n, cells = 100_000, 256
	var high, low [cells]int
	seed := sha256.Sum256([]byte("uniform"))
	for i := range uint64(n) {
		var e Entrant
		binary.BigEndian.PutUint64(e[8:], i) // as unlike random as entrants can be
		v := Value(seed, e)
		high[v>>56]++
		low[v&0xff]++
	}
	for name, counts := range map[string][cells]int{"highest": high, "lowest": low} {
		chi := 0.0
		for _, c := range counts {
			d := float64(c) - n/cells
			chi += d * d / (n / cells)
		}
		if chi < 190.9 || chi > 330.5 {
			t.Errorf("chi-square of the %s byte is %.1f, want 190.9 to 330.5", name, chi)
		}
	}
}

// Each of two entrants goes first as often as the other, whichever seed: 10,000 seeds, ±4 standard deviations.
func TestNobodyIsFavouredOverManyDraws(t *testing.T) {
	const draws = 10_000
	r := rand.New(rand.NewPCG(1, 2))
	first := 0
	for range draws {
		var seed [32]byte
		for i := range 4 {
			binary.BigEndian.PutUint64(seed[8*i:], r.Uint64())
		}
		if Value(seed, Entrant{}) < Value(seed, Entrant{0xff}) {
			first++
		}
	}
	if first < draws/2-200 || first > draws/2+200 {
		t.Errorf("one of two goes first %d times of %d", first, draws)
	}
}

func TestSummariesTellTheValuesAtEvenStepsAndKeepToTheirLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		order := Order(genHash(t, "seed"), 0, genLeaves(t, 0, 60))
		limit := rapid.IntRange(3, 80).Draw(t, "limit")
		total, first := 0, 0
		for _, b := range Summarize(order, limit) {
			q := len(b.Quantiles)
			if q < 1 || q > b.Entrants {
				t.Fatalf("%d quantiles of %d", q, b.Entrants)
			}
			for j := 1; j <= q; j++ {
				place := (j*b.Entrants + q - 1) / q
				d := order[first+place-1]
				if d.Band != b.Band || uint64(b.Quantiles[j-1]) != d.Value {
					t.Fatalf("quantile %d of band %d is not the value at place %d", j, b.Band, place)
				}
			}
			total, first = total+q, first+b.Entrants
		}
		if total > limit || first != len(order) {
			t.Fatalf("%d quantiles with limit %d, %d of %d entrants", total, limit, first, len(order))
		}
	})
}

func TestSlugs(t *testing.T) {
	long := make([]byte, maxSlug)
	for i := range long {
		long[i] = 'a'
	}
	for slug, want := range map[string]bool{
		"arena": true, "0-a-": true, "a": true, string(long): true,
		"": false, "-a": false, "Arena": false, "a_b": false, "a.b": false, "ä": false, string(long) + "a": false,
	} {
		if ValidSlug(slug) != want {
			t.Errorf("ValidSlug(%q) is %v", slug, !want)
		}
	}
}

func TestHexIsReadInOneFormOnly(t *testing.T) {
	e, err := ParseEntrant("000102030405060708090a0b0c0d0e0f")
	if err != nil || e != Entrant(counting(0, 16)) {
		t.Fatalf("parsed %v, %v", e, err)
	}
	for _, s := range []string{"", "00", "000102030405060708090A0B0C0D0E0F", "000102030405060708090a0b0c0d0e0g", e.String() + "00"} {
		if _, err := ParseEntrant(s); !errors.Is(err, ErrMalformed) {
			t.Errorf("ParseEntrant(%q): error %v", s, err)
		}
		if _, err := ParseDeviceHash(s); !errors.Is(err, ErrMalformed) {
			t.Errorf("ParseDeviceHash(%q): error %v", s, err)
		}
	}
	var f Fraction
	if err := f.UnmarshalText([]byte("00000000000000ff")); err != nil || f != 255 || f.String() != "00000000000000ff" {
		t.Errorf("fraction %v, %v", f, err)
	}
}

func TestKeysAreFoundByNumber(t *testing.T) {
	keys := MACKeys{{No: 2, Key: Hex32{2}}, {No: 5, Key: Hex32{5}}, {No: 1, Key: Hex32{1}}}
	if k := keys.Find(1); len(k) != 32 || k[0] != 1 {
		t.Errorf("key 1 is %x", k)
	}
	if keys.Find(3) != nil || (PublicKeys{}).Find(1) != nil {
		t.Error("a key was found that is not there")
	}
	if k, ok := keys.Newest(); !ok || k.No != 5 {
		t.Errorf("newest is %d", k.No)
	}
	if _, ok := (MACKeys{}).Newest(); ok {
		t.Error("there is a newest of no keys")
	}
}

func TestAValueIsDrawnWithoutAllocating(t *testing.T) {
	seed, e := [32]byte{1}, Entrant{2}
	if n := testing.AllocsPerRun(100, func() { Value(seed, e) }); n != 0 {
		t.Errorf("Value allocates %v times", n)
	}
}

func manyLeaves(n int) []Leaf {
	leaves := make([]Leaf, n)
	for i := range leaves {
		sum := sha256.Sum256(binary.BigEndian.AppendUint32(nil, uint32(i)))
		leaves[i].Entrant = Entrant(sum[:16])
	}
	return leaves
}

func BenchmarkRoot500000(b *testing.B) {
	leaves := manyLeaves(500_000)
	for b.Loop() {
		Root(leaves)
	}
}

func BenchmarkOrder500000(b *testing.B) {
	leaves := manyLeaves(500_000)
	for b.Loop() {
		Order([32]byte{1}, 0, leaves)
	}
}
