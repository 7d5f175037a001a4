package queue

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"fairgate/edge/lottery"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const goldenState = "testdata/state.json"

// exampleLeaves are n entrants of which every tenth is surplus.
func exampleLeaves(window uint32, n int) []lottery.Leaf {
	leaves := make([]lottery.Leaf, n)
	for i := range leaves {
		seed := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, window), uint32(i))
		leaves[i].Entrant = lottery.NewEntrant([]byte("example"), "device", seed)
		if i%10 == 9 {
			leaves[i].Band, leaves[i].Reason = 1, lottery.ReasonNetworkSurplus
		}
	}
	return leaves
}

func mustParse(text string) Instant {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return Instant{t}
}

// exampleState is a sale under way: window 0 sealed and half called, window 1 sealed, window 2 open.
func exampleState(t testing.TB) State {
	t.Helper()
	event := lottery.EventID("arena")
	chain, err := lottery.NewChain(event, sha256.Sum256([]byte("example")), 4096)
	if err != nil {
		t.Fatal(err)
	}
	s := State{
		Event: "arena", Generation: 1, Version: 12, Phase: PhaseOpen,
		ServerTime: mustParse("2026-05-01T10:00:12.345Z"), JoiningAt: mustParse("2026-05-01T09:30:00Z"),
		OpensAt: mustParse("2026-05-01T10:00:00Z"), EndsAt: mustParse("2026-05-01T14:00:00Z"),
		TimeZone: "Europe/Madrid", WindowSeconds: 5, Identity: "device",
		Commitment: chain.Commitment(), ChainLength: chain.Length(),
		Joined: 263, CalledCount: 100, PacePerSecond: 12.5,
		Stock: []Stock{
			{Tier: "floor", Name: "Floor", Left: 1900, Rounded: true, Price: Money{Minor: 8250, Currency: "EUR"}},
			{Tier: "balcony", Name: "Balcony", Left: 12, Price: Money{Minor: 4500, Currency: "EUR"}},
		},
		PriceRange:  &PriceRange{From: Money{Minor: 4500, Currency: "EUR"}, To: Money{Minor: 8250, Currency: "EUR"}},
		PollAfterMS: 5000,
		ReceiptKeys: lottery.PublicKeys{{No: 1, Public: sha256.Sum256([]byte("receipt key"))}},
	}
	for w, n := range []int{200, 60} {
		window := uint32(w)
		leaves := exampleLeaves(window, n)
		secret, err := chain.Secret(window)
		if err != nil {
			t.Fatal(err)
		}
		root := lottery.Root(leaves)
		seed := lottery.Seed(event, window, secret, root, nil)
		order := lottery.Order(seed, window, leaves)
		s.Windows = append(s.Windows, Window{
			Window: window, Sealed: true, Entrants: n, Bands: lottery.Summarize(order, 20),
			Root: root, Seed: seed, Secret: secret,
		})
		if w == 0 {
			d := order[s.CalledCount-1]
			s.Cursor = &Cursor{Window: window, Band: d.Band, Value: lottery.Fraction(d.Value)}
		}
	}
	s.Windows = append(s.Windows, Window{Window: 2, Entrants: 3, Bands: []lottery.BandSummary{}})
	return s
}

func TestTheGoldenStateIsWhatTheExampleEncodesToAndDecodesBack(t *testing.T) {
	example := exampleState(t)
	got, err := example.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(goldenState, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(goldenState)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("the example encodes to\n%s\nwant\n%s", got, want)
	}
	s, err := DecodeState(want)
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again, want) {
		t.Fatalf("decoded and encoded again\n%s\nwant\n%s", again, want)
	}
}

