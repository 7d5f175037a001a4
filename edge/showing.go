package edge

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

const (
	// frameRing and frameBytes bound what is kept of an event's changes for those who resume.
	frameRing  = 256
	frameBytes = 512 << 10
	// framesBehind is from how many changes on a new snapshot is made for those who come, rather than the last one sent
	// with the changes after it.
	framesBehind = 32
)

// count is what is left of a section or tier.
type count struct {
	ID   string `json:"id"`
	Left int64  `json:"left"`
}

// seatDelta is a change as core tells it: the seats by new state, and the counts that are others now.
type seatDelta struct {
	Free     []uint32 `json:"free"`
	Held     []uint32 `json:"held"`
	Sold     []uint32 `json:"sold"`
	Closed   []uint32 `json:"closed"`
	Sections []count  `json:"sections"`
	Tiers    []count  `json:"tiers"`
}

// seatSnapshot is all there is to know of an event at one moment.
type seatSnapshot struct {
	ID       string  `json:"id"`
	Geometry string  `json:"geometry"`
	States   []byte  `json:"states"` // two bits a seat; base64 in JSON
	Sections []count `json:"sections"`
	Tiers    []count `json:"tiers"`
}

// eventNews is core's word on one event.
type eventNews struct {
	Event    string          `json:"event"`
	Problem  string          `json:"problem"`
	Epoch    string          `json:"epoch"`
	Seq      uint64          `json:"seq"`
	Geometry string          `json:"geometry"`
	Snapshot json.RawMessage `json:"snapshot"`
	Deltas   []struct {
		Seq  uint64          `json:"seq"`
		Data json.RawMessage `json:"data"`
	} `json:"deltas"`
}

// frame is a change, encoded as all its streams send it.
type frame struct {
	seq  uint64
	text []byte
}

// place is how far a stream has come.
type place struct {
	epoch string
	seq   uint64
	phase string
}

// placeOf reads an event id that a browser sends. What it cannot read is nowhere.
func placeOf(id string) place {
	epoch, number, ok := strings.Cut(id, "-")
	seq, err := strconv.ParseUint(number, 10, 64)
	if !ok || err != nil || len(epoch) > 32 {
		return place{}
	}
	return place{epoch: epoch, seq: seq}
}

// showing is what is left of one event as its shoppers at this node see it: the newest snapshot that core's changes make,
// and the last changes, each encoded once for all streams. Epoch and numbers are core's, so they mean the same at every
// edge that asks the same core.
//
// One goroutine at a time takes news; any number of streams read.
type showing struct {
	slug  string
	event uuid.UUID

	mu       sync.Mutex
	epoch    string // empty until core has answered
	seq      uint64
	geometry string
	states   []byte
	sections []count
	tiers    []count
	frames   []frame // consecutive; the last one is seq
	bytes    int     // of frames
	snapshot frame   // made last; seq says as of when
	phase    string
	changed  chan struct{} // closed and replaced at each change
	retryAt  time.Time     // core is not asked before

	// Guarded by showings.mu:
	streams   int
	idleSince time.Time
}

func newShowing(slug string, event uuid.UUID, phase string, now time.Time) *showing {
	return &showing{slug: slug, event: event, phase: phase, changed: make(chan struct{}), idleSince: now}
}

// announce wakes the streams. The caller holds w.mu.
func (w *showing) announce() {
	close(w.changed)
	w.changed = make(chan struct{})
}

// seen is the id of what core has told so far; empty for nothing.
func (w *showing) seen() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.epoch == "" {
		return ""
	}
	return w.epoch + "-" + strconv.FormatUint(w.seq, 10)
}

// setPhase tells the streams where the sale stands.
func (w *showing) setPhase(phase string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.phase != phase {
		w.phase = phase
		w.announce()
	}
}

// take takes over what core says. Answers may come late and twice: what is known already is passed over, what does not
// follow makes the next question one for a snapshot.
func (w *showing) take(n *eventNews) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(n.Snapshot) > 0 {
		if n.Epoch == w.epoch && n.Seq <= w.seq {
			return nil
		}
		return w.replace(n)
	}
	if n.Epoch != w.epoch {
		return nil // it answers a question from before the last snapshot
	}
	moved := false
	for _, d := range n.Deltas {
		if d.Seq <= w.seq {
			continue
		}
		var change seatDelta
		err := json.Unmarshal(d.Data, &change)
		if err == nil && d.Seq != w.seq+1 {
			err = fmt.Errorf("change %d comes after %d", d.Seq, w.seq)
		}
		if err == nil {
			err = w.apply(&change)
		}
		if err != nil {
			w.forget()
			return err
		}
		w.seq = d.Seq
		w.keep(d.Seq, d.Data)
		moved = true
	}
	if moved {
		w.announce()
	}
	return nil
}

// forget makes the next question one for a snapshot; streams wait for it where they are.
func (w *showing) forget() {
	w.epoch, w.seq, w.frames, w.bytes, w.snapshot = "", 0, nil, 0, frame{}
}

