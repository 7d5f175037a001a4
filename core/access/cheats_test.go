package access

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"fairgate/edge/lottery"
)

// realDraw is an on-sale as it was played, and what people kept of it.
type realDraw struct {
	lottery.Transcript
	kept lottery.Evidence
	text []byte // of the transcript
}

// playDraw plays an on-sale of two windows: 30 entrants in time, of whom ten are surplus of one network, and ten late. All
// are called, every second comes, and the buyers keep their receipts and what the state objects said.
func playDraw(t *testing.T) realDraw {
	w := newWorld(t)
	w.sale.MaxPerNetwork, w.sale.PacePerSecond = 5, 20
	c := w.start(testConfig())
	scheduled := c.schedule(t, time.Hour)
	e := c.enroll(t, slug)
	joins := buyers(0, 30)
	for i := range joins[:15] {
		joins[i].Network = [8]byte{1}
	}
	acks := c.join(t, e, 1, joins)
	c.open(t)
	c.until(t, "the draw", func(s Status) bool { return s.Drawn == 30 })
	late := buyers(100, 10)
	acks = append(acks, c.join(t, e, 1, late)...)
	joins = append(joins, late...)
	half := c.until(t, "half of them called", calledAtLeast(15))
	end := c.until(t, "everybody called", calledAtLeast(40))
	for i := 0; i < len(joins); i += 2 {
		if r := c.redeem(t, e, joins[i], 1); r.Err != nil {
			t.Fatalf("entrant %d is not admitted: %v", i, r.Err)
		}
	}
	d := realDraw{kept: lottery.Evidence{Commitment: &scheduled.Commitment, Receipts: receiptsOf(acks)}}
	for _, s := range []Status{half, end} {
		d.kept.Cursors = append(d.kept.Cursors, lottery.SeenCursor{
			Place: lottery.Place{Window: s.Cursor.Window, Band: s.Cursor.Band, Value: uint64(s.Cursor.Value)}, Called: s.Called,
		})
	}
	for _, seen := range end.Windows {
		d.kept.Windows = append(d.kept.Windows, lottery.SeenWindow{Window: seen.Window, Root: seen.Root, Seed: seen.Seed})
	}
	transcript, err := c.Transcript(t.Context(), slug)
	if err != nil {
		t.Fatal(err)
	}
	if d.text, err = json.Marshal(transcript); err != nil {
		t.Fatal(err)
	}
	for _, secret := range [][]byte{w.sale.PseudonymKey, joins[0].Device[:], joins[0].Network[:], joins[20].Network[:], e.id[:]} {
		text, _ := lottery.Hex(secret).MarshalText()
		if bytes.Contains(d.text, text) {
			t.Errorf("the transcript tells the device, network, edge or key %s", text)
		}
	}
	return d
}

// again is the draw as it was, to plant a cheat in.
func (d realDraw) again(t *testing.T) *realDraw {
	t.Helper()
	read, err := lottery.ParseTranscript(d.text)
	if err != nil {
		t.Fatal(err)
	}
	kept := d.kept
	kept.Receipts = nil
	for _, r := range d.kept.Receipts {
		kept.Receipts = append(kept.Receipts, bytes.Clone(r))
	}
	kept.Windows = slices.Clone(kept.Windows)
	return &realDraw{read, kept, d.text}
}

// reseal makes a window consistent after its leaves were changed, as somebody with core's secrets would.
func (d *realDraw) reseal(i int) {
	w := &d.Windows[i]
	w.Entrants, w.Root = len(w.Leaves), lottery.Root(w.Leaves)
	w.Seed = lottery.Seed(lottery.EventID(slug), w.Window, w.Secret, w.Root, w.Beacon)
}

