package api

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"fairgate/core/access"
	"fairgate/edge/lottery"
)

const (
	// transcriptMaxAge is for how long one transcript is shown: what was sealed does not change, and what comes after can wait so long.
	transcriptMaxAge = 15 * time.Second
	// maxTranscripts bounds those that are kept; the one made longest ago goes first.
	maxTranscripts = 8
)

// transcripts keeps what was read of the draws that anybody may check, which costs the database much and is the same for all. One is
// read at a time; who asks meanwhile waits for it. The zero value keeps nothing yet.
type transcripts struct {
	once sync.Once
	turn chan struct{} // of who reads
	mu   sync.Mutex
	kept map[string]keptTranscript
}

type keptTranscript struct {
	at time.Time
	lottery.Transcript
}

// find is an event's transcript, read by read unless it is young enough.
func (t *transcripts) find(ctx context.Context, slug string, now func() time.Time, read func() (lottery.Transcript, error)) (lottery.Transcript, error) {
	t.once.Do(func() { t.turn = make(chan struct{}, 1) })
	if k, ok := t.young(slug, now()); ok {
		return k, nil
	}
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return lottery.Transcript{}, ctx.Err()
	}
	if k, ok := t.young(slug, now()); ok {
		return k, nil
	}
	fresh, err := read()
	if err == nil {
		t.keep(slug, keptTranscript{now(), fresh})
	}
	return fresh, err
}

func (t *transcripts) young(slug string, now time.Time) (lottery.Transcript, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	k, ok := t.kept[slug]
	return k.Transcript, ok && now.Sub(k.at) < transcriptMaxAge
}

func (t *transcripts) keep(slug string, fresh keptTranscript) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.kept == nil {
		t.kept = make(map[string]keptTranscript)
	}
	if _, ok := t.kept[slug]; !ok && len(t.kept) >= maxTranscripts {
		oldest, at := "", fresh.at
		for name, k := range t.kept {
			if !k.at.After(at) {
				oldest, at = name, k.at
			}
		}
		delete(t.kept, oldest)
	}
	t.kept[slug] = fresh
}

// showTranscript shows to anybody what is needed to check the draw: of the on-sale there is, or of an earlier one by its number, which stands in
// receipts. It has no personal data and no secret that still counts.
//
//	GET /v1/events/{id}/transcript
//	GET /v1/events/{id}/transcript/{sale}
func (s *Server) showTranscript(w http.ResponseWriter, r *http.Request) error {
	slug, sale := r.PathValue("id"), uint64(0)
	if text := r.PathValue("sale"); text != "" {
		var err error
		if sale, err = strconv.ParseUint(text, 10, 32); err != nil || sale == 0 {
			return access.ErrGeneration
		}
	}
	transcript, err := s.transcripts.find(r.Context(), slug+"/"+strconv.FormatUint(sale, 10), time.Now, func() (lottery.Transcript, error) {
		return s.Room.TranscriptOf(r.Context(), slug, uint32(sale))
	})
	if err != nil {
		return err
	}
	return writeCacheable(w, r, transcriptMaxAge, transcript)
}
