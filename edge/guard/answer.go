package guard

import (
	"fmt"
	"time"

	"fairgate/edge/guard/challenge"
	"fairgate/edge/guard/score"
)

const (
	// fewestToDeny is how many signals a denial takes at least, of two kinds. A score that high cannot have fewer; it is said anyway.
	fewestToDeny = 4
	// mostChecks is how many invisible checks a browser is given that does not pass them, before it is asked to work.
	mostChecks = 3
	// lowestDenial is the least score from which on anybody may be denied: above what sending odd headers from a data centre and
	// one bad habit come to.
	lowestDenial = 75
)

// AnswerConfig says what is done about whoever looks like a program when they are called.
type AnswerConfig struct {
	// Enabled: ask and deny. Otherwise everybody is scored and counted, and nothing is done.
	Enabled bool `mapstructure:"enabled"`
	// Lifetime is how long a challenge may be answered, ClearFor how long the clearance is good.
	Lifetime time.Duration `mapstructure:"lifetime"`
	ClearFor time.Duration `mapstructure:"clear_for"`
	// MinBits and MaxBits are the difficulties of a proof of work, from level medium up: 2^bits hashes on average.
	MinBits int `mapstructure:"min_bits"`
	MaxBits int `mapstructure:"max_bits"`
	// Wait is how long the way around without script or sight takes, WaitMost what it may come to where very many of one
	// network take it.
	Wait     time.Duration `mapstructure:"wait"`
	WaitMost time.Duration `mapstructure:"wait_most"`
	// Spent is how many used challenges are remembered, some 40 bytes each.
	Spent int `mapstructure:"spent"`
	// DenyFrom is the score from which on a claim is denied; 0: never. An operator can lift it.
	DenyFrom float64 `mapstructure:"deny_from"`
	// Appeal is what whoever was denied is told to do, in a sentence or an address. Empty: to ask the organizer.
	Appeal string `mapstructure:"appeal"`
	// Captcha is the provider asked for high scores; without one it is proof of work.
	Captcha CaptchaConfig `mapstructure:"captcha"`
}

// CaptchaConfig names a CAPTCHA provider.
type CaptchaConfig struct {
	// Provider is turnstile or hcaptcha. Empty: none.
	Provider string `mapstructure:"provider"`
	// SiteKey is the public key, SecretFile holds the secret one.
	SiteKey    string `mapstructure:"site_key"`
	SecretFile string `mapstructure:"secret_file"`
	// VerifyURL is where tokens are looked up. Empty: the provider's own.
	VerifyURL string `mapstructure:"verify_url"`
	// Timeout bounds a look-up; after a failure the provider is left alone for half a minute, and nobody is sent to it.
	Timeout time.Duration `mapstructure:"timeout"`
}

// DefaultAnswers is mild: a second of work for whoever looks odd in several ways, a denial only for what does almost everything wrong.
func DefaultAnswers() AnswerConfig {
	return AnswerConfig{
		Enabled: true, Lifetime: 10 * time.Minute, ClearFor: 30 * time.Minute, MinBits: 15, MaxBits: 20,
		Wait: 45 * time.Second, WaitMost: 10 * time.Minute, Spent: 1_000_000, DenyFrom: 85,
		Captcha: CaptchaConfig{Timeout: 3 * time.Second},
	}
}

func (c AnswerConfig) problems() (problems []error) {
	add := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("guard.answers."+format, args...))
	}
	if c.Captcha.Provider != "" && c.Captcha.Provider != "turnstile" && c.Captcha.Provider != "hcaptcha" {
		add("captcha.provider is %q; it must be turnstile, hcaptcha or empty", c.Captcha.Provider)
	}
	if !c.Enabled {
		return problems
	}
	for _, d := range []struct {
		name         string
		v, low, high time.Duration
	}{{"lifetime", c.Lifetime, time.Minute, time.Hour}, {"clear_for", c.ClearFor, time.Minute, 24 * time.Hour}, {"wait", c.Wait, time.Second, 10 * time.Minute},
		{"wait_most", c.WaitMost, c.Wait, time.Hour}} {
		if d.v < d.low || d.v > d.high {
			add("%s is %v; it must be between %v and %v", d.name, d.v, d.low, d.high)
		}
	}
	if c.MinBits < 1 || c.MaxBits > 26 || c.MinBits > c.MaxBits {
		add("min_bits and max_bits are %d and %d; they must be between 1 and 26, in this order", c.MinBits, c.MaxBits)
	}
	if c.Spent < 1000 || c.Spent > 100_000_000 {
		add("spent is %d; it must be between 1000 and 100000000", c.Spent)
	}
	if c.DenyFrom != 0 && (c.DenyFrom < lowestDenial || c.DenyFrom > 100) {
		add("deny_from is %v; it must be 0 (never) or between %d and 100, so that it takes several signals", c.DenyFrom, lowestDenial)
	}
	if c.Captcha.Provider != "" && (c.Captcha.SiteKey == "" || c.Captcha.SecretFile == "" || c.Captcha.Timeout < 100*time.Millisecond || c.Captcha.Timeout > time.Minute) {
		add("captcha: %s needs site_key, secret_file, and a timeout between 100ms and 1m", c.Captcha.Provider)
	}
	return problems
}

// Answer is what is done about a verdict: nothing, a challenge, or a denial.
type Answer struct {
	Deny bool
	Kind challenge.Kind // 0: nothing is asked
	Bits uint8          // of Work
	// Clears is the level that the right answer to the challenge clears.
	Clears score.Level
}

// To says what is done about a verdict of somebody who has a clearance for a level. captcha tells whether there is a provider that
// works; asked is how many challenges the browser was given lately.
func (c AnswerConfig) To(v score.Verdict, cleared score.Level, captcha bool, asked int) Answer {
	switch {
	case !c.Enabled || v.Level == score.None:
		return Answer{}
	case c.DenyFrom > 0 && v.Score >= c.DenyFrom && len(v.Reasons) >= fewestToDeny && v.Kinds() >= 2:
		return Answer{Deny: true}
	case cleared >= v.Level:
		return Answer{}
	case v.Level == score.Low && asked < mostChecks:
		return Answer{Kind: challenge.Check, Clears: score.Low}
	case v.Level == score.High && captcha:
		return Answer{Kind: challenge.Captcha, Clears: score.High}
	}
	return Answer{Kind: challenge.Work, Bits: c.bits(v.Score, asked), Clears: v.Level}
}

// bits rises with the score, twice the work for each 8 points beyond medium, and with what the browser was asked before.
func (c AnswerConfig) bits(points float64, asked int) uint8 {
	more := max(0, int(points-50)/8) + asked/2
	return uint8(min(c.MinBits+more, c.MaxBits))
}

// WaitFor is how long somebody waits who takes that way, when so many others of the network took it lately.
func (c AnswerConfig) WaitFor(others int) time.Duration {
	return min(c.Wait+c.Wait*time.Duration(min(others, 100_000))/10, c.WaitMost)
}
