package edge

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"fairgate/edge/admission"
	"fairgate/edge/guard"
)

// OnDoubtWait is the only legal answer to "what do you do when you cannot know?".
const OnDoubtWait = "wait"

// Config is everything a node can be told. configs/edge.yaml shows every key with its default; each may be overridden by
// the environment variable FAIRGATE_<SECTION>_<KEY>.
type Config struct {
	// Listen is the address for buyers.
	Listen string `mapstructure:"listen"`
	// PrivateListen is the address of /healthz, /readyz, /metrics and /debug/pprof. Empty: none.
	PrivateListen string `mapstructure:"private_listen"`
	// PublicOrigins are the origins pages may post from besides the one named by the Host header.
	PublicOrigins []string `mapstructure:"public_origins"`
	// TrustedProxies are the networks whose Forwarded and X-Forwarded-For headers are believed.
	TrustedProxies []string `mapstructure:"trusted_proxies"`
	// OnDoubt must say "wait": an operator should have read what the node does when core is unreachable.
	OnDoubt string `mapstructure:"on_doubt"`

	Edge    IdentityConfig `mapstructure:"edge"`
	Core    CoreConfig     `mapstructure:"core"`
	Cookies CookieConfig   `mapstructure:"cookies"`
	Limits  LimitConfig    `mapstructure:"limits"`
	Guard   guard.Config   `mapstructure:"guard"`
	Join    JoinConfig     `mapstructure:"join"`
	Keys    KeyConfig      `mapstructure:"keys"`
	Redeem  BatchConfig    `mapstructure:"redeem"`
	Holds   BatchConfig    `mapstructure:"holds"`
	Feed    FeedConfig     `mapstructure:"feed"`
	Catalog CatalogConfig  `mapstructure:"catalog"`
	Live    LiveConfig     `mapstructure:"live"`
}

// IdentityConfig says who this node is.
type IdentityConfig struct {
	// ID is the node's UUID. Empty: the one in StateFile, else a random one.
	ID string `mapstructure:"id"`
	// StateFile keeps a generated id over restarts. Empty: a new id at each start.
	StateFile string `mapstructure:"state_file"`
}

// CoreConfig says where core is and how patient to be with it.
type CoreConfig struct {
	// URLs are the edge listeners of all cores.
	URLs []string `mapstructure:"urls"`
	// SecretFile holds the bearer secret between edges and core.
	SecretFile string `mapstructure:"secret_file"`
	// WebhookURL is core's webhook listener. Empty: provider webhooks are not passed on.
	WebhookURL string `mapstructure:"webhook_url"`
	// ConnectTimeout bounds dialling.
	ConnectTimeout time.Duration `mapstructure:"connect_timeout"`
	// Timeout bounds one request to core, waiting for a connection included. It is best below the patience of clients and
	// proxies, often 10 s, so that they get an answer that says what to do.
	Timeout time.Duration `mapstructure:"timeout"`
	// Connections bounds the connections to each core.
	Connections int `mapstructure:"connections"`
}

// CookieConfig is about the three cookies.
type CookieConfig struct {
	// Secure sends cookies over HTTPS only, with the __Host- prefix. Off is legal only on a loopback listener.
	Secure bool `mapstructure:"secure"`
	// MaxAge is how long a browser keeps device, pass and session. Sessions end earlier on their own; keeping the cookie
	// lets buyers see their orders and tickets.
	MaxAge time.Duration `mapstructure:"max_age"`
}

// LimitConfig bounds what clients may use.
type LimitConfig struct {
	// Body and WebhookBody are the largest request bodies in bytes.
	Body        int `mapstructure:"body"`
	WebhookBody int `mapstructure:"webhook_body"`
	// Headers is the largest request line and header block in bytes.
	Headers int `mapstructure:"headers"`
	// Response is the largest answer taken from core in bytes.
	Response int `mapstructure:"response"`
	// Connections bounds open client connections; ConnectionsPerIP those of one peer address, 0 for no bound.
	Connections      int `mapstructure:"connections"`
	ConnectionsPerIP int `mapstructure:"connections_per_ip"`
	// Concurrency bounds the requests that wait for core at one moment.
	Concurrency int `mapstructure:"concurrency"`
	// ReadTimeout bounds reading one request, WriteTimeout writing its answer, IdleTimeout the pause between two.
	ReadTimeout  time.Duration `mapstructure:"read_timeout"`
	WriteTimeout time.Duration `mapstructure:"write_timeout"`
	IdleTimeout  time.Duration `mapstructure:"idle_timeout"`
	// Shutdown bounds a graceful stop.
	Shutdown time.Duration `mapstructure:"shutdown"`
}

