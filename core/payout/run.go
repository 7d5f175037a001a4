package payout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"fairgate/ledger"
)

const (
	sqlFindLine = `
SELECT released_minor, reserved_minor, unreserved_minor, covered_minor, used_minor, payout_id, note FROM payout_lines WHERE line_id = $1::UUID`

	sqlInsertLine = `
INSERT INTO payout_lines (line_id, run_id, organizer, currency, released_minor, reserved_minor, unreserved_minor, covered_minor, used_minor, payout_id, note, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, now())`

	sqlReleased = `
SELECT event_id, released_minor, reserved_minor, reserve_until FROM payout_events
WHERE organizer = $1::TEXT AND currency = $2::TEXT
ORDER BY event_id`

	sqlSaveEvents = `
INSERT INTO payout_events (event_id, organizer, currency, released_minor, reserved_minor, reserve_until)
SELECT u.event_id, $1::TEXT, $2::TEXT, u.released, u.reserved, u.until
FROM unnest($3::UUID[], $4::INT8[], $5::INT8[], $6::TIMESTAMPTZ[]) AS u(event_id, released, reserved, until)
ON CONFLICT (event_id) DO UPDATE
SET released_minor = excluded.released_minor, reserved_minor = excluded.reserved_minor, reserve_until = excluded.reserve_until`

	sqlOpenPayout = `
SELECT payout_id, amount_minor, state, events FROM payouts
WHERE organizer = $1::TEXT AND currency = $2::TEXT AND state IN ('proposed', 'approved')`

	sqlInsertPayout = `
INSERT INTO payouts (payout_id, organizer, currency, amount_minor, state, events, created_at, updated_at)
VALUES ($1, $2, $3, $4, 'proposed', 1, now(), now())`
)

// released is what payout_events has of an event.
type released struct {
	minor, reserved int64
	until           time.Time
}

// Run makes one run: what it did for each organizer, those with nothing to do left out. The same id again does what is left and says the
// same. It stops at the first error; organizers before it are done.
func (s *Service) Run(ctx context.Context, run uuid.UUID) ([]Line, error) {
	now, err := s.db.Now(ctx)
	if err != nil {
		return nil, err
	}
	var lines []Line
	var after pair
	for {
		pairs, err := s.organizers(ctx, after)
		if err != nil {
			return lines, err
		}
		for _, p := range pairs {
			line, err := s.line(ctx, run, p, now)
			if err != nil {
				runFailures.Inc()
				return lines, fmt.Errorf("pay %s in %s: %w", p.organizer, p.currency, err)
			}
			if line != (Line{ID: line.ID, Run: run, Organizer: p.organizer, Currency: p.currency}) {
				lines = append(lines, line)
			}
		}
		if len(pairs) < pageRows {
			runs.Inc()
			return lines, nil
		}
		after = pairs[len(pairs)-1]
	}
}

// line does a run's part for one organizer.
func (s *Service) line(ctx context.Context, run uuid.UUID, p pair, now time.Time) (Line, error) {
	earnings, err := s.ripe(ctx, p, now)
	if err != nil {
		return Line{}, err
	}
	var line Line
	err = s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
		line, err = s.lineTx(ctx, tx, run, p, earnings, now)
		return err
	})
	return line, err
}

func (s *Service) lineTx(ctx context.Context, tx pgx.Tx, run uuid.UUID, p pair, earnings []earning, now time.Time) (Line, error) {
	l := Line{ID: LineID(run, p.organizer, p.currency), Run: run, Organizer: p.organizer, Currency: p.currency}
	var payoutID pgtype.UUID
	err := tx.QueryRow(ctx, sqlFindLine, l.ID).Scan(&l.Released, &l.Reserved, &l.Unreserved, &l.Covered, &l.Used, &payoutID, &l.Note)
	if err == nil {
		l.PayoutID = payoutID.Bytes
		return l, nil
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return l, fmt.Errorf("look for the run's line: %w", err)
	}
	known, err := s.known(ctx, tx, p)
	if err != nil {
		return l, err
	}
	net, err := readStanding(ctx, tx, p)
	if err != nil {
		return l, err
	}
	changed := l.plan(earnings, known, s.rules(p.organizer), net, now)
	available := net.available - l.Used + l.Released + l.Unreserved
	if err := s.record(ctx, tx, l); err != nil {
		return l, err
	}
	if err := saveEvents(ctx, tx, p, changed, known); err != nil {
		return l, err
	}
	if err := s.propose(ctx, tx, &l, available); err != nil {
		return l, err
	}
	if l == (Line{ID: l.ID, Run: run, Organizer: p.organizer, Currency: p.currency}) {
		return l, nil // nothing was done, so nothing has to be remembered
	}
	_, err = tx.Exec(ctx, sqlInsertLine, l.ID, run, p.organizer, p.currency, l.Released, l.Reserved, l.Unreserved, l.Covered, l.Used,
		pgtype.UUID{Bytes: l.PayoutID, Valid: l.PayoutID != uuid.Nil}, l.Note)
	return l, again(err)
}

// again makes a transaction run again that met what another run stored meanwhile.
func again(err error) error {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && (pgErr.ConstraintName == "payout_lines_pkey" || pgErr.ConstraintName == "payouts_one_open" || pgErr.ConstraintName == "payouts_pkey") {
		repeat := *pgErr
		repeat.Code = "40001"
		return &repeat
	}
	return err
}

