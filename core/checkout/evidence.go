package checkout

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/payment"
	"fairgate/core/story"
)

// taskEvidence hands our side of a dispute to its provider. Its payload is "reference of the dispute\nwho submits it"; nobody is a draft.
const taskEvidence = "evidence"

// evidenceTask is the task for a dispute, once for each way in which it comes about.
func evidenceTask(d Dispute, way, by string, after time.Duration) payment.Task {
	return payment.Task{ID: uuid.NewSHA1(d.ID, []byte("evidence/"+way)), Kind: taskEvidence, OrderID: d.Order, PaymentID: d.Payment,
		Payload: d.Ref + "\n" + by, After: after}
}

// maxEvidenceText bounds each part of the evidence; providers take some 20,000 characters.
const maxEvidenceText = 18_000

// shown are the kinds of a story's entries that a bank is shown, and in which part.
var shown = map[string]bool{"hold": true, "admission": true, "step": true, "ticket": true, "scan": true, "delivery": true, "session": true, "draw": true}

// Evidence assembles what we have to say of a disputed order from what the tables have: the order, how its buyer was drawn and admitted,
// its history, its tickets. It has nothing of other buyers, and no card.
func (s *Service) Evidence(ctx context.Context, ref string) (payment.Evidence, error) {
	d, err := s.Dispute(ctx, ref)
	if err != nil {
		return payment.Evidence{}, err
	}
	o, err := s.Find(ctx, d.Order)
	if err != nil {
		return payment.Evidence{}, err
	}
	entries, err := story.Tell(ctx, s.db.Reader, d.Order, false)
	if err != nil {
		return payment.Evidence{}, fmt.Errorf("tell order %s: %w", d.Order, err)
	}
	terms, err := s.catalog(ctx, o.Event)
	if err != nil {
		return payment.Evidence{}, fmt.Errorf("terms of event %s: %w", o.Event, err)
	}
	e := payment.Evidence{CustomerEmail: o.Email, RefundPolicy: terms.RefundPolicy, ProductText: product(o, terms)}
	if !terms.StartsAt.IsZero() {
		e.ServiceDate = terms.StartsAt.Format(time.DateOnly)
	}
	var log strings.Builder
	for _, entry := range entries {
		if shown[entry.Kind] {
			fmt.Fprintf(&log, "%s  %-9s  %s\n", entry.At.UTC().Format(time.RFC3339), entry.Kind, entry.Text)
		}
	}
	e.AccessLog = clip(log.String())
	e.Uncategorized = clip(fmt.Sprintf("Order %s of %s for %s was opened on %s by the holder of an admission to the sale, who had been drawn and called.\n"+
		"Its tickets were issued after the payment was authorized, and are void since it is disputed.\n",
		o.ID, o.Amount, terms.Slug, o.CreatedAt.UTC().Format(time.RFC3339)))
	return e, nil
}

// product is what was sold, in words.
func product(o Order, terms Terms) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d tickets for %s:", len(o.Lines), terms.Slug)
	for _, l := range o.Lines {
		fmt.Fprintf(&b, " %s", l.Tier)
		if l.Seat != "" {
			fmt.Fprintf(&b, " seat %s", l.Seat)
		}
		b.WriteByte(';')
	}
	return clip(strings.TrimSuffix(b.String(), ";"))
}

func clip(text string) string {
	if len(text) > maxEvidenceText {
		return strings.ToValidUTF8(text[:maxEvidenceText], "") + "…"
	}
	return text
}

const sqlEvidenceSent = `
UPDATE disputes SET evidence = $3, drafted_at = coalesce(drafted_at, now()), updated_at = now(),
    submitted_at = CASE WHEN $4::TEXT = '' THEN submitted_at ELSE coalesce(submitted_at, now()) END,
    submitted_by = CASE WHEN $4::TEXT = '' OR submitted_by <> '' THEN submitted_by ELSE $4 END
WHERE ref = $1 AND provider = $2`

// sendEvidence is the task's handler.
func (s *Service) sendEvidence(ctx context.Context, t payment.Task) error {
	ref, by, _ := strings.Cut(t.Payload, "\n")
	d, err := s.Dispute(ctx, ref)
	if err != nil {
		return err
	}
	if closed(d.State) || !d.SubmittedAt.IsZero() {
		return nil
	}
	provider, err := s.providers.Disputer(d.Provider)
	if errors.Is(err, payment.ErrUnsupported) {
		return nil
	}
	if err != nil {
		return err
	}
	e, err := s.Evidence(ctx, ref)
	if err != nil {
		return err
	}
	e.SubmitNow, e.IdempotencySalt = by != "", t.ID.String()
	news, err := provider.SubmitEvidence(ctx, ref, e)
	if errors.Is(err, payment.ErrDeclined) {
		s.log.Warn("a dispute takes no evidence any more", "order_id", d.Order, "dispute", ref, "error", err)
		return nil
	}
	if err != nil {
		return err
	}
	text := strings.Join([]string{e.ProductText, e.AccessLog, e.Uncategorized}, "\n\n")
	if _, err := s.db.Exec(ctx, sqlEvidenceSent, ref, d.Provider, text, by); err != nil {
		return fmt.Errorf("note the evidence of dispute %s: %w", ref, err)
	}
	if by == "" {
		return nil
	}
	return s.disputed(ctx, payment.Event{Provider: d.Provider, OrderID: d.Order, PaymentID: d.Payment, Type: "evidence", Dispute: &news})
}

// ErrDisputeOver means that a dispute takes no evidence: it is decided, or the evidence is in.
var ErrDisputeOver = errors.New("checkout: the dispute takes no evidence any more")

// SubmitDispute has the evidence of a dispute handed in. Errors: ErrDisputeUnknown, ErrDisputeOver.
func (s *Service) SubmitDispute(ctx context.Context, ref, actor string) (Dispute, error) {
	d, err := s.Dispute(ctx, ref)
	if err != nil {
		return Dispute{}, err
	}
	if closed(d.State) || !d.SubmittedAt.IsZero() {
		return d, ErrDisputeOver
	}
	err = s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		return s.outbox.Enqueue(ctx, tx, []payment.Task{evidenceTask(d, "operator", actor, 0)})
	})
	if err != nil {
		return Dispute{}, fmt.Errorf("submit the evidence of dispute %s: %w", ref, err)
	}
	s.outbox.Wake()
	return d, nil
}
