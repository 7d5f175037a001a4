package waitlist_test

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// gauge is a metric of the process as it is exposed.
func gauge(t *testing.T, name string) float64 {
	t.Helper()
	var text bytes.Buffer
	metrics.WritePrometheus(&text, false)
	for line := range strings.Lines(text.String()) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

func TestMetricsSayHowLongTheListsAreAndWhoHasWaitedLongest(t *testing.T) {
	w := newWorld(t)
	entries := w.drawn(w.wish(1, "floor"), w.wish(1, "floor"), w.wish(1, "floor"))
	w.exec(`UPDATE waitlist_entries SET asked_at = now() - INTERVAL '1 hour' WHERE entry_id = $1`, entries[1].ID)
	w.refund(w.sold[0]) // the first of them is offered it
	w.look()
	ctx, stop := context.WithCancel(w.ctx)
	done := make(chan error)
	go func() { done <- w.lists.Run(ctx) }()
	got := ""
	for deadline := time.Now().Add(10 * time.Second); got != "2 1 true" && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		oldest := gauge(t, "core_waitlist_oldest_wait_seconds")
		got = fmt.Sprint(gauge(t, "core_waitlist_waiting"), gauge(t, "core_waitlist_offers_out"), oldest >= 3600 && oldest < 3700)
	}
	stop()
	<-done
	if got != "2 1 true" {
		t.Errorf("waiting, offers and whether the oldest has waited an hour: %s", got)
	}
}
