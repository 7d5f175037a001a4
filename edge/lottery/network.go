package lottery

import "net/netip"

// How much of an address names a network: what one operator usually gives to one site or a small group of subscribers.
const (
	networkBits4 = 24
	networkBits6 = 48
)

// NetworkOf is the pseudonym of a client's network, the subject of its ban: it hashes the address's network. Loopback addresses stand
// for themselves, so that a rehearsal can play many networks in 127/8.
func NetworkOf(addr netip.Addr) [8]byte { return NetworkHash(network(addr).Addr().AsSlice()) }

// NetworkText is the prefix of the client's network, for people: never more of an address than 24 bits, or 48 of IPv6, but for loopback.
func NetworkText(addr netip.Addr) string { return network(addr).String() }

func network(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := networkBits6
	switch {
	case addr.IsLoopback():
		bits = addr.BitLen()
	case addr.Is4():
		bits = networkBits4
	}
	return netip.PrefixFrom(addr, bits).Masked()
}
