package ctl

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"fairgate/core/db"

	"go.yaml.in/yaml/v3"
)

// readyWithin is how long a process may take to answer.
const readyWithin = 30 * time.Second

// stage is a whole deployment on loopback: database, payment provider, one core and two edges.
type stage struct {
	dir      string
	keep     bool
	programs string // folder of the binaries
	nursery  *nursery
	janitor  *janitor
	database *db.Server
	addresses

	say func(format string, args ...any)
}

// addresses is where everything listens.
type addresses struct {
	Edges       []string `json:"edges"`
	EdgePrivate []string `json:"edge_private"`
	CoreEdge    string   `json:"core_edge"`
	CoreAdmin   string   `json:"core_admin"`
	CoreWebhook string   `json:"core_webhook"`
	CorePrivate string   `json:"core_private"`
	CoreGate    string   `json:"core_gate"`
	Paysim      string   `json:"paysim"`
	Database    string   `json:"database"` // URL, with its password
	SecretFile  string   `json:"secret_file"`
}

// newStage makes the work folder. The database may run as another user, who must be able to pass through it; what is secret in it
// is closed file by file.
func newStage(keep bool, say func(string, ...any)) (*stage, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	if self, err = filepath.EvalSymlinks(self); err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	s := &stage{keep: keep, programs: filepath.Dir(self), say: say}
	for _, p := range []string{"fairgate-core", "fairgate-edge", "paysim"} {
		if _, err := os.Stat(s.program(p)); err != nil {
			return nil, fmt.Errorf("the program %s is not beside ticketctl in %s; build it with: make build", p, s.programs)
		}
	}
	if s.dir, err = os.MkdirTemp("", workPrefix); err != nil {
		return nil, fmt.Errorf("make a work folder: %w", err)
	}
	if err := os.Chmod(s.dir, 0o711); err != nil {
		return nil, errors.Join(fmt.Errorf("open the work folder: %w", err), os.RemoveAll(s.dir))
	}
	if !keep {
		if s.janitor, err = hireJanitor(s.dir); err != nil {
			return nil, errors.Join(err, os.RemoveAll(s.dir))
		}
	}
	s.nursery = newNursery(keep)
	return s, nil
}

func (s *stage) program(name string) string        { return filepath.Join(s.programs, name) }
func (s *stage) file(name string) string           { return filepath.Join(s.dir, name) }
func (s *stage) step(what string) func(how string) { return step(s.say, what) }

// step tells what is being done, and when it is done how long it took.
func step(say func(string, ...any), what string) func(how string) {
	began := time.Now()
	return func(how string) { say("%-24s %s (%.1f s)\n", what, how, time.Since(began).Seconds()) }
}

