package queue

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"

	"fairgate/edge/lottery"
)

// Entry is one event's answer, built once per change and never changed after. Callers must not write to it.
type Entry struct {
	Event uuid.UUID
	State State
	// ETag is quoted, as the header wants it.
	ETag string
	// Body is the state object, byte for byte as core sent it; Gzip is the same compressed.
	Body, Gzip []byte
}

// Board keeps the entry of each event. Reading takes no lock and allocates nothing; a reader keeps the entry it got for as
// long as it likes. Writers wait for each other.
type Board struct {
	mu    sync.Mutex // for writers: guards zip and who is on the board
	zip   *gzip.Writer
	slots atomic.Pointer[map[string]*slot]
}

// slot is an event's place on the board: what core said last, and what is shown.
type slot struct {
	told  *Entry // guarded by Board.mu
	shown atomic.Pointer[Entry]
}

// NewBoard is an empty board.
func NewBoard() *Board {
	b := &Board{zip: gzip.NewWriter(nil)}
	b.slots.Store(&map[string]*slot{})
	return b
}

// Entry is what is shown of the event called slug, or nil.
func (b *Board) Entry(slug []byte) *Entry {
	if s := (*b.slots.Load())[string(slug)]; s != nil {
		return s.shown.Load()
	}
	return nil
}

// Put shows a state object that core sent, and ends any doubt about that event. body is copied. ErrMalformed; ErrStale for
// one older than the one shown, which another core may send late.
func (b *Board) Put(etag string, body []byte) (*Entry, error) {
	state, err := DecodeState(body)
	if err != nil {
		return nil, err
	}
	if !validETag(etag) {
		return nil, fmt.Errorf("%w: ETag %q", ErrMalformed, etag)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	slots := *b.slots.Load()
	s := slots[state.Event]
	if s != nil && state.olderThan(&s.told.State) {
		return nil, ErrStale
	}
	entry, err := b.build(etag, bytes.Clone(body), state)
	if err != nil {
		return nil, err
	}
	if s != nil {
		s.told = entry
		s.shown.Store(entry)
		return entry, nil
	}
	s = &slot{told: entry}
	s.shown.Store(entry)
	slots = maps.Clone(slots)
	slots[state.Event] = s
	b.slots.Store(&slots)
	return entry, nil
}

// Keep takes all events off the board that are not live.
func (b *Board) Keep(live []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	slots := *b.slots.Load()
	kept := make(map[string]*slot, len(live))
	for _, slug := range live {
		if s := slots[slug]; s != nil {
			kept[slug] = s
		}
	}
	b.slots.Store(&kept)
}

// Doubt shows every event as one of which nobody knows the latest, see State.Doubtful, until Trust or the next Put.
func (b *Board) Doubt(message string, pollAfterMS int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range *b.slots.Load() {
		state := s.told.State.Doubtful(message, pollAfterMS)
		body, err := state.Encode()
		if err != nil {
			return err
		}
		entry, err := b.build(strings.TrimSuffix(s.told.ETag, `"`)+`-doubt"`, body, state)
		if err != nil {
			return err
		}
		s.shown.Store(entry)
	}
	return nil
}

// Trust shows every event again as core last told it.
func (b *Board) Trust() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range *b.slots.Load() {
		s.shown.Store(s.told)
	}
}

// build makes an entry that owns body. The caller holds b.mu.
func (b *Board) build(etag string, body []byte, state State) (*Entry, error) {
	var zipped bytes.Buffer
	b.zip.Reset(&zipped)
	if _, err := b.zip.Write(body); err != nil {
		return nil, fmt.Errorf("queue: compress state: %w", err)
	}
	if err := b.zip.Close(); err != nil {
		return nil, fmt.Errorf("queue: compress state: %w", err)
	}
	return &Entry{Event: lottery.EventID(state.Event), State: state, ETag: etag, Body: body, Gzip: zipped.Bytes()}, nil
}

// Doubtful is the state as an edge shows it that has lost core: everybody keeps their place and the phase is what it was,
// the message says what is the matter, and pages come back no sooner than in pollAfterMS.
func (s *State) Doubtful(message string, pollAfterMS int) State {
	doubtful := *s
	doubtful.Doubt = true
	doubtful.Message = message
	doubtful.PollAfterMS = min(max(s.PollAfterMS, pollAfterMS), maxPollMS)
	return doubtful
}

func (s *State) olderThan(t *State) bool {
	if s.Generation != t.Generation {
		return s.Generation < t.Generation
	}
	return s.Version < t.Version
}

// validETag: quoted, strong, and nothing that could end a header.
func validETag(etag string) bool {
	if len(etag) < 3 || len(etag) > 128 || etag[0] != '"' || etag[len(etag)-1] != '"' {
		return false
	}
	for _, c := range []byte(etag[1 : len(etag)-1]) {
		if c <= ' ' || c >= 0x7f || c == '"' {
			return false
		}
	}
	return true
}
