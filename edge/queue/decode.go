package queue

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"fairgate/edge/lottery"
)

const (
	// maxState bounds a state object in bytes: two hundred sealed windows with all their 1,000 quantiles fit.
	maxState = 4 << 20
	// maxEntrants bounds a window, so that no sum over windows overflows.
	maxEntrants = 1 << 30
	// maxPollMS bounds how long pages can be told to stay away.
	maxPollMS = 60_000
)

// DecodeState reads a state object strictly: one JSON value, no unknown field, and nothing that contradicts itself, since
// a wrong cursor or seed would send away people whose turn it is. Every error is ErrMalformed.
func DecodeState(b []byte) (State, error) {
	if len(b) > maxState {
		return State{}, fmt.Errorf("%w: state of %d bytes, at most %d", ErrMalformed, len(b), maxState)
	}
	var s State
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return State{}, fmt.Errorf("%w: state: %w", ErrMalformed, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return State{}, fmt.Errorf("%w: state: more than one JSON value", ErrMalformed)
	}
	if err := s.validate(); err != nil {
		return State{}, fmt.Errorf("%w: state: %w", ErrMalformed, err)
	}
	return s, nil
}

func (s *State) validate() error {
	switch {
	case !lottery.ValidSlug(s.Event):
		return fmt.Errorf("event %q is not a slug", s.Event)
	case !s.Phase.valid():
		return fmt.Errorf("phase %q is unknown", s.Phase)
	case s.Identity != "device" && s.Identity != "invitation" && s.Identity != "account":
		return fmt.Errorf("identity %q is unknown", s.Identity)
	case s.WindowSeconds <= 0:
		return fmt.Errorf("window_seconds is %d", s.WindowSeconds)
	case s.PollAfterMS <= 0 || s.PollAfterMS > maxPollMS:
		return fmt.Errorf("poll_after_ms is %d, want 1 to %d", s.PollAfterMS, maxPollMS)
	case s.ChainLength < 0 || s.ChainLength > lottery.MaxChain:
		return fmt.Errorf("chain_length is %d, want at most %d", s.ChainLength, lottery.MaxChain)
	case s.Beacon != nil && !lottery.ValidBeaconName(s.Beacon.Name):
		return errors.New("the beacon has no valid name")
	case s.Joined < 0 || s.CalledCount < 0 || s.PacePerSecond < 0:
		return errors.New("a count is negative")
	}
	for i := range s.Windows {
		w := &s.Windows[i]
		if i > 0 && w.Window <= s.Windows[i-1].Window {
			return fmt.Errorf("window %d is out of order", w.Window)
		}
		if w.Closed() && !w.Sealed && (s.Beacon == nil || w.Window > 0) {
			return fmt.Errorf("window %d has a root and is not sealed", w.Window)
		}
		if err := w.validate(); err != nil {
			return fmt.Errorf("window %d: %w", w.Window, err)
		}
	}
	if s.Cursor == nil {
		return nil
	}
	if w, ok := s.Window(s.Cursor.Window); !ok || !w.Sealed {
		return fmt.Errorf("the cursor is in window %d, which is not sealed", s.Cursor.Window)
	}
	return nil
}

func (w *Window) validate() error {
	var none lottery.Hex32
	if w.Sealed && w.Root == none || w.Sealed != (w.Seed != none) || w.Sealed != (w.Secret != none) {
		return errors.New("sealed, and root, seed and secret do not go together")
	}
	if w.Entrants < 0 || w.Entrants > maxEntrants {
		return fmt.Errorf("%d entrants", w.Entrants)
	}
	sum := 0
	for i, b := range w.Bands {
		switch {
		case i > 0 && b.Band <= w.Bands[i-1].Band:
			return fmt.Errorf("band %d is out of order", b.Band)
		case b.Entrants < 0 || b.Entrants > maxEntrants:
			return fmt.Errorf("band %d has %d entrants", b.Band, b.Entrants)
		case len(b.Quantiles) > b.Entrants || w.Sealed && b.Entrants > 0 && len(b.Quantiles) == 0:
			return fmt.Errorf("band %d has %d quantiles of %d entrants", b.Band, len(b.Quantiles), b.Entrants)
		case !slices.IsSorted(b.Quantiles):
			return fmt.Errorf("the quantiles of band %d are out of order", b.Band)
		}
		sum += b.Entrants
	}
	if w.Sealed && sum != w.Entrants {
		return fmt.Errorf("%d entrants, but %d in its bands", w.Entrants, sum)
	}
	return nil
}

func (p Phase) valid() bool {
	switch p {
	case PhaseAnnounced, PhaseJoining, PhaseSealing, PhaseDrawn, PhaseOpen, PhasePaused, PhaseSoldOut, PhaseEnded:
		return true
	}
	return false
}
