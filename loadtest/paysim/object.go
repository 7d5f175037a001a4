package paysim

// intentJSON is a PaymentIntent as Stripe shows it, as far as it has something to show.
type intentJSON struct {
	ID                 string            `json:"id"`
	Object             string            `json:"object"`
	Amount             int64             `json:"amount"`
	AmountCapturable   int64             `json:"amount_capturable"`
	AmountReceived     int64             `json:"amount_received"`
	CanceledAt         *int64            `json:"canceled_at"`
	CancellationReason *string           `json:"cancellation_reason"`
	CaptureMethod      string            `json:"capture_method"`
	ClientSecret       string            `json:"client_secret"`
	ConfirmationMethod string            `json:"confirmation_method"`
	Created            int64             `json:"created"`
	Currency           string            `json:"currency"`
	Customer           *string           `json:"customer"`
	Description        *string           `json:"description"`
	LastPaymentError   *lastErrorJSON    `json:"last_payment_error"`
	LatestCharge       any               `json:"latest_charge"` // its id, or the charge where that is asked for
	Livemode           bool              `json:"livemode"`
	Metadata           map[string]string `json:"metadata,omitempty"`
	NextAction         *actionJSON       `json:"next_action"`
	PaymentMethod      *string           `json:"payment_method"`
	PaymentMethodTypes []string          `json:"payment_method_types"`
	ReceiptEmail       *string           `json:"receipt_email"`
	Status             status            `json:"status"`
}

type lastErrorJSON struct {
	*failure
	PaymentMethod *methodJSON `json:"payment_method,omitempty"`
}

type methodJSON struct {
	ID     string   `json:"id"`
	Object string   `json:"object"`
	Type   string   `json:"type"`
	Card   cardJSON `json:"card"`
}

type cardJSON struct {
	Brand string `json:"brand"`
	Last4 string `json:"last4"`
}

type actionJSON struct {
	Type          string `json:"type"`
	RedirectToURL struct {
		URL string `json:"url"`
	} `json:"redirect_to_url"`
}

func (c *card) json() *methodJSON {
	return &methodJSON{ID: c.method, Object: "payment_method", Type: "card", Card: cardJSON{Brand: c.brand, Last4: lastFour(c.number)}}
}

// json shows the intent; to a buyer's browser, which has only the publishable key, without what is not its business.
func (s snapshot) json(public bool) *intentJSON {
	o := &intentJSON{
		ID: s.id, Object: "payment_intent", Amount: s.amount, AmountCapturable: s.capturable, AmountReceived: s.received,
		CaptureMethod: "automatic", ClientSecret: s.clientSecret, ConfirmationMethod: "automatic", Created: s.created,
		Currency: s.currency, Description: optional(s.description), LatestCharge: optional(s.chargeID()),
		CancellationReason: optional(s.cancelledBy), PaymentMethodTypes: s.methodTypes, Status: s.status,
	}
	if s.manual {
		o.CaptureMethod = "manual"
	}
	if s.status == canceled {
		o.CanceledAt = &s.canceledAt
	}
	if s.card != nil && !s.declined {
		o.PaymentMethod = &s.card.method
	}
	if f := s.lastError(); f != nil {
		o.LastPaymentError = &lastErrorJSON{failure: f, PaymentMethod: f.method.json()}
	}
	if s.status == requiresAction {
		o.NextAction = &actionJSON{Type: "redirect_to_url"}
		o.NextAction.RedirectToURL.URL = "/pay/" + s.id + "?client_secret=" + s.clientSecret
	}
	if public {
		return o
	}
	o.ReceiptEmail = optional(s.email)
	o.Metadata = s.metadataMap()
	return o
}

// metadataMap is the metadata as JSON has it.
func (f *fixed) metadataMap() map[string]string { return metadataOf(f.metadata) }

func metadataOf(pairs [][2]string) map[string]string {
	m := make(map[string]string, len(pairs))
	for _, pair := range pairs {
		m[pair[0]] = pair[1]
	}
	return m
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// listJSON is a page of intents; NextPage is of searches only.
type listJSON struct {
	Object   string        `json:"object"`
	URL      string        `json:"url"`
	HasMore  bool          `json:"has_more"`
	NextPage *string       `json:"next_page,omitempty"`
	Data     []*intentJSON `json:"data"`
}

// eventJSON is an event as a webhook brings it.
type eventJSON struct {
	ID              string `json:"id"`
	Object          string `json:"object"`
	APIVersion      string `json:"api_version"`
	Created         int64  `json:"created"`
	Livemode        bool   `json:"livemode"`
	PendingWebhooks int    `json:"pending_webhooks"`
	Request         struct {
		ID             *string `json:"id"`
		IdempotencyKey *string `json:"idempotency_key"`
	} `json:"request"`
	Type string `json:"type"`
	Data struct {
		Object any `json:"object"`
	} `json:"data"`
}

// expanded is the intent with its latest charge in full, where the call asks for that and may see it.
func (s snapshot) expanded(public, charge bool) *intentJSON {
	o := s.json(public)
	if charge && !public {
		if s.latest != nil {
			o.LatestCharge = charged{s, s.latest}.json()
		}
	}
	return o
}
