package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
)

// Config are what a Mailer is made of. DB and Composers are required.
type Config struct {
	DB *db.DB
	// SMTP is the server that mails are handed to. Nil: none is sent, and they wait until they are too old.
	SMTP *SMTP
	// Composers say what mails tell, by kind. Mails of other kinds are left to other processes.
	Composers map[Kind]Composer

	Rate        float64        // mails a second of this process; 0: no limit
	Workers     int            // connections to the server; default 4
	Lease       time.Duration  // how long a claimed mail is left alone; default 2 min, or eight of the server's timeouts if that is more
	Poll        time.Duration  // longest wait between two looks at the table; default 1 s
	Backoff     time.Duration  // mean wait before the second attempt, doubling; default 30 s
	BackoffMax  time.Duration  // longest mean wait between two attempts; default 1 h
	MaxAttempts int            // attempts that a server answered, before a mail is dead; default 20
	MaxAge      time.Duration  // how long a mail is tried; default 72 h
	Jitter      func() float64 // uniform in [0, 1); default math/rand/v2
	Log         *slog.Logger   // default slog.Default()
}

// A mail's run has half of its lease to come to the sending, and the sending, which may have to connect anew, the other half: four
// timeouts. So it is over before another process may begin.
const (
	minLease      = 2 * time.Minute
	leaseTimeouts = 8
)

func (c Config) withDefaults() Config {
	set := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	if c.Workers <= 0 {
		c.Workers = 4
	}
	least := minLease
	if c.SMTP != nil {
		least = max(least, leaseTimeouts*c.SMTP.timeout)
	}
	if c.Lease <= 0 {
		c.Lease = least
	}
	set(&c.Poll, time.Second)
	set(&c.Backoff, 30*time.Second)
	set(&c.BackoffMax, time.Hour)
	set(&c.MaxAge, 72*time.Hour)
	if c.MaxAttempts <= 0 {
		c.MaxAttempts = 20
	}
	if c.Jitter == nil {
		c.Jitter = rand.Float64
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c
}

// backoff is how long to wait after the n-th failed attempt, counted from 1: doubled each time up to BackoffMax, then between half and one
// and a half of that, so that mails that failed together do not come back together.
func (c *Config) backoff(n int) time.Duration {
	mean := c.Backoff
	for ; n > 1 && mean < c.BackoffMax; n-- {
		mean *= 2
	}
	return time.Duration(float64(min(mean, c.BackoffMax)) * (0.5 + c.Jitter()))
}

// claimed is a mail that this process holds the lease of. Its claim tells this run from any other of the same mail.
type claimed struct {
	Message
	id      uuid.UUID
	claim   uuid.UUID
	attempt int       // 1 for the first time
	until   time.Time // by the machine's clock: the sending begins before that or not at all
}

// The search is a hint: the claim decides. It passes over the mails that are being sent, which are few; mails with a bound come first.
const sqlDueUrgent = `SELECT mail_id FROM mails
WHERE ended_at IS NULL AND expires_at IS NOT NULL AND due_at <= now() AND (lease_until IS NULL OR lease_until <= now()) AND kind = ANY($1::TEXT[])
ORDER BY due_at LIMIT $2`

const sqlDue = `SELECT mail_id FROM mails
WHERE ended_at IS NULL AND due_at <= now() AND (lease_until IS NULL OR lease_until <= now()) AND kind = ANY($1::TEXT[])
ORDER BY due_at LIMIT $2`

const sqlClaim = `UPDATE mails AS m
SET lease_until = now() + $2::INT8 * INTERVAL '1 microsecond', claim_id = $3, attempts = m.attempts + 1
FROM unnest($1::UUID[]) AS k (mail_id)
WHERE m.mail_id = k.mail_id AND m.state = 'ready' AND m.due_at <= now() AND (m.lease_until IS NULL OR m.lease_until <= now())
    AND (m.expires_at IS NULL OR m.expires_at > now()) AND m.queued_at > now() - $4::INT8 * INTERVAL '1 microsecond'
RETURNING m.mail_id, m.key, m.kind, m.recipient, m.language, m.subject_id, m.data, m.attempts`

// claim takes up to limit mails that are due.
func (m *Mailer) claim(ctx context.Context, limit int) (mails []claimed, err error) {
	ids, err := m.search(ctx, sqlDueUrgent, limit)
	if err == nil && len(ids) < limit {
		var rest []uuid.UUID
		rest, err = m.search(ctx, sqlDue, limit)
		ids = append(ids, rest...)
	}
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	ids = ids[:min(len(ids), limit)]
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }) // as all who lock several
	ids = slices.Compact(ids)
	claim, until := uuid.New(), time.Now().Add(m.cfg.Lease/2)
	err = m.cfg.DB.InBookkeeping(ctx, func(ctx context.Context, tx pgx.Tx) error {
		mails = mails[:0]
		rows, err := tx.Query(ctx, sqlClaim, ids, m.cfg.Lease.Microseconds(), claim, m.cfg.MaxAge.Microseconds())
		if err != nil {
			return fmt.Errorf("claim mails: %w", err)
		}
		var c claimed
		var data string
		_, err = pgx.ForEachRow(rows, []any{&c.id, &c.Key, &c.Kind, &c.To, &c.Language, &c.Subject, &data, &c.attempt}, func() error {
			c.claim, c.until, c.Data = claim, until, decodeData(data)
			mails = append(mails, c)
			return nil
		})
		if err != nil {
			return fmt.Errorf("claim mails: %w", err)
		}
		return nil
	})
	return mails, err
}

