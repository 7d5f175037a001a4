// Command paysim runs the stand-in for a payment provider that package paysim is.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/viper"

	"fairgate/loadtest/paysim"
)

// envPrefix begins the names of the variables that override configuration: FAIRGATE_PAYSIM_WEBHOOK_URL.
const envPrefix = "FAIRGATE_PAYSIM"

// settings are the keys of the configuration file, the flags and the variables.
type settings struct {
	Listen        string  `mapstructure:"listen"`
	Misbehave     float64 `mapstructure:"misbehave"`
	LogLevel      string  `mapstructure:"log_level"`
	paysim.Config `mapstructure:",squash"`
}

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400) // it shares its processors with what it is a stand-in for
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command(os.Stdout, os.Stderr).ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "paysim:", err)
		stop()
		os.Exit(1)
	}
}

func command(stdout, stderr io.Writer) *cobra.Command {
	var file string
	v := viper.New()
	cmd := &cobra.Command{
		Use:   "paysim",
		Short: "A stand-in for payment providers that speaks Stripe's and PayPal's protocols",
		Long: `paysim stands in for payment providers in development, tests and rehearsals. It speaks Stripe's protocol for
PaymentIntents, charges, refunds, disputes, balance and payouts, and PayPal's for orders; signs and delivers webhooks; has
pages on which people and virtual buyers pay with test cards, approve or decline; keeps its own books and its own clock,
which can be moved; and misbehaves on a seed if asked to. The same seed misbehaves in the same way towards the same
payments, in whatever order they come. It moves no money.

When it is ready it prints one line to standard output: "listening http://<address>".

Every flag is also a key of the YAML file (--webhook-url is webhook_url; the fault flags stand under faults:) and a
variable (FAIRGATE_PAYSIM_WEBHOOK_URL, FAIRGATE_PAYSIM_FAULTS_WEBHOOK_TWICE). Flags win over variables, variables over
the file. Keep secrets in the file or the variables: other users of the machine can read the flags of a process.`,
		Example: `  # A well-behaved provider on a free port, telling core about payments
  paysim --listen 127.0.0.1:0 --webhook-url http://127.0.0.1:8080/webhooks/stripe

  # One call in ten goes wrong in some way, the same way each time
  paysim --listen 127.0.0.1:7020 --webhook-url http://127.0.0.1:8080/webhooks/stripe --misbehave 0.1 --seed 7

  # Every webhook twice, out of order, and up to two seconds late
  paysim --webhook-twice 1 --webhook-reorder 1 --webhook-delay-max 2s

  # Disputes, refunds that fail and statements with mistakes, an hour of the provider's time each second
  paysim --disputed 0.1 --refund-failed 0.1 --settlement-missing 0.01 --settlement-altered 0.01 --clock-speed 3600

  # Three days later: settlements, payouts, disputes of card 4000 0000 0000 0259
  curl -u sk_test_paysim: -d '{"advance":"72h"}' http://127.0.0.1:7020/_paysim/clock

  # A dispute at once
  curl -u sk_test_paysim: -d '{"payment_intent":"pi_…"}' http://127.0.0.1:7020/_paysim/dispute

  # PayPal beside it, and who vouches for the certificate of its webhooks (core: payment.paypal.cert_roots_file)
  paysim --paypal-webhook-url http://127.0.0.1:8080/webhooks/paypal
  curl -o var/paysim-ca.pem http://127.0.0.1:7020/_paysim/paypal/ca.pem

  # What it has on record: in short, in full, a line for each entry, and of one order
  curl 'http://127.0.0.1:7020/_paysim/books?entries=0'
  curl http://127.0.0.1:7020/_paysim/books
  curl http://127.0.0.1:7020/_paysim/books.jsonl
  curl http://127.0.0.1:7020/_paysim/orders/5b6f…`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load(v, file)
			if err != nil {
				return err
			}
			return run(cmd.Context(), cfg, stdout, stderr)
		},
	}
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	cmd.Flags().StringVar(&file, "config", "", "YAML file with any of these settings")
	define(cmd, v)
	return cmd
}

