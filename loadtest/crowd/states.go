package crowd

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"fairgate/edge/lottery"
	"fairgate/edge/queue"
)

// keptTags is how many ETags are remembered: edges may be a few states apart.
const keptTags = 64

// states are the state objects that the crowd was shown. One member decodes for all. Any goroutine may use it.
type states struct {
	newest atomic.Pointer[queue.State]

	mu   sync.RWMutex
	tags map[string]bool
	ring []string
	seen lottery.Evidence // what was published, and when it first was
}

func newStates() *states { return &states{tags: make(map[string]bool)} }

func (s *states) known(etag []byte) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.tags[string(etag)]
}

// first notes a tag, and tells whether nobody had.
func (s *states) first(etag string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tags[etag] {
		return false
	}
	s.tags[etag] = true
	if s.ring = append(s.ring, etag); len(s.ring) > keptTags {
		delete(s.tags, s.ring[0])
		s.ring = s.ring[1:]
	}
	return true
}

// learn reads a state object, unless another member has it or is about to: many ask between a new one and its being read.
func (s *states) learn(r *reply) error {
	if tag := string(r.etag); tag != "" && !s.first(tag) {
		return nil
	}
	body := r.body
	if r.gzipped {
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return fmt.Errorf("unzip a state object: %w", err)
		}
		if body, err = io.ReadAll(io.LimitReader(z, maxBody)); err != nil {
			return fmt.Errorf("unzip a state object: %w", err)
		}
	}
	state, err := queue.DecodeState(body)
	if err != nil {
		return fmt.Errorf("read a state object: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.newest.Load(); old == nil || state.Version >= old.Version {
		s.newest.Store(&state)
	}
	s.note(&state)
	return nil
}

// note keeps what the draw must answer for later.
func (s *states) note(state *queue.State) {
	if s.seen.Commitment == nil && (state.Phase == queue.PhaseAnnounced || state.Phase == queue.PhaseJoining) {
		commitment := state.Commitment
		s.seen.Commitment = &commitment
	}
	for i := range state.Windows {
		w := &state.Windows[i]
		if w.Sealed && !slices.ContainsFunc(s.seen.Windows, func(x lottery.SeenWindow) bool { return x.Window == w.Window }) {
			s.seen.Windows = append(s.seen.Windows, lottery.SeenWindow{Window: w.Window, Root: w.Root, Seed: w.Seed})
		}
	}
}

// pollAfter is when the crowd is to ask again, as the newest state says.
func (s *states) pollAfter() time.Duration {
	state := s.newest.Load()
	if state == nil {
		return 2 * time.Second
	}
	return min(max(time.Duration(state.PollAfterMS)*time.Millisecond, 200*time.Millisecond), time.Minute)
}
