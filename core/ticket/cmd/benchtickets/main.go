// Command benchtickets measures what becomes of a sale: how many tickets a second are issued, each with its signature and its row;
// how many codes one core verifies, draws and puts into wallets; how long a gate waits for the answer to a scan over HTTP; and how large the
// pack is that gates need off line. Where there is a usual way to do the same, it is measured beside ours.
//
//	go run ./core/ticket/cmd/benchtickets
//	go run ./core/ticket/cmd/benchtickets --only issue,scan --seconds 10
//	DATABASE_URL=postgres://… go run ./core/ticket/cmd/benchtickets
//
// Without DATABASE_URL it starts a private database in a temporary folder. What was answered is compared with the tables
// afterwards. The last line is one JSON object.
package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"

	"fairgate/core/db"
	"fairgate/core/db/benchdb"
	"fairgate/core/ticket"
	"fairgate/core/ticket/code"
	"fairgate/edge/lottery"
)

// result is the last line. A part that was left out is 0.
type result struct {
	Issued  float64 `json:"issued_per_second"`
	Verify  float64 `json:"verify_per_second_core"`
	QR      float64 `json:"qr_png_per_second"`
	Pass    float64 `json:"pkpass_per_second"`
	ScanP99 float64 `json:"scan_p99_ms"`
	Pack    int     `json:"pack_80k_bytes"`
}

// bench is what the parts share.
type bench struct {
	d       *db.DB
	seconds time.Duration
	rate    int // scans a second
	event   uuid.UUID
	result  result
}

// parts are what can be measured, in this order.
var parts = []struct {
	name    string
	measure func(*bench, context.Context) error
}{
	{"issue", (*bench).issue}, {"verify", (*bench).verify}, {"qr", (*bench).qr}, {"pkpass", (*bench).pkpass}, {"scan", (*bench).scan}, {"pack", (*bench).pack},
}

var (
	ticketKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, ed25519.SeedSize))
	packKey   = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{5}, ed25519.SeedSize))
	gateKey   = bytes.Repeat([]byte{7}, 32)
)

func main() {
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	only := flag.String("only", "", "parts to measure, with commas between; all of them: "+strings.Join(names, ","))
	seconds := flag.Int("seconds", 5, "how long each part is measured")
	rate := flag.Int("rate", 500, "scans a second, whatever becomes of those before")
	flag.Parse()
	chosen := names
	if *only != "" {
		chosen = strings.Split(*only, ",")
	}
	for _, name := range chosen {
		if !slices.Contains(names, name) || *seconds < 1 || *rate < 1 {
			fmt.Fprintf(os.Stderr, "benchtickets: --only takes %s; --seconds and --rate must be at least 1\n", strings.Join(names, ", "))
			os.Exit(2)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b := &bench{seconds: time.Duration(*seconds) * time.Second, rate: *rate, event: lottery.EventID("bench")}
	if err := b.run(ctx, chosen); err != nil {
		fmt.Fprintln(os.Stderr, "benchtickets:", err)
		os.Exit(1)
	}
}

func (b *bench) run(ctx context.Context, chosen []string) error {
	d, done, err := benchdb.Open(ctx, os.Stdout, db.Options{MaxConns: 20, MinConns: 16})
	if err != nil {
		return err
	}
	defer done()
	b.d = d
	fmt.Println()
	for _, p := range parts {
		if !slices.Contains(chosen, p.name) {
			continue
		}
		if err := p.measure(b, ctx); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	fmt.Println()
	return json.NewEncoder(os.Stdout).Encode(b.result)
}

// row prints a line of the table.
func row(what, format string, args ...any) {
	fmt.Printf("%-58s %s\n", what, fmt.Sprintf(format, args...))
}

// issuer signs with the event's key.
func issuer() *ticket.Issuer {
	return ticket.NewIssuer(func(context.Context, uuid.UUID) (ticket.SigningKey, error) {
		return ticket.SigningKey{No: 1, Private: ticketKey}, nil
	})
}

// reader is a gate's.
func (b *bench) reader(rotating bool) *code.Reader {
	public := lottery.PublicKey{No: 1}
	copy(public.Public[:], ticketKey.Public().(ed25519.PublicKey))
	return &code.Reader{Event: b.event, Keys: lottery.PublicKeys{public}, GateKeys: [][]byte{gateKey}, Rotating: rotating}
}

// codes are so many codes of seats.
func (b *bench) codes(n int) ([]string, []code.Code, error) {
	texts, codes := make([]string, n), make([]code.Code, n)
	for i := range texts {
		codes[i] = code.Code{KeyNo: 1, TicketID: uuid.New(), EventID: b.event, Epoch: 1, Place: code.Place("", fmt.Sprintf("101/%d/%d", i/40+1, i%40+1))}
		var err error
		if texts[i], err = codes[i].Sign(ticketKey); err != nil {
			return nil, nil, err
		}
	}
	return texts, codes, nil
}
