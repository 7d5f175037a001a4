package edge

import (
	"bufio"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// What everybody polls must cost nothing per request.
func TestServingTheStateObjectDoesNotAllocate(t *testing.T) {
	world := newWorld(t)
	world.addEvent("arena", time.Hour)
	n := startNode(t, testConfig(t, world.start())).ready("arena")
	tag := n.board.Entry([]byte("arena")).ETag
	n.stop() // so that nothing else allocates meanwhile
	for what, c := range map[string]struct {
		header, value string
		status        int
	}{
		"plain":        {"X", "y", 200},
		"gzip":         {fasthttp.HeaderAcceptEncoding, "gzip, deflate, br", 200},
		"of a browser": {fasthttp.HeaderCookie, "a=b; fg_device=" + strings.Repeat("A", 43), 200},
		"not modified": {fasthttp.HeaderIfNoneMatch, tag, 304},
	} {
		var ctx fasthttp.RequestCtx // as it comes from a connection: cookies are not taken apart
		if err := ctx.Request.Read(bufio.NewReader(strings.NewReader("GET /q/arena/state HTTP/1.1\r\nHost: a\r\n" + c.header + ": " + c.value + "\r\n\r\n"))); err != nil {
			t.Fatal(err)
		}
		allocations := testing.AllocsPerRun(1000, func() {
			ctx.Response.Reset()
			n.handle(&ctx)
		})
		if ctx.Response.StatusCode() != c.status {
			t.Errorf("%s: %d", what, ctx.Response.StatusCode())
		}
		if allocations != 0 {
			t.Errorf("%s: %v allocations a request", what, allocations)
		}
	}
}

func TestAcceptEncodingIsRead(t *testing.T) {
	for header, want := range map[string]bool{
		"gzip": true, "deflate, gzip;q=1.0, *;q=0.5": true, "br, gzip;q=0.1": true, "gzip;q=0": false, "gzip;q=0.000, br": false,
		"identity": false, "": false, "br": false, "gzip , br": true,
	} {
		if got := acceptsGzip([]byte(header)); got != want {
			t.Errorf("%q: %v", header, got)
		}
	}
}
