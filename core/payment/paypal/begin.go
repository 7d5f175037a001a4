package paypal

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"fairgate/core/payment"
)

// Steps of a payment, as they appear in keys.
const (
	stepBegin       = "begin"
	stepAuthorize   = "authorize"
	stepReauthorize = "reauthorize"
	stepCapture     = "capture"
	stepVoid        = "void"
	stepClose       = "close"
)

type createBody struct {
	Intent  string       `json:"intent"`
	Units   []createUnit `json:"purchase_units"`
	Context appContext   `json:"application_context"`
}

type createUnit struct {
	ReferenceID string `json:"reference_id"`
	CustomID    string `json:"custom_id"`
	InvoiceID   string `json:"invoice_id"`
	Description string `json:"description,omitempty"`
	Amount      money  `json:"amount"`
}

type appContext struct {
	BrandName  string `json:"brand_name,omitempty"`
	Shipping   string `json:"shipping_preference"`
	UserAction string `json:"user_action"`
	ReturnURL  string `json:"return_url"`
	CancelURL  string `json:"cancel_url"`
}

// Begin makes the order.
func (p *Provider) Begin(ctx context.Context, i payment.Intent) (payment.Outcome, error) {
	amount, err := moneyOf(i.Amount)
	if err == nil && (i.PaymentID == [16]byte{} || i.OrderID == [16]byte{} || i.Amount.Minor <= 0 || i.Attempt < 1 || i.Attempt > maxAttempt) {
		err = fmt.Errorf("%w: it has no amount, order, attempt or id", payment.ErrRejected)
	}
	if err != nil {
		return payment.Outcome{}, fmt.Errorf("begin payment %s: %w", i.PaymentID, err)
	}
	body := createBody{
		Intent: "AUTHORIZE",
		Units: []createUnit{{
			ReferenceID: "default", CustomID: customOf(i).String(), InvoiceID: i.PaymentID.String(),
			Description: shortened(i.Description, 127), Amount: amount,
		}},
		Context: appContext{
			BrandName: shortened(p.cfg.BrandName, 127), Shipping: "NO_SHIPPING", UserAction: "PAY_NOW",
			ReturnURL: strings.ReplaceAll(p.cfg.ReturnURL, "{order}", i.OrderID.String()),
			CancelURL: strings.ReplaceAll(p.cfg.CancelURL, "{order}", i.OrderID.String()),
		},
	}
	var made order
	err = p.do(ctx, request{part: endpointCreate, method: http.MethodPost, path: "/v2/checkout/orders", key: i.Key(stepBegin), body: body, into: &made})
	if err != nil {
		return payment.Outcome{}, fmt.Errorf("begin payment %s: %w", i.PaymentID, translate(err))
	}
	s, err := p.stand(i, &made)
	if err == nil && !same(s.outcome.Amount, i.Amount) {
		err = fmt.Errorf("%w: order %s is for %v", payment.ErrRejected, clean(made.ID), s.outcome.Amount)
	}
	if err != nil {
		return payment.Outcome{}, fmt.Errorf("begin payment %s: %w", i.PaymentID, err)
	}
	return s.outcome, nil
}

// order asks for the payment's order. PayPal finds no order by anything but its id.
func (p *Provider) order(ctx context.Context, i payment.Intent) (standing, error) {
	if i.ProviderRef == "" {
		return standing{}, fmt.Errorf("%w: PayPal finds orders by their id only", payment.ErrNotFound)
	}
	var found order
	if err := p.do(ctx, request{part: endpointRetrieve, method: http.MethodGet, path: at("/v2/checkout/orders/", i.ProviderRef, ""), into: &found}); err != nil {
		return standing{}, translate(err)
	}
	return p.stand(i, &found)
}

// shortened cuts a text to so many characters.
func shortened(text string, most int) string {
	text = strings.ToValidUTF8(text, "")
	for n := range text {
		if utf8.RuneCountInString(text[:n]) == most {
			return text[:n]
		}
	}
	return text
}

func lower(status string) string { return strings.ToLower(clean(status)) }
