package edge

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"fairgate/edge/admission"
	"fairgate/edge/lottery"
	"fairgate/edge/queue"
)

const (
	// keyTick is how often the node looks whether a key is due.
	keyTick = 100 * time.Millisecond
	// earlyKeys is how long before joining opens an event's keys are fetched.
	earlyKeys = 10 * time.Minute
	// keyPause is how soon keys are asked for again because passes name one that is not known.
	keyPause = 10 * time.Second
	// generationPause is the same for keys of another on-sale than the state object's; core may be a moment behind itself.
	generationPause = 200 * time.Millisecond
	// refusedPause is how long an event is left alone whose keys core refuses.
	refusedPause = 5 * time.Second
)

// enrollAnswer is core's answer to an enrolment.
type enrollAnswer struct {
	Token    string             `json:"edge_token"`
	Filters  lottery.MACKeys    `json:"session_filter_keys"`
	Accounts lottery.PublicKeys `json:"account_keys"`
	Time     time.Time          `json:"server_time"`
}

// keysAnswer is core's answer to the registration of a signing key.
type keysAnswer struct {
	Event       string             `json:"event"`
	Generation  uint32             `json:"generation"`
	Identity    string             `json:"identity"`
	Pseudonym   lottery.Hex32      `json:"pseudonym_key"`
	Passes      lottery.MACKeys    `json:"pass_keys"`
	Receipts    lottery.PublicKeys `json:"receipt_keys"`
	Invitations lottery.PublicKeys `json:"invitation_keys"`
	Filters     lottery.MACKeys    `json:"session_filter_keys"`
	Accounts    lottery.PublicKeys `json:"account_keys"`
}