// JoinConfig is about handing new entrants over to core.
type JoinConfig struct {
	// FlushInterval is how long an entrant waits for company before the batch is sent.
	FlushInterval time.Duration `mapstructure:"flush_interval"`
	// Batch is the most entrants in one request; a full batch is sent at once.
	Batch int `mapstructure:"batch"`
	// Queue is how many entrants of one event may wait for core before joins are answered with 503.
	Queue int `mapstructure:"queue"`
	// AckTTL is how long an acknowledgement is remembered for the page to fetch; AckEntries bounds how many per event.
	AckTTL     time.Duration `mapstructure:"ack_ttl"`
	AckEntries int           `mapstructure:"ack_entries"`
	// RetryAfter is how soon a page without a receipt is told to ask again.
	RetryAfter time.Duration `mapstructure:"retry_after"`
}

// KeyConfig is about the node's signing keys.
type KeyConfig struct {
	// Validity is how long one key signs admission tokens; at most an hour.
	Validity time.Duration `mapstructure:"validity"`
	// Overlap is how long before a key ends the next one is registered.
	Overlap time.Duration `mapstructure:"overlap"`
	// TokenTTL is how long an admission token is valid.
	TokenTTL time.Duration `mapstructure:"token_ttl"`
}

// BatchConfig is about collecting buyers' requests into one request to core.
type BatchConfig struct {
	// Batch is the most items in one request, Queue how many may wait, InFlight how many requests may be under way to
	// one core.
	Batch    int `mapstructure:"batch"`
	Queue    int `mapstructure:"queue"`
	InFlight int `mapstructure:"in_flight"`
}

// CatalogConfig bounds what the node remembers of the list of events and their pages.
type CatalogConfig struct {
	// Entries and Bytes bound it; Entries 0 remembers nothing.
	Entries int `mapstructure:"entries"`
	Bytes   int `mapstructure:"bytes"`
	// StaleFor is how much longer than core allowed an answer is shown while core cannot be asked.
	StaleFor time.Duration `mapstructure:"stale_for"`
}

// FeedConfig is about the feed of state objects from core.
type FeedConfig struct {
	// Wait is how long core may hold a request for news.
	Wait time.Duration `mapstructure:"wait"`
	// Silence is after how much silence a core counts as unreachable, and state as doubtful.
	Silence time.Duration `mapstructure:"silence"`
	// ClockWarning is from which difference to core's clock on the node's own is called wrong.
	ClockWarning time.Duration `mapstructure:"clock_warning"`
}

// DefaultConfig works beside one core on the same machine.
func DefaultConfig() Config {
	return Config{
		Listen:        "127.0.0.1:8080",
		PrivateListen: "127.0.0.1:8081",
		OnDoubt:       OnDoubtWait,
		Core: CoreConfig{
			URLs: []string{"http://127.0.0.1:7001"}, SecretFile: "var/secrets/edge.secret", WebhookURL: "http://127.0.0.1:7003",
			ConnectTimeout: time.Second, Timeout: 8 * time.Second, Connections: 512,
		},
		Cookies: CookieConfig{Secure: true, MaxAge: 30 * 24 * time.Hour},
		Limits: LimitConfig{
			Body: 16 << 10, WebhookBody: 256 << 10, Headers: 16 << 10, Response: 64 << 20,
			Connections: 100_000, ConnectionsPerIP: 20_000, Concurrency: 20_000,
			ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: 75 * time.Second, Shutdown: 15 * time.Second,
		},
		Guard: guard.DefaultConfig(),
		Join: JoinConfig{
			FlushInterval: 100 * time.Millisecond, Batch: 500, Queue: 100_000,
			AckTTL: time.Minute, AckEntries: 200_000, RetryAfter: 500 * time.Millisecond,
		},
		Keys:    KeyConfig{Validity: time.Hour, Overlap: 10 * time.Minute, TokenTTL: time.Minute},
		Redeem:  BatchConfig{Batch: 500, Queue: 20_000, InFlight: 2},
		Holds:   BatchConfig{Batch: 500, Queue: 20_000, InFlight: 2},
		Feed:    FeedConfig{Wait: 2 * time.Second, Silence: 3 * time.Second, ClockWarning: 5 * time.Second},
		Catalog: CatalogConfig{Entries: 20_000, Bytes: 64 << 20, StaleFor: 10 * time.Second},
		Live: LiveConfig{
			Streams: 50_000, PerSession: 4, PerAddress: 2000, Events: 1000,
			Wait: 5 * time.Second, Grace: 30 * time.Second, Heartbeat: 15 * time.Second, WriteTimeout: 5 * time.Second,
		},
	}
}

