package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"fairgate/core/checkout"
	"fairgate/core/db"
	"fairgate/core/event"
	"fairgate/core/fraud"
	"fairgate/core/inventory"
)

// fraudConfig is the section fraud: how payments are judged.
type fraudConfig struct {
	Enabled    bool
	OnFailure  fraud.Verdict `mapstructure:"on_failure"`
	Timeout    time.Duration
	ReviewFor  time.Duration `mapstructure:"review_for"`
	Rules      fraud.Rules
	Weights    fraud.Weights
	Thresholds fraud.Thresholds
}

// fraudDefaults are the defaults of the sections fraud and disputes.
var fraudDefaults = map[string]any{
	"disputes.submit_before": "24h", "disputes.lookup_every": "6h", "disputes.list_every": "15m",
	"fraud.enabled": true, "fraud.on_failure": "allow", "fraud.timeout": "2s", "fraud.review_for": "30m",
	"fraud.rules.cards_per_account.most": 3, "fraud.rules.cards_per_account.within": "1h", "fraud.rules.cards_per_account.verdict": "review",
	"fraud.rules.accounts_per_card.most": 4, "fraud.rules.accounts_per_card.within": "24h", "fraud.rules.accounts_per_card.verdict": "review",
	"fraud.rules.payments_per_account.most": 10, "fraud.rules.payments_per_account.within": "1h", "fraud.rules.payments_per_account.verdict": "challenge",
	"fraud.rules.payments_per_card.most": 10, "fraud.rules.payments_per_card.within": "1h", "fraud.rules.payments_per_card.verdict": "review",
	"fraud.rules.payments_per_address.most": 500, "fraud.rules.payments_per_address.within": "10m", "fraud.rules.payments_per_address.verdict": "challenge",
	"fraud.rules.countries_per_minute.most": 2, "fraud.rules.countries_per_minute.within": "1m", "fraud.rules.countries_per_minute.verdict": "review",
	"fraud.rules.declines_per_account.most": 20, "fraud.rules.declines_per_account.within": "1h", "fraud.rules.declines_per_account.verdict": "deny",
	"fraud.rules.denied_before.most": 0, "fraud.rules.denied_before.within": "24h", "fraud.rules.denied_before.verdict": "review",
	"fraud.weights.card_country_other": 10, "fraud.weights.ip_country_other": 20, "fraud.weights.postal_check_failed": 20, "fraud.weights.cvc_check_failed": 40,
	"fraud.weights.prepaid": 10, "fraud.weights.risk_elevated": 60, "fraud.weights.risk_highest": 100, "fraud.weights.risk_score": 30, "fraud.weights.email_velocity": 20,
	"fraud.thresholds.challenge": 40, "fraud.thresholds.review": 70, "fraud.thresholds.deny": 120,
}

// rules are the section in the words of package fraud.
func (f fraudConfig) rules(log *slog.Logger) fraud.Config {
	return fraud.Config{OnFailure: f.OnFailure, Timeout: f.Timeout, Rules: f.Rules, Weights: f.Weights, Thresholds: f.Thresholds, Log: log}
}

func (f fraudConfig) problems() (errs []error) {
	if err := f.rules(nil).Validate(); err != nil {
		errs = append(errs, fmt.Errorf("fraud: %w", err))
	}
	if f.ReviewFor <= 0 || f.ReviewFor > inventory.MaxProlongation {
		errs = append(errs, fmt.Errorf("fraud.review_for: %s must be longer than nothing and at most %s", f.ReviewFor, inventory.MaxProlongation))
	}
	return errs
}

// openScreen starts the judging of payments. Without it nothing is judged, and addresses are not even kept as hashes.
func openScreen(ctx context.Context, d *db.DB, events *event.Store, f fraudConfig, log *slog.Logger, c *core, banned func(fraud.Mark) bool) (*fraud.Screen, fraud.Marker, error) {
	ring, err := events.Keys(ctx, event.FraudPurpose, event.GlobalScope)
	if err != nil {
		return nil, fraud.Marker{}, fmt.Errorf("find the key that hashes buyers: %w", err)
	}
	marker := fraud.NewMarker(ring[len(ring)-1].Secret) // the oldest: with another one all counts would begin anew
	if !f.Enabled {
		return nil, marker, nil
	}
	terms := f.rules(log)
	terms.Banned = banned
	screen := fraud.New(d, terms)
	c.opened(screen.Close)
	return screen, marker, nil
}

// sweep is what runs beside a screen.
func sweep(screen *fraud.Screen) func(context.Context) error {
	return func(ctx context.Context) error {
		if screen == nil {
			<-ctx.Done()
			return nil
		}
		return screen.Run(ctx)
	}
}

// fraudTerms is how much stricter an event is.
func fraudTerms(f event.Fraud) checkout.FraudTerms {
	return checkout.FraudTerms{Challenge: f.ChallengeEverybody, Tighter: fraud.Thresholds{Challenge: f.ChallengeFrom, Review: f.ReviewFrom, Deny: f.DenyFrom}}
}
