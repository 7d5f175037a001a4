package guard

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// Limit names one of the guard's limits.
type Limit uint8

// The limits. Each has its own memory, so flooding one cannot push subjects out of another.
const (
	// Device limits joins and claims of one device secret.
	Device Limit = iota
	// Session limits buyer calls of one admission session.
	Session
	// Address limits every call that does work, per client address.
	Address
	// NewDevice limits how many device secrets one address is given.
	NewDevice
	// Network limits every call that does work, per network of the client address (see NetworkOf).
	Network
	// Crowd limits what callers who have shown who they are may still do from a network where Address or Network has run out.
	Crowd
	// Account limits joins and claims of one invitation or account, from whatever browsers.
	Account
	// Webhook limits what is passed on as a provider's webhook, per client address.
	Webhook
	// SignIn limits codes that are asked for and tried, per client address.
	SignIn
	limitCount
)

// Config sets the limits.
type Config struct {
	Device    Rate `mapstructure:"device"`
	Session   Rate `mapstructure:"session"`
	Address   Rate `mapstructure:"address"`
	NewDevice Rate `mapstructure:"new_device"`
	Network   Rate `mapstructure:"network"`
	Crowd     Rate `mapstructure:"crowd"`
	Account   Rate `mapstructure:"account"`
	Webhook   Rate `mapstructure:"webhook"`
	SignIn    Rate `mapstructure:"sign_in"`
	// Subjects is how many subjects each limit remembers, some 50 bytes each.
	Subjects int `mapstructure:"subjects"`
	// DataCentres is a file with networks for servers, see ReadNetworks. Empty: none.
	DataCentres string `mapstructure:"data_centres"`
	// Answers says what is done about whoever looks like a program.
	Answers AnswerConfig `mapstructure:"answers"`
}

// DefaultConfig is tight per device, session and account and generous per address and network, since a school or a mobile carrier
// may share one address; whoever is in a room already or shops has the crowd's allowance beyond that. It is most generous for
// webhooks: a provider sends those of a whole on-sale from a few addresses, and sends again what was refused. Signing in is rare; how many
// codes there are core limits more tightly, by address and by who they are for.
func DefaultConfig() Config {
	return Config{
		Device:    Rate{PerSecond: 2, Burst: 20},
		Session:   Rate{PerSecond: 10, Burst: 40},
		Address:   Rate{PerSecond: 200, Burst: 2000},
		NewDevice: Rate{PerSecond: 50, Burst: 1000},
		Network:   Rate{PerSecond: 1000, Burst: 10000},
		Crowd:     Rate{PerSecond: 2000, Burst: 20000},
		Account:   Rate{PerSecond: 2, Burst: 40},
		Webhook:   Rate{PerSecond: 2000, Burst: 20000},
		SignIn:    Rate{PerSecond: 2, Burst: 500},
		Subjects:  1_000_000,

		DataCentres: "configs/guard/datacentres.txt",
		Answers:     DefaultAnswers(),
	}
}

// Validate reports every problem at once.
func (c Config) Validate() error {
	var problems []error
	for _, limit := range []struct {
		name string
		rate Rate
	}{{"device", c.Device}, {"session", c.Session}, {"address", c.Address}, {"new_device", c.NewDevice}, {"network", c.Network}, {"crowd", c.Crowd},
		{"account", c.Account}, {"webhook", c.Webhook}, {"sign_in", c.SignIn}} {
		if err := limit.rate.Check(); err != nil {
			problems = append(problems, fmt.Errorf("guard.%s: %w", limit.name, err))
		}
	}
	if c.Subjects < shardCount || c.Subjects > 100_000_000 {
		problems = append(problems, fmt.Errorf("guard.subjects is %d; it must be between %d and 100000000", c.Subjects, shardCount))
	}
	return errors.Join(append(problems, c.Answers.problems()...)...)
}

// Guard applies the limits and knows the ban list. Make one with New.
type Guard struct {
	Bans

	limits [limitCount]*limiter
	counts *counts
}

// New makes a guard whose clock starts at now and whose metrics go to set.
func New(c Config, now time.Time, set *metrics.Set) *Guard {
	g := &Guard{}
	for limit, rate := range [limitCount]Rate{Device: c.Device, Session: c.Session, Address: c.Address, NewDevice: c.NewDevice, Network: c.Network, Crowd: c.Crowd,
		Account: c.Account, Webhook: c.Webhook, SignIn: c.SignIn} {
		g.limits[limit] = newLimiter(rate, c.Subjects, now)
	}
	g.counts = newCounts(set, g)
	g.Bans.hits = g.counts.banHits
	return g
}

// Take spends one request of the subject under the limit and returns zero, or returns how long to wait and spends nothing.
func (g *Guard) Take(limit Limit, now time.Time, subject []byte) time.Duration {
	l := g.limits[limit]
	if l == nil {
		return 0
	}
	wait, forgot := l.take(now, subject)
	if wait > 0 {
		g.counts.refused[limit].Inc()
	}
	if forgot {
		g.counts.forgot[limit].Inc()
	}
	return wait
}

// subjects counts what a limit remembers.
func (g *Guard) subjects(limit Limit) float64 {
	if l := g.limits[limit]; l != nil {
		return float64(l.subjects())
	}
	return 0
}

// AddressSubject is the subject of Address, NewDevice and Webhook limits: the whole IPv4 address, or the /64 of an IPv6 one, which
// is what a single subscriber is given.
func AddressSubject(addr netip.Addr) [16]byte {
	addr = addr.Unmap()
	if addr.Is6() {
		addr = masked(addr, 64)
	}
	return addr.WithZone("").As16()
}

// masked keeps the first bits of an address; the callers pass lengths that fit it.
func masked(addr netip.Addr, bits int) netip.Addr {
	prefix, err := addr.Prefix(bits)
	if err != nil {
		return addr
	}
	return prefix.Addr()
}
