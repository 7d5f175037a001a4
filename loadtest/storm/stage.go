package storm

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mrand "math/rand/v2"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.yaml.in/yaml/v3"

	"fairgate/core/db"
	"fairgate/loadtest"
)

// slug names the event of the storm.
const slug = "storm"

// stormEvent is small enough to sell out many times in a minute: holds live for two seconds.
const stormEvent = `id: storm
name: A Storm
organizer: somebody
venue: {name: Hall, city: Valencia, country: ES}
time_zone: Europe/Madrid
starts_at: 2031-06-12T21:00:00+02:00
currency: EUR
tiers:
  - {id: pit, name: Pit, kind: general, price: "99.00", capacity: 25}
  - {id: floor, name: Floor, kind: general, price: "30.00", capacity: 120}
  - {id: hill, name: Hill, kind: general, price: "15.00", capacity: 400}
  - {id: lower, name: Lower ring, kind: seated, price: "45.50"}
seating:
  sections:
    - {id: "101", tier: lower, rows: [{row: A-F, seats: 12}]}
fees: {per_ticket: "1.50", percent: 5}
taxes: {percent: 10, included: true}
limits: {per_buyer: 40}
hold: {ttl: 2s, payment_extension: 10s}
on_sale: {joining_before: 1s, window: 30s, session_ttl: 60m, claim_within: 60s, max_inside: 60, pace_per_second: 15}
`

// cores is how many there are: while one is down the other goes on.
const cores = 2

// stage is what the storm rages over.
type stage struct {
	dir      string // work folder
	history  string // folder of the histories
	database *db.Server
	proxy    *proxy
	cores    []*process
	edge     []string // base URLs of the cores' edge listeners
	admin    []string
	log      *slog.Logger
}

