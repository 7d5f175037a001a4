package edge

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/google/uuid"
	"github.com/valyala/fasthttp"

	"fairgate/edge/admission"
	"fairgate/edge/guard"
	"fairgate/edge/lottery"
	"fairgate/edge/queue"
	"fairgate/edge/web"
)

// handOverShare is the part of the time for a graceful stop that is kept for handing entrants over to core.
const handOverShare = 3

// Server is one edge node. Make it with New, then call Run once.
type Server struct {
	cfg   Config
	log   *slog.Logger
	id    uuid.UUID // of the node
	boot  uuid.UUID // of this process
	now   func() time.Time
	clock clock

	core     *upstream
	hooks    *fasthttp.HostClient // core's webhook listener; nil: none
	board    *queue.Board
	rooms    *rooms
	ring     *admission.Ring
	filters  atomic.Pointer[lottery.MACKeys] // of sessions
	signers  accountKeys
	guard    *guard.Guard
	judges   judges
	asking   asking
	verdicts *verdicts
	redeems  *batcher
	holds    *batcher
	pages    *web.Pages
	shelf    *shelf

	showings   *showings
	streams    *streamSet
	geometries geometries

	cookies cookieJar
	proxies proxies
	counts  *counts

	heard    atomic.Bool // some core has told what on-sales there are
	doubt    atomic.Bool // no core has been heard of for too long
	clockOff atomic.Bool
	stopping atomic.Bool
	inflight atomic.Int64 // requests that wait for core
	follows  follows      // those of them that core may keep until there is news

	liveMu sync.Mutex
	live   map[*core][]string // what each core listed last

	http    *fasthttp.Server
	private *http.Server
	public  net.Listener
	admin   net.Listener

	// work counts the goroutines of spawn; ctx ends at a stop, last when the hand-over must be over.
	workMu sync.Mutex // guards the first of work.Go and closed against each other
	closed bool
	work   sync.WaitGroup
	ctx    context.Context
	last   context.Context
}

// New prepares a node: it checks the configuration, reads the secret and opens the listeners, so that whatever is wrong
// on this machine is known at once. Core need not be there yet.
func New(c Config, log *slog.Logger) (*Server, error) { return newAt(c, log, time.Now) }

// newAt is New on a machine with that clock.
func newAt(c Config, log *slog.Logger, now func() time.Time) (*Server, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("the configuration is not usable:\n%w", err)
	}
	secret, err := readSecret(c.Core.SecretFile)
	if err != nil {
		return nil, err
	}
	id, err := nodeID(c.Edge)
	if err != nil {
		return nil, err
	}
	trusted, err := parseNetworks(c.TrustedProxies)
	if err != nil {
		return nil, fmt.Errorf("read trusted_proxies: %w", err)
	}
	ring, err := admission.NewRing(c.Keys.Validity, c.Keys.Overlap, rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the key ring: %w", err)
	}
	pages, err := web.New()
	if err != nil {
		return nil, fmt.Errorf("prepare the pages: %w", err)
	}
	judges, err := newJudges(c.Guard, now(), log)
	if err != nil {
		return nil, fmt.Errorf("read the list of data centres (guard.data_centres): %w", err)
	}
	asking, err := newAsking(c.Guard.Answers, now())
	if err != nil {
		return nil, err
	}
	set := metrics.NewSet()
	s := &Server{
		cfg: c, log: log, id: id, boot: uuid.New(), now: now, clock: clock{now: now},
		board: queue.NewBoard(), rooms: newRooms(), ring: ring, pages: pages,
		guard: guard.New(c.Guard, now(), set), judges: judges, asking: asking, cookies: newCookieJar(c.Cookies), proxies: trusted,
		counts: newCounts(set), live: make(map[*core][]string), follows: follows{limit: c.Core.Connections / 2},
	}
	s.verdicts = newVerdicts(s.now, s.counts)
	if s.core, err = newUpstream(c, secret, s.now, s.counts); err != nil {
		return nil, err
	}
	s.showings, s.streams = newShowings(c.Live, s.core.cores), newStreamSet()
	if c.Core.WebhookURL != "" {
		if s.hooks, err = newHostClient(c.Core.WebhookURL, c.Core, c.Limits, nil); err != nil {
			return nil, err
		}
	}
	s.shelf = newShelf(c.Catalog, s.now, s.counts)
	s.redeems = newBatcher("/edge/v1/redeem", c.Redeem, s.core, s.now, &s.counts.redeem)
	s.holds = newBatcher("/edge/v1/holds:batch", c.Holds, s.core, s.now, &s.counts.holds)
	s.http = s.newHTTP()
	s.private = s.newPrivate()
	s.gauges()
	return s, s.listen()
}

