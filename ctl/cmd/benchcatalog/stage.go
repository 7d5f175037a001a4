package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"fairgate/core/access"
	"fairgate/core/api"
	"fairgate/core/catalog"
	"fairgate/core/db"
	"fairgate/core/event"
	"fairgate/edge"
	"fairgate/edge/guard"
)

const secret = "known-to-this-benchmark-alone"

// stage is core's catalog behind its HTTP, and an edge in front.
type stage struct {
	db         *db.DB
	events     *event.Store
	catalog    *catalog.Catalog
	room       *access.Room
	core       *httptest.Server // edge listener
	admin      *httptest.Server
	edge       *edge.Server
	dir        string
	secretFile string
	stop       context.CancelFunc
	running    sync.WaitGroup
	log        *slog.Logger
}

func newStage(ctx context.Context, d *db.DB, log *slog.Logger) (*stage, error) {
	st := &stage{db: d, events: event.NewStore(d, event.Options{}), log: log}
	if err := st.events.EnsureGlobalKeys(ctx, event.SessionPurpose, event.SessionFilterPurpose); err != nil {
		return nil, err
	}
	var err error
	st.room, err = access.New(ctx, d, access.Config{Log: log}, access.Deps{
		Sales: func(context.Context, string) (access.Sale, error) { return access.Sale{}, access.ErrNoSale },
		Stock: func(context.Context, uuid.UUID, string) ([]access.TierStock, error) { return nil, nil },
		Keys: func(ctx context.Context, purpose, scope string) ([]access.Key, error) {
			ring, err := st.events.Keys(ctx, event.Purpose(purpose), scope)
			found := make([]access.Key, len(ring))
			for i, k := range ring {
				found[i] = access.Key{No: k.Number, Secret: k.Secret, Public: k.Public}
			}
			return found, err
		},
	})
	if err != nil {
		return nil, err
	}
	st.catalog = catalog.New(d, catalog.Config{Changed: st.room.SetCatalog, Log: log})
	server := &api.Server{DB: d, Events: st.events, Catalog: st.catalog, Room: st.room, EdgeSecret: secret, AdminSecret: secret, Log: log}
	st.core, st.admin = httptest.NewServer(server.Edge()), httptest.NewServer(server.Admin())
	if st.dir, err = os.MkdirTemp("", "benchcatalog-"); err != nil {
		return nil, err
	}
	st.secretFile = filepath.Join(st.dir, "secret")
	return st, os.WriteFile(st.secretFile, []byte(secret+"\n"), 0o600)
}

// loaded is what loading the index took.
type loaded struct {
	events int
	took   time.Duration
	mb     float64
}

// load starts to follow the table, waits until the index is there, and starts the edge.
func (st *stage) load(ctx context.Context) (loaded, error) {
	running, stop := context.WithCancel(ctx)
	st.stop = stop
	before, began := heapMB(), time.Now()
	st.running.Go(func() { _ = st.catalog.Run(running) }) // ends without an error
	for !st.catalog.Ready() {
		if ctx.Err() != nil {
			return loaded{}, ctx.Err()
		}
		time.Sleep(time.Millisecond)
	}
	l := loaded{took: time.Since(began)}
	l.mb = heapMB() - before
	query, err := catalog.ParseQuery(nil, time.Now())
	if err != nil {
		return l, err
	}
	page, err := st.catalog.Search(query)
	if err != nil {
		return l, err
	}
	l.events = page.Total
	st.running.Go(func() { _ = st.room.Run(running) })

	cfg := edge.DefaultConfig()
	cfg.Listen, cfg.PrivateListen, cfg.Cookies.Secure = "127.0.0.1:0", "", false
	cfg.Core.URLs, cfg.Core.WebhookURL, cfg.Core.SecretFile = []string{st.core.URL}, "", st.secretFile
	cfg.Guard = guard.Config{Subjects: 1000}
	if st.edge, err = edge.New(cfg, st.log); err != nil {
		return l, err
	}
	failed := make(chan error, 1)
	st.running.Go(func() { failed <- st.edge.Run(running) })
	return l, st.awaitEdge(ctx, failed)
}

func (st *stage) awaitEdge(ctx context.Context, failed <-chan error) error {
	c, err := st.edgeClient(0)
	if err != nil {
		return err
	}
	for {
		if err := c("limit=1"); err == nil {
			return nil
		}
		select {
		case err := <-failed:
			return fmt.Errorf("the edge stopped: %w", err)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (st *stage) close() {
	if st.stop != nil {
		st.stop()
	}
	st.running.Wait()
	st.core.Close()
	st.admin.Close()
	st.room.Close()
	os.RemoveAll(st.dir)
}

// heapMB is what lives on the heap.
func heapMB() float64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / 1e6
}

// residentMB is what the process takes of the machine's memory, 0 where that cannot be told.
func residentMB() float64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.Atoi(fields[1])
	if err != nil {
		return 0
	}
	return float64(pages*os.Getpagesize()) / 1e6
}

// asker sends one search and reads the answer.
type asker func(query string) error

func (st *stage) coreClient(int) (asker, error) {
	return dial(strings.TrimPrefix(st.core.URL, "http://"), "Authorization: Bearer "+secret+"\r\n")
}

func (st *stage) edgeClient(int) (asker, error) { return dial(st.edge.Addr().String(), "") }

// dial opens one connection and speaks just enough HTTP on it to cost little beside what is measured.
func dial(addr, header string) (asker, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	in, request := bufio.NewReaderSize(conn, 64<<10), []byte(nil)
	return func(query string) error {
		request = append(append(append(request[:0], "GET /v1/events?"...), query...), " HTTP/1.1\r\nHost: bench\r\n"...)
		request = append(append(request, header...), "\r\n"...)
		if _, err := conn.Write(request); err != nil {
			return err
		}
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		fine, length := strings.Contains(string(line), " 200 "), -1
		for {
			line, err := in.ReadSlice('\n')
			if err != nil {
				return err
			}
			if len(line) <= 2 {
				break
			}
			if name, value, ok := strings.Cut(string(line), ":"); ok && strings.EqualFold(name, "Content-Length") {
				if length, err = strconv.Atoi(strings.TrimSpace(value)); err != nil {
					return err
				}
			}
		}
		if length < 0 {
			return errors.New("the answer has no length")
		}
		if !fine {
			body, _ := io.ReadAll(io.LimitReader(in, int64(length)))
			return fmt.Errorf("%s: %s", http.StatusText(http.StatusBadRequest), body)
		}
		_, err = in.Discard(length)
		return err
	}, nil
}
