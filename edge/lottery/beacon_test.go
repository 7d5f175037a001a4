package lottery

import (
	"strings"
	"testing"
)

// withBeacon makes the honest draw again as one with a beacon.
func withBeacon(t *testing.T, name string, value []byte) honest {
	t.Helper()
	h := honestDraw(t)
	h.BeaconName = name
	h.Commitment = Commit(h.chain.Commitment(), name)
	commitment := h.Commitment
	h.kept = Evidence{Commitment: &commitment, Beacon: value, Receipts: h.kept.Receipts}
	for i := range h.Windows {
		h.Windows[i].Beacon = value
		h.reseal(i)
		w := h.Windows[i]
		h.kept.Windows = append(h.kept.Windows, SeenWindow{Window: w.Window, Root: w.Root}) // as seen before the value was known
	}
	h.Cursors, h.Sessions = nil, nil
	return h
}

func TestADrawWithTheBeaconThatWasNamedInAdvanceVerifies(t *testing.T) {
	h := withBeacon(t, "round 4242 of the beacon", []byte("8b1c"))
	v := h.Verify(h.kept)
	if !v.OK() {
		t.Fatalf("it does not:\n%s", v)
	}
	if n := v.Check(CheckBeacon).Checked; n != 7 {
		t.Errorf("%d checks of the beacon, want 7: two of each window, and the value that was read", n)
	}
}

func TestEveryCheatWithTheBeaconIsFound(t *testing.T) {
	for _, cheat := range []struct {
		name  string
		plant func(h *honest)
		by    string
		says  string
	}{
		{"another round is named once both are known", func(h *honest) {
			h.BeaconName = "round 4243 of the beacon"
		}, CheckCommitment, "is not the one committed to"},
		{"the name is left out, and the value with it", func(h *honest) {
			h.BeaconName = ""
			for i := range h.Windows {
				h.Windows[i].Beacon = Hex{}
				h.reseal(i)
			}
		}, CheckCommitment, "is not the one committed to"},
		{"the value is left out", func(h *honest) {
			h.Windows[0].Beacon = Hex{}
			h.reseal(0)
		}, CheckBeacon, "has a beacon of 0 bytes"},
		{"the value is not the one that could be read", func(h *honest) {
			for i := range h.Windows {
				h.Windows[i].Beacon = Hex("0000")
				h.reseal(i)
			}
		}, CheckBeacon, `the beacon read was "8b1c", the transcript has "0000"`},
		{"a later window has another value", func(h *honest) {
			h.Windows[1].Beacon = Hex("8b1d")
			h.reseal(1)
		}, CheckBeacon, "window 1 has another beacon"},
		{"the pool is changed after the value was known", func(h *honest) {
			h.Windows[0].Leaves = append(h.Windows[0].Leaves, Leaf{Entrant: Entrant{1}})
			h.reseal(0)
		}, CheckPublished, "window 0 has two roots"},
	} {
		t.Run(cheat.name, func(t *testing.T) {
			h := withBeacon(t, "round 4242 of the beacon", []byte("8b1c"))
			cheat.plant(&h)
			v := h.Verify(h.kept)
			if v.Check(cheat.by).Failed == 0 || !strings.Contains(v.String(), cheat.says) {
				t.Errorf("%s does not say %q:\n%s", cheat.by, cheat.says, v)
			}
		})
	}
}

func TestNamesAndValuesOfBeaconsAreBounded(t *testing.T) {
	for name, want := range map[string]bool{
		"round 4242 of the beacon": true, "die Ziehung vom 6. März": true, strings.Repeat("a", MaxBeaconName): true,
		"": false, strings.Repeat("a", MaxBeaconName+1): false, "a\nb": false, "a\x00": false, "\xff": false,
	} {
		if ValidBeaconName(name) != want {
			t.Errorf("ValidBeaconName(%.20q) is %t", name, !want)
		}
	}
	for n, want := range map[int]bool{0: false, 1: true, MaxBeaconValue: true, MaxBeaconValue + 1: false} {
		if ValidBeaconValue(make([]byte, n)) != want {
			t.Errorf("a value of %d bytes is %t", n, !want)
		}
	}
	if _, err := ParseTranscript([]byte(`{"event":"arena","beacon_name":"a\nb"}`)); err == nil {
		t.Error("a transcript with a name of two lines is read")
	}
}

func TestTheCommitmentCoversTheNameOfTheBeacon(t *testing.T) {
	end := [32]byte{1}
	if Commit(end, "") != end {
		t.Error("without a beacon the commitment is not the end of the chain")
	}
	if Commit(end, "a") == Commit(end, "b") || Commit(end, "a") == Commit([32]byte{2}, "a") || Commit(end, "a") == end {
		t.Error("two draws have one commitment")
	}
}
