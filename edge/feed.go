package edge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/valyala/fasthttp"

	"fairgate/edge/queue"
)

// What a buyer reads while core is silent, and how soon the page comes back.
const (
	doubtMessage = "We cannot reach the sales system at the moment. Everybody keeps their place; nobody is let in meanwhile."
	doubtPollMS  = 5000
)

// feedAnswer is core's answer to a request for news.
type feedAnswer struct {
	Version    uint64    `json:"version"`
	ServerTime time.Time `json:"server_time"`
	Events     []struct {
		Slug  string `json:"slug"`
		ETag  string `json:"etag"`
		State string `json:"state"`
	} `json:"events"`
	Live []string `json:"live"`
	Bans *struct {
		Version uint64 `json:"version"`
		Filter  string `json:"filter"`
	} `json:"bans"`
	CatalogVersion uint64 `json:"catalog_version"`
	// Keys are those of this node's signing keys that need a successor.
	Keys []struct {
		ID      uuid.UUID `json:"key_id"`
		Revoked bool      `json:"revoked"`
	} `json:"keys"`
}

// follow asks one core for news until the context ends. It is the node's heartbeat as well.
func (s *Server) follow(ctx context.Context, c *core) {
	var since, bans uint64
	failed := false
	for pause := shortPause; ctx.Err() == nil; {
		if !s.core.enrolled() {
			s.core.want()
			if !sleep(ctx, shortPause) {
				return
			}
			continue
		}
		news, err := s.ask(c, since, bans)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			s.counts.feedErrors.Inc()
			if !failed {
				s.log.Warn("core is silent; buyers are told to wait", "core", c.url, "error", err)
			}
			// A core that comes back may count its versions anew.
			failed, since, bans = true, 0, 0
			if !sleep(ctx, pause) {
				return
			}
			pause = min(2*pause, longPause)
			continue
		}
		if failed {
			s.log.Info("core answers again", "core", c.url)
		}
		failed, pause = false, shortPause
		if news.Version < since {
			since, bans = 0, 0
			continue
		}
		since = news.Version
		if news.Bans != nil {
			bans = news.Bans.Version
		}
		s.take(c, news)
	}
}

// ask sends one request for news, which core may hold for a while.
func (s *Server) ask(c *core, since, bans uint64) (feedAnswer, error) {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	path := append([]byte(nil), "/edge/v1/state?since="...)
	path = strconv.AppendUint(path, since, 10)
	path = append(path, "&bans_since="...)
	path = strconv.AppendUint(path, bans, 10)
	path = append(path, "&wait_ms="...)
	path = strconv.AppendInt(path, s.cfg.Feed.Wait.Milliseconds(), 10)
	path = append(path, "&clock_ahead_ms="...)
	path = strconv.AppendInt(path, s.clock.ahead().Milliseconds(), 10)
	req.SetRequestURIBytes(path)
	token := s.core.authorize(req)
	if err := c.do(c.poll, req, resp, s.cfg.Core.Timeout); err != nil {
		return feedAnswer{}, err
	}
	if resp.StatusCode() != fasthttp.StatusOK {
		switch {
		case resp.StatusCode() == fasthttp.StatusUnauthorized:
			s.core.forget(token)
		case resp.StatusCode() == fasthttp.StatusServiceUnavailable && leaving(resp.Body()):
			c.seenAt.Store(0) // it says so before it stops, so that nothing more is sent to it
		}
		p := readProblem(resp.Body())
		return feedAnswer{}, fmt.Errorf("core answered %d %s: %s", resp.StatusCode(), p.Code, p.Detail)
	}
	var news feedAnswer
	if err := json.Unmarshal(resp.Body(), &news); err != nil {
		return feedAnswer{}, fmt.Errorf("read core's news: %w", err)
	}
	received := s.now()
	s.clock.observe(news.ServerTime, received)
	c.seen(received)
	s.counts.feedAnswers.Inc()
	return news, nil
}

// take puts core's news up.
func (s *Server) take(c *core, news feedAnswer) {
	for _, event := range news.Events {
		entry, err := s.board.Put(event.ETag, []byte(event.State))
		switch {
		case errors.Is(err, queue.ErrStale):
			continue
		case err != nil:
			s.counts.statesBad.Inc()
			s.log.Error("core sent a state object that cannot be used", "core", c.url, "event", event.Slug, "error", err)
			continue
		}
		s.tend(entry)
	}
	s.agree(c, news.Live)
	s.shelf.heard(news.CatalogVersion)
	if news.Bans != nil {
		if err := s.guard.Load(news.Bans.Version, news.Bans.Filter); err != nil {
			s.log.Error("core sent a ban list that cannot be used; the old one stays", "core", c.url, "error", err)
		}
	}
	for _, key := range news.Keys {
		s.ring.Replace(key.ID, key.Revoked)
	}
	s.heard.Store(true)
	s.warnOfClock()
}

// tend lets the event's room know what its state object says.
func (s *Server) tend(entry *queue.Entry) {
	state := &entry.State
	room := s.rooms.ensure(state.Event, s.cfg.Join)
	room.stream.observe(timingOf(state))
	if w := s.showings.find(state.Event); w != nil {
		w.setPhase(string(state.Phase))
	}
	if state.Phase != queue.PhaseAnnounced && state.Phase != queue.PhaseEnded {
		s.activate(room)
	}
}

// activate starts to carry the room's entrants to core.
func (s *Server) activate(room *room) {
	room.start.Do(func() { s.spawn(func(ctx, last context.Context) { s.carry(ctx, last, room) }) })
}

// agree drops the events that no core lists any more.
func (s *Server) agree(c *core, live []string) {
	s.liveMu.Lock()
	defer s.liveMu.Unlock()
	s.live[c] = live
	union := make(map[string]struct{})
	var slugs []string
	now := s.now()
	for one, live := range s.live {
		if one != c && !one.live(now, s.cfg.Feed.Silence) {
			continue
		}
		for _, slug := range live {
			if _, known := union[slug]; !known {
				union[slug] = struct{}{}
				slugs = append(slugs, slug)
			}
		}
	}
	for slug := range s.rooms.all() {
		if _, ok := union[slug]; !ok {
			s.board.Keep(slugs)
			s.rooms.keep(union)
			return
		}
	}
}

// watch raises the doubt when no core has been heard of for too long, and ends it when one has.
func (s *Server) watch(ctx context.Context) {
	for sleep(ctx, min(s.cfg.Feed.Silence/10, 250*time.Millisecond)) {
		silent := s.core.silentFor(s.now()) > s.cfg.Feed.Silence
		switch {
		case silent && !s.doubt.Load():
			s.doubt.Store(true)
			s.log.Warn("no core has been heard of; everybody waits", "silence", s.cfg.Feed.Silence.String())
			if err := s.board.Doubt(doubtMessage, doubtPollMS); err != nil {
				s.log.Error("could not put the doubt on the board", "error", err)
			}
		case !silent && s.doubt.Load():
			s.board.Trust()
			s.doubt.Store(false)
			s.log.Info("core has been heard of again; admission goes on")
		}
	}
}

// warnOfClock says once that the node's clock is off, and again when that has changed.
func (s *Server) warnOfClock() {
	off := s.clock.ahead().Abs() > s.cfg.Feed.ClockWarning
	if off != s.clockOff.Swap(off) {
		if off {
			s.log.Warn("this node's clock differs from core's; core's is used", "core_ahead", s.clock.ahead().String())
		} else {
			s.log.Info("this node's clock agrees with core's again")
		}
	}
}
