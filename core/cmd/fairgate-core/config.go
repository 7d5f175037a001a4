package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/viper"

	"fairgate/ledger"
)

// config is core's configuration; configs/core.yaml explains every key.
type config struct {
	Listen struct {
		Edge, Admin, Webhook, Private string
		Gate                          string // empty: none
	}
	Database struct {
		URL           string
		DataDir       string `mapstructure:"data_dir"`
		MaxConns      int    `mapstructure:"max_conns"`
		Migrate       bool
		ReplicaURL    string `mapstructure:"replica_url"`
		FollowerReads bool   `mapstructure:"follower_reads"`
	}
	Catalog struct {
		Refresh   time.Duration
		Reconcile time.Duration
		MaxEvents int `mapstructure:"max_events"`
	}
	Secrets struct{ Dir string }
	Session struct {
		ReadTTL time.Duration `mapstructure:"read_ttl"`
	}
	Inventory struct {
		Lanes    int
		MaxBatch int `mapstructure:"max_batch"`
		MaxQueue int `mapstructure:"max_queue"`

		FeedEvery  time.Duration `mapstructure:"feed_every"`
		FeedEvents int           `mapstructure:"feed_events"`
	}
	Checkout struct {
		MaxBatch      int           `mapstructure:"max_batch"`
		LookupAfter   time.Duration `mapstructure:"lookup_after"`
		OutboxWorkers int           `mapstructure:"outbox_workers"`
		OutboxLease   time.Duration `mapstructure:"outbox_lease"`
		RunLease      time.Duration `mapstructure:"run_lease"`
		OutboxTimeout time.Duration `mapstructure:"outbox_timeout"`
		OutboxBackoff time.Duration `mapstructure:"outbox_backoff_max"`

		UnpaidMail time.Duration `mapstructure:"unpaid_mail_after"`
	}
	Payment paymentConfig
	Wallet  walletConfig
	Fraud   fraudConfig
	Mail    mailConfig

	Gates struct {
		RatePerSecond int `mapstructure:"rate_per_second"`
	}
	Disputes struct {
		SubmitBefore time.Duration `mapstructure:"submit_before"`
		LookupEvery  time.Duration `mapstructure:"lookup_every"`
		ListEvery    time.Duration `mapstructure:"list_every"`
	}
	Access struct {
		Tick           time.Duration
		MarkerWait     time.Duration `mapstructure:"marker_wait"`
		LeaseTTL       time.Duration `mapstructure:"lease_ttl"`
		PollMin        time.Duration `mapstructure:"poll_min"`
		PollMax        time.Duration `mapstructure:"poll_max"`
		PollsPerSecond int           `mapstructure:"polls_per_second"`
		KeepVerdicts   time.Duration `mapstructure:"keep_verdicts"`
	}
	Ledger struct {
		ClearingEvery  time.Duration `mapstructure:"clearing_every"`
		ClearingWithin struct {
			BuyerClearing    time.Duration `mapstructure:"buyer_clearing"`
			ProviderClearing time.Duration `mapstructure:"provider_clearing"`
			ProviderTransit  time.Duration `mapstructure:"provider_transit"`
			Refunds          time.Duration
			Disputes         time.Duration
			LateMoney        time.Duration `mapstructure:"late_money"`
			PayoutClearing   time.Duration `mapstructure:"payout_clearing"`
			ResaleEscrow     time.Duration `mapstructure:"resale_escrow"`
			SellerPayable    time.Duration `mapstructure:"seller_payable"`
		} `mapstructure:"clearing_within"`
	}
	Settlement struct {
		Daily       bool
		Hour        int
		RereadDays  int `mapstructure:"reread_days"`
		CatchUpDays int `mapstructure:"catch_up_days"`
		Grace       time.Duration
		BookPlain   bool `mapstructure:"book_plain"`
	}
	Resale struct {
		MaxListings int `mapstructure:"max_listings"`
		Within      time.Duration
	}
	Payouts struct {
		payoutRules `mapstructure:",squash"`
		Organizers  map[string]payoutRules
	}
	History struct {
		File     string
		MaxBytes int64 `mapstructure:"max_bytes"`
	}
	Log struct{ Level string }
}