// newStage prepares everything; nothing but the database runs yet. programs is the folder of the binaries.
func newStage(ctx context.Context, programs, history string, seed uint64, log *slog.Logger) (_ *stage, err error) {
	program := filepath.Join(programs, "fairgate-core")
	if _, err := os.Stat(program); err != nil {
		return nil, fmt.Errorf("the program fairgate-core is not in %s; build it with: make build", programs)
	}
	s := &stage{history: history, log: log}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.strike())
		}
	}()
	if s.dir, err = os.MkdirTemp("", "fairgate-storm-*"); err != nil {
		return nil, fmt.Errorf("make a work folder: %w", err)
	}
	if err := os.Chmod(s.dir, 0o711); err != nil { // the database may run as another user
		return nil, fmt.Errorf("open the work folder: %w", err)
	}
	if err := s.startDatabase(ctx); err != nil {
		return nil, err
	}
	target, err := url.Parse(s.database.URL)
	if err != nil {
		return nil, fmt.Errorf("parse the URL of the database: %w", err)
	}
	if s.proxy, err = newProxy(target.Host, seed); err != nil {
		return nil, err
	}
	for i := range cores {
		if err := s.addCore(i, program, *target); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// startDatabase starts PostgreSQL on the data folder, for the first time or after a crash.
func (s *stage) startDatabase(ctx context.Context) error {
	server, err := db.Start(ctx, db.ServerConfig{DataDir: filepath.Join(s.dir, "database"), Log: s.log})
	if err != nil {
		return fmt.Errorf("start the database: %w", err)
	}
	s.database = server
	if server.Engine != db.PostgreSQL {
		return fmt.Errorf("the storm needs PostgreSQL and found %s; take cockroach off the PATH for it", server.Engine)
	}
	return nil
}

// addCore writes the configuration of a core.
func (s *stage) addCore(i int, program string, database url.URL) error {
	type m = map[string]any
	database.Host = s.proxy.address()
	var listen [4]string
	for n := range listen {
		address, err := freePort()
		if err != nil {
			return err
		}
		listen[n] = address
	}
	name := fmt.Sprintf("core%d", i+1)
	text, err := yaml.Marshal(m{
		"listen":   m{"edge": listen[0], "admin": listen[1], "webhook": listen[2], "private": listen[3]},
		"database": m{"url": database.String(), "max_conns": 10},
		"secrets":  m{"dir": s.file("secrets")},
		"payment": m{"stripe": m{"base_url": "http://127.0.0.1:9", "secret_key": "sk_test_" + rand.Text(), "publishable_key": "pk_test_storm",
			"webhook_secret": "whsec_" + rand.Text()}},
		"access":  m{"lease_ttl": "5s"},
		"history": m{"file": filepath.Join(s.history, name+".jsonl")},
		"log":     m{"level": "warn"},
	})
	if err == nil {
		err = os.WriteFile(s.file(name+".yaml"), text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("write the configuration of %s: %w", name, err)
	}
	s.edge, s.admin = append(s.edge, "http://"+listen[0]), append(s.admin, "http://"+listen[1])
	s.cores = append(s.cores, &process{name: name, program: program, config: s.file(name + ".yaml"),
		ready: "http://" + listen[3] + "/readyz", log: filepath.Join(s.history, name+".log")})
	return nil
}

func (s *stage) file(name string) string { return filepath.Join(s.dir, name) }

// set starts the cores and puts the event on sale.
func (s *stage) set(ctx context.Context) error {
	for _, c := range s.cores {
		if err := c.start(); err != nil {
			return err
		}
		if err := c.await(ctx); err != nil { // the first one makes the secrets and the schema
			return err
		}
	}
	operator, err := loadtest.NewAdmin(s.admin[0], s.file("secrets/admin.secret"))
	if err != nil {
		return err
	}
	if err := operator.Apply(ctx, []byte(stormEvent)); err != nil {
		return fmt.Errorf("apply the event: %w", err)
	}
	opens := time.Now().Add(1500 * time.Millisecond).Truncate(time.Millisecond)
	if err := operator.Schedule(ctx, slug, time.Time{}, opens); err != nil {
		return fmt.Errorf("schedule the on-sale: %w", err)
	}
	sleep(ctx, time.Until(opens))
	return ctx.Err()
}

// crashDatabase stops the whole database at once and starts it again, on another port.
func (s *stage) crashDatabase(ctx context.Context) error {
	pid, err := s.postmaster()
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGQUIT); err != nil {
		return fmt.Errorf("stop the database at once: %w", err)
	}
	for until := time.Now().Add(readyWithin); syscall.Kill(pid, 0) == nil; {
		if time.Now().After(until) || !sleep(ctx, 20*time.Millisecond) {
			return errors.Join(ctx.Err(), fmt.Errorf("the database process %d does not end", pid))
		}
	}
	if err := s.startDatabase(ctx); err != nil {
		return err
	}
	target, err := url.Parse(s.database.URL)
	if err != nil {
		return fmt.Errorf("parse the URL of the database: %w", err)
	}
	s.proxy.target.Store(&target.Host)
	return nil
}

// crashBackend kills one process of the database, which then ends all of its connections and recovers by itself.
func (s *stage) crashBackend() error {
	pid, err := s.postmaster()
	if err != nil {
		return err
	}
	for _, child := range loadtest.ChildrenOf(pid) {
		title, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", child))
		if err == nil && strings.Contains(string(title), "fairgate") { // "postgres: fairgate fairgate 127.0.0.1(…) …"
			return syscall.Kill(child, syscall.SIGKILL)
		}
	}
	return nil // no core is connected at the moment
}

// postmaster is the database's first process.
func (s *stage) postmaster() (int, error) {
	text, err := os.ReadFile(s.file("database/postgresql/postmaster.pid"))
	if err != nil {
		return 0, fmt.Errorf("find the database's process: %w", err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil {
		return 0, fmt.Errorf("find the database's process: %w", err)
	}
	return pid, nil
}

// strike stops everything and removes the work folder. Cores are asked to stop, so that they finish their histories.
func (s *stage) strike() error {
	for _, c := range s.cores {
		c.signal(syscall.SIGTERM, 15*time.Second)
	}
	if s.proxy != nil {
		s.proxy.close()
	}
	var err error
	if s.database != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		err = s.database.Stop(ctx)
	}
	if s.dir != "" {
		if gone := os.RemoveAll(s.dir); gone != nil {
			err = errors.Join(err, fmt.Errorf("remove the work folder: %w", gone))
		}
	}
	return err
}

// Ports of the cores: below those of outgoing connections, and apart from those of private databases.
const firstPort, lastPort = 10000, 20000

// freePort is an address of loopback on which nobody listens.
func freePort() (string, error) {
	for range 500 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(firstPort+mrand.IntN(lastPort-firstPort)))
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			return address, nil
		}
	}
	return "", fmt.Errorf("no free port between %d and %d", firstPort, lastPort)
}
