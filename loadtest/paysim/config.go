package paysim

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"
)

// ErrConfig means the configuration cannot work.
var ErrConfig = errors.New("wrong configuration")

// Config is everything a Server can be told. The zero value is a well-behaved provider with the test keys below and no
// webhooks.
type Config struct {
	SecretKey      string `mapstructure:"secret_key"`      // default sk_test_paysim
	PublishableKey string `mapstructure:"publishable_key"` // default pk_test_paysim
	WebhookSecret  string `mapstructure:"webhook_secret"`  // default whsec_paysim
	// WebhookURL gets every event; POST /v1/webhook_endpoints adds or replaces it later. Empty: events go nowhere.
	WebhookURL string `mapstructure:"webhook_url"`
	// WebhookEvents are the kinds of events that are sent there, such as charge.dispute.created; none means all.
	WebhookEvents []string `mapstructure:"webhook_events"`
	// Rate is how many calls with the secret key are served a second before the rest get 429; default 1000.
	Rate float64 `mapstructure:"rate"`
	// Seed decides every misbehaviour.
	Seed uint64 `mapstructure:"seed"`
	// ClockSpeed is how many times as fast as Now the provider's own clock runs; default 1.
	ClockSpeed float64 `mapstructure:"clock_speed"`
	// SettlementCurrency is what every payment becomes part of the balance in, lower case; empty: each in its own.
	SettlementCurrency string `mapstructure:"settlement_currency"`
	// FeePercent and FeeFixed, in minor units of the balance's currency, are kept of every charge; Stripe's are 2.9 and 30.
	FeePercent float64 `mapstructure:"fee_percent"`
	FeeFixed   int64   `mapstructure:"fee_fixed"`
	// DisputeFee is kept of every dispute that is not won, in minor units; default 1500.
	DisputeFee int64 `mapstructure:"dispute_fee"`
	// ScreeningFee is what each charge costs besides, in minor units, booked as one stripe_fee before each payout.
	ScreeningFee int64 `mapstructure:"screening_fee"`
	// AuthorizationLife is how long an authorization can be captured; default 7 days.
	AuthorizationLife time.Duration `mapstructure:"authorization_life"`
	// AvailableAfter is how long the money of a charge waits before it can be paid out; 0: not at all.
	AvailableAfter time.Duration `mapstructure:"available_after"`
	// PayoutEvery is the time from one payout to the next, counted from midnight UTC; 0: there are none.
	PayoutEvery time.Duration `mapstructure:"payout_every"`
	// PayoutTakes is how long a payout is on its way; default 24 h.
	PayoutTakes time.Duration `mapstructure:"payout_takes"`
	// RefundAfter is how long a pending refund takes; one that fails does so after twice that. Default 1 h.
	RefundAfter time.Duration `mapstructure:"refund_after"`
	// DisputeAfter is how long after the capture a dispute is opened; default 72 h.
	DisputeAfter time.Duration `mapstructure:"dispute_after"`
	// DisputeDue is how long a dispute can be answered; default 7 days.
	DisputeDue time.Duration `mapstructure:"dispute_due"`
	// DisputeReview is how long the bank thinks about an answer; default 72 h.
	DisputeReview time.Duration `mapstructure:"dispute_review"`
	// FrameAncestors are the origins, such as https://tickets.example, whose pages may show the form in a frame.
	FrameAncestors []string `mapstructure:"frame_ancestors"`
	// SearchLag is how long an intent cannot be found by search after it was made; Stripe allows itself a minute.
	SearchLag time.Duration `mapstructure:"search_lag"`
	// WebhookWorkers send webhooks; default 32.
	WebhookWorkers int `mapstructure:"webhook_workers"`
	// WebhookAttempts is how often one webhook is sent before it is given up; default 12.
	WebhookAttempts int `mapstructure:"webhook_attempts"`
	// WebhookTimeout bounds the wait for the answer to one; default 10 s.
	WebhookTimeout time.Duration `mapstructure:"webhook_timeout"`
	// WebhookPending bounds the webhooks waiting to be sent; further ones are dropped and counted. Default 200,000.
	WebhookPending int    `mapstructure:"webhook_pending"`
	PayPal         PayPal `mapstructure:"paypal"`
	Faults         Faults `mapstructure:"faults"`

	// Now is the base clock, default time.Now: of webhooks, rate limit and signatures, and what the provider's own begins with.
	Now func() time.Time `mapstructure:"-"`
	Log *slog.Logger     `mapstructure:"-"` // default slog.Default()
}

