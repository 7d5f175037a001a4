package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/api"
	"fairgate/core/ticket/gate"
	"fairgate/core/ticket/scan"
)

const (
	scanGates  = 20 // of the event, each with its credential
	scanWarmUp = time.Second
)

const sqlCodes = `SELECT code FROM tickets WHERE event_id = $1`

const sqlCountScans = `SELECT count(*), count(*) FILTER (WHERE refused = '') FROM scans WHERE event_id = $1`

// scan lets visitors in over HTTP, evenly and whatever becomes of those before, through core's gate listener. How long one waits
// counts from the moment at which their turn came.
func (b *bench) scan(ctx context.Context) error {
	s, err := b.doors(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	total := b.rate * int((scanWarmUp+b.seconds)/time.Second)
	if err := b.fill(ctx, b.event, total); err != nil {
		return err
	}
	codes, err := b.codesOf(ctx, b.event)
	if err != nil {
		return err
	}
	waited, err := s.arrivals(ctx, codes, b.rate)
	if err != nil {
		return err
	}
	var scans, passed int
	if err := b.d.Pool.QueryRow(ctx, sqlCountScans, b.event).Scan(&scans, &passed); err != nil {
		return err
	}
	if scans != len(codes) || passed != len(codes) {
		return fmt.Errorf("%d tickets were shown, %d scans are there, %d passed", len(codes), scans, passed)
	}
	ms := func(q float64) float64 { return math.Round(float64(waited.ValueAtQuantile(q))/10) / 100 }
	row(fmt.Sprintf("scans over HTTP, %d a second: p99 (aim 50 ms)", b.rate), "%10.2f ms; p50 %.2f ms, p99.9 %.2f ms", ms(99), ms(50), ms(99.9))
	b.result.ScanP99 = ms(99)
	return nil
}

// doors are core's gate listener and the gates at it.
type doors struct {
	url         string
	credentials []string
	client      *http.Client
	server      *http.Server
}

// service scans for the event.
func (b *bench) service(event uuid.UUID) *scan.Service {
	reader := b.reader(false)
	reader.Event = event
	e := scan.Event{ID: event, Slug: "bench", Reader: reader, PackKey: packKey, Rules: gate.Rules{ClosesAt: time.Now().Add(24 * time.Hour)}}
	return scan.New(b.d, func(context.Context, uuid.UUID) (scan.Event, error) { return e, nil })
}

func (b *bench) doors(ctx context.Context) (*doors, error) {
	service := b.service(b.event)
	s := &doors{client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256, MaxConnsPerHost: 256}}}
	for i := range scanGates {
		credential, err := service.AddGate(ctx, b.event, scan.NewGate{Name: fmt.Sprintf("gate-%d", i)}, "bench")
		if err != nil {
			return nil, err
		}
		s.credentials = append(s.credentials, credential)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	core := &api.Server{DB: b.d, Scans: service, Log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	s.url, s.server = "http://"+listener.Addr().String(), &http.Server{Handler: core.Gate()}
	go func() { _ = s.server.Serve(listener) }() // until close
	return s, nil
}

func (s *doors) close() {
	s.client.CloseIdleConnections()
	s.server.Close()
}

// arrivals shows each code once, and tells how long visitors waited after the warm-up, in microseconds.
func (s *doors) arrivals(ctx context.Context, codes []string, rate int) (*hdrhistogram.Histogram, error) {
	waited := hdrhistogram.New(1, time.Minute.Microseconds(), 3)
	var mu sync.Mutex
	var failed error
	var visitors sync.WaitGroup
	began := time.Now()
	show := func(n int, due time.Duration) {
		err := s.show(ctx, s.credentials[n%len(s.credentials)], codes[n])
		took := time.Since(began) - due
		mu.Lock()
		defer mu.Unlock()
		if err == nil && due >= scanWarmUp {
			err = waited.RecordValue(max(took.Microseconds(), 1))
		}
		if err != nil {
			failed = errors.Join(failed, err)
		}
	}
	for n := 0; n < len(codes) && ctx.Err() == nil; time.Sleep(time.Millisecond) {
		for due := time.Duration(n) * time.Second / time.Duration(rate); n < len(codes) && due <= time.Since(began); due = time.Duration(n) * time.Second / time.Duration(rate) {
			number, at := n, due
			visitors.Go(func() { show(number, at) })
			n++
		}
	}
	visitors.Wait()
	if failed == nil {
		failed = ctx.Err()
	}
	return waited, failed
}

// show scans one code at a gate, which must open.
func (s *doors) show(ctx context.Context, credential, text string) error {
	body, err := json.Marshal(map[string]any{"id": uuid.New(), "code": text, "direction": "in"})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/gate/v1/scans", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+credential)
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("a scan was answered %d: %s", resp.StatusCode, answer)
	}
	return err
}

// fill issues so many tickets of an event.
func (b *bench) fill(ctx context.Context, event uuid.UUID, n int) error {
	s := issuer()
	for left := n; left > 0; left -= 1000 {
		due := items(event, min(left, 1000))
		if err := b.d.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error { return s.Issue(ctx, tx, due) }); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) codesOf(ctx context.Context, event uuid.UUID) ([]string, error) {
	rows, err := b.d.Pool.Query(ctx, sqlCodes, event)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
