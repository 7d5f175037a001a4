package lottery

import (
	"encoding/hex"
	"net/netip"
	"testing"
)

func TestNetworksHaveGoldenHashes(t *testing.T) {
	for _, c := range []struct{ addr, want string }{
		{"192.0.2.77", "6b263af5007bb7ba"},
		{"192.0.2.1", "6b263af5007bb7ba"},
		{"::ffff:192.0.2.1", "6b263af5007bb7ba"},
		{"127.0.0.1", "82c6b1fc23f837f9"},
		{"127.0.0.2", "db22ed34fcf325fd"},
		{"2001:db8:1:2::3", "a6a62a9a03c5ec10"},
	} {
		got := NetworkOf(netip.MustParseAddr(c.addr))
		if hex.EncodeToString(got[:]) != c.want {
			t.Errorf("network of %s is %x; want %s", c.addr, got, c.want)
		}
	}
}
