package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// maxConns bounds the connections of the open model. Whoever finds none free waits, and the wait is counted.
const maxConns = 4096

// requests are prepared before the measurement, one after the other in one piece of memory that the garbage collector
// does not look into.
type requests struct {
	data []byte
	ends []int
}

func (r *requests) at(n int) []byte {
	from := 0
	if n > 0 {
		from = r.ends[n-1]
	}
	return r.data[from:r.ends[n]]
}

// load is one measurement: a single thread that keeps many connections busy by asking the kernel which have an answer.
// It does as little as possible for a request, since it runs on the same processors as what it measures.
type load struct {
	addr     netip.AddrPort
	requests requests
	conns    int           // closed loop: so many, each with one request at a time
	rate     float64       // open model instead: so many arrivals a second, whatever becomes of them
	warm     time.Duration // not measured
	length   time.Duration
	want     int // the status that counts as an answer
}

// outcome is what a load found.
type outcome struct {
	answered int64 // as wanted, in the time measured
	all      int64 // as wanted, with the warm-up
	others   map[string]int64
	took     time.Duration
	latency  *hdrhistogram.Histogram // microseconds
	conns    int
}

// wire is one connection.
type wire struct {
	fd   int
	n    int
	due  time.Duration // when its request was sent, or in the open model should have been
	busy bool
	buf  [4096]byte
}

// driver is a load under way.
type driver struct {
	load
	began time.Time
	poll  int
	wires map[int32]*wire
	idle  []*wire
	next  int           // the next request
	due   time.Duration // of the next arrival
	out   outcome
	rng   *rand.Rand
}

func (l load) run() (outcome, error) {
	d := &driver{load: l, wires: make(map[int32]*wire), rng: rand.New(rand.NewPCG(1, 2))}
	d.out = outcome{others: make(map[string]int64), latency: hdrhistogram.New(1, time.Minute.Microseconds(), 3)}
	var err error
	if d.poll, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
		return d.out, fmt.Errorf("open epoll: %w", err)
	}
	defer syscall.Close(d.poll)
	defer func() {
		for _, w := range d.wires {
			syscall.Close(w.fd)
		}
	}()
	for range max(l.conns, 64) {
		if err := d.dial(); err != nil {
			return d.out, err
		}
	}
	d.began = time.Now()
	err = d.drive()
	d.out.conns = len(d.wires)
	return d.out, err
}

func (d *driver) dial() error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open a socket: %w", err)
	}
	w := &wire{fd: fd}
	d.wires[int32(fd)] = w
	if err := syscall.Connect(fd, &syscall.SockaddrInet4{Port: int(d.addr.Port()), Addr: d.addr.Addr().As4()}); err != nil {
		return fmt.Errorf("connect to %s: %w", d.addr, err)
	}
	if err := errors.Join(syscall.SetNonblock(fd, true), syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)); err != nil {
		return fmt.Errorf("set up a socket: %w", err)
	}
	if err := syscall.EpollCtl(d.poll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)}); err != nil {
		return fmt.Errorf("watch a socket: %w", err)
	}
	d.idle = append(d.idle, w)
	return nil
}

// drive runs until the time is up and everybody has their answer.
func (d *driver) drive() error {
	events := make([]syscall.EpollEvent, 512)
	end := d.warm + d.length
	busy := 0
	for {
		now := time.Since(d.began)
		sent, err := d.send(now, end)
		if err != nil {
			return err
		}
		busy += sent
		over := now >= end || d.next == len(d.requests.ends)
		if over && busy == 0 {
			d.out.took = min(now, end) - d.warm
			return nil
		}
		if now > end+30*time.Second {
			return fmt.Errorf("%d answers never came", busy)
		}
		wait := 100
		if d.rate > 0 && !over {
			wait = int(max(d.due-now, 0)/time.Millisecond) + 1
			if d.due <= now {
				wait = 0
			}
		}
		n, err := syscall.EpollWait(d.poll, events, wait)
		if err != nil && !errors.Is(err, syscall.EINTR) {
			return fmt.Errorf("wait for answers: %w", err)
		}
		for _, e := range events[:max(n, 0)] {
			done, err := d.read(d.wires[e.Fd])
			if err != nil {
				return err
			}
			if done {
				busy--
			}
		}
	}
}

// send sends what is due: in a closed loop a request on every idle connection, in the open model those that have arrived.
func (d *driver) send(now, end time.Duration) (sent int, err error) {
	for d.next < len(d.requests.ends) && now < end {
		due := now
		if d.rate > 0 {
			if due = d.due; due > now || due >= end {
				return sent, nil
			}
			if len(d.idle) == 0 && len(d.wires) < maxConns {
				if err := d.dial(); err != nil {
					return sent, err
				}
			}
		}
		if len(d.idle) == 0 {
			return sent, nil
		}
		w := d.idle[len(d.idle)-1]
		d.idle = d.idle[:len(d.idle)-1]
		text := d.requests.at(d.next)
		if n, err := syscall.Write(w.fd, text); err != nil || n != len(text) {
			return sent, fmt.Errorf("send a request: %d of %d bytes: %w", n, len(text), err)
		}
		w.due, w.busy, w.n = due, true, 0
		if d.rate == 0 {
			w.due = time.Since(d.began)
		}
		d.next++
		d.due += time.Duration(d.rng.ExpFloat64() / max(d.rate, 1) * float64(time.Second))
		sent++
	}
	return sent, nil
}

// read reads what has come on a connection and says whether that was the end of an answer.
func (d *driver) read(w *wire) (done bool, err error) {
	n, err := syscall.Read(w.fd, w.buf[w.n:])
	if errors.Is(err, syscall.EAGAIN) {
		return false, nil
	}
	if err != nil || n == 0 || !w.busy {
		return false, fmt.Errorf("a connection ended after %d bytes of an answer: %w", w.n, err)
	}
	w.n += n
	text := w.buf[:w.n]
	head := bytes.Index(text, []byte("\r\n\r\n"))
	if head < 0 {
		return false, nil
	}
	_, rest, ok := bytes.Cut(text[:head+2], []byte("Content-Length: "))
	digits, _, _ := bytes.Cut(rest, []byte("\r\n"))
	length, bad := strconv.Atoi(string(digits))
	if !ok || bad != nil || head+4+length > len(w.buf) {
		return false, fmt.Errorf("an answer that cannot be read: %q", text[:head])
	}
	if w.n < head+4+length {
		return false, nil
	}
	d.count(w, text[9:12], text[head+4:])
	w.busy = false
	d.idle = append(d.idle, w)
	return true, nil
}

func (d *driver) count(w *wire, status, body []byte) {
	if string(status) != strconv.Itoa(d.want) {
		_, code, _ := bytes.Cut(body, []byte(`"code":"`))
		code, _, _ = bytes.Cut(code, []byte(`"`))
		d.out.others[string(status)+" "+string(code)]++
		return
	}
	d.out.all++
	now := time.Since(d.began)
	if w.due < d.warm || d.rate == 0 && now > d.warm+d.length {
		return
	}
	d.out.answered++
	_ = d.out.latency.RecordValue(max((now - w.due).Microseconds(), 1)) // longer than a minute does not happen
}
