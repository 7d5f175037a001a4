package stripe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	stripego "github.com/stripe/stripe-go/v76"

	"fairgate/core/payment"
	"fairgate/ledger"
)

// Stripe's limits on evidence: characters of one text, and of all together. Bytes are counted here, which are more.
const (
	maxEvidenceText = 20_000
	maxEvidence     = 150_000
)

// evidenceCut ends a text that had to be cut.
const evidenceCut = " […]"

// LookupDispute asks where a dispute stands.
func (p *Provider) LookupDispute(ctx context.Context, ref string) (payment.DisputeNews, error) {
	found, err := p.dispute(ctx, ref)
	if err != nil {
		return payment.DisputeNews{}, fmt.Errorf("look up dispute %s: %w", ref, err)
	}
	news, err := p.disputeAnswer(found)
	if err != nil {
		return payment.DisputeNews{}, fmt.Errorf("look up dispute %s: %w", ref, err)
	}
	return news, nil
}

func (p *Provider) dispute(ctx context.Context, ref string) (*stripego.Dispute, error) {
	if err := p.wait(ctx, endpointDispute); err != nil {
		return nil, err
	}
	params := &stripego.DisputeParams{}
	params.Context = ctx
	found, err := p.disputes.Get(ref, params)
	if err != nil {
		return nil, translate(err)
	}
	return found, nil
}

// SubmitEvidence answers a dispute. Evidence that comes too late, or for a dispute that is decided, comes back as
// ErrDeclined with where the dispute stands; evidence that was handed in already is no error.
func (p *Provider) SubmitEvidence(ctx context.Context, ref string, e payment.Evidence) (payment.DisputeNews, error) {
	for n := 1; ; n++ {
		made, err := p.sendEvidence(ctx, ref, e, "fg:"+ref+":evidence:"+e.IdempotencySalt+suffix(n))
		if err == nil {
			news, err := p.disputeAnswer(made)
			if err != nil {
				return payment.DisputeNews{}, fmt.Errorf("answer dispute %s: %w", ref, err)
			}
			return news, nil
		}
		var refusal *stripego.Error
		refused := errors.As(err, &refusal) && refusal.HTTPStatusCode == http.StatusBadRequest
		stored := isStoredFailure(err)
		if !refused && !stored {
			return payment.DisputeNews{}, fmt.Errorf("answer dispute %s: %w", ref, translate(err))
		}
		// What became of it is written on the dispute.
		news, findErr := p.LookupDispute(ctx, ref)
		switch {
		case findErr != nil:
			return payment.DisputeNews{}, fmt.Errorf("answer dispute %s: %w: %s, and then %w", ref, payment.ErrUnknown, describe(err), findErr)
		case news.State == payment.DisputeReview && e.SubmitNow:
			return news, nil
		case news.State == payment.DisputeReview, news.State == payment.DisputeWon, news.State == payment.DisputeLost:
			return news, fmt.Errorf("answer dispute %s: %w: it is %s: %s", ref, payment.ErrDeclined, news.State, describe(err))
		case !stored:
			return news, fmt.Errorf("answer dispute %s: %w", ref, translate(err))
		case n == maxKeys:
			return news, fmt.Errorf("answer dispute %s: %w: after %d keys: %s", ref, payment.ErrUnknown, n, describe(err))
		}
	}
}

func (p *Provider) sendEvidence(ctx context.Context, ref string, e payment.Evidence, key string) (*stripego.Dispute, error) {
	if err := p.wait(ctx, endpointDispute); err != nil {
		return nil, err
	}
	params := &stripego.DisputeParams{Evidence: evidence(e), Submit: stripego.Bool(e.SubmitNow)}
	params.Context = ctx
	params.SetIdempotencyKey(key)
	return p.disputes.Update(ref, params)
}

// evidence words what we have to say for Stripe, within its limits. What is empty is left out: an empty text would erase what
// was drafted by hand.
func evidence(e payment.Evidence) *stripego.DisputeEvidenceParams {
	left := maxEvidence
	text := func(s string) *string {
		s = cut(strings.TrimSpace(s), min(maxEvidenceText, left))
		if s == "" {
			return nil
		}
		left -= len(s)
		return stripego.String(s)
	}
	return &stripego.DisputeEvidenceParams{
		CustomerEmailAddress:   text(e.CustomerEmail),
		ServiceDate:            text(e.ServiceDate),
		ProductDescription:     text(e.ProductText),
		AccessActivityLog:      text(e.AccessLog),
		RefundPolicyDisclosure: text(e.RefundPolicy),
		UncategorizedText:      text(e.Uncategorized),
	}
}

// cut shortens a text to so many bytes, between two characters, and says that it did.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	most -= len(evidenceCut)
	if most <= 0 {
		return ""
	}
	for !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most] + evidenceCut
}

// disputeAnswer reads a dispute that was asked for.
func (p *Provider) disputeAnswer(found *stripego.Dispute) (payment.DisputeNews, error) {
	news := disputeNews(found)
	if news.State == "" || news.Ref == "" {
		return payment.DisputeNews{}, fmt.Errorf("%w: dispute %q has status %q", payment.ErrUnknown, found.ID, found.Status)
	}
	news.At = p.answeredAt(found.LastResponse)
	return news, nil
}

// answeredAt is when an answer was given by Stripe's clock, or by ours where it does not say.
func (p *Provider) answeredAt(r *stripego.APIResponse) time.Time {
	if r != nil {
		if at, err := http.ParseTime(r.Header.Get("Date")); err == nil {
			return at.UTC()
		}
	}
	if p.cfg.Now != nil {
		return p.cfg.Now().UTC()
	}
	return time.Now().UTC()
}

// disputeNews says in our words where a dispute stands, without when; the State is empty for a status that we do not know.
func disputeNews(d *stripego.Dispute) payment.DisputeNews {
	news := payment.DisputeNews{
		Ref:        d.ID,
		PaymentRef: paymentRef(d.PaymentIntent, d.Charge),
		Amount:     ledger.Amount{Minor: d.Amount, Currency: strings.ToUpper(string(d.Currency))},
		Fee:        disputeFee(d.BalanceTransactions),
		Reason:     string(d.Reason),
	}
	answerable := false
	switch d.Status {
	case stripego.DisputeStatusWarningNeedsResponse:
		news.State, answerable = payment.DisputeInquiry, true
	case stripego.DisputeStatusWarningUnderReview:
		news.State = payment.DisputeInquiry
	case stripego.DisputeStatusNeedsResponse:
		news.State, answerable = payment.DisputeOpen, true
	case stripego.DisputeStatusUnderReview:
		news.State = payment.DisputeReview
	case stripego.DisputeStatusWon, stripego.DisputeStatusWarningClosed: // the inquiry went no further: no money was taken
		news.State = payment.DisputeWon
	case stripego.DisputeStatusLost:
		news.State = payment.DisputeLost
	}
	if answerable && d.EvidenceDetails != nil && d.EvidenceDetails.DueBy > 0 {
		news.RespondBy = time.Unix(d.EvidenceDetails.DueBy, 0).UTC()
	}
	return news
}

// disputeFee is what Stripe charges for a dispute so far: what it gave back when it was won is taken off.
func disputeFee(moves []*stripego.BalanceTransaction) ledger.Amount {
	var fee ledger.Amount
	for _, move := range moves {
		if move == nil || move.Fee == 0 {
			continue
		}
		fee.Minor += move.Fee
		fee.Currency = strings.ToUpper(string(move.Currency))
	}
	if fee.Minor <= 0 {
		return ledger.Amount{}
	}
	return fee
}