// set starts everything and returns when all of it is ready.
func (s *stage) set(ctx context.Context) error {
	done := s.step("database")
	log, err := os.OpenFile(s.file("database-start.log"), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("make a log: %w", err)
	}
	defer log.Close()
	s.database, err = db.Start(ctx, db.ServerConfig{DataDir: s.file("database"), Detach: s.keep, Log: slog.New(slog.NewJSONHandler(log, nil))})
	if err != nil {
		return fmt.Errorf("start the database: %w", err)
	}
	service, _, err := s.database.OpenService(ctx, db.Options{Application: "ticketctl-demo", MaxConns: 2, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return fmt.Errorf("prepare the database: %w", err)
	}
	service.Close()
	done(string(s.database.Engine))
	if err := s.assignPorts(); err != nil {
		return err
	}
	if err := s.writeConfigs(); err != nil {
		return err
	}
	done = s.step("payment provider")
	if err := s.launch(ctx, "paysim", "http://"+s.Paysim+"/_paysim/health", "--config", s.file("paysim.yaml")); err != nil {
		return err
	}
	done("paysim on " + s.Paysim)
	done = s.step("core")
	if err := s.launch(ctx, "fairgate-core", "http://"+s.CorePrivate+"/readyz", "--config", s.file("core.yaml")); err != nil {
		return err
	}
	done("on " + s.CoreAdmin)
	done = s.step("edges")
	// Each edge gets its share of the processors: threads of several edges that wake each other cost a third of their time.
	share := fmt.Sprintf("GOMAXPROCS=%d", max(1, runtime.NumCPU()/len(s.Edges)))
	for i := range s.Edges {
		name := fmt.Sprintf("edge%d", i+1)
		if _, err := s.nursery.startWith([]string{share}, name, s.file(name+".log"), s.program("fairgate-edge"), "--config", s.file(name+".yaml")); err != nil {
			return err
		}
	}
	for i := range s.Edges {
		if err := s.await(ctx, fmt.Sprintf("edge%d", i+1), "http://"+s.EdgePrivate[i]+"/readyz"); err != nil {
			return err
		}
	}
	done("on " + strings.Join(s.Edges, " and "))
	return nil
}

func (s *stage) assignPorts() error {
	ports, err := freePorts(10)
	if err != nil {
		return err
	}
	s.addresses = addresses{
		Edges: ports[0:2], EdgePrivate: ports[2:4], CoreEdge: ports[4], CoreAdmin: ports[5], CoreWebhook: ports[6], CorePrivate: ports[7],
		Paysim: ports[8], CoreGate: ports[9], Database: s.database.URL, SecretFile: s.file("secrets/admin.secret"),
	}
	return nil
}

// writeConfigs writes one file per process. They hold secrets, so only their owner may read them.
func (s *stage) writeConfigs() error {
	key, webhook := "sk_test_"+rand.Text(), "whsec_"+rand.Text()
	type m = map[string]any
	configs := map[string]m{
		"paysim.yaml": {
			"listen": s.Paysim, "webhook_url": "http://" + s.Edges[0] + "/webhooks/stripe", "secret_key": key, "webhook_secret": webhook,
			"rate": 1000, "log_level": "warn", "frame_ancestors": []string{"http://" + s.Edges[0], "http://" + s.Edges[1]},
		},
		"core.yaml": {
			"listen":   m{"edge": s.CoreEdge, "admin": s.CoreAdmin, "webhook": s.CoreWebhook, "private": s.CorePrivate, "gate": s.CoreGate},
			"database": m{"url": s.database.ServiceURL},
			"secrets":  m{"dir": s.file("secrets")},
			"payment": m{"stripe": m{
				"base_url": "http://" + s.Paysim, "pay_url": "http://" + s.Paysim, "secret_key": key, "publishable_key": "pk_test_paysim",
				"webhook_secret": webhook, "rate_per_second": 1000, "endpoint_rate_per_second": 1000,
			}},
			// Rehearsed buyers share a few test cards.
			"fraud":  m{"rules": m{"accounts_per_card": m{"verdict": "off"}, "payments_per_card": m{"verdict": "off"}, "payments_per_address": m{"verdict": "off"}}},
			"access": m{"polls_per_second": 3000},
			"log":    m{"level": "warn"},
		},
	}
	for i := range s.Edges {
		configs[fmt.Sprintf("edge%d.yaml", i+1)] = m{
			"listen": s.Edges[i], "private_listen": s.EdgePrivate[i], "on_doubt": "wait", "trusted_proxies": []string{"127.0.0.0/8"},
			"core": m{
				"urls": []string{"http://" + s.CoreEdge}, "secret_file": s.file("secrets/edge.secret"), "webhook_url": "http://" + s.CoreWebhook,
			},
			"cookies": m{"secure": false},
		}
	}
	for name, content := range configs {
		text, err := yaml.Marshal(content)
		if err == nil {
			err = os.WriteFile(s.file(name), text, 0o600)
		}
		if err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}

// launch starts a program and waits until it is ready.
func (s *stage) launch(ctx context.Context, program, ready string, args ...string) error {
	if _, err := s.nursery.start(program, s.file(program+".log"), s.program(program), args...); err != nil {
		return err
	}
	return s.await(ctx, program, ready)
}

// await asks until a process says that it is ready. A process that dies meanwhile ends ctx, with the reason as its cause.
func (s *stage) await(ctx context.Context, name, url string) error {
	client := &http.Client{Timeout: 2 * time.Second}
	last := "no answer"
	for until := time.Now().Add(readyWithin); time.Now().Before(until); {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return fmt.Errorf("wait for %s: %w", name, err)
		}
		resp, err := client.Do(req)
		switch {
		case err != nil:
			last = err.Error()
		case resp.StatusCode == http.StatusOK:
			resp.Body.Close()
			return nil
		default:
			text, _ := io.ReadAll(io.LimitReader(resp.Body, 500)) // it only makes the message better
			resp.Body.Close()
			last = resp.Status + " " + strings.TrimSpace(string(text))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(30 * time.Millisecond):
		}
	}
	return fmt.Errorf("%s is not ready after %s: %s; its log ends:\n%s", name, readyWithin, last, tail(s.file(name+".log")))
}

// roots are the processes to follow, by name: the database is whatever this program started besides the others.
func (s *stage) roots() ([]string, map[string]int) {
	roots := map[string]int{}
	known := map[int]bool{}
	var names []string
	for _, c := range s.nursery.children {
		name := strings.TrimPrefix(c.name, "fairgate-")
		names = append(names, name)
		roots[name], known[c.pid] = c.pid, true
	}
	if s.janitor != nil {
		known[s.janitor.cmd.Process.Pid] = true
	}
	for _, pid := range childrenOf(os.Getpid()) {
		if !known[pid] {
			names = append([]string{"database"}, names...)
			roots["database"] = pid
			break
		}
	}
	return append(names, "rehearsal"), merge(roots, "rehearsal", os.Getpid())
}

func merge(m map[string]int, name string, pid int) map[string]int {
	m[name] = pid
	return m
}

// strike stops everything and removes the work folder.
func (s *stage) strike() error {
	err := s.nursery.stop()
	if s.database != nil {
		ctx, cancel := context.WithTimeout(context.Background(), readyWithin)
		defer cancel()
		err = errors.Join(err, s.database.Stop(ctx))
	}
	if removeErr := os.RemoveAll(s.dir); removeErr != nil && s.janitor == nil {
		err = errors.Join(err, fmt.Errorf("remove the work folder: %w", removeErr))
	}
	return errors.Join(err, s.janitor.dismiss())
}
