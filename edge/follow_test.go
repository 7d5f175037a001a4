package edge

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestLooksThatWaitForNewsAreFewOfOneSessionAndLeaveHalfTheConnectionsToOthers(t *testing.T) {
	world := newWorld(t)
	core := world.start()
	world.addEvent("arena", time.Hour)
	cfg := testConfig(t, core)
	cfg.Core.Connections = 10
	n := startNode(t, cfg).ready("arena")
	b, other := newBuyer(t), newBuyer(t)
	b.joinFully(n, "arena")
	other.joinFully(n, "arena")
	world.open("arena", everybody)
	b.claim(n, "arena")
	other.claim(n, "arena")

	news := make(chan struct{})
	var mu sync.Mutex
	waiting := 0
	world.mu.Lock()
	world.shop = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "wait=3s" {
			mu.Lock()
			waiting++
			mu.Unlock()
			<-news
		}
		fakeJSON(rw, 200, map[string]string{"query": r.URL.RawQuery})
	})
	world.mu.Unlock()
	path := "/v1/orders/" + uuid.NewString()
	queries := make(chan string, 5)
	wait := func(who *buyer, looks, then int) {
		t.Helper()
		for range looks {
			go func() {
				var got struct{ Query string }
				who.do(n, "GET", path+"?wait=3s", "").into(t, &got)
				queries <- got.Query
			}()
		}
		eventually(t, "they wait", func() bool { mu.Lock(); defer mu.Unlock(); return waiting == then })
	}
	atOnce := func(who *buyer, what string) {
		t.Helper()
		for _, query := range []string{"?wait=3s", ""} {
			var got struct{ Query string }
			if who.do(n, "GET", path+query, "").into(t, &got); got.Query != "" {
				t.Errorf("%s waits: %q", what, got.Query)
			}
		}
	}
	wait(b, 3, 3)
	atOnce(b, "a fourth one of one session")
	wait(other, 2, 5)
	atOnce(other, "one that finds half of the connections taken")
	close(news)
	for range 5 {
		if query := <-queries; query != "wait=3s" {
			t.Errorf("core was asked with %q", query)
		}
	}
	n.follows.mu.Lock()
	defer n.follows.mu.Unlock()
	if n.follows.all != 0 || len(n.follows.bySession) != 0 {
		t.Errorf("%d of %d sessions are still counted", n.follows.all, len(n.follows.bySession))
	}
}
