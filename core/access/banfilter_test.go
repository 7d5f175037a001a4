package access

import (
	"encoding/base64"
	"encoding/binary"
	"testing"

	"fairgate/edge/guard"
)

// The sizes that BanFilter states, and the rate of false hits, measured on the edge's side with what core built.
func TestTheBanFilterHasTheSizeAndTheFalseHitsItStates(t *testing.T) {
	for _, c := range []struct {
		bans  int
		bytes int
	}{{1_000, 2_500}, {100_000, 240_000}} {
		keys := make([][]byte, c.bans)
		for i := range keys {
			keys[i] = appendBanKey(nil, BanDevice, binary.BigEndian.AppendUint64(make([]byte, 8), uint64(i)))
		}
		made, err := makeBanFilter(keys, 1e-4)
		if err != nil {
			t.Fatal(err)
		}
		if n := base64.StdEncoding.DecodedLen(len(made.Filter)); n > c.bytes {
			t.Errorf("%d bans are %d bytes, at most %d are stated", c.bans, n, c.bytes)
		}
		var bans guard.Bans
		if err := bans.Load(made.Version, made.Filter); err != nil {
			t.Fatal(err)
		}
		subject := func(i int) []byte { return binary.BigEndian.AppendUint64(make([]byte, 8), uint64(i)) }
		for i := range c.bans {
			if !bans.Maybe(guard.BannedDevice, subject(i)) {
				t.Fatalf("ban %d of %d is missed", i, c.bans)
			}
		}
		const asked = 400_000
		hits := 0
		for i := range asked {
			if bans.Maybe(guard.BannedDevice, subject(1<<32+i)) {
				hits++
			}
		}
		// 40 are expected; the keys are fixed, so this comes out the same every time.
		if hits > 80 {
			t.Errorf("with %d bans %d of %d others are hit", c.bans, hits, asked)
		}
	}
}
