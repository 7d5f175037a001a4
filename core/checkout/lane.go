package checkout

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// ask is what waits in the lane: an opening or an outcome. Both share one lane, and so one writer, because they touch the
// same pages of the same indexes: two writers would make each other's transactions fail.
type ask struct {
	opening *Opening
	outcome *Outcome
}

// answer is what became of an ask. Its error is the asker's alone.
type answer struct {
	created bool // the opening made the order
	err     error
}

// commit is the lane's transaction: the openings of a batch, then its outcomes.
func (s *Service) commit(ctx context.Context, batch []ask) ([]answer, error) {
	var openings []*Opening
	var news []*Outcome
	for _, a := range batch {
		if a.opening != nil {
			openings = append(openings, a.opening)
		} else {
			news = append(news, a.outcome)
		}
	}
	var opened []answer
	var applied *outcomes
	var started bool
	err := s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		var err error
		opened, started, applied = nil, false, &outcomes{service: s, tx: tx, answers: make([]answer, len(news))}
		if len(openings) > 0 {
			if opened, started, err = s.open(ctx, tx, openings); err != nil {
				return fmt.Errorf("open %d orders: %w", len(openings), err)
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
	if started || len(applied.tasks) > 0 {
		s.outbox.Wake()
	}
	for _, cause := range applied.causes {
		s.metrics.applied(cause)
	}
	answers := make([]answer, len(batch))
	for i, a := range batch {
		if a.opening != nil {
			answers[i], opened = opened[0], opened[1:]
		} else {
			answers[i], applied.answers = applied.answers[0], applied.answers[1:]
		}
	}
	return answers, nil
}
