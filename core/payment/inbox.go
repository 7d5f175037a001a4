package payment

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"fairgate/core/db"
)

// maxWebhookBytes bounds one webhook; Stripe's largest payment events are a few KB.
const maxWebhookBytes = 256 << 10

// ErrTooLarge means a webhook is larger than any that a provider sends.
var ErrTooLarge = errors.New("the webhook is too large")

// InboxConfig are the bounds of an Inbox. The zero value is right for a service of one or two cores.
type InboxConfig struct {
	Batch       int            // most webhooks stored by one commit, and most handed to the handler at once; default 500
	Queue       int            // most stored webhooks waiting in memory for the handler; default 10,000
	Lease       time.Duration  // how long a stored webhook is left to the process that took it; default 15 s
	Poll        time.Duration  // how often the table is searched for webhooks left over; default 2 s
	Backoff     time.Duration  // mean wait before the second attempt, doubling; default 200 ms
	BackoffMax  time.Duration  // longest mean wait between two attempts; default 1 min
	MaxAttempts int            // attempts before a webhook is given up; default 40
	Jitter      func() float64 // uniform in [0, 1); default math/rand/v2
	Log         *slog.Logger   // default slog.Default()
	// Idle tells of a webhook that nothing would follow from: it is stored as handled, and handed to nobody. Nil: of none.
	Idle func(Event) bool
}

