package access

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
	"time"

	"fairgate/edge/lottery"
	"fairgate/ledger"
)

// edgeGolden is the example of the state object that the edge's decoder is tested with.
const edgeGolden = "../../edge/queue/testdata/state.json"

// example is what the example was made of, read from its own bytes.
type example struct {
	Event         string
	Generation    uint32
	Version       uint64
	Phase         Phase
	ServerTime    time.Time `json:"server_time"`
	JoiningAt     time.Time `json:"joining_at"`
	OpensAt       time.Time `json:"opens_at"`
	EndsAt        time.Time `json:"ends_at"`
	TimeZone      string    `json:"time_zone"`
	WindowSeconds int       `json:"window_seconds"`
	Identity      string
	Commitment    lottery.Hex32
	ChainLength   int `json:"chain_length"`
	Windows       []struct {
		Window             uint32
		Sealed             bool
		Entrants           int
		Bands              []lottery.BandSummary
		Root, Seed, Secret lottery.Hex32
	}
	Joined int
	Cursor struct {
		Window uint32
		Band   lottery.Band
		Value  lottery.Fraction
	}
	Called int
	Pace   float64 `json:"pace_per_second"`
	Stock  []struct {
		Tier, Name string
		Left       int
		Price      ledger.Amount
	}
	PollAfter   int64              `json:"poll_after_ms"`
	ReceiptKeys lottery.PublicKeys `json:"receipt_keys"`
}

func exampleInput(t testing.TB, raw []byte) stateInput {
	t.Helper()
	var e example
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatal(err)
	}
	in := stateInput{
		draw: draw{
			slug: e.Event, generation: e.Generation, phase: e.Phase, joiningAt: e.JoiningAt, opensAt: e.OpensAt, endsAt: e.EndsAt,
			window: time.Duration(e.WindowSeconds) * time.Second, commitment: e.Commitment, chainLength: e.ChainLength, called: e.Called,
			cursor: &lottery.Place{Window: e.Cursor.Window, Band: e.Cursor.Band, Value: uint64(e.Cursor.Value)},
		},
		sale: Sale{TimeZone: e.TimeZone, Identity: e.Identity}, version: e.Version, serverTime: e.ServerTime, joined: e.Joined,
		pace: e.Pace, pollAfter: time.Duration(e.PollAfter) * time.Millisecond, receiptKeys: e.ReceiptKeys,
	}
	for _, w := range e.Windows {
		in.windows = append(in.windows, windowView{
			number: w.Window, sealed: w.Sealed, entrants: w.Entrants, bands: w.Bands, root: w.Root, seed: w.Seed, secret: w.Secret,
		})
	}
	for _, s := range e.Stock {
		in.sale.Tiers = append(in.sale.Tiers, Tier{ID: s.Tier, Name: s.Name, Price: s.Price})
		in.stock = append(in.stock, TierStock{Tier: s.Tier, Capacity: 5000, Taken: 5000 - s.Left})
	}
	return in
}

func TestTheStateObjectIsByteForByteTheOneThatEdgesDecode(t *testing.T) {
	want, err := os.ReadFile(edgeGolden)
	if err != nil {
		t.Fatal(err)
	}
	in := exampleInput(t, want)
	if got := appendState(nil, &in); !bytes.Equal(got, bytes.TrimSpace(want)) {
		t.Fatalf("the state object is\n%s\nwant\n%s", got, want)
	}
}

const goldenJoining = "testdata/state_joining.json"

func TestTheStateObjectBeforeTheDrawMatchesItsGoldenFile(t *testing.T) {
	in := stateInput{
		draw: draw{
			slug: "arena", generation: 2, phase: Joining, joiningAt: time.UnixMilli(1777627800000), opensAt: time.UnixMilli(1777629600000),
			endsAt: time.UnixMilli(1777644000000), window: 30 * time.Second, commitment: [32]byte{1, 2, 3}, chainLength: 4096,
			message: "Doors at \"7\" <soon>\n",
		},
		sale:    Sale{TimeZone: "Europe/Madrid", Identity: "invitation"},
		version: 1777628000123, serverTime: time.UnixMilli(1777628000123), windows: newPool(2).view(0, 1000, nil),
		pace: 150, pollAfter: 2 * time.Second,
	}
	got := append(appendState(nil, &in), '\n')
	if !json.Valid(got) {
		t.Fatalf("not JSON: %s", got)
	}
	if *update {
		if err := os.WriteFile(goldenJoining, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(goldenJoining)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("the state object is\n%s\nwant\n%s", got, want)
	}
}

func TestStockAboveAHundredIsToldInHundreds(t *testing.T) {
	for left, want := range map[int]string{
		0: `"left":0,"rounded":false`, 100: `"left":100,"rounded":false`, 101: `"left":100,"rounded":true`, 1999: `"left":1900,"rounded":true`,
	} {
		in := stateInput{sale: Sale{Tiers: []Tier{{ID: "floor"}}}, stock: []TierStock{{Tier: "floor", Capacity: 5000, Taken: 5000 - left}}}
		got, soldOut := appendStock(nil, &in)
		if !bytes.Contains(got, []byte(want)) || soldOut != (left == 0) {
			t.Errorf("%d left is told as %s, sold out %t", left, got, soldOut)
		}
	}
}

func TestTheCrowdIsToldToAskNoOftenerThanTheEdgesCanTake(t *testing.T) {
	c := Config{}.withDefaults()
	for waiting, want := range map[int]time.Duration{
		0: 2 * time.Second, 20_000: 2 * time.Second, 100_000: 10 * time.Second, 500_000: 20 * time.Second, -5: 2 * time.Second,
	} {
		if got := c.pollAfter(waiting); got != want {
			t.Errorf("%d waiting ask every %s, want %s", waiting, got, want)
		}
	}
}

func TestThePaceIsThatOfTheLastSeconds(t *testing.T) {
	var m paceMeter
	at, called := time.Unix(0, 0), 0
	for range 120 { // 30 s at 40 a second
		at, called = at.Add(250*time.Millisecond), called+10
		m.add(at, called)
	}
	if pace := m.add(at, called); pace != 40 {
		t.Fatalf("the pace is %v after half a minute at 40", pace)
	}
	for range 60 { // then 15 s at nothing
		at = at.Add(250 * time.Millisecond)
		m.add(at, called)
	}
	if pace := m.add(at, called); pace != 0 {
		t.Fatalf("the pace is %v after a quarter of a minute without a call", pace)
	}
	if len(m.samples) > 50 {
		t.Fatalf("%d samples are kept", len(m.samples))
	}
}

func BenchmarkAppendState(b *testing.B) {
	raw, err := os.ReadFile(edgeGolden)
	if err != nil {
		b.Fatal(err)
	}
	in := exampleInput(b, raw)
	buffer := appendState(nil, &in)
	b.ReportAllocs()
	for b.Loop() {
		buffer = appendState(buffer[:0], &in)
	}
}