func (m *Mailer) search(ctx context.Context, sql string, limit int) ([]uuid.UUID, error) {
	rows, err := m.cfg.DB.Reader.Query(ctx, sql, m.kinds, limit)
	if err != nil {
		return nil, fmt.Errorf("search the mails: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return nil, fmt.Errorf("search the mails: %w", err)
	}
	return ids, nil
}

// decodeData reads what encodeData wrote. What is no such object, which nothing here writes, is an empty one: its composer misses what it
// needs and says so.
func decodeData(text string) map[string]string {
	data := map[string]string{}
	_ = json.Unmarshal([]byte(text), &data)
	return data
}

// result is how one run of a mail ended, as it will be written.
type result struct {
	mail  claimed
	state string        // "sent", "moot", "bounced", "dead", or "ready" to be tried again
	after time.Duration // until it is tried again
	undo  bool          // the run does not count as an attempt: no server has seen the mail
	why   string        // without personal data
}

// A mail that was sent is sent whoever holds the lease by now; any other end is written only by the holder. Data goes when a mail is sent,
// and with a mail that is of use no more than for a while, since what is in it may be a code.
const sqlSettle = `UPDATE mails AS m
SET state = $3, lease_until = NULL, claim_id = NULL, attempts = m.attempts - $5::INT8,
    last_error = CASE WHEN $3 = 'ready' AND $6::TEXT = '' THEN m.last_error ELSE $6 END,
    data = CASE WHEN $3 IN ('sent', 'moot') OR $3 <> 'ready' AND m.expires_at IS NOT NULL THEN '{}' ELSE m.data END,
    due_at = CASE WHEN $3 = 'ready' THEN now() + $4::INT8 * INTERVAL '1 microsecond' ELSE m.due_at END,
    ended_at = CASE WHEN $3 = 'ready' THEN NULL ELSE now() END
WHERE m.mail_id = $1 AND m.state = 'ready' AND ($3 = 'sent' OR m.claim_id = $2)`

func (m *Mailer) settle(ctx context.Context, r result) error {
	undo := int64(0)
	if r.undo {
		undo = 1
	}
	return m.cfg.DB.InBookkeeping(ctx, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, sqlSettle, r.mail.id, r.mail.claim, r.state, r.after.Microseconds(), undo, r.why)
		if err != nil {
			return fmt.Errorf("settle a mail: %w", err)
		}
		return nil
	})
}

// expireAtOnce is how many mails one statement gives up for their age.
const expireAtOnce = 1000

const sqlExpire = `UPDATE mails SET state = 'dead', ended_at = now(), lease_until = NULL, claim_id = NULL,
    last_error = CASE WHEN last_error = '' THEN 'never sent, and too old now' ELSE 'too old now; last: ' || last_error END,
    data = CASE WHEN expires_at IS NOT NULL THEN '{}' ELSE data END
WHERE state = 'ready' AND (lease_until IS NULL OR lease_until <= now()) AND mail_id = ANY(ARRAY(SELECT mail_id FROM mails
    WHERE ended_at IS NULL AND (lease_until IS NULL OR lease_until <= now())
        AND (expires_at <= now() OR queued_at <= now() - $1::INT8 * INTERVAL '1 microsecond')
    ORDER BY due_at LIMIT $2))`

// expire gives up mails that nobody needs any more, of whatever kind.
func (m *Mailer) expire(ctx context.Context) (n int64, err error) {
	err = m.cfg.DB.InBookkeeping(ctx, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, sqlExpire, m.cfg.MaxAge.Microseconds(), expireAtOnce)
		n = tag.RowsAffected()
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("give up old mails: %w", err)
	}
	return n, nil
}
