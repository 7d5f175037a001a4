package main

import (
	"bytes"
	"context"
	"fmt"
	"image/png"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"rsc.io/qr"

	"fairgate/core/ticket/code"
	"fairgate/core/ticket/wallet"
	"fairgate/core/ticket/wallet/wallettest"
)

func round(f float64) float64 { return math.Round(f) }

// pace is how fast something was done.
type pace struct {
	perSecond float64
	cpu       time.Duration // of each; what is left of a machine that others use as well
}

// repeat does something as often as it can with so many goroutines.
func (b *bench) repeat(ctx context.Context, goroutines int, do func(n int) error) (pace, error) {
	var n atomic.Int64
	var failed error
	var once sync.Once
	var running sync.WaitGroup
	began, used := time.Now(), cpuTime()
	for range goroutines {
		running.Go(func() {
			for ctx.Err() == nil && time.Since(began) < b.seconds {
				if err := do(int(n.Add(1))); err != nil {
					once.Do(func() { failed = err })
					return
				}
			}
		})
	}
	running.Wait()
	if failed == nil {
		failed = ctx.Err()
	}
	return pace{float64(n.Load()) / time.Since(began).Seconds(), (cpuTime() - used) / time.Duration(max(n.Load(), 1))}, failed
}

// String is the pace as a row shows it.
func (p pace) String() string {
	return fmt.Sprintf("%10.0f a second, %s of CPU each", p.perSecond, p.cpu.Round(time.Microsecond/10))
}

// cpuTime is what the process has used of its cores.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// verify reads codes as a gate does, on one core, those that stand still and those that change.
func (b *bench) verify(ctx context.Context) error {
	texts, codes, err := b.codes(1000)
	if err != nil {
		return err
	}
	still := b.reader(false)
	ours, err := b.repeat(ctx, 1, func(n int) error {
		c, err := still.Read(texts[n%len(texts)], time.Now())
		if err == nil && c.TicketID != codes[n%len(texts)].TicketID {
			err = fmt.Errorf("read ticket %s", c.TicketID)
		}
		return err
	})
	if err != nil {
		return err
	}
	row("verified on one core (aim 20,000)", "%s", ours)
	b.result.Verify = round(ours.perSecond)
	at := time.Now()
	turning := make([]string, len(texts))
	for i, text := range texts {
		turning[i] = code.Rotate(text, code.Seed(gateKey, codes[i].TicketID, codes[i].Epoch), at)
	}
	moving := b.reader(true)
	ours, err = b.repeat(ctx, 1, func(n int) error {
		_, err := moving.Read(turning[n%len(turning)], at)
		return err
	})
	if err != nil {
		return err
	}
	row("  with a rotating part", "%s", ours)
	return nil
}

// qr draws codes, and then as the standard library would.
func (b *bench) qr(ctx context.Context) error {
	texts, _, err := b.codes(1000)
	if err != nil {
		return err
	}
	cores := runtime.GOMAXPROCS(0)
	ours, err := b.repeat(ctx, cores, func(n int) error {
		_, err := code.PNG(texts[n%len(texts)])
		return err
	})
	if err != nil {
		return err
	}
	row(fmt.Sprintf("QR codes as PNG, %d cores", cores), "%s", ours)
	naive, err := b.repeat(ctx, cores, func(n int) error {
		drawn, err := qr.Encode(texts[n%len(texts)], qr.M)
		if err != nil {
			return err
		}
		drawn.Scale = 8
		return png.Encode(&bytes.Buffer{}, drawn.Image())
	})
	if err != nil {
		return err
	}
	row("  the same through image/png", "%s, ratio %.1f", naive, ours.perSecond/naive.perSecond)
	b.result.QR = round(ours.perSecond)
	return nil
}

// pkpass makes passes, and then as it is written without a second thought: certificates read and pictures drawn for each.
func (b *bench) pkpass(ctx context.Context) error {
	a, err := wallettest.NewAuthority(time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	if err != nil {
		return err
	}
	texts, codes, err := b.codes(1000)
	if err != nil {
		return err
	}
	cores := runtime.GOMAXPROCS(0)
	open := func() (*wallet.Apple, error) {
		return wallet.NewApple(wallet.AppleConfig{Certificate: a.Certificate, Key: a.Key, WWDR: a.WWDR, PassTypeID: wallettest.PassTypeID,
			TeamID: wallettest.TeamID, Organization: "Bench"}, wallet.NewThrottle(cores, cores))
	}
	passOf := func(apple *wallet.Apple, n int) error {
		c := codes[n%len(codes)]
		_, err := apple.Make(ctx, wallet.Pass{Ticket: c.TicketID, Epoch: 1, Code: texts[n%len(texts)], Tier: "Lower ring", Seat: c.Place,
			Page:     "https://tickets.example.org/e/bench",
			Event:    wallet.Event{Slug: "bench", Name: "Midsummer Night at the Arena", Venue: "Arena del Puerto", Address: "Valencia, ES"},
			StartsAt: time.Now().Add(time.Hour), ClosesAt: time.Now().Add(9 * time.Hour)})
		return err
	}
	apple, err := open()
	if err != nil {
		return err
	}
	ours, err := b.repeat(ctx, cores, func(n int) error { return passOf(apple, n) })
	if err != nil {
		return err
	}
	row(fmt.Sprintf("passes for Apple Wallet, %d cores", cores), "%s", ours)
	naive, err := b.repeat(ctx, cores, func(n int) error {
		apple, err := open()
		if err != nil {
			return err
		}
		return passOf(apple, n)
	})
	if err != nil {
		return err
	}
	row("  the same, pictures and certificates anew for each", "%s, ratio %.1f", naive, ours.perSecond/naive.perSecond)
	b.result.Pass = round(ours.perSecond)
	return nil
}