// Validate reports every problem at once.
func (c Config) Validate() error {
	var p problems
	p.address("listen", c.Listen)
	if c.PrivateListen != "" {
		p.address("private_listen", c.PrivateListen)
	}
	for _, origin := range c.PublicOrigins {
		if u, err := url.Parse(origin); err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || origin != u.Scheme+"://"+u.Host {
			p.add("public_origins: %q is no origin; write it like https://tickets.example.org", origin)
		}
	}
	if _, err := parseNetworks(c.TrustedProxies); err != nil {
		p.add("trusted_proxies: %v", err)
	}
	if c.OnDoubt != OnDoubtWait {
		p.add("on_doubt is %q; the only value is %q: without core nobody is admitted and everybody keeps the place", c.OnDoubt, OnDoubtWait)
	}
	if c.Edge.ID != "" {
		if _, err := uuid.Parse(c.Edge.ID); err != nil {
			p.add("edge.id: %q is no UUID", c.Edge.ID)
		}
	}
	c.validateCore(&p)
	if !c.Cookies.Secure && !loopback(c.Listen) {
		p.add("cookies.secure is false, which is allowed only when listen is a loopback address; it is %q", c.Listen)
	}
	p.within("cookies.max_age", c.Cookies.MaxAge, time.Hour, 400*24*time.Hour)
	c.validateLimits(&p)
	c.Live.validate(&p)
	if err := c.Guard.Validate(); err != nil {
		p = append(p, err)
	}
	return errors.Join(p...)
}

func (c Config) validateCore(p *problems) {
	if len(c.Core.URLs) == 0 {
		p.add("core.urls is empty; name the edge listener of at least one core")
	}
	if len(c.Core.URLs) > maxCores {
		p.add("core.urls names %d cores; %d are the most", len(c.Core.URLs), maxCores)
	}
	for _, u := range c.Core.URLs {
		p.baseURL("core.urls", u)
	}
	if c.Core.WebhookURL != "" {
		p.baseURL("core.webhook_url", c.Core.WebhookURL)
	}
	if c.Core.SecretFile == "" {
		p.add("core.secret_file is empty; core writes that file at its first start")
	}
	p.within("core.connect_timeout", c.Core.ConnectTimeout, 10*time.Millisecond, time.Minute)
	p.within("core.timeout", c.Core.Timeout, 100*time.Millisecond, time.Minute)
	p.between("core.connections", c.Core.Connections, 4, 20_000)
	p.within("feed.wait", c.Feed.Wait, 10*time.Millisecond, time.Minute)
	p.within("feed.silence", c.Feed.Silence, 20*time.Millisecond, time.Hour)
	p.within("feed.clock_warning", c.Feed.ClockWarning, time.Millisecond, time.Hour)
	p.between("catalog.entries", c.Catalog.Entries, 0, 10_000_000)
	p.between("catalog.bytes", c.Catalog.Bytes, 1<<20, 1<<40)
	p.within("catalog.stale_for", c.Catalog.StaleFor, 0, 10*time.Minute)
	if c.Feed.Silence <= c.Feed.Wait {
		p.add("feed.silence (%v) must be longer than feed.wait (%v), or a core without news counts as gone", c.Feed.Silence, c.Feed.Wait)
	}
	if c.Feed.Wait >= c.Core.Timeout {
		p.add("feed.wait (%v) must be shorter than core.timeout (%v)", c.Feed.Wait, c.Core.Timeout)
	}
}

