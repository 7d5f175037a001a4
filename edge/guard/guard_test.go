package guard

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/bits-and-blooms/bloom/v3"
	"pgregory.net/rapid"
)

var epoch = time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)

func TestABurstIsAllowedAtOnceAndThenTheRate(t *testing.T) {
	l := newLimiter(Rate{PerSecond: 10, Burst: 3}, 1000, epoch)
	subject := []byte("a")
	for i := range 3 {
		if wait, _ := l.take(epoch, subject); wait != 0 {
			t.Fatalf("request %d of the burst has to wait %v", i+1, wait)
		}
	}
	wait, _ := l.take(epoch, subject)
	if wait != 100*time.Millisecond {
		t.Fatalf("the request after the burst waits %v; want 100ms", wait)
	}
	if wait, _ := l.take(epoch.Add(wait), subject); wait != 0 {
		t.Fatalf("after the announced wait it still waits %v", wait)
	}
	if wait, _ := l.take(epoch.Add(100*time.Millisecond), []byte("b")); wait != 0 {
		t.Fatalf("another subject waits %v", wait)
	}
}

func TestNoPatternOfRequestsGetsMoreThanBurstPlusRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := Rate{PerSecond: float64(rapid.IntRange(1, 100).Draw(t, "per_second")), Burst: rapid.IntRange(1, 20).Draw(t, "burst")}
		l := newLimiter(rate, 1000, epoch)
		now, allowed := epoch, 0
		for range rapid.IntRange(1, 200).Draw(t, "requests") {
			now = now.Add(time.Duration(rapid.IntRange(0, 300).Draw(t, "pause_ms")) * time.Millisecond)
			if wait, _ := l.take(now, []byte("x")); wait == 0 {
				allowed++
			} else if early, _ := l.take(now.Add(wait-1), []byte("x")); early == 0 {
				t.Fatalf("allowed %v before the announced wait was over", time.Nanosecond)
			}
			bound := float64(rate.Burst) + now.Sub(epoch).Seconds()*rate.PerSecond
			if float64(allowed) > bound+1e-6 {
				t.Fatalf("%d requests allowed in %v at %+v; bound %v", allowed, now.Sub(epoch), rate, bound)
			}
		}
	})
}

func TestALimiterForgetsThePaidUpFirstAndNeverGrowsBeyondItsSize(t *testing.T) {
	set := metrics.NewSet()
	config := DefaultConfig()
	config.Device, config.Subjects = Rate{PerSecond: 1, Burst: 2}, shardCount*8
	g := New(config, epoch, set)
	for i := range 10_000 {
		g.Take(Device, epoch, fmt.Appendf(nil, "subject-%d", i))
	}
	if n := g.limits[Device].subjects(); n > config.Subjects {
		t.Fatalf("remembers %d subjects; its size is %d", n, config.Subjects)
	}
	if g.counts.forgot[Device].Get() == 0 {
		t.Fatal("dropping subjects in debt was not counted")
	}

	// Later everybody is paid up: forgetting them is exact and is not counted.
	before := g.counts.forgot[Device].Get()
	for i := range 200 {
		g.Take(Device, epoch.Add(time.Hour+time.Duration(i)*10*time.Second), fmt.Appendf(nil, "later-%d", i))
	}
	if after := g.counts.forgot[Device].Get(); after != before {
		t.Fatalf("dropped %d subjects in debt although others were paid up", after-before)
	}
}

func TestARateOfZeroSwitchesALimitOff(t *testing.T) {
	config := DefaultConfig()
	config.Session = Rate{}
	g := New(config, epoch, metrics.NewSet())
	for range 10_000 {
		if wait := g.Take(Session, epoch, []byte("s")); wait != 0 {
			t.Fatalf("waits %v", wait)
		}
	}
}

func TestTakeCountsWhatItRefusesAndDoesNotAllocate(t *testing.T) {
	g := New(DefaultConfig(), epoch, metrics.NewSet())
	subject := []byte("0123456789abcdef")
	for range 100 {
		g.Take(Device, epoch, subject)
	}
	if refused := g.counts.refused[Device].Get(); refused != 80 {
		t.Fatalf("counted %d refusals; want 80", refused)
	}
	if n := testing.AllocsPerRun(1000, func() { g.Take(Address, epoch, subject) }); n != 0 {
		t.Fatalf("Take allocates %v times", n)
	}
}

