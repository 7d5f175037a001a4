package story

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// maxRows bounds what one source reads of an order.
const maxRows = 500

// ErrUnknown means that there is no such order.
var ErrUnknown = errors.New("story: no such order")

// Querier reads: a pool or a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Entry is one thing that happened.
type Entry struct {
	At     time.Time
	Kind   string   // hold, admission, step, payment, webhook, outbox, ledger, ticket …
	Who    string   // buyer, webhook, outbox, lookup, expiry, operator:NAME, or the provider; "" where nobody is to be named
	Text   string   // one sentence
	Lines  []string // what belongs to it, such as single transfers
	Source string   // of a step: the webhook or task that caused it
	Raw    json.RawMessage
}

// order is what sources need to know to find what is theirs.
type order struct {
	id, event, hold uuid.UUID
	entrant         []byte
	lines           int
	currency        string
	createdAt       time.Time
	raw             bool
}

// source reads one kind of thing. Entries come in any order.
type source func(ctx context.Context, q Querier, o order) ([]Entry, error)

// sources are told in this order where their times are equal.
var sources = []source{holds, admissions, payments, verdicts, steps, reviews, outbox, webhooks, offline, refunds, disputes, transfers, tickets, handovers, titles, scans}

const sqlOrderFacts = `SELECT order_id, event_id, hold_id, entrant, lines, currency, created_at FROM orders WHERE order_id = $1`

// Tell reads the story of an order, oldest first. With raw, webhooks carry what the provider sent, redacted. ErrUnknown when
// there is no such order.
func Tell(ctx context.Context, q Querier, id uuid.UUID, raw bool) ([]Entry, error) {
	o := order{raw: raw}
	var lines string
	err := q.QueryRow(ctx, sqlOrderFacts, id).Scan(&o.id, &o.event, &o.hold, &o.entrant, &lines, &o.currency, &o.createdAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrUnknown
	}
	if err != nil {
		return nil, fmt.Errorf("read order %s: %w", id, err)
	}
	var tickets []json.RawMessage
	if err := json.Unmarshal([]byte(lines), &tickets); err != nil {
		return nil, fmt.Errorf("read the lines of order %s: %w", id, err)
	}
	o.lines = len(tickets)
	var all []Entry
	for _, read := range sources {
		entries, err := read(ctx, q, o)
		if err != nil {
			return nil, fmt.Errorf("tell order %s: %w", id, err)
		}
		all = append(all, entries...)
	}
	mark(all)
	slices.SortStableFunc(all, func(a, b Entry) int { return cmp.Or(a.At.Compare(b.At), 0) })
	return all, nil
}

// mark says of each webhook which steps it caused.
func mark(all []Entry) {
	caused := map[string]string{}
	for _, e := range all {
		if e.Kind == "step" && e.Source != "" {
			if before := caused[e.Source]; before != "" {
				caused[e.Source] = before + ", " + e.Text
			} else {
				caused[e.Source] = e.Text
			}
		}
	}
	for i := range all {
		if e := &all[i]; e.Kind == "webhook" {
			if steps := caused[e.Source]; steps != "" {
				e.Lines = append(e.Lines, "caused "+steps)
			} else {
				e.Lines = append(e.Lines, "changed nothing: known by then, or of no meaning to the order")
			}
		}
	}
}

// list runs a statement and makes an entry of each row.
func list(ctx context.Context, q Querier, what string, read func(row pgx.CollectableRow) ([]Entry, error), sql string, args ...any) ([]Entry, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	groups, err := pgx.CollectRows(rows, read)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	return slices.Concat(groups...), nil
}

// clock shows a time within a sentence.
func clock(at time.Time) string { return at.UTC().Format("15:04:05.000") }
