package payment

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
)

// verdict is how handling one webhook ended, as it will be written.
type verdict struct {
	stored
	handled bool
	after   time.Duration // until it is tried again, when not handled
	err     error
}

// Run hands stored webhooks to handle, many at once, in the order in which they were stored, until ctx ends. An error of
// handle makes the batch run again in halves, so that one bad webhook fails alone; a webhook that fails alone is tried
// again later. handle must be idempotent: a webhook may be handled twice, by this process or another.
func (b *Inbox) Run(ctx context.Context, handle func(ctx context.Context, events []Event) error) error {
	poll := time.NewTimer(0) // what a dead process left behind comes first
	defer poll.Stop()
	for ctx.Err() == nil {
		var batch []stored
		select {
		case first := <-b.queue:
			batch = b.drain(first)
		case <-poll.C:
			batch = b.take(ctx)
			poll.Reset(b.cfg.Poll)
			if len(batch) == b.cfg.Batch {
				poll.Reset(0)
			}
		case <-ctx.Done():
		}
		if len(batch) == 0 {
			continue
		}
		verdicts := b.dispatch(ctx, batch, handle)
		b.record(ctx, verdicts)
		if soon := soonest(verdicts); soon > 0 && soon < b.cfg.Poll {
			poll.Reset(soon)
		}
	}
	b.giveBack(ctx)
	return nil
}

// drain takes what waits in memory, up to a batch.
func (b *Inbox) drain(first stored) []stored {
	batch := []stored{first}
	for len(batch) < b.cfg.Batch {
		select {
		case next := <-b.queue:
			batch = append(batch, next)
		default:
			return batch
		}
	}
	return batch
}

// soonest is the shortest wait among the webhooks to be tried again, or 0.
func soonest(verdicts []verdict) time.Duration {
	soon := time.Duration(0)
	for _, v := range verdicts {
		if !v.handled && (soon == 0 || v.after < soon) {
			soon = v.after
		}
	}
	return soon
}

// dispatch handles a batch and says how it ended for each.
func (b *Inbox) dispatch(ctx context.Context, batch []stored, handle func(context.Context, []Event) error) []verdict {
	events := make([]Event, len(batch))
	for i, s := range batch {
		events[i] = s.event
	}
	err := b.call(ctx, events, handle)
	if err != nil && len(batch) > 1 && mayHalve(ctx, err) {
		half := len(batch) / 2
		return append(b.dispatch(ctx, batch[:half], handle), b.dispatch(ctx, batch[half:], handle)...)
	}
	verdicts := make([]verdict, len(batch))
	for i, s := range batch {
		v := verdict{stored: s, handled: err == nil, err: err}
		if err != nil {
			v.after = backoff(b.cfg.Backoff, b.cfg.BackoffMax, s.attempts, b.cfg.Jitter)
			v.handled = s.attempts >= b.cfg.MaxAttempts || errors.Is(err, ErrPermanent)
		}
		verdicts[i] = v
	}
	return verdicts
}

// mayHalve tells whether the error may lie in one webhook of the batch.
func mayHalve(ctx context.Context, err error) bool {
	return ctx.Err() == nil && !errors.Is(err, db.ErrUnavailable) && !errors.Is(err, db.ErrOverloaded)
}

// call runs handle, bounded, and turns a panic into an error.
func (b *Inbox) call(ctx context.Context, events []Event, handle func(context.Context, []Event) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.Lease*3/4)
	defer cancel()
	started := time.Now()
	defer func() {
		if p := recover(); p != nil {
			b.cfg.Log.Error("the webhook handler panicked", "webhooks", len(events), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fmt.Errorf("the handler panicked: %v", p)
		}
		webhooksSeconds.UpdateDuration(started)
	}()
	return handle(ctx, events)
}

// record writes verdicts and counts them. What cannot be written is handled again when its lease ends.
func (b *Inbox) record(ctx context.Context, verdicts []verdict) {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.cfg.Lease/4)
	defer cancel()
	if err := b.write(bounded, verdicts); err != nil {
		webhooksErrors.Inc()
		b.cfg.Log.Warn("webhooks cannot be marked", "webhooks", len(verdicts), "error", err.Error())
	}
	for _, v := range verdicts {
		switch {
		case v.err == nil:
			webhooksHandled.Inc()
		case v.handled:
			webhooksGivenUp.Inc()
			b.cfg.Log.Error("a webhook is given up", "event", v.event.String(), "attempts", v.attempts, "error", errorText(v.err))
		default:
			webhooksRetried.Inc()
			b.cfg.Log.Info("a webhook is tried again later", "event", v.event.String(), "attempt", v.attempts, "error", errorText(v.err))
		}
	}
}

