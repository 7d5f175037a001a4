package storm

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"go.yaml.in/yaml/v3"

	"fairgate/loadtest"
	"fairgate/loadtest/stage"
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

// theatre is what the storm rages over.
type theatre struct {
	dir      string // work folder
	history  string // folder of the histories
	database *stage.Database
	cores    []*stage.Process
	edge     []string // base URLs of the cores' edge listeners
	admin    []string
	log      *slog.Logger
}

// newTheatre prepares everything; nothing but the database runs yet. programs is the folder of the binaries.
func newTheatre(ctx context.Context, programs, history string, seed uint64, log *slog.Logger) (_ *theatre, err error) {
	program := filepath.Join(programs, "fairgate-core")
	if _, err := os.Stat(program); err != nil {
		return nil, fmt.Errorf("the program fairgate-core is not in %s; build it with: make build", programs)
	}
	s := &theatre{history: history, log: log}
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
	if s.database, err = stage.NewDatabase(ctx, s.file("database"), seed, log); err != nil {
		return nil, err
	}
	target, err := s.database.URL()
	if err != nil {
		return nil, err
	}
	for i := range cores {
		if err := s.addCore(i, program, target); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// addCore writes the configuration of a core.
func (s *theatre) addCore(i int, program, database string) error {
	type m = map[string]any
	var listen [4]string
	for n := range listen {
		address, err := stage.FreePort()
		if err != nil {
			return err
		}
		listen[n] = address
	}
	name := fmt.Sprintf("core%d", i+1)
	text, err := yaml.Marshal(m{
		"listen":   m{"edge": listen[0], "admin": listen[1], "webhook": listen[2], "private": listen[3]},
		"database": m{"url": database, "max_conns": 10},
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
	s.cores = append(s.cores, &stage.Process{Name: name, Program: program, Args: []string{"--config", s.file(name + ".yaml")},
		Ready: "http://" + listen[3] + "/readyz", Log: filepath.Join(s.history, name+".log")})
	return nil
}

func (s *theatre) file(name string) string { return filepath.Join(s.dir, name) }

// set starts the cores and puts the event on sale.
func (s *theatre) set(ctx context.Context) error {
	for _, c := range s.cores {
		if err := c.Start(); err != nil {
			return err
		}
		if err := c.Await(ctx); err != nil { // the first one makes the secrets and the schema
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
	stage.Sleep(ctx, time.Until(opens))
	return ctx.Err()
}

// strike stops everything and removes the work folder. Cores are asked to stop, so that they finish their histories.
func (s *theatre) strike() error {
	for _, c := range s.cores {
		c.Signal(syscall.SIGTERM, 15*time.Second)
	}
	var err error
	if s.database != nil {
		err = s.database.Stop()
	}
	if s.dir != "" {
		if gone := os.RemoveAll(s.dir); gone != nil {
			err = errors.Join(err, fmt.Errorf("remove the work folder: %w", gone))
		}
	}
	return err
}
