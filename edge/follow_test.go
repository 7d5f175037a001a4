package edge

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestLooksThatWaitForNewsLeaveHalfTheConnectionsToOthers(t *testing.T) {
	world := newWorld(t)
	core := world.start()
	world.addEvent("arena", time.Hour)
	cfg := testConfig(t, core)
	cfg.Core.Connections = 8
	n := startNode(t, cfg).ready("arena")
	b := newBuyer(t)
	b.joinFully(n, "arena")
	world.open("arena", everybody)
	b.claim(n, "arena")

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
	queries := make(chan string, 4)
	for range 4 {
		go func() {
			var got struct{ Query string }
			b.do(n, "GET", path+"?wait=3s", "").into(t, &got)
			queries <- got.Query
		}()
	}
	eventually(t, "four wait", func() bool { mu.Lock(); defer mu.Unlock(); return waiting == 4 })
	for _, query := range []string{"?wait=3s", ""} {
		var got struct{ Query string }
		if b.do(n, "GET", path+query, "").into(t, &got); got.Query != "" {
			t.Errorf("a fifth one waits: %q", got.Query)
		}
	}
	close(news)
	for range 4 {
		if query := <-queries; query != "wait=3s" {
			t.Errorf("core was asked with %q", query)
		}
	}
	if left := n.follows.Load(); left != 0 {
		t.Errorf("%d are still counted", left)
	}
}