// giveBack ends the leases of webhooks that wait in memory when Run ends, so that another process need not wait for them.
func (b *Inbox) giveBack(ctx context.Context) {
	var verdicts []verdict
	for {
		select {
		case s := <-b.queue:
			verdicts = append(verdicts, verdict{stored: s})
			continue
		default:
		}
		break
	}
	if len(verdicts) == 0 {
		return
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.cfg.Lease/4)
	defer cancel()
	if err := b.write(bounded, verdicts); err != nil {
		webhooksErrors.Inc()
		b.cfg.Log.Warn("webhooks cannot be given back", "webhooks", len(verdicts), "error", err.Error())
	}
}

// A webhook that was given up is handled and keeps its last error.
const sqlMarkWebhooks = `UPDATE webhooks AS w
SET handled_at = CASE WHEN m.handled THEN now() ELSE NULL END, last_error = m.error,
	due_at = now() + m.after_us * INTERVAL '1 microsecond'
FROM unnest($1::TEXT[], $2::TEXT[], $3::BOOL[], $4::INT8[], $5::TEXT[]) AS m (provider, webhook_id, handled, after_us, error)
WHERE w.provider = m.provider AND w.webhook_id = m.webhook_id AND w.handled_at IS NULL`

func (b *Inbox) write(ctx context.Context, verdicts []verdict) error {
	n := len(verdicts)
	providers, ids, texts := make([]string, n), make([]string, n), make([]string, n)
	handled, after := make([]bool, n), make([]int64, n)
	for i, v := range verdicts {
		providers[i], ids[i], texts[i] = v.event.Provider, v.event.ID, errorText(v.err)
		handled[i], after[i] = v.handled, v.after.Microseconds()
	}
	return b.db.InBookkeeping(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, sqlMarkWebhooks, providers, ids, handled, after, texts); err != nil {
			return fmt.Errorf("mark %d webhooks: %w", n, err)
		}
		return nil
	})
}

const sqlDueWebhooks = `SELECT provider, webhook_id FROM webhooks
WHERE handled_at IS NULL AND due_at <= now()
ORDER BY due_at
LIMIT $1`

const sqlTakeWebhooks = `UPDATE webhooks AS w
SET due_at = now() + $3::INT8 * INTERVAL '1 microsecond', attempts = w.attempts + 1
FROM unnest($1::TEXT[], $2::TEXT[]) AS m (provider, webhook_id)
WHERE w.provider = m.provider AND w.webhook_id = m.webhook_id AND w.handled_at IS NULL AND w.due_at <= now()
RETURNING w.provider, w.webhook_id, w.payload, w.attempts`

// take leases webhooks whose lease has ended: those of dead processes, those that failed, and those that did not fit into
// memory.
func (b *Inbox) take(ctx context.Context) []stored {
	batch, err := b.takeDue(ctx)
	if err != nil && ctx.Err() == nil {
		webhooksErrors.Inc()
		b.cfg.Log.Warn("webhooks cannot be read", "error", err.Error())
	}
	return batch
}

func (b *Inbox) takeDue(ctx context.Context) ([]stored, error) {
	var providers, ids []string
	rows, err := b.db.Reader.Query(ctx, sqlDueWebhooks, b.cfg.Batch)
	if err != nil {
		return nil, fmt.Errorf("search the webhooks: %w", err)
	}
	var provider, id string
	_, err = pgx.ForEachRow(rows, []any{&provider, &id}, func() error {
		providers, ids = append(providers, provider), append(ids, id)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("search the webhooks: %w", err)
	}
	if len(ids) == 0 {
		return nil, nil
	}
	var batch []stored
	err = b.db.InBookkeeping(ctx, func(ctx context.Context, tx pgx.Tx) error {
		batch = batch[:0]
		rows, err := tx.Query(ctx, sqlTakeWebhooks, providers, ids, b.cfg.Lease.Microseconds())
		if err != nil {
			return fmt.Errorf("take webhooks: %w", err)
		}
		var provider, id string
		var raw []byte
		var attempts int
		_, err = pgx.ForEachRow(rows, []any{&provider, &id, &raw, &attempts}, func() error {
			batch = append(batch, b.reread(provider, id, raw, attempts))
			return nil
		})
		if err != nil {
			return fmt.Errorf("take webhooks: %w", err)
		}
		return nil
	})
	return batch, err
}

// reread makes a webhook from its row. It was read before it was stored, so what cannot be read now was stored by another
// release; it goes on without an outcome, and the handler finds nothing to do in it.
func (b *Inbox) reread(provider, id string, raw []byte, attempts int) stored {
	digest := sha256.Sum256(raw)
	s := stored{event: Event{Provider: provider, ID: id, Digest: digest[:]}, attempts: attempts}
	if reader, ok := b.readers[provider]; ok {
		if event, err := reader.Parse(raw); err == nil {
			s.event = event
			s.event.Provider, s.event.ID, s.event.Digest = provider, id, digest[:]
		}
	}
	return s
}
