package lottery

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// opening is when the sale of honestDraw opens.
var opening = time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)

// honest is a draw without a cheat, and what people kept of it.
type honest struct {
	Transcript
	kept  Evidence
	order []Drawn
	chain Chain
}

// honestDraw is three windows of 60, 20 and 10 entrants, a tenth of each in band 1. The cursor moves by ten each second up
// to entrant 75; whoever it passes gets a session half a second later, except every fifth, who does not show up.
func honestDraw(t testing.TB) honest {
	t.Helper()
	event := EventID("arena")
	chain, err := NewChain(event, sha256.Sum256([]byte("honest")), 100)
	if err != nil {
		t.Fatal(err)
	}
	h := honest{chain: chain, Transcript: Transcript{
		Event: "arena", Generation: 2, Commitment: chain.Commitment(), Length: chain.Length(),
		Keys: PublicKeys{{No: 3, Public: Hex32(exampleKey().Public().(ed25519.PublicKey))}},
	}}
	commitment := h.Commitment
	h.kept.Commitment = &commitment
	for window, n := range []int{60, 20, 10} {
		w := SealedWindow{Window: uint32(window), Entrants: n, Beacon: Hex{}}
		for i := range n {
			l := Leaf{Entrant: NewEntrant([]byte("key"), "device", fmt.Appendf(nil, "%d/%d", window, i))}
			if i%10 == 9 {
				l.Band, l.Reason = 1, ReasonNetworkSurplus
			}
			w.Leaves = append(w.Leaves, l)
			h.kept.Receipts = append(h.kept.Receipts, Receipt{
				Event: event, Entrant: l.Entrant, Generation: 2, Window: w.Window, Band: l.Band, Reason: l.Reason,
				AcknowledgedAt: opening.Add(-time.Minute), KeyNo: 3,
			}.Sign(exampleKey()))
		}
		if w.Secret, err = chain.Secret(w.Window); err != nil {
			t.Fatal(err)
		}
		w.Root = Root(w.Leaves)
		w.Seed = Seed(event, w.Window, w.Secret, w.Root, w.Beacon)
		h.order = append(h.order, Order(w.Seed, w.Window, w.Leaves)...)
		h.Windows = append(h.Windows, w)
		h.kept.Windows = append(h.kept.Windows, SeenWindow{Window: w.Window, Root: w.Root, Seed: w.Seed})
	}
	for called := 10; called <= 75; called += 10 {
		h.moveCursor(called, opening.Add(time.Duration(called/10)*time.Second))
	}
	h.moveCursor(75, opening.Add(8*time.Second))
	for _, move := range h.Cursors {
		h.kept.Cursors = append(h.kept.Cursors, SeenCursor{Place: move.Place(), Called: move.Called})
	}
	for i, d := range h.order[:75] {
		if i%5 != 4 {
			h.Sessions = append(h.Sessions, session(d, opening.Add(time.Duration(i/10+1)*time.Second+500*time.Millisecond)))
		}
	}
	return h
}

func (h *honest) moveCursor(called int, at time.Time) {
	d := h.order[called-1]
	h.Cursors = append(h.Cursors, CursorMove{Window: d.Window, Band: d.Band, Value: Fraction(d.Value), Called: called, At: at})
}

func session(d Drawn, at time.Time) Admission {
	return Admission{Entrant: d.Entrant, Window: d.Window, Band: d.Band, Value: Fraction(d.Value), IssuedAt: at}
}

// reseal makes window i consistent again after its leaves or secret were changed, as a cheat with the keys would.
func (h *honest) reseal(i int) {
	w := &h.Windows[i]
	w.Entrants = len(w.Leaves)
	w.Root = Root(w.Leaves)
	w.Seed = Seed(EventID(h.Event), w.Window, w.Secret, w.Root, w.Beacon)
}

func TestAnHonestDrawPassesEveryCheckAndEveryCheckFindsSomethingToCheck(t *testing.T) {
	h := honestDraw(t)
	text, err := json.Marshal(h.Transcript)
	if err != nil {
		t.Fatal(err)
	}
	read, err := ParseTranscript(text)
	if err != nil {
		t.Fatal(err)
	}
	v := read.Verify(h.kept)
	if !v.OK() {
		t.Fatalf("the honest draw fails:\n%s", v)
	}
	for name, want := range map[string]int{
		CheckRoots: 3, CheckSeeds: 3, CheckBands: 90, CheckEntrants: 90, CheckCalled: 8,
		CheckPlaces: 60, CheckReceipts: 180, CheckPublished: 18, CheckBeacon: 3,
	} {
		if got := v.Check(name).Checked; got != want {
			t.Errorf("%s checked %d, want %d", name, got, want)
		}
	}
	for _, c := range v.Checks {
		if c.Checked == 0 {
			t.Errorf("%s checked nothing", c.Name)
		}
	}
}

