package fraud

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
)

// Config is how a Screen judges. Validate says what is wrong with it.
type Config struct {
	OnFailure  Verdict       // of a payment that the store does not answer about: Allow or Review
	Timeout    time.Duration // how long a payment waits for an answer
	Rules      Rules
	Weights    Weights
	Thresholds Thresholds
	Log        *slog.Logger // default slog.Default()
	// Banned tells whether an operator has banned a card. Nil: none is.
	Banned func(card Mark) bool
}

// Screen judges payments and keeps what it judged by.
type Screen struct {
	db   *db.DB
	cfg  Config
	lane *db.Lane[request, Judgement]
}

// request is what waits in the lane: a question, or only something that was seen.
type request struct {
	question *Question
	seen     []observation
}

// New starts a Screen. Whoever made it closes it.
func New(d *db.DB, cfg Config) *Screen {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	s := &Screen{db: d, cfg: cfg}
	s.lane = db.NewLane(db.LaneConfig{Name: "fraud", Log: cfg.Log}, s.commit)
	return s
}

// Close finishes what waits in the lane.
func (s *Screen) Close() { s.lane.Close() }

// Judge judges a payment. The same payment in the same stage gets the same judgement again, as far as it could be stored.
func (s *Screen) Judge(ctx context.Context, q Question) Judgement {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	j, err := s.lane.Do(ctx, request{question: &q, seen: q.seen()})
	if err != nil {
		failures.Inc()
		s.cfg.Log.Warn("a payment is judged without its history", "order_id", q.Order, "verdict", s.cfg.OnFailure, "error", err.Error())
		j = s.cfg.decide(&q, nil, nil) // what the signals alone say still counts
		j.Verdict = Severer(j.Verdict, s.cfg.OnFailure)
		j.Reasons = append(j.Reasons, Reason{Rule: "store_unavailable", Verdict: s.cfg.OnFailure, Said: "what is known of account, address and card could not be asked for"})
	}
	verdictCounter(j.Stage, j.Verdict).Inc()
	return j
}