func TestEachOfTheTenCheatsIsNamedInADrawThatWasPlayed(t *testing.T) {
	t.Parallel()
	played := playDraw(t)
	if v := played.again(t).Verify(played.kept); !v.OK() || v.Check(lottery.CheckReceipts).Checked != 80 || v.Check(lottery.CheckPlaces).Checked != 20 {
		t.Fatalf("the draw as it was played:\n%s", v)
	}
	banded := func(d *realDraw, band lottery.Band) int {
		return slices.IndexFunc(d.Windows[0].Leaves, func(l lottery.Leaf) bool { return l.Band == band })
	}
	cheats := []struct {
		name  string
		plant func(d *realDraw)
		check string
		says  string
	}{
		{"swapped seed", func(d *realDraw) {
			d.Windows[0].Seed[0] ^= 1
		}, lottery.CheckSeeds, "the seed of window 0 was swapped"},
		{"inserted entrant", func(d *realDraw) {
			d.Windows[0].Leaves = append(d.Windows[0].Leaves, lottery.Leaf{Entrant: lottery.Entrant{1}})
			d.Windows[0].Entrants++
		}, lottery.CheckRoots, "entrants of window 0 were inserted, removed or demoted after the seal"},
		{"removed entrant", func(d *realDraw) {
			d.Windows[0].Leaves = slices.Delete(d.Windows[0].Leaves, 3, 4)
			d.reseal(0)
		}, lottery.CheckReceipts, "was removed: they have a receipt for window 0"},
		{"demotion after the seal", func(d *realDraw) {
			l := &d.Windows[0].Leaves[banded(d, 0)]
			l.Band, l.Reason = 1, lottery.ReasonNetworkSurplus
			d.reseal(0)
		}, lottery.CheckReceipts, "was moved or demoted: they have a receipt for window 0, band 0"},
		{"admission out of order", func(d *realDraw) {
			s := &d.Sessions[len(d.Sessions)-1]
			s.IssuedAt = d.Cursors[0].At.Add(-time.Millisecond)
		}, lottery.CheckSessions, "was admitted out of order"},
		{"wrong window", func(d *realDraw) {
			i := slices.IndexFunc(d.Sessions, func(a lottery.Admission) bool { return a.Window > 0 })
			d.Sessions[i].Window = 0
		}, lottery.CheckPlaces, "got a session for another place than they drew: for window 0"},
		{"truncated log", func(d *realDraw) {
			d.Cursors, d.Sessions = d.Cursors[:1], nil
		}, lottery.CheckPublished, "the log of the cursor is truncated or altered"},
		{"two roots", func(d *realDraw) {
			d.kept.Windows[0].Root[0] ^= 1
		}, lottery.CheckPublished, "window 0 has two roots"},
		{"altered receipt", func(d *realDraw) {
			i := slices.IndexFunc(d.kept.Receipts, func(b []byte) bool { r, _ := lottery.ParseReceipt(b); return r.Band == 1 })
			d.kept.Receipts[i][45] = 0 // the band
			d.kept.Receipts[i][46] = 0
		}, lottery.CheckReceipts, "is altered, or not core's"},
		{"reused secret", func(d *realDraw) {
			i := len(d.Windows) - 1
			d.Windows[i].Secret = d.Windows[0].Secret
			d.reseal(i)
		}, lottery.CheckCommitment, "reveals the secret of window 0 again"},
	}
	if len(cheats) != 10 {
		t.Fatalf("%d cheats", len(cheats))
	}
	for _, cheat := range cheats {
		t.Run(cheat.name, func(t *testing.T) {
			d := played.again(t)
			cheat.plant(d)
			v := d.Verify(d.kept)
			details := strings.Join(v.Check(cheat.check).Details, "\n")
			if v.OK() || !strings.Contains(details, cheat.says) {
				t.Errorf("%s does not say %q:\n%s", cheat.check, cheat.says, v)
			}
		})
	}
}

// The value of an entrant depends on the secret and on who is in the pool, and on nothing else: the same people who join in
// the opposite order, through other edges and other cores, get the same root, the same seed and the same places.
func TestTheOrderDoesNotDependOnWhenOrWhereSomebodyJoined(t *testing.T) {
	t.Parallel()
	secret := bytes.Repeat([]byte{7}, 32)
	chain, err := lottery.NewChain(lottery.EventID(slug), [32]byte(secret), chainOfOurOwn)
	if err != nil {
		t.Fatal(err)
	}
	commitment := chain.Commitment()
	joins := buyers(0, 60)
	for i := range joins { // formats of identity
		kind := []string{"device", "invitation", "account"}[i%3]
		joins[i].Entrant = lottery.NewEntrant(make([]byte, 32), kind, joins[i].Entrant[:])
	}
	draw := func(joins []Join, batch int) lottery.Transcript {
		w := newWorld(t)
		w.sale.Identity = "invitation"
		cores := []*core{w.start(testConfig()), w.start(testConfig())}
		w.execDraw(cores[0], t, secret, commitment[:])
		edges := []*edge{cores[0].enroll(t, slug), cores[1].enroll(t, slug), cores[0].enroll(t, slug)}
		n := 0
		for part := range slices.Chunk(joins, batch) {
			cores[n%2].join(t, edges[n%3], 2, part)
			n++
		}
		cores[0].open(t)
		cores[0].until(t, "everybody called", calledAtLeast(60))
		return cores[1].verify(t)
	}
	first := draw(joins, 7)
	backwards := slices.Clone(joins)
	slices.Reverse(backwards)
	second := draw(backwards, 13)
	a, b := first.Windows[0], second.Windows[0]
	if a.Root != b.Root || a.Seed != b.Seed || !slices.Equal(lottery.Order(a.Seed, 0, a.Leaves), lottery.Order(b.Seed, 0, b.Leaves)) {
		t.Fatalf("roots %s and %s, seeds %s and %s", a.Root, b.Root, a.Seed, b.Seed)
	}
	if slices.Equal(a.Leaves, b.Leaves) {
		t.Fatal("the leaves came in one and the same order: nothing was tried")
	}
}

// chainOfOurOwn is long enough for any on-sale of these tests.
const chainOfOurOwn = 8192

// execDraw schedules the second on-sale of an event, with a chain of the test's own.
func (w *world) execDraw(c *core, t testing.TB, secret, commitment []byte) {
	t.Helper()
	c.schedule(t, time.Hour)
	if _, err := c.End(t.Context(), slug, ""); err != nil {
		t.Fatal(err)
	}
	c.schedule(t, time.Hour)
	w.execOne(`UPDATE draws SET chain_secret = $1, commitment = $2, chain_length = $3, version = version + 1 WHERE generation = 2`, secret, commitment, int64(chainOfOurOwn))
}