func TestEveryPlantedCheatIsFoundByTheCheckThatIsThereForIt(t *testing.T) {
	other := sha256.Sum256([]byte("other"))
	for _, cheat := range []struct {
		name  string
		plant func(h *honest)
		by    []string // all checks that fail
		says  string
	}{
		{"the seed is swapped for one that pleases", func(h *honest) {
			h.Windows[0].Seed = other
		}, []string{CheckSeeds, CheckPublished}, "the seed of window 0 was swapped"},
		{"the seed is swapped and everything after it was drawn with it", func(h *honest) {
			w := &h.Windows[0]
			w.Seed = other
			h.Cursors, h.Sessions = nil, nil
			h.order = Order(w.Seed, 0, w.Leaves)
			h.moveCursor(10, opening.Add(time.Second))
			for _, d := range h.order[:10] {
				h.Sessions = append(h.Sessions, session(d, opening.Add(2*time.Second)))
			}
		}, []string{CheckSeeds, CheckPublished, CheckCalled, CheckPlaces, CheckSessions}, "and drew window 0"},
		{"an entrant is slipped in after the seal", func(h *honest) {
			w := &h.Windows[0]
			w.Leaves = append(w.Leaves, Leaf{Entrant: Entrant{1}})
			w.Entrants++
		}, []string{CheckRoots, CheckCalled}, "inserted, removed or demoted after the seal"},
		{"an entrant is slipped in and root and seed made anew", func(h *honest) {
			h.Windows[2].Leaves = append(h.Windows[2].Leaves, Leaf{Entrant: Entrant{1}})
			h.reseal(2)
		}, []string{CheckPublished}, "window 2 has two roots"},
		{"an entrant is removed after the seal", func(h *honest) {
			w := &h.Windows[2]
			w.Leaves = w.Leaves[1:]
			w.Entrants--
		}, []string{CheckRoots, CheckReceipts}, "was removed: they have a receipt"},
		{"leaves are lost without the count", func(h *honest) {
			h.Windows[2].Entrants++
		}, []string{CheckWindows}, "says 11 entrants and has 10 leaves"},
		{"an entrant is demoted after the seal", func(h *honest) {
			h.Windows[2].Leaves[0].Band, h.Windows[2].Leaves[0].Reason = 1, ReasonNetworkSurplus
		}, []string{CheckRoots, CheckReceipts}, "reason network_surplus"},
		{"an entrant is demoted before the seal, against the receipt", func(h *honest) {
			h.Windows[2].Leaves[0].Band, h.Windows[2].Leaves[0].Reason = 1, ReasonNetworkSurplus
			h.reseal(2)
		}, []string{CheckPublished, CheckReceipts}, "was moved or demoted: they have a receipt for window 2, band 0"},
		{"an entrant is demoted without a reason", func(h *honest) {
			h.Windows[2].Leaves[0].Band = 2
			h.reseal(2)
		}, []string{CheckPublished, CheckReceipts, CheckBands}, "in band 2 for reason 0"},
		{"an entrant is drawn twice", func(h *honest) {
			h.Windows[2].Leaves = append(h.Windows[2].Leaves, h.Windows[0].Leaves[0])
			h.reseal(2)
		}, []string{CheckPublished, CheckEntrants}, "in window 0 and again in window 2"},
		{"somebody is admitted out of order", func(h *honest) {
			h.Sessions = append(h.Sessions, session(h.order[80], opening.Add(9*time.Second)))
		}, []string{CheckSessions}, "the cursor had not reached them"},
		{"somebody is admitted a second too early", func(h *honest) {
			h.Sessions[20].IssuedAt = h.Sessions[20].IssuedAt.Add(-time.Second)
		}, []string{CheckSessions}, "the cursor had not reached them"},
		{"somebody is admitted before anybody was called", func(h *honest) {
			h.Sessions[0].IssuedAt = opening
		}, []string{CheckSessions}, "the cursor had not reached them"},
		{"somebody is admitted who never joined", func(h *honest) {
			h.Sessions[0].Entrant = Entrant{9}
		}, []string{CheckSessions}, "is in no pool"},
		{"somebody is admitted twice", func(h *honest) {
			h.Sessions = append(h.Sessions, h.Sessions[0])
		}, []string{CheckSessions}, "got two sessions"},
		{"a latecomer is admitted as one of the first window", func(h *honest) {
			s := session(h.order[85], opening.Add(9*time.Second))
			s.Window = 0
			h.Sessions = append(h.Sessions, s)
		}, []string{CheckPlaces, CheckSessions}, "got a session for another place than they drew: for window 0"},
		{"somebody is admitted for a better value than they drew", func(h *honest) {
			h.Sessions[3].Value--
		}, []string{CheckPlaces}, "got a session for another place"},
		{"the end of the log is cut off, and the sessions of that time with it", func(h *honest) {
			h.Cursors, h.Sessions = h.Cursors[:4], h.Sessions[:32]
		}, []string{CheckPublished}, "the log of the cursor is truncated or altered"},
		{"the end of the cursor log is cut off", func(h *honest) {
			h.Cursors = h.Cursors[:6]
		}, []string{CheckSessions, CheckPublished}, "the cursor had not reached them"},
		{"the beginning of the cursor log is cut off", func(h *honest) {
			h.Cursors = h.Cursors[1:]
		}, []string{CheckSessions, CheckPublished}, "the cursor had not reached them"},
		{"a piece is cut out of the cursor log", func(h *honest) {
			h.Cursors = slices.Delete(h.Cursors, 2, 5)
		}, []string{CheckSessions, CheckPublished}, "the cursor had not reached them"},
		{"the cursor goes back", func(h *honest) {
			h.moveCursor(50, opening.Add(20*time.Second))
		}, []string{CheckCursor}, "position 8 is before position 7"},
		{"the cursor log is put in another order", func(h *honest) {
			h.Cursors[6].At = h.Cursors[7].At.Add(time.Second)
		}, []string{CheckCursor, CheckSessions}, "of an earlier time"},
		{"the cursor skips over people that are in no transcript", func(h *honest) {
			h.Cursors[7].Called++
		}, []string{CheckCalled, CheckPublished}, "says it had called 76, it had called 75"},
		{"the cursor is in a window that was never sealed", func(h *honest) {
			h.Cursors = append(h.Cursors, CursorMove{Window: 3, Called: 90, At: opening.Add(time.Minute)})
		}, []string{CheckCursor}, "window 3, which is not sealed"},
		{"a window has two roots", func(h *honest) {
			w := h.Windows[0]
			w.Leaves = w.Leaves[1:]
			w.Root = Root(w.Leaves)
			h.Windows = append(h.Windows, w)
		}, []string{CheckWindows}, "window 0 has two roots"},
		{"a root was shown that is not the transcript's", func(h *honest) {
			h.kept.Windows[1].Root = other
		}, []string{CheckPublished}, "window 1 has two roots"},
		{"a window is left out", func(h *honest) {
			h.Windows = slices.Delete(h.Windows, 1, 2)
			h.Cursors, h.Sessions = h.Cursors[:6], nil
		}, []string{CheckWindows, CheckPublished, CheckReceipts}, "windows 1 to 1 are missing"},
		{"nothing was sealed", func(h *honest) {
			h.Windows, h.Cursors, h.Sessions, h.kept = nil, nil, nil, Evidence{}
		}, []string{CheckWindows}, "there is nothing to verify"},
		{"a receipt is altered", func(h *honest) {
			h.kept.Receipts[0][45] ^= 1
		}, []string{CheckReceipts}, "is altered, or not core's: lottery: signature does not verify"},
		{"a receipt is cut", func(h *honest) {
			h.kept.Receipts[0] = h.kept.Receipts[0][:100]
		}, []string{CheckReceipts}, "malformed"},
		{"a receipt is signed by a key that is not core's", func(h *honest) {
			r, _ := ParseReceipt(h.kept.Receipts[0])
			h.kept.Receipts[0] = r.Sign(ed25519.NewKeyFromSeed(counting(0x81, 32)))
		}, []string{CheckReceipts}, "is altered, or not core's: lottery: signature does not verify"},
		{"a receipt is of another on-sale", func(h *honest) {
			r, _ := ParseReceipt(h.kept.Receipts[0])
			r.Generation++
			h.kept.Receipts[0] = r.Sign(exampleKey())
		}, []string{CheckReceipts}, "another on-sale"},
		{"the holder of a receipt was moved to a later window", func(h *honest) {
			r, _ := ParseReceipt(h.kept.Receipts[89])
			r.Window = 1
			h.kept.Receipts[89] = r.Sign(exampleKey())
		}, []string{CheckReceipts}, "and are in window 2"},
		{"a secret is used again", func(h *honest) {
			h.Windows[1].Secret = h.Windows[0].Secret
			h.reseal(1)
			h.Sessions, h.Cursors = nil, nil
		}, []string{CheckCommitment, CheckPublished}, "reveals the secret of window 0 again"},
		{"the secrets of an earlier on-sale are used again", func(h *honest) {
			again := h.Transcript
			again.Generation--
			h.kept.Earlier = []Transcript{again}
		}, []string{CheckCommitment}, "reveals a secret again that sale 1 of arena has revealed"},
		{"a value is put into the seed that nobody named in advance", func(h *honest) {
			for i := range h.Windows {
				h.Windows[i].Beacon = Hex("pleasing")
				h.reseal(i)
			}
			h.Cursors, h.Sessions, h.kept.Windows, h.kept.Cursors = nil, nil, nil, nil
		}, []string{CheckBeacon}, "none was named in advance"},
		{"a beacon is named afterwards", func(h *honest) {
			h.BeaconName = "the numbers of the lottery of yesterday"
			for i := range h.Windows {
				h.Windows[i].Beacon = Hex("1 2 3")
				h.reseal(i)
			}
			h.Cursors, h.Sessions, h.kept.Windows, h.kept.Cursors = nil, nil, nil, nil
		}, []string{CheckCommitment}, "is not the one committed to"},
		{"a secret is not the one committed to", func(h *honest) {
			h.Windows[2].Secret = other
			h.reseal(2)
		}, []string{CheckCommitment, CheckPublished}, "is not the one committed to"},
		{"the commitment is exchanged for one that fits", func(h *honest) {
			chain, _ := NewChain(EventID("arena"), other, 100)
			h.Commitment = chain.Commitment()
			for i := range h.Windows {
				h.Windows[i].Secret, _ = chain.Secret(uint32(i))
				h.reseal(i)
			}
			h.Sessions, h.Cursors = nil, nil
		}, []string{CheckPublished}, "the commitment seen was"},
		{"a window is drawn beyond the chain", func(h *honest) {
			h.Length = 2
		}, []string{CheckCommitment}, "window 2 is beyond the chain of 2"},
		{"the draw is told as that of another event", func(h *honest) {
			h.Event = "club"
			h.Sessions, h.Cursors = nil, nil
		}, []string{CheckCommitment, CheckSeeds, CheckReceipts, CheckPublished}, "is not the one committed to"},
	} {
		t.Run(cheat.name, func(t *testing.T) {
			h := honestDraw(t)
			cheat.plant(&h)
			v := h.Verify(h.kept)
			if v.OK() {
				t.Fatal("not found")
			}
			var failed []string
			for _, c := range v.Checks {
				if c.Failed > 0 {
					failed = append(failed, c.Name)
				}
				if min(c.Failed, maxDetails) != len(c.Details) {
					t.Errorf("%s failed %d times and tells %d", c.Name, c.Failed, len(c.Details))
				}
			}
			slices.Sort(failed)
			slices.Sort(cheat.by)
			if !slices.Equal(failed, cheat.by) {
				t.Errorf("found by %v, want %v", failed, cheat.by)
			}
			if !strings.Contains(v.String(), cheat.says) {
				t.Errorf("nothing says %q:\n%s", cheat.says, v)
			}
		})
	}
}