func (c InboxConfig) withDefaults() InboxConfig {
	set := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	if c.Batch <= 0 {
		c.Batch = 500
	}
	if c.Queue <= 0 {
		c.Queue = 10_000
	}
	set(&c.Lease, 15*time.Second)
	set(&c.Poll, 2*time.Second)
	set(&c.Backoff, 200*time.Millisecond)
	set(&c.BackoffMax, time.Minute)
	if c.MaxAttempts <= 0 {
		c.MaxAttempts = 40
	}
	if c.Jitter == nil {
		c.Jitter = rand.Float64
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c
}

// Inbox stores what providers report and hands it on. Receive may be called with or without Run running; an event that
// this process stored goes to its Run through memory, one that a dead process left behind through the table.
type Inbox struct {
	db      *db.DB
	cfg     InboxConfig
	readers map[string]WebhookReader
	lane    *db.Lane[delivery, bool]
	queue   chan stored
}

// delivery is one verified webhook on its way into the table.
type delivery struct {
	event    Event
	raw      []byte
	relevant bool // somebody is to handle it
}

// stored is one webhook that this process holds the lease of.
type stored struct {
	event    Event
	attempts int
}

// NewInbox makes an Inbox for the providers in readers, by name. Close it when nothing calls Receive any more.
func NewInbox(d *db.DB, readers map[string]WebhookReader, cfg InboxConfig) *Inbox {
	b := &Inbox{db: d, cfg: cfg.withDefaults(), readers: readers}
	b.queue = make(chan stored, b.cfg.Queue)
	b.lane = db.NewLane(db.LaneConfig{Name: "webhooks", MaxBatch: b.cfg.Batch, Log: b.cfg.Log}, b.store)
	return b
}

// Close waits for webhooks that are being stored. Call it after Run has returned.
func (b *Inbox) Close() { b.lane.Close() }

// Receive checks a webhook's signature and stores it. Nil means it is durable and the provider may be told so; after any
// error but ErrSignature, ErrMalformed, ErrTooLarge and ErrUnknownProvider the provider should send it again.
func (b *Inbox) Receive(ctx context.Context, provider string, raw []byte, header http.Header) error {
	reader, ok := b.readers[provider]
	if !ok {
		return fmt.Errorf("receive a webhook: %w %q", ErrUnknownProvider, provider)
	}
	if len(raw) > maxWebhookBytes {
		webhooksMalformed.Inc()
		return fmt.Errorf("receive a webhook of %d bytes: %w", len(raw), ErrTooLarge)
	}
	if err := reader.Verify(raw, header); err != nil {
		webhooksForged.Inc()
		return fmt.Errorf("receive a webhook: %w", err)
	}
	event, err := reader.Parse(raw)
	if err != nil {
		webhooksMalformed.Inc()
		return fmt.Errorf("receive a webhook: %w", err)
	}
	digest := sha256.Sum256(raw)
	event.Provider, event.Digest = provider, digest[:]
	relevant := event.Relevant() && (b.cfg.Idle == nil || !b.cfg.Idle(event))
	fresh, err := b.lane.Do(ctx, delivery{event: event, raw: raw, relevant: relevant})
	if err != nil {
		webhooksRefused.Inc()
		return fmt.Errorf("store webhook %s: %w", event.ID, err)
	}
	if event.repeated = !fresh; event.repeated && !event.CountsAgain() {
		webhooksRepeated.Inc()
		return nil
	}
	webhooksStored.Inc()
	if relevant {
		b.offer(stored{event: event, attempts: 1})
	}
	return nil
}

// offer hands a stored webhook to this process's Run. One that does not fit is found in the table when its lease ends.
func (b *Inbox) offer(s stored) {
	select {
	case b.queue <- s:
	default:
		webhooksSpilled.Inc()
	}
}

// A relevant webhook is stored as taken by this process: its lease, in due_at, ends after $6 microseconds. One that means
// nothing is stored as handled, for the record. One that came before is counted; what was stored of it stays.
const sqlStoreWebhooks = `INSERT INTO webhooks
	(provider, webhook_id, type, payload, received_at, handled_at, attempts, due_at, last_error, order_id, repeats, repeated_at)
SELECT t.provider, t.webhook_id, t.type, t.payload, now(), CASE WHEN t.relevant THEN NULL ELSE now() END, 1,
	now() + $6::INT8 * INTERVAL '1 microsecond', '', t.order_id,
	t.repeats, CASE WHEN t.repeats > 0 THEN now() ELSE NULL END
FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::BYTEA[], $5::BOOL[], $7::UUID[], $8::INT8[])
	AS t (provider, webhook_id, type, payload, relevant, order_id, repeats)
ON CONFLICT (provider, webhook_id) DO UPDATE SET repeats = webhooks.repeats + 1 + EXCLUDED.repeats, repeated_at = now()
RETURNING provider, webhook_id, received_at = now()`

type webhookKey struct{ provider, id string }

// store is the lane's commit: it tells for each delivery whether it was the first of its event.
func (b *Inbox) store(ctx context.Context, batch []delivery) ([]bool, error) {
	var providers, ids, types []string
	var payloads [][]byte
	var relevant []bool
	var orders []pgtype.UUID
	var repeats []int64
	row := make(map[int]int, len(batch))          // by the place in the batch
	first := make(map[webhookKey]int, len(batch)) // where in the batch an event is met first
	for i, d := range batch {
		key := webhookKey{d.event.Provider, d.event.ID}
		if before, twice := first[key]; twice {
			repeats[row[before]]++
			continue
		}
		first[key], row[i] = i, len(ids)
		repeats = append(repeats, 0)
		providers, ids, types = append(providers, key.provider), append(ids, key.id), append(types, d.event.Type)
		payloads, relevant = append(payloads, d.raw), append(relevant, d.relevant)
		orders = append(orders, pgtype.UUID{Bytes: d.event.OrderID, Valid: d.event.OrderID != uuid.Nil})
	}
	var fresh []bool
	err := b.db.InBookkeeping(ctx, func(ctx context.Context, tx pgx.Tx) error {
		fresh = make([]bool, len(batch))
		rows, err := tx.Query(ctx, sqlStoreWebhooks, providers, ids, types, payloads, relevant, b.cfg.Lease.Microseconds(), orders, repeats)
		if err != nil {
			return fmt.Errorf("insert %d webhooks: %w", len(ids), err)
		}
		var key webhookKey
		var isNew bool
		_, err = pgx.ForEachRow(rows, []any{&key.provider, &key.id, &isNew}, func() error {
			fresh[first[key]] = isNew
			return nil
		})
		if err != nil {
			return fmt.Errorf("insert %d webhooks: %w", len(ids), err)
		}
		return nil
	})
	return fresh, err
}
