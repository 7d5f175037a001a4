package passes

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

var (
	// ErrForm means that a device id or push token is none.
	ErrForm = errors.New("passes: not of the form of a device id or push token")
	// ErrFull means that so many phones have the pass, or the phone so many passes, that another cannot be registered.
	ErrFull = errors.New("passes: too many registrations")
)

const (
	maxDevices = 30  // of one pass: the phones and watches of one person
	maxPasses  = 500 // of one phone
	maxChanged = 500 // that one answer names
)

// Apple's device ids are 32 hex digits and its push tokens 64 or more; neither promises to stay so.
var (
	deviceForm = regexp.MustCompile(`^[0-9A-Za-z_-]{8,100}$`)
	pushForm   = regexp.MustCompile(`^[0-9A-Fa-f]{16,200}$`)
)

const sqlCountDevices = `SELECT count(*) FROM apple_registrations WHERE ticket_id = $1::UUID AND name_epoch = $2::INT8 AND device_id <> $3::TEXT`

const sqlCountPasses = `SELECT count(*) FROM apple_registrations WHERE device_id = $1::TEXT`

const sqlRegistered = `SELECT count(*) FROM apple_registrations WHERE device_id = $1::TEXT AND ticket_id = $2::UUID AND name_epoch = $3::INT8`

const sqlRegister = `
INSERT INTO apple_registrations (device_id, ticket_id, name_epoch, push_token, registered_at)
VALUES ($1::TEXT, $2::UUID, $3::INT8, $4::TEXT, now())
ON CONFLICT (device_id, ticket_id, name_epoch) DO UPDATE SET push_token = excluded.push_token, registered_at = excluded.registered_at`

// What has changed between the download and the registration nobody was told of.
const sqlDueIfChanged = `
UPDATE wallet_passes SET due_at = COALESCE(due_at, now())
WHERE ticket_id = $1::UUID AND name_epoch = $2::INT8 AND wallet = 'apple' AND version > 0`

// Register notes that a phone has a pass and wants to hear of changes. created is false when it was noted before; the push token is the new
// one then. Errors: ErrForm, ErrUnknown, ErrFull.
func (s *Service) Register(ctx context.Context, device string, id uuid.UUID, named uint32, push string) (created bool, err error) {
	if !deviceForm.MatchString(device) || !pushForm.MatchString(push) {
		return false, ErrForm
	}
	err = s.cfg.DB.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := find(ctx, tx, sqlNamed, id, int64(named), string(Apple)); err != nil {
			return err
		}
		var known, devices, passes int64
		if err := tx.QueryRow(ctx, sqlRegistered, device, id, int64(named)).Scan(&known); err != nil {
			return err
		}
		if created = known == 0; created {
			if err := tx.QueryRow(ctx, sqlCountDevices, id, int64(named), device).Scan(&devices); err != nil {
				return err
			}
			if err := tx.QueryRow(ctx, sqlCountPasses, device).Scan(&passes); err != nil {
				return err
			}
			if devices >= maxDevices || passes >= maxPasses {
				return ErrFull
			}
		}
		if _, err := tx.Exec(ctx, sqlRegister, device, id, int64(named), push); err != nil {
			return err
		}
		if !created {
			return nil
		}
		_, err := tx.Exec(ctx, sqlDueIfChanged, id, int64(named))
		return err
	})
	if err != nil {
		return false, fmt.Errorf("register for a pass of ticket %s: %w", id, err)
	}
	if created {
		registeredTotal.Inc()
	}
	return created, nil
}

const sqlUnregister = `DELETE FROM apple_registrations WHERE device_id = $1::TEXT AND ticket_id = $2::UUID AND name_epoch = $3::INT8`

// Unregister notes that a phone has a pass no more; one that never had it changes nothing.
func (s *Service) Unregister(ctx context.Context, device string, id uuid.UUID, named uint32) error {
	if !deviceForm.MatchString(device) {
		return ErrForm
	}
	err := s.cfg.DB.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, sqlUnregister, device, id, int64(named))
		return err
	})
	if err != nil {
		return fmt.Errorf("unregister from a pass of ticket %s: %w", id, err)
	}
	return nil
}

const sqlChanged = `
SELECT p.ticket_id, p.owner, p.wallet, p.name_epoch, p.version, p.changed_at
FROM apple_registrations AS r
JOIN wallet_passes AS p ON p.ticket_id = r.ticket_id AND p.name_epoch = r.name_epoch AND p.wallet = 'apple'
WHERE r.device_id = $1::TEXT AND p.changed_at >= $2::TIMESTAMPTZ
ORDER BY p.changed_at DESC, p.ticket_id
LIMIT $3::INT8`

// Changed lists the passes of a phone that have changed since it was given a tag, newest first, and the tag to ask with the next time. Without
// a tag, or with one that is none of ours, these are all. Errors: ErrForm.
func (s *Service) Changed(ctx context.Context, device, since string) (changed []Saved, tag string, err error) {
	if !deviceForm.MatchString(device) {
		return nil, "", ErrForm
	}
	now, err := s.cfg.DB.Now(ctx)
	if err != nil {
		return nil, "", err
	}
	err = s.cfg.DB.Reading(ctx, func() error {
		rows, err := s.cfg.DB.Reader.Query(ctx, sqlChanged, device, parseTag(since), maxChanged)
		if err != nil {
			return err
		}
		changed, err = pgx.CollectRows(rows, scanSaved)
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("list the changed passes of a phone: %w", err)
	}
	return changed, tagOf(now), nil
}

// tagOf is the tag of whoever asked at a time: microseconds since 1970.
func tagOf(now time.Time) string { return strconv.FormatInt(now.Add(-settling).UnixMicro(), 10) }

// parseTag is the time of a tag; long ago when it is none.
func parseTag(tag string) time.Time {
	n, err := strconv.ParseInt(tag, 10, 64)
	if err != nil || n < 0 || n > time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro() {
		return time.UnixMicro(0)
	}
	return time.UnixMicro(n)
}
