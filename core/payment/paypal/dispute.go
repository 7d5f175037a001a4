package paypal

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"
	"time"
	"unicode/utf8"

	"fairgate/core/payment"
	"fairgate/ledger"
)

// Bounds of evidence: what PayPal takes in one note, and how many notes we send.
const (
	maxNote  = 2000
	maxNotes = 20
)

// dispute is a dispute as PayPal shows it, as far as we read it.
type dispute struct {
	ID           string    `json:"dispute_id"`
	Created      time.Time `json:"create_time"`
	Updated      time.Time `json:"update_time"`
	Reason       string    `json:"reason"`
	Status       string    `json:"status"`
	Stage        string    `json:"dispute_life_cycle_stage"`
	Amount       money     `json:"dispute_amount"`
	RespondBy    time.Time `json:"seller_response_due_date"`
	Transactions []struct {
		Seller string `json:"seller_transaction_id"`
		Custom string `json:"custom"`
	} `json:"disputed_transactions"`
	Outcome struct {
		Code     string `json:"outcome_code"`
		Refunded money  `json:"amount_refunded"` // by us or by PayPal
	} `json:"dispute_outcome"`
}

// custom is whose payment is disputed, as far as the dispute says so.
func (d *dispute) custom() (custom, bool) {
	for _, t := range d.Transactions {
		if c, ok := parseCustom(t.Custom); ok {
			return c, true
		}
	}
	return custom{}, false
}

// news says in our words where a dispute stands. PaymentRef is the capture, see Identify.
func (d *dispute) news() (payment.DisputeNews, error) {
	amount, err := d.Amount.amount()
	if err != nil || d.ID == "" {
		return payment.DisputeNews{}, fmt.Errorf("%w: the dispute has no id or amount", payment.ErrMalformed)
	}
	n := payment.DisputeNews{Ref: clean(d.ID), State: d.state(), Amount: amount, Reason: lower(d.Reason), RespondBy: d.RespondBy.UTC(), At: d.Updated.UTC()}
	n.Fee.Currency = amount.Currency
	if n.State == payment.DisputeLost {
		n.Lost = d.lost(amount)
	}
	if n.At.IsZero() {
		n.At = d.Created.UTC()
	}
	if n.State != payment.DisputeOpen && n.State != payment.DisputeInquiry {
		n.RespondBy = time.Time{}
	}
	if len(d.Transactions) > 0 {
		n.PaymentRef = clean(d.Transactions[0].Seller)
	}
	return n, nil
}

// lost is what the buyer got of a dispute that was decided for them, where that is a part; what cannot be a part of it is nothing said.
func (d *dispute) lost(of ledger.Amount) ledger.Amount {
	part, err := d.Outcome.Refunded.amount()
	if err != nil || part.Currency != of.Currency || part.Minor <= 0 || part.Minor >= of.Minor {
		return ledger.Amount{}
	}
	return part
}

func (d *dispute) state() payment.DisputeState {
	switch {
	case d.Status == "RESOLVED":
		switch d.Outcome.Code {
		case "RESOLVED_BUYER_FAVOUR", "ACCEPTED":
			return payment.DisputeLost
		case "RESOLVED_SELLER_FAVOUR", "CANCELED_BY_BUYER", "DENIED", "RESOLVED_WITH_PAYOUT":
			return payment.DisputeWon
		default:
			return payment.DisputeReview // it is over, and for whom is not said yet
		}
	case d.Status == "UNDER_REVIEW", d.Status == "WAITING_FOR_BUYER_RESPONSE" && d.Stage != "INQUIRY":
		return payment.DisputeReview
	case d.Stage == "INQUIRY":
		return payment.DisputeInquiry
	default:
		return payment.DisputeOpen
	}
}

// LookupDispute asks where a dispute stands.
func (p *Provider) LookupDispute(ctx context.Context, ref string) (payment.DisputeNews, error) {
	var d dispute
	err := p.do(ctx, request{part: endpointReport, method: http.MethodGet, path: at("/v1/customer/disputes/", ref, ""), into: &d})
	if err != nil {
		return payment.DisputeNews{}, fmt.Errorf("look up dispute %s: %w", clean(ref), translate(err))
	}
	news, err := d.news()
	if err != nil {
		return payment.DisputeNews{}, fmt.Errorf("look up dispute %s: %w: %w", clean(ref), payment.ErrUnknown, err)
	}
	return news, nil
}

type evidenceBody struct {
	Evidences []evidenceNote `json:"evidences"`
}

type evidenceNote struct {
	Type  string `json:"evidence_type"`
	Notes string `json:"notes"`
}

// SubmitEvidence hands evidence in. PayPal keeps no drafts: without SubmitNow it only says where the dispute stands.
func (p *Provider) SubmitEvidence(ctx context.Context, ref string, e payment.Evidence) (payment.DisputeNews, error) {
	if !e.SubmitNow {
		return p.LookupDispute(ctx, ref)
	}
	body := evidenceBody{}
	for _, note := range notes(e) {
		body.Evidences = append(body.Evidences, evidenceNote{Type: "OTHER", Notes: note})
	}
	if len(body.Evidences) == 0 {
		return payment.DisputeNews{}, fmt.Errorf("submit evidence for dispute %s: %w: there is none", clean(ref), payment.ErrRejected)
	}
	raw, kind, err := evidenceForm(body)
	if err != nil {
		return payment.DisputeNews{}, fmt.Errorf("write evidence for dispute %s: %w", clean(ref), err)
	}
	err = p.do(ctx, request{
		part: endpointReport, method: http.MethodPost, path: at("/v1/customer/disputes/", ref, "/provide-evidence"),
		key: "fg:dispute:" + ref + ":" + e.IdempotencySalt, raw: raw, kind: kind,
	})
	if err != nil {
		return payment.DisputeNews{}, fmt.Errorf("submit evidence for dispute %s: %w", clean(ref), translate(err))
	}
	return p.LookupDispute(ctx, ref)
}

// evidenceForm writes evidence as the form that PayPal wants, the same bytes for the same evidence.
func evidenceForm(body evidenceBody) (raw []byte, kind string, err error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, "", err
	}
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	if err := w.SetBoundary("fairgate-evidence-9d1c7a4be0"); err != nil {
		return nil, "", err
	}
	part, err := w.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="input"; filename="input.json"`}, "Content-Type": {"application/json"},
	})
	if err == nil {
		_, err = part.Write(text)
	}
	if err == nil {
		err = w.Close()
	}
	return form.Bytes(), w.FormDataContentType(), err
}

// notes are the evidence as texts that PayPal takes, the most telling first.
func notes(e payment.Evidence) []string {
	var text strings.Builder
	for _, part := range [][2]string{
		{"What was sold", e.ProductText}, {"Date of the event", e.ServiceDate}, {"Buyer's e-mail", e.CustomerEmail},
		{"Access and delivery", e.AccessLog}, {"Refund policy", e.RefundPolicy}, {"More", e.Uncategorized},
	} {
		if part[1] != "" {
			fmt.Fprintf(&text, "%s: %s\n\n", part[0], part[1])
		}
	}
	rest := strings.TrimSpace(strings.ToValidUTF8(text.String(), ""))
	var notes []string
	for rest != "" && len(notes) < maxNotes {
		note := shortened(rest, maxNote)
		if end := strings.LastIndexByte(note, '\n'); end > len(note)/2 && utf8.RuneCountInString(rest) > maxNote {
			note = note[:end+1]
		}
		notes = append(notes, note)
		rest = rest[len(note):]
	}
	return notes
}
