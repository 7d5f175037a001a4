package access

import (
	"encoding/hex"
	"testing"
	"time"

	"pgregory.net/rapid"

	"fairgate/edge/lottery"
)

func TestABlockHasTheDocumentedBytes(t *testing.T) {
	b := block{keyNo: 7, at: time.UnixMilli(0x0102030405).UTC(), entries: []Entry{{
		Entrant: lottery.Entrant{0xaa, 15: 0xbb}, Device: lottery.DeviceHash{0xcc, 15: 0xdd}, Network: [8]byte{0xee, 7: 0xff},
		Window: 0x01020304, Band: 1, Reason: lottery.ReasonNetworkSurplus,
	}}}
	const golden = "01" + "00000007" + "0000000102030405" + "00000001" +
		"aa0000000000000000000000000000bb" + "cc0000000000000000000000000000dd" + "ee000000000000ff" + "01020304" + "01" + "01"
	raw := b.append(nil)
	if got := hex.EncodeToString(raw); got != golden {
		t.Fatalf("the block is\n%s\nwant\n%s", got, golden)
	}
	back, err := parseBlock(raw)
	if err != nil {
		t.Fatal(err)
	}
	if back.keyNo != b.keyNo || !back.at.Equal(b.at) || len(back.entries) != 1 || back.entries[0] != b.entries[0] {
		t.Fatalf("read back %+v", back)
	}
}

func TestABlockThatIsCutOrLongerThanItSaysIsRefused(t *testing.T) {
	raw := block{keyNo: 1, at: time.UnixMilli(1), entries: make([]Entry, 3)}.append(nil)
	for n := range raw {
		if _, err := parseBlock(raw[:n]); err == nil {
			t.Fatalf("the first %d bytes of a block pass for one", n)
		}
	}
	if _, err := parseBlock(append(raw, 0)); err == nil {
		t.Fatal("a block with a byte too many passes")
	}
}

func TestEveryBlockReadsBackAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := block{keyNo: rapid.Uint32().Draw(t, "key"), at: time.UnixMilli(rapid.Int64Range(0, 1<<40).Draw(t, "at")).UTC()}
		for range rapid.IntRange(0, 5).Draw(t, "entries") {
			id := rapid.SliceOfN(rapid.Byte(), 40, 40).Draw(t, "id")
			b.entries = append(b.entries, Entry{
				Entrant: lottery.Entrant(id[:16]), Device: lottery.DeviceHash(id[16:32]), Network: [8]byte(id[32:]),
				Window: rapid.Uint32().Draw(t, "window"), Band: lottery.Band(rapid.Byte().Draw(t, "band")),
				Reason: lottery.Reason(rapid.Byte().Draw(t, "reason")),
			})
		}
		back, err := parseBlock(b.append(nil))
		if err != nil {
			t.Fatal(err)
		}
		if back.keyNo != b.keyNo || !back.at.Equal(b.at) || len(back.entries) != len(b.entries) {
			t.Fatalf("read back %+v", back)
		}
		for i := range b.entries {
			if back.entries[i] != b.entries[i] {
				t.Fatalf("entry %d read back as %+v", i, back.entries[i])
			}
		}
	})
}

func FuzzParseBlock(f *testing.F) {
	f.Add(block{keyNo: 1, at: time.UnixMilli(1), entries: make([]Entry, 2)}.append(nil))
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := parseBlock(raw)
		if err == nil && string(b.append(nil)) != string(raw) {
			t.Fatal("a block was read that is written otherwise")
		}
	})
}