// defaults are what configs/core.yaml says, for whoever starts without it; a test holds the two together.
var defaults = map[string]any{
	"listen.edge": "127.0.0.1:7001", "listen.admin": "127.0.0.1:7002", "listen.webhook": "127.0.0.1:7003", "listen.private": "127.0.0.1:7004", "listen.gate": "",
	"database.url": "", "database.data_dir": "", "database.max_conns": 16, "database.migrate": true,
	"database.replica_url": "", "database.follower_reads": false,
	"catalog.refresh": "1s", "catalog.reconcile": "5m", "catalog.max_events": 1000000,
	"secrets.dir":      "var/secrets",
	"session.read_ttl": "720h",
	"inventory.lanes":  2, "inventory.max_batch": 500, "inventory.max_queue": 10000,
	"inventory.feed_every": "200ms", "inventory.feed_events": 1000,
	"checkout.max_batch": 500, "checkout.lookup_after": "5s", "checkout.outbox_workers": 256, "checkout.outbox_lease": "10s", "checkout.run_lease": "10s", "checkout.outbox_timeout": "30s", "checkout.outbox_backoff_max": "5m", "checkout.unpaid_mail_after": "2m",
	"access.tick": "250ms", "access.marker_wait": "2s", "access.lease_ttl": "2500ms",
	"access.poll_min": "2s", "access.poll_max": "20s", "access.polls_per_second": 10000, "access.keep_verdicts": "2160h",
	"ledger.clearing_every":                 "1m",
	"ledger.clearing_within.buyer_clearing": "2h", "ledger.clearing_within.provider_clearing": "240h", "ledger.clearing_within.provider_transit": "120h",
	"ledger.clearing_within.refunds": "120h", "ledger.clearing_within.disputes": "2160h", "ledger.clearing_within.late_money": "24h",
	"ledger.clearing_within.payout_clearing": "120h", "ledger.clearing_within.resale_escrow": "72h", "ledger.clearing_within.seller_payable": "168h",
	"settlement.daily": true, "settlement.hour": 3, "settlement.reread_days": 3, "settlement.catch_up_days": 60, "settlement.grace": "26h",
	"settlement.book_plain": true, "resale.max_listings": 20, "resale.within": "720h", "payouts.after": "72h", "payouts.reserve_percent": 10, "payouts.reserve_for": "2880h", "payouts.minimum_minor": 1000,
	"gates.rate_per_second": 500,
	"history.file":          "", "history.max_bytes": 4294967296,
	"log.level": "info",
}

// loadConfig reads a file, empty for none, and the environment, and reports every problem at once.
func loadConfig(path string) (config, error) {
	v := viper.New()
	for _, known := range []map[string]any{defaults, paymentDefaults, fraudDefaults, mailDefaults, walletDefaults} {
		for key, value := range known {
			v.SetDefault(key, value)
		}
	}
	v.SetEnvPrefix("FAIRGATE")
	v.SetEnvKeyReplacer(strings.NewReplacer(".", "_"))
	v.AutomaticEnv()
	if path != "" {
		v.SetConfigFile(path)
		if err := v.ReadInConfig(); err != nil {
			return config{}, fmt.Errorf("read %s: %w", path, err)
		}
	}
	var c config
	if err := v.UnmarshalExact(&c, viper.DecodeHook(decoding)); err != nil {
		return config{}, fmt.Errorf("read the configuration: %w", err)
	}
	return c, c.validate()
}

// unpaidMail is how long an order may be unpaid before its buyer gets a link to it; 0 where nobody knows whither it could lead.
func (c config) unpaidMail() time.Duration {
	if c.Mail.PublicURL == "" {
		return 0
	}
	return c.Checkout.UnpaidMail
}

