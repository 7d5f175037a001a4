package notify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
)

// Outcomes of what operators ask for.
var (
	// ErrUnknown means that there is no such mail.
	ErrUnknown = errors.New("notify: there is no such mail")
	// ErrAlive means that only mails that bounced or are dead can be tried again, and this one is neither, or no more.
	ErrAlive = errors.New("notify: the mail has neither bounced nor died")
	// ErrOver means that a mail was of use for a while only, and that is over: what it was to tell is gone.
	ErrOver = errors.New("notify: the mail is of no use any more")
)

// Record is how a mail stands.
type Record struct {
	ID        uuid.UUID
	Key       string
	Kind      Kind
	To        string
	Language  string
	Subject   uuid.UUID
	State     string // ready, sent, moot, bounced or dead
	Attempts  int
	Error     string // of the last run; of one that bounced the server's answer, without addresses
	DueAt     time.Time
	ExpiresAt *time.Time
	Running   bool
	CreatedAt time.Time
	EndedAt   *time.Time
}

// Listing asks for mails, oldest first, after the last one of the page before. With a subject it is of all states.
type Listing struct {
	State     string    // one state; "" for bounced and dead ones together, or for all where there is a subject
	Kind      Kind      // "" for all
	Subject   uuid.UUID // Nil for all
	AfterTime time.Time
	AfterMail uuid.UUID
	Limit     int
}

const sqlListFailed = `SELECT mail_id, key, kind, recipient, language, subject_id, state, attempts, last_error, due_at, expires_at, coalesce(lease_until > now(), false), created_at, ended_at
FROM mails WHERE state IN ('bounced', 'dead') AND ($1::TEXT = '' OR state = $1) AND ($2::TEXT = '' OR kind = $2) AND (created_at, mail_id) > ($3::TIMESTAMPTZ, $4::UUID)
ORDER BY created_at, mail_id LIMIT $5`

const sqlListWaiting = `SELECT mail_id, key, kind, recipient, language, subject_id, state, attempts, last_error, due_at, expires_at, coalesce(lease_until > now(), false), created_at, ended_at
FROM mails WHERE ended_at IS NULL AND ($1::TEXT = 'ready') AND ($2::TEXT = '' OR kind = $2) AND (created_at, mail_id) > ($3::TIMESTAMPTZ, $4::UUID)
ORDER BY created_at, mail_id LIMIT $5`

const sqlListSubject = `SELECT mail_id, key, kind, recipient, language, subject_id, state, attempts, last_error, due_at, expires_at, coalesce(lease_until > now(), false), created_at, ended_at
FROM mails WHERE subject_id = $6 AND ($1::TEXT = '' OR state = $1) AND ($2::TEXT = '' OR kind = $2) AND (created_at, mail_id) > ($3::TIMESTAMPTZ, $4::UUID)
ORDER BY created_at, mail_id LIMIT $5`

const sqlFind = `SELECT mail_id, key, kind, recipient, language, subject_id, state, attempts, last_error, due_at, expires_at, coalesce(lease_until > now(), false), created_at, ended_at
FROM mails WHERE mail_id = $1`

// List lists mails. Those that were sent are found by their subject only.
func List(ctx context.Context, d *db.DB, l Listing) ([]Record, error) {
	args := []any{l.State, string(l.Kind), l.AfterTime, l.AfterMail, l.Limit}
	switch {
	case l.Subject != uuid.Nil:
		return records(ctx, d, sqlListSubject, append(args, l.Subject)...)
	case l.State == "ready":
		return records(ctx, d, sqlListWaiting, args...)
	default:
		return records(ctx, d, sqlListFailed, args...)
	}
}

// Find reads one mail; ErrUnknown.
func Find(ctx context.Context, d *db.DB, id uuid.UUID) (Record, error) {
	found, err := records(ctx, d, sqlFind, id)
	if err == nil && len(found) == 0 {
		err = ErrUnknown
	}
	if err != nil {
		return Record{}, err
	}
	return found[0], nil
}

func records(ctx context.Context, d *db.DB, sql string, args ...any) ([]Record, error) {
	rows, err := d.Reader.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("read mails: %w", err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r Record, err error) {
		return r, row.Scan(&r.ID, &r.Key, &r.Kind, &r.To, &r.Language, &r.Subject, &r.State, &r.Attempts, &r.Error, &r.DueAt, &r.ExpiresAt, &r.Running,
			&r.CreatedAt, &r.EndedAt)
	})
	if err != nil {
		return nil, fmt.Errorf("read mails: %w", err)
	}
	return found, nil
}

const sqlRetry = `UPDATE mails SET state = 'ready', attempts = 0, queued_at = now(), due_at = now(), ended_at = NULL, lease_until = NULL, claim_id = NULL,
    recipient = CASE WHEN $2::TEXT = '' THEN recipient ELSE $2 END
WHERE mail_id = $1 AND state IN ('bounced', 'dead') AND expires_at IS NULL`

// Retry has a mail that bounced or died tried again, with all its attempts and from a new age on; to is another address for it, or empty. It
// keeps its Message-ID. ErrUnknown, ErrAlive, ErrOver, ErrAddress.
func Retry(ctx context.Context, d *db.DB, id uuid.UUID, to string) (Record, error) {
	if to != "" && !Addressable(to) {
		return Record{}, ErrAddress
	}
	var changed bool
	err := d.InBookkeeping(ctx, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, sqlRetry, id, to)
		changed = tag.RowsAffected() == 1
		return err
	})
	if err != nil {
		return Record{}, fmt.Errorf("try a mail again: %w", err)
	}
	r, err := Find(ctx, d, id)
	switch {
	case err != nil || changed:
		return r, err
	case r.ExpiresAt != nil && r.EndedAt != nil:
		return r, ErrOver
	default:
		return r, ErrAlive
	}
}
