package guard

import (
	"crypto/sha256"
	"net/netip"
)

const networkDomain = "fairgate-network-v1"

// How much of an address names a network: what one operator usually gives to one site or a small group of subscribers.
const (
	networkBits4 = 24
	networkBits6 = 48
)

// Network is a pseudonym of a client's network: SHA-256("fairgate-network-v1" ‖ masked address)[:8].
type Network [8]byte

// NetworkOf hashes the address's network. Loopback addresses stand for themselves, so that a rehearsal can play many
// networks in 127/8.
func NetworkOf(addr netip.Addr) Network {
	addr = addr.Unmap().WithZone("")
	switch {
	case addr.IsLoopback():
	case addr.Is4():
		addr = masked(addr, networkBits4)
	default:
		addr = masked(addr, networkBits6)
	}
	hash := sha256.New()
	hash.Write([]byte(networkDomain))
	hash.Write(addr.AsSlice())
	var sum [sha256.Size]byte
	return Network(hash.Sum(sum[:0])[:8])
}
