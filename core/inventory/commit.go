package inventory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
)

// maxReadings is how often a batch is read and decided anew because another core changed its rows in between. Each time
// somebody else has made progress; past this the batch is failed, and bisected in case one request spoils it.
const maxReadings = 10

// refusal carries what the Released hook will not let go, or a window not let in any more, out of the transaction that it
// undoes.
type refusal struct{ holds map[uuid.UUID]error }

func (r *refusal) Error() string { return fmt.Sprintf("%d holds were refused", len(r.holds)) }

func (r *refusal) add(hold uuid.UUID, err error) {
	if r.holds == nil {
		r.holds = make(map[uuid.UUID]error)
	}
	r.holds[hold] = err
}

// commit decides one batch of a lane and returns when the outcome is durable.
func (s *Service) commit(ctx context.Context, batch []op) ([]answer, error) {
	var refused map[uuid.UUID]error
	var unknown error // the last commit's outcome, when nobody could tell it
	trusting := s.buyers.trust()
	for reading := 1; ; reading++ {
		readAt := time.Now()
		snap, err := s.read(ctx, batch, trusting && reading == 1)
		if err != nil {
			return nil, errors.Join(unknown, err)
		}
		if err := s.follow(ctx, batch, snap); err != nil {
			return nil, errors.Join(unknown, err)
		}
		p := decide(snap, batch, refused)
		if snap.rebuffs(&p) {
			continue
		}
		if p.writes() {
			err = InTx(ctx, s.db, s.cfg.Recorder, func(ctx context.Context, tx pgx.Tx) error {
				if err := p.write(ctx, tx); err != nil {
					return err
				}
				return s.callHooks(ctx, tx, &p)
			})
		}
		var r *refusal
		switch {
		case err == nil:
			p.answer()
			s.reflect(&p)
			s.buyers.meet(snap, &p)
			s.soldOut.learn(snap, &p, readAt)
			s.record(batch, &p, readAt)
			s.figure.decided(batch, &p)
			if p.writes() && s.cfg.Committed != nil {
				s.cfg.Committed()
			}
			return p.answers, nil
		case errors.As(err, &r):
			if refused == nil {
				refused = make(map[uuid.UUID]error, len(r.holds))
			}
			maps.Copy(refused, r.holds)
		case errors.Is(err, db.ErrAmbiguous):
			unknown = err // reading again finds what was committed
		case errors.Is(err, ErrOutdated), db.Violates(err, constraintHold), db.Violates(err, constraintQuota):
			s.figure.outdated.Inc()
			if reading > 1 {
				snap.distrust()
			}
			if len(snap.strangers) > 0 && !errors.Is(err, ErrOutdated) {
				s.buyers.mistook()
			}
		default:
			return nil, errors.Join(unknown, err)
		}
		if reading == maxReadings || ctx.Err() != nil {
			return nil, errors.Join(unknown, fmt.Errorf("decide a batch of %d, read %d times: %w", len(batch), reading, err))
		}
	}
}

// callHooks tells checkout what the plan closes.
func (s *Service) callHooks(ctx context.Context, tx pgx.Tx, p *plan) error {
	if expired := p.closed(Expired); len(expired) > 0 && s.hooks.Expired != nil {
		if err := s.hooks.Expired(ctx, tx, expired); err != nil {
			return fmt.Errorf("expire what hangs on %d holds: %w", len(expired), err)
		}
	}
	if released := p.closed(Released); len(released) > 0 && s.hooks.Released != nil {
		refused, err := s.hooks.Released(ctx, tx, released)
		if err != nil {
			return fmt.Errorf("release what hangs on %d holds: %w", len(released), err)
		}
		if len(refused) > 0 {
			return &refusal{refused}
		}
	}
	return nil
}

// answer hands the committed holds to the ops that asked.
func (p *plan) answer() {
	for i := range p.grants {
		p.answers[p.grants[i].op].hold = p.grants[i].hold
		for _, n := range p.grants[i].again {
			p.answers[n].hold = p.grants[i].hold
		}
	}
	for i := range p.closes {
		for _, n := range p.closes[i].ops {
			p.answers[n].hold = p.closes[i].hold
		}
	}
}

// lookUp answers requests that ask for more than they may ever have, or that memory calls sold out: with the hold they were given before, if there is one, since a
// repeated request must find it; else with the refusal.
func (s *Service) lookUp(ctx context.Context, batch []op) ([]answer, error) {
	ids := make([][16]byte, len(batch))
	for i := range batch {
		ids[i] = batch[i].id
	}
	holds, err := s.loadAll(ctx, ids)
	if err != nil {
		return nil, err
	}
	p := plan{answers: make([]answer, len(batch))}
	for i := range batch {
		switch h, ok := holds[batch[i].id]; {
		case !ok:
			p.answers[i].err = cmp.Or(batch[i].never, batch[i].noneLeft())
		case h.BodyHash != batch[i].body:
			p.answers[i].err = ErrKeyReused
		default:
			p.answers[i].hold = h
		}
	}
	s.figure.decided(batch, &p)
	return p.answers, nil
}
