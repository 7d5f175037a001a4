package edge

import (
	"net"
	"net/netip"
	"strings"

	"github.com/valyala/fasthttp"
)

// maxForwardedHops bounds how many elements of a forwarding header are looked at, from the right.
const maxForwardedHops = 16

// proxies are the networks whose forwarding headers are believed.
type proxies []netip.Prefix

func (p proxies) contain(addr netip.Addr) bool {
	for _, network := range p {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}

// client is the address a request came from. The peer's own, unless that is a trusted proxy: then the right-most address
// of the Forwarded or X-Forwarded-For header that is no trusted proxy itself, since everything left of it may be made up.
func (p proxies) client(ctx *fasthttp.RequestCtx) netip.Addr {
	peer := peerAddr(ctx.RemoteAddr())
	if len(p) == 0 || !p.contain(peer) {
		return peer
	}
	if header := ctx.Request.Header.PeekAll("Forwarded"); len(header) > 0 {
		return p.rightmost(peer, joinHeader(header), forwardedFor)
	}
	if header := ctx.Request.Header.PeekAll("X-Forwarded-For"); len(header) > 0 {
		return p.rightmost(peer, joinHeader(header), hopAddr)
	}
	return peer
}

// rightmost walks the hops of a header from the right. A hop it cannot read ends the walk: who is beyond is not known.
func (p proxies) rightmost(peer netip.Addr, header string, read func(string) (netip.Addr, bool)) netip.Addr {
	for range maxForwardedHops {
		comma := strings.LastIndexByte(header, ',')
		addr, ok := read(strings.TrimSpace(header[comma+1:]))
		if !ok {
			return peer
		}
		peer = addr
		if comma < 0 || !p.contain(addr) {
			return peer
		}
		header = header[:comma]
	}
	return peer
}

// forwardedFor reads the for parameter of one element of a Forwarded header (RFC 7239).
func forwardedFor(element string) (netip.Addr, bool) {
	for parameter := range strings.SplitSeq(element, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(parameter), "=")
		if strings.EqualFold(name, "for") {
			return hopAddr(strings.Trim(value, `"`))
		}
	}
	return netip.Addr{}, false
}

// hopAddr reads an address with or without port, an IPv6 one with or without brackets.
func hopAddr(text string) (netip.Addr, bool) {
	if addr, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return addr.Unmap().WithZone(""), true
	}
	if withPort, err := netip.ParseAddrPort(text); err == nil {
		return withPort.Addr().Unmap().WithZone(""), true
	}
	return netip.Addr{}, false
}

func joinHeader(values [][]byte) string {
	if len(values) == 1 {
		return string(values[0])
	}
	var b strings.Builder
	for i, value := range values {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(value)
	}
	return b.String()
}

// peerAddr is the address at the other end of a connection; the unspecified one when it has no IP address.
func peerAddr(addr net.Addr) netip.Addr {
	if tcp, ok := addr.(*net.TCPAddr); ok {
		if ip, ok := netip.AddrFromSlice(tcp.IP); ok {
			return ip.Unmap()
		}
	}
	return netip.IPv4Unspecified()
}
