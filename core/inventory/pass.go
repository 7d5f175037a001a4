package inventory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/edge/lottery"
)

// A sold unit may be passed on to another buyer. It stays its hold's, in stock and seats, but counts for whoever has it: under the limits
// on entrants and accounts. What it was bought from, a browser, an address and a card, it goes on counting for: nobody gets room there
// by giving away what they buy.

const sqlPassedUnits = `
SELECT u.unit_id, u.hold_id, u.left_quotas, u.quotas
FROM passed_units AS u
WHERE u.hold_id = ANY($1::UUID[])
ORDER BY u.unit_id`

const sqlKindsOfQuota = `
SELECT q.quota_id
FROM unnest($1::UUID[]) AS k (quota_id)
JOIN quota AS q ON q.quota_id = k.quota_id
WHERE q.kind = 'account'`

const sqlUncountUnit = `
UPDATE quota AS q SET taken = q.taken - 1
FROM unnest($1::UUID[]) AS k (quota_id)
WHERE q.quota_id = k.quota_id AND q.taken >= 1`

const sqlCountUnit = `
INSERT INTO quota AS q (quota_id, scope_id, kind, buyer, taken, max_units)
SELECT k.quota_id, k.scope_id, k.kind, k.buyer, 1, k.max_units
FROM unnest($1::UUID[], $2::UUID[], $3::TEXT[], $4::BYTEA[], $5::INT8[]) AS k (quota_id, scope_id, kind, buyer, max_units)
ON CONFLICT (quota_id) DO UPDATE SET taken = q.taken + 1, max_units = excluded.max_units
WHERE q.taken + 1 <= excluded.max_units`

const sqlKeepPassed = `
INSERT INTO passed_units (unit_id, hold_id, left_quotas, quotas)
VALUES ($1, $2, $3, $4)
ON CONFLICT (unit_id) DO UPDATE SET quotas = excluded.quotas`

const sqlForgetPassed = `DELETE FROM passed_units WHERE unit_id = ANY($1::UUID[])`

// Passing is one unit of a sold hold that goes from who has it to another buyer.
type Passing struct {
	Unit    uuid.UUID       // what is passed on, such as a ticket's id; the same one may be passed on again
	Hold    uuid.UUID       // that it is of
	To      lottery.Entrant // who has it from now on
	Account Mark            // of who has it from now on
	Limit   int             // most units of one buyer; 0: no limit
	Limits  Limits          // of the event, of which accounts' counts here
	Tour    Tour
}

// counts are the rows that the unit counts in from now on.
func (p *Passing) counts(event uuid.UUID) []count {
	offer := Offer{Limit: p.Limit}
	counts := []count{newCount(event, kindEntrant, p.To, offer.limit())}
	if n := p.Limits.Account; n > 0 {
		counts = append(counts, newCount(event, kindAccount, lottery.Entrant(p.Account), int64(n)))
	}
	if n := p.Tour.Limits.Account; n > 0 && p.Tour.ID != uuid.Nil {
		counts = append(counts, newCount(p.Tour.ID, kindAccount, lottery.Entrant(p.Account), int64(n)))
	}
	slices.SortFunc(counts, func(a, b count) int { return bytes.Compare(a.id[:], b.id[:]) })
	return counts
}

// passedUnit is a unit that counts for another than its hold says.
type passedUnit struct {
	unit, hold uuid.UUID
	left       [][16]byte // the hold's rows of quota in which it no longer counts
	quotas     [][16]byte // those in which it counts instead
}

// Pass counts a unit for its new owner and no longer for who had it, inside tx. Errors: ErrHoldUnknown, ErrHoldClosed (not sold), and an
// *OverLimit when the new owner may not have more, after which the transaction is given up.
func Pass(ctx context.Context, tx pgx.Tx, p Passing) error {
	holds, err := Read(ctx, tx, []uuid.UUID{p.Hold})
	if err != nil {
		return fmt.Errorf("pass a unit on: %w", err)
	}
	h, known := holds[p.Hold]
	switch {
	case !known:
		return ErrHoldUnknown
	case h.State != Sold:
		return ErrHoldClosed
	}
	u, err := passedOf(ctx, tx, &h, p.Unit)
	if err != nil {
		return fmt.Errorf("pass a unit of hold %s on: %w", h.ID, err)
	}
	counts := p.counts(h.Event)
	to := make([][16]byte, len(counts))
	for i, c := range counts {
		to[i] = c.id
	}
	gone := slices.DeleteFunc(slices.Clone(u.quotas), func(id [16]byte) bool { return slices.Contains(to, id) })
	fresh := slices.DeleteFunc(counts, func(c count) bool { return slices.Contains(u.quotas, [16]byte(c.id)) })
	if err := moveUnit(ctx, tx, h.Event, gone, fresh); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, sqlKeepPassed, p.Unit, h.ID, joinIDs(u.left), joinIDs(to)); err != nil {
		return fmt.Errorf("remember whom a unit of hold %s counts for: %w", h.ID, err)
	}
	return nil
}