// define makes the flags and binds each to its key.
func define(cmd *cobra.Command, v *viper.Viper) {
	f := cmd.Flags()
	bind := func(key, name string) {
		if err := v.BindPFlag(key, f.Lookup(name)); err != nil {
			panic(err) // a flag that is not defined below
		}
	}
	text := func(key, value, usage string) {
		name := strings.NewReplacer("_", "-", ".", "-").Replace(key)
		f.String(name, value, usage)
		bind(key, name)
	}
	wait := func(key string, value time.Duration, usage string) {
		name := strings.ReplaceAll(strings.TrimPrefix(key, "faults."), "_", "-")
		f.Duration(name, value, usage)
		bind(key, name)
	}
	number := func(key string, value float64, usage string) {
		name := strings.ReplaceAll(strings.TrimPrefix(key, "faults."), "_", "-")
		f.Float64(name, value, usage)
		bind(key, name)
	}
	minor := func(key string, value int64, usage string) {
		name := strings.NewReplacer("_", "-", ".", "-").Replace(key)
		f.Int64(name, value, usage)
		bind(key, name)
	}
	text("listen", "127.0.0.1:7020", "address to listen on; port 0 picks a free one")
	text("secret_key", "sk_test_paysim", "key of the merchant's calls")
	text("publishable_key", "pk_test_paysim", "key of the buyer's browser")
	text("webhook_secret", "whsec_paysim", "secret that webhooks are signed with")
	text("webhook_url", "", "where events are sent; none: nowhere, until POST /v1/webhook_endpoints names one")
	f.StringSlice("webhook-events", nil, "kinds of events that are sent there, such as charge.dispute.created; none: all")
	bind("webhook_events", "webhook-events")
	f.StringSlice("frame-ancestors", nil, "origins whose pages may show the form in a frame, such as https://tickets.example")
	bind("frame_ancestors", "frame-ancestors")
	text("settlement_currency", "", "currency of the balance, lower case, into which every payment is changed; none: each keeps its own")
	number("fee_percent", 2.9, "what is kept of every charge, in per cent")
	minor("fee_fixed", 30, "and in minor units")
	minor("dispute_fee", 1500, "what is kept of every dispute that is not won, in minor units")
	minor("screening_fee", 0, "what each charge costs besides, in minor units, booked before each payout")
	wait("authorization_life", 7*24*time.Hour, "how long an authorization can be captured, by the provider's clock as all that follow")
	wait("available_after", 48*time.Hour, "how long the money of a charge waits before it can be paid out")
	wait("payout_every", 24*time.Hour, "time from one payout to the next, from midnight UTC; 0: no payouts")
	wait("payout_takes", 24*time.Hour, "how long a payout is on its way")
	wait("refund_after", time.Hour, "how long a pending refund takes; one that fails does so after twice that")
	wait("dispute_after", 72*time.Hour, "how long after the capture a dispute is opened")
	wait("dispute_due", 7*24*time.Hour, "how long a dispute can be answered")
	wait("dispute_review", 72*time.Hour, "how long the bank thinks about an answer")
	text("paypal.client_id", "paysim", "PayPal: the merchant's client id")
	text("paypal.client_secret", "paysim_secret", "PayPal: and its secret")
	text("paypal.webhook_id", "PAYSIM0WEBHOOK", "PayPal: id of the webhook, part of what is signed")
	text("paypal.webhook_url", "", "PayPal: where its events are sent; none: nowhere")
	text("paypal.public_url", "", "PayPal: this server's address in links; none: the one that the last call was addressed to")
	text("log_level", "info", "debug, info, warn or error")
	f.Uint64("seed", 1, "decides every misbehaviour")
	bind("seed", "seed")
	number("rate", 1000, "calls with the secret key served a second; the rest get 429")
	wait("search_lag", 0, "how long a new intent cannot be found by search")
	number("clock_speed", 1, "how many times as fast as ours the provider's clock runs")
	number("misbehave", 0, "set the probability of every fault at once that is not set higher")
	number("faults.answer_error", 0, "probability of status 500, half of them after the work was done")
	number("faults.answer_lost", 0, "probability that a call is carried out and not answered")
	number("faults.answer_slow", 0, "probability that an answer takes slow-for")
	number("faults.call_slow", 0, "probability that a call that changes something is on its way for slow-for before anything is done, even if its caller dies")
	wait("faults.slow_for", time.Second, "how long a slow call or answer takes")
	number("faults.connection_cut", 0, "probability that the connection is closed before a call is carried out")
	number("faults.rate_burst", 0, "probability of status 429, to the same call up to three times in a row")
	number("faults.declined", 0, "probability that a good card is declined")
	number("faults.challenge_abandoned", 0, "probability that a good card asks for 3-D Secure and its owner is not heard of again")
	number("faults.capture_refused", 0, "probability that the authorization is gone when it is captured")
	number("faults.refund_pending", 0, "probability that a refund is pending for refund-after")
	number("faults.refund_failed", 0, "probability that a refund fails after twice refund-after")
	number("faults.disputed", 0, "probability that a captured charge is disputed after dispute-after")
	number("faults.payout_failed", 0, "probability that a payout comes back")
	number("faults.settlement_missing", 0, "probability that a movement of the balance is not on the statement")
	number("faults.settlement_extra", 0, "probability that the statement has a movement besides that never was")
	number("faults.settlement_altered", 0, "probability that the statement has a movement with another amount")
	number("faults.webhook_twice", 0, "probability that an event is sent twice")
	number("faults.webhook_reorder", 0, "probability that an event comes after its successor")
	wait("faults.reorder_for", 2*time.Second, "longest wait for the successor")
	number("faults.webhook_early", 0, "probability that an event comes before the answer to its call")
	number("faults.webhook_late", 0, "probability that an event comes late-for after it happened, or half of that")
	wait("faults.late_for", 30*time.Second, "how late a late event is")
	number("faults.webhook_lost", 0, "probability that an event is never sent")
	wait("faults.webhook_delay_min", 0, "least delay of every event")
	wait("faults.webhook_delay_max", 0, "greatest delay of every event")
}