func (c Config) validateLimits(p *problems) {
	p.between("limits.body", c.Limits.Body, 1<<10, 1<<20)
	p.between("limits.webhook_body", c.Limits.WebhookBody, 1<<10, 8<<20)
	p.between("limits.headers", c.Limits.Headers, 4<<10, 1<<20)
	p.between("limits.response", c.Limits.Response, 64<<10, 1<<30)
	p.between("limits.connections", c.Limits.Connections, 1, 10_000_000)
	p.between("limits.connections_per_ip", c.Limits.ConnectionsPerIP, 0, 10_000_000)
	p.between("limits.concurrency", c.Limits.Concurrency, 1, 1_000_000)
	p.within("limits.read_timeout", c.Limits.ReadTimeout, 100*time.Millisecond, 5*time.Minute)
	p.within("limits.write_timeout", c.Limits.WriteTimeout, 100*time.Millisecond, 5*time.Minute)
	p.within("limits.idle_timeout", c.Limits.IdleTimeout, 100*time.Millisecond, time.Hour)
	p.within("limits.shutdown", c.Limits.Shutdown, 100*time.Millisecond, 10*time.Minute)
	p.within("join.flush_interval", c.Join.FlushInterval, time.Millisecond, 10*time.Second)
	p.between("join.batch", c.Join.Batch, 1, maxPoolEntries)
	p.between("join.queue", c.Join.Queue, 1, 10_000_000)
	p.within("join.ack_ttl", c.Join.AckTTL, time.Second, time.Hour)
	p.between("join.ack_entries", c.Join.AckEntries, 2, 10_000_000)
	p.within("join.retry_after", c.Join.RetryAfter, 10*time.Millisecond, time.Minute)
	if _, err := admission.NewRing(c.Keys.Validity, c.Keys.Overlap, rand.Reader); err != nil {
		p.add("keys.validity and keys.overlap: %w", err)
	}
	p.within("keys.token_ttl", c.Keys.TokenTTL, time.Second, 10*time.Minute)
	for name, b := range map[string]BatchConfig{"redeem": c.Redeem, "holds": c.Holds} {
		p.between(name+".batch", b.Batch, 1, maxBatchItems)
		p.between(name+".queue", b.Queue, 1, 1_000_000)
		p.between(name+".in_flight", b.InFlight, 1, 64)
	}
}

// problems collects what is wrong with a configuration.
type problems []error

func (p *problems) add(format string, args ...any) { *p = append(*p, fmt.Errorf(format, args...)) }

func (p *problems) between(key string, v, low, high int) {
	if v < low || v > high {
		p.add("%s is %d; it must be between %d and %d", key, v, low, high)
	}
}

func (p *problems) within(key string, v, low, high time.Duration) {
	if v < low || v > high {
		p.add("%s is %v; it must be between %v and %v", key, v, low, high)
	}
}

func (p *problems) address(key, v string) {
	if _, _, err := net.SplitHostPort(v); err != nil {
		p.add("%s: %q is no host:port address", key, v)
	}
}

func (p *problems) baseURL(key, v string) {
	u, err := url.Parse(v)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		p.add("%s: %q is no base URL; write it like http://127.0.0.1:7001", key, v)
	}
}

// loopback tells whether a listen address can be reached from this machine only.
func loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// parseNetworks reads CIDR prefixes; a bare address means itself.
func parseNetworks(texts []string) ([]netip.Prefix, error) {
	var networks []netip.Prefix
	var p problems
	for _, text := range texts {
		if addr, err := netip.ParseAddr(text); err == nil {
			networks = append(networks, netip.PrefixFrom(addr, addr.BitLen()))
		} else if prefix, err := netip.ParsePrefix(text); err == nil {
			networks = append(networks, prefix.Masked())
		} else {
			p.add("%q is no network; write it like 10.0.0.0/8", text)
		}
	}
	return networks, errors.Join(p...)
}
