package story

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const sqlVerdictsOfOrder = `
SELECT stage, verdict, score, reasons, at FROM fraud_verdicts
WHERE order_id = $1 ORDER BY at, payment_id, stage LIMIT $2`

// verdicts tells how the order's payments were judged, and by which rules.
func verdicts(ctx context.Context, q Querier, o order) ([]Entry, error) {
	return list(ctx, q, "the verdicts", func(row pgx.CollectableRow) ([]Entry, error) {
		var stage, verdict, text string
		var score int64
		var at time.Time
		if err := row.Scan(&stage, &verdict, &score, &text, &at); err != nil {
			return nil, err
		}
		var reasons []struct {
			Rule    string `json:"rule"`
			Verdict string `json:"verdict"` // "" of one that only weighs, or only explains
			Weight  int64  `json:"weight"`  // what it adds to the score
			Said    string `json:"said"`
		}
		if err := json.Unmarshal([]byte(text), &reasons); err != nil {
			return nil, fmt.Errorf("reasons of a verdict: %w", err)
		}
		e := Entry{At: at, Kind: "fraud", Text: fmt.Sprintf("judged at %s: %s", stage, verdict)}
		if score > 0 {
			e.Text += fmt.Sprintf(", our score %d", score)
		}
		for _, r := range reasons {
			name := r.Rule
			if r.Verdict != "" {
				name += " says " + r.Verdict
			}
			if r.Weight > 0 {
				name += fmt.Sprintf(" adds %d to the score", r.Weight)
			}
			e.Lines = append(e.Lines, name+": "+r.Said)
		}
		return []Entry{e}, nil
	}, sqlVerdictsOfOrder, o.id, maxRows)
}

const sqlReviewsOfOrder = `
SELECT why, opened_at, closed_at, decision, actor, reason FROM reviews
WHERE order_id = $1 ORDER BY opened_at, payment_id LIMIT $2`

// reviews tells when a payment waited for an operator, and what they decided.
func reviews(ctx context.Context, q Querier, o order) ([]Entry, error) {
	return list(ctx, q, "the reviews", func(row pgx.CollectableRow) ([]Entry, error) {
		var why, decision, actor, reason string
		var opened time.Time
		var closed *time.Time
		if err := row.Scan(&why, &opened, &closed, &decision, &actor, &reason); err != nil {
			return nil, err
		}
		entries := []Entry{{At: opened, Kind: "review", Text: "waits for an operator", Lines: []string{why}}}
		if closed != nil {
			e := Entry{At: *closed, Kind: "review", Who: actor, Text: "the review ends: " + decision}
			if reason != "" {
				e.Lines = append(e.Lines, reason)
			}
			entries = append(entries, e)
		}
		return entries, nil
	}, sqlReviewsOfOrder, o.id, maxRows)
}
