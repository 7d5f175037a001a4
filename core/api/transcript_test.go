package api

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"fairgate/edge/lottery"
)

func TestATranscriptIsReadOnceInAWhileAndFewAreKept(t *testing.T) {
	var kept transcripts
	reads, now := 0, time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	ask := func(slug string) string {
		t.Helper()
		got, err := kept.find(t.Context(), slug, func() time.Time { return now }, func() (lottery.Transcript, error) {
			reads++
			return lottery.Transcript{Event: fmt.Sprint(slug, reads)}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return got.Event
	}
	first, again := ask("a"), ask("a")
	if first != "a1" || again != "a1" || ask("b") != "b2" {
		t.Error("a transcript is not kept, or is another event's")
	}
	now = now.Add(transcriptMaxAge)
	if ask("a") != "a3" {
		t.Error("a transcript is kept for too long")
	}
	for i := range 2 * maxTranscripts {
		now = now.Add(time.Millisecond)
		ask(fmt.Sprint("more", i))
	}
	if len(kept.kept) != maxTranscripts {
		t.Errorf("%d are kept", len(kept.kept))
	}
	if _, err := kept.find(t.Context(), "bad", time.Now, func() (lottery.Transcript, error) { return lottery.Transcript{}, errors.New("away") }); err == nil {
		t.Error("an error is not told")
	}
	if _, there := kept.kept["bad"]; there {
		t.Error("an error is kept")
	}
}
