package edge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/google/uuid"

	"fairgate/edge/guard"
	"fairgate/edge/guard/score"
	"fairgate/edge/lottery"
)

const (
	// verdictQueue is how many decisions may wait for core, and remarkQueue how many remarks: what was noticed and not acted on. Of
	// remarks those that find no room are only counted; a decision that finds none is not made.
	verdictQueue = 50_000
	remarkQueue  = 10_000
	// verdictBatch is how many go in one request.
	verdictBatch = 500
	// verdictPause is how long verdicts wait for company, liftPause how long at most until the node hears of what was lifted.
	verdictPause = 500 * time.Millisecond
	liftPause    = 3 * time.Second
)

// verdict is one for the record. It holds no address, only the network.
type verdict struct {
	id      uuid.UUID
	at      time.Time
	event   string
	entrant lottery.Entrant
	device  lottery.DeviceHash
	network string // prefix: /24 or /48
	hash    [8]byte
	place   string // join or claim
	answer  string // noted, asked, cleared, denied
	by      string // what was asked, or what cleared
	score.Verdict

	kept chan bool // capacity 1; told once core has it, or will not take it; nil: nobody waits
}

// verdictJSON is a verdict as core takes it.
type verdictJSON struct {
	ID      uuid.UUID    `json:"id"`
	At      time.Time    `json:"at"`
	Event   string       `json:"event"`
	Entrant string       `json:"entrant"`
	Device  string       `json:"device"`
	Network string       `json:"network"`
	Hash    string       `json:"network_hash"`
	Place   string       `json:"place"`
	Answer  string       `json:"answer"`
	By      string       `json:"by"`
	Score   float64      `json:"score"`
	Level   string       `json:"level"`
	Reasons []reasonJSON `json:"reasons"`
}

type reasonJSON struct {
	Signal score.Signal `json:"signal"`
	Points float64      `json:"points"`
	Said   string       `json:"said"`
}

// verdict makes a verdict on a claim.
func (c *claimant) verdict(answer, by string, v score.Verdict) *verdict {
	return &verdict{
		id: uuid.New(), at: c.at, event: c.room.slug, entrant: c.pass.Entrant, device: c.who.hash, network: lottery.NetworkText(c.client),
		hash: lottery.NetworkOf(c.client), place: "claim", answer: answer, by: by, Verdict: v,
	}
}

// verdicts are those on their way to core, and what core says was lifted. Any goroutine may use it; one sends.
type verdicts struct {
	told *guard.Tally // by entrant and answer: what is on record already
	now  func() time.Time

	mu        sync.Mutex
	decisions []*verdict
	remarks   []*verdict
	lifts     map[lottery.Entrant]struct{}
	version   uint64 // of lifts
	wake      chan struct{}

	dropped, sent *metrics.Counter
}

func newVerdicts(now func() time.Time, c *counts) *verdicts {
	return &verdicts{
		told: guard.NewTally(judgeOver, judged), now: now, wake: make(chan struct{}, 1), dropped: c.verdictsDropped, sent: c.verdictsSent,
	}
}

// note puts a verdict on its way. The same again within ten minutes is not noted again. False when a decision found no room.
func (v *verdicts) note(one *verdict) bool {
	key := [24]byte{}
	copy(key[:], one.entrant[:])
	copy(key[16:], one.answer[:min(len(one.answer), 3)])
	copy(key[19:], one.by[:min(len(one.by), 4)])
	key[23] = byte(one.Level)
	if v.told.Add(v.now(), key[:], 1) > 1 {
		return true
	}
	return v.put(one)
}

func (v *verdicts) put(one *verdict) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	into, limit := &v.decisions, verdictQueue
	if one.answer == "noted" {
		into, limit = &v.remarks, remarkQueue
	}
	if len(*into) >= limit {
		v.dropped.Inc()
		return false
	}
	*into = append(*into, one)
	if one.kept != nil || len(*into) == 1 || len(*into) == verdictBatch {
		select {
		case v.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// keep waits until core has a denial on record. A denial of the same entrant that core has from this node is not sent again.
func (v *verdicts) keep(one *verdict, patience time.Duration) bool {
	key := append([]byte("kept"), one.entrant[:]...)
	if v.told.Add(v.now(), key, 0) > 0 {
		return true
	}
	done := make(chan bool, 1)
	one.kept = done
	if !v.put(one) {
		return false
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case kept := <-done:
		if kept {
			v.told.Add(v.now(), key, 1)
		}
		return kept
	case <-timer.C:
		return false
	}
}

// lifted tells whether an operator has lifted what is held against an entrant.
func (v *verdicts) lifted(e lottery.Entrant) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, lifted := v.lifts[e]
	return lifted
}

// take takes the next ones to send, decisions first.
func (v *verdicts) take() (batch []*verdict) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, from := range []*[]*verdict{&v.decisions, &v.remarks} {
		n := min(len(*from), verdictBatch-len(batch))
		batch = append(batch, (*from)[:n]...)
		if *from = (*from)[n:]; len(*from) == 0 {
			*from = nil
		}
	}
	return batch
}

