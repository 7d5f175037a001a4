package edge

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"fairgate/edge/lottery"
)

const (
	// shortPause and longPause bound the back-off of everything that is repeated until core takes it.
	shortPause = 50 * time.Millisecond
	longPause  = 2 * time.Second
)

// roomKeys is what core told about an event when it registered the node's signing key.
type roomKeys struct {
	generation  uint32
	identity    string
	pseudonym   lottery.Hex32
	passes      lottery.MACKeys
	newest      lottery.MACKey // of passes
	receipts    lottery.PublicKeys
	invitations lottery.PublicKeys
}

// room is one event's waiting room on this node. It exists as long as core lists the event.
type room struct {
	slug   string
	event  uuid.UUID
	stream *stream
	keys   atomic.Pointer[roomKeys]

	wanted atomic.Bool // a pass named a key that is not known
	start  sync.Once   // of the goroutine that carries entrants to core
	gone   chan struct{}

	// Of the key loop alone:
	learntAt time.Time
	retryAt  time.Time
	pause    time.Duration
}

// rooms is the set of rooms; reading takes no lock.
type rooms struct {
	mu     sync.Mutex
	bySlug atomic.Pointer[map[string]*room]
}

func newRooms() *rooms {
	r := &rooms{}
	r.bySlug.Store(&map[string]*room{})
	return r
}

func (r *rooms) all() map[string]*room { return *r.bySlug.Load() }

func (r *rooms) find(slug []byte) *room { return r.all()[string(slug)] }

