package passes

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"fairgate/core/ticket"
)

const (
	// claimAtOnce is how many passes one look takes; they are told within a part of the lease, so few enough for Google's rate.
	claimAtOnce = 40
	// watchEvery is how often the metrics are told how the outbox stands.
	watchEvery = 15 * time.Second
)

const sqlDue = `
SELECT ticket_id, owner, wallet FROM wallet_passes
WHERE due_at <= now() AND wallet = $1::TEXT ORDER BY due_at LIMIT $2`

// The search is a hint: whoever moves due_at has the pass, until then.
const sqlClaim = `
UPDATE wallet_passes SET due_at = now() + $4::INT8 * INTERVAL '1 microsecond', attempts = attempts + 1
WHERE ticket_id = $1::UUID AND owner = $2::BYTEA AND wallet = $3::TEXT AND due_at <= now()
RETURNING ticket_id, owner, wallet, name_epoch, version, changed_at, attempts, changed_at < now() - $5::INT8 * INTERVAL '1 microsecond',
    changed_at > now() - $6::INT8 * INTERVAL '1 microsecond'`

// Whatever has changed since it was claimed is told anew.
const sqlTold = `
UPDATE wallet_passes SET due_at = CASE WHEN version = $4::INT8 THEN NULL ELSE now() END, attempts = 0, last_error = $5::TEXT
WHERE ticket_id = $1::UUID AND owner = $2::BYTEA AND wallet = $3::TEXT`

// A link to save the pass as it was may have been opened before the change, and used afterwards.
const sqlNotSavedYet = `
UPDATE wallet_passes SET due_at = CASE WHEN version = $4::INT8 THEN now() + $5::INT8 * INTERVAL '1 microsecond' ELSE now() END, attempts = 0, last_error = ''
WHERE ticket_id = $1::UUID AND owner = $2::BYTEA AND wallet = $3::TEXT`

const sqlFailed = `
UPDATE wallet_passes SET due_at = now() + $4::INT8 * INTERVAL '1 microsecond', last_error = $5::TEXT
WHERE ticket_id = $1::UUID AND owner = $2::BYTEA AND wallet = $3::TEXT`

const sqlDueNow = `
SELECT count(*), COALESCE(extract(EPOCH FROM now() - min(changed_at)), 0)::FLOAT8 FROM wallet_passes
WHERE due_at IS NOT NULL AND wallet = ANY($1::TEXT[])`

// Run tells wallets what has changed until ctx ends, and returns nil. What is under way is finished, which takes no longer than half a lease.
// Every kind of wallet is told by itself: one whose service is slow or away keeps no other waiting.
func (s *Service) Run(ctx context.Context) error {
	var wallets []string
	if s.cfg.Push != nil {
		wallets = append(wallets, string(Apple))
	}
	if s.cfg.Google != nil {
		wallets = append(wallets, string(Google))
	}
	if len(wallets) == 0 {
		<-ctx.Done()
		return nil
	}
	var all errgroup.Group
	for _, w := range wallets {
		all.Go(func() error {
			s.runOne(ctx, w)
			return nil
		})
	}
	for ctx.Err() == nil {
		if err := s.watch(ctx, wallets); err != nil && ctx.Err() == nil {
			s.cfg.Log.Warn("nobody can say how many passes are to be told of", "error", err.Error())
		}
		sleep(ctx, watchEvery)
	}
	return all.Wait()
}

// runOne tells one kind of wallet until ctx ends.
func (s *Service) runOne(ctx context.Context, wallet string) {
	for ctx.Err() == nil {
		n, err := s.tell(ctx, wallet)
		if err != nil && ctx.Err() == nil {
			s.cfg.Log.Warn("changed passes cannot be told", "wallet", wallet, "error", err.Error())
		}
		if n < claimAtOnce || err != nil {
			sleep(ctx, s.cfg.Poll)
		}
	}
}

// claimed is a pass that this run holds the lease of.
type claimed struct {
	Saved
	attempts int
	old      bool // it has been tried for too long
	fresh    bool // it has changed so lately that who opened the link to the former pass may still use it
	deadline time.Time
}

// tell tells one kind of wallet of one batch of passes, and answers how many there were.
func (s *Service) tell(ctx context.Context, wallet string) (int, error) {
	rows, err := s.cfg.DB.Reader.Query(ctx, sqlDue, wallet, claimAtOnce)
	if err != nil {
		return 0, fmt.Errorf("look for changed passes: %w", err)
	}
	type key struct {
		Ticket uuid.UUID
		Owner  []byte
		Wallet string
	}
	due, err := pgx.CollectRows(rows, pgx.RowToStructByPos[key])
	if err != nil {
		return 0, fmt.Errorf("look for changed passes: %w", err)
	}
	var all errgroup.Group
	all.SetLimit(s.cfg.Workers)
	for _, k := range due {
		all.Go(func() error {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // the process stops, and what is not claimed stays due
			}
			c, err := s.claim(ctx, k.Ticket, k.Owner, k.Wallet)
			if err != nil || c == nil {
				return err
			}
			return s.settle(c, s.one(ctx, c))
		})
	}
	return len(due), all.Wait()
}

