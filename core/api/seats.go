package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"

	"fairgate/core/event"
	"fairgate/core/inventory"
	"fairgate/edge/lottery"
)

// Limits of the seat feed.
const (
	maxFollowed         = 1000             // events in one request for news
	maxAvailabilityWait = 10 * time.Second // for which core holds such a request
	maxAvailabilityBody = 4 << 20          // bytes of an answer; what does not fit comes with the next one
)

// showSeats is GET /v1/events/{id}/seats: what is left of an event, and every numbered seat's state.
//
//	{"id":"1f0a…-17","geometry":"<hash>","states":"<base64>","sections":[{"id":"101","left":5}],"tiers":[{"id":"floor","left":20}]}
//
// states has two bits a seat, in the order of the geometry: seat n is in byte n/4 at bit 2·(n mod 4); 0 is free, 1 held,
// 2 sold, 3 not for sale (blocked, or set aside in an allocation). Where the seats are and what they are called says
// GET /v1/events/{id}/seats/geometry/{hash}. left of a tier is what is on sale of it, left of a section its free seats.
// From id on, GET /v1/events/{id}/stream?since={id} tells what changes. A seat that was sold shows as held for up to a
// second, and so may one whose hold has just been paid for.
func (s *Server) showSeats(w http.ResponseWriter, r *http.Request) error {
	id, err := s.eventOf(r)
	if err != nil {
		return err
	}
	seen, body, err := s.Feed.Snapshot(r.Context(), id)
	if err != nil {
		return err
	}
	tag := `"` + seen + `"`
	w.Header().Set("ETag", tag)
	w.Header().Set("Cache-Control", "no-cache")
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // the client has gone
	return nil
}

// showGeometry is GET /v1/events/{id}/seats/geometry/{hash}: where the seats of an event are and what they are called, see
// inventory.Geometry. It never changes under its hash. After a change of the event file the one before is known for a
// while; whoever gets geometry_unknown asks for the seats again, which name the present one.
func (s *Server) showGeometry(w http.ResponseWriter, r *http.Request) error {
	id, err := s.eventOf(r)
	if err != nil {
		return err
	}
	g, err := s.Feed.Geometry(r.Context(), id, r.PathValue("hash"))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Header().Set("ETag", `"`+g.Hash+`"`)
	_, _ = w.Write(g.JSON) // the client has gone
	return nil
}

// eventOf is the event that a buyer's path names.
func (s *Server) eventOf(r *http.Request) (uuid.UUID, error) {
	slug := r.PathValue("id")
	if !lottery.ValidSlug(slug) {
		return uuid.Nil, fmt.Errorf("%w: %q", event.ErrUnknown, slug)
	}
	return lottery.EventID(slug), nil
}

// follower is what an edge has seen of an event it has shoppers for.
type follower struct {
	Event string `json:"event"`
	ID    string `json:"id"` // of what it saw last; empty for nothing
}

// availability is POST /edge/v1/availability, an edge's long poll for what changes of the events it has shoppers for.
//
//	{"watcher":"<random, per process>","wait_ms":5000,"events":[{"event":"arena","id":"1f0a…-17"}]}
//
// It is answered as soon as there is news of one of them, or when the wait, at most 10 s, is over, with those events alone
// of which there is news. A second request of the same watcher has the first one answered at once, so an edge that gets
// shoppers for one more event need not wait.
//
//	{"events":[{"event":"arena","epoch":"1f0a…","seq":18,"geometry":"<hash>","deltas":[{"seq":18,"data":{…}}]},
//	           {"event":"hall","epoch":"77b2…","seq":4,"geometry":"<hash>","snapshot":{…},"deltas":[…]},
//	           {"event":"gone","problem":"event_unknown"}]}
//
// Deltas follow what the edge has seen. With a snapshot, which stands for whatever it has seen, they are the ones that led
// there: readers that come from another edge can go on from them. Data and snapshot are passed on to shoppers byte for byte;
// see inventory.Feed. An answer is at most about 4 MB; what is left over comes with the next one.
func (s *Server) availability(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.edgeID(r); err != nil {
		return err
	}
	var body struct {
		Watcher string     `json:"watcher"`
		WaitMS  int64      `json:"wait_ms"`
		Events  []follower `json:"events"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	if len(body.Events) > maxFollowed || len(body.Watcher) > 64 {
		return &detailed{errRequest, "At most " + strconv.Itoa(maxFollowed) + " events, and 64 characters to name a watcher."}
	}
	superseded, leave := s.watchers.enter(body.Watcher)
	defer leave()
	wait := min(max(time.Duration(body.WaitMS)*time.Millisecond, 0), maxAvailabilityWait)
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	ctx, stop := s.untilLeaving(ctx)
	defer stop()
	for {
		changed := s.Feed.Changed()
		answer, some := s.news(body.Events)
		done := some
		select {
		case <-superseded:
			done = true
		case <-ctx.Done():
			done = true
		default:
		}
		if done {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(answer) // the edge has gone
			return nil
		}
		select {
		case <-changed:
		case <-superseded:
		case <-ctx.Done():
		}
	}
}

// news encodes what there is to tell, and whether that is anything.
func (s *Server) news(events []follower) (answer []byte, some bool) {
	b := append(make([]byte, 0, 1<<10), `{"events":[`...)
	for _, e := range events {
		if len(b) > maxAvailabilityBody {
			break
		}
		if !lottery.ValidSlug(e.Event) {
			e.Event = "" // not to be repeated
		}
		news, ok, err := s.Feed.News(lottery.EventID(e.Event), e.ID)
		if err == nil && !ok {
			continue
		}
		if some {
			b = append(b, ',')
		}
		some = true
		b = append(append(b, `{"event":"`...), e.Event...)
		if err != nil {
			b = append(append(b, `","problem":"`...), problemOf(err).Code...)
			b = append(b, `"}`...)
			continue
		}
		b = appendNews(b, news)
	}
	return append(b, `]}`...), some
}

func appendNews(b []byte, n inventory.News) []byte {
	b = append(append(b, `","epoch":"`...), n.Epoch...)
	b = strconv.AppendUint(append(b, `","seq":`...), n.Seq, 10)
	b = append(append(b, `,"geometry":"`...), n.Geometry...)
	b = append(b, '"')
	if n.Snapshot != nil {
		b = append(append(b, `,"snapshot":`...), n.Snapshot...)
	}
	b = append(b, `,"deltas":[`...)
	for i, d := range n.Deltas {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(append(b, `{"seq":`...), d.Seq, 10)
		b = append(append(b, `,"data":`...), d.JSON...)
		b = append(b, '}')
	}
	return append(b, `]}`...)
}

// watchers knows each watcher's request under way, so that its next one can end it. The zero value is ready for use; it
// holds no more entries than there are requests.
type watchers struct {
	mu      sync.Mutex
	current map[string]chan struct{}
}

// enter ends the watcher's request before this one. leave must be called when this one ends.
func (w *watchers) enter(watcher string) (superseded <-chan struct{}, leave func()) {
	mine := make(chan struct{})
	if watcher == "" {
		return mine, func() {}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.current == nil {
		w.current = make(map[string]chan struct{})
	}
	if before := w.current[watcher]; before != nil {
		close(before)
	}
	w.current[watcher] = mine
	return mine, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.current[watcher] == mine {
			delete(w.current, watcher)
		}
	}
}