// passedOf tells where a unit counts, as its hold says or as it was passed on before.
func passedOf(ctx context.Context, tx pgx.Tx, h *Hold, unit uuid.UUID) (passedUnit, error) {
	passed, err := readPassed(ctx, tx, []uuid.UUID{h.ID})
	if err != nil {
		return passedUnit{}, err
	}
	for _, u := range passed {
		if u.unit == unit {
			return u, nil
		}
	}
	rows, err := tx.Query(ctx, sqlKindsOfQuota, h.others)
	if err != nil {
		return passedUnit{}, fmt.Errorf("read what it counts in: %w", err)
	}
	left := [][16]byte{h.counts()[0].id}
	var id [16]byte
	if _, err := pgx.ForEachRow(rows, []any{&id}, func() error { left = append(left, id); return nil }); err != nil {
		return passedUnit{}, fmt.Errorf("read what it counts in: %w", err)
	}
	return passedUnit{unit: unit, hold: h.ID, left: left, quotas: left}, nil
}

// moveUnit takes one unit out of rows and counts it in others, rows in key order.
func moveUnit(ctx context.Context, tx pgx.Tx, event uuid.UUID, gone [][16]byte, fresh []count) error {
	slices.SortFunc(gone, func(a, b [16]byte) int { return bytes.Compare(a[:], b[:]) })
	if len(gone) > 0 {
		tag, err := tx.Exec(ctx, sqlUncountUnit, gone)
		if err != nil {
			return fmt.Errorf("uncount a unit: %w", err)
		}
		if tag.RowsAffected() != int64(len(gone)) {
			return fmt.Errorf("uncount a unit: %d of %d rows: %w", tag.RowsAffected(), len(gone), ErrOutdated)
		}
	}
	n := len(fresh)
	if n == 0 {
		return nil
	}
	ids, scopes, kinds, buyers, limits := make([]uuid.UUID, n), make([][16]byte, n), make([]string, n), make([][]byte, n), make([]int64, n)
	for i := range fresh {
		c := &fresh[i]
		ids[i], scopes[i], kinds[i], buyers[i], limits[i] = c.id, c.scope, c.kind, c.buyer[:], c.limit
	}
	taken, err := Taken(ctx, tx, ids)
	if err != nil {
		return err
	}
	for i := range fresh {
		if c := &fresh[i]; taken[c.id]+1 > c.limit {
			return c.over(event, taken[c.id])
		}
	}
	tag, err := tx.Exec(ctx, sqlCountUnit, raw(ids), scopes, kinds, buyers, limits)
	if err != nil {
		return fmt.Errorf("count a unit: %w", err)
	}
	if tag.RowsAffected() != int64(n) {
		return fmt.Errorf("count a unit: %d of %d rows: %w", tag.RowsAffected(), n, ErrOutdated)
	}
	return nil
}

func readPassed(ctx context.Context, tx pgx.Tx, holds []uuid.UUID) ([]passedUnit, error) {
	rows, err := tx.Query(ctx, sqlPassedUnits, raw(holds))
	if err != nil {
		return nil, fmt.Errorf("read units that were passed on: %w", err)
	}
	var all []passedUnit
	var u passedUnit
	var left, quotas []byte
	_, err = pgx.ForEachRow(rows, []any{(*[16]byte)(&u.unit), (*[16]byte)(&u.hold), &left, &quotas}, func() error {
		if len(left)%16 != 0 || len(quotas)%16 != 0 {
			return errors.New("ids of another length")
		}
		u.left, u.quotas = splitIDs(left), splitIDs(quotas)
		all = append(all, u)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read units that were passed on: %w", err)
	}
	return all, nil
}

// uncount plans that units which are given back no longer count for those they were passed on to, instead of for their holds' buyers.
// It answers their ids.
func (p *plan) uncount(passed []passedUnit) []uuid.UUID {
	units := make([]uuid.UUID, 0, len(passed))
	move := func(ids [][16]byte, by int64) {
		for _, id := range ids {
			change, planned := p.quota[id]
			if !planned {
				change.count = count{id: id}
			}
			change.units += by
			p.quota[id] = change
		}
	}
	for _, u := range passed {
		move(u.left, 1)
		move(u.quotas, -1)
		units = append(units, u.unit)
	}
	return units
}

// forgetPassed drops what was remembered of units that were given back.
func forgetPassed(ctx context.Context, tx pgx.Tx, units []uuid.UUID) error {
	if len(units) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, sqlForgetPassed, raw(units)); err != nil {
		return fmt.Errorf("forget units that were passed on: %w", err)
	}
	return nil
}
