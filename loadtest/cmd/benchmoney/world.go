package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.yaml.in/yaml/v3"

	"fairgate/core/db"
	"fairgate/core/payment/stripe"
	"fairgate/loadtest"
	"fairgate/loadtest/stage"
)

// parts are what a purchase costs processor time in.
var parts = []string{"load", "edge", "core", "paysim", "database"}

// Keys of paysim's account, which moves no money.
const (
	secretKey     = "sk_test_bench"
	publishable   = "pk_test_bench"
	webhookSecret = "whsec_bench"
)

// unlimited is a rate that nothing here reaches.
const unlimited = 1_000_000

// world is what is measured: a database, a core, an edge and paysim, real processes on this machine.
type world struct {
	dir     string
	server  *db.Server
	db      *db.DB
	procs   []*stage.Process
	pids    map[string]int
	edge    string // host:port
	paysim  string
	private string            // of core
	pprof   map[string]string // where each program's CPU profile is, by its part
	admin   *loadtest.Admin
	mint    *loadtest.Mint
}

// newWorld starts everything. The caller closes it, also after an error.
func newWorld(ctx context.Context, o options) (w *world, err error) {
	w = &world{pprof: map[string]string{}, pids: map[string]int{}}
	if w.dir, err = os.MkdirTemp("", "fairgate-benchmoney-*"); err != nil {
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
	var ports [7]string
	for i := range ports {
		if ports[i], err = stage.FreePort(); err != nil {
			return w, err
		}
	}
	w.paysim, w.edge = ports[6], ports[4]
	w.private = ports[3]
	w.pprof["core"], w.pprof["edge"] = ports[3]+"/debug/pprof/profile", ports[5]+"/debug/pprof/profile"
	w.pprof["paysim"] = w.paysim + "/_paysim/profile"
	secrets := filepath.Join(w.dir, "secrets")
	type m = map[string]any
	if err := w.launch(ctx, o, "paysim", "http://"+w.paysim+"/_paysim/health", m{
		"listen": w.paysim, "webhook_url": "http://" + ports[2] + "/webhooks/stripe", "rate": unlimited,
		"secret_key": secretKey, "publishable_key": publishable, "webhook_secret": webhookSecret, "log_level": "warn",
		"webhook_events": stripe.Events(),
	}); err != nil {
		return w, err
	}
	if err := w.launch(ctx, o, "fairgate-core", "http://"+ports[3]+"/readyz", m{
		"listen":   m{"edge": ports[0], "admin": ports[1], "webhook": ports[2], "private": ports[3]},
		"database": m{"url": w.server.URL, "migrate": false, "max_conns": 16},
		"secrets":  m{"dir": secrets},
		"payment": m{"stripe": m{"base_url": "http://" + w.paysim, "pay_url": "http://" + w.paysim, "secret_key": secretKey, "publishable_key": publishable,
			"webhook_secret": webhookSecret, "rate_per_second": unlimited, "endpoint_rate_per_second": unlimited}},
		// Every payment is judged; only the rule about addresses is off, since all buyers are on this machine.
		"fraud": m{"rules": m{"payments_per_address": m{"verdict": "off"}}},
		"log":   m{"level": "warn"},
	}); err != nil {
		return w, err
	}
	// The address limit is kept at work but out of the way: all buyers are on this machine.
	if err := w.launch(ctx, o, "fairgate-edge", "http://"+ports[5]+"/readyz", m{
		"listen": w.edge, "private_listen": ports[5], "on_doubt": "wait", "cookies": m{"secure": false},
		"core":  m{"urls": []string{"http://" + ports[0]}, "secret_file": filepath.Join(secrets, "edge.secret"), "connections": max(4*o.buyers, 512)},
		"guard": m{"address": m{"per_second": unlimited, "burst": unlimited}, "network": m{"per_second": unlimited, "burst": unlimited}},
	}); err != nil {
		return w, err
	}
	if w.admin, err = loadtest.NewAdmin("http://"+ports[1], filepath.Join(secrets, "admin.secret")); err != nil {
		return w, err
	}
	w.mint, err = loadtest.NewMint(ctx, w.db.Reader)
	return w, err
}

// launch starts a program with its configuration and returns when it is ready.
func (w *world) launch(ctx context.Context, o options, program, ready string, config map[string]any) error {
	text, err := yaml.Marshal(config)
	path := filepath.Join(w.dir, program+".yaml")
	if err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("write the configuration of %s: %w", program, err)
	}
	before := loadtest.ChildrenOf(os.Getpid())
	p := &stage.Process{Name: program, Program: filepath.Join(o.bin, program), Args: []string{"--config", path}, Ready: ready, Log: filepath.Join(w.dir, program+".log")}
	if err := p.Start(); err != nil {
		return fmt.Errorf("start %s (make build makes it): %w", program, err)
	}
	w.procs = append(w.procs, p)
	for _, pid := range loadtest.ChildrenOf(os.Getpid()) {
		if !contains(before, pid) {
			w.pids[strings.TrimPrefix(program, "fairgate-")] = pid
		}
	}
	return p.Await(ctx)
}

