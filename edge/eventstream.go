package edge

import (
	"errors"
	"net"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"fairgate/edge/guard"
)

const (
	// streamRetry is how soon somebody is told to come back for whom there is no stream.
	streamRetry = 5 * time.Second
	// framesAtOnce bounds how many changes go out in one write, so that its time limit means something.
	framesAtOnce = 64
	// streamBuffer is what the system may keep for a shopper who does not read: a snapshot of a stadium and some changes.
	// Left alone it would keep megabytes.
	streamBuffer = 64 << 10
)

// streamHead is what every stream begins with. The body ends with the connection. X-Accel-Buffering is for proxies that
// would collect the answer before they pass it on; retry is how soon a browser comes back when the stream breaks.
const streamHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\nX-Accel-Buffering: no\r\n" +
	"X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\nretry: 2000\n\n"

const heartbeat = ":\n\n"

// unsafeConn is what fasthttp gives to whoever takes a connection over.
type unsafeConn interface{ UnsafeConn() net.Conn }

// serveStream is GET /v1/events/{event}/stream for those with a session: server-sent events that tell what is left of the
// event, as it changes.
//
//	event: snapshot  data as GET /v1/events/{event}/seats answers: everything
//	event: delta     {"free":[12],"held":[13,14],"sold":[99],"closed":[],"sections":[{"id":"101","left":4}],"tiers":[…]}:
//	                 the seats, by ordinal in the geometry, that have another state now, and the counts that are others;
//	                 empty lists are left out
//	event: state     {"phase":"paused"}: where the sale stands, at first and when that changes
//
// A new stream begins with a snapshot. Whoever was here before goes on where they were: by the Last-Event-ID that a browser
// sends, or by ?since= and the id that the seats came with; at any edge, and with a snapshot when the changes in between
// are not known any more. A comment is sent when nothing else is, at least every 15 s. The stream ends with the session, at
// a stop of the node, and for those who do not take what they are sent.
//
// The connection is taken out of fasthttp's hands: a stream costs two small goroutines and no buffers, for what it
// writes is shared by all of its event. fasthttp's own body streams would keep four buffers, and a second copy, for each.
func (s *Server) serveStream(ctx *fasthttp.RequestCtx, slug []byte) {
	now := s.now()
	client := s.proxies.client(ctx)
	if s.crowded(ctx, now, client) {
		return
	}
	entry := s.board.Entry(slug)
	if entry == nil {
		refuse(ctx, problemEventUnknown)
		return
	}
	buyer, ok := s.shopperOf(ctx, string(slug), now)
	if !ok {
		return
	}
	since := ctx.Request.Header.Peek("Last-Event-ID")
	if len(since) == 0 {
		since = ctx.QueryArgs().Peek("since")
	}
	at := placeOf(string(since))
	who := streamHolder{session: buyer.session.Session, address: guard.AddressSubject(client)}
	w, err := s.showings.enter(string(slug), string(entry.State.Phase), who, now)
	if err != nil {
		s.refuseStream(ctx, err)
		return
	}
	stream := &eventStream{w: w, at: at, gone: make(chan struct{}), life: buyer.session.ExpiresAt.Sub(s.clock.at(now))}
	ctx.HijackSetNoResponse(true)
	ctx.Hijack(func(taken net.Conn) {
		conn := taken
		if u, ok := taken.(unsafeConn); ok {
			conn = u.UnsafeConn()
		}
		stream.conn = conn
		if !s.streams.start(func(stop <-chan struct{}) {
			defer s.showings.leave(w, who, s.now())
			s.runStream(stream, stop)
		}) {
			conn.Close()
			s.showings.leave(w, who, s.now())
		}
	})
}

func (s *Server) refuseStream(ctx *fasthttp.RequestCtx, err error) {
	for _, limit := range s.counts.streamLimits {
		if errors.Is(err, limit.err) {
			limit.count.Inc()
		}
	}
	switch {
	case errors.Is(err, errSessionStreams), errors.Is(err, errAddressStreams):
		refuseUntil(ctx, problemTooManyStreams, streamRetry)
	default:
		refuseUntil(ctx, problemOverloaded, streamRetry)
	}
}

// eventStream is one shopper's connection.
type eventStream struct {
	conn net.Conn
	w    *showing
	at   place
	life time.Duration // until the session ends
	gone chan struct{} // closed when the shopper has hung up
}

// runStream writes until the shopper goes, the session ends or the node stops. A second goroutine waits for the shopper to
// hang up; closing the connection ends it.
func (s *Server) runStream(e *eventStream, stop <-chan struct{}) {
	var reading sync.WaitGroup
	reading.Go(e.listen)
	defer reading.Wait()
	defer e.conn.Close()
	s.counts.streams.Inc()
	if tcp, ok := e.conn.(interface{ SetWriteBuffer(bytes int) error }); ok {
		_ = tcp.SetWriteBuffer(streamBuffer) // without it a slow shopper costs more, no more than that
	}
	if err := s.write(e, net.Buffers{[]byte(streamHead)}); err != nil {
		return
	}
	end := time.NewTimer(e.life)
	defer end.Stop()
	beat := time.NewTimer(s.cfg.Live.Heartbeat)
	defer beat.Stop()
	for {
		texts, changed := e.w.after(&e.at)
		for len(texts) > 0 {
			n := min(len(texts), framesAtOnce)
			// The slice is this stream's own, the texts are everybody's: writing takes from the first alone.
			if err := s.write(e, net.Buffers(texts[:n:n])); err != nil {
				return
			}
			texts = texts[n:]
			beat.Reset(s.cfg.Live.Heartbeat)
		}
		select {
		case <-changed:
		case <-beat.C:
			if err := s.write(e, net.Buffers{[]byte(heartbeat)}); err != nil {
				return
			}
			beat.Reset(s.cfg.Live.Heartbeat)
		case <-end.C:
			return
		case <-e.gone:
			return
		case <-stop:
			return
		}
	}
}

// write sends texts within the time a shopper is given.
func (s *Server) write(e *eventStream, texts net.Buffers) error {
	err := e.conn.SetWriteDeadline(time.Now().Add(s.cfg.Live.WriteTimeout))
	if err == nil {
		_, err = texts.WriteTo(e.conn)
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		s.counts.streamsSlow.Inc()
	}
	return err
}

// listen returns when the shopper hangs up, or says anything, which nobody does on a stream.
func (e *eventStream) listen() {
	defer close(e.gone)
	if e.conn.SetReadDeadline(time.Time{}) != nil {
		return
	}
	var word [1]byte
	_, _ = e.conn.Read(word[:]) // whatever it is, it is the end
}

// streamSet is the goroutines of all streams. They end at a stop, which joins them.
type streamSet struct {
	mu     sync.Mutex // guards the first of work.Go and closed against each other
	closed bool
	stop   chan struct{}
	work   sync.WaitGroup
}

func newStreamSet() *streamSet { return &streamSet{stop: make(chan struct{})} }

// start runs a stream; false after the stop.
func (s *streamSet) start(f func(stop <-chan struct{})) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.work.Go(func() { f(s.stop) })
	}
	return !s.closed
}

// close ends all streams and waits for them. Browsers come back to another edge.
func (s *streamSet) close() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.stop)
	}
	s.mu.Unlock()
	s.work.Wait()
}
