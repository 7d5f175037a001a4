package passes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
)

// The passes that were given to the account's entrants, whosever the tickets are by now: the phones are theirs.
const sqlForgetAccount = `
DELETE FROM apple_registrations WHERE (ticket_id, name_epoch) IN (
    SELECT p.ticket_id, p.name_epoch FROM account_entrants AS a
    JOIN wallet_passes AS p ON p.owner = a.entrant AND p.wallet = 'apple'
    WHERE a.account_id = $1::UUID)`

// Forget deletes the device ids and push tokens of the phones that have passes of an account. Who the account is in events must be known still:
// it goes before account.Forget. The passes stay, so that Google is told when a ticket changes. Forgetting again changes nothing.
func Forget(ctx context.Context, d *db.DB, account uuid.UUID) error {
	err := d.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, sqlForgetAccount, account)
		return err
	})
	if err != nil {
		return fmt.Errorf("forget the phones of account %s: %w", account, err)
	}
	return nil
}

const (
	// sweepRows is how many registrations one statement reads or deletes, and sweepEvery how long to rest when all have been looked at.
	sweepRows  = 500
	sweepEvery = time.Hour
)

// SweeperConfig is what a Sweeper is made of. DB and ClosesAt are required.
type SweeperConfig struct {
	DB *db.DB
	// ClosesAt is when no ticket of an event opens a gate any more. It answers from memory nearly always.
	ClosesAt func(ctx context.Context, event uuid.UUID) (time.Time, error)
	After    time.Duration // how long after that phones are forgotten
	Log      *slog.Logger  // default slog.Default()
}

// Sweeper forgets the phones that have passes of events that are long over, whether wallets are still offered or not.
type Sweeper struct{ cfg SweeperConfig }

// NewSweeper makes a Sweeper. It deletes nothing until Run.
func NewSweeper(cfg SweeperConfig) *Sweeper {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	return &Sweeper{cfg: cfg}
}

// Run sweeps until ctx ends, and returns nil. Several cores may do so at once.
func (s *Sweeper) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if _, err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Log.Warn("phones that have passes of events that are over are not all forgotten; they are looked at again", "error", err.Error())
		}
		sleep(ctx, sweepEvery)
	}
	return nil
}

// registration is the key of a row of apple_registrations, and the event.
type registration struct {
	Device string
	Ticket uuid.UUID
	Named  int64
	Event  uuid.UUID
}

const sqlRegistrations = `
SELECT r.device_id, r.ticket_id, r.name_epoch, t.event_id
FROM apple_registrations AS r
JOIN tickets AS t ON t.ticket_id = r.ticket_id
WHERE (r.device_id, r.ticket_id, r.name_epoch) > ($1::TEXT, $2::UUID, $3::INT8)
ORDER BY r.device_id, r.ticket_id, r.name_epoch
LIMIT $4::INT8`

const sqlForgetRegistrations = `
DELETE FROM apple_registrations WHERE (device_id, ticket_id, name_epoch) IN (
    SELECT u.device, u.ticket, u.named FROM unnest($1::TEXT[], $2::UUID[], $3::INT8[]) AS u (device, ticket, named))`

// Sweep looks at every registration once, page by page, and tells how many it has deleted. An event that cannot be found keeps no other's phones.
func (s *Sweeper) Sweep(ctx context.Context) (deleted int64, err error) {
	now, err := s.cfg.DB.Now(ctx)
	if err != nil {
		return 0, err
	}
	over := map[uuid.UUID]bool{}
	var failed error
	var last registration
	for {
		page, err := s.page(ctx, last)
		if err != nil {
			return deleted, errors.Join(failed, err)
		}
		var devices []string
		var tickets []uuid.UUID
		var named []int64
		for _, r := range page {
			is, known := over[r.Event]
			if !known {
				closes, err := s.cfg.ClosesAt(ctx, r.Event)
				if err != nil {
					failed = errors.Join(failed, fmt.Errorf("find when event %s is over: %w", r.Event, err))
				}
				is = err == nil && now.After(closes.Add(s.cfg.After))
				over[r.Event] = is
			}
			if is {
				devices, tickets, named = append(devices, r.Device), append(tickets, r.Ticket), append(named, r.Named)
			}
		}
		if len(devices) > 0 {
			tag, err := s.cfg.DB.Exec(ctx, sqlForgetRegistrations, devices, tickets, named)
			if err != nil {
				return deleted, errors.Join(failed, fmt.Errorf("forget phones: %w", err))
			}
			deleted += tag.RowsAffected()
			sweptTotal.Add(int(tag.RowsAffected()))
		}
		if len(page) < sweepRows {
			return deleted, failed
		}
		last = page[len(page)-1]
	}
}

// page lists the registrations that come after one.
func (s *Sweeper) page(ctx context.Context, last registration) (page []registration, err error) {
	err = s.cfg.DB.Reading(ctx, func() error {
		rows, err := s.cfg.DB.Reader.Query(ctx, sqlRegistrations, last.Device, last.Ticket, last.Named, sweepRows)
		if err != nil {
			return err
		}
		page, err = pgx.CollectRows(rows, pgx.RowToStructByPos[registration])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list registered phones: %w", err)
	}
	return page, nil
}
