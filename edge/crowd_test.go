package edge

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"fairgate/edge/guard"
	"fairgate/edge/lottery"
)

// Thousands of phones may share one address. Whoever is in the room is not locked out by what comes from next door.
func TestAFloodFromTheSameAddressDoesNotLockOutWhoIsInTheRoom(t *testing.T) {
	world := newWorld(t)
	world.addEvent("arena", time.Hour)
	c := testConfig(t, world.start())
	c.TrustedProxies = []string{"127.0.0.1"}
	c.Guard = guard.Config{
		Address: guard.Rate{PerSecond: 0.1, Burst: 20}, Crowd: guard.Rate{PerSecond: 0.1, Burst: 10}, Device: guard.Rate{PerSecond: 100, Burst: 1000},
		Subjects: 1000,
	}
	n := startNode(t, c).ready("arena")
	const nat = "X-Forwarded-For: 192.0.2.1"
	phone := newBuyer(t)
	eventually(t, "a receipt", func() bool {
		var got joinAnswer
		phone.do(n, "POST", "/q/arena/join", "{}", "X-Forwarded-For: 198.51.100.1").into(t, &got) // before it came here
		time.Sleep(20 * time.Millisecond)
		return got.Receipt != nil
	})
	for range 30 {
		newBuyer(t).do(n, "POST", "/q/arena/claim", "{}", nat)
	}
	newBuyer(t).do(n, "POST", "/q/arena/join", "{}", nat).expect(t, "a stranger behind the flooded address", 429, "rate_limited")
	thief := newBuyer(t)
	thief.cookies["fg_pass_arena"] = phone.cookies["fg_pass_arena"]
	thief.do(n, "POST", "/q/arena/join", "{}", nat).expect(t, "somebody with another browser's pass", 429, "rate_limited")
	forger := newBuyer(t)
	forger.cookies["fg_device"], forger.cookies["fg_pass_arena"] = phone.cookies["fg_device"], strings.Repeat("A", len(phone.cookies["fg_pass_arena"]))
	forger.do(n, "POST", "/q/arena/join", "{}", nat).expect(t, "somebody with a forged pass", 429, "rate_limited")
	for i := range 10 {
		if r := phone.do(n, "POST", "/q/arena/join", "{}", nat); r.status != 200 {
			t.Fatalf("request %d of a phone that is in the room: %d %s", i, r.status, r.body)
		}
	}
	phone.do(n, "POST", "/q/arena/join", "{}", nat).expect(t, "beyond what the crowd is allowed", 429, "rate_limited")
	if r := phone.do(n, "GET", "/q/arena/state", "", nat); r.status != 200 {
		t.Errorf("polling: %d", r.status)
	}
}

func TestANetworkIsLimitedBeyondItsAddresses(t *testing.T) {
	world := newWorld(t)
	world.addEvent("arena", time.Hour)
	c := testConfig(t, world.start())
	c.TrustedProxies = []string{"127.0.0.1"}
	c.Guard = guard.Config{Address: guard.Rate{PerSecond: 0.1, Burst: 5}, Network: guard.Rate{PerSecond: 0.1, Burst: 20}, Subjects: 1000}
	n := startNode(t, c).ready("arena")
	from := func(addr string) reply {
		return newBuyer(t).do(n, "POST", "/q/arena/claim", "{}", "X-Forwarded-For: "+addr)
	}
	for i := range 20 {
		if r := from(fmt.Sprintf("192.0.2.%d", i)); r.status == 429 {
			t.Fatalf("address %d: %s", i, r.body)
		}
	}
	from("192.0.2.200").expect(t, "a fresh address of a network that floods", 429, "rate_limited")
	if r := from("198.51.100.1"); r.status == 429 {
		t.Errorf("another network: %s", r.body)
	}
}

func TestAnInvitationIsLimitedWhateverBrowsersUseIt(t *testing.T) {
	world := newWorld(t)
	event := world.addEvent("club", time.Hour)
	world.change(func() { event.state.Identity = "invitation" })
	c := testConfig(t, world.start())
	c.Guard = guard.Config{Account: guard.Rate{PerSecond: 0.1, Burst: 5}, Subjects: 1000}
	n := startNode(t, c).ready("club")
	join := func(code string) reply {
		return newBuyer(t).do(n, "POST", "/q/club/join", `{"invitation":"`+code+`"}`)
	}
	invitation := func(n byte) string {
		return lottery.Invitation{Event: lottery.EventID("club"), ID: [16]byte{n}, KeyNo: 1}.Sign(event.invitation)
	}
	first, second := invitation(1), invitation(2)
	for i := range 5 {
		if r := join(first); r.status != 200 {
			t.Fatalf("browser %d: %d %s", i, r.status, r.body)
		}
	}
	join(first).expect(t, "a sixth browser with one invitation", 429, "rate_limited")
	if r := join(second); r.status != 200 {
		t.Errorf("another invitation: %d %s", r.status, r.body)
	}
}

func TestWhoJoinsIsJudgedAndAnsweredAllTheSame(t *testing.T) {
	world := newWorld(t)
	world.addEvent("arena", time.Hour)
	n := startNode(t, testConfig(t, world.start())).ready("arena")
	counted := func(name string) string {
		resp, err := http.Get("http://" + n.PrivateAddr().String() + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		_, after, _ := strings.Cut(string(got), name+" ")
		value, _, _ := strings.Cut(after, "\n")
		return value
	}
	if r := newBuyer(t).do(n, "POST", "/q/arena/join", `{"website":"https://example.com"}`, "User-Agent: python-requests/2.31"); r.status != 200 {
		t.Fatalf("a program: %d %s", r.status, r.body)
	}
	for name, want := range map[string]string{
		`edge_guard_signals_total{signal="honeypot"}`: "1", `edge_guard_signals_total{signal="headers_conflict"}`: "1",
		`edge_guard_verdicts_total{level="none"}`: "0",
	} {
		if got := counted(name); got != want {
			t.Errorf("%s is %q, want %s", name, got, want)
		}
	}
}
