package story

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"fairgate/ledger"
)

const sqlRefundsOfOrder = `
SELECT refund_id, kind, state, resolution, amount_minor, currency, provider, provider_ref, failure, reason, actor, created_at, updated_at, done_at FROM refunds
WHERE order_id = $1 ORDER BY created_at, refund_id LIMIT $2`

// refunds tells what was given back, by whom and why, and how that ended.
func refunds(ctx context.Context, q Querier, o order) ([]Entry, error) {
	return list(ctx, q, "the refunds", func(row pgx.CollectableRow) ([]Entry, error) {
		var id, kind, state, resolution, provider, ref, failure, reason, actor string
		var amount ledger.Amount
		var made, updated time.Time
		var done *time.Time
		if err := row.Scan(&id, &kind, &state, &resolution, &amount.Minor, &amount.Currency, &provider, &ref, &failure, &reason, &actor, &made, &updated, &done); err != nil {
			return nil, err
		}
		what, known := map[string]string{"order": "the order", "tickets": "some tickets", "amount": "a share", "late": "money that came too late",
			"found": "what somebody refunded at the provider"}[kind]
		if !known {
			what = kind
		}
		asked := Entry{At: made, Kind: "refund", Who: actor, Text: fmt.Sprintf("%s back for %s", amount, what), Lines: []string{id}}
		if reason != "" {
			asked.Lines = append(asked.Lines, reason)
		}
		if done == nil {
			asked.Lines = append(asked.Lines, "now "+state)
			return []Entry{asked}, nil
		}
		ended := Entry{At: *done, Kind: "refund", Who: provider, Text: fmt.Sprintf("refund of %s: %s", amount, state)}
		if failure != "" {
			ended.Text += " (" + failure + ")"
		}
		if ref != "" {
			ended.Lines = append(ended.Lines, "reference "+ref)
		}
		switch resolution {
		case "retried":
			ended.Lines = append(ended.Lines, "another was made instead")
		case "paid_otherwise":
			ended.Lines = append(ended.Lines, "the buyer has it another way since "+clock(updated))
		}
		return []Entry{asked, ended}, nil
	}, sqlRefundsOfOrder, o.id, maxRows)
}

const sqlDisputesOfOrder = `
SELECT ref, provider, amount_minor, fee_minor, currency, reason, state, taken, respond_by, drafted_at, submitted_at, submitted_by, opened_at, closed_at FROM disputes
WHERE order_id = $1 ORDER BY opened_at, ref LIMIT $2`

// disputes tells what the buyer's bank disputed, what was answered, and how it was decided.
func disputes(ctx context.Context, q Querier, o order) ([]Entry, error) {
	return list(ctx, q, "the disputes", func(row pgx.CollectableRow) ([]Entry, error) {
		var ref, provider, reason, state, by string
		var amount, fee ledger.Amount
		var taken bool
		var opened time.Time
		var respond, drafted, submitted, closed *time.Time
		if err := row.Scan(&ref, &provider, &amount.Minor, &fee.Minor, &amount.Currency, &reason, &state, &taken, &respond, &drafted, &submitted, &by, &opened, &closed); err != nil {
			return nil, err
		}
		fee.Currency = amount.Currency
		e := Entry{At: opened, Kind: "dispute", Who: provider, Text: fmt.Sprintf("the buyer's bank disputes %s: %s", amount, reason), Lines: []string{"reference " + ref}}
		if !taken {
			e.Lines = append(e.Lines, "it asks; no money was taken")
		}
		if fee.Minor > 0 {
			e.Lines = append(e.Lines, "the provider charges "+fee.String())
		}
		if respond != nil {
			e.Lines = append(e.Lines, "evidence is due by "+respond.UTC().Format(time.DateTime))
		}
		if closed == nil {
			e.Lines = append(e.Lines, "now "+state)
		}
		entries := []Entry{e}
		if drafted != nil {
			entries = append(entries, Entry{At: *drafted, Kind: "dispute", Who: "outbox", Text: "a draft of our evidence is at the provider"})
		}
		if submitted != nil {
			entries = append(entries, Entry{At: *submitted, Kind: "dispute", Who: by, Text: "our evidence is handed in"})
		}
		if closed != nil {
			entries = append(entries, Entry{At: *closed, Kind: "dispute", Who: provider, Text: "the dispute is " + state})
		}
		return entries, nil
	}, sqlDisputesOfOrder, o.id, maxRows)
}