// claim takes a pass; nil when somebody else was quicker.
func (s *Service) claim(ctx context.Context, id uuid.UUID, owner []byte, w string) (c *claimed, err error) {
	deadline := time.Now().Add(s.cfg.Lease / 2)
	err = s.cfg.DB.InBookkeeping(ctx, func(ctx context.Context, tx pgx.Tx) error {
		c = &claimed{deadline: deadline}
		var of []byte
		err := tx.QueryRow(ctx, sqlClaim, id, owner, w, s.cfg.Lease.Microseconds(), s.cfg.MaxAge.Microseconds(), s.cfg.Again.Microseconds()).
			Scan(&c.Ticket, &of, &c.Wallet, &c.Named, &c.Version, &c.ChangedAt, &c.attempts, &c.old, &c.fresh)
		copy(c.Owner[:], of)
		if errors.Is(err, pgx.ErrNoRows) {
			c = nil
			return nil
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("claim a pass of ticket %s: %w", id, err)
	}
	return c, nil
}

// one tells of one pass. The process may be told to stop meanwhile.
func (s *Service) one(ctx context.Context, c *claimed) error {
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), c.deadline)
	defer cancel()
	if c.Wallet == Apple {
		return s.push(ctx, c.Saved)
	}
	t, err := ticket.Load(ctx, s.cfg.DB.Reader, c.Ticket)
	if err != nil {
		return err
	}
	pass, err := s.cfg.Describe(ctx, c.Saved, t)
	if err != nil {
		return err
	}
	return s.cfg.Google.Tell(ctx, pass)
}

const sqlTokens = `SELECT DISTINCT push_token FROM apple_registrations WHERE ticket_id = $1::UUID AND name_epoch = $2::INT8 LIMIT $3::INT8`

const sqlForgetToken = `DELETE FROM apple_registrations WHERE push_token = $1::TEXT AND registered_at < $2::TIMESTAMPTZ`

// push sends a push to every phone that has the pass. Phones that are gone are forgotten; one that fails does not keep the others. Where Apple
// knows any of them, a token that it refuses is bad; where it refuses all, what is configured may be wrong, and they are tried again.
func (s *Service) push(ctx context.Context, saved Saved) error {
	asked, err := s.cfg.DB.Now(ctx)
	if err != nil {
		return err
	}
	rows, err := s.cfg.DB.Reader.Query(ctx, sqlTokens, saved.Ticket, int64(saved.Named), maxDevices)
	if err != nil {
		return err
	}
	tokens, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	var failed, refused error
	known := false
	for _, token := range tokens {
		err := s.cfg.Push.Push(ctx, token)
		switch {
		case err == nil:
			pushedTotal.Inc()
			known = true
		case errors.Is(err, ErrRefused):
			refusedTotal.Inc()
			refused = err
			s.refused.Do(func() {
				s.cfg.Log.Error("Apple refuses a push token; if it refuses most of them, wallet.apple.push_url is wrong. It is logged once", "error", err.Error())
			})
		case errors.Is(err, ErrGone):
			goneTotal.Inc()
			known = true
			if err := s.forget(ctx, token, asked); err != nil {
				failed = err
			}
		default:
			failed = err
		}
	}
	if failed == nil && !known {
		return refused
	}
	return failed
}

// forget forgets the registrations of a phone that Apple says is gone, but for those that came later.
func (s *Service) forget(ctx context.Context, token string, before time.Time) error {
	return s.cfg.DB.InBookkeeping(ctx, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, sqlForgetToken, token, before)
		return err
	})
}

// settle writes how telling has ended.
func (s *Service) settle(c *claimed, told error) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.Lease/4)
	defer cancel()
	again := c.fresh && errors.Is(told, errNotSaved)
	if errors.Is(told, errNotSaved) {
		told = nil
	}
	var why string
	if told != nil {
		why = told.Error()
	}
	later := told != nil && !c.old
	err := s.cfg.DB.InBookkeeping(ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
		if again {
			_, err = tx.Exec(ctx, sqlNotSavedYet, c.Ticket, c.Owner[:], string(c.Wallet), c.Version, s.cfg.Again.Microseconds())
			return err
		}
		if later {
			_, err = tx.Exec(ctx, sqlFailed, c.Ticket, c.Owner[:], string(c.Wallet), s.backoff(c.attempts).Microseconds(), why)
			return err
		}
		_, err = tx.Exec(ctx, sqlTold, c.Ticket, c.Owner[:], string(c.Wallet), c.Version, why)
		return err
	})
	if err != nil {
		return fmt.Errorf("note that a pass of ticket %s was told: %w", c.Ticket, err) // it is told again when the lease has ended
	}
	attrs := []any{"wallet", string(c.Wallet), "pass", c.Name(), "attempts", c.attempts, "error", why}
	switch {
	case again: // it is neither told nor failed yet
	case told == nil:
		updates[c.Wallet].told.Inc()
	case later:
		updates[c.Wallet].failed.Inc()
		s.cfg.Log.Info("a wallet is told of a change again later", attrs...)
	default:
		updates[c.Wallet].dropped.Inc()
		s.cfg.Log.Error("a wallet cannot be told of a change", attrs...)
	}
	return nil
}

// backoff is how long to wait after the n-th failed attempt: doubled each time up to BackoffMax, then between half and one and a half of that.
func (s *Service) backoff(n int) time.Duration {
	mean := s.cfg.Backoff
	for ; n > 1 && mean < s.cfg.BackoffMax; n-- {
		mean *= 2
	}
	return time.Duration(float64(min(mean, s.cfg.BackoffMax)) * (0.5 + s.cfg.Jitter()))
}

// watch tells the metrics how much these wallets are to be told. Of a wallet that is not told of changes any more nothing is late.
func (s *Service) watch(ctx context.Context, wallets []string) error {
	return s.cfg.DB.Reading(ctx, func() error {
		var n int64
		var oldest float64
		if err := s.cfg.DB.Reader.QueryRow(ctx, sqlDueNow, wallets).Scan(&n, &oldest); err != nil {
			return err
		}
		dueGauge.Set(float64(n))
		oldestGauge.Set(oldest)
		return nil
	})
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
