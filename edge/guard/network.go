package guard

import (
	"net/netip"

	"fairgate/edge/lottery"
)

// How much of an address names a network: what one operator usually gives to one site or a small group of subscribers.
const (
	networkBits4 = 24
	networkBits6 = 48
)

// NetworkOf is the pseudonym of the client's network: it hashes the address's network. Loopback addresses stand for themselves, so that a rehearsal can play many
// networks in 127/8.
func NetworkOf(addr netip.Addr) [8]byte {
	addr = addr.Unmap().WithZone("")
	switch {
	case addr.IsLoopback():
	case addr.Is4():
		addr = masked(addr, networkBits4)
	default:
		addr = masked(addr, networkBits6)
	}
	return lottery.NetworkHash(addr.AsSlice())
}