// Faults are the probabilities, 0 to 1, of misbehaving, and how long it lasts.
type Faults struct {
	AnswerError        float64       `mapstructure:"answer_error"`        // status 500 to a call with the secret key, half of them after it was carried out
	AnswerLost         float64       `mapstructure:"answer_lost"`         // the call is carried out and the connection closed
	AnswerSlow         float64       `mapstructure:"answer_slow"`         // the answer takes SlowFor
	CallSlow           float64       `mapstructure:"call_slow"`           // a call that changes something is on its way for SlowFor before anything is done, even if its caller dies
	SlowFor            time.Duration `mapstructure:"slow_for"`            // default 1 s
	ConnectionCut      float64       `mapstructure:"connection_cut"`      // the connection is closed before anything is done
	RateBurst          float64       `mapstructure:"rate_burst"`          // status 429, to the same call up to three times in a row
	Declined           float64       `mapstructure:"declined"`            // a good card is declined; its owner may try again
	ChallengeAbandoned float64       `mapstructure:"challenge_abandoned"` // a good card asks for 3-D Secure and its owner is not heard of again
	CaptureRefused     float64       `mapstructure:"capture_refused"`     // the authorization has gone when it is captured
	RefundPending      float64       `mapstructure:"refund_pending"`      // a refund is pending for RefundAfter
	RefundFailed       float64       `mapstructure:"refund_failed"`       // a refund fails after twice RefundAfter
	Disputed           float64       `mapstructure:"disputed"`            // a captured charge is disputed after DisputeAfter
	PayoutFailed       float64       `mapstructure:"payout_failed"`       // a payout comes back
	SettlementMissing  float64       `mapstructure:"settlement_missing"`  // a movement of the balance is not on the statement
	SettlementExtra    float64       `mapstructure:"settlement_extra"`    // the statement has one that never was, besides
	SettlementAltered  float64       `mapstructure:"settlement_altered"`  // the statement has one with another amount
	WebhookTwice       float64       `mapstructure:"webhook_twice"`       // the event is sent again within a second
	WebhookReorder     float64       `mapstructure:"webhook_reorder"`     // the event waits for its intent's next one, at most ReorderFor
	ReorderFor         time.Duration `mapstructure:"reorder_for"`         // default 2 s
	WebhookEarly       float64       `mapstructure:"webhook_early"`       // the event arrives before the answer to the call that caused it
	WebhookLate        float64       `mapstructure:"webhook_late"`        // the event waits for LateFor or half of it
	LateFor            time.Duration `mapstructure:"late_for"`            // longer than a hold lives; default 30 s
	WebhookLost        float64       `mapstructure:"webhook_lost"`        // the event is never sent
	WebhookDelayMin    time.Duration `mapstructure:"webhook_delay_min"`   // every event waits between these two
	WebhookDelayMax    time.Duration `mapstructure:"webhook_delay_max"`
}

// Misbehave sets every fault to p that is not above it already.
func (f *Faults) Misbehave(p float64) {
	for _, fault := range f.all() {
		*fault.p = max(*fault.p, p)
	}
}

// ofWebhooks tells whether any fault is on that decides about events.
func (f *Faults) ofWebhooks() bool {
	return f.WebhookTwice > 0 || f.WebhookReorder > 0 || f.WebhookEarly > 0 || f.WebhookLate > 0 || f.WebhookLost > 0 || f.WebhookDelayMax > 0
}

// fault is one probability, by its key in the configuration.
type fault struct {
	key string
	p   *float64
}

// all are the probabilities.
func (f *Faults) all() []fault {
	return []fault{
		{"answer_error", &f.AnswerError}, {"answer_lost", &f.AnswerLost}, {"answer_slow", &f.AnswerSlow}, {"call_slow", &f.CallSlow},
		{"connection_cut", &f.ConnectionCut}, {"rate_burst", &f.RateBurst}, {"declined", &f.Declined},
		{"challenge_abandoned", &f.ChallengeAbandoned}, {"capture_refused", &f.CaptureRefused},
		{"refund_pending", &f.RefundPending}, {"refund_failed", &f.RefundFailed}, {"disputed", &f.Disputed}, {"payout_failed", &f.PayoutFailed},
		{"settlement_missing", &f.SettlementMissing}, {"settlement_extra", &f.SettlementExtra}, {"settlement_altered", &f.SettlementAltered},
		{"webhook_twice", &f.WebhookTwice}, {"webhook_reorder", &f.WebhookReorder}, {"webhook_early", &f.WebhookEarly},
		{"webhook_late", &f.WebhookLate}, {"webhook_lost", &f.WebhookLost},
	}
}

