package story

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/ticket/code"
	"fairgate/ledger"
)

const sqlHoldOfOrder = `SELECT items, amount_minor, currency, state, created_at, deadline, extended, closed_at FROM holds WHERE hold_id = $1`

// holds tells what the order was opened on, and how that ended.
func holds(ctx context.Context, q Querier, o order) ([]Entry, error) {
	return list(ctx, q, "the hold", func(row pgx.CollectableRow) ([]Entry, error) {
		var text, state string
		var amount ledger.Amount
		var made, deadline time.Time
		var extended bool
		var closed *time.Time
		if err := row.Scan(&text, &amount.Minor, &amount.Currency, &state, &made, &deadline, &extended, &closed); err != nil {
			return nil, err
		}
		var items []struct {
			Tier     string   `json:"tier"`
			Quantity int      `json:"quantity"`
			Seats    []string `json:"seats"`
		}
		if err := json.Unmarshal([]byte(text), &items); err != nil {
			return nil, fmt.Errorf("items of the hold: %w", err)
		}
		var places []string
		for _, item := range items {
			place := fmt.Sprintf("%d × %s", item.Quantity, item.Tier)
			if len(item.Seats) > 0 {
				place += " (" + strings.Join(item.Seats, ", ") + ")"
			}
			places = append(places, place)
		}
		held := Entry{At: made, Kind: "hold", Who: "buyer", Text: fmt.Sprintf("holds %s for %s until %s", strings.Join(places, ", "), amount, clock(deadline))}
		if extended {
			held.Lines = append(held.Lines, "the deadline was extended for the payment")
		}
		if closed == nil {
			return []Entry{held}, nil
		}
		return []Entry{held, {At: *closed, Kind: "hold", Text: "the hold is " + state}}, nil
	}, sqlHoldOfOrder, o.hold)
}

const sqlSessionOfOrder = `
SELECT generation, window_no, band, value, issued_at, expires_at FROM sessions
WHERE event_id = $1 AND entrant = $2 AND issued_at <= $3
ORDER BY issued_at DESC LIMIT 1`

// admissions tells how the buyer was let in: the session with which the order was opened.
func admissions(ctx context.Context, q Querier, o order) ([]Entry, error) {
	return list(ctx, q, "the session", func(row pgx.CollectableRow) ([]Entry, error) {
		var generation, window, band int64
		var value []byte
		var issued, expires time.Time
		if err := row.Scan(&generation, &window, &band, &value, &issued, &expires); err != nil {
			return nil, err
		}
		return []Entry{{At: issued, Kind: "admission", Who: "buyer", Text: fmt.Sprintf("let in: on-sale %d, window %d, band %d, drawn %s; session until %s",
			generation, window, band, hex.EncodeToString(value), clock(expires))}}, nil
	}, sqlSessionOfOrder, o.event, o.entrant, o.createdAt)
}

const sqlAttemptsOfOrder = `
SELECT attempt, provider, provider_ref, state, failure, declines, amount_minor, currency, created_at FROM payments
WHERE order_id = $1 ORDER BY attempt LIMIT $2`

// payments tells each attempt to pay and where it stands.
func payments(ctx context.Context, q Querier, o order) ([]Entry, error) {
	return list(ctx, q, "the payments", func(row pgx.CollectableRow) ([]Entry, error) {
		var attempt int
		var provider, ref, state, failure, declines string
		var amount ledger.Amount
		var at time.Time
		if err := row.Scan(&attempt, &provider, &ref, &state, &failure, &declines, &amount.Minor, &amount.Currency, &at); err != nil {
			return nil, err
		}
		e := Entry{At: at, Kind: "payment", Who: provider, Text: fmt.Sprintf("attempt %d to pay %s with %s: now %s", attempt, amount, provider, state)}
		if failure != "" {
			e.Text += " (" + failure + ")"
		}
		if ref != "" {
			e.Lines = append(e.Lines, "reference "+ref)
		}
		if n := len(strings.Fields(declines)); n > 0 {
			e.Lines = append(e.Lines, "declined "+times(n, "time"))
		}
		return []Entry{e}, nil
	}, sqlAttemptsOfOrder, o.id, maxRows)
}

const sqlStepsOfOrder = `
SELECT seq, cause, from_state, to_state, actor, reason, source, at FROM order_events
WHERE order_id = $1 ORDER BY seq LIMIT $2`

// steps tells the order's transitions. They stay in their order whatever their times say.
func steps(ctx context.Context, q Querier, o order) ([]Entry, error) {
	var last time.Time
	return list(ctx, q, "the steps", func(row pgx.CollectableRow) ([]Entry, error) {
		var seq int64
		var cause, from, to, reason string
		e := Entry{Kind: "step"}
		if err := row.Scan(&seq, &cause, &from, &to, &e.Who, &reason, &e.Source, &e.At); err != nil {
			return nil, err
		}
		if e.At.Before(last) {
			e.At = last
		}
		last = e.At
		e.Text = fmt.Sprintf("step %d: %s", seq+1, cause)
		e.Lines = []string{from + " → " + to}
		if from == to {
			e.Lines = []string{"stays " + to}
		}
		if reason != "" {
			e.Lines = append(e.Lines, reason)
		}
		if e.Source != "" {
			e.Lines = append(e.Lines, "by "+e.Source)
		}
		return []Entry{e}, nil
	}, sqlStepsOfOrder, o.id, maxRows)
}

