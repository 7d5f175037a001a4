package access

import (
	"log/slog"
	"time"
)

// Config are the bounds of the waiting room. The zero value is right for production.
type Config struct {
	Tick             time.Duration    // how often an on-sale is looked at, driven and published; default 250 ms
	ChainLength      int              // least links of a chain; default 4096
	Duration         time.Duration    // of an on-sale scheduled without an end; default 24 h
	MarkerWait       time.Duration    // longest wait for the edges' final markers; default 2 s
	EdgeLive         time.Duration    // an edge not seen for this long is not waited for; default 3 s
	LeaseTTL         time.Duration    // a driver silent for this long is replaced; default 2.5 s
	DecideWithin     time.Duration    // a shopper without a hold after this long is not reckoned with; default 30 s
	ComeWithin       time.Duration    // who comes has come by then, but for stragglers; default 30 s
	LatencyLimit     time.Duration    // fewer are called when a hold waits longer than this to be decided; default 300 ms
	CallsPerBuyer    float64          // provider calls that one buyer costs; default 2
	PollMin, PollMax time.Duration    // poll interval of waiting pages; default 2 s and 20 s
	PollsPerSecond   int              // state requests a second aimed at; default 10,000
	StateMaxAge      time.Duration    // an unchanged state is built again after this long, for its clock; default 10 s
	Quantiles        int              // in one state object; default 1000
	BanFalsePositive float64          // of the ban filter; default 1 in 10,000
	MaxPoolBatch     int              // entries in one request of an edge; default 1000
	MaxRedeemBatch   int              // tokens in one request of an edge; default 500
	KeepVerdicts     time.Duration    // for how long what the filter decided is kept; default 90 days
	Clock            func() time.Time // default time.Now. Decisions about instants use the database's clock
	Log              *slog.Logger     // default: discarded
}

func (c Config) withDefaults() Config {
	c.Tick = positive(c.Tick, 250*time.Millisecond)
	c.ChainLength = positive(c.ChainLength, 4096)
	c.Duration = positive(c.Duration, 24*time.Hour)
	c.MarkerWait = positive(c.MarkerWait, 2*time.Second)
	c.EdgeLive = positive(c.EdgeLive, 3*time.Second)
	c.LeaseTTL = positive(c.LeaseTTL, 2500*time.Millisecond)
	c.DecideWithin = positive(c.DecideWithin, 30*time.Second)
	c.ComeWithin = positive(c.ComeWithin, 30*time.Second)
	c.LatencyLimit = positive(c.LatencyLimit, 300*time.Millisecond)
	c.CallsPerBuyer = positive(c.CallsPerBuyer, 2)
	c.PollMin = positive(c.PollMin, 2*time.Second)
	c.PollMax = max(positive(c.PollMax, 20*time.Second), c.PollMin)
	c.PollsPerSecond = positive(c.PollsPerSecond, 10_000)
	c.StateMaxAge = positive(c.StateMaxAge, 10*time.Second)
	c.Quantiles = positive(c.Quantiles, 1000)
	c.BanFalsePositive = positive(c.BanFalsePositive, 1e-4)
	c.MaxPoolBatch = positive(c.MaxPoolBatch, 1000)
	c.MaxRedeemBatch = positive(c.MaxRedeemBatch, 500)
	c.KeepVerdicts = positive(c.KeepVerdicts, 90*24*time.Hour)
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

func positive[T int | float64 | time.Duration](v, otherwise T) T {
	if v > 0 {
		return v
	}
	return otherwise
}