func TestAReceiptForAWindowNotYetSealedIsLeftOut(t *testing.T) {
	h := honestDraw(t)
	r, err := ParseReceipt(h.kept.Receipts[0])
	if err != nil {
		t.Fatal(err)
	}
	r.Window = 3
	v := h.Verify(Evidence{Receipts: [][]byte{r.Sign(exampleKey())}})
	if c := v.Check(CheckReceipts); !v.OK() || c.Checked != 0 {
		t.Errorf("receipts: %+v", c)
	}
}

// A walk down the chain takes milliseconds; 3,000 false secrets must not make the verifier walk 3,000 times.
func TestFalseSecretsDoNotKeepTheVerifierBusy(t *testing.T) {
	tr := Transcript{Event: "arena", Length: MaxChain}
	for w := range uint32(3000) {
		tr.Windows = append(tr.Windows, SealedWindow{Window: 10_000 + w, Secret: sha256.Sum256(fmt.Append(nil, w))})
	}
	began := time.Now()
	descend(EventID("arena"), [32]byte{}, 10_000, -1)
	walk := time.Since(began)
	began = time.Now()
	v := tr.Verify()
	if took := time.Since(began); took > 500*walk {
		t.Errorf("it took %s, %d walks", took, took/walk)
	}
	if c := v.Check(CheckCommitment); c.Failed != 3000 || len(c.Details) != maxDetails {
		t.Errorf("%d failed, %d told", c.Failed, len(c.Details))
	}
}

func TestTranscriptsAreReadStrictly(t *testing.T) {
	for name, text := range map[string]string{
		"empty":            ``,
		"two values":       `{"event":"arena"}{}`,
		"unknown field":    `{"event":"arena","seed":""}`,
		"no event":         `{}`,
		"leaves cut":       `{"event":"arena","windows":[{"leaves":"AAAA"}]}`,
		"leaves no base64": `{"event":"arena","windows":[{"leaves":"%"}]}`,
	} {
		if _, err := ParseTranscript([]byte(text)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