const sqlTasksOfOrder = `
SELECT kind, state, attempts, last_error, due_at, created_at, done_at FROM outbox
WHERE order_id = $1 ORDER BY created_at, outbox_id LIMIT $2`

// outbox tells what the provider had to be told.
func outbox(ctx context.Context, q Querier, o order) ([]Entry, error) {
	return list(ctx, q, "the outbox", func(row pgx.CollectableRow) ([]Entry, error) {
		var kind, state, lastError string
		var attempts int
		var due, made time.Time
		var done *time.Time
		if err := row.Scan(&kind, &state, &attempts, &lastError, &due, &made, &done); err != nil {
			return nil, err
		}
		e := Entry{At: made, Kind: "outbox", Text: "to do: " + kind}
		if lastError != "" {
			e.Lines = append(e.Lines, "last error: "+lastError)
		}
		if done == nil {
			e.Lines = append(e.Lines, fmt.Sprintf("%s after %s, due %s", state, times(attempts, "attempt"), clock(due)))
			return []Entry{e}, nil
		}
		return []Entry{e, {At: *done, Kind: "outbox", Text: fmt.Sprintf("%s: %s after %s", kind, state, times(attempts, "attempt"))}}, nil
	}, sqlTasksOfOrder, o.id, maxRows)
}

func times(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

const sqlWebhooksOfOrder = `
SELECT provider, webhook_id, type, payload, received_at, handled_at, attempts, last_error, repeats, repeated_at FROM webhooks
WHERE order_id = $1 ORDER BY received_at, webhook_id LIMIT $2`

// webhooks tells what the provider reported of the order, and how often.
func webhooks(ctx context.Context, q Querier, o order) ([]Entry, error) {
	return list(ctx, q, "the webhooks", func(row pgx.CollectableRow) ([]Entry, error) {
		var provider, id, kind, lastError string
		var payload []byte
		var attempts, repeats int
		var received time.Time
		var handled, repeated *time.Time
		if err := row.Scan(&provider, &id, &kind, &payload, &received, &handled, &attempts, &lastError, &repeats, &repeated); err != nil {
			return nil, err
		}
		e := Entry{At: received, Kind: "webhook", Who: provider, Source: provider + "/" + id, Text: kind + " " + id + ", signature verified"}
		switch {
		case handled == nil:
			e.Lines = append(e.Lines, fmt.Sprintf("not handled after %s", times(attempts, "attempt")))
		case lastError != "":
			e.Lines = append(e.Lines, "given up after "+times(attempts, "attempt"))
		default:
			e.Lines = append(e.Lines, "handled at "+clock(*handled))
		}
		if lastError != "" {
			e.Lines = append(e.Lines, "last error: "+lastError)
		}
		if repeats > 0 && repeated != nil {
			e.Lines = append(e.Lines, fmt.Sprintf("came again %s, last at %s", times(repeats, "time"), clock(*repeated)))
		}
		if o.raw {
			e.Raw = Redact(payload)
		}
		return []Entry{e}, nil
	}, sqlWebhooksOfOrder, o.id, maxRows)
}

// transfers tells the order's part of the ledger; what was recorded together is one entry.
func transfers(ctx context.Context, q Querier, o order) ([]Entry, error) {
	booked, err := ledger.OfReference(ctx, q, o.id, maxRows)
	if err != nil {
		return nil, err
	}
	var entries []Entry
	for i, b := range booked {
		if i == 0 || b.At != booked[i-1].At || b.Kind != booked[i-1].Kind {
			entries = append(entries, Entry{At: b.At, Kind: "ledger"})
		}
		e := &entries[len(entries)-1]
		e.Lines = append(e.Lines, fmt.Sprintf("%s %s: %s → %s", b.Amount, b.Code, b.Debit, b.Credit))
		e.Text = fmt.Sprintf("%s, %s", times(len(e.Lines), "transfer"), b.Kind)
	}
	return entries, nil
}

const sqlTicketsOfOrder = `
SELECT t.ticket_id, t.tier, t.seat, t.state, t.issued_at, t.void_reason, t.voided_at, t.shown_at
FROM unnest($1::UUID[]) AS k (ticket_id)
JOIN tickets AS t ON t.ticket_id = k.ticket_id
ORDER BY t.item`

// tickets tells which tickets were issued, when their buyer first saw them, and which are void.
func tickets(ctx context.Context, q Querier, o order) ([]Entry, error) {
	return list(ctx, q, "the tickets", func(row pgx.CollectableRow) ([]Entry, error) {
		var id uuid.UUID
		var tier, seat, state, reason string
		var issued time.Time
		var voided, shown *time.Time
		if err := row.Scan(&id, &tier, &seat, &state, &issued, &reason, &voided, &shown); err != nil {
			return nil, err
		}
		place := code.Place(tier, seat)
		entries := []Entry{{At: issued, Kind: "ticket", Text: "issued for " + place, Lines: []string{id.String()}}}
		if shown != nil {
			entries = append(entries, Entry{At: *shown, Kind: "delivery", Who: "buyer", Text: "the ticket for " + place + " was first shown to its buyer", Lines: []string{id.String()}})
		}
		if state == "void" && voided != nil {
			entries = append(entries, Entry{At: *voided, Kind: "ticket", Text: "void: " + place, Lines: []string{id.String(), reason}})
		}
		return entries, nil
	}, sqlTicketsOfOrder, ticketsOf(o))
}
