package guard

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestARhythmIsFollowedInATableOfFixedSize(t *testing.T) {
	r := NewRhythms(1000, epoch, 42)
	if len(r.table) != 1024 {
		t.Fatalf("%d places", len(r.table))
	}
	const even, page = 1, 2
	dice := rand.New(rand.NewPCG(1, 2))
	pageAt := epoch
	for i := range 40 {
		r.Note(even, epoch.Add(time.Duration(i)*2*time.Second))
		r.Note(page, pageAt)
		pageAt = pageAt.Add(time.Duration(float64(2*time.Second) * (0.85 + 0.3*dice.Float64())))
	}
	if got := r.Of(even); got.Intervals != 39 || got.Mean != 2*time.Second || got.Off != 0 {
		t.Errorf("an even caller's rhythm is %+v", got)
	}
	if got := r.Of(page); got.Mean < 1700*time.Millisecond || got.Mean > 2300*time.Millisecond || got.Off < 80*time.Millisecond {
		t.Errorf("a page's rhythm is %+v", got)
	}
	if got := r.Of(3); got.Intervals != 0 {
		t.Errorf("a stranger's rhythm is %+v", got)
	}
	r.Note(even, epoch.Add(10*time.Minute)) // slept
	if got := r.Of(even); got.Intervals != 0 {
		t.Errorf("after a sleep the rhythm is %+v", got)
	}
	for i := range uint64(100_000) { // a flood takes what is free, and nobody's place who still polls
		r.Note(1000+i, epoch.Add(10*time.Minute))
	}
	if r.Note(even, epoch.Add(10*time.Minute+2*time.Second)); r.Of(even).Intervals != 1 {
		t.Errorf("a flood displaced somebody who polls: %+v", r.Of(even))
	}
	at := epoch.Add(11 * time.Minute)
	if n := testing.AllocsPerRun(1000, func() { r.Note(even, at) }); n != 0 {
		t.Errorf("%v allocations a poll", n)
	}
}

func TestNetworksAreReadAndAsked(t *testing.T) {
	n, err := ReadNetworks(strings.NewReader("# servers\n192.0.2.0/24\n192.0.2.128/25 # inside\n\n198.51.100.7\n2001:db8::/32\n10.0.0.0/9\n10.128.0.0/9\n"))
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]bool{
		"192.0.2.0": true, "192.0.2.255": true, "192.0.3.0": false, "192.0.1.255": false, "198.51.100.7": true, "198.51.100.8": false,
		"2001:db8:ffff::1": true, "2001:db9::": false, "10.200.0.1": true, "::ffff:192.0.2.9": true, "::1": false, "0.0.0.0": false,
	} {
		if got := n.Contains(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
	var none *Networks
	if none.Contains(netip.MustParseAddr("192.0.2.1")) {
		t.Error("no list contains an address")
	}
	if n := testing.AllocsPerRun(100, func() { n.Contains(netip.MustParseAddr("192.0.2.1")) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	_, err = ReadNetworks(strings.NewReader("192.0.2.0/24\nnonsense\n0.0.0.0/0\n"))
	if err == nil || !strings.Contains(err.Error(), "line 2") || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("a wrong list: %v", err)
	}
}

func TestTheListOfDataCentresCanBeRead(t *testing.T) {
	n, err := LoadNetworks("../../configs/guard/datacentres.txt")
	if err != nil {
		t.Fatal(err)
	}
	if n.Len() < 100 || !n.Contains(netip.MustParseAddr("5.9.1.2")) || n.Contains(netip.MustParseAddr("127.0.0.1")) || n.Contains(netip.MustParseAddr("192.168.1.1")) {
		t.Errorf("%d networks that are not what they should be", n.Len())
	}
}

func FuzzListsOfNetworksOfAnyKindAreRead(f *testing.F) {
	f.Add("192.0.2.0/24\n2001:db8::/32 # x")
	f.Fuzz(func(t *testing.T, text string) {
		n, err := ReadNetworks(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, s := range n.ranges {
			if s.last.Less(s.first) || !n.Contains(s.first) || !n.Contains(s.last) {
				t.Fatalf("%v", s)
			}
		}
	})
}
