package edge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/valyala/fasthttp"

	"fairgate/edge/lottery"
)

const (
	// problemPause is how long core is not asked again for an event that it refuses.
	problemPause = time.Second
	// showingTick is how often a core's questions are looked over when nothing else happens.
	showingTick = 500 * time.Millisecond
	// maxSeatPolls is how many questions to one core may be under way: the second one has core answer the first.
	maxSeatPolls = 2
)

// LiveConfig is about showing shoppers what is left while they choose.
type LiveConfig struct {
	// Streams bounds the open streams of this node, PerSession and PerAddress those of one shopper and one client address.
	Streams    int `mapstructure:"streams"`
	PerSession int `mapstructure:"per_session"`
	PerAddress int `mapstructure:"per_address"`
	// Events bounds the events shown at a time.
	Events int `mapstructure:"events"`
	// Wait is how long core may hold a question for what has changed; three quarters of core.timeout at most.
	Wait time.Duration `mapstructure:"wait"`
	// Grace is for how long an event is followed after its last stream.
	Grace time.Duration `mapstructure:"grace"`
	// Heartbeat is the longest silence on a stream.
	Heartbeat time.Duration `mapstructure:"heartbeat"`
	// WriteTimeout is how long a shopper may take for what is sent; whoever takes longer is cut off and resumes.
	WriteTimeout time.Duration `mapstructure:"write_timeout"`
}

func (c LiveConfig) validate(p *problems) {
	p.between("live.streams", c.Streams, 1, 10_000_000)
	p.between("live.per_session", c.PerSession, 1, 1000)
	p.between("live.per_address", c.PerAddress, 1, 10_000_000)
	p.between("live.events", c.Events, 1, maxFollowedEvents)
	p.within("live.wait", c.Wait, 10*time.Millisecond, 10*time.Second)
	p.within("live.grace", c.Grace, 0, time.Hour)
	p.within("live.heartbeat", c.Heartbeat, 10*time.Millisecond, 5*time.Minute)
	p.within("live.write_timeout", c.WriteTimeout, 10*time.Millisecond, time.Minute)
}

// maxFollowedEvents is how many events core takes in one question.
const maxFollowedEvents = 1000

// Refusals of a new stream.
var (
	errStreamsFull    = errors.New("as many streams as this node takes")
	errEventsFull     = errors.New("as many events are shown as this node takes")
	errSessionStreams = errors.New("as many streams as one shopper may have")
	errAddressStreams = errors.New("as many streams as one address may have")
)

// streamHolder is whom a stream counts for.
type streamHolder struct{ session, address [16]byte }

// showings are the events that have streams, or had until a moment ago, and the streams' places.
type showings struct {
	cfg     LiveConfig
	watcher string                  // names this process to core
	kicks   map[*core]chan struct{} // capacity 1 each; fixed

	mu        sync.Mutex
	bySlug    map[string]*showing
	added     uint64 // counts showings, so that each core's questions soon name all
	streams   int
	bySession map[[16]byte]int
	byAddress map[[16]byte]int
}

func newShowings(c LiveConfig, cores []*core) *showings {
	s := &showings{
		cfg: c, watcher: uuid.NewString(), kicks: make(map[*core]chan struct{}, len(cores)),
		bySlug: make(map[string]*showing), bySession: make(map[[16]byte]int), byAddress: make(map[[16]byte]int),
	}
	for _, c := range cores {
		s.kicks[c] = make(chan struct{}, 1)
	}
	return s
}

// enter takes a place for a stream of an event, which is followed from now on. leave gives it back.
func (s *showings) enter(slug, phase string, who streamHolder, now time.Time) (*showing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.streams >= s.cfg.Streams:
		return nil, errStreamsFull
	case s.bySession[who.session] >= s.cfg.PerSession:
		return nil, errSessionStreams
	case s.byAddress[who.address] >= s.cfg.PerAddress:
		return nil, errAddressStreams
	}
	w := s.bySlug[slug]
	if w == nil {
		if len(s.bySlug) >= s.cfg.Events {
			return nil, errEventsFull
		}
		w = newShowing(slug, lottery.EventID(slug), phase, now)
		s.bySlug[slug] = w
		s.added++
		s.kick()
	}
	w.streams++
	s.streams++
	s.bySession[who.session]++
	s.byAddress[who.address]++
	return w, nil
}

func (s *showings) leave(w *showing, who streamHolder, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams--
	w.streams--
	w.idleSince = now
	for _, one := range []struct {
		counts map[[16]byte]int
		key    [16]byte
	}{{s.bySession, who.session}, {s.byAddress, who.address}} {
		if one.counts[one.key]--; one.counts[one.key] == 0 {
			delete(one.counts, one.key)
		}
	}
}