// listen opens both listeners or none.
func (s *Server) listen() error {
	public, err := net.Listen("tcp", s.cfg.Listen)
	if err != nil {
		return fmt.Errorf("open the buyers' address (listen: %s): %w", s.cfg.Listen, err)
	}
	if s.cfg.PrivateListen != "" {
		if s.admin, err = net.Listen("tcp", s.cfg.PrivateListen); err != nil {
			public.Close()
			return fmt.Errorf("open the private address (private_listen: %s): %w", s.cfg.PrivateListen, err)
		}
	}
	bounded := newBoundedListener(public, s.cfg.Limits, s.proxies, s.http.GetOpenConnectionsCount, s.counts.connRefused)
	s.http.ConnState = bounded.released
	s.public = bounded
	return nil
}

// Addr is where buyers are listened to, PrivateAddr where operators are; nil when there is no private listener.
func (s *Server) Addr() net.Addr { return s.public.Addr() }

// PrivateAddr is the address of the private listener, or nil.
func (s *Server) PrivateAddr() net.Addr {
	if s.admin == nil {
		return nil
	}
	return s.admin.Addr()
}

// ID is the node's identity.
func (s *Server) ID() uuid.UUID { return s.id }

// Run serves until the context ends, then stops gracefully: it takes no more requests, answers those under way, hands
// the entrants it still has over to core, and joins all it started. An error means that a listener failed.
func (s *Server) Run(ctx context.Context) error {
	running, stop := context.WithCancel(context.Background())
	defer stop()
	last, give := context.WithCancel(context.Background())
	defer give()
	s.ctx, s.last = running, last

	s.spawn(func(ctx, _ context.Context) { s.introduce(ctx) })
	s.spawn(func(ctx, _ context.Context) { s.watch(ctx) })
	s.spawn(s.sendVerdicts)
	var batches, feeds sync.WaitGroup
	batching, stopBatches := context.WithCancel(context.Background())
	defer stopBatches()
	feeding, stopFeeds := context.WithCancel(context.Background())
	defer stopFeeds()
	for _, c := range s.core.cores {
		feeds.Go(func() { s.follow(feeding, c) })
		feeds.Go(func() { s.followSeats(feeding, c) })
		for range s.cfg.Redeem.InFlight {
			batches.Go(func() { s.redeems.run(batching, c) })
		}
		for range s.cfg.Holds.InFlight {
			batches.Go(func() { s.holds.run(batching, c) })
		}
	}
	failed := make(chan error, 2)
	var listeners sync.WaitGroup
	listeners.Go(func() {
		if err := s.http.Serve(s.public); err != nil {
			failed <- fmt.Errorf("serve buyers: %w", err)
		}
	})
	if s.admin != nil {
		listeners.Go(func() {
			if err := s.private.Serve(s.admin); err != nil && !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("serve the private address: %w", err)
			}
		})
	}
	s.log.Info("edge is up", "listen", s.Addr().String(), "edge", s.id.String(), "cores", s.cfg.Core.URLs)

	var result error
	select {
	case <-ctx.Done():
	case result = <-failed:
	}

	s.log.Info("edge is stopping")
	s.stopping.Store(true)
	s.streams.close()
	deadline := time.Now().Add(s.cfg.Limits.Shutdown)
	serving, cancel := context.WithDeadline(context.Background(), deadline.Add(-s.cfg.Limits.Shutdown/handOverShare))
	defer cancel()
	if err := s.http.ShutdownWithContext(serving); err != nil {
		s.log.Warn("some requests were cut off by the stop", "error", err)
	}
	timer := time.AfterFunc(time.Until(deadline), give)
	defer timer.Stop()
	stop() // the streams hand over what they have, then end
	s.workMu.Lock()
	s.closed = true
	s.workMu.Unlock()
	s.work.Wait()
	stopBatches()
	batches.Wait()
	stopFeeds()
	s.core.close()
	feeds.Wait()
	if s.hooks != nil {
		s.hooks.CloseIdleConnections()
	}
	s.private.Close()
	s.public.Close()
	listeners.Wait()
	if left := s.entrantsLeft(); left > 0 {
		s.log.Warn("core did not take all entrants in time; their pages join again elsewhere", "entrants", left)
	}
	s.log.Info("edge has stopped")
	return result
}