// load puts the settings together. An unknown key in the file is an error.
func load(v *viper.Viper, file string) (settings, error) {
	v.SetEnvPrefix(envPrefix)
	v.SetEnvKeyReplacer(strings.NewReplacer(".", "_"))
	v.AutomaticEnv()
	if file != "" {
		v.SetConfigFile(file)
		v.SetConfigType("yaml")
		if err := v.ReadInConfig(); err != nil {
			return settings{}, fmt.Errorf("read the configuration: %w", err)
		}
	}
	var cfg settings
	if err := v.UnmarshalExact(&cfg); err != nil {
		return settings{}, fmt.Errorf("read the configuration: %w", err)
	}
	if cfg.Misbehave < 0 || cfg.Misbehave > 1 {
		return settings{}, fmt.Errorf("%w: misbehave: %v is not between 0 and 1", paysim.ErrConfig, cfg.Misbehave)
	}
	if cfg.Misbehave > 0 {
		cfg.Faults.Misbehave(cfg.Misbehave)
	}
	return cfg, nil
}

// run serves until ctx ends, then lets calls that are under way finish.
func run(ctx context.Context, cfg settings, stdout, stderr io.Writer) error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.LogLevel)); err != nil {
		return fmt.Errorf("%w: log_level: %w", paysim.ErrConfig, err)
	}
	cfg.Log = slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: level})).With("service", "paysim")
	sim, err := paysim.New(cfg.Config)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	server := &http.Server{
		Handler:           sim.Handler(),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(cfg.Log.Handler(), slog.LevelWarn),
	}
	delivering, stopDelivering := context.WithCancel(context.WithoutCancel(ctx))
	var delivery sync.WaitGroup
	delivery.Go(func() { sim.Deliver(delivering) })
	closed := context.AfterFunc(ctx, func() {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := server.Shutdown(bounded); err != nil {
			cfg.Log.Warn("calls were cut off", "error", err.Error())
		}
		stopDelivering()
	})
	defer func() {
		closed()
		stopDelivering()
		delivery.Wait()
	}()
	fmt.Fprintf(stdout, "listening http://%s\n", listener.Addr())
	cfg.Log.Info("paysim is ready", "address", listener.Addr().String(), "seed", cfg.Seed, "rate", cfg.Rate, "misbehave", cfg.Misbehave)
	if err := server.Serve(listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	<-delivering.Done()
	return nil
}