func TestALimiterMayBeUsedByManyGoroutines(t *testing.T) {
	l := newLimiter(Rate{PerSecond: 1, Burst: 100}, 1000, epoch)
	var wg sync.WaitGroup
	var mu sync.Mutex
	allowed := 0
	for range 8 {
		wg.Go(func() {
			for range 100 {
				if wait, _ := l.take(epoch, []byte("x")); wait == 0 {
					mu.Lock()
					allowed++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if allowed != 100 {
		t.Fatalf("%d requests allowed; the burst is 100", allowed)
	}
}

func TestAddressesOfOneSubscriberAreOneSubject(t *testing.T) {
	same := func(a, b string) bool {
		return AddressSubject(netip.MustParseAddr(a)) == AddressSubject(netip.MustParseAddr(b))
	}
	if !same("2001:db8::1", "2001:db8::ffff:1") || same("2001:db8::1", "2001:db8:0:1::1") {
		t.Error("IPv6 addresses are not told apart by their /64")
	}
	if same("192.0.2.1", "192.0.2.2") || !same("192.0.2.1", "::ffff:192.0.2.1") {
		t.Error("IPv4 addresses are not told apart by the whole address")
	}
}

func banList(t *testing.T, kind Kind, subjects ...string) string {
	t.Helper()
	filter := bloom.NewWithEstimates(1000, 1e-6)
	for _, subject := range subjects {
		filter.Add(AppendBanKey(nil, kind, []byte(subject)))
	}
	var buf bytes.Buffer
	if _, err := filter.WriteTo(&buf); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(buf.Bytes())
}

func TestTheBanListKnowsItsSubjectsByKind(t *testing.T) {
	var bans Bans
	if bans.Maybe(BannedDevice, []byte("0123456789abcdef")) {
		t.Fatal("an empty list bans")
	}
	if err := bans.Load(7, banList(t, BannedDevice, "0123456789abcdef")); err != nil {
		t.Fatal(err)
	}
	if !bans.Maybe(BannedDevice, []byte("0123456789abcdef")) || bans.Version() != 7 {
		t.Fatal("a banned device is not found")
	}
	if bans.Maybe(BannedEntrant, []byte("0123456789abcdef")) || bans.Maybe(BannedDevice, []byte("fedcba9876543210")) {
		t.Fatal("somebody else is banned")
	}
	subject := []byte("0123456789abcdef")
	if n := testing.AllocsPerRun(1000, func() { bans.Maybe(BannedDevice, subject) }); n > 1 {
		t.Fatalf("a look-up allocates %v times", n)
	}
}

func TestABrokenBanListIsRefusedAndTheOldOneStays(t *testing.T) {
	var bans Bans
	if err := bans.Load(1, banList(t, BannedDevice, "d")); err != nil {
		t.Fatal(err)
	}
	huge := make([]byte, filterHeaderBytes+8)
	binary.BigEndian.PutUint64(huge, 1<<60)
	binary.BigEndian.PutUint64(huge[8:], 4)
	binary.BigEndian.PutUint64(huge[16:], 1<<60)
	for name, text := range map[string]string{
		"not base64": "!!", "empty": "", "short": "AAAA",
		"announces more bits than it has": base64.StdEncoding.EncodeToString(huge),
		"too long":                        strings.Repeat("A", 2*maxFilterBytes),
	} {
		if err := bans.Load(2, text); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if bans.Version() != 1 || !bans.Maybe(BannedDevice, []byte("d")) {
		t.Error("the old list is gone")
	}
}

func FuzzLoadingABanListNeverPanics(f *testing.F) {
	f.Add([]byte("0123456789012345678901234567890123456789"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var bans Bans
		if bans.Load(1, base64.StdEncoding.EncodeToString(raw)) == nil {
			bans.Maybe(BannedDevice, []byte("x"))
		}
	})
}

func TestBadRatesAreAllReported(t *testing.T) {
	config := Config{Device: Rate{PerSecond: -1}, Session: Rate{PerSecond: 1}, Address: Rate{PerSecond: 1, Burst: 1}, Subjects: 1}
	err := config.Validate()
	for _, want := range []string{"guard.device", "guard.session", "guard.subjects"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
	if err != nil && strings.Contains(err.Error(), "guard.address") {
		t.Errorf("%v blames a good rate", err)
	}
	if err := DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
}
