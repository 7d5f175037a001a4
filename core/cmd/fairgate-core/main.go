// Command fairgate-core is the middle of Fairgate: inventory, checkout, tickets, waiting room and ledger behind five
// listeners. It keeps nothing that a restart would lose; any number of them may run on one database.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"
)

const usage = `fairgate-core: inventory, checkout, tickets, waiting room and ledger

Usage:
  fairgate-core [--config FILE]

Examples:
  fairgate-core --config configs/core.yaml
  FAIRGATE_DATABASE_URL=postgres://fairgate@db/fairgate fairgate-core --config configs/core.yaml

Exit status: 0 stopped as asked; 1 something failed, the last line says what; 2 the configuration is wrong.

Flags:
`

// Bounds of an HTTP exchange on the listeners.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = 40 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 16 << 10
	drainTimeout      = 10 * time.Second
	// noticeTime is how long a core that stops goes on telling edges to go elsewhere before it hangs up. Their feeds are
	// told at once, so this is long enough for what they had on the way.
	noticeTime = 500 * time.Millisecond
	// collectAt is GOGC where the environment does not set it. Little lives long here and much is made, so a core spends a seventh
	// of its time on collecting at the usual 100; this buys most of it back with memory, a few times what lives.
	collectAt = 400
)

func main() {
	flags := flag.NewFlagSet("fairgate-core", flag.ContinueOnError)
	path := flags.String("config", "", "configuration `file` (configs/core.yaml explains every key)")
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	if err := flags.Parse(os.Args[1:]); errors.Is(err, flag.ErrHelp) {
		return
	} else if err != nil || flags.NArg() > 0 {
		os.Exit(2)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
	cfg, err := loadConfig(*path)
	if err != nil {
		fmt.Fprintf(os.Stderr, "fairgate-core: the configuration is wrong:\n%v\n", err)
		os.Exit(2)
	}
	level, _ := cfg.level() // validated
	log := slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	slog.SetDefault(log)

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, cfg, log); err != nil {
		log.Error("fairgate-core stopped", "error", err)
		stop()
		os.Exit(1)
	}
}

// run starts the core and stops it again when ctx ends: first it sends edges elsewhere, then stops the listeners, then the
// workers, then the lanes, the pool last, so that nothing in flight loses what it stands on.
func run(ctx context.Context, cfg config, log *slog.Logger) (err error) {
	listeners, err := listenAll(cfg)
	if err != nil {
		return err
	}
	defer func() {
		for _, l := range listeners {
			l.Close()
		}
	}()
	c, err := assemble(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer c.close()

	work, stopWork := context.WithCancel(context.Background())
	defer stopWork()
	var workers sync.WaitGroup
	failed := make(chan error, 16)
	for name, worker := range c.workers {
		workers.Go(func() {
			if err := worker(work); err != nil && work.Err() == nil {
				failed <- fmt.Errorf("%s: %w", name, err)
			}
		})
	}
	servers := make([]*http.Server, 0, len(listeners))
	for name, l := range listeners {
		server := &http.Server{
			Handler: c.handlers[name], ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
			IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		}
		servers = append(servers, server)
		workers.Go(func() {
			if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("listener %s: %w", name, err)
			}
		})
		log.Info("listening", "listener", name, "address", l.Addr().String())
	}

	select {
	case <-ctx.Done():
		log.Info("stopping")
		close(c.leaving)
		time.Sleep(noticeTime)
	case err = <-failed:
	}
	drain, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	var drained sync.WaitGroup
	for _, server := range servers {
		drained.Go(func() {
			if server.Shutdown(drain) != nil {
				server.Close()
			}
		})
	}
	drained.Wait()
	stopWork()
	workers.Wait()
	return err
}

// listenAll opens the listeners, so that a port in use is found before anything else is done.
func listenAll(cfg config) (map[string]net.Listener, error) {
	listeners := map[string]net.Listener{}
	for name, address := range map[string]string{"edge": cfg.Listen.Edge, "admin": cfg.Listen.Admin, "gate": cfg.Listen.Gate, "webhook": cfg.Listen.Webhook, "private": cfg.Listen.Private} {
		if name == "gate" && address == "" {
			continue
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			for _, open := range listeners {
				open.Close()
			}
			if errors.Is(err, syscall.EADDRINUSE) {
				return nil, fmt.Errorf("listen.%s: %s is in use by another program; stop it or choose another port: %w", name, address, err)
			}
			return nil, fmt.Errorf("listen.%s: %w", name, err)
		}
		listeners[name] = l
	}
	return listeners, nil
}