// validate reports every problem of the configuration at once.
func (c config) validate() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: "+format, append([]any{key}, args...)...))
	}
	for key, addr := range map[string]string{"listen.edge": c.Listen.Edge, "listen.admin": c.Listen.Admin, "listen.webhook": c.Listen.Webhook, "listen.private": c.Listen.Private} {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			bad(key, "%q is no host:port", addr)
		}
	}
	if _, _, err := net.SplitHostPort(c.Listen.Gate); c.Listen.Gate != "" && err != nil {
		bad("listen.gate", "%q is no host:port", c.Listen.Gate)
	}
	for key, text := range map[string]string{"database.url": c.Database.URL, "database.replica_url": c.Database.ReplicaURL, "payment.stripe.base_url": c.Payment.Stripe.BaseURL, "payment.stripe.pay_url": c.Payment.Stripe.PayURL} {
		if u, err := url.Parse(text); text != "" && (err != nil || u.Scheme == "" || u.Host == "") {
			bad(key, "this is no URL")
		}
	}
	for key, n := range map[string]int{"database.max_conns": c.Database.MaxConns, "inventory.lanes": c.Inventory.Lanes, "inventory.max_batch": c.Inventory.MaxBatch,
		"inventory.max_queue": c.Inventory.MaxQueue, "inventory.feed_events": c.Inventory.FeedEvents, "catalog.max_events": c.Catalog.MaxEvents, "checkout.max_batch": c.Checkout.MaxBatch, "checkout.outbox_workers": c.Checkout.OutboxWorkers, "access.polls_per_second": c.Access.PollsPerSecond} {
		if n < 1 {
			bad(key, "%d must be 1 or more", n)
		}
	}
	for key, d := range map[string]time.Duration{"session.read_ttl": c.Session.ReadTTL, "inventory.feed_every": c.Inventory.FeedEvery, "catalog.refresh": c.Catalog.Refresh, "catalog.reconcile": c.Catalog.Reconcile, "checkout.lookup_after": c.Checkout.LookupAfter, "checkout.outbox_lease": c.Checkout.OutboxLease, "checkout.run_lease": c.Checkout.RunLease, "checkout.outbox_timeout": c.Checkout.OutboxTimeout, "checkout.outbox_backoff_max": c.Checkout.OutboxBackoff, "disputes.lookup_every": c.Disputes.LookupEvery, "disputes.list_every": c.Disputes.ListEvery, "access.tick": c.Access.Tick,
		"access.marker_wait": c.Access.MarkerWait, "access.lease_ttl": c.Access.LeaseTTL, "access.poll_min": c.Access.PollMin, "access.poll_max": c.Access.PollMax, "access.keep_verdicts": c.Access.KeepVerdicts} {
		if d <= 0 {
			bad(key, "%s must be longer than nothing", d)
		}
	}
	if c.Checkout.UnpaidMail < 0 {
		bad("checkout.unpaid_mail_after", "%s must not be negative", c.Checkout.UnpaidMail)
	}
	if c.Access.PollMax < c.Access.PollMin {
		bad("access.poll_max", "%s is less than poll_min, %s", c.Access.PollMax, c.Access.PollMin)
	}
	if c.Access.LeaseTTL < 4*c.Access.Tick {
		bad("access.lease_ttl", "%s is less than four ticks of %s: drivers would change all the time", c.Access.LeaseTTL, c.Access.Tick)
	}
	if c.Database.MaxConns < 4 && c.Database.MaxConns > 0 {
		bad("database.max_conns", "%d is too few: the lanes need 4 or more", c.Database.MaxConns)
	}
	if c.Gates.RatePerSecond < 0 || c.Gates.RatePerSecond > 100_000 {
		bad("gates.rate_per_second", "%d must be 0, for no limit, to 100000", c.Gates.RatePerSecond)
	}
	if c.Settlement.Hour < 0 || c.Settlement.Hour > 23 {
		bad("settlement.hour", "%d must be 0 to 23", c.Settlement.Hour)
	}
	if c.Settlement.RereadDays < 1 || c.Settlement.RereadDays > 60 {
		bad("settlement.reread_days", "%d must be 1 to 60", c.Settlement.RereadDays)
	}
	if c.Settlement.CatchUpDays < 1 || c.Settlement.CatchUpDays > 400 {
		bad("settlement.catch_up_days", "%d must be 1 to 400", c.Settlement.CatchUpDays)
	}
	if c.Settlement.Grace <= 0 {
		bad("settlement.grace", "%s must be longer than nothing", c.Settlement.Grace)
	}
	errs = append(errs, c.Fraud.problems()...)
	errs = append(errs, c.Mail.problems()...)
	if c.Disputes.SubmitBefore < 0 {
		bad("disputes.submit_before", "%s must not be negative", c.Disputes.SubmitBefore)
	}
	if c.Resale.MaxListings < 0 || c.Resale.Within < 0 {
		bad("resale", "max_listings and within must be 0 or more")
	}
	if err := c.Payouts.rules().Validate(); err != nil {
		bad("payouts", "%w", err)
	}
	for name, rules := range c.organizerRules() {
		if err := rules.Validate(); err != nil {
			bad("payouts.organizers."+name, "%w", err)
		}
	}
	if c.History.MaxBytes < 1 {
		bad("history.max_bytes", "%d must be 1 or more", c.History.MaxBytes)
	}
	if w := c.Ledger.ClearingWithin.SellerPayable; w <= 0 {
		bad("ledger.clearing_within.seller_payable", "%s must be longer than nothing", w)
	}
	if c.Ledger.ClearingEvery <= 0 {
		bad("ledger.clearing_every", "%s must be longer than nothing", c.Ledger.ClearingEvery)
	}
	if _, err := c.deadlines(); err != nil {
		bad("ledger.clearing_within", "%w", err)
	}
	if c.Secrets.Dir == "" {
		bad("secrets.dir", "a folder is needed")
	}
	c.Payment.validate(bad)
	c.Wallet.validate(bad)
	if _, err := c.level(); err != nil {
		bad("log.level", "%q is none of debug, info, warn, error", c.Log.Level)
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

func (c config) level() (slog.Level, error) {
	var l slog.Level
	err := l.UnmarshalText([]byte(c.Log.Level))
	return l, err
}

// deadlines are those of the ledger's clearing accounts.
func (c config) deadlines() (ledger.Deadlines, error) {
	w := c.Ledger.ClearingWithin
	return ledger.DefaultDeadlines().With(map[string]time.Duration{
		"buyer_clearing": w.BuyerClearing, "provider_clearing": w.ProviderClearing, "provider_transit": w.ProviderTransit, "refunds": w.Refunds,
		"disputes": w.Disputes, "late_money": w.LateMoney, "payout_clearing": w.PayoutClearing, "resale_escrow": w.ResaleEscrow,
	})
}
