package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.yaml.in/yaml/v3"

	"fairgate/core/db"
	"fairgate/loadtest"
)

// readyWithin is how long a program may take to start.
const readyWithin = 30 * time.Second

// world is what is measured: a database, one core and one edge, real processes on this machine.
type world struct {
	dir    string
	server *db.Server
	db     *db.DB
	procs  []*exec.Cmd
	edge   string // host:port
	pprof  map[string]string
	admin  *loadtest.Admin
	mint   *loadtest.Mint
	used   map[string]float64 // processor seconds of each part in the last measurement
}

// newWorld starts everything. The caller closes it, also after an error.
func newWorld(ctx context.Context, o options) (w *world, err error) {
	w = &world{pprof: map[string]string{}, used: map[string]float64{}}
	if w.dir, err = os.MkdirTemp("", "fairgate-benchhttp-*"); err != nil {
		return w, fmt.Errorf("make a folder: %w", err)
	}
	if w.server, err = db.Start(ctx, db.ServerConfig{URL: os.Getenv("DATABASE_URL"), Log: o.log}); err != nil {
		return w, err
	}
	if w.db, err = db.Open(ctx, w.server.URL, db.Options{MaxConns: 4}); err != nil {
		return w, err
	}
	if _, err := w.db.Migrate(ctx); err != nil {
		return w, err
	}
	var ports [6]string
	for i := range ports {
		if ports[i], err = freePort(); err != nil {
			return w, err
		}
	}
	type m = map[string]any
	w.edge = ports[4]
	w.pprof["core"], w.pprof["edge"] = ports[3], ports[5]
	secrets := filepath.Join(w.dir, "secrets")
	err = w.launch(ctx, o, "fairgate-core", ports[3], m{
		"listen":    m{"edge": ports[0], "admin": ports[1], "webhook": ports[2], "private": ports[3]},
		"database":  m{"url": w.server.URL, "migrate": false, "max_conns": 8},
		"secrets":   m{"dir": secrets},
		"inventory": m{"lanes": o.lanes},
		"payment":   m{"stripe": m{"secret_key": "sk_test_" + rand.Text(), "publishable_key": "pk_test_bench", "webhook_secret": "whsec_" + rand.Text()}},
		"log":       m{"level": "warn"},
	})
	if err != nil {
		return w, err
	}
	// The address limit is kept at work but out of the way: all clients are on this machine.
	err = w.launch(ctx, o, "fairgate-edge", ports[5], m{
		"listen": ports[4], "private_listen": ports[5], "on_doubt": "wait", "cookies": m{"secure": false},
		"core":  m{"urls": []string{"http://" + ports[0]}, "secret_file": filepath.Join(secrets, "edge.secret")},
		"guard": m{"address": m{"per_second": 1_000_000, "burst": 1_000_000}, "network": m{"per_second": 1_000_000, "burst": 1_000_000}},
		"holds": m{"in_flight": o.inFlight},
	})
	if err != nil {
		return w, err
	}
	if w.admin, err = loadtest.NewAdmin("http://"+ports[1], filepath.Join(secrets, "admin.secret")); err != nil {
		return w, err
	}
	w.mint, err = loadtest.NewMint(ctx, w.db.Reader)
	return w, err
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// launch starts a program with its configuration and returns when it is ready.
func (w *world) launch(ctx context.Context, o options, program, private string, config map[string]any) error {
	text, err := yaml.Marshal(config)
	if err != nil {
		return fmt.Errorf("write the configuration of %s: %w", program, err)
	}
	path := filepath.Join(w.dir, program+".yaml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return fmt.Errorf("write the configuration of %s: %w", program, err)
	}
	cmd := exec.Command(filepath.Join(o.bin, program), "--config", path)
	cmd.Stderr = os.Stderr
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "FAIRGATE_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s (make build makes it): %w", program, err)
	}
	w.procs = append(w.procs, cmd)
	for until := time.Now().Add(readyWithin); time.Now().Before(until) && ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
		if resp, err := http.Get("http://" + private + "/readyz"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
	}
	return fmt.Errorf("%s is not ready after %s", program, readyWithin)
}

// close stops everything, the edge first.
func (w *world) close(ctx context.Context) {
	for i := len(w.procs) - 1; i >= 0; i-- {
		p := w.procs[i]
		_ = p.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(20*time.Second, func() { _ = p.Process.Kill() })
		_ = p.Wait() // how it ended is in its log
		late.Stop()
	}
	if w.db != nil {
		w.db.Close()
	}
	if w.server != nil {
		_ = w.server.Stop(ctx)
	}
	os.RemoveAll(w.dir)
}

// profile saves a CPU profile of core and edge while something runs.
func (w *world) profile(name, dir string, seconds int) func() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		parts := make(chan struct{})
		for part, private := range w.pprof {
			go func() {
				defer func() { parts <- struct{}{} }()
				resp, err := http.Get("http://" + private + "/debug/pprof/profile?seconds=" + strconv.Itoa(seconds))
				if err != nil {
					return
				}
				defer resp.Body.Close()
				if f, err := os.Create(filepath.Join(dir, name+"."+part+".pprof")); err == nil {
					_, _ = io.Copy(f, resp.Body)
					f.Close()
				}
			}()
		}
		for range w.pprof {
			<-parts
		}
	}()
	return func() { <-done }
}

// spent is the processor time in seconds that each part has used so far; the rest of the database's processes count as
// children of its first one.
func (w *world) spent() map[string]float64 {
	used := map[string]float64{"load": cpu(os.Getpid(), false), "core": cpu(w.procs[0].Process.Pid, false), "edge": cpu(w.procs[1].Process.Pid, false)}
	for _, pid := range loadtest.ChildrenOf(os.Getpid()) {
		if pid != w.procs[0].Process.Pid && pid != w.procs[1].Process.Pid {
			used["database"] += tree(pid)
		}
	}
	return used
}

func tree(pid int) float64 {
	sum := cpu(pid, true)
	for _, child := range loadtest.ChildrenOf(pid) {
		sum += tree(child)
	}
	return sum
}

// cpu reads a process's time from /proc; with dead also that of its children that have ended.
func cpu(pid int, dead bool) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	f := strings.Fields(rest)
	if len(f) < 15 {
		return 0
	}
	last := 13
	if dead {
		last = 15
	}
	sum := 0.0
	for _, field := range f[11:last] {
		n, _ := strconv.ParseFloat(field, 64)
		sum += n / 100
	}
	return sum
}
