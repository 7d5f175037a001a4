package main

import (
	"bytes"
	"fmt"
	"net"
	"runtime"
	"time"
)

// memory measures what the node keeps for each of n buyers: those who poll, and those with an open event stream. What the client's
// side of the connections takes in this process counts with it; what the system keeps for a socket does not.
func (f *figures) memory(node string, n int) error {
	before := used()
	if err := askOnce(node, polls(n)); err != nil {
		return fmt.Errorf("poll: %w", err)
	}
	f.PollBytes = perBuyer(before, used(), n)
	calls := streams(n)
	before = used()
	conns := make([]net.Conn, 0, n)
	defer func() {
		for _, conn := range conns {
			conn.Close()
		}
	}()
	chunk := make([]byte, 64<<10)
	for i, call := range calls {
		conn, err := net.Dial("tcp", node)
		if err != nil {
			return fmt.Errorf("open a stream: %w", err)
		}
		conns = append(conns, conn)
		if err := untilSnapshot(conn, call, chunk); err != nil {
			return fmt.Errorf("stream %d: %w", i, err)
		}
	}
	f.StreamBytes = perBuyer(before, used(), n)
	return nil
}

// untilSnapshot asks for a stream and reads until all that is left of the event has come.
func untilSnapshot(conn net.Conn, call, chunk []byte) error {
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write(call); err != nil {
		return err
	}
	var got []byte
	for !bytes.Contains(got, []byte("event: snapshot")) || !bytes.HasSuffix(got, []byte("\n\n")) {
		n, err := conn.Read(chunk)
		if err != nil {
			return fmt.Errorf("%w after %.200q", err, got)
		}
		got = append(got, chunk[:n]...)
		if !bytes.HasPrefix(got, []byte("HTTP/1.1 200 ")[:min(len(got), 13)]) {
			return fmt.Errorf("no stream: %.300q", got)
		}
	}
	return nil
}

// askOnce makes each call once, over one connection.
func askOnce(addr string, calls [][]byte) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	w := wire{conn: conn}
	for _, call := range calls {
		if _, err := w.ask(call); err != nil {
			return err
		}
	}
	return nil
}

// used is the memory in use for objects and goroutines' stacks, after what can go has gone.
func used() uint64 {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

func perBuyer(before, after uint64, n int) float64 {
	if after < before {
		return 0 // something else was freed meanwhile
	}
	return float64((after - before) / uint64(n))
}