// ensure returns the event's room, new if need be.
func (r *rooms) ensure(slug string, c JoinConfig) *room {
	if found := r.all()[slug]; found != nil {
		return found
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if found := r.all()[slug]; found != nil {
		return found
	}
	made := &room{slug: slug, event: lottery.EventID(slug), stream: newStream(c), gone: make(chan struct{})}
	next := maps.Clone(r.all())
	next[slug] = made
	r.bySlug.Store(&next)
	return made
}

// keep closes all rooms but those of live events.
func (r *rooms) keep(live map[string]struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := maps.Clone(r.all())
	for slug, room := range next {
		if _, ok := live[slug]; !ok {
			close(room.gone)
			delete(next, slug)
		}
	}
	r.bySlug.Store(&next)
}

// carry sends the room's entrants to core until the room is gone, or the node stops; then it sends what is left as long as
// the last context allows. One carry per room.
func (s *Server) carry(ctx, last context.Context, room *room) {
	for {
		wait := room.stream.idle(s.clock.core(), s.cfg.Join.FlushInterval)
		for wait > 0 && !room.stream.due(s.clock.core()) {
			began := s.now()
			timer := time.NewTimer(wait)
			select {
			case <-timer.C:
				wait = 0
			case <-room.stream.wake:
				// Something changed; an entrant who was first in line still waits for company, but no longer than planned.
				wait = min(wait-s.now().Sub(began), room.stream.idle(s.clock.core(), s.cfg.Join.FlushInterval))
			case <-room.gone:
				timer.Stop()
				return
			case <-ctx.Done():
				timer.Stop()
				s.handOver(last, room)
				return
			}
			timer.Stop()
		}
		out, ok := room.stream.next(s.clock.core())
		if !ok {
			continue
		}
		if !s.ship(ctx, room, out) {
			// Only a stop interrupts a shipment.
			if s.ship(last, room, out) {
				s.handOver(last, room)
			}
			return
		}
	}
}

// handOver empties the line at a stop, with the markers that are due by then.
func (s *Server) handOver(ctx context.Context, room *room) {
	for {
		out, ok := room.stream.next(s.clock.core())
		if !ok || !s.ship(ctx, room, out) {
			return
		}
	}
}

// ship repeats a shipment until core has answered it. It returns false when the context ended before.
func (s *Server) ship(ctx context.Context, room *room, out shipment) bool {
	body := appendShipment(nil, room.slug, out)
	for pause := shortPause; ; pause = min(2*pause, longPause) {
		seats, err := s.sendShipment(room, body, len(out.entries))
		at := s.clock.core()
		switch {
		case err == nil:
			s.counts.acks.Add(len(seats))
			if out.marker >= 0 {
				s.counts.markers.Inc()
			}
			room.stream.settle(out, seats, true, at)
			return true
		case errors.Is(err, errRefused):
			// Core will not take this, however often. The pages join again; nothing is lost by letting go.
			s.counts.poolDropped.Add(len(out.entries))
			s.log.Error("core refused entrants", "event", room.slug, "entrants", len(out.entries), "error", err)
			room.stream.settle(out, nil, true, at)
			return true
		}
		s.counts.poolRetries.Inc()
		select {
		case <-room.gone:
			return true
		default:
		}
		if !sleep(ctx, pause) {
			return false
		}
	}
}

// errRefused means that core understood and said no.
var errRefused = errors.New("refused by core")

// codeNotRegistered is what core refuses entrants with who have no right to a presale.
const codeNotRegistered = "not_registered"

// poolAnswer is core's answer to a shipment.
type poolAnswer struct {
	Acks []struct {
		Window      uint32         `json:"window"`
		Band        lottery.Band   `json:"band"`
		Reason      lottery.Reason `json:"reason"`
		Receipt     string         `json:"receipt"`
		OtherDevice bool           `json:"other_device"`
		Refused     string         `json:"refused"`
	} `json:"acks"`
}

func (s *Server) sendShipment(room *room, body []byte, entries int) ([]seat, error) {
	to := s.core.pick(room.event, 0)
	if to == nil || !s.core.enrolled() {
		return nil, errNotSent
	}
	s.counts.poolRequests.Inc()
	got, err := s.core.post(to, "/edge/v1/pool", body)
	if err != nil {
		return nil, err
	}
	if got.status != 200 {
		return nil, refusal(got)
	}
	var parsed poolAnswer
	if err := json.Unmarshal(got.body, &parsed); err != nil {
		return nil, fmt.Errorf("%w: it cannot be read: %w", errLost, err)
	}
	if len(parsed.Acks) != entries {
		return nil, fmt.Errorf("%w: %d acknowledgements for %d entrants", errLost, len(parsed.Acks), entries)
	}
	seats := make([]seat, entries)
	for i, ack := range parsed.Acks {
		seats[i] = seat{window: ack.Window, band: ack.Band, reason: ack.Reason, receipt: ack.Receipt, otherDevice: ack.OtherDevice, banned: ack.Refused != "" && ack.Refused != codeNotRegistered, stranger: ack.Refused == codeNotRegistered}
		if ack.Refused != "" {
			s.counts.acksRefused.Inc()
		}
	}
	return seats, nil
}

// refusal turns an answer that is no success into an error: errRefused when repeating is useless.
func refusal(a answer) error {
	p := readProblem(a.body)
	switch {
	case a.status == 408 || a.status == 425 || a.status == 429 || a.status >= 500 || a.status == 401:
		return fmt.Errorf("%w: core answered %d %s", errNotSent, a.status, p.Code)
	}
	return fmt.Errorf("%w: %d %s: %s", errRefused, a.status, p.Code, p.Detail)
}

// appendShipment appends the request for a shipment.
func appendShipment(dst []byte, slug string, out shipment) []byte {
	dst = append(dst, `{"event":"`...)
	dst = append(dst, slug...)
	dst = append(dst, `","generation":`...)
	dst = strconv.AppendUint(dst, uint64(out.generation), 10)
	dst = append(dst, `,"entries":[`...)
	for i := range out.entries {
		e := &out.entries[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"e":"`...)
		dst = appendHex(dst, e.entrant[:])
		dst = append(dst, `","d":"`...)
		dst = appendHex(dst, e.device[:])
		dst = append(dst, `","n":"`...)
		dst = appendHex(dst, e.network[:])
		dst = append(dst, `","w":`...)
		dst = strconv.AppendUint(dst, uint64(e.window), 10)
		dst = append(dst, '}')
	}
	dst = append(dst, `],"marker":`...)
	if out.marker < 0 {
		return append(dst, `null}`...)
	}
	dst = append(dst, `{"window":`...)
	dst = strconv.AppendInt(dst, out.marker, 10)
	return append(dst, `}}`...)
}

// verifyInvitation is the invitation of a code, if it was issued for this sale of the event: a presale, or general sale.
func (k *roomKeys) verifyInvitation(event uuid.UUID, presale, code string) (lottery.Invitation, bool) {
	parsed, err := lottery.ParseInvitation(code)
	if err != nil || parsed.Event != event || parsed.Presale != presale {
		return lottery.Invitation{}, false
	}
	key := k.invitations.Find(parsed.KeyNo)
	if len(key) != ed25519.PublicKeySize {
		return lottery.Invitation{}, false
	}
	verified, err := lottery.VerifyInvitation(code, key)
	return verified, err == nil
}
