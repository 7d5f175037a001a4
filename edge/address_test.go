package edge

import (
	"net"
	"testing"

	"github.com/valyala/fasthttp"
)

func TestTheClientIsTheRightmostAddressThatIsNoTrustedProxy(t *testing.T) {
	networks, err := parseNetworks([]string{"127.0.0.0/8", "10.0.0.1", "2001:db8:ffff::/48"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what, peer, header, value, want string
	}{
		{"no header", "127.0.0.1", "X", "y", "127.0.0.1"},
		{"a stranger's header is not believed", "192.0.2.9", "X-Forwarded-For", "198.51.100.1", "192.0.2.9"},
		{"one hop", "127.0.0.1", "X-Forwarded-For", "198.51.100.1", "198.51.100.1"},
		{"made-up hops on the left", "127.0.0.1", "X-Forwarded-For", "1.1.1.1, 198.51.100.1, 10.0.0.1", "198.51.100.1"},
		{"only proxies", "127.0.0.1", "X-Forwarded-For", "10.0.0.1", "10.0.0.1"},
		{"garbage on the left", "127.0.0.1", "X-Forwarded-For", "garbage, 10.0.0.1", "10.0.0.1"},
		{"garbage", "127.0.0.1", "X-Forwarded-For", "garbage", "127.0.0.1"},
		{"with a port", "127.0.0.1", "X-Forwarded-For", "198.51.100.1:4711", "198.51.100.1"},
		{"Forwarded", "127.0.0.1", "Forwarded", `for=198.51.100.1;proto=https;by=10.0.0.1`, "198.51.100.1"},
		{"Forwarded with IPv6", "127.0.0.1", "Forwarded", `for="[2001:db8::1]:4711"`, "2001:db8::1"},
		{"Forwarded, several", "127.0.0.1", "Forwarded", `for=1.1.1.1, For="[2001:db8::1]", for="[2001:db8:ffff::1]"`, "2001:db8::1"},
		{"Forwarded, hidden", "127.0.0.1", "Forwarded", `for=_hidden, for=10.0.0.1`, "10.0.0.1"},
		{"Forwarded without for", "127.0.0.1", "Forwarded", `proto=https`, "127.0.0.1"},
		{"mapped", "::ffff:127.0.0.1", "X-Forwarded-For", "::ffff:198.51.100.1", "198.51.100.1"},
	} {
		var ctx fasthttp.RequestCtx
		var req fasthttp.Request
		req.Header.Set(c.header, c.value)
		ctx.Init(&req, &net.TCPAddr{IP: net.ParseIP(c.peer), Port: 1}, nil)
		if got := proxies(networks).client(&ctx); got.String() != c.want {
			t.Errorf("%s: %s; want %s", c.what, got, c.want)
		}
	}
}

func FuzzForwardingHeadersNeverPanic(f *testing.F) {
	f.Add(`for="[2001:db8::1]:1"`, "1.2.3.4, 5.6.7.8")
	f.Add(`;;==,,for=`, `"`)
	networks, err := parseNetworks([]string{"127.0.0.1"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, forwarded, xff string) {
		for name, value := range map[string]string{"Forwarded": forwarded, "X-Forwarded-For": xff} {
			var ctx fasthttp.RequestCtx
			var req fasthttp.Request
			req.Header.Set(name, value)
			ctx.Init(&req, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, nil)
			if got := proxies(networks).client(&ctx); !got.IsValid() {
				t.Errorf("%s: %q gives no address", name, value)
			}
		}
	})
}