// introduce enrols the node whenever that is wanted, and keeps its signing keys registered, until the context ends.
func (s *Server) introduce(ctx context.Context) {
	pause, failed := shortPause, false
	for ctx.Err() == nil {
		if !s.core.enrolled() {
			if err := s.enroll(); err != nil {
				if !failed {
					s.log.Warn("core does not take this node yet; it is tried again, and buyers are told to wait", "error", err)
				}
				failed = true
				if !sleep(ctx, pause) {
					return
				}
				pause = min(2*pause, longPause)
				continue
			}
			s.log.Info("enrolled at core", "edge", s.id.String())
			pause, failed = shortPause, false
		} else if s.signers.due(s.now()) {
			// Enrolling again is asking again; it brings the keys of accounts, of which no event tells while none is on sale.
			if err := s.enroll(); err != nil {
				s.log.Warn("could not ask for the keys of accounts; it is tried again", "error", err)
			}
		}
		for _, room := range s.rooms.all() {
			if ctx.Err() == nil && s.core.enrolled() {
				s.refreshKeys(room)
			}
		}
		timer := time.NewTimer(keyTick)
		select {
		case <-ctx.Done():
		case <-s.core.wanted:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// enroll tells one core after the other who the node is, until one answers.
func (s *Server) enroll() error {
	body, err := json.Marshal(map[string]string{"edge_id": s.id.String(), "boot": s.boot.String()})
	if err != nil {
		return fmt.Errorf("write the enrolment: %w", err)
	}
	var problems []error
	for _, c := range s.core.cores {
		got, err := s.core.post(c, "/edge/v1/enroll", body)
		if err == nil && got.status != 200 {
			p := readProblem(got.body)
			err = fmt.Errorf("%d %s: %s", got.status, p.Code, p.Detail)
		}
		var parsed enrollAnswer
		if err == nil {
			err = json.Unmarshal(got.body, &parsed)
		}
		if err == nil && (parsed.Token == "" || len(parsed.Filters) == 0) {
			err = errors.New("the answer lacks the edge token or the filter keys")
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("enroll at %s: %w", c.url, err))
			continue
		}
		received := s.now()
		c.seen(received)
		s.clock.observe(parsed.Time, received)
		s.filters.Store(&parsed.Filters)
		s.signers.learn(parsed.Accounts, received)
		s.core.token.Store(&parsed.Token)
		s.counts.enrolments.Inc()
		return nil
	}
	return errors.Join(problems...)
}

// refreshKeys registers the event's next signing key when it is due, which brings the event's other keys as well.
func (s *Server) refreshKeys(room *room) {
	local, at := s.now(), s.clock.core()
	entry := s.board.Entry([]byte(room.slug))
	if entry == nil || local.Before(room.retryAt) || !s.keysUseful(&entry.State) {
		return
	}
	key, due, err := s.ring.Due(room.event, at)
	if err != nil {
		s.log.Error("could not make a signing key", "event", room.slug, "error", err)
		room.retryAt = local.Add(longPause)
		return
	}
	if !due {
		// The way to learn an event's other keys is to register one of our own; the same may be registered again.
		var current bool
		if key, current = s.ring.Current(room.event, at); !current || !s.keysWanted(room, entry.State.Generation, local) {
			return
		}
	}
	got, err := s.register(room, key)
	if err != nil {
		room.pause = min(max(2*room.pause, shortPause), longPause)
		if errors.Is(err, errRefused) {
			room.pause = refusedPause
		}
		room.retryAt = local.Add(room.pause)
		s.log.Warn("core did not register a signing key; it is tried again", "event", room.slug, "error", err)
		return
	}
	room.pause, room.learntAt = 0, local
	if due {
		s.ring.Add(key, s.clock.core())
	}
	newest, _ := got.Passes.Newest()
	room.keys.Store(&roomKeys{
		generation: got.Generation, identity: got.Identity, pseudonym: got.Pseudonym, passes: got.Passes, newest: newest,
		receipts: got.Receipts, invitations: got.Invitations,
	})
	room.wanted.Store(false)
	s.filters.Store(&got.Filters)
	s.signers.learn(got.Accounts, local)
	s.counts.keys.Inc()
}

// keysWanted tells whether the keys known of an event do not suffice: they are of another on-sale, or a pass named a key
// they lack. The latter is heeded once in a while only, since anybody can make up numbers.
func (s *Server) keysWanted(room *room, generation uint32, local time.Time) bool {
	known := room.keys.Load()
	if known == nil || known.generation != generation {
		return local.Sub(room.learntAt) > generationPause
	}
	return room.wanted.Load() && local.Sub(room.learntAt) > keyPause
}

// keysUseful tells whether anybody could need the event's keys by now.
func (s *Server) keysUseful(state *queue.State) bool {
	switch state.Phase {
	case queue.PhaseEnded:
		return false
	case queue.PhaseAnnounced:
		return s.clock.core().After(state.JoiningAt.Add(-earlyKeys))
	}
	return true
}

// register tells core the public half of a signing key.
func (s *Server) register(room *room, key admission.Key) (keysAnswer, error) {
	var got keysAnswer
	to := s.core.pick(room.event, 0)
	if to == nil {
		return got, errNotSent
	}
	body, err := json.Marshal(map[string]string{
		"event": room.slug, "key_id": key.ID.String(), "public_key": hex.EncodeToString(key.Public()),
		"valid_from": key.From.UTC().Format(time.RFC3339Nano), "valid_until": key.Until.UTC().Format(time.RFC3339Nano),
	})
	if err != nil {
		return got, fmt.Errorf("write the registration: %w", err)
	}
	reply, err := s.core.post(to, "/edge/v1/keys", body)
	if err != nil {
		return got, err
	}
	if reply.status != 200 {
		return got, refusal(reply)
	}
	if err := json.Unmarshal(reply.body, &got); err != nil {
		return got, fmt.Errorf("read core's keys: %w", err)
	}
	if len(got.Passes) == 0 || len(got.Filters) == 0 {
		return got, errors.New("core's answer lacks pass or filter keys")
	}
	return got, nil
}