// Declined notes that a try of a payment was declined; try is the provider's name of it. What cannot be noted is lost.
func (s *Screen) Declined(ctx context.Context, q Question, try string) {
	other := uuid.NewSHA1(q.Payment, []byte("decline/"+try))
	var seen []observation
	for _, a := range q.accounts() {
		seen = append(seen, observation{a, relDecline, other})
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	if _, err := s.lane.Do(ctx, request{seen: seen}); err != nil {
		failures.Inc()
	}
}

const sqlReadVerdicts = `
SELECT v.order_id, v.payment_id, v.stage, v.verdict, v.score, v.reasons, v.at
FROM unnest($1::UUID[], $2::UUID[], $3::TEXT[]) AS k (order_id, payment_id, stage)
JOIN fraud_verdicts AS v ON v.order_id = k.order_id AND v.payment_id = k.payment_id AND v.stage = k.stage`

const sqlInsertVerdicts = `
INSERT INTO fraud_verdicts (order_id, payment_id, stage, verdict, score, reasons, at)
SELECT k.order_id, k.payment_id, k.stage, k.verdict, k.score, k.reasons, now()
FROM unnest($1::UUID[], $2::UUID[], $3::TEXT[], $4::TEXT[], $5::INT8[], $6::TEXT[]) AS k (order_id, payment_id, stage, verdict, score, reasons)
ON CONFLICT (order_id, payment_id, stage) DO NOTHING
RETURNING payment_id, stage, at`

const sqlVerdictsOf = `
SELECT order_id, payment_id, stage, verdict, score, reasons, at FROM fraud_verdicts WHERE order_id = $1 ORDER BY at, stage DESC`

// point names a judgement.
type point struct {
	payment uuid.UUID
	stage   Stage
}

// commit is the lane's: it inserts what was seen, counts, and stores what it decides.
func (s *Screen) commit(ctx context.Context, batch []request) ([]Judgement, error) {
	var seen []observation
	for _, r := range batch {
		seen = append(seen, r.seen...)
	}
	if err := s.observe(ctx, seen); err != nil {
		return nil, err
	}
	known, asks, counts, err := s.read(ctx, batch)
	if err != nil {
		return nil, err
	}
	fresh := make(map[point]Judgement)
	at := 0
	var denied []observation
	for _, r := range batch {
		if r.question == nil {
			continue
		}
		n := len(s.cfg.Rules.asks(r.question))
		p := point{r.question.Payment, r.question.Stage}
		_, old := known[p]
		_, twice := fresh[p]
		if !old && !twice {
			fresh[p] = s.cfg.decide(r.question, asks[at:at+n], counts[at:at+n])
			if fresh[p].Verdict == Deny {
				denied = append(denied, r.question.denied()...)
			}
		}
		at += n
	}
	if err := s.observe(ctx, denied); err != nil {
		return nil, err
	}
	stored, err := s.store(ctx, fresh)
	if err != nil {
		return nil, err
	}
	if len(stored) < len(fresh) { // another core was first: what is in the table counts
		if known, err = s.judged(ctx, batch); err != nil {
			return nil, err
		}
	}
	for p, at := range stored {
		if _, told := known[p]; !told {
			j := fresh[p]
			j.At, j.Stored = at, true
			known[p] = j
		}
	}
	answers := make([]Judgement, len(batch))
	for i, r := range batch {
		if r.question != nil {
			answers[i] = known[point{r.question.Payment, r.question.Stage}]
		}
	}
	return answers, nil
}

// denied is what a denied payment leaves behind.
func (q *Question) denied() (all []observation) {
	for _, m := range append(q.accounts(), q.Card) {
		if m != (Mark{}) {
			all = append(all, observation{m, relDenied, q.Payment})
		}
	}
	return all
}

// read reads the judgements there are of a batch, and the counts of its rules in the order of its questions.
func (s *Screen) read(ctx context.Context, batch []request) (known map[point]Judgement, asks []ask, counts []int64, err error) {
	var orders, payments []uuid.UUID
	var stages []string
	for _, r := range batch {
		if q := r.question; q != nil {
			orders, payments, stages = append(orders, q.Order), append(payments, q.Payment), append(stages, string(q.Stage))
			asks = append(asks, s.cfg.Rules.asks(q)...)
		}
	}
	counts = make([]int64, len(asks))
	if len(orders) == 0 {
		return nil, asks, counts, nil
	}
	subjects, at := subjectsOf(asks)
	err = s.db.Reading(ctx, func() error {
		known = make(map[point]Judgement, len(orders))
		sights := make([][]sight, len(subjects))
		b := &pgx.Batch{}
		queueSights(b, subjects, sights)
		b.Queue(sqlReadVerdicts, orders, payments, stages).Query(func(rows pgx.Rows) error {
			all, err := pgx.CollectRows(rows, scanJudgement)
			for _, j := range all {
				known[point{j.Payment, j.Stage}] = j
			}
			return err
		})
		if err := s.db.Reader.SendBatch(ctx, b).Close(); err != nil {
			return err
		}
		left := tally(asks, at, sights, counts)
		if len(left) == 0 {
			return nil
		}
		b = &pgx.Batch{}
		queueCounts(b, asks, left, counts)
		return s.db.Reader.SendBatch(ctx, b).Close()
	})
	if err != nil {
		return nil, nil, nil, fmt.Errorf("count what was seen: %w", err)
	}
	return known, asks, counts, nil
}

// judged reads the judgements there are of a batch.
func (s *Screen) judged(ctx context.Context, batch []request) (map[point]Judgement, error) {
	bare := make([]request, len(batch))
	for i, r := range batch {
		if q := r.question; q != nil {
			bare[i].question = &Question{Order: q.Order, Payment: q.Payment, Stage: q.Stage} // no marks: nothing to count
		}
	}
	known, _, _, err := s.read(ctx, bare)
	return known, err
}

// store inserts judgements, in key order as everybody does, and answers when it was, of those that were not there before.
func (s *Screen) store(ctx context.Context, fresh map[point]Judgement) (stored map[point]time.Time, err error) {
	if len(fresh) == 0 {
		return nil, nil
	}
	var orders, payments []uuid.UUID
	var stages, verdicts, reasons []string
	var scores []int64
	ordered := slices.SortedFunc(maps.Values(fresh), func(a, b Judgement) int {
		return cmp.Or(bytes.Compare(a.Order[:], b.Order[:]), bytes.Compare(a.Payment[:], b.Payment[:]), cmp.Compare(a.Stage, b.Stage))
	})
	for _, j := range ordered {
		text, err := j.encode()
		if err != nil {
			return nil, err
		}
		orders, payments, stages = append(orders, j.Order), append(payments, j.Payment), append(stages, string(j.Stage))
		verdicts, scores, reasons = append(verdicts, string(j.Verdict)), append(scores, int64(j.Score)), append(reasons, text)
	}
	err = s.db.InBookkeeping(ctx, func(ctx context.Context, tx pgx.Tx) error {
		stored = make(map[point]time.Time, len(fresh))
		rows, err := tx.Query(ctx, sqlInsertVerdicts, orders, payments, stages, verdicts, scores, reasons)
		if err != nil {
			return err
		}
		var p point
		var at time.Time
		_, err = pgx.ForEachRow(rows, []any{&p.payment, &p.stage, &at}, func() error {
			stored[p] = at
			return nil
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("store %d judgements: %w", len(fresh), err)
	}
	return stored, nil
}

// Of lists what was judged of an order's payments, in order.
func (s *Screen) Of(ctx context.Context, order uuid.UUID) ([]Judgement, error) {
	rows, err := s.db.Reader.Query(ctx, sqlVerdictsOf, order)
	if err != nil {
		return nil, fmt.Errorf("read the judgements of order %s: %w", order, err)
	}
	return pgx.CollectRows(rows, scanJudgement)
}

func scanJudgement(row pgx.CollectableRow) (Judgement, error) {
	j := Judgement{Stored: true}
	var reasons string
	if err := row.Scan(&j.Order, &j.Payment, &j.Stage, &j.Verdict, &j.Score, &reasons, &j.At); err != nil {
		return j, err
	}
	if err := json.Unmarshal([]byte(reasons), &j.Reasons); err != nil {
		return j, fmt.Errorf("decode the reasons of payment %s: %w", j.Payment, err)
	}
	return j, nil
}
