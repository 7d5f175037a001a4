package access

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/edge/admission"
	"fairgate/edge/lottery"
)

func TestAnOnSaleGoesFromJoiningToAdmittedAndItsTranscriptVerifies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.start(testConfig())
	status := c.schedule(t, time.Hour)
	if status.Phase != Joining || status.Commitment == (lottery.Hex32{}) || status.Generation != 1 {
		t.Fatalf("scheduled: %+v", status)
	}
	e := c.enroll(t, slug)
	acks := c.join(t, e, 1, buyers(0, 300))
	for i, ack := range acks {
		if ack.Window != 0 || ack.Band != 0 || ack.OtherDevice {
			t.Fatalf("entrant %d: %+v", i, ack)
		}
	}
	if got := c.redeem(t, e, buyer(0), 1); !errors.Is(got.Err, ErrNotInPool) {
		t.Fatalf("a turn before the draw: %v", got.Err)
	}
	c.mark(t, e, 1, 0)
	c.open(t)
	drawn := c.until(t, "everybody called", calledAtLeast(300))
	if drawn.Phase != Open || drawn.Drawn != 300 {
		t.Fatalf("after the draw: %+v", drawn)
	}
	answer := c.redeem(t, e, buyer(7), 1)
	if answer.Err != nil {
		t.Fatalf("redeem: %v", answer.Err)
	}
	session, err := c.CheckSession(answer.Session, buyer(7).Device)
	if err != nil || session.Entrant != buyer(7).Entrant || session.Event != lottery.EventID(slug) {
		t.Fatalf("the session %+v: %v", session, err)
	}
	transcript := c.verify(t, receiptsOf(acks)...)
	if len(transcript.Sessions) != 1 || len(transcript.Windows) != 1 || transcript.Windows[0].Entrants != 300 {
		t.Fatalf("the transcript has %d sessions and %d windows", len(transcript.Sessions), len(transcript.Windows))
	}
}

func TestJoiningTwiceGivesTheFirstReceiptAgainWhateverTheCore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.start(testConfig()), w.start(testConfig())
	a.schedule(t, time.Hour)
	e := a.enroll(t, slug)
	first := a.join(t, e, 1, buyers(0, 3))[1]
	other := buyer(1)
	other.Device, other.Network, other.Window = lottery.DeviceHash{9}, [8]byte{9}, 5
	for _, c := range []*core{a, b, a} {
		again := c.join(t, e, 1, []Join{other})[0]
		if !bytes.Equal(again.Receipt, first.Receipt) || again.Window != first.Window || !again.OtherDevice {
			t.Fatalf("again: %+v, first: %+v", again, first)
		}
	}
	if status, _ := b.Status(t.Context(), slug); status.Joined != 3 {
		t.Fatalf("%d joined", status.Joined)
	}
}

func TestSurplusDevicesOfOneNetworkGoToTheLaterBandBothCoresCounting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sale.MaxPerNetwork = 4
	a, b := w.start(testConfig()), w.start(testConfig())
	a.schedule(t, time.Hour)
	e := a.enroll(t, slug)
	bands := make(map[lottery.Band]int)
	for i := range 10 {
		j := buyer(i)
		j.Network = [8]byte{1}
		ack := []*core{a, b}[i%2].join(t, e, 1, []Join{j})[0]
		bands[ack.Band]++
		if (ack.Band == 1) != (ack.Reason == lottery.ReasonNetworkSurplus) {
			t.Fatalf("band %d for reason %s", ack.Band, ack.Reason)
		}
	}
	alone := a.join(t, e, 1, []Join{buyer(50)})[0]
	if bands[0] != 4 || bands[1] != 6 || alone.Band != 0 {
		t.Fatalf("bands %v, another network's in band %d", bands, alone.Band)
	}
	a.open(t)
	c := a.until(t, "the draw", func(s Status) bool { return s.Drawn == 11 })
	if c.Windows[0].Entrants != 11 {
		t.Fatalf("sealed: %+v", c.Windows)
	}
	a.verify(t)
}

func TestInvitedEntrantsAreNotBandedByTheirNetwork(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sale.MaxPerNetwork, w.sale.Identity = 1, "invitation"
	c := w.start(testConfig())
	c.schedule(t, time.Hour)
	e := c.enroll(t, slug)
	joins := buyers(0, 5)
	for i := range joins {
		joins[i].Network = [8]byte{1}
	}
	for _, ack := range c.join(t, e, 1, joins) {
		if ack.Band != 0 {
			t.Fatalf("band %d", ack.Band)
		}
	}
}

