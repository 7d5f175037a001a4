package soak

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"go.yaml.in/yaml/v3"

	"fairgate/loadtest"
	"fairgate/loadtest/stage"
)

// cores is how many there are: while one is down the other goes on.
const cores = 2

// theatre is what a soak plays on.
type theatre struct {
	dir      string // work folder
	logs     string // folder of the logs
	database *stage.Database
	paysim   *stage.Process
	cores    []*stage.Process
	edge     []string // base URLs of the cores' edge listeners
	admin    []string
	webhook  []string
	provider string // base URL of paysim
	apiKey   string // of its merchant
	relay    *relay
}

// newTheatre prepares everything; nothing but the database and the relay runs yet.
func newTheatre(ctx context.Context, o Options) (_ *theatre, err error) {
	t := &theatre{logs: o.Logs}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.strike())
		}
	}()
	for _, name := range []string{"fairgate-core", "paysim"} {
		if _, err := os.Stat(filepath.Join(o.Programs, name)); err != nil {
			return nil, fmt.Errorf("the program %s is not in %s; build it with: make build", name, o.Programs)
		}
	}
	if err := os.MkdirAll(o.Logs, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder of the logs: %w", err)
	}
	if t.dir, err = os.MkdirTemp("", "fairgate-soak-*"); err != nil {
		return nil, fmt.Errorf("make a work folder: %w", err)
	}
	if err := os.Chmod(t.dir, 0o711); err != nil { // the database may run as another user
		return nil, fmt.Errorf("open the work folder: %w", err)
	}
	if t.database, err = stage.NewDatabase(ctx, t.file("database"), o.Seed, slog.New(slog.DiscardHandler)); err != nil {
		return nil, err
	}
	if t.relay, err = newRelay(); err != nil {
		return nil, err
	}
	keys := secrets{api: "sk_test_" + rand.Text(), public: "pk_test_soak", webhook: "whsec_" + rand.Text(), paypal: rand.Text()}
	t.apiKey = keys.api
	if err := t.addProvider(o, keys); err != nil {
		return nil, err
	}
	for i := range cores {
		if err := t.addCore(i, o, keys); err != nil {
			return nil, err
		}
	}
	t.relay.to(t.webhook)
	return t, nil
}

// secrets are what core and provider share.
type secrets struct{ api, public, webhook, paypal string }

type m = map[string]any

func (t *theatre) addProvider(o Options, k secrets) error {
	address, err := stage.FreePort()
	if err != nil {
		return err
	}
	t.provider = "http://" + address
	config := m{
		"listen": address, "secret_key": k.api, "publishable_key": k.public, "webhook_secret": k.webhook,
		"webhook_url": t.relay.url("stripe"), "seed": o.Seed, "rate": 5000, "log_level": "warn",
		"paypal": m{"client_id": "soak", "client_secret": k.paypal, "webhook_id": "SOAK", "webhook_url": t.relay.url("paypal"), "public_url": t.provider},
	}
	if o.Misbehave > 0 {
		// Calls that are long on their way are what a void must wait for, and few meet one. They take less than the lease of a task has
		// left when its core is killed, or the void would not wait long enough.
		config["misbehave"], config["faults"] = o.Misbehave, m{"call_slow": min(1, 4*o.Misbehave), "slow_for": "1500ms"}
	}
	return t.add(&t.paysim, "paysim", "paysim", o.Programs, config, t.provider+"/_paysim/health")
}

func (t *theatre) addCore(i int, o Options, k secrets) error {
	var listen [4]string
	for n := range listen {
		address, err := stage.FreePort()
		if err != nil {
			return err
		}
		listen[n] = address
	}
	database, err := t.database.URL()
	if err != nil {
		return err
	}
	t.edge, t.admin, t.webhook = append(t.edge, "http://"+listen[0]), append(t.admin, "http://"+listen[1]), append(t.webhook, "http://"+listen[2])
	t.cores = append(t.cores, nil)
	defer func() {
		if o.Sabotage != "" && t.cores[i] != nil {
			t.cores[i].Env = []string{"FAIRGATE_SABOTAGE=" + o.Sabotage}
		}
	}()
	return t.add(&t.cores[i], fmt.Sprintf("core%d", i+1), "fairgate-core", o.Programs, m{
		"listen":   m{"edge": listen[0], "admin": listen[1], "webhook": listen[2], "private": listen[3]},
		"database": m{"url": database, "max_conns": 16},
		"secrets":  m{"dir": t.file("secrets")},
		"checkout": m{"lookup_after": "1s", "outbox_workers": 64, "outbox_lease": "3s", "run_lease": "8s", "outbox_backoff_max": "2s"},
		"payment": m{"stripe": m{"base_url": t.provider, "pay_url": t.provider, "secret_key": k.api, "publishable_key": k.public,
			"webhook_secret": k.webhook, "rate_per_second": 2000, "endpoint_rate_per_second": 2000},
			"paypal": m{"base_url": t.provider, "client_id": "soak", "client_secret": k.paypal, "webhook_id": "SOAK", "cert_roots_file": t.file("ca.pem"),
				"return_url": "http://127.0.0.1/back/{order}", "cancel_url": "http://127.0.0.1/cancelled/{order}",
				"rate_per_second": 2000, "endpoint_rate_per_second": 2000},
			"breaker": m{"failure_ratio": 0.9, "open_for": "1s"}},
		// Rehearsed buyers share a few test cards and this machine's address.
		"fraud":    m{"rules": m{"accounts_per_card": m{"verdict": "off"}, "payments_per_card": m{"verdict": "off"}, "payments_per_address": m{"verdict": "off"}}},
		"access":   m{"lease_ttl": "5s"},
		"disputes": m{"lookup_every": "5s", "list_every": "2s"},
		"log":      m{"level": "warn"},
	}, "http://"+listen[3]+"/readyz")
}