// waiting counts what waits, and tells whether somebody waits for it.
func (v *verdicts) waiting() (n int, urgent bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, one := range v.decisions {
		if one.kept != nil {
			urgent = true
			break
		}
	}
	return len(v.decisions) + len(v.remarks), urgent
}

// heard takes over what core says was lifted.
func (v *verdicts) heard(version uint64, entrants []lottery.Entrant) {
	lifts := make(map[lottery.Entrant]struct{}, len(entrants))
	for _, e := range entrants {
		lifts[e] = struct{}{}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.version, v.lifts = version, lifts
}

func (v *verdicts) liftsVersion() uint64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.version
}

// verdictsAnswer is core's answer to verdicts.
type verdictsAnswer struct {
	Version uint64             `json:"lifts_version"`
	Lifted  *[]lottery.Entrant `json:"lifted"` // nil: as before
}

// sendVerdicts sends verdicts to core until the context ends, and what is left as long as the last one allows. Where there is nothing to
// send it asks from time to time what was lifted.
func (s *Server) sendVerdicts(ctx, last context.Context) {
	asked := s.now()
	for s.awaitVerdicts(ctx) {
		n, _ := s.verdicts.waiting()
		if n == 0 && (!s.cfg.Guard.Answers.Enabled || s.now().Sub(asked) < liftPause) {
			continue
		}
		asked = s.now()
		s.shipVerdicts(ctx)
	}
	for n, _ := s.verdicts.waiting(); n > 0 && s.shipVerdicts(last); n, _ = s.verdicts.waiting() {
	}
}

// awaitVerdicts waits until a batch is full or old enough, or somebody waits for it. False when the context has ended.
func (s *Server) awaitVerdicts(ctx context.Context) bool {
	n, urgent := s.verdicts.waiting()
	for pause := liftPause; !urgent && n < verdictBatch; n, urgent = s.verdicts.waiting() {
		if n > 0 {
			pause = min(pause, verdictPause)
		}
		began := s.now()
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
			return true
		case <-s.verdicts.wake:
			pause = max(pause-s.now().Sub(began), 0)
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return false
		}
	}
	return ctx.Err() == nil
}

// shipVerdicts repeats one batch until core has answered it. False when the context ended before, which puts the batch back.
func (s *Server) shipVerdicts(ctx context.Context) bool {
	batch := s.verdicts.take()
	body, err := json.Marshal(struct {
		Since    uint64        `json:"lifts_since"`
		Verdicts []verdictJSON `json:"verdicts"`
	}{s.verdicts.liftsVersion(), wireVerdicts(batch)})
	if err != nil {
		s.log.Error("verdicts cannot be written", "error", err)
		settleVerdicts(batch, false)
		return true
	}
	for pause := shortPause; ; pause = min(2*pause, longPause) {
		got, err := s.postVerdicts(body)
		switch {
		case err == nil:
			s.verdicts.sent.Add(len(batch))
			if got.Lifted != nil {
				s.verdicts.heard(got.Version, *got.Lifted)
			}
			settleVerdicts(batch, true)
			return true
		case errors.Is(err, errRefused):
			s.verdicts.dropped.Add(len(batch))
			s.log.Error("core refused verdicts", "verdicts", len(batch), "error", err)
			settleVerdicts(batch, false)
			return true
		case len(batch) == 0:
			return sleep(ctx, longPause)
		}
		if !sleep(ctx, pause) {
			s.verdicts.mu.Lock()
			s.verdicts.decisions = append(batch, s.verdicts.decisions...)
			s.verdicts.mu.Unlock()
			return false
		}
	}
}

func settleVerdicts(batch []*verdict, kept bool) {
	for _, one := range batch {
		if one.kept != nil {
			one.kept <- kept // once: a settled verdict is not sent again
		}
	}
}

func wireVerdicts(batch []*verdict) []verdictJSON {
	out := make([]verdictJSON, len(batch))
	for i, v := range batch {
		out[i] = verdictJSON{
			ID: v.id, At: v.at.UTC(), Event: v.event, Entrant: v.entrant.String(), Device: v.device.String(), Network: v.network,
			Hash: string(appendHex(nil, v.hash[:])), Place: v.place, Answer: v.answer, By: v.by, Score: v.Score, Level: v.Level.String(), Reasons: []reasonJSON{},
		}
		for _, r := range v.Reasons {
			out[i].Reasons = append(out[i].Reasons, reasonJSON{r.Signal, r.Points, r.Words()})
		}
	}
	return out
}

func (s *Server) postVerdicts(body []byte) (verdictsAnswer, error) {
	var parsed verdictsAnswer
	to := s.core.pick(uuid.Nil, 0)
	if to == nil || !s.core.enrolled() {
		return parsed, errNotSent
	}
	got, err := s.core.post(to, "/edge/v1/guard", body)
	if err != nil {
		return parsed, err
	}
	if got.status != 200 {
		return parsed, refusal(got)
	}
	if err := json.Unmarshal(got.body, &parsed); err != nil {
		return parsed, fmt.Errorf("%w: it cannot be read: %w", errLost, err)
	}
	return parsed, nil
}