// kick has every core's questions looked over.
func (s *showings) kick() {
	for _, c := range s.kicks {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

func (s *showings) find(slug string) *showing {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bySlug[slug]
}

// open counts streams and events.
func (s *showings) open() (streams, events int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.streams, len(s.bySlug)
}

// wanted lists the events to ask a core for, and how many there have been in all. Those without streams for too long are
// dropped.
func (s *showings) wanted(now time.Time, mine func(uuid.UUID) bool) (asked []*showing, added uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for slug, w := range s.bySlug {
		if w.streams == 0 && now.Sub(w.idleSince) > s.cfg.Grace {
			delete(s.bySlug, slug)
			continue
		}
		w.mu.Lock()
		wait := now.Before(w.retryAt)
		w.mu.Unlock()
		if !wait && mine(w.event) {
			asked = append(asked, w)
		}
	}
	return asked, s.added
}

// seatNews is core's answer to a question for what has changed.
type seatNews struct {
	Events []eventNews `json:"events"`
}

// follow asks one core for what changes of the events that are its share, until the context ends. While a question is
// under way and another event is to be shown, a second one goes out that names it too.
func (s *Server) followSeats(ctx context.Context, c *core) {
	type outcome struct {
		news seatNews
		err  error
	}
	outcomes := make(chan outcome, maxSeatPolls)
	underWay, pause, failed := 0, shortPause, false
	var asked uint64
	defer func() {
		for ; underWay > 0; underWay-- {
			<-outcomes
		}
	}()
	for ctx.Err() == nil {
		now := s.now()
		events, added := s.showings.wanted(now, func(event uuid.UUID) bool { return s.core.pick(event, 0) == c })
		if len(events) > 0 && s.core.enrolled() && (underWay == 0 || added != asked && underWay < maxSeatPolls) {
			underWay, asked = underWay+1, added
			body := s.seatQuestion(events)
			go func() {
				news, err := s.askSeats(c, body)
				outcomes <- outcome{news, err}
			}()
		}
		timer := time.NewTimer(showingTick)
		select {
		case <-ctx.Done():
		case <-s.showings.kicks[c]:
		case <-timer.C:
		case got := <-outcomes:
			underWay--
			if got.err == nil {
				s.takeSeats(got.news)
				failed, pause = false, shortPause
				break
			}
			if ctx.Err() != nil {
				break
			}
			s.counts.seatErrors.Inc()
			if !failed {
				s.log.Warn("core does not say what is left; shoppers see what it said last", "core", c.url, "error", got.err)
			}
			failed = true
			s.showings.kick() // perhaps it is another core's turn
			sleep(ctx, pause)
			pause = min(2*pause, longPause)
		}
		timer.Stop()
	}
}

// seatQuestion is the body of a request for news.
func (s *Server) seatQuestion(events []*showing) []byte {
	wait := min(s.cfg.Live.Wait, s.cfg.Core.Timeout*3/4)
	b := appendJSONString([]byte(`{"watcher":`), s.showings.watcher)
	b = fmt.Appendf(b, `,"wait_ms":%d,"events":[`, wait.Milliseconds())
	for i, w := range events {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSONString(append(b, `{"event":`...), w.slug)
		b = appendJSONString(append(b, `,"id":`...), w.seen())
		b = append(b, '}')
	}
	return append(b, `]}`...)
}

// askSeats sends one question, which core may hold for a while.
func (s *Server) askSeats(c *core, body []byte) (news seatNews, err error) {
	req, resp := s.core.prepare("/edge/v1/availability", body)
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	token := s.core.authorize(req)
	if err := c.do(c.poll, req, resp, s.cfg.Core.Timeout); err != nil {
		return news, err
	}
	if resp.StatusCode() != fasthttp.StatusOK {
		switch {
		case resp.StatusCode() == fasthttp.StatusUnauthorized:
			s.core.forget(token)
		case resp.StatusCode() == fasthttp.StatusServiceUnavailable && leaving(resp.Body()):
			c.seenAt.Store(0)
		}
		p := readProblem(resp.Body())
		return news, fmt.Errorf("core answered %d %s: %s", resp.StatusCode(), p.Code, p.Detail)
	}
	if err := json.Unmarshal(resp.Body(), &news); err != nil {
		return news, fmt.Errorf("read what is left: %w", err)
	}
	return news, nil
}

// takeSeats puts core's news up.
func (s *Server) takeSeats(news seatNews) {
	for i := range news.Events {
		n := &news.Events[i]
		w := s.showings.find(n.Event)
		if w == nil {
			continue
		}
		if n.Problem == "" {
			s.counts.seatNews.Inc()
			err := w.take(n)
			if err == nil {
				continue
			}
			s.log.Error("core said what cannot be; it is asked anew", "event", n.Event, "error", err)
		}
		s.counts.seatErrors.Inc()
		w.mu.Lock()
		w.retryAt = s.now().Add(problemPause)
		w.mu.Unlock()
	}
}