// add writes a program's configuration and readies its process.
func (t *theatre) add(p **stage.Process, name, program, folder string, config m, ready string) error {
	text, err := yaml.Marshal(config)
	if err == nil {
		err = os.WriteFile(t.file(name+".yaml"), text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("write the configuration of %s: %w", name, err)
	}
	log := filepath.Join(t.logs, name+".log")
	if err := os.Remove(log); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove an old log: %w", err)
	}
	*p = &stage.Process{Name: name, Program: filepath.Join(folder, program), Args: []string{"--config", t.file(name + ".yaml")}, Ready: ready, Log: log}
	return nil
}

func (t *theatre) file(name string) string { return filepath.Join(t.dir, name) }

// set starts the programs and puts the events on sale.
func (t *theatre) set(ctx context.Context, events []string) error {
	for i, p := range append([]*stage.Process{t.paysim}, t.cores...) {
		if i == 1 {
			if err := t.trust(ctx); err != nil {
				return err
			}
		}
		if err := p.Start(); err != nil {
			return err
		}
		if err := p.Await(ctx); err != nil { // the first core makes the secrets and the schema
			return err
		}
	}
	operator, err := t.operator(0)
	if err != nil {
		return err
	}
	for _, text := range events {
		if err := operator.Apply(ctx, []byte(text)); err != nil {
			return fmt.Errorf("apply an event: %w", err)
		}
	}
	opens := time.Now().Add(3 * time.Second).Truncate(time.Millisecond) // a machine may be busy
	for _, text := range events {
		slug, _, _ := strings.Cut(strings.TrimPrefix(text, "id: "), "\n")
		if err := operator.Schedule(ctx, slug, time.Time{}, opens); err != nil {
			return fmt.Errorf("schedule the on-sale of %s: %w", slug, err)
		}
	}
	stage.Sleep(ctx, time.Until(opens))
	return ctx.Err()
}

// trust keeps the certificate of who vouches for the provider's webhooks, which the cores are told of.
func (t *theatre) trust(ctx context.Context) error {
	text, err := t.get(ctx, "/_paysim/paypal/ca.pem")
	if err == nil {
		err = os.WriteFile(t.file("ca.pem"), text, 0o644)
	}
	if err != nil {
		return fmt.Errorf("fetch the provider's certificate: %w", err)
	}
	return nil
}

// operator speaks to the admin listener of a core.
func (t *theatre) operator(core int) (*loadtest.Admin, error) {
	return loadtest.NewAdmin(t.admin[core], t.file("secrets/admin.secret"))
}

// strike stops everything and removes the work folder.
func (t *theatre) strike() error {
	for _, p := range append(t.cores[:len(t.cores):len(t.cores)], t.paysim) {
		if p != nil {
			p.Signal(syscall.SIGTERM, 15*time.Second)
		}
	}
	var err error
	if t.relay != nil {
		t.relay.close()
	}
	if t.database != nil {
		err = t.database.Stop()
	}
	if t.dir != "" {
		if gone := os.RemoveAll(t.dir); gone != nil {
			err = errors.Join(err, fmt.Errorf("remove the work folder: %w", gone))
		}
	}
	return err
}

// complaints counts the lines of the cores' logs by level and message, those of killed cores included.
func (t *theatre) complaints() map[string]int {
	counts := make(map[string]int)
	for _, c := range t.cores {
		f, err := os.Open(c.Log)
		if err != nil {
			continue
		}
		for s := bufio.NewScanner(f); s.Scan(); {
			var line struct {
				Level string `yaml:"level"`
				Msg   string `yaml:"msg"`
			}
			if yaml.Unmarshal(s.Bytes(), &line) == nil && line.Level == "ERROR" {
				counts[line.Msg]++
			}
		}
		f.Close()
	}
	return counts
}

// client is for requests to processes that are killed: no waiting for those that are gone.
func newClient(timeout time.Duration) *http.Client {
	return &http.Client{Timeout: timeout, Transport: &http.Transport{MaxIdleConnsPerHost: 256, MaxConnsPerHost: 512, IdleConnTimeout: 30 * time.Second}}
}

func readSecret(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read a secret: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}