func contains(list []int, n int) bool {
	for _, m := range list {
		if m == n {
			return true
		}
	}
	return false
}

// close stops everything, the edge first.
func (w *world) close(ctx context.Context) {
	for i := len(w.procs) - 1; i >= 0; i-- {
		w.procs[i].Signal(syscall.SIGTERM, 20*time.Second)
	}
	if w.db != nil {
		w.db.Close()
	}
	if w.server != nil {
		_ = w.server.Stop(ctx)
	}
	os.RemoveAll(w.dir)
}

// lastWords prints the end of what each program has logged.
func (w *world) lastWords(out io.Writer) {
	const most = 2000
	for _, p := range w.procs {
		text, err := os.ReadFile(p.Log)
		if err != nil || len(text) == 0 {
			continue
		}
		fmt.Fprintf(out, "%s: …%s\n", p.Name, text[max(0, len(text)-most):])
	}
}

// profiled saves CPU profiles of every program and of the load over some seconds.
func (w *world) profiled(dir string, seconds int) (wait func()) {
	done := make(chan struct{})
	own, err := os.Create(filepath.Join(dir, "purchases.load.pprof"))
	if err == nil {
		err = pprof.StartCPUProfile(own)
	}
	for part, address := range w.pprof {
		go func() {
			defer func() { done <- struct{}{} }()
			resp, err := http.Get("http://" + address + "?seconds=" + strconv.Itoa(seconds))
			if err != nil {
				return
			}
			defer resp.Body.Close()
			if f, err := os.Create(filepath.Join(dir, "purchases."+part+".pprof")); err == nil {
				_, _ = io.Copy(f, resp.Body)
				f.Close()
			}
		}()
	}
	return func() {
		if err == nil {
			pprof.StopCPUProfile()
			own.Close()
		}
		for range w.pprof {
			<-done
		}
	}
}

// seconds are processor time, in the programs and in the kernel for them.
type seconds struct{ user, system float64 }

func (s seconds) plus(t seconds) seconds  { return seconds{s.user + t.user, s.system + t.system} }
func (s seconds) minus(t seconds) seconds { return seconds{s.user - t.user, s.system - t.system} }

// spent is the processor time that each part has used so far; what is no program of ours is the database.
func (w *world) spent() map[string]seconds {
	used := map[string]seconds{"load": cpu(os.Getpid(), false)}
	ours := map[int]bool{}
	for part, pid := range w.pids {
		used[part], ours[pid] = cpu(pid, false), true
	}
	children := loadtest.ProcessTree()
	for _, pid := range children[os.Getpid()] {
		if !ours[pid] {
			used["database"] = used["database"].plus(tree(pid, children))
		}
	}
	return used
}

// tree is the time of a process with all that it has started.
func tree(pid int, children map[int][]int) seconds {
	sum := cpu(pid, true)
	for _, child := range children[pid] {
		sum = sum.plus(tree(child, children))
	}
	return sum
}

// cpu reads a process's time from /proc; with dead also that of its children that have ended.
func cpu(pid int, dead bool) seconds {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return seconds{}
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the name before it may have spaces
	f := strings.Fields(rest)
	if len(f) < 15 {
		return seconds{}
	}
	field := func(n int) float64 {
		ticks, _ := strconv.ParseFloat(f[n], 64)
		return ticks / 100 // USER_HZ is 100 on Linux
	}
	sum := seconds{field(11), field(12)}
	if dead {
		sum = sum.plus(seconds{field(13), field(14)})
	}
	return sum
}
