package fraud

import (
	"fmt"
	"strings"

	"github.com/google/uuid"

	"fairgate/core/payment"
)

// Question is a payment to be judged.
type Question struct {
	Order   uuid.UUID
	Payment uuid.UUID
	Stage   Stage
	Account Mark // the entrant
	Email   Mark // what the buyer wrote, proved by nothing: it weighs and decides nothing; zero without an address
	Address Mark // the network the order was opened from
	Card    Mark // zero while it is not known, or no card was used
	Country string
	Risk    payment.Risk
	Tighter Thresholds // of the event; zero fields change nothing
	Always  bool       // the event asks everybody for the proof to their bank
	Before  Verdict    // of the stage before, when that was not allow
}

// The relations of observations.
const (
	relPayment = "payment"
	relCard    = "card"
	relAccount = "account"
	relCountry = "country"
	relDecline = "decline"
	relDenied  = "denied"
)

// accounts are the marks that stand for the buyer: the entrant, and the e-mail address, which anybody may have written.
func (q *Question) accounts() []Mark {
	var marks []Mark
	for _, m := range []Mark{q.Account, q.Email} {
		if m != (Mark{}) {
			marks = append(marks, m)
		}
	}
	return marks
}

// seen is what the question itself tells.
func (q *Question) seen() []observation {
	id := [16]byte(q.Payment)
	var all []observation
	add := func(subject Mark, relation string, other [16]byte) {
		if subject != (Mark{}) && other != [16]byte{} {
			all = append(all, observation{subject, relation, other})
		}
	}
	for _, a := range q.accounts() {
		if q.Stage == Begin {
			add(a, relPayment, id)
		}
		add(a, relCard, q.Card)
		if q.Risk.IPCountry != "" {
			add(a, relCountry, country(q.Risk.IPCountry))
		}
	}
	if q.Stage == Begin {
		add(q.Address, relPayment, id)
	}
	add(q.Card, relPayment, id)
	add(q.Card, relAccount, q.Account)
	return all
}

// country writes a country code where a mark stands.
func country(code string) (b [16]byte) {
	copy(b[:], strings.ToUpper(code))
	return b
}

// ask is one count that a rule needs.
type ask struct {
	rule     string
	of       Rule
	subject  Mark
	relation string
	noun     string
	unproved bool // the subject may be somebody else's: the rule weighs and has no verdict
}

// asks are the counts that the question's rules need.
func (r *Rules) asks(q *Question) []ask {
	var all []ask
	add := func(name string, rule Rule, subject Mark, relation, noun string) {
		if rule.Verdict != Off && subject != (Mark{}) {
			all = append(all, ask{name, rule, subject, relation, noun, subject == q.Email})
		}
	}
	for _, a := range q.accounts() {
		add("payments_per_account", r.PaymentsPerAccount, a, relPayment, "payments of the account")
		add("declines_per_account", r.DeclinesPerAccount, a, relDecline, "declined tries of the account")
		add("denied_before", r.DeniedBefore, a, relDenied, "denied payments of the account")
		if q.Stage == Authorized {
			add("cards_per_account", r.CardsPerAccount, a, relCard, "cards of the account")
			add("countries_per_minute", r.CountriesPerMinute, a, relCountry, "countries of the account")
		}
	}
	add("payments_per_address", r.PaymentsPerAddress, q.Address, relPayment, "payments from the address")
	add("payments_per_card", r.PaymentsPerCard, q.Card, relPayment, "payments with the card")
	add("accounts_per_card", r.AccountsPerCard, q.Card, relAccount, "accounts of the card")
	add("denied_before", r.DeniedBefore, q.Card, relDenied, "denied payments with the card")
	return all
}