func TestAStateThatContradictsItselfIsRefused(t *testing.T) {
	example := exampleState(t)
	good, err := example.Encode()
	if err != nil {
		t.Fatal(err)
	}
	edit := func(f func(*State)) []byte {
		s := exampleState(t)
		f(&s)
		b, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, b := range map[string][]byte{
		"empty":                   nil,
		"cut":                     good[:len(good)-1],
		"two values":              append(bytes.Clone(good), good...),
		"unknown field":           bytes.Replace(good, []byte(`"joined"`), []byte(`"jolned"`), 1),
		"number for a text":       bytes.Replace(good, []byte(`"arena"`), []byte(`5`), 1),
		"capitals in hex":         bytes.Replace(good, []byte(s64(example.Commitment)), []byte(strings.ToUpper(s64(example.Commitment))), 1),
		"short hex":               bytes.Replace(good, []byte(s64(example.Commitment)), []byte(s64(example.Commitment)[2:]), 1),
		"time without zone":       bytes.Replace(good, []byte(`12.345Z`), []byte(`12.345`), 1),
		"larger than it may be":   append(bytes.Clone(good), bytes.Repeat([]byte(" "), maxState)...),
		"bad slug":                edit(func(s *State) { s.Event = "Arena" }),
		"unknown phase":           edit(func(s *State) { s.Phase = "opening" }),
		"unknown identity":        edit(func(s *State) { s.Identity = "e-mail" }),
		"no poll interval":        edit(func(s *State) { s.PollAfterMS = 0 }),
		"endless poll interval":   edit(func(s *State) { s.PollAfterMS = maxPollMS + 1 }),
		"no window length":        edit(func(s *State) { s.WindowSeconds = 0 }),
		"endless chain":           edit(func(s *State) { s.ChainLength = lottery.MaxChain + 1 }),
		"negative count":          edit(func(s *State) { s.Joined = -1 }),
		"windows out of order":    edit(func(s *State) { s.Windows[0], s.Windows[1] = s.Windows[1], s.Windows[0] }),
		"window twice":            edit(func(s *State) { s.Windows[1].Window = 0 }),
		"sealed without a seed":   edit(func(s *State) { s.Windows[0].Seed = lottery.Hex32{} }),
		"secret before the seal":  edit(func(s *State) { s.Windows[2].Secret = s.Windows[1].Secret }),
		"entrants that are lost":  edit(func(s *State) { s.Windows[0].Entrants++ }),
		"bands out of order":      edit(func(s *State) { b := s.Windows[0].Bands; b[0], b[1] = b[1], b[0] }),
		"quantiles out of order":  edit(func(s *State) { q := s.Windows[0].Bands[0].Quantiles; q[0], q[1] = q[1], q[0] }),
		"no quantiles":            edit(func(s *State) { s.Windows[0].Bands[0].Quantiles = nil }),
		"cursor beyond the seals": edit(func(s *State) { s.Cursor.Window = 2 }),
	} {
		if s, err := DecodeState(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: decoded to %+v with error %v, want ErrMalformed", name, s, err)
		}
	}
}

func s64(h lottery.Hex32) string { return h.String() }

func FuzzDecodeState(f *testing.F) {
	golden, err := os.ReadFile(goldenState)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden)
	f.Add([]byte(`{"event":"arena"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := DecodeState(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("error %v, want ErrMalformed", err)
			}
			return
		}
		encoded, err := s.Encode()
		if err != nil {
			t.Fatalf("a decoded state does not encode: %v", err)
		}
		again, err := DecodeState(encoded)
		if err != nil {
			t.Fatalf("an encoded state does not decode: %v", err)
		}
		twice, err := again.Encode()
		if err != nil || !bytes.Equal(encoded, twice) {
			t.Fatalf("encoding is not stable: %v\n%s\n%s", err, encoded, twice)
		}
		for _, w := range s.Windows {
			for _, v := range []uint64{0, 1 << 63, 1<<64 - 1} {
				p := lottery.Place{Window: w.Window, Value: v}
				if s.Rank(p) < 0 || s.Ahead(p) < 0 {
					t.Fatalf("negative place for %+v", p)
				}
				s.Wait(p)
			}
		}
	})
}

func TestAWindowWithARootThatIsNotSealedNeedsABeacon(t *testing.T) {
	const waiting = `{"event":"arena","generation":1,"version":1,"phase":"sealing","server_time":"2026-05-01T10:00:00.000Z",` +
		`"joining_at":"2026-05-01T09:00:00.000Z","opens_at":"2026-05-01T10:00:00.000Z","ends_at":"2026-05-01T12:00:00.000Z","time_zone":"UTC",` +
		`"window_seconds":30,"identity":"device","commitment":"0000000000000000000000000000000000000000000000000000000000000001","chain_length":9,` +
		`"beacon":{"name":"round 4242","value":""},"windows":[{"window":0,"sealed":false,"entrants":3,"bands":[],` +
		`"root":"0000000000000000000000000000000000000000000000000000000000000002"}],"joined":3,"cursor":null,"called":0,"pace_per_second":0,` +
		`"stock":[],"price_range":null,"sold_out":false,"message":"","poll_after_ms":2000,"receipt_keys":[]}`
	s, err := DecodeState([]byte(waiting))
	if err != nil {
		t.Fatal(err)
	}
	if w := &s.Windows[0]; !w.Closed() || w.Sealed || s.Beacon.Name != "round 4242" {
		t.Errorf("it is read as %+v, %+v", w, s.Beacon)
	}
	for what, text := range map[string]string{
		"no beacon":           strings.Replace(waiting, `"beacon":{"name":"round 4242","value":""},`, "", 1),
		"a beacon of no name": strings.Replace(waiting, "round 4242", "", 1),
		"a later window":      strings.Replace(waiting, `"window":0`, `"window":1`, 1),
	} {
		if _, err := DecodeState([]byte(text)); err == nil {
			t.Errorf("%s: it is read", what)
		}
	}
}