// spawn runs a goroutine that Run joins. It gets the context that ends at a stop, and the one that ends when even the
// hand-over must be over. After the stop it starts nothing any more.
func (s *Server) spawn(f func(ctx, last context.Context)) {
	s.workMu.Lock()
	defer s.workMu.Unlock()
	if !s.closed {
		s.work.Go(func() { f(s.ctx, s.last) })
	}
}

func (s *Server) entrantsLeft() int {
	left := 0
	for _, room := range s.rooms.all() {
		left += room.stream.unsettled()
	}
	return left
}

// newHTTP makes the buyers' server.
func (s *Server) newHTTP() *fasthttp.Server {
	limits := s.cfg.Limits
	return &fasthttp.Server{
		Handler:                      s.handle,
		ErrorHandler:                 s.refuseUnreadable,
		HeaderReceived:               s.bodyLimit,
		Concurrency:                  limits.Connections + 1, // the listener refuses before, with a readable answer
		MaxRequestBodySize:           limits.Body,
		ReadBufferSize:               limits.Headers,
		ReadTimeout:                  limits.ReadTimeout,
		WriteTimeout:                 limits.WriteTimeout,
		IdleTimeout:                  limits.IdleTimeout,
		NoDefaultServerHeader:        true,
		NoDefaultContentType:         true,
		CloseOnShutdown:              true,
		KeepHijackedConns:            true, // streams close their own
		DisablePreParseMultipartForm: true,
		SecureErrorLogMessage:        true,
		LazyRequestTime:              true,
		Logger:                       quietLogger{},
	}
}

// quietLogger keeps fasthttp's remarks on broken client connections out of the log: they are counted instead.
type quietLogger struct{}

// Printf implements fasthttp.Logger.
func (quietLogger) Printf(string, ...any) {}

// bodyLimit allows webhooks larger bodies than buyers.
func (s *Server) bodyLimit(header *fasthttp.RequestHeader) fasthttp.RequestConfig {
	const prefix = "/webhooks/"
	if uri := header.RequestURI(); len(uri) > len(prefix) && string(uri[:len(prefix)]) == prefix {
		return fasthttp.RequestConfig{MaxRequestBodySize: s.cfg.Limits.WebhookBody}
	}
	return fasthttp.RequestConfig{}
}

// refuseUnreadable answers for a request that could not be read.
func (s *Server) refuseUnreadable(ctx *fasthttp.RequestCtx, err error) {
	s.counts.badRequests.Inc()
	var small *fasthttp.ErrSmallBuffer
	var timeout net.Error
	switch {
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		refuse(ctx, problemBodyTooLarge)
	case errors.As(err, &small):
		refuse(ctx, problemHeadersTooLarge)
	case errors.As(err, &timeout) && timeout.Timeout():
		refuse(ctx, problemRequestTimeout)
	default:
		refuse(ctx, problemBadRequest)
	}
}

// limited spends one request of a subject; if that is too much, it has answered.
func (s *Server) limited(ctx *fasthttp.RequestCtx, limit guard.Limit, now time.Time, subject []byte) bool {
	wait := s.guard.Take(limit, now, subject)
	if wait == 0 {
		return false
	}
	refuseUntil(ctx, problemRateLimited, wait)
	return true
}

// crowded spends one request of the caller's address and network; if that is too much, it has answered. A browser that is in a
// waiting room or has a session is not held to what its neighbours do: its own limits are looked at later, and behind one
// address there may be thousands. What such browsers of one network may do together is limited too.
func (s *Server) crowded(ctx *fasthttp.RequestCtx, now time.Time, client netip.Addr) bool {
	address, network := guard.AddressSubject(client), lottery.NetworkOf(client)
	wait := s.guard.Take(guard.Address, now, address[:])
	if wait == 0 {
		wait = s.guard.Take(guard.Network, now, network[:])
	}
	if wait == 0 || s.stands(ctx) && s.guard.Take(guard.Crowd, now, network[:]) == 0 {
		return false
	}
	refuseUntil(ctx, problemRateLimited, wait)
	return true
}

// enter takes one of the places for requests that wait for core; if there is none, it has answered. leave gives it back.
func (s *Server) enter(ctx *fasthttp.RequestCtx) bool {
	if s.inflight.Add(1) <= int64(s.cfg.Limits.Concurrency) {
		return true
	}
	s.inflight.Add(-1)
	s.counts.overloaded.Inc()
	refuseUntil(ctx, problemOverloaded, coreRetry)
	return false
}

func (s *Server) leave() { s.inflight.Add(-1) }
