package fraud

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Off, as the verdict of a rule, switches it off.
const Off Verdict = "off"

// Rule has a verdict for more than Most within a window. Most 0 means that one is too many.
type Rule struct {
	Most    int           `mapstructure:"most"`
	Within  time.Duration `mapstructure:"within"`
	Verdict Verdict       `mapstructure:"verdict"`
}

// Rules are about how fast things turn up together. An account is an entrant. E-mail addresses are counted like accounts, but
// since nobody proves theirs, more than so many of one is only a signal (Weights.EmailVelocity).
type Rules struct {
	CardsPerAccount    Rule `mapstructure:"cards_per_account"`
	AccountsPerCard    Rule `mapstructure:"accounts_per_card"`
	PaymentsPerAccount Rule `mapstructure:"payments_per_account"`
	PaymentsPerCard    Rule `mapstructure:"payments_per_card"`
	PaymentsPerAddress Rule `mapstructure:"payments_per_address"`
	CountriesPerMinute Rule `mapstructure:"countries_per_minute"` // countries that one account pays from
	DeclinesPerAccount Rule `mapstructure:"declines_per_account"`
	DeniedBefore       Rule `mapstructure:"denied_before"` // payments of the account or card that were denied
}

// Weights are what signals add to the score; 0 is no signal.
type Weights struct {
	CardCountryOther  int `mapstructure:"card_country_other"` // the card is from another country than the venue
	IPCountryOther    int `mapstructure:"ip_country_other"`   // the buyer pays from another country than the card's
	PostalCheckFailed int `mapstructure:"postal_check_failed"`
	CVCCheckFailed    int `mapstructure:"cvc_check_failed"`
	Prepaid           int `mapstructure:"prepaid"`
	RiskElevated      int `mapstructure:"risk_elevated"`
	RiskHighest       int `mapstructure:"risk_highest"`
	RiskScore         int `mapstructure:"risk_score"`     // at the provider's 99, less in proportion
	EmailVelocity     int `mapstructure:"email_velocity"` // the e-mail address breaks a rule for accounts; beside other signals, at most to a challenge
}

// Thresholds are the scores from which a verdict is given; 0 is never.
type Thresholds struct {
	Challenge int `mapstructure:"challenge"`
	Review    int `mapstructure:"review"`
	Deny      int `mapstructure:"deny"`
}

// Tighten makes the thresholds of one event severer: the lower one of two counts.
func (t Thresholds) Tighten(by Thresholds) Thresholds {
	lower := func(a, b int) int {
		if a == 0 || b != 0 && b < a {
			return b
		}
		return a
	}
	return Thresholds{lower(t.Challenge, by.Challenge), lower(t.Review, by.Review), lower(t.Deny, by.Deny)}
}

// verdict is that of a score.
func (t Thresholds) verdict(score int) Verdict {
	reached := func(from int) bool { return from > 0 && score >= from }
	switch {
	case reached(t.Deny):
		return Deny
	case reached(t.Review):
		return Review
	case reached(t.Challenge):
		return Challenge
	}
	return Allow
}

// Bounds of a rule: how many observations of a subject are counted at most, and how long they are kept for certain.
const (
	mostCounted = 5000
	maxMost     = 1000
	maxWithin   = 24 * time.Hour
)

// named are the rules by the name their reasons have.
func (r *Rules) named() map[string]*Rule {
	return map[string]*Rule{
		"cards_per_account": &r.CardsPerAccount, "accounts_per_card": &r.AccountsPerCard, "payments_per_account": &r.PaymentsPerAccount,
		"payments_per_card": &r.PaymentsPerCard, "payments_per_address": &r.PaymentsPerAddress, "countries_per_minute": &r.CountriesPerMinute,
		"declines_per_account": &r.DeclinesPerAccount, "denied_before": &r.DeniedBefore,
	}
}

// Validate reports everything that is wrong with a configuration.
func (c Config) Validate() error {
	var errs []error
	if c.OnFailure != Allow && c.OnFailure != Review {
		errs = append(errs, fmt.Errorf("on_failure: %q is neither allow nor review", c.OnFailure))
	}
	if c.Timeout <= 0 {
		errs = append(errs, fmt.Errorf("timeout: %s must be longer than nothing", c.Timeout))
	}
	for name, r := range c.Rules.named() {
		switch {
		case r.Verdict == Off:
		case severity[r.Verdict] < severity[Challenge]:
			errs = append(errs, fmt.Errorf("rules.%s.verdict: %q is none of off, challenge, review and deny", name, r.Verdict))
		case r.Most < 0 || r.Most > maxMost:
			errs = append(errs, fmt.Errorf("rules.%s.most: %d must be from 0 to %d", name, r.Most, maxMost))
		case r.Within < time.Minute || r.Within > maxWithin:
			errs = append(errs, fmt.Errorf("rules.%s.within: %s must be from 1m to %s", name, r.Within, maxWithin))
		}
	}
	w, t := c.Weights, c.Thresholds
	if slices.Min([]int{w.CardCountryOther, w.IPCountryOther, w.PostalCheckFailed, w.CVCCheckFailed, w.Prepaid, w.RiskElevated, w.RiskHighest,
		w.RiskScore, w.EmailVelocity, t.Challenge, t.Review, t.Deny}) < 0 {
		errs = append(errs, errors.New("weights and thresholds must not be negative"))
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

// DefaultRules are those of a service that sells a few tickets to each buyer.
func DefaultRules() Rules {
	return Rules{
		CardsPerAccount:    Rule{3, time.Hour, Review},
		AccountsPerCard:    Rule{4, 24 * time.Hour, Review},
		PaymentsPerAccount: Rule{10, time.Hour, Challenge},
		PaymentsPerCard:    Rule{10, time.Hour, Review},
		PaymentsPerAddress: Rule{500, 10 * time.Minute, Challenge},
		CountriesPerMinute: Rule{2, time.Minute, Review},
		DeclinesPerAccount: Rule{20, time.Hour, Deny},
		DeniedBefore:       Rule{0, 24 * time.Hour, Review},
	}
}

// DefaultWeights are the weights that go with DefaultThresholds.
func DefaultWeights() Weights {
	return Weights{CardCountryOther: 10, IPCountryOther: 20, PostalCheckFailed: 20, CVCCheckFailed: 40, Prepaid: 10, RiskElevated: 60, RiskHighest: 100, RiskScore: 30, EmailVelocity: 20}
}

// DefaultThresholds are the scores from which something is done.
func DefaultThresholds() Thresholds { return Thresholds{Challenge: 40, Review: 70, Deny: 120} }