func (s *Service) known(ctx context.Context, tx pgx.Tx, p pair) (map[uuid.UUID]released, error) {
	rows, err := tx.Query(ctx, sqlReleased, p.organizer, p.currency)
	if err != nil {
		return nil, fmt.Errorf("read what was released: %w", err)
	}
	known := map[uuid.UUID]released{}
	var id uuid.UUID
	var r released
	if _, err := pgx.ForEachRow(rows, []any{&id, &r.minor, &r.reserved, &r.until}, func() error { known[id] = r; return nil }); err != nil {
		return nil, fmt.Errorf("read what was released: %w", err)
	}
	return known, nil
}

// offset covers what an organizer owes: from their reserve first, and then from what was to be paid out to them.
func (l *Line) offset(net standing) (payable, reserve int64) {
	if net.payable >= 0 {
		return net.payable, net.reserve
	}
	l.Covered = min(net.reserve, -net.payable)
	l.Used = min(net.available, -net.payable-l.Covered)
	payable = net.payable + l.Covered + l.Used
	switch {
	case payable < 0:
		l.Note = "owes us more than the reserve and what is available cover"
	case l.Used > 0:
		l.Note = "owed us; covered from the reserve and from what was available"
	default:
		l.Note = "owed us; covered from the reserve"
	}
	return payable, net.reserve - l.Covered
}

// plan decides amounts, changes known, and names the events it changed.
func (l *Line) plan(earnings []earning, known map[uuid.UUID]released, rules Rules, net standing, now time.Time) []uuid.UUID {
	var changed []uuid.UUID
	payable, reserve := l.offset(net)
	// Reserves whose time is over, before new ones are made.
	for id, k := range known {
		if k.reserved == 0 || k.until.After(now) {
			continue
		}
		free := min(k.reserved, reserve-l.Unreserved) // the rest has covered debts
		l.Unreserved += max(0, free)
		k.reserved = 0
		known[id] = k
		changed = append(changed, id)
	}
	changed = append(changed, repaid(earnings, known, l.Covered+l.Used, now)...)
	// What an event has given back since counts against what the others may release.
	var due int64
	for _, e := range earnings {
		due += e.minor - known[e.event].minor
	}
	rest := min(due, payable)
	short := due - rest
	if rest <= 0 {
		earnings = nil // nothing is released; what is owed stays in the sum
	}
	for _, e := range slices.Backward(earnings) {
		k := known[e.event]
		part := e.minor - k.minor
		if part == 0 {
			continue
		}
		if part > 0 {
			late := min(part, short) // for the next run
			short -= late
			part -= late
		}
		if k.until.IsZero() || k.reserved == 0 {
			k.until = now.Add(rules.ReserveFor)
		}
		k.minor += part
		if money := min(part, rest); money > 0 {
			rest -= money
			reserved := money * rules.ReservePercent / 100
			l.Reserved += reserved
			l.Released += money - reserved
			k.reserved += reserved
		}
		known[e.event] = k
		changed = append(changed, e.event)
	}
	return changed
}

// repaid notes what the reserve and available money have paid back of events that gave back more than they had left.
func repaid(earnings []earning, known map[uuid.UUID]released, covered int64, now time.Time) []uuid.UUID {
	var changed []uuid.UUID
	for _, e := range earnings {
		k := known[e.event]
		back := min(covered, k.minor-e.minor)
		if back <= 0 {
			continue
		}
		covered -= back
		k.minor -= back
		if k.until.IsZero() {
			k.until = now
		}
		known[e.event] = k
		changed = append(changed, e.event)
	}
	return changed
}

// record books the plan.
func (s *Service) record(ctx context.Context, tx pgx.Tx, l Line) error {
	amount := func(minor int64) ledger.Amount { return ledger.Amount{Minor: minor, Currency: l.Currency} }
	used, err := ledger.ReserveUsedTransfers(l.ID, l.Organizer, amount(l.Covered))
	if err != nil {
		return err
	}
	taken, err := ledger.AvailableUsedTransfers(l.ID, l.Organizer, amount(l.Used))
	if err != nil {
		return err
	}
	made, err := ledger.PayoutReleasedTransfers(l.ID, l.Organizer, amount(l.Released), amount(l.Reserved))
	if err != nil {
		return err
	}
	freed, err := ledger.ReserveReleasedTransfers(l.ID, l.Organizer, amount(l.Unreserved))
	if err != nil {
		return err
	}
	return s.writer.Record(ctx, tx, slices.Concat(used, taken, made, freed))
}

func saveEvents(ctx context.Context, tx pgx.Tx, p pair, changed []uuid.UUID, known map[uuid.UUID]released) error {
	seen := map[uuid.UUID]bool{}
	var ids []uuid.UUID
	var minors, reserves []int64
	var untils []time.Time
	for _, id := range changed {
		if seen[id] {
			continue
		}
		seen[id] = true
		k := known[id]
		ids, minors, reserves, untils = append(ids, id), append(minors, k.minor), append(reserves, k.reserved), append(untils, k.until)
	}
	if len(ids) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, sqlSaveEvents, p.organizer, p.currency, ids, minors, reserves, untils); err != nil {
		return fmt.Errorf("note what is released: %w", err)
	}
	return nil
}
