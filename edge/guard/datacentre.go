package guard

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// maxNetworks bounds a list of networks: all of the large clouds together publish fewer.
const maxNetworks = 200_000

// Networks is a list of networks, such as those of data centres. The zero value and nil contain nothing. It does not change after
// it was read, so any goroutine may ask it.
type Networks struct {
	ranges []span // in order, without overlap
}

// span is a range of addresses, both ends included. IPv4 addresses are kept as such, and sort before IPv6.
type span struct{ first, last netip.Addr }

// ReadNetworks reads a list: one network a line as 192.0.2.0/24 or 2001:db8::/32, or one address; # begins a comment. All lines that
// are none of that are reported at once.
func ReadNetworks(from io.Reader) (*Networks, error) {
	var spans []span
	var problems []error
	lines := bufio.NewScanner(from)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			addr, bad := netip.ParseAddr(text)
			if bad != nil {
				problems = append(problems, fmt.Errorf("line %d: %q is no network; write it like 192.0.2.0/24", n, text))
				continue
			}
			prefix = netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen())
		}
		if prefix.Bits() == 0 {
			problems = append(problems, fmt.Errorf("line %d: %q is every network", n, text))
			continue
		}
		if spans = append(spans, spanOf(prefix.Masked())); len(spans) > maxNetworks {
			return nil, fmt.Errorf("more than %d networks", maxNetworks)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read a list of networks: %w", err)
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return &Networks{ranges: joined(spans)}, nil
}

// LoadNetworks reads a list from a file.
func LoadNetworks(file string) (*Networks, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("open a list of networks: %w", err)
	}
	defer f.Close()
	n, err := ReadNetworks(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return n, nil
}

// spanOf is the range of a masked prefix.
func spanOf(p netip.Prefix) span {
	last := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(last)*8; bit++ {
		last[bit/8] |= 0x80 >> (bit % 8)
	}
	end, _ := netip.AddrFromSlice(last)
	return span{p.Addr(), end}
}

// joined sorts ranges and joins those that overlap.
func joined(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Or(a.first.Compare(b.first), a.last.Compare(b.last)) })
	var out []span
	for _, s := range spans {
		if n := len(out); n > 0 && !out[n-1].last.Less(s.first) {
			if out[n-1].last.Less(s.last) {
				out[n-1].last = s.last
			}
			continue
		}
		out = append(out, s)
	}
	return out
}

// Len is how many ranges there are.
func (n *Networks) Len() int {
	if n == nil {
		return 0
	}
	return len(n.ranges)
}

// Contains tells whether an address is in one of the networks.
func (n *Networks) Contains(addr netip.Addr) bool {
	if n.Len() == 0 {
		return false
	}
	addr = addr.Unmap().WithZone("")
	at, found := slices.BinarySearchFunc(n.ranges, addr, func(s span, a netip.Addr) int { return s.first.Compare(a) })
	return found || at > 0 && !n.ranges[at-1].last.Less(addr)
}