func TestOneDrawAndOneSessionEachWithTwoCoresAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.start(testConfig()), w.start(testConfig())
	a.schedule(t, time.Hour)
	cores := []*core{a, b}
	edges := []*edge{a.enroll(t, slug), b.enroll(t, slug)}
	const n = 400
	var wait sync.WaitGroup
	for i, c := range cores { // both get everybody: edges may send the same entrant to either
		wait.Go(func() {
			for from := 0; from < n; from += 40 {
				c.join(t, edges[i], 1, buyers((from+i*200)%n, 40))
			}
			c.mark(t, edges[i], 1, 0)
		})
	}
	wait.Wait()
	b.open(t)
	for _, c := range cores {
		if s := c.until(t, "everybody called", calledAtLeast(n)); s.Joined != n {
			t.Fatalf("%d joined, %d came", s.Joined, n)
		}
	}
	sessions := make([][n]uuid.UUID, 2)
	for i, c := range cores {
		wait.Go(func() {
			for k := range n {
				got := c.redeem(t, edges[i], buyer(k), 1)
				if got.Err != nil {
					t.Errorf("buyer %d at core %d: %v", k, i, got.Err)
					return
				}
				session, err := cores[1-i].CheckSession(got.Session, buyer(k).Device)
				if err != nil {
					t.Errorf("the other core refuses the session: %v", err)
				}
				sessions[i][k] = session.Session
			}
		})
	}
	wait.Wait()
	if sessions[0] != sessions[1] {
		t.Error("the two cores gave different sessions to one entrant")
	}
	transcript := a.verify(t)
	if len(transcript.Sessions) != n || len(transcript.Windows) != 1 {
		t.Fatalf("%d sessions, %d windows", len(transcript.Sessions), len(transcript.Windows))
	}
	if sa, sb := a.until(t, "a", phase(Open)), b.until(t, "b", phase(Open)); sa.Windows[0].Seed != sb.Windows[0].Seed || sa.Driver != sb.Driver {
		t.Fatal("the cores disagree about the draw or who drives")
	}
}

func TestACoreThatComesBackHasThePoolTheDrawAndTheSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.start(testConfig())
	first.schedule(t, time.Hour)
	e := first.enroll(t, slug)
	acks := first.join(t, e, 1, buyers(0, 50))
	first.stop()

	second := w.start(testConfig()) // in the middle of joining
	again := second.join(t, e, 1, buyers(0, 60))
	if !bytes.Equal(again[3].Receipt, acks[3].Receipt) {
		t.Fatal("the receipt after the restart is another one")
	}
	second.open(t)
	second.until(t, "everybody called", calledAtLeast(60))
	given := second.redeem(t, e, buyer(3), 1)
	second.stop()

	third := w.start(testConfig()) // in the middle of the sale
	got := third.redeem(t, e, buyer(3), 1)
	if got.Err != nil || !bytes.Equal(got.Session, given.Session) {
		t.Fatalf("the session after the restart: %v", got.Err)
	}
	if got := third.redeem(t, e, buyer(4), 1); got.Err != nil {
		t.Fatalf("a turn after the restart: %v", got.Err)
	}
	third.verify(t, receiptsOf(again)...)
}

func TestASessionIsBelievedOnlyWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sale.SessionTTL = 1200 * time.Millisecond
	c := w.start(testConfig())
	c.schedule(t, time.Hour)
	e := c.enroll(t, slug)
	c.join(t, e, 1, buyers(0, 2))
	c.open(t)
	c.until(t, "everybody called", calledAtLeast(2))
	got := c.redeem(t, e, buyer(0), 1)
	if got.Err != nil {
		t.Fatal(got.Err)
	}
	if _, err := c.CheckSession(got.Session, buyer(1).Device); !errors.Is(err, ErrDeviceMismatch) {
		t.Errorf("another device: %v", err)
	}
	for i := range got.Session {
		bent := bytes.Clone(got.Session)
		bent[i] ^= 1
		_, err := c.CheckSession(bent, buyer(0).Device)
		filterOnly := i >= admission.SessionSize-32 && i < admission.SessionSize-16 // the edges' MAC is not core's business
		if (err == nil) != filterOnly {
			t.Fatalf("byte %d bent: %v", i, err)
		}
	}
	if _, err := c.CheckSession(got.Session[:20], buyer(0).Device); !errors.Is(err, ErrSessionMalformed) {
		t.Errorf("cut: %v", err)
	}
	time.Sleep(1300 * time.Millisecond)
	session, err := c.CheckSession(got.Session, buyer(0).Device)
	if !errors.Is(err, ErrSessionExpired) || session.Entrant != buyer(0).Entrant {
		t.Errorf("expired: %+v, %v", session, err)
	}
	if again := c.redeem(t, e, buyer(0), 1); !errors.Is(again.Err, ErrSessionExpired) {
		t.Errorf("a second session after the first is over: %v", again.Err)
	}
}

func TestWorkInFlightEndsWithTheContext(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.start(testConfig())
	c.schedule(t, time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.JoinBatch(ctx, JoinRequest{Edge: uuid.New(), Event: slug, Generation: 1, Entries: buyers(0, 1)}); !errors.Is(err, context.Canceled) {
		t.Fatalf("joining with a dead context: %v", err)
	}
}