// decide makes the judgement of a question from its counts, which are in the order of asks.
func (c *Config) decide(q *Question, asks []ask, counts []int64) Judgement {
	j := Judgement{Order: q.Order, Payment: q.Payment, Stage: q.Stage, Verdict: Allow}
	var unproved []Reason
	for i, a := range asks {
		switch {
		case counts[i] <= int64(a.of.Most):
		case a.unproved:
			unproved = append(unproved, Reason{Rule: ruleEmail, Said: fmt.Sprintf("%d %s within %s, more than %d, by its e-mail address alone",
				counts[i], a.noun, a.of.Within, a.of.Most)})
		default:
			j.Verdict = Severer(j.Verdict, a.of.Verdict)
			j.Reasons = append(j.Reasons, Reason{Rule: a.rule, Verdict: a.of.Verdict,
				Said: fmt.Sprintf("%d %s within %s, more than %d", counts[i], a.noun, a.of.Within, a.of.Most)})
		}
	}
	for _, r := range c.Weights.signals(q) {
		j.Score += r.Weight
		j.Reasons = append(j.Reasons, r)
	}
	if c.Banned != nil && q.Card != (Mark{}) && c.Banned(q.Card) {
		j.Verdict = Deny
		j.Reasons = append(j.Reasons, Reason{Rule: "card_banned", Verdict: Deny, Said: "an operator has banned the card"})
	}
	if q.Always {
		j.Verdict = Severer(j.Verdict, Challenge)
		j.Reasons = append(j.Reasons, Reason{Rule: "event", Verdict: Challenge, Said: "the event asks everybody for the proof to their bank"})
	}
	thresholds := c.Thresholds.Tighten(q.Tighter)
	j.Verdict = Severer(j.Verdict, thresholds.verdict(j.Score))
	c.weighEmail(&j, thresholds, unproved)
	return settled(q, j)
}

// ruleEmail is the rule of reasons that only an e-mail address gives.
const ruleEmail = "email_velocity"

// weighEmail adds what was seen of an e-mail address, which a stranger may have written. It weighs once however many rules it
// breaks, only beside another signal, and leads no further than to a challenge: nobody is held up for what others did in their name.
func (c *Config) weighEmail(j *Judgement, thresholds Thresholds, seen []Reason) {
	if len(seen) == 0 || c.Weights.EmailVelocity == 0 || j.Score == 0 {
		return
	}
	seen[0].Weight = c.Weights.EmailVelocity
	j.Score += seen[0].Weight
	j.Reasons = append(j.Reasons, seen...)
	if thresholds.verdict(j.Score) != Allow {
		j.Verdict = Severer(j.Verdict, Challenge)
	}
}

// settled takes the stage before into account, and whether the buyer has proved who they are.
func settled(q *Question, j Judgement) Judgement {
	if q.Stage != Authorized {
		return j
	}
	if severity[q.Before] > severity[Allow] {
		j.Verdict = Severer(j.Verdict, q.Before)
		j.Reasons = append(j.Reasons, Reason{Rule: "before", Verdict: q.Before, Said: "was judged " + string(q.Before) + " before it was paid"})
	}
	if j.Verdict != Challenge {
		return j
	}
	if q.Risk.Challenged {
		j.Verdict = Allow
		j.Reasons = append(j.Reasons, Reason{Rule: "challenged", Said: "the buyer has proved to their bank who they are"})
		return j
	}
	j.Verdict = Review
	j.Reasons = append(j.Reasons, Reason{Rule: "unchallenged", Verdict: Review, Said: "paid without the proof to the bank that was asked for"})
	return j
}

// mostRisk is the highest score of a provider.
const mostRisk = 99

// signals are the reasons that have a weight.
func (w *Weights) signals(q *Question) []Reason {
	var all []Reason
	add := func(so bool, rule string, weight int, format string, args ...any) {
		if so && weight > 0 {
			all = append(all, Reason{Rule: rule, Weight: weight, Said: fmt.Sprintf(format, args...)})
		}
	}
	r := &q.Risk
	other := func(a, b string) bool { return a != "" && b != "" && !strings.EqualFold(a, b) }
	add(other(r.CardCountry, q.Country), "card_country_other", w.CardCountryOther, "a card of %.2s for a venue in %.2s", r.CardCountry, q.Country)
	add(other(r.IPCountry, r.CardCountry), "ip_country_other", w.IPCountryOther, "paid from %.2s with a card of %.2s", r.IPCountry, r.CardCountry)
	add(r.PostalCheck == "fail", "postal_check_failed", w.PostalCheckFailed, "the postal code is not the card's")
	add(r.CVCCheck == "fail", "cvc_check_failed", w.CVCCheckFailed, "the security code is not the card's")
	add(r.Funding == "prepaid", "prepaid", w.Prepaid, "a prepaid card")
	add(r.Level == "elevated", "risk_elevated", w.RiskElevated, "the provider sees an elevated risk")
	add(r.Level == "highest", "risk_highest", w.RiskHighest, "the provider sees the highest risk")
	score := min(max(r.Score, 0), mostRisk)
	add(score > 0, "risk_score", w.RiskScore*score/mostRisk, "the provider's risk score is %d", score)
	return all
}
