package payment

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/google/uuid"
	"github.com/sony/gobreaker/v2"
)

// ErrUnavailable means that the call was not made at all, because the provider's circuit breaker is open: it failed too
// often lately. It is an ErrTemporary.
var ErrUnavailable = fmt.Errorf("%w: its circuit breaker is open", ErrTemporary)

// BreakerConfig says when a provider is taken for down. A zero value means the default.
type BreakerConfig struct {
	Window       time.Duration // how far back failures count; default 10 s
	MinCalls     int           // calls in the window before anything is judged; default 20
	FailureRatio float64       // share of them that failed at which the breaker opens; default 0.5
	OpenFor      time.Duration // how long nothing is called then, before probes are let through; default 10 s
	Probes       int           // calls that must succeed, one after the other, before everything is called again; default 3
	Log          *slog.Logger  // default slog.Default()
}

func (c BreakerConfig) withDefaults() BreakerConfig {
	if c.Window <= 0 {
		c.Window = 10 * time.Second
	}
	if c.MinCalls <= 0 {
		c.MinCalls = 20
	}
	if c.FailureRatio <= 0 {
		c.FailureRatio = 0.5
	}
	if c.OpenFor <= 0 {
		c.OpenFor = 10 * time.Second
	}
	if c.Probes <= 0 {
		c.Probes = 3
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c
}

// windowParts is into how many parts the window is divided, one of which is forgotten at a time.
const windowParts = 10

// breaker stands between this process and one provider. Every core has its own: what one sees of a provider, another may
// not.
type breaker struct {
	name    string
	probes  int
	circuit *gobreaker.CircuitBreaker[struct{}]
	refused *metrics.Counter
}

func newBreaker(name string, cfg BreakerConfig) *breaker {
	cfg = cfg.withDefaults()
	state := metrics.GetOrCreateGauge(fmt.Sprintf(`core_payment_breaker_state{provider=%q}`, name), nil) // 0 closed, 1 half-open, 2 open
	opened := metrics.GetOrCreateCounter(fmt.Sprintf(`core_payment_breaker_opened_total{provider=%q}`, name))
	b := &breaker{
		name: name, probes: cfg.Probes,
		refused: metrics.GetOrCreateCounter(fmt.Sprintf(`core_payment_breaker_refused_total{provider=%q}`, name)),
	}
	state.Set(0)
	b.circuit = gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name: name, MaxRequests: uint32(cfg.Probes), //nolint:gosec // a handful
		Interval: cfg.Window, BucketPeriod: max(cfg.Window/windowParts, time.Millisecond), Timeout: cfg.OpenFor,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			judged := c.TotalSuccesses + c.TotalFailures
			return int64(judged) >= int64(cfg.MinCalls) && float64(c.TotalFailures) >= cfg.FailureRatio*float64(judged)
		},
		IsSuccessful: func(err error) bool { return !troubled(err) },
		IsExcluded:   ours,
		OnStateChange: func(_ string, from, to gobreaker.State) {
			state.Set(float64(to))
			if to == gobreaker.StateOpen {
				opened.Inc()
			}
			cfg.Log.Warn("a payment provider's circuit breaker changed", "provider", name, "from", from.String(), "to", to.String())
		},
	})
	return b
}

// troubled tells whether an error means that the provider is in trouble. A decline, or a call that it refuses as wrong, is
// an answer of a provider that works.
func troubled(err error) bool {
	return errors.Is(err, ErrTemporary) && !errors.Is(err, ErrPending) || errors.Is(err, ErrUnknown) || errors.Is(err, context.DeadlineExceeded)
}

// ours tells whether a call failed because of us: our own rate limit, or a core that stops.
func ours(err error) bool {
	return errors.Is(err, ErrRateLimited) || errors.Is(err, context.Canceled)
}

// through makes a call unless the breaker is open.
func through[T any](b *breaker, call func() (T, error)) (T, error) {
	var answer T
	var failed error
	called := false
	_, err := b.circuit.Execute(func() (struct{}, error) {
		called = true
		answer, failed = call()
		return struct{}{}, failed
	})
	if !called {
		b.refused.Inc()
		return answer, fmt.Errorf("%w: %s: %w", ErrUnavailable, b.name, err)
	}
	return answer, failed
}

// up tells whether calls are let through, or probes at least.
func (b *breaker) up() bool { return b.circuit.State() != gobreaker.StateOpen }

// probing tells whether only probes are let through.
func (b *breaker) probing() bool { return b.circuit.State() == gobreaker.StateHalfOpen }

// guarded is a Provider behind its breaker.
type guarded struct {
	provider Provider
	breaker  *breaker
}

func (g guarded) Name() string { return g.provider.Name() }

func (g guarded) Begin(ctx context.Context, i Intent) (Outcome, error) {
	return through(g.breaker, func() (Outcome, error) { return g.provider.Begin(ctx, i) })
}

func (g guarded) Lookup(ctx context.Context, i Intent) (Outcome, error) {
	return through(g.breaker, func() (Outcome, error) { return g.provider.Lookup(ctx, i) })
}

func (g guarded) Capture(ctx context.Context, i Intent) (Outcome, error) {
	return through(g.breaker, func() (Outcome, error) { return g.provider.Capture(ctx, i) })
}

func (g guarded) Void(ctx context.Context, i Intent) (Outcome, error) {
	return through(g.breaker, func() (Outcome, error) { return g.provider.Void(ctx, i) })
}

type guardedRefunder struct {
	Refunder
	breaker *breaker
}

func (g guardedRefunder) Refund(ctx context.Context, i Intent, r Refund) (RefundOutcome, error) {
	return through(g.breaker, func() (RefundOutcome, error) { return g.Refunder.Refund(ctx, i, r) })
}

func (g guardedRefunder) LookupRefund(ctx context.Context, i Intent, r Refund) (RefundOutcome, error) {
	return through(g.breaker, func() (RefundOutcome, error) { return g.Refunder.LookupRefund(ctx, i, r) })
}

type guardedDisputer struct {
	Disputer
	breaker *breaker
}

func (g guardedDisputer) LookupDispute(ctx context.Context, ref string) (DisputeNews, error) {
	return through(g.breaker, func() (DisputeNews, error) { return g.Disputer.LookupDispute(ctx, ref) })
}

func (g guardedDisputer) SubmitEvidence(ctx context.Context, ref string, e Evidence) (DisputeNews, error) {
	return through(g.breaker, func() (DisputeNews, error) { return g.Disputer.SubmitEvidence(ctx, ref, e) })
}

func (g guardedDisputer) ListDisputes(ctx context.Context, since time.Time, page string) (DisputePage, error) {
	return through(g.breaker, func() (DisputePage, error) { return g.Disputer.ListDisputes(ctx, since, page) })
}

type guardedIdentifier struct {
	Identifier
	breaker *breaker
}

func (g guardedIdentifier) Identify(ctx context.Context, ref string) (order, payment uuid.UUID, attempt int, err error) {
	type found struct {
		order, payment uuid.UUID
		attempt        int
	}
	f, err := through(g.breaker, func() (f found, err error) {
		f.order, f.payment, f.attempt, err = g.Identifier.Identify(ctx, ref)
		return f, err
	})
	return f.order, f.payment, f.attempt, err
}
