package checkout

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"fairgate/core/inventory"
)

// ask is what waits in the lane: one of an opening, another try, or an outcome. They share one lane, and so one writer,
// because they touch the same pages of the same indexes: two writers would make each other's transactions fail. For the
// same reason nothing else in this package reads orders in a serializable transaction while it can read a snapshot.
type ask struct {
	opening *Opening
	retry   *retry
	outcome *Outcome
}

// answer is what became of an ask. Its error is the asker's alone.
type answer struct {
	created bool // the opening made the order
	err     error
}

// commit is the lane's transaction: the openings of a batch, then the retries, then the outcomes.
func (s *Service) commit(ctx context.Context, batch []ask) ([]answer, error) {
	var openings []*Opening
	var retries []*retry
	var news []*Outcome
	for _, a := range batch {
		switch {
		case a.opening != nil:
			openings = append(openings, a.opening)
		case a.retry != nil:
			retries = append(retries, a.retry)
		default:
			news = append(news, a.outcome)
		}
	}
	var opened, retried []answer
	var started, restarted bool
	var applied *outcomes
	err := inventory.InTx(ctx, s.db, s.cfg.Recorder, func(ctx context.Context, tx pgx.Tx) error {
		var err error
		opened, retried, started, restarted = nil, nil, false, false
		applied = &outcomes{service: s, tx: tx, answers: make([]answer, len(news))}
		if len(openings) > 0 {
			if opened, started, err = s.open(ctx, tx, openings); err != nil {
				return fmt.Errorf("open %d orders: %w", len(openings), err)
			}
		}
		if len(retries) > 0 {
			if retried, restarted, err = s.again(ctx, tx, retries); err != nil {
				return fmt.Errorf("try %d orders again: %w", len(retries), err)
			}
		}
		if len(news) > 0 {
			if err := applied.run(ctx, news); err != nil {
				return fmt.Errorf("apply %d outcomes: %w", len(news), err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if started || restarted || len(applied.tasks) > 0 {
		s.outbox.Wake()
	}
	if sold := s.cfg.Sold; sold != nil && len(applied.bought) > 0 {
		sold(ctx, applied.bought)
	}
	for _, cause := range applied.causes {
		s.metrics.applied(cause)
	}
	answers := make([]answer, len(batch))
	for i, a := range batch {
		from := &applied.answers
		switch {
		case a.opening != nil:
			from = &opened
		case a.retry != nil:
			from = &retried
		}
		answers[i], *from = (*from)[0], (*from)[1:]
	}
	return answers, nil
}