// Validate reports everything that is wrong, at once.
func (c Config) Validate() error {
	var problems []error
	wrong := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("%w: "+format, append([]any{ErrConfig}, args...)...))
	}
	if c.WebhookURL != "" {
		if err := checkURL(c.WebhookURL); err != nil {
			wrong("webhook_url: %s", err)
		}
	}
	for key, text := range map[string]string{"paypal.webhook_url": c.PayPal.WebhookURL, "paypal.public_url": c.PayPal.PublicURL} {
		if err := checkURL(text); text != "" && err != nil {
			wrong("%s: %s", key, err)
		}
	}
	for _, one := range c.Faults.all() {
		if p := *one.p; p < 0 || p > 1 {
			wrong("faults.%s: %v is not between 0 and 1", one.key, p)
		}
	}
	if c.SettlementCurrency != "" && (len(c.SettlementCurrency) != 3 || strings.ToLower(c.SettlementCurrency) != c.SettlementCurrency) {
		wrong("settlement_currency: %q is not three lower-case letters", c.SettlementCurrency)
	}
	if c.FeePercent < 0 || c.FeePercent > 100 || c.FeeFixed < 0 || c.DisputeFee < 0 || c.ScreeningFee < 0 {
		wrong("fee_percent, fee_fixed, dispute_fee and screening_fee must not be negative, nor the first above 100")
	}
	for _, origin := range c.FrameAncestors {
		if err := checkOrigin(origin); err != nil {
			wrong("frame_ancestors: %s", err)
		}
	}
	if c.ClockSpeed < 0 {
		wrong("clock_speed: %v is negative", c.ClockSpeed)
	}
	if c.Rate < 0 {
		wrong("rate: %v is negative", c.Rate)
	}
	if c.Faults.WebhookDelayMax < c.Faults.WebhookDelayMin {
		wrong("faults.webhook_delay_max is less than webhook_delay_min")
	}
	if c.SecretKey != "" && c.SecretKey == c.PublishableKey {
		wrong("secret_key and publishable_key are the same")
	}
	return errors.Join(problems...)
}

func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("%q is not an http or https address", text)
	}
	return nil
}

// checkOrigin tells whether a text is scheme and host of a web page and nothing more, so that it can stand in a header.
func checkOrigin(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Scheme+"://"+u.Host != text || strings.ContainsAny(text, " ;,'*") {
		return fmt.Errorf("%q is not an origin such as https://tickets.example", text)
	}
	return nil
}

func (c Config) withDefaults() Config {
	text := func(s *string, value string) {
		if strings.TrimSpace(*s) == "" {
			*s = value
		}
	}
	number := func(n *int, value int) {
		if *n <= 0 {
			*n = value
		}
	}
	wait := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	text(&c.SecretKey, "sk_test_paysim")
	text(&c.PublishableKey, "pk_test_paysim")
	text(&c.WebhookSecret, "whsec_paysim")
	c.PayPal = c.PayPal.withDefaults()
	if c.Rate == 0 {
		c.Rate = 1000
	}
	if c.ClockSpeed == 0 {
		c.ClockSpeed = 1
	}
	number(&c.WebhookWorkers, 32)
	number(&c.WebhookAttempts, 12)
	number(&c.WebhookPending, 200_000)
	wait(&c.WebhookTimeout, 10*time.Second)
	const day = 24 * time.Hour
	wait(&c.AuthorizationLife, 7*day)
	wait(&c.PayoutTakes, day)
	wait(&c.RefundAfter, time.Hour)
	wait(&c.DisputeAfter, 3*day)
	wait(&c.DisputeDue, 7*day)
	wait(&c.DisputeReview, 3*day)
	if c.DisputeFee == 0 {
		c.DisputeFee = 1500
	}
	wait(&c.Faults.SlowFor, time.Second)
	wait(&c.Faults.ReorderFor, 2*time.Second)
	wait(&c.Faults.LateFor, 30*time.Second)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c
}
