package stripe

import (
	"context"
	"fmt"
	"time"

	stripego "github.com/stripe/stripe-go/v76"

	"fairgate/core/payment"
)

// ListDisputes lists the disputes that were opened since a time, the newest first. Stripe does not list by change, and its
// pages go on behind a dispute, so that newer ones shift nothing.
func (p *Provider) ListDisputes(ctx context.Context, since time.Time, page string) (payment.DisputePage, error) {
	found, more, err := p.listDisputes(ctx, since, page)
	if err != nil {
		return payment.DisputePage{}, fmt.Errorf("list disputes since %s: %w", since.UTC().Format(time.RFC3339), err)
	}
	var answer payment.DisputePage
	for _, d := range found {
		if d.ID == "" {
			return payment.DisputePage{}, fmt.Errorf("list disputes since %s: %w: one has no id", since.UTC().Format(time.RFC3339), payment.ErrUnknown)
		}
		answer.Disputes = append(answer.Disputes, payment.ListedDispute{Ref: d.ID, State: disputeNews(d).State, At: time.Unix(d.Created, 0).UTC()})
		if more {
			answer.Next = d.ID
		}
	}
	return answer, nil
}

func (p *Provider) listDisputes(ctx context.Context, since time.Time, after string) (found []*stripego.Dispute, more bool, err error) {
	if err := p.wait(ctx, endpointDispute); err != nil {
		return nil, false, err
	}
	params := &stripego.DisputeListParams{CreatedRange: &stripego.RangeQueryParams{GreaterThanOrEqual: since.Unix()}}
	params.ListParams = listing(ctx, after)
	iter := p.disputes.List(params)
	for iter.Next() {
		found = append(found, iter.Dispute())
	}
	if err := iter.Err(); err != nil {
		return nil, false, translate(err)
	}
	return found, iter.Meta().HasMore, nil
}