// replace takes over a snapshot, and the changes that led to it for those who come from elsewhere.
func (w *showing) replace(n *eventNews) error {
	var s seatSnapshot
	if err := json.Unmarshal(n.Snapshot, &s); err != nil {
		return fmt.Errorf("read a snapshot: %w", err)
	}
	if n.Epoch == "" || s.ID != n.Epoch+"-"+strconv.FormatUint(n.Seq, 10) {
		return fmt.Errorf("snapshot %q comes as %s-%d", s.ID, n.Epoch, n.Seq)
	}
	w.forget()
	w.epoch, w.seq, w.geometry = n.Epoch, n.Seq, s.Geometry
	w.states, w.sections, w.tiers = s.States, s.Sections, s.Tiers
	for i, d := range n.Deltas {
		if d.Seq+uint64(len(n.Deltas)-i) != n.Seq+1 {
			w.frames, w.bytes = nil, 0
			break
		}
		w.keep(d.Seq, d.Data)
	}
	w.announce()
	return nil
}

// apply brings the snapshot up to date.
func (w *showing) apply(d *seatDelta) error {
	for state, ordinals := range [...][]uint32{d.Free, d.Held, d.Sold, d.Closed} {
		for _, n := range ordinals {
			if int(n/4) >= len(w.states) {
				return fmt.Errorf("there is no seat %d", n)
			}
			shift := 2 * (n % 4)
			w.states[n/4] = w.states[n/4]&^(3<<shift) | byte(state)<<shift
		}
	}
	recount(w.sections, d.Sections)
	recount(w.tiers, d.Tiers)
	return nil
}

func recount(all, changed []count) {
	for _, c := range changed {
		for i := range all {
			if all[i].ID == c.ID {
				all[i].Left = c.Left
			}
		}
	}
}

// keep encodes a change and drops those that are too many.
func (w *showing) keep(seq uint64, data []byte) {
	f := frame{seq, appendFrame(nil, "delta", w.epoch, seq, data)}
	w.frames = append(w.frames, f)
	w.bytes += len(f.text)
	for len(w.frames) > 1 && (len(w.frames) > frameRing || w.bytes > frameBytes) {
		w.bytes -= len(w.frames[0].text)
		w.frames = w.frames[1:]
	}
}

// appendFrame appends one server-sent event.
func appendFrame(dst []byte, event, epoch string, seq uint64, data []byte) []byte {
	dst = append(append(append(dst, "id: "...), epoch...), '-')
	dst = strconv.AppendUint(dst, seq, 10)
	dst = append(append(append(dst, "\nevent: "...), event...), "\ndata: "...)
	for line := range bytes.Lines(data) { // core writes one line; another end of line would end the field
		dst = append(dst, bytes.TrimRight(line, "\r\n")...)
	}
	return append(dst, "\n\n"...)
}

// appendPhase appends the event that tells where the sale stands. It has no id: it is told anew to whoever resumes.
func appendPhase(dst []byte, phase string) []byte {
	dst = append(dst, "event: state\ndata: {\"phase\":"...)
	dst = appendJSONString(dst, phase)
	return append(dst, "}\n\n"...)
}

// after is what a stream has yet to send, shared with all others; it must not be changed. It moves the place. With nothing
// to send it returns the channel that tells of more.
func (w *showing) after(at *place) (texts [][]byte, changed <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.phase != at.phase && w.phase != "" {
		at.phase = w.phase
		texts = append(texts, appendPhase(nil, w.phase))
	}
	if w.epoch != "" && (at.epoch != w.epoch || at.seq != w.seq) && !w.ahead(at) {
		behind, resumes := w.behind(at)
		if !resumes {
			if n, ok := w.behind(&place{epoch: w.epoch, seq: w.snapshot.seq}); !ok || n > framesBehind || len(w.snapshot.text) == 0 {
				w.makeSnapshot()
			}
			texts = append(texts, w.snapshot.text)
			behind = int(w.seq - w.snapshot.seq)
		}
		for _, f := range w.frames[len(w.frames)-behind:] {
			texts = append(texts, f.text)
		}
		at.epoch, at.seq = w.epoch, w.seq
	}
	return texts, w.changed
}

// ahead tells whether a place is one that another edge has reached already; this one will be there in a moment.
func (w *showing) ahead(at *place) bool {
	return at.epoch == w.epoch && at.seq > w.seq && at.seq-w.seq <= frameRing
}

// behind is how many changes a place lacks, if those are still there.
func (w *showing) behind(at *place) (n int, ok bool) {
	if at.epoch != w.epoch || at.seq > w.seq || w.seq-at.seq > uint64(len(w.frames)) {
		return 0, false
	}
	return int(w.seq - at.seq), true
}

func (w *showing) makeSnapshot() {
	id := w.epoch + "-" + strconv.FormatUint(w.seq, 10)
	b := make([]byte, 0, 512+base64.StdEncoding.EncodedLen(len(w.states))+48*(len(w.sections)+len(w.tiers)))
	b = append(append(append(b, "id: "...), id...), "\nevent: snapshot\ndata: {\"id\":\""...)
	b = append(append(append(b, id...), `","geometry":"`...), w.geometry...)
	b = append(b, `","states":"`...)
	b = base64.StdEncoding.AppendEncode(b, w.states)
	b = append(b, '"')
	b = appendCounts(b, `,"sections":[`, w.sections)
	b = appendCounts(b, `,"tiers":[`, w.tiers)
	w.snapshot = frame{w.seq, append(b, "}\n\n"...)}
}

func appendCounts(b []byte, open string, counts []count) []byte {
	b = append(b, open...)
	for i, c := range counts {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSONString(append(b, `{"id":`...), c.ID)
		b = strconv.AppendInt(append(b, `,"left":`...), c.Left, 10)
		b = append(b, '}')
	}
	return append(b, ']')
}
