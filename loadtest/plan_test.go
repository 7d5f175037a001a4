package loadtest

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// testPlan is a plan that is valid and small.
func testPlan() Plan {
	p := DefaultPlan()
	p.Event = "arena"
	p.Targets = Targets{
		Edges: []string{"http://127.0.0.1:1", "http://127.0.0.1:2"}, Core: "http://127.0.0.1:3", AdminSecretFile: "none",
		Paysim: "http://127.0.0.1:4", DatabaseURL: "postgres://127.0.0.1:5/none",
	}
	return p
}

func TestEveryRehearsalFileIsAValidPlan(t *testing.T) {
	files, err := filepath.Glob("../configs/rehearsal*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no plan files found: %v", err)
	}
	for _, f := range files {
		p, err := LoadPlan(f)
		if err != nil {
			t.Errorf("%s: %v", f, err)
		}
		if p.Buyers.Count == 0 {
			t.Errorf("%s: no buyers", f)
		}
	}
}

func TestTheExampleFileShowsTheDefaults(t *testing.T) {
	p, err := LoadPlan("../configs/rehearsal.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := DefaultPlan()
	want.Event, want.Targets = p.Event, p.Targets
	want.Bots.Tabs, want.Bots.Fresh, want.Bots.Hammer, want.Bots.Skipper, want.Bots.Thief = 10, 10, 10, 10, 10
	if got, want := string(jsonBody(p)), string(jsonBody(want)); got != want {
		t.Errorf("configs/rehearsal.yaml says\n%s\nthe defaults are\n%s", got, want)
	}
}

func TestAPlanWithManyMistakesReportsThemAllAtOnce(t *testing.T) {
	text, err := os.ReadFile("../configs/rehearsal.yaml")
	if err != nil {
		t.Fatal(err)
	}
	bad := strings.NewReplacer("event: arena", "event: No Slug", "share: 0.30", "share: 0.10", "max_connections: 2000", "max_connections: 9000",
		"decline: 0.03", "decline: 3", "http://127.0.0.1:8080", "127.0.0.1", "count: 16", "count: 0", "shape: ramp", "shape: hill").Replace(string(text))
	_, err = ParsePlan([]byte(bad))
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"event:", "shares add up to 0.800", "max_connections", "buyers.decline", "targets.edges[0]", "bots.addresses", "shape"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not mention %q:\n%v", want, err)
		}
	}
}

func TestAPlanWithAnUnknownKeyIsRefused(t *testing.T) {
	for _, text := range []string{"", "event: arena\nbuyerz: {}\n", "limits: {duration: 30}\n"} {
		if _, err := ParsePlan([]byte(text)); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

func TestArrivalsFollowThePlan(t *testing.T) {
	p := testPlan()
	p.Buyers.Count, p.Bots.Thief, p.Bots.Fresh = 9000, 600, 400
	all := schedule(p)
	if len(all) != 10000 {
		t.Fatalf("%d arrivals", len(all))
	}
	if !slices.IsSortedFunc(all, func(a, b arrival) int { return int(a.at - b.at) }) {
		t.Error("arrivals are out of order")
	}
	count := make(map[botKind]int)
	var before, around, early int
	for _, a := range all {
		count[a.kind]++
		switch {
		case a.at < -10*time.Second || a.at >= 10*time.Second:
			t.Fatalf("an arrival at %s", a.at)
		case a.at < -2*time.Second:
			before++
			if a.at < -6*time.Second {
				early++
			}
		case a.at < time.Second:
			around++
		}
	}
	if count[botNone] != 9000 || count[botThief] != 600 || count[botFresh] != 400 {
		t.Errorf("kinds: %v", count)
	}
	if before != 3500 || around != 3500 {
		t.Errorf("%d before and %d around the opening, want 3500 each", before, around)
	}
	// A ramp has a quarter of its arrivals in its first half.
	if early < 700 || early > 1050 {
		t.Errorf("%d of 3500 in the first half of a ramp, want about 875", early)
	}
	if again := schedule(p); !slices.Equal(all, again) {
		t.Error("the same seed gave another schedule")
	}
	p.Seed++
	if other := schedule(p); slices.Equal(all, other) {
		t.Error("another seed gave the same schedule")
	}
}

func TestBuyersAreSpreadOverTheirNetwork(t *testing.T) {
	book, err := newAddressBook(AddressesPlan{Network: "127.64.0.0/10", Count: 20000})
	if err != nil {
		t.Fatal(err)
	}
	network, seen := netip.MustParsePrefix("127.64.0.0/10"), make(map[string]bool)
	for i := range 20000 {
		f := book.forwarded(i)
		if addr := netip.MustParseAddr(strings.TrimPrefix(f, "for=")); !network.Contains(addr) {
			t.Fatalf("%s is outside the network", addr)
		}
		seen[f] = true
	}
	if len(seen) != 20000 {
		t.Errorf("%d different addresses, want 20000", len(seen))
	}
	if book.forwarded(0) != book.forwarded(20000) {
		t.Error("the 20001st buyer should share the first address")
	}
}
